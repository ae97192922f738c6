//! Server-sent events for very many clients. A stream costs no task: once the head of its answer is on the wire, its
//! socket is taken out of the HTTP stack and parked with a few threads that wait for all of them at once (epoll).
//!
//! A client is never queued for. It holds one offset into one shared event; when that event is out, it is sent whatever
//! is newest then. A reader that stalls therefore costs its capped kernel buffer and nothing here, and is never thrown
//! out. Where a socket cannot be taken (HTTP/2, or no socket at all as in tests) the same events come out of an ordinary
//! body: see [`body`].
//!
//! This module must never hold a copy of an event per client, and never wait for one client while others wait for it.

mod body;
mod client;
mod gate;
mod parking;
mod reactor;
mod stats;
mod topic;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use tenfold_types::Fault;

use crate::ApiError;
use crate::server::CONNECTIONS_MAX;

pub use gate::Gate;
pub use parking::Opening;
pub(crate) use parking::Parkable;
pub use stats::{FLIP_BOUNDS_MS, Stats};
pub use topic::{News, Told, Topic, event};

use client::Newcomer;
use reactor::Reactor;
use stats::Counters;

/// How many streams there may be and what each gets.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Streams at once; one more is refused with 503 and told when to come again.
    pub clients_max: usize,
    /// Kernel memory for what a client has not read yet; the kernel doubles it for its own bookkeeping.
    pub send_buffer_bytes: usize,
    /// A comment goes to every idle stream this often, so that proxies do not close it and dead clients are found.
    pub keep_alive: Duration,
    /// Threads that wait for the parked sockets.
    pub threads: usize,
}

/// Streams at once, unless the operator or the limit on open files says otherwise.
pub const CLIENTS_MAX: usize = 50_000;
/// Where reconnecting starts: each client is told a time of its own from here on, so that they do not come back together.
const RETRY_MS: u64 = 1_000;
const RETRY_SPREAD_MS: u64 = 4_000;
/// The same for a client that was refused, in seconds.
const REFUSED_RETRY_S: u64 = 2;
const REFUSED_RETRY_SPREAD_S: u64 = 10;
/// Different streams (an environment, a protocol, a set of projects) at once.
const TOPICS_MAX: usize = 10_000;
/// Files that the rest of the process opens: stores, logs, listeners, connections to others.
const FILES_OF_OTHERS: usize = 512;

impl Default for Limits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            clients_max: CLIENTS_MAX,
            send_buffer_bytes: 16 * 1024,
            keep_alive: Duration::from_secs(15),
            threads: cores.clamp(1, 4),
        }
    }
}

impl Limits {
    /// At most `clients_max` streams, and no more than `files` open files leave room for beside ordinary connections.
    pub fn within(clients_max: usize, files: u64) -> Self {
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        let room = files.saturating_sub(CONNECTIONS_MAX + FILES_OF_OTHERS).max(files / 2);
        Self { clients_max: clients_max.min(room), ..Self::default() }
    }
}

/// All streams of one server. Dropping it ends them.
pub struct Streams {
    limits: Limits,
    reactors: Arc<[Reactor]>,
    next: AtomicUsize,
    topics: Mutex<HashMap<String, Arc<Topic>>>,
    gates: gate::Gates,
    counters: Arc<Counters>,
    /// Spreads the times at which clients come back; no secret.
    chance: (RandomState, AtomicU64),
}

/// One stream that was let in. Counts until it is dropped.
pub(crate) struct Place(Arc<Counters>, Arc<Topic>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
        self.1.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a client is subscribed to.
pub struct Subscription {
    pub topic: Arc<Topic>,
    /// The version the client has; what it is told first starts from there. `None`: it has nothing.
    pub since: Option<Arc<str>>,
    /// Closes the stream when what let the client in is no longer good.
    pub gate: Option<Arc<Gate>>,
}

impl Streams {
    /// Starts the threads. Fails where the kernel gives no epoll.
    pub fn new(limits: Limits) -> std::io::Result<Arc<Self>> {
        let counters = Arc::new(Counters::default());
        let reactors = (0..limits.threads.max(1))
            .map(|n| Reactor::start(n, &limits, counters.clone()))
            .collect::<std::io::Result<Arc<[Reactor]>>>()?;
        Ok(Arc::new(Self {
            limits,
            reactors,
            next: AtomicUsize::new(0),
            topics: Mutex::default(),
            gates: gate::Gates::default(),
            counters,
            chance: (RandomState::new(), AtomicU64::new(0)),
        }))
    }

    /// The topic of that name. `first` makes its news when it is new, `feed` then keeps it new.
    pub fn topic(
        &self,
        name: &str,
        first: impl FnOnce() -> Arc<dyn News>,
        feed: impl FnOnce(Arc<Topic>),
    ) -> Result<Arc<Topic>, Fault> {
        let topic = {
            let mut topics = self.topics.lock();
            if let Some(known) = topics.get(name) {
                return Ok(known.clone());
            }
            if topics.len() >= TOPICS_MAX {
                return Err(Fault::unavailable(format!(
                    "there are {TOPICS_MAX} different streams, which is the limit"
                ))
                .advice("let tokens share their set of projects"));
            }
            let topic = Arc::new(Topic::new(topics.len() as u32, first(), self.reactors.clone()));
            topics.insert(name.to_owned(), topic.clone());
            topic
        };
        feed(topic.clone());
        Ok(topic)
    }

    /// The gate of that name (a token's id): one for all streams that depend on it.
    pub fn gate(&self, name: &str) -> Arc<Gate> {
        self.gates.of(name)
    }

    /// The names of gates that streams depend on now.
    pub fn gates(&self) -> Vec<String> {
        self.gates.names()
    }

    /// Closes every stream whose gate `is_good` no longer vouches for. Asked once for each name, not for each stream.
    pub fn check_gates(&self, is_good: impl FnMut(&str) -> bool) {
        if self.gates.check(is_good) > 0 {
            self.reactors.iter().for_each(Reactor::gates_closed);
        }
    }

    /// Answers with a stream, or with 503 when there are too many.
    pub fn open(self: &Arc<Self>, opening: Opening, subscription: Subscription) -> Response {
        let Some(place) = self.admit(&subscription.topic) else { return self.refuse() };
        if opening.method == Method::HEAD {
            return head(Body::empty());
        }
        let retry = format!("retry: {}\n\n", RETRY_MS + self.chance() % RETRY_SPREAD_MS);
        let Some(berth) = opening.berth else {
            return head(body::plain(retry, subscription, place, self.limits.keep_alive, self.counters.clone()));
        };
        let newcomer = Newcomer { subscription, place, chunked: berth.chunked };
        let mut response = head(Body::new(parking::ParkingBody::new(retry, berth, self.clone(), newcomer)));
        // The socket ends with the stream: a client that kept the connection for its next question would lose that one.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// The topics, each with its open streams.
    pub fn by_topic(&self) -> Vec<(String, usize)> {
        let topics = self.topics.lock();
        topics.iter().map(|(name, topic)| (name.clone(), topic.clients.load(Ordering::Relaxed))).collect()
    }

    /// How it goes.
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    fn admit(&self, topic: &Arc<Topic>) -> Option<Place> {
        let before = self.counters.clients.fetch_add(1, Ordering::Relaxed);
        topic.clients.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.counters.clone(), topic.clone());
        (before < self.limits.clients_max).then_some(place)
    }

    fn refuse(&self) -> Response {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        let fault = Fault::unavailable(format!("{} streams are open, which is the limit", self.limits.clients_max))
            .advice(
                "come again after the time in Retry-After, ask for the whole now and then, or put a relay in between",
            );
        let mut response = ApiError(fault).into_response();
        let after = REFUSED_RETRY_S + self.chance() % REFUSED_RETRY_SPREAD_S;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after));
        response
    }

    fn park(&self, socket: TcpStream, newcomer: Newcomer) {
        use nix::sys::socket::{setsockopt, sockopt::SndBuf};
        // Without its cap a stalled reader costs more; no reason to turn it away.
        let _ = setsockopt(&socket, SndBuf, &self.limits.send_buffer_bytes);
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.reactors.len();
        self.reactors[turn].take(socket, newcomer);
    }

    fn chance(&self) -> u64 {
        self.chance.0.hash_one(self.chance.1.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.reactors.iter().for_each(Reactor::stop);
    }
}

fn head(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        // Proxies that collect answers would hold events back.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (StatusCode::OK, headers, body).into_response()
}
