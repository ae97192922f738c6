//! What differs between two states of a flag, line by line.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Lines of one difference.
pub const CHANGES_MAX: usize = 60;
const DEPTH_MAX: u8 = 16;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagDiffLine))]
pub struct Change {
    /// Members and positions, as in `strategies.0.parameters.rollout`.
    pub path: String,
    /// `null` where there was nothing.
    pub before: Value,
    /// `null` where there is nothing any more.
    pub after: Value,
}

/// The lines that differ, in the order of the members; at most [`CHANGES_MAX`].
pub fn diff(before: &Value, after: &Value) -> Vec<Change> {
    let mut out = Vec::new();
    walk("", before, after, DEPTH_MAX, &mut out);
    out
}

fn walk(path: &str, before: &Value, after: &Value, depth: u8, out: &mut Vec<Change>) {
    if before == after || out.len() >= CHANGES_MAX {
        return;
    }
    let nothing = Value::Null;
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (before, after) {
        (Value::Object(a), Value::Object(b)) if depth > 0 => {
            for name in a.keys().chain(b.keys().filter(|n| !a.contains_key(*n))) {
                let (a, b) = (a.get(name).unwrap_or(&nothing), b.get(name).unwrap_or(&nothing));
                walk(&below(name), a, b, depth - 1, out);
            }
        }
        // Lists of plain values read better whole.
        (Value::Array(a), Value::Array(b)) if depth > 0 && a.iter().chain(b).any(|v| v.is_object() || v.is_array()) => {
            for i in 0..a.len().max(b.len()) {
                let (a, b) = (a.get(i).unwrap_or(&nothing), b.get(i).unwrap_or(&nothing));
                walk(&below(&i.to_string()), a, b, depth - 1, out);
            }
        }
        _ => out.push(Change { path: path.to_owned(), before: before.clone(), after: after.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(before: &Value, after: &Value, wanted: &[(&str, Value, Value)]) {
        let got: Vec<_> = diff(before, after).into_iter().map(|c| (c.path, c.before, c.after)).collect();
        let wanted: Vec<_> = wanted.iter().map(|(p, b, a)| ((*p).to_owned(), b.clone(), a.clone())).collect();
        assert_eq!(got, wanted);
    }

    #[test]
    fn lines_name_what_changed() {
        check(&json!({"a": 1}), &json!({"a": 1}), &[]);
        check(
            &json!({"enabled": true, "strategies": [{"name": "x", "parameters": {"rollout": "5"}}]}),
            &json!({"enabled": false, "strategies": [{"name": "x", "parameters": {"rollout": "25"}}]}),
            &[("enabled", json!(true), json!(false)), ("strategies.0.parameters.rollout", json!("5"), json!("25"))],
        );
        check(
            &json!({"values": ["a", "b"]}),
            &json!({"values": ["b"], "new": {"x": 1}}),
            &[("values", json!(["a", "b"]), json!(["b"])), ("new", json!(null), json!({"x": 1}))],
        );
        check(&json!([{"a": 1}]), &json!([]), &[("0", json!({"a": 1}), json!(null))]);
    }

    #[test]
    fn a_difference_has_an_end() {
        let many = |n: i32| json!((0..500).map(|i| json!({"v": i * n})).collect::<Vec<_>>());
        assert_eq!(diff(&many(1), &many(2)).len(), CHANGES_MAX);
    }
}
