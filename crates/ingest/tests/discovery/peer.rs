//! A real Prometheus with a configuration of the test, and a page in protobuf for both.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use prost::Message;
use serde_json::Value as Json;
use tenfold_testkit::ProcessGuard;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub struct Prometheus {
    _process: ProcessGuard,
    address: String,
}

impl Prometheus {
    /// `None` where it is not installed.
    pub fn start(config: &Path, data: &Path, port: u16) -> Option<Self> {
        let address = format!("127.0.0.1:{port}");
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=native-histograms,exemplar-storage")
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let process = ProcessGuard::new(child);
        let mut said = Vec::new();
        let ready = lines
            .by_ref()
            .map_while(Result::ok)
            .inspect(|l| said.push(l.clone()))
            .any(|l| l.contains("ready to receive web requests"));
        assert!(ready, "prometheus did not start: {said:#?}");
        // Its further messages must go somewhere, or it stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { _process: process, address })
    }

    pub async fn get(&self, path: &str) -> Json {
        let mut stream = tokio::net::TcpStream::connect(&self.address).await.expect("prometheus listens");
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
    }

    pub async fn query(&self, expr: &str) -> Vec<Json> {
        let query: Vec<String> = expr.bytes().map(|b| format!("%{b:02X}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={}", query.concat())).await;
        answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{expr}: {answer}")).clone()
    }
}

mod wire {
    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    pub struct Bucket {
        #[prost(uint64, optional, tag = "1")]
        pub cumulative_count: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub upper_bound: Option<f64>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Span {
        #[prost(sint32, optional, tag = "1")]
        pub offset: Option<i32>,
        #[prost(uint32, optional, tag = "2")]
        pub length: Option<u32>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Histogram {
        #[prost(uint64, optional, tag = "1")]
        pub sample_count: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub sample_sum: Option<f64>,
        #[prost(message, repeated, tag = "3")]
        pub bucket: Vec<Bucket>,
        #[prost(sint32, optional, tag = "5")]
        pub schema: Option<i32>,
        #[prost(double, optional, tag = "6")]
        pub zero_threshold: Option<f64>,
        #[prost(uint64, optional, tag = "7")]
        pub zero_count: Option<u64>,
        #[prost(message, repeated, tag = "9")]
        pub negative_span: Vec<Span>,
        #[prost(sint64, repeated, packed = "false", tag = "10")]
        pub negative_delta: Vec<i64>,
        #[prost(message, repeated, tag = "12")]
        pub positive_span: Vec<Span>,
        #[prost(sint64, repeated, packed = "false", tag = "13")]
        pub positive_delta: Vec<i64>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Metric {
        #[prost(message, optional, tag = "7")]
        pub histogram: Option<Histogram>,
    }
    #[derive(Clone, PartialEq, Message)]
    pub struct Family {
        #[prost(string, optional, tag = "1")]
        pub name: Option<String>,
        #[prost(int32, optional, tag = "3")]
        pub kind: Option<i32>,
        #[prost(message, repeated, tag = "4")]
        pub metric: Vec<Metric>,
    }
}

/// A native histogram with classic buckets, as Go programs write it.
pub fn native_page() -> Vec<u8> {
    let span = |offset, length| wire::Span { offset: Some(offset), length: Some(length) };
    let bucket = |count, bound| wire::Bucket { cumulative_count: Some(count), upper_bound: Some(bound) };
    let histogram = wire::Histogram {
        sample_count: Some(21),
        sample_sum: Some(18.25),
        bucket: vec![bucket(9, 0.5), bucket(20, 4.0)],
        schema: Some(0),
        zero_threshold: Some(0.001),
        zero_count: Some(2),
        negative_span: vec![span(-1, 2)],
        negative_delta: vec![2, -1],
        positive_span: vec![span(0, 2), span(3, 2)],
        positive_delta: vec![4, 1, -2, 1],
    };
    let metric = vec![wire::Metric { histogram: Some(histogram) }];
    wire::Family { name: Some("work_seconds".into()), kind: Some(4), metric }.encode_length_delimited_to_vec()
}
