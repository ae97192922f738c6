//! An alert as a sender posts it, read and checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tenfold_alerting::{Alert, AlertState, fingerprint};
use tenfold_types::{Labels, Timestamp};

use super::KEY_LABEL;
use crate::sources::SENDER;

const LABELS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 8_192;
const ANNOTATION_BYTES_MAX: usize = 8_000;

/// An alert as Alertmanager's API takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostedAlert {
    #[schema(value_type = Object)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub starts_at: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub ends_at: Option<Timestamp>,
    #[serde(default, rename = "generatorURL")]
    pub generator_url: Option<String>,
}

/// Go's zero time, 0001-01-01T00:00:00Z, which its clients send for no time at all.
const NO_TIME: Timestamp = Timestamp::from_millis(-62_135_596_800_000);

/// The time that was given, if any was.
pub(super) fn given(at: Option<Timestamp>) -> Option<Timestamp> {
    at.filter(|at| *at > NO_TIME)
}

/// What a sender said, checked.
pub(super) struct Said {
    pub alert: Alert,
    pub ends_at: Timestamp,
    pub explicit: bool,
    /// It says nothing of it any more, which is no end.
    pub silent: bool,
    /// It is worse than what was said of its key before, or people have done with that.
    pub at_once: bool,
    pub generator_url: String,
}

impl Said {
    /// As it was posted, to be read again at another time.
    pub fn posted(self) -> PostedAlert {
        let pairs = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        PostedAlert {
            labels: self.alert.labels.iter().map(pairs).collect(),
            annotations: Some(BTreeMap::from(&*self.alert.annotations)),
            starts_at: Some(self.alert.active_since),
            ends_at: self.explicit.then_some(self.ends_at),
            generator_url: Some(self.generator_url),
        }
    }
}

pub(super) fn read(posted: PostedAlert, now: Timestamp, resolve_timeout_ms: i64) -> Result<Said, String> {
    let labels = Labels::from_pairs(posted.labels);
    let mut annotations = posted.annotations.unwrap_or_default();
    // No page is lost over a long text.
    for text in annotations.values_mut() {
        text.truncate(text.floor_char_boundary(ANNOTATION_BYTES_MAX));
    }
    if labels.is_empty() {
        return Err("an alert has at least one label with a value".to_owned());
    }
    if labels.len() > LABELS_MAX || annotations.len() > LABELS_MAX {
        return Err(format!("an alert has at most {LABELS_MAX} labels and as many annotations"));
    }
    for (name, value) in labels.iter().chain(annotations.iter().map(|(n, v)| (n.as_str(), v.as_str()))) {
        if name.is_empty() || name.len() + value.len() > TEXT_BYTES_MAX {
            return Err(format!(
                "`{name:.50}`: a name is not empty, and has with its value at most {TEXT_BYTES_MAX} bytes"
            ));
        }
    }
    let (starts_at, ends_at) = (given(posted.starts_at), given(posted.ends_at));
    let starts_at = starts_at.or(ends_at).unwrap_or(now).min(ends_at.unwrap_or(now).max(now));
    let explicit = ends_at.is_some();
    let ends_at = ends_at.unwrap_or_else(|| now.plus_ms(resolve_timeout_ms));
    if starts_at > ends_at {
        return Err(format!("{labels} starts {starts_at}, after its end {ends_at}"));
    }
    let alert = Alert {
        fingerprint: fingerprint(&labels),
        series: labels.clone(),
        labels,
        annotations: Arc::new(annotations.into()),
        state: AlertState::Firing,
        value: 1.0,
        active_since: starts_at,
        fired_at: Some(starts_at),
        resolved_at: None,
        keep_since: None,
        no_data_since: None,
    };
    let mut generator_url = posted.generator_url.unwrap_or_default();
    if generator_url.len() > TEXT_BYTES_MAX || !generator_url.starts_with("http") {
        generator_url.clear();
    }
    Ok(Said { alert, ends_at, explicit, silent: false, at_once: false, generator_url })
}

pub(super) fn claims_source(posted: &PostedAlert, now: Timestamp) -> bool {
    let over = given(posted.ends_at).is_some_and(|at| at <= now);
    !over && [SENDER, KEY_LABEL].iter().any(|label| posted.labels.get(*label).is_some_and(|v| !v.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zero_time_of_go_is_none() {
        let zero = Timestamp::parse_rfc3339("0001-01-01T00:00:00Z").expect("it is one");
        assert_eq!((NO_TIME, given(Some(zero)), given(None)), (zero, None, None));
        assert_eq!(given(Some(zero.plus_ms(1))), Some(zero.plus_ms(1)));
    }

    #[test]
    fn only_a_source_raises_alerts_with_the_labels_of_sources() {
        let now = Timestamp(1_700_000_000_000);
        let posted = |label: &str, ends_at| PostedAlert {
            labels: BTreeMap::from([("alertname".to_owned(), "A".to_owned()), (label.to_owned(), "x".to_owned())]),
            ends_at,
            ..PostedAlert::default()
        };
        assert!(claims_source(&posted(SENDER, None), now));
        assert!(claims_source(&posted(KEY_LABEL, Some(now.plus_ms(1))), now));
        assert!(!claims_source(&posted("job", None), now));
        assert!(!claims_source(&posted(SENDER, Some(now)), now), "people may end it");
    }
}
