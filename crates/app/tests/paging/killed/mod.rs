//! The server is killed with SIGKILL at any moment, a thousand times when it is asked for, and started again over the same
//! store: while alerts fire and end, people mute, unmute and acknowledge, receivers put off and lose answers, and pages are
//! on their way. Its clock goes on. Whatever the moment:
//!
//! - what was answered is so: an alert that fires, an end, a mute of any kind, its end, an acknowledgement;
//! - nothing is sent for an incident whose acknowledgement was answered, and nothing again that is known to be taken;
//! - nobody is told of an alert at an instant at which it is muted, and somebody is when the mute ends and it still fires;
//! - what fires and is nobody's has paged when receivers have taken what came for a while;
//! - programs behind a webhook know of what fires, and of its end; who was paged knows that it is over;
//! - every page has its row, its attempt and its events, and the record is whole.
//!
//! `KILL_ROUNDS` sets how many kills (25), `SEED` the first seed. A failing seed is in the message.

mod life;
mod model;
mod programs;
mod settle;
mod truth;
mod words;

use std::path::Path;

use tenfold_testkit::TestEntropy;

use crate::lives;

use model::{Counts, Model};
use truth::Truth;
use words::{Line, Order};

const KILLS: u64 = 25;
/// Then a new store begins, with the next seed.
const KILLS_OF_A_STORE: u64 = 25;
/// After so many kills a life rests, and all that is owed has to be done.
const KILLS_TO_A_REST: u64 = 8;
/// It is killed some time after it has said so many lines; after none, while it starts.
const LINES_MAX: u64 = 120;
/// The next life begins so much later.
const DOWN_MS_MAX: u64 = 90_000;

#[tokio::test]
async fn killed_at_any_moment_it_loses_nothing_and_pages_nobody_for_what_is_acknowledged() {
    let mut counts = Counts::default();
    lives::histories(KILLS, KILLS_OF_A_STORE, async |seed, kills| {
        history(seed, kills).await.map(|more| counts.add(&more))
    })
    .await;
    println!("{counts}");
    let all = counts.kills < KILLS || counts.kinds.len() == 4;
    let some = counts.acknowledged > 0 && counts.taken > 0 && counts.posted > 0;
    assert!(all && some, "too little has happened: {counts}");
}

/// The lives of one store.
async fn history(seed: u64, kills: u64) -> Result<Counts, String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dice = TestEntropy::seeded(seed.wrapping_mul(41));
    let mut model = Model::new(truth::set_up(dir.path()).await);
    lives::of_one_store(kills, KILLS_TO_A_REST, async |rests| live(dir.path(), &mut model, &dice, rests).await).await?;
    model.counts.kills = kills;
    Ok(model.counts)
}

/// One life, its end, and what the store says then.
async fn live(dir: &Path, model: &mut Model, dice: &TestEntropy, rests: bool) -> Result<(), String> {
    let now_ms = model.now_ms + 1 + dice.below(DOWN_MS_MAX) as i64;
    let order = Order { dir: dir.to_owned(), seed: dice.next(), now_ms, bad: model.bad, rests };
    model.resting = rests;
    until_killed(&order, model, dice).await?;
    model.killed();
    let truth = Truth::read(dir, model, rests).await;
    model.settle(&truth)?;
    if rests { model.rested(&truth) } else { Ok(()) }
}

/// Starts the process, hears what it says, and kills it when the moment has come.
async fn until_killed(order: &Order, model: &mut Model, dice: &TestEntropy) -> Result<(), String> {
    let lines = if order.rests { u64::MAX } else { dice.below(LINES_MAX) };
    let hear = |line: Line| {
        let rested = line == Line::Rested;
        model.hear(line).map(|()| rested)
    };
    lives::until_killed(life::KIND, order, lines, dice, hear).await
}
