//! Incidents: opened by an alert that pages or by a person, escalated until somebody acknowledges, resolved by their
//! alerts or by hand, told afterwards as a timeline.
//!
//! A page is decided once: its row, the escalation's next state and the event are one transaction. It is delivered at
//! least once: `sending` with an idempotency key is committed before anything leaves, and what a crash left in `sending`
//! is sent again under the same key. What was acknowledged is never sent again.

mod browsers;
mod clock;
mod deliver;
mod drill;
mod endings;
mod escalate;
mod foretell;
mod keys;
mod manage;
mod message;
mod muted;
mod onward;
mod open;
mod owed;
mod page_why;
mod paged;
mod phone;
mod reasons;
mod reopen;
mod room;
mod stored;
mod story;
mod test_page;
mod updates;
mod views;
mod words;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tenfold_types::{Fault, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{App, alerts::LabelsRead};

pub use drill::{DrillChannelView, DrillScoreView};
pub use foretell::{ForetoldIncident, ForetoldPage, ForetoldStep};
pub use manage::{Acknowledged, NewIncident, Resolution};
pub use muted::Paused;
pub use onward::{ASKED_AGAIN_MS, HandOver, SeenPlace};
pub use page_why::PageWhyView;
pub use reasons::PageReason;
pub use story::TimelineEventView;
pub use views::{AskedView, AttemptView, EscalationView, IncidentView, NewsView, PageView, PlannedView};

pub(crate) use deliver::{backoff_ms, in_time};
pub(crate) use endings::Endings;
pub(crate) use foretell::{Told, played};
pub(crate) use keys::{About, FALLBACK_POLICY, other_policy, policy_for, policy_of};
pub(crate) use open::{GuardIncident, Joining, join, number_for, open_by_guard};
pub(crate) use paged::{paged_between, paged_counts, paged_since};
pub(crate) use stored::{CameBy, acknowledged_by, over_since, person};
pub(crate) use test_page::{Reach, last_test};

/// How often escalations and deliveries are looked at when nothing wakes the loop.
const TICK: Duration = Duration::from_millis(500);

/// What this part keeps in memory: how to wake its loop, and what is under way.
#[derive(Default)]
pub struct State {
    wake: Notify,
    working: tokio::sync::Mutex<()>,
    pages: Mutex<room::Room>,
    news: Mutex<room::Room>,
    /// Of the incidents that stand still.
    labels_read: Arc<Mutex<LabelsRead>>,
    /// When this process last looked at what is due.
    looked_at: Mutex<Option<Timestamp>>,
}

impl State {
    /// Something was committed that the loop should look at now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    fn room(&self, kind: room::Kind) -> &Mutex<room::Room> {
        match kind {
            room::Kind::Page => &self.pages,
            room::Kind::News => &self.news,
        }
    }
}

#[expect(clippy::unused_async, reason = "every part is loaded in the same way")]
pub async fn load(app: &App) -> Result<(), Fault> {
    app.settings.alerts.check()
}

/// Escalates and delivers until it is stopped.
pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.incidents.wake.notified() => {}
            () = tokio::time::sleep(TICK) => {}
        }
        // Deliveries go on by themselves; a mail server that hangs must not keep an escalation from its next step.
        match app.incidents_start().await {
            Ok(_) => app.pages_went_round(),
            Err(fault) => tracing::warn!(%fault, "pages could not be worked on; trying again"),
        }
    }
}

impl App {
    /// One look at what is due now: escalations first, then deliveries, until each has its answer. Tests call it after
    /// moving the clock.
    pub async fn incidents_tick(&self) -> Result<(), Fault> {
        for delivery in self.incidents_start().await? {
            // A delivery that panicked is left in `sending` and is sent again under the next epoch.
            let _ = delivery.await;
        }
        Ok(())
    }

    async fn incidents_start(&self) -> Result<Vec<tokio::task::JoinHandle<()>>, Fault> {
        let Ok(_one) = self.incidents.working.try_lock() else { return Ok(Vec::new()) };
        let Some(lease) = self.alerting_lease().await? else { return Ok(Vec::new()) };
        clock::follow(self, &lease).await?;
        let escalated = escalate::due(self, &lease).await;
        let mut started = deliver::start(self, &lease).await?;
        started.extend(updates::start(self, &lease).await?);
        escalated.map(|()| started)
    }
}
