//! Could the people who are to be paged be reached, and does every step of a policy have somebody? Asked before it matters.

use std::collections::BTreeMap;

use tenfold_types::Timestamp;

use crate::policy::{Target, TargetKind, Teams, paged_members};
use crate::schedule::Schedule;

/// A test page that a way has not taken after this is one that failed.
const TEST_WAIT_MS: i64 = 600_000;

/// Whether a login is that of somebody who can act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    Missing,
    Disabled,
    Active,
}

/// How somebody's last test page went, by channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFacts {
    pub at: Timestamp,
    pub taken: Vec<String>,
    pub failed: Vec<String>,
    /// Not taken yet, and tried again.
    pub waiting: Vec<String>,
}

/// What is known of somebody who may be paged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachFacts {
    pub account: Account,
    /// Channels that are set up and for which there is an address.
    pub ways: Vec<String>,
    /// Channels for which there is an address and that are not set up at the server.
    pub unset: Vec<String>,
    /// Every hour in which they may be paged lies in their quiet hours.
    pub always_quiet: bool,
    pub test: Option<TestFacts>,
}

/// Why somebody may not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unready {
    NoAccount,
    Disabled,
    NoWay,
    ChannelUnset { channel: String },
    AlwaysQuiet,
    NeverTested,
    TestOld { at: Timestamp },
    TestFailed { channels: Vec<String> },
}

impl Unready {
    /// One word for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoAccount => "no_account",
            Self::Disabled => "disabled",
            Self::NoWay => "no_way",
            Self::ChannelUnset { .. } => "channel_unset",
            Self::AlwaysQuiet => "always_quiet",
            Self::NeverTested => "never_tested",
            Self::TestOld { .. } => "test_old",
            Self::TestFailed { .. } => "test_failed",
        }
    }

    /// A page reaches them by no way.
    pub const fn unreachable(&self) -> bool {
        matches!(self, Self::NoAccount | Self::Disabled | Self::NoWay)
    }

    /// As a sentence goes on after a name.
    pub fn text(&self) -> String {
        match self {
            Self::NoAccount => "has no account".to_owned(),
            Self::Disabled => "has an account that is disabled".to_owned(),
            Self::NoWay => "has no address for a channel that is set up".to_owned(),
            Self::ChannelUnset { channel } => {
                format!("has an address for {channel}, which is not set up at the server")
            }
            Self::AlwaysQuiet => "has quiet hours over the whole of it: what is not critical does not ring".to_owned(),
            Self::NeverTested => "was never sent a test page".to_owned(),
            Self::TestOld { at } => format!("was last sent a test page on {}", day(*at)),
            Self::TestFailed { channels } => format!("was not reached by {} in the last test", channels.join(", ")),
        }
    }
}

fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..10).unwrap_or(&text).to_owned()
}

/// What stands between somebody and a page, the worst first. A test is old after `test_age_max_ms`; with 0 nobody is
/// asked for tests.
pub fn unready(facts: &ReachFacts, now: Timestamp, test_age_max_ms: i64) -> Vec<Unready> {
    match facts.account {
        Account::Missing => return vec![Unready::NoAccount],
        Account::Disabled => return vec![Unready::Disabled],
        Account::Active => {}
    }
    let mut out = Vec::new();
    if facts.ways.is_empty() {
        out.push(Unready::NoWay);
    }
    out.extend(facts.unset.iter().map(|channel| Unready::ChannelUnset { channel: channel.clone() }));
    if facts.ways.is_empty() {
        // Where nothing leads to, no test does.
        return out;
    }
    if facts.always_quiet {
        out.push(Unready::AlwaysQuiet);
    }
    match &facts.test {
        _ if test_age_max_ms == 0 => {}
        None => out.push(Unready::NeverTested),
        Some(test) => {
            let age_ms = now.since_ms(test.at);
            let mut channels = test.failed.clone();
            if age_ms > TEST_WAIT_MS {
                channels.extend(test.waiting.iter().cloned());
            }
            if !channels.is_empty() {
                out.push(Unready::TestFailed { channels });
            }
            if age_ms > test_age_max_ms {
                out.push(Unready::TestOld { at: test.at });
            }
        }
    }
    out
}

/// The first instant in a stretch at which none of a step's targets names somebody who is `reached`, of those who are `there` to be
/// paged.
pub fn nobody_from(
    targets: &[Target],
    schedules: &BTreeMap<String, Schedule>,
    teams: &Teams,
    there: &dyn Fn(&str) -> bool,
    reached: &dyn Fn(&str) -> bool,
    from: Timestamp,
    to: Timestamp,
) -> Option<Timestamp> {
    let named = targets.iter().filter(|t| t.kind == TargetKind::Schedule);
    // Who is on call changes at the ends of spans and nowhere else.
    let mut instants: Vec<Timestamp> = named
        .filter_map(|t| schedules.get(&t.name))
        .flat_map(|schedule| schedule.spans(from, to))
        .map(|span| span.since.max(from))
        .collect();
    instants.push(from);
    instants.sort_unstable();
    instants.dedup();
    let stands = |target: &Target, at: Timestamp| match target.kind {
        TargetKind::Person => reached(&target.name),
        TargetKind::Team => paged_members(teams, &target.name).iter().any(|p| reached(p)),
        TargetKind::Schedule => schedules.get(&target.name).is_some_and(|schedule| {
            let duty = schedule.duty_at(at).among(schedule.fallback_at(at), there);
            match target.offset {
                0 => duty.people.iter().any(|p| reached(p)),
                n => duty.behind.get(n as usize - 1).is_some_and(|p| reached(p)),
            }
        }),
    };
    instants.into_iter().find(|at| !targets.iter().any(|target| stands(target, *at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const WEEK_MS: i64 = 7 * 86_400_000;

    fn facts() -> ReachFacts {
        let test = TestFacts { at: NOW.plus_ms(-WEEK_MS), taken: vec!["mail".into()], failed: vec![], waiting: vec![] };
        ReachFacts {
            account: Account::Active,
            ways: vec!["mail".into(), "sms".into()],
            unset: vec![],
            always_quiet: false,
            test: Some(test),
        }
    }

    fn kinds(change: impl FnOnce(&mut ReachFacts)) -> Vec<&'static str> {
        let mut facts = facts();
        change(&mut facts);
        unready(&facts, NOW, WEEK_MS).iter().map(Unready::kind).collect()
    }

    #[test]
    fn what_stands_between_somebody_and_a_page_is_said() {
        assert_eq!(kinds(|_| ()), Vec::<&str>::new());
        assert_eq!(kinds(|f| f.account = Account::Missing), ["no_account"]);
        assert_eq!(kinds(|f| f.account = Account::Disabled), ["disabled"]);
        assert_eq!(kinds(|f| f.ways.clear()), ["no_way"], "and nothing of tests");
        assert_eq!(kinds(|f| f.unset = vec!["voice".into()]), ["channel_unset"]);
        assert_eq!(kinds(|f| f.always_quiet = true), ["always_quiet"]);
        assert_eq!(kinds(|f| f.test = None), ["never_tested"]);
        let test = |f: &mut ReachFacts, change: fn(&mut TestFacts)| change(f.test.as_mut().unwrap());
        assert_eq!(kinds(|f| test(f, |t| t.at = t.at.plus_ms(-1))), ["test_old"]);
        assert_eq!(kinds(|f| test(f, |t| t.failed = vec!["sms".into()])), ["test_failed"]);
        assert_eq!(kinds(|f| test(f, |t| t.waiting = vec!["sms".into()])), ["test_failed"], "after a week it failed");
        let fresh = |t: &mut TestFacts| (t.at, t.waiting) = (NOW.plus_ms(-1_000), vec!["sms".into()]);
        assert_eq!(kinds(|f| test(f, fresh)), Vec::<&str>::new(), "it is under way");
        let mut old = facts();
        old.test = None;
        assert_eq!(unready(&old, NOW, 0), [], "nobody is asked for tests");
    }

    #[test]
    fn a_step_without_anybody_is_found_at_its_instant() {
        // Ana and Raj in turns of a day.
        let plan = serde_json::from_value(serde_json::json!({
            "timezone": "UTC",
            "rotation": {"people": ["ana", "raj"], "start": "2026-11-23T00:00:00", "shift_length": "1d"},
        }))
        .unwrap();
        let schedule = Schedule::of_plan("s", plan, Vec::new()).unwrap();
        let schedules = BTreeMap::from([("s".to_owned(), schedule)]);
        let teams = Teams::from([("web".to_owned(), vec!["mei".to_owned(), "zoe".to_owned()])]);
        let team = |name: &str| Target { kind: TargetKind::Team, name: name.to_owned(), offset: 0 };
        let target = |offset| Target { kind: TargetKind::Schedule, name: "s".to_owned(), offset };
        let from = Timestamp::parse_rfc3339("2026-11-23T12:00:00Z").unwrap();
        let to = from.plus_ms(2 * WEEK_MS);
        let ask = |targets: &[Target], gone: &str| {
            let there = |p: &str| p != gone;
            nobody_from(targets, &schedules, &teams, &there, &there, from, to)
        };
        assert_eq!(ask(&[target(0)], ""), None);
        assert_eq!(ask(&[target(0)], "ana"), Some(from), "ana has it now and cannot act");
        let midnight = Timestamp::parse_rfc3339("2026-11-24T00:00:00Z").unwrap();
        assert_eq!(ask(&[target(0)], "raj"), Some(midnight));
        assert_eq!(ask(&[target(0), Target::person("mei")], "raj"), None, "mei is there at all times");
        assert_eq!(ask(&[Target::person("mei")], "mei"), Some(from));
        assert_eq!(ask(&[target(9)], ""), Some(from), "so many do not stand behind them");
        let none = Target { kind: TargetKind::Schedule, name: "gone".to_owned(), offset: 0 };
        assert_eq!(ask(&[none], ""), Some(from));
        assert_eq!(ask(&[team("web")], "mei"), None, "zoe is in it too");
        assert_eq!(ask(&[team("gone")], ""), Some(from), "nobody is in it");
        assert_eq!(ask(&[team("gone"), target(0)], ""), None);
    }

    #[test]
    fn a_fallback_stands_in_for_whoever_is_gone_and_not_for_whom_no_page_reaches() {
        let plan = serde_json::from_value(serde_json::json!({
            "timezone": "UTC", "fallback": ["mei"],
            "rotation": {"people": ["ana", "raj", "zoe"], "start": "2026-11-23T00:00:00", "shift_length": "1w"},
        }))
        .unwrap();
        let schedules = BTreeMap::from([("s".to_owned(), Schedule::of_plan("s", plan, Vec::new()).unwrap())]);
        let from = Timestamp::parse_rfc3339("2026-11-23T12:00:00Z").unwrap();
        let ask = |offset, gone: &[&str], unreached: &str| {
            let target = Target { kind: TargetKind::Schedule, name: "s".to_owned(), offset };
            let there = |p: &str| !gone.contains(&p);
            let reached = |p: &str| there(p) && p != unreached;
            nobody_from(&[target], &schedules, &Teams::new(), &there, &reached, from, from.plus_ms(86_400_000))
        };
        assert_eq!(ask(0, &["ana"], ""), None, "mei is paged");
        assert_eq!(ask(0, &["ana", "mei"], ""), Some(from));
        assert_eq!(ask(0, &[], "ana"), Some(from), "ana is paged, and not reached");
        assert_eq!(ask(1, &["raj"], ""), None, "zoe is the next behind");
        assert_eq!(ask(1, &["raj"], "zoe"), Some(from));
    }
}
