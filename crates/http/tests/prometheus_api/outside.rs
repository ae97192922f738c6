//! Samples that leave the server have its labels (`external_labels`), as with Prometheus: `/federate` and remote read.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode, header};
use tenfold_app::Role;
use tenfold_app::people::TokenKind;
use tenfold_protocols::exposition::Histograms;
use tenfold_protocols::prom_proto::parse;
use tenfold_protocols::remote_write::{compress, decompress};
use tenfold_protocols::wire::{Fields, number};
use tenfold_protocols::wire_out::Writer;
use tenfold_tsdb::Sample;
use tenfold_types::Labels;
use tower::ServiceExt;

use super::common::world_with;
use super::{Asker, encoded};

fn series(more: &[(&str, &str)]) -> Labels {
    Labels::from_pairs([&[("__name__", "up")][..], more].concat())
}

/// Somebody who asks a server with such labels, in which one series has a label `region` of its own; and when its samples are of.
async fn asker(external: &[(&str, &str)]) -> (Asker, i64) {
    let of_server = external.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let world = world_with(|s| s.alerts.external_labels = of_server.collect()).await;
    let token = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    let t = world.app.now().millis() - 30_000;
    let samples = [
        Sample::new(series(&[("job", "web")]), t, 1.0),
        Sample::new(series(&[("job", "db"), ("region", "us"), ("instance", "h1")]), t, 0.0),
    ];
    assert_eq!(world.app.metrics.append(&samples).expect("the samples are taken").appended, 2);
    (Asker { world, token }, t)
}

async fn answer(asker: &Asker, request: axum::http::request::Builder, body: Vec<u8>) -> Bytes {
    let request = request.header(header::AUTHORIZATION, &asker.token).body(Body::from(body)).expect("a request");
    let response = asker.world.router.clone().oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    to_bytes(response.into_body(), 1 << 20).await.expect("a body that ends")
}

async fn federated(asker: &Asker, accept: &str) -> Bytes {
    let request = Request::get(format!("/federate?{}", encoded(&[("match[]", "up")]))).header(header::ACCEPT, accept);
    answer(asker, request, Vec::new()).await
}

#[tokio::test]
async fn federated_series_have_the_labels_of_the_server() {
    let (here, t) = asker(&[("region", "eu"), ("cloud.zone", "a")]).await;
    let page = format!(
        "# TYPE up untyped\nup{{cloud_zone=\"a\",instance=\"h1\",job=\"db\",region=\"us\"}} 0 {t}\n\
         up{{cloud_zone=\"a\",job=\"web\",region=\"eu\",instance=\"\"}} 1 {t}\n"
    );
    assert_eq!(federated(&here, "text/plain").await, page);
    // Another that is told alike would be the same series twice.
    let alike = Sample::new(series(&[("job", "web"), ("region", "eu")]), t, 5.0);
    here.world.app.metrics.append(&[alike]).expect("the sample is taken");
    assert_eq!(federated(&here, "text/plain").await, page);
    let proto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
                 escaping=allow-utf-8";
    let read = parse(&federated(&here, proto).await, Histograms::default()).expect("a page");
    let told: Vec<_> = read.samples.iter().map(|s| (s.labels.get("cloud.zone"), s.labels.get("region"))).collect();
    assert_eq!(told, [(Some("a"), Some("us")), (Some("a"), Some("eu"))]);

    let (here, t) = asker(&[("instance", "server-1")]).await;
    let page = format!(
        "# TYPE up untyped\nup{{instance=\"h1\",job=\"db\",region=\"us\"}} 0 {t}\n\
         up{{instance=\"server-1\",job=\"web\"}} 1 {t}\n"
    );
    assert_eq!(federated(&here, "text/plain").await, page);
}

/// The messages in a field of another.
fn each(message: &[u8], wanted: u32) -> Vec<&[u8]> {
    let (mut fields, mut all) = (Fields::new(message), Vec::new());
    while let Some((field, value)) = fields.read().expect("a message") {
        if field == wanted {
            all.push(value.bytes(field).expect("a message or a text"));
        }
    }
    all
}

/// The labels of a series in the order in which they came, and how many samples or chunks it has.
fn shown(series: &[u8]) -> String {
    let text = |label: &[u8], field: u32| String::from_utf8(each(label, field).concat()).expect("a text");
    let labels: Vec<_> =
        each(series, 1).into_iter().map(|label| format!("{}={}", text(label, 1), text(label, 2))).collect();
    format!("{} {}", labels.join(","), each(series, 2).len())
}

/// What remote read answers to equalities.
async fn read(asker: &Asker, matchers: &[(&str, &str)], streamed: bool) -> Vec<String> {
    let mut asked = Writer::default();
    asked.message(1, |query| {
        query.number(2, 4_000_000_000_000);
        for (name, value) in matchers {
            query.message(3, |matcher| {
                matcher.text(2, name);
                matcher.text(3, value);
            });
        }
    });
    if streamed {
        asked.number(2, 1);
    }
    let asked = compress(&asked.into_bytes()).expect("snappy");
    let body = answer(asker, Request::post("/api/v1/read"), asked).await;
    if !streamed {
        let plain = decompress(&body).expect("snappy");
        let results = each(&plain, 1);
        assert_eq!(results.len(), 1, "one for each query");
        return each(results[0], 1).into_iter().map(shown).collect();
    }
    let (mut rest, mut all) = (&body[..], Vec::new());
    while !rest.is_empty() {
        let length = usize::try_from(number(&mut rest).expect("a length")).expect("it is short");
        // Behind a checksum.
        let (frame, more) = rest[4..].split_at(length);
        all.extend(each(frame, 1).into_iter().map(shown));
        rest = more;
    }
    all
}

#[tokio::test]
async fn series_that_are_read_from_elsewhere_have_the_labels_of_the_server() {
    let (here, _) = asker(&[("region", "eu"), ("zone", "b")]).await;
    let web = "__name__=up,job=web,region=eu,zone=b 1";
    let db = "__name__=up,instance=h1,job=db,region=us,zone=b 1";
    for streamed in [false, true] {
        for (more, told) in [
            // As another Prometheus asks that has these labels, too.
            (&[("region", "eu"), ("zone", "b")][..], &[web][..]),
            (&[("region", "us"), ("zone", "b")], &[db]),
            (&[], &[db, web]),
            (&[("zone", "c")], &[]),
            (&[("region", "us"), ("job", "web")], &[]),
        ] {
            let matchers = [&[("__name__", "up")][..], more].concat();
            assert_eq!(read(&here, &matchers, streamed).await, told, "{matchers:?}, streamed: {streamed}");
        }
    }
}
