//! The application handle: the store, the ports for time and chance, each part's state, and the one way to change anything.

use std::sync::Arc;

use tenfold_store::{Db, Queued, StoreError, Tx, events};
use tenfold_types::{Clock, Entropy, Event, EventDraft, EventId, Fault, Timestamp};

use crate::{
    agents, alerts, chat, checks, deploys, digests, flags, forges, incidents, metrics, noise, oncall, people, permits,
    pulse, record::RecordHub, settings::Settings, sources,
};

/// Cheap to clone; everything behind it is shared.
#[derive(Clone)]
pub struct App(Arc<Inner>);

pub struct Inner {
    pub db: Db,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub settings: Settings,
    pub record: RecordHub,
    pub people: people::State,
    pub metrics: metrics::State,
    pub flags: flags::State,
    pub permits: permits::State,
    pub deploys: deploys::State,
    pub forges: forges::State,
    pub agents: agents::State,
    pub alerts: alerts::State,
    pub oncall: oncall::State,
    pub incidents: incidents::State,
    pub digests: digests::State,
    pub chat: chat::State,
    pub checks: checks::State,
    pub sources: sources::State,
    pub noise: noise::State,
    pub pulse: pulse::State,
}

impl std::ops::Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: Settings,
        metrics: metrics::State,
    ) -> Self {
        Self(Arc::new(Inner {
            db,
            clock,
            entropy,
            settings,
            metrics,
            record: RecordHub::default(),
            people: people::State::default(),
            flags: flags::State::default(),
            permits: permits::State::default(),
            deploys: deploys::State::default(),
            forges: forges::State::default(),
            agents: agents::State::default(),
            alerts: alerts::State::default(),
            oncall: oncall::State::default(),
            incidents: incidents::State::default(),
            digests: digests::State::default(),
            chat: chat::State::default(),
            checks: checks::State::default(),
            sources: sources::State::default(),
            noise: noise::State::default(),
            pulse: pulse::State::default(),
        }))
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Random bytes as unpadded base64url text: secrets, one-time codes.
    pub fn random_text(&self, bytes: usize) -> String {
        use base64::Engine;
        let mut raw = vec![0u8; bytes];
        self.entropy.fill(&mut raw);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(raw)
    }

    /// Changes state and records what happened, both or neither. Refuses to commit a change that recorded no event.
    ///
    /// The closure may run more than once (the database asked for a retry), so it must not have effects of its own.
    pub async fn transact<T, F>(&self, f: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnMut(&mut Txn<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.run(f, true).await
    }

    /// Changes what is not state of the product: cursors, leases, sessions, delivery attempts. May still record events.
    pub async fn housekeeping<T, F>(&self, f: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnMut(&mut Txn<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.run(f, false).await
    }

    /// As [`App::transact`], but returns when the change has its place in the queue of the writer: what is queued later is
    /// written later.
    pub(crate) async fn transact_queued<T, F>(&self, f: F) -> Result<QueuedChange<T>, Fault>
    where
        T: Send + 'static,
        F: FnMut(&mut Txn<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.queued(f, true).await
    }

    async fn run<T, F>(&self, f: F, wants_event: bool) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnMut(&mut Txn<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.queued(f, wants_event).await?.done(self).await
    }

    async fn queued<T, F>(&self, mut f: F, wants_event: bool) -> Result<QueuedChange<T>, Fault>
    where
        T: Send + 'static,
        F: FnMut(&mut Txn<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let clock = self.clock.clone();
        let entropy = self.entropy.clone();
        // Dropped with the closure, when the transaction has ended.
        let mut mutes = self.alerts.mute_writes();
        let queued = self
            .db
            .queue(move |tx| {
                let watched = Watched { inner: tx, writes: 0, mutes: &mut mutes };
                let (later, recorded) = (Vec::new(), Vec::new());
                let mut txn = Txn { tx: watched, now: clock.now(), entropy: &*entropy, later, recorded };
                let value = f(&mut txn)?;
                txn.record_rest()?;
                if wants_event && txn.tx.writes > 0 && txn.recorded.is_empty() {
                    return Err(Fault::internal(
                        "a change was about to be committed without an event; nothing was changed",
                    ));
                }
                Ok::<_, Fault>((value, txn.recorded))
            })
            .await?;
        Ok(QueuedChange(queued))
    }

    pub async fn read<T, F>(&self, f: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T, Fault> + Send + 'static,
    {
        self.db.read(f).await
    }
}

/// A change that has its place in the queue of the writer.
pub(crate) struct QueuedChange<T>(Queued<(T, Vec<Event>), Fault>);

impl<T> QueuedChange<T> {
    /// Returns when it is durable, or was refused.
    pub async fn done(self, app: &App) -> Result<T, Fault> {
        let (value, recorded) = self.0.done().await?;
        if !recorded.is_empty() {
            app.record.committed(recorded);
        }
        Ok(value)
    }
}

/// One transaction: the store's view of it, the instant it counts as, and the record.
pub struct Txn<'a> {
    tx: Watched<'a>,
    now: Timestamp,
    entropy: &'a dyn Entropy,
    /// To be recorded before anything else is.
    later: Vec<EventDraft>,
    recorded: Vec<Event>,
}

impl Txn<'_> {
    pub fn tx(&mut self) -> &mut dyn Tx {
        &mut self.tx
    }
    pub fn now(&self) -> Timestamp {
        self.now
    }
    pub fn entropy(&self) -> &dyn Entropy {
        self.entropy
    }
    /// Writes an event into this transaction.
    pub fn record(&mut self, draft: EventDraft) -> Result<Event, Fault> {
        self.record_rest()?;
        let id = EventId::new(self.now, self.entropy);
        let event = events::append(self.tx.inner, self.now, id, &draft)?;
        self.recorded.push(event.clone());
        Ok(event)
    }
    /// Writes an event into this transaction together with others, which costs less than one by one: before the next
    /// [`Txn::record`], at the latest at the end. The order is kept. What is read of the record meanwhile does not hold it.
    pub fn record_later(&mut self, draft: EventDraft) {
        self.later.push(draft);
    }
    fn record_rest(&mut self) -> Result<(), Fault> {
        let drafts = std::mem::take(&mut self.later).into_iter();
        let drafts = drafts.map(|draft| (EventId::new(self.now, self.entropy), draft)).collect();
        self.recorded.extend(events::append_all(self.tx.inner, self.now, drafts)?);
        Ok(())
    }
}

/// Counts writes, so that a change without its event can be refused, and tells of those of mutes.
struct Watched<'a> {
    inner: &'a mut dyn Tx,
    writes: u64,
    mutes: &'a mut alerts::MuteWrites,
}

impl Tx for Watched<'_> {
    fn execute(&mut self, sql: &str, params: &[tenfold_store::Value]) -> Result<u64, StoreError> {
        self.mutes.statement(sql);
        let changed = self.inner.execute(sql, params)?;
        self.writes += changed;
        Ok(changed)
    }
    fn query(&mut self, sql: &str, params: &[tenfold_store::Value]) -> Result<Vec<tenfold_store::Row>, StoreError> {
        if !sql.starts_with("SELECT") {
            self.mutes.statement(sql);
        }
        self.inner.query(sql, params)
    }
    fn dialect(&self) -> tenfold_store::Dialect {
        self.inner.dialect()
    }
    fn sealer(&self) -> &tenfold_store::Sealer {
        self.inner.sealer()
    }
}
