//! A server with three forges in its settings, a runner that never finds what it builds, and a fake forge.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::Sha256;
use tenfold_app::{
    App, Caller, Settings,
    deploys::{
        ports::{BuildOrder, Commit, CommitRange, HookOrder, LineSink, Runner, Source},
        views::{NewDeploy, ServiceUpdate},
    },
    settings::{AutoDeploy, ForgeSettings, SinkSettings},
};
use tenfold_deploys::Manifest;
use tenfold_protocols::{
    agent::{FromAgent, PROTOCOL},
    cdevents::Spec,
    forge::Forge,
};
use tenfold_testkit::{TempDb, TestClock, TestEntropy, temp_db};
use tenfold_types::{Event, Fault, Timestamp};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const SECRET: &str = "0123456789abcdef-a-secret";
pub const SHA: &str = "4f2c91a4f2c91a4f2c91a4f2c91a4f2c91a4f2c9";
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct World {
    pub app: App,
    pub clock: TestClock,
    pub router: tenfold_http::Front,
    _db: TempDb,
    _dir: tempfile::TempDir,
}

/// Reads a repository that has every commit, and fails to build any.
struct Failing;

#[async_trait]
impl Runner for Failing {
    async fn fetch(&self, _: &Source) -> Result<(), Fault> {
        Ok(())
    }
    async fn resolve(&self, _: &Source, reference: &str) -> Result<Commit, Fault> {
        // What the branch is at.
        let reference = if reference == "main" { SHA } else { reference };
        Ok(Commit {
            sha: reference.to_owned(),
            short: reference[..7].to_owned(),
            author: "Ana".into(),
            message: "Mend the upload".into(),
            at: Timestamp(0),
        })
    }
    async fn commits(&self, source: &Source, _: Option<&str>, to: &str) -> Result<CommitRange, Fault> {
        Ok(CommitRange { added: vec![self.resolve(source, to).await?], added_count: 1, ..CommitRange::default() })
    }
    async fn file(&self, _: &Source, _: &str, _: &str) -> Result<Option<String>, Fault> {
        Ok(Some("service: photos\nrun: {command: [node, x.mjs]}\ntargets: {production: {}}\n".into()))
    }
    async fn changed(&self, _: &Source, _: &str, _: &str, _: &[String]) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }
    async fn hook(&self, _: HookOrder, _: LineSink, _: CancellationToken) -> Result<(), String> {
        Err("no hook is declared".into())
    }
    async fn build(&self, _: BuildOrder, _: LineSink, _: CancellationToken) -> Result<Manifest, String> {
        Err("the build exited with code 1".into())
    }
}

impl World {
    pub async fn new(api: &str, deploy: bool) -> Self {
        Self::build(api, deploy, &[]).await
    }

    /// With a sink for CDEvents at the fake forge.
    pub async fn with_sink(api: &str) -> Self {
        Self::build(api, false, &[("ci", &format!("{api}/events"))]).await
    }

    pub async fn with_sinks(api: &str, sinks: &[(&str, &str)]) -> Self {
        Self::build(api, false, sinks).await
    }

    async fn build(api: &str, deploy: bool, sinks: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let db = temp_db().await;
        let secret = dir.path().join("secret");
        std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
        let forge = |name: &str, kind| ForgeSettings {
            name: name.into(),
            kind,
            host: format!("{name}.example"),
            api: api.to_owned(),
            web: String::new(),
            hook_secret_file: Some(secret.clone()),
            token_file: Some(secret.clone()),
            deploy: Vec::new(),
        };
        let mut forges = vec![forge("hub", Forge::Github), forge("lab", Forge::Gitlab), forge("tea", Forge::Gitea)];
        if deploy {
            forges[0].deploy = vec![AutoDeploy { service: "photos".into(), environment: "production".into() }];
        }
        forges.push(ForgeSettings { hook_secret_file: None, ..forge("mute", Forge::Github) });
        let mut settings = Settings { data_dir: dir.path().join("data"), forges, ..Settings::default() };
        let sink = |(name, url): &(&str, &str)| SinkSettings {
            name: (*name).to_owned(),
            url: (*url).to_owned(),
            secret_file: Some(secret.clone()),
            token_file: Some(secret.clone()),
            // one of an older release among them
            spec: if *name == "old" { Spec::V04 } else { Spec::V05 },
        };
        settings.cdevents.sinks = sinks.iter().map(sink).collect();
        let metrics = tenfold_app::metrics::State::open(&settings).unwrap();
        let clock = TestClock::default();
        let app = App::new((*db).clone(), Arc::new(clock.clone()), Arc::new(TestEntropy::default()), settings, metrics);
        app.deploys.set_runner(Arc::new(Failing));
        app.forges.set_client(Arc::new(tenfold_notify::Forges::new(Arc::new(clock.clone())).unwrap()));
        tenfold_app::load(&app).await.unwrap();
        let world = Self { router: tenfold_http::router(app.clone()), app, clock, _db: db, _dir: dir };
        world.service("https://hub.example/ana/photos.git").await;
        world
    }

    pub async fn service(&self, repository: &str) {
        let update = ServiceUpdate {
            description: String::new(),
            repository: repository.into(),
            branch: "main".into(),
            environments: vec!["production".into()],
            owner_team: String::new(),
            policy: None,
            pipeline_path: ".tenfold/deploy.yaml".into(),
            dependencies: Vec::new(),
        };
        self.app.service_put(&Caller::system(), "photos", update).await.unwrap();
    }

    /// A host that never answers, so that a deploy has somewhere to go.
    pub async fn host(&self) -> tenfold_app::deploys::AgentSession {
        let hello = FromAgent::Hello {
            protocol: PROTOCOL,
            name: "host-1".into(),
            environment: "production".into(),
            labels: BTreeMap::new(),
            version: "test".into(),
            releases: Vec::new(),
            packs: false,
            prepares: false,
            beside: Vec::new(),
        };
        self.app.agent_connect(hello).await.unwrap()
    }

    pub async fn post(&self, forge: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> (StatusCode, Value) {
        let mut request = Request::post(format!("/hooks/git/{forge}")).header(header::HOST, "127.0.0.1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub async fn events(&self, kind: &str) -> Vec<Event> {
        self.app.events_after(0, 1000).await.unwrap().into_iter().filter(|e| e.kind == kind).collect()
    }

    /// Waits for an event, which the work of a deploy writes in its own time.
    pub async fn until(&self, kind: &str) {
        self.until_one(kind, |_| true).await;
    }

    /// Waits for an event that fits.
    pub async fn until_one(&self, kind: &str, fits: impl Fn(&Event) -> bool) {
        let waiting = async {
            while !self.events(kind).await.iter().any(&fits) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no {kind}"));
    }
}

/// Tells what there is to tell, this many times.
pub async fn look(world: &World, times: usize) {
    for _ in 0..times {
        tenfold_app::forges::look(&world.app).await.unwrap();
    }
}

pub fn new_deploy() -> NewDeploy {
    NewDeploy {
        service: "photos".into(),
        environment: "production".into(),
        reference: Some(SHA.into()),
        reason: None,
        override_reason: None,
    }
}

pub fn push(host: &str, after: &str, message: &str) -> String {
    json!({
        "ref": "refs/heads/main", "before": "a".repeat(40), "after": after,
        "repository": {"clone_url": format!("https://{host}/ana/photos.git")},
        "project": {"git_http_url": format!("https://{host}/ana/photos.git")},
        "sender": {"login": "ana"}, "user_username": "ana",
        "commits": [{"id": after, "message": message, "author": {"name": "Ana"}}],
    })
    .to_string()
}

pub fn hmac_hex(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Status, headers and body of an answer that is not the usual one.
pub type Failure = (u16, Vec<(&'static str, &'static str)>, Value);

/// What the forge was asked, and what it answers next; 201 with a number when nothing is set.
#[derive(Default)]
pub struct Told {
    pub asked: Mutex<Vec<(String, String, Value)>>,
    pub next: Mutex<Vec<Failure>>,
    /// Id, time and signature of requests that were signed, with what they cover.
    pub signed: Mutex<Vec<(String, String, String, String)>>,
    deployments: Mutex<Vec<Value>>,
    numbers: AtomicU32,
}

impl Told {
    /// Path and state of each word that was taken in.
    pub fn words(&self) -> Vec<(String, String)> {
        let asked = self.asked.lock();
        let posts = asked.iter().filter(|(method, _, body)| method == "POST" && body["state"].is_string());
        posts.map(|(_, path, body)| (path.clone(), body["state"].as_str().unwrap().to_owned())).collect()
    }
    pub fn made(&self) -> usize {
        self.deployments.lock().len()
    }
    /// What a deploy's deployment was told, in its order.
    pub fn told_of(&self, deploy: i64) -> Vec<String> {
        let id = {
            let all = self.deployments.lock();
            let of = all.iter().find(|made| made["payload"]["tenfold_deploy"] == deploy).expect("a deployment");
            of["id"].as_u64().unwrap()
        };
        let end = format!("/deployments/{id}/statuses");
        self.words().into_iter().filter(|(path, _)| path.ends_with(&end)).map(|(_, state)| state).collect()
    }
}

pub struct FakeForge {
    pub told: Arc<Told>,
    pub url: String,
    stop: CancellationToken,
}

impl Drop for FakeForge {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl FakeForge {
    pub async fn start() -> Self {
        let told = Arc::new(Told::default());
        let router = axum::Router::new().fallback(answer).with_state(told.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(tenfold_http::server::serve(listener, router, stop.clone()));
        Self { told, url, stop }
    }
}

async fn answer(State(told): State<Arc<Told>>, request: Request) -> Response {
    use std::sync::atomic::Ordering;
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let token = ["authorization", "private-token"].iter().find_map(|n| request.headers().get(*n)).cloned();
    let headers = request.headers().clone();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let words = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|n| headers.get(n)?.to_str().ok());
    if let [Some(id), Some(at), Some(signature)] = words {
        let covered = String::from_utf8(body.to_vec()).unwrap();
        told.signed.lock().push((id.into(), at.into(), signature.into(), covered));
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if !token.is_some_and(|t| t.to_str().unwrap().ends_with(SECRET)) {
        return (StatusCode::UNAUTHORIZED, axum::Json(json!({"message": "Bad credentials"}))).into_response();
    }
    let failing = {
        let mut next = told.next.lock();
        if next.is_empty() { None } else { Some(next.remove(0)) }
    };
    if let Some((status, headers, body)) = failing {
        let mut answer = (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response();
        for (name, value) in headers {
            answer.headers_mut().insert(name, value.parse().unwrap());
        }
        return answer;
    }
    told.asked.lock().push((method.clone(), path.clone(), body.clone()));
    if method == "GET" {
        return axum::Json(told.deployments.lock().clone()).into_response();
    }
    let id = told.numbers.fetch_add(1, Ordering::Relaxed) + 1;
    if path.ends_with("/deployments") {
        let made = json!({"id": id, "payload": body["payload"]});
        told.deployments.lock().push(made.clone());
    }
    (StatusCode::CREATED, axum::Json(json!({"id": id}))).into_response()
}
