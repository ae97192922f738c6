//! Where a test has a debug build die: after the n-th step of a deploy that is written, before it is acted on, and with the
//! lease of a deploy that is gone on with, before its first step. A release build has nothing of it.

/// Which write is the last one.
#[cfg(debug_assertions)]
const VARIABLE: &str = "TENFOLD_DIES_AFTER_STEPS";

/// Set where it dies with a lease.
#[cfg(debug_assertions)]
const WITH_LEASE: &str = "TENFOLD_DIES_WITH_LEASE";

/// A step is written and not yet acted on.
#[cfg(debug_assertions)]
pub(super) fn written() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static STEPS: AtomicU64 = AtomicU64::new(0);
    let last = std::env::var(VARIABLE).ok().and_then(|text| text.parse::<u64>().ok());
    if last == Some(STEPS.fetch_add(1, Ordering::Relaxed) + 1) {
        std::process::abort();
    }
}

/// The lease of a deploy was taken that was not begun in the same write.
#[cfg(debug_assertions)]
pub(super) fn leased() {
    if std::env::var_os(WITH_LEASE).is_some() {
        std::process::abort();
    }
}

#[cfg(not(debug_assertions))]
pub(super) const fn written() {}

#[cfg(not(debug_assertions))]
pub(super) const fn leased() {}
