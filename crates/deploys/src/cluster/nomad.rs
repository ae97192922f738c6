//! Jobs of Nomad: reading a job, its newest deployment and allocations, and the bodies of what is written.
//!
//! Source: Nomad's HTTP API as `hashicorp/nomad-openapi` describes it (`v1/openapi.yaml`): `Job`, `Deployment`,
//! `AllocationListStub`, `JobRegisterRequest`, `JobPlanResponse`, `DeploymentPromoteRequest`, `DeploymentPauseRequest`,
//! `JobRevertRequest`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{PODS_MAX, Pause, Phase, Pod, PodState, Release, Seen, mark, plain, standing};
use crate::manifest::Digest;

/// Keys of a job's `Meta`.
const RELEASE: &str = "tenfold.release";
const EPOCH: &str = "tenfold.epoch";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// `GROUP/TASK` and its image, of tasks that have one.
fn images(job: &Value) -> BTreeMap<String, String> {
    let tasks = list(&job["TaskGroups"]).flat_map(|group| list(&group["Tasks"]).map(move |task| (group, task)));
    let pair = |(group, task): (&Value, &Value)| {
        let image = task["Config"]["image"].as_str()?;
        Some((format!("{}/{}", text(&group["Name"]), text(&task["Name"])), image.to_owned()))
    };
    tasks.filter_map(pair).collect()
}

fn standing_of(job: &Value) -> super::Standing {
    standing(job["Meta"][RELEASE].as_str(), &images(job))
}

fn has_canary(job: &Value) -> bool {
    list(&job["TaskGroups"]).any(|group| int(&group["Update"]["Canary"]) > 0)
}

/// What stands in the cluster, from the job, the newest deployment of this very version, all its allocations and the
/// versions that are kept.
pub fn seen(job: Option<&Value>, deployment: Option<&Value>, allocs: &[Value], versions: &[Value]) -> Seen {
    let Some(job) = job.filter(|job| job["Stop"] != true) else {
        return Seen {
            release: None,
            stable: None,
            epoch: job.map_or(0, |job| text(&job["Meta"][EPOCH]).parse().unwrap_or(0)),
            phase: Phase::Done,
            pause: Pause::None,
            places: 1,
            reached: 0,
            can_abort: false,
            said: "no such job is registered".to_owned(),
            pods: Vec::new(),
            order: 0,
            version: job.map_or(0, |job| int(&job["JobModifyIndex"])).to_string(),
        };
    };
    let version = int(&job["Version"]);
    let places = if has_canary(job) { 2 } else { 1 };
    let own = deployment
        .filter(|d| int(&d["JobVersion"]) == version && int(&d["JobCreateIndex"]) == int(&job["CreateIndex"]));
    let pods: Vec<Pod> = allocs.iter().take(PODS_MAX).filter_map(|a| pod(a, version)).collect();
    let (phase, reached, said) = match own {
        Some(deployment) => of_deployment(deployment),
        None => without(job, &pods),
    };
    let indexes = [Some(job), own].into_iter().flatten().chain(allocs).map(|v| int(&v["ModifyIndex"]));
    let order = u64::try_from(indexes.max().unwrap_or(0)).unwrap_or(0);
    let before = versions.iter().filter(|v| int(&v["Version"]) < version && v["Stable"] == true);
    let stable = before.max_by_key(|v| int(&v["Version"])).map(|v| standing_of(v).digest);
    Seen {
        release: Some(standing_of(job)),
        stable: stable.filter(|_| phase != Phase::Done),
        epoch: text(&job["Meta"][EPOCH]).parse().unwrap_or(0),
        can_abort: own.is_some() && matches!(phase, Phase::Moving | Phase::Paused),
        phase,
        pause: if own.is_some_and(|d| text(&d["Status"]) == "paused") { Pause::Somebody } else { Pause::None },
        places,
        reached,
        said,
        pods,
        order,
        version: int(&job["JobModifyIndex"]).to_string(),
    }
}

/// Of the first snapshot that shows what was answered so.
pub fn order(answer: &Value) -> u64 {
    let indexes = ["JobModifyIndex", "DeploymentModifyIndex"].map(|key| int(&answer[key]));
    u64::try_from(indexes.into_iter().max().unwrap_or(0)).unwrap_or(0)
}

fn of_deployment(deployment: &Value) -> (Phase, usize, String) {
    let groups: Vec<&Value> = deployment["TaskGroups"].as_object().into_iter().flat_map(|g| g.values()).collect();
    let sum = |key: &str| groups.iter().map(|g| int(&g[key])).sum::<i64>();
    let (healthy, total) = (sum("HealthyAllocs"), sum("DesiredTotal"));
    let said =
        format!("{healthy} of {total} allocations are healthy; {}", plain(text(&deployment["StatusDescription"])));
    let open: Vec<&&Value> =
        groups.iter().filter(|g| int(&g["DesiredCanaries"]) > 0 && g["Promoted"] != true).collect();
    let healthy_canaries = open.iter().all(|g| int(&g["HealthyAllocs"]) >= int(&g["DesiredCanaries"]));
    let reached = usize::from(healthy_canaries && sum("DesiredCanaries") > 0);
    match text(&deployment["Status"]) {
        "successful" => (Phase::Done, usize::MAX, said),
        "failed" | "cancelled" => {
            let why = format!(
                "its deployment is {}: {}",
                text(&deployment["Status"]),
                plain(text(&deployment["StatusDescription"]))
            );
            (Phase::Failed { why }, usize::from(sum("DesiredCanaries") > 0), said)
        }
        "paused" => (Phase::Moving, reached, format!("it is paused; {said}")),
        _ if !open.is_empty() && healthy_canaries => (Phase::Paused, reached, said),
        _ => (Phase::Moving, reached, said),
    }
}

/// Jobs without an `update` block have no deployments; they are done when every allocation runs.
fn without(job: &Value, pods: &[Pod]) -> (Phase, usize, String) {
    let total: i64 = list(&job["TaskGroups"]).map(|g| g["Count"].as_i64().unwrap_or(1)).sum();
    let running = i64::try_from(pods.iter().filter(|p| p.is_new && p.state == PodState::Ready).count()).unwrap_or(0);
    let said = format!("{running} of {total} allocations run");
    if total > 0 && running >= total { (Phase::Done, usize::MAX, said) } else { (Phase::Moving, 0, said) }
}

fn pod(alloc: &Value, version: i64) -> Option<Pod> {
    let name = alloc["ID"].as_str()?.to_owned();
    let is_new = int(&alloc["JobVersion"]) == version;
    if text(&alloc["DesiredStatus"]) != "run" {
        return (text(&alloc["ClientStatus"]) == "running").then(|| Pod {
            name,
            is_new,
            state: PodState::Leaving,
            said: "is ending".to_owned(),
        });
    }
    let healthy = &alloc["DeploymentStatus"]["Healthy"];
    let tasks = alloc["TaskStates"].as_object().into_iter().flat_map(|t| t.values());
    let event = tasks.filter_map(|t| list(&t["Events"]).last()).map(|e| plain(text(&e["DisplayMessage"]))).next_back();
    let said = event.unwrap_or_else(|| plain(text(&alloc["ClientDescription"])));
    let state = match text(&alloc["ClientStatus"]) {
        "running" if *healthy == false => PodState::Failed,
        "running" if *healthy == true || alloc["DeploymentStatus"].is_null() => PodState::Ready,
        "running" => PodState::Starting,
        "pending" => PodState::Waiting,
        _ => PodState::Failed,
    };
    Some(Pod { name, is_new, state, said: format!("{} {said}", text(&alloc["ClientStatus"])).trim().to_owned() })
}

/// The job as it is to be registered: the one that stands there with new images, or the parsed job file.
pub fn job(
    current: Option<&Value>,
    parsed: Option<&Value>,
    release: &Release,
    epoch: i64,
    id: &str,
) -> Result<Value, String> {
    let mut job = match (parsed, current) {
        (Some(parsed), _) => parsed.clone(),
        (None, Some(current)) => current.clone(),
        (None, None) => return Err("no such job is registered, and the target names no `file` to register".to_owned()),
    };
    if text(&job["ID"]) != id {
        return Err(format!("the job file is of the job `{}`, and the target names `{id}`", plain(text(&job["ID"]))));
    }
    for (task, image) in &release.images {
        let (group, name) = task.split_once('/').unwrap_or(("", task));
        let groups = job["TaskGroups"].as_array_mut().into_iter().flatten();
        let tasks = groups.filter(|g| g["Name"] == group).filter_map(|g| g["Tasks"].as_array_mut()).flatten();
        let Some(found) = tasks.into_iter().find(|t| t["Name"] == name) else {
            return Err(format!("it has no task `{task}`"));
        };
        if found["Config"]["image"].is_null() {
            return Err(format!("the task `{task}` has no image: its driver is {}", plain(text(&found["Driver"]))));
        }
        found["Config"]["image"] = image.as_str().into();
    }
    if let Some(auto) = list(&job["TaskGroups"]).find(|g| g["Update"]["AutoPromote"] == true) {
        return Err(format!(
            "the group `{}` promotes its canaries by itself; set auto_promote = false, since the judge decides here",
            plain(text(&auto["Name"]))
        ));
    }
    if !job["Meta"].is_object() {
        job["Meta"] = json!({});
    }
    let images = images(&job);
    job["Meta"][RELEASE] = mark(release, &images).into();
    job["Meta"][EPOCH] = epoch.to_string().into();
    job["Stop"] = false.into();
    Ok(job)
}

pub fn register_body(job: Value, version: &str) -> Value {
    json!({"Job": job, "EnforceIndex": true, "JobModifyIndex": version.parse::<i64>().unwrap_or(0)})
}

pub fn plan_body(job: Value) -> Value {
    json!({"Job": job, "Diff": false})
}

/// Why the scheduler could not place it; nothing when it could.
pub fn plan_refusal(plan: &Value) -> Option<String> {
    let failed = plan["FailedTGAllocs"].as_object().filter(|f| !f.is_empty())?;
    let why = |(group, why): (&String, &Value)| {
        let reasons = ["ConstraintFiltered", "DimensionExhausted"].map(|key| {
            why[key]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(n, v)| format!("{n} on {v} nodes"))
                .collect::<Vec<_>>()
                .join(", ")
        });
        let reasons = reasons.join(" ").trim().to_owned();
        let nodes = int(&why["NodesEvaluated"]);
        format!("{group}: {}", if reasons.is_empty() { format!("no node of {nodes} takes it") } else { reasons })
    };
    let words: Vec<String> = failed.iter().map(why).collect();
    Some(plain(&format!("the cluster cannot place it: {}", words.join("; "))))
}

/// The newest kept version with this release.
pub fn version_of(versions: &[Value], digest: Digest) -> Option<i64> {
    versions.iter().filter(|v| standing_of(v).digest == digest).map(|v| int(&v["Version"])).max()
}

pub fn pause_body(deployment: &str, paused: bool) -> Value {
    json!({"DeploymentID": deployment, "Pause": paused})
}

pub fn revert_body(id: &str, to: i64, from: i64) -> Value {
    json!({"JobID": id, "JobVersion": to, "EnforcePriorVersion": from})
}
