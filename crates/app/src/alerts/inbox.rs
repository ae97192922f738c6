//! What is said of alerts to a node that does not take any: it is kept in the database before its sender has the answer, and
//! the node with the lease takes it at its next look, as of when it came. So a sender may be pointed at any node.
//!
//! The node with the lease takes what waits before it hears anything itself, so that words are heard in the order in which they
//! were answered. Each is forgotten when it was done. One that is heard twice, since a node died in between, changes nothing.
//!
//! One that cannot be taken keeps nobody else: it is tried again after a while, only what was said later of the same alerts waits
//! behind it, to whichever node, and in the end it is kept aside, where people see it. Nothing that was answered goes without a
//! word.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_alerting::fingerprint;
use tenfold_protocols::alert_hook::KeyedAlert;
use tenfold_store::alert_inbox as store;
use tenfold_types::{Actor, ErrorCode, EventDraft, Fault, Labels, Severity, Source, Timestamp};

use super::{
    INTEGRATION_LABEL, KEY_LABEL, PostedAlert,
    lease::Lease,
    outdated,
    posted::{Said, read},
    waits::{self, Names, Waits},
};
use crate::{App, Caller, Role, Txn, sources::SENDER};

/// Requests read at a time; each may hold its whole body.
const ROWS_MAX: i64 = 8;
/// How often that is done in one look: senders to this node wait meanwhile. What waits to be tried again is none of it.
const READS_MAX: usize = 64;
/// What may wait: nobody takes it when there is more.
const WAITING_MAX: store::Waiting = store::Waiting { requests: 10_000, bytes: 256 << 20 };
/// How long a node that does not take alerts waits until what it was told is taken, when it is asked about it.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);
/// Between two looks at that.
const LOOK: Duration = Duration::from_millis(100);
/// One that cannot be taken is tried so often, and then kept aside: after about half an hour.
const TRIES_MAX: i64 = 12;
/// Before the second try; doubled with each.
const AGAIN_MS: i64 = 1_000;
const AGAIN_MS_MAX: i64 = 600_000;
/// What nobody has tried for so long will not be taken soon: no node takes alerts, or one that does not know of this, as while
/// programs of two versions run.
const STALLED_MS: i64 = 60_000;
/// What is refused so soon after another one has no event of its own: the first page counts it.
const TOLD_AGAIN_MS: i64 = 600_000;
/// Of those kept aside, how many are listed.
const LISTED_MAX: i64 = 100;
const WHY_CHARS_MAX: usize = 500;

/// What somebody said who may say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Words {
    Posted(Vec<PostedAlert>),
    Keyed {
        /// The label that every alert of the sender has.
        label: String,
        value: String,
        said: Vec<KeyedAlert>,
    },
}

impl Words {
    /// Which alerts it is about, so that what is said of one of them keeps its order.
    pub(super) fn of(&self) -> Names {
        match self {
            Self::Posted(posted) => posted.iter().flat_map(|one| names_of(&labels_of(one))).collect(),
            Self::Keyed { label, value, said } => said.iter().map(|one| keyed_name((label, value), &one.key)).collect(),
        }
    }
}

pub(super) fn labels_of(one: &PostedAlert) -> Labels {
    Labels::from_pairs(one.labels.iter().map(|(n, v)| (n.clone(), v.clone())))
}

/// An alert that was posted may be that of a key, of which others speak as well.
pub(super) fn names_of(labels: &Labels) -> Names {
    let mut names = Names::from([waits::name(&fingerprint(labels))]);
    if let Some(key) = labels.get(KEY_LABEL) {
        let senders = [SENDER, INTEGRATION_LABEL].into_iter();
        names.extend(senders.filter_map(|label| Some(keyed_name((label, labels.get(label)?), key))));
    }
    names
}

/// A key may have had other labels before.
pub(super) fn keyed_name(sender: (&str, &str), key: &str) -> u64 {
    waits::name(&format!("{}={}/{key}", sender.0, sender.1))
}

/// Since when requests wait that nobody has tried, where that is too long. Where one is tried in vain, somebody tries.
fn stalled_since(stuck: store::Stuck, now: Timestamp) -> Option<Timestamp> {
    stuck.untried_since.filter(|since| stuck.failing == 0 && now.since_ms(*since) > STALLED_MS)
}

/// After the try that comes behind `tries` others in vain.
fn again_ms(tries: i64) -> i64 {
    let doubled = AGAIN_MS.checked_shl(u32::try_from(tries).unwrap_or(u32::MAX).min(20)).unwrap_or(AGAIN_MS_MAX);
    doubled.min(AGAIN_MS_MAX)
}

/// Keeps one aside, and tells of it unless that was told of another one shortly before.
fn refuse(t: &mut Txn<'_>, id: i64, why: &str) -> Result<(), Fault> {
    let now = t.now();
    let told = store::refused_last(t.tx())?.is_some_and(|at| now.since_ms(at) < TOLD_AGAIN_MS);
    store::refuse(t.tx(), id, now, why)?;
    if told {
        return Ok(());
    }
    let refused = store::stuck(t.tx())?.refused;
    let text = format!(
        "Alerts that were sent to another node could not be taken: {why}; {} kept aside",
        if refused == 1 { "the request is".to_owned() } else { format!("{refused} requests are") }
    );
    let draft = EventDraft::new(Actor::system(), Source::System, "alert.refused", text).severity(Severity::Critical);
    t.record(draft.data(json!({"request": id, "why": why, "kept": refused})))?;
    Ok(())
}

/// What becomes of requests that could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// Without what is over by now.
    Again,
    /// Those that were given up by then; all where nothing is said. What came since then nobody has seen.
    Forget { until: Option<Timestamp> },
}

/// What was done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Those that are tried once more, or are forgotten.
    pub requests: u64,
    /// Alerts that were left out since they are over, or more was said of them. A request with no others is forgotten.
    pub over: u64,
}

/// A request of alerts that could not be taken, and is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RefusedView {
    pub id: i64,
    /// When it came.
    #[schema(value_type = String)]
    pub at: Timestamp,
    #[schema(value_type = String)]
    pub refused_at: Timestamp,
    pub tries: i64,
    pub why: String,
    /// Names of its alerts, at most 10.
    pub alerts: Vec<String>,
    /// How many alerts it has.
    pub total: usize,
}

/// Requests of alerts that a node took for the one that evaluates alerts, and that could not be taken there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RefusedList {
    /// The newest 100.
    pub items: Vec<RefusedView>,
    /// How many requests are kept in all.
    pub total: i64,
}

/// Names that one request is listed with.
const NAMES_MAX: usize = 10;

impl RefusedView {
    fn of(row: store::RefusedRow) -> Self {
        let name =
            |labels: &std::collections::BTreeMap<String, String>| labels.get("alertname").cloned().unwrap_or_default();
        // What cannot be read has no names, and says so by its reason.
        let names: Vec<String> = match serde_json::from_str(&row.body) {
            Ok(Words::Posted(posted)) => posted.iter().map(|one| name(&one.labels)).collect(),
            Ok(Words::Keyed { said, .. }) => said.iter().map(|one| name(&one.labels)).collect(),
            Err(_) => Vec::new(),
        };
        let total = names.len();
        let alerts = names.into_iter().take(NAMES_MAX).collect();
        Self { id: row.id, at: row.at, refused_at: row.refused_at, tries: row.tries, why: row.why, alerts, total }
    }
}

impl App {
    /// Requests of alerts that could not be taken, the newest 100, and how many there are.
    pub async fn alerts_refused(&self) -> Result<RefusedList, Fault> {
        let read = self.read(|tx| Ok((store::refused(tx, LISTED_MAX)?, store::refused_count(tx)?)));
        let (rows, total) = read.await?;
        Ok(RefusedList { items: rows.into_iter().map(RefusedView::of).collect(), total })
    }

    /// Tries all of them once more, each as of when it came, or forgets those that were given up by an instant.
    pub async fn alerts_refused_settle(&self, who: &Caller, settle: Settle) -> Result<Settled, Fault> {
        who.require(Role::Deployer, None, None)?;
        let (who, now) = (who.clone(), self.now());
        self.transact(move |t| {
            // Within: an end that is noted beside it would be written over.
            let rests = match settle {
                Settle::Again => outdated::rests(t.tx(), now)?,
                Settle::Forget { .. } => Vec::new(),
            };
            for rest in &rests {
                store::refused_rest(t.tx(), rest.id, rest.body.as_deref())?;
            }
            let over: u64 = rests.iter().map(|rest| rest.over).sum();
            let (count, what, kind) = match settle {
                Settle::Again => (store::refused_again(t.tx())?, "tries again", "alert.refused_again"),
                Settle::Forget { until } => {
                    let until = until.unwrap_or_else(|| t.now());
                    (store::refused_forget(t.tx(), until)?, "forgot", "alert.refused_forgotten")
                }
            };
            if count > 0 || over > 0 {
                let without = if over > 0 { format!(", without {over} alerts that are over") } else { String::new() };
                let text = format!("{} {what} {count} requests of alerts that could not be taken{without}", who.name);
                let draft = EventDraft::new(who.actor.clone(), who.source, kind, text).severity(Severity::Warning);
                t.record(draft.data(json!({"requests": count, "over": over})))?;
            }
            Ok(Settled { requests: count, over })
        })
        .await
    }

    /// What does not go through of alerts that came to nodes that do not take any, in sentences.
    pub(crate) async fn alerts_stuck(&self) -> Result<Vec<String>, Fault> {
        let now = self.now();
        let stuck = self.read(|tx| Ok(store::stuck(tx)?)).await?;
        let mut all = Vec::new();
        if let Some(since) = stalled_since(stuck, now) {
            all.push(format!("no node takes the alerts that others were sent, since {since}; senders are told so"));
        }
        if stuck.failing > 0 {
            all.push(format!("{} of alerts cannot be taken and wait to be tried again", requests(stuck.failing)));
        }
        if stuck.refused > 0 {
            let kept = requests(stuck.refused);
            all.push(format!("{kept} of alerts could not be taken and wait for a person: `tenfold alerts refused`"));
        }
        Ok(all)
    }

    /// Whether this node is the one that takes alerts. It has heard then what others were told before.
    pub(super) async fn takes_alerts(&self) -> Result<bool, Fault> {
        if self.settings.database_url.is_empty() {
            return Ok(true);
        }
        if self.alerting_lease().await?.is_none() {
            return Ok(false);
        }
        let lease = self.alerts_taking().await?;
        self.alerts_inbox(&lease).await?;
        Ok(true)
    }

    /// Whether words on alerts wait here, or are tried just now. Where none do, nobody has to be asked for by name.
    pub(super) fn alerts_wait(&self) -> bool {
        self.alerts.waits.lock().any()
    }

    /// Whether what is said of an alert now has to wait behind what was said of it before.
    pub(super) fn labels_wait(&self, labels: &Labels) -> bool {
        self.alerts.waits.lock().have(&names_of(labels))
    }

    /// The same of a key.
    pub(super) fn keyed_waits(&self, sender: (&str, &str), one: &KeyedAlert) -> bool {
        self.alerts.waits.lock().have(&Names::from([keyed_name(sender, &one.key)]))
    }

    /// Keeps what was said for the node that takes alerts. `here` where that is this one, and it waits behind other words.
    pub(super) async fn alerts_hand_on(&self, words: &Words, here: bool) -> Result<(), Fault> {
        let body = serde_json::to_string(words).map_err(|e| Fault::internal(e.to_string()))?;
        let now = self.now();
        self.housekeeping(move |t| {
            let waiting = store::waiting(t.tx())?;
            if waiting.requests >= WAITING_MAX.requests || waiting.bytes >= WAITING_MAX.bytes {
                return Err(Fault::unavailable("too many requests of alerts wait to be taken")
                    .advice("look whether a server of this database evaluates rules, then send them again"));
            }
            let stalled = if here { None } else { stalled_since(store::stuck(t.tx())?, now) };
            if let Some(since) = stalled {
                return Err(Fault::unavailable(format!("no node takes alerts: some have waited since {since}"))
                    .advice("send them again, or to another node; where two versions run, end the older one"));
            }
            store::put(t.tx(), &body, now)?;
            Ok(())
        })
        .await
    }

    /// Takes what was said to other nodes. Never while `evaluating` or `keyed` is held.
    async fn alerts_inbox(&self, lease: &Lease) -> Result<(), Fault> {
        let next = self.read(|tx| Ok(store::next(tx)?)).await?;
        if self.alerts.waits.lock().stand(lease.epoch, next, self.now()) {
            return Ok(());
        }
        let _one = self.alerts.keyed.lock().await;
        let now = self.now();
        self.read_waits(lease, now).await?;
        let (mut after, mut more) = (0, true);
        for _ in 0..READS_MAX {
            let rows = self.read(move |tx| Ok(store::due(tx, after, now, ROWS_MAX)?)).await?;
            let Some(newest) = rows.last() else {
                more = false;
                break;
            };
            after = newest.id;
            let mut behind = Vec::new();
            for row in rows {
                behind.extend(self.take_row(lease, row, now).await?);
            }
            self.hold_rows(lease, behind).await?;
        }
        self.alerts.waits.lock().looked(now, more);
        Ok(())
    }

    /// Reads which alerts have words that wait to be tried again, where this node does not know.
    async fn read_waits(&self, lease: &Lease, now: Timestamp) -> Result<(), Fault> {
        if self.alerts.waits.lock().are_read(lease.epoch) {
            return Ok(());
        }
        let (mut waits, mut after) = (Waits::began(lease.epoch), 0);
        loop {
            let rows = self.read(move |tx| Ok(store::later(tx, after, now, ROWS_MAX)?)).await?;
            let Some(newest) = rows.last() else { break };
            after = newest.id;
            for row in rows {
                let words = serde_json::from_str::<Words>(&row.body);
                waits.put_off(row.id, &words.map(|words| words.of()).unwrap_or_default(), row.next_at);
            }
        }
        *self.alerts.waits.lock() = waits;
        Ok(())
    }

    /// These wait behind others until then.
    async fn hold_rows(&self, lease: &Lease, behind: Vec<(i64, Timestamp)>) -> Result<(), Fault> {
        if behind.is_empty() {
            return Ok(());
        }
        let lease = lease.clone();
        self.housekeeping(move |t| {
            lease.check(t)?;
            for (id, until) in &behind {
                store::hold(t.tx(), *id, *until)?;
            }
            Ok(())
        })
        .await
    }

    /// What waits behind another one, and until when; memory has it then. `now` is when the look began.
    fn waits_behind(&self, id: i64, of: &Names, now: Timestamp) -> Option<Timestamp> {
        let mut waits = self.alerts.waits.lock();
        let until = waits.behind(id, of, now)?;
        waits.put_off(id, of, until);
        Some(until)
    }

    /// Takes one, or says until when it waits behind another.
    async fn take_row(
        &self,
        lease: &Lease,
        row: store::InboxRow,
        now: Timestamp,
    ) -> Result<Option<(i64, Timestamp)>, Fault> {
        let (id, tries) = (row.id, row.tries);
        let words = serde_json::from_str::<Words>(&row.body)
            .map_err(|e| Fault::invalid(format!("what was said of alerts cannot be read: {e}")));
        let of = words.as_ref().map(Words::of).unwrap_or_default();
        if let Some(until) = self.waits_behind(id, &of, now) {
            return Ok(Some((id, until)));
        }
        // Before it is heard: who is about to be heard must see it, whatever comes of this.
        self.alerts.waits.lock().put_off(id, &of, now);
        let heard = match words {
            Ok(words) => self.heard_elsewhere(words, row.at).await,
            Err(fault) => Err(fault),
        };
        let lease = lease.clone();
        let Err(fault) = heard else {
            self.housekeeping(move |t| {
                lease.check(t)?;
                Ok(store::forget(t.tx(), id)?)
            })
            .await?;
            self.alerts.waits.lock().done(id, &of);
            return Ok(None);
        };
        let why: String = fault.message.chars().take(WHY_CHARS_MAX).collect();
        match fault.code {
            // It will not be right at any other time.
            ErrorCode::NotFound | ErrorCode::BadRequest | ErrorCode::Invalid => {}
            // The store does not answer, or another node has the lease: that is none of the request's.
            ErrorCode::Unavailable | ErrorCode::DiskFull | ErrorCode::Timeout => return Err(fault),
            _ if tries + 1 >= TRIES_MAX => {}
            _ => {
                tracing::error!(%fault, tries, "alerts that came to another node could not be taken; trying again");
                let next_at = self.now().plus_ms(again_ms(tries));
                // Before it is stored: who finds nothing to be due must know that it waits.
                self.alerts.waits.lock().put_off(id, &of, next_at);
                self.housekeeping(move |t| {
                    lease.check(t)?;
                    Ok(store::put_off(t.tx(), id, next_at, &why)?)
                })
                .await?;
                return Ok(None);
            }
        }
        tracing::warn!(%fault, tries, "alerts that came to another node were not taken, and are kept aside");
        self.housekeeping(move |t| {
            lease.check(t)?;
            refuse(t, id, &why)
        })
        .await?;
        self.alerts.waits.lock().done(id, &of);
        Ok(None)
    }

    /// Hears it as of when it came: what its sender did not say since then is no end.
    async fn heard_elsewhere(&self, words: Words, came: Timestamp) -> Result<(), Fault> {
        let at = came.min(self.now());
        match words {
            Words::Posted(posted) => {
                let resolve_timeout_ms = self.alerts.routing()?.routing.resolve_timeout_ms;
                let said: Vec<Said> =
                    posted.into_iter().filter_map(|one| read(one, at, resolve_timeout_ms).ok()).collect();
                self.hear(said, at).await
            }
            Words::Keyed { label, value, said } => self.hear_keyed((&label, &value), said, at).await,
        }
    }

    /// Waits until what was said up to now is taken, and reads what came of it. For a node that does not take alerts.
    pub(super) async fn taken_elsewhere(&self) -> Result<(), Fault> {
        let until = tokio::time::Instant::now() + TAKEN_WITHIN;
        if let Some(newest) = self.read(|tx| Ok(store::last(tx)?)).await? {
            while self.read(|tx| Ok(store::first(tx)?)).await?.is_some_and(|oldest| oldest <= newest) {
                if tokio::time::Instant::now() >= until {
                    return Err(Fault::unavailable("alerts that were sent before are not taken yet")
                        .advice("send it again in some seconds"));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        let _one = self.alerts.evaluating.lock().await;
        self.follow_other_nodes(false).await
    }

    /// Takes what waits, if this node is the one that does. A fault is said, and what waits stays for the next look.
    pub(super) async fn look_into_inbox(&self) {
        if let Err(fault) = self.takes_alerts().await {
            tracing::warn!(%fault, "alerts that came to other nodes could not be taken; trying again");
        }
    }
}

fn requests(count: i64) -> String {
    if count == 1 { "a request".to_owned() } else { format!("{count} requests") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tenfold_protocols::alert_hook::SaidState;

    use super::*;

    #[test]
    fn tries_come_less_and_less_often() {
        let all: Vec<i64> = (0..TRIES_MAX - 1).map(|tries| again_ms(tries) / 1_000).collect();
        assert_eq!(all, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600]);
        assert_eq!(again_ms(i64::MAX), AGAIN_MS_MAX);
    }

    #[test]
    fn what_nobody_tries_is_stalled() {
        let stuck =
            |since: Option<i64>, failing| store::Stuck { untried_since: since.map(Timestamp), failing, refused: 1 };
        let now = Timestamp(100_000);
        assert_eq!(stalled_since(stuck(Some(39_999), 0), now), Some(Timestamp(39_999)));
        assert_eq!(stalled_since(stuck(Some(40_000), 0), now), None);
        assert_eq!(stalled_since(stuck(Some(0), 1), now), None, "one is tried in vain, and others wait behind it");
        assert_eq!(stalled_since(stuck(None, 0), now), None);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let at = Timestamp(1_700_000_000_000);
        let labels = BTreeMap::from([("alertname".to_owned(), "Late".to_owned())]);
        let posted = PostedAlert {
            labels: labels.clone(),
            annotations: Some(BTreeMap::new()),
            starts_at: Some(at),
            ends_at: None,
            generator_url: Some("http://sender.example/graph".to_owned()),
        };
        let keyed = |state| KeyedAlert {
            key: "db1/disk".to_owned(),
            state,
            labels: labels.clone(),
            annotations: BTreeMap::new(),
            starts_at: None,
            url: None,
        };
        let said = [SaidState::Firing, SaidState::Resolved, SaidState::Silent].map(keyed).to_vec();
        let of_keys = Words::Keyed { label: "alert_source".to_owned(), value: "nightly".to_owned(), said };
        for words in [Words::Posted(vec![posted]), of_keys] {
            let text = serde_json::to_string(&words).expect("it is JSON");
            assert_eq!(serde_json::from_str::<Words>(&text).expect("it is read again"), words);
        }
    }
}
