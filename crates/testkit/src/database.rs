//! Databases that vanish with the test.

use std::{ops::Deref, path::PathBuf};

use tempfile::TempDir;
use tenfold_store::Db;

/// A SQLite store in a directory of its own, removed when dropped. Derefs to [`Db`].
pub struct TempDb {
    db: Db,
    dir: TempDir,
}

impl TempDb {
    /// The database file.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("state.db")
    }
}

impl Deref for TempDb {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

/// Opens an empty SQLite store in a temporary directory. Keep the result alive for the test; `db.clone()`
/// gives a plain [`Db`].
pub async fn temp_db() -> TempDb {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let db = Db::open_sqlite(dir.path().join("state.db")).await.expect("an empty database opens");
    TempDb { db, dir }
}
