//! What streams are about: a topic has one newest state, and clients are brought from wherever they are to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::watch;

use super::reactor::Reactor;

/// What a client has when it is told something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Told {
    /// The first event of this stream.
    pub opening: bool,
    /// The name of the version the client has; `None`: nothing it could name.
    pub since: Option<Arc<str>>,
}

/// The newest state of a topic. Immutable: a change makes a new one with another version.
pub trait News: Send + Sync + 'static {
    /// Names this state: what clients give back as `Last-Event-ID`. The same state has the same name, also after a restart.
    fn version(&self) -> Arc<str>;
    /// Higher than that of every state before.
    fn revision(&self) -> u64;
    /// The text that brings a client here: whole events as [`event`] makes them, or nothing when it need not be told.
    ///
    /// Asked once for all clients that have the same; not for those that have this very version.
    fn text(&self, told: &Told) -> String;
}

/// One server-sent event. A line break in `data` becomes a line of its own, as the format has it.
pub fn event(name: Option<&str>, id: &str, data: &str) -> String {
    let mut text = String::with_capacity(data.len() + id.len() + 40);
    if let Some(name) = name {
        text.extend(["event: ", name, "\n"]);
    }
    text.extend(["id: ", id, "\n"]);
    for line in data.lines() {
        text.extend(["data: ", line, "\n"]);
    }
    text.push('\n');
    text
}

/// What a topic says, and since when.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) news: Arc<dyn News>,
    pub(crate) at: Instant,
}

/// One subject that clients follow.
pub struct Topic {
    pub(super) id: u32,
    /// Streams that are open on it.
    pub(super) clients: AtomicUsize,
    said: watch::Sender<Said>,
    /// Counts what was published, so that a thread sees with one load whether it has work.
    epoch: AtomicU64,
    reactors: Arc<[Reactor]>,
}

impl Topic {
    pub(super) fn new(id: u32, first: Arc<dyn News>, reactors: Arc<[Reactor]>) -> Self {
        let said = watch::Sender::new(Said { news: first, at: Instant::now() });
        Self { id, clients: AtomicUsize::new(0), said, epoch: AtomicU64::new(0), reactors }
    }

    /// Replaces what the topic says and wakes whoever serves its clients. What is not newer changes nothing, so that
    /// several may publish.
    pub fn publish(&self, news: Arc<dyn News>) {
        let changed = self.said.send_if_modified(|said| {
            let newer = news.revision() > said.news.revision();
            if newer {
                *said = Said { news, at: Instant::now() };
            }
            newer
        });
        if changed {
            self.epoch.fetch_add(1, Ordering::Release);
            self.reactors.iter().for_each(Reactor::wake);
        }
    }

    pub fn news(&self) -> Arc<dyn News> {
        self.said.borrow().news.clone()
    }

    pub(super) fn said(&self) -> Said {
        self.said.borrow().clone()
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(super) fn watch(&self) -> watch::Receiver<Said> {
        self.said.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::event;

    #[test]
    fn events_are_what_the_format_says() {
        assert_eq!(event(None, "7", "{}"), "id: 7\ndata: {}\n\n");
        assert_eq!(event(Some("a"), "7", "x\ny"), "event: a\nid: 7\ndata: x\ndata: y\n\n");
    }
}
