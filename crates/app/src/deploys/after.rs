//! After the promotion no host is left to compare with: for as long as the pipeline file says, all hosts' failed requests
//! and their slow ones are held against what they were in the hour before the deploy began, and levels of gauges against
//! theirs (`levels`). What is kept in memory is only when to look again; the record tells what was found, and the deploys
//! whether it was taken back.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tenfold_deploys::machine::{Kind, Locker};
use tenfold_deploys::pipeline::{AfterAction, AfterPromotion, CanaryJudge};
use tenfold_judge::{After, Counted};
use tenfold_store::deploys as store;
use tenfold_store::events;
use tenfold_types::{Actor, EventDraft, Fault, Severity, Source, Timestamp};
use tokio_util::sync::CancellationToken;

use super::judged::{fill, on_hosts};
use super::locks;
use super::stored::Stored;
use crate::App;
use crate::incidents::{GuardIncident, open_by_guard};
use crate::judged::{Own, PastAndSince};
use crate::record::EventQuery;

/// Between two looks at what was deployed lately: the shortest that a pipeline file can ask for.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// The longest watch: the pipeline file allows no more.
const WATCH_MS_MAX: i64 = 86_400_000;
pub(super) const WORSE: &str = "deploy.worse_after";
const UNWATCHED: &str = "deploy.unwatched";

/// When a deploy is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    At(Timestamp),
    /// Nothing comes of it any more.
    Never,
}

impl Next {
    fn is_due(self, now: Timestamp) -> bool {
        matches!(self, Self::At(at) if at <= now)
    }
}

/// Watches what was promoted, until `stop`.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut next: HashMap<i64, Next> = HashMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let since = app.now().plus_ms(-2 * WATCH_MS_MAX);
        let newest = match app.read(move |tx| Ok(store::deploys_newest(tx, since)?)).await {
            Ok(newest) => newest,
            Err(fault) => {
                tracing::warn!(%fault, "what was deployed lately could not be looked for");
                continue;
            }
        };
        next.retain(|number, _| newest.contains(number));
        for number in newest {
            if next.get(&number).is_some_and(|next| !next.is_due(app.now())) {
                continue;
            }
            let then = Box::pin(app.deploy_after(number)).await.unwrap_or_else(|fault| {
                tracing::warn!(%fault, deploy = number, "what was promoted could not be looked after; trying again");
                Next::At(app.now())
            });
            next.insert(number, then);
        }
    }
}

/// A deploy that is watched after its promotion.
pub(super) struct Watched {
    pub stored: Stored,
    judge: CanaryJudge,
    pub after: AfterPromotion,
    pub promoted_at: Timestamp,
}

impl Watched {
    fn of(stored: Stored) -> Option<Self> {
        let (judge, mut after) = stored.asked.pipeline.target(&stored.environment).ok()?.after_promotion()?;
        if stored.run.plan.irreversible.is_some() {
            after.then = AfterAction::Page;
        }
        let promoted_at = stored.finished_at?;
        (stored.run.kind == Kind::Deploy).then_some(Self { stored, judge, after, promoted_at })
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now.since_ms(self.promoted_at) > i64::from(self.after.for_s) * 1000
    }
}

/// What the hosts' counters say.
enum Seen {
    After(After),
    /// Too little was counted before the deploy; in words.
    NoReference(String),
}

impl App {
    /// One look at a deploy that is the newest of its service and environment.
    async fn deploy_after(&self, number: i64) -> Result<Next, Fault> {
        let (stored, busy, found) = self
            .read(move |tx| {
                let stored = Stored::get(tx, number)?;
                let busy = store::deploy_unfinished(tx, &stored.service, &stored.environment)?.is_some();
                let found = events::list(tx, &said(number, &[WORSE, UNWATCHED]))?.pop();
                Ok((stored, busy, found))
            })
            .await?;
        let Some(watched) = Watched::of(stored) else { return Ok(Next::Never) };
        let now = self.now();
        let counted = found.is_none();
        match found {
            Some(event) if event.kind == WORSE && watched.after.then == AfterAction::Rollback => {
                return Box::pin(self.deploy_way_back(&watched.stored, &event.text)).await;
            }
            // Levels have a reference of their own.
            Some(event) if event.kind == UNWATCHED && !watched.after.levels.is_empty() => {}
            Some(_) => return Ok(Next::Never),
            None => {}
        }
        // What its hosts count is a newer release's as well.
        if busy {
            return Ok(if watched.is_over(now) { Next::Never } else { Next::At(now) });
        }
        if let Some(changed) = Box::pin(self.deploy_levels(&watched)).await? {
            self.deploy_after_act(&watched, &changed.sentence(), json!(changed)).await?;
            return Ok(Next::At(now));
        }
        if watched.is_over(now) {
            return Ok(Next::Never);
        }
        let again = Next::At(now.plus_ms(i64::from(watched.judge.every_s) * 1000));
        if !counted {
            return Ok(again);
        }
        match self.deploy_after_seen(&watched).await {
            Ok(Seen::After(seen)) if seen.alarmed => {
                self.deploy_after_act(&watched, &seen.sentence(), json!(seen)).await?;
                Ok(Next::At(now))
            }
            Ok(Seen::After(_)) => Ok(again),
            Ok(Seen::NoReference(why)) => {
                self.deploy_after_say_unwatched(&watched, why).await?;
                Ok(if watched.after.levels.is_empty() { Next::Never } else { again })
            }
            Err(why) => {
                tracing::debug!(deploy = number, why, "what was promoted cannot be watched now");
                Ok(again)
            }
        }
    }

    async fn deploy_after_seen(&self, watched: &Watched) -> Result<Seen, String> {
        let Watched { stored, judge, after, promoted_at } = watched;
        let hosts: Vec<&str> = stored.run.hosts.iter().map(|h| h.name.as_str()).collect();
        let on = |selector: &str| match stored.handed() {
            // pods come and go, and all of them are the service's
            Some(_) => fill(selector, stored),
            None => on_hosts(&fill(selector, stored), &judge.host_label, &hosts),
        };
        let own = Own {
            errors: judge.errors.as_ref().map(|errors| (on(&errors.bad), on(&errors.total))),
            latency: judge.latency.as_deref().map(on),
        };
        let every_ms = i64::from(judge.every_s) * 1000;
        let counted = self.judge_own_past(&own, stored.started_at, *promoted_at, every_ms).await?;
        let looks_max = u64::from(after.for_s / judge.every_s.max(1));
        // Each has its part of the chance that a quiet deploy is called worse.
        let alpha = judge.alpha / counted.len().max(1) as f64;
        let watch = |(what, (before, since)): &(Counted, PastAndSince)| {
            After::watch(*what, (before, since), after.factor, alpha, looks_max)
        };
        let seen: Vec<After> = counted.iter().filter_map(watch).collect();
        let worst = seen.iter().copied().find(|seen| seen.alarmed).or_else(|| seen.first().copied());
        Ok(worst.map_or_else(
            || {
                let before = counted.first().map_or(&[][..], |(_, (before, _))| before);
                Seen::NoReference(After::no_reference(before))
            },
            Seen::After,
        ))
    }

    /// Says so once, and with it opens an incident or locks; the way back follows from the record.
    async fn deploy_after_act(
        &self,
        watched: &Watched,
        said_of_it: &str,
        evidence: serde_json::Value,
    ) -> Result<(), Fault> {
        let (stored, then) = (watched.stored.clone(), watched.after.then);
        let why = format!("it got worse after the promotion: {said_of_it}");
        let lock = locks::by_itself(self, &stored, Locker::Judge, &why)?;
        self.transact(move |t| {
            if !events::list(t.tx(), &said(stored.number, &[WORSE]))?.is_empty() {
                return Ok(());
            }
            let did = match then {
                AfterAction::Page => "people are called",
                AfterAction::Rollback => "it goes back",
            };
            let data = json!({"number": stored.number, "evidence": evidence, "then": then});
            let mut event = told(&stored, WORSE, &format!("{why}; {did}"), data).severity(Severity::Critical);
            match then {
                AfterAction::Page => {
                    let title = format!("{} {} got worse after its promotion", stored.service, stored.short_sha());
                    event.subject.incident = open_by_guard(t, incident(&stored, title, t.now()))?;
                }
                AfterAction::Rollback => locks::put(t, &lock.0, lock.1.clone())?,
            }
            t.record(event)?;
            Ok(())
        })
        .await
    }

    /// A watch that there cannot be is said, so that nobody relies on it.
    async fn deploy_after_say_unwatched(&self, watched: &Watched, why: String) -> Result<(), Fault> {
        let stored = watched.stored.clone();
        self.transact(move |t| {
            if !events::list(t.tx(), &said(stored.number, &[UNWATCHED]))?.is_empty() {
                return Ok(());
            }
            let text = format!("it is not watched after its promotion: {why}");
            let event = told(&stored, UNWATCHED, &text, json!({"number": stored.number, "why": why}));
            t.record(event.severity(Severity::Warning))?;
            Ok(())
        })
        .await
    }
}

/// Asks the record for the newest word of the watch about a deploy.
pub(super) fn said(number: i64, kinds: &[&str]) -> EventQuery {
    let correlation = Some(format!("deploy:{number}"));
    let kinds = kinds.iter().map(|&kind| kind.to_owned()).collect();
    EventQuery { correlation, kinds, limit: 1, include_admin: true, ..EventQuery::default() }
}

pub(super) fn incident(stored: &Stored, title: String, onset: Timestamp) -> GuardIncident {
    GuardIncident {
        title,
        critical: true,
        service: Some(stored.service.clone()),
        environment: stored.environment.clone(),
        flag: String::new(),
        onset,
        own: None,
    }
}

pub(super) fn told(stored: &Stored, kind: &str, what: &str, data: serde_json::Value) -> EventDraft {
    let (service, sha, environment) = (&stored.service, stored.short_sha(), &stored.environment);
    EventDraft::new(Actor::system(), Source::System, kind, format!("{service} {sha} on {environment}: {what}"))
        .service(service)
        .environment(environment)
        .deploy(stored.number)
        .correlation(format!("deploy:{}", stored.number))
        .data(data)
}
