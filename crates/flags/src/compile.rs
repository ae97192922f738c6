//! From a definition to a flag that evaluates without looking anything up by text.
//!
//! What is large is shared, so that a copy of a flag costs a few counters: a part of a snapshot that changes is copied.
//!
//! Compiling never fails: a strategy that cannot be read matches nobody, the rest of the flag stands.

use std::sync::Arc;

use serde_json::Value;
use smallvec::SmallVec;

use crate::{
    constraint::Constraint,
    facts::{Form, Key},
    features::{Feature, Strategy, Variant},
    murmur::{Prefix, ROLLOUT_SEED, VARIANT_SEED},
    network::Network,
    snapshot::Snapshot,
    table::{HEAD_BYTES, Head, head, starts_with_head},
    value::{Payload, ValueType},
    words::Words,
};

/// What every evaluation looks at comes first and fills one cache line.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(crate) struct Flag {
    /// The first bytes of the name, so that it is told from others without going where it stands.
    head: Head,
    pub(crate) name: Arc<str>,
    pub(crate) parents: Arc<[Parent]>,
    pub(crate) enabled: bool,
    pub(crate) presence: Presence,
    /// The first one stands in here, and in it its first constraint: most flags are one piece of memory.
    pub(crate) strategies: SmallVec<[CompiledStrategy; 1]>,
    pub(crate) variants: Option<Arc<VariantSet>>,
    pub(crate) detail: Arc<Detail>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// A name that children ask for and no flag has.
    Absent,
    /// Asked by its children only.
    Hidden,
    Public,
}

/// What is told of a flag and decides nothing.
#[derive(Debug)]
pub(crate) struct Detail {
    pub(crate) kind: Box<str>,
    pub(crate) impression_data: bool,
    pub(crate) value_type: ValueType,
    pub(crate) on: Value,
    pub(crate) off: Value,
}

#[derive(Debug)]
pub(crate) struct Parent {
    /// The slot of its name.
    pub(crate) flag: u32,
    pub(crate) enabled: bool,
    pub(crate) variants: Box<[Box<str>]>,
}

#[derive(Debug, Clone)]
pub(crate) struct CompiledStrategy {
    pub(crate) rule: Rule,
    pub(crate) constraints: SmallVec<[Constraint; 1]>,
    /// The slots of their ids.
    pub(crate) segments: Arc<[u32]>,
    pub(crate) variants: Option<Arc<VariantSet>>,
}

#[derive(Debug, Clone)]
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
    Users(Arc<Words>),
    Addresses(Arc<(Key, Box<[Network]>)>),
    /// Lower-case names, compared with the property `hostname`.
    Hosts(Arc<(Key, Words)>),
}

/// What ties a person to a bucket.
#[derive(Debug, Clone)]
pub(crate) enum Sticky {
    /// The user, else the session, else chance.
    Default,
    Random,
    Field(Key),
}

#[derive(Debug)]
pub(crate) struct VariantSet {
    pub(crate) variants: Box<[CompiledVariant]>,
    /// Up to where each variant reaches; where one without a weight would, the one before does.
    pub(crate) bounds: Box<[u32]>,
    /// The last bound.
    pub(crate) weights: u32,
    pub(crate) sticky: Sticky,
    pub(crate) group: Prefix,
    pub(crate) has_overrides: bool,
}

#[derive(Debug)]
pub(crate) struct CompiledVariant {
    /// Position among all variants of the flag: those of its strategies in order, then its own.
    pub(crate) number: u32,
    pub(crate) name: Box<str>,
    pub(crate) value: Value,
    pub(crate) payload: Option<Payload>,
    pub(crate) overrides: Box<[(Key, Words)]>,
}

impl Flag {
    pub(crate) fn absent(name: &str) -> Self {
        Self {
            head: head(name),
            name: name.into(),
            presence: Presence::Absent,
            enabled: false,
            parents: Arc::default(),
            strategies: SmallVec::new(),
            variants: None,
            detail: Arc::new(Detail {
                kind: Box::default(),
                impression_data: false,
                value_type: ValueType::Bool,
                on: Value::Null,
                off: Value::Null,
            }),
        }
    }

    #[inline]
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name.len() == name.len()
            && starts_with_head(name, self.head)
            && (name.len() <= HEAD_BYTES || self.name.as_bytes() == name.as_bytes())
    }

    /// As [`Self::is_called`] where the head of the name is at hand.
    #[inline]
    pub(crate) fn is_called_as(&self, head: Head, name: &str) -> bool {
        self.head == head
            && self.name.len() == name.len()
            && (name.len() <= HEAD_BYTES || self.name.as_bytes() == name.as_bytes())
    }

    /// Names, segments and fields that the snapshot has not met get their slots.
    pub(crate) fn compile(feature: &Feature, snapshot: &mut Snapshot) -> Self {
        let value_type = feature.value_type;
        let off = feature.off_value.as_ref().and_then(|v| value_type.conform(v)).unwrap_or_else(|| value_type.zero());
        let on = if value_type == ValueType::Bool { Value::Bool(true) } else { off.clone() };
        let parents = feature.dependencies.iter().map(|d| Parent {
            flag: snapshot.slot_for(&d.feature),
            enabled: d.enabled.unwrap_or(true),
            variants: d.variants.iter().map(|v| Box::from(v.as_str())).collect(),
        });
        let parents = parents.collect();
        let strategies = feature.strategies.iter().map(|s| CompiledStrategy::compile(s, feature, &on, snapshot));
        let mut strategies: SmallVec<[CompiledStrategy; 1]> = strategies.collect();
        let stickiness = feature.variants.first().and_then(|v| v.stickiness.as_deref());
        let mut variants = VariantSet::compile(&feature.variants, stickiness, &feature.name, value_type, &on, snapshot);
        if let Some(set) = variants.as_mut().and_then(Arc::get_mut) {
            set.add_overrides(&feature.variants, snapshot);
        }
        // Nobody else has them yet.
        let own = strategies.iter_mut().filter_map(|s| s.variants.as_mut().and_then(Arc::get_mut));
        let sets = own.chain(variants.as_mut().and_then(Arc::get_mut));
        for (number, variant) in sets.flat_map(|set| &mut set.variants).enumerate() {
            variant.number = number as u32;
        }
        Self {
            head: head(&feature.name),
            name: feature.name.as_str().into(),
            presence: if feature.hidden { Presence::Hidden } else { Presence::Public },
            enabled: feature.enabled,
            parents,
            strategies,
            variants,
            detail: Arc::new(Detail {
                kind: feature.kind.as_deref().unwrap_or("release").into(),
                impression_data: feature.impression_data,
                value_type,
                on,
                off,
            }),
        }
    }
}

impl CompiledStrategy {
    fn compile(strategy: &Strategy, feature: &Feature, on: &Value, snapshot: &mut Snapshot) -> Self {
        let slots = snapshot.slots();
        let constraints: Option<SmallVec<_>> =
            strategy.constraints.iter().map(|c| Constraint::compile(c, slots)).collect();
        let parameter = |name: &str| strategy.parameters.get(name).map(String::as_str);
        let group = parameter("groupId").unwrap_or(&feature.name);
        let stickiness = parameter("stickiness").or(strategy.variants.first().and_then(|v| v.stickiness.as_deref()));
        let readable = constraints.is_some();
        Self {
            rule: if readable { Rule::compile(strategy, &feature.name, snapshot) } else { Rule::Never },
            constraints: constraints.unwrap_or_default(),
            segments: strategy.segments.iter().map(|id| snapshot.segment_slot_for(*id)).collect(),
            // Without weights the flag's own variants count.
            variants: VariantSet::compile(&strategy.variants, stickiness, group, feature.value_type, on, snapshot)
                .filter(|set| set.weights > 0),
        }
    }
}

impl Rule {
    fn compile(strategy: &Strategy, flag: &str, snapshot: &mut Snapshot) -> Self {
        let parameter = |name: &str| strategy.parameters.get(name).map(String::as_str);
        let percent = |name: &str| parameter(name).and_then(|p| p.parse::<u8>().ok()).filter(|p| *p <= 100);
        let words = |name: &str| parameter(name).unwrap_or_default().split(',').map(str::trim);
        let mut legacy = |field: &str| match (percent("percentage"), parameter("groupId")) {
            (Some(percent), Some(group)) => Self::Rollout {
                percent,
                sticky: Sticky::parse(Some(field), snapshot),
                group: Prefix::new(group, ROLLOUT_SEED),
            },
            _ => Self::Never,
        };
        match strategy.name.as_str() {
            "default" => Self::Always,
            "flexibleRollout" => percent("rollout").map_or(Self::Never, |percent| Self::Rollout {
                percent,
                sticky: Sticky::parse(parameter("stickiness"), snapshot),
                group: Prefix::new(parameter("groupId").unwrap_or(flag), ROLLOUT_SEED),
            }),
            "gradualRolloutUserId" => legacy("userId"),
            "gradualRolloutSessionId" => legacy("sessionId"),
            "gradualRolloutRandom" => percent("percentage").map_or(Self::Never, |percent| Self::Chance { percent }),
            "userWithId" => Self::Users(Arc::new(Words::new(words("userIds")))),
            "remoteAddress" => {
                let key = snapshot.slots().key("remoteAddress", Form::Address);
                Self::Addresses(Arc::new((key, words("IPs").filter_map(Network::parse).collect())))
            }
            "applicationHostname" => {
                let key = snapshot.slots().key("hostname", Form::Lower);
                Self::Hosts(Arc::new((key, Words::new(words("hostNames").map(str::to_lowercase)))))
            }
            _ => Self::Never,
        }
    }
}

impl Sticky {
    fn parse(stickiness: Option<&str>, snapshot: &mut Snapshot) -> Self {
        match stickiness {
            None | Some("" | "default") => Self::Default,
            Some("random") => Self::Random,
            Some(field) => Self::Field(snapshot.slots().key(field, Form::Text)),
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
        snapshot: &mut Snapshot,
    ) -> Option<Arc<Self>> {
        if variants.is_empty() {
            return None;
        }
        let mut weights = 0u32;
        let bounds = variants.iter().map(|v| {
            weights = weights.saturating_add(v.weight);
            weights
        });
        let bounds = bounds.collect();
        let variants = variants.iter().map(|v| CompiledVariant::compile(v, value_type, on)).collect();
        Some(Arc::new(Self {
            bounds,
            weights,
            sticky: Sticky::parse(stickiness, snapshot),
            group: Prefix::new(group, VARIANT_SEED),
            has_overrides: false,
            variants,
        }))
    }

    /// Of a flag's own variants; on those of a strategy SDKs do not read them.
    fn add_overrides(&mut self, definitions: &[Variant], snapshot: &mut Snapshot) {
        for (variant, definition) in self.variants.iter_mut().zip(definitions) {
            let overrides = definition.overrides.iter();
            let compiled =
                overrides.map(|o| (snapshot.slots().key(&o.context_name, Form::Text), Words::new(&o.values)));
            variant.overrides = compiled.collect();
            self.has_overrides |= !variant.overrides.is_empty();
        }
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
        Self { number: 0, name: variant.name.as_str().into(), value, payload, overrides: Box::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What evaluation touches of most flags is a few cache lines; a field more here is noticed.
    #[test]
    fn a_flag_is_small() {
        let sizes = (size_of::<Flag>(), size_of::<CompiledStrategy>(), size_of::<Constraint>(), size_of::<Rule>());
        println!("flag {}, strategy {}, constraint {}, rule {}", sizes.0, sizes.1, sizes.2, sizes.3);
        assert!(sizes.0 <= 320 && sizes.2 <= 80, "{sizes:?}");
    }
}
