//! Secrets at rest: columns that may hold one are sealed here as they are written, and opened as they are read. Nobody outside
//! this crate sees a sealed text, and no other place may write one of these columns.
//!
//! A sealed text is `sealed:1:KEY:BYTES`: the id of its key, and nonce, ciphertext and tag of ChaCha20-Poly1305 (RFC 8439) in
//! base64url. The table, the column and the row's key are bound to it, so that it opens nowhere else. An empty text says nothing
//! and stays as it is. A text that is not sealed was written before there were keys: it is read as it is, and sealed at the next
//! start.

mod start;

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use tenfold_types::Entropy;

use crate::StoreError;

pub(crate) use start::bring_up;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Keys that may stand in one file.
const KEYS_MAX: usize = 16;
/// What a sealed text begins with, in front of the id of its key.
const PREFIX: &str = "sealed:1:";
/// Hexadecimal digits of a key's id.
const ID_CHARS: usize = 12;
/// Bytes of a digest that tells addresses apart.
const DIGEST_BYTES: usize = 16;

/// A column whose texts are sealed, each for its row.
pub(crate) struct Column {
    table: &'static str,
    name: &'static str,
    /// The columns of the primary key, all of them TEXT.
    key: &'static [&'static str],
}

impl Column {
    const fn new(table: &'static str, name: &'static str, key: &'static [&'static str]) -> Self {
        Self { table, name, key }
    }

    /// What is bound to a sealed text. No part holds the NUL character, since the store takes none.
    fn context(&self, key: &[&str]) -> Vec<u8> {
        [&[self.table, self.name][..], key].concat().join("\0").into_bytes()
    }
}

/// Where alerts go: the paths of webhooks are often secrets.
pub(crate) const ROUTING_YAML: Column = Column::new("alert_routing", "yaml", &["name"]);
/// Secrets of webhooks.
pub(crate) const ROUTING_SECRETS: Column = Column::new("alert_routing", "secrets", &["name"]);
/// Definitions of checks: secret headers, arguments of plugins.
pub(crate) const CHECK_BODY: Column = Column::new("checks", "body", &["name"]);
/// Profiles: addresses and keys of the ways by which a person is paged.
pub(crate) const PERSON_BODY: Column = Column::new("people", "body", &["login"]);
/// Such an address as a page goes to it.
pub(crate) const DELIVERY_TARGET: Column = Column::new("page_deliveries", "target", &["page", "channel"]);
/// Where a browser takes pages; who knows it may send there.
pub(crate) const BROWSER_ENDPOINT: Column = Column::new("push_browsers", "endpoint", &["id"]);
/// The secret that messages to a browser are encrypted with.
pub(crate) const BROWSER_AUTH: Column = Column::new("push_browsers", "auth", &["id"]);
/// The address of a calendar, which often holds a secret.
pub(crate) const CALENDAR_URL: Column = Column::new("schedule_calendars", "url", &["schedule"]);

/// All of them, for the pass at the start.
const COLUMNS: [&Column; 8] = [
    &ROUTING_YAML,
    &ROUTING_SECRETS,
    &CHECK_BODY,
    &PERSON_BODY,
    &DELIVERY_TARGET,
    &BROWSER_ENDPOINT,
    &BROWSER_AUTH,
    &CALENDAR_URL,
];

/// Holds the keys: the first one seals, all of them open. Cheap to clone.
#[derive(Clone)]
pub struct Sealer(Arc<Keys>);

struct Keys {
    first: Key,
    older: Vec<Key>,
    /// How errors call the file.
    named: String,
    entropy: Arc<dyn Entropy>,
}

struct Key {
    /// Made of the key, so that it names this one and no other.
    id: String,
    cipher: LessSafeKey,
    /// For digests.
    digests: [u8; KEY_BYTES],
}

impl Key {
    fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self, StoreError> {
        let id = blake3::Hash::from_bytes(blake3::derive_key("tenfold 2026-11 sealing: the id of a key", bytes));
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, bytes)
            .map_err(|_| StoreError::Sealed("a key of the right length was refused".to_owned()))?;
        Ok(Self {
            id: id.to_hex()[..ID_CHARS].to_owned(),
            cipher: LessSafeKey::new(unbound),
            digests: blake3::derive_key("tenfold 2026-11 sealing: digests of addresses", bytes),
        })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("keys", &self.ids()).finish()
    }
}

impl Sealer {
    /// Reads the text of a key file: one key a line, base64 of 32 bytes in either alphabet. The first seals, all of them open.
    /// Empty lines and those that begin with `#` are passed over. `named` is what errors call the file.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] for a line that is no key, no key at all, too many of them, or one that is there twice.
    pub fn read(text: &str, named: &str, entropy: Arc<dyn Entropy>) -> Result<Self, StoreError> {
        let mut keys: Vec<Key> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line_of = |what: &str| StoreError::Sealed(format!("line {} of {named} {what}", at + 1));
            let written = line.trim_end_matches('=').replace('+', "-").replace('/', "_");
            let bytes = URL_SAFE_NO_PAD.decode(written).ok().and_then(|bytes| <[u8; KEY_BYTES]>::try_from(bytes).ok());
            let bytes = bytes.ok_or_else(|| {
                line_of("is no key: write base64 of 32 random bytes, as `openssl rand -base64 32` makes it")
            })?;
            let key = Key::new(&bytes)?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(line_of("is a key that stands there already: take it out"));
            }
            if keys.len() == KEYS_MAX {
                return Err(line_of(&format!(
                    "is one key more than {KEYS_MAX}: take out those that seal nothing any more"
                )));
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let none = || StoreError::Sealed(format!("{named} holds no key: `openssl rand -base64 32` makes one"));
        let first = keys.next().ok_or_else(none)?;
        Ok(Self(Arc::new(Keys { first, older: keys.collect(), named: named.to_owned(), entropy })))
    }

    /// A key as a line of a key file.
    pub fn new_key(entropy: &dyn Entropy) -> String {
        let mut bytes = [0; KEY_BYTES];
        entropy.fill(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Seals a text for one row.
    pub(crate) fn seal(&self, column: &Column, key: &[&str], text: &str) -> Result<String, StoreError> {
        if text.is_empty() {
            return Ok(String::new());
        }
        let Key { id, cipher, .. } = &self.0.first;
        let mut nonce = [0; NONCE_LEN];
        self.0.entropy.fill(&mut nonce);
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(text.as_bytes());
        let context = Aad::from(column.context(key));
        let tag = cipher
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), context, &mut bytes[NONCE_LEN..])
            .map_err(|_| StoreError::Sealed(format!("a text of {} bytes is too long to be sealed", text.len())))?;
        bytes.extend_from_slice(tag.as_ref());
        Ok(format!("{PREFIX}{id}:{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Opens what was sealed for this row; what is not sealed is given back as it is.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when the key is not there, and when the text is damaged or was sealed for another row.
    pub(crate) fn open(&self, column: &Column, key: &[&str], stored: &str) -> Result<String, StoreError> {
        let Some(rest) = stored.strip_prefix(PREFIX) else { return Ok(stored.to_owned()) };
        let (id, text) = rest.split_once(':').unwrap_or_default();
        let known = std::iter::once(&self.0.first).chain(&self.0.older).find(|known| known.id == id);
        let known = known.ok_or_else(|| self.missing(id))?;
        opened(known, column.context(key), text).ok_or_else(|| {
            let (table, column, row) = (column.table, column.name, key.join(" "));
            let advice = "restore it from a backup, or write it anew";
            StoreError::Sealed(format!(
                "{column} of `{row}` in the table {table} is damaged, or was copied there from elsewhere; {advice}"
            ))
        })
    }

    /// Tells texts apart without telling them: the same text has the same digest, as long as the first key is the same.
    pub(crate) fn digest(&self, text: &str) -> String {
        let digest = blake3::keyed_hash(&self.0.first.digests, text.as_bytes());
        URL_SAFE_NO_PAD.encode(&digest.as_bytes()[..DIGEST_BYTES])
    }

    /// What texts begin with that the first key sealed.
    fn current(&self) -> String {
        format!("{PREFIX}{}:", self.0.first.id)
    }

    fn ids(&self) -> Vec<&str> {
        std::iter::once(&self.0.first).chain(&self.0.older).map(|key| key.id.as_str()).collect()
    }

    fn missing(&self, id: &str) -> StoreError {
        let (named, ids) = (&self.0.named, self.ids().join(", "));
        StoreError::Sealed(format!(
            "they are sealed with the key {id}, and {named} holds {ids}; put the key file there that the servers of this \
             database share, or the key of before as its last line (the guide's page on secrets says more)"
        ))
    }
}

fn opened(key: &Key, context: Vec<u8>, text: &str) -> Option<String> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let plain = key.cipher.open_in_place(nonce, Aad::from(context), sealed).ok()?;
    String::from_utf8(plain.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use tenfold_testkit::TestEntropy;

    use super::*;

    fn keys(seeds: &[u64]) -> String {
        seeds.iter().map(|seed| Sealer::new_key(&TestEntropy::seeded(*seed)) + "\n").collect()
    }

    fn sealer(text: &str) -> Result<Sealer, StoreError> {
        Sealer::read(text, "the-file", Arc::new(TestEntropy::default()))
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_alone() {
        let sealer = sealer(&keys(&[1])).unwrap();
        let sealed = sealer.seal(&PERSON_BODY, &["ana"], "a canary").unwrap();
        assert!(sealed.starts_with(&sealer.current()) && !sealed.contains("canary"), "{sealed}");
        assert_ne!(sealed, sealer.seal(&PERSON_BODY, &["ana"], "a canary").unwrap(), "each has a nonce of its own");
        assert_eq!(sealer.open(&PERSON_BODY, &["ana"], &sealed).unwrap(), "a canary");
        for (column, key) in [(&PERSON_BODY, "raj"), (&CHECK_BODY, "ana")] {
            let refused = sealer.open(column, &[key], &sealed).unwrap_err().to_string();
            assert!(refused.contains("copied there from elsewhere"), "{refused}");
        }
        let pair = sealer.seal(&DELIVERY_TARGET, &["a", "b c"], "x").unwrap();
        assert!(sealer.open(&DELIVERY_TARGET, &["a b", "c"], &pair).is_err(), "parts of a key do not run together");
        let current = sealer.current();
        for damaged in [&sealed[..sealed.len() - 4], "sealed:1:", "sealed:1:x", current.as_str()] {
            assert!(matches!(sealer.open(&PERSON_BODY, &["ana"], damaged), Err(StoreError::Sealed(_))), "{damaged}");
        }
        assert_eq!(sealer.seal(&PERSON_BODY, &["ana"], "").unwrap(), "");
        assert_eq!(sealer.open(&PERSON_BODY, &["ana"], "{}").unwrap(), "{}", "of before there were keys");
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = sealer(&keys(&[1])).unwrap();
        let both = sealer(&keys(&[2, 1])).unwrap();
        let sealed = old.seal(&CALENDAR_URL, &["primary"], "https://x/secret").unwrap();
        assert_eq!(both.open(&CALENDAR_URL, &["primary"], &sealed).unwrap(), "https://x/secret");
        let anew = both.seal(&CALENDAR_URL, &["primary"], "https://x/secret").unwrap();
        assert!(anew.starts_with(&both.current()) && both.current() != old.current());
        let refused = old.open(&CALENDAR_URL, &["primary"], &anew).unwrap_err().to_string();
        assert!(refused.contains("the-file") && refused.contains(&old.0.first.id), "{refused}");
        assert!(refused.contains(&both.0.first.id), "it says which key is missing: {refused}");
    }

    #[test]
    fn digests_tell_addresses_apart_under_the_key() {
        let (one, other) = (sealer(&keys(&[1])).unwrap(), sealer(&keys(&[2])).unwrap());
        assert_eq!(one.digest("ana@example.org"), one.digest("ana@example.org"));
        assert_ne!(one.digest("ana@example.org"), one.digest("raj@example.org"));
        assert_ne!(one.digest("ana@example.org"), other.digest("ana@example.org"));
    }

    #[test]
    fn a_key_file_is_read_or_says_its_line() {
        let padded = "# made by openssl\n\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
        assert_eq!(sealer(padded).unwrap().ids().len(), 1);
        assert!(!format!("{:?}", sealer(padded).unwrap()).contains("AAEC"), "a key is shown nowhere");
        let many = keys(&(0..17).collect::<Vec<_>>());
        let twice = keys(&[1, 1]);
        for (text, said) in [
            ("", "holds no key"),
            ("# nothing\n", "holds no key"),
            ("AAEC\n", "line 1 of the-file is no key"),
            (twice.as_str(), "line 2 of the-file is a key that stands there"),
            (many.as_str(), "line 17"),
        ] {
            let refused = sealer(text).unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
