//! A server with both of its doors on free ports, agents in this process, and hands that knock by themselves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tenfold_app::agents::NewEnrolment;
use tenfold_app::people::{NewToken, TokenKind};
use tenfold_app::{App, Caller, Settings};
use tenfold_protocols::agent::{FromAgent, PROTOCOL, ToAgent, decode_to_agent};
use tenfold_runner::agent::{AgentConfig, run};
use tenfold_store::Db;
use tenfold_testkit::{TestClock, TestEntropy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(40);

pub struct World {
    pub app: App,
    pub clock: TestClock,
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    dir: tempfile::TempDir,
    stop: CancellationToken,
    serving: Vec<JoinHandle<()>>,
    tasks: tokio_util::task::TaskTracker,
}

pub struct Agent {
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Agent {
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
    /// How it ended by itself.
    pub async fn ended(self) -> Result<(), String> {
        let ended = tokio::time::timeout(PATIENCE, self.task).await.expect("it ends by itself");
        ended.unwrap().map_err(|e| e.to_string())
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        static SEED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings { data_dir: dir.path().join("data"), ..Settings::default() };
        std::fs::create_dir_all(&settings.data_dir).unwrap();
        settings.agents.listen = "127.0.0.1:0".into();
        change(&mut settings);
        let db = Db::open_sqlite(settings.data_dir.join("state.db"), tenfold_testkit::sealer()).await.unwrap();
        let metrics = tenfold_app::metrics::State::open(&settings).unwrap();
        let clock = TestClock::default();
        let seed = SEED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let app = App::new(db, Arc::new(clock.clone()), Arc::new(TestEntropy::seeded(seed)), settings, metrics);
        tenfold_app::load(&app).await.unwrap();
        let stop = CancellationToken::new();
        let tasks = tenfold_app::start(&app, &stop);
        let (plain, tls) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let addresses = (plain.local_addr().unwrap(), tls.local_addr().unwrap());
        let config = tenfold_app::agents::server_config(&app).unwrap().expect("an authority");
        let serving = vec![
            tokio::spawn(tenfold_http::server::serve(plain, tenfold_http::router(app.clone()), stop.clone())),
            tokio::spawn(tenfold_http::server::serve_tls(
                tls,
                config,
                tenfold_http::agents_router(app.clone()),
                stop.clone(),
            )),
        ];
        Self { app, clock, plain: addresses.0, tls: addresses.1, dir, stop, serving, tasks }
    }

    /// The secret of a new enrolment.
    pub async fn enrolment(&self, host: &str) -> String {
        let new = NewEnrolment { host: host.into(), environment: "production".into(), good_for_s: None };
        self.app.enrolment_create(&Caller::system(), new).await.unwrap().secret
    }

    /// An agent in a folder, with the name it says it has.
    pub fn agent(&self, folder: &str, name: &str, enrolment: Option<&str>) -> Agent {
        let config = AgentConfig {
            servers: vec![format!("https://{}", self.tls)],
            token: String::new(),
            enrolment: enrolment.map(str::to_owned),
            name: name.to_owned(),
            environment: "production".into(),
            labels: std::collections::BTreeMap::new(),
            dir: self.dir.path().join(folder),
            address: "127.0.0.1".into(),
            version: "test".into(),
            clock: Arc::new(self.clock.clone()),
            host: None,
            launcher: None,
        };
        let stop = CancellationToken::new();
        Agent { task: tokio::spawn(run(config, stop.clone())), stop }
    }

    /// Enrols a host and waits until its agent is connected.
    pub async fn let_in(&self, host: &str) -> Agent {
        let secret = self.enrolment(host).await;
        let agent = self.agent(host, host, Some(&secret));
        self.until("the host comes in", |w| w.connected(host)).await;
        agent
    }

    pub fn identity(&self, folder: &str) -> PathBuf {
        self.dir.path().join(folder).join("identity.pem")
    }

    pub fn connected(&self, host: &str) -> bool {
        self.app.hosts().iter().any(|h| h.name == host && h.state == "connected")
    }

    pub async fn certificates(&self) -> usize {
        self.app.certificates(&Caller::system()).await.unwrap().len()
    }

    pub async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let look = async {
            while !done(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, look).await.is_ok(), "waited in vain until {what}");
    }

    pub async fn kinds(&self) -> Vec<String> {
        // all of them: what is said of certificates is for admins
        self.app.events_after(0, 1_000).await.unwrap().into_iter().map(|e| e.kind).collect()
    }

    pub async fn end(self) {
        self.stop.cancel();
        self.tasks.wait().await;
        for serving in self.serving {
            serving.await.unwrap();
        }
    }
}

/// What came of knocking.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, in a test")]
pub enum Knock {
    /// The handshake failed.
    Tls(String),
    /// HTTP said no.
    Refused(u16, String),
    /// The first word over the WebSocket.
    Said(ToAgent),
}

fn parts(identity: &Path) -> (PrivateKeyDer<'static>, Vec<CertificateDer<'static>>) {
    let text = std::fs::read(identity).unwrap();
    let certificates = CertificateDer::pem_slice_iter(&text).map(Result::unwrap).collect();
    (PrivateKeyDer::from_pem_slice(&text).unwrap(), certificates)
}

fn tls(own: &Path, trusted: &Path) -> Arc<ClientConfig> {
    let ((key, own), (_, trusted)) = (parts(own), parts(trusted));
    let mut roots = RootCertStore::empty();
    roots.add(trusted[1].clone()).unwrap();
    // a clock of its own, so that the server is the one that finds a certificate to have run out
    let clock = Arc::new(tenfold_app::agents::TlsClock(Arc::new(TestClock::default())));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![own[0].clone()], key)
        .unwrap();
    Arc::new(config)
}

/// As the host of this identity.
pub fn tls_of(identity: &Path) -> Arc<ClientConfig> {
    tls(identity, identity)
}

/// With the key and certificate of one, trusting the authority of the other.
pub fn mixed(own: &Path, trusted: &Path) -> Arc<ClientConfig> {
    tls(own, trusted)
}

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn first_word(
    connected: Result<Socket, Error>,
    name: &str,
    environment: &str,
    packs: bool,
) -> Result<(Socket, ToAgent), Knock> {
    let mut socket = match connected {
        Ok(socket) => socket,
        Err(Error::Http(answer)) => {
            let said = answer.body().as_deref().map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default();
            return Err(Knock::Refused(answer.status().as_u16(), said));
        }
        Err(error) => return Err(Knock::Tls(error.to_string())),
    };
    let hello = FromAgent::Hello {
        protocol: PROTOCOL,
        name: name.to_owned(),
        environment: environment.to_owned(),
        labels: std::collections::BTreeMap::new(),
        version: "test".into(),
        releases: Vec::new(),
        packs,
        prepares: false,
        beside: Vec::new(),
    };
    socket.send(Message::text(serde_json::to_string(&hello).unwrap())).await.unwrap();
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok((socket, decode_to_agent(&text).unwrap())),
            Some(Ok(_)) => {}
            other => panic!("no word: {other:?}"),
        }
    }
}

async fn call(world: &World, tls: Arc<ClientConfig>) -> Result<Socket, Error> {
    let url = format!("wss://{}/agent/v1/connect", world.tls);
    let connector = Some(Connector::Rustls(tls));
    tokio_tungstenite::connect_async_tls_with_config(url, None, true, connector).await.map(|(socket, _)| socket)
}

/// Connects with an identity, says a name, and tells what came of it.
pub async fn knock(world: &World, tls: Arc<ClientConfig>, name: &str, environment: &str) -> Knock {
    match first_word(call(world, tls).await, name, environment, false).await {
        Ok((_, word)) => Knock::Said(word),
        Err(knock) => knock,
    }
}

/// A connection that is held and never renewed.
pub struct Line(Socket);

impl Line {
    pub async fn closed(&mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

pub async fn hold(world: &World, tls: Arc<ClientConfig>, name: &str) -> Line {
    match first_word(call(world, tls).await, name, "production", false).await {
        Ok((socket, ToAgent::Welcome { .. })) => Line(socket),
        Ok((_, other)) => panic!("{other:?}"),
        Err(knock) => panic!("{knock:?}"),
    }
}

/// The line of a host that was let in, after its first words; `packs` says whether it takes them.
pub async fn line(world: &World, tls: Arc<ClientConfig>, name: &str, packs: bool) -> Socket {
    let (socket, word) = first_word(call(world, tls).await, name, "production", packs).await.unwrap();
    assert!(matches!(word, ToAgent::Welcome { .. }), "{word:?}");
    socket
}

/// With a plain token, at the plain door.
pub async fn knock_plainly(world: &World) -> Knock {
    let new = NewToken {
        name: "agents".into(),
        kind: TokenKind::Agent,
        role: None,
        service: None,
        environment: None,
        projects: Vec::new(),
        expires_at: None,
    };
    let secret = world.app.token_create(&Caller::system(), new).await.unwrap().secret;
    let mut request = format!("ws://{}/agent/v1/connect", world.plain).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {secret}").parse().unwrap());
    let connected = tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket);
    match first_word(connected, "web-9", "production", false).await {
        Ok((_, word)) => Knock::Said(word),
        Err(knock) => knock,
    }
}
