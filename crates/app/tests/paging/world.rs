//! What these tests are made of: a server that can be killed and started again over the same store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tenfold_app::alerts::{Channel, Notice, Notifier, NotifyError, Push, PushError, PushTo, RuleSource, Update};
use tenfold_app::oncall::{PolicyUpdate, ScheduleUpdate};
use tenfold_app::people::{Contact, PersonKind, PersonUpdate};
use tenfold_app::{App, Caller, Grant, Role, Settings, metrics};
use tenfold_store::{Db, leases};
use tenfold_testkit::{TempDb, TestClock, TestEntropy, temp_db};
use tenfold_types::{Actor, Clock as _, Event, EventDraft, Labels, Severity, Source, Timestamp};

pub const RULES: &str = "\
groups:
- name: photos
  interval: 5s
  rules:
  - alert: HighErrorRate
    expr: errors > 5
    for: 10s
    labels: {severity: critical, service: photos, environment: production}
    annotations:
      summary: 'photos answers {{ $value }} % with errors'
      runbook_url: https://example.org/runbooks/errors
";

/// What a receiver does with the next message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Refuse(NotifyError),
    /// The process dies before the receiver has the message.
    DieBefore,
    /// The process dies after the receiver has the message and before that is stored.
    DieAfter,
    /// Takes the message, and answers when the test lets go of `held`.
    Hold,
}

/// What a receiver says that takes nothing for now, and perhaps when to come back.
pub fn put_off(message: &str, retry_after_ms: Option<i64>) -> NotifyError {
    NotifyError { too_large: false, permanent: false, retry_after_ms, message: message.to_owned() }
}

impl Answer {
    pub fn put_off(retry_after_ms: Option<i64>) -> Self {
        Self::Refuse(put_off("450 later", retry_after_ms))
    }
}

/// A message as a receiver took it.
#[derive(Debug, Clone)]
pub struct Sent {
    pub to: String,
    pub key: String,
    pub notice: Notice,
}

#[derive(Default)]
pub struct Receivers {
    pub taken: Mutex<Vec<Sent>>,
    /// Every call with its key, also those that were refused.
    pub calls: Mutex<Vec<String>>,
    pub answers: Mutex<VecDeque<Answer>>,
    /// Addresses that refuse for good.
    pub unknown: Mutex<BTreeSet<String>>,
    /// Addresses that take what is sent and answer when the test lets go of `held`.
    pub slow: Mutex<BTreeSet<String>>,
    /// Told when an address that answers has taken a message.
    pub took: tokio::sync::Notify,
    /// What was told after the pages.
    pub updates: Mutex<Vec<Told>>,
    /// What the next of these calls are refused with.
    pub update_refusals: Mutex<VecDeque<NotifyError>>,
    /// What browsers were told, by their addresses: the subject of a page, or the news.
    pub pushed: Mutex<Vec<(String, String)>>,
    /// What the push services of these addresses answer, until it is taken out.
    pub push_refusals: Mutex<BTreeMap<String, PushError>>,
    pub held: tokio::sync::Mutex<()>,
    /// Told when a call is held.
    pub holding: tokio::sync::Notify,
    /// Told when the process dies inside a call.
    died: tokio::sync::Notify,
}

/// News as a receiver took it.
#[derive(Debug, Clone)]
pub struct Told {
    pub channel: Channel,
    pub to: String,
    pub key: String,
    pub update: Update,
}

impl Receivers {
    pub async fn death(&self) {
        self.died.notified().await;
    }
    /// Forgets that two calls died at once.
    pub fn forget_deaths(&self) {
        use futures_util::FutureExt;
        let _ = self.died.notified().now_or_never();
    }
    pub fn subjects_to(&self, to: &str) -> Vec<String> {
        self.taken.lock().iter().filter(|s| s.to == to).map(|s| s.notice.subject.clone()).collect()
    }
    async fn die(&self) -> ! {
        self.died.notify_one();
        std::future::pending::<()>().await;
        unreachable!("a dead process does not go on")
    }
}

#[async_trait]
impl Notifier for Receivers {
    fn serves(&self, channel: Channel) -> bool {
        use Channel::{Discord, Mail, Pagerduty, Pushover, Webhook, Webpush};
        matches!(channel, Mail | Webhook | Discord | Pushover | Pagerduty | Webpush)
    }
    async fn send(&self, _channel: Channel, to: &str, message: &Notice, key: &str) -> Result<(), NotifyError> {
        self.calls.lock().push(key.to_owned());
        let answer = self.answers.lock().pop_front();
        let take = || {
            let sent = Sent { to: to.to_owned(), key: key.to_owned(), notice: message.clone() };
            self.taken.lock().push(sent);
        };
        if self.unknown.lock().contains(to) {
            return Err(NotifyError { permanent: true, ..put_off("550 no such mailbox", None) });
        }
        if self.slow.lock().contains(to) {
            take();
            self.holding.notify_one();
            drop(self.held.lock().await);
            return Ok(());
        }
        match answer {
            None => {
                take();
                self.took.notify_one();
            }
            Some(Answer::Refuse(error)) => return Err(error),
            Some(Answer::DieBefore) => self.die().await,
            Some(Answer::DieAfter) => {
                take();
                self.die().await;
            }
            Some(Answer::Hold) => {
                take();
                self.holding.notify_one();
                drop(self.held.lock().await);
            }
        }
        Ok(())
    }
    async fn deliver(
        &self,
        channel: Channel,
        to: &str,
        message: &Notice,
        key: &str,
    ) -> Result<Option<String>, NotifyError> {
        self.send(channel, to, message, key).await?;
        Ok((channel == Channel::Discord).then(|| format!("name of {key}")))
    }
    async fn update(&self, channel: Channel, to: &str, update: &Update, key: &str) -> Result<(), NotifyError> {
        if let Some(refusal) = self.update_refusals.lock().pop_front() {
            return Err(refusal);
        }
        let told = Told { channel, to: to.to_owned(), key: key.to_owned(), update: update.clone() };
        self.updates.lock().push(told);
        Ok(())
    }
    async fn push_key(&self) -> Result<String, NotifyError> {
        Ok("KEY".to_owned())
    }
    async fn push(&self, to: &PushTo, what: Push<'_>, _key: &str) -> Result<(), PushError> {
        if let Some(refusal) = self.push_refusals.lock().get(&to.endpoint) {
            return Err(refusal.clone());
        }
        let text = match what {
            Push::Page(notice) => notice.subject.clone(),
            Push::News(update) => update.news.clone(),
        };
        self.pushed.lock().push((to.endpoint.clone(), text));
        Ok(())
    }
}

/// Samples by expression: present series have a value, absent expressions have no data.
#[derive(Default)]
pub struct Samples {
    /// `None`: the query fails.
    pub errors: Mutex<Option<Vec<f64>>>,
    pub recorded: Mutex<Vec<(Labels, f64)>>,
}

#[async_trait]
impl RuleSource for Samples {
    async fn evaluate(&self, expr: &str, _at: Timestamp) -> Result<Vec<(Labels, f64)>, String> {
        let errors = self.errors.lock().clone().ok_or("the query took too long")?;
        let rows = errors.into_iter().map(|v| (Labels::from_pairs([("job", "photos"), ("__name__", "errors")]), v));
        Ok(match expr {
            "errors > 5" => rows.filter(|(_, v)| *v > 5.0).collect(),
            "errors > bool  5" => rows.map(|(l, v)| (l, f64::from(u8::from(v > 5.0)))).collect(),
            "sum(errors)" => rows.collect(),
            other => panic!("nobody asked for {other}"),
        })
    }
    fn record(&self, rows: Vec<(Labels, f64)>, _at: Timestamp) {
        self.recorded.lock().extend(rows);
    }
}

pub struct World {
    db: TempDb,
    dir: tempfile::TempDir,
    starts: u32,
    pub clock: TestClock,
    pub entropy: TestEntropy,
    pub receivers: Arc<Receivers>,
    pub samples: Arc<Samples>,
    pub app: App,
}

impl World {
    /// ana (developer) and raj (operator) share `photos-primary` in weekly shifts, ana first; the policy `photos` pages
    /// the schedule, after 60 s raj, after 120 s more nobody.
    pub async fn new(seed: u64) -> Self {
        let db = temp_db().await;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (clock, entropy) = (TestClock::default(), TestEntropy::seeded(seed));
        let (receivers, samples) = (Arc::new(Receivers::default()), Arc::new(Samples::default()));
        *samples.errors.lock() = Some(vec![0.0]);
        let node = Node { db: &db, dir: dir.path(), name: "start-1", database_url: "" };
        let app = node.start(&clock, &entropy, &receivers, &samples).await;
        people(&app).await;
        Self { db, dir, starts: 1, clock, entropy, receivers, samples, app }
    }

    /// Kills the server and starts it again over the same store.
    pub async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// The same with other settings.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Settings)) {
        self.starts += 1;
        let name = format!("start-{}", self.starts);
        let node = Node { db: &self.db, dir: self.dir.path(), name: &name, database_url: "" };
        let mut settings = node.settings();
        change(&mut settings);
        self.app = node.start_with(settings, &self.clock, &self.entropy, &self.receivers, &self.samples).await;
    }

    /// The file of the database.
    pub fn database(&self) -> std::path::PathBuf {
        self.db.path()
    }

    /// Another node takes the lease from this one, which does not know it yet, and is gone 12 s later.
    pub async fn lose_lease(&self) {
        let lapsed = self.clock_now().plus_ms(11_000);
        let taken = self.db.write(move |tx| leases::acquire(tx, "alerting", "another", lapsed, 1_000)).await;
        assert!(taken.expect("the store answers").is_some(), "it is taken");
    }

    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Share of errors from now on.
    pub fn errors(&self, percent: f64) {
        *self.samples.errors.lock() = Some(vec![percent]);
    }

    /// Moves the clock in steps of at most 5 s, with everything that is due at each.
    pub async fn pass(&self, seconds: i64) {
        let mut left = seconds;
        while left > 0 {
            let hop = left.min(5);
            self.clock.advance_ms(hop * 1_000);
            left -= hop;
            self.tick().await;
        }
    }

    pub async fn tick(&self) {
        self.app.alerts_tick().await.expect("alerts are evaluated");
        self.app.incidents_tick().await.expect("pages are worked on");
    }

    /// A deploy of photos from its beginning to its end, as its events tell it.
    pub async fn deploy(&self, number: i64, kinds: &[&str], who: &str, data: Value) {
        for kind in kinds {
            self.clock.advance_ms(1_000);
            let draft = EventDraft::new(Actor::person(who), Source::Web, *kind, format!("{who}: {kind} photos"))
                .service("photos")
                .environment("production")
                .deploy(number)
                .severity(Severity::Info)
                .data(data.clone());
            self.app.transact(move |t| t.record(draft.clone()).map(|_| ())).await.expect("an event is recorded");
        }
    }

    pub async fn events(&self) -> Vec<Event> {
        self.app.events_after(0, 1_000).await.expect("the record is read")
    }

    /// Kinds of all events that begin with one of `prefixes`, in the order of the record.
    pub async fn kinds(&self, prefixes: &[&str]) -> Vec<String> {
        let events = self.events().await;
        events.into_iter().map(|e| e.kind).filter(|k| prefixes.iter().any(|p| k.starts_with(p))).collect()
    }

    /// How often each kind is in the record.
    pub async fn count(&self, kind: &str) -> usize {
        self.events().await.iter().filter(|e| e.kind == kind).count()
    }

    pub async fn states(&self) -> BTreeMap<i64, String> {
        let incidents = self.app.incidents_list(None, None, None).await.expect("incidents are listed");
        incidents.into_iter().map(|i| (i.number, i.state)).collect()
    }
}

pub fn caller(login: &str, role: Role) -> Caller {
    Caller {
        actor: Actor::person(login),
        name: login.to_owned(),
        source: Source::Web,
        grants: vec![Grant::everywhere(role)],
    }
}

pub fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the test gives the right shape")
}

/// ana, raj and mei with their schedule, policy and rules.
pub async fn people(app: &App) {
    let system = Caller::system();
    for (login, name, kind) in [
        ("ana", "Ana Silva", PersonKind::Developer),
        ("raj", "Raj Patel", PersonKind::Operator),
        ("mei", "Mei Lin", PersonKind::Developer),
    ] {
        let update = PersonUpdate {
            name: Some(name.to_owned()),
            kind: Some(kind),
            role: Some(Role::Responder),
            contact: Some(Contact { email: format!("{login}@example.org"), ..Contact::default() }),
            ..PersonUpdate::default()
        };
        app.person_put(&system, login, update).await.expect("a person is made");
    }
    let schedule: ScheduleUpdate = from(json!({
        "timezone": "UTC",
        "rotation": {"people": ["ana", "raj"], "start": "2026-11-23T08:00:00", "shift_length": "1w"},
    }));
    app.schedule_put(&system, "photos-primary", schedule).await.expect("a schedule is made");
    let policy: PolicyUpdate = from(json!({"steps": [
        {"delay_ms": 60_000, "targets": [{"kind": "schedule", "name": "photos-primary"}]},
        {"delay_ms": 120_000, "targets": [{"kind": "person", "name": "raj"}]},
    ]}));
    app.policy_put(&system, "photos", policy).await.expect("a policy is made");
    app.rules_put(&system, "photos", RULES).await.expect("rules are made");
}

/// One server process.
pub struct Node<'a> {
    pub db: &'a Db,
    pub dir: &'a std::path::Path,
    /// Of its own data directory.
    pub name: &'a str,
    /// Set when the database is shared with other nodes.
    pub database_url: &'a str,
}

impl Node<'_> {
    pub async fn start(
        &self,
        clock: &TestClock,
        entropy: &TestEntropy,
        receivers: &Arc<Receivers>,
        samples: &Arc<Samples>,
    ) -> App {
        self.start_with(self.settings(), clock, entropy, receivers, samples).await
    }

    fn settings(&self) -> Settings {
        let data_dir = self.dir.join(self.name);
        Settings { data_dir, database_url: self.database_url.to_owned(), ..Settings::default() }
    }

    async fn start_with(
        &self,
        settings: Settings,
        clock: &TestClock,
        entropy: &TestEntropy,
        receivers: &Arc<Receivers>,
        samples: &Arc<Samples>,
    ) -> App {
        let metrics = metrics::State::open(&settings).expect("an empty store of samples opens");
        let app = App::new(self.db.clone(), Arc::new(clock.clone()), Arc::new(entropy.clone()), settings, metrics);
        app.set_notifier(receivers.clone());
        app.set_rule_source(samples.clone());
        tenfold_app::load(&app).await.expect("the state is loaded");
        app
    }
}
