//! Permits through their use cases, with samples in the server's own time-series store and a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use common::World;
use serde_json::json;
use tenfold_app::record::EventQuery;
use tenfold_app::{App, Caller, Grant, Role};
use tenfold_flags::{PermitLaw, Phase};
use tenfold_tsdb::Sample;
use tenfold_types::{Actor, ErrorCode, Labels, Severity, Source};

fn person(role: Role) -> Caller {
    Caller {
        actor: Actor::person("mei"),
        name: "Mei".into(),
        source: Source::Web,
        grants: vec![Grant::everywhere(role)],
    }
}

fn law() -> PermitLaw {
    serde_json::from_value(json!({
        "query": "db_latency", "environment": "production", "limit": 1.0, "resume": 0.5, "floor": 0.1,
        "fail_safe": 0.2, "increase": 0.2, "decrease": 0.5, "interval_ms": 10_000, "settle_ms": 0, "grace_ms": 20_000,
    }))
    .expect("a law")
}

impl World {
    async fn looks(&self, count: usize, signal: Option<f64>) {
        for _ in 0..count {
            self.clock.advance_ms(10_000);
            if let Some(value) = signal {
                let labels = Labels::from_pairs([(Labels::NAME, "db_latency")]);
                self.app.metrics.append(&[Sample::new(labels, self.app.now().millis(), value)]).unwrap();
            }
            self.app.permits_look().await.unwrap();
        }
    }
    fn permit(&self) -> f64 {
        self.app.permit_answer("resize", None).unwrap().permit
    }
}

async fn told(app: &App) -> Vec<(String, Severity)> {
    let query = EventQuery { kinds: vec!["permit.".into()], ascending: true, limit: 100, ..EventQuery::default() };
    app.events(query).await.unwrap().into_iter().map(|e| (e.kind, e.severity)).collect()
}

#[tokio::test]
async fn a_permit_follows_its_signal_and_tells_only_transitions() {
    let world = common::world().await;
    let app = &world.app;
    app.permit_put(&person(Role::Deployer), "resize", law()).await.unwrap();
    assert_eq!(world.permit(), 0.2, "the fail-safe value before the first look");
    world.looks(6, Some(0.1)).await;
    assert_eq!(world.permit(), 1.0);
    world.looks(6, Some(3.0)).await;
    let answer = app.permit_answer("resize", Some("production")).unwrap();
    assert_eq!((answer.permit, answer.phase, answer.ttl_ms), (0.1, Phase::Falling, 20_000));
    world.looks(4, Some(0.1)).await;
    let series = app.metrics.last_values("tenfold_permit");
    let values: Vec<f64> = series.values().copied().collect();
    assert!(values.len() == 1 && (values[0] - world.permit()).abs() < 1e-4, "the value is a series of its own");
    let kinds: Vec<String> = told(app).await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["permit.changed", "permit.to_floor", "permit.back"]);
    assert_eq!(app.permit_answer("resize", Some("staging")).unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test]
async fn without_a_signal_or_without_looks_it_fails_safe() {
    let world = common::world().await;
    let app = &world.app;
    app.permit_put(&person(Role::Deployer), "resize", law()).await.unwrap();
    world.looks(6, Some(0.1)).await;
    // Prometheus' lookback keeps a sample for five minutes; a query that says how old it may be does not.
    let strict = PermitLaw { query: "last_over_time(db_latency[15s])".into(), ..law() };
    app.permit_put(&person(Role::Deployer), "resize", strict).await.unwrap();
    assert_eq!(world.permit(), 1.0, "it goes on from where it stands");
    world.looks(4, None).await;
    assert_eq!(world.permit(), 0.2);
    world.looks(1, Some(0.1)).await;
    let kinds: Vec<String> = told(app).await.into_iter().skip(2).map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["permit.fail_safe", "permit.signal_back"]);
    world.looks(5, Some(0.1)).await;
    assert_eq!(world.permit(), 1.0);
    world.clock.advance_ms(60_000);
    let answer = app.permit_answer("resize", None).unwrap();
    assert_eq!((answer.permit, answer.phase), (0.2, Phase::FailSafe), "nobody looked for a minute");
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stood() {
    let world = common::world().await;
    world.app.permit_put(&person(Role::Deployer), "resize", law()).await.unwrap();
    world.looks(3, Some(0.1)).await;
    let before = world.permit();
    tenfold_app::permits::load(&world.app).await.unwrap();
    assert_eq!((world.permit(), before > 0.5), (before, true));
}

#[tokio::test]
async fn definitions_are_checked_and_guarded() {
    let world = common::world().await;
    let app = &world.app;
    let refused = app.permit_put(&person(Role::Responder), "resize", law()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Forbidden);
    let wrong = PermitLaw { query: "sum(rate(".into(), ..law() };
    assert!(app.permit_put(&person(Role::Deployer), "resize", wrong).await.unwrap_err().message.contains("query"));
    let swings = PermitLaw { resume: 1.0, ..law() };
    assert_eq!(app.permit_put(&person(Role::Deployer), "resize", swings).await.unwrap_err().code, ErrorCode::Invalid);
    let nowhere = PermitLaw { environment: Some("moon".into()), ..law() };
    assert_eq!(app.permit_put(&person(Role::Deployer), "resize", nowhere).await.unwrap_err().code, ErrorCode::NotFound);
    app.permit_put(&person(Role::Deployer), "resize", law()).await.unwrap();
    app.permit_put(&person(Role::Deployer), "resize", law()).await.unwrap();
    assert_eq!(told(app).await.len(), 1, "the same again is not told");
    app.permit_delete(&person(Role::Deployer), "resize").await.unwrap();
    assert_eq!(app.permit_answer("resize", None).unwrap_err().code, ErrorCode::NotFound);
}
