//! PromQL: parse a query and evaluate it over anything that can select series ([`Queryable`]).
//!
//! Semantics are those of Prometheus 3 (ranges and lookback are open on the left, metric names are dropped at the end).
//! The crate is pure: no clock (the instants are arguments), no IO but through `Queryable`, no threads but
//! those that [`Threads`] lends; the answer is the same whatever their number. Every query is bounded by
//! [`Limits`] and can be interrupted from outside by an [`Interrupt`].

mod error;
mod eval;
mod functions;
mod pattern;
pub mod series;
mod source;
mod syntax;
mod value;

pub use error::{Annotation, Level, QueryError, Span};
pub use eval::{Held, Interrupt, Limits, NanosClock, PlanNode, Pool, Query, StepCounts, Threads, instant, range};
pub use functions::function_names;
pub use source::{
    AggregateRow, Queryable, Reach, ReadRows, ReadSamples, Resolution, RowsData, Run, Samples, SeriesData,
};
pub use syntax::{Dialect, EXPRESSION_BYTES_MAX, ast, parse, parse_any_matchers, parse_as, parse_matchers, string_at};
pub use value::{Output, Sample, Series, Value, VectorSample, duration_or_seconds_ms, format_float, put_float};
