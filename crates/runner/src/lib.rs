//! The runner: git, builds, and the agent that activates releases on hosts.
//!
//! No word from a repository or from the network reaches a shell: programs are started by argument vector, names that
//! become paths are digests or checked names, and every process runs in a group of its own that can be ended as a whole.

pub mod agent;
mod build;
mod checks;
mod clusters;
mod files;
mod git;
mod glob;
mod hook;
pub mod host;
mod mask;
mod process;
mod program;
mod runner;
pub mod sandbox;
pub mod ssh;

pub use checks::Looker;
pub use clusters::{ClusterError, Clusters, Executors};
pub use runner::{BuildParent, GitRunner};
