//! Flags and contexts by chance, asked of our engine and of `unleash-yggdrasil`, the engine in Unleash's own SDKs.
//!
//! Where the two differ on purpose, [`differences`] says why and rewrites the document until yggdrasil must agree; what
//! it is asked then has to be answered the same without exception.

pub mod ask;
pub mod chance;
pub mod differences;
pub mod generate;
pub mod random;
