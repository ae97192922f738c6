//! What an acknowledgement is worth: nothing that was acknowledged is lost when the process is killed
//! or the power goes, and when the disk fails nothing more is acknowledged.
//!
//! The SQLite store runs in a child process, which is this test binary again (see `child`): it can be
//! killed, and a filesystem served by this process must not be mapped by this process.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod child;
mod faults;
mod kill;
mod postgres_crash;
mod power_cut;
mod work;
