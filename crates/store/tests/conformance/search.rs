//! The search follows the record in pieces, each with the mark of how far it came or not at all.

use tenfold_store::{
    Db, Dialect, StoreError,
    events::{self, EventQuery},
    params,
};
use tenfold_testkit::TestEntropy;
use tenfold_types::{Actor, EventDraft, EventId, Source};

use crate::{NOW, read, write};

/// Events that are indexed in one transaction.
const PIECE: usize = 256;
/// More than two pieces.
const MANY: usize = 600;

pub async fn run(db: &Db) {
    assert!(!read(db, events::words_missing).await && !write(db, events::index_words).await, "an empty record");
    let entropy = TestEntropy::seeded(12);
    record(db, "Heron", MANY, &entropy).await;
    assert!(read(db, events::words_missing).await && found(db, "heron").await.is_empty());

    // A piece whose transaction is taken back is missing as before.
    let taken_back = db.write(|tx| if events::index_words(tx)? { Err(StoreError::Closed) } else { Ok(()) });
    assert_eq!(taken_back.await, Err(StoreError::Closed), "more are missing than one piece");
    assert!(read(db, events::words_missing).await && found(db, "heron").await.is_empty());

    let mut pieces = 1;
    while write(db, events::index_words).await {
        assert_eq!(found(db, "heron").await.len(), pieces * PIECE, "the oldest first");
        assert!(read(db, events::words_missing).await);
        pieces += 1;
    }
    assert_eq!((pieces, read(db, events::words_missing).await), (MANY.div_ceil(PIECE), false));
    assert_eq!(found(db, "heron").await.len(), MANY);
    // At the seams of pieces and of statements each is there, and once.
    for n in [1_i64, 63, 64, 65, 255, 256, 257, 511, 512, 513, 599, 600] {
        assert_eq!(found(db, &format!("{n} heron")).await, [n]);
    }

    // A whole piece leaves nothing for another look.
    record(db, "Egret", PIECE, &entropy).await;
    assert!(!write(db, events::index_words).await && !read(db, events::words_missing).await);
    assert_eq!(found(db, "egret").await.len(), PIECE);

    // A program of an older version on the same database has indexed its own event at once.
    record(db, "Stork", 1, &entropy).await;
    let by_another = write(db, |tx| {
        if tx.dialect() == Dialect::Sqlite {
            return Ok(false);
        }
        let sql = "INSERT INTO events_search (seq, words) \
                   SELECT MAX(seq), array_to_tsvector(ARRAY['stork', 'older']) FROM events";
        tx.execute(sql, params![]).map(|rows| rows == 1)
    });
    let word = if by_another.await { "older" } else { "stork" };
    assert!(!write(db, events::index_words).await && !read(db, events::words_missing).await);
    assert_eq!(found(db, word).await.len(), 1, "it stays as it was");

    // Where the end of the record is cut off, whoever follows it comes to an end as well.
    record(db, "Crane", 1, &entropy).await;
    write(db, |tx| tx.execute("DELETE FROM events WHERE seq = (SELECT MAX(seq) FROM events)", params![])).await;
    assert!(read(db, events::words_missing).await && !write(db, events::index_words).await);
}

/// So many events, each with its number from 1 on, in one transaction.
async fn record(db: &Db, bird: &'static str, count: usize, entropy: &TestEntropy) {
    let entropy = entropy.clone();
    let written = write(db, move |tx| {
        let draft = |n: usize| {
            let text = format!("{bird} {n} in the rack");
            (EventId::new(NOW, &entropy), EventDraft::new(Actor::person("ana"), Source::Cli, "note.doing", text))
        };
        events::append_all(tx, NOW, (1..=count).map(draft).collect())
    });
    assert_eq!(written.await.len(), count);
}

/// The events that are found, the oldest first, without anything being indexed before.
async fn found(db: &Db, q: &str) -> Vec<i64> {
    let query =
        EventQuery { q: Some(q.to_owned()), limit: events::EVENTS_MAX, ascending: true, ..EventQuery::default() };
    read(db, move |tx| events::list(tx, &query)).await.iter().map(|event| event.seq).collect()
}
