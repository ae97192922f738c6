//! What the provider of text messages and calls tells: its addresses are open to everybody, its signature is what lets it in.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tenfold_app::App;
use utoipa_axum::routes;

use crate::{Api, ApiError, Policy, push};

/// It sends a few fields at once.
const BODY_BYTES_MAX: usize = 64 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Where the signature stands.
const SIGNATURE: &str = "x-twilio-signature";

pub fn api() -> Api {
    Api::new("telephones")
        .add(Policy::Public, routes!(status))
        .add(Policy::Public, routes!(key))
        .add(Policy::Public, routes!(text))
}

/// The fields of a form that the provider signed, and the key in the address.
struct Told {
    key: String,
    fields: Vec<(String, String)>,
}

impl Told {
    /// Anybody may send here, so few are heard at a time and none for long.
    async fn read(app: &App, request: Request) -> Result<Self, ApiError> {
        let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        let key = key_of(request.uri());
        let signature = request.headers().get(SIGNATURE).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        let _place = app.sources.place().await?;
        let body = push::whole_within(request, BODY_BYTES_MAX, BODY_TIMEOUT).await?;
        let fields: Vec<_> = url::form_urlencoded::parse(&body).into_owned().collect();
        app.phone_signed(&path, &fields, &signature)?;
        Ok(Self { key, fields })
    }

    fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

fn key_of(uri: &Uri) -> String {
    let mut pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.find(|(name, _)| name == "key").map_or_else(String::new, |(_, value)| value.into_owned())
}

/// What the provider does next, in its XML.
fn twiml(verb: &str, words: &str) -> Response {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    response(&format!("<{verb}>{words}</{verb}>"))
}

fn response(inside: &str) -> Response {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{inside}</Response>");
    ([(CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response()
}

/// Takes what became of a text message or a call, as Twilio tells it (`StatusCallback`).
#[utoipa::path(post, path = "/hooks/twilio/status", operation_id = "phone_status", params(("key" = String, Query, description = "That of the delivery.")), request_body(content = String, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 204, description = "Taken."),
    (status = 401, description = "The signature does not fit; nothing was written."),
    (status = 404, description = "No message or call has this key."),
    (status = 413, description = "The body is larger than 64 KiB."),
    (status = 503, description = "Too many at once; to be sent again."),
))]
async fn status(State(app): State<App>, request: Request) -> Result<StatusCode, ApiError> {
    let told = Told::read(&app, request).await?;
    let status = [told.field("MessageStatus"), told.field("CallStatus")].concat();
    app.phone_status(&told.key, &status, Some(told.field("ErrorCode"))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A key was pressed in a call: 4 acknowledges. The answer is what is said.
#[utoipa::path(post, path = "/hooks/twilio/key", operation_id = "phone_key", params(("key" = String, Query, description = "That of the delivery.")), request_body(content = String, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, body = String, content_type = "text/xml"),
    (status = 401, description = "The signature does not fit; nothing was written."),
    (status = 404, description = "No call has this key."),
    (status = 413, description = "The body is larger than 64 KiB."),
    (status = 503, description = "Too many at once; to be sent again."),
))]
async fn key(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let told = Told::read(&app, request).await?;
    Ok(twiml("Say", &app.phone_key(&told.key, told.field("Digits")).await?))
}

/// A text message came in: `4 12` acknowledges incident 12. The answer is what is sent back: nothing to a number that
/// nobody here has.
#[utoipa::path(post, path = "/hooks/twilio/text", operation_id = "phone_text", request_body(content = String, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, body = String, content_type = "text/xml"),
    (status = 401, description = "The signature does not fit; nothing was written."),
    (status = 413, description = "The body is larger than 64 KiB."),
    (status = 503, description = "Too many at once; to be sent again."),
))]
async fn text(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let told = Told::read(&app, request).await?;
    let answer = app.phone_text(told.field("From"), told.field("Body")).await?;
    // Without a verb nothing is sent.
    Ok(answer.map_or_else(|| response(""), |words| twiml("Message", &words)))
}
