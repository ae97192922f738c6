//! Setup, sign-in, sign-out.

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use tenfold_app::App;
use tenfold_app::people::{Person, SESSION_TTL_MS};
use tenfold_types::Fault;
use utoipa_axum::routes;

use crate::auth::{self, Identity};
use crate::{Api, ApiError, Body, Policy};

pub fn api() -> Api {
    Api::new("session").add(Policy::Public, routes!(read, sign_in, sign_out)).add(Policy::Public, routes!(setup))
}

#[derive(Serialize, utoipa::ToSchema)]
struct Session {
    person: Option<Person>,
    /// The server signs visitors of this machine in by itself.
    demo: bool,
    /// Nobody has an account yet: open the setup link that the server printed.
    setup_needed: bool,
    version: &'static str,
}

impl Session {
    async fn of(app: &App, person: Option<Person>) -> Result<Self, Fault> {
        Ok(Self {
            person,
            demo: app.settings.demo.sign_in_as.is_some(),
            setup_needed: app.setup_needed().await?,
            version: env!("CARGO_PKG_VERSION"),
        })
    }
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    login: String,
    password: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Setup {
    /// Out of the link that the server printed.
    token: String,
    login: String,
    name: String,
    password: String,
}

/// Who is signed in.
#[utoipa::path(get, path = "/api/session", responses((status = 200, body = Session)))]
async fn read(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if let Identity::Person(person, _) = identity {
        return Ok(Json(Session::of(&app, Some(*person)).await?).into_response());
    }
    let local = peer.is_some_and(|Extension(ConnectInfo(peer))| peer.ip().is_loopback())
        && headers.get(header::HOST).and_then(|h| h.to_str().ok()).is_some_and(auth::is_loopback_host);
    if let (true, Some(login)) = (local, &app.settings.demo.sign_in_as)
        && app.person(login).await?.is_some()
    {
        let signed_in = app.open_session(login).await?;
        return with_cookie(&app, &signed_in.secret, Some(signed_in.person)).await;
    }
    Ok(Json(Session::of(&app, None).await?).into_response())
}

/// Signs in with name and password.
#[utoipa::path(post, path = "/api/session", request_body = SignIn, responses((status = 200, body = Session), (status = 401, body = crate::error::ErrorBody)))]
async fn sign_in(State(app): State<App>, Body(input): Body<SignIn>) -> Result<Response, ApiError> {
    let signed_in = app.sign_in(&input.login, &input.password).await?;
    with_cookie(&app, &signed_in.secret, Some(signed_in.person)).await
}

/// Signs out.
#[utoipa::path(delete, path = "/api/session", responses((status = 200, body = Session)))]
async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    if let Some(secret) = auth::session_cookie(&headers, auth::cookie_name(&app)) {
        app.sign_out(&secret).await?;
    }
    with_cookie(&app, "", None).await
}

/// Makes the first account out of the one-time setup link.
#[utoipa::path(post, path = "/api/setup", request_body = Setup, responses((status = 200, body = Session), (status = 410, body = crate::error::ErrorBody)))]
async fn setup(State(app): State<App>, Body(input): Body<Setup>) -> Result<Response, ApiError> {
    let signed_in = app.setup(&input.token, &input.login, &input.name, &input.password).await?;
    with_cookie(&app, &signed_in.secret, Some(signed_in.person)).await
}

async fn with_cookie(app: &App, secret: &str, person: Option<Person>) -> Result<Response, ApiError> {
    let max_age = if secret.is_empty() { 0 } else { SESSION_TTL_MS / 1000 };
    let secure = if auth::strict_cookies(app) { "; Secure" } else { "" };
    let cookie =
        format!("{}={secret}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}", auth::cookie_name(app));
    let mut response = Json(Session::of(app, person).await?).into_response();
    let value =
        HeaderValue::from_str(&cookie).map_err(|_| Fault::internal("the session cookie could not be written"))?;
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(response)
}
