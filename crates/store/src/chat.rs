//! Chat: which account an identity in a room is bound to. How far a room has been told the record is a cursor.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, cursors, params};

/// How an identity is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// By the account the network vouches for.
    Account,
    /// By one connection: `nick!user@host`.
    Session,
}

impl LinkKind {
    fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Session => "session",
        }
    }
}

/// An identity bound to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    pub room: String,
    pub kind: LinkKind,
    pub identity: String,
    pub login: String,
    /// Seconds since the epoch at which the connection signed on, if it is known.
    pub signon_s: Option<i64>,
    pub linked_at: Timestamp,
}

fn link(row: &Row) -> Result<LinkRow, StoreError> {
    let kind = match row.text(1)? {
        "account" => LinkKind::Account,
        "session" => LinkKind::Session,
        other => return Err(StoreError::Corrupt(format!("`{other}` is not a kind of chat link"))),
    };
    Ok(LinkRow {
        room: row.string(0)?,
        kind,
        identity: row.string(2)?,
        login: row.string(3)?,
        signon_s: row.opt_int(4)?,
        linked_at: row.time(5)?,
    })
}

/// Binds an identity; an earlier binding of the same identity is replaced.
pub fn link_put(tx: &mut dyn Tx, row: &LinkRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO chat_links (room, kind, identity, login, signon, linked_at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (room, kind, identity) DO UPDATE SET login = excluded.login, signon = excluded.signon, \
         linked_at = excluded.linked_at",
        params![&row.room, row.kind.word(), &row.identity, &row.login, row.signon_s, row.linked_at],
    )?;
    Ok(())
}

/// Every binding of a room, by identity.
pub fn links(tx: &mut dyn Tx, room: &str) -> Result<Vec<LinkRow>, StoreError> {
    tx.query(
        "SELECT room, kind, identity, login, signon, linked_at FROM chat_links WHERE room = $1 ORDER BY kind, identity",
        params![room],
    )?
    .iter()
    .map(link)
    .collect()
}

/// Removes a binding; false when there was none.
pub fn link_delete(tx: &mut dyn Tx, room: &str, kind: LinkKind, identity: &str) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "DELETE FROM chat_links WHERE room = $1 AND kind = $2 AND identity = $3",
        params![room, kind.word(), identity],
    )?;
    Ok(changed > 0)
}

/// The last `seq` a room has been told of.
pub fn position(tx: &mut dyn Tx, room: &str) -> Result<Option<i64>, StoreError> {
    cursors::get(tx, &format!("chat.{room}"))
}

/// Keeps how far a room has been told; it only grows.
pub fn position_advance(tx: &mut dyn Tx, room: &str, seq: i64) -> Result<(), StoreError> {
    if position(tx, room)?.is_none_or(|before| before < seq) {
        cursors::set(tx, &format!("chat.{room}"), seq)?;
    }
    Ok(())
}
