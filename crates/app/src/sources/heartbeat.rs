//! Heartbeats: who says again and again that it is there, and of whom people are told when it says so no more (a dead-man's
//! switch).
//!
//! When it was heard last is in the store before the sender has its answer, so that a killed server knows it. The node that
//! takes alerts says that one is late, and that it is over; it says so first and remembers it afterwards, since saying it twice
//! changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};
use tenfold_store::alert_sources::{self as store, BeatRow};
use tenfold_types::{Fault, Timestamp, format_duration_ms};
use tokio_util::sync::CancellationToken;

use super::manage::spec_of;
use super::spec::BeatTimes;
use super::{AlertSourceKind, AlertSourceSpec, SENDER};
use crate::{App, Caller};

/// How often heartbeats are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A process that looks again only after this stood still, and heard nobody meanwhile.
const STANDSTILL_MS: i64 = 30_000;
/// Who had nowhere to send to has so long after a start of the server, and no longer than it has anyway.
pub(crate) const GRACE_MS: i64 = 300_000;
/// Beats this close to one another are stored once.
const APART_MS: i64 = 1_000;
/// A beat of a time to come so far away is of a clock that went wrong.
const AHEAD_MS: i64 = 60_000;
/// The one key under which a heartbeat's alert is known.
const KEY: &str = "heartbeat";
const ALERT: &str = "HeartbeatMissed";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeartbeatState {
    /// It was never heard; nobody is told of it before it was.
    Waiting,
    Beating,
    Late,
}

/// How a heartbeat stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HeartbeatView {
    pub state: HeartbeatState,
    #[schema(value_type = Option<String>)]
    pub last_at: Option<Timestamp>,
    /// When it is late unless it is heard before.
    #[schema(value_type = Option<String>)]
    pub due_at: Option<Timestamp>,
    /// Since when people are told that it is late.
    #[schema(value_type = Option<String>)]
    pub late_since: Option<Timestamp>,
    /// How often it was heard.
    pub beats: i64,
}

/// That a heartbeat was heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HeartbeatAnswer {
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// It is late unless it is heard again before this.
    #[schema(value_type = String)]
    pub due_at: Timestamp,
}

impl HeartbeatView {
    pub(super) fn new(times: BeatTimes, row: Option<&BeatRow>) -> Self {
        let state = match row {
            None => HeartbeatState::Waiting,
            Some(row) if row.late_at.is_some() => HeartbeatState::Late,
            Some(_) => HeartbeatState::Beating,
        };
        Self {
            state,
            last_at: row.map(|row| row.last_at),
            due_at: row.map(|row| row.last_at.plus_ms(times.patience_ms())),
            late_since: row.and_then(|row| row.late_at),
            beats: row.map_or(0, |row| row.beats),
        }
    }
}

/// Whether it is late. `since` is from when on this server listens without a break.
fn is_late(times: BeatTimes, row: &BeatRow, since: Timestamp, now: Timestamp) -> bool {
    // Only being heard ends it: a clock that is put back does not.
    if row.late_at.is_some() && row.beats == row.late_beats {
        return true;
    }
    let due = row.last_at.plus_ms(times.patience_ms());
    // What is late is over when it is heard, and not because a server was started.
    let due = match row.late_at {
        Some(_) => due,
        None => due.max(since.plus_ms(times.patience_ms().min(GRACE_MS))),
    };
    now > due
}

fn alert(name: &str, spec: &AlertSourceSpec, row: &BeatRow, url: String) -> KeyedAlert {
    let times = spec.beat_times().unwrap_or_default();
    let summary = format!("the heartbeat {name} is late: it was heard last at {}", row.last_at);
    let every = format_duration_ms(times.interval_ms);
    let description = format!("it beats every {every}, and has {} more", format_duration_ms(times.grace_ms));
    let severity = spec.severity.clone().unwrap_or_else(|| "critical".to_owned());
    spec.complete(
        name,
        KeyedAlert {
            key: KEY.to_owned(),
            state: SaidState::Firing,
            labels: BTreeMap::from([("alertname".to_owned(), ALERT.to_owned()), ("severity".to_owned(), severity)]),
            annotations: BTreeMap::from([("summary".to_owned(), summary), ("description".to_owned(), description)]),
            starts_at: None,
            url: Some(url),
        },
    )
}

fn over() -> KeyedAlert {
    KeyedAlert {
        key: KEY.to_owned(),
        state: SaidState::Resolved,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        starts_at: None,
        url: None,
    }
}

/// Looks at heartbeats until it is stopped.
pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
            () = app.sources.beat.notified() => {}
        }
        if let Err(fault) = app.heartbeats_tick().await {
            tracing::warn!(%fault, "heartbeats were not looked at; trying again");
        }
    }
}

impl App {
    /// A heartbeat is heard by its address. Who has the name and not the secret learns no more than who has neither.
    pub async fn heartbeat(&self, name: &str, secret: &str) -> Result<HeartbeatAnswer, Fault> {
        let unknown = || {
            Fault::not_found("there is no heartbeat with this name and secret")
                .advice("`tenfold sources secret NAME` makes a new address, which the sender has to take then")
        };
        let asked = name.to_owned();
        let row = self.read(move |tx| Ok(store::get(tx, &asked)?)).await?.ok_or_else(unknown)?;
        let (spec, own) = (spec_of(&row)?, self.source_beat_secret(&row.id)?);
        let fits = bool::from(subtle::ConstantTimeEq::ct_eq(own.as_bytes(), secret.as_bytes()));
        if !fits || spec.kind != AlertSourceKind::Heartbeat {
            return Err(unknown());
        }
        self.heartbeat_heard(name, &spec).await
    }

    pub(super) async fn heartbeat_heard(&self, name: &str, spec: &AlertSourceSpec) -> Result<HeartbeatAnswer, Fault> {
        let (now, patience_ms) = (self.now(), spec.beat_times()?.patience_ms());
        let stored = self.sources.beaten.lock().get(name).copied();
        let answer = |at: Timestamp| HeartbeatAnswer { at, due_at: at.plus_ms(patience_ms) };
        if let Some(at) = stored.filter(|at| (0..APART_MS).contains(&now.since_ms(*at))) {
            return Ok(answer(at));
        }
        let key = name.to_owned();
        self.housekeeping(move |t| Ok(store::beat(t.tx(), &key, now)?)).await?;
        self.sources.beaten.lock().insert(name.to_owned(), now);
        self.source_heard(name);
        // On another node than this one its loop says that it is over.
        self.sources.beat.notify_one();
        Ok(answer(now))
    }

    /// Says which heartbeats are late, and which are again as they should be. The loop calls it; tests do after moving the clock.
    pub async fn heartbeats_tick(&self) -> Result<(), Fault> {
        let now = self.now();
        let since = self.heartbeats_since(now);
        let rows = self.read(|tx| Ok(store::beats(tx)?)).await?;
        if rows.is_empty() || self.alerting_lease().await?.is_none() {
            return Ok(());
        }
        let mut specs = BTreeMap::new();
        for row in self.read(|tx| Ok(store::list(tx)?)).await? {
            let spec = spec_of(&row)?;
            if spec.kind == AlertSourceKind::Heartbeat {
                specs.insert(row.name, spec);
            }
        }
        for row in &rows {
            // One that cannot be told of now must not keep the others from it.
            if let Err(fault) = self.heartbeat_look(row, specs.get(&row.source), since, now).await {
                tracing::warn!(%fault, heartbeat = row.source, "a heartbeat could not be told of; trying again");
            }
        }
        Ok(())
    }

    /// From when on this process listens. One that stood still, or whose clock jumped, begins anew.
    fn heartbeats_since(&self, now: Timestamp) -> Timestamp {
        let mut listening = self.sources.listening.lock();
        let since = match *listening {
            Some((since, looked)) if (0..=STANDSTILL_MS).contains(&now.since_ms(looked)) => since,
            _ => now,
        };
        *listening = Some((since, now));
        since
    }

    async fn heartbeat_look(
        &self,
        row: &BeatRow,
        spec: Option<&AlertSourceSpec>,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let (name, key) = (row.source.as_str(), row.source.clone());
        let sender = (SENDER, name);
        let Some(spec) = spec else {
            // It was deleted, or is something else by now: nobody would say any more that it is over.
            if row.late_at.is_some() {
                self.alerts_keyed(&Caller::system(), sender, vec![over()]).await?;
            }
            self.sources.beaten.lock().remove(name);
            return self.housekeeping(move |t| Ok(store::beat_forget(t.tx(), &key)?)).await;
        };
        if now.since_ms(row.last_at) < -AHEAD_MS {
            return self.housekeeping(move |t| Ok(store::beat_not_after(t.tx(), &key, now)?)).await;
        }
        let late = is_late(spec.beat_times()?, row, since, now);
        if late == row.late_at.is_some() {
            return Ok(());
        }
        let said = if late { alert(name, spec, row, self.settings.link("/alerts/sources")) } else { over() };
        self.alerts_keyed(&spec.caller(name), sender, vec![said]).await?;
        let beats = row.beats;
        self.housekeeping(move |t| Ok(store::beat_late(t.tx(), &key, late.then_some(now), beats)?)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: BeatTimes = BeatTimes { interval_ms: 60_000, grace_ms: 30_000 };

    #[test]
    fn it_is_late_after_interval_and_grace_and_a_start_gives_no_more_than_that() {
        let row = |late_at: Option<Timestamp>| {
            let late_beats = i64::from(late_at.is_some());
            BeatRow { source: "a".into(), last_at: Timestamp(1_000_000), beats: 1, late_at, late_beats }
        };
        let late = |late_at: Option<i64>, since: i64, now: i64| {
            is_late(TIMES, &row(late_at.map(Timestamp)), Timestamp(since), Timestamp(now))
        };
        assert!(!late(None, 0, 1_090_000));
        assert!(late(None, 0, 1_090_001));
        // The server was not there to hear it.
        assert!(!late(None, 2_000_000, 2_090_000));
        assert!(late(None, 2_000_000, 2_090_001));
        // What was late before stays it.
        assert!(late(Some(1_100_000), 2_000_000, 2_000_001));
        assert!(late(Some(1_100_000), 0, 1_000_001), "the clock was put back, and nobody was heard");
        let heard = BeatRow { beats: 2, ..row(Some(Timestamp(1_100_000))) };
        assert!(!is_late(TIMES, &heard, Timestamp(0), Timestamp(1_000_001)));
        let nightly = BeatTimes { interval_ms: 86_400_000, grace_ms: 0 };
        let now = Timestamp(1_000_000 + 90_000_000);
        assert!(!is_late(nightly, &row(None), now.plus_ms(-GRACE_MS), now));
        assert!(is_late(nightly, &row(None), now.plus_ms(-GRACE_MS - 1), now), "a start does not give a day");
    }
}
