//! `oncall`: the same use cases that the page has.

use tenfold_types::{Fault, Timestamp};

use super::{Reply, duty::minute};
use crate::chat::announce::span;
use crate::chat::grammar::{OnCall, When};
use crate::oncall::{
    FollowedView, NewOverride, NewSwap, OnCallPerson, PreviewAsk, RestView, SpanView, SuggestAsk, SwapView,
};
use crate::{App, Caller};

const DAY_MS: i64 = 86_400_000;
/// Lines of one answer in a room.
const LINES_MAX: usize = 12;
/// Of them, what is to be mended of a calendar.
const TROUBLES_MAX: usize = 3;

pub(super) async fn execute(app: &App, who: &Caller, command: OnCall) -> Result<Reply, Fault> {
    let now = app.now();
    let at = |when: When| match when {
        When::At(at) => at,
        When::InMs(ms) => now.plus_ms(ms),
    };
    Ok(match command {
        OnCall::Preview { schedule, for_ms } => {
            let days = (for_ms + DAY_MS - 1) / DAY_MS;
            let ask = PreviewAsk { from: None, days: Some(days) };
            let preview = app.schedule_preview(&schedule, ask, None).await?;
            let troubles = preview.calendar.iter().flat_map(FollowedView::troubles).take(TROUBLES_MAX);
            let said = troubles.map(|trouble| format!("the calendar of {schedule} {trouble}"));
            let mut reply: Vec<String> = said.chain(preview.spans.iter().map(span_line)).collect();
            if preview.truncated {
                reply.insert(0, format!("{schedule} has more shifts than a preview lists; ask for fewer days"));
            }
            short(reply)
        }
        OnCall::Digest { schedule } => {
            let digest = app.handoff_digest(who, &schedule).await?;
            let mut lines = vec![format!("{schedule} since {}: {} pages", minute(digest.from), digest.pages)];
            if digest.truncated {
                let (fired, open) = (digest.fired_count, digest.open_count);
                lines.push(format!("there was more than is listed: {fired} alerts fired, {open} incidents open"));
            }
            lines.extend(digest.open.into_iter().map(|l| format!("open: {l}")));
            lines.extend(digest.fired.into_iter().map(|l| format!("fired: {l}")));
            lines.extend(digest.muted.into_iter().map(|l| format!("muted: {l}")));
            // a room is read by others than the schedule's people, so nobody's rest is said here
            short(lines)
        }
        OnCall::Swaps => match app.swaps().await?.as_slice() {
            [] => Reply::line("no swap waits for an answer"),
            swaps => short(swaps.iter().map(swap_line).collect()),
        },
        OnCall::Readiness => {
            let view = app.readiness().await?;
            match view.sentences() {
                none if none.is_empty() => Reply::line(format!(
                    "all {} who may be paged until {} can be reached",
                    view.people.len(),
                    minute(view.until)
                )),
                sentences => short(sentences),
            }
        }
        OnCall::Test { login } => {
            let page = Box::pin(app.page_test(who, login.as_deref().unwrap_or(&who.actor.id))).await?;
            let link = app.settings.link("/on-call/readiness");
            Reply::line(format!(
                "a test page to {} is on its way by all ways; {link} says how it went",
                page.person_name
            ))
        }
        OnCall::Swap { schedule, with, give, take } => {
            let (give, give_until) = give.map_or((None, None), |part| (Some(at(part.from)), part.until.map(at)));
            let (take, take_until) = take.map_or((None, None), |part| (Some(at(part.from)), part.until.map(at)));
            let new = NewSwap { with, give, give_until, take, take_until };
            let swap = app.swap_ask(who, &schedule, new).await?;
            Reply::line(format!("{}; {} says `oncall accept {}`", swap_line(&swap), swap.with, swap.id))
        }
        OnCall::Accept { swap } => {
            let swap = app.swap_accept(who, swap).await?;
            Reply::lines(std::iter::once(swap_line(&swap)).chain(rests(&swap.short_rests)).collect())
        }
        OnCall::Decline { swap } => Reply::line(swap_line(&app.swap_decline(who, swap).await?)),
        OnCall::Take { schedule, for_ms, at: when } => {
            let taken = app.take(who, &schedule, Some(for_ms), when.map(at)).await?;
            let said = format!("{} has {schedule} until {}", taken.person, minute(taken.end));
            Reply::lines(std::iter::once(said).chain(rests(&taken.short_rests)).collect())
        }
        OnCall::Override { schedule, person, kind, for_ms, at: when } => {
            let start = when.map_or(now, at);
            let new = NewOverride { kind, ..NewOverride::cover(&person, None, start, start.plus_ms(for_ms)) };
            let made = app.override_create(who, &schedule, new).await?;
            let (start, end) = (minute(made.start), minute(made.end));
            let said = format!("override {}: {} {schedule} from {start} to {end}", made.id, made.person);
            Reply::lines(std::iter::once(said).chain(rests(&made.short_rests)).collect())
        }
        OnCall::Undo { schedule, number } => {
            app.override_delete(who, &schedule, number).await?;
            Reply::line(format!("override {number} of {schedule} is taken back"))
        }
        OnCall::Suggest { schedule, at: when, for_ms } => {
            let start = at(when);
            let end = start.plus_ms(for_ms);
            let (from, to) = (minute(start), minute(end));
            // A room is read by others than the schedule's people: who has had how much is not said here.
            Reply::line(match app.suggest(who, &schedule, SuggestAsk { start, end }).await?.person {
                Some(person) => format!("{} could have {schedule} from {from} to {to}", person.name),
                None => format!("nobody of {schedule} is free and rested from {from} to {to}"),
            })
        }
    })
}

/// All policies, or one as the ladder that a page would climb now.
pub(super) async fn policies(app: &App, name: Option<String>) -> Result<Reply, Fault> {
    let all = app.policies().await?;
    let Some(name) = name else {
        if all.is_empty() {
            return Ok(Reply::line("there are no escalation policies: incidents page nobody"));
        }
        let rounds = |repeat: u32| if repeat == 0 { String::new() } else { format!(", {repeat} more rounds") };
        return Ok(short(
            all.iter().map(|p| format!("{}: {} steps{}", p.name, p.steps.len(), rounds(p.repeat))).collect(),
        ));
    };
    let Some(policy) = all.into_iter().find(|policy| policy.name == name) else {
        return Err(Fault::not_found(format!("there is no escalation policy `{name:.100}`"))
            .advice("`policies list` names them"));
    };
    let first = policy.deployer_first.as_ref().map(|first| {
        let (delay, within) = (span(first.delay_ms), span(first.within_ms));
        format!("first the deployer, for {delay}, when the service was deployed within {within}")
    });
    let played = app.policy_preview(policy.into()).await?;
    let steps = played.steps.iter().map(|step| {
        let when = if step.after_ms == 0 { "at once".to_owned() } else { format!("after {}", span(step.after_ms)) };
        let names = |people: &[OnCallPerson]| people.iter().map(|p| p.name.clone()).collect::<Vec<_>>().join(", ");
        let who = match (step.people.is_empty(), step.shadows.is_empty()) {
            (true, _) => "nobody, it is passed over".to_owned(),
            (false, true) => names(&step.people),
            (false, false) => format!("{} (in copy {})", names(&step.people), names(&step.shadows)),
        };
        format!("{when}: {who} (step {}, round {})", step.step, step.round)
    });
    let end = format!("after {}: nobody else is asked", span(played.ends_after_ms));
    Ok(short(first.into_iter().chain(steps).chain([end]).collect()))
}

/// Rests that a change has made too short.
fn rests(short: &[RestView]) -> impl Iterator<Item = String> {
    short.iter().map(|r| {
        let (from, to) = (minute(r.from), minute(r.to));
        format!("{} rests from {from} to {to} only, less than {} h{}", r.person, r.min_rest_hours, r.between())
    })
}

fn short(mut lines: Vec<String>) -> Reply {
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more; the On-call page has them all"));
    }
    Reply::lines(lines)
}

fn span_line(span: &SpanView) -> String {
    let who = if span.gap { "nobody".to_owned() } else { span.people.join(" and ") };
    let why = match (&span.layer, span.fallback, span.overrides.last()) {
        (_, true, _) => " (fallback)".to_owned(),
        (_, _, Some(id)) => format!(" (override {id})"),
        (Some(layer), ..) => format!(" ({layer})"),
        _ => String::new(),
    };
    format!("{} to {}: {who}{why}", minute(span.since), minute(span.until))
}

fn swap_line(swap: &SwapView) -> String {
    let stretch = |start: Timestamp, end: Timestamp| format!("{} to {}", minute(start), minute(end));
    let back = swap.take_start.zip(swap.take_end).map_or_else(String::new, |(s, e)| format!(" for {}", stretch(s, e)));
    let given = stretch(swap.give_start, swap.give_end);
    format!("swap {} ({}): {} gives {} {} of {given}{back}", swap.id, swap.state, swap.from, swap.with, swap.schedule)
}
