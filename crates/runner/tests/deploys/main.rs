//! Deploys end to end: a real server, real agents, real builds and real processes on this machine.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod after;
mod crash;
mod fanout;
mod fencing;
mod follow;
mod gates;
mod judged;
mod quiet;
mod story;
mod train;
mod world;
