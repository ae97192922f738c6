//! What Grafana's Prometheus data source asks, in the forms in which it asks (its server side sends forms by POST and
//! falls back to GET; its pages ask for labels, series, metadata and rules through that), with the fields of the answers
//! that it reads. Learnt from Grafana's public source (`pkg/promlib`, `packages/grafana-prometheus`); Grafana itself does
//! not run here.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use base64::Engine;
use common::World;
use serde_json::{Value, json};
use tenfold_app::people::TokenKind;
use tenfold_app::{Caller, Role};
use tenfold_protocols::batch::{Batch, Exemplar};
use tenfold_protocols::exposition::Metadata;
use tenfold_tsdb::Sample;
use tenfold_types::{Labels, Point};
use tower::ServiceExt;

const RULES: &str = "
groups:
- name: web
  interval: 30s
  rules:
  - {record: 'job:up:sum', expr: sum by (job) (up), labels: {team: core}}
  - {alert: Down, expr: up == 0, for: 1m, labels: {severity: warning}, annotations: {summary: it is down}}
";

/// A data source as somebody sets it up, with the token as the password of basic authentication.
struct Source {
    world: World,
    authorization: String,
    /// The instant of the newest samples, in seconds.
    end: i64,
}

impl Source {
    async fn new() -> Self {
        let world = common::world().await;
        let token = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("grafana:{token}"));
        let end = world.app.now().millis() / 60_000 * 60;
        let mut samples = Vec::new();
        for i in 0..=20 {
            for (job, value) in [("db", 0.0), ("web", 1.0)] {
                let up = Labels::from_pairs([("__name__", "up"), ("job", job), ("instance", "h1")]);
                samples.push(Sample::new(up, (end - i * 15) * 1000, value));
            }
        }
        samples.sort_by_key(|s| s.t_ms);
        world.app.metrics.append(&samples).expect("samples are taken");
        let mut batch = Batch::default();
        batch.label("__name__", "latency_seconds_bucket").unwrap();
        batch.label("le", "0.5").unwrap();
        batch.point(Point::new(end * 1000, 7.0)).unwrap();
        let labels = vec![("trace_id", "abc")];
        batch.exemplar(Exemplar { labels, value: 0.25, t_ms: Some(end * 1000 - 500) }).unwrap();
        batch.end().unwrap();
        let from = tenfold_app::metrics::Source::new("remote_write", "test");
        world.app.metrics.push(&from, &batch, world.app.now()).expect("it is taken");
        let about = |kind: &str, help: &str| Metadata { kind: kind.into(), help: help.into(), ..Default::default() };
        world.app.metrics.push_metadata(vec![
            ("latency_seconds", about("histogram", "How long it took.")),
            ("up", about("gauge", "Whether it answers.")),
        ]);
        world.app.rules_put(&Caller::system(), "web", RULES).await.expect("the rules are right");
        Self { world, authorization: format!("Basic {pair}"), end }
    }

    async fn send(&self, method: Method, uri: &str, form: Option<String>) -> (StatusCode, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::USER_AGENT, "Grafana/12.0.0")
            .header(header::ACCEPT_ENCODING, "identity")
            .header("X-Dashboard-UID", "ddm6o3x")
            .header("X-Panel-Id", "4")
            .header("X-Grafana-Org-Id", "1");
        if form.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(Body::from(form.unwrap_or_default())).expect("a request");
        let response = self.world.router.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 22).await.expect("a body that ends");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// By form, in the order of the names, as Go writes it.
    async fn post(&self, path: &str, pairs: &[(&str, &str)]) -> Value {
        let mut pairs = pairs.to_vec();
        pairs.sort_unstable();
        let (status, body) = self.send(Method::POST, path, Some(encoded(&pairs))).await;
        assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("success")), "{path} {pairs:?}: {body}");
        body
    }

    async fn get(&self, path: &str, pairs: &[(&str, &str)]) -> Value {
        let uri = if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", encoded(pairs)) };
        let (status, body) = self.send(Method::GET, &uri, None).await;
        assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("success")), "{uri}: {body}");
        body
    }

    /// The range as the pages give it: whole seconds as text, widened to whole minutes.
    fn range(&self) -> [(&'static str, String); 2] {
        [("start", (self.end - 3600).to_string()), ("end", (self.end + 60).to_string())]
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn with<'a>(range: &'a [(&'static str, String); 2], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    range.iter().map(|(n, v)| (*n, v.as_str())).chain(more.iter().copied()).collect()
}

/// A point as Grafana's reader takes it: a number of seconds and a text that is a number.
fn point(value: &Value) -> (f64, f64) {
    let text = value[1].as_str().expect("the value is a text");
    (value[0].as_f64().expect("the instant is a number"), text.trim_start_matches('+').parse().expect("a number"))
}

#[tokio::test]
async fn save_and_test() {
    let source = Source::new().await;
    // The health check evaluates this four seconds after 1970.
    let health = source.post("/api/v1/query", &[("query", "1+1"), ("time", "4")]).await;
    assert_eq!((&health["data"]["resultType"], point(&health["data"]["result"])), (&json!("scalar"), (4.0, 2.0)));
    // Which flavour it is: `features` make it Mimir, and rules would then be edited by Mimir's API.
    let info = source.get("/api/v1/status/buildinfo", &[]).await;
    assert!(info["data"].get("features").is_none(), "{info}");
    for field in ["version", "revision", "branch", "buildUser", "buildDate", "goVersion", "application"] {
        assert!(info["data"][field].is_string(), "{field}: {info}");
    }
    // Its settings find their version in this, and 2.24 is the first whose values of labels it asks for by selector.
    let version = info["data"]["version"].as_str().unwrap_or_default();
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    assert!(parts.len() == 3 && parts.as_slice() >= &[2, 24, 0][..], "{version}");
    assert_eq!(info["data"]["revision"], json!(env!("CARGO_PKG_VERSION")));
    let named = info["data"]["application"].as_str().unwrap_or_default();
    assert!(!named.contains("Mimir") && !named.contains("Cortex"), "{named}");
    // Its list of what is only asked by GET names paths with a slash in front, its own requests have none: so these are
    // tried by POST, and by GET after a 405.
    for path in ["/api/v1/status/buildinfo", "/api/v1/rules", "/api/v1/metadata"] {
        let (status, _) = source.send(Method::POST, path, Some(String::new())).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
}

#[tokio::test]
async fn panels_ask_for_ranges_and_instants() {
    let source = Source::new().await;
    // Steps are seconds as Go writes a float; the range is whole steps; the timeout is the data source's.
    for (step, seconds) in [("15", 15), ("30", 30), ("60", 60), ("0.5", 0), ("86400", 86_400)] {
        let back = (seconds * 4).max(4);
        let (start, end) = ((source.end - back).to_string(), source.end.to_string());
        let pairs =
            [("query", "sum by (job) (up)"), ("start", &start), ("end", &end), ("step", step), ("timeout", "30s")];
        let body = source.post("/api/v1/query_range", &pairs).await;
        assert_eq!(body["data"]["resultType"], "matrix", "{body}");
        let series = body["data"]["result"].as_array().expect("a list");
        assert_eq!((series.len(), &series[0]["metric"]), (2, &json!({"job": "db"})), "step {step}: {body}");
        let points: Vec<_> = series[1]["values"].as_array().expect("points").iter().map(point).collect();
        let last = points.last().expect("a point");
        assert_eq!(*last, (source.end as f64, 1.0), "step {step}");
        assert!(points.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(
            points.len(),
            match seconds {
                0 => 9,
                86_400 => 1,
                _ => 5,
            },
            "step {step}"
        );
    }
    // Set to GET, with parameters of one's own.
    let (start, end) = ((source.end - 60).to_string(), source.end.to_string());
    let pairs = [("query", "up"), ("start", &start), ("end", &end), ("step", "15"), ("max_source_resolution", "5m")];
    assert_eq!(source.get("/api/v1/query_range", &pairs).await["data"]["result"].as_array().map(Vec::len), Some(2));
    // Alerting and tables ask at one instant, with the fraction of the clock.
    let time = format!("{}.123", source.end);
    let body = source.post("/api/v1/query", &[("query", "up{job=\"web\"}"), ("time", &time)]).await;
    assert_eq!(body["data"]["resultType"], "vector");
    let row = &body["data"]["result"][0];
    assert_eq!(row["metric"], json!({"__name__": "up", "instance": "h1", "job": "web"}));
    assert_eq!(point(&row["value"]), (source.end as f64 + 0.123, 1.0));
    // A query that finds nothing is a list, not null.
    let body = source.post("/api/v1/query", &[("query", "nothing"), ("time", &time)]).await;
    assert_eq!(body["data"], json!({"resultType": "vector", "result": []}));
    // Annotations of a dashboard come as a range with a step of a minute.
    let pairs = [("query", "ALERTS{alertstate=\"firing\"}"), ("start", &start), ("end", &end), ("step", "60")];
    assert_eq!(source.post("/api/v1/query_range", &pairs).await["data"]["result"], json!([]));
    // What is said beside an answer is lists of texts.
    let body = source.post("/api/v1/query", &[("query", "rate(up[1m])"), ("time", &time)]).await;
    assert!(body["infos"][0].is_string() && body.get("warnings").is_none(), "{body}");
    // What is wrong has a kind and a text, which it shows under the panel.
    let pairs = [("query", "sum("), ("start", &start), ("end", &end), ("step", "15")];
    let (status, body) = source.send(Method::POST, "/api/v1/query_range", Some(encoded(&pairs))).await;
    assert_eq!((status, &body["status"]), (StatusCode::BAD_REQUEST, &json!("error")));
    assert!(body["errorType"] == "bad_data" && body["error"].as_str().is_some_and(|e| !e.is_empty()), "{body}");
}

#[tokio::test]
async fn the_editor_completes_metrics_labels_and_values() {
    let source = Source::new().await;
    let range = source.range();
    let limit = ("limit", "40000");
    let names = source.get("/api/v1/label/__name__/values", &with(&range, &[limit])).await;
    assert_eq!(names["data"], json!(["latency_seconds_bucket", "up"]));
    let names = source.get("/api/v1/label/__name__/values", &with(&range, &[("limit", "1")])).await;
    assert_eq!(names["data"].as_array().map(Vec::len), Some(1));
    let values =
        source.get("/api/v1/label/job/values", &with(&range, &[limit, ("match[]", "{__name__=\"up\"}")])).await;
    assert_eq!(values["data"], json!(["db", "web"]));
    // A variable of a dashboard: label_values(up{job="web"}, instance).
    let values = source.get("/api/v1/label/instance/values", &with(&range, &[("match[]", "up{job=\"web\"}")])).await;
    assert_eq!(values["data"], json!(["h1"]));
    // Labels by form, with several selectors when several queries stand in the panel.
    let labels = source.post("/api/v1/labels", &with(&range, &[limit])).await;
    assert_eq!(labels["data"], json!(["__name__", "instance", "job", "le"]));
    let several = [("match[]", "up"), ("match[]", "latency_seconds_bucket")];
    let labels = source.post("/api/v1/labels", &with(&range, &several)).await;
    assert_eq!(labels["data"], json!(["__name__", "instance", "job", "le"]));
    let labels = source.post("/api/v1/labels", &with(&range, &[("match[]", "{job=\"web\"}")])).await;
    assert_eq!(labels["data"], json!(["__name__", "instance", "job"]));
    // The metrics browser and older variables look at series.
    let all = ("match[]", "{__name__!=\"\"}");
    let series = source.post("/api/v1/series", &with(&range, &[limit, all])).await;
    assert_eq!(series["data"].as_array().map(Vec::len), Some(3), "{series}");
    assert!(series["data"].as_array().is_some_and(|s| s.iter().all(|s| s["__name__"].is_string())));
    let series = source.get("/api/v1/series", &with(&range, &[("match[]", "up{job=\"db\"}")])).await;
    assert_eq!(series["data"], json!([{"__name__": "up", "instance": "h1", "job": "db"}]));
}

#[tokio::test]
async fn metadata_exemplars_and_rules() {
    let source = Source::new().await;
    // It reads the first entry of each metric, and makes those of a histogram's series itself.
    for pairs in [&[][..], &[("limit", "40000")]] {
        let metadata = source.get("/api/v1/metadata", pairs).await;
        let first = &metadata["data"]["latency_seconds"][0];
        assert_eq!(first, &json!({"type": "histogram", "help": "How long it took.", "unit": ""}), "{metadata}");
    }
    let one = source.get("/api/v1/metadata", &[("metric", "up"), ("limit", "1")]).await;
    assert_eq!(one["data"].as_object().map(|all| all.keys().collect::<Vec<_>>()), Some(vec![&"up".to_owned()]));

    // Whether there are exemplars is asked with instants in milliseconds where seconds are meant, far ahead of now; the
    // parameters stand in the address of a POST without a body.
    let (from, to) = ((source.end - 1800) * 1000, source.end * 1000);
    let uri = format!("/api/v1/query_exemplars?query=test&start={from}&end={to}");
    for (method, form) in [(Method::GET, None), (Method::POST, Some(String::new()))] {
        let (status, body) = source.send(method, &uri, form).await;
        assert_eq!((status, body), (StatusCode::OK, json!({"status": "success", "data": []})));
    }
    let (start, end) = ((source.end - 60).to_string(), source.end.to_string());
    let query = "histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[1m])))";
    let body = source.post("/api/v1/query_exemplars", &[("query", query), ("start", &start), ("end", &end)]).await;
    let list = &body["data"][0];
    assert_eq!(list["seriesLabels"], json!({"__name__": "latency_seconds_bucket", "le": "0.5"}));
    let exemplar = &list["exemplars"][0];
    assert_eq!((&exemplar["labels"], &exemplar["value"]), (&json!({"trace_id": "abc"}), &json!("0.25")));
    assert_eq!(exemplar["timestamp"].as_f64(), Some(source.end as f64 - 0.5));

    // Recording rules are expanded in the editor: type, name, query and labels. The list of alert rules reads the rest.
    let body = source.get("/api/v1/rules", &[]).await;
    let group = &body["data"]["groups"][0];
    assert!(group["name"] == "web" && group["file"].is_string() && group["interval"] == 30.0, "{group}");
    let recording = &group["rules"][0];
    assert_eq!(
        [&recording["type"], &recording["name"], &recording["query"], &recording["labels"]["team"]],
        ["recording", "job:up:sum", "sum by (job) (up)", "core"]
    );
    let alerting = &group["rules"][1];
    assert_eq!([&alerting["type"], &alerting["name"], &alerting["state"]], ["alerting", "Down", "inactive"]);
    assert_eq!((&alerting["duration"], &alerting["alerts"]), (&json!(60.0), &json!([])));
    assert!(alerting["health"].is_string() && alerting["annotations"]["summary"].is_string(), "{alerting}");
    let only = source.get("/api/v1/rules", &[("type", "alert")]).await;
    assert_eq!(only["data"]["groups"][0]["rules"].as_array().map(Vec::len), Some(1));
    for (name, value, rules) in [
        ("rule_name[]", "Down", 1),
        ("rule_name[]", "Up", 0),
        ("rule_group[]", "web", 2),
        ("rule_group[]", "db", 0),
        ("file[]", "web", 2),
        ("file[]", "db", 0),
        ("match[]", "{team=\"core\"}", 1),
        ("match[]", "{severity=~\".+\", team!=\"core\"}", 1),
    ] {
        let body = source.get("/api/v1/rules", &[(name, value)]).await;
        let group = body["data"]["groups"].as_array().and_then(|groups| groups.first()).cloned().unwrap_or_default();
        assert_eq!(group["rules"].as_array().map_or(0, Vec::len), rules, "{name}={value}");
    }
    assert_eq!(source.get("/api/v1/alerts", &[]).await["data"]["alerts"], json!([]));
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such() {
    let mut source = Source::new().await;
    source.authorization = "Basic Z3JhZmFuYTp3cm9uZw==".into();
    let (status, body) = source.send(Method::POST, "/api/v1/query", Some("query=1%2B1&time=4".into())).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert!(!body.is_null(), "a reason in JSON");
}
