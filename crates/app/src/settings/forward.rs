//! Other Alertmanagers to which the server's own alerts are sent on.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;
use tenfold_types::Fault;

/// Receivers there may be.
const RECEIVERS_MAX: usize = 20;

/// An Alertmanager, or what speaks its API. In the settings an address alone, or a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "Written")]
pub struct ForwardTo {
    /// Its address, to which `/api/v2/alerts` is put.
    pub url: String,
    /// A file with a bearer token.
    pub token_file: Option<PathBuf>,
    /// With `password_file`, for basic authentication.
    pub username: String,
    pub password_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Address(String),
    Table(Table),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    url: String,
    #[serde(default)]
    token_file: Option<PathBuf>,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password_file: Option<PathBuf>,
}

impl From<Written> for ForwardTo {
    fn from(written: Written) -> Self {
        match written {
            Written::Address(url) => Self { url, ..Self::default() },
            Written::Table(Table { url, token_file, username, password_file }) => {
                Self { url, token_file, username, password_file }
            }
        }
    }
}

impl ForwardTo {
    /// Where alerts are posted to.
    pub fn address(&self) -> String {
        format!("{}/api/v2/alerts", self.url.trim_end_matches('/'))
    }
}

/// What the types alone do not say.
pub(super) fn check(receivers: &[ForwardTo]) -> Result<(), Fault> {
    if receivers.len() > RECEIVERS_MAX {
        return Err(Fault::invalid(format!(
            "alerts.forward names {} receivers; at most {RECEIVERS_MAX} are sent to",
            receivers.len()
        )));
    }
    let mut seen = BTreeSet::new();
    for receiver in receivers {
        let ForwardTo { url, token_file, username, password_file } = receiver;
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let Some(host) = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).filter(|host| !host.is_empty())
        else {
            return Err(Fault::invalid(format!(
                "alerts.forward: `{url}` is no address; write it like http://alertmanager.example.org:9093"
            )));
        };
        // Not said: what stands there is a password.
        if host.contains('@') {
            return Err(Fault::invalid("alerts.forward: an address must not name a user or a password")
                .advice("write `username` and `password_file` beside `url`"));
        }
        if url.contains(['?', '#']) {
            return Err(Fault::invalid(format!("alerts.forward: `{url}` ends with a question"))
                .advice("leave out what begins with `?` or `#`: /api/v2/alerts is put behind the address"));
        }
        if username.is_empty() != password_file.is_none() || (token_file.is_some() && password_file.is_some()) {
            return Err(Fault::invalid(format!(
                "alerts.forward: `{url}` takes `username` and `password_file` together, or `token_file`, or none of them"
            )));
        }
        if !seen.insert(receiver.address()) {
            return Err(Fault::invalid(format!("alerts.forward names `{url}` twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_alone_or_a_table() {
        let read = |json: &str| serde_json::from_str::<ForwardTo>(json);
        let plain = read(r#""http://am:9093/""#).expect("an address");
        assert_eq!((plain.address().as_str(), plain.token_file), ("http://am:9093/api/v2/alerts", None));
        let table = read(r#"{"url": "http://am:9093/x", "username": "u", "password_file": "p"}"#).expect("a table");
        assert_eq!((table.username.as_str(), table.address().as_str()), ("u", "http://am:9093/x/api/v2/alerts"));
        assert!(read(r#"{"url": "http://am:9093", "password": "secret"}"#).is_err());
    }

    #[test]
    fn what_cannot_be_sent_to_is_refused() {
        let of = |url: &str| ForwardTo { url: url.to_owned(), ..ForwardTo::default() };
        assert!(check(&[of("http://am:9093"), of("https://am.example.org/prefix/")]).is_ok());
        for (wrong, word) in [
            (vec![of("am:9093")], "no address"),
            (vec![of("http:///x")], "no address"),
            (vec![of("http://u:secret@am:9093")], "a user"),
            (vec![of("http://am:9093?x=1")], "a question"),
            (vec![of("http://am:9093"), of("http://am:9093/")], "twice"),
            (vec![ForwardTo { username: "u".into(), ..of("http://am") }], "together"),
            (vec![of("http://am"); RECEIVERS_MAX + 1], "at most"),
        ] {
            let refused = check(&wrong).expect_err("it is wrong").message;
            assert!(refused.contains(word) && !refused.contains("secret"), "{refused}");
        }
    }
}
