//! What a configuration says of the words of messages to people: the templates of a receiver's `*_configs`, by the channel here.
//!
//! Only words are taken: addresses and colours are not, nor is markup. A template that cannot be filled in is told when the
//! file is read, and its messages are in this program's own words, so that nobody goes unpaged for a template.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenfold_types::{Labels, Timestamp};

use crate::{
    alertmanager::{CHANNELS, Note, note, read},
    routes::{RoutingError, wrong},
    routing::RoutingSpec,
    template::{Notification, NotificationAlert, TemplateError, TemplateSet},
};

/// Texts of template files in one configuration.
const TEXTS_MAX: usize = 50;
/// The key with the texts of the files that `templates` names: a server reads no files for whoever puts a configuration.
pub(crate) const TEXTS: &str = "template_texts";
/// Channels that no receiver of Alertmanager has.
const OTHER_CHANNELS: [&str; 7] = ["webhook", "irc", "matrix", "ntfy", "gotify", "webpush", "voice"];

/// The words of messages by one channel, as templates. What is not there is said in this program's own words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// By channel.
pub type Wordings = BTreeMap<String, Wording>;

/// Where a product's configuration has its subject and its text. Of mail the subject is a header.
const FIELDS: [(&str, &str, &str); 11] = [
    ("email", "", "text"),
    ("slack", "title", "text"),
    ("mattermost", "", "text"),
    ("discord", "title", "message"),
    ("msteams", "title", "text"),
    ("msteamsv2", "title", "text"),
    ("telegram", "", "message"),
    ("pushover", "title", "message"),
    ("pagerduty", "description", ""),
    ("opsgenie", "message", "description"),
    ("sns", "message", ""),
];

/// Whether messages go by a channel of this name.
pub fn is_channel(name: &str) -> bool {
    CHANNELS.iter().any(|(_, channel, _)| *channel == name) || OTHER_CHANNELS.contains(&name)
}

/// The words in the first of a product's configurations that has any.
pub(crate) fn words_of(
    product: &str,
    configs: &Value,
    path: &str,
    report: &mut Vec<Note>,
) -> Option<(String, Wording)> {
    let (_, channel, _) = CHANNELS.iter().copied().find(|(known, _, _)| *known == product)?;
    let (_, subject, text) = FIELDS.iter().copied().find(|(known, _, _)| *known == product)?;
    let configs: &[Value] = configs.as_array().map_or(&[], Vec::as_slice);
    if product == "email" && configs.iter().any(|c| c.get("html").is_some() && c.get("text").is_none()) {
        report.push(note(format!("{path}.html"), "mails are plain text; `text` says how they read"));
    }
    let field = |config: &Value, name: &str| {
        let text = config.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        text.map(str::to_owned)
    };
    let wordings = configs.iter().map(|config| Wording {
        subject: if product == "email" { header(config, "subject") } else { field(config, subject) },
        text: field(config, text),
    });
    let mut wordings = wordings.filter(|wording| *wording != Wording::default());
    let found = wordings.next()?;
    if wordings.any(|other| other != found) {
        report.push(note(path, "several of them have words of their own; those of the first are taken for all"));
    }
    Some((channel.to_owned(), found))
}

/// A header of a mail, however its name is written.
fn header(config: &Value, name: &str) -> Option<String> {
    let headers = config.get("headers").and_then(Value::as_object)?;
    let (_, value) = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

/// The `messages` of a receiver: our own key.
pub(crate) fn read_own(value: &Value, path: &str) -> Result<Wordings, RoutingError> {
    let wordings: Wordings = serde_json::from_value(value.clone())
        .map_err(|e| wrong(path, format!("is a `subject` and a `text` by channel: {e}")))?;
    if let Some(channel) = wordings.keys().find(|channel| !is_channel(channel)) {
        return Err(wrong(path, format!("there is no channel `{channel}`")));
    }
    Ok(wordings)
}

/// The words of all receivers, ready to be filled in.
#[derive(Debug, Default)]
pub struct Messages {
    set: TemplateSet,
    receivers: BTreeMap<String, Wordings>,
}

impl Messages {
    /// # Errors
    /// Names the text that is no file of templates.
    pub fn compile(spec: &RoutingSpec) -> Result<Self, RoutingError> {
        if spec.template_texts.len() > TEXTS_MAX {
            return Err(wrong(TEXTS, format!("at most {TEXTS_MAX} texts")));
        }
        let mut set = TemplateSet::default();
        for (at, text) in spec.template_texts.iter().enumerate() {
            set.add(text).map_err(|e| wrong(format!("{TEXTS}[{at}]"), e.to_string()))?;
        }
        let worded = spec.receivers.iter().filter(|receiver| !receiver.messages.is_empty());
        let receivers = worded.map(|receiver| (receiver.name.clone(), receiver.messages.clone())).collect();
        Ok(Self { set, receivers })
    }

    pub fn of(&self, receiver: &str, channel: &str) -> Option<&Wording> {
        self.receivers.get(receiver)?.get(channel)
    }

    /// Fills a template in.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn render(&self, template: &str, about: &Notification, at: Timestamp) -> Result<String, TemplateError> {
        self.set.render(template, about, at)
    }
}

/// Takes those templates out that cannot be filled in, and says so.
pub(crate) fn settle(spec: &mut RoutingSpec) -> Result<Vec<Note>, RoutingError> {
    let messages = Messages::compile(spec)?;
    let mut report = Vec::new();
    for (at, receiver) in spec.receivers.iter_mut().enumerate() {
        let about = sample(&receiver.name);
        for (channel, wording) in &mut receiver.messages {
            for (name, template) in [("subject", &mut wording.subject), ("text", &mut wording.text)] {
                let filled = template.as_deref().map(|text| messages.render(text, &about, Timestamp(0)));
                let Some(Err(e)) = filled else { continue };
                *template = None;
                let path = format!("receivers[{at}].messages.{channel}.{name}");
                report.push(note(path, format!("{e}; these messages are in this program's own words")));
            }
        }
        receiver.messages.retain(|_, wording| *wording != Wording::default());
    }
    Ok(report)
}

/// Two alerts of one group, for a first try.
fn sample(receiver: &str) -> Notification {
    let alert = |instance: &str| NotificationAlert {
        firing: true,
        labels: Labels::from_pairs([("alertname", "Sample"), ("severity", "critical"), ("instance", instance)]),
        annotations: Labels::from_pairs([("summary", "a sample"), ("description", "a sample")]),
        starts_at: Timestamp(0),
        ends_at: None,
        generator_url: "http://localhost/".to_owned(),
        fingerprint: "0000000000000000".to_owned(),
    };
    Notification {
        receiver: receiver.to_owned(),
        alerts: vec![alert("a"), alert("b")],
        group_labels: Labels::from_pairs([("alertname", "Sample")]),
        external_url: "http://localhost".to_owned(),
    }
}

/// The files of templates that a configuration names and whose texts it does not have.
///
/// # Errors
/// What makes the file no configuration of Alertmanager, with its place.
pub fn template_files(yaml: &str) -> Result<Vec<String>, RoutingError> {
    let file: Map<String, Value> = read(yaml)?;
    if file.contains_key(TEXTS) {
        return Ok(Vec::new());
    }
    let names = file.get("templates").and_then(Value::as_array);
    Ok(names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// The configuration with these texts in it. All else stays as it is written.
///
/// # Errors
/// What makes the file no configuration of Alertmanager, with its place.
pub fn with_template_texts(yaml: &str, texts: &[String]) -> Result<String, RoutingError> {
    // Each text as JSON is one line of YAML.
    let lines: Vec<String> = texts.iter().map(|text| format!("- {}\n", Value::from(text.as_str()))).collect();
    let appended = format!("{}\n{TEXTS}:\n{}", yaml.trim_end(), lines.concat());
    if read::<Map<String, Value>>(&appended).is_ok_and(|file| file.contains_key(TEXTS)) {
        return Ok(appended);
    }
    // Written in braces, nothing can stand behind it.
    let mut file: Map<String, Value> = read(yaml)?;
    file.insert(TEXTS.to_owned(), Value::from(texts));
    Ok(Value::Object(file).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import_alertmanager;

    const FILE: &str = "
# what we say
templates: ['*.tmpl']
route: {receiver: web}
receivers:
- name: web
  policy: web
  messages: {irc: {subject: 'look: {{ .CommonLabels.alertname }}'}}
  slack_configs:
  - {channel: '#web', title: '{{ template \"our.title\" . }}', text: '{{ range .Alerts }}{{ .Annotations.summary }};{{ end }}'}
  email_configs:
  - {to: web@example.org, headers: {subject: '{{ .Alerts.Firing | len }} of {{ .GroupLabels.alertname }}'}, html: '<b>x</b>'}
  telegram_configs: [{chat_id: 1, message: '{{ nothing }}'}]
";
    const TEXT: &str = "{{ define \"our.title\" }}{{ .Status }} \"at\" {{ .Receiver }}\n{{ end }}";

    #[test]
    fn words_are_taken_by_channel_and_those_that_cannot_be_filled_in_are_told() {
        assert_eq!(template_files(FILE).unwrap(), ["*.tmpl"]);
        let file = with_template_texts(FILE, &[TEXT.to_owned()]).unwrap();
        assert!(file.contains("# what we say"), "{file}");
        assert_eq!(template_files(&file).unwrap(), Vec::<String>::new());
        let imported = import_alertmanager(&file).unwrap();
        let words = &imported.spec.receivers[0].messages;
        assert_eq!(words.keys().collect::<Vec<_>>(), ["irc", "mail", "slack"]);
        let told: Vec<&str> = imported.report.iter().map(|n| n.path.as_str()).collect();
        assert!(told.contains(&"receivers[0].email_configs.html"), "{told:?}");
        assert!(told.contains(&"receivers[0].messages.telegram.text") && !told.contains(&"templates"), "{told:?}");
        let messages = &imported.routing.messages;
        let say = |channel: &str, of: fn(&Wording) -> Option<&String>| {
            let template = messages.of("web", channel).and_then(of).expect(channel);
            messages.render(template, &sample("web"), Timestamp(0)).unwrap()
        };
        assert_eq!(say("slack", |w| w.subject.as_ref()).trim(), "firing \"at\" web");
        assert_eq!(say("slack", |w| w.text.as_ref()), "a sample;a sample;");
        assert_eq!(say("mail", |w| w.subject.as_ref()), "2 of Sample");
        assert_eq!(say("irc", |w| w.subject.as_ref()), "look: Sample");
    }

    #[test]
    fn words_that_are_not_taken_are_told() {
        let told = |second: &str| {
            let configs =
                format!("[{{channel: '#a', title: one}}, {{channel: '#b'}}, {{channel: '#c', title: {second}}}]");
            let file = format!("route: {{receiver: r}}\nreceivers: [{{name: r, slack_configs: {configs}}}]\n");
            let imported = import_alertmanager(&file).unwrap();
            assert_eq!(imported.spec.receivers[0].messages["slack"].subject.as_deref(), Some("one"));
            imported.report.iter().any(|n| n.path == "receivers[0].slack_configs" && n.message.contains("of the first"))
        };
        assert!(told("two"), "another wording is lost");
        assert!(!told("one"), "the same is not");
    }

    #[test]
    fn without_the_files_the_words_are_our_own() {
        let imported = import_alertmanager(FILE).unwrap();
        let told: Vec<&str> = imported.report.iter().map(|n| n.path.as_str()).collect();
        assert!(told.contains(&"templates") && told.contains(&"receivers[0].messages.slack.subject"), "{told:?}");
        assert_eq!(imported.spec.receivers[0].messages["slack"].subject, None);
    }

    #[test]
    fn texts_go_into_a_file_in_braces_as_well() {
        let file = r#"{"route": {"receiver": "r"}, "receivers": [{"name": "r"}], "templates": ["a.tmpl"]}"#;
        let file = with_template_texts(file, &[TEXT.to_owned()]).unwrap();
        assert_eq!(import_alertmanager(&file).unwrap().spec.template_texts, [TEXT]);
    }

    #[test]
    fn what_is_no_template_or_no_channel_is_refused() {
        let file = |more: &str| format!("route: {{receiver: r}}\nreceivers: [{{name: r{more}}}]\n");
        let refused = |yaml: &str| import_alertmanager(yaml).expect_err(yaml).path;
        assert_eq!(refused(&file(", messages: {fax: {subject: x}}")), "receivers[0].messages");
        assert_eq!(refused(&file(", messages: {mail: {body: x}}")), "receivers[0].messages");
        let broken = with_template_texts(&file(""), &["{{ define".to_owned()]).unwrap();
        assert_eq!(refused(&broken), "template_texts[0]");
    }
}
