//! A calendar that a schedule follows: what covers what, what becomes of the past, what is a change, what of the address is
//! shown.

use serde_json::{Value, json};
use tenfold_oncall::{
    CALENDAR_SHIFTS_MAX, Calendar, FixedShift, Override, Plan, Schedule, Version, merged_shifts, shift_changes,
};
use tenfold_types::Timestamp;

const HOUR: i64 = 3_600_000;
const START: Timestamp = Timestamp(1_795_000_000_000);

fn h(hours: i64) -> Timestamp {
    START.plus_ms(hours * HOUR)
}

fn shift(person: &str, from: i64, to: i64) -> FixedShift {
    FixedShift { person: person.to_owned(), start: h(from), end: h(to) }
}

fn plan(value: Value) -> Plan {
    serde_json::from_value(value).expect("a plan")
}

fn followed(more: &Value) -> Plan {
    let mut all = json!({"timezone": "UTC", "calendar": {"url": "https://calendar.example.org/x.ics"}});
    for (key, value) in more.as_object().expect("keys") {
        all[key] = value.clone();
    }
    plan(all)
}

fn rows(of: &Schedule, from: i64, to: i64) -> Vec<(String, i64, Option<String>)> {
    let spans = of.spans(h(from), h(to));
    spans.into_iter().map(|s| (s.people.join(" "), s.until.since_ms(START) / HOUR, s.layer)).collect()
}

#[test]
fn whoever_has_a_shift_in_the_calendar_covers_the_layers_and_overrides_lie_above() {
    let base = json!({"layers": [{"name": "base",
        "rotation": {"people": ["ana", "raj"], "start": "2026-11-01T00:00:00", "shift_length": "1mo"}}]});
    let shifts = vec![shift("mei", 0, 8), shift("mei", 8, 12), shift("raj", 10, 14)];
    let over = Override::cover(1, "zoe", h(11), h(13), "zoe");
    let of = Schedule::of_plan("photos", followed(&base), vec![over]).expect("a schedule").with_calendar(shifts);
    let row = |who: &str, until: i64, layer: &str| (who.to_owned(), until, Some(layer.to_owned()));
    let found = rows(&of, 0, 15);
    assert_eq!(
        found[..4],
        [
            row("mei", 10, "calendar"),
            row("mei raj", 11, "calendar"),
            row("zoe", 13, "calendar"),
            row("raj", 14, "calendar")
        ]
    );
    assert_eq!(
        (found[4].0.as_str(), found[4].2.as_deref()),
        ("ana", Some("base")),
        "the layers hold between its shifts"
    );
    let alone = of.layer_spans("calendar", h(0), h(15));
    assert_eq!(alone.iter().filter(|s| !s.people.is_empty()).count(), 3);
    assert!(of.layer_spans("base", h(0), h(15)).iter().all(|s| s.people == ["ana"]));
    let newest = of.newest().expect("a version");
    assert_eq!(of.people_of(newest).into_iter().collect::<Vec<_>>(), ["ana", "mei", "raj"]);
}

#[test]
fn without_layers_a_hole_is_the_fallbacks_or_a_gap() {
    let with = |more: Value| {
        let of = Schedule::of_plan("photos", followed(&more), Vec::new()).expect("a schedule");
        of.with_calendar(vec![shift("mei", 0, 8), shift("raj", 10, 12)])
    };
    let who = |of: &Schedule| rows(of, 0, 12).into_iter().map(|r| r.0).collect::<Vec<_>>();
    assert_eq!(who(&with(json!({}))), ["mei", "", "raj"]);
    assert_eq!(who(&with(json!({"fallback": ["ana"]}))), ["mei", "ana", "raj"]);
}

#[test]
fn only_versions_that_follow_it_have_its_shifts() {
    let rotation = json!({"people": ["ana"], "start": "2026-11-01T00:00:00", "shift_length": "1d"});
    let alone = plan(json!({"timezone": "UTC", "rotation": rotation}));
    let versions = vec![
        Version::new(1, h(0), alone.clone()).expect("a version"),
        Version::new(2, h(4), followed(&json!({}))).expect("a version"),
        Version::new(3, h(8), alone).expect("a version"),
    ];
    let of =
        Schedule::new("photos", versions, Vec::new()).expect("a schedule").with_calendar(vec![shift("mei", 0, 24)]);
    let who: Vec<_> = rows(&of, 0, 10).into_iter().map(|r| (r.0, r.1)).take(2).collect();
    assert_eq!(who, [("ana".to_owned(), 4), ("mei".to_owned(), 8)]);
    assert!(of.follows_from(h(0)) && of.follows_from(h(7)) && !of.follows_from(h(8)));
}

#[test]
fn what_was_stays_and_what_comes_is_as_it_was_read() {
    let known = [shift("ana", -10, -5), shift("raj", -5, 5), shift("mei", 5, 10)];
    // raj never had it, says the calendar now, and ana goes on until 8.
    let read = [shift("ana", -5, 8), shift("mei", 8, 12)];
    let merged = merged_shifts(&known, &read, h(0));
    assert_eq!(merged, [shift("ana", -10, -5), shift("raj", -5, 0), shift("ana", 0, 8), shift("mei", 8, 12)]);
    // The same again cuts nobody's shift in two.
    let again = merged_shifts(&merged, &read, h(3));
    assert_eq!(again, merged);
    // A calendar that is empty ends what holds now.
    assert_eq!(merged_shifts(&merged, &[], h(3)).last(), Some(&shift("ana", 0, 3)));
    let old = [shift("ana", -20_000, -19_000)];
    assert!(merged_shifts(&old, &[], h(0)).is_empty(), "longer ago than figures look back");
    let many: Vec<_> = (0..6_000).map(|n| shift("ana", 2 * n, 2 * n + 1)).collect();
    assert_eq!(merged_shifts(&[], &many, h(0)).len(), CALENDAR_SHIFTS_MAX);
    let long = shift("ana", -7_000, 5);
    let mut known: Vec<_> = (-6_000..0).map(|n| shift("raj", n, n + 1)).collect();
    known.insert(0, long.clone());
    let kept = merged_shifts(&known, std::slice::from_ref(&long), h(0));
    assert_eq!((kept.len(), &kept[0]), (CALENDAR_SHIFTS_MAX, &long), "who has it now is not forgotten");
}

#[test]
fn a_change_is_where_others_are_on_call() {
    let before = [shift("ana", 0, 8), shift("raj", 8, 16)];
    let after =
        [shift("ana", 0, 6), shift("mei", 6, 8), shift("mei", 8, 10), shift("raj", 10, 16), shift("zoe", 20, 24)];
    let told: Vec<_> = shift_changes(&before, &after, h(0), h(18))
        .into_iter()
        .map(|c| {
            (c.since.since_ms(START) / HOUR, c.until.since_ms(START) / HOUR, c.before.join(" "), c.after.join(" "))
        })
        .collect();
    let row = |since, until, before: &str, after: &str| (since, until, before.to_owned(), after.to_owned());
    assert_eq!(told, [row(6, 8, "ana", "mei"), row(8, 10, "raj", "mei")], "what lies behind is no news yet");
    // The same hours in other pieces, or in another order, are none.
    let pieces = [shift("ana", 0, 4), shift("ana", 4, 8), shift("raj", 8, 16)];
    assert!(shift_changes(&before, &pieces, h(0), h(18)).is_empty());
    let gone = shift_changes(&before, &[], h(2), h(18));
    assert_eq!((gone.len(), gone[0].since, gone[0].after.len()), (2, h(2), 0));
}

#[test]
fn of_an_address_only_the_host_is_shown() {
    for (url, host, hidden) in [
        (
            "https://calendar.example.org/private-abc/basic.ics",
            "calendar.example.org",
            "https://calendar.example.org/hidden",
        ),
        (
            "https://user:secret@calendar.example.org:8443?token=1",
            "calendar.example.org:8443",
            "https://calendar.example.org:8443/hidden",
        ),
        ("webcal://calendar.example.org/x", "calendar.example.org", "https://calendar.example.org/hidden"),
        ("http://[::1]:8080/x#y", "[::1]:8080", "http://[::1]:8080/hidden"),
    ] {
        let calendar: Calendar = serde_json::from_value(json!({"url": url})).expect("a calendar");
        assert_eq!((calendar.host(), calendar.hidden().url.as_str()), (host, hidden), "{url}");
        assert!(calendar.hidden().is_hidden() && !calendar.is_hidden());
    }
    let shown = serde_json::to_string(&followed(&json!({})).hidden()).expect("JSON");
    assert!(shown.contains("calendar.example.org/hidden") && !shown.contains("x.ics"), "{shown}");
}

#[test]
fn what_cannot_be_followed_is_refused_without_repeating_the_address() {
    let check = |calendar: Value| plan(json!({"timezone": "UTC", "calendar": calendar})).check();
    assert_eq!(check(json!({"url": "https://calendar.example.org/x", "refresh_s": 300})), Ok(()));
    for (calendar, wanted) in [
        (json!({"url": "ftp://s3cret.example.org/x"}), "begins with https://"),
        (json!({"url": "file:///etc/s3cret"}), "begins with https://"),
        (json!({"url": "s3cret"}), "begins with https://"),
        (json!({"url": "https:///s3cret"}), "begins with https://"),
        (json!({"url": "https://a.example.org/s3 cret"}), "begins with https://"),
        (json!({"url": format!("https://a.example.org/{}", "s3cret".repeat(400))}), "at most 2000 characters"),
        (json!({"url": "https://a.example.org/s3cret", "refresh_s": 60}), "300 to 86400"),
    ] {
        let wrong = check(calendar).expect_err("it is refused");
        assert!(wrong.contains(wanted) && !wrong.contains("s3"), "{wrong}");
    }
    let named = followed(&json!({"layers": [{"name": "calendar",
        "rotation": {"people": ["ana"], "start": "2026-11-01T00:00:00", "shift_length": "1d"}}]}));
    assert!(named.check().expect_err("two of one name").contains("cannot be called `calendar`"));
    assert!(serde_json::from_value::<Plan>(json!({"timezone": "UTC"})).is_err());
}
