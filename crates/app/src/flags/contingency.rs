//! Switches for bad days, and drills: off for a set time, and on again by itself.
//!
//! A drill's end is stored with the flag, so that a restart goes on where it was. Taking the step takes the drill away in
//! the same transaction, so that of several nodes one takes it, and once.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tenfold_flags::{Drilled, Flag};
use tenfold_types::{Fault, Severity, Timestamp};
use utoipa::ToSchema;

use super::manage::{state_of, touch};
use super::views::{FlagList, FlagView};
use super::{draft, told};
use crate::{App, Caller, Role};

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagDrillStart {
    pub environment: String,
    /// From 5 seconds to an hour.
    pub for_ms: i64,
}

/// Answers that were on at the last look, and when they last grew.
type Watched = (u64, Option<Timestamp>);

/// Answers that were on, watched while a drill runs, by flag and environment.
#[derive(Default)]
pub struct Watch(Mutex<BTreeMap<(String, String), Watched>>);

impl App {
    /// Contingency switches, the one to throw first in front; those without a rank come last.
    pub fn flag_contingency(&self) -> FlagList {
        let all: Vec<_> = self.flags.look(|t| t.flags.values().map(|e| (e.flag.clone(), e.version)).collect());
        let mut flags: Vec<_> = all.into_iter().filter(|(f, _)| f.is_contingency()).collect();
        let rank = |f: &Flag| f.contingency.as_ref().map_or(u32::MAX, |c| c.rank);
        flags.sort_by(|(a, _), (b, _)| (rank(a), &a.key).cmp(&(rank(b), &b.key)));
        FlagList { items: flags.iter().map(|(f, version)| self.flag_view(f, *version, None)).collect() }
    }

    /// Switches off for a while, for practice. Takes the role responder, like switching off.
    pub async fn flag_drill(&self, who: &Caller, key: &str, environment: &str, for_ms: i64) -> Result<FlagView, Fault> {
        who.require(Role::Responder, None, Some(environment))?;
        self.flag_environment(environment).await?;
        let yes = self.flags.usage.read(environment, key).yes;
        let (by, name, place) = (who.clone(), key.to_owned(), environment.to_owned());
        let view = self
            .flag_change(key, move |flag, now| {
                if !flag.is_contingency() {
                    return Err(Fault::conflict(format!("`{name}` is no contingency switch"))
                        .advice("make it a kill switch, or give it a rank on its page"));
                }
                let state = state_of(flag, &place);
                let before = told(state);
                state
                    .drill_start(&by.actor.id, for_ms, yes, now)
                    .map_err(|m| Fault::conflict(format!("`{name}`: {m}")))?;
                touch(state, &by.actor.id, now);
                let seconds = for_ms / 1_000;
                let text = format!(
                    "DRILL: {} switched {name} off in {place} for {seconds} s; it comes back by itself",
                    by.actor
                );
                let data = json!({"environment": place, "drill": true, "for_ms": for_ms,
                    "ends_at": state.drill.as_ref().map(|d| d.ends_at), "was": before, "is": told(state)});
                Ok(vec![draft(&by, "flag.drill_started", &name, &place, text).data(data).severity(Severity::Warning)])
            })
            .await?;
        self.flags.drills.0.lock().insert((key.to_owned(), environment.to_owned()), (yes, None));
        Ok(view)
    }

    /// Ends a drill before its time. What was not off for its whole time counts as no test.
    pub async fn flag_drill_cancel(&self, who: &Caller, key: &str, environment: &str) -> Result<FlagView, Fault> {
        who.require(Role::Responder, None, Some(environment))?;
        let (by, name, place) = (who.clone(), key.to_owned(), environment.to_owned());
        self.flag_change(key, move |flag, now| {
            let state = state_of(flag, &place);
            let drill = state.drill_end().ok_or_else(|| {
                Fault::conflict(format!("no drill of `{name}` runs in {place}")).advice("see the contingency page")
            })?;
            touch(state, &by.actor.id, now);
            let off_ms = now.since_ms(drill.started_at);
            let text = format!(
                "DRILL over: {} switched {name} on again in {place} after {} s, before its time",
                by.actor,
                off_ms / 1_000
            );
            let data = json!({"environment": place, "drill": true, "off_ms": off_ms, "cancelled": true});
            Ok(vec![draft(&by, "flag.drill_ended", &name, &place, text).data(data)])
        })
        .await
    }

    /// Ends drills whose time is over. Public so that a test with a movable clock can call it.
    pub async fn flag_drills_step(&self) {
        let now = self.now();
        let running: Vec<(String, String, bool)> = self.flags.look(|table| {
            let flags = table.flags.values().map(|e| &e.flag).filter(|f| !f.archived);
            let states = flags.flat_map(|f| f.environments.iter().map(move |(place, state)| (f, place, state)));
            states
                .filter(|(_, _, s)| s.drill.is_some())
                .map(|(f, place, s)| (f.key.clone(), place.clone(), s.drill_is_due(now)))
                .filter(|(key, place, _)| !table.held_off.contains_key(&(key.clone(), place.clone())))
                .collect()
        });
        for (key, environment, due) in running {
            self.flag_drill_watch(&key, &environment, now);
            if due && let Err(fault) = self.flag_drill_end(&key, &environment).await {
                tracing::warn!(%fault, flag = key, environment, "a drill was not ended; it stays due");
            }
        }
    }

    /// Notes whether answers were still on since the last look.
    fn flag_drill_watch(&self, key: &str, environment: &str, now: Timestamp) {
        let yes = self.flags.usage.read(environment, key).yes;
        if let Some((last, at)) = self.flags.drills.0.lock().get_mut(&(key.to_owned(), environment.to_owned()))
            && yes > *last
        {
            (*last, *at) = (yes, Some(now));
        }
    }

    async fn flag_drill_end(&self, key: &str, environment: &str) -> Result<(), Fault> {
        let watched = self.flags.drills.0.lock().get(&(key.to_owned(), environment.to_owned())).copied();
        let (name, place) = (key.to_owned(), environment.to_owned());
        self.flag_change(key, move |flag, now| {
            let who = Caller::system();
            let state = state_of(flag, &place);
            if !state.drill_is_due(now) {
                return Ok(Vec::new());
            }
            let Some(drill) = state.drill_end() else { return Ok(Vec::new()) };
            touch(state, &who.actor.id, now);
            let off_ms = now.since_ms(drill.started_at);
            let still_on = watched.map(|(yes, _)| yes.saturating_sub(drill.answered_on));
            let last_use_ms = watched.map(|(_, at)| at.map_or(0, |at| at.since_ms(drill.started_at).max(0)));
            let figures = match (still_on, last_use_ms) {
                (Some(0), _) => "no answer was on any more".to_owned(),
                (Some(count), Some(ms)) => format!("{count} answers were still on, the last after {} s", ms / 1_000),
                _ => "answers were not counted the whole time".to_owned(),
            };
            let text = format!("DRILL over: {name} is on again in {place} after {} s; {figures}", off_ms / 1_000);
            flag.drilled = Some(Drilled {
                at: now,
                environment: place.clone(),
                by: drill.by.clone(),
                off_ms,
                still_on,
                last_use_ms,
            });
            let data = json!({"environment": place, "drill": true, "by": drill.by, "off_ms": off_ms,
                "still_on": still_on, "last_use_ms": last_use_ms});
            Ok(vec![draft(&who, "flag.drill_ended", &name, &place, text).data(data).severity(Severity::Good)])
        })
        .await?;
        self.flags.drills.0.lock().remove(&(key.to_owned(), environment.to_owned()));
        Ok(())
    }
}
