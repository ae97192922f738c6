//! Programs that outlive the server: real keepers, whose server lets go, comes back, or does not.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tenfold_app::{
    deploys::ports::{HookOrder, Runner, Step, StepKind, Stream},
    settings::BuildSecret,
};
use tenfold_testkit::{keeper_of, kill_keeper, stat_of};
use tokio_util::sync::CancellationToken;

use crate::world::{Heard, PATIENCE, World, gone, hook_of, namespaces, runs};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
const RUN: &str = "echo \"run $(cat /proc/sys/kernel/random/uuid)\"\n";

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

fn step_of(world: &World, name: &str) -> PathBuf {
    world.path(world.data).join(format!("{name}.step"))
}

/// A server that begins a hook, and lets go of it when a line was heard, as one does that ends.
async fn begin_hook(world: &World, order: HookOrder, line: &str) -> Heard {
    let heard = Heard::default();
    let (runner, sink) = (world.runner(), heard.sink(|_| {}));
    let task = tokio::spawn(async move { runner.hook(order, sink, CancellationToken::new()).await });
    heard.until(line).await;
    task.abort();
    let _ = task.await;
    heard
}

async fn begin_build(world: &World, deploy: i64, heard: &Heard, line: &str) {
    let (runner, sink, order) = (world.runner(), heard.sink(|_| {}), world.build_order(deploy, "").await);
    let task = tokio::spawn(async move { runner.build(order, sink, CancellationToken::new()).await });
    heard.until(line).await;
    task.abort();
    let _ = task.await;
}

fn build(deploy: i64) -> Step {
    Step { deploy, kind: StepKind::Build }
}

#[tokio::test]
async fn a_build_goes_on_without_a_server_and_is_found_again() {
    let ticks = "for i in 0 1 2 3 4 5 6 7 8 9; do echo tick $i; sleep 0.1; done; echo made > out\n";
    for (fenced, waits) in [(true, false), (false, false), (true, true)] {
        let world = World { fenced, ..World::new(&format!("{RUN}{ticks}")) };
        if !namespaces(world.dir.path()) {
            return;
        }
        let heard = Heard::default();
        begin_build(&world, 1, &heard, "tick 3").await;
        let step = step_of(&world, "builds/1");
        if waits {
            until("its end", || step.join("end").exists()).await;
        }
        assert!(world.runner().kept(&build(1)).await);
        let (order, sink) = (world.build_order(1, "").await, heard.sink(|_| {}));
        let again = world.runner();
        let ended = again.build(order, sink, CancellationToken::new());
        let manifest = tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap();
        assert!(!manifest.entries().is_empty());
        let (out, text) = (heard.out(), heard.text());
        let ticks: Vec<String> = (0..10).map(|i| format!("tick {i}")).collect();
        assert!(out[0].starts_with("run ") && out[1..] == ticks[..], "each line once: {text}");
        assert_eq!(text.matches("$ sh build.sh").count(), 1, "{text}");
        assert_eq!(text.matches("the build outlived the server").count(), 1, "{text}");
        again.clear(&build(1)).await;
        assert_eq!(fs::read_dir(world.path("data/builds")).unwrap().count(), 0, "nothing of it stays");
    }
}

/// Killed between the end of a program and the moment in which that is written, the next server finds the same end.
#[tokio::test]
async fn how_a_program_ended_is_found_until_it_is_cleared() {
    for fenced in [true, false] {
        let world = World { fenced, ..World::new(&format!("{RUN}echo made > out\n")) };
        if !namespaces(world.dir.path()) {
            return;
        }
        let (heard, mut made) = (Heard::default(), Vec::new());
        for _ in 0..2 {
            let (runner, order) = (world.runner(), world.build_order(1, "").await);
            let ended = runner.build(order, heard.sink(|_| {}), CancellationToken::new());
            made.push(tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap().digest());
            assert!(world.runner().kept(&build(1)).await);
        }
        assert_eq!((heard.out().len(), made[0] == made[1]), (1, true), "{}", heard.text());
        // a hook that may not run twice, well and not
        for (deploy, end, ended) in [(2, "true\n", Ok(())), (3, "exit 3\n", Err("it exited with code 3".to_owned()))] {
            world.commit(&format!("{RUN}{end}"));
            let heard = Heard::default();
            for _ in 0..2 {
                let (runner, order) = (world.runner(), world.hook_order(deploy, "").await);
                let again = runner.hook(order, heard.sink(|_| {}), CancellationToken::new());
                assert_eq!(tokio::time::timeout(PATIENCE, again).await.unwrap(), ended);
                assert!(world.runner().kept(&hook_of(deploy)).await);
            }
            assert_eq!(heard.out().len(), 1, "it ran once: {}", heard.text());
            world.runner().clear(&hook_of(deploy)).await;
            assert!(!world.runner().kept(&hook_of(deploy)).await);
        }
        world.runner().clear(&build(1)).await;
        for root in ["data/builds", "data/hooks"] {
            assert_eq!(fs::read_dir(world.path(root)).unwrap().count(), 0, "nothing of it stays in {root}");
        }
    }
}

#[tokio::test]
async fn what_lost_its_keeper_is_unknown_and_begun_again_where_it_may() {
    let word = format!("orphan-lost-{}", std::process::id());
    let script = format!("{RUN}sh -c 'sleep 600; true' {word} &\necho up\nsleep 2\necho made > out\n");
    for fenced in [true, false] {
        let world = World { fenced, ..World::new(&script) };
        if !namespaces(world.dir.path()) {
            return;
        }
        // while it is followed
        for (deploy, idempotent) in [(1, false), (2, true)] {
            let step = step_of(&world, &format!("hooks/{deploy}-before_activate"));
            let heard = Heard::default();
            let order = world.hook_order(deploy, &format!("    idempotent: {idempotent}\n")).await;
            let (runner, sink) = (world.runner(), heard.sink(|_| {}));
            let task = tokio::spawn(async move { runner.hook(order, sink, CancellationToken::new()).await });
            heard.until("up").await;
            kill_keeper(&step);
            let ended = tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
            let begun = heard.out().iter().filter(|line| line.starts_with("run ")).count();
            if idempotent {
                assert_eq!((ended, begun), (Ok(()), 2), "{}", heard.text());
                assert!(heard.text().contains("is idempotent and is run again"), "{}", heard.text());
            } else {
                assert!(ended.unwrap_err().contains("what came of it is not known"));
                assert_eq!(begun, 1);
            }
            gone(&word).await;
        }
        // while nobody follows
        let heard = Heard::default();
        begin_build(&world, 3, &heard, "up").await;
        kill_keeper(&step_of(&world, "builds/3"));
        assert!(!world.runner().kept(&build(3)).await);
        gone(&word).await;
        assert!(!step_of(&world, "builds/3").exists() && !world.path("data/builds/3").exists());
    }
}

#[tokio::test]
async fn a_hook_is_cancelled_by_a_server_that_came_later() {
    let word = format!("orphan-later-{}", std::process::id());
    let script = format!("setsid sh -c \"trap '' TERM; exec sh -c 'sleep 600; true' {word}\" &\necho up\nsleep 600\n");
    for fenced in [true, false] {
        let world = World { fenced, ..World::new(&script) };
        if !namespaces(world.dir.path()) {
            return;
        }
        begin_hook(&world, world.hook_order(1, "").await, "up").await;
        let cancel = CancellationToken::new();
        let hear = {
            let cancel = cancel.clone();
            move |text: &str| {
                if text == "up" {
                    cancel.cancel();
                }
            }
        };
        let ended = world.hook_until(1, "", cancel, hear).await.result;
        assert_eq!(ended.unwrap_err(), "it was cancelled");
        gone(&word).await;
        // one that nobody cancels and that is not wanted any more
        begin_hook(&world, world.hook_order(2, "").await, "up").await;
        assert!(runs(&word));
        world.runner().set_aside(&[build(2)]).await;
        assert!(!world.runner().kept(&hook_of(2)).await, "nobody finds it any more");
        world.runner().tidy().await;
        gone(&word).await;
        assert_eq!(fs::read_dir(world.path("data/hooks")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn what_was_cancelled_before_it_began_is_not_begun() {
    // then the first thing that a keeper writes is that there is no sandbox
    let world = World { fenced: false, ..World::new("echo begun\n") };
    let cancel = CancellationToken::new();
    cancel.cancel();
    let done = world.hook_until(1, "", cancel, |_| {}).await;
    assert_eq!(done.result.as_ref().unwrap_err(), "it was cancelled");
    assert!(!done.text().contains("not in a sandbox") && done.out().is_empty(), "{}", done.text());
}

#[tokio::test]
async fn limits_hold_while_nobody_follows() {
    let word = format!("orphan-limits-{}", std::process::id());
    let world = World::new(&format!("echo up\nsh -c 'sleep 600; true' {word}\n"));
    let cases = [
        // time enough to say that it is up
        (1, "    idle_timeout_s: 5\n", "printed nothing for 5 s"),
        (2, "    timeout_s: 5\n    idle_timeout_s: 5\n", "longer than 5 s"),
    ];
    for (deploy, more, why) in cases {
        if deploy == 2 {
            world.commit(&format!("echo up\nsh -c 'while true; do echo tick; sleep 0.2; done' {word}\n"));
        }
        begin_hook(&world, world.hook_order(deploy, more).await, "up").await;
        let end = step_of(&world, &format!("hooks/{deploy}-before_activate")).join("end");
        until("its end", || end.exists()).await;
        gone(&word).await;
        let error = world.hook(deploy, more).await.result.unwrap_err();
        assert!(error.contains(why) && error.contains("hooks.before_activate."), "{error}");
    }
}

/// As on a machine that stands still for longer than a program may be silent.
#[tokio::test]
async fn what_is_printed_while_a_keeper_stands_still_is_no_silence() {
    const SILENT_MAX: Duration = Duration::from_secs(3);
    // without a sandbox it sees the file by which it ends
    let world = World { fenced: false, ..World::new("echo up\n") };
    let enough = world.path("enough");
    world.commit(&format!("echo up\nwhile ! test -e '{}'; do echo tick; sleep 0.1; done\n", enough.display()));
    let order = world.hook_order(1, "    idle_timeout_s: 3\n").await;
    let heard = Heard::default();
    let (runner, sink) = (world.runner(), heard.sink(|_| {}));
    let task = tokio::spawn(async move { runner.hook(order, sink, CancellationToken::new()).await });
    heard.until("tick").await;
    let keeper = Pid::from_raw(keeper_of(&step_of(&world, "hooks/1-before_activate")).unwrap());
    for _ in 0..3 {
        kill(keeper, Signal::SIGSTOP).unwrap();
        let (stopped, ticks) = (Instant::now(), heard.out().len());
        until("its time to be over", || stopped.elapsed() > SILENT_MAX + LOOK).await;
        kill(keeper, Signal::SIGCONT).unwrap();
        until("more to be heard, or its end", || task.is_finished() || heard.out().len() > ticks + 10).await;
    }
    File::create(&enough).unwrap();
    let ended = tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    assert_eq!(ended, Ok(()), "{}", heard.text());
    world.runner().clear(&hook_of(1)).await;
}

#[tokio::test]
async fn a_keeper_has_nothing_of_the_servers_and_its_folder_no_secret() {
    let mut world = World::new("test -n \"$DB_URL\" && echo \"url=$DB_URL\"\necho up\nsleep 600\n");
    let file = world.path("db");
    fs::write(&file, "s3cr3t-and-long\n").unwrap();
    world.builds.secrets = vec![BuildSecret { name: "DB_URL".into(), file, services: vec!["photos".into()] }];
    // a library may have opened it so that it is handed on
    let lock = File::create(world.path("data/lock")).unwrap();
    fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let step = step_of(&world, "hooks/1-before_activate");
    let heard = begin_hook(&world, world.hook_order(1, "    secrets: [DB_URL]\n").await, "up").await;
    assert!(heard.out().contains(&"url=***".to_owned()), "{}", heard.text());
    let keeper = keeper_of(&step).unwrap();
    let files = |pid: &str| -> Vec<String> {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        entries.filter_map(|e| Some(fs::read_link(e.path()).ok()?.to_string_lossy().into_owned())).collect()
    };
    let (kept, own) = (files(&keeper.to_string()), files("self"));
    for file in &kept {
        let is_its_own = file == "/dev/null" || Path::new(file).starts_with(&step) || !file.starts_with('/');
        assert!(is_its_own, "{file} of {kept:?}");
        assert!(!file.starts_with("socket:") || !own.contains(file), "{file} is the server's too");
    }
    assert_eq!(stat_of(keeper)[3], keeper.to_string(), "a session of its own");
    let told = ["cmdline", "environ"].map(|name| PathBuf::from(format!("/proc/{keeper}/{name}")));
    let written = fs::read_dir(&step).unwrap().flatten().map(|entry| entry.path());
    for path in written.chain(told) {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains("s3cr3t"), "{}", path.display());
    }
    drop((lock, listener));
    world.runner().set_aside(&[]).await;
    world.runner().tidy().await;
    assert!(!step.exists());
}

/// A keeper that the test itself has started, without a server.
struct Alone {
    dir: tempfile::TempDir,
    keeper: Child,
}

impl Alone {
    fn start(script: &str, fenced: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["step", "build", "build/src", "build/tmp", "build/home"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let orders = serde_json::json!({
            "what": "it", "key": "build", "timeout_s": 600, "idle_timeout_s": 600, "left_alone_ms": 500, "fenced": fenced,
            "group": format!("tenfold-alone-{}", std::process::id()), "memory_mb": 512, "processes": 200, "secrets": [],
            "spec": {
                "command": ["sh", "-c", script], "env": {"PATH": "/usr/bin:/bin"}, "dir": dir.path().join("build"),
                "hide": [], "readable": [], "network": true, "uid": null, "required": false, "missing": [], "in_force": [],
            },
        });
        let step = dir.path().join("step");
        File::create(step.join("pulse")).unwrap();
        let output = OpenOptions::new().append(true).create_new(true).open(step.join("output")).unwrap();
        output.lock().unwrap();
        let mut keeper = Command::new(env!("CARGO_BIN_EXE_tenfold-sandbox"))
            .args(["sandbox", "keep"])
            .current_dir(&step)
            .stdin(Stdio::piped())
            .stdout(output)
            .spawn()
            .unwrap();
        keeper.stdin.take().unwrap().write_all(format!("{orders}\n").as_bytes()).unwrap();
        Self { dir, keeper }
    }

    fn said(&self, line: &str) -> bool {
        let text = fs::read_to_string(self.dir.path().join("step/output")).unwrap_or_default();
        text.lines().any(|l| l == line)
    }

    fn end(&self) -> Option<String> {
        fs::read_to_string(self.dir.path().join("step/end")).ok()
    }

    async fn ended(&mut self) {
        let keeper = &mut self.keeper;
        until("the keeper's end", || keeper.try_wait().unwrap().is_some()).await;
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

#[tokio::test]
async fn a_program_that_no_server_follows_ends_with_all_that_it_started() {
    for fenced in [true, false] {
        let word = format!("orphan-alone-{fenced}-{}", std::process::id());
        let script = format!(
            "setsid sh -c \"trap '' TERM HUP; exec sh -c 'sleep 600; true' {word}\" & for i in $(seq 600); do echo tick $i; sleep 0.1; done"
        );
        // it is left alone for half a second; while somebody follows it lives longer than that
        let mut alone = Alone::start(&script, fenced);
        let pulse = File::open(alone.dir.path().join("step/pulse")).unwrap();
        let mut beats = 0;
        until("it to run on", || {
            beats += 1;
            pulse.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(beats)).unwrap();
            alone.said("otick 15")
        })
        .await;
        assert!(runs(&word) && alone.end().is_none());
        alone.ended().await;
        assert_eq!(alone.end().as_deref(), Some("\"left_alone\""));
        gone(&word).await;

        // a service manager ends it
        let mut alone = Alone::start(&script, fenced);
        until("it to run", || alone.said("otick 1")).await;
        let pid = alone.keeper.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        alone.ended().await;
        assert_eq!(alone.end().as_deref(), Some("\"left_alone\""));
        gone(&word).await;

        // nobody can ever come back to a folder that is gone
        let mut alone = Alone::start(&script, fenced);
        until("it to run", || alone.said("otick 1")).await;
        fs::remove_dir_all(alone.dir.path().join("step")).unwrap();
        alone.ended().await;
        gone(&word).await;
    }
}

#[tokio::test]
async fn a_keeper_that_is_not_told_everything_begins_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut keeper = Command::new(env!("CARGO_BIN_EXE_tenfold-sandbox"))
        .args(["sandbox", "keep"])
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // the server was killed while it spoke
    keeper.stdin.take().unwrap().write_all(b"{\"what\": \"it\", \"key\": \"bui").unwrap();
    assert!(!keeper.wait().unwrap().success());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_second_of_two_programs_of_a_folder_is_not_the_first() {
    let world = World::new("echo one\nsleep 600\n");
    let first = world.hook_order(1, "").await;
    begin_hook(&world, first, "one").await;
    world.commit("echo two\n");
    // the number is another deploy's after a backup was put back
    let done = world.hook(1, "").await;
    assert!(done.result.is_ok() && done.out() == ["two"], "{:?} {}", done.result, done.text());
    assert!(!done.lines.iter().any(|(s, t)| *s == Stream::Tenfold && t.contains("outlived")), "{}", done.text());
}
