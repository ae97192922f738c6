//! Argon2id (RFC 9106), 19 MiB, two passes: about 26 ms a check, so only a few run at once.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tenfold_types::{Entropy, Fault};

pub const PASSWORD_CHARS_MIN: usize = 10;
const PASSWORD_BYTES_MAX: usize = 1024;
/// Hashes computed at once; more wait their turn.
pub(super) const PARALLEL_MAX: usize = 2;

fn hasher() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("constants within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

pub(super) fn check_new(password: &str) -> Result<(), Fault> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(Fault::invalid(format!("the password has fewer than {PASSWORD_CHARS_MIN} characters"))
            .advice("a few unrelated words make a good one"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Fault::invalid(format!("the password is longer than {PASSWORD_BYTES_MAX} bytes")));
    }
    Ok(())
}

pub(super) fn hash(password: &str, entropy: &dyn Entropy) -> Result<String, Fault> {
    let mut raw = [0u8; 16];
    entropy.fill(&mut raw);
    let salt = SaltString::encode_b64(&raw).map_err(|_| Fault::internal("a salt could not be made"))?;
    hasher()
        .hash_password(password.as_bytes(), &salt)
        .map(|h| h.to_string())
        .map_err(|_| Fault::internal("the password could not be hashed"))
}

/// A hash of nothing anybody can type: checked when the login is unknown, so that the answer takes as long.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(super) fn verify(password: &str, stored: Option<&str>) -> bool {
    if password.len() > PASSWORD_BYTES_MAX {
        return false;
    }
    let known = stored.is_some();
    let Ok(parsed) = PasswordHash::new(stored.unwrap_or(NOBODY)) else { return false };
    hasher().verify_password(password.as_bytes(), &parsed).is_ok() && known
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn only_the_right_password_passes() {
        let stored = hash("correct horse", &Fixed).unwrap();
        assert!(verify("correct horse", Some(&stored)));
        assert!(!verify("correct horsf", Some(&stored)));
        assert!(!verify("", None));
        assert!(PasswordHash::new(NOBODY).is_ok(), "an unknown login must cost a real check");
        assert!(check_new("short").is_err());
    }
}
