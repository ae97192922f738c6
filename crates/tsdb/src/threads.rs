//! Work that several threads share, which end with it.

use std::thread::ScopedJoinHandle;

/// A start takes no more processors than this.
const THREADS_MAX: usize = 4;

/// How many threads a start works with.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

/// What `each` makes of every part, in the order of the parts: of the first here, of the others on threads of their own.
pub(crate) fn in_parts<P: Send, T: Send>(parts: Vec<P>, each: impl Fn(P) -> T + Sync) -> Vec<T> {
    let (each, mut parts) = (&each, parts.into_iter());
    let Some(first) = parts.next() else { return Vec::new() };
    std::thread::scope(|scope| {
        let others: Vec<_> = parts.map(|part| scope.spawn(move || each(part))).collect();
        let mut done = vec![each(first)];
        done.extend(others.into_iter().map(joined));
        done
    })
}

/// What a thread returned; where it panicked, so does this one.
pub(crate) fn joined<T>(work: ScopedJoinHandle<'_, T>) -> T {
    match work.join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
