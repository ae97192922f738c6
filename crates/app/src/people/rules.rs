//! A person's own notification rules: in which order the ways to reach them ring, and how long each waits. Pure.

use serde::{Deserialize, Serialize};
use tenfold_types::Fault;

use crate::alerts::Channel;

/// Without own rules each way comes this long after the one before it.
const NEXT_AFTER_S: u32 = 30;
/// Methods in one list.
const METHODS_MAX: usize = 20;
/// The longest a method may wait: later, the policy has long gone on.
const AFTER_S_MAX: u32 = 3_600;

/// In which order a person's ways ring. A list that is empty stands for the default: the first way at once, each further
/// one 30 s after the one before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NotificationRules {
    /// For critical pages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub critical: Vec<Method>,
    /// For all others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Method>,
}

/// One way, and when it rings if nobody has acknowledged by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// `mail`, `irc`, `webhook`, `webpush` (one's browsers) or one of `channels`.
    pub channel: String,
    /// Seconds after the page was decided; 0 for the first, at most 3600.
    #[serde(default)]
    pub after_s: u32,
}

/// A way with its address and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    pub channel: Channel,
    pub address: String,
    pub after_ms: i64,
}

impl NotificationRules {
    const fn of(&self, critical: bool) -> &Vec<Method> {
        if critical { &self.critical } else { &self.other }
    }

    /// What is wrong with them, for somebody who has an address for what `has` says.
    pub(super) fn check(&self, has: impl Fn(Channel) -> bool) -> Result<(), Fault> {
        for methods in [&self.critical, &self.other] {
            if methods.len() > METHODS_MAX {
                return Err(Fault::invalid(format!("notification rules have at most {METHODS_MAX} methods")));
            }
            let mut before: Option<&Method> = None;
            for (n, method) in methods.iter().enumerate() {
                let name = &method.channel;
                let Some(channel) = Channel::parse(name) else {
                    return Err(Fault::invalid(format!("`{name:.50}` is not a channel"))
                        .advice(Channel::ALL.map(Channel::as_str).join(", ")));
                };
                if !has(channel) {
                    return Err(Fault::invalid(format!("the notification rules name {name}, which has no address"))
                        .advice("give the address, or leave the method out"));
                }
                if methods.iter().take(n).any(|m| m.channel == *name) {
                    return Err(Fault::invalid(format!("the notification rules name {name} twice"))
                        .advice("a policy with `repeat` pages again"));
                }
                if method.after_s > AFTER_S_MAX {
                    return Err(Fault::invalid(format!("a method waits at most {AFTER_S_MAX} s")));
                }
                match before {
                    None if method.after_s > 0 => {
                        return Err(Fault::invalid("the first method goes at once")
                            .advice("leave its seconds out, or write after_s: 0"));
                    }
                    Some(before) if before.after_s > method.after_s => {
                        return Err(Fault::invalid(format!(
                            "{name} after {} s stands behind {} after {} s",
                            method.after_s, before.channel, before.after_s
                        ))
                        .advice("write the methods in the order in which they ring"));
                    }
                    _ => {}
                }
                before = Some(method);
            }
        }
        Ok(())
    }
}

/// The order and the times of `ways`, by own rules or the default. The first goes at once, also when a rule that stood
/// before it cannot be followed; when none can, the default holds, so that a page is never lost to a rule.
pub(crate) fn planned(rules: Option<&NotificationRules>, critical: bool, ways: Vec<(Channel, String)>) -> Vec<Planned> {
    let own = rules.map(|r| r.of(critical).as_slice()).unwrap_or_default();
    let mut found: Vec<Planned> = own
        .iter()
        .filter_map(|method| {
            let (channel, address) = ways.iter().find(|(channel, _)| channel.as_str() == method.channel)?;
            Some(Planned { channel: *channel, address: address.clone(), after_ms: i64::from(method.after_s) * 1_000 })
        })
        .collect();
    if found.is_empty() {
        let times = (0..).map(|n| n * i64::from(NEXT_AFTER_S) * 1_000);
        found = ways
            .into_iter()
            .zip(times)
            .map(|((channel, address), after_ms)| Planned { channel, address, after_ms })
            .collect();
    }
    let first = found.first().map_or(0, |p| p.after_ms);
    for way in &mut found {
        way.after_ms -= first;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(channel: &str, after_s: u32) -> Method {
        Method { channel: channel.to_owned(), after_s }
    }

    fn times(rules: Option<&NotificationRules>, critical: bool, ways: &[Channel]) -> Vec<(&'static str, i64)> {
        let ways = ways.iter().map(|c| (*c, "x".to_owned())).collect();
        planned(rules, critical, ways).into_iter().map(|p| (p.channel.as_str(), p.after_ms / 1_000)).collect()
    }

    #[test]
    fn ways_ring_one_after_another() {
        use Channel::{Mail, Sms, Voice};
        assert!(times(None, true, &[]).is_empty());
        assert_eq!(times(None, true, &[Mail, Sms, Voice]), [("mail", 0), ("sms", 30), ("voice", 60)]);
        let rules = NotificationRules {
            critical: vec![method("voice", 0), method("sms", 10), method("mail", 10)],
            other: Vec::new(),
        };
        assert_eq!(times(Some(&rules), true, &[Mail, Sms, Voice]), [("voice", 0), ("sms", 10), ("mail", 10)]);
        assert_eq!(
            times(Some(&rules), false, &[Mail, Sms]),
            [("mail", 0), ("sms", 30)],
            "an empty list is the default"
        );
        assert_eq!(times(Some(&rules), true, &[Mail, Sms]), [("sms", 0), ("mail", 0)], "what is left begins at once");
        let far = NotificationRules { critical: vec![method("voice", 0)], other: Vec::new() };
        assert_eq!(times(Some(&far), true, &[Mail, Sms]), [("mail", 0), ("sms", 30)], "a page is not lost to a rule");
    }

    #[test]
    fn rules_that_are_none_are_refused() {
        let has = |channel| matches!(channel, Channel::Mail | Channel::Sms);
        let check = |methods: Vec<Method>| NotificationRules { critical: Vec::new(), other: methods }.check(has);
        check(vec![method("mail", 0), method("sms", 0)]).expect("two at once");
        for (methods, why) in [
            (vec![method("smoke", 0)], "not a channel"),
            (vec![method("voice", 0)], "no address"),
            (vec![method("mail", 0), method("mail", 9)], "twice"),
            (vec![method("mail", 5)], "at once"),
            (vec![method("mail", 0), method("sms", 3_601)], "at most 3600"),
            (vec![method("mail", 0); 21], "at most 20"),
        ] {
            let refused = check(methods).expect_err(why);
            assert!(refused.message.contains(why), "{refused}");
        }
        let both = |_| true;
        let back = NotificationRules {
            critical: vec![method("mail", 0), method("sms", 60), method("voice", 30)],
            other: Vec::new(),
        };
        let refused = back.check(both).expect_err("out of order");
        assert!(refused.message.contains("voice after 30 s stands behind sms after 60 s"), "{refused}");
    }
}
