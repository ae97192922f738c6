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
mod escalate;
mod foretell;
mod keys;
mod manage;
mod message;
mod open;
mod owed;
mod page_why;
mod paged;
mod reasons;
mod reopen;
mod stored;
mod story;
mod test_page;
mod updates;
mod views;

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use tenfold_types::{Fault, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::App;

pub use drill::{DrillChannelView, DrillScoreView};
pub use foretell::{ForetoldIncident, ForetoldPage, ForetoldStep};
pub use manage::{Acknowledged, NewIncident, Resolution};
pub use page_why::PageWhyView;
pub use reasons::PageReason;
pub use story::TimelineEventView;
pub use views::{AttemptView, EscalationView, IncidentView, NewsView, PageView, PlannedView};

pub(crate) use deliver::{SEND_TIMEOUT, backoff_ms};
pub(crate) use foretell::Told;
pub(crate) use keys::{About, other_policy};
pub(crate) use open::{GuardIncident, Joining, alert_ended, join, number_for, open_by_guard};
pub(crate) use paged::paged_since;
pub(crate) use stored::{acknowledged_by, is_over, person};
pub(crate) use test_page::{Reach, last_test};

/// How often escalations and deliveries are looked at when nothing wakes the loop.
const TICK: Duration = Duration::from_millis(500);

/// What this part keeps in memory: how to wake its loop, and the keys of the deliveries that are under way.
#[derive(Default)]
pub struct State {
    wake: Notify,
    working: tokio::sync::Mutex<()>,
    under_way: Mutex<BTreeSet<String>>,
    /// When this process last looked at what is due.
    looked_at: Mutex<Option<Timestamp>>,
}

impl State {
    /// Something was committed that the loop should look at now.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
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

/// A key of what is being sent, which is taken away however its task ends.
struct UnderWay(App, String);

impl UnderWay {
    /// Nothing when it is being sent, or `max` others are.
    fn enter(app: &App, key: &str, max: usize) -> Option<Self> {
        let mut under_way = app.incidents.under_way.lock();
        let new = under_way.len() < max && under_way.insert(key.to_owned());
        drop(under_way);
        new.then(|| Self(app.clone(), key.to_owned()))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.incidents.under_way.lock().remove(&self.1);
    }
}
