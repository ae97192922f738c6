//! What a page draws of an alert: the left side of its rule's comparison as a line, and the right side as a threshold.
//!
//! Pure. What cannot be split is drawn as it is: nothing here fails.

use serde::{Deserialize, Serialize};
use tenfold_promql::ast::{BinaryOp, Expr, Kind, SetOp};
use tenfold_promql::parse;
use utoipa::ToSchema;

/// An expression to draw. It may answer with more series than the alert's; those whose labels the alert has are its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertGraph {
    pub expr: String,
    /// What the values are compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// The graph of an alert: of its rule, of its check, or of the expression in its sender's address.
pub(super) fn graph(expr: &str, check: Option<&str>, generator_url: Option<&str>) -> Option<AlertGraph> {
    if !expr.is_empty() {
        return Some(split(expr));
    }
    if let Some(name) = check {
        // A name of a check has no quote and no backslash.
        return Some(AlertGraph { expr: format!("check_status{{check=\"{name}\"}}"), threshold: None });
    }
    let sent = first_expr(generator_url?)?;
    // What no query is, nobody draws.
    parse(&sent).is_ok().then(|| split(&sent))
}

fn split(text: &str) -> AlertGraph {
    let whole = || AlertGraph { expr: text.to_owned(), threshold: None };
    parse(text).ok().and_then(|expr| compared(&expr)).unwrap_or_else(whole)
}

/// The comparison that an expression is. With `and` and `unless` it is that on their left: its series are the answer's.
fn compared(expr: &Expr) -> Option<AlertGraph> {
    match &expr.kind {
        Kind::Paren(inner) => compared(inner),
        Kind::Binary { op: BinaryOp::Set(SetOp::And | SetOp::Unless), lhs, .. } => {
            Some(compared(lhs).unwrap_or_else(|| AlertGraph { expr: lhs.to_string(), threshold: None }))
        }
        Kind::Binary { op: BinaryOp::Comparison(_), lhs, rhs, .. } => {
            let (side, threshold) = match (number(lhs), number(rhs)) {
                (None, Some(threshold)) => (lhs, threshold),
                (Some(threshold), None) => (rhs, threshold),
                _ => return None,
            };
            Some(AlertGraph { expr: side.to_string(), threshold: Some(threshold).filter(|t| t.is_finite()) })
        }
        _ => None,
    }
}

/// A number as it is written, with its sign.
fn number(expr: &Expr) -> Option<f64> {
    match &expr.kind {
        Kind::Number(value) => Some(*value),
        Kind::Duration(ms) => Some(*ms as f64 / 1000.0),
        Kind::Paren(inner) => number(inner),
        Kind::Unary { negate, expr } => number(expr).map(|value| if *negate { -value } else { value }),
        _ => None,
    }
}

/// `g0.expr` of the address of a graph, as Prometheus writes it in `generatorURL`.
fn first_expr(address: &str) -> Option<String> {
    let query = address.split_once('?')?.1.split('#').next()?;
    query.split('&').find_map(|pair| pair.strip_prefix("g0.expr=")).and_then(unescaped)
}

/// A value of an address' query, as text. `None` where it is none.
fn unescaped(value: &str) -> Option<String> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|d| u8::try_from(d).ok());
                digit()? * 16 + digit()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_split_where_the_query_has_it() {
        for (text, expr, threshold) in [
            ("up == 0", "up", Some(0.0)),
            ("sum(rate(a[1m])) / sum(rate(b[1m])) > 0.02", "sum(rate(a[1m])) / sum(rate(b[1m]))", Some(0.02)),
            ("(a > bool 1e3)", "a", Some(1000.0)),
            ("a < -1", "a", Some(-1.0)),
            ("0 < a", "a", Some(0.0)),
            // The threshold of what stands on the right is of other series.
            ("a > 5 and b > 3", "a", Some(5.0)),
            ("a and b > 3", "a", None),
            ("a > 5 unless on(job) b", "a", Some(5.0)),
            ("a > 5 or b > 3", "a > 5 or b > 3", None),
            ("absent(up)", "absent(up)", None),
            ("sum(a > 3)", "sum(a > 3)", None),
            ("a > b", "a > b", None),
            ("a > +Inf", "a", None),
            ("no query (", "no query (", None),
        ] {
            assert_eq!(graph(text, None, None), Some(AlertGraph { expr: expr.to_owned(), threshold }), "{text}");
        }
    }

    #[test]
    fn what_is_no_rules_alert_is_drawn_by_its_check_or_by_what_its_sender_asked() {
        let of = |check, url| graph("", check, url).map(|g| (g.expr, g.threshold));
        assert_eq!(of(Some("db1-disk"), None), Some(("check_status{check=\"db1-disk\"}".to_owned(), None)));
        let sent = "http://prometheus:9090/graph?g0.expr=up%7Bjob%3D%22web%22%7D+%3D%3D+0&g0.tab=1";
        assert_eq!(of(None, Some(sent)), Some(("up{job=\"web\"}".to_owned(), Some(0.0))));
        for none in
            ["http://prometheus:9090/graph", "http://a/?g0.expr=%zz", "http://a/?g0.expr=%2", "http://a/?g0.expr=a+b("]
        {
            assert_eq!(of(None, Some(none)), None, "{none}");
        }
        assert_eq!(of(None, None), None);
    }
}
