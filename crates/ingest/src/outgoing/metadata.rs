//! What is known of metrics, told from time to time to receivers of version 1.0, whose samples do not carry it.
//!
//! Nothing waits on disk for it: what was not taken is told again the next time.

use std::sync::Arc;
use std::time::Duration;

use tenfold_protocols::remote_write::{Version, compress, put_metadata};
use tenfold_protocols::wire_out::Writer;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::send::{Outcome, Packed, Sender};

/// Families of one request, as many as Prometheus sends.
const FAMILIES_MAX: usize = 2_000;
const INTERVAL_MS_MIN: u64 = 100;

/// Tells until the end.
pub(super) async fn run(sender: Arc<Sender>, stop: CancellationToken) {
    let interval_ms = sender.receiver.settings.metadata_interval_ms;
    if interval_ms == 0 {
        return;
    }
    let every = Duration::from_millis(interval_ms.max(INTERVAL_MS_MIN));
    let mut tick = interval_at(Instant::now() + every, every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if sender.receiver.version() == Version::V1 {
            let Some(told) = stop.run_until_cancelled(tell(&sender)).await else { return };
            if let Err(message) = told {
                tracing::warn!(receiver = sender.receiver.settings.name, "metadata is not taken: {message}");
            }
        }
    }
}

async fn tell(sender: &Arc<Sender>) -> Result<(), String> {
    let known: Vec<_> = sender.app.metrics.metadata().into_iter().collect();
    for some in known.chunks(FAMILIES_MAX) {
        let mut out = Writer::default();
        for (family, about) in some {
            put_metadata(&mut out, family, about);
        }
        let body = compress(&out.into_bytes()).map_err(|e| e.to_string())?;
        match sender.post(Packed { version: Version::V1, body, samples: 0, exemplars_left_out: 0 }).await {
            Outcome::Done(_, None) => {}
            Outcome::Done(_, Some(message))
            | Outcome::Refused(message)
            | Outcome::OldOnly(message)
            | Outcome::Again(message, _) => return Err(message),
        }
    }
    Ok(())
}
