//! What the relay answered, counted by protocol and class of status.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tenfold_httpkit::front;

use crate::Relay;

/// The beginning of a path, and what it is called. The first that fits counts.
const PROTOCOLS: [(&str, &str); 5] =
    [("/api/client", "unleash"), ("/api/frontend", "frontend"), ("/ofrep", "ofrep"), ("/edge", "relay"), ("", "other")];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counters by [`PROTOCOLS`] and [`CLASSES`].
#[derive(Default)]
pub(crate) struct Answers([[AtomicU64; CLASSES.len()]; PROTOCOLS.len()]);

impl Answers {
    fn add(&self, path: &str, status: u16) {
        let protocol = PROTOCOLS.iter().position(|(prefix, _)| path.starts_with(prefix)).unwrap_or_default();
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        self.0[protocol][class].fetch_add(1, Ordering::Relaxed);
    }

    /// Gives protocol, class of status and count of everything that was answered at all.
    pub(crate) fn each(&self, mut series: impl FnMut(&str, &str, u64)) {
        for (counters, (_, protocol)) in self.0.iter().zip(PROTOCOLS) {
            for (counter, class) in counters.iter().zip(CLASSES) {
                let count = counter.load(Ordering::Relaxed);
                if count > 0 {
                    series(protocol, class, count);
                }
            }
        }
    }
}

/// Answers a request through the routes behind `next`, and counts the answer.
pub(crate) async fn answer(State(relay): State<Relay>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = front::answer(request, |request| next.run(request)).await;
    relay.answers.add(&path, response.status().as_u16());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_protocol_and_class() {
        let answers = Answers::default();
        for (path, status) in [
            ("/api/client/features", 200),
            ("/api/client/delta", 304),
            ("/ofrep/v1/events", 503),
            ("/", 200),
            ("/", 204),
        ] {
            answers.add(path, status);
        }
        let mut counted = Vec::new();
        answers.each(|protocol, class, count| counted.push(format!("{protocol} {class} {count}")));
        assert_eq!(counted, ["unleash 2xx 1", "unleash 3xx 1", "ofrep 5xx 1", "other 2xx 2"]);
    }
}
