//! Feature flags: who may change them, what is recorded, and the compiled answers every protocol is served from.
//!
//! A change is in the answers before its use case returns. Switching a flag off works without the database: the answers
//! change at once, a journal keeps it, and the store and the record follow when they can.

mod book;
mod changes;
mod channel;
mod contingency;
mod exchange;
mod exchange_projects;
mod fragment;
mod groups;
mod history;
mod impact;
mod instances;
mod journal;
mod kill;
mod life;
mod manage;
mod opt_in;
mod owners;
mod preview;
mod project_list;
mod projects;
mod ramps;
mod segments;
mod summary;
mod table;
mod tracked;
mod usage;
mod views;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tenfold_flags::{Flag, FlagEnvironment, Moment};
use tenfold_store::cursors;
use tenfold_store::flags::{self as store, FlagRow};
use tenfold_types::{Event, EventDraft, Fault};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::{App, Caller, Txn};

pub use book::{Environment, HISTORY_CHANGES_MAX};
pub use changes::{
    FlagAction, LATE_MS_DEFAULT, NewSchedule, REQUEST_MS, REQUESTS_MAX, RequestList, RequestReason, RequestView,
    SCHEDULES_MAX, ScheduleList, ScheduleView, Scheduled,
};
pub use channel::ChannelReader;
pub use contingency::FlagDrillStart;
pub use exchange::{FlagExport, FlagImport, FlagImportReport, IMPORT_BYTES_MAX};
pub use fragment::Form;
pub use groups::{FlagGroup, FlagGroupUpdate, FlagGroups, GROUPS_MAX, MEMBERS_MAX};
pub use history::{FlagHistory, FlagHistoryItem, FlagRevert, FlagRevertTo};
pub use impact::{IMPACT_SERIES_MAX, ImpactMetric};
pub use instances::{INSTANCES_MAX, InstanceList, InstanceView, Introduction};
pub use life::{FlagPlaces, FlagPlacesIn, FlagScan, StaleFlag, StaleFlags};
pub use opt_in::{FlagChoose, MyFlag, MyFlags};
pub use owners::OwnerlessFlag;
pub use preview::{FlagPreview, FlagPreviewQuestion, PREVIEW_IDS_MAX};
pub use project_list::{FlagProject, FlagProjectList, FlagProjectUpdate, PROJECTS_MAX};
pub use projects::{ALL_PROJECTS, Projects};
pub use ramps::{
    GUARDED_RAMPS_MAX, PLANS_MAX, RampMove, RampPlanList, RampPlanView, RampStart, check_plan, run as run_guards,
};
pub use segments::SegmentList;
pub use summary::{FlagSummary, FlagSummaryList};
pub use table::{Kill, PROJECT_SETS_MAX, State};
pub use tenfold_flags::wire::{CONTEXT_FIELDS_MAX, context_from_json};
pub use usage::{Reported, UsageView};
pub use views::{
    FlagAnswer, FlagEnvironmentUpdate, FlagEnvironmentView, FlagList, FlagQuestion, FlagRamp, FlagRampMove,
    FlagRollout, FlagSwitch, FlagUpdate, FlagView,
};

/// Flags that are not archived.
pub const FLAGS_MAX: usize = 10_000;

/// How often due ramp steps and unrecorded kills are looked for.
const TICK: Duration = Duration::from_millis(500);

/// Name under which the key of the change streams is kept.
const CHANNEL_KEY: &str = "flags.channel_key";

/// Reads everything into memory and replays what an earlier run could not record.
pub async fn load(app: &App) -> Result<(), Fault> {
    reload(app).await?;
    app.flag_life_load().await?;
    app.flags.set_channel_key(channel_key(app).await?);
    let left_over = app.flags.journal.read(&app.settings.data_dir).await?;
    if !left_over.is_empty() {
        app.flags.change(app.now(), |table| {
            for kill in left_over {
                table.held_off.insert((kill.key.clone(), kill.environment.clone()), kill);
            }
        });
        app.flag_kills_replay().await;
    }
    Ok(())
}

/// Made once and then the same on every node, so that a stream's address outlives a restart.
async fn channel_key(app: &App) -> Result<String, Fault> {
    let fresh = app.random_text(32);
    app.housekeeping(move |t| {
        if let Some(known) = cursors::get_text(t.tx(), CHANNEL_KEY)? {
            return Ok(known);
        }
        cursors::set_text(t.tx(), CHANNEL_KEY, &fresh)?;
        Ok(fresh.clone())
    })
    .await
}

async fn reload(app: &App) -> Result<(), Fault> {
    let (rows, segments, projects) =
        app.read(|tx| Ok((store::list(tx)?, store::segments(tx)?, store::projects(tx)?))).await?;
    let projects = project_list::stored(&projects)?;
    let flags = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
    let segments = segments.iter().map(segments::stored).collect::<Result<Vec<_>, _>>()?;
    let mut names: Vec<String> = app.environments().await?.into_iter().map(|e| e.name).collect();
    names.extend(flags.iter().flat_map(|(f, _)| f.environments.keys().cloned()));
    let now = app.now();
    app.flags.change(now, |table| {
        for (flag, version) in flags {
            table.accept(flag, version);
        }
        table.segments.replace(segments.into_iter().map(|s| (s.id, s)).collect());
        table.projects = projects;
    });
    app.flags.add_environments(names, now);
    Ok(())
}

/// Takes due ramp steps, records kills that the database missed, and follows changes that other nodes made.
pub async fn run(app: App, stop: CancellationToken) {
    let mut tail = app.record.tail();
    // What another node changed between loading and listening.
    warn(reload(&app).await);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {
                app.flag_kills_replay().await;
                app.flag_ramps_step().await;
                warn(app.flag_schedules_run().await);
                app.flag_drills_step().await;
                warn(app.flag_seen_step().await);
            }
            event = tail.recv() => match event {
                Ok(event) => follow(&app, &event).await,
                Err(RecvError::Lagged(_)) => warn(reload(&app).await),
                Err(RecvError::Closed) => return,
            },
        }
    }
}

async fn follow(app: &App, event: &Event) {
    let concerns_flags =
        ["flag.", "flag_segment.", "flag_group.", "flag_project."].iter().any(|p| event.kind.starts_with(p));
    if event.kind == "flags.scanned" {
        warn(app.flag_life_load().await);
    }
    match &event.subject.flag {
        Some(key) if concerns_flags => warn(app.flag_reload(key.clone()).await),
        _ if concerns_flags || event.kind == "environment.created" => warn(reload(app).await),
        _ => {}
    }
}

fn warn(result: Result<(), Fault>) {
    if let Err(fault) = result {
        tracing::warn!(%fault, "flags could not be read from the store; the answers stay as they are");
    }
}

/// A row as the flag it holds, with its version.
fn stored(row: &FlagRow) -> Result<(Flag, i64), Fault> {
    let flag: Flag = serde_json::from_str(&row.body)
        .map_err(|e| Fault::internal(format!("the flag `{}` in the store cannot be read: {e}", row.key)))?;
    Ok((flag, row.version))
}

/// Writes a flag that somebody changed.
fn put(t: &mut Txn<'_>, flag: &mut Flag, by: &str) -> Result<i64, Fault> {
    flag.updated_at = t.now();
    by.clone_into(&mut flag.updated_by);
    let body = serde_json::to_string(flag).map_err(|e| Fault::internal(e.to_string()))?;
    let archived_at = flag.archived.then_some(t.now());
    Ok(store::put(t.tx(), &flag.key, archived_at, &body)?)
}

fn not_found(key: &str) -> Fault {
    Fault::not_found(format!("there is no flag `{key}`"))
        .advice("GET /api/flags lists them; PUT /api/flags/KEY makes one")
}

/// An event about a flag in an environment.
fn draft(who: &Caller, kind: &str, key: &str, environment: &str, text: String) -> EventDraft {
    EventDraft::new(who.actor.clone(), who.source, kind, text)
        .flag(key)
        .environment(environment)
        .correlation(format!("flag:{key}"))
}

/// The part of a state that events tell before and after.
fn told(state: &FlagEnvironment) -> Value {
    json!({
        "enabled": state.enabled,
        "rollout_percent": state.share(),
        "off_value": state.off_value,
        "strategies": state.strategies,
        "variants": state.variants,
    })
}

impl App {
    /// The instant and the dice of one request.
    pub fn flag_moment(&self) -> Moment {
        let mut random = [0; 4];
        self.entropy.fill(&mut random);
        Moment { now: self.now(), random: u32::from_le_bytes(random) }
    }

    /// What answers for an environment; an error when there is no such environment.
    pub async fn flag_environment(&self, name: &str) -> Result<Arc<Environment>, Fault> {
        if let Some(known) = self.flags.environment(name) {
            return Ok(known);
        }
        let names: Vec<String> = self.environments().await?.into_iter().map(|e| e.name).collect();
        if names.iter().any(|n| n == name) {
            self.flags.add_environments(names.clone(), self.now());
        }
        self.flags.environment(name).ok_or_else(|| {
            Fault::not_found(format!("there is no environment `{name}`"))
                .advice(format!("known are {}", names.join(", ")))
        })
    }

    /// What answers readers of these projects in an environment; an error when there is no such environment.
    pub async fn flag_book(&self, name: &str, projects: &Projects) -> Result<Arc<Environment>, Fault> {
        if let Some(known) = self.flags.book(name, projects) {
            return Ok(known);
        }
        self.flag_environment(name).await?;
        let gone = || Fault::not_found(format!("the environment `{name}` is gone"));
        self.flags.book(name, projects).ok_or_else(gone)
    }

    /// Flags that are not archived, all environments or only one. Needs no database.
    pub fn flag_list(&self, environment: Option<&str>) -> FlagList {
        let flags: Vec<(Arc<Flag>, i64)> = self.flags.look(|table| {
            table.flags.values().filter(|e| !e.flag.archived).map(|e| (e.flag.clone(), e.version)).collect()
        });
        FlagList { items: flags.iter().map(|(f, version)| self.flag_view(f, *version, environment)).collect() }
    }

    pub fn flag(&self, key: &str) -> Result<FlagView, Fault> {
        let flag = self.flags.look(|table| table.flags.get(key).map(|e| (e.flag.clone(), e.version)));
        flag.map(|(f, version)| self.flag_view(&f, version, None)).ok_or_else(|| not_found(key))
    }

    fn flag_view(&self, flag: &Flag, version: i64, only: Option<&str>) -> FlagView {
        let mut names = self.flags.environment_names();
        names.retain(|n| only.is_none_or(|o| o == n));
        let unset = FlagEnvironment::default();
        let held = self.flags.look(|t| t.held_off.keys().filter(|k| k.0 == flag.key).cloned().collect::<Vec<_>>());
        let environments = names.into_iter().map(|name| {
            let state = flag.environments.get(&name).unwrap_or(&unset);
            let pending = held.iter().any(|(_, e)| *e == name);
            let mut view = FlagEnvironmentView::new(state, self.flags.usage.read(&name, &flag.key), pending);
            if let Some(ramp) = &mut view.ramp {
                self.flags.watches.overlay(&flag.key, &name, ramp);
            }
            (name, view)
        });
        let mut view = FlagView::new(flag, version, environments.collect::<BTreeMap<_, _>>());
        for (name, state) in &mut view.environments {
            state.asked_at = self.flag_asked_at(&flag.key, name);
        }
        view.stale = self.flag_stale_reasons(flag);
        view
    }

    /// What somebody with this context gets now. Not counted as use.
    pub async fn flag_evaluate(&self, key: &str, question: FlagQuestion) -> Result<FlagAnswer, Fault> {
        let environment = self.flag_environment(&question.environment).await?;
        let context = self.flag_context(&environment.name, &question.context)?;
        let answer = environment.snapshot.evaluate(key, &context, self.flag_moment()).ok_or_else(|| not_found(key))?;
        Ok(FlagAnswer {
            enabled: answer.enabled,
            variant: answer.variant().to_owned(),
            value: answer.value().clone(),
            reason: answer.reason.name().to_owned(),
        })
    }

    /// A context from JSON; `environment` is filled in when the client left it out.
    pub fn flag_context(
        &self,
        environment: &str,
        fields: &Map<String, Value>,
    ) -> Result<tenfold_flags::Context, Fault> {
        tenfold_flags::wire::context_in(environment, fields)
    }

    /// Environment, flag and counts of everything that was ever asked.
    pub fn flag_usage_all(&self) -> Vec<(String, String, UsageView)> {
        self.flags.usage.all()
    }

    /// Adds what an SDK counted itself.
    pub fn flag_usage_report(&self, environment: &str, toggles: &BTreeMap<String, Reported>) {
        for (flag, report) in toggles {
            self.flags.usage.report(environment, flag, report);
        }
    }

    async fn flag_reload(&self, key: String) -> Result<(), Fault> {
        let row = self.read(move |tx| Ok(store::get(tx, &key)?)).await?;
        let Some((flag, version)) = row.as_ref().map(stored).transpose()? else { return Ok(()) };
        let names: Vec<String> = flag.environments.keys().cloned().collect();
        self.flags.change(self.now(), |table| table.accept(flag, version));
        self.flags.add_environments(names, self.now());
        Ok(())
    }

    /// Changes one flag in one transaction: `f` edits it and says what happened. Without events nothing is written.
    async fn flag_change<F>(&self, key: &str, mut f: F) -> Result<FlagView, Fault>
    where
        F: FnMut(&mut Flag, tenfold_types::Timestamp) -> Result<Vec<EventDraft>, Fault> + Send + 'static,
    {
        self.flag_change_in(key, move |t, flag| {
            let now = t.now();
            f(flag, now).map(changes::Done::with)
        })
        .await
    }
}
