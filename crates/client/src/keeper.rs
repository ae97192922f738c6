//! The thread that writes the last good state to disk and sends what was counted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenfold_types::Timestamp;

use crate::client::now;
use crate::event::Event;
use crate::http::Server;
use crate::shared::{Shared, lock};
use crate::state_file;

/// Definitions that change quickly are written at most this often.
const SAVE_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Keeper {
    pub(crate) shared: Arc<Shared>,
    pub(crate) server: Server,
    pub(crate) state_file: Option<PathBuf>,
    pub(crate) counts_interval: Duration,
    pub(crate) app_name: String,
    pub(crate) instance: String,
    /// How long the last counts may take when the client stops.
    pub(crate) farewell_max: Duration,
}

impl Keeper {
    pub(crate) fn run(self) {
        let mut bucket_start = now();
        let mut sent = Instant::now();
        let mut registered = false;
        loop {
            self.shared.wait_for_work(self.counts_interval.saturating_sub(sent.elapsed()));
            self.save();
            let stopping = self.shared.is_stopping();
            if stopping || sent.elapsed() >= self.counts_interval {
                sent = Instant::now();
                let within = if stopping { self.farewell_max } else { Duration::MAX };
                registered = registered || stopping || self.register(within);
                if self.send(bucket_start, within) {
                    bucket_start = now();
                }
            }
            if stopping {
                self.save();
                return;
            }
            // A quickly changing state waits its turn; what came last is what is written.
            if self.state_file.is_some() {
                self.shared.rest(SAVE_EVERY.min(self.counts_interval));
            }
        }
    }

    fn save(&self) {
        let (Some(path), Some(state)) = (&self.state_file, self.shared.take_unsaved()) else { return };
        if let Err(error) = state_file::save(path, &state) {
            let reason = format!("{}: {error}", path.display());
            self.shared.tell(&Event::StateNotSaved { reason });
        }
    }

    fn register(&self, within: Duration) -> bool {
        let hello = json!({
            "appName": self.app_name,
            "instanceId": self.instance,
            "sdkVersion": concat!("tenfold-client:", env!("CARGO_PKG_VERSION")),
            "strategies": [],
            "started": now().to_string(),
            "interval": u64::try_from(self.counts_interval.as_millis()).unwrap_or(u64::MAX),
        });
        self.server.post("/api/client/register", &hello, within).is_ok()
    }

    /// True when everything counted so far has arrived.
    fn send(&self, start: Timestamp, within: Duration) -> bool {
        let report = lock(&self.shared.ledger).take();
        if report.is_empty() {
            return true;
        }
        let bucket = json!({"start": start.to_string(), "stop": now().to_string(), "toggles": report});
        let document: Value = json!({"appName": self.app_name, "instanceId": self.instance, "bucket": bucket});
        match self.server.post("/api/client/metrics", &document, within) {
            Ok(()) => true,
            Err(unanswered) => {
                lock(&self.shared.ledger).give_back(report);
                self.shared.tell(&Event::CountsNotSent { reason: unanswered.reason });
                false
            }
        }
    }
}
