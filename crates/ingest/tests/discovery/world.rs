//! An application that scrapes what a configuration file says.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tenfold_app::metrics::TargetStatus;
use tenfold_app::{App, Settings};
use tenfold_promql::{Value, VectorSample};
use tenfold_testkit::{TempDb, TestEntropy, temp_db};
use tenfold_types::{Clock, Timestamp};
use tokio_util::sync::CancellationToken;

const START: Timestamp = Timestamp(1_800_000_000_000);

/// Runs with the real time, from an instant of its own.
struct Running(Instant);

impl Clock for Running {
    fn now(&self) -> Timestamp {
        START.plus_ms(i64::try_from(self.0.elapsed().as_millis()).expect("a short test"))
    }
}

pub struct World {
    pub app: App,
    pub dir: tempfile::TempDir,
    stop: CancellationToken,
    _db: TempDb,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    /// With `prometheus.yml` in a folder of its own.
    pub async fn new(yaml: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let db = temp_db().await;
        std::fs::write(dir.path().join("prometheus.yml"), yaml).expect("the configuration is written");
        let mut settings = Settings { data_dir: dir.path().join("data"), ..Settings::default() };
        settings.statsd.listen = String::new();
        settings.metrics.scrape_config_files = vec![dir.path().join("prometheus.yml")];
        change(&mut settings);
        std::fs::create_dir_all(&settings.data_dir).expect("a folder");
        let metrics = tenfold_app::metrics::State::open(&settings).expect("an empty store opens");
        let clock = Arc::new(Running(Instant::now()));
        let app = App::new((*db).clone(), clock, Arc::new(TestEntropy::default()), settings, metrics);
        tenfold_app::load(&app).await.expect("an empty store loads");
        Self { app, dir, stop: CancellationToken::new(), _db: db }
    }

    pub async fn start(self) -> Self {
        tenfold_ingest::start(&self.app, &self.stop).await.expect("the edge starts");
        self
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("prometheus.yml")
    }

    /// Waits until something can be seen; fails the test when that does not come.
    pub async fn until<T>(&self, what: &str, look: impl Fn(&App) -> Option<T>) -> T {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..600 {
            tick.tick().await;
            if let Some(seen) = look(&self.app) {
                return seen;
            }
        }
        panic!("within 30 s: {what}; {:#?}", self.app.metrics.target_statuses());
    }

    pub async fn targets(&self, what: &str, urls: &[&str]) {
        self.until(what, |app| {
            let mut found: Vec<String> = app.metrics.targets().into_iter().map(|t| t.url).collect();
            found.sort();
            (found == urls).then_some(())
        })
        .await;
    }

    pub fn status(&self, pool: &str) -> TargetStatus {
        let all = self.app.metrics.target_statuses();
        all.into_iter().find(|t| t.pool == pool).unwrap_or_else(|| panic!("a target of {pool}"))
    }

    pub fn vector(&self, expr: &str) -> Vec<VectorSample> {
        match self.app.metrics.query_instant(expr, self.app.now()).expect("the query is right") {
            Value::Vector(v) => v,
            other => panic!("{other:?}"),
        }
    }

    pub fn number(&self, expr: &str) -> Option<f64> {
        self.vector(expr).first().and_then(|s| s.value.float())
    }
}

/// Replaces a file in one step, as whoever writes lists of targets should.
pub fn replace(path: &Path, text: &str) {
    let part = path.with_extension("part");
    std::fs::write(&part, text).expect("it is written");
    std::fs::rename(&part, path).expect("it is put in place");
}
