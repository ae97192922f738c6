//! Deploys without IO: the pipeline file, the artifact manifest, which hosts go when, and the state machine that takes a
//! release from a commit to the hosts and back.
//!
//! Nothing here reads a clock, a file or a socket: `machine::step(run, input, now)` returns the next state and the effects
//! for the shell to run. What is not known about a host is never read as good.

pub mod cluster;
pub mod delta;
pub mod machine;
pub mod manifest;
pub mod pipeline;
mod plan;
pub mod queue;
pub mod train;

pub use manifest::{Digest, Manifest, ManifestError};
pub use pipeline::{HostSelector, Pipeline, PipelineError, Prepare, Target};
pub use plan::{CanaryCheck, Plan, PlannedApproval, PlannedStep, Stage, natural_cmp};
