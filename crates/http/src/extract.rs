//! Extractors that answer bad input with one sentence.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tenfold_httpkit::error::innermost;
use tenfold_types::{ErrorCode, Fault};

use crate::ApiError;

/// Largest request body, unless a route says otherwise.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(req: Request, state: &S) -> Result<Self, ApiError> {
        match axum::Json::<T>::from_request(req, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError(json_fault(&rejection))),
        }
    }
}

fn json_fault(rejection: &JsonRejection) -> Fault {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => {
            Fault::new(ErrorCode::UnsupportedMedia, "the request body is not marked as JSON")
                .advice("send the header Content-Type: application/json")
        }
        JsonRejection::JsonSyntaxError(e) => {
            Fault::new(ErrorCode::BadRequest, format!("the request body is not JSON: {}", innermost(e)))
        }
        JsonRejection::JsonDataError(e) => Fault::invalid(format!("the request body does not fit: {}", innermost(e))),
        other if other.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE => {
            Fault::new(ErrorCode::TooLarge, format!("the request body is larger than {BODY_BYTES_MAX} bytes"))
        }
        other => Fault::new(ErrorCode::BadRequest, format!("the request body could not be read: {other}")),
    }
}

/// Path parameters.
pub struct PathOf<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Path::<T>::from_request_parts(parts, state).await.map(|Path(value)| Self(value)).map_err(|e: PathRejection| {
            ApiError(Fault::new(ErrorCode::BadRequest, format!("the address does not fit: {}", e.body_text())))
        })
    }
}

/// Query parameters.
pub struct QueryOf<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Query::<T>::from_request_parts(parts, state).await.map(|Query(value)| Self(value)).map_err(
            |e: QueryRejection| {
                ApiError(Fault::new(
                    ErrorCode::BadRequest,
                    format!("the query parameters do not fit: {}", innermost(&e)),
                ))
            },
        )
    }
}
