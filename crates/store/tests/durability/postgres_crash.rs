//! The PostgreSQL server crashes under writers; what was acknowledged is there afterwards, and the
//! store connects again by itself.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tenfold_store::{Db, StoreError, events};
use tenfold_testkit::{PgServer, TestEntropy};

use crate::work::{Acked, append, check};

#[tokio::test]
async fn no_acknowledged_event_is_lost_and_the_store_connects_again() {
    let Some(server) = PgServer::start_durable().await else { return };
    let db = Db::open_postgres(server.create_database("crash").await, tenfold_testkit::sealer()).await.unwrap();
    let entropy = TestEntropy::default();
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..8 {
        let (db, entropy, stop) = (db.clone(), entropy.clone(), stop.clone());
        writers.push(tokio::spawn(async move {
            let mut acked = Acked::new();
            while !stop.load(Ordering::Relaxed) {
                let entropy = entropy.clone();
                match db.write(move |tx| append(tx, writer, &entropy)).await {
                    Ok((seq, id)) => drop(acked.insert(seq, id)),
                    // What a caller sees while the server is away.
                    Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            acked
        }));
    }
    written(&db, 50).await;
    let server = server.crash_and_restart().await;
    let before = written(&db, 50).await;
    written(&db, before + 50).await;
    stop.store(true, Ordering::Relaxed);
    let mut acked = Acked::new();
    for writer in writers {
        acked.extend(writer.await.unwrap());
    }
    assert!(acked.len() >= 90, "{}", acked.len());
    assert!(!db.fenced(), "the server's disk is the server's business");
    check(&db, &acked).await;
    drop(db);
    drop(server);
}

/// Waits until the record has `count` events, whether the server is there or not.
async fn written(db: &Db, count: i64) -> i64 {
    loop {
        match db.read(events::last_seq).await {
            Ok(last) if last >= count => return last,
            Ok(_) | Err(StoreError::Unavailable(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}
