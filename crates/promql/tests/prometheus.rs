//! The same samples in a real Prometheus and in our store, the same queries to both, the answers compared.
//!
//! Samples go to Prometheus as blocks that `promtool` makes. No query's window ends on a sample: Prometheus 2 and 3 differ
//! on whether such a one belongs to it. Skipped in one line when `prometheus` and `promtool` are not installed.

#[path = "support/server.rs"]
mod server;

use std::{collections::BTreeMap, fmt::Write as _, fs, process::Command};

use serde_json::Value as Json;
use server::{Prometheus, installed};
use tenfold_promql::{
    Interrupt, Limits, Query, QueryError, Queryable, ReadSamples, SeriesData, Value, instant, parse, range,
};
use tenfold_tsdb::{Options, Sample, SeriesChunks, Tsdb};
use tenfold_types::{Labels, Matcher, Point};

const START_MS: i64 = 1_700_000_000_500;
const SAMPLES: i64 = 480;
const INTERVAL_MS: i64 = 15_000;

struct Store(Tsdb);
struct Chunks(SeriesChunks);

impl ReadSamples for Chunks {
    fn read(&self, out: &mut Vec<Point>) -> Result<(), QueryError> {
        self.0.read(out).map_err(|e| QueryError::Storage(e.to_string()))
    }
}

impl Queryable for Store {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, QueryError> {
        let found = self.0.select(matchers, start_ms, end_ms).map_err(|e| QueryError::Storage(e.to_string()))?;
        Ok(found.into_iter().map(|s| SeriesData::lazy(s.labels, Chunks(s.chunks))).collect())
    }
}

fn samples() -> Vec<Sample> {
    let mut state = 11u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    };
    let mut out = Vec::new();
    for job in ["api", "web"] {
        for instance in ["a", "b", "c"] {
            let labels = |name: &str| Labels::from_pairs([("__name__", name), ("job", job), ("instance", instance)]);
            let (mut counter, mut buckets) = (1e6, [1e5, 2e5, 2.5e5, 3e5]);
            for i in 0..SAMPLES {
                let t = START_MS + i * INTERVAL_MS;
                counter = if random() < 0.01 { 0.0 } else { counter + (random() * 500.0).floor() };
                out.push(Sample::new(labels("requests_total"), t, counter));
                if random() > 0.15 {
                    out.push(Sample::new(labels("load"), t, random() * 10.0 - 3.0));
                }
                let mut more = 0.0;
                for (b, le) in ["0.1", "0.5", "1.0", "+Inf"].iter().enumerate() {
                    more += (random() * 4.0).floor();
                    buckets[b] += more;
                    out.push(Sample::new(labels("latency_seconds_bucket").with("le", *le), t, buckets[b]));
                }
            }
        }
    }
    for i in 0..SAMPLES {
        let labels = Labels::from_pairs([("__name__", "owner"), ("job", "api"), ("team", "core")]);
        out.push(Sample::new(labels, START_MS + i * INTERVAL_MS, 1.0));
    }
    out
}

fn open_metrics(samples: &[Sample]) -> String {
    let mut by_name: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for s in samples {
        by_name.entry(s.labels.metric_name().expect("named")).or_default().push(s);
    }
    let mut out = String::new();
    for (name, mut all) in by_name {
        all.sort_by(|a, b| (&a.labels, a.t_ms).cmp(&(&b.labels, b.t_ms)));
        let _ = writeln!(out, "# TYPE {name} unknown");
        for s in all {
            let _ = writeln!(out, "{} {} {}.{:03}", s.labels, s.value, s.t_ms / 1000, s.t_ms % 1000);
        }
    }
    out + "# EOF\n"
}

const EXPRESSIONS: &[&str] = &[
    "load",
    "load offset 5m",
    "load @ 1700003000.123",
    "load{job=~\"a.*\",instance!=\"b\"} * 2 - 1",
    "rate(requests_total[5m])",
    "sum by (job) (rate(requests_total[2m]))",
    "increase(requests_total[10m])",
    "delta(load[5m])",
    "irate(requests_total[1m])",
    "idelta(load[2m])",
    "deriv(load[5m])",
    "predict_linear(load[5m], 600)",
    "holt_winters(load[5m], 0.3, 0.7)",
    "changes(load[5m])",
    "resets(requests_total[30m])",
    "avg_over_time(load[5m])",
    "sum_over_time(load[5m])",
    "min_over_time(load[5m]) + max_over_time(load[5m])",
    "count_over_time(load[5m])",
    "stddev_over_time(load[5m])",
    "stdvar_over_time(load[5m])",
    "quantile_over_time(0.9, load[5m])",
    "last_over_time(load[1m])",
    "present_over_time(load[1m])",
    "absent(load{job=\"none\",instance=~\"a\"})",
    "absent_over_time(load{job=\"none\"}[5m])",
    "sum(load)",
    "avg by (instance) (load)",
    "min without (instance) (load)",
    "max(load) by (job)",
    "count(load > 0)",
    "group by (job) (load)",
    "stddev(load)",
    "stdvar by (job) (load)",
    "quantile(0.75, load)",
    "topk(2, load)",
    "bottomk by (job) (1, load)",
    "count_values(\"v\", round(load))",
    "histogram_quantile(0.95, sum by (le, job) (rate(latency_seconds_bucket[5m])))",
    "histogram_quantile(0.5, latency_seconds_bucket)",
    "load / on(instance, job) requests_total",
    "load * on(job) group_left(team) owner",
    "owner * on(job) group_right(team) load",
    "load / ignoring(instance) group_left sum without (instance) (load)",
    "load and on(job) owner",
    "load or requests_total",
    "load unless on(job) owner",
    "load > 2",
    "load >= bool 2",
    "1 + 2 ^ 3 ^ 0.5 % 4",
    "-load ^ 2",
    "sum by (job) (load) atan2 2",
    "abs(load) + ceil(load) + floor(load) + round(load, 0.25)",
    "exp(load) + ln(load) + log2(load) + log10(load) + sqrt(load)",
    "clamp(load, -1, 4)",
    "sgn(load)",
    "sin(load) + cosh(load / 5) + deg(load)",
    "label_replace(load, \"x\", \"$1-y\", \"instance\", \"(.*)\")",
    "label_join(load, \"x\", \"/\", \"job\", \"instance\")",
    "max_over_time(rate(requests_total[2m])[10m:1m])",
    "avg_over_time(load[10m:45s] offset 3m)",
    "sum_over_time(sum(load)[10m:])",
    "time() - timestamp(load)",
    "vector(scalar(sum(load)))",
    "hour(vector(1700003000)) + day_of_week() + days_in_month() + day_of_year() * minute()",
    "sort_desc(load)",
    "sum(nothing)",
];

type Answer = BTreeMap<(BTreeMap<String, String>, i64), f64>;

fn theirs(json: &Json) -> Answer {
    let data = &json["data"];
    assert_eq!(json["status"], "success", "{json}");
    let point = |labels: &Json, p: &Json| {
        let labels = labels.as_object().into_iter().flatten();
        let labels = labels.map(|(n, v)| (n.clone(), v.as_str().unwrap_or_default().to_string())).collect();
        let t = (p[0].as_f64().expect("an instant") * 1000.0).round() as i64;
        let v = p[1].as_str().expect("a value").trim_start_matches('+').parse().expect("a float");
        ((labels, t), v)
    };
    match data["resultType"].as_str() {
        Some("scalar") => [point(&Json::Null, &data["result"])].into(),
        Some("vector") => {
            data["result"].as_array().into_iter().flatten().map(|s| point(&s["metric"], &s["value"])).collect()
        }
        _ => data["result"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|s| s["values"].as_array().into_iter().flatten().map(move |p| point(&s["metric"], p)))
            .collect(),
    }
}

fn ours(value: &Value) -> Answer {
    let own = |l: &Labels| l.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect::<BTreeMap<_, _>>();
    match value {
        Value::Scalar(p) => [((BTreeMap::new(), p.t_ms), p.value)].into(),
        Value::Vector(v) => v.iter().filter_map(|s| Some(((own(&s.labels), s.t_ms), s.value.float()?))).collect(),
        Value::Matrix(m) => {
            m.iter().flat_map(|s| s.points.iter().map(move |p| ((own(&s.labels), p.t_ms), p.value))).collect()
        }
        Value::String { .. } => BTreeMap::new(),
    }
}

fn same(a: &Answer, b: &Answer) -> Result<(), String> {
    if a.len() != b.len() {
        return Err(format!("{} values of ours, {} of theirs", a.len(), b.len()));
    }
    for ((ka, va), (kb, vb)) in a.iter().zip(b) {
        let close = (va - vb).abs() <= 1e-9 * va.abs().max(vb.abs()).max(1e-3);
        if ka != kb || !(close || va.to_bits() == vb.to_bits() || (va.is_nan() && vb.is_nan())) {
            return Err(format!("ours {ka:?} {va}, theirs {kb:?} {vb}"));
        }
    }
    Ok(())
}

#[test]
fn prometheus_gives_the_same_answers() {
    if !installed("prometheus") || !installed("promtool") {
        tenfold_testkit::peer_is_missing("prometheus and promtool are not installed");
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let samples = samples();
    let page = dir.path().join("samples.txt");
    fs::write(&page, open_metrics(&samples)).expect("the samples are written");
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&page, &dir.path().join("data")])
        .output()
        .expect("promtool runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let prometheus = Prometheus::start(dir.path());

    let (db, _) = Tsdb::open(dir.path().join("ours"), Options::default()).expect("our store opens");
    let report = db.append(&samples).expect("our store takes samples");
    assert_eq!(report.appended, samples.len());
    // Part of them out of a block, part out of the head.
    db.maintain(START_MS + SAMPLES * INTERVAL_MS).expect("our store cuts a block");
    let store = Store(db);
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let query = Query::new(&store, &limits, &interrupt);

    let mut differences = Vec::new();
    let mut values = 0;
    for text in EXPRESSIONS {
        let expr = parse(text).unwrap_or_else(|e| panic!("{}", e.pointing(text)));
        let at = START_MS + 5_003_456;
        let mine = ours(&instant(&query, &expr, at).unwrap_or_else(|e| panic!("{text}: {e}")).value);
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let their = theirs(&prometheus.ask("/api/v1/query", &[("query", text), ("time", &seconds(at))]));
        if let Err(e) = same(&mine, &their) {
            differences.push(format!("{text} at an instant: {e}"));
        }
        values += mine.len();
        let (start, end) = (START_MS + 1_804_321, START_MS + 6_604_321);
        let mine = ours(&range(&query, &expr, start, end, 47_000).unwrap_or_else(|e| panic!("{text}: {e}")).value);
        let parameters = [("query", *text), ("start", &seconds(start)), ("end", &seconds(end)), ("step", "47")];
        let their = theirs(&prometheus.ask("/api/v1/query_range", &parameters));
        if let Err(e) = same(&mine, &their) {
            differences.push(format!("{text} over a range: {e}"));
        }
        values += mine.len();
    }
    println!("{} expressions, {values} values compared with Prometheus", EXPRESSIONS.len());
    assert!(differences.is_empty(), "{differences:#?}");
}
