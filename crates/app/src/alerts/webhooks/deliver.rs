//! Posting what webhooks are owed, and storing what they took.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tenfold_alerting::webhook::{Owed, WebhookSpec, message};
use tenfold_store::alerts as store;
use tenfold_types::{Actor, EventDraft, Fault, Severity, Source, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{HookId, Inner, News, Slot, SlotId, SlotState, stored};
use crate::{
    App,
    alerts::{Lease, NotifyError, TICK},
};

/// Requests to one webhook at a time.
const PARALLEL_MAX: usize = 16;
/// Waits after a failed try: half a second, doubled each time, up to a minute; of each at least half, see [`scattered`].
const BACKOFF_FIRST_MS: i64 = 500;
const BACKOFF_MAX_MS: i64 = 60_000;
/// What it refuses for good is tried again after this long: people may have mended the receiver.
const REFUSED_MS: i64 = 60_000;
/// What was over this long ago, and was refused for as long, is not told any more. What fires still is.
const GIVE_UP_MS: i64 = 24 * 3_600_000;
/// The longest a receiver may ask to be left alone.
const RETRY_AFTER_MS_MAX: i64 = 600_000;

/// The longest between two looks at what is due.
const IDLE_MS: i64 = 1_000;
/// Between two times at which what webhooks took is stored. Messages that are taken meanwhile share a transaction, and may
/// be told again after a kill. In a storm that is after most have been told, which the disk would else have slowed down.
const STORE_EVERY: Duration = Duration::from_millis(500);

/// Starts as many tasks for a webhook as its queue asks for.
pub(super) fn start(app: &App, id: &HookId) {
    let mut inner = app.alerts.webhooks.inner.lock();
    if inner.stopping {
        return;
    }
    let Some(hook) = inner.hooks.get_mut(id) else { return };
    // Those that run have a message each in hand, which is no longer in the queue.
    for _ in 0..hook.queue.len().min(PARALLEL_MAX.saturating_sub(hook.tasks)) {
        hook.tasks += 1;
        let working = Working(app.clone(), id.clone());
        tokio::spawn(async move { work(&working.0, &working.1).await });
    }
}

/// A task that is counted, however it ends.
struct Working(App, HookId);

impl Drop for Working {
    fn drop(&mut self) {
        if let Some(hook) = self.0.alerts.webhooks.inner.lock().hooks.get_mut(&self.1) {
            hook.tasks -= 1;
        }
        // What was queued while the last task was about to end.
        start(&self.0, &self.1);
    }
}

async fn work(app: &App, id: &HookId) {
    loop {
        let held = match app.alerting_lease().await {
            Ok(lease) => lease.is_some_and(|lease| !lease.behind),
            Err(fault) => {
                tracing::warn!(%fault, "webhooks wait for the lease");
                false
            }
        };
        let Some((slot, owed)) = take(app, id) else { return };
        if !held {
            finish(app, &slot, None, Err(NotifyError::later("another node tells webhooks now")));
            return;
        }
        let Some(spec) = spec(app, id) else {
            // The routing no longer has it.
            let mut inner = app.alerts.webhooks.inner.lock();
            inner.slots.remove(&slot);
            inner.dirty.insert(slot);
            drop(inner);
            app.alerts.webhooks.news.notify_one();
            continue;
        };
        let answer = post(app, &slot, &spec, &owed).await;
        finish(app, &slot, Some((&spec, &owed)), answer);
    }
}

fn spec(app: &App, (receiver, place): &HookId) -> Option<WebhookSpec> {
    let held = app.alerts.routing().ok()?;
    held.routing.receivers.get(receiver)?.webhook_configs.get(*place).cloned()
}

/// The next message of the webhook's queue.
fn take(app: &App, id: &HookId) -> Option<(Arc<SlotId>, Arc<Owed>)> {
    let mut inner = app.alerts.webhooks.inner.lock();
    if inner.stopping {
        return None;
    }
    let Inner { slots, hooks, .. } = &mut *inner;
    let queue = &mut hooks.get_mut(id)?.queue;
    while let Some(next) = queue.pop_front() {
        let Some(slot) = slots.get_mut(&next) else { continue };
        if let Some(owed) = slot.ledger.owed.clone() {
            slot.state = SlotState::Sending;
            let told = slot.most.map_or_else(|| owed.clone(), |most| slot.ledger.piece(&owed, most));
            slot.ledger.tell(told.clone());
            return Some((next, told));
        }
        // Muted, or over with nobody to tell, while it waited.
        slot.state = SlotState::Idle;
        if slot.ledger.is_blank() {
            slots.remove(&next);
        }
    }
    None
}

async fn post(app: &App, id: &SlotId, spec: &WebhookSpec, owed: &Owed) -> Result<(), NotifyError> {
    let (body, heard_at) = {
        let inner = app.alerts.webhooks.inner.lock();
        let Some(slot) = inner.slots.get(id) else { return Ok(()) };
        let said = slot.ledger.said(owed, spec.send_resolved);
        if said.is_empty() {
            return Ok(());
        }
        let body = message(spec, &id.hook.0, &id.group, &said, &app.settings.public_url);
        (body.map_err(|e| NotifyError::later(e.to_string()))?, slot.ledger.heard.as_ref().map(|heard| heard.at))
    };
    let Some(poster) = app.alerts.webhooks.poster() else {
        return Err(NotifyError::later("nothing that posts is connected"));
    };
    let key = key(&id.name, heard_at, &body);
    poster.post(spec, body, &key).await
}

/// The same for each try at a message, and another when the same is said again: what was taken last was taken later then.
fn key(slot: &str, heard_at: Option<Timestamp>, body: &str) -> String {
    let heard_at = heard_at.map_or(0, Timestamp::millis);
    let mut hasher = blake3::Hasher::new();
    for part in [slot, " ", &heard_at.to_string(), " ", body] {
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

fn finish(app: &App, id: &Arc<SlotId>, sent: Option<(&WebhookSpec, &Owed)>, answer: Result<(), NotifyError>) {
    let now = app.now();
    let mut inner = app.alerts.webhooks.inner.lock();
    let before = inner.waits();
    let Inner { slots, hooks, retries, dirty, tell, .. } = &mut *inner;
    let (Some(slot), Some(hook)) = (slots.get_mut(id), hooks.get_mut(&id.hook)) else { return };
    match (answer, sent) {
        (Ok(()), Some((spec, owed))) => {
            (slot.tries, slot.lasts) = (0, false);
            if slot.ledger.took(owed, spec.send_resolved, now) {
                slot.state = SlotState::Queued;
                hook.queue.push_back(id.clone());
            } else {
                slot.state = SlotState::Idle;
            }
            dirty.insert(id.clone());
            if slot.ledger.is_blank() {
                slots.remove(id);
            }
            hook.gave_up = false;
            if let Some(since) = hook.failing_since.take() {
                tell.push((id.hook.clone(), News::Recovered));
                // Where some are taken and some refused by turns, nobody is to be hurried.
                if now.since_ms(since) >= BACKOFF_FIRST_MS {
                    hurry(slots, retries, &id.hook, now.plus_ms(BACKOFF_FIRST_MS));
                }
            }
        }
        (answer, sent) => {
            let error = answer.err().unwrap_or_else(|| NotifyError::later("it was not asked"));
            if slot.ledger.refused() && slot.lasts {
                dirty.insert(id.clone());
            }
            slot.tries += 1;
            slot.state = SlotState::Waiting;
            // One message that is refused for good among others that are taken would else be tried with each of them.
            slot.asked = error.retry_after_ms.is_some() || error.permanent;
            let backoff = BACKOFF_FIRST_MS.saturating_mul(1 << (slot.tries - 1).min(16)).min(BACKOFF_MAX_MS);
            let backoff = scattered(backoff, id, slot.tries);
            let had = sent.map_or(0, |(_, owed)| owed.alerts.len());
            let smaller = error.too_large && had > 1;
            let wait = match error.retry_after_ms {
                Some(asked) => asked.clamp(BACKOFF_FIRST_MS, RETRY_AFTER_MS_MAX),
                None if smaller => BACKOFF_FIRST_MS,
                None if error.permanent => REFUSED_MS,
                None => backoff,
            };
            retries.insert((now.plus_ms(wait), id.clone()));
            if sent.is_some() && !std::mem::replace(&mut slot.lasts, true) {
                dirty.insert(id.clone());
            }
            if smaller {
                slot.most = Some(had / 2);
            } else if sent.is_some() {
                let since = *hook.failing_since.get_or_insert_with(|| {
                    tell.push((id.hook.clone(), News::Failed(error.message)));
                    now
                });
                let long_ago = now.plus_ms(-GIVE_UP_MS);
                let given_up = if since <= long_ago { slot.ledger.give_up(long_ago) } else { 0 };
                if given_up > 0 {
                    dirty.insert(id.clone());
                    if !std::mem::replace(&mut hook.gave_up, true) {
                        tell.push((id.hook.clone(), News::GaveUp(given_up)));
                    }
                }
            }
        }
    }
    // Of a thousand that are taken in a moment, the first says that there is something to store.
    let news = inner.stopping || inner.waits() != before;
    drop(inner);
    if news {
        app.alerts.webhooks.news.notify_one();
    }
}

/// At least half of a wait. Groups that were refused together do not come back together, and of many there is always one
/// that is about to see that the receiver is well.
fn scattered(wait_ms: i64, id: &SlotId, tries: u32) -> i64 {
    let mut hasher = DefaultHasher::new();
    (id, tries).hash(&mut hasher);
    let half = (wait_ms / 2).max(0);
    wait_ms - (hasher.finish() % (half.unsigned_abs() + 1)) as i64
}

/// A webhook that was out of order has taken something: what waits for it is tried by then, unless it asked to be left alone.
fn hurry(
    slots: &HashMap<Arc<SlotId>, Slot>,
    retries: &mut BTreeSet<(Timestamp, Arc<SlotId>)>,
    hook: &HookId,
    by: Timestamp,
) {
    let waits = |id: &Arc<SlotId>| slots.get(id).is_some_and(|s| s.state == SlotState::Waiting && !s.asked);
    let late: Vec<_> = retries.iter().filter(|(at, id)| *at > by && id.hook == *hook && waits(id)).cloned().collect();
    for entry in late {
        retries.remove(&entry);
        retries.insert((by, entry.1));
    }
}

/// Tries again what is due, and stores what changed, until it is stopped.
pub(in crate::alerts) async fn run(app: &App, stop: &CancellationToken) {
    let mut store_at = Instant::now();
    loop {
        let (next, changed) = app.alerts.webhooks.inner.lock().waits();
        // Another node may tell them; what is due is asked for again when this one does.
        let next = next.filter(|_| app.alerts.lease.lock().in_step());
        let wait_ms = next.map_or(IDLE_MS, |at| at.since_ms(app.now()).clamp(0, IDLE_MS));
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
        let wait = if changed { wait.min(store_at.saturating_duration_since(Instant::now())) } else { wait };
        tokio::select! {
            () = stop.cancelled() => break,
            () = app.alerts.webhooks.news.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
        again(app, app.now());
        if Instant::now() < store_at {
            continue;
        }
        let stored = store_changes(app).await;
        store_at = Instant::now() + STORE_EVERY;
        if let Err(fault) = stored {
            tracing::warn!(%fault, "what webhooks were told could not be stored; trying again");
            tokio::time::sleep(TICK).await;
            app.alerts.webhooks.news.notify_one();
        }
    }
    under_way(app).await;
    if let Err(fault) = store_changes(app).await {
        tracing::warn!(%fault, "what webhooks were told could not be stored; they may hear it again");
    }
}

/// Begins nothing more, and waits for the answers to what is under way, as long as each may take: what was taken and is not
/// stored is told again after the start.
async fn under_way(app: &App) {
    app.alerts.webhooks.inner.lock().stopping = true;
    let longest = app.alerts.routing().map_or(0, |held| {
        let webhooks = held.routing.receivers.values().flat_map(|r| &r.webhook_configs);
        webhooks.map(|webhook| webhook.timeout_ms).max().unwrap_or(0)
    });
    let answers = async {
        while app.alerts.webhooks.inner.lock().slots.values().any(|slot| slot.state == SlotState::Sending) {
            app.alerts.webhooks.news.notified().await;
        }
    };
    let longest = Duration::from_millis(u64::try_from(longest).unwrap_or(0));
    if tokio::time::timeout(longest, answers).await.is_err() {
        tracing::warn!("not all webhooks have answered before the end; they may hear it again");
    }
}

impl App {
    /// One look at what webhooks are owed, until each has its answer. Tests call it after moving the clock.
    pub async fn webhooks_tick(&self) -> Result<(), Fault> {
        self.alerting_lease().await?;
        again(self, self.now());
        while self.alerts.webhooks.inner.lock().hooks.values().any(|hook| hook.tasks > 0) {
            tokio::task::yield_now().await;
        }
        store_changes(self).await
    }
}

/// Queues what waited long enough.
fn again(app: &App, now: Timestamp) {
    if !app.alerts.lease.lock().in_step() {
        return;
    }
    let mut wanted = BTreeSet::new();
    {
        let mut inner = app.alerts.webhooks.inner.lock();
        let Inner { slots, hooks, retries, .. } = &mut *inner;
        let mut due: Vec<_> = retries.iter().take_while(|(at, _)| *at <= now).cloned().collect();
        // What waits for longer than anything may was reckoned by a clock that has been set back since.
        let longest_ms = |id: &Arc<SlotId>| {
            if slots.get(id).is_some_and(|slot| slot.asked) { RETRY_AFTER_MS_MAX } else { BACKOFF_MAX_MS }
        };
        let far = retries.iter().rev().take_while(|(at, _)| at.since_ms(now) > BACKOFF_MAX_MS);
        due.extend(far.filter(|(at, id)| at.since_ms(now) > longest_ms(id)).cloned());
        for entry in due {
            retries.remove(&entry);
            let (_, id) = entry;
            if let Some(slot) = slots.get_mut(&id).filter(|s| s.state == SlotState::Waiting) {
                slot.state = SlotState::Queued;
                hooks.entry(id.hook.clone()).or_default().queue.push_back(id.clone());
                wanted.insert(id.hook.clone());
            }
        }
    }
    for hook in wanted {
        start(app, &hook);
    }
}

async fn store_changes(app: &App) -> Result<(), Fault> {
    {
        let inner = app.alerts.webhooks.inner.lock();
        if inner.dirty.is_empty() && inner.tell.is_empty() {
            return Ok(());
        }
    }
    // Without the lease nothing of it counts, and all is read again before this node acts.
    let Some(lease) = app.alerting_lease().await?.filter(|lease| !lease.behind) else { return Ok(()) };
    store_slots(app, lease, None).await
}

/// Stores these slots, or all that changed with the sentences for the record.
pub(super) async fn store_slots(app: &App, lease: Lease, these: Option<HashSet<Arc<SlotId>>>) -> Result<(), Fault> {
    let _turn = app.alerts.webhooks.storing.lock().await;
    let (slots, tell) = {
        let mut inner = app.alerts.webhooks.inner.lock();
        let (slots, tell) = if let Some(these) = these {
            for id in &these {
                inner.dirty.remove(id);
            }
            (these, Vec::new())
        } else {
            (std::mem::take(&mut inner.dirty), std::mem::take(&mut inner.tell))
        };
        let slots = Arc::new(slots);
        inner.storing = slots.clone();
        (slots, tell)
    };
    let written = write(app, lease, &slots, &tell).await;
    let mut inner = app.alerts.webhooks.inner.lock();
    inner.storing = Arc::default();
    if written.is_err() {
        inner.dirty.extend(slots.iter().cloned());
        inner.tell.splice(0..0, tell);
    }
    written
}

async fn write(app: &App, lease: Lease, dirty: &HashSet<Arc<SlotId>>, tell: &[(HookId, News)]) -> Result<(), Fault> {
    let rows = {
        let inner = app.alerts.webhooks.inner.lock();
        let row = |id: &Arc<SlotId>| {
            let body = inner.slots.get(id).map(|slot| stored::row(id, slot)).transpose()?;
            Ok((id.name.clone(), body.flatten()))
        };
        let mut rows = dirty.iter().map(row).collect::<Result<Vec<_>, Fault>>()?;
        // In the order in which they stand in the store.
        rows.sort_unstable_by(|(name, _), (other, _)| name.cmp(other));
        rows
    };
    let drafts: Vec<EventDraft> = tell.iter().map(|(hook, news)| draft(hook, news)).collect();
    app.housekeeping(move |t| {
        lease.check(t)?;
        for (name, body) in &rows {
            match body {
                Some(body) => store::webhook_put(t.tx(), name, body)?,
                None => store::webhook_forget(t.tx(), name)?,
            }
        }
        for draft in &drafts {
            t.record(draft.clone())?;
        }
        Ok(())
    })
    .await
}

fn draft((receiver, place): &HookId, news: &News) -> EventDraft {
    let number = place + 1;
    let (kind, severity, text) = match news {
        News::Failed(error) => (
            "webhook.failed",
            Severity::Warning,
            format!(
                "The webhook {number} of the receiver {receiver} does not take what it is told ({error}); it is tried again"
            ),
        ),
        News::GaveUp(count) => (
            "webhook.gave_up",
            Severity::Warning,
            format!(
                "The webhook {number} of the receiver {receiver} has taken nothing for a day: it will not hear that {count} \
                 alerts are over, nor of others that ended so long ago"
            ),
        ),
        News::Recovered => (
            "webhook.recovered",
            Severity::Good,
            format!("The webhook {number} of the receiver {receiver} takes what it is told again"),
        ),
    };
    let error = match news {
        News::Failed(error) => Some(error),
        News::Recovered | News::GaveUp(_) => None,
    };
    EventDraft::new(Actor::system(), Source::System, kind, text)
        .severity(severity)
        .data(json!({"receiver": receiver, "webhook": number, "error": error}))
}

#[cfg(test)]
mod tests {
    use tenfold_alerting::pipeline::GroupId;
    use tenfold_types::Labels;

    use super::*;

    #[test]
    fn groups_that_were_refused_together_come_back_one_by_one() {
        let slot = |n: usize| {
            let labels = Labels::from_pairs([("instance", format!("i-{n}"))]);
            let group = Arc::new(GroupId::new("{}".to_owned(), labels));
            SlotId::new(("programs".to_owned(), 0), group)
        };
        let waits: BTreeSet<i64> = (0..200).map(|n| scattered(BACKOFF_MAX_MS, &slot(n), 9)).collect();
        assert!(waits.iter().all(|wait| (BACKOFF_MAX_MS / 2..=BACKOFF_MAX_MS).contains(wait)), "{waits:?}");
        let gaps = waits.iter().zip(waits.iter().skip(1)).map(|(a, b)| b - a);
        assert!(waits.len() > 150 && gaps.max() < Some(5_000), "{waits:?}");
        assert_eq!(scattered(0, &slot(1), 1), 0);
    }

    #[test]
    fn a_try_has_the_key_of_its_message_and_a_repeat_one_of_its_own() {
        let at = |ms| Some(Timestamp(ms));
        assert_eq!(key("slot", at(1), "body"), key("slot", at(1), "body"));
        for other in
            [key("slot", at(2), "body"), key("slot", None, "body"), key("slot", at(1), "b"), key("s", at(1), "body")]
        {
            assert_ne!(key("slot", at(1), "body"), other);
        }
    }
}
