//! Backfill: samples of old time, in any order, put into blocks of their own beside those there are.
//!
//! Blocks may overlap; the next maintenance merges them. Of two samples at one instant the one that was there first stays,
//! unless it was deleted since: so wrong samples are corrected.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering},
};

use tenfold_types::{Exemplar, HistogramPoint, Point};

use crate::{
    block::BlockWriter,
    db::{State, Tsdb},
    error::TsdbError,
    maintain::{CUT_LEVEL, LOCKED_SERIES_MAX, MaintainReport},
    options::{AppendReport, INSTANT_MS_MAX, Options, Reason, SeriesWrite, exemplar_fits},
    postings::SeriesId,
    symbols::Symbol,
    write::{explain, id_of},
};

/// What one block gets of one series.
#[derive(Default)]
struct Part {
    floats: Vec<Point>,
    histograms: Vec<HistogramPoint>,
    exemplars: Vec<Exemplar>,
}

type Parts = HashMap<SeriesId, Part>;

/// Where samples go.
struct Places<'o> {
    windows: BTreeMap<i64, Parts>,
    /// What of the present series is newer than all blocks.
    later: Part,
    closed: i64,
    oldest: i64,
    options: &'o Options,
}

impl Places<'_> {
    fn of(&mut self, id: SeriesId, t_ms: i64, report: &mut AppendReport) -> Option<&mut Part> {
        if t_ms >= self.closed {
            return Some(&mut self.later);
        }
        let o = self.options;
        if t_ms < self.oldest {
            report.reject(Reason::TooOld, 1, || {
                format!("a sample at {t_ms} ms is older than the retention of {} ms", o.retention_ms)
            });
            return None;
        }
        let start = t_ms.div_euclid(o.block_ms) * o.block_ms;
        Some(self.windows.entry(start).or_default().entry(id).or_default())
    }
}

impl Tsdb {
    /// Takes samples of old time in. What lies in time that is not cut into blocks yet (the newest few hours before `now_ms`)
    /// goes the way of samples that come late, however late it is: whoever imports knows that. When this returns the samples
    /// survive a power cut.
    pub fn import(&self, batch: &[SeriesWrite<'_>], now_ms: i64) -> Result<AppendReport, TsdbError> {
        if self.fenced.load(Ordering::Acquire) {
            return Err(TsdbError::Fenced);
        }
        self.fencing(self.import_all(batch, now_ms))
    }

    fn import_all(&self, batch: &[SeriesWrite<'_>], now_ms: i64) -> Result<AppendReport, TsdbError> {
        // Neither blocks nor series change hands meanwhile.
        let one_at_a_time = self.maintenance.lock();
        let base = self.base.lock();
        let closed = self.close_old_time(now_ms)?;
        let mut report = AppendReport::default();
        let mut newer = Vec::new();
        let windows = self.sort_out(batch, closed, now_ms, &mut report, &mut newer);
        self.make_again(windows.keys().copied())?;
        for (start, parts) in windows {
            // Never beyond closed time, also where blocks had another length once.
            self.write_imported((start, (start + self.options.block_ms).min(closed)), parts)?;
        }
        self.checkpoint_due.store(true, Ordering::Relaxed);
        drop((base, one_at_a_time));
        if !newer.is_empty() {
            let writes: Vec<_> = newer
                .iter()
                .map(|(labels, part): &(&[(&str, &str)], Part)| SeriesWrite {
                    labels,
                    points: &part.floats,
                    histograms: &part.histograms,
                    exemplars: &part.exemplars,
                    created_ms: None,
                })
                .collect();
            let more = self.write_however_late(&writes)?;
            report.appended += more.appended;
            report.new_series += more.new_series;
            for r in more.rejected {
                // As everywhere else in an import: the one that was there first stays, and the same may be sent again.
                if r.reason == Reason::Duplicate {
                    report.appended += r.count;
                    continue;
                }
                report.reject(r.reason, r.count, || r.example);
            }
            self.sync()?;
        }
        Ok(report)
    }

    /// Cuts all time that may be cut; before the returned instant there are blocks alone.
    fn close_old_time(&self, now_ms: i64) -> Result<i64, TsdbError> {
        let block = self.options.block_ms;
        let closed = now_ms.saturating_sub(block / 2).div_euclid(block) * block;
        {
            // Before anything is cut: what came in order meanwhile would lie before the end of blocks, where a start looks
            // for nothing in the log.
            let mut state = self.state.write();
            state.min_valid_t = state.min_valid_t.max(closed);
        }
        self.cut_closed(now_ms, false, &mut MaintainReport::default())?;
        Ok(self.state.read().min_valid_t)
    }

    /// By block, and by series within; what is newer than all blocks apart.
    fn sort_out<'b>(
        &self,
        batch: &'b [SeriesWrite<'_>],
        closed: i64,
        now_ms: i64,
        report: &mut AppendReport,
        newer: &mut Vec<(&'b [(&'b str, &'b str)], Part)>,
    ) -> BTreeMap<i64, Parts> {
        let o = &self.options;
        let oldest = now_ms.saturating_sub(o.retention_ms).max(-INSTANT_MS_MAX);
        let mut places = Places { windows: BTreeMap::new(), later: Part::default(), closed, oldest, options: o };
        for some in batch.chunks(LOCKED_SERIES_MAX) {
            let mut state = self.state.write();
            for series in some {
                let count = series.points.len() + series.histograms.len() + series.exemplars.len();
                let id = match id_of(&mut state, o, series.labels, report) {
                    Ok(id) => id,
                    Err(reason) => {
                        report.reject(reason, count, || explain(reason, series.labels, 0, o));
                        continue;
                    }
                };
                // In memory nothing tells a sample from what was deleted at its instant: it would never be seen.
                let deleted = state.tombstones.get(&id).map_or(&[][..], Vec::as_slice);
                let gone = |t: i64| t >= closed && deleted.iter().any(|d| (d.start..=d.end).contains(&t));
                for p in series.points {
                    if gone(p.t_ms) {
                        report.reject(Reason::Deleted, 1, || explain(Reason::Deleted, series.labels, p.t_ms, o));
                    } else if let Some(part) = places.of(id, p.t_ms, report) {
                        part.floats.push(*p);
                    }
                }
                for h in series.histograms {
                    let reason = Reason::BadHistogram;
                    if !h.histogram.is_stale() && h.histogram.validate().is_err() {
                        report.reject(reason, 1, || explain(reason, series.labels, h.t_ms, o));
                    } else if gone(h.t_ms) {
                        report.reject(Reason::Deleted, 1, || explain(Reason::Deleted, series.labels, h.t_ms, o));
                    } else if let Some(part) = places.of(id, h.t_ms, report) {
                        part.histograms.push(h.clone());
                    }
                }
                for e in series.exemplars {
                    if !exemplar_fits(e) {
                        let reason = Reason::ExemplarTooLong;
                        report.reject(reason, 1, || explain(reason, series.labels, e.t_ms, o));
                    } else if let Some(part) = places.of(id, e.t_ms, report) {
                        part.exemplars.push(e.clone());
                    }
                }
                let later = std::mem::take(&mut places.later);
                if !later.floats.is_empty() || !later.histograms.is_empty() || !later.exemplars.is_empty() {
                    newer.push((series.labels, later));
                }
            }
        }
        for part in places.windows.values_mut().flat_map(HashMap::values_mut) {
            part.settle();
            report.appended += part.floats.len() + part.histograms.len() + part.exemplars.len();
        }
        places.windows
    }

    fn write_imported(&self, span: (i64, i64), mut parts: Parts) -> Result<(), TsdbError> {
        let number = self.next_block.fetch_add(1, Ordering::Relaxed);
        let dir = self.dir.join("blocks");
        let mut order: Vec<(Symbol, SeriesId)> = {
            let state = self.state.read();
            parts.keys().map(|id| state.index.block_order(*id)).collect()
        };
        order.sort_unstable();
        let mut writer = BlockWriter::create(&*self.fs, &dir, span, number, CUT_LEVEL)?;
        for (_, id) in order {
            let Some(part) = parts.remove(&id) else { continue };
            if let Err(e) = writer.add(id, &part.floats, &part.histograms) {
                writer.abandon()?;
                return Err(e);
            }
            for e in &part.exemplars {
                writer.add_exemplar(id, e);
            }
        }
        self.put_labels(&mut writer);
        let Some(block) = writer.finish(&[])? else { return Ok(()) };
        let mut state = self.state.write();
        state.max_t = state.max_t.max(block.meta.max_t);
        state.take_block(Arc::new(block));
        Ok(())
    }
}

impl Part {
    /// In order, one sample at an instant: the last of those that were sent.
    fn settle(&mut self) {
        fn settle<T>(list: &mut Vec<T>, t: impl Fn(&T) -> i64) {
            list.reverse();
            list.sort_by_key(&t);
            list.dedup_by_key(|x| t(x));
        }
        settle(&mut self.floats, |p| p.t_ms);
        settle(&mut self.histograms, |h| h.t_ms);
        let floats = &self.floats;
        self.histograms.retain(|h| floats.binary_search_by_key(&h.t_ms, |p| p.t_ms).is_err());
        self.exemplars.sort_by_key(|e| e.t_ms);
    }
}

impl State {
    pub(crate) fn take_block(&mut self, block: Arc<crate::block::Block>) {
        self.blocks.push(block);
        self.blocks.sort_by_key(|b| (b.meta.min_t, b.meta.number));
    }
}
