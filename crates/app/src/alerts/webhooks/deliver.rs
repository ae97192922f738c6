//! Posting what webhooks are owed, and storing what they took.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tenfold_alerting::webhook::{Owed, WebhookSpec, message};
use tenfold_store::alerts as store;
use tenfold_types::{Actor, EventDraft, Fault, Severity, Source, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{HookId, Inner, SlotId, SlotState, stored};
use crate::{
    App,
    alerts::{NotifyError, TICK},
};

/// Requests to one webhook at a time.
const PARALLEL_MAX: usize = 16;
/// Waits after a failed try: half a second, doubled each time, up to a minute.
const BACKOFF_FIRST_MS: i64 = 500;
const BACKOFF_MAX_MS: i64 = 60_000;
/// What it refuses for good is tried again after this long: people may have mended the receiver.
const REFUSED_MS: i64 = 60_000;
/// The longest a receiver may ask to be left alone.
const RETRY_AFTER_MS_MAX: i64 = 600_000;

/// Starts as many tasks for a webhook as its queue asks for.
pub(super) fn start(app: &App, id: &HookId) {
    let mut inner = app.alerts.webhooks.inner.lock();
    let Some(hook) = inner.hooks.get_mut(id) else { return };
    while hook.tasks < PARALLEL_MAX.min(hook.queue.len()) {
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
            Ok(lease) => lease.is_some(),
            Err(fault) => {
                tracing::warn!(%fault, "webhooks wait for the lease");
                false
            }
        };
        let Some((slot, owed)) = take(app, id) else { return };
        if !held {
            finish(app, &slot, None, Err(later("another node tells webhooks now")));
            return;
        }
        let Some(spec) = spec(app, id) else {
            // The routing no longer has it.
            let mut inner = app.alerts.webhooks.inner.lock();
            inner.slots.remove(&slot);
            inner.dirty.insert(slot);
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

fn later(message: &str) -> NotifyError {
    NotifyError { permanent: false, retry_after_ms: None, message: message.to_owned() }
}

/// The next message of the webhook's queue.
fn take(app: &App, id: &HookId) -> Option<(Arc<SlotId>, Arc<Owed>)> {
    let mut inner = app.alerts.webhooks.inner.lock();
    let Inner { slots, hooks, .. } = &mut *inner;
    let queue = &mut hooks.get_mut(id)?.queue;
    while let Some(next) = queue.pop_front() {
        let Some(slot) = slots.get_mut(&next) else { continue };
        match slot.ledger.owed.clone() {
            Some(owed) => {
                slot.state = SlotState::Sending;
                return Some((next, owed));
            }
            // Muted, or over with nobody to tell, while it waited.
            None => slot.state = SlotState::Idle,
        }
    }
    None
}

async fn post(app: &App, id: &SlotId, spec: &WebhookSpec, owed: &Owed) -> Result<(), NotifyError> {
    let body = {
        let inner = app.alerts.webhooks.inner.lock();
        let Some(slot) = inner.slots.get(id) else { return Ok(()) };
        let said = slot.ledger.said(owed, spec.send_resolved);
        if said.is_empty() {
            return Ok(());
        }
        message(spec, &id.hook.0, &id.group, &said, &app.settings.public_url).map_err(|e| later(&e.to_string()))?
    };
    let Some(poster) = app.alerts.webhooks.poster.read().clone() else {
        return Err(later("nothing that posts is connected"));
    };
    let key = blake3::hash(format!("{} {body}", stored::name(id)).as_bytes()).to_hex();
    let timeout = Duration::from_millis(u64::try_from(spec.timeout_ms).unwrap_or(0));
    poster.post(&spec.url, body, &key[..32], timeout).await
}

fn finish(app: &App, id: &Arc<SlotId>, sent: Option<(&WebhookSpec, &Owed)>, answer: Result<(), NotifyError>) {
    let now = app.now();
    let mut inner = app.alerts.webhooks.inner.lock();
    let Inner { slots, hooks, retries, dirty, tell, .. } = &mut *inner;
    let (Some(slot), Some(hook)) = (slots.get_mut(id), hooks.get_mut(&id.hook)) else { return };
    match (answer, sent) {
        (Ok(()), Some((spec, owed))) => {
            slot.tries = 0;
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
            if std::mem::take(&mut hook.failing) {
                tell.push((id.hook.clone(), None));
            }
        }
        (answer, sent) => {
            let error = answer.err().unwrap_or_else(|| later("it was not asked"));
            slot.tries += 1;
            slot.state = SlotState::Waiting;
            let backoff = BACKOFF_FIRST_MS.saturating_mul(1 << (slot.tries - 1).min(16)).min(BACKOFF_MAX_MS);
            let wait = match error.retry_after_ms {
                Some(asked) => asked.clamp(BACKOFF_FIRST_MS, RETRY_AFTER_MS_MAX),
                None if error.permanent => REFUSED_MS,
                None => backoff,
            };
            retries.insert((now.plus_ms(wait), id.clone()));
            if sent.is_some() && !std::mem::replace(&mut hook.failing, true) {
                tell.push((id.hook.clone(), Some(error.message)));
            }
        }
    }
    drop(inner);
    app.alerts.webhooks.news.notify_one();
}

/// Tries again what is due, and stores what changed, until it is stopped.
pub(in crate::alerts) async fn run(app: &App, stop: &CancellationToken) {
    loop {
        let next = app.alerts.webhooks.inner.lock().retries.first().map(|(at, _)| *at);
        let wait_ms = next.map_or(1_000, |at| at.since_ms(app.now()).clamp(0, 1_000));
        tokio::select! {
            () = stop.cancelled() => break,
            () = app.alerts.webhooks.news.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))) => {}
        }
        again(app, app.now());
        if let Err(fault) = store_changes(app).await {
            tracing::warn!(%fault, "what webhooks were told could not be stored; trying again");
            tokio::time::sleep(TICK).await;
            app.alerts.webhooks.news.notify_one();
        }
    }
    if let Err(fault) = store_changes(app).await {
        tracing::warn!(%fault, "what webhooks were told could not be stored; they may hear it again");
    }
}

impl App {
    /// One look at what webhooks are owed, until each has its answer. Tests call it after moving the clock.
    pub async fn webhooks_tick(&self) -> Result<(), Fault> {
        again(self, self.now());
        while self.alerts.webhooks.inner.lock().hooks.values().any(|hook| hook.tasks > 0) {
            tokio::task::yield_now().await;
        }
        store_changes(self).await
    }
}

/// Queues what waited long enough.
fn again(app: &App, now: Timestamp) {
    let mut wanted = BTreeSet::new();
    {
        let mut inner = app.alerts.webhooks.inner.lock();
        let Inner { slots, hooks, retries, .. } = &mut *inner;
        while let Some((at, id)) = retries.pop_first() {
            if at > now {
                retries.insert((at, id));
                break;
            }
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
    let (dirty, tell) = {
        let mut inner = app.alerts.webhooks.inner.lock();
        (std::mem::take(&mut inner.dirty), std::mem::take(&mut inner.tell))
    };
    if dirty.is_empty() && tell.is_empty() {
        return Ok(());
    }
    let written = write(app, &dirty, &tell).await;
    if written.is_err() {
        let mut inner = app.alerts.webhooks.inner.lock();
        inner.dirty.extend(dirty);
        inner.tell.splice(0..0, tell);
    }
    written
}

async fn write(app: &App, dirty: &BTreeSet<Arc<SlotId>>, tell: &[(HookId, Option<String>)]) -> Result<(), Fault> {
    let Some(lease) = app.alerting_lease().await? else { return Ok(()) };
    let rows = {
        let inner = app.alerts.webhooks.inner.lock();
        let row = |id: &Arc<SlotId>| {
            let body = inner.slots.get(id).map(|slot| stored::row(id, &slot.ledger)).transpose()?;
            Ok((stored::name(id), body.flatten()))
        };
        dirty.iter().map(row).collect::<Result<Vec<_>, Fault>>()?
    };
    let drafts: Vec<EventDraft> = tell.iter().map(|(hook, error)| draft(hook, error.as_deref())).collect();
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

fn draft((receiver, place): &HookId, error: Option<&str>) -> EventDraft {
    let number = place + 1;
    let (kind, severity, text) = match error {
        Some(error) => (
            "webhook.failed",
            Severity::Warning,
            format!(
                "The webhook {number} of the receiver {receiver} does not take what it is told ({error}); it is tried again"
            ),
        ),
        None => (
            "webhook.recovered",
            Severity::Good,
            format!("The webhook {number} of the receiver {receiver} takes what it is told again"),
        ),
    };
    EventDraft::new(Actor::system(), Source::System, kind, text)
        .severity(severity)
        .data(json!({"receiver": receiver, "webhook": number, "error": error}))
}
