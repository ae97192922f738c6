//! The functions templates may call: Go's own, and those of the two dialects. Each row says how many arguments it takes.

use std::{cell::Cell, collections::BTreeMap, sync::Arc};

use tenfold_types::{
    Labels, Timestamp,
    pattern::{anywhere, expand},
};

use super::{
    TemplateError, compare, format, humanize,
    methods::{self, Methods},
    run::OUTPUT_BYTES_MAX,
    time, url,
    value::{NESTED_BYTES_MAX, NESTED_MAX, Object, Value},
};

/// Series and values for an expression, at the instant of the evaluation.
pub type AskFn<'a> = dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String> + 'a;

/// What functions may look at besides their arguments.
pub struct World<'w> {
    pub ask: Option<&'w AskFn<'w>>,
    pub external_url: &'w str,
    pub at: Timestamp,
    /// Bytes that functions went through so far.
    pub gone_through: Cell<usize>,
}

impl World<'_> {
    fn go_through(&self, bytes: usize) -> Result<(), TemplateError> {
        let all = self.gone_through.get() + bytes;
        self.gone_through.set(all);
        if all > THROUGH_BYTES_MAX {
            return error("a template goes through too much, in `reReplaceAll` or `args`");
        }
        Ok(())
    }
}

/// Whose functions and data there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Prometheus' labels and annotations.
    Rule,
    /// Alertmanager's notifications.
    Notification,
}

const MANY: usize = 100;
/// Bytes that functions may go through in one template. `reReplaceAll` may have to look at the rest of a text for each match.
const THROUGH_BYTES_MAX: usize = 64 << 20;

/// Name, fewest and most arguments.
const GO: &[(&str, usize, usize)] = &[
    ("and", 1, MANY),
    ("or", 1, MANY),
    ("not", 1, 1),
    ("len", 1, 1),
    ("index", 1, MANY),
    ("slice", 1, 4),
    ("print", 0, MANY),
    ("printf", 1, MANY),
    ("println", 0, MANY),
    ("html", 0, MANY),
    ("js", 0, MANY),
    ("urlquery", 0, MANY),
    ("eq", 2, MANY),
    ("ne", 2, 2),
    ("lt", 2, 2),
    ("le", 2, 2),
    ("gt", 2, 2),
    ("ge", 2, 2),
];

const SHARED: &[(&str, usize, usize)] = &[
    ("title", 1, 1),
    ("toUpper", 1, 1),
    ("toLower", 1, 1),
    ("match", 2, 2),
    ("reReplaceAll", 3, 3),
    ("safeHtml", 1, 1),
    ("humanizeDuration", 1, 1),
];

const RULE: &[(&str, usize, usize)] = &[
    ("query", 1, 1),
    ("first", 1, 1),
    ("label", 2, 2),
    ("value", 1, 1),
    ("strvalue", 1, 1),
    ("args", 0, MANY),
    ("sortByLabel", 2, 2),
    ("humanize", 1, 1),
    ("humanize1024", 1, 1),
    ("humanizePercentage", 1, 1),
    ("humanizeTimestamp", 1, 1),
    ("toTime", 1, 1),
    ("toDuration", 1, 1),
    ("now", 0, 0),
    ("parseDuration", 1, 1),
    ("stripPort", 1, 1),
    ("stripDomain", 1, 1),
    ("graphLink", 1, 1),
    ("tableLink", 1, 1),
    ("pathPrefix", 0, 0),
    ("externalURL", 0, 0),
    ("urlQueryEscape", 1, 1),
    ("tmpl", 2, 2),
];

const NOTIFICATION: &[(&str, usize, usize)] = &[
    ("trimSpace", 1, 1),
    ("join", 2, 2),
    ("safeUrl", 1, 1),
    ("urlUnescape", 1, 1),
    ("stringSlice", 0, MANY),
    ("toJson", 1, 1),
    ("date", 2, 2),
    ("tz", 2, 2),
    ("since", 1, 1),
];

fn error<T>(message: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError(message.into()))
}

impl Dialect {
    fn row(self, name: &str) -> Option<(usize, usize)> {
        let own = match self {
            Self::Rule => RULE,
            Self::Notification => NOTIFICATION,
        };
        [GO, SHARED, own].into_iter().flatten().find(|(n, ..)| *n == name).map(|(_, min, max)| (*min, *max))
    }
    pub fn has(self, name: &str) -> bool {
        self.row(name).is_some()
    }
    pub fn check(self, name: &str, given: usize) -> Result<(), TemplateError> {
        match self.row(name) {
            Some((min, max)) if (min..=max).contains(&given) => Ok(()),
            _ => error(format!("`{name}` does not take {given} arguments")),
        }
    }

    /// Variables that every template has.
    pub fn variables(self) -> Vec<String> {
        match self {
            Self::Rule => ["$labels", "$externalLabels", "$externalURL", "$value"].map(str::to_owned).to_vec(),
            Self::Notification => Vec::new(),
        }
    }

    /// The same with what they hold.
    pub fn bind(self, dot: &Value) -> Vec<(String, Value)> {
        let Value::Object(object) = dot else { return Vec::new() };
        let of = |field: &str| object.get(field).cloned().unwrap_or(Value::Nil);
        match self {
            Self::Rule => [
                ("$labels", "Labels"),
                ("$externalLabels", "ExternalLabels"),
                ("$externalURL", "ExternalURL"),
                ("$value", "Value"),
            ]
            .map(|(variable, field)| (variable.to_owned(), of(field)))
            .to_vec(),
            Self::Notification => Vec::new(),
        }
    }

    /// What an action writes.
    pub fn written(self, value: &Value) -> String {
        let own = if self == Self::Notification { methods::shown(value) } else { None };
        own.unwrap_or_else(|| value.print())
    }

    /// A field, a key or a method.
    pub fn field(self, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, TemplateError> {
        if self == Self::Notification
            && let Methods::Answer(answer) = methods::call(value, name, arguments)?
        {
            return Ok(answer);
        }
        if matches!(value, Value::Time(_) | Value::Zoned(_) | Value::Duration(_))
            && let Some(answer) = time::method(value, name, arguments)?
        {
            return Ok(answer);
        }
        if !arguments.is_empty() {
            return error(format!("`{name}` is not a method and takes no arguments"));
        }
        match value {
            Value::Map(map) => Ok(map.get(name).cloned().unwrap_or_else(|| Value::text(""))),
            Value::Object(object) => object
                .get(name)
                .cloned()
                .map_or_else(|| error(format!("can't evaluate field {name} in type {}", object.name)), Ok),
            Value::Nil => error(format!("nil data; no entry for key \"{name}\"")),
            other => error(format!("can't evaluate field {name} in type {}", other.type_name())),
        }
    }

    pub fn call(self, name: &str, arguments: &[Value], world: &World<'_>) -> Result<Value, TemplateError> {
        self.check(name, arguments.len())?;
        let at = |i: usize| arguments.get(i).unwrap_or(&Value::Nil);
        let text = |i: usize| match at(i) {
            Value::Text(t) => Ok(t.as_str()),
            other => error(format!("`{name}` takes a text, not a {}", other.type_name())),
        };
        let number = || as_number(at(0));
        Ok(match name {
            "and" | "or" => at(0).clone(),
            "not" => Value::Bool(!at(0).truth()),
            "len" => length(at(0))?,
            "index" => arguments[1..].iter().try_fold(at(0).clone(), |held, key| index(&held, key))?,
            "slice" => slice(at(0), &arguments[1..])?,
            "print" => Value::Text(print(arguments)),
            "println" => Value::Text(arguments.iter().map(Value::print).collect::<Vec<_>>().join(" ") + "\n"),
            "printf" => Value::Text(format::printf(text(0)?, &arguments[1..])),
            "html" => Value::Text(url::html(&print(arguments))),
            "js" => Value::Text(url::js(&print(arguments))),
            "urlquery" => Value::Text(url::query_escape(&print(arguments))),
            "urlQueryEscape" => Value::Text(url::query_escape(text(0)?)),
            "eq" => {
                let mut same = false;
                for other in &arguments[1..] {
                    same |= compare::equal(at(0), other)?;
                }
                Value::Bool(same)
            }
            "ne" => Value::Bool(!compare::equal(at(0), at(1))?),
            "lt" => Value::Bool(compare::less(at(0), at(1))?),
            "le" => Value::Bool(compare::less(at(0), at(1))? || compare::equal(at(0), at(1))?),
            "gt" => Value::Bool(compare::less(at(1), at(0))?),
            "ge" => Value::Bool(compare::less(at(1), at(0))? || compare::equal(at(0), at(1))?),
            "title" if self == Self::Notification => Value::Text(humanize::title_words(text(0)?)),
            "title" => Value::Text(humanize::title(text(0)?)),
            "toUpper" => Value::Text(text(0)?.to_uppercase()),
            "toLower" => Value::Text(text(0)?.to_lowercase()),
            "match" => Value::Bool(pattern(text(0)?)?.is_match(text(1)?)),
            "reReplaceAll" => Value::Text(replaced(&pattern(text(0)?)?, text(1)?, text(2)?, world)?),
            "safeHtml" | "safeUrl" => Value::text(text(0)?),
            "humanize" => Value::Text(humanize::humanize(number()?)),
            "humanize1024" => Value::Text(humanize::humanize_1024(number()?)),
            "humanizeDuration" => Value::Text(humanize::humanize_duration(number()?)),
            "humanizePercentage" => Value::Text(format!("{}%", format::general(number()? * 100.0, 4))),
            "humanizeTimestamp" => Value::Text(humanize::humanize_timestamp(number()?)),
            "toTime" => Value::Time(Timestamp::from_millis((number()? * 1000.0) as i64)),
            "toDuration" => Value::Text(humanize::go_duration(number()?)),
            // There are no console templates to include.
            "tmpl" => Value::text(""),
            "now" => Value::Float(world.at.seconds()),
            "parseDuration" => {
                let ms = tenfold_types::parse_duration_ms(text(0)?).map_err(TemplateError)?;
                Value::Float(ms as f64 / 1000.0)
            }
            "query" => ask(text(0)?, world)?,
            "first" => match at(0) {
                Value::List(list) if !list.is_empty() => list[0].clone(),
                _ => return error("first() called on vector with no elements"),
            },
            "label" => self.field(&sample(at(1), "Labels")?, text(0)?, &[])?,
            "value" => sample(at(0), "Value")?,
            "strvalue" => self.field(&sample(at(0), "Labels")?, "__value__", &[])?,
            "args" => {
                let pairs = arguments.iter().enumerate().map(|(i, v)| (format!("arg{i}"), v.clone()));
                let made = Value::Map(Arc::new(pairs.collect::<BTreeMap<_, _>>()));
                // What is put into itself again and again would be of any size when it is printed.
                let mut left = NESTED_BYTES_MAX;
                let fits = made.fits(NESTED_MAX, &mut left);
                world.go_through((NESTED_BYTES_MAX - left) / 16)?;
                if !fits {
                    return error(format!("`args` holds at most {NESTED_BYTES_MAX} bytes, {NESTED_MAX} deep"));
                }
                made
            }
            "sortByLabel" => sorted(text(0)?, at(1))?,
            "stripPort" => Value::Text(url::strip_port(text(0)?)),
            "stripDomain" => Value::Text(url::strip_domain(text(0)?)),
            "graphLink" => Value::Text(format!("/graph?g0.expr={}&g0.tab=0", url::query_escape(text(0)?))),
            "tableLink" => Value::Text(format!("/graph?g0.expr={}&g0.tab=1", url::query_escape(text(0)?))),
            "pathPrefix" => Value::text(url::path(world.external_url)),
            "externalURL" => Value::text(world.external_url),
            "trimSpace" => Value::text(text(0)?.trim()),
            "urlUnescape" => Value::Text(url::query_unescape(text(0)?)),
            "stringSlice" => {
                (0..arguments.len()).try_for_each(|i| text(i).map(|_| ()))?;
                Value::list(arguments.to_vec())
            }
            "date" => Value::Text(time::layout(&time::clock(at(1))?, text(0)?)),
            "tz" => Value::Zoned(time::zoned(time::instant(at(1))?, text(0)?)?),
            "since" => Value::Duration(world.at.since_ms(time::instant(at(0))?)),
            "toJson" => Value::Text(methods::json(at(0)).to_string()),
            "join" => match at(1) {
                Value::List(list) => Value::Text(list.iter().map(Value::print).collect::<Vec<_>>().join(text(0)?)),
                other => return error(format!("`join` takes a list, not a {}", other.type_name())),
            },
            _ => return error(format!("the function `{name}` is not known here")),
        })
    }
}

fn ask(expr: &str, world: &World<'_>) -> Result<Value, TemplateError> {
    let ask = world.ask.ok_or_else(|| TemplateError("`query` has nothing to ask here".to_owned()))?;
    let rows = ask(expr).map_err(TemplateError)?;
    let sample = |(labels, value): &(Labels, f64)| {
        Object::value("sample", vec![("Labels", Value::labels(labels)), ("Value", Value::Float(*value))])
    };
    Ok(Value::list(rows.iter().map(sample).collect()))
}

fn sample(value: &Value, field: &str) -> Result<Value, TemplateError> {
    match value {
        Value::Object(o) if o.name == "sample" => Ok(o.get(field).cloned().unwrap_or(Value::Nil)),
        other => error(format!("a sample of `query` is wanted, not a {}", other.type_name())),
    }
}

fn sorted(label: &str, list: &Value) -> Result<Value, TemplateError> {
    let Value::List(list) = list else { return error("`sortByLabel` takes what `query` answers") };
    let key = |v: &Value| match sample(v, "Labels") {
        Ok(Value::Map(map)) => map.get(label).map(Value::print).unwrap_or_default(),
        _ => String::new(),
    };
    let mut list = (**list).clone();
    list.sort_by_key(key);
    Ok(Value::list(list))
}

fn pattern(text: &str) -> Result<regex::Regex, TemplateError> {
    anywhere(text).map_err(|e| TemplateError(format!("`{text}` is not a pattern: {e}")))
}

/// All that is found with something in its place, until that is longer than what a template may write.
fn replaced(pattern: &regex::Regex, replacement: &str, text: &str, world: &World<'_>) -> Result<String, TemplateError> {
    let references = replacement.matches('$').count();
    let bytes_max = references.saturating_mul(text.len()).saturating_add(replacement.len());
    let (mut made, mut from) = (String::new(), 0);
    for found in pattern.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        world.go_through(text.len() - from)?;
        made.push_str(&text[from..whole.start()]);
        from = whole.end();
        if made.len().saturating_add(bytes_max) > OUTPUT_BYTES_MAX {
            return error(format!("`reReplaceAll` makes at most {OUTPUT_BYTES_MAX} bytes"));
        }
        expand(&found, replacement, &mut made);
    }
    made.push_str(&text[from..]);
    Ok(made)
}

/// Numbers also out of texts and instants, as Prometheus' functions take them.
fn as_number(value: &Value) -> Result<f64, TemplateError> {
    match value {
        Value::Float(n) => Ok(*n),
        Value::Int(n) => Ok(*n as f64),
        Value::Time(at) => Ok(at.seconds()),
        Value::Duration(ms) => Ok(*ms as f64 / 1_000.0),
        Value::Text(t) => t.parse().map_err(|_| TemplateError(format!("`{t}` is not a number"))),
        other => error(format!("can't convert {} to float", other.type_name())),
    }
}

/// Spaces stand between two of which neither is a text.
fn print(arguments: &[Value]) -> String {
    let mut out = String::new();
    for (i, value) in arguments.iter().enumerate() {
        let text = |v: &Value| matches!(v, Value::Text(_));
        if i > 0 && !text(value) && !text(&arguments[i - 1]) {
            out.push(' ');
        }
        out.push_str(&value.print());
    }
    out
}

fn length(value: &Value) -> Result<Value, TemplateError> {
    Ok(Value::Int(match value {
        Value::Text(t) => t.len(),
        Value::List(l) => l.len(),
        Value::Map(m) => m.len(),
        other => return error(format!("len of type {}", other.type_name())),
    } as i64))
}

fn index(held: &Value, key: &Value) -> Result<Value, TemplateError> {
    match (held, key) {
        (Value::Map(map), Value::Text(key)) => Ok(map.get(key).cloned().unwrap_or_else(|| Value::text(""))),
        (Value::List(list), Value::Int(i)) => {
            let found = usize::try_from(*i).ok().and_then(|i| list.get(i));
            found.cloned().map_or_else(|| error(format!("index out of range: {i}")), Ok)
        }
        (Value::Text(text), Value::Int(i)) => {
            let found = usize::try_from(*i).ok().and_then(|i| text.as_bytes().get(i));
            found.map_or_else(|| error(format!("index out of range: {i}")), |b| Ok(Value::Int(i64::from(*b))))
        }
        (held, key) => error(format!("can't index item of type {} with {}", held.type_name(), key.type_name())),
    }
}

fn slice(held: &Value, bounds: &[Value]) -> Result<Value, TemplateError> {
    let length = match held {
        Value::Text(t) => t.len(),
        Value::List(l) => l.len(),
        other => return error(format!("can't slice item of type {}", other.type_name())),
    };
    let bound = |i: usize, otherwise: usize| match bounds.get(i) {
        None => Ok(otherwise),
        Some(Value::Int(n)) => {
            let n = usize::try_from(*n).ok().filter(|n| *n <= length);
            n.map_or_else(|| error("index out of range"), Ok)
        }
        Some(other) => error(format!("cannot index slice with type {}", other.type_name())),
    };
    let (from, to) = (bound(0, 0)?, bound(1, length)?);
    match held {
        Value::Text(t) => t.get(from..to).map_or_else(|| error("invalid slice index"), |t| Ok(Value::text(t))),
        Value::List(l) => l.get(from..to).map_or_else(|| error("invalid slice index"), |l| Ok(Value::list(l.to_vec()))),
        _ => error("invalid slice"),
    }
}
