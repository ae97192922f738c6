//! What a guard calls people for, beside an incident that is open already.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use common::World;
use serde_json::json;
use tenfold_app::flags::{FlagUpdate, RampStart};
use tenfold_app::people::{Contact, PersonKind, PersonUpdate};
use tenfold_app::{Caller, Role};
use tenfold_tsdb::Sample;
use tenfold_types::Labels;

const PLACE: &str = "production";

fn start(severity: &str, for_ms: i64) -> RampStart {
    serde_json::from_value(json!({
        "steps": [{"percent": 1, "hold_ms": 600_000}, {"percent": 100, "hold_ms": 60_000}],
        "guard": {
            "expr": "errors", "condition": {"threshold": {"op": "<", "value": 0.05}}, "for_ms": for_ms, "readings_min": 2,
            "incident": true, "severity": severity, "service": "photos",
        },
    }))
    .unwrap()
}

/// Lets so many looks pass, five seconds each, with the same value.
async fn looks(world: &World, count: usize, value: f64) {
    for _ in 0..count {
        world.clock.advance_ms(5_000);
        let labels = Labels::from_pairs([(Labels::NAME, "errors")]);
        world.app.metrics.append(&[Sample::new(labels, world.app.now().millis(), value)]).unwrap();
        world.app.flag_guards_look().await;
        world.app.flag_ramps_step().await;
        world.app.alerts_tick().await.unwrap();
        world.app.incidents_tick().await.unwrap();
    }
}

/// The rounds of its pages.
async fn rounds(world: &World) -> Vec<i64> {
    world.app.pages(Some(1)).await.unwrap().iter().map(|page| page.round).collect()
}

#[tokio::test]
async fn who_was_told_of_less_is_paged_when_it_gets_critical() {
    let (world, system) = (common::world().await, Caller::system());
    let ana = PersonUpdate {
        name: Some("Ana".to_owned()),
        kind: Some(PersonKind::Developer),
        role: Some(Role::Responder),
        contact: Some(Contact { email: "ana@example.org".to_owned(), ..Contact::default() }),
        ..PersonUpdate::default()
    };
    world.app.person_put(&system, "ana", ana).await.unwrap();
    let step = json!({"delay_ms": 3_600_000, "targets": [{"kind": "person", "name": "ana"}]});
    let policy = serde_json::from_value(json!({"steps": [step], "repeat": 0})).unwrap();
    world.app.policy_put(&system, "default", policy).await.unwrap();
    for (flag, severity, for_ms) in [("slow", "warning", 0), ("broken", "critical", 15_000)] {
        world.app.flag_put(&system, flag, FlagUpdate::default()).await.unwrap();
        world.app.flag_ramp_start(&system, flag, PLACE, start(severity, for_ms)).await.unwrap();
    }
    looks(&world, 3, 0.01).await;
    looks(&world, 1, 0.2).await;
    assert_eq!(world.app.incident(1).await.unwrap().severity, "warning");
    assert_eq!(rounds(&world).await.len(), 1);
    looks(&world, 5, 0.2).await;
    assert_eq!(world.app.incident(1).await.unwrap().severity, "critical");
    assert_eq!(world.app.incidents_open().await.unwrap().len(), 1, "it is the same trouble");
    let mut rounds = rounds(&world).await;
    rounds.sort_unstable();
    assert_eq!(rounds.len(), 2, "{rounds:?}");
    assert!(rounds[0] < rounds[1], "a round of its own");
}
