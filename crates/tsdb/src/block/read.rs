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

use super::{Block, GROUP_SERIES, Section};
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
    times: HashMap<u64, Arc<Vec<i64>>>,
    /// The last column of timestamps that stood in a group, by its bytes.
    inline_times: Option<(Vec<u8>, Arc<Vec<i64>>)>,
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

struct Group {
    number: usize,
    bytes: Vec<u8>,
    /// Where each series begins and ends in `bytes`.
    series: Vec<(u32, u32)>,
}

enum Place<'a> {
    Inline(&'a [u8]),
    Stored(Section),
}

struct Run<'a> {
    kind: u8,
    min_t: i64,
    max_t: i64,
    rows: usize,
    times: Place<'a>,
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
            found |= run.min_t <= end && run.max_t >= start;
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
            let run = take_run_ref(&mut r, self.block.meta.start_t).ok_or_else(|| self.block.damage(MALFORMED))?;
            each(&mut lane, &run)?;
        }
        Ok(())
    }

    /// Appends a series' samples within the time, each kind in order.
    pub fn samples(
        &self,
        id: SeriesId,
        (start, end): (i64, i64),
        floats: &mut Vec<Point>,
        histograms: &mut Vec<HistogramPoint>,
    ) -> Result<(), TsdbError> {
        let block = &*self.block;
        self.runs(id, |lane, run| {
            // A time that ends before it begins holds nothing, also where both lie within the run.
            if run.kind == ROWS || run.min_t > end || run.max_t < start || start > end {
                return Ok(());
            }
            let times = lane.times(block, run)?;
            let (from, to) = (times.partition_point(|t| *t < start), times.partition_point(|t| *t <= end));
            if run.kind == 0 {
                let mut values = std::mem::take(&mut lane.values);
                values.clear();
                let taken = take_values(lane.column(block, &run.values)?, run.rows, &mut values);
                taken.ok_or_else(|| block.damage(UNREADABLE))?;
                let rows = times[from..to].iter().zip(&values[from..to]);
                floats.extend(rows.map(|(t, v)| Point::new(*t, *v)));
                lane.values = values;
            } else {
                let mut all = Vec::new();
                let taken = take_run(lane.column(block, &run.values)?, &times, &mut all);
                taken.ok_or_else(|| block.damage(UNREADABLE))?;
                histograms.extend(all.drain(from..to));
            }
            Ok(())
        })
    }

    /// Appends a series' rows within the time.
    pub fn rows(&self, id: SeriesId, (start, end): (i64, i64), out: &mut Vec<Row>) -> Result<(), TsdbError> {
        let block = &*self.block;
        self.runs(id, |lane, run| {
            if run.kind != ROWS || run.min_t > end || run.max_t < start {
                return Ok(());
            }
            let times = lane.times(block, run)?;
            let from = out.len();
            let taken = take_rows(lane.column(block, &run.values)?, &times, out);
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
        let series = split(&bytes).ok_or_else(|| block.damage(MALFORMED))?;
        let group = Arc::new(Group { number, bytes, series });
        self.group = Some(group.clone());
        Ok(group)
    }

    fn column<'r>(&'r mut self, block: &Block, place: &Place<'r>) -> Result<&'r [u8], TsdbError> {
        match place {
            Place::Inline(bytes) => Ok(bytes),
            Place::Stored(section) => self.window.read(block, *section),
        }
    }

    fn times(&mut self, block: &Block, run: &Run<'_>) -> Result<Arc<Vec<i64>>, TsdbError> {
        let decode = |bytes: &[u8]| {
            let times = take_times(bytes, run.rows).filter(|t| t.len() == run.rows);
            times.map(Arc::new).ok_or_else(|| block.damage(UNREADABLE))
        };
        let section = match run.times {
            Place::Inline(bytes) => return self.inline_times(bytes, run.rows, decode),
            Place::Stored(section) => section,
        };
        if let Some(known) = self.times.get(&section.offset).filter(|t| t.len() == run.rows) {
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
        decode: impl FnOnce(&[u8]) -> Result<Arc<Vec<i64>>, TsdbError>,
    ) -> Result<Arc<Vec<i64>>, TsdbError> {
        if let Some((_, known)) = self.inline_times.as_ref().filter(|(of, known)| of == bytes && known.len() == rows) {
            return Ok(known.clone());
        }
        let times = decode(bytes)?;
        self.inline_times = Some((bytes.to_vec(), times.clone()));
        Ok(times)
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

fn split(bytes: &[u8]) -> Option<Vec<(u32, u32)>> {
    let mut r = Reader::new(bytes);
    let mut out = Vec::with_capacity(GROUP_SERIES);
    while !r.is_empty() {
        let len = r.usize()?;
        let from = bytes.len() - r.rest().len();
        r.bytes(len)?;
        out.push((from as u32, (from + len) as u32));
    }
    Some(out)
}

fn take_run_ref<'a>(r: &mut Reader<'a>, base_t: i64) -> Option<Run<'a>> {
    let kind = r.byte()?;
    let min_t = base_t.wrapping_add(r.zigzag()?);
    let max_t = min_t.wrapping_add(r.varint()? as i64);
    let rows = r.usize().filter(|n| *n <= COLUMN_ROWS_MAX)?;
    Some(Run { kind, min_t, max_t, rows, times: take_place(r)?, values: take_place(r)? })
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
