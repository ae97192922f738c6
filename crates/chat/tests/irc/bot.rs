//! An application over a temporary store with the bot connected.

use std::sync::Arc;
use std::time::Duration;

use tenfold_app::chat::LinkKind;
use tenfold_app::people::{Contact, PersonUpdate};
use tenfold_app::{App, Caller, Role, Settings};
use tenfold_chat::irc::{Address, ChannelConfig, Config, IrcOptions, Limits};
use tenfold_testkit::{RealClock, TempDb, TestEntropy, temp_db};
use tenfold_types::{Actor, Event, EventDraft, Severity, Source};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Bot {
    pub app: App,
    relay: bool,
    running: Option<(CancellationToken, JoinHandle<()>)>,
    stop: CancellationToken,
    _db: TempDb,
    _dir: tempfile::TempDir,
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Bot {
    pub async fn start(server: &super::Server, channel: &str) -> Self {
        Self::start_with(server, channel, false).await
    }

    pub async fn relaying(server: &super::Server, channel: &str) -> Self {
        Self::start_with(server, channel, true).await
    }

    async fn start_with(server: &super::Server, channel: &str, relay: bool) -> Self {
        let db = temp_db().await;
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let metrics = tenfold_app::metrics::State::open(&settings).unwrap();
        let app = App::new((*db).clone(), Arc::new(RealClock), Arc::new(TestEntropy::default()), settings, metrics);
        tenfold_app::load(&app).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(tenfold_app::record::run(app.clone(), stop.clone()));
        let update = PersonUpdate { role: Some(Role::Deployer), ..PersonUpdate::default() };
        app.person_put(&Caller::system(), "ana", update).await.unwrap();
        let mut bot = Self { app, relay, running: None, stop, _db: db, _dir: dir };
        bot.restart(server, channel).await;
        bot
    }

    /// Ends the connection, keeps the store, and connects anew.
    pub async fn restart(&mut self, server: &super::Server, channel: &str) {
        self.stop().await;
        let limits = Limits {
            burst_lines: 12,
            refill_ms: 100,
            backoff_min_ms: 200,
            backoff_max_ms: 1_000,
            nick_retry_ms: 1_000,
            ..Limits::default()
        };
        let options = IrcOptions {
            room: "irc".into(),
            address: Address { host: "127.0.0.1".into(), port: server.port, tls: false },
            session: Config {
                nick: "tenfold".into(),
                user: "tenfold".into(),
                realname: "Tenfold".into(),
                sasl: None,
                channels: vec![ChannelConfig { name: channel.into(), key: None }],
                limits,
                seed: 1,
            },
            relay: self.relay,
        };
        let stop = self.stop.child_token();
        let (transport, run) = tenfold_chat::irc::start(self.app.clone(), options, stop.clone());
        self.app.chat_connect(transport);
        self.running = Some((stop, tokio::spawn(run)));
    }

    pub async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            stop.cancel();
            task.await.unwrap();
        }
    }

    pub async fn record(&self, kind: &str, severity: Severity, text: &str) -> Event {
        self.append(EventDraft::new(Actor::person("ana"), Source::Web, kind, text).severity(severity)).await
    }

    pub async fn page(&self, login: &str, text: &str) -> Event {
        let data = serde_json::json!({"person": login, "channel": "mail"});
        self.append(EventDraft::new(Actor::system(), Source::System, "page.sent", text).data(data)).await
    }

    async fn append(&self, draft: EventDraft) -> Event {
        self.app.transact(move |t| t.record(draft.clone())).await.unwrap()
    }

    pub async fn says_on_the_web(&self, login: &str, text: &str) {
        let caller = self.app.chat_caller(login).await.unwrap().unwrap();
        self.app.console_post(&caller, text).await.unwrap();
    }

    /// Who said it.
    pub async fn hears_on_the_web(&self, text: &str) -> String {
        let said = async || {
            let (messages, _) = self.app.console_messages(None, None).await.unwrap();
            messages.into_iter().find(|m| m.text == text).map(|m| m.who)
        };
        self.wait("nobody said it", async || said().await.is_some()).await;
        said().await.unwrap()
    }

    pub async fn code(&self, login: &str) -> String {
        let caller = self.app.chat_caller(login).await.unwrap().unwrap();
        self.app.chat_link_create(&caller).await.unwrap().code
    }

    pub async fn contact(&self, login: &str, nick: &str) {
        let contact = Contact { irc: nick.into(), ..Contact::default() };
        let update = PersonUpdate { contact: Some(contact), ..PersonUpdate::default() };
        self.app.person_put(&Caller::system(), login, update).await.unwrap();
    }

    async fn events(&self) -> Vec<Event> {
        self.app.events_after(0, 1_000).await.unwrap()
    }

    pub async fn last(&self, kind: &str) -> Event {
        self.events().await.into_iter().rfind(|e| e.kind == kind).expect("there is one")
    }

    pub async fn says_anywhere(&self, text: &str) -> bool {
        self.events().await.iter().any(|e| format!("{e:?}").contains(text))
    }

    async fn wait<F: Future<Output = bool>>(&self, what: &str, done: impl Fn() -> F) {
        let waiting = async {
            while !done().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}: {:?}", self.app.chat_status());
    }

    pub async fn in_channel(&self) {
        self.wait("not in the channel", async || self.app.chat_status().iter().any(|s| s.text.starts_with("in #")))
            .await;
    }

    pub async fn offline(&self) {
        self.wait("not offline", async || self.app.chat_status().iter().all(|s| !s.connected)).await;
    }

    /// Everything recorded has been told and confirmed.
    pub async fn settled(&self) {
        self.wait("not all is confirmed", async || {
            let events = self.events().await;
            let last = events.iter().rfind(|e| tenfold_app::chat::announce::is_told(&e.kind)).map_or(0, |e| e.seq);
            self.app.chat_position("irc").await.unwrap() >= last
        })
        .await;
    }

    async fn sessions(&self) -> Vec<tenfold_app::chat::LinkRow> {
        let rows = self.app.chat_links("irc").await.unwrap();
        rows.into_iter().filter(|r| r.kind == LinkKind::Session).collect()
    }

    pub async fn signon_kept(&self) {
        self.wait("no sign-on kept", async || self.sessions().await.iter().any(|r| r.signon_s.is_some())).await;
    }

    /// The server's clock shows another second than the one in which anybody linked signed on. `time(2)` reads the clock
    /// of the last tick and may lag behind ours by ten milliseconds, hence the tenth of a second.
    pub async fn next_second(&self) {
        let last = self.sessions().await.iter().filter_map(|r| r.signon_s).max().unwrap_or(0);
        self.wait("the clock stands still", async || (self.app.now().millis() - 100) / 1_000 > last).await;
    }

    pub async fn forgotten(&self) {
        self.wait("still remembered", async || self.sessions().await.is_empty()).await;
    }

    /// The bot asks the server who people are before it knows them again, so it may take more than one try.
    pub async fn recognises(&self, client: &mut super::Client) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            client.say("#ops", "!doing something").await;
            let said = client.next_text().await;
            if !said.contains("I do not know who you are") {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "never recognised: {said}");
        }
    }
}
