//! A flag's history with what differed each time, and going back to before or after one of its events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenfold_flags::{Flag, FlagEnvironment, diff};
use tenfold_store::{
    events::{self, EventQuery},
    flags as store,
};
use tenfold_types::{Actor, Event, EventDraft, Fault, Severity, Timestamp};
use utoipa::ToSchema;

use super::changes::{Asked, FlagAction, ask, changed_under_four_eyes, on_under_four_eyes};
use super::views::{FlagEnvironmentUpdate, FlagUpdate, FlagView};
use super::{manage, not_found, put, stored, told};
use crate::{App, Caller, Role, Txn};

/// Events on one page.
pub const HISTORY_MAX: usize = 100;

/// One thing that happened to a flag.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FlagHistoryItem {
    pub seq: i64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub kind: String,
    #[schema(value_type = Object)]
    pub actor: Actor,
    pub text: String,
    #[schema(value_type = String)]
    pub severity: Severity,
    /// Absent for what concerns the flag as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What differed.
    pub changes: Vec<diff::Change>,
    /// The state before it is known, so the flag can go back there.
    pub can_revert: bool,
    /// The event that this one took back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverts: Option<i64>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FlagHistory {
    /// Newest first.
    pub items: Vec<FlagHistoryItem>,
    /// `before` of the next page, where there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_before: Option<i64>,
}

/// To before an event, or to after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FlagRevertTo {
    /// As if it had not happened.
    #[default]
    Before,
    /// As it left things.
    After,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagRevert {
    /// The event's number in the record.
    pub seq: i64,
    #[serde(default)]
    pub to: FlagRevertTo,
}

impl App {
    /// What happened to a flag, newest first.
    pub async fn flag_history(&self, key: &str, before: Option<i64>, limit: usize) -> Result<FlagHistory, Fault> {
        let limit = if limit == 0 { HISTORY_MAX } else { limit.min(HISTORY_MAX) };
        let query = EventQuery {
            kinds: vec!["flag.".into()],
            flag: Some(key.to_owned()),
            before,
            limit,
            ..EventQuery::default()
        };
        let found = self.events(query).await?;
        if found.is_empty() && before.is_none() {
            self.flag(key)?;
        }
        let next_before = (found.len() == limit).then(|| found.last().map(|e| e.seq)).flatten();
        Ok(FlagHistory { items: found.into_iter().map(item).collect(), next_before })
    }

    /// Puts what an event changed back to how it was before (or after) it: one environment's state, or the flag's own
    /// words. Everything else stays. The same rights and checks as for any change.
    pub async fn flag_revert(&self, who: &Caller, key: &str, wanted: &FlagRevert) -> Result<FlagView, Fault> {
        let (seq, to) = (wanted.seq, wanted.to);
        let known = self.flags.surroundings();
        let (by, name) = (who.clone(), key.to_owned());
        let written = self
            .transact(move |t| {
                let query = EventQuery { seqs: Some(vec![seq]), ..EventQuery::default() };
                let event = events::list(t.tx(), &query)?.into_iter().next();
                let event = event.filter(|e| e.subject.flag.as_deref() == Some(name.as_str())).ok_or_else(|| {
                    Fault::not_found(format!("the record has no event {seq} about the flag `{name}`"))
                        .advice("the numbers stand in its history")
                })?;
                let row = store::get(t.tx(), &name)?;
                let (flag, version) = row.as_ref().map(stored).transpose()?.ok_or_else(|| not_found(&name))?;
                let (mut after, told) = target(&by, &flag, &event, to, t.now())?;
                if told.is_empty() {
                    return Err(Fault::conflict(format!("`{name}` is so already")));
                }
                manage::check_switch(&after, &known)?;
                if let Some(number) = wants_a_second_person(t, &by, &flag, &after)? {
                    return Ok((flag, version, Some(number)));
                }
                after.archived = false;
                let version = put(t, &mut after, &by.actor.id)?;
                for draft in told {
                    t.record(reverted(&by, draft, &event, to))?;
                }
                Ok((after, version, None))
            })
            .await?;
        self.flags.change(self.now(), |table| table.accept(written.0, written.1));
        Ok(FlagView { requested: written.2, ..self.flag(key)? })
    }
}

/// Asks a second person where an environment wants one, and gives the request's number. What only switches off waits for
/// nobody.
fn wants_a_second_person(t: &mut Txn<'_>, who: &Caller, flag: &Flag, after: &Flag) -> Result<Option<i64>, Fault> {
    let everywhere = flag.archived != after.archived
        || flag.dependencies != after.dependencies
        || flag.value_type != after.value_type;
    if everywhere && let Some(place) = on_under_four_eyes(t, after)? {
        return Err(Fault::conflict(format!("this changes `{}` in {place}, which wants a second person", flag.key))
            .advice("make the change by hand, so that it becomes a change request"));
    }
    let Some(place) = changed_under_four_eyes(t, Some(flag), after)? else { return Ok(None) };
    let unset = FlagEnvironment::default();
    let old = flag.environments.get(&place).unwrap_or(&unset);
    let new = after.environments.get(&place).unwrap_or(&unset);
    if !new.enabled && told(&FlagEnvironment { enabled: false, ..old.clone() }) == told(new) {
        return Ok(None);
    }
    let state = FlagEnvironmentUpdate {
        enabled: Some(new.enabled),
        off_value: Some(new.off_value.clone()),
        strategies: Some(new.strategies.clone()),
        variants: Some(new.variants.clone()),
        rollout_percent: None,
    };
    let environments = BTreeMap::from([(place.clone(), state)]);
    let action = FlagAction::Edit { update: Box::new(FlagUpdate { environments, ..FlagUpdate::default() }) };
    let asked = Asked { place: &place, action: &action, at: None, late_ms_max: 0 };
    ask(t, who, flag, Some(after), &asked).map(Some)
}

fn item(event: Event) -> FlagHistoryItem {
    let (before, after) = (&event.data["before"], &event.data["after"]);
    let changes = if before.is_object() || after.is_object() { diff::diff(before, after) } else { Vec::new() };
    FlagHistoryItem {
        can_revert: before.is_object() || event.kind == "flag.archived",
        reverts: event.data["reverts"].as_i64(),
        changes,
        seq: event.seq,
        at: event.occurred_at,
        kind: event.kind,
        actor: event.actor,
        text: event.text,
        severity: event.severity,
        environment: event.subject.environment,
    }
}

/// The flag as it would be, and what that changes.
fn target(
    who: &Caller,
    flag: &Flag,
    event: &Event,
    to: FlagRevertTo,
    now: Timestamp,
) -> Result<(Flag, Vec<EventDraft>), Fault> {
    if event.kind == "flag.archived" && to == FlagRevertTo::Before {
        who.require(Role::Deployer, None, None)?;
        let text = format!("{} brought the flag {} back", who.actor, flag.key);
        let back = EventDraft::new(who.actor.clone(), who.source, "flag.changed", text).flag(&flag.key);
        let told = if flag.archived { vec![back] } else { Vec::new() };
        return Ok((Flag { archived: false, ..flag.clone() }, told));
    }
    if flag.archived {
        return Err(Fault::conflict(format!("`{}` is archived", flag.key)).advice("take the archiving back first"));
    }
    let state = match to {
        FlagRevertTo::Before => &event.data["before"],
        FlagRevertTo::After => &event.data["after"],
    };
    if !state.is_object() {
        return Err(Fault::conflict(format!("event {} does not tell how `{}` was then", event.seq, flag.key))
            .advice("go back to an event that shows what differed"));
    }
    let mut after = flag.clone();
    match &event.subject.environment {
        Some(place) => restore_state(after.environments.entry(place.clone()).or_default(), state)?,
        None => restore_definition(&mut after, state)?,
    }
    let told = manage::changes(who, Some(flag), &mut after, now)?;
    Ok((after, told))
}

fn restore_state(state: &mut FlagEnvironment, told: &Value) -> Result<(), Fault> {
    let mut kept = told.clone();
    // Only what a person changes; the rest of the state is the server's.
    if let Some(map) = kept.as_object_mut() {
        map.retain(|name, _| matches!(name.as_str(), "enabled" | "off_value" | "strategies" | "variants"));
    }
    let old: FlagEnvironment = serde_json::from_value(kept).map_err(|e| unreadable(&e))?;
    state.enabled = old.enabled;
    state.off_value = old.off_value;
    state.strategies = old.strategies;
    state.variants = old.variants;
    Ok(())
}

fn restore_definition(flag: &mut Flag, told: &Value) -> Result<(), Fault> {
    let mut whole = serde_json::to_value(&*flag).map_err(|e| unreadable(&e))?;
    if let (Some(whole), Some(told)) = (whole.as_object_mut(), told.as_object()) {
        for (name, value) in told.iter().filter(|(name, _)| *name != "key" && *name != "environments") {
            if value.is_null() {
                whole.remove(name);
            } else {
                whole.insert(name.clone(), value.clone());
            }
        }
    }
    *flag = serde_json::from_value(whole).map_err(|e| unreadable(&e))?;
    Ok(())
}

fn unreadable(error: &serde_json::Error) -> Fault {
    Fault::internal(format!("the state in the record cannot be read: {error}"))
}

/// A change as what it is: taking another one back.
fn reverted(who: &Caller, mut draft: EventDraft, event: &Event, to: FlagRevertTo) -> EventDraft {
    // A ramp that this stops stays told as such.
    if draft.kind != "flag.ramp_stopped" {
        let did = if to == FlagRevertTo::Before { "took back" } else { "went back to" };
        draft.text = format!("{} {did} event {}: {}", who.actor, event.seq, event.text);
        draft.kind = "flag.reverted".into();
        if let Some(map) = draft.data.as_object_mut() {
            map.insert("reverts".into(), json!(event.seq));
        } else {
            draft.data = json!({"reverts": event.seq}).into();
        }
    }
    draft.causation(event.id)
}
