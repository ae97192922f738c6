//! Reading runs out of a block on behalf of one query.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tenfold_types::{HistogramPoint, Point};

use super::{Block, GROUP_SERIES, SHARED_HEADS, Section};
use crate::{
    coarse::{Row, take_rows},
    codec::Reader,
    column::{COLUMN_ROWS_MAX, take_times, take_values},
    error::TsdbError,
    histograms::take_run,
    postings::SeriesId,
    select::drop_from,
};

/// The kind of a run of rows (module `coarse`); 0 is of floats, 1 of histograms.
const ROWS: u8 = 2;
/// The window grows to this while reads go on one after the other.
const WINDOW_BYTES_MAX: usize = 512 << 10;
const WINDOW_BYTES_MIN: usize = 8 << 10;
/// Decoded columns of timestamps that a lane keeps for other series that share them.
const TIMES_KEPT: usize = 128;

/// Threads that read one block at a time without getting in each other's way.
const LANES: usize = 8;

/// One query's view of one block. Shared by its series.
pub(crate) struct BlockReader {
    pub block: Arc<Block>,
    lanes: [Mutex<Lane>; LANES],
}

/// What was read last, for the neighbours of a series, which are read next by the same thread.
#[derive(Default)]
struct Lane {
    window: Window,
    group: Option<Arc<Group>>,
    times: HashMap<u64, Arc<Times>>,
    /// Columns of timestamps that stood in groups, by their bytes: runs of the same time have the same ones in all groups.
    inline_times: HashMap<Vec<u8>, Arc<Times>>,
    values: Vec<f64>,
}

/// The lane of this thread.
fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % LANES;
    }
    MINE.with(|lane| *lane)
}

#[derive(Default)]
struct Window {
    offset: u64,
    bytes: Vec<u8>,
    size: usize,
}

/// A decoded column of timestamps.
struct Times {
    all: Vec<i64>,
    /// Each is later than the one before.
    rises: bool,
}

struct Group {
    number: usize,
    bytes: Vec<u8>,
    /// Where the heads of runs begin in `bytes`; none where each run has its own.
    heads: Vec<u32>,
    /// Where each series begins and ends in `bytes`.
    series: Vec<(u32, u32)>,
}

enum Place<'a> {
    Inline(&'a [u8]),
    Stored(Section),
}

/// What runs of several series have in common: those of one target are as long, and have the same timestamps.
struct RunHead<'a> {
    kind: u8,
    min_t: i64,
    max_t: i64,
    rows: usize,
    times: Place<'a>,
}

struct Run<'a> {
    head: RunHead<'a>,
    values: Place<'a>,
}

const MALFORMED: &str = "a description of runs is malformed";
const UNREADABLE: &str = "a column's checksum does not match";

impl BlockReader {
    pub fn new(block: Arc<Block>) -> Self {
        Self { block, lanes: Default::default() }
    }

    /// Whether the series has a run that overlaps the time.
    pub fn overlaps(&self, id: SeriesId, start: i64, end: i64) -> Result<bool, TsdbError> {
        let mut found = false;
        self.runs(id, |_, run| {
            found |= run.head.min_t <= end && run.head.max_t >= start;
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `each` with the series' runs, oldest first.
    fn runs(
        &self,
        id: SeriesId,
        mut each: impl FnMut(&mut Lane, &Run<'_>) -> Result<(), TsdbError>,
    ) -> Result<(), TsdbError> {
        let Some(place) = self.block.place(id) else { return Ok(()) };
        let mut lane = self.lanes[lane()].lock();
        let group = lane.group(&self.block, place as usize / GROUP_SERIES)?;
        let bounds = group.series.get(place as usize % GROUP_SERIES);
        let body = bounds.and_then(|(from, to)| group.bytes.get(*from as usize..*to as usize));
        let body = body.ok_or_else(|| self.block.damage(MALFORMED))?;
        let mut r = Reader::new(body);
        let count = r.usize().ok_or_else(|| self.block.damage(MALFORMED))?;
        for _ in 0..count {
            let run = group.run(&mut r, &self.block).ok_or_else(|| self.block.damage(MALFORMED))?;
            each(&mut lane, &run)?;
        }
        Ok(())
    }

    /// Appends a series' samples within the time, each kind in order. Whether it is sure that the floats rise: columns of
    /// timestamps are shared, and are looked at once for all series that have them.
    pub fn samples(
        &self,
        id: SeriesId,
        (start, end): (i64, i64),
        floats: &mut Vec<Point>,
        histograms: &mut Vec<HistogramPoint>,
    ) -> Result<bool, TsdbError> {
        let block = &*self.block;
        let (begin, mut rises) = (floats.len(), true);
        self.runs(id, |lane, run| {
            let head = &run.head;
            // A time that ends before it begins holds nothing, also where both lie within the run.
            if head.kind == ROWS || head.min_t > end || head.max_t < start || start > end {
                return Ok(());
            }
            let times = lane.times(block, head)?;
            let all = &times.all;
            let (from, to) = (all.partition_point(|t| *t < start), all.partition_point(|t| *t <= end));
            if head.kind == 0 {
                let mut values = std::mem::take(&mut lane.values);
                values.clear();
                let taken = take_values(lane.column(block, &run.values)?, head.rows, &mut values);
                taken.ok_or_else(|| block.damage(UNREADABLE))?;
                let before = floats[begin..].last().map(|p| p.t_ms);
                rises &= times.rises && all[from..to].first().is_none_or(|t| before.is_none_or(|before| before < *t));
                let rows = all[from..to].iter().zip(&values[from..to]);
                floats.extend(rows.map(|(t, v)| Point::new(*t, *v)));
                lane.values = values;
            } else {
                let mut found = Vec::new();
                let taken = take_run(lane.column(block, &run.values)?, all, &mut found);
                taken.ok_or_else(|| block.damage(UNREADABLE))?;
                histograms.extend(found.drain(from..to));
            }
            Ok(())
        })?;
        Ok(rises)
    }

    /// Appends a series' rows within the time.
    pub fn rows(&self, id: SeriesId, (start, end): (i64, i64), out: &mut Vec<Row>) -> Result<(), TsdbError> {
        let block = &*self.block;
        self.runs(id, |lane, run| {
            if run.head.kind != ROWS || run.head.min_t > end || run.head.max_t < start {
                return Ok(());
            }
            let times = lane.times(block, &run.head)?;
            let from = out.len();
            let taken = take_rows(lane.column(block, &run.values)?, &times.all, out);
            taken.ok_or_else(|| block.damage(UNREADABLE))?;
            drop_from(out, from, |row: &Row| !(start..=end).contains(&row.t_ms));
            Ok(())
        })
    }
}

impl Lane {
    fn group(&mut self, block: &Block, number: usize) -> Result<Arc<Group>, TsdbError> {
        if let Some(group) = self.group.as_ref().filter(|g| g.number == number) {
            return Ok(group.clone());
        }
        let section = *block.groups.get(number).ok_or_else(|| block.damage(MALFORMED))?;
        let bytes = block.section(section, "a group's checksum does not match")?;
        let (heads, series) = split(&bytes, block.version).ok_or_else(|| block.damage(MALFORMED))?;
        let group = Arc::new(Group { number, bytes, heads, series });
        self.group = Some(group.clone());
        Ok(group)
    }

    fn column<'r>(&'r mut self, block: &Block, place: &Place<'r>) -> Result<&'r [u8], TsdbError> {
        match place {
            Place::Inline(bytes) => Ok(bytes),
            Place::Stored(section) => self.window.read(block, *section),
        }
    }

    fn times(&mut self, block: &Block, head: &RunHead<'_>) -> Result<Arc<Times>, TsdbError> {
        let decode = |bytes: &[u8]| -> Result<Arc<Times>, TsdbError> {
            let all = take_times(bytes, head.rows).filter(|t| t.len() == head.rows);
            let all = all.ok_or_else(|| block.damage(UNREADABLE))?;
            let rises = all.is_sorted_by(|a, b| a < b);
            Ok(Arc::new(Times { all, rises }))
        };
        let section = match head.times {
            Place::Inline(bytes) => return self.inline_times(bytes, head.rows, decode),
            Place::Stored(section) => section,
        };
        if let Some(known) = self.times.get(&section.offset).filter(|t| t.all.len() == head.rows) {
            return Ok(known.clone());
        }
        // Read past the window, which stays with the values.
        let times = decode(&block.section(section, UNREADABLE)?)?;
        if self.times.len() >= TIMES_KEPT {
            self.times.clear();
        }
        self.times.insert(section.offset, times.clone());
        Ok(times)
    }

    /// Short columns repeat from series to series when their targets are asked together.
    fn inline_times(
        &mut self,
        bytes: &[u8],
        rows: usize,
        decode: impl FnOnce(&[u8]) -> Result<Arc<Times>, TsdbError>,
    ) -> Result<Arc<Times>, TsdbError> {
        if let Some(known) = self.inline_times.get(bytes).filter(|known| known.all.len() == rows) {
            return Ok(known.clone());
        }
        let times = decode(bytes)?;
        if self.inline_times.len() >= TIMES_KEPT {
            self.inline_times.clear();
        }
        self.inline_times.insert(bytes.to_vec(), times.clone());
        Ok(times)
    }
}

impl Group {
    /// The next run that a series' description tells of.
    fn run<'a>(&'a self, r: &mut Reader<'a>, block: &Block) -> Option<Run<'a>> {
        let base_t = block.meta.start_t;
        let head = if block.version < SHARED_HEADS {
            take_head(r, base_t)?
        } else {
            let at = *self.heads.get(r.usize()?)?;
            take_head(&mut Reader::new(self.bytes.get(at as usize..)?), base_t)?
        };
        Some(Run { head, values: take_place(r)? })
    }
}

impl Window {
    fn read(&mut self, block: &Block, section: Section) -> Result<&[u8], TsdbError> {
        let len = section.len as usize;
        let inside = section.offset.checked_sub(self.offset).map(|skip| skip as usize);
        let at = if let Some(skip) = inside.filter(|skip| skip + len <= self.bytes.len()) {
            skip
        } else {
            let next = inside.is_some_and(|skip| skip <= 2 * self.bytes.len() && !self.bytes.is_empty());
            self.size = if next { (self.size * 2).min(WINDOW_BYTES_MAX) } else { WINDOW_BYTES_MIN };
            let left = block.bytes.saturating_sub(section.offset);
            self.bytes.resize((self.size.max(len) as u64).min(left) as usize, 0);
            let read = block.file.read_exact_at(&mut self.bytes, section.offset);
            if let Err(error) = read {
                // What is in the window now is of no place.
                self.bytes.clear();
                return Err(TsdbError::io("read", &block.path)(error));
            }
            self.offset = section.offset;
            0
        };
        match self.bytes.get(at..at + len) {
            Some(part) if crc32fast::hash(part) == section.crc => Ok(part),
            _ => Err(block.damage(UNREADABLE)),
        }
    }
}

/// Where the heads of runs begin, and where each series begins and ends.
type Parts = (Vec<u32>, Vec<(u32, u32)>);

fn split(bytes: &[u8], version: u8) -> Option<Parts> {
    let mut r = Reader::new(bytes);
    let at = |r: &Reader<'_>| (bytes.len() - r.rest().len()) as u32;
    let mut heads = Vec::new();
    if version >= SHARED_HEADS {
        for _ in 0..r.usize()? {
            heads.push(at(&r));
            take_head(&mut r, 0)?;
        }
    }
    let mut series = Vec::with_capacity(GROUP_SERIES);
    while !r.is_empty() {
        let len = r.usize()?;
        let from = at(&r);
        r.bytes(len)?;
        series.push((from, from + len as u32));
    }
    Some((heads, series))
}

fn take_head<'a>(r: &mut Reader<'a>, base_t: i64) -> Option<RunHead<'a>> {
    let kind = r.byte()?;
    let min_t = base_t.wrapping_add(r.zigzag()?);
    let max_t = min_t.wrapping_add(r.varint()? as i64);
    let rows = r.usize().filter(|n| *n <= COLUMN_ROWS_MAX)?;
    Some(RunHead { kind, min_t, max_t, rows, times: take_place(r)? })
}

fn take_place<'a>(r: &mut Reader<'a>) -> Option<Place<'a>> {
    let tagged = r.varint()?;
    let len = tagged >> 1;
    if tagged & 1 == 0 {
        return Some(Place::Inline(r.bytes(usize::try_from(len).ok()?)?));
    }
    let (offset, len) = (r.varint()?, u32::try_from(len).ok()?);
    offset.checked_add(u64::from(len))?;
    Some(Place::Stored(Section { offset, len, crc: r.u32()? }))
}
