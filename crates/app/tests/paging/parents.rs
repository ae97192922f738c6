//! A check that nobody hears of any more is down for those that stand behind it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tenfold_app::Caller;
use tenfold_app::checks::{CheckRunner, PassiveResult, Ran, Run};

use crate::world::{World, from};

/// All results come from outside.
struct Idle;

#[async_trait]
impl CheckRunner for Idle {
    async fn run(&self, _: &Run, _: Duration) -> Ran {
        Ran::unknown("nothing is run here")
    }
}

async fn say(w: &World, name: &str, status: &str) {
    let result = PassiveResult { status: status.to_owned(), output: "said".to_owned() };
    w.app.check_passive(&Caller::system(), name, result).await.expect("it is taken");
}

#[tokio::test]
async fn what_stands_behind_a_check_that_falls_silent_is_unreachable_at_once() {
    let w = World::new(470).await;
    w.app.set_check_runner(Arc::new(Idle));
    let switch = json!({"run": {"passive": {}}, "freshness": "1m", "attempts": 1});
    let web = json!({"run": {"passive": {}}, "freshness": "1h", "attempts": 1, "parents": ["switch"]});
    for (name, spec) in [("switch", switch), ("web", web)] {
        w.app.check_put(&Caller::system(), name, from(spec)).await.expect("a check is put");
    }
    say(&w, "switch", "ok").await;
    say(&w, "web", "critical").await;
    let unreachable = || w.app.check("web").expect("it is there").unreachable;
    assert!(!unreachable());
    w.clock.advance_ms(61_000);
    w.app.checks_tick().await.expect("silence is looked for");
    assert!(w.app.check("switch").expect("it is there").stale);
    assert!(unreachable(), "without a result of its own");
    say(&w, "switch", "ok").await;
    assert!(!unreachable());
}
