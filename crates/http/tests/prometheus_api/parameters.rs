//! How parameters are read: from the address and from forms, their bounds, and what stands for no bound.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use serde_json::json;
use tenfold_tsdb::Sample;
use tenfold_types::Labels;
use tower::ServiceExt;

use super::{Asker, T, data};

#[tokio::test]
async fn a_post_needs_no_form_and_a_form_comes_first() {
    let asker = Asker::new().await;
    let one = json!({"resultType": "scalar", "result": [1_800_000_000, "1"]});
    // As `curl -X POST` sends it: no body and no kind of one.
    let path = "/api/v1/query?query=1&time=1800000000";
    assert_eq!(asker.send(Request::post(path), Body::empty()).await, data(one.clone()));
    let odd = Request::post(path).header(header::CONTENT_TYPE, "text/plain");
    assert_eq!(asker.send(odd, Body::from("query=3")).await, data(one));
    let two = json!({"resultType": "scalar", "result": [1_800_000_000, "2"]});
    assert_eq!(asker.post(path, &[("query", "2")]).await, data(two));
    assert_eq!(
        asker.send(Request::post("/api/v1/labels?match[]=up"), Body::empty()).await,
        data(json!(["__name__", "job"]))
    );
}

#[tokio::test]
async fn as_many_steps_as_prometheus_takes() {
    let asker = Asker::new().await;
    let range = |end: &'static str| [("query", "1"), ("start", "1800000000"), ("end", end), ("step", "1")];
    let (status, body) = asker.get("/api/v1/query_range", &range("1800011000")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["data"]["result"][0]["values"].as_array().map(Vec::len), Some(11_001));
    let (status, body) = asker.get("/api/v1/query_range", &range("1800011001")).await;
    assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")), "{body}");
}

#[tokio::test]
async fn lists_are_asked_for_a_time_that_goes_forward() {
    let asker = Asker::new().await;
    let ever = [("start", "-292273086-05-16T16:47:06Z"), ("end", "292277025-08-18T07:12:54.999999999Z")];
    let backward = [("match[]", "up"), ("start", "1800000060"), ("end", "1800000000")];
    for path in ["/api/v1/series", "/api/v1/labels", "/api/v1/label/job/values"] {
        let (status, body) = asker.get(path, &backward).await;
        assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")), "{path}: {body}");
        // As Prometheus' client for Go writes them, and the last instant of .NET.
        let numbers = [("start", "-9223309901257974"), ("end", "9223309901257974")];
        for [start, end] in [ever, numbers, [ever[0], ("end", "9999-12-31T23:59:59.9999999Z")]] {
            let (status, body) = asker.get(path, &[("match[]", "up"), start, end]).await;
            assert_eq!((status, body["data"].as_array().map(Vec::len)), (StatusCode::OK, Some(2)), "{path}: {body}");
        }
        // Seconds were meant.
        for wrong in ["1800000000000000", "1800000000000000000", "inf"] {
            let (status, body) = asker.get(path, &[("match[]", "up"), ("end", wrong)]).await;
            assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")), "{wrong}: {body}");
        }
    }
}

#[tokio::test]
async fn names_of_labels_may_be_escaped() {
    let asker = Asker::new().await;
    let labels = Labels::from_pairs([("__name__", "hits"), ("http.status_code", "200")]);
    asker.world.app.metrics.append(&[Sample::new(labels, T, 1.0)]).expect("the sample is taken");
    for name in ["http.status_code", "U__http_2e_status__code"] {
        assert_eq!(asker.get(&format!("/api/v1/label/{name}/values"), &[]).await, data(json!(["200"])), "{name}");
    }
    let (status, body) = asker.get("/api/v1/label/U__http_zz_/values", &[]).await;
    assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")), "{body}");
}

#[tokio::test]
async fn kinds_of_rules_and_numbers_of_families_are_read_as_prometheus_reads_them() {
    let asker = Asker::new().await;
    assert_eq!(asker.get("/api/v1/rules", &[("type", "ALERT")]).await.0, StatusCode::OK);
    assert_eq!(asker.get("/api/v1/rules", &[("type", "odd")]).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(asker.get("/api/v1/metadata", &[("limit", "-1")]).await.0, StatusCode::OK);
    for path in ["/api/v1/metadata", "/api/v1/labels"] {
        let (status, body) = asker.get(path, &[("limit", "many")]).await;
        assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")), "{path}: {body}");
    }
}

/// By step a sample counts for each window that it lies in, as in Prometheus.
#[tokio::test]
async fn samples_are_told_by_step() {
    let asker = Asker::new().await;
    let ask = async |query: &str, stats: &str| {
        let range = [("start", "1800000000"), ("end", "1800000060"), ("step", "30")];
        let pairs = [("query", query), ("stats", stats), range[0], range[1], range[2]];
        let (status, body) = asker.get("/api/v1/query_range", &pairs).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["data"]["stats"]["samples"].clone()
    };
    let steps =
        |counts: [u64; 3]| json!([[1_800_000_000, counts[0]], [1_800_000_030, counts[1]], [1_800_000_060, counts[2]]]);
    // Two series with a sample each 15 seconds.
    let newest = ask("sum(up)", "all").await;
    assert_eq!(newest["totalQueryableSamplesPerStep"], steps([2, 2, 2]), "{newest}");
    let windows = ask("count_over_time(up[31s])", "all").await;
    assert_eq!(windows["totalQueryableSamplesPerStep"], steps([2, 6, 6]), "{windows}");
    assert_eq!(windows["totalQueryableSamples"], json!(10), "each read once");
    assert!(ask("sum(up)", "1").await.get("totalQueryableSamplesPerStep").is_none());
    let instant = [("query", "up"), ("time", "1800000060"), ("stats", "all")];
    let (_, body) = asker.get("/api/v1/query", &instant).await;
    assert_eq!(body["data"]["stats"]["samples"]["totalQueryableSamplesPerStep"], json!([[1_800_000_060, 2]]));
}

/// As Grafana sends "All" of a variable: every value, with its dots escaped, in one matcher of a form.
#[tokio::test]
async fn a_matcher_of_thousands_of_hosts_is_answered() {
    let asker = Asker::new().await;
    let hosts: Vec<String> =
        (0..2_000).map(|n| format!(r"ip-10-12-{n}\\.eu-west-1\\.compute\\.internal:9100")).collect();
    let query = format!("up{{job=~\"({}|web)\"}}", hosts.join("|"));
    assert!(query.len() > 64 * 1024);
    let one = json!({"resultType": "vector", "result": [
        {"metric": {"__name__": "up", "job": "web"}, "value": [1_800_000_060, "1"]}]});
    let pairs = [("query", query.as_str()), ("time", "1800000060")];
    assert_eq!(asker.post("/api/v1/query", &pairs).await, data(one));
    let without = query.replace("=~", "!~");
    let pairs = [("query", without.as_str()), ("time", "1800000060")];
    let (status, body) = asker.post("/api/v1/query", &pairs).await;
    assert_eq!((status, &body["data"]["result"][0]["metric"]["job"]), (StatusCode::OK, &json!("db")), "{body}");
    assert_eq!(body["data"]["result"].as_array().map(Vec::len), Some(1));
}

/// Digits as Prometheus writes them, for readers that take whole seconds as whole numbers.
#[tokio::test]
async fn instants_have_no_fraction_where_there_is_none() {
    let asker = Asker::new().await;
    for (time, written) in [("1800000060", "[1800000060,\"1\"]"), ("1800000060.5", "[1800000060.500,\"1\"]")] {
        let request = Request::get(format!("/api/v1/query?query=1&time={time}"));
        let request = request.header(header::AUTHORIZATION, &asker.token).body(Body::empty()).expect("a request");
        let response = asker.world.router.clone().oneshot(request).await.expect("an answer");
        let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body that ends");
        let body = String::from_utf8_lossy(&bytes);
        assert!(body.contains(written), "{body}");
    }
}

/// Ten of each kind, and how many more there are.
#[tokio::test]
async fn remarks_are_bounded() {
    let asker = Asker::new().await;
    let query = (0..12).map(|n| format!("quantile({}, up)", 2 + n)).collect::<Vec<_>>().join(" or ");
    let (status, body) = asker.get("/api/v1/query", &[("query", query.as_str()), ("time", "1800000060")]).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let warnings = body["warnings"].as_array().expect("warnings");
    assert_eq!(warnings.len(), 11, "{body}");
    assert_eq!(warnings[10], json!("2 more warning annotations omitted"));
}

/// As `prometheus-api-client` asks, whose address of the server ends with a slash.
#[tokio::test]
async fn a_slash_too_many_leads_where_it_is_meant() {
    let asker = Asker::new().await;
    for (asked, leads) in [
        ("//api/v1/query?query=up&time=1", Some("/api/v1/query?query=up&time=1")),
        ("/api//v1/labels", Some("/api/v1/labels")),
        ("///federate?match[]=up", Some("/federate?match[]=up")),
        ("//-/healthy", Some("/-/healthy")),
        ("//example.org/api/v1/query", None),
        ("//graphs", None),
    ] {
        for method in [Method::GET, Method::POST] {
            let request = Request::builder().method(method).uri(asked).header(header::AUTHORIZATION, &asker.token);
            let request = request.body(Body::empty()).expect("a request");
            let response = asker.world.router.clone().oneshot(request).await.expect("an answer");
            let told = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            assert_eq!(told, leads, "{asked}");
            assert_eq!(response.status() == StatusCode::TEMPORARY_REDIRECT, leads.is_some(), "{asked}");
        }
    }
}
