//! One version of what clients of one scope are served from. Immutable; a change makes a new one. What not every relay
//! is asked for (evaluating, whole documents) is made when it is first asked for, so that a change passes through a chain
//! of relays without waiting for it.

use std::sync::{Arc, OnceLock};

use tenfold_flags::delta::{self, History};
use tenfold_flags::{ClientFeatures, Context, DeltaEvent, Evaluation, Moment, Snapshot, wire};
use tenfold_httpkit::streams::{News, Told, event};
use tenfold_protocols::body::Body;
use tenfold_types::Timestamp;

use crate::tokens::Scope;
use crate::usage::{Counts, Usage};

/// One version of a scope's flags.
pub(crate) struct Definitions {
    pub(crate) scope: Scope,
    /// Names this version. Where the scope is the whole of what the relay's own token reads it is the upstream's name, so
    /// that a client may go on with any relay of a chain.
    pub(crate) version: Arc<str>,
    /// Rises with every version; as the upstream counts, which stays within 32 bits for the sake of some SDKs.
    pub(crate) revision: u64,
    /// When it came from upstream.
    pub(crate) changed_at: Timestamp,
    pub(crate) features: ClientFeatures,
    history: History,
    compiled: OnceLock<Compiled>,
    document: Body,
    hydration: Body,
}

/// How a version came here.
#[derive(Clone)]
pub(crate) struct Came {
    pub(crate) version: Option<Arc<str>>,
    pub(crate) revision: u64,
    pub(crate) at: Timestamp,
}

struct Compiled {
    snapshot: Snapshot,
    usage: Vec<Arc<Counts>>,
}

impl Definitions {
    /// The first version of a scope that is known here; without a name it is named after what is in it.
    pub(crate) fn first(scope: Scope, features: ClientFeatures, came: Came) -> Self {
        let Came { version, revision, at } = came;
        let document = Body::default();
        let version = version.unwrap_or_else(|| {
            let digest = blake3::hash(document.fill(|| bytes_of(&features)).plain()).to_hex();
            format!("{}:{}", scope.environment, &digest[..16]).into()
        });
        Self {
            scope,
            version,
            revision,
            changed_at: at,
            features,
            history: History::default(),
            compiled: OnceLock::new(),
            document,
            hydration: Body::default(),
        }
    }

    /// The version after this one; `None` when nothing that this scope sees has changed.
    pub(crate) fn next(&self, features: ClientFeatures, came: Came) -> Option<Self> {
        let revision = came.revision.max(self.revision + 1);
        let events = delta::between(&self.features, &features, revision);
        if events.is_empty() {
            return None;
        }
        let history = self.history.with(self.version.clone(), events);
        Some(Self { history, ..Self::first(self.scope.clone(), features, Came { revision, ..came }) })
    }

    pub(crate) fn environment(&self) -> &str {
        &self.scope.environment
    }

    /// The client-features document.
    pub(crate) fn document(&self) -> &Body {
        self.document.fill(|| bytes_of(&self.features))
    }

    /// The document's tag: the version in quotes.
    pub(crate) fn tag(&self) -> String {
        format!("\"{}\"", self.version)
    }

    /// Everything as the delta protocol has it.
    pub(crate) fn hydration(&self) -> &Body {
        self.hydration.fill(|| {
            let event = DeltaEvent::Hydration {
                event_id: self.revision,
                segments: self.features.segments.clone(),
                features: self.features.features.clone(),
            };
            delta::body([&event]).into_bytes()
        })
    }

    /// The difference that brings somebody who has `since` here, where it is remembered; else they need everything.
    pub(crate) fn delta_since(&self, since: Option<&str>) -> Option<String> {
        since.and_then(|since| self.history.since(since)).map(delta::body)
    }

    fn compiled(&self, usage: &Usage) -> &Compiled {
        self.compiled.get_or_init(|| {
            let snapshot = Snapshot::compile(&self.features);
            let mut counts = vec![Arc::default(); snapshot.indices()];
            for (index, flag) in snapshot.indexed_names() {
                counts[index] = usage.of(&self.scope.name(), flag);
            }
            Compiled { snapshot, usage: counts }
        })
    }

    /// Evaluates one flag and counts the answer.
    pub(crate) fn evaluate<'a>(
        &'a self,
        key: &str,
        context: &Context,
        moment: Moment,
        usage: &Usage,
    ) -> Option<Evaluation<'a>> {
        let compiled = self.compiled(usage);
        compiled.snapshot.evaluate(key, context, moment).inspect(|answer| compiled.count(answer))
    }

    /// Evaluates every flag and counts the answers.
    pub(crate) fn evaluate_all<'a>(
        &'a self,
        context: &'a Context,
        moment: Moment,
        usage: &Usage,
    ) -> impl ExactSizeIterator<Item = Evaluation<'a>> + 'a {
        let compiled = self.compiled(usage);
        compiled.snapshot.evaluate_all(context, moment).inspect(|answer| compiled.count(answer))
    }
}

impl Compiled {
    fn count(&self, answer: &Evaluation<'_>) {
        if let Some(counts) = self.usage.get(answer.index()) {
            counts.add(answer.enabled, answer.unleash_variant().map(|v| v.0));
        }
    }
}

fn bytes_of(features: &ClientFeatures) -> Vec<u8> {
    serde_json::to_vec(features).unwrap_or_default()
}

/// Definitions, as the Unleash SDKs and other relays follow them.
pub(crate) struct Whole(pub(crate) Arc<Definitions>);

impl News for Whole {
    fn version(&self) -> Arc<str> {
        self.0.version.clone()
    }
    fn revision(&self) -> u64 {
        self.0.revision
    }
    fn text(&self, told: &Told) -> String {
        let name = wire::unleash::stream_event(told.opening);
        let delta = self.0.delta_since(told.since.as_deref());
        let whole = || str::from_utf8(self.0.hydration().plain()).unwrap_or_default();
        event(Some(name), &self.0.version, delta.as_deref().unwrap_or_else(whole))
    }
}

/// That something changed, as OFREP providers follow it.
pub(crate) struct Changed(pub(crate) Arc<Definitions>);

impl News for Changed {
    fn version(&self) -> Arc<str> {
        self.0.version.clone()
    }
    fn revision(&self) -> u64 {
        self.0.revision
    }
    fn text(&self, _: &Told) -> String {
        event(None, &self.0.version, &wire::ofrep::refetch(&self.0.version, self.0.changed_at))
    }
}
