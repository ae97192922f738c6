//! Rule files, routing, alerts, mutes, and what webhooks were told.

use tenfold_types::Timestamp;

use crate::{
    Row, StoreError, Tx, many, params,
    sealing::{ROUTING_SECRETS, ROUTING_YAML},
};

/// A rule file as it was put, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFileRow {
    pub name: String,
    pub yaml: String,
    pub updated_at: Timestamp,
    pub updated_by: String,
}

/// The routing as it was put.
#[derive(Clone, PartialEq, Eq)]
pub struct RoutingRow {
    /// Without its secrets.
    pub yaml: String,
    /// The secrets of webhooks, which are shown to nobody: JSON, empty for none.
    pub secrets: String,
}

impl std::fmt::Debug for RoutingRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoutingRow").field("yaml", &self.yaml).finish_non_exhaustive()
    }
}

/// One alert, the latest episode of its fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    pub fingerprint: String,
    pub rule_file: String,
    pub rule_group: String,
    pub rule: String,
    pub state: String,
    pub severity: String,
    pub service: Option<String>,
    pub environment: Option<String>,
    /// It opens an incident when it fires.
    pub pages: bool,
    pub active_since: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// The incident this episode belongs to.
    pub incident: Option<i64>,
    pub body: String,
}

/// What a list of alerts is put in order by, and counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertPlace {
    pub fingerprint: String,
    pub state: String,
    pub severity: String,
    pub service: Option<String>,
    pub active_since: Timestamp,
}

/// A mute; `body` holds matchers, reason and maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuteRow {
    pub id: i64,
    pub expires_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub body: String,
}

/// The name of the one row.
const ROUTING: &str = "routing";

const ALERT_COLUMNS: &str = "fingerprint, rule_file, rule_group, rule, state, severity, service, environment, pages, \
     active_since, ended_at, incident, body";

pub fn rule_files(tx: &mut dyn Tx) -> Result<Vec<RuleFileRow>, StoreError> {
    tx.query("SELECT name, yaml, updated_at, updated_by FROM rule_files ORDER BY name", &[])?
        .iter()
        .map(|r| {
            Ok(RuleFileRow { name: r.string(0)?, yaml: r.string(1)?, updated_at: r.time(2)?, updated_by: r.string(3)? })
        })
        .collect()
}

pub fn rule_file_put(tx: &mut dyn Tx, row: &RuleFileRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO rule_files (name, yaml, updated_at, updated_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET yaml = excluded.yaml, updated_at = excluded.updated_at,
           updated_by = excluded.updated_by",
        params![&row.name, &row.yaml, row.updated_at, &row.updated_by],
    )?;
    Ok(())
}

/// True when it was there.
pub fn rule_file_delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM rule_files WHERE name = $1", params![name])? > 0)
}

/// The routing as it was put; nothing when there is none.
pub fn routing(tx: &mut dyn Tx) -> Result<Option<RoutingRow>, StoreError> {
    let row = tx.query_opt("SELECT yaml, secrets FROM alert_routing WHERE name = $1", params![ROUTING])?;
    let sealer = tx.sealer();
    row.map(|row| {
        Ok(RoutingRow {
            yaml: sealer.open(&ROUTING_YAML, &[ROUTING], row.text(0)?)?,
            secrets: sealer.open(&ROUTING_SECRETS, &[ROUTING], row.text(1)?)?,
        })
    })
    .transpose()
}

pub fn routing_put(tx: &mut dyn Tx, row: &RoutingRow, at: Timestamp, by: &str) -> Result<(), StoreError> {
    let yaml = tx.sealer().seal(&ROUTING_YAML, &[ROUTING], &row.yaml)?;
    let secrets = tx.sealer().seal(&ROUTING_SECRETS, &[ROUTING], &row.secrets)?;
    tx.execute(
        "INSERT INTO alert_routing (name, yaml, secrets, updated_at, updated_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET yaml = excluded.yaml, secrets = excluded.secrets,
           updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        params![ROUTING, yaml, secrets, at, by],
    )?;
    Ok(())
}

/// True when there was one.
pub fn routing_delete(tx: &mut dyn Tx) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM alert_routing WHERE name = $1", params![ROUTING])? > 0)
}

/// What webhooks were told of groups, each with its name.
pub fn webhooks(tx: &mut dyn Tx) -> Result<Vec<(String, String)>, StoreError> {
    let rows = tx.query("SELECT name, body FROM alert_webhooks ORDER BY name", &[])?;
    rows.iter().map(|r| Ok((r.string(0)?, r.string(1)?))).collect()
}

pub fn webhook_put(tx: &mut dyn Tx, name: &str, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO alert_webhooks (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        params![name, body],
    )?;
    Ok(())
}

pub fn webhook_forget(tx: &mut dyn Tx, name: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM alert_webhooks WHERE name = $1", params![name])?;
    Ok(())
}

fn alert(row: &Row) -> Result<AlertRow, StoreError> {
    Ok(AlertRow {
        fingerprint: row.string(0)?,
        rule_file: row.string(1)?,
        rule_group: row.string(2)?,
        rule: row.string(3)?,
        state: row.string(4)?,
        severity: row.string(5)?,
        service: row.opt_string(6)?,
        environment: row.opt_string(7)?,
        pages: row.bool(8)?,
        active_since: row.time(9)?,
        ended_at: row.opt_time(10)?,
        incident: row.opt_int(11)?,
        body: row.string(12)?,
    })
}

/// Alerts that have not ended.
pub fn active(tx: &mut dyn Tx) -> Result<Vec<AlertRow>, StoreError> {
    let sql = format!("SELECT {ALERT_COLUMNS} FROM alerts WHERE ended_at IS NULL ORDER BY active_since, fingerprint");
    tx.query(&sql, &[])?.iter().map(alert).collect()
}

/// Alerts that have ended since `at`, the last ones first.
pub fn ended_since(tx: &mut dyn Tx, at: Timestamp, limit: i64) -> Result<Vec<AlertRow>, StoreError> {
    let sql =
        format!("SELECT {ALERT_COLUMNS} FROM alerts WHERE ended_at >= $1 ORDER BY ended_at DESC, fingerprint LIMIT $2");
    tx.query(&sql, params![at, limit])?.iter().map(alert).collect()
}

/// Alerts of a group that have ended and whose body holds a text and not another, the last ones first.
pub fn ended_holding(
    tx: &mut dyn Tx,
    group: &str,
    holding: &str,
    without: &str,
    limit: i64,
) -> Result<Vec<AlertRow>, StoreError> {
    let anywhere = |text: &str| format!("%{}%", text.replace('!', "!!").replace('%', "!%").replace('_', "!_"));
    let sql = format!(
        "SELECT {ALERT_COLUMNS} FROM alerts WHERE ended_at IS NOT NULL AND rule_group = $1 AND body LIKE $2 ESCAPE '!'
           AND body NOT LIKE $3 ESCAPE '!' ORDER BY ended_at DESC, fingerprint LIMIT $4"
    );
    let (holding, without) = (anywhere(holding), anywhere(without));
    tx.query(&sql, params![group, holding.as_str(), without.as_str(), limit])?.iter().map(alert).collect()
}

const PLACE_COLUMNS: &str = "a.fingerprint, a.state, a.severity, a.service, a.active_since";

fn place(row: &Row) -> Result<AlertPlace, StoreError> {
    Ok(AlertPlace {
        fingerprint: row.string(0)?,
        state: row.string(1)?,
        severity: row.string(2)?,
        service: row.opt_string(3)?,
        active_since: row.time(4)?,
    })
}

/// Alerts that have not ended, without their bodies.
pub fn active_places(tx: &mut dyn Tx) -> Result<Vec<AlertPlace>, StoreError> {
    let sql = format!("SELECT {PLACE_COLUMNS} FROM alerts a WHERE a.ended_at IS NULL");
    tx.query(&sql, &[])?.iter().map(place).collect()
}

/// Alerts that ended last, without their bodies.
pub fn ended_places(tx: &mut dyn Tx, limit: i64) -> Result<Vec<AlertPlace>, StoreError> {
    let sql = format!(
        "SELECT {PLACE_COLUMNS} FROM alerts a WHERE a.ended_at IS NOT NULL ORDER BY a.ended_at DESC, a.fingerprint LIMIT $1"
    );
    tx.query(&sql, params![limit])?.iter().map(place).collect()
}

/// The alerts of an incident that are still known, without their bodies.
pub fn places_in(tx: &mut dyn Tx, incident: i64) -> Result<Vec<AlertPlace>, StoreError> {
    let sql = format!(
        "SELECT {PLACE_COLUMNS} FROM incident_alerts m JOIN alerts a ON a.fingerprint = m.fingerprint WHERE m.incident = $1"
    );
    tx.query(&sql, params![incident])?.iter().map(place).collect()
}

/// The alerts of an incident that have not ended, those that joined first.
pub fn live_in(tx: &mut dyn Tx, incident: i64, limit: i64) -> Result<Vec<AlertRow>, StoreError> {
    let columns: Vec<String> = ALERT_COLUMNS.split(", ").map(|column| format!("a.{column}")).collect();
    let sql = format!(
        "SELECT {} FROM incident_alerts m JOIN alerts a ON a.fingerprint = m.fingerprint
         WHERE m.incident = $1 AND m.ended IS NULL ORDER BY m.joined_at, m.fingerprint LIMIT $2",
        columns.join(", ")
    );
    tx.query(&sql, params![incident, limit])?.iter().map(alert).collect()
}

/// Fingerprints of the alerts of an incident that have not ended, those that joined first.
pub fn live_fingerprints(tx: &mut dyn Tx, incident: i64, limit: i64) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT m.fingerprint FROM incident_alerts m JOIN alerts a ON a.fingerprint = m.fingerprint
         WHERE m.incident = $1 AND m.ended IS NULL ORDER BY m.joined_at, m.fingerprint LIMIT $2";
    tx.query(sql, params![incident, limit])?.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}

/// The alerts of these fingerprints, in no order.
pub fn by_fingerprints(tx: &mut dyn Tx, fingerprints: &[&str]) -> Result<Vec<AlertRow>, StoreError> {
    let sql = |list: &str| format!("SELECT {ALERT_COLUMNS} FROM alerts WHERE fingerprint IN ({list})");
    many::rows(tx, &many::texts(fingerprints), sql)?.iter().map(alert).collect()
}

pub fn get(tx: &mut dyn Tx, fingerprint: &str) -> Result<Option<AlertRow>, StoreError> {
    let sql = format!("SELECT {ALERT_COLUMNS} FROM alerts WHERE fingerprint = $1");
    tx.query_opt(&sql, params![fingerprint])?.as_ref().map(alert).transpose()
}

/// Writes an alert as it stands now; the episode before it of the same fingerprint is overwritten.
pub fn put(tx: &mut dyn Tx, row: &AlertRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO alerts (fingerprint, rule_file, rule_group, rule, state, severity, service, environment, pages,
           active_since, ended_at, incident, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (fingerprint) DO UPDATE SET rule_file = excluded.rule_file, rule_group = excluded.rule_group,
           rule = excluded.rule, state = excluded.state, severity = excluded.severity, service = excluded.service,
           environment = excluded.environment, pages = excluded.pages, active_since = excluded.active_since,
           ended_at = excluded.ended_at, incident = excluded.incident, body = excluded.body",
        params![
            &row.fingerprint,
            &row.rule_file,
            &row.rule_group,
            &row.rule,
            &row.state,
            &row.severity,
            row.service.as_deref(),
            row.environment.as_deref(),
            row.pages,
            row.active_since,
            row.ended_at,
            row.incident,
            &row.body,
        ],
    )?;
    Ok(())
}

/// Forgets alerts that ended before `before`.
pub fn forget_ended(tx: &mut dyn Tx, before: Timestamp) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM alerts WHERE ended_at IS NOT NULL AND ended_at < $1", params![before])
}

fn mute(row: &Row) -> Result<MuteRow, StoreError> {
    Ok(MuteRow { id: row.int(0)?, expires_at: row.time(1)?, ended_at: row.opt_time(2)?, body: row.string(3)? })
}

/// Mutes that nobody has ended and whose end was not recorded yet.
pub fn mutes_open(tx: &mut dyn Tx) -> Result<Vec<MuteRow>, StoreError> {
    tx.query("SELECT id, expires_at, ended_at, body FROM mutes WHERE ended_at IS NULL ORDER BY id", &[])?
        .iter()
        .map(mute)
        .collect()
}

pub fn mute_get(tx: &mut dyn Tx, id: i64) -> Result<Option<MuteRow>, StoreError> {
    tx.query_opt("SELECT id, expires_at, ended_at, body FROM mutes WHERE id = $1", params![id])?
        .as_ref()
        .map(mute)
        .transpose()
}

pub fn mute_insert(tx: &mut dyn Tx, row: &MuteRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO mutes (id, expires_at, ended_at, body) VALUES ($1, $2, $3, $4)",
        params![row.id, row.expires_at, row.ended_at, &row.body],
    )?;
    Ok(())
}

/// Mutes that are over, the last to end first.
pub fn mutes_over(tx: &mut dyn Tx, limit: i64) -> Result<Vec<MuteRow>, StoreError> {
    let sql = "SELECT id, expires_at, ended_at, body FROM mutes WHERE ended_at IS NOT NULL
               ORDER BY ended_at DESC, id DESC LIMIT $1";
    tx.query(sql, params![limit])?.iter().map(mute).collect()
}

/// Changes a mute that nobody has ended. True when there is one.
pub fn mute_update(tx: &mut dyn Tx, row: &MuteRow) -> Result<bool, StoreError> {
    let sql = "UPDATE mutes SET expires_at = $2, body = $3 WHERE id = $1 AND ended_at IS NULL";
    Ok(tx.execute(sql, params![row.id, row.expires_at, &row.body])? > 0)
}

/// True when it was open until now.
pub fn mute_end(tx: &mut dyn Tx, id: i64, at: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.execute("UPDATE mutes SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL", params![id, at])? > 0)
}
