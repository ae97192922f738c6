//! Comparisons. Whole numbers and floats are compared as numbers, where Go refuses: `gt $value 5` means what it says.

use super::{TemplateError, value::Value};

fn incompatible<T>(a: &Value, b: &Value) -> Result<T, TemplateError> {
    Err(TemplateError(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(n) => Some(*n as f64),
        Value::Float(n) => Some(*n),
        _ => None,
    }
}

pub fn equal(a: &Value, b: &Value) -> Result<bool, TemplateError> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (Value::Nil, other) | (other, Value::Nil) => Ok(*other == Value::Nil),
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => Ok(a == b),
            _ => incompatible(a, b),
        },
    }
}

pub fn less(a: &Value, b: &Value) -> Result<bool, TemplateError> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(a < b),
        (Value::Text(a), Value::Text(b)) => Ok(a < b),
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => Ok(a < b),
            _ => incompatible(a, b),
        },
    }
}
