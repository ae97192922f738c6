//! Pages are made by `prost` from the messages as `metrics.proto` declares them, so that two readings of the format meet.

use proptest::prelude::*;
use prost::Message;

use super::*;

mod wire {
    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    pub struct LabelPair {
        #[prost(string, optional, tag = "1")]
        pub name: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub value: Option<String>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub label: Vec<LabelPair>,
        #[prost(double, optional, tag = "2")]
        pub value: Option<f64>,
        #[prost(message, optional, tag = "3")]
        pub timestamp: Option<prost_types::Timestamp>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Gauge {
        #[prost(double, optional, tag = "1")]
        pub value: Option<f64>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Counter {
        #[prost(double, optional, tag = "1")]
        pub value: Option<f64>,
        #[prost(message, optional, tag = "2")]
        pub exemplar: Option<Exemplar>,
        #[prost(message, optional, tag = "3")]
        pub created_timestamp: Option<prost_types::Timestamp>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Quantile {
        #[prost(double, optional, tag = "1")]
        pub quantile: Option<f64>,
        #[prost(double, optional, tag = "2")]
        pub value: Option<f64>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Summary {
        #[prost(uint64, optional, tag = "1")]
        pub sample_count: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub sample_sum: Option<f64>,
        #[prost(message, repeated, tag = "3")]
        pub quantile: Vec<Quantile>,
        #[prost(message, optional, tag = "4")]
        pub created_timestamp: Option<prost_types::Timestamp>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Bucket {
        #[prost(uint64, optional, tag = "1")]
        pub cumulative_count: Option<u64>,
        #[prost(double, optional, tag = "4")]
        pub cumulative_count_float: Option<f64>,
        #[prost(double, optional, tag = "2")]
        pub upper_bound: Option<f64>,
        #[prost(message, optional, tag = "3")]
        pub exemplar: Option<Exemplar>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct BucketSpan {
        #[prost(sint32, optional, tag = "1")]
        pub offset: Option<i32>,
        #[prost(uint32, optional, tag = "2")]
        pub length: Option<u32>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Histogram {
        #[prost(uint64, optional, tag = "1")]
        pub sample_count: Option<u64>,
        #[prost(double, optional, tag = "4")]
        pub sample_count_float: Option<f64>,
        #[prost(double, optional, tag = "2")]
        pub sample_sum: Option<f64>,
        #[prost(message, repeated, tag = "3")]
        pub bucket: Vec<Bucket>,
        #[prost(message, optional, tag = "15")]
        pub created_timestamp: Option<prost_types::Timestamp>,
        #[prost(sint32, optional, tag = "5")]
        pub schema: Option<i32>,
        #[prost(double, optional, tag = "6")]
        pub zero_threshold: Option<f64>,
        #[prost(uint64, optional, tag = "7")]
        pub zero_count: Option<u64>,
        #[prost(double, optional, tag = "8")]
        pub zero_count_float: Option<f64>,
        #[prost(message, repeated, tag = "9")]
        pub negative_span: Vec<BucketSpan>,
        #[prost(sint64, repeated, packed = "false", tag = "10")]
        pub negative_delta: Vec<i64>,
        #[prost(double, repeated, packed = "false", tag = "11")]
        pub negative_count: Vec<f64>,
        #[prost(message, repeated, tag = "12")]
        pub positive_span: Vec<BucketSpan>,
        #[prost(sint64, repeated, packed = "false", tag = "13")]
        pub positive_delta: Vec<i64>,
        #[prost(double, repeated, packed = "false", tag = "14")]
        pub positive_count: Vec<f64>,
        #[prost(message, repeated, tag = "16")]
        pub exemplars: Vec<Exemplar>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub label: Vec<LabelPair>,
        #[prost(message, optional, tag = "2")]
        pub gauge: Option<Gauge>,
        #[prost(message, optional, tag = "3")]
        pub counter: Option<Counter>,
        #[prost(message, optional, tag = "4")]
        pub summary: Option<Summary>,
        #[prost(message, optional, tag = "5")]
        pub untyped: Option<Gauge>,
        #[prost(message, optional, tag = "7")]
        pub histogram: Option<Histogram>,
        #[prost(int64, optional, tag = "6")]
        pub timestamp_ms: Option<i64>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct MetricFamily {
        #[prost(string, optional, tag = "1")]
        pub name: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub help: Option<String>,
        #[prost(int32, optional, tag = "3")]
        pub kind: Option<i32>,
        #[prost(message, repeated, tag = "4")]
        pub metric: Vec<Metric>,
        #[prost(string, optional, tag = "5")]
        pub unit: Option<String>,
    }
}

use wire::{Bucket, BucketSpan, Counter, Gauge, LabelPair, Metric as Written, MetricFamily, Quantile, Summary};

fn family(name: &str, kind: i32, metric: Written) -> MetricFamily {
    MetricFamily {
        name: Some(name.into()),
        help: Some("about".into()),
        kind: Some(kind),
        metric: vec![metric],
        unit: None,
    }
}

fn page(families: &[MetricFamily]) -> Vec<u8> {
    families.iter().flat_map(MetricFamily::encode_length_delimited_to_vec).collect()
}

fn label(name: &str, value: &str) -> LabelPair {
    LabelPair { name: Some(name.into()), value: Some(value.into()) }
}

fn time(seconds: i64, nanos: i32) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos }
}

fn traced(value: f64) -> wire::Exemplar {
    wire::Exemplar { label: vec![label("trace_id", "7f")], value: Some(value), timestamp: Some(time(5, 500_000_000)) }
}

fn shown(families: &[MetricFamily], histograms: Histograms) -> Vec<String> {
    let page = parse(&page(families), histograms).unwrap();
    let one = |s: &PageSample| {
        let value = s.histogram.as_ref().map_or_else(|| s.value.to_string(), ToString::to_string);
        let created = s.created_ms.map_or(String::new(), |t| format!(" since {t}"));
        let t = s.t_ms.map_or(String::new(), |t| format!(" @{t}"));
        let exemplars: Vec<_> =
            s.exemplars.iter().map(|e| format!(" # {} {} {:?}", e.labels, e.value, e.t_ms)).collect();
        let exemplars = exemplars.concat();
        format!("{} {value}{t}{created}{exemplars}", s.labels)
    };
    page.samples.iter().map(one).collect()
}

#[test]
fn a_label_without_a_value_is_told_apart() {
    let labels = vec![label("instance", ""), label("job", "a")];
    let gauge = Written { label: labels, gauge: Some(Gauge { value: Some(1.0) }), ..Written::default() };
    let read = parse(&page(&[family("m", 1, gauge)]), Histograms::default()).unwrap();
    assert_eq!(&*read.samples[0].blank, ["instance".to_owned()]);
    assert_eq!(read.samples[0].labels.to_string(), "m{job=\"a\"}");
}

fn both() -> Written {
    let bucket = |count, bound| Bucket {
        cumulative_count: Some(count),
        upper_bound: Some(bound),
        exemplar: Some(traced(bound)),
        ..Bucket::default()
    };
    let histogram = wire::Histogram {
        sample_count: Some(6),
        sample_sum: Some(9.5),
        bucket: vec![bucket(2, 1.0), bucket(5, 10.0)],
        created_timestamp: Some(time(3, 0)),
        schema: Some(0),
        zero_threshold: Some(0.001),
        zero_count: Some(1),
        positive_span: vec![BucketSpan { offset: Some(0), length: Some(2) }],
        positive_delta: vec![2, 1],
        ..wire::Histogram::default()
    };
    Written { histogram: Some(histogram), ..Written::default() }
}

#[test]
fn every_kind_becomes_its_series() {
    let counter =
        Counter { value: Some(7.0), exemplar: Some(traced(1.0)), created_timestamp: Some(time(2, 250_000_000)) };
    let quantile = |quantile, value| Quantile { quantile: Some(quantile), value: Some(value) };
    let summary = Summary {
        sample_count: Some(4),
        sample_sum: Some(8.0),
        quantile: vec![quantile(0.5, 1.5), quantile(1.0, 3.0)],
        created_timestamp: None,
    };
    let families = [
        family(
            "c_total",
            0,
            Written { label: vec![label("b", "2"), label("a", "1")], counter: Some(counter), ..Written::default() },
        ),
        family(
            "g",
            1,
            Written { gauge: Some(Gauge { value: Some(-1.5) }), timestamp_ms: Some(99), ..Written::default() },
        ),
        family("s", 2, Written { summary: Some(summary), ..Written::default() }),
        family("u", 3, Written { untyped: Some(Gauge { value: Some(f64::NAN) }), ..Written::default() }),
    ];
    assert_eq!(
        shown(&families, Histograms::default()),
        [
            "c_total{a=\"1\",b=\"2\"} 7 since 2250 # {trace_id=\"7f\"} 1 Some(5500)",
            "g -1.5 @99",
            "s_count 4",
            "s_sum 8",
            "s{quantile=\"0.5\"} 1.5",
            "s{quantile=\"1.0\"} 3",
            "u NaN",
        ]
    );
    let read = parse(&page(&families), Histograms::default()).unwrap();
    let about = |kind: &str| Metadata { kind: kind.into(), help: "about".into(), unit: String::new() };
    assert_eq!((&read.metadata["c_total"], &read.metadata["u"]), (&about("counter"), &about("unknown")));
}

#[test]
fn a_histogram_is_native_classic_or_both() {
    let families = [family("h", 4, both())];
    let native = "h {count:6, sum:9.5, [-0.001,0.001]:1, (0.5,1]:2, (1,2]:3} since 3000 \
                  # {trace_id=\"7f\"} 1 Some(5500) # {trace_id=\"7f\"} 10 Some(5500)";
    let classic = [
        "h_count 6 since 3000",
        "h_sum 9.5 since 3000",
        "h_bucket{le=\"1.0\"} 2 since 3000 # {trace_id=\"7f\"} 1 Some(5500)",
        "h_bucket{le=\"10.0\"} 5 since 3000 # {trace_id=\"7f\"} 10 Some(5500)",
        "h_bucket{le=\"+Inf\"} 6 since 3000",
    ];
    assert_eq!(shown(&families, Histograms { native: true, classic_too: false, convert: false }), [native]);
    assert_eq!(shown(&families, Histograms { native: false, classic_too: false, convert: false }), classic);
    let both: Vec<&str> = std::iter::once(native).chain(classic).collect();
    assert_eq!(shown(&families, Histograms::default()), both);
}

#[test]
fn a_native_histogram_of_floats_or_without_observations() {
    let floats = wire::Histogram {
        sample_count_float: Some(3.5),
        sample_sum: Some(1.0),
        zero_threshold: Some(0.0),
        negative_span: vec![BucketSpan { offset: Some(1), length: Some(1) }],
        negative_count: vec![3.5],
        ..wire::Histogram::default()
    };
    let empty = wire::Histogram {
        positive_span: vec![BucketSpan { offset: Some(0), length: Some(0) }],
        ..wire::Histogram::default()
    };
    let of = |h| Written { histogram: Some(h), ..Written::default() };
    let families = [family("f", 5, of(floats)), family("e", 4, of(empty))];
    let shown = shown(&families, Histograms::default());
    assert_eq!(shown, ["f {count:3.5, sum:1, [-2,-1):3.5}", "e {count:0, sum:0}"]);
    let read = parse(&page(&families), Histograms::default()).unwrap();
    assert_eq!(read.samples[0].histogram.as_ref().unwrap().reset_hint, ResetHint::Gauge);
}

#[test]
fn what_is_broken_is_named() {
    let whole = page(&[family("g", 1, Written { gauge: Some(Gauge { value: Some(1.0) }), ..Written::default() })]);
    let mut cut = [whole.clone(), whole.clone()].concat();
    cut.pop();
    let error = parse(&cut, Histograms::default()).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.read.samples.len()),
        ("metric family 2: the protobuf message ends in the middle of a field", 1)
    );
    let bad = wire::Histogram {
        zero_threshold: Some(1.0),
        positive_span: vec![BucketSpan { offset: Some(0), length: Some(3) }],
        positive_delta: vec![1],
        ..wire::Histogram::default()
    };
    for (families, message) in [
        (
            vec![family("h", 4, Written { histogram: Some(bad), ..Written::default() })],
            "metric family 1: a histogram's spans and bucket counts do not have the same length",
        ),
        (vec![family("", 1, Written::default())], "metric family 1: it has no name"),
        (vec![family("x", 9, Written::default())], "metric family 1: `x` is of an unknown kind (9)"),
    ] {
        assert_eq!(parse(&page(&families), Histograms::default()).unwrap_err().to_string(), message);
    }
    // Each bucket repeats the labels: a small page must not become a large one.
    let big = Written {
        label: vec![label("a", &"x".repeat(1 << 20))],
        histogram: Some(wire::Histogram { bucket: vec![Bucket::default(); 200], ..wire::Histogram::default() }),
        ..Written::default()
    };
    let error = parse(&page(&[family("h", 4, big)]), Histograms::default()).unwrap_err();
    assert!(error.message.contains("134217728 bytes"), "{error}");
}

proptest! {
    #[test]
    fn never_panics(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), noise in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = page(&[family("h", 4, both())]);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = parse(&bytes, Histograms::default());
        let _ = parse(&noise, Histograms::default());
    }
}
