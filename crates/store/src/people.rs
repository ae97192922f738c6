//! People, tokens, sessions and one-time secrets. Secrets are only ever stored as hashes, made by the caller; profiles, which
//! hold addresses that are secrets, are sealed.

use tenfold_types::Timestamp;

use crate::{Row, Sealer, StoreError, Tx, params, sealing::PERSON_BODY};

/// A person as stored: `body` is the profile as JSON, opaque here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    pub login: String,
    pub password_hash: Option<String>,
    pub disabled_at: Option<Timestamp>,
    pub body: String,
}

fn person(sealer: &Sealer, row: &Row) -> Result<PersonRow, StoreError> {
    let login = row.string(0)?;
    Ok(PersonRow {
        password_hash: row.opt_text(1)?.map(str::to_owned),
        disabled_at: row.opt_int(2)?.map(Timestamp),
        body: sealer.open(&PERSON_BODY, &[login.as_str()], row.text(3)?)?,
        login,
    })
}

pub fn people(tx: &mut dyn Tx) -> Result<Vec<PersonRow>, StoreError> {
    let rows = tx.query("SELECT login, password_hash, disabled_at, body FROM people ORDER BY login", &[])?;
    let sealer = tx.sealer();
    rows.iter().map(|row| person(sealer, row)).collect()
}

pub fn person_get(tx: &mut dyn Tx, login: &str) -> Result<Option<PersonRow>, StoreError> {
    let rows =
        tx.query("SELECT login, password_hash, disabled_at, body FROM people WHERE login = $1", params![login])?;
    let sealer = tx.sealer();
    rows.first().map(|row| person(sealer, row)).transpose()
}

pub fn person_count(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    let rows = tx.query("SELECT count(*) FROM people", &[])?;
    rows.first().map_or(Ok(0), |r| r.int(0))
}

pub fn person_put(tx: &mut dyn Tx, row: &PersonRow) -> Result<(), StoreError> {
    let body = tx.sealer().seal(&PERSON_BODY, &[row.login.as_str()], &row.body)?;
    tx.execute(
        "INSERT INTO people (login, password_hash, disabled_at, body) VALUES ($1, $2, $3, $4)
         ON CONFLICT (login) DO UPDATE SET password_hash = excluded.password_hash,
           disabled_at = excluded.disabled_at, body = excluded.body",
        params![row.login.as_str(), row.password_hash.as_deref(), row.disabled_at.map(Timestamp::millis), body],
    )?;
    Ok(())
}

/// A token of a robot, an agent or a flag client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    pub id: String,
    pub secret_hash: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub body: String,
}

const TOKEN_COLUMNS: &str = "id, secret_hash, created_at, expires_at, revoked_at, last_used_at, body";

fn token(row: &Row) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: row.text(0)?.to_owned(),
        secret_hash: row.text(1)?.to_owned(),
        created_at: row.time(2)?,
        expires_at: row.opt_int(3)?.map(Timestamp),
        revoked_at: row.opt_int(4)?.map(Timestamp),
        last_used_at: row.opt_int(5)?.map(Timestamp),
        body: row.text(6)?.to_owned(),
    })
}

pub fn tokens(tx: &mut dyn Tx) -> Result<Vec<TokenRow>, StoreError> {
    tx.query(&format!("SELECT {TOKEN_COLUMNS} FROM tokens ORDER BY created_at, id"), &[])?.iter().map(token).collect()
}

pub fn token_insert(tx: &mut dyn Tx, row: &TokenRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tokens (id, secret_hash, created_at, expires_at, revoked_at, last_used_at, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        params![
            row.id.as_str(),
            row.secret_hash.as_str(),
            row.created_at,
            row.expires_at.map(Timestamp::millis),
            row.revoked_at.map(Timestamp::millis),
            row.last_used_at.map(Timestamp::millis),
            row.body.as_str()
        ],
    )?;
    Ok(())
}

/// True when the token was there and not yet revoked.
pub fn token_revoke(tx: &mut dyn Tx, id: &str, at: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.execute("UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", params![id, at])? > 0)
}

pub fn token_used(tx: &mut dyn Tx, id: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE tokens SET last_used_at = $2 WHERE id = $1", params![id, at])?;
    Ok(())
}

pub fn session_insert(
    tx: &mut dyn Tx,
    secret_hash: &str,
    login: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO sessions (secret_hash, login, created_at, expires_at) VALUES ($1, $2, $3, $4)",
        params![secret_hash, login, now, expires_at],
    )?;
    tx.execute("DELETE FROM sessions WHERE expires_at < $1", params![now])?;
    Ok(())
}

/// The login a session belongs to, unless it has expired.
pub fn session_login(tx: &mut dyn Tx, secret_hash: &str, now: Timestamp) -> Result<Option<String>, StoreError> {
    let rows =
        tx.query("SELECT login FROM sessions WHERE secret_hash = $1 AND expires_at > $2", params![secret_hash, now])?;
    rows.first().map(|r| r.text(0).map(str::to_owned)).transpose()
}

pub fn session_delete(tx: &mut dyn Tx, secret_hash: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM sessions WHERE secret_hash = $1", params![secret_hash])?;
    Ok(())
}

/// Ends every session of a person (password changed, account disabled).
pub fn sessions_delete_of(tx: &mut dyn Tx, login: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM sessions WHERE login = $1", params![login])?;
    Ok(())
}

/// Keeps a one-time secret (setup link, chat link) by name; a new one replaces the old.
pub fn one_time_put(
    tx: &mut dyn Tx,
    name: &str,
    secret_hash: &str,
    expires_at: Timestamp,
    body: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO one_time (name, secret_hash, expires_at, body) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET secret_hash = excluded.secret_hash,
           expires_at = excluded.expires_at, body = excluded.body",
        params![name, secret_hash, expires_at, body],
    )?;
    Ok(())
}

/// Takes a one-time secret whose name starts with `prefix`: it is gone afterwards. Gives its name and body.
pub fn one_time_take(
    tx: &mut dyn Tx,
    prefix: &str,
    secret_hash: &str,
    now: Timestamp,
) -> Result<Option<(String, String)>, StoreError> {
    let rows = tx.query(
        "DELETE FROM one_time WHERE secret_hash = $1 AND expires_at > $2 RETURNING name, body",
        params![secret_hash, now],
    )?;
    let Some(row) = rows.first() else { return Ok(None) };
    let name = row.text(0)?.to_owned();
    if !name.starts_with(prefix) {
        return Err(StoreError::Corrupt(format!("one-time secret `{name}` was presented as a `{prefix}` secret")));
    }
    Ok(Some((name, row.text(1)?.to_owned())))
}

/// Name, position and body of every environment, in order.
pub fn environments(tx: &mut dyn Tx) -> Result<Vec<(String, i64, String)>, StoreError> {
    tx.query("SELECT name, position, body FROM environments ORDER BY position, name", &[])?
        .iter()
        .map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?, r.text(2)?.to_owned())))
        .collect()
}

pub fn environment_put(tx: &mut dyn Tx, name: &str, position: i64, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO environments (name, position, body) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET position = excluded.position, body = excluded.body",
        params![name, position, body],
    )?;
    Ok(())
}
