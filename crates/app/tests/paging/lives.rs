//! Lives of a server: processes that say what they do in lines of JSON, and that are killed with SIGKILL at any moment.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use tenfold_app::App;
use tenfold_testkit::{ProcessGuard, TestEntropy};
use tenfold_types::Event;
use tokio::time::{Instant, timeout, timeout_at};

/// A life is killed up to so long after the line that is the last one waited for.
const MOMENT_US_MAX: u64 = 12_000;
const PATIENCE: Duration = Duration::from_mins(1);
/// Events in one read.
const READ: usize = 200;

/// A number that whoever runs the tests has set.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The test of this binary that lives one, and the variable in which it finds its order, as JSON.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub test: &'static str,
    pub order: &'static str,
}

impl Kind {
    /// What this process is to live, where it is a life.
    pub fn order<O: DeserializeOwned>(self) -> Option<O> {
        let order = std::env::var(self.order).ok()?;
        // The harness has begun a line.
        println!();
        Some(serde_json::from_str(&order).expect("the order is whole"))
    }
}

/// Where a life says its lines.
pub type Say<L> = Arc<dyn Fn(&L) + Send + Sync>;

/// To whoever started its process.
pub fn aloud<L: Serialize + 'static>() -> Say<L> {
    Arc::new(|line: &L| println!("{}", serde_json::to_string(line).expect("a line is plain data")))
}

/// To a test that lives it itself, and finds the lines here.
pub fn kept<L: Clone + Send + 'static>() -> (Say<L>, Arc<Mutex<Vec<L>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    (Arc::new(move |line: &L| kept.lock().push(line.clone())), lines)
}

/// The network takes its time, in which other things happen.
pub async fn travel(dice: &TestEntropy, most: u64) {
    for _ in 0..dice.below(most) {
        tokio::task::yield_now().await;
    }
}

/// As many kills as are asked for, or as the test does by itself; each store has some of them and a seed of its own.
pub async fn histories(kills: u64, of_a_store: u64, mut history: impl AsyncFnMut(u64, u64) -> Result<(), String>) {
    let (mut left, mut seed) = (number("KILL_ROUNDS").unwrap_or(kills), number("SEED").unwrap_or(1_000));
    while left > 0 {
        let kills = left.min(of_a_store);
        if let Err(wrong) = history(seed, kills).await {
            panic!("SEED={seed} KILL_ROUNDS={kills}: {wrong}");
        }
        (left, seed) = (left - kills, seed + 1);
    }
}

/// So many lives that are killed; after every few of them, and after the last, one that rests. `live` is told whether it does.
pub async fn of_one_store(
    kills: u64,
    to_a_rest: u64,
    mut live: impl AsyncFnMut(bool) -> Result<(), String>,
) -> Result<(), String> {
    for kill in 1..=kills {
        live(false).await.map_err(|wrong| format!("kill {kill}: {wrong}"))?;
        if kill.is_multiple_of(to_a_rest) || kill == kills {
            live(true).await.map_err(|wrong| format!("rest after {kill}: {wrong}"))?;
        }
    }
    Ok(())
}

/// Starts the process, hears what it says, and kills it some time after so many lines: after none, while it starts. `hear` says
/// of each line whether the life has nothing more to say, and is killed now.
pub async fn until_killed<L: DeserializeOwned + Send + 'static>(
    kind: Kind,
    order: &impl Serialize,
    lines: u64,
    dice: &TestEntropy,
    mut hear: impl FnMut(L) -> Result<bool, String>,
) -> Result<(), String> {
    let mut command = Command::new(std::env::current_exe().expect("this executable"));
    command.args([kind.test, "--exact", "--nocapture"]);
    command.env(kind.order, serde_json::to_string(order).expect("an order is plain data"));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the life begins");
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut process = ProcessGuard::new(child);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let ears = std::thread::spawn(move || {
        // What the harness says is no line of ours, and the last one may be cut off.
        let lines = output.lines().map_while(Result::ok).filter_map(|text| serde_json::from_str::<L>(&text).ok());
        for line in lines {
            let _ = tell.send(line);
        }
    });
    for _ in 0..lines {
        let line = timeout(PATIENCE, told.recv()).await.map_err(|_| "it says nothing any more")?;
        if hear(line.ok_or("it ended by itself")?)? {
            break;
        }
    }
    let moment = Instant::now() + Duration::from_micros(dice.below(MOMENT_US_MAX));
    while let Ok(Some(line)) = timeout_at(moment, told.recv()).await {
        hear(line)?;
    }
    process.kill();
    // What it had said before it died is out.
    while let Some(line) = told.recv().await {
        hear(line)?;
    }
    ears.join().expect("the ears hear to the end");
    Ok(())
}

/// All that was recorded behind the event with this number.
pub async fn events_behind(app: &App, seq: i64) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let last = all.last().map_or(seq, |event| event.seq);
        let some = app.events_after(last, READ).await.expect("the record is read");
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}
