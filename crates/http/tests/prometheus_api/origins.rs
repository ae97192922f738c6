//! What pages of other origins may ask, where the settings name them, and who is asked for a password.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use tenfold_app::Role;
use tenfold_app::people::TokenKind;
use tower::ServiceExt;

use super::common::{World, world_with};

const PAGE: &str = "https://perses.example.org";

async fn ask(world: &World, method: Method, path: &str, token: &str, origin: &str) -> (StatusCode, HeaderMap) {
    let request = Request::builder().method(method).uri(path).header(header::ORIGIN, origin);
    let request = if token.is_empty() { request } else { request.header(header::AUTHORIZATION, token) };
    let request = request.body(Body::empty()).expect("a request");
    let response = world.router.clone().oneshot(request).await.expect("an answer");
    (response.status(), response.headers().clone())
}

fn allowed(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).and_then(|origin| origin.to_str().ok())
}

#[tokio::test]
async fn pages_of_named_origins_may_ask_the_prometheus_api() {
    let world = world_with(|s| s.metrics.cors_origins = vec![PAGE.to_owned()]).await;
    let token = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    let path = "/api/v1/query?query=1";
    // A browser asks first, and without a token.
    let (status, headers) = ask(&world, Method::OPTIONS, "/api/v1/query", "", PAGE).await;
    assert_eq!((status, allowed(&headers)), (StatusCode::NO_CONTENT, Some(PAGE)));
    let methods = headers[header::ACCESS_CONTROL_ALLOW_METHODS].to_str().expect("methods");
    assert!(methods.contains("GET") && methods.contains("POST"), "{methods}");
    let told = headers[header::ACCESS_CONTROL_ALLOW_HEADERS].to_str().expect("headers");
    assert!(told.to_ascii_lowercase().contains("authorization"), "{told}");
    let (status, headers) = ask(&world, Method::GET, path, &token, PAGE).await;
    assert_eq!((status, allowed(&headers)), (StatusCode::OK, Some(PAGE)));
    assert!(headers.get_all(header::VARY).iter().any(|name| name == "origin"), "{headers:?}");
    assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "no page acts for who is signed in");
    let (status, headers) = ask(&world, Method::GET, path, "", PAGE).await;
    assert_eq!((status, allowed(&headers)), (StatusCode::UNAUTHORIZED, Some(PAGE)), "so that the page can read why");
    let other = "https://other.example.org";
    let (status, headers) = ask(&world, Method::GET, path, &token, other).await;
    assert_eq!((status, allowed(&headers)), (StatusCode::OK, None));
    for path in ["/api/alerts", "/api/targets", "/metrics"] {
        assert_eq!(allowed(&ask(&world, Method::GET, path, &token, PAGE).await.1), None, "{path}");
    }
}

#[tokio::test]
async fn no_origin_may_ask_before_one_is_named_and_a_star_is_any() {
    let world = world_with(|_| {}).await;
    for method in [Method::OPTIONS, Method::GET] {
        assert_eq!(allowed(&ask(&world, method, "/api/v1/query?query=1", "", PAGE).await.1), None);
    }
    let world = world_with(|s| s.metrics.cors_origins = vec!["*".to_owned()]).await;
    let token = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    let (status, headers) = ask(&world, Method::GET, "/api/v1/query?query=1", &token, "http://anywhere:3000").await;
    assert_eq!((status, allowed(&headers)), (StatusCode::OK, Some("*")));
}

#[tokio::test]
async fn programs_are_asked_for_a_password_and_people_are_not() {
    let world = world_with(|_| {}).await;
    let asked = async |path: &str, name: &str| {
        let request = Request::get(path).header(name, "x").body(Body::empty()).expect("a request");
        let response = world.router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        let said = response.headers().get(header::WWW_AUTHENTICATE).and_then(|said| said.to_str().ok());
        said.is_some_and(|said| said.starts_with("Basic realm="))
    };
    for path in ["/api/v1/query?query=1", "/api/v2/alerts", "/federate?match[]=up", "/metrics"] {
        assert!(asked(path, "x-of-a-program").await, "{path}");
        for of_browsers in ["cookie", "origin", "referer", "sec-fetch-mode"] {
            assert!(!asked(path, of_browsers).await, "{path} with {of_browsers}");
        }
    }
    assert!(!asked("/api/alerts", "x-of-a-program").await, "nobody else has such an address");
}
