//! Chat transports and the bot: the edge that carries the record into a channel and commands back.
//!
//! Invariant: what a line may do depends on the linked account of who wrote it, never on the nick.

pub mod irc;

mod floods;
mod links;
mod setup;

pub use setup::start;
