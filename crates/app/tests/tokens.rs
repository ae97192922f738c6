//! Tokens end at once: for the next request, and for whoever holds a stream open with one.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use std::time::Duration;

use tenfold_app::Caller;
use tenfold_app::flags::Projects;
use tenfold_app::people::{NewToken, TokenCreated, TokenKind};
use tenfold_types::Timestamp;
use tokio_util::sync::CancellationToken;

fn new(kind: TokenKind, projects: &[&str], expires_at: Option<Timestamp>) -> NewToken {
    NewToken {
        name: "photos".into(),
        kind,
        role: None,
        service: None,
        environment: Some("production".into()),
        projects: projects.iter().map(|p| (*p).to_owned()).collect(),
        expires_at,
    }
}

async fn create(world: &common::World, new: NewToken) -> TokenCreated {
    world.app.token_create(&Caller::system(), new).await.unwrap()
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_and_its_streams_end() {
    let world = common::world().await;
    let made = create(&world, new(TokenKind::Client, &[], None)).await;
    assert_eq!(world.app.token_by_secret(&made.secret).unwrap().id, made.token.id);
    let (app, id) = (world.app.clone(), made.token.id.clone());
    let stream = tokio::spawn(async move { app.token_ended(&id).await });
    let generation = *world.app.tokens_changed().borrow();
    world.app.token_revoke(&Caller::system(), &made.token.id).await.unwrap();
    assert!(world.app.token_by_secret(&made.secret).is_none());
    assert!(!world.app.token_is_valid(&made.token.id));
    assert!(*world.app.tokens_changed().borrow() > generation);
    tokio::time::timeout(Duration::from_secs(5), stream).await.expect("the stream ends").unwrap();
}

#[tokio::test]
async fn an_expired_token_ends_its_streams_within_five_seconds() {
    let world = common::world().await;
    let stop = CancellationToken::new();
    let at = Timestamp(world.app.now().millis() + 60_000);
    let made = create(&world, new(TokenKind::Frontend, &[], Some(at))).await;
    let loops = tokio::spawn(tenfold_app::people::run(world.app.clone(), stop.clone()));
    assert!(world.app.token_is_valid(&made.token.id));
    let (app, id) = (world.app.clone(), made.token.id.clone());
    let stream = tokio::spawn(async move { app.token_ended(&id).await });
    world.clock.advance_ms(60_000);
    assert!(world.app.token_by_secret(&made.secret).is_none(), "a request does not wait for the loop");
    tokio::time::timeout(Duration::from_secs(5), stream).await.expect("the stream ends").unwrap();
    stop.cancel();
    loops.await.unwrap();
}

#[tokio::test]
async fn a_flag_clients_secret_says_project_and_environment_as_unleash_writes_them() {
    let world = common::world().await;
    for (projects, start, read) in [
        (&[][..], "*:production.tf_client_", Projects::All),
        (&["shop"], "shop:production.tf_client_", Projects::of(&["shop"])),
        (&["web", "shop"], "[]:production.tf_client_", Projects::of(&["shop", "web"])),
        (&["shop", "*"], "*:production.tf_client_", Projects::All),
    ] {
        let made = create(&world, new(TokenKind::Client, projects, None)).await;
        assert!(made.secret.starts_with(start), "{}", made.secret);
        assert_eq!(made.token.projects(), read);
        assert_eq!(world.app.token_by_secret(&made.secret).unwrap().projects(), read);
    }
    for wrong in [&["Shop"][..], &["a b"]] {
        assert!(world.app.token_create(&Caller::system(), new(TokenKind::Client, wrong, None)).await.is_err());
    }
    let agent = NewToken { environment: None, ..new(TokenKind::Agent, &["shop"], None) };
    assert!(world.app.token_create(&Caller::system(), agent).await.is_err(), "agents have no projects");
}
