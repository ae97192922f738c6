//! A release as it stands in Capistrano's layout, and what of it the server is told.

use serde::{Deserialize, Serialize};
use tenfold_deploys::Digest;
use tenfold_protocols::agent::{BlobDigest, Release, ReleaseState, RunSpec};
use tenfold_protocols::capistrano::{Found, Layout};
use tenfold_types::Timestamp;

/// The look script reads no more of a note.
const NOTE_BYTES_MAX: usize = 16 * 1024 - 1;

/// How far the last activation of a release got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Flipped to; the restart or the health check may never have happened.
    Activating,
    #[default]
    Healthy,
}

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
    #[serde(default)]
    pub phase: Phase,
    /// While it is being activated: the name of the release that ran before, to which a failed activation goes back.
    #[serde(default)]
    pub before: Option<String>,
}

impl Note {
    pub fn of(found: &Found) -> Option<Self> {
        serde_json::from_str(&found.note).ok()
    }

    /// An error, in words, where it is larger than what is read back.
    pub fn text(&self) -> Result<String, String> {
        let text = serde_json::to_string(self).map_err(|e| e.to_string())?;
        if text.len() > NOTE_BYTES_MAX {
            return Err(format!(
                "what has to be kept of the release has {} bytes, more than {NOTE_BYTES_MAX}; give the service a \
                 shorter command or environment",
                text.len()
            ));
        }
        Ok(text)
    }
}

/// The digest that names a release here. One that Capistrano made has none of ours; it is named by its timestamp and
/// revision, which are the same on all of its hosts.
pub(super) fn digest(found: &Found) -> Digest {
    let own = Note::of(found).and_then(|note| Digest::parse(&note.digest));
    own.unwrap_or_else(|| Digest::of(format!("capistrano release {} {}", found.name, found.revision).as_bytes()))
}

/// To which release a failed activation of `name` goes back: the one that ran last, also where an activation was begun
/// and never ended in between.
pub(super) fn before(layout: &Layout, name: &str) -> Option<String> {
    let before = match layout.find(&layout.current).and_then(Note::of) {
        Some(note) if note.phase == Phase::Activating => note.before?,
        _ => layout.current.clone(),
    };
    (before != name && layout.find(&before).is_some()).then_some(before)
}

/// The path at which the current release is asked whether it is healthy.
pub(super) fn health_path(layout: &Layout) -> Option<String> {
    layout.find(&layout.current).and_then(Note::of)?.run.map(|run| run.health_path)
}

/// What the server is told of the current release. One whose activation did not end is not healthy, so that the order is
/// given again.
pub(super) fn current(layout: &Layout, service: &str, environment: &str, address: Option<String>) -> Option<Release> {
    let found = layout.find(&layout.current)?;
    let note = Note::of(found);
    let run = note.as_ref().and_then(|n| n.run.as_ref());
    let activating = note.as_ref().is_some_and(|n| n.phase == Phase::Activating);
    let sha = run.map_or_else(|| found.revision.trim().to_owned(), |run| run.sha.clone());
    Some(Release {
        service: service.to_owned(),
        environment: environment.to_owned(),
        digest: BlobDigest(*digest(found).bytes()),
        sha,
        deploy: note.as_ref().map_or(0, |n| n.deploy),
        state: if activating { ReleaseState::Unhealthy } else { ReleaseState::Running },
        metrics_path: run.and_then(|run| run.metrics_path.clone()),
        address,
        limits: None,
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

    fn noted(name: &str, phase: Phase, before: Option<&str>) -> Found {
        let digest = Digest::of(name.as_bytes()).to_string();
        let before = before.map(str::to_owned);
        let note = Note { digest, deploy: 1, since: Timestamp(0), run: None, phase, before };
        Found { name: name.into(), revision: String::new(), note: note.text().unwrap() }
    }

    #[test]
    fn a_flip_alone_is_not_healthy_and_remembers_the_way_back() {
        let old = noted("20260101000000", Phase::Healthy, None);
        let new = noted("20260102000000", Phase::Activating, Some("20260101000000"));
        let mut layout = Layout { current: old.name.clone(), releases: vec![old, new], epoch: 1 };
        let state = |layout: &Layout| current(layout, "photos", "production", None).unwrap().state;
        assert_eq!(state(&layout), ReleaseState::Running);
        assert_eq!(before(&layout, "20260102000000").as_deref(), Some("20260101000000"));
        layout.current = "20260102000000".into();
        assert_eq!(state(&layout), ReleaseState::Unhealthy);
        // the order again, and the order to go back
        assert_eq!(before(&layout, "20260102000000").as_deref(), Some("20260101000000"));
        assert_eq!(before(&layout, "20260101000000"), None);
        // a note that tells of no phase
        layout.releases[1].note = layout.releases[1].note.replace("\"phase\":\"activating\",", "");
        assert_eq!(state(&layout), ReleaseState::Running);
    }

    #[test]
    fn a_note_that_would_be_cut_off_is_refused() {
        let env = std::collections::BTreeMap::from([("A".to_owned(), "x".repeat(NOTE_BYTES_MAX))]);
        let run = RunSpec {
            command: vec!["run".into()],
            env,
            port_env: "PORT".into(),
            health_path: "/".into(),
            health_within_ms: 1_000,
            drain_ms: 0,
            stop_within_ms: 0,
            limits: tenfold_protocols::agent::RunLimits::default(),
            metrics_path: None,
            sha: "abc".into(),
            reload: Vec::new(),
        };
        let digest = Digest::of(b"a").to_string();
        let mut note =
            Note { digest, deploy: 1, since: Timestamp(0), run: Some(run), phase: Phase::Healthy, before: None };
        assert!(note.text().unwrap_err().contains("shorter"));
        note.run = None;
        assert!(note.text().is_ok());
    }
}
