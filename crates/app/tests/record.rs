//! Invariant 1: no state changes without its event; and the tail tells every committed event once, in order.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use tenfold_types::{Actor, ErrorCode, EventDraft, Fault, Source};
use tokio_util::sync::CancellationToken;

fn draft(n: usize) -> EventDraft {
    EventDraft::new(Actor::system(), Source::System, "note.doing", format!("note {n}"))
}

async fn last_seq(app: &tenfold_app::App) -> i64 {
    let newest = tenfold_app::record::EventQuery { limit: 1, include_admin: true, ..Default::default() };
    app.events(newest).await.unwrap().first().map_or(0, |e| e.seq)
}

#[tokio::test]
async fn a_change_without_its_event_is_refused_and_rolled_back() {
    let world = common::world().await;
    let before = world.app.environments().await.unwrap();
    let refused = world
        .app
        .transact(|t| {
            tenfold_store::people::environment_put(t.tx(), "ghost", 9, "{}")?;
            Ok(())
        })
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Internal);
    assert_eq!(world.app.environments().await.unwrap(), before);
}

#[tokio::test]
async fn an_event_of_a_change_that_failed_is_not_told() {
    let world = common::world().await;
    let last = last_seq(&world.app).await;
    let failed = world
        .app
        .transact(|t| {
            t.record(draft(0))?;
            Err::<(), _>(Fault::conflict("changed my mind"))
        })
        .await;
    assert!(failed.is_err());
    assert!(world.app.events_after(last, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_recorded_later_keeps_its_place_and_counts_as_recorded() {
    let world = common::world().await;
    let last = last_seq(&world.app).await;
    let told = world.app.transact(|t| {
        tenfold_store::people::environment_put(t.tx(), "late", 9, "{}")?;
        t.record_later(draft(1));
        t.record_later(draft(2));
        let third = t.record(draft(3))?;
        t.record_later(draft(4));
        Ok(third.seq)
    });
    assert_eq!(told.await.unwrap(), last + 3);
    let alone = world.app.transact(|t| {
        t.record_later(draft(5));
        Ok(())
    });
    alone.await.unwrap();
    let texts: Vec<String> = world.app.events_after(last, 10).await.unwrap().into_iter().map(|e| e.text).collect();
    assert_eq!(texts, ["note 1", "note 2", "note 3", "note 4", "note 5"]);
    assert!(world.app.record_verify().await.unwrap().ok);
}

#[tokio::test]
async fn the_tail_tells_what_the_store_holds_also_of_more_than_it_keeps_in_memory() {
    const EVENTS: usize = 5_000;
    let world = common::world().await;
    let mut tail = world.app.record.tail();
    let last = last_seq(&world.app).await;
    let storm = world.app.transact(|t| {
        (0..EVENTS).for_each(|n| t.record_later(draft(n)));
        Ok(())
    });
    storm.await.unwrap();
    let stop = CancellationToken::new();
    let reader = tokio::spawn(tenfold_app::record::run(world.app.clone(), stop.clone()));
    // A listener that is slow goes on where it is told that it lags.
    let (mut seen, mut lagged) = (Vec::new(), 0);
    while seen.last().is_none_or(|seq| *seq < last + EVENTS as i64) {
        match tokio::time::timeout(std::time::Duration::from_secs(20), tail.recv()).await.unwrap() {
            Ok(event) => {
                seen.push(event.seq);
                if event.seq % 500 == 0 {
                    let stored = world.app.events_after(event.seq - 1, 1).await.unwrap();
                    assert_eq!(stored, [(*event).clone()]);
                }
            }
            Err(tokio::sync::broadcast::error::RecvError::Lagged(count)) => lagged += count,
            Err(closed) => panic!("{closed}"),
        }
    }
    assert!(seen.is_sorted_by(|a, b| a < b));
    let told = seen.len() + usize::try_from(lagged).unwrap();
    assert!(told >= EVENTS, "{} seen, {lagged} left out", seen.len());
    stop.cancel();
    reader.await.unwrap();
}

#[tokio::test]
async fn the_tail_tells_every_event_once_and_in_order_under_concurrent_writers() {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let world = common::world().await;
    let stop = CancellationToken::new();
    let reader = tokio::spawn(tenfold_app::record::run(world.app.clone(), stop.clone()));
    let mut tail = world.app.record.tail();
    let first = last_seq(&world.app).await + 1;
    let mut writers = Vec::new();
    for w in 0..WRITERS {
        let app = world.app.clone();
        writers.push(tokio::spawn(async move {
            for n in 0..EACH {
                app.transact(move |t| t.record(draft(w * EACH + n)).map(|_| ())).await.unwrap();
            }
        }));
    }
    let mut seen = Vec::new();
    while seen.len() < WRITERS * EACH {
        let event = tokio::time::timeout(std::time::Duration::from_secs(20), tail.recv()).await.unwrap().unwrap();
        // What loading recorded comes first.
        if event.seq >= first {
            seen.push(event.seq);
        }
    }
    let expected: Vec<i64> = (first..first + (WRITERS * EACH) as i64).collect();
    assert_eq!(seen, expected);
    for writer in writers {
        writer.await.unwrap();
    }
    stop.cancel();
    reader.await.unwrap();
    assert!(world.app.record_verify().await.unwrap().ok);
}
