//! Counters and leases.

use tenfold_store::{Db, counters, leases};

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    counters_are_dense(db).await;
    leases_have_one_holder(db).await;
    a_stale_holder_is_refused(db).await;
}

async fn counters_are_dense(db: &Db) {
    assert_eq!(read(db, |tx| counters::last(tx, "deploy")).await, 0);
    let mut tasks = Vec::new();
    for n in 0..50 {
        let db = db.clone();
        tasks.push(tokio::spawn(async move {
            db.write(move |tx| {
                let number = counters::next(tx, "deploy")?;
                // A number that is rolled back is given to the next one.
                if n % 5 == 0 { Err(tenfold_store::StoreError::Closed) } else { Ok(number) }
            })
            .await
        }));
    }
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.extend(task.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    assert_eq!(read(db, |tx| counters::last(tx, "deploy")).await, 40);
    assert_eq!(write(db, |tx| counters::take(tx, "deploy", 5)).await, 41);
    assert_eq!(write(db, |tx| counters::next(tx, "deploy")).await, 46);
    assert_eq!(write(db, |tx| counters::take(tx, "several", 3)).await, 1);
}

async fn leases_have_one_holder(db: &Db) {
    let mut tasks = Vec::new();
    for n in 0..20 {
        let db = db.clone();
        tasks.push(tokio::spawn(async move {
            db.write(move |tx| leases::acquire(tx, "rules", &format!("node {n}"), NOW, 1_000)).await.unwrap()
        }));
    }
    let mut winners = Vec::new();
    for task in tasks {
        winners.extend(task.await.unwrap());
    }
    assert_eq!(winners, [1], "one of twenty takes it, under epoch 1");
}

async fn a_stale_holder_is_refused(db: &Db) {
    let acquire = |holder: &'static str, at_ms: i64| {
        write(db, move |tx| leases::acquire(tx, "runner", holder, NOW.plus_ms(at_ms), 1_000))
    };
    assert_eq!(acquire("a", 0).await, Some(1));
    assert_eq!(acquire("b", 999).await, None);
    assert!(write(db, |tx| leases::renew(tx, "runner", "a", 1, NOW.plus_ms(999), 1_000)).await);
    assert_eq!(acquire("b", 1_500).await, None, "it was renewed");
    assert_eq!(acquire("b", 1_999).await, Some(2), "it ran out");
    assert!(!write(db, |tx| leases::renew(tx, "runner", "a", 1, NOW.plus_ms(2_000), 1_000)).await);
    assert!(!write(db, |tx| leases::release(tx, "runner", "a", 1)).await);
    assert!(!read(db, |tx| leases::holds(tx, "runner", "a", 1, NOW.plus_ms(2_000))).await);
    assert!(read(db, |tx| leases::holds(tx, "runner", "b", 2, NOW.plus_ms(2_000))).await);
    assert!(!read(db, |tx| leases::holds(tx, "runner", "b", 2, NOW.plus_ms(2_999))).await, "it ran out unseen");
    assert!(!write(db, |tx| leases::renew(tx, "runner", "b", 2, NOW.plus_ms(3_000), 1_000)).await);
    assert_eq!(acquire("b", 3_000).await, Some(3));
    assert!(write(db, |tx| leases::release(tx, "runner", "b", 3)).await);
    assert_eq!(acquire("a", 3_001).await, Some(4), "released is free, and the epoch goes on");
    assert_eq!(acquire("a", 3_002).await, Some(5), "one's own lease is taken again under a new epoch");
    let close = |epoch| write(db, move |tx| leases::close(tx, "runner", "a", epoch, NOW.plus_ms(5_000)));
    assert!(!close(4).await, "by its holder alone");
    assert!(close(5).await);
    for holder in ["a", "b"] {
        assert_eq!(acquire(holder, 4_999).await, None, "whoever closed it is kept out too: {holder}");
    }
    assert!(!write(db, |tx| leases::keep(tx, "runner", "a", 5, NOW.plus_ms(4_000), 1_000)).await);
    assert_eq!(acquire("a", 5_000).await, Some(6));
}
