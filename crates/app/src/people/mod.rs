//! People, robots and their rights: who may do what, sign-in, sessions, tokens.
//!
//! Deny by default. Passwords are hashed with Argon2id behind a limiter, tokens and sessions are kept as BLAKE3 hashes only.

mod access;
mod browsers;
mod environments;
mod passwords;
mod profile;
mod rules;
mod sessions;
mod tokens;
mod valid_tokens;

use std::collections::HashMap;

use parking_lot::Mutex;
use tenfold_store::people as store;
use tenfold_types::{Actor, EventDraft, Fault, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::App;
use crate::record::mirror;

pub use access::{Caller, Grant, Role};
pub(crate) use browsers::to as push_to;
pub use browsers::{Browser, BrowserKeys, NewBrowser, PushView};
pub(crate) use environments::four_eyes;
pub use environments::{Environment, EnvironmentSettings};
pub use passwords::PASSWORD_CHARS_MIN;
pub(crate) use profile::from_row;
pub use profile::{Contact, Person, PersonKind, PersonUpdate, QuietHours};
pub use rules::{Method, NotificationRules};
pub(crate) use rules::{Planned, planned};
pub use sessions::{SESSION_TTL_MS, SignedIn};
pub use tokens::{NewToken, TOKEN_PROJECTS_MAX, Token, TokenCreated, TokenKind};

/// Sign-in attempts being counted, and the gate in front of the password hash.
pub struct State {
    attempts: Mutex<sessions::Attempts>,
    hashing: tokio::sync::Semaphore,
    valid_tokens: valid_tokens::ValidTokens,
    /// Who was let in by which session and when, by the hash of its secret.
    sessions_seen: Mutex<HashMap<String, (Person, Timestamp)>>,
    /// Moves whenever this node ended sessions.
    sessions_ended: watch::Sender<u64>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            attempts: Mutex::default(),
            hashing: tokio::sync::Semaphore::new(passwords::PARALLEL_MAX),
            valid_tokens: valid_tokens::ValidTokens::default(),
            sessions_seen: Mutex::default(),
            sessions_ended: watch::Sender::default(),
        }
    }
}

/// The environments a new installation starts with, first the one that commands mean when they name none.
const FIRST_ENVIRONMENTS: [&str; 2] = ["production", "development"];

pub async fn load(app: &App) -> Result<(), Fault> {
    app.transact(|t| {
        if !store::environments(t.tx())?.is_empty() {
            return Ok(());
        }
        for (position, name) in FIRST_ENVIRONMENTS.into_iter().enumerate() {
            store::environment_put(t.tx(), name, position as i64, "{}")?;
        }
        t.record(EventDraft::new(
            Actor::system(),
            tenfold_types::Source::System,
            "environment.created",
            format!("Started with the environments {}", FIRST_ENVIRONMENTS.join(" and ")),
        ))?;
        Ok(())
    })
    .await?;
    app.tokens_load().await
}

/// Forgets tokens that expired, and takes over what another node on the same database did to the tokens.
pub async fn run(app: App, stop: CancellationToken) {
    let concerns = |kind: &str| kind.starts_with("token.");
    mirror(&app, &stop, "tokens", concerns, || app.people.valid_tokens.expire(app.now()), || app.tokens_load()).await;
}

/// Hex BLAKE3 of a secret with 128 bits or more of its own entropy (a token, a session), for which a slow hash adds nothing.
pub(crate) fn digest(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

/// Checks a name that people type and that stands in links: lower-case letters, digits, `-`, `_`, `.`; 1 to 63 characters.
pub fn check_name(what: &str, name: &str) -> Result<(), Fault> {
    const NAME_CHARS_MAX: usize = 63;
    let ok = !name.is_empty()
        && name.len() <= NAME_CHARS_MAX
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'))
        && name.as_bytes()[0].is_ascii_alphanumeric();
    if ok {
        return Ok(());
    }
    Err(Fault::invalid(format!("`{name}` cannot be the name of a {what}"))
        .advice("use 1 to 63 lower-case letters, digits, `-`, `_` or `.`, starting with a letter or digit"))
}
