//! What is stored of the ledgers, and reading it again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tenfold_alerting::pipeline::{GroupId, Known};
use tenfold_alerting::webhook::{Heard, OwedAlert};
use tenfold_alerting::{AlertState, Fingerprint};
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
    firing: FlatSet<Fingerprint>,
    #[serde(default, skip_serializing_if = "FlatMap::is_empty")]
    over: FlatMap<Fingerprint, Timestamp>,
    /// What it is owed of alerts that are over, and of all where that is to last.
    #[serde(default, skip_serializing_if = "FlatMap::is_empty")]
    owed: FlatMap<Fingerprint, Known>,
}

/// The name of a slot's row. Labels may be long, so they stand in it as their fingerprint.
pub(super) fn name((receiver, place): &HookId, group: &GroupId) -> String {
    let route = blake3::hash(group.route().as_bytes()).to_hex();
    format!("{receiver}/{place}/{}/{}", &route[..16], Fingerprint::of(group.labels()))
}

/// What is to be stored of a slot; nothing when its row is to go.
pub(super) fn row(id: &SlotId, slot: &Slot) -> Result<Option<String>, Fault> {
    let ledger = &slot.ledger;
    let heard = ledger.heard.as_ref();
    let owed = ledger.kept(slot.lasts).map(|(f, a)| (*f, Known::clone(&a.known)));
    let owed: FlatMap<Fingerprint, Known> = owed.collect();
    if heard.is_none() && owed.is_empty() {
        return Ok(None);
    }
    let stored = Stored {
        receiver: id.hook.0.clone(),
        webhook: id.hook.1,
        route: id.group.route().to_owned(),
        labels: id.group.labels().clone(),
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
    let group = GroupId::new(stored.route, stored.labels);
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

/// Notes of what fires anew that its end was perhaps told, as far as it has begun by `now`: a sender may say that it will.
fn began_again(slots: &mut [(SlotId, Slot)], active: &[store::AlertRow], now: Timestamp) -> Result<(), Fault> {
    let heard = slots.iter().filter_map(|(_, slot)| slot.ledger.heard.as_ref()).flat_map(|heard| &heard.firing);
    let heard: HashSet<Fingerprint> = heard.copied().collect();
    let rows = active.iter().filter(|row| fires(row));
    let rows = rows.filter_map(|row| Some((Fingerprint::parse(&row.fingerprint)?, row)));
    let rows = rows.filter(|(fingerprint, _)| heard.contains(fingerprint));
    let began = rows.map(|(fingerprint, row)| Ok((fingerprint, body(row)?.began())));
    let began = began.collect::<Result<HashMap<Fingerprint, Timestamp>, Fault>>()?;
    for (_, slot) in slots {
        slot.ledger.began_again(|fingerprint| began.get(&fingerprint).copied().filter(|began| *began <= now));
    }
    Ok(())
}

/// As far as is known, it has begun to fire and has not ended.
fn fires(row: &store::AlertRow) -> bool {
    row.state != AlertState::Pending.as_str()
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
        let mut slots = rows.iter().map(|(_, body)| read(body)).collect::<Result<Vec<_>, _>>()?;
        began_again(&mut slots, active, app.now())?;
        let mut inner = app.alerts.webhooks.inner.lock();
        // What one took while that was read is not lost either.
        if reads_again(&inner, several, goes_on) {
            take_over(&mut inner, slots, app.now());
        }
    }
    drop(turn);
    let missing: BTreeSet<Fingerprint> = {
        // One that waits for its `for` again has ended before.
        let active = active.iter().filter(|r| fires(r)).filter_map(|r| Fingerprint::parse(&r.fingerprint));
        let active: HashSet<Fingerprint> = active.collect();
        let inner = app.alerts.webhooks.inner.lock();
        let heard = inner.slots.values().filter_map(|s| s.ledger.heard.as_ref()).flat_map(|h| &h.firing);
        let owed = inner.slots.values().filter_map(|s| s.ledger.owed.as_ref()).flat_map(|o| &o.alerts);
        let owed = owed.filter(|(_, a)| a.over.is_none()).map(|(f, _)| f);
        heard.chain(owed).filter(|f| !active.contains(*f)).copied().collect()
    };
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    app.read(move |tx: &mut dyn Tx| {
        let mut out = Vec::new();
        for fingerprint in &missing {
            let Some(row) = store::get(tx, &fingerprint.text())? else { continue };
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

    fn named(name: &str) -> Fingerprint {
        Fingerprint::of(&Labels::from_pairs([("alertname", name)]))
    }

    fn late() -> (Arc<SlotId>, Slot) {
        let group = Arc::new(GroupId::new("root".to_owned(), Labels::default()));
        let mut slot = Slot::default();
        slot.ledger.heard = Some(Heard { firing: [named("late")].into_iter().collect(), ..Heard::default() });
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
    fn what_fires_anew_since_a_webhook_took_something_was_perhaps_told_as_over() {
        let row = |name: &str, state: &str, active_since: i64, fires: &[i64]| store::AlertRow {
            fingerprint: named(name).text(),
            rule_file: String::new(),
            rule_group: "received".to_owned(),
            rule: name.to_owned(),
            state: state.to_owned(),
            severity: "warning".to_owned(),
            service: None,
            environment: None,
            pages: false,
            active_since: Timestamp(active_since),
            ended_at: None,
            incident: None,
            body: serde_json::json!({
                "fingerprint": named(name), "series": {}, "labels": {}, "annotations": {}, "state": state, "value": "1",
                "active_since": Timestamp(active_since), "fired_at": null, "resolved_at": null, "keep_since": null,
                "no_data_since": null, "flap": {"fires": fires.iter().map(|at| Timestamp(*at)).collect::<Vec<_>>()},
            })
            .to_string(),
        };
        let rows = [
            row("again", "firing", 20, &[]),
            row("as before", "firing", 5, &[]),
            row("by our clock", "firing", 5, &[5, 20]),
            row("clock ahead", "firing", 20, &[5]),
            row("to come", "firing", 40, &[]),
            row("waits", "pending", 20, &[]),
        ];
        let firing = rows.iter().map(|row| named(&row.rule)).collect();
        let (id, mut slot) = late();
        slot.ledger.heard = Some(Heard { at: Timestamp(10), firing, over: FlatMap::new() });
        let mut slots = [(SlotId::clone(&id), slot)];
        began_again(&mut slots, &rows, Timestamp(30)).unwrap();
        let heard = slots[0].1.ledger.heard.as_ref().unwrap();
        let over: BTreeSet<Fingerprint> = heard.over.keys().copied().collect();
        assert_eq!(over, BTreeSet::from(["again", "by our clock"].map(named)));
    }

    #[test]
    fn alerts_are_stored_by_the_texts_of_their_fingerprints() {
        let (id, mut slot) = late();
        let over = FlatMap::from([(named("over"), Timestamp(5))]);
        slot.ledger.heard = Some(Heard { at: Timestamp(10), firing: FlatSet::from_iter([named("late")]), over });
        let text = row(&id, &slot).unwrap().unwrap();
        let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(shown["firing"], serde_json::json!([named("late").text()]));
        assert!(shown["over"][named("over").text()].is_string(), "{text}");
        let (read_id, read_slot) = read(&text).unwrap();
        assert!(read_id.group == id.group && read_id.name == id.name && read_slot.ledger.heard == slot.ledger.heard);
        assert!(read(&text.replace(&named("late").text(), "late")).is_err());
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
