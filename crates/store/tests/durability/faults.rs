//! A disk that fails or is full.

use tenfold_testkit::PowerCutDisk;

use crate::child::StoreChild;

#[test]
fn a_failed_sync_fences_the_store() {
    let disk = PowerCutDisk::new(1);
    let Some(mounted) = disk.mount() else { return };
    let path = mounted.path().join("state.db");
    let mut store = StoreChild::start(&path).unwrap();
    let before = store.append(2);
    assert!(before.errors.is_empty() && !before.fenced, "{before:?}");
    disk.fail_syncs(true);
    let failing = store.append(2);
    assert!(failing.acked.is_empty(), "nothing is acknowledged without a sync");
    assert!(failing.errors.iter().all(|e| e == "Io" || e == "Fenced"), "{failing:?}");
    assert!(failing.fenced && failing.errors.len() == 8);
    disk.fail_syncs(false);
    let after = store.append(2);
    assert!(after.acked.is_empty(), "a disk that works again changes nothing for this process");
    assert!(after.errors.iter().all(|e| e == "Fenced"), "{after:?}");
    drop(store);
    disk.cut();
    drop(mounted);
    let Some(mounted) = disk.mount() else { return };
    let mut store = StoreChild::start(&mounted.path().join("state.db")).unwrap();
    store.check(&before.acked);
}

#[test]
fn a_full_disk_stops_writes_and_nothing_else() {
    let disk = PowerCutDisk::new(2);
    let Some(mounted) = disk.mount() else { return };
    let mut store = StoreChild::start(&mounted.path().join("state.db")).unwrap();
    let mut acked = store.append(2).acked;
    disk.fill(true);
    let full = store.append(1_000);
    assert!(full.errors.iter().all(|e| e == "DiskFull"), "{full:?}");
    assert_eq!(full.errors.len(), 8);
    assert!(!full.fenced, "a full disk is no broken disk");
    acked.extend(full.acked);
    store.check(&acked);
    disk.fill(false);
    let after = store.append(2);
    assert_eq!((after.acked.len(), after.errors.len()), (16, 0));
    acked.extend(after.acked);
    store.check(&acked);
}
