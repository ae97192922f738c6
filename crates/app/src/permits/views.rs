//! The shapes of permits in the API.

use serde::{Deserialize, Serialize};
use tenfold_flags::{PermitLaw, PermitState, Phase};
use tenfold_types::Timestamp;
use utoipa::ToSchema;

use super::Permit;

/// What a job asks for, again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PermitAnswer {
    pub job: String,
    /// How much of its work the job may do now, from 0 to 1.
    pub permit: f64,
    /// `rising`, `falling` or `fail_safe`.
    pub phase: Phase,
    /// How long this answer holds. After that, without a new one, `fail_safe` is what to go by.
    pub ttl_ms: i64,
    pub fail_safe: f64,
    /// Why there is no signal, when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trouble: String,
}

/// A permit as people see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Permit)]
pub struct PermitView {
    pub job: String,
    pub law: PermitLaw,
    /// What the job gets now.
    pub permit: f64,
    pub phase: Phase,
    /// Absent before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PermitState>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PermitList {
    pub items: Vec<PermitView>,
}

/// Four digits: more say nothing.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

fn now_of(permit: &Permit, now: Timestamp) -> (f64, Phase) {
    let Some(state) = &permit.state else { return (permit.law.fail_safe, Phase::FailSafe) };
    let stale = permit.law.is_stale(state, now);
    let phase = if stale { Phase::FailSafe } else { state.phase };
    (rounded(permit.law.valid(state, now)), phase)
}

impl PermitAnswer {
    pub(super) fn new(job: &str, permit: &Permit, now: Timestamp) -> Self {
        let (value, phase) = now_of(permit, now);
        let trouble = permit.state.as_ref().map_or_else(String::new, |s| s.trouble.clone());
        Self {
            job: job.to_owned(),
            permit: value,
            phase,
            ttl_ms: permit.law.ttl_ms(),
            fail_safe: permit.law.fail_safe,
            trouble,
        }
    }
}

impl PermitView {
    pub(super) fn new(job: &str, permit: &Permit, now: Timestamp) -> Self {
        let (value, phase) = now_of(permit, now);
        Self { job: job.to_owned(), law: permit.law.clone(), permit: value, phase, state: permit.state.clone() }
    }
}
