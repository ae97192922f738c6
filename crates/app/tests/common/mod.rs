//! An application on a temporary store, with a clock that the test moves.

use std::sync::Arc;

use tenfold_app::{App, Settings};
use tenfold_testkit::{TempDb, TestClock, TestEntropy, temp_db};

pub struct World {
    pub app: App,
    pub clock: TestClock,
    pub _db: TempDb,
    pub _dir: tempfile::TempDir,
}

pub async fn world() -> World {
    let dir = tempfile::tempdir().expect("a temporary directory");
    open(dir, temp_db().await, TestClock::default()).await
}

/// A process on a store that may have been another's before.
pub async fn open(dir: tempfile::TempDir, db: TempDb, clock: TestClock) -> World {
    open_with(dir, db, clock, |_| {}).await
}

/// The same with other settings.
pub async fn open_with(
    dir: tempfile::TempDir,
    db: TempDb,
    clock: TestClock,
    change: impl FnOnce(&mut Settings),
) -> World {
    let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    change(&mut settings);
    let metrics = tenfold_app::metrics::State::open(&settings).expect("an empty time-series store opens");
    let app = App::new((*db).clone(), Arc::new(clock.clone()), Arc::new(TestEntropy::default()), settings, metrics);
    tenfold_app::load(&app).await.expect("an empty store loads");
    let world = World { app, clock, _db: db, _dir: dir };
    assert_eq!(world.app.now(), tenfold_types::Clock::now(&world.clock), "the application lives in the test's time");
    world
}
