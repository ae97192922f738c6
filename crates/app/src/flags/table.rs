//! The flags in memory: definitions as the store has them, and one compiled, immutable answer book per environment.
//!
//! Evaluation reads only from here; it never waits for the store.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tenfold_flags::{ClientFeatures, Context, Evaluation, Feature, Flag, Moment, Segment, Snapshot};
use tenfold_types::{Actor, Source, Timestamp};
use tokio::sync::watch;

use super::usage::{Counts, Usage};

/// The Unleash protocol's version of the client-features document.
const FEATURES_VERSION: u32 = 2;

/// Everything that answers for one environment. Immutable; a change makes a new one.
pub struct Environment {
    pub name: String,
    pub snapshot: Snapshot,
    /// The client-features document of the Unleash protocol.
    pub document: Bytes,
    /// Changes exactly when the document does; the same on every node and after a restart.
    pub etag: String,
    pub changed_at: Timestamp,
    definitions: ClientFeatures,
    /// Made when a client first asks for it.
    hydration: OnceLock<String>,
    /// In the order of the snapshot's flags.
    usage: Vec<Arc<Counts>>,
}

impl Environment {
    fn compile(name: &str, table: &Table, usage: &Usage, now: Timestamp) -> Self {
        let features = table.flags.values().map(|e| &e.flag).filter(|f| !f.archived).flat_map(|f| {
            let held_off = table.held_off.contains_key(&(f.key.clone(), name.to_owned()));
            f.features(name).map(move |feature| Feature { enabled: feature.enabled && !held_off, ..feature })
        });
        let document = ClientFeatures {
            version: FEATURES_VERSION,
            features: features.collect(),
            segments: table.segments.values().cloned().collect(),
        };
        let snapshot = Snapshot::compile(&document);
        let bytes = serde_json::to_vec(&document).unwrap_or_default();
        let digest = blake3::hash(&bytes).to_hex();
        Self {
            usage: snapshot.names().map(|flag| usage.of(name, flag)).collect(),
            name: name.to_owned(),
            snapshot,
            etag: format!("\"{name}:{}\"", &digest[..16]),
            document: bytes.into(),
            changed_at: now,
            definitions: document,
            hydration: OnceLock::new(),
        }
    }

    /// This state's number in the delta protocol. It must fit 32 bits: the engine of the Python SDK, among others, takes
    /// a larger one for a document without flags, and so turns everything off. Quarters of a second fit until 2059.
    pub fn number(&self) -> u32 {
        const START_MS: i64 = 1_735_689_600_000; // 2025-01-01
        u32::try_from((self.changed_at.millis() - START_MS) / 250).unwrap_or(u32::MAX)
    }

    /// Everything as one `hydration` event of the Unleash delta protocol.
    pub fn hydration_text(&self) -> &str {
        self.hydration.get_or_init(|| {
            serde_json::json!({"events": [{
                "type": "hydration",
                "eventId": self.number(),
                "features": self.definitions.features,
                "segments": self.definitions.segments,
            }]})
            .to_string()
        })
    }

    /// Evaluates one flag and counts the answer.
    pub fn evaluate<'a>(&'a self, key: &str, context: &Context, moment: Moment) -> Option<Evaluation<'a>> {
        let answer = self.snapshot.evaluate(key, context, moment)?;
        self.count(&answer);
        Some(answer)
    }

    /// Evaluates every flag, in the order of names, and counts the answers.
    pub fn evaluate_all<'a>(
        &'a self,
        context: &'a Context,
        moment: Moment,
    ) -> impl ExactSizeIterator<Item = Evaluation<'a>> + 'a {
        self.snapshot.evaluate_all(context, moment).inspect(|answer| self.count(answer))
    }

    fn count(&self, answer: &Evaluation<'_>) {
        if let Some(counts) = self.usage.get(answer.index()) {
            counts.add(answer.enabled, answer.unleash_variant().map(|v| v.0));
        }
    }
}

/// A flag somebody switched off and that may not be in the store yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kill {
    pub key: String,
    pub environment: String,
    pub actor: Actor,
    pub source: Source,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

pub(super) struct Entry {
    pub(super) flag: Arc<Flag>,
    pub(super) version: i64,
}

#[derive(Default)]
pub(super) struct Table {
    pub(super) flags: BTreeMap<String, Entry>,
    pub(super) segments: BTreeMap<i64, Segment>,
    /// Off whatever the definitions say.
    pub(super) held_off: BTreeMap<(String, String), Kill>,
}

impl Table {
    /// An older version than the one that is known changes nothing.
    pub(super) fn accept(&mut self, flag: Flag, version: i64) {
        let known = self.flags.get(&flag.key).map_or(0, |e| e.version);
        if version >= known {
            self.flags.insert(flag.key.clone(), Entry { flag: Arc::new(flag), version });
        }
    }

    pub(super) fn surroundings(&self) -> (BTreeMap<String, Arc<Flag>>, BTreeMap<i64, Segment>) {
        let flags = self.flags.iter().filter(|(_, e)| !e.flag.archived).map(|(k, e)| (k.clone(), e.flag.clone()));
        (flags.collect(), self.segments.clone())
    }
}

type Cell = Arc<watch::Sender<Arc<Environment>>>;

/// The part's memory.
#[derive(Default)]
pub struct State {
    table: Mutex<Table>,
    cells: RwLock<BTreeMap<String, Cell>>,
    pub(super) usage: Usage,
    pub(super) watches: super::ramps::Watches,
    pub(super) impact: super::impact::Admitted,
    pub(super) journal: super::journal::Journal,
    channel_key: RwLock<[u8; 32]>,
}

impl State {
    /// What answers for an environment now; `None` when there is no such environment.
    pub fn environment(&self, name: &str) -> Option<Arc<Environment>> {
        self.cells.read().get(name).map(|cell| cell.borrow().clone())
    }

    /// Tells of every change in an environment.
    pub fn watch(&self, name: &str) -> Option<watch::Receiver<Arc<Environment>>> {
        self.cells.read().get(name).map(|cell| cell.subscribe())
    }

    /// The secret name of an environment's change stream: it stands in an address, where a browser can send no token.
    pub fn channel(&self, environment: &str) -> String {
        let name = blake3::keyed_hash(&self.channel_key.read(), environment.as_bytes()).to_hex();
        name[..32].to_owned()
    }

    /// The environment a change stream's name stands for.
    pub fn channel_environment(&self, channel: &str) -> Option<String> {
        self.environment_names().into_iter().find(|name| self.channel(name) == channel)
    }

    pub(super) fn set_channel_key(&self, secret: String) {
        *self.channel_key.write() = blake3::derive_key("tenfold flag change streams", secret.as_bytes());
    }

    pub(super) fn look<T>(&self, f: impl FnOnce(&Table) -> T) -> T {
        f(&self.table.lock())
    }

    /// Changes the table and whatever answers depend on it, before it returns.
    pub(super) fn change(&self, now: Timestamp, f: impl FnOnce(&mut Table)) {
        let mut table = self.table.lock();
        f(&mut table);
        for (name, cell) in self.cells.read().iter() {
            let fresh = Environment::compile(name, &table, &self.usage, now);
            cell.send_if_modified(|current| {
                let changed = current.etag != fresh.etag;
                if changed {
                    *current = Arc::new(fresh);
                }
                changed
            });
        }
    }

    /// Makes sure that these environments have answers.
    pub(super) fn add_environments(&self, names: impl IntoIterator<Item = String>, now: Timestamp) {
        let table = self.table.lock();
        let mut cells = self.cells.write();
        for name in names {
            cells.entry(name).or_insert_with_key(|name| {
                let first = Environment::compile(name, &table, &self.usage, now);
                Arc::new(watch::Sender::new(Arc::new(first)))
            });
        }
    }

    pub(super) fn environment_names(&self) -> Vec<String> {
        self.cells.read().keys().cloned().collect()
    }

    /// Flags that are not archived, and segments: what a definition is checked against.
    pub(super) fn surroundings(&self) -> (BTreeMap<String, Arc<Flag>>, BTreeMap<i64, Segment>) {
        self.table.lock().surroundings()
    }
}
