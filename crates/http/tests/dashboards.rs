//! Dashboards over HTTP: versions as entity tags, and who may not save over whom. Targets: the list's pages and filters.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use common::World;
use serde_json::{Value, json};
use tenfold_app::Role;
use tenfold_app::metrics::{Scraped, Target};
use tenfold_app::people::TokenKind;
use tenfold_protocols::exposition::Format;
use tenfold_types::Labels;
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
        self.send_to("/api/dashboards/nodes", method, condition, body).await
    }

    async fn send_to(
        &self,
        address: &str,
        method: &str,
        condition: Option<(&str, &str)>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(address);
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

    /// Status and body of the list of targets.
    async fn targets(&self, question: &str) -> (u16, Value) {
        let (status, _, body) = self.send_to(&format!("/api/targets{question}"), "GET", None, None).await;
        (status, body)
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

#[tokio::test]
async fn targets_come_in_pages_with_what_is_down_first() {
    let asker = Asker::new().await;
    let app = &asker.world.app;
    let (status, none) = asker.targets("").await;
    let nothing = json!({"items": [], "counts": {"up": 0, "down": 0, "unknown": 0}, "jobs": [], "jobs_left_out": 0});
    assert_eq!((status, none), (200, nothing));
    for (job, instance, error) in [("db", "h1", None), ("web", "h1", None), ("web", "h2", Some("connection refused"))] {
        let labels = Labels::from_pairs([("job", job), ("instance", instance), ("zone", "eu")]);
        let host = format!("{job}-{instance}");
        let target = Target::reported(format!("http://{instance}:9100/metrics"), labels, &host);
        app.metrics.set_host_targets(&host, vec![target.clone()]);
        let page = match error {
            None => Ok((axum::body::Bytes::from_static(b"x 1\n"), Format::Prometheus)),
            Some(reason) => Err(reason.to_owned().into()),
        };
        app.metrics.scraped(&target, Scraped { at: app.now(), duration_ms: 7, page }).expect("it is kept");
    }
    let (status, first) = asker.targets("?limit=1").await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(first["counts"], json!({"up": 2, "down": 1, "unknown": 0}));
    let web = json!({"job": "web", "counts": {"up": 1, "down": 1, "unknown": 0}});
    let db = json!({"job": "db", "counts": {"up": 1, "down": 0, "unknown": 0}});
    assert_eq!(first["jobs"], json!([web, db]));
    let item = &first["items"][0];
    assert_eq!((&item["instance"], &item["health"]), (&json!("h2"), &json!("down")));
    assert_eq!((&item["error"], &item["duration_ms"]), (&json!("connection refused"), &json!(7)));
    assert!(item["last_scrape"].is_string(), "{item}");

    let (status, behind) = asker.targets(&format!("?after={}", first["next"].as_str().unwrap())).await;
    let names: Vec<_> = behind["items"].as_array().unwrap().iter().map(|one| (&one["job"], &one["instance"])).collect();
    let (job, instance) = ([json!("db"), json!("web")], json!("h1"));
    assert_eq!((status, names), (200, vec![(&job[0], &instance), (&job[1], &instance)]));
    assert!(behind.get("next").is_none(), "{behind}");

    let (status, found) = asker.targets("?health=up&job=web&q=ZONE%3Deu+9100").await;
    assert_eq!((status, found["items"].as_array().map(Vec::len)), (200, Some(1)), "{found}");
    assert_eq!(found["counts"], json!({"up": 1, "down": 1, "unknown": 0}));
    for (question, refused) in [("?health=bad", 422), ("?limit=0", 422), ("?after=h1", 422), ("?state=down", 400)] {
        let (status, body) = asker.targets(question).await;
        assert_eq!(status, refused, "{question}: {body}");
    }
    // Prometheus' own list has all of them, whatever is asked of ours.
    let (_, _, theirs) = asker.send_to("/api/v1/targets", "GET", None, None).await;
    assert_eq!(theirs["data"]["activeTargets"].as_array().map(Vec::len), Some(3), "{theirs}");
}
