//! The task that conducts one deploy: takes the lease, feeds the state machine, writes each step with its events, then acts.
//!
//! It never acts on a step that is not written, and never writes without holding the lease. What hosts cannot refuse (a build,
//! a hook) ends with the lease: when another node has the deploy, and when nobody can say any more who has it. A server that
//! stops or is killed leaves it to the next one on its machine.

use std::sync::Arc;
use std::time::Duration;

use tenfold_deploys::machine::{Effect, Input, State, step};
use tenfold_store::{deploy_asks, deploys as store, leases};
use tenfold_types::{ErrorCode, EventDraft, Fault};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    after::incident,
    again::Again,
    asks::Claim,
    effects::OTHERS_END,
    elsewhere, facts, faults,
    handed::Handed,
    held::Held,
    locks,
    log::RunLog,
    ports::Stream,
    queue, quiet, stages,
    stored::{Stored, step_of},
    trains,
};
use crate::App;
use crate::incidents::{GuardIncident, open_by_guard};

/// A lease that is not renewed for this long is free for another node.
pub(super) const LEASE_MS: i64 = 8_000;
pub(super) const RENEW: Duration = Duration::from_secs(2);
/// Most inputs that are written together.
const INPUTS_MAX: usize = 256;
/// Between two looks at the clock, at most.
const LOOK: Duration = Duration::from_millis(500);
/// Between two tries to write or to get the lease.
const AGAIN: Duration = Duration::from_millis(500);

pub(super) enum Signal {
    Input(Input),
    /// A program has ended; it is told when that is written.
    Ended(Input, oneshot::Sender<()>),
    /// A person asks; the answer is whether it was done. It is done only by whoever claims it first.
    Ask(Input, Claim, oneshot::Sender<Result<(), Fault>>),
    /// A host refused an order because it follows a higher epoch.
    Refused {
        epoch: i64,
        highest_epoch: i64,
    },
}

pub(super) struct RunHandle {
    pub service: String,
    pub environment: String,
    /// 0 until the lease is held.
    pub epoch: i64,
    pub tx: mpsc::UnboundedSender<Signal>,
}

/// How a conductor comes to its deploy.
pub(super) enum Beginning {
    /// It was written a moment ago, with the lease where that was free.
    Fresh(Option<Taken>),
    /// An earlier process left it.
    Resumed,
}

/// A lease that was taken, and when it was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    epoch: i64,
    asked: Instant,
}

impl Taken {
    /// Takes the lease in the transaction that writes a deploy: one write less between a click and what it orders. Where it is
    /// not free the conductor waits for it.
    pub fn with_deploy(t: &mut crate::Txn<'_>, stored: &Stored, holder: &str) -> Result<Option<Self>, Fault> {
        if holder.is_empty() {
            return Ok(None);
        }
        let (asked, now) = (Instant::now(), t.now());
        let lease = lease_name(&stored.service, &stored.environment);
        let epoch = leases::acquire(t.tx(), &lease, holder, now, LEASE_MS)?;
        Ok(epoch.map(|epoch| Self { epoch, asked }))
    }
}

/// Why the conductor stops before the deploy is final: another node has it, or the server stops.
pub(super) struct Stop;

pub(super) struct Conductor {
    pub(super) app: App,
    pub(super) stored: Stored,
    pub(super) epoch: i64,
    pub(super) held: Arc<Held>,
    /// Cancelled when the deploy goes on elsewhere, which ends its build and its hook, or when the server stops, which leaves
    /// them to the next one.
    pub(super) work: CancellationToken,
    /// Cancelled when the deploy is over and its end is written.
    pub(super) over: CancellationToken,
    /// Until then another server's program may run that was under way when this one took over.
    pub(super) others_until: Option<Instant>,
    /// The same, where that program may change what is live: no other deploy begins before.
    pub(super) busy_until: Option<Instant>,
    pub(super) log: Arc<RunLog>,
    pub(super) tx: mpsc::UnboundedSender<Signal>,
    pub(super) build: Option<CancellationToken>,
    /// Ends the hook that runs.
    pub(super) hook: Option<CancellationToken>,
    /// Whoever carries the deploy out in a cluster.
    pub(super) handed: Option<Handed>,
    /// The manifest as JSON, once it was needed.
    pub(super) manifest: Option<serde_json::Value>,
    /// The artifact, where it is not on this server and is made again.
    pub(super) again: Again,
    /// What was asked at another server, and is answered with the next step.
    pub(super) answering: Option<i64>,
    /// What is said with the next step.
    pub(super) saying: Option<EventDraft>,
}

/// Starts the task.
pub(super) fn spawn(app: &App, stored: Stored, beginning: Beginning) {
    let (tx, rx) = mpsc::unbounded_channel();
    let handle = RunHandle {
        service: stored.service.clone(),
        environment: stored.environment.clone(),
        epoch: 0,
        tx: tx.clone(),
    };
    app.deploys.runs.lock().insert(stored.number, handle);
    let number = stored.number;
    let log = app.deploy_log(number);
    let (work, held) = (app.deploys.stop.child_token(), Arc::new(Held::default()));
    let conductor = Conductor {
        app: app.clone(),
        stored,
        epoch: 0,
        held: held.clone(),
        work: work.clone(),
        over: CancellationToken::new(),
        others_until: None,
        busy_until: None,
        log,
        tx,
        build: None,
        hook: None,
        handed: None,
        manifest: None,
        again: Again::No,
        answering: None,
        saying: None,
    };
    let app = app.clone();
    app.deploys.conductors.clone().spawn(async move {
        let stop = app.deploys.stop.clone();
        let goes_on = tokio::select! {
            () = stop.cancelled() => true,
            () = held.lapsed(&app) => {
                tracing::warn!(deploy = number, "the lease cannot be kept; whoever can takes the deploy up again");
                true
            }
            ended = conductor.conduct(rx, beginning) => ended.is_err(),
        };
        if goes_on {
            work.cancel();
        }
        app.deploys.runs.lock().remove(&number);
        let _ = app.deploys.changes.send(number);
    });
}

impl Conductor {
    async fn conduct(mut self, mut rx: mpsc::UnboundedReceiver<Signal>, beginning: Beginning) -> Result<(), Stop> {
        let mut resumed = matches!(beginning, Beginning::Resumed);
        let before = if let Beginning::Fresh(Some(taken)) = beginning {
            self.has_lease(taken);
            String::new()
        } else {
            let had_lease = self.take_lease().await?;
            // another node may have gone on with it in the meantime, and be gone by now
            let number = self.stored.number;
            self.stored =
                self.until_done(move |app| async move { app.read(move |tx| Stored::get(tx, number)).await }).await?;
            resumed |= self.stored.run.conducted_by.is_some();
            self.conducted_before(had_lease)
        };
        let hosts = match self.keeping(self.look_at_places()).await? {
            Some(places) => places,
            None => self.stored.run.hosts.iter().map(|h| (h.name.clone(), self.running(&h.name))).collect(),
        };
        if resumed && !before.is_empty() && before != self.holder() {
            let text = "another server conducted it until now; the lines it logged are in the log there";
            self.log.say(Stream::Tenfold, None, text);
        }
        self.keeping(self.have_commands()).await?;
        let kept = resumed && self.take_up(&before).await?;
        self.hand_over().await;
        let asked_at = Instant::now();
        if resumed {
            self.apply(Input::Resumed { hosts, kept }).await?;
        } else {
            // hundreds of hosts and the begin are one step and one write
            let told = hosts.into_iter().map(|(host, running)| match running {
                Some(running) => Input::Back { host, running },
                None => Input::Lost { host },
            });
            self.apply_all(told.chain([Input::Start]).collect()).await?;
        }
        // not at once: that step has extended it, and the disk has the flips to write
        let mut renew = tokio::time::interval_at(asked_at + RENEW, RENEW);
        let mut asked = tokio::time::interval(elsewhere::ASKED);
        asked.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let others_may_ask = !self.app.settings.database_url.is_empty();
        while !self.stored.run.state.is_final() {
            let wake = self.until_wake();
            tokio::select! {
                signal = rx.recv() => match signal {
                    Some(Signal::Input(input)) => self.take_many(input, &mut rx).await?,
                    Some(signal) => self.take(signal).await?,
                    None => return Err(Stop),
                },
                () = tokio::time::sleep(wake) => {
                    if self.stored.run.next_wake().is_some_and(|at| self.app.now() >= at) {
                        self.apply(Input::Tick).await?;
                    }
                }
                _ = renew.tick() => self.renew().await?,
                _ = asked.tick(), if others_may_ask => self.take_asked().await?,
            }
        }
        self.over.cancel();
        self.release().await;
        // whoever asked in the last moment gets an answer
        rx.close();
        while let Some(signal) = rx.recv().await {
            if let Signal::Ask(input, claim, answer) = signal
                && claim.take()
            {
                let (_, effects) = step(&self.stored.run, input, self.app.now());
                let _ = answer.send(refusal(&effects));
            }
        }
        Ok(())
    }

    async fn take(&mut self, signal: Signal) -> Result<(), Stop> {
        match signal {
            Signal::Input(input) => {
                self.apply(input).await?;
            }
            Signal::Ended(input, written) => {
                self.again.take(&input);
                self.apply(input).await?;
                let _ = written.send(());
            }
            // Whoever asked has been told that it was not done, or does not listen any more.
            Signal::Ask(_, claim, answer) if answer.is_closed() || !claim.take() => {}
            Signal::Ask(input, _, answer) => {
                let effects = self.apply(input).await?;
                let _ = answer.send(refusal(&effects));
            }
            Signal::Refused { epoch, highest_epoch } if epoch == self.epoch => {
                tracing::warn!(deploy = self.stored.number, epoch, highest_epoch, "a host follows a newer runner");
                return Err(Stop);
            }
            Signal::Refused { .. } => {}
        }
        Ok(())
    }

    /// What many hosts answer at once is written at once: a write for each would hold up the last of them.
    async fn take_many(&mut self, first: Input, rx: &mut mpsc::UnboundedReceiver<Signal>) -> Result<(), Stop> {
        let mut inputs = vec![first];
        let mut other = None;
        while inputs.len() < INPUTS_MAX && other.is_none() {
            match rx.try_recv() {
                Ok(Signal::Input(input)) => inputs.push(input),
                Ok(signal) => other = Some(signal),
                Err(_) => break,
            }
        }
        self.apply_all(inputs).await?;
        match other {
            Some(signal) => self.take(signal).await,
            None => Ok(()),
        }
    }

    /// One step: written with its events first, then acted on.
    pub(super) async fn apply(&mut self, input: Input) -> Result<Vec<Effect>, Stop> {
        self.apply_all(vec![input]).await
    }

    /// Steps in a row, written together, then acted on.
    async fn apply_all(&mut self, inputs: Vec<Input>) -> Result<Vec<Effect>, Stop> {
        let now = self.app.now();
        let (mut next, mut all) = (self.stored.clone(), Vec::new());
        self.signs(&mut next);
        let mut drafts: Vec<EventDraft> = self.saying.take().into_iter().collect();
        let mut inputs = inputs.into_iter().peekable();
        while let Some(input) = inputs.next() {
            let (run, effects) = step(&next.run, input, now);
            next.run = run;
            next.finished_at = next.run.state.is_final().then_some(now);
            drafts.extend(effects.iter().filter_map(|e| match e {
                Effect::Say(fact) => Some(facts::draft(&next, fact)),
                _ => None,
            }));
            // one call for people and one lock at most are written with a step
            let calls = effects.iter().any(|e| matches!(e, Effect::Lock { .. } | Effect::Page { .. }));
            all.extend(effects);
            if !calls && inputs.peek().is_some() {
                continue;
            }
            if next.run != self.stored.run || calls || !drafts.is_empty() || self.answering.is_some() {
                self.write(next.clone(), std::mem::take(&mut drafts), &all).await?;
                faults::written();
            }
            for effect in &all {
                self.act(effect);
            }
            if inputs.peek().is_some() {
                all.clear();
            }
        }
        Ok(all)
    }

    async fn write(&mut self, next: Stored, drafts: Vec<EventDraft>, effects: &[Effect]) -> Result<(), Stop> {
        let now = self.app.now();
        let finished_at = next.finished_at;
        let texts: Vec<String> = drafts.iter().map(|d| d.text.clone()).collect();
        let lock = effects.iter().find_map(|e| match e {
            Effect::Lock { by, why } => Some((*by, why)),
            _ => None,
        });
        let lock = lock.map(|(by, why)| locks::by_itself(&self.app, &next, by, why)).transpose().map_err(|_| Stop)?;
        let page = effects.iter().find_map(|e| match e {
            Effect::Page { why } => Some(why),
            _ => None,
        });
        let page = page.map(|why| {
            let title = format!("{} {} needs a person: {why}", next.service, next.short_sha());
            GuardIncident { own: Some(format!("deploy:{}", next.number)), ..incident(&next, title, now) }
        });
        let quiet = quiet::change(&self.stored, &next);
        let answer =
            self.answering.take().map(|id| (id, refusal(effects).err().map_or_else(String::new, |f| f.message)));
        let over = next.run.state.is_final().then(|| Arc::new(next.clone()));
        let (number, epoch) = (next.number, self.epoch);
        let row = step_of(&next.run, finished_at).map_err(|_| Stop)?;
        let (lease, holder) = (self.lease(), self.holder());
        // With the end, and not after it: whoever begins next may be this server, whom its own lease keeps from nothing.
        let busy_ms = if over.is_some() { self.busy_ms() } else { 0 };
        let write = self.until_done(move |app| {
            let (row, drafts, lease, holder) = (row.clone(), drafts.clone(), lease.clone(), holder.clone());
            let (lock, page, over) = (lock.clone(), page.clone(), over.clone());
            let (quiet, answer) = (quiet.clone(), answer.clone());
            async move {
                let asked = Instant::now();
                let has_events = !drafts.is_empty();
                let change = move |t: &mut crate::Txn<'_>| {
                    // One that ran out is still ours until another takes it, which raises the epoch. It is extended with the
                    // write, so that what follows from it is done under a lease that lasts.
                    let now = t.now();
                    if !leases::keep(t.tx(), &lease, &holder, epoch, now, LEASE_MS)? {
                        return Err(Fault::new(ErrorCode::Gone, "another node took the lease"));
                    }
                    store::deploy_step(t.tx(), number, &row)?;
                    if let Some(over) = &over {
                        trains::ended(t, over)?;
                        stages::ended(t, over)?;
                        queue::ended(t, over)?;
                    }
                    if let Some(quiet) = &quiet {
                        quiet.write(t)?;
                    }
                    if let Some((id, said)) = &answer {
                        deploy_asks::answer(t.tx(), *id, said)?;
                    }
                    for draft in &drafts {
                        t.record(draft.clone())?;
                    }
                    if let Some(page) = &page {
                        open_by_guard(t, page.clone())?;
                    }
                    if let Some((lock, draft)) = &lock {
                        locks::put(t, lock, draft.clone())?;
                    }
                    if busy_ms > 0 {
                        leases::close(t.tx(), &lease, &holder, epoch, now.plus_ms(busy_ms))?;
                    }
                    Ok(())
                };
                let written = if has_events { app.transact(change).await } else { app.housekeeping(change).await };
                written.map(|()| asked)
            }
        });
        let asked = write.await?;
        self.held.seen_at(asked);
        self.stored = next;
        for text in texts {
            self.log.say(Stream::Tenfold, None, &text);
        }
        let _ = self.app.deploys.changes.send(number);
        Ok(())
    }

    /// Tries until it works. A full disk or a lost database holds the deploy up and loses nothing; a lost lease ends it here.
    async fn until_done<T, F, A>(&self, work: F) -> Result<T, Stop>
    where
        F: Fn(App) -> A,
        A: Future<Output = Result<T, Fault>>,
    {
        loop {
            match work(self.app.clone()).await {
                Ok(value) => return Ok(value),
                Err(fault) if matches!(fault.code, ErrorCode::Gone | ErrorCode::NotFound) => {
                    tracing::warn!(deploy = self.stored.number, %fault, "the deploy goes on elsewhere");
                    return Err(Stop);
                }
                Err(fault) => {
                    tracing::warn!(deploy = self.stored.number, %fault, "a step of the deploy could not be written; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    fn until_wake(&self) -> Duration {
        let Some(at) = self.stored.run.next_wake() else { return LOOK };
        let ms = at.since_ms(self.app.now()).max(0);
        LOOK.min(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }

    pub(super) fn lease(&self) -> String {
        lease_name(&self.stored.service, &self.stored.environment)
    }

    pub(super) fn holder(&self) -> String {
        self.app.deploys.node.get().cloned().unwrap_or_default()
    }

    /// Returns who had it before; nobody's name is empty.
    async fn take_lease(&mut self) -> Result<String, Stop> {
        let (lease, holder) = (self.lease(), self.holder());
        let mut is_told = false;
        loop {
            let (name, holder, asked) = (lease.clone(), holder.clone(), Instant::now());
            let taken = self
                .app
                .housekeeping(move |t| {
                    let now = t.now();
                    let before = leases::get(t.tx(), &name)?.map(|lease| lease.holder).unwrap_or_default();
                    let epoch = leases::acquire(t.tx(), &name, &holder, now, LEASE_MS)?;
                    Ok((epoch, before))
                })
                .await;
            match taken {
                Ok((Some(epoch), before)) => {
                    faults::leased();
                    self.has_lease(Taken { epoch, asked });
                    let nobody = before == leases::NOBODY;
                    return Ok(if nobody { String::new() } else { before });
                }
                Ok((None, before)) if before == leases::NOBODY && !is_told => {
                    is_told = true;
                    let text = format!(
                        "it waits, for {} s at most: a program of the deploy before may still run on a server that is gone",
                        OTHERS_END.as_secs()
                    );
                    self.log.say(Stream::Tenfold, None, &text);
                }
                Ok((None, _)) => {}
                Err(fault) => {
                    tracing::warn!(deploy = self.stored.number, %fault, "the lease could not be taken; trying again");
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn has_lease(&mut self, taken: Taken) {
        self.epoch = taken.epoch;
        self.held.seen_at(taken.asked);
        if let Some(handle) = self.app.deploys.runs.lock().get_mut(&self.stored.number) {
            handle.epoch = taken.epoch;
        }
    }

    /// Extends the lease. One that ran out while nobody else took it (the machine slept) is taken again.
    async fn renew(&self) -> Result<(), Stop> {
        let (name, holder, epoch, asked) = (self.lease(), self.holder(), self.epoch, Instant::now());
        match keep(&self.app, name, holder, epoch).await {
            Ok(true) => {
                self.held.seen_at(asked);
                Ok(())
            }
            Ok(false) => {
                tracing::warn!(deploy = self.stored.number, "another node took the deploy over");
                Err(Stop)
            }
            Err(fault) => {
                tracing::warn!(deploy = self.stored.number, %fault, "the lease could not be renewed");
                Ok(())
            }
        }
    }

    /// Keeps the lease during what may take longer than that lasts.
    pub(super) async fn keeping<T>(&self, work: impl Future<Output = T> + Send) -> Result<T, Stop> {
        tokio::pin!(work);
        let mut renew = tokio::time::interval_at(Instant::now() + RENEW, RENEW);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                _ = renew.tick() => self.renew().await?,
            }
        }
    }

    /// How long a program that changes what is live may still run at another server.
    fn busy_ms(&self) -> i64 {
        let busy = self.busy_until.map(|until| until.saturating_duration_since(Instant::now()));
        busy.map_or(0, |busy| i64::try_from(busy.as_millis()).unwrap_or(0))
    }

    /// One that was closed with the end stays closed: nobody's is not given back.
    async fn release(&self) {
        let (name, holder, epoch) = (self.lease(), self.holder(), self.epoch);
        let released = self.app.housekeeping(move |t| Ok(leases::release(t.tx(), &name, &holder, epoch)?)).await;
        if let Err(fault) = released {
            tracing::warn!(%fault, "a lease could not be released; it runs out by itself");
        }
    }

    pub(super) fn running(&self, host: &str) -> Option<tenfold_deploys::machine::Running> {
        self.app.deploys.hub.running(host, &self.stored.service, &self.stored.environment)
    }

    pub(super) fn state(&self) -> State {
        self.stored.run.state
    }
}

/// Extends a lease; false when another has it.
pub(super) async fn keep(app: &App, name: String, holder: String, epoch: i64) -> Result<bool, Fault> {
    app.housekeeping(move |t| {
        let now = t.now();
        Ok(leases::keep(t.tx(), &name, &holder, epoch, now, LEASE_MS)?)
    })
    .await
}

pub(super) fn lease_name(service: &str, environment: &str) -> String {
    format!("deploy:{service}/{environment}")
}

fn refusal(effects: &[Effect]) -> Result<(), Fault> {
    effects
        .iter()
        .find_map(|e| match e {
            Effect::Refuse(why) => Some(Err(Fault::conflict(why.clone()))),
            _ => None,
        })
        .unwrap_or(Ok(()))
}
