//! Runs a tree. Every loop and call is counted, so that a template ends, and its text has a cap.

use std::sync::Arc;

use super::{
    TemplateError,
    functions::{Dialect, World},
    parse::{Arg, Definitions, Node, Pipe},
    value::Value,
};

/// Actions one template may take.
const STEPS_MAX: usize = 200_000;
/// Blocks inside of blocks, templates that call templates among them.
const DEPTH_MAX: usize = 200;
/// Bytes one template may write.
pub const OUTPUT_BYTES_MAX: usize = 256 << 10;
/// Steps that a pattern takes, which is compiled each time.
const PATTERN_STEPS: usize = 100;
/// Bytes of a text that are handed on in one step.
const STEP_BYTES: usize = 256;

pub struct Run<'r> {
    pub dialect: Dialect,
    pub definitions: &'r Definitions,
    pub world: &'r World<'r>,
    pub out: String,
    variables: Vec<(String, Value)>,
    steps: usize,
    depth: usize,
}

/// How a block was left.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

fn error<T>(message: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError(message.into()))
}

impl<'r> Run<'r> {
    pub fn new(dialect: Dialect, definitions: &'r Definitions, world: &'r World<'r>) -> Self {
        Self { dialect, definitions, world, out: String::new(), variables: Vec::new(), steps: 0, depth: 0 }
    }

    /// Runs a whole template; `$` and the dialect's own variables hold what `dot` has.
    pub fn template(&mut self, nodes: &[Node], dot: &Value) -> Result<(), TemplateError> {
        let outer = std::mem::replace(&mut self.variables, self.dialect.bind(dot));
        self.variables.insert(0, ("$".to_owned(), dot.clone()));
        let flow = self.block(nodes, dot);
        self.variables = outer;
        flow.map(|_| ())
    }

    fn step(&mut self) -> Result<(), TemplateError> {
        self.take(1)
    }

    /// A text is copied wherever it goes, so that many long ones would take memory and time.
    fn hand_on(&mut self, value: Value) -> Result<Value, TemplateError> {
        if let Value::Text(text) = &value {
            self.take(text.len() / STEP_BYTES)?;
        }
        Ok(value)
    }

    fn take(&mut self, steps: usize) -> Result<(), TemplateError> {
        self.steps += steps;
        if self.steps > STEPS_MAX {
            return error(format!("a template takes at most {STEPS_MAX} steps"));
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), TemplateError> {
        if self.out.len() + text.len() > OUTPUT_BYTES_MAX {
            return error(format!("a template writes at most {OUTPUT_BYTES_MAX} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn block(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return error(format!("blocks and templates stand at most {DEPTH_MAX} deep in each other"));
        }
        let known = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            self.step()?;
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.variables.truncate(known);
        self.depth -= 1;
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, TemplateError> {
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Output(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    let text = self.dialect.written(&value);
                    self.write(&text)?;
                }
            }
            Node::If { condition, then, otherwise } => {
                let known = self.variables.len();
                let holds = self.pipe(condition, dot)?.truth();
                let flow = self.block(if holds { then } else { otherwise }, dot);
                self.variables.truncate(known);
                return flow;
            }
            Node::With { condition, then, otherwise } => {
                let known = self.variables.len();
                let value = self.pipe(condition, dot)?;
                let flow = if value.truth() { self.block(then, &value) } else { self.block(otherwise, dot) };
                self.variables.truncate(known);
                return flow;
            }
            Node::Range { over, body, otherwise } => return self.range(over, body, otherwise, dot),
            Node::Call { name, with } => {
                let argument = match with {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Value::Nil,
                };
                let Some(nodes) = self.definitions.get(name).map(Arc::clone) else {
                    return error(format!("the template `{name}` is not defined"));
                };
                self.template(&nodes, &argument)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn range(&mut self, over: &Pipe, body: &[Node], otherwise: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        let known = self.variables.len();
        let value = self.commands(over, dot)?;
        let items: Vec<(Value, Value)> = match &value {
            Value::List(list) => list.iter().enumerate().map(|(i, v)| (Value::Int(i as i64), v.clone())).collect(),
            Value::Map(map) => map.iter().map(|(n, v)| (Value::text(n), v.clone())).collect(),
            Value::Nil => Vec::new(),
            Value::Int(n) if (0..=10_000).contains(n) => (0..*n).map(|i| (Value::Int(i), Value::Int(i))).collect(),
            other => return error(format!("range can't iterate over {}", other.print())),
        };
        if items.is_empty() {
            return self.block(otherwise, dot);
        }
        for (key, item) in items {
            self.step()?;
            match &over.variables[..] {
                [] => {}
                [one] => self.set(one, &item, over.assigns)?,
                [a, b, ..] => {
                    self.set(a, &key, over.assigns)?;
                    self.set(b, &item, over.assigns)?;
                }
            }
            let flow = self.block(body, &item)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn set(&mut self, name: &str, value: &Value, assigns: bool) -> Result<(), TemplateError> {
        if !assigns {
            self.variables.push((name.to_owned(), value.clone()));
            return Ok(());
        }
        match self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            Some((_, held)) => {
                *held = value.clone();
                Ok(())
            }
            None => error(format!("`{name}` is not known")),
        }
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, TemplateError> {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.variables {
            self.set(name, &value, pipe.assigns)?;
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, TemplateError> {
        let mut carried = None;
        for command in &pipe.commands {
            self.step()?;
            let value = self.command(command, carried, dot)?;
            carried = Some(self.hand_on(value)?);
        }
        carried.map_or_else(|| error("an action is empty"), Ok)
    }

    fn command(&mut self, args: &[Arg], carried: Option<Value>, dot: &Value) -> Result<Value, TemplateError> {
        let Some((first, rest)) = args.split_first() else { return error("an action is empty") };
        match first {
            Arg::Function(name) if name == "and" || name == "or" => self.lazily(name == "or", rest, carried, dot),
            Arg::Function(name) => {
                let arguments = self.arguments(rest, carried, dot)?;
                if matches!(name.as_str(), "match" | "reReplaceAll") {
                    self.take(PATTERN_STEPS)?;
                }
                let made = self.dialect.call(name, &arguments, self.world)?;
                if let Value::Text(text) = &made
                    && text.len() > OUTPUT_BYTES_MAX
                {
                    return error(format!("`{name}` makes at most {OUTPUT_BYTES_MAX} bytes"));
                }
                Ok(made)
            }
            Arg::Fields(fields) => {
                let arguments = self.arguments(rest, carried, dot)?;
                self.fields(dot.clone(), fields, &arguments)
            }
            Arg::Variable(name, fields) => {
                let start = self.variable(name)?;
                let arguments = self.arguments(rest, carried, dot)?;
                self.fields(start, fields, &arguments)
            }
            Arg::Group(pipe, fields) => {
                let start = self.pipe(pipe, dot)?;
                let arguments = self.arguments(rest, carried, dot)?;
                self.fields(start, fields, &arguments)
            }
            other if rest.is_empty() && carried.is_none() => self.value(other, dot),
            _ => error("can't give argument to non-function"),
        }
    }

    /// `and` and `or` stop at the first argument that decides.
    fn lazily(&mut self, or: bool, rest: &[Arg], carried: Option<Value>, dot: &Value) -> Result<Value, TemplateError> {
        let mut last = None;
        for arg in rest {
            let value = self.value(arg, dot)?;
            if value.truth() == or {
                return Ok(value);
            }
            last = Some(value);
        }
        carried.or(last).map_or_else(|| error("`and` and `or` take arguments"), Ok)
    }

    fn arguments(&mut self, args: &[Arg], carried: Option<Value>, dot: &Value) -> Result<Vec<Value>, TemplateError> {
        let mut values = args.iter().map(|a| self.value(a, dot)).collect::<Result<Vec<_>, _>>()?;
        values.extend(carried);
        Ok(values)
    }

    fn variable(&self, name: &str) -> Result<Value, TemplateError> {
        let found = self.variables.iter().rev().find(|(n, _)| n == name);
        found.map_or_else(|| error(format!("`{name}` is not known")), |(_, v)| Ok(v.clone()))
    }

    fn value(&mut self, arg: &Arg, dot: &Value) -> Result<Value, TemplateError> {
        self.step()?;
        let value = match arg {
            Arg::Dot => dot.clone(),
            Arg::Nil => Value::Nil,
            Arg::Bool(b) => Value::Bool(*b),
            Arg::Int(n) => Value::Int(*n),
            Arg::Float(n) => Value::Float(*n),
            Arg::Text(text) => Value::Text(text.clone()),
            Arg::Fields(fields) => self.fields(dot.clone(), fields, &[])?,
            Arg::Variable(name, fields) => {
                let start = self.variable(name)?;
                self.fields(start, fields, &[])?
            }
            Arg::Function(name) => self.dialect.call(name, &[], self.world)?,
            Arg::Group(pipe, fields) => {
                let start = self.pipe(pipe, dot)?;
                self.fields(start, fields, &[])?
            }
        };
        self.hand_on(value)
    }

    /// `.a.b`; arguments go to the last one, which must then be a method.
    fn fields(&self, start: Value, fields: &[String], arguments: &[Value]) -> Result<Value, TemplateError> {
        let Some((last, before)) = fields.split_last() else {
            return if arguments.is_empty() { Ok(start) } else { error("can't give argument to non-function") };
        };
        let mut value = start;
        for field in before {
            value = self.dialect.field(&value, field, &[])?;
        }
        self.dialect.field(&value, last, arguments)
    }
}
