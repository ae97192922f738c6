//! A server killed with SIGKILL while a hook or a command of a target runs: the program ends with it, and the next start goes on
//! as the pipeline file says.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bench::{Bench, code, err, text};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);

/// Asks until it is so.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        let (_keep, wait) = std::sync::mpsc::channel::<()>();
        let _ = wait.recv_timeout(Duration::from_millis(20));
    }
}

/// Whether any process of the machine has this word among its arguments.
fn runs(word: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| line.split(|b| *b == 0).any(|arg| arg == word.as_bytes()))
    })
}

fn git(dir: &Path, args: &[&str]) {
    assert!(Command::new("git").args(args).current_dir(dir).status().unwrap().success(), "git {args:?}");
}

struct World {
    bench: Bench,
    token: String,
}

impl World {
    fn new() -> Self {
        let bench = Bench::start();
        bench.set_up();
        let token = text(&bench.run(&["token", "create", "test", "--role", "admin"])).trim().to_owned();
        let world = Self { bench, token };
        let root = world.repository();
        std::fs::create_dir_all(root.join(".tenfold")).unwrap();
        git(&root, &["init", "--quiet", "--initial-branch", "main"]);
        world.commit("");
        let service = json!({"repository": root, "environments": ["production"]});
        world.ask("PUT", "/api/services/site", &service);
        world
    }

    fn repository(&self) -> std::path::PathBuf {
        self.bench.dir.path().join("repository")
    }

    /// A pipeline to a place where nothing is ever live, with what stands beside the targets.
    fn commit(&self, beside: &str) {
        let root = self.repository();
        let file = format!(
            "service: site\ntargets:\n  production:\n    command: {{deploy: [bash, put.sh], observe: ['true'], settle_s: 0}}\n{beside}"
        );
        std::fs::write(root.join(".tenfold/deploy.yaml"), file).unwrap();
        git(&root, &["add", "--all"]);
        let person = ["-c", "user.name=ana", "-c", "user.email=ana@demo.example"];
        git(&root, &[&person[..], &["commit", "--quiet", "--allow-empty", "-m", "work"]].concat());
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail-with-body", "--max-time", "30", "-X", method]);
        curl.args(["-H", &format!("Authorization: Bearer {}", self.token)]);
        if !body.is_null() {
            curl.args(["-H", "Content-Type: application/json", "--data", &body.to_string()]);
        }
        let out = curl.arg(format!("{}{path}", self.bench.url)).output().unwrap();
        assert_eq!(code(&out), 0, "{method} {path}: {} {}", text(&out), err(&out));
        serde_json::from_slice(&out.stdout).unwrap_or_default()
    }

    fn deploy(&self) -> i64 {
        self.ask("POST", "/api/deploys", &json!({"service": "site"}))["number"].as_i64().unwrap()
    }

    fn state(&self, number: i64, wanted: &str) -> Value {
        until(&format!("deploy {number} to be {wanted}"), || {
            let deploy = self.ask("GET", &format!("/api/deploys/{number}"), &Value::Null);
            let found = deploy["state"] == wanted;
            assert!(found || deploy["finished_at"].is_null(), "it ended otherwise: {deploy:#}");
            found.then_some(deploy)
        })
    }

    /// Kills the server, sees that the program ended with it, and starts the server again.
    fn kill_while(&mut self, word: &str) {
        until("the program", || runs(word).then_some(()));
        self.bench.server.kill().unwrap();
        self.bench.server.wait().unwrap();
        until("the program's end", || (!runs(word)).then_some(()));
        self.bench.kill_and_start();
    }
}

#[test]
fn what_a_repository_has_run_ends_with_the_server() {
    let mut world = World::new();
    let word = |what: &str| format!("orphan-{what}-{}", std::process::id());
    let stays = |word: &str| format!("[bash, -c, \"setsid sh -c 'sleep 600; true' {word} & sleep 600\"]");

    // what came of it is not known
    let once = word("once");
    world.commit(&format!("hooks:\n  before_build: {{command: {}}}\n", stays(&once)));
    let number = world.deploy();
    world.kill_while(&once);
    let failed = world.state(number, "failed");
    assert!(failed["error"].as_str().unwrap().contains("the server stopped while it ran"), "{failed:#}");
    assert!(!runs(&once));

    // it may run again
    let again = word("again");
    world.commit(&format!("hooks:\n  before_build: {{command: {}, idempotent: true}}\n", stays(&again)));
    let number = world.deploy();
    world.kill_while(&again);
    until("the hook to run again", || runs(&again).then_some(()));
    world.ask("POST", &format!("/api/deploys/{number}/cancel"), &Value::Null);
    world.state(number, "cancelled");
    until("the hook's end", || (!runs(&again)).then_some(()));

    // a command of a target always runs again
    let put = word("put");
    let script = format!("setsid sh -c 'sleep 600; true' {put} &\nsleep 600\n");
    std::fs::write(world.repository().join("put.sh"), script).unwrap();
    world.commit("");
    let number = world.deploy();
    world.kill_while(&put);
    until("the command to run again", || runs(&put).then_some(()));
    let deploy = world.ask("GET", &format!("/api/deploys/{number}"), &Value::Null);
    assert!(deploy["finished_at"].is_null() && deploy["hosts"][0]["state"] == "activating", "{deploy:#}");
    world.bench.server.kill().unwrap();
    until("the command's end", || (!runs(&put)).then_some(()));
}
