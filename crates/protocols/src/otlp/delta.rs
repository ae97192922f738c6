//! Deltas added up: a point that tells what happened since the one before becomes one that tells what happened since the
//! beginning, which is what queries take.

use std::collections::HashMap;

use tenfold_types::Histogram;

use crate::batch::AHEAD_MS_MAX;

/// Streams that are added up at one time; points of further ones are refused.
pub const STREAMS_MAX: usize = 100_000;
/// Bytes of all of them: their labels are as long as senders want, and kept while they send.
const STREAM_BYTES_MAX: usize = 256 << 20;
/// What a stream, and each of its labels, takes besides.
const PLACE_BYTES: usize = 64;
/// A stream that was silent for this long begins anew.
const IDLE_MS: i64 = 3_600_000;

/// What is added up.
#[derive(Debug, Clone, PartialEq)]
pub enum Amount {
    Number(f64),
    Histogram(Histogram),
}

#[derive(Debug, Clone)]
struct Stream {
    amount: Amount,
    start_ms: i64,
    last_ms: i64,
    seen_ms: i64,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    #[error("it is not later than the point before it, so that it cannot be added up")]
    OutOfOrder,
    #[error("{STREAMS_MAX} streams of deltas are added up already; send cumulative points, or fewer attributes")]
    TooManyStreams,
    #[error(
        "streams of deltas take {STREAM_BYTES_MAX} bytes already; send cumulative points, or fewer and shorter attributes"
    )]
    TooLarge,
    #[error("its number or sum is not finite")]
    NotFinite,
    #[error("it lies more than ten minutes ahead of this server's clock")]
    TooFarAhead,
}

impl DeltaError {
    pub fn reason(self) -> &'static str {
        match self {
            Self::OutOfOrder => "delta_out_of_order",
            Self::TooManyStreams | Self::TooLarge => "delta_streams",
            Self::NotFinite => "delta_not_finite",
            Self::TooFarAhead => "too_far_ahead",
        }
    }
}

/// All streams of deltas, by the labels of their series.
#[derive(Debug, Default)]
pub struct Deltas {
    streams: HashMap<Vec<(String, String)>, Stream>,
    /// Of all streams.
    bytes: usize,
    tidied_ms: i64,
    /// What streams were before what is not settled yet.
    before: HashMap<Vec<(String, String)>, Option<Stream>>,
}

impl Deltas {
    pub fn len(&self) -> usize {
        self.streams.len()
    }
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Whether something was added that is neither settled nor taken back.
    pub fn is_unsettled(&self) -> bool {
        !self.before.is_empty()
    }

    /// What was added is kept.
    pub fn settle(&mut self) {
        self.before.clear();
    }

    /// What was added since it was last settled could not be kept, and will come again.
    pub fn take_back(&mut self) {
        for (labels, stream) in self.before.drain() {
            match stream {
                Some(stream) => self.streams.insert(labels, stream),
                None => self.streams.remove(&labels),
            };
        }
        self.weigh();
    }

    fn weigh(&mut self) {
        self.bytes = self.streams.values().map(|s| s.bytes).sum();
    }

    /// Adds a delta that covers `start_ms..t_ms`. Gives the sum and when it began.
    pub(super) fn add(
        &mut self,
        labels: &[(String, String)],
        delta: Amount,
        (start_ms, t_ms): (i64, i64),
        now_ms: i64,
    ) -> Result<(Amount, i64), DeltaError> {
        // What is added to it would not be finite ever after.
        if !delta.sum().is_finite() {
            return Err(DeltaError::NotFinite);
        }
        if t_ms > now_ms.saturating_add(AHEAD_MS_MAX) {
            return Err(DeltaError::TooFarAhead);
        }
        if let Some(stream) = self.streams.get_mut(labels) {
            if t_ms <= stream.last_ms {
                return Err(DeltaError::OutOfOrder);
            }
            if !self.before.contains_key(labels) {
                self.before.insert(labels.to_vec(), Some(stream.clone()));
            }
            if !stream.amount.add(&delta) {
                // Other buckets: nothing that was counted can be carried over.
                (stream.amount, stream.start_ms) = (delta, start_ms);
            }
            (stream.last_ms, stream.seen_ms) = (t_ms, now_ms);
            // A histogram takes more as it gets more buckets.
            let bytes = labels_bytes(labels) + stream.amount.bytes();
            self.bytes = (self.bytes + bytes).saturating_sub(stream.bytes);
            stream.bytes = bytes;
            return Ok((stream.amount.clone(), stream.start_ms));
        }
        let bytes = labels_bytes(labels) + delta.bytes();
        let is_full = |all: &Self| all.streams.len() >= STREAMS_MAX || all.bytes + bytes > STREAM_BYTES_MAX;
        if is_full(self) && now_ms - self.tidied_ms > 60_000 {
            self.tidied_ms = now_ms;
            self.streams.retain(|_, s| now_ms - s.seen_ms < IDLE_MS);
            self.weigh();
        }
        if self.streams.len() >= STREAMS_MAX {
            return Err(DeltaError::TooManyStreams);
        }
        if is_full(self) {
            return Err(DeltaError::TooLarge);
        }
        let stream = Stream { amount: delta.clone(), start_ms, last_ms: t_ms, seen_ms: now_ms, bytes };
        self.bytes += bytes;
        self.streams.insert(labels.to_vec(), stream);
        self.before.insert(labels.to_vec(), None);
        Ok((delta, start_ms))
    }
}

fn labels_bytes(labels: &[(String, String)]) -> usize {
    labels.iter().map(|(name, value)| name.len() + value.len() + PLACE_BYTES).sum()
}

impl Amount {
    fn bytes(&self) -> usize {
        let buckets = match self {
            Self::Number(_) => 0,
            Self::Histogram(h) => h.positive.counts.len() + h.negative.counts.len() + h.bounds.len(),
        };
        PLACE_BYTES + buckets * size_of::<f64>()
    }

    fn sum(&self) -> f64 {
        match self {
            Self::Number(n) => *n,
            Self::Histogram(h) => h.sum,
        }
    }

    /// Whether it could be added.
    fn add(&mut self, delta: &Self) -> bool {
        match (&mut *self, delta) {
            (Self::Number(sum), Self::Number(more)) => *sum += more,
            (Self::Histogram(sum), Self::Histogram(more)) => {
                if sum.bounds != more.bounds {
                    return false;
                }
                let Ok((added, _)) = sum.plus(more) else { return false };
                *sum = added;
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenfold_types::histogram::{Buckets, CUSTOM_SCHEMA};

    fn labels(name: &str) -> Vec<(String, String)> {
        vec![("__name__".into(), name.into())]
    }

    #[test]
    fn deltas_add_up_in_their_order() {
        let mut deltas = Deltas::default();
        let mut add = |n, from, to| deltas.add(&labels("a"), Amount::Number(n), (from, to), to);
        assert_eq!(add(2.0, 0, 10), Ok((Amount::Number(2.0), 0)));
        assert_eq!(add(3.0, 10, 20), Ok((Amount::Number(5.0), 0)));
        assert_eq!(add(3.0, 10, 20), Err(DeltaError::OutOfOrder), "the same again is not counted twice");
        assert_eq!(add(f64::NAN, 20, 30), Err(DeltaError::NotFinite));
        assert_eq!(add(1.0, 20, 30), Ok((Amount::Number(6.0), 0)));
    }

    #[test]
    fn one_from_the_future_does_not_end_a_stream() {
        let mut deltas = Deltas::default();
        let mut add = |n, from, to, now| deltas.add(&labels("a"), Amount::Number(n), (from, to), now);
        assert_eq!(add(2.0, 0, 10, 10), Ok((Amount::Number(2.0), 0)));
        // Its clock was a year ahead, until it was set.
        assert_eq!(add(9.0, 10, 31_536_000_000, 20), Err(DeltaError::TooFarAhead));
        assert_eq!(add(3.0, 20, 30, 30), Ok((Amount::Number(5.0), 0)));
    }

    #[test]
    fn what_could_not_be_kept_is_taken_when_it_comes_again() {
        let mut deltas = Deltas::default();
        let add = |deltas: &mut Deltas, n, from, to| deltas.add(&labels("a"), Amount::Number(n), (from, to), to);
        add(&mut deltas, 2.0, 0, 10).unwrap();
        deltas.take_back();
        assert!(deltas.is_empty() && !deltas.is_unsettled());
        add(&mut deltas, 2.0, 0, 10).unwrap();
        deltas.settle();
        add(&mut deltas, 3.0, 10, 20).unwrap();
        add(&mut deltas, 4.0, 20, 30).unwrap();
        deltas.take_back();
        assert_eq!(add(&mut deltas, 3.0, 10, 20), Ok((Amount::Number(5.0), 0)));
    }

    #[test]
    fn a_sum_that_is_not_finite_does_not_stay() {
        let of = |sum| Amount::Histogram(Histogram { count: 1.0, sum, ..Histogram::default() });
        let mut deltas = Deltas::default();
        let mut add = |sum, from, to| deltas.add(&labels("h"), of(sum), (from, to), to);
        add(2.0, 0, 10).unwrap();
        for (sum, to) in [(f64::NAN, 20), (f64::INFINITY, 30)] {
            assert_eq!(add(sum, to - 10, to), Err(DeltaError::NotFinite));
        }
        let Ok((Amount::Histogram(h), _)) = add(3.0, 30, 40) else { panic!("it is taken") };
        assert_eq!((h.count, h.sum), (2.0, 5.0));
    }

    #[test]
    fn histograms_with_other_bounds_begin_anew() {
        let histogram = |bounds: &[f64], count: f64| {
            Amount::Histogram(Histogram {
                schema: CUSTOM_SCHEMA,
                count,
                sum: count,
                positive: Buckets::single(0, vec![count]),
                bounds: bounds.into(),
                ..Histogram::default()
            })
        };
        let mut deltas = Deltas::default();
        let mut add = |h, from, to| deltas.add(&labels("h"), h, (from, to), to).unwrap();
        add(histogram(&[1.0], 2.0), 0, 10);
        assert_eq!(add(histogram(&[1.0], 3.0), 10, 20), (histogram(&[1.0], 5.0), 0));
        assert_eq!(add(histogram(&[2.0], 3.0), 20, 30), (histogram(&[2.0], 3.0), 20));
    }

    #[test]
    fn silent_streams_give_their_place() {
        let mut deltas = Deltas::default();
        for n in 0..STREAMS_MAX {
            deltas.add(&labels(&n.to_string()), Amount::Number(1.0), (0, 1), 0).unwrap();
        }
        let mut late = |now| deltas.add(&labels("late"), Amount::Number(1.0), (0, now), now).map(|_| ());
        assert_eq!(late(IDLE_MS - 1), Err(DeltaError::TooManyStreams));
        assert_eq!(late(IDLE_MS + 60_000), Ok(()));
        assert_eq!(deltas.len(), 1);
    }

    #[test]
    fn streams_are_kept_up_to_their_bytes() {
        let mut deltas = Deltas::default();
        let add = |deltas: &mut Deltas, name: &str, now| {
            deltas.add(&labels(name), Amount::Number(1.0), (0, now), now).map(|_| ())
        };
        assert_eq!(add(&mut deltas, "a", 1), Ok(()));
        deltas.settle();
        let one = deltas.bytes;
        assert_eq!(one, "__name__a".len() + 2 * PLACE_BYTES);
        // As if long ones were there.
        deltas.bytes = STREAM_BYTES_MAX - one + 1;
        assert_eq!(add(&mut deltas, "b", 2), Err(DeltaError::TooLarge));
        assert_eq!(add(&mut deltas, "a", 2), Ok(()), "it has its place");
        deltas.settle();
        assert_eq!(add(&mut deltas, "b", IDLE_MS + 60_001), Ok(()), "silent ones give theirs");
        assert_eq!(deltas.bytes, one);
        deltas.take_back();
        assert_eq!((deltas.len(), deltas.bytes), (0, 0));
    }
}
