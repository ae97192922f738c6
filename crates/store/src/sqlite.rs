//! SQLite behind the port: bundled, write-ahead log, `synchronous=FULL`, one connection per thread.
//!
//! Checkpoints are our own, not SQLite's automatic ones, because those hide a failed fsync.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig, types::ValueRef};

use crate::{
    Row, Sealer, StoreError, Value,
    engine::Link,
    tx::{Dialect, Tx},
};

/// How long a statement waits for another process's lock.
const BUSY_MS_MAX: u64 = 2_000;
/// The write-ahead log is copied into the database when it has grown to so many pages (of 4 KiB). A page that is written
/// again and again, as those of the indexes are, is copied once.
const WAL_PAGES_MAX: i32 = 4_000;
/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 256;

/// One connection.
pub(crate) struct SqliteLink {
    conn: Connection,
    wal_pages: Arc<AtomicI32>,
    sealer: Sealer,
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
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192; PRAGMA trusted_schema = OFF; \
             PRAGMA journal_size_limit = 67108864;",
        )
        .map_err(opening)?;
        // Statements are kept as they were prepared; without it those with an index for a part of the rows are prepared anew
        // at each call, since the values might rule that index out.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(opening)?;
        if !writer {
            conn.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -4096;").map_err(opening)?;
        }
        let wal_pages = Arc::new(AtomicI32::new(0));
        let seen = wal_pages.clone();
        // Replaces the automatic checkpoint.
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        }))
        .map_err(opening)?;
        Ok(Self { conn, wal_pages, sealer })
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.conn.execute_batch(sql).map_err(|e| fault(e, sql))
    }

    fn run(&mut self, sql: &str, params: &[Value]) -> Result<(Vec<Row>, u64), StoreError> {
        let failed = |e| fault(e, sql);
        let mut statement = self.conn.prepare_cached(sql).map_err(failed)?;
        let mut highest = 0;
        for index in 1..=statement.parameter_count() {
            let name = statement.parameter_name(index).unwrap_or("?");
            let number = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).filter(|n| *n > 0);
            let number = number.ok_or_else(|| wrong(sql, &format!("placeholder `{name}` is not $1..$n")))?;
            highest = highest.max(number);
            let value = params.get(number - 1).ok_or_else(|| wrong(sql, &format!("${number} has no value")))?;
            match value {
                Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null),
                Value::Int(v) => statement.raw_bind_parameter(index, v),
                Value::Text(v) => statement.raw_bind_parameter(index, v),
            }
            .map_err(failed)?;
        }
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
