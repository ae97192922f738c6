//! Servers, agents and services as real processes in one temporary folder, by which what is left of them is found.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tenfold_testkit::PgServer;
use tokio::time::Instant;

const BINARY: &str = env!("CARGO_BIN_EXE_tenfold");
pub const PATIENCE: Duration = Duration::from_mins(2);
/// After a restart everything has to be as it really is within this time.
pub const BACK_WITHIN: Duration = Duration::from_secs(10);
/// Between two questions to the server.
const LOOK: Duration = Duration::from_millis(20);

pub struct Server {
    process: Child,
    pub address: String,
    /// `data`, `log` and `address` stand in it.
    dir: PathBuf,
}

pub struct World {
    pub dir: tempfile::TempDir,
    pub servers: Vec<Server>,
    agents: Vec<Option<Child>>,
    pub http: reqwest::Client,
    token: String,
    cookie: String,
    agent_token: String,
    database: String,
    releases: u32,
}

impl Drop for World {
    fn drop(&mut self) {
        let servers = self.servers.iter_mut().map(|s| &mut s.process);
        for child in self.agents.iter_mut().flatten().chain(servers) {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in belonging(self.dir.path()) {
            signal(pid, "-KILL");
        }
    }
}

pub fn node_is_there() -> bool {
    let there = Command::new("node").arg("--version").output().is_ok();
    if !there {
        tenfold_testkit::peer_is_missing("the service of this test needs node");
    }
    there
}

pub fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Processes that were started for this folder: it stands in their command, their environment or their working directory.
fn belonging(dir: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let name = dir.to_string_lossy().into_owned();
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let belongs = |pid: &u32| {
        let has = |file: &str| {
            let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&text).contains(&name)
        };
        std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir))
            || has("cmdline")
            || has("environ")
    };
    pids.filter(|pid| *pid != std::process::id()).filter(belongs).collect()
}

/// Hooks that run whose command has this in it.
pub fn running_hooks(part: &str) -> usize {
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let runs = |pid: &u32| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        command.starts_with("node\0") && command.contains(part)
    };
    pids.filter(runs).count()
}

/// Looks until it is so. The time is that of the looks, each of which counts for a few of [`LOOK`] at most: a machine that stands
/// still or has much else to do is one on which nobody can keep a promise of seconds.
pub async fn until<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let (began, mut waited) = (Instant::now(), Duration::ZERO);
    loop {
        let looked_at = Instant::now();
        if let Some(found) = look().await {
            return found;
        }
        let is_in_time = waited < within && began.elapsed() < within + PATIENCE;
        assert!(is_in_time, "waited {} s in vain for {what}", within.as_secs());
        tokio::time::sleep(LOOK).await;
        waited += looked_at.elapsed().min(LOOK * 4);
    }
}

impl Server {
    fn start(dir: PathBuf, listen: &str, database: &str, environment: &[(&str, String)]) -> Self {
        std::fs::create_dir_all(&dir).unwrap();
        let keys = dir.join("sealing-keys");
        let settings = format!(
            "database_url = \"{database}\"\n[sealing]\nkey_file = \"{}\"\n[statsd]\nlisten = \"\"\n",
            keys.display()
        );
        std::fs::write(dir.join("tenfold.toml"), settings).unwrap();
        // Servers of one database have the same.
        std::fs::write(keys, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
        let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let process = Command::new(BINARY)
            .args(["serve", "--listen", listen, "--data"])
            .arg(dir.join("data"))
            .arg("--config")
            .arg(dir.join("tenfold.toml"))
            .arg("--address-file")
            .arg(dir.join("address"))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, address: listen.to_owned(), dir }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    async fn listens(&mut self) {
        let file = self.dir.join("address");
        let begun = async || std::fs::read_to_string(&file).ok();
        self.address = until("the address", PATIENCE, begun).await;
    }
}

impl World {
    pub async fn new(hosts: usize) -> Self {
        Self::with(hosts, 1, "", |_| {}).await
    }

    /// Two servers on one database, which outlives them; none where PostgreSQL or node is missing, and the testkit says so.
    pub async fn two_servers(hosts: usize) -> Option<(PgServer, Self)> {
        let database = PgServer::start().await.filter(|_| node_is_there())?;
        let url = database.create_database("deploys").await;
        let world = Self::with(hosts, 2, &url, |_| {}).await;
        Some((database, world))
    }

    /// `prepare` is called with the data folder before the server is started.
    pub async fn with(hosts: usize, servers: usize, database: &str, prepare: impl FnOnce(&Path)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("server-1/data")).unwrap();
        prepare(&dir.path().join("server-1/data"));
        let mut world = Self {
            dir,
            servers: Vec::new(),
            agents: (0..hosts).map(|_| None).collect(),
            http: reqwest::Client::new(),
            token: String::new(),
            cookie: String::new(),
            agent_token: String::new(),
            database: database.to_owned(),
            releases: 0,
        };
        world.add_server().await;
        world.sign_up().await;
        let agent = world.ask("POST", "/api/tokens", json!({"name": "agents", "kind": "agent"})).await;
        agent["secret"].as_str().unwrap().clone_into(&mut world.agent_token);
        for _ in 1..servers {
            world.add_server().await;
        }
        for host in 1..=hosts {
            world.start_agent(host, &[]);
        }
        world.service("photos", Pipeline::default()).await;
        world.connected().await;
        world
    }

    async fn add_server(&mut self) {
        let dir = self.dir.path().join(format!("server-{}", self.servers.len() + 1));
        let mut server = Server::start(dir, "127.0.0.1:0", &self.database, &[]);
        server.listens().await;
        self.servers.push(server);
    }

    pub async fn service(&self, name: &str, pipeline: Pipeline) {
        let root = self.repository(name);
        std::fs::create_dir_all(root.join(".tenfold")).unwrap();
        std::fs::write(root.join("server.mjs"), SERVER.replace("DIR", &self.dir.path().to_string_lossy())).unwrap();
        self.pipeline(name, &pipeline);
        git(&root, &["init", "--quiet", "--initial-branch", "main"]);
        let service = json!({"repository": root, "environments": ["production"]});
        self.ask("PUT", &format!("/api/services/{name}"), service).await;
    }

    pub fn pipeline(&self, service: &str, pipeline: &Pipeline) {
        let text = pipeline.text(service);
        std::fs::write(self.repository(service).join(".tenfold/deploy.yaml"), text).unwrap();
    }

    async fn sign_up(&mut self) {
        let setup = until("the setup link", PATIENCE, async || {
            let text = self.servers[0].log();
            let (_, token) = text.split_once("/setup?token=")?;
            token.split_once('\n').map(|(token, _)| token.trim().to_owned())
        })
        .await;
        let account = json!({"token": setup, "login": "mei", "name": "mei", "password": "correct horse battery"});
        let answer = self.http.post(self.url(0, "/api/setup")).json(&account).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
        cookie.clone_into(&mut self.cookie);
        let made = self.as_mei("/api/tokens", json!({"name": "test", "kind": "robot", "role": "admin"})).await;
        made["secret"].as_str().unwrap().clone_into(&mut self.token);
    }

    /// Posts as a person, on a page.
    pub async fn as_mei(&self, path: &str, body: Value) -> Value {
        self.as_mei_at(0, path, body).await
    }

    pub async fn as_mei_at(&self, server: usize, path: &str, body: Value) -> Value {
        let (url, origin) = (self.url(server, path), self.url(server, ""));
        let request = self.http.post(url).header("cookie", &self.cookie).header("origin", origin);
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status();
        let body = answer.json().await.unwrap_or(Value::Null);
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    pub fn url(&self, server: usize, path: &str) -> String {
        format!("http://{}{path}", self.servers[server].address)
    }

    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        self.ask_at(0, method, path, body).await
    }

    pub async fn ask_at(&self, server: usize, method: &str, path: &str, body: Value) -> Value {
        let mut request = self.signed(self.http.request(method.parse().unwrap(), self.url(server, path)));
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body = answer.json().await.unwrap_or(Value::Null);
        assert!(status.is_success(), "{method} {path}: {status} {body}");
        body
    }

    fn repository(&self, service: &str) -> PathBuf {
        self.dir.path().join("repositories").join(service)
    }

    /// Commits a version of its own and deploys it.
    pub async fn deploy(&mut self, service: &str) -> i64 {
        self.commit(service);
        let deploy = self.ask("POST", "/api/deploys", json!({"service": service})).await;
        deploy["number"].as_i64().unwrap()
    }

    pub fn commit(&mut self, service: &str) {
        self.releases += 1;
        let (root, version) = (self.repository(service), self.releases.to_string());
        std::fs::write(root.join("version.txt"), &version).unwrap();
        git(&root, &["add", "--all"]);
        git(&root, &["-c", "user.name=ana", "-c", "user.email=ana@demo.example", "commit", "--quiet", "-m", &version]);
    }

    /// Ends the locks that deploys left which went back by themselves; how many there were.
    pub async fn unlock(&self) -> usize {
        let locks = self.ask("GET", "/api/locks", Value::Null).await;
        let locks = locks["items"].as_array().unwrap();
        for lock in locks {
            let id = lock["id"].as_str().unwrap();
            self.ask("DELETE", &format!("/api/locks/{id}"), Value::Null).await;
        }
        locks.len()
    }

    pub async fn look(&self, number: i64) -> Value {
        self.look_at(0, number).await
    }

    pub async fn look_at(&self, server: usize, number: i64) -> Value {
        self.ask_at(server, "GET", &format!("/api/deploys/{number}"), Value::Null).await
    }

    pub async fn wait(&self, number: i64, wanted: &[&str]) -> Value {
        self.wait_at(0, number, wanted).await
    }

    pub async fn wait_at(&self, server: usize, number: i64, wanted: &[&str]) -> Value {
        until(&format!("deploy {number} to be {wanted:?}"), PATIENCE, async || {
            let deploy = self.look_at(server, number).await;
            let found = wanted.iter().any(|w| deploy["state"] == *w);
            assert!(found || deploy["finished_at"].is_null(), "it ended otherwise, not {wanted:?}: {deploy:#}");
            found.then_some(deploy)
        })
        .await
    }

    /// The first host holds the release, and the second one, which stands still, has nothing of it.
    pub async fn is_on_the_first_alone(&self, number: i64) -> Value {
        until("the first host alone to hold it", PATIENCE, async || {
            let deploy = self.look(number).await;
            let hosts = deploy["hosts"].as_array().unwrap();
            let state = |name: &str| hosts.iter().find(|host| host["host"] == name).unwrap()["state"].clone();
            // an order that it does not take for long is given back
            let is_without = ["staging", "waiting"].iter().any(|word| state("host-2") == *word);
            let there = deploy["state"] == "staging" && state("host-1") == "staged" && is_without;
            there.then_some(deploy)
        })
        .await
    }

    /// The first server's disk lost what an artifact is made of.
    pub fn forget_artifact(&self, digest: &str) {
        std::fs::remove_file(self.servers[0].dir.join(format!("data/manifests/{digest}.json"))).unwrap();
    }

    pub async fn kinds(&self, server: usize, number: i64) -> Vec<String> {
        let path = format!("/api/events?deploy={number}&limit=500");
        let events = self.ask_at(server, "GET", &path, Value::Null).await;
        let of = |e: &&Value| e["subject"]["deploy"].as_i64() == Some(number);
        events["items"].as_array().unwrap().iter().filter(of).map(|e| e["kind"].as_str().unwrap().to_owned()).collect()
    }

    pub fn flag(&self, name: &str, on: bool) {
        let path = self.dir.path().join(name);
        if on { std::fs::write(path, "").unwrap() } else { std::fs::remove_file(path).unwrap() }
    }

    /// How often a hook of a deploy was begun, by what it printed first, on all servers together.
    pub async fn hooks_run(&self, number: i64) -> usize {
        self.said(number, "hook begun").await
    }

    /// How often a line stands in the logs of a deploy, on all servers together.
    pub async fn said(&self, number: i64, line: &str) -> usize {
        let mut count = 0;
        for server in 0..self.servers.len() {
            let log = self.ask_at(server, "GET", &format!("/api/deploys/{number}/log"), Value::Null).await;
            count += log["items"].as_array().unwrap().iter().filter(|l| l["text"] == line).count();
        }
        count
    }

    /// Asks the server to stop, as a service manager does, and waits until it has.
    pub fn stop_server(&mut self) {
        signal(self.servers[0].pid(), "-TERM");
        self.servers[0].process.wait().unwrap();
    }

    pub fn kill_server(&mut self) {
        self.servers[0].process.kill().unwrap();
        self.servers[0].process.wait().unwrap();
    }

    /// How it died by itself, if it has.
    pub fn server_died(&mut self) -> Option<ExitStatus> {
        self.servers[0].process.try_wait().unwrap().inspect(|status| assert!(status.signal().is_some(), "{status}"))
    }

    pub async fn start_server(&mut self, environment: &[(&str, String)]) {
        let dir = self.servers[0].dir.clone();
        self.servers[0] = Server::start(dir, &self.servers[0].address, &self.database, environment);
        let health = self.url(0, "/healthz");
        until("the server", PATIENCE, async || self.http.get(&health).send().await.ok()).await;
    }

    pub fn start_agent(&mut self, host: usize, environment: &[(&str, String)]) {
        let name = format!("host-{host}");
        let log = File::options().create(true).append(true).open(self.dir.path().join(format!("{name}.log"))).unwrap();
        let servers: Vec<String> = (0..self.servers.len()).map(|at| self.url(at, "")).collect();
        let child = Command::new(BINARY)
            .args(["agent", "--server", &servers.join(","), "--name", &name, "--no-host-metrics", "--dir"])
            .arg(self.dir.path().join(&name))
            .env("TENFOLD_TOKEN", &self.agent_token)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.agents[host - 1] = Some(child);
    }

    pub fn agent_pid(&self, host: usize) -> u32 {
        self.agents[host - 1].as_ref().unwrap().id()
    }

    pub fn kill_agent(&mut self, host: usize) {
        let mut agent = self.agents[host - 1].take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
    }

    pub fn agent_died(&mut self, host: usize) -> bool {
        self.agents[host - 1].as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Adds the token that makes a request the test's own.
    pub fn signed(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.bearer_auth(&self.token)
    }

    pub async fn is_told_connected(&self, host: usize) -> bool {
        let hosts = self.ask("GET", "/api/hosts", Value::Null).await;
        let name = format!("host-{host}");
        hosts["items"].as_array().unwrap().iter().any(|h| h["name"] == *name && h["state"] == "connected")
    }

    /// All hosts are connected to the first server.
    pub async fn connected(&self) {
        until("the agents", PATIENCE, async || self.is_connected().await.then_some(())).await;
    }

    async fn is_connected(&self) -> bool {
        let hosts = self.ask("GET", "/api/hosts", Value::Null).await;
        let hosts = hosts["items"].as_array().unwrap();
        hosts.iter().filter(|h| h["state"] == "connected").count() == self.agents.len()
    }

    /// What a host runs of a service by its own disk: the digest in the agent's state and the one that `current` points to.
    pub fn on_disk(&self, host: usize, service: &str) -> Option<String> {
        let place = self.dir.path().join(format!("host-{host}/services/{service}"));
        let kept = self.kept(host, service);
        let digest = kept["current"]["digest"].as_str()?.to_owned();
        let link = std::fs::read_link(place.join("current")).ok()?;
        (link.file_name()?.to_str()? == digest).then_some(digest)
    }

    pub fn kept(&self, host: usize, service: &str) -> Value {
        tenfold_runner::agent::state_of(&self.dir.path().join(format!("host-{host}")), service)
    }

    /// The server says of every host what is on its disk and what answers there.
    async fn tells_the_truth(&self) -> bool {
        let hosts = self.ask("GET", "/api/hosts", Value::Null).await;
        for host in 1..=self.agents.len() {
            let name = format!("host-{host}");
            let Some(told) = hosts["items"].as_array().unwrap().iter().find(|h| h["name"] == *name) else {
                return false;
            };
            let release = &told["releases"][0];
            if told["state"] != "connected"
                || release["digest"].as_str().map(str::to_owned) != self.on_disk(host, "photos")
            {
                return false;
            }
            let Some(address) = release["address"].as_str() else {
                if release.is_null() {
                    continue;
                }
                return false;
            };
            let Ok(answer) = self.http.get(format!("http://{address}/")).send().await else { return false };
            let version = answer.text().await.unwrap_or_default();
            let root = self.dir.path().join(format!("host-{host}/services/photos/current/version.txt"));
            if release["state"] != "running" || std::fs::read_to_string(root).ok() != Some(version) {
                return false;
            }
        }
        true
    }

    /// Within ten seconds of a restart: the deploy goes on, or has ended and says so, and the hosts are as they are.
    pub async fn is_back(&self, number: i64, resumed_before: usize, server_was_killed: bool) {
        until("what is true after the restart", BACK_WITHIN, async || {
            let deploy = self.look(number).await;
            let resumed = self.kinds(0, number).await.iter().filter(|k| *k == "deploy.resumed").count();
            let goes_on = !server_was_killed || resumed > resumed_before || !deploy["finished_at"].is_null();
            let begun_anew = deploy["state"] == "building" || deploy["state"] == "staging";
            ((goes_on || begun_anew) && self.tells_the_truth().await).then_some(())
        })
        .await;
    }

    /// Nothing runs but servers, agents and what each host keeps.
    pub async fn nothing_is_left_over(&self) {
        until("what was left over to end", BACK_WITHIN, async || {
            let mut known: Vec<u32> = self.servers.iter().map(Server::pid).collect();
            known.extend(self.agents.iter().flatten().map(Child::id));
            for host in 1..=self.agents.len() {
                let pid = self.kept(host, "photos")["current"]["process"]["pid"].as_u64();
                known.extend(pid.and_then(|pid| u32::try_from(pid).ok()));
            }
            let left: Vec<u32> = belonging(self.dir.path()).into_iter().filter(|pid| !known.contains(pid)).collect();
            left.is_empty().then_some(())
        })
        .await;
    }

    pub async fn record_is_whole(&self) {
        let record = self.ask("GET", "/api/events/verify", Value::Null).await;
        assert_eq!(record["ok"], true, "{record}");
    }
}

fn git(dir: &Path, args: &[&str]) {
    assert!(Command::new("git").args(args).current_dir(dir).status().unwrap().success(), "git {args:?}");
}

/// What of the pipeline file the cases differ in.
#[derive(Default)]
pub struct Pipeline {
    pub build_ms: u32,
    /// Lines of the target.
    pub target: String,
    /// A hook that takes so long, and whether it may be run again.
    pub hook: Option<(&'static str, u32, bool)>,
}

impl Pipeline {
    fn text(&self, service: &str) -> String {
        let wait = |ms: u32| format!("setTimeout(() => console.log('done'), {ms})");
        let target = if self.target.is_empty() { "canary: {hosts: 1, hold_s: 1}" } else { &self.target };
        let hooks = self.hook.map_or_else(String::new, |(at, ms, idempotent)| {
            let code = format!("console.log('hook begun'); {}", wait(ms));
            format!("hooks:\n  {at}: {{command: [node, -e, \"{code}\"], idempotent: {idempotent}}}\n")
        });
        format!(
            "service: {service}\nbuild:\n  command: [node, -e, \"console.log('build begun'); {}\"]\nrun:\n  command: [node, server.mjs]\n  drain_s: 0\n  keep_warm_s: 0\n\
             health: {{http: /}}\ntargets:\n  production:\n    batch: 1\n    {target}\n{hooks}",
            wait(self.build_ms)
        )
    }
}

/// `slow`: it takes its time until it answers; `broken`: it ends.
const SERVER: &str = "import fs from 'node:fs';
import http from 'node:http';
if (fs.existsSync('DIR/broken')) process.exit(1);
const version = fs.readFileSync('version.txt', 'utf8');
const server = http.createServer((request, response) => response.end(version));
const listen = () => server.listen(Number(process.env.PORT), '127.0.0.1');
if (fs.existsSync('DIR/slow')) setTimeout(listen, 1500); else listen();
";
