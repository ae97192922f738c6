//! The deploys and flips that may be behind an alert, read from the record.

use std::collections::BTreeMap;

use tenfold_alerting::{Change, ChangeKind, Suspect, rank_suspects};
use tenfold_store::{Tx, events, events::EventQuery, people};
use tenfold_types::{Event, Fault, Timestamp};

use super::views::SuspectView;
use crate::App;

const EVENTS_MAX: usize = 1_000;
/// A deploy counts from the instant it first touched hosts.
const DEPLOY_KINDS: [&str; 5] =
    ["deploy.canary_started", "deploy.host_activated", "deploy.promoting", "deploy.succeeded", "deploy.rolled_back"];
const FLIP_KINDS: [&str; 8] = [
    "flag.switched",
    "flag.changed",
    "flag.reverted",
    "flag.drill_started",
    "flag.ramp_step",
    "flag.ramp_started",
    "flag.guard_tripped",
    "flag.guard_gave_up",
];
/// What another tool put into a place that we deploy to as well, and changes that were told.
const FOREIGN_KINDS: [&str; 4] =
    ["cdevents.service.deployed", "cdevents.service.upgraded", "cdevents.service.rolledback", "change.told"];
/// Of a commit's subject line.
const MESSAGE_CHARS_MAX: usize = 60;
/// A change may begin this long after the measured onset: rates and scrapes lag.
const AFTER_MS: i64 = 60_000;

/// Suspects of an onset on `service` in `environment`, the likeliest first.
pub(crate) fn suspects(
    tx: &mut dyn Tx,
    service: Option<&str>,
    environment: Option<&str>,
    onset: Timestamp,
    window_ms: i64,
) -> Result<Vec<SuspectView>, Fault> {
    let span = Span { from: onset.plus_ms(-window_ms), to: onset.plus_ms(AFTER_MS) };
    let after = events::last_before(tx, span.from)?;
    Ok(Changes::read(tx, span, after)?.suspects(service, environment, onset, window_ms))
}

/// Alerts whose onsets lie closer together than this look at the changes that were read once for all of them.
const TOGETHER_MS: i64 = 600_000;

/// Within which changes are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Span {
    /// For alerts with these onsets; nothing when they lie too far apart to be looked at together.
    pub(super) fn of_all(onsets: impl Iterator<Item = Timestamp> + Clone, window_ms: i64) -> Option<Self> {
        let (first, last) = (onsets.clone().min()?, onsets.max()?);
        let together = last.since_ms(first) <= TOGETHER_MS;
        together.then(|| Self { from: first.plus_ms(-window_ms), to: last.plus_ms(AFTER_MS) })
    }
}

/// For instants up to this much later, what is known of an earlier one is near enough.
const NEAR_MS: i64 = 600_000;

/// An event of which it is known that it and all before it were recorded before an instant. The record only grows, so that this
/// stays true, and of each later instant as well: then it only may not be the last such event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordedBefore {
    at: Timestamp,
    seq: i64,
}

impl RecordedBefore {
    fn serves(self, from: Timestamp) -> bool {
        (0..=NEAR_MS).contains(&from.since_ms(self.at))
    }
}

/// The number of an event behind which all lie that were recorded at `from` or later. Finding it takes a dozen reads: in a storm
/// each step would make them again, in the one writer of the store, for the same answer.
///
/// It is read as it is committed, never inside a transaction that may be taken back: what is kept has to stay true.
pub(super) async fn recorded_before(app: &App, from: Timestamp) -> Result<i64, Fault> {
    let known = *app.alerts.recorded_before.lock();
    if let Some(known) = known.filter(|known| known.serves(from)) {
        return Ok(known.seq);
    }
    let seq = app.read(move |tx| Ok(events::last_before(tx, from)?)).await?;
    *app.alerts.recorded_before.lock() = Some(RecordedBefore { at: from, seq });
    Ok(seq)
}

/// What changed in a span of time. Many alerts that begin together share it.
pub(super) struct Changes {
    /// The oldest first.
    events: Vec<Event>,
    names: BTreeMap<String, String>,
}

impl Changes {
    /// `after` is the number of an event behind which all lie that were recorded since the span began.
    pub(super) fn read(tx: &mut dyn Tx, Span { from, to }: Span, after: i64) -> Result<Self, Fault> {
        let query = EventQuery {
            kinds: DEPLOY_KINDS.iter().chain(&FLIP_KINDS).chain(&FOREIGN_KINDS).map(|k| (*k).to_owned()).collect(),
            // Nothing is recorded before it happens. With it each kind is a short walk from there, however many alerts
            // there are since; by time alone each of those is read.
            after: Some(after),
            from: Some(from),
            to: Some(to),
            limit: EVENTS_MAX,
            include_admin: true,
            ..EventQuery::default()
        };
        let mut events = events::list(tx, &query)?;
        events.reverse();
        if events.is_empty() {
            return Ok(Self { events, names: BTreeMap::new() });
        }
        let names = people::people(tx)?
            .into_iter()
            .filter_map(|row| {
                let body: serde_json::Value = serde_json::from_str(&row.body).ok()?;
                Some((row.login, body["name"].as_str()?.to_owned()))
            })
            .collect();
        Ok(Self { events, names })
    }

    pub(super) fn suspects(
        &self,
        service: Option<&str>,
        environment: Option<&str>,
        onset: Timestamp,
        window_ms: i64,
    ) -> Vec<SuspectView> {
        let (from, to) = (onset.plus_ms(-window_ms), onset.plus_ms(AFTER_MS));
        let near = self.events.iter().filter(|e| e.occurred_at >= from && e.occurred_at < to);
        views(rank_suspects(&changes(near), service, environment, onset), &self.names)
    }
}

fn views(ranked: Vec<Suspect>, names: &BTreeMap<String, String>) -> Vec<SuspectView> {
    ranked
        .into_iter()
        .map(|s| {
            let change = s.change;
            SuspectView {
                kind: match change.kind {
                    ChangeKind::Deploy => "deploy".to_owned(),
                    ChangeKind::Flip => "flip".to_owned(),
                },
                number: change.number,
                flag: change.flag,
                text: change.text,
                at: change.at,
                seq: change.seq,
                actor_name: names.get(&change.actor).cloned().unwrap_or(change.actor),
                rollback: change.rollback,
            }
        })
        .collect()
}

/// One change per deploy, at the instant it first touched hosts; one per flip.
fn changes<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<Change> {
    let mut deploys: BTreeMap<i64, Change> = BTreeMap::new();
    let mut out = Vec::new();
    for event in events {
        match event.kind.as_str() {
            kind if DEPLOY_KINDS.contains(&kind) => {
                let Some(number) = event.subject.deploy else { continue };
                deploys.entry(number).or_insert_with(|| deploy(event, number));
            }
            kind if FLIP_KINDS.contains(&kind) => out.push(flip(event)),
            kind if FOREIGN_KINDS.contains(&kind) && event.data["ours"] == true => out.push(foreign(event)),
            _ => {}
        }
    }
    out.extend(deploys.into_values());
    out
}

fn deploy(event: &Event, number: i64) -> Change {
    let sha = event.data["to_sha"].as_str().map(|s| s.get(..8).unwrap_or(s)).unwrap_or_default();
    let service = event.subject.service.clone().unwrap_or_default();
    let mut text = format!("deploy {number} of {service} {sha}").trim_end().to_owned();
    if let Some(message) = event.data["commits"][0]["message"].as_str() {
        let short: String = message.lines().next().unwrap_or("").chars().take(MESSAGE_CHARS_MAX).collect();
        text = match event.data["commit_count"].as_u64().unwrap_or(1) {
            0 | 1 => format!("{text} ({short})"),
            n => format!("{text} ({short}, and {} more)", n - 1),
        };
    }
    Change {
        kind: ChangeKind::Deploy,
        number: Some(number),
        flag: None,
        text,
        service: event.subject.service.clone(),
        environment: event.subject.environment.clone(),
        at: event.occurred_at,
        seq: event.seq,
        actor: event.on_behalf_of.as_ref().unwrap_or(&event.actor).id.clone(),
        rollback: event.data["deploy_kind"] == "rollback",
    }
}

/// It has no number of ours, so that it can only be looked at.
fn foreign(event: &Event) -> Change {
    Change {
        kind: ChangeKind::Deploy,
        number: None,
        flag: None,
        service: event.subject.service.clone(),
        environment: event.subject.environment.clone(),
        at: event.occurred_at,
        seq: event.seq,
        text: event.text.clone(),
        actor: event.actor.id.clone(),
        rollback: event.kind == "cdevents.service.rolledback",
    }
}

fn flip(event: &Event) -> Change {
    Change {
        kind: ChangeKind::Flip,
        number: None,
        flag: event.subject.flag.clone(),
        service: event.subject.service.clone(),
        environment: event.subject.environment.clone(),
        at: event.occurred_at,
        seq: event.seq,
        text: event.text.clone(),
        actor: event.actor.id.clone(),
        // A guard takes away; it is rarely the cause.
        rollback: event.kind.starts_with("flag.guard_"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tenfold_testkit::{TestClock, TestEntropy, temp_db};
    use tenfold_types::{Actor, EventDraft, Source};

    use super::*;
    use crate::counted::Counted;
    use crate::metrics::markers::tests::event;
    use crate::settings::Settings;

    #[test]
    fn what_another_tool_deploys_may_be_behind_an_alert_where_the_service_is_ours() {
        let ours = |seq, kind, is: bool| {
            let mut event = event(seq, kind, None, serde_json::json!({"ours": is}));
            event.subject.service = Some("photos".into());
            event
        };
        let events = [
            ours(1, "cdevents.service.upgraded", true),
            ours(2, "cdevents.service.upgraded", false),
            ours(3, "cdevents.service.rolledback", true),
            ours(4, "change.told", true),
            ours(5, "change.told", false),
        ];
        let found: Vec<_> = changes(events.iter()).into_iter().map(|c| (c.seq, c.kind, c.number, c.rollback)).collect();
        let deploy = ChangeKind::Deploy;
        assert_eq!(found, [(1, deploy, None, false), (3, deploy, None, true), (4, deploy, None, false)]);
    }

    #[test]
    fn alerts_that_begin_together_have_one_span() {
        let at = Timestamp(1_700_000_000_000);
        let span = |onsets: &[i64]| Span::of_all(onsets.iter().map(|ms| at.plus_ms(*ms)), 5_000);
        assert_eq!(span(&[]), None);
        let both = Span { from: at.plus_ms(-4_000), to: at.plus_ms(2_000 + AFTER_MS) };
        assert_eq!(span(&[2_000, 1_000]), Some(both));
        assert!(span(&[0, TOGETHER_MS]).is_some() && span(&[0, TOGETHER_MS + 1]).is_none());
    }

    async fn flips(app: &App, count: usize) {
        let recorded = app.transact(move |t| {
            for _ in 0..count {
                t.record(EventDraft::new(Actor::system(), Source::System, "flag.switched", "a flip"))?;
            }
            Ok(())
        });
        recorded.await.expect("it is recorded");
    }

    #[tokio::test]
    async fn what_was_recorded_before_is_looked_for_once_and_finds_the_same_changes() {
        let (db, dir, clock) =
            (temp_db().await, tempfile::tempdir().expect("a temporary directory"), TestClock::default());
        let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let metrics = crate::metrics::State::open(&settings).expect("the store of metrics opens");
        let entropy = Arc::new(TestEntropy::default());
        let app = App::new((*db).clone(), Arc::new(clock.clone()), entropy, settings, metrics);
        flips(&app, 3).await;
        clock.advance_ms(60_000);
        let from = app.now();
        flips(&app, 4).await;
        let first = recorded_before(&app, from).await.expect("it is read");
        clock.advance_ms(60_000);
        flips(&app, 5).await;
        // For a later one the same serves, for one that is earlier or far away it does not.
        let later = from.plus_ms(60_000);
        assert_eq!(recorded_before(&app, later).await.expect("it is known"), first);
        assert_eq!(app.alerts.recorded_before.lock().expect("it is kept").at, from);
        for span in [Span { from, to: app.now() }, Span { from: later, to: later.plus_ms(1) }] {
            let read = app.read(move |tx| {
                let (known, walked) = {
                    let mut counted = Counted::new(tx);
                    let known = Changes::read(&mut counted, span, first)?;
                    (known, counted.rows("recorded_at FROM events"))
                };
                let after = events::last_before(tx, span.from)?;
                let anew = Changes::read(tx, span, after)?;
                let numbers = |of: &Changes| of.events.iter().map(|event| event.seq).collect::<Vec<_>>();
                Ok((numbers(&known), numbers(&anew), walked))
            });
            let (known, anew, walked) = read.await.expect("changes are read");
            assert!(!known.is_empty() && known == anew && walked == 0, "{known:?} {anew:?} {walked}");
        }
        let earlier = recorded_before(&app, from.plus_ms(-1)).await.expect("it is read");
        assert_eq!(earlier, first);
        assert_eq!(app.alerts.recorded_before.lock().expect("it is kept").at, from.plus_ms(-1));
        let far = recorded_before(&app, from.plus_ms(NEAR_MS)).await.expect("it is read");
        assert_eq!(far, first + 9, "all of them");
    }
}
