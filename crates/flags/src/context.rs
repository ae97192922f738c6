//! About whom a flag is asked: the Unleash context, built once per request and read by every constraint.

use tenfold_types::Timestamp;

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
    current_time: Option<Timestamp>,
    /// Sorted by name.
    properties: Vec<(String, String)>,
}

impl Context {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field by the name constraints use: `userId`, `sessionId`, `remoteAddress`, `environment`, `appName`,
    /// `currentTime` (RFC 3339; anything else is ignored) or any property.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match Field::parse(name) {
            Field::UserId => self.user_id = Some(value).filter(|v| !v.is_empty()),
            Field::SessionId => self.session_id = Some(value).filter(|v| !v.is_empty()),
            Field::RemoteAddress => self.remote_address = Some(value),
            Field::Environment => self.environment = Some(value),
            Field::AppName => self.app_name = Some(value),
            Field::CurrentTime => self.current_time = parse_date(&value),
            Field::Property(name) => match self.find(&name) {
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

    pub fn has(&self, name: &str) -> bool {
        match Field::parse(name) {
            Field::CurrentTime => self.current_time.is_some(),
            field => self.text(&field).is_some(),
        }
    }

    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.find(name).ok().map(|i| self.properties[i].1.as_str())
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.properties.binary_search_by(|(n, _)| n.as_str().cmp(name))
    }

    pub(crate) fn text(&self, field: &Field) -> Option<&str> {
        match field {
            Field::UserId => self.user_id.as_deref(),
            Field::SessionId => self.session_id.as_deref(),
            Field::RemoteAddress => self.remote_address.as_deref(),
            Field::Environment => self.environment.as_deref(),
            Field::AppName => self.app_name.as_deref(),
            Field::CurrentTime => None,
            Field::Property(name) => self.property(name),
        }
    }

    /// A field as an instant; `currentTime` that the caller left out is `now`.
    pub(crate) fn date(&self, field: &Field, now: Timestamp) -> Option<Timestamp> {
        match field {
            Field::CurrentTime => Some(self.current_time.unwrap_or(now)),
            field => self.text(field).and_then(parse_date),
        }
    }
}

pub(crate) fn parse_date(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(text)
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
    Property(Box<str>),
}

impl Field {
    pub(crate) fn parse(name: &str) -> Self {
        match name {
            "userId" => Self::UserId,
            "sessionId" => Self::SessionId,
            "remoteAddress" => Self::RemoteAddress,
            "environment" => Self::Environment,
            "appName" => Self::AppName,
            "currentTime" => Self::CurrentTime,
            other => Self::Property(other.into()),
        }
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
    fn current_time_defaults_to_now() {
        let now = Timestamp(5);
        assert_eq!(Context::new().date(&Field::CurrentTime, now), Some(now));
        let given = Context::new().with("currentTime", "1970-01-01T00:00:01Z");
        assert_eq!(given.date(&Field::CurrentTime, now), Some(Timestamp(1_000)));
    }
}
