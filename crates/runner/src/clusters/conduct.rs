//! Feeds the pure machine: orders, snapshots, answers of calls, time; and carries out what it decides.

use std::sync::Arc;
use std::time::Duration;

use tenfold_app::deploys::ports::{Tell, Told};
use tenfold_deploys::cluster::{Effect, Handover, Input, Refusal, step};
use tenfold_types::Clock;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Cluster;

/// Snapshots that wait to be taken in; whoever follows waits then.
const SNAPSHOTS_MAX: usize = 4;
/// Between two looks that failed.
const AGAIN: Duration = Duration::from_secs(1);
const WAKE_MS_MAX: i64 = 3_600_000;

pub(super) async fn conduct(
    cluster: Arc<dyn Cluster>,
    clock: &Arc<dyn Clock>,
    mut handover: Handover,
    mut orders: mpsc::UnboundedReceiver<Input>,
    tell: &Tell,
    stop: CancellationToken,
) {
    let (snapshots, mut seen) = mpsc::channel(SNAPSHOTS_MAX);
    let (answers, mut answered) = mpsc::unbounded_channel();
    // dropped at the end, which ends them all
    let mut calls = JoinSet::new();
    let follower = cluster.clone();
    calls.spawn(async move { follower.follow(snapshots).await });
    loop {
        let wake = handover.next_wake().map_or(WAKE_MS_MAX, |at| at.since_ms(clock.now()).clamp(0, WAKE_MS_MAX));
        let input = tokio::select! {
            () = stop.cancelled() => return,
            order = orders.recv() => match order {
                Some(order) => order,
                None => return,
            },
            Some(seen) = seen.recv() => seen.map_or_else(|error| Input::Away { error }, |seen| Input::Seen(Box::new(seen))),
            Some(answer) = answered.recv() => answer,
            Some(_) = calls.join_next(), if calls.len() > 1 => continue,
            () = tokio::time::sleep(Duration::from_millis(wake.unsigned_abs())) => Input::Tick,
        };
        if let Input::Seen(seen) = &input {
            tell(Told::Seen(seen.clone()));
        }
        let (next, effects) = step(&handover, input, clock.now());
        handover = next;
        for effect in effects {
            act(effect, &cluster, &answers, &mut calls, tell);
        }
    }
}

fn act(
    effect: Effect,
    cluster: &Arc<dyn Cluster>,
    answers: &mpsc::UnboundedSender<Input>,
    calls: &mut JoinSet<()>,
    tell: &Tell,
) {
    let (cluster, answers) = (cluster.clone(), answers.clone());
    match effect {
        Effect::Tell(input) => tell(Told::Input(input)),
        Effect::Say(text) => tell(Told::Say(text)),
        Effect::Stale { highest } => tell(Told::Stale { highest }),
        Effect::Check(release) => {
            calls.spawn(async move {
                let _ = answers.send(Input::Checked(cluster.check(&release).await));
            });
        }
        Effect::Look => {
            calls.spawn(async move {
                loop {
                    match cluster.look().await {
                        Ok(seen) => {
                            let _ = answers.send(Input::Seen(Box::new(seen)));
                            return;
                        }
                        // whoever follows says that it is away; here it is only asked again
                        Err(_) => tokio::time::sleep(AGAIN).await,
                    }
                }
            });
        }
        Effect::Write { change, version } => {
            calls.spawn(async move {
                let written = cluster.write(&change, &version).await;
                let _ = answers.send(written.map_or_else(Input::Failed, |order| Input::Written { order }));
            });
        }
    }
}

/// Where the cluster may not be reached at all: every order fails with the reason.
pub(super) async fn refuse(
    why: &str,
    mut handover: Handover,
    mut orders: mpsc::UnboundedReceiver<Input>,
    clock: &Arc<dyn Clock>,
    tell: &Tell,
    stop: CancellationToken,
) {
    loop {
        let order = tokio::select! {
            () = stop.cancelled() => return,
            order = orders.recv() => match order {
                Some(order) => order,
                None => return,
            },
        };
        let refusal = || Refusal::Final { error: why.to_owned() };
        let answer = match order {
            Input::Check { .. } => Input::Checked(Err(refusal())),
            _ => Input::Failed(refusal()),
        };
        for input in [order, answer] {
            let (next, effects) = step(&handover, input, clock.now());
            handover = next;
            for effect in effects {
                if let Effect::Tell(input) = effect {
                    tell(Told::Input(input));
                }
            }
        }
    }
}
