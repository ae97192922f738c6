//! Who pushes: the server's key pair and what it signs with it (RFC 8292). Browsers subscribe with the public key, and
//! push services take messages for them from nobody else.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;
use tenfold_app::private_file;
use tenfold_types::Timestamp;

use crate::SetupError;

/// At most 24 h by the standard.
const GOOD_FOR_S: i64 = 12 * 3_600;

pub struct Vapid {
    pair: EcdsaKeyPair,
    /// An uncompressed P-256 point, base64url.
    public: String,
}

impl Vapid {
    /// Reads the key pair, which is PKCS #8 in base64; none when there is no such file.
    pub fn read(path: &Path) -> Result<Option<Self>, SetupError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SetupError::File { path: path.display().to_string(), source }),
        };
        let pair = STANDARD.decode(text.trim()).ok().and_then(|key| Self::of(&key));
        pair.map(Some).ok_or_else(|| SetupError::PushKey(path.display().to_string()))
    }

    /// Makes a key pair that only the owner of the file may read.
    pub fn make(path: &Path) -> Result<Self, SetupError> {
        let refused = || SetupError::PushKey(path.display().to_string());
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| refused())?;
        let made = Self::of(key.as_ref()).ok_or_else(refused)?;
        private_file::write(path, &format!("{}\n", STANDARD.encode(key.as_ref())))
            .map_err(|source| SetupError::File { path: path.display().to_string(), source })?;
        Ok(made)
    }

    fn of(key: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &SystemRandom::new()).ok()?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Some(Self { pair, public })
    }

    pub fn public(&self) -> &str {
        &self.public
    }

    /// The value of `authorization` for a push service, which is named by the origin of its addresses. None when the
    /// machine has no randomness to sign with.
    pub fn authorization(&self, origin: &str, subject: Option<&str>, now: Timestamp) -> Option<String> {
        let mut claims = json!({"aud": origin, "exp": now.millis() / 1_000 + GOOD_FOR_S});
        if let Some(subject) = subject {
            claims["sub"] = subject.into();
        }
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(json!({"typ": "JWT", "alg": "ES256"})), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(format!("vapid t={signed}.{}, k={}", URL_SAFE_NO_PAD.encode(signature.as_ref()), self.public))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    #[test]
    fn a_key_is_made_once_and_what_it_signs_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("push-key");
        assert!(Vapid::read(&path).unwrap().is_none());
        let made = Vapid::make(&path).unwrap();
        let read = Vapid::read(&path).unwrap().expect("it is there");
        assert_eq!(made.public(), read.public());
        let value = read
            .authorization("https://push.example.org", Some("mailto:ops@example.org"), Timestamp(1_000_000))
            .unwrap();
        let (token, key) = value.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(signed.as_bytes(), &signature).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims, json!({"aud": "https://push.example.org", "exp": 44_200, "sub": "mailto:ops@example.org"}));
        std::fs::write(&path, "no key").unwrap();
        assert!(matches!(Vapid::read(&path), Err(SetupError::PushKey(_))));
    }
}
