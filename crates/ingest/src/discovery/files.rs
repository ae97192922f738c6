//! Lists of targets in files, read again when they change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenfold_app::App;
use tenfold_scrape::{FileSd, GROUPS_BYTES_MAX, Group, parse_groups};
use tokio_util::sync::CancellationToken;

use super::{LOOK, Stamp, Trouble, stamp};

const KIND: &str = "file_sd";
/// Files that one pattern may match.
const FILES_MAX: usize = 1_000;

fn place(path: &Path) -> String {
    format!("{KIND} {}", path.display())
}

pub(super) fn looks(all: &[FileSd], from: &str) -> bool {
    let Some(path) = from.strip_prefix(KIND).map(str::trim_start) else { return false };
    all.iter().flat_map(|sd| &sd.files).any(|pattern| fits(pattern, path))
}

fn fits(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((start, end)) => {
            path.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).is_some_and(|middle| !middle.contains('/'))
        }
    }
}

fn expand(pattern: &str) -> Vec<PathBuf> {
    if !pattern.contains('*') {
        return vec![PathBuf::from(pattern)];
    }
    let folder = match pattern.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let path = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let path = pattern.rsplit_once('/').map_or_else(
            || PathBuf::from(&name),
            |(folder, _)| PathBuf::from(format!("{folder}/{}", name.to_string_lossy())),
        );
        fits(pattern, &path.to_string_lossy()).then_some(path)
    };
    let mut all: Vec<PathBuf> = entries.filter_map(Result::ok).filter_map(path).collect();
    all.sort();
    all.truncate(FILES_MAX);
    all
}

/// What changed since the last look: a file's groups, or why they cannot be read; `None` for one that is gone.
type Changes = Vec<(PathBuf, Option<Result<Vec<Group>, String>>)>;

fn look(sd: &FileSd, known: &mut BTreeMap<PathBuf, Stamp>) -> Changes {
    let now: BTreeMap<PathBuf, Stamp> =
        sd.files.iter().flat_map(|pattern| expand(pattern)).map(|path| (path.clone(), stamp(&path))).collect();
    let mut changes = Changes::new();
    for (path, stamp) in &now {
        if known.get(path) != Some(stamp) {
            changes.push((path.clone(), stamp.map(|(_, length)| read(path, length))));
        }
    }
    changes.extend(known.keys().filter(|path| !now.contains_key(*path)).map(|path| (path.clone(), None)));
    *known = now;
    changes
}

fn read(path: &Path, length: u64) -> Result<Vec<Group>, String> {
    if length > GROUPS_BYTES_MAX as u64 {
        return Err(tenfold_scrape::GroupError::TooLarge.to_string());
    }
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let is_json = path.extension().is_some_and(|e| e == "json");
    let mut groups = parse_groups(&bytes, is_json).map_err(|e| e.to_string())?;
    for group in &mut groups {
        group.labels.set("__meta_filepath", path.to_string_lossy());
    }
    Ok(groups)
}

pub(super) async fn follow(app: App, job: String, sd: FileSd, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK.min(Duration::from_millis(sd.refresh_ms)));
    let (mut known, mut trouble) = (BTreeMap::new(), Trouble::default());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let (of, mut before) = (sd.clone(), std::mem::take(&mut known));
        let looked = tokio::task::spawn_blocking(move || (look(&of, &mut before), before)).await;
        let Ok((changes, now)) = looked else { continue };
        known = now;
        for (path, found) in changes {
            let from = place(&path);
            match found {
                None => app.metrics.set_found(&job, &from, Vec::new()),
                Some(Ok(groups)) => {
                    trouble.ends(&from);
                    app.metrics.set_found(&job, &from, groups);
                }
                Some(Err(reason)) => trouble.fails(&app, &job, KIND, &from, reason),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_in_the_last_part() {
        for (pattern, path, wanted) in [
            ("a/*.json", "a/x.json", true),
            ("a/*.json", "a/b/x.json", false),
            ("a/x.json", "a/x.json", true),
            ("a/n-*.yml", "a/m-1.yml", false),
        ] {
            assert_eq!(fits(pattern, path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn what_changed_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let pattern = format!("{}/*.yml", dir.path().display());
        let sd = FileSd { files: vec![pattern], refresh_ms: 1 };
        let (mut known, path) = (BTreeMap::new(), dir.path().join("a.yml"));
        assert!(look(&sd, &mut known).is_empty());
        std::fs::write(&path, "[{targets: [h1]}]").unwrap();
        let (at, found) = look(&sd, &mut known).swap_remove(0);
        let meta = tenfold_types::Labels::from_pairs([("__meta_filepath", path.to_string_lossy())]);
        assert_eq!((at, found), (path.clone(), Some(Ok(vec![Group::of(["h1"], meta)]))));
        assert!(look(&sd, &mut known).is_empty(), "nothing changed");
        std::fs::write(&path, "[{target: [h1, h2]}]").unwrap();
        assert!(matches!(look(&sd, &mut known)[0].1, Some(Err(_))));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look(&sd, &mut known), [(path, None)]);
    }
}
