//! What hangs waits behind what hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tenfold_alerting::checks::CheckStatus::{Critical as C, Ok as O};
use tenfold_app::Caller;
use tenfold_app::checks::{CheckRunner, Ran, Run};
use tokio::sync::Semaphore;

use crate::common::world;
use crate::{plugin, spec};

/// Holds every look of the plugin `hangs` until the test lets it go.
struct Holds {
    gate: Semaphore,
    held: AtomicUsize,
    others: Mutex<Vec<String>>,
}

#[async_trait]
impl CheckRunner for Holds {
    async fn run(&self, what: &Run, _: Duration) -> Ran {
        match what {
            Run::Plugin(argv) if argv[0] == "hangs" => {
                self.held.fetch_add(1, Ordering::SeqCst);
                self.gate.acquire().await.expect("it stays open").forget();
                self.held.fetch_sub(1, Ordering::SeqCst);
                Ran { status: C, output: b"no answer".to_vec() }
            }
            Run::Plugin(argv) => {
                self.others.lock().push(argv[0].clone());
                Ran { status: O, output: Vec::new() }
            }
            other => {
                self.others.lock().push(other.kind().to_owned());
                Ran { status: O, output: Vec::new() }
            }
        }
    }
}

impl Holds {
    async fn held(&self, count: usize) {
        let waiting = async {
            while self.held.load(Ordering::SeqCst) != count {
                tokio::task::yield_now().await;
            }
        };
        let held = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        held.unwrap_or_else(|_| panic!("{} looks are held, not {count}", self.held.load(Ordering::SeqCst)));
    }

    async fn looked(&self, name: &str) {
        let waiting = async {
            while !self.others.lock().iter().any(|other| other == name) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it is looked at beside what hangs");
    }
}

#[tokio::test]
async fn what_hangs_waits_behind_what_hangs_and_nothing_else_does() {
    let world = world().await;
    let app = &world.app;
    let holds = Arc::new(Holds { gate: Semaphore::new(0), held: AtomicUsize::default(), others: Mutex::default() });
    app.set_check_runner(holds.clone());
    for n in 0..300 {
        app.check_put(&Caller::system(), &format!("h{n}"), spec(plugin("hangs"))).await.expect("put");
    }
    let tcp = serde_json::json!({"run": {"tcp": {"address": "127.0.0.1:1"}}, "interval": "10s"});
    app.check_put(&Caller::system(), "web", spec(tcp)).await.expect("put");
    world.clock.advance_ms(10_000);
    app.checks_tick().await.expect("a tick");
    // As many plugins as the setting permits; what starts none does not wait for them.
    holds.held(256).await;
    holds.looked("tcp").await;
    // They take the ten seconds they have; those that waited do not.
    world.clock.advance_ms(10_000);
    holds.gate.add_permits(300);
    app.checks_settle().await;
    world.clock.advance_ms(4_000);
    app.checks_tick().await.expect("a tick");
    holds.held(32 + 44).await;
    app.check_put(&Caller::system(), "other", spec(plugin("other"))).await.expect("put");
    app.check_now(&Caller::system(), "other").await.expect("planned");
    app.checks_tick().await.expect("a tick");
    holds.looked("other").await;
    holds.held(32 + 44).await;
    holds.gate.add_permits(300);
    app.checks_settle().await;
    assert_eq!(holds.held.load(Ordering::SeqCst), 0);
}
