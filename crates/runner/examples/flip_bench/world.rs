//! A server with its agents' door on TLS, and the agents, all in this process.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use tenfold_app::{
    App, Caller, Grant, Role, Settings,
    agents::NewEnrolment,
    deploys::views::{Deploy, NewDeploy, ServiceUpdate},
};
use tenfold_runner::{
    GitRunner,
    agent::{AgentConfig, run, stop_services},
};
use tenfold_store::Db;
use tenfold_testkit::{RealClock, TestEntropy};
use tenfold_types::{Actor, Source};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Flip, turned_ms};

/// Nothing takes longer, also on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);
/// Hosts that are named where something went wrong.
const NAMED_MAX: usize = 8;

pub struct World {
    dir: tempfile::TempDir,
    app: App,
    stop: CancellationToken,
    tasks: TaskTracker,
    serving: JoinHandle<()>,
    agents: Vec<(CancellationToken, JoinHandle<std::io::Result<()>>)>,
    hosts: Vec<PathBuf>,
}

impl World {
    pub async fn new(hosts: usize) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("data");
        std::fs::create_dir_all(&data).expect("a folder");
        let mut settings = Settings { data_dir: data.clone(), ..Settings::default() };
        settings.agents.listen = "127.0.0.1:0".into();
        let db = Db::open_sqlite(data.join("state.db"), tenfold_testkit::sealer()).await.expect("a database");
        let metrics = tenfold_app::metrics::State::open(&settings).expect("a store");
        let app = App::new(db, Arc::new(RealClock), Arc::new(TestEntropy::seeded(1)), settings, metrics);
        app.deploys.set_runner(Arc::new(GitRunner::new(&data, tenfold_app::settings::Builds::default(), None)));
        tenfold_app::load(&app).await.expect("it loads");
        let stop = CancellationToken::new();
        let tasks = tenfold_app::start(&app, &stop);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let config = tenfold_app::agents::server_config(&app).expect("a config").expect("an authority");
        let router = tenfold_http::agents_router(app.clone());
        let serving = tokio::spawn(tenfold_http::server::serve_tls(listener, config, router, stop.clone()));
        let (agents, folders) = (Vec::new(), Vec::new());
        let mut world = Self { dir, app, stop, tasks, serving, agents, hosts: folders };
        world.make_repository().await;
        for i in 1..=hosts {
            world.start_agent(&format!("host-{i}"), &format!("https://{address}")).await;
        }
        world.until(|app| app.hosts().iter().filter(|h| h.state == "connected").count() == hosts).await;
        world
    }

    async fn start_agent(&mut self, name: &str, server: &str) {
        let new = NewEnrolment { host: name.into(), environment: "production".into(), good_for_s: None };
        let secret = self.app.enrolment_create(&Caller::system(), new).await.expect("an enrolment").secret;
        let dir = self.dir.path().join("hosts").join(name);
        let config = AgentConfig {
            servers: vec![server.to_owned()],
            token: String::new(),
            enrolment: Some(secret),
            name: name.to_owned(),
            environment: "production".into(),
            labels: BTreeMap::new(),
            dir: dir.clone(),
            address: "127.0.0.1".into(),
            version: "bench".into(),
            clock: Arc::new(RealClock),
            host: None,
            launcher: None,
        };
        let stop = CancellationToken::new();
        self.agents.push((stop.clone(), tokio::spawn(run(config, stop))));
        self.hosts.push(dir);
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    async fn make_repository(&self) {
        let root = self.repository();
        std::fs::create_dir_all(root.join(".tenfold")).expect("a folder");
        git(&root, &["init", "--quiet", "--initial-branch", "main"]);
        self.write_pipeline("links");
        self.commit("nothing yet");
        let update = ServiceUpdate {
            description: String::new(),
            repository: root.to_string_lossy().into_owned(),
            branch: "main".into(),
            environments: vec!["production".into()],
            owner_team: String::new(),
            policy: None,
            pipeline_path: ".tenfold/deploy.yaml".into(),
            dependencies: Vec::new(),
        };
        self.app.service_put(&Caller::system(), "site", update).await.expect("a service");
    }

    pub fn write_pipeline(&self, kind: &str) {
        let own = std::env::current_exe().expect("this program");
        let run = match kind {
            "links" => "{reload: []}".to_owned(),
            _ => format!("{{command: ['{}', serve], stop_within_s: 2}}", own.display()),
        };
        let text = format!(
            "service: site\nartifact: {{paths: [version.txt]}}\nrun: {run}\nhealth: {{http: /, within_s: 120}}\n\
             targets:\n  production:\n    hosts: all\n    canary: {{hosts: 0}}\n    batch: 100%\n    \
             approve: {{count: 1, by: [raj]}}\n"
        );
        std::fs::write(self.repository().join(".tenfold/deploy.yaml"), text).expect("a file");
    }

    pub fn commit(&self, version: &str) {
        let root = self.repository();
        std::fs::write(root.join("version.txt"), version).expect("a file");
        git(&root, &["add", "--all"]);
        git(&root, &["-c", "user.name=ana", "-c", "user.email=ana@demo.example", "commit", "--quiet", "-m", version]);
    }

    pub fn now_ms(&self) -> f64 {
        self.app.now().0 as f64
    }

    pub async fn deploy(&self) -> Result<i64, String> {
        let new = NewDeploy {
            service: "site".into(),
            environment: "production".into(),
            reference: None,
            reason: None,
            override_reason: None,
        };
        let started = self.app.deploy_start(&person("mei"), new).await;
        Ok(started.map_err(|fault| format!("a deploy is refused: {fault}"))?.number)
    }

    /// Waits until all hosts stand ready.
    pub async fn prepared(&self, number: i64, hosts: usize) -> Result<(), String> {
        self.wait(number, |d| d.hosts.iter().filter(|h| h.state == "prepared").count() == hosts).await
    }

    pub async fn approve(&self, number: i64) -> Result<(), String> {
        let approved = self.app.deploy_approve(&person("raj"), number).await;
        approved.map(|_| ()).map_err(|fault| format!("the approval of deploy {number} failed: {fault}"))
    }

    pub async fn roll_back(&self, number: i64) -> Result<i64, String> {
        let begun = self.app.deploy_rollback(&person("mei"), number, None).await;
        Ok(begun.map_err(|fault| format!("the way back of deploy {number} is refused: {fault}"))?.number)
    }

    /// When each link was turned since the click, once the deploy is over.
    pub async fn flipped(&self, number: i64, click: f64) -> Result<Flip, String> {
        self.wait(number, |d| d.state == "succeeded").await?;
        let over = self.now_ms() - click;
        let deploy = self.app.deploy(number).await.map_err(|fault| fault.to_string())?;
        let digest = deploy.digest.ok_or_else(|| format!("deploy {number} succeeded without an artifact"))?;
        let mut links = Vec::new();
        for dir in &self.hosts {
            let link = dir.join("services/site/current");
            let wrong = |why: String| format!("deploy {number}: {} {why}", link.display());
            let target = std::fs::read_link(&link).map_err(|e| wrong(format!("cannot be read: {e}")))?;
            if !target.ends_with(&digest) {
                return Err(wrong(format!("leads to {}, not to {digest}", target.display())));
            }
            let turned = turned_ms(&link).map_err(|e| wrong(format!("cannot be read: {e}")))? - click;
            // the file system's clock ticks every few milliseconds
            if turned < -10.0 {
                return Err(wrong(format!("was turned {:.0} ms before the click", -turned)));
            }
            links.push(turned);
        }
        links.sort_by(f64::total_cmp);
        Ok(Flip { links, over })
    }

    async fn wait(&self, number: i64, done: impl Fn(&Deploy) -> bool) -> Result<(), String> {
        let mut changes = self.app.deploys.changes();
        let wait = async {
            loop {
                let deploy = self.app.deploy(number).await.map_err(|fault| fault.to_string())?;
                if done(&deploy) {
                    return Ok(());
                }
                if deploy.finished_at.is_some() || matches!(deploy.state.as_str(), "held" | "needs_human") {
                    return Err(format!("it ended otherwise: {}", self.tells(&deploy)));
                }
                let _ = changes.recv().await;
                // many hosts answer at once: one look is enough
                tokio::time::sleep(Duration::from_millis(20)).await;
                changes = changes.resubscribe();
            }
        };
        let Ok(waited) = tokio::time::timeout(PATIENCE, wait).await else {
            let deploy = self.app.deploy(number).await.map_err(|fault| fault.to_string())?;
            return Err(format!("{} s passed: {}", PATIENCE.as_secs(), self.tells(&deploy)));
        };
        waited
    }

    /// The deploy and the hosts that are not as the others, for whoever looks for what went wrong.
    fn tells(&self, deploy: &Deploy) -> String {
        let error = deploy.error.as_deref().unwrap_or("no error");
        let mut text = format!("deploy {} is {} ({error})", deploy.number, deploy.state);
        let odd: Vec<_> = deploy
            .hosts
            .iter()
            .filter(|h| h.away_since.is_some() || !matches!(h.state.as_str(), "prepared" | "healthy"))
            .collect();
        for host in odd.iter().take(NAMED_MAX) {
            let away = if host.away_since.is_some() { ", its agent is away" } else { "" };
            let said = host.message.as_deref().unwrap_or_default();
            text = format!("{text}\n  {}: {}{away} {said}", host.host, host.state);
        }
        let gone = self.app.hosts().iter().filter(|h| h.state != "connected").count();
        format!(
            "{text}\n  {} hosts in all are neither prepared nor healthy, {gone} agents are not connected",
            odd.len()
        )
    }

    async fn until(&self, done: impl Fn(&App) -> bool) {
        let wait = async {
            while !done(&self.app) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it does not take that long");
    }

    pub async fn end(self) {
        for (stop, task) in self.agents {
            stop.cancel();
            let _ = task.await;
        }
        self.stop.cancel();
        self.tasks.wait().await;
        let _ = self.serving.await;
        for dir in &self.hosts {
            if let Err(error) = stop_services(dir).await {
                eprintln!("what runs in {} could not be ended: {error}", dir.display());
            }
        }
    }
}

fn person(login: &str) -> Caller {
    let mut caller = Caller::system();
    caller.actor = Actor::person(login);
    login.clone_into(&mut caller.name);
    caller.source = Source::Web;
    caller.grants = vec![Grant::everywhere(Role::Deployer)];
    caller
}

fn git(dir: &Path, args: &[&str]) {
    let output = Command::new("git").args(args).current_dir(dir).output().expect("git is installed");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
