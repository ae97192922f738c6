//! iCalendar (RFC 5545): shifts out, events in.

mod read;
mod recur;
mod windows;
mod write;
mod zones;

pub use read::{EVENTS_READ_MAX, ICS_BYTES_MAX, IcsEvent, read_events};
pub use write::{IcsShift, write_calendar};
