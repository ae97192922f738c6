//! The calls to a Kubernetes API server: the thing itself, its ReplicaSets and pods, each followed by list and watch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use tenfold_deploys::cluster::kubernetes::{self as core, FIELD_MANAGER, Kind, Patch};
use tenfold_deploys::cluster::watch::{self, Effect, Event, LINE_BYTES_MAX, OBJECTS_MAX, Watch};
use tenfold_deploys::cluster::{Change, Refusal, Release, Seen};
use tenfold_deploys::pipeline;
use tenfold_types::Clock;
use tokio::sync::{Notify, mpsc};

use super::call::{Access, Call, Lines};
use super::{Cluster, not_others};

/// How long the server lets a watch go on before it has to be asked again.
const WATCH_S: u32 = 240;
/// Changes within this time are told as one.
const TOGETHER: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);

pub(super) struct Kubernetes {
    access: Arc<Access>,
    kind: Kind,
    namespace: String,
    name: String,
    epoch: i64,
    clock: Arc<dyn Clock>,
}

/// What is followed.
#[derive(Clone, Copy)]
enum What {
    Thing,
    Sets,
    Pods,
}

/// The three lists as they were last known.
#[derive(Default)]
struct Known {
    lists: [Option<BTreeMap<String, Value>>; 3],
    away: [Option<String>; 3],
}

impl Kubernetes {
    pub fn new(access: Arc<Access>, target: &pipeline::Kubernetes, epoch: i64, clock: Arc<dyn Clock>) -> Self {
        let kind = if target.rollout.is_some() { Kind::Rollout } else { Kind::Deployment };
        let name = target.rollout.clone().or_else(|| target.deployment.clone()).unwrap_or_default();
        Self { access, kind, namespace: target.namespace.clone(), name, epoch, clock }
    }

    /// Group, version and plural.
    const fn resource(&self, what: What) -> (&'static str, &'static str, &'static str) {
        match what {
            What::Thing => (self.kind.group(), self.kind.version(), self.kind.plural()),
            What::Sets => ("apps", "v1", "replicasets"),
            What::Pods => ("", "v1", "pods"),
        }
    }

    fn path(&self, what: What, rest: &str) -> String {
        let (group, version, plural) = self.resource(what);
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        format!("{root}/namespaces/{}/{plural}{rest}", self.namespace)
    }

    fn right(&self, verb: &str, what: What, sub: &str) -> String {
        let (group, _, plural) = self.resource(what);
        let dot = if group.is_empty() { "" } else { "." };
        format!(
            "{verb} {plural}{sub}{dot}{group} in the namespace {}: its role lacks apiGroups [\"{group}\"], resources \
             [\"{plural}{sub}\"], verbs [\"{verb}\"]",
            self.namespace
        )
    }

    async fn thing(&self) -> Result<Value, Refusal> {
        let path = self.path(What::Thing, &format!("/{}", self.name));
        let call = Call { method: Method::GET, path, body: None, right: self.right("get", What::Thing, "") };
        self.access.json(call).await
    }

    async fn list(&self, what: What, selector: &str) -> Result<(String, BTreeMap<String, Value>), Refusal> {
        let path = self.path(what, &format!("?{}&limit={OBJECTS_MAX}", query(what, selector)));
        let call = Call { method: Method::GET, path, body: None, right: self.right("list", what, "") };
        let body = self.access.bytes(call).await?;
        watch::list(&body).map_err(|error| Refusal::Final { error })
    }

    /// The thing as it is then.
    async fn patch(&self, patch: &Patch, dry: bool) -> Result<Value, Refusal> {
        let sub = if patch.on_status { "/status" } else { "" };
        let dry = if dry { "&dryRun=All" } else { "" };
        let path = self.path(What::Thing, &format!("/{}{sub}?fieldManager={FIELD_MANAGER}{dry}", self.name));
        let right = self.right("patch", What::Thing, sub);
        let call = Call { method: Method::PATCH, path, body: Some((patch.content_type, &patch.body)), right };
        self.access.json(call).await
    }

    async fn sets(&self, thing: &Value) -> Result<Vec<Value>, Refusal> {
        let selector = core::selector(thing).map_err(|error| Refusal::Final { error })?;
        Ok(self.list(What::Sets, &selector).await?.1.into_values().collect())
    }

    /// Follows one list; the calls are here, what comes next is said by the pure machine.
    async fn follow_list(&self, what: What, selector: &str, known: &Mutex<Known>, changed: &Notify) {
        let mut open: Option<Lines> = None;
        let (mut state, mut effects) = watch::step(Watch::default(), watch::Input::Start, self.clock.now());
        loop {
            let mut input = None;
            for effect in std::mem::take(&mut effects) {
                match effect {
                    Effect::List => input = Some(self.ask_list(what, selector).await),
                    Effect::Watch { from } => match self.open(what, selector, &from).await {
                        Ok(lines) => open = Some(lines),
                        Err(failed) => input = Some(failed),
                    },
                    Effect::Close => open = None,
                    Effect::Changed => {
                        let mut known = known.lock();
                        known.lists[what as usize] = Some(state.objects.clone());
                        known.away[what as usize] = None;
                        changed.notify_one();
                    }
                    Effect::Away { error } => {
                        known.lock().away[what as usize] = Some(error);
                        changed.notify_one();
                    }
                }
            }
            let input = match (input, state.next_wake(), &mut open) {
                (Some(input), ..) => input,
                (None, Some(at), _) => {
                    open = None;
                    let ms = at.since_ms(self.clock.now()).clamp(0, 60_000);
                    tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
                    watch::Input::Tick
                }
                (None, None, Some(lines)) => next(lines).await,
                // cannot be: a machine that neither waits nor watches has asked for something
                (None, None, None) => watch::Input::Failed { error: "the watch was lost".to_owned(), expired: true },
            };
            (state, effects) = watch::step(state, input, self.clock.now());
        }
    }

    async fn ask_list(&self, what: What, selector: &str) -> watch::Input {
        match self.list(what, selector).await {
            Ok((version, objects)) => watch::Input::Listed { version, objects },
            Err(refusal) => watch::Input::Failed { error: words(refusal), expired: true },
        }
    }

    async fn open(&self, what: What, selector: &str, from: &str) -> Result<Lines, watch::Input> {
        let query = format!(
            "?{}&watch=true&allowWatchBookmarks=true&resourceVersion={from}&timeoutSeconds={WATCH_S}",
            query(what, selector)
        );
        let call = Call {
            method: Method::GET,
            path: self.path(what, &query),
            body: None,
            right: self.right("watch", what, ""),
        };
        self.access.lines(call).await.map_err(|refusal| {
            let error = words(refusal);
            watch::Input::Failed { expired: error.contains("410"), error }
        })
    }

    fn snapshot(&self, known: &Known) -> Option<Result<Seen, String>> {
        if let Some(error) = known.away.iter().flatten().next() {
            return Some(Err(error.clone()));
        }
        let [Some(things), Some(sets), Some(pods)] = &known.lists else { return None };
        let Some(thing) = things.get(&self.name) else { return Some(Err("it does not exist".to_owned())) };
        let all = |list: &BTreeMap<String, Value>| list.values().cloned().collect::<Vec<_>>();
        Some(Ok(core::seen(self.kind, Some(thing), &all(sets), &all(pods))))
    }
}

fn query(what: What, selector: &str) -> String {
    let key = if matches!(what, What::Thing) { "fieldSelector" } else { "labelSelector" };
    let escaped: String = selector
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("{key}={escaped}")
}

async fn next(lines: &mut Lines) -> watch::Input {
    match lines.next(LINE_BYTES_MAX).await {
        Ok(None) => watch::Input::Ended,
        Err(error) => watch::Input::Failed { error, expired: false },
        Ok(Some(line)) => match watch::event(&line) {
            Ok(event) => watch::Input::Event(event),
            Err(said) => watch::Input::Event(Event::Error { said }),
        },
    }
}

fn words(refusal: Refusal) -> String {
    match refusal {
        Refusal::Conflict => "it changes at this moment".to_owned(),
        Refusal::Passing { error, .. } | Refusal::Final { error } => error,
    }
}

#[async_trait]
impl Cluster for Kubernetes {
    async fn look(&self) -> Result<Seen, Refusal> {
        let thing = self.thing().await?;
        let selector = core::selector(&thing).map_err(|error| Refusal::Final { error })?;
        let sets: Vec<Value> = self.list(What::Sets, &selector).await?.1.into_values().collect();
        let pods: Vec<Value> = self.list(What::Pods, &selector).await?.1.into_values().collect();
        Ok(core::seen(self.kind, Some(&thing), &sets, &pods))
    }

    async fn follow(&self, out: mpsc::Sender<Result<Seen, String>>) {
        let mut pause = Duration::from_millis(500);
        let selector = loop {
            let found = self.thing().await.map_err(words).and_then(|thing| core::selector(&thing));
            match found {
                Ok(selector) => break selector,
                Err(error) => {
                    if out.send(Err(error)).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        };
        let own = format!("metadata.name={}", self.name);
        let (known, changed) = (Mutex::new(Known::default()), Notify::new());
        let tell = async {
            let mut last = None;
            loop {
                changed.notified().await;
                tokio::time::sleep(TOGETHER).await;
                let snapshot = self.snapshot(&known.lock());
                let Some(snapshot) = snapshot.filter(|snapshot| last.as_ref() != Some(snapshot)) else { continue };
                last = Some(snapshot.clone());
                if out.send(snapshot).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = tell => {}
            () = self.follow_list(What::Thing, &own, &known, &changed) => {}
            () = self.follow_list(What::Sets, &selector, &known, &changed) => {}
            () = self.follow_list(What::Pods, &selector, &known, &changed) => {}
        }
    }

    async fn check(&self, release: &Release) -> Result<String, Refusal> {
        let thing = self.thing().await?;
        let version = thing["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let seen = core::seen(self.kind, Some(&thing), &[], &[]);
        not_others(seen.epoch, self.epoch, "the annotation tenfold.dev/epoch")?;
        let patch =
            core::set(self.kind, &thing, release, self.epoch, version).map_err(|error| Refusal::Final { error })?;
        self.patch(&patch, true).await?;
        if self.kind == Kind::Rollout {
            // going on and aborting are written there, and rights on it are given apart
            let nothing =
                Patch { body: json!({"status": {}}), on_status: true, content_type: "application/merge-patch+json" };
            self.patch(&nothing, true).await?;
        }
        // what the way back reads
        self.sets(&thing).await?;
        Ok(format!("the cluster would take it ({} {}/{}, dry run)", self.kind.plural(), self.namespace, self.name))
    }

    async fn write(&self, change: &Change, version: &str) -> Result<u64, Refusal> {
        let thing = self.thing().await?;
        let seen = core::seen(self.kind, Some(&thing), &[], &[]);
        // a step is passed only as it was seen; everything else is right on any newer state that nobody else took over
        if seen.epoch > self.epoch || (*change == Change::Promote && seen.version != version) {
            return Err(Refusal::Conflict);
        }
        let template = match change {
            Change::Undo { digest } => core::revision(self.kind, &thing, &self.sets(&thing).await?, *digest),
            _ => None,
        };
        let made = |version: &str| {
            let patch = core::change(self.kind, change, &thing, template.clone(), self.epoch, version);
            patch.map_err(|error| Refusal::Final { error })
        };
        let mut patch = made(&seen.version)?;
        if patch.on_status && seen.epoch < self.epoch {
            // whoever was here before learns of it by the next write it tries
            let stamped = self.patch(&core::stamp(self.epoch, &seen.version), false).await?;
            patch = made(stamped["metadata"]["resourceVersion"].as_str().unwrap_or_default())?;
        }
        let written = self.patch(&patch, false).await;
        written.map(|thing| core::order(&thing)).map_err(|refusal| match refusal {
            // how a `test` that does not fit is answered
            Refusal::Final { error } if matches!(change, Change::Undo { .. }) && error.contains("answered 422") => {
                Refusal::Conflict
            }
            other => other,
        })
    }
}
