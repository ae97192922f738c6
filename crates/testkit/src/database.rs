//! Databases that vanish with the test.

use std::{ops::Deref, path::PathBuf, sync::Arc};

use tempfile::TempDir;
use tenfold_store::{Db, Sealer};

use crate::TestEntropy;

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

/// The keys of every store that a test opens, so that one process opens what another left.
pub fn sealer() -> Sealer {
    let key = Sealer::new_key(&TestEntropy::seeded(1));
    Sealer::read(&key, "the keys of tests", Arc::new(TestEntropy::seeded(2))).expect("a key that was made is read")
}

/// Opens an empty SQLite store in a temporary directory. Keep the result alive for the test; `db.clone()`
/// gives a plain [`Db`].
pub async fn temp_db() -> TempDb {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let db = Db::open_sqlite(dir.path().join("state.db"), sealer()).await.expect("an empty database opens");
    TempDb { db, dir }
}
