//! What a life is told, and what it says: one JSON line for each thing, in the order in which they happen. A line that was
//! said is out of the process, and no kill takes it back.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tenfold_alerting::MuteKind;

/// What a life begins with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub dir: PathBuf,
    pub seed: u64,
    /// What its clock shows first; never before what the clock of the life before it showed.
    pub now_ms: i64,
    /// Whether the rule's expression holds.
    pub bad: bool,
    /// Nobody does anything, receivers take everything, and time passes.
    pub rests: bool,
}

/// An alert of the simulation.
#[derive(Debug, Clone, Copy)]
pub struct Lane {
    pub alert: &'static str,
    pub service: &'static str,
}

/// The alert that a rule raises; senders raise the others.
pub const BY_RULE: usize = 0;
/// Three of one service, and one whose group is looked at every five minutes.
pub const LANES: [Lane; 6] = [
    Lane { alert: "HighErrorRate", service: "photos" },
    Lane { alert: "Slow", service: "photos" },
    Lane { alert: "Queue", service: "photos" },
    Lane { alert: "Late", service: "search" },
    Lane { alert: "Full", service: "albums" },
    Lane { alert: "Stuck", service: "uploads" },
];

impl Lane {
    /// The programs behind a webhook are told of it.
    pub fn to_programs(self) -> bool {
        self.service != "albums"
    }
}

/// What somebody asks of the server. Each answer is a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// The number of a lane.
    Fire(usize),
    End(usize),
    Mute(Quiet),
    /// The number of a mute.
    Unmute(i64),
    Acknowledge {
        incident: i64,
        by: String,
    },
}

/// A mute as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// No two mutes have the same.
    pub reason: String,
    pub kind: MuteKind,
    pub service: String,
    /// All alerts of the service when it names none.
    pub alert: Option<String>,
    pub from_ms: i64,
    pub to_ms: i64,
    /// The minutes of a UTC day within which a maintenance holds: from the first, up to the second.
    pub minutes: Option<(i64, i64)>,
}

/// The minute of the UTC day.
pub const fn minute(at_ms: i64) -> i64 {
    (at_ms / 60_000) % 1_440
}

impl Quiet {
    pub fn covers(&self, lane: &Lane) -> bool {
        self.service == lane.service && self.alert.as_deref().is_none_or(|alert| alert == lane.alert)
    }

    pub fn holds(&self, at_ms: i64) -> bool {
        let turn = self.minutes.is_none_or(|(first, end)| (first..end).contains(&minute(at_ms)));
        (self.from_ms..self.to_ms).contains(&at_ms) && turn
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// What the clock shows from now on.
    Clock(i64),
    /// Whether the rule's expression holds from now on.
    Level(bool),
    Asks(Ask),
    /// With the number of the new mute; with 1 when somebody had acknowledged before.
    Answered(Ask, i64),
    Refused(Ask, String),
    /// Rules are evaluated and pages worked on, beside what is asked.
    TickBegins,
    /// With what went wrong.
    TickEnds(Option<String>),
    /// A receiver has the message.
    Took {
        key: String,
        incident: i64,
        /// The server hears of it; its answer may get lost instead.
        heard: bool,
    },
    /// A receiver has news of an incident.
    Told {
        incident: i64,
        channel: String,
        to: String,
        /// `grown` or `over`.
        kind: String,
    },
    /// The programs have a message about these lanes, each with whether it fires.
    Posted(Vec<(usize, bool)>),
    /// A life that rests has nothing more to say.
    Rested,
}

#[test]
fn a_mute_holds_from_its_start_to_its_end_and_a_maintenance_in_its_minutes() {
    let quiet = |kind, minutes| Quiet {
        reason: "racks".to_owned(),
        kind,
        service: "photos".to_owned(),
        alert: Some("Slow".to_owned()),
        from_ms: 60_000,
        to_ms: 600_000,
        minutes,
    };
    let covered: Vec<&str> =
        LANES.iter().filter(|l| quiet(MuteKind::Silence, None).covers(l)).map(|l| l.alert).collect();
    assert_eq!(covered, ["Slow"]);
    for (minutes, at_ms, holds) in [
        (None, 59_999, false),
        (None, 60_000, true),
        (None, 599_999, true),
        (None, 600_000, false),
        (Some((2, 4)), 119_999, false),
        (Some((2, 4)), 120_000, true),
        (Some((2, 4)), 240_000, false),
        (Some((0, 1_440)), 600_000, false),
    ] {
        let kind = if minutes.is_some() { MuteKind::Maintenance } else { MuteKind::Downtime };
        assert_eq!(quiet(kind, minutes).holds(at_ms), holds, "{minutes:?} at {at_ms}");
    }
}
