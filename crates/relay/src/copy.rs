//! The copy on disk. A file is put in place by renaming, after its bytes are on the disk, and begins with their digest: so
//! it is whole or it is not there, and one that was damaged since is refused and not served.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::set::Set;

/// Changes that come closer together than this are written once. What is served never waits for it.
const GATHER: Duration = Duration::from_millis(100);
/// Begins every file; the number is the format's.
const MAGIC: &str = "tenfold-relay 1 ";

/// Makes the folder, for nobody else to read.
pub(crate) fn prepare(dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Puts a file in place.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> std::io::Result<()> {
    let body = serde_json::to_vec(value)?;
    let draft = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    writeln!(file, "{MAGIC}{}", blake3::hash(&body).to_hex())?;
    file.write_all(&body)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    match path.parent() {
        Some(dir) => std::fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// Reads a file. One that cannot be trusted counts as absent, and the log says so.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!(%error, file = %path.display(), "the copy on disk cannot be read and is not served");
            return None;
        }
    };
    match parse(&bytes) {
        Ok(value) => Some(value),
        Err(reason) => {
            tracing::error!(
                reason,
                file = %path.display(),
                "the copy on disk is damaged and is not served; the next version from upstream replaces it"
            );
            None
        }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let rest = bytes.strip_prefix(MAGIC.as_bytes()).ok_or("it does not begin as a copy does")?;
    let at = rest.iter().position(|b| *b == b'\n').ok_or("it ends in its first line")?;
    let (digest, body) = (&rest[..at], &rest[at + 1..]);
    if digest != blake3::hash(body).to_hex().as_bytes() {
        return Err("its bytes are not those that were written".into());
    }
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

/// Writes a set's newest version whenever there is one, until the relay stops.
pub(crate) async fn keep(set: Arc<Set>, stop: CancellationToken) {
    let mut changes = set.changes();
    // What came before this listened.
    changes.mark_changed();
    loop {
        let stopping = tokio::select! {
            changed = changes.changed() => changed.is_err(),
            () = stop.cancelled() => !changes.has_changed().unwrap_or(false),
        };
        if stopping {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = stop.cancelled() => {}
        }
        changes.borrow_and_update();
        let saving = set.clone();
        match tokio::task::spawn_blocking(move || saving.save()).await {
            Ok(Ok(version)) => set.saved(Ok(version)),
            Ok(Err(error)) => {
                tracing::error!(%error, "the copy on disk could not be written; the relay serves on from memory");
                set.saved(Err(error.to_string()));
            }
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_anything_else_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        assert_eq!(read::<Vec<u32>>(&path), None);
        write(&path, &vec![1, 2, 3]).unwrap();
        assert_eq!(read::<Vec<u32>>(&path), Some(vec![1, 2, 3]));
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            assert!(parse::<Vec<u32>>(&whole[..cut]).is_err(), "torn at {cut}");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(parse::<Vec<u32>>(&flipped).is_err(), "a bit flipped at {at}");
        }
    }
}
