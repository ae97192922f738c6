//! What those whose page was taken are told later, at the real senders: by changing the message where the service can,
//! else by an answer or a short quiet message, and never where it would ring.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod scene;

use serde_json::{Value, json};
use tenfold_app::alerts::{Channel, Notice, Notifier, Update, UpdateKind};
use tenfold_app::settings::{Mail, Tls};
use tenfold_notify::Channels;
use tenfold_testkit::{Answer, FakeSmtp, FakeWebhook, Hook};
use tenfold_types::Timestamp;

use scene::open;

fn notice() -> Notice {
    Notice {
        subject: "[critical] Incident 3: photos answers 12 % with errors".to_owned(),
        text: "3 alerts now.\n- photos answers 12 % with errors\n- <b>slow</b> @here\n- queue".to_owned(),
        link: "http://127.0.0.1:7070/incidents/3".to_owned(),
        thread: "incident-3".to_owned(),
        incident: 3,
        service: Some("photos".to_owned()),
        environment: None,
        severity: "critical".to_owned(),
        at: Timestamp(1_795_424_400_000),
    }
}

fn update(kind: UpdateKind, message: Option<&str>) -> Update {
    let news = match kind {
        UpdateKind::Grown => "3 alerts now",
        UpdateKind::Acknowledged => "Raj has it",
        UpdateKind::Over => "Over after 12 min",
    };
    Update {
        kind,
        message: message.map(str::to_owned),
        page_key: "page.1".to_owned(),
        news: news.to_owned(),
        notice: notice(),
    }
}

fn mail(smtp: &FakeSmtp) -> Mail {
    Mail {
        host: "127.0.0.1".to_owned(),
        port: smtp.address().port(),
        tls: Tls::None,
        from: "Tenfold <tenfold@example.org>".to_owned(),
        ..Mail::default()
    }
}

struct Scene {
    server: FakeWebhook,
    channels: Channels,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let (dir, server) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await);
        let channels = open(dir.path(), &server, Mail::default());
        Self { server, channels, _dir: dir }
    }

    /// The one request that a telling makes.
    async fn told(&self, channel: Channel, to: &str, update: &Update) -> (Hook, Value) {
        let before = self.server.hooks().len();
        self.channels.update(channel, to, update, "page.1.2").await.unwrap_or_else(|e| panic!("{channel:?}: {e}"));
        let hook = self.server.wait_for(before + 1).await.remove(before);
        assert_eq!(hook.header("idempotency-key"), Some("page.1.2"), "{channel:?}");
        let body = serde_json::from_str(&hook.body).unwrap_or(Value::Null);
        (hook, body)
    }

    /// A page that the service takes with these words; what it calls the message.
    async fn page(&self, channel: Channel, to: &str, answer: &Value) -> Option<String> {
        self.server.reply(&answer.to_string());
        let name = self.channels.deliver(channel, to, &notice(), "page.1").await.unwrap();
        self.server.reply("");
        name
    }
}

#[tokio::test]
async fn telegram_changes_its_message() {
    let s = Scene::new().await;
    let name = s.page(Channel::Telegram, "-1001", &json!({"ok": true, "result": {"message_id": 77}})).await;
    assert_eq!(name.as_deref(), Some("77"));
    let (hook, body) = s.told(Channel::Telegram, "-1001", &update(UpdateKind::Grown, name.as_deref())).await;
    assert_eq!(hook.path, "/botTOKEN/editMessageText");
    assert_eq!((&body["chat_id"], &body["message_id"]), (&json!("-1001"), &json!(77)));
    assert!(body["text"].as_str().unwrap().contains("3 alerts now"), "{body}");
    let (hook, body) = s.told(Channel::Telegram, "-1001", &update(UpdateKind::Over, None)).await;
    assert_eq!((hook.path.as_str(), &body["disable_notification"]), ("/botTOKEN/sendMessage", &json!(true)));
}

#[tokio::test]
async fn discord_changes_its_message() {
    let s = Scene::new().await;
    let to = s.server.url("/api/webhooks/1/SECRET?thread_id=5");
    let name = s.page(Channel::Discord, &to, &json!({"id": "9001"})).await;
    assert_eq!(name.as_deref(), Some("9001"));
    assert_eq!(s.server.hooks()[0].path, "/api/webhooks/1/SECRET?thread_id=5&wait=true");
    let (hook, body) = s.told(Channel::Discord, &to, &update(UpdateKind::Acknowledged, name.as_deref())).await;
    assert_eq!(hook.method, "PATCH");
    assert_eq!(hook.path, "/api/webhooks/1/SECRET/messages/9001?thread_id=5");
    assert!(body["embeds"][0]["description"].as_str().unwrap().contains("3 alerts now"), "{body}");
    assert_eq!(body["allowed_mentions"]["parse"], json!([]));
    let (hook, body) = s.told(Channel::Discord, &to, &update(UpdateKind::Over, None)).await;
    assert_eq!((hook.method.as_str(), &body["flags"]), ("POST", &json!(4096)), "without a sound");
}

#[tokio::test]
async fn matrix_replaces_its_message() {
    let s = Scene::new().await;
    let name = s.page(Channel::Matrix, "!room:example.org", &json!({"event_id": "$abc"})).await;
    let (hook, body) = s.told(Channel::Matrix, "!room:example.org", &update(UpdateKind::Over, name.as_deref())).await;
    assert_eq!(hook.method, "PUT");
    assert!(hook.path.ends_with("/send/m.room.message/page.1.2"), "{}", hook.path);
    assert_eq!(body["m.relates_to"], json!({"rel_type": "m.replace", "event_id": "$abc"}));
    assert_eq!(body["body"], json!(format!("* {}", body["m.new_content"]["body"].as_str().unwrap())));
    let (_, body) = s.told(Channel::Matrix, "!room:example.org", &update(UpdateKind::Over, None)).await;
    assert_eq!(body["msgtype"], "m.notice");
}

#[tokio::test]
async fn paging_services_acknowledge_and_close_what_the_page_opened() {
    let s = Scene::new().await;
    s.page(Channel::Pagerduty, "KEY", &json!({"status": "success"})).await;
    let opened: Value = serde_json::from_str(&s.server.hooks()[0].body).unwrap();
    for (kind, action) in
        [(UpdateKind::Grown, "trigger"), (UpdateKind::Acknowledged, "acknowledge"), (UpdateKind::Over, "resolve")]
    {
        let (hook, body) = s.told(Channel::Pagerduty, "KEY", &update(kind, None)).await;
        assert_eq!((hook.path.as_str(), &body["event_action"]), ("/v2/enqueue", &json!(action)));
        assert_eq!((&body["dedup_key"], &body["routing_key"]), (&opened["dedup_key"], &json!("KEY")));
    }
    let alias = "/v2/alerts/tenfold%2F127.0.0.1%3A7070%2Fincident-3";
    for (kind, path) in [
        (UpdateKind::Grown, "/v2/alerts".to_owned()),
        (UpdateKind::Acknowledged, format!("{alias}/acknowledge?identifierType=alias")),
        (UpdateKind::Over, format!("{alias}/close?identifierType=alias")),
    ] {
        let (hook, body) = s.told(Channel::Opsgenie, "KEY", &update(kind, None)).await;
        assert_eq!((hook.path.as_str(), hook.header("authorization").is_some()), (path.as_str(), true));
        let told = if kind == UpdateKind::Grown { &body["description"] } else { &body["note"] };
        assert!(told.as_str().is_some_and(|t| t.starts_with(update(kind, None).news.as_str())), "{body}");
    }
}

#[tokio::test]
async fn others_follow_with_a_short_quiet_message() {
    let s = Scene::new().await;
    let hook = s.server.url("/hook");
    for channel in [Channel::Slack, Channel::Mattermost, Channel::Teams] {
        let (_, body) = s.told(channel, &hook, &update(UpdateKind::Over, None)).await;
        let text = body.to_string();
        assert!(text.contains("Over after 12 min") && !text.contains("queue"), "{channel:?}: {text}");
    }
    let (_, ntfy) = s.told(Channel::Ntfy, &s.server.url("/topic"), &update(UpdateKind::Grown, None)).await;
    assert_eq!((&ntfy["priority"], &ntfy["message"]), (&json!(2), &json!("3 alerts now")));
    let (_, gotify) = s.told(Channel::Gotify, "KEY", &update(UpdateKind::Grown, None)).await;
    assert_eq!(gotify["priority"], json!(1));
    let (pushover, _) = s.told(Channel::Pushover, "KEY", &update(UpdateKind::Grown, None)).await;
    assert!(pushover.body.contains("priority=-1") && !pushover.body.contains("retry"), "{}", pushover.body);
    let (webhook, body) = s.told(Channel::Webhook, &hook, &update(UpdateKind::Over, None)).await;
    assert_eq!(webhook.header("webhook-id"), Some("page.1.2"));
    assert_eq!((&body["type"], &body["data"]["page"]), (&json!("page.over"), &json!("page.1")));
}

#[tokio::test]
async fn what_rings_on_rings_no_more_once_somebody_has_it() {
    let s = Scene::new().await;
    s.page(Channel::Pushover, "KEY", &json!({"status": 1})).await;
    let page = s.server.hooks().remove(0);
    let tag = "tenfold-127-0-0-1-7070-incident-3";
    assert!(page.body.contains("priority=2") && page.body.contains(&format!("tags={tag}")), "{}", page.body);
    let stop = format!("/1/receipts/cancel_by_tag/{tag}.json");
    let (had, _) = s.told(Channel::Pushover, "KEY", &update(UpdateKind::Acknowledged, None)).await;
    assert_eq!((had.path.as_str(), had.body.as_str()), (stop.as_str(), "token=TOKEN"));
    let (over, _) = s.told(Channel::Pushover, "KEY", &update(UpdateKind::Over, None)).await;
    assert_eq!(over.path, stop, "it may have rung to its end");
    let last = s.server.wait_for(4).await.remove(3);
    assert!(last.path == "/1/messages.json" && last.body.contains("priority=-1"), "{}: {}", last.path, last.body);
}

/// Nothing may ring there any more, or what rang was taken by nobody.
#[tokio::test]
async fn that_it_is_over_is_told_though_ringing_was_not_ended() {
    let s = Scene::new().await;
    s.server.answer(Answer::Refuse);
    s.channels.update(Channel::Pushover, "KEY", &update(UpdateKind::Over, None), "page.1.2").await.unwrap_err();
    s.server.wait_for_attempts(2).await;
    s.server.answer(Answer::Accept);
    let warning = Notice { severity: "warning".to_owned(), ..notice() };
    let over = Update { notice: warning, ..update(UpdateKind::Over, None) };
    let (told, _) = s.told(Channel::Pushover, "KEY", &over).await;
    assert_eq!(told.path, "/1/messages.json", "it never rang on");
}

#[tokio::test]
async fn a_mail_answers_the_page_in_its_conversation() {
    let (dir, server, smtp) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await, FakeSmtp::start().await);
    let channels = open(dir.path(), &server, mail(&smtp));
    channels.deliver(Channel::Mail, "raj@example.org", &notice(), "page.1").await.unwrap();
    let over = update(UpdateKind::Over, None);
    for _ in 0..2 {
        channels.update(Channel::Mail, "raj@example.org", &over, "page.1.2").await.unwrap();
    }
    let mails = smtp.wait_for(3).await;
    assert_eq!(mails[1].text, mails[2].text, "the same key is the same mail");
    for part in [
        "Subject: Re: [critical] Incident 3: photos answers 12 % with errors",
        "Message-ID: <page.1.2@example.org>",
        "In-Reply-To: <page.1@example.org>",
        "References: <incident-3-1795424400000-127-0-0-1-7070@example.org> <page.1@example.org>",
    ] {
        // A long header goes on in the next line.
        let text = mails[1].text.replace("\r\n ", " ").replace("\n ", " ");
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
}

#[tokio::test]
async fn nothing_rings_again_and_trouble_is_told_apart() {
    let s = Scene::new().await;
    for (channel, to) in [(Channel::Sms, "+4930123456"), (Channel::Voice, "+4930123456"), (Channel::Irc, "raj")] {
        for kind in UpdateKind::ALL {
            assert!(!channel.hears(kind), "{channel:?}");
        }
        assert!(s.channels.update(channel, to, &update(UpdateKind::Over, None), "k").await.unwrap_err().permanent);
    }
    assert!(s.server.hooks().is_empty());
    let told = update(UpdateKind::Over, Some("77"));
    s.server.answer(Answer::Limit);
    let later = s.channels.update(Channel::Telegram, "-1001", &told, "k").await.unwrap_err();
    assert_eq!((later.permanent, later.retry_after_ms), (false, Some(7_000)));
    s.server.answer(Answer::Refuse);
    assert!(s.channels.update(Channel::Telegram, "-1001", &told, "k").await.unwrap_err().permanent);
}
