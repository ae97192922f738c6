//! The program killed with SIGKILL, stopped, and put on a full disk in the middle of deploys: servers, agents, services, builds
//! and hooks are real processes. `DEPLOY_KILL=all` runs every case (`make crash`); without it, some of them.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod disk;
mod nodes;
mod outlive;
mod partition;
mod states;
mod steps;
mod world;

/// Whether every case is run.
fn everything() -> bool {
    std::env::var("DEPLOY_KILL").is_ok_and(|which| which == "all")
}
