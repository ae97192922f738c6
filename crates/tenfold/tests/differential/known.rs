//! Where Prometheus 3, which the server follows, and 2.42, which Debian has, differ on purpose.

use crate::calls::Reply;
use crate::compare::{Answer, difference as differs};

struct Known {
    why: &'static str,
    applies: fn(&str, &Reply, &Reply) -> bool,
}

/// The text of the range that `predict_linear` is called with, to the comma at its end.
fn predicts_at(text: &str) -> bool {
    text.split("predict_linear(").skip(1).any(|rest| {
        let mut depth = 0;
        let range = rest.split(|c: char| {
            depth += i32::from(matches!(c, '(' | '{' | '[')) - i32::from(matches!(c, ')' | '}' | ']'));
            c == ',' && depth == 0
        });
        range.take(1).any(|range| range.contains('@'))
    })
}

fn same_without_names(ours: &Reply, theirs: &Reply) -> bool {
    let (Some(mine), Some(other)) = (Answer::of(ours), Answer::of(theirs)) else { return false };
    let (Some(mine), Some(other)) = (mine.without_names(), other.without_names()) else { return false };
    differs(&mine, &other, false, 1.0).is_none()
}

/// Whether `timestamp` is asked of a selector with both `@` and `offset`.
fn timestamp_at_offset(text: &str) -> bool {
    text.split("timestamp(").skip(1).any(|rest| {
        let selector = rest.split(')').next().unwrap_or_default();
        let whole = if selector.ends_with('(') { rest } else { selector };
        selector.contains('@') && whole.contains(" offset ")
    })
}

const KNOWN: &[Known] = &[
    Known {
        why: "names of metrics are dropped at the end of a query, so that series that only differ in name may meet before",
        applies: |text, ours, theirs| {
            ours.status == 200
                && text.contains("__name__=~")
                && theirs.text().contains("vector cannot contain metrics with the same labelset")
        },
    },
    Known {
        why: "atan2 drops the name of the metric, as the other arithmetic operators do; in 2.42 it kept it",
        applies: |text, ours, theirs| text.contains("atan2") && same_without_names(ours, theirs),
    },
    Known {
        why: "2.42 predicts from samples at a fixed instant (@) at the first step only",
        applies: |text, ours, theirs| ours.status == theirs.status && predicts_at(text),
    },
    Known {
        why: "2.42 leaves the offset out when timestamp is asked of a selector with @",
        applies: |text, ours, theirs| ours.status == theirs.status && timestamp_at_offset(text),
    },
    Known {
        why: "several series on a side that may have one are an error also when a comparison leaves them out",
        applies: |text, ours, theirs| {
            let compares = ["==", "!=", ">", "<"].iter().any(|sign| text.contains(sign));
            compares && theirs.status == 200 && ours.text().contains("many-to-one matching must be explicit")
        },
    },
    Known {
        why: "a duration is a number",
        applies: |_, ours, theirs| ours.status == 200 && theirs.text().contains("unexpected duration"),
    },
    Known {
        why: "the deviation of one value that is NaN or infinite is NaN; in 2.42 it was 0",
        applies: |text, ours, theirs| {
            let deviates = text.contains("stddev") || text.contains("stdvar");
            deviates && Answer::of(ours).zip(Answer::of(theirs)).is_some_and(|(mine, other)| mine.nan_for_zero(&other))
        },
    },
];

/// Why this difference is none of ours.
pub fn difference(text: &str, ours: &Reply, theirs: &Reply) -> Option<&'static str> {
    KNOWN.iter().find(|k| (k.applies)(text, ours, theirs)).map(|k| k.why)
}
