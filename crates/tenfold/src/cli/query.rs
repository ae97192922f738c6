//! query: asking for metrics, and what an answer cost.

use serde_json::{Value, json};
use tenfold_types::{Clock, Timestamp};

use super::Common;
use super::client::Client;
use super::deploys::instant;
use super::follow;
use super::out::{Exit, Failure, Out, list, number, talk, text};
use super::ship::duration;
use crate::ambient::SystemClock;

/// The longest piece of an expression that is shown in a plan.
const EXPRESSION_CHARS_MAX: usize = 60;
/// Steps of a range when no step is given.
const STEPS: i64 = 60;
/// The step of what is followed when none is given.
const FOLLOW_STEP_MS: i64 = 1_000;

/// Ask for metrics in PromQL; say where the time of a query goes.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold query 'sum by (job) (up)'\n  tenfold query 'rate(http_requests_total[5m])' --range 1h --step 1m\n  tenfold query 'up == 0' --at 2026-11-28T02:51:00Z\n  tenfold query 'sum(rate(http_requests_total[1m]))' --follow\n  tenfold query --explain 'sum(rate(http_requests_total[5m]))' --range 6h"
)]
pub struct Query {
    #[arg(value_name = "EXPR")]
    expr: String,
    /// Ask for this much time until now instead of now alone.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    range: Option<i64>,
    /// The instant that is asked about, or at which the range ends, like 2026-11-28T02:51:00Z [default: now].
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    at: Option<Timestamp>,
    /// The time between two values [default: a sixtieth of the range, a second when following].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    step: Option<i64>,
    /// Print the values of new steps as they come, until interrupted.
    #[arg(long, conflicts_with_all = ["range", "explain", "at"])]
    follow: bool,
    /// Print by node of the expression what was read and how long it took, not the answer.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

impl Query {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        if self.follow {
            return self.follow(client, out).await;
        }
        if self.step.is_some() && self.range.is_none() {
            return Err(Failure::new(Exit::Misuse, "--step goes with --range or --follow"));
        }
        let mut pairs = vec![("query", self.expr.clone())];
        let path = if let Some(range_ms) = self.range {
            let end = self.at.unwrap_or_else(|| SystemClock.now());
            let step_ms = self.step.unwrap_or((range_ms / STEPS).max(1000));
            pairs.push(("start", seconds(end.plus_ms(-range_ms).millis())));
            pairs.push(("end", seconds(end.millis())));
            pairs.push(("step", seconds(step_ms)));
            "/api/v1/query_range"
        } else {
            pairs.extend(self.at.map(|at| ("time", seconds(at.millis()))));
            "/api/v1/query"
        };
        if self.explain {
            pairs.push(("explain", "1".into()));
        }
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = client.get(path, &pairs).await?;
        for remark in list(&answer, "warnings").iter().chain(list(&answer, "infos")) {
            super::out::talk(remark.as_str().unwrap_or_default());
        }
        let lines = if self.explain { plan } else { values };
        out.answer(&answer, |answer| lines(&answer["data"]));
        if answer["data"]["result"].as_array().is_some_and(Vec::is_empty) && !self.explain {
            talk("no series answers this");
        }
        Ok(Exit::Done)
    }

    async fn follow(&self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let step_ms = self.step.unwrap_or(FOLLOW_STEP_MS);
        let question = json!({"queries": [{"query": self.expr, "step_ms": step_ms}]});
        let mut told = None;
        follow::stream_of(client, "/api/metrics/live", &question, |event, value| {
            match event.name.as_str() {
                "points" => {
                    let to = value["to"].as_f64().unwrap_or_default();
                    let since = told.unwrap_or(to - step_ms as f64 / 1_000.0);
                    told = Some(to.max(since));
                    if value["missed"] == true {
                        talk("values before these were not sent; ask for them with --range");
                    }
                    let new = newer(value, since);
                    if !list(&new, "result").is_empty() {
                        out.item(&new, |new| values(new).join("\n"));
                    }
                }
                "fault" => talk(&format!("{}; {}", text(value, "message"), text(value, "advice"))),
                _ => {}
            }
            false
        })
        .await?;
        Ok(Exit::Done)
    }
}

/// What was not printed yet: each answer tells the steps before again.
fn newer(points: &Value, since: f64) -> Value {
    let row = |row: &Value| {
        let mut new = json!({"metric": row["metric"]});
        for kind in ["values", "histograms"] {
            let pairs = list(row, kind).iter().filter(|pair| pair[0].as_f64().is_some_and(|at| at > since));
            let pairs: Vec<&Value> = pairs.collect();
            if !pairs.is_empty() {
                new[kind] = json!(pairs);
            }
        }
        (new.get("values").is_some() || new.get("histograms").is_some()).then_some(new)
    };
    let rows: Vec<Value> = list(points, "result").iter().filter_map(row).collect();
    json!({"resultType": "matrix", "result": rows})
}

/// `up{job="web"}` of the labels of a series.
fn series(metric: &Value) -> String {
    let pairs = metric.as_object().into_iter().flatten();
    let labels = tenfold_types::Labels::from_pairs(pairs.map(|(n, v)| (n.as_str(), v.as_str().unwrap_or_default())));
    labels.to_string()
}

/// The value of `[instant, value]`: a number as text, or a histogram.
fn value(pair: &Value) -> String {
    pair[1].as_str().map_or_else(|| pair[1].to_string(), str::to_owned)
}

/// A line for each series; of a range one for each value.
fn values(data: &Value) -> Vec<String> {
    if matches!(text(data, "resultType"), "scalar" | "string") {
        return vec![value(&data["result"])];
    }
    let mut lines = Vec::new();
    for row in list(data, "result") {
        let name = series(&row["metric"]);
        for single in ["value", "histogram"] {
            if let Some(pair) = row.get(single) {
                lines.push(format!("{name} {}", value(pair)));
            }
        }
        for pair in list(row, "values").iter().chain(list(row, "histograms")) {
            lines.push(format!("{name} {} {}", pair[0], value(pair)));
        }
    }
    lines
}

/// A table: a line for each node, indented by its depth.
fn plan(data: &Value) -> Vec<String> {
    let explain = &data["explain"];
    let mut rows = vec![["ms", "series", "chunks", "samples", "rows", ""].map(str::to_owned)];
    for node in list(explain, "nodes") {
        let count = |key| number(node, key).to_string();
        let shown: String = text(node, "expression").split_whitespace().collect::<Vec<_>>().join(" ");
        let mut short: String = shown.chars().take(EXPRESSION_CHARS_MAX).collect();
        if short.len() < shown.len() {
            short.push('…');
        }
        let depth = usize::try_from(number(node, "depth")).unwrap_or(0);
        let what = format!("{}{}  {short}", "  ".repeat(depth), text(node, "operation"));
        let ms = format!("{:.2}", node["ms"].as_f64().unwrap_or(0.0));
        rows.push([ms, count("series"), count("chunks"), count("samples"), count("rows"), what]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 6]| {
        let numbers: Vec<String> = row.iter().zip(&widths).map(|(text, width)| format!("{text:>width$}")).collect();
        format!("{}  {}", numbers.join("  "), row[5]).trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    let place = match number(explain, "threads") {
        0 => "in the cluster".to_owned(),
        threads => format!("on {threads} thread(s)"),
    };
    lines.push(format!(
        "{:.2} ms {place}, {:.2} ms waiting; {} series, {} chunks, {} samples read, {} bytes held",
        explain["elapsed_ms"].as_f64().unwrap_or(0.0),
        explain["queued_ms"].as_f64().unwrap_or(0.0),
        number(explain, "series"),
        number(explain, "chunks"),
        number(explain, "samples"),
        number(explain, "held_bytes"),
    ));
    lines
}

#[cfg(test)]
mod unit {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_told_again_is_printed_once() {
        let points = json!({"from": 1.0, "to": 3.0, "result": [
            {"metric": {"job": "web"}, "values": [[1.0, "5"], [2.0, "6"], [3.0, "7"]]},
            {"metric": {"job": "db"}, "values": [[1.0, "8"]]}]});
        assert_eq!(values(&newer(&points, 1.5)), ["{job=\"web\"} 2.0 6", "{job=\"web\"} 3.0 7"]);
        assert_eq!(values(&newer(&points, 3.0)), [] as [&str; 0]);
    }

    #[test]
    fn answers_are_lines() {
        let vector = json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "web"}, "value": [1.0, "1"]}]});
        assert_eq!(values(&vector), ["up{job=\"web\"} 1"]);
        let matrix = json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[1.5, "2"], [2.5, "+Inf"]]}]});
        assert_eq!(values(&matrix), ["{} 1.5 2", "{} 2.5 +Inf"]);
        assert_eq!(values(&json!({"resultType": "scalar", "result": [1.0, "7"]})), ["7"]);
        assert_eq!([seconds(1_500), seconds(60_007)], ["1.500", "60.007"]);
    }

    #[test]
    fn a_plan_is_a_table() {
        let node = |depth: i64, operation: &str, expression: &str, samples: i64| {
            json!({"depth": depth, "operation": operation, "expression": expression, "series": samples / 10,
                "chunks": 1, "samples": samples, "rows": 1, "ms": 1.25})
        };
        let data = json!({"explain": {"elapsed_ms": 2.5, "queued_ms": 0.0, "threads": 2, "series": 12, "chunks": 1,
            "samples": 120, "held_bytes": 64,
            "nodes": [node(0, "sum", "sum(up)", 0), node(1, "selector", "up", 120)]}});
        assert_eq!(
            plan(&data),
            [
                "  ms  series  chunks  samples  rows",
                "1.25       0       1        0     1  sum  sum(up)",
                "1.25      12       1      120     1    selector  up",
                "2.50 ms on 2 thread(s), 0.00 ms waiting; 12 series, 1 chunks, 120 samples read, 64 bytes held",
            ]
        );
        let of_cluster = json!({"explain": {"elapsed_ms": 2.5, "threads": 0, "nodes": []}});
        let last = plan(&of_cluster).pop().unwrap_or_default();
        assert!(last.starts_with("2.50 ms in the cluster, 0.00 ms waiting"), "{last}");
    }
}
