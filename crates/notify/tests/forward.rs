//! Alerts posted to other Alertmanagers: with what they are let in, and what their answers mean.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;

use tenfold_app::alerts::{AlertSender, FORWARDED_BY, ForwardError, NotifyError};
use tenfold_app::settings::ForwardTo;
use tenfold_notify::Forward;
use tenfold_testkit::{Answer, FakeWebhook, TestClock};

fn sender() -> Forward {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Forward::new(Arc::new(TestClock::default())).unwrap()
}

async fn failed(sender: &Forward, to: &ForwardTo) -> NotifyError {
    match sender.send(to, "[]".to_owned(), "us").await {
        Err(ForwardError::Failed(error)) => error,
        other => panic!("it fails: {other:?}"),
    }
}

#[tokio::test]
async fn it_is_posted_with_the_secret_that_stands_in_its_file_now() {
    let (server, sender, dir) = (FakeWebhook::start().await, sender(), tempfile::tempdir().unwrap());
    let file = dir.path().join("secret");
    let plain = ForwardTo { url: server.url("/prefix/"), ..ForwardTo::default() };
    let token = ForwardTo { token_file: Some(file.clone()), ..plain.clone() };
    let basic = ForwardTo { username: "u".to_owned(), password_file: Some(file.clone()), ..plain.clone() };
    assert!(failed(&sender, &token).await.message.contains("cannot be read"));
    std::fs::write(&file, "one\n").unwrap();
    for to in [&plain, &token, &basic] {
        sender.send(to, "[1]".to_owned(), "us").await.unwrap();
    }
    std::fs::write(&file, "two\n").unwrap();
    sender.send(&token, "[1]".to_owned(), "us").await.unwrap();
    let hooks = server.hooks();
    let let_in: Vec<Option<&str>> = hooks.iter().map(|hook| hook.header("authorization")).collect();
    // `u:one` in base64.
    assert_eq!(let_in, [None, Some("Bearer one"), Some("Basic dTpvbmU="), Some("Bearer two")]);
    for hook in &hooks {
        assert_eq!(
            (hook.method.as_str(), hook.path.as_str(), hook.body.as_str()),
            ("POST", "/prefix/api/v2/alerts", "[1]")
        );
        assert_eq!((hook.header("content-type"), hook.header(FORWARDED_BY)), (Some("application/json"), Some("us")));
    }
}

#[tokio::test]
async fn what_may_be_mended_is_no_refusal() {
    let (server, sender) = (FakeWebhook::start().await, sender());
    let to = ForwardTo { url: server.url(""), ..ForwardTo::default() };
    for (answer, retry_after_ms) in
        [(Answer::RefuseForNow, None), (Answer::Refuse, None), (Answer::Limit, Some(7_000)), (Answer::Hangup, None)]
    {
        server.answer(answer);
        let error = failed(&sender, &to).await;
        assert_eq!((error.permanent, error.retry_after_ms), (false, retry_after_ms), "{error:?}");
    }
    let nobody = ForwardTo { url: "http://127.0.0.1:1".to_owned(), ..ForwardTo::default() };
    assert!(!failed(&sender, &nobody).await.permanent);
}
