//! Checks out of a Nagios configuration, and a report of what has no equal here. Nothing is read from disk in this place.

mod commands;
mod drafts;
mod main_file;
mod periods;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tenfold_alerting::TimeInterval;
use tenfold_protocols::nagios::{Fields, Resolved};
use tenfold_types::format_duration_ms;

use super::look::{Passive, Run};
use super::spec::{CheckSpec, Flapping, PARENTS_MAX};

pub(crate) use drafts::plain;
pub use drafts::{NagiosDrafts, NagiosPerson};
pub use main_file::NagiosMain;

use commands::{Around, argv, filled};

/// Bytes a check's name may have.
const NAME_BYTES_MAX: usize = 63;
/// Minutes between two looks of what Nagios looks at on demand alone.
const ON_DEMAND_MIN: f64 = 5.0;

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
    main: &'r NagiosMain,
    /// Where Nagios' clock is.
    zone: &'r str,
    report: Vec<ImportNote>,
    taken: BTreeSet<String>,
}

/// Makes checks of hosts and services, and drafts of what is about people. `macros` are those of the resource file that may be
/// seen by whoever sees the checks; `zone` is where Nagios' clock is.
///
/// # Errors
/// When there is no such zone.
pub fn import_nagios(
    resolved: &Resolved,
    main: &NagiosMain,
    macros: &BTreeMap<String, String>,
    zone: &str,
) -> Result<NagiosImport, String> {
    if jiff::tz::TimeZone::get(zone).is_err() {
        return Err(format!("`{zone}` is not a time zone; write it like Europe/Berlin or UTC"));
    }
    let mut importer = Importer { resolved, macros, main, zone, report: Vec::new(), taken: BTreeSet::new() };
    importer.whole();
    let names: BTreeMap<&str, String> =
        resolved.hosts.keys().map(|host| (host.as_str(), importer.name(&[host]))).collect();
    let mut hosts: BTreeMap<&str, CheckSpec> = BTreeMap::new();
    for (host, fields) in &resolved.hosts {
        let parents = split(fields.get("parents"));
        if let Some(mut spec) = importer.spec(host, host, fields, fields) {
            spec.parents = parents.iter().filter_map(|p| names.get(p.as_str()).cloned()).collect();
            if spec.parents.len() > PARENTS_MAX {
                importer.note(host, format!("has more than {PARENTS_MAX} parents, so that it stands behind none"));
                spec.parents.clear();
            }
            if importer.may_be(host, &names[host.as_str()], &spec) {
                hosts.insert(host, spec);
            }
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
        if !importer.may_be(&about, &name, &spec) {
            continue;
        }
        named.insert((host.clone(), Some(description.clone())), name.clone());
        checks.push((name, spec));
    }
    for (kind, count) in &resolved.others {
        let message = format!("{count} of them: is not read");
        importer.report.push(ImportNote { about: kind.clone(), message });
    }
    let drafts = drafts::drafts(resolved, &named, zone, main.interval_s, &mut importer.report);
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

    /// What is said for everything and has no equal.
    fn whole(&mut self) {
        let main = self.main;
        for (of, kind) in [("hosts", &main.hosts), ("services", &main.services)] {
            if let Some(handler) = kind.event_handler.as_ref().filter(|_| main.event_handlers) {
                let message =
                    format!("event handler {handler} of all {of}: nothing is run, a receiver's webhook is told");
                self.report.push(ImportNote { about: "main file".to_owned(), message });
            }
            if !kind.active {
                let message = format!("{of} are not looked at there: they take results");
                self.report.push(ImportNote { about: "main file".to_owned(), message });
            }
        }
    }

    /// Whether a check would be taken; why not is told.
    fn may_be(&mut self, about: &str, name: &str, spec: &CheckSpec) -> bool {
        let refused = spec.check(name).err();
        if let Some(fault) = &refused {
            self.note(about, format!("{}; it is left out", fault.message));
        }
        refused.is_none()
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
        let main = self.main;
        let kind = main.kind(fields);
        let number =
            |key: &str, otherwise: f64| fields.get(key).and_then(|v| v.parse::<f64>().ok()).unwrap_or(otherwise);
        let on = |key: &str| number(key, 1.0) != 0.0;
        let around = Around { resolved: self.resolved, macros: self.macros, host, host_fields, fields };
        let active = kind.active && on("active_checks_enabled");
        let command = fields.get("check_command").cloned().unwrap_or_default();
        let hours = if active { self.hours(about, fields) } else { Some(Vec::new()) };
        let active = active && hours.is_some();
        let hours = hours.unwrap_or_default();
        let run = match (active, command.is_empty()) {
            (true, false) => match argv(&around, &command) {
                Ok(argv) => Run::Plugin(argv),
                Err(why) => {
                    self.note(about, why);
                    return None;
                }
            },
            (true, true) => {
                self.note(about, "has no check_command and is not checked");
                return None;
            }
            (false, _) => Run::Passive(Passive {}),
        };
        // 0 is on demand: a host then is looked at when one of its services changes.
        let minutes = 60.0 / main.interval_s;
        let (said, retry) = (number("check_interval", 5.0), number("retry_interval", 1.0));
        let interval = if said > 0.0 { said } else { ON_DEMAND_MIN * minutes };
        if active && said <= 0.0 {
            self.note(about, format!("check_interval 0 is on demand: it is looked at every {ON_DEMAND_MIN} minutes"));
        }
        let retry = if retry > 0.0 { retry } else { interval };
        let duration = |intervals: f64| {
            let ms = intervals * main.interval_s * 1_000.0;
            format_duration_ms((ms as i64).clamp(1_000, 7 * 86_400_000))
        };
        // Without a threshold Nagios waits for the next result, and a little longer.
        let fresh = match number("freshness_threshold", 0.0) {
            said if said >= 1.0 => said,
            _ => interval * main.interval_s + main.freshness_latency_s,
        };
        let fresh =
            (kind.freshness && number("check_freshness", 0.0) != 0.0).then_some(fresh.clamp(1.0, 7.0 * 86_400.0));
        if !active && fresh.is_some() && !command.is_empty() {
            // Arguments may hold what is nobody's business.
            let program = command.split('!').next().unwrap_or_default();
            self.note(about, format!("is not looked at by {program} when it is silent: its silence is the problem"));
        }
        let annotations = self.annotations(about, &around);
        if !hours.is_empty() && fresh.is_some() {
            self.note(about, "check_freshness has no equal beside a check_period: it is looked at within its hours");
        }
        self.without_equal(about, fields);
        let either = |own: f64, all: f64| if own > 0.0 { own } else { all };
        let flaps = main.flapping && on("flap_detection_enabled");
        let high = either(number("high_flap_threshold", 0.0), kind.flap.1);
        let flapping = Flapping {
            low: either(number("low_flap_threshold", 0.0), kind.flap.0),
            high: if flaps { high } else { 0.0 },
        };
        Some(CheckSpec {
            host: host.to_owned(),
            service: None,
            environment: None,
            run,
            interval: duration(interval),
            retry_interval: duration(retry),
            timeout: format_duration_ms((kind.timeout_s * 1_000.0).clamp(1_000.0, 300_000.0) as i64),
            attempts: (number("max_check_attempts", 3.0) as u32).clamp(1, 100),
            freshness: fresh.filter(|_| hours.is_empty()).map(|seconds| format_duration_ms((seconds * 1000.0) as i64)),
            active: hours,
            parents: Vec::new(),
            flapping,
            warning_is_ok: !main.aggressive && !fields.contains_key("service_description"),
            severity: "critical".to_owned(),
            stale_severity: None,
            labels: BTreeMap::new(),
            annotations,
        })
    }

    /// Tells what of a host or a service is not taken over.
    fn without_equal(&mut self, about: &str, fields: &Fields) {
        let number = |key: &str| fields.get(key).and_then(|v| v.parse::<f64>().ok());
        let runs = self.main.event_handlers && number("event_handler_enabled") != Some(0.0);
        if let Some(value) = fields.get("event_handler").filter(|_| runs) {
            self.note(
                about,
                format!("event_handler {value} has no equal: nothing is run, a receiver's webhook is told"),
            );
        }
        if number("is_volatile").is_some_and(|n| n > 0.0) {
            self.note(about, "is_volatile has no equal: an alert that goes on is not told anew with each result");
        }
        for (key, message) in [
            ("stalking_options", "changes of state are in the record, and each result's values in the series"),
            ("flap_detection_options", "every state counts for flapping"),
        ] {
            let said = split(fields.get(key));
            let all = said.iter().any(|o| o.starts_with('a'));
            let none = said.is_empty() || said.iter().any(|o| o.starts_with('n'));
            let is_usual = none || (all && key == "flap_detection_options");
            if !is_usual {
                self.note(about, format!("{key} {} has no equal: {message}", said.join(",")));
            }
        }
        if fields.contains_key("service_description") && fields.contains_key("parents") {
            self.note(about, "parents of a service have no equal: it stands behind its host alone");
        }
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
        if intervals.is_empty() && periods::is_unread(period) {
            self.note(about, format!("nobody can tell the hours of its check_period {name}: it is looked at always"));
            return Some(Vec::new());
        }
        if intervals.is_empty() {
            self.note(about, format!("its check_period {name} holds never: it is not looked at, and takes results"));
            return None;
        }
        Some(intervals)
    }

    /// What people are shown with the alert. Nagios fills macros into addresses as well.
    fn annotations(&mut self, about: &str, around: &Around<'_>) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        for (key, name) in [("notes_url", "runbook_url"), ("action_url", "action_url"), ("notes", "description")] {
            let Some(text) = around.fields.get(key).filter(|text| key == "notes" || text.starts_with("http")) else {
                continue;
            };
            let mut unknown = BTreeSet::new();
            let text = filled(text, &|name: &str| around.value(name), &mut unknown);
            if let Some(macro_name) = unknown.first() {
                self.note(about, format!("{key} holds the macro ${macro_name}$, which has no equal; it is left out"));
            } else {
                out.insert(name.to_owned(), text);
            }
        }
        out
    }
}
