//! A cluster that answers as it is told, asked through the use cases.

use parking_lot::Mutex;
use serde_json::json;
use tenfold_testkit::{TempDb, TestClock, TestEntropy, temp_db};

use super::*;
use crate::flags::FlagUpdate;
use crate::settings::Engine;
use crate::{Caller, Settings};

/// An address, and what it was asked with.
type Asked = (String, Vec<(String, String)>);

#[derive(Default)]
struct Scripted {
    /// Memory that each answer takes.
    bytes: u64,
    /// Whether it never answers.
    is_silent: bool,
    /// Whether it answers with what some of its stores have.
    is_partial: bool,
    asked: Mutex<Vec<Asked>>,
}

/// One series: its newest value, and for a range of samples those.
fn scripted(query: &str) -> Json {
    let metric = json!({"__name__": "up", "job": "web"});
    let (kind, row) = if query.ends_with(']') {
        ("matrix", json!({"metric": metric, "values": [[100.0, "1"], [115.5, "2"]]}))
    } else {
        ("vector", json!({"metric": metric, "value": [120.0, "2"]}))
    };
    json!({
        "status": "success", "infos": ["PromQL info: odd (1:3)"],
        "data": {"resultType": kind, "result": [row], "stats": {
            "timings": {"evalTotalTime": 0.002, "execQueueTime": 0.001},
            "samples": {"totalQueryableSamples": 12, "peakSamples": 3},
        }},
    })
}

#[async_trait]
impl Cluster for Scripted {
    async fn ask(
        &self,
        path: &str,
        parameters: &[(String, String)],
        mut memory: AnswerMemory,
    ) -> Result<ClusterAnswer, Fault> {
        memory.take(self.bytes)?;
        self.asked.lock().push((path.to_owned(), parameters.to_vec()));
        if self.is_silent {
            return std::future::pending().await;
        }
        if path == "/api/v1/series" {
            return Ok(ClusterAnswer { json: json!({"status": "success", "data": [{"__name__": "up"}]}), memory });
        }
        let query = parameters.iter().find(|(name, _)| name == "query").map_or("", |(_, query)| query.as_str());
        let mut json = scripted(query);
        json["isPartial"] = self.is_partial.into();
        Ok(ClusterAnswer { json, memory })
    }
}

/// A server before such a cluster.
struct World {
    app: App,
    cluster: Arc<Scripted>,
    _db: TempDb,
    _dir: tempfile::TempDir,
}

async fn world(bytes: u64) -> World {
    world_of(Scripted { bytes, ..Scripted::default() }).await
}

async fn world_of(cluster: Scripted) -> World {
    let (dir, db) = (tempfile::tempdir().expect("a temporary directory"), temp_db().await);
    let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    settings.metrics.engine = Engine::Remote;
    settings.metrics.query.bytes_max = 1 << 20;
    let state = State::open(&settings).expect("an empty store opens");
    let cluster = Arc::new(cluster);
    state.set_cluster(cluster.clone());
    let entropy = Arc::new(TestEntropy::default());
    let app = App::new((*db).clone(), Arc::new(TestClock::default()), entropy, settings, state);
    World { app, cluster, _db: db, _dir: dir }
}

#[tokio::test]
async fn an_explained_question_has_one_node_with_what_the_cluster_tells() {
    let world = world(1_000).await;
    let how = How { explain: true, lookback_ms: Some(60_000), ..How::default() };
    let told = world.app.query_told("sum(up)", Timestamp(120_000), how).await.expect("an answer");
    let [node] = &told.answer.plan[..] else { panic!("{:?}", told.answer.plan) };
    assert_eq!((node.operation.as_str(), node.samples, node.rows, node.ms), ("cluster", 12, 1, 2.0));
    assert_eq!((node.span.start, node.span.end, told.threads, told.queued_ms), (0, 7, 0, 1.0));
    assert_eq!(told.answer.annotations[0].render("sum(up)"), "PromQL info: odd (1:3)");
    assert_eq!(told.answer.bytes_held, 1_000);
    let asked = world.cluster.asked.lock().clone();
    for pair in [("stats", "all"), ("lookback_delta", "60.000"), ("query", "sum(up)")] {
        assert!(asked[0].1.iter().any(|(name, value)| (name.as_str(), value.as_str()) == pair), "{asked:?}");
    }
    let plain = world.app.query_told("sum(up)", Timestamp(120_000), How::default()).await.expect("an answer");
    assert!(plain.answer.plan.is_empty());
    let asked = world.cluster.asked.lock().clone();
    assert!(asked[1].1.iter().all(|(name, _)| name != "stats"), "{asked:?}");
}

#[tokio::test]
async fn an_answer_that_takes_too_much_memory_names_the_limit() {
    let world = world((1 << 20) + 1).await;
    let fault = world.app.query("up", Timestamp(120_000)).await.expect_err("it is too long");
    assert_eq!(fault.code, ErrorCode::Invalid);
    assert!(fault.message.contains("1048576 bytes") && fault.message.contains("metrics.query.bytes_max"), "{fault:?}");
    assert!(world.app.ask_cluster("/api/v1/labels", &[]).await.is_err(), "lists as well");
}

#[tokio::test]
async fn who_says_how_long_to_wait_waits_no_longer() {
    let world = world_of(Scripted { is_silent: true, ..Scripted::default() }).await;
    let how = How { timeout_ms: Some(1), ..How::default() };
    let asked = world.app.query_told("up", Timestamp(120_000), how).await.map(|_| ()).expect_err("it is silent");
    assert_eq!((asked.code, asked.message.as_str()), (ErrorCode::Timeout, "the cluster did not answer within 1 ms"));
    for (text, ms) in [("20ms", 20), ("0.005", 5)] {
        let waits = [("query".to_owned(), "up".to_owned()), ("timeout".to_owned(), text.to_owned())];
        let fault = world.app.ask_cluster("/api/v1/query", &waits).await.expect_err("it is silent");
        assert_eq!(fault.message, format!("the cluster did not answer within {ms} ms"));
    }
    let said = |text: &str| timeout_ms(&[("timeout".to_owned(), text.to_owned())]);
    assert_eq!(["", "0", "-5", "soon", "2m"].map(said), [None, None, None, None, Some(120_000)]);
}

/// An alert would end, or begin, by what stores have that are away.
#[tokio::test]
async fn nothing_is_decided_by_a_part_of_an_answer() {
    let world = world_of(Scripted { is_partial: true, ..Scripted::default() }).await;
    for how in [How { by_rule: true, ..How::default() }, How { whole: true, ..How::default() }] {
        let fault = world.app.query_told("up", Timestamp(120_000), how).await.map(|_| ()).expect_err("half of it");
        assert_eq!(fault.code, ErrorCode::Unavailable);
        assert!(fault.message.contains("partial"), "{}", fault.message);
    }
    let numbers = world.app.query_numbers("up").await.expect_err("guards and permits decide by them");
    assert!(numbers.contains("partial"), "{numbers}");
    assert!(world.app.query("up", Timestamp(120_000)).await.is_ok(), "people see what there is");
}

#[tokio::test]
async fn newest_samples_are_those_of_the_cluster() {
    let world = world(1_000).await;
    let selectors = ["up".to_owned(), "{job=\"web\"}".to_owned()];
    let found = world.app.newest_samples(&selectors).await.expect("an answer");
    assert_eq!(found.rows.len(), 1, "each series once: {:?}", found.rows);
    assert_eq!((found.rows[0].t_ms, found.rows[0].value.float()), (115_500, Some(2.0)));
}

#[tokio::test]
async fn templates_of_alerts_ask_the_cluster_as_their_rules_do() {
    let world = world(0).await;
    crate::load(&world.app).await.expect("an empty store loads");
    let rules = "groups:\n- name: case\n  interval: 30s\n  rules:\n  - alert: Down\n    expr: pushed > 1\n    \
                 annotations: {told: '{{ with query \"other\" }}{{ . | first | value }}{{ end }}'}\n";
    world.app.rules_put(&Caller::system(), "case", rules).await.expect("the rules load");
    world.app.alerts_tick().await.expect("the group is evaluated");
    let groups = world.app.rules();
    let rule = groups.iter().flat_map(|group| &group.rules).find(|rule| rule.name == "Down").expect("it is loaded");
    assert_eq!(rule.error, None);
    assert_eq!(rule.alerts[0].annotations.get("told").map(String::as_str), Some("2"));
    let asked = world.cluster.asked.lock().clone();
    assert!(asked.iter().flat_map(|(_, with)| with).any(|(_, value)| value == "other"), "{asked:?}");
}

#[tokio::test]
async fn a_guard_asks_the_cluster_which_counters_are_known() {
    let world = world(0).await;
    let app = &world.app;
    crate::load(app).await.expect("an empty store loads");
    app.flag_put(&Caller::system(), "uploader", FlagUpdate::default()).await.expect("a flag");
    let start = json!({"steps": [{"percent": 1, "hold_ms": 60_000}, {"percent": 100}], "guard": {
        "expr": "sum(rate(errors_total[1m])) / sum(rate(requests_total[1m]))",
        "condition": {"threshold": {"op": "<", "value": 0.05}},
    }});
    let start = serde_json::from_value(start).expect("a start");
    app.flag_ramp_start(&Caller::system(), "uploader", "production", start).await.expect("a ramp");
    app.flag_guards_look().await;
    let asked = world.cluster.asked.lock().clone();
    let with = |path: &str, name: &str| {
        let all = asked.iter().filter(|(to, _)| to == path).flat_map(|(_, with)| with);
        all.filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(with("/api/v1/series", "match[]"), ["{__name__=\"errors_total\"}"], "{asked:?}");
    let queries = with("/api/v1/query", "query");
    let filled = |query: &String| query.ends_with("((sum(rate(requests_total[1m]))) > 0) * 0))");
    assert!(queries.iter().any(filled), "zero for errors: {queries:?}");
}
