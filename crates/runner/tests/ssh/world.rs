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

const PATIENCE: Duration = Duration::from_secs(90);

pub struct World {
    app: App,
    dir: tempfile::TempDir,
    stop: CancellationToken,
    tasks: Vec<TaskTracker>,
    sshds: BTreeMap<String, (u16, Child)>,
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

const PIPELINE: &str = "service: photos\nartifact:\n  exclude: [\".tenfold/**\"]\nrun:\n  command: [unused]\n\
                        targets:\n  production:\n    hosts: {role: web}\n    canary: {hosts: 0}\n    batch: 100%\n";
/// The restart of a host: fails where the release says so.
const RESTART: &str = "[ \"$(cat version.txt)\" != sick ] || exit 3; cat version.txt > restarted";

impl World {
    /// `None`, with a line that says why, where there is no sshd.
    pub async fn new(hosts: &[&str]) -> Option<Self> {
        Self::with(hosts, |_| {}).await
    }

    /// The same, with hosts that are set up differently.
    pub async fn with(hosts: &[&str], change: impl Fn(&mut SshHost)) -> Option<Self> {
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
            let (port, child) = sshd(dir.path(), name, &key);
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
        let db = Db::open_sqlite(path("data").join("state.db")).await.unwrap();
        let metrics = tenfold_app::metrics::State::open(&settings).unwrap();
        let entropy = Arc::new(TestEntropy::seeded(u64::from(std::process::id())));
        let app = App::new(db, Arc::new(RealClock), entropy, settings, metrics);
        let parent = BuildParent { program: env!("CARGO_BIN_EXE_tenfold-sandbox").into(), hide: Vec::new() };
        let builds = tenfold_app::settings::Builds::default();
        app.deploys.set_runner(Arc::new(GitRunner::new(&path("data"), builds, Some(parent))));
        tenfold_app::load(&app).await.unwrap();
        let stop = CancellationToken::new();
        let mut world = Self { tasks: Vec::new(), app, dir, stop, sshds };
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
        world.app.service_put(&Caller::system(), "photos", update).await.unwrap();
        world.tasks = vec![tenfold_app::start(&world.app, &world.stop), ssh::start(&world.app, &world.stop).unwrap()];
        Some(world)
    }

    pub fn app(&self) -> &App {
        &self.app
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
        let host = self.app.hosts().into_iter().find(|h| h.name == host)?;
        host.releases.first().map(|r| r.sha.clone())
    }
    /// How the release that a host runs is known to be.
    pub fn state_of(&self, host: &str) -> Option<String> {
        let host = self.app.hosts().into_iter().find(|h| h.name == host)?;
        host.releases.first().map(|r| r.state.clone())
    }
    pub fn log_text(&self, deploy: i64) -> String {
        self.app.deploy_log(deploy).after(0).into_iter().map(|l| l.text + "\n").collect()
    }

    pub async fn connected(&self, wanted: usize) {
        self.until("the hosts are reached", |w| {
            w.app.hosts().iter().filter(|h| h.state == "connected").count() == wanted
        })
        .await;
    }

    pub async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let look = async {
            while !done(self) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, look).await.is_ok(),
            "waited in vain until {what}: {:?}",
            self.app.hosts()
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
        self.app.deploy_start(&mei(), new).await.unwrap()
    }

    /// Waits until the deploy is in one of the states; panics when it ends in another.
    pub async fn state(&self, number: i64, wanted: &[&str]) -> Deploy {
        let mut changes = self.app.deploys.changes();
        let wait = async {
            loop {
                let deploy = self.app.deploy(number).await.unwrap();
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
        panic!("never {wanted:?}: {:#?}\n{}", self.app.deploy(number).await, self.log_text(number))
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
        self.stop.cancel();
        for tasks in &self.tasks {
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

/// Starts one on a free port and waits until it is heard.
fn sshd(dir: &Path, name: &str, key: &Path) -> (u16, Child) {
    // the port is free at the moment of asking; when somebody was faster the next one is tried
    for _ in 0..10 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.join(format!("sshd_{name}.conf"));
        let text = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
             MaxSessions 50\nMaxStartups 100\n",
            key.display(),
            dir.join("authorized_keys").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", config.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        loop {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (port, child);
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::yield_now();
        }
    }
    panic!("no sshd could be started");
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
