//! `mute_alerts` of the pipeline file: named alerts are quiet while hosts flip, and no longer.

use tenfold_deploys::machine::{Kind, State};
use tenfold_types::Fault;

use super::stored::Stored;
use crate::Txn;
use crate::alerts::{DeployMute, deploy_mute_begins, deploy_mute_ends};

/// What a step changes about the deploy's mute.
#[derive(Debug, Clone)]
pub(super) enum Quiet {
    Begins(DeployMute),
    Ends { deploy: i64, why: String },
}

impl Quiet {
    pub(super) fn write(&self, t: &mut Txn<'_>) -> Result<(), Fault> {
        match self {
            Self::Begins(mute) => deploy_mute_begins(t, mute),
            Self::Ends { deploy, why } => deploy_mute_ends(t, *deploy, why),
        }
    }
}

/// Hosts flip and nothing has gone wrong. Every other state ends the mute: what is held, fails or goes back must be heard.
const fn flips(state: State) -> bool {
    matches!(state, State::Canary | State::Promoting)
}

pub(super) fn change(before: &Stored, after: &Stored) -> Option<Quiet> {
    let asked = after.asked.pipeline.mute_alerts.as_ref()?;
    let (was, is) = (flips(before.run.state), flips(after.run.state));
    // A rollback begins because something is wrong, so nothing is muted for it.
    if was == is || after.run.kind == Kind::Rollback {
        return None;
    }
    if !is {
        let why = after.run.state.word().replace('_', " ");
        return Some(Quiet::Ends { deploy: after.number, why });
    }
    Some(Quiet::Begins(DeployMute {
        deploy: after.number,
        service: after.service.clone(),
        environment: after.environment.clone(),
        names: asked.names.clone(),
        for_ms: i64::from(asked.for_s) * 1_000,
        asked_by: after.asked.actor.clone(),
        asked_by_name: after.asked.actor_name.clone(),
    }))
}
