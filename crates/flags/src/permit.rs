//! An adaptive permit: how much of its work a job may do now, from 0 to 1, steered by a signal of what it burdens.
//!
//! The law adds while the signal is good and multiplies by a factor when it is not, and changes direction only at two
//! thresholds with a band between them. Adding and multiplying is what makes two jobs that share one database end up
//! with fair shares without talking to each other (Chiu and Jain, "Analysis of the increase and decrease algorithms for
//! congestion avoidance in computer networks", 1989); falling at most once per settling time is what keeps a delayed
//! signal from making it swing (as a sender reacts once per round trip: Jacobson, "Congestion avoidance and control",
//! 1988). `tests/permit_simulation.rs` compares it with a switch at one threshold and with a PI controller.
//!
//! No data is never good: without a signal the permit stays, then becomes the fail-safe value.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

const QUERY_CHARS_MAX: usize = 4_096;
const INTERVAL_MS_MIN: i64 = 1_000;
const INTERVAL_MS_MAX: i64 = 600_000;
const SPAN_MS_MAX: i64 = 3_600_000;
/// A permit that was at the floor is back when it has come this far up from there.
const BACK_PART: f64 = 0.25;

/// A permit as people define it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PermitLaw {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where the job runs; a client's token of another environment does not get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// PromQL for the signal; of several series the worst counts.
    pub query: String,
    /// Which way the signal is bad.
    #[serde(default)]
    pub worse: Worse,
    /// Past this the permit falls.
    pub limit: f64,
    /// Only when the signal has come back to this does it rise again. On the good side of `limit`.
    pub resume: f64,
    #[serde(default)]
    pub floor: f64,
    #[serde(default = "one")]
    pub ceiling: f64,
    /// What holds without a signal.
    pub fail_safe: f64,
    /// Added in each interval while it rises.
    #[serde(default = "default_increase")]
    pub increase: f64,
    /// What it is multiplied by when it falls.
    #[serde(default = "default_decrease")]
    pub decrease: f64,
    #[serde(default = "default_interval")]
    pub interval_ms: i64,
    /// It falls at most once in this time: as long as it takes until a change shows in the signal.
    #[serde(default = "default_settle")]
    pub settle_ms: i64,
    /// How long it stays where it is without a signal, before the fail-safe value.
    #[serde(default = "default_grace")]
    pub grace_ms: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", schema(as = PermitWorse))]
pub enum Worse {
    /// Larger is worse: latency, queue length, replication lag.
    #[default]
    Up,
    /// Smaller is worse: free connections, cache hits.
    Down,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", schema(as = PermitPhase))]
pub enum Phase {
    /// More in each interval, up to the ceiling.
    Rising,
    /// Past the limit, or not yet back at `resume`.
    Falling,
    /// There is no signal.
    FailSafe,
}

/// Where a permit stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PermitState {
    pub value: f64,
    pub phase: Phase,
    /// It has been at the floor and is not back yet.
    #[serde(default)]
    pub low: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub fell_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub no_signal_since: Option<Timestamp>,
    /// The last signal there was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<f64>,
    /// Why there is none now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trouble: String,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub evaluated_at: Timestamp,
}

/// What is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermitTransition {
    ToFloor,
    /// Well up from the floor again.
    Back,
    FailSafe,
    /// The signal is there again.
    SignalBack,
}

const fn one() -> f64 {
    1.0
}
const fn default_increase() -> f64 {
    0.02
}
const fn default_decrease() -> f64 {
    0.8
}
const fn default_interval() -> i64 {
    10_000
}
const fn default_settle() -> i64 {
    60_000
}
const fn default_grace() -> i64 {
    30_000
}

impl Worse {
    fn past(self, signal: f64, bound: f64) -> bool {
        match self {
            Self::Up => signal > bound,
            Self::Down => signal < bound,
        }
    }
    /// Of several values the one that counts.
    fn worst(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        values.filter(|v| !v.is_nan()).reduce(|a, b| if self.past(a, b) { a } else { b })
    }
}

impl PermitLaw {
    /// What is wrong with it, in one sentence. Whether the query is PromQL is asked elsewhere.
    pub fn check(&self) -> Result<(), String> {
        if self.query.trim().is_empty() || self.query.chars().count() > QUERY_CHARS_MAX {
            return Err(format!("the query of a permit has 1 to {QUERY_CHARS_MAX} characters"));
        }
        if !self.limit.is_finite() || !self.resume.is_finite() || self.worse.past(self.resume, self.limit) {
            return Err("`resume` of a permit is a number on the good side of `limit`".into());
        }
        if self.resume == self.limit {
            return Err("`resume` of a permit keeps a distance to `limit`, or the permit would swing".into());
        }
        let share = |v: f64| (0.0..=1.0).contains(&v);
        if !share(self.floor) || !share(self.ceiling) || self.floor >= self.ceiling {
            return Err("a permit has its floor below its ceiling, both from 0 to 1".into());
        }
        if !share(self.fail_safe) {
            return Err("the fail-safe value of a permit is from 0 to 1".into());
        }
        if !(0.001..=0.5).contains(&self.increase) {
            return Err("`increase` of a permit is from 0.001 to 0.5".into());
        }
        if !(0.1..=0.99).contains(&self.decrease) {
            return Err("`decrease` of a permit is from 0.1 to 0.99".into());
        }
        if !(INTERVAL_MS_MIN..=INTERVAL_MS_MAX).contains(&self.interval_ms) {
            return Err(format!("a permit is looked at every {INTERVAL_MS_MIN} to {INTERVAL_MS_MAX} milliseconds"));
        }
        if ![self.settle_ms, self.grace_ms].iter().all(|ms| (0..=SPAN_MS_MAX).contains(ms)) {
            return Err(format!("`settle_ms` and `grace_ms` of a permit are 0 to {SPAN_MS_MAX} milliseconds"));
        }
        Ok(())
    }

    /// The signal of an answer; an error says why there is none.
    pub fn signal(&self, answer: impl Iterator<Item = f64>) -> Result<f64, String> {
        self.worse.worst(answer).ok_or_else(|| "the query answers with no number".to_owned())
    }

    /// How long an answer holds: two intervals, so that one look that is late does no harm.
    pub fn ttl_ms(&self) -> i64 {
        self.interval_ms * 2
    }

    /// The last look is too old to go by.
    pub fn is_stale(&self, state: &PermitState, now: Timestamp) -> bool {
        now.since_ms(state.evaluated_at) > self.ttl_ms() + self.grace_ms
    }

    /// What a client is to go by at `now`: the fail-safe value once the last look is too old.
    pub fn valid(&self, state: &PermitState, now: Timestamp) -> f64 {
        if self.is_stale(state, now) { self.fail_safe } else { state.value }
    }
}

impl PermitState {
    /// Before the first signal there is none.
    pub fn new(law: &PermitLaw, now: Timestamp) -> Self {
        Self {
            value: law.fail_safe,
            phase: Phase::FailSafe,
            low: false,
            fell_at: None,
            no_signal_since: Some(now),
            signal: None,
            trouble: "it has not been looked at yet".into(),
            evaluated_at: now,
        }
    }

    /// The state after a look at the signal, and what is worth telling of it. Never fails.
    pub fn step(
        &self,
        law: &PermitLaw,
        signal: &Result<f64, String>,
        now: Timestamp,
    ) -> (Self, Option<PermitTransition>) {
        let mut next = Self { evaluated_at: now, ..self.clone() };
        let signal = match signal {
            Ok(signal) if !signal.is_nan() => *signal,
            Ok(_) => return next.without("the signal is no number", law, now),
            Err(why) => return next.without(why, law, now),
        };
        next.signal = Some(signal);
        next.no_signal_since = None;
        next.trouble.clear();
        let was_blind = self.phase == Phase::FailSafe;
        if law.worse.past(signal, law.limit) {
            next.phase = Phase::Falling;
        } else if was_blind || !law.worse.past(signal, law.resume) {
            next.phase = Phase::Rising;
        }
        // A restart, or a definition that changed, may have left a value outside the bounds.
        let value = next.value.clamp(law.floor, law.ceiling);
        next.value = match next.phase {
            Phase::Rising if was_blind => value,
            Phase::Rising => (value + law.increase).min(law.ceiling),
            Phase::Falling if law.worse.past(signal, law.limit) && next.settled(law, now) => {
                next.fell_at = Some(now);
                (value * law.decrease).max(law.floor)
            }
            Phase::Falling | Phase::FailSafe => value,
        };
        // A permit that cannot get below a floor of 0 by multiplying counts as being there.
        let bottom = law.floor.max(0.01);
        let at_floor = next.phase == Phase::Falling && next.value <= bottom;
        let back = law.floor + (law.ceiling - law.floor) * BACK_PART;
        let transition = if was_blind {
            Some(PermitTransition::SignalBack)
        } else if at_floor && !self.low {
            Some(PermitTransition::ToFloor)
        } else if self.low && next.value >= back {
            Some(PermitTransition::Back)
        } else {
            None
        };
        next.low = (self.low || at_floor) && next.value < back;
        (next, transition)
    }

    fn settled(&self, law: &PermitLaw, now: Timestamp) -> bool {
        self.fell_at.is_none_or(|at| now.since_ms(at) >= law.settle_ms)
    }

    fn without(mut self, why: &str, law: &PermitLaw, now: Timestamp) -> (Self, Option<PermitTransition>) {
        why.clone_into(&mut self.trouble);
        let since = *self.no_signal_since.get_or_insert(now);
        if self.phase == Phase::FailSafe || now.since_ms(since) < law.grace_ms {
            return (self, None);
        }
        self.phase = Phase::FailSafe;
        self.value = law.fail_safe;
        self.low = false;
        (self, Some(PermitTransition::FailSafe))
    }
}
