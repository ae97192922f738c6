//! The cluster that answers instead of the own store: what it is shown of us, and what is told of one that has moved.

#[path = "common/request.rs"]
mod request;

use std::sync::Arc;

use tenfold_app::settings::{Engine, Remote};
use tenfold_app::{App, Settings};
use tenfold_testkit::{TempDb, TestClock, TestEntropy, temp_db};
use tenfold_types::ErrorCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use request::request;

const LABELS: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 35\r\nConnection: close\r\n\r\n{\"status\":\"success\",\"data\":[\"job\"]}";
/// To the same place, and to another one.
const WITHIN: &str =
    "HTTP/1.1 307 Temporary Redirect\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const AWAY: &str = "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://store.example.org/there\r\n\
     Content-Length: 0\r\nConnection: close\r\n\r\n";

/// So Prometheus answers where there are no series whose exemplars could be meant.
const NOTHING: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
const NO_TENANT: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 10\r\nConnection: close\r\n\r\nno org\n id";
const PAGE: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>";
const PART: &str = "HTTP/1.1 200 OK\r\nContent-Length: 67\r\nConnection: close\r\n\r\n\
     {\"status\":\"success\",\"isPartial\":true,\"data\":[],\"warnings\":[\"slow\"]}";
const ALONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 47\r\nConnection: close\r\n\r\n\
     {\"status\":\"success\",\"isPartial\":true,\"data\":[]}";

/// Answers one question after the other, as told, and hands over their heads.
async fn cluster(answers: Vec<&'static str>) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let (head, _) = request(&mut stream).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("the answer is sent");
            let _ = tell.send(head);
        }
    });
    (address, told)
}

/// A server before a cluster.
async fn asking(url: &str, http_config: serde_json::Value, token_file: &str) -> (App, TempDb, tempfile::TempDir) {
    asking_as(|remote| {
        url.clone_into(&mut remote.url);
        remote.token_file = token_file.into();
        remote.http_config = serde_json::from_value(http_config).expect("a configuration");
    })
    .await
}

async fn asking_as(change: impl FnOnce(&mut Remote)) -> (App, TempDb, tempfile::TempDir) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (dir, db) = (tempfile::tempdir().expect("a temporary directory"), temp_db().await);
    let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    settings.metrics.engine = Engine::Remote;
    change(&mut settings.metrics.remote);
    let metrics = tenfold_app::metrics::State::open(&settings).expect("an empty store opens");
    let clock = Arc::new(TestClock::default());
    let app = App::new((*db).clone(), clock, Arc::new(TestEntropy::default()), settings, metrics);
    (app, db, dir)
}

#[tokio::test]
async fn a_cluster_is_shown_who_asks_and_followed_within_its_place() {
    let (address, mut told) = cluster(vec![WITHIN, LABELS, AWAY]).await;
    let config = serde_json::json!({
        "basic_auth": {"username": "123", "password": "s3cret"}, "http_headers": {"X-Scope-OrgID": {"values": ["a"]}},
    });
    let (app, _db, _dir) = asking(&format!("http://someone:else@{address}/"), config, "").await;
    tenfold_ingest::connect(&app, &CancellationToken::new()).expect("it is set as it should be");
    let answer = app.ask_cluster("/api/v1/labels", &[]).await.expect("an answer").expect("of the cluster");
    assert_eq!(answer.json["data"][0], "job");
    for path in ["POST /api/v1/labels ", "POST /there "] {
        let head = told.recv().await.expect("it is asked");
        // 123:s3cret, in base64.
        let shown = head.contains("authorization: Basic MTIzOnMzY3JldA==") && head.contains("x-scope-orgid: a");
        assert!(head.starts_with(path) && shown, "{head}");
    }
    let moved = app.ask_cluster("/api/v1/labels", &[]).await.expect_err("nobody else is asked");
    assert_eq!(moved.code, ErrorCode::Unavailable);
    let said = format!("the cluster at http://{address}/ redirects to https://store.example.org/there");
    assert_eq!(moved.message, said);
}

#[tokio::test]
async fn a_token_is_read_each_time_and_what_is_set_is_not_added_to() {
    let (address, mut told) = cluster(vec![LABELS, LABELS]).await;
    let files = tempfile::tempdir().expect("a temporary directory");
    let token_file = files.path().join("token");
    std::fs::write(&token_file, "first").expect("written");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (app, _db, _dir) = asking_as(|remote| {
        remote.url = format!("http://{address}");
        remote.token_file.clone_from(&token_file);
        remote.parameters = [pair("extra_filters[]", "{team=\"a\"}")].into();
    })
    .await;
    tenfold_ingest::connect(&app, &CancellationToken::new()).expect("it is set as it should be");
    // VictoriaMetrics takes either name, and answers with what one of the filters lets through.
    let asked = [pair("limit", "5"), pair("extra_filters[]", "{team=\"b\"}"), pair("extra_filters", "{team=\"b\"}")];
    for token in ["first", "second"] {
        std::fs::write(&token_file, token).expect("written");
        app.ask_cluster("/api/v1/label/job/values", &asked).await.expect("an answer");
        let head = told.recv().await.expect("it is asked");
        assert!(head.contains(&format!("authorization: Bearer {token}")), "{head}");
        let path = "GET /api/v1/label/job/values?limit=5&extra_filters%5B%5D=%7Bteam%3D%22a%22%7D ";
        assert!(head.starts_with(path), "{head}");
    }
}

#[tokio::test]
async fn what_else_a_cluster_answers_is_told() {
    let (address, _told) = cluster(vec![NOTHING, NO_TENANT, PAGE, PART, ALONE]).await;
    let (app, _db, _dir) = asking(&format!("http://{address}"), serde_json::Value::Null, "").await;
    tenfold_ingest::connect(&app, &CancellationToken::new()).expect("it is set as it should be");
    let nothing = app.ask_cluster("/api/v1/query_exemplars", &[]).await.expect("an answer").expect("of the cluster");
    assert_eq!(nothing.json, serde_json::json!({"status": "success", "data": []}));
    let other = format!("the cluster at http://{address} answered");
    for said in [
        format!("{other} 401 Unauthorized and no answer of Prometheus: no org id"),
        format!("{other} 502 Bad Gateway and no answer of Prometheus"),
    ] {
        let refused = app.ask_cluster("/api/v1/labels", &[]).await.expect_err("it is none of Prometheus'");
        assert_eq!((refused.code, refused.message), (ErrorCode::Unavailable, said));
    }
    let partial = "the cluster's answer is partial: some of its stores did not answer";
    for warnings in [serde_json::json!(["slow", partial]), serde_json::json!([partial])] {
        let part = app.ask_cluster("/api/v1/labels", &[]).await.expect("an answer").expect("of the cluster");
        assert_eq!(part.json["warnings"], warnings);
    }
}

#[tokio::test]
async fn what_is_wrong_with_it_is_told_at_the_start_without_its_secrets() {
    for (config, token_file, said) in [
        (serde_json::json!({"basic_auth": {"username": "a", "pasword": "s3cret"}}), "", "unknown field `pasword`"),
        (serde_json::json!({"basic_auth": {"username": "a"}, "bearer_token": "s3cret"}), "", "at most"),
        (serde_json::json!({"bearer_token": "s3cret"}), "/none/such", "token_file and http_config both say who we are"),
    ] {
        let (app, _db, _dir) = asking("http://127.0.0.1:1", config, token_file).await;
        let wrong = tenfold_ingest::connect(&app, &CancellationToken::new()).map(|_| ()).expect_err("it is refused");
        let wrong = wrong.to_string();
        assert!(wrong.starts_with("metrics.remote: ") && wrong.contains(said), "{wrong}");
        assert!(!wrong.contains("s3cret"), "{wrong}");
    }
}
