//! Flags and contexts put together out of the fuzzer's choices, so that every operator, strategy and list is reached: one
//! by one and in bulk the answers are the same, and a snapshot that was changed answers like one that was compiled.
#![no_main]
use libfuzzer_sys::{
    arbitrary::{Result, Unstructured},
    fuzz_target,
};
use tenfold_flags::{
    ClientFeatures, Constraint, Context, Dependency, Feature, Moment, OPERATORS, Override, Segment, Snapshot, Strategy,
    ValueType, Variant,
};
use tenfold_types::Timestamp;

const FIELDS: [&str; 8] = ["userId", "sessionId", "remoteAddress", "currentTime", "environment", "appName", "plan", "hostname"];
const STRATEGIES: [&str; 9] = [
    "flexibleRollout", "default", "userWithId", "gradualRolloutUserId", "gradualRolloutSessionId", "gradualRolloutRandom",
    "remoteAddress", "applicationHostname", "custom",
];
const PARAMETERS: [&str; 7] = ["rollout", "percentage", "groupId", "stickiness", "userIds", "IPs", "hostNames"];
const TEXTS: [&str; 12] = [
    "100", "50", "7", "default", "random", "userId", "1.2.3-rc.1", "2026-01-01T00:00:00Z", "10.0.0.0/8", "::1", "a,b", "",
];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const LIST_MAX: usize = 12;

fn text(u: &mut Unstructured) -> Result<String> {
    if u.ratio(2, 3)? { u.choose(&TEXTS).map(|t| (*t).to_owned()) } else { u.arbitrary() }
}

fn field(u: &mut Unstructured) -> Result<String> {
    if u.ratio(5, 6)? { u.choose(&FIELDS).map(|t| (*t).to_owned()) } else { u.arbitrary() }
}

fn list<T>(u: &mut Unstructured, max: usize, one: impl Fn(&mut Unstructured) -> Result<T>) -> Result<Vec<T>> {
    (0..u.int_in_range(0..=max)?).map(|_| one(u)).collect()
}

fn constraint(u: &mut Unstructured) -> Result<Constraint> {
    let operator = if u.ratio(15, 16)? { (*u.choose(&OPERATORS)?).to_owned() } else { u.arbitrary()? };
    Ok(Constraint {
        context_name: field(u)?,
        operator,
        values: list(u, LIST_MAX, text)?,
        value: if u.arbitrary()? { Some(text(u)?) } else { None },
        inverted: u.arbitrary()?,
        case_insensitive: u.arbitrary()?,
    })
}

fn variant(u: &mut Unstructured) -> Result<Variant> {
    let overrides =
        list(u, 2, |u| Ok(Override { context_name: field(u)?, values: list(u, LIST_MAX, text)? }))?;
    let value = if u.arbitrary()? { Some(text(u)?.into()) } else { None };
    let weight = if u.arbitrary()? { u.int_in_range(0..=1_000)? } else { u.arbitrary()? };
    let stickiness = Some(text(u)?);
    Ok(Variant { name: text(u)?, weight, value, stickiness, overrides, ..Variant::default() })
}

fn strategy(u: &mut Unstructured) -> Result<Strategy> {
    let parameters = list(u, PARAMETERS.len(), |u| Ok(((*u.choose(&PARAMETERS)?).to_owned(), text(u)?)))?;
    Ok(Strategy {
        name: (*u.choose(&STRATEGIES)?).to_owned(),
        parameters: parameters.into_iter().collect(),
        constraints: list(u, 3, constraint)?,
        segments: list(u, 2, |u| u.int_in_range(0..=3))?,
        variants: list(u, 3, variant)?,
        ..Strategy::default()
    })
}

fn feature(u: &mut Unstructured) -> Result<Feature> {
    let kinds = [ValueType::Bool, ValueType::String, ValueType::Int, ValueType::Float, ValueType::Object];
    Ok(Feature {
        name: (*u.choose(&NAMES)?).to_owned(),
        enabled: u.ratio(7, 8)?,
        hidden: u.ratio(1, 8)?,
        strategies: list(u, 3, strategy)?,
        variants: list(u, 3, variant)?,
        dependencies: list(u, 2, |u| {
            let feature = (*u.choose(&NAMES)?).to_owned();
            Ok(Dependency { feature, enabled: u.arbitrary()?, variants: list(u, 2, text)? })
        })?,
        value_type: *u.choose(&kinds)?,
        off_value: if u.arbitrary()? { Some(text(u)?.into()) } else { None },
        ..Feature::default()
    })
}

/// Answers that are not up to chance.
fn answers(snapshot: &Snapshot, context: &Context) -> Vec<(String, bool, String)> {
    let moments = [3, 0x8000_0000, u32::MAX].map(|random| Moment { now: Timestamp(1_767_225_600_000), random });
    let told = |moment| -> Vec<_> {
        snapshot.evaluate_all(context, moment).map(|e| (e.key().to_owned(), e.enabled, e.variant().to_owned())).collect()
    };
    let first = told(moments[0]);
    for (key, _, _) in &first {
        let _ = snapshot.evaluate(key, context, moments[1]);
    }
    first
}

fuzz_target!(|bytes: &[u8]| {
    let mut u = Unstructured::new(bytes);
    let Ok(segments) = list(&mut u, 3, |u| {
        Ok(Segment { id: u.int_in_range(0..=3)?, name: String::new(), constraints: list(u, 3, constraint)? })
    }) else {
        return;
    };
    let Ok(features) = list(&mut u, 8, feature) else { return };
    let mut context = Context::new();
    for (name, value) in list(&mut u, 16, |u| Ok((field(u)?, text(u)?))).unwrap_or_default() {
        context.set(&name, value);
    }
    // With an identity of every kind nothing is up to chance but what asks for it.
    context.set("userId", "7");

    let mut changed = Snapshot::default();
    for feature in &features {
        changed = changed.with_feature(feature);
    }
    for segment in &segments {
        changed = changed.with_segment(segment);
    }
    let compiled = Snapshot::compile(&ClientFeatures { version: 2, features: features.clone(), segments });
    let loose = features.iter().any(|f| {
        f.variants.iter().chain(f.strategies.iter().flat_map(|s| &s.variants)).next().is_some()
            || f.strategies.iter().any(|s| s.name.starts_with("gradualRolloutRandom") || s.parameters.contains_key("stickiness"))
    });
    let (a, b) = (answers(&changed, &context), answers(&compiled, &context));
    assert_eq!(a.len(), b.len());
    if !loose {
        assert_eq!(a, b);
    }
    for feature in &features {
        changed = changed.without_feature(&feature.name);
        let _ = answers(&changed, &context);
    }
    assert!(changed.is_empty());
});
