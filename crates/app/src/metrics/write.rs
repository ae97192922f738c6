//! Series of a batch into the store.

use tenfold_protocols::batch::{Refused, Series, refuse};
use tenfold_tsdb::Sample;
use tenfold_types::{Fault, Point};

use super::State;
use super::push::Pushed;

impl State {
    /// Writes series. Samples later than `latest_ms` are refused: one from next year would make every sample of its
    /// series until then one that comes too late.
    pub(super) fn write(&self, all: &[Series<'_, '_>], latest_ms: i64) -> Result<Pushed, Fault> {
        self.write_starts(all, latest_ms)?;
        let mut out = Pushed::default();
        let mut samples = Vec::new();
        for series in all {
            let labels = series.owned_labels();
            for point in series.points {
                if point.t_ms > latest_ms {
                    ahead(&mut out.refused, series, point.t_ms);
                } else {
                    samples.push(Sample::new(labels.clone(), point.t_ms, point.value));
                }
            }
            refuse(&mut out.refused, "histogram_not_kept", series.histograms.len(), || {
                format!("{labels}: native histograms are not kept yet")
            });
        }
        let report = self.append(&samples)?;
        out.samples = report.appended;
        for rejected in report.rejected {
            refuse(&mut out.refused, rejected.reason.name(), rejected.count, || rejected.example);
        }
        Ok(out)
    }

    /// A counter was zero when it began, which makes its first increase visible. What is refused here was written before.
    fn write_starts(&self, all: &[Series<'_, '_>], latest_ms: i64) -> Result<(), Fault> {
        let mut starts = Vec::new();
        for series in all {
            let (Some(created_ms), Some(Point { t_ms, .. })) = (series.created_ms, series.points.first()) else {
                continue;
            };
            if created_ms < *t_ms && created_ms <= latest_ms {
                starts.push(Sample::new(series.owned_labels(), created_ms, 0.0));
            }
        }
        if starts.is_empty() { Ok(()) } else { self.append_quietly(&starts) }
    }
}

fn ahead(refused: &mut Vec<Refused>, series: &Series<'_, '_>, t_ms: i64) {
    refuse(refused, "too_far_ahead", 1, || {
        format!("{} at {t_ms} ms lies more than ten minutes ahead of this server's clock", series.owned_labels())
    });
}
