//! PostgreSQL behind the port: each thread of the store has a connection and a small runtime of its
//! own, so a statement costs one round trip and no hop between threads.
//!
//! Writers run at READ COMMITTED and take the lock on `write_turn` first, on all nodes one after
//! another: each statement then sees every earlier commit, closures behave as on SQLite, and `seq` is
//! dense and safe to tail. SERIALIZABLE would turn the same order into retries. Readers see one
//! snapshot (REPEATABLE READ).

mod codec;

use std::{collections::HashMap, error::Error, time::Duration};

use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls, Statement, error::SqlState};

use crate::{
    Row, Sealer, StoreError, Value,
    engine::Link,
    tx::{Dialect, Tx},
};

/// How long a new connection may take.
const CONNECT_MS_MAX: u64 = 5_000;
/// How long the network may leave what was sent unacknowledged.
const NETWORK_MS_MAX: u64 = 10_000;
/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 256;
/// Settings of every connection: nothing waits without an end, and a commit is durable when it returns.
const SESSION: &str = "SET lock_timeout = '5s'; SET statement_timeout = '30s'; \
     SET idle_in_transaction_session_timeout = '30s'; SET TIME ZONE 'UTC'; \
     SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// One connection.
pub(crate) struct PgLink {
    runtime: Runtime,
    config: Config,
    client: Client,
    statements: HashMap<String, Statement>,
    sealer: Sealer,
}

impl PgLink {
    /// Connects to `url` (`postgresql://user:password@host/database`, or `key=value` pairs).
    pub(crate) fn connect(url: &str, sealer: Sealer) -> Result<Self, StoreError> {
        let mut config: Config = url.parse().map_err(|e: tokio_postgres::Error| {
            StoreError::Unavailable(format!("the database URL is not valid: {e}"))
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_millis(CONNECT_MS_MAX));
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_millis(NETWORK_MS_MAX));
        }
        if config.get_application_name().is_none() {
            config.application_name("tenfold");
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| StoreError::Unavailable(e.to_string()))?;
        let client = dial(&runtime, &config)?;
        Ok(Self { runtime, config, client, statements: HashMap::new(), sealer })
    }

    /// Makes the table whose lock puts writers in a row; it has no rows.
    pub(crate) fn prepare_writer(&mut self) -> Result<(), StoreError> {
        let create = "CREATE TABLE IF NOT EXISTS write_turn (nothing BIGINT)";
        // Two nodes that start together may collide in the catalogue; then it is there.
        self.batch(create).or_else(|_| self.batch(create))
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.runtime.block_on(self.client.batch_execute(sql)).map_err(|e| fault(&e, sql))
    }

    fn statement(&mut self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.runtime.block_on(self.client.prepare(sql)).map_err(|e| fault(&e, sql))?;
        if self.statements.len() == STATEMENTS_MAX {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn bound(&mut self, sql: &str, params: &[Value]) -> Result<Statement, StoreError> {
        let statement = self.statement(sql)?;
        let wanted = statement.params().len();
        if wanted == params.len() {
            return Ok(statement);
        }
        Err(StoreError::Statement(format!("{} values for {wanted} placeholders: {sql}", params.len())))
    }
}

fn dial(runtime: &Runtime, config: &Config) -> Result<Client, StoreError> {
    runtime.block_on(async {
        let (client, connection) = config.connect(NoTls).await.map_err(|e| fault(&e, "connect"))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "a connection to the database ended");
            }
        });
        client.batch_execute(SESSION).await.map_err(|e| fault(&e, SESSION))?;
        Ok(client)
    })
}

impl Tx for PgLink {
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        let statement = self.bound(sql, params)?;
        let run = self.client.execute_raw(&statement, params.iter().map(codec::Param));
        self.runtime.block_on(run).map_err(|e| fault(&e, sql))
    }
    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let statement = self.bound(sql, params)?;
        let params: Vec<codec::Param> = params.iter().map(codec::Param).collect();
        let params: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        let rows = self.runtime.block_on(self.client.query(&statement, &params)).map_err(|e| fault(&e, sql))?;
        rows.iter().map(|row| codec::row(row).map_err(|e| StoreError::Statement(format!("{e}: {sql}")))).collect()
    }
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }
    fn sealer(&self) -> &Sealer {
        &self.sealer
    }
}

impl Link for PgLink {
    const GROUP_MAX: usize = 64;

    fn begin(&mut self, write: bool) -> Result<(), StoreError> {
        if self.client.is_closed() {
            self.client = dial(&self.runtime, &self.config)?;
            self.statements.clear();
        }
        self.batch(if write {
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; LOCK TABLE write_turn IN EXCLUSIVE MODE"
        } else {
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        })
    }
    fn commit(&mut self) -> Result<(), StoreError> {
        self.batch("COMMIT").map_err(|error| match error {
            StoreError::Unavailable(reason) => StoreError::OutcomeUnknown(reason),
            other => other,
        })
    }
    fn rollback(&mut self) {
        if self.in_transaction()
            && let Err(error) = self.batch("ROLLBACK")
        {
            tracing::warn!(%error, "a rollback failed");
        }
    }
    fn savepoint(&mut self) -> Result<(), StoreError> {
        self.batch("SAVEPOINT part")
    }
    fn end_savepoint(&mut self, keep: bool) -> Result<(), StoreError> {
        self.batch(if keep { "RELEASE part" } else { "ROLLBACK TO part; RELEASE part" })
    }
    fn in_transaction(&self) -> bool {
        !self.client.is_closed()
    }
    fn as_tx(&mut self) -> &mut dyn Tx {
        self
    }
}

fn fault(error: &tokio_postgres::Error, sql: &str) -> StoreError {
    let Some(cause) = error.as_db_error() else {
        // The server said nothing: the connection is gone, or a value did not fit its column.
        let source = error.source();
        let text = source.map_or_else(|| error.to_string(), |s| format!("{error}: {s}"));
        let lost = error.is_closed() || source.is_some_and(<dyn Error>::is::<std::io::Error>);
        return if lost { StoreError::Unavailable(text) } else { StoreError::Statement(format!("{text}: {sql}")) };
    };
    let text = cause.message().to_owned();
    let code = cause.code();
    match code.code() {
        _ if *code == SqlState::T_R_SERIALIZATION_FAILURE
            || *code == SqlState::T_R_DEADLOCK_DETECTED
            || *code == SqlState::LOCK_NOT_AVAILABLE =>
        {
            StoreError::Busy(text)
        }
        _ if *code == SqlState::DISK_FULL => StoreError::DiskFull,
        // A standby that has not been promoted refuses writes.
        _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION && sql.starts_with("BEGIN") => StoreError::Unavailable(text),
        "28000" | "28P01" | "3D000" | "53300" => StoreError::Unavailable(text),
        state if state.starts_with("23") => StoreError::Constraint(text),
        state if state.starts_with("08") || state.starts_with("57P") => StoreError::Unavailable(text),
        _ => StoreError::Statement(format!("{text}: {sql}")),
    }
}
