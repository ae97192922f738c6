//! A release as it stands in Capistrano's layout, and what of it the server is told.

use serde::{Deserialize, Serialize};
use tenfold_deploys::Digest;
use tenfold_protocols::agent::{BlobDigest, Release, ReleaseState, RunSpec};
use tenfold_protocols::capistrano::{Found, Layout};
use tenfold_types::Timestamp;

/// What is kept beside a release that we made or activated.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    pub digest: String,
    #[serde(default)]
    pub deploy: i64,
    #[serde(default)]
    pub since: Timestamp,
    /// How it was activated last; none before the first time.
    #[serde(default)]
    pub run: Option<RunSpec>,
}

impl Note {
    pub fn of(found: &Found) -> Option<Self> {
        serde_json::from_str(&found.note).ok()
    }

    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The digest that names a release here. One that Capistrano made has none of ours; it is named by its timestamp and
/// revision, which are the same on all of its hosts.
pub(super) fn digest(found: &Found) -> Digest {
    let own = Note::of(found).and_then(|note| Digest::parse(&note.digest));
    own.unwrap_or_else(|| Digest::of(format!("capistrano release {} {}", found.name, found.revision).as_bytes()))
}

/// What the server is told of the current release.
pub(super) fn current(layout: &Layout, service: &str, environment: &str, address: Option<String>) -> Option<Release> {
    let found = layout.find(&layout.current)?;
    let note = Note::of(found);
    let run = note.as_ref().and_then(|n| n.run.as_ref());
    let sha = run.map_or_else(|| found.revision.trim().to_owned(), |run| run.sha.clone());
    Some(Release {
        service: service.to_owned(),
        environment: environment.to_owned(),
        digest: BlobDigest(*digest(found).bytes()),
        sha,
        deploy: note.as_ref().map_or(0, |n| n.deploy),
        state: ReleaseState::Running,
        metrics_path: run.and_then(|run| run.metrics_path.clone()),
        address,
        since: note.as_ref().map_or(Timestamp(0), |n| n.since),
    })
}

/// A name for a new release: the instant, a second later as long as the name is taken.
pub(super) fn fresh_name(layout: &Layout, now: Timestamp) -> String {
    let mut at = now;
    loop {
        // 2026-11-26T12:00:00.123Z
        let name: String = at.to_string().chars().take(19).filter(char::is_ascii_digit).collect();
        if layout.find(&name).is_none() {
            return name;
        }
        at = at.plus_ms(1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_capistranos_and_never_taken() {
        let mut layout = Layout::default();
        let now = Timestamp::parse_rfc3339("2026-11-26T23:59:59.500Z").unwrap();
        assert_eq!(fresh_name(&layout, now), "20261126235959");
        layout.releases.push(Found { name: "20261126235959".into(), ..Found::default() });
        assert_eq!(fresh_name(&layout, now), "20261127000000");
    }

    #[test]
    fn a_foreign_release_has_a_name_of_its_own() {
        let found = Found { name: "20240101000000".into(), revision: "abc\n".into(), note: String::new() };
        let layout = Layout { current: found.name.clone(), releases: vec![found.clone()], epoch: 0 };
        let told = current(&layout, "photos", "production", None).unwrap();
        assert_eq!((told.sha.as_str(), told.deploy), ("abc", 0));
        assert_eq!(told.digest.0, *digest(&found).bytes());
        let other = Found { revision: "abd".into(), ..found };
        assert_ne!(digest(&other).bytes(), &told.digest.0);
    }
}
