//! Opening a store: again, by several nodes at once, and what is refused.

use tenfold_store::{Db, StoreError, cursors, events, leases, params};
use tenfold_testkit::{PgServer, TestEntropy, sealer, temp_db};
use tenfold_types::{Actor, EventDraft, EventId, Source, Timestamp};

const NOW: Timestamp = Timestamp(1_795_424_400_000);

#[tokio::test]
async fn a_store_opens_again_with_what_it_had() {
    let first = temp_db().await;
    first.write(|tx| cursors::set(tx, "kept", 7)).await.unwrap();
    let second = Db::open_sqlite(first.path(), sealer()).await.unwrap();
    assert_eq!(second.read(|tx| cursors::get(tx, "kept")).await.unwrap(), Some(7));
}

#[tokio::test]
async fn a_database_of_another_version_is_refused() {
    for (change, said) in [
        ("INSERT INTO migrations (name, digest) VALUES ('9999_future', '')", "newer version"),
        ("UPDATE migrations SET digest = 'x' WHERE name = '0001_core'", "changed after it had been applied"),
    ] {
        let db = temp_db().await;
        db.write(move |tx| tx.execute(change, params![])).await.unwrap();
        match Db::open_sqlite(db.path(), sealer()).await {
            Err(StoreError::Schema(reason)) => assert!(reason.contains(said), "{reason}"),
            other => panic!("{:?}", other.err()),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Db::open_sqlite(dir.path().join("no/such/directory/state.db"), sealer()).await.err().unwrap();
    assert!(matches!(missing, StoreError::Unavailable(_)) && missing.to_string().contains("no/such"), "{missing}");
    let text = dir.path().join("text.db");
    std::fs::write(&text, "This is no database. ".repeat(100)).unwrap();
    let text = Db::open_sqlite(text, sealer()).await.err().unwrap();
    assert!(matches!(text, StoreError::Io(_)), "{text:?}");
    let nobody = Db::open_postgres("host=/nowhere user=postgres dbname=x", sealer()).await.err().unwrap();
    assert!(matches!(nobody, StoreError::Unavailable(_)), "{nobody:?}");
    let wrong = Db::open_postgres("postgresql://[", sealer()).await.err().unwrap();
    assert!(wrong.to_string().contains("URL is not valid"), "{wrong}");
}

/// Two nodes start on an empty PostgreSQL database at once and write side by side.
#[tokio::test]
async fn nodes_share_a_postgresql_database() {
    let Some(server) = PgServer::start().await else { return };
    let url = server.create_database("nodes").await;
    let (a, b) = tokio::join!(Db::open_postgres(url.clone(), sealer()), Db::open_postgres(url, sealer()));
    let nodes = [a.unwrap(), b.unwrap()];
    let entropy = TestEntropy::default();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..16 {
        let (db, entropy) = (nodes[writer % 2].clone(), entropy.clone());
        writers.spawn(async move {
            for _ in 0..10 {
                let entropy = entropy.clone();
                let append = db.write(move |tx| {
                    // What is read before a write is still so when it is written.
                    let count = cursors::get(tx, "count")?.unwrap_or(0);
                    cursors::set(tx, "count", count + 1)?;
                    let draft = EventDraft::new(Actor::robot("node"), Source::System, "note.doing", "A node wrote");
                    events::append(tx, NOW, EventId::new(NOW, &entropy), &draft)
                });
                append.await.unwrap();
            }
            let name = format!("node {}", writer % 2);
            db.write(move |tx| leases::acquire(tx, "rules", &format!("{name} {writer}"), NOW, 1_000)).await.unwrap()
        });
    }
    let leases: Vec<i64> = writers.join_all().await.into_iter().flatten().collect();
    assert_eq!(leases, [1], "one holder among all nodes");
    for node in &nodes {
        let found = node.read(|tx| events::verify(tx, None, None)).await.unwrap();
        assert!(found.ok && found.checked == 160, "{found:?}");
        assert_eq!(node.read(|tx| cursors::get(tx, "count")).await.unwrap(), Some(160));
    }
}
