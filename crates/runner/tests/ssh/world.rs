//! A server, and for each host an sshd of its own with its own keys, folders and port.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tenfold_app::deploys::views::{Deploy, NewDeploy, ServiceUpdate};
use tenfold_app::settings::SshHost;
use tenfold_app::{App, Caller, Role, Settings};
use tenfold_runner::{BuildParent, GitRunner, ssh};
use tenfold_store::Db;
use tenfold_testkit::{RealClock, TestEntropy};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gate::Gate;

const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(50);

pub struct World {
    running: Option<Running>,
    settings: Settings,
    dir: tempfile::TempDir,
    sshds: BTreeMap<String, (u16, Child)>,
}

struct Running {
    app: App,
    stop: CancellationToken,
    tasks: Vec<TaskTracker>,
}

impl Running {
    /// On the data that is there; nothing goes on yet.
    async fn load(settings: &Settings) -> Self {
        let data = &settings.data_dir;
        let db = Db::open_sqlite(data.join("state.db"), tenfold_testkit::sealer()).await.unwrap();
        let open = async {
            loop {
                // an earlier server of the same test lets its files go when its last task ends
                match tenfold_app::metrics::State::open(settings) {
                    Ok(metrics) => return metrics,
                    Err(_) => tokio::time::sleep(LOOK).await,
                }
            }
        };
        let metrics = tokio::time::timeout(PATIENCE, open).await.unwrap();
        let entropy = Arc::new(TestEntropy::seeded(u64::from(std::process::id())));
        let app = App::new(db, Arc::new(RealClock), entropy, settings.clone(), metrics);
        let parent = BuildParent { program: env!("CARGO_BIN_EXE_tenfold-sandbox").into(), hide: Vec::new() };
        let builds = tenfold_app::settings::Builds::default();
        app.deploys.set_runner(Arc::new(GitRunner::new(data, builds, Some(parent))));
        tenfold_app::load(&app).await.unwrap();
        Self { app, stop: CancellationToken::new(), tasks: Vec::new() }
    }

    fn begin(&mut self) {
        self.tasks = vec![tenfold_app::start(&self.app, &self.stop), ssh::start(&self.app, &self.stop).unwrap()];
    }
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

const PIPELINE: &str = "service: photos\nartifact:\n  exclude: [\".tenfold/**\"]\nrun:\n  command: [unused]\n\
                        targets:\n  production:\n    hosts: {role: web}\n    canary: {hosts: 0}\n    batch: 100%\n";
/// The restart of a host: fails where the release says so.
const RESTART: &str =
    "case $(cat version.txt) in sick) exit 3;; broken-line) exit 255;; esac; cat version.txt > restarted";

impl World {
    /// `None`, with a line that says why, where there is no sshd.
    pub async fn new(hosts: &[&str]) -> Option<Self> {
        Self::with(hosts, |_| {}).await
    }

    /// The same, with hosts that are set up differently.
    pub async fn with(hosts: &[&str], change: impl Fn(&mut SshHost)) -> Option<Self> {
        Self::made(hosts, change, false).await
    }

    /// The same, with hosts that can be stopped in the middle of an order.
    pub async fn gated(hosts: &[&str]) -> Option<Self> {
        Self::made(hosts, |_| {}, true).await
    }

    async fn made(hosts: &[&str], change: impl Fn(&mut SshHost), gated: bool) -> Option<Self> {
        if !Path::new("/usr/sbin/sshd").exists() {
            tenfold_testkit::peer_is_missing("these tests need OpenSSH's server");
            return None;
        }
        if nix::unistd::geteuid().is_root() {
            // where it locks itself in before anybody has signed in
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        // the one kind and form that Capistrano's own ssh library can use as well
        run("ssh-keygen", &["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", &text(path("key"))]);
        std::fs::copy(path("key.pub"), path("authorized_keys")).unwrap();
        let (mut sshds, mut known, mut settings_hosts) = (BTreeMap::new(), Vec::new(), Vec::new());
        for name in hosts.iter().copied().chain(["stranger"]) {
            let key = path(&format!("host_key_{name}"));
            run("ssh-keygen", &["-q", "-t", "ecdsa", "-N", "", "-f", &text(key.clone())]);
            let gate = gated.then(|| gate_of(dir.path(), name).build());
            let (port, child) = sshd(dir.path(), name, &key, gate.as_deref());
            let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
            if name != "stranger" {
                let words: Vec<&str> = public.split(' ').take(2).collect();
                known.push(format!("[127.0.0.1]:{port} {}\n", words.join(" ")));
            }
            sshds.insert(name.to_owned(), (port, child));
            let mut host = SshHost {
                name: name.to_owned(),
                address: "127.0.0.1".into(),
                port,
                user: String::new(),
                environment: "production".into(),
                labels: BTreeMap::from([("role".into(), "web".into())]),
                deploy_to: format!("{}/{name}/{{service}}", dir.path().display()),
                linked_dirs: vec!["log".into()],
                linked_files: Vec::new(),
                health: Vec::new(),
                restart: ["sh", "-c", RESTART].map(str::to_owned).to_vec(),
                health_port: None,
            };
            change(&mut host);
            settings_hosts.push(host);
        }
        std::fs::write(path("known_hosts"), known.concat()).unwrap();
        let mut settings = Settings { data_dir: path("data"), ..Settings::default() };
        std::fs::create_dir_all(&settings.data_dir).unwrap();
        settings.ssh.known_hosts_file = Some(path("known_hosts"));
        settings.ssh.identity_file = Some(path("key"));
        settings.ssh.hosts = settings_hosts;
        let running = Some(Running::load(&settings).await);
        let mut world = Self { running, settings, dir, sshds };
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
        world.running.as_mut().expect("it runs").begin();
        Some(world)
    }

    /// On the data that a server left.
    pub async fn start(&mut self) {
        self.running.insert(Running::load(&self.settings).await).begin();
    }

    /// Ends every task where it stands, as a kill would.
    pub async fn crash(&mut self) {
        self.end().await;
        self.running = None;
    }

    pub fn app(&self) -> &App {
        &self.running.as_ref().expect("it runs").app
    }
    pub fn gate(&self, host: &str) -> Gate {
        gate_of(self.dir.path(), host)
    }
    /// Ends the connection whose step the host's gate stops.
    pub fn break_line(&self, host: &str) {
        run("kill", &["-9", &self.gate(host).holds().expect("a step is stopped")]);
    }
    /// Nobody is heard there any more, and the connection whose step the gate stops ends as well.
    pub fn stop_sshd(&mut self, host: &str) {
        let (_, child) = self.sshds.get_mut(host).expect("the host is known");
        child.kill().unwrap();
        child.wait().unwrap();
        self.break_line(host);
    }
    pub fn start_sshd(&mut self, host: &str) {
        let port = self.port(host);
        let child = listen(&config_of(self.dir.path(), host), port).expect("its port is free");
        self.sshds.insert(host.to_owned(), (port, child));
    }
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
    pub fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }
    /// The service's folder on a host.
    pub fn root(&self, host: &str) -> PathBuf {
        self.dir.path().join(host).join("photos")
    }
    pub fn port(&self, host: &str) -> u16 {
        self.sshds[host].0
    }
    /// What a file of the current release holds.
    pub fn file(&self, host: &str, path: &str) -> String {
        std::fs::read_to_string(self.root(host).join("current").join(path)).unwrap()
    }
    /// The commit a host is known to run.
    pub fn runs(&self, host: &str) -> Option<String> {
        let host = self.app().hosts().into_iter().find(|h| h.name == host)?;
        host.releases.first().map(|r| r.sha.clone())
    }
    /// How the release that a host runs is known to be.
    pub fn state_of(&self, host: &str) -> Option<String> {
        let host = self.app().hosts().into_iter().find(|h| h.name == host)?;
        host.releases.first().map(|r| r.state.clone())
    }
    pub fn log_text(&self, deploy: i64) -> String {
        self.app().deploy_log(deploy).after(0).into_iter().map(|l| l.text + "\n").collect()
    }

    pub async fn connected(&self, wanted: usize) {
        self.until("the hosts are reached", |w| {
            w.app().hosts().iter().filter(|h| h.state == "connected").count() == wanted
        })
        .await;
    }

    pub async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let look = async {
            while !done(self) {
                tokio::time::sleep(LOOK).await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, look).await.is_ok(),
            "waited in vain until {what}: {:?}",
            self.app().hosts()
        );
    }

    pub async fn deploy(&self) -> Deploy {
        let new = NewDeploy {
            service: "photos".into(),
            environment: "production".into(),
            reference: None,
            reason: None,
            override_reason: None,
        };
        self.app().deploy_start(&mei(), new).await.unwrap()
    }

    /// Waits until the deploy is in one of the states; panics when it ends in another.
    pub async fn state(&self, number: i64, wanted: &[&str]) -> Deploy {
        let mut changes = self.app().deploys.changes();
        let wait = async {
            loop {
                let deploy = self.app().deploy(number).await.unwrap();
                if wanted.contains(&deploy.state.as_str()) {
                    return deploy;
                }
                assert!(deploy.finished_at.is_none(), "it ended otherwise: {deploy:#?}\n{}", self.log_text(number));
                let _ = changes.recv().await;
            }
        };
        if let Ok(deploy) = tokio::time::timeout(PATIENCE, wait).await {
            return deploy;
        }
        panic!("never {wanted:?}: {:#?}\n{}", self.app().deploy(number).await, self.log_text(number))
    }

    /// What the record says of a deploy, oldest first.
    pub async fn kinds(&self, deploy: i64) -> Vec<String> {
        let query = tenfold_app::record::EventQuery {
            correlation: Some(format!("deploy:{deploy}")),
            limit: 500,
            ascending: true,
            ..Default::default()
        };
        self.app().events(query).await.unwrap().into_iter().map(|event| event.kind).collect()
    }

    fn git(&self, args: &[&str]) -> String {
        let root = self.repository();
        run("git", &[&["-C", root.to_str().unwrap()], args].concat())
    }

    fn make_repository(&self) {
        let root = self.repository();
        std::fs::create_dir_all(root.join(".tenfold")).unwrap();
        std::fs::create_dir_all(root.join("deep/er")).unwrap();
        std::fs::write(root.join(".tenfold/deploy.yaml"), PIPELINE).unwrap();
        std::fs::write(root.join("deep/er/run.sh"), "#!/bin/sh\n").unwrap();
        run("chmod", &["755", root.join("deep/er/run.sh").to_str().unwrap()]);
        std::fs::write(root.join("large.bin"), vec![b'x'; 300_000]).unwrap();
        // a folder of the repository that leads to `shared` on the hosts
        std::fs::create_dir_all(root.join("log")).unwrap();
        std::fs::write(root.join("log/.keep"), "").unwrap();
        std::os::unix::fs::symlink("version.txt", root.join("link.txt")).unwrap();
        self.git(&["init", "--quiet", "--initial-branch", "main"]);
        self.commit("one");
    }

    pub fn commit(&self, version: &str) {
        std::fs::write(self.repository().join("version.txt"), version).unwrap();
        self.git(&["add", "--all"]);
        let name = ["-c", "user.name=ana", "-c", "user.email=ana@demo.example"];
        self.git(&[&name[..], &["commit", "--quiet", "-m", version]].concat());
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    pub async fn end(&mut self) {
        let running = self.running.as_ref().expect("it runs");
        running.stop.cancel();
        for tasks in &running.tasks {
            tasks.wait().await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // the shared connections end with their servers
        for (_, sshd) in self.sshds.values_mut() {
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
    }
}

fn gate_of(dir: &Path, host: &str) -> Gate {
    Gate::of(dir.join(format!("gate-{host}")))
}

fn config_of(dir: &Path, host: &str) -> PathBuf {
    dir.join(format!("sshd_{host}.conf"))
}

/// Starts one on a free port and waits until it is heard. With `gate` everything that is ordered is run by that.
fn sshd(dir: &Path, name: &str, key: &Path, gate: Option<&str>) -> (u16, Child) {
    let config = config_of(dir, name);
    let gate = gate.map(|command| format!("ForceCommand {command}\n")).unwrap_or_default();
    // the port is free at the moment of asking; when somebody was faster the next one is tried
    for _ in 0..10 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
             MaxSessions 50\nMaxStartups 100\n{gate}",
            key.display(),
            dir.join("authorized_keys").display()
        );
        std::fs::write(&config, text).unwrap();
        if let Some(child) = listen(&config, port) {
            return (port, child);
        }
    }
    panic!("no sshd could be started");
}

/// Waits until it is heard; none where it ended.
fn listen(config: &Path, port: u16) -> Option<Child> {
    let mut child = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f", config.to_str().unwrap()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    loop {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(child);
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::yield_now();
    }
}

/// Who the tests run as.
pub fn user() -> String {
    run("id", &["-un"])
}

pub fn mei() -> Caller {
    let mut caller = Caller::system();
    caller.actor = tenfold_types::Actor::person("mei");
    caller.name = "mei".into();
    caller.grants = vec![tenfold_app::Grant::everywhere(Role::Deployer)];
    caller
}
