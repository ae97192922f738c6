//! What a build can and cannot do, and that nothing of it stays.

use tenfold_app::{deploys::ports::Stream, settings::BuildSecret};
use tokio_util::sync::CancellationToken;

use crate::world::{World, gone, is_root, namespaces, runs};

/// Paths, times, the order of folders and the user end up in what is built, as careless builds do it.
const CARELESS: &str = r#"
pwd > place
ls -l --time-style=full-iso build.sh | cut -d' ' -f6- > times
tar cf all.tar build.sh place times
env | sort > variables
echo "$HOME $TMPDIR" > folders
mkdir -p sub && ln -s ../place sub/link
"#;

#[tokio::test]
async fn the_same_inputs_give_the_same_digest() {
    let world = World::new(CARELESS);
    if !namespaces(world.dir.path()) {
        return;
    }
    // neither the file with the user's name nor the list of owners ships: as root each build has a user of its own
    let artifact = "artifact: {paths: [place, times, variables, folders, 'sub/**']}";
    let first = world.build(1, artifact).await;
    let manifest = first.result.unwrap();
    assert_eq!(manifest.entries().len(), 5, "{:?}", manifest.entries());
    assert_eq!(world.build(2, artifact).await.result.unwrap().digest(), manifest.digest());
    // another server: another data directory, and so other places of everything
    let elsewhere = World { data: "another/data", ..world };
    assert_eq!(elsewhere.build(77, artifact).await.result.unwrap().digest(), manifest.digest());
    let world = elsewhere;
    world.commit(&CARELESS.replace("pwd", "echo changed; pwd"));
    assert_ne!(world.build(3, artifact).await.result.unwrap().digest(), manifest.digest());
}

/// Without the sandbox a build knows its place; one that does not write it down gives the same all the same.
#[tokio::test]
async fn the_same_inputs_give_the_same_digest_without_a_sandbox() {
    let script =
        "tar cf all.tar --numeric-owner --owner=0 --group=0 build.sh\necho \"$SOURCE_DATE_EPOCH $CI\" > stamp\n";
    let world = World { fenced: false, ..World::new(script) };
    let artifact = "artifact: {paths: [all.tar, stamp, build.sh]}";
    let first = world.build(1, artifact).await.result.unwrap().digest();
    assert_eq!(world.build(2, artifact).await.result.unwrap().digest(), first);
    let elsewhere = World { data: "another/data", ..world };
    assert_eq!(elsewhere.build(3, artifact).await.result.unwrap().digest(), first);
    // and within it, under another user
    let fenced = World { fenced: true, ..elsewhere };
    assert_eq!(fenced.build(4, artifact).await.result.unwrap().digest(), first);
}

#[tokio::test]
async fn memory_and_processes_have_limits_where_the_machine_has_them() {
    let held = |done: &crate::world::Outcome, words: &str| {
        let held =
            done.lines.iter().any(|(s, t)| *s == Stream::Tenfold && t.starts_with("sandbox: ") && t.contains(words));
        if !held {
            println!("skipped: control groups of this machine do not hold a build to {words}");
        }
        held
    };
    let mut world = World::new("head -c 300000000 /dev/zero | tail -c 290000000 | wc -c\n");
    world.builds.memory_mb = 64;
    let done = world.build(1, "").await;
    if held(&done, "up to 64 MB of memory") {
        assert!(!done.out().contains(&"290000000"), "the kernel ends what takes more: {}", done.text());
    }
    world.builds.processes = 20;
    world.commit("for i in $(seq 100); do sleep 30 & done; echo all of them\n");
    let done = world.build(2, "").await;
    if held(&done, "up to 20 processes and threads") {
        assert!(!done.out().contains(&"all of them"), "{}", done.text());
    }
}

/// Root of a machine with hierarchies of version 1 has all it takes, so there a build is held or the test fails.
#[tokio::test]
async fn hierarchies_of_version_1_hold_a_build() {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let writable = |controller: &str| {
        mounts.lines().any(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, _, "cgroup", options, ..] = fields[..] else { return false };
            let mut options = options.split(',');
            options.clone().any(|o| o == controller) && options.any(|o| o == "rw")
        })
    };
    if !is_root() || !["memory", "pids"].iter().all(|controller| writable(controller)) {
        return println!("skipped: it takes root, and memory and pids of version 1");
    }
    let mut world = World::new("cat /proc/self/cgroup\n");
    world.builds.memory_mb = 64;
    world.builds.processes = 20;
    let done = world.build(9, "").await;
    let text = done.text();
    let fences = text.lines().find(|line| line.starts_with("sandbox: ")).unwrap_or_default();
    for words in ["control groups of version 1", "up to 64 MB of memory", "up to 20 processes and threads"] {
        assert!(fences.contains(words), "{words} in {text}");
    }
    for controller in ["memory", "pids"] {
        let line = done.out().into_iter().find(|line| line.contains(&format!(":{controller}:"))).unwrap_or_default();
        assert!(line.contains("/tenfold-build-9-"), "{controller} in {text}");
    }
}

/// `make cgroup2` runs it where version 2 has all it takes, and there it may not be skipped.
#[tokio::test]
async fn a_group_of_version_2_holds_a_build_which_cannot_lift_it() {
    let mut world = World::new(
        r#"
cat /proc/self/cgroup
own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
cat "$own/memory.max" "$own/pids.max"
echo max > "$own/memory.max" && echo LIFTED-MEMORY
echo max > "$own/pids.max" && echo LIFTED-PROCESSES
echo $$ > "$own/../cgroup.procs" && echo LEFT
mkdir "$own/below" && echo DIVIDED
true
"#,
    );
    world.builds.memory_mb = 64;
    world.builds.processes = 20;
    let done = world.build(9, "").await;
    let text = done.text();
    let fences = text.lines().find(|line| line.starts_with("sandbox: ")).unwrap_or_default();
    let holds = ["a control group", "up to 64 MB of memory", "up to 20 processes and threads"]
        .iter()
        .all(|words| fences.contains(words));
    if !holds && std::env::var_os("TENFOLD_REQUIRE_CGROUP2").is_none() {
        return println!("skipped: no group of version 2 holds a build here: {fences}");
    }
    assert!(holds && done.result.is_ok(), "{text}");
    let out = done.out();
    assert!(out.iter().any(|line| line.starts_with("0::") && line.contains("/tenfold-build-9-")), "{text}");
    assert!(out.contains(&"67108864") && out.contains(&"20"), "{text}");
    for escaped in ["LIFTED", "LEFT", "DIVIDED"] {
        assert!(!text.contains(escaped), "{text}");
    }
}

#[tokio::test]
async fn a_build_sees_its_own_files_and_processes_only() {
    let world = World::new(
        r#"
cat "$SECRET_PLACE" && echo LEAK-DATA
cat /etc/shadow > /dev/null && echo LEAK-SHADOW
echo x > /etc/tenfold-was-here && echo LEAK-ETC
echo x > /usr/tenfold-was-here && echo LEAK-USR
ls /root /home/* && echo LEAK-HOME
test -e /run/tenfold-test && echo LEAK-RUN
test "$(ls -d /proc/[0-9]* | wc -l)" -gt 12 && echo LEAK-PROC
kill -0 "$OUTSIDE" && echo LEAK-KILL
test -n "$CARGO_MANIFEST_DIR" && echo LEAK-ENV
echo ok > "$TMPDIR/a" && echo ok > /tmp/b && echo ok > "$HOME/c" && cat "$TMPDIR/a" /tmp/b "$HOME/c"
id -u
"#,
    );
    if !namespaces(world.dir.path()) {
        return;
    }
    let env = format!(
        "  env: {{SECRET_PLACE: {}, OUTSIDE: \"{}\"}}",
        world.path("data/state.db").display(),
        std::process::id()
    );
    let done = world.build(41, &env).await;
    let text = done.text();
    assert!(done.result.is_ok(), "{text}");
    assert!(!text.contains("LEAK"), "{text}");
    assert!(text.contains("sandbox: ") && text.contains("mount, process, IPC"), "{text}");
    assert!(done.out().iter().filter(|l| **l == "ok").count() == 3, "{text}");
    if is_root() {
        assert_eq!(done.out().last(), Some(&"1900000041"), "{text}");
        assert!(text.contains("user 1900000041"), "{text}");
    }
}

#[tokio::test]
async fn a_build_without_network_reaches_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("bash -c 'echo > /dev/tcp/127.0.0.1/{port}' && echo LEAK || echo closed");
    let mut world = World::new(&script);
    if !namespaces(world.dir.path()) {
        return;
    }
    let open = world.build(1, "").await;
    assert!(open.text().contains("LEAK"), "with the network the listener is reached: {}", open.text());
    let closed = world.build(2, "  network: false").await;
    assert!(closed.out().contains(&"closed") && !closed.text().contains("LEAK"), "{}", closed.text());
    assert!(closed.text().contains("no network"), "{}", closed.text());
    // the operator's word goes before the repository's
    world.builds.network = false;
    assert!(world.build(3, "  network: true").await.out().contains(&"closed"));
}

#[tokio::test]
async fn secrets_go_to_who_may_have_them_and_are_masked() {
    let mut world = World::new(
        r#"
test "$NPM_TOKEN" = "s3cr3t-and-long" && echo has it
echo "token=$NPM_TOKEN"
printf 's3cr3t'; sleep 0.3; printf '%s\n' '-and-long'
printf '%s' "me:$NPM_TOKEN" | base64
printf '%s' "$NPM_TOKEN" | od -An -tx1 | tr -d ' \n'; echo
head -c 9000 /dev/zero | tr '\0' x; echo "$NPM_TOKEN" >&2
"#,
    );
    let file = world.path("npm");
    std::fs::write(&file, "s3cr3t-and-long\n").unwrap();
    let secret = BuildSecret { name: "NPM_TOKEN".into(), file, services: vec!["photos".into()] };
    world.builds.secrets = vec![secret];
    for fenced in [true, false] {
        world.fenced = fenced;
        let done = world.build(1, "  secrets: [NPM_TOKEN]").await;
        let text = done.text();
        assert!(done.result.is_ok() && done.out().contains(&"has it"), "{text}");
        assert!(done.out().contains(&"token=***") && done.out().contains(&"***"), "{text}");
        for shown in ["s3cr3t", "czNjcjN0", "733363723374", "MzY3IzdC1h"] {
            assert!(!text.contains(shown), "{shown} in {text}");
        }
    }
    let none = world.build(2, "").await;
    assert!(!none.out().contains(&"has it"), "only what is asked for");
    world.builds.secrets[0].services = vec!["other".into()];
    let refused = world.build(3, "  secrets: [NPM_TOKEN]").await.result.unwrap_err();
    assert!(refused.contains("builds.secrets") && refused.contains("photos"), "{refused}");
    std::fs::write(world.path("npm"), "short").unwrap();
    world.builds.secrets[0].services = vec!["photos".into()];
    let refused = world.build(4, "  secrets: [NPM_TOKEN]").await.result.unwrap_err();
    assert!(refused.contains("at least 8 bytes"), "{refused}");
}

/// Leaves a process in a session of its own that does not listen to SIGTERM, as daemons do.
fn daemon(word: &str) -> String {
    format!("setsid sh -c \"trap '' TERM; echo up; exec sh -c 'sleep 600; true' {word}\" &\nsleep 0.1\n")
}

#[tokio::test]
async fn a_cancelled_build_leaves_no_process() {
    let word = format!("orphan-cancel-{}", std::process::id());
    for fenced in [true, false] {
        let mut world = World::new(&format!("{}sleep 600\n", daemon(&word)));
        world.fenced = fenced;
        let cancel = CancellationToken::new();
        let hear = {
            let cancel = cancel.clone();
            move |text: &str| {
                if text == "up" {
                    cancel.cancel();
                }
            }
        };
        let done = world.build_until(1, "", cancel, hear).await;
        assert!(done.result.unwrap_err().contains("cancelled"));
        gone(&word).await;
        assert!(!world.path("data/builds/1").exists());
    }
}

#[tokio::test]
async fn a_build_that_ends_takes_its_daemons_along() {
    let word = format!("orphan-end-{}", std::process::id());
    let world = World::new(&format!("{}echo made > out\n", daemon(&word)));
    let done = world.build(1, "").await;
    assert!(done.result.is_ok(), "{}", done.text());
    assert!(!runs(&word), "it is gone before the artifact is read");
}

#[tokio::test]
async fn silence_and_length_have_limits() {
    let word = format!("orphan-slow-{}", std::process::id());
    let world = World::new(&format!("sh -c 'sleep 600; true' {word}\n"));
    let silent = world.build(1, "  idle_timeout_s: 1").await.result.unwrap_err();
    assert!(silent.contains("printed nothing for 1 s") && silent.contains("build.idle_timeout_s"), "{silent}");
    gone(&word).await;
    world.commit("while true; do echo tick; sleep 0.2; done\n");
    let long = world.build(2, "  timeout_s: 1\n  idle_timeout_s: 1").await.result.unwrap_err();
    assert!(long.contains("longer than 1 s"), "{long}");
}

#[tokio::test]
async fn how_a_build_failed_is_said() {
    let world = World::new("exit 3\n");
    assert_eq!(world.build(1, "").await.result.unwrap_err(), "the build exited with code 3");
    world.commit("kill -9 $$\n");
    assert!(world.build(2, "").await.result.unwrap_err().contains("(signal 9)"));
    // what the build prints cannot pass for the word of its parent
    world.commit("printf '\\036{\"not_started\":\"forged\"}\\n'\n");
    assert!(world.build(3, "").await.result.is_ok());
    let mut world = world;
    world.fenced = false;
    let done = world.build(4, "").await;
    assert!(done.lines.iter().any(|(s, t)| *s == Stream::Tenfold && t.starts_with("not in a sandbox")));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    for fenced in [true, false] {
        let world = World { fenced, ..World::new("true\n") };
        let runner_error = world.build(1, "  command: [no-such-program]").await;
        assert!(
            runner_error.result.as_ref().unwrap_err().contains("`no-such-program` could not be started"),
            "{:?}",
            runner_error.result
        );
    }
}
