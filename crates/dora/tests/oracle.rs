//! The figures against a second, slow and literal reading of the definitions, over random histories; and one history by
//! hand from the events to the sentence.

use proptest::prelude::*;
use serde_json::json;
use tenfold_dora::{Cause, Commit, Deploy, Facts, Incident, Outcome, Query, facts_from_events, figures};
use tenfold_types::{Actor, Entropy, Event, EventDraft, EventId, Source, Timestamp};

fn median(mut values: Vec<i64>) -> Option<f64> {
    values.sort_unstable();
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[n / 2] as f64),
        n => Some((values[n / 2 - 1] + values[n / 2]) as f64 / 2.0),
    }
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => (a - b).abs() < 1e-6,
        _ => false,
    }
}

fn deploys() -> impl Strategy<Value = Vec<Deploy>> {
    let commit = (0_u8..12, 0_i64..500, 0_u8..4);
    let one = (
        0_u8..2,
        prop::collection::vec(commit, 0..4),
        0_u8..4,
        0_i64..1_000,
        0_i64..100,
        prop::option::weighted(0.3, 1_i64..8),
        prop::option::weighted(0.2, 1_i64..4),
    );
    prop::collection::vec(one, 0..10).prop_map(|list| {
        list.into_iter()
            .enumerate()
            .map(|(i, (service, commits, outcome, finished, took, reverts, fixes))| Deploy {
                number: i as i64 + 1,
                service: format!("s{service}"),
                environment: "production".to_owned(),
                commit_count: commits.len(),
                commits: commits
                    .into_iter()
                    .map(|(sha, at, author)| Commit {
                        sha: format!("c{sha}"),
                        at: Timestamp(at),
                        author: Some(format!("p{author}")),
                    })
                    .collect(),
                outcome: [Outcome::Succeeded, Outcome::RolledBack, Outcome::CanaryStopped, Outcome::NotShipped]
                    [outcome as usize],
                production_at: (outcome != 3).then_some(Timestamp(finished - took)),
                finished_at: (outcome != 3).then_some(Timestamp(finished)),
                rollback: reverts.is_some(),
                reverts: reverts.filter(|r| *r != i as i64 + 1),
                fixes,
                seq: 100 + i as i64,
            })
            .collect()
    })
}

fn incidents() -> impl Strategy<Value = Vec<Incident>> {
    let one = (0_u8..3, 1_i64..8, prop::collection::vec(1_i64..8, 0..3), prop::option::of(0_i64..2_000));
    prop::collection::vec(one, 0..4).prop_map(|list| {
        list.into_iter()
            .enumerate()
            .map(|(i, (cause, deploy, suspects, end))| Incident {
                number: i as i64 + 1,
                cause: [Cause::Deploy(deploy), Cause::Other, Cause::Unknown][cause as usize],
                suspects,
                resolved_at: end.map(Timestamp),
                seq: 200 + i as i64,
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agree_with_the_literal_reading(
        deploys in deploys(),
        incidents in incidents(),
        from in 0_i64..600,
        length in 1_i64..800,
        only in prop::option::of(0_u8..2),
        canary_stopped in any::<bool>(),
    ) {
        let to = from + length;
        let facts = Facts { deploys, incidents };
        let query = Query {
            from: Timestamp(from),
            to: Timestamp(to),
            service: only.map(|s| format!("s{s}")),
            environment: "production".to_owned(),
            canary_stopped,
        };
        let found = figures(&facts, &query);

        let here = |d: &&Deploy| match &query.service { Some(s) => d.service == *s, None => true };
        let inside = |d: &&Deploy| match d.finished_at { Some(t) => t.0 >= from && t.0 < to, None => false };
        let mut shipped = vec![];
        for d in facts.deploys.iter().filter(here).filter(inside) {
            if d.rollback || d.outcome == Outcome::NotShipped { continue }
            if d.outcome == Outcome::CanaryStopped && !canary_stopped { continue }
            shipped.push(d);
        }
        prop_assert_eq!(found.deploys.n, shipped.len());
        prop_assert_eq!(found.changes, shipped.iter().map(|d| d.commits.len()).sum::<usize>());

        let mut failed = 0;
        let mut maybe = 0;
        let mut recoveries = vec![];
        let mut open = 0;
        for d in &shipped {
            let mut ends = vec![];
            let mut bad = false;
            if d.outcome != Outcome::Succeeded { bad = true; ends.push(d.finished_at.unwrap().0); }
            for r in &facts.deploys {
                if r.reverts == Some(d.number) {
                    bad = true;
                    if r.outcome == Outcome::Succeeded { ends.push(r.finished_at.unwrap().0); }
                }
            }
            let mut suspected = false;
            for i in &facts.incidents {
                if i.cause == Cause::Deploy(d.number) {
                    bad = true;
                    if let Some(t) = i.resolved_at { ends.push(t.0); }
                }
                if i.cause == Cause::Unknown && i.suspects.first() == Some(&d.number) { suspected = true; }
            }
            if bad {
                failed += 1;
                let start = if d.outcome == Outcome::Succeeded { d.finished_at } else { d.production_at };
                match ends.iter().min() {
                    Some(end) => recoveries.push((end - start.unwrap().0).max(0)),
                    None => open += 1,
                }
            } else if suspected {
                maybe += 1;
            }
        }
        let rate = |part: usize| if shipped.is_empty() { None } else { Some(part as f64 / shipped.len() as f64) };
        prop_assert!(close(found.change_fail_rate.value, rate(failed)));
        prop_assert!(found.change_fail_rate.value.is_none_or(|v| v <= 1.0));
        let upper = if maybe > 0 { rate(failed + maybe) } else { None };
        prop_assert!(close(found.change_fail_rate.upper, upper));
        prop_assert_eq!(found.recovery_ms.n, recoveries.len());
        prop_assert!(close(found.recovery_ms.value, median(recoveries)));
        prop_assert_eq!(found.recovery_ms.open, open);

        // A commit's first deploy is the earliest that succeeded with it, by end and then by number.
        let mut leads = vec![];
        let good: Vec<&Deploy> = facts.deploys.iter().filter(here)
            .filter(|d| !d.rollback && d.outcome == Outcome::Succeeded).collect();
        for d in &good {
            for (position, c) in d.commits.iter().enumerate() {
                let repeated = d.commits[..position].iter().any(|other| other.sha == c.sha);
                let earlier = good.iter().any(|o| {
                    o.service == d.service && (o.finished_at, o.number) < (d.finished_at, d.number)
                        && o.commits.iter().any(|x| x.sha == c.sha)
                });
                if inside(d) && !repeated && !earlier { leads.push((d.finished_at.unwrap().0 - c.at.0).max(0)); }
            }
        }
        prop_assert_eq!(found.lead_time_ms.n, leads.len());
        prop_assert!(close(found.lead_time_ms.value, median(leads)));

        let rollbacks = facts.deploys.iter().filter(here).filter(inside)
            .filter(|d| d.rollback && d.outcome == Outcome::Succeeded).count();
        let hotfixes = shipped.iter().filter(|d| d.fixes.is_some()).count();
        let all = shipped.len() + rollbacks;
        let rework = if all == 0 { None } else { Some((rollbacks + hotfixes) as f64 / all as f64) };
        prop_assert!(close(found.rework_rate.value, rework));
    }
}

struct Zero;
impl Entropy for Zero {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn event(seq: i64, minute: i64, draft: EventDraft) -> Event {
    let at = Timestamp(minute * 60_000);
    Event {
        seq,
        id: EventId::new(at, &Zero),
        occurred_at: at,
        recorded_at: at,
        actor: draft.actor,
        on_behalf_of: None,
        kind: draft.kind,
        subject: draft.subject,
        severity: draft.severity,
        text: draft.text,
        data: draft.data,
        correlation: None,
        causation: None,
        source: draft.source,
        visibility: draft.visibility,
        prev_hash: String::new(),
        hash: String::new(),
    }
}

fn deploy(seq: i64, minute: i64, number: i64, what: &str, data: serde_json::Value) -> Event {
    let draft = EventDraft::new(Actor::person("ana"), Source::Web, format!("deploy.{what}"), "")
        .service("photos")
        .environment("production")
        .deploy(number)
        .data(data);
    event(seq, minute, draft)
}

#[test]
fn from_events_to_the_sentence() {
    let commit = |sha: &str, author: &str| json!({"sha": sha, "at": "1970-01-01T00:00:00Z", "author": author});
    let events = [
        deploy(1, 1, 1, "queued", json!({"commits": [commit("a", "ana"), commit("b", "mei")], "commit_count": 2})),
        deploy(2, 2, 1, "canary_started", json!({})),
        deploy(3, 3, 1, "promoting", json!({})),
        deploy(4, 4, 1, "succeeded", json!({})),
        deploy(5, 5, 2, "queued", json!({"commits": [commit("c", "ana")]})),
        deploy(6, 6, 2, "succeeded", json!({})),
        deploy(7, 8, 3, "queued", json!({"reverts": 2, "deploy_kind": "rollback"})),
        deploy(8, 9, 3, "rolled_back", json!({"reverts": 2})),
        deploy(9, 10, 4, "queued", json!({"commits": [commit("d", "ana")]})),
        deploy(10, 11, 4, "canary_started", json!({})),
        deploy(11, 12, 4, "rolled_back", json!({"reverts": 4, "automatic": true})),
        event(
            12,
            13,
            EventDraft::new(Actor::system(), Source::System, "incident.opened", "")
                .incident(1)
                .data(json!({"suspects": [{"kind": "deploy", "number": 1}]})),
        ),
    ];
    let query = Query {
        from: Timestamp(0),
        to: Timestamp(3_600_000),
        service: None,
        environment: "production".to_owned(),
        canary_stopped: false,
    };
    let found = figures(&facts_from_events(&events), &query);
    assert_eq!(found.sentence(), "2 deploys of 3 changes by 2 people");
    assert_eq!(found.deploys.events, [4, 6]);
    assert_eq!((found.change_fail_rate.value, found.change_fail_rate.upper), (Some(0.5), Some(1.0)));
    assert_eq!((found.recovery_ms.value, found.recovery_ms.events), (Some(180_000.0), vec![6, 8]));
    assert_eq!((found.lead_time_ms.value, found.lead_time_ms.n), (Some(240_000.0), 3));
    assert_eq!(found.rework_rate.value, Some(1.0 / 3.0));
    assert_eq!(found.canary_stopped, 1);

    let nothing = figures(&Facts::default(), &query);
    assert_eq!(nothing.sentence(), "0 deploys of 0 changes by 0 people");
    for figure in [nothing.change_fail_rate, nothing.recovery_ms, nothing.lead_time_ms, nothing.rework_rate] {
        assert_eq!((figure.value, figure.n), (None, 0), "no data is not a figure");
    }
}

#[test]
fn an_incident_that_opens_again_is_one_and_ends_when_it_ends_for_good() {
    let of = |seq: i64, minute: i64, kind: &str| {
        event(seq, minute, EventDraft::new(Actor::system(), Source::System, kind, "").incident(1))
    };
    let mut events = vec![of(1, 0, "incident.opened"), of(2, 5, "incident.resolved"), of(3, 7, "incident.reopened")];
    let open = facts_from_events(&events).incidents;
    assert_eq!((open.len(), open[0].resolved_at), (1, None));
    events.push(of(4, 20, "incident.resolved"));
    let over = facts_from_events(&events).incidents;
    assert_eq!((over.len(), over[0].resolved_at, over[0].seq), (1, Some(Timestamp(20 * 60_000)), 4));
}
