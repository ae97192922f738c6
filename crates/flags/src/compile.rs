//! From definitions to a snapshot that evaluates without looking anything up by text except the flag's own name.
//!
//! Compiling never fails: a strategy that cannot be read matches nobody, the rest of the document stands.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    constraint::{Constraint, Network, Words},
    context::Field,
    features::{ClientFeatures, Feature, Strategy, Variant},
    murmur::{Prefix, ROLLOUT_SEED, VARIANT_SEED},
    value::{Payload, ValueType},
};

/// Everything that is needed to evaluate the flags of one environment. Immutable; a change makes a new one.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(crate) flags: Vec<Flag>,
    pub(crate) index: HashMap<Box<str>, u32>,
    pub(crate) segments: Vec<Rules>,
}

/// Constraints that must all hold; `None` when one of them cannot be read.
pub(crate) type Rules = Option<Vec<Constraint>>;

#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) name: Box<str>,
    pub(crate) kind: Box<str>,
    pub(crate) enabled: bool,
    pub(crate) impression_data: bool,
    pub(crate) value_type: ValueType,
    pub(crate) on: Value,
    pub(crate) off: Value,
    pub(crate) parents: Vec<Parent>,
    pub(crate) strategies: Vec<CompiledStrategy>,
    pub(crate) variants: Option<VariantSet>,
}

#[derive(Debug)]
pub(crate) struct Parent {
    /// `None`: there is no such flag, which nobody satisfies.
    pub(crate) flag: Option<u32>,
    pub(crate) enabled: bool,
    pub(crate) variants: Vec<Box<str>>,
}

#[derive(Debug)]
pub(crate) struct CompiledStrategy {
    pub(crate) rule: Rule,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) segments: Vec<u32>,
    pub(crate) variants: Option<VariantSet>,
}

#[derive(Debug)]
pub(crate) enum Rule {
    Always,
    Never,
    Rollout {
        percent: u8,
        sticky: Sticky,
        group: Prefix,
    },
    Chance {
        percent: u8,
    },
    Users(Words),
    Addresses(Vec<Network>),
    /// Lower-case names, compared with the property `hostname`.
    Hosts(Words),
}

/// What ties a person to a bucket.
#[derive(Debug)]
pub(crate) enum Sticky {
    /// The user, else the session, else chance.
    Default,
    Random,
    Field(Field),
}

#[derive(Debug)]
pub(crate) struct VariantSet {
    pub(crate) variants: Vec<CompiledVariant>,
    pub(crate) weights: u32,
    pub(crate) sticky: Sticky,
    pub(crate) group: Prefix,
    pub(crate) has_overrides: bool,
}

#[derive(Debug)]
pub(crate) struct CompiledVariant {
    pub(crate) name: Box<str>,
    pub(crate) weight: u32,
    pub(crate) value: Value,
    pub(crate) payload: Option<Payload>,
    pub(crate) overrides: Vec<(Field, Words)>,
}

impl Snapshot {
    /// Flags are sorted by name; of a repeated name the last one counts.
    pub fn compile(document: &ClientFeatures) -> Self {
        let mut segments = Vec::with_capacity(document.segments.len());
        let mut segment_index = HashMap::new();
        for segment in &document.segments {
            segment_index.insert(segment.id, segments.len() as u32);
            segments.push(segment.constraints.iter().map(Constraint::compile).collect());
        }
        let by_name: std::collections::BTreeMap<&str, &Feature> =
            document.features.iter().map(|f| (f.name.as_str(), f)).collect();
        let index: HashMap<Box<str>, u32> =
            by_name.keys().enumerate().map(|(i, name)| (Box::from(*name), i as u32)).collect();
        let flags = by_name.values().map(|f| Flag::compile(f, &index, &segment_index)).collect();
        Self { flags, index, segments }
    }

    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Names of the flags, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().map(|f| &*f.name)
    }

    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }
}

impl Flag {
    fn compile(feature: &Feature, index: &HashMap<Box<str>, u32>, segments: &HashMap<i64, u32>) -> Self {
        let value_type = feature.value_type;
        let off = feature.off_value.as_ref().and_then(|v| value_type.conform(v)).unwrap_or_else(|| value_type.zero());
        let on = if value_type == ValueType::Bool { Value::Bool(true) } else { off.clone() };
        let parents = feature.dependencies.iter().map(|d| Parent {
            flag: index.get(d.feature.as_str()).copied(),
            enabled: d.enabled.unwrap_or(true),
            variants: d.variants.iter().map(|v| Box::from(v.as_str())).collect(),
        });
        let strategies = feature.strategies.iter().map(|s| CompiledStrategy::compile(s, feature, &on, segments));
        Self {
            name: feature.name.as_str().into(),
            kind: feature.kind.as_deref().unwrap_or("release").into(),
            enabled: feature.enabled,
            impression_data: feature.impression_data,
            parents: parents.collect(),
            strategies: strategies.collect(),
            variants: VariantSet::compile(
                &feature.variants,
                feature.variants.first().and_then(|v| v.stickiness.as_deref()),
                &feature.name,
                value_type,
                &on,
            ),
            value_type,
            on,
            off,
        }
    }
}

impl CompiledStrategy {
    fn compile(strategy: &Strategy, feature: &Feature, on: &Value, segments: &HashMap<i64, u32>) -> Self {
        let constraints: Option<Vec<_>> = strategy.constraints.iter().map(Constraint::compile).collect();
        let segments: Option<Vec<_>> = strategy.segments.iter().map(|id| segments.get(id).copied()).collect();
        let parameter = |name: &str| strategy.parameters.get(name).map(String::as_str);
        let readable = constraints.is_some() && segments.is_some();
        let group = parameter("groupId").unwrap_or(&feature.name);
        let stickiness = parameter("stickiness").or(strategy.variants.first().and_then(|v| v.stickiness.as_deref()));
        Self {
            rule: if readable { Rule::compile(strategy, &feature.name) } else { Rule::Never },
            constraints: constraints.unwrap_or_default(),
            segments: segments.unwrap_or_default(),
            variants: VariantSet::compile(&strategy.variants, stickiness, group, feature.value_type, on),
        }
    }
}

impl Rule {
    fn compile(strategy: &Strategy, flag: &str) -> Self {
        let parameter = |name: &str| strategy.parameters.get(name).map(String::as_str);
        let percent = |name: &str| parameter(name).and_then(|p| p.parse::<u8>().ok()).filter(|p| *p <= 100);
        let words = |name: &str| parameter(name).unwrap_or_default().split(',').map(str::trim);
        let legacy = |field: Field| match (percent("percentage"), parameter("groupId")) {
            (Some(percent), Some(group)) => {
                Self::Rollout { percent, sticky: Sticky::Field(field), group: Prefix::new(group, ROLLOUT_SEED) }
            }
            _ => Self::Never,
        };
        match strategy.name.as_str() {
            "default" => Self::Always,
            "flexibleRollout" => percent("rollout").map_or(Self::Never, |percent| Self::Rollout {
                percent,
                sticky: Sticky::parse(parameter("stickiness")),
                group: Prefix::new(parameter("groupId").unwrap_or(flag), ROLLOUT_SEED),
            }),
            "gradualRolloutUserId" => legacy(Field::UserId),
            "gradualRolloutSessionId" => legacy(Field::SessionId),
            "gradualRolloutRandom" => percent("percentage").map_or(Self::Never, |percent| Self::Chance { percent }),
            "userWithId" => Self::Users(Words::new(&words("userIds").collect::<Vec<_>>())),
            "remoteAddress" => Self::Addresses(words("IPs").filter_map(Network::parse).collect()),
            "applicationHostname" => {
                Self::Hosts(Words::new(&words("hostNames").map(str::to_lowercase).collect::<Vec<_>>()))
            }
            _ => Self::Never,
        }
    }
}

impl Sticky {
    fn parse(stickiness: Option<&str>) -> Self {
        match stickiness {
            None | Some("" | "default") => Self::Default,
            Some("random") => Self::Random,
            Some(field) => Self::Field(Field::parse(field)),
        }
    }
}

impl VariantSet {
    /// `None` when there are no variants.
    fn compile(
        variants: &[Variant],
        stickiness: Option<&str>,
        group: &str,
        value_type: ValueType,
        on: &Value,
    ) -> Option<Self> {
        if variants.is_empty() {
            return None;
        }
        let variants: Vec<_> = variants.iter().map(|v| CompiledVariant::compile(v, value_type, on)).collect();
        Some(Self {
            weights: variants.iter().fold(0, |sum, v| sum.saturating_add(v.weight)),
            sticky: Sticky::parse(stickiness),
            group: Prefix::new(group, VARIANT_SEED),
            has_overrides: variants.iter().any(|v| !v.overrides.is_empty()),
            variants,
        })
    }
}

impl CompiledVariant {
    /// A string variant without a value answers its own name; of the other types it answers what the flag answers
    /// without variants.
    fn compile(variant: &Variant, value_type: ValueType, on: &Value) -> Self {
        let typed = variant.value.as_ref().and_then(|v| value_type.conform(v));
        let parsed = || variant.payload.as_ref().and_then(|p| value_type.parse(&p.value));
        let value = typed.or_else(parsed).unwrap_or_else(|| match value_type {
            ValueType::String => Value::String(variant.name.clone()),
            _ => on.clone(),
        });
        let payload = variant.payload.clone().or_else(|| variant.value.as_ref().map(|_| value_type.payload(&value)));
        Self {
            name: variant.name.as_str().into(),
            weight: variant.weight,
            value,
            payload,
            overrides: variant
                .overrides
                .iter()
                .map(|o| (Field::parse(&o.context_name), Words::new(&o.values)))
                .collect(),
        }
    }
}
