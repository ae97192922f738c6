//! Text messages and calls to the end: what the provider says of them counts, a key in a call and an answer acknowledge, and
//! what it did not sign changes nothing. The signatures are made here, from the provider's documentation.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::World;
use serde_json::{Value, json};
use tenfold_app::incidents::PageView;
use tenfold_app::people::PersonKind;
use tenfold_app::{Caller, Role};
use tenfold_testkit::FakeWebhook;
use tower::ServiceExt;

const TOKEN: &str = "a token of the account";
const NUMBER: &str = "+4930123456";

struct Phone {
    world: World,
    provider: FakeWebhook,
    _dir: tempfile::TempDir,
}

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Signed as the documentation says: the address, then each field's name and value in the order of the names.
fn sign(url: &str, fields: &[(&str, &str)]) -> String {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let mut text = url.to_owned();
    for (name, value) in sorted {
        text.push_str(name);
        text.push_str(value);
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
    STANDARD.encode(ring::hmac::sign(&key, text.as_bytes()))
}

impl Phone {
    /// ana is paged by text message, and half a minute later by a call.
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (dir, provider) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await);
        let token_file = dir.path().join("token");
        std::fs::write(&token_file, TOKEN).unwrap();
        let world = common::world_with(|settings| {
            settings.channels.twilio_url = provider.url("");
            "AC1".clone_into(&mut settings.channels.twilio_account);
            settings.channels.twilio_token_file = Some(token_file);
            "+15550100".clone_into(&mut settings.channels.twilio_from);
            settings.channels.twilio_answers = true;
        })
        .await;
        tenfold_notify::connect(&world.app).unwrap();
        let system = Caller::system();
        let ana = json!({
            "name": "Ana Silva", "kind": PersonKind::Developer, "role": Role::Responder,
            "contact": {"channels": {"sms": NUMBER, "voice": NUMBER}},
        });
        world.app.person_put(&system, "ana", from(ana)).await.unwrap();
        let policy = json!({"steps": [{"delay_ms": 3_600_000, "targets": [{"kind": "person", "name": "ana"}]}]});
        world.app.policy_put(&system, "default", from(policy)).await.unwrap();
        Self { world, provider, _dir: dir }
    }

    async fn incident(&self) -> i64 {
        let new = from(json!({"title": "photos <down> & out"}));
        let incident = self.world.app.incident_open(&Caller::system(), new).await.unwrap();
        self.world.app.incidents_tick().await.unwrap();
        incident.number
    }

    async fn page(&self, incident: i64) -> PageView {
        self.world.app.pages(Some(incident)).await.unwrap().remove(0)
    }

    /// The fields of what was ordered last.
    fn ordered(&self) -> Vec<(String, String)> {
        let body = self.provider.hooks().pop().expect("something was ordered").body;
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }

    async fn tell(&self, url: &str, fields: &[(&str, &str)], signature: &str) -> (StatusCode, String) {
        let path = url.strip_prefix(&self.world.app.settings.link("")).expect("an address of ours");
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("x-twilio-signature", signature)
            .body(Body::from(body))
            .unwrap();
        let response = self.world.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn told(&self, url: &str, fields: &[(&str, &str)]) -> (StatusCode, String) {
        self.tell(url, fields, &sign(url, fields)).await
    }
}

fn field(fields: &[(String, String)], name: &str) -> String {
    fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).expect(name)
}

#[tokio::test]
async fn a_message_that_does_not_arrive_is_followed_by_the_call_and_a_key_acknowledges() {
    let phone = Phone::new().await;
    let number = phone.incident().await;
    let sms = phone.ordered();
    assert!(field(&sms, "Body").contains(&format!("Answer 4 {number} to acknowledge.")), "{sms:?}");
    assert_eq!(phone.page(number).await.state, "delivered", "it was ordered");
    let status = field(&sms, "StatusCallback");
    let lost = [("MessageStatus", "undelivered"), ("ErrorCode", "30003"), ("MessageSid", "SM1")];

    let forged = sign(&status, &lost[..2]);
    assert_eq!(phone.tell(&status, &lost, &forged).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(phone.page(number).await.state, "delivered", "what is not signed changes nothing");
    assert_eq!(phone.told(&status, &[("MessageStatus", "sent")]).await.0, StatusCode::NO_CONTENT);
    assert_eq!(phone.page(number).await.state, "delivered", "it is on its way");

    for _ in 0..2 {
        assert_eq!(phone.told(&status, &lost).await.0, StatusCode::NO_CONTENT);
    }
    let page = phone.page(number).await;
    assert_eq!((page.state.as_str(), page.delivered_at), ("due", None), "{page:?}");
    let said = page.attempts.iter().filter_map(|a| a.error.as_deref()).collect::<Vec<_>>();
    assert_eq!(said, ["the provider says undelivered, error 30003"]);

    // The call does not wait for its half minute.
    phone.world.app.incidents_tick().await.unwrap();
    let call = phone.ordered();
    assert_eq!(phone.page(number).await.state, "delivered");
    let twiml = field(&call, "Twiml");
    assert!(twiml.contains("&lt;down&gt; &amp; out") && twiml.contains("Press 4 to acknowledge."), "{twiml}");
    let (_, rest) = twiml.split_once("action=\"").expect("a key is asked for");
    let (key, _) = rest.split_once('"').unwrap();
    let (status, text) = phone.told(key, &[("Digits", "7")]).await;
    assert!(status == StatusCode::OK && text.contains("<Say>Nothing was done."), "{text}");
    assert_eq!(phone.tell(key, &[("Digits", "4")], "").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(phone.world.app.incident(number).await.unwrap().state, "open");
    let (_, text) = phone.told(key, &[("Digits", "4")]).await;
    assert!(text.contains(&format!("<Say>You have incident {number}.</Say>")), "{text}");
    let incident = phone.world.app.incident(number).await.unwrap();
    assert_eq!((incident.state.as_str(), incident.acknowledged_by.as_deref()), ("acknowledged", Some("ana")));

    // What is said of a call that nobody waits for any more changes nothing.
    let ended = field(&call, "StatusCallback");
    assert_eq!(phone.told(&ended, &[("CallStatus", "no-answer")]).await.0, StatusCode::NO_CONTENT);
    assert_eq!(phone.page(number).await.state, "acknowledged");
    let unknown = phone.world.app.settings.link("/hooks/twilio/status?key=nothing.sms");
    assert_eq!(phone.told(&unknown, &lost).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_answer_acknowledges_what_its_number_was_paged_for() {
    let phone = Phone::new().await;
    let (first, second) = (phone.incident().await, phone.incident().await);
    let url = phone.world.app.settings.link("/hooks/twilio/text");
    let answer = async |from: &str, text: &str| {
        let (status, body) = phone.told(&url, &[("From", from), ("Body", text)]).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    };
    assert!(answer("+15550999", "4").await.ends_with("<Response></Response>"), "nobody's number is not answered");
    assert!(answer(NUMBER, "who is it?").await.contains("Answer 4 and the number"));
    let which = answer(NUMBER, "4").await;
    assert!(which.contains(&format!("4 {second}, 4 {first}")), "{which}");
    assert!(answer(NUMBER, &format!("4 {first}")).await.contains(&format!("You have incident {first}.")));
    assert!(answer(NUMBER, "ack").await.contains(&format!("You have incident {second}.")), "the one that is left");
    assert!(answer(NUMBER, "4").await.contains("No incident waits for you."));
    let again = answer(NUMBER, &format!("4 {first}")).await;
    assert!(again.contains(&format!("Ana Silva has incident {first} already.")), "{again}");
}
