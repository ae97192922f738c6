//! What people ask of queues: to see one, to join, to leave, and to let one go on.

use tenfold_deploys::machine::State;
use tenfold_deploys::queue::{Origin, Turn};
use tenfold_store::deploy_queue::{self as store, QueuedRow};
use tenfold_store::deploys;
use tenfold_types::{ErrorCode, Fault};

use super::super::gate::{self, Wish};
use super::super::start::reason;
use super::super::trains;
use super::super::views::NewDeploy;
use super::moves::{join, resume, take_out};
use super::{Queue, QueueAsked, QueueEntry, QueueView, QueueWord, entry, is_of, kind_word, said, source_word};
use crate::{App, Caller, Role};

impl App {
    /// All queues in which something waits.
    pub async fn queues(&self) -> Result<Vec<QueueView>, Fault> {
        let rows = self.read(|tx| Ok(store::all(tx)?)).await?;
        let mut places: Vec<(String, String)> = rows.into_iter().map(|row| (row.service, row.environment)).collect();
        places.dedup();
        let mut views = Vec::new();
        for (service, environment) in places {
            views.push(self.queue_view(&service, &environment).await?);
        }
        Ok(views)
    }

    /// What waits for a service and environment, and for what.
    pub async fn queue(&self, service: &str, environment: &str) -> Result<QueueView, Fault> {
        let settings = self.service_settings(service).await?;
        if !settings.environments.iter().any(|e| e == environment) {
            return Err(Fault::not_found(format!("{service} is not deployed to `{environment}`"))
                .advice(format!("it is deployed to {}", settings.environments.join(", "))));
        }
        self.queue_view(service, environment).await
    }

    async fn queue_view(&self, service: &str, environment: &str) -> Result<QueueView, Fault> {
        let (now, key, env) = (self.now(), service.to_owned(), environment.to_owned());
        let (queue, locks) =
            self.read(move |tx| Ok((Queue::read(tx, &key, &env, now)?, deploys::locks_open(tx, now)?))).await?;
        let waits_for = said::waits_for(&queue, &locks, &self.deploys.tries, now)?;
        Ok(QueueView {
            service: service.to_owned(),
            environment: environment.to_owned(),
            entries: queue.rows.iter().enumerate().map(|(i, row)| entry(row, i + 1)).collect(),
            waits_for,
            stands: matches!(queue.turn, Turn::Stands { .. }),
        })
    }

    /// Deploys, or joins the queue where a deploy is under way or others wait. A deploy that is held is taken over from, and
    /// one that passes over locks does not wait, as in `deploy_start`.
    pub async fn deploy_ask(&self, who: &Caller, new: NewDeploy) -> Result<QueueAsked, Fault> {
        who.require(Role::Deployer, Some(&new.service), Some(&new.environment))?;
        if new.override_reason.is_some() || !self.has_to_wait(&new).await? {
            let begun = Box::pin(self.deploy_start(who, new.clone())).await;
            // Somebody else was faster.
            let late = matches!(&begun, Err(fault) if fault.code == ErrorCode::Conflict)
                && new.override_reason.is_none()
                && self.has_to_wait(&new).await?;
            if !late {
                return begun.map(|deploy| QueueAsked { deploy: Some(deploy), waiting: None });
            }
        }
        let waiting = Box::pin(self.queue_join(who, new)).await?;
        Ok(QueueAsked { deploy: None, waiting: Some(waiting) })
    }

    async fn has_to_wait(&self, new: &NewDeploy) -> Result<bool, Fault> {
        let (now, service, environment) = (self.now(), new.service.clone(), new.environment.clone());
        let refused = self.deploys.tries.lock().refused();
        self.read(move |tx| {
            let queue = Queue::read(tx, &service, &environment, now)?;
            let locks = deploys::locks_open(tx, now)?;
            if queue.before_others(&locks, &refused, now)? > 0 {
                return Ok(true);
            }
            let open = deploys::deploy_unfinished(tx, &service, &environment)?;
            let state = open.and_then(|row| State::parse(&row.state));
            Ok(state.is_some_and(|state| !matches!(state, State::Held | State::NeedsHuman)))
        })
        .await
    }

    async fn queue_join(&self, who: &Caller, new: NewDeploy) -> Result<QueueEntry, Fault> {
        let settings = self.service_settings(&new.service).await?;
        let why = reason(new.reason)?;
        let reference = new.reference.map(|r| r.trim().to_owned()).filter(|r| !r.is_empty());
        // What makes a deploy impossible is said now and not when its turn comes.
        let shipment = self.shipment(&new.service, &settings, &new.environment, reference.as_deref(), true).await?;
        let Some(pipeline) = shipment.pipeline else { return Err(Fault::internal("the pipeline file was not read")) };
        let target = pipeline.target(&new.environment).map_err(|e| Fault::invalid(e.to_string()))?.clone();
        self.check_stage(&new.service, &pipeline, &new.environment, &shipment.commit.sha).await?;
        let row = QueuedRow {
            id: 0,
            service: new.service,
            environment: new.environment,
            origin: Origin::Ask.word().to_owned(),
            actor_kind: kind_word(who.actor.kind).to_owned(),
            actor: who.actor.id.clone(),
            name: who.name.clone(),
            source: source_word(who.source).to_owned(),
            reference,
            sha: shipment.commit.sha,
            reason: why,
            after_deploy: None,
            not_before: None,
            asked_at: self.now(),
        };
        let who = who.clone();
        let (row, position) = self
            .transact(move |t| {
                let now = t.now();
                let wish =
                    Wish { service: &row.service, environment: &row.environment, sha: &row.sha, actor: &who.actor };
                gate::check(wish, &target, &deploys::locks_open(t.tx(), now)?, now)?;
                trains::check_free(t.tx(), &row.service, &row.environment, &who.actor, now)?;
                let (row, position) = join(t.tx(), QueuedRow { asked_at: now, ..row.clone() }, |other| {
                    other.origin == Origin::Ask.word() && is_of(other, &who.actor)
                })?;
                t.record(said::joined(&row, position))?;
                Ok((row, position))
            })
            .await?;
        Ok(entry(&row, position))
    }

    /// Says a word to the queue. `of` names whose deploy is dropped, by login or robot's name.
    pub async fn queue_say(
        &self,
        who: &Caller,
        service: &str,
        environment: &str,
        word: QueueWord,
        of: Option<String>,
        why: Option<String>,
    ) -> Result<QueueView, Fault> {
        who.require(Role::Deployer, Some(service), Some(environment))?;
        let why = reason(why)?;
        let (caller, key, env) = (who.clone(), service.to_owned(), environment.to_owned());
        self.transact(move |t| match word {
            QueueWord::Go => {
                if resume(t, &caller, &key, &env)? {
                    return Ok(());
                }
                let text = format!("the queue of {key} to {env} does not stand, so there is nothing to let go on");
                Err(Fault::conflict(text).advice(format!("say `queue {key}` to see what it waits for")))
            }
            QueueWord::Leave => {
                let own = store::of(t.tx(), &key, &env)?.into_iter().find(|row| is_of(row, &caller.actor));
                let row = own.ok_or_else(|| {
                    Fault::conflict(format!("{} does not wait for {key} on {env}", caller.name))
                        .advice("its turn may have come")
                })?;
                take_out(t, &caller, &row, why.as_deref())
            }
            QueueWord::Drop => {
                let of = of.clone().ok_or_else(|| Fault::invalid("whose deploy is dropped is not said"))?;
                let row = store::of(t.tx(), &key, &env)?.into_iter().find(|row| row.actor == of);
                let row = row.ok_or_else(|| {
                    Fault::conflict(format!("nothing of {of} waits for {key} on {env}"))
                        .advice("its turn may have come")
                })?;
                take_out(t, &caller, &row, why.as_deref())
            }
        })
        .await?;
        self.queue_view(service, environment).await
    }
}
