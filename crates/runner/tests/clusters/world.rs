//! A server in this process, with a repository whose build names an image, and a cluster in its settings.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tenfold_app::deploys::views::{Deploy, NewDeploy, ServiceUpdate};
use tenfold_app::settings::{ClusterKind, ClusterSettings};
use tenfold_app::{App, Caller, Role, Settings};
use tenfold_runner::{BuildParent, Clusters, Executors, GitRunner};
use tenfold_store::Db;
use tenfold_testkit::{RealClock, TestEntropy};
use tenfold_types::Clock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Nothing here takes longer on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// The token that the cluster is given, and nobody else.
pub const TOKEN: &str = "s3cret-token-of-the-cluster";

pub struct World {
    pub dir: tempfile::TempDir,
    running: Option<(App, CancellationToken, TaskTracker)>,
    cluster: ClusterSettings,
}

impl World {
    pub async fn new(kind: ClusterKind, url: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("data")).unwrap();
        let token = dir.path().join("token");
        std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
        let cluster = ClusterSettings {
            name: "main".into(),
            kind,
            url: url.to_owned(),
            ca_file: None,
            token_file: Some(token),
            in_cluster: false,
            environments: vec!["production".into()],
            namespaces: vec!["shop".into(), "default".into()],
            services: vec!["photos".into()],
        };
        let mut world = Self { dir, running: None, cluster };
        world.start().await;
        std::fs::create_dir_all(world.repository().join(".tenfold")).unwrap();
        git(&world.repository(), &["init", "--quiet", "--initial-branch", "main"]);
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
        world
    }

    /// On the data that is there.
    pub async fn start(&mut self) {
        let data = self.dir.path().join("data");
        let settings = Settings { data_dir: data.clone(), clusters: vec![self.cluster.clone()], ..Settings::default() };
        let db = Db::open_sqlite(data.join("state.db"), tenfold_testkit::sealer()).await.unwrap();
        let open = async {
            loop {
                // an earlier server of the same test lets its files go when its last task ends
                match tenfold_app::metrics::State::open(&settings) {
                    Ok(metrics) => return metrics,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let metrics = tokio::time::timeout(PATIENCE, open).await.unwrap();
        let entropy = Arc::new(TestEntropy::seeded(u64::from(std::process::id())));
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        let clusters = Clusters::new(&settings.clusters, &clock).unwrap().unwrap();
        let app = App::new(db, clock.clone(), entropy, settings, metrics);
        let parent = BuildParent { program: env!("CARGO_BIN_EXE_tenfold-sandbox").into(), hide: Vec::new() };
        let builds = tenfold_app::settings::Builds::default();
        let executors = Executors::new(Some(clusters), &data, builds.clone(), Some(parent.clone()), clock);
        app.deploys.set_runner(Arc::new(GitRunner::new(&data, builds, Some(parent))));
        app.deploys.set_executor(Arc::new(executors));
        tenfold_app::load(&app).await.unwrap();
        let stop = CancellationToken::new();
        let tasks = tenfold_app::start(&app, &stop);
        self.running = Some((app, stop, tasks));
    }

    /// Ends every task where it stands, as a kill would, and starts anew on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    pub async fn stop(&mut self) {
        let (app, stop, tasks) = self.running.take().expect("it runs");
        stop.cancel();
        tasks.wait().await;
        drop(app);
    }

    pub fn app(&self) -> &App {
        &self.running.as_ref().expect("it runs").0
    }

    pub fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    /// Commits a release: the pipeline's target, and the image that its build names.
    pub fn commit(&self, target: &str, image: &str) -> String {
        let root = self.repository();
        let pipeline = format!("{PIPELINE}{target}");
        std::fs::write(root.join(".tenfold/deploy.yaml"), pipeline).unwrap();
        std::fs::write(root.join("image"), image).unwrap();
        git(&root, &["add", "--all"]);
        git(&root, &["-c", "user.name=ana", "-c", "user.email=ana@demo.example", "commit", "--quiet", "-m", image]);
        git(&root, &["rev-parse", "HEAD"])
    }

    /// A file of the next commit.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.repository().join(name), text).unwrap();
    }

    pub async fn deploy(&self) -> Deploy {
        self.app().deploy_start(&mei(), new_deploy()).await.unwrap()
    }

    /// Waits until the deploy is in a state; panics when it ends in another.
    pub async fn state(&self, number: i64, wanted: &str) -> Deploy {
        let app = self.app();
        let mut changes = app.deploys.changes();
        let wait = async {
            loop {
                let deploy = app.deploy(number).await.unwrap();
                if deploy.state == wanted {
                    return deploy;
                }
                assert!(deploy.finished_at.is_none(), "it ended otherwise: {deploy:#?}\n{}", self.log(number));
                let _ = changes.recv().await;
            }
        };
        if let Ok(deploy) = tokio::time::timeout(PATIENCE, wait).await {
            return deploy;
        }
        panic!("never {wanted}: {:#?}\n{}", app.deploy(number).await, self.log(number))
    }

    pub fn log(&self, number: i64) -> String {
        self.app().deploy_log(number).after(0).into_iter().map(|l| l.text + "\n").collect()
    }

    /// What the record, the log and the API say of a deploy.
    pub async fn everything(&self, number: i64) -> String {
        let query = tenfold_app::record::EventQuery { limit: 500, ascending: true, ..Default::default() };
        let events = self.app().events(query).await.unwrap();
        let deploy = self.app().deploy(number).await.unwrap();
        format!("{events:?}\n{deploy:?}\n{}", self.log(number))
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

pub fn new_deploy() -> NewDeploy {
    NewDeploy {
        service: "photos".into(),
        environment: "production".into(),
        reference: None,
        reason: None,
        override_reason: None,
    }
}

/// A reference with a digest.
pub fn image(name: &str) -> String {
    let digest = tenfold_deploys::Digest::of(name.as_bytes());
    format!("registry.example/{name}@sha256:{digest}")
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git").args(args).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

const PIPELINE: &str = "service: photos
build: {command: [sh, -c, 'mkdir -p dist && cp image dist/image && ! test -f job.hcl || cp job.hcl dist/'], timeout_s: 60}
artifact: {paths: ['dist/**']}
targets:
  production:
";
