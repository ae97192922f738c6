//! Relays as processes: a chain of two behind a server that is killed, stopped and replaced, on real sockets.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_tenfold");
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(20);

/// A process with a log and an address.
struct Process {
    child: Child,
    dir: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

impl Process {
    fn start(dir: &Path, args: &[&str]) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let _ = std::fs::remove_file(dir.join("address"));
        let child = Command::new(BINARY)
            .args(args)
            .arg("--data")
            .arg(dir.join("data"))
            .arg("--address-file")
            .arg(dir.join("address"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, dir: dir.to_owned() }
    }

    async fn url(&self) -> String {
        let address = until("the address", async || std::fs::read_to_string(self.dir.join("address")).ok()).await;
        format!("http://{address}")
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap()
    }
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(LOOK).await;
    }
}

struct World {
    dir: tempfile::TempDir,
    server: Process,
    url: String,
    http: reqwest::Client,
    admin: String,
}

impl World {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tenfold.toml"), "[statsd]\nlisten = \"\"\n").unwrap();
        let server = Self::serve(dir.path(), "127.0.0.1:0");
        let url = server.url().await;
        let http = reqwest::Client::new();
        let setup = until("the setup link", async || {
            let text = server.log();
            let (_, token) = text.split_once("/setup?token=")?;
            token.split_once('\n').map(|(token, _)| token.trim().to_owned())
        })
        .await;
        let account = json!({"token": setup, "login": "mei", "name": "mei", "password": "correct horse battery"});
        let answer = http.post(format!("{url}/api/setup")).json(&account).send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let request = http.post(format!("{url}/api/tokens")).header("cookie", cookie).header("origin", &url);
        let made = request.json(&json!({"name": "test", "kind": "robot", "role": "admin"})).send().await.unwrap();
        let admin = made.json::<Value>().await.unwrap()["secret"].as_str().unwrap().to_owned();
        Self { dir, server, url, http, admin }
    }

    fn serve(dir: &Path, listen: &str) -> Process {
        let config = dir.join("tenfold.toml");
        Process::start(&dir.join("server"), &["serve", "--listen", listen, "--config", config.to_str().unwrap()])
    }

    /// A relay that follows `upstream` with a token of its own.
    async fn relay(&self, name: &str, upstream: &str) -> Process {
        let tokens = self.dir.path().join(format!("{name}-tokens"));
        if !tokens.exists() {
            let secret = self.token(name, "client").await.0;
            std::fs::write(&tokens, format!("# of {name}\n{secret}\n")).unwrap();
        }
        let args = ["relay", "--upstream", upstream, "--listen", "127.0.0.1:0", "--drain-ms", "50", "--token-file"];
        Process::start(&self.dir.path().join(name), &[&args[..], &[tokens.to_str().unwrap()]].concat())
    }

    /// A token's secret and id.
    async fn token(&self, name: &str, kind: &str) -> (String, String) {
        let made =
            self.change("POST", "/api/tokens", json!({"name": name, "kind": kind, "environment": "production"})).await;
        (made["secret"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
    }

    async fn change(&self, method: &str, path: &str, body: Value) -> Value {
        let request =
            self.http.request(method.parse().unwrap(), format!("{}{path}", self.url)).bearer_auth(&self.admin);
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn switch(&self, enabled: bool) {
        self.change("POST", "/api/flags/uploader/switch", json!({"environment": "production", "enabled": enabled}))
            .await;
    }

    async fn ready(&self, url: &str) {
        until("the relay to be ready", async || {
            let answer = self.http.get(format!("{url}/readyz")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    async fn get(&self, url: &str, path: &str, token: &str) -> Response {
        self.http.get(format!("{url}{path}")).header("authorization", token).send().await.unwrap()
    }

    async fn value(&self, url: &str, token: &str) -> Value {
        let request = self.http.post(format!("{url}/ofrep/v1/evaluate/flags/uploader")).bearer_auth(token);
        let answer = request.json(&json!({"context": {"targetingKey": "7"}})).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
        answer.json::<Value>().await.unwrap()["value"].clone()
    }
}

/// A stream, read as it comes.
struct Stream(Response, String);

impl Stream {
    async fn open(world: &World, url: &str, token: &str) -> Self {
        let answer = world.get(url, "/api/client/streaming", token).await;
        assert_eq!(answer.status(), StatusCode::OK);
        Self(answer, String::new())
    }

    async fn wait_for(&mut self, text: &str) {
        while !self.1.contains(text) {
            let piece = tokio::time::timeout(PATIENCE, self.0.chunk()).await.expect("something comes").unwrap();
            self.1.push_str(std::str::from_utf8(&piece.expect("the stream goes on")).unwrap());
        }
        self.1.clear();
    }

    async fn end(mut self) {
        while tokio::time::timeout(PATIENCE, self.0.chunk()).await.expect("it ends").unwrap_or(None).is_some() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_relays_serves_whatever_becomes_of_the_server() {
    let mut world = World::new().await;
    world.change("PUT", "/api/flags/uploader", json!({"environments": {"production": {"enabled": true}}})).await;
    for n in 0..10 {
        // Enough that compressing is worth it.
        world
            .change("PUT", &format!("/api/flags/other{n}"), json!({"environments": {"production": {"enabled": true}}}))
            .await;
    }
    let (client, _) = world.token("photos", "client").await;
    let near = world.relay("near", &world.url).await;
    let near_url = near.url().await;
    let mut far = world.relay("far", &near_url).await;
    let far_url = far.url().await;
    world.ready(&near_url).await;
    world.ready(&far_url).await;

    // The same answers under the same names at each place.
    assert_eq!(world.value(&far_url, &client).await, true);
    let here = world.get(&world.url, "/api/client/features", &client).await;
    let there = world.get(&far_url, "/api/client/features", &client).await;
    assert_eq!(here.headers()["etag"], there.headers()["etag"]);
    assert_eq!(here.bytes().await.unwrap(), there.bytes().await.unwrap());
    let request = world.http.get(format!("{far_url}/api/client/features")).header("authorization", &client);
    let large = request.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(large.headers()["content-encoding"], "gzip");
    assert_eq!(&large.bytes().await.unwrap()[..2], b"\x1f\x8b", "gzip begins so");

    // A kill goes through the chain.
    let mut stream = Stream::open(&world, &far_url, &client).await;
    stream.wait_for("unleash-connected").await;
    for round in 0..5 {
        if round > 0 {
            // Off and on and off again would be nothing new to somebody who was busy meanwhile.
            world.switch(true).await;
            stream.wait_for("\"enabled\":true").await;
        }
        let killed_at = Instant::now();
        world.switch(false).await;
        stream.wait_for("\"enabled\":false").await;
        println!("a kill through two relays: {:?}", killed_at.elapsed());
        assert_eq!(world.value(&far_url, &client).await, false);
    }

    // Stopped, killed, and a relay that starts anew meanwhile: all that was known is served.
    world.server.send(Signal::SIGSTOP);
    assert_eq!(world.value(&near_url, &client).await, false);
    world.server.send(Signal::SIGCONT);
    world.server.end();
    assert_eq!(world.value(&near_url, &client).await, false);
    far.send(Signal::SIGTERM);
    assert!(far.child.wait().unwrap().success());
    let mut near = near;
    until("the newest version to be on disk", async || {
        let status: Value = world.get(&near_url, "/status", "").await.json().await.ok()?;
        let set = &status["sets"][0];
        (set["version"].is_string() && set["version"] == set["saved_version"]).then_some(())
    })
    .await;
    near.end();
    let near_again = world.relay("near", &world.url).await;
    let near_url = near_again.url().await;
    world.ready(&near_url).await;
    assert_eq!(world.value(&near_url, &client).await, false);
    let stranger = world.get(&near_url, "/api/client/features", "never seen").await;
    assert_eq!(stranger.status(), StatusCode::SERVICE_UNAVAILABLE);
    let page = world.get(&near_url, "/", "").await.text().await.unwrap();
    assert!(page.contains("serves what it has"), "{page}");

    // Back under the same address: the relay follows again without being told.
    let listen = world.url.trim_start_matches("http://").to_owned();
    let mut stream = Stream::open(&world, &near_url, &client).await;
    stream.wait_for("unleash-connected").await;
    world.server = World::serve(world.dir.path(), &listen);
    world.server.url().await;
    world.switch(true).await;
    stream.wait_for("\"enabled\":true").await;
    assert_eq!(world.value(&near_url, &client).await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_loses_its_streams_at_the_end_of_a_chain() {
    let world = World::new().await;
    world.change("PUT", "/api/flags/uploader", json!({"environments": {"production": {"enabled": true}}})).await;
    let near = world.relay("near", &world.url).await;
    let far = world.relay("far", &near.url().await).await;
    let far_url = far.url().await;
    world.ready(&far_url).await;
    let mut ended_after = Vec::<Duration>::new();
    while ended_after.iter().all(|took| *took >= Duration::from_secs(5)) {
        // a machine that stood still for a moment is asked again
        assert!(ended_after.len() < 3, "{ended_after:?}");
        let (doomed, id) = world.token(&format!("doomed-{}", ended_after.len()), "client").await;
        let mut stream = Stream::open(&world, &far_url, &doomed).await;
        stream.wait_for("unleash-connected").await;
        let revoked_at = Instant::now();
        world.change("DELETE", &format!("/api/tokens/{id}"), Value::Null).await;
        stream.end().await;
        ended_after.push(revoked_at.elapsed());
        assert_eq!(world.get(&far_url, "/api/client/features", &doomed).await.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_is_refused_and_replaced() {
    let world = World::new().await;
    world.change("PUT", "/api/flags/uploader", json!({"environments": {"production": {"enabled": true}}})).await;
    let mut relay = world.relay("near", &world.url).await;
    let data = world.dir.path().join("near/data");
    let copy = || {
        let files = std::fs::read_dir(&data).ok()?;
        let mut sets = files.filter_map(|f| Some(f.ok()?.path())).filter(|p| {
            p.extension().is_some_and(|e| e == "json")
                && p.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"set-"))
        });
        sets.next()
    };
    let file = until("the copy on disk", async || copy()).await;
    relay.end();
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 5]).unwrap();
    world.server.send(Signal::SIGSTOP);
    let relay = world.relay("near", &world.url).await;
    let url = relay.url().await;
    until("the line in the log", async || {
        relay.log().contains("the copy on disk is damaged and is not served").then_some(())
    })
    .await;
    assert_eq!(world.get(&url, "/readyz", "").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    world.server.send(Signal::SIGCONT);
    world.ready(&url).await;
}

/// The value of a series at an address that Prometheus scrapes.
fn series(page: &str, name: &str) -> f64 {
    let line = page.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_use_arrive_and_a_browser_is_told_of_changes_through_two_relays() {
    let mut world = World::new().await;
    world.change("PUT", "/api/flags/uploader", json!({"environments": {"production": {"enabled": true}}})).await;
    let near = world.relay("near", &world.url).await;
    let near_url = near.url().await;
    let far = world.relay("far", &near_url).await;
    let far_url = far.url().await;
    world.ready(&far_url).await;
    let (client, _) = world.token("photos", "client").await;

    for url in [&near_url, &far_url] {
        let request = world.http.post(format!("{url}/ofrep/v1/evaluate/flags")).bearer_auth(&client);
        let bulk: Value =
            request.json(&json!({"context": {"targetingKey": "7"}})).send().await.unwrap().json().await.unwrap();
        let path = bulk["eventStreams"][0]["endpoint"]["requestUri"].as_str().unwrap().to_owned();
        let mut changes = Stream(world.get(url, &path, "").await, String::new());
        world.switch(false).await;
        changes.wait_for("refetchEvaluation").await;
        world.switch(true).await;
        changes.wait_for("refetchEvaluation").await;
        let page = world.get(url, "/metrics", "").await.text().await.unwrap();
        assert!(series(&page, "tenfold_relay_streams_open{protocol=\"ofrep\"}") >= 1.0, "{page}");
        assert!(series(&page, "tenfold_relay_answers_total{protocol=\"ofrep\",status=\"2xx\"}") >= 2.0, "{page}");
        assert!(series(&page, "tenfold_relay_upstream_connected") >= 1.0 && page.contains("# TYPE "), "{page}");
    }

    // Counted while the server is away, and there when it is back.
    let listen = world.url.trim_start_matches("http://").to_owned();
    world.server.end();
    let report = json!({"appName": "photos", "instanceId": "1", "bucket": {
        "start": "2026-01-01T00:00:00Z", "stop": "2026-01-01T00:01:00Z",
        "toggles": {"uploader": {"yes": 4100, "no": 7, "variants": {}}},
    }});
    let request = world.http.post(format!("{far_url}/api/client/metrics")).header("authorization", &client);
    assert_eq!(request.json(&report).send().await.unwrap().status(), StatusCode::ACCEPTED);
    world.server = World::serve(world.dir.path(), &listen);
    world.server.url().await;
    until("the counts on the server", async || {
        let page = world.http.get(format!("{}/metrics", world.url)).bearer_auth(&world.admin).send().await.ok()?;
        let page = page.text().await.ok()?;
        let of_flag =
            page.lines().filter(|l| l.starts_with("tenfold_flag_evaluations_total") && l.contains("uploader"));
        let sum: f64 = of_flag.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        (sum >= 4107.0).then_some(())
    })
    .await;
}

/// The guide's example, with a port of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_guides_example_runs() {
    let world = World::new().await;
    let guide = include_str!("../../../docs/guide/relay.md");
    let script = guide.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let script = script
        .replace("127.0.0.1:7071", "127.0.0.1:0 --address-file address")
        .replace("tenfold relay", "exec tenfold relay");
    let bin = Path::new(BINARY).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let dir = world.dir.path().join("guide");
    std::fs::create_dir(&dir).unwrap();
    let child = Command::new("sh")
        .args(["-euc", &script])
        .current_dir(&dir)
        .env("PATH", path)
        .env("TENFOLD_URL", &world.url)
        .env("TENFOLD_TOKEN", &world.admin)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let relay = Process { child, dir };
    world.ready(&relay.url().await).await;
}
