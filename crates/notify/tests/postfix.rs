//! Pages through a real postfix into a real mailbox: from a rule that fires to the mail, with the server killed on the way
//! and the mail server away for a while. Needs root and postfix; says so in one line where they are missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tenfold_app::alerts::RuleSource;
use tenfold_app::incidents::PageView;
use tenfold_app::people::{Contact, PersonKind, PersonUpdate};
use tenfold_app::settings::{Mail, Tls};
use tenfold_app::{App, Caller, Role, Settings, metrics};
use tenfold_testkit::{ProcessGuard, TestClock, TestEntropy, free_port, temp_db};
use tenfold_types::{Labels, Timestamp};

const POSTFIX: &str = "/usr/sbin/postfix";
const DAEMONS: &str = "/usr/lib/postfix/sbin";
const WAIT: Duration = Duration::from_mins(1);
const HOUR_MS: i64 = 3_600_000;

struct Postfix {
    dir: tempfile::TempDir,
    port: u16,
    process: Option<ProcessGuard>,
}

impl Postfix {
    /// A postfix of its own: configuration, queue and mailboxes in a temporary directory, one port.
    fn new() -> Option<Self> {
        let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"));
        if !Path::new(POSTFIX).exists() || !Path::new(DAEMONS).join("master").exists() {
            tenfold_testkit::peer_is_missing("postfix is not installed");
            return None;
        }
        if !root {
            println!("skipped: mail through a real postfix needs root");
            return None;
        }
        let number = |flag: &str| {
            let out = Command::new("id").args([flag, "postfix"]).output().expect("id runs");
            String::from_utf8_lossy(&out.stdout).trim().to_owned()
        };
        let (uid, gid) = (number("-u"), number("-g"));
        let dir = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["config", "spool", "data", "mail", "log"] {
            std::fs::create_dir(at(name)).expect("a directory is made");
        }
        for name in ["data", "mail"] {
            let done = Command::new("chown").arg(format!("{uid}:{gid}")).arg(at(name)).status();
            assert!(done.is_ok_and(|s| s.success()), "the directory is given to postfix");
        }
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).expect("postfix may look into its directory");
        let port = free_port();
        let root = dir.path().display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {root}/spool\ndata_directory = {root}/data\n\
             command_directory = /usr/sbin\ndaemon_directory = {DAEMONS}\nmail_owner = postfix\n\
             setgid_group = postdrop\nmyhostname = mail.example.org\ninet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nmydestination =\nalias_maps =\n\
             virtual_mailbox_domains = example.org\nvirtual_mailbox_base = {root}/mail\n\
             virtual_mailbox_maps = inline:{{ {{ana@example.org = ana/}}, {{raj@example.org = raj/}} }}\n\
             virtual_minimum_uid = 1\nvirtual_uid_maps = static:{uid}\nvirtual_gid_maps = static:{gid}\n\
             smtpd_recipient_restrictions = reject_unauth_destination\n\
             maillog_file_prefixes = {root}\nmaillog_file = {root}/log/mail.log\n"
        );
        // Fields: private, unprivileged, chroot, wake-up, limit.
        let service = |name: &str, kind: &str, command: &str, limit: &str| {
            let private = if matches!(name, "cleanup" | "qmgr" | "postlog") || kind == "inet" { "n" } else { "y" };
            let unprivileged = if name == "virtual" { "n" } else { "y" };
            format!("{name} {kind} {private} {unprivileged} n - {limit} {command}\n")
        };
        let mut master = service(&format!("127.0.0.1:{port}"), "inet", "smtpd", "-");
        for (name, kind, command, limit) in [
            ("cleanup", "unix", "cleanup", "0"),
            ("qmgr", "unix", "qmgr", "1"),
            ("rewrite", "unix", "trivial-rewrite", "-"),
            ("bounce", "unix", "bounce", "0"),
            ("defer", "unix", "bounce", "0"),
            ("trace", "unix", "bounce", "0"),
            ("verify", "unix", "verify", "1"),
            ("proxymap", "unix", "proxymap", "-"),
            ("error", "unix", "error", "-"),
            ("retry", "unix", "error", "-"),
            ("discard", "unix", "discard", "-"),
            ("virtual", "unix", "virtual", "-"),
            ("anvil", "unix", "anvil", "1"),
            ("postlog", "unix-dgram", "postlogd", "1"),
        ] {
            master.push_str(&service(name, kind, command, limit));
        }
        std::fs::write(at("config/main.cf"), main).expect("the configuration is written");
        std::fs::write(at("config/master.cf"), master).expect("the configuration is written");
        Some(Self { dir, port, process: None })
    }

    async fn start(&mut self) {
        let child = Command::new(POSTFIX)
            .arg("-c")
            .arg(self.dir.path().join("config"))
            .arg("start-fg")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postfix starts");
        self.process = Some(ProcessGuard::new(child));
        let port = self.port;
        wait_until("postfix listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    }

    fn stop(&mut self) {
        let config = self.dir.path().join("config");
        let _ = Command::new(POSTFIX).arg("-c").arg(config).arg("stop").stderr(Stdio::null()).status();
        self.process = None;
    }

    /// The mails in a person's mailbox, in no particular order.
    fn mails(&self, person: &str) -> Vec<String> {
        let new: PathBuf = self.dir.path().join("mail").join(person).join("new");
        let Ok(entries) = std::fs::read_dir(new) else { return Vec::new() };
        entries.filter_map(|e| std::fs::read_to_string(e.ok()?.path()).ok()).collect()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Looks again whenever the runtime has had its turn, until it is so or the time is up.
async fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let done = tokio::time::timeout(WAIT, async {
        while !so() {
            looks.tick().await;
        }
    })
    .await;
    assert!(done.is_ok(), "{what}: not within {} s", WAIT.as_secs());
}

struct AlwaysBad;

#[async_trait]
impl RuleSource for AlwaysBad {
    async fn evaluate(&self, _: &str, _: Timestamp) -> Result<Vec<(Labels, f64)>, String> {
        Ok(vec![(Labels::new(), 9.0)])
    }
    fn record(&self, _: Vec<(Labels, f64)>, _: Timestamp) {}
}

fn shape<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).expect("the test gives the right shape")
}

async fn start(db: &tenfold_store::Db, dir: &Path, clock: &TestClock, entropy: &TestEntropy, port: u16) -> App {
    let mail =
        Mail { host: "127.0.0.1".into(), port, tls: Tls::None, from: "tenfold@example.org".into(), ..Mail::default() };
    let settings = Settings { data_dir: dir.to_owned(), mail, ..Settings::default() };
    let metrics = metrics::State::open(&settings).expect("an empty store of samples opens");
    let app = App::new(db.clone(), Arc::new(clock.clone()), Arc::new(entropy.clone()), settings, metrics);
    tenfold_notify::connect(&app).expect("the channels are set up");
    app.set_rule_source(Arc::new(AlwaysBad));
    tenfold_app::load(&app).await.expect("the state is loaded");
    app
}

async fn people(app: &App) {
    let system = Caller::system();
    for (login, kind) in [("ana", PersonKind::Developer), ("raj", PersonKind::Operator)] {
        let update = PersonUpdate {
            name: Some(login.to_owned()),
            kind: Some(kind),
            role: Some(Role::Responder),
            contact: Some(Contact { email: format!("{login}@example.org"), ..Contact::default() }),
            ..PersonUpdate::default()
        };
        app.person_put(&system, login, update).await.expect("a person is made");
    }
    let person = |name: &str| json!([{"kind": "person", "name": name}]);
    let steps = json!({"steps": [
        {"delay_ms": HOUR_MS, "targets": person("ana")}, {"delay_ms": HOUR_MS, "targets": person("raj")}]});
    app.policy_put(&system, "default", shape(steps)).await.expect("a policy is made");
    let rules =
        "groups:\n- name: g\n  rules:\n  - alert: High\n    expr: errors > 5\n    labels: {severity: critical}\n";
    app.rules_put(&system, "g", rules).await.expect("rules are made");
}

async fn tick(app: &App) {
    app.alerts_tick().await.expect("alerts are evaluated");
    app.incidents_tick().await.expect("pages are worked on");
}

/// Lets time pass until the page of this person is in `state`; a busy machine may make a mail server late.
async fn settle(app: &App, clock: &TestClock, incident: i64, person: &str, state: &str) -> PageView {
    let mut last = None;
    for _ in 0..20 {
        tick(app).await;
        let pages = app.pages(Some(incident)).await.expect("pages");
        let page = pages.into_iter().rfind(|p| p.person == person);
        if let Some(page) = page.clone().filter(|p| p.state == state) {
            return page;
        }
        last = page;
        clock.advance_ms(60_000);
    }
    panic!("the page to {person} is not {state}: {last:?}");
}

#[tokio::test]
async fn a_page_reaches_the_mailbox_once_per_step() {
    let Some(mut postfix) = Postfix::new() else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (db, dir) = (temp_db().await, tempfile::tempdir().expect("a temporary directory"));
    let (clock, entropy) = (TestClock::default(), TestEntropy::default());
    let mut app = start(&db, &dir.path().join("1"), &clock, &entropy, postfix.port).await;
    people(&app).await;

    // The mail server is away when the alert fires; the page waits for it over a restart of the server.
    tick(&app).await;
    let pages = app.pages(Some(1)).await.expect("pages");
    assert!(pages[0].attempts.iter().any(|a| a.state == "failed" && a.error.is_some()), "{pages:?}");
    app = start(&db, &dir.path().join("2"), &clock, &entropy, postfix.port).await;
    postfix.start().await;
    clock.advance_ms(5_000);
    let page = settle(&app, &clock, 1, "ana", "delivered").await;
    wait_until("the first mail", || !postfix.mails("ana").is_empty()).await;
    let mail = postfix.mails("ana").remove(0);
    for part in ["Subject: [critical] Incident 1: High", "!ack 1", "References: <incident-1-"] {
        assert!(mail.contains(part), "`{part}` is missing in\n{mail}");
    }
    assert!(mail.contains(&format!("Message-ID: <{}.mail@example.org>", page.id)), "{mail}");

    // Nobody acknowledges: the second step, after another restart.
    app = start(&db, &dir.path().join("3"), &clock, &entropy, postfix.port).await;
    clock.advance_ms(HOUR_MS);
    settle(&app, &clock, 1, "raj", "delivered").await;
    wait_until("the second mail", || !postfix.mails("raj").is_empty()).await;
    assert_eq!((postfix.mails("ana").len(), postfix.mails("raj").len()), (1, 1));

    // An address the mail server does not know is refused for good, and that is said.
    let nobody = PersonUpdate {
        name: Some("mei".to_owned()),
        kind: Some(PersonKind::Developer),
        role: Some(Role::Viewer),
        contact: Some(Contact { email: "mei@example.net".to_owned(), ..Contact::default() }),
        ..PersonUpdate::default()
    };
    app.person_put(&Caller::system(), "mei", nobody).await.expect("a person is made");
    app.page_test(&Caller::system(), "mei").await.expect("a test page");
    let test = settle(&app, &clock, 0, "mei", "failed").await;
    let error = test.attempts.last().and_then(|a| a.error.clone()).unwrap_or_default();
    assert!(error.contains("554") || error.contains("550"), "{error}");
}
