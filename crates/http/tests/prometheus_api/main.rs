//! The Prometheus HTTP API in the shapes that Grafana, promtool and scripts read.
//!
//! Statuses, error types and the bodies of successes were compared with what Prometheus 2.42 answers to the same requests
//! over the same samples. The texts of errors are our own. The remarks (`infos`, `warnings`) came after 2.42: they
//! follow the README of Prometheus' PromQL test scripts and were compared with no server.

mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod federation;
mod lists;
mod newer;
mod origins;
mod outside;
mod packed;
mod parameters;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use common::World;
use serde_json::{Value, json};
use tenfold_app::Role;
use tenfold_app::people::TokenKind;
use tenfold_tsdb::Sample;
use tenfold_types::Labels;
use tower::ServiceExt;

const T: i64 = 1_800_000_000_000;

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

struct Asker {
    world: World,
    token: String,
}

impl Asker {
    async fn new() -> Self {
        let world = common::world().await;
        let token = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
        let series = |name: &str, job: &str| Labels::from_pairs([("__name__", name), ("job", job)]);
        for i in 0..5 {
            let samples = [
                Sample::new(series("up", "web"), T + i * 15_000, 1.0),
                Sample::new(series("up", "db"), T + i * 15_000, 0.0),
                Sample::new(series("requests_total", "web"), T + i * 15_000, i as f64 * 30.0),
            ];
            world.app.metrics.append(&samples).expect("samples are taken");
        }
        Self { world, token }
    }

    async fn send(&self, request: axum::http::request::Builder, body: Body) -> (StatusCode, Value) {
        let request = request.header(header::AUTHORIZATION, &self.token).body(body).expect("a request");
        let response = self.world.router.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body that ends");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str, pairs: &[(&str, &str)]) -> (StatusCode, Value) {
        self.send(Request::get(format!("{path}?{}", encoded(pairs))), Body::empty()).await
    }

    async fn post(&self, path: &str, pairs: &[(&str, &str)]) -> (StatusCode, Value) {
        let form = "application/x-www-form-urlencoded";
        self.send(Request::post(path).header(header::CONTENT_TYPE, form), Body::from(encoded(pairs))).await
    }
}

fn data(data: Value) -> (StatusCode, Value) {
    (StatusCode::OK, json!({"status": "success", "data": data}))
}

#[tokio::test]
async fn queries_by_address_and_by_form() {
    let asker = Asker::new().await;
    let cases = [
        (
            "up{job=\"web\"}",
            json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "web"}, "value": [1_800_000_060, "1"]}]}),
        ),
        ("sum(up)", json!({"resultType": "vector", "result": [{"metric": {}, "value": [1_800_000_060, "1"]}]})),
        ("1 / 0", json!({"resultType": "scalar", "result": [1_800_000_060, "+Inf"]})),
        ("\"text\"", json!({"resultType": "string", "result": [1_800_000_060, "text"]})),
        ("nothing_here", json!({"resultType": "vector", "result": []})),
        (
            "up{job=\"db\"}[31s]",
            json!({"resultType": "matrix", "result": [{"metric": {"__name__": "up", "job": "db"},
            "values": [[1_800_000_030, "0"], [1_800_000_045, "0"], [1_800_000_060, "0"]]}]}),
        ),
    ];
    for (query, expected) in cases {
        let pairs = [("query", query), ("time", "1800000060")];
        assert_eq!(asker.get("/api/v1/query", &pairs).await, data(expected.clone()), "{query}");
        assert_eq!(asker.post("/api/v1/query", &pairs).await, data(expected), "{query} by form");
    }
    let pairs =
        [("query", "requests_total * 2"), ("start", "2027-01-15T08:00:30Z"), ("end", "1800000060.0"), ("step", "15s")];
    let expected = json!({"resultType": "matrix", "result": [{"metric": {"job": "web"},
        "values": [[1_800_000_030, "120"], [1_800_000_045, "180"], [1_800_000_060, "240"]]}]});
    assert_eq!(asker.get("/api/v1/query_range", &pairs).await, data(expected.clone()));
    assert_eq!(asker.post("/api/v1/query_range", &pairs).await, data(expected));
}

#[tokio::test]
async fn labels_values_series() {
    let asker = Asker::new().await;
    let matching = [("match[]", "up"), ("start", "1800000000"), ("end", "1800000060")];
    assert_eq!(asker.get("/api/v1/labels", &[]).await, data(json!(["__name__", "job"])));
    assert_eq!(asker.post("/api/v1/labels", &matching).await, data(json!(["__name__", "job"])));
    assert_eq!(asker.get("/api/v1/label/__name__/values", &[]).await, data(json!(["requests_total", "up"])));
    assert_eq!(asker.get("/api/v1/label/job/values", &matching).await, data(json!(["db", "web"])));
    assert_eq!(asker.get("/api/v1/label/none/values", &[]).await, data(json!([])));
    let series = json!([{"__name__": "up", "job": "db"}, {"__name__": "up", "job": "web"}]);
    assert_eq!(asker.get("/api/v1/series", &matching).await, data(series.clone()));
    assert_eq!(asker.post("/api/v1/series", &matching).await, data(series));
    let two = [("match[]", "up{job=\"db\"}"), ("match[]", "{__name__=~\"req.*\"}")];
    let series = json!([{"__name__": "requests_total", "job": "web"}, {"__name__": "up", "job": "db"}]);
    assert_eq!(asker.get("/api/v1/series", &two).await, data(series));
    assert_eq!(asker.get("/api/v1/series", &[("match[]", "up"), ("start", "1900000000")]).await, data(json!([])));
}

#[tokio::test]
async fn errors_have_prometheus_shape() {
    let asker = Asker::new().await;
    let range = [("query", "up"), ("start", "1800000060"), ("end", "1800000000"), ("step", "15")];
    /// Path, parameters, status, kind of error, words of its message.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str, &'a str);
    let cases: [Case; 9] = [
        ("/api/v1/query", &[("query", "sum(up")], 400, "bad_data", "1:7"),
        ("/api/v1/query", &[], 400, "bad_data", "`query` is missing"),
        ("/api/v1/query", &[("query", "up"), ("time", "yesterday")], 400, "bad_data", "not an instant"),
        ("/api/v1/query", &[("query", "up + on() up"), ("time", "1800000060")], 422, "execution", "many-to-many"),
        ("/api/v1/query_range", &range, 400, "bad_data", "`end` is before `start`"),
        (
            "/api/v1/query_range",
            &[("query", "up"), ("start", "0"), ("end", "1800000000"), ("step", "1")],
            400,
            "bad_data",
            "at most 11001",
        ),
        ("/api/v1/series", &[], 400, "bad_data", "match[]"),
        ("/api/v1/series", &[("match[]", "up +")], 400, "bad_data", "1:5"),
        ("/api/v1/labels", &[("match[]", "rate(up[5m])")], 400, "bad_data", "series selector"),
    ];
    for (path, pairs, status, kind, text) in cases {
        let (found, body) = asker.get(path, pairs).await;
        assert_eq!(found.as_u16(), status, "{path} {pairs:?}: {body}");
        assert_eq!((&body["status"], &body["errorType"]), (&json!("error"), &json!(kind)), "{path} {pairs:?}");
        assert!(body["error"].as_str().is_some_and(|e| e.contains(text)), "{path} {pairs:?}: {body}");
    }
}

#[tokio::test]
async fn remarks_stand_beside_the_answer() {
    let asker = Asker::new().await;
    let (_, body) = asker.get("/api/v1/query", &[("query", "rate(up[1m])"), ("time", "1800000060")]).await;
    assert!(
        body["infos"][0].as_str().is_some_and(|t| t.starts_with("PromQL info: metric might not be a counter")),
        "{body}"
    );
    assert!(body.get("warnings").is_none());
    let (_, body) = asker.get("/api/v1/query", &[("query", "quantile(2, up)"), ("time", "1800000060")]).await;
    assert_eq!(body["warnings"], json!(["PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"]));
}

#[tokio::test]
async fn a_query_is_written_out() {
    let asker = Asker::new().await;
    let query = "sum(rate(requests_total{job='web'}[1m]))by(job)";
    let written = data(json!("sum by (job) (rate(requests_total{job=\"web\"}[1m]))"));
    assert_eq!(asker.get("/api/v1/format_query", &[("query", query)]).await, written);
    assert_eq!(asker.post("/api/v1/format_query", &[("query", query)]).await, written);
    let (status, body) = asker.get("/api/v1/format_query", &[("query", "sum(")]).await;
    assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")));
}

#[tokio::test]
async fn a_query_is_taken_apart() {
    let asker = Asker::new().await;
    let query = "sum by (job) (up)";
    let name = json!({"name": "__name__", "value": "up", "type": "="});
    let selector = json!({
        "type": "vectorSelector", "name": "up", "offset": 0, "matchers": [name], "timestamp": null, "startOrEnd": null,
        "anchored": false, "smoothed": false,
    });
    let tree = data(json!({
        "type": "aggregation", "op": "sum", "expr": selector, "param": null, "grouping": ["job"], "without": false,
    }));
    assert_eq!(asker.get("/api/v1/parse_query", &[("query", query)]).await, tree);
    assert_eq!(asker.post("/api/v1/parse_query", &[("query", query)]).await, tree);
    let (status, body) = asker.get("/api/v1/parse_query", &[("query", "sum(")]).await;
    assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")));
}

#[tokio::test]
async fn an_answer_has_at_most_so_many_series_and_looks_back_so_far() {
    let asker = Asker::new().await;
    let at = |pairs: &[(&'static str, &'static str)]| [&[("query", "up"), ("time", "1800000060")][..], pairs].concat();
    let count = |body: &Value| body["data"]["result"].as_array().map(Vec::len);
    let (_, all) = asker.get("/api/v1/query", &at(&[("limit", "0")])).await;
    assert_eq!((count(&all), all.get("warnings")), (Some(2), None), "{all}");
    let (_, enough) = asker.get("/api/v1/query", &at(&[("limit", "2")])).await;
    assert_eq!((count(&enough), enough.get("warnings")), (Some(2), None), "{enough}");
    let told = json!(["results truncated due to limit"]);
    let (_, one) = asker.get("/api/v1/query", &at(&[("limit", "1")])).await;
    assert_eq!((count(&one), &one["warnings"]), (Some(1), &told), "{one}");
    let range = [("query", "up"), ("start", "1800000000"), ("end", "1800000060"), ("step", "15"), ("limit", "1")];
    let (_, one) = asker.post("/api/v1/query_range", &range).await;
    assert_eq!((count(&one), &one["warnings"]), (Some(1), &told), "{one}");

    for (path, found) in [("labels", 2), ("label/job/values", 2), ("series", 2)] {
        let path = format!("/api/v1/{path}");
        let up = ("match[]", "up");
        let (_, all) = asker.get(&path, &[up, ("limit", "2")]).await;
        assert_eq!((all["data"].as_array().map(Vec::len), all.get("warnings")), (Some(found), None), "{all}");
        let (_, one) = asker.get(&path, &[up, ("limit", "1")]).await;
        assert_eq!((one["data"].as_array().map(Vec::len), &one["warnings"]), (Some(1), &told), "{one}");
    }

    // The newest sample is 40 seconds old.
    let later = [("query", "up"), ("time", "1800000100")];
    for (lookback, found) in [("30s", 0), ("45", 2), ("5m", 2)] {
        let (_, body) = asker.get("/api/v1/query", &[later[0], later[1], ("lookback_delta", lookback)]).await;
        assert_eq!(count(&body), Some(found), "{lookback}: {body}");
    }
    for wrong in [("limit", "many"), ("lookback_delta", "0s"), ("lookback_delta", "soon")] {
        let (status, body) = asker.get("/api/v1/query", &at(&[wrong])).await;
        assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")), "{wrong:?}");
    }
}

/// A small query is answered on the thread that asks, where there are others; the answer is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_queries_are_answered_where_they_are_asked() {
    let asker = Asker::new().await;
    for query in ["up", "rate(requests_total[1m])", "1 + 1", "absent(nothing)", "max_over_time(up[1m:10s])"] {
        let at = [("query", query), ("time", "1800000060")];
        let (status, here) = asker.get("/api/v1/query", &at).await;
        assert_eq!(status, StatusCode::OK, "{query}: {here}");
        // Who wants to be told after how long it ends is answered by another thread.
        let (_, elsewhere) = asker.get("/api/v1/query", &[at[0], at[1], ("timeout", "0.9")]).await;
        assert_eq!(here, elsewhere, "{query}");
    }
}

#[tokio::test]
async fn another_prometheus_takes_the_newest_samples() {
    let asker = Asker::new().await;
    let series = |name: &str, job: &str| Labels::from_pairs([("__name__", name), ("kind", "fresh"), ("job", job)]);
    let t = asker.world.app.now().millis() - 60_000;
    let ended = series("up", "old").with("instance", "a\"b");
    let samples = [
        Sample::new(series("up", "web"), t - 1, 0.0),
        Sample::new(series("up", "web"), t, 1.0),
        Sample::new(series("up", "db"), t, 0.0),
        Sample::new(series("requests_total", "web"), t, 120.0),
        Sample::new(series("up", "late"), t - 10 * 60_000, 1.0),
        Sample::new(ended.clone(), t, 1.0),
        Sample::new(ended, t + 1, tenfold_types::STALE_NAN),
    ];
    asker.world.app.metrics.append(&samples).unwrap();
    let federate = async |selectors: &[(&str, &str)]| {
        let request =
            Request::get(format!("/federate?{}", encoded(selectors))).header(header::AUTHORIZATION, &asker.token);
        let response = asker.world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let text = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        (status, text)
    };
    let (status, page) = federate(&[("match[]", "{job=~\"web|old\"}"), ("match[]", "up")]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        page,
        format!(
            "# TYPE requests_total untyped\nrequests_total{{job=\"web\",kind=\"fresh\",instance=\"\"}} 120 {t}\n\
             # TYPE up untyped\nup{{job=\"db\",kind=\"fresh\",instance=\"\"}} 0 {t}\nup{{job=\"web\",kind=\"fresh\",instance=\"\"}} 1 {t}\n"
        )
    );
    let read = tenfold_protocols::prom_text::parse(&page, tenfold_protocols::prom_text::Format::default()).unwrap();
    assert_eq!((read.samples.len(), read.samples[0].t_ms), (3, Some(t)));
    for wrong in [vec![], vec![("match[]", "{")], vec![("match[]", "sum(up)")]] {
        assert_eq!(federate(&wrong).await.0, StatusCode::BAD_REQUEST, "{wrong:?}");
    }
}

#[tokio::test]
async fn programs_find_what_they_look_for() {
    let asker = Asker::new().await;
    for (path, key, value) in [
        ("/api/v1/status/buildinfo", "application", json!("tenfold")),
        ("/api/v1/status/runtimeinfo", "timeSeriesCount", json!(3)),
        ("/api/v1/status/flags", "query.lookback-delta", json!("5m")),
    ] {
        let (status, body) = asker.get(path, &[]).await;
        assert_eq!((status, &body["data"][key]), (StatusCode::OK, &value), "{path}");
    }
    let (_, body) = asker.get("/api/v1/status/config", &[]).await;
    assert!(body["data"]["yaml"].as_str().unwrap().contains("scrape_interval: 15000ms"), "{body}");
}

/// Grafana and people read there what bounds a query and the store: it must be what is obeyed.
#[tokio::test]
async fn the_flags_are_the_settings() {
    let world = common::world_with(|s| {
        s.metrics.retention_size = tenfold_app::settings::Size(10 << 30);
        s.metrics.out_of_order_time_window = tenfold_app::settings::Span(2 * 3_600_000);
        s.metrics.query.samples_max = 1_000;
        s.metrics.query.timeout_ms = 90_000;
        s.metrics.query.concurrency_max = 3;
    })
    .await;
    let token = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    for i in 0..1_001 {
        let labels = Labels::from_pairs([("__name__", "many")]);
        world.app.metrics.append(&[Sample::new(labels, T + i * 1_000, 1.0)]).unwrap();
    }
    let asker = Asker { world, token };
    let (_, body) = asker.get("/api/v1/status/flags", &[]).await;
    for (flag, value) in [
        ("query.max-samples", "1000"),
        ("query.timeout", "1m30s"),
        ("query.max-concurrency", "3"),
        ("storage.tsdb.retention.time", "15d"),
        ("storage.tsdb.retention.size", "10GiB"),
        ("storage.tsdb.out-of-order-time-window", "2h"),
    ] {
        assert_eq!(body["data"][flag], json!(value), "{flag}");
    }
    let (_, body) = asker.get("/api/v1/status/runtimeinfo", &[]).await;
    assert_eq!(
        (&body["data"]["storageRetention"], &body["data"]["corruptionCount"]),
        (&json!("15d or 10GiB"), &json!(0))
    );
    let (_, body) = asker.get("/api/v1/status/config", &[]).await;
    assert!(body["data"]["yaml"].as_str().unwrap().contains("out_of_order_time_window: 2h"), "{body}");
    let at = [("time", "1800001100"), ("query", "count_over_time(many[1h])")];
    let (status, body) = asker.get("/api/v1/query", &at).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    assert!(body["error"].as_str().unwrap().contains("1000"), "{body}");
    for (timeout, wanted) in [("30s", StatusCode::OK), ("5", StatusCode::OK), ("soon", StatusCode::BAD_REQUEST)] {
        let asked = [("query", "vector(1)"), ("timeout", timeout)];
        assert_eq!(asker.get("/api/v1/query", &asked).await.0, wanted, "{timeout}");
    }
}

#[tokio::test]
async fn a_query_tells_what_it_cost() {
    let asker = Asker::new().await;
    let range = [("start", "1800000000"), ("end", "1800000060"), ("step", "15"), ("query", "sum by (job) (up)")];
    let plain = asker.get("/api/v1/query_range", &range).await.1;
    assert!(plain["data"].get("stats").is_none() && plain["data"].get("explain").is_none(), "{plain}");

    let with = |extra| [&range[..], &[extra]].concat();
    let (status, told) = asker.get("/api/v1/query_range", &with(("stats", "all"))).await;
    assert_eq!((status, &told["data"]["result"]), (StatusCode::OK, &plain["data"]["result"]));
    let samples = &told["data"]["stats"]["samples"];
    assert_eq!((&samples["totalQueryableSamples"], &samples["samplesRead"]), (&json!(10), &json!(10)), "{samples}");
    let timings = &told["data"]["stats"]["timings"];
    let seconds = |key: &str| timings[key].as_f64().unwrap_or(-1.0);
    assert!(seconds("execTotalTime") >= seconds("evalTotalTime") && seconds("evalTotalTime") > 0.0, "{timings}");

    let (status, told) = asker.post("/api/v1/query_range", &with(("explain", "1"))).await;
    assert_eq!((status, &told["data"]["result"]), (StatusCode::OK, &plain["data"]["result"]));
    let explain = &told["data"]["explain"];
    assert_eq!((&explain["series"], &explain["samples"]), (&json!(2), &json!(10)), "{explain}");
    let nodes: Vec<_> = explain["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|n| json!([n["depth"], n["operation"], n["expression"], n["series"], n["samples"], n["rows"]]))
        .collect();
    let expected = [json!([0, "sum by (job)", "sum by (job) (up)", 0, 0, 2]), json!([1, "selector", "up", 2, 10, 2])];
    assert_eq!(nodes, expected);
    let off = asker.get("/api/v1/query", &[("query", "up"), ("explain", "0")]).await.1;
    assert!(off["data"].get("explain").is_none());
}

#[tokio::test]
async fn targets_are_told_with_what_was_found_and_dropped() {
    let asker = Asker::new().await;
    let yaml = "scrape_configs:\n- job_name: web\n  static_configs: [{targets: ['h1:80', 'h2:80', 'h3:80'], labels: {zone: a}}]\n  \
                relabel_configs:\n  - {source_labels: [__address__], regex: 'h2:.*', action: drop}\n  \
                - {source_labels: [__address__], regex: 'h3:.*', target_label: __scheme__, replacement: ftp}\n";
    let config = tenfold_scrape::parse_config(yaml).expect("the configuration is right");
    asker.world.app.metrics.set_jobs(config.jobs, |_, _| false);
    let web = json!({"job": "web", "interval_ms": 60_000, "targets": 1, "others": []});
    let intervals = (StatusCode::OK, json!({"items": [web], "left_out": 0}));
    assert_eq!(asker.get("/api/metrics/intervals", &[]).await, intervals);
    let discovered = |address: &str| {
        json!({"__address__": address, "__metrics_path__": "/metrics", "__scheme__": "http", "__scrape_interval__": "1m",
            "__scrape_timeout__": "10s", "job": "web", "zone": "a"})
    };
    let active = json!([{
        "discoveredLabels": discovered("h1:80"), "labels": {"instance": "h1:80", "job": "web", "zone": "a"},
        "scrapePool": "web", "scrapeUrl": "http://h1:80/metrics", "globalUrl": "http://h1:80/metrics", "lastError": "",
        "lastScrape": "0001-01-01T00:00:00Z", "lastScrapeDuration": 0.0, "health": "unknown", "scrapeInterval": "1m", "scrapeTimeout": "10s",
    }]);
    let reason = "\"ftp\" is not a scheme that can be scraped; http and https are";
    let dropped = json!([
        {"discoveredLabels": discovered("h2:80"), "scrapePool": "web"},
        {"discoveredLabels": discovered("h3:80"), "scrapePool": "web", "reason": reason},
    ]);
    let all = json!({"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": {"web": 2}});
    assert_eq!(asker.get("/api/v1/targets", &[]).await, data(all));
    let only = json!({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {}});
    assert_eq!(asker.get("/api/v1/targets", &[("state", "active"), ("scrapePool", "web")]).await, data(only));
    let none = json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}});
    assert_eq!(asker.get("/api/v1/targets", &[("scrapePool", "other")]).await, data(none));
    assert_eq!(asker.get("/api/v1/targets", &[("state", "odd")]).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(asker.get("/api/v1/scrape_pools", &[]).await, data(json!({"scrapePools": ["web"]})));

    let steps = "/api/v1/targets/relabel_steps";
    let labels = json!({"__address__": "h2:80", "zone": "a"}).to_string();
    let rule = |regex: &str| json!({"source_labels": ["__address__"], "separator": ";", "regex": regex, "replacement": "$1", "action": "drop"});
    let ftp = json!({"source_labels": ["__address__"], "separator": ";", "regex": "h3:.*", "target_label": "__scheme__",
        "replacement": "ftp", "action": "replace"});
    let dropped = json!({"steps": [
        {"rule": rule("h2:.*"), "output": {}, "keep": false},
        {"rule": ftp, "output": {}, "keep": false},
    ]});
    assert_eq!(asker.get(steps, &[("scrapePool", "web"), ("labels", labels.as_str())]).await, data(dropped));
    let labels = json!({"__address__": "h3:80"}).to_string();
    let kept = json!({"steps": [
        {"rule": rule("h2:.*"), "output": {"__address__": "h3:80"}, "keep": true},
        {"rule": ftp, "output": {"__address__": "h3:80", "__scheme__": "ftp"}, "keep": true},
    ]});
    assert_eq!(asker.get(steps, &[("scrapePool", "web"), ("labels", labels.as_str())]).await, data(kept));
    for asked in [[("scrapePool", "other"), ("labels", "{}")], [("scrapePool", "web"), ("labels", "[1]")]] {
        assert_eq!(asker.get(steps, &asked).await.0, StatusCode::BAD_REQUEST, "{asked:?}");
    }
}

#[tokio::test]
async fn families_are_told_by_target() {
    use tenfold_app::metrics::{Scraped, Target};
    use tenfold_protocols::exposition::Format;
    let asker = Asker::new().await;
    let app = &asker.world.app;
    let labels = |host: &str| Labels::from_pairs([("job", "web"), ("instance", host)]);
    for (host, page) in [
        ("h1", "# TYPE done_total counter\n# HELP done_total What was done.\ndone_total 1\nplain 2\n"),
        ("h2", "# TYPE took summary\ntook_sum 1\ntook_count 1\ndone_total 4\n"),
    ] {
        let target = Target::reported(format!("http://{host}:80/metrics"), labels(host), host);
        app.metrics.set_host_targets(host, vec![target.clone()]);
        let page = Ok((axum::body::Bytes::from_static(page.as_bytes()), Format::Prometheus));
        app.metrics.scraped(&target, Scraped { at: app.now(), duration_ms: 1, page }).expect("it is kept");
    }
    let row = |host: &str, metric: &str, kind: &str, help: &str| json!({"target": labels(host), "metric": metric, "type": kind, "help": help, "unit": ""});
    let done = |host: &str| row(host, "done_total", "counter", "What was done.");
    let path = "/api/v1/targets/metadata";
    assert_eq!(
        asker.get(path, &[]).await,
        data(json!([done("h1"), done("h2"), row("h2", "took", "summary", "")])),
        "of h2's own page or not, it is known of the family"
    );
    let of_h2 = [("match_target", "{instance=\"h2\"}"), ("limit", "1")];
    assert_eq!(asker.get(path, &of_h2).await, data(json!([done("h2"), row("h2", "took", "summary", "")])));
    assert_eq!(asker.get(path, &[("limit", "1")]).await, data(json!([done("h1")])), "a number of targets");
    let took = json!([{"target": labels("h2"), "type": "summary", "help": "", "unit": ""}]);
    assert_eq!(asker.get(path, &[("metric", "took")]).await, data(took));
    for nothing in [("match_target", "{job=\"db\"}"), ("metric", "none")] {
        assert_eq!(asker.get(path, &[nothing]).await, data(json!([])), "{nothing:?}");
    }
    let every = [("match_target", "{job=~\".*\"}"), ("limit", "1")];
    assert_eq!(asker.get(path, &every).await, data(json!([done("h1")])));
    let (status, body) = asker.get(path, &[("match_target", "{job=")]).await;
    assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")), "{body}");
}

#[tokio::test]
async fn what_is_asked_before_it_is_used() {
    let asker = Asker::new().await;
    for (path, told) in [("/-/healthy", "tenfold is healthy.\n"), ("/-/ready", "tenfold is ready.\n")] {
        // Probes have no tokens.
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = asker.world.router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(to_bytes(response.into_body(), 100).await.expect("a body"), told);
    }
    let replayed = json!({"min": 0, "max": 0, "current": 0, "state": "done"});
    assert_eq!(asker.get("/api/v1/status/walreplay", &[]).await, data(replayed));
    let url = asker.world.app.settings.link("/api/v2/alerts");
    let managers = json!({"activeAlertmanagers": [{"url": url}], "droppedAlertmanagers": []});
    assert_eq!(asker.get("/api/v1/alertmanagers", &[]).await, data(managers));
}

/// Whoever makes a client out of the document can ask.
#[test]
fn the_document_names_the_parameters() {
    let document: Value = serde_json::from_str(&tenfold_http::openapi().to_json().expect("JSON")).expect("JSON");
    let named = |path: &str| -> Vec<(String, bool)> {
        let all = document["paths"][path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        all.iter().map(|p| (p["name"].as_str().unwrap_or_default().into(), p["required"] == true)).collect()
    };
    let wanted = |names: &[(&str, bool)]| names.iter().map(|(n, r)| ((*n).to_owned(), *r)).collect::<Vec<_>>();
    assert_eq!(named("/api/v1/query")[..2], wanted(&[("query", true), ("time", false)]));
    assert_eq!(
        named("/api/v1/query_range")[..4],
        wanted(&[("query", true), ("start", true), ("end", true), ("step", true)])
    );
    let labels = wanted(&[("match[]", false), ("start", false), ("end", false), ("limit", false)]);
    assert_eq!(named("/api/v1/labels"), labels);
    assert_eq!(named("/api/v1/label/{name}/values")[1..], labels);
    assert_eq!(named("/api/v1/series")[0], ("match[]".to_owned(), true));
    for path in ["query", "query_range", "series", "labels", "query_exemplars", "format_query", "parse_query"] {
        let form = "application/x-www-form-urlencoded";
        let body = &document["paths"][format!("/api/v1/{path}")]["post"]["requestBody"]["content"][form]["schema"];
        let name = body["$ref"].as_str().and_then(|r| r.rsplit('/').next()).unwrap_or_default();
        let fields = document["components"]["schemas"][name]["properties"].as_object().expect("fields");
        let first = if matches!(path, "series" | "labels") { "match[]" } else { "query" };
        assert!(fields.contains_key(first), "{path}: {fields:?}");
    }
}

#[tokio::test]
async fn exemplars_of_the_series_a_query_is_about() {
    use tenfold_protocols::batch::{Batch, Exemplar};
    let asker = Asker::new().await;
    let t = asker.world.app.now().millis();
    let mut batch = Batch::default();
    for (job, value) in [("db", 0.5), ("web", 6.0)] {
        batch.label("__name__", "latency_bucket").unwrap();
        batch.label("job", job).unwrap();
        batch.point(tenfold_types::Point::new(t, 1.0)).unwrap();
        for at in [t - 250, t] {
            batch.exemplar(Exemplar { labels: vec![("trace_id", job)], value, t_ms: Some(at) }).unwrap();
        }
        batch.end().unwrap();
    }
    let source = tenfold_app::metrics::Source::new("remote_write", "test");
    asker.world.app.metrics.push(&source, &batch, asker.world.app.now()).expect("it is taken");
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let of = |job: &str, value: &str, at: &[i64]| {
        let instant = |t: i64| if t % 1000 == 0 { json!(t / 1000) } else { json!(seconds(t)) };
        let one = |t: &i64| json!({"labels": {"trace_id": job}, "value": value, "timestamp": instant(*t)});
        let list: Vec<Value> = at.iter().map(one).collect();
        json!({"seriesLabels": {"__name__": "latency_bucket", "job": job}, "exemplars": list})
    };
    let query = "histogram_quantile(0.9, rate(latency_bucket[5m])) > sum(up)";
    let both = json!([of("db", "0.5", &[t - 250, t]), of("web", "6", &[t - 250, t])]);
    assert_eq!(asker.get("/api/v1/query_exemplars", &[("query", query)]).await, data(both));
    let (start, end) = (seconds(t - 100).to_string(), seconds(t).to_string());
    let pairs = [("query", "latency_bucket{job=\"web\"}"), ("start", start.as_str()), ("end", end.as_str())];
    assert_eq!(asker.post("/api/v1/query_exemplars", &pairs).await, data(json!([of("web", "6", &[t])])));
    let wrong = [("query", "up"), ("start", end.as_str()), ("end", start.as_str())];
    for (pairs, text) in
        [(&wrong[..], "`end` is before `start`"), (&[("query", "up{")], "1:4"), (&[], "`query` is missing")]
    {
        let (status, body) = asker.get("/api/v1/query_exemplars", pairs).await;
        assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")), "{body}");
        assert!(body["error"].as_str().is_some_and(|e| e.contains(text)), "{body}");
    }
}

#[tokio::test]
async fn the_admin_api_and_the_status_of_the_store() {
    let mut asker = Asker::new().await;
    let (status, body) = asker.get("/api/v1/status/tsdb", &[("limit", "2")]).await;
    assert_eq!(status, StatusCode::OK);
    let d = &body["data"];
    assert_eq!(
        d["headStats"],
        json!({"numSeries": 3, "numLabelPairs": 4, "chunkCount": 3, "minTime": T, "maxTime": T + 60_000})
    );
    let up_first = json!([{"name": "up", "value": 2}, {"name": "requests_total", "value": 1}]);
    assert_eq!(d["seriesCountByMetricName"], up_first);
    assert_eq!(d["labelValueCountByLabelName"], json!([{"name": "__name__", "value": 2}, {"name": "job", "value": 2}]));
    assert_eq!(d["memoryInBytesByLabelName"], json!([{"name": "__name__", "value": 18}, {"name": "job", "value": 8}]));
    assert_eq!(
        d["seriesCountByLabelValuePair"],
        json!([{"name": "job=web", "value": 2}, {"name": "job=db", "value": 1}])
    );

    let delete = "/api/v1/admin/tsdb/delete_series";
    let span = [("match[]", "up{job=\"db\"}"), ("start", "1800000030"), ("end", "1800000060")];
    assert_eq!(asker.post(delete, &span).await.0, StatusCode::FORBIDDEN, "a viewer deletes nothing");
    asker.token = asker.world.token(TokenKind::Robot, Some(Role::Admin)).await;
    assert_eq!(asker.post(delete, &[]).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(asker.post(delete, &span).await.0, StatusCode::NO_CONTENT);
    let at = [("query", "count_over_time(up[2m])"), ("time", "1800000060")];
    let (_, body) = asker.get("/api/v1/query", &at).await;
    let counts: Vec<_> =
        body["data"]["result"].as_array().expect("a list").iter().map(|s| s["value"][1].clone()).collect();
    assert_eq!(counts, ["5", "2"]);
    assert_eq!(asker.post("/api/v1/admin/tsdb/clean_tombstones", &[]).await.0, StatusCode::NO_CONTENT);
    let (status, body) = asker.post("/api/v1/admin/tsdb/snapshot", &[]).await;
    assert_eq!(status, StatusCode::OK);
    let name = body["data"]["name"].as_str().expect("a name");
    let copy = asker.world.app.settings.data_dir.join("metrics-snapshots").join(name);
    let copy = tenfold_tsdb::Tsdb::open(&copy, tenfold_tsdb::Options::default()).expect("the copy opens").0;
    assert_eq!(copy.stats().series, 3);
}
