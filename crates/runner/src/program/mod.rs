//! A program that a repository names: a build, a hook, a command of a target. It runs in the sandbox, as far as the machine
//! has one, in a process group of its own, with an end to its time and to its silence. Nothing of it outlives the server.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tenfold_app::{
    deploys::ports::{LineSink, Stream},
    settings::Builds,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    process::{GroupGuard, ProcessId},
    runner::BuildParent,
    sandbox::{Said, uid_of},
};

mod folder;
mod launch;
mod output;

use folder::END_WITHIN;
pub(crate) use folder::{Folder, tidy};

/// Output that is still in the pipes after it ended is read for this long.
const DRAIN: Duration = Duration::from_secs(2);

/// What is to run.
pub(crate) struct Program<'a> {
    /// The subject of sentences about it: `the build`.
    pub what: &'a str,
    /// Its key in the pipeline file, whose limits are named when they strike: `build`, `hooks.before_promote`.
    pub key: &'a str,
    /// Begins the name of its control group: `build-12`.
    pub group: &'a str,
    pub service: &'a str,
    pub argv: &'a [String],
    /// What tenfold says and what the file says.
    pub env: BTreeMap<String, String>,
    /// Variables that name folders below its own, by their path there.
    pub places: BTreeMap<String, String>,
    /// Names of secrets that it asks for.
    pub secrets: &'a [String],
    pub network: bool,
    pub timeout_s: u32,
    pub idle_timeout_s: u32,
    pub folder: &'a Folder,
    pub settings: &'a Builds,
    /// How it is started; directly where there is nothing to fence it with.
    pub parent: Option<&'a BuildParent>,
    /// The user it runs as, when it gets one of its own.
    pub uid: Option<u32>,
    pub lines: LineSink,
    pub cancel: &'a CancellationToken,
}

/// The user of a deploy's programs, when they get one of their own.
pub(crate) fn uid(parent: Option<&BuildParent>, deploy: i64) -> Option<u32> {
    (parent.is_some() && nix::unistd::geteuid().is_root()).then(|| uid_of(deploy))
}

impl Program<'_> {
    /// Runs it to its end. The error is for people.
    pub async fn run(&self) -> Result<(), String> {
        let mut started = launch::start(self)?;
        let id = started.child.id().and_then(ProcessId::of);
        let mut guard = GroupGuard(id);
        if let Some(id) = id {
            self.folder.note(id).await?;
        }
        started.tell(self.what).await?;
        let noise = Arc::new(Notify::new());
        let hear = Arc::new(Mutex::new(None));
        let reader = |stream| output::Reader {
            stream,
            lines: self.lines.clone(),
            noise: noise.clone(),
            secrets: started.secrets.clone(),
            parent: (started.fenced && stream == Stream::Out).then(|| hear.clone()),
        };
        let out = started.child.stdout.take().map(|s| tokio::spawn(reader(Stream::Out).run(s)));
        let err = started.child.stderr.take().map(|s| tokio::spawn(reader(Stream::Err).run(s)));
        let ended = self.watch(&mut started.child, &noise).await;
        if let Some(id) = id
            && ended.is_err()
        {
            id.end(END_WITHIN).await;
        }
        // whatever it left in its group would hold the pipes open
        drop(guard.0.take().map(|id| GroupGuard(Some(id))));
        for reader in [out, err].into_iter().flatten() {
            let _ = tokio::time::timeout(DRAIN, reader).await;
        }
        let heard = hear.lock().take();
        match (ended, heard) {
            (Err(_), Some(Said::NotStarted(error))) => Err(error),
            (ended, _) => ended,
        }
    }

    /// Waits for its end, for the end of its time, and for too long a silence.
    async fn watch(&self, child: &mut tokio::process::Child, noise: &Notify) -> Result<(), String> {
        let (what, key) = (self.what, self.key);
        let total = tokio::time::sleep(Duration::from_secs(self.timeout_s.into()));
        tokio::pin!(total);
        let idle = Duration::from_secs(self.idle_timeout_s.into());
        loop {
            tokio::select! {
                status = child.wait() => return match status {
                    Ok(status) if status.success() => Ok(()),
                    Ok(status) => Err(format!("{what} {}", said(status))),
                    Err(e) => Err(format!("{what} could not be watched: {e}")),
                },
                () = noise.notified() => {}
                () = tokio::time::sleep(idle) => return Err(format!(
                    "{what} printed nothing for {} s and was stopped ({key}.idle_timeout_s)", self.idle_timeout_s
                )),
                () = &mut total => return Err(format!(
                    "{what} took longer than {} s and was stopped ({key}.timeout_s)", self.timeout_s
                )),
                () = self.cancel.cancelled() => return Err(format!("{what} was cancelled")),
            }
        }
    }
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|_| "its files could not be read".to_owned())
}

/// How it ended, as the predicate of a sentence.
fn said(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        // as shells tell that a signal ended it
        (Some(code @ 129..=159), _) => format!("exited with code {code} (signal {})", code - 128),
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}
