//! The whole service on a temporary store, asked without a socket.

use std::sync::Arc;

use tenfold_app::people::{NewToken, TokenKind};
use tenfold_app::{App, Caller, Role, Settings};
use tenfold_testkit::{TempDb, TestClock, TestEntropy, temp_db};

pub struct World {
    pub app: App,
    pub router: tenfold_http::Front,
    /// Stands still until a test moves it.
    #[allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its part")]
    pub clock: TestClock,
    _db: TempDb,
    _dir: tempfile::TempDir,
}

#[allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its part")]
pub async fn world() -> World {
    world_with(|_| {}).await
}

pub async fn world_with(change: impl FnOnce(&mut Settings)) -> World {
    build(TestClock::default(), change).await
}

/// With a clock that stands later than the real one, for real clients: nothing they send lies ahead.
#[allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its part")]
pub async fn world_ahead(change: impl FnOnce(&mut Settings)) -> World {
    build(TestClock::at_text("2100-01-01T00:00:00Z"), change).await
}

async fn build(clock: TestClock, change: impl FnOnce(&mut Settings)) -> World {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = temp_db().await;
    let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    change(&mut settings);
    let metrics = tenfold_app::metrics::State::open(&settings).expect("an empty time-series store opens");
    let entropy = Arc::new(TestEntropy::default());
    let app = App::new((*db).clone(), Arc::new(clock.clone()), entropy, settings, metrics);
    tenfold_app::load(&app).await.expect("an empty store loads");
    World { router: tenfold_http::router(app.clone()), app, clock, _db: db, _dir: dir }
}

impl World {
    /// The secret of a new token; flag clients read production.
    #[allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its part")]
    pub async fn token(&self, kind: TokenKind, role: Option<Role>) -> String {
        let environment = matches!(kind, TokenKind::Client | TokenKind::Frontend).then(|| "production".to_owned());
        let new = NewToken {
            name: kind.name().into(),
            kind,
            role,
            service: None,
            environment,
            projects: Vec::new(),
            expires_at: None,
        };
        self.app.token_create(&Caller::system(), new).await.expect("a new token").secret
    }
}
