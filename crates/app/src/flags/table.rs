//! The flags in memory: definitions as the store has them, and the answer books made from them.
//!
//! Evaluation reads only from the books; it never waits for the store, nor for a change that is being made.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tenfold_flags::{Flag, HIDDEN_SUFFIX, Segment};
use tenfold_types::{Actor, Source, Timestamp};
use tokio::sync::watch;

use super::book::{Environment, Wanted};
use super::fragment::{Fragment, SegmentFragment};
use super::project_list::FlagProjectUpdate;
use super::projects::Projects;
use super::tracked::Tracked;
use super::usage::Usage;

/// Sets of projects that have a book of their own in an environment. Of more, those that nobody follows are made anew
/// when somebody asks.
pub const PROJECT_SETS_MAX: usize = 200;

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
    pub(super) flags: Tracked<String, Entry>,
    pub(super) segments: Tracked<i64, Segment>,
    pub(super) projects: BTreeMap<String, FlagProjectUpdate>,
    /// Off whatever the definitions say.
    pub(super) held_off: Tracked<(String, String), Kill>,
}

impl Table {
    /// An older version than the one that is known changes nothing.
    pub(super) fn accept(&mut self, flag: Flag, version: i64) {
        let known = self.flags.get(&flag.key);
        if known.is_none_or(|k| version > k.version || (version == k.version && *k.flag != flag)) {
            self.flags.insert(flag.key.clone(), Entry { flag: Arc::new(flag), version });
        }
    }

    /// A flag as clients of an environment get it, with the hidden one beside it or the absence of that.
    fn wanted(&self, environment: &str, key: &str, usage: &Usage) -> Vec<Wanted> {
        let entry = self.flags.get(key).filter(|e| !e.flag.archived);
        let held_off = self.held_off.contains_key(&(key.to_owned(), environment.to_owned()));
        let mut wanted = BTreeMap::from([(key.to_owned(), None), (format!("{key}{HIDDEN_SUFFIX}"), None)]);
        let tags = entry.map(|e| e.flag.tags.as_slice()).unwrap_or_default();
        for mut feature in entry.into_iter().flat_map(|e| e.flag.features(environment)) {
            feature.enabled &= !held_off;
            let counts = if feature.hidden { Arc::default() } else { usage.of(environment, &feature.name) };
            wanted.insert(feature.name.clone(), Some(Fragment::new(feature, tags, counts)));
        }
        wanted.into_iter().collect()
    }

    pub(super) fn surroundings(&self) -> (BTreeMap<String, Arc<Flag>>, BTreeMap<i64, Segment>) {
        let flags = self.flags.iter().filter(|(_, e)| !e.flag.archived).map(|(k, e)| (k.clone(), e.flag.clone()));
        (flags.collect(), self.segments.clone())
    }

    fn segment_fragments(&self) -> Vec<Arc<SegmentFragment>> {
        self.segments.values().map(SegmentFragment::new).collect()
    }
}

type Cell = Arc<watch::Sender<Arc<Environment>>>;

/// The books of one environment.
struct Cells {
    all: Cell,
    limited: HashMap<Projects, Cell>,
}

/// The part's memory.
#[derive(Default)]
pub struct State {
    table: Mutex<Table>,
    cells: RwLock<BTreeMap<String, Cells>>,
    pub(super) usage: Usage,
    pub(super) watches: super::ramps::Watches,
    pub(super) impact: super::impact::Admitted,
    pub(super) instances: super::instances::Instances,
    pub(super) life: super::life::Life,
    pub(super) drills: super::contingency::Watch,
    pub(super) journal: super::journal::Journal,
    channel_key: RwLock<[u8; 32]>,
}

impl State {
    /// What answers for an environment now, to readers of all projects; `None` when there is no such environment.
    pub fn environment(&self, name: &str) -> Option<Arc<Environment>> {
        self.cells.read().get(name).map(|cells| cells.all.borrow().clone())
    }

    /// What answers for an environment now, to readers of these projects.
    pub fn book(&self, name: &str, projects: &Projects) -> Option<Arc<Environment>> {
        self.cell(name, projects).map(|cell| cell.borrow().clone())
    }

    /// Tells of every change in an environment, in whatever project.
    pub fn watch(&self, name: &str) -> Option<watch::Receiver<Arc<Environment>>> {
        self.watch_book(name, &Projects::All)
    }

    /// Tells of every change in what these projects' readers are answered.
    pub fn watch_book(&self, name: &str, projects: &Projects) -> Option<watch::Receiver<Arc<Environment>>> {
        self.cell(name, projects).map(|cell| cell.subscribe())
    }

    fn cell(&self, name: &str, projects: &Projects) -> Option<Cell> {
        {
            let cells = self.cells.read();
            let of = cells.get(name)?;
            match projects {
                Projects::All => return Some(of.all.clone()),
                Projects::Only(_) => {
                    if let Some(known) = of.limited.get(projects) {
                        return Some(known.clone());
                    }
                }
            }
        }
        // Changes hold the table, so none is missed between making the book and keeping it.
        let _table = self.table.lock();
        let mut cells = self.cells.write();
        let of = cells.get_mut(name)?;
        if of.limited.len() >= PROJECT_SETS_MAX {
            of.limited.retain(|_, cell| cell.receiver_count() > 0);
        }
        let all = of.all.borrow().clone();
        let cell = of.limited.entry(projects.clone()).or_insert_with(|| {
            let wanted = all.fragments().iter().map(|f| (f.name().to_owned(), Some(f.clone()))).collect();
            let first = Environment::first(name, projects.clone(), wanted, all.segments(), all.changed_at);
            Arc::new(watch::Sender::new(Arc::new(first)))
        });
        Some(cell.clone())
    }

    /// What only this server, and others on its store, can say of a text.
    pub(super) fn mark(&self, text: &str) -> String {
        blake3::keyed_hash(&self.channel_key.read(), text.as_bytes()).to_hex()[..32].to_owned()
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
        let mut touched = table.flags.take_touched();
        touched.extend(table.held_off.take_touched().into_iter().map(|(key, _)| key));
        let segments_touched = !table.segments.take_touched().is_empty();
        if touched.is_empty() && !segments_touched {
            return;
        }
        let fresh_segments = segments_touched.then(|| table.segment_fragments());
        for (name, cells) in self.cells.read().iter() {
            let before = cells.all.borrow().clone();
            let wanted = touched.iter().flat_map(|key| table.wanted(name, key, &self.usage)).collect();
            let segments = fresh_segments.as_deref().unwrap_or(before.segments());
            let Some(next) = before.next(wanted, segments, now) else { continue };
            let next = Arc::new(next);
            cells.all.send_replace(next.clone());
            advance_limited(cells, &touched, &next, now);
        }
    }

    /// Makes sure that these environments have answers.
    pub(super) fn add_environments(&self, names: impl IntoIterator<Item = String>, now: Timestamp) {
        let table = self.table.lock();
        let mut cells = self.cells.write();
        for name in names {
            cells.entry(name).or_insert_with_key(|name| {
                let wanted = table.flags.keys().flat_map(|key| table.wanted(name, key, &self.usage)).collect();
                let first = Environment::first(name, Projects::All, wanted, &table.segment_fragments(), now);
                Cells { all: Arc::new(watch::Sender::new(Arc::new(first))), limited: HashMap::new() }
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

/// Brings the books of single projects to where the book of all is.
fn advance_limited(cells: &Cells, touched: &BTreeSet<String>, all: &Environment, now: Timestamp) {
    for cell in cells.limited.values() {
        let before = cell.borrow().clone();
        let names = touched.iter().flat_map(|key| [key.clone(), format!("{key}{HIDDEN_SUFFIX}")]);
        let wanted = names.map(|name| (all.fragment(&name).cloned(), name)).map(|(f, name)| (name, f)).collect();
        if let Some(next) = before.next(wanted, all.segments(), now) {
            cell.send_replace(Arc::new(next));
        }
    }
}
