//! Tells GitHub, GitLab, Gitea and Forgejo how deploys go, in their own APIs. Redirects are not followed, so a token goes
//! nowhere but to the address that is set. CDEvents go to their sinks from here as well.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tenfold_app::forges::ports::{
    DeployState, DeployStatus, ForgeAccount, ForgeClient, ForgeError, Remote, SinkAccount,
};
use tenfold_httpkit::body::{BodyError, whole};
use tenfold_httpkit::outgoing;
use tenfold_protocols::forge::Forge;
use tenfold_types::Clock;

use crate::{chain, path::segment, signature};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;

pub struct Forges {
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl Forges {
    /// The clock is for signatures, and for instants at which somebody asks to be called again.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let client = crate::client(TIMEOUT)?;
        Ok(Self { client, clock })
    }

    async fn call(
        &self,
        account: &ForgeAccount,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ForgeError> {
        let failed = |permanent, retry_after_ms, message| ForgeError { permanent, retry_after_ms, message };
        let request = self.client.request(method, format!("{}{path}", account.api));
        let request = match account.kind {
            Forge::Github => request
                .bearer_auth(&account.token)
                .header("accept", "application/vnd.github+json")
                .header("x-github-api-version", "2022-11-28"),
            Forge::Gitlab => request.header("private-token", &account.token),
            Forge::Gitea => request.header("authorization", format!("token {}", account.token)),
        };
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let sent = request.send().await.map_err(|e| failed(false, None, chain(&e.without_url())))?;
        let status = sent.status();
        let retry_after_ms = outgoing::retry_after_ms(sent.headers(), self.clock.now());
        // GitHub answers 403 when its limit on requests is reached, and says when to come again
        let limited = status == StatusCode::TOO_MANY_REQUESTS
            || (status == StatusCode::FORBIDDEN
                && (retry_after_ms.is_some()
                    || sent.headers().get("x-ratelimit-remaining").is_some_and(|left| left == "0")));
        let answer = read(sent).await.map_err(|e| failed(false, None, e))?;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|_| {
                failed(false, None, format!("{} answered with something else than JSON", account.kind.name()))
            });
        }
        let passing = limited || status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
        let said = serde_json::from_slice::<Value>(&answer).ok();
        let said = said.as_ref().and_then(|v| v["message"].as_str()).unwrap_or_default();
        let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
        let colon = if said.is_empty() { "" } else { ": " };
        let message = format!("{} answered {status}{colon}{said}", account.kind.name());
        Err(failed(!passing, retry_after_ms, message))
    }

    /// A deployment of GitHub's, made once for each deploy, and its newest status; and a status of the commit. What runs no
    /// more is said by us: GitHub's own `auto_inactive` goes by the environment's name, in which two services of one
    /// repository would end each other's deployments, and leaves production out.
    async fn github(
        &self,
        account: &ForgeAccount,
        status: &DeployStatus,
        remote: &Remote,
    ) -> Result<Option<String>, ForgeError> {
        let base = format!("/repos/{}", path(&status.repository));
        let id = match &remote.number {
            Some(id) => id.clone(),
            None => self.deployment(account, status, &base).await?,
        };
        let state = match status.state {
            DeployState::Queued => "queued",
            DeployState::Running => "in_progress",
            DeployState::Succeeded => "success",
            DeployState::Failed => "failure",
            DeployState::Stopped => "error",
        };
        let body = json!({
            "state": state, "log_url": status.url, "description": status.description, "auto_inactive": false,
        });
        self.call(account, Method::POST, &format!("{base}/deployments/{id}/statuses"), Some(&body)).await?;
        if status.state == DeployState::Succeeded {
            let own = remote.replaced.then_some(&id);
            for gone in remote.before.iter().chain(own) {
                self.inactive(account, &format!("{base}/deployments/{gone}/statuses"), &status.url).await?;
            }
        }
        let state = match status.state {
            DeployState::Queued | DeployState::Running => "pending",
            other => word(other),
        };
        let body = json!({
            "state": state, "target_url": status.url, "description": status.description, "context": context(status),
        });
        self.call(account, Method::POST, &format!("{base}/statuses/{}", status.sha), Some(&body)).await?;
        Ok(Some(id))
    }

    /// Says of a deployment that its release runs no more. One that GitHub does not have, or not in this repository, needs
    /// no word.
    async fn inactive(&self, account: &ForgeAccount, path: &str, url: &str) -> Result<(), ForgeError> {
        let body = json!({
            "state": "inactive", "log_url": url, "description": "another deploy took its place", "auto_inactive": false,
        });
        match self.call(account, Method::POST, path, Some(&body)).await {
            Err(error) if error.permanent => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The deployment that was made for this deploy, or a new one. A server that was killed between making it and keeping
    /// its number finds it by what it carries.
    async fn deployment(
        &self,
        account: &ForgeAccount,
        status: &DeployStatus,
        base: &str,
    ) -> Result<String, ForgeError> {
        let number = |v: &Value| v["id"].as_i64().map(|id| id.to_string());
        let query = format!("{base}/deployments?sha={}&environment={}", status.sha, segment(&status.environment));
        let known = self.call(account, Method::GET, &query, None).await?;
        let ours = |v: &&Value| v["payload"]["tenfold_deploy"].as_i64() == Some(status.deploy);
        if let Some(id) = known.as_array().and_then(|all| all.iter().find(ours)).and_then(number) {
            return Ok(id);
        }
        let body = json!({
            "ref": status.sha, "task": "deploy", "auto_merge": false, "required_contexts": [],
            "environment": status.environment, "production_environment": status.environment == "production",
            "description": status.description, "payload": {"tenfold_deploy": status.deploy, "service": status.service},
        });
        let made = self.call(account, Method::POST, &format!("{base}/deployments"), Some(&body)).await?;
        number(&made).ok_or_else(|| ForgeError {
            permanent: false,
            retry_after_ms: None,
            message: "GitHub made a deployment without a number".to_owned(),
        })
    }

    async fn gitlab(&self, account: &ForgeAccount, status: &DeployStatus) -> Result<(), ForgeError> {
        let state = match status.state {
            DeployState::Queued => "pending",
            DeployState::Running => "running",
            DeployState::Succeeded => "success",
            DeployState::Failed => "failed",
            DeployState::Stopped => "canceled",
        };
        let body = json!({
            "state": state, "name": context(status), "target_url": status.url, "description": status.description,
        });
        let path = format!("/projects/{}/statuses/{}", segment(&status.repository), status.sha);
        match self.call(account, Method::POST, &path, Some(&body)).await {
            // told before: GitLab refuses to go from a state to the same state
            Err(error) if error.message.contains("Cannot transition status") => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn gitea(&self, account: &ForgeAccount, status: &DeployStatus) -> Result<(), ForgeError> {
        let state = match status.state {
            DeployState::Queued | DeployState::Running => "pending",
            other => word(other),
        };
        let body = json!({
            "state": state, "context": context(status), "target_url": status.url, "description": status.description,
        });
        let path = format!("/repos/{}/statuses/{}", path(&status.repository), status.sha);
        self.call(account, Method::POST, &path, Some(&body)).await.map(|_| ())
    }
}

#[async_trait]
impl ForgeClient for Forges {
    async fn tell(
        &self,
        account: &ForgeAccount,
        status: &DeployStatus,
        remote: &Remote,
    ) -> Result<Option<String>, ForgeError> {
        match account.kind {
            Forge::Github => self.github(account, status, remote).await,
            Forge::Gitlab => self.gitlab(account, status).await.map(|()| None),
            Forge::Gitea => self.gitea(account, status).await.map(|()| None),
        }
    }

    async fn event(&self, to: &SinkAccount, key: &str, body: &str) -> Result<(), ForgeError> {
        let failed = |permanent, retry_after_ms, message| ForgeError { permanent, retry_after_ms, message };
        let mut request = self
            .client
            .post(&to.url)
            .header("content-type", "application/cloudevents+json")
            .header("idempotency-key", key)
            .body(body.to_owned());
        if let Some(token) = &to.token {
            request = request.bearer_auth(token);
        }
        if let Some(secret) = &to.secret {
            let seconds = self.clock.now().millis() / 1_000;
            request = request
                .header("webhook-id", key)
                .header("webhook-timestamp", seconds.to_string())
                .header("webhook-signature", signature(secret, key, seconds, body));
        }
        let answer = request.send().await.map_err(|e| failed(false, None, chain(&e.without_url())))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let retry_after_ms = outgoing::retry_after_ms(answer.headers(), self.clock.now());
        let passing = status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY);
        Err(failed(!passing, retry_after_ms, format!("the sink {} answered {status}", to.name)))
    }
}

/// An end, in the words that GitHub and Gitea share.
const fn word(state: DeployState) -> &'static str {
    match state {
        DeployState::Succeeded => "success",
        DeployState::Stopped => "error",
        DeployState::Failed | DeployState::Queued | DeployState::Running => "failure",
    }
}

fn context(status: &DeployStatus) -> String {
    format!("tenfold/{}/{}", status.service, status.environment)
}

fn path(text: &str) -> String {
    text.split('/').map(segment).collect::<Vec<_>>().join("/")
}

async fn read(answer: reqwest::Response) -> Result<Vec<u8>, String> {
    whole(answer.bytes_stream(), ANSWER_BYTES_MAX).await.map_err(|e| match e {
        BodyError::Broken(e) => chain(&e.without_url()),
        BodyError::TooLarge => format!("its answer is larger than {ANSWER_BYTES_MAX} bytes"),
    })
}
