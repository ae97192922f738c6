//! Typed ids: UUIDv7 with the kind in the type, so that a page's id cannot be given where an event's is wanted.

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::time::{Entropy, Timestamp};

/// Names a kind of id; only for the type system and for error messages.
pub trait IdKind: Send + Sync + 'static {
    const NAME: &'static str;
}

/// A UUIDv7 of kind `K`: the first 48 bits are the instant, the rest is random.
pub struct Id<K: IdKind>(Uuid, PhantomData<fn() -> K>);

impl<K: IdKind> Id<K> {
    pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
        let mut random = [0u8; 10];
        entropy.fill(&mut random);
        let ms = u64::try_from(now.millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid(), PhantomData)
    }
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::parse_str(text).ok().map(|u| Self(u, PhantomData))
    }
}

impl<K: IdKind> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: IdKind> Copy for Id<K> {}
impl<K: IdKind> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K: IdKind> Eq for Id<K> {}
impl<K: IdKind> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K: IdKind> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K: IdKind> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K: IdKind> std::fmt::Display for Id<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
impl<K: IdKind> std::fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", K::NAME, self.0)
    }
}
impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not the id of a {}", K::NAME)))
    }
}

macro_rules! kinds {
    ($($kind:ident, $alias:ident, $name:literal;)*) => {$(
        #[derive(Debug)]
        pub enum $kind {}
        impl IdKind for $kind { const NAME: &'static str = $name; }
        pub type $alias = Id<$kind>;
    )*};
}

kinds! {
    EventKind, EventId, "event";
    PageKind, PageId, "page";
    SessionKind, SessionId, "session";
    TokenKind, TokenId, "token";
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Zero;
    impl Entropy for Zero {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    #[test]
    fn ids_sort_by_time_and_round_trip() {
        let a = EventId::new(Timestamp(1_000), &Zero);
        let b = EventId::new(Timestamp(2_000), &Zero);
        assert!(a < b);
        assert_eq!(EventId::parse(&a.to_string()), Some(a));
        assert!(serde_json::from_str::<PageId>("\"x\"").unwrap_err().to_string().contains("page"));
    }
}
