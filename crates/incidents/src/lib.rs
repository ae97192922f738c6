//! Incidents as pure functions: the phases of a timeline read from events, a postmortem draft that names roles instead of
//! people, and a reviewer of language that asks a better question where a sentence blames.
//!
//! Nothing here blocks, ranks or counts people. A draft only holds what the record says; what nobody recorded is left as
//! a question to be answered by those who were there.

mod noise;
mod phase;
mod postmortem;
mod review;
mod roles;
mod score;

pub use noise::{PageKind, Paged, RuleNoise, TeamNoise, WAKE_COST, digest, noise, team_lines};
pub use phase::{Phase, TimelineEntry, timeline};
pub use postmortem::{Draft, postmortem};
pub use review::{Finding, Level, Reviewer, TEXT_BYTES_MAX};
pub use roles::{Person, Roles};
pub use score::{ChannelScore, DrillPage, DrillScore, DrillTry, score};
