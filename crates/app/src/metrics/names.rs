//! Metrics by their names: what a search finds, and what nothing here asks for.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value as Json;
use tenfold_alerting::Rule;
use tenfold_promql::string_at;
use tenfold_tsdb::CompiledMatcher;
use tenfold_types::{Fault, Labels, Matcher, MatcherOp};

use super::admin::{CountedSeries, check_rows, counted};
use crate::App;

/// Metrics that were looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MetricNames {
    /// How many there are; `items` may be fewer.
    pub found: usize,
    /// The series of all that were found.
    pub series: u64,
    /// Those with the most series first.
    pub items: Vec<CountedSeries>,
}

/// Names that a pattern which says nothing takes both. One that leaves names out says nothing if it takes one of them.
const ANY: [&str; 2] = ["a", "zz:zz"];
const QUOTES: [char; 3] = ['"', '\'', '`'];
/// In a template an apostrophe stands in sentences.
const TEMPLATE_QUOTES: [char; 2] = ['"', '`'];

/// What queries name: their words, and patterns of names. A label's name counts as well, so that rather too much is named.
#[derive(Default)]
struct Named {
    words: HashSet<String>,
    patterns: Vec<CompiledMatcher>,
}

impl Named {
    /// A query, in which `$variables` may stand.
    fn add(&mut self, query: &str) {
        let is_apart = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
        self.words.extend(query.split(is_apart).filter(|word| !word.is_empty()).map(str::to_owned));
        // A name with other characters stands in quotes.
        self.words.extend(query.split(QUOTES).filter(|part| part.contains(is_apart)).map(str::to_owned));
        self.words.extend(strings(query, &QUOTES));
        for (at, name) in query.match_indices(Labels::NAME) {
            let Some(matcher) = query.get(at + name.len()..).and_then(matcher_of) else { continue };
            let Ok(compiled) = CompiledMatcher::new(&matcher) else { continue };
            let taken = ANY.iter().filter(|name| compiled.matches(name)).count();
            let says_nothing = if matcher.op == MatcherOp::NotRegex { taken > 0 } else { taken == ANY.len() };
            if !says_nothing {
                self.patterns.push(compiled);
            }
        }
    }

    /// A template of a rule. Of one that asks, the texts in its actions are queries or parts of some.
    fn add_template(&mut self, source: &str) {
        if !source.contains("query") {
            return;
        }
        // Where an action ends is not looked for: its texts may hold braces as well.
        for action in source.split("{{").skip(1) {
            self.add(action);
            for text in &strings(action, &TEMPLATE_QUOTES) {
                self.add(text);
            }
        }
    }

    /// Every text in it.
    fn add_texts(&mut self, json: &Json) {
        match json {
            Json::String(text) => self.add(text),
            Json::Array(all) => all.iter().for_each(|one| self.add_texts(one)),
            Json::Object(all) => all.values().for_each(|one| self.add_texts(one)),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    fn has(&self, metric: &str) -> bool {
        self.words.contains(metric) || self.patterns.iter().any(|pattern| pattern.matches(metric))
    }
}

/// The texts between such quotes, as queries mean them.
fn strings(text: &str, quotes: &[char]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(quotes) {
        let opened = &rest[at..];
        if let Some((string, bytes)) = string_at(opened) {
            found.push(string);
            rest = &opened[bytes..];
        } else {
            // It opens nothing.
            rest = &opened[1..];
        }
    }
    found
}

/// The matcher by a pattern of which the name has been read: ` =~ "node_.*"}`.
fn matcher_of(rest: &str) -> Option<Matcher> {
    let rest = rest.trim_start_matches(QUOTES).trim_start();
    let (op, rest) = match rest.strip_prefix("=~") {
        Some(rest) => (MatcherOp::Regex, rest),
        None => (MatcherOp::NotRegex, rest.strip_prefix("!~")?),
    };
    let (pattern, _) = string_at(rest.trim_start())?;
    Some(Matcher::new(Labels::NAME, op, pattern))
}

impl App {
    /// The `rows` greatest metrics whose names have each of the words in them, in any case. With `unnamed` only those that no
    /// dashboard, rule, permit, ramp or plan of ramps here names.
    pub async fn metric_names(&self, words: &str, unnamed: bool, rows: usize) -> Result<MetricNames, Fault> {
        check_rows(rows)?;
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let named = if unnamed { Some(self.named().await?) } else { None };
        let wanted = move |name: &str| {
            let lower = name.to_lowercase();
            words.iter().all(|word| lower.contains(word.as_str())) && named.as_ref().is_none_or(|n| !n.has(name))
        };
        let found = self.in_store(move |tsdb| Ok(tsdb.metrics_where(rows, wanted))).await?;
        Ok(MetricNames { found: found.metrics, series: found.series, items: counted(found.greatest) })
    }

    /// What is asked here for as long as it is configured. What a pipeline asks stands in its service's repository.
    async fn named(&self) -> Result<Named, Fault> {
        let mut named = Named::default();
        for dashboard in self.dashboards().await? {
            dashboard.panels.iter().flat_map(|panel| &panel.queries).for_each(|query| named.add(&query.expr));
            dashboard.marks.iter().for_each(|mark| named.add(&mark.expr));
            dashboard.variables.iter().flat_map(|v| [&v.of, &v.query]).flatten().for_each(|text| named.add(text));
        }
        for (_, yaml) in self.rule_files().await? {
            // What is kept was read before it was.
            let Ok(file) = tenfold_alerting::parse_rules(&yaml) else { continue };
            for rule in file.groups.iter().flat_map(|group| &group.rules) {
                named.add(rule.expr());
                if let Rule::Alert(alert) = rule {
                    let templates = alert.labels.values().chain(alert.annotations.values());
                    templates.for_each(|template| named.add_template(template.source()));
                }
            }
        }
        self.permits().items.iter().for_each(|permit| named.add(&permit.law.query));
        let plans = self.ramp_plans().await?.items;
        let plans = plans.iter().filter_map(|plan| serde_json::to_value(&plan.plan).ok());
        plans.chain(self.flags.ramps_written()).for_each(|json| named.add_texts(&json));
        Ok(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, named: &[&str], unnamed: &[&str]) {
        let mut all = Named::default();
        all.add(query);
        for name in named {
            assert!(all.has(name), "`{query}` names {name}");
        }
        for name in unnamed {
            assert!(!all.has(name), "`{query}` does not name {name}");
        }
    }

    #[test]
    fn a_query_names_its_metrics() {
        let rate = "sum by (job)(rate(http_requests_total{code=~\"5..\"}[$__rate_interval]))";
        check(rate, &["http_requests_total"], &["http", "up"]);
        check("a:b:rate5m/:node:sum:\nup", &["a:b:rate5m", ":node:sum:", "up"], &["a", "node"]);
        check("{\"http.requests\", job='x'} + {'a b'} + {`c.d`}", &["http.requests", "a b", "c.d"], &["http.request"]);
        check("{__name__=~\"node_(cpu|disk)_.*\"}", &["node_cpu_seconds"], &["node_load1"]);
        check("{__name__ =~ 'a\\\\.b.*'} or {\"__name__\"=~`c\\.d`}", &["a.bc", "c.d"], &["axbc", "cxd"]);
        check("{__name__=\"up\"} or {__name__!~\"x.*\"}", &["up"], &["xy", "z"]);
        check(r#"{"a\"b", c='it\'s'} + {"dot\x2e\u0064"}"#, &["a\"b", "it's", "dot.d"], &["a.b", "dot.e"]);
    }

    #[test]
    fn a_pattern_that_leaves_names_out_names_what_few_it_takes() {
        check("{__name__!~\"[^n].*\"}", &["node_load1"], &["up"]);
        check("{__name__ !~ 'node_.*', job='x'} + {'__name__'!~`a.*`}", &[], &["node_load1", "up", "z"]);
        check("{__name__=~\"node_.*\",__name__!~\"node_cpu_.*\"}", &["node_load1"], &["up"]);
    }

    #[track_caller]
    fn check_template(source: &str, named: &[&str], unnamed: &[&str]) {
        let mut all = Named::default();
        all.add_template(source);
        assert!(named.iter().all(|name| all.has(name)), "`{source}` names {named:?}");
        assert!(!unnamed.iter().any(|name| all.has(name)), "`{source}` names none of {unnamed:?}");
    }

    #[test]
    fn what_a_template_asks_is_named() {
        let asks = r#"The host's up: {{ with printf "disk_used{host='%s'}" $labels.host | query }}{{ . | first | value }}{{ end }}"#;
        check_template(asks, &["disk_used"], &["up", "disk"]);
        check_template(r#"{{ query "count({__name__=~\"node_.*\"})" }}"#, &["node_load1"], &["up"]);
        check_template("{{ range query `{\"http.requests\"}` }}x{{ end }}", &["http.requests"], &["http.request"]);
        check_template("{{ $value }} of disk_used", &[], &["disk_used"]);
    }

    #[test]
    fn a_pattern_for_any_name_names_none() {
        check("count by (__name__)({__name__=~\".+\"})", &[], &["up"]);
        check("{__name__=~\"(\"} + {__name__=~\"open", &[], &["up"]);
    }

    #[test]
    fn every_text_of_a_plan_is_read() {
        let mut all = Named::default();
        all.add_texts(&serde_json::json!({"steps": [{"guard": {"expr": "sum(\nerrors)"}, "n": 1}], "guard": null}));
        assert!(all.has("errors") && !all.has("guard"));
    }
}
