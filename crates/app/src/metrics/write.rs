//! Series of a batch into the store.

use std::borrow::Cow;

use tenfold_protocols::batch::{Batch, Refused, Series, refuse};
use tenfold_tsdb::{SeriesWrite, Tsdb, TsdbError};
use tenfold_types::{Exemplar, Fault, Histogram, HistogramPoint, Labels, Matcher, Point};

use super::admin::{ImportRefused, Imported};
use super::page::START_AGE_MS_MAX;
use super::push::Pushed;
use super::{AHEAD_MS_MAX, State};

/// Starts that are written, and sent on, together.
const STARTS_TOGETHER: usize = 256;

impl State {
    /// Writes series. Samples later than `latest_ms` are refused: one from next year would make every sample of its
    /// series until then one that comes too late.
    pub(super) fn write(&self, all: &[Series<'_, '_>], latest_ms: i64) -> Result<Pushed, Fault> {
        self.write_starts(all, latest_ms)?;
        let mut out = Pushed::default();
        let parts = parts(all, latest_ms, &mut out.refused);
        let whole = whole(all, &parts);
        if self.is_remote {
            out.samples = whole.iter().map(|w| w.points.len()).sum();
            out.histograms = whole.iter().map(|w| w.histograms.len()).sum();
            out.exemplars = whole.iter().map(|w| w.exemplars.len()).sum();
            if !whole.is_empty() {
                self.hand_over(&whole)?;
                self.own.add("tenfold_samples_appended_total", &[], (out.samples + out.histograms) as f64);
            }
            return Ok(out);
        }
        // Each kind apart, so that what was taken is known of each.
        let floats: Vec<_> = whole
            .iter()
            .filter(|w| !w.points.is_empty())
            .map(|w| SeriesWrite { histograms: &[], exemplars: &[], ..*w })
            .collect();
        let histograms: Vec<_> = whole
            .iter()
            .filter(|w| !w.histograms.is_empty())
            .map(|w| SeriesWrite { points: &[], exemplars: &[], ..*w })
            .collect();
        let with_exemplars: Vec<_> = whole
            .iter()
            .filter(|w| !w.exemplars.is_empty())
            .map(|w| SeriesWrite { points: &[], histograms: &[], ..*w })
            .collect();
        out.samples = self.write_counted(&floats, &mut out.refused)?;
        let histograms = self.write_counted(&histograms, &mut out.refused);
        let rest = histograms.and_then(|h| Ok((h, self.write_counted(&with_exemplars, &mut out.refused)?)));
        // Together, so that receivers get exemplars with what they are of; also when the store stopped in between.
        self.forward(&whole);
        (out.histograms, out.exemplars) = rest?;
        Ok(out)
    }

    fn write_counted(&self, writes: &[SeriesWrite<'_>], refused: &mut Vec<Refused>) -> Result<usize, Fault> {
        if writes.is_empty() {
            return Ok(0);
        }
        // Exemplars are no samples: a source whose samples were all taken is not told of a failure, as in Prometheus.
        let exemplars = writes.iter().all(|w| w.points.is_empty() && w.histograms.is_empty());
        let report = self.tsdb.write(writes);
        if exemplars {
            let report = self.in_store(report)?;
            for rejected in &report.rejected {
                let labels = [("reason", rejected.reason.name())];
                self.own.add("tenfold_exemplars_rejected_total", &labels, rejected.count as f64);
            }
            return Ok(report.appended);
        }
        let report = self.counted(report)?;
        self.arrived.note(super::arrived::names(writes));
        for rejected in report.rejected {
            refuse(refused, rejected.reason.name(), rejected.count, || rejected.example);
        }
        Ok(report.appended)
    }

    /// A counter was zero when it began, which makes its first increase visible. What is refused here was written before.
    fn write_starts(&self, all: &[Series<'_, '_>], latest_ms: i64) -> Result<(), Fault> {
        let starts: Vec<_> = all.iter().filter_map(|s| start(s, latest_ms).map(|start| (s.labels, start))).collect();
        let writes: Vec<_> = starts
            .iter()
            .map(|(labels, (point, histogram))| SeriesWrite {
                labels,
                points: point.as_slice(),
                histograms: histogram.as_slice(),
                ..SeriesWrite::default()
            })
            .collect();
        if writes.is_empty() {
            return Ok(());
        }
        if self.is_remote {
            // Nobody here knows what the cluster has: after a start of the server all starts come once more, and a cluster
            // may refuse whole requests for what is long past.
            let oldest_ms = latest_ms - AHEAD_MS_MAX - START_AGE_MS_MAX;
            let young: Vec<_> = writes.into_iter().filter(|w| start_ms(w).is_some_and(|t| t >= oldest_ms)).collect();
            return if young.is_empty() { Ok(()) } else { self.hand_over(&young) };
        }
        for some in writes.chunks(STARTS_TOGETHER) {
            // After a start of the server they come once more, and receivers have them as well.
            let is_asked = self.forwarder.get().is_some();
            let news: Vec<_> = some.iter().filter(|w| is_asked && !self.has_start(w)).copied().collect();
            self.in_store(self.tsdb.write(some))?;
            // What lies too far back was refused.
            let taken: Vec<_> = news.into_iter().filter(|w| self.has_start(w)).collect();
            if !taken.is_empty() {
                self.forward(&taken);
            }
        }
        Ok(())
    }

    /// Whether the store has the sample of a start.
    fn has_start(&self, write: &SeriesWrite<'_>) -> bool {
        let Some(t_ms) = start_ms(write) else { return false };
        let matchers: Vec<_> = write.labels.iter().map(|(name, value)| Matcher::equal(*name, *value)).collect();
        // Series with more labels match as well.
        let found = self.tsdb.select(&matchers, t_ms, t_ms).unwrap_or_default();
        found.iter().filter(|series| series.labels.iter().eq(write.labels.iter().copied())).any(|series| {
            let (mut floats, mut histograms) = (Vec::new(), Vec::new());
            series.chunks.read_all(&mut floats, &mut histograms).is_ok() && floats.len() + histograms.len() > 0
        })
    }
}

/// Old samples of a batch into the store.
pub(super) fn import(tsdb: &Tsdb, batch: &Batch<'_>, now_ms: i64, latest_ms: i64) -> Result<Imported, TsdbError> {
    let mut refused = batch.refused().to_vec();
    let all: Vec<_> = batch.series().collect();
    let parts = parts(&all, latest_ms, &mut refused);
    let report = tsdb.import(&whole(&all, &parts), now_ms)?;
    for rejected in report.rejected {
        refuse(&mut refused, rejected.reason.name(), rejected.count, || rejected.example);
    }
    let row = |r: Refused| ImportRefused { reason: r.reason.to_owned(), count: r.count, example: r.example };
    let refused = refused.into_iter().map(row).collect();
    Ok(Imported { samples: report.appended, new_series: report.new_series, refused })
}

/// What a series brings that does not lie ahead of the clock.
type Parts<'a> = (Cow<'a, [Point]>, Cow<'a, [HistogramPoint]>, Vec<Exemplar>);

fn parts<'a>(all: &[Series<'a, '_>], latest_ms: i64, refused: &mut Vec<Refused>) -> Vec<Parts<'a>> {
    let each = |s: &Series<'a, '_>| {
        let points = in_time(s, s.points, |p| p.t_ms, latest_ms, refused);
        let histograms = in_time(s, s.histograms, |h| h.t_ms, latest_ms, refused);
        (points, histograms, exemplars(s, latest_ms))
    };
    all.iter().map(each).collect()
}

/// The series that bring anything.
fn whole<'a>(all: &[Series<'a, '_>], parts: &'a [Parts<'_>]) -> Vec<SeriesWrite<'a>> {
    let write = |(s, (points, histograms, exemplars)): (&Series<'a, '_>, &'a Parts<'_>)| SeriesWrite {
        labels: s.labels,
        points,
        histograms,
        exemplars,
        created_ms: s.created_ms,
    };
    let brings = |w: &SeriesWrite<'_>| !w.points.is_empty() || !w.histograms.is_empty() || !w.exemplars.is_empty();
    all.iter().zip(parts).map(write).filter(brings).collect()
}

/// The zero with which a series began, of its own kind.
fn start(series: &Series<'_, '_>, latest_ms: i64) -> Option<(Option<Point>, Option<HistogramPoint>)> {
    let t_ms = series.created_ms.filter(|t| !series.start_is_known && *t <= latest_ms)?;
    let point = series.points.first().filter(|p| t_ms < p.t_ms).map(|_| Point::new(t_ms, 0.0));
    let histogram = series.histograms.first().filter(|h| t_ms < h.t_ms).map(|h| {
        let h = &h.histogram;
        let empty = Histogram {
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            bounds: h.bounds.clone(),
            ..Histogram::default()
        };
        HistogramPoint { t_ms, histogram: empty.into() }
    });
    (point.is_some() || histogram.is_some()).then_some((point, histogram))
}

/// When it was, of the write of a start.
fn start_ms(write: &SeriesWrite<'_>) -> Option<i64> {
    write.points.first().map(|p| p.t_ms).or_else(|| write.histograms.first().map(|h| h.t_ms))
}

/// Samples that do not lie ahead of the clock; mostly all of them, as they are.
fn in_time<'a, T: Clone>(
    series: &Series<'_, '_>,
    all: &'a [T],
    t_ms: impl Fn(&T) -> i64,
    latest_ms: i64,
    refused: &mut Vec<Refused>,
) -> Cow<'a, [T]> {
    let Some(first) = all.iter().find(|one| t_ms(one) > latest_ms) else { return all.into() };
    let kept: Vec<T> = all.iter().filter(|one| t_ms(one) <= latest_ms).cloned().collect();
    refuse(refused, "too_far_ahead", all.len() - kept.len(), || {
        format!(
            "{} at {} ms lies more than ten minutes ahead of this server's clock",
            series.owned_labels(),
            t_ms(first)
        )
    });
    kept.into()
}

/// Owned, as the store keeps them. One without a time of its own has that of the newest sample.
fn exemplars(series: &Series<'_, '_>, latest_ms: i64) -> Vec<Exemplar> {
    let newest = series.points.last().map(|p| p.t_ms).max(series.histograms.last().map(|h| h.t_ms));
    series
        .exemplars
        .iter()
        .filter_map(|e| {
            let t_ms = e.t_ms.or(newest).filter(|t| *t <= latest_ms)?;
            Some(Exemplar { labels: Labels::from_pairs(e.labels.iter().copied()), t_ms, value: e.value })
        })
        .collect()
}
