//! Who is told of what: each transition goes through the pipeline of `alerting`, and what it decides is stored and recorded
//! together with the transition.
//!
//! The pipeline's state lives in memory. It is stepped on a copy, which counts once its transaction has its place in the
//! queue ([`super::ahead`]); after a start, and when one was refused, it is made again from the alerts: those with an
//! incident were told of. When rules or the routing change it is made again as well, and its groups go on as they were.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tenfold_alerting::pipeline::{
    Context, Decision, Effect, Flap, FlapRules, Flush, HowEnded, Incoming, Input, Known, PipelineState, Stage, Turn,
    Turned, Verdict, go_on, restore, step,
};
use tenfold_alerting::{
    Alert, AlertState, Fingerprint, KeptSecrets, Mute, Note, Pages, Route, RouteDefaults, Routing, RoutingSpec,
    Transition, TransitionKind, seal,
};
use tenfold_store::{Tx, alerts as store};
use tenfold_types::{Fault, Labels, Timestamp};
use tokio::task::JoinHandle;

use super::{
    flaps::{self, Calmed},
    lease::{self, Lease},
    mutes, open_mutes, received, suspects,
    telling::{self, Heard, Telling},
    transitions::{self, Beginning, Body, Origin, body},
    webhooks,
};
use crate::{App, Txn};

/// What the pipeline decided in one step.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The alerts of which somebody is told for the first time, each with those receivers that page.
    pub told: BTreeMap<Fingerprint, Vec<Telling>>,
    pub decisions: BTreeMap<Fingerprint, Vec<Decision>>,
    /// What flap state did of the alerts that came in.
    pub(super) turns: BTreeMap<Fingerprint, Turn>,
    /// What is remembered of the changes of those that came in.
    pub(super) flaps: BTreeMap<Fingerprint, Flap>,
    /// Those that flap no more.
    pub calmed: Vec<Calmed>,
    /// Groups whose receivers have webhooks.
    pub flushes: Vec<Flush>,
    /// An incident that ended less than this ago is opened again.
    pub reopen_window_ms: i64,
}

impl Outcome {
    fn of(held: &Held, state: &PipelineState, effects: Vec<Effect>) -> Self {
        let routing = &held.routing;
        let pages = |fingerprint: Fingerprint, pages: Pages| {
            state.alerts.get(&fingerprint).is_some_and(|known| transitions::pages_at(&known.labels, pages))
        };
        let mut out = Self::default();
        for effect in effects {
            match effect {
                Effect::Notify(notification) => {
                    let Some(receiver) = routing.receivers.get(&notification.receiver) else { continue };
                    let route = routing.tree.by_key(notification.group.route());
                    let group_interval_ms = route.map_or(0, |r| r.group_interval_ms);
                    let policy = receiver.policy.clone();
                    let grouped = held.yaml.as_ref().map(|_| Arc::new(notification.group.into_labels()));
                    let telling = Telling { policy, receiver: receiver.name.clone(), grouped, group_interval_ms };
                    for fingerprint in notification.new.into_iter().filter(|f| pages(*f, receiver.pages)) {
                        let tellings = out.told.entry(fingerprint).or_default();
                        if !receiver.quiet {
                            telling::add(tellings, telling.clone());
                        }
                    }
                }
                Effect::Flush(flush) => out.flushes.push(flush),
                Effect::Turned(Turned { fingerprint, turn: Turn::Calm(over) }) => {
                    // What was decided of it so far is that it is calm: that comes before all else.
                    let decisions = out.decisions.remove(&fingerprint).unwrap_or_default();
                    out.calmed.push(Calmed { fingerprint, over, decisions });
                }
                Effect::Turned(Turned { fingerprint, turn }) => {
                    out.turns.insert(fingerprint, turn);
                }
                Effect::Decided(decision) => {
                    out.decisions.entry(decision.fingerprint).or_default().push(decision);
                }
            }
        }
        out
    }

    /// Keeps what is remembered of the changes of those that came in, to be stored with them.
    fn keep_flaps(&mut self, state: &PipelineState, batch: &[(Origin, Transition)]) {
        let moved = batch.iter().filter_map(|(_, t)| Fingerprint::parse(&t.alert.fingerprint));
        self.flaps = moved.filter_map(|key| Some((key, state.flap(key)?))).collect();
    }

    /// Forgets the decisions that lead to nothing that is written: those on alerts that fired before, and of which nobody is
    /// told anew nor kept from hearing.
    fn keep_told(&mut self, batch: &[(Origin, Transition)]) {
        let mut decisions = std::mem::take(&mut self.decisions);
        let moved = batch.iter().filter_map(|(_, t)| Fingerprint::parse(&t.alert.fingerprint));
        let moved: HashSet<Fingerprint> = moved.collect();
        decisions.retain(|fingerprint, list| {
            moved.contains(fingerprint)
                || self.told.contains_key(fingerprint)
                || list.iter().any(|d| d.verdict == Verdict::Suppress)
        });
        self.decisions = decisions;
    }

    /// The alerts that are stored as over with this step, or as silent.
    fn ending(&self, before: &PipelineState, batch: &[(Origin, Transition)]) -> Vec<Labels> {
        let over = |t: &Transition| t.alert.resolved_at.is_some() || t.kind == TransitionKind::Unknown;
        let ended = batch.iter().filter(|(_, t)| over(t)).map(|(_, t)| t.alert.labels.clone());
        let calmed = self.calmed.iter().filter(|calmed| calmed.over.is_some());
        let calmed = calmed.filter_map(|calmed| Some(before.alerts.get(&calmed.fingerprint)?.labels.clone()));
        ended.chain(calmed).collect()
    }

    /// Who pages for this alert now.
    pub(super) fn pages(&self, fingerprint: &str) -> &[Telling] {
        of_alert(&self.told, fingerprint).map_or(&[], Vec::as_slice)
    }

    /// What was decided of this alert just now.
    pub(super) fn decided(&self, fingerprint: &str) -> Option<&[Decision]> {
        of_alert(&self.decisions, fingerprint).map(Vec::as_slice)
    }

    /// What keeps this alert quiet, when it was decided just now.
    pub(super) fn quiet(&self, fingerprint: &str) -> Option<&Decision> {
        self.decided(fingerprint)?.iter().rev().find(|d| d.verdict == Verdict::Suppress)
    }

    /// The mute that keeps this alert quiet.
    pub(super) fn muted_by(&self, fingerprint: &str) -> Option<i64> {
        let decision = self.quiet(fingerprint).filter(|d| d.stage == Stage::Mute)?;
        mutes::number(decision.by.as_deref()?)
    }
}

/// What there is of an alert that is stored.
pub(super) fn of_alert<'a, T>(all: &'a BTreeMap<Fingerprint, T>, fingerprint: &str) -> Option<&'a T> {
    all.get(&Fingerprint::parse(fingerprint)?)
}

/// The routing that holds, and what it was written as.
pub(super) struct Held {
    pub routing: Routing,
    pub spec: RoutingSpec,
    /// What has no equal here.
    pub report: Vec<Note>,
    /// Nothing when nobody has put one.
    pub yaml: Option<String>,
}

impl Held {
    fn plain() -> Result<Self, Fault> {
        let spec = RoutingSpec::plain();
        let routing = Routing::compile(&spec, RouteDefaults::ALERTMANAGER)
            .map_err(|e| Fault::internal(format!("the plain routing: {e}")))?;
        Ok(Self { routing, spec, report: Vec::new(), yaml: None })
    }
}

/// Reads routing and alerts from the store and makes the state from them. `put` when somebody has put the routing, be it the
/// same one: groups that were looked at before are looked at at once then, as when Alertmanager reads its file again.
pub(super) async fn reload(app: &App, put: bool) -> Result<(), Fault> {
    let mut memory = app.alerts.pipeline.lock().await;
    // What is under way would else be missing from what is read.
    app.alerts.ahead.settle().await;
    let now = app.now();
    let (row, rows, mutes) =
        app.read(move |tx| Ok((store::routing(tx)?, store::active(tx)?, mutes::open(tx, now)?))).await?;
    let held = match row {
        None => Held::plain()?,
        Some(row) => {
            let kept = kept_secrets(Some(&row))?;
            let imported = tenfold_alerting::import_stored(&row.yaml, &kept)
                .map_err(|e| Fault::internal(format!("the routing cannot be read: {e}")))?;
            // An older version kept secrets in the text, which is shown.
            let yaml = seal(&row.yaml, &kept).map_or(row.yaml, |sealed| sealed.yaml);
            Held { routing: imported.routing, spec: imported.spec, report: imported.report, yaml: Some(yaml) }
        }
    };
    let mut alerts = Vec::new();
    for row in rows.iter().filter(|r| r.state == "firing" || r.state == "unknown") {
        let Body { alert, paged, generator_url, .. } = body(row)?;
        let heard = Heard(row.incident.map(|_| paged));
        let mut known = Known { generator_url, ..known(&alert) };
        known.lapsed = alert.no_data_since.filter(|_| row.rule_group == received::GROUP);
        alerts.push((known, heard));
    }
    for alert in webhooks::reload(app, &rows).await? {
        alerts.push((alert, Heard(None)));
    }
    let flapping = FlapRules::from(app.settings.alerts.flapping);
    let context = Context { routing: &held.routing, mutes: &mutes, flapping };
    let told = |heard: &Heard, route: &Route| heard.by(held.routing.receivers.get(&route.receiver));
    let mut state = restore(context, alerts, told, now);
    // Else nobody knows what was decided since, on this node or another.
    if app.alerts.lease.lock().in_step() {
        let rerouted = put || app.alerts.routing.read().as_ref().is_none_or(|before| before.yaml != held.yaml);
        go_on(context, &mut state, &memory, rerouted, now);
    }
    *memory = state;
    flaps::recall(app, &mut memory, &rows).await?;
    webhooks::forget_gone(app, &memory);
    received::reload(app, &rows)?;
    *app.alerts.routing.write() = Some(Arc::new(held));
    app.alerts.flushes.notify_one();
    Ok(())
}

/// The secrets of the webhooks of a stored routing.
pub(super) fn kept_secrets(row: Option<&store::RoutingRow>) -> Result<Vec<KeptSecrets>, Fault> {
    let Some(row) = row else { return Ok(Vec::new()) };
    if row.secrets.is_empty() {
        // One that was put before secrets were kept apart has them in its text.
        return Ok(seal(&row.yaml, &[]).map(|sealed| sealed.secrets).unwrap_or_default());
    }
    // What is wrong in it is not repeated: it would be a secret.
    serde_json::from_str(&row.secrets).map_err(|_| Fault::internal("the routing's secrets cannot be read".to_owned()))
}

pub(super) fn known(alert: &Alert) -> Known {
    Known {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at: alert.fired_at.unwrap_or(alert.active_since),
        ended: None,
        lapsed: None,
        generator_url: None,
    }
}

fn incoming(origin: &Origin, transition: &Transition, now: Timestamp) -> Option<Incoming> {
    let mut lapsed = None;
    let at = transition.alert.resolved_at.unwrap_or(now);
    let ended = match transition.kind {
        TransitionKind::Firing | TransitionKind::FiringAgain => None,
        TransitionKind::Resolved => Some((at, HowEnded::Resolved)),
        TransitionKind::Expired => Some((at, HowEnded::Expired)),
        TransitionKind::RuleRemoved => Some((at, HowEnded::RuleRemoved)),
        TransitionKind::Unknown if origin.is_received() => {
            lapsed = transition.alert.no_data_since;
            None
        }
        TransitionKind::Pending | TransitionKind::Cleared | TransitionKind::Unknown => return None,
    };
    // An alert that waited for its `for` was not known to fire before.
    if ended.is_some() && transition.from == Some(AlertState::Pending) {
        return None;
    }
    let Known { labels, annotations, starts_at, .. } = known(&transition.alert);
    let generator_url = origin.generator_url.clone();
    Some(Incoming { labels, annotations, starts_at, ended, lapsed, generator_url })
}

/// Takes transitions through the pipeline, and looks at the groups that are due; with no transitions only that.
pub(super) async fn advance(app: &App, lease: &Lease, batch: Vec<(Origin, Transition)>) -> Result<(), Fault> {
    match stage(app, lease, batch, Vec::new()).await? {
        Some(staged) => staged.stored().await,
        None => Ok(()),
    }
}

/// A step that memory has made, and that is being written.
pub(super) struct Staged(JoinHandle<Result<(), Fault>>);

impl Staged {
    /// Returns when it is durable and who is told of it is on the way; fails when memory has to be read again.
    pub(super) async fn stored(self) -> Result<(), Fault> {
        self.0.await.map_err(|e| Fault::internal(format!("a step of the alerts ended early: {e}")))?
    }
}

/// The same up to where it is written, with what senders say anew of alerts that are over already and have not been told
/// of. Nothing where nothing is to be done.
pub(super) async fn stage(
    app: &App,
    lease: &Lease,
    batch: Vec<(Origin, Transition)>,
    mut again: Vec<Incoming>,
) -> Result<Option<Staged>, Fault> {
    let mut memory = app.alerts.pipeline.lock().await;
    if batch.is_empty() && again.is_empty() && memory.next_due().is_none_or(|due| due > app.now()) {
        return Ok(None);
    }
    // Of what merely fires and rings nobody, the loop of the incidents has nothing to do.
    let only_fires = batch.iter().all(|(_, t)| t.kind == TransitionKind::Firing);
    // All else may go on from what is written now.
    if only_fires && again.is_empty() && !batch.is_empty() {
        app.alerts.ahead.room().await;
    } else {
        app.alerts.ahead.settle().await;
    }
    let now = app.now();
    again.retain(|i| memory.alerts.get(&Fingerprint::of(&i.labels)).is_some_and(|k| k.ended.is_some()));
    if batch.is_empty() && again.is_empty() && memory.next_due().is_none_or(|due| due > now) {
        return Ok(None);
    }
    let mutes = open_mutes::open(app, now).await?;
    let held = app.alerts.routing()?;
    let flapping = FlapRules::from(app.settings.alerts.flapping);
    let context = Context { routing: &held.routing, mutes: &mutes, flapping };
    let mut state = memory.clone();
    for fingerprint in flaps::put_aside(app, &state, &batch).await? {
        state.let_go(fingerprint);
    }
    for (_, worse) in batch.iter().filter(|(origin, t)| origin.at_once && t.kind == TransitionKind::Firing) {
        state.hurry(&held.routing, &worse.alert.labels, now);
    }
    let mut inputs: Vec<Incoming> = batch.iter().filter_map(|(o, t)| incoming(o, t, now)).collect();
    inputs.extend(again);
    let effects = step(context, &mut state, Input::Alerts(inputs), now);
    let mut outcome = Outcome::of(&held, &state, effects);
    outcome.keep_told(&batch);
    outcome.keep_flaps(&state, &batch);
    outcome.reopen_window_ms = app.settings.alerts.reopen_window_ms;
    let flushes = std::mem::take(&mut outcome.flushes);
    let decided = !outcome.told.is_empty() || !outcome.decisions.is_empty() || !outcome.calmed.is_empty();
    let for_people = !only_fires || !outcome.told.is_empty() || !outcome.calmed.is_empty();
    let ending = outcome.ending(&memory, &batch);
    webhooks::store_before_end(app, lease, &held.routing, &ending).await?;
    let queued = if !batch.is_empty() || decided {
        let lease = lease.clone();
        let mut foreseen = Beginning::foreseen(&batch, &outcome)?;
        let suspected = match transitions::suspected(&batch) {
            Some(span) => Some((span, suspects::recorded_before(app, span.from).await?)),
            None => None,
        };
        let writes = move |t: &mut Txn<'_>| {
            lease.check(t)?;
            // When it is run again, they are made again.
            transitions::persist(t, &batch, std::mem::take(&mut foreseen), &outcome, suspected)
        };
        Some(app.transact_queued(writes).await?)
    } else {
        None
    };
    *memory = state;
    let app = app.clone();
    // It has its number before the pipeline is let go, and lands whatever becomes of who waits for it.
    let number = app.alerts.ahead.number();
    drop(memory);
    let told = tokio::spawn(async move {
        let step = app.alerts.ahead.step(number);
        let stored = match queued {
            Some(queued) => queued.done(&app).await,
            None => Ok(()),
        };
        step.turn().await;
        if stored.is_err() {
            lease::fell_behind(&app);
        } else {
            if for_people {
                app.incidents.wake();
            }
            if !flushes.is_empty() {
                webhooks::flushed(&app, &held.routing, flushes, now);
            }
        }
        step.land(stored.is_ok());
        app.alerts.flushes.notify_one();
        stored
    });
    Ok(Some(Staged(told)))
}

/// A look at the pipeline: its routing, its state and the open mutes at this moment.
pub(super) struct Look {
    pub held: Arc<Held>,
    pub state: PipelineState,
    pub mutes: Vec<Mute>,
    pub flapping: FlapRules,
    pub at: Timestamp,
}

impl Look {
    pub(super) fn context(&self) -> Context<'_> {
        Context { routing: &self.held.routing, mutes: &self.mutes, flapping: self.flapping }
    }
}

pub(super) async fn look(app: &App) -> Result<Look, Fault> {
    let at = app.now();
    let mutes = app.read(move |tx: &mut dyn Tx| mutes::open(tx, at)).await?;
    let state = app.alerts.pipeline.lock().await.clone();
    let flapping = FlapRules::from(app.settings.alerts.flapping);
    Ok(Look { held: app.alerts.routing()?, state, mutes, flapping, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routing_of_an_older_version_is_shown_without_its_secrets() {
        let yaml = "route: {receiver: r}\nreceivers: [{name: r, webhook_configs: [{url: 'http://h', http_config: {bearer_token: old-pw}}]}]\n";
        let row = store::RoutingRow { yaml: yaml.to_owned(), secrets: String::new() };
        let kept = kept_secrets(Some(&row)).expect("they are read");
        let shown = seal(yaml, &kept).expect("a configuration").yaml;
        assert!(shown.contains("<secret>") && !shown.contains("old-pw"), "{shown}");
        let again = seal(&shown, &kept).expect("what is shown may be put again");
        assert!(!kept.is_empty() && again.secrets == kept);
    }
}
