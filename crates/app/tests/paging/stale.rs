//! The series of alerts end with them.

use tenfold_types::is_stale;

use crate::world::World;

/// The states whose series have ended, and those that go on, of what was recorded since it was asked last.
fn recorded(w: &World) -> (Vec<String>, Vec<String>) {
    let rows = std::mem::take(&mut *w.samples.recorded.lock());
    let (ended, on): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, value)| is_stale(*value));
    let states = |rows: Vec<(tenfold_types::Labels, f64)>| {
        rows.iter().filter_map(|(labels, _)| labels.get("alertstate").map(str::to_owned)).collect()
    };
    (states(ended), states(on))
}

fn words(ended: &[&str], on: &[&str]) -> (Vec<String>, Vec<String>) {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    (owned(ended), owned(on))
}

#[tokio::test]
async fn a_state_that_is_over_ends_its_series_also_after_a_start() {
    let mut w = World::new(46).await;
    w.errors(9.0);
    w.pass(5).await;
    assert_eq!(recorded(&w), words(&[], &["pending"]));
    w.pass(5).await;
    assert_eq!(recorded(&w), words(&[], &["pending"]));
    w.pass(5).await;
    assert_eq!(recorded(&w), words(&["pending"], &["firing"]));
    *w.samples.errors.lock() = None;
    w.pass(5).await;
    assert_eq!(recorded(&w), words(&[], &["firing"]), "a query that fails ends nothing");
    w.restart().await;
    w.errors(0.0);
    w.pass(5).await;
    assert_eq!(recorded(&w), words(&["firing"], &[]));
    w.pass(5).await;
    assert_eq!(recorded(&w), words(&[], &[]), "once");
}
