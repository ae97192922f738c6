use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::signature::{TIME_OFF_MS_MAX, mac};

const NOW: i64 = 1_614_265_330_000;
const SECRET: &[u8] = b"It's a Secret to Everybody";

fn push_body() -> String {
    serde_json::json!({
        "ref": "refs/heads/main", "before": "a".repeat(40), "after": "b".repeat(40), "forced": true,
        "repository": {"clone_url": "https://git.example/ana/photos.git", "ssh_url": "git@git.example:ana/photos.git"},
        "pusher": {"name": "ana"}, "sender": {"login": "ana"},
        "commits": [{"id": "b".repeat(40), "message": "Mend the \u{7}upload\n\nbody", "author": {"name": "Ana", "username": "ana"}}],
    })
    .to_string()
}

fn take(forge: Forge, secret: &[u8], headers: &[(&str, &str)], body: &str) -> Result<Delivery, WebhookError> {
    let headers: BTreeMap<&str, &str> = headers.iter().copied().collect();
    receive(forge, secret, |name| headers.get(name).copied(), body.as_bytes(), NOW)
}

fn hex_of(body: &str) -> String {
    hex::encode(mac(SECRET, &[body.as_bytes()]))
}

/// GitHub's own example, from "Validating webhook deliveries".
#[test]
fn githubs_example_fits() {
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = |s| [("x-hub-signature-256", s), ("x-github-event", "ping"), ("x-github-delivery", "72d3162e")];
    let delivery = take(Forge::Github, SECRET, &headers(signature), "Hello, World!").unwrap();
    assert_eq!((delivery.event, delivery.id.as_deref()), (ForgeEvent::Ping, Some("72d3162e")));
    for (wrong, body) in [
        ("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e18", "Hello, World!"),
        (signature, "Hello, World?"),
        (&signature[7..], "Hello, World!"),
        ("sha256=", "Hello, World!"),
        ("sha256=zz", "Hello, World!"),
    ] {
        assert_eq!(
            take(Forge::Github, SECRET, &headers(wrong), body),
            Err(WebhookError::Signed(SignatureError::Signature)),
            "{wrong}"
        );
    }
    assert!(matches!(take(Forge::Github, SECRET, &[], "x"), Err(WebhookError::NoHeader(_))));
    assert_eq!(
        take(Forge::Github, b"another secret", &headers(signature), "Hello, World!"),
        Err(WebhookError::Signed(SignatureError::Signature))
    );
}

#[test]
fn a_push_is_read_from_each() {
    let body = push_body();
    let hex = hex_of(&body);
    let sha256 = format!("sha256={hex}");
    let github = take(
        Forge::Github,
        SECRET,
        &[("x-hub-signature-256", &sha256), ("x-github-event", "push"), ("x-github-delivery", "1")],
        &body,
    )
    .unwrap();
    let ForgeEvent::Push(push) = github.event else { panic!("a push") };
    assert_eq!(push.repositories, ["git.example/ana/photos"]);
    assert_eq!((push.branch.as_deref(), push.pusher.as_str(), push.count), (Some("main"), "ana", 1));
    assert_eq!(push.commits[0].message, "Mend the upload");
    for prefix in ["gitea", "forgejo"] {
        let headers = [format!("x-{prefix}-signature"), format!("x-{prefix}-event"), format!("x-{prefix}-delivery")];
        let headers = [(headers[0].as_str(), hex.as_str()), (&headers[1], "push"), (&headers[2], "7")];
        let delivery = take(Forge::Gitea, SECRET, &headers, &body).unwrap();
        assert!(matches!(delivery.event, ForgeEvent::Push(_)));
        assert_eq!((delivery.id.as_deref(), delivery.digest), (Some("7"), github.digest.clone()));
    }
    let gitlab = serde_json::json!({
        "object_kind": "push", "ref": "refs/heads/main", "before": "0".repeat(40), "after": "b".repeat(40),
        "user_username": "mei", "total_commits_count": 25, "commits": [],
        "project": {"git_http_url": "https://gitlab.example/group/sub/photos.git", "web_url": "https://gitlab.example/group/sub/photos"},
    })
    .to_string();
    let headers = [
        ("x-gitlab-token", "It's a Secret to Everybody"),
        ("x-gitlab-event", "Push Hook"),
        ("x-gitlab-event-uuid", "u"),
    ];
    let ForgeEvent::Push(push) = take(Forge::Gitlab, SECRET, &headers, &gitlab).unwrap().event else {
        panic!("a push")
    };
    assert_eq!((push.pusher.as_str(), push.count, push.before), ("mei", 25, None));
    assert_eq!(push.repositories, ["gitlab.example/group/sub/photos"]);
    let wrong = [("x-gitlab-token", "It's a Secret to Everybody "), ("x-gitlab-event", "Push Hook")];
    assert_eq!(take(Forge::Gitlab, SECRET, &wrong, &gitlab), Err(WebhookError::Signed(SignatureError::Signature)));
}

/// The example of the Standard Webhooks libraries' own tests.
#[test]
fn a_standard_signature_binds_id_and_time() {
    let secret = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let body = "{\"test\": 2432232314}";
    let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let several = format!("v1,AAAA v1a,x {good}");
    let take = |id, time, signature, now| {
        let headers = BTreeMap::from([
            ("webhook-id", id),
            ("webhook-timestamp", time),
            ("webhook-signature", signature),
            ("x-gitlab-event", "Note Hook"),
        ]);
        receive(Forge::Gitlab, secret, |name| headers.get(name).copied(), body.as_bytes(), now)
    };
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    assert_eq!(take(id, "1614265330", good, NOW).unwrap().event, ForgeEvent::Other);
    assert!(take(id, "1614265330", &several, NOW).is_ok());
    assert_eq!(take("msg_other", "1614265330", good, NOW), Err(WebhookError::Signed(SignatureError::Signature)));
    assert_eq!(take(id, "1614265331", good, NOW), Err(WebhookError::Signed(SignatureError::Signature)));
    assert_eq!(take(id, "1614265330", "v1,AAAA", NOW), Err(WebhookError::Signed(SignatureError::Signature)));
    assert_eq!(
        take(id, "1614265330", good, NOW + TIME_OFF_MS_MAX + 1),
        Err(WebhookError::Signed(SignatureError::Time))
    );
    assert_eq!(
        take(id, "1614265330", good, NOW - TIME_OFF_MS_MAX - 1),
        Err(WebhookError::Signed(SignatureError::Time))
    );
}

/// What could never fit is known before there is a body.
#[test]
fn headers_tell_who_cannot_have_signed() {
    let looks = |forge: Forge, headers: &[(&str, &str)]| {
        let headers: BTreeMap<&str, &str> = headers.iter().copied().collect();
        looks_signed(forge, SECRET, |name| headers.get(name).copied(), NOW)
    };
    let (hex, upper) = (hex_of("x"), hex_of("x").to_uppercase());
    let github = |given: &str| looks(Forge::Github, &[("x-hub-signature-256", given)]);
    assert_eq!(github(&format!("sha256={hex}")), Ok(()));
    assert_eq!(github(&format!("sha256={upper}")), Ok(()));
    let unfit = Err(WebhookError::Signed(SignatureError::Signature));
    for wrong in [
        String::new(),
        hex.clone(),
        format!("sha256={}", &hex[1..]),
        format!("sha256={hex}0"),
        format!("sha256=z{}", &hex[1..]),
    ] {
        assert_eq!(github(&wrong), unfit, "{wrong}");
    }
    assert!(matches!(looks(Forge::Github, &[]), Err(WebhookError::NoHeader(_))));
    assert_eq!(looks(Forge::Gitea, &[("x-forgejo-signature", hex.as_str())]), Ok(()));
    assert_eq!(looks(Forge::Gitea, &[("x-gitea-signature", "00")]), unfit);
    // the plain secret is the proof itself
    let secret = std::str::from_utf8(SECRET).unwrap();
    assert_eq!(looks(Forge::Gitlab, &[("x-gitlab-token", secret)]), Ok(()));
    assert_eq!(looks(Forge::Gitlab, &[("x-gitlab-token", "another one of them")]), unfit);
    let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let standard = |time: &str, signature: &str| {
        let headers = [("webhook-id", "1"), ("webhook-timestamp", time), ("webhook-signature", signature)];
        looks(Forge::Gitlab, &headers)
    };
    assert_eq!(standard("1614265330", &format!("v1a,x {good}")), Ok(()));
    assert_eq!(standard("1614265330", "v1,AAAA"), unfit);
    assert_eq!(standard("1614260000", good), Err(WebhookError::Signed(SignatureError::Time)));
    assert!(matches!(looks(Forge::Gitlab, &[("webhook-signature", good)]), Err(WebhookError::NoHeader(_))));
}

#[test]
fn nothing_is_read_before_the_signature() {
    let headers = [("x-hub-signature-256", "sha256=00"), ("x-github-event", "push")];
    assert_eq!(take(Forge::Github, SECRET, &headers, "not json"), Err(WebhookError::Signed(SignatureError::Signature)));
    let body = "not json";
    let signed = format!("sha256={}", hex_of(body));
    let headers = [("x-hub-signature-256", signed.as_str()), ("x-github-event", "push")];
    assert!(matches!(take(Forge::Github, SECRET, &headers, body), Err(WebhookError::Body(_))));
}

#[test]
fn hostile_pushes_are_refused() {
    for (key, value) in [
        ("ref", serde_json::json!("refs/heads/a\nb")),
        ("after", serde_json::json!("--upload-pack=x")),
        ("before", serde_json::json!("../..")),
        ("commits", serde_json::json!([{"id": "$(x)"}])),
        ("repository", serde_json::json!({})),
        ("repository", serde_json::json!(null)),
    ] {
        let mut body: serde_json::Value = serde_json::from_str(&push_body()).unwrap();
        body[key] = value;
        let body = body.to_string();
        let signed = format!("sha256={}", hex_of(&body));
        let headers = [("x-hub-signature-256", signed.as_str()), ("x-github-event", "push")];
        assert!(matches!(take(Forge::Github, SECRET, &headers, &body), Err(WebhookError::Body(_))), "{key}");
    }
}

#[test]
fn spellings_of_an_address_are_one() {
    for (url, key) in [
        ("https://github.com/ana/photos.git", Some("github.com/ana/photos")),
        ("https://token@GitHub.com:443/ana/photos/", Some("github.com/ana/photos")),
        ("git@github.com:ana/photos.git", Some("github.com/ana/photos")),
        ("ssh://git@git.example:2222/ana/photos.git", Some("git.example:2222/ana/photos")),
        ("/srv/git/photos.git", None),
        ("file:///srv/git/photos.git", None),
        ("./a:b", None),
        ("https://git.example", None),
        ("https:///x", None),
        ("", None),
    ] {
        assert_eq!(repository_key(url).as_deref(), key, "{url}");
    }
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(body in ".{0,300}", kind in "(push|Push Hook|ping)") {
        for forge in [Forge::Github, Forge::Gitlab, Forge::Gitea] {
            let _ = event::read(forge, &kind, body.as_bytes());
        }
        let _ = repository_key(&body);
    }
}
