//! Swaps: one person asks another to change shifts, and nothing changes before the other accepts.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_oncall::{OverrideKind, Schedule};
use tenfold_store::{counters, oncall as store};
use tenfold_types::{ActorKind, EventDraft, Fault, Severity, Timestamp};

use super::{
    no_schedule,
    overrides::{NewOverride, OVERRIDE_MS_MAX, insert},
    rest::shortened,
    schedule,
    schedules::{check_people, minute, to_json},
    views::SwapView,
};
use crate::{App, Caller, Role, Txn};

const SWAPS_OPEN_MAX: usize = 200;

/// What is asked: an instant in the caller's shift to give away, and one in the other's to take for it. Either is the whole
/// shift from then or from now on, or only the part until an instant.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSwap {
    /// Login of the person who is asked.
    pub with: String,
    /// An instant in the caller's shift; now when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub give: Option<Timestamp>,
    /// Only the part from `give` until then; the whole shift when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub give_until: Option<Timestamp>,
    /// An instant in the other's shift; nothing is taken for it when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub take: Option<Timestamp>,
    /// Only the part from `take` until then; the whole shift when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub take_until: Option<Timestamp>,
}

/// A stretch of somebody's shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    start: Timestamp,
    end: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Body {
    from: String,
    with: String,
    give: Piece,
    take: Option<Piece>,
}

/// The shift of `person` that holds at `at`, from now on; with `until` the part of their duty between the two instants.
fn piece(
    schedule: &Schedule,
    person: &str,
    at: Timestamp,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<Piece, Fault> {
    let span = schedule.span_at(at);
    if !span.people.iter().any(|p| p == person) {
        return Err(Fault::conflict(format!("{person} is not on call in {} at {}", schedule.name, minute(at)))
            .advice("`oncall preview SCHEDULE` lists the shifts"));
    }
    if span.until <= now {
        return Err(Fault::invalid(format!("the shift of {person} until {} is over", minute(span.until))));
    }
    let Some(end) = until else { return Ok(Piece { start: span.since.max(now), end: span.until }) };
    let start = at.max(now);
    if end <= start {
        return Err(Fault::invalid(format!("a part from {} to {} has no length", minute(start), minute(end)))
            .advice("say its end after its beginning"));
    }
    if end.since_ms(start) > OVERRIDE_MS_MAX {
        return Err(Fault::invalid(format!("a part is at most {} days long", OVERRIDE_MS_MAX / 86_400_000)));
    }
    let spans = schedule.spans(start, end);
    if let Some(missing) = spans.iter().find(|s| !s.people.iter().any(|p| p == person)) {
        return Err(Fault::conflict(format!(
            "{person} is on call in {} until {} only",
            schedule.name,
            minute(missing.since)
        ))
        .advice("`oncall preview SCHEDULE` lists the shifts"));
    }
    Ok(Piece { start, end })
}

fn view(row: &store::SwapRow, body: &Body) -> SwapView {
    SwapView {
        id: row.id,
        schedule: row.schedule.clone(),
        state: row.state.clone(),
        from: body.from.clone(),
        with: body.with.clone(),
        give_start: body.give.start,
        give_end: body.give.end,
        take_start: body.take.map(|p| p.start),
        take_end: body.take.map(|p| p.end),
        short_rests: Vec::new(),
    }
}

fn read(row: &store::SwapRow) -> Result<Body, Fault> {
    serde_json::from_str(&row.body).map_err(|e| Fault::internal(format!("the swap {} cannot be read: {e}", row.id)))
}

impl App {
    /// The swaps that wait for an answer.
    pub async fn swaps(&self) -> Result<Vec<SwapView>, Fault> {
        let now = self.now();
        self.read(move |tx| store::swaps_open(tx, now)?.iter().map(|row| Ok(view(row, &read(row)?))).collect()).await
    }

    /// Asks somebody to change shifts.
    pub async fn swap_ask(&self, who: &Caller, name: &str, new: NewSwap) -> Result<SwapView, Fault> {
        who.require(Role::Responder, None, None)?;
        if who.actor.kind != ActorKind::Person {
            return Err(Fault::invalid(format!("{} is not a person and has no shifts", who.name)));
        }
        if new.with == who.actor.id {
            return Err(Fault::invalid("a swap is asked of somebody else"));
        }
        let (who, name) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            let now = t.now();
            check_people(t.tx(), std::iter::once(&new.with))?;
            let schedule = schedule(t.tx(), &name, now)?.ok_or_else(|| no_schedule(&name))?;
            if store::swaps_open(t.tx(), now)?.len() >= SWAPS_OPEN_MAX {
                return Err(Fault::invalid(format!("at most {SWAPS_OPEN_MAX} swaps wait for an answer")));
            }
            if new.take.is_none() && new.take_until.is_some() {
                return Err(Fault::invalid("the part to take has an end and no beginning").advice("say `take` as well"));
            }
            let give = piece(&schedule, &who.actor.id, new.give.unwrap_or(now), new.give_until, now)?;
            let take = new.take.map(|at| piece(&schedule, &new.with, at, new.take_until, now)).transpose()?;
            let body = Body { from: who.actor.id.clone(), with: new.with.clone(), give, take };
            let id = counters::next(t.tx(), "swap")?;
            let row = store::SwapRow {
                id,
                schedule: name.clone(),
                state: "open".to_owned(),
                ends_at: take.map_or(give.end, |p| p.end.min(give.end)),
                body: to_json(&body)?,
            };
            store::swap_insert(t.tx(), &row)?;
            let back = take.map_or_else(String::new, |p| format!(" for {} to {}", minute(p.start), minute(p.end)));
            let text = format!(
                "{} asks {} to take {name} from {} to {}{back} (swap {id})",
                who.name,
                new.with,
                minute(give.start),
                minute(give.end)
            );
            let seen = view(&row, &body);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "swap.asked", text)
                    .severity(Severity::Info)
                    .data(json!({"schedule": name, "swap": seen})),
            )?;
            Ok(seen)
        })
        .await
    }

    /// The one who was asked accepts: both shifts change hands.
    pub async fn swap_accept(&self, who: &Caller, id: i64) -> Result<SwapView, Fault> {
        let who = who.clone();
        self.transact(move |t| {
            let now = t.now();
            let (row, body) = open(t, id)?;
            if who.actor.id != body.with || who.actor.kind != ActorKind::Person {
                return Err(Fault::forbidden(format!("only {} can accept the swap {id}", body.with)));
            }
            let schedule = schedule(t.tx(), &row.schedule, now)?.ok_or_else(|| no_schedule(&row.schedule))?;
            still(&schedule, &body.from, body.give, now)?;
            if let Some(take) = body.take {
                still(&schedule, &body.with, take, now)?;
            }
            let mut hand_over = |from: &str, to: &str, p: Piece| {
                let new = NewOverride::cover(to, Some(from), p.start, p.end);
                debug_assert_eq!(new.kind, OverrideKind::Replace);
                insert(t, &who, &row.schedule, &new)
            };
            let mut made = vec![hand_over(&body.from, &body.with, body.give)?];
            if let Some(take) = body.take {
                made.push(hand_over(&body.with, &body.from, take)?);
            }
            let short_rests = shortened(t.tx(), &row.schedule, &made, now)?;
            Ok(SwapView { short_rests, ..close(t, &who, &row, &body, "accepted")? })
        })
        .await
    }

    /// The one who was asked says no, or the one who asked takes it back.
    pub async fn swap_decline(&self, who: &Caller, id: i64) -> Result<SwapView, Fault> {
        let who = who.clone();
        self.transact(move |t| {
            let (row, body) = open(t, id)?;
            let state = match &who.actor.id {
                login if *login == body.with => "declined",
                login if *login == body.from => "withdrawn",
                _ => {
                    let (from, with) = (&body.from, &body.with);
                    return Err(Fault::forbidden(format!("the swap {id} is between {from} and {with}")));
                }
            };
            close(t, &who, &row, &body, state)
        })
        .await
    }
}

fn open(t: &mut Txn<'_>, id: i64) -> Result<(store::SwapRow, Body), Fault> {
    let row = store::swap_get(t.tx(), id)?.ok_or_else(|| {
        Fault::not_found(format!("there is no swap {id}")).advice("the On-call page lists those that wait")
    })?;
    if row.state != "open" {
        return Err(Fault::conflict(format!("the swap {id} was {} already", row.state)));
    }
    let body = read(&row)?;
    Ok((row, body))
}

/// Refuses when the shift is not any more what it was when the swap was asked.
fn still(schedule: &Schedule, person: &str, p: Piece, now: Timestamp) -> Result<(), Fault> {
    if p.end <= now {
        return Err(Fault::conflict(format!("the shift of {person} until {} is over", minute(p.end))));
    }
    let spans = schedule.spans(p.start.max(now), p.end);
    if spans.iter().all(|s| s.people.iter().any(|x| x == person)) {
        return Ok(());
    }
    Err(Fault::conflict(format!(
        "{person} does not have the whole shift from {} to {} any more",
        minute(p.start),
        minute(p.end)
    ))
    .advice("decline this swap and ask for a new one"))
}

fn close(t: &mut Txn<'_>, who: &Caller, row: &store::SwapRow, body: &Body, state: &str) -> Result<SwapView, Fault> {
    if !store::swap_close(t.tx(), row.id, state)? {
        return Err(Fault::conflict(format!("the swap {} has been answered already", row.id)));
    }
    let of = if state == "withdrawn" { &body.with } else { &body.from };
    let text = format!("{} has {state} the swap {} of {} with {of}", who.name, row.id, row.schedule);
    let seen = SwapView { state: state.to_owned(), ..view(row, body) };
    t.record(
        EventDraft::new(who.actor.clone(), who.source, format!("swap.{state}"), text)
            .severity(Severity::Info)
            .data(json!({"schedule": row.schedule, "swap": seen})),
    )?;
    Ok(seen)
}
