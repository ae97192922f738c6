//! What a transaction promises, whatever happens inside it.

use tenfold_store::{Db, StoreError, Tx, Value, cursors, params};

use crate::{read, write};

pub async fn run(db: &Db) {
    rolls_back_on_err(db).await;
    rolls_back_on_panic(db).await;
    a_failed_statement_spoils_the_transaction(db).await;
    neighbours_in_a_group_are_not_touched(db).await;
    reads_cannot_write(db).await;
    values_come_back_as_they_went_in(db).await;
    wrong_parameters_are_errors(db).await;
    order_is_bytewise(db).await;
}

async fn get(db: &Db, name: &'static str) -> Option<i64> {
    read(db, move |tx| cursors::get(tx, name)).await
}

async fn rolls_back_on_err(db: &Db) {
    let result: Result<(), StoreError> = db
        .write(|tx| {
            cursors::set(tx, "err", 1)?;
            Err(StoreError::Closed)
        })
        .await;
    assert_eq!(result, Err(StoreError::Closed), "the closure's own error comes back");
    assert_eq!(get(db, "err").await, None);
}

async fn rolls_back_on_panic(db: &Db) {
    let result: Result<(), StoreError> = db
        .write(|tx| {
            cursors::set(tx, "panic", 1)?;
            std::panic::resume_unwind(Box::new("on purpose"))
        })
        .await;
    assert_eq!(result, Err(StoreError::Panicked("on purpose".into())));
    assert_eq!(get(db, "panic").await, None);
    write(db, |tx| cursors::set(tx, "after", 1)).await;
    assert_eq!(get(db, "after").await, Some(1), "the writer lives on");
}

async fn a_failed_statement_spoils_the_transaction(db: &Db) {
    let insert = "INSERT INTO counters (name, value) VALUES ($1, 1)";
    let result: Result<(), StoreError> = db
        .write(move |tx| {
            tx.execute(insert, params!["twice"])?;
            let second = tx.execute(insert, params!["twice"]);
            assert!(matches!(second, Err(StoreError::Constraint(_))), "{second:?}");
            assert!(matches!(cursors::set(tx, "late", 1), Err(StoreError::Spoiled(_))));
            Ok(())
        })
        .await;
    assert!(matches!(result, Err(StoreError::Spoiled(_))), "{result:?}");
    assert_eq!(read(db, |tx| tenfold_store::counters::last(tx, "twice")).await, 0);
}

/// Many at once share a commit; each stands and falls alone.
async fn neighbours_in_a_group_are_not_touched(db: &Db) {
    let mut tasks = Vec::new();
    for n in 0..40_i64 {
        let db = db.clone();
        tasks.push(tokio::spawn(async move {
            db.write(move |tx: &mut dyn Tx| {
                cursors::set(tx, &format!("group {n}"), n)?;
                match n % 4 {
                    0 => Ok(()),
                    1 => Err(StoreError::Closed),
                    2 => std::panic::resume_unwind(Box::new("on purpose")),
                    _ => tx.execute("INSERT INTO no_such_table VALUES (1)", params![]).map(|_| ()),
                }
            })
            .await
        }));
    }
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().is_ok(), n % 4 == 0, "writer {n}");
    }
    let kept = read(db, |tx| {
        tx.query_one("SELECT count(*), sum(CAST(value AS BIGINT)) FROM cursors WHERE name LIKE 'group %'", params![])
    })
    .await;
    assert_eq!((kept.int(0).unwrap(), kept.int(1).unwrap()), (10, 180));
}

async fn reads_cannot_write(db: &Db) {
    let result: Result<(), StoreError> = db.read(|tx| cursors::set(tx, "read", 1)).await;
    assert!(result.is_err());
    assert_eq!(get(db, "read").await, None);
}

async fn values_come_back_as_they_went_in(db: &Db) {
    let text = "Grüße, 日本 🚀 'quoted' \"twice\" \\ %_ $1";
    write(db, move |tx| cursors::set_text(tx, "text", text)).await;
    assert_eq!(read(db, |tx| cursors::get_text(tx, "text")).await.as_deref(), Some(text));
    write(db, |tx| cursors::set(tx, "big", i64::MIN)).await;
    let row = read(db, |tx| {
        tx.query_one(
            "SELECT CAST(value AS BIGINT), coalesce(NULL, $1), CAST(NULL AS BIGINT), name = $2, 7 \
             FROM cursors WHERE name = $2 AND ($3 = 0 OR $3 = 1) LIMIT $4",
            params!["filled", "big", true, 1],
        )
    })
    .await;
    assert_eq!(row.int(0).unwrap(), i64::MIN);
    assert_eq!(row.text(1).unwrap(), "filled");
    assert_eq!(row.opt_int(2).unwrap(), None);
    assert!(row.bool(3).unwrap());
    assert_eq!(row.int(4).unwrap(), 7);
    let changed = write(db, |tx| tx.execute("UPDATE cursors SET value = '0' WHERE name IN ('text', 'big')", params![]));
    assert_eq!(changed.await, 2);
}

async fn wrong_parameters_are_errors(db: &Db) {
    for (sql, values) in [
        ("SELECT name FROM cursors WHERE name = $1", vec![]),
        ("SELECT name FROM cursors WHERE name = $1", vec![Value::from("a"), Value::from("b")]),
        ("SELECT name FROM cursors WHERE name = $1", vec![Value::from("a\0b")]),
        ("SELECT no_such_column FROM cursors", vec![]),
    ] {
        let values_in = values.clone();
        let result = db.read(move |tx| tx.query(sql, &values_in)).await;
        assert!(matches!(result, Err(StoreError::Statement(_))), "{sql} {values:?} {result:?}");
    }
}

async fn order_is_bytewise(db: &Db) {
    write(db, |tx| {
        ["order b", "order B", "order a.b", "order ab", "order ä"].iter().try_for_each(|n| cursors::set(tx, n, 0))
    })
    .await;
    let rows = read(db, |tx| tx.query("SELECT name FROM cursors WHERE name LIKE 'order %' ORDER BY name", params![]));
    let names: Vec<String> = rows.await.iter().map(|r| r.string(0).unwrap()).collect();
    assert_eq!(names, ["order B", "order a.b", "order ab", "order b", "order ä"]);
}
