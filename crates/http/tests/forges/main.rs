//! Webhooks in and statuses out: signed deliveries at the real address, and a fake forge that fails as forges fail.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod cdevents;
mod hooks;
mod replays;
#[path = "../../../protocols/tests/support/schemas.rs"]
mod schemas;
mod statuses;
mod world;
