//! Sealing a message for one browser: the key by RFC 8291, the body by RFC 8188 (`aes128gcm`, one record). What a push
//! service carries, only the browser can read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use ring::{aead, agreement, rand::SystemRandom};
use sha2::Sha256;

/// What fits into the one record of 4,096 bytes that every push service takes (RFC 8291, section 4).
pub const PLAIN_BYTES_MAX: usize = 3_993;
pub const SALT_BYTES: usize = 16;
const RECORD_BYTES: u32 = 4_096;
const POINT_BYTES: usize = 65;
const SECRET_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// Ends the content of the last record (RFC 8188, section 2).
const LAST: u8 = 2;

/// Why a message could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the browser's keys are no P-256 point and a secret of {SECRET_BYTES} bytes")]
    Keys,
    #[error("a push holds at most {PLAIN_BYTES_MAX} bytes")]
    TooLong,
    #[error("the machine has no randomness to give")]
    Randomness,
}

/// The keys of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient {
    /// An uncompressed P-256 point.
    pub public: [u8; POINT_BYTES],
    pub secret: [u8; SECRET_BYTES],
}

impl Recipient {
    /// Reads `p256dh` and `auth` as browsers write them.
    pub fn read(p256dh: &str, auth: &str) -> Result<Self, SealError> {
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| SealError::Keys);
        let public = bytes(p256dh)?.try_into().map_err(|_| SealError::Keys)?;
        let secret = bytes(auth)?.try_into().map_err(|_| SealError::Keys)?;
        Ok(Self { public, secret })
    }
}

/// The body of a push, under a key pair that exists for this message alone.
pub fn seal(to: &Recipient, salt: [u8; SALT_BYTES], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let pair = agreement::EphemeralPrivateKey::generate(&agreement::ECDH_P256, &SystemRandom::new())
        .map_err(|_| SealError::Randomness)?;
    let public = pair.compute_public_key().map_err(|_| SealError::Randomness)?;
    let own: [u8; POINT_BYTES] = public.as_ref().try_into().map_err(|_| SealError::Keys)?;
    let theirs = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, to.public);
    agreement::agree_ephemeral(pair, &theirs, |shared| sealed(shared, &own, to, salt, plain))
        .map_err(|_| SealError::Keys)?
}

/// The same, from the secret that both ends computed.
fn sealed(
    shared: &[u8],
    own: &[u8; POINT_BYTES],
    to: &Recipient,
    salt: [u8; SALT_BYTES],
    plain: &[u8],
) -> Result<Vec<u8>, SealError> {
    if plain.len() > PLAIN_BYTES_MAX {
        return Err(SealError::TooLong);
    }
    let (key, nonce) = keys(shared, own, to, salt);
    let mut record = Vec::with_capacity(plain.len() + 1 + TAG_BYTES);
    record.extend_from_slice(plain);
    record.push(LAST);
    let key = aead::UnboundKey::new(&aead::AES_128_GCM, &key).map_err(|_| SealError::Keys)?;
    aead::LessSafeKey::new(key)
        .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aead::Aad::empty(), &mut record)
        .map_err(|_| SealError::TooLong)?;
    let mut body = Vec::with_capacity(SALT_BYTES + 5 + POINT_BYTES + record.len());
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD_BYTES.to_be_bytes());
    body.push(65); // The bytes of the key that follows.
    body.extend_from_slice(own);
    body.extend_from_slice(&record);
    Ok(body)
}

/// The content encryption key and the nonce. Each is one block of HKDF, which is an HMAC over the info and a 1.
fn keys(shared: &[u8], own: &[u8; POINT_BYTES], to: &Recipient, salt: [u8; SALT_BYTES]) -> ([u8; 16], [u8; 12]) {
    let combined = mac(&to.secret, &[shared]);
    let input = mac(&combined, &[b"WebPush: info\0", &to.public, own, &[1]]);
    let random = mac(&salt, &[&input]);
    let key = mac(&random, &[b"Content-Encoding: aes128gcm\0", &[1]]);
    let nonce = mac(&random, &[b"Content-Encoding: nonce\0", &[1]]);
    let (mut first, mut second) = ([0; 16], [0; 12]);
    first.copy_from_slice(&key[..16]);
    second.copy_from_slice(&nonce[..12]);
    (first, second)
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    fn recipient() -> Recipient {
        let public = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
        Recipient::read(public, "BTBZMqHH6r4Tts7J_aSIgg").unwrap()
    }

    /// RFC 8291, section 5 and appendix A, from the shared secret to the last byte.
    #[test]
    fn seals_as_the_standard_does() {
        let shared: [u8; 32] = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let own = bytes("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw");
        let (key, nonce) = keys(&shared, &own, &recipient(), salt);
        assert_eq!(key, bytes("oIhVW04MRdy2XN9CiKLxTg"));
        assert_eq!(nonce, bytes("4h_95klXJ5E_qnoN"));
        let body = sealed(&shared, &own, &recipient(), salt, b"When I grow up, I want to be a watermelon").unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(body),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl\
             7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn each_message_has_its_own_key_and_its_limit() {
        let salt = [7; SALT_BYTES];
        let first = seal(&recipient(), salt, b"same").unwrap();
        assert_ne!(first, seal(&recipient(), salt, b"same").unwrap());
        assert_eq!(seal(&recipient(), salt, &[b'x'; PLAIN_BYTES_MAX]).unwrap().len(), 4_096);
        assert_eq!(seal(&recipient(), salt, &[b'x'; PLAIN_BYTES_MAX + 1]), Err(SealError::TooLong));
        let nowhere = Recipient { public: [4; POINT_BYTES], ..recipient() };
        assert_eq!(seal(&nowhere, salt, b"x"), Err(SealError::Keys), "a point that is not on the curve");
        for (p256dh, auth) in [("", ""), ("AAAA", "BTBZMqHH6r4Tts7J_aSIgg"), ("&", "BTBZMqHH6r4Tts7J_aSIgg")] {
            assert_eq!(Recipient::read(p256dh, auth), Err(SealError::Keys), "{p256dh} {auth}");
        }
    }
}
