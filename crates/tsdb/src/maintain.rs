//! What the owner calls now and then: cut old head data into blocks, shorten the log, drop what is past the retention.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use serde::Serialize;
use tenfold_types::{Labels, Point};

use crate::{
    block::{self, Row},
    chunk::Chunk,
    db::{FRAME_SERIES_BYTES_MAX, State, Tsdb, quarantine},
    error::TsdbError,
    postings::SeriesId,
    record::{Kind, SampleCoder, put_series},
    wal::{put_frame, write_checkpoint},
};

/// What one maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MaintainReport {
    pub blocks_written: usize,
    pub blocks_dropped: usize,
    pub series_forgotten: usize,
    /// Damaged blocks, moved aside.
    pub quarantined: Vec<PathBuf>,
}

struct HeadCopy {
    id: SeriesId,
    labels: Arc<Labels>,
    sealed: Vec<Chunk>,
    open: Vec<Point>,
}

impl Tsdb {
    /// Cuts every whole block of time that ended more than half a block before `now_ms`, and applies the retention.
    /// Appends and queries go on meanwhile.
    pub fn maintain(&self, now_ms: i64) -> Result<MaintainReport, TsdbError> {
        let _one_at_a_time = self.maintenance.lock();
        let mut report = MaintainReport::default();
        while let Some((start, end)) = self.next_cut(now_ms) {
            report.blocks_written += self.cut(start, end)?;
        }
        if report.blocks_written > 0 {
            self.checkpoint_due.store(true, Ordering::Relaxed);
        }
        if self.checkpoint_due.load(Ordering::Relaxed) {
            self.checkpoint()?;
            self.checkpoint_due.store(false, Ordering::Relaxed);
        }
        self.drop_blocks(now_ms, &mut report)?;
        if report.blocks_dropped > 0 || report.blocks_written > 0 {
            report.series_forgotten = self.forget_series();
        }
        Ok(report)
    }

    fn next_cut(&self, now_ms: i64) -> Option<(i64, i64)> {
        let state = self.state.read();
        let oldest = state.head.iter().filter_map(crate::head::HeadSeries::min_t).min()?;
        let block = self.options.block_ms;
        let start = oldest.div_euclid(block) * block;
        (start + block + block / 2 <= now_ms).then_some((start, start + block))
    }

    /// Writes one block; from then on samples before `end` are refused.
    fn cut(&self, start: i64, end: i64) -> Result<usize, TsdbError> {
        {
            let mut state = self.state.write();
            state.min_valid_t = state.min_valid_t.max(end);
        }
        let rows = self.copy_head(start, end - 1);
        let rows =
            rows.into_iter().map(|c| Row { id: c.id, labels: c.labels, sealed: c.sealed, open: c.open }).collect();
        let written = block::write(&*self.fs, &self.dir.join("blocks"), start, end, rows)?;
        let count = usize::from(written.is_some());
        let mut state = self.state.write();
        state.blocks.extend(written.map(Arc::new));
        state.blocks.sort_by_key(|b| b.min_t);
        for series in &mut state.head {
            series.drop_before(end);
        }
        Ok(count)
    }

    fn copy_head(&self, start: i64, end: i64) -> Vec<HeadCopy> {
        copy(&self.state.read(), start, end)
    }

    /// Replaces the log so far by the head as it is now.
    fn checkpoint(&self) -> Result<(), TsdbError> {
        // Leaves little to flush while the rotation below holds up appends.
        self.sync()?;
        let (rows, number) = {
            let mut state = self.state.write();
            let number = state.wal.number();
            state.wal.rotate()?;
            (copy(&state, i64::MIN, i64::MAX), number)
        };
        write_checkpoint(&*self.fs, &self.dir.join("wal"), number, |append| {
            let (mut payload, mut frame) = (Vec::new(), Vec::new());
            let mut flush = |kind, payload: &mut Vec<u8>| {
                frame.clear();
                put_frame(&mut frame, kind, payload);
                payload.clear();
                append(&frame)
            };
            for row in &rows {
                put_series(&mut payload, row.id, &row.labels);
                if payload.len() > FRAME_SERIES_BYTES_MAX {
                    flush(Kind::Series, &mut payload)?;
                }
            }
            flush(Kind::Series, &mut payload)?;
            let mut points = Vec::new();
            let mut coder = SampleCoder::default();
            for row in &rows {
                points.clear();
                for chunk in &row.sealed {
                    chunk
                        .decode_range(i64::MIN, i64::MAX, &mut points)
                        .expect("chunks in memory were encoded by this process");
                }
                for point in points.iter().chain(&row.open) {
                    coder.put(&mut payload, row.id, *point);
                }
                if payload.len() > FRAME_SERIES_BYTES_MAX {
                    flush(Kind::Samples, &mut payload)?;
                    coder = SampleCoder::default();
                }
            }
            flush(Kind::Samples, &mut payload)
        })
    }

    fn drop_blocks(&self, now_ms: i64, report: &mut MaintainReport) -> Result<(), TsdbError> {
        let oldest_kept = now_ms.saturating_sub(self.options.retention_ms);
        let mut state = self.state.write();
        let mut bytes: u64 = state.blocks.iter().map(|b| b.bytes).sum();
        let bytes_max = self.options.retention_bytes_max.unwrap_or(u64::MAX);
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for block in std::mem::take(&mut state.blocks) {
            if block.is_damaged() || block.max_t < oldest_kept || bytes > bytes_max {
                bytes -= block.bytes;
                gone.push(block);
            } else {
                kept.push(block);
            }
        }
        state.blocks = kept;
        drop(state);
        for block in gone {
            if block.is_damaged() {
                report.quarantined.push(quarantine(&*self.fs, &self.dir, &block.path)?);
            } else {
                self.fs.remove(&block.path).map_err(TsdbError::io("remove", &block.path))?;
            }
            report.blocks_dropped += 1;
        }
        Ok(())
    }

    fn forget_series(&self) -> usize {
        let mut state = self.state.write();
        let state = &mut *state;
        let mut live: Vec<bool> = state.head.iter().map(|s| !s.is_empty()).collect();
        live.resize(state.index.id_end(), false);
        for id in state.blocks.iter().flat_map(|b| b.series_ids()) {
            live[id as usize] = true;
        }
        debug_assert!(state.blocks.iter().all(|b| b.series_ids().all(|id| b.contains(id))));
        state.index.retain(|id| live[id as usize])
    }
}

fn copy(state: &State, start: i64, end: i64) -> Vec<HeadCopy> {
    (0..state.head.len() as SeriesId)
        .filter(|id| state.head[*id as usize].overlaps(start, end))
        .map(|id| {
            let (sealed, open) = state.head[id as usize].slice(start, end);
            HeadCopy { id, labels: state.labels(id), sealed, open }
        })
        .collect()
}
