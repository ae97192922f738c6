//! The client-features document, and the same as events of the delta protocol.

use serde_json::{Value, json};

use super::super::{Bundle, ENVIRONMENT_DEFAULT, Options, canonical, shown};
use crate::{ClientFeatures, DeltaEvent, Feature, Flag, FlagEnvironment, Segment};

/// The version of the document.
const VERSION: u32 = 2;

pub fn read(document: &Value, options: Options<'_>) -> Result<Bundle, String> {
    let environment = options.environment.unwrap_or(ENVIRONMENT_DEFAULT);
    let (features, segments) = whole(document)?;
    let mut bundle = Bundle::default();
    for value in &features {
        let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
        match serde_json::from_value::<Feature>(value.clone()) {
            Ok(feature) => {
                let flag = flag(&mut bundle, feature, environment);
                say_what_is_lost(&mut bundle, value, &flag, environment);
                bundle.flags.push(flag);
            }
            Err(error) => bundle.refused(format!("flag {}", shown(name)), format!("it cannot be read: {error}")),
        }
    }
    for value in &segments {
        match serde_json::from_value::<Segment>(value.clone()) {
            Ok(segment) => bundle.segments.push(segment),
            Err(error) => bundle.refused("segment", format!("it cannot be read: {error}")),
        }
    }
    Ok(bundle)
}

/// Features and segments after all events, where the document is a list of events.
fn whole(document: &Value) -> Result<(Vec<Value>, Vec<Value>), String> {
    let Some(events) = document.get("events") else {
        let list = |name: &str| document.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        return Ok((list("features"), list("segments")));
    };
    let events: Vec<DeltaEvent> =
        serde_json::from_value(events.clone()).map_err(|e| format!("the file's events cannot be read: {e}"))?;
    let mut out = ClientFeatures::default();
    for event in events {
        out.apply(event);
    }
    let values = |v: Result<Value, _>| v.ok().and_then(|v| v.as_array().cloned()).unwrap_or_default();
    Ok((values(serde_json::to_value(&out.features)), values(serde_json::to_value(&out.segments))))
}

pub(super) fn flag(bundle: &mut Bundle, feature: Feature, environment: &str) -> Flag {
    let mut flag = Flag::new(&feature.name);
    let about = format!("flag {}", shown(&feature.name));
    flag.kind = super::kind(feature.kind.as_deref()).unwrap_or_else(|| {
        let kind = feature.kind.as_deref().unwrap_or_default();
        bundle.changed(&about, format!("its type `{}` is not known here; it is a release flag now", shown(kind)));
        flag.kind
    });
    if let Some(project) = feature.project.filter(|name| !name.is_empty()) {
        flag.project = project;
        bundle.in_named_project.insert(flag.key.clone());
    }
    flag.description = feature.description.unwrap_or_default();
    flag.impression_data = feature.impression_data;
    flag.marked_stale = feature.stale;
    flag.dependencies = feature.dependencies;
    flag.value_type = feature.value_type;
    let state = FlagEnvironment {
        enabled: feature.enabled,
        off_value: feature.off_value,
        strategies: feature.strategies,
        variants: feature.variants,
        ..FlagEnvironment::default()
    };
    flag.environments.insert(environment.to_owned(), state);
    flag
}

/// The proof of the reading: writes the flag back and names what came out otherwise.
fn say_what_is_lost(bundle: &mut Bundle, given: &Value, flag: &Flag, environment: &str) {
    let Some(state) = flag.environments.get(environment) else { return };
    let back = serde_json::to_value(super::feature(flag, state)).unwrap_or_default();
    for path in canonical::differences(&canonical::feature(given), &canonical::feature(&back)) {
        if !matches!(path.as_str(), "/project" | "/type" | "/createdAt" | "/lastSeenAt") {
            bundle.changed(format!("flag {}", shown(&flag.key)), format!("`{}` is not kept", shown(&path)));
        }
    }
}

pub fn write(flags: &[&Flag], segments: &[&Segment], options: Options<'_>) -> Value {
    let environment = options.environment.unwrap_or(ENVIRONMENT_DEFAULT);
    let unset = FlagEnvironment::default();
    let state = |flag: &Flag| flag.environments.get(environment).unwrap_or(&unset).clone();
    let told = |flag: &&Flag| {
        let mut state = state(flag);
        if state.has_fraction() {
            // No client understands one: it gets whole percentages and a hidden parent.
            return flag.features(environment).map(|f| Feature { hidden: false, ..f }).collect();
        }
        // No client knows of disabled strategies.
        state.enabled = flag.feature(environment).enabled;
        state.strategies.retain(|s| !s.disabled);
        vec![super::feature(flag, &state)]
    };
    let features: Vec<Feature> = flags.iter().flat_map(told).collect();
    json!({"version": VERSION, "features": features, "segments": segments})
}
