//! Whether mutes cover all that an incident is about: then nobody more is asked for it while they hold.

use tenfold_alerting::Mute;
use tenfold_store::{Tx, alerts as store};
use tenfold_types::{Fault, Timestamp};

use super::{mutes, transitions::body};

/// Alerts of one incident that are looked through.
const ALERTS_MAX: i64 = 10_000;

/// The mutes that hold at an instant.
pub(crate) struct Cover(Vec<Mute>);

impl Cover {
    pub(crate) fn at(tx: &mut dyn Tx, now: Timestamp) -> Result<Self, Fault> {
        Ok(Self(mutes::holding(tx, now)?))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why nobody is asked for an incident: each of its alerts that is not over is muted. Nothing when one is not, or when it has
    /// none, as one that a person opened.
    pub(crate) fn of_incident(&self, tx: &mut dyn Tx, number: i64) -> Result<Option<String>, Fault> {
        if self.is_empty() {
            return Ok(None);
        }
        let live = store::live_in(tx, number, ALERTS_MAX)?;
        // Of more nobody knows here: who is in doubt is asked.
        if live.is_empty() || live.len() as i64 >= ALERTS_MAX {
            return Ok(None);
        }
        let mut by: Vec<&Mute> = Vec::new();
        for row in &live {
            let labels = body(row)?.alert.labels;
            let Some(mute) = self.0.iter().find(|mute| mute.matches(&labels)) else { return Ok(None) };
            if by.iter().all(|known| known.id != mute.id) {
                by.push(mute);
            }
        }
        let named: Vec<String> = by.iter().map(|m| format!("{} (until {} at most)", m.id, m.spec.ends_at)).collect();
        Ok(Some(match named.as_slice() {
            [one] => format!("all its alerts are muted by mute {one}"),
            many => format!("all its alerts are muted by the mutes {}", many.join(", ")),
        }))
    }
}
