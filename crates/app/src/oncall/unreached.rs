//! What pages nobody at all: a policy by which nobody can be reached, receivers and services that go by such a one or by one
//! that is not there, and receivers that leave it to services which have none. Found before an alert finds it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tenfold_oncall::{Policy, Schedule, Target, Teams, nobody_from};
use tenfold_types::Timestamp;

use super::schedules::minute;
use crate::incidents::FALLBACK_POLICY;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Unreached {
    /// `policy`, `receiver` or `service`.
    pub kind: String,
    pub name: String,
    /// As a sentence goes on after the name.
    pub text: String,
}

impl Unreached {
    fn new(kind: &str, name: &str, text: String) -> Self {
        Self { kind: kind.to_owned(), name: name.to_owned(), text }
    }

    pub fn sentence(&self) -> String {
        format!("the {} {} {}", self.kind, self.name, self.text)
    }
}

/// A receiver or a service, and the policy that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leads {
    /// `receiver` or `service`.
    pub kind: &'static str,
    pub name: String,
    pub policy: Option<String>,
    /// Of a receiver without one: the services whose alerts come to it, empty for alerts without a service.
    pub left: BTreeSet<String>,
}

/// All that is asked, of one time.
pub(super) struct Question<'a> {
    pub policies: &'a [Policy],
    pub schedules: &'a BTreeMap<String, Schedule>,
    pub teams: &'a Teams,
    /// Whether this login has an account that is not disabled.
    pub there: &'a dyn Fn(&str) -> bool,
    /// Whether a page reaches this login by any way.
    pub reached: &'a dyn Fn(&str) -> bool,
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Question<'_> {
    /// Policies of which, at some time, no step has anybody who can be reached; then what goes by these or by none.
    pub(super) fn answer(&self, leads: &[Leads]) -> Vec<Unreached> {
        let mut gone: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for policy in self.policies {
            let targets: Vec<Target> = policy.steps.iter().flat_map(|step| step.targets.clone()).collect();
            let (there, reached) = (self.there, self.reached);
            let at = nobody_from(&targets, self.schedules, self.teams, there, reached, self.from, self.to);
            if let Some(at) = at {
                gone.insert(policy.name.as_str(), at);
            }
        }
        let since = |at: Timestamp| if at <= self.from { "now".to_owned() } else { format!("from {} on", minute(at)) };
        let mut out: Vec<Unreached> = Vec::new();
        for (name, at) in &gone {
            out.push(Unreached::new("policy", name, format!("pages nobody who can be reached, {}", since(*at))));
        }
        for of in leads {
            let Some(policy) = &of.policy else {
                out.extend(self.left_alone(of, leads));
                continue;
            };
            if !self.policies.iter().any(|known| known.name == *policy) {
                let text = format!("names the policy {policy}, which is not there");
                out.push(Unreached::new(of.kind, &of.name, text));
            } else if let Some(at) = gone.get(policy.as_str()) {
                let text =
                    format!("goes by the policy {policy}, which pages nobody who can be reached, {}", since(*at));
                out.push(Unreached::new(of.kind, &of.name, text));
            }
        }
        out
    }

    /// A receiver that leaves it to the services whom to page, where some of these have no policy either.
    fn left_alone(&self, of: &Leads, leads: &[Leads]) -> Option<Unreached> {
        let there = |name: &str| self.policies.iter().any(|known| known.name == name);
        if there(FALLBACK_POLICY) {
            return None;
        }
        let names = |one: &&Leads| one.kind == "service" && one.policy.as_deref().is_some_and(there);
        let has = |service: &str| there(service) || leads.iter().filter(names).any(|one| one.name == service);
        let of_service = |service: &String| match service.as_str() {
            "" => "without a service".to_owned(),
            service => format!("of {service}"),
        };
        let alone: Vec<String> = of.left.iter().filter(|service| !has(service.as_str())).map(of_service).collect();
        if alone.is_empty() {
            return None;
        }
        let text = format!(
            "names neither a policy nor a webhook, and there is no policy `{FALLBACK_POLICY}`: alerts {} page nobody",
            alone.join(" and ")
        );
        Some(Unreached::new(of.kind, &of.name, text))
    }
}

#[cfg(test)]
mod tests {
    use tenfold_oncall::PolicyStep;

    use super::*;

    #[test]
    fn what_leads_to_nobody_is_named() {
        let policy = |name: &str, people: &[&str]| {
            let step = |login: &&str| PolicyStep {
                delay_ms: 60_000,
                targets: vec![Target::person(login)],
                round_robin: false,
            };
            let steps = people.iter().map(step).collect();
            Policy { name: name.to_owned(), steps, repeat: 0, deployer_first: None, ack_timeout_ms: None }
        };
        let policies = [policy("web", &["mute", "ana"]), policy("db", &["mute"])];
        let (schedules, teams) = (BTreeMap::new(), Teams::new());
        let question = Question {
            policies: &policies,
            schedules: &schedules,
            teams: &teams,
            there: &|_: &str| true,
            reached: &|login: &str| login == "ana",
            from: Timestamp(1_795_000_000_000),
            to: Timestamp(1_796_000_000_000),
        };
        let leads = |kind, name: &str, policy: Option<&str>| Leads {
            kind,
            name: name.to_owned(),
            policy: policy.map(str::to_owned),
            left: BTreeSet::new(),
        };
        let left = |name: &str, services: &[&str]| Leads {
            left: services.iter().map(|service| (*service).to_owned()).collect(),
            ..leads("receiver", name, None)
        };
        let all = [
            leads("receiver", "good", Some("web")),
            leads("receiver", "dba", Some("db")),
            leads("receiver", "plain", None),
            left("own", &["search", "web"]),
            left("alone", &["", "maps", "search"]),
            leads("service", "photos", Some("gone")),
            leads("service", "search", Some("web")),
        ];
        let found = question.answer(&all);
        let said: Vec<String> = found.iter().map(Unreached::sentence).collect();
        assert_eq!(
            said,
            [
                "the policy db pages nobody who can be reached, now",
                "the receiver dba goes by the policy db, which pages nobody who can be reached, now",
                "the receiver alone names neither a policy nor a webhook, and there is no policy `default`: alerts without a \
                 service and of maps page nobody",
                "the service photos names the policy gone, which is not there",
            ]
        );
        let policies = [policy("web", &["ana"]), policy(FALLBACK_POLICY, &["ana"])];
        let question = Question { policies: &policies, ..question };
        let said: Vec<String> = question.answer(&all[3..5]).iter().map(Unreached::sentence).collect();
        assert!(said.is_empty(), "whoever has none goes by that: {said:?}");
    }
}
