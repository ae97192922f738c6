//! Flags as a list shows them: one short row each, so that thousands travel and draw at once.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use tenfold_flags::{Flag, FlagEnvironment, Kind, RampState, Share, ValueType};
use tenfold_types::Timestamp;
use utoipa::ToSchema;

use super::views::last_change;
use crate::App;

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FlagSummary {
    pub key: String,
    #[serde(default)]
    pub project: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub kind: Kind,
    pub value_type: ValueType,
    pub owner: String,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    pub updated_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Somebody said that its code can go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marked_stale: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// Environments that were configured; in all others the flag is off.
    pub environments: BTreeMap<String, FlagSummaryEnvironment>,
}

/// The state in one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FlagSummaryEnvironment {
    pub enabled: bool,
    /// Present when one percentage for everybody is all there is; with at most two decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_percent: Option<f64>,
    /// A ramp raises the percentage by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ramping: bool,
    /// A ramp's guard watches here, and may switch the flag off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guarded: bool,
    /// Switched off, but the record does not say so yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
    /// Clients asked for it since the server started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FlagSummaryList {
    pub items: Vec<FlagSummary>,
    /// All environments, by name.
    pub environments: Vec<String>,
}

impl FlagSummaryEnvironment {
    fn new(state: &FlagEnvironment, held: bool, asked: bool) -> Self {
        Self {
            enabled: state.enabled && !held,
            rollout_percent: state.share().map(Share::as_percent),
            ramping: state.ramp.as_ref().is_some_and(|r| r.state == RampState::Running),
            guarded: state.ramp.as_ref().is_some_and(|r| r.is_live() && r.guard_now().is_some()),
            pending: held,
            asked,
        }
    }
}

impl App {
    /// All flags in use, or those that are archived, by key. Needs no database.
    pub fn flag_summaries(&self, archived: bool) -> FlagSummaryList {
        let (flags, held) = self.flags.look(|table| {
            let flags = table.flags.values().map(|e| e.flag.clone()).filter(|f| f.archived == archived);
            let held: HashSet<(String, String)> = table.held_off.keys().cloned().collect();
            (flags.collect::<Vec<_>>(), held)
        });
        let items = flags.iter().map(|f| self.flag_summary(f, &held)).collect();
        FlagSummaryList { items, environments: self.flags.environment_names() }
    }

    fn flag_summary(&self, flag: &Flag, held: &HashSet<(String, String)>) -> FlagSummary {
        let environments = flag.environments.iter().map(|(name, state)| {
            // Almost never is anything held, and then no name needs to be copied.
            let held = !held.is_empty() && held.contains(&(flag.key.clone(), name.clone()));
            let usage = self.flags.usage.read(name, &flag.key);
            (name.clone(), FlagSummaryEnvironment::new(state, held, usage.yes + usage.no > 0))
        });
        let (updated_at, updated_by) = last_change(flag);
        FlagSummary {
            key: flag.key.clone(),
            project: flag.project.clone(),
            description: flag.description.clone(),
            kind: flag.kind,
            value_type: flag.value_type,
            owner: flag.owner.clone(),
            updated_at,
            updated_by,
            expires_at: flag.expires_at,
            tags: flag.tags.clone(),
            marked_stale: flag.marked_stale,
            archived: flag.archived,
            environments: environments.collect(),
        }
    }
}
