//! Layers, restrictions, overrides of every kind, versions: cases with names, and an evaluation by brute force beside the
//! real one.

mod brute;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use tenfold_oncall::{Elsewhere, Override, Plan, Schedule, Version};
use tenfold_types::Timestamp;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("an instant")
}

fn plan(value: Value) -> Plan {
    serde_json::from_value(value).expect("a plan")
}

fn layer(name: &str, people: &[&str], start: &str, length: &str) -> Value {
    json!({"name": name, "rotation": {"people": people, "start": start, "shift_length": length}})
}

fn over(id: i64, value: Value) -> Override {
    let mut value = value;
    value["id"] = id.into();
    value["by"] = "ana".into();
    if value.get("person").is_none() {
        value["person"] = "".into();
    }
    serde_json::from_value(value).expect("an override")
}

fn people(s: &Schedule, when: &str) -> Vec<String> {
    s.duty_at(at(when)).people
}

/// Ana around the clock; a layer of Raj and Mei by day on workdays, and one over midnight on Fridays.
fn layered() -> Value {
    let mut day = layer("day", &["raj", "mei"], "2026-11-23T09:00:00", "1w");
    day["restrictions"] = json!([{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "17:00"}]);
    let mut night = layer("friday night", &["joe"], "2026-11-23T09:00:00", "1w");
    night["restrictions"] = json!([{"days": ["fri"], "from": "22:00", "to": "06:00"}]);
    json!({"timezone": "Europe/Berlin", "layers": [layer("base", &["ana"], "2026-11-23T09:00:00", "1w"), day, night]})
}

#[test]
fn a_later_layer_covers_in_its_windows_only() {
    let s = Schedule::of_plan("s", plan(layered()), vec![]).expect("a schedule");
    assert_eq!(people(&s, "2026-11-24T07:59:00Z"), ["ana"]);
    assert_eq!(people(&s, "2026-11-24T08:00:00Z"), ["raj"], "09:00 in Berlin");
    assert_eq!(people(&s, "2026-11-24T16:00:00Z"), ["ana"]);
    assert_eq!(people(&s, "2026-12-01T08:00:00Z"), ["mei"], "the week after");
    assert_eq!(people(&s, "2026-11-28T10:00:00Z"), ["ana"], "Saturday");
    assert_eq!(people(&s, "2026-11-28T04:59:00Z"), ["joe"], "the window of Friday ends on Saturday");
    assert_eq!(people(&s, "2026-11-28T05:00:00Z"), ["ana"]);
    let result = s.spans(at("2026-11-27T08:00:00Z"), at("2026-11-28T12:00:00Z"));
    let rows: Vec<_> = result.iter().map(|p| (p.people[0].as_str(), p.layer.as_deref().unwrap_or(""))).collect();
    assert_eq!(rows, [("raj", "day"), ("ana", "base"), ("joe", "friday night"), ("ana", "base")]);
    let alone = s.layer_spans("day", at("2026-11-27T08:00:00Z"), at("2026-11-28T12:00:00Z"));
    assert_eq!(alone.iter().map(|p| p.people.len()).collect::<Vec<_>>(), [1, 0], "then the layer is silent");
    assert_eq!(alone[1].until, at("2026-11-30T08:00:00Z"));
}

#[test]
fn the_sun_is_followed_by_layers_in_their_own_zones() {
    let shift = |name: &str, zone: &str, who: &str| {
        let mut l = layer(name, &[who], "2026-01-01T09:00:00", "1d");
        l["timezone"] = zone.into();
        l["restrictions"] = json!([{"from": "09:00", "to": "17:00"}]);
        l
    };
    let s = Schedule::of_plan(
        "sun",
        plan(json!({"timezone": "UTC", "fallback": ["mei"], "layers": [
            shift("Berlin", "Europe/Berlin", "ana"),
            shift("New York", "America/New_York", "raj"),
            shift("Sydney", "Australia/Sydney", "joe"),
        ]})),
        vec![],
    )
    .expect("a schedule");
    assert_eq!(people(&s, "2026-07-01T08:00:00Z"), ["ana"]);
    assert_eq!(people(&s, "2026-07-01T14:00:00Z"), ["raj"]);
    assert_eq!(people(&s, "2026-07-01T23:30:00Z"), ["joe"]);
    let gap = s.duty_at(at("2026-07-01T21:30:00Z"));
    assert_eq!((gap.people.as_slice(), gap.fallback), (&["mei".to_owned()][..], true));
    assert_eq!(people(&s, "2026-01-10T07:59:00Z"), ["mei"], "in winter Berlin begins an hour later");
}

#[test]
fn overrides_replace_one_add_remove_and_make_temporary_schedules() {
    let window = |kind: &str, extra: Value| {
        let mut o = json!({"kind": kind, "start": "2026-11-24T10:00:00Z", "end": "2026-11-24T14:00:00Z"});
        o.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        o
    };
    let with = |overrides: Vec<Override>| Schedule::of_plan("s", plan(layered()), overrides).expect("a schedule");
    let noon = "2026-11-24T12:00:00Z";
    let s = with(vec![over(1, window("add", json!({"person": "zoe"})))]);
    assert_eq!(people(&s, noon), ["raj", "zoe"]);
    let s = with(vec![over(1, window("replace", json!({"person": "zoe", "replaces": "raj"})))]);
    assert_eq!((people(&s, noon), s.duty_at(at(noon)).behind), (vec!["zoe".into()], vec!["raj".into(), "mei".into()]));
    let s = with(vec![over(1, window("replace", json!({"person": "zoe", "replaces": "mei"})))]);
    assert_eq!(people(&s, noon), ["raj"], "mei is not on call, so nobody replaces her");
    let s = with(vec![over(1, window("remove", json!({"person": "raj"})))]);
    let gap = s.span_at(at(noon));
    assert_eq!((gap.people.len(), gap.since, gap.until), (0, at("2026-11-24T10:00:00Z"), at("2026-11-24T14:00:00Z")));
    let shifts = json!([
        {"person": "zoe", "start": "2026-11-24T10:00:00Z", "end": "2026-11-24T12:30:00Z"},
        {"person": "joe", "start": "2026-11-24T12:00:00Z", "end": "2026-11-24T13:00:00Z"},
    ]);
    let s = with(vec![over(1, window("temporary", json!({"shifts": shifts})))]);
    assert_eq!(people(&s, noon), ["zoe", "joe"]);
    assert_eq!(people(&s, "2026-11-24T13:30:00Z"), [""; 0]);
}

#[test]
fn shadows_are_in_copy_and_never_alone() {
    let mut value = layered();
    value["shadows"] = json!([{"person": "zoe", "end": "2026-11-25T00:00:00Z"}, {"person": "raj"}]);
    let remove = over(
        1,
        json!({"kind": "remove", "person": "ana", "start": "2026-11-24T20:00:00Z", "end": "2026-11-24T21:00:00Z"}),
    );
    let s = Schedule::of_plan("s", plan(value), vec![remove]).expect("a schedule");
    assert_eq!(s.duty_at(at("2026-11-24T12:00:00Z")).shadows, ["zoe"], "raj is on call himself");
    assert_eq!(s.duty_at(at("2026-11-24T19:00:00Z")).shadows, ["zoe", "raj"]);
    assert_eq!(s.duty_at(at("2026-11-24T20:00:00Z")).shadows, [""; 0], "nobody is on call");
    assert_eq!(s.duty_at(at("2026-11-25T19:00:00Z")).shadows, ["raj"]);
}

#[test]
fn a_version_counts_from_its_instant_on_and_the_past_stays() {
    let one = |who: &str| {
        plan(
            json!({"timezone": "UTC", "rotation": {"people": [who], "start": "2026-01-01T00:00:00", "shift_length": "1w"}}),
        )
    };
    let version = |n, from: &str, who: &str| Version::new(n, at(from), one(who)).expect("a version");
    let versions = vec![
        version(1, "2026-02-01T00:00:00Z", "ana"),
        version(2, "2026-04-01T00:00:00Z", "raj"),
        version(3, "2026-03-01T00:00:00Z", "mei"),
    ];
    let s = Schedule::new("s", versions, vec![]).expect("a schedule");
    assert_eq!(people(&s, "2026-01-15T00:00:00Z"), [""; 0], "before it was made there was nobody");
    assert_eq!(people(&s, "2026-02-28T23:59:00Z"), ["ana"]);
    assert_eq!(people(&s, "2026-03-01T00:00:00Z"), ["mei"]);
    assert_eq!(people(&s, "2026-04-02T00:00:00Z"), ["mei"], "made later than the one of April");
    let past = s.spans(at("2026-02-01T00:00:00Z"), at("2026-02-20T00:00:00Z"));
    let changed = s.with_version(at("2026-05-01T00:00:00Z"), one("joe")).expect("a version");
    assert_eq!(changed.spans(at("2026-02-01T00:00:00Z"), at("2026-02-20T00:00:00Z")), past);
    assert_eq!(people(&changed, "2026-05-01T00:00:00Z"), ["joe"]);
}

#[test]
fn too_short_a_rest_is_told() {
    let mut value = json!({"timezone": "UTC", "min_rest_hours": 11, "rotation": {
        "people": ["ana", "raj"], "start": "2026-11-23T08:00:00", "shift_length": "8h"}});
    let rests = |value: &Value| {
        let s = Schedule::of_plan("s", plan(value.clone()), vec![]).expect("a schedule");
        s.short_rests(&s.spans(at("2026-11-23T08:00:00Z"), at("2026-11-24T08:00:00Z")))
    };
    let found = rests(&value);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].person.as_str(), found[0].from, found[0].to),
        ("ana", at("2026-11-23T16:00:00Z"), at("2026-11-24T00:00:00Z"))
    );
    value["rotation"]["shift_length"] = "12h".into();
    assert_eq!(rests(&value), []);
}

/// Days of 8 hours from 08:00, one person alone.
fn days_of(name: &str, person: &str, from: &str) -> Schedule {
    let value = json!({"timezone": "UTC", "min_rest_hours": 11, "layers": [{
        "name": "days",
        "rotation": {"people": [person], "start": format!("2026-11-23T{from}:00"), "shift_length": "1d"},
        "restrictions": [{"from": from, "to": format!("{:02}:00", (from[..2].parse::<u32>().expect("an hour") + 8) % 24)}],
    }]});
    Schedule::of_plan(name, plan(value), vec![]).expect("a schedule")
}

#[test]
fn rest_is_counted_over_all_schedules_and_from_pages_in_the_night() {
    let (from, to) = (at("2026-11-24T00:00:00Z"), at("2026-11-25T00:00:00Z"));
    let own = days_of("web", "ana", "08:00");
    let said = |elsewhere: &Elsewhere| -> Vec<String> {
        let rests = own.short_rests_beside(&own.spans(from, to), elsewhere).into_iter();
        rests
            .map(|r| {
                let hours = r.to.since_ms(r.from) / 3_600_000;
                format!("{} {hours} h {:?} {} {:?}", r.person, r.after, r.after_page, r.before)
            })
            .collect()
    };
    let beside = |other: &Schedule| Elsewhere {
        schedules: vec![(other.name.clone(), other.spans(from, to))],
        night_pages: BTreeMap::new(),
    };
    assert_eq!(said(&Elsewhere::default()), Vec::<String>::new());
    // From 16:00 to 24:00 in another schedule: no rest behind the day, and 8 h before it.
    let evenings = days_of("db", "ana", "16:00");
    assert!(
        said(&beside(&evenings)).contains(&"ana 0 h None false Some(\"db\")".to_owned()),
        "{:?}",
        said(&beside(&evenings))
    );
    assert_eq!(said(&beside(&days_of("db", "ana", "08:00"))), Vec::<String>::new(), "on call in both at once");
    assert_eq!(said(&beside(&days_of("db", "raj", "16:00"))), Vec::<String>::new(), "somebody else");
    let woken = |when: &str| Elsewhere {
        schedules: Vec::new(),
        night_pages: BTreeMap::from([("ana".to_owned(), vec![at(when)])]),
    };
    assert_eq!(said(&woken("2026-11-24T03:00:00Z")), ["ana 5 h None true None"]);
    assert_eq!(said(&woken("2026-11-24T09:00:00Z")), Vec::<String>::new(), "while on call: the rest begins at its end");
    assert_eq!(said(&woken("2026-11-23T20:00:00Z")), Vec::<String>::new(), "12 h before it");
}

#[test]
fn what_is_wrong_is_said() {
    let said = |change: &dyn Fn(&mut Value)| {
        let mut value = layered();
        change(&mut value);
        serde_json::from_value::<Plan>(value).map_err(|e| e.to_string()).and_then(|p| p.check()).expect_err("refused")
    };
    assert!(said(&|v| v["timezone"] = "Mars/Base".into()).contains("IANA"));
    assert!(said(&|v| v["layers"][1]["timezone"] = "Mars".into()).contains("layer `day`: `Mars`"));
    assert!(said(&|v| v["layers"][1]["name"] = "base".into()).contains("two layers"));
    assert!(said(&|v| v["layers"][0]["rotation"]["people"] = json!([])).contains("1 to 100"));
    assert!(said(&|v| v["layers"] = json!([])).contains("either"));
    assert!(said(&|v| v["min_rest_hours"] = 0.into()).contains("1 to 168"));
    assert!(said(&|v| v["layers"][0]["rotation"]["shift_length"] = "1y".into()).contains("12h"));
    assert!(said(&|v| v["layers"][1]["restrictions"][0]["days"] = json!(["monday"])).contains("mon"));
    assert!(
        said(&|v| v["shadows"] =
            json!([{"person": "z", "start": "2026-02-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}]))
        .contains("ends before")
    );
    let check = |value: Value| over(1, value).check().expect_err("refused");
    let (start, end) = ("2026-11-24T10:00:00Z", "2026-11-24T14:00:00Z");
    assert!(check(json!({"person": "ana", "start": end, "end": start})).contains("after its start"));
    assert!(check(json!({"kind": "add", "start": start, "end": end})).contains("names a person"));
    assert!(check(json!({"person": "ana", "replaces": "ana", "start": start, "end": end})).contains("themselves"));
    assert!(check(json!({"kind": "temporary", "start": start, "end": end})).contains("1 to 200"));
}

#[test]
fn a_plan_of_one_rotation_is_written_as_one() {
    let short = json!({"timezone": "UTC", "rotation": {"people": ["ana"], "start": "2026-11-23T08:00:00", "shift_length": "8h"}});
    assert_eq!(serde_json::to_value(plan(short.clone())).expect("plain data"), short);
}

const ZONES: [&str; 5] = ["Europe/Berlin", "America/Chicago", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"];

/// Minutes of the day on a grid of a quarter of an hour.
fn clock(quarter: i64) -> String {
    format!("{:02}:{:02}", quarter / 4 % 24, quarter % 4 * 15)
}

prop_compose! {
    fn any_layer(index: usize)(
        zone in 0_usize..5,
        people in prop::sample::subsequence(vec!["ana", "raj", "mei", "joe"], 1..4),
        length in prop::sample::select(vec!["1h", "5h", "12h", "1d", "2d", "1w", "1mo"]),
        start in (-40_i64..40, 0_i64..96),
        windows in prop::collection::vec((prop::sample::subsequence(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"], 0..4), 0_i64..96, 0_i64..96), 0..3),
        bounds in prop::option::of((-5_i64..10, 1_i64..20)),
        base in prop::sample::select(vec!["2026-03-29", "2026-10-25", "2026-10-04", "2026-04-05", "2026-11-01", "2026-03-08"]),
    ) -> Value {
        let date: jiff::civil::Date = base.parse().expect("a date");
        let date = date.checked_add(jiff::Span::new().days(start.0)).expect("in range");
        let mut l = layer(&format!("l{index}"), &people, &format!("{date}T{}:00", clock(start.1)), length);
        l["timezone"] = ZONES[zone].into();
        l["restrictions"] = windows.iter().map(|(days, from, to)| json!({"days": days, "from": clock(*from), "to": clock(*to)})).collect();
        if let Some((from, days)) = bounds {
            let from = at(&format!("{base}T00:00:00Z")).plus_ms(from * DAY);
            l["start"] = from.to_string().into();
            l["end"] = from.plus_ms(days * DAY).to_string().into();
        }
        l["base"] = base.into();
        l
    }
}

fn any_override() -> impl Strategy<Value = Value> {
    (
        0_i64..300,
        1_i64..60,
        0_usize..5,
        0_usize..5,
        prop::sample::select(vec!["replace", "swap", "add", "remove", "temporary"]),
    )
        .prop_map(|(start, hours, a, b, kind)| {
            let who = ["ana", "raj", "mei", "joe", "zoe"];
            let mut o = json!({"kind": kind, "from_hours": start, "hours": hours, "person": who[a]});
            if kind == "swap" {
                o["kind"] = "replace".into();
                o["replaces"] = who[b].into();
            }
            o
        })
}

fn placed(base: Timestamp, i: usize, mut o: Value) -> Override {
    let start = base.plus_ms(o["from_hours"].as_i64().unwrap_or(0) * HOUR);
    let hours = o["hours"].as_i64().unwrap_or(1);
    let end = start.plus_ms(hours * HOUR);
    let object = o.as_object_mut().expect("an object");
    object.remove("from_hours");
    object.remove("hours");
    object.insert("start".into(), start.to_string().into());
    object.insert("end".into(), end.to_string().into());
    if object["kind"] == "temporary" {
        let person = object.insert("person".into(), "".into());
        let (a, b) = (start.plus_ms(hours * HOUR / 3), start.plus_ms(hours * HOUR * 2 / 3));
        object.insert(
            "shifts".into(),
            json!([
                {"person": person, "start": start.to_string(), "end": b.to_string()},
                {"person": "zoe", "start": a.to_string(), "end": b.to_string()},
            ]),
        );
    }
    over(i as i64, o)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// At every instant the real evaluation says what brute force says, and the spans partition time and agree with both.
    /// All that is stored reads back as it was.
    #[test]
    fn as_by_brute_force(
        mut layers in (any_layer(0), any_layer(1), any_layer(2)).prop_map(|(a, b, c)| vec![a, b, c]),
        fallback in prop::sample::subsequence(vec!["fay"], 0..=1),
        overrides in prop::collection::vec(any_override(), 0..4),
        probes in prop::collection::vec(0_i64..(14 * 24 * 60), 60),
    ) {
        // All around one change of clocks.
        let base = layers[0]["base"].as_str().expect("a date").to_owned();
        for l in &mut layers {
            l.as_object_mut().expect("an object").remove("base");
        }
        let base = at(&format!("{base}T00:00:00Z")).plus_ms(-7 * DAY);
        let p = plan(json!({"timezone": "UTC", "layers": layers, "fallback": fallback}));
        let again: Plan = serde_json::from_str(&serde_json::to_string(&p).expect("plain data")).expect("plain data");
        prop_assert_eq!(&again, &p);
        let overrides: Vec<Override> = overrides.into_iter().enumerate().map(|(i, o)| placed(base, i, o)).collect();
        let s = Schedule::of_plan("s", p.clone(), overrides.clone()).expect("a schedule");
        let (from, to) = (base, base.plus_ms(14 * DAY));
        let spans = s.spans(from, to);
        prop_assert!(spans[0].since <= from && spans.last().expect("some").until >= to);
        for pair in spans.windows(2) {
            prop_assert_eq!(pair[0].until, pair[1].since);
        }
        let brute = brute::Brute::new(&p, &overrides, from, to);
        let edges = spans.iter().flat_map(|x| [x.since, x.until.plus_ms(-60_000), x.until]);
        let probes = probes.into_iter().map(|m| from.plus_ms(m * 60_000));
        for probe in edges.chain(probes).filter(|t| *t >= from && *t < to) {
            let wanted = brute.people(probe);
            prop_assert_eq!(&s.duty_at(probe).people, &wanted, "at {}", probe);
            let span = spans.iter().find(|x| x.since <= probe && probe < x.until).expect("covered");
            prop_assert_eq!(&span.people, &wanted, "span at {}", probe);
            prop_assert_eq!(&s.span_at(probe).people, &wanted);
        }
    }
}
