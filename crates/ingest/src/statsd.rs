//! StatsD over UDP. Datagrams that the kernel had to drop are counted too, so that loss is never silent.

use std::net::SocketAddr;
use std::time::Duration;

use tenfold_app::App;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

/// Largest datagram.
const PACKET_BYTES_MAX: usize = 65_536;
/// What is asked of the kernel as queue, in bytes; it may give less.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// Datagrams read in one go before others get their turn.
const BATCH_PACKETS_MAX: usize = 256;
const DROPS_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
#[error("cannot listen for StatsD on {address}")]
pub struct StatsdError {
    address: String,
    #[source]
    source: std::io::Error,
}

pub async fn bind(address: &str) -> Result<UdpSocket, StatsdError> {
    let socket =
        UdpSocket::bind(address).await.map_err(|source| StatsdError { address: address.to_owned(), source })?;
    // A smaller queue only means that bursts are lost sooner, which is counted.
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBuf, &QUEUE_BYTES);
    Ok(socket)
}

pub async fn listen(app: App, socket: UdpSocket, stop: CancellationToken) {
    let mut buffer = vec![0u8; PACKET_BYTES_MAX];
    let mut drops = tokio::time::interval(DROPS_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = drops.tick() => {
                if let Some(count) = socket.local_addr().ok().and_then(dropped) {
                    app.metrics.own.set("tenfold_statsd_dropped_total", &[], count as f64);
                }
            }
            received = socket.recv_from(&mut buffer) => match received {
                Ok((len, _)) => {
                    app.metrics.statsd_packet(&buffer[..len], app.now());
                    // What waits already is taken without going to sleep in between.
                    for _ in 1..BATCH_PACKETS_MAX {
                        let Ok((len, _)) = socket.try_recv_from(&mut buffer) else { break };
                        app.metrics.statsd_packet(&buffer[..len], app.now());
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a StatsD datagram could not be received");
                    tokio::task::yield_now().await;
                }
            },
        }
    }
}

/// Datagrams the kernel dropped because this socket's queue was full: the last column of `/proc/net/udp`.
fn dropped(address: SocketAddr) -> Option<u64> {
    let table = if address.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    let text = std::fs::read_to_string(table).ok()?;
    let port = format!(":{:04X}", address.port());
    text.lines()
        .filter(|line| line.split_ascii_whitespace().nth(1).is_some_and(|local| local.ends_with(&port)))
        .find_map(|line| line.split_ascii_whitespace().next_back()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernels_count_of_drops_is_found() {
        let socket = bind("127.0.0.1:0").await.unwrap();
        assert_eq!(dropped(socket.local_addr().unwrap()), Some(0));
    }

    #[tokio::test]
    async fn datagrams_are_counted_and_aggregated() {
        const DATAGRAMS: usize = 1_000;
        let dir = tempfile::tempdir().unwrap();
        let db = tenfold_testkit::temp_db().await;
        let settings = tenfold_app::Settings { data_dir: dir.path().to_owned(), ..Default::default() };
        let metrics = tenfold_app::metrics::State::open(&settings).unwrap();
        let clock = std::sync::Arc::new(tenfold_testkit::TestClock::default());
        let entropy = std::sync::Arc::new(tenfold_testkit::TestEntropy::default());
        let app = App::new((*db).clone(), clock, entropy, settings, metrics);
        let socket = bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(listen(app.clone(), socket, stop.clone()));
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for _ in 0..DATAGRAMS {
            client.send_to(b"photos.uploads:1|c\nbroken", address).await.unwrap();
        }
        let own = |name: &str| app.metrics.own.get(name, &[]);
        // The loop runs whenever this test gives way; a lost datagram shows as the time running out.
        let all = async {
            while own("tenfold_statsd_packets_total") < DATAGRAMS as f64 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("loopback loses nothing");
        assert_eq!(own("tenfold_statsd_bad_lines_total"), DATAGRAMS as f64);
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn an_address_in_use_is_said() {
        let socket = bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let error = bind(&address).await.unwrap_err();
        assert!(error.to_string().contains(&address));
    }
}
