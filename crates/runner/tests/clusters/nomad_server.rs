//! A Nomad for tests: jobs, versions, deployments and allocations that move on as Nomad's do. Each request and each answer is
//! held against `nomad_fields.json`: names and types of the fields that are used, as `hashicorp/nomad-openapi` has them
//! (`v1/openapi.yaml` at 91c4cd1; a test compares the two where that file is at hand). `Variables` of `/v1/jobs/parse` is
//! younger than that file; it is in Nomad's own Go client (`api/jobs.go`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub type Fields = BTreeMap<String, BTreeMap<String, String>>;

pub fn fields() -> Fields {
    serde_json::from_str(include_str!("nomad_fields.json")).unwrap()
}

/// Every field of a value is known and has its type.
fn fits(fields: &Fields, kind: &str, value: &Value, at: &str) -> Result<(), String> {
    let wrong = || Err(format!("{at} is no {kind}: {value}"));
    if value.is_null() || kind == "any" {
        return Ok(());
    }
    if let Some(kind) = kind.strip_prefix('[').and_then(|k| k.strip_suffix(']')) {
        let Some(items) = value.as_array() else { return wrong() };
        return items.iter().try_for_each(|item| fits(fields, kind, item, at));
    }
    if let Some(kind) = kind.strip_prefix('{').and_then(|k| k.strip_suffix('}')) {
        let Some(items) = value.as_object() else { return wrong() };
        return items.iter().try_for_each(|(name, item)| fits(fields, kind, item, &format!("{at}.{name}")));
    }
    let good = match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        _ => {
            let known = fields.get(kind).unwrap_or_else(|| panic!("no fields of {kind}"));
            let Some(object) = value.as_object() else { return wrong() };
            return object.iter().try_for_each(|(name, value)| match known.get(name) {
                Some(kind) => fits(fields, kind, value, &format!("{at}.{name}")),
                None => Err(format!("{at} has no field {name} in Nomad's API")),
            });
        }
    };
    if good { Ok(()) } else { wrong() }
}

#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub token: String,
    pub body: Value,
}

#[derive(Default)]
pub struct Nomad {
    pub job: Option<Value>,
    pub versions: Vec<Value>,
    pub deployment: Option<Value>,
    allocs: Vec<Value>,
    index: i64,
    ticks: u32,
    pub log: Vec<Asked>,
    /// Time does not pass.
    pub still: bool,
    /// What is wrong with what was asked or answered.
    pub broken: Vec<String>,
    /// The next calls of these paths are answered so.
    pub faults: Vec<(&'static str, u16, &'static str)>,
    /// What `plan` says of groups that cannot be placed.
    pub unplaced: Value,
}

pub type Shared = Arc<Mutex<Nomad>>;

pub fn job(image: &str, canary: i64) -> Value {
    json!({
        "ID": "photos", "Name": "photos", "Namespace": "default", "Type": "service", "Datacenters": ["dc1"], "Priority": 50,
        "TaskGroups": [{"Name": "web", "Count": 3,
            "Update": {"Canary": canary, "AutoPromote": false, "AutoRevert": false, "MaxParallel": 1},
            "Tasks": [{"Name": "server", "Driver": "docker", "Config": {"image": image, "ports": ["http"]}}]}],
    })
}

impl Nomad {
    fn next(&mut self) -> i64 {
        self.index += 1;
        self.index
    }

    pub fn register(&mut self, mut job: Value) {
        let (index, version) = (self.next(), self.versions.len());
        let created = self.job.as_ref().map_or(index, |job| job["CreateIndex"].as_i64().unwrap());
        for (name, value) in [
            ("Version", json!(version)),
            ("JobModifyIndex", json!(index)),
            ("ModifyIndex", json!(index)),
            ("CreateIndex", json!(created)),
            ("Stable", json!(false)),
            ("Stop", json!(false)),
            ("Status", json!("running")),
        ] {
            job[name] = value;
        }
        let group = &job["TaskGroups"][0];
        // the first version of a job has nothing to be a canary beside
        let canaries = if self.versions.is_empty() { json!(0) } else { group["Update"]["Canary"].clone() };
        self.deployment = Some(json!({
            "ID": format!("0b31c2d4-{version}"), "JobID": "photos", "Namespace": "default", "JobVersion": version,
            "JobCreateIndex": created, "JobModifyIndex": index, "Status": "running", "StatusDescription": "Deployment is running",
            "TaskGroups": {"web": {"DesiredCanaries": canaries, "DesiredTotal": group["Count"], "HealthyAllocs": 0,
                "UnhealthyAllocs": 0, "PlacedAllocs": 0, "PlacedCanaries": [], "Promoted": false, "AutoRevert": false}},
            "CreateIndex": index, "ModifyIndex": index,
        }));
        self.versions.push(job.clone());
        self.job = Some(job);
        self.ticks = 0;
    }

    /// Time passes: one more allocation gets healthy, or the deadline does.
    pub fn tick(&mut self) {
        if self.still {
            return;
        }
        let Some(job) = self.job.clone().filter(|job| job["Stop"] != true) else { return };
        let Some(mut deployment) = self.deployment.clone().filter(|d| d["Status"] == "running") else { return };
        self.ticks += 1;
        let broken = job["TaskGroups"][0]["Tasks"][0]["Config"]["image"].as_str().unwrap().contains("broken");
        let group = &mut deployment["TaskGroups"]["web"];
        let [healthy, total, canaries] =
            ["HealthyAllocs", "DesiredTotal", "DesiredCanaries"].map(|name| group[name].as_i64().unwrap());
        let limit = if canaries > 0 && group["Promoted"] == false { canaries } else { total };
        let placed = (healthy + 1).min(limit);
        group["PlacedAllocs"] = placed.into();
        if broken {
            group["UnhealthyAllocs"] = 1.into();
        } else {
            group["HealthyAllocs"] = placed.into();
        }
        let done = !broken && placed == total && limit == total;
        if done {
            deployment["Status"] = "successful".into();
            deployment["StatusDescription"] = "Deployment completed successfully".into();
            self.job.as_mut().unwrap()["Stable"] = true.into();
            self.versions.last_mut().unwrap()["Stable"] = true.into();
        } else if broken && self.ticks > 8 {
            deployment["Status"] = "failed".into();
            deployment["StatusDescription"] = "Failed due to progress deadline".into();
        }
        if Some(&deployment) == self.deployment.as_ref() {
            return;
        }
        let index = self.next();
        deployment["ModifyIndex"] = index.into();
        let version = job["Version"].clone();
        self.allocs.retain(|a| a["JobVersion"] != version);
        let old = usize::try_from(total - if canaries > 0 && limit < total { 0 } else { placed }).unwrap();
        self.allocs.truncate(old);
        for i in 0..placed {
            let said = if broken { "Failed to pull image" } else { "Task started by client" };
            self.allocs.push(json!({
                "ID": format!("a110c-{version}-{i}"), "JobID": "photos", "JobVersion": version, "Name": format!("photos.web[{i}]"),
                "TaskGroup": "web", "ClientStatus": if broken { "failed" } else { "running" }, "ClientDescription": "",
                "DesiredStatus": "run", "DeploymentStatus": {"Healthy": !broken, "Canary": limit < total},
                "TaskStates": {"server": {"State": "running", "Events": [{"Type": "x", "DisplayMessage": said}]}},
                "CreateIndex": index, "ModifyIndex": index,
            }));
        }
        self.deployment = Some(deployment);
    }

    fn answer(&mut self, asked: &Asked) -> (StatusCode, &'static str, Value) {
        let fields = fields();
        if let Some(at) = self.faults.iter().position(|(path, ..)| asked.path == *path) {
            let (_, status, said) = self.faults.remove(at);
            return (StatusCode::from_u16(status).unwrap(), "error", said.into());
        }
        let not_found = (StatusCode::NOT_FOUND, "error", json!("job not found"));
        let takes = |kind: &str, body: &Value| fits(&fields, kind, body, kind);
        let (request, (kind, answer)) = match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/v1/job/photos") => match &self.job {
                Some(job) => (Ok(()), ("Job", job.clone())),
                None => return not_found,
            },
            ("GET", "/v1/job/photos/allocations") => (Ok(()), ("[AllocationListStub]", json!(self.allocs))),
            ("GET", "/v1/job/photos/deployment") => (Ok(()), ("Deployment", json!(self.deployment))),
            ("GET", "/v1/job/photos/deployments") => {
                (Ok(()), ("[Deployment]", json!(self.deployment.iter().collect::<Vec<_>>())))
            }
            ("GET", "/v1/job/photos/versions") => (Ok(()), ("JobVersionsResponse", json!({"Versions": self.versions}))),
            ("POST", "/v1/job/photos/plan") => {
                let index = self.job.as_ref().map_or(json!(0), |job| job["JobModifyIndex"].clone());
                let plan = json!({"FailedTGAllocs": self.unplaced, "JobModifyIndex": index, "Warnings": ""});
                (takes("JobPlanRequest", &asked.body), ("JobPlanResponse", plan))
            }
            ("POST", "/v1/jobs/parse") => {
                let mut own = asked.body.clone();
                let variables = own.as_object_mut().unwrap().remove("Variables").unwrap();
                let image = variables.as_str().unwrap().split('"').nth(1).unwrap().to_owned();
                (takes("JobsParseRequest", &own), ("Job", job(&image, 1)))
            }
            ("POST", "/v1/jobs") => {
                let index = self.job.as_ref().map_or(0, |job| job["JobModifyIndex"].as_i64().unwrap());
                if asked.body["EnforceIndex"] != true || asked.body["JobModifyIndex"] != index {
                    let said = "Enforcing job modify index: job exists with conflicting job modify index";
                    return (StatusCode::INTERNAL_SERVER_ERROR, "error", said.into());
                }
                self.register(asked.body["Job"].clone());
                (
                    takes("JobRegisterRequest", &asked.body),
                    ("JobRegisterResponse", json!({"EvalID": "e", "JobModifyIndex": self.index})),
                )
            }
            ("POST", "/v1/job/photos/revert") => {
                let to = usize::try_from(asked.body["JobVersion"].as_i64().unwrap()).unwrap();
                if asked.body["EnforcePriorVersion"] != self.job.as_ref().unwrap()["Version"] {
                    return (
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "error",
                        "Current job has version 9; enforcing version".into(),
                    );
                }
                self.register(self.versions[to].clone());
                (
                    takes("JobRevertRequest", &asked.body),
                    ("JobRegisterResponse", json!({"EvalID": "e", "JobModifyIndex": self.index})),
                )
            }
            ("POST", path) if path.starts_with("/v1/deployment/") => {
                let index = self.next();
                let deployment = self.deployment.as_mut().unwrap();
                let (_, id) = path.rsplit_once('/').unwrap();
                assert_eq!(deployment["ID"], id);
                deployment["ModifyIndex"] = index.into();
                let is_promote = path.contains("/promote/");
                let is_pause = path.contains("/pause/");
                if is_pause {
                    let paused = asked.body["Pause"] == true;
                    deployment["Status"] = if paused { "paused" } else { "running" }.into();
                    deployment["StatusDescription"] = if paused { "Deployment is paused" } else { "" }.into();
                } else if is_promote {
                    assert_eq!(deployment["TaskGroups"]["web"]["Promoted"], false, "promoted twice");
                    deployment["TaskGroups"]["web"]["Promoted"] = true.into();
                } else {
                    deployment["Status"] = "failed".into();
                    deployment["StatusDescription"] = "Deployment marked as failed".into();
                }
                let taken = match (is_promote, is_pause) {
                    (true, _) => takes("DeploymentPromoteRequest", &asked.body),
                    (_, true) => takes("DeploymentPauseRequest", &asked.body),
                    _ => Ok(()),
                };
                (taken, ("DeploymentUpdateResponse", json!({"EvalID": "e", "DeploymentModifyIndex": index})))
            }
            ("DELETE", "/v1/job/photos") => {
                let index = self.next();
                let job = self.job.as_mut().unwrap();
                (job["Stop"], job["JobModifyIndex"]) = (true.into(), index.into());
                (Ok(()), ("JobDeregisterResponse", json!({"EvalID": "e", "JobModifyIndex": index})))
            }
            _ => return (StatusCode::METHOD_NOT_ALLOWED, "error", json!("Invalid method")),
        };
        if let Err(why) = request.and_then(|()| fits(&fields, kind, &answer, kind)) {
            self.broken.push(format!("{} {}: {why}", asked.method, asked.path));
        }
        (StatusCode::OK, kind, answer)
    }
}

/// Its address. It ends with the test's runtime.
pub async fn start(shared: &Shared) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer).with_state(shared.clone());
    tokio::spawn(tenfold_http::server::serve(listener, router, CancellationToken::new()));
    let ticking = shared.clone();
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tick.tick().await;
            ticking.lock().await.tick();
        }
    });
    url
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let query = uri.query().unwrap_or_default().to_owned();
    let parameter =
        |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
    // a blocking query: until something is newer than the index, or the time is over
    if let Some(index) = parameter("index").and_then(|index| index.parse::<i64>().ok()).filter(|index| *index > 0) {
        let newer = async {
            while shared.lock().await.index <= index {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(5), newer).await;
    }
    let mut nomad = shared.lock().await;
    let token = headers.get("x-nomad-token").map(|t| t.to_str().unwrap().to_owned()).unwrap_or_default();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let asked = Asked { method, path: uri.path().to_owned(), query, token, body };
    nomad.log.push(asked.clone());
    let (status, kind, answer) = nomad.answer(&asked);
    let index = nomad.index.to_string();
    let text = if kind == "error" { answer.as_str().unwrap_or_default().to_owned() } else { answer.to_string() };
    (status, [("x-nomad-index", index)], text).into_response()
}
