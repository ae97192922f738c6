//! The store in a process of its own, told by lines on its standard input what to do.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

use tenfold_store::Db;
use tenfold_testkit::{ProcessGuard, TestEntropy};
use tenfold_types::EventId;

use crate::work::{Acked, append, check, check_file};

/// Names the database file to the child.
const PATH: &str = "TENFOLD_TEST_CHILD_DATABASE";
const WRITERS: i64 = 8;

/// What a run of writers ended with.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) acked: Acked,
    /// The name of each error, as `Debug` shows it.
    pub(crate) errors: Vec<String>,
    pub(crate) fenced: bool,
}

/// The parent's end.
pub(crate) struct StoreChild {
    process: ProcessGuard,
    input: ChildStdin,
    output: std::io::Lines<BufReader<ChildStdout>>,
}

impl StoreChild {
    /// Starts it on the database at `path`; `None` when the database cannot be opened.
    pub(crate) fn start(path: &Path) -> Option<Self> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["child::store", "--exact", "--nocapture"]).env(PATH, path);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut store = Self { process: ProcessGuard::new(child), input, output };
        store.until("opened").then_some(store)
    }

    /// Lets it check that all of `acked` is there and everything agrees.
    pub(crate) fn check(&mut self, acked: &Acked) {
        for (seq, id) in acked {
            writeln!(self.input, "acked {seq} {id}").unwrap();
        }
        writeln!(self.input, "check").unwrap();
        assert!(self.until("checked"), "the check failed; run the child by hand to see why");
    }

    /// Lets its writers write so many events each, or until they fail.
    pub(crate) fn append(&mut self, each: u32) -> Run {
        writeln!(self.input, "append {each}").unwrap();
        self.run(usize::MAX)
    }

    /// Lets its writers write without an end, and kills it when `count` events have been acknowledged.
    pub(crate) fn append_and_kill(mut self, count: usize) -> Run {
        writeln!(self.input, "append {}", u32::MAX).unwrap();
        let mut run = self.run(count);
        self.process.kill();
        // What it had said before it died.
        run.acked.extend(self.run(usize::MAX).acked);
        run
    }

    fn run(&mut self, acked_max: usize) -> Run {
        let mut run = Run::default();
        while run.acked.len() < acked_max {
            let Some(Ok(line)) = self.output.next() else { break };
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["acked", seq, id] => {
                    // The last line before a kill may be cut off.
                    if let (Ok(seq), Some(id)) = (seq.parse(), EventId::parse(id)) {
                        run.acked.insert(seq, id);
                    }
                }
                ["failed", error] => run.errors.push(error.to_owned()),
                ["done", fenced] => {
                    run.fenced = fenced == "true";
                    break;
                }
                _ => {}
            }
        }
        run
    }

    fn until(&mut self, wanted: &str) -> bool {
        self.output.by_ref().map_while(Result::ok).any(|line| line.ends_with(wanted))
    }
}

/// The child's end. Called as a test it does the same work in a directory of its own.
#[tokio::test]
async fn store() {
    if let Some(path) = std::env::var_os(PATH) {
        let Ok(db) = Db::open_sqlite(&path, tenfold_testkit::sealer()).await else { return };
        println!("\nopened");
        return obey(&db, path.as_ref(), std::io::stdin().lines().map_while(Result::ok)).await;
    }
    let db = tenfold_testkit::temp_db().await;
    obey(&db, &db.path(), ["append 3", "check"].into_iter().map(str::to_owned)).await;
    assert_eq!(db.read(tenfold_store::events::last_seq).await.unwrap(), 3 * WRITERS);
}

async fn obey(db: &Db, path: &Path, lines: impl Iterator<Item = String>) {
    let mut acked = Acked::new();
    for line in lines {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["acked", seq, id] => drop(acked.insert(seq.parse().unwrap(), EventId::parse(id).unwrap())),
            ["check"] => {
                check(db, &acked).await;
                check_file(path);
                println!("checked");
            }
            ["append", each] => {
                write(db, each.parse().unwrap()).await;
                println!("done {}", db.fenced());
            }
            _ => panic!("unknown command: {line}"),
        }
    }
}

async fn write(db: &Db, each: u32) {
    let last = db.read(tenfold_store::events::last_seq).await.unwrap();
    // No two runs draw the same ids: each starts behind what is there.
    let entropy = TestEntropy::seeded(last.unsigned_abs() << 32 | u64::from(std::process::id()));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (db, entropy) = (db.clone(), entropy.clone());
        writers.spawn(async move {
            for _ in 0..each {
                let entropy = entropy.clone();
                match db.write(move |tx| append(tx, writer, &entropy)).await {
                    Ok((seq, id)) => println!("acked {seq} {id}"),
                    Err(error) => {
                        let shown = format!("{error:?}");
                        println!("failed {}", shown.split('(').next().unwrap());
                        return;
                    }
                }
            }
        });
    }
    writers.join_all().await;
}
