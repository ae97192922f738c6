//! What the frames of the log and of checkpoints carry. The kind is one byte and never reused; a reader skips kinds it
//! does not know.

use std::sync::Arc;

use tenfold_types::{Exemplar, HistogramPoint, Labels, Point};

use crate::{
    codec::{Reader, put_str, put_varint, put_zigzag},
    column::whole,
    gorilla::Chunk,
    head::HeadSeries,
    histograms::{HistogramChunk, put_histogram, runs, take_histogram},
    postings::SeriesId,
    symbols::Symbol,
};

/// The number in the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Which label set a number stands for, as strings.
    Series = 1,
    /// Float samples in order.
    Samples = 2,
    Histograms = 3,
    Exemplars = 4,
    /// Float samples that came late.
    Late = 5,
    /// Spans of time deleted from series.
    Tombstones = 6,
    /// Native histograms that came late.
    LateHistograms = 7,
    /// How far series numbers had been given at an instant.
    Created = 8,
    // In checkpoints only:
    /// The next series number, the instant before which time is closed, and the blocks whose series are known.
    Meta = 16,
    /// The next strings, numbered on.
    Symbols = 17,
    /// Which label set a number stands for, as numbers of strings.
    SymbolSeries = 18,
    /// What one series has in memory.
    Head = 19,
    /// Nothing is missing.
    End = 20,
    // In additions only:
    /// What one series has in memory behind what the checkpoint has of it.
    Since = 21,
}

impl Kind {
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Series,
            2 => Self::Samples,
            3 => Self::Histograms,
            4 => Self::Exemplars,
            5 => Self::Late,
            6 => Self::Tombstones,
            7 => Self::LateHistograms,
            8 => Self::Created,
            16 => Self::Meta,
            17 => Self::Symbols,
            18 => Self::SymbolSeries,
            19 => Self::Head,
            20 => Self::End,
            21 => Self::Since,
            _ => return None,
        })
    }
}

fn id_of(value: u64) -> Option<SeriesId> {
    u32::try_from(value).ok()
}

pub(crate) fn put_series<'a>(
    out: &mut Vec<u8>,
    id: SeriesId,
    labels: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
) {
    put_varint(out, u64::from(id));
    put_varint(out, labels.len() as u64);
    for (name, value) in labels {
        put_str(out, name);
        put_str(out, value);
    }
}

/// Calls `each` for every series of a payload; `None` when it is malformed.
pub(crate) fn read_series(payload: &[u8], mut each: impl FnMut(SeriesId, &[(&str, &str)])) -> Option<()> {
    let mut r = Reader::new(payload);
    let mut labels = Vec::new();
    while !r.is_empty() {
        let id = id_of(r.varint()?)?;
        labels.clear();
        for _ in 0..r.usize()? {
            labels.push((r.str()?, r.str()?));
        }
        each(id, &labels);
    }
    Some(())
}

/// Writes float samples as differences to the one before; whole numbers as integers.
#[derive(Default)]
pub(crate) struct SampleCoder {
    id: i64,
    t_ms: i64,
}

impl SampleCoder {
    pub fn put(&mut self, out: &mut Vec<u8>, id: SeriesId, point: Point) {
        put_zigzag(out, i64::from(id) - self.id);
        let dt = point.t_ms.wrapping_sub(self.t_ms);
        let dt = ((dt << 1) ^ (dt >> 63)) as u64;
        if let Some(int) = whole(point.value) {
            put_varint(out, dt << 1 | 1);
            put_zigzag(out, int);
        } else {
            put_varint(out, dt << 1);
            out.extend_from_slice(&point.value.to_bits().to_le_bytes());
        }
        self.id = i64::from(id);
        self.t_ms = point.t_ms;
    }
}

/// Calls `each` for every sample of a payload; `None` when it is malformed.
pub(crate) fn read_samples(payload: &[u8], mut each: impl FnMut(SeriesId, Point)) -> Option<()> {
    let mut r = Reader::new(payload);
    let (mut id, mut t) = (0i64, 0i64);
    while !r.is_empty() {
        id = id.checked_add(r.zigzag()?)?;
        let tagged = r.varint()?;
        let dt = tagged >> 1;
        t = t.wrapping_add((dt >> 1) as i64 ^ -((dt & 1) as i64));
        let value = if tagged & 1 == 1 { r.zigzag()? as f64 } else { f64::from_bits(r.u64()?) };
        each(u32::try_from(id).ok()?, Point::new(t, value));
    }
    Some(())
}

pub(crate) fn put_histogram_sample(out: &mut Vec<u8>, id: SeriesId, point: &HistogramPoint) {
    put_varint(out, u64::from(id));
    put_zigzag(out, point.t_ms);
    put_histogram(out, &point.histogram);
}

pub(crate) fn read_histograms(payload: &[u8], mut each: impl FnMut(SeriesId, HistogramPoint)) -> Option<()> {
    let mut r = Reader::new(payload);
    while !r.is_empty() {
        let (id, t_ms) = (id_of(r.varint()?)?, r.zigzag()?);
        each(id, HistogramPoint { t_ms, histogram: Arc::new(take_histogram(&mut r)?) });
    }
    Some(())
}

pub(crate) fn put_exemplar(out: &mut Vec<u8>, id: SeriesId, exemplar: &Exemplar) {
    put_varint(out, u64::from(id));
    put_zigzag(out, exemplar.t_ms);
    out.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
    put_varint(out, exemplar.labels.len() as u64);
    for (name, value) in exemplar.labels.iter() {
        put_str(out, name);
        put_str(out, value);
    }
}

fn take_exemplar(r: &mut Reader<'_>) -> Option<(SeriesId, Exemplar)> {
    let (id, t_ms, value) = (id_of(r.varint()?)?, r.zigzag()?, f64::from_bits(r.u64()?));
    let mut labels = Labels::new();
    for _ in 0..r.usize()? {
        let (name, value) = (r.str()?, r.str()?);
        labels.set(name, value);
    }
    Some((id, Exemplar { labels, value, t_ms }))
}

pub(crate) fn read_exemplars(payload: &[u8], mut each: impl FnMut(SeriesId, Exemplar)) -> Option<()> {
    let mut r = Reader::new(payload);
    while !r.is_empty() {
        let (id, exemplar) = take_exemplar(&mut r)?;
        each(id, exemplar);
    }
    Some(())
}

/// Samples of a series within `start..=end` (milliseconds) that were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tombstone {
    pub start: i64,
    pub end: i64,
    /// Blocks with this number or a higher one were written without the samples.
    pub block: u64,
}

pub(crate) fn put_tombstone(out: &mut Vec<u8>, id: SeriesId, t: Tombstone) {
    put_varint(out, u64::from(id));
    put_zigzag(out, t.start);
    put_zigzag(out, t.end);
    put_varint(out, t.block);
}

pub(crate) fn read_tombstones(payload: &[u8], mut each: impl FnMut(SeriesId, Tombstone)) -> Option<()> {
    let mut r = Reader::new(payload);
    while !r.is_empty() {
        let id = id_of(r.varint()?)?;
        each(id, Tombstone { start: r.zigzag()?, end: r.zigzag()?, block: r.varint()? });
    }
    Some(())
}

pub(crate) fn put_symbol_series(out: &mut Vec<u8>, id: SeriesId, pairs: &[(Symbol, Symbol)]) {
    put_varint(out, u64::from(id));
    put_varint(out, pairs.len() as u64);
    for (name, value) in pairs {
        put_varint(out, u64::from(*name));
        put_varint(out, u64::from(*value));
    }
}

pub(crate) fn read_symbol_series(
    payload: &[u8],
    mut each: impl FnMut(SeriesId, &[(Symbol, Symbol)]) -> Option<()>,
) -> Option<()> {
    let mut r = Reader::new(payload);
    let mut pairs = Vec::new();
    while !r.is_empty() {
        let id = id_of(r.varint()?)?;
        pairs.clear();
        for _ in 0..r.usize()? {
            pairs.push((id_of(r.varint()?)?, id_of(r.varint()?)?));
        }
        each(id, &pairs)?;
    }
    Some(())
}

fn put_chunk(out: &mut Vec<u8>, min_t: i64, max_t: i64, count: u32, bytes: &[u8]) {
    put_zigzag(out, min_t);
    put_varint(out, max_t.wrapping_sub(min_t) as u64);
    put_varint(out, u64::from(count));
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn take_chunk(r: &mut Reader<'_>) -> Option<(i64, i64, u32, Arc<[u8]>)> {
    let min_t = r.zigzag()?;
    let max_t = min_t.wrapping_add(r.varint()? as i64);
    let count = id_of(r.varint()?)?;
    let len = r.usize()?;
    Some((min_t, max_t, count, r.bytes(len)?.into()))
}

/// How many closed runs of a series a checkpoint has. What it has behind them had not been closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub floats: usize,
    pub histograms: usize,
}

/// All that a series has in memory.
pub(crate) fn put_head(out: &mut Vec<u8>, series: &HeadSeries) {
    put_varint(out, u64::from(series.id));
    put_runs(out, series, Kept::default());
}

/// What it has behind those runs, and all that is not in closed runs.
pub(crate) fn put_since(out: &mut Vec<u8>, series: &HeadSeries, kept: Kept) {
    put_varint(out, u64::from(series.id));
    put_varint(out, kept.floats as u64);
    put_varint(out, kept.histograms as u64);
    put_runs(out, series, kept);
}

fn put_runs(out: &mut Vec<u8>, series: &HeadSeries, kept: Kept) {
    let last = series.last();
    out.push(u8::from(last.is_some()));
    if let Some(last) = last {
        put_zigzag(out, last.t_ms);
        out.extend_from_slice(&last.value.to_bits().to_le_bytes());
    }
    let (closed, open) = series.runs_behind(kept.floats);
    put_varint(out, (closed.len() + usize::from(open.is_some())) as u64);
    for c in closed.iter().chain(&open) {
        put_chunk(out, c.min_t, c.max_t, c.count, &c.bytes);
    }
    let Some(extra) = &series.extra else { return out.push(0) };
    out.push(if extra.late_histograms.is_empty() { 1 } else { 2 });
    put_varint(out, extra.late.len() as u64);
    for point in &extra.late {
        put_zigzag(out, point.t_ms);
        out.extend_from_slice(&point.value.to_bits().to_le_bytes());
    }
    let open: Vec<_> = runs(&extra.open_histograms, usize::MAX).filter_map(HistogramChunk::encode).collect();
    let closed = extra.histograms.get(kept.histograms..).unwrap_or_default();
    put_varint(out, (closed.len() + open.len()) as u64);
    for c in closed.iter().chain(&open) {
        put_chunk(out, c.min_t, c.max_t, c.count, &c.bytes);
    }
    out.push(u8::from(extra.last_histogram.is_some()));
    if let Some(last) = &extra.last_histogram {
        put_zigzag(out, last.t_ms);
        put_histogram(out, &last.histogram);
    }
    put_varint(out, extra.exemplars.len() as u64);
    for exemplar in &extra.exemplars {
        put_exemplar(out, series.id, exemplar);
    }
    if !extra.late_histograms.is_empty() {
        put_varint(out, extra.late_histograms.len() as u64);
        for point in &extra.late_histograms {
            put_zigzag(out, point.t_ms);
            put_histogram(out, &point.histogram);
        }
    }
}

/// Calls `each` for every series of a payload; `None` when it is malformed.
pub(crate) fn read_head(payload: &[u8], mut each: impl FnMut(HeadSeries)) -> Option<()> {
    let mut r = Reader::new(payload);
    while !r.is_empty() {
        let id = id_of(r.varint()?)?;
        each(take_runs(&mut r, id)?);
    }
    Some(())
}

/// The same for what stands behind the runs of a checkpoint.
pub(crate) fn read_since(payload: &[u8], mut each: impl FnMut(Kept, HeadSeries)) -> Option<()> {
    let mut r = Reader::new(payload);
    while !r.is_empty() {
        let id = id_of(r.varint()?)?;
        let kept = Kept { floats: r.usize()?, histograms: r.usize()? };
        each(kept, take_runs(&mut r, id)?);
    }
    Some(())
}

fn take_runs(r: &mut Reader<'_>, id: SeriesId) -> Option<HeadSeries> {
    let mut series = HeadSeries::new(id);
    if r.byte()? == 1 {
        series.restore_last(Some(Point::new(r.zigzag()?, f64::from_bits(r.u64()?))));
    }
    for _ in 0..r.usize()? {
        let (min_t, max_t, count, bytes) = take_chunk(r)?;
        series.restore(Chunk { min_t, max_t, count, bytes });
    }
    match r.byte()? {
        0 => {}
        1 => take_extra(r, &mut series)?,
        2 => {
            take_extra(r, &mut series)?;
            let late = &mut series.extra_mut().late_histograms;
            for _ in 0..r.usize()? {
                late.push(HistogramPoint { t_ms: r.zigzag()?, histogram: Arc::new(take_histogram(r)?) });
            }
        }
        _ => return None,
    }
    Some(series)
}

fn take_extra(r: &mut Reader<'_>, series: &mut HeadSeries) -> Option<()> {
    let extra = series.extra_mut();
    for _ in 0..r.usize()? {
        extra.late.push(Point::new(r.zigzag()?, f64::from_bits(r.u64()?)));
    }
    for _ in 0..r.usize()? {
        let (min_t, max_t, count, bytes) = take_chunk(r)?;
        extra.histograms.push(HistogramChunk { min_t, max_t, count, bytes });
    }
    if r.byte()? == 1 {
        extra.last_histogram = Some(HistogramPoint { t_ms: r.zigzag()?, histogram: Arc::new(take_histogram(r)?) });
    }
    for _ in 0..r.usize()? {
        extra.exemplars.push(take_exemplar(r)?.1);
    }
    Some(())
}
