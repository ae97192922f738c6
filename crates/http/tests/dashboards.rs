//! Dashboards over HTTP: versions as entity tags, and who may not save over whom.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use common::World;
use serde_json::{Value, json};
use tenfold_app::Role;
use tenfold_app::people::TokenKind;
use tower::ServiceExt;

struct Asker {
    world: World,
    token: String,
}

/// Status, entity tag and body.
type Answer = (u16, Option<String>, Value);

impl Asker {
    async fn new() -> Self {
        let world = common::world().await;
        let token = world.token(TokenKind::Robot, Some(Role::Deployer)).await;
        Self { world, token }
    }

    async fn send(&self, method: &str, condition: Option<(&str, &str)>, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri("/api/dashboards/nodes");
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some((name, value)) = condition {
            request = request.header(name, value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response = self.world.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status: StatusCode = response.status();
        let tag = response.headers().get(header::ETAG).map(|tag| tag.to_str().unwrap().to_owned());
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status.as_u16(), tag, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn put(&self, title: &str, condition: Option<(&str, &str)>) -> Answer {
        self.send("PUT", condition, Some(json!({"name": "nodes", "title": title, "panels": []}))).await
    }
}

#[tokio::test]
async fn a_save_over_another_s_is_refused_and_tells_whose_it_is() {
    let asker = Asker::new().await;
    assert_eq!(asker.send("GET", None, None).await.0, 404);
    let (status, tag, _) = asker.put("Nodes", Some(("if-none-match", "*"))).await;
    assert_eq!((status, tag.as_deref()), (200, Some("\"1\"")));
    assert_eq!(asker.put("Nodes", Some(("if-none-match", "*"))).await.0, 409);
    let (_, tag, read) = asker.send("GET", None, None).await;
    assert_eq!((tag.as_deref(), &read["version"], &read["title"]), (Some("\"1\""), &json!(1), &json!("Nodes")));
    assert!(read["saved_by"].is_string() && read["saved_at"].is_string(), "{read}");
    // Another saves, knowing the version.
    let (status, tag, _) = asker.put("All nodes", Some(("if-match", "\"1\""))).await;
    assert_eq!((status, tag.as_deref()), (200, Some("\"2\"")));
    for method in ["PUT", "DELETE"] {
        let body = (method == "PUT").then(|| json!({"name": "nodes", "title": "Mine", "panels": []}));
        let (status, _, refused) = asker.send(method, Some(("if-match", "\"1\"")), body).await;
        assert_eq!((status, &refused["error"]["code"]), (412, &json!("changed")), "{method}: {refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("saved by "), "{refused}");
    }
    assert_eq!(asker.put("Mine", Some(("if-match", "seven"))).await.0, 400);
    assert_eq!(asker.send("GET", None, None).await.2["title"], "All nodes");
    // Knowingly, and as those do who know no versions.
    assert_eq!(asker.put("Mine", Some(("if-match", "\"2\""))).await.1.as_deref(), Some("\"3\""));
    assert_eq!(asker.put("Of a file", None).await.1.as_deref(), Some("\"4\""));
    assert_eq!(asker.send("DELETE", Some(("if-match", "\"4\"")), None).await.0, 200);
    let (status, _, refused) = asker.put("Late", Some(("if-match", "\"4\""))).await;
    assert_eq!(status, 412, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("was deleted by "), "{refused}");
}
