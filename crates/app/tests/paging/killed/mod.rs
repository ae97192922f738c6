//! The server is killed with SIGKILL at any moment, a thousand times when it is asked for, and started again over the same
//! store: while alerts fire and end, people mute, unmute and acknowledge, receivers put off and lose answers, and pages are
//! on their way. Its clock goes on. Whatever the moment:
//!
//! - what was answered is so: an alert that fires, an end, a mute of any kind, its end, an acknowledgement;
//! - nothing is sent for an incident whose acknowledgement was answered, and nothing again that is known to be taken;
//! - nobody is told of an alert at an instant at which it is muted, and somebody is when the mute ends and it still fires;
//! - what fires and is nobody's has paged when receivers have taken what came for a while;
//! - every page has its row, its attempt and its events, and the record is whole.
//!
//! `KILL_ROUNDS` sets how many kills (25), `SEED` the first seed. A failing seed is in the message.

mod life;
mod model;
mod settle;
mod truth;
mod words;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tenfold_testkit::{ProcessGuard, TestEntropy};
use tokio::time::{Instant, timeout, timeout_at};

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
const MOMENT_US_MAX: u64 = 12_000;
/// The next life begins so much later.
const DOWN_MS_MAX: u64 = 90_000;
const PATIENCE: Duration = Duration::from_mins(1);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[tokio::test]
async fn killed_at_any_moment_it_loses_nothing_and_pages_nobody_for_what_is_acknowledged() {
    let (mut left, mut seed) = (number("KILL_ROUNDS").unwrap_or(KILLS), number("SEED").unwrap_or(1_000));
    let mut counts = Counts::default();
    while left > 0 {
        let kills = left.min(KILLS_OF_A_STORE);
        match history(seed, kills).await {
            Ok(more) => counts.add(&more),
            Err(wrong) => panic!("SEED={seed} KILL_ROUNDS={kills}: {wrong}"),
        }
        (left, seed) = (left - kills, seed + 1);
    }
    println!("{counts}");
    let all = counts.kills < KILLS || counts.kinds.len() == 4;
    assert!(all && counts.acknowledged > 0 && counts.taken > 0, "too little has happened: {counts}");
}

/// The lives of one store.
async fn history(seed: u64, kills: u64) -> Result<Counts, String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dice = TestEntropy::seeded(seed.wrapping_mul(41));
    let mut model = Model::new(truth::set_up(dir.path()).await);
    for kill in 1..=kills {
        live(dir.path(), &mut model, &dice, false).await.map_err(|wrong| format!("kill {kill}: {wrong}"))?;
        model.counts.kills += 1;
        if kill.is_multiple_of(KILLS_TO_A_REST) || kill == kills {
            live(dir.path(), &mut model, &dice, true).await.map_err(|wrong| format!("rest after {kill}: {wrong}"))?;
        }
    }
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
    let mut command = Command::new(std::env::current_exe().expect("this executable"));
    command.args([life::NAME, "--exact", "--nocapture"]);
    command.env(life::ORDER, serde_json::to_string(order).expect("an order is plain data"));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the life begins");
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut process = ProcessGuard::new(child);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let ears = std::thread::spawn(move || {
        // What the harness says is no line of ours, and the last one may be cut off.
        let lines = output.lines().map_while(Result::ok).filter_map(|text| serde_json::from_str::<Line>(&text).ok());
        for line in lines {
            let _ = tell.send(line);
        }
    });
    let lines = if order.rests { u64::MAX } else { dice.below(LINES_MAX) };
    for _ in 0..lines {
        let line = timeout(PATIENCE, told.recv()).await.map_err(|_| "it says nothing any more")?;
        let line = line.ok_or("it ended by itself")?;
        let rested = line == Line::Rested;
        model.hear(line)?;
        if rested {
            break;
        }
    }
    let moment = Instant::now() + Duration::from_micros(dice.below(MOMENT_US_MAX));
    while let Ok(Some(line)) = timeout_at(moment, told.recv()).await {
        model.hear(line)?;
    }
    process.kill();
    // What it had said before it died is out.
    while let Some(line) = told.recv().await {
        model.hear(line)?;
    }
    ears.join().expect("the ears hear to the end");
    Ok(())
}
