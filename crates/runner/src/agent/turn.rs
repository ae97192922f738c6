//! Which of the servers an agent tries next. A server that restarts finds its hosts again; one that is gone or hangs is left.

use std::{fmt, time::Duration};

use tokio::time::Instant;

/// A server that ended is waited for this long before the next one is tried, so that it can go on with its own deploys. Half
/// of a deploy's lease: where another server takes a deploy over, the hosts are there.
const RESTARTS_WITHIN: Duration = Duration::from_secs(4);

/// Why a connection ended.
pub(super) enum Ended {
    /// Nothing came any more: its process, its machine or the network between stands still.
    Silent,
    Said(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("the server has been silent for 15 s"),
            Self::Said(why) => f.write_str(why),
        }
    }
}

pub(super) struct Turn {
    /// The server's place in the list.
    pub at: usize,
    count: usize,
    /// When a connection that stood was lost, until the server is given up.
    lost_at: Option<Instant>,
    failures: u32,
}

impl Turn {
    pub fn new(count: usize) -> Self {
        Self { at: 0, count: count.max(1), lost_at: None, failures: 0 }
    }

    /// The server took the agent in.
    pub fn welcome(&mut self) {
        self.lost_at = None;
        self.failures = 0;
    }

    /// A connection that stood has ended.
    pub fn lost(&mut self, ended: &Ended, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        match ended {
            Ended::Silent => self.next(),
            Ended::Said(_) => self.lost_at = self.lost_at.or(Some(now)),
        }
    }

    /// It could not be reached, or refused.
    pub fn away(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.lost_at.is_none_or(|at| now.duration_since(at) >= RESTARTS_WITHIN) {
            self.next();
        }
    }

    /// It took the connection and said nothing.
    pub fn hangs(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.next();
    }

    /// How often all of them were tried in vain, for the length of the pause.
    pub fn rounds(&self) -> u32 {
        self.failures.saturating_sub(1) / u32::try_from(self.count).unwrap_or(1)
    }

    fn next(&mut self) {
        self.at = (self.at + 1) % self.count;
        if self.lost_at.take().is_some() {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Ended {
        Ended::Said("it closed the line".into())
    }

    #[tokio::test]
    async fn a_server_that_restarts_is_waited_for_and_one_that_hangs_is_left() {
        let begin = Instant::now();
        let mut turn = Turn::new(2);
        turn.welcome();
        turn.lost(&said(), begin);
        turn.away(begin + Duration::from_secs(3));
        assert_eq!(turn.at, 0, "it may be restarting");
        turn.away(begin + Duration::from_secs(4));
        assert_eq!((turn.at, turn.rounds()), (1, 0), "the next one is tried at once");
        turn.welcome();
        turn.lost(&Ended::Silent, begin);
        assert_eq!(turn.at, 0);
        turn.hangs();
        assert_eq!(turn.at, 1);
    }

    #[tokio::test]
    async fn pauses_grow_with_each_round() {
        let now = Instant::now();
        for (count, rounds) in [(1, [0, 1, 2, 3]), (2, [0, 0, 1, 1])] {
            let mut turn = Turn::new(count);
            let seen = rounds.map(|_| {
                turn.away(now);
                turn.rounds()
            });
            assert_eq!(seen, rounds);
        }
    }
}
