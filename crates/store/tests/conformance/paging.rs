//! Rules, alerts, mutes, schedules, incidents, pages and their deliveries.

use tenfold_store::{
    Db,
    alerts::{self, AlertRow, MuteRow, RoutingRow, RuleFileRow},
    checks,
    incidents::{self, AttemptRow, DeliveryRow, IncidentRow, NamedMember, PageRow},
    oncall::{self, OverrideRow, SwapRow, VersionRow},
    page_updates::{self, UpdateRow},
};

use tenfold_types::Timestamp;

use crate::{NOW, read, write};

pub async fn run(db: &Db) {
    rules_alerts_and_mutes(db).await;
    there_is_one_routing(db).await;
    a_check_keeps_its_stand(db).await;
    schedules_and_policies(db).await;
    incidents_and_their_alerts(db).await;
    the_last_end_of_a_key_is_kept(db).await;
    a_page_is_decided_once(db).await;
    deliveries_are_claimed_under_an_epoch(db).await;
    the_newest_update_of_a_message_stands(db).await;
}

fn alert(fingerprint: &str, state: &str) -> AlertRow {
    AlertRow {
        fingerprint: fingerprint.into(),
        rule_file: "photos".into(),
        rule_group: "photos".into(),
        rule: "HighErrorRate".into(),
        state: state.into(),
        severity: "critical".into(),
        service: Some("photos".into()),
        environment: None,
        pages: true,
        active_since: NOW,
        ended_at: None,
        incident: None,
        body: "{}".into(),
    }
}

async fn rules_alerts_and_mutes(db: &Db) {
    let file = RuleFileRow { name: "photos".into(), yaml: "a".into(), updated_at: NOW, updated_by: "ana".into() };
    let again = RuleFileRow { yaml: "b".into(), ..file.clone() };
    write(db, move |tx| {
        alerts::rule_file_put(tx, &file)?;
        alerts::rule_file_put(tx, &again)
    })
    .await;
    assert_eq!(read(db, alerts::rule_files).await[0].yaml, "b");
    assert!(write(db, |tx| alerts::rule_file_delete(tx, "photos")).await);
    assert!(!write(db, |tx| alerts::rule_file_delete(tx, "photos")).await);

    write(db, |tx| {
        alerts::put(tx, &alert("a", "pending"))?;
        alerts::put(tx, &AlertRow { incident: Some(3), ..alert("a", "firing") })?;
        alerts::put(tx, &AlertRow { ended_at: Some(NOW), ..alert("b", "resolved") })
    })
    .await;
    let active = read(db, alerts::active).await;
    assert_eq!(active, [AlertRow { incident: Some(3), ..alert("a", "firing") }]);
    let names = |places: Vec<alerts::AlertPlace>| places.into_iter().map(|p| p.fingerprint).collect::<Vec<_>>();
    assert_eq!(names(read(db, alerts::active_places).await), ["a"]);
    assert_eq!(names(read(db, |tx| alerts::ended_places(tx, 10)).await), ["b"]);
    let mut found: Vec<String> = read(db, |tx| alerts::by_fingerprints(tx, &["b", "a", "none"]))
        .await
        .into_iter()
        .map(|row| row.fingerprint)
        .collect();
    found.sort();
    assert_eq!(found, ["a", "b"]);
    assert_eq!(write(db, |tx| alerts::forget_ended(tx, NOW)).await, 0);
    assert_eq!(write(db, |tx| alerts::forget_ended(tx, NOW.plus_ms(1))).await, 1);
    assert_eq!(read(db, |tx| alerts::get(tx, "b")).await, None);

    write(db, |tx| {
        for (fingerprint, body) in
            [("c", r#"{"k":"a_b%","n":null}"#), ("d", r#"{"k":"a_b%","n":1}"#), ("e", r#"{"k":"axb%","n":1}"#)]
        {
            alerts::put(tx, &AlertRow { ended_at: Some(NOW), body: body.into(), ..alert(fingerprint, "resolved") })?;
        }
        alerts::put(tx, &AlertRow { body: r#"{"k":"a_b%","n":1}"#.into(), ..alert("f", "firing") })
    })
    .await;
    let held =
        |group: &'static str| read(db, move |tx| alerts::ended_holding(tx, group, r#""k":"a_b%""#, r#""n":null"#, 10));
    let found = held("photos").await;
    assert_eq!(found.iter().map(|row| row.fingerprint.as_str()).collect::<Vec<_>>(), ["d"]);
    assert!(held("albums").await.is_empty());
    write(db, |tx| {
        alerts::put(tx, &AlertRow { ended_at: Some(NOW), ..alert("f", "resolved") })?;
        alerts::forget_ended(tx, NOW.plus_ms(1))
    })
    .await;

    let mute = MuteRow { id: 1, expires_at: NOW.plus_ms(10), ended_at: None, body: "{}".into() };
    let copy = mute.clone();
    write(db, move |tx| alerts::mute_insert(tx, &copy)).await;
    assert_eq!(read(db, alerts::mutes_open).await, [mute]);
    assert!(write(db, |tx| alerts::mute_end(tx, 1, NOW)).await);
    assert!(!write(db, |tx| alerts::mute_end(tx, 1, NOW)).await, "it ends once");
    assert_eq!(read(db, alerts::mutes_open).await, []);
    assert_eq!(read(db, |tx| alerts::mute_get(tx, 1)).await.unwrap().ended_at, Some(NOW));
}

async fn there_is_one_routing(db: &Db) {
    assert_eq!(read(db, alerts::routing).await, None);
    let row = |yaml: &str, secrets: &str| RoutingRow { yaml: yaml.to_owned(), secrets: secrets.to_owned() };
    let (first, second) = (row("a", ""), row("b", "[]"));
    write(db, move |tx| alerts::routing_put(tx, &first, NOW, "ana")).await;
    write(db, move |tx| alerts::routing_put(tx, &second, NOW.plus_ms(1), "raj")).await;
    assert_eq!(read(db, alerts::routing).await, Some(row("b", "[]")));
    assert!(write(db, alerts::routing_delete).await);
    assert!(!write(db, alerts::routing_delete).await);
    assert_eq!(read(db, alerts::routing).await, None);
}

async fn a_check_keeps_its_stand(db: &Db) {
    write(db, |tx| checks::put(tx, "disk", "{}", NOW)).await;
    assert!(write(db, |tx| checks::stand(tx, "disk", "{\"status\":\"ok\"}")).await);
    write(db, |tx| checks::put(tx, "disk", "{\"a\":1}", NOW)).await;
    assert!(!write(db, |tx| checks::stand(tx, "gone", "{}")).await);
    let all = read(db, checks::list).await;
    assert_eq!((all.len(), read(db, checks::count).await), (1, 1));
    assert_eq!((all[0].body.as_str(), all[0].state.as_deref()), ("{\"a\":1}", Some("{\"status\":\"ok\"}")));
    assert_eq!(read(db, |tx| checks::get(tx, "disk")).await.as_ref(), all.first());
    assert!(write(db, |tx| checks::delete(tx, "disk")).await);
    assert!(!write(db, |tx| checks::delete(tx, "disk")).await);
    let came = |id: i64| checks::InboxRow { id, name: "disk".into(), body: "{}".into(), at: NOW };
    for id in [1, 2, 3] {
        write(db, move |tx| checks::inbox_put(tx, &came(id))).await;
    }
    write(db, |tx| checks::inbox_forget(tx, 1)).await;
    assert_eq!(read(db, |tx| checks::inbox(tx, 1)).await, [came(2)]);
    assert_eq!(read(db, checks::inbox_count).await, 2);
    for id in [1, 2, 3] {
        write(db, move |tx| checks::gone_put(tx, id, "{}")).await;
    }
    write(db, |tx| checks::gone_forget(tx, 2)).await;
    assert_eq!(read(db, |tx| checks::gone(tx, 5)).await, [(3, "{}".to_owned())]);
}

async fn schedules_and_policies(db: &Db) {
    let row = |id: i64, end_ms: i64| OverrideRow {
        id,
        schedule: "primary".into(),
        end_at: NOW.plus_ms(end_ms),
        body: "{}".into(),
    };
    write(db, move |tx| {
        oncall::schedule_put(tx, "primary", "1")?;
        oncall::schedule_put(tx, "primary", "2")?;
        oncall::policy_put(tx, "photos", "{}")?;
        oncall::override_insert(tx, &row(1, 0))?;
        oncall::override_insert(tx, &row(2, 10))?;
        oncall::override_insert(tx, &row(3, 10))
    })
    .await;
    assert_eq!(read(db, |tx| oncall::schedule_get(tx, "primary")).await.as_deref(), Some("2"));
    assert!(write(db, |tx| oncall::override_remove(tx, 3, NOW)).await);
    assert_eq!(read(db, |tx| oncall::overrides(tx, NOW)).await, [row(2, 10)]);
    assert_eq!(read(db, |tx| oncall::override_get(tx, 3)).await, None);
    let history = read(db, |tx| oncall::override_history(tx, NOW)).await;
    assert_eq!(history, [(row(2, 10), None), (row(3, 10), Some(NOW))]);
    let version = |number: i64| VersionRow {
        schedule: "primary".into(),
        number,
        from_at: Timestamp(i64::MIN + number),
        made_at: NOW,
        made_by: "ana".into(),
        body: "{}".into(),
    };
    let swap = |id: i64, ends_ms: i64| SwapRow {
        id,
        schedule: "primary".into(),
        state: "open".into(),
        ends_at: NOW.plus_ms(ends_ms),
        body: "{}".into(),
    };
    write(db, move |tx| {
        oncall::version_insert(tx, &version(2))?;
        oncall::version_insert(tx, &version(1))?;
        oncall::swap_insert(tx, &swap(1, 10))?;
        oncall::swap_insert(tx, &swap(2, 0))?;
        oncall::feed_put(tx, "ana", "d1", NOW)?;
        oncall::feed_put(tx, "ana", "d2", NOW.plus_ms(1))
    })
    .await;
    assert_eq!(read(db, |tx| oncall::versions(tx, Some("primary"))).await, [version(1), version(2)]);
    assert_eq!(read(db, |tx| oncall::versions(tx, None)).await.len(), 2);
    assert_eq!(read(db, |tx| oncall::swaps_open(tx, NOW)).await, [swap(1, 10)]);
    assert!(write(db, |tx| oncall::swap_close(tx, 1, "accepted")).await);
    assert!(!write(db, |tx| oncall::swap_close(tx, 1, "declined")).await, "it is answered once");
    assert_eq!(read(db, |tx| oncall::swap_get(tx, 1)).await.unwrap().state, "accepted");
    assert_eq!(read(db, |tx| oncall::feed_login(tx, "d1")).await, None, "the address before is of no use");
    assert_eq!(read(db, |tx| oncall::feed_login(tx, "d2")).await.as_deref(), Some("ana"));
    assert!(write(db, |tx| oncall::feed_delete(tx, "ana")).await);
    assert!(write(db, |tx| oncall::schedule_delete(tx, "primary")).await);
    assert_eq!(read(db, |tx| oncall::versions(tx, None)).await, []);
    assert_eq!(read(db, |tx| oncall::swap_get(tx, 2)).await, None);
    assert_eq!(read(db, |tx| oncall::overrides(tx, NOW)).await, []);
    assert_eq!(read(db, oncall::schedules).await, []);
    assert_eq!(read(db, |tx| oncall::policy_get(tx, "photos")).await.as_deref(), Some("{}"));
    assert!(write(db, |tx| oncall::policy_delete(tx, "photos")).await);
    assert_eq!(read(db, oncall::policies).await, []);
}

fn incident(number: i64, key: Option<&str>, state: &str, next_ms: Option<i64>) -> IncidentRow {
    IncidentRow {
        number,
        open_key: key.map(str::to_owned),
        state: state.into(),
        opened_at: NOW,
        next_at: next_ms.map(|ms| NOW.plus_ms(ms)),
        body: "{}".into(),
    }
}

async fn incidents_and_their_alerts(db: &Db) {
    write(db, |tx| {
        incidents::put(tx, &incident(1, None, "resolved", None))?;
        incidents::put(tx, &incident(2, None, "resolved", None))?;
        incidents::put(tx, &incident(3, Some("photos/production"), "open", Some(5)))?;
        incidents::join(tx, 3, "a", NOW)?;
        incidents::join(tx, 3, "b", NOW.plus_ms(1))?;
        incidents::member_ended(tx, 3, "a", "resolved")?;
        assert!(incidents::all_resolved(tx, &[1, 3, 9])?.is_empty(), "one goes on, and one is resolved already");
        incidents::member_ended(tx, 3, "b", "expired")?;
        assert!(incidents::all_resolved(tx, &[3])?.is_empty(), "nobody knows of one");
        incidents::member_ended(tx, 3, "b", "resolved")?;
        assert_eq!(incidents::all_resolved(tx, &[3])?, [3]);
        let many: Vec<i64> = (1..3_000).collect();
        assert_eq!(incidents::all_resolved(tx, &many)?, [3], "those of all statements");
        assert!(incidents::all_resolved(tx, &[])?.is_empty());
        let mut known = incidents::by_numbers(tx, &[1, 3, 9])?.iter().map(|i| i.number).collect::<Vec<_>>();
        known.sort_unstable();
        assert_eq!(known, [1, 3]);
        assert!(incidents::is_member(tx, 3, "a")? && !incidents::is_member(tx, 2, "a")?);
        incidents::join(tx, 3, "a", NOW.plus_ms(2))
    })
    .await;
    let second = db.write(|tx| incidents::put(tx, &incident(4, Some("photos/production"), "open", None))).await;
    assert!(second.is_err(), "one open incident per key");
    assert_eq!(read(db, |tx| incidents::open_by_key(tx, "photos/production")).await.unwrap().number, 3);
    assert_eq!(read(db, |tx| incidents::live_count(tx, 3)).await, 1);
    // Of `b` no alert is known.
    assert_eq!(read(db, |tx| alerts::places_in(tx, 3)).await.len(), 1);
    assert_eq!(read(db, |tx| alerts::live_in(tx, 3, 10)).await[0].fingerprint, "a");
    let first = read(db, |tx| incidents::members(tx, 3, 1)).await;
    assert_eq!(first.iter().map(|m| m.fingerprint.as_str()).collect::<Vec<_>>(), ["a"]);
    let named = |most: i64| read(db, move |tx| incidents::members_in(tx, &[3, 1], most));
    let member = |fingerprint: &str| NamedMember { incident: 3, fingerprint: fingerprint.into(), total: 2 };
    assert_eq!(named(9).await, [member("a"), member("b")]);
    assert_eq!(named(1).await, [member("a")]);
    let members = read(db, |tx| incidents::members(tx, 3, 10)).await;
    let ended: Vec<_> = members.iter().map(|m| (m.fingerprint.as_str(), m.ended.as_deref())).collect();
    assert_eq!(ended, [("a", None), ("b", Some("resolved"))]);
    assert_eq!(members[0].joined_at, NOW, "it joined when it first did");
    assert_eq!(read(db, |tx| incidents::due(tx, NOW.plus_ms(4), 10)).await, []);
    assert_eq!(read(db, |tx| incidents::due(tx, NOW.plus_ms(5), 10)).await[0].number, 3);
    let numbers = |rows: Vec<IncidentRow>| rows.into_iter().map(|i| i.number).collect::<Vec<_>>();
    assert_eq!(numbers(read(db, |tx| incidents::list(tx, None, None, 2)).await), [3, 2]);
    assert_eq!(numbers(read(db, |tx| incidents::list(tx, None, Some(2), 2)).await), [1]);
    assert_eq!(numbers(read(db, |tx| incidents::list(tx, Some("open"), None, 9)).await), [3]);
    assert_eq!(numbers(read(db, incidents::open).await), [3]);
}

fn page(id: &str, step: i64, person: &str) -> PageRow {
    PageRow {
        id: id.into(),
        incident: 3,
        step,
        round: 0,
        person: person.into(),
        state: "due".into(),
        due_at: NOW,
        delivered_at: None,
        body: "{}".into(),
    }
}

async fn the_last_end_of_a_key_is_kept(db: &Db) {
    write(db, |tx| {
        incidents::ended_put(tx, "photos/production", 3, NOW)?;
        incidents::ended_put(tx, "photos/production", 4, NOW.plus_ms(1))?;
        incidents::ended_put(tx, "photos/staging", 5, NOW)
    })
    .await;
    let ended = |key: &'static str| read(db, move |tx| incidents::ended_by_key(tx, key));
    assert_eq!(ended("photos/production").await, Some((4, NOW.plus_ms(1))));
    write(db, |tx| incidents::ended_forget(tx, "photos/production")).await;
    assert_eq!(ended("photos/production").await, None);
    assert_eq!(ended("photos/staging").await, Some((5, NOW)));
    let day_ms = incidents::ENDED_KEEP_MS;
    write(db, move |tx| incidents::ended_put(tx, "web", 6, NOW.plus_ms(day_ms))).await;
    assert_eq!(ended("photos/staging").await, Some((5, NOW)), "a day is not over yet");
    write(db, move |tx| incidents::ended_put(tx, "web", 7, NOW.plus_ms(day_ms + 1))).await;
    assert_eq!(ended("photos/staging").await, None);
    assert_eq!(ended("web").await, Some((7, NOW.plus_ms(day_ms + 1))));
}

async fn a_page_is_decided_once(db: &Db) {
    assert!(write(db, |tx| incidents::page_insert(tx, &page("p1", 0, "ana"))).await);
    assert!(!write(db, |tx| incidents::page_insert(tx, &page("p2", 0, "ana"))).await);
    assert!(write(db, |tx| incidents::page_insert(tx, &page("p3", 1, "ana"))).await);
    let ids: Vec<_> = read(db, |tx| incidents::pages(tx, 3)).await.into_iter().map(|p| p.id).collect();
    assert_eq!(ids, ["p1", "p3"]);
    let last = |person: &'static str| read(db, move |tx| incidents::page_last(tx, 3, person));
    assert_eq!(last("ana").await.map(|p| p.id).as_deref(), Some("p3"));
    assert_eq!(last("mei").await, None);
    let paged = |to_ms: i64, without: &'static str, limit: i64| {
        let stretch = (NOW.plus_ms(-1), NOW.plus_ms(to_ms));
        read(db, move |tx| incidents::paged_between(tx, stretch, without, limit))
    };
    assert_eq!(paged(1, "none", 9).await, [("ana".to_owned(), NOW), ("ana".to_owned(), NOW)]);
    assert_eq!(paged(1, "none", 1).await.len(), 1);
    assert!(paged(0, "none", 9).await.is_empty(), "the end is not in it");
    assert!(paged(1, "{}", 9).await.is_empty(), "copies are none");
    let counts = |to_ms: i64, without: &'static str| {
        let stretch = (NOW.plus_ms(-1), NOW.plus_ms(to_ms));
        read(db, move |tx| incidents::paged_counts(tx, stretch, without, 9))
    };
    assert_eq!(counts(1, "none").await, [(3, "ana".to_owned(), 2)]);
    assert!(counts(0, "none").await.is_empty() && counts(1, "{}").await.is_empty());
    write(db, |tx| {
        incidents::page_state(tx, "p1", "delivered", Some(NOW))?;
        incidents::page_state(tx, "p1", "acknowledged", None)
    })
    .await;
    let page = read(db, |tx| incidents::page_get(tx, "p1")).await.unwrap();
    assert_eq!((page.state.as_str(), page.delivered_at), ("acknowledged", Some(NOW)));
    assert_eq!(read(db, |tx| incidents::pages_recent(tx, 1)).await.len(), 1);
}

async fn deliveries_are_claimed_under_an_epoch(db: &Db) {
    let row = |page: &str, channel: &str, state: &str, epoch: i64| DeliveryRow {
        page: page.into(),
        channel: channel.into(),
        target: "ana@example.org".into(),
        idempotency_key: format!("{page}/{channel}"),
        state: state.into(),
        tries: 0,
        next_at: (state == "due").then_some(NOW),
        epoch,
        message: None,
    };
    write(db, move |tx| {
        incidents::delivery_insert(tx, &row("p1", "mail", "due", 0))?;
        incidents::delivery_insert(tx, &row("p3", "mail", "sending", 1))?;
        incidents::delivery_insert(tx, &row("p3", "webhook", "accepted", 1))
    })
    .await;
    let keys = |rows: Vec<DeliveryRow>| rows.into_iter().map(|d| d.idempotency_key).collect::<Vec<_>>();
    assert_eq!(keys(read(db, |tx| incidents::deliveries_due(tx, NOW, 0, 10)).await), ["p1/mail"]);
    let mut left = keys(read(db, |tx| incidents::deliveries_due(tx, NOW, 1, 10)).await);
    left.sort_unstable();
    assert_eq!(left, ["p1/mail", "p3/mail"], "what was being sent is listed again");
    write(db, move |tx| incidents::delivery_put(tx, &DeliveryRow { tries: 1, ..row("p1", "mail", "sending", 2) }))
        .await;
    assert_eq!(read(db, |tx| incidents::delivery_get(tx, "p1", "mail")).await.unwrap().tries, 1);
    let named = DeliveryRow { message: Some("$event".into()), ..row("p1", "mail", "sending", 2) };
    let written = named.clone();
    write(db, move |tx| incidents::delivery_put(tx, &written)).await;
    assert_eq!(read(db, |tx| incidents::delivery_get(tx, "p1", "mail")).await, Some(named));
    let attempt = |n: i64, state: &str| AttemptRow {
        page: "p1".into(),
        channel: "mail".into(),
        n,
        started_at: NOW.plus_ms(n),
        finished_at: None,
        state: state.into(),
        error: (state == "failed").then(|| "450 later".into()),
    };
    write(db, move |tx| {
        incidents::attempt_put(tx, &attempt(1, "sending"))?;
        incidents::attempt_put(tx, &attempt(1, "failed"))?;
        incidents::attempt_put(tx, &attempt(2, "sending"))
    })
    .await;
    assert_eq!(read(db, |tx| incidents::attempts(tx, "p1")).await, [attempt(1, "failed"), attempt(2, "sending")]);
    assert_eq!(read(db, |tx| incidents::attempts_in(tx, &["p1", "none"])).await.len(), 2);
    assert_eq!(read(db, |tx| incidents::pages_in(tx, &[3])).await, read(db, |tx| incidents::pages(tx, 3)).await);
    let of_page = read(db, |tx| incidents::deliveries(tx, "p1")).await;
    assert_eq!(read(db, |tx| incidents::deliveries_in(tx, &["p1"])).await, of_page);
    write(db, move |tx| incidents::delivery_insert(tx, &row("p3", "sms", "due", 0))).await;
    assert_eq!(write(db, |tx| incidents::deliveries_supersede(tx, 3)).await, 3);
    assert_eq!(keys(read(db, |tx| incidents::deliveries_due(tx, NOW, 9, 10)).await), Vec::<String>::new());
    let left = read(db, |tx| incidents::deliveries(tx, "p3")).await;
    assert_eq!((left[1].state.as_str(), left[1].next_at), ("superseded", Some(NOW)), "its time is kept");
    assert_eq!(left[2].state, "accepted", "what is done stays done");
}

async fn the_newest_update_of_a_message_stands(db: &Db) {
    let row = |channel: &str, revision: i64, state: &str, epoch: i64| UpdateRow {
        page: "p1".into(),
        channel: channel.into(),
        kind: "grown".into(),
        revision,
        state: state.into(),
        tries: 0,
        next_at: (state == "due").then_some(NOW),
        epoch,
        told_at: None,
        told: None,
    };
    let over =
        UpdateRow { kind: "over".into(), told_at: Some(NOW), told: Some("grown".into()), ..row("mail", 2, "due", 0) };
    let written = over.clone();
    write(db, move |tx| {
        page_updates::put(tx, &row("mail", 1, "due", 0))?;
        page_updates::put(tx, &written)?;
        page_updates::put(tx, &row("slack", 1, "sending", 1))?;
        page_updates::put(tx, &row("teams", 1, "accepted", 1))
    })
    .await;
    assert_eq!(read(db, |tx| page_updates::get(tx, "p1", "mail")).await, Some(over.clone()));
    assert_eq!(read(db, |tx| page_updates::get(tx, "p1", "discord")).await, None);
    let all = read(db, |tx| page_updates::of_pages(tx, &["p1"])).await;
    assert_eq!(all.iter().map(|u| u.channel.as_str()).collect::<Vec<_>>(), ["mail", "slack", "teams"]);
    assert!(read(db, |tx| page_updates::of_pages(tx, &["p2"])).await.is_empty());
    assert_eq!(read(db, |tx| page_updates::due(tx, NOW, 0, 10)).await, [over]);
    assert_eq!(read(db, |tx| page_updates::due(tx, NOW.plus_ms(-1), 1, 10)).await, [row("slack", 1, "sending", 1)]);
    assert_eq!(write(db, |tx| page_updates::move_due(tx, -1)).await, 1, "what is not due has no time");
    let moved = read(db, |tx| page_updates::due(tx, NOW.plus_ms(-1), 0, 10)).await;
    assert_eq!(moved.iter().map(|u| u.channel.as_str()).collect::<Vec<_>>(), ["mail"]);
    // What waits for one address hides nothing of another's, though it is due for longer.
    write(db, move |tx| {
        for (page, target, waits_ms) in [("u1", "a", 9), ("u2", "a", 8), ("u3", "a", 7), ("u4", "b", 2)] {
            incidents::delivery_insert(
                tx,
                &DeliveryRow {
                    page: page.into(),
                    channel: "slack".into(),
                    target: target.into(),
                    idempotency_key: format!("{page}/slack"),
                    state: "accepted".into(),
                    tries: 1,
                    next_at: None,
                    epoch: 0,
                    message: None,
                },
            )?;
            let next_at = Some(NOW.plus_ms(-waits_ms));
            page_updates::put(tx, &UpdateRow { page: page.into(), next_at, ..row("slack", 1, "due", 0) })?;
        }
        Ok(())
    })
    .await;
    let first = read(db, |tx| page_updates::due(tx, NOW.plus_ms(-2), 0, 2)).await;
    assert_eq!(first.iter().map(|u| u.page.as_str()).collect::<Vec<_>>(), ["u1", "u4"]);
    let all = read(db, |tx| page_updates::due(tx, NOW.plus_ms(-2), 0, 10)).await;
    assert_eq!(all.iter().map(|u| u.page.as_str()).collect::<Vec<_>>(), ["u1", "u4", "u2", "u3"]);
}
