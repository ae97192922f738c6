//! Reopening: what fires again shortly after its incident ended is the same trouble. The incident is again as it was:
//! acknowledged, and nobody is paged anew, or open, and its escalation goes on where it stood.
//!
//! Only what ended by its alerts is reopened. When a person said that it is over, what fires afterwards is news to them and
//! opens an incident that pages.

use serde_json::json;
use tenfold_oncall::{Expiry, Progress};
use tenfold_store::{Tx, incidents as store};
use tenfold_types::{Actor, Fault, Severity, Source, Timestamp};

use super::{
    open::record,
    stored::{Incident, State, word},
};
use crate::Txn;

/// The incident of a key that ended by its alerts less than `window_ms` ago.
pub(super) fn ended_lately(
    tx: &mut dyn Tx,
    key: &str,
    now: Timestamp,
    window_ms: i64,
) -> Result<Option<Incident>, Fault> {
    let Some((number, ended_at)) = store::ended_by_key(tx, key)? else { return Ok(None) };
    if now.since_ms(ended_at) >= window_ms {
        return Ok(None);
    }
    let incident = Incident::get(tx, number)?;
    Ok(Some(incident).filter(|i| i.state == State::Resolved))
}

/// Opens it again because of an alert.
pub(super) fn reopen(
    t: &mut Txn<'_>,
    incident: &mut Incident,
    key: &str,
    alert: &str,
    title: &str,
) -> Result<(), Fault> {
    let now = t.now();
    let ended_at = incident.body.resolved_at.take().unwrap_or(now);
    incident.body.resolved_by = None;
    incident.body.reopened += 1;
    incident.open_key = Some(key.to_owned());
    incident.state = if incident.body.acknowledged_at.is_some() { State::Acknowledged } else { State::Open };
    let round = store::pages(t.tx(), incident.number)?.iter().map(|p| p.round).max().unwrap_or(-1) + 1;
    let (before, cancelled) = (incident.body.before_end.take(), incident.body.cancelled.take());
    incident.body.paused = None;
    if let (Some(escalation), Some(before)) = (&mut incident.body.escalation, before) {
        escalation.progress = resumed(before, u32::try_from(round).unwrap_or(0), ended_at, now);
    }
    incident.write(t.tx())?;
    store::ended_forget(t.tx(), key)?;
    let number = incident.number;
    let (severity, who) = match &incident.body.acknowledged_by_name {
        Some(name) => (Severity::Warning, format!("; {name} has it")),
        None => (Severity::Critical, String::new()),
    };
    if incident.state == State::Open {
        resume_pages(t.tx(), number, cancelled, (ended_at, now))?;
    }
    let text = format!("Incident {number} is open again: {title}{who}");
    let mut draft =
        record(incident, Actor::system(), Source::System, "incident.reopened", text, severity).data(json!({
            "ended_at": ended_at,
            "state": incident.state.as_str(),
            "reopened": incident.body.reopened,
        }));
    draft.subject.alert = Some(alert.to_owned());
    t.record(draft)?;
    Ok(())
}

/// Where the escalation goes on: with the time that was left when it ended. One that had run out with nobody answering goes
/// through its policy once more, as `round`.
pub(super) fn resumed(before: Progress, round: u32, ended_at: Timestamp, now: Timestamp) -> Progress {
    match before {
        Progress::Waiting { step, round, next_at } => {
            Progress::Waiting { step, round, next_at: later(next_at, ended_at, now) }
        }
        Progress::Exhausted | Progress::Resolved => Progress::Waiting { step: 0, round, next_at: now },
        Progress::Acknowledged { expires } => {
            Progress::Acknowledged { expires: expires.map(|e| Expiry { at: later(e.at, ended_at, now), ..e }) }
        }
    }
}

/// An instant moved by the time in which it was over; never before now.
fn later(at: Timestamp, ended_at: Timestamp, now: Timestamp) -> Timestamp {
    now.plus_ms(at.since_ms(ended_at).max(0))
}

/// Round and step of the last page that is cancelled: somebody had the incident after it, or was handed it. Pages come in the order
/// of their places.
pub(super) fn cancelled(tx: &mut dyn Tx, number: i64) -> Result<Option<(i64, i64)>, Fault> {
    for page in store::pages(tx, number)?.iter().rev() {
        let is_over = matches!(page.state.as_str(), word::ACKNOWLEDGED | word::SUPERSEDED);
        if is_over || store::deliveries(tx, &page.id)?.iter().any(|row| row.state == word::SUPERSEDED) {
            return Ok(Some((page.round, page.step)));
        }
    }
    Ok(None)
}

/// What the end had cancelled is owed again, under the same keys: behind the place up to which it was cancelled before. Whoever
/// was asked up to there was asked anew since, and would have two pages at once.
fn resume_pages(
    tx: &mut dyn Tx,
    number: i64,
    cancelled: Option<(i64, i64)>,
    (ended_at, now): (Timestamp, Timestamp),
) -> Result<(), Fault> {
    for page in store::pages(tx, number)?.into_iter().filter(|page| Some((page.round, page.step)) > cancelled) {
        let rows = store::deliveries(tx, &page.id)?;
        let taken = rows.iter().any(|row| row.state == word::ACCEPTED);
        for row in rows {
            if row.state != word::SUPERSEDED {
                continue;
            }
            let next_at = Some(row.next_at.map_or(now, |at| later(at, ended_at, now)));
            store::delivery_put(tx, &store::DeliveryRow { state: word::DUE.to_owned(), next_at, ..row })?;
        }
        if page.state == word::SUPERSEDED {
            let (state, at) = if taken { (word::DELIVERED, Some(now)) } else { (word::DUE, None) };
            store::page_state(tx, &page.id, state, at)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escalation_goes_on_with_the_time_that_was_left() {
        let (ended, now) = (Timestamp(60_000), Timestamp(200_000));
        let waiting = |step, round, at| Progress::Waiting { step, round, next_at: Timestamp(at) };
        let held = |at| Progress::Acknowledged { expires: Some(Expiry { at: Timestamp(at), round: 1 }) };
        for (before, after) in [
            (waiting(1, 0, 90_000), waiting(1, 0, 230_000)),
            (waiting(1, 2, 50_000), waiting(1, 2, 200_000)),
            (Progress::Exhausted, waiting(0, 3, 200_000)),
            (Progress::Acknowledged { expires: None }, Progress::Acknowledged { expires: None }),
            (held(90_000), held(230_000)),
        ] {
            assert_eq!(resumed(before, 3, ended, now), after);
        }
    }
}
