//! The record: dense, chained, paged, searchable.

use tenfold_store::{
    Db, StoreError, Tx,
    events::{self, EventQuery},
    params,
};
use tenfold_testkit::TestEntropy;
use tenfold_types::{Actor, Event, EventDraft, EventId, Severity, Source};

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    is_dense_under_many_writers(db).await;
    returns_what_was_written(db).await;
    pages_both_ways(db).await;
    filters(db).await;
    search_finds_words(db).await;
    search_follows_the_record(db).await;
    hides_what_is_for_administrators(db).await;
    limits_hold(db).await;
    finds_what_was_recorded_before(db).await;
    writes_many_at_once(db).await;
    verify_detects_tampering(db).await;
}

fn draft(kind: &str, text: &str) -> EventDraft {
    EventDraft::new(Actor::person("ana"), Source::Cli, kind, text)
}

fn append(tx: &mut dyn Tx, entropy: &TestEntropy, draft: &EventDraft) -> Result<Event, StoreError> {
    events::append(tx, NOW, EventId::new(NOW, entropy), draft)
}

async fn record(db: &Db, draft: EventDraft) -> Event {
    static ENTROPY: std::sync::LazyLock<TestEntropy> = std::sync::LazyLock::new(TestEntropy::default);
    write(db, move |tx| append(tx, &ENTROPY, &draft)).await
}

async fn list(db: &Db, query: EventQuery) -> Vec<Event> {
    read(db, move |tx| events::list(tx, &query)).await
}

async fn seqs(db: &Db, query: EventQuery) -> Vec<i64> {
    while query.q.is_some() && write(db, events::index_words).await {}
    list(db, query).await.iter().map(|e| e.seq).collect()
}

async fn is_dense_under_many_writers(db: &Db) {
    let entropy = TestEntropy::seeded(1);
    let mut tasks = Vec::new();
    for n in 0..50_i64 {
        let (db, entropy) = (db.clone(), entropy.clone());
        tasks.push(tokio::spawn(async move {
            for m in 0..3 {
                let (entropy, draft) = (entropy.clone(), draft("deploy.queued", "A deploy was queued").deploy(n));
                let result: Result<Event, StoreError> = db
                    .write(move |tx| {
                        let event = append(tx, &entropy, &draft)?;
                        if m == 1 { Err(StoreError::Closed) } else { Ok(event) }
                    })
                    .await;
                assert_eq!(result.is_ok(), m != 1);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let all = seqs(db, EventQuery { limit: 1_000, ascending: true, ..EventQuery::default() }).await;
    assert_eq!(all, (1..=100).collect::<Vec<_>>());
    assert_eq!(read(db, events::last_seq).await, 100);
    let found = read(db, |tx| events::verify(tx, None, None)).await;
    assert!(found.ok && found.checked == 100, "{found:?}");
}

async fn finds_what_was_recorded_before(db: &Db) {
    let entropy = TestEntropy::seeded(9);
    let last = read(db, events::last_seq).await;
    for n in 1..=5 {
        let entropy = entropy.clone();
        write(db, move |tx| {
            let at = NOW.plus_ms(n * 10);
            events::append(tx, at, EventId::new(at, &entropy), &draft("deploy.queued", "Later"))
        })
        .await;
    }
    for (ms, expected) in [(0, 0), (1, last), (10, last), (11, last + 1), (50, last + 4), (1_000, last + 5)] {
        let found = read(db, move |tx| events::last_before(tx, NOW.plus_ms(ms))).await;
        assert_eq!(found, expected, "{ms} ms later");
    }
}

async fn writes_many_at_once(db: &Db) {
    let last = read(db, events::last_seq).await;
    let nested = (0..100).fold(serde_json::json!(0.1), |inner, _| serde_json::json!([inner]));
    let drafts: Vec<EventDraft> = [
        draft("alert.fired", r#"The first of a storm, with "data":null in it"#)
            .data(serde_json::json!({"value": "1", "list": [1, -2, u64::MAX], "data": null})),
        EventDraft::new(Actor::system(), Source::System, "alert.fired", "The second of a storm"),
        draft("alert.fired", "The third of a storm").data(serde_json::json!({"float": 0.1, "nested": nested})),
    ]
    .into();
    let written = write(db, move |tx| {
        let entropy = TestEntropy::seeded(21);
        let drafts = drafts.iter().map(|draft| (EventId::new(NOW, &entropy), draft.clone())).collect();
        let mut written = events::append_all(tx, NOW, drafts)?;
        assert!(events::append_all(tx, NOW, Vec::new())?.is_empty());
        written.push(append(tx, &entropy, &draft("alert.fired", "And one after the storm"))?);
        Ok(written)
    })
    .await;
    assert_eq!(written.iter().map(|e| e.seq).collect::<Vec<_>>(), (last + 1..=last + 4).collect::<Vec<_>>());
    assert!(written.windows(2).all(|pair| pair[1].prev_hash == pair[0].hash), "they are chained");
    let again = list(db, EventQuery { after: Some(last), ascending: true, ..EventQuery::default() }).await;
    assert_eq!(again, written, "what is read is what was answered");
    assert_eq!(read(db, events::last_seq).await, last + 4);
    let found = seqs(db, EventQuery { q: Some("second of a storm".into()), ..EventQuery::default() }).await;
    assert_eq!(found, [last + 2]);
    let by = |actor: &str| EventQuery { actor: Some(actor.into()), after: Some(last), ..EventQuery::default() };
    assert_eq!(seqs(db, by("tenfold")).await, [last + 2], "the server's own");
    assert_eq!(seqs(db, by("ana")).await, [last + 4, last + 3, last + 1]);
}

async fn returns_what_was_written(db: &Db) {
    let data = serde_json::json!({"b": 1.1, "a": {"nul": "\0", "long": 0.314_159_265_358_979_3}, "list": [null, -0.1, 1e300]});
    let mut draft = draft("flag.switched", "raj switched `new_uploader` on\0")
        .flag("new_uploader")
        .service("photos")
        .environment("production")
        .host("host-1")
        .alert("f00d")
        .incident(3)
        .severity(Severity::Good)
        .correlation("flag:new_uploader")
        .causation(EventId::new(NOW, &TestEntropy::seeded(77)))
        .data(data.clone());
    draft.on_behalf_of = Some(Actor::robot("pipeline"));
    draft.occurred_at = Some(NOW.plus_ms(-5_000));
    let written = record(db, draft).await;
    assert_eq!(written.seq, 101);
    assert_eq!(written.text, "raj switched `new_uploader` on");
    assert_eq!(written.data, data);
    assert_eq!(written.occurred_at, NOW.plus_ms(-5_000));
    assert_eq!(written.on_behalf_of, Some(Actor::robot("pipeline")));
    let again = read(db, |tx| events::get(tx, 101)).await.unwrap();
    assert_eq!(again, written);
    assert_eq!(serde_json::to_string(&again.data).unwrap(), data.to_string(), "keys stay in their order");
    assert_eq!(read(db, |tx| events::get(tx, 102)).await, None);
}

async fn pages_both_ways(db: &Db) {
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = seqs(db, EventQuery { before, limit: 40, ..EventQuery::default() }).await;
        let Some(last) = page.last() else { break };
        before = Some(*last);
        seen.push(page);
    }
    assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [40, 40, 21]);
    assert_eq!(seen.concat(), (1..=101).rev().collect::<Vec<_>>());
    let page = seqs(db, EventQuery { after: Some(98), ascending: true, ..EventQuery::default() }).await;
    assert_eq!(page, [99, 100, 101]);
    assert_eq!(seqs(db, EventQuery::default()).await.len(), events::EVENTS_DEFAULT);
}

async fn filters(db: &Db) {
    let kinds = |kinds: &[&str]| EventQuery {
        kinds: kinds.iter().map(ToString::to_string).collect(),
        limit: 1_000,
        ..EventQuery::default()
    };
    record(db, draft("deployment", "Not a kind with that prefix")).await;
    assert_eq!(seqs(db, kinds(&["deploy."])).await.len(), 100);
    assert_eq!(seqs(db, kinds(&["deploy.queue"])).await.len(), 0);
    assert_eq!(seqs(db, kinds(&["deploy.queued", "flag."])).await.len(), 101);
    let one = |change: fn(&mut EventQuery)| {
        let mut query = EventQuery::default();
        change(&mut query);
        seqs(db, query)
    };
    assert_eq!(one(|q| q.service = Some("photos".into())).await, [101]);
    assert_eq!(one(|q| q.environment = Some("production".into())).await, [101]);
    assert_eq!(one(|q| q.host = Some("host-1".into())).await, [101]);
    assert_eq!(one(|q| q.flag = Some("new_uploader".into())).await, [101]);
    assert_eq!(one(|q| q.alert = Some("f00d".into())).await, [101]);
    assert_eq!(one(|q| q.incident = Some(3)).await, [101]);
    assert_eq!(one(|q| q.correlation = Some("flag:new_uploader".into())).await, [101]);
    assert_eq!(one(|q| q.deploy = Some(7)).await.len(), 2);
    assert_eq!(one(|q| q.actor = Some("raj".into())).await.len(), 0);
    assert_eq!(one(|q| q.to = Some(NOW)).await, [101]);
    assert_eq!(one(|q| (q.from, q.to) = (Some(NOW.plus_ms(-5_000)), Some(NOW.plus_ms(-4_999)))).await, [101]);
    assert_eq!(one(|q| q.from = Some(NOW.plus_ms(1))).await.len(), 0);
}

async fn search_finds_words(db: &Db) {
    let seq = record(db, draft("note.doing", "Rebooting db2: the RAID \"rebuild\" is done, Grüße")).await.seq;
    for q in ["rebooting", "REBOOT", "raid reb", "db2", "\"rebuild\" is", "grüße", "ana note.doing", "raid-rebuild"] {
        let found = seqs(db, EventQuery { q: Some(q.into()), ..EventQuery::default() }).await;
        assert_eq!(found, [seq], "{q}");
    }
    for q in ["rebooting db3", "reboo db2", "", "*", "\"", "' OR 1=1 --"] {
        let found = seqs(db, EventQuery { q: Some(q.into()), ..EventQuery::default() }).await;
        assert!(found.is_empty(), "{q}: {found:?}");
    }
    let q = EventQuery { q: Some("new_uploader".into()), flag: Some("new_uploader".into()), ..EventQuery::default() };
    assert_eq!(seqs(db, q).await, [101]);
    let page = EventQuery { q: Some("deploy queued".into()), before: Some(50), limit: 3, ..EventQuery::default() };
    assert_eq!(seqs(db, page).await, [49, 48, 47]);
}

async fn search_follows_the_record(db: &Db) {
    assert!(!read(db, events::words_missing).await, "all is in it");
    let seq = record(db, draft("note.doing", "A kestrel in the rack")).await.seq;
    let wanted = || EventQuery { q: Some("kestrel".into()), ..EventQuery::default() };
    assert!(list(db, wanted()).await.is_empty() && read(db, events::words_missing).await);
    assert!(!write(db, events::index_words).await, "that was all");
    assert!(!read(db, events::words_missing).await);
    assert!(!write(db, events::index_words).await, "again changes nothing");
    assert_eq!(list(db, wanted()).await.iter().map(|e| e.seq).collect::<Vec<_>>(), [seq]);
}

async fn hides_what_is_for_administrators(db: &Db) {
    let seq = record(db, draft("person.signed_in", "ana signed in").admins_only()).await.seq;
    let kinds = vec!["person.".to_owned()];
    assert!(seqs(db, EventQuery { kinds: kinds.clone(), ..EventQuery::default() }).await.is_empty());
    assert_eq!(seqs(db, EventQuery { kinds, include_admin: true, ..EventQuery::default() }).await, [seq]);
}

async fn limits_hold(db: &Db) {
    let large = serde_json::Value::from("x".repeat(events::DATA_BYTES_MAX));
    let refused = db.write(move |tx| append(tx, &TestEntropy::seeded(9), &draft("note.doing", "x").data(large.clone())));
    assert!(matches!(refused.await, Err(StoreError::Limit { .. })));
    let cut = record(db, draft("note.doing", &"ü".repeat(events::TEXT_BYTES_MAX))).await;
    assert_eq!(cut.text.len(), events::TEXT_BYTES_MAX);
}

async fn verify_detects_tampering(db: &Db) {
    let last = read(db, events::last_seq).await;
    let broken = |sql: &'static str| async move {
        // Everything but the finding is rolled back.
        let found: Result<(), Found> = db
            .write(move |tx| {
                tx.execute(sql, params![])?;
                Err(Found(events::verify(tx, None, None)))
            })
            .await;
        let found = found.expect_err("the closure always refuses").0.expect("verify can read");
        assert!(!found.ok, "{sql}");
        found.first_broken.unwrap()
    };
    assert_eq!(broken("UPDATE events SET text = 'Nothing happened' WHERE seq = 42").await, 42);
    assert_eq!(broken("UPDATE events SET data = '{}' WHERE seq = 101").await, 101);
    assert_eq!(broken("UPDATE events SET actor_id = 'mei' WHERE seq = 1").await, 1);
    assert_eq!(broken("UPDATE events SET severity = 'none' WHERE seq = 2").await, 2);
    assert_eq!(broken("DELETE FROM events WHERE seq = 60").await, 60);
    assert_eq!(broken("UPDATE events SET seq = -1 WHERE seq = 61").await, 61);
    assert_eq!(broken("DELETE FROM events WHERE seq > 90").await, 91);
    assert_eq!(broken("UPDATE counters SET value = 90 WHERE name = 'event'").await, 91);
    let found = read(db, |tx| events::verify(tx, None, None)).await;
    assert!(found.ok && found.checked == last, "{found:?}");
    let found = read(db, |tx| events::verify(tx, Some(50), Some(59))).await;
    assert!(found.ok && found.checked == 10, "{found:?}");
}

/// Carries the finding out of a transaction that is rolled back.
#[derive(Debug)]
struct Found(Result<events::Verification, StoreError>);

impl From<StoreError> for Found {
    fn from(error: StoreError) -> Self {
        Self(Err(error))
    }
}
