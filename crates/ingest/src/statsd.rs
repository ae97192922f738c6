//! StatsD over UDP, TCP and Unix sockets, for datagrams and for streams.

use std::io;

use tenfold_app::App;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::datagrams::{Buffers, DROPS_EVERY, Datagrams, PACKET_BYTES_MAX};
use crate::{ListenError, streams};

/// Longest line over TCP, in bytes.
const LINE_BYTES_MAX: usize = 8_192;
const WHAT: &str = "StatsD";
/// As Datadog calls it.
const UNIX_STREAM: &str = "unixstream";

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
    if !settings.unix_stream_socket.as_os_str().is_empty() {
        let listener = streams::UnixStreams::bind(WHAT, &settings.unix_stream_socket).await?;
        app.metrics.statsd_listens(UNIX_STREAM);
        let app = app.clone();
        tasks.spawn(streams::serve(listener, stop.clone(), move |stream| packets(app.clone(), stream)));
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

/// Packets of DogStatsD's clients. A quiet connection stays: what a client writes into one that was closed is lost.
async fn packets(app: App, stream: UnixStream) {
    let mut stream = BufReader::with_capacity(PACKET_BYTES_MAX, stream);
    let mut packet = Vec::new();
    loop {
        match framed(&mut stream, &mut packet).await {
            Ok(true) if packet.is_empty() => {}
            Ok(true) => app.metrics.statsd_packet(UNIX_STREAM, &packet, app.now()),
            Ok(false) => return,
            // Where the next one would begin is not known.
            Err(error) => {
                app.metrics.own.add("tenfold_statsd_bad_lines_total", &[("transport", UNIX_STREAM)], 1.0);
                tracing::debug!(%error, "a StatsD connection brought no packet and is closed");
                return;
            }
        }
    }
}

/// Reads the next packet behind its length, four bytes of which the lowest come first; false when the connection is over.
async fn framed(stream: &mut (impl AsyncRead + Unpin), packet: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(false);
    }
    stream.read_exact(&mut length[1..]).await?;
    let bytes = u32::from_le_bytes(length) as usize;
    if bytes > PACKET_BYTES_MAX {
        let message = format!("a packet has {bytes} bytes; at most {PACKET_BYTES_MAX} are taken");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    packet.resize(bytes, 0);
    stream.read_exact(packet).await?;
    Ok(true)
}
