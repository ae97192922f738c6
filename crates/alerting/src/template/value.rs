//! What templates compute with: Go's values as far as the data of rules and notifications use them.

use std::{collections::BTreeMap, sync::Arc};

use tenfold_types::{Labels, Timestamp};

use super::{format, humanize, time};

/// How deep values that a template puts into each other may stand.
pub const NESTED_MAX: usize = 32;
/// And how many bytes they may be, printed.
pub const NESTED_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value; printed as Go prints it.
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Time(Timestamp),
    /// The clock of a zone.
    Zoned(jiff::Zoned),
    /// Milliseconds from one instant to another.
    Duration(i64),
    List(Arc<Vec<Value>>),
    /// Texts by key; a key that is not there reads as the empty text.
    Map(Arc<BTreeMap<String, Value>>),
    /// Fixed fields; asking for another one is an error.
    Object(Arc<Object>),
}

#[derive(Debug, PartialEq)]
pub struct Object {
    /// The name of the type, for messages.
    pub name: &'static str,
    pub fields: Vec<(&'static str, Value)>,
}

impl Object {
    pub fn value(name: &'static str, fields: Vec<(&'static str, Value)>) -> Value {
        Value::Object(Arc::new(Self { name, fields }))
    }
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.iter().find(|(n, _)| *n == field).map(|(_, v)| v)
    }
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
    pub fn list(values: Vec<Self>) -> Self {
        Self::List(Arc::new(values))
    }
    pub fn map<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        Self::Map(Arc::new(pairs.map(|(n, v)| (n.to_owned(), Self::text(v))).collect()))
    }
    pub fn labels(labels: &Labels) -> Self {
        Self::map(labels.iter())
    }

    /// Go's truth: not the zero value of its type.
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(n) => *n != 0.0,
            Self::Text(t) => !t.is_empty(),
            Self::List(l) => !l.is_empty(),
            Self::Map(m) => !m.is_empty(),
            Self::Duration(ms) => *ms != 0,
            Self::Time(_) | Self::Zoned(_) | Self::Object(_) => true,
        }
    }

    /// Whether what stands in this value is no deeper than so, and takes no more than the bytes that are left.
    pub fn fits(&self, depth: usize, left: &mut usize) -> bool {
        let own = 1 + if let Self::Text(text) = self { text.len() } else { 0 };
        let Some(rest) = left.checked_sub(own).filter(|_| depth > 0) else { return false };
        *left = rest;
        match self {
            Self::List(list) => list.iter().all(|v| v.fits(depth - 1, left)),
            Self::Map(map) => map.values().all(|v| v.fits(depth - 1, left)),
            Self::Object(object) => object.fields.iter().all(|(_, v)| v.fits(depth - 1, left)),
            _ => true,
        }
    }

    /// As Go's `%v` prints it.
    pub fn print(&self) -> String {
        match self {
            Self::Nil => "<no value>".to_owned(),
            Self::Bool(b) => b.to_string(),
            Self::Int(n) => n.to_string(),
            Self::Float(n) => format::shortest(*n),
            Self::Text(t) => t.clone(),
            Self::Time(at) => format::time(*at),
            Self::Zoned(clock) => time::printed(clock),
            Self::Duration(ms) => humanize::go_duration(*ms as f64 / 1_000.0),
            Self::List(l) => format!("[{}]", l.iter().map(Self::print).collect::<Vec<_>>().join(" ")),
            Self::Map(m) => {
                let inner: Vec<_> = m.iter().map(|(n, v)| format!("{n}:{}", v.print())).collect();
                format!("map[{}]", inner.join(" "))
            }
            Self::Object(o) => {
                let inner: Vec<_> = o.fields.iter().map(|(_, v)| v.print()).collect();
                format!("{{{}}}", inner.join(" "))
            }
        }
    }

    /// Go's name of the type, for messages and for what `printf` says of a wrong verb.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Time(_) | Self::Zoned(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::List(_) => "list",
            Self::Map(_) => "map[string]string",
            Self::Object(o) => o.name,
        }
    }
}
