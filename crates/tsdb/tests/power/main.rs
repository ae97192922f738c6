//! A power cut: the file system forgets everything that was not flushed, in whole or in sectors. What `sync` covered must
//! be there again, whole and in order; what came after may be there or not. A disk that refuses writes loses nothing it
//! acknowledged. A disk that lies about flushing may lose anything, but what is read after is what was written.
//!
//! The power goes between two steps or at any operation on a file within one, also while one thread maintains the store
//! and another writes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod additions;
mod faults;
mod mem_fs;
mod promises;

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use proptest::prelude::*;
use tenfold_tsdb::{Options, Tsdb, TsdbError};
use tenfold_types::Matcher;

use mem_fs::{Left, MemFs};
use promises::{Promises, SERIES, STEP_MS, import_one, write_all, write_one};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const BLOCK_MS: i64 = 4 * HOUR_MS;

fn open(fs: &MemFs) -> Tsdb {
    let options = Options {
        block_ms: BLOCK_MS,
        block_ms_max: DAY_MS,
        retention_ms: 1000 * DAY_MS,
        coarse_retention_ms: Some([1000 * DAY_MS; 2]),
        // Nothing comes that late.
        coarse_after_ms: 3 * HOUR_MS,
        out_of_order_ms: 90 * 60_000,
        segment_bytes_max: 3000,
        replay_bytes_max: 30_000,
        replay_samples_max: 60,
        ..Options::default()
    };
    Tsdb::open_with(Arc::new(fs.clone()), Path::new("db"), options).unwrap().0
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Sync,
    Maintain,
    Checkpoint,
    /// Writes down what came since the checkpoint, when that is much.
    Shorten,
    /// Rewrites what deletions concern.
    Clean,
}

impl Work {
    fn run(self, db: &Tsdb, now_ms: i64) -> Result<(), TsdbError> {
        match self {
            Self::Sync => db.sync(),
            Self::Maintain => db.maintain(now_ms).map(drop),
            Self::Checkpoint => db.checkpoint(),
            Self::Shorten => db.shorten_log().map(drop),
            Self::Clean => db.clean_tombstones().map(drop),
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A sample of every series, with an exemplar.
    Append,
    /// A sample of one series, that many rounds late and a little.
    Late(usize, i64),
    /// One of one series, that many rounds before the newest and a little, when that time is in blocks.
    Import(usize, i64),
    /// Of one series, from and to, in rounds before the newest.
    Delete(usize, i64, i64),
    Work(Work),
    /// The same while another thread writes that many rounds.
    Busy(Work, usize),
    /// The disk is full from here on, or no longer.
    Full(bool),
    PowerCut(Left),
    /// The process ends; what the kernel has stays.
    Kill,
    /// The power goes that many operations on files from here.
    PowerCutWithin(usize, Left),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let work = prop_oneof![
        4 => Just(Work::Sync),
        6 => Just(Work::Maintain),
        1 => Just(Work::Checkpoint),
        4 => Just(Work::Shorten),
        1 => Just(Work::Clean),
    ];
    let left = (0usize..=1000, prop_oneof![Just(0), any::<u64>()]).prop_map(|(permille, torn)| Left { permille, torn });
    let step = prop_oneof![
        60 => Just(Step::Append),
        10 => (0..SERIES.len(), 0i64..4).prop_map(|(series, back)| Step::Late(series, back)),
        4 => (0..SERIES.len(), 0i64..150).prop_map(|(series, back)| Step::Import(series, back)),
        // The first series has the exemplars, which go with their series.
        2 => (1..SERIES.len(), 0i64..100, 0i64..30).prop_map(|(series, back, rounds)| Step::Delete(series, back, rounds)),
        12 => work.clone().prop_map(Step::Work),
        3 => (work, 1usize..12).prop_map(|(work, rounds)| Step::Busy(work, rounds)),
        1 => Just(Step::Full(true)),
        4 => Just(Step::Full(false)),
        2 => left.clone().prop_map(Step::PowerCut),
        2 => Just(Step::Kill),
        2 => (0usize..60, left).prop_map(|(operations, left)| Step::PowerCutWithin(operations, left)),
    ];
    prop::collection::vec(step, 1..400)
}

struct Machine {
    fs: MemFs,
    db: Tsdb,
    promises: Promises,
    lies: bool,
}

impl Machine {
    fn new(lies: bool) -> Self {
        let fs = MemFs::default();
        let db = open(&fs);
        fs.lies.store(lies, Ordering::SeqCst);
        Self { fs, db, promises: Promises::default(), lies }
    }

    fn now_ms(&self) -> i64 {
        self.promises.next * STEP_MS
    }

    fn full(&self) -> bool {
        self.fs.full.load(Ordering::SeqCst)
    }

    fn step(&mut self, step: &Step) {
        let (mut synced, mut imported) = (false, None);
        match step {
            Step::Append => {
                let i = self.promises.attempt();
                match write_all(&self.db, i) {
                    Ok(report) => {
                        assert_eq!(report.rejected_count(), 0, "{report:?}");
                        self.promises.acknowledge(i);
                    }
                    Err(e) => assert!(self.full() && e.is_disk_full(), "{e}"),
                }
            }
            Step::Late(series, back) => {
                let Some(t) = self.promises.attempt_late(*series, *back) else { return };
                match write_one(&self.db, *series, t) {
                    Ok(report) if report.appended == 1 => self.promises.acknowledge_late(*series, t),
                    Ok(report) => assert!(report.rejected_count() == 1, "{report:?}"),
                    Err(e) => assert!(self.full() && e.is_disk_full(), "{e}"),
                }
            }
            Step::Import(series, back) => {
                let now_ms = self.now_ms();
                let closed_ms = (now_ms - BLOCK_MS / 2).div_euclid(BLOCK_MS) * BLOCK_MS;
                let Some(t) = self.promises.attempt_import(*series, *back, closed_ms) else { return };
                match import_one(&self.db, *series, t, now_ms) {
                    Ok(report) => {
                        assert_eq!(report.appended, 1, "{report:?}");
                        imported = Some((*series, t));
                    }
                    Err(e) => assert!(self.full() && e.is_disk_full(), "{e}"),
                }
            }
            Step::Delete(series, back, rounds) => {
                let to = self.now_ms() - back * STEP_MS;
                let from = to - rounds * STEP_MS;
                match self.db.delete(&[Matcher::equal("s", SERIES[*series])], from, to) {
                    Ok(concerned) => {
                        self.promises.delete(*series, from, to);
                        synced = concerned > 0;
                    }
                    Err(e) => assert!(self.full() && e.is_disk_full(), "{e}"),
                }
            }
            Step::Work(work) => {
                let done = work.run(&self.db, self.now_ms());
                assert!(done.is_ok() || self.full(), "{done:?}");
                synced = matches!(work, Work::Sync);
            }
            Step::Busy(work, rounds) => self.work_while_writing(*work, *rounds),
            Step::Full(on) => self.fs.full.store(*on, Ordering::SeqCst),
            Step::PowerCut(left) => return self.power_cut(self.fs.after_power_cut(*left), *left),
            Step::Kill => self.db = open(&self.fs),
            Step::PowerCutWithin(operations, left) => self.fs.cut_after(*operations, *left),
        }
        if let Some((image, left)) = self.fs.image() {
            return self.power_cut(image, left);
        }
        if synced {
            self.promises.flushed();
        }
        if let Some((series, t)) = imported {
            self.promises.acknowledge_import(series, t);
        }
        if !self.lies && matches!(step, Step::Work(_) | Step::Busy(..) | Step::Kill) {
            self.promises.check_all(&self.db);
        }
    }

    fn appends(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.step(&Step::Append);
        }
    }

    fn work_while_writing(&mut self, work: Work, rounds: usize) {
        let (now_ms, full) = (self.now_ms(), self.full());
        let rounds: Vec<i64> = (0..rounds).map(|_| self.promises.attempt()).collect();
        let db = &self.db;
        let acknowledged = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let write = |i: &i64| match write_all(db, *i) {
                    Ok(report) => {
                        assert_eq!(report.rejected_count(), 0, "{report:?}");
                        true
                    }
                    Err(e) => {
                        assert!(full && e.is_disk_full(), "{e}");
                        false
                    }
                };
                rounds.into_iter().filter(write).collect::<Vec<_>>()
            });
            let done = work.run(db, now_ms);
            assert!(done.is_ok() || full, "{done:?}");
            writer.join().unwrap()
        });
        for i in acknowledged {
            self.promises.acknowledge(i);
        }
    }

    fn power_cut(&mut self, image: MemFs, left: Left) {
        self.db = open(&image);
        self.fs = image;
        self.fs.lies.store(self.lies, Ordering::SeqCst);
        if self.lies {
            let now_ms = self.now_ms();
            self.promises.check_after_lies(&self.db, now_ms);
        } else {
            self.promises.check_after_power_cut(&self.db, left.torn != 0);
            self.promises.check_all(&self.db);
        }
    }
}

/// Runs the steps; with `lies`, flushing does nothing.
fn run(steps: &[Step], lies: bool) {
    let mut machine = Machine::new(lies);
    let last =
        [Step::Full(false), Step::Append, Step::Work(Work::Maintain), Step::PowerCut(Left { permille: 0, torn: 0 })];
    for step in steps.iter().chain(&last) {
        machine.step(step);
    }
}

/// `POWER_CASES` asks for another number.
fn cases(usual: u32) -> u32 {
    std::env::var("POWER_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]
    #[test]
    fn what_was_flushed_survives_a_power_cut(steps in steps()) {
        run(&steps, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(30)))]
    #[test]
    fn a_disk_that_lies_gives_back_nothing_that_was_not_written(steps in steps()) {
        run(&steps, true);
    }
}

/// The power goes at each single operation of the work that does the most: blocks cut, merged and rewritten, the rows of
/// a day, a checkpoint.
#[test]
fn a_power_cut_at_every_operation_of_a_maintenance() {
    for operations in 0.. {
        let mut machine = Machine::new(false);
        for _ in 0..4 * 36 {
            machine.step(&Step::Append);
            machine.step(&Step::Late(2, 1));
        }
        machine.step(&Step::Work(Work::Maintain));
        machine.step(&Step::Delete(2, 40, 20));
        for _ in 0..2 * 36 {
            machine.step(&Step::Append);
            machine.step(&Step::Late(0, 2));
        }
        machine.step(&Step::Delete(1, 50, 3));
        machine.step(&Step::Work(Work::Sync));
        machine.step(&Step::PowerCutWithin(operations, Left { permille: 500, torn: 0 }));
        machine.step(&Step::Work(Work::Maintain));
        if machine.fs.cut_is_due() {
            assert!(operations > 50, "a maintenance of only {operations} operations");
            return;
        }
        machine.step(&Step::Work(Work::Maintain));
        machine.step(&Step::PowerCut(Left { permille: 0, torn: 0 }));
        // And what began then is carried on by the days that follow.
        machine.appends(90);
        machine.step(&Step::Work(Work::Maintain));
    }
}

/// The same of what is written beside a checkpoint, and of the checkpoint that takes its place.
#[test]
fn a_power_cut_at_every_operation_of_an_addition() {
    for operations in 0.. {
        let mut machine = Machine::new(false);
        machine.appends(3 * 36);
        machine.step(&Step::Work(Work::Checkpoint));
        for _ in 0..30 {
            machine.step(&Step::Append);
            machine.step(&Step::Late(2, 1));
            machine.step(&Step::Late(0, 2));
        }
        machine.step(&Step::Delete(1, 50, 3));
        machine.step(&Step::Work(Work::Sync));
        machine.step(&Step::PowerCutWithin(operations, Left { permille: 500, torn: 0 }));
        machine.step(&Step::Work(Work::Shorten));
        machine.appends(30);
        machine.step(&Step::Work(Work::Shorten));
        if machine.fs.cut_is_due() {
            assert!(operations > 40, "only {operations} operations");
            return;
        }
        machine.step(&Step::PowerCut(Left { permille: 0, torn: 0 }));
        machine.appends(60);
        machine.step(&Step::Work(Work::Maintain));
        machine.step(&Step::Kill);
    }
}

/// The same of an import into deleted time, of which there are rows, and of the maintenance that brings all together.
#[test]
fn a_power_cut_at_every_operation_of_an_import_after_a_deletion() {
    for operations in 0.. {
        let mut machine = Machine::new(false);
        machine.appends(6 * 36);
        machine.step(&Step::Work(Work::Maintain));
        machine.step(&Step::Delete(1, 140, 30));
        machine.step(&Step::Work(Work::Sync));
        machine.step(&Step::PowerCutWithin(operations, Left { permille: 500, torn: 0 }));
        machine.step(&Step::Import(1, 150));
        machine.step(&Step::Work(Work::Maintain));
        machine.step(&Step::Work(Work::Clean));
        if machine.fs.cut_is_due() {
            assert!(operations > 20, "only {operations} operations");
            return;
        }
        machine.step(&Step::PowerCut(Left { permille: 0, torn: 0 }));
        machine.step(&Step::Import(1, 151));
        machine.step(&Step::Work(Work::Maintain));
        machine.step(&Step::Kill);
    }
}

/// The same of a maintenance that cuts a block of samples that came late alone: rows of their day wait for them.
#[test]
fn a_power_cut_at_every_operation_of_a_cut_of_late_samples() {
    for operations in 0.. {
        let mut machine = Machine::new(false);
        machine.appends(130);
        machine.step(&Step::Work(Work::Maintain));
        machine.step(&Step::Full(true));
        machine.appends(13);
        machine.step(&Step::Full(false));
        // The last four hours of the day have nothing but this.
        machine.appends(2);
        machine.step(&Step::Late(0, 2));
        machine.appends(20);
        machine.step(&Step::Work(Work::Sync));
        machine.step(&Step::PowerCutWithin(operations, Left { permille: 500, torn: 0 }));
        machine.step(&Step::Work(Work::Maintain));
        if machine.fs.cut_is_due() {
            assert!(operations > 30, "a maintenance of only {operations} operations");
            return;
        }
        machine.step(&Step::Work(Work::Maintain));
        machine.appends(12);
        machine.step(&Step::Work(Work::Maintain));
    }
}

#[test]
fn a_full_disk_refuses_and_later_goes_on() {
    let mut machine = Machine::new(false);
    machine.step(&Step::Append);
    machine.step(&Step::Full(true));
    let error = write_all(&machine.db, machine.promises.next + 1).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    machine.promises.check_all(&machine.db);
    machine.step(&Step::Full(false));
    machine.step(&Step::Append);
    machine.db = open(&machine.fs);
    machine.promises.check_all(&machine.db);
}

#[test]
fn a_failed_flush_fences_the_store() {
    let machine = Machine::new(false);
    write_all(&machine.db, 1).unwrap();
    machine.fs.flush_fails.store(true, Ordering::SeqCst);
    assert!(machine.db.sync().is_err());
    machine.fs.flush_fails.store(false, Ordering::SeqCst);
    assert!(matches!(write_all(&machine.db, 2), Err(TsdbError::Fenced)));
}
