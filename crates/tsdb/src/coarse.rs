//! Downsampling: for old time, five minutes or an hour of a series as one row of aggregates.
//!
//! A row covers `(t - resolution, t]`, as PromQL's ranges do. What may be answered from rows, when the query's step is no
//! finer than the resolution and its range is a multiple of it:
//!
//! | rows' column | functions |
//! | --- | --- |
//! | `min`, `max` | `min_over_time`, `max_over_time` |
//! | `sum`, `count` | `sum_over_time`, `count_over_time`, `avg_over_time` (sum of sums by sum of counts), `present_over_time` |
//! | `last` | `last_over_time`; a plain selector, at `t - before_ms`, unless the row has `ended` |
//! | `increase` | `increase` and `rate` without extrapolation to the ends of the range: sums of what was added between neighbours, resets seen at full resolution |
//!
//! Nothing else may: quantiles, `stddev`, `delta`, `deriv`, `changes`, `resets` and every `anchored` or `smoothed` form
//! need the samples themselves. Native histograms and exemplars have no rows. Rows are never given in place of samples:
//! they have a call of their own, so that no query gets them without having asked.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use roaring::RoaringBitmap;
use tenfold_types::{Labels, Matcher, Point, is_stale};

use crate::{
    block::{Block, BlockReader, BlockWriter},
    codec::{Reader, put_varint},
    column::{put_values, take_values},
    db::{State, Tsdb},
    error::{FLUSH_NAMES, TsdbError},
    fs::{Fs, read_all},
    maintain::LOCKED_SERIES_MAX,
    matcher::CompiledMatcher,
    postings::SeriesId,
    record::Tombstone,
    select::{Settle, drop_from, readers, settle},
};

/// Milliseconds that one row covers, and the directory its blocks lie in.
pub(crate) const RESOLUTIONS: [(i64, &str); 2] = [(300_000, "blocks-5m"), (3_600_000, "blocks-1h")];
/// One block of rows covers a day.
pub(crate) const DAY_MS: i64 = 24 * 3_600_000;
const COLUMNS: usize = 8;
/// The file that names the days whose rows are to be made again.
const AGAIN: &str = "rows-to-make-again";

/// The samples of one series within `(t_ms - resolution, t_ms]`, staleness markers not counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    pub t_ms: i64,
    /// Without NaN, unless there is nothing else.
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub count: f64,
    pub last: f64,
    /// How long before `t_ms` the last sample was, in milliseconds.
    pub before_ms: f64,
    /// What a counter grew by since the last sample before: a fall counts as a reset to zero.
    pub increase: f64,
    /// A staleness marker followed the last sample.
    pub ended: bool,
}

/// A series with its rows, still encoded.
pub struct CoarseSeries {
    pub labels: Arc<Labels>,
    id: SeriesId,
    span: (i64, i64),
    resolution_ms: i64,
    readers: Arc<Vec<Arc<BlockReader>>>,
    deleted: Vec<Tombstone>,
}

impl CoarseSeries {
    /// Appends the rows, oldest first.
    pub fn read(&self, out: &mut Vec<Row>) -> Result<(), TsdbError> {
        let from = out.len();
        for reader in self.readers.iter() {
            let begin = out.len();
            reader.rows(self.id, self.span, out)?;
            drop_deleted(out, begin, reader, self.resolution_ms, &self.deleted);
        }
        settle(out, from, from, |r| r.t_ms);
        Ok(())
    }

    /// How many encoded runs of rows there may be to read.
    pub fn chunks(&self) -> usize {
        self.readers.iter().filter(|r| r.block.ids().contains(self.id)).count()
    }
}

/// Drops rows of a block that stand from a place on. A row cannot be taken apart: one that holds anything deleted goes as a
/// whole. One that was made since does not.
fn drop_deleted(rows: &mut Vec<Row>, from: usize, of: &BlockReader, resolution_ms: i64, deleted: &[Tombstone]) {
    let deleted: Vec<&Tombstone> = deleted.iter().filter(|d| d.applies_to_rows(&of.block, resolution_ms)).collect();
    if deleted.is_empty() {
        return;
    }
    drop_from(rows, from, |r| deleted.iter().any(|d| d.start <= r.t_ms && d.end > r.t_ms - resolution_ms));
}

impl Tombstone {
    /// Whether a block of rows may hold something that this deleted: a row is of the time before its instant.
    pub(crate) fn applies_to_rows(&self, block: &Block, resolution_ms: i64) -> bool {
        block.meta.number < self.block && block.overlaps(self.start, self.end.saturating_add(resolution_ms - 1))
    }
}

/// How far the rows of one resolution go: they are of `from_ms < t <= until_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoarseReach {
    pub resolution_ms: i64,
    pub from_ms: i64,
    pub until_ms: i64,
}

/// The answer of [`Tsdb::select_coarse`].
pub struct Coarse {
    pub resolution_ms: i64,
    /// Later samples have no rows yet: from here on (exclusive) ask [`Tsdb::select`].
    pub until_ms: i64,
    pub series: Vec<CoarseSeries>,
}

/// Rows of samples in order. `before` is the sample ahead of the first, for the increase.
pub(crate) fn rows(before: Option<Point>, points: &[Point], resolution_ms: i64) -> Vec<Row> {
    let mut out: Vec<Row> = Vec::new();
    let mut previous = before.filter(|p| !p.value.is_nan()).map(|p| p.value);
    for p in points {
        let t_ms = -((-p.t_ms).div_euclid(resolution_ms)) * resolution_ms;
        if is_stale(p.value) {
            if let Some(row) = out.last_mut().filter(|r| r.t_ms == t_ms) {
                row.ended = true;
            }
            continue;
        }
        let v = p.value;
        let added = match previous {
            Some(before) if v >= before => v - before,
            Some(_) if !v.is_nan() => v,
            _ => 0.0,
        };
        previous = if v.is_nan() { previous } else { Some(v) };
        let before_ms = (t_ms - p.t_ms) as f64;
        match out.last_mut() {
            Some(row) if row.t_ms == t_ms => {
                row.min = row.min.min(v);
                row.max = row.max.max(v);
                row.sum += v;
                row.count += 1.0;
                (row.last, row.before_ms, row.ended) = (v, before_ms, false);
                row.increase += added;
            }
            _ => out.push(Row {
                t_ms,
                min: v,
                max: v,
                sum: v,
                count: 1.0,
                last: v,
                before_ms,
                increase: added,
                ended: false,
            }),
        }
    }
    out
}

pub(crate) fn put_rows(out: &mut Vec<u8>, rows: &[Row], level: usize) {
    let columns: [fn(&Row) -> f64; COLUMNS] = [
        |r| r.min,
        |r| r.max,
        |r| r.sum,
        |r| r.count,
        |r| r.last,
        |r| r.before_ms,
        |r| r.increase,
        |r| f64::from(u8::from(r.ended)),
    ];
    let mut bytes = Vec::new();
    for of in columns {
        bytes.clear();
        put_values(&mut bytes, &rows.iter().map(of).collect::<Vec<_>>(), level);
        put_varint(out, bytes.len() as u64);
        out.extend_from_slice(&bytes);
    }
}

/// Decodes rows; `None` when the bytes are damaged.
pub(crate) fn take_rows(bytes: &[u8], times: &[i64], out: &mut Vec<Row>) -> Option<()> {
    let mut r = Reader::new(bytes);
    let mut columns: [Vec<f64>; COLUMNS] = Default::default();
    for column in &mut columns {
        let len = r.usize()?;
        take_values(r.bytes(len)?, times.len(), column)?;
    }
    let [min, max, sum, count, last, before, increase, ended] = &columns;
    out.extend(times.iter().enumerate().map(|(i, t_ms)| Row {
        t_ms: *t_ms,
        min: min[i],
        max: max[i],
        sum: sum[i],
        count: count[i],
        last: last[i],
        before_ms: before[i],
        increase: increase[i],
        ended: ended[i] != 0.0,
    }));
    Some(())
}

impl Tsdb {
    /// Rows of aggregates of the matching series with `start_ms <= t <= end_ms`, of the coarsest resolution that is no
    /// coarser than the step; `None` when there are none that fine. The module's text says what rows may answer.
    pub fn select_coarse(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Option<Coarse>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let fits = |i: &usize| RESOLUTIONS[*i].0 <= step_ms && !state.coarse[*i].is_empty();
        let Some(i) = (0..RESOLUTIONS.len()).rev().find(fits) else { return Ok(None) };
        let resolution_ms = RESOLUTIONS[i].0;
        let until_ms = state.coarse[i].iter().map(|b| b.meta.end_t).max().unwrap_or(i64::MIN);
        let readers = Arc::new(readers(state.coarse[i].iter().filter(|b| b.overlaps(start_ms, end_ms))));
        let mut series = Vec::new();
        for id in state.index.select(&compiled) {
            if readers.iter().any(|r: &Arc<BlockReader>| r.block.ids().contains(id)) {
                series.push(CoarseSeries {
                    labels: Arc::new(state.index.labels(id)),
                    id,
                    span: (start_ms, end_ms),
                    resolution_ms,
                    readers: readers.clone(),
                    deleted: state.tombstones.get(&id).cloned().unwrap_or_default(),
                });
            }
        }
        Ok(Some(Coarse { resolution_ms, until_ms, series }))
    }

    /// The resolutions that have rows, the finest first; and the oldest instant of which there are samples ([`i64::MAX`]
    /// without any; [`i64::MIN`] where no resolution has rows).
    pub fn coarse_reach(&self) -> (Vec<CoarseReach>, i64) {
        let state = self.state.read();
        if state.coarse.iter().all(Vec::is_empty) {
            return (Vec::new(), i64::MIN);
        }
        let whole = state.coarse_again.first().copied().unwrap_or(i64::MAX);
        let reach = RESOLUTIONS.iter().zip(&state.coarse).filter_map(|((resolution, _), blocks)| {
            Some(CoarseReach {
                resolution_ms: *resolution,
                from_ms: blocks.iter().map(|b| b.meta.start_t).min()?,
                until_ms: blocks.iter().map(|b| b.meta.end_t).max()?.min(whole),
            })
        });
        // What is in memory is newer than blocks; without blocks it is walked, which every query need not do.
        let in_memory = || state.head.iter().filter_map(crate::head::HeadSeries::oldest_t).min();
        let oldest = state.blocks.iter().map(|b| b.meta.min_t).min().or_else(in_memory);
        (reach.collect(), oldest.unwrap_or(i64::MAX))
    }

    /// Writes rows for every closed day that is old enough and has none; how many blocks that were.
    pub(crate) fn write_coarse(&self, now_ms: i64) -> Result<usize, TsdbError> {
        let Some(kept_ms) = self.options.coarse_retention_ms else { return Ok(0) };
        // What came late and is in memory still, after a kill or a full disk, is in no block that rows are made of.
        let late = self.state.read().head.iter().filter_map(crate::head::HeadSeries::oldest_late_t).min();
        let whole = late.unwrap_or(i64::MAX);
        let mut written = 0;
        loop {
            let again = self.state.read().coarse_again.first().copied();
            let Some(day) = again.or_else(|| self.next_coarse_day(now_ms, whole)) else { return Ok(written) };
            // Rows that would be dropped at once are not made: a day alone would hide that those after it are gone.
            match self.write_day(day, kept_ms.map(|kept| day + DAY_MS >= now_ms.saturating_sub(kept))) {
                Ok(count) => written += count,
                // Marked; the next maintenance sets the block aside, and the day is tried again.
                Err(TsdbError::Damaged { .. }) => return Ok(written),
                Err(e) => return Err(e),
            }
            let mut state = self.state.write();
            if again.is_some() {
                state.coarse_again.remove(&day);
                let left = state.coarse_again.clone();
                drop(state);
                self.keep_again(&left)?;
            } else {
                state.coarse_until = day + DAY_MS;
            }
        }
    }

    /// Makes the rows of a day again of which something was deleted, so that they say what is left; at most one day each time,
    /// the newest first, of which there may be samples. How many blocks of rows that replaced.
    pub(crate) fn rewrite_deleted_rows(&self) -> Result<usize, TsdbError> {
        // Without the setting the rows there are stay as they are.
        if self.options.coarse_retention_ms.is_none() {
            return Ok(0);
        }
        let found = self.state.read().newest_deleted_day();
        let Some((day, wanted)) = found else { return Ok(0) };
        match self.write_day(day, wanted) {
            // Marked; the next maintenance sets the block aside.
            Err(TsdbError::Damaged { .. }) => Ok(0),
            done => done.map(|_| wanted.iter().filter(|replaced| **replaced).count()),
        }
    }

    /// Days whose rows must be made again, since samples of them came afterwards; those that have none yet need not.
    pub(crate) fn make_again(&self, windows: impl Iterator<Item = i64>) -> Result<(), TsdbError> {
        let until = self.state.read().coarse_until;
        let days = windows.flat_map(|start| [start, start + self.options.block_ms - 1]);
        self.make_days_again(days.map(|t| (t - 1).div_euclid(DAY_MS) * DAY_MS).filter(|day| *day < until))
    }

    /// The same for days as such.
    pub(crate) fn make_days_again(&self, days: impl Iterator<Item = i64>) -> Result<(), TsdbError> {
        let mut all = self.state.read().coarse_again.clone();
        let known = all.len();
        all.extend(days);
        if all.len() > known {
            self.keep_again(&all)?;
            self.state.write().coarse_again = all;
        }
        Ok(())
    }

    pub(crate) fn keep_again(&self, days: &BTreeSet<i64>) -> Result<(), TsdbError> {
        write_again(&*self.fs, &self.dir, days)
    }

    /// Of the time before `whole` all that is to be in blocks is there.
    fn next_coarse_day(&self, now_ms: i64, whole: i64) -> Option<i64> {
        let state = self.state.read();
        let oldest = state.blocks.iter().filter(|b| b.meta.max_t >= state.coarse_until).map(|b| b.meta.min_t).min()?;
        // Midnight itself belongs to the day before.
        let day = ((oldest - 1).div_euclid(DAY_MS) * DAY_MS).max(state.coarse_until);
        // Before its first samples, and the one ahead of them, are past the retention.
        let after = self.options.coarse_after_ms.min(self.samples_kept_ms() - DAY_MS - DAY_MS / 4);
        let closed = state.min_valid_t.min(now_ms.saturating_sub(after)).min(whole);
        (day + DAY_MS < closed).then_some(day)
    }

    /// Writes the wanted resolutions of a day, each in place of what there is of it; how many blocks that were.
    fn write_day(&self, day: i64, wanted: [bool; 2]) -> Result<usize, TsdbError> {
        let longest = RESOLUTIONS[RESOLUTIONS.len() - 1].0;
        // Rows are open at the left end; and the sample before the first is wanted for the increase.
        let (start, end) = (day + 1, day + DAY_MS);
        // Before it is known what was deleted: what is deleted from now on is not gone from blocks with these numbers.
        let numbers = RESOLUTIONS.map(|_| self.next_block.fetch_add(1, Ordering::Relaxed));
        let (readers, olds, order, deleted) = {
            let state = self.state.read();
            let olds: Vec<_> =
                state.coarse.iter().map(|l| readers(l.iter().filter(|b| b.meta.start_t == day))).collect();
            let readers = readers(state.blocks_within(day - longest, end));
            let all = readers.iter().chain(olds.iter().flatten());
            let all = all.fold(RoaringBitmap::new(), |all, r| all | r.block.ids());
            let mut order: Vec<_> = all.iter().map(|id| state.index.block_order(id)).collect();
            order.sort_unstable();
            (readers, olds, order, state.tombstones.clone())
        };
        let mut written = 0;
        for (i, (resolution, dir)) in RESOLUTIONS.iter().enumerate().filter(|(i, _)| wanted[*i]) {
            let dir = self.dir.join(dir);
            let mut writer = BlockWriter::create(&*self.fs, &dir, (day, end), numbers[i], 8)?;
            for part in order.chunks(LOCKED_SERIES_MAX) {
                for (_, id) in part {
                    let (mut points, mut histograms, mut settle) = (Vec::new(), Vec::new(), Settle::default());
                    let deleted = deleted.get(id).map_or(&[][..], Vec::as_slice);
                    for reader in &readers {
                        let read = reader.samples(*id, (day - longest, end), &mut points, &mut histograms);
                        if let Err(e) = read {
                            writer.abandon()?;
                            return Err(e);
                        }
                        let deleted = deleted.iter().filter(|d| d.applies_to(&reader.block));
                        settle.source(&mut points, &mut histograms, deleted);
                    }
                    settle.end(&mut points, &mut histograms);
                    let first = points.partition_point(|p| p.t_ms < start);
                    let before = points[..first].iter().rev().find(|p| !is_stale(p.value)).copied();
                    let mut made = rows(before, &points[first..], *resolution);
                    let mut old = Vec::new();
                    for reader in &olds[i] {
                        let begin = old.len();
                        if let Err(e) = reader.rows(*id, (start, end), &mut old) {
                            writer.abandon()?;
                            return Err(e);
                        }
                        // What was deleted must not come back under the number of a block written after it.
                        drop_deleted(&mut old, begin, reader, *resolution, deleted);
                    }
                    if !old.is_empty() {
                        // Of two the one that saw more samples stands: they may be gone by now.
                        made.append(&mut old);
                        made.sort_by(|a, b| a.t_ms.cmp(&b.t_ms).then(b.count.total_cmp(&a.count)));
                        made.dedup_by_key(|r| r.t_ms);
                    }
                    if let Err(e) = writer.add_rows(*id, &made) {
                        // A full disk gets back what it holds of this.
                        writer.abandon()?;
                        return Err(e);
                    }
                }
            }
            self.put_labels(&mut writer);
            let sources: Vec<u64> = olds[i].iter().map(|r| r.block.meta.number).collect();
            // Without a block all that the day had was deleted, and what was there goes all the same.
            let block = writer.finish(&sources)?;
            written += usize::from(block.is_some());
            let mut state = self.state.write();
            state.coarse[i].retain(|b| !sources.contains(&b.meta.number));
            state.coarse[i].extend(block.map(Arc::new));
            drop(state);
            self.remove_blocks(olds[i].iter().map(|old| &old.block))?;
        }
        Ok(written)
    }
}

/// Writes the file of days into a store's directory.
pub(crate) fn write_again(fs: &dyn Fs, dir: &Path, days: &BTreeSet<i64>) -> Result<(), TsdbError> {
    let path = dir.join(AGAIN);
    let temporary = path.with_extension("tmp");
    let lines: Vec<String> = days.iter().map(ToString::to_string).collect();
    let lines = lines.join("\n");
    let file = fs.create(&temporary).map_err(TsdbError::io("create", &temporary))?;
    file.append(lines.as_bytes()).and_then(|()| file.sync()).map_err(TsdbError::io("write", &temporary))?;
    fs.rename(&temporary, &path).map_err(TsdbError::io("rename", &temporary))?;
    fs.sync_dir(dir).map_err(TsdbError::io(FLUSH_NAMES, dir))
}

/// What the file of days says; one that cannot be read says nothing.
pub(crate) fn read_again(fs: &dyn Fs, dir: &Path) -> BTreeSet<i64> {
    let bytes = fs.open(&dir.join(AGAIN)).and_then(|file| read_all(&*file)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// The newest day, when it has rows of the finer resolution, which is written first, and none of the coarser: something came in
/// between. Older days may have lost theirs to the retention.
pub(crate) fn incomplete_day(fine: &[Block], coarse: &[Block]) -> Option<i64> {
    let newest = fine.iter().map(|b| b.meta.start_t).max()?;
    (!coarse.iter().any(|b| b.meta.start_t >= newest)).then_some(newest)
}

impl State {
    /// All blocks, of samples and of rows.
    pub(crate) fn all_blocks(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.blocks.iter().chain(self.coarse.iter().flatten())
    }

    /// Every block of rows, with its resolution.
    fn row_blocks(&self) -> impl Iterator<Item = (&Arc<Block>, i64)> {
        let lists = RESOLUTIONS.iter().zip(&self.coarse);
        lists.flat_map(|((resolution_ms, _), list)| list.iter().map(move |b| (b, *resolution_ms)))
    }

    /// Blocks of rows that say something of the time: a row is of the time before its instant.
    pub(crate) fn rows_within(&self, start: i64, end: i64) -> impl Iterator<Item = &Arc<Block>> {
        let within = move |b: &Block, resolution_ms: i64| b.overlaps(start, end.saturating_add(resolution_ms - 1));
        self.row_blocks().filter_map(move |(b, resolution_ms)| within(b, resolution_ms).then_some(b))
    }

    /// Whether any block of rows may hold something of the series that this deleted.
    pub(crate) fn has_rows_of(&self, id: SeriesId, deleted: &Tombstone) -> bool {
        self.row_blocks().any(|(b, resolution_ms)| deleted.applies_to_rows(b, resolution_ms) && b.ids().contains(id))
    }

    /// The newest day whose rows hold something that was deleted, and of which resolutions it has rows.
    fn newest_deleted_day(&self) -> Option<(i64, [bool; 2])> {
        if self.tombstones.is_empty() {
            return None;
        }
        let mut blocks: Vec<_> = self.row_blocks().filter(|(b, _)| !b.is_damaged()).collect();
        blocks.sort_unstable_by_key(|(b, _)| std::cmp::Reverse(b.meta.start_t));
        let affected = |(b, resolution_ms): &&(&Arc<Block>, i64)| {
            let applies = |t: &Tombstone| t.applies_to_rows(b, *resolution_ms);
            self.tombstones.iter().any(|(id, list)| list.iter().any(applies) && b.ids().contains(*id))
        };
        let day = blocks.iter().find(affected)?.0.meta.start_t;
        Some((day, [0, 1].map(|i| self.coarse[i].iter().any(|b| b.meta.start_t == day))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tenfold_types::STALE_NAN;

    #[test]
    fn rows_of_a_counter_with_a_reset_and_an_end() {
        let p = |t: i64, v: f64| Point::new(t, v);
        let points = [p(1, 10.0), p(200_000, 15.0), p(300_000, 3.0), p(300_001, 4.0), p(400_000, STALE_NAN)];
        let found = rows(Some(p(0, 8.0)), &points, 300_000);
        assert_eq!(found.len(), 2);
        let first = &found[0];
        assert_eq!((first.t_ms, first.min, first.max, first.sum, first.count), (300_000, 3.0, 15.0, 28.0, 3.0));
        assert_eq!((first.increase, first.last, first.before_ms, first.ended), (10.0, 3.0, 0.0, false));
        assert_eq!((found[1].t_ms, found[1].increase, found[1].ended), (600_000, 1.0, true));
    }

    proptest! {
        #[test]
        fn rows_say_what_the_samples_say(
            steps in prop::collection::vec((1i64..200_000, 0.0f64..100.0), 1..200),
        ) {
            let mut t = 0;
            let points: Vec<Point> = steps.iter().map(|(d, v)| { t += d; Point::new(t, v.floor()) }).collect();
            let found = rows(None, &points, 300_000);
            let (mut bytes, mut back) = (Vec::new(), Vec::new());
            put_rows(&mut bytes, &found, 4);
            take_rows(&bytes, &found.iter().map(|r| r.t_ms).collect::<Vec<_>>(), &mut back).unwrap();
            prop_assert_eq!(&back, &found);
            for row in &found {
                let within: Vec<f64> =
                    points.iter().filter(|p| p.t_ms > row.t_ms - 300_000 && p.t_ms <= row.t_ms).map(|p| p.value).collect();
                prop_assert_eq!(row.count, within.len() as f64);
                prop_assert_eq!(row.sum, within.iter().sum::<f64>());
                prop_assert_eq!(row.max, within.iter().copied().fold(f64::MIN, f64::max));
                prop_assert_eq!(Some(&row.last), within.last());
            }
            let grown: f64 = points.windows(2).map(|w| if w[1].value >= w[0].value { w[1].value - w[0].value } else { w[1].value }).sum();
            prop_assert_eq!(found.iter().map(|r| r.increase).sum::<f64>(), grown);
            prop_assert_eq!(found.iter().map(|r| r.count).sum::<f64>(), points.len() as f64);
        }
    }
}
