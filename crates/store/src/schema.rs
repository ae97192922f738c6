//! The schema: numbered files, applied in order and once, each recorded with the digest of its text.
//!
//! One DDL text serves both databases: `TEXT` and `BIGINT` columns, `CREATE TABLE`, `CREATE INDEX`.
//! A released file is never edited; a change is a new file.

use std::collections::BTreeMap;

use crate::{
    StoreError, Value,
    engine::Link,
    search,
    tx::{Dialect, Tx},
};

struct Migration {
    name: &'static str,
    sql: &'static str,
}

macro_rules! migrations {
    ($($name:literal,)*) => {
        &[$(Migration { name: $name, sql: include_str!(concat!("schema/", $name, ".sql")) },)*]
    };
}

/// In the order in which they are applied; the numbers are spaced so that parts do not meet.
const MIGRATIONS: &[Migration] = migrations![
    "0001_core",
    "0010_people",
    "0020_flags",
    "0021_flag_projects",
    "0022_flag_life",
    "0023_flag_changes",
    "0024_permits",
    "0030_deploys",
    "0031_deploys_finished",
    "0032_trains",
    "0035_forges",
    "0036_agents",
    "0037_enrolments_used",
    "0040_alerts",
    "0041_alert_routing",
    "0042_oncall",
    "0043_checks",
    "0044_alert_webhooks",
    "0045_alert_sources",
    "0050_chat",
    "0060_dashboards",
    "0061_dashboard_saves",
    "0062_deploy_queue",
    "0066_incident_endings",
    "0067_page_updates",
    "0068_heartbeats",
    "0071_push_browsers",
    "0072_heartbeat_late",
    "0073_fewer_indexes",
    "0074_digests",
    "0076_check_inbox",
    "0080_check_gone",
    "0085_live_members",
    "0090_outbox_parts",
    "0093_pages_by_time",
    "0097_deploy_asks",
    "0100_schedule_calendars",
    "0101_routing_secrets",
    "0103_alert_inbox",
    "0104_sealing",
    "0113_alert_inbox_tries",
    "0114_search_mark",
];

/// Applies what is missing, all of it in one transaction.
pub(crate) fn migrate<L: Link>(link: &mut L) -> Result<(), StoreError> {
    link.begin(true)?;
    let result = apply(link.as_tx());
    if result.is_ok() {
        link.commit()
    } else {
        link.rollback();
        result
    }
}

fn apply(tx: &mut dyn Tx) -> Result<(), StoreError> {
    let dialect = tx.dialect();
    tx.execute(
        &translate("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, digest TEXT NOT NULL)", dialect),
        &[],
    )?;
    let mut applied = BTreeMap::new();
    for row in tx.query("SELECT name, digest FROM migrations", &[])? {
        applied.insert(row.string(0)?, row.string(1)?);
    }
    for migration in MIGRATIONS {
        let digest = blake3::hash(migration.sql.as_bytes()).to_hex().to_string();
        match applied.remove(migration.name) {
            Some(found) if found == digest => {}
            Some(_) => {
                return Err(StoreError::Schema(format!(
                    "migration {} was changed after it had been applied; start with the version that made this database",
                    migration.name
                )));
            }
            None => {
                for statement in statements(migration.sql) {
                    tx.execute(&translate(&statement, dialect), &[])?;
                }
                if migration.name == "0001_core" {
                    for statement in search::ddl(dialect) {
                        tx.execute(statement, &[])?;
                    }
                }
                let row = [Value::from(migration.name), Value::from(digest)];
                tx.execute("INSERT INTO migrations (name, digest) VALUES ($1, $2)", &row)?;
            }
        }
    }
    match applied.keys().next() {
        Some(name) => Err(StoreError::Schema(format!(
            "migration {name} is not known here; the database was made by a newer version, use that one"
        ))),
        None => Ok(()),
    }
}

/// The statements of a file, without comments. DDL holds no `;` or `--` inside a string.
fn statements(sql: &str) -> Vec<String> {
    let bare: Vec<&str> = sql.lines().map(|line| line.split("--").next().unwrap_or(line)).collect();
    bare.join("\n").split(';').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// The same words for either database: strict tables and rowid keys on SQLite, bytewise text order
/// on PostgreSQL (SQLite's order), so that `ORDER BY` agrees.
fn translate(statement: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Sqlite if statement.starts_with("CREATE TABLE") => {
            format!("{} STRICT", statement.replace("BIGINT", "INTEGER"))
        }
        // a column that is added to a strict table has a strict table's type
        Dialect::Sqlite if statement.starts_with("ALTER TABLE") => statement.replace("BIGINT", "INTEGER"),
        Dialect::Sqlite => statement.to_owned(),
        Dialect::Postgres => statement.replace("TEXT", "TEXT COLLATE \"C\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_order() {
        assert!(MIGRATIONS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn files_are_cut_into_statements() {
        let sql = "-- a; comment\nCREATE TABLE a (x TEXT); -- tail\n\nCREATE INDEX i ON a (x);\n";
        assert_eq!(statements(sql), ["CREATE TABLE a (x TEXT)", "CREATE INDEX i ON a (x)"]);
        assert_eq!(translate("CREATE TABLE a (x BIGINT)", Dialect::Sqlite), "CREATE TABLE a (x INTEGER) STRICT");
        let added = translate("ALTER TABLE a ADD COLUMN y BIGINT NOT NULL DEFAULT 0", Dialect::Sqlite);
        assert_eq!(added, "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 0");
    }
}
