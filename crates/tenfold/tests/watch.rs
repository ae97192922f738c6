//! A watcher beside a real server that is killed: it tells by mail of the silence and of the end, and the server tells of its own.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bench::{BINARY, Bench, code, err, text};
use serde_json::Value;
use tenfold_testkit::FakeSmtp;

const PATIENCE: Duration = Duration::from_mins(1);

/// `tenfold watch`, killed at the end.
struct Watcher(Child);

impl Watcher {
    /// Started, and looking.
    fn start(bench: &Bench) -> Self {
        let config = bench.dir.path().join("watch.toml");
        let mut command = Command::new(BINARY);
        command.args(["watch", "--config"]).arg(config).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains(&bench.url), "it says what it looks at: {line}");
        Self(child)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn configure(bench: &Bench, smtp: &FakeSmtp, heartbeat: &str) {
    let dir = bench.dir.path();
    std::fs::write(dir.join("heartbeat"), format!("{heartbeat}\n")).unwrap();
    let (url, root, port) = (&bench.url, dir.display(), smtp.address().port());
    let config = format!(
        "servers = [\"{url}\"]\ndata_dir = \"{root}/watch\"\nevery = \"1s\"\ntimeout = \"5s\"\nmisses = 2\n\
         heartbeat_file = \"{root}/heartbeat\"\n\
         [[tell]]\nchannel = \"mail\"\nto = \"ana@example.org\"\n\
         [mail]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nfrom = \"watch@example.net\"\n"
    );
    std::fs::write(dir.join("watch.toml"), config).unwrap();
}

/// How the watcher's heartbeat stands at the server, asked with a token.
fn heartbeat(bench: &Bench, token: &str) -> String {
    let env = [("TENFOLD_URL", bench.url.as_str()), ("TENFOLD_TOKEN", token)];
    let out = bench.run_with(&["sources", "show", "watch", "--json"], &env, "");
    assert_eq!(code(&out), 0, "{}", err(&out));
    let shown: Value = serde_json::from_slice(&out.stdout).unwrap();
    shown["heartbeat"]["state"].as_str().unwrap().to_owned()
}

fn until(bench: &Bench, token: &str, state: &str) {
    let end = Instant::now() + PATIENCE;
    while heartbeat(bench, token) != state {
        assert!(Instant::now() < end, "the heartbeat is {state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_told_of_by_mail_and_a_silent_watcher_by_the_server() {
    let smtp = FakeSmtp::start().await;
    let mut bench = Bench::start();
    bench.set_up();
    let made = bench.run(&["token", "create", "reader", "--kind", "robot", "--role", "viewer", "--json"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let token = made["secret"].as_str().unwrap().to_owned();
    std::fs::write(bench.dir.path().join("watch.yaml"), "{kind: heartbeat, interval: 10s, grace: 1s}\n").unwrap();
    let put = bench.run(&["sources", "put", "watch", "watch.yaml", "--json"]);
    let put: Value = serde_json::from_slice(&put.stdout).unwrap();
    let address = put["secret"].as_str().unwrap().to_owned();

    configure(&bench, &smtp, &address);
    let test = bench.run(&["watch", "--config", "watch.toml", "--test"]);
    assert_eq!((code(&test), text(&test).trim()), (0, "mail  taken"), "{}", err(&test));
    assert!(smtp.wait_for(1).await[0].text.contains("Subject: [test] watch"));

    let watcher = Watcher::start(&bench);
    until(&bench, &token, "beating");
    assert_eq!(smtp.mails().len(), 1, "a server that is well is no news");
    bench.server.kill().unwrap();
    bench.server.wait().unwrap();
    let told = smtp.wait_for(2).await;
    let mail = &told[1];
    assert_eq!((mail.from.as_str(), mail.to[0].as_str()), ("watch@example.net", "ana@example.org"));
    assert!(mail.text.contains("Subject: [critical] watch: the tenfold server is not well"), "{}", mail.text);

    // Both are killed and started again: the end is told by a watcher that knows of the beginning from its file alone.
    drop(watcher);
    bench.kill_and_start();
    let path = address.split_once("/api/").unwrap().1;
    configure(&bench, &smtp, &format!("{}/api/{path}", bench.url));
    let watcher = Watcher::start(&bench);
    // Killed before it noted that a mail was taken, it sends that one again under the same name.
    let mut count = 3;
    while !smtp.wait_for(count).await[count - 1].text.contains("Subject: [ok] watch: the tenfold server is well again")
    {
        count += 1;
    }
    until(&bench, &token, "beating");

    // Now the watcher is gone.
    drop(watcher);
    until(&bench, &token, "late");
    let mails = smtp.mails();
    let name = |text: &str| text.lines().find(|line| line.starts_with("Message-ID: ")).map(str::to_owned);
    let names: BTreeSet<_> = mails.iter().map(|mail| name(&mail.text)).collect();
    assert_eq!(names.len(), 3, "a trial, the beginning, the end: {names:?}");
}

#[test]
fn what_is_wrong_in_the_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("watch.toml");
    let say = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let out = Command::new(BINARY).args(["watch", "--config"]).arg(&path).output().unwrap();
        assert_eq!(code(&out), 1);
        err(&out)
    };
    let data = format!("data_dir = \"{}/data\"\n", dir.path().display());
    assert!(say("servers = []").contains("tell"), "a field that is missing");
    let tell = "[[tell]]\nchannel = \"mail\"\nto = \"ana@example.org\"\n";
    assert!(say(&format!("servers = [\"a\"]\n{data}{tell}")).contains("`a` is not an address"));
    let unset = say(&format!("servers = [\"http://127.0.0.1:1\"]\n{data}{tell}"));
    assert!(unset.contains("the channel mail is not set up"), "{unset}");
}
