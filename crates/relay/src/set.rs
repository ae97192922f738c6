//! A set: what one of the relay's own tokens reads, in memory and on disk, and the narrower scopes of it that clients ask
//! for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tenfold_flags::ClientFeatures;
use tenfold_types::{Fault, Timestamp};
use tokio::sync::watch;

use crate::definitions::{Came, Definitions};
use crate::tokens::{self, Known, Scope};
use crate::{Relay, copy};

/// Different scopes of one set that clients may ask for.
const SCOPES_MAX: usize = 1_000;

/// How the upstream is doing, for people.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Status {
    /// The stream stands.
    pub(crate) connected: bool,
    /// How often the stream was opened since the relay started.
    pub(crate) opened: u64,
    /// When the upstream last sent anything.
    pub(crate) heard_at: Option<Timestamp>,
    /// Why the stream does not stand.
    pub(crate) trouble: Option<String>,
    /// The version that is on disk.
    pub(crate) saved_version: Option<Arc<str>>,
    /// Why that is not the newest.
    pub(crate) disk_trouble: Option<String>,
    /// What is served came from disk and was not confirmed by the upstream since.
    pub(crate) from_disk: bool,
}

/// The file of a set.
#[derive(Serialize, Deserialize)]
struct Saved {
    scope: Scope,
    /// The upstream's name for it.
    version: Arc<str>,
    revision: u64,
    changed_at: Timestamp,
    features: ClientFeatures,
}

pub(crate) struct Set {
    /// Out of its token's digest.
    pub(crate) id: String,
    /// Of the token it is followed with.
    pub(crate) secret: String,
    path: PathBuf,
    whole: watch::Sender<Option<Arc<Definitions>>>,
    narrower: RwLock<BTreeMap<Scope, watch::Sender<Arc<Definitions>>>>,
    pub(crate) status: Mutex<Status>,
}

impl Set {
    /// With what is on disk, if that can be trusted.
    pub(crate) fn load(dir: &Path, secret: String) -> Self {
        let id = tokens::digest(&secret)[..16].to_owned();
        let path = dir.join(format!("set-{id}.json"));
        let saved: Option<Saved> = copy::read(&path);
        let from_disk = saved.is_some();
        let first = saved.map(|s| {
            let came = Came { version: Some(s.version), revision: s.revision, at: s.changed_at };
            Arc::new(Definitions::first(s.scope, s.features, came))
        });
        Self {
            id,
            secret,
            path,
            whole: watch::Sender::new(first),
            narrower: RwLock::default(),
            status: Mutex::new(Status { from_disk, ..Status::default() }),
        }
    }

    /// Writes the newest version to disk; gives its name.
    pub(crate) fn save(&self) -> std::io::Result<Option<Arc<str>>> {
        let Some(whole) = self.whole() else { return Ok(None) };
        let saved = Saved {
            scope: whole.scope.clone(),
            version: whole.version.clone(),
            revision: whole.revision,
            changed_at: whole.changed_at,
            features: whole.features.clone(),
        };
        copy::write(&self.path, &saved)?;
        Ok(Some(saved.version))
    }

    pub(crate) fn saved(&self, outcome: Result<Option<Arc<str>>, String>) {
        let mut status = self.status.lock();
        match outcome {
            Ok(version) => (status.saved_version, status.disk_trouble) = (version, None),
            Err(trouble) => status.disk_trouble = Some(trouble),
        }
    }

    pub(crate) fn whole(&self) -> Option<Arc<Definitions>> {
        self.whole.borrow().clone()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<Option<Arc<Definitions>>> {
        self.whole.subscribe()
    }

    /// Takes over a version that the upstream sent. Whoever follows sees it when this returns; nothing is sent on when
    /// nothing in it is new.
    pub(crate) fn accept(&self, scope: Scope, features: ClientFeatures, came: Came) {
        // One at a time; who only reads what is known already does not wait for it.
        let narrower = self.narrower.write();
        let before = self.whole().filter(|before| before.scope == scope);
        let next = match before {
            Some(before) => before.next(features, came.clone()),
            None => Some(Definitions::first(scope.clone(), features, came.clone())),
        };
        let Some(next) = next.map(Arc::new) else { return };
        for (narrow, cell) in narrower.iter() {
            let before = cell.borrow().clone();
            let version = came.version.clone().filter(|_| *narrow == scope);
            let came = Came { version, revision: next.revision, at: came.at };
            if let Some(next) = before.next(narrow.of(&next.features), came) {
                cell.send_replace(Arc::new(next));
            }
        }
        self.whole.send_replace(Some(next));
    }

    /// The scopes that clients asked for.
    pub(crate) fn scope_names(&self) -> Vec<String> {
        let whole = self.whole().map(|whole| whole.scope.clone());
        self.narrower.read().keys().filter(|s| Some(*s) != whole.as_ref()).map(Scope::name).collect()
    }

    /// What a client of that scope is served from, now and from now on. The scope must be inside the set's.
    pub(crate) fn view(&self, scope: &Scope) -> Result<watch::Receiver<Arc<Definitions>>, Fault> {
        if let Some(known) = self.narrower.read().get(scope) {
            return Ok(known.subscribe());
        }
        let mut narrower = self.narrower.write();
        let whole = self.whole().ok_or_else(not_ready)?;
        if narrower.len() >= SCOPES_MAX && !narrower.contains_key(scope) {
            return Err(Fault::unavailable(format!(
                "clients ask for {SCOPES_MAX} different sets of projects, the limit"
            ))
            .advice("let tokens share their set of projects"));
        }
        let first = || {
            let features = scope.of(&whole.features);
            let version = (*scope == whole.scope).then(|| whole.version.clone());
            let came = Came { version, revision: whole.revision, at: whole.changed_at };
            watch::Sender::new(Arc::new(Definitions::first(scope.clone(), features, came)))
        };
        Ok(narrower.entry(scope.clone()).or_insert_with(first).subscribe())
    }
}

impl Relay {
    /// The set that a client's token is served from.
    pub(crate) fn set_of(&self, known: &Known) -> Result<&Arc<Set>, Fault> {
        let scopes = || self.sets.values().filter_map(|set| Some((set, set.whole()?)));
        if let Some((set, _)) = scopes().find(|(_, whole)| whole.scope.covers(&known.scope)) {
            return Ok(set);
        }
        // One that is not ready yet may be the one.
        if scopes().count() < self.sets.len() {
            return Err(not_ready());
        }
        let names: Vec<String> = scopes().map(|(_, whole)| whole.scope.name()).collect();
        Err(Fault::forbidden(format!("this relay does not serve {}", known.scope.name()))
            .advice(format!("it serves {}; its operator can give it one more token", names.join(" and "))))
    }

    /// What a client's token is served from.
    pub(crate) fn view(&self, known: &Known) -> Result<Arc<Definitions>, Fault> {
        Ok(self.set_of(known)?.view(&known.scope)?.borrow().clone())
    }
}

fn not_ready() -> Fault {
    Fault::unavailable("the relay has not heard from its upstream yet, and has no copy on its disk")
        .advice("come again shortly; GET /status says what it waits for")
}
