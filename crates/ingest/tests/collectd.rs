//! Debian's collectd sends what it measures on this machine: as Graphite's lines with tags over TCP, and without over UDP; in
//! its own protocol; and is scraped. Skipped in one line where it is not installed.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tenfold_app::settings::{CollectdSecurity, StaticTarget};
use tenfold_app::{App, Settings};
use tenfold_testkit::{ProcessGuard, RealClock, TempDb, TestClock, TestEntropy, free_port, temp_db};
use tenfold_types::Clock;
use tokio_util::sync::CancellationToken;

use common::{number, until};

fn collectd() -> Option<&'static str> {
    ["/usr/sbin/collectd", "collectd"].into_iter().find(|program| Command::new(program).arg("-h").output().is_ok())
}

/// Debian's package only suggests the libraries of the plugin.
fn may_be_scraped() -> bool {
    let needed = Command::new("ldd").arg("/usr/lib/collectd/write_prometheus.so").output();
    needed.is_ok_and(|o| o.status.success() && !String::from_utf8_lossy(&o.stdout).contains("not found"))
}

/// As the guide has it, for lines with tags; and an older collectd's paths beside it.
fn config(dir: &Path, tcp: u16, udp: u16) -> PathBuf {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/metrics.md");
    let guide = std::fs::read_to_string(guide).expect("the guide is there");
    let tagged = guide.split("```apache\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its example");
    let (host, port) = ("\"tenfold.example.org\"", "\"2003\"");
    assert!(tagged.contains(host) && tagged.contains(port), "{tagged}");
    let tagged = tagged.replace(host, "\"127.0.0.1\"").replace(port, &format!("\"{tcp}\""));
    let more = format!(
        "{tagged}<Plugin write_graphite>\n<Node \"older\">\n Host \"127.0.0.1\"\n Port \"{udp}\"\n Protocol \"udp\"\n Prefix \"plain.\"\n \
         StoreRates false\n SeparateInstances true\n</Node>\n</Plugin>\n"
    );
    written(dir, &more)
}

/// What this machine is asked, and where it goes.
fn written(dir: &Path, more: &str) -> PathBuf {
    let base = dir.display();
    let text = format!(
        "Hostname \"db1.example\"\nFQDNLookup false\nInterval 1\nBaseDir \"{base}\"\nPIDFile \"{base}/collectd.pid\"\n\
         LoadPlugin cpu\nLoadPlugin load\nLoadPlugin uptime\n{more}"
    );
    let path = dir.join("collectd.conf");
    std::fs::write(&path, text).expect("the configuration is written");
    path
}

fn started(collectd: &str, config: &Path) -> ProcessGuard {
    let mut command = Command::new(collectd);
    command.arg("-f").arg("-C").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    ProcessGuard::new(command.spawn().expect("collectd starts"))
}

struct World {
    app: App,
    stop: CancellationToken,
    _db: TempDb,
}

async fn world(dir: &Path, change: impl FnOnce(&mut Settings)) -> World {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let db = temp_db().await;
    let mut settings = Settings { data_dir: dir.to_owned(), ..Settings::default() };
    settings.statsd.listen = String::new();
    change(&mut settings);
    let metrics = tenfold_app::metrics::State::open(&settings).expect("an empty store opens");
    let clock = Arc::new(TestClock::at(RealClock.now()));
    let app = App::new((*db).clone(), clock, Arc::new(TestEntropy::default()), settings, metrics);
    tenfold_app::load(&app).await.expect("an empty store loads");
    let stop = CancellationToken::new();
    tenfold_ingest::start(&app, &stop).await.expect("the edge starts");
    World { app, stop, _db: db }
}

#[tokio::test]
async fn collectd_is_heard() {
    let Some(collectd) = collectd() else {
        tenfold_testkit::peer_is_missing("collectd is not installed");
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (tcp, udp) = (free_port(), free_port());
    let World { app, stop, _db } = world(dir.path(), |settings| {
        settings.graphite.listen = format!("127.0.0.1:{tcp}");
        settings.graphite.udp_listen = format!("127.0.0.1:{udp}");
        settings.graphite.templates = vec!["plain.* .host.measurement*".into()];
    })
    .await;
    let mut process = started(collectd, &config(dir.path(), tcp, udp));
    let tagged = "host=\"db1.example\",plugin=\"uptime\",type=\"uptime\"";
    let uptime = format!("collectd_uptime_uptime{{{tagged}}}");
    let by_tags = until("the lines with tags", || number(&app, &uptime, RealClock.now())).await;
    let plain = "uptime_uptime{host=\"db1_example\"}";
    let by_path = until("the lines without", || number(&app, plain, RealClock.now())).await;
    let real = std::fs::read_to_string("/proc/uptime").expect("this is Linux");
    let real: f64 = real.split('.').next().and_then(|s| s.parse().ok()).expect("seconds");
    assert!((real - by_tags).abs() < 60.0 && (real - by_path).abs() < 60.0, "{real}, {by_tags}, {by_path}");
    // Counters come as counters.
    let user = "collectd_cpu_cpu{host=\"db1.example\",plugin_instance=\"0\",type_instance=\"user\"}";
    let first = until("the time of a processor", || number(&app, user, RealClock.now())).await;
    assert!(first > 0.0 && first.fract() == 0.0, "{first}");
    until("several samples", || {
        number(&app, &format!("count_over_time({user}[1m])"), RealClock.now()).filter(|n| *n >= 3.0)
    })
    .await;
    assert!(number(&app, &format!("increase({user}[1m])"), RealClock.now()).is_some_and(|n| n >= 0.0));
    let of_cpu =
        until("a mode of a processor", || number(&app, "cpu_0_cpu_user{host=\"db1_example\"}", RealClock.now())).await;
    assert!(of_cpu >= first, "{of_cpu} after {first}");
    assert!(
        number(&app, "collectd_load_load_shortterm{ds_name=\"shortterm\"}", RealClock.now())
            .is_some_and(|load| load >= 0.0)
    );
    for source in ["tcp", "udp"] {
        let refused = [("protocol", "graphite"), ("source", source), ("reason", "bad_line")];
        assert_eq!(app.metrics.own.get("tenfold_push_refused_total", &refused), 0.0, "{source}");
    }
    process.kill();
    stop.cancel();
}

#[tokio::test]
async fn collectd_is_heard_in_its_own_protocol() {
    let Some(collectd) = collectd() else {
        tenfold_testkit::peer_is_missing("collectd is not installed");
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let port = free_port();
    let plugin = "LoadPlugin network\n<Plugin network>\n Server \"127.0.0.1\"";
    let config = written(dir.path(), &format!("{plugin} \"{port}\"\n</Plugin>\n"));
    let World { app, stop, _db } =
        world(dir.path(), |settings| settings.collectd.listen = format!("127.0.0.1:{port}")).await;
    let mut process = started(collectd, &config);
    let uptime = "collectd_uptime_uptime{host=\"db1.example\",plugin=\"uptime\",type=\"uptime\",ds_name=\"\"}";
    let seconds = until("its datagrams", || number(&app, uptime, RealClock.now())).await;
    assert!(seconds > 0.0, "{seconds}");
    let user = "collectd_cpu_cpu{plugin_instance=\"0\",type_instance=\"user\"}";
    let first = until("the time of a processor", || number(&app, user, RealClock.now())).await;
    assert!(first > 0.0 && first.fract() == 0.0, "{first}");
    let load = "collectd_load_load_shortterm{ds_name=\"shortterm\"}";
    assert!(until("the load", || number(&app, load, RealClock.now())).await >= 0.0);
    assert_eq!(app.metrics.metadata()["collectd_cpu_cpu"].kind, "counter");
    let refused = [("protocol", "collectd"), ("source", "udp"), ("reason", "bad_packet")];
    assert_eq!(app.metrics.own.get("tenfold_push_refused_total", &refused), 0.0);
    process.kill();
    stop.cancel();
}

#[tokio::test]
async fn collectd_signs_and_encrypts() {
    let Some(collectd) = collectd() else {
        tenfold_testkit::peer_is_missing("collectd is not installed");
        return;
    };
    for level in ["Sign", "Encrypt"] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let server = format!(
            "LoadPlugin network\n<Plugin network>\n <Server \"127.0.0.1\" \"{port}\">\n  SecurityLevel \"{level}\"\n  \
             Username \"ana\"\n  Password \"secret\"\n </Server>\n</Plugin>\n"
        );
        let config = written(dir.path(), &server);
        let passwords = dir.path().join("passwords");
        std::fs::write(&passwords, "# of this machine\nana: secret\n").expect("the passwords are written");
        let World { app, stop, _db } = world(dir.path(), |settings| {
            settings.collectd.listen = format!("127.0.0.1:{port}");
            settings.collectd.auth_file = passwords;
            settings.collectd.security_level = CollectdSecurity::Sign;
        })
        .await;
        let plain = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        plain.send_to(&[0, 0, 0, 6, b'h', 0], ("127.0.0.1", port)).await.expect("it is sent");
        let refused = || app.metrics.own.get("tenfold_collectd_unsafe_total", &[]);
        until("that a plain one is refused", || (refused() > 0.0).then_some(())).await;
        let mut process = started(collectd, &config);
        let uptime = "collectd_uptime_uptime{host=\"db1.example\",plugin=\"uptime\",type=\"uptime\",ds_name=\"\"}";
        let seconds = until("its datagrams", || number(&app, uptime, RealClock.now())).await;
        assert!(seconds > 0.0, "{level}: {seconds}");
        assert_eq!(refused(), 1.0, "{level}");
        process.kill();
        stop.cancel();
    }
}

#[tokio::test]
async fn collectd_is_scraped() {
    let Some(collectd) = collectd().filter(|_| may_be_scraped()) else {
        tenfold_testkit::peer_is_missing("collectd is not installed, or its write_prometheus lacks its libraries");
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let port = free_port();
    let plugin = "LoadPlugin write_prometheus\n<Plugin write_prometheus>\n Host \"127.0.0.1\"\n";
    let config = written(dir.path(), &format!("{plugin} Port \"{port}\"\n</Plugin>\n"));
    let World { app, stop, _db } = world(dir.path(), |settings| {
        settings.metrics.scrape_interval_ms = 200;
        let url = format!("http://127.0.0.1:{port}/metrics");
        settings.metrics.static_targets = vec![StaticTarget { job: "collectd".into(), url, labels: [].into() }];
    })
    .await;
    let mut process = started(collectd, &config);
    let uptime = "collectd_uptime{job=\"collectd\",exported_instance=\"db1.example\"}";
    assert!(until("its page", || number(&app, uptime, RealClock.now())).await > 0.0);
    let user = "collectd_cpu_total{cpu=\"0\",type=\"user\"}";
    until("the time of a processor", || number(&app, user, RealClock.now())).await;
    assert_eq!(app.metrics.metadata()["collectd_cpu_total"].kind, "counter");
    process.kill();
    stop.cancel();
}
