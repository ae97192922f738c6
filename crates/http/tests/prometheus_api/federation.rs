//! `/federate` in protobuf; its text stands with the other shapes.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use tenfold_app::metrics::{Scraped, Target};
use tenfold_protocols::exposition::{Format, Histograms};
use tenfold_protocols::prom_proto::{Family, FamilyValue, parse};
use tenfold_types::{Histogram, Labels, Timestamp, histogram::Buckets};
use tower::ServiceExt;

use super::{Asker, encoded};

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
