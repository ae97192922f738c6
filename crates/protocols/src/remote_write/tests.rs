//! Bodies are made by `prost` from the messages as the `.proto` files declare them, so that two readings of the format meet.

use proptest::prelude::*;
use prost::Message;
use tenfold_types::histogram::{Buckets, CUSTOM_SCHEMA, Span};
use tenfold_types::{Histogram, HistogramPoint, Point, ResetHint, STALE_NAN, is_stale};

use super::*;
use crate::batch::Exemplar;
use crate::exposition::ABOUT_BYTES_MAX;
use crate::wire_out::Writer;

mod wire {
    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    pub struct Pair {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub value: String,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Sample {
        #[prost(double, tag = "1")]
        pub value: f64,
        #[prost(int64, tag = "2")]
        pub timestamp: i64,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Exemplar1 {
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Pair>,
        #[prost(double, tag = "2")]
        pub value: f64,
        #[prost(int64, tag = "3")]
        pub timestamp: i64,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct BucketSpan {
        #[prost(sint32, tag = "1")]
        pub offset: i32,
        #[prost(uint32, tag = "2")]
        pub length: u32,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Histogram {
        #[prost(uint64, tag = "1")]
        pub count_int: u64,
        #[prost(double, optional, tag = "2")]
        pub count_float: Option<f64>,
        #[prost(double, tag = "3")]
        pub sum: f64,
        #[prost(sint32, tag = "4")]
        pub schema: i32,
        #[prost(double, tag = "5")]
        pub zero_threshold: f64,
        #[prost(uint64, tag = "6")]
        pub zero_count_int: u64,
        #[prost(double, optional, tag = "7")]
        pub zero_count_float: Option<f64>,
        #[prost(message, repeated, tag = "8")]
        pub negative_spans: Vec<BucketSpan>,
        #[prost(sint64, repeated, tag = "9")]
        pub negative_deltas: Vec<i64>,
        #[prost(double, repeated, tag = "10")]
        pub negative_counts: Vec<f64>,
        #[prost(message, repeated, tag = "11")]
        pub positive_spans: Vec<BucketSpan>,
        #[prost(sint64, repeated, tag = "12")]
        pub positive_deltas: Vec<i64>,
        #[prost(double, repeated, tag = "13")]
        pub positive_counts: Vec<f64>,
        #[prost(int32, tag = "14")]
        pub reset_hint: i32,
        #[prost(int64, tag = "15")]
        pub timestamp: i64,
        #[prost(double, repeated, tag = "16")]
        pub custom_values: Vec<f64>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Series1 {
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Pair>,
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub exemplars: Vec<Exemplar1>,
        #[prost(message, repeated, tag = "4")]
        pub histograms: Vec<Histogram>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Metadata1 {
        #[prost(int32, tag = "1")]
        pub kind: i32,
        #[prost(string, tag = "2")]
        pub metric_family_name: String,
        #[prost(string, tag = "4")]
        pub help: String,
        #[prost(string, tag = "5")]
        pub unit: String,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Request1 {
        #[prost(message, repeated, tag = "1")]
        pub timeseries: Vec<Series1>,
        #[prost(message, repeated, tag = "3")]
        pub metadata: Vec<Metadata1>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Exemplar2 {
        #[prost(uint32, repeated, tag = "1")]
        pub labels_refs: Vec<u32>,
        #[prost(double, tag = "2")]
        pub value: f64,
        #[prost(int64, tag = "3")]
        pub timestamp: i64,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Metadata2 {
        #[prost(int32, tag = "1")]
        pub kind: i32,
        #[prost(uint32, tag = "3")]
        pub help_ref: u32,
        #[prost(uint32, tag = "4")]
        pub unit_ref: u32,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Series2 {
        #[prost(uint32, repeated, tag = "1")]
        pub labels_refs: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub histograms: Vec<Histogram>,
        #[prost(message, repeated, tag = "4")]
        pub exemplars: Vec<Exemplar2>,
        #[prost(message, optional, tag = "5")]
        pub metadata: Option<Metadata2>,
        #[prost(int64, tag = "6")]
        pub created_timestamp: i64,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Request2 {
        #[prost(string, repeated, tag = "4")]
        pub symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub timeseries: Vec<Series2>,
    }
}

fn pairs(labels: &[(&str, &str)]) -> Vec<wire::Pair> {
    labels.iter().map(|(n, v)| wire::Pair { name: (*n).into(), value: (*v).into() }).collect()
}

fn integers() -> wire::Histogram {
    let span = |offset, length| wire::BucketSpan { offset, length };
    wire::Histogram {
        count_int: 12,
        sum: 18.4,
        schema: 1,
        zero_threshold: 0.001,
        zero_count_int: 2,
        negative_spans: vec![span(-2, 1)],
        negative_deltas: vec![1],
        positive_spans: vec![span(0, 2), span(3, 1)],
        positive_deltas: vec![3, -1, 2],
        reset_hint: 2,
        timestamp: 7,
        ..wire::Histogram::default()
    }
}

fn read_integers() -> Histogram {
    Histogram {
        reset_hint: ResetHint::NotReset,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 12.0,
        sum: 18.4,
        positive: Buckets {
            spans: vec![Span { offset: 0, length: 2 }, Span { offset: 3, length: 1 }],
            counts: vec![3.0, 2.0, 4.0],
        },
        negative: Buckets { spans: vec![Span { offset: -2, length: 1 }], counts: vec![1.0] },
        bounds: [].into(),
    }
}

#[test]
fn version_1_is_read_whole() {
    let sample = |value, timestamp| wire::Sample { value, timestamp };
    let request = wire::Request1 {
        timeseries: vec![
            wire::Series1 {
                labels: pairs(&[("__name__", "up"), ("instance", "h:1"), ("job", "web")]),
                samples: vec![sample(1.0, 1_000), sample(STALE_NAN, -2_000)],
                exemplars: vec![wire::Exemplar1 { labels: pairs(&[("trace_id", "abc")]), value: 0.5, timestamp: 999 }],
                histograms: vec![],
            },
            wire::Series1 {
                labels: pairs(&[("job", "web"), ("__name__", "latency")]),
                histograms: vec![
                    integers(),
                    wire::Histogram { schema: 53, ..integers() },
                    wire::Histogram { schema: 0, sum: STALE_NAN, timestamp: 8, ..wire::Histogram::default() },
                ],
                ..wire::Series1::default()
            },
            wire::Series1 { labels: pairs(&[("job", "x")]), samples: vec![sample(0.0, 0)], ..wire::Series1::default() },
        ],
        metadata: vec![wire::Metadata1 {
            kind: 1,
            metric_family_name: "up".into(),
            help: "Is it?".into(),
            unit: "u".into(),
        }],
    };
    let body = request.encode_to_vec();
    let read = decode(&body, Version::V1).unwrap();
    let series: Vec<_> = read.batch.series().collect();
    assert_eq!(series.len(), 2);
    assert_eq!(series[0].labels, [("__name__", "up"), ("instance", "h:1"), ("job", "web")]);
    assert_eq!(series[0].points[0], Point::new(1_000, 1.0));
    assert!(series[0].points[1].t_ms == -2_000 && is_stale(series[0].points[1].value), "the very bits");
    assert_eq!(series[0].exemplars[0].labels, [("trace_id", "abc")]);
    assert_eq!((series[0].exemplars[0].value, series[0].exemplars[0].t_ms), (0.5, Some(999)));
    assert_eq!(series[1].labels, [("__name__", "latency"), ("job", "web")], "put in order");
    assert_eq!(*series[1].histograms[0].histogram, read_integers());
    assert_eq!(series[1].histograms[0].t_ms, 7);
    assert!(series[1].histograms[1].histogram.is_stale() && series[1].histograms[1].t_ms == 8);
    let refused: Vec<_> = read.batch.refused().iter().map(|r| (r.reason, r.count, r.example.as_str())).collect();
    assert_eq!(
        refused,
        [
            ("bad_histogram", 1, "a histogram's schema must be -53 or from -4 to 8"),
            ("no_metric_name", 1, "{job=\"x\"}: the series has no metric name"),
        ]
    );
    let about = Metadata { kind: "counter".into(), help: "Is it?".into(), unit: "u".into() };
    assert_eq!(read.metadata, [("up", about)]);
}

#[test]
fn version_2_is_read_whole() {
    let symbols = ["", "__name__", "latency", "job", "web", "How long", "seconds", "trace_id", "abc"];
    let custom = wire::Histogram {
        count_float: Some(4.5),
        sum: 2.0,
        schema: CUSTOM_SCHEMA,
        zero_count_float: None,
        positive_spans: vec![wire::BucketSpan { offset: 0, length: 2 }],
        positive_counts: vec![1.5, 3.0],
        custom_values: vec![0.1, 0.5],
        reset_hint: 3,
        timestamp: 9,
        ..wire::Histogram::default()
    };
    let request = wire::Request2 {
        symbols: symbols.iter().map(|s| (*s).to_owned()).collect(),
        timeseries: vec![
            wire::Series2 {
                labels_refs: vec![1, 2, 3, 4],
                samples: vec![wire::Sample { value: 3.0, timestamp: 5 }],
                histograms: vec![],
                exemplars: vec![wire::Exemplar2 { labels_refs: vec![7, 8], value: 0.3, timestamp: 0 }],
                metadata: Some(wire::Metadata2 { kind: 3, help_ref: 5, unit_ref: 6 }),
                created_timestamp: 2,
            },
            wire::Series2 { labels_refs: vec![1, 2], histograms: vec![integers(), custom], ..wire::Series2::default() },
        ],
    };
    let body = request.encode_to_vec();
    let read = decode(&body, Version::V2).unwrap();
    let series: Vec<_> = read.batch.series().collect();
    assert_eq!(series[0].labels, [("__name__", "latency"), ("job", "web")]);
    assert_eq!((series[0].points, series[0].created_ms), (&[Point::new(5, 3.0)][..], Some(2)));
    assert_eq!((series[0].exemplars[0].labels[0], series[0].exemplars[0].t_ms), (("trace_id", "abc"), None));
    assert_eq!(series[1].created_ms, None);
    assert_eq!(*series[1].histograms[0].histogram, read_integers());
    let wanted = Histogram {
        reset_hint: ResetHint::Gauge,
        schema: CUSTOM_SCHEMA,
        count: 4.5,
        sum: 2.0,
        positive: Buckets::single(0, vec![1.5, 3.0]),
        bounds: [0.1, 0.5].into(),
        ..Histogram::default()
    };
    assert_eq!(*series[1].histograms[1].histogram, wanted);
    let about = Metadata { kind: "histogram".into(), help: "How long".into(), unit: "seconds".into() };
    assert_eq!(read.metadata, [("latency", about)]);
}

#[test]
fn of_a_long_text_that_many_series_name_the_beginning_is_taken() {
    let long = "é".repeat(1 << 20);
    let series = |metric: u32| wire::Series2 {
        labels_refs: vec![1, metric],
        metadata: Some(wire::Metadata2 { kind: 1, help_ref: 4, unit_ref: 4 }),
        ..wire::Series2::default()
    };
    let symbols = ["", "__name__", "a", "b", &long].map(str::to_owned).to_vec();
    let body = wire::Request2 { symbols, timeseries: vec![series(2), series(3)] }.encode_to_vec();
    let read = decode(&body, Version::V2).unwrap();
    let bytes: Vec<_> = read.metadata.iter().map(|(_, about)| (about.help.len(), about.unit.len())).collect();
    assert_eq!(bytes, [(ABOUT_BYTES_MAX, ABOUT_BYTES_MAX); 2]);
}

/// A request of one series `c`, whose samples or histograms are these messages.
fn of_messages(field: u32, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Writer::default();
    for symbol in ["", "__name__", "c"] {
        out.text(4, symbol);
    }
    out.message(5, |series| {
        series.bytes(1, &[1, 2]);
        for message in messages {
            series.bytes(field, message);
        }
        series.number(6, 3);
    });
    out.into_bytes()
}

#[test]
fn a_start_may_stand_with_each_sample() {
    let sample = |value: f64, t_ms: u64, start: u64| {
        let mut out = Writer::default();
        out.double(1, value);
        out.number(2, t_ms);
        if start > 0 {
            out.number(3, start);
        }
        out.into_bytes()
    };
    for (samples, created, wanted) in [
        // One start for all; that of the series counts less.
        (vec![sample(5.0, 10, 4), sample(6.0, 20, 4)], Some(4), vec![(10, 5.0), (20, 6.0)]),
        (vec![sample(5.0, 10, 0)], Some(3), vec![(10, 5.0)]),
        // Begun anew between two samples.
        (vec![sample(5.0, 10, 4), sample(2.0, 20, 15)], Some(4), vec![(10, 5.0), (15, 0.0), (20, 2.0)]),
        (vec![sample(5.0, 10, 0), sample(2.0, 20, 15)], Some(3), vec![(10, 5.0), (15, 0.0), (20, 2.0)]),
        // A start that cannot be between them says nothing new.
        (vec![sample(5.0, 10, 4), sample(2.0, 20, 10)], Some(4), vec![(10, 5.0), (20, 2.0)]),
        (vec![sample(5.0, 10, 4), sample(2.0, 20, 20)], Some(4), vec![(10, 5.0), (20, 2.0)]),
        (vec![sample(5.0, 10, 4), sample(2.0, 20, 0)], Some(4), vec![(10, 5.0), (20, 2.0)]),
    ] {
        let body = of_messages(2, &samples);
        let read = decode(&body, Version::V2).unwrap();
        let series = read.batch.series().next().unwrap();
        let points: Vec<_> = series.points.iter().map(|p| (p.t_ms, p.value)).collect();
        assert_eq!((points, series.created_ms), (wanted, created));
    }
}

#[test]
fn a_histogram_that_begins_anew_is_empty_first() {
    let histogram = |t_ms: u64, start: u64| {
        let mut out = Writer::default();
        out.number(1, 2);
        out.double(3, 5.0);
        out.signed(4, 0);
        out.message(11, |span| span.number(2, 1));
        out.bytes(12, &[4]);
        out.number(15, t_ms);
        out.number(17, start);
        out.into_bytes()
    };
    let body = of_messages(3, &[histogram(10, 4), histogram(20, 15)]);
    let read = decode(&body, Version::V2).unwrap();
    let series = read.batch.series().next().unwrap();
    let counts: Vec<_> = series.histograms.iter().map(|h| (h.t_ms, h.histogram.count)).collect();
    assert_eq!((counts, series.created_ms), (vec![(10, 2.0), (15, 0.0), (20, 2.0)], Some(4)));
    assert!(series.histograms[1].histogram.validate().is_ok());
}

#[test]
fn broken_symbols_are_named() {
    let request = |symbols: &[&str], labels_refs: &[u32]| wire::Request2 {
        symbols: symbols.iter().map(|s| (*s).to_owned()).collect(),
        timeseries: vec![wire::Series2 { labels_refs: labels_refs.to_vec(), ..wire::Series2::default() }],
    };
    for (request, message) in [
        (request(&["", "a"], &[1, 2]), "symbol 2 is named, and the table holds 2"),
        (request(&["", "a"], &[1]), "a series names an odd number of symbols for its labels"),
        (request(&["a"], &[0, 0]), "the table of symbols does not begin with the empty text"),
    ] {
        assert_eq!(decode(&request.encode_to_vec(), Version::V2).unwrap_err().to_string(), message);
    }
    // A body of the one version read as the other is empty, as the message's reserved fields see to.
    let one = wire::Request1 { timeseries: vec![wire::Series1::default()], metadata: vec![] }.encode_to_vec();
    assert_eq!(decode(&one, Version::V2).unwrap(), Written::default());
}

#[test]
fn the_content_type_names_the_version() {
    for (header, version) in [
        ("", Version::V1),
        ("application/x-protobuf", Version::V1),
        ("application/x-protobuf;proto=prometheus.WriteRequest", Version::V1),
        ("application/x-protobuf; proto=io.prometheus.write.v2.Request", Version::V2),
    ] {
        assert_eq!(Version::of(header), Ok(version), "{header}");
    }
    assert!(Version::of("application/json").unwrap_err().contains("`application/json` is not read here"));
    assert!(Version::of("application/x-protobuf;proto=io.prometheus.write.v3.Request").unwrap_err().contains("v3"));
}

#[test]
fn decompression_has_a_cap() {
    let packed = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
    assert_eq!(decompress(&packed(b"plain")).unwrap(), b"plain");
    // 4 GiB - 1 announced in five bytes.
    let bomb = decompress(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap_err();
    assert_eq!(bomb, RemoteWriteError::TooLarge { bytes: u32::MAX as usize });
    assert!(matches!(decompress(b"plain"), Err(RemoteWriteError::Snappy(_))));
}

/// What is sent on as version 2, read back by `prost` and by our own decoder.
#[test]
fn version_1_becomes_version_2() {
    let label = ("job", "web");
    let counter = [("__name__", "work_total"), label];
    let latency = [("__name__", "latency"), label];
    let (points, late) = ([Point::new(2_000, 3.0), Point::new(3_000, STALE_NAN)], [Point::new(1_000, 2.0)]);
    let histograms = [HistogramPoint { t_ms: 7, histogram: read_integers().into() }];
    let exemplar = |id| Exemplar { labels: vec![("trace_id", id)], value: 0.5, t_ms: Some(1_999) };
    let (of_counter, of_latency, lonely) = ([exemplar("abc")], [exemplar("def")], [exemplar("ghi")]);
    let mut out = Writer::default();
    for series in [
        Outgoing { labels: &counter, points: &points, ..Outgoing::default() },
        Outgoing { labels: &latency, histograms: &histograms, exemplars: &of_latency, ..Outgoing::default() },
        Outgoing { labels: &counter, points: &late, exemplars: &of_counter, ..Outgoing::default() },
        Outgoing { labels: &[("__name__", "alone")], exemplars: &lonely, ..Outgoing::default() },
    ] {
        put_series(&mut out, &series);
    }
    let about = |name: &str| {
        let known = Metadata { kind: "counter".into(), help: "Work done.".into(), unit: String::new() };
        (name == "work_total").then_some(known)
    };
    let made = to_v2(&out.into_bytes(), about).unwrap();
    assert_eq!((made.samples, made.left_out), (4, 1));

    let request = wire::Request2::decode(&made.body[..]).unwrap();
    assert_eq!(request.symbols[0], "");
    let mut once = request.symbols.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), request.symbols.len(), "{:?}", request.symbols);
    let text = |at: u32| request.symbols[at as usize].as_str();
    let labels = |refs: &[u32]| refs.iter().map(|at| text(*at).to_owned()).collect::<Vec<_>>();
    assert_eq!(request.timeseries.len(), 2);
    let [work, latency] = [&request.timeseries[0], &request.timeseries[1]];
    assert_eq!(labels(&work.labels_refs), ["__name__", "work_total", "job", "web"]);
    assert_eq!(work.samples.iter().map(|s| s.timestamp).collect::<Vec<_>>(), [1_000, 2_000, 3_000]);
    assert!(is_stale(work.samples[2].value), "the very bits");
    let described = work.metadata.clone().unwrap();
    assert_eq!((described.kind, text(described.help_ref), described.unit_ref), (1, "Work done.", 0));
    assert_eq!(labels(&work.exemplars[0].labels_refs), ["trace_id", "abc"]);
    assert_eq!((work.exemplars[0].value, work.exemplars[0].timestamp), (0.5, 1_999));
    assert!(latency.samples.is_empty() && latency.metadata.is_none());
    assert_eq!((latency.histograms.len(), latency.histograms[0].count_float), (1, Some(12.0)));

    let read = decode(&made.body, Version::V2).unwrap();
    let series: Vec<_> = read.batch.series().collect();
    assert_eq!(series[0].labels, counter);
    assert_eq!(series[0].points[..2], [late[0], points[0]]);
    assert_eq!(*series[1].histograms[0].histogram, read_integers());
    assert_eq!(series[1].exemplars, of_latency);
    assert!(read.batch.refused().is_empty());
    assert_eq!(read.metadata.len(), 1);
    for version in [Version::V1, Version::V2] {
        assert_eq!(Version::of(version.content_type()), Ok(version));
    }
}

#[test]
fn metadata_is_written_as_it_is_read() {
    let about = |kind: &str| Metadata { kind: kind.into(), help: "What it is.".into(), unit: "seconds".into() };
    let mut out = Writer::default();
    let points = [Point::new(1, 1.0)];
    put_metadata(&mut out, "latency", &about("histogram"));
    put_series(&mut out, &Outgoing { labels: &[("__name__", "x")], points: &points, ..Outgoing::default() });
    put_metadata(&mut out, "odd", &about("something of its own"));
    let body = out.into_bytes();
    let read = decode(&body, Version::V1).unwrap();
    assert_eq!(read.metadata, [("latency", about("histogram")), ("odd", about("unknown"))]);
    assert_eq!(read.batch.series_count(), 1);
    let request = wire::Request1::decode(&body[..]).unwrap();
    assert_eq!((request.metadata[0].kind, request.metadata[0].metric_family_name.as_str()), (3, "latency"));
}

/// Where a counter that is sent on began, also when it began anew while samples waited.
#[test]
fn starts_are_sent_on_with_each_sample() {
    let labels = [("__name__", "work_total")];
    let of_histograms = [("__name__", "latency")];
    let (zero, first, again) = ([Point::new(4, 0.0)], [Point::new(10, 5.0)], [Point::new(20, 2.0)]);
    let histograms = [HistogramPoint { t_ms: 9, histogram: read_integers().into() }];
    let mut out = Writer::default();
    for series in [
        Outgoing { labels: &labels, points: &zero, created_ms: Some(4), ..Outgoing::default() },
        Outgoing { labels: &labels, points: &first, created_ms: Some(4), ..Outgoing::default() },
        Outgoing { labels: &labels, points: &again, created_ms: Some(15), ..Outgoing::default() },
        Outgoing { labels: &of_histograms, histograms: &histograms, created_ms: Some(6), ..Outgoing::default() },
        Outgoing { labels: &[("__name__", "level")], points: &first, ..Outgoing::default() },
    ] {
        put_series(&mut out, &series);
    }
    let waits = out.into_bytes();
    let old = wire::Request1::decode(&waits[..]).unwrap();
    assert_eq!(old.timeseries.len(), 5, "readers of version 1 pass over what they do not know");
    let made = to_v2(&waits, |_| None).unwrap();
    let request = wire::Request2::decode(&made.body[..]).unwrap();
    let starts: Vec<_> = request.timeseries.iter().map(|s| s.created_timestamp).collect();
    assert_eq!((starts, made.samples), (vec![4, 6, 0], 5));
    let read = decode(&made.body, Version::V2).unwrap();
    let told: Vec<_> = read
        .batch
        .series()
        .map(|s| (s.points.iter().map(|p| (p.t_ms, p.value)).collect::<Vec<_>>(), s.created_ms))
        .collect();
    let work = vec![(4, 0.0), (10, 5.0), (15, 0.0), (20, 2.0)];
    assert_eq!(told, [(work, Some(4)), (vec![], Some(6)), (vec![(10, 5.0)], None)]);
}

/// The two kinds of samples may not stand in one series of version 2.
#[test]
fn a_series_of_both_kinds_becomes_two() {
    let labels = [("__name__", "x")];
    let points = [Point::new(1, 1.0)];
    let histograms = [HistogramPoint { t_ms: 2, histogram: read_integers().into() }];
    let exemplars = [Exemplar { labels: vec![("a", "b")], value: 1.0, t_ms: None }];
    let mut out = Writer::default();
    put_series(
        &mut out,
        &Outgoing {
            labels: &labels,
            points: &points,
            histograms: &histograms,
            exemplars: &exemplars,
            ..Outgoing::default()
        },
    );
    let made = to_v2(&out.into_bytes(), |_| None).unwrap();
    let request = wire::Request2::decode(&made.body[..]).unwrap();
    let shape: Vec<_> =
        request.timeseries.iter().map(|s| (s.samples.len(), s.histograms.len(), s.exemplars.len())).collect();
    assert_eq!(shape, [(1, 0, 1), (0, 1, 0)]);
    assert_eq!(to_v2(&[], |_| None).unwrap().samples, 0);
    assert!(matches!(to_v2(&[0x0a, 9], |_| None), Err(RemoteWriteError::Wire(_))));
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode(&bytes, Version::V1);
        let _ = decode(&bytes, Version::V2);
        let _ = decompress(&bytes);
        let _ = to_v2(&bytes, |_| None);
    }

    #[test]
    fn a_cut_or_changed_body_never_panics(at in 0..200_usize, byte in any::<u8>(), cut in any::<bool>()) {
        let series = wire::Series1 { labels: pairs(&[("__name__", "x"), ("a", "b")]), histograms: vec![integers()], ..wire::Series1::default() };
        let mut body = wire::Request1 { timeseries: vec![series], metadata: vec![] }.encode_to_vec();
        let at = at % body.len();
        if cut { body.truncate(at) } else { body[at] = byte }
        let _ = decode(&body, Version::V1);
    }
}
