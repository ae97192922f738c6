//! Switches for bad days: which comes first, what people lose, and whether it was ever tried.
//!
//! A drill switches such a flag off for a set time and on again by itself. Its end is an instant that is kept with the
//! flag, so that a restart goes on where it was, and whoever takes the step takes the drill away with it: it ends once.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::{Flag, FlagEnvironment, Kind};

pub const DRILL_MS_MIN: i64 = 5_000;
pub const DRILL_MS_MAX: i64 = 3_600_000;
/// What `drill` means without a time.
pub const DRILL_MS_DEFAULT: i64 = 60_000;
pub const RANK_MAX: u32 = 1_000;

/// What somebody needs to know before pressing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(as = FlagContingency))]
pub struct Contingency {
    /// 1 is thrown first: what people miss least comes first.
    pub rank: u32,
    /// What people notice, in their words.
    #[serde(default)]
    pub impact: String,
    /// What goes on, and how, without it.
    #[serde(default)]
    pub degrades: String,
}

/// A drill that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagDrill))]
pub struct Drill {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub started_at: Timestamp,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub ends_at: Timestamp,
    /// Who started it.
    pub by: String,
    /// Answers that were on when it began, to tell those that came after.
    #[serde(default)]
    pub answered_on: u64,
}

/// The last drill that was carried through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagDrilled))]
pub struct Drilled {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    pub environment: String,
    pub by: String,
    /// How long it was off.
    pub off_ms: i64,
    /// Answers that were still on after the switch: clients that had not heard of it yet. Absent where nobody counted
    /// (the server was restarted meanwhile).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_on: Option<u64>,
    /// From the switch to the last of those; 0 when there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_use_ms: Option<i64>,
}

impl Flag {
    /// Whether it stands on the page of contingency switches.
    pub fn is_contingency(&self) -> bool {
        !self.archived && (self.contingency.is_some() || self.kind == Kind::KillSwitch)
    }
}

impl FlagEnvironment {
    /// Switches off for `for_ms`. The error is one sentence.
    pub fn drill_start(&mut self, by: &str, for_ms: i64, answered_on: u64, now: Timestamp) -> Result<(), String> {
        if !(DRILL_MS_MIN..=DRILL_MS_MAX).contains(&for_ms) {
            let (min, max) = (DRILL_MS_MIN / 1_000, DRILL_MS_MAX / 1_000);
            return Err(format!("a drill takes from {min} to {max} seconds"));
        }
        if let Some(drill) = &self.drill {
            return Err(format!("{} is drilling it until {}", drill.by, drill.ends_at));
        }
        if !self.enabled {
            return Err("it is off already, so there is nothing to try".into());
        }
        self.enabled = false;
        self.drill = Some(Drill { started_at: now, ends_at: now.plus_ms(for_ms), by: by.to_owned(), answered_on });
        Ok(())
    }

    /// Whether its drill is over by the clock.
    pub fn drill_is_due(&self, now: Timestamp) -> bool {
        self.drill.as_ref().is_some_and(|d| d.ends_at <= now)
    }

    /// Switches on again and takes the drill away; `None` when none runs.
    pub fn drill_end(&mut self) -> Option<Drill> {
        let drill = self.drill.take()?;
        self.enabled = true;
        Some(drill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_767_225_600_000);

    #[test]
    fn a_drill_is_off_for_its_time_and_ends_once() {
        let mut state = FlagEnvironment::rollout("f", 50);
        state.drill_start("mei", 60_000, 7, NOW).unwrap();
        assert!(!state.enabled && !state.drill_is_due(NOW.plus_ms(59_999)) && state.drill_is_due(NOW.plus_ms(60_000)));
        assert!(state.drill_start("raj", 60_000, 0, NOW).unwrap_err().contains("mei"));
        let drill = state.drill_end().unwrap();
        assert_eq!((drill.answered_on, state.enabled, state.rollout_percent()), (7, true, Some(50)));
        assert_eq!(state.drill_end(), None);
    }

    #[test]
    fn what_is_off_is_not_drilled_and_no_drill_is_endless() {
        let mut off = FlagEnvironment::default();
        assert!(off.drill_start("mei", 60_000, 0, NOW).unwrap_err().contains("off already"));
        for for_ms in [0, -1, 4_999, DRILL_MS_MAX + 1, i64::MAX] {
            let mut state = FlagEnvironment::rollout("f", 100);
            assert!(state.drill_start("mei", for_ms, 0, NOW).unwrap_err().contains("3600 seconds"), "{for_ms}");
            assert!(state.enabled);
        }
    }
}
