//! The canary's query: filling in the names, and what its values mean. No data is inconclusive.

use tenfold_deploys::{CanaryCheck, machine::Verdict};
use tenfold_types::Fault;

use super::stored::Stored;

/// Most values named in a sentence.
const NAMED_MAX: usize = 3;

/// Fills in `$service`, `$environment` and `$canary`. Names hold letters, digits, `.`, `_` and `-` only, so nothing
/// escapes from a string of the query; the dots are escaped for use in a regular expression.
pub(super) fn fill(query: &str, stored: &Stored, pods: Option<Vec<String>>) -> String {
    let hosts = || stored.run.hosts.iter().filter(|h| h.canary).map(|h| h.name.clone()).collect();
    let names: Vec<String> = pods.unwrap_or_else(hosts);
    let canaries: Vec<&str> = names.iter().map(String::as_str).collect();
    fill_with(query, &stored.service, &stored.environment, &canaries)
}

pub(super) fn fill_with(query: &str, service: &str, environment: &str, canaries: &[&str]) -> String {
    let canary = canaries.iter().map(|c| c.replace('.', "\\\\.")).collect::<Vec<_>>().join("|");
    query.replace("$service", service).replace("$environment", environment).replace("$canary", &canary)
}

pub(super) fn judge(check: &CanaryCheck, query: &str, answer: Result<Vec<f64>, Fault>) -> Verdict {
    let values = match answer {
        Err(fault) => {
            return Verdict::Inconclusive { said: format!("`{query}` could not be asked: {}", fault.message) };
        }
        Ok(values) => values,
    };
    if values.is_empty() || values.iter().any(|v| v.is_nan()) {
        return Verdict::Inconclusive { said: format!("`{query}` has no data") };
    }
    let said = values.iter().take(NAMED_MAX).map(|v| format!("{v:.4}")).collect::<Vec<_>>().join(", ");
    for value in &values {
        if check.max.is_some_and(|max| *value > max) {
            return Verdict::Fail { said: format!("`{query}` is {value:.4}, above {}", check.max.unwrap_or_default()) };
        }
        if check.min.is_some_and(|min| *value < min) {
            return Verdict::Fail { said: format!("`{query}` is {value:.4}, below {}", check.min.unwrap_or_default()) };
        }
    }
    Verdict::Pass { said: format!("`{query}` is {said}") }
}

/// The numbers in an answer; none when there is no data.
pub(super) fn values(answer: &tenfold_promql::Value) -> Vec<f64> {
    use tenfold_promql::Value;
    match answer {
        Value::Scalar(point) => vec![point.value],
        Value::String { .. } => Vec::new(),
        Value::Vector(samples) => samples.iter().filter_map(|s| s.value.float()).collect(),
        Value::Matrix(series) => series.iter().filter_map(|s| s.points.last().map(|p| p.value)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_within_the_bounds_pass() {
        let check = CanaryCheck { query: "q".into(), max: Some(0.5), min: Some(0.0) };
        assert!(matches!(judge(&check, "q", Ok(vec![0.1, 0.5])), Verdict::Pass { .. }));
        assert!(
            matches!(judge(&check, "q", Ok(vec![0.1, 0.6])), Verdict::Fail { said } if said.contains("0.6000, above 0.5"))
        );
        assert!(matches!(judge(&check, "q", Ok(vec![-1.0])), Verdict::Fail { .. }));
        assert!(matches!(judge(&check, "q", Ok(vec![])), Verdict::Inconclusive { .. }));
        assert!(matches!(judge(&check, "q", Ok(vec![f64::NAN])), Verdict::Inconclusive { .. }));
        assert!(matches!(judge(&check, "q", Err(Fault::internal("x"))), Verdict::Inconclusive { .. }));
    }

    #[test]
    fn names_are_filled_in() {
        let text = fill_with("up{job=\"$service\",host=~\"$canary\"}", "photos", "production", &["host-1", "a.b"]);
        assert_eq!(text, "up{job=\"photos\",host=~\"host-1|a\\\\.b\"}");
    }
}
