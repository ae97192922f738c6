//! Which deploys and flag flips may be behind an alert: those on the same service shortly before its onset, the likeliest
//! first. A ranking of changes, never of people.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

/// How long before the onset a change counts as a suspect.
pub const SUSPECT_WINDOW_MS: i64 = 30 * 60_000;
/// A change that started this little after the measured onset still counts: scrapes and rates blur the onset.
const ONSET_BLUR_MS: i64 = 15_000;
const SUSPECTS_MAX: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Deploy,
    Flip,
}

/// A change of production, as the record tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    /// The deploy's number, or nothing for a flip.
    pub number: Option<i64>,
    pub flag: Option<String>,
    /// `None`: the change is not bound to one service (a flag).
    pub service: Option<String>,
    pub environment: Option<String>,
    /// When it first touched production.
    pub at: Timestamp,
    /// Its event in the record.
    pub seq: i64,
    pub text: String,
    pub actor: String,
    /// It went back to a known state; less likely a cause.
    pub rollback: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    pub change: Change,
    /// Milliseconds between the change and the onset; never negative.
    pub before_ms: i64,
}

/// Ranks the changes within [`SUSPECT_WINDOW_MS`] before `onset` that touch `service` in `environment` (or are bound to
/// no service). Changes of the service itself come before unbound ones, forward changes before rollbacks, late before
/// early.
pub fn rank_suspects(
    changes: &[Change],
    service: Option<&str>,
    environment: Option<&str>,
    onset: Timestamp,
) -> Vec<Suspect> {
    let mut found: Vec<Suspect> = changes
        .iter()
        .filter(|c| match (service, c.service.as_deref()) {
            (Some(wanted), Some(has)) => wanted == has,
            _ => true,
        })
        .filter(|c| match (environment, c.environment.as_deref()) {
            (Some(wanted), Some(has)) => wanted == has,
            _ => true,
        })
        .filter_map(|c| {
            let before = onset.since_ms(c.at);
            (-ONSET_BLUR_MS..=SUSPECT_WINDOW_MS)
                .contains(&before)
                .then(|| Suspect { change: c.clone(), before_ms: before.max(0) })
        })
        .collect();
    found.sort_by_key(|s| {
        let bound_elsewhere = service.is_some() && s.change.service.is_none();
        (s.change.rollback, bound_elsewhere, s.before_ms, std::cmp::Reverse(s.change.seq))
    });
    found.truncate(SUSPECTS_MAX);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: ChangeKind, service: Option<&str>, minute: i64, seq: i64, rollback: bool) -> Change {
        Change {
            kind,
            number: Some(seq),
            flag: None,
            service: service.map(str::to_owned),
            environment: Some("production".to_owned()),
            at: Timestamp(minute * 60_000),
            seq,
            text: String::new(),
            actor: "ana".to_owned(),
            rollback,
        }
    }

    #[test]
    fn same_service_late_and_forward_first() {
        let changes = [
            change(ChangeKind::Deploy, Some("photos"), 60, 1, false), // too old
            change(ChangeKind::Deploy, Some("photos"), 80, 2, false),
            change(ChangeKind::Deploy, Some("photos"), 99, 3, true),
            change(ChangeKind::Flip, None, 98, 4, false),
            change(ChangeKind::Deploy, Some("search"), 99, 5, false), // another service
            change(ChangeKind::Deploy, Some("photos"), 97, 6, false),
            change(ChangeKind::Deploy, Some("photos"), 102, 7, false), // after the onset
        ];
        let ranked = rank_suspects(&changes, Some("photos"), Some("production"), Timestamp(100 * 60_000));
        assert_eq!(ranked.iter().map(|s| s.change.seq).collect::<Vec<_>>(), [6, 2, 4, 3]);
        assert_eq!(ranked[0].before_ms, 180_000);
        let elsewhere = rank_suspects(&changes, Some("photos"), Some("staging"), Timestamp(100 * 60_000));
        assert!(elsewhere.is_empty());
    }
}
