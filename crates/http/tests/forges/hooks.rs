//! Deliveries: those that fit, and those that must leave no trace.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tenfold_app::forges::READ_MAX;
use tenfold_store::forges as store;

use crate::world::{SECRET, SHA, World, hmac_hex, push};

#[tokio::test]
async fn a_push_is_recorded_once() {
    let world = World::new("", false).await;
    let body = push("hub.example", SHA, "Mend the upload");
    let signature = format!("sha256={}", hmac_hex(&body));
    let headers =
        |id| [("x-hub-signature-256", signature.as_str()), ("x-github-event", "push"), ("x-github-delivery", id)];
    let (status, answer) = world.post("hub", &headers("d-1"), body.clone()).await;
    assert_eq!((status, answer["result"].as_str()), (StatusCode::OK, Some("recorded")), "{answer}");
    for id in ["d-1", "d-2"] {
        let (status, answer) = world.post("hub", &headers(id), body.clone()).await;
        assert_eq!((status, answer["result"].as_str()), (StatusCode::OK, Some("duplicate")), "replayed as {id}");
    }
    let events = world.events("git.pushed").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].text, "ana pushed 1 commit to main of photos, the last \"Mend the upload\"");
    assert_eq!(events[0].subject.service.as_deref(), Some("photos"));
    assert_eq!(events[0].actor.to_string(), "hub", "the login is the forge's word");
    assert!(world.app.record_verify().await.is_ok());
    // not configured: nothing is deployed
    assert!(world.app.queues().await.unwrap().is_empty());
}

#[tokio::test]
async fn gitlab_and_gitea_are_understood() {
    let world = World::new("", false).await;
    world.service("git@lab.example:ana/photos.git").await;
    let body = push("lab.example", SHA, "One");
    let headers = [("x-gitlab-token", SECRET), ("x-gitlab-event", "Push Hook"), ("x-gitlab-event-uuid", "1")];
    assert_eq!(world.post("lab", &headers, body).await.1["result"], "recorded");
    world.service("https://tea.example/ana/photos").await;
    let body = push("tea.example", SHA, "Two");
    let signature = hmac_hex(&body);
    let headers = [("x-gitea-signature", signature.as_str()), ("x-gitea-event", "push"), ("x-gitea-delivery", "1")];
    assert_eq!(world.post("tea", &headers, body).await.1["result"], "recorded");
    assert_eq!(world.events("git.pushed").await.len(), 2);
}

#[tokio::test]
async fn what_does_not_fit_leaves_no_trace() {
    let world = World::new("", true).await;
    let before = world.app.events_after(0, 1000).await.unwrap().len();
    let body = push("hub.example", SHA, "Mend the upload");
    let good = format!("sha256={}", hmac_hex(&body));
    let bad = format!("sha256={}", "0".repeat(64));
    let event = ("x-github-event", "push");
    for (headers, body, status) in [
        (vec![event], body.clone(), StatusCode::UNAUTHORIZED),
        (vec![event, ("x-hub-signature-256", bad.as_str())], body.clone(), StatusCode::UNAUTHORIZED),
        (vec![event, ("x-hub-signature-256", &good)], format!("{body} "), StatusCode::UNAUTHORIZED),
        (vec![event, ("x-hub-signature", &good)], body.clone(), StatusCode::UNAUTHORIZED),
        (vec![event, ("x-gitlab-token", SECRET)], body.clone(), StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(world.post("hub", &headers, body).await.0, status, "{headers:?}");
    }
    let headers = [event, ("x-hub-signature-256", good.as_str())];
    assert_eq!(world.post("mute", &headers, body.clone()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.post("nobody", &headers, body).await.0, StatusCode::NOT_FOUND);
    let large = "x".repeat(tenfold_protocols::forge::BODY_BYTES_MAX + 1);
    assert_eq!(world.post("hub", &headers, large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    for body in ["not json".to_owned(), push("hub.example", "$(reboot)", "x")] {
        let signature = format!("sha256={}", hmac_hex(&body));
        let headers = [event, ("x-hub-signature-256", signature.as_str())];
        assert_eq!(world.post("hub", &headers, body).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    }
    // signed, and not about a service of ours
    let body = push("hub.example", SHA, "x").replace("ana/photos", "ana/other");
    let signature = format!("sha256={}", hmac_hex(&body));
    let headers = [event, ("x-hub-signature-256", signature.as_str())];
    assert_eq!(world.post("hub", &headers, body).await.1["result"], "ignored");
    assert_eq!(world.app.events_after(0, 1000).await.unwrap().len(), before, "nothing was written");
    assert!(world.app.queues().await.unwrap().is_empty());
    let pruned = world.app.now().plus_ms(1);
    let rows = world.app.housekeeping(move |t| Ok(store::deliveries_prune(t.tx(), pruned)?)).await.unwrap();
    assert_eq!(rows, 0, "not even its number");
}

/// Of a stranger not even the body is read, and who makes a signature up and sends slowly gives way to the next.
#[tokio::test]
async fn who_sends_slowly_keeps_nobody_out() {
    let world = World::new("", false).await;
    let never = || Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let event = ("x-github-event", "push");
    let unsigned =
        [("hub", StatusCode::UNAUTHORIZED), ("mute", StatusCode::NOT_FOUND), ("nobody", StatusCode::NOT_FOUND)];
    for (forge, status) in unsigned {
        assert_eq!(world.post(forge, &[event], never()).await.0, status, "{forge}");
    }
    let forged = format!("sha256={}", "0".repeat(64));
    for (forge, header) in [
        ("hub", ("x-hub-signature-256", "sha256=00")),
        ("hub", ("x-hub-signature-256", &forged[..70])),
        ("tea", ("x-gitea-signature", "zz")),
        ("lab", ("x-gitlab-token", "not what was agreed upon")),
        ("lab", ("webhook-signature", "v1,AAAA")),
    ] {
        assert_eq!(world.post(forge, &[event, header], never()).await.0, StatusCode::UNAUTHORIZED, "{header:?}");
    }
    let places = &world.app.forges.places;
    assert_eq!(places.taken(), 0);
    let headers = [event, ("x-hub-signature-256", forged.as_str())];
    let mut slow: FuturesUnordered<_> = (0..READ_MAX).map(|_| world.post("hub", &headers, never())).collect();
    let filled = async {
        while places.taken() < READ_MAX {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        gone = slow.next() => panic!("nobody else wants its place: {gone:?}"),
        () = filled => {}
    }
    let body = push("hub.example", SHA, "Mend the upload");
    let signature = format!("sha256={}", hmac_hex(&body));
    let headers = [event, ("x-hub-signature-256", signature.as_str()), ("x-github-delivery", "d-1")];
    let (real, gone) = tokio::join!(world.post("hub", &headers, body), slow.next());
    assert_eq!((real.0, real.1["result"].as_str()), (StatusCode::OK, Some("recorded")), "{}", real.1);
    assert_eq!(gone.unwrap().0, StatusCode::SERVICE_UNAVAILABLE);
    drop(slow);
    assert_eq!(places.taken(), 0);
}
