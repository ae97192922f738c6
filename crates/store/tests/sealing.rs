//! Columns that may hold secrets: what stands in the database, what opens it, and what a start does about plain text and keys of
//! before. Each case on both databases.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::{path::PathBuf, sync::Arc};

use tenfold_store::{
    Db, Sealer, StoreError, Tx,
    alerts::{self, RoutingRow},
    checks,
    incidents::{self, DeliveryRow},
    params,
    people::{self, PersonRow},
    push_browsers::{self, BrowserRow},
    schedule_calendars,
};
use tenfold_testkit::{PgServer, TestEntropy};
use tenfold_types::Timestamp;

const NOW: Timestamp = Timestamp(1_795_424_400_000);
const CANARY: &str = "c4nary-8a5e3c1f";
/// More than are sealed in one transaction, twice.
const PEOPLE: i64 = 1_201;

/// Every column that may hold a secret.
const COLUMNS: [(&str, &str); 8] = [
    ("alert_routing", "yaml"),
    ("alert_routing", "secrets"),
    ("checks", "body"),
    ("people", "body"),
    ("page_deliveries", "target"),
    ("push_browsers", "endpoint"),
    ("push_browsers", "auth"),
    ("schedule_calendars", "url"),
];

/// Where a database is, to be opened with one or other keys.
enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Place {
    /// Opens it with a key for each seed, the first of which seals.
    async fn open(&self, seeds: &[u64]) -> Result<Db, StoreError> {
        let text: String = seeds.iter().map(|seed| Sealer::new_key(&TestEntropy::seeded(*seed)) + "\n").collect();
        let sealer = Sealer::read(&text, "the-key-file", Arc::new(TestEntropy::seeded(seeds[0] + 100)))?;
        match self {
            Self::Sqlite(path) => Db::open_sqlite(path, sealer).await,
            Self::Postgres(url) => Db::open_postgres(url.as_str(), sealer).await,
        }
    }

    /// What lies on the disk, as far as it is one file.
    fn on_disk(&self) -> String {
        let Self::Sqlite(path) = self else { return String::new() };
        let log = path.with_extension("db-wal");
        let bytes = [path, &log].map(|path| std::fs::read(path).unwrap_or_default()).concat();
        assert!(!bytes.is_empty(), "there is a file");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Puts the canary into each of these columns, in the way everybody does.
fn fill(tx: &mut dyn Tx) -> Result<(), StoreError> {
    let routing = RoutingRow { yaml: CANARY.to_owned(), secrets: CANARY.to_owned() };
    alerts::routing_put(tx, &routing, NOW, "ana")?;
    checks::put(tx, "web", CANARY, NOW)?;
    for login in ["ana", "raj"] {
        let body = CANARY.to_owned();
        people::person_put(tx, &PersonRow { login: login.to_owned(), password_hash: None, disabled_at: None, body })?;
    }
    let delivery = DeliveryRow {
        page: "p1".to_owned(),
        channel: "slack".to_owned(),
        target: CANARY.to_owned(),
        idempotency_key: "p1.slack".to_owned(),
        state: "due".to_owned(),
        tries: 0,
        next_at: Some(NOW),
        epoch: 0,
        message: None,
    };
    incidents::delivery_insert(tx, &delivery)?;
    let browser = BrowserRow {
        id: "b1".to_owned(),
        person: "ana".to_owned(),
        label: "Firefox".to_owned(),
        endpoint: CANARY.to_owned(),
        p256dh: "P".to_owned(),
        auth: CANARY.to_owned(),
        added_at: NOW,
    };
    push_browsers::put(tx, &browser)?;
    schedule_calendars::follow(tx, "primary", CANARY, 60_000, NOW)
}

/// What the repositories say of these columns.
fn read_back(tx: &mut dyn Tx) -> Result<Vec<String>, StoreError> {
    let routing = alerts::routing(tx)?.unwrap();
    let browser = push_browsers::of_person(tx, "ana")?.remove(0);
    let mut found = vec![routing.yaml, routing.secrets, checks::list(tx)?.remove(0).body];
    found.push(people::person_get(tx, "ana")?.unwrap().body);
    found.push(incidents::deliveries_due(tx, NOW, 0, 10)?.remove(0).target);
    found.extend([browser.endpoint, browser.auth]);
    found.push(schedule_calendars::followed(tx)?.remove(0).url);
    Ok(found)
}

async fn all_are_read(db: &Db) {
    assert_eq!(db.read(read_back).await.unwrap(), [CANARY; COLUMNS.len()]);
}

/// What stands in a column of one row, as it stands.
async fn raw(db: &Db, table: &'static str, column: &'static str) -> Vec<String> {
    let read = move |tx: &mut dyn Tx| {
        let rows = tx.query(&format!("SELECT {column} FROM {table}"), params![])?;
        rows.iter().map(|row| row.string(0)).collect::<Result<Vec<_>, StoreError>>()
    };
    db.read(read).await.unwrap()
}

async fn all_are_sealed(db: &Db) {
    for (table, column) in COLUMNS {
        let found = raw(db, table, column).await;
        assert!(!found.is_empty(), "{table} has rows");
        assert!(found.iter().all(|text| text.starts_with("sealed:1:")), "{table}.{column}: {found:?}");
    }
}

async fn sql(db: &Db, statement: &'static str) {
    db.write(move |tx| tx.execute(statement, params![])).await.unwrap();
}

async fn nothing_stands_as_it_was_written(place: &Place) {
    let db = place.open(&[1]).await.unwrap();
    db.write(fill).await.unwrap();
    all_are_sealed(&db).await;
    all_are_read(&db).await;
    assert!(!place.on_disk().contains(CANARY));

    sql(&db, "UPDATE people SET body = (SELECT p.body FROM people p WHERE p.login = 'ana') WHERE login = 'raj'").await;
    let moved = db.read(|tx| people::person_get(tx, "raj")).await.unwrap_err();
    assert!(matches!(moved, StoreError::Sealed(_)) && moved.to_string().contains("`raj`"), "{moved}");
    sql(&db, "UPDATE push_browsers SET auth = endpoint").await;
    assert!(db.read(|tx| push_browsers::get(tx, "b1")).await.is_err(), "nor in another column");
    assert!(db.read(|tx| people::person_get(tx, "ana")).await.unwrap().is_some());

    let unfollowed = |tx: &mut dyn Tx| {
        schedule_calendars::unfollow(tx, "primary")?;
        schedule_calendars::followed(tx)
    };
    assert!(db.write(unfollowed).await.unwrap().is_empty(), "what is empty stays empty");
    drop(db);
    let on_disk = place.on_disk();
    assert!(!on_disk.contains(CANARY));
    assert!(matches!(place, Place::Postgres(_)) || on_disk.contains("Firefox"), "what is no secret is found there");
}

async fn keys_are_changed_one_after_another(place: &Place) {
    drop(place.open(&[1]).await.unwrap());
    let refused = |opened: Result<Db, StoreError>| {
        let error = opened.err().expect("it has not the key");
        assert!(matches!(error, StoreError::Sealed(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("the-key-file holds") && text.contains("share"), "it says what to do: {text}");
    };
    refused(place.open(&[2]).await);
    let db = place.open(&[1]).await.unwrap();
    db.write(fill).await.unwrap();
    let before = raw(&db, "checks", "body").await.remove(0);
    drop(db);
    refused(place.open(&[2]).await);

    let db = place.open(&[2, 1]).await.unwrap();
    all_are_read(&db).await;
    drop(db);
    refused(place.open(&[1]).await);
    let db = place.open(&[2]).await.unwrap();
    all_are_read(&db).await;
    // Another server wrote with the old key meanwhile.
    let late = before.clone();
    db.write(move |tx| tx.execute("UPDATE checks SET body = $1", params![&late])).await.unwrap();
    let unread = db.read(|tx| checks::get(tx, "web")).await.unwrap_err();
    assert!(unread.to_string().contains("the-key-file holds"), "{unread}");
    drop(db);
    refused(place.open(&[2]).await);
    let db = place.open(&[2, 1]).await.unwrap();
    all_are_read(&db).await;
    assert_ne!(raw(&db, "checks", "body").await, [before]);
}

async fn plain_text_of_before_is_sealed_at_a_start(place: &Place) {
    let db = place.open(&[1]).await.unwrap();
    db.write(fill).await.unwrap();
    let plain = |tx: &mut dyn Tx| -> Result<(), StoreError> {
        for (table, column) in COLUMNS {
            tx.execute(&format!("UPDATE {table} SET {column} = $1"), params![CANARY])?;
        }
        for n in 0..PEOPLE {
            let login = format!("p{n:05}");
            tx.execute("INSERT INTO people (login, body) VALUES ($1, $2)", params![login, CANARY])?;
        }
        Ok(())
    };
    db.write(plain).await.unwrap();
    all_are_read(&db).await;
    drop(db);
    assert!(matches!(place, Place::Postgres(_)) || place.on_disk().contains(CANARY));

    let db = place.open(&[1]).await.unwrap();
    all_are_sealed(&db).await;
    all_are_read(&db).await;
    assert_eq!(raw(&db, "people", "body").await.len() as i64, PEOPLE + 2);
    assert!(!place.on_disk().contains(CANARY), "nor does it lie in what is free");
    drop(db);
    assert!(!place.on_disk().contains(CANARY));
    // There is nothing left to do.
    let db = place.open(&[1]).await.unwrap();
    all_are_read(&db).await;
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| Place::Sqlite(dir.path().join(format!("{name}.db")));
    nothing_stands_as_it_was_written(&at("written")).await;
    keys_are_changed_one_after_another(&at("keys")).await;
    plain_text_of_before_is_sealed_at_a_start(&at("before")).await;
}

#[tokio::test]
async fn postgres() {
    let Some(server) = PgServer::start().await else { return };
    let at = async |name: &str| Place::Postgres(server.create_database(name).await);
    nothing_stands_as_it_was_written(&at("written").await).await;
    keys_are_changed_one_after_another(&at("keys").await).await;
    plain_text_of_before_is_sealed_at_a_start(&at("before").await).await;
}
