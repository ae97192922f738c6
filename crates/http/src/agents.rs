//! The agents' door: certificates for hosts, and one WebSocket per host, text frames both ways, blobs to the host as binary frames.
//!
//! Frames have caps, a silent line is closed, and a blob is sent only by its digest from the blob store. Nothing that takes time
//! to be made holds up a line.

mod parcels;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use axum::{Extension, Json};
use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use tenfold_app::App;
use tenfold_app::agents::{EnrolRequest, HostCertificate, Issued, RenewRequest};
use tenfold_app::deploys::{AgentSession, Long};
use tenfold_app::people::Token;
use tenfold_deploys::Digest;
use tenfold_httpkit::outgoing::is_this_machine;
use tenfold_httpkit::server::Encrypted;
use tenfold_protocols::agent::{
    BlobDigest, CHUNK_BYTES_MAX, FromAgent, LONG_KEPT_BYTES_MAX, READ_BYTES, TEXT_FRAME_BYTES_MAX, ToAgent,
    decode_from_agent, encode_chunk,
};
use tenfold_types::{ErrorCode, Fault};
use tokio::sync::mpsc;
use utoipa_axum::routes;

use crate::auth::Identity;
use crate::{Api, ApiError, Body, Policy};
use parcels::Wanted;

pub fn api() -> Api {
    Api::new("agents")
        .add(Policy::Agent, routes!(connect))
        .add(Policy::Public, routes!(enrol))
        .add(Policy::Host, routes!(renew))
}

/// The first message must come within this time.
const HELLO: Duration = Duration::from_secs(10);
/// An agent reports every few seconds; after this silence the line counts as dead.
const SILENCE: Duration = Duration::from_secs(20);
/// The server says something at least this often.
const PING: Duration = Duration::from_secs(5);
/// A frame that cannot be sent within this time ends the connection.
const SEND: Duration = Duration::from_secs(30);
/// Blobs an agent has asked for and not got yet.
const WANTED_MAX: usize = 16_384;

/// A longer message is compressed.
const LONG_BYTES_MIN: usize = 4 * 1024;

/// What lets an agent in.
enum Credential {
    Token(Arc<Token>),
    Host(Arc<HostCertificate>),
}

impl Credential {
    /// Waits until it does not count any more; returns why the connection ends.
    async fn ended(&self, app: &App) -> &'static str {
        match self {
            Self::Token(token) => {
                app.token_ended(&token.id).await;
                "its token was revoked or has expired"
            }
            Self::Host(certificate) => {
                app.agent_certificate_ended(&certificate.fingerprint).await;
                "its certificate was revoked or has expired"
            }
        }
    }
}

/// The first certificate of a host, for its enrolment token. Only at the agents' own address.
#[utoipa::path(post, path = "/agent/v1/enrol", request_body = EnrolRequest, responses(
    (status = 200, body = Issued),
    (status = 401, description = "The token is unknown, used or expired."),
    (status = 403, description = "Not the agents' own address, or a token for another host."),
))]
async fn enrol(
    State(app): State<App>,
    encrypted: Option<Extension<Encrypted>>,
    Body(asked): Body<EnrolRequest>,
) -> Result<Json<Issued>, ApiError> {
    if encrypted.is_none() {
        return Err(ApiError(
            Fault::forbidden("hosts are enrolled at the agents' own address, where nobody can listen")
                .advice("it is `listen` under [agents] in the server's settings"),
        ));
    }
    Ok(Json(app.agent_enrol(asked).await?))
}

/// The next certificate of a host, for the one it shows.
#[utoipa::path(post, path = "/agent/v1/renew", request_body = RenewRequest, responses(
    (status = 200, body = Issued),
    (status = 401, description = "The certificate was revoked, has expired, or was not shown."),
))]
async fn renew(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    Body(asked): Body<RenewRequest>,
) -> Result<Json<Issued>, ApiError> {
    let Identity::Host(held) = identity else {
        return Err(ApiError(Fault::new(ErrorCode::Unauthenticated, "this address takes a host's certificate")));
    };
    Ok(Json(app.agent_renew(&held, &asked.request).await?))
}

/// The connection of an agent (WebSocket).
#[utoipa::path(get, path = "/agent/v1/connect", responses(
    (status = 101, description = "WebSocket"),
    (status = 403, description = "Plain tokens are not taken from there."),
))]
async fn connect(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer.ip().to_canonical());
    let credential = match identity {
        Identity::Host(certificate) => Credential::Host(certificate),
        Identity::Token(token) => {
            app.agent_token_allowed(peer.is_some_and(|peer| peer.is_loopback()))?;
            Credential::Token(token)
        }
        _ => return Err(ApiError(Fault::new(ErrorCode::Unauthenticated, "this address is for agents"))),
    };
    Ok(upgrade
        .read_buffer_size(READ_BYTES)
        .max_message_size(TEXT_FRAME_BYTES_MAX)
        .max_frame_size(TEXT_FRAME_BYTES_MAX)
        .on_upgrade(move |socket| serve(app, credential, peer.filter(|peer| !is_this_machine(*peer)), socket)))
}

type Sink = SplitSink<WebSocket, Message>;

async fn serve(app: App, credential: Credential, peer: Option<IpAddr>, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let Ok(Some(Ok(Message::Text(first)))) = tokio::time::timeout(HELLO, stream.next()).await else { return };
    let (session, packs) = match take_in(&app, &credential, peer, &first).await {
        Ok(taken) => taken,
        Err(fault) => {
            tracing::warn!(%fault, "an agent was refused");
            let reason =
                if fault.advice.is_empty() { fault.message } else { format!("{}: {}", fault.message, fault.advice) };
            let _ = send(&mut sink, text_of(&ToAgent::Refused { reason })).await;
            return;
        }
    };
    let name = session.name.clone();
    tracing::info!(host = %name, "agent connected");
    let mut session = session;
    let reason = tokio::select! {
        reason = talk(&app, &mut session, packs, &mut sink, &mut stream) => reason,
        reason = credential.ended(&app) => reason.to_owned(),
    };
    tracing::info!(host = %name, %reason, "agent disconnected");
    app.agent_disconnect(&session);
}

/// Also says whether the agent takes packs.
async fn take_in(
    app: &App,
    credential: &Credential,
    peer: Option<IpAddr>,
    first: &str,
) -> Result<(AgentSession, bool), Fault> {
    let hello = decode_from_agent(first).map_err(|e| Fault::new(ErrorCode::BadRequest, e.to_string()))?;
    if let FromAgent::Hello { name, environment, .. } = &hello {
        match credential {
            Credential::Token(token) => {
                if let Some(bound) = token.environment.as_ref().filter(|bound| *bound != environment) {
                    return Err(Fault::forbidden(format!("the agent's token is for {bound}, not for {environment}")));
                }
                app.agent_token_may_be(name)?;
            }
            Credential::Host(held) if held.host != *name || held.environment != *environment => {
                return Err(Fault::forbidden(format!(
                    "the certificate is for {} in {}, not for {name} in {environment}",
                    held.host, held.environment
                ))
                .advice("start the agent with the name and environment it was enrolled with"));
            }
            Credential::Host(_) => {}
        }
    }
    let packs = matches!(hello, FromAgent::Hello { packs: true, .. });
    Ok((app.agent_connect_from(hello, peer).await?, packs))
}

/// Until the line breaks; returns why.
async fn talk(
    app: &App,
    session: &mut AgentSession,
    packs: bool,
    sink: &mut Sink,
    stream: &mut (impl StreamExt<Item = Result<Message, axum::Error>> + Unpin),
) -> String {
    let (want, wanted) = mpsc::unbounded_channel();
    let (ready, mut parcels) = mpsc::channel(parcels::READY_MAX);
    let waiting = AtomicUsize::new(0);
    let mut told = Told { packs, stage: None };
    // beside the line, which goes on meanwhile
    let preparing = parcels::prepare(app, packs, wanted, ready, &waiting);
    tokio::pin!(preparing);
    let mut ping = tokio::time::interval(PING);
    let mut heard = tokio::time::Instant::now();
    let stopping = app.deploys.stopping();
    loop {
        let sent = tokio::select! {
            biased;
            () = stopping.cancelled() => return "the server stops".to_owned(),
            frame = stream.next() => {
                heard = tokio::time::Instant::now();
                let message = match frame {
                    None => return "it closed the line".to_owned(),
                    Some(Err(error)) => return error.to_string(),
                    Some(Ok(message)) => message,
                };
                match message {
                    Message::Text(frame) => {
                        if let Err(reason) = heard_from(app, session, &frame, &want, &waiting).await {
                            return reason;
                        }
                    }
                    Message::Binary(_) => return "it sent a binary frame".to_owned(),
                    Message::Close(_) => return "it closed the line".to_owned(),
                    Message::Ping(_) | Message::Pong(_) => {}
                }
                continue;
            }
            message = session.messages.recv() => match message {
                Some(message) => say(app, sink, &mut told, &message).await,
                None => return "a newer connection took its place, or it took no messages".to_owned(),
            },
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE {
                    return "it was silent for 20 s".to_owned();
                }
                send(sink, Message::Ping(axum::body::Bytes::new())).await
            }
            Some(parcel) = parcels.recv() => parcels::send(app, sink, &mut told, parcel).await,
            () = &mut preparing => return "what it asked for cannot be prepared any more".to_owned(),
        };
        if let Err(reason) = sent {
            return reason;
        }
    }
}

async fn heard_from(
    app: &App,
    session: &AgentSession,
    frame: &str,
    want: &mpsc::UnboundedSender<Vec<Wanted>>,
    waiting: &AtomicUsize,
) -> Result<(), String> {
    let message = decode_from_agent(frame).map_err(|e| e.to_string())?;
    if let FromAgent::Need { blobs, bases } = &message {
        let asked = blobs.len().max(1);
        if waiting.fetch_add(asked, Ordering::Relaxed) + asked > WANTED_MAX {
            return Err(format!("it asked for more than {WANTED_MAX} blobs at once"));
        }
        let _ = want.send(blobs.iter().map(|blob| (*blob, bases.get(blob).copied())).collect());
    }
    app.agent_message(session, message).await.map_err(|f| f.message)
}

async fn send(sink: &mut Sink, message: Message) -> Result<(), String> {
    match tokio::time::timeout(SEND, sink.send(message)).await {
        Ok(sent) => sent.map_err(|e| e.to_string()),
        Err(_) => Err("it took no frame for 30 s".to_owned()),
    }
}

/// What an agent takes and was told over this line.
struct Told {
    packs: bool,
    /// The last long order to stage.
    stage: Option<Arc<Long>>,
}

/// A message; a long one in gzip, where the agent takes that.
async fn say(app: &App, sink: &mut Sink, told: &mut Told, message: &ToAgent) -> Result<(), String> {
    let text = serde_json::to_string(message).unwrap_or_default();
    if !told.packs || text.len() < LONG_BYTES_MIN {
        return send(sink, Message::Text(text.into())).await;
    }
    let long = app.long_text(text);
    let stage = matches!(message, ToAgent::Stage { .. });
    let before = told.stage.as_ref().filter(|_| stage);
    let packed = app.long_packed(&long, before).await.ok_or("a message could not be packed")?;
    let digest = |digest: Digest| BlobDigest(*digest.bytes());
    let announced = ToAgent::Long {
        pack: digest(packed.digest),
        size: packed.bytes.len() as u64,
        bytes: long.text.len() as u64,
        base: before.filter(|_| packed.over).map(|before| digest(before.digest)),
    };
    send(sink, text_of(&announced)).await?;
    chunks(sink, digest(packed.digest), &packed.bytes).await?;
    if stage && long.text.len() <= LONG_KEPT_BYTES_MAX {
        told.stage = Some(long);
    }
    Ok(())
}

async fn chunks(sink: &mut Sink, digest: BlobDigest, bytes: &[u8]) -> Result<(), String> {
    for chunk in bytes.chunks(CHUNK_BYTES_MAX) {
        send(sink, Message::Binary(encode_chunk(digest, chunk).into())).await?;
    }
    Ok(())
}

fn text_of(message: &ToAgent) -> Message {
    Message::Text(serde_json::to_string(message).unwrap_or_default().into())
}
