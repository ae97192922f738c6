//! Chat links and positions.

use tenfold_store::{
    Db,
    chat::{self, LinkKind, LinkRow},
};

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    let row = |kind, identity: &str, login: &str| LinkRow {
        room: "irc".into(),
        kind,
        identity: identity.into(),
        login: login.into(),
        signon_s: (kind == LinkKind::Session).then_some(1_700_000_000),
        linked_at: NOW,
    };
    let account = row(LinkKind::Account, "ana.k", "ana");
    let session = row(LinkKind::Session, "ana!a@host", "ana");
    let other = row(LinkKind::Session, "raj!r@host", "raj");
    for r in [account.clone(), session.clone(), row(LinkKind::Session, "raj!r@host", "mei"), other.clone()] {
        write(db, move |tx| chat::link_put(tx, &r)).await;
    }
    assert_eq!(
        read(db, |tx| chat::links(tx, "irc")).await,
        [account, session.clone(), other.clone()],
        "the last binding counts"
    );
    assert_eq!(read(db, |tx| chat::links(tx, "elsewhere")).await, []);
    assert!(write(db, |tx| chat::link_delete(tx, "irc", LinkKind::Account, "ana.k")).await);
    assert!(!write(db, |tx| chat::link_delete(tx, "irc", LinkKind::Account, "ana.k")).await);
    assert_eq!(read(db, |tx| chat::links(tx, "irc")).await, [session, other]);

    assert_eq!(read(db, |tx| chat::position(tx, "irc")).await, None);
    for seq in [7, 12, 9] {
        write(db, move |tx| chat::position_advance(tx, "irc", seq)).await;
    }
    assert_eq!(read(db, |tx| chat::position(tx, "irc")).await, Some(12), "a position never goes back");
}
