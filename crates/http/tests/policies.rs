//! Walks every route with every kind of principal and compares with the policy table: nobody gets in who should not,
//! nobody is turned away who should not be.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use tenfold_app::people::{NewToken, PersonUpdate, TokenKind};
use tenfold_app::{App, Caller, Role, Settings};
use tenfold_http::Policy;
use tenfold_types::{Clock, Entropy, Timestamp};
use tower::ServiceExt;

struct At;
impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp(1_763_878_180_000)
    }
}
struct Counting(std::sync::atomic::AtomicU64);
impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            chunk.copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()[..chunk.len()]);
        }
    }
}

struct World {
    app: App,
    router: tenfold_http::Front,
    _dir: tempfile::TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let db = tenfold_store::Db::open_sqlite(&dir.path().join("state.db"), tenfold_testkit::sealer()).await.unwrap();
    let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    let metrics = tenfold_app::metrics::State::open(&settings).unwrap();
    let app = App::new(db, Arc::new(At), Arc::new(Counting(1.into())), settings, metrics);
    tenfold_app::load(&app).await.unwrap();
    World { router: tenfold_http::router(app.clone()), app, _dir: dir }
}

impl World {
    async fn token(&self, kind: TokenKind, role: Option<Role>) -> String {
        let environment = matches!(kind, TokenKind::Client | TokenKind::Frontend).then(|| "production".to_owned());
        let name = format!("{}-{}", kind.name(), role.map_or_else(|| "none".into(), |r| r.to_string()));
        let new = NewToken { name, kind, role, service: None, environment, projects: Vec::new(), expires_at: None };
        self.app.token_create(&Caller::system(), new).await.unwrap().secret
    }

    /// The status of a request without a body; only 401 and 403 say something about rights.
    async fn status(&self, method: &str, path: &str, token: Option<&str>) -> StatusCode {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Principal {
    Nobody,
    Robot(Role),
    Agent,
    Client,
    Frontend,
    Metrics,
}

fn expected(policy: Policy, principal: Principal) -> bool {
    let has = |needed: Role| matches!(principal, Principal::Robot(role) if role >= needed);
    match policy {
        Policy::Public => true,
        Policy::Person => false,
        Policy::Viewer => has(Role::Viewer),
        Policy::Role(needed) => has(needed),
        Policy::Agent => principal == Principal::Agent,
        // nobody here shows a certificate
        Policy::Host => false,
        Policy::FlagClient => principal == Principal::Client || has(Role::Viewer),
        Policy::FlagFrontend => matches!(principal, Principal::Client | Principal::Frontend) || has(Role::Viewer),
        Policy::MetricsWriter => matches!(principal, Principal::Metrics | Principal::Agent) || has(Role::Responder),
    }
}

/// Routes that people may use for themselves without the role that others need: the use case asks, not the table.
const ONESELF: [&str; 2] = ["/api/people/{login}", "/api/people/{login}/test-page"];

/// A path with its parameters filled by values that exist nowhere.
fn filled(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (_, tail) = after.split_once('}').unwrap();
        out.push_str("999999");
        rest = tail;
    }
    out + rest
}

#[tokio::test]
async fn every_route_lets_in_exactly_whom_its_policy_names() {
    let world = world().await;
    let mut principals = vec![(Principal::Nobody, None)];
    for role in [Role::Viewer, Role::Responder, Role::Deployer, Role::Admin] {
        principals.push((Principal::Robot(role), Some(world.token(TokenKind::Robot, Some(role)).await)));
    }
    principals.push((Principal::Agent, Some(world.token(TokenKind::Agent, None).await)));
    principals.push((Principal::Client, Some(world.token(TokenKind::Client, None).await)));
    principals.push((Principal::Frontend, Some(world.token(TokenKind::Frontend, None).await)));
    principals.push((Principal::Metrics, Some(world.token(TokenKind::Metrics, None).await)));

    let table = tenfold_http::policy_table();
    assert!(table.len() > 10, "the table holds the routes");
    let mut wrong = Vec::new();
    for row in &table {
        for (principal, token) in &principals {
            let path = filled(&row.path);
            let asked = world.status(&row.method, &path, token.as_deref());
            // Streams never end; their status comes at once.
            let status = tokio::time::timeout(std::time::Duration::from_secs(20), asked).await.expect("an answer");
            let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            let asks_again = row.policy == Policy::Public || ONESELF.contains(&row.path.as_str());
            let turned_away_inside = refused && expected(row.policy, *principal) && asks_again;
            if refused == expected(row.policy, *principal) && !turned_away_inside {
                wrong.push(format!("{} {} as {principal:?}: {status}, policy {:?}", row.method, row.path, row.policy));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_wrong_token_is_refused_even_where_nobody_needs_one() {
    let world = world().await;
    assert_eq!(world.status("GET", "/api/session", Some("tf_robot_wrong")).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_is_told_which_other_one_it_takes() {
    let world = world().await;
    let viewer = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    for (path, advice) in [
        ("/api/v1/write", "tenfold token create NAME --kind metrics"),
        ("/api/mutes", "tenfold token create NAME --role responder"),
    ] {
        let request = Request::post(path)
            .header(header::HOST, "127.0.0.1")
            .header(header::AUTHORIZATION, format!("Bearer {viewer}"))
            .body(Body::empty())
            .unwrap();
        let response = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains(advice), "{path}: {body}");
    }
}

#[tokio::test]
async fn setup_works_once_and_signs_in() {
    let world = world().await;
    let token = world.app.setup_token().await.unwrap().expect("nobody is there yet");
    let post = |path: &str, body: serde_json::Value| {
        Request::post(path)
            .header(header::HOST, "127.0.0.1")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap()
    };
    let body = serde_json::json!({"token": token, "login": "ana", "name": "Ana", "password": "a few plain words"});
    let response = world.router.clone().oneshot(post("/api/setup", body.clone())).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-tenfold=") && cookie.contains("HttpOnly") && cookie.contains("Secure"));
    let again = world.router.clone().oneshot(post("/api/setup", body)).await.unwrap();
    assert_eq!(again.status(), StatusCode::GONE);
    assert_eq!(world.app.setup_token().await.unwrap(), None);

    let cookie = cookie.split(';').next().unwrap().to_owned();
    let with_cookie = |method: &str, site: Option<&str>| {
        let mut r = Request::builder().method(method).uri("/api/tokens").header(header::HOST, "127.0.0.1");
        r = r.header(header::COOKIE, &cookie).header(header::CONTENT_TYPE, "application/json");
        if let Some(site) = site {
            r = r.header("sec-fetch-site", site);
        }
        r.body(Body::from(r#"{"name":"ci","kind":"robot","role":"viewer"}"#)).unwrap()
    };
    let status = |r: Request<Body>| async { world.router.clone().oneshot(r).await.unwrap().status() };
    assert_eq!(status(with_cookie("GET", None)).await, StatusCode::OK);
    assert_eq!(status(with_cookie("POST", None)).await, StatusCode::FORBIDDEN, "a foreign page rides on the cookie");
    assert_eq!(status(with_cookie("POST", Some("cross-site"))).await, StatusCode::FORBIDDEN);
    assert_eq!(status(with_cookie("POST", Some("same-origin"))).await, StatusCode::OK);
}

#[tokio::test]
async fn nothing_secret_is_in_an_answer_or_in_the_record() {
    let world = world().await;
    let secret = "the-canary-password-4711";
    let update = PersonUpdate { password: Some(secret.into()), role: Some(Role::Admin), ..PersonUpdate::default() };
    world.app.person_put(&Caller::system(), "raj", update).await.unwrap();
    let token = world.token(TokenKind::Robot, Some(Role::Admin)).await;
    for path in ["/api/people", "/api/tokens", "/api/events?limit=1000", "/api/session"] {
        let request = Request::get(path)
            .header(header::HOST, "127.0.0.1")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let response = world.router.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(!body.contains(secret) && !body.contains("$argon2") && !body.contains(&token), "{path}: {body}");
    }
}
