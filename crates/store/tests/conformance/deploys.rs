//! Services, deploys, artifacts, hosts and locks.

use tenfold_store::{
    Db,
    deploys::{self, DeployQuery, DeployRow, DeployStep, HostRow, LockRow},
};

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    services_and_artifacts(db).await;
    a_deploy_goes_on_until_it_is_final(db).await;
    what_was_taken_back_is_not_healthy(db).await;
    what_runs_is_the_newest_that_succeeded(db).await;
    hosts_come_and_go(db).await;
    locks_end(db).await;
    trains_come_and_go(db).await;
}

async fn trains_come_and_go(db: &Db) {
    for body in ["{}", "{\"a\":1}"] {
        write(db, move |tx| deploys::train_put(tx, "photos", "production", Some(body))).await;
    }
    assert_eq!(read(db, |tx| deploys::train_get(tx, "photos", "production")).await.as_deref(), Some("{\"a\":1}"));
    assert_eq!(read(db, |tx| deploys::train_get(tx, "photos", "staging")).await, None);
    assert_eq!(read(db, deploys::trains).await.len(), 1);
    write(db, |tx| deploys::train_put(tx, "photos", "production", None)).await;
    assert!(read(db, deploys::trains).await.is_empty());
}

fn row(number: i64, state: &str, reverts: Option<i64>) -> DeployRow {
    DeployRow {
        number,
        service: "photos".into(),
        environment: "production".into(),
        state: state.into(),
        kind: if reverts.is_some() { "rollback".into() } else { "deploy".into() },
        is_final: state == "succeeded",
        sha: format!("{number:040}"),
        digest: (state == "succeeded").then(|| format!("digest {number}")),
        reverts,
        started_at: NOW.plus_ms(number),
        finished_at: None,
        body: "{}".into(),
        run: "{}".into(),
    }
}

async fn services_and_artifacts(db: &Db) {
    write(db, |tx| deploys::service_put(tx, "photos", "{}")).await;
    write(db, |tx| deploys::service_put(tx, "photos", "{\"a\":1}")).await;
    assert_eq!(read(db, deploys::services).await, [("photos".to_owned(), "{\"a\":1}".to_owned())]);
    assert_eq!(read(db, |tx| deploys::service_get(tx, "x")).await, None);
    assert!(write(db, |tx| deploys::service_delete(tx, "photos")).await);
    assert!(!write(db, |tx| deploys::service_delete(tx, "photos")).await);
    for digest in ["d1", "d2"] {
        write(db, move |tx| deploys::artifact_put(tx, "photos", "sha", "recipe", digest, NOW)).await;
    }
    let found = read(db, |tx| deploys::artifact_get(tx, "photos", "sha", "recipe")).await;
    assert_eq!(found.as_deref(), Some("d2"));
    assert_eq!(read(db, |tx| deploys::artifact_get(tx, "photos", "sha", "other")).await, None);
}

async fn a_deploy_goes_on_until_it_is_final(db: &Db) {
    write(db, |tx| deploys::deploy_insert(tx, &row(1, "queued", None))).await;
    let open = read(db, |tx| deploys::deploy_unfinished(tx, "photos", "production")).await;
    assert_eq!(open, Some(row(1, "queued", None)));
    assert_eq!(read(db, |tx| deploys::deploy_unfinished(tx, "photos", "staging")).await, None);
    let step = DeployStep {
        state: "succeeded".into(),
        is_final: true,
        digest: Some("digest 1".into()),
        finished_at: Some(NOW),
        run: "{\"done\":true}".into(),
    };
    let again = step.clone();
    assert!(write(db, move |tx| deploys::deploy_step(tx, 1, &step)).await);
    assert!(!write(db, move |tx| deploys::deploy_step(tx, 1, &again)).await, "it is final");
    let done = read(db, |tx| deploys::deploy_get(tx, 1)).await.unwrap();
    assert_eq!((done.state.as_str(), done.finished_at, done.run.as_str()), ("succeeded", Some(NOW), "{\"done\":true}"));
}

async fn what_was_taken_back_is_not_healthy(db: &Db) {
    for (number, state, reverts) in [(2, "succeeded", None), (3, "failed", None), (4, "succeeded", Some(2))] {
        write(db, move |tx| deploys::deploy_insert(tx, &row(number, state, reverts))).await;
    }
    let healthy = read(db, |tx| deploys::deploys_healthy(tx, "photos", "production", 99, 10)).await;
    assert_eq!(healthy.iter().map(|d| d.number).collect::<Vec<_>>(), [4, 1]);
    for (number, passed) in [(1, true), (2, false), (3, false), (4, true)] {
        let sha = format!("{number:040}");
        let found = read(db, move |tx| deploys::deploy_healthy_of(tx, "photos", "production", &sha)).await;
        assert_eq!(found.is_some(), passed, "{number}");
    }
    assert_eq!(read(db, |tx| deploys::deploy_reverted_by(tx, 2)).await, Some(4));
    assert_eq!(read(db, |tx| deploys::deploy_reverted_by(tx, 1)).await, None);
    let query = DeployQuery { before: Some(4), limit: 2, ..DeployQuery::default() };
    let listed = read(db, move |tx| deploys::deploys(tx, &query)).await;
    assert_eq!(listed.iter().map(|d| d.number).collect::<Vec<_>>(), [3, 2]);
    let query = DeployQuery {
        state: Some("failed".into()),
        service: Some("photos".into()),
        limit: 9,
        ..DeployQuery::default()
    };
    assert_eq!(read(db, move |tx| deploys::deploys(tx, &query)).await.len(), 1);
    let query = DeployQuery { kind: Some("rollback".into()), limit: 9, ..DeployQuery::default() };
    let rollbacks = read(db, move |tx| deploys::deploys(tx, &query)).await;
    assert_eq!(rollbacks.iter().map(|d| d.number).collect::<Vec<_>>(), [4]);
    // From an instant on, and before one.
    let (since, until) = (Some(NOW.plus_ms(2)), Some(NOW.plus_ms(4)));
    let query = DeployQuery { since, until, limit: 9, ..DeployQuery::default() };
    let between = read(db, move |tx| deploys::deploys(tx, &query)).await;
    assert_eq!(between.iter().map(|d| d.number).collect::<Vec<_>>(), [3, 2]);
    // Those that came after one, from the first on.
    let after = read(db, |tx| deploys::deploys_after(tx, "photos", "production", 1, 2)).await;
    assert_eq!(after.iter().map(|d| d.number).collect::<Vec<_>>(), [2, 3]);
    assert!(read(db, |tx| deploys::deploys_after(tx, "photos", "moon", 0, 9)).await.is_empty());
}

async fn what_runs_is_the_newest_that_succeeded(db: &Db) {
    for (number, environment, state, ended_ms) in [
        (10, "staging", "succeeded", Some(10)),
        (11, "staging", "succeeded", Some(20)),
        (12, "staging", "failed", Some(30)),
        (13, "moon", "succeeded", Some(-5)),
        (14, "moon", "canary", None),
    ] {
        let finished_at = ended_ms.map(|ms| NOW.plus_ms(ms));
        let new = DeployRow { environment: environment.into(), finished_at, ..row(number, state, None) };
        write(db, move |tx| deploys::deploy_insert(tx, &new)).await;
    }
    assert_eq!(read(db, |tx| deploys::deploys_newest(tx, NOW.plus_ms(-5))).await, [1, 11, 13]);
    assert_eq!(read(db, |tx| deploys::deploys_newest(tx, NOW.plus_ms(1))).await, [11]);
    assert!(read(db, |tx| deploys::deploys_newest(tx, NOW.plus_ms(21))).await.is_empty());
    assert_eq!(read(db, |tx| deploys::deploys_ended(tx, NOW.plus_ms(20))).await, [11, 12]);
    write(db, |tx| deploys::deploy_insert(tx, &row(15, "failed", Some(11)))).await;
    write(db, |tx| deploys::deploy_insert(tx, &row(16, "succeeded", Some(11)))).await;
    let tries = read(db, |tx| deploys::deploy_rollbacks(tx, 11)).await;
    assert_eq!(tries.iter().map(|d| d.number).collect::<Vec<_>>(), [16, 15]);
}

async fn hosts_come_and_go(db: &Db) {
    let host = |connected, ms| HostRow {
        name: "host-1".into(),
        environment: "production".into(),
        connected,
        last_seen: NOW.plus_ms(ms),
        body: "{}".into(),
    };
    assert!(!write(db, move |tx| deploys::host_put(tx, &host(true, 0))).await, "it is new");
    assert!(write(db, move |tx| deploys::host_put(tx, &host(true, 1))).await);
    assert!(write(db, |tx| deploys::host_gone(tx, "host-1", NOW)).await);
    assert!(!write(db, |tx| deploys::host_gone(tx, "host-1", NOW)).await);
    assert_eq!(read(db, deploys::hosts).await, [host(false, 0)]);
    assert!(write(db, |tx| deploys::host_delete(tx, "host-1")).await);
    assert!(read(db, deploys::hosts).await.is_empty());
}

async fn locks_end(db: &Db) {
    let lock = |id: &str, minutes: i64| LockRow {
        id: id.into(),
        service: "photos".into(),
        environment: "production".into(),
        created_at: NOW,
        expires_at: NOW.plus_ms(minutes * 60_000),
        released_at: None,
        body: "{}".into(),
    };
    let (a, b) = (lock("a", 10), lock("b", 20));
    write(db, move |tx| deploys::lock_insert(tx, &a)).await;
    write(db, move |tx| deploys::lock_insert(tx, &b)).await;
    assert_eq!(read(db, |tx| deploys::locks_open(tx, NOW)).await.len(), 2);
    assert!(write(db, |tx| deploys::lock_release(tx, "b", NOW)).await);
    assert!(!write(db, |tx| deploys::lock_release(tx, "b", NOW)).await);
    assert_eq!(read(db, |tx| deploys::locks_open(tx, NOW)).await, [lock("a", 10)]);
    assert!(read(db, |tx| deploys::locks_open(tx, NOW.plus_ms(600_000))).await.is_empty(), "it expired");
    assert!(!write(db, |tx| deploys::lock_release(tx, "a", NOW.plus_ms(600_000))).await);
    assert!(read(db, |tx| deploys::lock_get(tx, "b")).await.unwrap().released_at.is_some());
}
