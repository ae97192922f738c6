//! The transaction that repositories are written against, and the guard that makes both databases
//! behave the same inside it.

use crate::{Row, Sealer, StoreError, Value};

/// Which database stands behind a transaction. Only the text search may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, embedded.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// An open transaction. Statements use `$1`..`$n`; a failed statement spoils the transaction, which
/// then rolls back whatever its closure returns.
pub trait Tx {
    /// Runs a statement and returns how many rows it changed.
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError>;
    /// Runs a statement and returns its rows.
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError>;
    /// The database it runs on.
    fn dialect(&self) -> Dialect;
    /// Seals and opens the columns that may hold secrets.
    fn sealer(&self) -> &Sealer;
}

impl dyn Tx + '_ {
    /// Runs a statement that gives one row or none; more than one is an error.
    pub fn query_opt(&mut self, sql: &str, params: &[Value]) -> Result<Option<Row>, StoreError> {
        let mut rows = self.query(sql, params)?;
        match rows.len() {
            0 | 1 => Ok(rows.pop()),
            n => Err(StoreError::Statement(format!("one row was expected and {n} came: {sql}"))),
        }
    }

    /// Runs a statement that gives exactly one row.
    pub fn query_one(&mut self, sql: &str, params: &[Value]) -> Result<Row, StoreError> {
        self.query_opt(sql, params)?.ok_or_else(|| StoreError::Statement(format!("one row was expected: {sql}")))
    }
}

/// Wraps a backend's transaction for the time of one closure: refuses NUL characters, and remembers
/// the first error so that a closure cannot go on after it.
pub(crate) struct Guard<'a> {
    inner: &'a mut dyn Tx,
    pub(crate) spoiled: Option<StoreError>,
}

impl<'a> Guard<'a> {
    pub(crate) fn new(inner: &'a mut dyn Tx) -> Self {
        Self { inner, spoiled: None }
    }

    fn run<T>(
        &mut self,
        params: &[Value],
        statement: impl FnOnce(&mut dyn Tx) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(first) = &self.spoiled {
            return Err(StoreError::Spoiled(first.to_string()));
        }
        let has_nul = |p: &Value| matches!(p, Value::Text(text) if text.contains('\0'));
        let result = if params.iter().any(has_nul) {
            Err(StoreError::Statement("a text holds the NUL character, which cannot be stored".into()))
        } else {
            statement(self.inner)
        };
        if let Err(error) = &result {
            self.spoiled = Some(error.clone());
        }
        result
    }
}

impl Tx for Guard<'_> {
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.run(params, |tx| tx.execute(sql, params))
    }
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.run(params, |tx| tx.query(sql, params))
    }
    fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }
    fn sealer(&self) -> &Sealer {
        self.inner.sealer()
    }
}
