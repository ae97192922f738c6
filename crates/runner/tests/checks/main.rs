//! Checks against real things: Debian's monitoring-plugins, a real NRPE daemon, real sockets and certificates. What is not
//! installed is skipped in one line.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod nrpe;
mod secrets;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::{CheckRunner, Ran, Run};
use tenfold_protocols::plugin::read_output;
use tenfold_runner::Looker;
use tenfold_testkit::TestClock;
use tenfold_types::Timestamp;

const PLUGINS: &str = "/usr/lib/nagios/plugins";
const STARTER: &str = env!("CARGO_BIN_EXE_tenfold-sandbox");
const PATIENCE: Duration = Duration::from_secs(20);

fn installed(path: &str, package: &str) -> bool {
    let found = Path::new(path).exists();
    if !found {
        tenfold_testkit::peer_is_missing(format_args!("{path} is not installed (Debian: {package})"));
    }
    found
}

/// Real certificates are made for the real time.
#[expect(clippy::disallowed_methods, reason = "openssl takes it from there too")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(since.as_millis() as i64)
}

fn looker(dir: &Path) -> Looker {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dirs = vec![PathBuf::from(PLUGINS), dir.to_owned()];
    Looker::new(dirs, STARTER.into(), Arc::new(TestClock::at(now()))).unwrap()
}

fn what(json: serde_json::Value) -> Run {
    serde_json::from_value(json).unwrap()
}

async fn look(looker: &Looker, json: serde_json::Value) -> (CheckStatus, String) {
    let Ran { status, output } = looker.run(&what(json), Duration::from_secs(10)).await;
    (status, String::from_utf8(output).unwrap())
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(port: u16) {
    let until = Instant::now() + PATIENCE;
    while let Err(error) = TcpStream::connect(("127.0.0.1", port)) {
        assert!(Instant::now() < until, "{error}");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn monitoring_plugins_say_the_same_as_when_they_are_called_by_hand() {
    if !installed(&format!("{PLUGINS}/check_dummy"), "monitoring-plugins-basic") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    let port = free_port().to_string();
    let calls: &[&[&str]] = &[
        &["check_dummy", "0", "all is well"],
        &["check_dummy", "1", "hm"],
        &["check_dummy", "2", "; touch $(pwd)/x `id`"],
        &["check_dummy", "3"],
        &["check_disk", "-w", "1%", "-c", "0%", "-p", "/"],
        &["check_load", "-w", "1000,1000,1000", "-c", "2000,2000,2000"],
        &["check_procs", "-c", "1:"],
        &["check_swap", "-w", "0", "-c", "0"],
        &["check_file_age", "-w", "1", "-c", "999999999", "-f", "/etc/hostname"],
        &["check_tcp", "-H", "127.0.0.1", "-p", &port],
        &["check_disk", "--no-such-option"],
    ];
    for argv in calls {
        let by_hand = Command::new(format!("{PLUGINS}/{}", argv[0])).args(&argv[1..]).output().unwrap();
        let (status, said) = look(&looker, serde_json::json!({"plugin": argv})).await;
        assert_eq!(status, CheckStatus::of_exit(by_hand.status.code().unwrap()), "{argv:?}: {said}");
        let theirs = read_output(&by_hand.stdout);
        let ours = read_output(said.as_bytes());
        let names = |o: &tenfold_protocols::plugin::PluginOutput| -> Vec<(String, String)> {
            o.values.iter().map(|v| (v.label.clone(), v.unit.clone())).collect()
        };
        assert_eq!(names(&ours), names(&theirs), "{argv:?}");
        assert_eq!(ours.unread, theirs.unread, "{argv:?}: {said}");
    }
    let (_, said) =
        look(&looker, serde_json::json!({"plugin": ["check_load", "-w", "1000,1000,1000", "-c", "2000,2000,2000"]}))
            .await;
    let labels: Vec<_> = read_output(said.as_bytes()).values.into_iter().map(|v| v.label).collect();
    assert_eq!(labels, ["load1", "load5", "load15"]);
    let whole = format!("{PLUGINS}/check_dummy");
    assert_eq!(look(&looker, serde_json::json!({"plugin": [whole, "1"]})).await.0, CheckStatus::Warning);
}

fn script(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_plugin_that_hangs_is_ended_with_all_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    script(dir.path(), "hangs", "#!/bin/sh\nsleep 1000 &\necho $! > \"$1\"\necho $$ >> \"$1\"\nwait\n");
    let pids = dir.path().join("pids");
    let hangs = what(serde_json::json!({"plugin": ["hangs", pids]}));
    // where there is much else to do it has not begun in so little time, and gets more
    for seconds in [0.7, 7.0, 30.0] {
        let ran = looker.run(&hangs, Duration::from_secs_f64(seconds)).await;
        assert_eq!(ran.status, CheckStatus::Critical);
        let said = String::from_utf8_lossy(&ran.output);
        assert!(said.contains(&format!("no answer within {seconds} s")), "{said}");
        if std::fs::read_to_string(&pids).is_ok_and(|pids| pids.lines().count() == 2) {
            break;
        }
    }
    for pid in std::fs::read_to_string(&pids).unwrap().lines() {
        let until = Instant::now() + PATIENCE;
        let runs = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        while runs() {
            assert!(Instant::now() < until, "{pid} goes on");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn what_a_plugin_leaves_behind_is_ended_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    // Done at once, and after it was listened to for a while; what stays behind has its output open in both cases.
    script(dir.path(), "leaves", "#!/bin/sh\nsleep 1000 &\necho $! > \"$1\"\nsleep \"$2\"\necho fine\n");
    for wait in ["0", "0.2"] {
        let pid = dir.path().join(format!("pid-{wait}"));
        let run = serde_json::json!({"plugin": ["leaves", pid, wait]});
        assert_eq!(look(&looker, run).await, (CheckStatus::Ok, "fine\n".to_owned()));
        let pid = std::fs::read_to_string(&pid).unwrap();
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        let until = Instant::now() + PATIENCE;
        while !(stat().is_empty() || stat().contains(") Z ")) {
            assert!(Instant::now() < until, "{pid} goes on");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn programs_elsewhere_are_refused_and_floods_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    for program in ["/bin/sh", "../sh", "sh", "/usr/lib/nagios/plugins/../../../../bin/sh", ""] {
        let (status, said) = look(&looker, serde_json::json!({"plugin": [program, "-c", "echo hi"]})).await;
        assert_eq!(status, CheckStatus::Unknown, "{program}");
        assert!(!said.contains("hi"), "{program}: {said}");
    }
    script(dir.path(), "floods", "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' 'x'\nexit 1\n");
    let (status, said) = look(&looker, serde_json::json!({"plugin": ["floods"]})).await;
    assert_eq!((status, said.len()), (CheckStatus::Warning, 64 << 10));
    script(dir.path(), "complains", "#!/bin/sh\necho 'no route' >&2\nexit 2\n");
    assert_eq!(
        look(&looker, serde_json::json!({"plugin": ["complains"]})).await,
        (CheckStatus::Critical, "no route\n".to_owned())
    );
    script(dir.path(), "dies", "#!/bin/sh\nkill -9 $$\n");
    assert_eq!(look(&looker, serde_json::json!({"plugin": ["dies"]})).await.0, CheckStatus::Unknown);
}

/// Answers every connection with the same bytes, after it has read something.
fn serve(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(answer);
        }
    });
    port
}

#[tokio::test]
async fn built_in_looks() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    let web = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
    let broken = serve(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let (closed, address) = (free_port(), |port: u16| format!("127.0.0.1:{port}"));
    let url = |port: u16| format!("http://127.0.0.1:{port}/");
    let cases = [
        (serde_json::json!({"tcp": {"address": address(web)}}), CheckStatus::Ok, "is open"),
        (
            serde_json::json!({"tcp": {"address": address(web), "send": "GET", "expect": "hello"}}),
            CheckStatus::Ok,
            "as expected",
        ),
        (
            serde_json::json!({"tcp": {"address": address(web), "send": "GET", "expect": "bye"}}),
            CheckStatus::Critical,
            "did not come",
        ),
        (serde_json::json!({"tcp": {"address": address(web), "warning_seconds": 0.0}}), CheckStatus::Warning, "time="),
        (
            serde_json::json!({"tcp": {"address": address(web), "warning_seconds": 60, "critical_seconds": 0.0}}),
            CheckStatus::Critical,
            "s;60;0",
        ),
        (serde_json::json!({"http": {"url": url(web), "critical_seconds": 0.0}}), CheckStatus::Critical, "s;;0 size="),
        (
            serde_json::json!({"http": {"url": url(web), "absent": "ell"}}),
            CheckStatus::Critical,
            "the page holds `ell`",
        ),
        (serde_json::json!({"http": {"url": url(web), "absent": "bye"}}), CheckStatus::Ok, "200, 5 bytes"),
        (serde_json::json!({"tcp": {"address": address(closed)}}), CheckStatus::Critical, "refused"),
        (serde_json::json!({"http": {"url": url(web), "contains": "hell"}}), CheckStatus::Ok, "200, 5 bytes"),
        (serde_json::json!({"http": {"url": url(web), "contains": "bye"}}), CheckStatus::Critical, "does not hold"),
        (serde_json::json!({"http": {"url": url(broken)}}), CheckStatus::Critical, "answers 503"),
        (serde_json::json!({"http": {"url": url(broken), "status": [503]}}), CheckStatus::Ok, "503"),
        (serde_json::json!({"http": {"url": url(closed)}}), CheckStatus::Critical, "refused"),
        (
            serde_json::json!({"disk": {"path": "/", "warning_percent": 100.0, "critical_percent": 100.0}}),
            CheckStatus::Ok,
            "used_percent=",
        ),
        (
            serde_json::json!({"disk": {"path": "/", "warning_percent": 0.0, "critical_percent": 0.0}}),
            CheckStatus::Critical,
            "full",
        ),
        (serde_json::json!({"disk": {"path": "/no/such/place"}}), CheckStatus::Unknown, "ENOENT"),
        (serde_json::json!({"process": {"name": "no-such-program"}}), CheckStatus::Critical, "0 named"),
        (
            serde_json::json!({"process": {"name": "no-such-program", "min": 0, "max": 0}}),
            CheckStatus::Ok,
            "processes=0",
        ),
        (serde_json::json!({"dns": {"name": "localhost", "expect": ["127.0.0.1"]}}), CheckStatus::Ok, "127.0.0.1"),
        (
            serde_json::json!({"dns": {"name": "localhost", "expect": ["10.9.8.7"]}}),
            CheckStatus::Critical,
            "not 10.9.8.7",
        ),
        (serde_json::json!({"dns": {"name": "no-such-name.invalid"}}), CheckStatus::Critical, "DNS CRITICAL"),
    ];
    for (json, status, word) in cases {
        let (got, said) = look(&looker, json.clone()).await;
        assert_eq!(got, status, "{json}: {said}");
        assert!(said.contains(word), "{json}: {said}");
    }
    // One program is told from another of its name by its arguments.
    let mut sleeper = Command::new("sleep").args(["86321", "1"]).spawn().unwrap();
    for (arguments, status) in [("86321 1", CheckStatus::Ok), ("86321 2", CheckStatus::Critical)] {
        let (got, said) =
            look(&looker, serde_json::json!({"process": {"name": "sleep", "arguments": arguments}})).await;
        assert_eq!(got, status, "{said}");
    }
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    // One that accepts and says nothing ends in time.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let ran = looker.run(&what(serde_json::json!({"http": {"url": url(port)}})), Duration::from_millis(300)).await;
    assert_eq!(ran.status, CheckStatus::Critical);
    // As full as `df` says.
    let df = Command::new("df").args(["--output=pcent", "/"]).output().unwrap();
    let theirs: f64 =
        String::from_utf8_lossy(&df.stdout).lines().nth(1).unwrap().trim().trim_end_matches('%').parse().unwrap();
    let (_, said) = look(&looker, serde_json::json!({"disk": {"path": "/"}})).await;
    let ours = read_output(said.as_bytes()).values.into_iter().find(|v| v.label == "used_percent").unwrap().value;
    assert!((theirs - ours).abs() <= 1.5, "df says {theirs}, we say {ours}");
}

/// Answers with what it was asked.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut asked = [0; 4096];
            let read = stream.read(&mut asked).unwrap_or(0);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {read}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(&[head.as_bytes(), &asked[..read]].concat());
        }
    });
    port
}

#[tokio::test]
async fn a_request_is_made_as_it_is_written_and_an_answer_that_points_elsewhere_may_count() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    let url = |port: u16| format!("http://127.0.0.1:{port}/health");
    let echo = echo();
    let moved = serve(b"HTTP/1.1 302 Found\r\nlocation: /health\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let headers = serde_json::json!({"Host": "photos.example", "X-Probe": "tenfold"});
    for (json, status, word) in [
        (serde_json::json!({"url": url(echo), "contains": "GET /health"}), CheckStatus::Ok, "200"),
        (
            serde_json::json!({"url": url(echo), "method": "OPTIONS", "contains": "OPTIONS /health"}),
            CheckStatus::Ok,
            "200",
        ),
        (
            serde_json::json!({"url": url(echo), "headers": headers, "contains": "photos.example"}),
            CheckStatus::Ok,
            "200",
        ),
        (serde_json::json!({"url": url(echo), "headers": headers, "contains": "tenfold"}), CheckStatus::Ok, "200"),
        (serde_json::json!({"url": url(moved), "follow": false, "status": [302]}), CheckStatus::Ok, "302"),
        (serde_json::json!({"url": url(moved), "follow": false, "status": [200]}), CheckStatus::Critical, "302"),
        (serde_json::json!({"url": url(moved)}), CheckStatus::Critical, "redirect"),
    ] {
        let (got, said) = look(&looker, serde_json::json!({"http": json})).await;
        assert_eq!(got, status, "{json}: {said}");
        assert!(said.contains(word), "{json}: {said}");
    }
}

#[tokio::test]
async fn inodes_are_looked_at_where_the_check_says_from_when_they_are_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    let df = Command::new("df").args(["--output=itotal", "/"]).output().unwrap();
    let counted =
        String::from_utf8_lossy(&df.stdout).lines().nth(1).is_some_and(|all| !["0", "-"].contains(&all.trim()));
    let disk = |more: serde_json::Value| {
        let mut disk = serde_json::json!({"path": "/", "warning_percent": 101.0, "critical_percent": 101.0});
        disk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::json!({"disk": disk})
    };
    let (status, said) = look(&looker, disk(serde_json::json!({}))).await;
    assert!(status == CheckStatus::Ok && !said.contains("inodes"), "{said}");
    let (status, said) = look(&looker, disk(serde_json::json!({"inodes_warning_percent": 0.0}))).await;
    // Some filesystems make inodes as they need them, and have no share of them.
    let wanted = if counted { CheckStatus::Warning } else { CheckStatus::Ok };
    assert_eq!((status, said.contains("inodes_percent=")), (wanted, counted), "{said}");
}

/// A certificate for 127.0.0.1 that lasts so many days, with its key.
fn certificate(dir: &Path, days: &str) -> Option<(PathBuf, PathBuf)> {
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", days])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .stderr(Stdio::null())
        .status();
    match made {
        Ok(status) if status.success() => Some((cert, key)),
        _ => {
            tenfold_testkit::peer_is_missing("openssl is not installed");
            None
        }
    }
}

#[tokio::test]
async fn the_end_of_a_certificate_is_seen_and_one_nobody_signed_is_not_good() {
    let dir = tempfile::tempdir().unwrap();
    let Some((cert, key)) = certificate(dir.path(), "20") else { return };
    let port = free_port();
    let server = Command::new("openssl")
        .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")])
        .arg("-cert")
        .arg(cert)
        .arg("-key")
        .arg(key)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Running(server);
    wait_for(port);
    let (status, said) =
        look(&looker(dir.path()), serde_json::json!({"tls": {"address": format!("127.0.0.1:{port}")}})).await;
    assert_eq!(status, CheckStatus::Critical, "{said}");
    assert!(said.contains("is not good"), "{said}");
    let days = read_output(said.as_bytes()).values[0].value;
    assert!((19.0..20.1).contains(&days), "{said}");
}

/// An authority and the certificates it signs, for a server on 127.0.0.1.
struct House {
    dir: PathBuf,
}

impl House {
    /// `None` without openssl.
    fn new(dir: &Path) -> Option<Self> {
        let house = Self { dir: dir.to_owned() };
        let made = house.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=The house",
            "-days",
            "90",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ]);
        if !made {
            tenfold_testkit::peer_is_missing("openssl is not installed");
            return None;
        }
        Some(house)
    }

    fn openssl(&self, args: &[&str]) -> bool {
        let mut command = Command::new("openssl");
        command.args(args).current_dir(&self.dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// A server with a certificate for these names that ends in so many days.
    fn serve(&self, name: &str, names: &str, days: &str) -> (Running, u16) {
        let (key, csr, pem) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let extensions = format!("{name}.ext");
        let text = format!("subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n");
        std::fs::write(self.dir.join(&extensions), text).unwrap();
        let subject = format!("/CN={name}");
        assert!(
            self.openssl(&["req", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", &key, "-out", &csr,])
        );
        assert!(self.openssl(&[
            "x509",
            "-req",
            "-in",
            &csr,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            days,
            "-extfile",
            &extensions,
            "-out",
            &pem,
        ]));
        let port = free_port();
        let server = Command::new("openssl")
            .args(["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{port}"), "-cert", &pem, "-key", &key])
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let running = Running(server);
        wait_for(port);
        (running, port)
    }
}

#[tokio::test]
async fn certificates_of_an_authority_of_the_house_are_judged_by_their_end_and_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let Some(house) = House::new(dir.path()) else { return };
    // The clock is moved, not the certificate.
    let looker = |days: i64| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = TestClock::at(now().plus_ms(days * 86_400_000));
        Looker::new(Vec::new(), STARTER.into(), Arc::new(clock)).unwrap()
    };
    let ca = dir.path().join("ca.pem");
    let (_server, port) = house.serve("server", "DNS:localhost,IP:127.0.0.1", "20");
    let ask = |more: serde_json::Value| {
        let mut tls = serde_json::json!({"address": format!("127.0.0.1:{port}"), "ca_file": ca, "warning_days": 10.0, "critical_days": 5.0});
        for (key, value) in more.as_object().unwrap() {
            tls[key] = value.clone();
        }
        serde_json::json!({"tls": tls})
    };
    let none = serde_json::json!({});
    // 20 days before its end, 8, 3, and 2 days after it.
    let cases = [(0, CheckStatus::Ok, 20.0), (12, CheckStatus::Warning, 8.0), (17, CheckStatus::Critical, 3.0)];
    for (days, wanted, left) in cases {
        let (status, said) = look(&looker(days), ask(none.clone())).await;
        assert_eq!(status, wanted, "after {days} days: {said}");
        let value = read_output(said.as_bytes()).values[0].value;
        assert!((left - 1.0..=left).contains(&value), "after {days} days: {said}");
    }
    let (status, said) = look(&looker(22), ask(none.clone())).await;
    assert!(status == CheckStatus::Critical && said.contains("is not good"), "it has ended: {said}");
    let (status, said) = look(&looker(0), ask(serde_json::json!({"server_name": "elsewhere.example"}))).await;
    assert!(status == CheckStatus::Critical && said.contains("is not good"), "another name: {said}");
    let (status, said) = look(&looker(0), ask(serde_json::json!({"ca_file": null}))).await;
    assert!(status == CheckStatus::Critical && said.contains("is not good"), "nobody knows the authority: {said}");
    for wrong in [dir.path().join("none.pem"), dir.path().join("ca.key"), PathBuf::from("/dev/zero")] {
        let (status, said) = look(&looker(0), ask(serde_json::json!({"ca_file": wrong}))).await;
        assert!(status == CheckStatus::Critical && said.contains(&wrong.display().to_string()), "{said}");
    }

    let url = format!("https://localhost:{port}/");
    let (status, said) = look(&looker(0), serde_json::json!({"http": {"url": url, "ca_file": ca}})).await;
    assert_eq!(status, CheckStatus::Ok, "{said}");
    let (status, said) = look(&looker(0), serde_json::json!({"http": {"url": url}})).await;
    assert_eq!(status, CheckStatus::Critical, "nobody knows the authority: {said}");
    let (_other, port) = house.serve("other", "DNS:elsewhere.example", "20");
    let url = format!("https://localhost:{port}/");
    let (status, said) = look(&looker(0), serde_json::json!({"http": {"url": url, "ca_file": ca}})).await;
    assert_eq!(status, CheckStatus::Critical, "another name: {said}");
}
