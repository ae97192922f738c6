//! The process that starts plugins, with real ones: what it takes at once, what it ends, and what is left when either side is
//! killed.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::{CheckRunner, Ran, Run};
use tenfold_runner::Looker;
use tenfold_testkit::TestClock;
use tenfold_types::Timestamp;

const STARTER: &str = env!("CARGO_BIN_EXE_tenfold-sandbox");
const PATIENCE: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// SIGPIPE among the signals of `/proc/PID/status`.
const BROKEN_PIPE: u64 = 1 << (Signal::SIGPIPE as u64 - 1);
/// A length that no frame has.
const HOSTILE: &str = "\\377\\377\\377\\377";

fn looker_by(dir: &Path, starter: &Path) -> Arc<Looker> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock = Arc::new(TestClock::at(Timestamp(0)));
    Arc::new(Looker::new(vec![dir.to_owned()], starter.to_owned(), clock).unwrap())
}

fn looker(dir: &Path) -> Arc<Looker> {
    looker_by(dir, Path::new(STARTER))
}

fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn plugin(argv: &[&str]) -> Run {
    Run::Plugin(argv.iter().map(|&argument| argument.to_owned()).collect())
}

async fn look(looker: &Looker, argv: &[&str], timeout: Duration) -> (CheckStatus, String) {
    let Ran { status, output } = looker.run(&plugin(argv), timeout).await;
    (status, String::from_utf8(output).unwrap())
}

/// A look that goes on beside the test.
fn begin(looker: &Arc<Looker>, argv: &[&str], timeout: Duration) -> tokio::task::JoinHandle<(CheckStatus, String)> {
    let (looker, run) = (looker.clone(), plugin(argv));
    tokio::spawn(async move {
        let Ran { status, output } = looker.run(&run, timeout).await;
        (status, String::from_utf8(output).unwrap())
    })
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ") && !stat.contains(") X ")
}

/// Numbers of processes that a plugin wrote, one a line, once they are all there.
async fn pids(path: &Path, count: usize) -> Vec<i32> {
    let read = || -> Vec<i32> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        whole.lines().map(|line| line.parse().unwrap()).collect()
    };
    until("the plugin's numbers", || read().len() >= count).await;
    read()
}

async fn gone(pids: &[i32]) {
    until("the end of all processes", || !pids.iter().any(|pid| runs(*pid))).await;
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_at_once_each_say_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    script(dir.path(), "one", "echo \"I am $1|n=$1\"\nexit $(($1 % 4))");
    let looks: Vec<_> = (0..1_000).map(|n| begin(&looker, &["one", &n.to_string()], TIMEOUT)).collect();
    let statuses = [CheckStatus::Ok, CheckStatus::Warning, CheckStatus::Critical, CheckStatus::Unknown];
    for (n, look) in looks.into_iter().enumerate() {
        assert_eq!(look.await.unwrap(), (statuses[n % 4], format!("I am {n}|n={n}\n")));
    }
}

#[tokio::test]
async fn what_is_said_is_kept_to_the_last_byte_that_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    script(dir.path(), "says", "head -c \"$1\" /dev/zero | tr '\\0' x");
    script(dir.path(), "slowly", "sleep 0.2\nhead -c \"$1\" /dev/zero | tr '\\0' x\nprintf end");
    for bytes in [1, 4_096, 65_535, 65_536, 65_537, 1_000_000] {
        let (status, said) = look(&looker, &["says", &bytes.to_string()], TIMEOUT).await;
        assert_eq!((status, said.len()), (CheckStatus::Ok, bytes.min(64 << 10)), "{bytes}");
    }
    let (_, said) = look(&looker, &["slowly", "5000"], TIMEOUT).await;
    assert_eq!((said.len(), said.ends_with("xend")), (5_003, true));
    // Far more than a pipe holds: it is read while it comes, although no more of it is kept.
    let (status, said) = look(&looker, &["slowly", "3000000"], TIMEOUT).await;
    assert_eq!((status, said.len()), (CheckStatus::Ok, 64 << 10));
    script(dir.path(), "complains", "printf ' \\n'\necho 'usage: a|b' >&2\nexit 3");
    let complained = (CheckStatus::Unknown, "usage: a/b\n".to_owned());
    assert_eq!(look(&looker, &["complains"], TIMEOUT).await, complained, "and none of it is performance data");
    script(dir.path(), "both", "echo said\necho complained >&2");
    assert_eq!(look(&looker, &["both"], TIMEOUT).await, (CheckStatus::Ok, "said\n".to_owned()));
    script(dir.path(), "chatters", "head -c 1000000 /dev/zero >&2\necho said");
    assert_eq!(look(&looker, &["chatters"], TIMEOUT).await, (CheckStatus::Ok, "said\n".to_owned()));
    script(dir.path(), "silent", "exit 1");
    assert_eq!(look(&looker, &["silent"], TIMEOUT).await, (CheckStatus::Warning, String::new()));
}

#[tokio::test]
async fn a_plugin_finds_what_programs_find_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    // An empty input, an environment of few names, no signal that is blocked, a broken pipe that ends it, a group of its own.
    script(
        dir.path(),
        "looks",
        "cat\nenv | cut -d= -f1 | sort | tr '\\n' ' '\ngrep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2 | tr '\\n' ' '\n\
         [ \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$ ] && echo leads",
    );
    let (_, said) = look(&looker, &["looks"], TIMEOUT).await;
    let mut words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words.pop(), Some("leads"), "{said}");
    let mut signals = || u64::from_str_radix(words.pop().unwrap(), 16).unwrap();
    let (ignored, blocked) = (signals(), signals());
    assert_eq!((blocked, ignored & BROKEN_PIPE), (0, 0), "{said}");
    let known = [
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "LC_ALL",
        "TZ",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "PWD",
        "_",
        "SHLVL",
        "OLDPWD",
    ];
    assert!(words.iter().all(|name| known.contains(name)), "{said}");
    let not_executable = dir.path().join("text");
    std::fs::write(&not_executable, "no program").unwrap();
    let (status, said) = look(&looker, &["text"], TIMEOUT).await;
    assert!(status == CheckStatus::Unknown && said.contains("could not be started"), "{said}");
}

#[tokio::test]
async fn one_that_takes_longer_may_run_on_every_processor() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    let slow = dir.path().join("slow");
    let waits = format!("[ -e '{}' ] && sleep 0.2\ngrep Cpus_allowed: /proc/$$/status", text(&slow));
    script(dir.path(), "looks", &waits);
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let ours = status.lines().find(|line| line.starts_with("Cpus_allowed:"));
    look(&looker, &["looks"], TIMEOUT).await;
    // It was done at once, and begins where the starter is from now on.
    std::fs::write(&slow, "").unwrap();
    let (_, said) = look(&looker, &["looks"], TIMEOUT).await;
    assert_eq!(Some(said.trim_end()), ours);
}

#[tokio::test]
async fn one_that_hangs_is_ended_in_time_with_what_ignores_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    script(
        dir.path(),
        "hangs",
        "trap '' TERM\n(trap '' TERM; while :; do sleep 1; done) &\necho $! > \"$1\"\necho $$ >> \"$1\"\nwait",
    );
    let file = dir.path().join("pids");
    // where there is much else to do it has not begun in so little time, and gets more
    for seconds in [0.6, 6.0, 30.0] {
        let (began, timeout) = (Instant::now(), Duration::from_secs_f64(seconds));
        let (status, said) = look(&looker, &["hangs", text(&file)], timeout).await;
        assert!(began.elapsed() >= timeout);
        assert_eq!(status, CheckStatus::Critical);
        assert!(said.contains(&format!("no answer within {seconds} s")), "{said}");
        if std::fs::read_to_string(&file).is_ok_and(|pids| pids.lines().count() == 2) {
            break;
        }
    }
    gone(&pids(&file, 2).await).await;
}

#[tokio::test]
async fn a_daemon_that_keeps_the_output_open_is_not_waited_for() {
    if Command::new("setsid").arg("true").status().is_err() {
        tenfold_testkit::peer_is_missing("setsid is not installed (Debian: util-linux)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    // It leaves the group, so it goes on; the test ends it.
    script(
        dir.path(),
        "starts",
        "setsid sh -c 'echo $$ > \"$1\"; exec sleep 1000' daemon \"$1\" &\n\
         while [ ! -s \"$1\" ]; do sleep 0.01; done\nsleep \"$2\"\necho fine",
    );
    for wait in ["0", "0.2"] {
        let file = dir.path().join(format!("daemon-{wait}"));
        let began = Instant::now();
        assert_eq!(
            look(&looker, &["starts", text(&file), wait], TIMEOUT).await,
            (CheckStatus::Ok, "fine\n".to_owned())
        );
        assert!(began.elapsed() < TIMEOUT);
        let daemon = pids(&file, 1).await[0];
        assert!(runs(daemon), "it has left the group");
        kill(Pid::from_raw(daemon), Signal::SIGKILL).unwrap();
    }
}

#[tokio::test]
async fn a_look_that_is_dropped_ends_its_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    script(dir.path(), "hangs", "echo $$ > \"$1\"\nexec sleep 1000");
    let file = dir.path().join("pids");
    let answer = begin(&looker, &["hangs", text(&file)], TIMEOUT);
    let pids = pids(&file, 1).await;
    answer.abort();
    gone(&pids).await;
}

#[tokio::test]
async fn what_a_killed_starter_leaves_is_ended_and_another_one_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    script(dir.path(), "hangs", "sleep 1000 &\nprintf '%s\\n' $PPID $! $$ > \"$1\"\nwait");
    script(dir.path(), "parent", "echo $PPID");
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    let looks = [begin(&looker, &["hangs", text(&one)], TIMEOUT), begin(&looker, &["hangs", text(&other)], TIMEOUT)];
    let mut all = pids(&one, 3).await;
    all.extend(pids(&other, 3).await);
    let starter = all[0];
    assert_eq!(starter, all[3], "one starts both");
    kill(Pid::from_raw(starter), Signal::SIGKILL).unwrap();
    for look in looks {
        let (status, said) = look.await.unwrap();
        assert!(status == CheckStatus::Unknown && said.contains("the process that starts plugins is gone"), "{said}");
    }
    gone(&all).await;
    let (status, said) = look(&looker, &["parent"], TIMEOUT).await;
    assert_eq!(status, CheckStatus::Ok);
    assert_ne!(said.trim(), starter.to_string());
}

#[tokio::test]
async fn nothing_is_left_when_the_server_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    script(dir.path(), "hangs", "trap '' TERM HUP\nsleep 1000 &\nprintf '%s\\n' $PPID $! $$ > \"$1\"\nwait");
    let file = dir.path().join("pids");
    let answer = begin(&looker, &["hangs", text(&file)], TIMEOUT);
    let pids = pids(&file, 3).await;
    assert!(pids.iter().all(|pid| runs(*pid)));
    answer.abort();
    let _ = answer.await;
    drop(looker);
    gone(&pids).await;
}

#[tokio::test]
async fn one_that_says_what_is_no_answer_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    // The first answers with a length that no frame has, the second is a real one.
    let starter = format!(
        "[ -e '{0}' ] && exec '{STARTER}' \"$@\"\necho > '{0}'\nprintf '{HOSTILE}' >&0\nexec sleep 1000",
        text(&mark)
    );
    let looker = looker_by(dir.path(), &script(dir.path(), "starter", &starter));
    script(dir.path(), "fine", "echo fine");
    let (status, said) = look(&looker, &["fine"], TIMEOUT).await;
    assert!(status == CheckStatus::Unknown && said.contains("no answer: a frame is too long"), "{said}");
    assert_eq!(look(&looker, &["fine"], TIMEOUT).await, (CheckStatus::Ok, "fine\n".to_owned()));
    let none = looker_by(dir.path(), &dir.path().join("none"));
    let (status, said) = look(&none, &["fine"], TIMEOUT).await;
    assert!(status == CheckStatus::Unknown && said.contains("could not be started"), "{said}");
}

/// A starter that is spoken to by hand.
struct ByHand {
    child: Child,
    socket: UnixStream,
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ByHand {
    fn start() -> Self {
        let (socket, theirs) = UnixStream::pair().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let child = Command::new(STARTER)
            .args(["sandbox", "starter"])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, socket }
    }

    fn send(&mut self, body: &[u8]) {
        self.socket.write_all(&u32::try_from(body.len()).unwrap().to_le_bytes()).unwrap();
        self.socket.write_all(body).unwrap();
    }
}

/// The body of a request to start something.
fn to_start(id: u64, argv: &[&str]) -> Vec<u8> {
    let mut body = vec![1];
    body.extend(id.to_le_bytes());
    body.extend(60_000_u32.to_le_bytes());
    body.extend(u16::try_from(argv.len()).unwrap().to_le_bytes());
    for argument in argv {
        body.extend(u32::try_from(argument.len()).unwrap().to_le_bytes());
        body.extend(argument.as_bytes());
    }
    body
}

#[tokio::test]
async fn hostile_requests_end_it_with_all_it_has_started() {
    let dir = tempfile::tempdir().unwrap();
    let hangs = script(dir.path(), "hangs", "echo $$ > \"$1\"\nexec sleep 1000");
    let mut longer = to_start(1, &["/bin/true"]);
    longer.push(0);
    let cases = [vec![], vec![1], vec![9; 9], to_start(1, &[]), to_start(1, &["/bin/tr\0ue"]), longer];
    for (n, body) in cases.into_iter().enumerate() {
        let mut starter = ByHand::start();
        let file = dir.path().join(format!("pids-{n}"));
        starter.send(&to_start(7, &[text(&hangs), text(&file)]));
        let pids = pids(&file, 1).await;
        starter.send(&body);
        assert_eq!(starter.child.wait().unwrap().code(), Some(3), "{body:?}");
        gone(&pids).await;
    }
    let mut starter = ByHand::start();
    starter.socket.write_all(&[0xff; 4]).unwrap();
    assert_eq!(starter.child.wait().unwrap().code(), Some(3), "a length that no frame has");
    // By hand, without a socket.
    let status = Command::new(STARTER).args(["sandbox", "starter"]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(2));
}

#[tokio::test]
async fn what_asks_it_to_end_is_not_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let says = script(dir.path(), "says", "echo fine");
    let hangs = script(dir.path(), "hangs", "echo $$ > \"$1\"\nexec sleep 1000");
    let file = dir.path().join("pids");
    let mut starter = ByHand::start();
    starter.send(&to_start(1, &[text(&hangs), text(&file)]));
    let pids = pids(&file, 1).await;
    let pid = Pid::from_raw(i32::try_from(starter.child.id()).unwrap());
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(pid, signal).unwrap();
    }
    // Requests in pieces, and two in one, are what they are.
    let mut both = Vec::new();
    for id in [2_u64, 3] {
        let body = to_start(id, &[text(&says)]);
        both.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        both.extend(body);
    }
    for piece in both.chunks(5) {
        starter.socket.write_all(piece).unwrap();
    }
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut answer = [0; 4 + 1 + 8 + 1 + 5];
        starter.socket.read_exact(&mut answer).unwrap();
        assert_eq!((&answer[..5], &answer[13..]), (&[15, 0, 0, 0, 1][..], &b"\0fine\n"[..]));
        ids.push(answer[5]);
    }
    ids.sort_unstable();
    assert_eq!(ids, [2, 3]);
    starter.socket.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(starter.child.wait().unwrap().code(), Some(0), "its server is gone");
    gone(&pids).await;
}
