//! Builds and hooks by the real runner: real git, real namespaces, real processes.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod commits;
mod hooks;
mod hostile;
mod keeper;
mod parent;
mod sandbox;
mod world;
