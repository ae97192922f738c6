//! Follows the upstream for one set: one stream, taken up again whenever it ends, from where it was.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tenfold_flags::{ClientFeatures, DeltaEvent};
use tenfold_httpkit::error::innermost;
use tenfold_protocols::sse;
use tenfold_types::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::Relay;
use crate::definitions::Came;
use crate::set::Set;
use crate::tokens::Scope;
use crate::upstream::Answer;

/// The Unleash protocol's version of the client-features document.
const FEATURES_VERSION: u32 = 2;
/// The head of the stream's answer.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Waits between attempts double from here to there.
const WAIT_MIN: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The data of an event.
#[derive(Deserialize)]
struct Steps {
    events: Vec<Value>,
}

pub(crate) async fn run(relay: Relay, set: Arc<Set>, stop: CancellationToken) {
    let mut wait = WAIT_MIN;
    loop {
        let before = set.changes();
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = attempt(&relay, &set) => ended,
        };
        let stood = {
            let mut status = set.status.lock();
            if status.trouble.as_deref() != Some(ended.as_str()) {
                tracing::warn!(set = set.id, reason = ended, "the upstream is not followed; known flags are served on");
            }
            status.trouble = Some(ended);
            std::mem::take(&mut status.connected)
        };
        if stood || before.has_changed().unwrap_or(false) {
            wait = WAIT_MIN;
        }
        let jitter = Duration::from_millis(relay.chance(wait.as_millis() as u64));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait + jitter) => {}
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// Follows until that ends; gives why.
async fn attempt(relay: &Relay, set: &Set) -> String {
    let scope = match scope(relay, set).await {
        Ok(scope) => scope,
        Err(reason) => return reason,
    };
    let whole = set.whole().filter(|whole| whole.scope == scope);
    let since = whole.as_ref().map(|whole| whole.version.clone());
    let opened = tokio::time::timeout(ANSWER_WAIT, relay.upstream.stream(&set.secret, since.as_deref())).await;
    let mut response = match opened {
        Err(_) => return format!("it did not answer within {} s", ANSWER_WAIT.as_secs()),
        Ok(Err(error)) => return innermost(&error),
        Ok(Ok(response)) => response,
    };
    if response.status() != StatusCode::OK {
        return refused(response.status());
    }
    tracing::info!(set = set.id, scope = scope.name(), "the upstream is followed");
    {
        let mut status = set.status.lock();
        status.connected = true;
        status.opened += 1;
        status.trouble = None;
        // It goes on from the version that it was told; had it another one it would say so first.
        status.from_disk = whole.is_none();
    }
    let mut reader = sse::Reader::default();
    loop {
        let piece = match tokio::time::timeout(relay.silence_max, response.chunk()).await {
            Err(_) => return format!("it said nothing for {} s", relay.silence_max.as_secs_f64()),
            Ok(Err(error)) => return innermost(&error),
            Ok(Ok(None)) => return "it ended the stream".into(),
            Ok(Ok(Some(piece))) => piece,
        };
        set.status.lock().heard_at = Some(relay.clock.now());
        let events = match reader.feed(&piece) {
            Ok(events) => events,
            Err(error) => return error.to_string(),
        };
        for event in events {
            let version = reader.last_event_id.clone().unwrap_or_default();
            if let Err(reason) = take(set, &scope, &event, &version, relay.clock.now()) {
                return reason;
            }
            set.status.lock().from_disk = false;
        }
    }
}

fn refused(status: StatusCode) -> String {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("it answered {status}: the relay's token is unknown, revoked or not of the kind `client`")
        }
        other => format!("it answered {other}"),
    }
}

/// What the set's token reads: as the upstream says, or as it was when the upstream says nothing.
async fn scope(relay: &Relay, set: &Set) -> Result<Scope, String> {
    let asked = [set.secret.clone()];
    match relay.upstream.validate(&set.secret, &asked).await {
        Answer::Known(known) => known
            .into_iter()
            .next()
            .map(|known| known.scope)
            .ok_or_else(|| "it does not know the relay's token; it takes one of the kind `client`".into()),
        Answer::Refused => Err(refused(StatusCode::UNAUTHORIZED)),
        Answer::Nothing(reason) => set.whole().map(|whole| whole.scope.clone()).ok_or(reason),
    }
}

/// Takes over one event.
fn take(set: &Set, scope: &Scope, event: &sse::Event, version: &str, now: Timestamp) -> Result<(), String> {
    if event.name != "unleash-connected" && event.name != "unleash-updated" {
        return Ok(());
    }
    let steps: Steps = serde_json::from_str(&event.data).map_err(|e| format!("an event cannot be read: {e}"))?;
    let known = set.whole().filter(|whole| whole.scope == *scope);
    let mut features = known.as_ref().map(|whole| whole.features.clone());
    let mut revision = 0;
    for step in steps.events {
        // A kind of step that is not known changes something that is not known.
        let kind = step["type"].as_str().unwrap_or_default().to_owned();
        let step: DeltaEvent = match serde_json::from_value(step) {
            Ok(step) => step,
            Err(error) if KNOWN.contains(&kind.as_str()) => return Err(format!("a {kind} cannot be read: {error}")),
            Err(_) => continue,
        };
        revision = revision.max(id(&step));
        if matches!(step, DeltaEvent::Hydration { .. }) {
            features.get_or_insert_with(|| ClientFeatures { version: FEATURES_VERSION, ..ClientFeatures::default() });
        }
        match &mut features {
            Some(whole) => whole.apply(step),
            None => return Err("it sent a difference before the whole".into()),
        }
    }
    if let Some(mut features) = features {
        features.features.sort_by(|a, b| a.name.cmp(&b.name));
        features.segments.sort_by_key(|s| s.id);
        set.accept(scope.clone(), features, Came { version: Some(version.into()), revision, at: now });
    }
    Ok(())
}

const KNOWN: [&str; 5] = ["hydration", "feature-updated", "feature-removed", "segment-updated", "segment-removed"];

fn id(step: &DeltaEvent) -> u64 {
    match step {
        DeltaEvent::Hydration { event_id, .. }
        | DeltaEvent::FeatureUpdated { event_id, .. }
        | DeltaEvent::FeatureRemoved { event_id, .. }
        | DeltaEvent::SegmentUpdated { event_id, .. }
        | DeltaEvent::SegmentRemoved { event_id, .. } => *event_id,
    }
}
