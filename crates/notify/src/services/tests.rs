//! The requests, field by field, where a service would refuse or misread something else.

use serde_json::json;
use tenfold_types::Timestamp;

use super::*;

fn notice() -> Notice {
    Notice {
        subject: "[critical] Incident 3: <b>photos</b> & \"co\" – übel".to_owned(),
        text: "photos answers 12 % with errors @everyone".to_owned(),
        link: "https://tenfold.example.org/incidents/3".to_owned(),
        thread: "incident-3".to_owned(),
        incident: 3,
        service: Some("photos".to_owned()),
        environment: Some("production".to_owned()),
        severity: "critical".to_owned(),
        at: Timestamp(1_795_424_400_000),
    }
}

fn accounts() -> Accounts {
    let two = |url: &str| Some((url.to_owned(), "TOKEN".to_owned()));
    Accounts {
        telegram: two("https://t"),
        matrix: two("https://m"),
        gotify: Some("https://g".to_owned()),
        pushover: two("https://p"),
        pagerduty: "https://pd".to_owned(),
        opsgenie: "https://og".to_owned(),
        twilio: Some(Twilio {
            url: "https://tw".to_owned(),
            account: "AC1".to_owned(),
            token: "TOKEN".to_owned(),
            from: "+1555".to_owned(),
            callback: None,
            answers: false,
        }),
    }
}

fn request(channel: Channel, to: &str, notice: &Notice) -> Request {
    accounts().request(channel, to, notice, "key/1").expect("it is set up")
}

fn json(channel: Channel, to: &str) -> (String, Value) {
    let request = request(channel, to, &notice());
    match request.body {
        Body::Json(json) => (request.url, json),
        other => panic!("{other:?}"),
    }
}

#[test]
fn chat_services() {
    let (url, slack) = json(Channel::Slack, "https://hooks/x");
    assert_eq!(url, "https://hooks/x");
    assert_eq!(slack["text"], "[critical] Incident 3: &lt;b&gt;photos&lt;/b&gt; &amp; \"co\" – übel");
    assert_eq!(slack["attachments"][0]["blocks"][1]["elements"][0]["url"], notice().link);
    let (_, mattermost) = json(Channel::Mattermost, "https://hooks/x");
    assert!(mattermost["text"].as_str().unwrap().ends_with("](https://tenfold.example.org/incidents/3)"));
    let shouts = Notice {
        subject: "@all wake up".to_owned(),
        text: "@channel and (@here), ana@example.org".to_owned(),
        ..notice()
    };
    let Body::Json(loud) = request(Channel::Mattermost, "https://hooks/x", &shouts).body else { panic!("JSON") };
    let loud = loud.to_string();
    assert!(!["@all", "@channel", "@here"].iter().any(|m| loud.contains(m)), "a label mentions nobody: {loud}");
    assert!(loud.contains("ana@example.org"), "an address is none: {loud}");
    let Body::Json(slack) = request(Channel::Slack, "https://hooks/x", &shouts).body else { panic!("JSON") };
    let slack = slack.to_string();
    assert!(!["@all", "@channel", "@here"].iter().any(|m| slack.contains(m)), "nor in Slack: {slack}");
    assert!(slack.contains("ana@example.org"), "an address is none: {slack}");
    let (_, discord) = json(Channel::Discord, "https://hooks/x");
    assert_eq!(discord["allowed_mentions"]["parse"], json!([]), "a label mentions nobody");
    let (_, teams) = json(Channel::Teams, "https://hooks/x");
    assert_eq!(teams["attachments"][0]["content"]["actions"][0]["url"], notice().link);
    let lines = Notice { text: "one\ntwo\n".to_owned(), ..notice() };
    let Body::Json(teams) = request(Channel::Teams, "https://hooks/x", &lines).body else { panic!("JSON") };
    let lines = &teams["attachments"][0]["content"]["body"];
    assert_eq!((&lines[1]["inlines"][0]["text"], &lines[2]["inlines"][0]["text"]), (&json!("one"), &json!("two")));
    let (url, telegram) = json(Channel::Telegram, "-100123");
    assert_eq!((url.as_str(), telegram["chat_id"].as_str()), ("https://t/botTOKEN/sendMessage", Some("-100123")));
    let matrix = request(Channel::Matrix, "!a b:example.org", &notice());
    assert_eq!(matrix.url, "https://m/_matrix/client/v3/rooms/%21a%20b%3Aexample.org/send/m.room.message/key%2F1");
    assert!(matrix.verb == Verb::Put && matrix.headers == [("authorization", "Bearer TOKEN".to_owned())]);
}

/// Markup, addresses behind other words and names, as a label may have them.
#[test]
fn what_an_alert_says_is_plain_text_everywhere() {
    let evil = Notice {
        subject: "*a* [x](http://evil.example/p_q) @here".to_owned(),
        text: "__b__ `c` ~d~ <!channel> <@U1> @everyone @room\n# title\n- item\n> {{{DATE(1)}}}\nsee https://wiki.example/a_b?c=1&d."
            .to_owned(),
        ..notice()
    };
    let body = |channel| json_of(channel, &evil);
    let slack = body(Channel::Slack);
    let blocks = &slack["attachments"][0]["blocks"];
    assert_eq!((&slack["mrkdwn"], &blocks[0]["text"]["type"]), (&json!(false), &json!("plain_text")));
    let text = blocks[0]["text"]["text"].as_str().expect("a text");
    assert!(text.contains("&lt;!channel&gt; &lt;@\u{200b}U1&gt; @\u{200b}everyone"), "{text}");
    assert_eq!(blocks[1]["text"]["text"], "<https://wiki.example/a_b?c=1&amp;d>", "it can be followed");
    assert_eq!(blocks[2]["elements"][0]["url"], evil.link);

    let (discord, mattermost) = (body(Channel::Discord), body(Channel::Mattermost));
    assert_eq!(discord["content"], "\\*a\\* \\[x\\](http://evil.example/p_q) @here");
    assert_eq!(
        discord["embeds"][0]["description"],
        "\\_\\_b\\_\\_ \\`c\\` \\~d\\~ \\<!channel\\> \\<@U1\\> @everyone @room\n\\# title\n\\- item\n\\> {{{DATE(1)}}}\nsee \
         https://wiki.example/a_b?c=1&d."
    );
    assert_eq!(mattermost["text"], format!("[\\*a\\* \\[x\\](http://evil.example/p_q) @\u{200b}here]({})", evil.link));
    let text = mattermost["attachments"][0]["text"].as_str().expect("a text");
    assert!(
        text.starts_with("\\_\\_b\\_\\_ \\`c\\` \\~d\\~ <\\!channel\\> <@\u{200b}U1\\> @\u{200b}everyone"),
        "{text}"
    );

    let teams = body(Channel::Teams);
    let card = teams["attachments"][0]["content"]["body"].as_array().expect("blocks");
    assert!(card.iter().all(|block| block["type"] == "RichTextBlock"), "a TextBlock is Markdown: {teams}");
    let runs: Vec<&Value> = card.iter().filter_map(|block| block["inlines"].as_array()).flatten().collect();
    assert!(runs.iter().all(|run| !run["text"].as_str().expect("a text").contains("{{DATE")), "{teams}");
    assert_eq!(card[0]["inlines"][0]["text"], evil.subject);
    let addresses: Vec<&Value> =
        runs.iter().map(|run| &run["selectAction"]["url"]).filter(|url| url.is_string()).collect();
    assert_eq!(addresses, ["https://wiki.example/a_b?c=1&d"]);

    let telegram = body(Channel::Telegram);
    assert_eq!(telegram["parse_mode"], Value::Null);
    assert!(telegram["text"].as_str().is_some_and(|text| text.contains("@\u{200b}room")), "{telegram}");
    let matrix = body(Channel::Matrix);
    assert_eq!((&matrix["m.mentions"], &matrix["formatted_body"]), (&json!({}), &Value::Null));
    assert_eq!(body(Channel::Ntfy)["markdown"], Value::Null);
    assert_eq!(body(Channel::Gotify)["extras"]["client::display"], Value::Null, "it is text/plain then");
    let Body::Form(pushover) = request(Channel::Pushover, "USER", &evil).body else { panic!("a form") };
    assert!(pushover.iter().all(|(name, _)| *name != "html" && *name != "monospace"));
}

/// Teams refuses more, and for good.
#[test]
fn a_card_has_at_most_28_kilobytes() {
    for line in ["\n", "\"\\", "{{{D", "http://a ", "ü\nhttps://b/\u{1}\n"] {
        let text = line.repeat(30_000 / line.len());
        let long = Notice { subject: "\"".repeat(200), text, ..notice() };
        let bytes = json_of(Channel::Teams, &long).to_string().len();
        assert!(bytes < 28_000, "{line:?}: {bytes}");
    }
}

fn json_of(channel: Channel, notice: &Notice) -> Value {
    match request(channel, "https://hooks/x", notice).body {
        Body::Json(json) => json,
        other => panic!("{other:?}"),
    }
}

/// Words of a receiver's own may be long; where the page is acknowledged stands behind them.
#[test]
fn a_long_page_keeps_its_link() {
    let long = Notice { text: format!("{}\nAcknowledge: x\n", "ü".repeat(20_000)), ..notice() };
    let update = Update {
        kind: tenfold_app::alerts::UpdateKind::Grown,
        message: Some("7".to_owned()),
        page_key: "key/1".to_owned(),
        news: "3 alerts now".to_owned(),
        notice: long.clone(),
    };
    for (channel, to, field, bytes) in
        [(Channel::Telegram, "-100123", "text", 4_000), (Channel::Matrix, "!a:example.org", "body", 30_000)]
    {
        let changed = accounts().update(channel, to, &update, "key/2").expect("it is set up");
        for request in [request(channel, to, &long), changed] {
            let Body::Json(json) = request.body else { panic!("JSON") };
            let text = json[field].as_str().expect("a text");
            assert!(text.len() <= bytes, "{channel:?}: {} bytes", text.len());
            assert!(
                text.contains(&long.subject) && text.ends_with(&format!("…\n{}", long.link)),
                "{channel:?}: {text}"
            );
        }
    }
}

#[test]
fn push_and_paging_services() {
    let (url, ntfy) = json(Channel::Ntfy, "https://ntfy.sh/my-topic");
    assert_eq!(
        (url.as_str(), ntfy["topic"].as_str(), ntfy["priority"].as_i64()),
        ("https://ntfy.sh/", Some("my-topic"), Some(5))
    );
    let gotify = request(Channel::Gotify, "APPKEY", &notice());
    assert_eq!((gotify.url.as_str(), gotify.headers[0].1.as_str()), ("https://g/message", "APPKEY"));
    let (url, pagerduty) = json(Channel::Pagerduty, "ROUTE");
    assert_eq!(
        (url.as_str(), pagerduty["dedup_key"].as_str()),
        ("https://pd/v2/enqueue", Some("tenfold/tenfold.example.org/incident-3"))
    );
    let staging = Notice { link: "https://staging.example.org:8443/incidents/3".to_owned(), ..notice() };
    let Body::Json(other) = request(Channel::Pagerduty, "ROUTE", &staging).body else { panic!("JSON") };
    assert_eq!(other["dedup_key"], "tenfold/staging.example.org:8443/incident-3", "another server's incident 3");
    assert_eq!(pagerduty["payload"]["severity"], "critical");
    let opsgenie = request(Channel::Opsgenie, "GK", &notice());
    assert_eq!(opsgenie.headers[0].1, "GenieKey GK");
    let Body::Form(pushover) = request(Channel::Pushover, "USER", &notice()).body else { panic!("a form") };
    assert!(pushover.contains(&("priority", "2".to_owned())) && pushover.contains(&("expire", "1800".to_owned())));
}

#[test]
fn telephones() {
    let sms = request(Channel::Sms, "+491", &notice());
    assert_eq!(sms.url, "https://tw/2010-04-01/Accounts/AC1/Messages.json");
    assert_eq!(sms.headers[0].1, "Basic QUMxOlRPS0VO");
    let Body::Form(pairs) = &sms.body else { panic!("a form") };
    assert!(pairs[2].1.ends_with(&notice().link));
    assert!(phone::form(pairs).starts_with("To=%2B491&From=%2B1555&Body=%5Bcritical%5D+Incident"));
    let Body::Form(pairs) = request(Channel::Voice, "+491", &notice()).body else { panic!("a form") };
    assert!(pairs[2].1.contains("&lt;b&gt;photos"), "what an alert says is read, not obeyed: {}", pairs[2].1);
    let long = Notice { subject: "ü".repeat(5_000), text: "x".repeat(100_000), ..notice() };
    for channel in Channel::ALL {
        let Some(request) = accounts().request(channel, "https://x/y", &long, "k") else { continue };
        let bytes = format!("{:?}", request.body).len();
        assert!(bytes < 45_000, "{channel:?} sends {bytes} bytes");
    }
}

#[test]
fn telephones_that_call_back() {
    let twilio = Twilio {
        callback: phone::callback("https://tenfold.example.org/", "https://api.twilio.com"),
        answers: true,
        ..accounts().twilio.expect("it is set up")
    };
    let Body::Form(sms) = phone::sms(&twilio, "+491", &notice(), "page/1.sms").body else { panic!("a form") };
    let status = "https://tenfold.example.org/hooks/twilio/status?key=page%2F1.sms";
    assert_eq!(sms[3], ("StatusCallback", status.to_owned()));
    assert!(sms[2].1.ends_with(&format!("Answer 4 3 to acknowledge. {}", notice().link)), "{}", sms[2].1);
    let Body::Form(call) = phone::voice(&twilio, "+491", &notice(), "p.voice").body else { panic!("a form") };
    assert!(call[2].1.contains("action=\"https://tenfold.example.org/hooks/twilio/key?key=p.voice\""), "{}", call[2].1);
    assert!(call[2].1.contains("Press 4 to acknowledge."));
    let test = Notice { incident: 0, ..notice() };
    let Body::Form(sms) = phone::sms(&twilio, "+491", &test, "p.sms").body else { panic!("a form") };
    assert!(!sms[2].1.contains("Answer"), "nothing is acknowledged by a test: {}", sms[2].1);
    // Nobody outside can ask this machine alone.
    for ours in ["http://127.0.0.1:7070", "http://localhost:7070", "http://[::1]:7070", ""] {
        assert_eq!(phone::callback(ours, "https://api.twilio.com"), None, "{ours}");
    }
    assert!(phone::callback("http://127.0.0.1:7070", "http://127.0.0.1:9").is_some(), "both are here");
}

/// What Twilio's documentation gives as an example, and what its Python library computes.
#[test]
fn what_the_provider_signs() {
    let fields = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
    };
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    let call = fields(&[
        ("To", "+18005551212"),
        ("From", "+14158675309"),
        ("Digits", "1234"),
        ("Caller", "+14158675309"),
        ("CallSid", "CA1234567890ABCDE"),
    ]);
    let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    assert!(phone::signed("12345", url, &call, signature));
    assert!(phone::signed("12345", &url.replace(".com", ".com:443"), &call, signature), "with its port or without");
    let status = fields(&[("MessageStatus", "undelivered"), ("ErrorCode", "30003"), ("MessageSid", "SM1")]);
    let ours = "https://tenfold.example.org/hooks/twilio/status/k.sms";
    assert!(phone::signed("12345", ours, &status, "NNqo8ceaGk1EQ7eZ3JLF+EJWhgw="));
    assert!(!phone::signed("12346", url, &call, signature), "another token");
    assert!(!phone::signed("12345", &url.replace("foo=1", "foo=2"), &call, signature), "another address");
    assert!(!phone::signed("12345", url, &call[1..], signature), "a field is missing");
    for nonsense in ["", "RSOYDt4T1cUTdK1PDd93", "?"] {
        assert!(!phone::signed("12345", url, &call, nonsense));
    }
}

#[test]
fn what_services_answer() {
    let read = |channel, status, asked, body: &str| answer::read(channel, status, asked, body.as_bytes());
    assert_eq!(read(Channel::Slack, 200, None, "ok"), Ok(()));
    assert_eq!(read(Channel::Pagerduty, 202, None, "{}"), Ok(()));
    type Case<'a> = (Channel, u16, Option<i64>, &'a str, bool, Option<i64>, &'a str);
    let cases: &[Case<'_>] = &[
        (Channel::Slack, 429, Some(30_000), "", false, Some(30_000), "429"),
        (
            Channel::Discord,
            429,
            Some(650),
            "{\"retry_after\": 0.65, \"message\": \"slow down\"}",
            false,
            Some(650),
            "slow down",
        ),
        (Channel::Telegram, 429, None, "{\"ok\":false,\"parameters\":{\"retry_after\":5}}", false, Some(5_000), "429"),
        (
            Channel::Matrix,
            429,
            None,
            "{\"retry_after_ms\": 2000, \"error\": \"Too Many\"}",
            false,
            Some(2_000),
            "Too Many",
        ),
        (Channel::Slack, 404, None, "no_team", true, None, "no_team"),
        (
            Channel::Telegram,
            400,
            None,
            "{\"ok\":false,\"description\":\"chat not found\"}",
            true,
            None,
            "chat not found",
        ),
        (
            Channel::Pushover,
            200,
            None,
            "{\"status\":0,\"errors\":[\"user is invalid\"]}",
            true,
            None,
            "user is invalid",
        ),
        (Channel::Pagerduty, 500, None, "<html>", false, None, "500"),
        (Channel::Slack, 429, None, "", false, None, "429"),
        (Channel::Slack, 302, None, "", true, None, "302"),
    ];
    for (channel, status, asked, body, permanent, wait, word) in cases {
        let error = read(*channel, *status, *asked, body).unwrap_err();
        assert_eq!((error.permanent, error.retry_after_ms), (*permanent, *wait), "{channel:?} {status} {body}");
        assert!(error.message.contains(word), "{}", error.message);
    }
}

#[test]
fn a_change_that_was_made_already_is_made() {
    let said = b"{\"ok\":false,\"description\":\"Bad Request: message is not modified: same\"}";
    assert_eq!(answer::read(Channel::Telegram, 400, None, said), Ok(()));
    answer::read(Channel::Slack, 400, None, said).expect_err("only Telegram says so");
}

#[test]
fn names_of_messages_are_read() {
    for (channel, body, name) in [
        (Channel::Telegram, "{\"ok\":true,\"result\":{\"message_id\":5}}", Some("5")),
        (Channel::Discord, "{\"id\":\"9\"}", Some("9")),
        (Channel::Discord, "{\"id\":9}", None),
        (Channel::Discord, "", None),
        (Channel::Matrix, "{\"event_id\":\"$a\"}", Some("$a")),
        (Channel::Slack, "ok", None),
    ] {
        assert_eq!(answer::message(channel, body.as_bytes()).as_deref(), name, "{channel:?} {body}");
    }
}
