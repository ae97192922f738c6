//! The scraper against a real HTTP server: samples, labels, `up`, what vanished, what is refused.

#[path = "common/request.rs"]
mod request;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tenfold_app::{
    App, Settings,
    metrics::{Health, Target},
};
use tenfold_promql::Value;
use tenfold_testkit::{TempDb, TestEntropy, temp_db};
use tenfold_types::{Clock, Labels, Timestamp};
use tokio::{io::AsyncWriteExt, net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use request::request;

const START: Timestamp = Timestamp(1_800_000_000_000);

/// Runs with the real time, from an instant of its own.
struct Running {
    since: Instant,
}

impl Clock for Running {
    fn now(&self) -> Timestamp {
        let ran_ms = i64::try_from(self.since.elapsed().as_millis()).expect("a short test");
        START.plus_ms(ran_ms)
    }
}

struct World {
    app: App,
    stop: CancellationToken,
    _db: TempDb,
    _dir: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn world() -> World {
    world_every(100).await
}

/// With so much time between two scrapes of a target.
async fn world_every(interval_ms: u64) -> World {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = temp_db().await;
    let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    settings.metrics.scrape_interval_ms = interval_ms;
    settings.statsd.listen = String::new();
    let metrics = tenfold_app::metrics::State::open(&settings).expect("an empty store opens");
    let clock = Arc::new(Running { since: Instant::now() });
    let app = App::new((*db).clone(), clock, Arc::new(TestEntropy::default()), settings, metrics);
    tenfold_app::load(&app).await.expect("an empty store loads");
    let stop = CancellationToken::new();
    tenfold_ingest::start(&app, &stop).await.expect("the edge starts");
    World { app, stop, _db: db, _dir: dir }
}

/// A page that the test changes, and when it was asked for.
struct Page {
    url: String,
    answer: Arc<Mutex<String>>,
    asked: mpsc::UnboundedReceiver<Instant>,
}

impl Page {
    async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/metrics", listener.local_addr().expect("an address"));
        let answer = Arc::new(Mutex::new(String::new()));
        let (tell, asked) = mpsc::unbounded_channel();
        let shared = answer.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if request(&mut stream).await.is_none() {
                    continue;
                }
                let text = shared.lock().expect("no panic holds it").clone();
                let at = Instant::now();
                let _ = stream.write_all(text.as_bytes()).await;
                drop(stream);
                let _ = tell.send(at);
            }
        });
        Self { url, answer, asked }
    }

    /// Time between the next requests, one after the other.
    async fn gaps(&mut self, count: usize) -> Vec<Duration> {
        while self.asked.try_recv().is_ok() {}
        let mut last = soon(self.asked.recv()).await;
        let mut gaps = Vec::new();
        for _ in 0..count {
            let next = soon(self.asked.recv()).await;
            gaps.push(next - last);
            last = next;
        }
        gaps
    }

    /// From now on answers so; returns when a scrape with that answer has been kept.
    async fn answers(&mut self, status: &str, body: &str) {
        let length = body.len();
        *self.answer.lock().expect("no panic holds it") =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        while self.asked.try_recv().is_ok() {}
        // One may be under way with the old answer, the next has the new one, and when one more comes, that one is kept.
        for _ in 0..3 {
            soon(self.asked.recv()).await;
        }
    }
}

/// The next request; a scraper that does not ask fails the test instead of holding it up.
async fn soon<T>(asked: impl Future<Output = Option<T>>) -> T {
    let asked = tokio::time::timeout(Duration::from_secs(20), asked).await;
    asked.expect("the target is asked within 20 s").expect("the server runs")
}

fn target(url: &str) -> Target {
    let labels =
        Labels::from_pairs([("job", "photos"), ("instance", "h:1"), ("service", "photos"), ("host", "host-1")]);
    Target::reported(url.into(), labels, "host-1")
}

/// Values by series, at this moment.
fn now(app: &App, expr: &str) -> Vec<(String, f64)> {
    match app.metrics.query_instant(expr, app.now()).expect("the query is right") {
        Value::Vector(v) => v.iter().filter_map(|s| Some((s.labels.to_string(), s.value.float()?))).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_target_is_scraped_marked_down_and_ended() {
    let world = world().await;
    let app = &world.app;
    let mut page = Page::serve().await;
    app.metrics.set_host_targets("host-1", vec![target(&page.url)]);

    page.answers("200 OK", "# TYPE a counter\na_total{job=\"own\"} 7\nb 2\n").await;
    let labels = "exported_job=\"own\",host=\"host-1\",instance=\"h:1\",job=\"photos\",service=\"photos\"";
    assert_eq!(now(app, "a_total"), [(format!("a_total{{{labels}}}"), 7.0)]);
    assert_eq!(now(app, "sum(up{job=\"photos\"})"), [("{}".into(), 1.0)]);
    assert_eq!(now(app, "sum(scrape_samples_scraped)"), [("{}".into(), 2.0)]);
    assert_eq!(app.metrics.metadata()["a"].kind, "counter");
    assert_eq!(app.metrics.target_statuses()[0].health, Health::Up);

    // A series that is no longer on the page is gone at once, not after five minutes.
    page.answers("200 OK", "a_total 8\n").await;
    assert!(now(app, "b").is_empty());
    assert!(now(app, "a_total{exported_job=\"own\"}").is_empty());
    assert_eq!(now(app, "sum(a_total)"), [("{}".into(), 8.0)]);

    // One bad line fails the page: half a page would look like series that vanished.
    page.answers("200 OK", "a_total 9\nb two\n").await;
    assert_eq!(now(app, "sum(up{job=\"photos\"})"), [("{}".into(), 0.0)]);
    assert!(now(app, "a_total").is_empty());
    let status = &app.metrics.target_statuses()[0];
    assert_eq!((status.health, status.error.as_deref()), (Health::Down, Some("line 2: `two` is not a number")));

    page.answers("503 Service Unavailable", "a_total 9\n").await;
    let error = app.metrics.target_statuses()[0].error.clone().unwrap_or_default();
    assert!(error.contains("503"), "{error}");

    page.answers("204 No Content", "").await;
    let error = app.metrics.target_statuses()[0].error.clone().unwrap_or_default();
    assert!(error.contains("204"), "an answer without content is no page without samples: {error}");

    // A timestamp from far ahead is refused, the rest of the page is kept.
    page.answers("200 OK", "a_total 10\nfuture 1 9999999999999\n").await;
    assert_eq!(now(app, "sum(a_total)"), [("{}".into(), 10.0)]);
    assert!(app.metrics.own.get("tenfold_samples_rejected_total", &[("reason", "too_far_ahead")]) >= 1.0);
    assert!(
        app.metrics
            .series(&tenfold_app::metrics::SeriesFilter::parse(&["future".into()], None, None).expect("a selector"))
            .expect("series")
            .is_empty()
    );

    // Redirects are not followed: a target could point the server at something it must not ask.
    page.answers("302 Found\r\nLocation: http://127.0.0.1:1/", "").await;
    let error = app.metrics.target_statuses()[0].error.clone().unwrap_or_default();
    assert!(error.contains("302"), "{error}");

    // A target that the host no longer reports is forgotten with its series.
    page.answers("200 OK", "a_total 11\n").await;
    app.metrics.set_host_targets("host-1", Vec::new());
    assert!(app.metrics.target_statuses().is_empty());
    app.metrics.end_gone_targets(app.now()).expect("marks are kept");
    assert!(now(app, "a_total").is_empty());
}

/// What an agent on another machine names is not asked here, whatever leads to it.
#[tokio::test]
async fn a_host_elsewhere_has_the_server_not_ask_itself() {
    let world = world().await;
    let app = &world.app;
    let mut page = Page::serve().await;
    for host in ["localhost", "127.0.0.1"] {
        let own = page.url.replace("127.0.0.1", host);
        let far = Target { elsewhere: true, ..target(&own) };
        app.metrics.set_host_targets("host-1", vec![far]);
        let reason = format!("{host} leads to the server's own machine");
        let is_said = || {
            let shown = app.metrics.target_statuses().into_iter().find(|shown| shown.url == own);
            shown.and_then(|shown| shown.error).is_some_and(|error| error.contains(&reason))
        };
        until("it is said why", is_said).await;
    }
    assert!(page.asked.try_recv().is_err(), "nobody was asked");
    // the host's agent runs on this machine again
    app.metrics.set_host_targets("host-1", vec![target(&page.url)]);
    page.answers("200 OK", "a_total 7\n").await;
    assert_eq!(now(app, "sum(a_total)"), [("{}".into(), 7.0)]);
}

/// A target of a service in an environment, whose page has one series.
async fn page_of(app: &App, service: &str, environment: &str) -> Page {
    let page = Page::serve().await;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\na 1\n";
    answer.clone_into(&mut page.answer.lock().expect("no panic holds it"));
    let host = format!("{service}-{environment}");
    let labels = Labels::from_pairs([
        ("job", service),
        ("service", service),
        ("environment", environment),
        ("instance", host.as_str()),
    ]);
    app.metrics.set_host_targets(&host, vec![Target::reported(page.url.clone(), labels, &host)]);
    page
}

/// How many samples of an environment were kept within a range that ends now.
fn samples(app: &App, environment: &str, range: &str) -> f64 {
    let expr = format!("sum(count_over_time(a{{environment=\"{environment}\"}}[{range}]))");
    now(app, &expr).first().map_or(0.0, |(_, count)| *count)
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let look = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), look).await.is_ok(), "waited in vain until {what}");
}

/// What a deploy leaves in the store.
#[tokio::test]
async fn samples_are_a_second_apart_where_a_deploy_stands_and_nowhere_else() {
    let world = world_every(15_000).await;
    let app = &world.app;
    let mut production = page_of(app, "photos", "production").await;
    let _staging = page_of(app, "photos", "staging").await;
    until("each has its first sample", || {
        ["production", "staging"].into_iter().all(|environment| samples(app, environment, "5m") >= 1.0)
    })
    .await;
    let (before, began) = (samples(app, "staging", "5m"), Instant::now());

    app.metrics.look_closely([("photos".to_owned(), "production".to_owned())]);
    // in the usual way there are two at most: the first, and the one at the target's own moment of the interval
    until("there are three within four seconds", || samples(app, "production", "4s") >= 3.0).await;
    let elsewhere = samples(app, "staging", "5m") - before;
    let usual = 1 + began.elapsed().as_secs() / 15;
    assert!(elsewhere <= usual as f64, "another environment goes on as usual: {elsewhere} more");

    app.metrics.look_closely([]);
    while production.asked.try_recv().is_ok() {}
    // the one that was due by the second still comes, and one may be under way already; a third would be of the second after
    let three = async {
        for _ in 0..3 {
            soon(production.asked.recv()).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(5), three).await.is_err(), "it goes back to its interval");
}

/// Every second while its service is deployed where it stands, else every four seconds.
#[tokio::test]
async fn a_target_under_a_deploy_is_asked_each_second_and_others_are_not() {
    const USUAL: Duration = Duration::from_secs(4);
    let world = world_every(4_000).await;
    let places = [("photos", "production"), ("photos", "staging"), ("mail", "production")];
    let mut pages = Vec::new();
    for (service, environment) in places {
        pages.push(page_of(&world.app, service, environment).await);
    }
    for page in &mut pages {
        soon(page.asked.recv()).await;
    }

    world.app.metrics.look_closely([("photos".to_owned(), "production".to_owned())]);
    let [deployed, staging, mail] = &mut pages[..] else { panic!("three pages") };
    let sum = |gaps: &[Duration]| gaps.iter().sum::<Duration>();
    let mut seen = Vec::new();
    loop {
        // All three over the same time: the one may be asked at once, the others each within their own interval.
        let (gaps, elsewhere, other) = tokio::join!(deployed.gaps(8), staging.gaps(2), mail.gaps(2));
        // The first may lie behind the usual moment; seven more take seven seconds then, not twenty-eight.
        let seven = sum(&gaps[1..]);
        let is_each_second = seven > Duration::from_secs(6) && seven < Duration::from_secs(11);
        let is_usual = |gaps: &[Duration]| gaps[1] + Duration::from_secs(1) > USUAL;
        if is_each_second && is_usual(&elsewhere) && is_usual(&other) {
            break;
        }
        seen.push((gaps, elsewhere, other));
        // A machine that stood still for a moment asks late once, and the gap after that is the shorter for it.
        assert!(seen.len() < 5, "each second where the deploy is, as usual elsewhere: {seen:?}");
    }

    world.app.metrics.look_closely([]);
    // The one that was due by the second still comes, and may be under way already; two more would take two seconds, not eight.
    let gaps = deployed.gaps(3).await;
    assert!(sum(&gaps[1..]) > USUAL, "{gaps:?}");
    assert_eq!(now(&world.app, "sum(up{job=\"photos\",environment=\"production\"})"), [("{}".into(), 1.0)]);
}

/// A target in trouble is not asked in a row for each second in which it could not answer.
#[tokio::test]
async fn seconds_that_were_missed_under_a_deploy_are_not_made_up_for() {
    let world = world_every(15_000).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/metrics", listener.local_addr().expect("an address"));
    let (tell, mut asked) = mpsc::unbounded_channel();
    let may_answer = Arc::new(tokio::sync::Mutex::new(()));
    let gate = may_answer.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if request(&mut stream).await.is_some() {
                let _ = tell.send(Instant::now());
                let _may = gate.lock().await;
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\na 1\n").await;
            }
        }
    });
    world.app.metrics.look_closely([("photos".to_owned(), "production".to_owned())]);
    world.app.metrics.set_host_targets("host-1", vec![target(&url)]);
    soon(asked.recv()).await;
    let held = may_answer.lock().await;
    soon(asked.recv()).await;
    let more = tokio::time::timeout(Duration::from_secs(6), asked.recv()).await;
    assert!(more.is_err(), "one question at a time");
    drop(held);
    let first = soon(asked.recv()).await;
    let mut last = first;
    for _ in 0..4 {
        last = soon(asked.recv()).await;
    }
    assert!(last - first > Duration::from_secs(2), "four more within {:?}", last - first);
}

#[tokio::test]
async fn a_page_without_end_is_cut_off() {
    let world = world().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/metrics", listener.local_addr().expect("an address"));
    let (tell, mut asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
            let junk = vec![b'#'; 1 << 20];
            while stream.write_all(&junk).await.is_ok() {}
            let _ = tell.send(());
        }
    });
    world.app.metrics.set_host_targets("host-1", vec![target(&url)]);
    for _ in 0..2 {
        soon(asked.recv()).await;
    }
    let status = &world.app.metrics.target_statuses()[0];
    assert!(status.error.as_deref().is_some_and(|e| e.contains("larger than 16777216 bytes")), "{:?}", status.error);
}
