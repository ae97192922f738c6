//! What the readers of other on-call products' exports share: lists as REST APIs answer them, pages and all.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};

/// Objects of all lists together.
pub const OBJECTS_MAX: usize = 20_000;
/// How deep pages may be nested in lists of pages.
const DEPTH_MAX: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ExportError {
    /// The list and the number in it: `users[3]`.
    pub path: String,
    pub message: String,
}

pub(crate) fn wrong(path: impl Into<String>, message: impl Into<String>) -> ExportError {
    ExportError { path: path.into(), message: message.into() }
}

/// The lists of one export, each under the name its API gives it.
pub(crate) struct Lists<'e> {
    of: &'e Map<String, Value>,
    left: usize,
}

impl<'e> Lists<'e> {
    /// # Errors
    /// When it is not a JSON object, or holds none of the lists that are known.
    pub(crate) fn new(export: &'e Value, known: &[&str]) -> Result<Self, ExportError> {
        let of = export.as_object().ok_or_else(|| wrong("export", "is a JSON object with a list under each name"))?;
        if known.iter().any(|name| of.contains_key(*name)) {
            return Ok(Self { of, left: OBJECTS_MAX });
        }
        Err(wrong("export", format!("holds none of these lists: {}", known.join(", "))))
    }

    /// The objects of a list, in order; none when it is not there. It may be a list, a page with `results` or `data`, or
    /// a list of such pages.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Vec<T>, ExportError> {
        let Some(value) = self.of.get(name) else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        collect(value, 0, self.left, &mut rows).map_err(|message| wrong(name, message))?;
        self.left -= rows.len();
        let read =
            |(i, row): (usize, &&Value)| T::deserialize(*row).map_err(|e| wrong(format!("{name}[{i}]"), e.to_string()));
        rows.iter().enumerate().map(read).collect()
    }
}

fn collect<'v>(value: &'v Value, depth: usize, max: usize, out: &mut Vec<&'v Value>) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("is nested more than {DEPTH_MAX} deep"));
    }
    match value {
        Value::Null => {}
        Value::Array(many) => {
            for one in many {
                collect(one, depth + 1, max, out)?;
            }
        }
        Value::Object(fields) => match fields.get("results").or_else(|| fields.get("data")) {
            Some(page @ (Value::Array(_) | Value::Object(_))) => collect(page, depth + 1, max, out)?,
            _ if out.len() >= max => return Err(format!("the export has more than {OBJECTS_MAX} objects")),
            _ => out.push(value),
        },
        _ => return Err("is a list of objects, or a page of one".to_owned()),
    }
    Ok(())
}

/// `null` is what is not there.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Row {
        id: String,
    }

    fn ids(value: Value) -> Result<Vec<String>, String> {
        let export = json!({"rows": value});
        let mut lists = Lists::new(&export, &["rows"]).map_err(|e| e.to_string())?;
        let rows: Vec<Row> = lists.take("rows").map_err(|e| e.to_string())?;
        Ok(rows.into_iter().map(|r| r.id).collect())
    }

    #[test]
    fn a_list_a_page_and_a_list_of_pages() {
        let two = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(ids(json!([{"id": "a"}, {"id": "b"}])), Ok(two.clone()));
        assert_eq!(ids(json!({"count": 2, "results": [{"id": "a"}, {"id": "b"}]})), Ok(two.clone()));
        assert_eq!(ids(json!([{"data": [{"id": "a"}]}, {"data": {"id": "b"}}])), Ok(two));
        assert_eq!(ids(json!(null)), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(ids(json!([{"id": "a"}, {}])).unwrap_err(), "rows[1]: missing field `id`");
        assert_eq!(ids(json!(["a"])).unwrap_err(), "rows: is a list of objects, or a page of one");
        assert_eq!(ids(json!([[[[[[]]]]]])).unwrap_err(), "rows: is nested more than 4 deep");
        let many: Vec<Value> = (0..=OBJECTS_MAX).map(|_| json!({"id": "a"})).collect();
        assert_eq!(ids(json!(many)).unwrap_err(), "rows: the export has more than 20000 objects");
        let none = Lists::new(&json!({"other": []}), &["rows", "users"]).err().map(|e| e.to_string());
        assert_eq!(none.as_deref(), Some("export: holds none of these lists: rows, users"));
    }
}
