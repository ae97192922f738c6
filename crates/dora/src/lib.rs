//! The five delivery figures (DORA, definitions of 2024) and the sentence "D deploys of C changes by P people", computed
//! from facts the record holds.
//!
//! Causality is recorded, not guessed: a deploy failed when something in the record says so (a rollback that reverts
//! it, an incident whose recorded cause it is, its own roll back in production). What may have failed but nobody said
//! is shown as the upper end of an interval. No data is `None`, never 0. No figure counts or orders people: of them
//! only their number is told. Every figure lists the events it comes from.

mod facts;
mod figures;
mod quantile;

pub use facts::{Cause, Commit, Deploy, Facts, Incident, Outcome, facts_from_events};
pub use figures::{DEFINITIONS_VERSION, Figure, Figures, Query, figures};
pub use quantile::quantile;
