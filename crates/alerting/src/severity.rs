//! How bad an alert is, by its labels.

use tenfold_types::Labels;

/// `critical`, `warning` or `info`; what a label says otherwise counts as the nearest.
pub fn severity(labels: &Labels) -> &'static str {
    match labels.get("severity").unwrap_or("") {
        "critical" | "page" | "error" | "emergency" | "high" => "critical",
        "info" | "none" | "low" | "debug" => "info",
        _ => "warning",
    }
}

/// Whether an alert is more severe than with other labels, or pages where it did not.
pub fn is_worse(labels: &Labels, before: &Labels) -> bool {
    let rank = |labels: &Labels| ["info", "warning", "critical"].iter().position(|s| *s == severity(labels));
    let pages = |labels: &Labels| match labels.get("page") {
        Some("true") => true,
        Some("false") => false,
        _ => severity(labels) == "critical",
    };
    rank(labels) > rank(before) || (pages(labels) && !pages(before))
}
