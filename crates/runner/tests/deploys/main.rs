//! Deploys end to end: a real server, real agents, real builds and real processes on this machine.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod crash;
mod fanout;
mod fencing;
mod follow;
mod judged;
mod story;
mod world;
