//! Secrets that a request of a check carries: written once, kept with the check, and shown to nobody again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_types::Fault;

use super::{CheckSpec, Http, Run};

/// What stands for a secret that is kept.
pub(super) const SHOWN: &str = "<secret>";

/// The value of a header that is a secret, or where it stands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HeaderSecret {
    Text(String),
    File(SecretFile),
}

/// A file in the folder of secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    pub file: String,
}

impl std::fmt::Debug for HeaderSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::File(file) => file.fmt(f),
        }
    }
}

impl HeaderSecret {
    fn is_shown(&self) -> bool {
        matches!(self, Self::Text(text) if text == SHOWN)
    }
}

impl Run {
    /// Files of the folder of secrets that it names.
    pub fn secret_files(&self) -> Vec<String> {
        match self {
            Self::Http(http) => {
                let files = http.secret_headers.values().filter_map(|secret| match secret {
                    HeaderSecret::File(file) => Some(file.file.clone()),
                    HeaderSecret::Text(_) => None,
                });
                files.collect()
            }
            Self::Nrpe(nrpe) => [&nrpe.cert_file, &nrpe.key_file].into_iter().flatten().cloned().collect(),
            _ => Vec::new(),
        }
    }
}

impl Http {
    /// Whether a secret that was meant for the one may go to the other.
    fn asks_like(&self, other: &Self) -> bool {
        self.url == other.url && self.ca_file == other.ca_file
    }
}

impl CheckSpec {
    fn secret_headers(&self) -> Option<&BTreeMap<String, HeaderSecret>> {
        if let Run::Http(http) = &self.run { Some(&http.secret_headers) } else { None }
    }

    /// As it is shown.
    pub(super) fn shown(&self) -> Self {
        let mut shown = self.clone();
        if let Run::Http(http) = &mut shown.run {
            let texts = http.secret_headers.values_mut().filter(|secret| matches!(secret, HeaderSecret::Text(_)));
            texts.for_each(|secret| *secret = HeaderSecret::Text(SHOWN.to_owned()));
        }
        shown
    }

    /// A `<secret>` that comes back stands for the one that is kept, as long as nobody else is asked: who may change a check
    /// cannot have its secret sent to a place of their own.
    ///
    /// # Errors
    /// One that stands for nothing.
    pub(super) fn keep_secrets(&mut self, name: &str, before: Option<&Self>) -> Result<(), Fault> {
        let Run::Http(http) = &mut self.run else { return Ok(()) };
        let asked = |before: &Self| matches!(&before.run, Run::Http(known) if known.asks_like(http));
        let kept = before.filter(|before| asked(before)).and_then(Self::secret_headers).cloned().unwrap_or_default();
        for (header, secret) in http.secret_headers.iter_mut().filter(|(_, secret)| secret.is_shown()) {
            let known = kept.iter().find(|(known, secret)| known.eq_ignore_ascii_case(header) && !secret.is_shown());
            let Some((_, known)) = known else {
                let message = format!(
                    "the check {name}: `{SHOWN}` of `{header}` stands for a secret that is there, and none is for this `url`"
                );
                return Err(Fault::invalid(message)
                    .advice("write the secret itself, or `{file: NAME}` for a file in `secrets_dir` of `[alerts]`"));
            };
            secret.clone_from(known);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(url: &str, secrets: &serde_json::Value) -> CheckSpec {
        serde_json::from_value(json!({"run": {"http": {"url": url, "secret_headers": secrets}}})).expect("a check")
    }

    #[test]
    fn a_secret_is_kept_for_the_same_address_alone() {
        let before = spec("http://a/", &json!({"Authorization": "Bearer t", "X-Key": {"file": "key"}}));
        let shown = before.shown();
        let text = serde_json::to_string(&shown).expect("JSON") + &format!("{before:?}");
        assert!(!text.contains("Bearer t") && text.contains("<secret>") && text.contains("key"), "{text}");
        let mut again = shown.clone();
        again.keep_secrets("web", Some(&before)).expect("it is there");
        assert_eq!(again, before);
        let mut other = spec("http://a/", &json!({"authorization": "<secret>"}));
        other.keep_secrets("web", Some(&before)).expect("names of headers are the same in any case");
        for mut moved in [spec("http://b/", &json!({"Authorization": "<secret>"})), {
            let mut moved = shown.clone();
            if let Run::Http(http) = &mut moved.run {
                http.ca_file = Some("mine.pem".to_owned());
            }
            moved
        }] {
            let refused = moved.keep_secrets("web", Some(&before)).expect_err("it is another place");
            assert!(refused.message.contains("`Authorization`"), "{refused:?}");
        }
        assert!(shown.clone().keep_secrets("web", None).is_err());
        assert!(shown.clone().keep_secrets("web", Some(&shown)).is_err(), "nothing is kept there");
        let mut anew = spec("http://b/", &json!({"Authorization": "Bearer u"}));
        anew.keep_secrets("web", Some(&before)).expect("it is written anew");
    }
}
