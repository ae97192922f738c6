//! The webhooks of a receiver, as a configuration of Alertmanager names them: a group of alerts is told to an address in
//! Alertmanager's JSON, by Alertmanager's rules of when there is something to tell.
//!
//! They are programs, not people: no incident, no escalation, no acknowledgement. What one was told is kept in a
//! [`Ledger`] of its own, so that one that is out of order neither hears twice nor keeps another waiting.

mod http;
mod ledger;
mod message;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenfold_scrape::HttpClient;
use tenfold_types::{format_duration_ms, parse_duration_ms};

use crate::{RoutingError, routes::wrong};

pub use ledger::{Heard, Ledger, Owed, OwedAlert};
pub use message::message;

/// Webhooks of one receiver.
const WEBHOOKS_MAX: usize = 20;
const URL_BYTES_MAX: usize = 2_048;
const FILE_NAME_BYTES_MAX: usize = 1_024;
const TIMEOUT_MS_MAX: i64 = 60_000;

/// Where a receiver's notifications are posted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// Empty where a file holds it.
    pub url: String,
    /// A file that holds the address, which is then a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_file: Option<String>,
    /// It is told of alerts that are over as well.
    pub send_resolved: bool,
    /// Alerts in one message; 0 is any number.
    pub max_alerts: usize,
    /// How long it has for its answer.
    pub timeout_ms: i64,
    /// How it is asked, where the configuration says so. It may hold secrets, and is written nowhere.
    #[serde(skip)]
    pub http: Option<Arc<HttpClient>>,
}

impl WebhookSpec {
    /// Every file of the server that is named.
    pub fn files(&self) -> Vec<String> {
        let mut files: Vec<String> = self.url_file.iter().cloned().collect();
        files.extend(self.http.iter().flat_map(|http| http.files()));
        files
    }
}

/// Whether an address can be posted to.
///
/// # Errors
/// What it has to be; the address is not repeated.
pub fn check_url(url: &str) -> Result<(), String> {
    if (url.starts_with("http://") || url.starts_with("https://")) && url.len() <= URL_BYTES_MAX {
        return Ok(());
    }
    Err(format!("starts with http:// or https:// and has at most {URL_BYTES_MAX} bytes"))
}

/// What an answer may take when the configuration says nothing.
pub const TIMEOUT_MS: i64 = 10_000;

/// Reads `webhook_configs`.
pub(crate) fn read(value: &Value, path: &str) -> Result<Vec<WebhookSpec>, RoutingError> {
    let list = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list,
        _ => return Err(wrong(path, "is a list")),
    };
    if list.len() > WEBHOOKS_MAX {
        return Err(wrong(path, format!("at most {WEBHOOKS_MAX} webhooks")));
    }
    let mut out = Vec::new();
    for (i, item) in list.iter().enumerate() {
        let path = format!("{path}[{i}]");
        let Some(map) = item.as_object() else { return Err(wrong(path, "is a map with a `url`")) };
        out.push(read_one(map, &path)?);
    }
    Ok(out)
}

/// Whether an address names a user or a password.
pub fn has_userinfo(url: &str) -> bool {
    split(url).is_some_and(|(_, authority, _)| authority.contains('@'))
}

/// Scheme, authority, and the rest.
fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    Some((scheme, authority, rest))
}

/// A text for the record: of the addresses in it only scheme and host, since what follows is often a secret.
pub fn masked(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = ["http://", "https://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
        let (before, from) = rest.split_at(start);
        // To the next space: more of the text may go than the address, and never less.
        let (url, after) = from.split_at(from.find(char::is_whitespace).unwrap_or(from.len()));
        out.push_str(before);
        if let Some((scheme, authority, path)) = split(url) {
            let host = authority.rsplit('@').next().unwrap_or_default();
            let path = if path.is_empty() || path == "/" { path } else { "/…" };
            out.extend([scheme, "://", host, path]);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn read_one(map: &Map<String, Value>, path: &str) -> Result<WebhookSpec, RoutingError> {
    let mut spec = WebhookSpec {
        url: String::new(),
        url_file: None,
        send_resolved: true,
        max_alerts: 0,
        timeout_ms: TIMEOUT_MS,
        http: None,
    };
    for (key, value) in map {
        let at = || format!("{path}.{key}");
        match (key.as_str(), value) {
            ("url", Value::String(url)) => url.trim().clone_into(&mut spec.url),
            ("url_file", Value::String(file)) if file.is_empty() => {}
            ("url_file", Value::String(file)) if file.len() <= FILE_NAME_BYTES_MAX => {
                spec.url_file = Some(file.clone());
            }
            ("send_resolved", Value::Bool(is)) => spec.send_resolved = *is,
            ("max_alerts", Value::Number(n)) => {
                let count = n.as_u64().and_then(|n| usize::try_from(n).ok());
                spec.max_alerts = count.ok_or_else(|| wrong(at(), "is a number of alerts, 0 for any number"))?;
            }
            ("timeout", Value::String(text)) => {
                let ms = parse_duration_ms(text).map_err(|e| wrong(at(), e))?;
                if ms > TIMEOUT_MS_MAX {
                    return Err(wrong(at(), format!("at most {}", format_duration_ms(TIMEOUT_MS_MAX))));
                }
                // Alertmanager takes 0 for no bound of its own.
                spec.timeout_ms = if ms == 0 { TIMEOUT_MS } else { ms };
            }
            ("http_config", config) => spec.http = http::read(config, &at())?,
            ("url" | "url_file" | "send_resolved" | "max_alerts" | "timeout", _) => {
                return Err(wrong(at(), "is not of the kind that belongs here"));
            }
            _ => return Err(wrong(at(), "is not known")),
        }
    }
    match (&spec.url_file, spec.url.is_empty()) {
        (Some(_), true) => {}
        (Some(_), false) => return Err(wrong(path, "has one of `url` and `url_file`, not both")),
        (None, _) => check_url(&spec.url).map_err(|said| wrong(format!("{path}.url"), said))?,
    }
    if let Some(file) = spec.files().iter().find(|file| file.split('/').any(|part| part == "..")) {
        return Err(wrong(path, format!("`{file}` is no name of a file: it has `..`")));
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_the_record_has_its_host() {
        for (text, wanted) in [
            ("http://h.example/T0/B1/secret", "http://h.example/…"),
            ("a: https://h:8443/?key=x\nb: 1", "a: https://h:8443/…\nb: 1"),
            ("https://u:p@h/x and http://h", "https://h/… and http://h"),
            ("{url: 'http://h/a,b}c'}", "{url: 'http://h/…"),
            ("none", "none"),
        ] {
            assert_eq!(masked(text), wanted, "{text}");
        }
        assert!(has_userinfo("https://u:p@h/x") && has_userinfo("http://u@h"));
        assert!(!has_userinfo("https://h/x@y") && !has_userinfo("https://h?u=a@b"));
    }
}
