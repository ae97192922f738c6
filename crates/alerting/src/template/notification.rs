//! Notification templates: files that define templates for each other, and the data Alertmanager gives them.

use std::cell::Cell;

use tenfold_types::{Labels, Timestamp};

use super::{
    TemplateError,
    functions::{Dialect, World},
    parse::{self, Definitions},
    run::Run,
    time::GO_ZERO,
    value::{Object, Value},
};

/// One alert of a notification.
#[derive(Debug, Clone)]
pub struct NotificationAlert {
    pub firing: bool,
    pub labels: Labels,
    pub annotations: Labels,
    pub starts_at: Timestamp,
    pub ends_at: Option<Timestamp>,
    pub generator_url: String,
    pub fingerprint: String,
}

/// What a notification is about.
#[derive(Debug, Clone)]
pub struct Notification {
    pub receiver: String,
    pub alerts: Vec<NotificationAlert>,
    pub group_labels: Labels,
    pub external_url: String,
}

impl Notification {
    fn value(&self) -> Value {
        let firing = self.alerts.iter().any(|a| a.firing);
        let alert = |a: &NotificationAlert| {
            Object::value(
                "Alert",
                vec![
                    ("Status", Value::text(if a.firing { "firing" } else { "resolved" })),
                    ("Labels", Value::labels(&a.labels)),
                    ("Annotations", Value::labels(&a.annotations)),
                    ("StartsAt", Value::Time(a.starts_at)),
                    ("EndsAt", Value::Time(a.ends_at.unwrap_or(GO_ZERO))),
                    ("GeneratorURL", Value::text(&a.generator_url)),
                    ("Fingerprint", Value::text(&a.fingerprint)),
                ],
            )
        };
        Object::value(
            "Data",
            vec![
                ("Receiver", Value::text(&self.receiver)),
                ("Status", Value::text(if firing { "firing" } else { "resolved" })),
                ("Alerts", Value::list(self.alerts.iter().map(alert).collect())),
                ("GroupLabels", Value::labels(&self.group_labels)),
                ("CommonLabels", Value::labels(&common(self.alerts.iter().map(|a| &a.labels)))),
                ("CommonAnnotations", Value::labels(&common(self.alerts.iter().map(|a| &a.annotations)))),
                ("ExternalURL", Value::text(&self.external_url)),
            ],
        )
    }
}

/// What all of them have in common.
fn common<'a>(mut all: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(mut out) = all.next().cloned() else { return Labels::new() };
    for labels in all {
        let other: Vec<String> =
            out.iter().filter(|(n, v)| labels.get(n) != Some(v)).map(|(n, _)| n.to_owned()).collect();
        for name in other {
            out.remove(&name);
        }
    }
    out
}

/// Templates by name, out of any number of files.
#[derive(Debug, Default)]
pub struct TemplateSet {
    definitions: Definitions,
}

impl TemplateSet {
    /// Adds what a file defines; a later definition of the same name counts.
    ///
    /// # Errors
    /// Names the word that is not understood.
    pub fn add(&mut self, source: &str) -> Result<(), TemplateError> {
        parse::parse(source, Dialect::Notification, &mut self.definitions).map(|_| ())
    }
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.definitions.keys().map(String::as_str)
    }

    /// Fills a text in, such as `{{ template "slack.default.title" . }}`.
    ///
    /// # Errors
    /// What was not understood, or failed on the way.
    pub fn render(&self, text: &str, about: &Notification, at: Timestamp) -> Result<String, TemplateError> {
        let mut definitions = self.definitions.clone();
        let nodes = parse::parse(text, Dialect::Notification, &mut definitions)?;
        let world = World { ask: None, external_url: &about.external_url, at, gone_through: Cell::default() };
        let mut run = Run::new(Dialect::Notification, &definitions, &world);
        run.template(&nodes, &about.value())?;
        Ok(run.out)
    }
}
