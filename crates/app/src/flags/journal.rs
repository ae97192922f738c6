//! Flags that were switched off while the store could not be reached, kept in a file until it can.
//!
//! The whole list is written anew each time and put in place by renaming, so that a kill in the middle leaves the list
//! before or the list after.

use std::io::Write;
use std::path::{Path, PathBuf};

use tenfold_types::Fault;
use tokio::sync::Mutex;

use super::table::Kill;

const FILE: &str = "flags-switched-off.json";

/// Writers take turns.
#[derive(Default)]
pub struct Journal(Mutex<()>);

impl Journal {
    /// Makes the file say what `list` gives; the list is taken when it is this writer's turn. An empty list removes it.
    pub(super) async fn write(&self, dir: &Path, list: impl FnOnce() -> Vec<Kill>) -> Result<(), Fault> {
        let _turn = self.0.lock().await;
        let (dir, list) = (dir.to_owned(), list());
        let written = tokio::task::spawn_blocking(move || put(&dir, &list)).await;
        written
            .map_err(|e| Fault::internal(format!("the journal of flags was not written: {e}")))?
            .map_err(|e| Fault::unavailable(format!("the journal of flags cannot be written: {e}")))
    }

    /// What was left over by an earlier run. An unreadable file is an error: it may hold a flag that has to be off.
    pub(super) async fn read(&self, dir: &Path) -> Result<Vec<Kill>, Fault> {
        let path = dir.join(FILE);
        match tokio::fs::read(&path).await {
            Ok(text) => serde_json::from_slice(&text).map_err(|e| {
                Fault::internal(format!("{} cannot be read: {e}", path.display()))
                    .advice("look which flags it names, switch them off by hand, then remove the file")
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Fault::unavailable(format!("{} cannot be read: {e}", path.display()))),
        }
    }
}

fn put(dir: &Path, list: &[Kill]) -> std::io::Result<()> {
    let path: PathBuf = dir.join(FILE);
    if list.is_empty() {
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        }
    } else {
        let draft = dir.join(format!("{FILE}.new"));
        let mut file = std::fs::File::create(&draft)?;
        file.write_all(&serde_json::to_vec(list)?)?;
        file.sync_all()?;
        std::fs::rename(&draft, &path)?;
    }
    std::fs::File::open(dir)?.sync_all()
}
