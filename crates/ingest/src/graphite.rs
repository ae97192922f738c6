//! Graphite: lines over TCP and UDP, pickles over TCP.
//!
//! Over TCP a sender that is too fast, or a store that cannot write, makes the connection wait; over UDP what cannot be
//! taken is lost and counted.

use std::sync::Arc;
use std::time::Duration;

use tenfold_app::App;
use tenfold_app::metrics::{BadLines, PushFault, Pushed, Source};
use tenfold_protocols::graphite::{GraphitePoint, PICKLE_BYTES_MAX, from_pickle, line};
use tenfold_types::Fault;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::datagrams::{Buffers, DROPS_EVERY, Datagrams};
use crate::{ListenError, streams};

/// How often a connection's points are tried again, a few seconds apart, before they are given up.
const TRIES_MAX: usize = 12;
/// Pickles that are read and kept at once: one may be many times its size in points, which wait while nothing can be written.
const PICKLES_MAX: usize = 8;
const WHAT: &str = "Graphite";

pub(crate) async fn start(app: &App, stop: &CancellationToken, tasks: &TaskTracker) -> Result<(), ListenError> {
    let settings = &app.settings.graphite;
    if !settings.listen.is_empty() {
        let (listener, app) = (streams::bind(WHAT, &settings.listen).await?, app.clone());
        tasks.spawn(streams::serve(listener, stop.clone(), move |stream| lines(app.clone(), stream)));
    }
    if !settings.pickle_listen.is_empty() {
        let (listener, app) = (streams::bind(WHAT, &settings.pickle_listen).await?, app.clone());
        let places = Arc::new(Semaphore::new(PICKLES_MAX));
        tasks.spawn(streams::serve(listener, stop.clone(), move |stream| pickles(app.clone(), places.clone(), stream)));
    }
    if !settings.udp_listen.is_empty() {
        let socket = Datagrams::udp(WHAT, &settings.udp_listen).await?;
        tasks.spawn(datagrams(app.clone(), socket, stop.clone()));
    }
    Ok(())
}

/// Points of whole lines.
fn read(text: &[u8], bad: &mut BadLines) -> Vec<GraphitePoint> {
    let mut points = Vec::new();
    for text in text.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty()) {
        match line(text) {
            Ok(point) => points.push(point),
            Err(error) => add_bad(bad, 1, &error.to_string()),
        }
    }
    points
}

fn add_bad(bad: &mut BadLines, count: usize, why: &str) {
    if bad.count == 0 {
        why.clone_into(&mut bad.example);
    }
    bad.count += count;
}

async fn lines(app: App, stream: TcpStream) {
    let source = Source::new("graphite", "tcp");
    let mut lines = streams::Lines::new(stream, tenfold_protocols::graphite::LINE_BYTES_MAX);
    while let Some(piece) = lines.next().await {
        let mut bad = BadLines::default();
        if piece.too_long {
            add_bad(&mut bad, 1, "a line is longer than it may be");
        }
        let points = read(piece.lines, &mut bad);
        keep(&app, &source, points, bad).await;
    }
}

async fn pickles(app: App, places: Arc<Semaphore>, mut stream: TcpStream) {
    let source = Source::new("graphite", "pickle");
    while let Some(pickle) = streams::framed(&mut stream, PICKLE_BYTES_MAX).await {
        let Ok(_place) = places.acquire().await else { return };
        let mut bad = BadLines::default();
        // Work for the processor: not on a thread that serves connections.
        let Ok(read) = tokio::task::spawn_blocking(move || from_pickle(&pickle)).await else { return };
        let points = match read {
            Ok((points, wrong)) => {
                if wrong > 0 {
                    add_bad(&mut bad, wrong, "an entry is not (path, (timestamp, value))");
                }
                points
            }
            Err(error) => {
                add_bad(&mut bad, 1, &error.to_string());
                Vec::new()
            }
        };
        keep(&app, &source, points, bad).await;
    }
}

/// Writes, and waits while that is not possible.
async fn keep(app: &App, source: &Source, points: Vec<GraphitePoint>, bad: BadLines) {
    let read = Arc::new((points, bad));
    for _ in 0..TRIES_MAX {
        match write(app, source, &read).await {
            Ok(_) => return,
            Err(fault) => match fault.retry_after_s {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => break,
            },
        }
    }
    lost(app, source, read.0.len());
}

/// The disk may make it wait: not on a thread that serves connections.
async fn write(app: &App, source: &Source, read: &Arc<(Vec<GraphitePoint>, BadLines)>) -> Result<Pushed, PushFault> {
    let again = |fault| PushFault { fault, retry_after_s: None };
    let _place = app.metrics.push_place().await.map_err(again)?;
    let (app, source, read) = (app.clone(), source.clone(), read.clone());
    let write = move || app.metrics.push_graphite(&source, &read.0, &read.1, app.now());
    let written = tokio::task::spawn_blocking(write).await;
    written.map_err(|e| again(Fault::internal(format!("writing Graphite's points: {e}"))))?
}

fn lost(app: &App, source: &Source, count: usize) {
    let labels = [("protocol", source.protocol.as_str()), ("source", source.name.as_str())];
    app.metrics.own.add("tenfold_push_lost_total", &labels, count as f64);
}

async fn datagrams(app: App, socket: Datagrams, stop: CancellationToken) {
    let source = Source::new("graphite", "udp");
    let mut buffers = Buffers::new();
    let mut drops = tokio::time::interval(DROPS_EVERY);
    loop {
        let (mut points, mut bad) = (Vec::new(), BadLines::default());
        let received = tokio::select! {
            () = stop.cancelled() => return,
            _ = drops.tick() => {
                if let Some(count) = socket.tell(&app.metrics.own, "graphite", &mut buffers) {
                    app.metrics.own.set("tenfold_graphite_dropped_total", &[], count as f64);
                }
                continue;
            }
            received = socket.receive(&mut buffers, |packet| points.extend(read(packet, &mut bad))) => received,
        };
        if let Err(error) = received {
            tracing::warn!(%error, "a Graphite datagram could not be received");
        }
        if !points.is_empty() || bad.count > 0 {
            let read = Arc::new((points, bad));
            if write(&app, &source, &read).await.is_err() {
                lost(&app, &source, read.0.len());
            }
        }
        tokio::task::yield_now().await;
    }
}
