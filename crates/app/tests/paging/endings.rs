//! A storm that ends as it began: at once.

use serde_json::json;
use tenfold_app::Role;
use tenfold_app::alerts::PostedAlert;
use tenfold_types::Timestamp;

use crate::world::{World, caller, from};

const MINUTE_MS: i64 = 60_000;
const ALERTS: usize = 300;
const SERVICES: usize = 30;

fn storm(ends: Timestamp) -> Vec<PostedAlert> {
    let posted = |n: usize| {
        let service = format!("s{}", n % SERVICES);
        let labels = json!({"alertname": "Down", "n": n.to_string(), "severity": "critical", "service": service});
        from(json!({"labels": labels, "annotations": {}, "endsAt": ends}))
    };
    (0..ALERTS).map(posted).collect()
}

#[tokio::test]
async fn each_incident_ends_with_the_last_of_its_alerts() {
    let w = World::new(217).await;
    let sender = caller("raj", Role::Admin);
    w.app.alerts_receive(&sender, storm(w.clock_now().plus_ms(30 * MINUTE_MS))).await.expect("it is taken");
    w.tick().await;
    let states = w.states().await;
    assert!(states.len() == SERVICES && states.values().all(|state| state == "open"), "{states:?}");
    let mut over = storm(w.clock_now());
    let last = over.remove(0);
    w.app.alerts_receive(&sender, over).await.expect("all but one are over");
    w.tick().await;
    let open = w.states().await.values().filter(|state| *state == "open").count();
    assert_eq!(open, 1, "one of its alerts goes on");
    w.app.alerts_receive(&sender, vec![last]).await.expect("and that as well");
    w.tick().await;
    assert!(w.states().await.values().all(|state| state == "resolved"));
}
