//! Writes a query out: on one line, or over several where it is long.
//!
//! As Prometheus' `promql/parser/printer.go` and `prettier.go` do it, so that `format_query` gives what people are used to.

use std::fmt::{self, Display, Formatter};

use tenfold_types::{Labels, Matcher, MatcherOp, histogram::short_float};

use super::ast::{At, Duration, Expr, Grouping, Kind, Matching, RangeMode, Selector, Shift, Side};
use crate::value::without_exponent;

/// A longer expression is split.
const LINE_BYTES_MAX: usize = 100;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Number(value) => f.write_str(&without_exponent(*value)),
            Kind::Duration(ms) => f.write_str(&span(*ms as f64 / 1000.0)),
            Kind::String(text) => write!(f, "{}", Quoted(text)),
            Kind::NotUtf8(text) => write!(f, "\"{text}\""),
            Kind::Paren(inner) => write!(f, "({inner})"),
            Kind::Unary { negate, expr } => write!(f, "{}{expr}", sign(*negate)),
            Kind::Selector(selector) => write!(f, "{selector}{}", After(&selector.shift, selector.mode)),
            Kind::Matrix { selector, range, mode } => {
                write!(f, "{selector}[{range}]{}", After(&selector.shift, *mode))
            }
            Kind::Subquery { expr, .. } => write!(f, "{expr}{}", Window(self)),
            Kind::Call { function, args } => {
                write!(f, "{}(", function.name)?;
                for (i, arg) in args.iter().enumerate() {
                    write!(f, "{}{arg}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Kind::Aggregate { op, grouping, param, expr } => {
                write!(f, "{}{grouping}(", op.name())?;
                if let Some(param) = param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{expr})")
            }
            Kind::Binary { op, bool_modifier, matching, lhs, rhs } => {
                let bool_modifier = if *bool_modifier { " bool" } else { "" };
                write!(f, "{lhs} {}{bool_modifier}{matching} {rhs}", op.sign())
            }
        }
    }
}

impl Expr {
    /// Over several lines where one would be longer than 100 bytes.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.pretty_at(0, &mut out);
        out
    }

    fn pretty_at(&self, level: usize, out: &mut String) {
        let line = self.to_string();
        let indent = "  ".repeat(level);
        if line.len() <= LINE_BYTES_MAX {
            out.extend([indent.as_str(), &line]);
            return;
        }
        let inner = |expr: &Self, out: &mut String| expr.pretty_at(level + 1, out);
        match &self.kind {
            Kind::Aggregate { op, grouping, param, expr } => {
                out.extend([indent.as_str(), op.name(), &grouping.to_string(), "(\n"]);
                if let Some(param) = param {
                    inner(param, out);
                    out.push_str(",\n");
                }
                inner(expr, out);
                out.extend(["\n", &indent, ")"]);
            }
            Kind::Binary { op, bool_modifier, matching, lhs, rhs } => {
                inner(lhs, out);
                let bool_modifier = if *bool_modifier { " bool" } else { "" };
                out.extend(["\n", &indent, op.sign(), bool_modifier, &matching.to_string(), "\n"]);
                inner(rhs, out);
            }
            Kind::Call { function, args } => {
                out.extend([indent.as_str(), function.name, "(\n"]);
                for (i, arg) in args.iter().enumerate() {
                    out.push_str(if i > 0 { ",\n" } else { "" });
                    inner(arg, out);
                }
                out.extend(["\n", &indent, ")"]);
            }
            Kind::Paren(expr) => {
                out.extend([indent.as_str(), "(\n"]);
                inner(expr, out);
                out.extend(["\n", &indent, ")"]);
            }
            Kind::Subquery { expr, .. } => {
                expr.pretty_at(level, out);
                out.push_str(&Window(self).to_string());
            }
            Kind::Unary { negate, expr } => {
                let mut child = String::new();
                expr.pretty_at(level, &mut child);
                out.extend([indent.as_str(), sign(*negate), child.trim_start()]);
            }
            Kind::Number(_)
            | Kind::Duration(_)
            | Kind::String(_)
            | Kind::NotUtf8(_)
            | Kind::Selector(_)
            | Kind::Matrix { .. } => out.extend([indent.as_str(), &line]),
        }
    }
}

const fn sign(negate: bool) -> &'static str {
    if negate { "-" } else { "+" }
}

impl Display for Selector {
    /// Without `offset` and `@`, which stand behind the range where there is one.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_name = |m: &Matcher| m.name == Labels::NAME && m.op == MatcherOp::Equal && is_bare_name(&m.value);
        // Before the braces it must be the only one.
        let names = self.matchers.iter().filter(|m| m.name == Labels::NAME).count();
        let name = self.matchers.iter().position(is_name).filter(|_| names == 1);
        if let Some(name) = name {
            f.write_str(&self.matchers[name].value)?;
        }
        let rest = self.matchers.iter().enumerate().filter(|(i, _)| Some(*i) != name);
        let mut rest: Vec<String> = rest.map(|(_, matcher)| matcher_text(matcher)).collect();
        rest.sort();
        match (rest.is_empty(), name) {
            (true, Some(_)) => Ok(()),
            _ => write!(f, "{{{}}}", rest.join(",")),
        }
    }
}

fn matcher_text(matcher: &Matcher) -> String {
    let op = match matcher.op {
        MatcherOp::Equal => "=",
        MatcherOp::NotEqual => "!=",
        MatcherOp::Regex => "=~",
        MatcherOp::NotRegex => "!~",
    };
    format!("{}{op}{}", LabelName(&matcher.name), Quoted(&matcher.value))
}

/// Letters, digits and underscores, in a metric's name colons too; anything else is written in quotes.
fn is_plain_name(name: &str, colons: bool) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    name.chars().all(fits) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// Words that mean something else where a metric may stand.
const TAKEN: [&str; 16] = [
    "and",
    "anchored",
    "atan2",
    "bool",
    "by",
    "group_left",
    "group_right",
    "ignoring",
    "inf",
    "nan",
    "offset",
    "on",
    "or",
    "smoothed",
    "unless",
    "without",
];

/// A metric's name that needs no braces.
fn is_bare_name(name: &str) -> bool {
    is_plain_name(name, true) && !TAKEN.iter().any(|word| word.eq_ignore_ascii_case(name))
}

struct LabelName<'a>(&'a str);

impl Display for LabelName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_plain_name(self.0, false) { f.write_str(self.0) } else { write!(f, "{}", Quoted(self.0)) }
    }
}

/// A label as it is written between braces.
pub(crate) fn label(name: &str, value: &str) -> String {
    format!("{}={}", LabelName(name), Quoted(value))
}

/// As Go quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\""),
                '\\' => f.write_str("\\\\"),
                '\n' => f.write_str("\\n"),
                '\r' => f.write_str("\\r"),
                '\t' => f.write_str("\\t"),
                '\u{7}' => f.write_str("\\a"),
                '\u{8}' => f.write_str("\\b"),
                '\u{b}' => f.write_str("\\v"),
                '\u{c}' => f.write_str("\\f"),
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", c as u32),
                c if c.is_control() => write!(f, "\\u{:04x}", c as u32),
                c => write!(f, "{c}"),
            }?;
        }
        f.write_str("\"")
    }
}

/// What stands behind a selector or its range.
struct After<'a>(&'a Shift, RangeMode);

impl Display for After<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.1 {
            RangeMode::Normal => {}
            RangeMode::Anchored => f.write_str(" anchored")?,
            RangeMode::Smoothed => f.write_str(" smoothed")?,
        }
        write!(f, "{}", self.0)
    }
}

impl Display for Shift {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.at {
            None => {}
            Some(At::Instant(ms)) => {
                let sign = if ms < 0 { "-" } else { "" };
                let ms = ms.unsigned_abs();
                write!(f, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)?;
            }
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
        }
        match self.offset.as_ref().map(Duration::bare) {
            None => Ok(()),
            Some(Duration::Seconds(seconds)) if *seconds == 0.0 => Ok(()),
            // In parentheses it would go on with what stands behind it.
            Some(offset @ Duration::Negate(_)) => write!(f, " offset {offset}"),
            Some(offset) => write!(f, " offset {}", Operand(offset)),
        }
    }
}

/// `[5m:1m]` and what stands behind it.
struct Window<'a>(&'a Expr);

impl Display for Window<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Kind::Subquery { range, step, shift, .. } = &self.0.kind else { return Ok(()) };
        write!(f, "[{range}:")?;
        if let Some(step) = step {
            write!(f, "{step}")?;
        }
        write!(f, "]{shift}")
    }
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.without, self.labels.is_empty()) {
            (true, _) => write!(f, " without ({}) ", Names(&self.labels)),
            (false, false) => write!(f, " by ({}) ", Names(&self.labels)),
            (false, true) => Ok(()),
        }
    }
}

struct Names<'a>(&'a [String]);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i > 0 { ", " } else { "" }, LabelName(name))?;
        }
        Ok(())
    }
}

impl Display for Matching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // A side of many is only read behind one of the two.
        if self.on || !self.labels.is_empty() || self.side != Side::OneToOne {
            write!(f, " {} ({})", if self.on { "on" } else { "ignoring" }, Names(&self.labels))?;
        }
        match self.side {
            Side::OneToOne => {}
            Side::ManyLeft => write!(f, " group_left ({})", Names(&self.include))?,
            Side::ManyRight => write!(f, " group_right ({})", Names(&self.include))?,
        }
        match (self.fill_left, self.fill_right) {
            (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
                write!(f, " fill ({})", short_float(left))
            }
            (left, right) => {
                for (name, value) in [("fill_left", left), ("fill_right", right)] {
                    if let Some(value) = value {
                        write!(f, " {name} ({})", short_float(value))?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => f.write_str(&span(*seconds)),
            Self::Step => f.write_str("step()"),
            Self::Range => f.write_str("range()"),
            Self::Negate(inner) => write!(f, "-{}", Operand(inner)),
            Self::Binary(op, a, b) => {
                write!(f, "{} {} {}", Operand(a), super::ast::BinaryOp::Arithmetic(*op).sign(), Operand(b))
            }
            Self::Min(a, b) => write!(f, "min_of({a}, {b})"),
            Self::Max(a, b) => write!(f, "max_of({a}, {b})"),
            Self::Written(_, inner) => inner.fmt(f),
        }
    }
}

/// In parentheses where it is a calculation itself.
struct Operand<'a>(&'a Duration);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.bare() {
            Duration::Binary(..) | Duration::Negate(_) => write!(f, "({})", self.0),
            plain => write!(f, "{plain}"),
        }
    }
}

/// `1h30m`; years and weeks only where nothing is left of them.
fn span(seconds: f64) -> String {
    const UNITS: [(&str, u64, bool); 7] = [
        ("y", 365 * 86_400_000, true),
        ("w", 7 * 86_400_000, true),
        ("d", 86_400_000, false),
        ("h", 3_600_000, false),
        ("m", 60_000, false),
        ("s", 1_000, false),
        ("ms", 1, false),
    ];
    let mut left = (seconds.abs() * 1000.0).round() as u64;
    if left == 0 {
        return "0s".into();
    }
    let mut out = if seconds < 0.0 { "-".to_owned() } else { String::new() };
    for (name, ms, exact) in UNITS {
        if left >= ms && (!exact || left.is_multiple_of(ms)) {
            out.extend([&(left / ms).to_string(), name]);
            left %= ms;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::parse;

    #[test]
    fn what_is_written_reads_the_same() {
        for query in [
            "1 + 2 * 3",
            "-foo ^ 2",
            "sum by (job, instance) (rate(http_requests_total{code=~\"5..\",job!=\"a\\\"b\"}[5m] offset -1h30m))",
            "sum without () (x)",
            "topk(3, x)",
            "count_values(\"version\", build)",
            "a / on (job) group_left (team) b",
            "a / ignoring () group_left (team) b",
            "a > bool ignoring () group_right () fill (0) b",
            "a + {\"bool\"}",
            "a - {__name__=\"On\"} * {\"inf\",x=\"y\"}",
            "{\"a\",__name__=\"b\"} + {__name__=~\"a|b\",__name__=\"a\"}",
            "x offset -step() / y + x offset -(min_of(step(), 1s)) + 8000",
            "x[5m] offset - -step() * 2",
            "a == bool ignoring (x) b",
            "a and b or c unless d",
            "max_over_time(rate(x[1m])[1h:30s] @ start())",
            "x[1h:] @ 12.345 offset 1w",
            "{__name__=~\"a|b\"}",
            "{\"with.dots\",\"label.too\"=\"x\"}",
            "label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\")",
            "x @ end()",
            "time() - 1e-05",
            "histogram_quantile(0.9, sum by (le) (rate(h_bucket[2m])))",
        ] {
            let parsed = parse(query).unwrap();
            let written = parsed.to_string();
            let again = parse(&written).unwrap_or_else(|e| panic!("{query} became {written}: {e}"));
            assert_eq!(again.to_string(), written, "{query}");
            let pretty = parsed.pretty();
            assert_eq!(parse(&pretty).unwrap().to_string(), written, "{pretty}");
        }
    }

    #[test]
    fn durations_stay_what_they_are() {
        let written = |query: &str| parse(query).unwrap().to_string();
        assert_eq!(written("time() - x > 1h"), "time() - x > 1h");
        assert_eq!(written("x < -90s * 2"), "x < -1m30s * 2");
        assert_eq!(written("(5m + 300)"), "(5m + 300)");
        assert_eq!(written("x offset -step() / y"), "x offset -step() / y");
        // How the ends are treated may be said before the range, too.
        assert_eq!(written("rate(x anchored[5m])"), "rate(x[5m] anchored)");
    }

    /// Since 3.3; before, Prometheus wrote numbers with exponents.
    #[test]
    fn numbers_have_no_exponent() {
        let written = |query: &str| parse(query).unwrap().to_string();
        assert_eq!(written("x > 1e6 * 1e-05"), "x > 1000000 * 0.00001");
        assert_eq!(written("x / -1.5e9 + Inf"), "x / -1500000000 + +Inf");
        assert_eq!(written("a + fill (1e6) b"), "a + fill (1e+06) b");
    }

    #[test]
    fn long_ones_are_split() {
        let query = "sum by (job) (rate(http_requests_total{job=\"a-long-name-of-a-job\",code=~\"5..\"}[5m])) / sum by (job) (rate(http_requests_total{job=\"a-long-name-of-a-job\"}[5m])) > bool 0.05";
        let wanted = "    sum by (job) (rate(http_requests_total{code=~\"5..\",job=\"a-long-name-of-a-job\"}[5m]))\n  /\n    sum by (job) (rate(http_requests_total{job=\"a-long-name-of-a-job\"}[5m]))\n> bool\n  0.05";
        assert_eq!(parse(query).unwrap().pretty(), wanted);
    }
}
