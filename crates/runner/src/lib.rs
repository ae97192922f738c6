//! The runner: git, builds, and the agent that activates releases on hosts.
//!
//! No word from a repository or from the network reaches a shell: programs are started by argument vector, names that
//! become paths are digests or checked names, and every process runs in a group of its own that can be ended as a whole.

pub mod agent;
mod build;
mod checks;
mod git;
mod glob;
pub mod host;
mod process;
mod runner;

pub use checks::Looker;
pub use runner::GitRunner;
