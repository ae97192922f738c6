//! `tenfold alerts refused`: requests of alerts that were kept aside are listed, tried once more and forgotten.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::sync::Arc;

use bench::{Bench, code, err, text};
use serde_json::{Value, json};
use tenfold_store::{Db, Sealer, StoreError, alert_inbox};
use tenfold_testkit::TestEntropy;
use tenfold_types::Timestamp;

/// How many are listed at most.
const LISTED: usize = 100;

/// The database of the server, which goes on beside it.
async fn database(b: &Bench) -> Db {
    let data = b.dir.path().join("data");
    let keys = std::fs::read_to_string(data.join("sealing-keys")).unwrap();
    let sealer = Sealer::read(&keys, "the server's keys", Arc::new(TestEntropy::default())).unwrap();
    Db::open_sqlite(data.join("state.db"), sealer).await.unwrap()
}

/// A server that is set up, and its database.
async fn set_up() -> (Bench, Db) {
    let b = Bench::start();
    b.set_up();
    let db = database(&b).await;
    (b, db)
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

/// As the node that takes alerts keeps a request aside.
async fn keep_aside(db: &Db, body: String, came: Timestamp, why: &'static str) {
    let kept = db.write(move |tx| {
        let id = alert_inbox::put(tx, &body, came)?;
        alert_inbox::refuse(tx, id, came.plus_ms(1_000), why)
    });
    kept.await.unwrap();
}

/// A request with one alert of each name.
fn posted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let alert = |name: &str| json!({"labels": {"alertname": name, "service": "photos"}});
    json!({"posted": names.into_iter().map(alert).collect::<Vec<_>>()}).to_string()
}

fn json_of(b: &Bench, args: &[&str]) -> Value {
    let out = b.run(args);
    assert_eq!(code(&out), 0, "{}", err(&out));
    serde_json::from_slice(&out.stdout).expect("--json is JSON and nothing else")
}

async fn count(db: &Db) -> (i64, i64) {
    let read = db.read(|tx| Ok::<_, StoreError>((alert_inbox::refused_count(tx)?, alert_inbox::waiting(tx)?.requests)));
    read.await.unwrap()
}

#[tokio::test]
async fn where_everything_was_taken_nothing_is_listed() {
    let b = Bench::start();
    b.set_up();
    let none = b.run(&["alerts", "refused"]);
    assert_eq!((code(&none), text(&none)), (0, String::new()), "{}", err(&none));
    assert!(err(&none).contains("everything was taken"), "{}", err(&none));
    assert_eq!(json_of(&b, &["alerts", "refused", "--json"]), json!({"items": [], "total": 0}));
    for settle in ["--again", "--forget"] {
        assert_eq!(
            json_of(&b, &["alerts", "refused", settle, "--json"]),
            json!({"requests": 0, "over": 0}),
            "{settle}"
        );
    }
    let both = b.run(&["alerts", "refused", "--again", "--forget"]);
    assert_eq!((code(&both), text(&both)), (2, String::new()), "{}", err(&both));
    for kind in ["alert.refused_again", "alert.refused_forgotten"] {
        let events = json_of(&b, &["events", "--kind", kind, "--json"]);
        assert_eq!(events["items"], json!([]), "nothing has changed");
    }
}

#[tokio::test]
async fn what_was_kept_aside_is_listed_with_its_reason_and_settled_by_who_may() {
    let (b, db) = set_up().await;
    let came = at("2026-11-23T09:12:30Z");
    keep_aside(&db, posted(["Late", "Full"]), came, "the store is broken").await;
    let many: Vec<String> = (1..=12).map(|n| format!("Disk{n}")).collect();
    keep_aside(&db, posted(many.iter().map(String::as_str)), came.plus_ms(60_000), "the store is broken").await;
    let labels = json!({"alertname": "Backup", "service": "photos"});
    let said = json!({"key": "db1", "state": "firing", "labels": labels, "annotations": {}});
    let keyed = json!({"keyed": {"label": "alert_source", "value": "nightly", "said": [said]}}).to_string();
    keep_aside(&db, keyed, came.plus_ms(120_000), "no such source").await;
    keep_aside(&db, "{\"by\": \"nobody\"}".to_owned(), came.plus_ms(180_000), "it cannot be read").await;

    let listed = b.run(&["alerts", "refused"]);
    assert_eq!(code(&listed), 0, "{}", err(&listed));
    let ten = many[..10].join(", ");
    let wanted = [
        "2026-11-23 09:15 UTC  0 alerts (): it cannot be read".to_owned(),
        "2026-11-23 09:14 UTC  1 alerts (Backup): no such source".to_owned(),
        format!("2026-11-23 09:13 UTC  12 alerts ({ten}): the store is broken"),
        "2026-11-23 09:12 UTC  2 alerts (Late, Full): the store is broken".to_owned(),
    ];
    assert_eq!(text(&listed).lines().collect::<Vec<_>>(), wanted, "the newest first");
    assert!(!err(&listed).contains("newest"), "that is all of them: {}", err(&listed));

    let all = json_of(&b, &["alerts", "refused", "--json"]);
    assert_eq!((&all["total"], all["items"].as_array().unwrap().len()), (&json!(4), 4), "{all}");
    let oldest = &all["items"][3];
    assert_eq!((&oldest["alerts"], &oldest["total"]), (&json!(["Late", "Full"]), &json!(2)));
    assert_eq!((&oldest["tries"], &oldest["why"]), (&json!(1), &json!("the store is broken")));
    let read = |name: &str| at(oldest[name].as_str().unwrap());
    assert_eq!((read("at"), read("refused_at")), (came, came.plus_ms(1_000)));

    // Who only looks may list them, and no more.
    let token = text(&b.run(&["token", "create", "eyes", "--role", "viewer"]));
    let viewer = [("TENFOLD_TOKEN", token.trim()), ("TENFOLD_URL", b.url.as_str())];
    let seen = b.run_with(&["alerts", "refused"], &viewer, "");
    assert_eq!((code(&seen), text(&seen)), (0, text(&listed)), "{}", err(&seen));
    for settle in ["--again", "--forget"] {
        let refused = b.run_with(&["alerts", "refused", settle], &viewer, "");
        assert_eq!((code(&refused), text(&refused)), (3, String::new()), "{settle}: {}", err(&refused));
    }
    assert_eq!(count(&db).await, (4, 0), "nothing has changed");

    let again = b.run(&["alerts", "refused", "--again"]);
    assert_eq!((code(&again), text(&again).trim()), (0, "4 requests are tried once more"), "{}", err(&again));
    assert_eq!(count(&db).await, (0, 4), "they wait again");
    assert_eq!(text(&b.run(&["alerts", "refused"])), "");
    let events = json_of(&b, &["events", "--kind", "alert.refused_again", "--json"]);
    let event = &events["items"][0];
    assert_eq!((&event["actor"]["id"], &event["data"]["requests"]), (&json!("ana"), &json!(4)), "{events}");
}

#[tokio::test]
async fn what_is_over_by_now_is_not_tried_once_more_and_that_is_said() {
    let (b, db) = set_up().await;
    let came = at("2020-01-01T09:00:00Z");
    let alert =
        |name: &str, ends_at: &str| json!({"labels": {"alertname": name, "service": "photos"}, "endsAt": ends_at});
    let (past, to_come) = ("2020-01-01T09:05:00Z", "2999-01-01T00:00:00Z");
    let both = json!({"posted": [alert("Late", past), alert("Full", to_come)]}).to_string();
    keep_aside(&db, both, came, "the store is broken").await;
    keep_aside(&db, json!({"posted": [alert("Gone", past)]}).to_string(), came, "the store is broken").await;
    let again = b.run(&["alerts", "refused", "--again"]);
    assert_eq!((code(&again), text(&again).trim()), (0, "1 requests are tried once more"), "{}", err(&again));
    assert!(err(&again).contains("without 2 alerts that are over"), "{}", err(&again));
    assert_eq!(count(&db).await, (0, 1), "what is left of the first waits");
    let kept = db.read(|tx| alert_inbox::due(tx, 0, Timestamp(i64::MAX), 9)).await.unwrap();
    assert!(kept[0].body.contains("Full") && !kept[0].body.contains("Late"), "{}", kept[0].body);
    let events = json_of(&b, &["events", "--kind", "alert.refused_again", "--json"]);
    assert_eq!((&events["items"][0]["data"]["requests"], &events["items"][0]["data"]["over"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn of_many_the_newest_are_listed_and_all_are_forgotten() {
    let (b, db) = set_up().await;
    let came = at("2026-11-23T09:12:30Z");
    let filled = db.write(move |tx| {
        for n in 0..LISTED + 3 {
            let id = alert_inbox::put(tx, &posted([format!("Late{n}").as_str()]), came)?;
            alert_inbox::refuse(tx, id, came, "the store is broken")?;
        }
        Ok::<_, StoreError>(())
    });
    filled.await.unwrap();
    let listed = b.run(&["alerts", "refused"]);
    let (lines, said) = (text(&listed), err(&listed));
    assert_eq!((code(&listed), lines.lines().count()), (0, LISTED), "{said}");
    assert!(lines.starts_with("2026-11-23 09:12 UTC  1 alerts (Late102)"), "{lines}");
    assert!(said.contains("the newest 100 of 103 requests; --again and --forget are about all of them"), "{said}");
    let forgotten = b.run(&["alerts", "refused", "--forget"]);
    let answer = (code(&forgotten), text(&forgotten));
    assert_eq!(answer, (0, "103 requests are forgotten\n".to_owned()), "{}", err(&forgotten));
    assert_eq!(count(&db).await, (0, 0));
    let events = json_of(&b, &["events", "--kind", "alert.refused_forgotten", "--json"]);
    assert_eq!(events["items"][0]["data"]["requests"], json!(103), "{events}");
}
