//! Feature flags: the model, a compiled snapshot per environment, and evaluation with the semantics of Unleash (buckets,
//! strategies, constraints, segments, parents, variants), with typed values on top.
//!
//! Pure: no IO, no clock, no randomness. The instant and the random bits of an evaluation are parameters. Evaluation
//! never fails and never panics, whatever the definitions or the context hold; what SDKs would read differently is
//! refused earlier, when a definition is written.

mod compile;
mod constraint;
mod context;
mod evaluate;
mod features;
mod model;
mod murmur;
mod ramp;
pub mod validate;
mod value;

pub use compile::Snapshot;
pub use constraint::OPERATORS;
pub use context::Context;
pub use evaluate::{DISABLED_VARIANT, Evaluation, Moment, Reason};
pub use features::{ClientFeatures, Constraint, DeltaEvent, Dependency, Feature, Override, Segment, Strategy, Variant};
pub use model::{FLEXIBLE_ROLLOUT, Flag, FlagEnvironment, Kind};
pub use ramp::{Ramp, RampState, RampStep};
pub use value::{Payload, ValueType};
