//! One row of each selected series, made on as many threads as the query may use and handed over in the order of the
//! series, so that the answer is the same to the last bit whatever the number of threads.
//!
//! Series are taken in batches. Nobody starts a batch far ahead of the one handed over next: that bounds what is in memory.
//! The asking thread makes batches too while the next one is not there yet.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use tenfold_types::Labels;

use super::{Context, Row, Sink, notes::Notes, trace::Work};
use crate::{
    error::QueryError,
    source::{Run, SeriesData},
    syntax::ast::Expr,
};

/// Makes the row of one series; `None` when it has no value at any step.
pub(crate) type Make<'m> = &'m (dyn Fn(&Context<'_>, Arc<Labels>, &mut Run) -> Result<Option<Row>, QueryError> + Sync);

/// Threads that are lent to a query.
pub trait Threads: Sync {
    /// How many there are, the asking one among them.
    fn count(&self) -> usize;
    /// Runs `work` on so many other threads and `here` on this one, and returns when all have ended. A panic of one of
    /// them goes on here.
    fn run(&self, others: usize, work: &(dyn Fn() + Sync), here: &mut dyn FnMut());
}

/// Series times steps below which threads cost more than they bring.
const WORTH_THREADS: usize = 1 << 15;
/// What a series costs besides its steps, counted in steps.
const STEPS_OF_A_SERIES: usize = 64;
/// Values of one batch: its rows stay in the processor's cache until they are folded.
const BATCH_VALUES: usize = 1 << 15;
const BATCH_SERIES_MAX: usize = 64;
/// Batches that may be made or wait to be handed over, by thread.
const AHEAD: usize = 4;

/// A batch that was made.
struct Done {
    rows: Result<Vec<Row>, QueryError>,
    notes: Notes,
    work: Work,
}

/// Where threads take series from and put rows.
struct Desk {
    waiting: std::vec::IntoIter<SeriesData>,
    batch: usize,
    ahead: usize,
    claimed: usize,
    handed_over: usize,
    done: BTreeMap<usize, Done>,
    /// Nobody wants more: there was an error, or a thread panicked.
    stopped: bool,
}

impl Desk {
    fn claim(&mut self) -> Option<(usize, Vec<SeriesData>)> {
        if self.stopped || self.waiting.len() == 0 || self.claimed >= self.handed_over + self.ahead {
            return None;
        }
        let batch: Vec<_> = self.waiting.by_ref().take(self.batch).collect();
        self.claimed += 1;
        Some((self.claimed - 1, batch))
    }
    fn is_finished(&self) -> bool {
        self.stopped || self.waiting.len() == 0
    }
}

struct Shared {
    desk: Mutex<Desk>,
    /// A batch was made, or all is over.
    made: Condvar,
    /// A batch was handed over, or all is over.
    room: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn stop(&self) {
        self.lock().stopped = true;
        self.made.notify_all();
        self.room.notify_all();
    }
    fn put(&self, number: usize, done: Done) {
        self.lock().done.insert(number, done);
        self.made.notify_all();
    }
    /// The next batch to make, once there is room for one; `None` when all are taken.
    fn next(&self) -> Option<(usize, Vec<SeriesData>)> {
        let mut desk = self.lock();
        loop {
            match desk.claim() {
                Some(batch) => return Some(batch),
                None if desk.is_finished() => return None,
                None => desk = self.room.wait(desk).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Ends the others when a thread leaves by an error or a panic.
struct StopOnDrop<'s>(&'s Shared);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Context<'_> {
    /// Reads every series and hands the row `make` makes of it to `sink`, in the order of the series. `place` is the
    /// selector, to which reading is accounted; making is accounted to the node that runs.
    pub fn each_series(
        &self,
        series: Vec<SeriesData>,
        steps: usize,
        place: &Expr,
        statistics: bool,
        make: Make<'_>,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let worth = series.len().saturating_mul(steps + STEPS_OF_A_SERIES) >= WORTH_THREADS;
        let lent = self.query.threads.filter(|lent| worth && lent.count() > 1 && series.len() > 1);
        let Some(lent) = lent else {
            let mut run = Run::default();
            for one in series {
                self.within(place, || self.load(one.samples, statistics, &mut run))?;
                if let Some(row) = make(self, one.labels, &mut run)? {
                    sink(row)?;
                }
            }
            return Ok(());
        };
        let threads = lent.count().min(series.len());
        let batch = (BATCH_VALUES / steps.max(1)).clamp(1, BATCH_SERIES_MAX).min(series.len().div_ceil(threads));
        let shared = Shared {
            desk: Mutex::new(Desk {
                waiting: series.into_iter(),
                batch,
                ahead: threads * AHEAD,
                claimed: 0,
                handed_over: 0,
                done: BTreeMap::new(),
                stopped: false,
            }),
            made: Condvar::new(),
            room: Condvar::new(),
        };
        let (query, times, samples) = (self.query, (self.top, self.end), &self.samples);
        let work = || {
            let panics = StopOnDrop(&shared);
            let (context, mut run) = (Context::bare(query, times, Arc::clone(samples)), Run::default());
            while let Some((number, batch)) = shared.next() {
                shared.put(number, context.make_batch(batch, statistics, make, &mut run));
            }
            // Others may still be at work.
            std::mem::forget(panics);
        };
        let mut result = Ok(());
        lent.run(threads - 1, &work, &mut || {
            let _stop = StopOnDrop(&shared);
            result = self.asked(|| self.hand_over(&shared, place, statistics, make, &mut *sink));
        });
        result
    }

    /// The asking thread's part.
    fn hand_over(
        &self,
        shared: &Shared,
        place: &Expr,
        statistics: bool,
        make: Make<'_>,
        sink: Sink<'_>,
    ) -> Result<(), QueryError> {
        let (context, mut run) = (self.fork(), Run::default());
        loop {
            let mut desk = shared.lock();
            let next = desk.handed_over;
            if let Some(done) = desk.done.remove(&next) {
                desk.handed_over += 1;
                drop(desk);
                shared.room.notify_all();
                self.account(place, &done.work);
                self.take_notes(done.notes);
                for row in done.rows? {
                    sink(row)?;
                }
            } else if let Some((number, batch)) = desk.claim() {
                drop(desk);
                shared.put(number, context.make_batch(batch, statistics, make, &mut run));
            } else if desk.stopped || (desk.claimed == next && desk.waiting.len() == 0) {
                return Ok(());
            } else {
                drop(shared.made.wait(desk).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    fn make_batch(&self, batch: Vec<SeriesData>, statistics: bool, make: Make<'_>, run: &mut Run) -> Done {
        let mut rows = Vec::with_capacity(batch.len());
        let mut work = Work::default();
        let started = self.now_ns();
        let mut reading = 0;
        let result = batch.into_iter().try_for_each(|one| {
            let before = self.now_ns();
            self.load(one.samples, statistics, run)?;
            reading += self.now_ns() - before;
            rows.extend(make(self, one.labels, run)?);
            Ok(())
        });
        work.reading_ns = reading;
        work.making_ns = (self.now_ns() - started).saturating_sub(reading);
        work.reads = self.take_reads();
        Done { rows: result.map(|()| rows), notes: self.notes.take(), work }
    }
}
