//! The newest samples, in memory: per series an open buffer and the chunks it was sealed into.

use tenfold_types::Point;

use crate::{chunk::Chunk, options::Reason};

/// The open buffer is sealed into a chunk at this many samples.
const OPEN_SAMPLES_MAX: usize = 120;

pub(crate) struct HeadSeries {
    sealed: Vec<Chunk>,
    open: Vec<Point>,
    /// The newest sample, also after it has been cut into a block.
    last: Option<Point>,
    /// The newest sample of an append that is not yet in the log.
    staged: Option<Point>,
    /// The log segment that already names this series.
    pub logged_in: u32,
}

impl HeadSeries {
    pub fn new() -> Self {
        Self { sealed: Vec::new(), open: Vec::new(), last: None, staged: None, logged_in: 0 }
    }
    /// Checks a sample against the newest one. `Ok(false)` is an exact repetition: accepted, nothing to store.
    pub fn stage(&mut self, point: Point) -> Result<bool, Reason> {
        if let Some(last) = self.staged.or(self.last) {
            if point.t_ms < last.t_ms {
                return Err(Reason::OutOfOrder);
            }
            if point.t_ms == last.t_ms {
                let same = point.value.to_bits() == last.value.to_bits();
                return if same { Ok(false) } else { Err(Reason::Duplicate) };
            }
        }
        self.staged = Some(point);
        Ok(true)
    }
    pub fn unstage(&mut self) {
        self.staged = None;
    }
    pub fn push(&mut self, point: Point) {
        if self.open.len() == OPEN_SAMPLES_MAX {
            self.sealed.extend(Chunk::encode(&self.open));
            self.open.clear();
        }
        self.open.push(point);
        self.last = Some(point);
        self.staged = None;
    }
    /// Remembers a sample that already stands in a block, for the order of those to come.
    pub fn note_last(&mut self, point: Point) {
        if self.last.is_none_or(|l| l.t_ms < point.t_ms) {
            self.last = Some(point);
        }
    }
    pub fn last(&self) -> Option<Point> {
        self.last
    }
    pub fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.open.is_empty()
    }
    pub fn sample_count(&self) -> usize {
        self.open.len() + self.sealed.iter().map(|c| c.count as usize).sum::<usize>()
    }
    pub fn min_t(&self) -> Option<i64> {
        self.sealed.first().map(|c| c.min_t).or_else(|| self.open.first().map(|p| p.t_ms))
    }
    fn max_t(&self) -> Option<i64> {
        self.open.last().map(|p| p.t_ms).or_else(|| self.sealed.last().map(|c| c.max_t))
    }
    pub fn overlaps(&self, start: i64, end: i64) -> bool {
        self.min_t().is_some_and(|t| t <= end) && self.max_t().is_some_and(|t| t >= start)
    }
    /// The chunks that overlap the time (cheap copies) and the open samples within it.
    pub fn slice(&self, start: i64, end: i64) -> (Vec<Chunk>, Vec<Point>) {
        let chunks = self.sealed.iter().filter(|c| c.min_t <= end && c.max_t >= start).cloned().collect();
        let from = self.open.partition_point(|p| p.t_ms < start);
        let to = self.open.partition_point(|p| p.t_ms <= end);
        (chunks, self.open.get(from..to).unwrap_or_default().to_vec())
    }
    /// Drops every sample before `t_ms`.
    pub fn drop_before(&mut self, t_ms: i64) {
        if self.min_t().is_none_or(|t| t >= t_ms) {
            return;
        }
        let mut kept = Vec::new();
        for chunk in std::mem::take(&mut self.sealed) {
            if chunk.min_t >= t_ms {
                kept.push(chunk);
            } else if chunk.max_t >= t_ms {
                let mut points = Vec::new();
                chunk.decode_range(t_ms, i64::MAX, &mut points).expect("chunks in memory were encoded by this process");
                kept.extend(Chunk::encode(&points));
            }
        }
        self.sealed = kept;
        let from = self.open.partition_point(|p| p.t_ms < t_ms);
        self.open.drain(..from);
        if self.open.is_empty() {
            self.open = Vec::new();
        }
    }
}
