//! One thread that waits for many parked sockets at once and writes to those that have something to get.
//!
//! Sockets are registered once, edge-triggered, and never again: a socket that takes more, closed, or sent something is
//! reported by the kernel, and everything else costs nothing.

use std::collections::HashMap;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::Mutex;

use super::Limits;
use super::client::{Client, Newcomer, TopicState, Turn, comments, end};
use super::stats::Counters;

/// Comments that keep streams alive are spread over ticks of this length.
const TICK: Duration = Duration::from_millis(250);
const EVENTS_MAX: usize = 1_024;
const SCRATCH_BYTES: usize = 4 * 1024;
/// Stands for the thread's own wake-up among the sockets.
const WAKE: u64 = u64::MAX;

/// The other threads' end of it.
pub(crate) struct Reactor(Arc<Shared>);

struct Shared {
    wake: EventFd,
    inbox: Mutex<Vec<(TcpStream, Newcomer)>>,
    gates_closed: AtomicBool,
    stop: AtomicBool,
}

impl Reactor {
    pub(super) fn start(number: usize, limits: &Limits, counters: Arc<Counters>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            wake: EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?,
            inbox: Mutex::default(),
            gates_closed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&shared.wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let ticks = (limits.keep_alive.as_millis() / TICK.as_millis()).max(1) as usize;
        let mut own = Loop {
            epoll,
            shared: shared.clone(),
            counters,
            clients: Vec::new(),
            free: Vec::new(),
            topics: HashMap::new(),
            again: Vec::new(),
            generation: 0,
            ticks,
            tick: 0,
        };
        std::thread::Builder::new().name(format!("streams-{number}")).spawn(move || own.run())?;
        Ok(Self(shared))
    }

    pub(super) fn wake(&self) {
        // Full means that it is awake already.
        let _ = self.0.wake.write(1);
    }

    pub(super) fn take(&self, socket: TcpStream, newcomer: Newcomer) {
        self.0.inbox.lock().push((socket, newcomer));
        self.wake();
    }

    pub(super) fn gates_closed(&self) {
        self.0.gates_closed.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn stop(&self) {
        self.0.stop.store(true, Ordering::Release);
        self.wake();
    }
}

struct Loop {
    epoll: Epoll,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    clients: Vec<Option<Client>>,
    free: Vec<u32>,
    topics: HashMap<u32, TopicState>,
    /// Clients that take more than one turn gives.
    again: Vec<u32>,
    generation: u32,
    ticks: usize,
    tick: usize,
}

impl Loop {
    fn run(&mut self) {
        let mut events = vec![EpollEvent::empty(); EVENTS_MAX];
        let mut next_tick = Instant::now() + TICK;
        while !self.shared.stop.load(Ordering::Acquire) {
            let wait = if self.again.is_empty() {
                next_tick.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            // Rounded up, or the last fraction of a millisecond would be waited for in a circle.
            let wait = EpollTimeout::try_from(wait + Duration::from_micros(999)).unwrap_or(EpollTimeout::ZERO);
            let count = match self.epoll.wait(&mut events, wait) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(error) => {
                    tracing::error!(%error, "the streams' thread ends: the kernel does not tell of its sockets");
                    return;
                }
            };
            for event in &events[..count] {
                self.heard(*event);
            }
            self.welcome();
            self.deliver();
            for index in std::mem::take(&mut self.again) {
                self.pump(index);
            }
            if self.shared.gates_closed.swap(false, Ordering::AcqRel) {
                self.shut_out();
            }
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TICK;
                self.keep_alive();
            }
        }
        self.clients.iter().flatten().for_each(Client::farewell);
        self.counters.parked.fetch_sub(self.clients.iter().flatten().count(), Ordering::Relaxed);
    }

    fn heard(&mut self, event: EpollEvent) {
        if event.data() == WAKE {
            let _ = self.shared.wake.read();
            return;
        }
        let (generation, index) = ((event.data() >> 32) as u32, event.data() as u32);
        let Some(Some(client)) = self.clients.get_mut(index as usize) else { return };
        if client.generation != generation {
            return;
        }
        let mut scratch = [0; SCRATCH_BYTES];
        let flags = event.events();
        let gone = flags.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP | EpollFlags::EPOLLRDHUP)
            || (flags.contains(EpollFlags::EPOLLIN) && !client.hear(&mut scratch));
        if gone {
            self.remove(index);
        } else if client.is_busy() && flags.contains(EpollFlags::EPOLLOUT) {
            self.pump(index);
        }
    }

    /// Takes in the clients that were handed over.
    fn welcome(&mut self) {
        let newcomers = std::mem::take(&mut *self.shared.inbox.lock());
        for (socket, newcomer) in newcomers {
            if newcomer.subscription.gate.as_ref().is_some_and(|gate| gate.is_closed()) {
                end(&socket, newcomer.chunked);
                continue;
            }
            let index = self.free.pop().unwrap_or_else(|| {
                self.clients.push(None);
                (self.clients.len() - 1) as u32
            });
            self.generation = self.generation.wrapping_add(1);
            let data = (u64::from(self.generation) << 32) | u64::from(index);
            let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
            if let Err(error) = self.epoll.add(socket.as_fd(), EpollEvent::new(interest, data)) {
                tracing::warn!(%error, "a stream could not be parked and is closed");
                self.free.push(index);
                continue;
            }
            let topic = newcomer.subscription.topic.clone();
            self.topics.entry(topic.id).or_insert_with(|| TopicState::new(topic)).clients += 1;
            self.clients[index as usize] = Some(Client::new(socket, self.generation, newcomer));
            self.counters.parked.fetch_add(1, Ordering::Relaxed);
            self.pump(index);
        }
    }

    /// Brings the clients of changed topics up to date.
    fn deliver(&mut self) {
        let changed: Vec<u32> = self.topics.iter_mut().filter_map(|(id, t)| t.refresh().then_some(*id)).collect();
        for id in changed {
            for index in 0..self.clients.len() {
                // One that is in the middle of an event gets the newest when it is through.
                if self.clients[index].as_ref().is_some_and(|c| c.topic == id && !c.is_busy()) {
                    self.pump(index as u32);
                }
            }
            if let Some(topic) = self.topics.get(&id) {
                self.counters.flip(topic.said.at.elapsed());
            }
        }
    }

    fn pump(&mut self, index: u32) {
        let Some(Some(client)) = self.clients.get_mut(index as usize) else { return };
        let Some(topic) = self.topics.get_mut(&client.topic) else { return };
        match client.pump(topic, &self.counters) {
            Turn::Idle | Turn::Stalled => {}
            Turn::More => self.again.push(index),
            Turn::Gone => self.remove(index),
        }
    }

    fn remove(&mut self, index: u32) {
        let Some(client) = self.clients.get_mut(index as usize).and_then(Option::take) else { return };
        if let Some(topic) = self.topics.get_mut(&client.topic) {
            topic.clients -= 1;
            if topic.clients == 0 {
                self.topics.remove(&client.topic);
            }
        }
        self.free.push(index);
        self.counters.parked.fetch_sub(1, Ordering::Relaxed);
        client.leave(&self.counters);
    }

    fn shut_out(&mut self) {
        for index in 0..self.clients.len() {
            if let Some(client) = self.clients[index].as_ref().filter(|c| c.is_shut_out()) {
                client.farewell();
                self.counters.closed_by_gate.fetch_add(1, Ordering::Relaxed);
                self.remove(index as u32);
            }
        }
    }

    /// The wheel: each tick has its share of the clients.
    fn keep_alive(&mut self) {
        self.tick = (self.tick + 1) % self.ticks;
        let comments = comments();
        for index in (self.tick..self.clients.len()).step_by(self.ticks) {
            if let Some(client) = self.clients[index].as_mut().filter(|c| !c.is_busy()) {
                client.keep_alive(&comments);
                self.pump(index as u32);
            }
        }
    }
}
