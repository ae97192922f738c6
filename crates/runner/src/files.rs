//! The build's folder: made equal for every build of a commit, walked without following links, and removed whatever the
//! build did to it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::Path,
    time::{Duration, SystemTime},
};

use tenfold_app::deploys::Blobs;
use tenfold_deploys::{
    Digest, Manifest,
    manifest::{Entry, FILES_MAX, TOTAL_BYTES_MAX},
};

use crate::glob;

/// Deepest folder of a checkout.
const DEPTH_MAX: usize = 64;
/// Most files and folders looked at, shipped or not.
const VISITED_MAX: usize = 2_000_000;

/// Gives every file of a checkout the time of its commit, and its owner when the build has a user of its own. Blocks.
pub(crate) fn prepare(dir: &Path, commit_seconds: i64, owner: Option<u32>) -> io::Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(commit_seconds).unwrap_or(0));
    let meta = dir.symlink_metadata()?;
    if meta.is_dir() {
        for entry in fs::read_dir(dir)? {
            prepare(&entry?.path(), commit_seconds, owner)?;
        }
    }
    if meta.is_dir() || meta.is_file() {
        File::open(dir)?.set_modified(time)?;
    }
    owner.map_or(Ok(()), |uid| lchown(dir, Some(uid), Some(uid)))
}

/// The artifact: files and links that fit a pattern, in the blob store. Blocks. `owner` is the only one whose files are
/// taken, so that a hard link to somebody else's file does not ship it.
pub(crate) fn collect(
    root: &Path,
    paths: &[String],
    exclude: &[String],
    owner: u32,
    blobs: &Blobs,
) -> Result<Manifest, String> {
    let mut entries = Vec::new();
    let (mut visited, mut total) = (0, 0u64);
    walk(root, "", 0, &mut visited, &mut |path, full| {
        let wanted = paths.iter().any(|p| glob::fits(p, path)) && !exclude.iter().any(|p| glob::fits(p, path));
        if !wanted {
            return Ok(());
        }
        if entries.len() >= FILES_MAX {
            return Err(format!(
                "the artifact has more than {FILES_MAX} files; leave out what the service does not need"
            ));
        }
        let meta = full.symlink_metadata().map_err(|e| format!("{path} cannot be read: {e}"))?;
        if meta.uid() != owner {
            return Err(format!("{path} belongs to user {}, not to the build; it is not shipped", meta.uid()));
        }
        if meta.is_symlink() {
            let target = full.read_link().map_err(|e| format!("{path} cannot be read: {e}"))?;
            let target = target.to_str().ok_or_else(|| format!("the link {path} has a target that is not UTF-8"))?;
            entries.push(Entry::Link { path: path.to_owned(), target: target.to_owned() });
        } else if meta.is_file() {
            total = total.saturating_add(meta.len());
            if total > TOTAL_BYTES_MAX {
                return Err(format!("the artifact has more than {TOTAL_BYTES_MAX} bytes, {path} included"));
            }
            let executable = meta.permissions().mode() & 0o111 != 0;
            let (blake3, size) = blobs.put_file(full).map_err(|e| format!("{path} could not be kept: {e}"))?;
            entries.push(Entry::File { path: path.to_owned(), executable, blake3, size });
        } else {
            return Err(format!("{path} is neither a file nor a link; keep it out with artifact.exclude"));
        }
        Ok(())
    })?;
    if entries.is_empty() {
        return Err(format!("the build left no file that fits artifact.paths ({})", paths.join(", ")));
    }
    Manifest::new(entries).map_err(|e| e.to_string())
}

/// An artifact as files and links below a folder that is not there yet; nothing where the server no longer has it. Blocks.
/// Copies, and no links to the blobs: a program may change what it is given.
pub(crate) fn lay_out(blobs: &Blobs, digest: Digest, into: &Path) -> Result<(), String> {
    let Some(manifest) = blobs.manifest(digest) else { return Ok(()) };
    let told = |path: &str, e: &io::Error| format!("{path} of the artifact could not be laid out: {e}");
    fs::create_dir(into).map_err(|e| told(".", &e))?;
    for entry in manifest.entries() {
        let path = match entry {
            Entry::File { path, .. } | Entry::Link { path, .. } => path,
        };
        // a manifest has no path that leads out, and none below a link
        let to = into.join(path);
        let folder = to.parent().unwrap_or(into);
        let made = fs::create_dir_all(folder).and_then(|()| match entry {
            Entry::File { executable, blake3, .. } => {
                fs::copy(blobs.path(*blake3), &to)?;
                fs::set_permissions(&to, fs::Permissions::from_mode(if *executable { 0o755 } else { 0o644 }))
            }
            Entry::Link { target, .. } => std::os::unix::fs::symlink(target, &to),
        });
        made.map_err(|e| told(path, &e))?;
    }
    Ok(())
}

fn walk(
    dir: &Path,
    prefix: &str,
    depth: usize,
    visited: &mut usize,
    visit: &mut impl FnMut(&str, &Path) -> Result<(), String>,
) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("{prefix} is deeper than {DEPTH_MAX} folders"));
    }
    let unreadable =
        |e: io::Error| format!("{} cannot be read: {e}", if prefix.is_empty() { "the checkout" } else { prefix });
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        *visited += 1;
        if *visited > VISITED_MAX {
            return Err(format!("the build left more than {VISITED_MAX} files and folders"));
        }
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| format!("a file below {prefix} has a name that is not UTF-8"))?;
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        // the kind of the entry itself: links are not followed
        if entry.file_type().map_err(unreadable)?.is_dir() {
            if path != ".git" {
                walk(&entry.path(), &path, depth + 1, visited, visit)?;
            }
        } else {
            visit(&path, &entry.path())?;
        }
    }
    Ok(())
}

/// Removes a folder, also where the build took its own rights away. Blocks.
pub(crate) fn remove(dir: &Path) {
    if fs::remove_dir_all(dir).is_ok() || !dir.exists() {
        return;
    }
    open_up(dir, 0);
    if let Err(error) = fs::remove_dir_all(dir) {
        tracing::warn!(%error, dir = %dir.display(), "the folder of a build could not be removed");
    }
}

fn open_up(dir: &Path, depth: usize) {
    if depth > 4 * DEPTH_MAX || !dir.symlink_metadata().is_ok_and(|m| m.is_dir()) {
        return;
    }
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        open_up(&entry.path(), depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(dir: &Path) -> u32 {
        dir.metadata().unwrap().uid()
    }

    fn taken(dir: &Path, exclude: &[String]) -> Result<Manifest, String> {
        let blobs = tempfile::tempdir().unwrap();
        collect(dir, &["**".to_owned()], exclude, owner(dir), &Blobs::new(blobs.path()))
    }

    #[test]
    fn links_are_taken_as_links_and_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "a").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("inside")).unwrap();
        let manifest = taken(dir.path(), &[]).unwrap();
        assert!(matches!(&manifest.entries()[1], Entry::Link { path, target } if path == "inside" && target == "a"));
        for target in ["/etc", "/etc/passwd", "../../etc/passwd", "a/../../x"] {
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(target, &link).unwrap();
            let error = taken(dir.path(), &[]).unwrap_err();
            assert!(error.contains("points to") && error.contains("link"), "{target}: {error}");
            // a folder that is a link is not walked into, so what lies behind it cannot fit a pattern
            assert!(taken(dir.path(), &["link".to_owned()]).is_ok());
            fs::remove_file(link).unwrap();
        }
    }

    #[test]
    fn what_is_no_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "a").unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(taken(dir.path(), &[]).unwrap_err().contains("pipe is neither a file nor a link"));
        fs::remove_file(dir.path().join("pipe")).unwrap();
        fs::write(dir.path().join("b\nc"), "x").unwrap();
        assert!(taken(dir.path(), &[]).unwrap_err().contains("control character"));
        let strange: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff");
        fs::remove_file(dir.path().join("b\nc")).unwrap();
        fs::write(dir.path().join(strange), "x").unwrap();
        assert!(taken(dir.path(), &[]).unwrap_err().contains("not UTF-8"));
    }

    #[test]
    fn a_huge_file_is_refused_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        File::create(dir.path().join("sparse")).unwrap().set_len(TOTAL_BYTES_MAX + 1).unwrap();
        assert!(taken(dir.path(), &[]).unwrap_err().contains("more than 4294967296 bytes"));
    }

    #[test]
    fn deep_folders_end() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(vec!["d"; DEPTH_MAX + 2].join("/"))).unwrap();
        assert!(taken(dir.path(), &[]).unwrap_err().contains("deeper than 64 folders"));
    }

    #[test]
    fn a_file_of_somebody_else_is_not_shipped() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "a").unwrap();
        let blobs = tempfile::tempdir().unwrap();
        let other = owner(dir.path()) + 1;
        let error = collect(dir.path(), &["**".to_owned()], &[], other, &Blobs::new(blobs.path())).unwrap_err();
        assert!(error.contains("not to the build"), "{error}");
    }

    #[test]
    fn an_artifact_is_laid_out_as_it_was_collected() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/run"), "run").unwrap();
        fs::set_permissions(dir.path().join("a/b/run"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("b/run", dir.path().join("a/link")).unwrap();
        let kept = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(kept.path());
        let manifest = collect(dir.path(), &["**".to_owned()], &[], owner(dir.path()), &blobs).unwrap();
        let digest = blobs.put_manifest(&manifest).unwrap();
        let into = kept.path().join("out");
        lay_out(&blobs, digest, &into).unwrap();
        assert_eq!(fs::read_to_string(into.join("a/link")).unwrap(), "run");
        assert_eq!(fs::metadata(into.join("a/b/run")).unwrap().permissions().mode() & 0o777, 0o755);
        // what is changed there is not changed in the store
        fs::write(into.join("a/b/run"), "other").unwrap();
        assert_eq!(fs::read_to_string(blobs.path(Digest::of(b"run"))).unwrap(), "run");
        lay_out(&blobs, Digest::of(b"nothing"), &kept.path().join("none")).unwrap();
        assert!(!kept.path().join("none").exists());
    }

    #[test]
    fn a_folder_without_rights_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let build = dir.path().join("1");
        fs::create_dir_all(build.join("a/b")).unwrap();
        fs::set_permissions(build.join("a"), fs::Permissions::from_mode(0o500)).unwrap();
        remove(&build);
        assert!(!build.exists());
    }
}
