//! The webhooks of receivers, as a configuration of Alertmanager names them. When a group was looked at, each of its
//! receiver's webhooks has a ledger that says whether there is anything to tell; what is owed is posted until it is taken,
//! also when the alerts are long over.
//!
//! Between looks all lives in memory. What a webhook took is stored after it took it, and what it is owed of alerts that
//! are over when they end, or of all once it was out of order: everything else that is owed follows from the alerts that
//! fire. An alert that ends is stored as over after what webhooks took and are owed of it, see [`ending`]. So a message may
//! come twice after a kill, and none is lost.

mod deliver;
mod ending;
mod stored;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use parking_lot::{Mutex, RwLock};
use tenfold_alerting::pipeline::{Flush, GroupId, Known, PipelineState};
use tenfold_alerting::webhook::Ledger;
use tenfold_alerting::{Alert, AlertState, Fingerprint, Routing};
use tenfold_types::Timestamp;
use tokio::sync::Notify;

use super::WebhookPoster;
use crate::App;

pub(super) use deliver::run;
pub(super) use ending::{store_before_change, store_before_end};
pub(super) use stored::reload;

/// What this part keeps in memory.
#[derive(Default)]
pub struct State {
    inner: Mutex<Inner>,
    /// There is something to store, or to wait for.
    news: Notify,
    /// One stores at a time, so that what is written later is never older.
    storing: tokio::sync::Mutex<()>,
    poster: RwLock<Option<Arc<dyn WebhookPoster>>>,
}

impl State {
    pub(super) fn set_poster(&self, poster: Arc<dyn WebhookPoster>) {
        *self.poster.write() = Some(poster);
    }

    pub(super) fn poster(&self) -> Option<Arc<dyn WebhookPoster>> {
        self.poster.read().clone()
    }
}

/// A webhook by its receiver's name and its place there.
type HookId = (String, usize);

/// A webhook and a group; the rest follows from them. Each message looks for it again and again, so that what takes long is
/// reckoned once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SlotId {
    hook: HookId,
    group: Arc<GroupId>,
    /// Of its row.
    name: String,
    /// Of hook and group, under a key of this process.
    hash: u64,
}

impl SlotId {
    fn new(hook: HookId, group: Arc<GroupId>) -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let (name, hash) = (stored::name(&hook, &group), KEY.hash_one((&hook, &group)));
        Self { hook, group, name, hash }
    }
}

impl Hash for SlotId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

#[derive(Default)]
struct Inner {
    loaded: bool,
    slots: HashMap<Arc<SlotId>, Slot>,
    hooks: HashMap<HookId, Hook>,
    retries: BTreeSet<(Timestamp, Arc<SlotId>)>,
    /// Slots that differ from what is stored.
    dirty: HashSet<Arc<SlotId>>,
    /// Those that are being stored, whether or not that will succeed.
    storing: Arc<HashSet<Arc<SlotId>>>,
    /// Sentences for the record.
    tell: Vec<(HookId, News)>,
    /// The server ends: what is under way is waited for, and nothing is begun.
    stopping: bool,
}

impl Inner {
    /// When the next try is due, and whether there is something to store: what [`run`] waits by.
    fn waits(&self) -> (Option<Timestamp>, bool) {
        (self.retries.first().map(|(at, _)| *at), !self.dirty.is_empty() || !self.tell.is_empty())
    }
}

/// What the record is told of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
enum News {
    /// It does not take what it is told, and why.
    Failed(String),
    Recovered,
    /// So many alerts of a group are over for too long to tell it still.
    GaveUp(usize),
}

#[derive(Default)]
struct Slot {
    ledger: Ledger,
    state: SlotState,
    tries: u32,
    /// All that it is owed is to be stored: it did not take it when it was told, or some of it has ended before it did.
    lasts: bool,
    /// Nobody hurries it: the receiver said when to come back, or refused it for good.
    asked: bool,
    /// Alerts in one message, since it refused one with more as too large.
    most: Option<usize>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum SlotState {
    /// Nothing is owed.
    #[default]
    Idle,
    Queued,
    Sending,
    /// It was refused and waits for its next try.
    Waiting,
}

#[derive(Default)]
struct Hook {
    /// Tasks that post to it.
    tasks: usize,
    queue: VecDeque<Arc<SlotId>>,
    failing_since: Option<Timestamp>,
    /// The record has it that something was given up since then.
    gave_up: bool,
}

/// Groups were looked at: what is owed is queued.
pub(super) fn flushed(app: &App, routing: &Routing, mut flushes: Vec<Flush>, now: Timestamp) {
    freshen(app, &mut flushes);
    let mut wanted = BTreeSet::new();
    let mut inner = app.alerts.webhooks.inner.lock();
    let Inner { slots, hooks, dirty, .. } = &mut *inner;
    for flush in &flushes {
        let webhooks = routing.receivers.get(&flush.receiver).map_or(&[][..], |r| &r.webhook_configs);
        for (i, spec) in webhooks.iter().enumerate() {
            let id = SlotId::new((flush.receiver.clone(), i), flush.group.clone());
            let (id, mut slot) = slots.remove_entry(&id).unwrap_or_else(|| (Arc::new(id), Slot::default()));
            let before = slot.ledger.lasting(slot.lasts);
            let owes = slot.ledger.flush(flush, spec.send_resolved, now);
            if slot.ledger.lasting(slot.lasts) != before {
                dirty.insert(id.clone());
            }
            if owes && slot.state == SlotState::Idle {
                slot.state = SlotState::Queued;
                if !wanted.contains(&id.hook) {
                    wanted.insert(id.hook.clone());
                    hooks.entry(id.hook.clone()).or_default();
                }
                if let Some(hook) = hooks.get_mut(&id.hook) {
                    hook.queue.push_back(id.clone());
                }
            }
            if slot.state != SlotState::Idle || !slot.ledger.is_blank() {
                slots.insert(id, slot);
            }
        }
    }
    drop(inner);
    for hook in wanted {
        deliver::start(app, &hook);
    }
    app.alerts.webhooks.news.notify_one();
}

/// Puts in what has moved since the alerts went through the pipeline: annotations, and starts that senders corrected.
fn freshen(app: &App, flushes: &mut [Flush]) {
    let received = app.alerts.received.lock();
    let mut ours: Option<HashMap<Fingerprint, Alert>> = None;
    for one in flushes.iter_mut().flat_map(|f| &mut f.alerts).filter(|a| a.known.ended.is_none()) {
        if let Some(said) = received.get(&one.fingerprint.text()) {
            if one.known.starts_at != said.starts_at || one.known.annotations != said.alert.annotations {
                let known = Arc::make_mut(&mut one.known);
                known.starts_at = said.starts_at;
                known.annotations.clone_from(&said.alert.annotations);
            }
            let explained = Some(&said.generator_url).filter(|url| !url.is_empty());
            if explained.is_some() && one.known.generator_url.as_ref() != explained {
                Arc::make_mut(&mut one.known).generator_url = explained.cloned();
            }
            continue;
        }
        let ours = ours.get_or_insert_with(|| of_rules(app));
        if let Some(alert) = ours.get(&one.fingerprint)
            && one.known.annotations != alert.annotations
        {
            Arc::make_mut(&mut one.known).annotations.clone_from(&alert.annotations);
        }
    }
}

fn of_rules(app: &App) -> HashMap<Fingerprint, Alert> {
    let groups = app.alerts.groups.read().clone();
    let mut out = HashMap::new();
    for running in groups {
        let status = running.status.lock();
        let active = status.rules.iter().flat_map(|r| r.state.active.values());
        out.extend(active.filter_map(|a| Some((Fingerprint::parse(&a.fingerprint)?, a.clone()))));
    }
    out
}

/// After the routing changed: forgets what groups that are no more were told, unless something is still owed.
pub(super) fn forget_gone(app: &App, state: &PipelineState) {
    let mut inner = app.alerts.webhooks.inner.lock();
    let Inner { slots, dirty, .. } = &mut *inner;
    slots.retain(|id, slot| {
        let kept = slot.ledger.owed.is_some() || state.groups.contains_key(&id.group);
        if !kept {
            dirty.insert(id.clone());
        }
        kept
    });
    drop(inner);
    app.alerts.webhooks.news.notify_one();
}

/// As it was stored, an alert that is over. One that waits for its `for` again has been over since it does, at the latest.
fn ended(known: Known, alert: &Alert) -> Option<Known> {
    use tenfold_alerting::pipeline::HowEnded;
    let waits = (alert.state == AlertState::Pending).then_some(alert.active_since);
    let at = alert.resolved_at.or(waits)?;
    let how = if alert.no_data_since.is_some() { HowEnded::Expired } else { HowEnded::Resolved };
    Some(Known { ended: Some((at, how)), ..known })
}
