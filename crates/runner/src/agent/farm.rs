//! From a manifest to a release's folder: fetch what is missing, then hard links to the blobs. Releases share the files
//! they have in common, so staging costs what changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tenfold_app::deploys::hash_file;
use tenfold_deploys::{
    Digest, Manifest,
    delta::{FILE_BYTES_MAX, FILE_BYTES_MIN},
    manifest::Entry,
};
use tenfold_protocols::agent::{BlobDigest, FromAgent, OrderRef};

use super::{
    Shared,
    disk::{Place, sync_dir},
};
use crate::files;

/// Blobs asked for at a time; each is an open file meanwhile.
const NEED_AT_ONCE: usize = 256;
/// The server must send the next blob within this time.
const IDLE: Duration = Duration::from_secs(30);
/// Room left free beside the artifact.
const FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// Between two words about the progress.
const PROGRESS: Duration = Duration::from_millis(500);

/// Makes the release's folder. The error is for people.
pub(crate) async fn stage(
    shared: &Arc<Shared>,
    place: &Place,
    order: &OrderRef,
    manifest: Manifest,
) -> Result<(), String> {
    let _staging = shared.farm.read().await;
    let digest = manifest.digest();
    place.make().map_err(told)?;
    if place.release(digest).is_dir() {
        let (dir, manifest) = (place.release(digest), manifest.clone());
        let whole = tokio::task::spawn_blocking(move || differs(&dir, &manifest)).await;
        match whole.map_err(|_| "the release could not be read".to_owned())? {
            None => return Ok(()),
            Some(path) => {
                tracing::warn!(%path, release = digest.short(), "a release was changed on this host; it is made anew");
            }
        }
    }
    let files = files_of(&manifest);
    let missing = {
        let (shared, files) = (shared.clone(), files.clone());
        tokio::task::spawn_blocking(move || {
            let here = |d, size, x| shared.incoming.verify(d, size, x) || (x && shared.incoming.verify(d, size, false));
            let missing = files.into_iter().filter(|((d, x), size)| !here(*d, *size, *x));
            // a file that ships with and without the bit is fetched once
            missing.map(|((d, _), size)| (d, size)).collect::<BTreeMap<_, _>>().into_iter().collect::<Vec<_>>()
        })
        .await
        .map_err(|_| "the blobs could not be read".to_owned())?
    };
    let need: u64 = missing.iter().map(|(_, size)| size).sum();
    enough_room(&place.root, need)?;
    let bases = {
        let (place, manifest, missing) = (place.clone(), manifest.clone(), missing.clone());
        tokio::task::spawn_blocking(move || bases(&place, &manifest, &missing))
            .await
            .map_err(|_| "the release in place could not be read".to_owned())?
    };
    fetch(shared, order, digest, &missing, &bases, need).await?;
    let (shared, place) = (shared.clone(), place.clone());
    tokio::task::spawn_blocking(move || link(&shared, &place, &manifest, digest))
        .await
        .map_err(|_| "the release could not be linked".to_owned())?
}

/// Each file's digest and executable bit, with its size.
fn files_of(manifest: &Manifest) -> BTreeMap<(Digest, bool), u64> {
    manifest
        .entries()
        .iter()
        .filter_map(|e| match e {
            Entry::File { blake3, size, executable, .. } => Some(((*blake3, *executable), *size)),
            Entry::Link { .. } => None,
        })
        .collect()
}

async fn fetch(
    shared: &Arc<Shared>,
    order: &OrderRef,
    digest: Digest,
    missing: &[(Digest, u64)],
    bases: &BTreeMap<Digest, (Digest, PathBuf)>,
    total: u64,
) -> Result<(), String> {
    let mut have = 0;
    let mut told_at = tokio::time::Instant::now();
    let progress = |have| FromAgent::Staging {
        order: order.clone(),
        digest: BlobDigest(*digest.bytes()),
        have_bytes: have,
        total_bytes: total,
    };
    shared.say(progress(0));
    for some in missing.chunks(NEED_AT_ONCE) {
        let mut waiting = Vec::new();
        let mut ask = Vec::new();
        let mut over = BTreeMap::new();
        for (blob, size) in some {
            let base = bases.get(blob);
            let (waiter, first) = shared.incoming.expect(*blob, *size, base.cloned()).map_err(told)?;
            if first {
                ask.push(BlobDigest(*blob.bytes()));
                over.extend(base.map(|(base, _)| (BlobDigest(*blob.bytes()), BlobDigest(*base.bytes()))));
            }
            waiting.push((*blob, waiter, *size));
        }
        if !ask.is_empty() {
            shared.say(FromAgent::Need { blobs: ask, bases: over });
        }
        for (blob, waiter, size) in waiting {
            match tokio::time::timeout(IDLE.max(transfer_time(size)), waiter).await {
                Ok(Ok(Ok(()))) => have += size,
                Ok(Ok(Err(why))) => return Err(why),
                Ok(Err(_)) => return Err("the connection to the server was lost".to_owned()),
                Err(_) => {
                    let why = "the server sent nothing for 30 s";
                    // the next one who needs it asks anew
                    shared.incoming.refuse(blob, why);
                    return Err(why.to_owned());
                }
            }
            if told_at.elapsed() >= PROGRESS {
                told_at = tokio::time::Instant::now();
                shared.say(progress(have));
            }
        }
    }
    Ok(())
}

/// A large blob may take longer than the idle time: at least 1 MB/s is asked for.
fn transfer_time(size: u64) -> Duration {
    Duration::from_secs(10 + size / 1_000_000)
}

fn enough_room(dir: &Path, need: u64) -> Result<(), String> {
    let stat = nix::sys::statvfs::statvfs(dir).map_err(|e| format!("the disk cannot be asked: {e}"))?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    if free < need.saturating_add(FREE_BYTES_MIN) {
        return Err(format!(
            "the disk is full: {free} bytes are free, the release needs {need} and {FREE_BYTES_MIN} must stay free"
        ));
    }
    Ok(())
}

fn link(shared: &Shared, place: &Place, manifest: &Manifest, digest: Digest) -> Result<(), String> {
    let aside = place.releases().join(format!("{digest}.new"));
    files::remove(&aside);
    fs::create_dir_all(&aside).map_err(told)?;
    let mut folders = std::collections::BTreeSet::from([aside.clone()]);
    for entry in manifest.entries() {
        // the manifest was checked: no path leaves the folder, none leads through a link
        let to = aside.join(entry.path());
        if let Some(folder) = to.parent()
            && folders.insert(folder.to_path_buf())
        {
            fs::create_dir_all(folder).map_err(told)?;
        }
        match entry {
            Entry::File { executable, blake3, size, .. } => {
                let from = if *executable {
                    shared.incoming.make_executable(*blake3, *size).map_err(told)?
                } else {
                    shared.incoming.path(*blake3, false)
                };
                if fs::hard_link(&from, &to).is_err() {
                    // too many links to one file, or another file system
                    fs::copy(&from, &to).map_err(told)?;
                }
            }
            Entry::Link { target, .. } => std::os::unix::fs::symlink(target, &to).map_err(told)?,
        }
    }
    // files and folders at once: one by one a release of a thousand files waits for the disk a thousand times
    nix::unistd::syncfs(fs::File::open(&aside).map_err(told)?).map_err(|e| told(e.into()))?;
    // what stands on the disk now, and not what was meant to stand there
    if let Some(path) = differs(&aside, manifest) {
        return Err(format!("{path} is not what the artifact has there"));
    }
    let release = place.release(digest);
    if release.exists() {
        // a service may still stand in it, so it goes with the next pruning
        let damaged = place.releases().join(format!("{digest}.damaged"));
        files::remove(&damaged);
        fs::rename(&release, &damaged).map_err(told)?;
    }
    fs::rename(&aside, &release).map_err(told)?;
    sync_dir(&place.releases()).map_err(told)
}

/// The first path of a release that does not hold what the manifest says. What a service put beside it does not count.
/// Blocks.
fn differs(dir: &Path, manifest: &Manifest) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let holds = |entry: &Entry| {
        let path = dir.join(entry.path());
        let Ok(meta) = path.symlink_metadata() else { return false };
        match entry {
            Entry::Link { target, .. } => fs::read_link(&path).is_ok_and(|t| t.to_str() == Some(target)),
            Entry::File { executable, blake3, size, .. } => {
                meta.is_file()
                    && (meta.permissions().mode() & 0o111 != 0) == *executable
                    && hash_file(&path).is_ok_and(|found| found == (*blake3, *size))
            }
        }
    };
    manifest.entries().iter().find(|e| !holds(e)).map(|e| e.path().to_owned())
}

/// For large files that are missing: what the release in place has at the same path, which is likely to be like it.
/// Blocks.
fn bases(place: &Place, manifest: &Manifest, missing: &[(Digest, u64)]) -> BTreeMap<Digest, (Digest, PathBuf)> {
    let Ok(current) = fs::canonicalize(place.current()) else { return BTreeMap::new() };
    let large: BTreeSet<Digest> =
        missing.iter().filter(|(_, size)| (FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(size)).map(|(d, _)| *d).collect();
    let mut bases = BTreeMap::new();
    for entry in manifest.entries() {
        let Entry::File { path, blake3, .. } = entry else { continue };
        if !large.contains(blake3) || bases.contains_key(blake3) {
            continue;
        }
        let file = current.join(path);
        let fits = |m: fs::Metadata| m.is_file() && (FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(&m.len());
        if file.symlink_metadata().is_ok_and(fits)
            && let Ok((base, _)) = hash_file(&file)
        {
            bases.insert(*blake3, (base, file));
        }
    }
    bases
}

fn told(error: std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    }
}

/// Removes releases that are not in `keep`. Blocks.
pub(crate) fn prune(shared: &Shared, place: &Place, keep: &[Digest]) {
    // what is being staged may need a blob that no release links to yet
    let Ok(_alone) = shared.farm.try_write() else { return };
    let Ok(entries) = fs::read_dir(place.releases()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(".damaged") {
            files::remove(&entry.path());
            continue;
        }
        let stem = name.strip_suffix(".json").unwrap_or(name);
        let Some(digest) = Digest::parse(stem) else { continue };
        if !keep.contains(&digest) {
            // a service may have left anything in it
            if name == stem {
                files::remove(&entry.path());
            } else {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    shared.incoming.prune();
}
