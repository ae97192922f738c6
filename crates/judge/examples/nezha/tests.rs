//! Folders of that shape that the known days are not: other names, several pods of a service, holes, numbers as texts.

use std::{ffi::OsString, fmt::Write, fs, path::Path};

use super::reading::{Fault, days, read_day, seconds, service_of};
use super::{Counted, judge_day};

const START_S: i64 = 1_661_126_400; // 2022-08-22 00:00:00 UTC
const DAY: &str = "2022-08-22";

fn clock(minute: i64) -> String {
    format!("{DAY} {:02}:{:02}:20.5 +0000 UTC m=+0.3", minute / 60, minute % 60)
}

/// Two hours of a pod at rest, and from `changed` on at four times the processor time.
fn pod(minutes: impl Iterator<Item = i64>, changed: Option<i64>) -> String {
    let mut text = "Time,TimeStamp,PodName,CpuUsage(m),MemoryUsage(Mi),PodServerLatencyP90(s),PodServerLatencyP95(s),\
                    PodServerLatencyP99(s)\n"
        .to_owned();
    for minute in minutes {
        let cpu = if changed.is_some_and(|at| minute >= at) { 40 } else { 10 + minute % 2 };
        writeln!(text, "{},1,x,{cpu},100,0.01,0.02,0.03", clock(minute)).expect("a string takes it");
    }
    text
}

/// A column for each edge; all are slow from `changed` on.
fn calls(edges: &str, changed: i64) -> String {
    let mut text = format!("time,timestamp,{edges}\n");
    for minute in 0..120 {
        let value = if minute >= changed { "0.5" } else { "0.01" };
        let values = vec![value; edges.split(',').count()].join(",");
        writeln!(text, "{},1,{values}", clock(minute)).expect("a string takes it");
    }
    text
}

fn folder(files: &[(&str, String)], list: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let day = dir.path().join(DAY);
    fs::create_dir_all(day.join("metric")).expect("a folder");
    for (name, text) in files {
        fs::write(day.join("metric").join(name), text).expect("a file");
    }
    fs::write(day.join(format!("{DAY}-fault_list.json")), list).expect("a file");
    dir
}

fn judged(dir: &Path) -> (Counted, Vec<String>) {
    let found = days(dir);
    assert_eq!(found.len(), 1, "{found:?}");
    let day = read_day(&found[0]).expect("the day is read");
    (judge_day(&day), day.said)
}

fn fault(pod: &str, minute: i64) -> String {
    format!(
        r#"{{"inject_time": "{DAY} {:02}:{:02}:00", "inject_timestamp": "{}", "inject_pod": "{pod}", "inject_type": "network_delay"}}"#,
        minute / 60,
        minute % 60,
        START_S + minute * 60
    )
}

#[test]
fn the_service_of_a_pod_may_have_dashes() {
    for (pod, service) in [
        ("frontend-579b9bff58-t2dbm", "frontend"),
        ("ts-order-other-service-6cfdd55578-gfj6q", "ts-order-other-service"),
        ("frontend", "frontend"),
        ("redis-0", "redis-0"),
    ] {
        assert_eq!(service_of(pod), service);
    }
}

#[test]
fn every_pod_of_a_service_gets_its_calls() {
    let quiet = || pod(0..120, None);
    let files = [
        ("web-api-579b9bff58-aaaaa_metric.csv", quiet()),
        ("web-api-579b9bff58-bbbbb_metric.csv", quiet()),
        ("web-579b9bff58-ccccc_metric.csv", quiet()),
        ("api-579b9bff58-ddddd_metric.csv", quiet()),
        ("source_50.csv", calls("web_web-api,web_elsewhere", 100)),
    ];
    let of = |pod: &str| {
        let (counted, said) = judged(folder(&files, &format!(r#"{{"01": [{}]}}"#, fault(pod, 100))).path());
        assert_eq!(said, ["no pod takes the calls web_elsewhere"], "{pod}");
        counted.found
    };
    assert_eq!(of("web-api-579b9bff58-aaaaa"), 1);
    assert_eq!(of("web-api-579b9bff58-bbbbb"), 1, "the second of two pods");
    assert_eq!(of("web-579b9bff58-ccccc"), 0, "a name that begins the other");
    assert_eq!(of("api-579b9bff58-ddddd"), 0, "a name that ends the other");
    assert_eq!(of("web-api-579b9bff58-zzzzz"), 1, "a pod that was started anew since");
}

/// Eight hours ahead of the rows, or of rows that are eight hours ahead: the time that lies among the rows is meant.
#[test]
fn a_list_by_a_local_clock_is_read_by_the_time_that_fits_the_rows() {
    let files = [("cart-579b9bff58-aaaaa_metric.csv", pod(0..120, Some(100)))];
    let of = |clock: &str, epoch: i64| {
        let pod = r#""inject_pod": "cart-579b9bff58-aaaaa", "inject_type": "cpu""#;
        let list = format!(r#"[{{"inject_time": "{DAY} {clock}:00", "inject_timestamp": {epoch}, {pod}}}]"#);
        let (counted, said) = judged(folder(&files, &list).path());
        (counted.found, said.join("; "))
    };
    let at = START_S + 100 * 60;
    let (found, said) = of("09:40", at);
    assert!(found == 1 && said.contains("inject_time is 480 min from inject_timestamp"), "{found}: {said}");
    let (found, said) = of("01:40", at + 8 * 3_600);
    assert!(found == 1 && said.contains("is -480 min from"), "{found}: {said}");
    assert_eq!(of("01:40", at + 60), (1, String::new()), "a minute apart is how long it took");
    let (found, said) = of("09:40", at + 8 * 3_600);
    assert_eq!((found, said.as_str()), (0, ""), "neither lies among the rows");
}

#[test]
fn a_fault_that_cannot_be_read_is_one_that_is_not_found() {
    let files = [("cart-579b9bff58-aaaaa_metric.csv", pod(0..120, Some(100)))];
    let at = START_S + 100 * 60;
    let list = format!(
        r#"{{"01": [
            {{"inject_timestamp": {at}, "inject_pod": "cart-579b9bff58-aaaaa", "inject_type": "cpu"}},
            {{"inject_time": "{at}000", "inject_pod": "cart-579b9bff58-aaaaa"}},
            {{"inject_time": "soon", "inject_pod": "cart-579b9bff58-aaaaa", "inject_type": "cpu"}},
            {{"inject_timestamp": "{at}", "inject_type": "cpu"}},
            {{"inject_timestamp": "{at}", "inject_pod": "gone-579b9bff58-aaaaa", "inject_type": "cpu"}}
        ], "02": []}}"#
    );
    let (counted, said) = judged(folder(&files, &list).path());
    assert_eq!((counted.faults, counted.found), (5, 2), "{counted:?}");
    assert_eq!(
        counted.missed,
        [
            "cpu on cart-579b9bff58-aaaaa (it has no time)",
            "cpu on no pod (no data)",
            "cpu on gone-579b9bff58-aaaaa (no data)"
        ]
    );
    assert_eq!(said.len(), 2, "{said:?}");
    let broken = folder(&files, "[{");
    assert!(read_day(&broken.path().join(DAY)).is_err_and(|e| e.contains("fault_list.json")));
}

/// Rows after a hole are no "four minutes after".
#[test]
fn windows_are_of_time_and_not_of_rows() {
    let list = format!("[{}]", fault("cart-579b9bff58-aaaaa", 40));
    let found = |minutes: Vec<i64>| {
        let files = [("cart-579b9bff58-aaaaa_metric.csv", pod(minutes.into_iter(), Some(40)))];
        judged(folder(&files, &list).path()).0
    };
    assert_eq!(found((0..60).collect()).found, 1);
    assert_eq!(found((0..60).filter(|m| *m != 41).collect()).found, 1, "one minute may be missing");
    let hole = found((0..40).chain(80..120).collect());
    assert_eq!((hole.found, hole.missed.len()), (0, 1), "{hole:?}");
    let early = found((0..42).chain(80..120).collect());
    assert_eq!(early.found, 0, "two rows are not four");
    // a level of three hours ago is not what was before
    let long_ago = pod((0..20).chain(220..300), Some(220));
    let dir = folder(
        &[("cart-579b9bff58-aaaaa_metric.csv", long_ago)],
        &format!("[{}]", fault("cart-579b9bff58-aaaaa", 220)),
    );
    assert_eq!(judged(dir.path()).0.missed, ["network_delay on cart-579b9bff58-aaaaa (no data)"]);
}

#[test]
fn quiet_windows_are_counted_where_no_fault_is_near() {
    let files = [("cart-579b9bff58-aaaaa_metric.csv", pod(0..120, None))];
    let (alone, _) = judged(folder(&files, "{}").path());
    // every tenth minute with four rows after it
    assert_eq!((alone.quiet, alone.alarms), (11, 0));
    let (beside, _) = judged(folder(&files, &format!("[{}]", fault("x-1-2", 60))).path());
    // the 60th and the 70th minute are near it
    assert_eq!(beside.quiet, 9);
    let (loud, _) = judged(folder(&[("cart-579b9bff58-aaaaa_metric.csv", pod(0..120, Some(60)))], "{}").path());
    assert_eq!(loud.alarms, 1, "{loud:?}");
}

#[test]
fn what_is_missing_of_a_table_is_said() {
    let files = [
        ("cart-579b9bff58-aaaaa_metric.csv", "\u{feff}\"Time\",\"CpuUsage(m)\"\r\n\"nonsense\",\"1\"\r\n".to_owned()),
        ("readme.csv", "not ours".to_owned()),
    ];
    let (counted, said) = judged(folder(&files, "{}").path());
    assert_eq!((counted.faults, counted.quiet), (0, 0));
    assert_eq!(said.len(), 5, "no row, and four columns: {said:?}");
    assert!(said.iter().all(|line| line.starts_with("cart-579b9bff58-aaaaa_metric.csv ")), "{said:?}");
}

#[test]
fn days_are_found_from_three_places() {
    let dir = folder(&[], "{}");
    let day = dir.path().join(DAY);
    let name = |path: &Path| -> Vec<Option<OsString>> {
        days(path).iter().map(|day| day.file_name().map(ToOwned::to_owned)).collect()
    };
    let only: Vec<Option<OsString>> = vec![Some(DAY.into())];
    assert_eq!((name(dir.path()), name(&day)), (only.clone(), only.clone()));
    let within = dir.path().join("rca_data");
    fs::create_dir(&within).expect("a folder");
    fs::rename(&day, within.join(DAY)).expect("it moves");
    assert_eq!(name(dir.path()), only);
}

#[test]
fn times_are_texts_or_numbers() {
    for text in [
        "2022-08-22 00:00:00",
        "2022-08-22T00:00:00Z",
        "2022-08-22 00:00:00.799087274 +0000 UTC m=+0.305041286",
        "2022-08-22 08:00:00 +0800 CST",
        "2022-08-21T19:00:00-05:00",
        "1661126400",
        "1661126400.25",
        "1661126400000",
        "1661126400000000000",
    ] {
        assert_eq!(seconds(text), Some(START_S), "{text}");
    }
    for text in ["", "soon", "2022-08", "-1", "NaN", "2022-13-01 00:00:00"] {
        assert_eq!(seconds(text), None, "{text}");
    }
}

#[test]
fn a_list_may_be_one_list() {
    let dir = folder(&[], &format!("[{}]", fault("a-1-2", 5)));
    let day = read_day(&dir.path().join(DAY)).expect("the day is read");
    let expected = Fault { at: Some(START_S + 300), pod: Some("a-1-2".to_owned()), kind: "network_delay".to_owned() };
    assert_eq!(day.faults, [expected]);
}
