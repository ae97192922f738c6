//! Ramp plans: steps and a guard under a name, shared by flags. A ramp takes a copy when it starts; changing a plan
//! changes no ramp that runs.

use serde::{Deserialize, Serialize};
use tenfold_flags::{Condition, RampPlan};
use tenfold_store::flag_changes as store;
use tenfold_types::{EventDraft, Fault};
use utoipa::ToSchema;

use crate::judged::check_counter;
use crate::people::check_name;
use crate::{App, Caller, Role, Txn};

pub const PLANS_MAX: usize = 200;

/// A shared plan under its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RampPlanView {
    pub name: String,
    #[serde(flatten)]
    pub plan: RampPlan,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RampPlanList {
    pub items: Vec<RampPlanView>,
}

/// A plan is right, its expressions are PromQL and its counters are selectors.
pub fn check(plan: &RampPlan) -> Result<(), Fault> {
    plan.check().map_err(Fault::invalid)?;
    for guard in plan.guards() {
        if let Condition::Judge(judge) = &guard.condition {
            for (field, selector) in judge.selectors() {
                check_counter(field, selector)?;
            }
            continue;
        }
        let exprs = std::iter::once(&guard.expr).chain(guard.traffic.as_ref().map(|t| &t.expr));
        for expr in exprs {
            tenfold_promql::parse(expr)
                .map_err(|e| Fault::invalid(format!("the expression of a guard: {}", e.pointing(expr))))?;
        }
    }
    Ok(())
}

pub(super) fn find(t: &mut Txn<'_>, name: &str) -> Result<RampPlan, Fault> {
    let body = store::plan_get(t.tx(), name)?.ok_or_else(|| missing(name))?;
    read(name, &body)
}

fn missing(name: &str) -> Fault {
    Fault::not_found(format!("there is no ramp plan `{name}`")).advice("GET /api/ramp-plans lists them")
}

fn read(name: &str, body: &str) -> Result<RampPlan, Fault> {
    serde_json::from_str(body).map_err(|e| Fault::internal(format!("the ramp plan `{name}` cannot be read: {e}")))
}

impl App {
    pub async fn ramp_plans(&self) -> Result<RampPlanList, Fault> {
        let rows = self.read(|tx| Ok(store::plans(tx)?)).await?;
        let items = rows.into_iter().map(|(name, body)| Ok(RampPlanView { plan: read(&name, &body)?, name }));
        Ok(RampPlanList { items: items.collect::<Result<_, Fault>>()? })
    }

    pub async fn ramp_plan_put(&self, who: &Caller, name: &str, plan: RampPlan) -> Result<RampPlanView, Fault> {
        who.require(Role::Deployer, None, None)?;
        check_name("ramp plan", name)?;
        check(&plan)?;
        let (who, name) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            let body = serde_json::to_string(&plan).map_err(|e| Fault::internal(e.to_string()))?;
            let view = RampPlanView { name: name.clone(), plan: plan.clone() };
            let before = store::plan_get(t.tx(), &name)?;
            if before.as_ref() == Some(&body) {
                return Ok(view);
            }
            if before.is_none() && store::plans(t.tx())?.len() >= PLANS_MAX {
                return Err(Fault::invalid(format!("there are {PLANS_MAX} ramp plans already, which is the limit")));
            }
            store::plan_put(t.tx(), &name, &body)?;
            let verb = if before.is_some() { "changed" } else { "added" };
            t.record(draft(&who, verb, &name).data(serde_json::json!({"plan": plan})))?;
            Ok(view)
        })
        .await
    }

    pub async fn ramp_plan_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        who.require(Role::Deployer, None, None)?;
        let (who, name) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            if !store::plan_delete(t.tx(), &name)? {
                return Err(missing(&name));
            }
            t.record(draft(&who, "deleted", &name))?;
            Ok(())
        })
        .await
    }
}

fn draft(who: &Caller, verb: &str, name: &str) -> EventDraft {
    let text = format!("{} {verb} the ramp plan {name}", who.actor);
    EventDraft::new(who.actor.clone(), who.source, "ramp_plan.changed", text)
}
