//! Hooks run in the sandbox of builds: what they can and cannot do, and that nothing of them stays.

use tenfold_app::{
    deploys::ports::Stream,
    settings::{BuildSecret, Sandbox},
};
use tokio_util::sync::CancellationToken;

use crate::world::{World, gone, is_root, namespaces};

#[tokio::test]
async fn a_hook_sees_its_own_files_and_processes_only() {
    let world = World::new(
        r#"
cat "$SECRET_PLACE" && echo LEAK-DATA
ls "$(dirname "$SECRET_PLACE")"/* && echo LEAK-FOLDER
cat /etc/shadow > /dev/null && echo LEAK-SHADOW
echo x > /etc/tenfold-was-here && echo LEAK-ETC
ls /root /home/* && echo LEAK-HOME
test "$(ls -d /proc/[0-9]* | wc -l)" -gt 12 && echo LEAK-PROC
kill -0 "$OUTSIDE" && echo LEAK-KILL
test -n "$CARGO_MANIFEST_DIR" && echo LEAK-ENV
echo ok > "$TMPDIR/a" && echo ok > "$HOME/b" && cat "$TMPDIR/a" "$HOME/b"
echo "$TENFOLD_HOOK $TENFOLD_SERVICE $TENFOLD_ENVIRONMENT $TENFOLD_DEPLOY $TENFOLD_SHA"
id -u
"#,
    );
    if !namespaces(world.dir.path()) {
        return;
    }
    let env = format!(
        "    env: {{SECRET_PLACE: {}, OUTSIDE: \"{}\"}}\n",
        world.path("data/state.db").display(),
        std::process::id()
    );
    let done = world.hook(41, &env).await;
    let text = done.text();
    assert!(done.result.is_ok(), "{:?} {text}", done.result);
    assert!(!text.contains("LEAK"), "{text}");
    assert!(text.contains("sandbox: ") && text.contains("mount, process, IPC"), "{text}");
    assert_eq!(done.out().iter().filter(|l| **l == "ok").count(), 2, "{text}");
    assert!(text.contains("before_activate photos production 41 "), "{text}");
    if is_root() {
        assert_eq!(done.out().last(), Some(&"1900000041"), "{text}");
    }
    assert_eq!(std::fs::read_dir(world.path("data/hooks")).unwrap().count(), 0, "nothing of it stays");
}

#[tokio::test]
async fn a_hook_without_network_reaches_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut world = World::new(&format!("bash -c 'echo > /dev/tcp/127.0.0.1/{port}' && echo reached || echo closed"));
    if !namespaces(world.dir.path()) {
        return;
    }
    assert!(world.hook(1, "").await.out().contains(&"reached"), "hooks have the network unless they say otherwise");
    let closed = world.hook(2, "    network: false\n").await;
    assert!(closed.out().contains(&"closed") && closed.text().contains("no network"), "{}", closed.text());
    // the operator's word goes before the repository's
    world.builds.network = false;
    assert!(world.hook(3, "    network: true\n").await.out().contains(&"closed"));
}

#[tokio::test]
async fn secrets_of_a_hook_are_masked_and_named_when_they_are_not_there() {
    let mut world = World::new("test \"$DB_URL\" = s3cr3t-and-long && echo has it\necho \"url=$DB_URL\"\n");
    let file = world.path("db");
    std::fs::write(&file, "s3cr3t-and-long\n").unwrap();
    world.builds.secrets = vec![BuildSecret { name: "DB_URL".into(), file, services: vec!["photos".into()] }];
    for fenced in [true, false] {
        world.fenced = fenced;
        let done = world.hook(1, "    secrets: [DB_URL]\n").await;
        let text = done.text();
        assert!(done.out().contains(&"has it") && done.out().contains(&"url=***"), "{text}");
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    assert!(!world.hook(2, "").await.out().contains(&"has it"), "only what is asked for");
    let refused = world.hook(3, "    secrets: [OTHER]\n").await.result.unwrap_err();
    assert!(refused.starts_with("hooks.before_activate.secrets asks for OTHER"), "{refused}");
}

#[tokio::test]
async fn the_file_cannot_say_for_which_deploy_a_program_is() {
    let said = "echo \"$TENFOLD_HOOK $TENFOLD_DEPLOY $TENFOLD_SERVICE $CI $COLOUR\"\n";
    let world = World { fenced: false, ..World::new(said) };
    let env = "    env: {TENFOLD_HOOK: after_activate, TENFOLD_DEPLOY: \"7\", TENFOLD_SERVICE: mail, CI: \"no\", COLOUR: blue}\n";
    let done = world.hook(41, env).await;
    assert!(done.out().contains(&"before_activate 41 photos no blue"), "{}", done.text());
    let env = "  env: {TENFOLD_SERVICE: mail, CI: \"no\", COLOUR: blue}\nartifact: {paths: [build.sh]}";
    let done = world.build(42, env).await;
    assert!(done.result.is_ok(), "{:?} {}", done.result, done.text());
    assert!(
        done.out().iter().any(|line| line.trim() == "photos no blue"),
        "what is only usual, it may: {}",
        done.text()
    );
}

#[tokio::test]
async fn a_hook_ends_by_its_limits_and_leaves_no_process() {
    let word = format!("orphan-hook-{}", std::process::id());
    let daemon = format!("setsid sh -c \"trap '' TERM; exec sh -c 'sleep 600; true' {word}\" &\necho up\nsleep 600\n");
    let world = World::new(&daemon);
    let silent = world.hook(1, "    idle_timeout_s: 1\n").await.result.unwrap_err();
    assert!(silent.contains("printed nothing for 1 s") && silent.contains("hooks.before_activate.idle_timeout_s"));
    gone(&word).await;
    let cancel = CancellationToken::new();
    let hear = {
        let cancel = cancel.clone();
        move |text: &str| {
            if text == "up" {
                cancel.cancel();
            }
        }
    };
    let cancelled = world.hook_until(2, "", cancel, hear).await.result.unwrap_err();
    assert!(cancelled.contains("cancelled"), "{cancelled}");
    gone(&word).await;
    world.commit("exit 3\n");
    assert_eq!(world.hook(3, "").await.result.unwrap_err(), "it exited with code 3");
}

#[tokio::test]
async fn a_hook_without_a_sandbox_says_so() {
    let mut world = World { fenced: false, ..World::new("echo done\n") };
    let done = world.hook(1, "").await;
    assert!(done.result.is_ok());
    assert!(done.lines.iter().any(|(s, t)| *s == Stream::Tenfold && t.starts_with("not in a sandbox")));
    world.builds.sandbox = Sandbox::Required;
    world.fenced = true;
    if namespaces(world.dir.path()) {
        let fenced = world.hook(3, "").await;
        assert!(fenced.result.is_ok(), "{}", fenced.text());
    }
}
