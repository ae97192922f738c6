//! What waits keeps its place, goes once, and each service and environment has a queue of its own.

use tenfold_store::Db;
use tenfold_store::deploy_queue::{self as queue, QueuedRow};
use tenfold_store::deploys::{self, DeployRow};

use crate::{NOW, read, write};

fn row(id: i64, environment: &str, actor: &str) -> QueuedRow {
    QueuedRow {
        id,
        service: "photos".into(),
        environment: environment.into(),
        origin: "ask".into(),
        actor_kind: "person".into(),
        actor: actor.into(),
        name: actor.into(),
        source: "cli".into(),
        reference: Some("main".into()),
        sha: format!("sha {id}"),
        reason: None,
        after_deploy: None,
        not_before: None,
        asked_at: NOW,
    }
}

pub async fn run(db: &Db) {
    let later = QueuedRow { not_before: Some(NOW.plus_ms(5)), after_deploy: Some(4), ..row(2, "production", "raj") };
    for row in [row(1, "production", "ana"), later.clone(), row(3, "staging", "ana")] {
        write(db, move |tx| queue::put(tx, &row)).await;
    }
    let production = read(db, |tx| queue::of(tx, "photos", "production")).await;
    assert_eq!(production, [row(1, "production", "ana"), later]);
    assert_eq!(read(db, queue::all).await.len(), 3);
    let again = QueuedRow { sha: "newer".into(), ..row(1, "production", "ana") };
    write(db, move |tx| queue::put(tx, &again)).await;
    assert_eq!(read(db, |tx| queue::of(tx, "photos", "production")).await[0].sha, "newer", "it keeps its place");
    assert!(!write(db, |tx| queue::take(tx, 1, "sha 1")).await, "it waits with another commit by now");
    assert!(write(db, |tx| queue::take(tx, 1, "newer")).await);
    assert!(!write(db, |tx| queue::take(tx, 1, "newer")).await, "it goes once");
    assert_eq!(read(db, |tx| queue::get(tx, 3)).await.map(|row| row.environment), Some("staging".to_owned()));

    assert_eq!(read(db, |tx| queue::passed(tx, "photos", "production")).await, 0);
    for number in [4, 9] {
        write(db, move |tx| queue::passed_put(tx, "photos", "production", number)).await;
    }
    assert_eq!(read(db, |tx| queue::passed(tx, "photos", "production")).await, 9);

    assert_eq!(read(db, |tx| queue::last_ended(tx, "photos", "production")).await, None);
    for (number, state, ended) in [(1, "succeeded", true), (2, "failed", true), (3, "canary", false)] {
        let new = DeployRow {
            number,
            service: "photos".into(),
            environment: "production".into(),
            state: state.into(),
            kind: "deploy".into(),
            is_final: ended,
            sha: "a".into(),
            digest: None,
            reverts: None,
            started_at: NOW,
            finished_at: ended.then(|| NOW.plus_ms(number)),
            body: "{}".into(),
            run: "{}".into(),
        };
        write(db, move |tx| deploys::deploy_insert(tx, &new)).await;
    }
    let last = read(db, |tx| queue::last_ended(tx, "photos", "production")).await;
    assert_eq!(last, Some((2, "deploy".into(), "failed".into(), NOW.plus_ms(2))));
}
