//! Ganglia: datagrams of gmond, and the XML of gmond and gmetad over TCP.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use tenfold_app::App;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ListenError;
use crate::datagrams::{Buffers, DROPS_EVERY, Datagrams};

const WHAT: &str = "Ganglia";
/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(crate) async fn start(app: &App, stop: &CancellationToken, tasks: &TaskTracker) -> Result<(), ListenError> {
    let settings = &app.settings.ganglia;
    if !settings.listen.is_empty() {
        let socket = Datagrams::udp(WHAT, &settings.listen).await?;
        if let (Some(group), Datagrams::Udp(udp)) = (settings.multicast_group, &socket) {
            let joined = udp.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED);
            joined.map_err(ListenError::of("Ganglia's multicast", &group.to_string()))?;
        }
        tasks.spawn(datagrams(app.clone(), socket, stop.clone()));
    }
    Ok(())
}

async fn datagrams(app: App, socket: Datagrams, stop: CancellationToken) {
    app.metrics.own.add("tenfold_ganglia_packets_total", &[], 0.0);
    let mut buffers = Buffers::new();
    let mut drops = tokio::time::interval(DROPS_EVERY);
    loop {
        let mut packets: Vec<Vec<u8>> = Vec::new();
        let received = tokio::select! {
            () = stop.cancelled() => return,
            _ = drops.tick() => {
                if let Some(count) = socket.tell(&app.metrics.own, "ganglia", &mut buffers) {
                    app.metrics.own.set("tenfold_ganglia_dropped_total", &[], count as f64);
                }
                continue;
            }
            received = socket.receive(&mut buffers, |packet| packets.push(packet.to_vec())) => received,
        };
        if let Err(error) = received {
            tracing::warn!(%error, "a Ganglia datagram could not be received");
        }
        keep(&app, packets).await;
        tokio::task::yield_now().await;
    }
}

/// The disk may make it wait: not on a thread that serves connections.
async fn keep(app: &App, packets: Vec<Vec<u8>>) {
    let (inside, count) = (app.clone(), packets.len());
    let write = move || inside.metrics.ganglia_packets(packets.iter().map(Vec::as_slice), inside.now());
    let lost = match tokio::task::spawn_blocking(write).await {
        Ok(Ok(())) => return,
        Ok(Err(fault)) => fault.fault.to_string(),
        Err(error) => error.to_string(),
    };
    let labels = [("protocol", "ganglia"), ("source", "udp")];
    app.metrics.own.add("tenfold_push_lost_total", &labels, count as f64);
    tracing::warn!(reason = lost, packets = count, "Ganglia datagrams were lost");
}

/// Everything a gmond or gmetad says when it is connected to.
pub(crate) async fn ask(address: &str, timeout_ms: u64) -> Result<Bytes, String> {
    let all = async {
        let stream = TcpStream::connect(address).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let within = Duration::from_millis(timeout_ms);
    match tokio::time::timeout(within, all).await {
        Err(_) => Err("the target did not answer in time".into()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(answer)) if answer.len() as u64 > ANSWER_BYTES_MAX => {
            Err(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"))
        }
        Ok(Ok(answer)) => Ok(answer.into()),
    }
}
