//! Alerts from elsewhere, against the real server: signed with openssl and sent with curl as the guide says, mailed by Python's
//! smtplib and by a real Postfix.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use bench::{Bench, code, err, text};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);

fn answer(bench: &Bench, args: &[&str]) -> Value {
    let mut args = args.to_vec();
    args.push("--json");
    let out = bench.run(&args);
    assert_eq!(code(&out), 0, "{args:?}: {}", err(&out));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn write(bench: &Bench, name: &str, content: &str) -> String {
    let path = bench.dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Alerts as the API tells them. A token is made once and kept beside the server's data.
fn alerts(bench: &Bench) -> Vec<Value> {
    let kept = bench.dir.path().join("reader");
    let secret = std::fs::read_to_string(&kept).unwrap_or_else(|_| {
        let made = answer(bench, &["token", "create", "reader", "--kind", "robot", "--role", "viewer"]);
        std::fs::write(&kept, made["secret"].as_str().unwrap()).unwrap();
        made["secret"].as_str().unwrap().to_owned()
    });
    let out = Command::new("curl")
        .args(["-fsS", &format!("{}/api/alerts", bench.url), "-H", &format!("Authorization: Bearer {secret}")])
        .output()
        .unwrap();
    let listed: Value = serde_json::from_slice(&out.stdout).unwrap();
    listed["items"].as_array().unwrap().clone()
}

/// Summary and state of each.
fn states(bench: &Bench) -> Vec<(String, String)> {
    let named =
        |a: &Value| (a["annotations"]["summary"].as_str().unwrap().to_owned(), a["state"].as_str().unwrap().to_owned());
    let mut states: Vec<_> = alerts(bench).iter().map(named).collect();
    states.sort();
    states
}

/// The blocks of the guide, by what stands behind the three backticks.
fn guide(block: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/alert-sources.md");
    let guide = std::fs::read_to_string(path).unwrap();
    let (_, rest) = guide.split_once(&format!("```{block}\n")).unwrap();
    rest.split("```").next().unwrap().to_owned()
}

fn shell(bench: &Bench, script: &str, env: &[(&str, &str)]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(bench.dir.path()).env("TENFOLD_URL", &bench.url);
    command.envs(env.iter().copied()).output().unwrap()
}

fn body(state: &str) -> String {
    json!({"checks": [
        {"host": "db1", "check": "disk", "message": "disk full on db1", "level": "P1", "since": 1_763_878_180, "state": state, "link": "https://m.example/1"},
    ]})
    .to_string()
}

#[test]
fn the_guides_webhook_is_signed_mapped_and_resolved() {
    let bench = Bench::start();
    bench.set_up();
    let file = write(&bench, "nightly.yaml", &guide("yaml"));
    let made = answer(&bench, &["sources", "put", "nightly", &file]);
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(answer(&bench, &["sources", "put", "nightly", &file])["secret"].is_null(), "it is shown once");

    let path = write(&bench, "body.json", &body("bad"));
    let tried = answer(&bench, &["sources", "try", "nightly", &path]);
    assert_eq!((tried["alerts"][0]["key"].as_str(), alerts(&bench).len()), (Some("db1/disk"), 0), "nothing is kept");

    let script = guide("sh title=send.sh");
    let sent = shell(&bench, &script, &[("SECRET", &secret)]);
    assert!(sent.status.success(), "{}", err(&sent));
    let answered: Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!((answered["result"].as_str(), answered["firing"].as_u64()), (Some("taken"), Some(1)));
    let fired = alerts(&bench);
    assert_eq!(fired[0]["state"], "firing");
    let labels = &fired[0]["labels"];
    for (name, value) in [
        ("alertname", "nightly"),
        ("alert_source", "nightly"),
        ("dedup_key", "db1/disk"),
        ("host", "db1"),
        ("severity", "critical"),
        ("service", "photos"),
        ("environment", "production"),
        ("team", "web"),
    ] {
        assert_eq!(labels[name], value, "{name}");
    }

    // Another's signature, and the body of somebody in between.
    let refused = shell(&bench, &script, &[("SECRET", "guessed")]);
    assert!(!refused.status.success() && err(&refused).contains("401"), "{}", err(&refused));
    let changed = script.replace("--data-binary \"$(cat body.json)\"", "--data-binary '{}'");
    assert!(err(&shell(&bench, &changed, &[("SECRET", &secret)])).contains("401"));
    let late = script.replace("date +%s", "date -d '-6 minutes' +%s");
    assert!(err(&shell(&bench, &late, &[("SECRET", &secret)])).contains("401"));
    let listed = answer(&bench, &["sources", "list"]);
    assert_eq!((listed["items"][0]["taken"].as_u64(), listed["items"][0]["refused"].as_u64()), (Some(1), Some(3)));
    assert!(text(&bench.run(&["sources", "list"])).contains("3 refused, the last because the signed time"));

    // The same key, over.
    write(&bench, "body.json", &body("closed"));
    let recorded = script.replace("$(date +%s)", &now());
    let sent = shell(&bench, &recorded, &[("SECRET", &secret)]);
    assert!(sent.status.success(), "{}", err(&sent));
    assert_eq!(states(&bench), [("disk full on db1".to_owned(), "resolved".to_owned())]);
    // What was recorded is sent again while it fires anew: it counts once.
    // Other words, since the same in the same second would be the first delivery again.
    write(&bench, "body.json", &body("bad").replace("disk full", "disk full again"));
    assert!(shell(&bench, &script, &[("SECRET", &secret)]).status.success());
    write(&bench, "body.json", &body("closed"));
    let again: Value = serde_json::from_slice(&shell(&bench, &recorded, &[("SECRET", &secret)]).stdout).unwrap();
    assert_eq!(again["result"], "duplicate");
    assert_eq!(alerts(&bench)[0]["state"], "firing");

    // A new secret, and the old one is of no use.
    let anew = answer(&bench, &["sources", "secret", "nightly"])["secret"].as_str().unwrap().to_owned();
    assert!(err(&shell(&bench, &script, &[("SECRET", &secret)])).contains("401"));
    assert!(shell(&bench, &script, &[("SECRET", &anew)]).status.success());
    // As a file of the configuration, without the secret.
    let exported = bench.run(&["export", "config"]);
    assert_eq!(code(&exported), 0, "{}", err(&exported));
    let kept = std::fs::read_to_string(bench.dir.path().join("config/alert-sources/nightly.yaml")).unwrap();
    assert!(kept.contains("/checks") && !kept.contains("whsec"), "{kept}");
    assert_eq!(code(&bench.run(&["apply", "config"])), 0);
    assert_eq!(code(&bench.run(&["sources", "delete", "nightly"])), 0);
    assert_eq!(code(&bench.run(&["sources", "show", "nightly"])), 1);
}

fn now() -> String {
    text(&Command::new("date").arg("+%s").output().unwrap()).trim().to_owned()
}

/// Signs as Grafana does and sends its body.
const GRAFANA: &str = "
import hashlib, hmac, json, sys, time, urllib.request
url, secret, status, reason = sys.argv[1:5]
alert = {'status': status, 'labels': {'alertname': 'HighMemory', 'service': 'photos', 'severity': 'critical'},
    'annotations': {'summary': 'memory is full', 'grafana_state_reason': reason}, 'startsAt': '2026-01-01T00:00:00Z',
    'endsAt': '0001-01-01T00:00:00Z', 'fingerprint': 'c6eadffa33fcdf37', 'generatorURL': 'https://g.example/1'}
body = json.dumps({'receiver': 'r', 'status': status, 'orgId': 1, 'alerts': [alert], 'groupKey': '{}', 'version': '1'}).encode()
now = str(int(time.time()))
signature = hmac.new(secret.encode(), now.encode() + b':' + body, hashlib.sha256).hexdigest()
request = urllib.request.Request(url, body, {'X-Grafana-Alerting-Signature': signature, 'X-Grafana-Alerting-Timestamp': now})
print(urllib.request.urlopen(request).read().decode())
";

#[test]
fn grafanas_webhook_is_understood_as_it_is() {
    let bench = Bench::start();
    bench.set_up();
    let file = write(&bench, "grafana.yaml", "kind: grafana\n");
    let made = answer(&bench, &["sources", "put", "grafana", &file]);
    let (secret, url) = (made["secret"].as_str().unwrap(), made["source"]["address"].as_str().unwrap());
    let send = |status: &str, reason: &str| {
        let out = Command::new("python3").args(["-c", GRAFANA, url, secret, status, reason]).output().unwrap();
        assert!(out.status.success(), "{}", err(&out));
    };
    send("firing", "");
    assert_eq!(states(&bench), [("memory is full".to_owned(), "firing".to_owned())]);
    assert_eq!(alerts(&bench)[0]["labels"]["alertname"], "HighMemory");
    // Grafana says resolved when there is nothing to see any more.
    send("resolved", "MissingSeries");
    let until = Instant::now() + PATIENCE;
    while states(&bench)[0].1 != "unknown" {
        assert!(Instant::now() < until, "{:?}", states(&bench));
    }
    send("firing", "");
    send("resolved", "");
    assert_eq!(states(&bench)[0].1, "resolved");

    // What it was for, with one key, and what that adds up to.
    assert_eq!(answer(&bench, &["classify", "1", "7"])["classified"], "threshold");
    assert_eq!(code(&bench.run(&["classify", "1", "nonsense"])), 2);
    let noise = answer(&bench, &["noise"]);
    let rule = &noise["teams"][0]["rules"][0];
    assert_eq!((rule["rule"].as_str(), rule["no_action"].as_u64()), (Some("HighMemory"), Some(1)), "{noise}");
    let told = text(&bench.run(&["noise", "--days", "28"]));
    assert!(
        told.contains("HighMemory (") && told.contains("): cost 0, 0 pages") && told.contains("1 without"),
        "{told}"
    );
    let draft = bench.run(&["noise", "--draft", "HighMemory"]);
    assert!(code(&draft) == 1 && err(&draft).contains("where it is sent from"), "{}", err(&draft));
}

/// A port that is free at this moment.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn with_mail() -> (Bench, u16, String) {
    let port = port();
    let bench = Bench::start_with(&format!(
        "[sources]\nmail_listen = \"127.0.0.1:{port}\"\nmail_domain = \"alerts.example.org\"\n"
    ));
    bench.set_up();
    let file = write(&bench, "mail.yaml", "{kind: mail, service: photos, severity: warning}\n");
    let made = answer(&bench, &["sources", "put", "backup", &file]);
    let address = made["secret"].as_str().unwrap().to_owned();
    assert!(address.starts_with("backup-") && address.ends_with("@alerts.example.org"), "{address}");
    (bench, port, address)
}

/// Sends one mail; prints its Message-ID, or the code of the refusal.
const MAILER: &str = "
import smtplib, sys
from email.message import EmailMessage
from email.utils import make_msgid
port, to, subject, text, answers = sys.argv[1:6]
mail = EmailMessage()
mail['Subject'], mail['From'], mail['To'], mail['Message-ID'] = subject, 'cron@db1.example.org', to, make_msgid()
if answers:
    mail['In-Reply-To'] = answers
mail.set_content(text)
try:
    with smtplib.SMTP('127.0.0.1', int(port)) as server:
        server.send_message(mail)
    print(mail['Message-ID'])
except smtplib.SMTPRecipientsRefused as e:
    print([code for code, _ in e.recipients.values()][0])
";

fn mail(port: u16, to: &str, subject: &str, body: &str, answers: &str) -> String {
    let out = Command::new("python3").args(["-c", MAILER, &port.to_string(), to, subject, body, answers]).output();
    let out = out.unwrap();
    assert!(out.status.success(), "{}", err(&out));
    text(&out).trim().to_owned()
}

#[test]
fn a_mail_is_an_alert_and_another_ends_it() {
    let (bench, port, address) = with_mail();
    let guessed = address.replace('-', "-0");
    assert_eq!(mail(port, &guessed, "x", "", ""), "550", "who does not know the address is turned away");
    assert_eq!(mail(port, &address.replace("alerts.", "other."), "x", "", ""), "550");
    assert!(states(&bench).is_empty());

    let first = mail(port, &address, "disk full on db1: CRITICAL", "97 % – voll", "");
    let fired = alerts(&bench);
    assert_eq!(states(&bench), [("disk full on db1: CRITICAL".to_owned(), "firing".to_owned())]);
    assert_eq!(
        (&fired[0]["labels"]["severity"], &fired[0]["labels"]["service"]),
        (&json!("critical"), &json!("photos"))
    );
    assert_eq!(fired[0]["annotations"]["description"], "97 % – voll");
    mail(port, &address, "disk full on db1: WARNING", "", "");
    assert_eq!(states(&bench).len(), 1, "the same alert");
    mail(port, &address, "NOT OK: disk full on db1", "", "");
    assert_eq!(alerts(&bench)[0]["state"], "firing");
    // By its subject.
    mail(port, &address, "RESOLVED: disk full on db1", "", "");
    assert_eq!(alerts(&bench)[0]["state"], "resolved");
    // A person who answers raises nothing.
    mail(port, &address, "Re: disk full on db1: CRITICAL", "thanks", &first);
    assert_eq!(alerts(&bench)[0]["state"], "resolved");
    // By the thread, whatever the subject.
    let second = mail(port, &address, "disk full on db1", "", "");
    assert_eq!(alerts(&bench)[0]["state"], "firing");
    mail(port, &address, "Re: what was that", "resolved.\n> disk full", &second);
    assert_eq!(alerts(&bench)[0]["state"], "resolved");
}

#[test]
fn a_mail_that_says_worse_pages_and_one_that_it_is_over_ends_it() {
    let (bench, port, address) = with_mail();
    let incidents = || answer(&bench, &["incident", "list", "--all"])["items"].as_array().unwrap().len();
    mail(port, &address, "** PROBLEM: db1/disk is WARNING **", "", "");
    assert_eq!((alerts(&bench)[0]["labels"]["severity"].as_str(), incidents()), (Some("warning"), 0));
    mail(port, &address, "** PROBLEM: db1/disk is CRITICAL **", "", "");
    let firing = || answer(&bench, &["alerts", "list", "--state", "firing"])["items"].as_array().unwrap().clone();
    assert_eq!(firing().len(), 1, "the warning is over");
    assert_eq!((firing()[0]["labels"]["severity"].as_str(), incidents()), (Some("critical"), 1));
    mail(port, &address, "** RECOVERY: db1/disk is OK **", "", "");
    assert_eq!(firing(), Vec::<Value>::new());
    assert_eq!(answer(&bench, &["incident", "list", "--all"])["items"][0]["state"], "resolved");
}

/// A Postfix of this test's own that sends everything on to one port: its own envelope, headers and line ends.
struct Postfix {
    config: String,
    port: u16,
    process: std::process::Child,
    _dir: tempfile::TempDir,
}

impl Postfix {
    fn start(relay: u16) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["config", "spool", "data", "log"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        assert!(Command::new("chown").arg("postfix").arg(dir.path().join("data")).status().unwrap().success());
        let (root, port) = (dir.path().display(), port());
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {root}/spool\ndata_directory = {root}/data\n\
             myhostname = mail.example.org\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             mydestination =\nalias_maps =\nrelayhost = [127.0.0.1]:{relay}\n\
             maillog_file_prefixes = {root}\nmaillog_file = {root}/log/mail.log\n"
        );
        let mut master = format!("127.0.0.1:{port} inet n y n - - smtpd\n");
        for (name, kind, private, command, limit) in [
            ("cleanup", "unix", "n", "cleanup", "0"),
            ("qmgr", "unix", "n", "qmgr", "1"),
            ("rewrite", "unix", "y", "trivial-rewrite", "-"),
            ("bounce", "unix", "y", "bounce", "0"),
            ("defer", "unix", "y", "bounce", "0"),
            ("trace", "unix", "y", "bounce", "0"),
            ("proxymap", "unix", "y", "proxymap", "-"),
            ("error", "unix", "y", "error", "-"),
            ("retry", "unix", "y", "error", "-"),
            ("smtp", "unix", "y", "smtp", "-"),
            ("relay", "unix", "y", "smtp", "-"),
            ("anvil", "unix", "y", "anvil", "1"),
            ("scache", "unix", "y", "scache", "1"),
            ("postlog", "unix-dgram", "n", "postlogd", "1"),
        ] {
            writeln!(master, "{name} {kind} {private} y n - {limit} {command}").unwrap();
        }
        std::fs::write(dir.path().join("config/main.cf"), main).unwrap();
        std::fs::write(dir.path().join("config/master.cf"), master).unwrap();
        let config = dir.path().join("config").to_str().unwrap().to_owned();
        let process = Command::new("/usr/sbin/postfix")
            .args(["-c", &config, "start-fg"])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        Self { config, port, process, _dir: dir }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = Command::new("/usr/sbin/postfix").args(["-c", &self.config, "stop"]).output();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_real_postfix_delivers() {
    let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"));
    if !Path::new("/usr/lib/postfix/sbin/master").exists() {
        tenfold_testkit::peer_is_missing("postfix is not installed");
        return;
    }
    if !root {
        println!("skipped: mail through a real postfix needs root");
        return;
    }
    let (bench, port, address) = with_mail();
    let postfix = Postfix::start(port);
    let until = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", postfix.port)).is_err() {
        assert!(Instant::now() < until, "postfix listens");
    }
    mail(postfix.port, &address, "backup of db1 failed", "the disk is away\n.\n..end", "");
    while states(&bench).is_empty() {
        assert!(Instant::now() < until, "the mail arrives");
    }
    let fired = alerts(&bench);
    assert_eq!(states(&bench), [("backup of db1 failed".to_owned(), "firing".to_owned())]);
    assert_eq!(fired[0]["annotations"]["description"], "the disk is away\n.\n..end");
}

#[test]
fn the_guides_heartbeat_is_heard_and_its_silence_is_told_across_a_kill() {
    let mut bench = Bench::start();
    bench.set_up();
    let file = write(&bench, "backup.yaml", &guide("yaml title=backup.yaml"));
    let made = answer(&bench, &["sources", "put", "backup", &file]);
    let address = made["secret"].as_str().unwrap().to_owned();
    assert!(made["source"]["address"].as_str().unwrap().ends_with("/api/heartbeats/backup/…"), "{made}");
    let beat = |bench: &Bench, address: &str| shell(bench, &guide("sh title=backup.sh"), &[("HEARTBEAT", address)]);
    assert!(text(&bench.run(&["sources", "list"])).contains("waiting"));
    let sent = beat(&bench, &address);
    assert!(sent.status.success(), "{}", err(&sent));
    let guessed = format!("{}/{}", address.rsplit_once('/').unwrap().0, "0".repeat(24));
    assert!(err(&beat(&bench, &guessed)).contains("404"));
    let posted = format!("curl -fsS -X POST --data-binary @backup.yaml '{address}'");
    let posted: Value = serde_json::from_slice(&shell(&bench, &posted, &[]).stdout).unwrap();
    assert!(posted["due_at"].is_string(), "{posted}");
    let large = format!("head -c 70000 /dev/zero | curl -fsS --data-binary @- '{address}'");
    assert!(err(&shell(&bench, &large, &[])).contains("413"));
    let said = shell(&bench, &large.replace("curl -fsS", "curl -sS"), &[]);
    assert!(text(&said).contains("the heartbeat was heard all the same"), "{}", text(&said));
    let listed = answer(&bench, &["sources", "show", "backup"]);
    assert_eq!(listed["heartbeat"]["state"], "beating", "{listed}");

    let file = write(&bench, "short.yaml", "{kind: heartbeat, service: photos, interval: 10s, grace: 1s}\n");
    let made = answer(&bench, &["sources", "put", "short", &file]);
    let short = made["secret"].as_str().unwrap().to_owned();
    assert!(beat(&bench, &short).status.success());
    assert!(alerts(&bench).is_empty());
    bench.kill_and_start();
    let until = Instant::now() + PATIENCE;
    while alerts(&bench).is_empty() {
        assert!(Instant::now() < until, "its silence is told");
    }
    let fired = alerts(&bench);
    assert_eq!(fired.len(), 1, "the other is not late: what it said is known after the kill");
    assert_eq!((&fired[0]["labels"]["alert_source"], &fired[0]["state"]), (&json!("short"), &json!("firing")));
    let path = short.split_once("/api/").unwrap().1;
    assert!(beat(&bench, &format!("{}/api/{path}", bench.url)).status.success());
    while alerts(&bench)[0]["state"] != "resolved" {
        assert!(Instant::now() < until, "it is over when it is heard");
    }
}

#[test]
fn bodies_that_never_come_keep_no_heartbeat_from_being_heard() {
    let bench = Bench::start();
    bench.set_up();
    let file = write(&bench, "backup.yaml", &guide("yaml title=backup.yaml"));
    let made = answer(&bench, &["sources", "put", "backup", &file]);
    let address = made["secret"].as_str().unwrap().to_owned();
    let (host, path) = (bench.url.trim_start_matches("http://"), address.split_once("/api/").unwrap().1);
    let guessed = format!("{}/{}", path.rsplit_once('/').unwrap().0, "0".repeat(24));
    let start = |path: &str| {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "POST /api/{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\n").unwrap();
        stream
    };
    // As many as have a place at a time, of those who have the secret and of those who guess.
    let open: Vec<TcpStream> = (0..16).flat_map(|_| [start(path), start(&guessed)]).collect();
    let sent = shell(&bench, &format!("curl -fsS '{}/api/{path}'", bench.url), &[]);
    assert!(sent.status.success(), "{}", err(&sent));
    let mut refused = [0; 12];
    for stream in open.iter().skip(1).step_by(2) {
        let mut stream = stream;
        stream.read_exact(&mut refused).unwrap();
        assert_eq!(&refused, b"HTTP/1.1 404", "its body is not waited for");
    }
}

#[test]
fn a_mail_is_a_beat() {
    let (bench, port, _) = with_mail();
    let file = write(&bench, "beat.yaml", "{kind: heartbeat, interval: 1h}\n");
    let made = answer(&bench, &["sources", "put", "tape", &file]);
    let secret = made["secret"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let domain = "alerts.example.org";
    let other = if secret.starts_with('0') { '1' } else { '0' };
    assert_eq!(mail(port, &format!("tape-{other}{}@{domain}", &secret[1..]), "x", "", ""), "550");
    mail(port, &format!("tape-{secret}@{domain}"), "backup failed: CRITICAL", "whatever it says", "");
    let heard = answer(&bench, &["sources", "show", "tape"]);
    assert_eq!((&heard["heartbeat"]["state"], &heard["heartbeat"]["beats"]), (&json!("beating"), &json!(1)));
    assert!(states(&bench).is_empty(), "and no alert");
}
