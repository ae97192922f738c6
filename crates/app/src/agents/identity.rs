//! What both ends of an agent's connection agree on: how a certificate is named, and by whose clock it counts.

use std::sync::Arc;

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use sha2::{Digest as _, Sha256};
use tenfold_types::{Clock, Timestamp};

/// SHA-256 of a certificate in DER, in hex: its name here, and what `openssl x509 -fingerprint -sha256` prints.
pub fn fingerprint(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

/// An instant as certificates write it: whole seconds.
pub fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.millis().div_euclid(1_000)).unwrap_or(0)
}

/// Lets TLS read the clock that everything else reads.
pub struct TlsClock(pub Arc<dyn Clock>);

impl std::fmt::Debug for TlsClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsClock")
    }
}

impl TimeProvider for TlsClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds(self.0.now()))))
    }
}
