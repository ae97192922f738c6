//! Adaptive permits: how much of its work a job may do now, steered by a query.
//!
//! One node looks, under a lease; where a permit stands is in the store, so that every node answers the same and a
//! restart goes on. Values are samples, not events: only reaching the floor, failing safe and coming back are recorded.

mod look;
mod views;

use std::collections::BTreeMap;

use parking_lot::{Mutex, RwLock};
use serde_json::json;
use tenfold_flags::{PermitLaw, PermitState};
use tenfold_store::permits::{self as store, PermitRow};
use tenfold_types::{EventDraft, Fault};

use crate::people::check_name;
use crate::{App, Caller, Role};

pub use look::run;
pub use views::{PermitAnswer, PermitList, PermitView};

pub const PERMITS_MAX: usize = 200;

/// The part's memory.
#[derive(Default)]
pub struct State {
    table: RwLock<BTreeMap<String, Permit>>,
    lease: Mutex<look::Held>,
}

#[derive(Debug, Clone)]
struct Permit {
    law: PermitLaw,
    state: Option<PermitState>,
}

/// A definition is right and its query is PromQL.
pub fn check_law(law: &PermitLaw) -> Result<(), Fault> {
    law.check().map_err(Fault::invalid)?;
    tenfold_promql::parse(&law.query)
        .map_err(|e| Fault::invalid(format!("the query of a permit: {}", e.pointing(&law.query))))?;
    Ok(())
}

pub async fn load(app: &App) -> Result<(), Fault> {
    let rows = app.read(|tx| Ok(store::list(tx)?)).await?;
    let table = rows.iter().map(read).collect::<Result<_, Fault>>()?;
    *app.permits.table.write() = table;
    Ok(())
}

fn read(row: &PermitRow) -> Result<(String, Permit), Fault> {
    let wrong = |e: serde_json::Error| Fault::internal(format!("the permit of {} cannot be read: {e}", row.job));
    let law = serde_json::from_str(&row.body).map_err(wrong)?;
    let state = row.state.as_deref().map(serde_json::from_str).transpose().map_err(wrong)?;
    Ok((row.job.clone(), Permit { law, state }))
}

fn missing(job: &str) -> Fault {
    Fault::not_found(format!("there is no permit for the job `{job}`"))
        .advice("GET /api/permits lists them; PUT /api/permits/JOB makes one")
}

fn event(who: &Caller, kind: &str, job: &str, environment: Option<&str>, text: String) -> EventDraft {
    let draft = EventDraft::new(who.actor.clone(), who.source, kind, text).correlation(format!("permit:{job}"));
    match environment {
        Some(environment) => draft.environment(environment),
        None => draft,
    }
}

impl App {
    /// All permits by job, with where they stand.
    pub fn permits(&self) -> PermitList {
        let now = self.now();
        let items = self.permits.table.read().iter().map(|(job, p)| PermitView::new(job, p, now)).collect();
        PermitList { items }
    }

    pub fn permit(&self, job: &str) -> Result<PermitView, Fault> {
        let now = self.now();
        self.permits.table.read().get(job).map(|p| PermitView::new(job, p, now)).ok_or_else(|| missing(job))
    }

    /// What a job may do now. A client that asks from another environment than the permit's is told there is none.
    pub fn permit_answer(&self, job: &str, environment: Option<&str>) -> Result<PermitAnswer, Fault> {
        let now = self.now();
        let table = self.permits.table.read();
        let permit = table.get(job).filter(|p| match (&p.law.environment, environment) {
            (Some(its), Some(asked)) => its == asked,
            _ => true,
        });
        permit.map(|p| PermitAnswer::new(job, p, now)).ok_or_else(|| missing(job))
    }

    /// Creates or changes a permit. It goes on from where it stands.
    pub async fn permit_put(&self, who: &Caller, job: &str, law: PermitLaw) -> Result<PermitView, Fault> {
        who.require(Role::Deployer, None, law.environment.as_deref())?;
        check_name("permit", job)?;
        check_law(&law)?;
        if let Some(environment) = &law.environment {
            self.flag_environment(environment).await?;
        }
        let (who, name) = (who.clone(), job.to_owned());
        let row = self
            .transact(move |t| {
                let body = serde_json::to_string(&law).map_err(|e| Fault::internal(e.to_string()))?;
                let before = store::get(t.tx(), &name)?;
                if let Some(before) = before.as_ref().filter(|b| b.body == body) {
                    return Ok(before.clone());
                }
                if let Some(before) = &before {
                    let (_, permit) = read(before)?;
                    who.require(Role::Deployer, None, permit.law.environment.as_deref())?;
                } else if store::list(t.tx())?.len() >= PERMITS_MAX {
                    return Err(Fault::invalid(format!("there are {PERMITS_MAX} permits already, which is the limit"))
                        .advice("delete one that no job asks for any more"));
                }
                store::put(t.tx(), &name, &body)?;
                let verb = if before.is_some() { "changed" } else { "added" };
                let text = format!("{} {verb} the permit of {name}", who.actor);
                t.record(
                    event(&who, "permit.changed", &name, law.environment.as_deref(), text)
                        .data(json!({"job": name, "action": verb, "law": law})),
                )?;
                store::get(t.tx(), &name)?.ok_or_else(|| missing(&name))
            })
            .await?;
        let (job, permit) = read(&row)?;
        self.permits.table.write().insert(job.clone(), permit);
        self.permit(&job)
    }

    pub async fn permit_delete(&self, who: &Caller, job: &str) -> Result<(), Fault> {
        let (who, name) = (who.clone(), job.to_owned());
        self.transact(move |t| {
            let row = store::get(t.tx(), &name)?.ok_or_else(|| missing(&name))?;
            let (_, permit) = read(&row)?;
            let environment = permit.law.environment.as_deref();
            who.require(Role::Deployer, None, environment)?;
            store::delete(t.tx(), &name)?;
            let text = format!("{} deleted the permit of {name}", who.actor);
            t.record(
                event(&who, "permit.changed", &name, environment, text).data(json!({"job": name, "action": "deleted"})),
            )?;
            Ok(())
        })
        .await?;
        self.permits.table.write().remove(job);
        Ok(())
    }
}
