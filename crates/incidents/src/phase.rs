//! Which part of an incident's story an event tells.

use serde::{Deserialize, Serialize};
use tenfold_types::{Event, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A change before the incident: a deploy or a flip.
    Deploy,
    /// The condition of the alert first held.
    FirstErrors,
    Alert,
    Page,
    Acknowledged,
    /// A rollback or a flip during the incident.
    Mitigation,
    Recovery,
    Note,
    Other,
}

impl Phase {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::FirstErrors => "first_errors",
            Self::Alert => "alert",
            Self::Page => "page",
            Self::Acknowledged => "acknowledged",
            Self::Mitigation => "mitigation",
            Self::Recovery => "recovery",
            Self::Note => "note",
            Self::Other => "other",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct TimelineEntry {
    pub phase: Phase,
    pub event: Event,
}

/// Sorts an incident's events by when they happened (then by `seq`) and gives each its phase. `opened_at` parts the
/// changes that came before from the mitigations after it.
pub fn timeline(events: Vec<Event>, opened_at: Timestamp) -> Vec<TimelineEntry> {
    // A deploy that takes back another one is a rollback in all its events. One that takes back itself is not.
    let rollbacks: std::collections::BTreeSet<i64> = events
        .iter()
        .filter(|e| e.kind.starts_with("deploy."))
        .filter(|e| {
            let other = e.data["reverts"].as_i64().is_some_and(|n| Some(n) != e.subject.deploy);
            other || e.data["deploy_kind"] == "rollback"
        })
        .filter_map(|e| e.subject.deploy)
        .collect();
    let mut entries: Vec<TimelineEntry> = events
        .into_iter()
        .map(|event| {
            let rollback = event.subject.deploy.is_some_and(|n| rollbacks.contains(&n));
            TimelineEntry { phase: phase(&event, rollback, opened_at), event }
        })
        .collect();
    entries.sort_by_key(|e| (e.event.occurred_at, e.event.seq));
    entries
}

fn phase(event: &Event, rollback: bool, opened_at: Timestamp) -> Phase {
    let during = event.occurred_at >= opened_at;
    match event.kind.as_str() {
        "alert.pending" => Phase::FirstErrors,
        "alert.fired"
        | "alert.unknown"
        | "alert.flapping"
        | "alert.expired"
        | "incident.opened"
        | "incident.reopened"
        | "incident.unacknowledged"
        | "incident.escalated"
        | "incident.handed_over" => Phase::Alert,
        "alert.resolved" | "incident.resolved" => Phase::Recovery,
        "incident.acknowledged" => Phase::Acknowledged,
        "incident.noted" | "note.doing" | "chat.message" => Phase::Note,
        "deploy.rolling_back" | "deploy.rolled_back" => Phase::Mitigation,
        kind if kind.starts_with("deploy.") && rollback => Phase::Mitigation,
        kind if kind.starts_with("deploy.") => Phase::Deploy,
        kind if kind.starts_with("flag.") && during => Phase::Mitigation,
        kind if kind.starts_with("flag.") => Phase::Deploy,
        kind if kind.starts_with("page.") => Phase::Page,
        _ => Phase::Other,
    }
}
