//! What the settings bound: the size of the store, how late samples may come, what a query may take.

use tenfold_promql::Value;
use tenfold_testkit::{TestClock, TestEntropy, temp_db};
use tenfold_tsdb::SeriesWrite;
use tenfold_types::{STALE_NAN, histogram::Buckets};

use super::*;
use crate::settings::{Size, Span};

const NOW: i64 = 1_795_424_400_000;
const MINUTE: i64 = 60_000;

fn opened(dir: &std::path::Path, change: impl FnOnce(&mut Settings)) -> Result<State, Fault> {
    let mut settings = Settings { data_dir: dir.to_owned(), ..Settings::default() };
    change(&mut settings);
    State::open(&settings)
}

/// A number that looks like chance, so that it takes its eight bytes, and is the same in every run.
fn noise(seed: u64) -> f64 {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    x ^= x >> 31;
    f64::from_bits((x.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 12) | 0x3FF0_0000_0000_0000)
}

#[test]
fn the_oldest_samples_go_when_all_take_too_much() {
    const SERIES: u64 = 120;
    // Two days are kept, of which no block is larger than an eighth.
    const SAMPLES: i64 = 46 * 60;
    let first = NOW - SAMPLES * MINUTE;
    let last = NOW - MINUTE;
    let kept = |size: u64| {
        let dir = tempfile::tempdir().unwrap();
        let state = opened(dir.path(), |s| {
            s.metrics.retention_days = 2;
            s.metrics.retention_size = Size(size);
        })
        .unwrap();
        for series in 0..SERIES {
            let number = series.to_string();
            let value = |n: i64| noise((series << 32) | n.unsigned_abs());
            let points: Vec<Point> = (0..SAMPLES).map(|n| Point::new(first + n * MINUTE, value(n))).collect();
            let labels = [(Labels::NAME, "noise"), ("series", number.as_str())];
            let write = SeriesWrite { labels: &labels, points: &points, ..SeriesWrite::default() };
            assert_eq!(state.tsdb.write(&[write]).unwrap().rejected, []);
        }
        for _ in 0..3 {
            state.tsdb.maintain(NOW).unwrap();
        }
        state.tsdb.stats()
    };
    let size = 1 << 20;
    let bounded = kept(size);
    assert!(bounded.block_bytes <= size, "{bounded:?}");
    assert!(bounded.min_t_ms > Some(first) && bounded.max_t_ms == Some(last), "{bounded:?}");
    let whole = kept(0);
    assert!(whole.block_bytes > size, "there was something to drop: {whole:?}");
    assert_eq!((whole.min_t_ms, whole.max_t_ms), (Some(first), Some(last)));
}

#[test]
fn histograms_of_rules_are_kept_until_their_end_is_marked() {
    let dir = tempfile::tempdir().unwrap();
    let state = opened(dir.path(), |_| {}).unwrap();
    let labels = Labels::from_pairs([(Labels::NAME, "job:latency:rate5m")]);
    let positive = Buckets::single(1, vec![4.0]);
    let histogram = Arc::new(Histogram { count: 4.0, sum: 8.0, positive, ..Histogram::default() });
    assert_eq!(state.append_histograms_of_rules(&[(labels.clone(), histogram)], NOW).unwrap().rejected, []);
    let counts = |at: i64| -> Vec<Option<f64>> {
        let answer = state.query_instant("histogram_count(job:latency:rate5m)", Timestamp(at)).unwrap();
        let Value::Vector(rows) = answer else { panic!("a vector is answered") };
        rows.iter().map(|row| row.value.float()).collect()
    };
    assert_eq!(counts(NOW), [Some(4.0)]);
    let end = Sample::new(labels, NOW + MINUTE, STALE_NAN);
    assert_eq!(state.append_of_rules(&[end]).unwrap().rejected, []);
    assert_eq!((counts(NOW + MINUTE - 1), counts(NOW + MINUTE)), (vec![Some(4.0)], vec![]));
}

#[test]
fn samples_may_come_as_late_as_the_settings_say() {
    let late = |window_ms: Option<i64>, by_ms: i64| -> Vec<&'static str> {
        let dir = tempfile::tempdir().unwrap();
        let state = opened(dir.path(), |s| {
            if let Some(ms) = window_ms {
                s.metrics.out_of_order_time_window = Span(ms);
            }
        })
        .unwrap();
        let sample = |t_ms| Sample::new(Labels::from_pairs([(Labels::NAME, "m")]), t_ms, 1.0);
        assert_eq!(state.append(&[sample(NOW)]).unwrap().rejected, []);
        state.append(&[sample(NOW - by_ms)]).unwrap().rejected.iter().map(|r| r.reason.name()).collect()
    };
    assert_eq!(late(None, 30 * MINUTE), Vec::<&str>::new(), "half an hour when nothing is said");
    assert_eq!(late(None, 31 * MINUTE), ["too_old"]);
    assert_eq!(late(Some(120 * MINUTE), 119 * MINUTE), Vec::<&str>::new());
    assert_eq!(late(Some(120 * MINUTE), 121 * MINUTE), ["too_old"]);
    assert_eq!(late(Some(0), MINUTE), ["out_of_order"]);
}

#[test]
fn a_query_takes_no_more_than_the_settings_say() {
    let dir = tempfile::tempdir().unwrap();
    let state = opened(dir.path(), |s| {
        s.metrics.query.series_max = 10;
        s.metrics.query.samples_max = 1_000;
    })
    .unwrap();
    let sample = |name: &'static str, n: i64, t_ms| {
        Sample::new(Labels::from_pairs([(Labels::NAME, name)]).with("n", n.to_string()), t_ms, 1.0)
    };
    state.append(&(0..11).map(|n| sample("wide", n, NOW)).collect::<Vec<_>>()).unwrap();
    state.append(&(0..1_001).map(|n| sample("long", 0, NOW + n)).collect::<Vec<_>>()).unwrap();
    let at = Timestamp(NOW + 1_001);
    for (expr, number) in [("count(wide)", "10"), ("count_over_time(long[1m])", "1000")] {
        let fault = state.query_instant(expr, at).unwrap_err();
        assert_eq!(fault.code, ErrorCode::Invalid, "{fault:?}");
        assert!(fault.message.contains(number) && fault.advice.contains("metrics.query"), "{fault:?}");
    }
    assert!(state.query_instant("count(wide{n!=\"1\"})", at).is_ok());
}

#[test]
fn as_many_series_are_active_as_the_settings_say() {
    const MOST: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let state = opened(dir.path(), |s| s.metrics.series_max = MOST).unwrap();
    let sample = |n: usize| Sample::new(Labels::from_pairs([(Labels::NAME, "m")]).with("n", n.to_string()), NOW, 1.0);
    let report = state.append(&(0..=MOST).map(sample).collect::<Vec<_>>()).unwrap();
    assert_eq!((report.appended, report.rejected[0].reason.name()), (MOST, "too_many_series"));
    assert!(report.rejected[0].example.contains("limit of 10000 with samples in memory"), "{report:?}");
}

#[test]
fn a_store_is_not_opened_with_limits_that_cannot_be_meant() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = opened(dir.path(), |s| s.metrics.query.concurrency_max = 0).err().expect("no query could run");
    assert!(wrong.message.contains("metrics.query.concurrency_max is 0; it may be 1 to 1000"), "{wrong:?}");
}

#[tokio::test]
async fn a_query_waits_for_its_place_as_long_as_it_may() {
    let (dir, db) = (tempfile::tempdir().unwrap(), temp_db().await);
    let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    settings.metrics.query.concurrency_max = 1;
    settings.metrics.query.timeout_ms = 300;
    let state = State::open(&settings).unwrap();
    let entropy = Arc::new(TestEntropy::default());
    let app = App::new((*db).clone(), Arc::new(TestClock::default()), entropy, settings, state);
    let far = tokio::time::Instant::now() + Duration::from_mins(1);
    let place = app.query_place(far, 60_000).await.unwrap();
    for (timeout_ms, waited_ms) in [(None, 300), (Some(10), 10), (Some(10_000), 300)] {
        let how = How { timeout_ms, ..How::default() };
        let fault = app.query_told("1", app.now(), how).await.err().expect("there is no place");
        let said = format!("1 queries were running for {waited_ms} ms");
        assert!(fault.code == ErrorCode::Unavailable && fault.message.contains(&said), "{fault:?}");
    }
    drop(place);
    assert!(app.query_told("1", app.now(), How::default()).await.is_ok());
}
