//! An agent against a server that is played by the test: what it obeys and what it refuses.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tenfold_deploys::{Digest, Manifest, manifest::Entry};
use tenfold_protocols::agent::{
    BlobDigest, FromAgent, OrderRef, ReleaseState, RunSpec, ToAgent, decode_from_agent, encode_chunk,
};
use tenfold_runner::agent::{AgentConfig, run, stop_services};
use tenfold_testkit::TestClock;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;

use crate::world::{PATIENCE, ready};

struct Line(WebSocketStream<TcpStream>);

impl Line {
    async fn say(&mut self, message: &ToAgent) {
        self.0.send(Message::text(serde_json::to_string(message).unwrap())).await.unwrap();
    }
    /// The next message that is no heartbeat and no progress.
    async fn hear(&mut self) -> FromAgent {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap();
            let Message::Text(text) = frame else { continue };
            match decode_from_agent(&text).unwrap() {
                FromAgent::Observed { .. } | FromAgent::Staging { .. } | FromAgent::Activating { .. } => {}
                message => return message,
            }
        }
    }
    async fn hear_hello(&mut self) -> Vec<tenfold_protocols::agent::Release> {
        match self.hear().await {
            FromAgent::Hello { releases, .. } => releases,
            other => panic!("not hello: {other:?}"),
        }
    }
}

struct Host {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(dir: &Path, port: u16) -> Host {
    let config = AgentConfig {
        servers: vec![format!("http://127.0.0.1:{port}")],
        token: "t".into(),
        enrolment: None,
        name: "host-1".into(),
        environment: "production".into(),
        labels: BTreeMap::new(),
        dir: dir.to_owned(),
        address: "127.0.0.1".into(),
        version: "test".into(),
        clock: Arc::new(TestClock::default()),
        host: None,
        launcher: Some(env!("CARGO_BIN_EXE_tenfold-sandbox").into()),
    };
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    Host { stop, task: tokio::spawn(async move { run(config, stopped).await.unwrap() }) }
}

async fn accept(listener: &TcpListener) -> Line {
    let (stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    Line(accept_async(stream).await.unwrap())
}

fn order(epoch: i64) -> OrderRef {
    OrderRef { service: "photos".into(), environment: "production".into(), deploy: epoch, epoch }
}

fn spec() -> RunSpec {
    RunSpec {
        command: vec!["node".into(), "server.mjs".into()],
        env: BTreeMap::new(),
        port_env: "PORT".into(),
        health_path: "/".into(),
        health_within_ms: 20_000,
        drain_ms: 0,
        stop_within_ms: 1_000,
        limits: tenfold_protocols::agent::RunLimits::default(),
        metrics_path: None,
        sha: "4f2c91a".into(),
        reload: Vec::new(),
    }
}

fn release(text: &[u8]) -> (Manifest, BlobDigest) {
    let blake3 = Digest::of(text);
    let entry = Entry::File { path: "server.mjs".into(), executable: true, blake3, size: text.len() as u64 };
    let manifest = Manifest::new(vec![entry]).unwrap();
    let digest = BlobDigest(*manifest.digest().bytes());
    (manifest, digest)
}

const SERVER: &[u8] = b"import http from 'node:http';
http.createServer((request, response) => response.end('ok')).listen(Number(process.env.PORT), '127.0.0.1');
";

#[tokio::test]
async fn a_stale_runner_is_refused_even_after_a_restart() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = start(dir.path(), port);
    let mut line = accept(&listener).await;
    assert!(line.hear_hello().await.is_empty());

    // staging asks for the blob; wrong content and a manifest of another digest are refused
    let (manifest, digest) = release(SERVER);
    let stage =
        |epoch| ToAgent::Stage { order: order(epoch), digest, manifest: serde_json::to_value(&manifest).unwrap() };
    line.say(&stage(7)).await;
    let FromAgent::Need { blobs, .. } = line.hear().await else { panic!("it needs the blob") };
    line.0.send(Message::binary(encode_chunk(blobs[0], &vec![b'x'; SERVER.len()]))).await.unwrap();
    assert!(matches!(line.hear().await, FromAgent::Failed { error, .. } if error.contains("another digest")));
    let lie = ToAgent::Stage {
        order: order(7),
        digest: BlobDigest([1; 32]),
        manifest: serde_json::to_value(&manifest).unwrap(),
    };
    line.say(&lie).await;
    assert!(matches!(line.hear().await, FromAgent::Failed { error, .. } if error.contains("another digest")));

    line.say(&stage(7)).await;
    let FromAgent::Need { blobs, .. } = line.hear().await else { panic!("it needs the blob") };
    let (head, tail) = SERVER.split_at(40);
    line.0.send(Message::binary(encode_chunk(blobs[0], head))).await.unwrap();
    line.0.send(Message::binary(encode_chunk(blobs[0], tail))).await.unwrap();
    assert!(matches!(line.hear().await, FromAgent::Staged { .. }));

    // a release that is not here cannot be activated
    line.say(&ToAgent::Activate { order: order(7), digest: BlobDigest([9; 32]), run: Some(spec()), keep_warm: false })
        .await;
    assert!(matches!(line.hear().await, FromAgent::Failed { error, .. } if error.contains("is not on this host")));

    let activate = |epoch| ToAgent::Activate { order: order(epoch), digest, run: Some(spec()), keep_warm: false };
    line.say(&activate(7)).await;
    let FromAgent::Activated { release, .. } = line.hear().await else { panic!("it starts") };
    assert_eq!(release.state, ReleaseState::Running);
    let link = std::fs::read_link(dir.path().join("services/photos/current")).unwrap();
    assert_eq!(link, Path::new("releases").join(digest.to_string()));

    for message in [activate(6), stage(6), ToAgent::Deactivate { order: order(6) }] {
        line.say(&message).await;
        assert!(matches!(line.hear().await, FromAgent::Refused { highest_epoch: 7, .. }));
    }
    // the same again is no restart
    line.say(&activate(8)).await;
    let FromAgent::Activated { release: again, .. } = line.hear().await else { panic!("it runs") };
    assert_eq!(again.address, release.address);

    host.stop.cancel();
    host.task.await.unwrap();
    drop(line);
    let host = start(dir.path(), port);
    let mut line = accept(&listener).await;
    let running = line.hear_hello().await;
    assert_eq!((running.len(), running[0].state, &running[0].address), (1, ReleaseState::Running, &release.address));
    line.say(&activate(7)).await;
    assert!(matches!(line.hear().await, FromAgent::Refused { highest_epoch: 8, .. }));

    // an order for another environment is none for this host
    let elsewhere = OrderRef { environment: "staging".into(), ..order(9) };
    line.say(&ToAgent::Deactivate { order: elsewhere }).await;
    assert!(matches!(line.hear().await, FromAgent::Failed { error, .. } if error.contains("belongs to production")));
    line.say(&ToAgent::Deactivate { order: order(9) }).await;
    assert!(matches!(line.hear().await, FromAgent::Deactivated { .. }));
    assert!(std::fs::read_link(dir.path().join("services/photos/current")).is_err());

    host.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), host.task).await.unwrap().unwrap();
    stop_services(dir.path()).await.unwrap();
}
