//! The words after `flag` that ramp, schedule and decide. Pure.

use tenfold_flags::Share;
use tenfold_types::{Fault, Timestamp};

use super::parse::{Args, check_text, misuse, parse_span_ms};
use crate::flags::RampMove;

/// What is scheduled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planned {
    Switch { enabled: bool },
    Rollout { percent: Share },
    Ramp { plan: String },
}

/// When it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    At(Timestamp),
    InMs(i64),
}

/// What becomes of a change request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Approve,
    Reject,
    Withdraw,
    Force,
}

/// A change of a flag that is more than a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagChange {
    /// By a shared plan, or by steps of a percentage and how long it is held.
    Ramp {
        key: String,
        plan: Option<String>,
        steps: Vec<(Share, i64)>,
        environment: String,
    },
    Move {
        key: String,
        how: RampMove,
        by_ms: Option<i64>,
        environment: String,
    },
    Schedule {
        key: String,
        what: Planned,
        when: When,
        environment: String,
    },
    Schedules,
    Cancel {
        number: i64,
    },
    Requests,
    Decide {
        number: i64,
        how: Decision,
        reason: String,
    },
}

/// The steps of a ramp for which nobody says any.
pub const RAMP_PERCENTS: &str = "1,5,25,100";
/// How long each is held, unless it is said.
pub const HOLD_MS: i64 = 600_000;

/// The command, when `what` is one of these words.
pub(super) fn command(what: &str, args: &mut Args) -> Result<Option<FlagChange>, Fault> {
    let how = match what {
        "ramp" => return ramp(args).map(Some),
        "schedule" => return schedule(args).map(Some),
        "schedules" => return Ok(Some(FlagChange::Schedules)),
        "cancel" => return Ok(Some(FlagChange::Cancel { number: args.number("the schedule's number")? })),
        "requests" => return Ok(Some(FlagChange::Requests)),
        "approve" => return decide(args, Decision::Approve).map(Some),
        "reject" => return decide(args, Decision::Reject).map(Some),
        "withdraw" => return decide(args, Decision::Withdraw).map(Some),
        "force" => return decide(args, Decision::Force).map(Some),
        "pause" => RampMove::Pause,
        "resume" => RampMove::Resume,
        "skip" => RampMove::Skip,
        "back" => RampMove::Back,
        "extend" => RampMove::Extend,
        "stop" => RampMove::Stop,
        _ => return Ok(None),
    };
    let environment = args.environment("in");
    let key = args.word("the flag")?;
    let by_ms = match (how, args.flag("for")) {
        (RampMove::Extend, Some(text)) => Some(parse_span_ms(&text)?),
        (RampMove::Extend, None) => {
            return Err(misuse("`flag extend` lacks `--for`").advice("like this: flag extend new_uploader --for 1h"));
        }
        (_, Some(_)) => return Err(misuse(format!("`flag {what}` takes no `--for`"))),
        (_, None) => None,
    };
    Ok(Some(FlagChange::Move { key, how, by_ms, environment }))
}

fn ramp(args: &mut Args) -> Result<FlagChange, Fault> {
    let environment = args.environment("in");
    let key = args.word("the flag")?;
    let (plan, steps, hold) = (args.flag("plan"), args.flag("steps"), args.flag("hold"));
    if plan.is_some() && (hold.is_some() || steps.is_some()) {
        return Err(misuse("a plan says itself what its steps are").advice("leave `--steps` and `--hold` out"));
    }
    let hold_ms = hold.map_or(Ok(HOLD_MS), |text| parse_span_ms(&text))?;
    let steps = match plan {
        Some(_) => Vec::new(),
        None => parse_steps(steps.as_deref().unwrap_or(RAMP_PERCENTS), hold_ms)?,
    };
    Ok(FlagChange::Ramp { key, plan, steps, environment })
}

/// Reads the steps of a ramp, `0.5,5:1h,100`: percentages, each with how long it is held where that is not `hold_ms`.
pub fn parse_steps(text: &str, hold_ms: i64) -> Result<Vec<(Share, i64)>, Fault> {
    let step = |step: &str| {
        let (percent, hold) = step.split_once(':').map_or((step, None), |(percent, hold)| (percent, Some(hold)));
        let percent = percent.trim();
        let share = Share::parse(percent.strip_suffix('%').unwrap_or(percent)).ok_or_else(|| {
            misuse(format!("`{step}` is no step of a ramp"))
                .advice("write them like 0.5,5:1h,100: per cent with at most two decimals, and how long each is held")
        })?;
        Ok((share, hold.map_or(Ok(hold_ms), parse_span_ms)?))
    };
    text.split(',').map(step).collect()
}

fn schedule(args: &mut Args) -> Result<FlagChange, Fault> {
    let environment = args.environment("in");
    let key = args.word("the flag")?;
    let what = args.word("what to do with it")?;
    let what = match what.to_lowercase().as_str() {
        "on" => Planned::Switch { enabled: true },
        "off" => Planned::Switch { enabled: false },
        "ramp" => Planned::Ramp {
            plan: args
                .flag("plan")
                .ok_or_else(|| misuse("a scheduled ramp lacks its plan").advice("give --plan NAME"))?,
        },
        other => match Share::parse(other.strip_suffix('%').unwrap_or(other)) {
            Some(percent) => Planned::Rollout { percent },
            None => {
                return Err(misuse(format!("`{other}` cannot be scheduled"))
                    .advice("use on, off, a percentage, or ramp with --plan"));
            }
        },
    };
    let when = args.flag("at").ok_or_else(|| {
        misuse("`flag schedule` lacks `--at`").advice("like this: flag schedule new_uploader on --at 2h")
    })?;
    Ok(FlagChange::Schedule { key, what, when: parse_when(&when)?, environment })
}

fn decide(args: &mut Args, how: Decision) -> Result<FlagChange, Fault> {
    let number = args.number("the change request's number")?;
    let reason = match args.flag("reason") {
        Some(text) => check_text(&text, args.verb, "the reason")?,
        None if how == Decision::Force => {
            return Err(misuse("`flag force` lacks `--reason`").advice("say why it cannot wait for a second person"));
        }
        None => String::new(),
    };
    Ok(FlagChange::Decide { number, how, reason })
}

/// An instant, or how long from now: `2027-01-11T08:00:00Z`, `2h`.
pub fn parse_when(text: &str) -> Result<When, Fault> {
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Ok(When::At(at));
    }
    let ahead = text.strip_prefix('+').unwrap_or(text);
    parse_span_ms(ahead).map(When::InMs).map_err(|_| {
        misuse(format!("`{text}` is not an instant"))
            .advice("write it like 2027-01-11T08:00:00Z, or 2h for in two hours")
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Command, parse};
    use super::*;

    fn check(line: &str, wanted: FlagChange) {
        assert_eq!(parse(line), Ok(Command::FlagChange(wanted)), "{line}");
    }

    fn refuse(line: &str, words: &str) {
        let fault = parse(line).expect_err(line);
        let said = format!("{fault}; {}", fault.advice);
        assert!(said.contains(words), "{line}: {said}");
    }

    #[test]
    fn ramps_schedules_and_requests() {
        let (key, environment) = (|| "x".to_owned(), || "production".to_owned());
        let ramp = |plan: Option<&str>, steps: &[(u16, i64)]| FlagChange::Ramp {
            key: key(),
            plan: plan.map(str::to_owned),
            steps: steps.iter().map(|(share, hold_ms)| (Share::hundredths(*share).unwrap(), *hold_ms)).collect(),
            environment: environment(),
        };
        let usual = |hold_ms| [100, 500, 2_500, 10_000].map(|share| (share, hold_ms));
        check("flag ramp x", ramp(None, &usual(600_000)));
        check("flag ramp x --hold 1h", ramp(None, &usual(3_600_000)));
        check("flag ramp x --plan careful", ramp(Some("careful"), &[]));
        let slow = ramp(None, &[(10, 600_000), (500, 3_600_000), (10_000, 600_000)]);
        check("flag ramp x --steps \"0.1, 5%:1h, 100\"", slow);
        refuse("flag ramp x --steps 1,half", "`half` is no step of a ramp");
        refuse("flag ramp x --steps 1,0.125", "at most two decimals");
        refuse("flag ramp x --steps 1:soon", "is not a duration");
        refuse("flag ramp x --plan careful --steps 1", "leave `--steps` and `--hold` out");
        refuse("flag ramp x --plan careful --hold 1h", "leave `--steps` and `--hold` out");
        let moved = |how, by_ms| FlagChange::Move { key: key(), how, by_ms, environment: environment() };
        check("flag pause x", moved(RampMove::Pause, None));
        check("flag extend x --for 1h", moved(RampMove::Extend, Some(3_600_000)));
        refuse("flag extend x", "lacks `--for`");
        refuse("flag skip x --for 1h", "takes no `--for`");
        let planned = |what, when| FlagChange::Schedule { key: key(), what, when, environment: environment() };
        check("flag schedule x on --at 2h", planned(Planned::Switch { enabled: true }, When::InMs(7_200_000)));
        let at = Timestamp::parse_rfc3339("2027-01-11T08:00:00Z").unwrap();
        let quarter = Planned::Rollout { percent: Share::hundredths(25).unwrap() };
        check("flag schedule x 0.25% --at 2027-01-11T08:00:00Z", planned(quarter, When::At(at)));
        let by_plan = Planned::Ramp { plan: "careful".into() };
        check("flag schedule x ramp --plan careful --at 1d", planned(by_plan, When::InMs(86_400_000)));
        refuse("flag schedule x on", "lacks `--at`");
        refuse("flag schedule x on --at soon", "not an instant");
        refuse("flag schedule x maybe --at 1h", "cannot be scheduled");
        check("flag cancel 3", FlagChange::Cancel { number: 3 });
        let decide = |how, reason: &str| FlagChange::Decide { number: 12, how, reason: reason.into() };
        check("flag approve 12", decide(Decision::Approve, ""));
        check("flag reject #12 --reason \"not today\"", decide(Decision::Reject, "not today"));
        check("flag force 12 --reason \"uploads are down\"", decide(Decision::Force, "uploads are down"));
        refuse("flag force 12", "lacks `--reason`");
        refuse("flag approve", "lacks the change request's number");
    }
}
