//! What waits for the node that takes alerts.

use tenfold_store::{Db, alert_inbox as inbox};

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    assert_eq!((read(db, inbox::first).await, read(db, inbox::last).await), (None, None));
    assert_eq!(read(db, inbox::waiting).await, inbox::Waiting { requests: 0, bytes: 0 });
    let mut ids = Vec::new();
    for body in ["one", "three", "seventeen"] {
        ids.push(write(db, move |tx| inbox::put(tx, body, NOW)).await);
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert_eq!(read(db, inbox::waiting).await, inbox::Waiting { requests: 3, bytes: 17 });
    assert_eq!((read(db, inbox::first).await, read(db, inbox::last).await), (Some(ids[0]), Some(ids[2])));
    let first = ids[0];
    write(db, move |tx| inbox::forget(tx, first)).await;
    let rest = read(db, |tx| inbox::oldest(tx, 1)).await;
    assert_eq!(rest, [inbox::InboxRow { id: ids[1], body: "three".into(), at: NOW }]);
}
