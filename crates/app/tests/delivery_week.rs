//! The sentence of the week, as the room hears it.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use common::World;
use serde_json::json;
use tenfold_types::{Actor, Event, EventDraft, Source, Timestamp};

const DAY_MS: i64 = 86_400_000;

async fn deployed(world: &World, number: i64, environment: &str, authors: &[&str]) {
    let commits: Vec<_> = (0..)
        .zip(authors)
        .map(|(n, author)| json!({"sha": format!("{number:020}{n:020}"), "at": world.app.now(), "author": author}))
        .collect();
    let data = json!({"deploy_kind": "deploy", "commits": commits, "commit_count": authors.len()});
    let draft = move |kind: &str| {
        EventDraft::new(Actor::person("ana"), Source::Web, kind, "a deploy")
            .service("photos")
            .environment(environment)
            .deploy(number)
            .data(data.clone())
    };
    let drafts = ["deploy.queued", "deploy.promoting", "deploy.succeeded"].map(draft);
    world
        .app
        .transact(move |t| {
            for draft in &drafts {
                t.record(draft.clone())?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

async fn told(world: &World) -> Vec<Event> {
    let events = world.app.events_after(0, 1000).await.unwrap();
    events.into_iter().filter(|event| event.kind == "delivery.week").collect()
}

#[tokio::test]
async fn the_room_is_told_of_the_week_that_ended_and_of_nobody() {
    let world = common::world().await;
    // a Wednesday
    world.clock.set(Timestamp::parse_rfc3339("2026-12-02T12:00:00Z").unwrap());
    deployed(&world, 1, "production", &["Ana"]).await;
    world.app.delivery_tick().await.unwrap();
    assert!(told(&world).await.is_empty(), "a server that is new begins with the week it is in");
    deployed(&world, 2, "production", &["Raj", "Mei"]).await;
    deployed(&world, 3, "staging", &["Tom"]).await;
    world.clock.set(Timestamp::parse_rfc3339("2026-12-07T08:59:00Z").unwrap());
    world.app.delivery_tick().await.unwrap();
    assert!(told(&world).await.is_empty(), "it is not Monday at 9 yet");
    world.clock.set(Timestamp::parse_rfc3339("2026-12-07T09:30:00Z").unwrap());
    deployed(&world, 4, "production", &["Zoe"]).await;
    for _ in 0..3 {
        world.app.delivery_tick().await.unwrap();
    }
    let said = told(&world).await;
    assert_eq!(said.len(), 1, "once");
    assert!(
        said[0].text.starts_with("Last week: 2 deploys of 3 changes by 3 people to production"),
        "{}",
        said[0].text
    );
    assert_eq!((&said[0].data["deploys"], &said[0].data["people"]), (&json!(2), &json!(3)));
    assert_eq!(said[0].data["to"], "2026-12-07T09:00:00.000Z");
    let whole = serde_json::to_string(&said[0]).unwrap();
    assert!(
        ["Ana", "Raj", "Mei"].iter().all(|name| !whole.contains(name)),
        "people are counted and not named: {whole}"
    );
    assert!(tenfold_app::chat::announce::announce(&said[0], "http://t/").is_some(), "the room hears it");

    // a week without a deploy says nothing, and one after it is told again
    world.clock.advance_ms(14 * DAY_MS);
    world.app.delivery_tick().await.unwrap();
    assert_eq!(told(&world).await.len(), 1);
    deployed(&world, 5, "production", &["Ana"]).await;
    world.clock.advance_ms(7 * DAY_MS);
    world.app.delivery_tick().await.unwrap();
    let said = told(&world).await;
    assert_eq!(said.len(), 2);
    assert!(said[1].text.starts_with("Last week: 1 deploy of 1 change by 1 person to production"), "{}", said[1].text);
}
