//! Files of Unleash. The hash and the buckets are the same here, so nobody moves.

pub(super) mod admin;
mod admin_write;
pub(super) mod client;

use crate::{Feature, Flag, FlagEnvironment, Kind, Strategy, Variant};

/// The kind that Unleash calls so.
fn kind(name: Option<&str>) -> Option<Kind> {
    let kinds = [Kind::Release, Kind::Experiment, Kind::Operational, Kind::KillSwitch, Kind::Permission, Kind::Shadow];
    name.map_or(Some(Kind::Release), |name| kinds.into_iter().find(|k| k.unleash_name() == name))
}

/// A flag as the protocol has it, without anything completed: what was left out stays left out.
fn feature(flag: &Flag, state: &FlagEnvironment) -> Feature {
    let variants = |list: &[Variant]| list.iter().map(|v| variant(flag, v)).collect();
    let strategies = state.strategies.iter().map(|s| Strategy { variants: variants(&s.variants), ..s.clone() });
    Feature {
        name: flag.key.clone(),
        kind: Some(flag.kind.unleash_name().into()),
        description: Some(flag.description.clone()).filter(|d| !d.is_empty()),
        enabled: state.enabled,
        strategies: strategies.collect(),
        variants: variants(&state.variants),
        ..flag.feature("")
    }
}

fn variant(flag: &Flag, v: &Variant) -> Variant {
    let payload = v.payload.clone().or_else(|| v.value.as_ref().map(|value| flag.value_type.payload(value)));
    Variant { payload, value: None, ..v.clone() }
}
