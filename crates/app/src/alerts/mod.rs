//! Alerts: rule groups are evaluated on their interval and when samples come, transitions are stored and recorded, and an
//! alert that pages opens an incident or joins the one that is open.
//!
//! Only transitions are written; between them an alert lives in memory. One node evaluates, under a lease whose epoch is
//! checked in every transaction that writes. No data and failed queries never end an alert.

mod ahead;
mod arrivals;
mod asked;
mod believed;
mod counted;
mod deploy_mutes;
mod evaluate;
mod flaps;
mod forward;
mod graph;
mod groups;
mod inbox;
mod keyed;
mod lease;
mod linting;
mod listed;
mod mute_cover;
mod mute_looks;
mod mutes;
mod open_mutes;
mod outdated;
mod owner;
mod pipeline;
mod ports;
mod posted;
mod received;
mod round;
mod routing_drafts;
mod rules;
mod rules_listed;
mod seen;
mod several;
mod source;
mod suspects;
mod telling;
mod told_changes;
mod transitions;
#[cfg(test)]
mod turns_tests;
mod views;
mod waits;
mod webhooks;
mod why;
mod why_not;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tenfold_alerting::Messages;
use tenfold_store::{alerts as store, events::EventQuery};
use tenfold_types::{Fault, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{App, checks};

pub use flaps::FlapView;
pub use forward::{AlertSender, FORWARDED_BY, ForwardError};
pub use graph::AlertGraph;
pub use inbox::{RefusedList, RefusedView, Settle, Settled};
pub use keyed::{INTEGRATION_LABEL, KEY_LABEL};
pub use listed::{AlertAsk, AlertCounts, AlertPage};
pub use mute_looks::{CalendarAsk, MuteCalendar, MutePreview, MuteTurn, MutedAlert};
pub use mutes::{Matchers, NewMute};
pub use ports::{
    Channel, Notice, Notifier, NotifyError, Push, PushError, PushTo, RuleSource, Update, UpdateKind, WebhookPoster,
    WebhookSpec, check_url,
};
pub use posted::PostedAlert;
pub use routing_drafts::{RoutingAccount, RoutingDrafts, draft_routing};
pub use rules::{RuleChange, rule_file_version};
pub use rules_listed::{RuleAsk, RuleCounts, RuleGroupList};
pub use seen::{ALERTMANAGER_VERSION, AlertingStatus, SeenAlert};
pub use told_changes::ToldChange;
pub use views::{
    ActiveAlertView, AlertView, MuteView, RuleFindingView, RuleGroupView, RuleView, SuspectView, TurnView,
};
pub use why::{Asked, Decided, Foreseen, Foretold, Question, RoutingView, WhyView};
pub use why_not::{WhyNotAsk, WhyNotView};

pub use tenfold_alerting::{template_files, with_template_texts};

pub(crate) use deploy_mutes::{DeployMute, deploy_mute_begins, deploy_mute_ends};
pub(crate) use lease::{BACK_MS_MIN, Lease};
pub(crate) use linting::{accepted as lint_accepted, complete as lint_complete, lacking as lint_lacking};
pub(crate) use mute_cover::{Ahead, Cover, LabelsRead};
pub(crate) use open_mutes::MuteWrites;
pub(crate) use owner::{RuleOf, rule_of, severity_of};
pub(crate) use suspects::suspects;
pub(crate) use telling::incidents_of;

/// How long a firing alert without data waits for its data to come back before it is given up as expired.
pub const UNKNOWN_KEEP_MS: i64 = 3_600_000;
/// How long ended alerts stay listed.
const ENDED_KEEP_MS: i64 = 30 * 86_400_000;
/// How often groups are looked at.
const TICK: Duration = Duration::from_millis(200);

/// What this part keeps in memory.
#[derive(Default)]
pub struct State {
    groups: RwLock<Vec<Arc<groups::Running>>>,
    source: RwLock<Option<Arc<dyn RuleSource>>>,
    pub(crate) notifier: RwLock<Option<Arc<dyn Notifier>>>,
    /// The webhooks of receivers.
    webhooks: webhooks::State,
    /// Other Alertmanagers that are sent our own alerts.
    forward: forward::State,
    /// A group may be due at another time than the loop waits for.
    flushes: tokio::sync::Notify,
    lease: Mutex<lease::Held>,
    /// One asks for the lease at a time.
    lease_turn: tokio::sync::Mutex<()>,
    started_at: Mutex<Option<Timestamp>>,
    /// Alerts that others send, by fingerprint.
    received: Mutex<BTreeMap<String, received::Received>>,
    /// What is new of a sender or of a rule is stored one after the other, so that one alert begins once.
    hearing: tokio::sync::Mutex<()>,
    /// Which rules have an alert that fires.
    brought: Mutex<several::Brought>,
    /// One request of senders with keys at a time, so that a key is one alert.
    keyed: tokio::sync::Mutex<()>,
    /// Alerts of which something waits in the inbox to be tried again, or is tried just now.
    waits: Mutex<waits::Waits>,
    /// What is known of requests that are kept aside.
    aside: Mutex<outdated::Aside>,
    routing: RwLock<Option<Arc<pipeline::Held>>>,
    /// Who was told of what. Held while a step is made and queued, so that steps follow one another.
    pipeline: tokio::sync::Mutex<tenfold_alerting::pipeline::PipelineState>,
    /// Steps that are being stored.
    ahead: ahead::Ahead,
    open_mutes: Arc<open_mutes::OpenMutes>,
    recorded_before: Mutex<Option<suspects::RecordedBefore>>,
    /// The newest event of another node that is known here.
    followed: Mutex<i64>,
    /// What samples came for, and which rules that makes due.
    arrivals: Mutex<tenfold_alerting::Arrivals>,
    /// One evaluation at a time: a tick that comes while the last still runs is left out.
    evaluating: tokio::sync::Mutex<()>,
    /// Groups whose evaluation takes long, by their places.
    late: Mutex<BTreeMap<usize, evaluate::Late>>,
    /// The epoch of the lease under which groups were evaluated last.
    evaluated_under: Mutex<Option<i64>>,
    /// How long other groups wait for one, where it is not as long as usual.
    patience: Mutex<Option<Duration>>,
}

impl State {
    fn routing(&self) -> Result<Arc<pipeline::Held>, Fault> {
        self.routing.read().clone().ok_or_else(|| Fault::internal("the routing is not loaded yet"))
    }
}

pub async fn load(app: &App) -> Result<(), Fault> {
    let before = app.now().plus_ms(-ENDED_KEEP_MS);
    *app.alerts.started_at.lock() = Some(app.now());
    app.housekeeping(move |t| Ok(store::forget_ended(t.tx(), before)?)).await?;
    forward::load(app).await?;
    groups::reload(app).await
}

/// Evaluates rules, looks at groups of alerts, tells webhooks and sends alerts on until it is stopped.
pub async fn run(app: App, stop: CancellationToken) {
    tokio::join!(
        evaluate_rules(&app, &stop),
        look_at_groups(&app, &stop),
        webhooks::run(&app, &stop),
        forward::run(&app, &stop),
    );
}

/// Groups that are due within this time of a look are looked at together.
const TOGETHER: Duration = Duration::from_millis(30);

/// Looks at groups at the instant they are due; the ticks of the rules are too far apart for it.
async fn look_at_groups(app: &App, stop: &CancellationToken) {
    loop {
        let due = app.alerts.pipeline.lock().await.next_due();
        let wait_ms = due.map_or(1_000, |at| at.since_ms(app.now()).clamp(0, 1_000));
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = app.alerts.flushes.notified() => continue,
        }
        let looked = async {
            let Some(lease) = app.alerting_lease().await?.filter(|lease| !lease.behind) else { return Ok(false) };
            pipeline::advance(app, &lease, Vec::new()).await.map(|()| true)
        };
        let again = match looked.await {
            Ok(true) => TOGETHER,
            Ok(false) => TICK,
            Err(fault) => {
                tracing::warn!(%fault, "groups of alerts could not be looked at; trying again");
                TICK
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(again) => {}
        }
    }
}

async fn evaluate_rules(app: &App, stop: &CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let ticked = tokio::select! {
            () = stop.cancelled() => {
                // Their queries end with it.
                app.alerts.late.lock().clear();
                return;
            }
            _ = tick.tick() => true,
            () = arrivals::due(app) => false,
        };
        let done = if ticked { app.alerts_tick().await } else { app.alerts_arrived().await };
        match done {
            Ok(()) if ticked => app.rules_went_round(),
            // That samples come is no sign that what waits for its interval is looked at.
            Ok(()) => {}
            Err(fault) => tracing::warn!(%fault, "alerts could not be evaluated; trying again"),
        }
    }
}

impl App {
    /// Gives the channels pages go out through. Called once at start.
    pub fn set_notifier(&self, notifier: Arc<dyn Notifier>) {
        *self.alerts.notifier.write() = Some(notifier);
    }

    /// The words of messages, as the routing that holds has them.
    pub(crate) fn message_words(&self) -> Option<Arc<Messages>> {
        let held = self.alerts.routing().ok()?;
        Some(Arc::clone(&held.routing.messages))
    }

    /// Gives what posts to the webhooks of receivers. Called once at start.
    pub fn set_webhook_poster(&self, poster: Arc<dyn WebhookPoster>) {
        self.alerts.webhooks.set_poster(poster);
    }

    /// Evaluates rules against something else than the server's own metrics.
    pub fn set_rule_source(&self, source: Arc<dyn RuleSource>) {
        *self.alerts.source.write() = Some(source);
    }

    /// How long rules of other groups wait for those of one. For tests.
    pub fn set_rule_patience(&self, patience: Duration) {
        *self.alerts.patience.lock() = Some(patience);
    }

    /// One look at everything that is due now: rule groups, ended mutes. The loop calls it; tests do after moving the
    /// clock.
    pub async fn alerts_tick(&self) -> Result<(), Fault> {
        let round = self.alerts_round().await;
        // Whatever rules cannot do: who sent an alert to another node has the answer that it is kept.
        self.look_into_inbox().await;
        round
    }

    async fn alerts_round(&self) -> Result<(), Fault> {
        let Ok(_one) = self.alerts.evaluating.try_lock() else { return Ok(()) };
        let lease = self.alerting_lease().await?;
        self.follow_other_nodes(lease.is_some()).await?;
        checks::follow(self, lease.as_ref().is_some_and(|lease| !lease.behind)).await;
        let Some(lease) = lease else { return Ok(()) };
        if !self.catch_up(&lease).await? {
            return Ok(());
        }
        mutes::end_expired(self, &lease).await?;
        received::expire(self, &lease).await?;
        evaluate::due_groups(self, &lease).await
    }

    /// Evaluates the alerting rules that select what samples have come for, as far as that is due. The loop calls it; tests do
    /// after samples and moving the clock.
    pub async fn alerts_arrived(&self) -> Result<(), Fault> {
        let _one = self.alerts.evaluating.lock().await;
        let due = arrivals::take(self);
        match self.alerting_lease().await? {
            Some(lease) if !lease.behind => evaluate::arrived(self, &lease, due).await,
            _ => Ok(()),
        }
    }

    /// On a shared database another node may have changed rules, or evaluate them: read again what the record says has
    /// changed.
    async fn follow_other_nodes(&self, evaluates: bool) -> Result<(), Fault> {
        if self.settings.database_url.is_empty() {
            return Ok(());
        }
        let kinds: &[&str] = if evaluates {
            &["rule.changed", "routing.changed"]
        } else {
            &["rule.changed", "routing.changed", "alert."]
        };
        let query = EventQuery {
            kinds: kinds.iter().map(|k| (*k).to_owned()).collect(),
            after: Some(*self.alerts.followed.lock()),
            limit: 1,
            include_admin: true,
            ..EventQuery::default()
        };
        if let Some(newest) = self.events(query).await?.first() {
            groups::reload(self).await?;
            *self.alerts.followed.lock() = newest.seq;
        }
        Ok(())
    }
}
