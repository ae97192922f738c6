//! How proto3's JSON spells what JSON has no word for: numbers of 64 bits as texts, NaN and infinities as texts, enums by
//! number or name, ids in hexadecimal.

use base64::Engine;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Spelt<T> {
    Number(T),
    /// A whole number with a point, as `5.0`.
    Pointed(f64),
    Text(String),
}

impl<T: std::str::FromStr> Spelt<T> {
    fn value<E: Error>(self) -> Result<T, E> {
        let text = match self {
            Self::Number(n) => return Ok(n),
            Self::Pointed(n) => n.to_string(),
            Self::Text(text) => text,
        };
        text.parse().map_err(|_| E::custom(format!("`{text}` is not a number")))
    }
}

fn spelt<'de, D: Deserializer<'de>, T: Deserialize<'de> + std::str::FromStr>(d: D) -> Result<T, D::Error> {
    Spelt::<T>::deserialize(d)?.value()
}

fn maybe<'de, D: Deserializer<'de>, T: Deserialize<'de> + std::str::FromStr>(d: D) -> Result<Option<T>, D::Error> {
    Option::<Spelt<T>>::deserialize(d)?.map(Spelt::value).transpose()
}

pub(super) fn unsigned<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    spelt(d)
}

pub(super) fn signed<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
    spelt(d)
}

/// Rust reads `NaN`, `Infinity` and `-Infinity` as JSON spells them.
pub(super) fn double<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    spelt(d)
}

pub(super) fn maybe_double<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    maybe(d)
}

pub(super) fn maybe_signed<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    maybe(d)
}

/// JavaScript, and OpenTelemetry's SDK for it, writes NaN as `null`.
pub(super) fn double_or_nan<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
    Ok(Some(maybe(d)?.unwrap_or(f64::NAN)))
}

pub(super) fn double_list<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<f64>, D::Error> {
    #[derive(Deserialize)]
    struct One(#[serde(deserialize_with = "double")] f64);
    Ok(Vec::<One>::deserialize(d)?.into_iter().map(|one| one.0).collect())
}

pub(super) fn unsigned_list<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u64>, D::Error> {
    #[derive(Deserialize)]
    struct One(#[serde(deserialize_with = "unsigned")] u64);
    Ok(Vec::<One>::deserialize(d)?.into_iter().map(|one| one.0).collect())
}

pub(super) fn temporality<'de, D: Deserializer<'de>>(d: D) -> Result<i32, D::Error> {
    Ok(match Spelt::<i32>::deserialize(d)? {
        Spelt::Number(n) => n,
        Spelt::Pointed(_) => 0,
        Spelt::Text(text) => match text.as_str() {
            "AGGREGATION_TEMPORALITY_DELTA" => super::messages::DELTA,
            "AGGREGATION_TEMPORALITY_CUMULATIVE" => super::messages::CUMULATIVE,
            _ => 0,
        },
    })
}

pub(super) fn hexadecimal<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(d)?).map_err(|e| D::Error::custom(format!("an id is not hexadecimal: {e}")))
}

pub(super) fn base64<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(d)?;
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|e| D::Error::custom(format!("not base64: {e}")))
}

pub(super) fn to_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
