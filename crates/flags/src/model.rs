//! A flag as people edit it: one definition with a state per environment, and its form in the Unleash protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenfold_types::Timestamp;

use crate::{
    contingency::{Contingency, Drill, Drilled},
    features::{Dependency, Feature, Strategy, Variant},
    fraction::{self, Share},
    opt_in::OptIn,
    ramp::Ramp,
    value::ValueType,
};

/// The strategy that rolls out by percentage.
pub const FLEXIBLE_ROLLOUT: &str = "flexibleRollout";

/// The project of flags that name none.
pub const DEFAULT_PROJECT: &str = "default";
/// The variant that tells a client to run the new path and drop its result.
pub const SHADOW: &str = "shadow";

/// What a flag is for; it says how long it should live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", schema(as = FlagKind))]
pub enum Kind {
    /// Hides unfinished work; weeks.
    #[default]
    Release,
    /// Compares variants; weeks.
    Experiment,
    /// Steers how the system runs; days to years.
    Operational,
    /// Turns a part off when it hurts; stays.
    KillSwitch,
    /// Who may use what; stays.
    Permission,
    /// Dark launch: whoever gets it runs the new path beside the old one and drops the result; weeks.
    Shadow,
}

impl Kind {
    /// As the Unleash protocol writes it.
    pub const fn unleash_name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Experiment => "experiment",
            Self::Operational => "operational",
            Self::KillSwitch => "kill-switch",
            Self::Permission => "permission",
            Self::Shadow => "shadow",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    pub key: String,
    /// Flags of one project are read and managed together; tokens of clients may be limited to projects.
    #[serde(default = "default_project")]
    pub project: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub kind: Kind,
    /// Who answers for it: a person's login or a team.
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub created_at: Timestamp,
    /// When anything of it last changed, in whatever environment, and who did it.
    #[serde(default)]
    pub updated_at: Timestamp,
    #[serde(default)]
    pub updated_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(default)]
    pub value_type: ValueType,
    /// SDKs emit an event for each evaluation.
    #[serde(default)]
    pub impression_data: bool,
    /// `type:value`, as Unleash has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Somebody said that it has had its day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marked_stale: bool,
    /// Parents, one level deep.
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
    /// How many days it is expected to live, where that is not its kind's; 0 is for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_days: Option<u32>,
    /// People may switch it for themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opt_in: Option<OptIn>,
    /// Ids of the people who want it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opted_in: Vec<String>,
    /// Ids of the people who do not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opted_out: Vec<String>,
    /// What to know on a bad day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contingency: Option<Contingency>,
    /// The last drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drilled: Option<Drilled>,
    #[serde(default)]
    pub environments: BTreeMap<String, FlagEnvironment>,
    #[serde(default)]
    pub archived: bool,
}

/// A flag in one environment. Without strategies an enabled flag is on for everybody.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlagEnvironment {
    pub enabled: bool,
    /// Answered while off; of the flag's value type. Absent: `false`, `""`, `0`, `0.0`, `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_value: Option<Value>,
    #[serde(default)]
    pub strategies: Vec<Strategy>,
    #[serde(default)]
    pub variants: Vec<Variant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// Off for practice, and on again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
    #[serde(default)]
    pub updated_by: String,
}

fn default_project() -> String {
    DEFAULT_PROJECT.into()
}

impl Flag {
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            project: default_project(),
            description: String::new(),
            kind: Kind::default(),
            owner: String::new(),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            updated_by: String::new(),
            expires_at: None,
            value_type: ValueType::default(),
            impression_data: false,
            tags: Vec::new(),
            marked_stale: false,
            dependencies: Vec::new(),
            lifetime_days: None,
            opt_in: None,
            opted_in: Vec::new(),
            opted_out: Vec::new(),
            contingency: None,
            drilled: None,
            environments: BTreeMap::new(),
            archived: false,
        }
    }

    /// As the Unleash protocol has it: the flag, and its hidden parent when a share has a fraction (see
    /// [`crate::fraction`]). Whatever is served or compiled takes both. In an environment that nobody configured the flag
    /// is off.
    pub fn features(&self, environment: &str) -> impl Iterator<Item = Feature> + use<> {
        let mut feature = self.whole_feature(environment);
        let hidden = fraction::split(&mut feature);
        std::iter::once(feature).chain(hidden)
    }

    /// The first of [`Flag::features`]. With a fraction it has a parent that stands only there.
    pub fn feature(&self, environment: &str) -> Feature {
        let mut feature = self.whole_feature(environment);
        fraction::split(&mut feature);
        feature
    }

    /// `groupId` and `stickiness` are always written out: SDKs differ in what they assume.
    fn whole_feature(&self, environment: &str) -> Feature {
        let default = FlagEnvironment::default();
        let state = self.environments.get(environment).unwrap_or(&default);
        let variants = self.told_variants(state);
        let asked = state.strategies.iter().filter(|s| !s.disabled).map(|s| self.wire_strategy(s)).collect();
        Feature {
            name: self.key.clone(),
            kind: Some(self.kind.unleash_name().into()),
            description: Some(self.description.clone()).filter(|d| !d.is_empty()),
            // A flag whose strategies are all disabled is on for nobody; without any it would be on for everybody.
            enabled: state.enabled
                && !self.archived
                && (state.strategies.is_empty() || state.strategies.iter().any(|s| !s.disabled)),
            project: Some(self.project.clone()),
            stale: self.marked_stale,
            impression_data: self.impression_data,
            strategies: self.with_choices(asked, &state.variants),
            variants,
            dependencies: self.dependencies.clone(),
            value_type: self.value_type,
            off_value: state.off_value.clone(),
            hidden: false,
        }
    }

    /// A shadow without variants of its own says so to clients that look at variants only.
    fn told_variants(&self, state: &FlagEnvironment) -> Vec<Variant> {
        let plain = state.variants.is_empty() && state.strategies.iter().all(|s| s.variants.is_empty());
        if self.kind == Kind::Shadow && self.value_type == ValueType::Bool && plain {
            return vec![Variant { name: SHADOW.into(), weight: 1_000, ..Variant::default() }];
        }
        self.wire_variants(&state.variants)
    }

    fn wire_strategy(&self, strategy: &Strategy) -> Strategy {
        let mut out = strategy.clone();
        if strategy.name == FLEXIBLE_ROLLOUT || !strategy.variants.is_empty() {
            complete_parameters(&self.key, &mut out);
        }
        out.variants = self.wire_variants(&strategy.variants);
        out
    }

    fn wire_variants(&self, variants: &[Variant]) -> Vec<Variant> {
        variants
            .iter()
            .map(|v| Variant {
                payload: v.payload.clone().or_else(|| v.value.as_ref().map(|value| self.value_type.payload(value))),
                value: None,
                ..v.clone()
            })
            .collect()
    }

    /// Brings what people write into the one form that is stored: values instead of payloads, typed and complete.
    /// What does not conform is left alone for [`crate::validate`] to name.
    pub fn normalize(&mut self) {
        let (key, kind) = (self.key.clone(), self.value_type);
        for state in self.environments.values_mut() {
            if let Some(value) = state.off_value.as_ref().and_then(|v| kind.conform(v)) {
                state.off_value = Some(value);
            }
            state.variants.iter_mut().for_each(|v| normalize_variant(v, kind));
            for strategy in &mut state.strategies {
                if strategy.name == FLEXIBLE_ROLLOUT || !strategy.variants.is_empty() {
                    complete_parameters(&key, strategy);
                }
                strategy.variants.iter_mut().for_each(|v| normalize_variant(v, kind));
            }
        }
    }
}

fn complete_parameters(key: &str, strategy: &mut Strategy) {
    let own = strategy.variants.first().and_then(|v| v.stickiness.clone());
    for (name, value) in [("groupId", key.to_owned()), ("stickiness", own.unwrap_or_else(|| "default".into()))] {
        let slot = strategy.parameters.entry(name.into()).or_default();
        if slot.is_empty() {
            *slot = value;
        }
    }
}

fn normalize_variant(variant: &mut Variant, kind: ValueType) {
    let typed = match (&variant.value, &variant.payload) {
        (Some(value), _) => kind.conform(value),
        (None, Some(payload)) => kind.parse(&payload.value),
        (None, None) => None,
    };
    if typed.is_some() {
        variant.value = typed;
        variant.payload = None;
    }
}

impl FlagEnvironment {
    /// On for `percent` of the people, off for the rest.
    pub fn rollout(key: &str, percent: u8) -> Self {
        Self::with_share(key, Share::percent(percent))
    }

    /// On for a share of the people, off for the rest.
    pub fn with_share(key: &str, share: Share) -> Self {
        Self { enabled: true, strategies: vec![rollout_strategy(key, share)], ..Self::default() }
    }

    /// The percentage, when a single whole percentage is all there is.
    pub fn rollout_percent(&self) -> Option<u8> {
        self.share().and_then(Share::whole)
    }

    /// The share of people, when a single one is all there is.
    pub fn share(&self) -> Option<Share> {
        match self.strategies.as_slice() {
            [] => Some(Share::EVERYBODY),
            [one] if one.constraints.is_empty() && one.segments.is_empty() && one.variants.is_empty() => {
                match one.name.as_str() {
                    "default" => Some(Share::EVERYBODY),
                    _ => fraction::strategy_share(one),
                }
            }
            _ => None,
        }
    }

    /// True when an SDK is sent a hidden parent for it.
    pub fn has_fraction(&self) -> bool {
        self.strategies.iter().any(fraction::has_fraction)
    }

    /// Sets the share and returns the one before. A flag with constraints keeps them: the share is of those they let
    /// through. With several strategies there is no single share, which the error says.
    pub fn set_share(&mut self, key: &str, share: Share) -> Result<Share, String> {
        match self.strategies.as_mut_slice() {
            [] => {
                self.strategies.push(rollout_strategy(key, share));
                Ok(Share::EVERYBODY)
            }
            [one] if one.name == FLEXIBLE_ROLLOUT || one.name == "default" => {
                let everybody = one.name == "default";
                let before =
                    if everybody { Share::EVERYBODY } else { fraction::strategy_share(one).unwrap_or_default() };
                one.name = FLEXIBLE_ROLLOUT.into();
                one.parameters.insert("rollout".into(), share.to_string());
                complete_parameters(key, one);
                Ok(before)
            }
            [one] => Err(format!("the strategy `{}` has no percentage that could be set here", one.name)),
            many => Err(format!("the flag has {} strategies, so there is no single percentage", many.len())),
        }
    }
}

fn rollout_strategy(key: &str, share: Share) -> Strategy {
    let mut strategy = Strategy { name: FLEXIBLE_ROLLOUT.into(), ..Strategy::default() };
    strategy.parameters.insert("rollout".into(), share.to_string());
    complete_parameters(key, &mut strategy);
    strategy
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn percentages_read_and_set() {
        let mut state = FlagEnvironment { enabled: true, ..FlagEnvironment::default() };
        assert_eq!(state.rollout_percent(), Some(100));
        assert_eq!(state.set_share("k", Share::percent(25)), Ok(Share::percent(100)));
        assert_eq!(state.rollout_percent(), Some(25));
        assert_eq!(state.set_share("k", Share::percent(50)), Ok(Share::percent(25)));
        assert_eq!(state.strategies[0].parameters["groupId"], "k");
        state.strategies.push(Strategy { name: "default".into(), ..Strategy::default() });
        assert!(state.set_share("k", Share::percent(75)).unwrap_err().contains("2 strategies"));
        assert_eq!(state.rollout_percent(), None);
    }

    #[test]
    fn a_constraint_survives_a_new_percentage() {
        let mut state: FlagEnvironment = serde_json::from_value(json!({
            "enabled": true,
            "strategies": [{"name": "default", "constraints": [{"contextName": "plan", "operator": "IN", "values": ["pro"]}]}],
        }))
        .unwrap();
        assert_eq!(state.set_share("k", Share::percent(10)), Ok(Share::percent(100)));
        assert_eq!(state.strategies[0].constraints.len(), 1);
        assert_eq!(state.rollout_percent(), None);
    }

    #[test]
    fn the_wire_form_says_everything_out() {
        let mut flag = Flag::new("colour");
        flag.value_type = ValueType::String;
        let state = serde_json::from_value(json!({
            "enabled": true,
            "off_value": "grey",
            "strategies": [{"name": "flexibleRollout", "parameters": {"rollout": 50}}],
            "variants": [{"name": "a", "weight": 1, "value": "red"}],
        }))
        .unwrap();
        flag.environments.insert("production".into(), state);
        let wire = serde_json::to_value(flag.feature("production")).unwrap();
        assert_eq!(
            wire["strategies"][0]["parameters"],
            json!({"groupId": "colour", "rollout": "50", "stickiness": "default"})
        );
        assert_eq!(
            wire["variants"],
            json!([{"name": "a", "weight": 1, "payload": {"type": "string", "value": "red"}}])
        );
        assert_eq!(wire["offValue"], "grey");
        assert!(!flag.feature("staging").enabled);
    }

    #[test]
    fn payloads_become_values() {
        let mut flag = Flag::new("limit");
        flag.value_type = ValueType::Float;
        let state = serde_json::from_value(json!({
            "enabled": true, "off_value": 1,
            "variants": [{"name": "a", "weight": 1, "payload": {"type": "number", "value": "2"}}],
        }))
        .unwrap();
        flag.environments.insert("production".into(), state);
        flag.normalize();
        let state = &flag.environments["production"];
        assert_eq!(state.off_value.as_ref().unwrap().to_string(), "1.0");
        assert_eq!(state.variants[0].value.as_ref().unwrap().to_string(), "2.0");
        assert_eq!(state.variants[0].payload, None);
    }
}
