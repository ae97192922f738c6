//! Tokens of the relay's clients. The upstream says what a token may read; the relay remembers the answer under the
//! token's digest, also on disk, and asks again every other second about those that are in use. A secret is in memory only
//! while its client may come back, and never on disk.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tenfold_flags::ClientFeatures;
use tenfold_types::{ErrorCode, Fault, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::upstream::{Answer, TOKENS_ASKED_MAX};
use crate::{Relay, copy};

/// Stands for all projects.
const ALL: &str = "*";
/// What a feature without a project belongs to.
const DEFAULT_PROJECT: &str = "default";
/// Clients' tokens a relay remembers.
const TOKENS_MAX: usize = 20_000;
/// A token that the upstream ends is refused here, and its streams closed, after about this long, for each relay of a chain.
const ASK_EVERY: Duration = Duration::from_millis(1_500);
/// A token that was not used for this long is not asked about; its next use asks.
const IN_USE: Duration = Duration::from_mins(5);
/// A token that the upstream refused is refused without asking for this long.
const REFUSED_FOR: Duration = Duration::from_secs(5);
const REFUSED_MAX: usize = 10_000;

pub(crate) fn digest(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

/// Which flags somebody reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) environment: String,
    /// Sorted; `*` alone for all.
    projects: Vec<String>,
}

impl Scope {
    pub(crate) fn new(environment: String, mut projects: Vec<String>) -> Self {
        projects.sort();
        projects.dedup();
        if projects.is_empty() || projects.iter().any(|p| p == ALL) {
            projects = vec![ALL.to_owned()];
        }
        Self { environment, projects }
    }

    fn is_all(&self) -> bool {
        self.projects == [ALL]
    }

    /// Whether somebody who reads this could also be served all that `other` reads.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.environment == other.environment
            && (self.is_all() || (!other.is_all() && other.projects.iter().all(|p| self.projects.contains(p))))
    }

    /// The part of a document that this scope reads; segments that no flag in it uses stay out.
    pub(crate) fn of(&self, whole: &ClientFeatures) -> ClientFeatures {
        if self.is_all() {
            return whole.clone();
        }
        let reads = |project: Option<&str>| self.projects.iter().any(|p| p == project.unwrap_or(DEFAULT_PROJECT));
        let features: Vec<_> = whole.features.iter().filter(|f| reads(f.project.as_deref())).cloned().collect();
        let uses = |id: i64| features.iter().flat_map(|f| &f.strategies).any(|s| s.segments.contains(&id));
        let segments = whole.segments.iter().filter(|s| uses(s.id)).cloned().collect();
        ClientFeatures { version: whole.version, features, segments }
    }

    /// For people and as a key.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.environment, self.projects.join(","))
    }

    pub(crate) fn projects(&self) -> &[String] {
        &self.projects
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Client,
    Frontend,
}

/// What a token may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) digest: String,
    pub(crate) kind: Kind,
    pub(crate) scope: Scope,
    pub(crate) expires_at: Option<Timestamp>,
}

struct Entry {
    known: Arc<Known>,
    /// Of a token that was used since the relay started.
    secret: Option<String>,
    used_at: Instant,
}

pub(crate) struct Tokens {
    path: PathBuf,
    by_digest: RwLock<HashMap<String, Entry>>,
    refused: Mutex<HashMap<String, Instant>>,
}

impl Tokens {
    pub(crate) fn load(dir: &Path) -> Self {
        let path = dir.join("tokens.json");
        let saved: Vec<Known> = copy::read(&path).unwrap_or_default();
        let now = Instant::now();
        let entry = |known: Known| (known.digest.clone(), Entry { known: Arc::new(known), secret: None, used_at: now });
        Self { path, by_digest: RwLock::new(saved.into_iter().map(entry).collect()), refused: Mutex::default() }
    }

    /// Whether a token still counts, by its digest.
    pub(crate) fn by_digest(&self, digest: &str, now: Timestamp) -> Option<Arc<Known>> {
        let known = self.by_digest.read().get(digest).map(|e| e.known.clone())?;
        known.expires_at.is_none_or(|e| e > now).then_some(known)
    }

    pub(crate) fn count(&self) -> usize {
        self.by_digest.read().len()
    }

    /// A token that is known and not over.
    fn remembered(&self, digest: &str, secret: &str, now: Timestamp) -> Option<Arc<Known>> {
        {
            let all = self.by_digest.read();
            let entry = all.get(digest)?;
            if entry.known.expires_at.is_some_and(|e| e <= now) {
                return None;
            }
            if entry.secret.is_some() && entry.used_at.elapsed() < ASK_EVERY {
                return Some(entry.known.clone());
            }
        }
        let mut all = self.by_digest.write();
        let entry = all.get_mut(digest)?;
        entry.used_at = Instant::now();
        entry.secret.get_or_insert_with(|| secret.to_owned());
        Some(entry.known.clone())
    }

    fn was_refused(&self, digest: &str) -> bool {
        self.refused.lock().get(digest).is_some_and(|at| at.elapsed() < REFUSED_FOR)
    }

    fn refuse(&self, digest: String) {
        let mut refused = self.refused.lock();
        if refused.len() >= REFUSED_MAX {
            refused.clear();
        }
        refused.insert(digest, Instant::now());
    }

    fn remember(&self, known: Known, secret: String) -> Result<Arc<Known>, Fault> {
        let known = Arc::new(known);
        let changed = {
            let mut all = self.by_digest.write();
            if all.len() >= TOKENS_MAX && !all.contains_key(&known.digest) {
                return Err(Fault::unavailable(format!("the relay knows {TOKENS_MAX} tokens, which is the limit"))
                    .advice("start another relay beside it"));
            }
            let entry = Entry { known: known.clone(), secret: Some(secret), used_at: Instant::now() };
            all.insert(known.digest.clone(), entry).is_none_or(|before| before.known != known)
        };
        if changed {
            self.save();
        }
        Ok(known)
    }

    fn forget(&self, digests: &[String]) {
        if digests.is_empty() {
            return;
        }
        {
            let mut all = self.by_digest.write();
            for digest in digests {
                all.remove(digest);
            }
        }
        self.save();
    }

    fn save(&self) {
        let all: Vec<Known> = self.by_digest.read().values().map(|e| (*e.known).clone()).collect();
        if let Err(error) = copy::write(&self.path, &all) {
            tracing::error!(%error, "the list of known tokens could not be written; the relay serves on from memory");
        }
    }

    /// Secrets that are in use.
    fn in_use(&self, is_open: impl Fn(&str) -> bool) -> Vec<String> {
        let all = self.by_digest.read();
        let used = all.iter().filter(|(digest, e)| e.used_at.elapsed() < IN_USE || is_open(digest));
        used.filter_map(|(_, e)| e.secret.clone()).collect()
    }
}

fn unknown() -> Fault {
    Fault::new(ErrorCode::Unauthenticated, "the token is unknown, expired or revoked")
        .advice("an admin makes a new one on the Settings page under Tokens")
}

impl Relay {
    /// What the token of a request may read. Known tokens are let in at once; the upstream is asked about them afterwards.
    pub(crate) async fn admit(&self, secret: &str) -> Result<Arc<Known>, Fault> {
        let digest = digest(secret);
        if let Some(known) = self.tokens.remembered(&digest, secret, self.clock.now()) {
            return Ok(known);
        }
        if self.tokens.was_refused(&digest) {
            return Err(unknown());
        }
        let asked = [secret.to_owned()];
        if let Some(known) = self.ask(&asked).await.map_err(cannot_ask)?.into_iter().next() {
            return self.tokens.remember(known, secret.to_owned());
        }
        self.tokens.refuse(digest);
        Err(unknown())
    }

    /// The same for several tokens of a relay behind this one, with one question; those that are not good are left out.
    pub(crate) async fn admit_all(&self, secrets: Vec<String>) -> Result<Vec<(String, Arc<Known>)>, Fault> {
        let now = self.clock.now();
        let (mut good, mut unsure) = (Vec::new(), Vec::new());
        for secret in secrets {
            let digest = digest(&secret);
            match self.tokens.remembered(&digest, &secret, now) {
                Some(known) => good.push((secret, known)),
                None if self.tokens.was_refused(&digest) => {}
                None => unsure.push(secret),
            }
        }
        if unsure.is_empty() {
            return Ok(good);
        }
        let mut found: HashMap<String, Known> =
            self.ask(&unsure).await.map_err(cannot_ask)?.into_iter().map(|k| (k.digest.clone(), k)).collect();
        for secret in unsure {
            match found.remove(&digest(&secret)) {
                Some(known) => good.push((secret.clone(), self.tokens.remember(known, secret)?)),
                None => self.tokens.refuse(digest(&secret)),
            }
        }
        Ok(good)
    }

    /// Asks the upstream with a token of the relay's own: a browser's may not ask. `Err` says why nobody answers.
    async fn ask(&self, secrets: &[String]) -> Result<Vec<Known>, String> {
        for set in self.sets.values() {
            match self.upstream.validate(&set.secret, secrets).await {
                Answer::Known(found) => return Ok(found),
                Answer::Refused => {}
                Answer::Nothing(reason) => return Err(reason),
            }
        }
        Err("it refuses the relay's own tokens".into())
    }
}

fn cannot_ask(reason: String) -> Fault {
    Fault::unavailable(format!("the relay does not know this token and cannot ask its upstream: {reason}"))
        .advice("come again when the upstream is back")
}

/// Asks the upstream again and again about the tokens in use, and ends those that it no longer knows.
pub(crate) async fn watch(relay: Relay, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ASK_EVERY) => {}
        }
        let open: HashSet<String> = relay.streams.gates().into_iter().collect();
        let secrets = relay.tokens.in_use(|digest| open.contains(digest));
        for some in secrets.chunks(TOKENS_ASKED_MAX) {
            ask_again(&relay, some).await;
        }
        let now = relay.clock.now();
        relay.streams.check_gates(|digest| relay.tokens.by_digest(digest, now).is_some());
    }
}

async fn ask_again(relay: &Relay, secrets: &[String]) {
    // Who cannot be asked has ended nothing.
    let Ok(found) = relay.ask(secrets).await else { return };
    let valid: HashSet<&str> = found.iter().map(|k| k.digest.as_str()).collect();
    let gone: Vec<String> = secrets.iter().map(|s| digest(s)).filter(|d| !valid.contains(d.as_str())).collect();
    relay.tokens.forget(&gone);
    let by_digest: HashMap<String, &String> = secrets.iter().map(|s| (digest(s), s)).collect();
    for known in found {
        relay.tokens.confirm(known, &by_digest);
    }
}

impl Tokens {
    /// The upstream says so again; what a token may read may have changed.
    fn confirm(&self, known: Known, secrets: &HashMap<String, &String>) {
        let same = self.by_digest.read().get(&known.digest).is_none_or(|entry| *entry.known == known);
        if let (false, Some(secret)) = (same, secrets.get(&known.digest)) {
            let _ = self.remember(known, (*secret).clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(environment: &str, projects: &[&str]) -> Scope {
        Scope::new(environment.into(), projects.iter().map(|p| (*p).to_owned()).collect())
    }

    #[test]
    fn a_scope_covers_what_is_inside_it() {
        let all = scope("production", &[]);
        assert_eq!(all, scope("production", &["a", "*"]));
        let (some, one) = (scope("production", &["b", "a"]), scope("production", &["a"]));
        assert!(all.covers(&some) && all.covers(&all) && some.covers(&one));
        assert!(!some.covers(&all) && !one.covers(&some), "nobody is served more than the relay may read");
        assert!(!all.covers(&scope("development", &["a"])));
    }

    #[test]
    fn a_document_is_cut_to_its_scope() {
        let whole: ClientFeatures = serde_json::from_value(serde_json::json!({"version": 2, "features": [
            {"name": "x", "enabled": true, "project": "a", "strategies": [{"name": "default", "segments": [1]}]},
            {"name": "y", "enabled": true, "project": "b", "strategies": [{"name": "default", "segments": [2]}]},
            {"name": "z", "enabled": true},
        ], "segments": [{"id": 1}, {"id": 2}]}))
        .unwrap();
        let names = |d: &ClientFeatures| d.features.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
        let a = scope("e", &["a"]).of(&whole);
        assert_eq!((names(&a), a.segments.len(), a.segments[0].id), (vec!["x".to_owned()], 1, 1));
        assert_eq!(names(&scope("e", &["default"]).of(&whole)), ["z"]);
        assert_eq!(scope("e", &["*"]).of(&whole), whole);
    }
}
