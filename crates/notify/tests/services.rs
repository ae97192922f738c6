//! The sender of the services against a receiver that is limited, away, resets and hangs: nothing is lost, nothing is
//! taken for sent that was not.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod scene;

use std::collections::BTreeSet;
use std::time::Duration;

use tenfold_app::alerts::{Channel, Notice, Notifier};
use tenfold_app::settings::Mail;
use tenfold_testkit::{Answer, FakeWebhook};
use tenfold_types::Timestamp;

use scene::open;

fn notice(n: usize) -> Notice {
    Notice {
        subject: format!("[critical] Incident {n}"),
        text: "photos answers 12 % with errors".to_owned(),
        link: format!("http://127.0.0.1:7070/incidents/{n}"),
        thread: format!("incident-{n}"),
        incident: n as i64,
        service: Some("photos".to_owned()),
        environment: None,
        severity: "critical".to_owned(),
        at: Timestamp(1_795_424_400_000),
    }
}

/// Every channel of a service, with an address as a person would set it.
fn ways(server: &FakeWebhook) -> Vec<(Channel, String)> {
    let hook = server.url("/hook");
    let to = |channel| match channel {
        Channel::Slack | Channel::Mattermost | Channel::Discord | Channel::Teams | Channel::Ntfy => hook.clone(),
        Channel::Telegram => "-1001".to_owned(),
        Channel::Matrix => "!room:example.org".to_owned(),
        Channel::Sms | Channel::Voice => "+4930123456".to_owned(),
        _ => "KEY".to_owned(),
    };
    let own = [Channel::Mail, Channel::Irc, Channel::Webhook, Channel::Web, Channel::Webpush];
    Channel::ALL.into_iter().filter(|c| !own.contains(c)).map(|c| (c, to(c))).collect()
}

#[tokio::test]
async fn every_service_is_called_as_it_wants() {
    let (dir, server) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await);
    let channels = open(dir.path(), &server, Mail::default());
    for (channel, to) in ways(&server) {
        assert!(channels.serves(channel), "{channel:?}");
        assert_eq!(channel.wrong_target(&to), None, "{channel:?}");
        let before = server.hooks().len();
        channels.send(channel, &to, &notice(3), "page.1").await.unwrap_or_else(|e| panic!("{channel:?}: {e}"));
        let hooks = server.wait_for(before + 1).await;
        let hook = &hooks[before];
        assert_eq!(hook.header("idempotency-key"), Some("page.1"), "{channel:?}");
        assert!(hook.body.contains("Incident"), "{channel:?}: {}", hook.body);
        let form = matches!(channel, Channel::Pushover | Channel::Sms | Channel::Voice);
        let wanted = if form { "application/x-www-form-urlencoded" } else { "application/json" };
        assert_eq!(hook.header("content-type"), Some(wanted), "{channel:?}");
        assert_eq!(hook.method, if channel == Channel::Matrix { "PUT" } else { "POST" });
    }
}

#[tokio::test]
async fn two_hundred_pages_outlive_a_receiver_in_trouble() {
    let (dir, server) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await);
    let channels = open(dir.path(), &server, Mail::default());
    let all = ways(&server);
    let mut left: Vec<usize> = (0..200).collect();
    for trouble in [Answer::Limit, Answer::RefuseForNow, Answer::Hangup, Answer::Hang] {
        server.answer(trouble);
        let patience = Duration::from_secs(if trouble == Answer::Hang { 2 } else { 60 });
        // Each in turn is tried by some; a hanging receiver costs its timeout, so only a few meet it.
        let tried: Vec<usize> = left.iter().copied().take(if trouble == Answer::Hang { 4 } else { 60 }).collect();
        let calls = tried.iter().map(|n| {
            let (channel, to) = &all[n % all.len()];
            let (channels, notice) = (&channels, notice(*n));
            async move {
                let key = format!("page.{n}");
                match tokio::time::timeout(patience, channels.send(*channel, to, &notice, &key)).await {
                    Err(_) => assert_eq!(trouble, Answer::Hang),
                    Ok(answer) => {
                        let error = answer.expect_err("nothing is taken in trouble");
                        assert!(!error.permanent, "{channel:?} {trouble:?}: {error}");
                        let wait = (trouble == Answer::Limit).then_some(7_000);
                        assert_eq!(error.retry_after_ms, wait, "{channel:?} {trouble:?}");
                    }
                }
            }
        });
        for call in calls {
            call.await;
        }
    }
    server.answer(Answer::Accept);
    for n in left.drain(..) {
        let (channel, to) = &all[n % all.len()];
        channels.send(*channel, to, &notice(n), &format!("page.{n}")).await.unwrap();
    }
    let keys: BTreeSet<String> =
        server.hooks().iter().map(|h| h.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!((keys.len(), server.hooks().len()), (200, 200));
    server.answer(Answer::Refuse);
    let (channel, to) = &all[0];
    assert!(channels.send(*channel, to, &notice(1), "k").await.unwrap_err().permanent);
}
