//! About whom a flag is asked: the Unleash context, built once per request and read by every constraint.

use std::sync::Arc;

use jiff::Timestamp as Instant;

/// The words of the Unleash context. Fixed fields are matched by name, everything else is a property.
///
/// An empty `userId` or `sessionId` is no identity and counts as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    user_id: Option<String>,
    session_id: Option<String>,
    remote_address: Option<String>,
    environment: Option<String>,
    app_name: Option<String>,
    current_time: Option<String>,
    /// Sorted by name.
    properties: Vec<(String, String)>,
}

/// Up to this many properties are scanned for a name, more are searched.
const SCAN_PROPERTIES_MAX: usize = 12;

impl Context {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field by the name constraints use: `userId`, `sessionId`, `remoteAddress`, `environment`, `appName`,
    /// `currentTime` (RFC 3339; while it is not set it is the moment of the evaluation) or any property.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match Field::fixed(name) {
            Some(Field::UserId) => self.user_id = Some(value).filter(|v| !v.is_empty()),
            Some(Field::SessionId) => self.session_id = Some(value).filter(|v| !v.is_empty()),
            Some(Field::RemoteAddress) => self.remote_address = Some(value),
            Some(Field::Environment) => self.environment = Some(value),
            Some(Field::AppName) => self.app_name = Some(value),
            Some(Field::CurrentTime) => self.current_time = Some(value),
            Some(Field::Property(_)) | None => match self.find(name) {
                Ok(i) => self.properties[i].1 = value,
                Err(i) => self.properties.insert(i, (name.into(), value)),
            },
        }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    pub(crate) fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    pub fn has(&self, name: &str) -> bool {
        self.text(&Field::parse(name)).is_some()
    }

    #[inline]
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        if self.properties.len() <= SCAN_PROPERTIES_MAX {
            return self.properties.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        }
        self.find(name).ok().map(|i| self.properties[i].1.as_str())
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.properties.binary_search_by(|(n, _)| n.as_str().cmp(name))
    }

    #[inline]
    pub(crate) fn text(&self, field: &Field) -> Option<&str> {
        match field {
            Field::UserId => self.user_id.as_deref(),
            Field::SessionId => self.session_id.as_deref(),
            Field::RemoteAddress => self.remote_address.as_deref(),
            Field::Environment => self.environment.as_deref(),
            Field::AppName => self.app_name.as_deref(),
            Field::CurrentTime => self.current_time.as_deref(),
            Field::Property(name) => self.property(name),
        }
    }
}

/// An instant as a constraint or a context writes it.
pub(crate) fn parse_date(text: &str) -> Option<Instant> {
    text.parse().ok()
}

/// A context field, resolved from its name when the flag is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    UserId,
    SessionId,
    RemoteAddress,
    Environment,
    AppName,
    CurrentTime,
    Property(Arc<str>),
}

impl Field {
    pub(crate) fn parse(name: &str) -> Self {
        Self::fixed(name).unwrap_or_else(|| Self::Property(name.into()))
    }

    fn fixed(name: &str) -> Option<Self> {
        Some(match name {
            "userId" => Self::UserId,
            "sessionId" => Self::SessionId,
            "remoteAddress" => Self::RemoteAddress,
            "environment" => Self::Environment,
            "appName" => Self::AppName,
            "currentTime" => Self::CurrentTime,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_properties() {
        let c = Context::new().with("userId", "7").with("plan", "pro").with("plan", "free").with("sessionId", "");
        assert_eq!(c.user_id(), Some("7"));
        assert_eq!(c.text(&Field::parse("plan")), Some("free"));
        assert!(!c.has("sessionId"));
        assert!(!c.has("region"));
    }

    #[test]
    fn many_properties_are_found_too() {
        let mut c = Context::new();
        for i in 0..50 {
            c.set(&format!("p{i}"), i.to_string());
            assert!((0..=i).all(|j| c.property(&format!("p{j}")) == Some(j.to_string().as_str())));
        }
        assert_eq!(c.property("p50"), None);
    }
}
