//! A push becomes a deploy, and the forge is told how it goes, however it answers.

use serde_json::json;

use crate::world::{FakeForge, SHA, World, hmac_hex, push};

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
    tenfold_app::forges::look(&world.app).await.unwrap();
    world.until("deploy.failed").await;
    let queued = &world.events("deploy.queued").await[0];
    assert_eq!(queued.actor.to_string(), "hub");
    for _ in 0..4 {
        tenfold_app::forges::look(&world.app).await.unwrap();
    }
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
    tenfold_app::forges::look(&world.app).await.unwrap();
    world.until("deploy.failed").await;
    tenfold_app::forges::look(&world.app).await.unwrap();
    assert!(forge.told.words().is_empty() && forge.told.next.lock().len() == 1, "not at once again");
    world.clock.advance_ms(1_000);
    tenfold_app::forges::look(&world.app).await.unwrap();
    world.clock.advance_ms(59_000);
    tenfold_app::forges::look(&world.app).await.unwrap();
    assert!(forge.told.words().is_empty() && forge.told.next.lock().is_empty(), "it wished for a minute");
    world.clock.advance_ms(1_000);
    for _ in 0..4 {
        tenfold_app::forges::look(&world.app).await.unwrap();
    }
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
    tenfold_app::forges::look(&world.app).await.unwrap();
    world.until("deploy.failed").await;
    tenfold_app::forges::look(&world.app).await.unwrap();
    assert_eq!(forge.told.made(), 1);
    // killed before the number was kept
    world.app.housekeeping(|t| Ok(t.tx().execute("DELETE FROM forge_deployments", &[])?)).await.unwrap();
    for _ in 0..4 {
        tenfold_app::forges::look(&world.app).await.unwrap();
    }
    assert_eq!(forge.told.made(), 1, "found by what it carries");
    assert!(forge.told.words().iter().any(|(_, state)| state == "failure"));
}

#[tokio::test]
async fn a_refusal_for_good_is_said_once_and_does_not_hold_up() {
    let forge = FakeForge::start().await;
    let world = World::new(&forge.url, true).await;
    let _host = world.host().await;
    pushed(&world).await;
    tenfold_app::forges::look(&world.app).await.unwrap();
    world.until("deploy.failed").await;
    forge.told.next.lock().push((404, vec![], json!({"message": "Not Found"})));
    for _ in 0..4 {
        tenfold_app::forges::look(&world.app).await.unwrap();
    }
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
        let new = tenfold_app::deploys::views::NewDeploy {
            service: "photos".into(),
            environment: "production".into(),
            reference: Some(SHA.into()),
            reason: None,
            override_reason: None,
        };
        world.app.deploy_start(&tenfold_app::Caller::system(), new).await.unwrap();
        world.until("deploy.failed").await;
        for _ in 0..4 {
            tenfold_app::forges::look(&world.app).await.unwrap();
        }
        let words: Vec<(String, String)> = states.iter().map(|s| (path.clone(), (*s).to_owned())).collect();
        assert_eq!(forge.told.words(), words);
    }
}
