//! The keeper of one program: a process in a session of its own, which outlives the server that started it. It runs the program,
//! masks and writes what that prints, holds it to its limits, and writes down how it ended. It ends the program when a server
//! says so, and when none has followed it for a while.
//!
//! It is told what to do on its standard input, by one line that is never on a disk: the secrets are in it. Its folder is the
//! step's, and its standard output is the step's output, whose lock says that it lives.

use std::{
    fs::{self, File},
    io,
    path::Path,
    pin::{Pin, pin},
    process::ExitStatus,
    sync::Arc,
    time::{Duration, SystemTime},
};

use nix::sys::prctl;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tenfold_app::deploys::ports::Stream;
use tokio::{
    process::Child,
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
    time::Instant,
};

use super::{
    END_WITHIN,
    step::{CANCEL, END, End, PROCESS, PULSE},
};
use crate::{
    process::{GroupGuard, ProcessId},
    sandbox::{Said, Spec, end_descendants, read_spec},
};

mod output;
mod start;

pub(super) use output::letter;
use output::{Output, Reader};

/// Between two looks at whether a server follows and what it wants.
const TICK: Duration = Duration::from_millis(100);
/// Output that is still in the pipes after the program ended is read for this long.
const DRAIN: Duration = Duration::from_secs(2);
/// Between two tries to write the end on a full disk.
const AGAIN: Duration = Duration::from_millis(500);

/// What it is told. It has the secrets, so it is neither shown nor kept.
#[derive(Serialize, Deserialize)]
pub(super) struct Orders {
    pub what: String,
    pub key: String,
    pub timeout_s: u32,
    pub idle_timeout_s: u32,
    /// How long it runs on without a server.
    pub left_alone_ms: u64,
    /// In the sandbox; else it is started as it is.
    pub fenced: bool,
    /// The control group's name and limits.
    pub group: String,
    pub memory_mb: u64,
    pub processes: u32,
    pub spec: Spec,
    /// Their values, to be masked.
    pub secrets: Vec<String>,
}

/// Called before any thread is started, in the step's folder. Returns the exit code.
pub(crate) fn main() -> u8 {
    let _ = nix::unistd::setsid();
    // what was open in the server and is not closed by itself, as of libraries
    for fd in open_files().into_iter().filter(|fd| *fd > 2) {
        let _ = nix::unistd::close(fd);
    }
    let Ok(orders) = read_spec::<Orders>() else { return 2 };
    if let Ok(null) = File::open("/dev/null") {
        let _ = nix::unistd::dup2_stdin(null);
    }
    // what the program leaves comes to this process, so that it can be ended
    let _ = prctl::set_child_subreaper(true);
    let Ok(output) = Output::of_stdout() else { return 1 };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return 1 };
    runtime.block_on(keep(orders, Arc::new(output)));
    0
}

fn open_files() -> Vec<i32> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

async fn keep(orders: Orders, output: Arc<Output>) {
    let mut line = Line::new(Duration::from_millis(orders.left_alone_ms));
    let end = {
        let cut = pin!(line.cut());
        match run(orders, &output, cut).await {
            Ok(()) => End::Done,
            Err(end) => end,
        }
    };
    while let Err(error) = write_end(&end) {
        // where the folder is gone, nobody asks
        if error.kind() == io::ErrorKind::NotFound || line.is_alone() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Whole or not at all, also when the machine stops.
fn write_end(end: &End) -> io::Result<()> {
    let part = format!("{END}.part");
    fs::write(&part, serde_json::to_vec(end)?)?;
    File::open(&part)?.sync_all()?;
    fs::rename(&part, END)?;
    File::open(".")?.sync_all()
}

/// What is known of the server.
struct Line {
    left_alone: Duration,
    terminate: Option<Signal>,
    /// The pulse as it was last.
    pulse: Option<SystemTime>,
    at: Instant,
}

impl Line {
    fn new(left_alone: Duration) -> Self {
        Self { left_alone, terminate: signal(SignalKind::terminate()).ok(), pulse: None, at: Instant::now() }
    }

    /// No server has followed for long, or none can any more.
    fn is_alone(&mut self) -> bool {
        match fs::metadata(PULSE).and_then(|meta| meta.modified()) {
            Ok(pulse) if self.pulse != Some(pulse) => (self.pulse, self.at) = (Some(pulse), Instant::now()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            _ => {}
        }
        self.at.elapsed() >= self.left_alone
    }

    /// Returns when the program is to end: a server wants it, or nobody is there.
    async fn cut(&mut self) -> Cut {
        loop {
            if Path::new(CANCEL).exists() {
                return Cut::Cancelled;
            }
            if self.is_alone() {
                return Cut::LeftAlone;
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                // from whoever ends everything here, as a service manager does
                () = asked(&mut self.terminate) => return Cut::LeftAlone,
            }
        }
    }
}

async fn asked(terminate: &mut Option<Signal>) {
    match terminate {
        Some(terminate) => {
            terminate.recv().await;
        }
        None => std::future::pending().await,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Cancelled,
    LeftAlone,
}

impl Cut {
    fn end(self, what: &str) -> End {
        match self {
            Self::Cancelled => End::Failed(format!("{what} was cancelled")),
            Self::LeftAlone => End::LeftAlone,
        }
    }
}

/// Runs the program; nothing of it is left afterwards.
async fn run(orders: Orders, output: &Arc<Output>, cut: Pin<&mut impl Future<Output = Cut>>) -> Result<(), End> {
    let mut started = start::start(&orders, output).map_err(End::Failed)?;
    let id = started.child.id().and_then(ProcessId::of);
    let guard = GroupGuard(id);
    if let Some(id) = id {
        let noted = fs::write(PROCESS, serde_json::to_vec(&id).unwrap_or_default());
        noted.map_err(|e| End::Failed(format!("{} was not started: its step cannot be written: {e}", orders.what)))?;
    }
    started.tell(&orders.what).await.map_err(End::Failed)?;
    let noise = Arc::new(Notify::new());
    let hear = Arc::new(Mutex::new(None));
    let secrets = crate::mask::Secrets::new(orders.secrets.iter().map(String::as_str));
    let reader = |stream| Reader {
        stream,
        output: output.clone(),
        noise: noise.clone(),
        secrets: secrets.clone(),
        parent: (orders.fenced && stream == Stream::Out).then(|| hear.clone()),
    };
    let out = started.child.stdout.take().map(|s| tokio::spawn(reader(Stream::Out).run(s)));
    let err = started.child.stderr.take().map(|s| tokio::spawn(reader(Stream::Err).run(s)));
    let ended = watch(&orders, &mut started.child, &noise, cut).await;
    if let Some(id) = id
        && ended.is_err()
    {
        id.end(END_WITHIN).await;
        let _ = tokio::time::timeout(DRAIN, started.child.wait()).await;
    }
    // whatever it left would hold the pipes open
    drop(guard);
    end_descendants();
    if let Some(group) = started.group.take() {
        group.end().await;
    }
    for reader in [out, err].into_iter().flatten() {
        let _ = tokio::time::timeout(DRAIN, reader).await;
    }
    let heard = hear.lock().take();
    match (ended, heard) {
        (Err(End::Failed(_)), Some(Said::NotStarted(error))) => Err(End::Failed(error)),
        (ended, _) => ended,
    }
}

/// Waits for its end, for the end of its time, for too long a silence, and for who wants it ended.
async fn watch(
    orders: &Orders,
    child: &mut Child,
    noise: &Notify,
    mut cut: Pin<&mut impl Future<Output = Cut>>,
) -> Result<(), End> {
    let (what, key) = (&orders.what, &orders.key);
    let mut total = pin!(tokio::time::sleep(Duration::from_secs(orders.timeout_s.into())));
    let idle = Duration::from_secs(orders.idle_timeout_s.into());
    let why = loop {
        // in this order: on a machine that stood still several of them have come when this is looked at again
        tokio::select! {
            biased;
            status = child.wait() => break match status {
                Ok(status) if status.success() => return Ok(()),
                Ok(status) => format!("{what} {}", said(status)),
                Err(e) => format!("{what} could not be watched: {e}"),
            },
            cut = &mut cut => return Err(cut.end(what)),
            () = &mut total => return Err(End::Failed(format!(
                "{what} took longer than {} s and was stopped ({key}.timeout_s)", orders.timeout_s
            ))),
            () = noise.notified() => {}
            () = tokio::time::sleep(idle) => {
                // what it printed meanwhile may lie in its pipes unread
                if tokio::time::timeout(TICK, noise.notified()).await.is_err() {
                    return Err(End::Failed(format!(
                        "{what} printed nothing for {} s and was stopped ({key}.idle_timeout_s)", orders.idle_timeout_s
                    )));
                }
            }
        }
    };
    // whoever ended this process's group too has ended it, and it has not failed by itself
    match tokio::time::timeout(TICK, cut).await {
        Ok(cut) => Err(cut.end(what)),
        Err(_) => Err(End::Failed(why)),
    }
}

/// How it ended, as the predicate of a sentence.
fn said(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        // as shells tell that a signal ended it
        (Some(code @ 129..=159), _) => format!("exited with code {code} (signal {})", code - 128),
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}
