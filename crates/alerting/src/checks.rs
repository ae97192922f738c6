//! The state machine of a check, with the states of Nagios: soft and hard, flapping, unreachable, stale.
//!
//! ```text
//! OK -> soft problem 1..n-1 -> hard problem -> hard recovery
//!            \-> soft recovery
//! ```
//! `step(rules, state, result, parents, now)` says what has changed; who is told is decided from [`CheckState::problem`].

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

/// States that flapping looks at, as in Nagios.
const HISTORY: usize = 21;

/// A plugin's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl CheckStatus {
    /// Anything but 0, 1 and 2 is unknown.
    pub const fn of_exit(code: i32) -> Self {
        match code {
            0 => Self::Ok,
            1 => Self::Warning,
            2 => Self::Critical,
            _ => Self::Unknown,
        }
    }
    pub const fn exit(self) -> i32 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ok, Self::Warning, Self::Critical, Self::Unknown].into_iter().find(|s| s.as_str() == text)
    }
}

/// When a state counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CheckRules {
    /// Results in a row before a problem is hard.
    pub attempts_max: u32,
    /// Flapping ends below this percentage of changes; Nagios' default is 20.
    pub flap_low: f64,
    /// Flapping begins at this one; Nagios' default is 30.
    pub flap_high: f64,
}

/// Where a check stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckState {
    pub status: CheckStatus,
    /// Whether `status` is beyond doubt.
    pub hard: bool,
    /// The last status that was hard.
    pub hard_status: CheckStatus,
    pub attempt: u32,
    pub since: Timestamp,
    pub hard_since: Timestamp,
    pub last_at: Timestamp,
    pub output: String,
    /// The last states that were hard, and recoveries, oldest first.
    history: Vec<CheckStatus>,
    /// Weighted share of changes among them, in percent.
    pub change_percent: f64,
    pub flapping: bool,
    /// It has a problem, and so has everything that stands between.
    pub unreachable: bool,
    /// Nothing was heard for longer than its freshness.
    pub stale: bool,
}

/// What a result has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckChange {
    /// Status or attempt of a soft state moved on.
    pub soft: bool,
    /// From and to.
    pub hard: Option<(CheckStatus, CheckStatus)>,
    /// Flapping began or ended.
    pub flapping: Option<bool>,
    pub unreachable: Option<bool>,
    pub stale: Option<bool>,
    /// A problem appeared: whatever stands between should be looked at now.
    pub look_at_parents: bool,
}

impl CheckChange {
    /// Worth a row in the record.
    pub const fn tells(&self) -> bool {
        self.hard.is_some() || self.flapping.is_some() || self.unreachable.is_some() || self.stale.is_some()
    }
    pub const fn any(&self) -> bool {
        self.tells() || self.soft
    }
}

impl CheckState {
    /// Before the first result: nothing is known to be wrong.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            status: CheckStatus::Ok,
            hard: true,
            hard_status: CheckStatus::Ok,
            attempt: 0,
            since: now,
            hard_since: now,
            last_at: Timestamp(0),
            output: String::new(),
            history: Vec::new(),
            change_percent: 0.0,
            flapping: false,
            unreachable: false,
            stale: false,
        }
    }

    /// What people are to be told of: a hard problem that is reachable.
    pub fn problem(&self) -> Option<CheckStatus> {
        (self.hard_status != CheckStatus::Ok && !self.unreachable).then_some(self.hard_status)
    }

    /// A problem that is not yet hard is looked at again sooner.
    pub const fn retries(&self) -> bool {
        !self.hard
    }
}

/// Takes one result. `parents_down`: there are parents, and all of them have problems.
pub fn step(
    rules: CheckRules,
    state: &mut CheckState,
    status: CheckStatus,
    output: String,
    parents_down: bool,
    now: Timestamp,
) -> CheckChange {
    let mut change = CheckChange::default();
    if state.stale {
        state.stale = false;
        change.stale = Some(false);
    }
    state.output = output;
    state.last_at = now;
    take(rules, state, status, false, now, &mut change);
    reach(state, parents_down, &mut change);
    change.flapping = flap(rules, state);
    change
}

/// Nothing was heard for too long: that is a problem by itself, and a hard one.
pub fn go_stale(rules: CheckRules, state: &mut CheckState, parents_down: bool, now: Timestamp) -> CheckChange {
    let mut change = CheckChange { stale: Some(true), ..CheckChange::default() };
    state.stale = true;
    state.output = format!("no result since {}", state.last_at);
    take(rules, state, CheckStatus::Unknown, true, now, &mut change);
    reach(state, parents_down, &mut change);
    change
}

/// What stands between has changed its state.
pub fn parents_changed(state: &mut CheckState, parents_down: bool) -> CheckChange {
    let mut change = CheckChange::default();
    reach(state, parents_down, &mut change);
    change
}

fn take(
    rules: CheckRules,
    state: &mut CheckState,
    status: CheckStatus,
    at_once: bool,
    now: Timestamp,
    change: &mut CheckChange,
) {
    let before = state.status;
    if status == CheckStatus::Ok {
        change.soft = before != CheckStatus::Ok;
        (state.hard, state.attempt) = (true, 0);
    } else if state.hard_status != CheckStatus::Ok && state.hard {
        // A hard problem stays hard; from warning to critical is a new hard state at once.
        change.soft = before != status;
    } else {
        change.look_at_parents = before == CheckStatus::Ok;
        state.attempt += 1;
        state.hard = at_once || state.attempt >= rules.attempts_max.max(1);
        change.soft = true;
    }
    state.status = status;
    if before != status {
        state.since = now;
    }
    if state.hard && state.hard_status != status {
        change.hard = Some((state.hard_status, status));
        state.hard_status = status;
        state.hard_since = now;
    }
    // As in Nagios: a problem that is not sure yet is no change of state, so that blips between retries are no flapping.
    if !state.hard {
        return;
    }
    state.history.push(status);
    if state.history.len() > HISTORY {
        state.history.remove(0);
    }
}

fn reach(state: &mut CheckState, parents_down: bool, change: &mut CheckChange) {
    let unreachable = parents_down && state.status != CheckStatus::Ok;
    if unreachable != state.unreachable {
        state.unreachable = unreachable;
        change.unreachable = Some(unreachable);
    }
}

/// The curve of Nagios: a change weighs 0.75 when it is old and 1.25 when it is new.
fn flap(rules: CheckRules, state: &mut CheckState) -> Option<bool> {
    let span = (HISTORY - 2) as f64;
    // A check that is young was well before.
    let mut history = vec![CheckStatus::Ok; HISTORY - state.history.len()];
    history.extend(&state.history);
    let changes = history.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]);
    let weighted: f64 = changes.map(|(i, _)| i as f64 * 0.5 / span + 0.75).sum();
    state.change_percent = weighted * 100.0 / (HISTORY - 1) as f64;
    let flapping = if state.flapping {
        state.change_percent >= rules.flap_low
    } else {
        rules.flap_high > 0.0 && state.change_percent >= rules.flap_high
    };
    (flapping != state.flapping).then(|| {
        state.flapping = flapping;
        flapping
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use CheckStatus::{Critical as C, Ok as O, Unknown as U, Warning as W};

    const RULES: CheckRules = CheckRules { attempts_max: 3, flap_low: 20.0, flap_high: 30.0 };

    fn run(history: &[CheckStatus]) -> (CheckState, Vec<(usize, CheckStatus, CheckStatus)>) {
        run_with(RULES, history)
    }

    fn run_with(rules: CheckRules, history: &[CheckStatus]) -> (CheckState, Vec<(usize, CheckStatus, CheckStatus)>) {
        let mut state = CheckState::new(Timestamp(0));
        let mut hard = Vec::new();
        for (i, status) in history.iter().enumerate() {
            // A restart between any two results changes nothing.
            state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
            let change = step(rules, &mut state, *status, String::new(), false, Timestamp(i as i64 * 1_000));
            hard.extend(change.hard.map(|(from, to)| (i, from, to)));
        }
        (state, hard)
    }

    #[test]
    fn soft_and_hard() {
        type Case<'a> = (&'a [CheckStatus], &'a [(usize, CheckStatus, CheckStatus)]);
        let cases: &[Case<'_>] = &[
            (&[O, C, C, O], &[]),
            (&[O, C, C, C], &[(3, O, C)]),
            (&[C, W, U], &[(2, O, U)]),
            (&[C, C, C, W, C, O], &[(2, O, C), (3, C, W), (4, W, C), (5, C, O)]),
            (&[C, C, C, O, C, C, O], &[(2, O, C), (3, C, O)]),
            (&[C, C, O, C, C, O, C, C, C], &[(8, O, C)]),
        ];
        for (history, expected) in cases {
            assert_eq!(run(history).1, *expected, "{history:?}");
        }
        let (state, _) = run(&[O, C, C]);
        assert!(state.retries() && state.problem().is_none() && state.attempt == 2);
        let (state, _) = run(&[C, C, C]);
        assert!(!state.retries() && state.problem() == Some(C));
    }

    /// The percentages that Nagios computes for these histories, by its own formula over 21 states.
    #[test]
    fn flapping_follows_the_curve() {
        let run = |history: &[CheckStatus]| run_with(CheckRules { attempts_max: 1, ..RULES }, history);
        let alternating: Vec<_> = (0..21).map(|i| if i % 2 == 0 { O } else { C }).collect();
        let (state, _) = run(&alternating);
        assert!((state.change_percent - 100.0).abs() < 1e-9, "{}", state.change_percent);
        assert!(state.flapping);
        let mut late = vec![O; 20];
        late.push(C);
        assert!((run(&late).0.change_percent - 6.25).abs() < 1e-9);
        let mut early = vec![O];
        early.extend(vec![C; 20]);
        assert!((run(&early).0.change_percent - 3.75).abs() < 1e-9);
        // It ends when enough equal states came after.
        let mut calm = alternating.clone();
        calm.extend(vec![O; 15]);
        assert!(run(&calm).0.flapping, "{}", run(&calm).0.change_percent);
        calm.extend(vec![O; 4]);
        assert!(!run(&calm).0.flapping, "{}", run(&calm).0.change_percent);
    }

    /// Nagios records hard states and recoveries alone: what is well again before it is sure does not flap.
    #[test]
    fn blips_between_retries_are_no_flapping() {
        let blips: Vec<_> = (0..40).map(|i| if i % 2 == 0 { C } else { O }).collect();
        let (state, hard) = run(&blips);
        assert!(!state.flapping && state.change_percent < 1e-9 && hard.is_empty(), "{}", state.change_percent);
        let sure: Vec<_> = (0..40).map(|i| if i % 4 == 3 { O } else { C }).collect();
        let (state, _) = run(&sure);
        assert!(state.flapping && state.change_percent > 90.0, "{}", state.change_percent);
    }

    #[test]
    fn unreachable_is_quiet_until_the_way_is_open() {
        let mut state = CheckState::new(Timestamp(0));
        for _ in 0..3 {
            step(RULES, &mut state, C, String::new(), true, Timestamp(1));
        }
        assert_eq!((state.problem(), state.unreachable), (None, true));
        let change = parents_changed(&mut state, false);
        assert_eq!((change.unreachable, state.problem()), (Some(false), Some(C)));
        let back = step(RULES, &mut state, O, String::new(), true, Timestamp(2));
        assert_eq!((back.hard, state.unreachable), (Some((C, O)), false));
    }

    #[test]
    fn silence_is_a_problem_at_once() {
        let mut state = CheckState::new(Timestamp(0));
        step(RULES, &mut state, O, "fine".to_owned(), false, Timestamp(1_000));
        let change = go_stale(RULES, &mut state, false, Timestamp(60_000));
        assert_eq!((change.stale, change.hard, state.problem()), (Some(true), Some((O, U)), Some(U)));
        let heard = step(RULES, &mut state, O, "fine".to_owned(), false, Timestamp(61_000));
        assert_eq!((heard.stale, heard.hard), (Some(false), Some((U, O))));
    }
}
