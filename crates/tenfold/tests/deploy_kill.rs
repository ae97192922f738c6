//! The program killed with SIGKILL in the middle of a deploy: server and agents are real processes, and so is the service.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

const BINARY: &str = env!("CARGO_BIN_EXE_tenfold");
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two questions to the server.
const LOOK: Duration = Duration::from_millis(20);
const HOSTS: usize = 3;

struct World {
    dir: tempfile::TempDir,
    server: Child,
    agents: Vec<Child>,
    address: String,
    http: reqwest::Client,
    token: String,
}

impl Drop for World {
    fn drop(&mut self) {
        for child in self.agents.iter_mut().chain([&mut self.server]) {
            let _ = child.kill();
            let _ = child.wait();
        }
        // services outlive their agents: end them by the pids the agents wrote down
        for host in 1..=HOSTS {
            let state = self.dir.path().join(format!("host-{host}/services/photos/state.json"));
            let state: Value = serde_json::from_slice(&std::fs::read(state).unwrap_or_default()).unwrap_or_default();
            let kept = state["ending"].as_array().cloned().unwrap_or_default();
            let beside = &state["beside"]["active"]["process"];
            for process in [&state["current"]["process"], beside, &state["starting"]].into_iter().chain(&kept) {
                if let Some(pid) = process["pid"].as_i64() {
                    let _ = Command::new("kill").args(["-9", "--", &format!("-{pid}")]).stderr(Stdio::null()).status();
                }
            }
        }
    }
}

fn serve(dir: &Path, listen: &str) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("server.log")).unwrap();
    Command::new(BINARY)
        .args(["serve", "--listen", listen, "--data"])
        .arg(dir.join("data"))
        .arg("--config")
        .arg(dir.join("tenfold.toml"))
        .arg("--address-file")
        .arg(dir.join("address"))
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(LOOK).await;
    }
}

impl World {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tenfold.toml"), "[statsd]\nlisten = \"\"\n").unwrap();
        let server = serve(dir.path(), "127.0.0.1:0");
        let address = until("the address", async || std::fs::read_to_string(dir.path().join("address")).ok()).await;
        let mut world =
            Self { dir, server, agents: Vec::new(), address, http: reqwest::Client::new(), token: String::new() };
        world.sign_up().await;
        world.make_repository();
        let agent = world.ask("POST", "/api/tokens", json!({"name": "agents", "kind": "agent"})).await;
        for host in 1..=HOSTS {
            let name = format!("host-{host}");
            let log = File::create(world.dir.path().join(format!("{name}.log"))).unwrap();
            let child = Command::new(BINARY)
                .args(["agent", "--server", &world.url(""), "--name", &name, "--dir"])
                .arg(world.dir.path().join(&name))
                .env("TENFOLD_TOKEN", agent["secret"].as_str().unwrap())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            world.agents.push(child);
        }
        let service = json!({"repository": world.repository(), "environments": ["production"]});
        world.ask("PUT", "/api/services/photos", service).await;
        until("the agents", async || {
            let hosts = world.ask("GET", "/api/hosts", Value::Null).await;
            let hosts = hosts["items"].as_array().unwrap();
            (hosts.iter().filter(|h| h["state"] == "connected").count() == HOSTS).then_some(())
        })
        .await;
        world
    }

    async fn sign_up(&mut self) {
        let log = self.dir.path().join("server.log");
        let setup = until("the setup link", async || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let (_, token) = text.split_once("/setup?token=")?;
            token.split_once('\n').map(|(token, _)| token.trim().to_owned())
        })
        .await;
        let account = json!({"token": setup, "login": "mei", "name": "mei", "password": "correct horse battery"});
        let answer = self.http.post(self.url("/api/setup")).json(&account).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let request = self.http.post(self.url("/api/tokens")).header("cookie", cookie).header("origin", self.url(""));
        let made = request.json(&json!({"name": "test", "kind": "robot", "role": "admin"})).send().await.unwrap();
        let made: Value = made.json().await.unwrap();
        made["secret"].as_str().unwrap().clone_into(&mut self.token);
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let mut request = self.http.request(method.parse().unwrap(), self.url(path)).bearer_auth(&self.token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body = answer.json().await.unwrap_or(Value::Null);
        assert!(status.is_success(), "{method} {path}: {status} {body}");
        body
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    fn make_repository(&self) {
        let root = self.repository();
        std::fs::create_dir_all(root.join(".tenfold")).unwrap();
        std::fs::write(root.join(".tenfold/deploy.yaml"), PIPELINE).unwrap();
        std::fs::write(root.join("server.mjs"), SERVER).unwrap();
        git(&root, &["init", "--quiet", "--initial-branch", "main"]);
    }

    fn commit(&self, version: &str) {
        let root = self.repository();
        std::fs::write(root.join("version.txt"), version).unwrap();
        git(&root, &["add", "--all"]);
        git(&root, &["-c", "user.name=ana", "-c", "user.email=ana@demo.example", "commit", "--quiet", "-m", version]);
    }

    async fn deploy(&self) -> i64 {
        let deploy = self.ask("POST", "/api/deploys", json!({"service": "photos"})).await;
        deploy["number"].as_i64().unwrap()
    }

    async fn wait(&self, number: i64, wanted: &[&str]) -> Value {
        until(&format!("deploy {number} to be {wanted:?}"), async || {
            let deploy = self.ask("GET", &format!("/api/deploys/{number}"), Value::Null).await;
            let found = wanted.iter().any(|w| deploy["state"] == *w);
            assert!(found || deploy["finished_at"].is_null(), "it ended otherwise: {deploy:#}");
            found.then_some(deploy)
        })
        .await
    }

    async fn kill_server(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        self.server = serve(self.dir.path(), &self.address);
        until("the server", async || self.http.get(self.url("/healthz")).send().await.ok()).await;
    }

    async fn versions(&self) -> Vec<String> {
        let hosts = self.ask("GET", "/api/hosts", Value::Null).await;
        let mut versions = Vec::new();
        for host in hosts["items"].as_array().unwrap() {
            let address = host["releases"][0]["address"].as_str().unwrap();
            versions.push(self.http.get(format!("http://{address}/")).send().await.unwrap().text().await.unwrap());
        }
        versions
    }
}

fn git(dir: &Path, args: &[&str]) {
    assert!(Command::new("git").args(args).current_dir(dir).status().unwrap().success(), "git {args:?}");
}

const PIPELINE: &str = r#"service: photos
build:
  command: [node, -e, "setTimeout(() => console.log('built'), 300)"]
run:
  command: [node, server.mjs]
  drain_s: 0
health: {http: /}
targets:
  production:
    canary: {hosts: 1, hold_s: 1}
    batch: 1
"#;

const SERVER: &str = "import fs from 'node:fs';
import http from 'node:http';
const version = fs.readFileSync('version.txt', 'utf8');
http.createServer((request, response) => response.end(version)).listen(Number(process.env.PORT), '127.0.0.1');
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_goes_on_wherever_its_server_was_killed() {
    if Command::new("node").arg("--version").output().is_err() {
        println!("skipped: the service of this test needs node");
        return;
    }
    let mut world = World::new().await;
    for state in ["building", "staging", "canary", "promoting"] {
        world.commit(state);
        let number = world.deploy().await;
        world.wait(number, &[state, "succeeded"]).await;
        world.kill_server().await;
        let done = world.wait(number, &["succeeded"]).await;
        assert!(done["hosts"].as_array().unwrap().iter().all(|h| h["state"] == "healthy"), "{done:#}");
        assert_eq!(world.versions().await, vec![state; HOSTS]);
        let log = world.ask("GET", &format!("/api/deploys/{number}/log"), Value::Null).await;
        let lines: Vec<i64> = log["items"].as_array().unwrap().iter().map(|l| l["seq"].as_i64().unwrap()).collect();
        assert_eq!(lines, (1..=i64::try_from(lines.len()).unwrap()).collect::<Vec<_>>(), "no line is lost");
    }
    let record = world.ask("GET", "/api/events/verify", Value::Null).await;
    assert_eq!(record["ok"], true, "{record}");
}
