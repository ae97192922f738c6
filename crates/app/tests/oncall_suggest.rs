//! Who is suggested for a stretch of a schedule.

mod common;

use serde_json::json;
use tenfold_app::oncall::{ScheduleUpdate, SuggestAsk};
use tenfold_app::people::{PersonKind, PersonUpdate};
use tenfold_app::{Caller, Grant, Role};
use tenfold_types::{Actor, Source};

const HOUR_MS: i64 = 3_600_000;

fn ana() -> Caller {
    Caller {
        actor: Actor::person("ana"),
        name: "Ana".into(),
        source: Source::Web,
        grants: vec![Grant::everywhere(Role::Responder)],
    }
}

#[tokio::test]
async fn who_is_gone_is_not_suggested_though_they_have_had_least() {
    let (world, system) = (common::world().await, Caller::system());
    for login in ["ana", "mei", "raj"] {
        let person =
            PersonUpdate { kind: Some(PersonKind::Operator), role: Some(Role::Responder), ..PersonUpdate::default() };
        world.app.person_put(&system, login, person).await.unwrap();
    }
    let plan = json!({
        "timezone": "UTC",
        "rotation": {"people": ["ana", "mei", "raj"], "start": "2026-11-23T00:00:00", "shift_length": "1w"},
    });
    let plan: ScheduleUpdate = serde_json::from_value(plan).unwrap();
    world.app.schedule_put(&system, "web", plan).await.unwrap();
    let now = world.app.now();
    let ask = SuggestAsk { start: now.plus_ms(HOUR_MS), end: now.plus_ms(2 * HOUR_MS) };
    let suggested = async || {
        let suggestion = world.app.suggest(&ana(), "web", ask).await.unwrap();
        suggestion.person.map(|person| person.login)
    };
    assert_eq!(suggested().await.as_deref(), Some("mei"), "Ana has it then, and nobody else has had anything");
    let gone = PersonUpdate { disabled: Some(true), ..PersonUpdate::default() };
    world.app.person_put(&system, "mei", gone).await.unwrap();
    assert_eq!(suggested().await.as_deref(), Some("raj"));
}
