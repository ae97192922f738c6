//! What is there now, thing by thing.

use std::collections::BTreeMap;

use serde_json::Value;
use tenfold_flags::DEFAULT_PROJECT;
use tenfold_types::Fault;

use super::{
    document,
    kind::{Kind, Things},
    shapes::{FlagFile, PersonFile},
};
use crate::{
    App, Caller, deploys::views::ServiceUpdate, flags::FlagProjectUpdate, oncall::PolicyUpdate,
    people::EnvironmentSettings,
};

/// Everything that has a file, as `who` may see it: addresses of people are hidden from most. To compare, all of it is read.
pub(super) async fn read(app: &App, who: Option<&Caller>) -> Result<Things, Fault> {
    let mut things = Things::new();
    for environment in app.environments().await? {
        let settings = EnvironmentSettings { four_eyes: environment.four_eyes };
        things.insert((Kind::Environment, environment.name), document::json(&settings)?);
    }
    for mut person in app.people().await? {
        if let Some(who) = who {
            person.hide_from(who);
        }
        things.insert((Kind::Person, person.login.clone()), document::json(&PersonFile::of(person))?);
    }
    for s in app.services().await? {
        let update = ServiceUpdate {
            description: s.description,
            repository: s.repository,
            branch: s.branch,
            environments: s.environments,
            owner_team: s.owner_team,
            policy: s.policy,
            pipeline_path: s.pipeline_path,
            dependencies: s.dependencies,
        };
        things.insert((Kind::Service, s.name), document::json(&update)?);
    }
    let addresses = if who.is_none() { app.calendar_addresses().await? } else { BTreeMap::new() };
    for mut s in app.schedules().await? {
        if let (Some(calendar), Some(url)) = (&mut s.plan.calendar, addresses.get(&s.name)) {
            calendar.url.clone_from(url);
        }
        things.insert((Kind::Schedule, s.name), document::json(&s.plan)?);
    }
    for p in app.policies().await? {
        things.insert((Kind::Policy, p.name.clone()), document::json(&PolicyUpdate::from(p))?);
    }
    for segment in app.flag_segments().items {
        things.insert((Kind::Segment, segment.id.to_string()), document::json(&segment)?);
    }
    for p in app.flag_projects().items.into_iter().filter(|p| p.name != DEFAULT_PROJECT) {
        things.insert((Kind::Project, p.name), document::json(&FlagProjectUpdate { description: p.description })?);
    }
    for view in app.ramp_plans().await?.items {
        things.insert((Kind::RampPlan, view.name), document::json(&view.plan)?);
    }
    for view in app.permits().items {
        things.insert((Kind::Permit, view.job), document::json(&view.law)?);
    }
    for view in app.flag_list(None).items {
        things.insert((Kind::Flag, view.key.clone()), document::json(&FlagFile::of(view))?);
    }
    for (name, text) in app.rule_files().await? {
        things.insert((Kind::Rules, name), Value::String(text));
    }
    if let Some(text) = app.routing_view()?.yaml {
        things.insert((Kind::Routing, "alertmanager".to_owned()), Value::String(text));
    }
    for check in app.checks_all() {
        things.insert((Kind::Check, check.name), document::json(&check.spec)?);
    }
    for source in app.alert_sources().await?.items {
        things.insert((Kind::AlertSource, source.name), document::json(&source.spec)?);
    }
    for dashboard in app.dashboards_written().await? {
        things.insert((Kind::Dashboard, dashboard.name.clone()), document::json(&dashboard)?);
    }
    Ok(things)
}
