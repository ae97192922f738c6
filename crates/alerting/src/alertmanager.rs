//! Alertmanager's configuration file: what of it has an equal here is taken over, the rest is told line by line.
//!
//! It is also how this program's own routing is written, with four keys more in a receiver: `policy` names the escalation
//! policy that is asked, `quiet: true` tells nobody, `pages: all` pages for alerts that are not critical as well, and
//! `messages` has the words of messages by channel. `template_texts` has what the files of `templates` hold.

use std::collections::btree_map::Entry;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    inhibit::InhibitSpec,
    routes::{RouteDefaults, RouteSpec, RoutingError, wrong},
    routing::{GlobalSpec, NamedIntervals, Pages, ReceiverSpec, Routing, RoutingSpec},
    sealed::{self, KeptSecrets},
    webhook,
    wording::{self, Wordings},
};

/// Bytes of one configuration file.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

/// What an import brings.
#[derive(Debug, Clone)]
pub struct Imported {
    /// With the times written out, so that it means the same under this program's defaults.
    pub spec: RoutingSpec,
    pub routing: Routing,
    /// What has no equal here, in the file's order.
    pub report: Vec<Note>,
}

/// One thing that was not taken over as it stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Note {
    pub path: String,
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    global: Option<Map<String, Value>>,
    route: Option<RouteSpec>,
    #[serde(default)]
    inhibit_rules: Option<Vec<InhibitSpec>>,
    #[serde(default)]
    receivers: Option<Vec<Map<String, Value>>>,
    #[serde(default)]
    templates: Option<Vec<String>>,
    #[serde(default)]
    template_texts: Option<Vec<String>>,
    #[serde(default)]
    mute_time_intervals: Option<Vec<NamedIntervals>>,
    #[serde(default)]
    time_intervals: Option<Vec<NamedIntervals>>,
    #[serde(default)]
    tracing: Option<Value>,
    #[serde(default)]
    event_recorder: Option<Value>,
}

/// Kinds of receivers whose service carries pages to people here: the product, the channel, and what its address is. The
/// address is the person's or the room's own; what stands in the file may be a secret, so it is not repeated.
pub(crate) const CHANNELS: [(&str, &str, &str); 11] = [
    ("email", "mail", "an address"),
    ("slack", "slack", "the address of an incoming webhook"),
    ("mattermost", "mattermost", "the address of an incoming webhook"),
    ("discord", "discord", "the address of a webhook"),
    ("msteams", "teams", "the address of a workflow's webhook"),
    ("msteamsv2", "teams", "the address of a workflow's webhook"),
    ("telegram", "telegram", "a chat, and the server's bot in `[channels]`"),
    ("pushover", "pushover", "a user key, and the server's token in `[channels]`"),
    ("pagerduty", "pagerduty", "a routing key"),
    ("opsgenie", "opsgenie", "the key of an API integration"),
    ("sns", "sms", "a number, and the server's account in `[channels]`"),
];

/// The other products that Alertmanager tells.
const OTHERS: [&str; 6] = ["incidentio", "jira", "rocketchat", "victorops", "webex", "wechat"];

/// What to do about a kind of receiver.
fn advice(product: &str) -> String {
    let Some((_, channel, address)) = CHANNELS.iter().find(|(known, _, _)| *known == product) else {
        let own = "give the receiver an escalation policy, or `webhook_configs`";
        return if OTHERS.contains(&product) {
            format!("{product} carries no pages here; {own}")
        } else {
            format!("`{product}_configs` is of no product that is known here, or misspelt: it tells nobody; {own}")
        };
    };
    let own = "on Settings, Me, or in `contact` of their profile";
    let way = format!("the channel `{channel}` is each person's own way ({address}, {own})");
    let room = if *channel == "mail" { "a list" } else { "a room" };
    format!("{way}; give the receiver `policy:` with these people, or with an account that stands for {room}")
}

/// What to do about a key of `global`.
fn global_advice(key: &str) -> &'static str {
    match key {
        _ if key.starts_with("smtp_") => "the mail server stands in `[mail]` of tenfold.toml",
        _ if key.starts_with("telegram_") => {
            "the bot stands in `[channels]` of tenfold.toml, the chat in people's profiles"
        }
        "pagerduty_url" | "opsgenie_api_url" => "another place of the service stands in `[channels]` of tenfold.toml",
        "slack_api_url"
        | "slack_api_url_file"
        | "mattermost_webhook_url"
        | "mattermost_webhook_url_file"
        | "opsgenie_api_key"
        | "opsgenie_api_key_file" => "addresses and keys are each person's own, in their profile",
        "http_config" => "holds for webhooks; proxies and certificates of channels are not set here",
        _ => "has no equal",
    }
}

/// Reads an `alertmanager.yml`.
///
/// # Errors
/// What makes Alertmanager refuse the file as well, with its place.
pub fn import_alertmanager(yaml: &str) -> Result<Imported, RoutingError> {
    import_sealed(yaml, &[])
}

/// The same with the secrets that were taken out of it when it was put ([`crate::seal`]).
///
/// # Errors
/// As [`import_alertmanager`].
pub fn import_sealed(yaml: &str, kept: &[KeptSecrets]) -> Result<Imported, RoutingError> {
    if yaml.len() > CONFIG_BYTES_MAX {
        return Err(wrong("file", format!("has at most {CONFIG_BYTES_MAX} bytes, this one has {}", yaml.len())));
    }
    let mut raw: RawFile = read(yaml)?;
    if let Some(receivers) = &mut raw.receivers {
        sealed::give_defaults(raw.global.as_ref(), receivers);
        sealed::fill(receivers, kept);
    }
    let mut report = Vec::new();
    let mut route = raw.route.ok_or_else(|| wrong("route", "there is no route"))?;
    let mut receivers = Vec::new();
    for (i, receiver) in raw.receivers.unwrap_or_default().into_iter().enumerate() {
        receivers.push(read_receiver(receiver, i, &mut report)?);
    }
    let mut spec_global = None;
    if let Some(global) = raw.global {
        for (key, value) in global {
            match (key.as_str(), value) {
                ("resolve_timeout", Value::String(text)) => {
                    spec_global = Some(GlobalSpec { resolve_timeout: Some(text) });
                }
                ("resolve_timeout", Value::Null) => {}
                ("resolve_timeout", _) => return Err(wrong("global.resolve_timeout", "is a duration, such as 5m")),
                _ => report.push(note(format!("global.{key}"), global_advice(&key))),
            }
        }
    }
    if raw.template_texts.is_none() && !raw.templates.unwrap_or_default().is_empty() {
        let message = "a server reads no files for a configuration; `tenfold routes put` sends their texts along";
        report.push(note("templates", message));
    }
    for (key, given) in [("tracing", raw.tracing.is_some()), ("event_recorder", raw.event_recorder.is_some())] {
        if given {
            report.push(note(key, "is not taken over; the record keeps what happened"));
        }
    }
    let mut time_intervals = raw.mute_time_intervals.unwrap_or_default();
    time_intervals.extend(raw.time_intervals.unwrap_or_default());
    write_out(&mut route);
    let mut spec = RoutingSpec {
        global: spec_global,
        route,
        inhibit_rules: raw.inhibit_rules.unwrap_or_default(),
        time_intervals,
        receivers,
        template_texts: raw.template_texts.unwrap_or_default(),
    };
    report.extend(wording::settle(&mut spec)?);
    let routing = Routing::compile(&spec, RouteDefaults::ALERTMANAGER)?;
    Ok(Imported { spec, routing, report })
}

/// The same of what is stored, which was taken by an older version perhaps: what is wrong with how a webhook is asked, or is no
/// list, is told, and keeps no alert from its people. All webhooks are then asked without an `http_config`.
///
/// # Errors
/// As [`import_alertmanager`], but for webhooks.
pub fn import_stored(yaml: &str, kept: &[KeptSecrets]) -> Result<Imported, RoutingError> {
    let refused = match import_sealed(yaml, kept) {
        Ok(imported) => return Ok(imported),
        Err(refused) if refused.path.contains("_configs") => refused,
        Err(refused) => return Err(refused),
    };
    let mut file: Map<String, Value> = read(yaml)?;
    if make_lists(&mut file)
        && let Ok(mut imported) = import_sealed(&Value::Object(file.clone()).to_string(), kept)
    {
        let message = format!("{}; it is read as a list of that one", refused.message);
        imported.report.push(note(refused.path, message));
        return Ok(imported);
    }
    if let Some(global) = file.get_mut("global").and_then(Value::as_object_mut) {
        global.remove("http_config");
    }
    let receivers = file.get_mut("receivers").and_then(Value::as_array_mut).into_iter().flatten();
    for webhook in receivers.filter_map(Value::as_object_mut).flat_map(sealed::webhooks) {
        webhook.remove("http_config");
        if webhook.get("url").and_then(Value::as_str).is_some_and(|url| !url.is_empty()) {
            webhook.remove("url_file");
        }
    }
    let mut imported = import_sealed(&Value::Object(file).to_string(), &[])?;
    let message = format!("{}; until that is mended, webhooks are asked without `http_config`", refused.message);
    imported.report.push(note(refused.path, message));
    Ok(imported)
}

/// Makes lists of what older versions took for `*_configs`; whether there was any.
fn make_lists(file: &mut Map<String, Value>) -> bool {
    let mut any = false;
    let receivers = file.get_mut("receivers").and_then(Value::as_array_mut).into_iter().flatten();
    for (kind, value) in receivers.filter_map(Value::as_object_mut).flatten() {
        if kind.ends_with("_configs") && !value.is_null() && !value.is_array() {
            *value = Value::Array(vec![value.take()]);
            any = true;
        }
    }
    any
}

/// The file as YAML, or the line at which it is none.
pub(crate) fn read<T: serde::de::DeserializeOwned>(yaml: &str) -> Result<T, RoutingError> {
    serde_saphyr::from_str(yaml).map_err(|e| {
        let line = e.location().map_or(0, |l| l.line());
        wrong(format!("line {line}"), e.without_snippet().to_string())
    })
}

pub(crate) fn note(path: impl Into<String>, message: impl Into<String>) -> Note {
    Note { path: path.into(), message: message.into() }
}

fn read_receiver(
    receiver: Map<String, Value>,
    at: usize,
    report: &mut Vec<Note>,
) -> Result<ReceiverSpec, RoutingError> {
    let path = format!("receivers[{at}]");
    let Some(Value::String(name)) = receiver.get("name") else {
        return Err(wrong(format!("{path}.name"), "a receiver has a name"));
    };
    let (mut channels, mut people, mut policy, mut quiet, mut pages) = (0, 0, None, None, None);
    let (mut webhook_configs, mut messages, mut own) = (Vec::new(), Wordings::new(), Wordings::new());
    for (kind, value) in receiver.iter().filter(|(kind, _)| *kind != "name") {
        match (kind.as_str(), value) {
            ("policy", Value::String(name)) => policy = Some(name.clone()),
            ("quiet", Value::Bool(is)) => quiet = Some(*is),
            ("pages", Value::String(word)) if Pages::parse(word).is_some() => pages = Pages::parse(word),
            ("policy" | "quiet" | "pages", _) => {
                let message = "`policy` is a name, `quiet` is true or false, `pages` is critical or all";
                return Err(wrong(format!("{path}.{kind}"), message));
            }
            _ => {}
        }
        // Labels of receivers are for tools that filter by them; nothing here does.
        if matches!(kind.as_str(), "policy" | "quiet" | "pages" | "labels") {
            continue;
        }
        if kind == "messages" {
            own = wording::read_own(value, &format!("{path}.{kind}"))?;
            continue;
        }
        let Some(product) = kind.strip_suffix("_configs") else {
            return Err(wrong(format!("{path}.{kind}"), "is not known"));
        };
        let count = match value {
            Value::Null => 0,
            Value::Array(list) => list.len(),
            _ => return Err(wrong(format!("{path}.{kind}"), "is a list")),
        };
        channels += count;
        if kind == "webhook_configs" {
            webhook_configs = webhook::read(value, &format!("{path}.{kind}"))?;
            continue;
        }
        if count == 0 {
            continue;
        }
        people += count;
        report.push(note(format!("{path}.{kind}"), advice(product)));
        if let Some((channel, words)) = wording::words_of(product, value, &format!("{path}.{kind}"), report) {
            match messages.entry(channel) {
                Entry::Vacant(free) => {
                    free.insert(words);
                }
                Entry::Occupied(known) if *known.get() == words || own.contains_key(known.key()) => {}
                Entry::Occupied(known) => {
                    let message =
                        format!("has other words for `{}` than another kind before it: those are taken", known.key());
                    report.push(note(format!("{path}.{kind}"), message));
                }
            }
        }
    }
    messages.extend(own);
    let quiet = quiet.unwrap_or(channels == 0 && policy.is_none() && pages.is_none());
    if people > 0 && !quiet && pages.is_none() {
        let message = "is told of whatever comes to it there; here it pages people for critical alerts, and with \
                       `pages: all` for the others as well";
        report.push(note(format!("{path}.pages"), message));
    }
    Ok(ReceiverSpec { name: name.clone(), quiet, pages: pages.unwrap_or_default(), policy, webhook_configs, messages })
}

/// The defaults of Alertmanager's root route, written into it.
fn write_out(route: &mut RouteSpec) {
    let or = |given: &mut Option<String>, default: &str| {
        given.get_or_insert_with(|| default.to_owned());
    };
    or(&mut route.group_wait, "30s");
    or(&mut route.group_interval, "5m");
    or(&mut route.repeat_interval, "4h");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_says_what_to_do() {
        let file = "
global: {smtp_smarthost: 'mail:25', slack_api_url: 'https://hooks.example.org/T0/secret', wechat_api_url: 'https://x'}
route: {receiver: r}
receivers:
- name: r
  slack_configs: [{api_url: 'https://hooks.example.org/T0/secret', channel: '#web'}]
  email_configs: [{to: web@example.org}]
  msteams_configs: [{webhook_url: 'https://teams.example.org/secret', title: one}]
  msteamsv2_configs: [{webhook_url: 'https://teams.example.org/secret', title: two}]
  wechat_configs: [{to_user: x}]
  jira_configs: [{api_url: 'https://jira.example.org/secret', project: OPS, issue_type: Bug}]
  rocketchat_configs: [{channel: '#web', token: secret}]
  incidentio_configs: [{url: 'https://api.incident.example/secret', alert_source_token: secret}]
  mattermost_configs: [{webhook_url: 'https://mm.example.org/secret', text: hello}]
  slak_configs: [{channel: '#web'}]
  sns_configs: []
";
        let imported = import_alertmanager(file).unwrap();
        let (messages, report) = (&imported.spec.receivers[0].messages, imported.report);
        assert_eq!(messages["teams"].subject.as_deref(), Some("one"));
        assert_eq!(messages["mattermost"].text.as_deref(), Some("hello"));
        let other = "has other words for `teams`";
        assert!(
            report.iter().any(|n| n.path.ends_with("msteamsv2_configs") && n.message.contains(other)),
            "{report:?}"
        );
        let told = |path: &str| report.iter().find(|n| n.path == path).map_or("", |n| n.message.as_str());
        for (path, parts) in [
            ("receivers[0].slack_configs", ["the channel `slack`", "incoming webhook"]),
            ("receivers[0].email_configs", ["the channel `mail`", "stands for a list"]),
            ("receivers[0].msteams_configs", ["the channel `teams`", "`policy:`"]),
            ("receivers[0].msteamsv2_configs", ["the channel `teams`", "`policy:`"]),
            ("receivers[0].jira_configs", ["jira carries no pages", "webhook_configs"]),
            ("receivers[0].rocketchat_configs", ["rocketchat carries no pages", "webhook_configs"]),
            ("receivers[0].incidentio_configs", ["incidentio carries no pages", "webhook_configs"]),
            ("receivers[0].mattermost_configs", ["the channel `mattermost`", "incoming webhook"]),
            ("receivers[0].slak_configs", ["misspelt", "tells nobody"]),
            ("receivers[0].wechat_configs", ["wechat carries no pages", "webhook_configs"]),
            ("global.smtp_smarthost", ["`[mail]`", "tenfold.toml"]),
            ("global.slack_api_url", ["each person's own", "profile"]),
            ("global.wechat_api_url", ["no equal", ""]),
        ] {
            assert!(parts.iter().all(|p| told(path).contains(p)), "{path}: {}", told(path));
        }
        assert_eq!(told("receivers[0].sns_configs"), "", "an empty list says nothing");
        assert!(report.iter().all(|n| !n.message.contains("secret")), "{report:?}");
    }

    /// Alertmanager refuses it, and one that counted for nothing would leave the receiver without anybody to page.
    #[test]
    fn what_is_no_list_is_refused_and_pages_where_it_is_stored() {
        let file = "{route: {receiver: r}, receivers: [{name: r, slack_configs: {channel: '#web', title: one}}]}";
        assert_eq!(import_alertmanager(file).unwrap_err().path, "receivers[0].slack_configs");
        let stored = import_stored(file, &[]).unwrap();
        assert!(!stored.spec.receivers[0].quiet);
        assert_eq!(stored.spec.receivers[0].messages["slack"].subject.as_deref(), Some("one"));
        assert!(stored.report.iter().any(|n| n.message.contains("as a list of that one")), "{:?}", stored.report);
    }

    /// `amtool check-config` takes it as well.
    #[test]
    fn a_key_with_nothing_behind_it_is_none() {
        let file = "
global: {resolve_timeout: }
route:
  receiver: r
  group_by:
  matchers:
  match:
  match_re:
  group_wait:
  continue:
  mute_time_intervals:
  routes:
  - receiver:
    matchers: ['a=\"b\"']
    routes:
inhibit_rules:
- source_matchers: ['a=\"b\"']
  target_matchers: ['c=\"d\"']
  equal:
  source_match:
receivers:
- name: r
  webhook_configs:
time_intervals:
- name: x
  time_intervals:
  - weekdays:
    times:
    months: ['1']
- name: y
  time_intervals:
";
        let read = import_alertmanager(file).unwrap();
        assert_eq!(
            (read.spec.route.routes.len(), read.spec.route.goes_on, read.spec.inhibit_rules.len()),
            (1, false, 1)
        );
        assert!(read.spec.time_intervals[0].time_intervals[0].times.is_empty());
    }

    #[test]
    fn what_is_stored_pages_people_whatever_is_wrong_with_a_webhook() {
        let file = "
route: {receiver: r}
receivers:
- name: r
  policy: web
  webhook_configs: [{url: 'http://h', url_file: old, http_config: {colour: red}}, {url: 'http://i', http_config: {bearer_token: t}}]
";
        assert!(import_alertmanager(file).is_err());
        let read = import_stored(file, &[]).unwrap();
        let receiver = &read.routing.receivers["r"];
        assert_eq!(receiver.policy.as_deref(), Some("web"));
        let urls: Vec<_> = receiver.webhook_configs.iter().map(|w| (w.url.as_str(), w.http.is_some())).collect();
        assert_eq!(urls, [("http://h", false), ("http://i", false)]);
        assert!(read.report.iter().any(|n| n.path.contains("webhook_configs[0]") && n.message.contains("mended")));
        assert!(
            import_stored("{route: {receiver: x}, receivers: [{name: r}]}", &[]).is_err(),
            "what is wrong otherwise"
        );
    }
}
