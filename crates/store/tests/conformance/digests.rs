//! Digests that people are owed: each once, until somebody took it.

use tenfold_store::{Db, digests as store, digests::DigestRow};

use crate::{NOW, write};

fn row(id: &str) -> DigestRow {
    DigestRow {
        id: id.into(),
        person: "ana".into(),
        state: "due".into(),
        tries: 0,
        next_at: Some(NOW),
        epoch: 0,
        made_at: NOW,
        body: "{}".into(),
    }
}

pub async fn run(db: &Db) {
    write(db, |tx| {
        assert!(store::insert(tx, &row("a"))? && !store::insert(tx, &row("a"))?, "it is owed once");
        assert!(store::insert(tx, &DigestRow { next_at: Some(NOW.plus_ms(1)), ..row("b") })?);
        assert_eq!(store::due(tx, NOW, 1, 10)?, [row("a")]);
        let sending = DigestRow { state: "sending".into(), tries: 1, next_at: None, epoch: 2, ..row("a") };
        store::put(tx, &sending)?;
        assert_eq!((store::due(tx, NOW, 1, 10)?, store::due(tx, NOW, 2, 10)?), (vec![], vec![sending.clone()]));
        assert_eq!(store::forget(tx, NOW.plus_ms(1))?, 0, "what is owed is not forgotten");
        let told = DigestRow { state: "accepted".into(), ..sending };
        store::put(tx, &told)?;
        assert_eq!(store::get(tx, "a")?, Some(told));
        assert_eq!(store::forget(tx, NOW.plus_ms(1))?, 1);
        assert!(store::get(tx, "a")?.is_none() && store::get(tx, "b")?.is_some());
        assert_eq!((store::move_due(tx, -1)?, store::due(tx, NOW, 1, 10)?), (1, vec![row("b")]), "its time is now");
        Ok(())
    })
    .await;
}
