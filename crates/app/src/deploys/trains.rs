//! Trains: people who ship to the same place. The rules are in `tenfold_deploys::train`; here they are written with their
//! events, and a deploy that begins or ends there moves them.

use tenfold_deploys::machine::{Kind, State};
use tenfold_deploys::train::{Fact, Input, Person, Phase, Train, step};
use tenfold_store::{Tx, deploys as store};
use tenfold_types::{Actor, ActorKind, ErrorCode, EventDraft, Fault, Severity, Source, Timestamp};

use super::stored::{Stored, expects};
use super::views::{TrainGraph, TrainGraphs, TrainMember, TrainSaid, TrainView, TrainWord};
use super::{check, judged};
use crate::{App, Caller, Role, Txn};

const REASON_BYTES_MAX: usize = 1024;

impl App {
    /// All trains.
    pub async fn trains(&self) -> Result<Vec<TrainView>, Fault> {
        let now = self.now();
        let rows = self.read(|tx| Ok(store::trains(tx)?)).await?;
        let mut views = Vec::new();
        for (service, environment, body) in rows {
            let train = read(&body)?;
            if !train.is_idle(now) {
                views.push(view(&service, &environment, &train));
            }
        }
        Ok(views)
    }

    /// The train of a service and environment, if there is one.
    pub async fn train(&self, service: &str, environment: &str) -> Result<Option<TrainView>, Fault> {
        let all = self.trains().await?;
        Ok(all.into_iter().find(|t| t.service == service && t.environment == environment))
    }

    /// Why the train of a place keeps somebody from deploying there, if it does.
    pub(super) async fn train_in_the_way(
        &self,
        service: &str,
        environment: &str,
        login: &str,
    ) -> Result<Option<String>, Fault> {
        let (now, login) = (self.now(), login.to_owned());
        let (service, environment) = (service.to_owned(), environment.to_owned());
        let train = self.read(move |tx| open(tx, &service, &environment, now)).await?;
        Ok(train.and_then(|train| train.in_the_way(&login)))
    }

    /// Says a word to a train; gives the train that is left.
    pub async fn train_say(
        &self,
        who: &Caller,
        service: &str,
        environment: &str,
        word: TrainWord,
        reason: Option<String>,
    ) -> Result<Option<TrainView>, Fault> {
        let why = reason.map(|r| r.trim().to_owned()).filter(|r| !r.is_empty());
        if why.as_ref().is_some_and(|why| why.len() > REASON_BYTES_MAX) {
            return Err(Fault::invalid(format!("the reason is longer than {REASON_BYTES_MAX} bytes")));
        }
        let needed = || {
            why.clone().ok_or_else(|| {
                Fault::invalid("say why, so that others know what they wait for").advice("give a reason")
            })
        };
        let input = match word {
            TrainWord::Join => Input::Join,
            TrainWord::Leave => Input::Leave,
            TrainWord::Good => Input::Good { declared: false },
            TrainWord::UhOh => Input::UhOh { why: needed()? },
            TrainWord::Clear => Input::Clear,
            TrainWord::Hold => Input::Hold { why: needed()? },
            TrainWord::Unhold => Input::Unhold,
            TrainWord::Done => Input::Done,
        };
        self.train_step(who, service, environment, input).await
    }

    /// The graphs that are declared for the deploy the train is about. Whoever asks has seen them: `good` is taken then.
    pub async fn train_graphs(&self, who: &Caller, service: &str, environment: &str) -> Result<TrainGraphs, Fault> {
        let train = self.train_step(who, service, environment, Input::Shown).await?;
        self.train_declared_of(train).await
    }

    /// The same for a page, which says that they were seen when it has drawn them.
    pub async fn train_declared(&self, service: &str, environment: &str) -> Result<TrainGraphs, Fault> {
        let train = self.train(service, environment).await?;
        self.train_declared_of(train).await
    }

    async fn train_declared_of(&self, train: Option<TrainView>) -> Result<TrainGraphs, Fault> {
        let number = train.and_then(|t| t.deploy);
        let Some(number) = number else {
            return Err(Fault::conflict("the train has no deploy yet, so there is nothing to look at"));
        };
        let stored = self.read(move |tx| Stored::get(tx, number)).await?;
        let said = stored.asked.pipeline.expects.as_ref().map(expects);
        let mut graphs = Vec::new();
        for metric in said.iter().flat_map(|e| &e.metrics) {
            let query = judged::fill(&metric.query, &stored);
            let (before, now) =
                (self.value_at(&query, stored.started_at).await, self.value_at(&query, self.now()).await);
            graphs.push(TrainGraph { says: metric.says.clone(), query, before, now });
        }
        let signs = said.map(|e| e.signs).unwrap_or_default();
        Ok(TrainGraphs { deploy: number, started_at: stored.started_at, graphs, signs })
    }

    async fn value_at(&self, query: &str, at: Timestamp) -> Option<f64> {
        let answer = self.query(query, at).await.ok()?;
        match check::values(&answer.value)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    async fn train_step(
        &self,
        who: &Caller,
        service: &str,
        environment: &str,
        input: Input,
    ) -> Result<Option<TrainView>, Fault> {
        who.require(Role::Deployer, Some(service), Some(environment))?;
        if who.actor.kind != ActorKind::Person {
            return Err(Fault::forbidden("only people ride on a train"));
        }
        let settings = self.service_settings(service).await?;
        if !settings.environments.iter().any(|e| e == environment) {
            return Err(Fault::not_found(format!("{service} is not deployed to `{environment}`")));
        }
        let (who, service, environment) = (who.clone(), service.to_owned(), environment.to_owned());
        let seen = input == Input::Shown;
        let change = move |t: &mut Txn<'_>| {
            let now = t.now();
            let train = open(t.tx(), &service, &environment, now)?;
            let input = match &input {
                Input::Good { .. } => Input::Good { declared: declares(t.tx(), train.as_ref())? },
                other => other.clone(),
            };
            let by = Person { login: who.actor.id.clone(), name: who.name.clone() };
            let (next, fact) = step(train.as_ref(), &by, input, now).map_err(Fault::conflict)?;
            put(t.tx(), &service, &environment, next.as_ref())?;
            if let Some(fact) = fact {
                t.record(told(&who, &service, &environment, &fact))?;
            }
            Ok(next.map(|train| view(&service, &environment, &train)))
        };
        if seen { self.housekeeping(change).await } else { self.transact(change).await }
    }
}

fn read(body: &str) -> Result<Train, Fault> {
    serde_json::from_str(body).map_err(|e| Fault::internal(format!("a train cannot be read: {e}")))
}

fn open(tx: &mut dyn Tx, service: &str, environment: &str, now: Timestamp) -> Result<Option<Train>, Fault> {
    let Some(body) = store::train_get(tx, service, environment)? else { return Ok(None) };
    Ok(Some(read(&body)?).filter(|train| !train.is_idle(now)))
}

fn put(tx: &mut dyn Tx, service: &str, environment: &str, train: Option<&Train>) -> Result<(), Fault> {
    let body = train.map(serde_json::to_string).transpose().map_err(|e| Fault::internal(e.to_string()))?;
    Ok(store::train_put(tx, service, environment, body.as_deref())?)
}

/// Whether the deploy of a train has graphs to be looked at.
fn declares(tx: &mut dyn Tx, train: Option<&Train>) -> Result<bool, Fault> {
    let Some(number) = train.and_then(|t| t.deploy) else { return Ok(false) };
    let expects = Stored::get(tx, number)?.asked.pipeline.expects.clone();
    Ok(expects.is_some_and(|e| !e.metrics.is_empty()))
}

/// Refuses a deploy that the train of its place does not let through.
pub(super) fn check_free(
    tx: &mut dyn Tx,
    service: &str,
    environment: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), Fault> {
    let train = open(tx, service, environment, now)?;
    match train.and_then(|train| train.in_the_way(&actor.id)) {
        None => Ok(()),
        Some(why) => Err(Fault::new(ErrorCode::Locked, format!("{service} has a train to {environment}: {why}"))
            .advice(format!("say `train {service} join`; an admin may override it with a reason"))),
    }
}

/// A deploy was written: the train takes off with it.
pub(super) fn began(t: &mut Txn<'_>, stored: &Stored) -> Result<(), Fault> {
    let now = t.now();
    let Some(train) = open(t.tx(), &stored.service, &stored.environment, now)? else { return Ok(()) };
    put(t.tx(), &stored.service, &stored.environment, Some(&train.deploy_began(stored.number, now)))
}

/// A deploy is final: who was on its train looks at it, or boards again.
pub(super) fn ended(t: &mut Txn<'_>, stored: &Stored) -> Result<(), Fault> {
    let now = t.now();
    let (service, environment) = (&stored.service, &stored.environment);
    let Some(train) = open(t.tx(), service, environment, now)? else { return Ok(()) };
    if let Some(number) = stored.reverts.filter(|number| train.deploy == Some(*number)) {
        return taken_back(t, stored, &train, number);
    }
    if stored.run.kind != Kind::Deploy || train.deploy != Some(stored.number) || train.phase != Phase::Rolling {
        return Ok(());
    }
    let went_out = stored.run.state == State::Succeeded;
    let next = train.deploy_ended(stored.number, went_out, now);
    put(t.tx(), service, environment, next.as_ref())?;
    if let Some(next) = next.filter(|next| next.phase == Phase::Checking) {
        let who = next.missing().join(", ");
        let text =
            format!("{service} {} is out on {environment}: {who} look at the graphs and say good", stored.short_sha());
        let event = EventDraft::new(Actor::system(), Source::System, "train.checking", text);
        t.record(event.service(service).environment(environment).deploy(stored.number))?;
    }
    Ok(())
}

/// A way back is final: where it took back what the train is about, whoever is on it boards again.
fn taken_back(t: &mut Txn<'_>, stored: &Stored, train: &Train, number: i64) -> Result<(), Fault> {
    if stored.run.state != State::Succeeded || train.phase != Phase::Checking {
        return Ok(());
    }
    let (service, environment, now) = (&stored.service, &stored.environment, t.now());
    put(t.tx(), service, environment, train.taken_back(number, now).as_ref())?;
    let text = format!("Deploy {number} was taken back: the train of {service} to {environment} boards again");
    let event = EventDraft::new(Actor::system(), Source::System, "train.cleared", text);
    t.record(event.service(service).environment(environment).deploy(number))?;
    Ok(())
}

fn told(who: &Caller, service: &str, environment: &str, fact: &Fact) -> EventDraft {
    let (name, place) = (&who.name, format!("{service} to {environment}"));
    let (kind, severity, text) = match fact {
        Fact::Joined { waits: false } => {
            ("train.joined", Severity::Info, format!("{name} joined the train of {place}"))
        }
        Fact::Joined { waits: true } => {
            ("train.joined", Severity::Info, format!("{name} takes the next train of {place}"))
        }
        Fact::Left => ("train.left", Severity::Info, format!("{name} left the train of {place}")),
        Fact::Good { missing } if missing.is_empty() => {
            ("train.good", Severity::Good, format!("{name} says good: the train of {place} is good"))
        }
        Fact::Good { missing } => {
            ("train.good", Severity::Info, format!("{name} says good on {place}; {} to go", missing.join(", ")))
        }
        Fact::UhOh { why } => ("train.uh_oh", Severity::Warning, format!("{name} says uh-oh on {place}: {why}")),
        Fact::Cleared => ("train.cleared", Severity::Info, format!("{name} says the trouble on {place} is over")),
        Fact::Held { why } => ("train.held", Severity::Warning, format!("{name} holds the train of {place}: {why}")),
        Fact::Unheld => ("train.unheld", Severity::Info, format!("{name} lets the train of {place} go on")),
        Fact::Done => ("train.done", Severity::Good, format!("The train of {place} is done")),
    };
    EventDraft::new(who.actor.clone(), who.source, kind, text)
        .service(service)
        .environment(environment)
        .severity(severity)
}

fn view(service: &str, environment: &str, train: &Train) -> TrainView {
    let said = |said: &tenfold_deploys::train::Said| TrainSaid { name: said.name.clone(), why: said.why.clone() };
    let members = |list: &[tenfold_deploys::train::Member]| {
        let one = |m: &tenfold_deploys::train::Member| TrainMember {
            login: m.login.clone(),
            name: m.name.clone(),
            shown: m.shown,
            good: m.good,
        };
        list.iter().map(one).collect()
    };
    TrainView {
        service: service.to_owned(),
        environment: environment.to_owned(),
        phase: train.phase.word().to_owned(),
        deploy: train.deploy,
        members: members(&train.members),
        waiting: members(&train.waiting),
        hold: train.hold.as_ref().map(said),
        trouble: train.trouble.as_ref().map(said),
        moved_at: train.moved_at,
    }
}
