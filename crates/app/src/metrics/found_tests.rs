//! What the look at the store finds, and what of a cluster's answer is whose.

use tenfold_tsdb::{HistogramPoint, Point, SeriesWrite};
use tenfold_types::{Histogram, histogram::Buckets};

use super::*;
use crate::Settings;
use crate::metrics::conventions::merged;

const NOW: i64 = 1_795_424_000_000;

fn store(dir: &std::path::Path) -> State {
    let settings = Settings { data_dir: dir.to_owned(), ..Settings::default() };
    State::open(&settings).expect("an empty store opens")
}

fn float(state: &State, labels: &[(&str, &str)], t_ms: i64) {
    let points = [Point::new(t_ms, 1.0)];
    let write = SeriesWrite { labels, points: &points, ..SeriesWrite::default() };
    assert_eq!(state.tsdb.write(&[write]).expect("it is written").rejected, []);
}

fn native(state: &State, labels: &[(&str, &str)], t_ms: i64) {
    let positive = Buckets::single(1, vec![1.0, 2.0]);
    let histogram = Histogram { schema: 3, count: 3.0, sum: 1.0, positive, ..Histogram::default() };
    let histograms = [HistogramPoint { t_ms, histogram: Arc::new(histogram) }];
    let write = SeriesWrite { labels, histograms: &histograms, ..SeriesWrite::default() };
    assert_eq!(state.tsdb.write(&[write]).expect("it is written").rejected, []);
}

fn found(state: &State, service: &str) -> Vec<Names> {
    state.look_up(service, 60, Timestamp(NOW)).expect("the store answers")
}

#[test]
fn each_way_to_say_whose_a_series_is_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = store(dir.path());
    let scraped = |name: &'static str, environment: &'static str| {
        [("__name__", name), ("code", "200"), ("environment", environment), ("job", "x"), ("service", "photos")]
    };
    float(&state, &scraped("http_requests_total", "production"), NOW - 1_000);
    float(&state, &scraped("http_requests_total", "staging"), NOW - 1_000);
    native(&state, &[("__name__", "rpc_server_duration_milliseconds"), ("job", "shop/photos")], NOW - 1_000);
    float(&state, &[("__name__", "photos_uploads_total")], NOW - 1_000);
    float(&state, &[("__name__", "other_total"), ("service", "albums")], NOW - 1_000);
    let all = found(&state, "photos");
    let shown: Vec<(&str, Vec<&str>, bool)> =
        all.iter().map(|n| (n.of.as_str(), n.by_name.keys().map(String::as_str).collect(), n.split)).collect();
    assert_eq!(
        shown,
        [
            ("service=\"photos\"", vec!["http_requests_total"], true),
            ("job=~\".+/photos\"", vec!["rpc_server_duration_milliseconds"], false),
            ("", vec!["photos_uploads_total"], false),
        ]
    );
    assert!(all[0].by_name["http_requests_total"].labels.contains("code"));
    assert!(all[1].by_name["rpc_server_duration_milliseconds"].native);
    let titles: Vec<String> = merged(&all).into_iter().map(|panel| panel.title).collect();
    assert_eq!(titles, ["Requests", "Error ratio", "Calls", "Time of calls", "Counters"]);
    assert_eq!(found(&state, "nobody"), []);
}

#[test]
fn a_number_under_the_name_of_a_duration_is_no_histogram() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = store(dir.path());
    float(&state, &[("__name__", "http_server_request_duration_seconds"), ("service", "photos")], NOW - 1_000);
    let all = found(&state, "photos");
    assert!(!all[0].by_name["http_server_request_duration_seconds"].native);
    assert_eq!(merged(&all), []);
}

#[test]
fn the_window_of_rates_holds_four_samples() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = store(dir.path());
    for n in 0..10 {
        float(&state, &[("__name__", "http_requests_total"), ("service", "photos")], NOW - (10 - n) * 60_000);
        float(&state, &[("__name__", "http_requests_total"), ("service", "albums")], NOW - (10 - n) * 1_000);
    }
    assert_eq!((found(&state, "photos")[0].window_s, found(&state, "albums")[0].window_s), (240, 60));
    assert_eq!((window_of(15_000), window_of(0), window_of(i64::MAX)), (60, 60, 3_600));
}

#[test]
fn what_ended_long_ago_does_not_count() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = store(dir.path());
    float(&state, &[("__name__", "http_requests_total"), ("service", "photos")], NOW - LOOK_BACK_MS - 60_000);
    assert_eq!(found(&state, "photos"), []);
}

#[test]
fn a_name_is_no_regular_expression() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = store(dir.path());
    float(&state, &[("__name__", "up"), ("job", "shop/photoXalbum")], NOW - 1_000);
    assert_eq!(found(&state, "photo.album"), []);
    float(&state, &[("__name__", "up"), ("job", "shop/photo.album")], NOW - 1_000);
    let all = found(&state, "photo.album");
    assert_eq!(all[0].of, "job=~\".+/photo\\\\.album\"");
    let expr = &merged(&all)[0].queries[0].expr;
    assert_eq!(expr, "sum(up{job=~\".+/photo\\\\.album\"})");
    tenfold_promql::parse(expr).expect("as it is written it parses");
}

#[test]
fn a_clusters_series_are_told_apart_as_the_own_stores_are() {
    let series = serde_json::json!([
        {"__name__": "http_requests_total", "service": "photos", "status": "200", "environment": "a"},
        {"__name__": "http_requests_total", "service": "photos", "status": "500", "environment": "b"},
        {"__name__": "http_server_request_duration_seconds", "job": "shop/photos", "http_response_status_code": "200"},
        {"__name__": "photos_uploads_total"},
        {"__name__": "photos_seen_total", "service": "albums"},
    ]);
    let all = of_series("photos", 60, series.as_array().expect("a list"));
    let of: Vec<&str> = all.iter().map(|n| n.of.as_str()).collect();
    assert_eq!(of, ["service=\"photos\"", "job=~\".+/photos\"", ""]);
    assert_eq!((all[0].split, all[1].split), (true, false));
    assert!(all[1].by_name["http_server_request_duration_seconds"].native);
    assert_eq!(all[2].by_name.len(), 1, "what says that it is another's is not taken by its name");
}

#[test]
fn what_was_found_is_kept_for_a_minute_and_nothing_is_not() {
    let (cache, now) = (Cache::default(), Timestamp(NOW));
    cache.put("empty", &Arc::default(), now);
    assert_eq!(cache.get("empty", now), None);
    let found = Arc::new(vec![Names::default()]);
    cache.put("photos", &found, now);
    assert_eq!(cache.get("photos", now.plus_ms(FRESH_MS - 1)), Some(found));
    assert_eq!(cache.get("photos", now.plus_ms(FRESH_MS)), None);
}
