//! The state store: one small port over SQLite and PostgreSQL, the event log, and every repository.
//!
//! All SQL of the project stands in this crate, written once for both databases. A repository is a
//! set of plain functions over [`Tx`] and plain row structs; it knows no clock, no randomness and no
//! use case. Whatever [`Db::write`] has answered with `Ok` survives a kill and a power cut.

pub mod agents;
pub mod alert_inbox;
pub mod alert_sources;
pub mod alerts;
pub mod chat;
pub mod checks;
pub mod counters;
pub mod cursors;
pub mod dashboards;
pub mod deploy_asks;
pub mod deploy_queue;
pub mod deploys;
pub mod digests;
pub mod events;
pub mod flag_changes;
pub mod flag_life;
pub mod flags;
pub mod forges;
pub mod incidents;
pub mod leases;
pub mod oncall;
pub mod page_updates;
pub mod people;
pub mod permits;
pub mod push_browsers;
pub mod schedule_calendars;

mod db;
mod engine;
mod error;
mod many;
mod postgres;
mod row;
mod schema;
mod sealing;
mod search;
mod sqlite;
mod tx;
mod value;

pub use db::{Db, Queued};
pub use error::StoreError;
pub use row::Row;
pub use sealing::Sealer;
pub use tx::{Dialect, Tx};
pub use value::Value;
