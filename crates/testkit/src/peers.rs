//! Programs of others that tests run beside ours: a PostgreSQL, a Prometheus, a postfix. Where one is missing its tests are
//! skipped, unless nothing may be: then they fail.

/// With the value 1 a missing program fails the test. Set where `scripts/install.sh test` and `make test` have installed all
/// of them, so that no test is skipped unseen.
const REQUIRED: &str = "TENFOLD_REQUIRE_PEERS";

/// Says, in one line, that a test does not run because what `make test` installs is missing; the caller returns. What `make
/// test` does not install (data beside the checkout, root, what the kernel permits) is skipped without this.
///
/// # Panics
/// With `TENFOLD_REQUIRE_PEERS=1`.
#[track_caller]
pub fn peer_is_missing(why: impl std::fmt::Display) {
    missing(std::env::var_os(REQUIRED).is_some_and(|value| value == "1"), &why);
}

#[track_caller]
fn missing(is_required: bool, why: &dyn std::fmt::Display) {
    assert!(!is_required, "{why}; with {REQUIRED}=1 that is a failure: run `scripts/install.sh test`, or `make test`");
    println!("skipped: {why}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_required_it_is_said() {
        missing(false, &"prometheus is not installed");
    }

    #[test]
    #[should_panic = "prometheus is not installed; with TENFOLD_REQUIRE_PEERS=1"]
    fn where_all_is_required_the_test_fails() {
        missing(true, &"prometheus is not installed");
    }
}
