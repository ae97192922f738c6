//! Memory that all queries which run at one time share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::error::QueryError;

/// So many bytes for all of them together.
#[derive(Debug)]
pub struct Pool {
    max: u64,
    used: AtomicU64,
}

impl Pool {
    pub fn new(bytes_max: u64) -> Self {
        Self { max: bytes_max, used: AtomicU64::new(0) }
    }

    pub fn bytes_max(&self) -> u64 {
        self.max
    }
}

/// What one query has of a pool, given back when this is dropped. A copy has nothing, and all are equal: it is no part of
/// what a query answers.
#[derive(Debug, Default)]
pub struct Held {
    pool: Option<Arc<Pool>>,
    bytes: AtomicU64,
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Held {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.used.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
        }
    }
}

impl Held {
    /// Nothing yet, of this pool; without one nothing is counted.
    pub fn of(pool: Option<Arc<Pool>>) -> Self {
        Self { pool, bytes: AtomicU64::new(0) }
    }

    /// So many bytes more. What is refused is given back with the rest.
    pub fn take(&self, bytes: u64) -> Result<(), QueryError> {
        let Some(pool) = &self.pool else { return Ok(()) };
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if pool.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > pool.max {
            return Err(QueryError::Limit(format!(
                "the queries that run now hold more than {} bytes together; ask again later, or use a larger step, less \
                 time or fewer series",
                pool.max
            )));
        }
        Ok(())
    }

    /// Gives back a part of it.
    pub fn give(&self, bytes: u64) {
        let Some(pool) = &self.pool else { return };
        let part = bytes.min(self.bytes.load(Ordering::Relaxed));
        self.bytes.fetch_sub(part, Ordering::Relaxed);
        pool.used.fetch_sub(part, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let pool = Arc::new(Pool::new(100));
        let (first, second) = (Held::of(Some(pool.clone())), Held::of(Some(pool.clone())));
        assert!(first.take(60).is_ok() && second.take(40).is_ok());
        let refused = second.take(1).unwrap_err().to_string();
        assert!(refused.contains("more than 100 bytes together"), "{refused}");
        first.give(30);
        assert!(second.take(20).is_ok(), "101 less 30 leave room for 20");
        drop((first, second));
        assert!(Held::of(Some(pool)).take(100).is_ok());
        assert!(Held::default().take(u64::MAX).is_ok());
    }
}
