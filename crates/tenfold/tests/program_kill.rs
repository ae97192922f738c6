//! A server killed with SIGKILL while a hook or a command of a target runs: the program goes on, and the next start with it. Where
//! its keeper is killed as well, the next start goes on as the pipeline file says.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bench::{Bench, code, err, text};
use serde_json::{Value, json};
use tenfold_testkit::kill_keeper;

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

    /// Kills the server and starts it again, with what happens to its data in between.
    fn kill_while(&mut self, away: impl FnOnce(&Path)) {
        self.bench.server.kill().unwrap();
        self.bench.server.wait().unwrap();
        away(&self.bench.dir.path().join("data"));
        self.bench.kill_and_start();
    }

    /// How often a line stands in the log of a deploy.
    fn said(&self, number: i64, line: &str) -> usize {
        let log = self.ask("GET", &format!("/api/deploys/{number}/log"), &Value::Null);
        log["items"].as_array().unwrap().iter().filter(|l| l["text"] == line).count()
    }
}

fn word(what: &str) -> String {
    format!("orphan-{what}-{}", std::process::id())
}

fn begins(word: &str) {
    until(&format!("{word} to run"), || runs(word).then_some(()));
}

fn ends(word: &str) {
    until(&format!("{word} to end"), || (!runs(word)).then_some(()));
}

#[test]
fn what_a_repository_has_run_outlives_the_server() {
    let mut world = World::new();
    let (once, put) = (word("once"), word("put"));
    let script = format!("setsid sh -c 'sleep 600; true' {put} &\necho put begun\nsleep 600\n");
    std::fs::write(world.repository().join("put.sh"), script).unwrap();
    let hook = format!("[bash, -c, \"echo begun; sh -c 'sleep 4; true' {once}; echo ended\"]");
    world.commit(&format!("hooks:\n  before_build: {{command: {hook}}}\n"));
    let number = world.deploy();
    begins(&once);
    world.kill_while(|_| assert!(runs(&once), "it does not need the server"));
    begins(&put);
    assert_eq!((world.said(number, "begun"), world.said(number, "ended")), (1, 1), "the hook ran once");
    assert_eq!(world.said(number, "the hook outlived the server and is followed again"), 1);

    world.kill_while(|_| assert!(runs(&put)));
    until("the command to be found", || {
        (world.said(number, "`deploy` outlived the server and is followed again") == 1).then_some(())
    });
    assert_eq!(world.said(number, "put begun"), 1);
    let deploy = world.ask("GET", &format!("/api/deploys/{number}"), &Value::Null);
    assert!(deploy["finished_at"].is_null() && deploy["hosts"][0]["state"] == "activating", "{deploy:#}");

    // a command of a target always runs again
    let step = format!("commands/{number}.step");
    world.kill_while(|data| {
        kill_keeper(&data.join(&step));
        ends(&put);
    });
    begins(&put);
    until("its first line", || (world.said(number, "put begun") == 2).then_some(()));

    // no server can come back to a folder that is gone
    world.bench.server.kill().unwrap();
    world.bench.server.wait().unwrap();
    assert!(runs(&put));
    std::fs::remove_dir_all(world.bench.dir.path().join("data/commands")).unwrap();
    ends(&put);
}

#[test]
fn a_hook_that_is_lost_runs_again_where_it_may() {
    let mut world = World::new();
    let stays = |word: &str| format!("[bash, -c, \"setsid sh -c 'sleep 600; true' {word} & sleep 600\"]");
    let lose = |number: i64, word: &str| {
        let (step, word) = (format!("hooks/{number}-before_build.step"), word.to_owned());
        move |data: &Path| {
            kill_keeper(&data.join(&step));
            ends(&word);
        }
    };

    // what came of it is not known
    let once = word("lost");
    world.commit(&format!("hooks:\n  before_build: {{command: {}}}\n", stays(&once)));
    let number = world.deploy();
    begins(&once);
    world.kill_while(lose(number, &once));
    let failed = world.state(number, "failed");
    assert!(failed["error"].as_str().unwrap().contains("the server stopped while it ran"), "{failed:#}");
    assert!(!runs(&once));

    // it may run again
    let again = word("again");
    world.commit(&format!("hooks:\n  before_build: {{command: {}, idempotent: true}}\n", stays(&again)));
    let number = world.deploy();
    begins(&again);
    world.kill_while(lose(number, &again));
    begins(&again);
    world.ask("POST", &format!("/api/deploys/{number}/cancel"), &Value::Null);
    world.state(number, "cancelled");
    ends(&again);
}
