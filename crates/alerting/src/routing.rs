//! The whole of what decides where alerts go: the tree, inhibition, named time intervals, receivers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tenfold_types::{Timestamp, parse_duration_ms};

use crate::{
    inhibit::{INHIBIT_RULES_MAX, InhibitRule, InhibitSpec},
    intervals::TimeInterval,
    nothing::or_nothing,
    routes::{Names, RouteDefaults, RouteSpec, RouteTree, RoutingError, wrong},
    webhook::WebhookSpec,
    wording::{Messages, Wordings},
};

pub const RECEIVERS_MAX: usize = 1_000;
pub const INTERVALS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutingSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<GlobalSpec>,
    pub route: RouteSpec,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inhibit_rules: Vec<InhibitSpec>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub time_intervals: Vec<NamedIntervals>,
    pub receivers: Vec<ReceiverSpec>,
    /// What the files of templates hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub template_texts: Vec<String>,
}

/// Named intervals; inside when one of them holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedIntervals {
    pub name: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub time_intervals: Vec<TimeInterval>,
}

/// Where a route ends. `policy` is the escalation policy that is asked; without one it is that of the alert's service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverSpec {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Nobody is told; the alert stays visible.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
    #[serde(default, skip_serializing_if = "Pages::is_critical")]
    pub pages: Pages,
    /// Programs that are told of the receiver's groups, in Alertmanager's JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhook_configs: Vec<WebhookSpec>,
    /// The words of messages to its people, by channel.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub messages: Wordings,
}

/// Which of a receiver's alerts page its people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pages {
    /// Those that are critical; the others are seen on the pages and told to nobody.
    #[default]
    Critical,
    /// Whatever comes to it.
    All,
}

impl Pages {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
    fn is_critical(&self) -> bool {
        *self == Self::Critical
    }

    /// As it is written.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "critical" => Some(Self::Critical),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

/// What holds for the whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalSpec {
    /// How long an alert that was sent without an end is believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve_timeout: Option<String>,
}

impl RoutingSpec {
    /// What holds without a configuration: everybody on call is told at once, of each service and environment together,
    /// or of each rule together where there is no service. What joins later is told within a second.
    pub fn plain() -> Self {
        let labels = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect());
        let no_service = RouteSpec {
            matchers: vec!["service=\"\"".to_owned()],
            group_by: labels(&["alertname"]),
            ..RouteSpec::default()
        };
        let route = RouteSpec {
            receiver: Some("on-call".to_owned()),
            group_by: labels(&["service", "environment"]),
            group_wait: Some("0s".to_owned()),
            group_interval: Some("1s".to_owned()),
            repeat_interval: Some("4h".to_owned()),
            routes: vec![no_service],
            ..RouteSpec::default()
        };
        let receivers = vec![ReceiverSpec { name: "on-call".to_owned(), ..ReceiverSpec::default() }];
        Self { route, receivers, ..Self::default() }
    }

    /// As a configuration file that Alertmanager and its tools read, written as JSON, which is YAML as well. Its receivers
    /// have names and nothing else.
    ///
    /// # Errors
    /// None in practice: it has only texts and numbers.
    pub fn as_alertmanager(&self) -> Result<String, serde_json::Error> {
        let mut spec = self.clone();
        for receiver in &mut spec.receivers {
            *receiver = ReceiverSpec { name: receiver.name.clone(), ..ReceiverSpec::default() };
        }
        for rule in &mut spec.inhibit_rules {
            rule.name = None;
        }
        spec.template_texts.clear();
        serde_json::to_string_pretty(&spec)
    }
}

/// Compiled and checked.
#[derive(Debug, Clone)]
pub struct Routing {
    pub tree: RouteTree,
    pub inhibit_rules: Vec<InhibitRule>,
    pub receivers: BTreeMap<String, ReceiverSpec>,
    intervals: BTreeMap<String, Vec<TimeInterval>>,
    /// How long an alert that was sent without an end is believed.
    pub resolve_timeout_ms: i64,
    pub messages: Arc<Messages>,
}

/// Alertmanager's own.
const RESOLVE_TIMEOUT_MS: i64 = 300_000;

impl Routing {
    /// Checks a configuration and makes it ready.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn compile(spec: &RoutingSpec, defaults: RouteDefaults) -> Result<Self, RoutingError> {
        let receivers = unique("receivers", RECEIVERS_MAX, spec.receivers.iter().map(|r| (&r.name, r)))?;
        let named = unique("time_intervals", INTERVALS_MAX, spec.time_intervals.iter().map(|i| (&i.name, i)))?;
        if spec.inhibit_rules.len() > INHIBIT_RULES_MAX {
            return Err(wrong("inhibit_rules", format!("at most {INHIBIT_RULES_MAX} rules")));
        }
        let names = Names {
            receivers: &receivers.keys().cloned().collect::<BTreeSet<_>>(),
            intervals: &named.keys().cloned().collect::<BTreeSet<_>>(),
        };
        let tree = RouteTree::compile(&spec.route, &names, defaults)?;
        let inhibit_rules = spec.inhibit_rules.iter().enumerate();
        let inhibit_rules = inhibit_rules.map(|(i, r)| InhibitRule::compile(r, i)).collect::<Result<_, _>>()?;
        let intervals = named.into_iter().map(|(name, i)| (name, i.time_intervals)).collect();
        let said = spec.global.as_ref().and_then(|g| g.resolve_timeout.as_ref());
        let resolve_timeout_ms = said.map_or(Ok(RESOLVE_TIMEOUT_MS), |text| parse_duration_ms(text));
        let resolve_timeout_ms = resolve_timeout_ms.map_err(|e| wrong("global.resolve_timeout", e))?;
        if resolve_timeout_ms == 0 {
            return Err(wrong("global.resolve_timeout", "cannot be 0s"));
        }
        let messages = Arc::new(Messages::compile(spec)?);
        Ok(Self { tree, inhibit_rules, receivers, intervals, resolve_timeout_ms, messages })
    }

    /// Receivers that page people and name neither a policy nor a webhook, each with the services whose alerts come to it, as far
    /// as its routes name them; the empty name stands for alerts without a service. Whether a route below takes all that comes
    /// to one is not looked at.
    pub fn left_to_services(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for path in self.tree.paths() {
            let Some(receiver) = path.last().and_then(|route| self.receivers.get(&route.receiver)) else { continue };
            if receiver.quiet || receiver.policy.is_some() || !receiver.webhook_configs.is_empty() {
                continue;
            }
            let allows = |name: &str, value: &str| path.iter().all(|route| route.matchers.allows(name, value));
            let severities: &[&str] = match receiver.pages {
                Pages::Critical => &["critical"],
                Pages::All => &["critical", "warning", "info"],
            };
            if !severities.iter().any(|severity| allows("severity", severity)) {
                continue;
            }
            let named = path.iter().flat_map(|route| route.matchers.wanted("service"));
            let services = named.chain([""]).filter(|service| allows("service", service)).map(str::to_owned);
            out.entry(receiver.name.clone()).or_default().extend(services);
        }
        out
    }

    /// The first of the named intervals that holds at `at`.
    pub fn inside<'a>(&self, names: &'a [String], at: Timestamp) -> Option<&'a str> {
        names
            .iter()
            .find(|name| self.intervals.get(*name).is_some_and(|list| list.iter().any(|i| i.contains(at))))
            .map(String::as_str)
    }
}

fn unique<'a, T: Clone + 'a>(
    path: &str,
    count_max: usize,
    items: impl Iterator<Item = (&'a String, &'a T)>,
) -> Result<BTreeMap<String, T>, RoutingError> {
    let mut out = BTreeMap::new();
    for (i, (name, item)) in items.enumerate() {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(wrong(format!("{path}[{i}].name"), format!("a name has 1 to {NAME_BYTES_MAX} bytes")));
        }
        if out.insert(name.clone(), item.clone()).is_some() {
            return Err(wrong(format!("{path}[{i}].name"), format!("`{name}` is there twice")));
        }
        if out.len() > count_max {
            return Err(wrong(path, format!("at most {count_max}")));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use crate::import_alertmanager;

    #[test]
    fn receivers_without_a_policy_are_left_to_the_services_of_their_alerts() {
        let file = "
route:
  receiver: all
  routes:
  - {receiver: photos, matchers: ['service=\"photos\"'], routes: [{receiver: deep, matchers: ['host=\"a\"']}]}
  - {receiver: low, matchers: ['severity=\"warning\"']}
  - {receiver: every, matchers: ['severity=\"warning\"']}
  - {receiver: some, matchers: ['service=~\"a|b\"']}
  - {receiver: ruled}
  - {receiver: hooked}
  - {receiver: silent}
receivers:
- {name: all, pages: critical}
- {name: photos, pages: critical}
- {name: deep, quiet: false}
- {name: low, pages: critical}
- {name: every, pages: all}
- {name: some, pages: critical}
- {name: ruled, policy: web}
- {name: hooked, webhook_configs: [{url: 'http://sink.example/a'}]}
- {name: silent}
";
        let routing = import_alertmanager(file).expect("it reads").routing;
        let found = routing.left_to_services();
        let said: Vec<(&str, Vec<&str>)> = found
            .iter()
            .map(|(receiver, services)| (receiver.as_str(), services.iter().map(String::as_str).collect()))
            .collect();
        let wanted: [(&str, Vec<&str>); 5] = [
            ("all", vec![""]),
            ("deep", vec!["photos"]),
            ("every", vec![""]),
            ("photos", vec!["photos"]),
            ("some", Vec::new()),
        ];
        assert_eq!(said, wanted);
    }
}
