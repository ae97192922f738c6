//! Series by hand: the notation of Prometheus' test scripts and unit-test files, and a table of samples to query.

mod notation;
mod table;

pub use notation::{ITEMS_MAX, Item, description, items, number, quoted, start_offsets};
pub use table::{Stored, Table};
