//! The streams of flag clients: what each protocol says on them, who keeps it new, and who watches the clients' tokens.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::response::Response;
use parking_lot::Mutex;
use tenfold_app::App;
use tenfold_app::flags::{ChannelReader, Environment, Projects};
use tenfold_app::people::Token;
use tenfold_flags::wire;
use tenfold_httpkit::server::raise_file_limit;
use tenfold_httpkit::streams::{Limits, News, Opening, Streams, Subscription, Told, Topic, event};
use tenfold_types::Fault;
use tokio::sync::watch;

use crate::ApiError;
use crate::standing::Standing;

/// How often tokens are looked at even if nobody told of a change, and the streams' figures become metrics.
const TICK: Duration = Duration::from_secs(1);

/// Made when the first client opens a stream.
#[derive(Clone, Default)]
pub(crate) struct FlagStreams(Arc<Mutex<Option<Arc<Streams>>>>);

/// Definitions, as the Unleash SDKs follow them.
struct Definitions(Arc<Environment>);

impl News for Definitions {
    fn version(&self) -> Arc<str> {
        version(&self.0).into()
    }
    fn revision(&self) -> u64 {
        u64::from(self.0.number())
    }
    fn text(&self, told: &Told) -> String {
        let name = Some(wire::unleash::stream_event(told.opening));
        let delta = told.since.as_deref().and_then(|since| self.0.delta_since(since));
        let data = match &delta {
            Some(delta) => str::from_utf8(delta).unwrap_or_default(),
            None => self.0.hydration_text(),
        };
        event(name, version(&self.0), data)
    }
}

/// That something changed, as OFREP providers follow it.
struct Changes(Arc<Environment>);

impl News for Changes {
    fn version(&self) -> Arc<str> {
        version(&self.0).into()
    }
    fn revision(&self) -> u64 {
        u64::from(self.0.number())
    }
    fn text(&self, _: &Told) -> String {
        let tag = version(&self.0);
        event(None, tag, &wire::ofrep::refetch(tag, self.0.changed_at))
    }
}

fn version(environment: &Environment) -> &str {
    environment.etag.trim_matches('"')
}

impl FlagStreams {
    /// Definitions at once and after every change.
    pub(crate) fn definitions(
        &self,
        app: &App,
        environment: &Environment,
        standing: &Standing,
        opening: Opening,
    ) -> Result<Response, ApiError> {
        let streams = self.streams(app)?;
        let topic = topic(app, &streams, "unleash", &environment.name, &environment.projects, Definitions)?;
        let since = opening.last_event_id.as_deref().map(Arc::from);
        let gate = standing.gate().map(|name| streams.gate(&name));
        Ok(streams.open(opening, Subscription { topic, since, gate }))
    }

    /// A word after every change; at once where `since` names another version than the newest.
    pub(crate) fn changes(
        &self,
        app: &App,
        reader: &ChannelReader,
        since: Option<&str>,
        opening: Opening,
    ) -> Result<Response, ApiError> {
        let streams = self.streams(app)?;
        let projects = reader.token.as_deref().map(Token::projects).unwrap_or_default();
        let topic = topic(app, &streams, "ofrep", &reader.environment, &projects, Changes)?;
        let since = opening.last_event_id.as_deref().or(since).map(Arc::from);
        // Who names no version starts from now.
        let since = since.or_else(|| Some(topic.news().version()));
        let standing = match (&reader.token, &reader.session) {
            (Some(token), _) => Standing::Token(token.id.clone()),
            (None, Some(session)) => Standing::Session(session.clone()),
            (None, None) => Standing::Nobody,
        };
        let gate = standing.gate().map(|name| streams.gate(&name));
        Ok(streams.open(opening, Subscription { topic, since, gate }))
    }

    fn streams(&self, app: &App) -> Result<Arc<Streams>, Fault> {
        let mut made = self.0.lock();
        if let Some(known) = &*made {
            return Ok(known.clone());
        }
        let limits = Limits::within(app.settings.streams.clients_max, raise_file_limit());
        let fresh = Streams::new(limits)
            .map_err(|e| Fault::unavailable(format!("streams cannot be served: {e}")).advice("poll instead"))?;
        tokio::spawn(watch_over(app.clone(), Arc::downgrade(&fresh)));
        *made = Some(fresh.clone());
        Ok(fresh)
    }
}

fn gone(environment: &str) -> Fault {
    Fault::not_found(format!("there is no environment `{environment}`"))
}

fn topic<N: News>(
    app: &App,
    streams: &Streams,
    protocol: &str,
    environment: &str,
    projects: &Projects,
    news: fn(Arc<Environment>) -> N,
) -> Result<Arc<Topic>, Fault> {
    let mut changes = app.flags.watch_book(environment, projects).ok_or_else(|| gone(environment))?;
    let first = Arc::new(news(changes.borrow_and_update().clone()));
    let newest = first.clone();
    let name = format!("{protocol}:{environment}:{}", projects.names().join(","));
    let topic = streams.topic(&name, || first, |topic| drop(tokio::spawn(feed(topic, changes, news))))?;
    // Who opens a stream after a change sees it, whether or not the feed came round to it.
    topic.publish(newest);
    Ok(topic)
}

async fn feed<N: News>(
    topic: Arc<Topic>,
    mut changes: watch::Receiver<Arc<Environment>>,
    news: fn(Arc<Environment>) -> N,
) {
    while changes.changed().await.is_ok() {
        let current = changes.borrow_and_update().clone();
        topic.publish(Arc::new(news(current)));
    }
}

/// Closes the streams of tokens and sessions that ended, and turns the streams' figures into metrics.
async fn watch_over(app: App, streams: Weak<Streams>) {
    let mut tokens = app.tokens_changed();
    loop {
        // Nobody changes tokens any more only when everything ends.
        let _ = tokio::time::timeout(TICK, tokens.changed()).await;
        let Some(streams) = streams.upgrade() else { return };
        let mut ended = HashSet::new();
        for name in streams.gates() {
            if let Some(session) = Standing::session_of_gate(&name)
                && !app.session_is_open(session).await
            {
                ended.insert(name);
            }
        }
        streams.check_gates(|name| match Standing::session_of_gate(name) {
            Some(_) => !ended.contains(name),
            None => app.token_is_valid(name),
        });
        let own = &app.metrics.own;
        streams.stats().each(|name, labels, value| own.set(name, labels, value));
    }
}
