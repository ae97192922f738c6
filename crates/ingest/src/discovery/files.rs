//! Lists of targets in files, read again when they change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenfold_app::App;
use tenfold_httpkit::outgoing::{Stamp, stamp};
use tenfold_scrape::{FileSd, GROUPS_BYTES_MAX, Glob, Group, parse_groups};
use tokio_util::sync::CancellationToken;

use super::{LOOK, Trouble};

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

/// The folder of a path and its last part.
fn parted(path: &str) -> (Option<&str>, &str) {
    path.rsplit_once('/').map_or((None, path), |(folder, name)| (Some(folder), name))
}

fn fits(pattern: &str, path: &str) -> bool {
    let ((folder, names), (of, name)) = (parted(pattern), parted(path));
    folder == of && if Glob::is_in(names) { Glob::read(names).is_some_and(|g| g.fits(name)) } else { names == name }
}

/// The files a pattern means now; an error when the folder cannot be listed. One that is not there holds none.
pub(super) fn expand(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let (parent, names) = parted(pattern);
    if !Glob::is_in(names) {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let glob = Glob::read(names).ok_or_else(|| format!("{pattern}: a bracket is not closed"))?;
    let folder = match parent {
        Some("") => "/",
        Some(folder) => folder,
        None => ".",
    };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| format!("{folder} cannot be listed: {e}"))?,
    };
    let path = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let whole = |folder: &str| PathBuf::from(format!("{folder}/{}", name.to_string_lossy()));
        glob.fits(&name.to_string_lossy()).then(|| parent.map_or_else(|| PathBuf::from(&name), whole))
    };
    let mut all = Vec::new();
    for entry in entries {
        all.extend(path(entry.map_err(|e| format!("{folder} cannot be listed: {e}"))?));
    }
    all.sort();
    all.truncate(FILES_MAX);
    Ok(all)
}

/// What changed since the last look: a file's groups, or why they cannot be read; `None` for one that is gone. What cannot
/// be read is no change of what was found before, and is tried again with each look.
type Changes = Vec<(PathBuf, Option<Result<Vec<Group>, String>>)>;

fn look(sd: &FileSd, known: &mut BTreeMap<PathBuf, Stamp>) -> Changes {
    let (mut now, mut changes) = (BTreeMap::new(), Changes::new());
    for pattern in &sd.files {
        match expand(pattern) {
            Ok(paths) => now.extend(paths.into_iter().map(|path| (path.clone(), stamp(&path)))),
            Err(reason) => {
                let before = known.iter().filter(|(path, _)| fits(pattern, &path.to_string_lossy()));
                now.extend(before.map(|(path, stamp)| (path.clone(), stamp.clone())));
                changes.push((PathBuf::from(pattern), Some(Err(reason))));
            }
        }
    }
    for (path, stamp) in &mut now {
        let found = match stamp {
            stamp if known.get(path) == Some(stamp) && !matches!(stamp, Stamp::Unreadable(_)) => continue,
            Stamp::Absent => None,
            Stamp::Unreadable(reason) => Some(Err(reason.clone())),
            Stamp::Written(_, length) => Some(read(path, *length)),
        };
        if let Some(Err(reason)) = &found {
            *stamp = Stamp::Unreadable(reason.clone());
        }
        changes.push((path.clone(), found));
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
    let is_json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    let mut groups = parse_groups(&bytes, is_json).map_err(|e| e.to_string())?;
    for group in &mut groups {
        group.labels.set("__meta_filepath", path.to_string_lossy());
    }
    Ok(groups)
}

pub(super) async fn follow(app: App, job: String, sd: FileSd, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK.min(Duration::from_millis(sd.refresh_ms)));
    // What was found before this round is read again, or told as gone where its file went meanwhile.
    let found_before = app.metrics.found_in(&job).into_iter().filter(|from| looks(std::slice::from_ref(&sd), from));
    let unread = |from: String| {
        let path = from.strip_prefix(KIND).map_or(from.as_str(), str::trim_start);
        (PathBuf::from(path), Stamp::Unreadable("not read yet".to_owned()))
    };
    let (mut known, mut trouble): (BTreeMap<_, _>, _) = (found_before.map(unread).collect(), Trouble::default());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let (of, mut before) = (sd.clone(), std::mem::take(&mut known));
        let looked = tokio::task::spawn_blocking(move || (look(&of, &mut before), before)).await;
        let Ok((changes, now)) = looked else { continue };
        known = now;
        let failed = |pattern: &str| changes.iter().any(|(path, _)| path.as_os_str() == pattern);
        sd.files.iter().filter(|pattern| !failed(pattern)).for_each(|pattern| trouble.ends(&place(Path::new(pattern))));
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
    fn patterns_in_the_last_part() {
        for (pattern, path, wanted) in [
            ("a/*.json", "a/x.json", true),
            ("a/*.json", "a/b/x.json", false),
            ("a/x.json", "a/x.json", true),
            ("a/n-*.yml", "a/m-1.yml", false),
            ("a/*-[0-9].yml", "a/n-1.yml", true),
            ("a/*-[0-9].yml", "b/n-1.yml", false),
            ("a?/x.json", "ab/x.json", false),
            ("a[1]/x.json", "a[1]/x.json", true),
            ("*.json", "x.json", true),
            ("/*.json", "/x.json", true),
        ] {
            assert_eq!(fits(pattern, path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn files_are_found_by_every_pattern_of_go() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["db1.json", "db2.json", "dbx.json", "eu-web.yml", "us-web.yml", ".old-web.yml", "UP.JSON"] {
            std::fs::write(dir.path().join(name), "[{\"targets\": [\"h:1\"]}]").unwrap();
        }
        for (pattern, wanted) in [
            ("db[0-9].json", "db1.json db2.json"),
            ("db?.json", "db1.json db2.json dbx.json"),
            ("[^.]*-*.yml", "eu-web.yml us-web.yml"),
            ("*.JSON", "UP.JSON"),
            ("db[3].json", ""),
        ] {
            let sd = FileSd { files: vec![format!("{}/{pattern}", dir.path().display())], refresh_ms: 1 };
            let found = look(&sd, &mut BTreeMap::new());
            assert!(found.iter().all(|(_, found)| matches!(found, Some(Ok(_)))), "{pattern}: {found:?}");
            let names: Vec<_> = found.iter().filter_map(|(path, _)| path.file_name()?.to_str()).collect();
            assert_eq!(names.join(" "), wanted, "{pattern}");
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

    /// A path through a file is an error of the kind that a lost mount is, not an absence.
    #[test]
    fn what_cannot_be_read_is_not_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, aside) = (dir.path().join("lists"), dir.path().join("aside"));
        std::fs::create_dir(&folder).unwrap();
        for (name, target) in [("a.yml", "h1"), ("b.json", "h2")] {
            std::fs::write(folder.join(name), format!("[{{\"targets\": [\"{target}\"]}}]")).unwrap();
        }
        let of = |name: &str| folder.join(name).display().to_string();
        let sd = FileSd { files: vec![of("*.yml"), of("b.json")], refresh_ms: 1 };
        let mut known = BTreeMap::new();
        assert_eq!(look(&sd, &mut known).len(), 2);
        std::fs::rename(&folder, &aside).unwrap();
        std::fs::write(&folder, "in the way").unwrap();
        for _ in 0..2 {
            let changes = look(&sd, &mut known);
            assert_eq!(changes.len(), 2, "both are told each time: {changes:?}");
            assert!(changes.iter().all(|(_, found)| matches!(found, Some(Err(_)))), "{changes:?}");
        }
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&aside, &folder).unwrap();
        let back = look(&sd, &mut known);
        assert!(back.iter().all(|(_, found)| matches!(found, Some(Ok(_)))), "{back:?}");
        assert!(look(&sd, &mut known).is_empty());
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(look(&sd, &mut known).iter().all(|(_, found)| found.is_none()), "now they are gone");
    }
}
