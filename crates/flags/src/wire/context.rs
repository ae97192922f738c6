//! The context of an evaluation out of JSON, as OpenFeature and Unleash clients send it.

use serde_json::{Map, Value};
use tenfold_types::Fault;

use crate::Context;

/// Fields of a context, nested ones counted singly.
pub const CONTEXT_FIELDS_MAX: usize = 200;
const DEPTH_MAX: usize = 4;

/// `targetingKey` is the `userId` unless one is given. Numbers and booleans are compared as text, `properties` is spread
/// out, other objects become `outer.inner`; `null` and lists are passed over.
pub fn context_from_json(fields: &Map<String, Value>) -> Result<Context, Fault> {
    let mut context = Context::new();
    let mut left = CONTEXT_FIELDS_MAX;
    if let Some(key) = fields.get("targetingKey").and_then(Value::as_str) {
        context.set("userId", key);
        context.set("targetingKey", key);
    }
    spread(&mut context, "", fields, &mut left, DEPTH_MAX)?;
    Ok(context)
}

/// The same with `environment` filled in where the client left it out.
pub fn context_in(environment: &str, fields: &Map<String, Value>) -> Result<Context, Fault> {
    let mut context = context_from_json(fields)?;
    if !context.has("environment") {
        context.set("environment", environment);
    }
    Ok(context)
}

fn spread(
    context: &mut Context,
    prefix: &str,
    fields: &Map<String, Value>,
    left: &mut usize,
    depth: usize,
) -> Result<(), Fault> {
    for (name, value) in fields {
        *left = left.checked_sub(1).ok_or_else(|| {
            Fault::invalid(format!("the context has more than {CONTEXT_FIELDS_MAX} fields"))
                .advice("send only what the flags look at")
        })?;
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::String(text) => context.set(&path, text.as_str()),
            Value::Number(number) => context.set(&path, number.to_string()),
            Value::Bool(flag) => context.set(&path, flag.to_string()),
            Value::Object(inner) if depth > 0 => {
                let prefix = if path == "properties" { "" } else { &path };
                spread(context, prefix, inner, left, depth - 1)?;
            }
            Value::Object(_) | Value::Array(_) | Value::Null => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Context {
        context_from_json(value.as_object().unwrap()).unwrap()
    }

    #[test]
    fn the_targeting_key_is_the_user() {
        assert_eq!(read(&json!({"targetingKey": "7"})).user_id(), Some("7"));
        assert_eq!(read(&json!({"userId": "8", "targetingKey": "7"})).user_id(), Some("8"));
        assert_eq!(read(&json!({"targetingKey": "7", "userId": "8"})).user_id(), Some("8"));
    }

    #[test]
    fn values_become_text() {
        let given = json!({"age": 7, "beta": true, "properties": {"plan": "pro"}, "geo": {"country": "NO"}, "x": null, "l": [1]});
        let wanted = Context::new().with("age", "7").with("beta", "true").with("plan", "pro").with("geo.country", "NO");
        assert_eq!(read(&given), wanted);
    }

    #[test]
    fn too_many_fields_are_refused() {
        let many: Map<String, Value> = (0..=CONTEXT_FIELDS_MAX).map(|i| (i.to_string(), json!(1))).collect();
        assert!(context_from_json(&many).unwrap_err().message.contains("200"));
    }
}
