//! The port behind which chat networks stand.

use async_trait::async_trait;
use tenfold_types::Fault;

/// A chat network. A transport reads what it has to announce by [`crate::App::chat_pending`] and gives back what arrived by
/// [`crate::App::chat_delivered`]; only what cannot wait for that goes through here.
#[async_trait]
pub trait ChatTransport: Send + Sync {
    /// The room's stable name (`irc`): its cursor and its links are kept under it.
    fn room(&self) -> &str;

    /// What to say about the connection, in a few words, and whether it stands.
    fn status(&self) -> TransportStatus;

    /// Says something to one person and returns when it has arrived. Fails when the person is not there or the network is not.
    async fn direct(&self, to: &Recipient, text: &str) -> Result<(), Fault>;
}

/// Whom to reach on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    pub login: String,
    /// The nick of the person's profile; a linked session of the person is preferred.
    pub nick: String,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct TransportStatus {
    pub room: String,
    pub connected: bool,
    /// One sentence for a person.
    pub text: String,
}
