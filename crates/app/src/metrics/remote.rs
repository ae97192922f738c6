//! Handed over when outgrown: samples sent on to other stores, and a cluster that answers instead of the own store.
//!
//! With `metrics.engine = "remote"` what is pushed goes to the receivers alone, and is acknowledged once it is in their queues
//! on disk. What the server scrapes and says of itself stays in the own store for a day as well: parts of the server look at
//! the newest of it.

mod cost;
mod histograms;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value as Json;
use tenfold_promql::{Output, Sample, Series, Value, VectorSample, duration_or_seconds_ms};
use tenfold_tsdb::SeriesWrite;
use tenfold_types::{ErrorCode, Fault, HistogramPoint, Labels, Point, Timestamp};

use super::{AnswerMemory, How, State, Told};
use crate::App;

/// Of the memory that the text of an answer and its tree take, what is read of them takes one part in so many.
const READ_PART: u64 = 5;

/// Series on their way out.
pub type ForwardBatch<'a> = [SeriesWrite<'a>];

/// Sends samples on.
pub trait Forwarder: Send + Sync {
    /// Takes samples into queues on disk; an error means that some receiver's did not take them.
    fn forward(&self, batch: &ForwardBatch<'_>) -> Result<(), Fault>;
    /// Makes what was taken survive a power cut.
    fn sync(&self) -> Result<(), Fault>;
    fn status(&self) -> Vec<ReceiverStatus>;
}

/// Answers questions with Prometheus' API.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// The whole answer, whose status is `success`. What is read of it takes its memory from `memory` before it is kept.
    async fn ask(
        &self,
        path: &str,
        parameters: &[(String, String)],
        memory: AnswerMemory,
    ) -> Result<ClusterAnswer, Fault>;
}

/// What a cluster answered, with the memory it is held against.
#[derive(Debug)]
pub struct ClusterAnswer {
    pub json: Json,
    pub memory: AnswerMemory,
}

/// How sending on to one store goes, since the server started.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ReceiverStatus {
    pub name: String,
    pub url: String,
    /// Which version of remote write it is sent: `1.0`, also where 2.0 is set and it does not read that, or `2.0`.
    pub version: String,
    pub shards: usize,
    pub queue_bytes: u64,
    pub queue_bytes_max: u64,
    /// Whether there is something to send.
    pub waiting: bool,
    /// Samples it took.
    pub sent: u64,
    /// Samples it will never take.
    pub refused: u64,
    /// Samples that the rules of relabelling leave out.
    pub left_out: u64,
    /// Samples that were dropped because the queue was full.
    pub dropped: u64,
    /// Damaged parts of its queue that were passed over.
    pub damaged: u64,
    /// Requests that were sent again.
    pub retries: u64,
    #[schema(value_type = Option<String>)]
    pub last_sent_at: Option<Timestamp>,
    pub last_error: Option<String>,
    #[schema(value_type = Option<String>)]
    pub last_error_at: Option<Timestamp>,
}

impl State {
    pub fn set_forwarder(&self, forwarder: Arc<dyn Forwarder>) {
        // Set once, before anything comes in.
        let _ = self.forwarder.set(forwarder);
    }

    pub fn set_cluster(&self, cluster: Arc<dyn Cluster>) {
        let _ = self.cluster.set(cluster);
    }

    /// How sending on goes.
    pub fn receivers(&self) -> Vec<ReceiverStatus> {
        self.forwarder.get().map(|f| f.status()).unwrap_or_default()
    }

    /// Sends on what was taken. The own store has it: a queue that cannot be written costs its receiver the samples.
    pub(super) fn forward(&self, batch: &ForwardBatch<'_>) {
        let Some(forwarder) = self.forwarder.get() else { return };
        if let Err(fault) = forwarder.forward(batch) {
            let samples: usize = batch.iter().map(|s| s.points.len() + s.histograms.len()).sum();
            self.own.add("tenfold_remote_write_lost_samples_total", &[], samples as f64);
            tracing::error!(%fault, samples, "samples are not sent on");
        }
    }

    /// Hands samples over to whom they belong; an error means that nothing is acknowledged.
    pub(super) fn hand_over(&self, batch: &ForwardBatch<'_>) -> Result<(), Fault> {
        match self.forwarder.get() {
            Some(forwarder) => forwarder.forward(batch),
            None => Err(Fault::unavailable("metrics.engine is remote, and no metrics.remote_write is set")
                .advice("an operator names a receiver in the settings")),
        }
    }
}

impl App {
    /// The cluster's answer, when one answers here.
    pub async fn ask_cluster(
        &self,
        path: &str,
        parameters: &[(String, String)],
    ) -> Result<Option<ClusterAnswer>, Fault> {
        self.ask_within(path, parameters, AnswerMemory::new(&self.metrics.query_limits.limits())).await
    }

    async fn ask_within(
        &self,
        path: &str,
        parameters: &[(String, String)],
        memory: AnswerMemory,
    ) -> Result<Option<ClusterAnswer>, Fault> {
        let Some(cluster) = self.metrics.cluster.get() else { return Ok(None) };
        // As any query: a cluster that hangs must not hold up whoever asks, rules above all.
        let limit_ms = self.metrics.query_limits.timeout_ms;
        let allowed_ms = timeout_ms(parameters).map_or(limit_ms, |wanted| wanted.min(limit_ms));
        let deadline = tokio::time::Instant::now() + Duration::from_millis(allowed_ms);
        let _place = self.query_place(deadline, allowed_ms).await?;
        match tokio::time::timeout_at(deadline, cluster.ask(path, parameters, memory)).await {
            Ok(answer) => answer.map(Some),
            Err(_) => Err(Fault::new(ErrorCode::Timeout, format!("the cluster did not answer within {allowed_ms} ms"))),
        }
    }

    /// The answer of the cluster as one of the own store. An explained one has a single node: what happens within the cluster
    /// is only known to it.
    pub(super) async fn told_by_cluster(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        how: How,
    ) -> Result<Option<Told>, Fault> {
        let mut asked: Vec<_> = parameters.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        asked.extend(cost::parameters(how));
        let started = tokio::time::Instant::now();
        let limits = self.metrics.query_limits.limits();
        let memory = if how.by_rule { AnswerMemory::of_rule(&limits) } else { AnswerMemory::new(&limits) };
        let answer = self.ask_within(path, &asked, memory).await?;
        let Some(ClusterAnswer { json, memory }) = answer else { return Ok(None) };
        let elapsed_ms = started.elapsed().as_secs_f64() * 1000.0;
        // What VictoriaMetrics says where some of its stores are away: an alert over what they have would end.
        if (how.by_rule || how.whole) && json["isPartial"] == true {
            return Err(Fault::unavailable(
                "the cluster's answer is partial: some of its stores did not answer, and nothing is decided by that",
            ));
        }
        let value = value(&json["data"])
            .ok_or_else(|| Fault::unavailable("the cluster's answer is not one of Prometheus' API"))?;
        let expr = parameters.iter().find(|(name, _)| *name == "query").map_or("", |(_, expr)| expr.as_str());
        let cost = cost::Cost::of(&json["data"]["stats"]);
        let mut answer = Output::of(value);
        answer.annotations = cost::remarks(&json, expr);
        answer.samples_read = cost.samples;
        answer.bytes_held = memory.bytes();
        if how.explain {
            answer.plan = vec![cost.node(expr, &answer.value, elapsed_ms)];
        }
        // The text and its tree go, and what was read of them is some part of both.
        drop(json);
        let kept = memory.bytes() / READ_PART;
        answer.held = memory.keep(kept);
        let queued_ms = cost.queued_ms.unwrap_or(0.0);
        Ok(Some(Told { answer, queued_ms, elapsed_ms, threads: 0 }))
    }
}

/// How long whoever asks waits, where the question says so.
fn timeout_ms(parameters: &[(String, String)]) -> Option<u64> {
    let (_, text) = parameters.iter().find(|(name, text)| name == "timeout" && !text.is_empty())?;
    u64::try_from(duration_or_seconds_ms(text)?).ok().filter(|ms| *ms > 0)
}

fn number(text: &Json) -> Option<f64> {
    match text.as_str()? {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        plain => plain.parse().ok(),
    }
}

fn point(pair: &Json) -> Option<Point> {
    Some(Point::new((pair[0].as_f64()? * 1000.0).round() as i64, number(&pair[1])?))
}

fn labels(metric: &Json) -> Option<Arc<Labels>> {
    let pairs = metric.as_object()?;
    Some(Arc::new(Labels::from_pairs(pairs.iter().filter_map(|(n, v)| Some((n.as_str(), v.as_str()?))))))
}

fn histogram_point(pair: &Json) -> Option<HistogramPoint> {
    let t_ms = (pair[0].as_f64()? * 1000.0).round() as i64;
    Some(HistogramPoint { t_ms, histogram: Arc::new(histograms::histogram(&pair[1])?) })
}

/// What of a row is there, read one by one; nothing where the row does not have it.
fn each<T>(of: Option<&Json>, read: impl Fn(&Json) -> Option<T>) -> Option<Vec<T>> {
    of.map_or_else(|| Some(Vec::new()), |list| list.as_array()?.iter().map(read).collect())
}

/// Reads `data` of an answer.
fn value(data: &Json) -> Option<Value> {
    let rows = || data["result"].as_array();
    Some(match data["resultType"].as_str()? {
        "scalar" => Value::Scalar(point(&data["result"])?),
        "string" => Value::String {
            t_ms: (data["result"][0].as_f64()? * 1000.0).round() as i64,
            value: data["result"][1].as_str()?.to_owned(),
        },
        "vector" => {
            let sample = |row: &Json| {
                let labels = labels(&row["metric"])?;
                if let Some(told) = row.get("histogram") {
                    let HistogramPoint { t_ms, histogram } = histogram_point(told)?;
                    return Some(VectorSample { labels, t_ms, value: Sample::Histogram(histogram) });
                }
                let p = point(&row["value"])?;
                Some(VectorSample { labels, t_ms: p.t_ms, value: Sample::Float(p.value) })
            };
            Value::Vector(rows()?.iter().map(sample).collect::<Option<_>>()?)
        }
        "matrix" => {
            let series = |row: &Json| {
                let points = each(row.get("values"), point)?;
                let histograms = each(row.get("histograms"), histogram_point)?;
                Some(Series { labels: labels(&row["metric"])?, points, histograms })
            };
            Value::Matrix(rows()?.iter().map(series).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// Seconds as the API takes them.
pub(super) fn seconds(ms: i64) -> String {
    format!("{}{}.{:03}", if ms < 0 { "-" } else { "" }, ms.abs() / 1000, ms.abs() % 1000)
}

#[cfg(test)]
#[path = "remote/asked_tests.rs"]
mod asked;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_are_read() {
        let vector = json!({"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [1.5, "+Inf"]}]});
        let Some(Value::Vector(v)) = value(&vector) else { panic!("{vector}") };
        assert_eq!((v[0].labels.to_string(), v[0].t_ms), ("{a=\"b\"}".into(), 1500));
        assert_eq!(v[0].value.float(), Some(f64::INFINITY));
        let matrix = json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "2"], [2.25, "NaN"]]}]});
        let Some(Value::Matrix(m)) = value(&matrix) else { panic!("{matrix}") };
        assert_eq!((m[0].points.len(), m[0].points[1].t_ms), (2, 2250));
        assert!(matches!(value(&json!({"resultType": "scalar", "result": [1, "2"]})), Some(Value::Scalar(_))));
        let broken = json!({"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {}]}]});
        assert!(value(&broken).is_none());
        let told = json!({"count": "3", "sum": "4", "buckets": [[0, "1", "2", "3"]]});
        let one = json!({"resultType": "vector", "result": [{"metric": {}, "histogram": [1.5, told]}]});
        let Some(Value::Vector(v)) = value(&one) else { panic!("{one}") };
        assert!(matches!(&v[0].value, Sample::Histogram(h) if h.count == 3.0) && v[0].t_ms == 1500, "{v:?}");
        let many = json!({"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "2"]], "histograms": [[2, told]]}]});
        let Some(Value::Matrix(m)) = value(&many) else { panic!("{many}") };
        assert_eq!((m[0].points.len(), m[0].histograms[0].t_ms), (1, 2000));
        assert_eq!((seconds(-1500), seconds(1_700_000_000_001)), ("-1.500".into(), "1700000000.001".into()));
    }

    /// Names of the series that were sent on.
    #[derive(Default)]
    struct Heard(parking_lot::Mutex<Vec<String>>);

    impl Forwarder for Heard {
        fn forward(&self, batch: &ForwardBatch<'_>) -> Result<(), Fault> {
            let name =
                |s: &SeriesWrite<'_>| s.labels.iter().find(|(n, _)| *n == Labels::NAME).map(|(_, v)| (*v).to_owned());
            self.0.lock().extend(batch.iter().filter_map(name));
            Ok(())
        }
        fn sync(&self) -> Result<(), Fault> {
            Ok(())
        }
        fn status(&self) -> Vec<ReceiverStatus> {
            Vec::new()
        }
    }

    /// What a server that has just started sends on of one sample of a counter, so long after it began.
    fn sent_on(settings: &crate::Settings, began_ms: i64, after_ms: i64) -> Vec<String> {
        let state = State::open(settings).expect("the store opens");
        let heard = Arc::new(Heard::default());
        state.set_forwarder(heard.clone());
        let mut batch = tenfold_protocols::batch::Batch::default();
        batch.label(Labels::NAME, "work_total").expect("room");
        batch.created(began_ms);
        batch.point(Point::new(began_ms + after_ms, 1.0)).expect("room");
        batch.end().expect("room");
        let source = crate::metrics::Source::new("test", "test");
        let pushed = state.push(&source, &batch, Timestamp(began_ms + after_ms));
        assert_eq!(pushed.map_err(|e| e.fault).expect("it is taken").samples, 1);
        std::mem::take(&mut *heard.0.lock())
    }

    #[test]
    fn starts_that_are_in_the_store_are_not_sent_on_again() {
        // Long ago, and within the time in which the store takes late samples.
        for after_ms in [3 * 3_600_000, 600_000] {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let settings = crate::Settings { data_dir: dir.path().to_owned(), ..crate::Settings::default() };
            let began_ms = 1_795_424_000_000;
            // The zero and the sample, and after a start of the server the sample alone.
            assert_eq!(sent_on(&settings, began_ms, after_ms), ["work_total"; 2], "{after_ms}");
            assert_eq!(sent_on(&settings, began_ms, after_ms + 15_000), ["work_total"; 1], "{after_ms}");
        }
    }

    #[test]
    fn starts_that_are_long_past_are_not_handed_over() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut settings = crate::Settings { data_dir: dir.path().to_owned(), ..crate::Settings::default() };
        settings.metrics.engine = crate::settings::Engine::Remote;
        assert_eq!(sent_on(&settings, 1_795_424_000_000, 3_600_000), ["work_total"; 2]);
        assert_eq!(sent_on(&settings, 1_795_424_000_000, 3_600_001), ["work_total"; 1]);
    }

    #[test]
    fn what_is_scraped_and_said_of_itself_is_sent_on() {
        use crate::metrics::{Scraped, Target};
        let dir = tempfile::tempdir().expect("a temporary directory");
        for engine in [crate::settings::Engine::Embedded, crate::settings::Engine::Remote] {
            let mut settings =
                crate::Settings { data_dir: dir.path().join(format!("{engine:?}")), ..crate::Settings::default() };
            settings.metrics.engine = engine;
            let state = State::open(&settings).expect("an empty store opens");
            let heard = Arc::new(Heard::default());
            state.set_forwarder(heard.clone());
            let labels = Labels::from_pairs([("job", "node"), ("instance", "h1")]);
            let target = Target::reported("agent://h1".to_owned(), labels, "h1");
            let at = Timestamp(1_795_424_000_000);
            state
                .scraped(
                    &target,
                    Scraped {
                        at,
                        duration_ms: 1,
                        page: Ok((
                            bytes::Bytes::from_static(b"node_load1 1\n"),
                            tenfold_protocols::exposition::Format::Prometheus,
                        )),
                    },
                )
                .expect("it is kept");
            state
                .append(&[tenfold_tsdb::Sample::new(Labels::from_pairs([(Labels::NAME, "own")]), at.millis(), 1.0)])
                .expect("kept");
            let heard = heard.0.lock();
            for name in ["node_load1", "up", "scrape_samples_scraped", "own"] {
                assert!(heard.iter().any(|n| n == name), "{engine:?}: {name} is not among {heard:?}");
            }
        }
    }
}
