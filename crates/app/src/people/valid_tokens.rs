//! The tokens that count right now, in memory: a request or a stream is let in without asking the store.
//!
//! A revoked or expired token is refused from the next request on. Streams that are open already learn of it by
//! [`App::tokens_changed`]: whoever keeps streams looks at each one's token with [`App::token_is_valid`] when the
//! generation moved, and closes those whose token ended. A single stream can simply wait for [`App::token_ended`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::RwLock;
use tenfold_store::people as store;
use tenfold_types::{Fault, Timestamp};
use tokio::sync::{Mutex, watch};

use super::tokens::Token;
use crate::App;

/// `last_used_at` is written at most this often.
const USED_EVERY_MS: i64 = 60_000;

struct Known {
    token: Arc<Token>,
    used_at_ms: AtomicI64,
}

#[derive(Default)]
struct Index {
    /// By the hash of the secret.
    by_secret: HashMap<blake3::Hash, Known>,
    secret_of: HashMap<String, blake3::Hash>,
}

impl Index {
    fn of(tokens: Vec<(blake3::Hash, Token)>) -> Self {
        let mut index = Self::default();
        for (hash, token) in tokens {
            index.secret_of.insert(token.id.clone(), hash);
            let used_at_ms = AtomicI64::new(token.last_used_at.map_or(0, Timestamp::millis));
            index.by_secret.insert(hash, Known { token: Arc::new(token), used_at_ms });
        }
        index
    }

    fn remove(&mut self, id: &str) -> bool {
        let hash = self.secret_of.remove(id);
        hash.is_some_and(|hash| self.by_secret.remove(&hash).is_some())
    }
}

/// Valid tokens by secret and by id.
#[derive(Default)]
pub(super) struct ValidTokens {
    index: RwLock<Index>,
    /// Moves whenever a token stopped being valid.
    generation: watch::Sender<u64>,
    /// Readings of the store take turns, so that an older one never replaces a newer one.
    reading: Mutex<()>,
}

impl ValidTokens {
    fn ended(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Forgets a token and tells the streams.
    pub(super) fn forget(&self, id: &str) {
        if self.index.write().remove(id) {
            self.ended();
        }
    }

    /// Forgets what has expired.
    pub(super) fn expire(&self, now: Timestamp) {
        let over = |known: &Known| known.token.expires_at.is_some_and(|e| e <= now);
        let expired: Vec<String> = {
            let index = self.index.read();
            index.by_secret.values().filter(|k| over(k)).map(|k| k.token.id.clone()).collect()
        };
        for id in expired {
            self.forget(&id);
        }
    }
}

impl App {
    /// The token a secret stands for, unless it was revoked or has expired.
    ///
    /// Answers from memory: flag clients are let in while the store does not answer.
    pub fn token_by_secret(&self, secret: &str) -> Option<Arc<Token>> {
        let hash = blake3::hash(secret.as_bytes());
        let now = self.now();
        let index = self.people.valid_tokens.index.read();
        let known = index.by_secret.get(&hash)?;
        if known.token.expires_at.is_some_and(|e| e <= now) {
            return None;
        }
        let token = known.token.clone();
        let used_at = known.used_at_ms.load(Ordering::Relaxed);
        if now.millis() - used_at >= USED_EVERY_MS {
            let swapped =
                known.used_at_ms.compare_exchange(used_at, now.millis(), Ordering::Relaxed, Ordering::Relaxed);
            drop(index);
            if swapped.is_ok() {
                self.note_token_use(token.id.clone(), now);
            }
        }
        Some(token)
    }

    /// Whether a token still counts. Cheap enough to ask for each of many open streams.
    pub fn token_is_valid(&self, id: &str) -> bool {
        self.token_by_id(id).is_some()
    }

    /// The token of that id, unless it was revoked or has expired.
    pub fn token_by_id(&self, id: &str) -> Option<Arc<Token>> {
        let now = self.now();
        let index = self.people.valid_tokens.index.read();
        let known = index.secret_of.get(id).and_then(|hash| index.by_secret.get(hash))?;
        known.token.expires_at.is_none_or(|e| e > now).then(|| known.token.clone())
    }

    /// Moves at once when a token is revoked here, within a second when one expires, and as soon as the record shows it
    /// when another node revoked one.
    pub fn tokens_changed(&self) -> watch::Receiver<u64> {
        self.people.valid_tokens.generation.subscribe()
    }

    /// Waits until a token no longer counts.
    pub async fn token_ended(&self, id: &str) {
        let mut changed = self.tokens_changed();
        while self.token_is_valid(id) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Takes the valid tokens from the store into memory.
    pub(super) async fn tokens_load(&self) -> Result<(), Fault> {
        let _turn = self.people.valid_tokens.reading.lock().await;
        let now = self.now();
        let tokens = self
            .read(move |tx| {
                let rows = store::tokens(tx)?;
                let valid = rows.iter().filter(|r| r.revoked_at.is_none() && r.expires_at.is_none_or(|e| e > now));
                valid
                    .map(|row| {
                        let hash = blake3::Hash::from_hex(&row.secret_hash)
                            .map_err(|e| Fault::internal(format!("the token {} cannot be read: {e}", row.id)))?;
                        Ok((hash, Token::from_row(row)?))
                    })
                    .collect::<Result<Vec<_>, Fault>>()
            })
            .await?;
        let fresh = Index::of(tokens);
        let before = std::mem::replace(&mut *self.people.valid_tokens.index.write(), fresh);
        let gone = {
            let index = self.people.valid_tokens.index.read();
            before.secret_of.keys().any(|id| !index.secret_of.contains_key(id))
        };
        if gone {
            self.people.valid_tokens.ended();
        }
        Ok(())
    }

    fn note_token_use(&self, id: String, now: Timestamp) {
        let app = self.clone();
        // Knowing when a token was last used is a convenience: the request does not wait for it, nor fail with it.
        tokio::spawn(async move { app.housekeeping(move |t| Ok(store::token_used(t.tx(), &id, now)?)).await });
    }
}
