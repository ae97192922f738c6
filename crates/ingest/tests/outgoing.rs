//! Remote write out, told by a receiver of the test's own: what arrives in which version, what is left out, and what becomes
//! of queues that were written before.

#[path = "common/request.rs"]
mod request;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenfold_app::metrics::{ReceiverStatus, Source};
use tenfold_app::settings::{Receiver, WriteVersion};
use tenfold_app::{App, Settings};
use tenfold_protocols::batch::{Batch, Exemplar};
use tenfold_protocols::exposition::Metadata;
use tenfold_protocols::remote_write::{Outgoing, Version, decode, decompress, put_series};
use tenfold_protocols::wire_out::Writer;
use tenfold_scrape::{Action, RuleSpec};
use tenfold_testkit::{TempDb, TestClock, TestEntropy, temp_db};
use tenfold_types::histogram::Buckets;
use tenfold_types::{Histogram, HistogramPoint, Point, Timestamp};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use request::request;

const NOW: i64 = 1_795_424_400_000;
const OLD_ONLY: &str = "HTTP/1.1 415 Unsupported Media Type\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwhat";
const TAKEN: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
const TAKEN_V2: &str = "HTTP/1.1 204 No Content\r\nX-Prometheus-Remote-Write-Samples-Written: 1\r\n\
     X-Prometheus-Remote-Write-Histograms-Written: 1\r\nX-Prometheus-Remote-Write-Exemplars-Written: 1\r\nConnection: close\r\n\r\n";
const PARTLY_V2: &str = "HTTP/1.1 400 Bad Request\r\nX-Prometheus-Remote-Write-Samples-Written: 1\r\n\
     X-Prometheus-Remote-Write-Histograms-Written: 0\r\nContent-Length: 7\r\nConnection: close\r\n\r\ntoo old";

const NEVER: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 12\r\nConnection: close\r\n\r\nout of order";
const AWAY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const MOVED: &str = "HTTP/1.1 301 Moved Permanently\r\nLocation: https://u:s3cret@store.example.org/api/v1/write\r\n\
     Content-Length: 0\r\nConnection: close\r\n\r\n";

struct Heard {
    head: String,
    body: Vec<u8>,
}

impl Heard {
    fn version(&self) -> Version {
        let kind = self.head.lines().find_map(|l| l.strip_prefix("content-type: ")).expect("a content type");
        Version::of(kind).expect("a version")
    }

    fn is_bad(&self, bad: &str) -> bool {
        self.names().iter().any(|name| name.starts_with(bad))
    }

    fn names(&self) -> Vec<String> {
        let read = decode(&self.body, self.version()).expect("it is read");
        read.batch.series().map(|s| s.labels[0].1.to_owned()).collect()
    }
}

/// Answers one request after the other, as told.
async fn receiver(answers: Vec<&'static str>) -> (String, mpsc::UnboundedReceiver<Heard>) {
    let mut answers = answers.into_iter();
    hearing(move |_| answers.next()).await
}

/// Takes nothing of a request in which there is a series of such a name, as Prometheus does of one with a bad sample.
async fn choosy(bad: &'static str) -> (String, mpsc::UnboundedReceiver<Heard>) {
    hearing(move |heard| Some(if heard.is_bad(bad) { NEVER } else { TAKEN_V2 })).await
}

/// Answers as it is said, until nothing is.
async fn hearing(
    mut answer: impl FnMut(&Heard) -> Option<&'static str> + Send + 'static,
) -> (String, mpsc::UnboundedReceiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/api/v1/write", listener.local_addr().expect("an address"));
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let (head, body) = request(&mut stream).await.expect("a request");
            let heard = Heard { head, body: decompress(&body).expect("snappy") };
            let Some(answer) = answer(&heard) else { return };
            stream.write_all(answer.as_bytes()).await.expect("the answer is sent");
            let _ = tell.send(heard);
        }
    });
    (url, told)
}

async fn next(told: &mut mpsc::UnboundedReceiver<Heard>) -> Heard {
    let heard = tokio::time::timeout(Duration::from_secs(20), told.recv()).await;
    heard.expect("a request comes within 20 s").expect("the receiver runs")
}

struct World {
    app: App,
    stop: CancellationToken,
    _db: TempDb,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A server that sends on to one receiver, with one shard.
async fn world(dir: &tempfile::TempDir, url: String, change: impl FnOnce(&mut Receiver)) -> World {
    labelled(dir, url, &[], change).await
}

/// The same of a server with labels.
async fn labelled(
    dir: &tempfile::TempDir,
    url: String,
    external: &[(&str, &str)],
    change: impl FnOnce(&mut Receiver),
) -> World {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let db = temp_db().await;
    let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    let mut receiver = Receiver { name: "peer".into(), url, shards: 1, ..Receiver::default() };
    change(&mut receiver);
    settings.metrics.remote_write = vec![receiver];
    settings.alerts.external_labels = external.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let metrics = tenfold_app::metrics::State::open(&settings).expect("an empty store opens");
    let clock = TestClock::at(Timestamp(NOW));
    let app = App::new((*db).clone(), Arc::new(clock), Arc::new(TestEntropy::default()), settings, metrics);
    tenfold_app::load(&app).await.expect("an empty store loads");
    let stop = CancellationToken::new();
    tenfold_ingest::connect(&app, &stop).expect("the queues open");
    World { app, stop, _db: db }
}

impl World {
    /// A counter with an exemplar, a native histogram, and a series that nobody wants.
    fn push(&self) {
        let mut batch = Batch::default();
        let series = |batch: &mut Batch<'static>, name: &'static str| {
            batch.label("__name__", name).expect("room");
            batch.label("job", "web").expect("room");
        };
        series(&mut batch, "work_total");
        batch.point(Point::new(NOW - 1_000, 7.0)).expect("room");
        let exemplar = Exemplar { labels: vec![("trace_id", "abc")], value: 0.5, t_ms: Some(NOW - 1_500) };
        batch.exemplar(exemplar).expect("room");
        batch.end().expect("room");
        series(&mut batch, "latency");
        batch.histogram(HistogramPoint { t_ms: NOW - 1_000, histogram: histogram().into() }).expect("room");
        batch.end().expect("room");
        series(&mut batch, "go_goroutines");
        batch.point(Point::new(NOW - 1_000, 9.0)).expect("room");
        batch.end().expect("room");
        let pushed = self.app.metrics.push(&Source::new("test", "test"), &batch, self.app.now());
        let pushed = pushed.map_err(|e| e.fault).expect("it is taken");
        assert_eq!((pushed.samples, pushed.histograms, pushed.exemplars), (2, 1, 1));
    }

    /// A sample of each of these.
    fn push_all(&self, names: &[String]) {
        let mut batch = Batch::default();
        for name in names {
            batch.label("__name__", name).expect("room");
            batch.point(Point::new(NOW - 1_000, 7.0)).expect("room");
            batch.end().expect("room");
        }
        let pushed = self.app.metrics.push(&Source::new("test", "test"), &batch, self.app.now());
        assert_eq!(pushed.map_err(|e| e.fault).expect("it is taken").samples, names.len());
    }

    /// How sending goes, once it is so.
    async fn status(&self, so: impl Fn(&ReceiverStatus) -> bool) -> ReceiverStatus {
        let there = async {
            loop {
                let status = self.app.metrics.receivers().remove(0);
                if so(&status) {
                    return status;
                }
                tokio::task::yield_now().await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), there).await;
        found.unwrap_or_else(|_| panic!("it stays so: {:?}", self.app.metrics.receivers()))
    }
}

fn histogram() -> Histogram {
    Histogram { count: 3.0, sum: 4.5, positive: Buckets::single(0, vec![1.0, 2.0]), ..Histogram::default() }
}

/// No metrics of the runtime, and a label of where they come from.
fn rules() -> Vec<RuleSpec> {
    let name = || vec!["__name__".to_owned()];
    vec![
        RuleSpec { source_labels: name(), regex: Some("go_.*".into()), action: Action::Drop, ..RuleSpec::default() },
        RuleSpec { target_label: Some("site".into()), replacement: Some("north".into()), ..RuleSpec::default() },
    ]
}

#[tokio::test]
async fn version_2_brings_metadata_exemplars_and_histograms() {
    let (url, mut told) = receiver(vec![TAKEN_V2, PARTLY_V2]).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = world(&dir, url, |r| {
        r.version = WriteVersion::V2;
        r.write_relabel_configs = rules();
    })
    .await;
    let about = Metadata { kind: "counter".into(), help: "Work done.".into(), unit: "things".into() };
    // Described by the name of the family, as OpenMetrics does.
    world.app.metrics.push_metadata([("work", about.clone())]);
    world.push();
    let heard = next(&mut told).await;
    assert_eq!(heard.version(), Version::V2);
    assert!(heard.head.contains("x-prometheus-remote-write-version: 2.0.0"), "{}", heard.head);
    let read = decode(&heard.body, Version::V2).expect("it is read");
    let all: Vec<_> = read.batch.series().collect();
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[0].labels, [("__name__", "work_total"), ("job", "web"), ("site", "north")]);
    assert_eq!(all[0].points, [Point::new(NOW - 1_000, 7.0)]);
    assert_eq!((all[0].exemplars[0].labels[0], all[0].exemplars[0].t_ms), (("trace_id", "abc"), Some(NOW - 1_500)));
    assert_eq!(all[1].labels[0].1, "latency");
    assert_eq!(*all[1].histograms[0].histogram, histogram());
    assert_eq!(read.metadata, [("work_total", about)]);
    let status = world.status(|s| s.sent == 2 && !s.waiting).await;
    assert_eq!((status.version.as_str(), status.left_out, status.refused), ("2.0", 1, 0));

    // It says how much of it was written, also where it refuses the rest.
    world.push();
    next(&mut told).await;
    let status = world.status(|s| s.refused > 0 && !s.waiting).await;
    assert_eq!((status.sent, status.refused, status.retries), (3, 1, 0));
    assert!(status.last_error.is_some_and(|e| e.contains("400") && e.contains("too old")));
}

/// The series' own win, and rules see them all.
#[tokio::test]
async fn labels_of_the_server_go_with_its_series() {
    let external = [("region", "eu"), ("job", "elsewhere"), ("__replica__", "a")];
    let site =
        RuleSpec { source_labels: vec!["region".to_owned()], target_label: Some("site".into()), ..RuleSpec::default() };
    let told_with =
        [("__name__", "work_total"), ("__replica__", "a"), ("job", "web"), ("region", "eu"), ("site", "eu")];
    for (version, answer) in [(WriteVersion::V1, TAKEN), (WriteVersion::V2, TAKEN_V2)] {
        for (rules, labels) in [(vec![], &told_with[..4]), (vec![site.clone()], &told_with[..])] {
            let (url, mut told) = receiver(vec![answer]).await;
            let dir = tempfile::tempdir().expect("a temporary directory");
            let world = labelled(&dir, url, &external, |r| {
                r.version = version;
                r.write_relabel_configs = rules;
            })
            .await;
            world.push();
            let heard = next(&mut told).await;
            let read = decode(&heard.body, heard.version()).expect("it is read");
            let series = read.batch.series().next().expect("a series");
            assert_eq!((series.labels, read.batch.series_count()), (labels, 3));
            assert_eq!(series.exemplars[0].labels, [("trace_id", "abc")], "it has its own alone");
        }
    }
}

/// With each sample, so that a receiver that does not know the series learns it as well.
#[tokio::test]
async fn version_2_tells_when_counters_began() {
    let (url, mut told) = receiver(vec![TAKEN_V2; 4]).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = world(&dir, url, |r| r.version = WriteVersion::V2).await;
    let push = |t_ms: i64, value: f64| {
        let mut batch = Batch::default();
        batch.label("__name__", "work_total").expect("room");
        batch.created(NOW - 61_000);
        batch.point(Point::new(t_ms, value)).expect("room");
        batch.end().expect("room");
        let pushed = world.app.metrics.push(&Source::new("test", "test"), &batch, world.app.now());
        assert_eq!(pushed.map_err(|e| e.fault).expect("it is taken").samples, 1);
    };
    push(NOW - 2_000, 7.0);
    // The zero and the sample go out in one request or in two.
    world.status(|s| s.sent == 2 && !s.waiting).await;
    push(NOW - 1_000, 8.0);
    loop {
        let heard = next(&mut told).await;
        let read = decode(&heard.body, Version::V2).expect("it is read");
        let series = read.batch.series().next().expect("a series");
        if series.points.iter().any(|p| p.t_ms == NOW - 1_000) {
            assert_eq!((series.points.len(), series.created_ms), (1, Some(NOW - 61_000)));
            break;
        }
    }
}

/// Whether a receiver says that it does not read 2.0, or takes it for 1.0 and finds nothing in it.
#[tokio::test]
async fn who_does_not_read_version_2_is_sent_version_1() {
    for first in [OLD_ONLY, TAKEN] {
        let (url, mut told) = receiver(vec![first, TAKEN, TAKEN]).await;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let world = world(&dir, url, |r| r.version = WriteVersion::V2).await;
        world.push();
        assert_eq!(next(&mut told).await.version(), Version::V2);
        let again = next(&mut told).await;
        assert_eq!(again.version(), Version::V1);
        assert!(again.head.contains("x-prometheus-remote-write-version: 0.1.0"), "{}", again.head);
        let read = decode(&again.body, Version::V1).expect("it is read");
        let names: Vec<_> = read.batch.series().map(|s| s.labels[0].1).collect();
        assert_eq!(names, ["work_total", "latency", "go_goroutines"]);
        assert_eq!(read.batch.series().next().expect("a series").exemplars[0].labels, [("trace_id", "abc")]);
        let status = world.status(|s| s.sent == 3).await;
        assert_eq!((status.version.as_str(), status.refused, status.retries), ("1.0", 0, 0));
        assert!(status.last_error.is_some_and(|e| e.contains("version 1.0 is sent from now on")));
        world.push();
        assert_eq!(next(&mut told).await.version(), Version::V1, "it is not asked again");
    }
}

/// What else was in the request arrives, in both versions.
#[tokio::test]
async fn one_bad_sample_costs_its_own_series_alone() {
    for version in [WriteVersion::V1, WriteVersion::V2] {
        let (url, mut told) = choosy("go_").await;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let world = world(&dir, url, |r| r.version = version).await;
        world.push();
        let status = world.status(|s| s.sent + s.refused == 3 && !s.waiting).await;
        assert_eq!((status.sent, status.refused, status.retries), (2, 1, 0), "{status:?}");
        assert!(status.last_error.is_some_and(|e| e.contains("400") && e.contains("out of order")));
        let mut arrived = Vec::new();
        while let Ok(heard) = told.try_recv() {
            let names = heard.names();
            arrived.extend(names.into_iter().filter(|_| !heard.is_bad("go_")));
        }
        arrived.dedup();
        assert_eq!(arrived, ["work_total", "latency"]);
    }
}

#[tokio::test]
async fn many_bad_series_cost_no_good_one() {
    let (url, _told) = choosy("bad_").await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = world(&dir, url, |_| {}).await;
    let name = |n: usize| format!("{}_{n}", if n.is_multiple_of(20) { "bad" } else { "good" });
    world.push_all(&(0..600).map(name).collect::<Vec<_>>());
    let status = world.status(|s| s.sent + s.refused == 600 && !s.waiting).await;
    assert_eq!((status.sent, status.refused, status.retries), (570, 30, 0));
}

/// Where nothing is taken, a request is not asked about series by series.
#[tokio::test]
async fn a_receiver_that_takes_nothing_is_not_asked_for_ever() {
    let (url, mut told) = choosy("bad_").await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = world(&dir, url, |_| {}).await;
    world.push_all(&(0..500).map(|n| format!("bad_{n}")).collect::<Vec<_>>());
    let status = world.status(|s| s.refused == 500 && !s.waiting).await;
    assert_eq!((status.sent, status.retries), (0, 0));
    let asked = std::iter::from_fn(|| told.try_recv().ok()).count();
    assert!((2..=201).contains(&asked), "{asked} requests");
}

#[tokio::test]
async fn a_redirect_costs_no_sample_and_basic_auth_is_sent() {
    let (url, mut told) = receiver(vec![MOVED, TAKEN]).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let password_file = dir.path().join("password");
    std::fs::write(&password_file, "s3cret\n").expect("written");
    let with_user = url.replace("http://", "http://someone:else@");
    let world = world(&dir, with_user, |r| {
        let config = serde_json::json!({"basic_auth": {"username": "123", "password_file": password_file}});
        r.http_config = serde_json::from_value(config).expect("a configuration");
    })
    .await;
    world.push();
    let status = world.status(|s| s.sent == 3 && !s.waiting).await;
    assert_eq!((status.refused, status.retries, &status.url), (0, 1, &url));
    let told_error = status.last_error.expect("the redirect is told");
    assert!(told_error.contains("redirects to https://store.example.org/api/v1/write"), "{told_error}");
    assert!(!told_error.contains("s3cret"), "{told_error}");
    for _ in 0..2 {
        // 123:s3cret, in base64.
        let head = next(&mut told).await.head;
        assert!(head.contains("authorization: Basic MTIzOnMzY3JldA=="), "{head}");
    }
}

#[tokio::test]
async fn exemplars_stay_here_when_they_are_not_wanted() {
    let (url, mut told) = receiver(vec![TAKEN]).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = world(&dir, url, |r| r.send_exemplars = false).await;
    world.push();
    let heard = next(&mut told).await;
    let read = decode(&heard.body, heard.version()).expect("it is read");
    assert_eq!((heard.version(), read.batch.exemplar_count(), read.batch.series_count()), (Version::V1, 0, 3));
}

#[tokio::test]
async fn receivers_of_version_1_are_told_what_is_known_from_time_to_time() {
    let (url, mut told) = receiver(vec![TAKEN, TAKEN]).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = world(&dir, url, |r| r.metadata_interval_ms = 100).await;
    let about = |kind: &str| Metadata { kind: kind.into(), help: "What it is.".into(), unit: String::new() };
    world.app.metrics.push_metadata([("work", about("counter")), ("latency", about("histogram"))]);
    for _ in 0..2 {
        let heard = next(&mut told).await;
        let read = decode(&heard.body, heard.version()).expect("it is read");
        assert_eq!((heard.version(), read.batch.series_count()), (Version::V1, 0));
        assert_eq!(read.metadata, [("latency", about("histogram")), ("work", about("counter"))]);
    }
}

const BEFORE: [(&str, &str); 1] = [("__name__", "before")];
const BEFORE_POINTS: [Point; 1] = [Point { t_ms: NOW - 9_000, value: 1.5 }];

/// One sample in a queue, in a frame as they have always been: length, checksum and samples before a `WriteRequest`. How many
/// bytes it is.
fn queued(dir: &tempfile::TempDir, queue: &str) -> u64 {
    let queue = dir.path().join("remote-write/peer").join(queue);
    std::fs::create_dir_all(&queue).expect("a directory");
    let mut message = Writer::default();
    put_series(&mut message, &Outgoing { labels: &BEFORE, points: &BEFORE_POINTS, ..Outgoing::default() });
    let message = message.into_bytes();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&1_u32.to_le_bytes());
    checksum.update(&message);
    let head = [u32::try_from(message.len()).expect("it is short"), checksum.finalize(), 1];
    let frame: Vec<u8> = head.into_iter().flat_map(u32::to_le_bytes).chain(message).collect();
    std::fs::write(queue.join("0000000001.q"), &frame).expect("written");
    frame.len() as u64
}

/// Somebody gives a receiver that was away more shards: what waits is told as before, until it is sent.
#[tokio::test]
async fn queues_of_another_number_of_shards_are_told_and_go_once_they_are_sent() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bytes = queued(&dir, "3/2");
    let is_back = Arc::new(AtomicBool::new(false));
    let back = is_back.clone();
    let (url, mut told) = hearing(move |_| Some(if back.load(Ordering::SeqCst) { TAKEN } else { AWAY })).await;
    let world = world(&dir, url, |_| {}).await;
    let status = world.status(|s| s.retries > 0).await;
    assert_eq!((status.waiting, status.queue_bytes, status.sent), (true, bytes, 0));
    is_back.store(true, Ordering::SeqCst);
    let status = world.status(|s| s.sent > 0 && s.queue_bytes == 0).await;
    assert_eq!((status.waiting, status.sent, status.refused), (false, 1, 0));
    assert_eq!(next(&mut told).await.names(), ["before"]);
    assert!(!dir.path().join("remote-write/peer/3/2").exists(), "it is not looked at again");
}

#[tokio::test]
async fn queues_of_before_are_sent_in_the_version_of_now() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    queued(&dir, "1/0");
    let (url, mut told) = receiver(vec![TAKEN_V2]).await;
    // What waits has the labels that it was put there with.
    let world = labelled(&dir, url, &[("region", "eu")], |r| r.version = WriteVersion::V2).await;
    let heard = next(&mut told).await;
    let read = decode(&heard.body, Version::V2).expect("it is read");
    let series = read.batch.series().next().expect("a series");
    assert_eq!((series.labels, series.points), (&BEFORE[..], &BEFORE_POINTS[..]));
    world.status(|s| s.sent == 1 && !s.waiting).await;
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_is_named_at_the_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = temp_db().await;
    let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    let rule = RuleSpec { action: Action::HashMod, target_label: Some("shard".into()), ..RuleSpec::default() };
    let url = "http://127.0.0.1:1/api/v1/write".to_owned();
    let receiver = Receiver { name: "peer".into(), url, write_relabel_configs: vec![rule], ..Receiver::default() };
    settings.metrics.remote_write = vec![receiver];
    let metrics = tenfold_app::metrics::State::open(&settings).expect("an empty store opens");
    let clock = Arc::new(TestClock::default());
    let app = App::new((*db).clone(), clock, Arc::new(TestEntropy::default()), settings, metrics);
    let wrong = tenfold_ingest::connect(&app, &CancellationToken::new()).map(|_| ()).expect_err("it is refused");
    assert_eq!(
        wrong.to_string(),
        "metrics.remote_write `peer`: rule 1 of write_relabel_configs: the action hashmod needs a `modulus` above zero"
    );
}
