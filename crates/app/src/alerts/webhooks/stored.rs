//! What is stored of the ledgers, and reading it again.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tenfold_alerting::pipeline::{GroupId, Known};
use tenfold_alerting::webhook::{Heard, OwedAlert};
use tenfold_store::{Tx, alerts as store};
use tenfold_types::{Fault, FlatMap, FlatSet, Labels, Timestamp};

use super::{HookId, Inner, Slot, SlotId, SlotState, ended};
use crate::{
    App,
    alerts::{
        pipeline::known,
        transitions::{Body, body},
    },
};

/// Within this time after a start all groups have been looked at.
const LOOKED_AT_MS: i64 = 5_000;

#[derive(Serialize, Deserialize)]
struct Stored {
    receiver: String,
    webhook: usize,
    route: String,
    labels: Labels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "FlatSet::is_empty")]
    firing: FlatSet<Arc<str>>,
    #[serde(default, skip_serializing_if = "FlatMap::is_empty")]
    over: FlatMap<Arc<str>, Timestamp>,
    /// What it is owed of alerts that are over, and of all where that is to last.
    #[serde(default, skip_serializing_if = "FlatMap::is_empty")]
    owed: FlatMap<Arc<str>, Known>,
}

/// The name of a slot's row. Labels may be long, so they stand in it as their fingerprint.
pub(super) fn name((receiver, place): &HookId, group: &GroupId) -> String {
    let route = blake3::hash(group.route.as_bytes()).to_hex();
    format!("{receiver}/{place}/{}/{}", &route[..16], tenfold_alerting::fingerprint(&group.labels))
}

/// What is to be stored of a slot; nothing when its row is to go.
pub(super) fn row(id: &SlotId, slot: &Slot) -> Result<Option<String>, Fault> {
    let ledger = &slot.ledger;
    let heard = ledger.heard.as_ref();
    let lasting = ledger.lasting(slot.lasts);
    let owed = ledger.owed.iter().flat_map(|o| &o.alerts).filter(|(f, _)| lasting.contains_key(*f));
    let owed: FlatMap<Arc<str>, Known> = owed.map(|(f, a)| (f.clone(), Known::clone(&a.known))).collect();
    if heard.is_none() && owed.is_empty() {
        return Ok(None);
    }
    let stored = Stored {
        receiver: id.hook.0.clone(),
        webhook: id.hook.1,
        route: id.group.route.clone(),
        labels: id.group.labels.clone(),
        at: heard.map(|h| h.at),
        firing: heard.map(|h| h.firing.clone()).unwrap_or_default(),
        over: heard.map(|h| h.over.clone()).unwrap_or_default(),
        owed,
    };
    serde_json::to_string(&stored).map(Some).map_err(|e| Fault::internal(e.to_string()))
}

fn read(body: &str) -> Result<(SlotId, Slot), Fault> {
    let stored: Stored = serde_json::from_str(body)
        .map_err(|e| Fault::internal(format!("what a webhook was told cannot be read: {e}")))?;
    let group = GroupId { route: stored.route, labels: stored.labels };
    let id = SlotId::new((stored.receiver, stored.webhook), Arc::new(group));
    let mut slot = Slot::default();
    slot.ledger.heard = stored.at.map(|at| Heard { at, firing: stored.firing, over: stored.over });
    slot.lasts = stored.owed.values().any(|known| known.over().is_none());
    if !stored.owed.is_empty() {
        let owed = stored.owed.into_iter().map(|(f, known)| {
            let over = known.over();
            (f, OwedAlert { known: Arc::new(known), over })
        });
        slot.ledger.owe_again(owed.collect());
    }
    Ok((id, slot))
}

/// What this node has not stored is of no use once another may have gone on, and only then.
fn reads_again(inner: &Inner, several: bool, goes_on: bool) -> bool {
    !inner.loaded || (several && (!goes_on || inner.dirty.is_empty()))
}

/// Puts what was stored in place of what is in memory, but for what is under way.
fn take_over(inner: &mut Inner, slots: Vec<(SlotId, Slot)>, now: Timestamp) {
    inner.loaded = true;
    inner.slots.retain(|_, slot| slot.state == SlotState::Sending);
    (inner.hooks.values_mut()).for_each(|hook| hook.queue.clear());
    inner.retries.clear();
    inner.dirty.clear();
    for (id, mut slot) in slots {
        let id = Arc::new(id);
        if slot.ledger.owed.is_some() {
            slot.state = SlotState::Waiting;
            // What still fires is looked at first: it may have ended, and then that is to be told.
            let wait_ms = if slot.lasts { LOOKED_AT_MS } else { 0 };
            inner.retries.insert((now.plus_ms(wait_ms), id.clone()));
        }
        inner.slots.entry(id).or_insert(slot);
    }
}

/// Takes the ledgers out of the store, once, and whenever another node may have gone on from them. Answers with the alerts
/// that ended while nobody could be told, so that their groups are looked at again.
pub(in crate::alerts) async fn reload(app: &App, active: &[store::AlertRow]) -> Result<Vec<Known>, Fault> {
    let several = !app.settings.database_url.is_empty();
    // What is being stored would be read as it was before.
    let turn = app.alerts.webhooks.storing.lock().await;
    let goes_on = app.alerts.lease.lock().goes_on();
    let fresh = reads_again(&app.alerts.webhooks.inner.lock(), several, goes_on);
    if fresh {
        let rows = app.read(|tx| Ok(store::webhooks(tx)?)).await?;
        let slots = rows.iter().map(|(_, body)| read(body)).collect::<Result<Vec<_>, _>>()?;
        let mut inner = app.alerts.webhooks.inner.lock();
        // What one took while that was read is not lost either.
        if reads_again(&inner, several, goes_on) {
            take_over(&mut inner, slots, app.now());
        }
    }
    drop(turn);
    let missing: BTreeSet<String> = {
        let active: BTreeSet<&str> = active.iter().map(|r| r.fingerprint.as_str()).collect();
        let inner = app.alerts.webhooks.inner.lock();
        let heard = inner.slots.values().filter_map(|s| s.ledger.heard.as_ref()).flat_map(|h| &h.firing);
        let owed = inner.slots.values().filter_map(|s| s.ledger.owed.as_ref()).flat_map(|o| &o.alerts);
        let owed = owed.filter(|(_, a)| a.over.is_none()).map(|(f, _)| f);
        heard.chain(owed).filter(|f| !active.contains(&***f)).map(ToString::to_string).collect()
    };
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    app.read(move |tx: &mut dyn Tx| {
        let mut out = Vec::new();
        for fingerprint in &missing {
            let Some(row) = store::get(tx, fingerprint)? else { continue };
            let Body { alert, generator_url, .. } = body(&row)?;
            out.extend(ended(Known { generator_url, ..known(&alert) }, &alert));
        }
        Ok(out)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tenfold_testkit::{TestClock, TestEntropy, temp_db};

    use super::*;
    use crate::settings::Settings;

    fn late() -> (Arc<SlotId>, Slot) {
        let group = Arc::new(GroupId { route: "root".to_owned(), labels: Labels::default() });
        let mut slot = Slot::default();
        slot.ledger.heard = Some(Heard { firing: [Arc::from("late")].into_iter().collect(), ..Heard::default() });
        (Arc::new(SlotId::new(("programs".to_owned(), 0), group)), slot)
    }

    #[tokio::test]
    async fn what_is_being_stored_is_not_read_as_it_was_before() {
        let (db, dir) = (temp_db().await, tempfile::tempdir().unwrap());
        let database_url = "a file of two nodes".to_owned();
        let settings = Settings { data_dir: dir.path().to_owned(), database_url, ..Settings::default() };
        let metrics = crate::metrics::State::open(&settings).unwrap();
        let (clock, entropy) = (Arc::new(TestClock::default()), Arc::new(TestEntropy::default()));
        let app = App::new((*db).clone(), clock, entropy, settings, metrics);
        crate::load(&app).await.unwrap();
        app.alerts_taking().await.unwrap();
        let (state, (id, slot)) = (&app.alerts.webhooks, late());
        state.inner.lock().slots.insert(id.clone(), slot);
        let turn = state.storing.lock().await;
        let mut reading = pin!(reload(&app, &[]));
        tokio::select! {
            biased;
            _ = &mut reading => panic!("it is being stored"),
            () = std::future::ready(()) => {}
        }
        // It could not be.
        state.inner.lock().dirty.insert(id.clone());
        drop(turn);
        reading.await.unwrap();
        assert!(state.inner.lock().slots.contains_key(&id), "what it took is known");
    }

    #[test]
    fn what_is_not_stored_yet_is_dropped_only_when_another_node_may_have_gone_on() {
        let mut inner = Inner::default();
        assert!(reads_again(&inner, false, true), "nothing is read yet");
        inner.loaded = true;
        assert!(!reads_again(&inner, false, false), "nobody else has a store of one file");
        assert!(reads_again(&inner, true, true), "all is stored");
        inner.dirty.insert(late().0);
        assert!(!reads_again(&inner, true, true), "a step was refused, and the lease is still ours");
        assert!(reads_again(&inner, true, false));
    }
}
