//! What the writers do, and what must hold afterwards.

use std::{collections::BTreeMap, path::Path};

use tenfold_store::{
    Db, StoreError, Tx, cursors,
    events::{self, EventQuery},
    params,
};
use tenfold_testkit::TestEntropy;
use tenfold_types::{Actor, EventDraft, EventId, Source, Timestamp};

/// Acknowledged events by `seq`.
pub(crate) type Acked = BTreeMap<i64, EventId>;

/// Appends an event and moves the writer's cursor to it, in one transaction.
pub(crate) fn append(tx: &mut dyn Tx, writer: i64, entropy: &TestEntropy) -> Result<(i64, EventId), StoreError> {
    let text = format!("Writer {writer} was here");
    let draft = EventDraft::new(Actor::robot("writer"), Source::System, "note.doing", text).deploy(writer);
    let event = events::append(tx, Timestamp(0), EventId::new(Timestamp(0), entropy), &draft)?;
    cursors::set(tx, &format!("writer {writer}"), event.seq)?;
    Ok((event.seq, event.id))
}

/// Checks that all of `acked` is there, and that record, cursors and search agree.
pub(crate) async fn check(db: &Db, acked: &Acked) {
    let found = db.read(|tx| events::verify(tx, None, None)).await.unwrap();
    assert!(found.ok, "the record is whole: {found:?}");
    // With a full disk the search stays behind.
    let follows = loop {
        match db.write(events::index_words).await {
            Ok(true) => {}
            Ok(false) => break true,
            Err(StoreError::DiskFull) => break false,
            Err(error) => panic!("{error}"),
        }
    };
    let wanted = acked.clone();
    let agree = db.read(move |tx| {
        for (seq, id) in &wanted {
            let event = events::get(tx, *seq)?;
            assert_eq!(event.map(|e| e.id), Some(*id), "acknowledged event {seq} is there");
        }
        for writer in tx.query("SELECT deploy, max(seq) FROM events GROUP BY deploy", params![])? {
            let cursor = cursors::get(tx, &format!("writer {}", writer.int(0)?))?;
            assert_eq!(cursor, Some(writer.int(1)?), "state and event were written together");
        }
        let query = EventQuery { q: Some("writer was".into()), ..EventQuery::default() };
        let newest = events::list(tx, &query)?.first().map_or(0, |e| e.seq);
        assert!(!follows || newest == events::last_seq(tx)?, "the search has the newest event");
        Ok::<_, StoreError>(())
    });
    agree.await.unwrap();
}

/// Runs SQLite's own check of the file, on a connection of its own: a connection that has used the
/// text index before checks the index it remembers, and calls it damaged when others have written.
pub(crate) fn check_file(path: &Path) {
    let conn = rusqlite::Connection::open(path).unwrap();
    let found: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
}
