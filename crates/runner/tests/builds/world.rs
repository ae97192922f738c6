//! A repository with one commit, and a runner that builds it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tenfold_app::{
    deploys::ports::{BuildOrder, HookOrder, LineSink, Runner, Source, Stream},
    settings::Builds,
};
use tenfold_deploys::{Manifest, Pipeline};
use tenfold_runner::{BuildParent, GitRunner};
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(40);

pub struct World {
    pub dir: tempfile::TempDir,
    pub builds: Builds,
    pub fenced: bool,
    /// The data directory, below the world's own folder.
    pub data: &'static str,
}

pub struct Outcome<T = Manifest> {
    pub result: Result<T, String>,
    pub lines: Vec<(Stream, String)>,
}

impl<T> Outcome<T> {
    pub fn text(&self) -> String {
        self.lines.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n")
    }
    pub fn out(&self) -> Vec<&str> {
        self.lines.iter().filter(|(s, _)| *s == Stream::Out).map(|(_, t)| t.as_str()).collect()
    }
}

impl World {
    pub fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repository = dir.path().join("repository");
        std::fs::create_dir_all(&repository).unwrap();
        std::fs::create_dir_all(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("data/state.db"), "the database").unwrap();
        let world = Self { dir, builds: Builds::default(), fenced: true, data: "data" };
        world.git(&["init", "--quiet", "--initial-branch", "main", "."]);
        world.commit(script);
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn commit(&self, script: &str) {
        std::fs::write(self.path("repository/build.sh"), script).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "work"]);
    }

    pub fn git(&self, args: &[&str]) {
        let status = Command::new("git")
            .args(["-c", "user.name=Ana", "-c", "user.email=ana@example.org"])
            .args(args)
            .current_dir(self.path("repository"))
            .status()
            .unwrap();
        assert!(status.success(), "{args:?}");
    }

    pub fn runner(&self) -> GitRunner {
        let parent = self
            .fenced
            .then(|| BuildParent { program: env!("CARGO_BIN_EXE_tenfold-sandbox").into(), hide: Vec::new() });
        GitRunner::new(&self.path(self.data), self.builds.clone(), parent)
    }

    /// Builds `main`; `more` are lines of the pipeline's `build`.
    pub async fn build(&self, deploy: i64, more: &str) -> Outcome {
        self.build_until(deploy, more, CancellationToken::new(), |_| {}).await
    }

    pub async fn build_until(
        &self,
        deploy: i64,
        more: &str,
        cancel: CancellationToken,
        hear: impl Fn(&str) + Send + Sync + 'static,
    ) -> Outcome {
        let runner = self.runner();
        let repository = self.path("repository").to_string_lossy().into_owned();
        let source = Source { service: "photos".into(), repository };
        runner.fetch(&source).await.unwrap();
        let sha = runner.resolve(&source, "main").await.unwrap().sha;
        let command = if more.contains("command:") { "" } else { "  command: [sh, build.sh]\n" };
        let pipeline = format!(
            "service: photos\nbuild:\n{command}{more}\nrun: {{command: [true]}}\ntargets: {{production: {{}}}}\n"
        );
        let pipeline = Pipeline::parse(&pipeline).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let sink: LineSink = Arc::new(move |stream, text| {
            kept.lock().push((stream, text.to_owned()));
            hear(text);
        });
        let order = BuildOrder { deploy, source, sha, pipeline };
        let result = tokio::time::timeout(PATIENCE, runner.build(order, sink, cancel)).await.expect("the build ends");
        let lines = std::mem::take(&mut *lines.lock());
        Outcome { result, lines }
    }

    /// Runs the script of `main` as the hook `before_activate`; `more` are lines of the hook's own.
    pub async fn hook(&self, deploy: i64, more: &str) -> Outcome<()> {
        self.hook_until(deploy, more, CancellationToken::new(), |_| {}).await
    }

    pub async fn hook_until(
        &self,
        deploy: i64,
        more: &str,
        cancel: CancellationToken,
        hear: impl Fn(&str) + Send + Sync + 'static,
    ) -> Outcome<()> {
        let runner = self.runner();
        let repository = self.path("repository").to_string_lossy().into_owned();
        let source = Source { service: "photos".into(), repository };
        runner.fetch(&source).await.unwrap();
        let sha = runner.resolve(&source, "main").await.unwrap().sha;
        let pipeline = format!(
            "service: photos\nrun: {{command: [true]}}\ntargets: {{production: {{}}}}\nhooks:\n  before_activate:\n    \
             command: [sh, build.sh]\n{more}"
        );
        let pipeline = Pipeline::parse(&pipeline).unwrap();
        let hook = pipeline.hooks.before_activate.clone().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let sink: LineSink = Arc::new(move |stream, text| {
            kept.lock().push((stream, text.to_owned()));
            hear(text);
        });
        let (environment, at) = ("production".to_owned(), "before_activate".to_owned());
        let order = HookOrder { deploy, source, environment, sha, at, hook };
        let result = tokio::time::timeout(PATIENCE, runner.hook(order, sink, cancel)).await.expect("the hook ends");
        let lines = std::mem::take(&mut *lines.lock());
        Outcome { result, lines }
    }
}

/// Whether any process of the machine has this word among its arguments.
pub fn runs(word: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| line.split(|b| *b == 0).any(|arg| arg == word.as_bytes()))
    })
}

pub async fn gone(word: &str) {
    let waiting = async {
        while runs(word) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{word} still runs"));
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this machine lets us make what the tests are about.
pub fn namespaces(dir: &Path) -> bool {
    let made = Command::new("unshare").args(["-Urm", "true"]).current_dir(dir).status().is_ok_and(|s| s.success());
    if !made {
        println!("skipped: this machine permits no namespaces");
    }
    made
}
