//! Which services are looked at closely, and where: while a deploy changes hosts or waits with changed hosts, and for as
//! long after its end as it is watched.
//!
//! Read from the state of deploys and not from what is said of them, so a restarted server and one that conducts nothing
//! know it as well.

use std::collections::{BTreeSet, HashMap};

use tenfold_deploys::Target;
use tenfold_deploys::machine::{Kind, State};
use tenfold_store::deploys::{self as store, DeployQuery};
use tenfold_types::{Fault, Timestamp};
use tokio_util::sync::CancellationToken;

use super::after::LOOK;
use super::stored::Stored;
use crate::App;

/// It goes on for so long after a deploy ended: errors often come late.
const AFTER_MS: i64 = 2 * 60_000;
/// A deploy that waits for a person is looked at closely no longer than this, which is as long as a judge may watch.
const WAITS_MS_MAX: i64 = 86_400_000;
/// The longest watch after a promotion.
const WATCH_MS_MAX: i64 = 86_400_000;
const UNFINISHED_MAX: u32 = 1_000;

type Place = (String, String);

/// A deploy that ended never changes; until when it is looked at is kept, so that each is read once.
type Ended = HashMap<i64, (Place, Timestamp)>;

/// Tells the scraper, until `stop`.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut ended = Ended::new();
    loop {
        match look(&app, &mut ended).await {
            Ok(places) => app.metrics.look_closely(places),
            Err(fault) => tracing::warn!(%fault, "what is to be looked at closely could not be read"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn look(app: &App, ended: &mut Ended) -> Result<BTreeSet<Place>, Fault> {
    let now = app.now();
    let known: BTreeSet<i64> = ended.keys().copied().collect();
    let (open, numbers, fresh) = app
        .read(move |tx| {
            let query = DeployQuery { unfinished: true, limit: UNFINISHED_MAX, ..DeployQuery::default() };
            let open = store::deploys(tx, &query)?;
            // Of those that ended long ago only the newest of a place is still watched.
            let mut numbers: BTreeSet<i64> =
                store::deploys_newest(tx, now.plus_ms(-WATCH_MS_MAX))?.into_iter().collect();
            numbers.extend(store::deploys_ended(tx, now.plus_ms(-AFTER_MS))?);
            let mut fresh = Vec::new();
            for number in numbers.difference(&known) {
                fresh.extend(store::deploy_get(tx, *number)?);
            }
            Ok((open, numbers, fresh))
        })
        .await?;
    ended.retain(|number, _| numbers.contains(number));
    for row in &fresh {
        let stored = Stored::from_row(row)?;
        let until = stored.finished_at.unwrap_or(now).plus_ms(after_ms(&stored));
        ended.insert(stored.number, ((stored.service, stored.environment), until));
    }
    let mut places: BTreeSet<Place> =
        ended.values().filter(|(_, until)| *until > now).map(|(place, _)| place.clone()).collect();
    for row in &open {
        let stored = Stored::from_row(row)?;
        if is_moving(&stored, now) {
            places.insert((stored.service, stored.environment));
        }
    }
    Ok(places)
}

/// Whether a deploy that is not over changes hosts, or waits with hosts that it changed.
fn is_moving(stored: &Stored, now: Timestamp) -> bool {
    let run = &stored.run;
    let moves = matches!(run.state, State::Canary | State::Promoting | State::RollingBack);
    let waits = run.hosts.iter().any(|h| h.touched) && now.since_ms(run.entered_at) < WAITS_MS_MAX;
    moves || waits
}

/// How long it is looked at after its end.
fn after_ms(stored: &Stored) -> i64 {
    let run = &stored.run;
    if !run.hosts.iter().any(|h| h.touched) {
        return 0;
    }
    let stays = run.state == State::Succeeded && run.kind == Kind::Deploy;
    let target = stored.asked.pipeline.target(&stored.environment).ok().filter(|_| stays);
    let watch = target.and_then(Target::after_promotion);
    watch.map_or(0, |(_, after)| i64::from(after.for_s) * 1000).max(AFTER_MS)
}
