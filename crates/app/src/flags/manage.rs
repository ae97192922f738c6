//! Creating, editing, switching on and archiving flags, and setting percentages.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tenfold_flags::{
    Flag, FlagEnvironment, Segment, Share,
    validate::{Surroundings, TEXT_BYTES_MAX, validate, validate_imported, validate_key},
};
use tenfold_store::flags as store;
use tenfold_types::{ErrorCode, EventDraft, Fault, Severity, Timestamp};

use super::changes::{Asked, Done, FlagAction, ask, carry_out, on_under_four_eyes, part};
use super::views::{FlagEnvironmentUpdate, FlagUpdate, FlagView};
use super::{FLAGS_MAX, draft, not_found, put, stored, told};
use crate::{App, Caller, Role};

pub(super) type Known = (BTreeMap<String, Arc<Flag>>, BTreeMap<i64, Segment>);

pub(super) fn check(flag: &Flag, known: &Known) -> Result<(), Fault> {
    validate(flag, Surroundings { flags: &known.0, segments: &known.1 })?;
    check_project(flag, known)
}

/// A parent in another project would be missing for clients that read one of them, and the child off without a word.
pub(super) fn check_project(flag: &Flag, known: &Known) -> Result<(), Fault> {
    let parents = flag.dependencies.iter().filter_map(|d| known.0.get(&d.feature));
    let children = known.0.values().filter(|f| f.dependencies.iter().any(|d| d.feature == flag.key));
    match parents.chain(children).find(|other| other.project != flag.project) {
        None => Ok(()),
        Some(other) => Err(Fault::conflict(format!(
            "`{}` is in the project `{}` and `{}` in `{}`, but a flag and its parent belong to one project",
            flag.key, flag.project, other.key, other.project
        ))
        .advice("move them together: take the dependency out, move both, put it back")),
    }
}

/// For what does not touch the definition: an imported flag may be switched on as it is.
pub(super) fn check_switch(flag: &Flag, known: &Known) -> Result<(), Fault> {
    validate_imported(flag, Surroundings { flags: &known.0, segments: &known.1 }).map(drop)
}

impl App {
    /// Creates or changes a flag. What concerns one environment takes the role deployer there, the rest everywhere.
    pub async fn flag_put(&self, who: &Caller, key: &str, update: FlagUpdate) -> Result<FlagView, Fault> {
        self.flag_put_over(who, key, update, None).await
    }

    /// As [`App::flag_put`], refused when the flag is not at the version that was edited: somebody else's change in
    /// between is not written over. Version 0 is a flag that does not exist.
    pub async fn flag_put_over(
        &self,
        who: &Caller,
        key: &str,
        update: FlagUpdate,
        edited: Option<i64>,
    ) -> Result<FlagView, Fault> {
        validate_key(key)?;
        if let Some(project) = &update.project {
            self.flag_project_check(project)?;
        }
        for name in update.environments.keys() {
            self.flag_environment(name).await?;
        }
        let known = self.flags.surroundings();
        let (who, wanted) = (who.clone(), key.to_owned());
        let (flag, version, requested) = self
            .transact(move |t| {
                let now = t.now();
                let row = store::get(t.tx(), &wanted)?.as_ref().map(stored).transpose()?;
                if let Some(edited) = edited {
                    check_version(&wanted, edited, row.as_ref())?;
                }
                let before = row.as_ref().map(|(f, _)| f).filter(|f| !f.archived).cloned();
                if before.is_none() && store::count(t.tx())? >= FLAGS_MAX as i64 {
                    return Err(Fault::invalid(format!("there are {FLAGS_MAX} flags already, which is the limit"))
                        .advice("archive flags that no code asks for any more"));
                }
                let mut flag = before.clone().unwrap_or_else(|| Flag { created_at: now, ..Flag::new(&wanted) });
                let (update, later) = part(t, &flag, &update)?;
                apply(&mut flag, &update, &who.actor.id);
                flag.normalize();
                let events = changes(&who, before.as_ref(), &mut flag, now)?;
                let unchanged = row.as_ref().filter(|_| events.is_empty()).map(|(_, version)| *version);
                let version = if let Some(version) = unchanged {
                    version
                } else {
                    check(&flag, &known)?;
                    put(t, &mut flag, &who.actor.id)?
                };
                for event in events {
                    t.record(event)?;
                }
                let Some((place, update)) = later else { return Ok((flag, version, None)) };
                let action = FlagAction::Edit { update: Box::new(update) };
                let mut after = flag.clone();
                // Done on a copy: what is wrong with it, or not allowed, is said now.
                carry_out(t, &who, &mut after, &place, &action, &known)?;
                let asked = Asked { place: &place, action: &action, at: None, late_ms_max: 0 };
                let number = ask(t, &who, &flag, Some(&after), &asked)?;
                Ok((flag, version, Some(number)))
            })
            .await?;
        self.flags.change(self.now(), |table| table.accept(flag, version));
        Ok(FlagView { requested, ..self.flag(key)? })
    }

    /// Takes a flag out of use; clients then treat it as unknown. Its history stays, and putting it again brings it back.
    pub async fn flag_archive(&self, who: &Caller, key: &str) -> Result<FlagView, Fault> {
        who.require(Role::Deployer, None, None)?;
        let child = self.flags.look(|table| {
            let flags = table.flags.values().map(|e| &e.flag).filter(|f| !f.archived);
            flags.into_iter().find(|f| f.dependencies.iter().any(|d| d.feature == key)).map(|f| f.key.clone())
        });
        if let Some(child) = child {
            return Err(Fault::conflict(format!("`{key}` is the parent of the flag `{child}`"))
                .advice(format!("take it out of the dependencies of `{child}` first")));
        }
        let (who, name) = (who.clone(), key.to_owned());
        self.flag_change_in(key, move |t, flag| {
            if let Some(place) = on_under_four_eyes(t, flag)? {
                return Err(Fault::conflict(format!("`{name}` is on in {place}, which wants a second person"))
                    .advice("switch it off there first, which waits for nobody"));
            }
            flag.archived = true;
            for state in flag.environments.values_mut() {
                if let Some(ramp) = &mut state.ramp {
                    ramp.stop();
                }
            }
            let text = format!("{} archived the flag {name}", who.actor);
            let event = EventDraft::new(who.actor.clone(), who.source, "flag.archived", text);
            Ok(Done::with(vec![event.flag(&name).correlation(format!("flag:{name}"))]))
        })
        .await
    }

    /// Switches a flag on or off. Off takes the role responder and works without the database.
    pub async fn flag_switch(
        &self,
        who: &Caller,
        key: &str,
        environment: &str,
        enabled: bool,
    ) -> Result<FlagView, Fault> {
        self.flag_switch_because(who, key, environment, enabled, None).await
    }

    /// As [`App::flag_switch`], with a reason for the record.
    pub async fn flag_switch_because(
        &self,
        who: &Caller,
        key: &str,
        environment: &str,
        enabled: bool,
        reason: Option<&str>,
    ) -> Result<FlagView, Fault> {
        let reason = reason.map(str::trim).filter(|r| !r.is_empty());
        if let Some(bytes) = reason.map(str::len).filter(|bytes| *bytes > TEXT_BYTES_MAX) {
            return Err(Fault::invalid(format!("the reason has {bytes} bytes, over the limit of {TEXT_BYTES_MAX}")));
        }
        if enabled {
            self.flag_on(who, key, environment, reason).await
        } else {
            self.flag_off(who, key, environment, reason).await
        }
    }

    async fn flag_on(
        &self,
        who: &Caller,
        key: &str,
        environment: &str,
        reason: Option<&str>,
    ) -> Result<FlagView, Fault> {
        who.require(Role::Deployer, None, Some(environment))?;
        self.flag_environment(environment).await?;
        if self.flags.look(|table| table.held_off.contains_key(&(key.to_owned(), environment.to_owned()))) {
            // First that it was switched off, then that it was switched on again.
            self.flag_kills_replay().await;
        }
        let reason = reason.map(str::to_owned);
        let view = self.flag_act(who, key, environment, FlagAction::Switch { enabled: true, reason }).await?;
        if view.requested.is_some() {
            return Ok(view);
        }
        self.flag_release(key, environment).await;
        self.flag(key)
    }

    /// Sets the percentage. Lowering takes the role responder, raising deployer.
    pub async fn flag_rollout(
        &self,
        who: &Caller,
        key: &str,
        environment: &str,
        percent: Share,
    ) -> Result<FlagView, Fault> {
        who.require(Role::Responder, None, Some(environment))?;
        self.flag_act(who, key, environment, FlagAction::Rollout { percent }).await
    }
}

pub(super) fn several(key: &str, reason: &str) -> Fault {
    Fault::conflict(format!("`{key}`: {reason}")).advice("edit the strategies of the flag instead")
}

pub(super) fn state_of<'a>(flag: &'a mut Flag, environment: &str) -> &'a mut FlagEnvironment {
    flag.environments.entry(environment.to_owned()).or_default()
}

pub(super) fn touch(state: &mut FlagEnvironment, by: &str, now: Timestamp) {
    state.updated_at = now;
    by.clone_into(&mut state.updated_by);
}

/// A change by hand ends a running ramp; the event says so.
pub(super) fn stop_ramp(who: &Caller, key: &str, place: &str, state: &mut FlagEnvironment) -> Vec<EventDraft> {
    let Some(ramp) = state.ramp.as_mut() else { return Vec::new() };
    if !ramp.stop() {
        return Vec::new();
    }
    let percent = ramp.steps.get(ramp.position).map_or(Share::NOBODY, |s| s.percent);
    let text = format!("{} stopped the ramp of {key} in {place} at {percent} %", who.actor);
    vec![draft(who, "flag.ramp_stopped", key, place, text).data(json!({"environment": place, "percent": percent}))]
}

/// Switches a state and says so. Off is a warning: somebody may have had a reason.
pub(super) fn switch(
    who: &Caller,
    key: &str,
    place: &str,
    state: &mut FlagEnvironment,
    enabled: bool,
    now: Timestamp,
) -> Vec<EventDraft> {
    let mut events = stop_ramp(who, key, place, state);
    let before = told(state);
    // Somebody decides for good.
    state.drill = None;
    state.enabled = enabled;
    touch(state, &who.actor.id, now);
    let text = format!("{} switched {key} {} in {place}", who.actor, if enabled { "on" } else { "off" });
    let data = json!({"environment": place, "before": before, "after": told(state)});
    let severity = if enabled { Severity::Info } else { Severity::Warning };
    events.push(draft(who, "flag.switched", key, place, text).data(data).severity(severity));
    events
}

/// Adds to the event of a switch why it was done.
pub(super) fn give_reason(events: &mut [EventDraft], reason: Option<&str>) {
    if let (Some(event), Some(reason)) = (events.last_mut(), reason) {
        event.text = format!("{}: {reason}", event.text);
        event.data["reason"] = json!(reason);
    }
}

/// Refuses to write over what somebody else changed.
pub(super) fn check_version(key: &str, edited: i64, row: Option<&(Flag, i64)>) -> Result<(), Fault> {
    let (at, by) = row.map_or((0, ""), |(flag, version)| (*version, flag.updated_by.as_str()));
    if at == edited {
        return Ok(());
    }
    let message = match (at, edited) {
        (0, _) => format!("`{key}` does not exist"),
        (_, 0) => format!("`{key}` exists already"),
        _ => format!("`{key}` is at version {at} since a change by {by}; you edited version {edited}"),
    };
    Err(Fault::new(ErrorCode::Changed, message).advice("read it again and make your change on top"))
}

pub(super) fn apply(flag: &mut Flag, update: &FlagUpdate, by: &str) {
    let FlagUpdate {
        project,
        description,
        kind,
        owner,
        expires_at,
        value_type,
        impression_data,
        tags,
        marked_stale,
        lifetime_days,
        opt_in,
        contingency,
        dependencies,
        environments,
    } = update.clone();
    flag.project = project.unwrap_or_else(|| std::mem::take(&mut flag.project));
    flag.description = description.unwrap_or_else(|| std::mem::take(&mut flag.description));
    flag.kind = kind.unwrap_or(flag.kind);
    flag.owner = owner.unwrap_or_else(|| std::mem::take(&mut flag.owner));
    if flag.owner.is_empty() {
        by.clone_into(&mut flag.owner);
    }
    flag.expires_at = expires_at.unwrap_or(flag.expires_at);
    flag.value_type = value_type.unwrap_or(flag.value_type);
    flag.impression_data = impression_data.unwrap_or(flag.impression_data);
    flag.tags = tags.unwrap_or_else(|| std::mem::take(&mut flag.tags));
    flag.marked_stale = marked_stale.unwrap_or(flag.marked_stale);
    // A flag as it was read says the lifetime of its kind, which nobody chose.
    let chosen = |days: &Option<u32>| days.is_none() || *days != flag.kind.lifetime_days();
    flag.lifetime_days = lifetime_days.filter(chosen).unwrap_or(flag.lifetime_days);
    flag.opt_in = opt_in.unwrap_or_else(|| flag.opt_in.take());
    flag.contingency = contingency.unwrap_or_else(|| flag.contingency.take());
    flag.dependencies = dependencies.unwrap_or_else(|| std::mem::take(&mut flag.dependencies));
    for (name, change) in environments {
        let key = flag.key.clone();
        apply_state(state_of(flag, &name), &key, change);
    }
}

fn apply_state(state: &mut FlagEnvironment, key: &str, change: FlagEnvironmentUpdate) {
    let FlagEnvironmentUpdate { enabled, off_value, strategies, variants, rollout_percent } = change;
    state.enabled = enabled.unwrap_or(state.enabled);
    state.off_value = off_value.unwrap_or_else(|| state.off_value.take());
    state.variants = variants.unwrap_or_else(|| std::mem::take(&mut state.variants));
    match (strategies, rollout_percent) {
        (Some(strategies), _) => state.strategies = strategies,
        (None, Some(percent)) => {
            state.strategies = FlagEnvironment::with_share(key, percent).strategies;
        }
        (None, None) => {}
    }
}

/// What differs, as events; touches the states that changed and ends their ramps. Asks for the rights on the way.
pub(super) fn changes(
    who: &Caller,
    before: Option<&Flag>,
    after: &mut Flag,
    now: Timestamp,
) -> Result<Vec<EventDraft>, Fault> {
    let key = after.key.clone();
    let event = |kind: &str, text: String| {
        EventDraft::new(who.actor.clone(), who.source, kind, text).flag(&key).correlation(format!("flag:{key}"))
    };
    let mut events = Vec::new();
    match before {
        None => {
            who.require(Role::Deployer, None, None)?;
            let text = format!("{} created the flag {key}", who.actor);
            events.push(event("flag.created", text).data(json!({"after": definition(after)})));
        }
        Some(before) if definition(before) != definition(after) => {
            who.require(Role::Deployer, None, None)?;
            let text = format!("{} changed the flag {key}", who.actor);
            let data = json!({"before": definition(before), "after": definition(after)});
            events.push(event("flag.changed", text).data(data));
        }
        Some(_) => {}
    }
    let unset = FlagEnvironment::default();
    for (place, state) in &mut after.environments {
        let old = before.and_then(|f| f.environments.get(place)).unwrap_or(&unset);
        if told(old) == told(state) {
            continue;
        }
        who.require(Role::Deployer, None, Some(place))?;
        let enabled = state.enabled;
        let only_switched = told(&FlagEnvironment { enabled, ..old.clone() }) == told(state);
        if before.is_none() {
            touch(state, &who.actor.id, now);
        } else if only_switched {
            state.enabled = old.enabled;
            events.extend(switch(who, &key, place, state, enabled, now));
        } else {
            events.extend(stop_ramp(who, &key, place, state));
            touch(state, &who.actor.id, now);
            let text = format!("{} changed {key} in {place}", who.actor);
            let data = json!({"environment": place, "before": told(old), "after": told(state)});
            events.push(draft(who, "flag.changed", &key, place, text).data(data));
        }
    }
    Ok(events)
}

/// What belongs to the flag itself, not to an environment.
fn definition(flag: &Flag) -> serde_json::Value {
    json!({
        "project": flag.project,
        "description": flag.description,
        "kind": flag.kind,
        "owner": flag.owner,
        "expires_at": flag.expires_at,
        "value_type": flag.value_type,
        "impression_data": flag.impression_data,
        "tags": flag.tags,
        "marked_stale": flag.marked_stale,
        "lifetime_days": flag.lifetime_days,
        "opt_in": flag.opt_in,
        "contingency": flag.contingency,
        "dependencies": flag.dependencies,
    })
}

pub(super) fn known_flag(app: &App, key: &str) -> Result<Arc<Flag>, Fault> {
    let flag = app.flags.look(|table| table.flags.get(key).map(|e| e.flag.clone()));
    flag.filter(|f| !f.archived).ok_or_else(|| not_found(key))
}
