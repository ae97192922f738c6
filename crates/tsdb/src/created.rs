//! When series came: numbers are given in order and never twice, so that a few marks of how far they went say it for all.

use std::collections::VecDeque;

use roaring::RoaringBitmap;

use crate::{
    codec::{Reader, put_varint, put_zigzag},
    db::Tsdb,
    error::TsdbError,
    postings::SeriesId,
    record::Kind,
    wal::put_frame,
};

const HOUR_MS: i64 = 3_600_000;
/// Marks stand at least this far apart, which bounds them.
const MARK_MS: i64 = 30_000;

/// Numbers below `id_end` had been given at that instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub t_ms: i64,
    pub id_end: SeriesId,
}

/// The marks of the last hour, oldest first, and the one before them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Created {
    marks: VecDeque<Mark>,
}

impl Created {
    /// Series there are already, when nobody marked them, came at some time before.
    pub fn begin(&mut self, id_end: SeriesId) {
        if self.marks.is_empty() {
            self.marks.push_back(Mark { t_ms: i64::MIN, id_end });
        }
    }
    fn is_due(&self, t_ms: i64) -> bool {
        self.marks.back().is_none_or(|m| t_ms < m.t_ms || t_ms >= m.t_ms.saturating_add(MARK_MS))
    }
    pub fn push(&mut self, mark: Mark) {
        if !self.is_due(mark.t_ms) {
            return;
        }
        // A clock that was set back: what it marked in the time to come is not known to be true.
        while self.marks.back().is_some_and(|m| m.t_ms > mark.t_ms) {
            self.marks.pop_back();
        }
        self.marks.push_back(mark);
        while self.marks.get(1).is_some_and(|m| m.t_ms <= mark.t_ms.saturating_sub(HOUR_MS)) {
            self.marks.pop_front();
        }
    }
    /// Numbers from this one on were given in the hour before the last mark, or since.
    fn last_hour(&self) -> SeriesId {
        let hour_ago = self.marks.back().map_or(i64::MIN, |m| m.t_ms.saturating_sub(HOUR_MS));
        let before = self.marks.iter().rev().find(|m| m.t_ms <= hour_ago);
        before.or(self.marks.front()).map_or(0, |m| m.id_end)
    }
    /// Of these series those that came in the last hour.
    pub fn among(&self, live: &RoaringBitmap) -> RoaringBitmap {
        let mut found = live.clone();
        found.remove_range(..self.last_hour());
        found
    }
    pub fn put(&self, out: &mut Vec<u8>) {
        self.marks.iter().for_each(|mark| put_mark(out, *mark));
    }
}

fn put_mark(out: &mut Vec<u8>, mark: Mark) {
    put_zigzag(out, mark.t_ms);
    put_varint(out, u64::from(mark.id_end));
}

/// Calls `each` for every mark of a payload; `None` when it is malformed.
pub(crate) fn read_marks(payload: &[u8], mut each: impl FnMut(Mark)) -> Option<()> {
    let mut r = Reader::new(payload);
    while !r.is_empty() {
        each(Mark { t_ms: r.zigzag()?, id_end: u32::try_from(r.varint()?).ok()? });
    }
    Some(())
}

impl Tsdb {
    /// Notes how far numbers have been given, in the log too: what made the store fall over is wanted after the restart.
    pub(crate) fn mark_created(&self, now_ms: i64) -> Result<(), TsdbError> {
        let mut state = self.state.write();
        if !state.created.is_due(now_ms) {
            return Ok(());
        }
        let mark = Mark { t_ms: now_ms, id_end: state.index.id_end() };
        let mut frame = Vec::new();
        let first = state.created.marks.len() == 1;
        put_frame(&mut frame, Kind::Created, |out| {
            if first {
                state.created.put(out);
            }
            put_mark(out, mark);
        });
        state.wal.write(&frame)?;
        state.created.push(mark);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_marks_says_which_numbers_are_new() {
        let mut created = Created::default();
        let new = |created: &Created| created.among(&(0..10_000).collect()).len();
        assert_eq!(new(&created), 10_000);
        created.begin(100);
        assert_eq!(new(&created), 9_900);
        for minute in 0..600_i64 {
            for second in [0, 10, 20] {
                created.push(Mark { t_ms: minute * 60_000 + second * 1000, id_end: 200 + minute as u32 });
            }
            assert!(created.marks.len() <= 62);
        }
        assert_eq!(new(&created), 10_000 - (200 + 539));
        // The clock is set back, and on again.
        created.push(Mark { t_ms: 570 * 60_000, id_end: 900 });
        assert_eq!(new(&created), 10_000 - (200 + 539), "the oldest that is left");
        created.push(Mark { t_ms: i64::MAX, id_end: 950 });
        assert_eq!(new(&created), 10_000 - 900);
        let mut bytes = Vec::new();
        created.put(&mut bytes);
        let mut again = Created::default();
        read_marks(&bytes, |mark| again.push(mark)).unwrap();
        assert_eq!(again.marks, created.marks);
    }
}
