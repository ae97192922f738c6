//! Who sent a datagram of the plugin `network`: signatures (HMAC-SHA-256 by a user's password) and encryption (AES-256 in output
//! feedback, the key is the password's SHA-256, a SHA-1 of the content before it).
//!
//! Source: `network.c` of collectd (`parse_part_sign_sha256`, `parse_part_encr_aes256`) and `utils/fbhash` for the file of
//! passwords. Neither has a time in it: who can listen may send a datagram again, which brings what is there already.

use std::borrow::Cow;
use std::collections::HashMap;

use aes::Aes256;
use aes::cipher::{BlockEncrypt, KeyInit};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{CollectdError, ENCRYPTED, SIGNATURE, part};
use crate::signature::mac;

const SIGNATURE_BYTES: usize = 32;
const BLOCK_BYTES: usize = 16;
const SUM_BYTES: usize = 20;
/// Largest file of passwords, in bytes.
pub const PASSWORDS_BYTES_MAX: usize = 1 << 20;

/// What is asked of datagrams, as collectd's `SecurityLevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// Plain ones are read as well.
    #[default]
    None,
    /// They are signed or encrypted.
    Sign,
    Encrypt,
}

/// Who may send, and how.
#[derive(Default)]
pub struct Access {
    security: Security,
    /// Passwords by user; without any, signatures are not looked at.
    passwords: HashMap<String, String>,
}

impl Access {
    /// Reads a file of passwords: `user: password` in each line, `#` begins a comment.
    ///
    /// # Errors
    /// The number of the line that is none.
    pub fn new(security: Security, file: &str) -> Result<Self, usize> {
        let mut passwords = HashMap::new();
        for (at, line) in file.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (user, password) = line.split_once(':').ok_or(at + 1)?;
            let (user, password) = (user.trim(), password.trim());
            if user.is_empty() || password.is_empty() {
                return Err(at + 1);
            }
            passwords.insert(user.to_owned(), password.to_owned());
        }
        Ok(Self { security, passwords })
    }

    /// It asks for what nobody can give.
    pub fn lets_nobody_in(&self) -> bool {
        self.security != Security::None && self.passwords.is_empty()
    }

    fn password(&self, user: &[u8]) -> Result<&str, CollectdError> {
        let known = std::str::from_utf8(user).ok().and_then(|user| self.passwords.get(user));
        known.map(String::as_str).ok_or(CollectdError::User)
    }

    /// The parts of a datagram, plain.
    ///
    /// # Errors
    /// When it is not from whom it says, or not as safe as it has to be.
    pub fn open<'p>(&self, packet: &'p [u8]) -> Result<Cow<'p, [u8]>, CollectdError> {
        let mut rest = packet;
        match part(&mut rest) {
            Ok((SIGNATURE, _)) if self.security == Security::Encrypt => Err(CollectdError::NotEncrypted),
            Ok((SIGNATURE, _)) if self.passwords.is_empty() && self.security == Security::None => {
                Ok(Cow::Borrowed(rest))
            }
            Ok((SIGNATURE, body)) => {
                let (signature, user) = body.split_at_checked(SIGNATURE_BYTES).ok_or(CollectdError::Short)?;
                // Of the name of the user, and all that follows.
                let wanted = mac(self.password(user)?.as_bytes(), &[user, rest]);
                let same = bool::from(wanted.as_slice().ct_eq(signature));
                if same { Ok(Cow::Borrowed(rest)) } else { Err(CollectdError::Signature) }
            }
            Ok((ENCRYPTED, body)) => self.decrypted(body).map(Cow::Owned),
            _ if self.security == Security::None => Ok(Cow::Borrowed(packet)),
            _ => Err(CollectdError::Unsigned),
        }
    }

    /// The length of the user's name, the name, the first block, and behind them what is encrypted: a sum and the content.
    fn decrypted(&self, body: &[u8]) -> Result<Vec<u8>, CollectdError> {
        if self.passwords.is_empty() {
            return Err(CollectdError::Encrypted);
        }
        let (length, rest) = body.split_first_chunk::<2>().ok_or(CollectdError::Short)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (user, rest) = rest.split_at_checked(length).ok_or(CollectdError::Short)?;
        let (first, secret) = rest.split_first_chunk::<BLOCK_BYTES>().ok_or(CollectdError::Short)?;
        let key: [u8; 32] = Sha256::digest(self.password(user)?.as_bytes()).into();
        let mut plain = secret.to_vec();
        output_feedback(key, *first, &mut plain);
        let (sum, content) = plain.split_at_checked(SUM_BYTES).ok_or(CollectdError::Short)?;
        let wanted: [u8; SUM_BYTES] = Sha1::digest(content).into();
        // A wrong password makes noise of it.
        if !bool::from(wanted[..].ct_eq(sum)) {
            return Err(CollectdError::Signature);
        }
        Ok(content.to_vec())
    }
}

/// AES-256 in output feedback (NIST SP 800-38A, 6.4), which is undone by itself.
fn output_feedback(key: [u8; 32], first: [u8; BLOCK_BYTES], bytes: &mut [u8]) {
    let cipher = Aes256::new(&key.into());
    let mut block = aes::Block::from(first);
    for chunk in bytes.chunks_mut(BLOCK_BYTES) {
        cipher.encrypt_block(&mut block);
        for (byte, mask) in chunk.iter_mut().zip(block.iter()) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's hmac and openssl's `enc -aes-256-ofb`: user `ana`, password `secret`, the same content as `PLAIN`.
    const SIGNED: &str = "02000027238a26e59ad94b5a66bcbc60dac4f84080340483b55fe7e75de87a749b76067e616e6100000006680000\
                          08000c14dc938000000000000200096c6f616400000400096c6f616400000600210003010101000000000000f03f\
                          00000000000000400000000000000840";
    const SECRET: &str = "021000720003616e61000102030405060708090a0b0c0d0e0fce0a848b09bfcb019abd8dccdb7a7c56df62e35a80\
                          5ac9350307375ff97293fb038ee3cdacceea08f2e0e7c82118aae2b0a6757375a33fc3cfb92a54a7fad52334e232\
                          8fa138b202a3f2ae7c11730d01618ccf798d591269e7";
    const PLAIN: &str = "0000000668000008000c14dc938000000000000200096c6f616400000400096c6f61640000060021000301010100\
                         0000000000f03f00000000000000400000000000000840";

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    fn access(security: Security, file: &str) -> Access {
        Access::new(security, file).unwrap()
    }

    #[test]
    fn output_feedback_is_that_of_the_standard() {
        let key = bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        let first = bytes("000102030405060708090a0b0c0d0e0f");
        let mut text = bytes("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        output_feedback(key.try_into().unwrap(), first.try_into().unwrap(), &mut text);
        assert_eq!(hex::encode(text), "dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad82a4fb08d");
    }

    #[test]
    fn each_level_takes_what_is_as_safe() {
        use Security::{Encrypt, None, Sign};
        let known = "# passwords\n\nana: secret\nbob:other";
        for (security, file, plain, signed, secret) in [
            (None, "", Ok(()), Ok(()), Err(CollectdError::Encrypted)),
            (None, known, Ok(()), Ok(()), Ok(())),
            (Sign, known, Err(CollectdError::Unsigned), Ok(()), Ok(())),
            (Encrypt, known, Err(CollectdError::Unsigned), Err(CollectdError::NotEncrypted), Ok(())),
            (None, "ana: wrong", Ok(()), Err(CollectdError::Signature), Err(CollectdError::Signature)),
            (Sign, "bob: secret", Err(CollectdError::Unsigned), Err(CollectdError::User), Err(CollectdError::User)),
        ] {
            let access = access(security, file);
            for (packet, wanted) in [(PLAIN, plain), (SIGNED, signed), (SECRET, secret)] {
                let packet = bytes(packet);
                let opened = access.open(&packet).map(Cow::into_owned);
                assert_eq!(opened, wanted.map(|()| bytes(PLAIN)), "{security:?} {file}");
            }
        }
    }

    #[test]
    fn what_was_changed_on_the_way_is_refused() {
        let access = access(Security::Sign, "ana: secret");
        for packet in [SIGNED, SECRET] {
            let whole = bytes(packet);
            for at in 0..whole.len() {
                let mut changed = whole.clone();
                changed[at] ^= 1;
                assert!(access.open(&changed).is_err(), "byte {at}");
                assert!(access.open(&whole[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn passwords_are_read_line_by_line() {
        for (file, wanted) in [("ana: a\nbob", 2), (": a", 1), ("#\nana:", 2)] {
            assert_eq!(Access::new(Security::None, file).err(), Some(wanted), "{file}");
        }
        assert!(access(Security::Sign, "# nobody").lets_nobody_in());
        assert!(!access(Security::None, "").lets_nobody_in() && !access(Security::Sign, "a: b:c").lets_nobody_in());
    }
}
