//! An escalation stands still while all alerts of its incident are muted: whoever muted them has said that nobody needs to be
//! asked. A step that comes due meanwhile waits, and is taken when a mute ends and an alert goes on. Nothing is lost: the
//! incident stays open, and the record says since when and why.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_store::Tx;
use tenfold_types::{EventDraft, Fault, Severity, Timestamp};

use super::{
    escalate::by_system,
    stored::{Incident, State},
};
use crate::{
    App, Txn,
    alerts::{Cover, LabelsRead, Lease},
};

/// A step that waits is looked at again after this time.
pub(super) const LOOK_AGAIN_MS: i64 = 5_000;

/// Why an escalation stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Paused {
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// Which mutes cover its alerts.
    pub because: String,
}

/// Which of these incidents, whose next step is due, have all their alerts muted.
pub(super) fn among(
    tx: &mut dyn Tx,
    read: &Mutex<LabelsRead>,
    numbers: &[i64],
    now: Timestamp,
) -> Result<BTreeSet<i64>, Fault> {
    let mut out = BTreeSet::new();
    if numbers.is_empty() {
        return Ok(out);
    }
    let cover = Cover::at(tx, now)?;
    if cover.is_empty() {
        return Ok(out);
    }
    for number in numbers {
        if cover.of_incident(tx, read, *number)?.is_some() {
            out.insert(*number);
        }
    }
    Ok(out)
}

/// Lets the step that is due wait, and says so the first time. That it waits still is no news.
pub(super) async fn hold(app: &App, lease: &Lease, number: i64) -> Result<(), Fault> {
    let (lease, read) = (lease.clone(), app.incidents.labels_read.clone());
    app.housekeeping(move |t| {
        lease.check(t)?;
        held(t, &read, number)
    })
    .await
}

fn held(t: &mut Txn<'_>, read: &Mutex<LabelsRead>, number: i64) -> Result<(), Fault> {
    let now = t.now();
    let mut incident = Incident::get(t.tx(), number)?;
    // The mute may have ended since it was asked.
    let Some(because) = Cover::at(t.tx(), now)?.of_incident(t.tx(), read, number)? else { return Ok(()) };
    let Some(escalation) = incident.body.escalation.as_mut().filter(|_| incident.state != State::Resolved) else {
        return Ok(());
    };
    let Some(next_at) = escalation.next_at_mut() else { return Ok(()) };
    if *next_at > now {
        return Ok(());
    }
    *next_at = now.plus_ms(LOOK_AGAIN_MS);
    let news = incident.body.paused.is_none().then(|| {
        let text = format!("Nobody more is asked for incident {number} for now: {because}");
        by_system(&incident, "page.paused", text, Severity::Info).data(json!({"because": because}))
    });
    incident.body.paused.get_or_insert_with(|| Paused { since: now, because: String::new() }).because = because;
    incident.write(t.tx())?;
    if let Some(news) = news {
        t.record(news)?;
    }
    Ok(())
}

/// The escalation goes on: what is to be said of that, when it stood still.
pub(super) fn goes_on(incident: &mut Incident) -> Option<EventDraft> {
    let paused = incident.body.paused.take()?;
    let number = incident.number;
    let text = format!("Incident {number} is muted no more, and nobody has acknowledged it: its escalation goes on");
    Some(by_system(incident, "page.resumed", text, Severity::Warning).data(json!({"paused_since": paused.since})))
}
