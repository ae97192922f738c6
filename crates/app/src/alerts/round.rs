//! One pass over rules of a group, on a thread that may block: each is asked and stepped, one after the other.
//!
//! Most change nothing, and cost no more than their query. The pass ends at a rule that does change something, since that has to
//! be stored before the next one is asked, and goes on behind it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tenfold_alerting::{
    AlertRule, AlertState, Answer, Occasion, Present, RecordingRule, Rule, RuleState, RuleWorld, StepError, Transition,
    arrive, step,
};
use tenfold_promql::Interrupt;
use tenfold_types::{Fault, Labels, STALE_NAN, Timestamp};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{
    RuleSource, UNKNOWN_KEEP_MS,
    asked::{Expression, Otherwise},
    believed::{ALERTS, ALERTS_FOR_STATE, speaks_of},
    counted,
    evaluate::GROUPS_AT_ONCE,
    groups::Running,
    source::{self, Templates},
};
use crate::App;

/// Series that one recording rule may bring.
const RECORDED_MAX: usize = 20_000;

/// What an evaluation of an alerting rule came to.
pub(super) struct Stepped {
    pub rule: usize,
    pub transitions: Vec<Transition>,
    state: RuleState,
    error: Option<String>,
    /// The answer could not be followed: nothing is written of it.
    refused: bool,
    series: usize,
    took: Duration,
}

/// How far a pass came.
pub(super) struct Passed {
    /// The rule that changes something, when there was one.
    pub stepped: Option<Stepped>,
    /// The rules behind it.
    pub rest: Vec<usize>,
    /// Microseconds of each that was evaluated.
    pub took_us: Vec<(usize, u64)>,
}

/// Of what rules of a group are evaluated.
#[derive(Clone)]
pub(super) struct Round {
    pub app: App,
    pub running: Arc<Running>,
    pub occasion: Occasion,
    pub now: Timestamp,
}

/// A pass that was begun. Each of its queries may take as long as any other, and is ended when its time is over; all end when
/// nobody waits for the pass any more.
pub(super) struct Passing {
    work: JoinHandle<Passed>,
    watch: Arc<Watch>,
    allowed_ms: u64,
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.watch.end();
    }
}

impl Passing {
    /// Waits for what it comes to, until then; nothing where it is still under way. Not asked again once that was told.
    pub async fn done(&mut self, until: Instant) -> Result<Option<Passed>, Fault> {
        loop {
            let late_at = self.watch.began_at() + Duration::from_millis(self.allowed_ms);
            tokio::select! {
                biased;
                done = &mut self.work => {
                    let done = done.map_err(|e| Fault::internal(format!("evaluating a rule panicked: {e}")));
                    return done.map(Some);
                }
                () = tokio::time::sleep_until(late_at.min(until)) => {
                    self.watch.end_late(self.allowed_ms);
                    if Instant::now() >= until {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The same without waiting.
    pub fn is_under_way(&self) -> bool {
        self.watch.end_late(self.allowed_ms);
        !self.work.is_finished()
    }
}

impl Round {
    /// Begins to evaluate rules in their order, until one changes something.
    pub fn pass(&self, rules: Vec<usize>) -> Passing {
        let allowed_ms = self.app.settings.metrics.query.timeout_ms;
        let watch = Arc::new(Watch::new());
        let source = self.app.alerts.source.read().clone();
        let pass = Pass { round: self.clone(), source, runtime: Handle::current(), watch: watch.clone() };
        let work = tokio::task::spawn_blocking(move || pass.run(rules));
        Passing { work, watch, allowed_ms }
    }

    /// Lets what a rule came to count. `ALERTS` keeps to the interval of its group: samples in between would make what is
    /// counted over time depend on how often others send theirs.
    pub fn keep(&self, mut stepped: Stepped) {
        if self.occasion == Occasion::Interval && !stepped.refused {
            self.bring(stepped.rule, source::floats(state_series(&stepped.state)).collect());
        }
        let mut status = self.running.status.lock();
        if let Some(rule) = status.rules.get_mut(stepped.rule) {
            rule.state = stepped.state;
            // What comes in between is not asked whether there is data: an error of that stands until the interval says otherwise.
            if self.occasion == Occasion::Arrival {
                stepped.error = rule.error.take();
            }
        }
        drop(status);
        self.note(stepped.rule, stepped.error, stepped.series, stepped.took);
    }

    fn note(&self, index: usize, error: Option<String>, series: usize, took: Duration) {
        if error.is_some() && self.occasion == Occasion::Interval {
            counted::failed(&self.app, &self.running);
        }
        let mut status = self.running.status.lock();
        let Some(rule) = status.rules.get_mut(index) else { return };
        rule.error = error;
        rule.evaluated_at = Some(self.now);
        rule.took_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        rule.series = series;
    }

    /// Records what a rule brings, and the end of what it brought the last time and brings no more.
    fn bring(&self, index: usize, mut rows: Vec<source::Row>) {
        let brings: BTreeSet<Labels> = rows.iter().map(|(labels, _)| labels.clone()).collect();
        let mut status = self.running.status.lock();
        if let Some(rule) = status.rules.get_mut(index) {
            // A number that marks the end ends a series of histograms as well: the newest counts.
            let gone = rule.wrote.difference(&brings).map(|gone| (gone.clone(), STALE_NAN));
            rows.extend(source::floats(gone.collect()));
            rule.wrote = brings;
        }
        drop(status);
        source::bring_rows(&self.app, rows, self.asked_at());
    }

    /// The instant that expressions are asked for, which is that of what they bring as well.
    fn asked_at(&self) -> Timestamp {
        self.now.plus_ms(-self.running.group.offset_ms)
    }
}

/// The query that runs at the moment, and since when.
struct Watch {
    runs: Mutex<(Instant, Arc<Interrupt>)>,
    over: AtomicBool,
}

impl Watch {
    fn new() -> Self {
        Self { runs: Mutex::new((Instant::now(), Arc::default())), over: AtomicBool::new(false) }
    }

    /// A query begins, or the writing of a rule's sentences.
    fn begin(&self) -> Arc<Interrupt> {
        let interrupt = Arc::new(Interrupt::default());
        *self.runs.lock() = (Instant::now(), interrupt.clone());
        // Asked after it can be found there: whoever ends everything either finds it or is seen here.
        if self.is_over() {
            interrupt.cancel();
        }
        interrupt
    }

    fn began_at(&self) -> Instant {
        self.runs.lock().0
    }

    fn end_late(&self, allowed_ms: u64) {
        let mut runs = self.runs.lock();
        if runs.0.elapsed() >= Duration::from_millis(allowed_ms) {
            runs.1.time_out(allowed_ms);
            runs.0 = Instant::now();
        }
    }

    fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.runs.lock().1.cancel();
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

struct Pass {
    round: Round,
    /// Who answers instead of the server's own metrics.
    source: Option<Arc<dyn RuleSource>>,
    runtime: Handle,
    watch: Arc<Watch>,
}

impl Pass {
    fn run(&self, rules: Vec<usize>) -> Passed {
        let mut took_us = Vec::with_capacity(rules.len());
        let mut stepped = None;
        for &index in &rules {
            if self.watch.is_over() {
                break;
            }
            let began = std::time::Instant::now();
            stepped = match self.round.running.group.rules.get(index) {
                Some(Rule::Record(rule)) => {
                    let (error, series) = self.recording(index, rule);
                    self.round.note(index, error, series, began.elapsed());
                    None
                }
                Some(Rule::Alert(rule)) => self.alerting(index, rule),
                None => None,
            };
            let took = began.elapsed();
            took_us.push((index, u64::try_from(took.as_micros()).unwrap_or(u64::MAX)));
            if let Some(one) = &mut stepped {
                one.took = took;
            }
            if stepped.as_ref().is_some_and(|one| !one.transitions.is_empty()) {
                break;
            }
            if let Some(one) = stepped.take() {
                self.round.keep(one);
            }
        }
        let rest = rules.into_iter().skip(took_us.len()).collect();
        Passed { stepped, rest, took_us }
    }

    fn ask(&self, asked: &Expression) -> Result<Vec<(Labels, f64)>, String> {
        source::numbers(self.ask_rows(asked)?)
    }

    /// The same with native histograms among it.
    fn ask_rows(&self, asked: &Expression) -> Result<Vec<source::Row>, String> {
        let at = self.round.asked_at();
        let app = &self.round.app;
        if let Some(other) = &self.source {
            return self.runtime.block_on(other.evaluate(&asked.text, at)).map(|rows| source::floats(rows).collect());
        }
        if app.metrics.is_asked_elsewhere() {
            return self.runtime.block_on(source::evaluate(app, &asked.text, at));
        }
        let parsed = asked.parsed.as_ref().map_err(Clone::clone)?;
        let interrupt = self.watch.begin();
        let answer = app.metrics.query_parsed((parsed, &asked.text), at, &interrupt, GROUPS_AT_ONCE);
        source::rows(answer.map_err(|fault| fault.message)?)
    }

    /// The answer of a rule's expression within its group's limit, from data as old as the group says.
    fn ask_within(&self, index: usize) -> Result<Vec<(Labels, f64)>, String> {
        source::numbers(self.ask_rows_within(index)?)
    }

    /// The same with native histograms among it.
    fn ask_rows_within(&self, index: usize) -> Result<Vec<source::Row>, String> {
        let running = &self.round.running;
        let rows = self.ask_rows(&running.asked[index].expr)?;
        match usize::try_from(running.group.limit) {
            Ok(limit) if limit > 0 && rows.len() > limit => {
                Err(format!("the group's limit is {limit} series, the rule answers with {}", rows.len()))
            }
            _ => Ok(rows),
        }
    }

    fn recording(&self, index: usize, rule: &RecordingRule) -> (Option<String>, usize) {
        let rows = match self.ask_rows_within(index) {
            Err(error) => return (Some(error), 0),
            Ok(rows) if rows.len() > RECORDED_MAX => {
                let error = format!("the rule answers with {} series, at most {RECORDED_MAX} are kept", rows.len());
                return (Some(error), rows.len());
            }
            Ok(rows) => rows,
        };
        let mut seen = BTreeSet::new();
        let rows: Vec<source::Row> = rows
            .into_iter()
            .map(|(mut labels, value)| {
                labels.set(Labels::NAME, rule.record.clone());
                for (name, value) in rule.labels.iter() {
                    labels.set(name, value);
                }
                (labels, value)
            })
            .collect();
        if let Some((twice, _)) = rows.iter().find(|(labels, _)| !seen.insert(labels.clone())) {
            return (Some(format!("two series are {twice} under the rule's labels")), rows.len());
        }
        let series = rows.len();
        self.round.bring(index, rows);
        (None, series)
    }

    /// Nothing where the query failed and only the interval may judge by that.
    fn alerting(&self, index: usize, rule: &AlertRule) -> Option<Stepped> {
        let mut state = self.round.running.status.lock().rules.get(index).map(|r| r.state.clone()).unwrap_or_default();
        let mut refused = false;
        let (transitions, error, series) = match self.round.occasion {
            Occasion::Interval => {
                let (answer, error, series) = self.answer(index, &state);
                let (transitions, wrong) =
                    self.within_world(|world| step(rule, &mut state, answer, world, UNKNOWN_KEEP_MS));
                refused = wrong.as_ref().is_some_and(|error| !matches!(error, StepError::TooMany(_)));
                (transitions, error.or_else(|| wrong.map(|e| e.to_string())), series)
            }
            Occasion::Arrival => {
                let samples = self.ask_within(index).ok()?;
                let series = samples.len();
                let transitions = self.within_world(|world| arrive(rule, &mut state, samples, world)).ok()?;
                (transitions, None, series)
            }
        };
        Some(Stepped { rule: index, transitions, state, error, refused, series, took: Duration::ZERO })
    }

    /// Templates may ask queries while a rule is stepped, for no longer than one query may take.
    fn within_world<T>(&self, work: impl FnOnce(RuleWorld<'_>) -> T) -> T {
        let (app, at) = (&self.round.app, self.round.now);
        let templates = Templates::new(app, at, self.watch.begin(), self.runtime.clone());
        let ask = |expr: &str| templates.ask(expr);
        let external_labels = app.settings.alerts.external();
        work(RuleWorld {
            external_labels: &external_labels,
            external_url: &app.settings.public_url,
            ask: Some(&ask),
            at,
        })
    }

    /// Asks for the expression, and for its presence when something active is missing from the answer.
    fn answer(&self, index: usize, state: &RuleState) -> (Answer, Option<String>, usize) {
        let samples = match self.ask_within(index) {
            Ok(samples) => samples,
            Err(error) => return (Answer::Failed(error.clone()), Some(error), 0),
        };
        let series = samples.len();
        let answered: BTreeSet<Labels> = samples.iter().map(|(labels, _)| bare(labels)).collect();
        let missing: Vec<&Labels> = state.active.keys().filter(|series| !answered.contains(*series)).collect();
        let present = match &self.round.running.asked[index].otherwise {
            Otherwise::Nothing => Ok(Present::All),
            _ if missing.is_empty() => Ok(Present::Series(answered)),
            Otherwise::Series(presence) => {
                self.ask(presence).map(|rows| Present::Series(rows.iter().map(|(labels, _)| bare(labels)).collect()))
            }
            Otherwise::Witnesses(witnesses, recorded) => {
                self.are_recorded(recorded).and_then(|()| self.witnessed(witnesses, &missing))
            }
        };
        match present {
            Ok(present) => (Answer::Samples { samples, present }, None, series),
            Err(error) => (Answer::Failed(error.clone()), Some(error), series),
        }
    }

    /// A recording rule that fails brings nothing, which says nothing.
    fn are_recorded(&self, names: &BTreeSet<String>) -> Result<(), String> {
        for running in self.round.app.alerts.groups.read().iter() {
            for (rule, status) in running.group.rules.iter().zip(&running.status.lock().rules) {
                if let (Rule::Record(rule), Some(error)) = (rule, &status.error)
                    && names.contains(&rule.record)
                {
                    return Err(format!("{} is not recorded: {error}", rule.record));
                }
            }
        }
        Ok(())
    }

    /// Which of the series that are missing have data behind them.
    fn witnessed(&self, witnesses: &[Expression], missing: &[&Labels]) -> Result<Present, String> {
        if witnesses.is_empty() {
            return Ok(Present::All);
        }
        let mut said = Vec::new();
        for witness in witnesses {
            let rows = self.ask(witness)?;
            if rows.is_empty() {
                return Ok(Present::Series(BTreeSet::new()));
            }
            said.extend(rows.into_iter().map(|(labels, _)| labels));
        }
        let shown = missing.iter().filter(|series| said.iter().any(|witness| speaks_of(witness, series)));
        Ok(Present::Series(shown.map(|series| (*series).clone()).collect()))
    }
}

fn bare(labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    labels.remove(Labels::NAME);
    labels
}

/// `ALERTS` and `ALERTS_FOR_STATE`, as Prometheus writes them. It knows two states; one that fired and of which nobody knows
/// whether it is over is not over.
pub(super) fn state_series(state: &RuleState) -> Vec<(Labels, f64)> {
    let mut rows = Vec::with_capacity(state.active.len() * 2);
    for alert in state.active.values() {
        let named = |name: &str| alert.labels.clone().with(Labels::NAME, name);
        let state = if alert.state == AlertState::Pending { "pending" } else { "firing" };
        rows.push((named(ALERTS).with("alertstate", state), 1.0));
        rows.push((named(ALERTS_FOR_STATE), alert.active_since.seconds()));
    }
    rows
}
