//! The same stream as an ordinary body, for connections whose socket cannot be taken. It follows the same rules: the
//! newest state instead of a queue, a comment now and then, and an end when the gate closes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::watch;

use super::stats::Counters;
use super::topic::{Said, Told};
use super::{Gate, Place, Subscription};

struct State {
    said: watch::Receiver<Said>,
    since: Option<Arc<str>>,
    opening: bool,
    gate: Option<Arc<Gate>>,
    keep_alive: Duration,
    counters: Arc<Counters>,
    /// The topic lives as long as somebody listens.
    _topic: Arc<super::Topic>,
    _place: Place,
}

pub(super) fn plain(
    retry: String,
    subscription: Subscription,
    place: Place,
    keep_alive: Duration,
    counters: Arc<Counters>,
) -> Body {
    let Subscription { topic, since, gate } = subscription;
    let state =
        State { said: topic.watch(), since, opening: true, gate, keep_alive, counters, _topic: topic, _place: place };
    let first = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from(retry))]);
    let rest = futures_util::stream::unfold(state, |mut state| async move {
        let text = state.next().await?;
        Some((Ok(text), state))
    });
    Body::from_stream(futures_util::StreamExt::chain(first, rest))
}

impl State {
    /// The next text for this client; `None` when the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.gate.as_ref().is_some_and(|gate| gate.is_closed()) {
                self.counters.closed_by_gate.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            if let Some(text) = self.due() {
                self.counters.events.fetch_add(1, Ordering::Relaxed);
                self.counters.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
                return Some(text.into());
            }
            let closed = async {
                match &self.gate {
                    Some(gate) => gate.closed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.said.changed() => changed.ok()?,
                () = closed => {}
                () = tokio::time::sleep(self.keep_alive) => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }

    fn due(&mut self) -> Option<String> {
        let news = self.said.borrow_and_update().news.clone();
        let newest = news.version();
        if self.since.as_ref() == Some(&newest) {
            return None;
        }
        let told = Told { opening: std::mem::take(&mut self.opening), since: self.since.replace(newest) };
        Some(news.text(&told)).filter(|text| !text.is_empty())
    }
}
