//! Damaged files of the store: the engine moves them aside, here it is said, in the log, as a metric, in the record and on
//! the settings' page.
//!
//! The directory they lie in is looked into, and not the engine's report: a maintenance that fails later has moved them
//! all the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::Serialize;
use tenfold_types::{Actor, EventDraft, Severity, Source, Timestamp};

use super::{Own, State};
use crate::App;

/// Files that are shown; further ones are counted.
const SHOWN_MAX: usize = 100;
/// Names one event holds.
const NAMED_MAX: usize = 20;
const COUNTED: &str = "tenfold_tsdb_blocks_quarantined_total";

/// A damaged file, as it lies aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct QuarantinedFile {
    pub name: String,
    /// On the server.
    pub path: String,
    pub bytes: u64,
    /// When it was moved there; `null` where the file system does not tell.
    #[schema(value_type = Option<String>)]
    pub moved_at: Option<Timestamp>,
}

/// What is known of the directory of damaged files.
pub(super) struct Damage {
    dir: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    known: BTreeSet<String>,
    /// Not in the record yet, and whether each was found at the start.
    untold: Vec<(String, bool)>,
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn moved_at(about: &std::fs::Metadata) -> Option<Timestamp> {
    use std::os::unix::fs::MetadataExt;
    // A move changes the inode and not what is in the file.
    (about.ctime() > 0).then(|| Timestamp(about.ctime().saturating_mul(1_000)))
}

impl Damage {
    /// `found` are the files that opening the store moved there.
    pub fn new(store: &Path, found: &[PathBuf], own: &Own) -> Self {
        let dir = store.join("quarantine");
        // At zero from the start, so that the first one is an increase.
        own.add(COUNTED, &[], 0.0);
        for path in found {
            tracing::error!(path = %path.display(), "a damaged file of samples was moved aside at the start");
            own.add(COUNTED, &[], 1.0);
        }
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let untold = found.iter().map(|path| (name(path), true)).collect();
        let inner = Inner { known: names(&dir), untold };
        Self { dir, inner: Mutex::new(inner) }
    }

    /// Takes note of what was moved there since the last look.
    fn look(&self, own: &Own) {
        let there = names(&self.dir);
        let mut inner = self.inner.lock();
        let fresh: Vec<String> = there.difference(&inner.known).cloned().collect();
        for name in fresh {
            tracing::error!(path = %self.dir.join(&name).display(), "a damaged file of samples was moved aside");
            own.add(COUNTED, &[], 1.0);
            inner.untold.push((name, false));
        }
        inner.known = there;
    }

    /// Everything that lies there, the newest first, as far as it is shown; and how many there are.
    fn files(&self) -> (Vec<QuarantinedFile>, usize) {
        let all = names(&self.dir);
        let file = |name: &String| {
            let path = self.dir.join(name);
            let about = std::fs::metadata(&path).ok()?;
            let (bytes, moved_at) = (about.len(), moved_at(&about));
            Some(QuarantinedFile { name: name.clone(), path: path.display().to_string(), bytes, moved_at })
        };
        let mut files: Vec<_> = all.iter().filter_map(file).collect();
        files.sort_by(|a, b| b.moved_at.cmp(&a.moved_at).then_with(|| a.name.cmp(&b.name)));
        files.truncate(SHOWN_MAX);
        (files, all.len())
    }
}

impl State {
    /// Damaged files that were moved aside, the newest first, and how many there are.
    pub(super) fn quarantined(&self) -> (Vec<QuarantinedFile>, usize) {
        self.damage.files()
    }

    /// Damaged files seen since the start.
    pub fn corruption_count(&self) -> u64 {
        self.own.get(COUNTED, &[]) as u64
    }
}

/// Says what was moved aside since it was last said. What the record does not take now is said the next time.
pub(super) async fn tell(app: &App) {
    let damage = &app.metrics.damage;
    damage.look(&app.metrics.own);
    let untold = std::mem::take(&mut damage.inner.lock().untold);
    for at_start in [true, false] {
        let found: Vec<String> = untold.iter().filter(|(_, s)| *s == at_start).map(|(name, _)| name.clone()).collect();
        if found.is_empty() {
            continue;
        }
        if let Err(fault) = app.note_down(draft(&damage.dir, &found, at_start)).await {
            tracing::error!(%fault, "the record could not be told of damaged samples; it will be told again");
            damage.inner.lock().untold.extend(found.into_iter().map(|name| (name, at_start)));
        }
    }
}

fn draft(dir: &Path, found: &[String], at_start: bool) -> EventDraft {
    let what = match found {
        [one] => format!("The file of samples {one} was damaged on the disk"),
        many => format!("{} files of samples were damaged on the disk", many.len()),
    };
    let kept = if at_start { "samples in it may be missing from graphs" } else { "what could be read of it was kept" };
    let text = format!("{what} and moved to {}; {kept}", dir.display());
    let shown = &found[..found.len().min(NAMED_MAX)];
    let data = serde_json::json!({"files": shown, "count": found.len(), "at_start": at_start});
    EventDraft::new(Actor::system(), Source::System, "metrics.damaged", text).severity(Severity::Critical).data(data)
}

#[cfg(test)]
#[path = "damage_tests.rs"]
mod tests;
