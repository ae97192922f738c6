//! Deploys end to end: a real server, real agents, real builds and real processes on this machine.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod after;
mod closely;
mod crash;
mod fanout;
mod fencing;
mod follow;
mod gates;
mod held;
mod hostile;
mod judged;
mod limits;
mod listed;
mod native;
mod prepare;
mod queue;
mod quiet;
mod stages;
mod story;
mod train;
mod world;
