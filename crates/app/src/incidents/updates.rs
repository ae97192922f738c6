//! Telling what became of an incident to those whose pages were taken: claim, send, store what became of it, as pages do.
//!
//! Nobody is woken by it: it goes by channels that change the page or are quiet, and in a person's quiet hours only by
//! those they allow then. It is tried until it is taken, refused for good, or superseded by newer news.

use serde_json::json;
use tenfold_store::{Tx, incidents as store, page_updates as updates};
use tenfold_types::{Fault, Severity, Timestamp};
use tokio::task::JoinHandle;

use super::{
    browsers,
    deliver::{backoff_ms, in_time},
    escalate::by_system,
    message,
    room::{Kind, UnderWay, receiver},
    stored::{Incident, State, person, word},
    words::Words,
};
use crate::{
    App, Txn,
    alerts::{Channel, Lease, NotifyError, Push, Update, UpdateKind},
};

/// After so many tries, an hour and more, it is no news any more, but for what stays open elsewhere: people hear of that.
const TRIES_MAX: i64 = 20;
/// What stays open elsewhere rings on there. It is tried for a week.
const TRIES_MAX_OF_OPEN: i64 = 2_020;

/// News that is looked at in one round.
const BATCH: i64 = 256;

/// Starts what is due and whose message has none under way: two at once could arrive in the wrong order.
pub(super) async fn start(app: &App, lease: &Lease) -> Result<Vec<JoinHandle<()>>, Fault> {
    let (now, epoch) = (app.now(), lease.epoch);
    let rows = app
        .read(move |tx| {
            let mut rows = Vec::new();
            for row in updates::due(tx, now, epoch, BATCH)? {
                let target = store::delivery_get(tx, &row.page, &row.channel)?.map_or_else(String::new, |d| d.target);
                rows.push((row, target));
            }
            Ok(rows)
        })
        .await?;
    let mut started = Vec::new();
    for (row, target) in rows {
        let key = format!("update.{}.{}", row.page, row.channel);
        let receiver = receiver(&row.channel, &target, &row.page);
        let Some(under_way) = UnderWay::enter(app, Kind::News, &key, &receiver) else { continue };
        let (app, lease) = (app.clone(), lease.clone());
        started.push(tokio::spawn(async move {
            let _under_way = under_way;
            if let Err(fault) = tell(&app, &lease, row).await {
                tracing::warn!(%fault, update = key, "what became of an update could not be stored; it is sent again");
            }
        }));
    }
    Ok(started)
}

/// An update that is ours to send.
#[derive(Debug, Clone)]
struct Claimed {
    row: updates::UpdateRow,
    channel: Channel,
    target: String,
    update: Update,
    incident: i64,
    login: String,
}

async fn tell(app: &App, lease: &Lease, row: updates::UpdateRow) -> Result<(), Fault> {
    let Some(claimed) = claim(app, lease, &row).await? else { return Ok(()) };
    let answer = send(app, &claimed).await;
    finish(app, lease, claimed, answer).await
}

async fn claim(app: &App, lease: &Lease, row: &updates::UpdateRow) -> Result<Option<Claimed>, Fault> {
    let (lease, row, settings) = (lease.clone(), row.clone(), app.settings.clone());
    let messages = app.message_words();
    app.housekeeping(move |t| {
        lease.check(t)?;
        let now = t.now();
        let Some(mut row) = updates::get(t.tx(), &row.page, &row.channel)? else { return Ok(None) };
        let ours = match row.state.as_str() {
            word::DUE => row.next_at.is_some_and(|at| at <= now),
            word::SENDING => row.epoch <= lease.epoch,
            _ => false,
        };
        let page = store::page_get(t.tx(), &row.page)?;
        let delivery = store::delivery_get(t.tx(), &row.page, &row.channel)?;
        let of = (page, delivery, Channel::parse(&row.channel), UpdateKind::parse(&row.kind));
        let ((Some(page), Some(delivery), Some(channel), Some(kind)), true) = (of, ours) else { return Ok(None) };
        let incident = Incident::get(t.tx(), page.incident)?;
        row.next_at = None;
        let stops = incident.rings_on(channel) && kind != UpdateKind::Grown;
        if !so_still(&incident, kind) || !(stops || may_now(t.tx(), &page.person, channel, now)?) {
            word::SUPERSEDED.clone_into(&mut row.state);
            updates::put(t.tx(), &row)?;
            return Ok(None);
        }
        let words = Words { messages: messages.clone(), channel, now };
        let update = message::update(t.tx(), &settings, &page, &delivery, (kind, &words))?;
        word::SENDING.clone_into(&mut row.state);
        row.tries += 1;
        row.epoch = lease.epoch;
        updates::put(t.tx(), &row)?;
        let (incident, target) = (incident.number, delivery.target);
        Ok(Some(Claimed { row, channel, target, update, incident, login: page.person }))
    })
    .await
}

/// Whether what was to be told is so now.
fn so_still(incident: &Incident, kind: UpdateKind) -> bool {
    match kind {
        UpdateKind::Grown => incident.state != State::Resolved,
        UpdateKind::Acknowledged => incident.state == State::Acknowledged,
        UpdateKind::Over => incident.state == State::Resolved,
    }
}

/// In somebody's quiet hours nothing comes in but by the ways they allow then.
fn may_now(tx: &mut dyn Tx, login: &str, channel: Channel, now: Timestamp) -> Result<bool, Fault> {
    if channel.edits() {
        return Ok(true);
    }
    let Some(person) = person(tx, login)? else { return Ok(false) };
    let quiet = person.contact.quiet.as_ref().filter(|q| q.covers(now, &person.timezone));
    Ok(quiet.is_none_or(|q| q.allows(channel.as_str())))
}

async fn send(app: &App, claimed: &Claimed) -> Result<(), NotifyError> {
    let Some(notifier) = app.alerts.notifier.read().clone() else {
        return Err(NotifyError::later("no channel is connected"));
    };
    let key = format!("{}.{}", claimed.update.page_key, claimed.row.revision);
    let sending = async {
        match claimed.channel {
            Channel::Webpush => browsers::push(app, &claimed.login, Push::News(&claimed.update), &key).await,
            channel => notifier.update(channel, &claimed.target, &claimed.update, &key).await,
        }
    };
    in_time(sending).await
}

async fn finish(app: &App, lease: &Lease, claimed: Claimed, answer: Result<(), NotifyError>) -> Result<(), Fault> {
    let lease = lease.clone();
    app.housekeeping(move |t| {
        let now = t.now();
        let Some(mut row) = updates::get(t.tx(), &claimed.row.page, &claimed.row.channel)? else { return Ok(()) };
        // Newer news stand there, or a newer epoch sends it.
        if row.revision != claimed.row.revision {
            if answer.is_ok() {
                (row.told_at, row.told) = (Some(now), Some(claimed.row.kind.clone()));
                updates::put(t.tx(), &row)?;
            }
            return Ok(());
        }
        if row.state != word::SENDING || row.epoch != lease.epoch {
            return Ok(());
        }
        let tries_max = if claimed.channel.closes() { TRIES_MAX_OF_OPEN } else { TRIES_MAX };
        let ended = match &answer {
            Ok(()) => {
                word::ACCEPTED.clone_into(&mut row.state);
                (row.told_at, row.told) = (Some(now), Some(row.kind.clone()));
                true
            }
            Err(error) if error.permanent || row.tries >= tries_max => {
                word::FAILED.clone_into(&mut row.state);
                true
            }
            Err(error) => {
                word::DUE.clone_into(&mut row.state);
                row.next_at = Some(now.plus_ms(backoff_ms(row.tries, error)));
                false
            }
        };
        updates::put(t.tx(), &row)?;
        if ended || row.tries == TRIES_MAX { told(t, &claimed, answer.as_ref().err(), !ended) } else { Ok(()) }
    })
    .await
}

fn told(t: &mut Txn<'_>, claimed: &Claimed, error: Option<&NotifyError>, goes_on: bool) -> Result<(), Fault> {
    let incident = Incident::get(t.tx(), claimed.incident)?;
    let name = person(t.tx(), &claimed.login)?.map_or_else(|| claimed.login.clone(), |p| p.name);
    let (channel, number) = (claimed.channel.as_str(), claimed.incident);
    let text = match error {
        None => format!("Told {name} by {channel} of incident {number}: {}", claimed.update.news),
        Some(e) => {
            let open = match (claimed.channel.closes(), goes_on) {
                (true, true) => "; there it stays as it is, and is tried again",
                (true, false) => "; there it stays as it is",
                (false, _) => "",
            };
            let news = &claimed.update.news;
            format!("{name} was not told by {channel} of incident {number} ({}): {news}{open}", e.message)
        }
    };
    let severity = if error.is_some() && claimed.channel.closes() { Severity::Warning } else { Severity::Debug };
    let data = json!({
        "page": claimed.row.page, "person": claimed.login, "channel": channel, "kind": claimed.update.kind,
        "error": error.map(|e| &e.message),
    });
    t.record(by_system(&incident, "page.updated", text, severity).data(data))?;
    Ok(())
}
