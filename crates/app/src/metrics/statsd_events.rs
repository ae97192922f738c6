//! Events that DogStatsD clients tell become events of the record, and with that marks on every graph. StatsD knows no tokens, so
//! that nobody is paged, told or suspected by one, and only so many are taken in a minute.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};
use tenfold_protocols::statsd::Event;
use tenfold_types::{Actor, EventDraft, Severity, Source, Timestamp};
use tokio_util::sync::CancellationToken;

use super::statsd::FRESH;
use crate::App;
use crate::people::check_name;

pub(super) const KIND: &str = "statsd.event";
const TITLE_CHARS_MAX: usize = 256;
const TEXT_CHARS_MAX: usize = 4_000;
const MINUTE_MS: i64 = 60_000;
/// One that is told of later is of now.
const LATE_MS_MAX: i64 = 24 * 3_600_000;
/// Those that wait for the record; further ones are left out.
const WAITING_MAX: usize = 1_000;
/// Those of one transaction.
const BATCH_MAX: usize = 100;

/// What waits for the record, and how many were taken in this minute.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: VecDeque<(Event, Timestamp)>,
    minute: i64,
    taken: u32,
}

impl Events {
    /// Takes one in, unless there were too many.
    pub(super) fn take(&mut self, event: Event, per_minute_max: u32, now: Timestamp) -> bool {
        let minute = now.millis().div_euclid(MINUTE_MS);
        if minute != self.minute {
            (self.minute, self.taken) = (minute, 0);
        }
        if self.taken >= per_minute_max || self.waiting.len() >= WAITING_MAX {
            return false;
        }
        self.taken += 1;
        self.waiting.push_back((event, now));
        true
    }

    fn next(&mut self) -> Vec<(Event, Timestamp)> {
        let count = self.waiting.len().min(BATCH_MAX);
        self.waiting.drain(..count).collect()
    }
}

/// Writes them into the record until the server stops, and once more then.
pub(super) async fn keep(app: &App, stop: &CancellationToken) {
    let mut often = tokio::time::interval(FRESH);
    often.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(often.tick()).await.is_some() {
        record(app).await;
    }
    record(app).await;
}

/// Writes what waits into the record. What the record does not take is lost, and counted.
async fn record(app: &App) {
    let events = app.metrics.statsd_events.lock().next();
    if events.is_empty() {
        return;
    }
    let count = events.len();
    let drafts: Vec<EventDraft> = events.into_iter().map(|(event, came)| draft(event, came)).collect();
    let done = app.transact(move |t| drafts.iter().try_for_each(|draft| t.record(draft.clone()).map(|_| ()))).await;
    if let Err(fault) = done {
        app.metrics.own.add("tenfold_statsd_events_lost_total", &[], count as f64);
        tracing::warn!(%fault, count, "events of StatsD clients were lost");
    }
}

fn draft(event: Event, came: Timestamp) -> EventDraft {
    // What moves a terminal's cursor has no place in the record.
    let plain = |text: &str, keeps: &[char]| -> String {
        text.trim().chars().map(|c| if c.is_control() && !keeps.contains(&c) { ' ' } else { c }).collect()
    };
    let title: String = plain(&event.title, &[]).chars().take(TITLE_CHARS_MAX).collect();
    let text: String = plain(&event.text, &['\n', '\t']).chars().take(TEXT_CHARS_MAX).collect();
    let first = text.lines().next().unwrap_or_default();
    let words = if first.is_empty() { title.clone() } else { format!("{title}: {first:.200}") };
    let of_tag = |wanted: &[&str]| event.tags.iter().find(|(name, _)| wanted.contains(&name.as_str()));
    // A name that could not be one of ours stays in the tags.
    let named = |wanted: &[&str]| {
        of_tag(wanted).map(|(_, value)| value.as_str()).filter(|value| check_name("service", value).is_ok())
    };
    let tags: Map<String, Value> = event.tags.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let data = json!({
        "title": title, "text": text, "alert_type": event.alert_type, "priority": event.priority, "source": event.source,
        "key": event.key, "host": event.host, "tags": tags,
    });
    let mut draft =
        EventDraft::new(Actor::robot("statsd"), Source::Agent, KIND, words).severity(Severity::Info).data(data);
    if let Some(service) = named(&["service"]) {
        draft = draft.service(service);
    }
    if let Some(environment) = named(&["env", "environment"]) {
        draft = draft.environment(environment);
    }
    let told = event.t_ms.map(Timestamp).filter(|at| came.since_ms(*at) <= LATE_MS_MAX);
    draft.occurred_at = told.map(|at| at.min(came));
    draft
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(title: &str) -> Event {
        Event { title: title.to_owned(), ..Event::default() }
    }

    #[test]
    fn only_so_many_are_taken_in_a_minute() {
        let mut events = Events::default();
        let took = |events: &mut Events, at: i64| (0..4).filter(|_| events.take(event("a"), 3, Timestamp(at))).count();
        assert_eq!((took(&mut events, 0), took(&mut events, 59_999), took(&mut events, 60_000)), (3, 0, 3));
        assert_eq!((events.next().len(), events.next().len()), (6, 0));
        assert!(!events.take(event("a"), 0, Timestamp(0)), "none at all");
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut events = Events::default();
        let taken = (0..WAITING_MAX + 5).filter(|_| events.take(event("a"), u32::MAX, Timestamp(0))).count();
        assert_eq!((taken, events.next().len()), (WAITING_MAX, BATCH_MAX));
    }

    #[test]
    fn an_event_says_what_and_where() {
        let came = Timestamp(200_000_000);
        let tags = [("service", "photos"), ("env", "prod"), ("x", "y")];
        let told = Event {
            text: "first\nsecond".to_owned(),
            t_ms: Some(199_000_000),
            tags: tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..event("Deployed")
        };
        let made = draft(told.clone(), came);
        assert_eq!((made.text.as_str(), made.kind.as_str()), ("Deployed: first", KIND));
        assert_eq!(
            (made.subject.service.as_deref(), made.subject.environment.as_deref()),
            (Some("photos"), Some("prod"))
        );
        assert_eq!((made.occurred_at, &made.data["tags"]["x"]), (Some(Timestamp(199_000_000)), &json!("y")));
        let odd = draft(Event { text: "x\u{1b}[2J".to_owned(), ..event("a\nb") }, came);
        assert_eq!(odd.text, "a b: x [2J");
        let ahead = draft(Event { t_ms: Some(i64::MAX), ..told.clone() }, came);
        assert_eq!(ahead.occurred_at, Some(came));
        let late =
            draft(Event { t_ms: Some(1), tags: vec![("service".to_owned(), "Not ours".to_owned())], ..told }, came);
        assert_eq!((late.occurred_at, late.subject.service), (None, None));
    }
}
