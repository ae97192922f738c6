//! One suite over both databases: every case gets an empty store and must behave the same on SQLite
//! and on PostgreSQL.
//!
//! To add a case: a file here with `pub async fn run(db: &Db)`, and its name in the list below.

#![expect(clippy::unwrap_used, reason = "a case that fails should panic where it fails")]

use tenfold_store::Db;

macro_rules! cases {
    ($($case:ident,)*) => {
        $(mod $case;)*

        /// On SQLite each case is a test of its own.
        mod sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    let db: tenfold_testkit::TempDb = tenfold_testkit::temp_db().await;
                    super::$case::run(&db).await;
                }
            )*
        }

        /// On PostgreSQL each case has a database of its own in one temporary server.
        #[tokio::test]
        async fn postgres() {
            let Some(server) = tenfold_testkit::PgServer::start().await else { return };
            $(
                println!("{}", stringify!($case));
                {
                    // its connections end with it
                    let db = Db::open_postgres(server.create_database(stringify!($case)).await, tenfold_testkit::sealer()).await.unwrap();
                    $case::run(&db).await;
                }
            )*
        }
    };
}

cases! {
    transactions,
    events,
    search,
    numbers,
    people,
    dashboards,
    deploys,
    deploy_asks,
    deploy_queue,
    digests,
    agents,
    forges,
    chat,
    alert_inbox,
    alert_sources,
    alert_webhooks,
    paging,
    push_browsers,
    schedule_calendars,
    flags,
    flag_changes,
    flag_life,
}

/// The instant at which the cases take place: 2026-11-23T09:00:00Z.
pub(crate) const NOW: tenfold_types::Timestamp = tenfold_types::Timestamp(1_795_424_400_000);

/// A write that must succeed.
pub(crate) async fn write<T: Send + 'static>(
    db: &Db,
    mut f: impl FnMut(&mut dyn tenfold_store::Tx) -> Result<T, tenfold_store::StoreError> + Send + 'static,
) -> T {
    db.write(move |tx| f(tx)).await.expect("the write succeeds")
}

/// A read that must succeed.
pub(crate) async fn read<T: Send + 'static>(
    db: &Db,
    mut f: impl FnMut(&mut dyn tenfold_store::Tx) -> Result<T, tenfold_store::StoreError> + Send + 'static,
) -> T {
    db.read(move |tx| f(tx)).await.expect("the read succeeds")
}
