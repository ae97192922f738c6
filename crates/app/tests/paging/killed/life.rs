//! One life of the server: a process of its own, or called as a test in this one. It does whatever its dice say, several
//! things at a time, and says each thing before it does it and each answer when it has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use tenfold_alerting::MuteKind;
use tenfold_app::alerts::{Channel, Notice, Notifier, NotifyError, PostedAlert, Update, WebhookPoster, WebhookSpec};
use tenfold_app::{App, Caller, Role};
use tenfold_store::{alerts as store, counters};
use tenfold_testkit::{TestClock, TestEntropy};
use tenfold_types::{Actor, Clock as _, EventDraft, Fault, Matcher, Source, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::model::Model;
use super::truth::{self, Truth};
use super::words::{Ask, BY_RULE, LANES, Lane, Line, Order, Quiet, minute};
use crate::lives::{self, Kind, Say, travel};
use crate::world::{Samples, caller, from, put_off};

pub const KIND: Kind = Kind { test: "killed::life::one", order: "TENFOLD_TEST_LIFE" };

/// How long a life rests: longer than the longest wait of the routing, of a page that was put off and of an alert that flaps.
const REST_MS: i64 = 20 * 60_000;
/// Nobody waits for the end that a sender foresees.
const FORESEEN_MS: i64 = 30 * 86_400_000;
const RESPONDERS: [&str; 3] = ["ana", "raj", "mei"];

pub struct Life {
    app: App,
    clock: TestClock,
    dice: TestEntropy,
    samples: Arc<Samples>,
    receiver: Arc<Receiver>,
    /// Webhooks are told of what is due, and what they took is stored.
    posting: Option<JoinHandle<Result<(), Fault>>>,
    say: Say<Line>,
    bad: bool,
    /// Makes the reasons of its mutes its own.
    seed: u64,
    mutes: u64,
}

/// What people have in their pockets, the programs behind a webhook, and the network before them.
struct Receiver {
    dice: TestEntropy,
    /// Takes whatever comes.
    kind: AtomicBool,
    /// How often time has passed.
    passes: watch::Sender<u64>,
    say: Say<Line>,
}

impl Receiver {
    async fn travel(&self) {
        travel(&self.dice, 40).await;
    }

    fn is_kind(&self) -> bool {
        self.kind.load(Ordering::SeqCst)
    }

    /// It hangs until time has passed a few times.
    async fn hang(&self) {
        let until = *self.passes.borrow() + 1 + self.dice.below(3);
        let mut passes = self.passes.subscribe();
        // The sender is ours and stays.
        let _ = passes.wait_for(|passed| *passed >= until || self.is_kind()).await;
    }
}

#[async_trait]
impl Notifier for Receiver {
    fn serves(&self, channel: Channel) -> bool {
        matches!(channel, Channel::Mail | Channel::Webhook)
    }

    async fn send(&self, _: Channel, _: &str, message: &Notice, key: &str) -> Result<(), NotifyError> {
        self.travel().await;
        let luck = if self.is_kind() { u64::MAX } else { self.dice.below(8) };
        match luck {
            0 => return Err(put_off("503 Service Unavailable", None)),
            1 => return Err(put_off("429 Too Many Requests", Some(20_000))),
            _ => {}
        }
        let heard = luck != 2;
        (self.say)(&Line::Took { key: key.to_owned(), incident: message.incident, heard });
        self.travel().await;
        if heard { Ok(()) } else { Err(put_off("the connection was reset", None)) }
    }

    async fn update(&self, channel: Channel, to: &str, update: &Update, _: &str) -> Result<(), NotifyError> {
        self.travel().await;
        let luck = if self.is_kind() { u64::MAX } else { self.dice.below(8) };
        if luck < 2 {
            return Err(put_off("503 Service Unavailable", None));
        }
        (self.say)(&Line::Told {
            incident: update.notice.incident,
            channel: channel.as_str().to_owned(),
            to: to.to_owned(),
            kind: update.kind.as_str().to_owned(),
        });
        self.travel().await;
        if luck == 2 { Err(put_off("the connection was reset", None)) } else { Ok(()) }
    }
}

#[async_trait]
impl WebhookPoster for Receiver {
    async fn post(&self, _: &WebhookSpec, body: String, _: &str) -> Result<(), NotifyError> {
        self.travel().await;
        let luck = if self.is_kind() { u64::MAX } else { self.dice.below(10) };
        match luck {
            0 => return Err(put_off("503 Service Unavailable", None)),
            1 => return Err(put_off("429 Too Many Requests", Some(20_000))),
            2 => {
                return Err(NotifyError { permanent: true, too_large: true, ..put_off("413 Content Too Large", None) });
            }
            3 => {
                self.hang().await;
                return Err(put_off("no answer within 10 s", None));
            }
            _ => {}
        }
        (self.say)(&Line::Posted(lanes_of(&body)));
        if luck == 4 {
            self.hang().await;
        }
        self.travel().await;
        if luck == 5 { Err(put_off("the connection was reset", None)) } else { Ok(()) }
    }
}

/// The lanes that a message to the programs is about, each with whether it fires.
fn lanes_of(body: &str) -> Vec<(usize, bool)> {
    let body: Value = serde_json::from_str(body).expect("it is JSON");
    let lane = |alert: &Value| {
        let label = |name: &str| alert["labels"][name].as_str();
        let is = |lane: &Lane| (label("alertname"), label("service")) == (Some(lane.alert), Some(lane.service));
        LANES.iter().position(is).expect("it is one of ours")
    };
    let alerts = body["alerts"].as_array().expect("a list of alerts");
    alerts.iter().map(|alert| (lane(alert), alert["status"] == "firing")).collect()
}

const fn errors(bad: bool) -> f64 {
    if bad { 9.0 } else { 1.0 }
}

async fn tick(app: App) -> Result<(), Fault> {
    let alerts = app.alerts_tick().await;
    app.incidents_tick().await.and(alerts)
}

impl Life {
    pub async fn begin(order: &Order, say: Say<Line>) -> Self {
        say(&Line::Clock(order.now_ms));
        let clock = TestClock::at(Timestamp(order.now_ms));
        let samples = Arc::new(Samples::default());
        *samples.errors.lock() = Some(vec![errors(order.bad)]);
        let app = truth::open(&order.dir, "data", order.seed, &clock, &samples).await;
        let dice = TestEntropy::seeded(order.seed.wrapping_mul(31));
        let receiver = Arc::new(Receiver {
            dice: TestEntropy::seeded(order.seed.wrapping_mul(37)),
            kind: AtomicBool::new(false),
            passes: watch::Sender::new(0),
            say: say.clone(),
        });
        app.set_notifier(receiver.clone());
        app.set_webhook_poster(receiver.clone());
        let (bad, seed) = (order.bad, order.seed);
        Self { app, clock, dice, samples, receiver, posting: None, say, bad, seed, mutes: 0 }
    }

    fn say(&self, line: &Line) {
        (self.say)(line);
    }

    fn pass(&self, ms: i64) {
        let at = self.clock.now().plus_ms(ms);
        self.say(&Line::Clock(at.millis()));
        self.clock.set(at);
        self.receiver.passes.send_modify(|passed| *passed += 1);
    }

    /// Beside all else, as soon as the last time is over: one that hangs keeps what the others took from being stored.
    fn tell_programs(&mut self) {
        if self.posting.as_ref().is_none_or(JoinHandle::is_finished) {
            let app = self.app.clone();
            self.posting = Some(tokio::spawn(async move { app.webhooks_tick().await }));
        }
    }

    /// Some time passes, and what is due then is done while people and senders go on asking.
    pub async fn turn(&mut self) {
        let most_ms = [900, 3_000, 12_000, 60_000, 240_000][self.dice.below(5) as usize];
        self.pass(1 + self.dice.below(most_ms) as i64);
        self.say(&Line::TickBegins);
        let ticking = tokio::spawn(tick(self.app.clone()));
        self.tell_programs();
        for _ in 0..self.dice.below(3) {
            self.act().await;
        }
        let ended = ticking.await.expect("a tick does not panic");
        self.say(&Line::TickEnds(ended.err().map(|fault| fault.message)));
        for _ in 0..self.dice.below(4) {
            self.act().await;
        }
    }

    /// Nobody asks anything, and receivers take what comes.
    pub async fn rest(&self, step_ms: i64) {
        self.receiver.kind.store(true, Ordering::SeqCst);
        for _ in 0..REST_MS / step_ms {
            self.pass(step_ms);
            self.say(&Line::TickBegins);
            let ended = tick(self.app.clone()).await;
            let posted = self.app.webhooks_tick().await;
            self.say(&Line::TickEnds(ended.and(posted).err().map(|fault| fault.message)));
        }
        self.say(&Line::Rested);
    }

    async fn act(&mut self) {
        let lane = 1 + BY_RULE + self.dice.below(LANES.len() as u64 - 1) as usize;
        match self.dice.below(13) {
            0..=3 => self.fire(lane).await,
            4 | 5 => self.end(lane).await,
            6 => {
                // Over and back, perhaps before anybody looked.
                self.end(lane).await;
                self.fire(lane).await;
            }
            7 => self.level(),
            8 | 9 => self.mute().await,
            10 => self.unmute().await,
            _ => self.acknowledge().await,
        }
    }

    async fn ask(&self, what: Ask, doing: impl Future<Output = Result<i64, Fault>>) {
        self.say(&Line::Asks(what.clone()));
        match doing.await {
            Ok(number) => self.say(&Line::Answered(what, number)),
            Err(fault) => self.say(&Line::Refused(what, fault.message)),
        }
    }

    async fn fire(&self, lane: usize) {
        let now = self.clock.now();
        self.ask(Ask::Fire(lane), self.post(lane, Some(now), now.plus_ms(FORESEEN_MS))).await;
    }

    async fn end(&self, lane: usize) {
        self.ask(Ask::End(lane), self.post(lane, None, self.clock.now())).await;
    }

    async fn post(&self, lane: usize, starts_at: Option<Timestamp>, ends_at: Timestamp) -> Result<i64, Fault> {
        let (alert, service) = (LANES[lane].alert, LANES[lane].service);
        let labels =
            json!({"alertname": alert, "service": service, "environment": "production", "severity": "critical"});
        let posted: PostedAlert = from(json!({"labels": labels, "startsAt": starts_at, "endsAt": ends_at}));
        self.app.alerts_receive(&Caller::system(), vec![posted]).await.map(|()| 0)
    }

    fn level(&mut self) {
        self.bad = !self.bad;
        self.say(&Line::Level(self.bad));
        *self.samples.errors.lock() = Some(vec![errors(self.bad)]);
    }

    async fn mute(&mut self) {
        let kinds = [MuteKind::Silence, MuteKind::Downtime, MuteKind::Maintenance, MuteKind::Deploy];
        let kind = kinds[self.dice.below(4) as usize];
        let lane = LANES[self.dice.below(LANES.len() as u64) as usize];
        let whole = kind != MuteKind::Deploy && self.dice.below(2) == 0;
        let now_ms = self.clock.now().millis();
        let later_ms = if kind == MuteKind::Downtime { self.dice.below(60_000) as i64 } else { 0 };
        let from_ms = now_ms + later_ms;
        let mut to_ms = from_ms + 20_000 + self.dice.below(280_000) as i64;
        let mut minutes = None;
        if kind == MuteKind::Maintenance {
            let first = minute(now_ms);
            minutes = Some((first, (first + 1 + self.dice.below(5) as i64).min(1_440)));
            to_ms = from_ms + 3 * 3_600_000;
        }
        self.mutes += 1;
        let quiet = Quiet {
            reason: format!("{} {} of life {}", kind.as_str(), self.mutes, self.seed),
            kind,
            service: lane.service.to_owned(),
            alert: (!whole).then(|| lane.alert.to_owned()),
            from_ms,
            to_ms,
            minutes,
        };
        self.ask(Ask::Mute(quiet.clone()), self.make(quiet)).await;
    }

    async fn make(&self, quiet: Quiet) -> Result<i64, Fault> {
        let mut matchers = vec![Matcher::equal("service", &quiet.service)];
        matchers.extend(quiet.alert.as_ref().map(|alert| Matcher::equal("alertname", alert)));
        if quiet.kind == MuteKind::Deploy {
            return self.make_of_deploy(quiet, matchers).await;
        }
        let clock = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
        let new = from(json!({
            "matchers": matchers,
            "reason": quiet.reason,
            "kind": quiet.kind,
            "starts_at": Timestamp(quiet.from_ms),
            "expires_at": Timestamp(quiet.to_ms),
            "recurs_text": quiet.minutes.map(|(first, end)| format!("{}-{}", clock(first), clock(end))),
        }));
        Ok(self.app.mute_create(&caller("raj", Role::Responder), new).await?.id)
    }

    /// As a deploy writes it when its hosts begin to flip.
    async fn make_of_deploy(&self, quiet: Quiet, matchers: Vec<Matcher>) -> Result<i64, Fault> {
        self.app
            .transact(move |t| {
                let now = t.now();
                let id = counters::next(t.tx(), "mute")?;
                let body = json!({
                    "matchers": matchers, "reason": quiet.reason, "kind": quiet.kind, "deploy": id,
                    "created_at": now, "created_by": "ana", "created_by_name": "Ana Silva", "starts_at": now,
                });
                let expires_at = Timestamp(quiet.to_ms);
                let row = store::MuteRow { id, expires_at, ended_at: None, body: body.to_string() };
                store::mute_insert(t.tx(), &row)?;
                let text = format!("A deploy muted {}", quiet.service);
                let draft = EventDraft::new(Actor::system(), Source::System, "mute.created", text);
                t.record(draft.deploy(id).data(json!({"mute": id})))?;
                Ok(id)
            })
            .await
    }

    async fn unmute(&self) {
        let mutes = self.app.mutes().await.expect("the mutes are read");
        if mutes.is_empty() {
            return;
        }
        let id = mutes[self.dice.below(mutes.len() as u64) as usize].id;
        let who = caller("raj", Role::Responder);
        self.ask(Ask::Unmute(id), async { self.app.mute_delete(&who, id).await.map(|()| 0) }).await;
    }

    /// By whoever has the last page, or by anybody.
    async fn acknowledge(&self) {
        let open = self.app.incidents_open().await.expect("the incidents are read");
        let open: Vec<_> = open.into_iter().filter(|incident| incident.state == "open").collect();
        if open.is_empty() {
            return;
        }
        let incident = &open[self.dice.below(open.len() as u64) as usize];
        let paged = incident.pages.last().map(|page| page.person.clone()).filter(|_| self.dice.below(2) == 0);
        let by = paged.unwrap_or_else(|| RESPONDERS[self.dice.below(3) as usize].to_owned());
        let (number, who) = (incident.number, caller(&by, Role::Responder));
        let doing = async { self.app.incident_acknowledge(&who, number).await.map(|done| i64::from(done.already)) };
        self.ask(Ask::Acknowledge { incident: number, by }, doing).await;
    }
}

/// Without an order it lives in a directory of its own, for a while and without a kill, and the model has nothing to say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one() {
    if let Some(order) = KIND.order::<Order>() {
        let mut life = Life::begin(&order, lives::aloud()).await;
        if order.rests {
            life.rest(40_000).await;
            return std::future::pending().await;
        }
        loop {
            life.turn().await;
        }
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let now_ms = truth::set_up(dir.path()).await;
    let order = Order { dir: dir.path().to_owned(), seed: 77, now_ms, bad: false, rests: false };
    let (say, lines) = lives::kept();
    let mut life = Life::begin(&order, say).await;
    for _ in 0..20 {
        life.turn().await;
    }
    // In steps within which it keeps its lease: what it has in memory is never read again from the store.
    life.rest(8_000).await;
    drop(life);
    let mut model = Model::new(now_ms);
    for line in lines.lock().drain(..) {
        model.hear(line).expect("the model agrees");
    }
    let truth = Truth::read(dir.path(), &model, true).await;
    model.settle(&truth).expect("what was promised is so");
    model.rested(&truth).expect("nobody is forgotten");
    println!("{}", model.counts);
}
