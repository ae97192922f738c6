//! SQLite behind the port: bundled, write-ahead log, `synchronous=FULL`, one connection per thread.
//!
//! Checkpoints are our own, not SQLite's automatic ones, because those hide a failed fsync.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, Statement, config::DbConfig, types::ValueRef};

use crate::{
    Row, Sealer, StoreError, Value,
    engine::Link,
    tx::{Dialect, Tx},
};

/// How long a statement waits for another process's lock.
const BUSY_MS_MAX: u64 = 2_000;
/// The write-ahead log is copied into the database when it has grown to so many pages (of 4 KiB). A page that is written
/// again and again, as those of the indexes are, is copied once.
const WAL_PAGES_MAX: i32 = 8_000;
/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 256;

/// One connection.
pub(crate) struct SqliteLink {
    conn: Connection,
    wal_pages: Arc<AtomicI32>,
    sealer: Sealer,
    /// By the address and the length of the statement's text: most are constants, and are asked again and again.
    places: HashMap<(usize, usize), Places>,
}

/// The number of each parameter of a statement, in the order of the parameters.
struct Places {
    sql: Box<str>,
    numbers: Arc<[usize]>,
}

impl SqliteLink {
    /// Opens the file; only the writer creates it.
    pub(crate) fn open(path: &Path, writer: bool, sealer: Sealer) -> Result<Self, StoreError> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, writer);
        let opening = |e| match fault(e, "open") {
            StoreError::Statement(reason) => StoreError::Unavailable(format!("{}: {reason}", path.display())),
            other => other,
        };
        let mut conn = Connection::open_with_flags(path, flags).map_err(opening)?;
        conn.busy_timeout(Duration::from_millis(BUSY_MS_MAX)).map_err(opening)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // What is not in the 2 MB of a connection's own pages is in the kernel's, a system call away: a storm of 10,000 alerts
        // takes no longer for it, and 18 MB less than with 8.
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048; PRAGMA trusted_schema = OFF; \
             PRAGMA journal_size_limit = 67108864;",
        )
        .map_err(opening)?;
        // Statements are kept as they were prepared; without it those with an index for a part of the rows are prepared anew
        // at each call, since the values might rule that index out.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(opening)?;
        if !writer {
            conn.execute_batch("PRAGMA query_only = ON;").map_err(opening)?;
        }
        let wal_pages = Arc::new(AtomicI32::new(0));
        let seen = wal_pages.clone();
        // Replaces the automatic checkpoint.
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        }))
        .map_err(opening)?;
        Ok(Self { conn, wal_pages, sealer, places: HashMap::new() })
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.conn.execute_batch(sql).map_err(|e| fault(e, sql))
    }

    fn run(&mut self, sql: &str, params: &[Value]) -> Result<(Vec<Row>, u64), StoreError> {
        let failed = |e| fault(e, sql);
        let mut statement = self.conn.prepare_cached(sql).map_err(failed)?;
        // What lies there may be another text since.
        let place = (sql.as_ptr().addr(), sql.len());
        let known = self.places.get(&place).filter(|places| *places.sql == *sql).map(|places| places.numbers.clone());
        let numbers = if let Some(numbers) = known {
            numbers
        } else {
            let numbers = numbers(&statement, sql)?;
            if self.places.len() >= STATEMENTS_MAX {
                self.places.clear();
            }
            self.places.insert(place, Places { sql: sql.into(), numbers: numbers.clone() });
            numbers
        };
        for (index, number) in (1_usize..).zip(numbers.iter().copied()) {
            let value = params.get(number - 1).ok_or_else(|| wrong(sql, &format!("${number} has no value")))?;
            match value {
                Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null),
                Value::Int(v) => statement.raw_bind_parameter(index, v),
                Value::Text(v) => statement.raw_bind_parameter(index, v),
            }
            .map_err(failed)?;
        }
        let highest = numbers.iter().copied().max().unwrap_or(0);
        if highest != params.len() {
            return Err(wrong(sql, &format!("{} values for {highest} placeholders", params.len())));
        }
        let columns = statement.column_count();
        let read_only = statement.readonly();
        let mut out = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(failed)? {
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(match row.get_ref(column).map_err(failed)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(v) => Value::Int(v),
                    ValueRef::Text(v) => Value::Text(String::from_utf8_lossy(v).into_owned()),
                    ValueRef::Real(_) | ValueRef::Blob(_) => {
                        return Err(wrong(sql, &format!("column {column} is neither TEXT nor BIGINT")));
                    }
                });
            }
            out.push(Row::new(values));
        }
        drop(rows);
        drop(statement);
        let changed = if read_only { 0 } else { self.conn.changes() };
        Ok((out, changed))
    }
}

impl Tx for SqliteLink {
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.run(sql, params).map(|(_, changed)| changed)
    }
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.run(sql, params).map(|(rows, _)| rows)
    }
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }
    fn sealer(&self) -> &Sealer {
        &self.sealer
    }
}

impl Link for SqliteLink {
    const GROUP_MAX: usize = 256;

    fn begin(&mut self, write: bool) -> Result<(), StoreError> {
        self.batch(if write { "BEGIN IMMEDIATE" } else { "BEGIN" })
    }
    fn commit(&mut self) -> Result<(), StoreError> {
        self.batch("COMMIT")
    }
    fn rollback(&mut self) {
        if self.in_transaction()
            && let Err(error) = self.batch("ROLLBACK")
        {
            tracing::warn!(%error, "a rollback failed");
        }
    }
    fn savepoint(&mut self) -> Result<(), StoreError> {
        self.batch("SAVEPOINT part")
    }
    fn end_savepoint(&mut self, keep: bool) -> Result<(), StoreError> {
        self.batch(if keep { "RELEASE part" } else { "ROLLBACK TO part; RELEASE part" })
    }
    fn in_transaction(&self) -> bool {
        !self.conn.is_autocommit()
    }
    fn tidy(&mut self) -> Result<(), StoreError> {
        if self.wal_pages.load(Ordering::Relaxed) < WAL_PAGES_MAX {
            return Ok(());
        }
        self.wal_pages.store(0, Ordering::Relaxed);
        self.run("PRAGMA wal_checkpoint(PASSIVE)", &[]).map(|_| ())
    }
    fn scrub(&mut self) -> Result<(), StoreError> {
        // On disk, not in memory: the copy is as large as the database.
        self.batch("PRAGMA temp_store = FILE")?;
        let done = self.batch("VACUUM").and_then(|()| self.batch("PRAGMA wal_checkpoint(TRUNCATE)"));
        self.wal_pages.store(0, Ordering::Relaxed);
        self.batch("PRAGMA temp_store = MEMORY")?;
        done
    }
    fn as_tx(&mut self) -> &mut dyn Tx {
        self
    }
}

/// Asks for the name of each parameter, which takes long: the database goes through all before it each time.
fn numbers(statement: &Statement<'_>, sql: &str) -> Result<Arc<[usize]>, StoreError> {
    let number = |index| {
        let name = statement.parameter_name(index).unwrap_or("?");
        let number = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).filter(|n| *n > 0);
        number.ok_or_else(|| wrong(sql, &format!("placeholder `{name}` is not $1..$n")))
    };
    (1..=statement.parameter_count()).map(number).collect()
}

fn wrong(sql: &str, reason: &str) -> StoreError {
    StoreError::Statement(format!("{reason}: {sql}"))
}

fn fault(error: rusqlite::Error, sql: &str) -> StoreError {
    let (code, text) = match &error {
        rusqlite::Error::SqliteFailure(cause, text) => (cause.code, text.clone().unwrap_or_else(|| cause.to_string())),
        rusqlite::Error::SqlInputError { error: cause, msg, .. } => (cause.code, msg.clone()),
        other => return wrong(sql, &other.to_string()),
    };
    match code {
        ErrorCode::DiskFull => StoreError::DiskFull,
        ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Io(text),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy(text),
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => StoreError::Unavailable(text),
        ErrorCode::ConstraintViolation => StoreError::Constraint(text),
        _ => wrong(sql, &text),
    }
}

#[cfg(test)]
mod tests {
    use tenfold_testkit::TestEntropy;

    use super::*;
    use crate::params;

    #[test]
    fn another_text_in_the_same_place_has_its_own_placeholders() {
        let key = Sealer::new_key(&TestEntropy::seeded(1)) + "\n";
        let sealer = Sealer::read(&key, "the-file", Arc::new(TestEntropy::default())).unwrap();
        let mut link = SqliteLink::open(Path::new(":memory:"), true, sealer).unwrap();
        let mut sql = String::from("SELECT ");
        for (text, wanted) in [
            ("$1, $2", Some((1, 2))),
            ("$2, $1", Some((2, 1))),
            ("$1, $1", None),
            ("$2, $1", Some((2, 1))),
            ("$1, ?2", None),
            ("$1, $2", Some((1, 2))),
        ] {
            sql.truncate("SELECT ".len());
            sql.push_str(text);
            for _ in 0..2 {
                let got = link.query(&sql, params![1, 2]);
                let got = got.ok().map(|rows| (rows[0].int(0).unwrap(), rows[0].int(1).unwrap()));
                assert_eq!(got, wanted, "{sql}");
            }
        }
    }
}
