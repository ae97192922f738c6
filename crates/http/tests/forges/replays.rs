//! A delivery that comes again, as its sender repeats it or as somebody recorded it: taken once from each forge.

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tenfold_protocols::signature::mac;

use crate::world::{SECRET, SHA, World, hmac_hex, push};

const OTHER: &str = "0a1b2c30a1b2c30a1b2c30a1b2c30a1b2c30a1b2";

/// What became of a delivery.
async fn sent(world: &World, forge: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, String) {
    let (status, answer) = world.post(forge, headers, body.to_owned()).await;
    (status, answer["result"].as_str().unwrap_or_default().to_owned())
}

fn ok(result: &str) -> (StatusCode, String) {
    (StatusCode::OK, result.to_owned())
}

#[tokio::test]
async fn gitlabs_plain_token_lets_a_delivery_in_once() {
    let world = World::new("", false).await;
    world.service("https://lab.example/ana/photos.git").await;
    let body = push("lab.example", SHA, "One");
    let event = ("x-gitlab-event", "Push Hook");
    let by = |id: (&'static str, &'static str)| [("x-gitlab-token", SECRET), event, id];
    assert_eq!(sent(&world, "lab", &by(("x-gitlab-event-uuid", "u-1")), &body).await, ok("recorded"));
    for id in [("x-gitlab-event-uuid", "u-1"), ("x-gitlab-event-uuid", "u-2"), ("idempotency-key", "k-1")] {
        assert_eq!(sent(&world, "lab", &by(id), &body).await, ok("duplicate"), "{id:?}");
    }
    let plain = [("x-gitlab-token", SECRET), event];
    assert_eq!(sent(&world, "lab", &plain, &body).await, ok("duplicate"), "without any number");
    // GitLab says the key again when it repeats a delivery whose answer it did not get
    let other = push("lab.example", OTHER, "Two");
    assert_eq!(sent(&world, "lab", &by(("x-gitlab-event-uuid", "u-1")), &other).await, ok("duplicate"));
    assert_eq!(sent(&world, "lab", &by(("x-gitlab-event-uuid", "u-3")), &other).await, ok("recorded"));
    assert_eq!(world.events("git.pushed").await.len(), 2);
}

#[tokio::test]
async fn gitlabs_signed_delivery_is_taken_once_and_not_late() {
    let world = World::new("", false).await;
    world.service("https://lab.example/ana/photos.git").await;
    let body = push("lab.example", SHA, "One");
    let time = (world.app.now().millis() / 1_000).to_string();
    let signature = |id: &str, body: &str| {
        let parts: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", body.as_bytes()];
        format!("v1,{}", STANDARD.encode(mac(SECRET.as_bytes(), &parts)))
    };
    let first = signature("m-1", &body);
    let headers = |id: &'static str| {
        [
            ("webhook-id", id),
            ("webhook-timestamp", time.as_str()),
            ("webhook-signature", first.as_str()),
            ("x-gitlab-event", "Push Hook"),
        ]
    };
    assert_eq!(sent(&world, "lab", &headers("m-1"), &body).await, ok("recorded"));
    assert_eq!(sent(&world, "lab", &headers("m-1"), &body).await, ok("duplicate"));
    let refused = |(status, _): (StatusCode, String)| status == StatusCode::UNAUTHORIZED;
    assert!(refused(sent(&world, "lab", &headers("m-2"), &body).await), "its number is signed");
    let other = push("lab.example", OTHER, "Two");
    assert!(refused(sent(&world, "lab", &headers("m-1"), &other).await), "its body is signed");
    world.clock.advance_ms(tenfold_protocols::signature::TIME_OFF_MS_MAX + 1_000);
    assert!(refused(sent(&world, "lab", &headers("m-1"), &body).await), "its time is signed");
    assert_eq!(world.events("git.pushed").await.len(), 1);
    assert!(world.app.record_verify().await.is_ok());
}

#[tokio::test]
async fn gitea_and_forgejo_let_a_delivery_in_once() {
    let world = World::new("", false).await;
    world.service("https://tea.example/ana/photos.git").await;
    let body = push("tea.example", SHA, "One");
    let signature = hmac_hex(&body);
    let gitea = |id| [("x-gitea-signature", signature.as_str()), ("x-gitea-event", "push"), ("x-gitea-delivery", id)];
    assert_eq!(sent(&world, "tea", &gitea("d-1"), &body).await, ok("recorded"));
    for id in ["d-1", "d-2"] {
        assert_eq!(sent(&world, "tea", &gitea(id), &body).await, ok("duplicate"), "replayed as {id}");
    }
    // Forgejo sends both names; the same under the other one is the same
    let forgejo =
        [("x-forgejo-signature", signature.as_str()), ("x-forgejo-event", "push"), ("x-forgejo-delivery", "d-3")];
    assert_eq!(sent(&world, "tea", &forgejo, &body).await, ok("duplicate"));
    // as another kind of event it is not a push that somebody signed again, and nothing that is acted on
    let renamed = [("x-gitea-signature", signature.as_str()), ("x-gitea-event", "create"), ("x-gitea-delivery", "d-4")];
    assert_eq!(sent(&world, "tea", &renamed, &body).await, ok("ignored"));
    let other = push("tea.example", OTHER, "Two");
    assert_eq!(sent(&world, "tea", &gitea("d-5"), &other).await.0, StatusCode::UNAUTHORIZED, "another body");
    let second = hmac_hex(&other);
    let headers = [("x-gitea-signature", second.as_str()), ("x-gitea-event", "push"), ("x-gitea-delivery", "d-5")];
    assert_eq!(sent(&world, "tea", &headers, &other).await, ok("recorded"));
    assert_eq!(world.events("git.pushed").await.len(), 2);
}

/// A replay must not deploy again what was deployed and taken back meanwhile.
#[tokio::test]
async fn a_replay_wants_no_deploy() {
    let world = World::new("", true).await;
    let body = push("hub.example", SHA, "One");
    let signature = format!("sha256={}", hmac_hex(&body));
    let headers =
        |id| [("x-hub-signature-256", signature.as_str()), ("x-github-event", "push"), ("x-github-delivery", id)];
    assert_eq!(sent(&world, "hub", &headers("d-1"), &body).await, ok("recorded"));
    let before = queues(&world).await;
    assert_eq!(before.len(), 1, "the push wants a deploy: {before:?}");
    assert_eq!(sent(&world, "hub", &headers("d-2"), &body).await, ok("duplicate"));
    assert_eq!(queues(&world).await, before);
}

async fn queues(world: &World) -> Vec<Value> {
    let queues = world.app.queues().await.unwrap();
    queues.iter().map(|queue| serde_json::to_value(queue).unwrap()).collect()
}
