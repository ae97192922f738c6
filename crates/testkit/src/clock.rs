//! A clock that stands still until it is moved.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tenfold_types::{Clock, Timestamp};

/// Stands still until moved. Clones show the same time.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// Stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.millis())))
    }

    /// Stands at an RFC 3339 instant.
    pub fn at_text(start: &str) -> Self {
        Self::at(Timestamp::parse_rfc3339(start).expect("the test gives an RFC 3339 instant"))
    }

    /// Moves on by milliseconds (back, when negative) and returns the new time.
    pub fn advance_ms(&self, ms: i64) -> Timestamp {
        Timestamp(self.0.fetch_add(ms, Ordering::SeqCst) + ms)
    }

    /// Moves on by minutes and returns the new time.
    pub fn advance_minutes(&self, minutes: i64) -> Timestamp {
        self.advance_ms(minutes * 60_000)
    }

    /// Jumps to an instant.
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.millis(), Ordering::SeqCst);
    }
}

/// A Monday in November, so that on-call tests have a whole week ahead: 2026-11-23T09:00:00Z.
impl Default for TestClock {
    fn default() -> Self {
        Self::at(Timestamp(1_795_424_400_000))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// The machine's clock, for tests beside real processes, which cannot be given another.
#[derive(Debug, Clone, Copy)]
pub struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "real processes run in real time")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
        Timestamp(i64::try_from(since.as_millis()).expect("it is before the year 292 million"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_move_together() {
        let clock = TestClock::default();
        assert_eq!(clock.now().to_string(), "2026-11-23T09:00:00.000Z");
        let other = clock.clone();
        clock.advance_minutes(5);
        assert_eq!(other.now().to_string(), "2026-11-23T09:05:00.000Z");
    }
}
