//! Go's `text/template` with Prometheus' functions, for the labels and annotations of rules, and with Alertmanager's, for
//! notifications. What is not understood is refused when the file is read, so a rule never pages with a broken sentence.

mod compare;
mod format;
mod functions;
mod humanize;
mod lexer;
mod methods;
mod notification;
mod parse;
mod run;
#[cfg(test)]
mod tests;
mod time;
mod url;
mod value;

use std::{cell::Cell, sync::Arc};

use tenfold_types::{Labels, Timestamp};

pub use functions::AskFn;
use functions::{Dialect, World};
pub use notification::{Notification, NotificationAlert, TemplateSet};
use parse::{Definitions, Node};
use run::Run;
use value::{Object, Value};

/// What is around a rule and the same for all of its series.
#[derive(Clone, Copy)]
pub struct RuleWorld<'a> {
    /// Labels of the server as a whole (`$externalLabels`).
    pub external_labels: &'a Labels,
    /// Address of the server (`$externalURL`).
    pub external_url: &'a str,
    /// Answers `query`; without it such a template says that there is nothing to ask.
    pub ask: Option<&'a AskFn<'a>>,
    pub at: Timestamp,
}

/// What a template may speak of.
#[derive(Clone, Copy)]
pub struct TemplateContext<'a> {
    /// Labels of the series, before the rule adds its own.
    pub labels: &'a Labels,
    pub value: f64,
    pub world: RuleWorld<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {0}")]
pub struct TemplateError(pub(crate) String);

/// A parsed template of a rule.
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
    tree: Arc<(Vec<Node>, Definitions)>,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Template {}

impl Template {
    /// # Errors
    /// Names the word that is not understood.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut definitions = Definitions::new();
        let nodes = parse::parse(source, Dialect::Rule, &mut definitions)?;
        Ok(Self { source: source.to_owned(), tree: Arc::new((nodes, definitions)) })
    }
    pub fn source(&self) -> &str {
        &self.source
    }
    /// Fills the template in. A function that fails at this point leaves its reason in the text, as Prometheus does.
    pub fn expand(&self, context: &TemplateContext<'_>) -> String {
        let RuleWorld { ask, external_url, at, .. } = context.world;
        let world = World { ask, external_url, at, gone_through: Cell::default() };
        let dot = Object::value(
            "template data",
            vec![
                ("Labels", Value::labels(context.labels)),
                ("ExternalLabels", Value::labels(context.world.external_labels)),
                ("ExternalURL", Value::text(context.world.external_url)),
                ("Value", Value::Float(context.value)),
            ],
        );
        let (nodes, definitions) = &*self.tree;
        let mut run = Run::new(Dialect::Rule, definitions, &world);
        match run.template(nodes, &dot) {
            Ok(()) => run.out,
            Err(e) => format!("<error expanding template: {}>", e.0),
        }
    }
}
