//! Orders to a service whose releases are files alone, so that no process is needed: what a deploy goes back to, and what is
//! healthy.

use std::{collections::BTreeMap, fs, sync::OnceLock};

use parking_lot::Mutex;
use tenfold_protocols::agent::RunLimits;
use tokio::sync::{Notify, RwLock};

use super::*;
use crate::agent::{AgentConfig, incoming::Incoming};

struct World {
    unit: Unit,
    done: mpsc::UnboundedReceiver<Done>,
    said: mpsc::UnboundedReceiver<FromAgent>,
    _dir: tempfile::TempDir,
}

fn digest() -> Digest {
    Digest::of(b"the same files")
}

fn order(deploy: i64) -> OrderRef {
    OrderRef { service: "photos".into(), environment: "production".into(), deploy, epoch: deploy }
}

/// Files alone, with a script that is run after their flip.
fn run(colour: &str, reload: &str) -> RunSpec {
    RunSpec {
        command: Vec::new(),
        env: BTreeMap::from([("COLOUR".into(), colour.into())]),
        port_env: "PORT".into(),
        health_path: "/".into(),
        health_within_ms: 0,
        drain_ms: 0,
        stop_within_ms: 0,
        limits: RunLimits::default(),
        metrics_path: None,
        sha: "a".into(),
        reload: vec!["sh".into(), "-c".into(), reload.into()],
    }
}

impl World {
    fn new() -> Self {
        // a second installation in one process is refused and harmless
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let config = AgentConfig {
            servers: Vec::new(),
            token: String::new(),
            enrolment: None,
            name: "host-1".into(),
            environment: "production".into(),
            labels: BTreeMap::new(),
            dir: dir.path().to_owned(),
            address: "127.0.0.1".into(),
            version: "test".into(),
            clock: Arc::new(tenfold_testkit::RealClock),
            host: None,
            launcher: None,
        };
        let (outbox, said) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            incoming: Incoming::new(dir.path()),
            config,
            identity: OnceLock::new(),
            releases: Mutex::default(),
            beside: Mutex::default(),
            changed: Notify::new(),
            outbox,
            http: reqwest::Client::new(),
            farm: RwLock::default(),
        });
        let (finished, done) = mpsc::unbounded_channel();
        let unit = Unit::new(&shared, "photos", finished);
        unit.place.make().unwrap();
        fs::create_dir(unit.place.release(digest())).unwrap();
        Self { unit, done, said, _dir: dir }
    }

    /// Without `run` it goes back to the release.
    async fn activate(&mut self, deploy: i64, run: Option<RunSpec>) -> Result<(), String> {
        self.give(Command::Activate { order: order(deploy), digest: digest(), run, keep_warm: false }).await
    }

    async fn prepare(&mut self, deploy: i64, run: RunSpec) -> Result<(), String> {
        self.give(Command::Prepare { order: order(deploy), digest: digest(), run }).await
    }

    async fn flip(&mut self, deploy: i64) -> Result<(), String> {
        self.give(Command::Flip { order: order(deploy), digest: digest(), keep_warm: false }).await
    }

    /// Gives an order and waits for what is said to it.
    async fn give(&mut self, command: Command) -> Result<(), String> {
        self.unit.take(command).await;
        loop {
            tokio::select! {
                Some(done) = self.done.recv() => self.unit.finish(done).await,
                Some(said) = self.said.recv() => match said {
                    FromAgent::Activated { .. } | FromAgent::Prepared { .. } => return Ok(()),
                    FromAgent::Failed { error, .. } => return Err(error),
                    _ => {}
                },
            }
        }
    }

    fn serves(&self) -> (i64, &str) {
        let current = self.unit.kept.current.as_ref().unwrap();
        (current.deploy, current.run.env["COLOUR"].as_str())
    }
}

#[tokio::test]
async fn the_way_back_is_to_how_the_same_files_ran_before() {
    let mut world = World::new();
    world.activate(1, Some(run("blue", "true"))).await.unwrap();
    world.activate(2, Some(run("red", "true"))).await.unwrap();
    assert_eq!(world.serves(), (2, "red"));
    for _ in 0..3 {
        world.activate(2, None).await.unwrap();
        assert_eq!(world.serves(), (2, "blue"));
        // also after a restart of the agent
        world.unit.kept = Kept::load(&world.unit.place);
    }
    let failed = world.activate(3, Some(run("green", "exit 3"))).await.unwrap_err();
    assert!(failed.contains("exited with code 3"), "{failed}");
    assert_eq!(world.serves(), (2, "blue"), "it did not flip");
    for _ in 0..2 {
        world.activate(3, None).await.unwrap();
        assert_eq!(world.serves(), (3, "blue"));
    }
    world.prepare(4, run("yellow", "true")).await.unwrap();
    let noted = Note::load(&world.unit.place, digest()).unwrap();
    assert_eq!(noted.run, run("blue", "true"), "what was only prepared never ran");
    world.activate(4, None).await.unwrap();
    assert_eq!(world.serves(), (4, "blue"));
}

#[tokio::test]
async fn files_are_healthy_when_whoever_serves_them_took_them() {
    let mut world = World::new();
    let blue = run("blue", "test -e up");
    let up = world.unit.place.root.join("up");
    fs::write(&up, "").unwrap();
    world.activate(1, Some(blue.clone())).await.unwrap();
    assert!(world.unit.healthy);

    fs::remove_file(&up).unwrap();
    let failed = world.activate(1, Some(blue)).await.unwrap_err();
    assert!(failed.starts_with("it runs, but `sh -c test -e up` exited with code 1"), "{failed}");
    assert!(!world.unit.healthy);
    fs::write(&up, "").unwrap();
    world.unit.adopt().await;
    assert!(world.unit.healthy, "a restart of the agent asks anew");
    fs::remove_file(&up).unwrap();
    world.unit.adopt().await;
    assert_eq!(world.unit.release().unwrap().state, ReleaseState::Unhealthy);

    fs::write(&up, "").unwrap();
    world.unit.adopt().await;
    world.activate(2, Some(run("red", "rm up; exit 3"))).await.unwrap_err();
    assert_eq!(world.serves(), (1, "blue"));
    assert!(!world.unit.healthy, "the way back was not taken either");
    fs::write(&up, "").unwrap();
    world.unit.restart_at = Some(Instant::now());
    world.unit.look();
    let done = world.done.recv().await.unwrap();
    world.unit.finish(done).await;
    assert!(world.unit.healthy, "it is told again until it takes them");
}

#[tokio::test]
async fn a_flip_confirms_its_own_deploy_only() {
    let mut world = World::new();
    world.activate(1, Some(run("blue", "true"))).await.unwrap();
    world.prepare(2, run("red", "true")).await.unwrap();
    // as of a process that ends in this moment
    world.unit.kept.beside = None;
    let failed = world.flip(2).await.unwrap_err();
    assert!(failed.contains("does not stand ready"), "{failed}");
    assert_eq!(world.serves(), (1, "blue"));

    world.prepare(3, run("blue", "true")).await.unwrap();
    for _ in 0..2 {
        world.flip(3).await.unwrap();
        assert_eq!(world.serves(), (3, "blue"), "what serves already is what is wanted");
    }
}

#[tokio::test]
async fn workers_of_what_stands_beside_are_not_lost() {
    let mut world = World::new();
    let shared = world.unit.place.shared();
    let start = |port: &str| {
        let mut command = tokio::process::Command::new("sleep");
        command.arg("60").env("TENFOLD_SHARED_DIR", &shared).env("PORT", port).process_group(0);
        command.kill_on_drop(true).spawn().unwrap()
    };
    let (warm, _worker, stray) = (start("3"), start("3"), start("4"));
    let id = |child: &tokio::process::Child| ProcessId::of(child.id().unwrap()).unwrap();
    let linked = world.unit.linked(&order(1), digest(), run("blue", "true"));
    let active = Active { process: Some(id(&warm)), port: 3, ..linked };
    world.unit.kept.beside = Some(Beside { active, prepared: false, order: order(1), until: None });
    assert_eq!(world.unit.lost(), [id(&stray)]);
}
