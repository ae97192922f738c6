//! Webhooks of the places where repositories live: GitHub, GitLab, Gitea and Forgejo. Headers and bytes in, a checked
//! delivery or a reason out; nothing of the body is read before its signature fits.
//!
//! - GitHub: `X-Hub-Signature-256: sha256=HEX`, an HMAC-SHA256 over the body;
//! - Gitea, Forgejo: `X-Gitea-Signature` or `X-Forgejo-Signature`, the same in bare hex;
//! - GitLab: its signing token, which is Standard Webhooks (`webhook-signature` over id, time and body), or the plain
//!   `X-Gitlab-Token`, which proves who sends but not what.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

mod compare;
mod event;

pub use compare::{compare_url, is_web_base, known_forge};
pub use event::{ForgeEvent, Push, PushedCommit, repository_key};

use crate::signature::{SignatureError, about_now, hex_fits, is_hex_mac, is_standard, standard};

/// Largest body of a webhook that is read.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Shortest secret that is taken.
pub const SECRET_BYTES_MIN: usize = 16;
const ID_BYTES_MAX: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forge {
    Github,
    Gitlab,
    /// Forgejo, too: it sends the headers of both names.
    #[serde(alias = "forgejo")]
    Gitea,
}

impl Forge {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Github => "GitHub",
            Self::Gitlab => "GitLab",
            Self::Gitea => "Gitea",
        }
    }
}

/// Why a delivery was not taken. `Signature` says no more than it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    #[error("the header {0} is missing")]
    NoHeader(&'static str),
    #[error(transparent)]
    Signed(#[from] SignatureError),
    #[error("the delivery's id is longer than {ID_BYTES_MAX} bytes or holds control characters")]
    Id,
    #[error("the body cannot be read: {0}")]
    Body(String),
}

/// A delivery whose signature fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// As the sender numbers it; absent where it does not.
    pub id: Option<String>,
    /// SHA-256 over what was signed and the event's kind, in hex. Where the id is not signed, a recorded request that is
    /// sent again under another id is known by it.
    pub digest: String,
    /// As the sender calls it: `push`, `Push Hook`.
    pub kind: String,
    pub event: ForgeEvent,
}

/// Whether a delivery may come from who has the secret, as far as its headers tell: what cannot is refused before its body
/// is read. A plain token is checked here already. Of a signature only its form is known, and the time that is signed with
/// it; whether it fits, only [`receive`] says.
pub fn looks_signed<'a>(
    forge: Forge,
    secret: &[u8],
    header: impl Fn(&str) -> Option<&'a str>,
    now_ms: i64,
) -> Result<(), WebhookError> {
    match forge {
        Forge::Github => is_hex_mac(github_signature(&header)?)?,
        Forge::Gitea => is_hex_mac(gitea_signature(&header)?)?,
        Forge::Gitlab => match header("webhook-signature") {
            Some(signatures) => {
                let (_, time) = signed_with(&header)?;
                is_standard(signatures)?;
                about_now(time, now_ms)?;
            }
            None => token_fits(secret, &header)?,
        },
    }
    Ok(())
}

/// Checks a delivery and reads it. `header` looks a header up by its lower-case name.
pub fn receive<'a>(
    forge: Forge,
    secret: &[u8],
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    now_ms: i64,
) -> Result<Delivery, WebhookError> {
    let id = match forge {
        Forge::Github => github(secret, &header, body)?,
        Forge::Gitea => gitea(secret, &header, body)?,
        Forge::Gitlab => gitlab(secret, &header, body, now_ms)?,
    };
    let kind = match forge {
        Forge::Github => header("x-github-event").ok_or(WebhookError::NoHeader("X-GitHub-Event"))?,
        Forge::Gitea => header("x-gitea-event")
            .or_else(|| header("x-forgejo-event"))
            .ok_or(WebhookError::NoHeader("X-Gitea-Event"))?,
        Forge::Gitlab => header("x-gitlab-event").ok_or(WebhookError::NoHeader("X-Gitlab-Event"))?,
    };
    for text in id.iter().map(String::as_str).chain([kind]) {
        if text.is_empty() || text.len() > ID_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(WebhookError::Id);
        }
    }
    let event = event::read(forge, kind, body)?;
    let mut hash = Sha256::new();
    hash.update(kind.as_bytes());
    hash.update([0]);
    hash.update(body);
    Ok(Delivery { id, digest: hex::encode(hash.finalize()), kind: kind.to_owned(), event })
}

type Checked = Result<Option<String>, WebhookError>;

fn github<'a>(secret: &[u8], header: &impl Fn(&str) -> Option<&'a str>, body: &[u8]) -> Checked {
    hex_fits(secret, &[body], github_signature(header)?)?;
    Ok(header("x-github-delivery").map(str::to_owned))
}

fn gitea<'a>(secret: &[u8], header: &impl Fn(&str) -> Option<&'a str>, body: &[u8]) -> Checked {
    hex_fits(secret, &[body], gitea_signature(header)?)?;
    Ok(header("x-gitea-delivery").or_else(|| header("x-forgejo-delivery")).map(str::to_owned))
}

fn gitlab<'a>(secret: &[u8], header: &impl Fn(&str) -> Option<&'a str>, body: &[u8], now_ms: i64) -> Checked {
    if let Some(signatures) = header("webhook-signature") {
        let (id, time) = signed_with(header)?;
        standard(secret, id, time, signatures, body, now_ms)?;
        return Ok(Some(id.to_owned()));
    }
    token_fits(secret, header)?;
    let id = header("idempotency-key").or_else(|| header("x-gitlab-event-uuid"));
    Ok(id.map(str::to_owned))
}

/// In hex.
fn github_signature<'a>(header: &impl Fn(&str) -> Option<&'a str>) -> Result<&'a str, WebhookError> {
    let given = header("x-hub-signature-256").ok_or(WebhookError::NoHeader("X-Hub-Signature-256"))?;
    Ok(given.strip_prefix("sha256=").ok_or(SignatureError::Signature)?)
}

/// In hex.
fn gitea_signature<'a>(header: &impl Fn(&str) -> Option<&'a str>) -> Result<&'a str, WebhookError> {
    let given = header("x-gitea-signature").or_else(|| header("x-forgejo-signature"));
    given.ok_or(WebhookError::NoHeader("X-Gitea-Signature"))
}

/// The id and the time of Standard Webhooks, which are signed with the body.
fn signed_with<'a>(header: &impl Fn(&str) -> Option<&'a str>) -> Result<(&'a str, &'a str), WebhookError> {
    let id = header("webhook-id").ok_or(WebhookError::NoHeader("webhook-id"))?;
    let time = header("webhook-timestamp").ok_or(WebhookError::NoHeader("webhook-timestamp"))?;
    Ok((id, time))
}

fn token_fits<'a>(secret: &[u8], header: &impl Fn(&str) -> Option<&'a str>) -> Result<(), WebhookError> {
    let given = header("x-gitlab-token").ok_or(WebhookError::NoHeader("X-Gitlab-Token"))?;
    // hashed first, so that not even the length shows in the time taken
    let same = Sha256::digest(given.as_bytes()).ct_eq(&Sha256::digest(secret));
    if bool::from(same) { Ok(()) } else { Err(SignatureError::Signature.into()) }
}

#[cfg(test)]
mod tests;
