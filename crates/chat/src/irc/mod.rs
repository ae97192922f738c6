//! The IRC client: a pure session that decides everything, and a thin shell that owns the socket.

mod channels;
mod delivery;
mod register;
mod rooms;
mod session;
mod transport;
mod wire;
mod worker;

#[cfg(test)]
mod session_tests;

pub use delivery::{Outgoing, Priority};
pub use session::{ChannelConfig, Config, Effect, Heard, Input, Limits, Phase, Sasl, State, Whois, step};
pub use transport::{IrcOptions, IrcTransport, start};
pub use wire::Address;
