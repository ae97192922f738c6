//! Calendars that schedules follow.

use tenfold_store::{
    Db, oncall,
    schedule_calendars::{self as calendars, CalendarRow},
};

use crate::{NOW, read, write};

const A: &str = "https://a.example.org/1";
const B: &str = "https://b.example.org/2";

async fn row(db: &Db) -> CalendarRow {
    read(db, |tx| calendars::get(tx, "photos")).await.unwrap()
}

pub async fn run(db: &Db) {
    write(db, |tx| oncall::schedule_put(tx, "photos", "{}")).await;
    assert!(read(db, |tx| calendars::get(tx, "photos")).await.is_none());
    assert_eq!(read(db, |tx| calendars::body(tx, "photos")).await, "");
    write(db, |tx| calendars::follow(tx, "photos", A, 600_000, NOW)).await;
    let new = row(db).await;
    assert_eq!((new.url.as_str(), new.due_at, new.read_at, new.unnamed.as_str()), (A, NOW, None, "[]"));

    let known = CalendarRow {
        due_at: NOW.plus_ms(600_000),
        etag: "\"x\"".to_owned(),
        last_modified: "Fri, 27 Nov 2026 09:00:00 GMT".to_owned(),
        read_at: Some(NOW),
        until_at: NOW.plus_ms(1_000_000),
        failing_since: Some(NOW.plus_ms(1)),
        failure: "it answers 500".to_owned(),
        unnamed: "[1]".to_owned(),
        ..new
    };
    let written = known.clone();
    write(db, move |tx| {
        calendars::update(tx, &written)?;
        calendars::set_body(tx, "photos", "BEGIN:VCALENDAR")?;
        calendars::set_shifts(tx, "photos", "[2]")
    })
    .await;
    assert_eq!(row(db).await, known);
    assert_eq!(read(db, |tx| calendars::body(tx, "photos")).await, "BEGIN:VCALENDAR");
    let shifts = [("photos".to_owned(), "[2]".to_owned())];
    assert_eq!(read(db, |tx| calendars::shifts(tx, Some("photos"))).await, shifts);
    assert_eq!(read(db, |tx| calendars::shifts(tx, None)).await, shifts);
    assert!(read(db, |tx| calendars::shifts(tx, Some("other"))).await.is_empty());

    // Asked for more often it is asked for sooner, and never later than it would have been.
    write(db, |tx| calendars::set_refresh(tx, "photos", 300_000, NOW.plus_ms(300_000))).await;
    assert_eq!((row(db).await.refresh_ms, row(db).await.due_at), (300_000, NOW.plus_ms(300_000)));
    write(db, |tx| calendars::set_refresh(tx, "photos", 900_000, NOW.plus_ms(900_000))).await;
    assert_eq!((row(db).await.refresh_ms, row(db).await.due_at), (900_000, NOW.plus_ms(300_000)));

    // Another address is a calendar that was never read; what was known holds until it is.
    write(db, |tx| calendars::follow(tx, "photos", B, 600_000, NOW.plus_ms(7))).await;
    let moved = row(db).await;
    assert_eq!((moved.url.as_str(), moved.due_at, moved.read_at, moved.failing_since), (B, NOW.plus_ms(7), None, None));
    assert_eq!((moved.etag.as_str(), moved.failure.as_str()), ("", ""));
    assert_eq!(read(db, |tx| calendars::shifts(tx, None)).await, shifts);
    assert_eq!(read(db, calendars::followed).await, [moved]);

    write(db, |tx| calendars::unfollow(tx, "photos")).await;
    assert!(read(db, calendars::followed).await.is_empty());
    assert_eq!((row(db).await.url, read(db, |tx| calendars::body(tx, "photos")).await), (String::new(), String::new()));
    assert_eq!(read(db, |tx| calendars::shifts(tx, None)).await, shifts, "the past does not change");
    assert!(write(db, |tx| oncall::schedule_delete(tx, "photos")).await);
    assert!(read(db, |tx| calendars::shifts(tx, None)).await.is_empty());
}
