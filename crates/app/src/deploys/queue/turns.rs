//! The loop that begins what has its turn. One server does it, by a lease; and what waits is taken out in the transaction that
//! writes the deploy, so that it begins once whoever else looks.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tenfold_deploys::queue::{Origin, Turn, is_given_up};
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
/// What was refused for what passes is tried again after this.
const AGAIN_MS: i64 = 5_000;

/// What was tried of those that wait: when again, and what was in the way.
#[derive(Default)]
pub(in super::super) struct Tries(HashMap<i64, (Timestamp, String)>);

impl Tries {
    pub(super) fn said(&self, id: i64) -> Option<String> {
        self.0.get(&id).map(|(_, why)| why.clone())
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
    let known: BTreeSet<i64> = rows.iter().map(|row| row.id).collect();
    app.deploys.tries.lock().0.retain(|id, _| known.contains(id));
    if rows.is_empty() {
        return Ok(());
    }
    let holder = app.deploys.node()?;
    let held = app
        .housekeeping(move |t| {
            let now = t.now();
            Ok(leases::acquire(t.tx(), LEASE, &holder, now, LEASE_MS)?)
        })
        .await?;
    if held.is_none() {
        return Ok(());
    }
    for row in rows.iter().filter(|row| is_given_up(&waiting(row), app.now())) {
        let why = app.deploys.tries.lock().said(row.id).unwrap_or_else(|| "others went before it".to_owned());
        drop_out(app, row, Some(format!("its turn did not come within a day: {why}"))).await?;
    }
    let places: BTreeSet<(String, String)> = rows.into_iter().map(|row| (row.service, row.environment)).collect();
    for (service, environment) in places {
        if let Err(fault) = next(app, &service, &environment).await {
            tracing::warn!(%fault, service, environment, "what waits could not be begun; trying again");
        }
    }
    Ok(())
}

/// Begins the first that waits for a place, if it is its turn.
async fn next(app: &App, service: &str, environment: &str) -> Result<(), Fault> {
    let (now, key, env) = (app.now(), service.to_owned(), environment.to_owned());
    let (queue, locks) =
        app.read(move |tx| Ok((Queue::read(tx, &key, &env, now)?, deploys::locks_open(tx, now)?))).await?;
    let Turn::Goes { id } = queue.turn else { return Ok(()) };
    let Some(row) = queue.rows.iter().find(|row| row.id == id) else { return Ok(()) };
    if app.deploys.tries.lock().0.get(&id).is_some_and(|(again, _)| *again > now) {
        return Ok(());
    }
    // A lock needs no repository to be seen.
    if said::in_the_way(row, &locks, now)?.is_some() {
        return Ok(());
    }
    let Err(fault) = begin(app, row).await else { return Ok(()) };
    match fault.code {
        // Another server began it, or somebody took it out.
        ErrorCode::Gone => Ok(()),
        // Windows, freezes, trains and earlier stages pass, as what is away comes back.
        ErrorCode::Conflict | ErrorCode::Locked | ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::DiskFull => {
            app.deploys.tries.lock().0.insert(id, (app.now().plus_ms(AGAIN_MS), fault.message));
            Ok(())
        }
        _ => drop_out(app, row, Some(fault.message)).await,
    }
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
    Box::pin(app.deploy_begin(&who, new, Some(row.clone()))).await.map(|_| ())
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
