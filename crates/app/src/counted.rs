//! A transaction that counts what is asked of it, for tests that bound it.

use tenfold_store::{Dialect, Row, Sealer, StoreError, Tx, Value};

pub(crate) struct Counted<'a> {
    inner: &'a mut dyn Tx,
    /// Each statement, and how many rows it gave.
    pub asked: Vec<(String, usize)>,
}

impl<'a> Counted<'a> {
    pub fn new(inner: &'a mut dyn Tx) -> Self {
        Self { inner, asked: Vec::new() }
    }

    /// Rows of the statements that have these words.
    pub fn rows(&self, words: &str) -> usize {
        self.asked.iter().filter(|(sql, _)| sql.contains(words)).map(|(_, rows)| rows).sum()
    }
}

impl Tx for Counted<'_> {
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.asked.push((sql.to_owned(), 0));
        self.inner.execute(sql, params)
    }
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let rows = self.inner.query(sql, params)?;
        self.asked.push((sql.to_owned(), rows.len()));
        Ok(rows)
    }
    fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }
    fn sealer(&self) -> &Sealer {
        self.inner.sealer()
    }
}
