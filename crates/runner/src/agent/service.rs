//! Starting a release as a process and asking whether it is healthy.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    net::TcpListener,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use parking_lot::Mutex;
use tenfold_deploys::Digest;
use tenfold_protocols::agent::{LimitsReport, RunSpec, TEXT_BYTES_MAX, tail_of};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::oneshot,
};

use super::{
    Shared,
    disk::Place,
    limits::{self, Held},
};
use crate::process::{GroupGuard, ProcessId, inherited_env};

/// One question of a health check waits this long for its answer.
pub(super) const PROBE: Duration = Duration::from_secs(2);
/// Between two questions while a release starts.
const STARTING: Duration = Duration::from_millis(100);
/// The end of the log that goes with a failure.
const TAIL_BYTES: u64 = 4 * 1024;
/// A log is cut above this size; the older half moves to `.1`.
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A process that was started, and the way to learn how it ended.
pub(crate) struct Started {
    pub id: ProcessId,
    pub exit: oneshot::Receiver<ExitStatus>,
    /// Length of the log before it was started.
    pub log_from: u64,
    /// How it is held, where limits were asked for.
    pub limits: Option<LimitsReport>,
}

/// Ports that were given out last. What is started on one may not listen there yet, and until it does the kernel may give the
/// port to the next that asks.
static GIVEN: Mutex<VecDeque<u16>> = Mutex::new(VecDeque::new());
/// How many of them are remembered.
const GIVEN_MAX: usize = 1_024;
/// The kernel is asked so often for one that is not among them.
const PORT_TRIES: usize = 64;

/// A free port that this process gave nobody lately. A service that finds it taken all the same, by a program of somebody else,
/// exits and the activation fails.
pub(crate) fn free_port() -> io::Result<u16> {
    let mut given = GIVEN.lock();
    // Held, so that the kernel does not give the same one again.
    let mut held = Vec::new();
    for _ in 0..PORT_TRIES {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        if !given.contains(&port) {
            if given.len() == GIVEN_MAX {
                given.pop_front();
            }
            given.push_back(port);
            return Ok(port);
        }
        held.push(listener);
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "all that the kernel offers were given out a moment ago"))
}

pub(crate) fn start(
    shared: &Shared,
    place: &Place,
    service: &str,
    digest: Digest,
    deploy: i64,
    run: &RunSpec,
    port: u16,
) -> Result<Started, String> {
    let dir = place.release(digest);
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(place.log(digest))
        .map_err(|e| format!("the log of the service cannot be written: {e}"))?;
    let log_from = log.metadata().map_or(0, |m| m.len());
    let err = log.try_clone().map_err(|e| e.to_string())?;
    let program = run.command.first().ok_or("the release has no command")?;
    let held = (!run.limits.is_empty()).then(|| limited(shared, service, digest, port, run)).transpose()?;
    let limits = held.as_ref().map(|(_, held)| held.report.clone());
    let groups = held.as_ref().map(|(_, held)| held.spec.join.clone()).unwrap_or_default();
    let mut command = match &held {
        Some((launcher, _)) => Command::new(launcher),
        None => Command::new(program),
    };
    match &held {
        Some(_) => command.args(["sandbox", "service"]).stdin(Stdio::piped()),
        None => command.args(&run.command[1..]).stdin(Stdio::null()),
    };
    let mut child = command
        .current_dir(&dir)
        .env_clear()
        .envs(inherited_env())
        .envs(&run.env)
        .envs(host_env(place)?)
        .env("TENFOLD_SERVICE", service)
        .env("TENFOLD_ENVIRONMENT", &shared.config.environment)
        .env("TENFOLD_HOST", &shared.config.name)
        .env("TENFOLD_SHA", &run.sha)
        .env("TENFOLD_RELEASE", digest.to_string())
        .env("TENFOLD_DEPLOY", deploy.to_string())
        .env("TENFOLD_SHARED_DIR", place.shared())
        .env(&run.port_env, port.to_string())
        .stdout(Stdio::from(log))
        .stderr(Stdio::from(err))
        .process_group(0)
        .spawn()
        .map_err(|e| format!("`{program}` could not be started: {e}; is it installed on the host and in its PATH?"))?;
    if let (Some(mut input), Some((_, held))) = (child.stdin.take(), held) {
        let mut line = serde_json::to_vec(&held.spec).map_err(|e| e.to_string())?;
        line.push(b'\n');
        // one that cannot be told ends, and says so in the log of the service
        tokio::spawn(async move { input.write_all(&line).await });
    }
    let id = child.id().and_then(ProcessId::of);
    let (ended, exit) = oneshot::channel();
    tokio::spawn(async move {
        if let Ok(status) = child.wait().await {
            // before anybody knows of it, who might start the next in the same group
            limits::let_go(&groups).await;
            let _ = ended.send(status);
        }
    });
    let id = id.ok_or_else(|| format!("`{program}` ended at once\n{}", tail(&place.log(digest), log_from)))?;
    Ok(Started { id, exit, log_from, limits })
}

/// How the service is held to its limits, with the program that puts it under them.
fn limited<'a>(
    shared: &'a Shared,
    service: &str,
    digest: Digest,
    port: u16,
    run: &RunSpec,
) -> Result<(&'a Path, Held), String> {
    let launcher = shared.config.launcher.as_deref();
    let launcher = launcher.ok_or("this agent has nothing that puts a service under its limits")?;
    let mut held = limits::hold(&shared.config.dir, service, digest, port, run.limits);
    held.spec.command.clone_from(&run.command);
    Ok((launcher, held))
}

/// What a reload may take.
const RELOAD: Duration = Duration::from_secs(30);
/// What it printed is read for this long after it ended.
const DRAIN: Duration = Duration::from_secs(2);

/// Runs what makes another program serve the release that `current` points to. The error is for people.
pub(crate) async fn reload(shared: &Shared, place: &Place, service: &str, argv: &[String]) -> Result<(), String> {
    let Some((program, args)) = argv.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(&place.root)
        .env_clear()
        .envs(inherited_env())
        .env("TENFOLD_SERVICE", service)
        .env("TENFOLD_ENVIRONMENT", &shared.config.environment)
        .env("TENFOLD_HOST", &shared.config.name)
        .envs(host_env(place)?);
    to_its_end(&mut command, &argv.join(" "), RELOAD).await
}

/// Runs a command that must end well in time. Of one that does not, nothing goes on running; what one that ends well leaves
/// behind, it leaves on purpose.
async fn to_its_end(command: &mut Command, said: &str, within: Duration) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .process_group(0)
        .spawn()
        .map_err(|error| format!("`{said}` could not be started: {error}; is it in the PATH of the agent?"))?;
    let mut guard = GroupGuard(child.id().and_then(ProcessId::of));
    let reading = child.stderr.take().map(|err| tokio::spawn(last_words(err)));
    let status = match tokio::time::timeout(within, child.wait()).await {
        Ok(Ok(status)) if status.success() => {
            guard.0 = None;
            return Ok(());
        }
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(format!("`{said}` could not be watched: {error}")),
        Err(_) => return Err(format!("`{said}` did not end within {} s", within.as_secs())),
    };
    // whatever it left in its group would hold the pipe open
    drop(guard);
    let last = match reading {
        Some(reading) => tokio::time::timeout(DRAIN, reading).await.ok().and_then(Result::ok).unwrap_or_default(),
        None => Vec::new(),
    };
    let tail = tail_of(&String::from_utf8_lossy(&last));
    Err(format!("`{said}` {}: {}", ended(status), tail.trim()))
}

/// The end of what a program says; the rest is read and forgotten, so that it never waits for a reader.
async fn last_words(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut last, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = from.read(&mut chunk).await {
        last.extend_from_slice(&chunk[..n]);
        let surplus = last.len().saturating_sub(TEXT_BYTES_MAX);
        last.drain(..surplus);
    }
    last
}

/// What the host's own people set for the service, such as secrets that are in no repository: lines `NAME=VALUE` in the
/// file `env` of the service's folder. They go before what the pipeline file says.
fn host_env(place: &Place) -> Result<Vec<(String, String)>, String> {
    let path = place.root.join("env");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    parse_env(&text).map_err(|line| format!("{} line {line} is not NAME=VALUE", path.display()))
}

fn parse_env(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut pairs = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name_ok = |n: &str| !n.is_empty() && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match line.split_once('=') {
            Some((name, value)) if name_ok(name) && !value.contains('\0') => {
                pairs.push((name.to_owned(), value.to_owned()));
            }
            _ => return Err(i + 1),
        }
    }
    Ok(pairs)
}

/// Asks until the release is healthy. The error is for people.
pub(crate) async fn until_healthy(
    http: &reqwest::Client,
    exit: oneshot::Receiver<ExitStatus>,
    port: u16,
    run: &RunSpec,
) -> Result<(), String> {
    let within = Duration::from_millis(run.health_within_ms);
    let asking = async {
        loop {
            if probe(http, port, &run.health_path).await.is_ok() {
                return;
            }
            tokio::time::sleep(STARTING).await;
        }
    };
    tokio::select! {
        healthy = tokio::time::timeout(within, asking) => {
            if healthy.is_ok() {
                return Ok(());
            }
            // ask once more for the reason
            let said = probe(http, port, &run.health_path).await.err().unwrap_or_else(|| "it answered too late".to_owned());
            Err(format!("its health check {} did not pass within {} s: {said}", run.health_path, within.as_secs()))
        }
        status = exit => Err(match status {
            Ok(status) => format!("it {} before it was healthy", ended(status)),
            Err(_) => "it ended before it was healthy".to_owned(),
        }),
    }
}

/// 2xx is healthy; the error says what came instead.
pub(crate) async fn probe(http: &reqwest::Client, port: u16, path: &str) -> Result<(), String> {
    let url = format!("http://127.0.0.1:{port}{path}");
    match http.get(url).timeout(PROBE).send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status())),
        Err(error) if error.is_timeout() => Err("it did not answer within 2 s".to_owned()),
        Err(error) if error.is_connect() => Err("nothing listens on its port".to_owned()),
        Err(_) => Err("its answer was broken".to_owned()),
    }
}

fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// What a log holds from an offset on, at most its last few kilobytes.
pub(crate) fn tail(log: &Path, from: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let len = file.metadata()?.len();
        // a log that was cut meanwhile starts over
        let from = if from > len { 0 } else { from };
        file.seek(SeekFrom::Start(from.max(len.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(tail_of(&String::from_utf8_lossy(&bytes)))
    };
    read().unwrap_or_default()
}

/// Keeps a log within its size. The service writes by appending, so cutting the file under it is safe.
pub(crate) fn cap_log(log: &Path) -> io::Result<()> {
    let Ok(meta) = std::fs::metadata(log) else { return Ok(()) };
    if meta.len() > LOG_BYTES_MAX {
        std::fs::copy(log, log.with_extension("log.1"))?;
        OpenOptions::new().write(true).open(log)?.set_len(0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_ports_at_the_same_time_gets_different_ones() {
        // The kernel alone gives one twice among so many, again and again.
        let ask = || (0..100).map(|_| free_port().unwrap()).collect::<Vec<_>>();
        let all: Vec<u16> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().flat_map(|ports| ports.join().unwrap()).collect()
        });
        let different: std::collections::BTreeSet<u16> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn the_hosts_own_variables_are_read() {
        let pairs = parse_env("# secrets\n\nDB=postgres://x?a=b\nEMPTY=\n").unwrap();
        assert_eq!(pairs, [("DB".into(), "postgres://x?a=b".into()), ("EMPTY".into(), String::new())]);
        assert_eq!(parse_env("A=1\nno line"), Err(2));
        assert_eq!(parse_env("A B=1"), Err(1));
    }

    fn shell(dir: &Path, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(dir);
        command
    }

    #[tokio::test]
    async fn what_fails_leaves_no_process_and_is_quoted_by_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let cases = [
            ("sleep 600 & echo $! > pid; exit 3", 30, "`reload` exited with code 3"),
            ("sleep 600 & echo $! > pid; wait", 2, "`reload` did not end within 2 s"),
        ];
        for (script, seconds, why) in cases {
            let within = Duration::from_secs(seconds);
            let error = to_its_end(&mut shell(dir.path(), script), "reload", within).await.unwrap_err();
            assert!(error.starts_with(why), "{error}");
            let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap();
            if let Some(left) = ProcessId::of(pid.trim().parse().unwrap()) {
                let gone = tokio::time::timeout(Duration::from_secs(5), left.gone()).await;
                assert!(gone.is_ok(), "`{script}` leaves {pid}");
            }
        }
        let flood = "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo the reason >&2; exit 4";
        let error = to_its_end(&mut shell(dir.path(), flood), "reload", RELOAD).await.unwrap_err();
        assert!(
            error.starts_with("`reload` exited with code 4: x") && error.ends_with("the reason"),
            "{}",
            error.len()
        );
        assert!(error.len() < 2 * TEXT_BYTES_MAX, "{}", error.len());
        let well = "head -c 3000000 /dev/zero; exit 0";
        assert_eq!(to_its_end(&mut shell(dir.path(), well), "reload", RELOAD).await, Ok(()));
    }
}
