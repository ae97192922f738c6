//! The judge of a canary: the counters of its hosts beside those of the hosts that still run the old release.

use tenfold_deploys::machine::Judgement;
use tenfold_deploys::pipeline::CanaryJudge;
use tenfold_deploys::{Pipeline, PipelineError};
use tenfold_judge::Verdict;
use tenfold_store::deploys::{self as store, DeployQuery};
use tenfold_types::{Fault, Timestamp};

use super::stored::Stored;
use crate::App;
use crate::judged::{Errors, Sides, check_counter};

const CANARY: &str = "the canary's hosts";
const CONTROL: &str = "the others";

/// What the judge says of everything since `since`. What it cannot ask is no data.
pub(super) async fn ask(app: &App, judge: &CanaryJudge, stored: &Stored, since: Timestamp) -> Judgement {
    let no_data = |said: String| Judgement { verdict: Verdict::NoData, said, report: None };
    let names = |canary: bool| {
        let hosts = || stored.run.hosts.iter().filter(|h| h.canary == canary).map(|h| h.name.clone()).collect();
        app.pod_names(stored, canary).unwrap_or_else(hosts)
    };
    let (canary, control) = (names(true), names(false));
    if canary.is_empty() {
        return no_data("no data: no pod of the new release has been ready".to_owned());
    }
    if control.is_empty() {
        return no_data("no data: every host is a canary, so there is nothing to compare with".to_owned());
    }
    let [canary, control] = [&canary, &control].map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
    let on = |selector: &str, hosts: &[&str]| on_hosts(&fill(selector, stored), &judge.host_label, hosts);
    let pair = |hosts: &[&str]| judge.errors.as_ref().map(|e| (on(&e.bad, hosts), on(&e.total, hosts)));
    let sides = Sides {
        errors: pair(&canary).zip(pair(&control)).map(|(canary, control)| Errors { canary, control }),
        latency: judge.latency.as_ref().map(|l| (on(l, &canary), on(l, &control))),
        equal_since: equal_since(app, stored).await,
    };
    match app.judge_report(&sides, judge.settings(), since, i64::from(judge.every_s) * 1000).await {
        Ok(judged) => Judgement {
            verdict: judged.report.verdict,
            said: judged.report.sentence(CANARY, CONTROL),
            report: Some(judged.report),
        },
        Err(why) => no_data(format!("no data: {why}")),
    }
}

/// Since when the hosts have run the same release: the end of the deploy before. What a bad canary did until then on its
/// host excuses no other. Nothing while that is not known.
async fn equal_since(app: &App, stored: &Stored) -> Option<Timestamp> {
    let query = DeployQuery {
        service: Some(stored.service.clone()),
        environment: Some(stored.environment.clone()),
        before: Some(stored.number),
        limit: 1,
        ..DeployQuery::default()
    };
    let rows = app.read(move |tx| Ok(store::deploys(tx, &query)?)).await.ok()?;
    rows.first().and_then(|row| row.finished_at)
}

pub(super) fn fill(selector: &str, stored: &Stored) -> String {
    selector.replace("$service", &stored.service).replace("$environment", &stored.environment)
}

/// A selector narrowed to hosts. Their names hold letters, digits, `.`, `_` and `-` only.
pub(super) fn on_hosts(selector: &str, label: &str, hosts: &[&str]) -> String {
    let names = hosts.iter().map(|h| h.replace('.', "\\\\.")).collect::<Vec<_>>().join("|");
    let selector = selector.trim();
    match selector.strip_suffix('}') {
        Some(open) => {
            let open = open.trim_end().trim_end_matches(',');
            let comma = if open.ends_with('{') { "" } else { "," };
            format!("{open}{comma}{label}=~\"{names}\"}}")
        }
        None => format!("{selector}{{{label}=~\"{names}\"}}"),
    }
}

/// The counters of every judge in a pipeline file are selectors; an error names line and key.
pub(super) fn check(pipeline: &Pipeline, text: &str) -> Result<(), PipelineError> {
    for (environment, target) in &pipeline.targets {
        let at = ["targets", environment.as_str(), "canary"];
        if let Some(judge) = &target.canary.judge {
            check_one(judge, &[&at[..], &["judge"]].concat(), text)?;
        }
        for (index, step) in target.canary.steps.iter().enumerate() {
            if let Some(judge) = &step.judge {
                check_one(judge, &[&at[..], &["steps", &Pipeline::item(index), "judge"]].concat(), text)?;
            }
        }
    }
    Ok(())
}

fn check_one(judge: &CanaryJudge, at: &[&str], text: &str) -> Result<(), PipelineError> {
    for (key, selector) in judge.selectors() {
        let name = key.join(".");
        let narrowed = on_hosts(selector, &judge.host_label, &["h"]);
        let wrong = check_counter(&name, selector).and_then(|()| check_counter(&name, &narrowed));
        wrong.map_err(|Fault { message, advice, .. }| {
            let path = [at, key].concat();
            let message = if advice.is_empty() { message } else { format!("{message}; {advice}") };
            PipelineError { line: Pipeline::line_of(text, &path), message }
        })?;
    }
    for (index, level) in judge.after.iter().flat_map(|after| &after.levels).enumerate() {
        tenfold_promql::parse(&level.query).map_err(|error| PipelineError {
            line: Pipeline::line_of(text, &[at, &["after", "levels", &Pipeline::item(index), "query"]].concat()),
            message: format!("`after.levels` of the judge: {}", error.pointing(&level.query)),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_narrowed_to_hosts() {
        let cases = [
            ("up", "up{host=~\"a|b\\\\.c\"}"),
            ("up{}", "up{host=~\"a|b\\\\.c\"}"),
            ("up{job=\"x\"}", "up{job=\"x\",host=~\"a|b\\\\.c\"}"),
            (" up{job=\"x\", } ", "up{job=\"x\",host=~\"a|b\\\\.c\"}"),
        ];
        for (selector, expected) in cases {
            let narrowed = on_hosts(selector, "host", &["a", "b.c"]);
            assert_eq!(narrowed, expected);
            tenfold_promql::parse(&narrowed).unwrap();
        }
    }

    #[test]
    fn a_level_is_a_query() {
        let file = |query: &str| {
            format!(
                "service: photos\nrun: {{command: [x]}}\ntargets:\n  production:\n    canary:\n      hosts: 1\n      judge:\n        \
                 errors: {{bad: b, total: n}}\n        after:\n          for_s: 900\n          levels:\n            - {{query: \
                 '{query}', unit: 1}}\n"
            )
        };
        let checked = |query: &str| check(&Pipeline::parse(&file(query)).unwrap(), &file(query));
        checked("avg(rate(process_cpu_seconds_total{job=\"$service\"}[2m]))").unwrap();
        let error = checked("sum(").unwrap_err();
        assert!(error.line == 12 && error.message.contains("`after.levels` of the judge"), "{error}");
    }

    #[test]
    fn a_wrong_counter_is_named_with_its_line() {
        let file = |bad: &str| {
            format!(
                "service: photos\nrun: {{command: [x]}}\ntargets:\n  production:\n    canary:\n      hosts: 1\n      judge:\n        \
                 errors:\n          bad: '{bad}'\n          total: 'n{{job=\"$service\"}}'\n"
            )
        };
        for (bad, words) in [
            ("b{code=~\"5..\"}", None),
            ("rate(b[1m])", Some("`errors.bad` of the judge is no counter: rate(b[1m]); name a counter")),
            ("b{", Some("`errors.bad` of the judge")),
            ("(b)", Some("`errors.bad` of the judge")),
        ] {
            let text = file(bad);
            let checked = check(&Pipeline::parse(&text).unwrap(), &text);
            match words {
                None => checked.unwrap(),
                Some(words) => {
                    let error = checked.unwrap_err();
                    assert!(error.line == 9 && error.message.contains(words), "{error}");
                }
            }
        }
    }
}
