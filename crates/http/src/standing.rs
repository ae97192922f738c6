//! What a request stands on, for answers that outlive it: a stream ends when its token or its session does.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tenfold_app::App;

use crate::auth::{Identity, cookie_name, session_cookie};

/// Sessions and tokens in one namespace of names; no token's id begins so.
const SESSION: &str = "session:";

#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// By the token's id.
    Token(String),
    /// By the session's id.
    Session(String),
    /// Nobody was asked for: what is open to everybody.
    Nobody,
}

impl FromRequestParts<App> for Standing {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        Ok(match parts.extensions.get::<Identity>() {
            Some(Identity::Token(token)) if !token.id.is_empty() => Self::Token(token.id.clone()),
            Some(Identity::Person(..)) => session_cookie(&parts.headers, cookie_name(app))
                .map_or(Self::Nobody, |secret| Self::Session(App::session_id(&secret))),
            _ => Self::Nobody,
        })
    }
}

impl Standing {
    /// The id of the session it is.
    pub(crate) fn session(&self) -> Option<&str> {
        if let Self::Session(id) = self { Some(id) } else { None }
    }

    /// The name of the gate that streams of it share.
    pub(crate) fn gate(&self) -> Option<String> {
        match self {
            Self::Token(id) => Some(id.clone()),
            Self::Session(id) => Some(format!("{SESSION}{id}")),
            Self::Nobody => None,
        }
    }

    /// The session that a gate's name is of.
    pub(crate) fn session_of_gate(name: &str) -> Option<&str> {
        name.strip_prefix(SESSION)
    }

    /// Waits until it no longer counts.
    pub(crate) async fn ended(self, app: App) {
        match self {
            Self::Token(id) => app.token_ended(&id).await,
            Self::Session(id) => app.session_ended(&id).await,
            Self::Nobody => std::future::pending().await,
        }
    }
}
