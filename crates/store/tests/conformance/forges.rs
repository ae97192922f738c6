//! Deliveries that count once, and words that go out in their order.

use tenfold_store::deploys::{self, DeployRow};
use tenfold_store::forges::{self, OutboxRow};
use tenfold_store::{Db, Tx};
use tenfold_types::Timestamp;

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    deliveries(db).await;
    outbox(db).await;
}

async fn deliveries(db: &Db) {
    let take = |forge: &'static str, digest: &'static str, id: Option<&'static str>| {
        write(db, move |tx| forges::delivery_take(tx, forge, digest, id, NOW))
    };
    assert!(take("hub", "a", Some("1")).await);
    assert!(!take("hub", "a", Some("1")).await, "the same");
    assert!(!take("hub", "a", Some("2")).await, "the same content under another id");
    assert!(!take("hub", "b", Some("1")).await, "the same id with other content");
    assert!(take("lab", "a", Some("1")).await, "another forge");
    assert!(take("hub", "c", None).await && take("hub", "d", None).await, "no ids are not the same id");
    assert_eq!(write(db, |tx| forges::deliveries_prune(tx, NOW)).await, 0);
    assert_eq!(write(db, |tx| forges::deliveries_prune(tx, NOW.plus_ms(1))).await, 4);
    surplus(db).await;
}

/// The newest of each sender stay, and what came lately in any case.
async fn surplus(db: &Db) {
    for n in 0..6 {
        let taken = move |tx: &mut dyn Tx, forge: &str| {
            forges::delivery_take(tx, forge, &format!("digest {n}"), None, NOW.plus_ms(n))
        };
        assert!(write(db, move |tx| taken(tx, "hub")).await);
        assert!(n >= 2 || write(db, move |tx| taken(tx, "lab")).await);
    }
    let forget = |newest, before| write(db, move |tx| forges::deliveries_surplus(tx, newest, before));
    assert_eq!(forget(6, NOW.plus_ms(99)).await, 0);
    assert_eq!(forget(3, NOW).await, 0, "all of them came lately");
    assert_eq!(forget(3, NOW.plus_ms(1)).await, 1);
    assert_eq!(forget(3, NOW.plus_ms(99)).await, 2, "of the one that has more");
    assert_eq!(forget(3, NOW.plus_ms(99)).await, 0);
    let again =
        |n: i64| write(db, move |tx| forges::delivery_take(tx, "hub", &format!("digest {n}"), None, NOW.plus_ms(n)));
    assert!(!again(3).await && again(2).await);
    assert_eq!(write(db, |tx| forges::deliveries_prune(tx, NOW.plus_ms(99))).await, 6);
}

async fn outbox(db: &Db) {
    let row = |seq, deploy, next_at: Timestamp| OutboxRow {
        forge: "hub".into(),
        seq,
        part: 0,
        deploy,
        body: "{}".into(),
        attempts: 0,
        created_at: NOW,
        next_at,
    };
    for row in [row(1, 7, NOW.plus_ms(9)), row(2, 7, NOW), row(3, 8, NOW.plus_ms(1)), row(1, 7, NOW)] {
        write(db, move |tx| forges::outbox_put(tx, &row)).await;
    }
    let heads = |db: &Db| {
        let db = db.clone();
        async move {
            let rows = read(&db, |tx| forges::outbox_heads(tx, "hub", 9)).await;
            rows.iter().map(|r| r.seq).collect::<Vec<_>>()
        }
    };
    let other = OutboxRow { forge: "lab".into(), ..row(1, 7, NOW) };
    write(db, move |tx| forges::outbox_put(tx, &other)).await;
    assert_eq!(read(db, forges::outbox_receivers).await, ["hub", "lab"]);
    assert_eq!(read(db, |tx| forges::outbox_heads(tx, "lab", 1)).await.len(), 1, "each receiver has its own places");
    assert_eq!(heads(db).await, [3, 1], "the first word of each deploy, the sooner due first");
    write(db, |tx| forges::outbox_again(tx, "hub", 3, 0, NOW.plus_ms(20))).await;
    let all = read(db, |tx| forges::outbox_heads(tx, "hub", 9)).await;
    assert_eq!((all[1].seq, all[1].attempts, all[1].next_at), (3, 1, NOW.plus_ms(20)));
    let second = OutboxRow { part: 1, body: "[]".into(), ..row(1, 7, NOW) };
    for _ in 0..2 {
        let second = second.clone();
        write(db, move |tx| forges::outbox_put(tx, &second)).await;
    }
    assert_eq!(write(db, |tx| forges::outbox_delete(tx, "hub", 1, 0)).await, 1);
    let all = read(db, |tx| forges::outbox_heads(tx, "hub", 9)).await;
    assert_eq!((all.len(), &all[0]), (2, &second), "the second word of an event comes before the next event");
    write(db, |tx| forges::outbox_again(tx, "hub", 1, 1, NOW.plus_ms(1))).await;
    assert_eq!(write(db, |tx| forges::outbox_delete(tx, "hub", 1, 1)).await, 1);
    assert_eq!(heads(db).await, [2, 3]);
    assert_eq!(read(db, |tx| forges::remote(tx, "hub", 7)).await, None);
    for number in ["4", "5"] {
        write(db, move |tx| forges::remote_put(tx, "hub", 7, number)).await;
    }
    assert_eq!(read(db, |tx| forges::remote(tx, "hub", 7)).await.as_deref(), Some("5"));
    beside(db).await;
}

/// Whose place a deploy takes: of its own service and environment, of those that got there, the newest with numbers.
async fn beside(db: &Db) {
    let row = |number: i64, service: &str, environment: &str, state: &str| DeployRow {
        number,
        service: service.into(),
        environment: environment.into(),
        state: state.into(),
        kind: "deploy".into(),
        is_final: true,
        sha: "4f2c91a".into(),
        digest: None,
        reverts: None,
        started_at: NOW,
        finished_at: Some(NOW),
        body: "{}".into(),
        run: "{}".into(),
    };
    for (row, numbered) in [
        (row(901, "thumbs", "staging", "succeeded"), true),
        (row(902, "thumbs", "production", "succeeded"), true),
        (row(903, "search", "staging", "succeeded"), true),
        (row(904, "thumbs", "staging", "failed"), true),
        (row(905, "thumbs", "staging", "succeeded"), false),
        (row(906, "thumbs", "staging", "succeeded"), true),
    ] {
        let (number, remote) = (row.number, format!("r{}", row.number));
        write(db, move |tx| deploys::deploy_insert(tx, &row)).await;
        if numbered {
            write(db, move |tx| forges::remote_put(tx, "hub", number, &remote)).await;
        }
    }
    let at = |forge: &'static str, number| async move {
        let found = read(db, move |tx| forges::beside(tx, forge, number, 2)).await;
        let before: Vec<i64> = found.before.iter().map(|(deploy, _)| *deploy).collect();
        assert!(found.before.iter().all(|(deploy, remote)| *remote == format!("r{deploy}")), "{:?}", found.before);
        (before, found.replaced)
    };
    assert_eq!(at("hub", 906).await, (vec![901], false), "of another place, failed and unnumbered are none");
    assert_eq!(at("hub", 905).await, (vec![901], true));
    assert_eq!(at("hub", 901).await, (vec![], true));
    assert_eq!(at("hub", 903).await, (vec![], false));
    assert_eq!(at("lab", 906).await, (vec![], false), "numbers are each forge's own");
    assert_eq!(at("hub", 999).await, (vec![], false));
    for number in [907, 908] {
        let row = row(number, "thumbs", "staging", "succeeded");
        write(db, move |tx| deploys::deploy_insert(tx, &row)).await;
        write(db, move |tx| forges::remote_put(tx, "hub", number, &format!("r{number}"))).await;
    }
    assert_eq!(at("hub", 908).await, (vec![907, 906], false), "the newest of them");
    for number in [907, 906] {
        assert_eq!(write(db, move |tx| forges::remote_delete(tx, "hub", number)).await, 1);
    }
    assert_eq!(write(db, |tx| forges::remote_delete(tx, "lab", 901)).await, 0);
    assert_eq!(at("hub", 908).await, (vec![901], false), "what was ended is known no more");
}
