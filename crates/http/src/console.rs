//! The web room, search, and the code that links a chat identity to an account.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tenfold_app::App;
use tenfold_app::chat::{ConsoleMessage, LinkCode};
use tenfold_app::record::EventQuery;
use tenfold_types::{Event, Fault};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("console")
        .add(Policy::Viewer, routes!(messages, post))
        .add(Policy::Viewer, routes!(search))
        .add(Policy::Person, routes!(link))
}

const SEARCH_EVENTS_MAX: usize = 200;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MessagesQuery {
    before: Option<i64>,
    limit: Option<usize>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct MessageList {
    /// Newest first.
    items: Vec<ConsoleMessage>,
    next: Option<i64>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    text: String,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Posted {
    /// What the bot answered; absent when nothing was asked of it.
    reply: Option<String>,
    /// Error code, when the command was not carried out.
    refused: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    /// Words, all of which must be there.
    q: String,
    before: Option<i64>,
    limit: Option<usize>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Found {
    #[schema(value_type = Vec<crate::events::EventShape>)]
    items: Vec<Event>,
    next: Option<i64>,
}

/// What was said and announced in the room.
#[utoipa::path(get, path = "/api/console/messages", params(MessagesQuery), responses((status = 200, body = MessageList)))]
async fn messages(State(app): State<App>, QueryOf(q): QueryOf<MessagesQuery>) -> Result<Json<MessageList>, ApiError> {
    let (items, next) = app.console_messages(q.before, q.limit).await?;
    Ok(Json(MessageList { items, next }))
}

/// Says something, or runs a command: `!deploy photos`, `doing "rebooting db2"`.
#[utoipa::path(post, path = "/api/console/messages", request_body = NewMessage, responses((status = 200, body = Posted)))]
async fn post(
    State(app): State<App>,
    Who(who): Who,
    Body(message): Body<NewMessage>,
) -> Result<Json<Posted>, ApiError> {
    let reply = app.console_post(&who, &message.text).await?;
    let refused = reply.as_ref().and_then(|r| r.refused).map(|code| code.code().to_owned());
    Ok(Json(Posted { reply: reply.map(|r| r.text()), refused }))
}

/// Finds rows of the record by their words, newest first.
#[utoipa::path(get, path = "/api/search", params(SearchQuery), responses((status = 200, body = Found)))]
async fn search(
    State(app): State<App>,
    Who(who): Who,
    QueryOf(q): QueryOf<SearchQuery>,
) -> Result<Json<Found>, ApiError> {
    if q.q.trim().is_empty() {
        return Err(Fault::invalid("there is nothing to search for; give words in `q`").into());
    }
    let limit = q.limit.unwrap_or(50).clamp(1, SEARCH_EVENTS_MAX);
    let include_admin = who.may(tenfold_app::Role::Admin, None, None);
    let query = EventQuery { q: Some(q.q), before: q.before, limit, include_admin, ..EventQuery::default() };
    let items = app.events(query).await?;
    let next = if items.len() == limit { items.last().map(|e| e.seq) } else { None };
    Ok(Json(Found { items, next }))
}

/// A one-time code: whoever says it to the bot is the caller, on that connection.
#[utoipa::path(post, path = "/api/chat/link", responses((status = 200, body = LinkCode)))]
async fn link(State(app): State<App>, Who(who): Who) -> Result<Json<LinkCode>, ApiError> {
    Ok(Json(app.chat_link_create(&who).await?))
}
