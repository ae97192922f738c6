//! Ramp plans, scheduled changes and change requests, and permits.

use tenfold_store::{
    Db,
    flag_changes::{self as store, ChangeQuery, ChangeRow},
    permits,
};

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    a_change_ends_once(db).await;
    due_are_those_whose_instant_has_come(db).await;
    plans_come_and_go(db).await;
    a_permit_keeps_its_stand(db).await;
}

fn row(kind: &str, number: i64, due_in_ms: i64) -> ChangeRow {
    ChangeRow {
        kind: kind.into(),
        number,
        flag: "new_uploader".into(),
        environment: "production".into(),
        state: store::PENDING.into(),
        created_at: NOW,
        due_at: NOW.plus_ms(due_in_ms),
        ended_at: None,
        body: "{}".into(),
    }
}

async fn a_change_ends_once(db: &Db) {
    for kind in [store::SCHEDULE, store::REQUEST] {
        let number = write(db, move |tx| store::next_number(tx, kind)).await;
        assert_eq!(number, 1, "each kind counts for itself");
        write(db, move |tx| store::insert(tx, &row(kind, number, 1_000))).await;
    }
    assert_eq!(read(db, |tx| store::get(tx, store::REQUEST, 1)).await, Some(row(store::REQUEST, 1, 1_000)));
    assert!(write(db, |tx| store::end(tx, store::REQUEST, 1, "approved", NOW, "{\"by\":1}")).await);
    assert!(!write(db, |tx| store::end(tx, store::REQUEST, 1, "rejected", NOW, "{}")).await);
    let ended = read(db, |tx| store::get(tx, store::REQUEST, 1)).await.expect("it stays");
    assert_eq!((ended.state.as_str(), ended.ended_at, ended.body.as_str()), ("approved", Some(NOW), "{\"by\":1}"));
    assert_eq!(read(db, |tx| store::pending(tx, store::REQUEST)).await, 0);
    assert_eq!(read(db, |tx| store::pending(tx, store::SCHEDULE)).await, 1);
}

async fn due_are_those_whose_instant_has_come(db: &Db) {
    write(db, |tx| store::insert(tx, &ChangeRow { flag: "other".into(), ..row(store::SCHEDULE, 2, 500) })).await;
    assert!(read(db, |tx| store::due(tx, NOW, 10)).await.is_empty());
    let due = read(db, |tx| store::due(tx, NOW.plus_ms(1_000), 10)).await;
    assert_eq!(due.iter().map(|r| r.number).collect::<Vec<_>>(), [2, 1], "the earliest first");
    let of = |flag, state| {
        move |tx: &mut dyn tenfold_store::Tx| {
            store::list(tx, store::SCHEDULE, &ChangeQuery { flag, state, limit: 10 })
        }
    };
    assert_eq!(read(db, of(None, None)).await.len(), 2);
    assert_eq!(read(db, of(Some("other"), None)).await[0].number, 2);
    assert!(read(db, of(None, Some("done"))).await.is_empty());
}

async fn plans_come_and_go(db: &Db) {
    write(db, |tx| store::plan_put(tx, "slow", "{}")).await;
    write(db, |tx| store::plan_put(tx, "slow", "{\"a\":1}")).await;
    assert_eq!(read(db, |tx| store::plan_get(tx, "slow")).await.as_deref(), Some("{\"a\":1}"));
    assert_eq!(read(db, store::plans).await, [("slow".to_owned(), "{\"a\":1}".to_owned())]);
    assert!(write(db, |tx| store::plan_delete(tx, "slow")).await);
    assert!(!write(db, |tx| store::plan_delete(tx, "slow")).await);
}

async fn a_permit_keeps_its_stand(db: &Db) {
    write(db, |tx| permits::put(tx, "resize", "{}")).await;
    write(db, |tx| permits::stand(tx, "resize", "{\"value\":1}", NOW)).await;
    write(db, |tx| permits::put(tx, "resize", "{\"limit\":2}")).await;
    write(db, |tx| permits::stand(tx, "gone", "{}", NOW)).await;
    let all = read(db, permits::list).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].state.as_deref(), Some("{\"value\":1}"));
    assert_eq!((all[0].body.as_str(), all[0].evaluated_at), ("{\"limit\":2}", Some(NOW)));
    assert!(write(db, |tx| permits::delete(tx, "resize")).await);
    assert_eq!(read(db, |tx| permits::get(tx, "resize")).await, None);
}
