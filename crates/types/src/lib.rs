//! The words every other crate shares: typed ids, instants, labels, actors, the event and the
//! table of error codes. No IO, no clock, no randomness: instants and random bytes come in as
//! parameters.

mod actor;
mod duration;
mod error;
mod event;
mod event_data;
mod flat;
pub mod histogram;
mod id;
mod kahan;
mod labels;
pub mod pattern;
mod point;
mod retry_after;
mod time;

pub use actor::{Actor, ActorKind};
pub use duration::{duration_prefix, format_duration_ms, parse_duration_ms};
pub use error::{ErrorCode, Fault};
pub use event::{Event, EventDraft, Severity, Source, Subject, Visibility, chain_input};
pub use event_data::EventData;
pub use flat::{FlatMap, FlatSet};
pub use histogram::{Histogram, ResetHint};
pub use id::{EventId, Id, IdKind, PageId, SessionId, TokenId};
pub use kahan::Kahan;
pub use labels::{Labels, Matcher, MatcherOp, is_legacy_name};
pub use point::{Exemplar, HistogramPoint, Point, STALE_NAN, STALE_NAN_BITS, is_stale};
pub use retry_after::{RETRY_AFTER_MS_MAX, retry_after_ms};
pub use time::{Clock, Entropy, Timestamp, civil_date};
