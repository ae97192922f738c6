//! One environment as Unleash's own export of features has it, so that its import takes the file.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{ENVIRONMENT_DEFAULT, Options};
use crate::{Feature, Flag, FlagEnvironment, Kind, Segment};

/// Lists as Unleash writes them. Of segments it tells the name only; the server that imports has to have them.
pub fn write(flags: &[&Flag], segments: &[&Segment], options: Options<'_>) -> Value {
    let environment = options.environment.unwrap_or(ENVIRONMENT_DEFAULT);
    let unset = FlagEnvironment::default();
    let (mut features, mut strategies, mut states, mut tags, mut parents) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut tag_types, mut fields, mut used) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for flag in flags {
        let state = flag.environments.get(environment).unwrap_or(&unset);
        // No SDK understands a fraction: it goes out as whole percentages and a hidden parent.
        let told: Vec<Feature> =
            if state.has_fraction() { flag.features(environment).collect() } else { vec![super::feature(flag, state)] };
        for feature in told {
            let key = &feature.name;
            features.push(json!({
                "name": key,
                "type": type_of(flag.kind),
                "description": flag.description,
                "project": feature.project,
                "stale": flag.marked_stale,
                "impressionData": flag.impression_data,
                "archived": false,
            }));
            for (i, strategy) in feature.strategies.iter().enumerate() {
                let mut value = serde_json::to_value(strategy).unwrap_or_default();
                if let Some(map) = value.as_object_mut() {
                    map.insert("featureName".into(), json!(key));
                    map.insert("sortOrder".into(), json!(i));
                    map.insert("id".into(), json!(format!("{key}.{environment}.{i}")));
                }
                strategies.push(value);
                fields.extend(strategy.constraints.iter().map(|c| c.context_name.clone()));
                fields.extend(
                    strategy.parameters.get("stickiness").filter(|s| *s != "default" && *s != "random").cloned(),
                );
                used.extend(strategy.segments.iter().copied());
            }
            fields.extend(feature.variants.iter().flat_map(|v| v.overrides.iter().map(|o| o.context_name.clone())));
            states.push(json!({
                "featureName": key,
                "name": key,
                "environment": environment,
                "enabled": feature.enabled,
                "variants": feature.variants,
            }));
            if !feature.dependencies.is_empty() {
                parents.push(json!({"feature": key, "dependencies": feature.dependencies}));
            }
        }
        for tag in &flag.tags {
            let (kind, value) = tag.split_once(':').unwrap_or(("simple", tag));
            tag_types.insert(kind.to_owned());
            tags.push(json!({"featureName": flag.key, "tagType": kind, "tagValue": value}));
        }
    }
    let segments = segments.iter().filter(|s| used.contains(&s.id));
    json!({
        "features": features,
        "featureStrategies": strategies,
        "featureEnvironments": states,
        "contextFields": fields.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "featureTags": tags,
        "segments": segments.map(|s| json!({"id": s.id, "name": s.name})).collect::<Vec<_>>(),
        "tagTypes": tag_types.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "dependencies": parents,
    })
}

/// Unleash knows no shadows; its import refuses a type that it does not know.
fn type_of(kind: Kind) -> &'static str {
    if kind == Kind::Shadow { Kind::Experiment.unleash_name() } else { kind.unleash_name() }
}
