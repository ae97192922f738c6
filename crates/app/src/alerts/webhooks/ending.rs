//! Alerts are about to be stored as over. A start finds whom their ends are owed to by what is stored of the webhooks alone:
//! what one took a moment ago, and what it is owed while its first try hangs, is in memory only.

use std::collections::HashSet;
use std::sync::Arc;

use tenfold_alerting::pipeline::GroupId;
use tenfold_alerting::{Fingerprint, Routing};
use tenfold_types::{Fault, Labels};

use super::{Inner, SlotId, deliver};
use crate::{App, alerts::Lease};

/// Stores what webhooks took and are owed of these alerts, where that is not stored yet. Returns when it is: the ends may be
/// stored then. Mostly there is nothing to do, since it has been stored long before an alert ends.
pub(in crate::alerts) async fn store_before_end(
    app: &App,
    lease: &Lease,
    routing: &Routing,
    ending: &[Labels],
) -> Result<(), Fault> {
    if ending.is_empty() || app.alerts.webhooks.inner.lock().slots.is_empty() {
        return Ok(());
    }
    let mut unsure = HashSet::new();
    for labels in ending {
        let (slots, fingerprint) = (slots_of(routing, labels), Fingerprint::of(labels));
        let mut inner = app.alerts.webhooks.inner.lock();
        unsure.extend(slots.into_iter().filter(|id| is_unsure(&mut inner, id, fingerprint)));
    }
    if unsure.is_empty() {
        return Ok(());
    }
    deliver::store_slots(app, lease.clone(), Some(unsure)).await
}

/// The same of the alerts of a rule file that is about to change: rules that are gone end theirs.
pub(in crate::alerts) async fn store_before_change(app: &App, file: &str) -> Result<(), Fault> {
    let groups = app.alerts.groups.read().clone();
    let mut ending = Vec::new();
    for running in groups.iter().filter(|running| running.file == file) {
        let status = running.status.lock();
        let active = status.rules.iter().flat_map(|rule| rule.state.active.values());
        ending.extend(active.map(|alert| alert.labels.clone()));
    }
    let Some(lease) = app.alerting_lease().await?.filter(|lease| !lease.behind) else { return Ok(()) };
    let held = app.alerts.routing()?;
    store_before_end(app, &lease, &held.routing, &ending).await
}

/// The webhooks that are told of an alert, each with the alert's group.
fn slots_of(routing: &Routing, labels: &Labels) -> Vec<Arc<SlotId>> {
    let mut out = Vec::new();
    for route in routing.tree.matching(labels, &mut |_, _| {}) {
        let webhooks = routing.receivers.get(&route.receiver).map_or(0, |r| r.webhook_configs.len());
        if webhooks == 0 {
            continue;
        }
        let group = Arc::new(GroupId::new(route.key.clone(), route.group_labels(labels)));
        out.extend((0..webhooks).map(|i| Arc::new(SlotId::new((route.receiver.clone(), i), group.clone()))));
    }
    out
}

/// Whether a webhook knows of an alert, and that is perhaps not stored. What it is owed is to be from now on.
fn is_unsure(inner: &mut Inner, id: &Arc<SlotId>, fingerprint: Fingerprint) -> bool {
    let Some(slot) = inner.slots.get_mut(id).filter(|slot| slot.ledger.knows_of(fingerprint)) else { return false };
    if slot.ledger.owes_firing(fingerprint) && !std::mem::replace(&mut slot.lasts, true) {
        inner.dirty.insert(id.clone());
    }
    inner.dirty.contains(id) || inner.storing.contains(id)
}

#[cfg(test)]
mod tests {
    use tenfold_alerting::pipeline::{Flush, Flushed, Known};
    use tenfold_types::Timestamp;

    use super::*;
    use crate::alerts::webhooks::{Slot, stored};

    const AT: Timestamp = Timestamp(1_700_000_000_000);

    fn labels(name: &str) -> Labels {
        Labels::from_pairs([("alertname", name)])
    }

    fn of(name: &str) -> Fingerprint {
        Fingerprint::of(&labels(name))
    }

    fn known(name: &str) -> Arc<Known> {
        Arc::new(Known {
            labels: labels(name),
            annotations: Arc::default(),
            starts_at: AT,
            ended: None,
            lapsed: None,
            generator_url: None,
        })
    }

    /// A webhook that is owed `Full` and `Late`, with nothing to store.
    fn owing() -> (Inner, Arc<SlotId>) {
        let group = Arc::new(GroupId::new("{}".to_owned(), Labels::new()));
        let alert = |name: &str| Flushed { fingerprint: of(name), known: known(name), quiet: false };
        let alerts = ["Full", "Late"].map(alert).to_vec();
        let receiver = "programs".to_owned();
        let flush = Flush { group: group.clone(), receiver: receiver.clone(), repeat_interval_ms: 100_000, alerts };
        let id = Arc::new(SlotId::new((receiver, 0), group));
        let mut slot = Slot::default();
        assert!(slot.ledger.flush(&flush, true, AT));
        let mut inner = Inner::default();
        inner.slots.insert(id.clone(), slot);
        (inner, id)
    }

    #[test]
    fn what_is_owed_while_a_try_hangs_is_stored_before_it_ends_and_once() {
        let (mut inner, id) = owing();
        assert!(!is_unsure(&mut inner, &id, of("Queue")), "it is owed nothing of it");
        assert!(inner.dirty.is_empty());
        assert!(is_unsure(&mut inner, &id, of("Full")));
        let lasting = inner.slots[&id].ledger.lasting(inner.slots[&id].lasts);
        assert_eq!(lasting.len(), 2);
        // It is being stored, and then it is.
        inner.storing = Arc::new(std::mem::take(&mut inner.dirty));
        assert!(is_unsure(&mut inner, &id, of("Late")), "that may fail");
        inner.storing = Arc::default();
        assert!(!is_unsure(&mut inner, &id, of("Late")));
    }

    #[test]
    fn what_it_is_told_and_is_muted_meanwhile_is_stored_before_it_ends() {
        let (mut inner, id) = owing();
        let slot = inner.slots.get_mut(&id).expect("it is there");
        let owed = slot.ledger.owed.clone().expect("it is owed something");
        slot.ledger.tell(owed);
        let quiet = |name: &str| Flushed { fingerprint: of(name), known: known(name), quiet: true };
        let (group, receiver) = (id.group.clone(), id.hook.0.clone());
        let alerts = vec![quiet("Full")];
        let muted = Flush { group, receiver, repeat_interval_ms: 100_000, alerts };
        assert!(!slot.ledger.flush(&muted, true, AT));
        assert!(is_unsure(&mut inner, &id, of("Full")));
        let row = stored::row(&id, &inner.slots[&id]).expect("it is written").expect("there is something to keep");
        assert!(row.contains(&of("Full").text()), "{row}");
    }

    #[test]
    fn what_it_took_is_stored_before_it_ends_where_that_waits_still() {
        let (mut inner, id) = owing();
        let slot = inner.slots.get_mut(&id).expect("it is there");
        let owed = slot.ledger.owed.clone().expect("it is owed something");
        assert!(!slot.ledger.took(&owed, true, AT));
        inner.dirty.insert(id.clone());
        assert!(is_unsure(&mut inner, &id, of("Full")));
        assert!(!inner.slots[&id].lasts, "nothing is owed");
        inner.dirty.clear();
        assert!(!is_unsure(&mut inner, &id, of("Full")), "it is stored");
    }
}
