//! Keeping the data directory from growing for ever: artifacts nobody can go back to, and blobs of no artifact.
//!
//! A blob that is in no manifest may belong to a build that has not ended, so young ones stay whatever happens.

use std::{
    collections::HashSet,
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use tenfold_deploys::{Digest, Manifest, manifest::Entry};
use tenfold_store::deploys::{self as store, DeployQuery};
use tenfold_types::{Fault, Timestamp};

use crate::App;

/// Deploys per service and environment whose artifacts are kept.
const DEPLOYS_KEPT: u32 = 50;
/// What is younger stays.
const AGE_MS_MIN: i64 = 24 * 60 * 60 * 1000;

/// Removes what is not needed; returns how many artifacts and blobs went.
pub(super) async fn prune(app: &App) -> Result<(usize, usize), Fault> {
    let services = app.services().await?;
    let mut keep = HashSet::new();
    for service in &services {
        for environment in &service.environments {
            let query = DeployQuery {
                service: Some(service.name.clone()),
                environment: Some(environment.clone()),
                limit: DEPLOYS_KEPT,
                ..DeployQuery::default()
            };
            let rows = app.read(move |tx| Ok(store::deploys(tx, &query)?)).await?;
            keep.extend(rows.iter().filter_map(|r| r.digest.as_deref().and_then(Digest::parse)));
        }
    }
    // what hosts run is needed as well, however old it is
    for host in app.hosts() {
        keep.extend(host.releases.iter().filter_map(|r| Digest::parse(&r.digest)));
    }
    let (root, now) = (app.settings.data_dir.clone(), app.now());
    tokio::task::spawn_blocking(move || remove(&root, &keep, now))
        .await
        .map_err(|_| Fault::internal("old artifacts could not be removed"))?
        .map_err(|e| Fault::internal(format!("old artifacts could not be removed: {e}")))
}

fn remove(root: &Path, keep: &HashSet<Digest>, now: Timestamp) -> io::Result<(usize, usize)> {
    let mut needed = HashSet::new();
    let mut artifacts = 0;
    for file in files(&root.join("manifests"))? {
        let name = file.file_stem().and_then(|n| n.to_str()).and_then(Digest::parse);
        if name.is_none_or(|d| keep.contains(&d)) || is_young(&file, now) {
            // one that cannot be read names blobs we do not know: leave all as it is
            let manifest: Manifest = serde_json::from_slice(&fs::read(&file)?).map_err(io::Error::other)?;
            needed.extend(manifest.entries().iter().filter_map(|e| match e {
                Entry::File { blake3, .. } => Some(*blake3),
                Entry::Link { .. } => None,
            }));
        } else {
            fs::remove_file(&file)?;
            artifacts += 1;
        }
    }
    let mut blobs = 0;
    let folders = match fs::read_dir(root.join("blobs")) {
        Ok(folders) => folders,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((artifacts, 0)),
        Err(error) => return Err(error),
    };
    for folder in folders {
        for file in files(&folder?.path())? {
            let digest = file.file_name().and_then(|n| n.to_str()).and_then(Digest::parse);
            let wanted = digest.is_some_and(|d| needed.contains(&d));
            if !wanted && !is_young(&file, now) {
                fs::remove_file(&file)?;
                blobs += 1;
            }
        }
    }
    Ok((artifacts, blobs))
}

fn files(dir: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|e| e.map(|e| e.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn is_young(file: &Path, now: Timestamp) -> bool {
    let since =
        fs::metadata(file).and_then(|m| m.modified()).ok().and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
    // a file whose age is not known counts as young
    since.is_none_or(|at: Duration| now.millis() - i64::try_from(at.as_millis()).unwrap_or(i64::MAX) < AGE_MS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploys::Blobs;

    #[test]
    fn only_what_nobody_needs_goes() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        let artifact = |text: &str| {
            let file = dir.path().join("file");
            fs::write(&file, text).unwrap();
            let (blake3, size) = blobs.put_file(&file).unwrap();
            let entry = Entry::File { path: "a".into(), executable: false, blake3, size };
            (blobs.put_manifest(&Manifest::new(vec![entry]).unwrap()).unwrap(), blake3)
        };
        let (kept, kept_blob) = artifact("kept");
        let (old, old_blob) = artifact("old");
        let keep = HashSet::from([kept]);
        let written = fs::metadata(blobs.path(old_blob)).unwrap().modified().unwrap();
        let written = written.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let written = Timestamp(i64::try_from(written.as_millis()).unwrap());

        assert_eq!(remove(dir.path(), &keep, written.plus_ms(1_000)).unwrap(), (0, 0), "all is young");
        assert_eq!(remove(dir.path(), &keep, written.plus_ms(2 * AGE_MS_MIN)).unwrap(), (1, 1));
        assert!(blobs.has_artifact(kept) && blobs.has(kept_blob));
        assert!(!blobs.has_artifact(old) && !blobs.has(old_blob));
    }
}
