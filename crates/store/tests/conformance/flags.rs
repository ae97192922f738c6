//! Flags and segments: whole documents whose version grows with every write.

use tenfold_store::{Db, flags};

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    versions_grow(db).await;
    archived_flags_stay(db).await;
    segments_come_and_go(db).await;
}

async fn versions_grow(db: &Db) {
    assert_eq!(read(db, |tx| flags::get(tx, "new_uploader")).await, None);
    assert_eq!(write(db, |tx| flags::put(tx, "new_uploader", None, r#"{"a":1}"#)).await, 1);
    assert_eq!(write(db, |tx| flags::put(tx, "new_uploader", None, r#"{"a":2}"#)).await, 2);
    assert_eq!(write(db, |tx| flags::put(tx, "Dark-mode", None, "{}")).await, 1);
    let row = read(db, |tx| flags::get(tx, "new_uploader")).await.expect("it was written");
    assert_eq!((row.version, row.body.as_str(), row.archived_at), (2, r#"{"a":2}"#, None));
}

async fn archived_flags_stay(db: &Db) {
    assert_eq!(write(db, |tx| flags::put(tx, "Dark-mode", Some(NOW), "{}")).await, 2);
    let all = read(db, flags::list).await;
    let shown: Vec<_> = all.iter().map(|f| (f.key.as_str(), f.archived_at)).collect();
    assert_eq!(shown, [("Dark-mode", Some(NOW)), ("new_uploader", None)], "in bytewise order on both databases");
    assert_eq!(read(db, flags::count).await, 1);
}

async fn segments_come_and_go(db: &Db) {
    write(db, |tx| flags::segment_put(tx, 2, "{}")).await;
    write(db, |tx| flags::segment_put(tx, 1, "{}")).await;
    write(db, |tx| flags::segment_put(tx, 1, r#"{"name":"testers"}"#)).await;
    let all = read(db, flags::segments).await;
    assert_eq!(all, [(1, r#"{"name":"testers"}"#.to_owned()), (2, "{}".to_owned())]);
    assert!(write(db, |tx| flags::segment_delete(tx, 2)).await);
    assert!(!write(db, |tx| flags::segment_delete(tx, 2)).await);
}
