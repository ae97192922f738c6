//! What an event says besides its sentence.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// JSON, as its value or as its text. In a storm nearly all of it is written and never looked into: what is made as a text is
/// read when somebody asks, and not before.
#[derive(Debug, Clone)]
pub struct EventData {
    /// Kept where the value was not changed since.
    text: Option<Box<str>>,
    value: OnceLock<Value>,
}

impl EventData {
    /// Writes it at once. It holds no number with a fraction and is nested no deeper than some levels, so that it reads back as
    /// it is.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn written(data: &impl Serialize) -> Result<Self, serde_json::Error> {
        let text = serde_json::to_string(data)?;
        debug_assert_eq!(serde_json::from_str::<Value>(&text)?.to_string(), text, "it reads back as it is");
        Ok(Self { text: Some(text.into()), value: OnceLock::new() })
    }

    /// What [`EventData::written`] wrote, as long as nobody has changed it.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

impl Default for EventData {
    fn default() -> Self {
        Value::Null.into()
    }
}

impl From<Value> for EventData {
    fn from(value: Value) -> Self {
        Self { text: None, value: value.into() }
    }
}

impl From<EventData> for Value {
    fn from(data: EventData) -> Self {
        let _: &Value = &data;
        data.value.into_inner().unwrap_or_default()
    }
}

impl Deref for EventData {
    type Target = Value;
    fn deref(&self) -> &Value {
        // What was written by serde_json is JSON.
        self.value.get_or_init(|| self.text().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
    }
}

impl DerefMut for EventData {
    fn deref_mut(&mut self) -> &mut Value {
        let _: &Value = &*self;
        self.text = None;
        self.value.get_mut().expect("it was read just now")
    }
}

impl PartialEq for EventData {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl PartialEq<Value> for EventData {
    fn eq(&self, other: &Value) -> bool {
        **self == *other
    }
}

impl fmt::Display for EventData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => f.write_str(text),
            None => (**self).fmt(f),
        }
    }
}

impl Serialize for EventData {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(s)
    }
}

impl<'de> Deserialize<'de> for EventData {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Value::deserialize(d).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_is_read_when_it_is_asked_for_and_forgotten_when_it_is_changed() {
        let value = json!({"b": [1, null, "x"], "a": {"c": true}});
        let mut data = EventData::written(&value).unwrap();
        assert_eq!(data.text(), Some(r#"{"b":[1,null,"x"],"a":{"c":true}}"#));
        assert_eq!((&data["b"][2], data.get("d")), (&json!("x"), None));
        assert_eq!(data, EventData::from(value));
        assert_eq!(serde_json::to_string(&data).unwrap(), data.text().unwrap());
        data["d"] = json!(2);
        assert_eq!((data.text(), data.to_string().as_str()), (None, r#"{"b":[1,null,"x"],"a":{"c":true},"d":2}"#));
        let again: EventData = serde_json::from_str(&data.to_string()).unwrap();
        assert_eq!((again, EventData::default()), (data, json!(null).into()));
    }
}
