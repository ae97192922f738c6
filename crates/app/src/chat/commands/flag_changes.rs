//! Ramps, scheduled changes, change requests and permits.

use tenfold_flags::{Ramp, RampState, RampStep};
use tenfold_types::Fault;

use super::Reply;
use crate::chat::announce::span;
use crate::chat::grammar::{Decision, FlagChange, Planned, When};
use crate::flags::{FlagAction, FlagView, LATE_MS_DEFAULT, NewSchedule, RampStart, RequestView, ScheduleView};
use crate::permits::PermitView;
use crate::{App, Caller};

pub(super) async fn execute(app: &App, who: &Caller, change: FlagChange) -> Result<Reply, Fault> {
    match change {
        FlagChange::Ramp { key, plan, steps, environment } => {
            let step = |(percent, hold_ms)| RampStep { percent, hold_ms, guard: None };
            let start = match plan {
                Some(plan) => RampStart { plan: Some(plan), ..RampStart::default() },
                None => RampStart::of(steps.into_iter().map(step).collect()),
            };
            let flag = app.flag_ramp_start(who, &key, &environment, start).await?;
            Ok(Reply::line(ramp_line(app, &flag, &environment)))
        }
        FlagChange::Move { key, how, by_ms, environment } => {
            let flag = app.flag_ramp_move(who, &key, &environment, how, by_ms).await?;
            Ok(Reply::line(ramp_line(app, &flag, &environment)))
        }
        FlagChange::Schedule { key, what, when, environment } => {
            let action = match what {
                Planned::Switch { enabled } => FlagAction::Switch { enabled, reason: None },
                Planned::Rollout { percent } => FlagAction::Rollout { percent },
                Planned::Ramp { plan } => FlagAction::Ramp(RampStart { plan: Some(plan), ..RampStart::default() }),
            };
            let at = match when {
                When::At(at) => at,
                When::InMs(ms) => app.now().plus_ms(ms),
            };
            let new = NewSchedule { environment, at, action, late_ms_max: LATE_MS_DEFAULT };
            let scheduled = app.flag_schedule(who, &key, new).await?;
            Ok(Reply::line(match (&scheduled.schedule, scheduled.requested) {
                (Some(schedule), _) => schedule_line(schedule),
                (None, Some(number)) => waits(number),
                (None, None) => "nothing was scheduled".into(),
            }))
        }
        FlagChange::Schedules => {
            let pending = app.flag_schedules(None, Some("pending")).await?;
            let lines = pending.items.iter().rev().map(schedule_line).collect();
            Ok(Reply::lines_or(lines, "no change is scheduled"))
        }
        FlagChange::Cancel { number } => {
            app.flag_schedule_cancel(who, number).await.map(|s| Reply::line(schedule_line(&s)))
        }
        FlagChange::Requests => {
            let pending = app.flag_requests(None, Some("pending")).await?;
            Ok(Reply::lines_or(
                pending.items.iter().rev().map(request_line).collect(),
                "no change waits for a second person",
            ))
        }
        FlagChange::Decide { number, how, reason } => {
            let request = match how {
                Decision::Approve => app.flag_request_approve(who, number).await?,
                Decision::Reject => app.flag_request_reject(who, number, &reason).await?,
                Decision::Withdraw => app.flag_request_withdraw(who, number).await?,
                Decision::Force => app.flag_request_force(who, number, &reason).await?,
            };
            Ok(Reply::line(request_line(&request)))
        }
    }
}

/// One permit, or all of them.
pub(super) fn permits(app: &App, job: Option<&str>) -> Result<Reply, Fault> {
    if let Some(job) = job {
        return Ok(Reply::line(permit_line(&app.permit(job)?)));
    }
    Ok(Reply::lines_or(app.permits().items.iter().map(permit_line).collect(), "there are no permits"))
}

pub(super) fn waits(number: i64) -> String {
    format!("that waits for a second person as change request {number}, approved with: flag approve {number}")
}

pub(super) fn ramp_line(app: &App, flag: &FlagView, environment: &str) -> String {
    if let Some(number) = flag.requested {
        return waits(number);
    }
    let Some(ramp) = flag.environments.get(environment).and_then(|e| e.ramp.as_ref()) else {
        return format!("no ramp of {} runs in {environment}", flag.key);
    };
    format!("the ramp of {} in {environment} {}", flag.key, ramp_words(app, ramp))
}

fn ramp_words(app: &App, ramp: &Ramp) -> String {
    let at = format!("at {} % (step {} of {})", ramp.percent(), ramp.position + 1, ramp.steps.len());
    let words = match (ramp.state, ramp.next_at) {
        (RampState::Running, Some(next)) => {
            format!("runs {at}, next step in {}", span(next.since_ms(app.now()).max(0)))
        }
        (RampState::Running, None) => format!("runs {at}"),
        (RampState::Paused, _) => format!("is paused {at}"),
        (RampState::Done, _) => format!("is done {at}"),
        (RampState::Stopped, _) => format!("is stopped {at}"),
        (RampState::Tripped, _) => format!("was ended by its guard {at}"),
    };
    ramp.guard_words().map_or(words.clone(), |guard| format!("{words}; {guard}"))
}

fn schedule_line(schedule: &ScheduleView) -> String {
    let remark = if schedule.remark.is_empty() { String::new() } else { format!(", {}", schedule.remark) };
    format!(
        "schedule {}: {} at {} ({} by {}{remark})",
        schedule.number, schedule.text, schedule.at, schedule.state, schedule.author
    )
}

fn request_line(request: &RequestView) -> String {
    let outdated = if request.outdated { ", but the flag was changed since" } else { "" };
    let by = if request.decided_by.is_empty() { String::new() } else { format!(" by {}", request.decided_by) };
    format!(
        "change request {}: {} wants to {} ({}{by}{outdated})",
        request.number, request.author, request.text, request.state
    )
}

fn permit_line(permit: &PermitView) -> String {
    let phase = match permit.phase {
        tenfold_flags::Phase::Rising => "rising",
        tenfold_flags::Phase::Falling => "falling",
        tenfold_flags::Phase::FailSafe => "fail-safe",
    };
    let signal = permit.state.as_ref().map_or_else(String::new, |s| match s.signal {
        Some(signal) if s.trouble.is_empty() => format!(", signal {signal:.4} with a limit of {}", permit.law.limit),
        _ => format!(", {}", s.trouble),
    });
    format!("{}: {:.0} % ({phase}{signal})", permit.job, permit.permit * 100.0)
}
