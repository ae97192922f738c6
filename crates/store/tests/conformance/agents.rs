//! Enrolments that are used by one key, certificates that are revoked by host.

use tenfold_store::Db;
use tenfold_store::agents::{self, CertificateRow, EnrolmentRow};

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    enrolments(db).await;
    certificates(db).await;
}

async fn enrolments(db: &Db) {
    let row = |id: &str, minutes: i64| EnrolmentRow {
        id: id.into(),
        secret_hash: format!("hash of {id}"),
        host: format!("host-{id}"),
        environment: "production".into(),
        created_by: "ana".into(),
        created_at: NOW,
        expires_at: NOW.plus_ms(minutes * 60_000),
    };
    for (id, minutes) in [("a", 60), ("b", 1), ("c", 60)] {
        let row = row(id, minutes);
        write(db, move |tx| agents::enrolment_insert(tx, &row)).await;
    }
    let later = NOW.plus_ms(120_000);
    assert_eq!(read(db, move |tx| agents::enrolments(tx, later)).await.len(), 2, "b has run out");
    let find = |hash: &'static str| read(db, move |tx| agents::enrolment_find(tx, hash, later));
    let take = |id: &'static str, key: &'static str| write(db, move |tx| agents::enrolment_use(tx, id, key));
    assert_eq!(find("hash of a").await, Some((row("a", 60), None)));
    assert!(take("a", "key 1").await);
    assert_eq!(find("hash of a").await, Some((row("a", 60), Some("key 1".into()))));
    assert!(take("a", "key 1").await, "the answer was lost");
    assert!(!take("a", "key 2").await, "used by another key");
    assert_eq!(read(db, move |tx| agents::enrolments(tx, later)).await.len(), 1, "what was used does not wait");
    assert_eq!(find("hash of b").await, None, "too late");
    assert_eq!(find("hash of d").await, None, "never made");
    assert_eq!(write(db, |tx| agents::enrolment_delete(tx, "c")).await, Some("host-c".into()));
    assert_eq!(write(db, |tx| agents::enrolment_delete(tx, "c")).await, None);
    assert_eq!(find("hash of c").await, None, "taken back");

    assert_eq!(write(db, move |tx| agents::enrolments_delete_of(tx, "host-a", later)).await, 0, "none waited");
    assert_eq!(find("hash of a").await, None, "and the used one answers no more");
    let waiting = row("e", 60);
    write(db, move |tx| agents::enrolment_insert(tx, &waiting)).await;
    assert_eq!(write(db, move |tx| agents::enrolments_delete_of(tx, "host-e", later)).await, 1);
    assert_eq!(find("hash of e").await, None);
}

async fn certificates(db: &Db) {
    let row = |fingerprint: &str, host: &str, hours: i64| CertificateRow {
        fingerprint: fingerprint.into(),
        host: host.into(),
        environment: "production".into(),
        issued_at: NOW,
        expires_at: NOW.plus_ms(hours * 3_600_000),
    };
    for (fingerprint, host, hours) in [("1", "web-1", 24), ("2", "web-1", 48), ("3", "web-2", 24)] {
        let row = row(fingerprint, host, hours);
        write(db, move |tx| agents::certificate_insert(tx, &row, NOW.plus_ms(-1))).await;
    }
    let good = |at| async move {
        let rows = read(db, move |tx| agents::certificates(tx, at)).await;
        rows.into_iter().map(|r| r.fingerprint).collect::<Vec<_>>()
    };
    assert_eq!(good(NOW).await, ["1", "2", "3"]);
    assert_eq!(good(NOW.plus_ms(30 * 3_600_000)).await, ["2"]);
    assert!(read(db, |tx| agents::certificate_is_good(tx, "3", NOW)).await);
    assert_eq!(write(db, |tx| agents::certificates_revoke(tx, "web-1", NOW)).await, 2);
    assert_eq!(write(db, |tx| agents::certificates_revoke(tx, "web-1", NOW)).await, 0);
    assert_eq!(good(NOW).await, ["3"]);
    assert!(!read(db, |tx| agents::certificate_is_good(tx, "1", NOW)).await);

    let keep = |newest: &'static str, other: Option<&'static str>| {
        write(db, move |tx| agents::certificates_keep_two(tx, "web-3", newest, other, NOW))
    };
    for (fingerprint, age_ms) in [("5", 3), ("6", 2), ("7", 1), ("8", 0)] {
        let row = CertificateRow { issued_at: NOW.plus_ms(-age_ms), ..row(fingerprint, "web-3", 24) };
        write(db, move |tx| agents::certificate_insert(tx, &row, NOW.plus_ms(-1))).await;
    }
    assert_eq!(keep("8", None).await, 2, "beside the newest the one before it");
    assert_eq!(good(NOW).await, ["3", "8", "7"]);
    let more = row("9", "web-3", 24);
    write(db, move |tx| agents::certificate_insert(tx, &more, NOW.plus_ms(-1))).await;
    assert_eq!(keep("9", Some("7")).await, 1, "beside the newest the one that was shown");
    assert_eq!(keep("9", Some("7")).await, 0);
    assert_eq!(good(NOW).await, ["3", "9", "7"]);
}
