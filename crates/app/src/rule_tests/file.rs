//! Unit-test files as `promtool test rules` reads them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use tenfold_types::Timestamp;
use tenfold_types::parse_duration_ms;

/// Bytes of one file of tests.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// One file of tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestFile {
    /// Patterns, relative to the file.
    #[serde(default, deserialize_with = "listed")]
    pub rule_files: Vec<String>,
    #[serde(default = "minute", deserialize_with = "duration")]
    pub evaluation_interval: i64,
    /// Groups evaluated one after the other; others stand with the first.
    #[serde(default, deserialize_with = "listed")]
    pub group_eval_order: Vec<String>,
    /// Take floats that are one step of their last digit apart for the same.
    #[serde(default)]
    pub fuzzy_compare: bool,
    #[serde(default, deserialize_with = "listed")]
    pub tests: Vec<TestGroup>,
}

/// Series, and what is expected of the rules over them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestGroup {
    #[serde(default)]
    pub name: String,
    #[serde(default, deserialize_with = "duration")]
    pub interval: i64,
    #[serde(default, deserialize_with = "listed")]
    pub input_series: Vec<InputSeries>,
    #[serde(default, deserialize_with = "listed")]
    pub alert_rule_test: Vec<AlertCase>,
    #[serde(default, deserialize_with = "listed")]
    pub promql_expr_test: Vec<ExprCase>,
    #[serde(default, deserialize_with = "mapped")]
    pub external_labels: BTreeMap<String, String>,
    #[serde(default)]
    pub external_url: String,
    /// When the first sample and the first evaluation are; the epoch when it is not said.
    #[serde(default, deserialize_with = "instant")]
    pub start_timestamp: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSeries {
    pub series: String,
    pub values: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertCase {
    #[serde(default, deserialize_with = "duration")]
    pub eval_time: i64,
    #[serde(default)]
    pub alertname: String,
    #[serde(default, deserialize_with = "listed")]
    pub exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedAlert {
    #[serde(deserialize_with = "mapped")]
    pub exp_labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "mapped")]
    pub exp_annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExprCase {
    pub expr: String,
    #[serde(default, deserialize_with = "duration")]
    pub eval_time: i64,
    #[serde(default, deserialize_with = "listed")]
    pub exp_samples: Vec<ExpectedSample>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedSample {
    #[serde(default)]
    pub labels: String,
    #[serde(default)]
    pub value: f64,
    #[serde(default)]
    pub histogram: String,
}

const fn minute() -> i64 {
    60_000
}

fn duration<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
    let text = String::deserialize(d)?;
    parse_duration_ms(&text).map_err(D::Error::custom)
}

fn instant<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
    let text = String::deserialize(d)?;
    let seconds = || text.parse::<f64>().ok().filter(|s| s.abs() < 1e12).map(|s| (s * 1000.0) as i64);
    let ms = Timestamp::parse_rfc3339(&text).map(Timestamp::millis).or_else(seconds);
    ms.ok_or_else(|| D::Error::custom(format!("`{text}` is neither seconds since the epoch nor an RFC 3339 instant")))
}

/// `exp_alerts:` with nothing behind it is an empty list, and so is any other.
fn listed<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(d)?.unwrap_or_default())
}

fn mapped<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, String>, D::Error> {
    let texts = Option::<BTreeMap<String, Option<String>>>::deserialize(d)?.unwrap_or_default();
    Ok(texts.into_iter().map(|(name, text)| (name, text.unwrap_or_default())).collect())
}

/// Reads a file of tests.
///
/// # Errors
/// The first thing that is wrong, with its line.
pub fn read_tests(yaml: &str) -> Result<TestFile, String> {
    if yaml.len() > FILE_BYTES_MAX {
        return Err(format!("a file of tests has at most {FILE_BYTES_MAX} bytes, this one has {}", yaml.len()));
    }
    let file: TestFile = serde_saphyr::from_str(yaml).map_err(|e| {
        let line = e.location().map(|l| format!("line {}: ", l.line())).unwrap_or_default();
        format!("{line}{}", e.without_snippet())
    })?;
    if file.evaluation_interval <= 0 {
        return Err("`evaluation_interval` is longer than nothing".to_owned());
    }
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = file.group_eval_order.iter().find(|g| !seen.insert(*g)) {
        return Err(format!("the group `{twice}` is in `group_eval_order` twice"));
    }
    Ok(file)
}
