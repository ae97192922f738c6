//! People, tokens, sessions and one-time secrets.

use tenfold_store::people::{self, PersonRow, TokenRow};
use tenfold_store::{Db, StoreError};

use crate::{NOW, read, write};

fn token(id: &str, hash: &str) -> TokenRow {
    TokenRow {
        id: id.into(),
        secret_hash: hash.into(),
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        body: "{}".into(),
    }
}

pub async fn run(db: &Db) {
    let ana = PersonRow { login: "ana".into(), password_hash: Some("h".into()), disabled_at: None, body: "{}".into() };
    assert_eq!(read(db, people::person_count).await, 0);
    let row = ana.clone();
    write(db, move |tx| people::person_put(tx, &row)).await;
    let changed = PersonRow { password_hash: None, disabled_at: Some(NOW), ..ana.clone() };
    let row = changed.clone();
    write(db, move |tx| people::person_put(tx, &row)).await;
    assert_eq!(read(db, |tx| people::person_get(tx, "ana")).await, Some(changed));
    assert_eq!(read(db, people::person_count).await, 1);

    write(db, |tx| people::token_insert(tx, &token("t1", "hash-1"))).await;
    let twice: Result<(), StoreError> = db.write(|tx| people::token_insert(tx, &token("t2", "hash-1"))).await;
    assert!(twice.is_err(), "two tokens never share a secret");
    assert!(write(db, |tx| people::token_revoke(tx, "t1", NOW)).await);
    assert!(!write(db, |tx| people::token_revoke(tx, "t1", NOW)).await, "revoking twice says so");
    write(db, |tx| people::token_used(tx, "t1", NOW)).await;
    assert_eq!(read(db, people::tokens).await[0].revoked_at, Some(NOW));

    write(db, |tx| people::session_insert(tx, "s1", "ana", NOW, NOW.plus_ms(1000))).await;
    assert_eq!(read(db, |tx| people::session_login(tx, "s1", NOW)).await.as_deref(), Some("ana"));
    assert_eq!(read(db, |tx| people::session_login(tx, "s1", NOW.plus_ms(1000))).await, None, "expired");
    write(db, |tx| people::session_insert(tx, "s2", "ana", NOW.plus_ms(2000), NOW.plus_ms(9000))).await;
    assert_eq!(read(db, |tx| people::session_login(tx, "s1", NOW)).await, None, "swept when a new one opens");
    write(db, |tx| people::sessions_delete_of(tx, "ana")).await;
    assert_eq!(read(db, |tx| people::session_login(tx, "s2", NOW)).await, None);

    write(db, |tx| people::one_time_put(tx, "setup", "first", NOW.plus_ms(1000), "{}")).await;
    write(db, |tx| people::one_time_put(tx, "setup", "second", NOW.plus_ms(1000), "body")).await;
    assert_eq!(write(db, |tx| people::one_time_take(tx, "setup", "first", NOW)).await, None, "replaced");
    assert_eq!(write(db, |tx| people::one_time_take(tx, "setup", "second", NOW.plus_ms(1000))).await, None, "too late");
    let taken = write(db, |tx| people::one_time_take(tx, "setup", "second", NOW)).await;
    assert_eq!(taken, Some(("setup".into(), "body".into())));
    assert_eq!(write(db, |tx| people::one_time_take(tx, "setup", "second", NOW)).await, None, "works once");

    write(db, |tx| people::environment_put(tx, "staging", 1, "{}")).await;
    write(db, |tx| people::environment_put(tx, "production", 0, "{}")).await;
    let names: Vec<_> = read(db, people::environments).await.into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names, ["production", "staging"]);
}
