//! A repository with one commit, and a runner that builds it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tenfold_app::{
    deploys::ports::{BuildOrder, HookOrder, LineSink, Mark, Runner, Source, Step, StepKind, Stream},
    settings::{Builds, Sandbox},
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
        let parent = BuildParent { program: env!("CARGO_BIN_EXE_tenfold-sandbox").into(), hide: Vec::new() };
        let mut builds = self.builds.clone();
        if !self.fenced {
            builds.sandbox = Sandbox::Off;
        }
        GitRunner::new(&self.path(self.data), builds, Some(parent))
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
        let heard = Heard::default();
        let (runner, order) = (self.runner(), self.build_order(deploy, more).await);
        let ended = runner.build(order, heard.sink(hear), cancel);
        let result = tokio::time::timeout(PATIENCE, ended).await.expect("the build ends");
        runner.clear(&Step { deploy, kind: StepKind::Build }).await;
        Outcome { result, lines: heard.lines() }
    }

    async fn main(&self) -> (Source, String) {
        let runner = self.runner();
        let repository = self.path("repository").to_string_lossy().into_owned();
        let source = Source { service: "photos".into(), repository };
        runner.fetch(&source).await.unwrap();
        let sha = runner.resolve(&source, "main").await.unwrap().sha;
        (source, sha)
    }

    pub async fn build_order(&self, deploy: i64, more: &str) -> BuildOrder {
        let (source, sha) = self.main().await;
        let command = if more.contains("command:") { "" } else { "  command: [sh, build.sh]\n" };
        let pipeline = format!(
            "service: photos\nbuild:\n{command}{more}\nrun: {{command: [true]}}\ntargets: {{production: {{}}}}\n"
        );
        BuildOrder { deploy, source, sha, pipeline: Pipeline::parse(&pipeline).unwrap() }
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
        let heard = Heard::default();
        let (runner, order) = (self.runner(), self.hook_order(deploy, more).await);
        let ended = runner.hook(order, heard.sink(hear), cancel);
        let result = tokio::time::timeout(PATIENCE, ended).await.expect("the hook ends");
        runner.clear(&hook_of(deploy)).await;
        Outcome { result, lines: heard.lines() }
    }

    pub async fn hook_order(&self, deploy: i64, more: &str) -> HookOrder {
        let (source, sha) = self.main().await;
        let pipeline = format!(
            "service: photos\nrun: {{command: [true]}}\ntargets: {{production: {{}}}}\nhooks:\n  before_activate:\n    \
             command: [sh, build.sh]\n{more}"
        );
        let pipeline = Pipeline::parse(&pipeline).unwrap();
        let hook = pipeline.hooks.before_activate.clone().unwrap();
        let (environment, at) = ("production".to_owned(), "before_activate".to_owned());
        HookOrder { deploy, source, environment, sha, at, hook }
    }
}

/// The hook of [`World::hook_order`].
pub fn hook_of(deploy: i64) -> Step {
    Step { deploy, kind: StepKind::Hook("before_activate".to_owned()) }
}

/// The lines, and how far each program was heard.
type Lines = (Vec<(Stream, String)>, BTreeMap<String, u64>);

/// What was heard of a program, each line once, as a deploy's log keeps it over restarts.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Lines>>);

impl Heard {
    pub fn sink(&self, hear: impl Fn(&str) + Send + Sync + 'static) -> LineSink {
        let kept = self.0.clone();
        Arc::new(move |stream: Stream, text: &str, mark: Option<&Mark>| {
            {
                let mut kept = kept.lock();
                if let Some(mark) = mark {
                    let taken = kept.1.entry(mark.run.clone()).or_default();
                    if *taken >= mark.at {
                        return;
                    }
                    *taken = mark.at;
                }
                kept.0.push((stream, text.to_owned()));
            }
            hear(text);
        })
    }

    pub fn lines(&self) -> Vec<(Stream, String)> {
        self.0.lock().0.clone()
    }

    pub fn out(&self) -> Vec<String> {
        self.lines().into_iter().filter(|(s, _)| *s == Stream::Out).map(|(_, text)| text).collect()
    }

    pub fn text(&self) -> String {
        self.lines().into_iter().map(|(_, text)| text + "\n").collect()
    }

    /// Waits for a line.
    pub async fn until(&self, line: &str) {
        let waiting = async {
            while !self.lines().iter().any(|(_, text)| text == line) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never `{line}`:\n{}", self.text()));
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
