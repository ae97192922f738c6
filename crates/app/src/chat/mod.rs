//! Conversation: one grammar of commands, what rooms are told of the record, who somebody in a room is.
//!
//! Invariants: a command runs with the rights of a linked account, never of a nick; each command and its answer are in the
//! record; a room's backlog is the record behind its cursor, so there is no queue that could be lost.

pub mod announce;
mod commands;
pub mod grammar;
mod links;
mod outbox;
mod ports;
mod rooms;
mod views;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::RwLock;
use tenfold_types::Fault;

use crate::App;

pub use commands::Reply;
pub use grammar::Command;
pub use links::{CODE_TTL_MS, LinkCode};
pub use outbox::{Pending, PendingPages};
pub use ports::{ChatTransport, Recipient, TransportStatus};
pub use rooms::{MESSAGE_CHARS_MAX, Speaker};
pub use tenfold_store::chat::{LinkKind, LinkRow};
pub use views::{ConsoleMessage, MessageKind};

/// What this part keeps in memory: the networks it is connected to.
#[derive(Default)]
pub struct State {
    transports: RwLock<Vec<Arc<dyn ChatTransport>>>,
}

impl App {
    /// Adds a network. Called once for each at start.
    pub fn chat_connect(&self, transport: Arc<dyn ChatTransport>) {
        self.chat.transports.write().push(transport);
    }

    /// How each network is doing.
    pub fn chat_status(&self) -> Vec<TransportStatus> {
        self.chat.transports.read().iter().map(|t| t.status()).collect()
    }

    /// Says something to one person on the first network that delivers it; returns when it has arrived.
    pub async fn chat_direct(&self, login: &str, text: &str) -> Result<(), Fault> {
        let person = self.person(login).await?;
        let Some(person) = person.filter(|p| !p.disabled) else {
            return Err(Fault::not_found(format!("there is no person `{login}`")));
        };
        let to = Recipient { login: person.login, nick: person.contact.irc };
        let transports = self.chat.transports.read().clone();
        let mut refusal = Fault::unavailable("no chat network is connected").advice("set [irc] in tenfold.toml");
        for transport in transports {
            match transport.direct(&to, text).await {
                Ok(()) => return Ok(()),
                Err(fault) => refusal = fault,
            }
        }
        Err(refusal)
    }
}
