//! One parked client: what it has, what it is being sent, and how far.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::stats::Counters;
use super::topic::{Said, Told};
use super::{Gate, Place, Subscription, Topic};

/// A client on its way to a thread.
pub(crate) struct Newcomer {
    pub(super) subscription: Subscription,
    pub(super) place: Place,
    /// HTTP/1.1 wraps what follows the head in chunks; HTTP/1.0 knows none and reads until the end.
    pub(super) chunked: bool,
}

/// Written to one client in one turn; then others have theirs.
const TURN_BYTES_MAX: usize = 256 * 1024;
/// A client has nothing to say once its stream runs. One that sends more than this is closed.
const NOISE_BYTES_MAX: usize = 64 * 1024;
/// Versions that clients of one topic come from; further ones are rendered each time.
const FRAMES_MAX: usize = 16;

/// Bytes as they go on the wire, shared by everybody who gets them.
type Frame = Arc<[u8]>;

fn framed(text: &str, chunked: bool) -> Frame {
    if chunked { format!("{:x}\r\n{text}\r\n", text.len()).into_bytes().into() } else { text.as_bytes().into() }
}

/// What a thread knows of a topic.
pub(super) struct TopicState {
    pub(super) topic: Arc<Topic>,
    pub(super) said: Said,
    newest: Arc<str>,
    pub(super) epoch: u64,
    pub(super) clients: usize,
    frames: HashMap<(Told, bool), Option<Frame>>,
}

impl TopicState {
    pub(super) fn new(topic: Arc<Topic>) -> Self {
        let epoch = topic.epoch();
        let said = topic.said();
        Self { newest: said.news.version(), said, topic, epoch, clients: 0, frames: HashMap::new() }
    }

    /// Takes over what was published; false when nothing was.
    pub(super) fn refresh(&mut self) -> bool {
        let epoch = self.topic.epoch();
        if epoch == self.epoch {
            return false;
        }
        self.epoch = epoch;
        self.said = self.topic.said();
        self.newest = self.said.news.version();
        self.frames.clear();
        true
    }

    fn frame(&mut self, told: Told, chunked: bool) -> Option<Frame> {
        let key = (told, chunked);
        if let Some(known) = self.frames.get(&key) {
            return known.clone();
        }
        let text = self.said.news.text(&key.0);
        let frame = (!text.is_empty()).then(|| framed(&text, chunked));
        if self.frames.len() < FRAMES_MAX {
            self.frames.insert(key, frame.clone());
        }
        frame
    }
}

/// What became of a client in its turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has everything.
    Idle,
    /// It does not take more now; the kernel says when it does.
    Stalled,
    /// It takes more, after others had their turn.
    More,
    Gone,
}

pub(super) struct Client {
    pub(super) socket: TcpStream,
    pub(super) generation: u32,
    pub(super) topic: u32,
    gate: Option<Arc<Gate>>,
    _place: Place,
    /// Being sent, from `offset` on.
    frame: Option<Frame>,
    offset: u32,
    noise: u16,
    opening: bool,
    chunked: bool,
    stalled: bool,
    /// The version it has, or will have with `frame`.
    since: Option<Arc<str>>,
}

impl Client {
    pub(super) fn new(socket: TcpStream, generation: u32, newcomer: Newcomer) -> Self {
        let Newcomer { subscription, place, chunked } = newcomer;
        Self {
            socket,
            generation,
            topic: subscription.topic.id,
            gate: subscription.gate,
            _place: place,
            frame: None,
            offset: 0,
            noise: 0,
            opening: true,
            chunked,
            stalled: false,
            since: subscription.since,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.frame.is_some()
    }

    pub(super) fn is_shut_out(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.is_closed())
    }

    /// Begins a comment that says nothing, to a client that has everything.
    pub(super) fn keep_alive(&mut self, comments: &[Frame; 2]) {
        self.frame = Some(comments[usize::from(self.chunked)].clone());
        self.offset = 0;
    }

    /// Writes what is due: the event under way to its end, then the newest.
    pub(super) fn pump(&mut self, topic: &mut TopicState, counters: &Counters) -> Turn {
        let turn = self.write(topic, counters);
        let stalled = turn == Turn::Stalled;
        if stalled != self.stalled {
            self.stalled = stalled;
            if stalled {
                counters.stalled.fetch_add(1, Ordering::Relaxed);
            } else {
                counters.stalled.fetch_sub(1, Ordering::Relaxed);
            }
        }
        turn
    }

    fn write(&mut self, topic: &mut TopicState, counters: &Counters) -> Turn {
        let mut left = TURN_BYTES_MAX;
        loop {
            let Some(frame) = self.frame.clone().or_else(|| self.next(topic)) else { return Turn::Idle };
            if left == 0 {
                return Turn::More;
            }
            let rest = &frame[self.offset as usize..];
            match (&self.socket).write(&rest[..rest.len().min(left)]) {
                Ok(0) => return Turn::Gone,
                Ok(n) => {
                    counters.bytes.fetch_add(n as u64, Ordering::Relaxed);
                    left -= n;
                    self.offset += n as u32;
                    if n == rest.len() {
                        counters.events.fetch_add(1, Ordering::Relaxed);
                        self.frame = None;
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Turn::Stalled,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Turn::Gone,
            }
        }
    }

    /// Begins whatever brings this client to the newest version; nothing when it is there.
    fn next(&mut self, topic: &mut TopicState) -> Option<Frame> {
        if self.since.as_ref() == Some(&topic.newest) {
            return None;
        }
        let told = Told { opening: std::mem::take(&mut self.opening), since: self.since.take() };
        self.since = Some(topic.newest.clone());
        self.offset = 0;
        self.frame = topic.frame(told, self.chunked);
        self.frame.clone()
    }

    /// Throws away what the client sends; false when it closed or sends too much.
    pub(super) fn hear(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            match (&self.socket).read(scratch) {
                Ok(0) => return false,
                Ok(n) => {
                    let noise = usize::from(self.noise) + n;
                    if noise >= NOISE_BYTES_MAX {
                        return false;
                    }
                    self.noise = noise as u16;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Ends the stream in good order, where the client is not in the middle of an event.
    pub(super) fn farewell(&self) {
        if !self.is_busy() {
            end(&self.socket, self.chunked);
        }
    }

    pub(super) fn leave(self, counters: &Counters) {
        if self.stalled {
            counters.stalled.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Says that the stream is over, to a client that is between two events.
pub(super) fn end(mut socket: &TcpStream, chunked: bool) {
    if chunked {
        // It is being closed either way.
        let _ = socket.write(b"0\r\n\r\n");
    }
}

/// The comments of [`Client::keep_alive`], plain and in a chunk.
pub(super) fn comments() -> [Frame; 2] {
    [framed(":\n\n", false), framed(":\n\n", true)]
}
