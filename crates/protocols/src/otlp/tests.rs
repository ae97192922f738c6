//! Requests in JSON as OTLP's documents write them, and what becomes of them.

use proptest::prelude::*;
use prost::Message;
use serde_json::{Value as Json, json};
use tenfold_types::Timestamp;
use tenfold_types::histogram::Buckets;

use super::*;

const S: u64 = 1_000_000_000;

fn rules() -> Rules {
    Rules {
        naming: Naming::default(),
        promoted: Promoted::These(vec!["deployment.environment".into()]),
        keep_identifying: false,
        promote_scope: false,
        native_histograms: false,
    }
}

fn request(metrics: Json) -> Request {
    let body = json!({"resourceMetrics": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "photos"}},
            {"key": "service.namespace", "value": {"stringValue": "shop"}},
            {"key": "service.instance.id", "value": {"stringValue": "h:1"}},
            {"key": "deployment.environment", "value": {"stringValue": "production"}},
            {"key": "process.pid", "value": {"intValue": "42"}},
        ]},
        "scopeMetrics": [{"scope": {"name": "lib", "version": "1"}, "metrics": metrics}],
    }]});
    from_json(body.to_string().as_bytes()).unwrap()
}

/// Series with their points, but `target_info`.
fn shown(translated: &Translated) -> Vec<String> {
    let batch = translated.batch().unwrap();
    let drop = "deployment_environment=\"production\",";
    let out = batch.series().flat_map(|s| {
        let labels =
            s.owned_labels().to_string().replace(drop, "").replace("instance=\"h:1\",job=\"shop/photos\"", "T");
        let created = s.created_ms.map_or(String::new(), |t| format!(" since {t}"));
        let exemplars = if s.exemplars.is_empty() { String::new() } else { format!(" {:?}", s.exemplars[0].labels) };
        let floats = s.points.iter().map(|p| format!("{} @{}", p.value, p.t_ms));
        let histograms = s.histograms.iter().map(|h| format!("n={} @{}", h.histogram.count, h.t_ms));
        floats.chain(histograms).map(|v| format!("{labels} {v}{created}{exemplars}")).collect::<Vec<_>>()
    });
    out.filter(|s| !s.starts_with("target_info")).collect()
}

fn translated(metrics: Json) -> Translated {
    translate(&request(metrics), &rules(), &mut Deltas::default(), Timestamp(0))
}

#[test]
fn numbers_become_series_of_their_target() {
    let attributes = json!([{"key": "http.route", "value": {"stringValue": "/a"}}]);
    let all = translated(json!([
        {"name": "queue.size", "unit": "{photo}", "description": "Waiting.", "gauge": {"dataPoints": [
            {"timeUnixNano": (5 * S).to_string(), "asInt": "7", "attributes": attributes}]}},
        {"name": "uploads", "unit": "By", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
            {"startTimeUnixNano": S, "timeUnixNano": 5 * S, "asDouble": 1.5, "exemplars": [
                {"traceId": "0102", "spanId": "0a", "asDouble": 1, "timeUnixNano": 4 * S}]},
            {"timeUnixNano": 5 * S, "flags": 1, "attributes": attributes}]}},
        {"name": "open", "sum": {"aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE", "dataPoints": [
            {"startTimeUnixNano": S, "timeUnixNano": 5 * S, "asDouble": "NaN"}]}},
    ]));
    assert_eq!(
        shown(&all),
        [
            "queue_size{http_route=\"/a\",T} 7 @5000",
            "uploads_bytes_total{T} 1.5 @5000 since 1000 [(\"span_id\", \"0a\"), (\"trace_id\", \"0102\")]",
            "uploads_bytes_total{http_route=\"/a\",T} NaN @5000",
            "open{T} NaN @5000",
        ]
    );
    let batch = all.batch().unwrap();
    let info = batch.series().last().unwrap();
    assert_eq!(
        info.owned_labels().to_string(),
        "target_info{deployment_environment=\"production\",instance=\"h:1\",job=\"shop/photos\",process_pid=\"42\"}"
    );
    let ended = batch.series().nth(2).unwrap().points[0].value;
    assert!(tenfold_types::is_stale(ended), "no recorded value ends the series");
    let (name, about) = &all.metadata[1];
    assert_eq!((name.as_str(), about.kind.as_str(), about.unit.as_str()), ("uploads_bytes", "counter", "bytes"));
}

#[test]
fn attributes_of_the_resource_go_where_the_rules_say() {
    let gauge = json!([{"name": "queue.size", "unit": "By", "gauge": {"dataPoints": [{"timeUnixNano": S, "asInt": 1,
        "attributes": [{"key": "http.route", "value": {"stringValue": "/"}}]}]}}]);
    let read = |rules: Rules| {
        let translated = translate(&request(gauge.clone()), &rules, &mut Deltas::default(), Timestamp(0));
        let batch = translated.batch().unwrap();
        batch.series().map(|s| s.owned_labels().to_string()).collect::<Vec<_>>()
    };
    let all = Promoted::AllBut(vec!["process.pid".into(), "service.name".into()]);
    assert_eq!(
        read(Rules { promoted: all, ..rules() })[0],
        "queue_size_bytes{deployment_environment=\"production\",http_route=\"/\",instance=\"h:1\",job=\"shop/photos\",\
         service_instance_id=\"h:1\",service_namespace=\"shop\"}"
    );
    assert_eq!(
        read(Rules {
            naming: Naming::NoTranslation,
            promoted: Promoted::These(vec![]),
            keep_identifying: true,
            ..rules()
        }),
        [
            "{\"queue.size\",\"http.route\"=\"/\",instance=\"h:1\",job=\"shop/photos\"}",
            "target_info{\"deployment.environment\"=\"production\",instance=\"h:1\",job=\"shop/photos\",\
             \"process.pid\"=\"42\",\"service.instance.id\"=\"h:1\",\"service.name\"=\"photos\",\"service.namespace\"=\"shop\"}",
        ]
    );
}

#[test]
fn a_points_own_attribute_goes_before_one_of_the_resource() {
    let point = |name: &str, n: i32| {
        json!({"timeUnixNano": S, "asInt": n, "attributes": [
        {"key": "deployment.environment", "value": {"stringValue": name}},
        {"key": "job", "value": {"stringValue": "mine"}}]})
    };
    let all = translated(
        json!([{"name": "a", "gauge": {"dataPoints": [point("blue", 1), point("green", 2), point("", 3)]}}]),
    );
    assert_eq!(
        shown(&all),
        [
            "a{deployment_environment=\"blue\",T} 1 @1000",
            "a{deployment_environment=\"green\",T} 2 @1000",
            "a{T} 3 @1000"
        ]
    );
}

#[test]
fn a_scope_can_become_labels() {
    let rules = Rules { promote_scope: true, ..rules() };
    let read = |scope: Json| {
        let body = json!({"resourceMetrics": [{"scopeMetrics": [{"scope": scope, "schemaUrl": "https://s/1", "metrics": [
            {"name": "a", "gauge": {"dataPoints": [{"timeUnixNano": S, "asInt": 1}]}}]}]}]});
        let request = from_json(body.to_string().as_bytes()).unwrap();
        shown(&translate(&request, &rules, &mut Deltas::default(), Timestamp(0)))
    };
    let attributes = json!([
        {"key": "team.name", "value": {"stringValue": "web"}},
        {"key": "name", "value": {"stringValue": "not this"}},
    ]);
    assert_eq!(
        read(json!({"name": "lib", "version": "1", "attributes": attributes})),
        ["a{otel_scope_name=\"lib\",otel_scope_schema_url=\"https://s/1\",otel_scope_team_name=\"web\",\
          otel_scope_version=\"1\"} 1 @1000"]
    );
    assert_eq!(
        read(json!({"version": "1", "attributes": attributes})),
        ["a 1 @1000"],
        "a scope without a name is none"
    );
}

#[test]
fn bounds_are_written_without_an_exponent() {
    let metric = json!([{"name": "size", "unit": "By", "histogram": {"aggregationTemporality": 2, "dataPoints": [{
        "timeUnixNano": 5 * S, "count": "6", "bucketCounts": ["1", "0", "5"], "explicitBounds": [0.00001, 10_000_000]}]}}]);
    assert_eq!(
        shown(&translated(metric)),
        [
            "size_bytes_bucket{T,le=\"0.00001\"} 1 @5000",
            "size_bytes_bucket{T,le=\"10000000\"} 1 @5000",
            "size_bytes_bucket{T,le=\"+Inf\"} 6 @5000",
            "size_bytes_count{T} 6 @5000",
        ]
    );
}

#[test]
fn histograms_become_classic_or_native() {
    let metric = json!([{"name": "latency", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [{
        "startTimeUnixNano": S, "timeUnixNano": 5 * S, "count": "6", "sum": 3.5,
        "bucketCounts": ["1", "0", "5"], "explicitBounds": [0.5, 1],
        "exemplars": [{"traceId": "ab", "asDouble": 0.7, "timeUnixNano": S}]}]}}]);
    assert_eq!(
        shown(&translated(metric.clone())),
        [
            "latency_seconds_bucket{T,le=\"0.5\"} 1 @5000 since 1000",
            "latency_seconds_bucket{T,le=\"1\"} 1 @5000 since 1000 [(\"trace_id\", \"ab\")]",
            "latency_seconds_bucket{T,le=\"+Inf\"} 6 @5000 since 1000",
            "latency_seconds_sum{T} 3.5 @5000 since 1000",
            "latency_seconds_count{T} 6 @5000 since 1000",
        ]
    );
    let native = Rules { native_histograms: true, ..rules() };
    let all = translate(&request(metric), &native, &mut Deltas::default(), Timestamp(0));
    let batch = all.batch().unwrap();
    let h = &batch.series().next().unwrap().histograms[0].histogram;
    assert_eq!((h.schema, &h.bounds[..], h.count, h.sum), (-53, &[0.5, 1.0][..], 6.0, 3.5));
    assert_eq!(h.positive.indexed().collect::<Vec<_>>(), [(0, 1.0), (2, 5.0)]);
    let wrong = json!([{"name": "x", "histogram": {"aggregationTemporality": 2, "dataPoints": [
        {"timeUnixNano": S, "count": 1, "bucketCounts": [1], "explicitBounds": [1]}]}}]);
    let refused = &translated(wrong).refused[0];
    assert_eq!(
        refused.example,
        "a point of `x`: it has 1 counts for 1 bounds; there must be one more count than bounds"
    );
}

#[test]
fn exponential_histograms_become_native() {
    let point = |scale: i32| {
        json!([{"name": "latency", "unit": "s", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [{
        "timeUnixNano": 5 * S, "count": 10, "sum": 3.5, "scale": scale, "zeroCount": 1,
        "positive": {"offset": -2, "bucketCounts": [1, 2, 3]}, "negative": {"offset": 4, "bucketCounts": ["3"]}}]}}])
    };
    let read = |scale| {
        let all = translated(point(scale));
        let batch = all.batch().unwrap();
        batch.series().next().map(|s| (*s.histograms[0].histogram).clone())
    };
    let h = read(1).unwrap();
    assert_eq!((h.schema, h.zero_count, h.zero_threshold), (1, 1.0, 1e-128));
    assert_eq!(h.positive, Buckets::single(-1, vec![1.0, 2.0, 3.0]), "numbered one higher");
    assert_eq!(h.negative, Buckets::single(5, vec![3.0]));
    // Scale 9 is one finer than schema 8: pairs of buckets are merged.
    let h = read(9).unwrap();
    assert_eq!(
        (h.schema, h.positive, h.negative),
        (8, Buckets::single(0, vec![3.0, 3.0]), Buckets::single(3, vec![3.0]))
    );
    let refused = translated(point(-5)).refused;
    assert_eq!(refused[0].example, "a point of `latency`: its scale is -5; the coarsest that can be kept is -4");
}

#[test]
fn deltas_are_added_up() {
    let mut deltas = Deltas::default();
    let at = |from: u64, to: u64, value: f64| {
        json!([
            {"name": "hits", "sum": {"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [
                {"startTimeUnixNano": from * S, "timeUnixNano": to * S, "asDouble": value}]}},
            {"name": "t", "histogram": {"aggregationTemporality": 1, "dataPoints": [
                {"startTimeUnixNano": from * S, "timeUnixNano": to * S, "count": 2, "sum": value,
                 "bucketCounts": [1, 1], "explicitBounds": [1]}]}},
        ])
    };
    let mut take = |from, to, value| translate(&request(at(from, to, value)), &rules(), &mut deltas, Timestamp(0));
    take(1, 2, 3.0);
    let second = take(2, 3, 4.0);
    assert_eq!(
        shown(&second),
        [
            "hits_total{T} 7 @3000 since 1000",
            "t_bucket{T,le=\"1\"} 2 @3000 since 1000",
            "t_bucket{T,le=\"+Inf\"} 4 @3000 since 1000",
            "t_sum{T} 7 @3000 since 1000",
            "t_count{T} 4 @3000 since 1000",
        ]
    );
    let again = take(2, 3, 4.0);
    assert_eq!((shown(&again).len(), again.refused[0].reason, again.refused[0].count), (0, "delta_out_of_order", 2));
    assert_eq!(again.points, 2);
}

#[test]
fn summaries_and_odd_attributes() {
    let all = translated(json!([
        {"name": "gc", "unit": "s", "summary": {"dataPoints": [{"timeUnixNano": S, "count": 3, "sum": 1.5,
            "quantileValues": [{"quantile": 0.5, "value": 0.25}], "attributes": [
                {"key": "a.b", "value": {"boolValue": true}}, {"key": "a_b", "value": {"doubleValue": 0.5}},
                {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "x"}]}}},
                {"key": "bytes", "value": {"bytesValue": "AQI="}}, {"key": "job", "value": {"stringValue": "mine"}}]}]}},
        {"name": "!!!", "gauge": {"dataPoints": [{"timeUnixNano": S, "asInt": 1}]}},
        {"name": "sum", "sum": {"dataPoints": [{"timeUnixNano": S, "asInt": 1}]}},
    ]));
    let labels = "a_b=\"true;0.5\",bytes=\"AQI=\",T,list=\"[1,\\\"x\\\"]\"";
    assert_eq!(
        shown(&all),
        [
            format!("gc_seconds_sum{{{labels}}} 1.5 @1000"),
            format!("gc_seconds_count{{{labels}}} 3 @1000"),
            format!("gc_seconds{{{labels},quantile=\"0.5\"}} 0.25 @1000"),
        ]
    );
    let reasons: Vec<_> = all.refused.iter().map(|r| (r.reason, r.count)).collect();
    assert_eq!((reasons, all.points), (vec![("no_metric_name", 1), ("temporality", 1)], 3));
}

#[test]
fn protobuf_and_json_say_the_same() {
    let read = request(json!([{"name": "g", "unit": "By", "gauge": {"dataPoints": [
        {"timeUnixNano": S, "asInt": "-7", "attributes": [{"key": "k", "value": {"kvlistValue": {"values": []}}}]}]}}]));
    assert_eq!(from_proto(&read.encode_to_vec()), Ok(read));
    assert_eq!(from_json(b"{}"), Ok(Request::default()));
    assert!(matches!(from_json(b"[1"), Err(OtlpError::Json(_))));
    assert!(matches!(from_proto(b"\x0a\xff"), Err(OtlpError::Proto(_))));
}

#[test]
fn what_would_take_too_much_memory_is_refused() {
    let mut points = Vec::new();
    for _ in 0..=MESSAGES_MAX {
        points.extend_from_slice(&[0x0a, 0]);
    }
    let mut body = points;
    for tag in [0x2a, 0x12, 0x12, 0x0a] {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(body.len() as u64, &mut outer);
        outer.extend(body);
        body = outer;
    }
    assert_eq!(from_proto(&body), Err(OtlpError::TooMuch));
    assert_eq!(from_json("{".repeat(MESSAGES_MAX + 1).as_bytes()), Err(OtlpError::TooMuch));
    let points = "[],".repeat(MESSAGES_MAX);
    let named =
        format!("{{\"resourceMetrics\":[{{\"scopeMetrics\":[{{\"schemaUrl\":\"x\",\"metrics\":[{points}[]]}}]}}]}}");
    assert_eq!(from_json(named.as_bytes()), Err(OtlpError::TooMuch));
}

/// A body of so many empty messages, within others by their tags.
fn within(tags: &[u8], empty: u8, count: usize) -> Vec<u8> {
    // From its end to its beginning.
    let mut body = [0, empty].repeat(count);
    for tag in tags {
        let mut head = vec![*tag];
        prost::encoding::encode_varint(body.len() as u64, &mut head);
        head.reverse();
        body.extend(head);
    }
    body.reverse();
    body
}

#[test]
fn what_stands_deep_in_a_request_counts_as_well() {
    // Attributes of a scope; of an exemplar of a gauge's point; a list, and pairs, as an attribute of a resource.
    let (scope, exemplar) = ([0x0a, 0x12, 0x0a], [0x2a, 0x0a, 0x2a, 0x12, 0x12, 0x0a]);
    let (list, pairs) = ([0x2a, 0x12, 0x0a, 0x0a, 0x0a], [0x32, 0x12, 0x0a, 0x0a, 0x0a]);
    for (tags, empty) in [(&scope[..], 0x1a), (&exemplar[..], 0x3a), (&list[..], 0x0a), (&pairs[..], 0x0a)] {
        assert_eq!(from_proto(&within(tags, empty, MESSAGES_MAX + 1)), Err(OtlpError::TooMuch), "{tags:?}");
        assert!(from_proto(&within(tags, empty, 1_000)).is_ok(), "{tags:?}");
    }
    // Lists within lists: nobody may have to look into them without end.
    let deep = [[0x0a, 0x2a].repeat(100_000), vec![0x12, 0x0a, 0x0a, 0x0a]].concat();
    assert!(matches!(from_proto(&within(&deep[1..], 0x0a, 1)), Err(OtlpError::Proto(_))));
}

#[test]
fn answers_say_what_was_rejected() {
    assert_eq!(answer_proto(0, ""), b"");
    assert_eq!(answer_proto(2, "x"), b"\x0a\x05\x08\x02\x12\x01x");
    assert_eq!(answer_json(2, "x"), json!({"partialSuccess": {"rejectedDataPoints": "2", "errorMessage": "x"}}));
    assert_eq!(status_proto(3, "x"), b"\x08\x03\x12\x01x");
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(read) = from_proto(&bytes) {
            let _ = translate(&read, &rules(), &mut Deltas::default(), Timestamp(0)).batch();
        }
        let _ = from_json(&bytes);
    }
}

/// What a request says once of a resource, each of its points would say: a few kilobytes in gzip, and a thousand gigabytes of labels.
#[test]
fn labels_that_many_points_share_are_bounded() {
    let long = "x".repeat(1 << 20);
    let points = vec![json!({"timeUnixNano": "1", "asInt": "1"}); 1_000];
    let quantiles = vec![json!({"quantile": 0.5, "value": 1}); 1_000];
    let bounds: Vec<u32> = (1..=1_000).collect();
    let histogram =
        json!({"timeUnixNano": "1", "count": "0", "bucketCounts": vec!["0"; 1_001], "explicitBounds": bounds});
    let mut of_resource =
        json!({"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": long}}]}});
    for metric in [
        json!({"name": "a", "gauge": {"dataPoints": points}}),
        // Those that are refused cost as much.
        json!({"name": "a", "sum": {"dataPoints": points}}),
        json!({"name": "a", "summary": {"dataPoints": [{"timeUnixNano": "1", "quantileValues": quantiles}]}}),
        json!({"name": "a", "histogram": {"aggregationTemporality": 2, "dataPoints": [histogram]}}),
    ] {
        of_resource["scopeMetrics"] = json!([{"metrics": [metric]}]);
        let read = from_json(json!({"resourceMetrics": [of_resource]}).to_string().as_bytes()).unwrap();
        let made = translate(&read, &rules(), &mut Deltas::default(), Timestamp(0));
        assert_eq!(made.batch().unwrap_err().what, "bytes of labels");
    }
}

#[test]
fn a_mark_of_the_end_has_no_more_bounds_than_others() {
    let bounds: Vec<u32> = (1..=5_000).collect();
    let ended = json!({"timeUnixNano": "1", "flags": 1, "explicitBounds": bounds});
    let made = translated(json!([
        {"name": "a", "histogram": {"aggregationTemporality": 2, "dataPoints": [ended]}},
    ]));
    assert_eq!((shown(&made).len(), made.refused[0].reason), (0, "bad_histogram"));
}

#[test]
fn what_cannot_be_read_of_json_is_not_taken_for_nothing() {
    let body = |metric: Json| json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).to_string();
    for wrong in [
        json!({"name": "a", "gauge": {"dataPoints": [{"timeUnixNano": {"low": 1, "high": 2}, "asInt": 1}]}}),
        json!({"name": "a", "gauge": {"dataPoints": [{"timeUnixNano": S, "asInt": 1.5}]}}),
        json!({"name": "a", "sum": {"dataPoints": [{"timeUnixNano": S, "asDouble": "much"}]}}),
        json!({"name": "a", "histogram": {"dataPoints": [{"timeUnixNano": S, "count": "-1"}]}}),
    ] {
        assert!(matches!(from_json(body(wrong.clone()).as_bytes()), Err(OtlpError::Json(_))), "{wrong}");
    }
    // Of a kind that nobody knows yet, or of none.
    for none in [json!({"name": "a"}), json!({"name": "a", "gauge": null}), json!({"name": "a", "newer": {"x": 1}})] {
        let read = from_json(body(none.clone()).as_bytes()).unwrap();
        assert_eq!(read.resource_metrics[0].scope_metrics[0].metrics[0].data, None, "{none}");
    }
}

#[test]
fn numbers_are_read_as_javascript_writes_them() {
    let all = translated(json!([
        {"name": "a", "gauge": {"dataPoints": [
            {"timeUnixNano": S, "asDouble": null}, {"timeUnixNano": 2 * S, "asInt": 7.0}, {"timeUnixNano": 3 * S, "asDouble": 2}]}},
        {"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [{"timeUnixNano": S, "count": 3, "sum": null,
            "min": null, "bucketCounts": [1, 2, 0], "explicitBounds": ["0.5", "Infinity"]}]}},
    ]));
    assert_eq!(
        shown(&all),
        [
            "a{T} NaN @1000",
            "a{T} 7 @2000",
            "a{T} 2 @3000",
            "h_bucket{T,le=\"0.5\"} 1 @1000",
            "h_bucket{T,le=\"+Inf\"} 3 @1000",
            "h_count{T} 3 @1000",
        ]
    );
}

#[test]
fn a_bound_up_to_infinity_may_be_listed() {
    let read = |counts: Json, flags: u32| {
        let metric = json!([{"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [{
            "timeUnixNano": S, "count": 6, "flags": flags, "bucketCounts": counts, "explicitBounds": [1, "Infinity"]}]}}]);
        let rules = Rules { native_histograms: true, ..rules() };
        let classic = shown(&translated(metric.clone()));
        (classic, translate(&request(metric), &rules, &mut Deltas::default(), Timestamp(0)))
    };
    for counts in [json!([2, 4, 0]), json!([2, 4]), json!([2, 3, 1])] {
        let (classic, native) = read(counts.clone(), 0);
        let wanted = ["h_bucket{T,le=\"1\"} 2 @1000", "h_bucket{T,le=\"+Inf\"} 6 @1000", "h_count{T} 6 @1000"];
        assert_eq!(classic, wanted, "{counts}");
        let batch = native.batch().unwrap();
        let h = &batch.series().next().unwrap().histograms[0].histogram;
        let buckets: Vec<_> = h.positive.indexed().collect();
        assert_eq!((&h.bounds[..], buckets), (&[1.0][..], vec![(0, 2.0), (1, 4.0)]), "{counts}");
    }
    let (ended, _) = read(json!([]), 1);
    assert_eq!(ended.iter().filter(|s| s.contains("+Inf")).count(), 1, "{ended:?}");
    let (_, wrong) = read(json!([6]), 0);
    assert_eq!(wrong.refused[0].reason, "bad_histogram");
}

#[test]
fn a_delta_that_does_not_say_since_when_has_no_start() {
    let all = translated(json!([
        {"name": "hits", "sum": {"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [
            {"timeUnixNano": 2 * S, "asInt": 3}]}},
        {"name": "t", "histogram": {"aggregationTemporality": 1, "dataPoints": [{"timeUnixNano": 2 * S, "count": 2}]}},
    ]));
    let wanted = ["hits_total{T} 3 @2000", "t_bucket{T,le=\"+Inf\"} 2 @2000", "t_count{T} 2 @2000"];
    assert_eq!(shown(&all), wanted, "none of them began in 1970");
}

#[test]
fn an_exemplar_with_long_attributes_keeps_its_trace() {
    let exemplar = |statement: usize, trace: &str| {
        let all = translated(
            json!([{"name": "a", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
            {"timeUnixNano": S, "asInt": 1, "exemplars": [{"traceId": trace, "spanId": "0a", "asInt": 1, "filteredAttributes": [
                {"key": "db.statement", "value": {"stringValue": "x".repeat(statement)}}]}]}]}}]),
        );
        let batch = all.batch().unwrap();
        let series = batch.series().next().unwrap();
        series.exemplars[0].labels.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(exemplar(900, "0102"), ["db_statement", "span_id", "trace_id"]);
    assert_eq!(exemplar(1_024, "0102"), ["span_id", "trace_id"]);
    assert_eq!(exemplar(1_024, ""), ["db_statement", "span_id"], "there is no trace to keep");
}

#[test]
fn a_point_from_the_future_does_not_take_what_is_told_of_its_target_with_it() {
    let all = translated(json!([{"name": "a", "gauge": {"dataPoints": [
        {"timeUnixNano": 5 * S, "asInt": 1}, {"timeUnixNano": 3_600 * S, "asInt": 2}]}}]));
    let batch = all.batch().unwrap();
    let info = batch.series().last().unwrap();
    assert!(info.owned_labels().to_string().starts_with("target_info"));
    assert_eq!(info.points[0].t_ms, 5_000);
}
