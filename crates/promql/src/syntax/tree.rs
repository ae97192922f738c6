//! A query as the JSON that Prometheus' `parse_query` answers with, from which Prometheus' own pages draw a tree.
//!
//! The fields are those of `web/api/v1/translate_ast.go` there. Ranges, steps and offsets are milliseconds; one that is
//! calculated from the query's step or range is 0, since it is not known yet.

use serde_json::{Value as Json, json};
use tenfold_types::{Labels, Matcher, MatcherOp};

use super::ast::{At, BinaryOp, Duration, Expr, Kind, Matching, RangeMode, Selector, SetOp, Shift, Side, Type};
use crate::value::without_exponent;

impl Expr {
    /// Its syntax tree.
    pub fn tree(&self) -> Json {
        match &self.kind {
            Kind::Number(value) => json!({"type": "numberLiteral", "val": without_exponent(*value)}),
            Kind::Duration(ms) => json!({"type": "numberLiteral", "val": without_exponent(*ms as f64 / 1000.0)}),
            Kind::String(text) | Kind::NotUtf8(text) => json!({"type": "stringLiteral", "val": text}),
            Kind::Paren(inner) => json!({"type": "parenExpr", "expr": inner.tree()}),
            Kind::Unary { negate, expr } => {
                json!({"type": "unaryExpr", "op": if *negate { "-" } else { "+" }, "expr": expr.tree()})
            }
            Kind::Selector(selector) => selected("vectorSelector", selector, selector.mode, None),
            Kind::Matrix { selector, range, mode } => selected("matrixSelector", selector, *mode, Some(range)),
            Kind::Subquery { expr, range, step, shift } => json!({
                "type": "subquery", "expr": expr.tree(), "range": ms(range), "offset": offset_ms(shift),
                "step": step.as_ref().map_or(0, ms), "timestamp": timestamp(shift), "startOrEnd": start_or_end(shift),
                "alignEvalTime": false,
            }),
            Kind::Call { function, args } => json!({
                "type": "call",
                "func": {
                    "name": function.name,
                    "argTypes": function.args.iter().copied().map(type_name).collect::<Vec<_>>(),
                    "variadic": if function.repeats { -1 } else { function.optional as i64 },
                    "returnType": type_name(function.returns),
                },
                "args": args.iter().map(Self::tree).collect::<Vec<_>>(),
            }),
            Kind::Aggregate { op, grouping, param, expr } => json!({
                "type": "aggregation", "op": op.name(), "expr": expr.tree(), "param": param.as_ref().map(|p| p.tree()),
                "grouping": grouping.labels, "without": grouping.without,
            }),
            Kind::Binary { op, bool_modifier, matching, lhs, rhs } => {
                let vectors = [lhs, rhs].iter().all(|side| side.value_type() == Type::Vector);
                json!({
                    "type": "binaryExpr", "op": op.sign(), "lhs": lhs.tree(), "rhs": rhs.tree(),
                    "matching": vectors.then(|| pairing(*op, matching)), "bool": bool_modifier,
                })
            }
        }
    }
}

const fn type_name(of: Type) -> &'static str {
    match of {
        Type::Scalar => "scalar",
        Type::String => "string",
        Type::Vector => "vector",
        Type::Matrix => "matrix",
    }
}

fn selected(kind: &str, selector: &Selector, mode: RangeMode, range: Option<&Duration>) -> Json {
    let is_name = |m: &&Matcher| m.name == Labels::NAME && m.op == MatcherOp::Equal;
    let name = selector.matchers.iter().find(is_name);
    // The name is the last matcher, as in Prometheus.
    let (names, others): (Vec<_>, Vec<_>) =
        selector.matchers.iter().partition(|m| name.is_some_and(|name| std::ptr::eq(name, *m)));
    let matchers: Vec<Json> = others.into_iter().chain(names).map(matcher).collect();
    let mut out = json!({
        "type": kind, "name": name.map_or("", |m| m.value.as_str()), "offset": offset_ms(&selector.shift),
        "matchers": matchers, "timestamp": timestamp(&selector.shift), "startOrEnd": start_or_end(&selector.shift),
        "anchored": mode == RangeMode::Anchored, "smoothed": mode == RangeMode::Smoothed,
    });
    if let Some(range) = range {
        out["range"] = ms(range).into();
    }
    out
}

fn matcher(of: &Matcher) -> Json {
    let op = match of.op {
        MatcherOp::Equal => "=",
        MatcherOp::NotEqual => "!=",
        MatcherOp::Regex => "=~",
        MatcherOp::NotRegex => "!~",
    };
    json!({"name": of.name, "value": of.value, "type": op})
}

fn pairing(op: BinaryOp, matching: &Matching) -> Json {
    let card = match (op, matching.side) {
        (BinaryOp::Set(SetOp::And | SetOp::Or | SetOp::Unless), _) => "many-to-many",
        (_, Side::OneToOne) => "one-to-one",
        (_, Side::ManyLeft) => "many-to-one",
        (_, Side::ManyRight) => "one-to-many",
    };
    json!({
        "card": card, "labels": matching.labels, "on": matching.on, "include": matching.include,
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    })
}

fn offset_ms(shift: &Shift) -> i64 {
    shift.offset.as_ref().map_or(0, ms)
}

fn timestamp(shift: &Shift) -> Option<i64> {
    if let Some(At::Instant(ms)) = shift.at { Some(ms) } else { None }
}

fn start_or_end(shift: &Shift) -> Option<&'static str> {
    match shift.at {
        Some(At::Start) => Some("start"),
        Some(At::End) => Some("end"),
        Some(At::Instant(_)) | None => None,
    }
}

fn ms(duration: &Duration) -> i64 {
    seconds(duration).map_or(0, |s| (s * 1000.0).round() as i64)
}

/// `None` where the step or the range of the query is wanted.
fn seconds(duration: &Duration) -> Option<f64> {
    Some(match duration {
        Duration::Seconds(seconds) => *seconds,
        Duration::Step | Duration::Range => return None,
        Duration::Negate(inner) => -seconds(inner)?,
        Duration::Binary(op, a, b) => op.apply(seconds(a)?, seconds(b)?),
        Duration::Min(a, b) => seconds(a)?.min(seconds(b)?),
        Duration::Max(a, b) => seconds(a)?.max(seconds(b)?),
        Duration::Written(_, inner) => seconds(inner)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::parse;

    fn tree(query: &str) -> serde_json::Value {
        parse(query).unwrap().tree()
    }

    #[test]
    fn selectors() {
        let name = json!({"name": "__name__", "value": "up", "type": "="});
        assert_eq!(
            tree("up{job!=\"a\"} @ 1.5 offset -1m"),
            json!({
                "type": "vectorSelector", "name": "up", "offset": -60_000,
                "matchers": [{"name": "job", "value": "a", "type": "!="}, name], "timestamp": 1_500, "startOrEnd": null,
                "anchored": false, "smoothed": false,
            })
        );
        let range = tree("up[1h] @ end()");
        assert_eq!((&range["type"], &range["range"]), (&json!("matrixSelector"), &json!(3_600_000)));
        assert_eq!((&range["startOrEnd"], &range["timestamp"]), (&json!("end"), &json!(null)));
        assert_eq!(tree("{__name__=~\"a.*\"}")["name"], json!(""));
        let inner = tree("max_over_time(up[1h:30s] offset 1h)")["args"][0].clone();
        assert_eq!(
            (&inner["type"], &inner["step"], &inner["offset"]),
            (&json!("subquery"), &json!(30_000), &json!(3_600_000))
        );
        assert_eq!(inner["expr"]["name"], json!("up"));
    }

    #[test]
    fn operators_and_functions() {
        let sum = tree("topk by (job) (3, rate(x[5m]))");
        assert_eq!(
            (&sum["type"], &sum["op"], &sum["grouping"]),
            (&json!("aggregation"), &json!("topk"), &json!(["job"]))
        );
        assert_eq!(sum["param"], json!({"type": "numberLiteral", "val": "3"}));
        assert_eq!(
            sum["expr"]["func"],
            json!({"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"})
        );
        assert_eq!(tree("sum(x)")["param"], json!(null));
        assert_eq!(tree("round(x)")["func"]["variadic"], json!(1));
        assert_eq!(tree("label_join(x, \"a\", \"b\", \"c\", \"d\")")["func"]["variadic"], json!(-1));
        let joined = tree("a / on (job) group_left (team) b");
        assert_eq!(
            joined["matching"],
            json!({
                "card": "many-to-one", "labels": ["job"], "on": true, "include": ["team"],
                "fillValues": {"lhs": null, "rhs": null},
            })
        );
        assert_eq!(tree("a and b")["matching"]["card"], json!("many-to-many"));
        let compared = tree("a > bool 1e-7");
        assert_eq!((&compared["matching"], &compared["bool"]), (&json!(null), &json!(true)));
        assert_eq!(compared["rhs"]["val"], json!("0.0000001"));
        assert_eq!(
            tree("-(a)"),
            json!({"type": "unaryExpr", "op": "-", "expr": {"type": "parenExpr", "expr": tree("a")}})
        );
        assert_eq!(tree("\"text\""), json!({"type": "stringLiteral", "val": "text"}));
    }

    #[test]
    fn what_an_evaluation_looks_at() {
        let looked = |query: &str| parse(query).unwrap().seconds_looked_at(86_400.0, 1_441);
        assert_eq!(looked("x"), Some(86_700.0));
        assert_eq!(looked("sum(rate(x[5m]))"), Some(86_400.0 + 300.0 * 1_442.0));
        assert_eq!(looked("x + 1 - y"), Some(2.0 * 86_700.0));
        assert_eq!(looked("1"), Some(0.0));
        assert_eq!(looked("max_over_time(x[1d:1s])"), None);
    }
}
