//! What waits for the node that takes alerts.

use tenfold_store::{Db, alert_inbox as inbox};
use tenfold_types::Timestamp;

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    assert_eq!((read(db, inbox::first).await, read(db, inbox::last).await), (None, None));
    assert_eq!(read(db, inbox::waiting).await, inbox::Waiting { requests: 0, bytes: 0 });
    let mut ids = Vec::new();
    for body in ["one", "three", "seventeen"] {
        ids.push(write(db, move |tx| inbox::put(tx, body, NOW)).await);
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert_eq!(read(db, inbox::waiting).await, inbox::Waiting { requests: 3, bytes: 17 });
    assert_eq!((read(db, inbox::first).await, read(db, inbox::last).await), (Some(ids[0]), Some(ids[2])));
    let first = ids[0];
    write(db, move |tx| inbox::forget(tx, first)).await;
    let rest = read(db, |tx| inbox::due(tx, 0, NOW, 1)).await;
    let row = |id, body: &str| inbox::InboxRow { id, body: body.into(), at: NOW, tries: 0, next_at: Timestamp(0) };
    assert_eq!(rest, [row(ids[1], "three")]);
    let behind = ids[1];
    assert_eq!(read(db, move |tx| inbox::due(tx, behind, NOW, 9)).await, [row(ids[2], "seventeen")]);

    // One that is tried again keeps its place, and is not due before its time.
    let later = NOW.plus_ms(1_000);
    write(db, move |tx| inbox::put_off(tx, behind, later, "not now")).await;
    let tried = inbox::InboxRow { tries: 1, next_at: later, ..row(behind, "three") };
    assert_eq!(read(db, |tx| inbox::later(tx, 0, NOW, 9)).await, std::slice::from_ref(&tried));
    assert_eq!(read(db, |tx| inbox::due(tx, 0, NOW, 9)).await, [row(ids[2], "seventeen")]);
    assert_eq!(read(db, move |tx| inbox::due(tx, 0, later, 1)).await, [tried]);
    // One that waits behind it was not tried.
    let (last, held) = (ids[2], inbox::InboxRow { next_at: later, ..row(ids[2], "seventeen") });
    write(db, move |tx| inbox::hold(tx, last, later)).await;
    assert_eq!(read(db, move |tx| inbox::later(tx, behind, NOW, 9)).await, [held]);
    assert_eq!((read(db, inbox::first).await, read(db, inbox::last).await), (Some(ids[2]), Some(ids[2])));
    let stuck = |since, failing, refused| inbox::Stuck { untried_since: since, failing, refused };
    assert_eq!(read(db, inbox::stuck).await, stuck(Some(NOW), 1, 0));
    write(db, move |tx| inbox::forget(tx, last)).await;
    assert_eq!(read(db, inbox::next).await, Some(later));

    // One that is refused waits no more, and is kept.
    write(db, move |tx| inbox::refuse(tx, behind, later, "never")).await;
    assert_eq!(read(db, inbox::stuck).await, stuck(None, 0, 1));
    assert_eq!((read(db, inbox::waiting).await.requests, read(db, inbox::next).await), (0, None));
    assert_eq!(read(db, inbox::refused_last).await, Some(later));
    assert_eq!(read(db, inbox::refused_count).await, 1);
    let kept = read(db, |tx| inbox::refused(tx, 9)).await;
    let (body, why) = ("three".to_owned(), "never".to_owned());
    assert_eq!(kept, [inbox::RefusedRow { id: behind, body, at: NOW, refused_at: later, tries: 2, why }]);
    assert_eq!(read(db, inbox::refused_ids).await, [behind]);
    assert_eq!(read(db, move |tx| inbox::refused_words(tx, behind)).await, Some(("three".to_owned(), NOW)));
    // Of what waits nothing is left out.
    write(db, move |tx| inbox::refused_rest(tx, behind, Some("two"))).await;
    assert_eq!(write(db, inbox::refused_again).await, 1);
    assert!(read(db, inbox::refused_ids).await.is_empty());
    assert_eq!(read(db, move |tx| inbox::refused_words(tx, behind)).await, None);
    for body in [Some("none"), None] {
        write(db, move |tx| inbox::refused_rest(tx, behind, body)).await;
    }
    assert_eq!(read(db, |tx| inbox::due(tx, 0, NOW, 9)).await, [row(behind, "two")]);
    assert_eq!(read(db, inbox::waiting).await, inbox::Waiting { requests: 1, bytes: 3 });
    let whole = write(db, |tx| inbox::put(tx, "whole", NOW)).await;
    write(db, move |tx| inbox::refuse(tx, whole, later, "never")).await;
    write(db, move |tx| inbox::refused_rest(tx, whole, None)).await;
    assert_eq!(read(db, inbox::refused_count).await, 0);
    write(db, move |tx| inbox::refuse(tx, behind, later, "never")).await;
    assert_eq!(write(db, move |tx| inbox::refused_forget(tx, later.plus_ms(-1))).await, 0, "nobody has seen it");
    assert_eq!(write(db, move |tx| inbox::refused_forget(tx, later)).await, 1);
    assert_eq!(read(db, inbox::stuck).await, stuck(None, 0, 0));

    // Of more than are kept the oldest go, and the one that was refused now stays.
    write(db, |tx| {
        for n in 0..inbox::REFUSED_KEPT_MAX + 5 {
            let id = inbox::put(tx, "x", NOW)?;
            inbox::refuse(tx, id, NOW.plus_ms(n), "never")?;
        }
        Ok(())
    })
    .await;
    assert_eq!(read(db, inbox::stuck).await.refused, inbox::REFUSED_KEPT_MAX);
    let newest = read(db, |tx| inbox::refused(tx, 1)).await;
    assert_eq!(newest[0].refused_at, NOW.plus_ms(inbox::REFUSED_KEPT_MAX + 4));
}
