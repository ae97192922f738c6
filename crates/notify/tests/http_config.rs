//! Webhooks of receivers with an `http_config`: what they are asked with comes to them, and to nobody else. Real requests on
//! loopback, a clock that is moved.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tenfold_app::alerts::{PostedAlert, WebhookPoster as _, WebhookSpec};
use tenfold_app::{App, Caller, Settings, metrics};
use tenfold_notify::Webhook;
use tenfold_store::Db;
use tenfold_store::events::EventQuery;
use tenfold_testkit::{FakeWebhook, TestClock, TestEntropy};
use tenfold_types::{Clock as _, Fault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

struct Scene {
    app: App,
    clock: TestClock,
    server: FakeWebhook,
    dir: tempfile::TempDir,
}

impl Scene {
    /// With a folder of secrets, or without one.
    async fn new(folder: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (dir, server, clock) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await, TestClock::default());
        std::fs::create_dir(dir.path().join("secrets")).unwrap();
        std::fs::write(dir.path().join("outside"), "server-only").unwrap();
        let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        settings.alerts.secrets_dir = folder.then(|| dir.path().join("secrets"));
        let db = Db::open_sqlite(dir.path().join("state.db"), tenfold_testkit::sealer()).await.unwrap();
        let metrics = metrics::State::open(&settings).unwrap();
        let webhook = open(dir.path(), &clock).with_secrets(settings.alerts.secrets_dir.as_deref());
        let app = App::new(db, Arc::new(clock.clone()), Arc::new(TestEntropy::default()), settings, metrics);
        app.set_webhook_poster(Arc::new(webhook));
        tenfold_app::load(&app).await.unwrap();
        Self { app, clock, server, dir }
    }

    fn secret(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join("secrets").join(name), text).unwrap();
    }

    /// Puts a routing with one webhook; `hook` is what stands in it besides.
    async fn put(&self, hook: &str) -> Result<String, Fault> {
        let routing = format!(
            "route: {{receiver: programs, group_wait: 0s, group_interval: 1m, repeat_interval: 4h}}\n\
             receivers: [{{name: programs, quiet: true, webhook_configs: [{{{hook}}}]}}]\n"
        );
        let view = self.app.routing_put(&Caller::system(), &routing, false).await?;
        Ok(view.yaml.unwrap())
    }

    /// An alert with this name fires, and whoever is owed a message is told.
    async fn fire(&self, name: &str) {
        let ends = self.clock.now().plus_ms(3_600_000);
        let alert: PostedAlert =
            serde_json::from_value(json!({"labels": {"alertname": name}, "endsAt": ends})).unwrap();
        self.app.alerts_receive(&Caller::system(), vec![alert]).await.unwrap();
        for _ in 0..14 {
            self.clock.advance_ms(5_000);
            self.app.alerts_tick().await.unwrap();
            self.app.webhooks_tick().await.unwrap();
        }
    }

    /// Everything that people are shown of it.
    async fn shown(&self) -> String {
        let view = serde_json::to_string(&self.app.routing_view().unwrap()).unwrap();
        let export = serde_json::to_string(&self.app.config_export(&Caller::system()).await.unwrap()).unwrap();
        let query = EventQuery { limit: 100, include_admin: true, ..EventQuery::default() };
        let record = serde_json::to_string(&self.app.events(query).await.unwrap()).unwrap();
        view + &export + &record
    }
}

fn open(dir: &Path, clock: &TestClock) -> Webhook {
    Webhook::open(dir, Arc::new(clock.clone()), &|bytes| bytes.fill(7)).unwrap()
}

#[tokio::test]
async fn a_password_comes_to_the_webhook_and_is_shown_to_nobody() {
    let scene = Scene::new(false).await;
    let url = scene.server.url("/hook");
    let hook = format!(
        "url: '{url}', http_config: {{basic_auth: {{username: ana, password: very-secret}}, \
         http_headers: {{X-Tenant: {{values: [web]}}, X-Key: {{secrets: [key-secret]}}}}}}"
    );
    let shown = scene.put(&hook).await.unwrap();
    assert!(shown.contains("<secret>") && shown.contains("ana"), "{shown}");
    scene.fire("First").await;
    let hooks = scene.server.wait_for(1).await;
    // `ana:very-secret`
    assert_eq!(hooks[0].header("authorization"), Some("Basic YW5hOnZlcnktc2VjcmV0"));
    assert_eq!((hooks[0].header("x-tenant"), hooks[0].header("x-key")), (Some("web"), Some("key-secret")));
    assert!(hooks[0].header("webhook-signature").is_some(), "it is signed as well");

    // What is shown may be put again, here with another bound on the time.
    let again = shown.replace("url: ", "timeout: 9s, url: ");
    scene.app.routing_put(&Caller::system(), &again, false).await.unwrap();
    scene.fire("Second").await;
    let hooks = scene.server.wait_for(2).await;
    assert_eq!(hooks[1].header("authorization"), Some("Basic YW5hOnZlcnktc2VjcmV0"));
    // But not sent anywhere else.
    let elsewhere = FakeWebhook::start().await;
    let moved = shown.replace(&url, &elsewhere.url("/hook"));
    let refused = scene.app.routing_put(&Caller::system(), &moved, false).await.unwrap_err();
    assert!(refused.message.contains("write the secret itself"), "{refused:?}");

    let shown = scene.shown().await;
    assert!(!shown.contains("very-secret") && !shown.contains("key-secret"), "{shown}");
    assert!(shown.contains("routing.changed"), "the record was looked at");
}

#[tokio::test]
async fn files_are_read_out_of_one_folder_for_each_request() {
    let scene = Scene::new(true).await;
    scene.secret("token", "t1\n");
    scene.secret("hook", &scene.server.url("/secret-path"));
    let shown = scene.put("url_file: hook, http_config: {authorization: {credentials_file: token}}").await.unwrap();
    scene.fire("First").await;
    let hooks = scene.server.wait_for(1).await;
    assert_eq!((hooks[0].path.as_str(), hooks[0].header("authorization")), ("/secret-path", Some("Bearer t1")));
    scene.secret("token", "t2");
    scene.fire("Second").await;
    assert_eq!(scene.server.wait_for(2).await[1].header("authorization"), Some("Bearer t2"), "a new one counts");
    assert!(shown.contains("credentials_file: token"));
    assert!(!scene.shown().await.contains("secret-path"));

    // What is in the folder when it is put and leads out of it later is not read.
    std::fs::remove_file(scene.dir.path().join("secrets/token")).unwrap();
    std::os::unix::fs::symlink("../outside", scene.dir.path().join("secrets/token")).unwrap();
    scene.fire("Third").await;
    let query = EventQuery { kinds: vec!["webhook.failed".to_owned()], limit: 10, ..EventQuery::default() };
    let failed = scene.app.events(query).await.unwrap();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].text.contains("token is not in"), "{failed:?}");
    assert_eq!(scene.server.hooks().len(), 2);
}

#[tokio::test]
async fn files_elsewhere_are_refused_with_what_to_do() {
    let scene = Scene::new(true).await;
    scene.secret("no-url", "ftp://h");
    let outside = scene.dir.path().join("outside").display().to_string();
    let config = |rest: &str| format!("url: 'http://h', http_config: {{{rest}}}");
    for (hook, wanted) in [
        (config("bearer_token_file: ../outside"), "has `..`"),
        (config(&format!("bearer_token_file: '{outside}'")), "is not in"),
        (config("tls_config: {ca_file: /etc/hostname}"), "is not in"),
        (config("basic_auth: {username: a, password_file: missing}"), "cannot be read"),
        (config("http_headers: {X-A: {files: [/proc/self/environ]}}"), "is not in"),
        ("url_file: no-url".to_owned(), "starts with http"),
    ] {
        let refused = scene.put(&hook).await.unwrap_err();
        assert!(refused.message.contains(wanted), "{hook}: {refused:?}");
    }
    let without = Scene::new(false).await;
    without.secret("token", "t1");
    let refused = without.put(&config("bearer_token_file: token")).await.unwrap_err();
    assert!(refused.message.contains("the file token is not read"), "{refused:?}");
    assert!(refused.advice.contains("`secrets_dir` set in `[alerts]`"), "{refused:?}");
}

#[tokio::test]
async fn a_token_of_oauth_2_is_asked_for_and_shown_to_the_webhook() {
    let scene = Scene::new(false).await;
    let tokens = FakeWebhook::start().await;
    tokens.reply(r#"{"access_token": "tok", "token_type": "bearer", "expires_in": 3600}"#);
    let hook = format!(
        "url: '{}', http_config: {{oauth2: {{client_id: me, client_secret: client-pw, token_url: '{}'}}}}",
        scene.server.url("/hook"),
        tokens.url("/token")
    );
    scene.put(&hook).await.unwrap();
    scene.fire("First").await;
    assert_eq!(scene.server.wait_for(1).await[0].header("authorization"), Some("Bearer tok"));
    // `me:client-pw`
    assert_eq!(tokens.hooks()[0].header("authorization"), Some("Basic bWU6Y2xpZW50LXB3"));
    assert!(!scene.shown().await.contains("client-pw"));
}

/// Answers each request with a redirect; one request a connection.
async fn redirecting(status: &'static str, to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let to = to.replace("{self}", &address.to_string());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 65_536];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let is_first = head[..read].starts_with(b"POST /first ");
            let answer = if is_first {
                format!("HTTP/1.1 {status}\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            } else {
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}/first")
}

#[tokio::test]
async fn redirects_are_followed_within_one_place_where_that_is_written() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let webhook = open(dir.path(), &TestClock::default());
    for (status, to, follow, taken) in [
        ("307 Temporary Redirect", "/second".to_owned(), true, true),
        ("308 Permanent Redirect", "http://{self}/second".to_owned(), true, true),
        ("307 Temporary Redirect", "/second".to_owned(), false, false),
        ("302 Found", "/second".to_owned(), true, false),
        ("307 Temporary Redirect", elsewhere.url("/"), true, false),
        ("307 Temporary Redirect", "/first".to_owned(), true, false),
    ] {
        let to_shown = to.clone();
        let url = redirecting(status, to).await;
        let yaml = format!(
            "{{route: {{receiver: r}}, receivers: [{{name: r, webhook_configs: [{{url: '{url}', \
             http_config: {{follow_redirects: {follow}, bearer_token: secret}}}}]}}]}}"
        );
        let imported = tenfold_alerting::import_alertmanager(&yaml).unwrap();
        let spec: &WebhookSpec = &imported.spec.receivers[0].webhook_configs[0];
        let answer = webhook.post(spec, "{}".to_owned(), "key").await;
        assert_eq!(answer.is_ok(), taken, "{status} to {to_shown}: {answer:?}");
        if let Err(refused) = answer {
            assert!(refused.message.contains("redirects"), "{refused:?}");
        }
    }
    assert_eq!(elsewhere.hooks(), [], "the secret went nowhere else");
}
