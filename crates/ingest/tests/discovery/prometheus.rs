//! The same configuration to Debian's Prometheus and to us: the same targets, dropped targets and series.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tenfold_app::metrics::Health;
use tenfold_promql::Sample;
use tenfold_types::Labels;

use crate::peer::{Prometheus, native_page};
use crate::site::Site;
use crate::world::World;

const TEXT: &str = "text/plain; version=0.0.4";
const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What the configuration comes to.
const TARGETS: usize = 13;
const DROPPED: usize = 3;
const PROTO: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

fn config(site: &str, own: &str) -> String {
    format!(
        r"
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
- job_name: prometheus
  scrape_native_histograms: true
  static_configs: [{{targets: ['{own}']}}]
- job_name: rules
  metrics_path: /one
  params: {{module: [a b, c], empty: []}}
  static_configs:
  - targets: ['{site}', 'drop.example:80', 'noport.example:1']
    labels: {{__meta_zone: eu-west-1, __meta_my_x: y, env: Prod, long: some-name-value}}
  file_sd_configs: [{{files: [more.json]}}]
  relabel_configs:
  - {{source_labels: [__address__], regex: 'drop\..*', action: drop}}
  - {{source_labels: [__meta_zone], regex: '([a-z]+)-([a-z]+)-(\d)', target_label: zone, replacement: '${{1}}/$2/$3/$4'}}
  - {{source_labels: [__address__, env], separator: '@', target_label: at}}
  - {{source_labels: [env], target_label: env, action: lowercase}}
  - {{source_labels: [env], target_label: upper, action: uppercase}}
  - {{source_labels: [__meta_zone], modulus: 17, target_label: shard, action: hashmod}}
  - {{regex: '__meta_(my_.+)', action: labelmap}}
  - {{source_labels: [long], regex: 'some-([^-]+)-([^,]+)', target_label: '${{1}}', replacement: '${{2}}'}}
  - {{regex: 'long', action: labeldrop}}
  - {{source_labels: [__address__], regex: 'noport\..*', target_label: __tmp_same, replacement: prod}}
  - {{source_labels: [__tmp_same], target_label: env, action: dropequal}}
  - {{source_labels: [job], regex: rul, target_label: never}}
- job_name: samples
  metrics_path: /two
  honor_labels: true
  static_configs: [{{targets: ['{site}'], labels: {{instance: fixed}}}}]
  metric_relabel_configs:
  - {{source_labels: [__name__], regex: 'go_.*', action: drop}}
  - {{source_labels: [code], regex: '(.)..', target_label: class, replacement: '${{1}}xx'}}
  - {{regex: code, action: labeldrop}}
- {{job_name: hidden, metrics_path: /two, static_configs: [{{targets: ['{site}']}}]}}
- {{job_name: sample_limit, metrics_path: /two, sample_limit: 3, static_configs: [{{targets: ['{site}']}}]}}
- {{job_name: label_limit, metrics_path: /two, label_limit: 3, static_configs: [{{targets: ['{site}']}}]}}
- {{job_name: name_limit, metrics_path: /two, label_name_length_limit: 7, static_configs: [{{targets: ['{site}']}}]}}
- {{job_name: target_limit, metrics_path: /one, target_limit: 1, static_configs: [{{targets: ['{site}', 'h:1']}}]}}
- {{job_name: broken, metrics_path: /broken, static_configs: [{{targets: ['{site}']}}]}}
- {{job_name: missing, metrics_path: /missing, static_configs: [{{targets: ['{site}']}}]}}
- {{job_name: open, metrics_path: /open, static_configs: [{{targets: ['{site}']}}]}}
- {{job_name: native, metrics_path: /native, scrape_native_histograms: true, static_configs: [{{targets: ['{site}']}}]}}
"
    )
}

/// What a Prometheus of 2023 does not know.
fn older(yaml: &str) -> String {
    yaml.replace(", scrape_native_histograms: true", "").replace("  scrape_native_histograms: true\n", "")
}

fn pages(site: &Site) {
    site.page("/one?empty=&module=a+b&module=c", TEXT, "one 1\n");
    for path in ["/one", "/one?module=a%20b&module=c", "/one?module=a+b&module=c"] {
        site.page(path, TEXT, "# TYPE one gauge\none{path=\"C:\\\\x\",q=\"\\\"\"} 1.5e3\n");
    }
    site.page(
        "/two",
        TEXT,
        "# TYPE req counter\nreq{code=\"204\"} 7\nreq{code=\"500\",job=\"own\"} 2\ngo_threads 9\nodd NaN\nbig +Inf\n",
    );
    site.page("/broken", TEXT, "fine 1\nworse 2\nbroken{ 3\n");
    site.page(
        "/open",
        OPEN,
        "# TYPE c counter\n# HELP c Calls.\nc_total{a=\"1\"} 4.0 # {trace_id=\"abc\"} 0.25\n# TYPE h histogram\n\
         h_bucket{le=\"0.5\"} 1 # {trace_id=\"def\"} 0.4\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 1.5\n# EOF\n",
    );
    site.page("/native", PROTO, native_page());
}

/// Discovered labels, labels, pool and health.
type Shown = (Labels, Labels, String, String);
/// Those that are asked, and the discovered labels of those that are dropped.
type Targets = (Vec<Shown>, Vec<Labels>);

fn theirs(answer: &Json) -> Targets {
    let labels = |json: &Json| serde_json::from_value::<Labels>(json.clone()).expect("labels");
    let text = |json: &Json| json.as_str().expect("a text").to_owned();
    let active = answer["data"]["activeTargets"].as_array().expect("a list").iter();
    let mut active: Vec<_> = active
        .map(|t| (labels(&t["discoveredLabels"]), labels(&t["labels"]), text(&t["scrapePool"]), text(&t["health"])))
        .collect();
    let dropped = answer["data"]["droppedTargets"].as_array().expect("a list").iter();
    let mut dropped: Vec<_> = dropped.map(|t| labels(&t["discoveredLabels"])).collect();
    active.sort();
    dropped.sort();
    (active, dropped)
}

fn ours(world: &World) -> Targets {
    let health = |h: Health| match h {
        Health::Up => "up",
        Health::Down => "down",
        Health::Unknown => "unknown",
    };
    let all = world.app.metrics.target_statuses().into_iter();
    let mut active: Vec<_> = all.map(|t| (t.discovered, t.labels, t.pool, health(t.health).to_owned())).collect();
    let mut dropped: Vec<_> = world.app.metrics.dropped_targets().into_iter().map(|d| d.discovered).collect();
    active.sort();
    dropped.sort();
    (active, dropped)
}

/// Series and values as one text each.
async fn their_series(prometheus: &Prometheus, expr: &str) -> BTreeMap<String, String> {
    let rows = prometheus.query(expr).await;
    let one = |row: &Json| {
        let labels: Labels = serde_json::from_value(row["metric"].clone()).expect("labels");
        let value = match row.get("value") {
            Some(value) => value[1].as_str().expect("a text").to_owned(),
            None => row["histogram"][1].to_string(),
        };
        (labels.to_string(), value)
    };
    rows.iter().map(one).collect()
}

fn our_series(world: &World, expr: &str) -> BTreeMap<String, String> {
    let short = tenfold_promql::format_float;
    let one = |s: &tenfold_promql::VectorSample| {
        let value = match &s.value {
            Sample::Float(v) => short(*v),
            Sample::Histogram(h) => {
                let buckets: Vec<Json> = h
                    .all_buckets()
                    .iter()
                    .filter(|b| b.count != 0.0)
                    .map(|b| {
                        let code = match (b.lower_inclusive, b.upper_inclusive) {
                            (false, true) => 0,
                            (true, false) => 1,
                            (false, false) => 2,
                            (true, true) => 3,
                        };
                        serde_json::json!([code, short(b.lower), short(b.upper), short(b.count)])
                    })
                    .collect();
                serde_json::json!({"count": short(h.count), "sum": short(h.sum), "buckets": buckets}).to_string()
            }
        };
        (s.labels.to_string(), value)
    };
    world.vector(expr).iter().map(one).collect()
}

/// Keys of objects in one order.
fn sorted(series: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let plain = |text: String| match serde_json::from_str::<BTreeMap<String, Json>>(&text) {
        Ok(map) => serde_json::to_string(&map).expect("JSON"),
        Err(_) => text,
    };
    series.into_iter().map(|(labels, value)| (labels, plain(value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_sees_the_same() {
    let site = Site::start().await;
    pages(&site);
    let port = tenfold_testkit::free_port();
    let yaml = config(&site.address, &format!("127.0.0.1:{port}"));
    let world = World::new(&yaml, |_| {}).await;
    std::fs::write(world.dir.path().join("more.json"), r#"[{"targets": ["127.0.0.1:9"], "labels": {"from": "file"}}]"#)
        .unwrap();
    let theirs_yaml = world.dir.path().join("older.yml");
    std::fs::write(&theirs_yaml, older(&yaml)).unwrap();
    let Some(prometheus) = Prometheus::start(&theirs_yaml, &world.dir.path().join("peer"), port) else {
        tenfold_testkit::peer_is_missing("prometheus is not installed");
        return;
    };
    let world = world.start().await;
    // 2.42 shows some discovered labels as rules rewrote them, and writes paths in its own way.
    let comparable = |mut all: Targets| {
        for labels in all.0.iter_mut().map(|t| &mut t.0).chain(&mut all.1) {
            let kept = labels.iter().filter(|(n, _)| n.starts_with("__") && *n != "__meta_filepath");
            *labels = Labels::from_pairs(kept.map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>());
        }
        all.1.sort();
        all
    };
    let (mut their, mut our) = (Targets::default(), Targets::default());
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(200));
    for _ in 0..300 {
        tick.tick().await;
        their = comparable(theirs(&prometheus.get("/api/v1/targets").await));
        our = comparable(ours(&world));
        let settled = |t: &Targets| {
            t.0.iter().all(|(_, _, _, health)| health != "unknown") && t.0.len() == TARGETS && t.1.len() == DROPPED
        };
        // on a machine with much else to do one of them may just have waited in vain for an answer
        if settled(&their) && settled(&our) && their == our {
            break;
        }
    }
    assert_eq!(our.0, their.0);
    assert_eq!(our.1, their.1);
    assert_eq!((their.0.len(), their.1.len()), (TARGETS, DROPPED), "the cases are what they were meant to be");

    let exprs = [
        "{job=~\"rules|samples|own|hidden|native|open\",__name__!~\"scrape_.*\"}",
        "up",
        "scrape_samples_scraped{job!=\"prometheus\"}",
        "scrape_samples_post_metric_relabeling{job!=\"prometheus\"}",
        "max_over_time(scrape_series_added{job!=\"prometheus\",job!~\".*limit\"}[1m])",
        "count by (__name__) ({job=\"prometheus\",__name__=~\"prometheus_.*seconds.*\"})",
    ];
    let mut checked = 0;
    for expr in exprs {
        let (mut their, mut our) = Default::default();
        for _ in 0..150 {
            (their, our) = (sorted(their_series(&prometheus, expr).await), sorted(our_series(&world, expr)));
            if their == our {
                break;
            }
            tick.tick().await;
        }
        assert_eq!(our, their, "{expr}");
        checked += their.len();
    }
    assert!(checked > 100, "{checked} series");
    // Exemplars as well.
    let answer = prometheus.get("/api/v1/query_exemplars?query=%7Bjob%3D%22open%22%7D&start=0&end=99999999999").await;
    let theirs: BTreeMap<String, Json> = answer["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| {
            let labels: Labels = serde_json::from_value(s["seriesLabels"].clone()).expect("labels");
            (labels.to_string(), serde_json::json!([s["exemplars"][0]["labels"], s["exemplars"][0]["value"]]))
        })
        .collect();
    let (start, end) = (tenfold_types::Timestamp(0), world.app.now());
    let ours: BTreeMap<String, Json> = world
        .app
        .query_exemplars("{job=\"open\"}", start, end)
        .await
        .expect("exemplars")
        .iter()
        .map(|(labels, list)| {
            assert_eq!(list.len(), 1, "one that is repeated is kept once");
            (labels.to_string(), serde_json::json!([list[0].labels, list[0].value.to_string()]))
        })
        .collect();
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 2);
    println!("prometheus: {TARGETS} targets, {DROPPED} dropped and {checked} series the same");
}
