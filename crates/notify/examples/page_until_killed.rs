//! A server that does nothing but page: one rule that always fires, a policy of two steps a second apart. The test
//! `kill` ends it with SIGKILL again and again.
//!
//! `page_until_killed DIR SMTP_PORT`

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tenfold_app::alerts::RuleSource;
use tenfold_app::settings::{Mail, Tls};
use tenfold_app::{App, Settings, metrics};
use tenfold_store::Db;
use tenfold_types::{Clock, Entropy, Labels, Timestamp};
use tokio_util::sync::CancellationToken;

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is a program of its own, which lives in real time")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
        Timestamp(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        use std::io::Read;
        let random = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(bytes));
        random.expect("the kernel has random bytes");
    }
}

struct AlwaysBad;

#[async_trait]
impl RuleSource for AlwaysBad {
    async fn evaluate(&self, _: &str, _: Timestamp) -> Result<Vec<(Labels, f64)>, String> {
        Ok(vec![(Labels::new(), 9.0)])
    }
    fn record(&self, _: Vec<(Labels, f64)>, _: Timestamp) {}
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().expect("usage: page_until_killed DIR SMTP_PORT"));
    let port = arguments.next().and_then(|p| p.parse().ok()).expect("usage: page_until_killed DIR SMTP_PORT");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mail =
        Mail { host: "127.0.0.1".into(), port, tls: Tls::None, from: "tenfold@example.org".into(), ..Mail::default() };
    let settings = Settings { data_dir: dir.clone(), mail, ..Settings::default() };
    let db = Db::open_sqlite(dir.join("state.db"), tenfold_testkit::sealer()).await.expect("the store opens");
    let metrics = metrics::State::open(&settings).expect("the store of samples opens");
    let app = App::new(db, Arc::new(SystemClock), Arc::new(SystemEntropy), settings, metrics);
    tenfold_notify::connect(&app).expect("the channels are set up");
    app.set_rule_source(Arc::new(AlwaysBad));
    tenfold_app::load(&app).await.expect("the state is loaded");
    let stop = CancellationToken::new();
    tokio::join!(
        tenfold_app::record::run(app.clone(), stop.clone()),
        tenfold_app::alerts::run(app.clone(), stop.clone()),
        tenfold_app::incidents::run(app, stop),
    );
}
