//! What goes into a statement: the three kinds of value that both databases hold in the same way.

use tenfold_types::{Id, IdKind, Timestamp};

/// A parameter or a column. Columns are only TEXT and BIGINT: booleans are 0 and 1, instants are
/// milliseconds, documents are JSON in TEXT.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A BIGINT.
    Int(i64),
    /// A TEXT without NUL characters (PostgreSQL cannot hold them, so neither backend takes them).
    Text(String),
}

macro_rules! into_value {
    ($($from:ty => $convert:expr;)*) => {$(
        impl From<$from> for Value {
            fn from(from: $from) -> Self {
                let convert: fn($from) -> Value = $convert;
                convert(from)
            }
        }
    )*};
}

into_value! {
    i64 => Value::Int;
    i32 => |v| Value::Int(v.into());
    u32 => |v| Value::Int(v.into());
    bool => |v| Value::Int(v.into());
    Timestamp => |v| Value::Int(v.millis());
    String => Value::Text;
    &str => |v| Value::Text(v.to_owned());
    &String => |v| Value::Text(v.clone());
}

impl<K: IdKind> From<Id<K>> for Value {
    fn from(id: Id<K>) -> Self {
        Self::Text(id.to_string())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        Self::from(&value)
    }
}

/// The parameters of a statement: `params![name, now, Some(3)]` is an array of [`Value`]s.
#[macro_export]
macro_rules! params {
    () => { &[] as &[$crate::Value] };
    ($($value:expr),+ $(,)?) => { &[$($crate::Value::from($value)),+] };
}
