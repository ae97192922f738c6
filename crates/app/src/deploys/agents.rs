//! What agents tell: they connect, report and answer orders. Each word goes to the deploys it concerns.

use std::net::IpAddr;

use tenfold_deploys::{
    Digest,
    machine::{Input, Running},
};
use tenfold_protocols::agent::{FromAgent, OrderRef, PROTOCOL, Release, ToAgent};
use tenfold_store::deploys::{self as store, HostRow};
use tenfold_types::{ErrorCode, EventDraft, Fault, Severity};
use tokio::sync::mpsc;

use super::{
    conductor::Signal,
    hub::{Known, QUEUE_MESSAGES_MAX, running_of},
    ports::Stream,
    views::Host,
};
use crate::{App, Caller, Role};

/// How often agents report when nothing changes.
pub const HEARTBEAT_MS: u64 = 5_000;
/// A host that comes back within this time was not gone as far as the record is concerned.
const GONE_AFTER_MS: i64 = 15_000;
/// Most hosts one server knows.
const HOSTS_MAX: usize = 5_000;

/// A connected agent, for the edge that holds its socket.
pub struct AgentSession {
    pub name: String,
    id: u64,
    /// What to send. It ends when the agent was replaced by a newer connection of the same name.
    pub messages: mpsc::Receiver<ToAgent>,
}

impl App {
    pub fn hosts(&self) -> Vec<Host> {
        self.deploys.hub.views()
    }

    /// Forgets a host that is gone for good.
    pub async fn host_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        who.require(Role::Admin, None, None)?;
        let known = self.deploys.hub.get(name).ok_or_else(|| Fault::not_found(format!("there is no host `{name}`")))?;
        if known.link.is_some() {
            return Err(Fault::conflict(format!("{name} is connected")).advice("stop its agent first"));
        }
        let (key, who) = (name.to_owned(), who.clone());
        self.transact(move |t| {
            store::host_delete(t.tx(), &key)?;
            let now = t.now();
            tenfold_store::agents::certificates_revoke(t.tx(), &key, now)?;
            tenfold_store::agents::enrolments_delete_of(t.tx(), &key, now)?;
            let text = format!("{} removed the host {key}", who.name);
            t.record(EventDraft::new(who.actor.clone(), who.source, "host.removed", text).host(&key))?;
            Ok(())
        })
        .await?;
        self.deploys.hub.forget(name);
        self.agents.forget(name);
        self.metrics.forget_pushed(name);
        Ok(())
    }

    /// Takes an agent in after its first message, which must be `hello`.
    pub async fn agent_connect(&self, hello: FromAgent) -> Result<AgentSession, Fault> {
        self.agent_connect_from(hello, None).await
    }

    /// The same of an agent on another machine, which calls from there.
    pub async fn agent_connect_from(&self, hello: FromAgent, peer: Option<IpAddr>) -> Result<AgentSession, Fault> {
        let FromAgent::Hello { protocol, name, environment, labels, version, mut releases, prepares, beside, .. } =
            hello
        else {
            return Err(Fault::new(ErrorCode::BadRequest, "an agent's first message must be `hello`"));
        };
        // it is let in for this environment, and what it says of another counts for nothing
        releases.retain(|r| r.environment == environment);
        if protocol != PROTOCOL {
            return Err(Fault::invalid(format!("the agent speaks protocol {protocol}, the server {PROTOCOL}"))
                .advice("run the agent of the server's version"));
        }
        if !self.environments().await?.iter().any(|e| e.name == environment) {
            return Err(Fault::not_found(format!("there is no environment `{environment}`"))
                .advice("start the agent with --environment and a name the server knows"));
        }
        if self.deploys.hub.get(&name).is_none() && self.deploys.hub.views().len() >= HOSTS_MAX {
            return Err(Fault::new(ErrorCode::TooMany, format!("the server knows {HOSTS_MAX} hosts already"))
                .advice("remove hosts that are gone for good"));
        }
        let (tx, messages) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let metrics_ms = self.settings.metrics.scrape_interval_ms;
        let _ = tx.try_send(ToAgent::Welcome { protocol: PROTOCOL, heartbeat_ms: HEARTBEAT_MS, metrics_ms });
        let now = self.now();
        let known = Known {
            environment: environment.clone(),
            labels,
            version,
            releases: releases.clone(),
            prepares,
            last_seen: now,
            peer,
            ..Known::default()
        };
        let row = host_row(&name, &known)?;
        let (id, recorded) = self.deploys.hub.connect(&name, known, tx);
        let key = name.clone();
        let saved = self
            .housekeeping(move |t| {
                store::host_put(t.tx(), &row)?;
                if !recorded {
                    let text = format!("{key} is connected");
                    t.record(
                        EventDraft::new(
                            tenfold_types::Actor::agent(&key),
                            tenfold_types::Source::Agent,
                            "host.connected",
                            text,
                        )
                        .host(&key)
                        .environment(&row.environment),
                    )?;
                }
                Ok(())
            })
            .await;
        if let Err(fault) = saved {
            // a full disk must not keep hosts away
            tracing::warn!(%fault, host = %name, "a host's connection could not be recorded");
        }
        self.report_targets(&name, &releases);
        for order in beside {
            self.end_beside(&name, order).await;
        }
        self.tell_environment(&environment, |service| Input::Back {
            host: name.clone(),
            running: running_of(&releases, service, &environment),
        });
        Ok(AgentSession { name, id, messages })
    }

    /// A process stands beside what serves on a host that was away. When its deploy is over, the order that ends it was
    /// lost, and is given again.
    async fn end_beside(&self, host: &str, order: OrderRef) {
        let number = order.deploy;
        match self.read(move |tx| Ok(store::deploy_get(tx, number)?)).await {
            Ok(row) if row.as_ref().is_none_or(|row| row.finished_at.is_some()) => {
                self.deploys.hub.send(host, ToAgent::Discard { order, after_ms: 0 });
            }
            Ok(_) => {}
            Err(fault) => tracing::warn!(%fault, host, "whether a process is still wanted could not be read"),
        }
    }

    /// Takes one message of a connected agent. An error means that the connection should be closed.
    pub async fn agent_message(&self, session: &AgentSession, mut message: FromAgent) -> Result<(), Fault> {
        let hub = &self.deploys.hub;
        let name = session.name.as_str();
        if let FromAgent::Observed { releases } = &mut message {
            releases.retain(|r| hub.is_in(name, &r.environment));
        }
        let reported = match &message {
            FromAgent::Observed { releases } => Some(releases.clone()),
            _ => None,
        };
        let Some(changed) = hub.observed(name, session.id, reported, self.now()) else {
            return Err(Fault::new(ErrorCode::Gone, format!("another agent connected as {name}"))
                .advice("give every host a name of its own"));
        };
        match message {
            FromAgent::Hello { .. } => {
                return Err(Fault::new(ErrorCode::BadRequest, "`hello` is only the first message"));
            }
            // blobs go out through the edge that holds the socket
            FromAgent::Need { .. } => {}
            FromAgent::Observed { releases } => {
                if changed {
                    self.save_host(name).await;
                    self.report_targets(name, &releases);
                }
                let environment = hub.get(name).map(|k| k.environment).unwrap_or_default();
                self.tell_environment(&environment, |service| Input::Observed {
                    host: name.to_owned(),
                    running: running_of(&releases, service, &environment),
                });
            }
            FromAgent::Metrics { page, took_ms } => {
                let environment = hub.get(name).map(|k| k.environment).unwrap_or_default();
                super::targets::host_metrics(self, name, &environment, page, took_ms);
            }
            FromAgent::Staging { order, digest, have_bytes, total_bytes } => {
                let message = format!("{} of {}", bytes(have_bytes), bytes(total_bytes));
                self.tell(
                    name,
                    &order,
                    Input::Progress {
                        host: name.to_owned(),
                        digest: Digest::from_bytes(digest.0),
                        checking: false,
                        message,
                    },
                );
            }
            FromAgent::Staged { order, digest } => {
                self.tell(name, &order, Input::Staged { host: name.to_owned(), digest: Digest::from_bytes(digest.0) });
            }
            FromAgent::Prepared { order, digest } => {
                self.log_host(&order, name, "stands ready and is healthy");
                self.tell(
                    name,
                    &order,
                    Input::Prepared { host: name.to_owned(), digest: Digest::from_bytes(digest.0) },
                );
            }
            FromAgent::Activating { order, digest, checking, message } => {
                self.log_host(&order, name, &message);
                self.tell(
                    name,
                    &order,
                    Input::Progress { host: name.to_owned(), digest: Digest::from_bytes(digest.0), checking, message },
                );
            }
            FromAgent::Activated { order, release } => {
                let digest = Digest::from_bytes(release.digest.0);
                self.limits_told(&order, name, &release).await;
                if hub.is_in(name, &release.environment) {
                    hub.release(name, release);
                }
                self.save_host(name).await;
                self.report_targets(name, &hub.get(name).map(|k| k.releases).unwrap_or_default());
                self.log_host(&order, name, "runs and is healthy");
                self.tell(name, &order, Input::Activated { host: name.to_owned(), digest });
            }
            FromAgent::Deactivated { order } => self.tell(name, &order, Input::Deactivated { host: name.to_owned() }),
            FromAgent::Failed { order, digest, error, log_tail, running } => {
                let said = if log_tail.is_empty() { error.clone() } else { format!("{error}\n{log_tail}") };
                self.log_host(&order, name, &said);
                let running =
                    running.map_or(Running::Nothing, |r| running_of(&[r], &order.service, &order.environment));
                let digest = digest.map(|d| Digest::from_bytes(d.0));
                self.tell(
                    name,
                    &order,
                    Input::HostFailed { host: name.to_owned(), digest, error: one_line(&error), running },
                );
            }
            FromAgent::Refused { order, highest_epoch } => {
                self.log_host(
                    &order,
                    name,
                    &format!("refused an order of epoch {}; it follows epoch {highest_epoch}", order.epoch),
                );
                if self.deploys.is_answer(name, &order) {
                    self.signal(order.deploy, Signal::Refused { epoch: order.epoch, highest_epoch });
                }
            }
        }
        Ok(())
    }

    /// The agent's connection ended.
    pub fn agent_disconnect(&self, session: &AgentSession) {
        if self.deploys.hub.disconnect(&session.name, session.id, self.now()) {
            let environment = self.deploys.hub.get(&session.name).map(|k| k.environment).unwrap_or_default();
            self.tell_environment(&environment, |_| Input::Lost { host: session.name.clone() });
        }
    }

    /// Records hosts that have been away for a while.
    pub(super) async fn record_gone_hosts(&self) {
        let before = self.now().plus_ms(-GONE_AFTER_MS);
        for (name, last_seen, environment) in self.deploys.hub.take_gone(before) {
            let key = name.clone();
            let saved = self
                .transact(move |t| {
                    if store::host_gone(t.tx(), &key, last_seen)? {
                        let text = format!("{key} is not connected any more");
                        let actor = tenfold_types::Actor::system();
                        t.record(
                            EventDraft::new(actor, tenfold_types::Source::System, "host.disconnected", text)
                                .host(&key)
                                .environment(&environment)
                                .severity(Severity::Warning),
                        )?;
                    }
                    Ok(())
                })
                .await;
            if let Err(fault) = saved {
                tracing::warn!(%fault, host = %name, "a host's disappearance could not be recorded");
            }
        }
    }

    async fn save_host(&self, name: &str) {
        let Some(known) = self.deploys.hub.get(name) else { return };
        let Ok(row) = host_row(name, &known) else { return };
        if let Err(fault) = self.housekeeping(move |t| Ok(store::host_put(t.tx(), &row)?)).await {
            tracing::warn!(%fault, host = %name, "what a host runs could not be saved");
        }
    }

    fn log_host(&self, order: &OrderRef, host: &str, text: &str) {
        if !text.is_empty() && self.deploys.is_answer(host, order) {
            self.deploy_log(order.deploy).say(Stream::Tenfold, Some(host), text);
        }
    }

    fn tell(&self, host: &str, order: &OrderRef, input: Input) {
        if self.deploys.is_answer(host, order) {
            self.signal(order.deploy, Signal::Input(input));
        }
    }

    fn tell_environment(&self, environment: &str, input: impl Fn(&str) -> Input) {
        for (deploy, service) in self.deploys.running_in(environment) {
            self.signal(deploy, Signal::Input(input(&service)));
        }
    }

    /// Tells the metrics part where the releases of a host answer scrapes.
    fn report_targets(&self, host: &str, releases: &[Release]) {
        super::targets::report(self, host, releases);
    }
}

pub(super) fn host_row(name: &str, known: &Known) -> Result<HostRow, Fault> {
    Ok(HostRow {
        name: name.to_owned(),
        environment: known.environment.clone(),
        connected: true,
        last_seen: known.last_seen,
        body: serde_json::to_string(known).map_err(|e| Fault::internal(e.to_string()))?,
    })
}

fn one_line(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    text.lines().next().unwrap_or("").chars().take(CHARS_MAX).collect()
}

fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.0} kB", n as f64 / 1e3),
        _ => format!("{:.1} MB", n as f64 / 1e6),
    }
}
