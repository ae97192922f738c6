//! Mail and webhooks against receivers that take, put off, refuse and hang up.

use std::sync::Arc;

use tenfold_app::Settings;
use tenfold_app::alerts::{Channel, Notice, Notifier};
use tenfold_app::settings::{Mail, Tls};
use tenfold_notify::{Channels, SECRET_FILE, SetupError, signature};
use tenfold_testkit::{Answer, FakeSmtp, FakeWebhook, TestClock};
use tenfold_types::{Clock, Timestamp};

fn notice() -> Notice {
    Notice {
        subject: "[critical] Incident 3: photos answers 12 % with errors – übel".to_owned(),
        text: "photos answers 12 % with errors\n\nAcknowledge: http://127.0.0.1:7070/incidents/3\n.\n".to_owned(),
        link: "http://127.0.0.1:7070/incidents/3".to_owned(),
        thread: "incident-3".to_owned(),
        incident: 3,
        service: Some("photos".to_owned()),
        environment: None,
        severity: "critical".to_owned(),
        at: Timestamp(1_795_424_400_000),
    }
}

fn open(dir: &std::path::Path, port: u16) -> Result<Channels, SetupError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let host = if port == 0 { String::new() } else { "127.0.0.1".to_owned() };
    let mail = Mail { host, port, tls: Tls::None, from: "Tenfold <tenfold@example.org>".to_owned(), ..Mail::default() };
    let settings = Settings { data_dir: dir.to_owned(), mail, ..Settings::default() };
    Channels::open(&settings, Arc::new(TestClock::default()), &|bytes| bytes.fill(7))
}

#[tokio::test]
async fn a_mail_is_plain_threaded_and_the_same_when_sent_again() {
    let (dir, server) = (tempfile::tempdir().unwrap(), FakeSmtp::start().await);
    let channels = open(dir.path(), server.address().port()).unwrap();
    for _ in 0..2 {
        channels.send(Channel::Mail, "raj@example.org", &notice(), "0192-page.mail").await.unwrap();
    }
    let mails = server.wait_for(2).await;
    assert_eq!(mails[0].text, mails[1].text, "the same key is the same mail to the byte");
    assert_eq!(
        (mails[0].from.as_str(), mails[0].to.clone()),
        ("tenfold@example.org", vec!["raj@example.org".to_owned()])
    );
    let text = &mails[0].text;
    for part in [
        "Message-ID: <0192-page.mail@example.org>",
        "References: <incident-3-1795424400000-127-0-0-1-7070@example.org>",
        "In-Reply-To: <incident-3-1795424400000-127-0-0-1-7070@example.org>",
        "Auto-Submitted: auto-generated",
        "X-Tenfold-Incident: 3",
        "Date: Mon, 23 Nov 2026 09:00:00",
        "Acknowledge: http://127.0.0.1:7070/incidents/3",
    ] {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
}

/// A staging server, or one that was set up anew, has an incident 3 as well.
#[tokio::test]
async fn servers_of_one_domain_have_conversations_of_their_own() {
    let (dir, server) = (tempfile::tempdir().unwrap(), FakeSmtp::start().await);
    let channels = open(dir.path(), server.address().port()).unwrap();
    let elsewhere = Notice { link: "https://[fd00::1]:7070/incidents/3".to_owned(), ..notice() };
    let later = Notice { at: Timestamp(1_795_424_400_001), ..notice() };
    for (key, notice) in [("a", notice()), ("b", elsewhere), ("c", later)] {
        channels.send(Channel::Mail, "raj@example.org", &notice, key).await.unwrap();
    }
    let mails = server.wait_for(3).await;
    let root = |text: &str| text.lines().find(|line| line.starts_with("References: ")).map(str::to_owned);
    let roots: std::collections::BTreeSet<_> = mails.iter().map(|mail| root(&mail.text)).collect();
    assert_eq!(roots.len(), 3, "{roots:?}");
    let named =
        roots.iter().flatten().any(|root| root.contains("<incident-3-1795424400000--fd00--1--7070@example.org>"));
    assert!(named, "{roots:?}");
}

#[tokio::test]
async fn what_a_mail_server_says_is_understood() {
    let (dir, server) = (tempfile::tempdir().unwrap(), FakeSmtp::start().await);
    let channels = open(dir.path(), server.address().port()).unwrap();
    let send = |to: &'static str| channels.send(Channel::Mail, to, Box::leak(Box::new(notice())), "k");
    server.answer(Answer::RefuseForNow);
    let later = send("raj@example.org").await.unwrap_err();
    assert!(!later.permanent && later.message.contains("451"), "{later:?}");
    server.answer(Answer::Refuse);
    let never = send("raj@example.org").await.unwrap_err();
    assert!(never.permanent && never.message.contains("550"), "{never:?}");
    server.answer(Answer::Hangup);
    assert!(!send("raj@example.org").await.unwrap_err().permanent);
    let wrong = send("raj at example").await.unwrap_err();
    assert!(wrong.permanent && wrong.message.contains("not a mail address"));
    drop(server);
    assert!(!send("raj@example.org").await.unwrap_err().permanent, "a server that is away may come back");
}

#[tokio::test]
async fn a_webhook_is_signed_and_its_key_is_told() {
    let (dir, server) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await);
    let channels = open(dir.path(), 0).unwrap();
    assert!(channels.serves(Channel::Webhook) && !channels.serves(Channel::Mail));
    channels.send(Channel::Webhook, &server.url("/hook"), &notice(), "0192.webhook").await.unwrap();
    let hook = server.wait_for(1).await.remove(0);
    assert_eq!((hook.method.as_str(), hook.path.as_str()), ("POST", "/hook"));
    assert_eq!(
        (hook.header("webhook-id"), hook.header("idempotency-key")),
        (Some("0192.webhook"), Some("0192.webhook"))
    );
    let seconds = TestClock::default().now().millis() / 1_000;
    assert_eq!(hook.header("webhook-timestamp"), Some(seconds.to_string().as_str()));
    assert_eq!(
        hook.header("webhook-signature"),
        Some(signature(&[7; 24], "0192.webhook", seconds, &hook.body).as_str())
    );
    assert!(hook.body.contains("\"incident\":3"), "{}", hook.body);

    let path = dir.path().join(SECRET_FILE);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "only the owner reads the secret");
    open(dir.path(), 0).unwrap();
    std::fs::write(&path, "nonsense").unwrap();
    assert!(matches!(open(dir.path(), 0), Err(SetupError::Secret(_))));
}

#[tokio::test]
async fn what_a_webhook_answers_is_understood() {
    let (dir, server) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await);
    let channels = open(dir.path(), 0).unwrap();
    let url = server.url("/hook");
    server.answer(Answer::RefuseForNow);
    let later = channels.send(Channel::Webhook, &url, &notice(), "k").await.unwrap_err();
    assert!(!later.permanent && later.message.contains("503"), "{later:?}");
    server.answer(Answer::Refuse);
    let never = channels.send(Channel::Webhook, &url, &notice(), "k").await.unwrap_err();
    assert!(never.permanent && never.message.contains("410"), "{never:?}");
    server.answer(Answer::Hangup);
    assert!(!channels.send(Channel::Webhook, &url, &notice(), "k").await.unwrap_err().permanent);
    assert!(channels.send(Channel::Webhook, "no address", &notice(), "k").await.unwrap_err().permanent);
    assert!(channels.send(Channel::Mail, "raj@example.org", &notice(), "k").await.unwrap_err().permanent);
}

#[test]
fn a_wrong_sender_is_said_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let mail = Mail { host: "127.0.0.1".to_owned(), from: "nobody".to_owned(), ..Mail::default() };
    let settings = Settings { data_dir: dir.path().to_owned(), mail, ..Settings::default() };
    let error = Channels::open(&settings, Arc::new(TestClock::default()), &|b| b.fill(1)).err().unwrap();
    assert!(error.to_string().contains("tenfold@example.org"), "{error}");
}
