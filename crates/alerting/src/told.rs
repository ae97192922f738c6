//! Whom an `alertmanager.yml` tells by services of people, so that accounts and policies can be drafted for them, and the
//! same file with these policies in it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    RoutingError,
    alertmanager::{CHANNELS, import_alertmanager, read},
    wording::{TEXTS, Wordings},
};

/// One way by which a receiver's people were told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldBy {
    /// The channel here: `mail`, `slack`, ..
    pub channel: &'static str,
    /// Addresses of mail. What the other services are addressed by may be a secret, and is left out.
    pub to: Vec<String>,
}

/// A receiver that tells people, and asks no policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverTold {
    pub receiver: String,
    pub by: Vec<ToldBy>,
}

/// The receivers of a file that tell people.
///
/// # Errors
/// What makes the file no configuration of Alertmanager, with its place.
pub fn people_told(yaml: &str) -> Result<Vec<ReceiverTold>, RoutingError> {
    import_alertmanager(yaml)?;
    let file: Map<String, Value> = read(yaml)?;
    let receivers: &[Value] = file.get("receivers").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    let mut out = Vec::new();
    for receiver in receivers.iter().filter_map(Value::as_object) {
        let Some(name) = receiver.get("name").and_then(Value::as_str) else { continue };
        if receiver.contains_key("policy") || receiver.get("quiet") == Some(&Value::Bool(true)) {
            continue;
        }
        let by: Vec<ToldBy> = receiver.iter().flat_map(|(kind, configs)| told_by(kind, configs)).collect();
        if !by.is_empty() {
            out.push(ReceiverTold { receiver: name.to_owned(), by });
        }
    }
    Ok(out)
}

/// The file with a policy in each of these receivers, by their names. What tells their people there is left out but for the
/// words, and so are secrets of services; each still hears of all that comes to it.
///
/// # Errors
/// What makes the file no configuration of Alertmanager, with its place.
pub fn with_policies(yaml: &str, policies: &BTreeMap<String, String>) -> Result<Value, RoutingError> {
    let read_as = import_alertmanager(yaml)?.spec.receivers;
    let words: BTreeMap<&str, &Wordings> = read_as.iter().map(|r| (r.name.as_str(), &r.messages)).collect();
    let mut file: Map<String, Value> = read(yaml)?;
    if file.contains_key(TEXTS) {
        file.remove("templates");
    }
    if let Some(global) = file.get_mut("global").and_then(Value::as_object_mut) {
        global.retain(|key, _| matches!(key.as_str(), "resolve_timeout" | "http_config"));
    }
    let receivers = file.get_mut("receivers").and_then(Value::as_array_mut);
    for receiver in receivers.into_iter().flatten().filter_map(Value::as_object_mut) {
        let stays = |key: &str| key == "webhook_configs" || !key.ends_with("_configs");
        let told_people = receiver.keys().any(|key| !stays(key));
        receiver.retain(|key, _| stays(key));
        let name = receiver.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let words = words.get(name.as_str()).filter(|words| !words.is_empty());
        if let Some(Ok(words)) = words.map(serde_json::to_value) {
            receiver.insert("messages".to_owned(), words);
        }
        if let Some(policy) = policies.get(&name).cloned() {
            receiver.insert("policy".to_owned(), Value::String(policy));
            receiver.entry("pages").or_insert_with(|| Value::String("all".to_owned()));
        } else if told_people {
            // One that told somebody is not quiet for what is left out here.
            receiver.entry("quiet").or_insert(Value::Bool(false));
        }
    }
    Ok(Value::Object(file))
}

/// The ways of one kind of a receiver; none where it has no channel here.
fn told_by(kind: &str, configs: &Value) -> Vec<ToldBy> {
    let product = kind.strip_suffix("_configs").unwrap_or_default();
    let Some((_, channel, _)) = CHANNELS.iter().copied().find(|(known, _, _)| *known == product) else {
        return Vec::new();
    };
    let configs: &[Value] = configs.as_array().map_or(&[], Vec::as_slice);
    configs.iter().map(|config| ToldBy { channel, to: mails(product, config) }).collect()
}

fn mails(product: &str, config: &Value) -> Vec<String> {
    let to = config.get("to").and_then(Value::as_str).filter(|_| product == "email").unwrap_or_default();
    // A template is no address.
    let is_address = |to: &&str| to.contains('@') && !to.contains("{{");
    // `Ana <ana@example.org>`; a comma in a quoted name leaves a piece without an address behind.
    let bare = |to: &str| to.rsplit_once('<').map_or(to, |(_, to)| to.trim_end_matches('>')).trim().to_owned();
    to.split(',').map(str::trim).filter(is_address).map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
global: {resolve_timeout: 10m, slack_api_url: 'https://hooks.example.org/T0/secret'}
route: {receiver: web, routes: [{receiver: programs, matchers: ['a=\"b\"']}]}
receivers:
- name: web
  slack_configs: [{api_url: 'https://hooks.example.org/T0/secret', channel: '#web'}]
  email_configs: [{to: 'web@example.org, ana@example.org'}, {to: '{{ .GroupLabels.owner }}'}]
  webhook_configs: [{url: 'http://127.0.0.1:9/hook'}]
- name: programs
  webhook_configs: [{url: 'http://127.0.0.1:9/hook'}]
- {name: nobody}
- {name: ours, policy: web, slack_configs: [{channel: '#x'}]}
- {name: elsewhere, wechat_configs: [{to_user: x}]}
";

    #[test]
    fn addresses_may_have_names() {
        let told = |to: &str| mails("email", &serde_json::json!({"to": to}));
        assert_eq!(told("\"Lima, Ana\" <ana@example.org> , raj@example.org"), ["ana@example.org", "raj@example.org"]);
        assert_eq!(told("{{ .GroupLabels.owner }}@example.org , Ops < ops@example.org >"), ["ops@example.org"]);
    }

    #[test]
    fn the_words_of_messages_are_kept() {
        let file = "
route: {receiver: web}
templates: ['*.tmpl']
template_texts: ['{{ define \"t\" }}{{ .Status }}{{ end }}']
receivers:
- {name: web, slack_configs: [{channel: '#web', title: '{{ template \"t\" . }}'}]}
";
        let policies = BTreeMap::from([("web".to_owned(), "web".to_owned())]);
        let read = import_alertmanager(&with_policies(file, &policies).expect("a configuration").to_string());
        let read = read.expect("what is written is read again");
        assert_eq!(read.report, Vec::new());
        let title = read.routing.receivers["web"].messages["slack"].subject.as_deref();
        assert_eq!(title, Some("{{ template \"t\" . }}"));
    }

    #[test]
    fn who_tells_people_is_known_by_receiver_and_the_file_reads_with_policies_in_it() {
        let told = people_told(FILE).expect("a configuration");
        let by = |channel, to: &[&str]| ToldBy { channel, to: to.iter().map(|t| (*t).to_owned()).collect() };
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].receiver, "web");
        for one in [by("slack", &[]), by("mail", &["web@example.org", "ana@example.org"]), by("mail", &[])] {
            assert!(told[0].by.contains(&one), "{one:?} in {told:?}");
        }
        let policies = BTreeMap::from([("web".to_owned(), "web".to_owned())]);
        let written = with_policies(FILE, &policies).expect("a configuration").to_string();
        assert!(!written.contains("secret") && !written.contains("slack"), "{written}");
        let read = import_alertmanager(&written).expect("what is written is read again");
        assert_eq!(read.report, Vec::new());
        let web = &read.routing.receivers["web"];
        assert_eq!((web.policy.as_deref(), web.pages, web.webhook_configs.len()), (Some("web"), crate::Pages::All, 1));
        assert!(!read.routing.receivers["elsewhere"].quiet && read.routing.receivers["nobody"].quiet);
        assert_eq!(read.spec.global.and_then(|g| g.resolve_timeout).as_deref(), Some("10m"));
    }
}
