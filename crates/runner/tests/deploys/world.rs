//! A real server on a free port, real agents in this process, a real git repository, and services on node.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use tenfold_app::{
    App, Caller, Role, Settings,
    deploys::views::{Deploy, NewDeploy, ServiceUpdate},
    people::{NewToken, TokenKind},
};
use tenfold_runner::{
    GitRunner,
    agent::{AgentConfig, run, state_of, stop_services},
};
use tenfold_store::Db;
use tenfold_testkit::{RealClock, TestEntropy};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Nothing here takes longer on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub struct Server {
    pub app: App,
    pub address: SocketAddr,
    stop: CancellationToken,
    tasks: tokio_util::task::TaskTracker,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(data: &Path, address: &str) -> Self {
        let mut settings = Settings { data_dir: data.to_owned(), ..Settings::default() };
        settings.metrics.scrape_interval_ms = 1_000;
        let db = Db::open_sqlite(data.join("state.db"), tenfold_testkit::sealer()).await.unwrap();
        // an earlier server of the same test lets its files go when its last task ends
        let metrics = tokio::time::timeout(PATIENCE, async {
            loop {
                match tenfold_app::metrics::State::open(&settings) {
                    Ok(metrics) => return metrics,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        })
        .await
        .expect("the data directory is free");
        let entropy = Arc::new(TestEntropy::seeded(u64::from(std::process::id())));
        let app = App::new(db, Arc::new(RealClock), entropy, settings, metrics);
        app.deploys.set_runner(Arc::new(GitRunner::new(
            data,
            tenfold_app::settings::Builds::default(),
            Some(tenfold_runner::BuildParent {
                program: env!("CARGO_BIN_EXE_tenfold-sandbox").into(),
                hide: Vec::new(),
            }),
        )));
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        tenfold_app::load(&app).await.unwrap();
        let stop = CancellationToken::new();
        let tasks = tenfold_app::start(&app, &stop);
        let serving =
            tokio::spawn(tenfold_http::server::serve(listener, tenfold_http::router(app.clone()), stop.clone()));
        Self { app, address, stop, tasks, serving }
    }

    /// Ends every task where it stands, as a kill would.
    pub async fn crash(self) {
        self.stop.cancel();
        self.tasks.wait().await;
        self.serving.abort();
        let _ = self.serving.await;
    }
}

pub struct Agent {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Agent {
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

pub struct World {
    pub dir: tempfile::TempDir,
    pub server: Option<Server>,
    pub agents: BTreeMap<String, Agent>,
    token: String,
    hosts: Vec<PathBuf>,
}

/// Whether the machine has what the services of these tests run on.
pub fn ready() -> bool {
    let found = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let ready = found("node") && found("git");
    if !ready {
        tenfold_testkit::peer_is_missing("these tests need node and git");
    }
    ready
}

impl World {
    pub async fn new(hosts: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("data")).unwrap();
        let server = Server::start(&dir.path().join("data"), "127.0.0.1:0").await;
        let new = NewToken {
            name: "agents".into(),
            kind: TokenKind::Agent,
            role: None,
            service: None,
            environment: None,
            projects: Vec::new(),
            expires_at: None,
        };
        let token = server.app.token_create(&Caller::system(), new).await.unwrap().secret;
        let mut world = Self { dir, server: Some(server), agents: BTreeMap::new(), token, hosts: Vec::new() };
        world.make_repository();
        let update = ServiceUpdate {
            description: String::new(),
            repository: world.repository().to_string_lossy().into_owned(),
            branch: "main".into(),
            environments: vec!["production".into()],
            owner_team: String::new(),
            policy: None,
            pipeline_path: ".tenfold/deploy.yaml".into(),
            dependencies: Vec::new(),
        };
        world.app().service_put(&Caller::system(), "photos", update).await.unwrap();
        for i in 1..=hosts {
            world.start_agent(&format!("host-{i}"));
        }
        world.connected(hosts).await;
        world
    }

    pub fn app(&self) -> &App {
        &self.server.as_ref().expect("the server runs").app
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.as_ref().expect("the server runs").address)
    }

    pub fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    pub fn host_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join("hosts").join(name)
    }

    pub fn start_agent(&mut self, name: &str) {
        self.start_agent_in(name, "production");
    }

    pub fn start_agent_in(&mut self, name: &str, environment: &str) {
        let dir = self.host_dir(name);
        let config = AgentConfig {
            servers: vec![self.url()],
            token: self.token.clone(),
            enrolment: None,
            name: name.to_owned(),
            environment: environment.to_owned(),
            labels: BTreeMap::from([("role".into(), "web".into())]),
            dir: dir.clone(),
            address: "127.0.0.1".into(),
            version: "test".into(),
            clock: Arc::new(RealClock),
            host: Some(tenfold_runner::host::Host::default()),
            launcher: Some(env!("CARGO_BIN_EXE_tenfold-sandbox").into()),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { run(config, stop).await.unwrap() }
        });
        self.agents.insert(name.to_owned(), Agent { stop, task });
        if !self.hosts.contains(&dir) {
            self.hosts.push(dir);
        }
    }

    pub async fn stop_agent(&mut self, name: &str) {
        self.agents.remove(name).expect("the agent runs").stop().await;
    }

    pub async fn connected(&self, wanted: usize) {
        self.until("the agents to connect", |app| {
            app.hosts().iter().filter(|h| h.state == "connected").count() == wanted
        })
        .await;
    }

    /// Asks again whenever something may have changed.
    pub async fn until(&self, what: &str, done: impl Fn(&App) -> bool) {
        let app = self.app();
        let look = async {
            while !done(app) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, look).await.is_ok(), "waited in vain for {what}");
    }

    /// Ends the server without warning and starts it again on the same data and address.
    pub async fn restart_server(&mut self) {
        self.restart_server_while(|_| {}).await;
    }

    /// With what happens to its data folder in between.
    pub async fn restart_server_while(&mut self, away: impl FnOnce(&Path)) {
        let server = self.server.take().expect("the server runs");
        let address = server.address.to_string();
        server.crash().await;
        let data = self.dir.path().join("data");
        away(&data);
        self.server = Some(Server::start(&data, &address).await);
    }

    pub async fn deploy(&self) -> Deploy {
        self.app().deploy_start(&mei(), new_deploy(None)).await.unwrap()
    }

    /// Waits until the deploy is in one of the states; panics when it ends in another.
    pub async fn state(&self, number: i64, wanted: &[&str]) -> Deploy {
        let app = self.app();
        let mut changes = app.deploys.changes();
        let wait = async {
            loop {
                let deploy = app.deploy(number).await.unwrap();
                if wanted.contains(&deploy.state.as_str()) {
                    return deploy;
                }
                assert!(
                    deploy.finished_at.is_none(),
                    "it ended otherwise: {deploy:#?}\n{:#?}",
                    app.deploy_log(number).after(0)
                );
                let _ = changes.recv().await;
            }
        };
        if let Ok(deploy) = tokio::time::timeout(PATIENCE, wait).await {
            return deploy;
        }
        panic!("never {wanted:?}: {:#?}", app.deploy(number).await)
    }

    /// What the hosts answer over HTTP, by the addresses the server gives out.
    pub async fn versions(&self) -> Vec<String> {
        let mut answers = Vec::new();
        for host in self.app().hosts() {
            let Some(address) = host.releases.first().and_then(|r| r.address.clone()) else { continue };
            let answer = reqwest::get(format!("http://{address}/")).await;
            answers.push(match answer {
                Ok(answer) => answer.text().await.unwrap(),
                Err(error) => format!("error: {error}"),
            });
        }
        answers
    }

    pub async fn kinds(&self, deploy: i64) -> Vec<String> {
        let query = tenfold_app::record::EventQuery {
            correlation: Some(format!("deploy:{deploy}")),
            limit: 500,
            ascending: true,
            ..Default::default()
        };
        self.app().events(query).await.unwrap().into_iter().map(|e| e.kind).collect()
    }

    pub async fn text(&self, deploy: i64, kind: &str) -> String {
        let query = tenfold_app::record::EventQuery {
            correlation: Some(format!("deploy:{deploy}")),
            limit: 500,
            ascending: true,
            ..Default::default()
        };
        let events = self.app().events(query).await.unwrap();
        events.into_iter().find(|e| e.kind == kind).map(|e| e.text).unwrap_or_default()
    }

    pub fn log_text(&self, deploy: i64) -> String {
        self.app().deploy_log(deploy).after(0).into_iter().map(|l| l.text + "\n").collect()
    }

    fn make_repository(&self) {
        let root = self.repository();
        std::fs::create_dir_all(root.join(".tenfold")).unwrap();
        self.write_pipeline("canary: {hosts: 1, hold_s: 0}");
        std::fs::write(root.join("build.mjs"), BUILD).unwrap();
        std::fs::write(root.join("server.mjs"), SERVER).unwrap();
        std::fs::write(root.join("version.txt"), "one").unwrap();
        git(&root, &["init", "--quiet", "--initial-branch", "main"]);
        self.commit_all("First version");
    }

    /// One more line at the end of the build.
    pub fn build_also(&self, line: &str) {
        std::fs::write(self.repository().join("build.mjs"), format!("{BUILD}\n{line}\n")).unwrap();
    }

    /// The target's settings besides its hosts.
    pub fn write_pipeline(&self, target: &str) {
        let text = format!("{PIPELINE}    {}\n", target.replace("; ", "\n    "));
        std::fs::write(self.repository().join(".tenfold/deploy.yaml"), text).unwrap();
    }

    pub fn commit(&self, version: &str) -> String {
        std::fs::write(self.repository().join("version.txt"), version).unwrap();
        self.commit_all(&format!("Version {version}"))
    }

    pub fn commit_all(&self, message: &str) -> String {
        let root = self.repository();
        git(&root, &["add", "--all"]);
        git(&root, &["-c", "user.name=ana", "-c", "user.email=ana@demo.example", "commit", "--quiet", "-m", message]);
        git(&root, &["rev-parse", "HEAD"])
    }

    /// Ends everything that was started. Also called when a test fails, by the drop of the folder's processes below.
    pub async fn end(mut self) {
        for (_, agent) in std::mem::take(&mut self.agents) {
            agent.stop().await;
        }
        if let Some(server) = self.server.take() {
            server.crash().await;
        }
        for dir in &self.hosts {
            stop_services(dir).await.unwrap();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // a test that failed half way leaves no process behind: kill by the pids the agents wrote down
        for dir in &self.hosts {
            let value = state_of(dir, "photos");
            for process in [&value["current"]["process"], &value["beside"]["active"]["process"]] {
                if std::thread::panicking()
                    && let Some(pid) = process["pid"].as_i64()
                {
                    let _ = Command::new("kill").args(["-9", "--", &format!("-{pid}")]).status();
                }
            }
        }
    }
}

pub fn mei() -> Caller {
    let mut caller = Caller::system();
    caller.actor = tenfold_types::Actor::person("mei");
    caller.name = "mei".into();
    caller.source = tenfold_types::Source::Web;
    caller.grants = vec![tenfold_app::Grant::everywhere(Role::Deployer)];
    caller
}

pub fn new_deploy(reference: Option<&str>) -> NewDeploy {
    NewDeploy {
        service: "photos".into(),
        environment: "production".into(),
        reference: reference.map(str::to_owned),
        reason: None,
        override_reason: None,
    }
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git").args(args).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

const PIPELINE: &str = r#"service: photos
build:
  command: [node, build.mjs]
  timeout_s: 60
artifact:
  paths: ["dist/**"]
run:
  command: [node, dist/server.mjs]
  drain_s: 0
  stop_within_s: 2
health: {http: /healthz, within_s: 15}
metrics: {path: /metrics}
targets:
  production:
    hosts: {role: web}
"#;

const BUILD: &str = r"
import fs from 'node:fs';
const version = fs.readFileSync('version.txt', 'utf8').trim();
console.log(`building ${version}`);
if (version === 'unbuildable') { console.error('no such module: left-pad'); process.exit(3); }
if (version === 'slow') { await new Promise((done) => setTimeout(done, 60_000)); }
fs.mkdirSync('dist', { recursive: true });
fs.copyFileSync('server.mjs', 'dist/server.mjs');
fs.writeFileSync('dist/version.txt', version);
fs.chmodSync('dist/server.mjs', 0o755);
console.log(`built ${version}`);
";

const SERVER: &str = r"
import fs from 'node:fs';
import http from 'node:http';
const version = fs.readFileSync(new URL('./version.txt', import.meta.url), 'utf8');
if (version === 'crashing') { console.error('cannot open the database'); process.exit(7); }
http.createServer((request, response) => {
  if (request.url === '/healthz') {
    response.writeHead(version === 'sick' ? 503 : 200);
    response.end();
  } else {
    response.end(version);
  }
}).listen(Number(process.env.PORT), '127.0.0.1');
";
