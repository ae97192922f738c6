//! What is kept beside a flag: when it was asked for, where the source names it, named lists of people.

use tenfold_store::{Db, flag_life};

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    seen_never_goes_back(db).await;
    a_scan_takes_the_place_of_the_last(db).await;
    groups_come_and_go(db).await;
}

async fn seen_never_goes_back(db: &Db) {
    write(db, |tx| flag_life::seen_put(tx, "b", "production", NOW)).await;
    write(db, |tx| flag_life::seen_put(tx, "b", "production", NOW.plus_ms(-5))).await;
    write(db, |tx| flag_life::seen_put(tx, "a", "production", NOW)).await;
    write(db, |tx| flag_life::seen_put(tx, "a", "production", NOW.plus_ms(5))).await;
    let all = read(db, flag_life::seen).await;
    let row = |key: &str, at| (key.to_owned(), "production".to_owned(), at);
    assert_eq!(all, [row("a", NOW.plus_ms(5)), row("b", NOW)]);
}

async fn a_scan_takes_the_place_of_the_last(db: &Db) {
    write(db, |tx| flag_life::scan_put(tx, "photos", NOW, "{}")).await;
    write(db, |tx| flag_life::scan_put(tx, "photos", NOW.plus_ms(1), r#"{"a":1}"#)).await;
    assert_eq!(read(db, flag_life::scans).await, [("photos".to_owned(), NOW.plus_ms(1), r#"{"a":1}"#.to_owned())]);
}

async fn groups_come_and_go(db: &Db) {
    write(db, |tx| flag_life::group_put(tx, "staff", "{}")).await;
    write(db, |tx| flag_life::group_put(tx, "staff", r#"{"a":1}"#)).await;
    write(db, |tx| flag_life::group_put(tx, "beta", "{}")).await;
    assert_eq!(read(db, |tx| flag_life::group(tx, "staff")).await.as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(read(db, |tx| flag_life::group(tx, "nobody")).await, None);
    let names: Vec<String> = read(db, flag_life::groups).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["beta", "staff"]);
    assert!(write(db, |tx| flag_life::group_delete(tx, "beta")).await);
    assert!(!write(db, |tx| flag_life::group_delete(tx, "beta")).await);
}
