//! The shapes that pages, the command line and chat see.

use serde::{Deserialize, Serialize};
use tenfold_oncall::PolicyStep;
use tenfold_types::Timestamp;
use utoipa::ToSchema;

use crate::people::PersonKind;

/// A person as far as being on call goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OnCallPerson {
    pub login: String,
    pub name: String,
    pub kind: PersonKind,
}

/// Who is on call in a schedule, since and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OnCallView {
    pub schedule: String,
    /// Null when the login of the rotation has no account any more.
    pub person: Option<OnCallPerson>,
    #[schema(value_type = String)]
    pub since: Timestamp,
    #[schema(value_type = String)]
    pub until: Timestamp,
    /// The override that makes it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_id: Option<i64>,
    /// Who stands behind the person on call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<OnCallPerson>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotationView {
    pub people: Vec<String>,
    /// Civil time in the schedule's zone: `2026-11-23T09:00:00`.
    pub start: String,
    /// `12h`, `1d`, `1w` or `1mo`.
    pub shift_length: String,
    /// When shifts change, in words.
    pub handoff: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OverrideView {
    pub id: i64,
    pub person: String,
    #[schema(value_type = String)]
    pub start: Timestamp,
    #[schema(value_type = String)]
    pub end: Timestamp,
    pub by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleView {
    pub name: String,
    pub timezone: String,
    pub rotation: RotationView,
    /// Those that have not ended.
    pub overrides: Vec<OverrideView>,
    pub on_call: Option<OnCallView>,
    /// The shifts of the next 14 days.
    pub next: Vec<OnCallView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    pub name: String,
    /// Each step is paged at once when it is reached, then waits `delay_ms` for an acknowledgement.
    #[schema(value_type = Vec<Object>)]
    pub steps: Vec<PolicyStep>,
    /// How many more times the whole is gone through.
    pub repeat: u32,
}
