//! From files to steps, and the steps done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tenfold_flags::{DEFAULT_PROJECT, PermitLaw};
use tenfold_types::{EventDraft, Fault};

use super::{
    ConfigAction, ConfigApply, ConfigChange, document,
    kind::{Kind, Things},
    shapes::{FlagFile, PersonFile},
};
use crate::{
    App, Caller,
    alerts::{lint_accepted, lint_complete},
    checks::CheckSpec,
    deploys::views::ServiceUpdate,
    oncall::{PolicyUpdate, ScheduleUpdate, Unreached},
    sources::AlertSourceSpec,
};

/// One thing to do; `body` is what the thing shall be, and absent for a deletion.
pub(super) struct Step {
    pub(super) change: ConfigChange,
    kind: Kind,
    body: Option<Value>,
}

/// Checks all files and says what is to be done, what is referred to first and deletions last.
pub(super) fn plan(wanted: &ConfigApply, current: &Things) -> Result<Vec<Step>, Fault> {
    let mut files = BTreeMap::new();
    for file in &wanted.files {
        let (thing, body) = document::read(file, current)?;
        if let Some((other, _)) = files.insert(thing.clone(), (file.path.clone(), body)) {
            return Err(Fault::invalid(format!(
                "{} and {other} both tell of the {} {}",
                file.path,
                thing.0.word(),
                thing.1
            )));
        }
    }
    let known: BTreeSet<&(Kind, String)> = current.keys().chain(files.keys()).collect();
    let mut steps = Vec::new();
    for ((kind, name), (path, body)) in &files {
        for reference in references(*kind, body)? {
            if !known.contains(&reference) {
                let (kind, name) = reference;
                return Err(Fault::not_found(format!("{path}: there is no {} `{name}`", kind.word()))
                    .advice(format!("add the file {}", kind.path(&name))));
            }
        }
        let action = match current.get(&(*kind, name.clone())) {
            None => ConfigAction::Create,
            Some(there) if there == body => ConfigAction::None,
            Some(_) => ConfigAction::Update,
        };
        let (path, word) = (path.clone(), kind.word().to_owned());
        let change = ConfigChange { path, kind: word, name: name.clone(), action, notes: Vec::new() };
        steps.push(Step { change, kind: *kind, body: Some(body.clone()) });
    }
    // Parents before their children: a flag's, which have none themselves, and those of checks.
    let bodies: Things = files.iter().map(|(thing, (_, body))| (thing.clone(), body.clone())).collect();
    steps.sort_by_key(|step| {
        let child = step.body.as_ref().is_some_and(|body| is_child(step.kind, body));
        (step.kind, child, check_depth(step.kind, &step.change.name, &bodies, 0))
    });
    if wanted.prune {
        let told: BTreeSet<Kind> = files.keys().map(|(kind, _)| *kind).collect();
        let mut gone: Vec<_> = current
            .keys()
            .filter(|thing| told.contains(&thing.0) && thing.0.prunable() && !files.contains_key(thing))
            .collect();
        gone.sort_by_key(|(kind, name)| {
            let child = current.get(&(*kind, name.clone())).is_some_and(|body| is_child(*kind, body));
            let depth = check_depth(*kind, name, current, 0);
            (std::cmp::Reverse(*kind), !child, std::cmp::Reverse(depth))
        });
        steps.extend(gone.into_iter().map(|(kind, name)| {
            let (path, word) = (kind.path(name), kind.word().to_owned());
            let action = ConfigAction::Delete;
            let change = ConfigChange { path, kind: word, name: name.clone(), action, notes: Vec::new() };
            Step { change, kind: *kind, body: None }
        }));
    }
    Ok(steps)
}

/// Notes what the alerts of rule files, checks and sources lack, or refuses them, as the settings say.
pub(super) fn lint(app: &App, steps: &mut [Step]) -> Result<(), Fault> {
    let how = app.settings.alerts.lint;
    for step in steps.iter_mut().filter(|step| step.change.action != ConfigAction::None) {
        let Some(body) = &step.body else { continue };
        let name = &step.change.name;
        let notes = match step.kind {
            Kind::Rules => {
                let text = body.as_str().unwrap_or_default();
                let file = tenfold_alerting::parse_rules(text).map_err(|e| Fault::invalid(e.to_string()))?;
                lint_accepted(how, name, &file)?
            }
            Kind::Check => {
                let check: CheckSpec = document::shape(body)?;
                lint_complete(how, &format!("the check {name}"), check.lacks())?
            }
            Kind::AlertSource => {
                let source: AlertSourceSpec = document::shape(body)?;
                lint_complete(how, &format!("the source {name}"), source.lacks())?
            }
            _ => continue,
        };
        step.change.notes = notes;
    }
    Ok(())
}

/// Notes which of the things that were changed page nobody, now that all of them stand.
pub(super) async fn say_unreached(app: &App, steps: &mut [Step]) -> Result<(), Fault> {
    let changed = |step: &Step| {
        let written = matches!(step.change.action, ConfigAction::Create | ConfigAction::Update);
        written && matches!(step.kind, Kind::Policy | Kind::Service | Kind::Routing)
    };
    if !steps.iter().any(changed) {
        return Ok(());
    }
    let found = app.readiness().await?.unreached;
    for step in steps.iter_mut().filter(|step| changed(step)) {
        let of = |kind: &str, name: &str| match step.kind {
            Kind::Policy => kind == "policy" && name == step.change.name,
            Kind::Service => kind == "service" && name == step.change.name,
            Kind::Routing => kind == "receiver",
            _ => false,
        };
        let notes: Vec<String> = found.iter().filter(|one| of(&one.kind, &one.name)).map(Unreached::sentence).collect();
        step.change.notes.extend(notes);
    }
    Ok(())
}

/// Does the steps one after another, and records that it was done when anything changed.
pub(super) async fn run(app: &App, who: &Caller, steps: &[Step]) -> Result<(), Fault> {
    let todo: Vec<&Step> = steps.iter().filter(|step| step.change.action != ConfigAction::None).collect();
    for (done, step) in todo.iter().enumerate() {
        step.run(app, who).await.map_err(|fault| {
            let message = format!("{}: {}", step.change.path, fault.message);
            let before =
                if done == 0 { String::new() } else { format!("; {done} of {} changes were made before", todo.len()) };
            Fault { message: format!("{message}{before}"), ..fault }
        })?;
    }
    if todo.is_empty() {
        return Ok(());
    }
    let count = |action| todo.iter().filter(|s| s.change.action == action).count();
    let (created, updated, deleted) =
        (count(ConfigAction::Create), count(ConfigAction::Update), count(ConfigAction::Delete));
    let text =
        format!("{} applied the configuration: {created} created, {updated} changed, {deleted} deleted", who.name);
    let paths: Vec<String> = todo.iter().map(|s| s.change.path.clone()).collect();
    let who = who.clone();
    app.transact(move |t| {
        let draft = EventDraft::new(who.actor.clone(), who.source, "config.applied", text.clone());
        t.record(draft.data(json!({"created": created, "changed": updated, "deleted": deleted, "paths": paths})))?;
        Ok(())
    })
    .await
}

impl Step {
    async fn run(&self, app: &App, who: &Caller) -> Result<(), Fault> {
        let name = self.change.name.as_str();
        match &self.body {
            Some(body) => put(app, who, self.kind, name, body).await,
            None => delete(app, who, self.kind, name).await,
        }
    }
}

async fn put(app: &App, who: &Caller, kind: Kind, name: &str, body: &Value) -> Result<(), Fault> {
    use document::shape;
    match kind {
        Kind::Environment => app.environment_put(who, name, shape(body)?).await.map(drop),
        Kind::RampPlan => app.ramp_plan_put(who, name, shape(body)?).await.map(drop),
        Kind::Permit => app.permit_put(who, name, shape(body)?).await.map(drop),
        Kind::Person => app.person_put(who, name, shape::<PersonFile>(body)?.update()).await.map(drop),
        Kind::Service => app.service_put(who, name, shape(body)?).await.map(drop),
        Kind::Schedule => app.schedule_put(who, name, shape(body)?).await.map(drop),
        Kind::Policy => app.policy_put(who, name, shape(body)?).await.map(drop),
        Kind::Segment => app.flag_segment_put(who, shape(body)?).await.map(drop),
        Kind::Project => app.flag_project_put(who, name, shape(body)?).await.map(drop),
        Kind::Flag => app.flag_put(who, name, shape::<FlagFile>(body)?.update(name)).await.map(drop),
        Kind::Rules => app.rules_put(who, name, body.as_str().unwrap_or_default()).await.map(drop),
        Kind::Routing => app.routing_put(who, body.as_str().unwrap_or_default(), false).await.map(drop),
        Kind::Check => app.check_put(who, name, shape(body)?).await.map(drop),
        Kind::AlertSource => app.alert_source_put(who, name, shape(body)?).await.map(drop),
        Kind::Dashboard => app.dashboard_put(who, shape(body)?).await.map(drop),
    }
}

async fn delete(app: &App, who: &Caller, kind: Kind, name: &str) -> Result<(), Fault> {
    match kind {
        Kind::Environment | Kind::Person => Ok(()),
        Kind::Service => app.service_delete(who, name).await,
        Kind::Schedule => app.schedule_delete(who, name).await,
        Kind::Policy => app.policy_delete(who, name).await,
        Kind::Segment => app.flag_segment_delete(who, name.parse().unwrap_or_default()).await,
        Kind::RampPlan => app.ramp_plan_delete(who, name).await,
        Kind::Permit => app.permit_delete(who, name).await,
        Kind::Project => app.flag_project_delete(who, name).await,
        Kind::Flag => app.flag_archive(who, name).await.map(drop),
        Kind::Rules => app.rules_delete(who, name).await,
        Kind::Routing => app.routing_delete(who).await,
        Kind::Check => app.check_delete(who, name).await,
        Kind::AlertSource => app.alert_source_delete(who, name).await,
        Kind::Dashboard => app.dashboard_delete(who, name).await,
    }
}

/// What must be there, or come with the same files.
fn references(kind: Kind, body: &Value) -> Result<Vec<(Kind, String)>, Fault> {
    Ok(match kind {
        Kind::Service => {
            let service: ServiceUpdate = document::shape(body)?;
            let policy = service.policy.map(|name| (Kind::Policy, name));
            service.environments.into_iter().map(|name| (Kind::Environment, name)).chain(policy).collect()
        }
        Kind::Schedule => {
            let schedule: ScheduleUpdate = document::shape(body)?;
            schedule.0.people().into_iter().map(|login| (Kind::Person, login.to_owned())).collect()
        }
        Kind::Policy => {
            let policy: PolicyUpdate = document::shape(body)?;
            // A team is in people's profiles and no thing of its own; a policy may come before the people do.
            let kind_of = |target: &tenfold_oncall::Target| match target.kind {
                tenfold_oncall::TargetKind::Schedule => Some(Kind::Schedule),
                tenfold_oncall::TargetKind::Person => Some(Kind::Person),
                tenfold_oncall::TargetKind::Team => None,
            };
            let targets = policy.steps.iter().flat_map(|s| &s.targets);
            targets.filter_map(|t| kind_of(t).map(|kind| (kind, t.name.clone()))).collect()
        }
        Kind::Flag => {
            let flag: FlagFile = document::shape(body)?;
            let states = flag.environments.values().filter_map(|state| state.strategies.as_ref());
            let segments = states.flatten().flat_map(|s| &s.segments).map(|id| (Kind::Segment, id.to_string()));
            let parents = flag.dependencies.iter().flatten().map(|d| (Kind::Flag, d.feature.clone()));
            let environments = flag.environments.keys().map(|name| (Kind::Environment, name.clone()));
            let project = flag.project.iter().filter(|p| *p != DEFAULT_PROJECT).map(|p| (Kind::Project, p.clone()));
            segments.chain(parents).chain(environments).chain(project).collect()
        }
        Kind::Permit => {
            let law: PermitLaw = document::shape(body)?;
            law.environment.into_iter().map(|name| (Kind::Environment, name)).collect()
        }
        Kind::Check => {
            let check: CheckSpec = document::shape(body)?;
            check.parents.into_iter().map(|name| (Kind::Check, name)).collect()
        }
        Kind::Environment
        | Kind::Person
        | Kind::Segment
        | Kind::Project
        | Kind::RampPlan
        | Kind::Rules
        | Kind::Routing
        | Kind::AlertSource
        | Kind::Dashboard => Vec::new(),
    })
}

/// How many checks stand in front of one among these, at most; a circle is refused when it is put.
fn check_depth(kind: Kind, name: &str, things: &Things, depth: usize) -> usize {
    const DEPTH_MAX: usize = 8;
    let Some(body) = things.get(&(kind, name.to_owned())).filter(|_| kind == Kind::Check && depth < DEPTH_MAX) else {
        return depth;
    };
    let parents = body["parents"].as_array().into_iter().flatten().filter_map(Value::as_str);
    parents.map(|p| check_depth(kind, p, things, depth + 1)).max().unwrap_or(depth)
}

fn is_child(kind: Kind, body: &Value) -> bool {
    kind == Kind::Flag && body["dependencies"].as_array().is_some_and(|parents| !parents.is_empty())
}
