//! `/federate` in protobuf; its text stands with the other shapes.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use tenfold_app::metrics::{Scraped, Source, Target};
use tenfold_protocols::batch::Batch;
use tenfold_protocols::exposition::{Format, Histograms};
use tenfold_protocols::prom_proto::{Family, FamilyValue, parse};
use tenfold_tsdb::Sample;
use tenfold_types::histogram::{Buckets, CUSTOM_SCHEMA};
use tenfold_types::{Histogram, HistogramPoint, Labels, Timestamp};
use tower::ServiceExt;

use super::{Asker, encoded};

/// As Prometheus 3 asks by default. Older ones are told names that they can read.
#[tokio::test]
async fn names_in_text_are_as_they_are_for_those_who_take_that() {
    let asker = Asker::new().await;
    let t = asker.world.app.now().millis() - 30_000;
    let labels = Labels::from_pairs([("__name__", "http.server.active"), ("host.name", "h1")]);
    asker.world.app.metrics.append(&[Sample::new(labels, t, 3.0)]).expect("the sample is taken");
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3";
    for (accept, kind, page) in [
        (
            accept,
            "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            format!(
                "# TYPE \"http.server.active\" untyped\n\
                 {{\"http.server.active\",\"host.name\"=\"h1\",instance=\"\"}} 3 {t}\n"
            ),
        ),
        (
            "text/plain;version=0.0.4",
            "text/plain; version=0.0.4; charset=utf-8",
            format!("# TYPE http_server_active untyped\nhttp_server_active{{host_name=\"h1\",instance=\"\"}} 3 {t}\n"),
        ),
    ] {
        let request = Request::get(format!("/federate?{}", encoded(&[("match[]", "{\"http.server.active\"}")])))
            .header(header::AUTHORIZATION, &asker.token)
            .header(header::ACCEPT, accept);
        let response = asker.world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let told = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
        assert_eq!((response.status(), told), (StatusCode::OK, kind));
        let text = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        assert_eq!(text, page);
    }
}

/// As many a configuration asks for everything. Prometheus refuses such a selector in a query and in lists, and takes it here.
#[tokio::test]
async fn every_series_may_be_asked_for() {
    let asker = Asker::new().await;
    let t = asker.world.app.now().millis() - 30_000;
    let labels = Labels::from_pairs([("__name__", "queued"), ("queue", "mail")]);
    asker.world.app.metrics.append(&[Sample::new(labels, t, 3.0)]).expect("the sample is taken");
    for selector in ["{}", "{__name__=~\".*\"}", "{job=~\".*\"}", "{job=\"\"}"] {
        let request = Request::get(format!("/federate?{}", encoded(&[("match[]", selector)])));
        let request = request.header(header::AUTHORIZATION, &asker.token).body(Body::empty()).unwrap();
        let response = asker.world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{selector}");
        let text = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        let page = format!("# TYPE queued untyped\nqueued{{queue=\"mail\",instance=\"\"}} 3 {t}\n");
        assert!(text.contains(&page), "{selector}: {text}");
        for path in ["/api/v1/series", "/api/v1/query"] {
            let (status, body) = asker.get(path, &[("match[]", selector), ("query", selector)]).await;
            assert_eq!((status, body["errorType"].as_str()), (StatusCode::BAD_REQUEST, Some("bad_data")), "{selector}");
        }
    }
}

/// What a scraper without protobuf is told of histograms with custom buckets, as classic ones.
#[tokio::test]
async fn custom_buckets_are_federated_in_text() {
    let asker = Asker::new().await;
    let t = asker.world.app.now().millis() - 30_000;
    let histogram = Histogram {
        schema: CUSTOM_SCHEMA,
        count: 7.0,
        sum: 9.25,
        positive: Buckets::from_indexed([(0, 2.0), (2, 4.0), (3, 1.0)]),
        bounds: [0.5, 1.0, 5.0].into(),
        ..Histogram::default()
    };
    let mut batch = Batch::default();
    batch.label("__name__", "took").unwrap();
    batch.label("queue", "mail").unwrap();
    batch.histogram(HistogramPoint { t_ms: t, histogram: histogram.into() }).unwrap();
    batch.end().unwrap();
    let pushed = asker.world.app.metrics.push(&Source::new("test", "test"), &batch, asker.world.app.now());
    assert_eq!(pushed.map_err(|e| e.fault).expect("it is taken").histograms, 1);
    let request = Request::get(format!("/federate?{}", encoded(&[("match[]", "took")])));
    let request = request.header(header::AUTHORIZATION, &asker.token).body(Body::empty()).unwrap();
    let response = asker.world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let text = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    let bucket = |le: &str, count: u8| format!("took_bucket{{le=\"{le}\",queue=\"mail\",instance=\"\"}} {count} {t}\n");
    let rest = format!(
        "took_sum{{queue=\"mail\",instance=\"\"}} 9.25 {t}\ntook_count{{queue=\"mail\",instance=\"\"}} 7 {t}\n"
    );
    let buckets = [bucket("0.5", 2), bucket("1", 2), bucket("5", 6), bucket("+Inf", 7)].concat();
    assert_eq!(text, format!("# TYPE took histogram\n{buckets}{rest}"));

    // Numbers of the same name: many readers refuse a page that says a type twice.
    let number = Labels::from_pairs([("__name__", "took"), ("queue", "web")]);
    asker.world.app.metrics.append(&[Sample::new(number, t, 2.5)]).expect("the sample is taken");
    let request = Request::get(format!("/federate?{}", encoded(&[("match[]", "took")])));
    let request = request.header(header::AUTHORIZATION, &asker.token).body(Body::empty()).unwrap();
    let response = asker.world.router.clone().oneshot(request).await.unwrap();
    let text = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    let number = format!("took{{queue=\"web\",instance=\"\"}} 2.5 {t}\n");
    assert_eq!(text, format!("# TYPE took untyped\n{number}{buckets}{rest}"));
}

/// What was scraped as protobuf is told as protobuf to those who want that, and in text without the native histograms.
#[tokio::test]
async fn native_histograms_are_federated_as_protobuf() {
    let asker = Asker::new().await;
    let at = Timestamp(asker.world.app.now().millis() - 30_000);
    let histogram = Histogram {
        schema: 2,
        count: 9.0,
        sum: 4.5,
        zero_threshold: 0.001,
        zero_count: 2.0,
        positive: Buckets::from_indexed([(-3, 1.0), (0, 4.0), (1, 2.0)]),
        ..Histogram::default()
    };
    let mut page = Vec::new();
    for (name, value) in [("latency", FamilyValue::Histogram(&histogram)), ("depth", FamilyValue::Float(3.0))] {
        let mut family = Family::new(name, value.kind());
        family.put([("queue", "mail")], at.millis(), value);
        family.end(&mut page);
    }
    let labels = Labels::from_pairs([("job", "web"), ("instance", "h1:80")]);
    let target = Target::reported("http://h1:80/metrics".to_owned(), labels, "h1");
    let page = Ok((page.into(), Format::Protobuf));
    asker.world.app.metrics.scraped(&target, Scraped { at, duration_ms: 1, page }).expect("the page is taken");
    let federate = async |accept: &'static str| {
        let request = Request::get(format!("/federate?{}", encoded(&[("match[]", "{queue=\"mail\"}")])))
            .header(header::AUTHORIZATION, &asker.token)
            .header(header::ACCEPT, accept);
        let response = asker.world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        (kind, to_bytes(response.into_body(), 1 << 20).await.unwrap())
    };
    let proto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
                 escaping=allow-utf-8;q=0.9,text/plain;version=0.0.4;q=0.5";
    let (kind, body) = federate(proto).await;
    assert_eq!(Format::from_content_type(&kind), Some(Format::Protobuf), "{kind}");
    assert!(kind.ends_with("escaping=allow-utf-8"), "{kind}");
    let read = parse(&body, Histograms::default()).unwrap();
    let depth = read.samples.iter().find(|s| s.labels.metric_name() == Some("depth")).expect("the gauge");
    assert_eq!((depth.value, depth.t_ms), (3.0, Some(at.millis())));
    let latency = read.samples.iter().find(|s| s.labels.metric_name() == Some("latency")).expect("the histogram");
    assert_eq!(latency.labels.to_string(), "latency{instance=\"h1:80\",job=\"web\",queue=\"mail\"}");
    let told = latency.histogram.as_deref().expect("it is native");
    assert!(told.same_as(&histogram), "{told} is not {histogram}");
    assert_eq!((latency.t_ms, read.samples.len()), (Some(at.millis()), 2));

    let (kind, body) = federate("text/plain").await;
    assert!(kind.starts_with("text/plain"), "{kind}");
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains("depth{") && !text.contains("latency"), "{text}");
}
