//! Checks out of a Nagios configuration, and a report of what has no equal here. Nothing is read from disk in this place.

mod drafts;
mod periods;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tenfold_protocols::nagios::{Fields, Resolved};
use tenfold_types::format_duration_ms;

use super::spec::{CheckSpec, Flapping, Passive, Run};

pub(crate) use drafts::plain;
pub use drafts::{NagiosDrafts, NagiosPerson};

/// Bytes a check's name may have.
const NAME_BYTES_MAX: usize = 63;

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
    let mut importer = Importer { resolved, macros, unit, report: Vec::new(), taken: BTreeSet::new() };
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
        let fresh = number("freshness_threshold", 0.0);
        let fresh = (number("check_freshness", 0.0) != 0.0 && fresh >= 1.0).then_some(fresh);
        let flaps = number("flap_detection_enabled", 1.0) != 0.0;
        let (low, high) = (number("low_flap_threshold", 0.0), number("high_flap_threshold", 0.0));
        let mut annotations = BTreeMap::new();
        if let Some(url) = fields.get("notes_url").filter(|u| u.starts_with("http")) {
            annotations.insert("runbook_url".to_owned(), url.clone());
        }
        for key in ["event_handler", "check_period"] {
            if let Some(value) = fields.get(key).filter(|v| *v != "24x7") {
                self.note(about, format!("{key} {value} has no equal"));
            }
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
            parents: Vec::new(),
            flapping,
            severity: "critical".to_owned(),
            stale_severity: None,
            labels: BTreeMap::new(),
            annotations,
        })
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
        let value = |name: &str| -> Option<String> {
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
        };
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

#[cfg(test)]
mod tests {
    use tenfold_alerting::Pages;
    use tenfold_protocols::nagios::{read_objects, resolve};

    use super::*;

    #[test]
    fn a_small_configuration() {
        let text = "define command {\ncommand_name ping\ncommand_line $USER1$/check_ping -H '$HOSTADDRESS$' -w $ARG1$ -x \"$_HOSTRACK$\"\n}\n\
            define command {\ncommand_name piped\ncommand_line ls | wc\n}\n\
            define host {\nhost_name Router 1\naddress 10.0.0.1\ncheck_command ping!5\n_rack r 7\n}\n\
            define host {\nhost_name web\nparents Router 1\ncheck_command ping!7,5%\nmax_check_attempts 2\n}\n\
            define service {\nhost_name web\nservice_description Disk /\ncheck_command piped\n}\n\
            define service {\nhost_name web\nservice_description HTTP\ncheck_command ping!$HOSTNAME$\ncheck_interval 0.5\nnotes_url https://x\n}\n\
            define service {\nhost_name web\nservice_description Backup\nactive_checks_enabled 0\ncheck_freshness 1\nfreshness_threshold 3600\n}\n\
            define module {\nmodule_name x\n}\n";
        let resolved = resolve(&read_objects("x", text).unwrap()).unwrap();
        let macros = BTreeMap::from([("USER1".to_owned(), "/usr/lib/nagios/plugins".to_owned())]);
        let import = import_nagios(&resolved, &macros, 60.0, "UTC").unwrap();
        let names: Vec<_> = import.checks.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["router-1", "web", "web_backup", "web_http"]);
        let Run::Plugin(argv) = &import.checks[0].1.run else { panic!("a plugin") };
        assert_eq!(argv, &["/usr/lib/nagios/plugins/check_ping", "-H", "10.0.0.1", "-w", "5", "-x", "r 7"]);
        assert_eq!(
            (import.checks[1].1.parents.as_slice(), import.checks[1].1.attempts),
            (&["router-1".to_owned()][..], 2)
        );
        let backup = &import.checks[2].1;
        assert_eq!((backup.freshness.as_deref(), backup.run.kind()), (Some("1h"), "passive"));
        let http = &import.checks[3].1;
        assert_eq!((http.interval.as_str(), http.parents.as_slice()), ("30s", &["web".to_owned()][..]));
        assert_eq!(http.annotations["runbook_url"], "https://x");
        let Run::Plugin(argv) = &http.run else { panic!("a plugin") };
        assert_eq!(argv[4], "web", "an argument may hold a macro");
        let about: Vec<_> = import.report.iter().map(|n| n.about.as_str()).collect();
        assert_eq!(about, ["web/Disk /", "module"], "{:?}", import.report);
        for (name, spec) in &import.checks {
            spec.check(name).unwrap();
        }
    }

    /// Notifications every 10 minutes: the first two to ana, the third and fourth to raj and the team, then ana again.
    #[test]
    fn people_hours_ladders_and_dependencies_are_drafts() {
        let text = "define command {\ncommand_name ping\ncommand_line /p\n}\n\
            define contact {\ncontact_name ana\nalias Ana Lima\nemail ana@example.org\npager 123\n}\n\
            define contact {\ncontact_name Raj P\nemail raj@example.org\n}\n\
            define contact {\ncontact_name mei\ncontactgroups team\n}\n\
            define contactgroup {\ncontactgroup_name team\n}\n\
            define timeperiod {\ntimeperiod_name 24x7\nmonday 00:00-24:00\n}\n\
            define timeperiod {\ntimeperiod_name office\nmonday 09:00-17:00\n}\n\
            define timeperiod {\ntimeperiod_name none\nalias Never\n}\n\
            define host {\nhost_name lab\ncheck_command ping\ncontacts ana\nnotification_period none\n}\n\
            define host {\nhost_name db\ncheck_command ping\ncontacts ana\nnotification_interval 10\nnotification_period 24x7\n}\n\
            define service {\nhost_name db\nservice_description disk\ncheck_command ping\nnotification_period office\n}\n\
            define service {\nhost_name db\nservice_description load\ncheck_command ping\nnotifications_enabled 0\n}\n\
            define serviceescalation {\nhost_name db\nservice_description disk\nfirst_notification 3\nlast_notification 4\n\
            contacts Raj P\ncontact_groups team\nnotification_interval 5\n}\n\
            define servicedependency {\nhost_name db\nservice_description disk\ndependent_host_name db\n\
            dependent_service_description load\nnotification_failure_criteria w,u,c\n}\n";
        let resolved = resolve(&read_objects("x", text).unwrap()).unwrap();
        let import = import_nagios(&resolved, &BTreeMap::new(), 60.0, "Europe/Berlin").unwrap();
        let people: Vec<_> = import.drafts.people.iter().map(|p| (p.login.as_str(), p.name.as_str())).collect();
        assert_eq!(people, [("ana", "Ana Lima"), ("raj-p", "Raj P"), ("mei", "mei")]);
        let steps = |at: usize| -> Vec<(i64, Vec<&str>)> {
            let steps = &import.drafts.policies[at].1.steps;
            steps.iter().map(|s| (s.delay_ms, s.targets.iter().map(|t| t.name.as_str()).collect())).collect()
        };
        let (minute, team) = (60_000, vec!["mei", "raj-p"]);
        let plain = vec![(10 * minute, vec!["ana"])];
        let escalated = vec![(20 * minute, vec!["ana"]), (10 * minute, team), (10 * minute, vec!["ana"])];
        assert_eq!([steps(0), steps(1)], [plain, escalated]);
        for (name, update) in &import.drafts.policies {
            update.clone().named(name).check().unwrap();
        }
        // What was drafted is a routing that is understood.
        let written = import.drafts.routing.as_ref().unwrap().to_string();
        let read = tenfold_alerting::import_alertmanager(&written).unwrap();
        let routes: Vec<_> = read
            .spec
            .route
            .routes
            .iter()
            .map(|r| (r.matchers[0].as_str(), r.receiver.as_deref().unwrap(), r.active_time_intervals.join(",")))
            .collect();
        assert_eq!(
            routes,
            [
                ("alertname=\"db\"", "ana", String::new()),
                ("alertname=\"db_disk\"", "ana-2", "office".to_owned()),
                ("alertname=~\"db_load|lab\"", "nobody", String::new()),
            ]
        );
        assert_eq!(read.spec.inhibit_rules[0].source_matchers, ["alertname=\"db_disk\""]);
        assert_eq!(read.spec.inhibit_rules[0].target_matchers, ["alertname=\"db_load\""]);
        let receivers = &read.routing.receivers;
        assert_eq!(receivers["ana-2"].policy.as_deref(), Some("ana-2"));
        assert_eq!((receivers["on-call"].quiet, receivers["nobody"].quiet), (false, true));
        let inside = |at: &str| {
            read.routing.inside(&["office".to_owned()], tenfold_types::Timestamp::parse_rfc3339(at).unwrap()).is_some()
        };
        assert!(inside("2026-11-23T08:00:00Z") && !inside("2026-11-23T16:00:00Z") && !inside("2026-11-24T09:00:00Z"));
        let told = |about: &str, part: &str| import.report.iter().any(|n| n.about == about && n.message.contains(part));
        assert!(told("ana", "take the account `ana`; pager is theirs to set"), "{:?}", import.report);
    }

    #[test]
    fn whom_nagios_tells_of_warnings_is_paged_for_them() {
        let service = |name: &str, more: &str| {
            format!("define service {{\nhost_name web\nservice_description {name}\ncheck_command ping\n{more}}}\n")
        };
        let text = [
            "define command {\ncommand_name ping\ncommand_line /p\n}\n",
            "define contact {\ncontact_name ana\nservice_notification_options c,r\n}\n",
            "define host {\nhost_name web\ncheck_command ping\ncontacts ana\n}\n",
            &service("http", "notification_options c,r\n"),
            &service("log", "notification_options n\n"),
            &service("mail", ""),
        ]
        .concat();
        let resolved = resolve(&read_objects("x", &text).unwrap()).unwrap();
        let import = import_nagios(&resolved, &BTreeMap::new(), 60.0, "UTC").unwrap();
        let written = import.drafts.routing.as_ref().unwrap().to_string();
        let read = tenfold_alerting::import_alertmanager(&written).unwrap();
        let routes = read.spec.route.routes.iter().map(|r| {
            let receiver = &read.routing.receivers[r.receiver.as_deref().unwrap()];
            (r.matchers[0].as_str(), receiver.policy.as_deref(), receiver.pages)
        });
        let wanted = [
            ("alertname=\"web_http\"", Some("ana"), Pages::Critical),
            ("alertname=~\"web|web_mail\"", Some("ana"), Pages::All),
            ("alertname=\"web_log\"", None, Pages::Critical),
        ];
        assert_eq!(routes.collect::<Vec<_>>(), wanted);
        let lost = |n: &ImportNote| n.about == "ana" && n.message.contains("service_notification_options c,r");
        assert!(import.report.iter().any(lost), "{:?}", import.report);
    }
}
