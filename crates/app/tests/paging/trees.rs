//! Over trees of routes, receivers and alerts that dice make: the incidents that are foretold of an alert are those that it
//! has, and the pages of new ones are those that come.
//!
//! `SEEDS` and `SEED` as in `foretold`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tenfold_app::alerts::{Asked, Question};
use tenfold_app::{Caller, Role};
use tenfold_testkit::TestEntropy;
use tenfold_types::Labels;

use crate::foretold::{came, pages_of, seeds};
use crate::receivers::{pages, routes};
use crate::world::{World, caller, from};

const ALERTS: u64 = 4;
/// Every policy has run out by then.
const PATIENCE_S: i64 = 400;

/// Times are multiples of the five seconds in which the world moves.
fn route(dice: &TestEntropy, depth: u64) -> Value {
    let groups = [json!([]), json!(["service"]), json!(["alertname"]), json!(["team", "service"]), json!(["..."])];
    let mut route = json!({
        "receiver": format!("r{}", dice.below(5)),
        "group_by": groups[dice.below(5) as usize].clone(),
        "group_wait": format!("{}s", 5 * dice.below(4)),
        "group_interval": format!("{}s", 5 * (1 + dice.below(6))),
    });
    if depth < 3 {
        let children = if depth == 0 { 3 } else { dice.below(3) };
        let list: Vec<Value> = (0..children).map(|_| child(dice, depth + 1)).collect();
        route["routes"] = list.into();
    }
    route
}

fn child(dice: &TestEntropy, depth: u64) -> Value {
    let matchers = [json!([]), json!(["team=\"a\""]), json!(["service=\"photos\""]), json!(["service=\"\""])];
    let mut route = route(dice, depth);
    route["matchers"] = matchers[dice.below(4) as usize].clone();
    route["continue"] = (dice.below(2) == 0).into();
    route
}

fn labels(dice: &TestEntropy, number: u64) -> Labels {
    let pick = |from: &[&str]| from[dice.below(from.len() as u64) as usize].to_owned();
    let labels = [
        ("alertname", format!("A{}", number / 2)),
        ("instance", number.to_string()),
        ("service", pick(&["photos", "search", ""])),
        ("team", pick(&["a", "b"])),
        ("severity", pick(&["critical", "warning"])),
        ("page", pick(&["true", "true", "", "false"])),
    ];
    Labels::from_pairs(labels)
}

async fn history(seed: u64) {
    let w = World::new(seed).await;
    let dice = TestEntropy::seeded(seed.wrapping_mul(31));
    pages(&w, "db", "mei").await;
    pages(&w, "default", "raj").await;
    let receivers = json!([
        {"name": "r0", "policy": "photos"},
        {"name": "r1", "policy": "db", "pages": "all"},
        {"name": "r2", "policy": "missing"},
        {"name": "r3", "quiet": true},
        {"name": "r4", "policy": "default", "pages": "all"},
    ]);
    let routing = json!({"route": route(&dice, 0), "receivers": receivers});
    routes(&w, &routing).await;
    w.tick().await;
    for number in 0..ALERTS {
        let labels = labels(&dice, number);
        let before: BTreeSet<i64> = w.states().await.into_keys().collect();
        let question = Question { labels: Asked::Labels(labels.clone()), at: None };
        let told = w.app.alert_simulate(question).await.expect("it is foretold");
        let alert = from(json!({"labels": &labels, "endsAt": w.clock_now().plus_ms(86_400_000)}));
        w.app.alerts_receive(&Caller::system(), vec![alert]).await.expect("it is taken");
        w.tick().await;
        w.pass(PATIENCE_S).await;

        let place = format!("seed {seed}, alert {number} {labels}: {routing}");
        let foretold: Vec<_> = told.incident.iter().chain(&told.further).collect();
        let known: BTreeSet<i64> = foretold.iter().filter_map(|i| i.number).collect();
        let mut opened: Vec<_> = foretold.iter().filter(|i| i.verdict == "opened").map(|i| pages_of(i)).collect();
        let view = w.app.alert_get(&told.explanation.fingerprint.text()).await.expect("it fires");
        let mine: BTreeSet<i64> = view.incident.into_iter().chain(view.further_incidents).collect();
        let joined: BTreeSet<i64> = mine.intersection(&before).copied().collect();
        assert_eq!(joined, known, "{place}");
        let mut new = Vec::new();
        for incident in mine.difference(&before) {
            new.push(came(&w.app.pages(Some(*incident)).await.expect("pages")));
        }
        opened.sort();
        new.sort();
        assert_eq!(new, opened, "{place}");
        let all: BTreeMap<i64, String> = w.states().await;
        assert_eq!(all.keys().filter(|n| !before.contains(n)).count(), opened.len(), "{place}");
        let open = all.iter().rev().find(|(_, state)| *state == "open").filter(|_| dice.below(2) == 0);
        if let Some((incident, _)) = open {
            w.app.incident_acknowledge(&caller("ana", Role::Responder), *incident).await.expect("acknowledged");
        }
    }
}

#[tokio::test]
async fn the_incidents_that_are_foretold_are_those_that_come() {
    for seed in seeds() {
        history(seed).await;
    }
}
