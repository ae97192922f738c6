//! How hosts are let in: enrolments, each used by one key, and the certificates their agents hold.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, params};

/// What lets a host in for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentRow {
    pub id: String,
    /// Made by the caller; the secret itself is never stored.
    pub secret_hash: String,
    pub host: String,
    pub environment: String,
    pub created_by: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

const ENROLMENT: &str = "id, secret_hash, host, environment, created_by, created_at, expires_at";

fn enrolment(row: &Row) -> Result<EnrolmentRow, StoreError> {
    Ok(EnrolmentRow {
        id: row.string(0)?,
        secret_hash: row.string(1)?,
        host: row.string(2)?,
        environment: row.string(3)?,
        created_by: row.string(4)?,
        created_at: row.time(5)?,
        expires_at: row.time(6)?,
    })
}

/// Those that wait for their host, newest first.
pub fn enrolments(tx: &mut dyn Tx, now: Timestamp) -> Result<Vec<EnrolmentRow>, StoreError> {
    let sql = format!(
        "SELECT {ENROLMENT} FROM enrolments WHERE expires_at > $1 AND used_key IS NULL ORDER BY created_at DESC, id"
    );
    tx.query(&sql, params![now])?.iter().map(enrolment).collect()
}

/// Adds one, and forgets those that ran out.
pub fn enrolment_insert(tx: &mut dyn Tx, row: &EnrolmentRow) -> Result<(), StoreError> {
    tx.execute("DELETE FROM enrolments WHERE expires_at <= $1", params![row.created_at])?;
    tx.execute(
        &format!("INSERT INTO enrolments ({ENROLMENT}) VALUES ($1, $2, $3, $4, $5, $6, $7)"),
        params![
            &row.id,
            &row.secret_hash,
            &row.host,
            &row.environment,
            &row.created_by,
            row.created_at,
            row.expires_at
        ],
    )
    .map(|_| ())
}

/// The enrolment of a secret, while it is good, and the key it was used with.
pub fn enrolment_find(
    tx: &mut dyn Tx,
    hash: &str,
    now: Timestamp,
) -> Result<Option<(EnrolmentRow, Option<String>)>, StoreError> {
    let sql = format!("SELECT {ENROLMENT}, used_key FROM enrolments WHERE secret_hash = $1 AND expires_at > $2");
    let Some(row) = tx.query_opt(&sql, params![hash, now])? else { return Ok(None) };
    Ok(Some((enrolment(&row)?, row.opt_string(7)?)))
}

/// Uses an enrolment with a key; false when another key was faster.
pub fn enrolment_use(tx: &mut dyn Tx, id: &str, key: &str) -> Result<bool, StoreError> {
    let used = tx.execute(
        "UPDATE enrolments SET used_key = $2 WHERE id = $1 AND (used_key IS NULL OR used_key = $2)",
        params![id, key],
    )?;
    Ok(used == 1)
}

/// Takes every enrolment of a host back, also those that could answer again; how many waited.
pub fn enrolments_delete_of(tx: &mut dyn Tx, host: &str, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM enrolments WHERE host = $1 AND (used_key IS NOT NULL OR expires_at <= $2)",
        params![host, now],
    )?;
    tx.execute("DELETE FROM enrolments WHERE host = $1", params![host])
}

/// The host it was for, when it was there.
pub fn enrolment_delete(tx: &mut dyn Tx, id: &str) -> Result<Option<String>, StoreError> {
    let found = tx.query_opt("SELECT host FROM enrolments WHERE id = $1", params![id])?;
    tx.execute("DELETE FROM enrolments WHERE id = $1", params![id])?;
    found.map(|row| row.string(0)).transpose()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRow {
    /// Digest of the certificate, as the caller makes it.
    pub fingerprint: String,
    pub host: String,
    pub environment: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Those that are good, by host, the newest of a host first.
pub fn certificates(tx: &mut dyn Tx, now: Timestamp) -> Result<Vec<CertificateRow>, StoreError> {
    tx.query(
        "SELECT fingerprint, host, environment, issued_at, expires_at FROM agent_certificates \
         WHERE revoked_at IS NULL AND expires_at > $1 ORDER BY host, issued_at DESC, fingerprint",
        params![now],
    )?
    .iter()
    .map(|row| {
        Ok(CertificateRow {
            fingerprint: row.string(0)?,
            host: row.string(1)?,
            environment: row.string(2)?,
            issued_at: row.time(3)?,
            expires_at: row.time(4)?,
        })
    })
    .collect()
}

/// Adds one, and forgets those that ran out before `forget_before`.
pub fn certificate_insert(tx: &mut dyn Tx, row: &CertificateRow, forget_before: Timestamp) -> Result<(), StoreError> {
    tx.execute("DELETE FROM agent_certificates WHERE expires_at < $1", params![forget_before])?;
    tx.execute(
        "INSERT INTO agent_certificates (fingerprint, host, environment, issued_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5)",
        params![&row.fingerprint, &row.host, &row.environment, row.issued_at, row.expires_at],
    )
    .map(|_| ())
}

/// Whether this very certificate is good, asked of the store itself.
pub fn certificate_is_good(tx: &mut dyn Tx, fingerprint: &str, now: Timestamp) -> Result<bool, StoreError> {
    let found = tx.query(
        "SELECT 1 FROM agent_certificates WHERE fingerprint = $1 AND revoked_at IS NULL AND expires_at > $2",
        params![fingerprint, now],
    )?;
    Ok(!found.is_empty())
}

/// Revokes every certificate of a host; how many were good.
pub fn certificates_revoke(tx: &mut dyn Tx, host: &str, now: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE agent_certificates SET revoked_at = $2 WHERE host = $1 AND revoked_at IS NULL AND expires_at > $2",
        params![host, now],
    )
}

/// Revokes what a host has beside its newest certificate and one other: the one that is named, or else the newest of them.
pub fn certificates_keep_two(
    tx: &mut dyn Tx,
    host: &str,
    newest: &str,
    other: Option<&str>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let found = tx.query_opt(
        "SELECT fingerprint FROM agent_certificates WHERE host = $1 AND revoked_at IS NULL AND expires_at > $2 \
         AND fingerprint <> $3 ORDER BY issued_at DESC, fingerprint LIMIT 1",
        params![host, now, newest],
    )?;
    let other = match (other, found) {
        (Some(other), _) => other.to_owned(),
        (None, Some(row)) => row.string(0)?,
        (None, None) => return Ok(0),
    };
    tx.execute(
        "UPDATE agent_certificates SET revoked_at = $2 WHERE host = $1 AND revoked_at IS NULL AND expires_at > $2 \
         AND fingerprint <> $3 AND fingerprint <> $4",
        params![host, now, newest, &other],
    )
}
