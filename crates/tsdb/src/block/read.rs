//! Reading runs out of a block on behalf of one query.

use std::{collections::HashMap, sync::Arc};

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
};

/// The kind of a run of rows (module `coarse`); 0 is of floats, 1 of histograms.
const ROWS: u8 = 2;
/// The window grows to this while reads go on one after the other.
const WINDOW_BYTES_MAX: usize = 512 << 10;
const WINDOW_BYTES_MIN: usize = 8 << 10;
/// Decoded columns of timestamps kept for other series that share them.
const TIMES_KEPT: usize = 1024;

/// One query's view of one block. Shared by its series.
pub(crate) struct BlockReader {
    pub block: Arc<Block>,
    window: Mutex<Window>,
    group: Mutex<Option<Group>>,
    times: Mutex<HashMap<u64, Arc<Vec<i64>>>>,
}

#[derive(Default)]
struct Window {
    offset: u64,
    bytes: Arc<Vec<u8>>,
    size: usize,
}

#[derive(Clone)]
struct Group {
    number: usize,
    bytes: Arc<Vec<u8>>,
    /// Where each series begins and ends in `bytes`.
    series: Arc<Vec<(u32, u32)>>,
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
        Self { block, window: Mutex::default(), group: Mutex::default(), times: Mutex::default() }
    }

    fn read(&self, section: Section, what: &'static str) -> Result<(Arc<Vec<u8>>, usize), TsdbError> {
        let len = section.len as usize;
        let mut window = self.window.lock();
        let inside = section.offset.checked_sub(window.offset).map(|skip| skip as usize);
        let at = if let Some(skip) = inside.filter(|skip| skip + len <= window.bytes.len()) {
            skip
        } else {
            let next = inside.is_some_and(|skip| skip <= 2 * window.bytes.len() && !window.bytes.is_empty());
            let size = if next { (window.size * 2).min(WINDOW_BYTES_MAX) } else { WINDOW_BYTES_MIN };
            window.size = size;
            let left = self.block.bytes.saturating_sub(section.offset);
            let mut bytes = vec![0; (size.max(len) as u64).min(left) as usize];
            let read = self.block.file.read_exact_at(&mut bytes, section.offset);
            read.map_err(TsdbError::io("read", &self.block.path))?;
            window.offset = section.offset;
            window.bytes = Arc::new(bytes);
            0
        };
        let bytes = window.bytes.clone();
        drop(window);
        match bytes.get(at..at + len) {
            Some(part) if crc32fast::hash(part) == section.crc => Ok((bytes, at)),
            _ => Err(self.block.damage(what)),
        }
    }

    fn group(&self, number: usize) -> Result<Group, TsdbError> {
        let mut kept = self.group.lock();
        if let Some(group) = kept.as_ref().filter(|g| g.number == number) {
            return Ok(group.clone());
        }
        let section = *self.block.groups.get(number).ok_or_else(|| self.block.damage(MALFORMED))?;
        let bytes = self.block.section(section, "a group's checksum does not match")?;
        let series = split(&bytes).ok_or_else(|| self.block.damage(MALFORMED))?;
        let group = Group { number, bytes: Arc::new(bytes), series: Arc::new(series) };
        *kept = Some(group.clone());
        Ok(group)
    }

    /// Whether the series has a run that overlaps the time.
    pub fn overlaps(&self, id: SeriesId, start: i64, end: i64) -> Result<bool, TsdbError> {
        let mut found = false;
        self.runs(id, |run| {
            found |= run.min_t <= end && run.max_t >= start;
            Ok(())
        })?;
        Ok(found)
    }

    fn runs(&self, id: SeriesId, mut each: impl FnMut(&Run<'_>) -> Result<(), TsdbError>) -> Result<(), TsdbError> {
        let Some(place) = self.block.place(id) else { return Ok(()) };
        let group = self.group(place as usize / GROUP_SERIES)?;
        let bounds = group.series.get(place as usize % GROUP_SERIES);
        let body = bounds.and_then(|(from, to)| group.bytes.get(*from as usize..*to as usize));
        let body = body.ok_or_else(|| self.block.damage(MALFORMED))?;
        let mut r = Reader::new(body);
        let count = r.usize().ok_or_else(|| self.block.damage(MALFORMED))?;
        for _ in 0..count {
            let run = take_run_ref(&mut r, self.block.meta.start_t).ok_or_else(|| self.block.damage(MALFORMED))?;
            each(&run)?;
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
        let mut values = Vec::new();
        self.runs(id, |run| {
            // A time that ends before it begins holds nothing, also where both lie within the run.
            if run.kind == ROWS || run.min_t > end || run.max_t < start || start > end {
                return Ok(());
            }
            let times = self.times(run)?;
            let column = self.column(&run.values)?;
            let bytes = column.bytes();
            let (from, to) = (times.partition_point(|t| *t < start), times.partition_point(|t| *t <= end));
            if run.kind == 0 {
                values.clear();
                take_values(bytes, run.rows, &mut values).ok_or_else(|| self.block.damage(UNREADABLE))?;
                let rows = times[from..to].iter().zip(&values[from..to]);
                floats.extend(rows.map(|(t, v)| Point::new(*t, *v)));
            } else {
                let mut all = Vec::new();
                take_run(bytes, &times, &mut all).ok_or_else(|| self.block.damage(UNREADABLE))?;
                histograms.extend(all.drain(from..to));
            }
            Ok(())
        })
    }

    /// Appends a series' rows within the time.
    pub fn rows(&self, id: SeriesId, (start, end): (i64, i64), out: &mut Vec<Row>) -> Result<(), TsdbError> {
        self.runs(id, |run| {
            if run.kind != ROWS || run.min_t > end || run.max_t < start {
                return Ok(());
            }
            let times = self.times(run)?;
            let column = self.column(&run.values)?;
            let from = out.len();
            take_rows(column.bytes(), &times, out).ok_or_else(|| self.block.damage(UNREADABLE))?;
            let mut i = 0;
            out.retain(|row| {
                i += 1;
                i <= from || (start..=end).contains(&row.t_ms)
            });
            Ok(())
        })
    }

    fn column<'r>(&self, place: &Place<'r>) -> Result<Column<'r>, TsdbError> {
        match place {
            Place::Inline(bytes) => Ok(Column::Inline(bytes)),
            Place::Stored(section) => {
                let (bytes, at) = self.read(*section, UNREADABLE)?;
                Ok(Column::Window(bytes, at, section.len as usize))
            }
        }
    }

    fn times(&self, run: &Run<'_>) -> Result<Arc<Vec<i64>>, TsdbError> {
        let decode = |bytes: &[u8]| {
            let times = take_times(bytes, run.rows).filter(|t| t.len() == run.rows);
            times.map(Arc::new).ok_or_else(|| self.block.damage(UNREADABLE))
        };
        let section = match run.times {
            Place::Inline(bytes) => return decode(bytes),
            Place::Stored(section) => section,
        };
        if let Some(known) = self.times.lock().get(&section.offset).filter(|t| t.len() == run.rows) {
            return Ok(known.clone());
        }
        // Read past the window, which stays with the values.
        let times = decode(&self.block.section(section, UNREADABLE)?)?;
        let mut kept = self.times.lock();
        if kept.len() >= TIMES_KEPT {
            kept.clear();
        }
        kept.insert(section.offset, times.clone());
        Ok(times)
    }
}

enum Column<'a> {
    Inline(&'a [u8]),
    Window(Arc<Vec<u8>>, usize, usize),
}

impl Column<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Window(bytes, at, len) => &bytes[*at..at + len],
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
