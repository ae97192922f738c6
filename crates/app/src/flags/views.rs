//! The shapes of flags in the API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenfold_flags::{
    Contingency, Dependency, Drill, Drilled, Flag, FlagEnvironment, Guard, Kind, OptIn, Ramp, RampStep, Share,
    StaleReason, Strategy, ValueType, Variant,
};
use tenfold_types::Timestamp;
use utoipa::ToSchema;

use super::ramps::RampMove;
use super::usage::UsageView;

/// A flag with its state in every environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Flag)]
pub struct FlagView {
    pub key: String,
    /// Grows by one with every change; `PUT` with `If-Match` changes exactly this one.
    pub version: i64,
    #[serde(default)]
    pub project: String,
    pub description: String,
    pub kind: Kind,
    pub owner: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When anything of it last changed, and who did it.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    pub updated_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    pub value_type: ValueType,
    pub impression_data: bool,
    /// `type:value`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Somebody said that it has had its day.
    #[serde(default)]
    pub marked_stale: bool,
    /// Days it is expected to live; absent for one that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_days: Option<u32>,
    /// Why it looks finished; empty for one that does not.
    #[serde(default)]
    pub stale: Vec<StaleReason>,
    /// People may switch it for themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opt_in: Option<OptIn>,
    #[serde(default)]
    pub opted_in: Vec<String>,
    #[serde(default)]
    pub opted_out: Vec<String>,
    /// What to know on a bad day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contingency: Option<Contingency>,
    /// The last drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drilled: Option<Drilled>,
    pub dependencies: Vec<Dependency>,
    pub environments: BTreeMap<String, FlagEnvironmentView>,
    pub archived: bool,
    /// In the answer to a change: it waits for a second person, as the change request of this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<i64>,
}

/// A flag in one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FlagEnv)]
pub struct FlagEnvironmentView {
    pub enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_value: Option<Value>,
    pub strategies: Vec<Strategy>,
    pub variants: Vec<Variant>,
    /// Present when one percentage for everybody is all there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_percent: Option<Share>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// Off for practice, and on again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// When a client last asked, to a minute or so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub asked_at: Option<Timestamp>,
    /// Absent when nobody configured the flag here yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub updated_by: String,
    pub usage: UsageView,
    /// Switched off, but the record does not say so yet because the database cannot be reached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
}

impl FlagEnvironmentView {
    pub(super) fn new(state: &FlagEnvironment, usage: UsageView, pending: bool) -> Self {
        Self {
            enabled: state.enabled && !pending,
            off_value: state.off_value.clone(),
            strategies: state.strategies.clone(),
            variants: state.variants.clone(),
            rollout_percent: state.share(),
            ramp: state.ramp.clone(),
            drill: state.drill.clone(),
            asked_at: None,
            updated_at: (state.updated_at != Timestamp::default()).then_some(state.updated_at),
            updated_by: state.updated_by.clone(),
            usage,
            pending,
        }
    }
}

impl FlagView {
    pub(super) fn new(flag: &Flag, version: i64, environments: BTreeMap<String, FlagEnvironmentView>) -> Self {
        let (updated_at, updated_by) = last_change(flag);
        Self {
            key: flag.key.clone(),
            version,
            updated_at,
            updated_by,
            project: flag.project.clone(),
            description: flag.description.clone(),
            kind: flag.kind,
            owner: flag.owner.clone(),
            created_at: flag.created_at,
            expires_at: flag.expires_at,
            value_type: flag.value_type,
            impression_data: flag.impression_data,
            tags: flag.tags.clone(),
            marked_stale: flag.marked_stale,
            lifetime_days: flag.lifetime_days_expected(),
            stale: Vec::new(),
            opt_in: flag.opt_in.clone(),
            opted_in: flag.opted_in.clone(),
            opted_out: flag.opted_out.clone(),
            contingency: flag.contingency.clone(),
            drilled: flag.drilled.clone(),
            dependencies: flag.dependencies.clone(),
            environments,
            archived: flag.archived,
            requested: None,
        }
    }
}

/// Of a flag that an older release wrote, the latest change of its environments.
pub(super) fn last_change(flag: &Flag) -> (Timestamp, String) {
    if flag.updated_at != Timestamp::default() {
        return (flag.updated_at, flag.updated_by.clone());
    }
    let latest = flag.environments.values().max_by_key(|state| state.updated_at);
    match latest.filter(|state| state.updated_at > flag.created_at) {
        Some(state) => (state.updated_at, state.updated_by.clone()),
        None => (flag.created_at, String::new()),
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FlagList {
    pub items: Vec<FlagView>,
}

/// What may be said of a flag when creating or changing it; what is absent stays as it is. A flag as it was read may be
/// sent back: its fields that only tell (`created_at`, `usage`, ...) are passed over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct FlagUpdate {
    /// The project it belongs to; `default` when nobody says.
    pub project: Option<String>,
    pub description: Option<String>,
    pub kind: Option<Kind>,
    pub owner: Option<String>,
    /// `null` takes the date away.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Option<Timestamp>>,
    pub value_type: Option<ValueType>,
    pub impression_data: Option<bool>,
    /// `type:value`, instead of those that are there.
    pub tags: Option<Vec<String>>,
    pub marked_stale: Option<bool>,
    /// 0 is for ever; `null` is what the kind says.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub lifetime_days: Option<Option<u32>>,
    /// `null` takes the offer back.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<OptIn>)]
    pub opt_in: Option<Option<OptIn>>,
    /// `null` takes it off the contingency page, unless it is a kill switch.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Contingency>)]
    pub contingency: Option<Option<Contingency>>,
    pub dependencies: Option<Vec<Dependency>>,
    /// Only the environments named here change.
    pub environments: BTreeMap<String, FlagEnvironmentUpdate>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = FlagEnvUpdate)]
pub struct FlagEnvironmentUpdate {
    pub enabled: Option<bool>,
    /// `null` takes it away.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub off_value: Option<Option<Value>>,
    pub strategies: Option<Vec<Strategy>>,
    pub variants: Option<Vec<Variant>>,
    /// Counts only where `strategies` are not given.
    pub rollout_percent: Option<Share>,
}

/// Tells `null` from absent.
#[expect(clippy::option_option, reason = "absent, null and a value are three things in a partial update")]
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagSwitch {
    pub environment: String,
    pub enabled: bool,
    /// For the record; never asked for.
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagRollout {
    pub environment: String,
    /// From 0 to 100, with at most two decimals.
    pub percent: Share,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagRamp {
    pub environment: String,
    /// The name of a shared plan.
    #[serde(default)]
    pub plan: Option<String>,
    /// In place of the plan's steps.
    #[serde(default)]
    pub steps: Vec<RampStep>,
    /// In place of the plan's guard.
    #[serde(default)]
    pub guard: Option<Guard>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagRampMove {
    pub environment: String,
    #[serde(rename = "move")]
    pub how: RampMove,
    /// With `extend`: how much longer.
    #[serde(default)]
    pub by_ms: Option<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagQuestion {
    pub environment: String,
    /// `userId` (or `targetingKey`), `sessionId`, `remoteAddress`, `appName`, `currentTime` and any property.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub context: serde_json::Map<String, Value>,
}

/// What somebody with that context gets, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FlagAnswer {
    pub enabled: bool,
    pub variant: String,
    pub value: Value,
    /// `STATIC`, `TARGETING_MATCH`, `SPLIT` or `DISABLED`.
    pub reason: String,
}
