//! On-call as pure functions: rotations over civil time, overrides, who is on call, and the escalation policy's state
//! machine.
//!
//! No IO, no clock: the instant is a parameter. A rotation is an anchor in civil time plus k times a unit, resolved in
//! the schedule's time zone; it never counts elapsed seconds, so a handoff at 09:00 stays at 09:00 over a change of
//! clocks.

mod escalation;
mod policy;
mod rotation;
mod schedule;

pub use escalation::{Effect, Escalation, Input, Progress, step};
pub use policy::{
    DELAY_MS_MAX, DELAY_MS_MIN, Policy, PolicyStep, REPEAT_MAX, STEPS_MAX, TARGETS_PER_STEP_MAX, Target, TargetKind,
};
pub use rotation::{PEOPLE_PER_ROTATION_MAX, Rotation, ShiftLength, Unit};
pub use schedule::{OVERRIDES_MAX, Override, Schedule, Shift};
