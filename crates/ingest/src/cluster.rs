//! The cluster that answers queries when `metrics.engine` is `remote`: anything that speaks Prometheus' HTTP API.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use futures_util::StreamExt;
use reqwest::StatusCode;
use serde_json::{Value as Json, json};
use tenfold_app::metrics::{AnswerMemory, Cluster, ClusterAnswer};
use tenfold_app::settings::Remote;
use tenfold_httpkit::body::{BodyError, whole};
use tenfold_httpkit::outgoing::{Client, plain};
use tenfold_types::{ErrorCode, Fault};

use crate::outgoing::{client, headers, leads_to, shown};

/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Memory that a byte of an answer takes: itself, and its part of the tree that is read of it.
const PARSED_TIMES: u64 = 5;
/// As many characters of an answer that is not Prometheus' are told.
const TOLD_CHARS: usize = 300;
/// What is said beside an answer that VictoriaMetrics marks as one of some of its stores.
const PARTIAL: &str = "the cluster's answer is partial: some of its stores did not answer";

pub struct HttpCluster {
    client: Client,
    url: String,
    /// The address as it is told.
    shown: String,
    headers: BTreeMap<String, String>,
    token_file: PathBuf,
    parameters: BTreeMap<String, String>,
}

/// A parameter that may stand several times is known with `[]` and without.
fn bare(name: &str) -> &str {
    name.strip_suffix("[]").unwrap_or(name)
}

/// What a gateway before the cluster, or a cluster that asks for a tenant, says in a line of its own; nothing of a page.
fn said(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(8 * TOLD_CHARS)]);
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TOLD_CHARS).collect();
    (!line.is_empty() && !line.starts_with('<')).then_some(line)
}

impl HttpCluster {
    pub fn new(settings: &Remote) -> Result<Self, String> {
        let url = settings.url.trim_end_matches('/').to_owned();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let shown = shown(&url);
            return Err(format!("metrics.remote.url: `{shown}` is no address; write it like http://127.0.0.1:8428"));
        }
        let client = client(&settings.http_config, &settings.token_file).map_err(|e| format!("metrics.remote: {e}"))?;
        // Said at the start rather than at the first question.
        headers(&settings.headers, &settings.token_file)?;
        Ok(Self {
            client,
            shown: shown(&url),
            url,
            headers: settings.headers.clone(),
            token_file: settings.token_file.clone(),
            parameters: settings.parameters.clone(),
        })
    }

    /// Whether the settings say what a parameter is: whoever asks does not add to it.
    fn sets(&self, name: &str) -> bool {
        self.parameters.keys().any(|set| bare(set) == bare(name))
    }

    /// The answer to a form, whatever its status.
    async fn asked(&self, path: &str, form: String) -> Result<reqwest::Response, String> {
        let http = self.client.http().await?;
        // Made anew each time: tokens are changed in their files.
        let mut headers = headers(&self.headers, &self.token_file)?;
        self.client.headers(&mut headers).await?;
        // Values of labels and metadata are only given to those who ask by address.
        let by_address = path.contains("/label/") || path.ends_with("/metadata");
        let request = if by_address {
            http.usual.get(format!("{}{path}?{form}", self.url))
        } else {
            let request = http.usual.post(format!("{}{path}", self.url));
            request.header("content-type", "application/x-www-form-urlencoded").body(form)
        };
        let response = http.send(request.headers(headers)).await?;
        self.client.answered(response.status()).await;
        Ok(response)
    }
}

#[async_trait]
impl Cluster for HttpCluster {
    async fn ask(
        &self,
        path: &str,
        parameters: &[(String, String)],
        mut memory: AnswerMemory,
    ) -> Result<ClusterAnswer, Fault> {
        let away = |why: String| Fault::unavailable(format!("the cluster at {} does not answer: {why}", self.shown));
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters.iter().filter(|(name, _)| !self.sets(name)))
            .extend_pairs(&self.parameters)
            .finish();
        let response = self.asked(path, form).await.map_err(away)?;
        let status = response.status();
        if let Some(to) = leads_to(&response) {
            return Err(Fault::unavailable(format!("the cluster at {} redirects to {to}", self.shown))
                .advice("an operator sets that address as metrics.remote.url"));
        }
        // So Prometheus answers who asks for exemplars with an expression that is about no series.
        if status == StatusCode::NO_CONTENT {
            return Ok(ClusterAnswer { json: json!({"status": "success", "data": []}), memory });
        }
        // Held before it is kept: what many long answers take together is bounded.
        let held = response.bytes_stream().map(|chunk| {
            let chunk = chunk.map_err(|e: reqwest::Error| away(plain(&e)))?;
            memory.take(chunk.len() as u64 * PARSED_TIMES)?;
            Ok::<_, Fault>(chunk)
        });
        let body = whole(held, ANSWER_BYTES_MAX).await.map_err(|e| match e {
            BodyError::Broken(fault) => fault,
            BodyError::TooLarge => {
                Fault::invalid(format!("the cluster's answer is larger than {ANSWER_BYTES_MAX} bytes"))
                    .advice("ask for less time, fewer series or a larger step")
            }
        })?;
        // Megabytes of text: not on a thread that serves connections.
        let read = move || {
            let answer = serde_json::from_slice::<Json>(&body).unwrap_or_default();
            let said = if answer["status"].is_string() { None } else { said(&body) };
            (answer, said, memory)
        };
        let read = tokio::task::spawn_blocking(read).await.map_err(|e| Fault::internal(e.to_string()))?;
        let (mut answer, said, memory) = read;
        if answer["status"] == "success" {
            if answer["isPartial"] == true {
                match answer["warnings"].as_array_mut() {
                    Some(others) => others.push(PARTIAL.into()),
                    None => answer["warnings"] = json!([PARTIAL]),
                }
            }
            return Ok(ClusterAnswer { json: answer, memory });
        }
        let other = || {
            let what = format!("the cluster at {} answered {status} and no answer of Prometheus", self.shown);
            match said {
                Some(said) => format!("{what}: {said}"),
                None => what,
            }
        };
        let message = answer["error"].as_str().map_or_else(other, str::to_owned);
        let code = match (answer["errorType"].as_str(), status.as_u16()) {
            (Some("bad_data"), _) | (None, 400) => ErrorCode::BadRequest,
            // VictoriaMetrics names its kinds by the status.
            (Some("execution" | "422"), _) => ErrorCode::Invalid,
            (Some("400"), _) => ErrorCode::BadRequest,
            (Some("timeout" | "canceled"), _) => ErrorCode::Timeout,
            (_, 422) => ErrorCode::Invalid,
            (_, 429) => ErrorCode::TooMany,
            _ => ErrorCode::Unavailable,
        };
        Err(Fault::new(code, message))
    }
}
