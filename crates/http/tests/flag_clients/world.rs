//! Asking the flag endpoints, and a world with a few flags in it.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use serde_json::{Value, json};
use tenfold_app::Role;
use tenfold_app::people::{NewToken, TokenCreated, TokenKind};
use tower::ServiceExt;

use crate::common::{self, World};

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Bytes,
    pub body: Value,
}

pub struct Tokens {
    pub admin: String,
    pub client: String,
    pub frontend: String,
}

pub fn user(id: &str) -> Value {
    json!({"context": {"targetingKey": id}})
}

impl World {
    pub async fn ask(&self, method: &str, path: &str, token: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.router.clone().oneshot(request.body(body).expect("a request")).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 1 << 24).await.expect("a body that ends");
        Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null), bytes }
    }

    /// A world with a boolean, a split, a typed and an off flag.
    pub async fn with_flags() -> (Self, Tokens) {
        let world = common::world().await;
        let tokens = Tokens {
            admin: world.token(TokenKind::Robot, Some(Role::Admin)).await,
            client: world.token(TokenKind::Client, None).await,
            frontend: world.token(TokenKind::Frontend, None).await,
        };
        for (key, body) in [
            ("new_uploader", json!({"environments": {"production": {"enabled": true}}})),
            ("half", json!({"environments": {"production": {"enabled": true, "rollout_percent": 50}}})),
            (
                "limit",
                json!({"value_type": "float", "environments": {"production": {
                    "enabled": true, "off_value": 0.5, "variants": [{"name": "wide", "weight": 1, "value": 1}],
                }}}),
            ),
            ("dark", json!({"environments": {"production": {"enabled": false}}})),
        ] {
            world.put_flag(&tokens.admin, key, body).await;
        }
        (world, tokens)
    }

    pub async fn put_flag(&self, admin: &str, key: &str, body: Value) {
        let put = self.ask("PUT", &format!("/api/flags/{key}"), admin, &[], body).await;
        assert_eq!(put.status, StatusCode::OK, "{key}: {}", put.body);
    }

    pub async fn switch(&self, token: &str, key: &str, enabled: bool) {
        let body = json!({"environment": "production", "enabled": enabled});
        let done = self.ask("POST", &format!("/api/flags/{key}/switch"), token, &[], body).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    }

    /// A flag client's token for some projects in production.
    pub async fn token_for(&self, kind: TokenKind, projects: &[&str]) -> TokenCreated {
        let new = NewToken {
            name: format!("{}-some", kind.name()),
            kind,
            role: None,
            service: None,
            environment: Some("production".into()),
            projects: projects.iter().map(|p| (*p).to_owned()).collect(),
            expires_at: None,
        };
        self.app.token_create(&tenfold_app::Caller::system(), new).await.expect("a token")
    }
}
