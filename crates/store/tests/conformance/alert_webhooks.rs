//! What webhooks were told of groups: one row for each, until there is nothing to remember.

use tenfold_store::{Db, StoreError, alerts as store};

use crate::{read, write};

pub async fn run(db: &Db) {
    assert_eq!(read(db, store::webhooks).await, []);
    let row = |name: &str, body: &str| (name.to_owned(), body.to_owned());
    write(db, |tx| {
        store::webhook_put(tx, "programs/1", "two")?;
        store::webhook_put(tx, "programs/0", "one")?;
        store::webhook_put(tx, "programs/1", "three")
    })
    .await;
    assert_eq!(
        read(db, store::webhooks).await,
        [row("programs/0", "one"), row("programs/1", "three")],
        "the last holds"
    );
    // What is taken back with its transaction was told to nobody.
    let taken_back = db.write(|tx| {
        store::webhook_put(tx, "programs/0", "four")?;
        store::webhook_forget(tx, "programs/1")?;
        Err::<(), _>(StoreError::Closed)
    });
    assert_eq!(taken_back.await, Err(StoreError::Closed));
    assert_eq!(read(db, store::webhooks).await, [row("programs/0", "one"), row("programs/1", "three")]);
    write(db, |tx| {
        store::webhook_forget(tx, "programs/0")?;
        store::webhook_forget(tx, "programs/9")
    })
    .await;
    assert_eq!(read(db, store::webhooks).await, [row("programs/1", "three")]);
}
