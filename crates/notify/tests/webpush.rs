//! Pushes as a browser's push service gets them: only the browser reads them, the server signs them, and nothing within
//! the server's networks is reached.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use ring::{aead, agreement};
use serde_json::Value;
use sha2::Sha256;
use tenfold_app::Settings;
use tenfold_app::alerts::{Notice, Notifier, Push, PushError, PushTo, Update, UpdateKind};
use tenfold_app::settings::Channels as Own;
use tenfold_notify::{Channels, PUSH_KEY_FILE, SetupError};
use tenfold_testkit::{Answer, FakeWebhook, Hook, TestClock};
use tenfold_types::{Clock as _, Timestamp};

const AUTH: [u8; 16] = [9; 16];

fn notice() -> Notice {
    Notice {
        subject: "[critical] Incident 3: photos".to_owned(),
        text: "photos answers 12 % with errors".to_owned(),
        link: "https://tenfold.example.org/incidents/3".to_owned(),
        thread: "incident-3".to_owned(),
        incident: 3,
        service: Some("photos".to_owned()),
        environment: None,
        severity: "critical".to_owned(),
        at: Timestamp(1_795_424_400_000),
    }
}

fn open(dir: &Path, push_loopback: bool) -> Result<Channels, SetupError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let channels = Own { push_loopback, push_contact: "mailto:ops@example.org".to_owned(), ..Own::default() };
    let settings = Settings { data_dir: dir.to_owned(), channels, ..Settings::default() };
    Channels::open(&settings, Arc::new(TestClock::default()), &|bytes| bytes.fill(7))
}

/// A browser with its own key pair, which reads one message.
struct Browser {
    key: agreement::EphemeralPrivateKey,
    public: Vec<u8>,
}

impl Browser {
    fn new() -> Self {
        let key = agreement::EphemeralPrivateKey::generate(&agreement::ECDH_P256, &SystemRandom::new()).unwrap();
        let public = key.compute_public_key().unwrap().as_ref().to_vec();
        Self { key, public }
    }

    fn at(&self, endpoint: &str) -> PushTo {
        let (p256dh, auth) = (URL_SAFE_NO_PAD.encode(&self.public), URL_SAFE_NO_PAD.encode(AUTH));
        PushTo { endpoint: endpoint.to_owned(), p256dh, auth, login: "ana".to_owned() }
    }

    /// Reads a body as RFC 8188 and 8291 lay down for the receiver.
    fn read(self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        let (size, rest) = rest.split_at(4);
        assert_eq!(u32::from_be_bytes(size.try_into().unwrap()), 4_096);
        let (sender, sealed) = rest[1..].split_at(usize::from(rest[0]));
        let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, sender);
        let shared = agreement::agree_ephemeral(self.key, &peer, <[u8]>::to_vec).unwrap();
        let hkdf = |salt: &[u8], input: &[u8], info: &[u8]| mac(&mac(salt, input), &[info, [1].as_slice()].concat());
        let info = [b"WebPush: info\0".as_slice(), self.public.as_slice(), sender].concat();
        let input = hkdf(&AUTH, &shared, &info);
        let key = hkdf(salt, &input, b"Content-Encoding: aes128gcm\0");
        let nonce = hkdf(salt, &input, b"Content-Encoding: nonce\0");
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key[..16]).unwrap());
        let nonce = aead::Nonce::try_assume_unique_for_key(&nonce[..12]).unwrap();
        let mut sealed = sealed.to_vec();
        let plain = key.open_in_place(nonce, aead::Aad::empty(), &mut sealed).unwrap();
        let (last, json) = plain.split_last().unwrap();
        assert_eq!(*last, 2, "the one record is the last");
        serde_json::from_slice(json).unwrap()
    }
}

fn mac(key: &[u8], input: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(input);
    mac.finalize().into_bytes().to_vec()
}

/// The claims of the token, once its signature holds under `key`.
fn claims(hook: &Hook, key: &str) -> Value {
    let value = hook.header("authorization").unwrap();
    let (token, said) = value.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
    assert_eq!(said, key);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes(key)).verify(signed.as_bytes(), &bytes(signature)).unwrap();
    serde_json::from_slice(&bytes(signed.split_once('.').unwrap().1)).unwrap()
}

#[tokio::test]
async fn only_the_browser_reads_it_and_the_server_signs_it() {
    let (dir, server) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await);
    let channels = open(dir.path(), true).unwrap();
    assert!(!dir.path().join(PUSH_KEY_FILE).exists(), "nobody needs a key yet");
    let key = channels.push_key().await.unwrap();
    let browser = Browser::new();
    let to = browser.at(&server.url("/send/secret"));
    channels.push(&to, Push::Page(&notice()), "page.1.webpush").await.unwrap();
    let hook = server.wait_for(1).await.remove(0);
    assert_eq!((hook.method.as_str(), hook.path.as_str()), ("POST", "/send/secret"));
    for (name, value) in [
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
        ("ttl", "3600"),
        ("urgency", "high"),
        ("idempotency-key", "page.1.webpush"),
    ] {
        assert_eq!(hook.header(name), Some(value), "{name}");
    }
    assert!(!hook.body.contains("photos"), "the push service reads nothing");
    let origin = server.url("");
    let claims = claims(&hook, &key);
    assert_eq!(
        (claims["aud"].as_str(), claims["sub"].as_str()),
        (Some(origin.as_str()), Some("mailto:ops@example.org"))
    );
    let left = claims["exp"].as_i64().unwrap() - TestClock::default().now().millis() / 1_000;
    assert!((1..=86_400).contains(&left), "{left} s");
    let said = browser.read(&hook.bytes);
    assert_eq!((said["title"].as_str(), said["incident"].as_i64()), (Some("[critical] Incident 3: photos"), Some(3)));
    assert_eq!((said["link"].as_str(), said["open"].as_bool()), (Some(notice().link.as_str()), Some(true)));
    assert_eq!(said["login"], "ana", "whose page it is");

    let over = Update {
        kind: UpdateKind::Over,
        message: None,
        page_key: "page.1".to_owned(),
        news: "Over after 12 min".to_owned(),
        notice: notice(),
    };
    let browser = Browser::new();
    channels.push(&browser.at(&server.url("/send/secret")), Push::News(&over), "page.1.2").await.unwrap();
    let news = server.wait_for(2).await.remove(1);
    assert_eq!((news.header("urgency"), news.header("topic")), (Some("low"), hook.header("topic")));
    assert_eq!(browser.read(&news.bytes)["text"], "Over after 12 min");
    let again = open(dir.path(), true).unwrap();
    assert_eq!(again.push_key().await.unwrap(), key, "the key outlives the process");
}

#[tokio::test]
async fn trouble_is_put_off_and_what_is_gone_is_gone() {
    let (dir, server) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await);
    let channels = open(dir.path(), true).unwrap();
    let to = Browser::new().at(&server.url("/send/secret"));
    for (answer, wait) in [(Answer::Limit, Some(7_000)), (Answer::RefuseForNow, None), (Answer::Hangup, None)] {
        server.answer(answer);
        let error = channels.push(&to, Push::Page(&notice()), "k").await.unwrap_err();
        let PushError::Failed(error) = error else { panic!("{answer:?}: {error:?}") };
        assert_eq!((error.permanent, error.retry_after_ms), (false, wait), "{answer:?}: {error}");
        assert!(!error.message.contains("secret"), "{error}");
    }
    server.answer(Answer::Refuse);
    assert_eq!(channels.push(&to, Push::Page(&notice()), "k").await, Err(PushError::Gone));
    assert!(server.hooks().is_empty());
}

#[tokio::test]
async fn nothing_within_is_reached() {
    let (dir, server) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await);
    let channels = open(dir.path(), false).unwrap();
    let browser = Browser::new();
    let port = server.url("").rsplit(':').next().unwrap().to_owned();
    for endpoint in [
        server.url("/x"),
        format!("https://127.0.0.1:{port}/x"),
        format!("https://[::ffff:127.0.0.1]:{port}/x"),
        format!("https://localhost:{port}/x"),
        "https://169.254.169.254/latest".to_owned(),
        "no address".to_owned(),
    ] {
        let refused = channels.push(&browser.at(&endpoint), Push::Page(&notice()), "k").await;
        let Err(PushError::Failed(error)) = refused else { panic!("{endpoint}: {refused:?}") };
        assert!(error.permanent, "{endpoint}: {error}");
    }
    assert!(server.hooks().is_empty());
    let wrong = PushTo { p256dh: "AAAA".to_owned(), ..browser.at("https://push.example.org/x") };
    let refused = channels.push(&wrong, Push::Page(&notice()), "k").await;
    assert!(matches!(refused, Err(PushError::Failed(error)) if error.permanent && error.message.contains("P-256")));
}

#[tokio::test]
async fn a_key_that_is_none_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(PUSH_KEY_FILE), "no key").unwrap();
    assert!(matches!(open(dir.path(), false), Err(SetupError::PushKey(_))));
    let settings = Settings {
        data_dir: dir.path().to_owned(),
        channels: Own { push_key_file: Some(dir.path().join("elsewhere")), ..Own::default() },
        ..Settings::default()
    };
    let opened = Channels::open(&settings, Arc::new(TestClock::default()), &|bytes| bytes.fill(7));
    assert!(matches!(opened, Err(SetupError::PushKey(_))), "a file that is named is not made");
}
