//! Runs the tests of a file: loads samples as time goes on, evaluates the groups on the grid, and compares.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_alerting::{AlertState, Answer, Group, Present, RecordingRule, Rule, RuleState, RuleWorld, step};
use tenfold_promql::{
    Interrupt, Limits, Query, Sample, Value, format_float, instant, parse,
    series::{Item, Table, description, items},
};
use tenfold_types::{Labels, STALE_NAN, Timestamp, format_duration_ms, histogram::Histogram};

use super::file::{AlertCase, ExprCase, TestFile, TestGroup};

/// Evaluations of one test.
const EVALUATIONS_MAX: i64 = 500_000;
/// Samples of one test.
const SAMPLES_MAX: usize = 5_000_000;

/// What became of one test of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its name, or its place in the file.
    pub name: String,
    /// Nothing here means that it passed.
    pub failures: Vec<String>,
}

/// Runs the tests whose names contain `only` over the groups of the rule files, in the order of those.
pub fn run_tests(file: &TestFile, groups: &[Group], only: &str) -> Vec<Outcome> {
    let place = |g: &Group| file.group_eval_order.iter().position(|n| *n == g.name).unwrap_or(0);
    let mut groups: Vec<&Group> = groups.iter().collect();
    groups.sort_by_key(|g| place(g));
    let tests = file.tests.iter().enumerate().filter(|(_, t)| t.name.contains(only));
    tests
        .map(|(i, test)| {
            let name = if test.name.is_empty() { format!("test {}", i + 1) } else { test.name.clone() };
            let failures = Suite::new(file, test, &groups).map_or_else(|e| vec![e], Suite::run);
            Outcome { name, failures }
        })
        .collect()
}

/// A rule with its state and the series it wrote at the last evaluation.
struct Running<'g> {
    group: &'g Group,
    rule: &'g Rule,
    state: RuleState,
    wrote: BTreeSet<Labels>,
}

struct Suite<'g> {
    file: &'g TestFile,
    test: &'g TestGroup,
    rules: Vec<Running<'g>>,
    table: Table,
    /// What is still to be loaded: instant, series, value; the next one last.
    ahead: Vec<(i64, Labels, Item)>,
    external_labels: Labels,
}

type Rows = Vec<(Labels, Sample)>;

impl<'g> Suite<'g> {
    fn new(file: &'g TestFile, test: &'g TestGroup, groups: &[&'g Group]) -> Result<Self, String> {
        if let Some(case) = test.alert_rule_test.iter().find(|c| c.alertname.is_empty()) {
            let at = format_duration_ms(case.eval_time);
            return Err(format!("an item under alert_rule_test at {at} has no alertname"));
        }
        let interval = if test.interval == 0 { file.evaluation_interval } else { test.interval };
        let mut ahead = Vec::new();
        for input in &test.input_series {
            let wrong = |e: String| format!("the series `{}`: {e}", input.series);
            let (labels, rest) = description(input.series.trim()).map_err(wrong)?;
            if !rest.trim().is_empty() {
                return Err(wrong(format!("`{}` stands behind it", rest.trim())));
            }
            for (i, item) in items(&input.values).map_err(wrong)?.into_iter().enumerate() {
                if !matches!(item, Item::Missing) {
                    ahead.push((test.start_timestamp + i as i64 * interval, labels.clone(), item));
                }
            }
            if ahead.len() > SAMPLES_MAX {
                return Err(format!("a test has at most {SAMPLES_MAX} samples"));
            }
        }
        // Stable, so that what comes first in the file is loaded first.
        ahead.sort_by_key(|(t, ..)| *t);
        ahead.reverse();
        let external = test.external_labels.iter().map(|(n, v)| (n.clone(), v.clone()));
        let running = |(group, rule)| Running { group, rule, state: RuleState::default(), wrote: BTreeSet::new() };
        Ok(Self {
            file,
            test,
            rules: groups.iter().flat_map(|g| g.rules.iter().map(|r| (*g, r))).map(running).collect(),
            table: Table::default(),
            ahead,
            external_labels: Labels::from_pairs(external),
        })
    }

    fn run(mut self) -> Vec<String> {
        let alerts = self.test.alert_rule_test.iter().map(|c| c.eval_time);
        let end = alerts.chain(self.test.promql_expr_test.iter().map(|c| c.eval_time)).max().unwrap_or(0);
        let interval = self.file.evaluation_interval;
        if end / interval > EVALUATIONS_MAX {
            return vec![format!("a test evaluates at most {EVALUATIONS_MAX} times, this one {}", end / interval)];
        }
        let mut failures = Vec::new();
        let mut since = 0;
        while since <= end {
            let at = self.test.start_timestamp + since;
            self.load(at);
            let broken = self.evaluate(at);
            if !broken.is_empty() {
                let when = format_duration_ms(since);
                failures.extend(broken.into_iter().map(|(rule, e)| format!("rule: {rule}, time: {when}, err: {e}")));
                return failures;
            }
            let due = self.test.alert_rule_test.iter().filter(|c| (since..since + interval).contains(&c.eval_time));
            failures.extend(due.filter_map(|case| self.alerts(case)));
            since += interval;
        }
        failures.extend(self.test.promql_expr_test.iter().filter_map(|case| self.expr(case)));
        failures
    }

    fn load(&mut self, until: i64) {
        while self.ahead.last().is_some_and(|(t, ..)| *t <= until) {
            if let Some((t, labels, item)) = self.ahead.pop() {
                match item {
                    Item::Missing => {}
                    Item::Float(v) => self.table.add(labels, t, v),
                    Item::Histogram(h, _) => self.table.add_histogram(labels, t, (*h).clone()),
                }
            }
        }
    }

    /// Evaluates every rule once; what failed is named.
    fn evaluate(&mut self, at: i64) -> Vec<(String, String)> {
        let mut broken = Vec::new();
        let mut rules = std::mem::take(&mut self.rules);
        for running in &mut rules {
            let done = match running.rule {
                Rule::Record(rule) => self.record(rule, running.group, at),
                Rule::Alert(_) => self.alert(running, at),
            };
            let rows = done.unwrap_or_else(|e| {
                broken.push((running.rule.name().to_owned(), e));
                Vec::new()
            });
            // Of the instant that was asked for.
            let of = at - running.group.offset_ms;
            let wrote: BTreeSet<Labels> = rows.iter().map(|(labels, _)| labels.clone()).collect();
            for gone in running.wrote.difference(&wrote) {
                self.table.add(gone.clone(), of, STALE_NAN);
            }
            running.wrote = wrote;
            for (labels, sample) in rows {
                match sample {
                    Sample::Float(v) => self.table.add(labels, of, v),
                    Sample::Histogram(h) => self.table.add_histogram(labels, of, (*h).clone()),
                }
            }
        }
        self.rules = rules;
        broken
    }

    fn query(&self, expr: &str, at: i64) -> Result<Rows, String> {
        let parsed = parse(expr).map_err(|e| e.pointing(expr))?;
        let (limits, interrupt) = (Limits::default(), Interrupt::default());
        let query = Query {
            subquery_step_ms: self.file.evaluation_interval,
            rows_max_ms: 0,
            ..Query::new(&self.table, &limits, &interrupt)
        };
        match instant(&query, &parsed, at).map_err(|e| e.to_string())?.value {
            Value::Vector(rows) => Ok(rows.into_iter().map(|r| ((*r.labels).clone(), r.value)).collect()),
            Value::Scalar(point) => Ok(vec![(Labels::new(), Sample::Float(point.value))]),
            other => {
                Err(format!("a rule's expression answers with a vector or a scalar, not with a {}", other.type_name()))
            }
        }
    }

    fn limited(&self, expr: &str, group: &Group, at: i64) -> Result<Rows, String> {
        let rows = self.query(expr, at - group.offset_ms)?;
        match usize::try_from(group.limit) {
            Ok(limit) if limit > 0 && rows.len() > limit => {
                Err(format!("the group's limit is {limit} series, the rule answers with {}", rows.len()))
            }
            _ => Ok(rows),
        }
    }

    fn record(&self, rule: &RecordingRule, group: &Group, at: i64) -> Result<Rows, String> {
        let mut seen = BTreeSet::new();
        let mut rows = self.limited(&rule.expr, group, at)?;
        for (labels, _) in &mut rows {
            labels.set(Labels::NAME, rule.record.clone());
            for (name, value) in rule.labels.iter() {
                labels.set(name, value);
            }
            if !seen.insert(labels.clone()) {
                return Err(format!("two series are {labels} under the rule's labels"));
            }
        }
        Ok(rows)
    }

    fn alert(&self, running: &mut Running<'_>, at: i64) -> Result<Rows, String> {
        let Rule::Alert(rule) = running.rule else { return Ok(Vec::new()) };
        let rows = self.limited(&rule.expr, running.group, at)?;
        let samples = rows.into_iter().map(|(labels, sample)| (labels, sample.float().unwrap_or(0.0))).collect();
        let asked = |expr: &str| {
            let rows = self.query(expr, at)?;
            Ok(rows.into_iter().filter_map(|(labels, sample)| Some((labels, sample.float()?))).collect())
        };
        let world = RuleWorld {
            external_labels: &self.external_labels,
            external_url: &self.test.external_url,
            ask: Some(&asked),
            at: Timestamp(at),
        };
        let answer = Answer::Samples { samples, present: Present::All };
        let (_, refused) = step(rule, &mut running.state, answer, world, 0);
        if let Some(refused) = refused {
            return Err(refused.to_string());
        }
        let mut rows = Vec::new();
        let mut seen = BTreeSet::new();
        for alert in running.state.active.values() {
            if !seen.insert(&alert.labels) {
                return Err(format!("two alerts are {} under the rule's labels", alert.labels));
            }
            let named = |name: &str| alert.labels.clone().with(Labels::NAME, name);
            rows.push((named("ALERTS").with("alertstate", alert.state.as_str()), Sample::Float(1.0)));
            rows.push((named("ALERTS_FOR_STATE"), Sample::Float(alert.active_since.seconds())));
        }
        Ok(rows)
    }

    /// What is wrong with the firing alerts of a name.
    fn alerts(&self, case: &AlertCase) -> Option<String> {
        type Pair = (BTreeMap<String, String>, BTreeMap<String, String>);
        let mut got: Vec<Pair> = Vec::new();
        for running in self.rules.iter().filter(|r| matches!(r.rule, Rule::Alert(a) if a.alert == case.alertname)) {
            for alert in running.state.active.values().filter(|a| a.state == AlertState::Firing) {
                let labels = alert.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
                got.push((labels, BTreeMap::from(&*alert.annotations)));
            }
        }
        let mut expected: Vec<Pair> = Vec::new();
        for alert in &case.exp_alerts {
            let mut labels = alert.exp_labels.clone();
            labels.insert("alertname".to_owned(), case.alertname.clone());
            expected.push((labels, alert.exp_annotations.clone()));
        }
        got.sort();
        expected.sort();
        if got == expected {
            return None;
        }
        let show = |pairs: &[Pair]| {
            let lines: Vec<_> =
                pairs.iter().map(|(l, a)| format!("\n      Labels:{l:?}\n      Annotations:{a:?}")).collect();
            if lines.is_empty() { " none".to_owned() } else { lines.concat() }
        };
        let at = format_duration_ms(case.eval_time);
        Some(format!("alertname: {}, time: {at}\n    exp:{}\n    got:{}", case.alertname, show(&expected), show(&got)))
    }

    fn expr(&self, case: &ExprCase) -> Option<String> {
        let title = format!("expr: {:?}, time: {}", case.expr, format_duration_ms(case.eval_time));
        let got = match self.query(&case.expr, self.test.start_timestamp + case.eval_time) {
            Ok(got) => got,
            Err(e) => return Some(format!("{title}, err: {e}")),
        };
        let expected = match case.exp_samples.iter().map(expected).collect::<Result<Rows, String>>() {
            Ok(expected) => expected,
            Err(e) => return Some(format!("{title}, err: {e}")),
        };
        let (mut got, mut expected) = (got, expected);
        got.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        let same = |((a, x), (b, y)): (&(Labels, Sample), &(Labels, Sample))| a == b && self.same(x, y);
        if got.len() == expected.len() && got.iter().zip(&expected).all(same) {
            return None;
        }
        Some(format!("{title}\n    exp:{}\n    got:{}", shown(&expected), shown(&got)))
    }

    fn same(&self, a: &Sample, b: &Sample) -> bool {
        match (a, b) {
            (Sample::Float(a), Sample::Float(b)) => {
                let near = self.file.fuzzy_compare && (a.next_up() == *b || a.next_down() == *b);
                a == b || a.is_nan() && b.is_nan() || near
            }
            (Sample::Histogram(a), Sample::Histogram(b)) => {
                let compact = |h: &Histogram| {
                    let mut h = h.clone();
                    h.compact();
                    h.reset_hint = tenfold_types::ResetHint::default();
                    h
                };
                compact(a) == compact(b)
            }
            _ => false,
        }
    }
}

fn expected(sample: &super::file::ExpectedSample) -> Result<(Labels, Sample), String> {
    let text = sample.labels.trim();
    let (labels, rest) = if text.is_empty() { (Labels::new(), "") } else { description(text)? };
    if !rest.trim().is_empty() {
        return Err(format!("labels {text:?}: `{}` stands behind them", rest.trim()));
    }
    if sample.histogram.is_empty() {
        return Ok((labels, Sample::Float(sample.value)));
    }
    match items(&sample.histogram)?.as_slice() {
        [Item::Histogram(h, _)] => Ok((labels, Sample::Histogram(h.clone()))),
        _ => Err(format!("`{}` is not one histogram", sample.histogram)),
    }
}

fn shown(rows: &Rows) -> String {
    if rows.is_empty() {
        return " nothing".to_owned();
    }
    let value = |s: &Sample| match s {
        Sample::Float(v) => format_float(*v),
        Sample::Histogram(h) => format!("{h:?}"),
    };
    let lines: Vec<String> =
        rows.iter().map(|(labels, sample)| format!("\n      {labels} {}", value(sample))).collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::super::file::read_tests;
    use super::*;

    #[test]
    fn what_a_group_brings_is_of_the_instant_it_asks_for() {
        let rules = "groups:\n- name: past\n  query_offset: 1m\n  rules:\n  - {record: b, expr: a}\n";
        let groups = tenfold_alerting::parse_rules(rules).unwrap().groups;
        let tests = "tests:\n- interval: 1m\n  input_series: [{series: a, values: '0 1 2 3 4 5'}]\n  promql_expr_test:\n  \
                     - {expr: timestamp(b), eval_time: 5m, exp_samples: [{value: 240}]}\n  \
                     - {expr: b, eval_time: 4m, exp_samples: [{labels: b, value: 4}]}\n";
        let outcomes = run_tests(&read_tests(tests).unwrap(), &groups, "");
        assert_eq!(outcomes.len(), 1);
        assert!(outcomes[0].failures.is_empty(), "{outcomes:?}");
    }
}
