//! Commands of the repository, as real programs in the sandbox: what is live is kept by a small server of the test, since
//! nothing of a program's own files stays.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tenfold_app::settings::ClusterKind;
use tenfold_testkit::kill_keeper;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::world::{PATIENCE, World, image, mei, new_deploy};

/// Between two looks at what a program did.
const LOOK: Duration = Duration::from_millis(20);

/// Where releases are put: `get` says what is live, `put SHA ...` sets it, `wait ...` is answered when the test lets it.
pub struct Thing {
    port: u16,
    pub live: Arc<Mutex<String>>,
    calls: Arc<Mutex<Vec<String>>>,
    pub gate: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Thing {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let live: Arc<Mutex<String>> = Arc::default();
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let gate = Arc::new(Semaphore::new(0));
        let parts = (live.clone(), calls.clone(), gate.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (live, calls, gate) = parts.clone();
                tokio::spawn(async move {
                    let _ = answer(stream, &live, &calls, &gate).await;
                });
            }
        });
        Self { port, live, calls, gate, task }
    }

    pub fn live(&self) -> String {
        self.live.lock().clone()
    }

    /// The words of each call, oldest first.
    pub fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().iter().map(|call| call.split_whitespace().map(str::to_owned).collect()).collect()
    }

    pub async fn called(&self, times: usize) {
        let wait = async {
            while self.calls.lock().len() < times {
                tokio::time::sleep(LOOK).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never called {times} times: {:?}", self.calls());
    }

    pub fn target(&self, more: &str) -> String {
        format!(
            "    command:
      deploy: [bash, put.sh]
      observe: [bash, live.sh]
      rollback: [bash, back.sh]
      settle_s: 1
      env: {{PORT: \"{}\"}}
{more}",
            self.port
        )
    }
}

async fn answer(
    mut stream: TcpStream,
    live: &Mutex<String>,
    calls: &Mutex<Vec<String>>,
    gate: &Semaphore,
) -> std::io::Result<()> {
    let (from, mut to) = stream.split();
    let mut line = String::new();
    BufReader::new(from).read_line(&mut line).await?;
    let mut words = line.split_whitespace();
    let (verb, sha) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if verb != "get" {
        calls.lock().push(line.trim().to_owned());
    }
    match verb {
        "put" => sha.trim_matches('-').clone_into(&mut live.lock()),
        "wait" => gate.acquire().await.unwrap().forget(),
        _ => {}
    }
    let said = if verb == "get" { live.lock().clone() } else { "done".to_owned() };
    to.write_all(said.as_bytes()).await
}

const LIVE: &str = "exec 3<>/dev/tcp/127.0.0.1/$PORT; echo get >&3; cat <&3\n";
pub const PUT: &str = r#"
exec 3<>/dev/tcp/127.0.0.1/$PORT
echo "put ${TENFOLD_SHA:--} $TENFOLD_COMMAND ${TENFOLD_PREVIOUS_SHA:--} $TENFOLD_SERVICE/$TENFOLD_ENVIRONMENT \
$TENFOLD_DEPLOY $TENFOLD_EPOCH $(cat "$TENFOLD_ARTIFACT/dist/image")" >&3
cat <&3; echo " and put"
"#;

/// A server whose service goes to the thing, with a first release that is live.
pub async fn world(thing: &Thing, more: &str) -> (World, String) {
    let world = World::new(ClusterKind::Nomad, "http://127.0.0.1:1").await;
    for (name, text) in [("put.sh", PUT), ("back.sh", PUT), ("live.sh", LIVE)] {
        world.write(name, text);
    }
    let first = world.commit(&thing.target(more), &image("photos-one"));
    let deploy = world.deploy().await;
    world.state(deploy.number, "succeeded").await;
    assert_eq!(thing.live(), first);
    (world, first)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_put_there_and_taken_back() {
    let thing = Thing::start().await;
    let (mut world, first) = world(&thing, "").await;
    let second = world.commit(&thing.target(""), &image("photos-two"));
    let next = world.app().deploy_next("photos", "production", None).await.unwrap();
    assert_eq!((next.hosts.clone(), next.handed_to.as_deref()), (vec!["command".to_owned()], Some("command bash")));
    assert_eq!(next.current.as_ref().map(|c| c.sha.as_str()), Some(first.as_str()));
    assert!(next.plan.iter().any(|s| s.says.contains("bash put.sh runs within 900 s")), "{:?}", next.plan);
    // whoever may only look runs nothing of a commit that nobody has taken into the branch
    *thing.live.lock() = String::new();
    let other = world.app().deploy_next("photos", "production", Some(&second)).await.unwrap();
    assert!(other.warnings.iter().any(|w| w.contains("this is what was deployed last")), "{:?}", other.warnings);
    assert_eq!(other.current.as_ref().map(|c| c.sha.as_str()), Some(first.as_str()));
    thing.live.lock().clone_from(&first);

    let deploy = world.deploy().await;
    let done = world.state(deploy.number, "succeeded").await;
    assert_eq!((done.hosts[0].host.as_str(), done.hosts[0].state.as_str()), ("command", "healthy"));
    assert_eq!(thing.live(), second);
    let call = thing.calls().pop().unwrap();
    assert_eq!(
        call[..6],
        ["put", second.as_str(), "deploy", first.as_str(), "photos/production", deploy.number.to_string().as_str()]
    );
    assert!(call[6].parse::<i64>().unwrap() > 0 && call[7] == image("photos-two"), "{call:?}");
    let log = world.log(deploy.number);
    assert!(log.contains("done and put") && log.contains("sandbox: "), "{log}");

    let back = world.app().deploy_rollback(&mei(), deploy.number, None).await.unwrap();
    world.state(back.number, "succeeded").await;
    assert_eq!(thing.live(), first);
    let call = thing.calls().pop().unwrap();
    assert_eq!(call[1..4], [first.as_str(), "rollback", second.as_str()]);
    assert_eq!(call[7], image("photos-one"), "with the artifact of then");
    assert_eq!(thing.calls().len(), 3);
    let commands = world.dir.path().join("data/commands");
    let empty = async {
        while std::fs::read_dir(&commands).unwrap().count() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, empty).await.is_ok(), "nothing of them stays");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_hangs_or_lies_is_taken_back() {
    let thing = Thing::start().await;
    let (mut world, first) = world(&thing, "").await;
    let lying = format!("echo {first}\n");
    let cases = [
        // half way: it is live already, and then it fails
        ("put.sh", format!("{PUT}\necho 'no quota' >&2; exit 3\n"), "`deploy` exited with code 3"),
        ("put.sh", "exit 4\n".to_owned(), "`deploy` exited with code 4"),
        (
            "put.sh",
            "sleep 600\n".to_owned(),
            "`deploy` printed nothing for 5 s and was stopped (targets.production.command.idle",
        ),
        ("live.sh", lying, "`deploy` ended well, but 1 s later `observe` says that"),
    ];
    for (name, text, why) in cases {
        world.write("put.sh", PUT);
        world.write("live.sh", LIVE);
        world.write(name, &text);
        // where all is well, however long it takes
        let more = if text.starts_with("sleep") { "      idle_timeout_s: 5\n" } else { "" };
        world.commit(&thing.target(more), &image(why));
        let deploy = world.deploy().await;
        let back = world.state(deploy.number, "rolled_back").await;
        let error = back.error.unwrap_or_default();
        assert!(error.contains(why), "{error}");
        assert_eq!(thing.live(), first, "{why}");
        let call = thing.calls().pop().unwrap();
        assert_eq!(call[1..3], [first.as_str(), "rollback"], "{why}: it is called whatever seems to be live");
        assert_eq!(world.app().unlock(&mei(), "photos", "production").await.unwrap(), 1, "{why}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_observe_prints_is_read_strictly_before_anything_changes() {
    let thing = Thing::start().await;
    let (mut world, _) = world(&thing, "").await;
    let calls = thing.calls().len();
    world.commit(&thing.target(""), &image("photos-two"));
    *thing.live.lock() = "main".to_owned();
    let refused = world.app().deploy_start(&mei(), new_deploy()).await.unwrap_err();
    assert!(refused.message.contains("40 hexadecimal digits") && refused.message.contains("`main`"), "{refused}");
    world.write("live.sh", "echo 'no such place' >&2; exit 7\n");
    world.commit(&thing.target(""), &image("photos-three"));
    let refused = world.app().deploy_start(&mei(), new_deploy()).await.unwrap_err();
    assert!(refused.message.contains("`observe` exited with code 7: no such place"), "{refused}");
    let missing = thing.target("").replace("[bash, put.sh]", "[./nowhere]");
    world.write("live.sh", LIVE);
    *thing.live.lock() = String::new();
    world.commit(&missing, &image("photos-four"));
    let deploy = world.deploy().await;
    let failed = world.state(deploy.number, "failed").await;
    assert!(failed.error.unwrap_or_default().contains("the commit has no file ./nowhere"));
    assert_eq!(thing.calls().len(), calls, "nothing was changed");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_was_live_it_is_taken_out() {
    let thing = Thing::start().await;
    let mut world = World::new(ClusterKind::Nomad, "http://127.0.0.1:1").await;
    for (name, text) in [("put.sh", "exit 1\n"), ("back.sh", PUT), ("live.sh", LIVE)] {
        world.write(name, text);
    }
    world.commit(&thing.target(""), &image("photos-one"));
    let deploy = world.deploy().await;
    world.state(deploy.number, "rolled_back").await;
    assert_eq!(thing.calls().pop().unwrap()[1..3], ["-", "rollback"]);
    assert_eq!(world.app().unlock(&mei(), "photos", "production").await.unwrap(), 1);
    let without = thing.target("").replace("      rollback: [bash, back.sh]\n", "");
    world.commit(&without, &image("photos-two"));
    let deploy = world.deploy().await;
    let stuck = world.state(deploy.number, "needs_human").await;
    assert!(stuck.error.unwrap_or_default().contains("names no `rollback` that takes it out"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_outlives_the_server_and_is_begun_again_when_it_is_lost() {
    let thing = Thing::start().await;
    let (mut world, first) = world(&thing, "").await;
    // it is live before the program has ended, so what is live proves nothing
    let slow = PUT.to_owned() + "exec 4<>/dev/tcp/127.0.0.1/$PORT; echo wait >&4; cat <&4\n";
    world.write("put.sh", &slow);
    let second = world.commit(&thing.target(""), &image("photos-two"));
    let deploy = world.deploy().await;
    thing.called(3).await;
    assert_eq!(thing.live(), second);
    world.restart().await;
    let found = async {
        while !world.log(deploy.number).contains("`deploy` outlived the server") {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("it is found");
    let under_way = world.app().deploy(deploy.number).await.unwrap();
    assert!(under_way.finished_at.is_none(), "{under_way:?}");
    thing.gate.add_permits(1);
    world.state(deploy.number, "succeeded").await;
    let puts =
        || -> Vec<String> { thing.calls().into_iter().filter(|c| c[0] == "put").map(|c| c[1].clone()).collect() };
    assert_eq!(puts(), [first.as_str(), second.as_str()], "it did not run twice");
    assert_eq!(world.log(deploy.number).matches("done and put").count(), 1, "and each line is heard once");

    let third = world.commit(&thing.target(""), &image("photos-three"));
    let deploy = world.deploy().await;
    thing.called(5).await;
    world.stop().await;
    kill_keeper(&world.dir.path().join(format!("data/commands/{}.step", deploy.number)));
    world.start().await;
    thing.called(7).await;
    // one for the program that was lost, which nobody waits for any more
    thing.gate.add_permits(2);
    world.state(deploy.number, "succeeded").await;
    assert_eq!(puts(), [first, second, third.clone(), third]);
    world.stop().await;
}

/// A server that shares the database of the one that deployed has no copy of the repository.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_fetched_the_repository_fetches_it() {
    let thing = Thing::start().await;
    let (mut world, first) = world(&thing, "").await;
    world.commit(&thing.target(""), &image("photos-two"));
    let deploy = world.deploy().await;
    world.state(deploy.number, "succeeded").await;
    let copies = world.dir.path().join("data/git");
    world.stop().await;
    std::fs::remove_dir_all(&copies).unwrap();
    world.start().await;
    let back = world.app().deploy_rollback(&mei(), deploy.number, None).await.unwrap();
    world.state(back.number, "succeeded").await;
    assert_eq!(thing.live(), first);

    // It takes over in the middle of a command.
    let slow = PUT.to_owned() + "exec 4<>/dev/tcp/127.0.0.1/$PORT; echo wait >&4; cat <&4\n";
    world.write("put.sh", &slow);
    let third = world.commit(&thing.target(""), &image("photos-three"));
    let deploy = world.deploy().await;
    thing.called(5).await;
    world.stop().await;
    std::fs::remove_dir_all(&copies).unwrap();
    thing.gate.add_permits(2);
    world.start().await;
    world.state(deploy.number, "succeeded").await;
    assert_eq!(thing.live(), third);
    world.stop().await;
}
