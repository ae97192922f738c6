//! The handle that everything else holds: closures in, results out, whichever database is behind it.

use std::{
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::{
    StoreError,
    engine::{self, Fence, Job, Link},
    postgres::PgLink,
    schema,
    sealing::{self, Sealer},
    sqlite::SqliteLink,
    tx::Tx,
};

/// How many transactions may wait in a queue.
const QUEUE_MAX: usize = 1024;
/// How long a caller waits for a place in a full queue.
const QUEUE_WAIT_MS_MAX: u64 = 10_000;
/// How many threads read.
const READERS: usize = 4;

/// An open store. Cheap to clone; the threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    writes: Option<mpsc::Sender<Job>>,
    reads: Option<mpsc::Sender<Job>>,
    fence: Fence,
    threads: Vec<JoinHandle<()>>,
}

impl Db {
    /// Opens or creates the SQLite database in the file `path`, and brings its schema and its sealed columns up to date.
    ///
    /// # Errors
    /// Besides what the database says, [`StoreError::Sealed`] when it was sealed with a key that `sealer` does not hold.
    pub async fn open_sqlite(path: impl AsRef<Path>, sealer: Sealer) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        off_the_runtime(move || {
            let mut writer = SqliteLink::open(&path, true, sealer.clone())?;
            schema::migrate(&mut writer)?;
            sealing::bring_up(&mut writer, &sealer)?;
            let reader = |_| SqliteLink::open(&path, false, sealer.clone());
            let readers = (0..READERS).map(reader).collect::<Result<_, _>>()?;
            Self::start(writer, readers)
        })
        .await
    }

    /// Opens the PostgreSQL database at `url`, and brings its schema and its sealed columns up to date.
    ///
    /// Any number of nodes may open the same database, with the same keys.
    ///
    /// # Errors
    /// As [`Db::open_sqlite`].
    pub async fn open_postgres(url: impl Into<String>, sealer: Sealer) -> Result<Self, StoreError> {
        let url = url.into();
        off_the_runtime(move || {
            let mut writer = PgLink::connect(&url, sealer.clone())?;
            writer.prepare_writer()?;
            schema::migrate(&mut writer)?;
            sealing::bring_up(&mut writer, &sealer)?;
            let reader = |_| PgLink::connect(&url, sealer.clone());
            let readers = (0..READERS).map(reader).collect::<Result<_, _>>()?;
            Self::start(writer, readers)
        })
        .await
    }

    /// Runs `f` in a transaction and commits it; returns when the commit is durable.
    ///
    /// An `Err` from `f` rolls back, and so does a panic ([`StoreError::Panicked`]). Writers run one
    /// after another, so `f` may read and then write without another writer in between. `f` may run
    /// again after a transient error: it must have no effect besides the statements. Dropping the
    /// future does not take the write back.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        E: From<StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.queue(f).await?.done().await
    }

    /// Queues a write as [`Db::write`] does, and returns when it has its place: what is queued later is written later.
    pub async fn queue<T, E, F>(&self, f: F) -> Result<Queued<T, E>, StoreError>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        E: Send + 'static,
        T: Send + 'static,
    {
        submit(self.0.writes.as_ref(), f).await
    }

    /// Runs `f` on one snapshot of the database; statements that write fail.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
        E: From<StoreError> + Send + 'static,
        T: Send + 'static,
    {
        submit(self.0.reads.as_ref(), f).await?.done().await
    }

    /// Whether a write to disk has failed. From then on every write is refused, and the process
    /// should end: after a failed fsync nobody knows what is on the disk.
    pub fn fenced(&self) -> bool {
        self.0.fence.reason().is_some()
    }

    /// Waits until the store is fenced and returns the reason.
    pub async fn wait_fenced(&self) -> String {
        self.0.fence.wait().await
    }

    fn start<L: Link>(writer: L, readers: Vec<L>) -> Result<Self, StoreError> {
        let fence = Fence::new();
        let (writes, write_jobs) = mpsc::channel(QUEUE_MAX);
        let (reads, read_jobs) = mpsc::channel(QUEUE_MAX);
        let read_jobs = Arc::new(Mutex::new(read_jobs));
        let mut threads = Vec::new();
        let writer_fence = fence.clone();
        threads.push(spawn("store-writer", move || engine::write_loop(writer, write_jobs, &writer_fence))?);
        for reader in readers {
            let jobs = read_jobs.clone();
            threads.push(spawn("store-reader", move || engine::read_loop(reader, &jobs))?);
        }
        Ok(Self(Arc::new(Inner { writes: Some(writes), reads: Some(reads), fence, threads })))
    }
}

impl Drop for Inner {
    /// Lets the threads finish what is queued and close their connections.
    fn drop(&mut self) {
        self.writes = None;
        self.reads = None;
        let this = thread::current().id();
        for thread in self.threads.drain(..).filter(|t| t.thread().id() != this) {
            let _ = thread.join();
        }
    }
}

/// What has its place in the queue.
pub struct Queued<T, E> {
    slot: Arc<Mutex<Option<Result<T, E>>>>,
    answer: oneshot::Receiver<Result<(), StoreError>>,
}

impl<T, E: From<StoreError>> Queued<T, E> {
    /// Returns when it is durable, or was refused.
    pub async fn done(self) -> Result<T, E> {
        match self.answer.await {
            Ok(Ok(())) => self.slot.lock().take().unwrap_or_else(|| Err(StoreError::Closed.into())),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(StoreError::Closed.into()),
        }
    }
}

async fn submit<T, E, F>(queue: Option<&mpsc::Sender<Job>>, mut f: F) -> Result<Queued<T, E>, StoreError>
where
    F: FnMut(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    E: Send + 'static,
    T: Send + 'static,
{
    let slot = Arc::new(Mutex::new(None));
    let result = slot.clone();
    let run = move |tx: &mut dyn Tx| {
        let returned = f(tx);
        let ok = returned.is_ok();
        *result.lock() = Some(returned);
        ok
    };
    let (reply, answer) = oneshot::channel();
    enqueue(queue, Job { run: Box::new(run), reply }).await?;
    Ok(Queued { slot, answer })
}

async fn enqueue(queue: Option<&mpsc::Sender<Job>>, job: Job) -> Result<(), StoreError> {
    let queue = queue.ok_or(StoreError::Closed)?;
    let job = match queue.try_send(job) {
        Ok(()) => return Ok(()),
        Err(mpsc::error::TrySendError::Closed(_)) => return Err(StoreError::Closed),
        Err(mpsc::error::TrySendError::Full(job)) => job,
    };
    match queue.send_timeout(job, Duration::from_millis(QUEUE_WAIT_MS_MAX)).await {
        Ok(()) => Ok(()),
        Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(StoreError::Closed),
        Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
            Err(StoreError::Busy(format!("{QUEUE_MAX} transactions wait already")))
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    thread::Builder::new().name(name.into()).spawn(body).map_err(|e| StoreError::Unavailable(e.to_string()))
}

async fn off_the_runtime<T: Send + 'static>(
    open: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(open).await.unwrap_or_else(|e| Err(StoreError::Panicked(e.to_string())))
}
