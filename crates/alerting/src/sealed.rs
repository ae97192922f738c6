//! Secrets in a configuration of Alertmanager. The text that is kept, shown and recorded has `<secret>` in their place, as
//! Alertmanager shows it; those that webhooks need are kept apart.
//!
//! A `<secret>` that comes back stands for the secret that was there, but only for the same receiver, address and way of
//! asking: who may change where alerts go cannot have a secret sent to a place of their own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use regex::{NoExpand, Regex};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    alertmanager::{CONFIG_BYTES_MAX, read},
    routes::{RoutingError, wrong},
};

/// What stands for a secret.
pub const SECRET_SHOWN: &str = "<secret>";

/// Keys whose values Alertmanager does not show, in `global` and in receivers of every kind.
const SECRET_KEYS: [&str; 32] = [
    "alert_source_token",
    "api_key",
    "api_secret",
    "api_url",
    "app_token",
    "auth_password",
    "auth_secret",
    "bearer_token",
    "bot_token",
    "client_secret",
    "credentials",
    "mattermost_webhook_url",
    "opsgenie_api_key",
    "password",
    "proxy_connect_header",
    "rocketchat_token",
    "rocketchat_token_id",
    "routing_key",
    "secret_key",
    "secrets",
    "service_key",
    "slack_api_url",
    "slack_app_token",
    "smtp_auth_password",
    "smtp_auth_secret",
    "token",
    "token_id",
    "user_key",
    "victorops_api_key",
    "webhook_url",
    "wechat_api_secret",
    "telegram_bot_token",
];

/// The secrets of one webhook.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSecrets {
    receiver: String,
    /// Whom they are for, and how it is asked: the entry without its secrets.
    asks: String,
    /// By their places in `http_config`, as JSON pointers (RFC 6901).
    secrets: BTreeMap<String, String>,
}

impl std::fmt::Debug for KeptSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places: Vec<&String> = self.secrets.keys().collect();
        f.debug_struct("KeptSecrets").field("receiver", &self.receiver).field("places", &places).finish()
    }
}

/// A configuration without its secrets, and those that webhooks need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub yaml: String,
    pub secrets: Vec<KeptSecrets>,
}

/// Takes the secrets out of a configuration. `before` are those of the one that it takes the place of.
///
/// # Errors
/// What is no YAML, a secret without quotes that is no text, and a `<secret>` that stands for nothing.
pub fn seal(yaml: &str, before: &[KeptSecrets]) -> Result<Sealed, RoutingError> {
    if yaml.len() > CONFIG_BYTES_MAX {
        return Err(wrong("file", format!("has at most {CONFIG_BYTES_MAX} bytes, this one has {}", yaml.len())));
    }
    let file: Value = read(yaml)?;
    let secrets = taken_out(&file, before)?;
    let (mut shown, mut found, mut odd) = (file.clone(), BTreeSet::new(), None);
    for part in ["global", "receivers"] {
        let Some(value) = shown.get_mut(part) else { continue };
        each_secret(value, part, &mut String::new(), &mut |place, value| match value {
            Value::String(text) if text.is_empty() || text.as_str() == SECRET_SHOWN => {}
            Value::String(text) => {
                found.insert(std::mem::replace(text, SECRET_SHOWN.to_owned()));
            }
            _ => {
                odd.get_or_insert_with(|| format!("{part}{}", place.replace('/', ".")));
            }
        });
    }
    if let Some(place) = odd {
        return Err(wrong(place, "is a secret, which is a text: write it in quotes"));
    }
    let yaml = if found.is_empty() { yaml.to_owned() } else { written(yaml, &found, &shown)? };
    Ok(Sealed { yaml, secrets })
}

/// The text with `<secret>` in their place, with its comments where that can be done.
fn written(yaml: &str, found: &BTreeSet<String>, shown: &Value) -> Result<String, RoutingError> {
    let is_shown = |text: &String| read::<Value>(text).is_ok_and(|value| value == *shown);
    let mut secrets: Vec<&String> = found.iter().collect();
    // One may be the beginning of another.
    secrets.sort_by_key(|secret| Reverse(secret.len()));
    let any = secrets.iter().map(|secret| regex::escape(secret)).collect::<Vec<_>>().join("|");
    if let Ok(any) = Regex::new(&any) {
        let text = any.replace_all(yaml, NoExpand(SECRET_SHOWN)).into_owned();
        if is_shown(&text) {
            return Ok(text);
        }
    }
    if let Some(text) = serde_saphyr::to_string(shown).ok().filter(is_shown) {
        return Ok(text);
    }
    serde_json::to_string_pretty(shown).map_err(|e| wrong("file", e.to_string()))
}

fn taken_out(file: &Value, before: &[KeptSecrets]) -> Result<Vec<KeptSecrets>, RoutingError> {
    let listed = file.get("receivers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut receivers: Vec<Map<String, Value>> = listed.iter().filter_map(Value::as_object).cloned().collect();
    give_defaults(file.get("global").and_then(Value::as_object), &mut receivers);
    let (mut unused, mut out) = (before.iter().collect::<Vec<_>>(), Vec::new());
    for receiver in &mut receivers {
        let name = name_of(receiver);
        for (at, webhook) in webhooks(receiver).enumerate() {
            let asks = asks(webhook);
            let known = take(&mut unused, &name, &asks);
            let (mut secrets, mut missing) = (BTreeMap::new(), None);
            let Some(http) = webhook.get_mut("http_config") else { continue };
            each_secret(http, "http_config", &mut String::new(), &mut |place, value| match value.as_str() {
                Some("") | None => {}
                Some(SECRET_SHOWN) => match known.and_then(|known| known.secrets.get(place)) {
                    Some(secret) => {
                        secrets.insert(place.to_owned(), secret.clone());
                    }
                    None => {
                        missing.get_or_insert_with(|| place.replace('/', "."));
                    }
                },
                Some(secret) => {
                    secrets.insert(place.to_owned(), secret.to_owned());
                }
            });
            if let Some(place) = missing {
                let message = "`<secret>` stands for a secret that is there, and none is for this receiver, address \
                               and `http_config`; write the secret itself, or name a file that holds it";
                return Err(wrong(format!("receivers.{name}.webhook_configs[{at}].http_config{place}"), message));
            }
            if !secrets.is_empty() {
                out.push(KeptSecrets { receiver: name.clone(), asks, secrets });
            }
        }
    }
    Ok(out)
}

/// Puts the secrets back into webhooks that have `<secret>`.
pub(crate) fn fill(receivers: &mut [Map<String, Value>], kept: &[KeptSecrets]) {
    let mut unused: Vec<&KeptSecrets> = kept.iter().collect();
    for receiver in receivers {
        if unused.is_empty() {
            return;
        }
        let name = name_of(receiver);
        for webhook in webhooks(receiver) {
            let asks = asks(webhook);
            let Some(known) = take(&mut unused, &name, &asks) else { continue };
            let Some(http) = webhook.get_mut("http_config") else { continue };
            for (place, secret) in &known.secrets {
                if let Some(value) = http.pointer_mut(place).filter(|value| value.as_str() == Some(SECRET_SHOWN)) {
                    *value = Value::String(secret.clone());
                }
            }
        }
    }
}

/// Webhooks without an `http_config` have that of `global`.
pub(crate) fn give_defaults(global: Option<&Map<String, Value>>, receivers: &mut [Map<String, Value>]) {
    let Some(http) = global.and_then(|global| global.get("http_config")).filter(|http| !http.is_null()) else { return };
    for webhook in receivers.iter_mut().flat_map(webhooks) {
        if webhook.get("http_config").is_none_or(Value::is_null) {
            webhook.insert("http_config".to_owned(), http.clone());
        }
    }
}

fn name_of(receiver: &Map<String, Value>) -> String {
    receiver.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(crate) fn webhooks(receiver: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let list = receiver.get_mut("webhook_configs").and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The first that is for this entry, which nobody else has then.
fn take<'a>(unused: &mut Vec<&'a KeptSecrets>, receiver: &str, asks: &str) -> Option<&'a KeptSecrets> {
    let at = unused.iter().position(|kept| kept.receiver == receiver && kept.asks == asks)?;
    Some(unused.remove(at))
}

fn asks(webhook: &Map<String, Value>) -> String {
    let mut http = webhook.get("http_config").cloned().unwrap_or_default();
    each_secret(&mut http, "http_config", &mut String::new(), &mut |_, value| {
        if value.as_str() != Some("") {
            *value = Value::String(SECRET_SHOWN.to_owned());
        }
    });
    json!([webhook.get("url"), webhook.get("url_file"), http]).to_string()
}

/// Every value below that is a secret, with its place below. `inside` is the key that the value itself has.
fn each_secret(value: &mut Value, inside: &str, place: &mut String, each: &mut dyn FnMut(&str, &mut Value)) {
    walk(value, (inside, false), place, each);
}

/// All of what a secret key holds is secret: it may have several values.
fn walk(value: &mut Value, (inside, secret): (&str, bool), place: &mut String, each: &mut dyn FnMut(&str, &mut Value)) {
    let length = place.len();
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                place.push('/');
                place.push_str(&key.replace('~', "~0").replace('/', "~1"));
                let secret = secret || SECRET_KEYS.contains(&key.as_str()) || (key == "key" && inside == "tls_config");
                walk(value, (key.as_str(), secret), place, each);
                place.truncate(length);
            }
        }
        Value::Array(list) => {
            for (at, value) in list.iter_mut().enumerate() {
                place.push('/');
                place.push_str(&at.to_string());
                walk(value, (inside, secret), place, each);
                place.truncate(length);
            }
        }
        Value::Null => {}
        _ if secret => each(place, value),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{alertmanager::import_sealed, webhook::WebhookSpec};
    use tenfold_scrape::{Auth, Secret};

    const FILE: &str = "
global: {smtp_auth_password: mail-pw} # not ours
route: {receiver: r}
receivers:
- name: r
  # the hook of the team
  webhook_configs:
  - url: https://hook.example/a
    http_config: {basic_auth: {username: ana, password: 'p-one'}}
  - url: https://hook.example/b
    http_config:
      authorization: {credentials: p-one-and-two}
      http_headers: {X-Tenant: {values: [web], secrets: [tenant-pw]}}
  pagerduty_configs: [{routing_key: pd-key}]
  incidentio_configs: [{alert_source_token: io-key}]
  rocketchat_configs: [{token_id: rc-id}]
";

    fn webhooks_of(sealed: &Sealed) -> Vec<WebhookSpec> {
        let imported = import_sealed(&sealed.yaml, &sealed.secrets).unwrap();
        imported.spec.receivers.into_iter().flat_map(|receiver| receiver.webhook_configs).collect()
    }

    fn password(webhook: &WebhookSpec) -> String {
        match webhook.http.as_ref().and_then(|http| http.auth.as_ref()) {
            Some(
                Auth::Basic { password: Secret::Text(text), .. }
                | Auth::Credentials { credentials: Secret::Text(text), .. },
            ) => text.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_kept_and_shown_has_no_secret_and_what_is_asked_has_them() {
        let sealed = seal(FILE, &[]).unwrap();
        for secret in ["p-one", "and-two", "tenant-pw", "pd-key", "io-key", "rc-id", "mail-pw"] {
            assert!(!sealed.yaml.contains(secret), "{}", sealed.yaml);
            assert!(!format!("{:?}", sealed.secrets).contains(secret), "{:?}", sealed.secrets);
        }
        assert!(sealed.yaml.contains("# the hook of the team") && sealed.yaml.contains("values: [web]"));
        let hooks = webhooks_of(&sealed);
        assert_eq!([password(&hooks[0]), password(&hooks[1])], ["p-one", "p-one-and-two"]);
        assert!(!format!("{hooks:?}").contains("p-one"), "{hooks:?}");
        let kept: Vec<KeptSecrets> = serde_json::from_str(&serde_json::to_string(&sealed.secrets).unwrap()).unwrap();
        assert_eq!(kept, sealed.secrets);
        // What was shown comes back, with another key.
        let again = seal(&sealed.yaml.replace("# the hook of the team", "labels: {}"), &sealed.secrets).unwrap();
        assert_eq!(again.secrets, sealed.secrets);
        assert_eq!(webhooks_of(&again), hooks);
    }

    #[test]
    fn a_secret_that_is_not_written_again_goes_nowhere_else() {
        let sealed = seal(FILE, &[]).unwrap();
        for (from, to) in [
            ("https://hook.example/a", "https://elsewhere.example/a"),
            ("name: r\n", "name: other\n"),
            ("username: ana", "username: raj"),
            ("basic_auth:", "proxy_url: 'http://elsewhere.example', basic_auth:"),
            ("basic_auth:", "tls_config: {insecure_skip_verify: true}, basic_auth:"),
        ] {
            let text = sealed.yaml.replacen(from, to, 1);
            assert_ne!(text, sealed.yaml, "{from}");
            let refused = seal(&text, &sealed.secrets).unwrap_err();
            assert!(refused.path.ends_with("webhook_configs[0].http_config.basic_auth.password"), "{refused:?}");
            assert!(refused.message.contains("write the secret itself"), "{refused:?}");
        }
        assert!(seal(&sealed.yaml, &[]).is_err(), "nothing is kept");
    }

    #[test]
    fn webhooks_without_their_own_have_that_of_global() {
        let file = "
global: {http_config: {authorization: {credentials: shared-pw}}}
route: {receiver: r}
receivers:
- {name: r, webhook_configs: [{url: 'http://a'}, {url: 'http://b', http_config: {bearer_token: own-pw}}]}
";
        let sealed = seal(file, &[]).unwrap();
        assert!(!sealed.yaml.contains("-pw"), "{}", sealed.yaml);
        let hooks = webhooks_of(&sealed);
        assert_eq!([password(&hooks[0]), password(&hooks[1])], ["shared-pw", "own-pw"]);
        let more = sealed.yaml.replace("{url: 'http://a'}", "{url: 'http://a'}, {url: 'http://c'}");
        assert!(seal(&more, &sealed.secrets).is_err(), "the secret was not meant for it");
    }

    #[test]
    fn what_cannot_be_hidden_in_the_text_is_written_anew() {
        for (secret, written) in
            [("r", "r".to_owned()), ("with\nlines", "\"with\\nlines\"".to_owned()), ("<secret", "'<secret'".to_owned())]
        {
            let file = format!(
                "route: {{receiver: r}}\nreceivers: [{{name: r, webhook_configs: [{{url: 'http://h', http_config: {{bearer_token: {written}}}}}]}}]\n"
            );
            let sealed = seal(&file, &[]).unwrap();
            assert!(sealed.yaml.contains(SECRET_SHOWN), "{}", sealed.yaml);
            assert_eq!(password(&webhooks_of(&sealed)[0]), secret, "{}", sealed.yaml);
        }
        let number = "{route: {receiver: r}, receivers: [{name: r, webhook_configs: [{url: 'http://h', http_config: {bearer_token: 1234}}]}]}";
        let refused = seal(number, &[]).unwrap_err();
        assert_eq!(refused.path, "receivers.0.webhook_configs.0.http_config.bearer_token");
        assert!(refused.message.contains("quotes"), "{refused:?}");
    }
}
