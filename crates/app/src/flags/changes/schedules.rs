//! Scheduled changes: done once at their instant, by whichever node comes first, in the transaction that ends them.
//!
//! A server that was down does what it missed when it comes back, as long as it is not later than the schedule allows;
//! what is later than that is not done, and said so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenfold_flags::Flag;
use tenfold_store::flag_changes::{self as store, ChangeQuery, ChangeRow};
use tenfold_types::{Actor, ActorKind, EventDraft, Fault, Severity, Source, Timestamp};
use utoipa::ToSchema;

use super::requests::{Asked, ask};
use super::{FlagAction, carry_out, edited, find};
use crate::flags::draft;
use crate::flags::manage::check_version;
use crate::flags::views::FlagUpdate;
use crate::people::four_eyes;
use crate::{App, Caller, Role, Txn};

/// Scheduled changes that are pending at one time.
pub const SCHEDULES_MAX: usize = 1_000;
/// How late a change is still done, unless its author says otherwise.
pub const LATE_MS_DEFAULT: i64 = 3_600_000;
const LATE_MS_MAX: i64 = 7 * 86_400_000;
const AHEAD_MS_MAX: i64 = 366 * 86_400_000;
const LISTED_MAX: i64 = 200;
/// Done in one look.
const BATCH_MAX: i64 = 50;

const DONE: &str = "done";
const CANCELLED: &str = "cancelled";
const MISSED: &str = "missed";
const FAILED: &str = "failed";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    pub environment: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `switch`, `rollout`, `ramp` or `edit`.
    pub action: FlagAction,
    /// How late it is still done when the server was down at its instant.
    #[serde(default = "late_default")]
    pub late_ms_max: i64,
}

const fn late_default() -> i64 {
    LATE_MS_DEFAULT
}

/// A scheduled change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FlagSchedule)]
pub struct ScheduleView {
    pub number: i64,
    pub flag: String,
    pub environment: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub action: FlagAction,
    /// The action in words.
    pub text: String,
    pub author: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    pub late_ms_max: i64,
    /// `pending`, `done`, `cancelled`, `missed` (it was too late) or `failed`.
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Why it failed, or who cancelled it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remark: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FlagScheduleList)]
pub struct ScheduleList {
    pub items: Vec<ScheduleView>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    action: FlagAction,
    author: Actor,
    late_ms_max: i64,
    /// A second person has looked at it.
    #[serde(default)]
    approved: bool,
    /// Of an edit: what it replaces. When that reads otherwise at the instant, it is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    basis: Option<Value>,
    #[serde(default)]
    remark: String,
}

impl Body {
    fn read(row: &ChangeRow) -> Result<Self, Fault> {
        serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the scheduled change {} cannot be read: {e}", row.number)))
    }
    fn text(&self) -> Result<String, Fault> {
        serde_json::to_string(self).map_err(|e| Fault::internal(e.to_string()))
    }
}

fn view(row: &ChangeRow) -> Result<ScheduleView, Fault> {
    let body = Body::read(row)?;
    Ok(ScheduleView {
        number: row.number,
        flag: row.flag.clone(),
        environment: row.environment.clone(),
        at: row.due_at,
        text: body.action.words(&row.flag, &row.environment),
        action: body.action,
        author: body.author.id,
        created_at: row.created_at,
        late_ms_max: body.late_ms_max,
        state: row.state.clone(),
        ended_at: row.ended_at,
        remark: body.remark,
    })
}

fn missing(number: i64) -> Fault {
    Fault::not_found(format!("there is no scheduled change {number}")).advice("GET /api/flag-schedules lists them")
}

/// What is written down for later.
pub(super) struct Planned<'a> {
    pub place: &'a str,
    pub action: &'a FlagAction,
    pub at: Timestamp,
    pub late_ms_max: i64,
    pub approved: bool,
    /// The flag as it is when this is planned.
    pub flag: &'a Flag,
}

/// Writes a schedule and its event; gives its row.
pub(super) fn plan(t: &mut Txn<'_>, who: &Caller, planned: &Planned<'_>) -> Result<ChangeRow, Fault> {
    let Planned { place, action, at, late_ms_max, approved, flag } = *planned;
    let (key, now) = (flag.key.as_str(), t.now());
    check_instant(at, now)?;
    if store::pending(t.tx(), store::SCHEDULE)? >= SCHEDULES_MAX as i64 {
        return Err(Fault::conflict(format!("{SCHEDULES_MAX} changes are scheduled already, which is the limit"))
            .advice("cancel some that are not needed"));
    }
    let number = store::next_number(t.tx(), store::SCHEDULE)?;
    let body = Body {
        action: action.clone(),
        author: who.actor.clone(),
        late_ms_max,
        approved,
        basis: edited(flag, place, action),
        remark: String::new(),
    };
    let row = ChangeRow {
        kind: store::SCHEDULE.into(),
        number,
        flag: key.to_owned(),
        environment: place.to_owned(),
        state: store::PENDING.into(),
        created_at: now,
        due_at: at,
        ended_at: None,
        body: body.text()?,
    };
    store::insert(t.tx(), &row)?;
    let text = format!("{} scheduled to {} at {at} (schedule {number})", who.actor, action.words(key, place));
    let data = json!({"number": number, "at": at, "action": action, "late_ms_max": late_ms_max});
    t.record(draft(who, "flag.schedule_created", key, place, text).data(data))?;
    Ok(row)
}

/// An edit that is scheduled concerns the state of one environment, so that one question says what it replaces.
fn check_edit(update: &FlagUpdate, place: &str) -> Result<(), Fault> {
    let rest = FlagUpdate { environments: BTreeMap::default(), ..update.clone() };
    if rest != FlagUpdate::default() || update.environments.keys().ne([place]) {
        return Err(Fault::invalid(format!("an edit that is scheduled holds `environments.{place}` and nothing else"))
            .advice("change the rest now; for another environment make another schedule"));
    }
    Ok(())
}

fn check_instant(at: Timestamp, now: Timestamp) -> Result<(), Fault> {
    let ahead = at.since_ms(now);
    if ahead <= 0 {
        return Err(Fault::invalid(format!("{at} is not in the future")).advice("do it now instead"));
    }
    if ahead > AHEAD_MS_MAX {
        return Err(Fault::invalid("a change is scheduled at most 366 days ahead"));
    }
    Ok(())
}

impl App {
    /// Scheduled changes, the newest first; of one flag, or only those that are pending.
    pub async fn flag_schedules(&self, flag: Option<&str>, state: Option<&str>) -> Result<ScheduleList, Fault> {
        let (flag, state) = (flag.map(str::to_owned), state.map(str::to_owned));
        let rows = self
            .read(move |tx| {
                let query = ChangeQuery { flag: flag.as_deref(), state: state.as_deref(), limit: LISTED_MAX };
                Ok(store::list(tx, store::SCHEDULE, &query)?)
            })
            .await?;
        Ok(ScheduleList { items: rows.iter().map(view).collect::<Result<_, _>>()? })
    }

    /// Plans a change. Asks for the role that doing it now takes; where a second person is wanted it becomes a change
    /// request, and is planned when that is approved.
    pub async fn flag_schedule(&self, who: &Caller, key: &str, new: NewSchedule) -> Result<Scheduled, Fault> {
        self.flag_schedule_over(who, key, new, None).await
    }

    /// As [`App::flag_schedule`], refused when the flag is not at the version that was edited.
    pub async fn flag_schedule_over(
        &self,
        who: &Caller,
        key: &str,
        new: NewSchedule,
        edited: Option<i64>,
    ) -> Result<Scheduled, Fault> {
        let off = new.action.switches_off();
        who.require(if off { Role::Responder } else { Role::Deployer }, None, Some(&new.environment))?;
        match &new.action {
            FlagAction::RampSkip => {
                return Err(Fault::invalid("only switching, a percentage, a ramp or an edit can be scheduled"));
            }
            FlagAction::Edit { update } => check_edit(update, &new.environment)?,
            _ => {}
        }
        if !(0..=LATE_MS_MAX).contains(&new.late_ms_max) {
            return Err(Fault::invalid(format!("`late_ms_max` is 0 to {LATE_MS_MAX} milliseconds")));
        }
        self.flag_environment(&new.environment).await?;
        let known = self.flags.surroundings();
        let (who, key) = (who.clone(), key.to_owned());
        self.transact(move |t| {
            let found = find(t, &key)?;
            if let Some(edited) = edited {
                check_version(&key, edited, Some(&found))?;
            }
            let (before, _) = found;
            check_instant(new.at, t.now())?;
            // Done once on a copy, so that what cannot work is refused now and not at night.
            let mut after = before.clone();
            let events = carry_out(t, &who, &mut after, &new.environment, &new.action, &known)?;
            if events.is_empty() && matches!(new.action, FlagAction::Edit { .. }) {
                return Err(Fault::invalid(format!("`{key}` is so already")));
            }
            if !off && four_eyes(t.tx(), &new.environment)? {
                let (place, action) = (new.environment.as_str(), &new.action);
                let asked = Asked { place, action, at: Some(new.at), late_ms_max: new.late_ms_max };
                let number = ask(t, &who, &before, Some(&after), &asked)?;
                return Ok(Scheduled { schedule: None, requested: Some(number) });
            }
            let planned = Planned {
                flag: &before,
                place: &new.environment,
                action: &new.action,
                at: new.at,
                late_ms_max: new.late_ms_max,
                approved: false,
            };
            let row = plan(t, &who, &planned)?;
            Ok(Scheduled { schedule: Some(view(&row)?), requested: None })
        })
        .await
    }

    /// Takes a scheduled change back. Its author may, and whoever may deploy there.
    pub async fn flag_schedule_cancel(&self, who: &Caller, number: i64) -> Result<ScheduleView, Fault> {
        let who = who.clone();
        self.transact(move |t| {
            let mut row = store::get(t.tx(), store::SCHEDULE, number)?.ok_or_else(|| missing(number))?;
            let mut body = Body::read(&row)?;
            if body.author != who.actor {
                who.require(Role::Deployer, None, Some(&row.environment))?;
            }
            body.remark = format!("{} cancelled it", who.actor);
            if !end(t, &mut row, CANCELLED, &body)? {
                return Err(Fault::conflict(format!("the scheduled change {number} is {} already", row.state)));
            }
            let words = body.action.words(&row.flag, &row.environment);
            let text = format!("{} cancelled schedule {number}: {words}", who.actor);
            let event = draft(&who, "flag.schedule_cancelled", &row.flag, &row.environment, text);
            t.record(event.data(json!({"number": number})))?;
            view(&row)
        })
        .await
    }

    /// Does what is due. Public so that a test with a movable clock can call it.
    pub async fn flag_schedules_run(&self) -> Result<(), Fault> {
        let now = self.now();
        let due = self.read(move |tx| Ok(store::due(tx, now, BATCH_MAX)?)).await?;
        for row in due {
            let done = match row.kind.as_str() {
                store::SCHEDULE => self.flag_schedule_run(row).await,
                _ => self.flag_request_expire(row).await,
            };
            if let Err(fault) = done {
                tracing::warn!(%fault, "a scheduled change or a change request was not ended; it stays due");
            }
        }
        Ok(())
    }

    async fn flag_schedule_run(&self, row: ChangeRow) -> Result<(), Fault> {
        let body = Body::read(&row)?;
        // With the rights of this moment: somebody who left changes nothing any more.
        let author = match body.author.kind {
            ActorKind::Person => self.caller_of(&body.author.id, Source::System).await,
            ActorKind::Robot | ActorKind::Agent => self.robot_caller(&body.author.id, Source::System).await,
        };
        let off = body.action.switches_off();
        if let Err(fault) = &author
            && crate::flags::kill::is_outage(fault)
        {
            return Err(fault.clone());
        }
        let author = author.and_then(|a| {
            let role = if off { Role::Responder } else { Role::Deployer };
            a.require(role, None, Some(&row.environment)).map(|()| a)
        });
        let known = self.flags.surroundings();
        let (key, place) = (row.flag.clone(), row.environment.clone());
        let result = self
            .transact(move |t| {
                let (mut row, now) = (row.clone(), t.now());
                let mut body = Body::read(&row)?;
                let late = now.since_ms(row.due_at);
                if late > body.late_ms_max {
                    body.remark = format!("{} late", crate::chat::announce::span(late));
                    return missed(t, &mut row, &body).map(|()| None);
                }
                let attempt = author.clone().and_then(|author| {
                    if !off && !body.approved && four_eyes(t.tx(), &row.environment)? {
                        return Err(Fault::conflict(format!("{} wants a second person by now", row.environment)));
                    }
                    let (mut flag, _) = find(t, &row.flag)?;
                    if body.basis.is_some() && edited(&flag, &row.environment, &body.action) != body.basis {
                        return Err(Fault::conflict("what it replaces was changed since it was planned"));
                    }
                    let events = carry_out(t, &author, &mut flag, &row.environment, &body.action, &known)?;
                    Ok((flag, events))
                });
                let (mut flag, events) = match attempt {
                    Ok(done) => done,
                    Err(fault) => {
                        body.remark.clone_from(&fault.message);
                        return failed(t, &mut row, &body).map(|()| None);
                    }
                };
                if !end(t, &mut row, DONE, &body)? {
                    return Ok(None);
                }
                let written = if events.is_empty() { None } else { Some(super::put(t, &mut flag, &body.author.id)?) };
                let cause = t.record(ran(&row, &body, written.is_some()))?.id;
                for event in events {
                    t.record(event.causation(cause))?;
                }
                Ok(written.map(|version| (flag, version)))
            })
            .await?;
        if let Some((flag, version)) = result {
            self.flags.change(self.now(), |table| table.accept(flag, version));
            if !off {
                self.flag_release(&key, &place).await;
            }
        }
        Ok(())
    }
}

/// What became of a wish to schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FlagScheduled)]
pub struct Scheduled {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleView>,
    /// The number of the change request it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<i64>,
}

fn end(t: &mut Txn<'_>, row: &mut ChangeRow, state: &str, body: &Body) -> Result<bool, Fault> {
    let now = t.now();
    let text = body.text()?;
    let ended = store::end(t.tx(), store::SCHEDULE, row.number, state, now, &text)?;
    if ended {
        (row.state, row.ended_at, row.body) = (state.to_owned(), Some(now), text);
    }
    Ok(ended)
}

fn event(row: &ChangeRow, body: &Body, kind: &str, text: String) -> EventDraft {
    let mut event = draft(&Caller::system(), kind, &row.flag, &row.environment, text)
        .data(json!({"number": row.number, "at": row.due_at, "action": body.action, "remark": body.remark}));
    event.on_behalf_of = Some(body.author.clone());
    event
}

fn ran(row: &ChangeRow, body: &Body, changed: bool) -> EventDraft {
    let words = body.action.words(&row.flag, &row.environment);
    let so = if changed { "" } else { "; it was so already" };
    let text = format!("schedule {} of {} is done: {words}{so}", row.number, body.author);
    event(row, body, "flag.schedule_ran", text)
}

fn missed(t: &mut Txn<'_>, row: &mut ChangeRow, body: &Body) -> Result<(), Fault> {
    if end(t, row, MISSED, body)? {
        let words = body.action.words(&row.flag, &row.environment);
        let text = format!("schedule {} of {} was not done, it is {}: {words}", row.number, body.author, body.remark);
        t.record(event(row, body, "flag.schedule_missed", text).severity(Severity::Warning))?;
    }
    Ok(())
}

fn failed(t: &mut Txn<'_>, row: &mut ChangeRow, body: &Body) -> Result<(), Fault> {
    if end(t, row, FAILED, body)? {
        let words = body.action.words(&row.flag, &row.environment);
        let text = format!("schedule {} of {} failed: {words}: {}", row.number, body.author, body.remark);
        t.record(event(row, body, "flag.schedule_failed", text).severity(Severity::Warning))?;
    }
    Ok(())
}
