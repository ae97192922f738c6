//! The connection to a server: kept up, with longer and longer pauses while none answers. Where several are named, the agent
//! is at one of them, the first that answers in their order, so that the agents of a fleet that name them alike stay together.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tenfold_deploys::{Digest, Manifest};
use tenfold_protocols::agent::{
    BINARY_FRAME_BYTES_MAX, BlobDigest, FromAgent, PROTOCOL, READ_BYTES, TEXT_FRAME_BYTES_MAX, ToAgent, decode_chunk,
    decode_to_agent,
};
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig},
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    incoming::Came,
    turn::{Ended, Turn},
    unit,
    unit::Command,
};

const PAUSE_MS_MIN: u64 = 200;
const PAUSE_MS_MAX: u64 = 5_000;
const CONNECT: Duration = Duration::from_secs(10);
/// The server says something every 5 s, or the line counts as dead: before hosts that do not come count as out of reach.
const SILENCE: Duration = Duration::from_secs(15);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) async fn run(
    shared: Arc<Shared>,
    mut units: HashMap<String, mpsc::UnboundedSender<Command>>,
    mut said: mpsc::UnboundedReceiver<FromAgent>,
    measure: watch::Sender<Option<Duration>>,
    stop: CancellationToken,
) {
    let mut turn = Turn::new(shared.config.servers.len());
    loop {
        let server = shared.config.servers.get(turn.at).map_or("", String::as_str);
        let socket = tokio::select! {
            () = stop.cancelled() => return,
            socket = tokio::time::timeout(CONNECT, connect(&shared, server)) => socket,
        };
        match socket {
            Ok(Ok(socket)) => {
                tracing::info!(server, "connected");
                // answers to orders of an earlier connection are of no use: the server asks anew
                while said.try_recv().is_ok() {}
                // a question for blobs may be among them, so nobody may go on waiting for its answer
                shared.incoming.refuse_all("the connection to the server was lost");
                let ended = tokio::select! {
                    () = stop.cancelled() => return,
                    ended = talk(&shared, socket, &mut units, &mut said, &measure, &stop, &mut turn) => ended,
                };
                measure.send_replace(None);
                shared.incoming.refuse_all("the connection to the server was lost");
                tracing::warn!(server, reason = %ended, "the connection ended");
                turn.lost(&ended, Instant::now());
            }
            Ok(Err(reason)) => {
                tracing::warn!(%reason, server, "the server cannot be reached");
                turn.away(Instant::now());
            }
            Err(_) => {
                tracing::warn!(server, "the server did not answer");
                turn.hangs();
            }
        }
        let pause = pause(&shared.config.name, turn.rounds());
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Doubles each time. Hosts differ by a part of it that comes from their name, so that they do not all come at once.
fn pause(name: &str, tries: u32) -> Duration {
    let base = PAUSE_MS_MIN.saturating_mul(1 << tries.min(6)).min(PAUSE_MS_MAX);
    let hash = blake3::hash(format!("{name} {tries}").as_bytes());
    let part = u64::from(hash.as_bytes()[0]);
    Duration::from_millis(base / 2 + base * part / 512)
}

async fn connect(shared: &Shared, server: &str) -> Result<Socket, String> {
    let base = server.trim_end_matches('/');
    let base = match (base.strip_prefix("http://"), base.strip_prefix("https://")) {
        (Some(rest), _) => format!("ws://{rest}"),
        (_, Some(rest)) => format!("wss://{rest}"),
        _ => return Err(format!("`{base}` is not an address like http://tenfold.example:7070")),
    };
    let mut request = format!("{base}/agent/v1/connect").into_client_request().map_err(|e| e.to_string())?;
    let connector = if let Some(identity) = shared.identity.get() {
        if !base.starts_with("wss://") {
            return Err(format!("this host has a certificate, which needs an https:// address, not `{base}`"));
        }
        Some(Connector::Rustls(identity.tls(&shared.config.name)?))
    } else {
        let token = format!("Bearer {}", shared.config.token.trim());
        let value =
            HeaderValue::from_str(&token).map_err(|_| "the token holds characters that cannot be sent".to_owned())?;
        request.headers_mut().insert("authorization", value);
        None
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(TEXT_FRAME_BYTES_MAX))
        .max_frame_size(Some(TEXT_FRAME_BYTES_MAX.max(BINARY_FRAME_BYTES_MAX)));
    match tokio_tungstenite::connect_async_tls_with_config(request, Some(config), true, connector).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
            let body = answer.body().as_deref().map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default();
            Err(format!("the server answered {}: {}", answer.status(), body.chars().take(300).collect::<String>()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Talks until the line breaks; returns why.
async fn talk(
    shared: &Arc<Shared>,
    socket: Socket,
    units: &mut HashMap<String, mpsc::UnboundedSender<Command>>,
    said: &mut mpsc::UnboundedReceiver<FromAgent>,
    measure: &watch::Sender<Option<Duration>>,
    stop: &CancellationToken,
    turn: &mut Turn,
) -> Ended {
    let (mut sink, mut stream) = socket.split();
    let hello = FromAgent::Hello {
        protocol: PROTOCOL,
        name: shared.config.name.clone(),
        environment: shared.config.environment.clone(),
        labels: shared.config.labels.clone(),
        version: shared.config.version.clone(),
        releases: shared.all_releases(),
        packs: true,
        prepares: true,
        beside: shared.beside.lock().values().cloned().collect(),
    };
    if let Err(error) = sink.send(text(&hello)).await {
        return Ended::Said(error.to_string());
    }
    let mut heard = Instant::now();
    let mut heartbeat = tokio::time::interval(SILENCE);
    let mut renewals = shared.identity.get().map(super::identity::Identity::renewals);
    loop {
        let outgoing = tokio::select! {
            () = renewed(&mut renewals) => {
                return Ended::Said("the certificate was renewed; it connects anew with it".to_owned());
            }
            () = tokio::time::sleep_until(heard + SILENCE) => return Ended::Silent,
            frame = stream.next() => {
                heard = Instant::now();
                let message = match frame {
                    None => return Ended::Said("the server closed it".to_owned()),
                    Some(Err(error)) => return Ended::Said(error.to_string()),
                    Some(Ok(message)) => message,
                };
                match message {
                    Message::Text(frame) => match decode_to_agent(&frame) {
                        Ok(ToAgent::Welcome { heartbeat_ms, metrics_ms, .. }) => {
                            turn.welcome();
                            measure.send_replace(Some(Duration::from_millis(metrics_ms)));
                            heartbeat = tokio::time::interval(Duration::from_millis(heartbeat_ms.clamp(500, 15_000)));
                            continue;
                        }
                        Ok(ToAgent::Refused { reason }) => {
                            return Ended::Said(format!("the server refused this agent: {reason}"));
                        }
                        Ok(ToAgent::Report) => observed(shared),
                        Ok(message) => {
                            order(shared, units, stop, message).await;
                            continue;
                        }
                        Err(error) => return Ended::Said(format!("a frame was refused: {error}")),
                    },
                    Message::Binary(frame) => match came(shared, frame).await {
                        Ok(Came::Nothing) => continue,
                        Ok(Came::Again(blobs)) => {
                            let blobs = blobs.iter().map(|blob| BlobDigest(*blob.bytes())).collect();
                            text(&FromAgent::Need { blobs, bases: std::collections::BTreeMap::new() })
                        }
                        Ok(Came::Text(frame)) => match decode_to_agent(&frame) {
                            Ok(message) => {
                                if matches!(message, ToAgent::Stage { .. }) {
                                    shared.incoming.keep(frame);
                                }
                                order(shared, units, stop, message).await;
                                continue;
                            }
                            Err(error) => return Ended::Said(format!("a frame was refused: {error}")),
                        },
                        Err(error) => return Ended::Said(format!("a frame was refused: {error}")),
                    },
                    Message::Close(_) => return Ended::Said("the server closed it".to_owned()),
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
                }
            }
            Some(message) = said.recv() => text(&message),
            () = shared.changed.notified() => observed(shared),
            _ = heartbeat.tick() => observed(shared),
        };
        match tokio::time::timeout(SILENCE, sink.send(outgoing)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Ended::Said(error.to_string()),
            Err(_) => return Ended::Silent,
        }
    }
}

/// Takes a binary frame in: files are written, so not here.
async fn came(shared: &Arc<Shared>, frame: Bytes) -> Result<Came, String> {
    let shared = shared.clone();
    let taken = tokio::task::spawn_blocking(move || {
        let (digest, chunk) = decode_chunk(&frame).map_err(|e| e.to_string())?;
        shared.incoming.chunk(Digest::from_bytes(digest.0), chunk)
    });
    taken.await.unwrap_or_else(|e| Err(e.to_string()))
}

/// The next renewal; never, for an agent with a plain token.
async fn renewed(renewals: &mut Option<watch::Receiver<u64>>) {
    let moved = match renewals {
        Some(renewals) => renewals.changed().await.is_ok(),
        None => false,
    };
    if !moved {
        std::future::pending::<()>().await;
    }
}

fn observed(shared: &Shared) -> Message {
    text(&FromAgent::Observed { releases: shared.all_releases() })
}

fn text(message: &FromAgent) -> Message {
    Message::text(serde_json::to_string(message).unwrap_or_default())
}

async fn order(
    shared: &Arc<Shared>,
    units: &mut HashMap<String, mpsc::UnboundedSender<Command>>,
    stop: &CancellationToken,
    message: ToAgent,
) {
    let command = match message {
        ToAgent::Stage { order, digest, manifest } => match serde_json::from_value::<Manifest>(manifest) {
            Ok(manifest) if manifest.digest().bytes() == &digest.0 => {
                Command::Stage { order, digest: Digest::from_bytes(digest.0), manifest: Box::new(manifest) }
            }
            other => {
                let error = match other {
                    Ok(_) => "the manifest has another digest than the order".to_owned(),
                    Err(error) => format!("the manifest is refused: {error}"),
                };
                let (digest, log_tail) = (Some(digest), String::new());
                return shared.say(FromAgent::Failed { order, digest, error, log_tail, running: None });
            }
        },
        ToAgent::Activate { order, digest, run, keep_warm } => {
            Command::Activate { order, digest: Digest::from_bytes(digest.0), run, keep_warm }
        }
        ToAgent::Prepare { order, digest, run } => {
            Command::Prepare { order, digest: Digest::from_bytes(digest.0), run }
        }
        ToAgent::Flip { order, digest, keep_warm } => {
            Command::Flip { order, digest: Digest::from_bytes(digest.0), keep_warm }
        }
        ToAgent::Discard { order, after_ms } => Command::Discard { order, after_ms },
        ToAgent::Deactivate { order } => Command::Deactivate { order },
        ToAgent::NoBlob { digest } => {
            return shared
                .incoming
                .refuse(Digest::from_bytes(digest.0), "the server does not have a file of the release any more");
        }
        ToAgent::Delta { blob, base, delta, size } => {
            let [blob, base, delta] = [blob, base, delta].map(|d| Digest::from_bytes(d.0));
            return shared.incoming.delta(blob, base, delta, size);
        }
        ToAgent::Pack { pack, size, parts } => return shared.incoming.pack(Digest::from_bytes(pack.0), size, parts),
        ToAgent::Long { pack, size, bytes, base } => {
            let base = base.map(|base| Digest::from_bytes(base.0));
            return shared.incoming.text(Digest::from_bytes(pack.0), size, bytes, base);
        }
        ToAgent::Welcome { .. } | ToAgent::Report | ToAgent::Refused { .. } => return,
    };
    let service = command.order().service.clone();
    if !units.contains_key(&service) {
        let unit = unit::start(shared, &service, stop).await;
        units.insert(service.clone(), unit);
    }
    if let Some(unit) = units.get(&service) {
        let _ = unit.send(command);
    }
}
