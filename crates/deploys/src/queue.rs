//! Who ships next to a service and environment. Pure: what waits, what is under way and how the last deploy ended go in;
//! whose turn it is, or why it is nobody's, comes out.
//!
//! A queue never goes on over a deploy that did not end well: what waits behind it was asked for before that was known.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::machine::{Kind, State};

/// Most that wait for one service and environment.
pub const WAITING_MAX: usize = 20;
/// What could not start for this long is given up.
pub const GIVE_UP_MS: i64 = 24 * 3_600_000;

/// How something came to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Somebody asked for a deploy.
    Ask,
    /// A forge told of a push that is deployed by itself.
    Push,
    /// It was good in the stage before.
    Stage,
}

impl Origin {
    pub const ALL: [Self; 3] = [Self::Ask, Self::Push, Self::Stage];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Push => "push",
            Self::Stage => "stage",
        }
    }
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.word() == word)
    }
}

/// One that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub id: i64,
    pub asked_at: Timestamp,
    /// It has no turn before this; those behind it go first.
    pub not_before: Option<Timestamp>,
}

/// The deploy that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub number: i64,
    pub state: State,
}

/// The newest deploy that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    pub number: i64,
    pub kind: Kind,
    pub state: State,
    pub ended_at: Timestamp,
}

impl Last {
    /// Whether what waited behind it may go on. A deploy that somebody cancelled before the first host changed nothing.
    pub const fn is_well(&self) -> bool {
        match self.kind {
            Kind::Deploy => matches!(self.state, State::Succeeded | State::Cancelled),
            // It took something back, or tried to: what waits may contain it.
            Kind::Rollback => false,
        }
    }
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nobody waits, or nobody's time has come.
    Nobody,
    /// A deploy is under way.
    Busy {
        number: i64,
    },
    /// A deploy waits for a person, and nothing takes over from it by itself.
    Held {
        number: i64,
        state: State,
    },
    /// The deploy before did not end well; somebody has to say that it goes on.
    Stands {
        number: i64,
        kind: Kind,
        state: State,
    },
    Goes {
        id: i64,
    },
}

/// Whose turn it is. `waiting` is in the order of the queue. `passed` is the number of the deploy up to which somebody let the
/// queue go on.
pub fn turn(waiting: &[Waiting], open: Option<Open>, last: Option<Last>, passed: i64, now: Timestamp) -> Turn {
    let Some(first) = waiting.iter().find(|w| w.not_before.is_none_or(|at| at <= now)) else { return Turn::Nobody };
    if let Some(Open { number, state }) = open {
        return if state.waits_for_person() { Turn::Held { number, state } } else { Turn::Busy { number } };
    }
    match last {
        // Whoever asked after it was over knew how it ended.
        Some(last) if !last.is_well() && last.number > passed && first.asked_at <= last.ended_at => {
            Turn::Stands { number: last.number, kind: last.kind, state: last.state }
        }
        _ => Turn::Goes { id: first.id },
    }
}

/// Given up: it could have had its turn for a day and did not start.
pub fn is_given_up(waiting: &Waiting, now: Timestamp) -> bool {
    now.since_ms(waiting.not_before.unwrap_or(waiting.asked_at)) > GIVE_UP_MS
}

/// `1st`, `2nd`, `11th`
pub fn place(n: usize) -> String {
    let ending = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn asked(id: i64, at: i64) -> Waiting {
        Waiting { id, asked_at: Timestamp(at), not_before: None }
    }

    fn ended(state: State, at: i64) -> Last {
        Last { number: 7, kind: Kind::Deploy, state, ended_at: Timestamp(at) }
    }

    #[test]
    fn the_first_goes_when_the_one_before_ended_well() {
        let queue = [asked(1, 10), asked(2, 20)];
        assert_eq!(turn(&[], None, None, 0, NOW), Turn::Nobody);
        assert_eq!(turn(&queue, None, None, 0, NOW), Turn::Goes { id: 1 });
        for state in [State::Succeeded, State::Cancelled] {
            assert_eq!(turn(&queue, None, Some(ended(state, 30)), 0, NOW), Turn::Goes { id: 1 }, "{state:?}");
        }
    }

    #[test]
    fn it_waits_for_what_is_under_way_and_never_takes_over_from_what_a_person_decides() {
        let queue = [asked(1, 10)];
        for state in State::ALL.into_iter().filter(|s| !s.is_final()) {
            let expected =
                if state.waits_for_person() { Turn::Held { number: 8, state } } else { Turn::Busy { number: 8 } };
            let open = Some(Open { number: 8, state });
            assert_eq!(turn(&queue, open, Some(ended(State::Succeeded, 30)), 0, NOW), expected, "{state:?}");
        }
    }

    #[test]
    fn it_stands_after_what_did_not_end_well_until_somebody_says_go() {
        let queue = [asked(1, 10), asked(2, 40)];
        for state in [State::Failed, State::RolledBack, State::Interrupted] {
            let stands = Turn::Stands { number: 7, kind: Kind::Deploy, state };
            assert_eq!(turn(&queue, None, Some(ended(state, 30)), 0, NOW), stands);
            assert_eq!(turn(&queue, None, Some(ended(state, 30)), 6, NOW), stands, "that was for another");
            assert_eq!(turn(&queue, None, Some(ended(state, 30)), 7, NOW), Turn::Goes { id: 1 });
        }
        let back = Some(Last { number: 9, kind: Kind::Rollback, state: State::Succeeded, ended_at: Timestamp(30) });
        let stands = Turn::Stands { number: 9, kind: Kind::Rollback, state: State::Succeeded };
        assert_eq!(turn(&queue, None, back, 8, NOW), stands, "what was taken back may be in what waits");
        // Whoever asks after the end knows it.
        assert_eq!(turn(&queue[1..], None, Some(ended(State::RolledBack, 30)), 0, NOW), Turn::Goes { id: 2 });
    }

    #[test]
    fn what_may_not_yet_holds_up_nobody() {
        let later = Waiting { not_before: Some(NOW.plus_ms(1)), ..asked(1, 10) };
        assert_eq!(turn(&[later], None, None, 0, NOW), Turn::Nobody);
        assert_eq!(turn(&[later, asked(2, 20)], None, None, 0, NOW), Turn::Goes { id: 2 });
        assert_eq!(turn(&[later, asked(2, 20)], None, None, 0, NOW.plus_ms(1)), Turn::Goes { id: 1 });
        assert!(!is_given_up(&later, NOW.plus_ms(GIVE_UP_MS + 1)), "its time began later");
        assert!(is_given_up(&asked(1, 10), Timestamp(11 + GIVE_UP_MS)));
    }

    #[test]
    fn places_are_said() {
        let said: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21].into_iter().map(place).collect();
        assert_eq!(said, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st"]);
    }
}
