//! Two nodes of one database are killed with SIGKILL at any moment and started again over the same store, while senders speak to
//! either of them. The store refuses to write some alerts for a while, so that requests wait in the inbox, are put off, hold back
//! others and are forgotten when they are taken; others that nobody can read are kept aside. A webhook of the routing puts off
//! and loses answers. The clock goes on. Whatever the moment:
//!
//! - a word that was answered is in the record or waits, and what waits of an alert keeps the order in which it was said;
//! - the record has each word once, none before one that was said earlier, and the alert is as the last one says;
//! - a webhook is told nothing again that is stored as told and whose end nobody has said, and of each end of what is stored as
//!   told;
//! - a request that nobody can read is kept until somebody asks for it to be forgotten;
//! - after a while in which nothing breaks nothing waits, all was heard, and the webhook has heard of it.
//!
//! On SQLite the nodes are two of one process on one file, which no server does: it is the same code on the other store.
//!
//! `KILL_ROUNDS` sets how many kills (12 on each store), `SEED` the first seed. A failing seed is in the message.

mod aside;
mod life;
mod model;
mod truth;
mod words;

use std::path::Path;

use tenfold_testkit::{PgServer, TestEntropy};

use crate::lives;

use model::{Counts, Model};
use truth::Truth;
use words::{Database, Line, Order};

const KILLS: u64 = 12;
/// Then a new store begins, with the next seed.
const KILLS_OF_A_STORE: u64 = 24;
/// After so many kills a life rests, and all that is owed has to be done.
const KILLS_TO_A_REST: u64 = 6;
/// It is killed some time after it has said so many lines; after none, while it starts.
const LINES_MAX: u64 = 160;
/// The next life begins so much later, as the dice fall: before the lease of the dead has run out, or after that.
const DOWN_MS_MAX: [u64; 3] = [2_000, 15_000, 60_000];

#[tokio::test]
async fn killed_on_sqlite_nodes_lose_no_word_and_tell_none_again() {
    histories(|_| async { Database::Sqlite }).await;
}

#[tokio::test]
async fn killed_on_postgresql_nodes_lose_no_word_and_tell_none_again() {
    // Without PostgreSQL the testkit says so in one line.
    let Some(server) = PgServer::start().await else { return };
    let server = &server;
    histories(move |seed| async move { Database::Postgres(server.create_database(&format!("handed-{seed}")).await) })
        .await;
}

/// As many as are asked for, each on a database of its own.
async fn histories<D: Future<Output = Database>>(database: impl Fn(u64) -> D) {
    let mut counts = Counts::default();
    lives::histories(KILLS, KILLS_OF_A_STORE, async |seed, kills| {
        history(&database(seed).await, seed, kills).await.map(|more| counts.add(&more))
    })
    .await;
    println!("{counts}");
    let all = counts.kills < KILLS || (counts.put_off > 0 && counts.held > 0 && counts.aside > 0);
    assert!(all && counts.told > 0, "too little has happened: {counts}");
}

/// The lives of one store.
async fn history(database: &Database, seed: u64, kills: u64) -> Result<Counts, String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dice = TestEntropy::seeded(seed.wrapping_mul(43));
    let mut model = Model::new(truth::set_up(dir.path(), database).await);
    lives::of_one_store(kills, KILLS_TO_A_REST, async |rests| {
        live(dir.path(), database, &mut model, &dice, rests).await
    })
    .await?;
    model.counts.kills = kills;
    Ok(model.counts)
}

/// One life, its end, and what the store says then.
async fn live(
    dir: &Path,
    database: &Database,
    model: &mut Model,
    dice: &TestEntropy,
    rests: bool,
) -> Result<(), String> {
    let down_ms = dice.below(DOWN_MS_MAX[dice.below(3) as usize]) as i64;
    let order = Order {
        dir: dir.to_owned(),
        database: database.clone(),
        seed: dice.next(),
        now_ms: model.now_ms + 1 + down_ms,
        senders: model.senders(),
        broken: model.broken.clone(),
        nonsense: model.nonsense_next,
        rests,
    };
    model.resting = rests;
    let lines = if rests { u64::MAX } else { dice.below(LINES_MAX) };
    let hear = |line: Line| {
        let rested = line == Line::Rested;
        model.hear(line).map(|()| rested)
    };
    lives::until_killed(life::KIND, &order, lines, dice, hear).await?;
    let truth = Truth::read(dir, database, model, rests).await;
    model.settle(&truth)?;
    if rests { model.rested(&truth) } else { Ok(()) }
}
