//! The thread that keeps the definitions current.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use tenfold_flags::{ClientFeatures, DeltaEvent};

use crate::event::{Event, Origin};
use crate::http::{Definitions, Server, Unanswered};
use crate::pace::{Failure, Limits, Next, Pace};
use crate::shared::Shared;
use crate::sse::{Parser, StreamEvent};
use crate::state_file::{BYTES_MAX, State};
use crate::table::Touched;

const READ_BYTES: usize = 16 << 10;

pub(crate) struct Sync {
    pub(crate) shared: Arc<Shared>,
    pub(crate) server: Server,
    pub(crate) limits: Limits,
    /// The last definitions from the server or from disk.
    pub(crate) state: Option<State>,
    pub(crate) random: crate::client::Dice,
    pub(crate) has_state_file: bool,
}

#[derive(Deserialize)]
struct Delta {
    events: Vec<Value>,
}

impl Sync {
    pub(crate) fn run(mut self) {
        let started = Instant::now();
        let mut pace = Pace::new(self.limits);
        let mut last_event_id = String::new();
        while !self.shared.is_stopping() {
            let random = self.random.fraction();
            match pace.next(started.elapsed()) {
                Next::Wait(time) => {
                    self.shared.rest(time);
                }
                Next::Stream => {
                    let opened = Instant::now();
                    let (delivered, ended) = self.stream(&mut pace, &mut last_event_id);
                    let retry_in = pace.stream_ended(started.elapsed(), opened.elapsed(), ended.failure, random);
                    let Unanswered { failure, status, reason } = ended;
                    match (failure, status) {
                        _ if self.shared.is_stopping() => {}
                        (Failure::Refused, Some(status)) => self.shared.tell(&Event::Refused { status, retry_in }),
                        _ if delivered => self.shared.tell(&Event::StreamEnded { reason, retry_in }),
                        _ => self.shared.tell(&Event::Unreachable { reason, retry_in }),
                    }
                }
                Next::Poll => match self.poll() {
                    Ok(true) => {
                        // What the stream had said before is older than this.
                        last_event_id.clear();
                        pace.polled(started.elapsed(), Ok(()), random);
                    }
                    Ok(false) => {
                        pace.polled(started.elapsed(), Ok(()), random);
                    }
                    Err(Unanswered { failure, status, reason }) => {
                        let retry_in = pace.polled(started.elapsed(), Err(failure), random);
                        match (failure, status) {
                            _ if self.shared.is_stopping() => {}
                            (Failure::Refused, Some(status)) => self.shared.tell(&Event::Refused { status, retry_in }),
                            _ => self.shared.tell(&Event::Unreachable { reason, retry_in }),
                        }
                    }
                },
            }
        }
    }

    /// True when the definitions changed.
    fn poll(&mut self) -> Result<bool, Unanswered> {
        let etag = self.state.as_ref().and_then(|s| s.etag.as_deref());
        let (etag, bytes) = match self.server.definitions(etag) {
            Ok(Definitions::Unchanged) => return Ok(false),
            Ok(Definitions::Body { etag, bytes }) => (etag, bytes),
            // A poll has no other way to go: whatever this address is today, it may be the server tomorrow.
            Err(Unanswered { failure: Failure::NoStream, status, reason }) => {
                return Err(Unanswered { failure: Failure::Transient { retry_after: None }, status, reason });
            }
            Err(other) => return Err(other),
        };
        match serde_json::from_slice(&bytes) {
            Ok(document) => {
                self.take(State { etag, document });
                Ok(true)
            }
            Err(error) => {
                let reason = format!("the definitions cannot be read: {error}");
                self.shared.tell(&Event::DocumentIgnored { reason: reason.clone() });
                Err(broken(reason))
            }
        }
    }

    /// Follows the stream until it ends; true when it delivered definitions.
    fn stream(&mut self, pace: &mut Pace, last_event_id: &mut String) -> (bool, Unanswered) {
        let mut delivered = false;
        let mut reader = match self.server.stream(last_event_id) {
            Ok(reader) => reader,
            Err(unanswered) => return (delivered, unanswered),
        };
        let mut parser = Parser::new(BYTES_MAX);
        let mut bytes = vec![0; READ_BYTES];
        loop {
            let length = match reader.read(&mut bytes) {
                Ok(0) => return (delivered, broken("the server closed it".into())),
                Ok(length) => length,
                Err(error) => return (delivered, broken(error.to_string())),
            };
            let Ok(events) = parser.push(&bytes[..length]) else {
                return (delivered, broken(format!("an event is larger than {BYTES_MAX} bytes")));
            };
            if let Some(retry) = parser.retry_ms.take() {
                pace.server_retry(Duration::from_millis(retry));
            }
            for event in events {
                match self.take_event(&event) {
                    Ok(false) => {}
                    Ok(true) => {
                        delivered = true;
                        pace.stream_delivers();
                        if !event.id.is_empty() {
                            *last_event_id = event.id;
                        }
                    }
                    Err(reason) => {
                        // The next connection begins with everything, whatever this event was.
                        last_event_id.clear();
                        self.shared.tell(&Event::DocumentIgnored { reason: reason.clone() });
                        return (delivered, broken(reason));
                    }
                }
            }
        }
    }

    /// Applies one event of the stream; true when it carried definitions.
    fn take_event(&mut self, event: &StreamEvent) -> Result<bool, String> {
        if !matches!(event.name.as_str(), "unleash-connected" | "unleash-updated") {
            return Ok(false);
        }
        let delta: Delta = serde_json::from_str(&event.data).map_err(|e| format!("an event cannot be read: {e}"))?;
        // Taken, so that a change that cannot be applied leaves nothing half done: evaluations keep what was compiled,
        // and the next connection brings everything.
        let mut document = self.state.take().map(|s| s.document);
        let touched = apply(&mut document, delta.events)?;
        if let Some(document) = document {
            // An entity tag belongs to what was polled; the stream's state has none.
            self.keep(State { etag: None, document }, |shared, document| shared.change(document, &touched));
        }
        Ok(true)
    }

    fn take(&mut self, state: State) {
        self.keep(state, |shared, document| shared.swap_in(document, Origin::Server));
    }

    fn keep(&mut self, state: State, swap: impl FnOnce(&Shared, &ClientFeatures)) {
        // First, so that whoever is told of the definitions and ends the client finds them on disk.
        if self.has_state_file {
            self.shared.save_later(Arc::new(state.clone()));
        }
        swap(&self.shared, &state.document);
        self.state = Some(state);
    }
}

const KNOWN: [&str; 5] = ["hydration", "feature-updated", "feature-removed", "segment-updated", "segment-removed"];

/// Gives what it changed.
fn apply(document: &mut Option<ClientFeatures>, events: Vec<Value>) -> Result<Touched, String> {
    let mut touched = Touched::default();
    for event in events {
        if !event["type"].as_str().is_some_and(|kind| KNOWN.contains(&kind)) {
            continue; // of a later protocol, and about something else
        }
        let event: DeltaEvent = serde_json::from_value(event).map_err(|e| format!("a change cannot be read: {e}"))?;
        touched.note(&event);
        match (document.as_mut(), &event) {
            (Some(document), _) => document.apply(event),
            (None, DeltaEvent::Hydration { .. }) => {
                document.insert(ClientFeatures { version: 2, ..ClientFeatures::default() }).apply(event);
            }
            (None, _) => return Err("a change came before what it changes".into()),
        }
    }
    Ok(touched)
}

fn broken(reason: String) -> Unanswered {
    Unanswered { failure: Failure::Transient { retry_after: None }, status: None, reason }
}
