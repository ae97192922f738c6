//! The loop that begins what has its turn. One server does it for an environment, by a lease; and what waits is taken out in
//! the transaction that writes the deploy, so that it begins once whoever else looks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tenfold_deploys::queue::{Origin, is_given_up};
use tenfold_store::deploy_queue::{self as store, QueuedRow};
use tenfold_store::{deploys, leases};
use tenfold_types::{ErrorCode, Fault, Timestamp};
use tokio_util::sync::CancellationToken;

use super::super::views::NewDeploy;
use super::{Queue, said, source_of, waiting};
use crate::{App, Caller, Grant, Role};

const LOOK: Duration = Duration::from_secs(1);
const LEASE: &str = "deploy-queue";
const LEASE_MS: i64 = 15_000;
/// What was refused for what passes is tried again after this, and later each time: a try fetches the repository and asks a
/// cluster or a command what is live.
const AGAIN_MS: i64 = 5_000;
const DOUBLINGS_MAX: u32 = 4;

/// One that was tried and could not begin.
struct Tried {
    /// A newer commit in its place is another try.
    sha: String,
    times: u32,
    again: Timestamp,
    code: ErrorCode,
    why: String,
}

/// What was tried of those that wait: when again, and what was in the way.
#[derive(Default)]
pub(in super::super) struct Tries(HashMap<i64, Tried>);

impl Tries {
    pub(super) fn said(&self, id: i64) -> Option<String> {
        self.0.get(&id).map(|tried| tried.why.clone())
    }

    /// Those that could not begin when they were tried last.
    pub(in super::super) fn refused(&self) -> BTreeSet<i64> {
        self.0.keys().copied().collect()
    }

    /// Why one that was refused is not tried yet.
    fn not_yet(&self, id: i64, now: Timestamp) -> Option<ErrorCode> {
        self.0.get(&id).filter(|tried| tried.again > now).map(|tried| tried.code)
    }

    fn put(&mut self, row: &QueuedRow, fault: Fault, now: Timestamp) {
        let times = self.0.get(&row.id).filter(|tried| tried.sha == row.sha).map_or(0, |tried| tried.times + 1);
        let again = now.plus_ms(AGAIN_MS << times.min(DOUBLINGS_MAX));
        self.0.insert(row.id, Tried { sha: row.sha.clone(), times, again, code: fault.code, why: fault.message });
    }

    /// Forgets what waits no more.
    fn keep(&mut self, rows: &[QueuedRow]) {
        let known: HashMap<i64, &str> = rows.iter().map(|row| (row.id, row.sha.as_str())).collect();
        self.0.retain(|id, tried| known.get(id).is_some_and(|sha| *sha == tried.sha));
    }
}

pub(in super::super) async fn run(app: App, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        if let Err(fault) = look(&app).await {
            tracing::warn!(%fault, "the queues of deploys could not be looked at");
        }
    }
}

/// One look, as the loop does it.
pub async fn look(app: &App) -> Result<(), Fault> {
    let rows = app.read(|tx| Ok(store::all(tx)?)).await?;
    app.deploys.tries.lock().keep(&rows);
    let mut environments: BTreeMap<String, Vec<QueuedRow>> = BTreeMap::new();
    for row in rows {
        environments.entry(row.environment.clone()).or_default().push(row);
    }
    for (environment, rows) in environments {
        if is_here(app, &environment).await? {
            look_at(app, &environment, rows).await?;
        }
    }
    Ok(())
}

/// Whether this server begins what waits for an environment. A deploy reaches the hosts that are at the server which conducts
/// it: one that has none of them leaves it to another, and one that loses them asks for the lease no more.
async fn is_here(app: &App, environment: &str) -> Result<bool, Fault> {
    let is_alone = app.settings.database_url.is_empty();
    if !is_alone && !app.deploys.hub.reaches(environment) {
        return Ok(false);
    }
    let (holder, lease) = (app.deploys.node()?, format!("{LEASE}:{environment}"));
    let held = app
        .housekeeping(move |t| {
            let now = t.now();
            Ok(leases::acquire(t.tx(), &lease, &holder, now, LEASE_MS)?)
        })
        .await?;
    Ok(held.is_some())
}

async fn look_at(app: &App, environment: &str, rows: Vec<QueuedRow>) -> Result<(), Fault> {
    for row in rows.iter().filter(|row| is_given_up(&waiting(row), app.now())) {
        let why = app.deploys.tries.lock().said(row.id).unwrap_or_else(|| "others went before it".to_owned());
        drop_out(app, row, Some(format!("its turn did not come within a day: {why}"))).await?;
    }
    let services: BTreeSet<String> = rows.into_iter().map(|row| row.service).collect();
    for service in services {
        if let Err(fault) = next(app, &service, environment).await {
            tracing::warn!(%fault, service, environment, "what waits could not be begun; trying again");
        }
    }
    Ok(())
}

/// Begins the first that waits for a place and can, if it is its turn.
async fn next(app: &App, service: &str, environment: &str) -> Result<(), Fault> {
    let (now, key, env) = (app.now(), service.to_owned(), environment.to_owned());
    let (queue, locks) =
        app.read(move |tx| Ok((Queue::read(tx, &key, &env, now)?, deploys::locks_open(tx, now)?))).await?;
    for row in queue.rows.iter().filter(|row| queue.goes.contains(&row.id)) {
        // A lock needs no repository to be seen.
        if said::in_the_way(row, &locks, now)?.is_some() {
            continue;
        }
        let not_yet = app.deploys.tries.lock().not_yet(row.id, now);
        let code = match not_yet {
            Some(code) => code,
            None => match begin(app, row).await {
                Ok(()) => return Ok(()),
                Err(fault) => refused(app, row, fault).await?,
            },
        };
        // A train or an earlier stage lets others through that wait behind it.
        if code != ErrorCode::Locked {
            return Ok(());
        }
    }
    Ok(())
}

/// Keeps one that could not begin for what passes, and takes out what never can.
async fn refused(app: &App, row: &QueuedRow, fault: Fault) -> Result<ErrorCode, Fault> {
    let code = fault.code;
    match code {
        // Another server began it, or somebody took it out.
        ErrorCode::Gone => {}
        // Windows, freezes, trains and earlier stages pass, as what is away comes back.
        ErrorCode::Conflict | ErrorCode::Locked | ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::DiskFull => {
            app.deploys.tries.lock().put(row, fault, app.now());
        }
        _ => drop_out(app, row, Some(fault.message)).await?,
    }
    Ok(code)
}

async fn begin(app: &App, row: &QueuedRow) -> Result<(), Fault> {
    if row.origin == Origin::Push.word() && !is_newest(app, row).await? {
        // Word of an older push that came late, or came again: the newer commit is told of by itself.
        return drop_out(app, row, None).await;
    }
    if let Some(number) = row.after_deploy
        && let Some(why) = app.stage_was_left(number).await?
    {
        return drop_out(app, row, Some(why)).await;
    }
    let who = caller(app, row).await?;
    let new = NewDeploy {
        service: row.service.clone(),
        environment: row.environment.clone(),
        reference: Some(row.sha.clone()),
        reason: row.reason.clone(),
        override_reason: None,
    };
    Box::pin(app.deploy_begin(&who, new, Some(row.clone()), None)).await.map(|_| ())
}

/// Whoever it is for, with the rights of this moment: somebody who left deploys nothing any more.
async fn caller(app: &App, row: &QueuedRow) -> Result<Caller, Fault> {
    let source = source_of(row);
    let place = || Grant {
        role: Role::Deployer,
        service: Some(row.service.clone()),
        environment: Some(row.environment.clone()),
    };
    if row.origin == Origin::Ask.word() {
        return match row.actor_kind.as_str() {
            "person" => app.caller_of(&row.actor, source).await,
            _ => app.robot_caller(&row.actor, source).await,
        };
    }
    // The forge or the server itself, as a robot that may deploy this and nothing else.
    Ok(Caller { actor: super::actor_of(row), name: row.name.clone(), source, grants: vec![place()] })
}

/// Whether the commit still is what its branch is at.
async fn is_newest(app: &App, row: &QueuedRow) -> Result<bool, Fault> {
    let services = app.services().await?;
    let Some(service) = services.iter().find(|s| s.name == row.service) else { return Ok(false) };
    Ok(app.deploys.head(&service.name, &service.repository, &service.branch).await? == row.sha)
}

/// Takes one out that will not be deployed, and says why; without a reason it is not worth a word.
async fn drop_out(app: &App, row: &QueuedRow, why: Option<String>) -> Result<(), Fault> {
    let row = row.clone();
    app.housekeeping(move |t| {
        if store::take(t.tx(), row.id, &row.sha)?
            && let Some(why) = &why
        {
            t.record(said::given_up(&row, why))?;
        }
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sha: &str) -> QueuedRow {
        QueuedRow {
            id: 7,
            service: "photos".to_owned(),
            environment: "production".to_owned(),
            origin: Origin::Push.word().to_owned(),
            actor_kind: "robot".to_owned(),
            actor: "forge".to_owned(),
            name: "forge".to_owned(),
            source: "api".to_owned(),
            reference: None,
            sha: sha.to_owned(),
            reason: None,
            after_deploy: None,
            not_before: None,
            asked_at: Timestamp(0),
        }
    }

    #[test]
    fn what_is_refused_again_is_tried_later_each_time() {
        let (mut tries, mut now) = (Tries::default(), Timestamp(1_000));
        let closed = || Fault::new(ErrorCode::Locked, "the window is shut");
        for wait_ms in [5_000, 10_000, 20_000, 40_000, 80_000, 80_000] {
            tries.put(&row("one"), closed(), now);
            assert_eq!(tries.not_yet(7, now.plus_ms(wait_ms - 1)), Some(ErrorCode::Locked), "{wait_ms}");
            now = now.plus_ms(wait_ms);
            assert_eq!(tries.not_yet(7, now), None, "{wait_ms}");
            assert_eq!(tries.said(7).as_deref(), Some("the window is shut"));
        }
        tries.keep(&[row("one")]);
        assert!(tries.refused().contains(&7), "it is in the way of nobody while it is not tried");
        tries.keep(&[row("two")]);
        assert!(tries.refused().is_empty(), "a newer commit was not refused yet");
        tries.put(&row("two"), closed(), now);
        assert_eq!(tries.not_yet(7, now.plus_ms(5_000)), None, "and is counted from the start");
    }
}
