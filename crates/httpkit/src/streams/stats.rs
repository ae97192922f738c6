//! What the streams count of themselves.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets of [`Stats::flips`], in milliseconds; one more bucket takes the rest.
pub const FLIP_BOUNDS_MS: [u64; 9] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000];

#[derive(Default)]
pub(crate) struct Counters {
    pub(super) clients: AtomicUsize,
    pub(super) parked: AtomicUsize,
    pub(super) stalled: AtomicUsize,
    pub(super) refused: AtomicU64,
    pub(super) closed_by_gate: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) bytes: AtomicU64,
    flips: [AtomicU64; FLIP_BOUNDS_MS.len() + 1],
    flip_us: AtomicU64,
}

/// A reading of the counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Streams that are open, parked or not.
    pub clients: usize,
    /// Of these, those whose socket is parked.
    pub parked: usize,
    /// Parked ones with an event that the client does not take.
    pub stalled: usize,
    /// Refused because there were too many.
    pub refused: u64,
    /// Closed because the token was no longer good.
    pub closed_by_gate: u64,
    /// Events sent to the end, to one client each.
    pub events: u64,
    pub bytes: u64,
    /// How long it took from a change until it was written to the last client of a thread that takes it, by
    /// [`FLIP_BOUNDS_MS`], not cumulated.
    pub flips: [u64; FLIP_BOUNDS_MS.len() + 1],
    /// The sum of these times.
    pub flip_us: u64,
}

impl Counters {
    pub(super) fn flip(&self, took: Duration) {
        let ms = took.as_millis() as u64;
        let bucket = FLIP_BOUNDS_MS.iter().position(|bound| ms < *bound).unwrap_or(FLIP_BOUNDS_MS.len());
        self.flips[bucket].fetch_add(1, Ordering::Relaxed);
        self.flip_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            clients: self.clients.load(Ordering::Relaxed),
            parked: self.parked.load(Ordering::Relaxed),
            stalled: self.stalled.load(Ordering::Relaxed),
            refused: read(&self.refused),
            closed_by_gate: read(&self.closed_by_gate),
            events: read(&self.events),
            bytes: read(&self.bytes),
            flips: std::array::from_fn(|i| read(&self.flips[i])),
            flip_us: read(&self.flip_us),
        }
    }
}

impl Stats {
    /// Gives every series: name, labels, value. Names that end in `_total`, `_bucket`, `_sum` or `_count` only rise.
    pub fn each(&self, mut series: impl FnMut(&str, &[(&str, &str)], f64)) {
        series("tenfold_streams_open", &[], self.clients as f64);
        series("tenfold_streams_parked", &[], self.parked as f64);
        series("tenfold_streams_stalled", &[], self.stalled as f64);
        series("tenfold_streams_refused_total", &[], self.refused as f64);
        series("tenfold_streams_shut_total", &[("reason", "token")], self.closed_by_gate as f64);
        series("tenfold_streams_events_total", &[], self.events as f64);
        series("tenfold_streams_sent_bytes_total", &[], self.bytes as f64);
        let mut below = 0;
        for (i, count) in self.flips.iter().enumerate() {
            below += count;
            let bound = FLIP_BOUNDS_MS.get(i).map_or_else(|| "+Inf".to_owned(), |ms| (*ms as f64 / 1e3).to_string());
            series("tenfold_stream_flip_seconds_bucket", &[("le", &bound)], below as f64);
        }
        series("tenfold_stream_flip_seconds_sum", &[], self.flip_us as f64 / 1e6);
        series("tenfold_stream_flip_seconds_count", &[], below as f64);
    }
}
