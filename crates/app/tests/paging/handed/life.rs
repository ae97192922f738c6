//! One life of two nodes: a process of its own, or called as a test in this one. Senders speak to either node, whatever the dice
//! say, and each thing is said before it is done and each answer when it is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use tenfold_app::alerts::{NotifyError, PostedAlert, Settle, WebhookPoster, WebhookSpec};
use tenfold_app::{App, Caller, Role};
use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};
use tenfold_store::{alert_inbox, params};
use tenfold_testkit::{TestClock, TestEntropy};
use tenfold_types::{Clock as _, Fault, Timestamp};

use super::model::Model;
use super::truth::{self, Truth};
use super::words::{self, Ask, Database, Line, Order, Sender, WORD, WORDS_MAX, Word};
use crate::lives::{self, Kind, Say, travel};
use crate::world::{caller, from, put_off};

pub const KIND: Kind = Kind { test: "handed::life::one", order: "TENFOLD_TEST_NODES" };

/// What names its alerts by keys.
const SENDER: (&str, &str) = ("alert_source", "nightly");
/// Alerts that break at a time: memory is read again for each that is refused, and not without an end.
const BROKEN_MAX: usize = 2;
/// The shortest and the longest for which one is broken. It is tried so often in that time that it is never kept aside.
const BROKEN_MS: (i64, i64) = (20_000, 90_000);
/// Nobody waits for the end that a sender foresees.
const FORESEEN_MS: i64 = 30 * 86_400_000;
/// Of which alerts senders speak: the newest ones.
const SPOKEN_OF: u64 = 4;
/// A life that rests: longer than the longest wait of a request that was put off, and of a webhook that was out of order.
const REST_MS: i64 = 15 * 60_000;
/// In steps within which the lease runs out.
const REST_STEP_MS: i64 = 30_000;
/// And after each for so long, within which it does not.
const LOOKED_AT_MS: i64 = 6_000;
/// After so many of them all that waited is taken, and what was not answered is said once more.
const REST_STEPS_BEFORE: i64 = 12;

pub struct Life {
    nodes: Vec<App>,
    clock: TestClock,
    dice: TestEntropy,
    hook: Arc<Hook>,
    say: Say<Line>,
    senders: Vec<Sender>,
    broken: BTreeMap<u64, i64>,
    nonsense: u64,
}

/// The program behind the webhook, and the network before it.
struct Hook {
    dice: TestEntropy,
    /// Takes whatever comes.
    kind: AtomicBool,
    say: Say<Line>,
}

impl Hook {
    async fn travel(&self) {
        travel(&self.dice, 30).await;
    }
}

#[async_trait]
impl WebhookPoster for Hook {
    async fn post(&self, _: &WebhookSpec, body: String, _: &str) -> Result<(), NotifyError> {
        self.travel().await;
        let luck = if self.kind.load(Ordering::SeqCst) { u64::MAX } else { self.dice.below(12) };
        match luck {
            0 => return Err(put_off("503 Service Unavailable", None)),
            1 => return Err(put_off("429 Too Many Requests", Some(5_000))),
            2 => return Err(NotifyError { permanent: true, ..put_off("410 Gone", None) }),
            _ => {}
        }
        let message: Value = serde_json::from_str(&body).expect("it is JSON");
        for alert in message["alerts"].as_array().expect("a list") {
            let number = alert["labels"]["alertname"].as_str().and_then(words::number).expect("one of ours");
            (self.say)(&Line::Told { alert: number, fires: alert["status"] == "firing" });
        }
        self.travel().await;
        if luck == 3 { Err(put_off("the connection was reset", None)) } else { Ok(()) }
    }
}

/// What is due on both nodes.
async fn tick(nodes: Vec<App>, first: usize) -> Result<(), Fault> {
    let mut ended = Ok(());
    for at in [first, 1 - first] {
        let alerts = nodes[at].alerts_tick().await;
        let webhooks = nodes[at].webhooks_tick().await;
        ended = ended.and(alerts).and(webhooks);
    }
    ended
}

fn labels(alert: u64) -> BTreeMap<String, String> {
    let pairs = [("alertname", words::name(alert)), ("service", "photos".to_owned())];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn annotations(word: Word) -> BTreeMap<String, String> {
    BTreeMap::from([(WORD.to_owned(), word.number.to_string())])
}

fn posted(word: Word, now: Timestamp) -> PostedAlert {
    let ends_at = if word.fires() { now.plus_ms(FORESEEN_MS) } else { now };
    let starts_at = word.fires().then_some(now);
    from(json!({
        "labels": labels(word.alert), "annotations": annotations(word), "startsAt": starts_at, "endsAt": ends_at,
    }))
}

fn keyed(word: Word) -> KeyedAlert {
    KeyedAlert {
        key: words::name(word.alert),
        state: if word.fires() { SaidState::Firing } else { SaidState::Resolved },
        labels: labels(word.alert),
        annotations: annotations(word),
        starts_at: None,
        url: None,
    }
}

impl Life {
    pub async fn begin(order: &Order, say: Say<Line>) -> Self {
        say(&Line::Clock(order.now_ms));
        let clock = TestClock::at(Timestamp(order.now_ms));
        let kind = AtomicBool::new(order.rests);
        let hook = Arc::new(Hook { dice: TestEntropy::seeded(order.seed.wrapping_mul(37)), kind, say: say.clone() });
        let first = order.database.open(&order.dir).await;
        // A node of a file has no store of its own.
        let second = match order.database {
            Database::Sqlite => first.clone(),
            Database::Postgres(_) => order.database.open(&order.dir).await,
        };
        let mut nodes = Vec::new();
        for (db, name, seed) in [(first, "a", 3), (second, "b", 5)] {
            let seed = order.seed.wrapping_mul(seed);
            let app = truth::node(&db, (order.dir.as_path(), name), &order.database, seed, &clock).await;
            app.set_webhook_poster(hook.clone());
            nodes.push(app);
        }
        let dice = TestEntropy::seeded(order.seed.wrapping_mul(31));
        let (senders, broken) = (order.senders.clone(), order.broken.clone());
        Self { nodes, clock, dice, hook, say, senders, broken, nonsense: order.nonsense }
    }

    fn say(&self, line: &Line) {
        (self.say)(line);
    }

    fn pass(&self, ms: i64) {
        let at = self.clock.now().plus_ms(ms);
        self.say(&Line::Clock(at.millis()));
        self.clock.set(at);
    }

    fn either(&self) -> usize {
        self.dice.below(2) as usize
    }

    /// Some time passes, and what is due then is done while senders go on speaking.
    pub async fn turn(&mut self) {
        let most_ms = [50, 400, 1_500, 6_000, 15_000][self.dice.below(5) as usize];
        self.pass(1 + self.dice.below(most_ms) as i64);
        self.mend(false).await;
        let ticking = tokio::spawn(tick(self.nodes.clone(), self.either()));
        for _ in 0..self.dice.below(4) {
            self.act().await;
        }
        self.ended(ticking.await.expect("a tick does not panic"));
        self.look().await;
    }

    /// Nobody says anything new, and the webhook takes what comes.
    pub async fn rest(&mut self) {
        self.hook.kind.store(true, Ordering::SeqCst);
        self.mend(true).await;
        for step in 0..REST_MS / REST_STEP_MS {
            self.pass(REST_STEP_MS);
            self.ended(tick(self.nodes.clone(), 0).await);
            if step == REST_STEPS_BEFORE {
                self.repeat().await;
            }
            self.look().await;
            // A node that takes over waits a moment with what still fires: it may have ended.
            self.pass(LOOKED_AT_MS);
            self.ended(tick(self.nodes.clone(), 0).await);
            self.look().await;
        }
        self.say(&Line::Rested);
    }

    fn ended(&self, done: Result<(), Fault>) {
        self.say(&Line::TickEnds(done.err().map(|fault| fault.message)));
    }

    /// Nothing is asked and nothing is due: what a webhook is owed is told, and what it took is stored.
    async fn look(&self) {
        for node in &self.nodes {
            if let Err(fault) = node.webhooks_tick().await {
                self.ended(Err(fault));
            }
        }
        self.say(&Line::Knows(truth::known(&self.nodes[0]).await));
    }

    async fn act(&mut self) {
        match self.dice.below(14) {
            0 => {
                let number = self.nonsense;
                self.nonsense += 1;
                let at = self.either();
                self.ask(Ask::Nonsense(number), self.put(at, number)).await;
            }
            1 => {
                self.ask(Ask::Again, self.settle(Settle::Again)).await;
            }
            2 => {
                self.ask(Ask::Forget, self.settle(Settle::Forget { until: None })).await;
            }
            _ => self.speak().await,
        }
    }

    async fn ask(&self, what: Ask, doing: impl Future<Output = Result<(), Fault>>) -> bool {
        self.say(&Line::Asks(what.clone()));
        match doing.await {
            Ok(()) => {
                self.say(&Line::Answered(what));
                true
            }
            Err(fault) => {
                self.say(&Line::Refused(what, fault.message));
                false
            }
        }
    }

    async fn put(&self, at: usize, number: u64) -> Result<(), Fault> {
        let (body, now) = (words::nonsense(number), self.clock.now());
        self.nodes[at].housekeeping(move |t| Ok(alert_inbox::put(t.tx(), &body, now)?)).await.map(|_| ())
    }

    async fn settle(&self, how: Settle) -> Result<(), Fault> {
        self.nodes[self.either()].alerts_refused_settle(&caller("raj", Role::Admin), how).await.map(|_| ())
    }

    /// One request: of each of some alerts what was not answered, or what comes next.
    async fn speak(&mut self) {
        let mut said: Vec<Word> = Vec::new();
        for _ in 0..=self.dice.below(3) {
            let alert = self.pick().await;
            let sender = self.senders[alert as usize];
            let number = if sender.asked > sender.answered { sender.asked } else { sender.asked + 1 };
            // Who names alerts by keys speaks of nothing else.
            let fits =
                said.iter().all(|word| word.alert != alert && words::is_keyed(word.alert) == words::is_keyed(alert));
            if fits && number <= WORDS_MAX {
                said.push(Word { alert, number });
            }
        }
        if !said.is_empty() {
            let at = self.either();
            self.tell(at, said).await;
        }
    }

    /// An alert to speak of; a new one may be one that the store refuses to write.
    async fn pick(&mut self) -> u64 {
        let count = self.senders.len() as u64;
        if count > 0 && self.dice.below(3) > 0 {
            return count - 1 - self.dice.below(count.min(SPOKEN_OF));
        }
        self.senders.push(Sender::default());
        if self.broken.len() < BROKEN_MAX && self.dice.below(2) == 0 {
            self.breaks(count).await;
        }
        count
    }

    async fn tell(&mut self, at: usize, said: Vec<Word>) {
        for word in &said {
            self.senders[word.alert as usize].asked = word.number;
        }
        let heard = self.ask(Ask::Say { at, words: said.clone() }, self.send(at, &said)).await;
        for word in said.iter().filter(|_| heard) {
            self.senders[word.alert as usize].answered = word.number;
        }
    }

    async fn send(&self, at: usize, said: &[Word]) -> Result<(), Fault> {
        let (node, now) = (&self.nodes[at], self.clock.now());
        if said.iter().any(|word| words::is_keyed(word.alert)) {
            return node.alerts_keyed(&Caller::system(), SENDER, said.iter().map(|word| keyed(*word)).collect()).await;
        }
        node.alerts_receive(&Caller::system(), said.iter().map(|word| posted(*word, now)).collect()).await
    }

    /// What was said and not answered is said again, to either node.
    async fn repeat(&mut self) {
        for alert in 0..self.senders.len() {
            let sender = self.senders[alert];
            if sender.asked > sender.answered {
                self.tell(alert % 2, vec![Word { alert: alert as u64, number: sender.asked }]).await;
            }
        }
    }

    /// From now on the store refuses whatever is written of the alert.
    async fn breaks(&mut self, alert: u64) {
        let (least, most) = BROKEN_MS;
        let until_ms = self.clock.now().millis() + least + self.dice.below((most - least) as u64) as i64;
        self.say(&Line::Breaks(alert, until_ms));
        self.broken.insert(alert, until_ms);
        self.write("INSERT INTO broken_alerts (rule) VALUES ($1) ON CONFLICT (rule) DO NOTHING", alert).await;
    }

    /// Mends what was broken for long enough, or all.
    async fn mend(&mut self, all: bool) {
        let now_ms = self.clock.now().millis();
        let over = self.broken.iter().filter(|(_, until_ms)| all || **until_ms <= now_ms);
        let over: Vec<u64> = over.map(|(alert, _)| *alert).collect();
        for alert in over {
            self.write("DELETE FROM broken_alerts WHERE rule = $1", alert).await;
            self.broken.remove(&alert);
            self.say(&Line::Mended(alert));
        }
    }

    async fn write(&self, sql: &'static str, alert: u64) {
        let name = words::name(alert);
        let written = self.nodes[0].housekeeping(move |t| Ok(t.tx().execute(sql, params![&name])?)).await;
        written.expect("the table takes it");
    }
}

/// Without an order it lives on a file of its own, for a while and without a kill, and the model has nothing to say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one() {
    if let Some(order) = KIND.order::<Order>() {
        let mut life = Life::begin(&order, lives::aloud()).await;
        if order.rests {
            life.rest().await;
            return std::future::pending().await;
        }
        loop {
            life.turn().await;
        }
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let database = Database::Sqlite;
    let now_ms = truth::set_up(dir.path(), &database).await;
    let order = Order {
        dir: dir.path().to_owned(),
        database: database.clone(),
        seed: 78,
        now_ms,
        senders: Vec::new(),
        broken: BTreeMap::new(),
        nonsense: 0,
        rests: false,
    };
    let (say, lines) = lives::kept();
    let mut life = Life::begin(&order, say).await;
    for _ in 0..20 {
        life.turn().await;
    }
    let turned = lines.lock().len();
    life.rest().await;
    drop(life);
    let mut model = Model::new(now_ms);
    for (at, line) in lines.lock().drain(..).enumerate() {
        model.resting = at >= turned;
        model.hear(line).expect("the model agrees");
    }
    let truth = Truth::read(dir.path(), &database, &model, true).await;
    model.settle(&truth).expect("what was promised is so");
    model.rested(&truth).expect("nothing is forgotten");
    println!("{}", model.counts);
}
