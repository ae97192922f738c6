//! Old time answered from rows of aggregates says what the samples say, within the bounds that `promql` states.

use tenfold_promql::{Interrupt, Series, Value};
use tenfold_tsdb::{CoarseReach, Point, SeriesWrite};

use super::query::Means;
use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Samples come every 30 s.
const PACE: i64 = 30_000;
const DAYS: i64 = 5;

/// A number that looks like chance and is the same in every run.
fn noise(seed: i64) -> f64 {
    let mut x = (seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    x ^= x >> 31;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (x >> 40) as f64 / f64::from(1 << 24)
}

/// A gauge, an even counter, an uneven one that is reset, an even one that nobody looks at for hours each day, and a gauge
/// that is away for hours each day and ends with a staleness marker each time.
fn points(kind: &str) -> Vec<Point> {
    let mut counter = 0.0;
    let mut out = Vec::new();
    for t in (PACE..=DAYS * DAY).step_by(PACE as usize) {
        let value = match kind {
            "gauge" => noise(t) * 100.0 - 50.0,
            "even_total" => (t / PACE) as f64 * 3.0,
            "uneven_total" => {
                counter = if t % (7 * HOUR) == 0 { 0.0 } else { counter + (noise(t) * 20.0).floor() };
                counter
            }
            "unseen_total" if t % DAY > 6 * HOUR && t % DAY < 9 * HOUR + 10 * MINUTE => continue,
            "unseen_total" => (t / PACE) as f64 * 2.0,
            _ if t % DAY == 6 * HOUR + PACE => tenfold_tsdb::STALE_NAN,
            _ if t % DAY > 6 * HOUR && t % DAY < 9 * HOUR => continue,
            _ => noise(t),
        };
        out.push(Point::new(t, value));
    }
    out
}

fn store(dir: &std::path::Path, retention_days: u32) -> State {
    store_with(dir, retention_days, 1000)
}

fn store_with(dir: &std::path::Path, retention_days: u32, five_minutes_days: u32) -> State {
    let mut settings = Settings { data_dir: dir.to_owned(), ..Settings::default() };
    settings.metrics.retention_days = retention_days;
    settings.metrics.downsample = crate::settings::Downsample { five_minutes_days, one_hour_days: 1000 };
    State::open(&settings).expect("the store opens")
}

/// Of both resolutions.
fn reach(from_ms: i64, until_ms: i64) -> [CoarseReach; 2] {
    [5 * MINUTE, HOUR].map(|resolution_ms| CoarseReach { resolution_ms, from_ms, until_ms })
}

fn filled(dir: &std::path::Path) -> State {
    let state = store(dir, 100);
    let all = ["gauge", "even_total", "uneven_total", "unseen_total", "away"].map(|name| (name, points(name)));
    // By hours, as they would have come.
    for hour in 0..DAYS * 24 {
        let span = hour * HOUR..(hour + 1) * HOUR;
        for (name, points) in &all {
            let points: Vec<_> = points.iter().filter(|p| span.contains(&(p.t_ms - 1))).copied().collect();
            let labels = [("__name__", *name), ("job", "j"), ("kind", *name)];
            let write = SeriesWrite { labels: &labels, points: &points, ..SeriesWrite::default() };
            assert_eq!(state.tsdb.write(&[write]).expect("samples are taken").rejected, []);
        }
    }
    state.tsdb.maintain(DAYS * DAY + HOUR).expect("rows are made");
    assert_eq!(state.tsdb.coarse_reach().0, reach(0, 3 * DAY));
    state
}

fn ask(state: &State, expr: &str, rows_max_ms: i64, (start, end, step): (i64, i64, i64)) -> (Vec<Series>, u64) {
    let means = Means { threads: 1, rows_max_ms, explain: false, shared: false };
    let run =
        |q: &tenfold_promql::Query<'_>, e: &tenfold_promql::ast::Expr| tenfold_promql::range(q, e, start, end, step);
    let output = state.evaluate(expr, &Interrupt::default(), means, run).expect(expr);
    let Value::Matrix(series) = output.value else { panic!("{expr} is no matrix") };
    (series, output.samples_read)
}

/// Compares every value of both; how far they are apart at most.
fn apart(expr: &str, rows: &[Series], samples: &[Series]) -> f64 {
    assert_eq!(rows.len(), samples.len(), "{expr}");
    let mut most = 0.0_f64;
    for (a, b) in rows.iter().zip(samples) {
        assert_eq!(a.labels, b.labels, "{expr}");
        let times = |s: &Series| s.points.iter().map(|p| p.t_ms).collect::<Vec<_>>();
        assert_eq!(times(a), times(b), "{expr}: values stand at the same instants");
        for (p, q) in a.points.iter().zip(&b.points) {
            most = most.max((p.value - q.value).abs());
        }
    }
    most
}

#[test]
fn rows_say_what_samples_say_within_the_stated_bounds() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = filled(dir.path());
    // Beginning in old time, ending where there are samples alone.
    let spans = [
        (DAY / 2, DAYS * DAY, HOUR),
        (HOUR, 4 * DAY, 10 * MINUTE),
        (2 * DAY, 3 * DAY + 2 * HOUR, 5 * MINUTE),
        (DAY, DAY + 6 * HOUR, 3 * HOUR),
        // Beginning just after nobody looked.
        (DAY + 10 * HOUR, DAY + 14 * HOUR, HOUR),
    ];
    for span in spans {
        for range in ["1h", "2h", "30m"] {
            for (expr, bound) in [
                ("min_over_time({job='j'}[R])", 0.0),
                ("max_over_time({job='j'}[R])", 0.0),
                ("count_over_time({job='j'}[R])", 0.0),
                ("present_over_time({job='j'}[R])", 0.0),
                ("last_over_time({job='j'}[R])", 0.0),
                ("sum_over_time(gauge[R])", 1e-9),
                ("avg_over_time(gauge[R])", 1e-9),
                ("sum(max_over_time(gauge[R])) + 1", 0.0),
                ("{job='j'}", 0.0),
                ("absent(away)", 0.0),
                ("absent_over_time(away[R])", 0.0),
                ("sum by (__name__) ({job='j', __name__!~'.*total'})", 1e-12),
                // Twice what it grows by from one sample to the next.
                ("increase(even_total[R])", 6.0),
                ("rate(even_total[R])", 6.0 / 1800.0),
                ("increase(uneven_total[R])", 40.0),
                ("increase(unseen_total[R])", 4.0),
                ("max_over_time(gauge[R] offset 1h)", 0.0),
            ] {
                let expr = expr.replace('R', range);
                let (by_rows, read) = ask(&state, &expr, i64::MAX, span);
                let (by_samples, all) = ask(&state, &expr, 0, span);
                let most = apart(&expr, &by_rows, &by_samples);
                assert!(most <= bound, "{expr} over {span:?}: {most} apart");
                assert!(read < all, "{expr} over {span:?}: {read} of {all} samples were read");
            }
        }
    }
    // Where a counter does not begin within the window, an even one is told to the last digit.
    let span = (DAY, 2 * DAY, HOUR);
    let increase = |rows| ask(&state, "increase(even_total[1h])", rows, span).0;
    assert!(apart("increase", &increase(i64::MAX), &increase(0)) < 1e-6);
    // Everything else is answered from samples.
    for expr in [
        "quantile_over_time(0.5, gauge[1h])",
        "delta(gauge[1h])",
        "changes(gauge[1h])",
        "gauge @ 86400",
        "max_over_time(gauge[61m])",
    ] {
        let span = (DAY, 2 * DAY, HOUR);
        assert_eq!(ask(&state, expr, i64::MAX, span).1, ask(&state, expr, 0, span).1, "{expr}");
    }
    // A finer step is, too; and one that only the finer rows fit takes those.
    let reads = |rows_max_ms, step| ask(&state, "max_over_time(gauge[1h])", rows_max_ms, (DAY, 2 * DAY, step)).1;
    assert_eq!(reads(i64::MAX, MINUTE), reads(0, MINUTE));
    assert_eq!(reads(i64::MAX, HOUR), 26);
    assert_eq!(reads(i64::MAX, HOUR - 5 * MINUTE), reads(5 * MINUTE, HOUR - 5 * MINUTE));
}

#[test]
fn when_the_samples_are_gone_rows_answer_at_any_instant() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(filled(dir.path()));
    let state = store(dir.path(), 1);
    state.tsdb.maintain(30 * DAY).expect("old blocks go");
    assert_eq!(state.tsdb.coarse_reach().1, i64::MAX, "no samples are left");
    let span = (DAY + 7 * MINUTE, 2 * DAY, HOUR);
    let (series, _) = ask(&state, "rate(even_total[1h])", i64::MAX, span);
    assert_eq!((series.len(), series[0].points.len()), (1, 24));
    for p in &series[0].points {
        assert!((p.value - 0.1).abs() < 0.1 / 60.0 * 10.0, "{p:?}");
    }
    let (series, _) = ask(&state, "gauge", i64::MAX, span);
    assert_eq!(series[0].points.len(), 24);
    assert!(ask(&state, "gauge", 0, span).0.is_empty());
}

#[test]
fn samples_answer_where_rows_are_kept_shorter() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(filled(dir.path()));
    let state = store_with(dir.path(), 100, 3);
    state.tsdb.maintain(DAYS * DAY + HOUR).expect("old rows go");
    let [fine, hours] = reach(0, 3 * DAY);
    assert_eq!(state.tsdb.coarse_reach().0, [CoarseReach { from_ms: 2 * DAY, ..fine }, hours]);
    let expr = "max_over_time(gauge[1h])";
    let reads = |span| {
        let (by_rows, read) = ask(&state, expr, i64::MAX, span);
        let (by_samples, all) = ask(&state, expr, 0, span);
        assert_eq!(apart(expr, &by_rows, &by_samples), 0.0, "{span:?}");
        (read, all)
    };
    for first in [HOUR, 2 * DAY] {
        let (read, all) = reads((first, 4 * DAY, 10 * MINUTE));
        assert_eq!(read, all, "from {first} there are no rows as fine as the step");
    }
    for span in [(2 * DAY + HOUR, 4 * DAY, 10 * MINUTE), (2 * HOUR, 4 * DAY, HOUR)] {
        let (read, all) = reads(span);
        assert!(read < all, "{read} of {all} samples were read over {span:?}");
    }
}

#[test]
fn imported_time_has_rows_of_what_was_there_and_what_came() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = filled(dir.path());
    let span = (DAY, 2 * DAY, HOUR);
    let before = ask(&state, "count_over_time({job='j'}[1h])", i64::MAX, span).0;
    // A gap is filled, and a series comes that was not there.
    let gap: Vec<_> = (6 * HOUR..9 * HOUR).step_by(PACE as usize).map(|t| Point::new(DAY + t + PACE, 5.0)).collect();
    let (away, new) =
        ([("__name__", "away"), ("job", "j"), ("kind", "away")], [("__name__", "new"), ("job", "j"), ("kind", "new")]);
    let write = |labels| SeriesWrite { labels, points: &gap, ..SeriesWrite::default() };
    state.tsdb.import(&[write(&away), write(&new)], DAYS * DAY + HOUR).expect("old samples are taken");
    let expr = "count_over_time({job='j'}[1h])";
    let check = |state: &State| {
        let (by_rows, _) = ask(state, expr, i64::MAX, span);
        let (by_samples, _) = ask(state, expr, 0, span);
        assert_eq!(apart(expr, &by_rows, &by_samples), 0.0);
        assert_eq!(by_rows.len(), before.len() + 1);
    };
    check(&state);
    // Also when the server ends before the rows are made again.
    drop(state);
    let state = store(dir.path(), 100);
    check(&state);
    state.tsdb.maintain(DAYS * DAY + HOUR).expect("rows are made again");
    assert_eq!(state.tsdb.coarse_reach().0, reach(0, 3 * DAY));
    check(&state);
    assert_eq!(ask(&state, expr, i64::MAX, span).1, ask(&state, expr, HOUR, span).1);
    drop(state);
    check(&store(dir.path(), 100));
}
