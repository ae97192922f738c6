//! The build's folder: made equal for every build of a commit, walked without following links, and removed whatever the
//! build did to it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::{Path, PathBuf},
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
/// A folder with a longer path is moved up before it is looked into; with a name and some room to what the kernel takes.
const REMOVED_PATH_BYTES_MAX: usize = 2_048;
/// Most files and folders looked at, shipped or not.
const VISITED_MAX: usize = 2_000_000;

/// Gives every file of a checkout the time of its commit, and its owner when the build has a user of its own. Blocks.
pub(crate) fn prepare(dir: &Path, commit_seconds: i64, owner: Option<u32>) -> io::Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(commit_seconds).unwrap_or(0));
    prepare_below(dir, 0, time, owner)
}

fn prepare_below(dir: &Path, depth: usize, time: SystemTime, owner: Option<u32>) -> io::Result<()> {
    // each level is an open file while it is walked; the checkout stands one below the program's folder
    if depth > DEPTH_MAX + 2 {
        return Err(io::Error::other(format!("a folder in it is deeper than {DEPTH_MAX} folders")));
    }
    let meta = dir.symlink_metadata()?;
    if meta.is_dir() {
        for entry in fs::read_dir(dir)? {
            prepare_below(&entry?.path(), depth + 1, time, owner)?;
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

/// Removes a folder and all below it, also where a program took its own rights away. Blocks.
pub(crate) fn remove(dir: &Path) {
    let removed = dir.symlink_metadata().and_then(|meta| {
        if !meta.is_dir() {
            return fs::remove_file(dir);
        }
        empty(dir)?;
        fs::remove_dir(dir)
    });
    if let Err(error) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, dir = %dir.display(), "a folder could not be removed");
    }
}

/// Removes what is in a folder. What lies too deep is moved up first: a program may leave folders in folders until whoever walks
/// down into them has no stack and no open file left, or no path that long. No link is followed.
fn empty(dir: &Path) -> io::Result<()> {
    let mut deep = Deep { top: dir, number: 0, waiting: Vec::new() };
    deep.empty(dir, 0)?;
    while let Some(folder) = deep.waiting.pop() {
        // it was empty, and another took its name
        if folder.exists() {
            deep.empty(&folder, 0)?;
            fs::remove_dir(&folder)?;
        }
    }
    Ok(())
}

/// Folders that were moved up into `top` and are still to be removed.
struct Deep<'a> {
    top: &'a Path,
    number: u64,
    waiting: Vec<PathBuf>,
}

impl Deep<'_> {
    fn empty(&mut self, dir: &Path, depth: usize) -> io::Result<()> {
        open_up(dir)?;
        // no folder is open while one in it is
        for inner in folders_after_files(dir)? {
            if depth < DEPTH_MAX && inner.as_os_str().len() < REMOVED_PATH_BYTES_MAX {
                self.empty(&inner, depth + 1)?;
                fs::remove_dir(&inner)?;
            } else {
                // whose parent changes is written to itself
                open_up(&inner)?;
                let moved = move_up(&inner, self.top, &mut self.number)?;
                self.waiting.push(moved);
            }
        }
        Ok(())
    }
}

/// Removes the files and links of a folder; the folders in it are left, and returned.
fn folders_after_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // the kind of the entry itself: links are not followed
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(folders)
}

/// Gives the folder a name in `top` that nothing has there. An empty folder of that name is replaced, which is as well.
fn move_up(folder: &Path, top: &Path, number: &mut u64) -> io::Result<PathBuf> {
    loop {
        let to = top.join(number.to_string());
        *number += 1;
        match fs::rename(folder, &to) {
            Ok(()) => return Ok(to),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A folder, and never a link, is made one that may be read and written.
fn open_up(dir: &Path) -> io::Result<()> {
    let meta = dir.symlink_metadata()?;
    if !meta.is_dir() {
        return Err(io::Error::other(format!("{} is no folder", dir.display())));
    }
    if meta.permissions().mode() & 0o700 == 0o700 {
        return Ok(());
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
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

    /// A program makes as many as it likes with no more than `mkdir` and `cd`. On a small stack, for the many that they may be.
    #[test]
    fn folders_in_folders_are_removed_however_deep_they_are() {
        use nix::{fcntl, sys::stat};
        const DEEP: usize = 2_000;
        let dir = tempfile::tempdir().unwrap();
        let (build, victim) = (dir.path().join("1"), dir.path().join("victim"));
        fs::create_dir(&build).unwrap();
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("kept"), "kept").unwrap();
        // names that are wanted for what is moved up
        for name in ["0", "1", "2/full", "3"] {
            fs::create_dir_all(build.join(name)).unwrap();
        }
        fs::write(build.join("4"), "a file").unwrap();
        std::os::unix::fs::symlink(&victim, build.join("5")).unwrap();
        let mut inner = File::open(&build).unwrap();
        for level in 0..DEEP {
            stat::mkdirat(&inner, "d", stat::Mode::S_IRWXU).unwrap();
            let flags = fcntl::OFlag::O_DIRECTORY | fcntl::OFlag::O_NOFOLLOW;
            let next = fcntl::openat(&inner, "d", flags, stat::Mode::empty()).unwrap();
            if level == 7 {
                nix::unistd::symlinkat(&victim, &inner, "link").unwrap();
            }
            inner = File::from(next);
        }
        drop(inner);
        let gone = build.clone();
        let small = std::thread::Builder::new().stack_size(512 * 1024);
        small.spawn(move || remove(&gone)).unwrap().join().unwrap();
        assert!(!build.exists());
        assert_eq!(fs::read_to_string(victim.join("kept")).unwrap(), "kept", "no link was followed");
        remove(&build);
    }

    #[test]
    fn a_link_in_place_of_a_folder_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("kept"), "kept").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("1")).unwrap();
        remove(&dir.path().join("1"));
        assert!(victim.join("kept").exists() && dir.path().join("1").symlink_metadata().is_err());
    }

    #[test]
    fn a_checkout_that_is_too_deep_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(vec!["d"; DEPTH_MAX + 4].join("/"))).unwrap();
        assert!(prepare(dir.path(), 0, None).unwrap_err().to_string().contains("deeper than 64 folders"));
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
