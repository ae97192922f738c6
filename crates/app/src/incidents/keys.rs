//! What an open incident is found by: alerts of one key are one trouble, and the same people have it.
//!
//! Alerts of a service in an environment are one trouble. A routing that somebody put separates them further by its `group_by`,
//! and a receiver whose policy is not the service's own has incidents of its own: whoever acknowledged the trouble of one
//! policy has not heard of another's. Alerts without a service go by their group, or by their rule where that has no
//! labels; what a sender names by keys of its own goes by its key there.

use tenfold_alerting::fingerprint;
use tenfold_store::{Tx, deploys, incidents};
use tenfold_types::{Fault, Labels};

use super::stored::Incident;
use crate::{
    alerts::{INTEGRATION_LABEL, KEY_LABEL},
    oncall,
    sources::SENDER,
};

/// The policy that is used when the service names none and there is none of the service's name.
pub(crate) const FALLBACK_POLICY: &str = "default";
/// Bytes of labels that stand in a key as they are; of more a key has the fingerprint.
const SHOWN_BYTES_MAX: usize = 200;

/// What an alert is about, as far as its incident goes by it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub service: Option<&'a str>,
    pub environment: Option<&'a str>,
    /// The rule's group, and its name.
    pub group: &'a str,
    pub rule: &'a str,
    pub labels: &'a Labels,
    /// The labels of its group, where somebody put a routing.
    pub grouped: Option<&'a Labels>,
    /// The policy that the receiver names.
    pub policy: Option<&'a str>,
}

impl About<'_> {
    /// The key of its incident.
    pub(crate) fn key(&self, tx: &mut dyn Tx) -> Result<String, Fault> {
        let trouble = self.trouble();
        Ok(match other_policy(tx, self.policy, self.service)? {
            Some(policy) => format!("{trouble} #{policy}"),
            None => trouble,
        })
    }

    fn trouble(&self) -> String {
        let grouped = self.grouped.filter(|labels| !labels.is_empty());
        match (self.service, grouped) {
            (Some(service), grouped) => {
                let place = format!("{service}/{}", self.environment.unwrap_or(""));
                // What says the place is in the key already.
                let further = |name: &&str| !matches!(*name, "service" | "environment" | "env");
                let apart = grouped.map(|labels| Labels::from_pairs(labels.iter().filter(|(name, _)| further(name))));
                match apart.filter(|labels| !labels.is_empty()) {
                    Some(labels) => format!("{place} {}", shown(&labels)),
                    None => place,
                }
            }
            (None, Some(labels)) => format!("group:{}", shown(labels)),
            (None, None) => {
                let rule = format!("rule:{}/{}", self.group, self.rule);
                if self.labels.get(KEY_LABEL).is_none() {
                    return rule;
                }
                // Two things of which nothing is known but their keys have nothing to do with one another.
                let named = |name: &&str| [SENDER, INTEGRATION_LABEL, KEY_LABEL].contains(name);
                let own = Labels::from_pairs(self.labels.iter().filter(|(name, _)| named(name)));
                format!("{rule} {}", shown(&own))
            }
        }
    }
}

fn shown(labels: &Labels) -> String {
    let text = labels.to_string();
    if text.len() <= SHOWN_BYTES_MAX { text } else { fingerprint(labels) }
}

/// The policy that a receiver names, when it is there and not the one that the service has anyway.
pub(crate) fn other_policy(
    tx: &mut dyn Tx,
    of_route: Option<&str>,
    service: Option<&str>,
) -> Result<Option<String>, Fault> {
    if of_route.is_none() {
        return Ok(None);
    }
    let name = |policy: Option<tenfold_oncall::Policy>| policy.map(|p| p.name);
    let (asked, own) = (name(policy_for(tx, of_route, service)?), name(policy_for(tx, None, service)?));
    Ok(asked.filter(|asked| Some(asked) != own.as_ref()))
}

/// The route's policy, else the service's, else the one of the service's name, else `default`.
pub(crate) fn policy_for(
    tx: &mut dyn Tx,
    of_route: Option<&str>,
    service: Option<&str>,
) -> Result<Option<tenfold_oncall::Policy>, Fault> {
    let mut names: Vec<String> = of_route.map(str::to_owned).into_iter().collect();
    if let Some(service) = service {
        let body = deploys::service_get(tx, service)?;
        let settings = body.and_then(|b| serde_json::from_str::<serde_json::Value>(&b).ok());
        names.extend(settings.and_then(|s| s["policy"].as_str().map(str::to_owned)));
        names.push(service.to_owned());
    }
    names.push(FALLBACK_POLICY.to_owned());
    for name in names {
        if let Some(policy) = oncall::policy(tx, &name)? {
            return Ok(Some(policy));
        }
    }
    Ok(None)
}

/// The policy that an incident escalates by, as it was when it opened.
pub(crate) fn policy_of(tx: &mut dyn Tx, number: i64) -> Result<Option<tenfold_oncall::Policy>, Fault> {
    let Some(row) = incidents::get(tx, number)? else { return Ok(None) };
    Ok(Incident::read(&row)?.body.escalation.map(|escalation| escalation.policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    fn key(service: Option<&str>, own: &[(&str, &str)], grouped: Option<&[(&str, &str)]>) -> String {
        let (own, grouped) = (labels(own), grouped.map(labels));
        let about = About {
            service,
            environment: service.map(|_| "production"),
            group: "g",
            rule: "Late",
            labels: &own,
            grouped: grouped.as_ref(),
            policy: None,
        };
        about.trouble()
    }

    #[test]
    fn a_service_is_one_trouble_unless_a_routing_separates_it() {
        assert_eq!(key(Some("photos"), &[("dedup_key", "1")], None), "photos/production");
        let place: &[_] = &[("service", "photos"), ("env", "production")];
        assert_eq!(key(Some("photos"), &[], Some(place)), "photos/production");
        let apart: &[_] = &[("alertname", "Late"), ("service", "photos")];
        assert_eq!(key(Some("photos"), &[], Some(apart)), "photos/production {alertname=\"Late\"}");
        assert_eq!(key(Some("photos"), &[], Some(&[])), "photos/production");
    }

    #[test]
    fn without_a_service_it_is_the_group_or_the_rule_or_the_senders_key() {
        assert_eq!(key(None, &[], None), "rule:g/Late");
        assert_eq!(key(None, &[], Some(&[])), "rule:g/Late");
        assert_eq!(key(None, &[("dedup_key", "1")], Some(&[("cluster", "eu")])), "group:{cluster=\"eu\"}");
        let of = |sender: &str, number: &str| key(None, &[(SENDER, sender), ("dedup_key", number)], None);
        assert_eq!(of("a", "1"), of("a", "1"));
        assert_ne!(of("a", "1"), of("a", "2"));
        assert_ne!(of("a", "1"), of("b", "1"));
    }

    #[test]
    fn a_key_is_short_whatever_the_labels_are() {
        let long = "x".repeat(5_000);
        let key = key(Some("photos"), &[], Some(&[("path", long.as_str())]));
        assert!(key.len() < 100, "{key}");
    }
}
