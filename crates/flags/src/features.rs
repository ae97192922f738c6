//! The client-features document of the Unleash protocol, and the deltas that change it.
//!
//! Reading is lenient (missing lists are empty, numbers may stand where text is wanted), since it also reads what other
//! servers wrote. Three fields are ours, `valueType`, `offValue` and `hidden`; SDKs ignore them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::value::{Payload, ValueType};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientFeatures {
    pub version: u32,
    #[serde(default)]
    pub features: Vec<Feature>,
    #[serde(default, deserialize_with = "or_default")]
    pub segments: Vec<Segment>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Feature {
    pub name: String,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub stale: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub impression_data: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub strategies: Vec<Strategy>,
    #[serde(default, deserialize_with = "or_default")]
    pub variants: Vec<Variant>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    #[serde(default, skip_serializing_if = "is_bool")]
    pub value_type: ValueType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_value: Option<Value>,
    /// Stands there for another flag's sake (see [`crate::fraction`]); nobody is told of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// A rule that switches a flag on for some: one matching strategy is enough, inside it everything must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagStrategy))]
pub struct Strategy {
    /// `default`, `flexibleRollout`, or one of the older names `userWithId`, `gradualRolloutUserId`,
    /// `gradualRolloutSessionId`, `gradualRolloutRandom`, `remoteAddress`, `applicationHostname`.
    pub name: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Kept, but not asked: no client is told of it.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Of `flexibleRollout`: `rollout` (percent, at most two decimals), `stickiness`, `groupId`.
    #[serde(default, deserialize_with = "parameters")]
    pub parameters: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub constraints: Vec<Constraint>,
    #[serde(default, deserialize_with = "or_default")]
    pub segments: Vec<i64>,
    #[serde(default, deserialize_with = "or_default")]
    pub variants: Vec<Variant>,
}

/// One condition on one context field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", schema(as = FlagConstraint))]
pub struct Constraint {
    pub context_name: String,
    /// One of the 19 operators of [`crate::OPERATORS`].
    pub operator: String,
    /// Of the list operators. Always written: the Node SDK throws at a list operator without one.
    #[serde(default, deserialize_with = "or_default")]
    pub values: Vec<String>,
    /// Of the operators that compare with one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub inverted: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub case_insensitive: bool,
}

/// One of several answers, chosen by weight. A typed flag gives `value`; the Unleash protocol carries it as `payload`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", schema(as = FlagVariant))]
pub struct Variant {
    pub name: String,
    /// Share among the weights of its list.
    pub weight: u32,
    /// `fix` where an Unleash server keeps the weight when others change, else `variable`. No client looks at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stickiness: Option<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
}

/// Gives a variant to named people, whatever the weights say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", schema(as = FlagOverride))]
pub struct Override {
    pub context_name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub values: Vec<String>,
}

/// A parent flag that must be in a certain state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagDependency))]
pub struct Dependency {
    pub feature: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<String>,
}

/// A named set of constraints that strategies share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagSegment))]
pub struct Segment {
    pub id: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub constraints: Vec<Constraint>,
}

/// One step of the Unleash delta protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum DeltaEvent {
    Hydration {
        event_id: u64,
        #[serde(default)]
        segments: Vec<Segment>,
        features: Vec<Feature>,
    },
    FeatureUpdated {
        event_id: u64,
        feature: Feature,
    },
    FeatureRemoved {
        event_id: u64,
        feature_name: String,
        #[serde(default)]
        project: String,
    },
    SegmentUpdated {
        event_id: u64,
        segment: Segment,
    },
    SegmentRemoved {
        event_id: u64,
        segment_id: i64,
    },
}

impl ClientFeatures {
    pub fn apply(&mut self, event: DeltaEvent) {
        match event {
            DeltaEvent::Hydration { segments, features, .. } => {
                self.features = features;
                self.segments = segments;
            }
            DeltaEvent::FeatureUpdated { feature, .. } => {
                self.features.retain(|f| f.name != feature.name);
                self.features.push(feature);
            }
            DeltaEvent::FeatureRemoved { feature_name, .. } => self.features.retain(|f| f.name != feature_name),
            DeltaEvent::SegmentUpdated { segment, .. } => {
                self.segments.retain(|s| s.id != segment.id);
                self.segments.push(segment);
            }
            DeltaEvent::SegmentRemoved { segment_id, .. } => self.segments.retain(|s| s.id != segment_id),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_bool(kind: &ValueType) -> bool {
    *kind == ValueType::Bool
}

/// `null` reads as the default.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// Parameters are text, but people also write `rollout: 50`.
fn parameters<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, String>, D::Error> {
    let raw = Option::<BTreeMap<String, Value>>::deserialize(d)?.unwrap_or_default();
    Ok(raw
        .into_iter()
        .filter_map(|(name, value)| match value {
            Value::Null => None,
            Value::String(text) => Some((name, text)),
            other => Some((name, other.to_string())),
        })
        .collect())
}
