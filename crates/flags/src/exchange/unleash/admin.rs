//! Unleash's export of features (version 4 and later), and the state export of older servers in its four versions. Both
//! tell flags, their strategies and their states per environment in lists of their own.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use tenfold_types::Timestamp;

use super::super::{Bundle, ENVIRONMENT_DEFAULT, Options, canonical, shown};
use crate::{Dependency, Feature, Flag, FlagEnvironment, Segment, Strategy, Variant};

pub(in super::super) use super::admin_write::write;

/// What the oldest servers called the one environment they had.
const GLOBAL: &str = ":global:";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    version: Option<u32>,
    features: Vec<Value>,
    feature_strategies: Vec<Value>,
    feature_environments: Vec<EnvironmentState>,
    segments: Vec<NamedSegment>,
    feature_strategy_segments: Vec<StrategySegment>,
    feature_tags: Vec<Tag>,
    dependencies: Vec<Parents>,
    context_fields: Vec<Value>,
    strategies: Vec<Value>,
    links: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnvironmentState {
    feature_name: String,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    variants: Option<Vec<Variant>>,
}

/// The newer export tells no constraints.
#[derive(Debug, Deserialize)]
struct NamedSegment {
    id: i64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    constraints: Option<Vec<crate::Constraint>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StrategySegment {
    feature_strategy_id: String,
    segment_id: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tag {
    feature_name: String,
    #[serde(rename = "tagType", alias = "type")]
    kind: String,
    #[serde(rename = "tagValue", alias = "value")]
    value: String,
}

#[derive(Debug, Deserialize)]
struct Parents {
    feature: String,
    #[serde(default)]
    dependencies: Vec<Dependency>,
}

/// Where a strategy belongs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    feature_name: String,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    sort_order: Option<f64>,
}

pub fn read(document: &Value, options: Options<'_>) -> Result<Bundle, String> {
    // The envelope in which the import of Unleash takes an export.
    let document = document.get("data").filter(|d| d.get("features").is_some()).unwrap_or(document);
    let doc: Document =
        serde_json::from_value(document.clone()).map_err(|e| format!("the file is no export of Unleash: {e}"))?;
    let mut bundle = Bundle::default();
    let inline =
        doc.version.is_some_and(|v| v <= 2) || (doc.feature_strategies.is_empty() && has_inline(&doc.features));
    let places = places(&doc, options)?;
    let mut unreadable = BTreeSet::new();
    let mut strategies = if inline { BTreeMap::new() } else { strategies(&mut bundle, &mut unreadable, &doc, &places) };
    for value in &doc.features {
        let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
        if value.get("archived") == Some(&Value::Bool(true)) {
            bundle.refused(format!("flag {}", shown(name)), "it is archived");
            continue;
        }
        // Without that strategy it might be on for everybody.
        if unreadable.contains(name) {
            continue;
        }
        let mut feature = match feature(value) {
            Ok(feature) => feature,
            Err(error) => {
                bundle.refused(format!("flag {}", shown(name)), format!("it cannot be read: {error}"));
                continue;
            }
        };
        let parents = doc.dependencies.iter().filter(|d| d.feature == feature.name);
        feature.dependencies.extend(parents.flat_map(|d| d.dependencies.clone()));
        let target = options.environment.unwrap_or(ENVIRONMENT_DEFAULT);
        let variants = feature.variants.clone();
        let mut flag = super::client::flag(&mut bundle, feature, target);
        if !inline {
            flag.environments.clear();
            for state in doc.feature_environments.iter().filter(|s| s.feature_name == flag.key) {
                let Some(place) = places.of(state.environment.as_deref()) else { continue };
                let state = FlagEnvironment {
                    enabled: state.enabled,
                    strategies: strategies.remove(&(flag.key.clone(), place.to_owned())).unwrap_or_default(),
                    variants: state.variants.clone().unwrap_or_else(|| variants.clone()),
                    ..FlagEnvironment::default()
                };
                flag.environments.insert(place.to_owned(), state);
            }
        }
        finish(&mut flag, value, &doc);
        bundle.flags.push(flag);
    }
    segments(&mut bundle, &doc);
    say_what_has_no_place(&mut bundle, &doc, &strategies);
    Ok(bundle)
}

fn has_inline(features: &[Value]) -> bool {
    features.iter().any(|f| f.get("strategies").is_some_and(Value::is_array))
}

/// A feature; what the admin side leaves out of it (`enabled`) is off.
fn feature(value: &Value) -> Result<Feature, serde_json::Error> {
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut() {
        map.entry("enabled").or_insert(Value::Bool(false));
        // Known here only through its environments; the parents stand in a list of their own.
        map.remove("dependencies");
    }
    serde_json::from_value(value)
}

fn finish(flag: &mut Flag, value: &Value, doc: &Document) {
    let created = value.get("createdAt").and_then(Value::as_str);
    flag.created_at = created.and_then(Timestamp::parse_rfc3339).unwrap_or_default();
    let tags = doc.feature_tags.iter().filter(|t| t.feature_name == flag.key);
    flag.tags = tags.map(|t| format!("{}:{}", t.kind, t.value)).collect();
}

/// Which environment of the file goes where.
struct Places<'a> {
    /// Everything goes here.
    all: Option<&'a str>,
    /// Only this one is taken.
    only: Option<&'a str>,
}

impl Places<'_> {
    fn of<'b>(&'b self, environment: Option<&'b str>) -> Option<&'b str> {
        match (self.all, self.only, environment) {
            (Some(all), _, _) => Some(all),
            (None, Some(only), Some(name)) => (only == name).then_some(only),
            (None, _, Some(name)) if name != GLOBAL => Some(name),
            (None, _, _) => Some(ENVIRONMENT_DEFAULT),
        }
    }
}

fn places<'a>(doc: &Document, options: Options<'a>) -> Result<Places<'a>, String> {
    let names: BTreeSet<&str> = doc.feature_environments.iter().filter_map(|s| s.environment.as_deref()).collect();
    match options.environment {
        None => Ok(Places { all: None, only: None }),
        Some(environment) if names.len() <= 1 => Ok(Places { all: Some(environment), only: None }),
        Some(environment) if names.contains(environment) => Ok(Places { all: None, only: Some(environment) }),
        Some(environment) => Err(format!(
            "the file tells of {} environments ({}), none of them `{}`",
            names.len(),
            names.iter().take(10).map(|n| shown(n)).collect::<Vec<_>>().join(", "),
            shown(environment)
        )),
    }
}

type ByPlace = BTreeMap<(String, String), Vec<Strategy>>;

/// The strategies of the newer lists, in their order, by flag and environment.
fn strategies(bundle: &mut Bundle, unreadable: &mut BTreeSet<String>, doc: &Document, places: &Places<'_>) -> ByPlace {
    let mut placed: BTreeMap<(String, String), Vec<(f64, Strategy)>> = BTreeMap::new();
    for value in &doc.feature_strategies {
        let about = |v: &Value| format!("flag {}", shown(v["featureName"].as_str().unwrap_or_default()));
        let (place, mut strategy) = match strategy(value) {
            Ok(read) => read,
            Err(error) => {
                bundle.refused(about(value), format!("a strategy cannot be read: {error}"));
                unreadable.extend(value["featureName"].as_str().map(str::to_owned));
                continue;
            }
        };
        let links = doc.feature_strategy_segments.iter().filter(|s| Some(&s.feature_strategy_id) == place.id.as_ref());
        strategy.segments.extend(links.map(|s| s.segment_id));
        say_what_is_lost(bundle, &about(value), value, &strategy);
        // An export of one environment does not repeat its name here.
        let own = place.environment.clone().or_else(|| {
            let states = doc.feature_environments.iter();
            states.filter(|s| s.feature_name == place.feature_name).find_map(|s| s.environment.clone())
        });
        if let Some(name) = places.of(own.as_deref()) {
            let key = (place.feature_name.clone(), name.to_owned());
            placed.entry(key).or_default().push((place.sort_order.unwrap_or(0.0), strategy));
        }
    }
    placed
        .into_iter()
        .map(|(place, mut list)| {
            list.sort_by(|a, b| a.0.total_cmp(&b.0));
            (place, list.into_iter().map(|(_, s)| s).collect())
        })
        .collect()
}

fn strategy(value: &Value) -> Result<(Place, Strategy), serde_json::Error> {
    let place: Place = serde_json::from_value(value.clone())?;
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut()
        && let Some(name) = map.remove("strategyName")
    {
        map.insert("name".into(), name);
    }
    Ok((place, serde_json::from_value(value)?))
}

/// What of a strategy is only its place in the lists, which we write anew.
const PLACE: [&str; 10] = [
    "featureName",
    "environment",
    "id",
    "sortOrder",
    "projectId",
    "projectName",
    "createdAt",
    "strategyName",
    "name",
    "milestoneId",
];

fn say_what_is_lost(bundle: &mut Bundle, about: &str, given: &Value, strategy: &Strategy) {
    let back = serde_json::to_value(strategy).unwrap_or_default();
    for path in canonical::differences(&canonical::strategy(given), &canonical::strategy(&back)) {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        // Segments may come from a list of their own.
        if !PLACE.contains(&first) && first != "segments" {
            bundle
                .changed(about, format!("`{}` of the strategy `{}` is not kept", shown(&path), shown(&strategy.name)));
        }
    }
}

fn segments(bundle: &mut Bundle, doc: &Document) {
    for segment in &doc.segments {
        match &segment.constraints {
            Some(constraints) => bundle.segments.push(Segment {
                id: segment.id,
                name: segment.name.clone(),
                constraints: constraints.clone(),
            }),
            None => drop(bundle.named_segments.insert(segment.id, segment.name.clone())),
        }
    }
}

fn say_what_has_no_place(bundle: &mut Bundle, doc: &Document, left: &ByPlace) {
    for (flag, place) in left.keys() {
        bundle.refused(
            format!("flag {}", shown(flag)),
            format!("the file has strategies for it in `{}`, but neither the flag nor its state there", shown(place)),
        );
    }
    let legal = |f: &&Value| f.get("legalValues").and_then(Value::as_array).is_some_and(|l| !l.is_empty());
    let fields = doc.context_fields.iter().filter(legal).filter_map(|f| f["name"].as_str());
    for name in fields.take(10) {
        let text =
            format!("any context field may be used here, so the list of legal values of `{}` is not kept", shown(name));
        bundle.changed("file", text);
    }
    let custom: Vec<&str> = doc
        .strategies
        .iter()
        .filter(|s| s.get("editable") == Some(&Value::Bool(true)))
        .filter_map(|s| s["name"].as_str())
        .collect();
    if !custom.is_empty() {
        let names = custom.iter().take(10).map(|n| shown(n)).collect::<Vec<_>>().join(", ");
        bundle.changed(
            "file",
            format!("the definitions of custom strategies ({names}) are not kept: the SDKs have them"),
        );
    }
    if !doc.links.is_empty() {
        bundle.changed("file", "links of flags are not kept");
    }
}
