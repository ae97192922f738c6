//! Tells the server how the host is doing, as often as the server asked for.

use std::sync::Arc;
use std::time::Duration;

use tenfold_protocols::agent::{FromAgent, METRICS_BYTES_MAX};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Shared, disk::Place, services, state::Kept};
use crate::host::{Group, Host};

/// However often the server asks.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Looks and tells, one look after the other, while `interval` says how often; without it nobody listens.
pub(super) async fn run(
    shared: Arc<Shared>,
    host: Host,
    mut interval: watch::Receiver<Option<Duration>>,
    stop: CancellationToken,
) {
    let mut dropped = 0;
    loop {
        let Some(pause) = *interval.borrow_and_update() else {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = interval.changed() => if changed.is_err() { return } else { continue },
            }
        };
        let left_out = look(&shared, &host).await;
        // How many varies from look to look with the processes of the host.
        if left_out > 0 && dropped == 0 {
            tracing::warn!(
                series = left_out,
                "the host has more series than one page takes; those read last are left out"
            );
        }
        dropped = left_out;
        tokio::select! {
            () = stop.cancelled() => return,
            // A new connection is told at once.
            changed = interval.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(pause.max(INTERVAL_MIN)) => {}
        }
    }
}

/// Gives how many series had no room.
async fn look(shared: &Arc<Shared>, host: &Host) -> u64 {
    let (host, config) = (host.clone(), shared.config.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let started = config.clock.now();
        let page = host.collect(&groups(&config.dir), &*config.clock).text(METRICS_BYTES_MAX);
        (page, config.clock.now().since_ms(started))
    });
    let Ok((page, took_ms)) = looked.await else {
        tracing::error!("reading the host's metrics panicked");
        return 0;
    };
    shared.say(FromAgent::Metrics { page: page.text, took_ms: u64::try_from(took_ms).unwrap_or(0) });
    page.dropped
}

/// The processes of each service: its release is the leader of a group of its own.
fn groups(dir: &std::path::Path) -> Vec<Group> {
    let of = |service: String| {
        let process = Kept::load(&Place::new(dir, &service)).current?.process?;
        process.is_alive().then_some(Group { service, id: process.pid })
    };
    services(dir).unwrap_or_default().into_iter().filter_map(of).collect()
}
