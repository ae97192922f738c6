//! Watching: each live ramp with a guard is asked about every few seconds, and each due ramp takes its step.
//!
//! What a guard has seen of a step is kept in memory between the looks; only what the machine does is written. Whatever
//! is written is decided again inside its transaction from what is stored there, so that of several nodes one acts.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tenfold_flags::{BadOfTotal, Condition, Flag, Guard, JudgeCondition, Ramp, RampEffect, RampInput, Reading, Watch};
use tenfold_judge::Verdict;
use tenfold_types::{Fault, Labels, Matcher, Severity, Timestamp};
use tokio_util::sync::CancellationToken;

use super::tell;
use crate::chat::announce::span;
use crate::flags::changes::Done;
use crate::flags::manage::state_of;
use crate::incidents::{GuardIncident, open_by_guard};
use crate::judged::{Errors, Sides};
use crate::metrics::SeriesFilter;
use crate::{App, Caller};

/// Ramps with a guard that are live at one time.
pub const GUARDED_RAMPS_MAX: usize = 200;
/// How often it is looked whose turn it is.
const TICK: Duration = Duration::from_millis(500);
/// Queries of guards at a time.
const LOOKS_AT_ONCE: usize = 4;
/// A counter that had a series within this time is known: that it has none now means that it counted nothing.
const KNOWN_MS: i64 = 24 * 3_600_000;
/// A good verdict of the judge stands while both sides made a request within so many looks, and at least this long.
const SILENT_LOOKS: i64 = 12;
const SILENT_MS_MIN: i64 = 60_000;

type Place = (String, String);

/// What the guards have seen since the last thing that was written.
#[derive(Default)]
pub struct Watches(Mutex<BTreeMap<Place, Seen>>);

struct Seen {
    /// Which step of which ramp: another one starts anew.
    entered_at: Timestamp,
    position: usize,
    watch: Watch,
}

impl Watches {
    /// The ramp with what has been seen of it so far.
    pub(crate) fn overlay(&self, key: &str, place: &str, ramp: &mut Ramp) {
        let all = self.0.lock();
        let seen = all.get(&(key.to_owned(), place.to_owned()));
        if let Some(seen) = seen.filter(|s| s.entered_at == ramp.entered_at && s.position == ramp.position) {
            // What is written already is not said again.
            let waiting_since = ramp.watch.waiting_since;
            ramp.watch = Watch { waiting_since, ..seen.watch.clone() };
        }
    }

    fn keep(&self, key: &str, place: &str, ramp: &Ramp) {
        let seen = Seen { entered_at: ramp.entered_at, position: ramp.position, watch: ramp.watch.clone() };
        self.0.lock().insert((key.to_owned(), place.to_owned()), seen);
    }

    pub(crate) fn forget(&self, key: &str, place: &str) {
        self.0.lock().remove(&(key.to_owned(), place.to_owned()));
    }

    fn retain(&self, live: &[Live]) {
        self.0.lock().retain(|(key, place), _| live.iter().any(|l| l.key == *key && l.place == *place));
    }
}

/// A ramp that may still change its flag.
struct Live {
    key: String,
    place: String,
    ramp: Ramp,
}

impl crate::flags::State {
    fn live_ramps(&self) -> Vec<Live> {
        let mut live: Vec<Live> = self.look(|table| {
            let flags = table.flags.values().map(|e| &e.flag).filter(|f| !f.archived);
            let states = flags.flat_map(|f| f.environments.iter().map(move |(place, state)| (f, place, state)));
            states
                .filter_map(|(f, place, s)| {
                    let ramp = s.ramp.as_ref().filter(|r| r.is_live())?;
                    let held = table.held_off.contains_key(&(f.key.clone(), place.clone()));
                    (!held).then(|| Live { key: f.key.clone(), place: place.clone(), ramp: ramp.clone() })
                })
                .collect()
        });
        for one in &mut live {
            self.watches.overlay(&one.key, &one.place, &mut one.ramp);
        }
        live
    }

    /// Live ramps as they are stored, what their guards ask among it; those that a kill holds off as well: they may go on.
    pub(crate) fn ramps_written(&self) -> Vec<serde_json::Value> {
        self.look(|table| {
            let flags = table.flags.values().map(|e| &e.flag).filter(|f| !f.archived);
            let ramps = flags.flat_map(|f| f.environments.values()).filter_map(|s| s.ramp.as_ref());
            ramps.filter(|r| r.is_live()).filter_map(|ramp| serde_json::to_value(ramp).ok()).collect()
        })
    }

    /// Live ramps with a guard, without the one that is going to be replaced.
    pub(super) fn guarded_ramps(&self, key: &str, place: &str) -> usize {
        let other = |l: &&Live| l.key != key || l.place != place;
        self.live_ramps().iter().filter(other).filter(|l| l.ramp.is_guarded()).count()
    }
}

/// Looks for the guards, until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => app.flag_guards_look().await,
        }
    }
}

impl App {
    /// Takes the steps that are due. Public so that a test with a movable clock can call it.
    pub async fn flag_ramps_step(&self) {
        let now = self.now();
        for live in self.flags.live_ramps() {
            if live.ramp.step(&RampInput::Tick, now).is_ok_and(|(_, effects)| effects.is_empty()) {
                continue;
            }
            if let Err(fault) = self.flag_ramp_take(&live, RampInput::Tick).await {
                tracing::warn!(%fault, flag = live.key, environment = live.place, "a ramp step was not taken; it stays due");
            }
        }
    }

    /// Asks for every guard whose turn it is, and acts on the answers. Public for tests.
    pub async fn flag_guards_look(&self) {
        let now = self.now();
        let live = self.flags.live_ramps();
        self.flags.watches.retain(&live);
        let due = live.into_iter().filter(|l| {
            let every_ms = |g: &Guard| g.look_every_ms(now.since_ms(l.ramp.entered_at));
            l.ramp.guard_now().is_some_and(|g| l.ramp.watch.last_at.is_none_or(|at| now.since_ms(at) >= every_ms(g)))
        });
        stream::iter(due).for_each_concurrent(LOOKS_AT_ONCE, |live| self.flag_guard_look(live)).await;
    }

    async fn flag_guard_look(&self, live: Live) {
        let Some(guard) = live.ramp.guard_now() else { return };
        let reading = self.flag_guard_read(guard, live.ramp.entered_at).await;
        let input = RampInput::Reading(reading);
        let Ok((next, effects)) = live.ramp.step(&input, self.now()) else { return };
        if effects.is_empty() {
            self.flags.watches.keep(&live.key, &live.place, &next);
            return;
        }
        if let Err(fault) = self.flag_ramp_take(&live, input).await {
            tracing::warn!(%fault, flag = live.key, environment = live.place, "what a guard wants done is not recorded");
            let off = |e: &RampEffect| matches!(e, RampEffect::Tripped { percent: None, .. });
            // Switching off waits for no database: the journal keeps it, and the record follows.
            if effects.iter().any(off)
                && let Err(fault) =
                    self.flag_off(&Caller::system(), &live.key, &live.place, Some("its guard failed")).await
            {
                tracing::error!(%fault, flag = live.key, environment = live.place, "a guard could not switch a flag off");
            }
        }
    }

    async fn flag_guard_read(&self, guard: &Guard, since: Timestamp) -> Reading {
        if let Condition::Judge(judge) = &guard.condition {
            return self.flag_guard_judge(guard, judge, since).await;
        }
        let expr = match self.flag_guard_expr(&guard.expr).await {
            Ok(expr) => expr,
            Err(why) => return Reading::no_data(why),
        };
        let answer = match self.query_numbers(&expr).await {
            Ok(answer) => answer,
            Err(why) => return Reading::no_data(why),
        };
        let traffic = match &guard.traffic {
            None => None,
            Some(traffic) => match self.query_numbers(&traffic.expr).await {
                Ok(rows) => Some(rows.iter().map(|(_, value)| value).sum()),
                Err(why) => return Reading::no_data(why),
            },
        };
        guard.read(&answer, traffic)
    }

    /// What is asked for a threshold: a ratio of counters with zero in place of a numerator that has counted nothing.
    async fn flag_guard_expr(&self, expr: &str) -> Result<String, String> {
        let Some(filled) = super::ratio::fill(expr) else { return Ok(expr.to_owned()) };
        for name in &filled.apart {
            if !self.flag_guard_knows(name).await? {
                return Ok(expr.to_owned());
            }
        }
        Ok(filled.expr)
    }

    /// Whether a counter is known to whoever answers queries.
    async fn flag_guard_knows(&self, name: &str) -> Result<bool, String> {
        if name.is_empty() {
            return Ok(false);
        }
        let now = self.now();
        let (start_ms, end_ms) = (now.plus_ms(-KNOWN_MS).millis(), now.millis());
        let matcher = Matcher::equal(Labels::NAME, name);
        if !self.metrics.is_asked_elsewhere() {
            let filter = SeriesFilter { selectors: vec![vec![matcher]], start_ms, end_ms };
            return Ok(self.metrics.series(&filter).is_ok_and(|series| !series.is_empty()));
        }
        let seconds = |ms: i64| (ms / 1_000).to_string();
        let asked = [
            ("match[]".to_owned(), format!("{{{matcher}}}")),
            ("start".to_owned(), seconds(start_ms)),
            ("end".to_owned(), seconds(end_ms)),
            // One is enough; a cluster that does not know the parameter tells all.
            ("limit".to_owned(), "1".to_owned()),
        ];
        let answer = self.ask_cluster("/api/v1/series", &asked).await.map_err(|fault| fault.message)?;
        Ok(answer.is_some_and(|a| a.json["data"].as_array().is_some_and(|all| !all.is_empty())))
    }

    async fn flag_guard_judge(&self, guard: &Guard, judge: &JudgeCondition, since: Timestamp) -> Reading {
        let pair = |of: &BadOfTotal| (of.bad.clone(), of.total.clone());
        let errors = judge.errors.as_ref().map(|e| Errors { canary: pair(&e.new), control: pair(&e.old) });
        let latency = judge.latency.as_ref().map(|l| (l.new.clone(), l.old.clone()));
        let sides = Sides { errors, latency, equal_since: None };
        let judged = match self.judge_report(&sides, judge.settings(), since, guard.interval_ms).await {
            Ok(judged) => judged,
            Err(why) => return Reading::no_data(why),
        };
        let now = self.now();
        let silent_ms_max = (SILENT_LOOKS * guard.look_every_ms(now.since_ms(since))).max(SILENT_MS_MIN);
        let silent_ms = judged.newest.map_or(0, |at| now.since_ms(at));
        // What was good until the requests ended is not known to be good now.
        if judged.report.verdict == Verdict::NotWorse && silent_ms > silent_ms_max {
            return Reading::no_data(format!("one of the two sides made no request for {}", span(silent_ms)));
        }
        Reading::judged(judged.report)
    }

    /// Steps the stored ramp by `input` in one transaction, if it is still the one that was looked at.
    async fn flag_ramp_take(&self, live: &Live, input: RampInput) -> Result<(), Fault> {
        let (seen, place) = (live.ramp.clone(), live.place.clone());
        self.flag_change_in(&live.key, move |t, flag| {
            let now = t.now();
            let Some(next) = take(flag, &place, &seen, &input, now) else { return Ok(Done::nothing()) };
            let (next, effects) = next;
            let key = flag.key.clone();
            let state_after = next.state;
            let guard = next.guard_now().cloned();
            let mut events =
                tell::carry_out(&Caller::system(), &key, &place, state_of(flag, &place), next, &effects, now)?;
            for event in &mut events {
                let Some(title) = tell::incident_title(state_after, event) else { continue };
                let Some(guard) = guard.as_ref().filter(|g| g.incident || pages(&effects)) else { continue };
                let incident = GuardIncident {
                    title,
                    critical: guard.severity == Severity::Critical,
                    service: guard.service.clone(),
                    environment: place.clone(),
                    flag: key.clone(),
                    onset: now,
                    own: None,
                };
                event.subject.incident = open_by_guard(t, incident)?;
            }
            Ok(Done::with(events))
        })
        .await?;
        self.flags.watches.forget(&live.key, &live.place);
        Ok(())
    }
}

/// Whether what was done is that people are called.
fn pages(effects: &[RampEffect]) -> bool {
    let page = |e: &RampEffect| matches!(e, RampEffect::GaveUp { action: tenfold_flags::WaitAction::Page, .. });
    effects.iter().any(page)
}

/// The stored ramp after `input`; nothing when it is another one by now or there is nothing to do any more.
fn take(
    flag: &mut Flag,
    place: &str,
    seen: &Ramp,
    input: &RampInput,
    now: Timestamp,
) -> Option<(Ramp, Vec<RampEffect>)> {
    let stored = state_of(flag, place).ramp.as_ref()?;
    let same = stored.entered_at == seen.entered_at && stored.position == seen.position && stored.state == seen.state;
    if !same {
        return None;
    }
    let waiting_since = stored.watch.waiting_since;
    let ramp = Ramp { watch: Watch { waiting_since, ..seen.watch.clone() }, ..stored.clone() };
    let (next, effects) = ramp.step(input, now).ok()?;
    (!effects.is_empty()).then_some((next, effects))
}
