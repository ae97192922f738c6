//! Deployments (`apps/v1`) and Argo Rollouts (`argoproj.io/v1alpha1`): reading them and their pods, and the patches.
//!
//! Sources: `kubectl rollout status` and `undo` for Deployments; `kubectl argo rollouts promote`, `abort`, `retry` and `undo`
//! for Rollouts, whose patches are the same here. Every patch carries `metadata.resourceVersion`, so one that was decided on
//! an older state is refused by the API server with 409.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Change, PODS_MAX, Pause, Phase, Pod, PodState, Release, Seen, mark, plain, standing};
use crate::manifest::Digest;
use crate::pipeline::OURS;

/// Who the fields belong to that we set.
pub const FIELD_MANAGER: &str = "tenfold";
/// Why a container that waits will hardly get ready by itself.
const HOPELESS: [&str; 7] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Deployment,
    Rollout,
}

impl Kind {
    pub const fn group(self) -> &'static str {
        match self {
            Self::Deployment => "apps",
            Self::Rollout => "argoproj.io",
        }
    }
    pub const fn version(self) -> &'static str {
        match self {
            Self::Deployment => "v1",
            Self::Rollout => "v1alpha1",
        }
    }
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::Rollout => "rollouts",
        }
    }
    /// The label that names a pod's ReplicaSet.
    pub const fn hash_label(self) -> &'static str {
        match self {
            Self::Deployment => "pod-template-hash",
            Self::Rollout => "rollouts-pod-template-hash",
        }
    }
    const fn revision(self) -> &'static str {
        match self {
            Self::Deployment => "deployment.kubernetes.io/revision",
            Self::Rollout => "rollout.argoproj.io/revision",
        }
    }
}

fn key(name: &str) -> String {
    format!("{OURS}{name}")
}

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// The containers of a pod template with their images.
fn images(template: &Value) -> BTreeMap<String, String> {
    let containers = template["spec"]["containers"].as_array().into_iter().flatten();
    let pair = |c: &Value| Some((c["name"].as_str()?.to_owned(), c["image"].as_str().unwrap_or_default().to_owned()));
    containers.filter_map(pair).collect()
}

fn standing_of(template: &Value) -> super::Standing {
    standing(template["metadata"]["annotations"][key("release")].as_str(), &images(template))
}

/// Labels that select the pods, as a query has them; an error where the selector is more than labels.
pub fn selector(object: &Value) -> Result<String, String> {
    let selector = &object["spec"]["selector"];
    let some = |v: &Value| v.as_array().is_some_and(|a| !a.is_empty());
    if some(&selector["matchExpressions"]) {
        return Err("its selector has matchExpressions, which are not understood here; use matchLabels".to_owned());
    }
    let labels = selector["matchLabels"].as_object().filter(|l| !l.is_empty());
    let labels = labels.ok_or_else(|| "its selector has no matchLabels".to_owned())?;
    Ok(labels.iter().map(|(n, v)| format!("{n}={}", v.as_str().unwrap_or_default())).collect::<Vec<_>>().join(","))
}

fn is_owned(object: &Value, by: &Value) -> bool {
    let uid = &by["metadata"]["uid"];
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.is_some_and(|owners| owners.iter().any(|o| o["controller"] == true && o["uid"] == *uid && !uid.is_null()))
}

/// The ReplicaSets of a Deployment or Rollout.
fn own_sets<'a>(object: &'a Value, sets: &'a [Value]) -> impl Iterator<Item = &'a Value> {
    sets.iter().filter(|set| is_owned(set, object))
}

/// What stands in the cluster, from the thing itself, the ReplicaSets and the pods that its selector selects.
pub fn seen(kind: Kind, object: Option<&Value>, sets: &[Value], pods: &[Value]) -> Seen {
    let Some(object) = object else {
        return Seen {
            release: None,
            stable: None,
            epoch: 0,
            phase: Phase::Done,
            pause: Pause::None,
            places: 1,
            reached: 0,
            can_abort: false,
            said: "it does not exist".to_owned(),
            pods: Vec::new(),
            order: 0,
            version: String::new(),
        };
    };
    let template = &object["spec"]["template"];
    let way = match kind {
        Kind::Deployment => deployment(object),
        Kind::Rollout => rollout(object, sets),
    };
    let current = current_hash(kind, object, sets);
    let stable = match kind {
        Kind::Rollout => {
            let hash = object["status"]["stableRS"].as_str().filter(|hash| !hash.is_empty());
            let of_hash = |set: &&Value| set["metadata"]["labels"][kind.hash_label()].as_str() == hash;
            let set = hash.and_then(|_| own_sets(object, sets).find(of_hash));
            set.map(|set| standing_of(&set["spec"]["template"]).digest)
        }
        Kind::Deployment => None,
    };
    let pods: Vec<Pod> = pods.iter().take(PODS_MAX).filter_map(|p| pod(kind, p, current.as_deref())).collect();
    Seen {
        release: Some(standing_of(template)),
        stable,
        epoch: object["metadata"]["annotations"][key("epoch")].as_str().and_then(|e| e.parse().ok()).unwrap_or(0),
        phase: way.phase,
        pause: paused(object),
        places: way.places,
        reached: way.reached,
        can_abort: way.can_abort,
        said: way.said,
        pods,
        order: order(object),
        version: object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned(),
    }
}

/// A number for every server so far, and nothing is lost where it is none.
pub fn order(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// The hash of the ReplicaSet that runs the template as it is now.
fn current_hash(kind: Kind, object: &Value, sets: &[Value]) -> Option<String> {
    if kind == Kind::Rollout {
        return object["status"]["currentPodHash"].as_str().map(str::to_owned);
    }
    let wanted = bare(&object["spec"]["template"], kind);
    let set = own_sets(object, sets).find(|set| bare(&set["spec"]["template"], kind) == wanted)?;
    set["metadata"]["labels"][kind.hash_label()].as_str().map(str::to_owned)
}

/// A template without the label that its ReplicaSet adds.
fn bare(template: &Value, kind: Kind) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.shift_remove(kind.hash_label());
    }
    template
}

/// What our last pause or resumption says, and the generation it made.
fn held(object: &Value) -> Option<(bool, i64)> {
    let (word, generation) = object["metadata"]["annotations"][key("held")].as_str()?.split_once('@')?;
    Some((word == "paused", generation.parse().ok()?))
}

/// Our note says that we paused it. Where the API server knows who set the field last, that has to be us as well: somebody may
/// have let it go on by hand since, and have paused it again.
fn paused(object: &Value) -> Pause {
    match held(object) {
        _ if object["spec"]["paused"] != true => Pause::None,
        Some((true, _)) if !is_set_by_another(object) => Pause::Ours,
        _ => Pause::Theirs,
    }
}

/// Whether the API server says who set `spec.paused`, and we are not among them.
fn is_set_by_another(object: &Value) -> bool {
    let all = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let mut setters = all.filter(|m| !m["fieldsV1"]["f:spec"]["f:paused"].is_null()).peekable();
    setters.peek().is_some() && setters.all(|m| m["manager"] != FIELD_MANAGER)
}

fn paused_by(object: &Value) -> &'static str {
    if paused(object) == Pause::Ours { "it is held from here" } else { "it is paused by somebody" }
}

struct Way {
    phase: Phase,
    places: usize,
    reached: usize,
    can_abort: bool,
    said: String,
}

impl Way {
    fn one(phase: Phase, said: String) -> Self {
        let reached = if phase == Phase::Done { usize::MAX } else { 0 };
        Self { phase, places: 1, reached, can_abort: false, said }
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)
}

/// As `kubectl rollout status` reads it.
fn deployment(object: &Value) -> Way {
    let (spec, status) = (&object["spec"], &object["status"]);
    if int(&object["metadata"]["generation"]) > int(&status["observedGeneration"]) {
        return Way::one(Phase::Moving, "the controller has not looked at it yet".to_owned());
    }
    if let Some(late) = condition(object, "Progressing").filter(|c| c["reason"] == "ProgressDeadlineExceeded") {
        let why = format!("its progress deadline is exceeded: {}", plain(late["message"].as_str().unwrap_or_default()));
        return Way::one(Phase::Failed { why: why.clone() }, why);
    }
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let [updated, all, available] = ["updatedReplicas", "replicas", "availableReplicas"].map(|name| int(&status[name]));
    let paused = if spec["paused"] == true { format!("; {}", paused_by(object)) } else { String::new() };
    let said = if updated < wanted {
        format!("{updated} of {wanted} pods are of the new release{paused}")
    } else if all > updated {
        format!("{} old pods are still there", all - updated)
    } else if available < updated {
        format!("{available} of {updated} pods are available")
    } else {
        return Way::one(Phase::Done, format!("{available} of {wanted} pods are available"));
    };
    Way::one(Phase::Moving, said)
}

/// Positions of the steps at which a Rollout waits for somebody: pauses without a duration.
fn pauses(object: &Value) -> Vec<usize> {
    let steps = object["spec"]["strategy"]["canary"]["steps"].as_array();
    let endless =
        |step: &Value| step["pause"].as_object().is_some_and(|p| p.get("duration").is_none_or(Value::is_null));
    steps.into_iter().flatten().enumerate().filter(|(_, step)| endless(step)).map(|(at, _)| at).collect()
}

/// Whether the status of a Rollout is about the release that its template names now.
fn is_of_this_release(object: &Value, sets: &[Value]) -> bool {
    let label = Kind::Rollout.hash_label();
    let hash = &object["status"]["currentPodHash"];
    let set = own_sets(object, sets).find(|set| hash.is_string() && set["metadata"]["labels"][label] == *hash);
    let mark = |of: &Value| of["spec"]["template"]["metadata"]["annotations"][key("release")].clone();
    set.is_some_and(|set| mark(set).is_string() && mark(set) == mark(object))
}

/// By the phase that the controller writes since 1.0, after the same two looks that its own plugin takes.
fn rollout(object: &Value, sets: &[Value]) -> Way {
    let status = &object["status"];
    let pauses = pauses(object);
    let places = pauses.len() + 1;
    let message = plain(status["message"].as_str().unwrap_or_default());
    let observed = status["observedGeneration"].as_str().and_then(|g| g.parse::<i64>().ok());
    let moving = |said: String, reached: usize| Way { phase: Phase::Moving, places, reached, can_abort: true, said };
    let generation = int(&object["metadata"]["generation"]);
    // a pause changes nothing of where it stands
    let only_paused = |g: i64| g + 1 == generation && held(object).is_some_and(|(_, made)| made == generation);
    let is_new = observed.is_some_and(|g| g < generation && !only_paused(g));
    let not_looked_at = || "the controller has not looked at it yet".to_owned();
    if is_new && !is_of_this_release(object, sets) {
        return moving(not_looked_at(), 0);
    }
    let at = status["currentStepIndex"].as_u64().map_or(0, |at| usize::try_from(at).unwrap_or(usize::MAX));
    let is_paused = status["pauseConditions"].as_array().is_some_and(|c| !c.is_empty());
    let here = pauses.contains(&at);
    // the pause that was just ended, before the controller looks at it: the step was reached, and still is
    let is_ending = here && !is_paused && status["controllerPause"] == true;
    let passed = pauses.iter().filter(|pause| **pause < at).count() + usize::from(is_ending);
    if status["abort"] == true {
        return Way { phase: Phase::Aborted, places, reached: 0, can_abort: false, said: message };
    }
    let is_stable = status["stableRS"].as_str().is_some_and(|stable| status["currentPodHash"] == stable);
    if is_new {
        // pauses in a row, another count of pods: what was reached stands, and nothing is decided on it
        let reached = if is_stable { usize::MAX } else { passed + usize::from(here && is_paused) };
        return moving(not_looked_at(), reached);
    }
    match status["phase"].as_str().unwrap_or_default() {
        "Healthy" if is_stable => {
            Way { phase: Phase::Done, places, reached: usize::MAX, can_abort: false, said: "healthy".to_owned() }
        }
        "Degraded" => {
            let why = format!("it is degraded: {message}");
            Way { phase: Phase::Failed { why: why.clone() }, places, reached: passed, can_abort: !is_stable, said: why }
        }
        "Paused" if is_paused => {
            let said = format!("paused at step {} of {}", at + 1, step_count(object));
            let (phase, reached) = if here { (Phase::Paused, passed + 1) } else { (Phase::Moving, passed) };
            Way { phase, places, reached, can_abort: true, said }
        }
        "Paused" => moving(format!("{}: {message}", paused_by(object)), passed),
        _ => moving(if message.is_empty() { "progressing".to_owned() } else { message }, passed),
    }
}

fn step_count(object: &Value) -> usize {
    object["spec"]["strategy"]["canary"]["steps"].as_array().map_or(0, Vec::len)
}

fn pod(kind: Kind, pod: &Value, current: Option<&str>) -> Option<Pod> {
    let name = pod["metadata"]["name"].as_str()?.to_owned();
    let hash = pod["metadata"]["labels"][kind.hash_label()].as_str();
    let is_new = current.is_some() && hash == current;
    let statuses = || pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let waiting = statuses().find_map(|c| {
        let waiting = c["state"]["waiting"].as_object()?;
        let reason = waiting.get("reason").and_then(Value::as_str).unwrap_or("waiting");
        let message = waiting.get("message").and_then(Value::as_str).unwrap_or_default();
        Some((reason.to_owned(), plain(&format!("{}: {reason} {message}", c["name"].as_str().unwrap_or_default()))))
    });
    let restarts: i64 = statuses().map(|c| int(&c["restartCount"])).sum();
    let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
    let ready = condition(pod, "Ready").is_some_and(|c| c["status"] == "True");
    let unscheduled = condition(pod, "PodScheduled").filter(|c| c["status"] == "False");
    let restarted = if restarts > 0 { format!("; restarted {restarts} times") } else { String::new() };
    let (state, said) = if !pod["metadata"]["deletionTimestamp"].is_null() {
        (PodState::Leaving, "is ending".to_owned())
    } else if phase == "Failed" {
        (PodState::Failed, plain(pod["status"]["message"].as_str().unwrap_or("it has failed")))
    } else if let Some((reason, said)) = waiting {
        let state = if HOPELESS.contains(&reason.as_str()) { PodState::Failed } else { PodState::Starting };
        (state, format!("{said}{restarted}"))
    } else if ready {
        (PodState::Ready, format!("ready{restarted}"))
    } else if let Some(why) = unscheduled {
        (PodState::Waiting, plain(&format!("not placed: {}", why["message"].as_str().unwrap_or_default())))
    } else if phase == "Pending" {
        (PodState::Waiting, "is waiting for its node".to_owned())
    } else {
        (PodState::Starting, format!("runs and is not ready{restarted}"))
    };
    Some(Pod { name, is_new, state, said })
}

/// One call that writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    pub content_type: &'static str,
    /// The `/status` of the thing, where Argo keeps what people tell it.
    pub on_status: bool,
    pub body: Value,
}

const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

/// Sets the release. The API server merges containers of a Deployment by name; a Rollout is a custom resource, where a list
/// is replaced, so its containers are sent whole, as they were at the version that the patch carries.
pub fn set(kind: Kind, object: &Value, release: &Release, epoch: i64, version: &str) -> Result<Patch, String> {
    let template = &object["spec"]["template"];
    let known = images(template);
    if let Some(missing) = release.images.keys().find(|name| !known.contains_key(*name)) {
        let has = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(format!("it has no container `{missing}`; it has {has}"));
    }
    if kind == Kind::Rollout && object["spec"]["strategy"]["canary"].is_null() {
        return Err("only Rollouts with the strategy `canary` are understood".to_owned());
    }
    if kind == Kind::Rollout && !object["spec"]["workloadRef"].is_null() {
        return Err("the Rollout has a workloadRef; only one with a template of its own is understood".to_owned());
    }
    let mut all = known;
    all.extend(release.images.iter().map(|(n, i)| (n.clone(), i.clone())));
    let mut annotations: Map<String, Value> =
        release.annotations.iter().map(|(n, v)| (n.clone(), Value::from(v.as_str()))).collect();
    annotations.insert(key("release"), mark(release, &all).into());
    let containers: Vec<Value> = match kind {
        Kind::Deployment => release.images.iter().map(|(name, image)| json!({"name": name, "image": image})).collect(),
        Kind::Rollout => {
            let whole = template["spec"]["containers"].as_array().cloned().unwrap_or_default();
            let with_image = |mut c: Value| {
                if let Some(image) = c["name"].as_str().and_then(|name| release.images.get(name)) {
                    c["image"] = image.as_str().into();
                }
                c
            };
            whole.into_iter().map(with_image).collect()
        }
    };
    Ok(Patch {
        content_type: if kind == Kind::Deployment { STRATEGIC } else { MERGE },
        on_status: false,
        body: json!({
            "metadata": {"resourceVersion": version, "annotations": {key("epoch"): epoch.to_string()}},
            "spec": {"template": {"metadata": {"annotations": annotations}, "spec": {"containers": containers}}},
        }),
    })
}

/// Stops it where it is, or lets it go on, and says that it was us.
fn pause(object: &Value, paused: bool, epoch: i64, version: &str) -> Patch {
    let made = int(&object["metadata"]["generation"]) + 1;
    let held = format!("{}@{made}", if paused { "paused" } else { "resumed" });
    let annotations = json!({key("epoch"): epoch.to_string(), key("held"): held});
    let body =
        json!({"metadata": {"resourceVersion": version, "annotations": annotations}, "spec": {"paused": paused}});
    Patch { content_type: MERGE, on_status: false, body }
}

/// Writes the epoch alone, before what is written where annotations are not.
pub fn stamp(epoch: i64, version: &str) -> Patch {
    let body = json!({"metadata": {"resourceVersion": version, "annotations": {key("epoch"): epoch.to_string()}}});
    Patch { content_type: MERGE, on_status: false, body }
}

/// The template of the newest revision with this release.
pub fn revision(kind: Kind, object: &Value, sets: &[Value], digest: Digest) -> Option<Value> {
    let number = |set: &Value| {
        set["metadata"]["annotations"][kind.revision()].as_str().and_then(|r| r.parse::<i64>().ok()).unwrap_or(0)
    };
    let found = own_sets(object, sets)
        .filter(|set| standing_of(&set["spec"]["template"]).digest == digest)
        .max_by_key(|set| number(set))?;
    Some(bare(&found["spec"]["template"], kind))
}

/// The patch of a change. `template` is what an undo goes back to.
pub fn change(
    kind: Kind,
    change: &Change,
    object: &Value,
    template: Option<Value>,
    epoch: i64,
    version: &str,
) -> Result<Patch, String> {
    let status = |mut status: Value| {
        status["metadata"] = json!({"resourceVersion": version});
        Patch { content_type: MERGE, on_status: true, body: status }
    };
    let is_rollout = kind == Kind::Rollout;
    Ok(match change {
        Change::Set(release) => set(kind, object, release, epoch, version)?,
        Change::Pause | Change::Resume => pause(object, *change == Change::Pause, epoch, version),
        Change::Promote if is_rollout => status(json!({"status": {"pauseConditions": null}})),
        Change::Finish if is_rollout => status(json!({"status": {"promoteFull": true}})),
        Change::Abort if is_rollout => status(json!({"status": {"abort": true}})),
        Change::Retry if is_rollout => status(json!({"status": {"abort": false}})),
        Change::Undo { digest } => {
            let template = template.ok_or_else(|| {
                format!(
                    "no revision with the release {} is left in the cluster; see spec.revisionHistoryLimit",
                    digest.short()
                )
            })?;
            let annotations = object["metadata"]["annotations"].is_object();
            let mark = if annotations {
                json!({"op": "add", "path": "/metadata/annotations/tenfold.dev~1epoch", "value": epoch.to_string()})
            } else {
                json!({"op": "add", "path": "/metadata/annotations", "value": {key("epoch"): epoch.to_string()}})
            };
            Patch {
                content_type: JSON_PATCH,
                on_status: false,
                body: json!([
                    {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                    {"op": "replace", "path": "/spec/template", "value": template},
                    mark,
                ]),
            }
        }
        Change::Remove => return Err("it was there before, so it is not removed".to_owned()),
        Change::Promote | Change::Finish | Change::Abort | Change::Retry => {
            return Err("a Deployment has no steps".to_owned());
        }
    })
}

/// The sentence in an API server's `Status`.
pub fn status_message(body: &[u8]) -> String {
    let status = serde_json::from_slice::<Value>(body).unwrap_or_default();
    plain(status["message"].as_str().unwrap_or_default())
}
