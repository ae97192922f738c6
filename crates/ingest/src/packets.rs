//! Datagrams of monitoring daemons: Ganglia's gmond and collectd's plugin `network`, which also send to groups.

use std::net::Ipv4Addr;

use tenfold_app::App;
use tenfold_app::metrics::PushFault;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ListenError;
use crate::datagrams::{Buffers, DROPS_EVERY, Datagrams};

/// Takes datagrams in. An error means that they were lost.
type Take = fn(&App, &[Vec<u8>]) -> Result<(), PushFault>;

#[derive(Clone, Copy)]
pub(crate) struct Daemon {
    /// In sentences.
    name: &'static str,
    /// In names of metrics and labels.
    protocol: &'static str,
    /// The metric of what the kernel had to drop.
    dropped: &'static str,
    /// Before the first datagram: its counters stand at nothing.
    listens: fn(&App),
    take: Take,
    /// What is due without a datagram; asked for every second.
    due: fn(&App) -> Result<(), PushFault>,
}

pub(crate) const GANGLIA: Daemon = Daemon {
    name: "Ganglia",
    protocol: "ganglia",
    dropped: "tenfold_ganglia_dropped_total",
    listens: |app| app.metrics.own.add("tenfold_ganglia_packets_total", &[], 0.0),
    take: |app, packets| app.metrics.ganglia_packets(packets.iter().map(Vec::as_slice), app.now()),
    due: |app| app.metrics.ganglia_again(app.now()),
};
pub(crate) const COLLECTD: Daemon = Daemon {
    name: "collectd",
    protocol: "collectd",
    dropped: "tenfold_collectd_dropped_total",
    listens: |app| app.metrics.collectd_listens(),
    take: |app, packets| app.metrics.collectd_packets(packets.iter().map(Vec::as_slice), app.now()),
    due: |_| Ok(()),
};

/// Listens for a daemon's datagrams at an address, if there is one, and in the group that is given.
pub(crate) async fn start(
    app: &App,
    daemon: Daemon,
    (address, group): (&str, Option<Ipv4Addr>),
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(), ListenError> {
    if address.is_empty() {
        return Ok(());
    }
    let socket = Datagrams::udp(daemon.name, address).await?;
    if let (Some(group), Datagrams::Udp(udp)) = (group, &socket) {
        let joined = udp.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED);
        joined.map_err(ListenError::of(daemon.name, &group.to_string()))?;
    }
    (daemon.listens)(app);
    tasks.spawn(datagrams(app.clone(), daemon, socket, stop.clone()));
    Ok(())
}

async fn datagrams(app: App, daemon: Daemon, socket: Datagrams, stop: CancellationToken) {
    let mut buffers = Buffers::new();
    let mut drops = tokio::time::interval(DROPS_EVERY);
    loop {
        let mut packets: Vec<Vec<u8>> = Vec::new();
        let received = tokio::select! {
            () = stop.cancelled() => return,
            _ = drops.tick() => {
                if let Some(count) = socket.tell(&app.metrics.own, daemon.protocol, &mut buffers) {
                    app.metrics.own.set(daemon.dropped, &[], count as f64);
                }
                due(&app, daemon).await;
                continue;
            }
            received = socket.receive(&mut buffers, |packet| packets.push(packet.to_vec())) => received,
        };
        if let Err(error) = received {
            tracing::warn!(%error, of = daemon.name, "a datagram could not be received");
        }
        if !packets.is_empty() {
            keep(&app, daemon, packets).await;
        }
        tokio::task::yield_now().await;
    }
}

/// Does what is due. What fails comes again by itself.
async fn due(app: &App, daemon: Daemon) {
    let inside = app.clone();
    let Err(reason) = aside(move || (daemon.due)(&inside)).await else { return };
    tracing::warn!(reason, of = daemon.name, "values that are still so could not be written");
}

async fn keep(app: &App, daemon: Daemon, packets: Vec<Vec<u8>>) {
    let (inside, count) = (app.clone(), packets.len());
    let Err(lost) = aside(move || (daemon.take)(&inside, &packets)).await else { return };
    let labels = [("protocol", daemon.protocol), ("source", "udp")];
    app.metrics.own.add("tenfold_push_lost_total", &labels, count as f64);
    tracing::warn!(reason = lost, packets = count, of = daemon.name, "datagrams were lost");
}

/// The disk may make it wait: not on a thread that serves connections. An error is why it failed.
async fn aside(work: impl FnOnce() -> Result<(), PushFault> + Send + 'static) -> Result<(), String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|fault| fault.fault.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
