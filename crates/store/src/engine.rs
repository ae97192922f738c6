//! The threads behind [`crate::Db`]: one writer with group commit, a few readers.
//!
//! The writer takes what is queued, opens one transaction, runs each closure in a savepoint of its
//! own, commits once and only then answers. So writes run one after another on either database, and
//! many share one fsync. It must never answer `Ok` before the commit has returned.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    StoreError,
    tx::{Guard, Tx},
};

/// How many times a transaction is run again after a transient error.
const RETRIES_MAX: u32 = 5;
/// The pause before the first retry; it doubles each time.
const RETRY_PAUSE_MS: u64 = 5;

/// What a job runs.
pub(crate) type Body = Box<dyn FnMut(&mut dyn Tx) -> bool + Send>;

/// A closure with its type taken away; the result stays in a slot its caller holds.
pub(crate) struct Job {
    /// Runs the closure; true when it returned `Ok`.
    pub(crate) run: Body,
    /// Told once, after the commit or the rollback.
    pub(crate) reply: oneshot::Sender<Result<(), StoreError>>,
}

/// One connection to a database, used by one thread.
pub(crate) trait Link: Tx + Send + 'static {
    /// How many closures may share a commit.
    const GROUP_MAX: usize;
    /// Opens a transaction; a writing one excludes other writers until it ends.
    fn begin(&mut self, write: bool) -> Result<(), StoreError>;
    /// Returns when the transaction is durable.
    fn commit(&mut self) -> Result<(), StoreError>;
    /// Ends the transaction, if one is open.
    fn rollback(&mut self);
    /// Starts a part of the transaction that can be undone alone.
    fn savepoint(&mut self) -> Result<(), StoreError>;
    /// Ends that part, kept or undone.
    fn end_savepoint(&mut self, keep: bool) -> Result<(), StoreError>;
    /// False once the database has thrown the transaction away by itself.
    fn in_transaction(&self) -> bool;
    /// Chores after a commit.
    fn tidy(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Overwrites what was deleted or changed and still lies in the file, where the database has such a thing as one file.
    fn scrub(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
    /// The same trait object without the rest of the link.
    fn as_tx(&mut self) -> &mut dyn Tx;
}

/// Set once, when a write to disk has failed: from then on no write is acknowledged.
#[derive(Clone)]
pub(crate) struct Fence(Arc<watch::Sender<Option<String>>>);

impl Fence {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
    pub(crate) fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }
    pub(crate) fn set(&self, reason: String) {
        tracing::error!(reason, "a write to disk failed: the store takes no more writes");
        self.0.send_if_modified(|current| {
            let first = current.is_none();
            current.get_or_insert(reason);
            first
        });
    }
    pub(crate) async fn wait(&self) -> String {
        let mut watch = self.0.subscribe();
        let reason = watch.wait_for(Option::is_some).await.expect("the sender lives in self");
        reason.clone().unwrap_or_default()
    }
}

/// What became of one closure.
enum Outcome {
    Kept,
    Refused,
    Failed(StoreError),
}

/// The writer's loop; ends when the last sender is gone.
pub(crate) fn write_loop<L: Link>(mut link: L, mut jobs: mpsc::Receiver<Job>, fence: &Fence) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < L::GROUP_MAX
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        write_group(&mut link, group, fence);
    }
}

/// A reader's loop; ends when the last sender is gone.
pub(crate) fn read_loop<L: Link>(mut link: L, jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let Some(mut job) = jobs.lock().blocking_recv() else { return };
        if job.reply.is_closed() {
            continue;
        }
        let result = retrying(&mut link, |link| {
            link.begin(false)?;
            match run(link, &mut job)? {
                Outcome::Kept | Outcome::Refused => Ok(()),
                Outcome::Failed(error) => Err(error),
            }
        });
        link.rollback();
        let _ = job.reply.send(result);
    }
}

fn write_group<L: Link>(link: &mut L, mut group: Vec<Job>, fence: &Fence) {
    if let Some(reason) = fence.reason() {
        return answer_all(group, &StoreError::Fenced(reason));
    }
    match retrying(link, |link| try_group(link, &mut group)) {
        Ok(outcomes) => {
            for (job, outcome) in group.into_iter().zip(outcomes) {
                let _ = job.reply.send(match outcome {
                    Outcome::Kept | Outcome::Refused => Ok(()),
                    Outcome::Failed(error) => Err(error),
                });
            }
            match link.tidy() {
                Err(error @ StoreError::Io(_)) => fence.set(error.to_string()),
                Err(error) => tracing::warn!(%error, "the checkpoint waits for the next commit"),
                Ok(()) => {}
            }
        }
        Err(error @ StoreError::Io(_)) => {
            fence.set(error.to_string());
            answer_all(group, &error);
        }
        // One closure may be what keeps the group from going through.
        Err(error) if error.is_transient() && group.len() > 1 => {
            for job in group {
                write_group(link, vec![job], fence);
            }
        }
        Err(error) => answer_all(group, &error),
    }
}

fn try_group<L: Link>(link: &mut L, group: &mut [Job]) -> Result<Vec<Outcome>, StoreError> {
    link.begin(true)?;
    let mut outcomes = Vec::with_capacity(group.len());
    let shared = group.len() > 1;
    for job in group {
        if shared {
            link.savepoint()?;
        }
        let outcome = run(link, job)?;
        if shared {
            link.end_savepoint(matches!(outcome, Outcome::Kept))?;
        }
        outcomes.push(outcome);
    }
    if outcomes.iter().any(|o| matches!(o, Outcome::Kept)) {
        link.commit()?;
    } else {
        link.rollback();
    }
    Ok(outcomes)
}

/// Runs one closure. `Err` is an error that ends the whole transaction, not only this closure's part.
fn run<L: Link>(link: &mut L, job: &mut Job) -> Result<Outcome, StoreError> {
    let mut guard = Guard::new(link.as_tx());
    let returned = std::panic::catch_unwind(AssertUnwindSafe(|| (job.run)(&mut guard)));
    let spoiled = guard.spoiled.take();
    if let Some(error) = &spoiled
        && (error.is_transient() || matches!(error, StoreError::Io(_)) || !link.in_transaction())
    {
        return Err(error.clone());
    }
    Ok(match (returned, spoiled) {
        (Err(panic), _) => Outcome::Failed(StoreError::Panicked(panic_text(&*panic))),
        (Ok(true), Some(error)) => Outcome::Failed(StoreError::Spoiled(error.to_string())),
        (Ok(true), None) => Outcome::Kept,
        (Ok(false), _) => Outcome::Refused,
    })
}

fn retrying<L: Link, T>(
    link: &mut L,
    mut attempt: impl FnMut(&mut L) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut retries = 0;
    loop {
        let result = attempt(link);
        match &result {
            Err(error) => {
                link.rollback();
                if !error.is_transient() || retries == RETRIES_MAX {
                    return result;
                }
                pause(Duration::from_millis(RETRY_PAUSE_MS << retries));
                retries += 1;
            }
            Ok(_) => return result,
        }
    }
}

/// Waits on this thread, which has nothing else to do.
fn pause(duration: Duration) {
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    let _ = receiver.recv_timeout(duration);
}

fn answer_all(group: Vec<Job>, error: &StoreError) {
    for job in group {
        let _ = job.reply.send(Err(error.clone()));
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
