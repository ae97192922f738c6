//! Projects: what belongs to one, and that a token of one never reads another's flags, by whatever protocol.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tenfold_app::Caller;
use tenfold_app::people::TokenKind;

use crate::common::World;
use crate::world::{Tokens, user};

/// Beside the usual flags, one in the project `shop` that uses a segment.
async fn two_projects() -> (World, Tokens) {
    let (world, tokens) = World::with_flags().await;
    let made = world.ask("PUT", "/api/flag-projects/shop", &tokens.admin, &[], json!({"description": "Carts"})).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let constraint = json!([{"contextName": "plan", "operator": "IN", "values": ["pro"]}]);
    for id in [1, 2] {
        let segment = json!({"name": format!("s{id}"), "constraints": constraint});
        assert_eq!(
            world.ask("PUT", &format!("/api/segments/{id}"), &tokens.admin, &[], segment).await.status,
            StatusCode::OK
        );
    }
    let state = json!({"enabled": true, "strategies": [{"name": "default", "segments": [1]}]});
    let cart = json!({"project": "shop", "environments": {"production": state}});
    world.put_flag(&tokens.admin, "cart", cart).await;
    (world, tokens)
}

fn names(body: &Value) -> Vec<&str> {
    body["features"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_token_of_one_project_reads_that_project() {
    let (world, tokens) = two_projects().await;
    let all = world.ask("GET", "/api/client/features", &tokens.client, &[], Value::Null).await;
    assert_eq!(names(&all.body), ["cart", "dark", "half", "limit", "new_uploader"]);
    assert_eq!(all.body["features"][0]["project"], "shop");
    assert_eq!(all.body["segments"].as_array().unwrap().len(), 2);

    let shop = world.token_for(TokenKind::Client, &["shop"]).await.secret;
    let some = world.ask("GET", "/api/client/features", &shop, &[], Value::Null).await;
    assert_eq!(names(&some.body), ["cart"]);
    assert_eq!(some.body["segments"].as_array().unwrap().len(), 1, "a segment of other projects is not shown");
    assert_ne!(some.headers["etag"], all.headers["etag"]);
    let pro = json!({"context": {"targetingKey": "7", "plan": "pro"}});
    for (method, path, body) in [
        ("POST", "/ofrep/v1/evaluate/flags/new_uploader", user("7")),
        ("GET", "/api/client/features/new_uploader", Value::Null),
    ] {
        assert_eq!(world.ask(method, path, &shop, &[], body).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let bulk = world.ask("POST", "/ofrep/v1/evaluate/flags", &shop, &[], pro.clone()).await;
    assert_eq!(bulk.body["flags"].as_array().unwrap().len(), 1);
    assert_eq!(bulk.body["flags"][0]["value"], true);
    let toggles = world.ask("GET", "/api/frontend?userId=7&properties[plan]=pro", &shop, &[], Value::Null).await;
    assert_eq!(toggles.body["toggles"].as_array().unwrap().len(), 1);
    let question = json!({"flagKey": "new_uploader"});
    let flagd = world.ask("POST", "/flagd.evaluation.v1.Service/ResolveBoolean", &shop, &[], question).await;
    assert_eq!((flagd.status, &flagd.body["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
}

#[tokio::test]
async fn a_change_elsewhere_is_no_change_for_a_project() {
    let (world, tokens) = two_projects().await;
    let shop = world.token_for(TokenKind::Client, &["shop"]).await.secret;
    let first = world.ask("GET", "/api/client/features", &shop, &[], Value::Null).await;
    let etag = first.headers["etag"].to_str().unwrap().to_owned();
    let known = [("if-none-match", etag.as_str())];
    world.switch(&tokens.admin, "new_uploader", false).await;
    let same = world.ask("GET", "/api/client/features", &shop, &known, Value::Null).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    world.switch(&tokens.admin, "cart", false).await;
    let changed = world.ask("GET", "/api/client/features", &shop, &known, Value::Null).await;
    assert_eq!((changed.status, &changed.body["features"][0]["enabled"]), (StatusCode::OK, &json!(false)));
    // Moving a flag takes it out of one book and puts it into the other.
    world.put_flag(&tokens.admin, "cart", json!({"project": "default"})).await;
    let gone = world
        .ask(
            "GET",
            "/api/client/delta",
            &shop,
            &[("if-none-match", changed.headers["etag"].to_str().unwrap())],
            Value::Null,
        )
        .await;
    assert_eq!(gone.body["events"][1]["type"], "feature-removed", "{}", gone.body);
    assert_eq!(gone.body["events"][1]["featureName"], "cart");
    assert_eq!(gone.body["events"][0]["type"], "segment-removed");
}

#[tokio::test]
async fn clients_may_want_less_than_they_may_read() {
    let (world, tokens) = two_projects().await;
    for (query, wanted) in [
        ("project=shop", &["cart"][..]),
        ("project=shop&project=default", &["cart", "dark", "half", "limit", "new_uploader"]),
        ("namePrefix=d", &["dark"]),
        ("project=ghost", &[]),
        ("environment=development", &["cart", "dark", "half", "limit", "new_uploader"]),
    ] {
        let path = format!("/api/client/features?{query}");
        let some = world.ask("GET", &path, &tokens.client, &[], Value::Null).await;
        assert_eq!(names(&some.body), wanted, "{query}");
        let etag = some.headers["etag"].to_str().unwrap();
        let again = world.ask("GET", &path, &tokens.client, &[("if-none-match", etag)], Value::Null).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{query}");
    }
    world.put_flag(&tokens.admin, "dark", json!({"tags": ["simple:a"]})).await;
    let tagged =
        world.ask("GET", "/api/client/features?tag=simple:a&tag=simple:b", &tokens.client, &[], Value::Null).await;
    assert_eq!(names(&tagged.body), ["dark"]);
    let shop = world.token_for(TokenKind::Client, &["shop"]).await.secret;
    let beyond = world.ask("GET", "/api/client/features?project=default", &shop, &[], Value::Null).await;
    assert_eq!(names(&beyond.body), Vec::<&str>::new(), "asking for more does not give more");
}

#[tokio::test]
async fn projects_are_made_and_deleted_and_the_record_tells() {
    let (world, tokens) = two_projects().await;
    let list = world.ask("GET", "/api/flag-projects", &tokens.admin, &[], Value::Null).await;
    assert_eq!(list.body["items"][0], json!({"name": "default", "description": "", "flags": 4}));
    assert_eq!(list.body["items"][1], json!({"name": "shop", "description": "Carts", "flags": 1}));
    let refused = world.ask("DELETE", "/api/flag-projects/shop", &tokens.admin, &[], Value::Null).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let stays = world.ask("DELETE", "/api/flag-projects/default", &tokens.admin, &[], Value::Null).await;
    assert_eq!(stays.status, StatusCode::CONFLICT);
    let unknown = world.ask("PUT", "/api/flags/cart", &tokens.admin, &[], json!({"project": "ghost"})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{}", unknown.body);
    let parent = json!({"dependencies": [{"feature": "cart"}]});
    let across = world.ask("PUT", "/api/flags/dark", &tokens.admin, &[], parent).await;
    assert_eq!(across.status, StatusCode::CONFLICT, "{}", across.body);
    world.put_flag(&tokens.admin, "cart", json!({"project": "default"})).await;
    let deleted = world.ask("DELETE", "/api/flag-projects/shop", &tokens.admin, &[], Value::Null).await;
    assert_eq!(deleted.status, StatusCode::OK);
    let query = tenfold_app::record::EventQuery { limit: 100, include_admin: true, ..Default::default() };
    let kinds: Vec<String> = world.app.events(query).await.unwrap().into_iter().map(|e| e.kind).collect();
    for kind in ["flag_project.created", "flag_project.deleted"] {
        assert_eq!(kinds.iter().filter(|k| *k == kind).count(), 1, "{kind}: {kinds:?}");
    }
}

#[tokio::test]
async fn a_proxy_learns_what_a_token_is_for() {
    let (world, _) = two_projects().await;
    let made = world.token_for(TokenKind::Client, &["shop"]).await;
    let question = json!({"tokens": [made.secret, "*:production.made-up"]});
    let answer = world.ask("POST", "/edge/validate", "", &[], question.clone()).await;
    let wanted = json!({"token": made.secret, "type": "client", "environment": "production", "projects": ["shop"]});
    assert_eq!(answer.body, json!({"tokens": [wanted]}));
    world.app.token_revoke(&Caller::system(), &made.token.id).await.unwrap();
    assert_eq!(world.ask("POST", "/edge/validate", "", &[], question).await.body, json!({"tokens": []}));
    let refused = world.ask("GET", "/api/client/features", &made.secret, &[], Value::Null).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}
