//! The address of a stream of changes: a browser's `EventSource` can send no token, so the address stands for one.
//!
//! It is the token's id, or for people `in:` and the environment, and a mark that only the server can make. So a stream
//! shows what its token shows, and ends with it.

use std::sync::Arc;

use crate::App;
use crate::people::Token;

/// Begins the address of a reader without a token. No token's id begins so.
const IN: &str = "in:";

impl App {
    /// The address for a reader of an environment; the same on every node and after a restart.
    pub fn flag_channel(&self, environment: &str, token: Option<&Token>) -> String {
        let reader = token.map_or_else(|| format!("{IN}{environment}"), |t| t.id.clone());
        format!("{reader}.{}", self.flags.mark(&reader))
    }

    /// Environment and token an address stands for; `None` for one that was made up or whose token ended.
    pub fn flag_channel_reader(&self, channel: &str) -> Option<(String, Option<Arc<Token>>)> {
        let (reader, given) = channel.rsplit_once('.')?;
        // Compared as digests, so that the time it takes says nothing.
        if blake3::hash(self.flags.mark(reader).as_bytes()) != blake3::hash(given.as_bytes()) {
            return None;
        }
        if let Some(environment) = reader.strip_prefix(IN) {
            return Some((environment.to_owned(), None));
        }
        let token = self.token_by_id(reader)?;
        Some((token.environment.clone()?, Some(token)))
    }
}
