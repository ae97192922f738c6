//! Deploys that do not go to hosts, end to end: a real server, real builds, and a cluster that somebody else wrote (kmock for
//! Kubernetes) or whose requests are held against Nomad's own description of its API; or real programs of the repository.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod command;
mod killed;
mod kmock;
mod kubernetes;
mod nomad;
mod nomad_server;
mod rollout;
mod world;
