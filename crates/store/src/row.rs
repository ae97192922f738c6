//! One row of a result, read by position. A wrong type is an error, never a default.

use serde::de::DeserializeOwned;
use tenfold_types::Timestamp;

use crate::{StoreError, Value};

/// One row of a result; columns count from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(Vec<Value>);

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values)
    }

    /// How many columns it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no columns.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The column as it is.
    pub fn value(&self, column: usize) -> Result<&Value, StoreError> {
        self.0.get(column).ok_or(StoreError::Column { column, wanted: "a value", found: "no such column" })
    }

    /// A BIGINT.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        match self.value(column)? {
            Value::Int(v) => Ok(*v),
            other => Err(mismatch(column, "a BIGINT", other)),
        }
    }

    /// A BIGINT or NULL.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        if self.is_null(column)? { Ok(None) } else { self.int(column).map(Some) }
    }

    /// A TEXT.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self.value(column)? {
            Value::Text(v) => Ok(v),
            other => Err(mismatch(column, "a TEXT", other)),
        }
    }

    /// A TEXT, owned.
    pub fn string(&self, column: usize) -> Result<String, StoreError> {
        self.text(column).map(str::to_owned)
    }

    /// A TEXT or NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        if self.is_null(column)? { Ok(None) } else { self.text(column).map(Some) }
    }

    /// A TEXT or NULL, owned.
    pub fn opt_string(&self, column: usize) -> Result<Option<String>, StoreError> {
        Ok(self.opt_text(column)?.map(str::to_owned))
    }

    /// A boolean, kept as 0 or 1.
    pub fn bool(&self, column: usize) -> Result<bool, StoreError> {
        match self.int(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(StoreError::Column { column, wanted: "0 or 1", found: "another number" }),
        }
    }

    /// An instant, kept in milliseconds.
    pub fn time(&self, column: usize) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp)
    }

    /// An instant or NULL.
    pub fn opt_time(&self, column: usize) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_int(column)?.map(Timestamp))
    }

    /// A document, kept as JSON in TEXT.
    pub fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        serde_json::from_str(self.text(column)?).map_err(|e| StoreError::Json { column, reason: e.to_string() })
    }

    fn is_null(&self, column: usize) -> Result<bool, StoreError> {
        Ok(*self.value(column)? == Value::Null)
    }
}

fn mismatch(column: usize, wanted: &'static str, found: &Value) -> StoreError {
    let found = match found {
        Value::Null => "NULL",
        Value::Int(_) => "a BIGINT",
        Value::Text(_) => "a TEXT",
    };
    StoreError::Column { column, wanted, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_type_is_an_error() {
        let row = Row::new(vec![Value::Int(2), Value::Text("{}".into()), Value::Null]);
        assert_eq!(row.int(0).unwrap(), 2);
        assert!(row.text(0).is_err());
        assert!(row.bool(0).is_err(), "2 is no boolean");
        assert!(row.int(1).is_err());
        assert!(row.json::<Vec<i64>>(1).is_err());
        assert_eq!(row.opt_text(2).unwrap(), None);
        assert!(row.int(2).is_err());
        assert!(row.opt_int(9).is_err(), "a missing column is not NULL");
    }
}
