//! Checks out of a Nagios configuration, and a report of what has no equal here. Nothing is read from disk in this place.

mod drafts;
mod periods;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tenfold_alerting::TimeInterval;
use tenfold_protocols::nagios::{Fields, Resolved};
use tenfold_types::format_duration_ms;

use super::spec::{CheckSpec, Flapping, Passive, Run};

pub(crate) use drafts::plain;
pub use drafts::{NagiosDrafts, NagiosPerson};

/// Bytes a check's name may have.
const NAME_BYTES_MAX: usize = 63;
/// Nagios' `additional_freshness_latency`.
const FRESHNESS_LATENCY_S: f64 = 15.0;

/// Something that was left out or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportNote {
    /// The host, `host/service`, or the kind of object.
    pub about: String,
    pub message: String,
}

/// What a configuration becomes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NagiosImport {
    /// In an order in which they can be put: parents before what stands behind them.
    pub checks: Vec<(String, CheckSpec)>,
    /// Who is told, when, and what stays quiet behind what.
    pub drafts: NagiosDrafts,
    pub report: Vec<ImportNote>,
}

struct Importer<'r> {
    resolved: &'r Resolved,
    /// `$USER1$` and its kin.
    macros: &'r BTreeMap<String, String>,
    /// Seconds of a Nagios interval.
    unit: f64,
    /// Where Nagios' clock is.
    zone: &'r str,
    report: Vec<ImportNote>,
    taken: BTreeSet<String>,
}

/// Makes checks of hosts and services, and drafts of what is about people. `zone` is where Nagios' clock is.
///
/// # Errors
/// When there is no such zone.
pub fn import_nagios(
    resolved: &Resolved,
    macros: &BTreeMap<String, String>,
    interval_length: f64,
    zone: &str,
) -> Result<NagiosImport, String> {
    if jiff::tz::TimeZone::get(zone).is_err() {
        return Err(format!("`{zone}` is not a time zone; write it like Europe/Berlin or UTC"));
    }
    let unit = if interval_length > 0.0 { interval_length } else { 60.0 };
    let mut importer = Importer { resolved, macros, unit, zone, report: Vec::new(), taken: BTreeSet::new() };
    let names: BTreeMap<&str, String> =
        resolved.hosts.keys().map(|host| (host.as_str(), importer.name(&[host]))).collect();
    let mut hosts: BTreeMap<&str, CheckSpec> = BTreeMap::new();
    for (host, fields) in &resolved.hosts {
        let parents = split(fields.get("parents"));
        if let Some(mut spec) = importer.spec(host, host, fields, fields) {
            spec.parents = parents.iter().filter_map(|p| names.get(p.as_str()).cloned()).collect();
            hosts.insert(host, spec);
        }
    }
    // What is not checked cannot stand between.
    let kept: BTreeSet<String> = hosts.keys().map(|host| names[host].clone()).collect();
    for spec in hosts.values_mut() {
        spec.parents.retain(|p| kept.contains(p));
    }
    let mut named: drafts::CheckNames =
        hosts.keys().map(|host| (((*host).to_owned(), None), names[host].clone())).collect();
    let mut checks = in_order(hosts, &names, &mut importer.report);
    for ((host, description), fields) in &resolved.services {
        let about = format!("{host}/{description}");
        let Some(host_fields) = resolved.hosts.get(host) else { continue };
        let Some(mut spec) = importer.spec(&about, host, host_fields, fields) else { continue };
        spec.labels.insert("nagios_service".to_owned(), description.clone());
        spec.parents = names.get(host.as_str()).filter(|p| kept.contains(*p)).cloned().into_iter().collect();
        let name = importer.name(&[host, description]);
        named.insert((host.clone(), Some(description.clone())), name.clone());
        checks.push((name, spec));
    }
    for (kind, count) in &resolved.others {
        let message = format!("{count} of them: is not read");
        importer.report.push(ImportNote { about: kind.clone(), message });
    }
    let drafts = drafts::drafts(resolved, &named, zone, unit, &mut importer.report);
    Ok(NagiosImport { checks, drafts, report: importer.report })
}

fn split(text: Option<&String>) -> Vec<String> {
    text.map_or("", String::as_str).split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
}

fn in_order(
    mut hosts: BTreeMap<&str, CheckSpec>,
    names: &BTreeMap<&str, String>,
    report: &mut Vec<ImportNote>,
) -> Vec<(String, CheckSpec)> {
    let mut out: Vec<(String, CheckSpec)> = Vec::new();
    let mut placed: BTreeSet<String> = BTreeSet::new();
    while !hosts.is_empty() {
        let free = hosts.iter().find(|(_, s)| s.parents.iter().all(|p| placed.contains(p))).map(|(h, _)| *h);
        // Parents in a circle are cut where they are found.
        let host = free.or_else(|| hosts.keys().next().copied());
        let Some((host, mut spec)) = host.and_then(|h| hosts.remove_entry(h)) else { break };
        if free.is_none() {
            spec.parents.retain(|p| placed.contains(p));
            report.push(ImportNote { about: host.to_owned(), message: "its parents lead back to it".to_owned() });
        }
        placed.insert(names[host].clone());
        out.push((names[host].clone(), spec));
    }
    out
}

impl Importer<'_> {
    fn note(&mut self, about: &str, message: impl Into<String>) {
        self.report.push(ImportNote { about: about.to_owned(), message: message.into() });
    }

    /// A name that a check may have, and no other has yet.
    fn name(&mut self, parts: &[&str]) -> String {
        let plain = |part: &&str| {
            let low = part.to_lowercase();
            let kept: String =
                low.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
            kept.split('-').filter(|p| !p.is_empty()).collect::<Vec<_>>().join("-")
        };
        let mut base = parts.iter().map(plain).collect::<Vec<_>>().join("_");
        base = base.trim_start_matches(['.', '_']).chars().take(NAME_BYTES_MAX - 6).collect();
        if base.is_empty() {
            base.push('x');
        }
        let mut name = base.clone();
        let mut n = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{base}-{n}");
            n += 1;
        }
        name
    }

    fn spec(&mut self, about: &str, host: &str, host_fields: &Fields, fields: &Fields) -> Option<CheckSpec> {
        let number =
            |key: &str, otherwise: f64| fields.get(key).and_then(|v| v.parse::<f64>().ok()).unwrap_or(otherwise);
        let active = number("active_checks_enabled", 1.0) != 0.0;
        let command = fields.get("check_command").cloned().unwrap_or_default();
        let hours = if active { self.hours(about, fields) } else { Some(Vec::new()) };
        let active = active && hours.is_some();
        let hours = hours.unwrap_or_default();
        let run = match (active, command.is_empty()) {
            (true, false) => Run::Plugin(self.argv(about, host, host_fields, fields, &command)?),
            (true, true) => {
                self.note(about, "has no check_command and is not checked");
                return None;
            }
            (false, _) => Run::Passive(Passive {}),
        };
        let duration = |key: &str, otherwise: f64| {
            let ms = number(key, otherwise) * self.unit * 1_000.0;
            format_duration_ms((ms as i64).clamp(1_000, 7 * 86_400_000))
        };
        let interval = duration("check_interval", 5.0);
        let retry_interval = duration("retry_interval", 1.0);
        // Without a threshold Nagios waits for the next result, and a little longer.
        let fresh = match number("freshness_threshold", 0.0) {
            said if said >= 1.0 => said,
            _ => number("check_interval", 5.0) * self.unit + FRESHNESS_LATENCY_S,
        };
        let fresh = (number("check_freshness", 0.0) != 0.0).then_some(fresh.clamp(1.0, 7.0 * 86_400.0));
        let flaps = number("flap_detection_enabled", 1.0) != 0.0;
        let (low, high) = (number("low_flap_threshold", 0.0), number("high_flap_threshold", 0.0));
        let annotations = self.annotations(about, host, host_fields, fields);
        if let Some(value) = fields.get("event_handler") {
            self.note(about, format!("event_handler {value} has no equal"));
        }
        if !hours.is_empty() && fresh.is_some() {
            self.note(about, "check_freshness has no equal beside a check_period: it is looked at within its hours");
        }
        let fresh = fresh.filter(|_| hours.is_empty());
        for (key, message) in [
            ("first_notification_delay", "people are told when it is hard; raise `attempts` to be told later"),
            ("is_volatile", "an alert that goes on is not told anew with each result"),
        ] {
            if number(key, 0.0) > 0.0 {
                self.note(about, format!("{key} has no equal: {message}"));
            }
        }
        if fields.contains_key("service_description") && fields.contains_key("parents") {
            self.note(about, "parents of a service have no equal: it stands behind its host alone");
        }
        let flapping = Flapping {
            low: if low > 0.0 { low } else { 20.0 },
            high: if !flaps {
                0.0
            } else if high > 0.0 {
                high
            } else {
                30.0
            },
        };
        Some(CheckSpec {
            host: host.to_owned(),
            service: None,
            environment: None,
            run,
            interval,
            retry_interval,
            timeout: "1m".to_owned(),
            attempts: (number("max_check_attempts", 3.0) as u32).clamp(1, 100),
            freshness: fresh.map(|seconds| format_duration_ms((seconds * 1000.0) as i64)),
            active: hours,
            parents: Vec::new(),
            flapping,
            severity: "critical".to_owned(),
            stale_severity: None,
            labels: BTreeMap::new(),
            annotations,
        })
    }

    /// When Nagios checks it, by its `check_period`: empty for always, none for never.
    fn hours(&mut self, about: &str, fields: &Fields) -> Option<Vec<TimeInterval>> {
        let Some(name) = fields.get("check_period").filter(|name| *name != "24x7") else { return Some(Vec::new()) };
        let periods = self.resolved.kept.get("timeperiod").map_or(&[][..], Vec::as_slice);
        let Some(period) = periods.iter().find(|period| period.get("timeperiod_name") == Some(name)) else {
            self.note(about, format!("there is no check_period {name}: it is looked at always"));
            return Some(Vec::new());
        };
        // Lines of the period that have no equal are told once, with the drafts.
        let (intervals, _) = periods::intervals(period, self.zone);
        if intervals.is_empty() {
            self.note(about, format!("its check_period {name} holds never: it is not looked at, and takes results"));
            return None;
        }
        Some(intervals)
    }

    /// What people are shown with the alert. Nagios fills macros into addresses as well.
    fn annotations(
        &mut self,
        about: &str,
        host: &str,
        host_fields: &Fields,
        fields: &Fields,
    ) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        for (key, name) in [("notes_url", "runbook_url"), ("action_url", "action_url"), ("notes", "description")] {
            let Some(text) = fields.get(key).filter(|text| key == "notes" || text.starts_with("http")) else {
                continue;
            };
            let mut unknown = BTreeSet::new();
            let value = |name: &str| self.value((host, host_fields, fields), &[], name);
            let text = filled(text, &value, &mut unknown);
            if let Some(macro_name) = unknown.first() {
                self.note(about, format!("{key} holds the macro ${macro_name}$, which has no equal; it is left out"));
            } else {
                out.insert(name.to_owned(), text);
            }
        }
        out
    }

    /// What stands for a macro of a host or a service and of a command's arguments; none when it has no equal.
    fn value(
        &self,
        (host, host_fields, fields): (&str, &Fields, &Fields),
        arguments: &[&str],
        name: &str,
    ) -> Option<String> {
        if let Some(n) = name.strip_prefix("ARG").and_then(|n| n.parse::<usize>().ok()) {
            return Some(arguments.get(n.checked_sub(1)?).copied().unwrap_or_default().to_owned());
        }
        let of = |fields: &Fields, key: &str| fields.get(key).cloned();
        match name {
            "HOSTNAME" => Some(host.to_owned()),
            "HOSTADDRESS" => of(host_fields, "address").or_else(|| Some(host.to_owned())),
            "HOSTALIAS" => of(host_fields, "alias").or_else(|| Some(host.to_owned())),
            "SERVICEDESC" => of(fields, "service_description"),
            name => {
                let custom = |fields: &Fields, rest: &str| {
                    let key = format!("_{}", rest.to_lowercase());
                    // One that nobody has set is empty, as in Nagios.
                    let found = fields.iter().find(|(k, _)| k.to_lowercase() == key);
                    Some(found.map_or_else(String::new, |(_, v)| v.clone()))
                };
                if let Some(rest) = name.strip_prefix("_HOST") {
                    return custom(host_fields, rest);
                }
                if let Some(rest) = name.strip_prefix("_SERVICE") {
                    return custom(fields, rest);
                }
                // Nagios keeps passwords in `$USERn$`; only the first, the plugins' folder, is no secret by custom.
                self.macros.get(name).filter(|_| name == "USER1").cloned()
            }
        }
    }

    /// The words of a command line with its macros filled in; none when only a shell could run it.
    fn argv(
        &mut self,
        about: &str,
        host: &str,
        host_fields: &Fields,
        fields: &Fields,
        command: &str,
    ) -> Option<Vec<String>> {
        let mut parts = command.split('!');
        let name = parts.next().unwrap_or_default();
        let arguments: Vec<&str> = parts.collect();
        let Some(line) = self.resolved.commands.get(name) else {
            self.note(about, format!("there is no command `{name}`"));
            return None;
        };
        let mut unknown = BTreeSet::new();
        let value = |name: &str| self.value((host, host_fields, fields), &arguments, name);
        // Arguments may hold macros themselves, once.
        let mut fill = |text: &str| filled(text, &value, &mut unknown);
        let once = fill(line);
        let whole = fill(&once);
        if let Some(name) = unknown.first() {
            self.note(about, format!("the macro ${name}$ has no equal, or may hold a secret; the check is left out"));
            return None;
        }
        match words(&whole) {
            Ok(argv) if !argv.is_empty() => Some(argv),
            Ok(_) => {
                self.note(about, format!("the command `{name}` is empty"));
                None
            }
            Err(why) => {
                self.note(about, format!("the command `{name}` {why}, and no shell runs here: put it into a script"));
                None
            }
        }
    }
}

/// Fills `$NAME$` in; `$$` is a dollar.
fn filled(text: &str, value: &dyn Fn(&str) -> Option<String>, unknown: &mut BTreeSet<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let end = after.find('$');
        match end.map(|end| (&after[..end], &after[end + 1..])) {
            Some(("", next)) => {
                out.push('$');
                rest = next;
            }
            Some((name, next))
                if name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-')) =>
            {
                match value(name) {
                    Some(value) => out.push_str(&value),
                    None => {
                        unknown.insert(name.to_owned());
                    }
                }
                rest = next;
            }
            _ => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Words as a shell cuts them, with quotes; what needs a shell is refused.
fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => out.extend(word.take()),
            '\'' => {
                let held = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err("has a quote without end"),
                        Some('\'') => break,
                        Some(c) => held.push(c),
                    }
                }
            }
            '"' => {
                let held = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err("has a quote without end"),
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => held.push(c),
                            Some(c) => held.extend(['\\', c]),
                            None => return Err("has a quote without end"),
                        },
                        Some('`') => return Err("runs another command"),
                        Some(c) => held.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            '|' | ';' | '&' | '<' | '>' | '`' | '(' | ')' | '\n' => return Err("is a line for a shell"),
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    Ok(out)
}
