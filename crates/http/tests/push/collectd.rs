//! What collectd's `write_http` posts.

use axum::http::StatusCode;

use crate::common::world;

const T_S: i64 = 1_795_424_000;

#[tokio::test]
async fn lists_in_json_become_series() {
    let world = world().await;
    let token = world.metrics_token().await;
    let body = format!(
        "[{{\"values\":[1.5,null],\"dstypes\":[\"gauge\",\"gauge\"],\"dsnames\":[\"used\",\"free\"],\"time\":{T_S}.000,\
         \"interval\":10.000,\"host\":\"h1\",\"plugin\":\"df\",\"plugin_instance\":\"root\",\"type\":\"df\",\"type_instance\":\"\"}},\
         {{\"values\":[7],\"dstypes\":[\"derive\"],\"dsnames\":[\"value\"],\"time\":{T_S},\"host\":\"h1\",\"plugin\":\"cpu\",\
         \"type\":\"cpu\"}}]"
    );
    let json = ("content-type", "application/json");
    let answer = world.post("/collectd", &token, &[json], body.into_bytes()).await;
    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, ""));
    let labels = "ds_name=\"used\",host=\"h1\",plugin=\"df\",plugin_instance=\"root\",type=\"df\"";
    assert_eq!(world.values("collectd_df_df_used", T_S * 1_000), [(format!("collectd_df_df_used{{{labels}}}"), 1.5)]);
    assert!(world.values("collectd_df_df_free", T_S * 1_000).is_empty(), "null is no sample");
    assert_eq!(world.values("collectd_cpu_cpu", T_S * 1_000)[0].1, 7.0);
    assert_eq!(world.app.metrics.metadata()["collectd_cpu_cpu"].kind, "counter");
    let wrong = world.post("/collectd", &token, &[], b"PUTVAL h/a/b N:1".to_vec()).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text().contains("Format"), "{}", wrong.text());
    assert_eq!(world.post("/collectd", "", &[], Vec::new()).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_wrong_entry_costs_no_other() {
    let world = world().await;
    let token = world.metrics_token().await;
    let entry = |plugin: &str, values: &str| {
        format!(
            "{{\"values\":{values},\"dstypes\":[\"gauge\"],\"dsnames\":[\"value\"],\"time\":{T_S},\"host\":\"h1\",\
             \"plugin\":\"{plugin}\",\"type\":\"t\"}}"
        )
    };
    let body = format!("[{},{},{}]", entry("one", "[1]"), entry("bad", "[1,2]"), entry("two", "[2]"));
    let answer = world.post("/collectd", &token, &[], body.into_bytes()).await;
    let text = answer.text();
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{text}");
    assert!(text.contains("1 refused (bad_packet), the first: entry 2: "), "{text}");
    for (name, value) in [("collectd_one_t", 1.0), ("collectd_two_t", 2.0)] {
        assert_eq!(world.values(name, T_S * 1_000)[0].1, value, "{name}");
    }
    assert!(world.values("collectd_bad_t", T_S * 1_000).is_empty());
}
