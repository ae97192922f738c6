//! The transport: puts the pure session, the socket and the application together. It decides nothing about the protocol
//! and nothing about rights.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tenfold_app::App;
use tenfold_app::chat::{ChatTransport, LinkRow, Recipient, TransportStatus};
use tenfold_protocols::irc::Message;
use tenfold_types::{ErrorCode, Fault};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::rooms::Told;
use super::session::{Config, Effect, Input, Phase, State, step};
use super::wire::{Address, Wire, WireEvent};
use super::worker::{self, JOBS_MAX, Job, Outcome};
use crate::floods::Floods;
use crate::links::Links;

/// How long a direct message may take to be confirmed.
const DIRECT: Duration = Duration::from_secs(45);
const ASKS_MAX: usize = 100;
/// How often a node without the lease asks for it, and one with it renews it.
const LEASE_EVERY: Duration = Duration::from_secs(5);
const LEASE_TTL_MS: i64 = 15_000;

/// What an IRC connection needs to know.
#[derive(Debug, Clone)]
pub struct IrcOptions {
    /// The room's name in the record, its cursors and its links.
    pub room: String,
    pub address: Address,
    pub session: Config,
    /// Carry what people say between the channel and the other rooms.
    pub relay: bool,
}

pub(super) struct Ask {
    to: Recipient,
    text: String,
    done: oneshot::Sender<Result<(), Fault>>,
}

/// The handle other parts see.
pub struct IrcTransport {
    room: String,
    asks: mpsc::Sender<Ask>,
    status: watch::Receiver<TransportStatus>,
}

#[async_trait]
impl ChatTransport for IrcTransport {
    fn room(&self) -> &str {
        &self.room
    }

    fn status(&self) -> TransportStatus {
        self.status.borrow().clone()
    }

    async fn direct(&self, to: &Recipient, text: &str) -> Result<(), Fault> {
        let (done, answer) = oneshot::channel();
        let ask = Ask { to: to.clone(), text: text.to_owned(), done };
        self.asks.try_send(ask).map_err(|_| Fault::unavailable("the IRC connection is too busy"))?;
        match tokio::time::timeout(DIRECT, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Fault::unavailable("the IRC connection was closed")),
            Err(_) => Err(Fault::new(ErrorCode::Timeout, format!("not confirmed within {DIRECT:?}"))),
        }
    }
}

/// What a message in flight was for.
pub(super) enum InFlight {
    /// Tells the channel of the record up to this event.
    Announcement(i64),
    /// Tells one person of this event.
    Page(i64),
    Direct(oneshot::Sender<Result<(), Fault>>),
    Reply,
}

pub(super) struct Shell {
    pub app: App,
    pub options: IrcOptions,
    /// `None` only while a step runs.
    session: Option<State>,
    wire: Option<Wire>,
    pub jobs: mpsc::Sender<Job>,
    pub links: Links,
    pub floods: Floods,
    pub in_flight: BTreeMap<u64, InFlight>,
    next_id: u64,
    /// The channel's and the pages' place in the record.
    pub channel: Told,
    pub pages: Told,
    /// Bindings in the making, and whether their nick has left since.
    pub linking: BTreeMap<String, bool>,
    /// Bindings from before a reconnect, by folded nick, until the server says who that is now.
    pub recalled: BTreeMap<String, LinkRow>,
    status: watch::Sender<TransportStatus>,
}

/// Starts the connection; it ends when `stop` is cancelled.
pub fn start(
    app: App,
    options: IrcOptions,
    stop: CancellationToken,
) -> (Arc<IrcTransport>, impl Future<Output = ()> + Send) {
    let first = TransportStatus { room: options.room.clone(), connected: false, text: "not connected yet".into() };
    let (status, seen) = watch::channel(first);
    let (asks, asked) = mpsc::channel(ASKS_MAX);
    let handle = Arc::new(IrcTransport { room: options.room.clone(), asks, status: seen });
    (handle, run(app, options, status, asked, stop))
}

async fn run(
    app: App,
    options: IrcOptions,
    status: watch::Sender<TransportStatus>,
    mut asked: mpsc::Receiver<Ask>,
    stop: CancellationToken,
) {
    let holder = app.random_text(12);
    let lease = format!("chat.{}", options.room);
    loop {
        // One database, one server: the directory's lock is lease enough.
        let alone = app.settings.database_url.is_empty();
        let epoch = if alone { Some(0) } else { acquire(&app, &lease, &holder).await };
        let Some(epoch) = epoch else {
            status.send_modify(|s| "another node holds the connection".clone_into(&mut s.text));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LEASE_EVERY) => continue,
            }
        };
        let lost = CancellationToken::new();
        let keeping =
            (!alone).then(|| tokio::spawn(keep(app.clone(), lease.clone(), holder.clone(), epoch, lost.clone())));
        let (jobs, todo) = mpsc::channel(JOBS_MAX);
        let (outcomes, done) = mpsc::channel(JOBS_MAX);
        let working = tokio::spawn(worker::run(app.clone(), options.room.clone(), todo, outcomes));
        let shell = Shell {
            session: Some(State::new(options.session.clone(), app.now())),
            wire: None,
            jobs,
            links: Links::default(),
            floods: Floods::default(),
            in_flight: BTreeMap::new(),
            next_id: 0,
            channel: Told::new(&options.room),
            pages: Told::new(&format!("{}.pages", options.room)),
            linking: BTreeMap::new(),
            recalled: BTreeMap::new(),
            status: status.clone(),
            app: app.clone(),
            options: options.clone(),
        };
        shell.run(&mut asked, done, &stop, &lost).await;
        working.abort();
        if let Some(keeping) = keeping {
            keeping.abort();
            let _ = app.chat_lease_release(&lease, &holder, epoch).await;
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

async fn acquire(app: &App, lease: &str, holder: &str) -> Option<i64> {
    app.chat_lease(lease, holder, LEASE_TTL_MS).await.ok().flatten()
}

async fn keep(app: App, lease: String, holder: String, epoch: i64, lost: CancellationToken) {
    loop {
        tokio::time::sleep(LEASE_EVERY).await;
        if !matches!(app.chat_lease_renew(&lease, &holder, epoch, LEASE_TTL_MS).await, Ok(true)) {
            return lost.cancel();
        }
    }
}

impl Shell {
    async fn run(
        mut self,
        asked: &mut mpsc::Receiver<Ask>,
        mut done: mpsc::Receiver<Outcome>,
        stop: &CancellationToken,
        lost: &CancellationToken,
    ) {
        let mut record = self.app.record.subscribe();
        self.recall_accounts().await;
        self.take_positions().await;
        self.feed(Input::Tick).await;
        loop {
            let pause = self.session().wake_at().map(|at| at.since_ms(self.app.now()).max(0));
            // A wall clock may jump, so no sleep is long.
            let pause = Duration::from_millis(pause.unwrap_or(1_000).min(1_000).unsigned_abs());
            tokio::select! {
                () = stop.cancelled() => return self.feed(Input::Quit("the server stops".into())).await,
                () = lost.cancelled() => return self.feed(Input::Quit("another node takes over".into())).await,
                event = next_event(&mut self.wire) => self.on_wire(event).await,
                Some(ask) = asked.recv() => self.on_ask(ask).await,
                Some(outcome) = done.recv() => self.on_outcome(outcome).await,
                Ok(()) = record.changed() => {}
                () = tokio::time::sleep(pause) => self.feed(Input::Tick).await,
            }
            self.tell_news().await;
        }
    }

    pub fn session(&self) -> &State {
        self.session.as_ref().expect("the session is only taken out while it steps")
    }

    /// The channel we live in.
    pub fn home(&self) -> &str {
        self.options.session.channels.first().map_or("", |c| c.name.as_str())
    }

    pub fn take_id(&mut self, what: InFlight) -> u64 {
        self.next_id += 1;
        self.in_flight.insert(self.next_id, what);
        self.next_id
    }

    pub fn post(&self, job: Job) {
        if self.jobs.try_send(job).is_err() {
            tracing::warn!("more than {JOBS_MAX} commands are waiting; one was dropped");
        }
    }

    /// One step of the session and all that follows from it.
    pub async fn feed(&mut self, input: Input) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(session) = self.session.take() else { return };
            let (session, effects) = step(session, input, self.app.now());
            self.session = Some(session);
            for effect in effects {
                inputs.extend(self.perform(effect).await);
            }
        }
    }

    async fn on_wire(&mut self, event: Option<WireEvent>) {
        match event {
            Some(WireEvent::Connected) => self.feed(Input::Connected).await,
            Some(WireEvent::Line(bytes)) => match Message::parse_bytes(&bytes) {
                Ok(message) => self.feed(Input::Line(message)).await,
                Err(error) => tracing::debug!(%error, "a line from the IRC server makes no sense"),
            },
            Some(WireEvent::Closed(reason)) => {
                self.wire = None;
                self.feed(Input::Disconnected(reason)).await;
            }
            None => {
                self.wire = None;
                self.feed(Input::Disconnected("the connection ended".into())).await;
            }
        }
    }

    /// Does what the session wants; gives back what it has to hear of that.
    async fn perform(&mut self, effect: Effect) -> Vec<Input> {
        match effect {
            Effect::Connect => self.wire = Some(Wire::open(self.options.address.clone())),
            Effect::Send(message) => {
                let sent = match message.to_line() {
                    Ok(line) => self.wire.as_ref().is_some_and(|w| w.send(line)),
                    Err(error) => {
                        tracing::warn!(%error, command = message.command, "a line could not be written");
                        true
                    }
                };
                if !sent {
                    self.wire = None;
                    return vec![Input::Disconnected("the server takes no lines".into())];
                }
            }
            Effect::Close(_) => self.wire = None,
            Effect::Online => self.tell_status(true, &format!("connected as {}", self.session().nick())),
            Effect::Offline { reason, retry_at } => {
                let seconds = (retry_at.since_ms(self.app.now()) + 999) / 1_000;
                tracing::warn!(%reason, "IRC is offline; trying again in {seconds} s");
                self.tell_status(false, &format!("offline: {reason}; trying again in {seconds} s"));
                self.links.blind();
                self.linking.clear();
                self.refuse_directs();
            }
            Effect::Joined(channel) => {
                tracing::info!(%channel, nick = self.session().nick(), "joined on IRC");
                self.tell_status(true, &format!("in {channel} as {}", self.session().nick()));
                return self.recall_sessions().await;
            }
            Effect::Left(channel) => self.tell_status(self.session().is_online(), &format!("not in {channel} now")),
            Effect::Heard(heard) => self.on_heard(heard).await,
            Effect::Gone(folded) => self.on_gone(&folded),
            Effect::Whois(whois) => self.on_whois(&whois),
            Effect::Delivered(id) => self.on_end(id, Ok(())).await,
            Effect::Undeliverable { id, reason } => self.on_end(id, Err(reason)).await,
        }
        Vec::new()
    }

    fn tell_status(&self, connected: bool, text: &str) {
        self.status.send_modify(|s| {
            s.connected = connected;
            text.clone_into(&mut s.text);
        });
    }

    async fn on_ask(&mut self, ask: Ask) {
        let nick = self.links.nick_of(&ask.to.login).unwrap_or(&ask.to.nick).to_owned();
        let refusal = if nick.is_empty() {
            Some(Fault::invalid(format!("{} has no IRC nick", ask.to.login)).advice("set it in the person's profile"))
        } else if self.session().is_online() {
            None
        } else {
            Some(Fault::unavailable("IRC is not connected"))
        };
        if let Some(fault) = refusal {
            // An error only says that nobody waits for the answer.
            return drop(ask.done.send(Err(fault)));
        }
        let id = self.take_id(InFlight::Direct(ask.done));
        self.say(id, &nick, &ask.text, super::Priority::Page).await;
    }

    pub async fn say(&mut self, id: u64, target: &str, text: &str, priority: super::Priority) {
        let item = super::Outgoing { id, target: target.to_owned(), text: text.to_owned(), notice: false, priority };
        // Boxed because a message that cannot be queued ends within the step.
        Box::pin(self.feed(Input::Say(item))).await;
    }

    /// Who waits for a direct message is told at once that it will not arrive now.
    fn refuse_directs(&mut self) {
        let directs = self.in_flight.extract_if(.., |_, what| matches!(what, InFlight::Direct(_)));
        for (_, what) in directs {
            if let InFlight::Direct(done) = what {
                let _ = done.send(Err(Fault::unavailable("the IRC connection broke")));
            }
        }
    }

    async fn on_end(&mut self, id: u64, outcome: Result<(), String>) {
        let Some(what) = self.in_flight.remove(&id) else { return };
        if let Err(reason) = &outcome {
            tracing::warn!(%reason, "a line could not be delivered on IRC");
        }
        match what {
            InFlight::Announcement(_) | InFlight::Page(_) => self.keep_positions().await,
            InFlight::Direct(done) => {
                // An error only says that nobody waits for the answer.
                let _ = done.send(outcome.map_err(|reason| Fault::unavailable(format!("IRC: {reason}"))));
            }
            InFlight::Reply => {}
        }
    }

    /// What waits for its phase: only an open session in its channel tells news.
    pub fn in_channel(&self) -> bool {
        matches!(self.session().phase(), Phase::Online { .. }) && self.session().joined(self.home())
    }
}

async fn next_event(wire: &mut Option<Wire>) -> Option<WireEvent> {
    match wire {
        Some(wire) => wire.events.recv().await,
        None => std::future::pending().await,
    }
}
