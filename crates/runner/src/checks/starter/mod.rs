//! The server's side of the starter: a process of its own that starts plugins, waits for them and reads what they say (ADR 0041).
//!
//! It is this program once more, started when the first plugin is. What is asked is written in batches and what is answered is read
//! in batches. When it ends, or says what is no answer, or does not answer in time, looks that are under way are told so, what it
//! has left is ended, and another one is started; no look waits for ever.

mod child;
mod frames;
mod place;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getsid};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use child::main;
pub(super) use frames::End;

use crate::process::{ProcessId, inherited_env};

/// What is not answered so long after its timeout is not answered any more.
const GRACE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LATE_LOOK: Duration = Duration::from_secs(1);
/// Before another one is started, when the last ended soon: the first wait, which doubles, and the longest.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// One that lived so long ended by accident: the next is started at once.
const LIVED: Duration = Duration::from_secs(10);
/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;
/// What is left of one that was killed is looked for so often: it may have started something meanwhile.
const SWEEPS_MAX: usize = 5;

/// Why nothing is known of a look.
type Lost = Arc<str>;

/// Starts programs by its process. Dropped, it ends that, and with it whatever runs.
pub(super) struct Starter {
    shared: Arc<Shared>,
    stop: CancellationToken,
    _ends: DropGuard,
}

struct Shared {
    /// The program that becomes the starter, called as `PROGRAM sandbox starter`.
    program: PathBuf,
    grace: Duration,
    state: Mutex<State>,
    /// Something is queued.
    wake: Notify,
}

#[derive(Default)]
struct State {
    /// Frames that are not written yet.
    queued: Vec<u8>,
    waiting: HashMap<u64, Waiting>,
    last_id: u64,
    supervised: bool,
}

struct Waiting {
    answer: oneshot::Sender<Result<End, Lost>>,
    late_at: Instant,
}

/// A look that is under way. Dropped before it is answered, it ends its plugin.
struct Look<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        if state.waiting.remove(&self.id).is_some() {
            frames::write_end(&mut state.queued, self.id);
            drop(state);
            self.shared.wake.notify_one();
        }
    }
}

impl Starter {
    pub fn new(program: PathBuf) -> Self {
        Self::with_grace(program, GRACE)
    }

    fn with_grace(program: PathBuf, grace: Duration) -> Self {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared { program, grace, state: Mutex::default(), wake: Notify::new() });
        Self { shared, _ends: stop.clone().drop_guard(), stop }
    }

    /// Starts a program by its path with arguments, and returns when it has ended or `timeout` is over and it was killed.
    ///
    /// # Errors
    /// In words, why nothing is known of it.
    pub async fn run(&self, argv: &[&[u8]], timeout: Duration) -> Result<End, Lost> {
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut state = self.shared.state.lock();
            let state = &mut *state;
            let id = state.last_id + 1;
            frames::write_start(&mut state.queued, id, timeout_ms, argv).map_err(|e| Lost::from(e.to_string()))?;
            state.last_id = id;
            state.waiting.insert(id, Waiting { answer, late_at: Instant::now() + timeout + self.shared.grace });
            if !state.supervised {
                state.supervised = true;
                tokio::spawn(supervise(self.shared.clone(), self.stop.clone()));
            }
            id
        };
        let _look = Look { shared: &self.shared, id };
        self.shared.wake.notify_one();
        answered.await.unwrap_or_else(|_| Err(Lost::from("the server ends")))
    }
}

/// Keeps a starter until it is stopped.
async fn supervise(shared: Arc<Shared>, stop: CancellationToken) {
    let mut in_a_row = 0;
    loop {
        let began = Instant::now();
        let why = match start(&shared.program) {
            Ok((child, socket)) => {
                let why = tokio::select! {
                    () = stop.cancelled() => {
                        // The socket is closed here, and it ends with all it has started. Nobody waits for that.
                        std::thread::spawn(move || reap(child));
                        return;
                    }
                    why = talk(&shared, socket) => why,
                };
                let ended = tokio::task::spawn_blocking(move || end(child)).await.unwrap_or_else(|e| e.to_string());
                format!("{why} ({ended})")
            }
            Err(error) => format!("it could not be started: {error}"),
        };
        in_a_row = if began.elapsed() >= LIVED { 1 } else { in_a_row + 1 };
        shared.lose(&format!("the process that starts plugins is gone: {why}"));
        if in_a_row == 1 {
            tracing::warn!(why, "the process that starts plugins is gone; another one is started");
        }
        let wait = if in_a_row == 1 { Duration::ZERO } else { backoff(in_a_row - 2) };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn backoff(failures: u32) -> Duration {
    BACKOFF.saturating_mul(2_u32.saturating_pow(failures)).min(BACKOFF_MAX)
}

fn start(program: &Path) -> std::io::Result<(Child, UnixStream)> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    let ours = UnixStream::from_std(ours)?;
    let child = Command::new(program)
        .args(["sandbox", "starter"])
        .env_clear()
        .envs(inherited_env())
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok((child, ours))
}

/// Until that is not possible any more: why.
async fn talk(shared: &Shared, socket: UnixStream) -> String {
    let (from, to) = socket.into_split();
    tokio::select! {
        why = ask(shared, to) => why,
        why = hear(shared, from) => why,
        why = late(shared) => why,
    }
}

async fn ask(shared: &Shared, mut to: OwnedWriteHalf) -> String {
    let mut batch = Vec::new();
    loop {
        std::mem::swap(&mut batch, &mut shared.state.lock().queued);
        if batch.is_empty() {
            shared.wake.notified().await;
            // What becomes due at one time is asked by many tasks: one write takes it all.
            tokio::task::yield_now().await;
            continue;
        }
        if let Err(error) = to.write_all(&batch).await {
            return format!("it takes nothing any more: {error}");
        }
        batch.clear();
    }
}

async fn hear(shared: &Shared, mut from: OwnedReadHalf) -> String {
    let mut came = Vec::new();
    loop {
        came.reserve(READ_BYTES);
        match from.read_buf(&mut came).await {
            Ok(0) => return "it has ended".to_owned(),
            Ok(_) => {}
            Err(error) => return format!("it cannot be heard: {error}"),
        }
        let mut rest = &came[..];
        if let Err(error) = shared.answer(&mut rest) {
            return format!("what it says is no answer: {error}");
        }
        let read = came.len() - rest.len();
        came.drain(..read);
    }
}

/// Returns when something was not answered in time.
async fn late(shared: &Shared) -> String {
    let mut every = tokio::time::interval(LATE_LOOK);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = every.tick().await;
        if shared.state.lock().waiting.values().any(|waiting| waiting.late_at <= now) {
            return "it does not answer".to_owned();
        }
    }
}

impl Shared {
    /// Hands on the answers that are whole.
    fn answer(&self, rest: &mut &[u8]) -> Result<(), frames::Malformed> {
        while let Some(body) = frames::next_body(rest, frames::ANSWER_BYTES_MAX)? {
            let answer = frames::read_answer(body)?;
            let waiting = self.state.lock().waiting.remove(&answer.id);
            // Nobody waits for it where the look was dropped meanwhile.
            if let Some(waiting) = waiting {
                let _ = waiting.answer.send(Ok(answer.end));
            }
        }
        Ok(())
    }

    /// Nothing will be known of what is under way, and what is queued is not asked.
    fn lose(&self, why: &str) {
        let waiting = {
            let mut state = self.state.lock();
            state.queued.clear();
            std::mem::take(&mut state.waiting)
        };
        let why = Lost::from(why);
        for waiting in waiting.into_values() {
            let _ = waiting.answer.send(Err(why.clone()));
        }
    }
}

/// Waits for one that ends by itself.
fn reap(mut child: Child) {
    let _ = child.wait();
}

/// Ends a starter that is of no use any more, and what it has started: how it ended. Blocks until it is gone.
fn end(mut child: Child) -> String {
    let _ = child.kill();
    if let Ok(pid) = i32::try_from(child.id()) {
        let pid = Pid::from_raw(pid);
        // It starts nothing more, and its number, which is its session's, is given to nobody else until it is waited for.
        let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        end_session(pid);
    }
    child.wait().map_or_else(|e| e.to_string(), |status| status.to_string())
}

/// Kills every process of a session whose leader is dead.
fn end_session(session: Pid) {
    for _ in 0..SWEEPS_MAX {
        let Ok(entries) = std::fs::read_dir("/proc") else { return };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let living = pids.filter_map(ProcessId::of).filter(|process| process.is_alive());
        let left = living.map(|process| Pid::from_raw(process.pid)).filter(|pid| getsid(Some(*pid)) == Ok(session));
        let killed = left.filter(|pid| kill(*pid, Signal::SIGKILL).is_ok()).count();
        if killed == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn no_look_waits_for_one_that_never_answers() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("starter");
        std::fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let starter = Starter::with_grace(program, Duration::ZERO);
        let why = starter.run(&[b"/bin/true"], Duration::from_millis(100)).await.unwrap_err();
        assert!(why.contains("it does not answer"), "{why}");
    }

    #[test]
    fn waits_grow_up_to_a_limit() {
        let waits: Vec<u128> = [0, 1, 2, 5, 6, 40].map(|n| backoff(n).as_millis()).to_vec();
        assert_eq!(waits, [100, 200, 400, 3_200, 5_000, 5_000]);
    }
}
