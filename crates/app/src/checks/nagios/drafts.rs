//! Who is told by Nagios, when, and what stays quiet behind what: people, policies and a routing, as drafts. Nothing puts
//! them: the people have to be asked first.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use tenfold_alerting::{InhibitSpec, NamedIntervals, Pages, ReceiverSpec, RouteSpec, RoutingSpec};
use tenfold_oncall::{
    DELAY_MS_MAX, DELAY_MS_MIN, PolicyStep, REPEAT_MAX, STEPS_MAX, TARGETS_PER_STEP_MAX, TEAM_MEMBERS_MAX, Target,
};
use tenfold_protocols::nagios::{Fields, PERIOD_KEYS, Resolved};
use tenfold_types::format_duration_ms;

use super::{ImportNote, periods, split};
use crate::oncall::PolicyUpdate;

/// Notifications looked at for one ladder.
const NOTIFICATIONS_MAX: i64 = 200;
/// How long the last step waits when Nagios tells once.
const LAST_STEP_MS: i64 = 300_000;
/// Checks named by one matcher.
const CHECKS_PER_ROUTE: usize = 200;
/// Minutes between notifications when nothing says.
const INTERVAL_DEFAULT: f64 = 30.0;

/// Somebody who was told, to be asked whether they want an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NagiosPerson {
    pub login: String,
    pub name: String,
    pub email: String,
    /// The groups of contacts that they are in.
    pub teams: Vec<String>,
}

/// What is to be looked through before it is put.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NagiosDrafts {
    pub people: Vec<NagiosPerson>,
    pub policies: Vec<(String, PolicyUpdate)>,
    /// As `tenfold routes put` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<Value>,
}

/// Check names by host, and by host and service.
pub(super) type CheckNames = BTreeMap<(String, Option<String>), String>;

/// Who is told, and how long it then lasts until others are.
type Ladder = Vec<(BTreeSet<Target>, i64)>;
/// Who is told of a check and when: its ladder, its period, whether of warnings as well, and after how long, in milliseconds.
type ToldAs = (Ladder, String, bool, i64);

/// Policies, the receivers that ask them, and the routes that end there.
type Ladders = (Vec<(String, PolicyUpdate)>, Vec<ReceiverSpec>, Vec<RouteSpec>);

struct Escalation {
    on: BTreeSet<(String, Option<String>)>,
    first: i64,
    /// 0 is without end.
    last: i64,
    interval: Option<f64>,
    /// None when it names nobody: then those of the host or the service.
    told: Option<BTreeSet<Target>>,
}

struct Drafting<'r> {
    resolved: &'r Resolved,
    checks: &'r CheckNames,
    /// Milliseconds of a Nagios interval.
    unit_ms: f64,
    /// Members of each group of contacts.
    groups: BTreeMap<String, BTreeSet<String>>,
    report: Vec<ImportNote>,
}

pub(super) fn drafts(
    resolved: &Resolved,
    checks: &CheckNames,
    zone: &str,
    unit_s: f64,
    report: &mut Vec<ImportNote>,
) -> NagiosDrafts {
    let groups = resolved.contact_groups();
    let mut drafting = Drafting { resolved, checks, unit_ms: unit_s * 1_000.0, groups, report: Vec::new() };
    let people = drafting.people();
    let intervals = drafting.intervals(zone);
    let (policies, asking, routes) = drafting.ladders(&intervals);
    drafting.tell_teams(&policies);
    let inhibit_rules = drafting.inhibit_rules();
    report.append(&mut drafting.report);
    if routes.is_empty() && intervals.is_empty() && inhibit_rules.is_empty() {
        return NagiosDrafts { people, policies, routing: None };
    }
    let receiver = |name: &str, quiet: bool| ReceiverSpec { name: name.to_owned(), quiet, ..ReceiverSpec::default() };
    let mut receivers = vec![receiver("on-call", false), receiver("nobody", true)];
    receivers.extend(asking);
    // Each check tells by itself there, and at once.
    let route = RouteSpec {
        receiver: Some("on-call".to_owned()),
        group_by: Some(vec!["alertname".to_owned()]),
        group_wait: Some("0s".to_owned()),
        group_interval: Some("1s".to_owned()),
        routes,
        ..RouteSpec::default()
    };
    let routing = RoutingSpec { route, receivers, inhibit_rules, time_intervals: intervals, ..RoutingSpec::default() };
    NagiosDrafts { people, policies, routing: written(&routing) }
}

/// A receiver without a policy is quiet where nothing is said, so it is said.
fn written(routing: &RoutingSpec) -> Option<Value> {
    let mut value = serde_json::to_value(routing).ok()?;
    for receiver in value["receivers"].as_array_mut()? {
        if let Some(fields) = receiver.as_object_mut().filter(|f| !f.contains_key("policy")) {
            fields.entry("quiet").or_insert(Value::Bool(false));
        }
    }
    Some(value)
}

fn text<'f>(fields: &'f Fields, key: &str) -> &'f str {
    fields.get(key).map_or("", String::as_str)
}

fn number(fields: &Fields, key: &str) -> Option<f64> {
    fields.get(key)?.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0)
}

fn kept<'r>(resolved: &'r Resolved, kind: &str) -> &'r [Fields] {
    resolved.kept.get(kind).map_or(&[], Vec::as_slice)
}

/// A text as a name of an account or a policy.
pub(crate) fn plain(text: &str) -> String {
    let kept: String = text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let joined: String =
        kept.split('-').filter(|p| !p.is_empty()).collect::<Vec<_>>().join("-").chars().take(50).collect();
    if joined.is_empty() { "x".to_owned() } else { joined }
}

/// A matcher of these alert names.
fn named(label: &str, names: &[&str]) -> String {
    match names {
        [one] => format!("{label}=\"{one}\""),
        many => format!("{label}=~\"{}\"", many.iter().map(|n| n.replace('.', "\\\\.")).collect::<Vec<_>>().join("|")),
    }
}

impl Drafting<'_> {
    fn note(&mut self, about: &str, message: impl Into<String>) {
        self.report.push(ImportNote { about: about.to_owned(), message: message.into() });
    }

    fn people(&mut self) -> Vec<NagiosPerson> {
        let mut out: Vec<NagiosPerson> = Vec::new();
        for contact in kept(self.resolved, "contact") {
            let name = text(contact, "contact_name");
            let login = plain(name);
            if name.is_empty() || out.iter().any(|p| p.login == login) {
                continue;
            }
            let email = text(contact, "email");
            let ways: Vec<&str> = ["pager", "address1"].into_iter().filter(|k| contact.contains_key(*k)).collect();
            for (key, all) in [("host_notification_options", "du"), ("service_notification_options", "wuc")] {
                let options = split(contact.get(key));
                if !options.is_empty() && !tells(&options, all.chars()) {
                    let said = options.join(",");
                    self.note(name, format!("{key} {said} has no equal: policies page a person for all"));
                }
            }
            for of in ["host", "service"] {
                if number(contact, &format!("{of}_notifications_enabled")) == Some(0.0) {
                    self.note(
                        name,
                        format!("{of}_notifications_enabled 0 has no equal: take them out of its policies"),
                    );
                }
                let key = format!("{of}_notification_period");
                if let Some(period) = contact.get(&key).filter(|period| *period != "24x7") {
                    self.note(name, format!("{key} {period} has no equal: put them on a schedule, or set quiet hours"));
                }
            }
            let also =
                if ways.is_empty() { String::new() } else { format!("; {} is theirs to set", ways.join(" and ")) };
            self.note(name, format!("was told there: ask them to take the account `{login}`{also}"));
            let teams = self.groups.iter().filter(|(_, members)| members.contains(name)).map(|(group, _)| plain(group));
            let teams = teams.collect();
            let alias = text(contact, "alias");
            let name = if alias.is_empty() { name } else { alias };
            out.push(NagiosPerson { login, name: name.to_owned(), email: email.to_owned(), teams });
        }
        out
    }

    /// What becomes of the groups whose people are paged together.
    fn tell_teams(&mut self, policies: &[(String, PolicyUpdate)]) {
        let targets: BTreeSet<&Target> =
            policies.iter().flat_map(|(_, policy)| &policy.steps).flat_map(|step| &step.targets).collect();
        let mut notes = Vec::new();
        for (group, members) in &self.groups {
            let team = plain(group);
            if !targets.contains(&Target::team(&team)) {
                continue;
            }
            notes.push((group.clone(), format!("becomes the team `{team}`: a page goes to whoever is in it then")));
            if members.len() > TEAM_MEMBERS_MAX {
                let message = format!("has {} people, and a page to a team goes to {TEAM_MEMBERS_MAX}", members.len());
                notes.push((group.clone(), message));
            }
        }
        for (group, message) in notes {
            self.note(&group, message);
        }
    }

    fn intervals(&mut self, zone: &str) -> Vec<NamedIntervals> {
        let mut out = Vec::new();
        for period in kept(self.resolved, "timeperiod") {
            let name = text(period, "timeperiod_name");
            let (time_intervals, lost) = periods::intervals(period, zone);
            for message in lost {
                self.note(name, message);
            }
            if !name.is_empty() && !time_intervals.is_empty() {
                out.push(NamedIntervals { name: name.to_owned(), time_intervals });
            }
        }
        out
    }

    /// Those whom the fields name: people by themselves, groups of them as teams.
    fn told(&self, fields: &Fields) -> BTreeSet<Target> {
        let known = |name: &String| kept(self.resolved, "contact").iter().any(|c| text(c, "contact_name") == name);
        let people = split(fields.get("contacts"));
        let people = people.iter().filter(|name| known(name)).map(|name| Target::person(&plain(name)));
        let groups = split(fields.get("contact_groups"));
        let somebody = |group: &&String| self.groups.get(*group).is_some_and(|members| members.iter().any(known));
        people.chain(groups.iter().filter(somebody).map(|group| Target::team(&plain(group)))).collect()
    }

    /// The hosts or services an escalation or a dependency means; `prefix` is for those that depend.
    fn meant(&mut self, kind: &str, fields: &Fields, prefix: &str) -> BTreeSet<(String, Option<String>)> {
        let of = |key: &str| text(fields, &format!("{prefix}{key}"));
        let (named, grouped) = (of("host_name"), of("hostgroup_name"));
        let found: Result<BTreeSet<(String, Option<String>)>, String> = if kind.starts_with("host") {
            self.resolved.hosts_meant(named, grouped).map(|hosts| hosts.into_iter().map(|h| (h, None)).collect())
        } else {
            let services =
                self.resolved.services_meant(named, grouped, of("service_description"), of("servicegroup_name"));
            services.map(|all| all.into_iter().map(|(host, service)| (host, Some(service))).collect())
        };
        found.unwrap_or_else(|message| {
            self.note(kind, format!("{message}; it is left out"));
            BTreeSet::new()
        })
    }

    fn escalations(&mut self) -> Vec<Escalation> {
        let mut out = Vec::new();
        for kind in ["hostescalation", "serviceescalation"] {
            for fields in kept(self.resolved, kind) {
                let whole = |key: &str| number(fields, key).map_or(0, |n| n as i64);
                for key in ["escalation_period", "escalation_options"] {
                    if fields.get(key).is_some_and(|v| v != "24x7") {
                        self.note(kind, format!("{key} {} has no equal: its steps hold always", text(fields, key)));
                    }
                }
                let names = fields.contains_key("contacts") || fields.contains_key("contact_groups");
                out.push(Escalation {
                    on: self.meant(kind, fields, ""),
                    first: whole("first_notification").max(1),
                    last: whole("last_notification"),
                    interval: number(fields, "notification_interval"),
                    told: names.then(|| self.told(fields)),
                });
            }
        }
        out
    }

    fn ladders(&mut self, intervals: &[NamedIntervals]) -> Ladders {
        let escalations = self.escalations();
        // A period without a day is one in which nobody is told.
        let empty = |p: &&Fields| p.keys().all(|key| PERIOD_KEYS.contains(&key.as_str()));
        let never: BTreeSet<&str> =
            kept(self.resolved, "timeperiod").iter().filter(empty).map(|p| text(p, "timeperiod_name")).collect();
        // By who is told and when: one policy and one route for all checks that are alike in it.
        let mut alike: BTreeMap<ToldAs, (String, Vec<&str>)> = BTreeMap::new();
        let mut unheard = Vec::new();
        for ((host, service), check) in self.checks {
            let host_fields = self.resolved.hosts.get(host);
            let of_service = service.as_ref().and_then(|s| self.resolved.services.get(&(host.clone(), s.clone())));
            let Some(fields) = of_service.or(host_fields) else { continue };
            let own_period = fields.get("notification_period").or_else(|| host_fields?.get("notification_period"));
            let period = own_period.map_or("", String::as_str);
            let (told_of, warned) = options(fields, service.is_some());
            if number(fields, "notifications_enabled") == Some(0.0) || never.contains(period) || !told_of {
                unheard.push(check.as_str());
                continue;
            }
            // A service without contacts of its own has those of its host.
            let own = fields.contains_key("contacts") || fields.contains_key("contact_groups");
            let from = if own { fields } else { host_fields.unwrap_or(fields) };
            let key = (host.clone(), service.clone());
            let own_escalations: Vec<&Escalation> = escalations.iter().filter(|e| e.on.contains(&key)).collect();
            let said = ["contacts", "contact_groups"].map(|key| from.get(key));
            let is_null = said.iter().any(Option::is_some) && said.into_iter().flatten().all(String::is_empty);
            if is_null && own_escalations.is_empty() {
                unheard.push(check.as_str());
                continue;
            }
            let either = |key: &str| number(fields, key).or_else(|| number(host_fields?, key));
            let interval = either("notification_interval").unwrap_or(INTERVAL_DEFAULT);
            let ladder = self.ladder(&self.told(from), interval, &own_escalations);
            let period = if intervals.iter().any(|i| i.name == period) && period != "24x7" { period } else { "" };
            let called = [text(from, "contact_groups"), text(from, "contacts")].join("-");
            let delay = number(fields, "first_notification_delay").unwrap_or(0.0) * self.unit_ms;
            let key = (ladder, period.to_owned(), warned, delay.min(DELAY_MS_MAX as f64) as i64);
            alike.entry(key).or_insert_with(|| (called, Vec::new())).1.push(check);
        }
        let (mut policies, mut routes) = (Vec::new(), Vec::new());
        let mut receivers: Vec<ReceiverSpec> = Vec::new();
        let mut names: BTreeMap<Ladder, String> = BTreeMap::new();
        for ((ladder, period, warned, delay_ms), (called, checks)) in alike {
            if !names.contains_key(&ladder) {
                let Some(update) = self.policy(&called, &ladder) else { continue };
                let base = plain(&called);
                let taken = |name: &str| policies.iter().any(|(n, _): &(String, PolicyUpdate)| n == name);
                let mut name = base.clone();
                let mut n = 2;
                while taken(&name) || matches!(name.as_str(), "on-call" | "nobody") {
                    name = format!("{base}-{n}");
                    n += 1;
                }
                policies.push((name.clone(), update));
                names.insert(ladder.clone(), name);
            }
            let Some(policy) = names.get(&ladder) else { continue };
            // A name of a policy has no blank, so the second receiver of one takes no other's name.
            let (receiver, pages) =
                if warned { (policy.clone(), Pages::All) } else { (format!("{policy} critical"), Pages::Critical) };
            if receivers.iter().all(|r| r.name != receiver) {
                let (name, policy) = (receiver.clone(), Some(policy.clone()));
                receivers.push(ReceiverSpec { name, policy, pages, ..ReceiverSpec::default() });
            }
            let active: Vec<String> = Some(period).filter(|p| !p.is_empty()).into_iter().collect();
            routes.extend(checks.chunks(CHECKS_PER_ROUTE).map(|some| route(&receiver, some, &active, delay_ms)));
        }
        routes.extend(unheard.chunks(CHECKS_PER_ROUTE).map(|some| route("nobody", some, &[], 0)));
        (policies, receivers, routes)
    }

    /// Whom each notification goes to, one after the other, joined while it goes to the same.
    fn ladder(&self, base: &BTreeSet<Target>, interval: f64, escalations: &[&Escalation]) -> Ladder {
        let ends = escalations.iter().map(|e| if e.last == 0 { e.first } else { e.last.saturating_add(1) });
        let count = ends.max().unwrap_or(1).clamp(1, NOTIFICATIONS_MAX);
        let mut out: Ladder = Vec::new();
        for n in 1..=count {
            let valid: Vec<&&Escalation> =
                escalations.iter().filter(|e| e.first <= n && (e.last == 0 || n <= e.last)).collect();
            let told: BTreeSet<Target> = if valid.is_empty() {
                base.clone()
            } else {
                valid.iter().flat_map(|e| e.told.as_ref().unwrap_or(base)).cloned().collect()
            };
            // Of several that hold the shortest counts, and what one does not say is as without it; 0 is told once.
            let own = valid.iter().map(|e| e.interval.unwrap_or(interval)).fold(f64::INFINITY, f64::min);
            let wait = if own.is_finite() { own } else { interval };
            let wait_ms = (wait * self.unit_ms).min(DELAY_MS_MAX as f64) as i64;
            match out.last_mut().filter(|last| last.0 == told || told.is_empty()) {
                Some(last) => last.1 = last.1.saturating_add(wait_ms),
                None => out.push((told, wait_ms)),
            }
            if wait_ms == 0 {
                break;
            }
        }
        out.retain(|(told, _)| !told.is_empty());
        out
    }

    fn policy(&mut self, called: &str, ladder: &Ladder) -> Option<PolicyUpdate> {
        if ladder.is_empty() {
            return None;
        }
        if ladder.len() > STEPS_MAX {
            self.note(
                called,
                format!("has {} steps, a policy at most {STEPS_MAX}; the rest is left out", ladder.len()),
            );
        }
        let mut steps = Vec::new();
        for (told, wait_ms) in ladder.iter().take(STEPS_MAX) {
            if told.len() > TARGETS_PER_STEP_MAX {
                self.note(
                    called,
                    format!("a step tells more than {TARGETS_PER_STEP_MAX} people and groups; put them on a schedule"),
                );
            }
            let targets = told.iter().take(TARGETS_PER_STEP_MAX).cloned().collect();
            let delay_ms = if *wait_ms == 0 { LAST_STEP_MS } else { (*wait_ms).clamp(DELAY_MS_MIN, DELAY_MS_MAX) };
            steps.push(PolicyStep { delay_ms, targets, round_robin: false });
        }
        // Nagios goes on telling until somebody has it, unless it tells once.
        let goes_on = ladder.iter().all(|(_, wait_ms)| *wait_ms > 0);
        let repeat = if goes_on { REPEAT_MAX } else { 0 };
        Some(PolicyUpdate { steps, repeat, deployer_first: None, ack_timeout_ms: None })
    }

    /// What depends is not told while what it depends on has a problem.
    fn inhibit_rules(&mut self) -> Vec<InhibitSpec> {
        let mut behind: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for kind in ["hostdependency", "servicedependency"] {
            for fields in kept(self.resolved, kind) {
                if fields.contains_key("execution_failure_criteria") {
                    self.note(kind, "execution_failure_criteria has no equal: what depends is looked at all the same");
                }
                let criteria = split(fields.get("notification_failure_criteria"));
                if criteria.is_empty() || criteria.iter().any(|c| c == "n") {
                    continue;
                }
                if criteria.iter().any(|c| c == "o" || c == "p") {
                    self.note(kind, "notification_failure_criteria o and p have no equal; a problem is what counts");
                }
                if number(fields, "inherits_parent").is_some_and(|n| n > 0.0) {
                    self.note(kind, "inherits_parent has no equal: it stands behind those that it names alone");
                }
                if fields.contains_key("dependency_period") {
                    self.note(kind, "dependency_period has no equal: it holds always");
                }
                let masters = self.meant(kind, fields, "");
                for dependent in self.meant(kind, fields, "dependent_") {
                    for master in masters.iter().filter(|m| **m != dependent) {
                        if let (Some(from), Some(to)) = (self.checks.get(master), self.checks.get(&dependent)) {
                            behind.entry(from.clone()).or_default().insert(to.clone());
                        }
                    }
                }
            }
        }
        let rule = |(master, behind): (&String, &BTreeSet<String>)| InhibitSpec {
            source_matchers: vec![named("alertname", &[master.as_str()])],
            target_matchers: vec![named("alertname", &behind.iter().map(String::as_str).collect::<Vec<_>>())],
            ..InhibitSpec::default()
        };
        behind.iter().map(rule).collect()
    }
}

/// Whether people are told of these states there; without options they are told of all.
fn tells(options: &[String], states: impl IntoIterator<Item = char>) -> bool {
    let named = |state: char| options.iter().any(|o| o.starts_with(state));
    options.is_empty() || named('a') || states.into_iter().all(named)
}

/// Whether anybody is told of a host or a service, and whether they are of more than that it is down or critical.
fn options(fields: &Fields, service: bool) -> (bool, bool) {
    let options = split(fields.get("notification_options"));
    let any = |states: &str| states.chars().any(|state| tells(&options, [state]));
    if service { (any("wuc"), any("wu")) } else { (any("d"), any("d")) }
}

/// `delay_ms` is waited before anybody is told; what is over by then is not told.
fn route(receiver: &str, checks: &[&str], active: &[String], delay_ms: i64) -> RouteSpec {
    RouteSpec {
        group_wait: (delay_ms > 0).then(|| format_duration_ms(delay_ms)),
        receiver: Some(receiver.to_owned()),
        matchers: vec![named("alertname", checks)],
        active_time_intervals: active.to_vec(),
        ..RouteSpec::default()
    }
}
