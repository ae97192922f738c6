//! The flag protocols over HTTP: what each client asks, what it may read, and that nothing is sent twice.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

#[path = "../common/mod.rs"]
mod common;
mod world;

mod browsers;
mod flagd;
mod ofrep;
mod projects;
mod shadow;
mod unleash;
