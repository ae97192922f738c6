//! StatsD over UDP, TCP and a Unix datagram socket.

use tenfold_app::App;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::datagrams::{Buffers, DROPS_EVERY, Datagrams};
use crate::{ListenError, streams};

/// Longest line over TCP, in bytes.
const LINE_BYTES_MAX: usize = 8_192;
const WHAT: &str = "StatsD";

pub(crate) async fn start(app: &App, stop: &CancellationToken, tasks: &TaskTracker) -> Result<(), ListenError> {
    let settings = &app.settings.statsd;
    if !settings.listen.is_empty() {
        let socket = Datagrams::udp(WHAT, &settings.listen).await?;
        tasks.spawn(listen(app.clone(), socket, stop.clone()));
    }
    if !settings.unix_socket.as_os_str().is_empty() {
        let socket = Datagrams::unix(WHAT, &settings.unix_socket)?;
        tasks.spawn(listen(app.clone(), socket, stop.clone()));
    }
    if !settings.tcp_listen.is_empty() {
        let listener = streams::bind(WHAT, &settings.tcp_listen).await?;
        app.metrics.statsd_listens("tcp");
        let app = app.clone();
        tasks.spawn(streams::serve(listener, stop.clone(), move |stream| lines(app.clone(), stream)));
    }
    Ok(())
}

async fn listen(app: App, socket: Datagrams, stop: CancellationToken) {
    let transport = socket.transport();
    app.metrics.statsd_listens(transport);
    let mut buffers = Buffers::new();
    let mut drops = tokio::time::interval(DROPS_EVERY);
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            _ = drops.tick() => {
                if let Some(count) = socket.tell(&app.metrics.own, "statsd", &mut buffers) {
                    app.metrics.own.set("tenfold_statsd_dropped_total", &[("transport", transport)], count as f64);
                }
                continue;
            }
            received = socket.receive(&mut buffers, |packet| app.metrics.statsd_packet(transport, packet, app.now())) => received,
        };
        if let Err(error) = received {
            tracing::warn!(%error, transport, "a StatsD datagram could not be received");
        }
        // Others get their turn between two batches.
        tokio::task::yield_now().await;
    }
}

async fn lines(app: App, stream: TcpStream) {
    let mut lines = streams::Lines::new(stream, LINE_BYTES_MAX);
    while let Some(piece) = lines.next().await {
        if piece.too_long {
            app.metrics.own.add("tenfold_statsd_bad_lines_total", &[("transport", "tcp")], 1.0);
        }
        if !piece.lines.is_empty() {
            app.metrics.statsd_packet("tcp", piece.lines, app.now());
        }
    }
}
