//! Feature flags: the model, a compiled snapshot per environment, and evaluation with the semantics of Unleash (buckets,
//! strategies, constraints, segments, parents, variants), with typed values on top.
//!
//! Pure: no IO, no clock, no randomness. The instant and the random bits of an evaluation are parameters. Evaluation
//! never fails and never panics, whatever the definitions or the context hold; what SDKs would read differently is
//! refused earlier, when a definition is written.
//!
//! - A [`Flag`] is what people edit; [`Flag::features`] gives its form in the Unleash protocol (with the hidden parent
//!   that a [`Share`] with a fraction takes), which is served and compiled.
//! - A [`Snapshot`] is compiled once ([`Snapshot::compile`]); a change makes the next one out of it
//!   ([`Snapshot::with_feature`], [`Snapshot::without_feature`], [`Snapshot::with_segment`], [`Snapshot::without_segment`])
//!   and compiles only what changed. A flag's index ([`Evaluation::index`], [`Snapshot::index`]) stays through changes, so
//!   that tables beside a snapshot need not be made anew.
//! - [`Snapshot::evaluate`] answers for one flag, [`Snapshot::evaluate_all`] for all of them, out of a [`Context`].

mod compile;
mod constraint;
mod context;
mod contingency;
pub mod delta;
pub mod diff;
mod evaluate;
pub mod exchange;
pub mod explain;
mod facts;
mod features;
mod flag_ref;
pub mod fraction;
mod life;
mod model;
mod murmur;
mod network;
pub mod opt_in;
mod permit;
mod ramp;
pub mod scan;
mod snapshot;
mod table;
pub mod validate;
mod value;
pub mod wire;
mod words;

pub use constraint::OPERATORS;
pub use context::Context;
pub use contingency::{Contingency, DRILL_MS_DEFAULT, DRILL_MS_MAX, DRILL_MS_MIN, Drill, Drilled, RANK_MAX};
pub use evaluate::{DISABLED_VARIANT, Evaluation, Moment, Reason};
pub use features::{ClientFeatures, Constraint, DeltaEvent, Dependency, Feature, Override, Segment, Strategy, Variant};
pub use flag_ref::{FlagKey, FlagRef};
pub use fraction::{HIDDEN_SUFFIX, Share};
pub use life::{LIFETIME_DAYS_MAX, QUIET_DAYS, StaleReason, Use};
pub use model::{DEFAULT_PROJECT, FLEXIBLE_ROLLOUT, Flag, FlagEnvironment, Kind, SHADOW};
pub use opt_in::{Choice, OptIn};
pub use permit::{PermitLaw, PermitState, PermitTransition, Phase, Worse};
pub use ramp::{
    BadOfTotal, Comparison, Condition, ErrorCounters, Evidence, Guard, JudgeCondition, LatencyCounters, NoData, Ramp,
    RampEffect, RampInput, RampPlan, RampState, RampStep, Reading, Refused, Stance, Traffic, TripAction, WaitAction,
    Watch,
};
pub use snapshot::Snapshot;
pub use value::{Payload, ValueType};
