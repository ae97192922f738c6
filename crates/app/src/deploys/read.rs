//! Reading a pipeline file with all that can be said of it without hosts and without a running server.

use tenfold_deploys::{Pipeline, PipelineError};

use super::{check, judged};

/// The file with everything a server would refuse in it; an error names line and key.
pub fn read_pipeline(text: &str) -> Result<Pipeline, PipelineError> {
    let pipeline = Pipeline::parse(text)?;
    judged::check(&pipeline, text)?;
    queries(&pipeline, text)?;
    Ok(pipeline)
}

/// Every query is PromQL once its names are filled in.
fn queries(pipeline: &Pipeline, text: &str) -> Result<(), PipelineError> {
    let mut asked: Vec<(Vec<&str>, &str)> = Vec::new();
    for (environment, target) in &pipeline.targets {
        let at = |rest: &[&'static str]| [&["targets", environment.as_str(), "canary"], rest].concat();
        let own = target.canary.check.iter().map(|c| (at(&["check", "query"]), c.query.as_str()));
        let steps = target.canary.steps.iter().filter_map(|step| step.check.as_ref());
        asked.extend(own.chain(steps.map(|c| (at(&["steps", "check", "query"]), c.query.as_str()))));
    }
    let metrics = pipeline.expects.iter().flat_map(|e| &e.metrics);
    asked.extend(metrics.map(|m| (vec!["expects", "metrics", "query"], m.query.as_str())));
    for (keys, query) in asked {
        let filled = check::fill_with(query, &pipeline.service, "production", &["h"]);
        if let Err(error) = tenfold_promql::parse(&filled) {
            let message = format!("`{}` is no PromQL: {error}", keys.join("."));
            return Err(PipelineError { line: Pipeline::line_of(text, &keys), message });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_before_they_are_asked() {
        let file = |query: &str, expected: &str| {
            format!(
                "service: photos\nrun: {{command: [x]}}\ntargets:\n  production:\n    canary:\n      hosts: 1\n      check:\n        \
                 query: '{query}'\n        max: 1\nexpects:\n  metrics:\n    - {{query: '{expected}', should: fall}}\n"
            )
        };
        let good = "sum(rate(errors{job=\"$service\",host=~\"$canary\"}[1m]))";
        assert!(read_pipeline(&file(good, "up")).is_ok());
        let error = read_pipeline(&file("sum(rate(errors[1m])", "up")).unwrap_err();
        assert_eq!(error.line, 8, "{error}");
        assert!(error.message.starts_with("`targets.production.canary.check.query` is no PromQL: "), "{error}");
        let error = read_pipeline(&file(good, "up{")).unwrap_err();
        assert!(error.line == 12 && error.message.contains("`expects.metrics.query`"), "{error}");
    }
}
