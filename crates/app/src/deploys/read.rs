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
    for (environment, target) in &pipeline.targets {
        let query = |keys: &[&str], query: &str| {
            let at = [&["targets", environment.as_str(), "canary"], keys].concat();
            one(pipeline, text, &at, query)
        };
        if let Some(check) = &target.canary.check {
            query(&["check", "query"], &check.query)?;
        }
        for (index, step) in target.canary.steps.iter().enumerate() {
            if let Some(check) = &step.check {
                query(&["steps", &Pipeline::item(index), "check", "query"], &check.query)?;
            }
        }
    }
    for (index, metric) in pipeline.expects.iter().flat_map(|expects| &expects.metrics).enumerate() {
        one(pipeline, text, &["expects", "metrics", &Pipeline::item(index), "query"], &metric.query)?;
    }
    Ok(())
}

fn one(pipeline: &Pipeline, text: &str, keys: &[&str], query: &str) -> Result<(), PipelineError> {
    let filled = check::fill_with(query, &pipeline.service, "production", &["h"]);
    tenfold_promql::parse(&filled).map(|_| ()).map_err(|error| {
        let message = format!("`{}` is no PromQL: {error}", Pipeline::spoken(keys));
        PipelineError { line: Pipeline::line_of(text, keys), message }
    })
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

    /// Each list has a good item before the bad one.
    #[test]
    fn the_item_that_is_wrong_is_the_one_that_is_named() {
        let good = "\
service: photos
run: {command: [x]}
targets:
  production:
    canary:
      hold_s: 1
      steps:
        - {hosts: 1, check: {query: up, max: 1}}
        - hosts: 2
          check: {query: down, max: 1}
        - hosts: 3
          judge:
            max_s: 60
            errors: {bad: worse, total: all}
            after:
              for_s: 900
              levels:
                - {query: up, unit: 1}
                - {query: deep, unit: 1}
expects:
  metrics:
    - {query: up, should: stay}
    - should: fall
      query: low
";
        assert!(read_pipeline(good).is_ok(), "{:?}", read_pipeline(good).unwrap_err());
        let cases = [
            ("query: down", "query: 'down{'", "targets.production.canary.steps.check.query"),
            ("bad: worse", "bad: 'worse + 1'", "errors.bad"),
            ("query: deep", "query: 'deep('", "after.levels"),
            ("query: low", "query: 'low{'", "expects.metrics.query"),
        ];
        for (from, to, said) in cases {
            let line = good.lines().position(|line| line.contains(from)).unwrap() + 1;
            let error = read_pipeline(&good.replace(from, to)).unwrap_err();
            assert!(error.line == line && error.message.contains(said), "{to} is on line {line}: {error}");
        }
    }
}
