//! Whether flags have had their day: when clients last asked, where the source names them, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_flags::{
    Flag, Kind, StaleReason, Use,
    scan::{PLACES_MAX, Place},
};
use tenfold_store::{cursors, flag_life as store};
use tenfold_types::{EventDraft, Fault, Timestamp};
use utoipa::ToSchema;

use super::OwnerlessFlag;
use crate::{App, Caller, Role};

/// How often it is written down who was asked for.
const SEEN_MS: i64 = 60_000;
/// Repositories whose places are kept.
pub const REPOS_MAX: usize = 200;
const NAME_BYTES_MAX: usize = 200;
const PATH_BYTES_MAX: usize = 500;
/// Under this name stands since when questions have been counted.
const COUNTED_SINCE: &str = "flags.counted_since";

/// What a scan of a repository found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagScan {
    /// The repository, as its people call it.
    pub repo: String,
    /// The service that is built from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Lines that name a flag.
    #[serde(default)]
    pub places: Vec<Place>,
    /// Lines that ask for a key nobody knows here.
    #[serde(default)]
    pub unknown: Vec<Place>,
}

/// The places of one flag in one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FlagPlacesIn {
    pub repo: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub scanned_at: Timestamp,
    pub places: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FlagPlaces {
    /// One entry for each repository that names the flag.
    pub items: Vec<FlagPlacesIn>,
    /// Repositories that were scanned; with none, nothing is known.
    pub repos: usize,
}

/// A flag that looks finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StaleFlag {
    pub key: String,
    pub kind: Kind,
    pub owner: String,
    pub reasons: Vec<StaleReason>,
    /// The reasons as one sentence.
    pub text: String,
    /// Lines of source that name it; absent while no repository was scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub places: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StaleFlags {
    pub items: Vec<StaleFlag>,
    /// Keys that source code asks for and nobody made here.
    pub unknown: Vec<FlagPlacesIn>,
    /// Keys that no scanned repository names; empty while none was scanned.
    pub unused: Vec<String>,
    /// Flags whose owner is no person, team or group here.
    pub ownerless: Vec<OwnerlessFlag>,
    pub repos: usize,
}

#[derive(Default)]
struct Memory {
    /// By flag and environment.
    seen: BTreeMap<(String, String), Timestamp>,
    /// Answers at the last look, by environment and flag.
    counted: BTreeMap<(String, String), u64>,
    looked_at: Option<Timestamp>,
    counted_since: Option<Timestamp>,
    scans: BTreeMap<String, (Timestamp, FlagScan)>,
}

/// What is kept in memory of it.
#[derive(Default)]
pub struct Life(Mutex<Memory>);

impl App {
    /// Reads what is known. Called at start and when another node changed it.
    pub(super) async fn flag_life_load(&self) -> Result<(), Fault> {
        let now = self.now();
        let since = self
            .housekeeping(move |t| {
                let known = cursors::get_text(t.tx(), COUNTED_SINCE)?;
                if let Some(at) = known.as_deref().and_then(Timestamp::parse_rfc3339) {
                    return Ok(at);
                }
                cursors::set_text(t.tx(), COUNTED_SINCE, &now.to_string())?;
                Ok(now)
            })
            .await?;
        let (seen, scans) = self.read(|tx| Ok((store::seen(tx)?, store::scans(tx)?))).await?;
        let mut memory = self.flags.life.0.lock();
        memory.counted_since = Some(since);
        for (key, environment, at) in seen {
            let known = memory.seen.entry((key, environment)).or_insert(at);
            *known = at.max(*known);
        }
        for (repo, at, body) in scans {
            match serde_json::from_str(&body) {
                Ok(scan) => drop(memory.scans.insert(repo, (at, scan))),
                Err(error) => tracing::warn!(repo, %error, "the places of a repository cannot be read; scan it again"),
            }
        }
        Ok(())
    }

    /// Writes down which flags were asked for since the last look. Public so that a test with a movable clock can call it.
    pub async fn flag_seen_step(&self) -> Result<(), Fault> {
        let now = self.now();
        let fresh: Vec<(String, String)> = {
            let mut memory = self.flags.life.0.lock();
            if memory.looked_at.is_some_and(|at| now.since_ms(at) < SEEN_MS) {
                return Ok(());
            }
            memory.looked_at = Some(now);
            let mut fresh = Vec::new();
            for (environment, flag, usage) in self.flags.usage.all() {
                let count = usage.yes.saturating_add(usage.no);
                let place = (flag, environment);
                if memory.counted.insert(place.clone(), count) != Some(count) {
                    memory.seen.insert(place.clone(), now);
                    fresh.push(place);
                }
            }
            fresh
        };
        if fresh.is_empty() {
            return Ok(());
        }
        self.housekeeping(move |t| {
            fresh.iter().try_for_each(|(key, environment)| Ok(store::seen_put(t.tx(), key, environment, now)?))
        })
        .await
    }

    /// When a client last asked for this flag in this environment.
    pub(super) fn flag_asked_at(&self, key: &str, environment: &str) -> Option<Timestamp> {
        self.flags.life.0.lock().seen.get(&(key.to_owned(), environment.to_owned())).copied()
    }

    /// Why a flag looks finished.
    pub(super) fn flag_stale_reasons(&self, flag: &Flag) -> Vec<StaleReason> {
        let used = {
            let memory = self.flags.life.0.lock();
            let of_flag = memory.seen.range((flag.key.clone(), String::new())..);
            let asked_at = of_flag.take_while(|((key, _), _)| *key == flag.key).map(|(_, at)| *at).max();
            Use { asked_at, counted_since: memory.counted_since }
        };
        flag.stale_reasons(used, self.now())
    }

    /// Takes over what a scan found, in place of what an earlier scan of the same repository found.
    pub async fn flag_places_put(&self, who: &Caller, scan: FlagScan) -> Result<(), Fault> {
        who.require(Role::Deployer, scan.service.as_deref(), None)?;
        check(&scan)?;
        {
            let memory = self.flags.life.0.lock();
            if memory.scans.len() >= REPOS_MAX && !memory.scans.contains_key(&scan.repo) {
                return Err(Fault::invalid(format!(
                    "{REPOS_MAX} repositories were scanned already, which is the limit"
                )));
            }
        }
        let (who, kept) = (who.clone(), scan.clone());
        let at = self
            .transact(move |t| {
                let at = t.now();
                let body = serde_json::to_string(&kept).map_err(|e| Fault::internal(e.to_string()))?;
                store::scan_put(t.tx(), &kept.repo, at, &body)?;
                let keys: BTreeSet<&str> = kept.places.iter().map(|p| p.key.as_str()).collect();
                let strange: BTreeSet<&str> = kept.unknown.iter().map(|p| p.key.as_str()).collect();
                let text = format!(
                    "{} scanned {}: {} flags in use, {} keys that nobody made",
                    who.actor,
                    kept.repo,
                    keys.len(),
                    strange.len()
                );
                let data = json!({"repo": kept.repo, "commit": kept.commit, "places": kept.places.len(),
                    "flags": keys.len(), "unknown": strange.iter().take(50).collect::<Vec<_>>()});
                let mut event = EventDraft::new(who.actor.clone(), who.source, "flags.scanned", text).data(data);
                event.subject.service.clone_from(&kept.service);
                t.record(event)?;
                Ok(at)
            })
            .await?;
        self.flags.life.0.lock().scans.insert(scan.repo.clone(), (at, scan));
        Ok(())
    }

    /// Where the source names a flag.
    pub fn flag_places(&self, key: &str) -> FlagPlaces {
        let memory = self.flags.life.0.lock();
        let items = memory.scans.values().filter_map(|(at, scan)| in_repo(*at, scan, &scan.places, |k| k == key));
        FlagPlaces { items: items.collect(), repos: memory.scans.len() }
    }

    /// Flags that look finished, keys that code asks for in vain, flags that no code names, and flags that nobody owns.
    pub async fn flag_stale_list(&self) -> Result<StaleFlags, Fault> {
        let flags: Vec<std::sync::Arc<Flag>> =
            self.flags.look(|t| t.flags.values().map(|e| e.flag.clone()).filter(|f| !f.archived).collect());
        let ownerless = self.flags_ownerless(flags.iter().map(|f| &**f)).await?;
        let reasons: Vec<_> = flags.iter().map(|f| self.flag_stale_reasons(f)).collect();
        let known: BTreeSet<&str> = flags.iter().map(|f| f.key.as_str()).collect();
        let memory = self.flags.life.0.lock();
        let repos = memory.scans.len();
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for place in memory.scans.values().flat_map(|(_, s)| &s.places) {
            *lines.entry(place.key.as_str()).or_default() += 1;
        }
        let items = flags.iter().zip(reasons).filter(|(_, reasons)| !reasons.is_empty()).map(|(flag, reasons)| {
            let sentences: Vec<String> = reasons.iter().map(StaleReason::sentence).collect();
            StaleFlag {
                key: flag.key.clone(),
                kind: flag.kind,
                owner: flag.owner.clone(),
                text: sentences.join("; "),
                reasons,
                places: (repos > 0).then(|| lines.get(flag.key.as_str()).copied().unwrap_or(0)),
            }
        });
        let unknown = memory.scans.values().filter_map(|(at, s)| in_repo(*at, s, &s.unknown, |k| !known.contains(k)));
        let unused = flags.iter().map(|f| &f.key).filter(|k| repos > 0 && !lines.contains_key(k.as_str()));
        let (items, unknown, unused) = (items.collect(), unknown.collect(), unused.cloned().collect());
        Ok(StaleFlags { items, unknown, unused, ownerless, repos })
    }
}

fn in_repo(at: Timestamp, scan: &FlagScan, places: &[Place], wanted: impl Fn(&str) -> bool) -> Option<FlagPlacesIn> {
    let places: Vec<Place> = places.iter().filter(|p| wanted(&p.key)).cloned().collect();
    (!places.is_empty()).then(|| FlagPlacesIn {
        repo: scan.repo.clone(),
        service: scan.service.clone(),
        commit: scan.commit.clone(),
        scanned_at: at,
        places,
    })
}

fn check(scan: &FlagScan) -> Result<(), Fault> {
    let count = scan.places.len() + scan.unknown.len();
    if count > PLACES_MAX {
        return Err(Fault::invalid(format!("the scan has {count} places, over the limit of {PLACES_MAX}"))
            .advice("scan a part of the repository, under a name of its own"));
    }
    let short = |text: &str, max: usize| !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control);
    let commit = scan.commit.iter().chain(&scan.service).all(|c| short(c, NAME_BYTES_MAX));
    let places = scan.places.iter().chain(&scan.unknown);
    if !short(&scan.repo, NAME_BYTES_MAX) || !commit {
        return Err(Fault::invalid(format!("a repository's name has 1 to {NAME_BYTES_MAX} characters")));
    }
    for place in places {
        if !short(&place.path, PATH_BYTES_MAX) || !short(&place.key, NAME_BYTES_MAX) {
            return Err(Fault::invalid(format!(
                "a path has 1 to {PATH_BYTES_MAX} characters and a key {NAME_BYTES_MAX}"
            )));
        }
    }
    Ok(())
}
