//! Who is told of an alert: the people of each policy that its receivers name, once in an episode of the alert.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tenfold_alerting::ReceiverSpec;
use tenfold_store::alerts as store;
use tenfold_types::{Fault, Labels};

use super::transitions::body;
use crate::Txn;
use crate::incidents::{self, About, CameBy, Joining};

/// A receiver that pages is told of an alert.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    /// That the receiver names.
    pub policy: Option<String>,
    pub receiver: String,
    /// The labels of the group, where somebody put a routing.
    pub grouped: Option<Arc<Labels>>,
    /// How long people are left between two tellings that an incident grew.
    pub group_interval_ms: i64,
}

/// People who were told of an alert, and the incident that they have of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paged {
    /// Empty where it is the policy that the alert's service has anyway.
    pub policy: String,
    pub incident: i64,
}

impl Telling {
    pub(super) fn about<'a>(&'a self, row: &'a store::AlertRow, labels: &'a Labels) -> About<'a> {
        About {
            service: row.service.as_deref(),
            environment: row.environment.as_deref(),
            group: &row.rule_group,
            rule: &row.rule,
            labels,
            grouped: self.grouped.as_deref(),
            policy: self.policy.as_deref(),
        }
    }
}

/// Adds a telling. Of one policy the first counts, with the longest interval of all.
pub(super) fn add(tellings: &mut Vec<Telling>, telling: Telling) {
    match tellings.iter_mut().find(|known| known.policy == telling.policy) {
        Some(known) => known.group_interval_ms = known.group_interval_ms.max(telling.group_interval_ms),
        None => tellings.push(telling),
    }
}

/// The incidents of those who are told of an alert now and were not before, each with the policy that its receiver names.
/// They are among the `paged` afterwards.
pub(super) fn joinings(
    t: &mut Txn<'_>,
    (row, labels): (&store::AlertRow, &Labels),
    tellings: &[Telling],
    paged: &mut Vec<Paged>,
    reopen_ms: i64,
) -> Result<Vec<(Joining, Option<String>)>, Fault> {
    let mut out = Vec::new();
    for telling in tellings {
        let about = telling.about(row, labels);
        let policy = incidents::other_policy(t.tx(), about.policy, about.service)?.unwrap_or_default();
        if paged.iter().any(|known| known.policy == policy) {
            continue;
        }
        let mut joining = incidents::number_for(t, about, reopen_ms)?;
        joining.group_interval_ms = telling.group_interval_ms;
        let came_by = |group: &Labels| CameBy { receiver: telling.receiver.clone(), group: group.clone() };
        joining.came_by = telling.grouped.as_deref().map(came_by);
        paged.push(Paged { policy, incident: joining.number });
        out.push((joining, telling.policy.clone()));
    }
    Ok(out)
}

/// All incidents of an alert's episode, the first one first.
pub(crate) fn incidents_of(row: &store::AlertRow) -> Result<Vec<i64>, Fault> {
    let Some(first) = row.incident else { return Ok(Vec::new()) };
    let further = body(row)?.paged.into_iter().map(|paged| paged.incident).filter(|number| *number != first);
    Ok(std::iter::once(first).chain(further).collect())
}

/// Who was told of an alert before the server was started; nothing when nobody was.
pub(super) struct Heard(pub Option<Vec<Paged>>);

impl Heard {
    /// Whether those of a receiver were. What was stored before people were told apart names nobody: all were told then.
    pub(super) fn by(&self, receiver: Option<&ReceiverSpec>) -> bool {
        let (Some(paged), Some(receiver)) = (&self.0, receiver) else { return self.0.is_some() };
        let policy = receiver.policy.as_deref().unwrap_or_default();
        paged.is_empty() || receiver.quiet || paged.iter().any(|known| known.policy == policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telling(policy: Option<&str>, group_interval_ms: i64) -> Telling {
        Telling { policy: policy.map(str::to_owned), receiver: "r".to_owned(), grouped: None, group_interval_ms }
    }

    #[test]
    fn people_of_one_policy_are_told_once_whatever_the_receivers_are() {
        let mut all = Vec::new();
        for one in [telling(None, 1), telling(Some("db"), 2), telling(None, 9)] {
            add(&mut all, one);
        }
        let seen: Vec<_> = all.iter().map(|t| (t.policy.as_deref(), t.group_interval_ms)).collect();
        assert_eq!(seen, [(None, 9), (Some("db"), 2)]);
    }

    #[test]
    fn after_a_start_those_who_were_not_told_yet_are_still_to_be_told() {
        let receiver = |policy: Option<&str>, quiet| ReceiverSpec {
            policy: policy.map(str::to_owned),
            quiet,
            ..ReceiverSpec::default()
        };
        let own = Heard(Some(vec![Paged { policy: String::new(), incident: 1 }]));
        assert!(own.by(Some(&receiver(None, false))));
        assert!(!own.by(Some(&receiver(Some("db"), false))));
        assert!(own.by(Some(&receiver(Some("db"), true))), "nobody is told there");
        assert!(Heard(Some(Vec::new())).by(Some(&receiver(Some("db"), false))));
        assert!(!Heard(None).by(Some(&receiver(None, false))));
    }
}
