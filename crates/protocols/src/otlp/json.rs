//! How proto3's JSON spells what JSON has no word for: numbers of 64 bits as texts, NaN and infinities as texts, enums by
//! number or name, ids in hexadecimal.

use base64::Engine;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Spelt<T> {
    Number(T),
    Text(String),
}

fn spelt<'de, D: Deserializer<'de>, T: Deserialize<'de> + std::str::FromStr>(d: D) -> Result<T, D::Error> {
    match Spelt::<T>::deserialize(d)? {
        Spelt::Number(n) => Ok(n),
        Spelt::Text(text) => text.parse().map_err(|_| D::Error::custom(format!("`{text}` is not a number"))),
    }
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
    match Option::<Spelt<f64>>::deserialize(d)? {
        None => Ok(None),
        Some(Spelt::Number(n)) => Ok(Some(n)),
        Some(Spelt::Text(text)) => {
            text.parse().map(Some).map_err(|_| D::Error::custom(format!("`{text}` is not a number")))
        }
    }
}

pub(super) fn unsigned_list<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u64>, D::Error> {
    #[derive(Deserialize)]
    struct One(#[serde(deserialize_with = "unsigned")] u64);
    Ok(Vec::<One>::deserialize(d)?.into_iter().map(|one| one.0).collect())
}

pub(super) fn temporality<'de, D: Deserializer<'de>>(d: D) -> Result<i32, D::Error> {
    Ok(match Spelt::<i32>::deserialize(d)? {
        Spelt::Number(n) => n,
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
