//! Alerts that others send: a Prometheus that takes this server for an Alertmanager, scripts, amtool.
//!
//! A sender says again and again that an alert fires; that only extends a lease in memory. What changes is stored and goes
//! through the same pipeline as the alerts of our own rules. A sender that goes silent has not said that it is over: the
//! alert is unknown then, until the sender says more; after an hour it expires, and people judge, or the sender that is
//! back says that it is over.

use std::collections::BTreeMap;

use tenfold_alerting::pipeline::{HowEnded, Incoming};
use tenfold_alerting::{Alert, AlertState, Transition, TransitionKind};
use tenfold_store::alerts as store;
use tenfold_types::{ErrorCode, Fault, Timestamp};

use super::{
    KEY_LABEL, UNKNOWN_KEEP_MS,
    inbox::{Words, names_of},
    lease::Lease,
    pipeline,
    posted::{PostedAlert, Said, claims_source, read},
    transitions::{Body, Origin, body},
};
use crate::{App, Caller, Role, sources::SENDER};

/// How long an alert is believed at least after a start, since its sender may have had nowhere to send to.
pub(super) const LEASE_MS: i64 = 300_000;
/// Alerts that are heard together.
const BATCH_MAX: usize = 10_000;
/// Wrong alerts of a request that are told one by one.
const WRONG_TOLD_MAX: usize = 10;
/// Alerts of senders that are followed.
const RECEIVED_MAX: usize = 100_000;
/// The group under which alerts of senders are listed. No rule group of ours has this name.
pub(super) const GROUP: &str = tenfold_alerting::RECEIVED_GROUP;

/// An alert of a sender that fires, or of which the sender says nothing any more.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub alert: Alert,
    /// Where the sender explains it; empty where it does not.
    pub generator_url: String,
    /// The earliest start that any sender gave it.
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// That end was said, and is not what comes of saying none.
    explicit: bool,
    pub updated_at: Timestamp,
}

/// Takes the senders' alerts out of the store. Each gets a lease anew at least: the sender may have had nowhere to send to.
/// What one has said of a longer time holds.
pub(super) fn reload(app: &App, rows: &[store::AlertRow]) -> Result<(), Fault> {
    let now = app.now();
    let mut all = BTreeMap::new();
    for row in rows.iter().filter(|r| r.rule_group == GROUP) {
        let of = body(row)?;
        // One that is held as firing is over by the word of its sender.
        if of.held() {
            continue;
        }
        let Body { alert, generator_url, ends_at, .. } = of;
        let generator_url = generator_url.unwrap_or_default();
        let ends_at = ends_at.unwrap_or(now).max(now.plus_ms(LEASE_MS));
        let starts_at = alert.fired_at.unwrap_or(alert.active_since);
        let one = Received { alert, generator_url, starts_at, ends_at, explicit: false, updated_at: now };
        all.insert(row.fingerprint.clone(), one);
    }
    let mut received = app.alerts.received.lock();
    // On a shared database another node may have been told more since.
    let several = !app.settings.database_url.is_empty();
    for (fingerprint, anew) in &mut all {
        if let Some(known) = received.get(fingerprint) {
            anew.ends_at = if several { anew.ends_at.max(known.ends_at) } else { known.ends_at };
            anew.explicit = known.explicit;
            anew.starts_at = anew.starts_at.min(known.starts_at);
            anew.alert.annotations.clone_from(&known.alert.annotations);
            anew.generator_url.clone_from(&known.generator_url);
        }
    }
    *received = all;
    Ok(())
}

/// What becomes of alerts, by fingerprint; nothing of those that ended.
type Changes = BTreeMap<String, Option<Received>>;

impl Received {
    /// What a sender says anew of an alert that goes on. The earliest start counts, the newest annotations, and of two
    /// ends the later, unless that one was nobody's word.
    fn go_on(&mut self, said: &Said, now: Timestamp) {
        self.starts_at = self.starts_at.min(said.alert.active_since);
        self.alert.annotations.clone_from(&said.alert.annotations);
        if !said.generator_url.is_empty() {
            self.generator_url.clone_from(&said.generator_url);
        }
        if !(self.explicit && self.ends_at > said.ends_at) {
            (self.ends_at, self.explicit) = (said.ends_at, said.explicit);
        }
        self.updated_at = now;
    }
}

fn ended(mut alert: Alert, kind: TransitionKind, at: Timestamp) -> Transition {
    let from = Some(alert.state);
    alert.state = AlertState::Resolved;
    alert.resolved_at = Some(at);
    Transition { kind, from, alert, reason: None }
}

/// It fires, for the first time or after its sender was silent.
fn fires(alert: &mut Alert, from: Option<AlertState>) -> Transition {
    let kind = if from.is_some() { TransitionKind::FiringAgain } else { TransitionKind::Firing };
    (alert.state, alert.no_data_since) = (AlertState::Firing, None);
    Transition { kind, from, alert: alert.clone(), reason: None }
}

/// Its sender has said nothing for longer than it said the alert would go on.
fn silent(alert: &mut Alert, since: Timestamp) -> Transition {
    (alert.state, alert.no_data_since) = (AlertState::Unknown, Some(since));
    let reason = Some(format!("its sender has said nothing more since {since}"));
    Transition { kind: TransitionKind::Unknown, from: Some(AlertState::Firing), alert: alert.clone(), reason }
}

/// A sender says that it knows nothing of an alert any more. Nothing of one of which nothing was known before.
fn falls_silent(known: &mut Received, now: Timestamp) -> Option<Transition> {
    if known.alert.state == AlertState::Unknown {
        return None;
    }
    (known.ends_at, known.explicit, known.updated_at) = (now, true, now);
    Some(silent(&mut known.alert, now))
}

/// What is said of an alert that is over and perhaps not told of yet.
fn over_again(said: &Said, origin: &Origin) -> Incoming {
    Incoming {
        labels: said.alert.labels.clone(),
        annotations: said.alert.annotations.clone(),
        starts_at: said.alert.active_since,
        ended: Some((said.ends_at, HowEnded::Resolved)),
        lapsed: None,
        generator_url: origin.generator_url.clone(),
    }
}

fn origin(app: &App, alert: &Alert, generator_url: &str, ends_at: Timestamp) -> Origin {
    let name = alert.labels.get("alertname").unwrap_or("alert");
    Origin::received(name, GROUP, generator_url, ends_at).suspect_window(app).of_check(app)
}

impl App {
    /// Takes alerts from whoever may send any, as from a Prometheus. The labels by which the alerts of sources are known are
    /// for sources alone, so that nobody else raises one or keeps one going; people may still say that one is over.
    pub async fn alerts_posted(&self, who: &Caller, posted: Vec<PostedAlert>) -> Result<(), Fault> {
        let now = self.now();
        let (taken, foreign): (Vec<_>, Vec<_>) = posted.into_iter().partition(|one| !claims_source(one, now));
        if !taken.is_empty() {
            self.alerts_receive(who, taken).await?;
        }
        if foreign.is_empty() {
            return Ok(());
        }
        let count = foreign.len();
        let text =
            format!("{count} alerts have a label `{SENDER}` or `{KEY_LABEL}`, which only a source of alerts puts");
        Err(Fault::new(ErrorCode::BadRequest, text).advice("give the label another name"))
    }

    /// Takes alerts from a sender. Those that are right count even when others in the same request are wrong, or are none that
    /// it may send. On a node that does not take alerts they are kept for the one that does, and on that one while what was
    /// said of them before waits.
    pub async fn alerts_receive(&self, who: &Caller, posted: Vec<PostedAlert>) -> Result<(), Fault> {
        let here = self.takes_alerts().await?;
        let now = self.now();
        let resolve_timeout_ms = self.alerts.routing()?.routing.resolve_timeout_ms;
        let (mut said, mut wrong, mut forbidden) = (Vec::new(), Vec::new(), Ok(()));
        for alert in posted {
            let label = |name: &str| alert.labels.get(name).map(String::as_str);
            if let Err(fault) = who.require(Role::Responder, label("service"), label("environment")) {
                forbidden = forbidden.and(Err(fault));
                continue;
            }
            match read(alert, now, resolve_timeout_ms) {
                Ok(one) => said.push(one),
                Err(error) => wrong.push(error),
            }
        }
        while !said.is_empty() {
            let rest = said.split_off(said.len().min(BATCH_MAX));
            let some = std::mem::replace(&mut said, rest);
            if here { self.hear_in_turn(some, now).await? } else { self.said_hand_on(some, false).await? }
        }
        forbidden?;
        let all = if wrong.len() > WRONG_TOLD_MAX { format!("; {} are wrong", wrong.len()) } else { String::new() };
        wrong.truncate(WRONG_TOLD_MAX);
        if wrong.is_empty() { Ok(()) } else { Err(Fault::new(ErrorCode::BadRequest, wrong.join("; ") + &all)) }
    }

    /// The lease of the node that takes alerts, with what is in memory as far as what is stored; refused on another.
    pub(crate) async fn alerts_taking(&self) -> Result<Lease, Fault> {
        let Some(lease) = self.alerting_lease().await? else {
            return Err(
                Fault::new(ErrorCode::Unavailable, "another node takes alerts now").advice("send them to it, or again")
            );
        };
        if lease.behind {
            let _one = self.alerts.evaluating.lock().await;
            if !self.catch_up(&lease).await? {
                return Err(Fault::new(ErrorCode::Unavailable, "alerts cannot be stored one after the other")
                    .advice("send them again in some seconds; the server's log says what the store refuses"));
            }
        }
        Ok(lease)
    }

    /// Hears what was posted. What another node was told of one of these alerts before may have come since somebody looked: it
    /// is tried first, and where it cannot be taken this waits behind it.
    pub(super) async fn hear_in_turn(&self, said: Vec<Said>, now: Timestamp) -> Result<(), Fault> {
        let Some(said) = self.hear_or_wait(said, now, true).await? else { return Ok(()) };
        // Nothing of the inbox is tried meanwhile, and what was tried is known to be taken or to wait.
        let _one = self.alerts.keyed.lock().await;
        let (behind, said): (Vec<_>, Vec<_>) = said.into_iter().partition(|one| self.labels_wait(&one.alert.labels));
        // First: where this cannot be kept, nothing was heard and all of it is sent again.
        self.said_hand_on(behind, true).await?;
        self.hear(said, now).await
    }

    /// Keeps it for the node that takes alerts, as [`App::alerts_hand_on`] does.
    async fn said_hand_on(&self, said: Vec<Said>, here: bool) -> Result<(), Fault> {
        if said.is_empty() {
            return Ok(());
        }
        let posted = said.into_iter().map(Said::posted).collect();
        self.alerts_hand_on(&Words::Posted(posted), here).await
    }

    fn any_waits(&self, said: &[Said]) -> bool {
        self.alerts_wait() && said.iter().any(|one| self.labels_wait(&one.alert.labels))
    }

    /// Hears it, whatever else waits.
    pub(super) async fn hear(&self, said: Vec<Said>, now: Timestamp) -> Result<(), Fault> {
        self.hear_or_wait(said, now, false).await.map(|_| ())
    }

    /// Hears it. Where it is `in_turn` and has to wait behind other words it is given back, and nothing of it was heard: nothing
    /// else is heard between that look and the hearing.
    async fn hear_or_wait(&self, said: Vec<Said>, now: Timestamp, in_turn: bool) -> Result<Option<Vec<Said>>, Fault> {
        let mark = self.alerts.ahead.mark();
        let lease = self.alerts_taking().await?;
        if in_turn && self.any_waits(&said) {
            return Ok(Some(said));
        }
        // Only what is new or over has to be stored; most of what is said is neither.
        if self.only_goes_on(&said, now) {
            return self.alerts.ahead.stored(mark).await.map(|()| None);
        }
        let one = self.alerts.hearing.lock().await;
        if in_turn && self.any_waits(&said) {
            return Ok(Some(said));
        }
        let mut changes: Changes = BTreeMap::new();
        let (mut batch, mut over) = (Vec::new(), BTreeMap::new());
        let mut again = Vec::new();
        for mut one in said {
            let mut origin = origin(self, &one.alert, &one.generator_url, one.ends_at);
            origin.at_once = one.at_once;
            let fingerprint = one.alert.fingerprint.clone();
            // A rule here has it: that it fires is known, and that it is over the rule itself finds out.
            if self.alerts.brought.lock().has(&fingerprint) {
                continue;
            }
            let known = match changes.get(&fingerprint) {
                Some(changed) => changed.clone(),
                None => self.alerts.received.lock().get(&fingerprint).cloned(),
            };
            if one.silent {
                if let Some(mut known) = known
                    && let Some(transition) = falls_silent(&mut known, now)
                {
                    batch.push((origin, transition));
                    changes.insert(fingerprint, Some(known));
                }
                continue;
            }
            let change = match (known, one.ends_at > now) {
                (Some(mut known), true) => {
                    known.go_on(&one, now);
                    if known.alert.state == AlertState::Unknown {
                        batch.push((origin, fires(&mut known.alert, Some(AlertState::Unknown))));
                    }
                    Some(known)
                }
                (Some(mut known), false) => {
                    known.alert.no_data_since = None;
                    known.alert.annotations = one.alert.annotations;
                    known.alert.fired_at = Some(known.starts_at.min(one.alert.active_since));
                    // When its sender says that it ended, which may be a while ago.
                    let at = one.ends_at.max(known.alert.active_since).min(now);
                    batch.push((origin, ended(known.alert, TransitionKind::Resolved, at)));
                    None
                }
                (None, true) => {
                    batch.push((origin, fires(&mut one.alert, None)));
                    let Said { alert, ends_at, explicit, generator_url, .. } = one;
                    let starts_at = alert.active_since;
                    Some(Received { alert, generator_url, starts_at, ends_at, explicit, updated_at: now })
                }
                (None, false) => {
                    again.push(over_again(&one, &origin));
                    over.insert(fingerprint, origin);
                    continue;
                }
            };
            changes.insert(fingerprint, change);
        }
        if self.too_many(&changes) {
            let message = format!("at most {RECEIVED_MAX} alerts of senders are followed");
            return Err(Fault::new(ErrorCode::TooMany, message).advice("send it again when some of them are over"));
        }
        self.ended_aside(again.iter().flat_map(|one| names_of(&one.labels)).collect(), now).await?;
        batch.extend(self.over_after_all(over, now).await?);
        let staged = if batch.is_empty() && again.is_empty() {
            None
        } else {
            pipeline::stage(self, &lease, batch, again).await?
        };
        // Others go on from it; that it is stored is awaited by each who says so.
        self.remember(changes);
        drop(one);
        match staged {
            // Those before it have landed as well.
            Some(staged) => staged.stored().await.and_then(|()| self.alerts.ahead.counts(mark))?,
            None => self.alerts.ahead.stored(mark).await?,
        }
        Ok(None)
    }

    /// Those among alerts that nobody follows which were given up when their sender was silent: it says now that they
    /// are over, which nobody knew.
    async fn over_after_all(
        &self,
        over: BTreeMap<String, Origin>,
        now: Timestamp,
    ) -> Result<Vec<(Origin, Transition)>, Fault> {
        if over.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |tx| {
            let mut found = Vec::new();
            for (fingerprint, origin) in &over {
                let Some(row) = store::get(tx, fingerprint)?.filter(|r| r.rule_group == GROUP) else { continue };
                let mut alert = body(&row)?.alert;
                if row.ended_at.is_some() && alert.no_data_since.take().is_some() {
                    alert.state = AlertState::Unknown;
                    found.push((origin.clone(), ended(alert, TransitionKind::Resolved, now)));
                }
            }
            Ok(found)
        })
        .await
    }

    fn too_many(&self, changes: &Changes) -> bool {
        let received = self.alerts.received.lock();
        let new = changes.iter().filter(|(f, change)| change.is_some() && !received.contains_key(*f)).count();
        new > 0 && received.len() + new > RECEIVED_MAX
    }

    /// Takes over what has been stored; leases of other alerts, extended meanwhile, stand.
    fn remember(&self, changes: Changes) {
        let mut received = self.alerts.received.lock();
        for (fingerprint, change) in changes {
            match change {
                Some(now) => received.insert(fingerprint, now),
                None => received.remove(&fingerprint),
            };
        }
    }

    /// Extends leases when nothing else is to be done; false when there is more.
    fn only_goes_on(&self, said: &[Said], now: Timestamp) -> bool {
        let mut received = self.alerts.received.lock();
        let fires = |s: &Said| received.get(&s.alert.fingerprint).is_some_and(|r| r.alert.state == AlertState::Firing);
        let goes_on = said.iter().all(|s| !s.silent && s.ends_at > now && fires(s));
        if goes_on {
            for one in said {
                if let Some(known) = received.get_mut(&one.alert.fingerprint) {
                    known.go_on(one, now);
                }
            }
        }
        goes_on
    }
}

/// Alerts whose senders went silent become unknown, and expire when they stay it.
pub(super) async fn expire(app: &App, lease: &Lease) -> Result<(), Fault> {
    let now = app.now();
    let due = |r: &Received| match r.alert.state {
        AlertState::Unknown => now.since_ms(r.ends_at) >= UNKNOWN_KEEP_MS,
        _ => r.ends_at <= now,
    };
    if !app.alerts.received.lock().values().any(due) {
        return Ok(());
    }
    let _one = app.alerts.hearing.lock().await;
    let quiet: Vec<Received> = app.alerts.received.lock().values().filter(|r| due(r)).cloned().collect();
    let (mut changes, mut batch): (Changes, Vec<_>) = (BTreeMap::new(), Vec::new());
    for mut one in quiet {
        let origin = origin(app, &one.alert, &one.generator_url, one.ends_at);
        let fingerprint = one.alert.fingerprint.clone();
        if one.alert.state == AlertState::Unknown {
            batch.push((origin, ended(one.alert, TransitionKind::Expired, now)));
            changes.insert(fingerprint, None);
        } else {
            batch.push((origin, silent(&mut one.alert, one.ends_at)));
            changes.insert(fingerprint, Some(one));
        }
    }
    pipeline::advance(app, lease, batch).await?;
    app.remember(changes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(now: Timestamp) -> Received {
        let labels = BTreeMap::from([("alertname".to_owned(), "Late".to_owned())]);
        let posted = PostedAlert { labels, ends_at: Some(now.plus_ms(60_000)), ..PostedAlert::default() };
        let Said { alert, ends_at, explicit, generator_url, .. } = read(posted, now, 300_000).expect("it is right");
        Received { alert, generator_url, starts_at: now, ends_at, explicit, updated_at: now }
    }

    #[test]
    fn who_falls_silent_has_not_said_that_it_is_over_and_says_so_once() {
        let now = Timestamp(1_700_000_000_000);
        let mut known = known(now.plus_ms(-1_000));
        let transition = falls_silent(&mut known, now).expect("it fired");
        assert_eq!((transition.kind, transition.from), (TransitionKind::Unknown, Some(AlertState::Firing)));
        assert_eq!((known.alert.state, known.alert.no_data_since), (AlertState::Unknown, Some(now)));
        assert_eq!((known.alert.resolved_at, known.ends_at), (None, now));
        assert_eq!(falls_silent(&mut known, now.plus_ms(5)), None, "nothing of it is news");
        assert_eq!(known.ends_at, now, "it expires when it would have");
    }

    #[test]
    fn what_is_read_and_posted_once_more_says_the_same() {
        let now = Timestamp(1_700_000_000_000);
        let labels = BTreeMap::from([("alertname".to_owned(), "Late".to_owned())]);
        let ends = [None, Some(now.plus_ms(60_000)), Some(now.plus_ms(-1_000))];
        for ends_at in ends {
            let first = PostedAlert {
                labels: labels.clone(),
                annotations: Some(BTreeMap::from([("summary".to_owned(), "the batch is late".to_owned())])),
                starts_at: None,
                ends_at,
                generator_url: Some("http://sender.example/graph".to_owned()),
            };
            let said = read(first.clone(), now, 300_000).expect("it is right");
            let starts_at = said.alert.active_since;
            let again = said.posted();
            assert_eq!(again, PostedAlert { starts_at: Some(starts_at), ..first });
            let read_again = read(again, now.plus_ms(5_000), 300_000).expect("it is right");
            assert_eq!((read_again.alert.active_since, read_again.explicit), (starts_at, ends_at.is_some()));
            let mut received = known(now);
            received.go_on(&read_again, now);
            assert_eq!(received.generator_url, "http://sender.example/graph", "what was said last counts");
        }
    }
}
