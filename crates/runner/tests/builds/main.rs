//! Builds by the real runner: real git, real namespaces, real processes.

mod parent;
mod sandbox;
mod world;
