//! The part of Go's `text/template` that rule files use in labels and annotations: text, pipelines, `if`, `$labels`,
//! `$value`, and Prometheus' humanize functions. What is not understood is refused when the file is read, so a rule
//! never pages with a broken sentence.

mod format;
mod functions;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;

use tenfold_types::Labels;

/// What a template may speak of.
#[derive(Debug, Clone, Copy)]
pub struct TemplateContext<'a> {
    /// Labels of the series, before the rule adds its own.
    pub labels: &'a Labels,
    pub value: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {0}")]
pub struct TemplateError(pub(crate) String);

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Text(String),
    Output(Pipeline),
    /// Branches in order, each with its condition; the last may have none (`else`).
    If(Vec<(Option<Pipeline>, Vec<Node>)>),
}

/// Commands; the value of each is the last argument of the next.
type Pipeline = Vec<Command>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Command {
    Value(Operand),
    Call(String, Vec<Operand>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operand {
    Label(String),
    Labels,
    Value,
    /// Labels of the server; there are none here.
    External,
    Text(String),
    /// A number as written, so that templates can be compared.
    Number(String),
    Bool(bool),
    Group(Pipeline),
}

#[derive(Debug, Clone, PartialEq)]
enum Datum {
    Text(String),
    Number(f64),
    Bool(bool),
    Labels(Labels),
}

impl Datum {
    /// Go's truth: not the zero value of its type.
    fn truth(&self) -> bool {
        match self {
            Self::Text(t) => !t.is_empty(),
            Self::Number(n) => *n != 0.0,
            Self::Bool(b) => *b,
            Self::Labels(l) => !l.is_empty(),
        }
    }
    fn print(&self) -> String {
        match self {
            Self::Text(t) => t.clone(),
            Self::Number(n) => format::shortest(*n),
            Self::Bool(b) => b.to_string(),
            Self::Labels(l) => {
                let inner: Vec<_> = l.iter().map(|(n, v)| format!("{n}:{v}")).collect();
                format!("map[{}]", inner.join(" "))
            }
        }
    }
}

impl Template {
    /// # Errors
    /// Names the word that is not understood.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        Ok(Self { source: source.to_owned(), nodes: parser::parse(source)? })
    }
    pub fn source(&self) -> &str {
        &self.source
    }
    /// Fills the template in. A function that fails at this point leaves its reason in the text, as Prometheus does.
    pub fn expand(&self, context: &TemplateContext<'_>) -> String {
        let mut out = String::new();
        match write_nodes(&self.nodes, context, &mut out) {
            Ok(()) => out,
            Err(e) => format!("<error expanding template: {}>", e.0),
        }
    }
}

fn write_nodes(nodes: &[Node], context: &TemplateContext<'_>, out: &mut String) -> Result<(), TemplateError> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Output(pipeline) => out.push_str(&run(pipeline, context)?.print()),
            Node::If(branches) => {
                for (condition, body) in branches {
                    let holds = match condition {
                        None => true,
                        Some(c) => run(c, context)?.truth(),
                    };
                    if holds {
                        write_nodes(body, context, out)?;
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}

fn run(pipeline: &Pipeline, context: &TemplateContext<'_>) -> Result<Datum, TemplateError> {
    let mut carried: Option<Datum> = None;
    for command in pipeline {
        carried = Some(match command {
            Command::Value(operand) => read(operand, context)?,
            Command::Call(name, operands) => {
                let mut arguments = operands.iter().map(|o| read(o, context)).collect::<Result<Vec<_>, _>>()?;
                arguments.extend(carried.take());
                functions::call(name, arguments)?
            }
        });
    }
    carried.ok_or_else(|| TemplateError("an action is empty".to_owned()))
}

fn read(operand: &Operand, context: &TemplateContext<'_>) -> Result<Datum, TemplateError> {
    Ok(match operand {
        Operand::Label(name) => Datum::Text(context.labels.get(name).unwrap_or("").to_owned()),
        Operand::Labels => Datum::Labels(context.labels.clone()),
        Operand::Value => Datum::Number(context.value),
        Operand::External => Datum::Text(String::new()),
        Operand::Text(text) => Datum::Text(text.clone()),
        Operand::Number(text) => {
            Datum::Number(text.parse().map_err(|_| TemplateError(format!("`{text}` is not a number")))?)
        }
        Operand::Bool(b) => Datum::Bool(*b),
        Operand::Group(pipeline) => run(pipeline, context)?,
    })
}
