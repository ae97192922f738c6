//! When two answers are the same.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::calls::Reply;

/// Labels, and the values by instant as they are written.
type Rows = BTreeMap<BTreeMap<String, String>, Vec<(i64, String)>>;

pub struct Answer {
    pub kind: String,
    rows: Rows,
    /// The values in the order in which they came.
    order: Vec<String>,
}

impl Answer {
    /// Nothing where the answer is an error.
    pub fn of(reply: &Reply) -> Option<Self> {
        let json = reply.json();
        if reply.status != 200 || json["status"] != "success" {
            return None;
        }
        let data = &json["data"];
        let kind = data["resultType"].as_str()?.to_owned();
        let (mut rows, mut order) = (Rows::new(), Vec::new());
        if kind == "scalar" || kind == "string" {
            rows.insert(BTreeMap::new(), vec![point(&data["result"])?]);
        } else {
            for series in data["result"].as_array()? {
                let labels = series["metric"].as_object()?.iter();
                let labels = labels.map(|(n, v)| (n.clone(), v.as_str().unwrap_or_default().to_owned())).collect();
                let points = match series["values"].as_array() {
                    Some(points) => points.iter().map(point).collect::<Option<Vec<_>>>()?,
                    None => vec![point(&series["value"])?],
                };
                order.extend(points.last().map(|p| p.1.clone()));
                assert!(rows.insert(labels, points).is_none(), "two series have the same labels: {json}");
            }
        }
        Some(Self { kind, rows, order })
    }

    /// Without the names of metrics; nothing where two series would then be the same.
    pub fn without_names(self) -> Option<Self> {
        let mut rows = Rows::new();
        for (mut labels, points) in self.rows {
            labels.remove("__name__");
            if rows.insert(labels, points).is_some() {
                return None;
            }
        }
        Some(Self { rows, ..self })
    }

    /// Whether all that differs is NaN here and zero there.
    pub fn nan_for_zero(&self, other: &Self) -> bool {
        let alike = |(a, b): (&(i64, String), &(i64, String))| close(&a.1, &b.1, 1.0) || (a.1 == "NaN" && b.1 == "0");
        self.rows.iter().all(|(labels, points)| {
            other
                .rows
                .get(labels)
                .is_some_and(|there| there.len() == points.len() && points.iter().zip(there).all(alike))
        })
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn point(json: &Json) -> Option<(i64, String)> {
    Some(((json[0].as_f64()? * 1000.0).round() as i64, json[1].as_str()?.to_owned()))
}

/// A value in the way Prometheus writes it.
fn number(text: &str) -> Option<f64> {
    text.strip_prefix('+').unwrap_or(text).parse().ok()
}

/// Within a billionth of the larger one; what is smaller than `floor` is compared as if it were that large.
fn close(a: &str, b: &str, floor: f64) -> bool {
    if a == b {
        return true;
    }
    let (Some(x), Some(y)) = (number(a), number(b)) else { return false };
    // A number may be written in two ways, when both are as short as can be.
    let shortest = x.to_bits() != y.to_bits() || a.len() == b.len();
    shortest && (x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(floor)
}

/// What differs, in words.
pub fn difference(ours: &Answer, theirs: &Answer, sorted: bool, floor: f64) -> Option<String> {
    if ours.kind != theirs.kind {
        return Some(format!("ours is a {}, theirs a {}", ours.kind, theirs.kind));
    }
    if let Some(labels) = theirs.rows.keys().find(|l| !ours.rows.contains_key(*l)) {
        return Some(format!("only theirs has {labels:?} {:?}", theirs.rows[labels].first()));
    }
    for (labels, points) in &ours.rows {
        let Some(other) = theirs.rows.get(labels) else {
            return Some(format!("only ours has {labels:?} {:?}", points.first()));
        };
        if let Some((a, b)) = points.iter().zip(other).find(|(a, b)| a.0 != b.0 || !close(&a.1, &b.1, floor)) {
            return Some(format!("{labels:?}: ours {a:?}, theirs {b:?}"));
        }
        if points.len() != other.len() {
            return Some(format!("{labels:?}: ours has {} points, theirs {}", points.len(), other.len()));
        }
    }
    let unlike = |(a, b): (&String, &String)| !close(a, b, floor);
    (sorted && ours.order.iter().zip(&theirs.order).any(unlike)).then(|| "the order differs".to_owned())
}
