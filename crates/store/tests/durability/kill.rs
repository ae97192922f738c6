//! The process is killed at any moment; whatever it had acknowledged is there afterwards.

use tenfold_testkit::TestEntropy;

use crate::{child::StoreChild, work::Acked};

const KILLS: usize = 10;

#[test]
fn no_acknowledged_event_is_lost() {
    let chance = TestEntropy::seeded(9);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let mut acked = Acked::new();
    for _ in 0..KILLS {
        let mut store = StoreChild::start(&path).unwrap();
        store.check(&acked);
        acked.extend(store.append_and_kill(1 + chance.below(150) as usize).acked);
    }
    StoreChild::start(&path).unwrap().check(&acked);
    assert!(acked.len() > KILLS);
}
