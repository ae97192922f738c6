//! StatsD and Graphite on real sockets, from bytes to series.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tenfold_app::{App, Settings};
use tenfold_promql::Value;
use tenfold_testkit::{TempDb, TestClock, TestEntropy, free_port, temp_db};
use tenfold_types::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};
use tokio_util::sync::CancellationToken;

const NOW_S: i64 = 1_795_424_400;

struct World {
    app: App,
    stop: CancellationToken,
    _db: TempDb,
    dir: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn world(change: impl FnOnce(&mut Settings, PathBuf)) -> World {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = temp_db().await;
    let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    settings.statsd.listen = String::new();
    settings.statsd.flush_interval_ms = 100;
    change(&mut settings, dir.path().to_owned());
    let metrics = tenfold_app::metrics::State::open(&settings).expect("an empty store opens");
    let clock = TestClock::at(Timestamp(NOW_S * 1_000));
    let app = App::new((*db).clone(), Arc::new(clock), Arc::new(TestEntropy::default()), settings, metrics);
    tenfold_app::load(&app).await.expect("an empty store loads");
    let stop = CancellationToken::new();
    tenfold_ingest::start(&app, &stop).await.expect("the edge starts");
    World { app, stop, _db: db, dir }
}

impl World {
    /// Waits until an own counter has a value.
    async fn until(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let there = async {
            while self.app.metrics.own.get(name, labels) < value {
                tokio::task::yield_now().await;
            }
        };
        let found = || format!("{name} is {}, not {value}", self.app.metrics.own.get(name, labels));
        tokio::time::timeout(Duration::from_secs(20), there).await.unwrap_or_else(|_| panic!("{}", found()));
    }

    fn values(&self, expr: &str, at_s: i64) -> Vec<(String, f64)> {
        match self.app.metrics.query_instant(expr, Timestamp(at_s * 1_000)).expect("the query is right") {
            Value::Vector(v) => v.iter().filter_map(|s| Some((s.labels.to_string(), s.value.float()?))).collect(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn statsd_comes_in_by_three_ways_into_one_series() {
    let (udp, tcp) = (free_port(), free_port());
    let world = world(|s, dir| {
        s.statsd.listen = format!("127.0.0.1:{udp}");
        s.statsd.tcp_listen = format!("127.0.0.1:{tcp}");
        s.statsd.unix_socket = dir.join("statsd.sock");
    })
    .await;
    let client = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    for _ in 0..1_000 {
        client.send_to(b"photos.uploads:1|c|#env:prod\nbroken", ("127.0.0.1", udp)).await.expect("it is sent");
    }
    let client = UnixDatagram::unbound().expect("a socket");
    client
        .send_to(
            b"photos.uploads:5|c|@0.5|#env:prod\n_e{1,1}:a|b\n_sc|x|2|h:h1|m:down",
            world.dir.path().join("statsd.sock"),
        )
        .await
        .expect("it is sent");
    let mut client = TcpStream::connect(("127.0.0.1", tcp)).await.expect("a connection");
    let many = b"photos.uploads:1|c|#env:prod\n".repeat(5_000);
    client.write_all(&many).await.expect("it is sent");
    client.write_all(&[&[b'x'; 9_000][..], b"\nupload_time:12"].concat()).await.expect("it is sent");
    client.shutdown().await.expect("the end is told");
    world.until("tenfold_statsd_packets_total", &[("transport", "udp")], 1_000.0).await;
    world.until("tenfold_statsd_events_total", &[("transport", "unix")], 1.0).await;
    world.until("tenfold_statsd_bad_lines_total", &[("transport", "tcp")], 1.0).await;
    let own = |name: &str, transport: &str| world.app.metrics.own.get(name, &[("transport", transport)]);
    assert_eq!(own("tenfold_statsd_bad_lines_total", "udp"), 1_000.0);
    assert_eq!(own("tenfold_statsd_service_checks_total", "unix"), 1.0);
    // The server's loop flushes; when it has been told to stop it does so once more.
    let run = tokio::spawn(tenfold_app::metrics::run(world.app.clone(), world.stop.clone()));
    let all = [("protocol", "statsd"), ("source", "statsd")];
    world.until("tenfold_push_samples_total", &all, 3.0).await;
    world.stop.cancel();
    run.await.expect("it ends by itself");
    assert_eq!(world.values("photos_uploads_total", NOW_S), [("photos_uploads_total{env=\"prod\"}".into(), 6_010.0)]);
    assert_eq!(world.values("upload_time_count", NOW_S), [("upload_time_count".into(), 1.0)]);
    let check = "statsd_service_check{check=\"x\",host=\"h1\"}";
    assert_eq!(world.values("statsd_service_check == 2", NOW_S), [(check.into(), 2.0)]);
    let about = world.app.metrics.metadata();
    assert_eq!(about["statsd_service_check"].kind, "gauge");
    assert_eq!(
        (about["photos_uploads_total"].kind.as_str(), about["upload_time"].kind.as_str()),
        ("counter", "summary")
    );
    let markers = world.app.markers(tenfold_app::metrics::MarkerQuery::default()).await.expect("the record is read");
    let told: Vec<_> = markers.iter().map(|marker| (marker.text.as_str(), marker.actor_name.as_str())).collect();
    assert_eq!(told, [("a: b", "statsd")], "an event is a mark on every graph");
}

/// As Datadog's clients send it to `unixstream://`.
#[tokio::test]
async fn dogstatsd_comes_in_over_a_stream_of_packets() {
    let world = world(|s, dir| s.statsd.unix_stream_socket = dir.join("stream.sock")).await;
    let path = world.dir.path().join("stream.sock");
    let framed = |packet: &[u8]| [&(packet.len() as u32).to_le_bytes()[..], packet].concat();
    let own = |name: &str| world.app.metrics.own.get(name, &[("transport", "unixstream")]);
    assert_eq!(own("tenfold_statsd_bad_lines_total"), 0.0);
    let mut client = UnixStream::connect(&path).await.expect("a connection");
    let many = framed(b"photos.uploads:1|c|#env:prod\nphotos.uploads:2|c|#env:prod\n").repeat(2_000);
    client.write_all(&many).await.expect("it is sent");
    client.write_all(&framed(b"")).await.expect("it is sent");
    // In pieces, even of the length.
    for byte in framed(b"photos.queue:7|g") {
        client.write_all(&[byte]).await.expect("it is sent");
    }
    let longest = [&b"x".repeat(65_530)[..], b"\na:1|c"].concat();
    client.write_all(&framed(&longest)).await.expect("it is sent");
    client.shutdown().await.expect("the end is told");
    let of = [("transport", "unixstream")];
    world.until("tenfold_statsd_packets_total", &of, 2_002.0).await;
    assert_eq!(own("tenfold_statsd_bad_lines_total"), 1.0, "a line of rubbish");
    // Too long, cut off in the middle, cut off in the length.
    let broken = [65_537_u32.to_le_bytes().to_vec(), framed(b"a:1|c")[..6].to_vec(), vec![1, 0]];
    for (at, sent) in broken.iter().enumerate() {
        let mut client = UnixStream::connect(&path).await.expect("a connection");
        client.write_all(sent).await.expect("it is sent");
        client.shutdown().await.expect("the end is told");
        world.until("tenfold_statsd_bad_lines_total", &of, 2.0 + at as f64).await;
    }
    assert_eq!(own("tenfold_statsd_packets_total"), 2_002.0);
    let run = tokio::spawn(tenfold_app::metrics::run(world.app.clone(), world.stop.clone()));
    world.until("tenfold_push_samples_total", &[("protocol", "statsd"), ("source", "statsd")], 2.0).await;
    world.stop.cancel();
    run.await.expect("it ends by itself");
    assert_eq!(world.values("photos_uploads_total", NOW_S), [("photos_uploads_total{env=\"prod\"}".into(), 6_000.0)]);
    assert_eq!(world.values("photos_queue", NOW_S), [("photos_queue".into(), 7.0)]);
    let gone = async {
        while path.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("its file goes with the server");
}

#[tokio::test]
async fn graphite_comes_in_as_lines_and_pickles() {
    let (tcp, udp, pickle) = (free_port(), free_port(), free_port());
    let world = world(|s, _| {
        s.graphite.listen = format!("127.0.0.1:{tcp}");
        s.graphite.udp_listen = format!("127.0.0.1:{udp}");
        s.graphite.pickle_listen = format!("127.0.0.1:{pickle}");
        s.graphite.templates = vec!["servers.* .host.measurement*".into()];
    })
    .await;
    let mut client = TcpStream::connect(("127.0.0.1", tcp)).await.expect("a connection");
    let text =
        format!("servers.h1.cpu.load 0.5 {NOW_S}\nother.path;rack=a1 7 -1\nbroken\nservers.h2.cpu.load 2 {NOW_S}");
    client.write_all(text.as_bytes()).await.expect("it is sent");
    client.shutdown().await.expect("the end is told");
    let samples = |name| [("protocol", "graphite"), ("source", name)];
    world.until("tenfold_push_samples_total", &samples("tcp"), 3.0).await;
    assert_eq!(
        world.values("cpu_load", NOW_S),
        [("cpu_load{host=\"h1\"}".into(), 0.5), ("cpu_load{host=\"h2\"}".into(), 2.0)]
    );
    assert_eq!(world.values("other_path", NOW_S), [("other_path{rack=\"a1\"}".into(), 7.0)]);

    let client = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    client.send_to(format!("by.udp 1 {NOW_S}\n").as_bytes(), ("127.0.0.1", udp)).await.expect("it is sent");
    world.until("tenfold_push_samples_total", &samples("udp"), 1.0).await;

    // Python itself makes the pickles, in every protocol that it has, and one that would run a command in carbon's place.
    let script = format!(
        "import pickle, socket, struct, sys\n\
         s = socket.create_connection(('127.0.0.1', {pickle}))\n\
         for p in range(pickle.HIGHEST_PROTOCOL + 1):\n    \
             b = pickle.dumps([(f'by.pickle{{p}}', ({NOW_S}, 1.5 + p)), ('servers.h3.cpu.load', ({NOW_S} + p, p))], protocol=p)\n    \
             s.sendall(struct.pack('!L', len(b)) + b)\n\
         class Evil:\n    def __reduce__(self): return (print, ('never',))\n\
         b = pickle.dumps([Evil()])\n\
         s.sendall(struct.pack('!L', len(b)) + b)\n\
         s.close()\n"
    );
    let python = tokio::process::Command::new("python3").args(["-c", &script]).status().await;
    if !python.is_ok_and(|s| s.success()) {
        tenfold_testkit::peer_is_missing("python3 is not installed");
        return;
    }
    let refused = [("protocol", "graphite"), ("source", "pickle"), ("reason", "bad_line")];
    world.until("tenfold_push_refused_total", &refused, 1.0).await;
    assert_eq!(world.values("count({__name__=~\"by_pickle.\"})", NOW_S), [("{}".into(), 6.0)]);
    assert_eq!(world.values("by_pickle5", NOW_S), [("by_pickle5".into(), 6.5)]);
    assert_eq!(world.values("cpu_load{host=\"h3\"}", NOW_S + 5), [("cpu_load{host=\"h3\"}".into(), 5.0)]);
    let sources = world.app.metrics.push_sources(world.app.now());
    let of = |name: &str| sources.iter().find(|s| s.source.name == name).expect("it is listed");
    assert!(of("pickle").refused[0].example.contains("more than plain data"), "{:?}", of("pickle").refused);
    assert_eq!(of("tcp").refused[0].example, "a line is `path value timestamp`, separated by blanks");
}
