//! The power goes at any operation; whatever was acknowledged is there afterwards.

use tenfold_testkit::{PowerCutDisk, TestEntropy};

use crate::{child::StoreChild, work::Acked};

const CUTS: u64 = 15;
/// The power goes within so many operations after it came: often enough after the write-ahead log was copied.
const OPERATIONS_MAX: u64 = 12_000;

#[test]
fn no_acknowledged_event_is_lost() {
    let chance = TestEntropy::seeded(2026);
    let disk = PowerCutDisk::new(7);
    let mut acked = Acked::new();
    for cut in 0..CUTS {
        let Some(mounted) = disk.mount() else { return };
        disk.cut_after(20 + chance.below(OPERATIONS_MAX));
        if let Some(mut store) = StoreChild::start(&mounted.path().join("state.db")) {
            let run = store.append(u32::MAX);
            assert!(run.errors.iter().all(|e| e == "Io" || e == "Fenced"), "cut {cut}: {:?}", run.errors);
            assert!(run.fenced, "cut {cut}: the disk failed under a write");
            acked.extend(run.acked);
        }
        drop(mounted);
        let Some(mounted) = disk.mount() else { return };
        let mut store = StoreChild::start(&mounted.path().join("state.db")).expect("it opens after a cut");
        store.check(&acked);
    }
    println!("{CUTS} cuts, {} events acknowledged, none lost", acked.len());
    assert!(acked.len() > 100, "the cuts left time to write: {}", acked.len());
}

/// The same disk does lose what SQLite does not sync; otherwise the test above would prove nothing.
#[test]
fn the_disk_loses_what_is_not_synced() {
    let mut lost = 0;
    for seed in 0..5 {
        let disk = PowerCutDisk::new(seed);
        let Some(mounted) = disk.mount() else { return };
        let conn = rusqlite::Connection::open(mounted.path().join("careless.db")).unwrap();
        conn.execute_batch("CREATE TABLE t (n INTEGER); PRAGMA synchronous = OFF").unwrap();
        for n in 0..50 {
            conn.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
        }
        disk.cut();
        drop(conn);
        drop(mounted);
        let Some(mounted) = disk.mount() else { return };
        let conn = rusqlite::Connection::open(mounted.path().join("careless.db")).unwrap();
        let kept = conn.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
        lost += i32::from(kept.ok() != Some(50));
    }
    assert!(lost > 0, "rows were lost in none of five cuts");
}
