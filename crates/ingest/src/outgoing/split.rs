//! A request that was refused as a whole, in halves: so that one bad sample costs its own series, and not everybody's.

use tenfold_protocols::wire::{Fields, Value, WireError};
use tenfold_protocols::wire_out::Writer;

/// How often what waits is halved while none of it is taken: where everything is bad, all of it is soon known to be.
pub(super) const HALVINGS_IN_VAIN_MAX: usize = 100;
/// How often it is halved in all.
pub(super) const HALVINGS_MAX: usize = 1_000;
/// Series in a `WriteRequest`, samples and histograms in a series.
const SERIES_FIELD: u32 = 1;
const SAMPLE_FIELDS: [u32; 2] = [2, 4];

/// Series that are sent together, as a `WriteRequest`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Part {
    pub body: Vec<u8>,
    /// Float samples and histograms.
    pub samples: u64,
}

impl Part {
    /// The first and the second half of the series, in their order; nothing when there is one alone.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        let all = series(&self.body).ok().filter(|all| all.len() > 1)?;
        let (first, second) = all.split_at(all.len() / 2);
        Some((Self::of(first), Self::of(second)))
    }

    fn of(series: &[&[u8]]) -> Self {
        let mut body = Writer::default();
        for one in series {
            body.bytes(SERIES_FIELD, one);
        }
        Self { body: body.into_bytes(), samples: series.iter().map(|one| samples(one)).sum() }
    }
}

fn series(body: &[u8]) -> Result<Vec<&[u8]>, WireError> {
    let (mut fields, mut all) = (Fields::new(body), Vec::new());
    while let Some((field, value)) = fields.read()? {
        if let (SERIES_FIELD, Value::Bytes(one)) = (field, value) {
            all.push(one);
        }
    }
    Ok(all)
}

fn samples(series: &[u8]) -> u64 {
    let (mut fields, mut count) = (Fields::new(series), 0);
    while let Ok(Some((field, _))) = fields.read() {
        count += u64::from(SAMPLE_FIELDS.contains(&field));
    }
    count
}

#[cfg(test)]
mod tests {
    use tenfold_protocols::remote_write::{Outgoing, Version, decode, put_series};
    use tenfold_types::{Histogram, HistogramPoint, Point};

    use super::*;

    #[test]
    fn halves_hold_all_series_in_their_order() {
        let points = [Point::new(1_000, 1.0), Point::new(2_000, 2.0)];
        let histograms = [HistogramPoint { t_ms: 3_000, histogram: Histogram::default().into() }];
        let mut body = Writer::default();
        for name in ["a", "b", "c"] {
            let series = Outgoing { labels: &[("__name__", name)], points: &points, ..Outgoing::default() };
            put_series(&mut body, &Outgoing { histograms: &histograms, created_ms: Some(500), ..series });
        }
        let whole = Part { body: body.into_bytes(), samples: 9 };
        let (first, second) = whole.halves().expect("two");
        assert_eq!((first.samples, second.samples), (3, 6));
        assert_eq!([&first.body[..], &second.body].concat(), whole.body, "nothing is lost of a series");
        let names = |part: &Part| -> Vec<String> {
            let read = decode(&part.body, Version::V1).expect("a message");
            read.batch.series().map(|s| s.labels[0].1.to_owned()).collect()
        };
        assert_eq!((names(&first), names(&second)), (vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]));
        assert_eq!(first.halves(), None, "one series is not taken apart");
        assert_eq!(Part { body: vec![0xff], samples: 1 }.halves(), None, "no message");
    }
}
