//! Who is let in as an agent: real TLS on loopback, a clock that is moved.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod packs;
mod world;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tenfold_app::Caller;
use tenfold_app::agents::EnrolRequest;
use tenfold_app::settings::AgentTokens;
use tenfold_protocols::agent::ToAgent;
use world::{Knock, World, knock, tls_of};

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn a_host_is_enrolled_once_and_stays_in() {
    let world = World::new().await;
    let secret = world.enrolment("web-1").await;
    let agent = world.agent("web-1", "web-1", Some(&secret));
    world.until("it is connected", |w| w.connected("web-1")).await;
    let identity = world.identity("web-1");
    assert_eq!(std::fs::metadata(&identity).unwrap().permissions().mode() & 0o777, 0o600);

    let replayed = world.agent("thief", "web-1", Some(&secret)).ended().await.unwrap_err();
    assert!(replayed.contains("unknown, used or expired"), "{replayed}");
    assert!(!world.identity("thief").exists());
    assert!(world.connected("web-1"), "the first is still there");
    agent.stop().await;

    // the token's file may be gone by now; the certificate alone lets it in
    let agent = world.agent("web-1", "web-1", None);
    world.until("it is connected again", |w| w.connected("web-1")).await;
    let kinds = world.kinds().await;
    for kind in ["agent.enrolment_created", "agent.enrolled", "host.connected"] {
        assert_eq!(kinds.iter().filter(|k| *k == kind).count(), 1, "{kind} in {kinds:?}");
    }
    agent.stop().await;
    world.end().await;
}

#[tokio::test]
async fn tokens_that_do_not_fit_are_refused_and_stay_good() {
    let world = World::new().await;
    let secret = world.enrolment("web-1").await;
    let wrong = world.agent("other", "web-2", Some(&secret)).ended().await.unwrap_err();
    assert!(wrong.contains("not for web-2 in production"), "{wrong}");

    // another server's token: its authority is not this one's
    let other = World::new().await;
    let foreign = other.enrolment("web-1").await;
    let foreign = world.agent("foreign", "web-1", Some(&foreign)).ended().await.unwrap_err();
    assert!(foreign.contains("invalid peer certificate"), "{foreign}");
    other.end().await;

    let agent = world.agent("web-1", "web-1", Some(&secret));
    world.until("the right host comes in with it", |w| w.connected("web-1")).await;
    agent.stop().await;

    let late = world.enrolment("web-3").await;
    world.clock.advance_ms(HOUR_MS + 1);
    let late = world.agent("late", "web-3", Some(&late)).ended().await.unwrap_err();
    assert!(late.contains("unknown, used or expired"), "{late}");

    let taken_back = world.enrolment("web-4").await;
    let id = world.app.enrolments(&Caller::system()).await.unwrap()[0].id.clone();
    world.app.enrolment_delete(&Caller::system(), &id).await.unwrap();
    let taken_back = world.agent("gone", "web-4", Some(&taken_back)).ended().await.unwrap_err();
    assert!(taken_back.contains("unknown, used or expired"), "{taken_back}");
    world.end().await;
}

#[tokio::test]
async fn a_host_whose_certificate_ran_out_comes_in_again_with_a_new_token() {
    let world = World::new().await;
    world.let_in("web-1").await.stop().await;
    world.clock.advance_ms(25 * HOUR_MS);
    let secret = world.enrolment("web-1").await;
    // it starts with what it holds, and asks beside that
    let agent = world.agent("web-1", "web-1", Some(&secret));
    world.until("it is let in again", |w| w.connected("web-1")).await;
    agent.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_lost_answer_is_given_again_to_the_same_key_alone() {
    let world = World::new().await;
    let token = world.enrolment("web-1").await;
    let request = |key: &KeyPair| CertificateParams::default().serialize_request(key).unwrap().pem().unwrap();
    let ask = |key: &KeyPair| EnrolRequest {
        token: token.clone(),
        host: "web-1".into(),
        environment: "production".into(),
        request: request(key),
    };
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let first = world.app.agent_enrol(ask(&key)).await.unwrap();
    let second = world.app.agent_enrol(ask(&key)).await.unwrap();
    assert_ne!(first.certificate, second.certificate);
    let refused = world.app.agent_enrol(ask(&other)).await.unwrap_err();
    assert!(refused.message.contains("unknown, used or expired"), "{refused}");
    world.app.agent_enrol(ask(&key)).await.unwrap();
    assert_eq!(world.certificates().await, 2, "never more than two of one host");

    let held = world.app.certificates(&Caller::system()).await.unwrap().remove(0);
    let early = world.app.agent_renew(&held, &request(&key)).await.unwrap_err();
    assert!(early.message.contains("half of its time"), "{early}");
    world.clock.advance_ms(13 * HOUR_MS);
    world.app.agent_renew(&held, &request(&key)).await.unwrap();
    assert_eq!(world.certificates().await, 2);
    // the one that was shown is still good, should the answer have been lost
    world.app.agent_renew(&held, &request(&key)).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn revoking_takes_waiting_tokens_back_and_certificates_keep_plain_tokens_out() {
    let world = World::new().await;
    let secret = world.enrolment("web-1").await;
    assert_eq!(world.app.certificates_revoke(&Caller::system(), "web-1").await.unwrap(), 0);
    let refused = world.agent("web-1", "web-1", Some(&secret)).ended().await.unwrap_err();
    assert!(refused.contains("unknown, used or expired"), "{refused}");

    // the name that is knocked with
    let agent = world.let_in("web-9").await;
    match world::knock_plainly(&world).await {
        Knock::Said(ToAgent::Refused { reason }) => assert!(reason.contains("web-9 has a certificate"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(world.connected("web-9"));
    agent.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_certificate_is_for_one_host() {
    let world = World::new().await;
    world.let_in("web-1").await;
    let tls = tls_of(&world.identity("web-1"));
    match knock(&world, tls.clone(), "web-2", "production").await {
        Knock::Said(ToAgent::Refused { reason }) => {
            assert!(reason.contains("is for web-1 in production, not for web-2"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    match knock(&world, tls.clone(), "web-1", "development").await {
        Knock::Said(ToAgent::Refused { reason }) => {
            assert!(reason.contains("not for web-1 in development"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(knock(&world, tls, "web-1", "production").await, Knock::Said(ToAgent::Welcome { .. })));
    world.end().await;
}

#[tokio::test]
async fn a_revoked_certificate_ends_its_connection() {
    let world = World::new().await;
    let agent = world.let_in("web-1").await;
    let bystander = world.let_in("web-2").await;
    let tls = tls_of(&world.identity("web-1"));
    assert_eq!(world.app.certificates_revoke(&Caller::system(), "web-1").await.unwrap(), 1);
    let gone = world.until("its connection ends", |w| !w.connected("web-1"));
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("within five seconds");
    match knock(&world, tls, "web-1", "production").await {
        Knock::Refused(status, said) => {
            assert_eq!(status, 401);
            assert!(said.contains("was revoked"), "{said}");
        }
        other => panic!("{other:?}"),
    }
    assert!(world.connected("web-2"));
    let again = world.app.certificates_revoke(&Caller::system(), "web-1").await.unwrap_err();
    assert!(again.message.contains("no certificate that is good"), "{again}");
    agent.stop().await;
    bystander.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_certificate_that_ran_out_or_is_foreign_fails_the_handshake() {
    let world = World::new().await;
    let agent = world.let_in("web-1").await;
    agent.stop().await;
    let tls = tls_of(&world.identity("web-1"));
    let other = World::new().await;
    other.let_in("web-1").await.stop().await;
    // its certificate, and this server's authority to trust
    let foreign = world::mixed(&other.identity("web-1"), &world.identity("web-1"));
    match knock(&world, foreign, "web-1", "production").await {
        // both authorities have one name, so what does not fit is the signature
        Knock::Tls(error) => assert!(error.contains("fatal alert: DecryptError"), "{error}"),
        other => panic!("{other:?}"),
    }
    other.end().await;

    world.clock.advance_ms(25 * HOUR_MS);
    match knock(&world, tls, "web-1", "production").await {
        Knock::Tls(error) => assert!(error.to_lowercase().contains("expired"), "{error}"),
        other => panic!("{other:?}"),
    }
    world.end().await;
}

#[tokio::test]
async fn a_connection_outlives_no_certificate_and_is_renewed_before() {
    let world = World::new().await;
    let agent = world.let_in("web-1").await;
    let first = std::fs::read_to_string(world.identity("web-1")).unwrap();
    world.clock.advance_ms(15 * HOUR_MS);
    assert_eq!(world.certificates().await, 1, "not yet");
    world.clock.advance_ms(2 * HOUR_MS);
    world.until("it has another", |w| std::fs::read_to_string(w.identity("web-1")).unwrap() != first).await;
    assert_eq!(world.certificates().await, 2, "the first is good until it runs out");
    world.until("it connects with it", |w| w.connected("web-1")).await;
    world.clock.advance_ms(8 * HOUR_MS);
    assert_eq!(world.certificates().await, 1, "the first has run out");
    world.until("it is connected", |w| w.connected("web-1")).await;
    assert!(world.kinds().await.iter().any(|k| k == "agent.renewed"));

    // one that never renews is put out when its time is over
    agent.stop().await;
    let mut line = world::hold(&world, tls_of(&world.identity("web-1")), "web-1").await;
    world.clock.advance_ms(25 * HOUR_MS);
    tokio::time::timeout(world::PATIENCE, line.closed()).await.expect("the line is closed");
    world.end().await;
}

#[tokio::test]
async fn plain_tokens_are_taken_where_the_settings_say() {
    let world = World::with(|settings| settings.agents.tokens = AgentTokens::Never).await;
    match world::knock_plainly(&world).await {
        Knock::Refused(status, said) => {
            assert_eq!(status, 403);
            assert!(said.contains("need a certificate"), "{said}");
        }
        other => panic!("{other:?}"),
    }
    world.end().await;
    let world = World::new().await;
    assert!(matches!(world::knock_plainly(&world).await, Knock::Said(ToAgent::Welcome { .. })));
    assert!(world.app.agent_token_allowed(true).is_ok() && world.app.agent_token_allowed(false).is_err());
    // nobody is enrolled where somebody could listen
    let url = format!("http://{}/agent/v1/enrol", world.plain);
    let body = r#"{"token": "x", "host": "web-1", "environment": "production", "request": ""}"#;
    let answer = reqwest::Client::new().post(url).header("content-type", "application/json").body(body).send().await;
    assert_eq!(answer.unwrap().status(), 403);
    // and the agents' address knows nothing else
    world.let_in("web-1").await.stop().await;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(rustls::ClientConfig::clone(&tls_of(&world.identity("web-1"))))
        .build()
        .unwrap();
    let url = format!("https://{}", world.tls);
    assert_eq!(client.get(format!("{url}/api/hosts")).send().await.unwrap().status(), 404);
    assert_eq!(client.get(format!("{url}/metrics")).send().await.unwrap().status(), 404);
    world.end().await;
}
