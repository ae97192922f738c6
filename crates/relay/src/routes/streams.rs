//! The streams: definitions for SDKs and relays, a word after every change for OFREP providers.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use tenfold_httpkit::ApiError;
use tenfold_httpkit::streams::{News, Opening, Subscription, Topic};
use tenfold_types::{ErrorCode, Fault};
use tokio::sync::watch;

use super::Client;
use crate::Relay;
use crate::definitions::{Changed, Definitions, Whole};
use crate::tokens::Known;

/// Of a stream's address, in hexadecimal digits.
const MARK_LEN: usize = 32;

pub(super) async fn definitions(
    State(relay): State<Relay>,
    Client(known): Client,
    opening: Opening,
) -> Result<Response, ApiError> {
    let topic = topic(&relay, &known, "unleash", Whole)?;
    let since = opening.last_event_id.as_deref().map(Arc::from);
    let gate = Some(relay.streams.gate(&known.digest));
    Ok(relay.streams.open(opening, Subscription { topic, since, gate }))
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    channel: String,
    since: Option<String>,
}

/// A browser's stream carries no token: its address does, as the token's digest and a mark that only the relay can make.
pub(super) fn address(relay: &Relay, known: &Known, version: &str) -> String {
    format!("/ofrep/v1/events?channel={}.{}&since={version}", known.digest, mark(relay, &known.digest))
}

/// Made with the relay's own token, so that an address outlives a restart.
fn mark(relay: &Relay, digest: &str) -> String {
    let own = relay.sets.values().next().map_or("", |set| set.secret.as_str());
    let key = blake3::derive_key("tenfold relay change streams", own.as_bytes());
    blake3::keyed_hash(&key, digest.as_bytes()).to_hex()[..MARK_LEN].to_owned()
}

pub(super) async fn changes(
    State(relay): State<Relay>,
    Query(asked): Query<Asked>,
    opening: Opening,
) -> Result<Response, ApiError> {
    let known = named(&relay, &asked.channel).ok_or_else(|| {
        Fault::new(ErrorCode::NotFound, "there is no such stream")
            .advice("take its address out of `eventStreams` of a bulk evaluation")
    })?;
    let topic = topic(&relay, &known, "ofrep", Changed)?;
    let since = opening.last_event_id.as_deref().or(asked.since.as_deref()).map(Arc::from);
    // Who names no version starts from now.
    let since = since.or_else(|| Some(topic.news().version()));
    let gate = Some(relay.streams.gate(&known.digest));
    Ok(relay.streams.open(opening, Subscription { topic, since, gate }))
}

/// Whose stream an address is; `None` for one that was made up or whose token ended.
fn named(relay: &Relay, channel: &str) -> Option<Arc<Known>> {
    let (digest, given) = channel.split_once('.')?;
    let made = blake3::hash(mark(relay, digest).as_bytes());
    // Compared as digests, so that the time it takes says nothing.
    (made == blake3::hash(given.as_bytes())).then(|| relay.tokens.by_digest(digest, relay.clock.now())).flatten()
}

fn topic<N: News>(
    relay: &Relay,
    known: &Known,
    protocol: &str,
    news: fn(Arc<Definitions>) -> N,
) -> Result<Arc<Topic>, ApiError> {
    let set = relay.set_of(known)?;
    let mut changes = set.view(&known.scope)?;
    let first: Arc<dyn News> = Arc::new(news(changes.borrow_and_update().clone()));
    let newest = first.clone();
    let name = format!("{protocol}:{}:{}", set.id, known.scope.name());
    let topic = relay.streams.topic(&name, || first, |topic| drop(tokio::spawn(feed(topic, changes, news))))?;
    // Who opens a stream after a change sees it, whether or not the feed came round to it.
    topic.publish(newest);
    Ok(topic)
}

async fn feed<N: News>(
    topic: Arc<Topic>,
    mut changes: watch::Receiver<Arc<Definitions>>,
    news: fn(Arc<Definitions>) -> N,
) {
    while changes.changed().await.is_ok() {
        let current = changes.borrow_and_update().clone();
        topic.publish(Arc::new(news(current)));
    }
}
