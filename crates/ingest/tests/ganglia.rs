//! Real gmond, gmetric and gmetad: their datagrams, and the XML of both. Skipped in one line where they are not installed.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tenfold_app::settings::GangliaSource;
use tenfold_app::{App, Settings};
use tenfold_testkit::{ProcessGuard, TempDb, TestClock, TestEntropy, free_port, temp_db};
use tokio_util::sync::CancellationToken;

use common::{number, until};

/// A program that Debian puts where only root looks.
fn found(name: &str) -> Option<String> {
    let mut places = [format!("/usr/sbin/{name}"), name.to_owned()].into_iter();
    places.find(|program| Command::new(program).arg("--version").output().is_ok())
}

/// Where Debian keeps the modules that measure.
fn module(name: &str) -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(|e| e.path().join("ganglia"));
    folders.map(|folder| folder.join(name)).find(|path| path.exists())
}

/// Sends to the ports, and answers with XML on its own.
fn config(dir: &Path, cluster: &str, send: &[u16], own: u16, load: &Path) -> PathBuf {
    let channels: Vec<String> =
        send.iter().map(|port| format!("udp_send_channel {{ host = 127.0.0.1\n port = {port} }}\n")).collect();
    let channels = channels.concat();
    let text = format!(
        "globals {{ daemonize = no\n setuid = no\n send_metadata_interval = 1 }}\ncluster {{ name = \"{cluster}\" }}\n{channels}\
         udp_recv_channel {{ port = {own}\n bind = 127.0.0.1 }}\ntcp_accept_channel {{ port = {own}\n bind = 127.0.0.1 }}\n\
         modules {{ module {{ name = \"core_metrics\" }}\n module {{ name = \"load_module\" path = \"{}\" }} }}\n\
         collection_group {{ collect_once = yes\n time_threshold = 20\n metric {{ name = \"heartbeat\" }} }}\n\
         collection_group {{ collect_every = 1\n time_threshold = 1\n metric {{ name = \"load_fifteen\" title = \"Load\" }} }}\n",
        load.display()
    );
    let path = dir.join("gmond.conf");
    std::fs::write(&path, text).expect("the configuration is written");
    path
}

fn gmetric(config: &Path, arguments: &[&str]) {
    let done = Command::new("gmetric").arg("-c").arg(config).args(arguments).output().expect("gmetric runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

struct World {
    app: App,
    clock: Arc<TestClock>,
    stop: CancellationToken,
    _db: TempDb,
}

/// A server that listens, when an address is given, and asks for XML as the job `grid`.
async fn world(dir: &Path, listen: &str, asked: u16) -> World {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let db = temp_db().await;
    let mut settings = Settings { data_dir: dir.to_owned(), ..Settings::default() };
    settings.statsd.listen = String::new();
    settings.metrics.scrape_interval_ms = 200;
    settings.ganglia.listen = listen.to_owned();
    let source = GangliaSource { job: "grid".into(), address: format!("127.0.0.1:{asked}"), labels: [].into() };
    settings.ganglia.sources = vec![source];
    let metrics = tenfold_app::metrics::State::open(&settings).expect("an empty store opens");
    let clock = Arc::new(TestClock::default());
    let app = App::new((*db).clone(), clock.clone(), Arc::new(TestEntropy::default()), settings, metrics);
    tenfold_app::load(&app).await.expect("an empty store loads");
    let stop = CancellationToken::new();
    tenfold_ingest::start(&app, &stop).await.expect("the edge starts");
    World { app, clock, stop, _db: db }
}

#[tokio::test]
async fn gmond_is_heard_and_asked() {
    let (Some(gmond), Some(load)) = (found("gmond"), module("modload.so")) else {
        tenfold_testkit::peer_is_missing("gmond is not installed");
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (ours, theirs) = (free_port(), free_port());
    let World { app, clock, stop, _db } = world(dir.path(), &format!("127.0.0.1:{ours}"), theirs).await;

    let config = config(dir.path(), "web & co", &[ours, theirs], theirs, &load);
    let child = Command::new(gmond).arg("-f").arg("-c").arg(&config).spawn().expect("gmond starts");
    let mut process = ProcessGuard::new(child);
    until("gmond answers", || std::net::TcpStream::connect(("127.0.0.1", theirs)).ok()).await;
    let spoof = ["-S", "10.0.0.5:db1"];
    for (name, value, kind, slope) in [
        ("jobs.done", "41.5", "double", "positive"),
        ("release", "12", "string", "zero"),
        ("queue", "-7", "int32", "both"),
    ] {
        let arguments = ["-n", name, "-v", value, "-t", kind, "-u", "things", "-s", slope];
        gmetric(&config, &[&arguments[..], &spoof].concat());
    }
    let heard = |name: &str| format!("ganglia_{name}{{job=\"ganglia\",host=\"db1\",instance=\"db1\"}}");
    until("what gmetric sent", || number(&app, &heard("queue"), app.now())).await;
    assert_eq!(
        (number(&app, &heard("queue"), app.now()), number(&app, &heard("jobs_done"), app.now())),
        (Some(-7.0), Some(41.5))
    );
    assert_eq!(number(&app, &heard("release"), app.now()), None, "a text that looks like a number is none");
    let about = app.metrics.metadata()["ganglia_jobs_done"].clone();
    assert_eq!((about.kind.as_str(), about.unit.as_str()), ("counter", "things"));
    until("what gmond measures", || number(&app, "ganglia_load_fifteen{job=\"ganglia\"}", app.now())).await;

    // The same by asking; gmond tells what it heard.
    until("a poll with everything", || {
        // A sample each instant: the clock of the test moves when it is told to.
        clock.advance_ms(1_000);
        number(&app, "ganglia_jobs_done{job=\"grid\",host=\"db1\",cluster=\"web & co\"}", app.now())
    })
    .await;
    let polled = number(&app, "ganglia_load_fifteen{job=\"grid\"}", app.now()).expect("polled as well");
    assert!(polled >= 0.0);
    assert_eq!(number(&app, "up{job=\"grid\"}", app.now()), Some(1.0));
    assert_eq!(number(&app, "count(ganglia_release)", app.now()), None);
    process.kill();
    until("it is down", || {
        clock.advance_ms(1_000);
        number(&app, "up{job=\"grid\"}", app.now()).filter(|up| *up == 0.0)
    })
    .await;
    assert_eq!(number(&app, "ganglia_jobs_done{job=\"grid\"}", app.now()), None, "its series end");
    stop.cancel();
}

/// gmetad gathers what gmonds know, and is asked for all of it.
#[tokio::test]
async fn gmetad_is_asked() {
    let (Some(gmond), Some(gmetad), Some(load)) = (found("gmond"), found("gmetad"), module("modload.so")) else {
        tenfold_testkit::peer_is_missing("gmond and gmetad are not both installed");
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (theirs, xml, interactive) = (free_port(), free_port(), free_port());
    let World { app, clock, stop, _db } = world(dir.path(), "", xml).await;

    // gmond writes a name into XML as it is, and gmetad reads no `&` there.
    let config = config(dir.path(), "web", &[theirs], theirs, &load);
    let mut gmond = Command::new(gmond);
    let gmond = gmond.arg("-f").arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    let mut gmond = ProcessGuard::new(gmond.spawn().expect("gmond starts"));
    until("gmond answers", || std::net::TcpStream::connect(("127.0.0.1", theirs)).ok()).await;
    let gathered = dir.path().join("gmetad.conf");
    let text = format!(
        "data_source \"web\" 1 127.0.0.1:{theirs}\ngridname \"all of it\"\nall_trusted on\nsetuid off\nwrite_rrds off\n\
         xml_port {xml}\ninteractive_port {interactive}\nrrd_rootdir \"{}\"\n",
        dir.path().display()
    );
    std::fs::write(&gathered, text).expect("the configuration is written");
    let mut gmetad = Command::new(gmetad);
    let gmetad = gmetad.args(["-d", "1", "-c"]).arg(&gathered).stdout(Stdio::null()).stderr(Stdio::null());
    let mut gmetad = ProcessGuard::new(gmetad.spawn().expect("gmetad starts"));
    for (name, value, slope) in [("jobs.done", "41.5", "positive"), ("queue", "-7", "both")] {
        let arguments = ["-n", name, "-v", value, "-t", "double", "-u", "things", "-s", slope, "-S", "10.0.0.5:db1"];
        gmetric(&config, &arguments);
    }
    let of = |name: &str| format!("ganglia_{name}{{job=\"grid\",grid=\"all of it\",cluster=\"web\",host=\"db1\"}}");
    let asked = |expr: &str| {
        // A sample each instant: the clock of the test moves when it is told to.
        clock.advance_ms(1_000);
        number(&app, expr, app.now())
    };
    assert_eq!(until("what gmetric sent", || asked(&of("jobs_done"))).await, 41.5);
    assert_eq!(until("the other one", || asked(&of("queue"))).await, -7.0);
    let load = "ganglia_load_fifteen{job=\"grid\",grid=\"all of it\",cluster=\"web\"}";
    assert!(until("what gmond measures", || asked(load)).await >= 0.0);
    let about = app.metrics.metadata()["ganglia_jobs_done"].clone();
    assert_eq!((about.kind.as_str(), about.unit.as_str()), ("counter", "things"));
    assert_eq!(number(&app, "up{job=\"grid\"}", app.now()), Some(1.0));
    gmetad.kill();
    until("it is down", || asked("up{job=\"grid\"}").filter(|up| *up == 0.0)).await;
    assert_eq!(number(&app, &of("jobs_done"), app.now()), None, "its series end");
    gmond.kill();
    stop.cancel();
}
