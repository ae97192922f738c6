//! Rows by many keys, in one statement.

use crate::{Row, StoreError, Tx, Value};

/// Keys in one statement; more are asked for in several.
const KEYS_MAX: usize = 1_024;

/// The rows of all keys, in no order. `sql` makes the statement around the list of its placeholders. A list is filled up with its
/// last key to a power of two, so that few texts are prepared.
pub(crate) fn rows(tx: &mut dyn Tx, keys: &[Value], sql: impl Fn(&str) -> String) -> Result<Vec<Row>, StoreError> {
    let mut out = Vec::new();
    for some in keys.chunks(KEYS_MAX) {
        let mut values = some.to_vec();
        while !values.len().is_power_of_two() {
            values.extend(some.last().cloned());
        }
        let places: Vec<String> = (1..=values.len()).map(|n| format!("${n}")).collect();
        out.extend(tx.query(&sql(&places.join(", ")), &values)?);
    }
    Ok(out)
}

pub(crate) fn texts(keys: &[&str]) -> Vec<Value> {
    keys.iter().map(|key| Value::Text((*key).to_owned())).collect()
}

pub(crate) fn numbers(keys: &[i64]) -> Vec<Value> {
    keys.iter().map(|key| Value::Int(*key)).collect()
}
