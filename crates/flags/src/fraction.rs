//! Shares of people finer than a percent, in a form that every Unleash SDK evaluates right.
//!
//! SDKs read whole percentages only, and differ on what else they do with `0.25`. So a share of `w` percent and `f`
//! hundredths goes out as two flags that are both on for exactly those people:
//!
//! - the flag itself, at `w + 1` percent, with one more parent;
//! - the hidden parent `KEY~share`, on for the first `w` percent of the same group, and for `f` percent of a group of its
//!   own, `GROUP~share`, whose buckets are independent of the first.
//!
//! Whoever has one of the first `w` buckets is in both; of those in bucket `w + 1` the second group lets `f` percent
//! through. So 0.25 % is 1 % of 25 %, and growing from 0.1 over 0.5 and 1 to 2.5 % keeps everybody in who was in: below a
//! bound only the second group grows, and at the bound the whole bucket is in.
//!
//! The other strategies of a flag are repeated in the parent, so that it never takes away what they gave. Two things are
//! refused by [`crate::validate`]: two fractions in one environment, since people of both would be mixed up, and a
//! fraction on a flag that is itself a parent, since SDKs follow one level only.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
#[cfg(feature = "openapi")]
use utoipa::{PartialSchema, ToSchema, openapi};

use crate::{
    features::{Dependency, Feature, Strategy},
    model::FLEXIBLE_ROLLOUT,
};

/// What the names of hidden parents and of their groups end in. No flag of a person's may end so.
pub const HIDDEN_SUFFIX: &str = "~share";

/// A share of people in hundredths of a percent, 0 to 10,000.
///
/// In JSON and in text it is a percentage with at most two decimals: `25`, `0.25`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Share(u16);

impl Share {
    pub const NOBODY: Self = Self(0);
    pub const EVERYBODY: Self = Self(10_000);

    /// More than 100 counts as 100.
    pub const fn percent(whole: u8) -> Self {
        let whole = if whole > 100 { 100 } else { whole };
        Self(whole as u16 * 100)
    }

    /// Hundredths of a percent; `None` over 10,000.
    pub const fn hundredths(count: u16) -> Option<Self> {
        if count <= Self::EVERYBODY.0 { Some(Self(count)) } else { None }
    }

    pub const fn as_hundredths(self) -> u16 {
        self.0
    }

    /// The percentage, when it is a whole one.
    pub const fn whole(self) -> Option<u8> {
        if self.has_fraction() { None } else { Some((self.0 / 100) as u8) }
    }

    pub const fn has_fraction(self) -> bool {
        !self.0.is_multiple_of(100)
    }

    /// As a number of percent, for showing and for arithmetic that need not be exact.
    pub fn as_percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// Reads `25`, `0.25` or `2.5`: no sign, at most two decimals, at most 100.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').map_or((text, None), |(w, d)| (w, Some(d)));
        let digits = |t: &str, max: usize| (1..=max).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 3) || decimals.is_some_and(|d| !digits(d, 2)) {
            return None;
        }
        let decimals = match decimals.unwrap_or("0") {
            tenths if tenths.len() == 1 => tenths.parse::<u16>().ok()? * 10,
            hundredths => hundredths.parse::<u16>().ok()?,
        };
        Self::hundredths(whole.parse::<u16>().ok()? * 100 + decimals)
    }

    /// A number of percent; `None` outside 0 to 100 and when it has more than two decimals.
    pub fn from_f64(percent: f64) -> Option<Self> {
        let hundredths = percent * 100.0;
        let exact = (hundredths - hundredths.round()).abs() < 1e-6;
        (exact && (0.0..=10_000.0).contains(&hundredths)).then(|| Self(hundredths.round() as u16))
    }
}

/// The percentage without a sign: `25`, `0.25`, `2.5`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, rest) if rest.is_multiple_of(10) => write!(f, "{whole}.{}", rest / 10),
            (whole, rest) => write!(f, "{whole}.{rest:02}"),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.whole() {
            Some(whole) => s.serialize_u8(whole),
            None => s.serialize_f64(self.as_percent()),
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ShareReader)
    }
}

struct ShareReader;

impl de::Visitor<'_> for ShareReader {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a percentage from 0 to 100 with at most two decimals")
    }
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Share, E> {
        let whole = u8::try_from(v).ok().filter(|p| *p <= 100);
        whole.map(Share::percent).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(v), &self))
    }
    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Share, E> {
        let whole = u8::try_from(v).ok().filter(|p| *p <= 100);
        whole.map(Share::percent).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(v), &self))
    }
    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Share, E> {
        Share::from_f64(v).ok_or_else(|| E::invalid_value(de::Unexpected::Float(v), &self))
    }
    fn visit_str<E: de::Error>(self, v: &str) -> Result<Share, E> {
        Share::parse(v).ok_or_else(|| E::invalid_value(de::Unexpected::Str(v), &self))
    }
}

#[cfg(feature = "openapi")]
impl PartialSchema for Share {
    fn schema() -> openapi::RefOr<openapi::Schema> {
        openapi::ObjectBuilder::new()
            .schema_type(openapi::Type::Number)
            .minimum(Some(0))
            .maximum(Some(100))
            .description(Some("A percentage with at most two decimals."))
            .into()
    }
}

#[cfg(feature = "openapi")]
impl ToSchema for Share {
    fn name() -> std::borrow::Cow<'static, str> {
        "Share".into()
    }
}

/// The name of the hidden parent of a flag.
pub fn hidden_parent(key: &str) -> String {
    format!("{key}{HIDDEN_SUFFIX}")
}

/// The share of a strategy that rolls out by percentage, when it can be read.
pub fn strategy_share(strategy: &Strategy) -> Option<Share> {
    let rollout = strategy.parameters.get("rollout").filter(|_| strategy.name == FLEXIBLE_ROLLOUT)?;
    Share::parse(rollout)
}

pub(crate) fn has_fraction(strategy: &Strategy) -> bool {
    !strategy.disabled && strategy_share(strategy).is_some_and(Share::has_fraction)
}

/// Brings a feature into whole percentages; gives its hidden parent when it needs one. `groupId` must stand in the
/// parameters. Of several fractions the first one counts and the others are cut down to whole percentages.
pub(crate) fn split(feature: &mut Feature) -> Option<Feature> {
    let at = feature.strategies.iter().position(has_fraction)?;
    let share = strategy_share(&feature.strategies[at])?;
    let (whole, rest) = (share.0 / 100, share.0 % 100);
    for strategy in feature.strategies.iter_mut().skip(at + 1).filter(|s| has_fraction(s)) {
        let cut = strategy_share(strategy).unwrap_or_default().0 / 100;
        set(strategy, "rollout", cut.to_string());
    }
    let mut strategies = Vec::with_capacity(feature.strategies.len() + 1);
    for (i, strategy) in feature.strategies.iter().enumerate() {
        let strategy = Strategy { variants: Vec::new(), ..strategy.clone() };
        if i != at {
            strategies.push(strategy);
            continue;
        }
        if whole > 0 {
            let mut first = strategy.clone();
            set(&mut first, "rollout", whole.to_string());
            strategies.push(first);
        }
        let group = strategy.parameters.get("groupId").unwrap_or(&feature.name);
        let (group, mut second) = (hidden_parent(group), strategy.clone());
        set(&mut second, "rollout", rest.to_string());
        set(&mut second, "groupId", group);
        strategies.push(second);
    }
    set(&mut feature.strategies[at], "rollout", (whole + 1).to_string());
    let name = hidden_parent(&feature.name);
    feature.dependencies.push(Dependency { feature: name.clone(), enabled: Some(true), variants: Vec::new() });
    Some(Feature {
        name,
        kind: feature.kind.clone(),
        enabled: true,
        project: feature.project.clone(),
        strategies,
        hidden: true,
        ..Feature::default()
    })
}

fn set(strategy: &mut Strategy, name: &str, value: String) {
    strategy.parameters.insert(name.into(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_written() {
        for (text, hundredths, written) in [
            ("0", 0, "0"),
            ("100", 10_000, "100"),
            ("0.25", 25, "0.25"),
            ("0.05", 5, "0.05"),
            ("2.5", 250, "2.5"),
            ("2.50", 250, "2.5"),
            ("012", 1_200, "12"),
        ] {
            let share = Share::parse(text).unwrap();
            assert_eq!((share.as_hundredths(), share.to_string().as_str()), (hundredths, written), "{text}");
            let json = serde_json::to_string(&share).unwrap();
            assert_eq!(json, written);
            assert_eq!(serde_json::from_str::<Share>(&json).unwrap(), share);
            assert_eq!(serde_json::from_str::<Share>(&format!("\"{text}\"")).unwrap(), share);
        }
        for bad in ["", ".5", "5.", "-1", "+1", "100.01", "101", "0.125", "1e1", "NaN", " 1", "1 %", "٣"] {
            assert_eq!(Share::parse(bad), None, "{bad}");
        }
        for bad in ["-1", "100.5", "0.125", "300", "null", "true", "1e300"] {
            assert!(serde_json::from_str::<Share>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_share_survives_json() {
        for share in (0..=10_000).filter_map(Share::hundredths) {
            assert_eq!(serde_json::from_str::<Share>(&serde_json::to_string(&share).unwrap()).unwrap(), share);
            assert_eq!(Share::parse(&share.to_string()), Some(share));
        }
    }
}
