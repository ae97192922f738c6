//! Where a test has a debug build of the agent die: at the n-th point before or after its state is written. A release build
//! has nothing of it.

/// Which point is the last one: odd ones stand before a write, even ones after.
#[cfg(debug_assertions)]
const VARIABLE: &str = "TENFOLD_AGENT_DIES_AT";

#[cfg(debug_assertions)]
pub(super) fn point() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static POINTS: AtomicU64 = AtomicU64::new(0);
    let last = std::env::var(VARIABLE).ok().and_then(|text| text.parse::<u64>().ok());
    if last == Some(POINTS.fetch_add(1, Ordering::Relaxed) + 1) {
        std::process::abort();
    }
}

#[cfg(not(debug_assertions))]
pub(super) const fn point() {}
