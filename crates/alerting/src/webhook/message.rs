//! The body of a webhook's request: Alertmanager's JSON, version 4.

use serde::Serialize;
use serde_json::Error;
use std::collections::BTreeMap;
use tenfold_types::{FlatMap, Labels, Timestamp};

use super::{OwedAlert, WebhookSpec};
use crate::Fingerprint;
use crate::pipeline::{GroupId, HowEnded};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<Alert<'a>>,
    group_labels: &'a Labels,
    common_labels: BTreeMap<&'a str, &'a str>,
    common_annotations: BTreeMap<&'a str, &'a str>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: String,
    truncated_alerts: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    status: &'static str,
    labels: &'a Labels,
    annotations: &'a FlatMap<String, String>,
    starts_at: Timestamp,
    ends_at: Ends,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: Fingerprint,
    /// Ours, and only when it is so: nobody has said that it is over, its source went silent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    silent: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Ends {
    At(Timestamp),
    /// As Go writes the time that is none.
    Never(&'static str),
}

const NEVER: &str = "0001-01-01T00:00:00Z";

fn word(over: bool) -> &'static str {
    if over { "resolved" } else { "firing" }
}

/// Writes the message about `said`, as many of it as the webhook takes.
///
/// # Errors
/// None in practice: it has only texts and numbers.
pub fn message(
    spec: &WebhookSpec,
    receiver: &str,
    group: &GroupId,
    said: &[(Fingerprint, &OwedAlert)],
    external_url: &str,
) -> Result<String, Error> {
    let mut said: Vec<_> = said.to_vec();
    said.sort_by(|(_, a), (_, b)| order(&a.known.labels).cmp(&order(&b.known.labels)));
    let count = if spec.max_alerts == 0 { said.len() } else { said.len().min(spec.max_alerts) };
    let truncated_alerts = said.len() - count;
    said.truncate(count);
    let alerts = said.iter().map(|&(fingerprint, one)| {
        let explained = one.known.generator_url.clone();
        let generator_url = explained.unwrap_or_else(|| format!("{external_url}/alerts/{fingerprint}"));
        let silent = match one.known.ended {
            Some((_, how)) => how != HowEnded::Resolved,
            None => one.over.is_some(),
        };
        Alert {
            status: word(one.over.is_some()),
            labels: &one.known.labels,
            annotations: &one.known.annotations,
            starts_at: one.known.starts_at,
            ends_at: one.over.map_or(Ends::Never(NEVER), Ends::At),
            generator_url,
            fingerprint,
            silent,
        }
    });
    let message = Message {
        receiver,
        status: word(said.iter().all(|(_, a)| a.over.is_some())),
        alerts: alerts.collect(),
        group_labels: group.labels(),
        common_labels: common(said.iter().map(|(_, a)| a.known.labels.iter().collect())),
        common_annotations: common(
            said.iter().map(|(_, a)| a.known.annotations.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()),
        ),
        external_url,
        version: "4",
        group_key: format!("{}:{}", group.route(), group.labels()),
        truncated_alerts,
    };
    serde_json::to_string(&message)
}

/// Alertmanager's order: by job, by instance, then by all labels.
fn order(labels: &Labels) -> (Option<&str>, Option<&str>, &Labels) {
    (labels.get("job"), labels.get("instance"), labels)
}

/// What all of them have in common.
fn common<'a>(mut all: impl Iterator<Item = BTreeMap<&'a str, &'a str>>) -> BTreeMap<&'a str, &'a str> {
    let mut out = all.next().unwrap_or_default();
    for pairs in all {
        out.retain(|name, value| pairs.get(name) == Some(value));
    }
    out
}
