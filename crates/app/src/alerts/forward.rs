//! The alerts of the server's own rules and checks, sent on to other Alertmanagers as Prometheus does.
//!
//! What others send here is never sent on, so that two servers that name each other send each other nothing twice. The node
//! that holds the alerting lease sends. All of it lives in memory: after a start what fires is said anew, and what ended a short
//! while ago is read from the store. Each receiver has its own queue and its own task, so that one that hangs holds up nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use parking_lot::{Mutex, RwLock};
use serde_json::json;
use tenfold_alerting::forward::{Ledger, Outgoing, RESOLVED_MS, Waiting};
use tenfold_alerting::{Alert, AlertState, fingerprint};
use tenfold_store::{alerts as store, cursors};
use tenfold_types::{Actor, EventDraft, Fault, Labels, Severity, Source, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{
    NotifyError,
    received::GROUP,
    transitions::{Body, body},
};
use crate::{App, checks, settings::ForwardTo};

/// How often it is looked at what is due.
const LOOK: Duration = Duration::from_millis(500);
/// A receiver has so long to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Waits after a failed try: a second, doubled each time, up to a minute.
const BACKOFF_FIRST_MS: i64 = 1_000;
const BACKOFF_MAX_MS: i64 = 60_000;
/// The longest a receiver may ask to be left alone. Alerts that fire count as over when it hears nothing for longer.
const RETRY_AFTER_MS_MAX: i64 = 120_000;
/// Alerts that ended before the start and are looked at.
const ENDED_MAX: i64 = 10_000;
/// Alerts of which it is remembered that a receiver was said to refuse them alone as too large.
const TOO_LARGE_MAX: usize = 100;
/// Under which the store has what the servers of this database call themselves.
const NAME: &str = "forward:name";

/// The header by which a server knows alerts that it has sent itself: it answers 508 to them.
pub const FORWARDED_BY: &str = "x-tenfold-forwarded-by";

/// Why a receiver did not take alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardError {
    /// It is this server.
    Own,
    /// It will never take these alerts when the error is permanent.
    Failed(NotifyError),
}

/// Posts alerts to other Alertmanagers; implemented by the crate `notify`.
#[async_trait]
pub trait AlertSender: Send + Sync {
    /// Posts a JSON list of alerts, and returns when the receiver has taken it. `from` is what the servers of this database
    /// call themselves, by which they know their own alerts.
    async fn send(&self, to: &ForwardTo, body: String, from: &str) -> Result<(), ForwardError>;
}

/// What this part keeps in memory.
#[derive(Default)]
pub struct State {
    sender: RwLock<Option<Arc<dyn AlertSender>>>,
    receivers: OnceLock<Vec<Receiver>>,
    name: OnceLock<String>,
    /// Nothing while another node sends.
    ledger: Mutex<Option<Ledger>>,
}

struct Receiver {
    to: ForwardTo,
    going: Mutex<Going>,
    /// Something waits for it.
    news: tokio::sync::Notify,
    /// One request at a time, so that what is said later comes later.
    sending: tokio::sync::Mutex<()>,
}

/// How sending to a receiver goes.
#[derive(Default)]
struct Going {
    waiting: Waiting,
    /// Tries that failed one after the other.
    failed: u32,
    retry_at: Option<Timestamp>,
    /// The record has it that alerts were dropped since it took any.
    dropped: bool,
    /// The record has it that these are too large for it. They fire again each minute, and that is no news.
    too_large: BTreeSet<Labels>,
    /// It is this server: nothing is sent to it.
    own: bool,
}

impl Going {
    /// An alert that is too large alone: whether the record is to be told of it.
    fn is_news(&mut self, labels: &Labels) -> bool {
        self.too_large.len() < TOO_LARGE_MAX && self.too_large.insert(labels.clone())
    }
}

/// What the record is told of a receiver.
enum News {
    Failed(String),
    Recovered,
    Dropped(usize),
    Refused(usize, String),
    /// An alert by its name, which is too large alone.
    TooLarge(String, String),
    Own,
}

impl State {
    fn receivers(&self) -> &[Receiver] {
        self.receivers.get().map_or(&[], Vec::as_slice)
    }

    /// Another node sends now.
    fn let_go(&self) {
        if self.ledger.lock().take().is_some() {
            for receiver in self.receivers() {
                let mut going = receiver.going.lock();
                *going = Going { own: going.own, ..Going::default() };
            }
        }
    }
}

pub(super) async fn load(app: &App) -> Result<(), Fault> {
    if app.settings.alerts.forward.is_empty() {
        return Ok(());
    }
    let anew = app.random_text(12);
    let name = app
        .housekeeping(move |t| {
            if let Some(name) = cursors::get_text(t.tx(), NAME)? {
                return Ok(name);
            }
            cursors::set_text(t.tx(), NAME, &anew)?;
            Ok(anew.clone())
        })
        .await?;
    let receiver = |to: &ForwardTo| Receiver {
        to: to.clone(),
        going: Mutex::default(),
        news: tokio::sync::Notify::new(),
        sending: tokio::sync::Mutex::new(()),
    };
    // Loaded once, before anything is sent.
    let _ = app.alerts.forward.name.set(name);
    let _ = app.alerts.forward.receivers.set(app.settings.alerts.forward.iter().map(receiver).collect());
    Ok(())
}

/// Sends until it is stopped.
pub(super) async fn run(app: &App, stop: &CancellationToken) {
    if app.alerts.forward.receivers().is_empty() {
        return;
    }
    let receivers = app.alerts.forward.receivers().iter().map(|receiver| serve(app, receiver, stop));
    tokio::join!(look_again(app, stop), join_all(receivers));
}

async fn look_again(app: &App, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Err(fault) = look(app).await {
            tracing::warn!(%fault, "alerts could not be sent on; trying again");
        }
    }
}

async fn serve(app: &App, receiver: &Receiver, stop: &CancellationToken) {
    loop {
        let wait_ms = {
            let going = receiver.going.lock();
            let waits = going.retry_at.filter(|_| !going.waiting.is_empty());
            waits.map_or(BACKOFF_MAX_MS, |at| at.since_ms(app.now()).clamp(0, BACKOFF_MAX_MS))
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = receiver.news.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = send_waiting(app, receiver) => {}
        }
    }
}

/// Puts what is due into the queues.
async fn look(app: &App) -> Result<(), Fault> {
    let state = &app.alerts.forward;
    if app.alerting_lease().await?.is_none_or(|lease| lease.behind) {
        state.let_go();
        return Ok(());
    }
    let begins = state.ledger.lock().is_none();
    if begins {
        let ledger = ended_before(app).await?;
        *state.ledger.lock() = Some(ledger);
    }
    let due = due(app, app.now());
    for receiver in state.receivers() {
        let (waiting, dropped, news) = {
            let mut going = receiver.going.lock();
            if going.own {
                continue;
            }
            let dropped = going.waiting.add(&due);
            let news = dropped > 0 && !going.dropped;
            going.dropped |= dropped > 0;
            (going.waiting.len(), dropped, news)
        };
        let by = [("receiver", receiver.to.url.as_str())];
        app.metrics.own.set("tenfold_alerts_forward_waiting", &by, waiting as f64);
        app.metrics.own.add("tenfold_alerts_forward_dropped_total", &by, dropped as f64);
        if news {
            tell(app, &receiver.to, News::Dropped(dropped)).await;
        }
        if waiting > 0 {
            receiver.news.notify_one();
        }
    }
    Ok(())
}

/// What ended a short while before this process began to send: nobody may have said it.
async fn ended_before(app: &App) -> Result<Ledger, Fault> {
    let since = app.now().plus_ms(-RESOLVED_MS);
    let rows = app.read(move |tx| Ok(store::ended_since(tx, since, ENDED_MAX)?)).await?;
    let of_checks = app.settings.link(CHECKS);
    let mut ledger = Ledger::default();
    for row in rows {
        let Body { alert, generator_url, .. } = body(&row)?;
        let by_check = generator_url.filter(|url| url.starts_with(&of_checks));
        if row.rule_group == GROUP && by_check.is_none() {
            continue;
        }
        let Some(ended_at) = alert.resolved_at else { continue };
        let mut said = of_rule(app, &alert);
        said.ends_at = ended_at;
        if let Some(url) = by_check {
            said.generator_url = url;
        }
        ledger.over(&row.fingerprint, said);
    }
    Ok(ledger)
}

/// Where a check is looked at.
const CHECKS: &str = "/alerts/checks/";

fn due(app: &App, now: Timestamp) -> Vec<Outgoing> {
    let mut held = app.alerts.forward.ledger.lock();
    let Some(ledger) = held.as_mut() else { return Vec::new() };
    let mut look = ledger.look(now);
    let groups = app.alerts.groups.read().clone();
    for running in &groups {
        let status = running.status.lock();
        for alert in status.rules.iter().flat_map(|rule| rule.state.active.values()) {
            // One without data is not over.
            if matches!(alert.state, AlertState::Firing | AlertState::Unknown) {
                let said = || of_rule(app, alert);
                look.fires(&alert.fingerprint, since(alert), running.group.interval_ms, said);
            }
        }
    }
    for raised in checks::raised(app) {
        let labels = Labels::from_pairs(raised.labels);
        look.fires(&fingerprint(&labels), raised.since, raised.interval_ms, || Outgoing {
            labels: with_external(app, &labels),
            annotations: raised.annotations,
            starts_at: raised.since,
            ends_at: raised.since,
            generator_url: app.settings.link(&format!("{CHECKS}{}", raised.check)),
        });
    }
    look.end()
}

fn since(alert: &Alert) -> Timestamp {
    alert.fired_at.unwrap_or(alert.active_since)
}

fn of_rule(app: &App, alert: &Alert) -> Outgoing {
    Outgoing {
        labels: with_external(app, &alert.labels),
        annotations: BTreeMap::from(&*alert.annotations),
        starts_at: since(alert),
        ends_at: since(alert),
        generator_url: app.settings.link(&format!("/alerts/{}", alert.fingerprint)),
    }
}

/// An alert's own labels win, as in Prometheus.
fn with_external(app: &App, labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    for (name, value) in &app.settings.alerts.external_labels {
        if labels.get(name).is_none() {
            labels.set(name.as_str(), value.as_str());
        }
    }
    labels
}

/// Sends what waits for a receiver, until it has all or does not take it.
async fn send_waiting(app: &App, receiver: &Receiver) {
    let Ok(_one) = receiver.sending.try_lock() else { return };
    loop {
        let batch = {
            let going = receiver.going.lock();
            let now = app.now();
            // What is due later than a receiver may ask for was reckoned by a clock that has been set back since.
            let waits = going.retry_at.is_some_and(|at| (1..=RETRY_AFTER_MS_MAX).contains(&at.since_ms(now)));
            if going.own || waits { Vec::new() } else { going.waiting.batch() }
        };
        let sender = app.alerts.forward.sender.read().clone();
        let (Some(sender), false) = (sender, batch.is_empty()) else { return };
        if !app.alerts.lease.lock().in_step() {
            return;
        }
        let alerts: Vec<&Outgoing> = batch.iter().map(|(_, one)| one).collect();
        let body = match serde_json::to_string(&alerts) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, "alerts cannot be written as JSON");
                return;
            }
        };
        let from = app.alerts.forward.name.get().map_or("", String::as_str);
        let answer = match tokio::time::timeout(TIMEOUT, sender.send(&receiver.to, body, from)).await {
            Ok(answer) => answer,
            Err(_) => Err(ForwardError::Failed(NotifyError {
                permanent: false,
                too_large: false,
                retry_after_ms: None,
                message: format!("no answer within {} s", TIMEOUT.as_secs()),
            })),
        };
        let goes_on = match &answer {
            Ok(()) => true,
            Err(ForwardError::Own) => false,
            Err(ForwardError::Failed(error)) => error.permanent || error.too_large,
        };
        answered(app, receiver, &batch, answer).await;
        if !goes_on {
            return;
        }
    }
}

async fn answered(app: &App, receiver: &Receiver, batch: &[(u64, Outgoing)], answer: Result<(), ForwardError>) {
    let (own, by) = (&app.metrics.own, [("receiver", receiver.to.url.as_str())]);
    let (news, waiting) = {
        let mut going = receiver.going.lock();
        let news = match answer {
            Ok(()) => {
                going.waiting.done(batch);
                going.waiting.grow();
                let failed = std::mem::take(&mut going.failed) > 0;
                (going.retry_at, going.dropped) = (None, false);
                own.add("tenfold_alerts_forward_sent_total", &by, batch.len() as f64);
                failed.then_some(News::Recovered)
            }
            Err(ForwardError::Own) => {
                *going = Going { own: true, ..Going::default() };
                Some(News::Own)
            }
            Err(ForwardError::Failed(error)) if error.too_large && going.waiting.halve(batch.len()) => {
                tracing::debug!(receiver = receiver.to.url, error = error.message, "fewer alerts in a request");
                own.add("tenfold_alerts_forward_errors_total", &by, 1.0);
                None
            }
            Err(ForwardError::Failed(error)) if error.permanent || error.too_large => {
                going.waiting.done(batch);
                own.add("tenfold_alerts_forward_errors_total", &by, 1.0);
                own.add("tenfold_alerts_forward_dropped_total", &by, batch.len() as f64);
                let alone = batch.first().filter(|_| error.too_large).map(|(_, one)| &one.labels);
                if let Some(labels) = alone {
                    let name = labels.get("alertname").unwrap_or("without a name").to_owned();
                    going.is_news(labels).then_some(News::TooLarge(name, error.message))
                } else {
                    let said = std::mem::replace(&mut going.dropped, true);
                    (!said).then_some(News::Refused(batch.len(), error.message))
                }
            }
            Err(ForwardError::Failed(error)) => {
                own.add("tenfold_alerts_forward_errors_total", &by, 1.0);
                let backoff = BACKOFF_FIRST_MS.saturating_mul(1 << going.failed.min(16)).min(BACKOFF_MAX_MS);
                let wait_ms = error.retry_after_ms.map_or(backoff, |asked| asked.clamp(1, RETRY_AFTER_MS_MAX));
                going.retry_at = Some(app.now().plus_ms(wait_ms));
                going.failed = going.failed.saturating_add(1);
                (going.failed == 1).then_some(News::Failed(error.message))
            }
        };
        (news, going.waiting.len())
    };
    own.set("tenfold_alerts_forward_waiting", &by, waiting as f64);
    if let Some(news) = news {
        tell(app, &receiver.to, news).await;
    }
}

/// Puts a sentence into the record. That it cannot be written is no reason to send nothing.
async fn tell(app: &App, to: &ForwardTo, news: News) {
    let draft = draft(to, news);
    let telling = async {
        let Some(lease) = app.alerting_lease().await? else { return Ok(()) };
        app.housekeeping(move |t| {
            lease.check(t)?;
            t.record(draft.clone())?;
            Ok(())
        })
        .await
    };
    if let Err(fault) = telling.await {
        tracing::warn!(%fault, receiver = to.url, "the record was not told how sending alerts on goes");
    }
}

fn draft(to: &ForwardTo, news: News) -> EventDraft {
    let url = &to.url;
    let (kind, severity, text, error) = match news {
        News::Failed(error) => (
            "forward.failed",
            Severity::Warning,
            format!("The Alertmanager {url} does not take alerts ({error}); they wait for it"),
            Some(error),
        ),
        News::Recovered => {
            ("forward.recovered", Severity::Good, format!("The Alertmanager {url} takes alerts again"), None)
        }
        News::Dropped(count) => (
            "forward.dropped",
            Severity::Warning,
            format!(
                "Too many alerts wait for the Alertmanager {url}: the {count} that waited longest were dropped, and more may follow"
            ),
            None,
        ),
        News::Refused(count, error) => (
            "forward.dropped",
            Severity::Warning,
            format!("The Alertmanager {url} refuses {count} alerts for good ({error})"),
            Some(error),
        ),
        News::TooLarge(name, error) => (
            "forward.dropped",
            Severity::Warning,
            format!("The alert {name} alone is too large for the Alertmanager {url} ({error}); it does not hear of it"),
            Some(error),
        ),
        News::Own => (
            "forward.own",
            Severity::Warning,
            format!("The Alertmanager {url} is this server: nothing is sent to it; take it out of `alerts.forward`"),
            None,
        ),
    };
    EventDraft::new(Actor::system(), Source::System, kind, text)
        .severity(severity)
        .data(json!({"receiver": url, "error": error}))
}

impl App {
    /// Gives what posts alerts to other Alertmanagers. Called once at start.
    pub fn set_alert_sender(&self, sender: Arc<dyn AlertSender>) {
        *self.alerts.forward.sender.write() = Some(sender);
    }

    /// One look at what is due, and one try to send what waits, until each receiver has answered. Tests call it after moving
    /// the clock.
    pub async fn forward_tick(&self) -> Result<(), Fault> {
        look(self).await?;
        join_all(self.alerts.forward.receivers().iter().map(|receiver| send_waiting(self, receiver))).await;
        Ok(())
    }

    /// Where alerts are sent on to, and whether anything is sent there: nothing is to this server itself.
    pub fn forward_receivers(&self) -> Vec<(String, bool)> {
        let receivers = self.alerts.forward.receivers().iter();
        receivers.map(|receiver| (receiver.to.address(), !receiver.going.lock().own)).collect()
    }

    /// Whether alerts that name their sender were sent by this server, or by another of its database.
    pub async fn forward_is_own(&self, from: &str) -> Result<bool, Fault> {
        let own = match self.alerts.forward.name.get() {
            Some(name) => Some(name.clone()),
            // This one sends nothing on; another node may.
            None => self.read(|tx| Ok(cursors::get_text(tx, NAME)?)).await?,
        };
        Ok(own.as_deref() == Some(from))
    }
}
