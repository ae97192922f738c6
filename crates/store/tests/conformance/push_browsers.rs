//! Browsers that take pages: each has one owner, and says what it said last.

use tenfold_store::{Db, push_browsers as store, push_browsers::BrowserRow};

use crate::{NOW, write};

fn row(id: &str, person: &str) -> BrowserRow {
    BrowserRow {
        id: id.into(),
        person: person.into(),
        label: "Firefox on Linux".into(),
        endpoint: format!("https://push.example.org/{id}"),
        p256dh: "P".into(),
        auth: "A".into(),
        added_at: NOW,
    }
}

pub async fn run(db: &Db) {
    write(db, |tx| {
        let later = BrowserRow { added_at: NOW.plus_ms(1), ..row("a", "ana") };
        store::put(tx, &later)?;
        store::put(tx, &row("b", "ana"))?;
        store::put(tx, &row("c", "raj"))?;
        assert_eq!(store::of_person(tx, "ana")?, [row("b", "ana"), later], "the oldest first");
        assert_eq!((store::count(tx, "ana")?, store::count(tx, "mei")?), (2, 0));
        let taken = BrowserRow { auth: "B".into(), ..row("b", "raj") };
        store::put(tx, &taken)?;
        assert_eq!(store::get(tx, "b")?, Some(taken), "it has one owner");
        assert_eq!(store::count(tx, "ana")?, 1);
        assert!(store::delete(tx, "b")? && !store::delete(tx, "b")?);
        assert_eq!(store::get(tx, "b")?, None);
        Ok(())
    })
    .await;
}
