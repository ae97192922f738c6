//! A dark launch: a flag of the kind `shadow` answers every protocol with `true` and the variant `shadow`, by which a
//! service knows that it runs the new path beside the old one and drops the result; what is answered is counted under it.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::common::World;
use crate::world::user;

#[tokio::test]
async fn a_shadow_says_so_in_every_protocol_and_is_counted_so() {
    let (world, tokens) = World::with_flags().await;
    let on = json!({"kind": "shadow", "environments": {"production": {"enabled": true, "rollout_percent": 50}}});
    world.put_flag(&tokens.admin, "new_search", on).await;

    // Half of the people run both paths; the others only the old one.
    let mut shadowed = 0;
    for id in 0..100 {
        let path = "/ofrep/v1/evaluate/flags/new_search";
        let answer = world.ask("POST", path, &tokens.frontend, &[], user(&id.to_string())).await;
        assert_eq!((answer.status, &answer.body["reason"]), (StatusCode::OK, &json!("SPLIT")));
        match answer.body["value"].as_bool() {
            Some(true) => assert_eq!(answer.body["variant"], "shadow"),
            other => assert_eq!((other, &answer.body["variant"]), (Some(false), &json!("off"))),
        }
        shadowed += u64::from(answer.body["value"] == true);
    }
    assert!((25..=75).contains(&shadowed), "{shadowed} of 100");
    let flag = world.ask("GET", "/api/flags/new_search", &tokens.admin, &[], Value::Null).await;
    let usage = &flag.body["environments"]["production"]["usage"];
    assert_eq!((&usage["yes"], &usage["no"]), (&json!(shadowed), &json!(100 - shadowed)));
    assert_eq!(usage["by_variant"]["shadow"], shadowed, "{usage}");

    let on = json!({"environments": {"production": {"enabled": true, "rollout_percent": 100}}});
    world.put_flag(&tokens.admin, "new_search", on).await;
    let path = "/flagd.evaluation.v2.Service/ResolveBoolean";
    let flagd = world.ask("POST", path, &tokens.frontend, &[], json!({"flagKey": "new_search"})).await;
    assert_eq!((&flagd.body["value"], &flagd.body["variant"]), (&json!(true), &json!("shadow")));
    let page = world.ask("GET", "/api/frontend?userId=7", &tokens.frontend, &[], Value::Null).await;
    let toggles = page.body["toggles"].as_array().unwrap();
    let toggle = toggles.iter().find(|t| t["name"] == "new_search").unwrap();
    assert_eq!((&toggle["enabled"], &toggle["variant"]["name"]), (&json!(true), &json!("shadow")));

    // An SDK evaluates by itself, and reports what it counted.
    let told = world.ask("GET", "/api/client/features", &tokens.client, &[], Value::Null).await;
    let feature = told.body["features"].as_array().unwrap().iter().find(|f| f["name"] == "new_search").unwrap();
    assert_eq!((&feature["type"], &feature["variants"][0]["name"]), (&json!("shadow"), &json!("shadow")));
    let before = world.ask("GET", "/api/flags/new_search", &tokens.admin, &[], Value::Null).await;
    let report = json!({"appName": "photos", "instanceId": "1", "bucket": {
        "start": "2026-01-01T00:00:00Z", "stop": "2026-01-01T00:01:00Z",
        "toggles": {"new_search": {"yes": 3, "no": 0, "variants": {"shadow": 3}}}}});
    let taken = world.ask("POST", "/api/client/metrics", &tokens.client, &[], report).await;
    assert!(taken.status.is_success(), "{}", taken.status);
    let after = world.ask("GET", "/api/flags/new_search", &tokens.admin, &[], Value::Null).await;
    let shadow = |body: &Value| body["environments"]["production"]["usage"]["by_variant"]["shadow"].as_u64().unwrap();
    assert_eq!(shadow(&after.body), shadow(&before.body) + 3);

    // Switched off, nobody runs the new path.
    world.switch(&tokens.admin, "new_search", false).await;
    let off = world.ask("POST", "/ofrep/v1/evaluate/flags/new_search", &tokens.frontend, &[], user("7")).await;
    assert_eq!(
        (&off.body["value"], &off.body["variant"], &off.body["reason"]),
        (&json!(false), &json!("off"), &json!("DISABLED"))
    );
}
