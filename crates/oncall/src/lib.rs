//! On-call as pure functions: layers of rotations over civil time, overrides, who is on call, and the escalation policy's
//! state machine.
//!
//! No IO, no clock: the instant is a parameter. A rotation is an anchor in civil time plus k times a unit, resolved in
//! the schedule's time zone; a handoff at 09:00 stays at 09:00 over a change of clocks. Only a rotation of hours may say
//! that its hours are counted as they pass.

mod calendar;
mod escalation;
mod fairness;
mod ical;
mod layer;
mod overrides;
mod plan;
mod policy;
mod readiness;
mod rest;
mod rotation;
mod schedule;

pub use calendar::{
    CALENDAR_AHEAD_MS, CALENDAR_LAYER, CALENDAR_SHIFTS_MAX, Calendar, REFRESH_S_DEFAULT, REFRESH_S_MAX, REFRESH_S_MIN,
    ShiftChange, merged_shifts, shift_changes,
};
pub use escalation::{Answer, Effect, Escalation, Expiry, Input, Progress, step};
pub use fairness::{Load, Profile, is_night, load};
pub use ical::{EVENTS_READ_MAX, ICS_BYTES_MAX, IcsEvent, IcsShift, read_events, write_calendar};
pub use layer::{Day, Layer, RESTRICTIONS_PER_LAYER_MAX, Restriction};
pub use overrides::{FixedShift, OVERRIDES_MAX, Override, OverrideKind, SHIFTS_PER_TEMPORARY_MAX};
pub use plan::{
    FALLBACK_PEOPLE_MAX, HOLIDAYS_MAX, HandoffDigest, LAYERS_MAX, MIN_REST_HOURS_MAX, Plan, SHADOWS_MAX, Shadow,
};
pub use policy::{
    ACK_MS_MAX, ACK_MS_MIN, DELAY_MS_MAX, DELAY_MS_MIN, DEPLOYER_WITHIN_MS_MAX, DeployerFirst, OFFSET_MAX, Policy,
    PolicyStep, REPEAT_MAX, STEPS_MAX, TARGETS_PER_STEP_MAX, TEAM_MEMBERS_MAX, Target, TargetKind, Teams,
    paged_members,
};
pub use readiness::{Account, ReachFacts, TestFacts, Unready, nobody_from, unready};
pub use rest::{Elsewhere, ShortRest};
pub use rotation::{Basis, PEOPLE_PER_ROTATION_MAX, Rotation, ShiftLength, Unit};
pub use schedule::{Duty, PREVIEW_MS_MAX, PREVIEW_SPANS_MAX, Schedule, Span, Version};
