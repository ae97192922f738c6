//! The state machine of one alerting rule: `step(rule, state, answer, world)`, where the world has the instant.
//!
//! ```text
//! (none) -> pending -> firing -> resolved
//!               \        | ^        ^
//!                \       v |        |   data that says so
//!              cleared  unknown ----+   or no data for longer than `unknown_keep_ms`
//! ```
//!
//! A firing series whose data vanished, or whose query fails, becomes `unknown`. It leaves that state when the data is
//! back (firing again, or resolved because the data says so) or when it has been away for longer than the caller's
//! keep; that last exit is marked [`TransitionKind::Expired`] so that nobody reads it as healthy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tenfold_types::{FlatMap, Labels, Timestamp};

use crate::{
    fingerprint::fingerprint,
    rules::AlertRule,
    severity::is_worse,
    template::{RuleWorld, TemplateContext},
};

/// Series one rule may have active at a time.
pub const SERIES_PER_RULE_MAX: usize = 2_000;
/// Bytes of one expanded label or annotation.
const EXPANDED_BYTES_MAX: usize = 8_192;
/// Labels by which an alert may get worse.
const WORSE_BY: [&str; 2] = ["severity", "page"];
/// Said of an alert that begins in place of one that was less severe.
const WORSE: &str = "it is worse than the alert that it was";
/// Said of the one that was less severe.
const WORSE_NOW: &str = "it is worse now and goes on as another alert";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    Pending,
    Firing,
    /// It was firing, and now there is no data or the query fails.
    Unknown,
    Resolved,
}

impl AlertState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Unknown => "unknown",
            Self::Resolved => "resolved",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Firing, Self::Unknown, Self::Resolved].into_iter().find(|s| s.as_str() == text)
    }
}

/// What an alert says besides its labels, by name. It is kept in several places, which share one copy.
pub type Annotations = Arc<FlatMap<String, String>>;

/// One alert: one series of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub fingerprint: String,
    /// Labels of the series as the expression answers, without the metric's name. The alert's identity within its rule.
    pub series: Labels,
    /// `series` with the rule's own labels and `alertname`.
    pub labels: Labels,
    pub annotations: Annotations,
    pub state: AlertState,
    /// Kept as text where it is stored: JSON has no infinity.
    #[serde(with = "as_text")]
    pub value: f64,
    /// When the expression first held.
    pub active_since: Timestamp,
    pub fired_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    /// Since when a firing alert's expression no longer holds (`keep_firing_for` runs from here).
    pub keep_since: Option<Timestamp>,
    /// Since when there has been no data.
    pub no_data_since: Option<Timestamp>,
}

/// The active alerts of one rule, by series.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RuleState {
    #[serde(with = "as_list")]
    pub active: BTreeMap<Labels, Alert>,
    /// Since when the rule's labels say of a series that it is worse than its alert began.
    #[serde(skip)]
    worse_since: BTreeMap<Labels, Timestamp>,
}

mod as_list {
    use super::{Alert, BTreeMap, Labels};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(map: &BTreeMap<Labels, Alert>, s: S) -> Result<S::Ok, S::Error> {
        map.values().collect::<Vec<_>>().serialize(s)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<Labels, Alert>, D::Error> {
        Ok(Vec::<Alert>::deserialize(d)?.into_iter().map(|a| (a.series.clone(), a)).collect())
    }
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    pub fn serialize<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(|_| D::Error::custom(format!("`{text}` is not a number")))
    }
}

/// Which series have data at all; see [`crate::presence`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Present {
    /// An empty answer means healthy for every series.
    All,
    /// Only these series have data.
    Series(BTreeSet<Labels>),
}

/// What one evaluation brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Samples {
        samples: Vec<(Labels, f64)>,
        present: Present,
    },
    /// The query failed; nothing is known.
    Failed(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionKind {
    /// The expression holds; waiting for `for`.
    Pending,
    Firing,
    /// Firing again after unknown.
    FiringAgain,
    /// A pending alert ended before it fired.
    Cleared,
    /// The data says it is over.
    Resolved,
    Unknown,
    /// Unknown for longer than the keep. Not a sign of health.
    Expired,
    /// Its rule is gone.
    RuleRemoved,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    pub kind: TransitionKind,
    pub from: Option<AlertState>,
    /// The alert after the transition.
    pub alert: Alert,
    /// Why it is unknown, when it is.
    pub reason: Option<String>,
}

impl Transition {
    /// It begins in place of one that was less severe.
    pub fn is_worse(&self) -> bool {
        self.kind == TransitionKind::Firing && self.reason.is_some()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    #[error("the rule answers with {0} series, at most {SERIES_PER_RULE_MAX} are followed")]
    TooMany(usize),
    #[error("two series have the same labels {0} once the metric's name is taken away")]
    Duplicate(String),
    #[error("two series become alerts with the same labels {0} under the rule's labels")]
    SameLabels(String),
}

/// One evaluation. Returns the transitions in the order of the series; the state is changed in place.
///
/// # Errors
/// An answer that cannot be followed; it counts as a failed query (firing alerts become unknown). One with too many series is
/// followed as far as there is room.
pub fn step(
    rule: &AlertRule,
    state: &mut RuleState,
    answer: Answer,
    world: RuleWorld<'_>,
    unknown_keep_ms: i64,
) -> (Vec<Transition>, Option<StepError>) {
    let now = world.at;
    match answer {
        Answer::Failed(reason) => (all_unknown(state, now, &reason), None),
        Answer::Samples { samples, present } => {
            let (samples, too_many) = within(samples, state);
            let followed =
                by_series(samples).and_then(|samples| follow(rule, state, &samples, &present, world, unknown_keep_ms));
            match followed {
                Err(e) => (all_unknown(state, now, &e.to_string()), Some(e)),
                Ok(transitions) => (transitions, too_many),
            }
        }
    }
}

/// What samples that have just come bring, between two evaluations on the interval: alerts begin to wait, fire, and fire again.
/// None ends and none becomes unknown, but one that is worse by now and begins as another; that is left to [`step`], so that an
/// alert which dips for a moment is judged as often as its group says, and not as often as its samples come.
///
/// # Errors
/// As of [`step`]; nothing has changed then.
pub fn arrive(
    rule: &AlertRule,
    state: &mut RuleState,
    samples: Vec<(Labels, f64)>,
    world: RuleWorld<'_>,
) -> Result<Vec<Transition>, StepError> {
    let (samples, _) = within(samples, state);
    rise(rule, state, &by_series(samples)?, world)
}

/// Of more series than are followed those that have an alert, and others as far as there is room: where most is broken, nobody
/// would hear of anything else.
fn within(samples: Vec<(Labels, f64)>, state: &RuleState) -> (Vec<(Labels, f64)>, Option<StepError>) {
    let count = samples.len();
    if count <= SERIES_PER_RULE_MAX {
        return (samples, None);
    }
    let has_alert = |labels: &Labels| {
        let mut labels = labels.clone();
        labels.remove(Labels::NAME);
        state.active.contains_key(&labels)
    };
    let (mut kept, others): (Vec<_>, Vec<_>) = samples.into_iter().partition(|(labels, _)| has_alert(labels));
    let room = SERIES_PER_RULE_MAX.saturating_sub(kept.len());
    kept.extend(others.into_iter().take(room));
    (kept, Some(StepError::TooMany(count)))
}

/// What an expression found, by the labels without the metric's name: with it, as templates see it, and the value.
type Found = BTreeMap<Labels, (Labels, f64)>;

fn by_series(samples: Vec<(Labels, f64)>) -> Result<Found, StepError> {
    let mut map = BTreeMap::new();
    for (whole, value) in samples {
        let mut labels = whole.clone();
        labels.remove(Labels::NAME);
        if let Some(_previous) = map.insert(labels.clone(), (whole, value)) {
            return Err(StepError::Duplicate(labels.to_string()));
        }
    }
    Ok(map)
}

fn all_unknown(state: &mut RuleState, now: Timestamp, reason: &str) -> Vec<Transition> {
    state.active.values_mut().filter_map(|alert| vanish(alert, now, reason)).collect()
}

/// No data for this alert: a firing one becomes unknown; a pending one waits.
fn vanish(alert: &mut Alert, now: Timestamp, reason: &str) -> Option<Transition> {
    alert.no_data_since = Some(by_now(alert.no_data_since, now));
    if alert.state != AlertState::Firing {
        return None;
    }
    alert.state = AlertState::Unknown;
    Some(Transition {
        kind: TransitionKind::Unknown,
        from: Some(AlertState::Firing),
        alert: alert.clone(),
        reason: Some(reason.to_owned()),
    })
}

/// The labels of the alerts of series that have none yet. Two alerts with the same labels would be one to everybody who is
/// told, so that such an answer is refused as a whole.
fn begun(
    rule: &AlertRule,
    state: &RuleState,
    samples: &Found,
    world: RuleWorld<'_>,
) -> Result<BTreeMap<Labels, Labels>, StepError> {
    let mut new = BTreeMap::new();
    for (series, (whole, value)) in samples.iter().filter(|(series, _)| !state.active.contains_key(*series)) {
        new.insert(series.clone(), expanded(rule, series, whole, *value, world));
    }
    if new.is_empty() {
        return Ok(new);
    }
    let twice = {
        let known = state.active.iter().filter(|(series, _)| samples.contains_key(*series)).map(|(_, a)| &a.labels);
        let mut seen: BTreeSet<&Labels> = known.collect();
        new.values().find(|labels| !seen.insert(*labels)).map(ToString::to_string)
    };
    twice.map_or(Ok(new), |labels| Err(StepError::SameLabels(labels)))
}

/// Where the series that had the same labels is gone, its alert goes on as that of the new one: to everybody it is the same.
fn go_on(state: &mut RuleState, samples: &Found, begun: &BTreeMap<Labels, Labels>) {
    if begun.is_empty() {
        return;
    }
    let gone = state.active.iter().filter(|(series, _)| !samples.contains_key(*series));
    let gone: BTreeMap<Labels, Labels> = gone.map(|(series, a)| (a.labels.clone(), series.clone())).collect();
    for (series, labels) in begun {
        let before = gone.get(labels).and_then(|before| state.active.remove(before));
        if let Some(mut alert) = before {
            alert.series = series.clone();
            state.active.insert(series.clone(), alert);
        }
    }
}

/// What lies ahead was said by a clock that has been set back since.
fn by_now(since: Option<Timestamp>, now: Timestamp) -> Timestamp {
    since.map_or(now, |since| since.min(now))
}

/// Series that by the rule's labels have been worse than their alerts began for as long as `for`: since when, and the labels of
/// the alerts that begin in their place. Nobody would hear else that a warning is critical by now. One that gets better goes
/// on as it is.
fn worse(
    rule: &AlertRule,
    state: &mut RuleState,
    samples: &Found,
    begun: &BTreeMap<Labels, Labels>,
    world: RuleWorld<'_>,
) -> BTreeMap<Labels, (Timestamp, Labels)> {
    let mut out: BTreeMap<Labels, (Timestamp, Labels)> = BTreeMap::new();
    let made = |name: &&str| rule.labels.get(*name).is_some_and(|template| template.source().contains("{{"));
    if !WORSE_BY.iter().any(made) {
        return out;
    }
    let before = std::mem::take(&mut state.worse_since);
    for (series, (whole, value)) in samples {
        let Some(alert) = state.active.get(series) else { continue };
        let labels = expanded(rule, series, whole, *value, world);
        if !is_worse(&labels, &alert.labels) {
            continue;
        }
        let since = by_now(before.get(series).copied(), world.at);
        state.worse_since.insert(series.clone(), since);
        let has = || {
            let others = state.active.values().map(|other| &other.labels).chain(begun.values());
            others.chain(out.values().map(|(_, labels)| labels)).any(|other| *other == labels)
        };
        if world.at.since_ms(since) >= rule.for_ms && !has() {
            out.insert(series.clone(), (since, labels));
        }
    }
    out
}

/// The series of which the expression holds. Nothing has changed where the answer is refused.
fn rise(
    rule: &AlertRule,
    state: &mut RuleState,
    samples: &Found,
    world: RuleWorld<'_>,
) -> Result<Vec<Transition>, StepError> {
    let now = world.at;
    let mut begun = begun(rule, state, samples, world)?;
    go_on(state, samples, &begun);
    let mut worse = worse(rule, state, samples, &begun, world);
    let mut out = Vec::new();
    for (series, (whole, value)) in samples {
        let instead = worse.remove(series);
        let before = instead.as_ref().and_then(|_| state.active.remove(series));
        let from = state.active.get(series).map(|a| a.state);
        let (since, labels) = instead.unwrap_or_else(|| (now, begun.remove(series).unwrap_or_default()));
        let alert = state.active.entry(series.clone()).or_insert_with(|| fresh(series, labels, *value, since));
        alert.value = *value;
        alert.annotations = annotations(rule, whole, *value, world);
        alert.keep_since = None;
        alert.no_data_since = None;
        if alert.state == AlertState::Pending {
            alert.active_since = alert.active_since.min(now);
        }
        let held = now.since_ms(alert.active_since) >= rule.for_ms;
        let kind = match from {
            None if held => Some(TransitionKind::Firing),
            None => Some(TransitionKind::Pending),
            Some(AlertState::Pending) if held => Some(TransitionKind::Firing),
            Some(AlertState::Unknown) => Some(TransitionKind::FiringAgain),
            Some(_) => None,
        };
        if let Some(kind) = kind {
            if kind != TransitionKind::Pending {
                alert.state = AlertState::Firing;
                alert.fired_at.get_or_insert(now);
            }
            let reason = before.is_some().then(|| WORSE.to_owned());
            out.push(Transition { kind, from, alert: alert.clone(), reason });
        }
        // Behind the one that takes its place, so that the incident of both stays open.
        if let Some(mut before) = before {
            state.worse_since.remove(series);
            let waited = before.state == AlertState::Pending;
            let kind = if waited { TransitionKind::Cleared } else { TransitionKind::Resolved };
            let reason = (kind == TransitionKind::Resolved).then(|| WORSE_NOW.to_owned());
            out.push(Transition { reason, ..end(&mut before, kind, now) });
        }
    }
    Ok(out)
}

fn follow(
    rule: &AlertRule,
    state: &mut RuleState,
    samples: &Found,
    present: &Present,
    world: RuleWorld<'_>,
    unknown_keep_ms: i64,
) -> Result<Vec<Transition>, StepError> {
    let now = world.at;
    let mut out = rise(rule, state, samples, world)?;
    let gone: Vec<Labels> = state.active.keys().filter(|s| !samples.contains_key(*s)).cloned().collect();
    for series in gone {
        let has_data = match present {
            Present::All => true,
            Present::Series(set) => set.contains(&series),
        };
        let Some(alert) = state.active.get_mut(&series) else { continue };
        let transition = if has_data {
            alert.no_data_since = None;
            healthy(rule, alert, now)
        } else {
            expired(alert, now, unknown_keep_ms).or_else(|| vanish(alert, now, "there is no data"))
        };
        if let Some(transition) = transition {
            let ended =
                matches!(transition.kind, TransitionKind::Cleared | TransitionKind::Resolved | TransitionKind::Expired);
            if ended {
                state.active.remove(&series);
            }
            out.push(transition);
        }
    }
    Ok(out)
}

/// The data says that the expression does not hold.
fn healthy(rule: &AlertRule, alert: &mut Alert, now: Timestamp) -> Option<Transition> {
    let from = alert.state;
    if from == AlertState::Pending {
        return Some(end(alert, TransitionKind::Cleared, now));
    }
    let keep_since = by_now(alert.keep_since, now);
    alert.keep_since = Some(keep_since);
    if now.since_ms(keep_since) >= rule.keep_firing_for_ms {
        return Some(end(alert, TransitionKind::Resolved, now));
    }
    // Kept firing by `keep_firing_for`; an unknown one is known again, so it is firing as well.
    if from == AlertState::Unknown {
        alert.state = AlertState::Firing;
        return Some(Transition {
            kind: TransitionKind::FiringAgain,
            from: Some(from),
            alert: alert.clone(),
            reason: None,
        });
    }
    None
}

fn expired(alert: &mut Alert, now: Timestamp, unknown_keep_ms: i64) -> Option<Transition> {
    let away = now.since_ms(alert.no_data_since?);
    if away < unknown_keep_ms || alert.state == AlertState::Firing {
        return None;
    }
    let kind = if alert.state == AlertState::Pending { TransitionKind::Cleared } else { TransitionKind::Expired };
    Some(end(alert, kind, now))
}

fn end(alert: &mut Alert, kind: TransitionKind, now: Timestamp) -> Transition {
    let from = alert.state;
    alert.state = AlertState::Resolved;
    alert.resolved_at = Some(now);
    Transition { kind, from: Some(from), alert: alert.clone(), reason: None }
}

/// Ends every alert of a rule that is no longer there.
pub fn close_all(state: &mut RuleState, now: Timestamp) -> Vec<Transition> {
    let active = std::mem::take(&mut state.active);
    active.into_values().map(|mut alert| end(&mut alert, TransitionKind::RuleRemoved, now)).collect()
}

/// The labels of a series' alert: its own, those of the rule over them, and the rule's name over all.
fn expanded(rule: &AlertRule, series: &Labels, whole: &Labels, value: f64, world: RuleWorld<'_>) -> Labels {
    let context = TemplateContext { labels: whole, value, world };
    let mut labels = series.clone();
    for (name, template) in &rule.labels {
        labels.set(name.clone(), capped(template.expand(&context)));
    }
    labels.set("alertname", rule.alert.clone());
    labels
}

/// An alert that begins; its annotations are written with its value.
fn fresh(series: &Labels, labels: Labels, value: f64, now: Timestamp) -> Alert {
    Alert {
        fingerprint: fingerprint(&labels),
        series: series.clone(),
        annotations: Annotations::default(),
        labels,
        state: AlertState::Pending,
        value,
        active_since: now,
        fired_at: None,
        resolved_at: None,
        keep_since: None,
        no_data_since: None,
    }
}

fn annotations(rule: &AlertRule, series: &Labels, value: f64, world: RuleWorld<'_>) -> Annotations {
    let context = TemplateContext { labels: series, value, world };
    Arc::new(rule.annotations.iter().map(|(name, t)| (name.clone(), capped(t.expand(&context)))).collect())
}

fn capped(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(EXPANDED_BYTES_MAX));
    text
}
