//! Looking: each permit's query is asked on its interval, and where the permit then stands is written together with what
//! is worth telling. Memory is never ahead of the store: when that is away, permits stay and then fail safe.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;
use tenfold_flags::{PermitState, PermitTransition};
use tenfold_store::{leases, permits as store};
use tenfold_tsdb::Sample;
use tenfold_types::{EventDraft, Fault, Labels, Severity, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{Permit, event};
use crate::{App, Caller};

const TICK: Duration = Duration::from_millis(500);
const LOOKS_AT_ONCE: usize = 4;
const LEASE: &str = "permits";
/// A node that is gone is replaced after this long.
const LEASE_TTL_MS: i64 = 10_000;
const LEASE_RENEW_MS: i64 = 3_000;
/// How often a node that does not look reads what the other one wrote.
const FOLLOW_MS: i64 = 1_000;

/// What this process believes to hold.
#[derive(Debug, Default, Clone)]
pub(super) struct Held {
    holder: String,
    epoch: Option<i64>,
    renewed_at: Timestamp,
    read_at: Timestamp,
}

/// Looks, until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {
                if let Err(fault) = app.permits_look().await {
                    tracing::warn!(%fault, "permits were not looked at; they stay and then fail safe");
                }
            }
        }
    }
}

/// One look at one permit.
struct Looked {
    job: String,
    environment: Option<String>,
    state: PermitState,
    told: Option<EventDraft>,
}

impl App {
    /// Looks at the permits whose turn it is. Public so that a test with a movable clock can call it.
    pub async fn permits_look(&self) -> Result<(), Fault> {
        let now = self.now();
        if self.permits.table.read().is_empty() {
            return self.permits_follow(now).await;
        }
        if !self.permits_lease(now).await? {
            return self.permits_follow(now).await;
        }
        let due: Vec<(String, Permit)> = {
            let table = self.permits.table.read();
            let due = |p: &&Permit| {
                let last = p.state.as_ref().map(|s| s.evaluated_at);
                last.is_none_or(|at| now.since_ms(at) >= p.law.interval_ms || at > now)
            };
            table.iter().filter(|(_, p)| due(p)).map(|(job, p)| (job.clone(), p.clone())).collect()
        };
        if due.is_empty() {
            return Ok(());
        }
        let looked: Vec<Looked> = stream::iter(due)
            .map(|(job, permit)| self.permit_look(job, permit))
            .buffer_unordered(LOOKS_AT_ONCE)
            .collect()
            .await;
        let states: Vec<(String, PermitState)> = looked.iter().map(|l| (l.job.clone(), l.state.clone())).collect();
        let samples: Vec<Sample> = looked.iter().flat_map(samples).collect();
        self.housekeeping(move |t| {
            for one in &looked {
                let text = serde_json::to_string(&one.state).map_err(|e| Fault::internal(e.to_string()))?;
                store::stand(t.tx(), &one.job, &text, one.state.evaluated_at)?;
                if let Some(told) = &one.told {
                    t.record(told.clone())?;
                }
            }
            Ok(())
        })
        .await?;
        {
            let mut table = self.permits.table.write();
            for (job, state) in states {
                if let Some(permit) = table.get_mut(&job) {
                    permit.state = Some(state);
                }
            }
        }
        if let Err(fault) = self.metrics.append(&samples) {
            tracing::warn!(%fault, "the series of the permits were lost");
        }
        Ok(())
    }

    async fn permit_look(&self, job: String, permit: Permit) -> Looked {
        let answer = self.query_numbers(&permit.law.query).await;
        let signal = answer.and_then(|rows| permit.law.signal(rows.into_iter().map(|(_, value)| value)));
        let now = self.now();
        let before = permit.state.clone().unwrap_or_else(|| PermitState::new(&permit.law, now));
        let (state, transition) = before.step(&permit.law, &signal, now);
        // The first look of all is a beginning, not a coming back.
        let transition = transition.filter(|t| permit.state.is_some() || *t != PermitTransition::SignalBack);
        let told = transition.map(|t| tell(&job, &permit, &state, t));
        Looked { job, environment: permit.law.environment, state, told }
    }

    /// Reads what another node wrote.
    async fn permits_follow(&self, now: Timestamp) -> Result<(), Fault> {
        let alone = self.settings.database_url.is_empty();
        let fresh = (0..FOLLOW_MS).contains(&now.since_ms(self.permits.lease.lock().read_at));
        if alone || fresh {
            return Ok(());
        }
        super::load(self).await?;
        self.permits.lease.lock().read_at = now;
        Ok(())
    }

    /// Whether this node is the one that looks.
    async fn permits_lease(&self, now: Timestamp) -> Result<bool, Fault> {
        if self.settings.database_url.is_empty() {
            // One process owns a SQLite file.
            return Ok(true);
        }
        let mut held = self.permits.lease.lock().clone();
        if held.holder.is_empty() {
            held.holder = self.random_text(12);
        }
        if held.epoch.is_some() && (0..LEASE_RENEW_MS).contains(&now.since_ms(held.renewed_at)) {
            return Ok(true);
        }
        let (holder, epoch) = (held.holder.clone(), held.epoch);
        let taken = self
            .housekeeping(move |t| {
                let now = t.now();
                if let Some(epoch) = epoch
                    && leases::renew(t.tx(), LEASE, &holder, epoch, now, LEASE_TTL_MS)?
                {
                    return Ok(Some(epoch));
                }
                Ok(leases::acquire(t.tx(), LEASE, &holder, now, LEASE_TTL_MS)?)
            })
            .await?;
        let fresh = taken.is_some() && held.epoch != taken;
        held.epoch = taken;
        held.renewed_at = now;
        *self.permits.lease.lock() = held;
        if fresh {
            super::load(self).await?;
        }
        Ok(taken.is_some())
    }
}

fn tell(job: &str, permit: &Permit, state: &PermitState, transition: PermitTransition) -> EventDraft {
    let value = format!("{:.2}", state.value);
    let signal = state.signal.map_or_else(String::new, |s| format!("{s:.4}"));
    let (kind, severity, text) = match transition {
        PermitTransition::ToFloor => (
            "permit.to_floor",
            Severity::Warning,
            format!(
                "the permit of {job} fell to {value}: the signal is {signal}, past its limit of {}",
                permit.law.limit
            ),
        ),
        PermitTransition::Back => ("permit.back", Severity::Good, format!("the permit of {job} is back up at {value}")),
        PermitTransition::FailSafe => (
            "permit.fail_safe",
            Severity::Warning,
            format!("the permit of {job} is {value}, its fail-safe value: {}", state.trouble),
        ),
        PermitTransition::SignalBack => (
            "permit.signal_back",
            Severity::Good,
            format!("the permit of {job} has a signal again, and goes on from {value}"),
        ),
    };
    event(&Caller::system(), kind, job, permit.law.environment.as_deref(), text)
        .severity(severity)
        .data(json!({"job": job, "state": state, "query": permit.law.query, "limit": permit.law.limit}))
}

fn samples(looked: &Looked) -> Vec<Sample> {
    let labels = |name: &str| {
        let environment = looked.environment.clone().unwrap_or_default();
        Labels::from_pairs([
            (Labels::NAME, name.to_owned()),
            ("job", "tenfold".to_owned()),
            ("permit", looked.job.clone()),
            ("environment", environment),
        ])
    };
    let at = looked.state.evaluated_at.millis();
    let mut all = vec![Sample::new(labels("tenfold_permit"), at, looked.state.value)];
    // The signal of an earlier look is no sample of this one.
    if let Some(signal) = looked.state.signal.filter(|_| looked.state.no_signal_since.is_none()) {
        all.push(Sample::new(labels("tenfold_permit_signal"), at, signal));
    }
    all
}
