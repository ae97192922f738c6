//! A push becomes a deploy, and the forge is told how it goes, however it answers.

use serde_json::json;
use tenfold_app::Caller;
use tenfold_types::{Actor, EventDraft, Source};

use crate::world::{FakeForge, SHA, World, hmac_hex, look, new_deploy, push};

/// A push that has its turn at once.
async fn pushed(world: &World) {
    push_of(world, SHA).await;
    tenfold_app::deploys::look_at_queues(&world.app).await.unwrap();
}

async fn push_of(world: &World, sha: &str) {
    let body = push("hub.example", sha, "Mend the upload");
    let signature = format!("sha256={}", hmac_hex(&body));
    let headers = [("x-hub-signature-256", signature.as_str()), ("x-github-event", "push"), ("x-github-delivery", "1")];
    assert_eq!(world.post("hub", &headers, body).await.1["result"], "recorded");
}

/// A deploy that has ended and is told of; of another service if that is wanted.
async fn ended(world: &World, service: &str) -> i64 {
    let number = world.app.deploy_start(&Caller::system(), new_deploy()).await.unwrap().number;
    world.until_one("deploy.failed", |event| event.subject.deploy == Some(number)).await;
    look(world, 4).await;
    let sql = format!("UPDATE deploys SET service = '{service}' WHERE number = {number}");
    world.app.housekeeping(move |t| Ok(t.tx().execute(&sql, &[])?)).await.unwrap();
    number
}

/// And now it reached its hosts after all. A rollback says so in words of its own.
async fn reached(world: &World, number: i64, reverts: Option<i64>) {
    let kind = if reverts.is_some() { "deploy.rolled_back" } else { "deploy.succeeded" };
    let reverts = reverts.map_or_else(|| "NULL".to_owned(), |of| of.to_string());
    let sql = format!("UPDATE deploys SET state = 'succeeded', reverts = {reverts} WHERE number = {number}");
    world
        .app
        .transact(move |t| {
            t.tx().execute(&sql, &[])?;
            t.record(EventDraft::new(Actor::system(), Source::System, kind, "it is there").deploy(number))?;
            Ok(())
        })
        .await
        .unwrap();
    look(world, 4).await;
}

#[tokio::test]
async fn a_deployment_ends_when_another_of_the_same_service_takes_its_place() {
    let forge = FakeForge::start().await;
    let world = World::new(&forge.url, true).await;
    let _host = world.host().await;
    let photos = ended(&world, "photos").await;
    let search = ended(&world, "search").await;
    let late = ended(&world, "photos").await;
    let last = ended(&world, "photos").await;
    let back = ended(&world, "photos").await;
    let begun = ["queued", "in_progress", "failure"];
    let told = |deploy, then: &[&str]| assert_eq!(forge.told.told_of(deploy), [&begun[..], then].concat(), "{deploy}");
    for deploy in [photos, search] {
        reached(&world, deploy, None).await;
        told(deploy, &["success"]);
    }
    told(photos, &["success"]);
    reached(&world, last, None).await;
    told(photos, &["success", "inactive"]);
    told(last, &["success"]);
    // its word was late: what took its place is told already, and stays
    reached(&world, late, None).await;
    told(late, &["success", "inactive"]);
    told(last, &["success"]);
    told(search, &["success"]);
    reached(&world, back, Some(last)).await;
    told(back, &["success"]);
    told(last, &["success", "inactive"]);
    told(search, &["success"]);
    told(photos, &["success", "inactive"]);
    told(late, &["success", "inactive"]);
    let asked = forge.told.asked.lock();
    let mut statuses = asked.iter().filter(|(method, path, _)| method == "POST" && path.contains("/deployments/"));
    assert!(statuses.all(|(_, _, body)| body["auto_inactive"] == false), "GitHub ends nothing by itself");
}

#[tokio::test]
async fn those_before_one_whose_word_was_given_up_end_as_well() {
    let forge = FakeForge::start().await;
    let world = World::new(&forge.url, true).await;
    let _host = world.host().await;
    let mut deploys = Vec::new();
    for _ in 0..4 {
        deploys.push(ended(&world, "photos").await);
    }
    let [first, unsaid, next, last] = deploys[..] else { panic!("{deploys:?}") };
    let begun = ["queued", "in_progress", "failure"];
    let told = |deploy, then: &[&str]| assert_eq!(forge.told.told_of(deploy), [&begun[..], then].concat(), "{deploy}");
    reached(&world, first, None).await;
    // it got there, and of that the forge was never told
    let sql = format!("UPDATE deploys SET state = 'succeeded' WHERE number = {unsaid}");
    world.app.housekeeping(move |t| Ok(t.tx().execute(&sql, &[])?)).await.unwrap();
    told(first, &["success"]);
    reached(&world, next, None).await;
    told(first, &["success", "inactive"]);
    told(unsaid, &["inactive"]);
    told(next, &["success"]);
    // each end is told once
    reached(&world, last, None).await;
    told(first, &["success", "inactive"]);
    told(unsaid, &["inactive"]);
    told(next, &["success", "inactive"]);
}

#[tokio::test]
async fn word_of_an_older_push_deploys_nothing() {
    let forge = FakeForge::start().await;
    let world = World::new(&forge.url, true).await;
    let _host = world.host().await;
    push_of(&world, &SHA.replace('4', "5")).await;
    assert_eq!(world.app.queue("photos", "production").await.unwrap().entries.len(), 1);
    tenfold_app::deploys::look_at_queues(&world.app).await.unwrap();
    assert!(world.app.queues().await.unwrap().is_empty(), "it waits no more");
    assert!(world.events("deploy.queued").await.is_empty() && world.events("git.not_deployed").await.is_empty());
}

#[tokio::test]
async fn a_push_is_deployed_and_told() {
    let forge = FakeForge::start().await;
    let world = World::new(&forge.url, true).await;
    let _host = world.host().await;
    pushed(&world).await;
    look(&world, 1).await;
    world.until("deploy.failed").await;
    let queued = &world.events("deploy.queued").await[0];
    assert_eq!(queued.actor.to_string(), "hub");
    look(&world, 4).await;
    assert_eq!(forge.told.made(), 1, "one deployment for one deploy");
    let words = forge.told.words();
    let of =
        |path: &str| words.iter().filter(|(p, _)| p.starts_with(path)).map(|(_, s)| s.as_str()).collect::<Vec<_>>();
    assert_eq!(of("/repos/ana/photos/deployments/1/statuses"), ["queued", "in_progress", "failure"], "{words:?}");
    assert_eq!(of(&format!("/repos/ana/photos/statuses/{SHA}")), ["pending", "pending", "failure"]);
    let asked = forge.told.asked.lock();
    let (_, _, made) = asked.iter().find(|(m, p, _)| m == "POST" && p.ends_with("/deployments")).unwrap();
    assert_eq!((&made["ref"], &made["environment"]), (&json!(SHA), &json!("production")));
    assert_eq!((&made["auto_merge"], &made["required_contexts"]), (&json!(false), &json!([])));
}

#[tokio::test]
async fn a_forge_that_is_away_is_told_later_and_in_order() {
    let forge = FakeForge::start().await;
    let world = World::new(&forge.url, true).await;
    let _host = world.host().await;
    pushed(&world).await;
    // away, and then at its limit
    let limit = vec![("retry-after", "60")];
    forge.told.next.lock().extend([
        (502, vec![], json!({})),
        (403, limit, json!({"message": "You have exceeded a secondary rate limit"})),
    ]);
    look(&world, 1).await;
    world.until("deploy.failed").await;
    look(&world, 1).await;
    assert!(forge.told.words().is_empty() && forge.told.next.lock().len() == 1, "not at once again");
    world.clock.advance_ms(1_000);
    look(&world, 1).await;
    world.clock.advance_ms(59_000);
    look(&world, 1).await;
    assert!(forge.told.words().is_empty() && forge.told.next.lock().is_empty(), "it wished for a minute");
    world.clock.advance_ms(1_000);
    look(&world, 4).await;
    let states: Vec<String> =
        forge.told.words().into_iter().filter(|(p, _)| p.contains("/deployments/")).map(|(_, s)| s).collect();
    assert_eq!(states, ["queued", "in_progress", "failure"]);
    assert_eq!(forge.told.made(), 1);
    assert!(world.events("git.not_told").await.is_empty());
}

#[tokio::test]
async fn a_deployment_whose_number_was_lost_is_found_again() {
    let forge = FakeForge::start().await;
    let world = World::new(&forge.url, true).await;
    let _host = world.host().await;
    pushed(&world).await;
    look(&world, 1).await;
    world.until("deploy.failed").await;
    look(&world, 1).await;
    assert_eq!(forge.told.made(), 1);
    // killed before the number was kept
    world.app.housekeeping(|t| Ok(t.tx().execute("DELETE FROM forge_deployments", &[])?)).await.unwrap();
    look(&world, 4).await;
    assert_eq!(forge.told.made(), 1, "found by what it carries");
    assert!(forge.told.words().iter().any(|(_, state)| state == "failure"));
}

#[tokio::test]
async fn a_refusal_for_good_is_said_once_and_does_not_hold_up() {
    let forge = FakeForge::start().await;
    let world = World::new(&forge.url, true).await;
    let _host = world.host().await;
    pushed(&world).await;
    look(&world, 1).await;
    world.until("deploy.failed").await;
    forge.told.next.lock().push((404, vec![], json!({"message": "Not Found"})));
    look(&world, 4).await;
    let said = world.events("git.not_told").await;
    assert_eq!(said.len(), 1);
    assert!(said[0].text.contains("GitHub answered 404 Not Found: Not Found"), "{}", said[0].text);
    assert!(forge.told.words().iter().any(|(_, state)| state == "failure"), "what came later went out");
}

#[tokio::test]
async fn gitlab_and_gitea_are_told_in_their_own_words() {
    for (host, path, states) in [
        ("lab", format!("/projects/ana%2Fphotos/statuses/{SHA}"), ["pending", "running", "failed"]),
        ("tea", format!("/repos/ana/photos/statuses/{SHA}"), ["pending", "pending", "failure"]),
    ] {
        let forge = FakeForge::start().await;
        let world = World::new(&forge.url, true).await;
        let _host = world.host().await;
        world.service(&format!("git@{host}.example:ana/photos.git")).await;
        world.app.deploy_start(&Caller::system(), new_deploy()).await.unwrap();
        world.until("deploy.failed").await;
        look(&world, 4).await;
        let words: Vec<(String, String)> = states.iter().map(|s| (path.clone(), (*s).to_owned())).collect();
        assert_eq!(forge.told.words(), words);
    }
}
