//! When to ask the server, and how: stream where it works, poll where it does not, wait longer after each failure.
//!
//! Pure: instants (since the start) and random numbers are parameters.

use std::time::Duration;

use tenfold_types::RETRY_AFTER_MS_MAX;

/// After a server that has no stream said so, this long until it is asked for one again.
const NO_STREAM: Duration = Duration::from_mins(10);
/// A server cannot send clients away for longer than this.
const RETRY_AFTER_MAX: Duration = Duration::from_millis(RETRY_AFTER_MS_MAX.unsigned_abs());
/// So many streams in a row must fail before polling begins.
const STREAM_FAILURES_BEFORE_POLLING: u32 = 2;
/// How much waiting times are spread, so that clients do not come back all at once: down to half.
const SPREAD: f64 = 0.5;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) streaming: bool,
    pub(crate) poll_interval: Duration,
    pub(crate) backoff_min: Duration,
    pub(crate) backoff_max: Duration,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Stream,
    Poll,
    Wait(Duration),
}

/// Why a stream or a poll did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Not reached, broken off, a server error; the server may have named a time.
    Transient { retry_after: Option<Duration> },
    /// 401 or 403.
    Refused,
    /// This server has no stream.
    NoStream,
}

#[derive(Debug)]
pub(crate) struct Pace {
    limits: Limits,
    /// The server's `retry:` field.
    retry: Option<Duration>,
    stream_failures: u32,
    poll_failures: u32,
    stream_at: Option<Duration>,
    poll_at: Option<Duration>,
}

impl Pace {
    pub(crate) fn new(limits: Limits) -> Self {
        let (stream_at, poll_at) =
            if limits.streaming { (Some(Duration::ZERO), None) } else { (None, Some(Duration::ZERO)) };
        Self { limits, retry: None, stream_failures: 0, poll_failures: 0, stream_at, poll_at }
    }

    pub(crate) fn next(&self, now: Duration) -> Next {
        match (self.stream_at, self.poll_at) {
            (Some(stream), _) if stream <= now => Next::Stream,
            (_, Some(poll)) if poll <= now => Next::Poll,
            (stream, poll) => {
                let at = [stream, poll].into_iter().flatten().min();
                Next::Wait(at.map_or(self.limits.backoff_max, |at| at.saturating_sub(now)))
            }
        }
    }

    /// Definitions arrived by a stream: no polling while it stands.
    pub(crate) fn stream_delivers(&mut self) {
        self.poll_at = None;
        self.poll_failures = 0;
    }

    pub(crate) fn server_retry(&mut self, retry: Duration) {
        self.retry = Some(retry.clamp(self.limits.backoff_min, self.limits.backoff_max));
    }

    /// A stream could not be opened, or ended after it `lived`. Returns the wait until the next try of any kind.
    pub(crate) fn stream_ended(&mut self, now: Duration, lived: Duration, why: Failure, random: f64) -> Duration {
        // One that lived proves that streams work; one that is closed at once must not be hammered.
        self.stream_failures =
            if lived >= self.limits.backoff_max { 1 } else { self.stream_failures.saturating_add(1) };
        self.stream_at = Some(now + self.wait(self.stream_failures, why, random));
        let poll = match why {
            Failure::NoStream => true,
            Failure::Refused => false,
            Failure::Transient { .. } => self.stream_failures >= STREAM_FAILURES_BEFORE_POLLING,
        };
        if poll && self.poll_at.is_none() {
            self.poll_at = Some(now);
        }
        self.until_next(now)
    }

    /// Returns the wait until the next try of any kind.
    pub(crate) fn polled(&mut self, now: Duration, outcome: Result<(), Failure>, random: f64) -> Duration {
        self.poll_at = Some(match outcome {
            Ok(()) => {
                self.poll_failures = 0;
                now + spread(self.limits.poll_interval, random)
            }
            Err(why) => {
                self.poll_failures = self.poll_failures.saturating_add(1);
                let wait = self.wait(self.poll_failures, why, random);
                // Whoever is sent away is sent away from both.
                if let (Failure::Transient { retry_after: Some(_) }, Some(at)) = (why, self.stream_at) {
                    self.stream_at = Some(at.max(now + wait));
                }
                now + wait
            }
        });
        self.until_next(now)
    }

    fn until_next(&self, now: Duration) -> Duration {
        match self.next(now) {
            Next::Wait(wait) => wait,
            Next::Stream | Next::Poll => Duration::ZERO,
        }
    }

    fn wait(&self, failures: u32, why: Failure, random: f64) -> Duration {
        let Limits { backoff_min, backoff_max, .. } = self.limits;
        let base = self.retry.unwrap_or(backoff_min);
        let grown = base.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(backoff_max);
        match why {
            Failure::NoStream => spread(NO_STREAM, random),
            Failure::Refused => spread(backoff_max, random),
            Failure::Transient { retry_after: None } => spread(grown, random),
            // Never earlier than asked; spread upwards.
            Failure::Transient { retry_after: Some(asked) } => {
                asked.min(RETRY_AFTER_MAX) + grown.mul_f64(SPREAD * random.clamp(0.0, 1.0))
            }
        }
    }
}

fn spread(wait: Duration, random: f64) -> Duration {
    wait.mul_f64(1.0 - SPREAD * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }
    const LIMITS: Limits = Limits { streaming: true, poll_interval: s(15), backoff_min: s(1), backoff_max: s(30) };
    const LOST: Failure = Failure::Transient { retry_after: None };

    #[test]
    fn a_stream_first_then_both_with_growing_waits() {
        let mut pace = Pace::new(LIMITS);
        assert_eq!(pace.next(s(0)), Next::Stream);
        assert_eq!(pace.stream_ended(s(0), s(0), LOST, 0.0), s(1));
        assert_eq!(pace.next(s(0)), Next::Wait(s(1)));
        assert_eq!(pace.next(s(1)), Next::Stream);
        assert_eq!(pace.stream_ended(s(1), s(0), LOST, 0.0), s(0), "polling begins at once");
        assert_eq!(pace.next(s(1)), Next::Poll);
        pace.polled(s(1), Err(LOST), 0.0);
        assert_eq!(pace.next(s(2)), Next::Poll);
        pace.polled(s(2), Ok(()), 0.0);
        assert_eq!(pace.next(s(3)), Next::Stream);
        pace.stream_ended(s(3), s(0), LOST, 0.0);
        assert_eq!(pace.stream_at, Some(s(7)), "4 s after the third failure");
        for _ in 0..40 {
            pace.stream_ended(s(100), s(0), LOST, 0.0);
        }
        assert_eq!(pace.stream_at, Some(s(130)), "never longer than the limit");
    }

    #[test]
    fn a_stream_that_delivers_ends_polling() {
        let mut pace = Pace::new(LIMITS);
        pace.stream_ended(s(0), s(0), LOST, 0.0);
        pace.stream_ended(s(1), s(0), LOST, 0.0);
        pace.stream_delivers();
        assert_eq!(pace.stream_ended(s(100), s(90), LOST, 0.0), s(1), "it lived: the wait begins anew");
        assert_eq!(pace.next(s(100)), Next::Wait(s(1)));
    }

    #[test]
    fn a_stream_that_is_closed_at_once_is_not_hammered() {
        let mut pace = Pace::new(LIMITS);
        let mut now = s(0);
        for _ in 0..10 {
            pace.stream_delivers();
            pace.stream_ended(now, s(0), LOST, 0.0);
            now = pace.stream_at.unwrap();
        }
        assert!(now > s(100), "ten tries took {now:?}");
    }

    #[test]
    fn a_server_without_streams_is_polled() {
        let mut pace = Pace::new(LIMITS);
        pace.stream_ended(s(0), s(0), Failure::NoStream, 0.0);
        assert_eq!(pace.next(s(0)), Next::Poll);
        assert_eq!(pace.polled(s(0), Ok(()), 1.0), Duration::from_millis(7_500), "spread down to half");
        assert_eq!(pace.next(s(599)), Next::Poll);
        assert_eq!(pace.next(s(600)), Next::Stream);
    }

    #[test]
    fn retry_after_is_a_floor() {
        let retry_after = Some(s(20));
        for random in [0.0, 0.5, 1.0] {
            let mut pace = Pace::new(LIMITS);
            let wait = pace.stream_ended(s(0), s(0), Failure::Transient { retry_after }, random);
            assert!((s(20)..=s(21)).contains(&wait), "{wait:?}");
            pace.polled(s(0), Err(Failure::Transient { retry_after: Some(s(100_000)) }), random);
            assert!(pace.stream_at.unwrap() >= RETRY_AFTER_MAX && pace.stream_at.unwrap() < RETRY_AFTER_MAX + s(30));
        }
    }

    #[test]
    fn a_refused_token_is_asked_at_the_slowest_pace() {
        let mut pace = Pace::new(Limits { streaming: false, ..LIMITS });
        assert_eq!(pace.next(s(0)), Next::Poll);
        assert_eq!(pace.polled(s(0), Err(Failure::Refused), 0.0), s(30));
        let mut pace = Pace::new(LIMITS);
        assert_eq!(pace.stream_ended(s(0), s(0), Failure::Refused, 0.0), s(30), "and not polled in between");
    }

    #[test]
    fn the_servers_retry_field_is_honoured_within_limits() {
        let mut pace = Pace::new(LIMITS);
        pace.server_retry(s(5));
        assert_eq!(pace.stream_ended(s(0), s(60), LOST, 0.0), s(5));
        pace.server_retry(s(5_000));
        assert_eq!(pace.stream_ended(s(0), s(60), LOST, 0.0), s(30));
    }
}
