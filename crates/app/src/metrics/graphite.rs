//! Graphite points become series: the path through the templates, the tags as labels.

use tenfold_protocols::batch::{Batch, TooMuch};
use tenfold_protocols::graphite::GraphitePoint;
use tenfold_protocols::otlp::label_name;
use tenfold_types::{ErrorCode, Fault, Labels, Point, Timestamp};

use super::push::{PushFault, Pushed, Source};

/// What could not be read of a piece that came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BadLines {
    pub count: usize,
    /// Why the first is bad.
    pub example: String,
}

impl super::State {
    /// Takes in points of Graphite's protocols; those without a time are of now.
    pub fn push_graphite(
        &self,
        source: &Source,
        points: &[GraphitePoint],
        bad: &BadLines,
        now: Timestamp,
    ) -> Result<Pushed, PushFault> {
        let labels: Vec<Vec<(String, String)>> = points.iter().map(|p| self.graphite_labels(p)).collect();
        let batch = batch(points, &labels, bad, now)
            .map_err(|e| PushFault { fault: Fault::new(ErrorCode::TooLarge, e.to_string()), retry_after_s: None })?;
        self.push(source, &batch, now)
    }

    fn graphite_labels(&self, point: &GraphitePoint) -> Vec<(String, String)> {
        let (name, mut labels) = self.graphite_templates.apply(&point.path);
        for (tag, value) in &point.tags {
            let tag = label_name(tag);
            // A tag that was sent says more than one that a template made.
            labels.retain(|(n, _)| *n != tag);
            labels.push((tag, value.clone()));
        }
        labels.retain(|(n, _)| n != Labels::NAME);
        labels.push((Labels::NAME.to_owned(), name));
        labels
    }
}

fn batch<'l>(
    points: &[GraphitePoint],
    labels: &'l [Vec<(String, String)>],
    bad: &BadLines,
    now: Timestamp,
) -> Result<Batch<'l>, TooMuch> {
    let mut batch = Batch::default();
    batch.refuse("bad_line", bad.count, || bad.example.clone());
    // "Not a number" is how senders say that there is none; carbon leaves it out as well.
    for (point, labels) in points.iter().zip(labels).filter(|(point, _)| !point.value.is_nan()) {
        for (name, value) in labels {
            batch.label(name, value)?;
        }
        batch.point(Point::new(point.t_ms.unwrap_or_else(|| now.millis()), point.value))?;
        batch.end()?;
    }
    Ok(batch)
}
