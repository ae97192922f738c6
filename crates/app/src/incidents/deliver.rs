//! Deliveries: claim, commit `sending`, send, commit what became of it.
//!
//! The claim carries the lease's epoch. A crash between the claim and the answer leaves `sending` under an epoch that is
//! over; whoever has the lease next sends it again under the same idempotency key, unless the page was acknowledged or
//! superseded meanwhile.

use serde_json::json;
use tenfold_store::{Tx, incidents as store};
use tenfold_types::{Actor, EventDraft, Fault, Severity, Source, Timestamp};
use tokio::task::JoinHandle;

use super::{
    browsers,
    escalate::{by_system, hurry},
    message::{TEST_INCIDENT, notice},
    owed::owe_late,
    room::{BATCH, Kind, UnderWay, receiver},
    stored::{Incident, person, word},
    words::Words,
};
use crate::{
    App, Txn,
    alerts::{Channel, Lease, Notice, NotifyError, Push},
};

/// A receiver that does not answer is given up for this attempt.
const SEND_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
/// Waits after a failed attempt: 5 s, doubled each time, up to 5 min.
const BACKOFF_FIRST_MS: i64 = 5_000;
const BACKOFF_MAX_MS: i64 = 300_000;
/// A way that was put off this often does not keep the next one waiting.
pub(super) const PUT_OFF_MAX: i64 = 3;
/// The longest a receiver may ask to be left alone.
const RETRY_AFTER_MS_MAX: i64 = 600_000;

/// Starts what is due and not under way yet; the tasks end by themselves. One receiver that hangs delays nobody else:
/// what it holds are its own places.
pub(super) async fn start(app: &App, lease: &Lease) -> Result<Vec<JoinHandle<()>>, Fault> {
    let (now, epoch) = (app.now(), lease.epoch);
    let rows = app.read(move |tx| Ok(store::deliveries_due(tx, now, epoch, BATCH)?)).await?;
    let mut started = Vec::new();
    for row in rows {
        let key = row.idempotency_key.clone();
        let receiver = receiver(&row.channel, &row.target, &row.page);
        let Some(under_way) = UnderWay::enter(app, Kind::Page, &key, &receiver) else { continue };
        let (app, lease) = (app.clone(), lease.clone());
        started.push(tokio::spawn(async move {
            let _under_way = under_way;
            let result = deliver(app, lease, row).await;
            if let Err(fault) = result {
                tracing::warn!(%fault, delivery = key, "what became of a delivery could not be stored; it is sent again");
            }
        }));
    }
    Ok(started)
}

async fn deliver(app: App, lease: Lease, row: store::DeliveryRow) -> Result<(), Fault> {
    let Some(claimed) = claim(&app, &lease, &row).await? else { return Ok(()) };
    let answer = send(&app, &claimed).await;
    finish(&app, &lease, claimed, answer).await
}

/// A delivery that is ours to make.
#[derive(Debug, Clone)]
struct Claimed {
    delivery: store::DeliveryRow,
    channel: Channel,
    login: String,
    notice: Notice,
    started_at: Timestamp,
}

async fn claim(app: &App, lease: &Lease, row: &store::DeliveryRow) -> Result<Option<Claimed>, Fault> {
    let (lease, row, settings) = (lease.clone(), row.clone(), app.settings.clone());
    let messages = app.message_words();
    app.housekeeping(move |t| {
        lease.check(t)?;
        let now = t.now();
        let Some(mut delivery) = store::delivery_get(t.tx(), &row.page, &row.channel)? else { return Ok(None) };
        let ours = match delivery.state.as_str() {
            word::DUE => delivery.next_at.is_some_and(|at| at <= now),
            // Ours is the only process with this epoch, and it is not sending it: `start` saw to that.
            word::SENDING => delivery.epoch <= lease.epoch,
            _ => false,
        };
        let page = store::page_get(t.tx(), &row.page)?;
        let (Some(page), Some(channel), true) = (page, Channel::parse(&delivery.channel), ours) else {
            return Ok(None);
        };
        if matches!(page.state.as_str(), word::ACKNOWLEDGED | word::SUPERSEDED) {
            word::SUPERSEDED.clone_into(&mut delivery.state);
            delivery.next_at = None;
            store::delivery_put(t.tx(), &delivery)?;
            return Ok(None);
        }
        let words = Words { messages: messages.clone(), channel, now };
        let notice = notice(t.tx(), &settings, &page, &words)?;
        word::SENDING.clone_into(&mut delivery.state);
        delivery.tries += 1;
        delivery.epoch = lease.epoch;
        delivery.next_at = None;
        store::delivery_put(t.tx(), &delivery)?;
        store::attempt_put(t.tx(), &attempt(&delivery, now, None, word::SENDING, None))?;
        if page.state == word::DUE {
            store::page_state(t.tx(), &page.id, word::SENDING, None)?;
        }
        Ok(Some(Claimed { delivery, channel, login: page.person, notice, started_at: now }))
    })
    .await
}

pub(super) fn attempt(
    delivery: &store::DeliveryRow,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
    state: &str,
    error: Option<String>,
) -> store::AttemptRow {
    store::AttemptRow {
        page: delivery.page.clone(),
        channel: delivery.channel.clone(),
        n: delivery.tries,
        started_at,
        finished_at,
        state: state.to_owned(),
        error,
    }
}

/// What a receiver answers in the time that it has.
pub(crate) async fn in_time<T>(sending: impl Future<Output = Result<T, NotifyError>>) -> Result<T, NotifyError> {
    match tokio::time::timeout(SEND_TIMEOUT, sending).await {
        Ok(answer) => answer,
        Err(_) => Err(NotifyError::later(format!("no answer within {} s", SEND_TIMEOUT.as_secs()))),
    }
}

async fn send(app: &App, claimed: &Claimed) -> Result<Option<String>, NotifyError> {
    let sending = async {
        match claimed.channel {
            Channel::Irc => {
                let text = format!("{} {}", claimed.notice.subject, claimed.notice.link);
                app.chat_direct(&claimed.login, &text)
                    .await
                    .map(|()| None)
                    .map_err(|fault| NotifyError::later(fault.message))
            }
            Channel::Web => Ok(None),
            Channel::Webpush => {
                let (what, key) = (Push::Page(&claimed.notice), &claimed.delivery.idempotency_key);
                browsers::push(app, &claimed.login, what, key).await.map(|()| None)
            }
            channel => {
                let Some(notifier) = app.alerts.notifier.read().clone() else {
                    return Err(NotifyError::later("no channel is connected"));
                };
                let key = &claimed.delivery.idempotency_key;
                notifier.deliver(channel, &claimed.delivery.target, &claimed.notice, key).await
            }
        }
    };
    in_time(sending).await
}

async fn finish(
    app: &App,
    lease: &Lease,
    claimed: Claimed,
    answer: Result<Option<String>, NotifyError>,
) -> Result<(), Fault> {
    let lease = lease.clone();
    app.housekeeping(move |t| {
        let now = t.now();
        let Some(mut delivery) = store::delivery_get(t.tx(), &claimed.delivery.page, &claimed.delivery.channel)? else {
            return Ok(());
        };
        let tried = store::attempt_get(t.tx(), &delivery.page, &delivery.channel, claimed.delivery.tries)?;
        let heard = |state: &str| tried.as_ref().is_some_and(|tried| tried.state == state);
        // What became of the message was said before the order for it was answered: that is the last word.
        if heard(word::FAILED) {
            return Ok(());
        }
        let reached = heard(word::DELIVERED);
        let answer = match &answer {
            Ok(message) => Ok(message.clone()),
            Err(_) if reached => Ok(None),
            Err(error) => Err(error),
        };
        let (state, error) = match &answer {
            Ok(_) if reached => (word::DELIVERED, None),
            Ok(_) => (word::ACCEPTED, None),
            Err(e) => (word::FAILED, Some(e.message.clone())),
        };
        store::attempt_put(t.tx(), &attempt(&claimed.delivery, claimed.started_at, Some(now), state, error))?;
        if let (Ok(message), word::SUPERSEDED, true) = (&answer, delivery.state.as_str(), delivery.epoch == lease.epoch)
        {
            delivery.message.clone_from(message);
            return late(t, &mut delivery);
        }
        let ours = delivery.epoch == lease.epoch;
        // Its incident ended and was opened again while we were sending: it is owed again, and has been taken.
        let resumed = delivery.state == word::DUE && delivery.tries == claimed.delivery.tries && answer.is_ok();
        // Taken over by a newer epoch, or cancelled, while we were sending: what was tried is noted, nothing else.
        if !ours || !(delivery.state == word::SENDING || resumed) {
            return Ok(());
        }
        match &answer {
            Ok(message) => {
                delivery.message.clone_from(message);
                accepted(t, &mut delivery, now)
            }
            Err(error) => refused(t, &mut delivery, error, now),
        }
    })
    .await
}

/// Taken after somebody acknowledged or it was over: whoever has the message now is to know.
fn late(t: &mut Txn<'_>, delivery: &mut store::DeliveryRow) -> Result<(), Fault> {
    word::ACCEPTED.clone_into(&mut delivery.state);
    store::delivery_put(t.tx(), delivery)?;
    match store::page_get(t.tx(), &delivery.page)? {
        Some(page) => owe_late(t, &page, delivery),
        None => Ok(()),
    }
}

/// How long to wait after a failed try: what the receiver asks, or 5 s, doubled each time.
pub(crate) fn backoff_ms(tries: i64, error: &NotifyError) -> i64 {
    let doublings = u32::try_from(tries - 1).unwrap_or(0).min(16);
    let backoff = BACKOFF_FIRST_MS.saturating_mul(1 << doublings).min(BACKOFF_MAX_MS);
    error.retry_after_ms.map_or(backoff, |asked| asked.clamp(1_000, RETRY_AFTER_MS_MAX))
}

fn accepted(t: &mut Txn<'_>, delivery: &mut store::DeliveryRow, now: Timestamp) -> Result<(), Fault> {
    word::ACCEPTED.clone_into(&mut delivery.state);
    delivery.next_at = None;
    store::delivery_put(t.tx(), delivery)?;
    let Some(page) = store::page_get(t.tx(), &delivery.page)? else { return Ok(()) };
    let first = page.delivered_at.is_none();
    if !matches!(page.state.as_str(), word::DUE | word::SENDING | word::FAILED) || !first {
        return Ok(());
    }
    store::page_state(t.tx(), &page.id, word::DELIVERED, Some(now))?;
    let names = store::deliveries(t.tx(), &page.id)?.into_iter().map(|d| d.channel).collect::<Vec<_>>();
    // Chat tells persons of pages that did not go through it; those with a delivery of their own by IRC are told here.
    let told = if names.iter().any(|n| n == Channel::Irc.as_str()) { Channel::Irc.as_str() } else { &delivery.channel };
    let text = |name: &str| match page.incident {
        TEST_INCIDENT => format!("Test page to {name} by {}", delivery.channel),
        number => format!("Paged {name} for incident {number} by {}", delivery.channel),
    };
    let data = json!({"channel": told, "accepted_by": delivery.channel, "channels": names});
    event(t, &page, "page.sent", Severity::Info, &text, data)
}

pub(super) fn refused(
    t: &mut Txn<'_>,
    delivery: &mut store::DeliveryRow,
    error: &NotifyError,
    now: Timestamp,
) -> Result<(), Fault> {
    let Some(page) = store::page_get(t.tx(), &delivery.page)? else { return Ok(()) };
    if error.permanent {
        word::FAILED.clone_into(&mut delivery.state);
        delivery.next_at = None;
    } else {
        word::DUE.clone_into(&mut delivery.state);
        delivery.next_at = Some(now.plus_ms(backoff_ms(delivery.tries, error)));
    }
    store::delivery_put(t.tx(), delivery)?;
    let deliveries = store::deliveries(t.tx(), &page.id)?;
    if error.permanent || delivery.tries == PUT_OFF_MAX {
        pull_next(t.tx(), &deliveries, now)?;
    }
    let none_left = deliveries.iter().all(|d| d.state == word::FAILED);
    let taken = |state: &str| matches!(state, word::DELIVERED | word::ACCEPTED);
    let reached = deliveries.iter().any(|d| taken(&d.state) && d.channel != Channel::Web.as_str());
    if none_left {
        store::page_not_delivered(t.tx(), &page.id, word::FAILED)?;
        hurry(t, page.incident)?;
    } else if matches!(page.state.as_str(), word::SENDING | word::DELIVERED)
        && deliveries.iter().all(|d| matches!(d.state.as_str(), word::DUE | word::FAILED))
    {
        store::page_not_delivered(t.tx(), &page.id, word::DUE)?;
    }
    // The first failure and the last are said; the tries between are in the list of attempts.
    if delivery.tries > 1 && !error.permanent {
        return Ok(());
    }
    let (channel, message) = (delivery.channel.clone(), error.message.clone());
    let goes_on = match (error.permanent, none_left) {
        (false, _) => "it is tried again",
        (true, false) => "another channel goes on",
        (true, true) => "there is no other channel",
    };
    let text = |name: &str| format!("The page to {name} did not go out by {channel} ({message}); {goes_on}");
    // Kept in any case, but told to everybody only while the person may not know yet.
    let severity = match (none_left, reached) {
        (true, _) => Severity::Critical,
        (false, true) => Severity::Debug,
        (false, false) => Severity::Warning,
    };
    let data = json!({"channel": channel, "error": message, "permanent": error.permanent});
    event(t, &page, "page.failed", severity, &text, data)
}

/// The next way of a page does not wait any longer, and those behind it keep their distance.
fn pull_next(tx: &mut dyn Tx, deliveries: &[store::DeliveryRow], now: Timestamp) -> Result<(), Fault> {
    let waiting = || deliveries.iter().filter(|d| d.state == word::DUE && d.tries == 0);
    let Some(next) = waiting().filter_map(|d| d.next_at).min() else { return Ok(()) };
    let sooner_ms = next.since_ms(now);
    if sooner_ms <= 0 {
        return Ok(());
    }
    for row in waiting() {
        let next_at = row.next_at.map(|at| at.plus_ms(-sooner_ms));
        store::delivery_put(tx, &store::DeliveryRow { next_at, ..row.clone() })?;
    }
    Ok(())
}

/// An event about a page, with who it is for.
fn event(
    t: &mut Txn<'_>,
    page: &store::PageRow,
    kind: &str,
    severity: Severity,
    text: &dyn Fn(&str) -> String,
    mut data: serde_json::Value,
) -> Result<(), Fault> {
    let profile = person(t.tx(), &page.person)?;
    let name = profile.as_ref().map_or(page.person.as_str(), |p| p.name.as_str());
    let text = text(name);
    let about = json!({
        "page": page.id, "person": page.person, "person_name": name,
        "person_kind": profile.as_ref().map(|p| p.kind), "step": page.step, "round": page.round,
    });
    if let (Some(data), Some(about)) = (data.as_object_mut(), about.as_object()) {
        data.extend(about.clone());
    }
    let draft = if page.incident == TEST_INCIDENT {
        EventDraft::new(Actor::system(), Source::System, kind, text).severity(severity)
    } else {
        by_system(&Incident::get(t.tx(), page.incident)?, kind, text, severity)
    };
    t.record(draft.data(data))?;
    Ok(())
}
