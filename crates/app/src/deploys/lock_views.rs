//! The shapes of locks, freezes and pins.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use super::views::production;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Lock {
    pub id: String,
    pub service: String,
    pub environment: String,
    /// Login or robot name.
    pub owner: String,
    pub owner_name: String,
    pub reason: String,
    pub kind: LockKind,
    /// When a freeze begins, if that is later than when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub from: Option<Timestamp>,
    /// The one commit a pin lets through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
    /// It went back by itself and left this lock, which `rollforward` ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy: Option<i64>,
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LockKind {
    /// Nobody but its owner deploys.
    #[default]
    Lock,
    /// Nobody deploys, its owner neither.
    Freeze,
    /// One commit may be deployed and no other.
    Pin,
}

impl LockKind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Freeze => "freeze",
            Self::Pin => "pin",
        }
    }
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLock {
    pub service: String,
    #[serde(default = "production")]
    pub environment: String,
    pub reason: String,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Timestamp>,
    /// Instead of `expires_at`.
    #[serde(default)]
    pub minutes: Option<i64>,
    #[serde(default)]
    pub kind: LockKind,
    /// When a freeze begins; now unless given. A freeze may be for all services, `*`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub from: Option<Timestamp>,
    /// Branch, tag or commit of a pin; the service's branch unless given.
    #[serde(default, rename = "ref")]
    pub sha: Option<String>,
}
