//! The calls to Nomad: plan and register with the check index, blocking queries on deployments, promote, fail, revert.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use tenfold_deploys::cluster::{Change, Refusal, Release, Seen, nomad as core};
use tenfold_deploys::pipeline;
use tokio::sync::mpsc;

use super::call::{Access, Call};
use super::{Cluster, not_others};

/// How long a blocking query waits for a change; allocations may change without their deployment, so not for long.
const WAIT_S: u64 = 5;
const ANSWER: Duration = Duration::from_secs(WAIT_S + 15);
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// An index that never moves would be asked again and again without a pause.
const TURN_MIN: Duration = Duration::from_millis(200);

pub(super) struct Nomad {
    access: Arc<Access>,
    namespace: String,
    job: String,
    epoch: i64,
}

impl Nomad {
    pub fn new(access: Arc<Access>, target: &pipeline::Nomad, epoch: i64) -> Self {
        Self { access, namespace: target.namespace.clone(), job: target.job.clone(), epoch }
    }

    fn call<'a>(&self, method: Method, path: &str, body: Option<&'a Value>, capability: &str) -> Call<'a> {
        let and = if path.contains('?') { '&' } else { '?' };
        Call {
            method,
            path: format!("/v1{path}{and}namespace={}", self.namespace),
            body: body.map(|body| ("application/json", body)),
            right: format!(
                "{capability} in the namespace {}: its ACL policy lacks capabilities = [\"{capability}\"]",
                self.namespace
            ),
        }
    }

    async fn get(&self, rest: &str) -> Result<Value, Refusal> {
        self.access.json(self.call(Method::GET, &format!("/job/{}{rest}", self.job), None, "read-job")).await
    }

    async fn post(&self, path: &str, body: &Value, capability: &str) -> Result<Value, Refusal> {
        self.access.json(self.call(Method::POST, path, Some(body), capability)).await
    }

    /// The job, or nothing where none is registered.
    async fn job(&self) -> Result<Option<Value>, Refusal> {
        match self.get("").await {
            Ok(job) => Ok(Some(job)),
            Err(Refusal::Final { error }) if error.contains("(404)") => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn versions(&self) -> Result<Vec<Value>, Refusal> {
        let mut answer = self.get("/versions").await?;
        Ok(match answer["Versions"].take() {
            Value::Array(versions) => versions,
            _ => Vec::new(),
        })
    }

    /// The job as it is to be registered.
    async fn made(&self, current: Option<&Value>, release: &Release) -> Result<Value, Refusal> {
        let last = |error: String| Refusal::Final { error };
        let parsed = match &release.job {
            None => None,
            Some(file) if file.is_json => {
                let job: Value =
                    serde_json::from_str(&file.text).map_err(|e| last(format!("the job file is not JSON: {e}")))?;
                // as `nomad job run -output` prints it, or the job alone
                Some(job.get("Job").cloned().unwrap_or(job))
            }
            Some(file) => {
                let mut variables = String::new();
                for (name, value) in &file.variables {
                    let _ = writeln!(variables, "{name} = {}", quoted(value));
                }
                let body = json!({"JobHCL": file.text, "Canonicalize": true, "Variables": variables});
                Some(self.post("/jobs/parse", &body, "parse-job").await?)
            }
        };
        core::job(current, parsed.as_ref(), release, self.epoch, &self.job).map_err(last)
    }

    async fn plan(&self, job: &Value) -> Result<(), Refusal> {
        let plan = self.post(&format!("/job/{}/plan", self.job), &core::plan_body(job.clone()), "submit-job").await?;
        core::plan_refusal(&plan).map_or(Ok(()), |error| Err(Refusal::Final { error }))
    }

    /// The ID of the deployment of the job's version.
    async fn deployment(&self, job: &Value) -> Result<String, Refusal> {
        let deployment = self.get("/deployment").await?;
        let id = deployment["ID"].as_str().filter(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        let id = id.filter(|_| deployment["JobVersion"] == job["Version"]);
        id.map(str::to_owned).ok_or(Refusal::Conflict)
    }
}

/// A string of HCL, with nothing in it that HCL would fill in.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${").replace("%{", "%%{");
    format!("\"{escaped}\"")
}

#[async_trait]
impl Cluster for Nomad {
    async fn look(&self) -> Result<Seen, Refusal> {
        let Some(job) = self.job().await? else { return Ok(core::seen(None, None, &[], &[])) };
        // in this order: what is placed has its deployment already
        let allocs = self.get("/allocations?all=false").await?;
        let deployment = self.get("/deployment").await?;
        let versions = self.versions().await?;
        let allocs = allocs.as_array().map_or(&[][..], Vec::as_slice);
        Ok(core::seen(Some(&job), Some(&deployment).filter(|d| d.is_object()), allocs, &versions))
    }

    async fn follow(&self, out: mpsc::Sender<Result<Seen, String>>) {
        let (mut index, mut pause, mut last) = (0_u64, PAUSE_MIN, None);
        loop {
            let snapshot = self.look().await.map_err(|refusal| match refusal {
                Refusal::Conflict => "it changes at this moment".to_owned(),
                Refusal::Passing { error, .. } | Refusal::Final { error } => error,
            });
            let failed = snapshot.is_err();
            if last.as_ref() != Some(&snapshot) {
                last = Some(snapshot.clone());
                if out.send(snapshot).await.is_err() {
                    return;
                }
            }
            if failed {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            }
            pause = PAUSE_MIN;
            let path = format!("/job/{}/deployments?index={index}&wait={WAIT_S}s", self.job);
            let call = self.call(Method::GET, &path, None, "read-job");
            let (answer, ()) = tokio::join!(self.access.bytes_within(call, ANSWER), tokio::time::sleep(TURN_MIN));
            let next =
                answer.ok().and_then(|(_, headers)| headers.get("x-nomad-index")?.to_str().ok()?.parse::<u64>().ok());
            // an index that goes back is that of another leader: begin anew
            index = next.filter(|next| *next >= index).unwrap_or(0);
        }
    }

    async fn check(&self, release: &Release) -> Result<String, Refusal> {
        let job = self.job().await?;
        let seen = core::seen(job.as_ref(), None, &[], &[]);
        not_others(seen.epoch, self.epoch, "tenfold.epoch from the job's Meta")?;
        let made = self.made(job.as_ref(), release).await?;
        self.plan(&made).await?;
        Ok(format!("the cluster would take it (job {}/{}, plan)", self.namespace, self.job))
    }

    async fn write(&self, change: &Change, version: &str) -> Result<u64, Refusal> {
        let job = self.job().await?;
        let seen = core::seen(job.as_ref(), None, &[], &[]);
        if seen.epoch > self.epoch || seen.version != version {
            return Err(Refusal::Conflict);
        }
        if let Change::Set(release) = change {
            let made = self.made(job.as_ref().filter(|job| job["Stop"] != true), release).await?;
            self.plan(&made).await?;
            let body = core::register_body(made, version);
            return Ok(core::order(&self.post("/jobs", &body, "submit-job").await?));
        }
        let Some(job) = job else { return Err(Refusal::Final { error: "no such job is registered".to_owned() }) };
        let answer = match change {
            Change::Promote | Change::Finish => {
                let id = self.deployment(&job).await?;
                let body = json!({"DeploymentID": id, "All": true});
                self.post(&format!("/deployment/promote/{id}"), &body, "submit-job").await
            }
            Change::Pause | Change::Resume => {
                let id = self.deployment(&job).await?;
                let body = core::pause_body(&id, *change == Change::Pause);
                self.post(&format!("/deployment/pause/{id}"), &body, "submit-job").await
            }
            Change::Abort => {
                let id = self.deployment(&job).await?;
                self.post(&format!("/deployment/fail/{id}"), &json!({}), "submit-job").await
            }
            Change::Undo { digest } => {
                let from = job["Version"].as_i64().unwrap_or(0);
                let to = core::version_of(&self.versions().await?, *digest).ok_or_else(|| Refusal::Final {
                    error: format!("no version with the release {} is left in the cluster", digest.short()),
                })?;
                let body = core::revert_body(&self.job, to, from);
                self.post(&format!("/job/{}/revert", self.job), &body, "submit-job").await
            }
            Change::Remove => {
                let call = self.call(Method::DELETE, &format!("/job/{}", self.job), None, "submit-job");
                self.access.json(call).await
            }
            Change::Set(_) | Change::Retry => Err(Refusal::Final { error: "a job is not tried again".to_owned() }),
        };
        Ok(core::order(&answer?))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn nothing_is_filled_in_by_hcl() {
        assert_eq!(quoted(r#"a"b\${x}%{y}"#), r#""a\"b\\$${x}%%{y}""#);
    }
}
