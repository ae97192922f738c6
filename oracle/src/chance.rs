//! Where chance decides there is nothing to compare.

use serde_json::{Map, Value};

type Fields = Map<String, Value>;

fn list<'v>(of: &'v Value, key: &str) -> &'v [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

fn has(context: &Fields, field: &str) -> bool {
    context.get(field).and_then(Value::as_str).is_some_and(|v| !v.is_empty())
}

/// True when the context names nobody whom this stickiness could stick to.
fn is_loose(stickiness: Option<&str>, context: &Fields) -> bool {
    match stickiness {
        None | Some("" | "default") => !has(context, "userId") && !has(context, "sessionId"),
        Some("random") => true,
        Some(field) => !has(context, field),
    }
}

fn variants_by_chance(variants: &[Value], stickiness: Option<&str>, context: &Fields) -> bool {
    variants.iter().filter(|v| v["weight"] != 0).count() > 1 && is_loose(stickiness, context)
}

/// Whether a flag's variant may differ from one evaluation to the next.
pub fn variant(feature: &Value, context: &Fields) -> bool {
    let own = list(feature, "variants");
    variants_by_chance(own, own.first().and_then(|v| v["stickiness"].as_str()), context)
        || list(feature, "strategies").iter().any(|s| {
            let variants = list(s, "variants");
            let told = s["parameters"]["stickiness"].as_str();
            let first = variants.first().and_then(|v| v["stickiness"].as_str());
            variants_by_chance(variants, told.or(first), context)
        })
}

/// Whether a flag may be on in one evaluation and off in the next; through its parents as well.
pub fn enabled(feature: &Value, document: &Value, context: &Fields) -> bool {
    let rolls = |feature: &Value| {
        list(feature, "strategies").iter().any(|s| {
            let percent = s["parameters"]["rollout"].as_str().and_then(|p| p.parse::<u8>().ok());
            s["name"] == "flexibleRollout"
                && percent.is_some_and(|p| (1..100).contains(&p))
                && matches!(s["parameters"]["stickiness"].as_str(), None | Some("" | "default" | "random"))
                && is_loose(s["parameters"]["stickiness"].as_str(), context)
        })
    };
    rolls(feature)
        || list(feature, "dependencies").iter().any(|d| {
            let mut parents = list(document, "features").iter().filter(|f| f["name"] == d["feature"]);
            parents.any(|p| rolls(p) || variant(p, context))
        })
}
