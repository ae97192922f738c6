//! People, teams, environments and tokens.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tenfold_app::people::{Environment, EnvironmentSettings, NewToken, Person, PersonUpdate, Token, TokenCreated};
use tenfold_app::{App, Role};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy};

pub fn api() -> Api {
    Api::new("people")
        .add(Policy::Viewer, routes!(people))
        .add(Policy::Viewer, routes!(put))
        .add(Policy::Viewer, routes!(teams))
        .add(Policy::Viewer, routes!(environments))
        .add(Policy::Role(Role::Admin), routes!(environment_create))
        .add(Policy::Role(Role::Admin), routes!(environment_put))
        .add(Policy::Role(Role::Admin), routes!(tokens, token_create))
        .add(Policy::Role(Role::Admin), routes!(token_revoke))
}

#[derive(Serialize, utoipa::ToSchema)]
struct PersonList {
    items: Vec<Person>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct Team {
    name: String,
    members: Vec<String>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct TeamList {
    items: Vec<Team>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct EnvironmentList {
    items: Vec<Environment>,
}
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEnvironment {
    name: String,
}
#[derive(Serialize, utoipa::ToSchema)]
struct TokenList {
    items: Vec<Token>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct Done {
    done: bool,
}

/// Everybody who has an account.
#[utoipa::path(get, path = "/api/people", responses((status = 200, body = PersonList)))]
async fn people(State(app): State<App>, Who(who): Who) -> Result<Json<PersonList>, ApiError> {
    let mut items = app.people().await?;
    for person in &mut items {
        person.hide_from(&who);
    }
    Ok(Json(PersonList { items }))
}

/// Creates or changes a person; people may change their own name, time zone, contact and password.
#[utoipa::path(put, path = "/api/people/{login}", params(("login" = String, Path)), request_body = PersonUpdate, responses((status = 200, body = Person)))]
async fn put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(login): PathOf<String>,
    Body(update): Body<PersonUpdate>,
) -> Result<Json<Person>, ApiError> {
    Ok(Json(app.person_put(&who, &login, update).await?))
}

/// Teams and their members.
#[utoipa::path(get, path = "/api/teams", responses((status = 200, body = TeamList)))]
async fn teams(State(app): State<App>) -> Result<Json<TeamList>, ApiError> {
    let teams = app.teams().await?;
    Ok(Json(TeamList { items: teams.into_iter().map(|(name, members)| Team { name, members }).collect() }))
}

/// Environments in order; the first is meant where none is named.
#[utoipa::path(get, path = "/api/environments", responses((status = 200, body = EnvironmentList)))]
async fn environments(State(app): State<App>) -> Result<Json<EnvironmentList>, ApiError> {
    Ok(Json(EnvironmentList { items: app.environments().await? }))
}

/// Adds an environment.
#[utoipa::path(post, path = "/api/environments", request_body = NewEnvironment, responses((status = 200, body = Environment)))]
async fn environment_create(
    State(app): State<App>,
    Who(who): Who,
    Body(new): Body<NewEnvironment>,
) -> Result<Json<Environment>, ApiError> {
    Ok(Json(app.environment_create(&who, &new.name).await?))
}

/// Changes what holds in an environment, or adds it.
#[utoipa::path(put, path = "/api/environments/{name}", params(("name" = String, Path)), request_body = EnvironmentSettings, responses((status = 200, body = Environment)))]
async fn environment_put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(settings): Body<EnvironmentSettings>,
) -> Result<Json<Environment>, ApiError> {
    Ok(Json(app.environment_put(&who, &name, settings).await?))
}

/// Tokens that are valid now, without their secrets.
#[utoipa::path(get, path = "/api/tokens", responses((status = 200, body = TokenList)))]
async fn tokens(State(app): State<App>, Who(who): Who) -> Result<Json<TokenList>, ApiError> {
    Ok(Json(TokenList { items: app.tokens(&who).await? }))
}

/// Makes a token; its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/tokens", request_body = NewToken, responses((status = 200, body = TokenCreated)))]
async fn token_create(
    State(app): State<App>,
    Who(who): Who,
    Body(new): Body<NewToken>,
) -> Result<Json<TokenCreated>, ApiError> {
    Ok(Json(app.token_create(&who, new).await?))
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/api/tokens/{id}", params(("id" = String, Path)), responses((status = 200, body = Done)))]
async fn token_revoke(
    State(app): State<App>,
    Who(who): Who,
    PathOf(id): PathOf<String>,
) -> Result<Json<Done>, ApiError> {
    app.token_revoke(&who, &id).await?;
    Ok(Json(Done { done: true }))
}
