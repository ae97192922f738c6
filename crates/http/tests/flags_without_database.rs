//! The database server is gone: flags are answered, and switched off, all the same.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tenfold_app::people::{NewToken, TokenKind};
use tenfold_app::{App, Caller, Role, Settings};
use tenfold_store::Db;
use tenfold_testkit::{PgServer, TestClock, TestEntropy};
use tower::ServiceExt;

async fn token(app: &App, kind: TokenKind, role: Option<Role>) -> String {
    let environment = role.is_none().then(|| "production".to_owned());
    let new = NewToken {
        name: kind.name().into(),
        kind,
        role,
        service: None,
        environment,
        projects: Vec::new(),
        expires_at: None,
    };
    app.token_create(&Caller::system(), new).await.expect("a new token").secret
}

async fn ask(router: &tenfold_http::Front, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::from(body.to_string()))
        .expect("a request");
    let response = router.clone().oneshot(request).await.expect("an answer");
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body that ends");
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

#[tokio::test]
async fn flags_are_answered_and_switched_off_without_the_database() {
    let Some(server) = PgServer::start().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open_postgres(server.create_database("flags").await, tenfold_testkit::sealer()).await.unwrap();
    let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    let metrics = tenfold_app::metrics::State::open(&settings).unwrap();
    let entropy = Arc::new(TestEntropy::default());
    let app = App::new(db, Arc::new(TestClock::default()), entropy, settings, metrics);
    tenfold_app::load(&app).await.unwrap();
    let client = token(&app, TokenKind::Client, None).await;
    let robot = token(&app, TokenKind::Robot, Some(Role::Responder)).await;
    let update = serde_json::from_value(json!({"environments": {"production": {"enabled": true}}})).unwrap();
    app.flag_put(&Caller::system(), "new_uploader", update).await.unwrap();
    let router = tenfold_http::router(app.clone());
    let evaluate =
        || ask(&router, "/ofrep/v1/evaluate/flags/new_uploader", &client, json!({"context": {"targetingKey": "7"}}));
    let switch = |enabled: bool| {
        let body = json!({"environment": "production", "enabled": enabled});
        ask(&router, "/api/flags/new_uploader/switch", &robot, body)
    };
    assert_eq!(evaluate().await.1["value"], true);

    drop(server);
    let (status, answer) = evaluate().await;
    assert_eq!((status, &answer["value"]), (StatusCode::OK, &json!(true)), "{answer}");
    let (status, flag) = switch(false).await;
    assert_eq!(status, StatusCode::OK, "{flag}");
    assert_eq!(flag["environments"]["production"]["pending"], true, "it says that it is not recorded yet");
    assert_eq!(evaluate().await.1["value"], false);
    assert!(dir.path().join("flags-switched-off.json").exists(), "a restart would not bring it back");
}
