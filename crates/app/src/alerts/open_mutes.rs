//! The open mutes as they are stored, kept in memory from one step of the pipeline to the next: in a storm of alerts they would
//! else be read for each step, although nobody changed any.
//!
//! What is kept is what [`mutes::open`] would read at that instant. It is dropped before a statement that may change mutes is
//! run, and nothing is kept again before the transaction of that statement has ended: the closure of a transaction is dropped by
//! the writer of the store, after the commit, whatever becomes of who waits for it. Until then mutes are read as they are stored.
//! Only where no other process writes; on a shared database they are read for each step.

use std::sync::Arc;

use parking_lot::Mutex;
use tenfold_alerting::Mute;
use tenfold_types::{Fault, Timestamp};

use super::mutes;
use crate::App;

/// Read again after so long whatever happens, should somebody change the file of the database by hand.
const KEPT_MS_MAX: i64 = 5_000;

#[derive(Debug, Default)]
pub(super) struct OpenMutes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Transactions that may have changed mutes and have perhaps not ended.
    writing: usize,
    /// Counts what may have changed mutes.
    changes: u64,
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// As of when they were read.
    at: Timestamp,
    /// The first of them ends then.
    until: Timestamp,
    mutes: Arc<Vec<Mute>>,
}

impl Kept {
    /// A clock that was set back may bring back a mute that was over.
    fn stands(&self, now: Timestamp) -> bool {
        (0..KEPT_MS_MAX).contains(&now.since_ms(self.at)) && now < self.until
    }
}

impl OpenMutes {
    fn kept(&self, now: Timestamp) -> Option<Arc<Vec<Mute>>> {
        let state = self.0.lock();
        state.kept.as_ref().filter(|kept| kept.stands(now)).map(|kept| Arc::clone(&kept.mutes))
    }

    /// Before mutes are read: what has to be said of them when they are kept. Nothing while they may be about to change.
    fn begun(&self) -> Option<u64> {
        let state = self.0.lock();
        (state.writing == 0).then_some(state.changes)
    }

    /// Keeps what was read at `at`, unless mutes may have changed since `begun`.
    fn keep(&self, begun: u64, at: Timestamp, mutes: &Arc<Vec<Mute>>) {
        let mut state = self.0.lock();
        if state.writing > 0 || state.changes != begun {
            return;
        }
        let until = mutes.iter().map(|mute| mute.spec.ends_at).min().unwrap_or(Timestamp::from_millis(i64::MAX));
        state.kept = Some(Kept { at, until, mutes: Arc::clone(mutes) });
    }
}

/// What one transaction may do to mutes. Lives in the transaction's closure, and ends with it.
#[derive(Debug)]
pub(crate) struct MuteWrites {
    of: Arc<OpenMutes>,
    wrote: bool,
}

impl MuteWrites {
    /// Before a statement is run that is not known to be a mere question.
    pub(crate) fn statement(&mut self, sql: &str) {
        // The name of the table. What else has it in its name is read again without need.
        if !sql.contains("mutes") {
            return;
        }
        let mut state = self.of.0.lock();
        state.kept = None;
        state.changes += 1;
        // It may run again, and counts once.
        if !self.wrote {
            self.wrote = true;
            state.writing += 1;
        }
    }
}

impl Drop for MuteWrites {
    fn drop(&mut self) {
        if self.wrote {
            self.of.0.lock().writing -= 1;
        }
    }
}

impl super::State {
    pub(crate) fn mute_writes(&self) -> MuteWrites {
        MuteWrites { of: Arc::clone(&self.open_mutes), wrote: false }
    }
}

/// The mutes that nobody has ended and that may hold at `now` or later.
pub(super) async fn open(app: &App, now: Timestamp) -> Result<Arc<Vec<Mute>>, Fault> {
    let alone = app.settings.database_url.is_empty();
    let memory = &app.alerts.open_mutes;
    if alone && let Some(kept) = memory.kept(now) {
        return Ok(kept);
    }
    let begun = memory.begun().filter(|_| alone);
    let mutes = Arc::new(app.read(move |tx| mutes::open(tx, now)).await?);
    if let Some(begun) = begun {
        memory.keep(begun, now, &mutes);
    }
    Ok(mutes)
}

#[cfg(test)]
mod tests {
    use tenfold_alerting::parse_matchers;
    use tenfold_testkit::{TempDb, TestClock, TestEntropy, temp_db};

    use super::super::NewMute;
    use super::*;
    use crate::{Caller, settings::Settings};

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn mute(ends_at: Timestamp) -> Mute {
        let spec = tenfold_alerting::MuteSpec {
            kind: tenfold_alerting::MuteKind::Silence,
            matchers: parse_matchers("service=photos").unwrap(),
            author: "raj".to_owned(),
            reason: "it is moved".to_owned(),
            starts_at: NOW.plus_ms(-1_000),
            ends_at,
            recurs: Vec::new(),
            deploy: None,
        };
        Mute::new("1".to_owned(), spec).unwrap()
    }

    fn read(of: &OpenMutes, at: Timestamp, ends_at: Timestamp) {
        let begun = of.begun().unwrap();
        of.keep(begun, at, &Arc::new(vec![mute(ends_at)]));
    }

    fn writes(of: &Arc<OpenMutes>) -> MuteWrites {
        MuteWrites { of: Arc::clone(of), wrote: false }
    }

    #[test]
    fn they_are_kept_until_one_ends_or_time_is_over_or_goes_back() {
        let of = OpenMutes::default();
        assert!(of.kept(NOW).is_none());
        read(&of, NOW, NOW.plus_ms(3_000));
        assert_eq!(of.kept(NOW).unwrap().len(), 1);
        assert!(of.kept(NOW.plus_ms(2_999)).is_some() && of.kept(NOW.plus_ms(3_000)).is_none());
        assert!(of.kept(NOW.plus_ms(-1)).is_none());
        read(&of, NOW, NOW.plus_ms(90_000));
        assert!(of.kept(NOW.plus_ms(KEPT_MS_MAX - 1)).is_some() && of.kept(NOW.plus_ms(KEPT_MS_MAX)).is_none());
    }

    #[test]
    fn nothing_is_kept_from_a_change_to_the_end_of_its_transaction() {
        let of = Arc::new(OpenMutes::default());
        let ends_at = NOW.plus_ms(90_000);
        read(&of, NOW, ends_at);
        let (mut first, mut second) = (writes(&of), writes(&of));
        first.statement("UPDATE alerts SET state = $1");
        assert!(of.kept(NOW).is_some());
        // One that is read at the same time may be from before the change.
        let begun = of.begun().unwrap();
        first.statement("UPDATE mutes SET ended_at = $2 WHERE id = $1");
        assert!(of.kept(NOW).is_none() && of.begun().is_none());
        of.keep(begun, NOW, &Arc::new(Vec::new()));
        assert!(of.kept(NOW).is_none());
        // The transaction runs again, and another one runs.
        first.statement("UPDATE mutes SET ended_at = $2 WHERE id = $1");
        second.statement("UPDATE mutes SET body = $2 WHERE id = $1");
        drop(first);
        assert!(of.begun().is_none());
        drop(second);
        of.keep(begun, NOW, &Arc::new(Vec::new()));
        assert!(of.kept(NOW).is_none(), "it was begun before");
        read(&of, NOW, ends_at);
        assert_eq!(of.kept(NOW).unwrap().len(), 1);
    }

    struct Node {
        app: App,
        _db: TempDb,
        _dir: tempfile::TempDir,
    }

    impl Node {
        async fn start(database_url: &str) -> Self {
            let (db, dir) = (temp_db().await, tempfile::tempdir().unwrap());
            let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
            settings.database_url = database_url.to_owned();
            let metrics = crate::metrics::State::open(&settings).unwrap();
            let (clock, entropy) = (Arc::new(TestClock::default()), Arc::new(TestEntropy::default()));
            let app = App::new((*db).clone(), clock, entropy, settings, metrics);
            Self { app, _db: db, _dir: dir }
        }

        async fn open(&self) -> Vec<String> {
            let mutes = open(&self.app, self.app.now()).await.unwrap();
            mutes.iter().map(|mute| mute.id.clone()).collect()
        }

        /// Whether they are in memory, once they have been read.
        async fn keeps(&self) -> bool {
            self.open().await;
            self.app.alerts.open_mutes.kept(self.app.now()).is_some()
        }

        fn new_mute(&self) -> NewMute {
            NewMute::from_text("service=photos", "it is moved", self.app.now().plus_ms(600_000))
        }

        /// Another transaction, so that all before it have ended.
        async fn settle(&self) {
            self.app.housekeeping(|_| Ok(())).await.unwrap();
        }
    }

    #[tokio::test]
    async fn every_change_of_mutes_counts_at_once() {
        let node = Node::start("").await;
        crate::load(&node.app).await.unwrap();
        assert!(node.keeps().await);
        assert_eq!(node.open().await, Vec::<String>::new());
        let who = Caller::system();
        let first = node.app.mute_create(&who, node.new_mute()).await.unwrap();
        assert_eq!(node.open().await, [first.id.to_string()]);
        node.settle().await;
        assert!(node.keeps().await);
        // Nobody waits for the answer of this one.
        {
            let mut made = std::pin::pin!(node.app.mute_create(&who, node.new_mute()));
            tokio::select! {
                biased;
                _ = &mut made => {}
                () = std::future::ready(()) => {}
            }
        }
        node.settle().await;
        assert_eq!(node.open().await.len(), 2);
        node.settle().await;
        assert!(node.keeps().await);
        let refused = node.app.transact(|t| {
            let now = t.now();
            tenfold_store::alerts::mute_end(t.tx(), 1, now)?;
            Err::<(), _>(Fault::invalid("it is taken back"))
        });
        refused.await.unwrap_err();
        node.settle().await;
        assert_eq!(node.open().await.len(), 2);
        assert!(node.keeps().await, "a change that was taken back holds nothing up");
    }

    #[tokio::test]
    async fn on_a_shared_database_nothing_is_kept() {
        let node = Node::start("postgres://another/database").await;
        assert!(!node.keeps().await);
    }
}
