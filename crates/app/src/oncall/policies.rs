//! Escalation policies: making, changing, deleting.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_oncall::{DeployerFirst, Policy, PolicyStep, TargetKind, Teams};
use tenfold_store::{Tx, oncall as store};
use tenfold_types::{EventDraft, Fault};

use super::{
    schedules::{check_people, to_json},
    teams,
    views::PolicyView,
};
use crate::{App, Caller, Role, people::check_name};

const POLICIES_MAX: usize = 500;

/// What is said when a policy is made or changed. A target of a step is a `schedule`, a `person` or a `team`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyUpdate {
    #[schema(value_type = Vec<Object>)]
    pub steps: Vec<PolicyStep>,
    #[serde(default)]
    pub repeat: u32,
    /// Whoever deployed the service within `within_ms` is paged first and has `delay_ms` before the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub deployer_first: Option<DeployerFirst>,
    /// An acknowledgement that is older than this is over, and the policy is gone through again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_timeout_ms: Option<i64>,
}

impl PolicyUpdate {
    pub(crate) fn named(self, name: &str) -> Policy {
        let Self { steps, repeat, deployer_first, ack_timeout_ms } = self;
        Policy { name: name.to_owned(), steps, repeat, deployer_first, ack_timeout_ms }
    }

    fn view(self, name: String) -> PolicyView {
        let Self { steps, repeat, deployer_first, ack_timeout_ms } = self;
        PolicyView { name, steps, repeat, deployer_first, ack_timeout_ms }
    }
}

impl From<PolicyView> for PolicyUpdate {
    fn from(view: PolicyView) -> Self {
        let PolicyView { name: _, steps, repeat, deployer_first, ack_timeout_ms } = view;
        Self { steps, repeat, deployer_first, ack_timeout_ms }
    }
}

fn stored(name: &str, body: &str) -> Result<PolicyUpdate, Fault> {
    serde_json::from_str(body).map_err(|e| Fault::internal(format!("the policy {name} cannot be read: {e}")))
}

pub(super) fn names_schedule(policy: &str, body: &str, schedule: &str) -> Result<bool, Fault> {
    let policy = stored(policy, body)?;
    Ok(policy.steps.iter().flat_map(|s| &s.targets).any(|t| t.kind == TargetKind::Schedule && t.name == schedule))
}

/// All policies, out of their rows.
pub(super) fn all_policies(rows: Vec<(String, String)>) -> Result<Vec<Policy>, Fault> {
    rows.into_iter().map(|(name, body)| Ok(stored(&name, &body)?.named(&name))).collect()
}

/// The policy of that name.
pub(crate) fn policy(tx: &mut dyn Tx, name: &str) -> Result<Option<Policy>, Fault> {
    let Some(body) = store::policy_get(tx, name)? else { return Ok(None) };
    Ok(Some(stored(name, &body)?.named(name)))
}

/// Refuses targets that are not there, so that no step pages into the void. A team that nobody is in is let through: people
/// come and go, and the preview and readiness tell of it.
pub(super) fn check_targets(tx: &mut dyn Tx, update: &PolicyUpdate) -> Result<(), Fault> {
    let mut members: Option<Teams> = None;
    for target in update.steps.iter().flat_map(|s| &s.targets) {
        match target.kind {
            TargetKind::Person => check_people(tx, std::iter::once(&target.name))?,
            TargetKind::Schedule if store::schedule_get(tx, &target.name)?.is_none() => {
                return Err(Fault::not_found(format!("there is no schedule `{}`", target.name))
                    .advice("make the schedule first, then the policy that pages it"));
            }
            TargetKind::Schedule => {}
            TargetKind::Team => {
                if members.is_none() {
                    members = Some(teams::teams(tx)?);
                }
                let n = members.as_ref().and_then(|all| all.get(&target.name)).map_or(0, Vec::len);
                if let Some(why) = teams::too_large(n) {
                    return Err(Fault::invalid(format!("the team `{}` {why}", target.name))
                        .advice("page a schedule of the team, or make two teams of it"));
                }
            }
        }
    }
    Ok(())
}

fn no_policy(name: &str) -> Fault {
    Fault::not_found(format!("there is no escalation policy `{name}`")).advice("the On-call page lists the policies")
}

impl App {
    pub async fn policies(&self) -> Result<Vec<PolicyView>, Fault> {
        self.read(|tx| {
            let rows = store::policies(tx)?;
            rows.into_iter().map(|(name, body)| Ok(stored(&name, &body)?.view(name))).collect()
        })
        .await
    }

    /// Makes or changes a policy. Incidents that are open go on with the policy they opened with.
    pub async fn policy_put(&self, who: &Caller, name: &str, update: PolicyUpdate) -> Result<PolicyView, Fault> {
        who.require(Role::Deployer, None, None)?;
        check_name("policy", name)?;
        let policy = update.clone().named(name);
        policy.check().map_err(Fault::invalid)?;
        let who = who.clone();
        self.transact(move |t| {
            let key = policy.name.clone();
            check_targets(t.tx(), &update)?;
            let body = to_json(&update)?;
            let before = store::policy_get(t.tx(), &key)?;
            let view = update.clone().view(key.clone());
            if before.as_deref() == Some(&body) {
                return Ok(view);
            }
            if before.is_none() && store::policies(t.tx())?.len() >= POLICIES_MAX {
                return Err(Fault::invalid(format!("there are at most {POLICIES_MAX} policies")));
            }
            store::policy_put(t.tx(), &key, &body)?;
            let verb = if before.is_some() { "changed" } else { "added" };
            let text = format!("{} {verb} the escalation policy {key}", who.name);
            let before = before.and_then(|b| serde_json::from_str::<serde_json::Value>(&b).ok());
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "policy.changed", text)
                    .data(json!({"policy": key, "before": before, "after": update})),
            )?;
            Ok(view)
        })
        .await
    }

    pub async fn policy_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        who.require(Role::Deployer, None, None)?;
        let (who, key) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            if !store::policy_delete(t.tx(), &key)? {
                return Err(no_policy(&key));
            }
            let text = format!("{} removed the escalation policy {key}", who.name);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "policy.changed", text)
                    .data(json!({"policy": key, "after": null})),
            )?;
            Ok(())
        })
        .await
    }
}
