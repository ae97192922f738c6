//! How a [`Fault`] leaves the server: its status and `{"error":{"code","message","advice"}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenfold_types::{ErrorCode, Fault};

/// The innermost reason of an error, which is the one that helps a person: a refused connection, a certificate, a name that
/// is not known.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

/// A fault on its way to the client.
#[derive(Debug)]
pub struct ApiError(pub Fault);

#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct ErrorDetail {
    /// Stable reason out of the table of error codes.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// What to do about it; empty when the message says it.
    pub advice: String,
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Fault { code, message, advice } = self.0;
        let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::error!(code = code.code(), %message, "request failed");
        }
        let body = ErrorBody { error: ErrorDetail { code: code.code().to_owned(), message, advice } };
        let mut response = (status, Json(body)).into_response();
        if matches!(code, ErrorCode::Unavailable | ErrorCode::TooMany) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}
