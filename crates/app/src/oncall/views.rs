//! The shapes that pages, the command line and chat see.

use serde::{Deserialize, Serialize};
use tenfold_oncall::{DeployerFirst, Override, OverrideKind, Plan, PolicyStep};
use tenfold_types::Timestamp;
use utoipa::ToSchema;

use super::followed::FollowedView;
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
    /// Null in a gap, and when the login has no account any more.
    pub person: Option<OnCallPerson>,
    /// Others who are on call at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<OnCallPerson>,
    /// Those who learn; they get a copy of each page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<OnCallPerson>,
    #[schema(value_type = String)]
    pub since: Timestamp,
    #[schema(value_type = String)]
    pub until: Timestamp,
    /// The layer that covers; absent when an override or the fallback does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// The last made of the overrides that make it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_id: Option<i64>,
    /// Nobody else is on call, so the schedule's fallback is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fallback: bool,
    /// Who stands behind the person on call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<OnCallPerson>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LayerView {
    pub name: String,
    pub timezone: String,
    pub people: Vec<String>,
    /// Civil time in the layer's zone: `2026-11-23T09:00:00`.
    pub start: String,
    /// `12h`, `1d`, `1w` or `1mo`.
    pub shift_length: String,
    /// When shifts change, in words.
    pub handoff: String,
    /// When the layer holds, in words; empty when always.
    pub restrictions: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OverrideView {
    pub id: i64,
    #[schema(value_type = String)]
    pub kind: OverrideKind,
    /// Empty for a temporary schedule.
    pub person: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    #[schema(value_type = String)]
    pub start: Timestamp,
    #[schema(value_type = String)]
    pub end: Timestamp,
    pub by: String,
    /// Rests that are too short because of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub short_rests: Vec<RestView>,
}

pub(super) fn override_view(o: &Override) -> OverrideView {
    OverrideView {
        id: o.id,
        kind: o.kind,
        person: o.person.clone(),
        replaces: o.replaces.clone(),
        start: o.start,
        end: o.end,
        by: o.by.clone(),
        short_rests: Vec::new(),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleView {
    pub name: String,
    pub timezone: String,
    /// The newest plan, as it is written with PUT.
    #[schema(value_type = Object)]
    pub plan: Plan,
    /// Of the newest plan; a later one covers an earlier one.
    pub layers: Vec<LayerView>,
    /// Everybody the newest plan names.
    pub people: Vec<String>,
    /// The number of the newest version.
    pub version: i64,
    /// When the newest version begins, if it has not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub begins_at: Option<Timestamp>,
    /// Those that have not ended.
    pub overrides: Vec<OverrideView>,
    pub on_call: Option<OnCallView>,
    /// The shifts of the next 14 days.
    pub next: Vec<OnCallView>,
    /// The calendar that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<FollowedView>,
}

/// A version of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VersionView {
    pub number: i64,
    #[schema(value_type = String)]
    pub from: Timestamp,
    #[schema(value_type = String)]
    pub made_at: Timestamp,
    pub made_by: String,
    #[schema(value_type = Object)]
    pub plan: Plan,
}

/// A stretch of time in which the same people are on call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SpanView {
    #[schema(value_type = String)]
    pub since: Timestamp,
    #[schema(value_type = String)]
    pub until: Timestamp,
    pub people: Vec<String>,
    pub shadows: Vec<String>,
    pub secondary: Option<String>,
    pub layer: Option<String>,
    pub overrides: Vec<i64>,
    pub fallback: bool,
    /// Nobody is on call.
    pub gap: bool,
    /// More than one person is.
    pub overlap: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LayerSpansView {
    pub name: String,
    pub spans: Vec<SpanView>,
}

/// A person has less rest between two shifts than the plan wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestView {
    pub person: String,
    /// When the one shift ends.
    #[schema(value_type = String)]
    pub from: Timestamp,
    /// When the next begins.
    #[schema(value_type = String)]
    pub to: Timestamp,
    pub min_rest_hours: u32,
    /// The other schedule that the shift before is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// They rest from a page in the night, not from a shift.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_page: bool,
    /// The other schedule that the shift behind is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl RestView {
    /// What it lies between, where that is not two shifts of one schedule: ` (after db)`. Empty otherwise.
    pub fn between(&self) -> String {
        match (&self.after, self.after_page, &self.before) {
            (_, true, _) => " (after a page in the night)".to_owned(),
            (Some(after), _, _) => format!(" (after {after})"),
            (None, _, Some(before)) => format!(" (before {before})"),
            (None, _, None) => String::new(),
        }
    }
}

/// What a schedule says over a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreviewView {
    pub schedule: String,
    #[schema(value_type = String)]
    pub from: Timestamp,
    #[schema(value_type = String)]
    pub to: Timestamp,
    /// Each layer alone, while it holds.
    pub layers: Vec<LayerSpansView>,
    /// Who is on call, without holes: a gap is a span of its own.
    pub spans: Vec<SpanView>,
    pub gap_ms: i64,
    pub overlap_ms: i64,
    pub fallback_ms: i64,
    pub short_rests: Vec<RestView>,
    /// There are more spans than one preview lists.
    pub truncated: bool,
    /// The calendar that is followed. What lies behind its `until` is not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<FollowedView>,
}

/// A swap that somebody asks of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SwapView {
    pub id: i64,
    pub schedule: String,
    /// `open`, `accepted`, `declined` or `withdrawn`.
    pub state: String,
    /// Who asks.
    pub from: String,
    /// Who is asked.
    pub with: String,
    #[schema(value_type = String)]
    pub give_start: Timestamp,
    #[schema(value_type = String)]
    pub give_end: Timestamp,
    #[schema(value_type = Option<String>)]
    pub take_start: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    pub take_end: Option<Timestamp>,
    /// Rests that are too short because it was accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub short_rests: Vec<RestView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    pub name: String,
    /// Each step is paged at once when it is reached, then waits `delay_ms` for an acknowledgement.
    #[schema(value_type = Vec<Object>)]
    pub steps: Vec<PolicyStep>,
    /// How many more times the whole is gone through.
    pub repeat: u32,
    /// Whoever deployed the service shortly before is asked first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub deployer_first: Option<DeployerFirst>,
    /// An acknowledgement that is older is over, and the policy is gone through again; without it one holds for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_timeout_ms: Option<i64>,
}
