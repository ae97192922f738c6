//! About whom a flag is asked: the Unleash context, built once per request and read by every constraint.

use std::{fmt, sync::Arc};

use jiff::Timestamp as Instant;

use crate::table::{same, tag};

/// The words of the Unleash context. Fixed fields are matched by name, everything else is a property.
///
/// An empty `userId` or `sessionId` is no identity and counts as absent.
#[derive(Clone, Default)]
pub struct Context {
    /// Every name and value; what was set again leaves its first value behind.
    text: String,
    fixed: [Option<Span>; FIXED.len()],
    /// By tag of the name.
    properties: Vec<Property>,
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy)]
struct Property {
    tag: u32,
    name: Span,
    value: Span,
}

/// More text than this is not taken in.
const TEXT_BYTES_MAX: usize = 1 << 30;

impl Context {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field by the name constraints use: `userId`, `sessionId`, `remoteAddress`, `environment`, `appName`,
    /// `currentTime` (RFC 3339; while it is not set it is the moment of the evaluation) or any property. Over a gigabyte in
    /// all, fields are passed over.
    pub fn set(&mut self, name: &str, value: impl AsRef<str>) {
        let value = value.as_ref();
        if self.text.len() + name.len() + value.len() > TEXT_BYTES_MAX {
            return;
        }
        if let Some(field) = Field::fixed(name) {
            let no_id = value.is_empty() && field.is_id();
            self.fixed[field.place()] = (!no_id).then(|| self.add(value));
            return;
        }
        let tag = tag(name);
        match self.find(tag, name) {
            Ok(i) => self.properties[i].value = self.add(value),
            Err(i) => {
                let (name, value) = (self.add(name), self.add(value));
                self.properties.insert(i, Property { tag, name, value });
            }
        }
    }

    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.set(name, value);
        self
    }

    #[inline]
    pub fn user_id(&self) -> Option<&str> {
        self.fixed(&Field::UserId)
    }

    #[inline]
    pub(crate) fn session_id(&self) -> Option<&str> {
        self.fixed(&Field::SessionId)
    }

    pub fn has(&self, name: &str) -> bool {
        self.text(&Field::parse(name)).is_some()
    }

    #[inline]
    pub(crate) fn text(&self, field: &Field) -> Option<&str> {
        match field {
            Field::Property { tag, name } => {
                let i = self.find(*tag, name).ok()?;
                Some(self.read(self.properties[i].value))
            }
            fixed => self.fixed(fixed),
        }
    }

    #[inline]
    fn fixed(&self, field: &Field) -> Option<&str> {
        self.fixed[field.place()].map(|span| self.read(span))
    }

    /// Where the property is, or where it belongs.
    #[inline]
    fn find(&self, tag: u32, name: &str) -> Result<usize, usize> {
        let mut i = self.properties.partition_point(|p| p.tag < tag);
        while let Some(property) = self.properties.get(i).filter(|p| p.tag == tag) {
            if same(self.read(property.name).as_bytes(), name.as_bytes()) {
                return Ok(i);
            }
            i += 1;
        }
        Err(i)
    }

    fn add(&mut self, text: &str) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Span { start, end: self.text.len() as u32 }
    }

    #[inline]
    fn read(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Names and values, each field once.
    fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let fixed = FIXED.iter().zip(&self.fixed).filter_map(|(name, span)| span.map(|s| (*name, self.read(s))));
        fixed.chain(self.properties.iter().map(|p| (self.read(p.name), self.read(p.value))))
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        let sorted = |context: &Self| {
            let mut fields: Vec<_> = context.fields().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            fields.sort_unstable();
            fields
        };
        sorted(self) == sorted(other)
    }
}

impl Eq for Context {}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.fields()).finish()
    }
}

/// An instant as a constraint or a context writes it.
pub(crate) fn parse_date(text: &str) -> Option<Instant> {
    text.parse().ok()
}

/// In the order of the fields that stand for them.
const FIXED: [&str; 6] = ["userId", "sessionId", "remoteAddress", "environment", "appName", "currentTime"];

/// A context field, resolved from its name when the flag is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    UserId,
    SessionId,
    RemoteAddress,
    Environment,
    AppName,
    CurrentTime,
    Property { tag: u32, name: Arc<str> },
}

impl Field {
    pub(crate) fn parse(name: &str) -> Self {
        Self::fixed(name).unwrap_or_else(|| Self::Property { tag: tag(name), name: name.into() })
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

    pub(crate) fn is_called(&self, name: &str) -> bool {
        match self {
            Self::Property { name: own, .. } => **own == *name,
            fixed => FIXED[fixed.place()] == name,
        }
    }

    /// Of a fixed field; a property is kept elsewhere.
    #[inline]
    fn place(&self) -> usize {
        match self {
            Self::UserId => 0,
            Self::SessionId => 1,
            Self::RemoteAddress => 2,
            Self::Environment => 3,
            Self::AppName => 4,
            Self::CurrentTime | Self::Property { .. } => 5,
        }
    }

    fn is_id(&self) -> bool {
        matches!(self, Self::UserId | Self::SessionId)
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
        for (place, name) in FIXED.iter().enumerate() {
            assert_eq!(Field::parse(name).place(), place);
            assert_eq!(Context::new().with(name, "x").text(&Field::parse(name)), Some("x"));
        }
    }

    #[test]
    fn many_properties_are_found_too() {
        let mut c = Context::new();
        let field = |i: usize| Field::parse(&format!("p{i}"));
        for i in 0..50 {
            c.set(&format!("p{i}"), i.to_string());
            assert!((0..=i).all(|j| c.text(&field(j)) == Some(j.to_string().as_str())));
        }
        assert_eq!(c.text(&field(50)), None);
    }

    #[test]
    fn contexts_are_equal_by_their_fields() {
        let a = Context::new().with("a", "1").with("b", "2").with("userId", "x").with("userId", "");
        let b = Context::new().with("b", "0").with("b", "2").with("a", "1");
        assert_eq!(a, b);
        assert_ne!(a, b.clone().with("c", ""));
        assert_eq!(format!("{:?}", Context::new().with("userId", "7")), "{\"userId\": \"7\"}");
    }
}
