//! The address of a stream of changes: a browser's `EventSource` can send no token, so the address stands for one.
//!
//! It is the token's id, or for people `in:`, the environment and the session's id, and a mark that only the server can
//! make. So a stream shows what its token or session shows, and ends with it.

use std::sync::Arc;

use crate::App;
use crate::people::Token;

/// Begins the address of a reader without a token. No token's id begins so.
const IN: &str = "in:";

/// What the address of a stream stands for.
#[derive(Debug, Clone)]
pub struct ChannelReader {
    pub environment: String,
    pub token: Option<Arc<Token>>,
    /// The session's id.
    pub session: Option<String>,
}

impl App {
    /// The address for a reader of an environment; the same on every node and after a restart.
    pub fn flag_channel(&self, environment: &str, token: Option<&Token>, session: Option<&str>) -> String {
        let person = || format!("{IN}{environment}:{}", session.unwrap_or_default());
        let reader = token.map_or_else(person, |t| t.id.clone());
        format!("{reader}.{}", self.flags.mark(&reader))
    }

    /// What an address stands for; `None` for one that was made up or whose token or session ended.
    pub async fn flag_channel_reader(&self, channel: &str) -> Option<ChannelReader> {
        let (reader, given) = channel.rsplit_once('.')?;
        // Compared as digests, so that the time it takes says nothing.
        if blake3::hash(self.flags.mark(reader).as_bytes()) != blake3::hash(given.as_bytes()) {
            return None;
        }
        if let Some((environment, session)) = reader.strip_prefix(IN).and_then(|r| r.split_once(':')) {
            let session = Some(session.to_owned()).filter(|id| !id.is_empty());
            if let Some(id) = &session
                && !self.session_is_open(id).await
            {
                return None;
            }
            return Some(ChannelReader { environment: environment.to_owned(), token: None, session });
        }
        let token = self.token_by_id(reader)?;
        Some(ChannelReader { environment: token.environment.clone()?, token: Some(token), session: None })
    }
}
