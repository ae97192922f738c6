//! Flap state: an alert that fires and ends again and again is told of once, and held as firing until it is calm.
//!
//! ```text
//! steady -- `fires` beginnings within `within_ms` --> flapping -- no change for `calm_ms` --> steady
//! ```
//! While it flaps, the word of its source that it is over is held back, and so is the next beginning: for every later stage
//! it goes on firing. When it is calm, what its source said last holds. An end that is no word of its source (it went
//! silent, its rule was removed) is never held back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tenfold_types::{Timestamp, format_duration_ms};

use super::{Context, Decision, Effect, HowEnded, Incoming, PipelineState, Stage, Verdict};
use crate::Fingerprint;

/// Most beginnings that `fires` may ask for; so many are remembered of an alert.
pub const FLAP_FIRES_MAX: u32 = 50;
/// Alerts whose beginnings are remembered; what comes after is never said to flap.
const REMEMBERED_MAX: usize = 50_000;

/// When an alert is said to flap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlapRules {
    /// It flaps when it began to fire so often; 0 never says it.
    pub fires: u32,
    /// Within this time.
    pub within_ms: i64,
    /// And until it has not changed for so long.
    pub calm_ms: i64,
}

impl FlapRules {
    pub const OFF: Self = Self { fires: 0, within_ms: 0, calm_ms: 0 };
}

impl Default for FlapRules {
    fn default() -> Self {
        Self { fires: 4, within_ms: 3_600_000, calm_ms: 900_000 }
    }
}

/// An alert that flaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flapping {
    pub since: Timestamp,
    /// When it is calm, if nothing changes until then.
    pub calm_at: Timestamp,
    /// Since when it is over, by the word of its source that is held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_since: Option<Timestamp>,
}

/// What is remembered of an alert's changes, as it is stored with the alert.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flap {
    /// When it began to fire, the oldest first. Empty while it flaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fires: Vec<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<Flapping>,
}

/// A turn of an alert's flap state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It flaps from now on.
    Began,
    /// It is over, which is held back.
    Held,
    /// It fires again, and went on firing for everybody.
    Again,
    /// It flaps no more; over since that instant, or it fires on.
    Calm(Option<Timestamp>),
}

/// An alert's flap state has turned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    pub fingerprint: Fingerprint,
    pub turn: Turn,
}

impl PipelineState {
    /// What is remembered of an alert's changes; nothing of one that has not begun to fire lately.
    pub fn flap(&self, fingerprint: Fingerprint) -> Option<Flap> {
        if let Some(flapping) = self.flapping.get(&fingerprint) {
            return Some(Flap { fires: Vec::new(), flapping: Some(*flapping) });
        }
        self.fires.get(&fingerprint).map(|fires| Flap { fires: fires.to_vec(), flapping: None })
    }

    /// How an alert flaps; nothing of one that does not.
    pub fn flapping(&self, fingerprint: Fingerprint) -> Option<&Flapping> {
        self.flapping.get(&fingerprint)
    }

    /// After a start: takes what was stored of an alert's changes.
    pub fn recall(&mut self, fingerprint: Fingerprint, flap: Flap) {
        let fires_on = self.alerts.get(&fingerprint).is_some_and(|known| known.ended.is_none());
        if let Some(flapping) = flap.flapping {
            if fires_on {
                self.flapping.insert(fingerprint, flapping);
            }
        } else if !flap.fires.is_empty() {
            self.fires.insert(fingerprint, flap.fires.into());
        }
    }

    /// Forgets that an alert flaps, since those who were told of it have put it aside: what it does next is news.
    pub fn let_go(&mut self, fingerprint: Fingerprint) {
        let Some(flapping) = self.flapping.remove(&fingerprint) else { return };
        if let (Some(at), Some(known)) = (flapping.over_since, self.alerts.get_mut(&fingerprint)) {
            Arc::make_mut(known).ended = Some((at, HowEnded::Resolved));
        }
    }

    /// When the next one that flaps may be calm.
    pub(super) fn calm_due(&self) -> Option<Timestamp> {
        self.flapping.values().map(|flapping| flapping.calm_at).min()
    }

    /// Forgets beginnings that are too old to count, so that what never comes back is not kept.
    fn forget_fires(&mut self, rules: FlapRules, now: Timestamp) {
        let recent = |fires: &Arc<[Timestamp]>| fires.last().is_some_and(|at| now.since_ms(*at) < rules.within_ms);
        self.fires.retain(|_, fires| recent(fires));
    }
}

fn decide(effects: &mut Vec<Effect>, fingerprint: Fingerprint, verdict: Verdict, because: String, turn: Turn) {
    let decision = Decision { fingerprint, route: None, stage: Stage::Flap, verdict, because, by: None };
    effects.push(Effect::Decided(decision));
    effects.push(Effect::Turned(Turned { fingerprint, turn }));
}

/// An alert that came in while it flaps. True when its end is held back, so that nothing else is to be done.
pub(super) fn holds(
    context: Context<'_>,
    state: &mut PipelineState,
    fingerprint: Fingerprint,
    incoming: &Incoming,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) -> bool {
    let Some(flapping) = state.flapping.get_mut(&fingerprint) else { return false };
    let calm_ms = context.flapping.calm_ms;
    match incoming.ended {
        Some((at, HowEnded::Resolved)) => {
            if flapping.over_since.is_none() {
                flapping.over_since = Some(at);
                flapping.calm_at = now.plus_ms(calm_ms);
                let calm = format_duration_ms(calm_ms);
                let because = format!("it is over since {at}, which is held back until it has been calm for {calm}");
                decide(effects, fingerprint, Verdict::Wait, because, Turn::Held);
            }
            true
        }
        Some(_) => {
            state.flapping.remove(&fingerprint);
            false
        }
        None => {
            if flapping.over_since.take().is_some() {
                flapping.calm_at = now.plus_ms(calm_ms);
                let because = "it fires again while it flaps; nobody was told that it was over".to_owned();
                decide(effects, fingerprint, Verdict::Nothing, because, Turn::Again);
            }
            false
        }
    }
}

/// An alert that did not fire before begins to: perhaps once too often.
pub(super) fn fired(
    context: Context<'_>,
    state: &mut PipelineState,
    fingerprint: Fingerprint,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) {
    let rules = context.flapping;
    if rules.fires == 0 {
        return;
    }
    if state.fires.len() >= REMEMBERED_MAX && !state.fires.contains_key(&fingerprint) {
        // Once an instant: in a storm all of them are recent, and each alert would look through them.
        if state.fires_swept_at.replace(now) != Some(now) {
            state.forget_fires(rules, now);
        }
        if state.fires.len() >= REMEMBERED_MAX {
            return;
        }
    }
    let before = state.fires.get(&fingerprint).map_or(&[][..], |fires| &fires[..]);
    let mut fires: Vec<Timestamp> =
        before.iter().copied().filter(|at| (0..rules.within_ms).contains(&now.since_ms(*at))).collect();
    fires.push(now);
    let count = fires.len();
    if count < usize::try_from(rules.fires.min(FLAP_FIRES_MAX)).unwrap_or(usize::MAX) {
        state.fires.insert(fingerprint, fires.into());
        return;
    }
    state.fires.remove(&fingerprint);
    let calm_at = now.plus_ms(rules.calm_ms);
    state.flapping.insert(fingerprint, Flapping { since: now, calm_at, over_since: None });
    let (within, calm) = (format_duration_ms(rules.within_ms), format_duration_ms(rules.calm_ms));
    let because =
        format!("it fired {count} times within {within}: it flaps, and is held as firing until calm for {calm}");
    decide(effects, fingerprint, Verdict::Pass, because, Turn::Began);
}

/// Ends the flapping of those that have been calm for long enough.
pub(super) fn calm(state: &mut PipelineState, now: Timestamp, effects: &mut Vec<Effect>) {
    if state.calm_due().is_none_or(|due| due > now) {
        return;
    }
    let calm: Vec<(Fingerprint, Flapping)> =
        state.flapping.iter().filter(|(_, f)| f.calm_at <= now).map(|(key, f)| (*key, *f)).collect();
    for (fingerprint, flapping) in calm {
        state.flapping.remove(&fingerprint);
        let known = state.alerts.get_mut(&fingerprint).filter(|known| known.ended.is_none());
        let because = match (flapping.over_since, known) {
            (Some(at), Some(known)) => {
                Arc::make_mut(known).ended = Some((at, HowEnded::Resolved));
                format!("it has been calm, and flaps no more: it is over since {at}")
            }
            _ => "it has been calm, and flaps no more: it fires on".to_owned(),
        };
        decide(effects, fingerprint, Verdict::Pass, because, Turn::Calm(flapping.over_since));
    }
}

/// What the stage says of an alert that flaps still at `at`, if nothing changes until then.
pub(super) fn seen(state: &PipelineState, fingerprint: Fingerprint, at: Timestamp) -> Option<Decision> {
    let Flapping { since, calm_at, over_since } = state.flapping.get(&fingerprint).filter(|f| f.calm_at > at)?;
    let because = match over_since {
        Some(at) => format!("it flaps since {since}; over since {at}, which is told at {calm_at} if it stays so"),
        None => format!("it flaps since {since}, and is held as firing until {calm_at} at least"),
    };
    Some(Decision { fingerprint, route: None, stage: Stage::Flap, verdict: Verdict::Pass, because, by: None })
}
