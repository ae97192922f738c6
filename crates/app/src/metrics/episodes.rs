//! Alerts and incidents on graphs: what lasts from one event of the record to another.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::{Event, Severity, Timestamp};

use super::markers::{Marker, MarkerKind};

/// The events that begin and end them.
pub(super) const KINDS: [&str; 6] =
    ["alert.fired", "alert.resolved", "alert.expired", "incident.opened", "incident.reopened", "incident.resolved"];

fn marker(event: &Event, kind: MarkerKind, at: Timestamp, end_at: Option<Timestamp>) -> Marker {
    Marker {
        seq: event.seq,
        at,
        end_at,
        kind,
        text: event.text.clone(),
        actor_name: event.actor.id.clone(),
        subject: event.subject.clone(),
    }
}

/// Since when an alert fired that now is over.
fn fired_at(event: &Event) -> Option<Timestamp> {
    ["fired_at", "active_since"].iter().find_map(|key| serde_json::from_value(event.data.get(key)?.clone()).ok())
}

/// Events in ascending order become what lasted, in the order in which it was seen. Alerts that nobody was told of are left
/// out. What has not ended has no end. What began before these events is told by its end, an alert with its beginning.
pub(super) fn episodes(events: &[Event]) -> Vec<Marker> {
    let mut all: Vec<Marker> = Vec::new();
    let mut open = BTreeMap::<String, usize>::new();
    let mut quiet = BTreeSet::<String>::new();
    for event in events {
        let (kind, subject) = match (&event.subject.alert, event.subject.incident) {
            (Some(alert), _) if event.kind.starts_with("alert.") => (MarkerKind::Alert, format!("alert {alert}")),
            (_, Some(number)) if event.kind.starts_with("incident.") => {
                (MarkerKind::Incident, format!("incident {number}"))
            }
            _ => continue,
        };
        match event.kind.as_str() {
            "alert.fired" if event.severity == Severity::Debug => {
                quiet.insert(subject);
            }
            "alert.fired" | "incident.opened" | "incident.reopened" => {
                quiet.remove(&subject);
                // One that fires again after its data was away has not ended in between.
                open.entry(subject).or_insert_with(|| {
                    all.push(marker(event, kind, event.occurred_at, None));
                    all.len() - 1
                });
            }
            _ => {
                let was_quiet = quiet.remove(&subject);
                if let Some(began) = open.remove(&subject).and_then(|at| all.get_mut(at)) {
                    began.end_at = Some(event.occurred_at);
                } else if !was_quiet {
                    let at = fired_at(event).unwrap_or(event.occurred_at);
                    all.push(marker(event, kind, at, Some(event.occurred_at)));
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::markers::tests::event;

    fn alert(seq: i64, kind: &str, fingerprint: &str) -> Event {
        let mut event = event(seq, kind, None, serde_json::Value::Null);
        event.subject.alert = Some(fingerprint.into());
        event
    }

    fn incident(seq: i64, kind: &str, number: i64) -> Event {
        let mut event = event(seq, kind, None, serde_json::Value::Null);
        event.subject.incident = Some(number);
        event
    }

    /// Beginning, end and kind in seconds, and the text.
    fn shown(events: &[Event]) -> Vec<(i64, Option<i64>, MarkerKind, i64)> {
        let seconds = |at: Timestamp| at.millis() / 1000;
        episodes(events).into_iter().map(|m| (seconds(m.at), m.end_at.map(seconds), m.kind, m.seq)).collect()
    }

    #[test]
    fn an_alert_and_an_incident_last_from_one_event_to_another() {
        // An event of an incident may name its alert, and the other way round.
        let mut opened = incident(3, "incident.opened", 14);
        opened.subject.alert = Some("a".into());
        let mut resolved = alert(7, "alert.resolved", "a");
        resolved.subject.incident = Some(14);
        let events = [
            alert(2, "alert.fired", "a"),
            opened,
            alert(4, "alert.fired", "b"),
            resolved,
            incident(9, "incident.resolved", 14),
        ];
        assert_eq!(
            shown(&events),
            [
                (2, Some(7), MarkerKind::Alert, 2),
                (3, Some(9), MarkerKind::Incident, 3),
                (4, None, MarkerKind::Alert, 4),
            ]
        );
    }

    #[test]
    fn one_that_fires_again_within_is_one_and_after_its_end_is_another() {
        let events = [
            alert(1, "alert.fired", "a"),
            alert(3, "alert.fired", "a"),
            alert(5, "alert.expired", "a"),
            alert(8, "alert.fired", "a"),
        ];
        assert_eq!(shown(&events), [(1, Some(5), MarkerKind::Alert, 1), (8, None, MarkerKind::Alert, 8)]);
    }

    #[test]
    fn one_that_nobody_is_told_of_is_left_out_until_somebody_is() {
        let quiet = |seq, fingerprint| Event { severity: Severity::Debug, ..alert(seq, "alert.fired", fingerprint) };
        let events = [quiet(1, "a"), alert(2, "alert.resolved", "a"), quiet(3, "b"), alert(5, "alert.fired", "b")];
        assert_eq!(shown(&events), [(5, None, MarkerKind::Alert, 5)]);
    }

    #[test]
    fn what_began_before_is_told_by_its_end() {
        let mut over = alert(9, "alert.resolved", "a");
        over.data = serde_json::json!({"active_since": Timestamp(2_000), "fired_at": Timestamp(4_000)}).into();
        let events = [over, incident(10, "incident.resolved", 3)];
        assert_eq!(shown(&events), [(4, Some(9), MarkerKind::Alert, 9), (10, Some(10), MarkerKind::Incident, 10)]);
    }
}
