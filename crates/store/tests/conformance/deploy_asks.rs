//! What is asked of a deploy at another server.

use tenfold_store::{Db, deploy_asks as asks};

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    let ask = async |deploy: i64, word: &'static str, at: i64| {
        write(db, move |tx| asks::put(tx, deploy, word, NOW.plus_ms(at), NOW.plus_ms(at - 60_000))).await
    };
    let (first, second, other) = (ask(7, "one", 0).await, ask(7, "two", 1).await, ask(8, "three", 2).await);
    assert!(read(db, |tx| asks::waits(tx, 7, NOW)).await);
    assert!(!read(db, |tx| asks::waits(tx, 9, NOW)).await);
    assert!(!read(db, |tx| asks::waits(tx, 7, NOW.plus_ms(2))).await, "it was asked before");
    assert!(write(db, move |tx| asks::withdraw(tx, other)).await);

    let taken = || async { write(db, |tx| asks::take(tx, 7, NOW)).await };
    assert_eq!(taken().await, [(first, "one".to_owned()), (second, "two".to_owned())]);
    assert!(!write(db, move |tx| asks::withdraw(tx, first)).await, "it is being done");
    write(db, move |tx| asks::answer(tx, first, "")).await;
    assert_eq!(read(db, move |tx| asks::answered(tx, first)).await.as_deref(), Some(""));
    assert_eq!(read(db, move |tx| asks::answered(tx, second)).await, None);
    assert_eq!(taken().await, [(second, "two".to_owned())], "whoever goes on does what was not done");
    write(db, move |tx| asks::answer(tx, second, "it is over")).await;
    assert!(!read(db, |tx| asks::waits(tx, 7, NOW)).await);
    ask(7, "later", 70_000).await;
    assert_eq!(read(db, move |tx| asks::answered(tx, second)).await, None, "old ones are forgotten");
}
