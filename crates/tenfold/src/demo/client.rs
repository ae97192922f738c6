//! The demo talks to the server as people do: over its API, each person with a session of their own.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

const ANSWER_MS_MAX: u64 = 10_000;

/// One person's session. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    cookie: String,
}

impl Client {
    /// Without a session: for setup, and for asking whether the server stands.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_millis(ANSWER_MS_MAX)).build()?;
        Ok(Self { http, base: base.trim_end_matches('/').to_string(), cookie: String::new() })
    }

    /// Sets the first person up with the one-time token that the server printed, and signs them in.
    pub async fn setup(&self, body: Value) -> anyhow::Result<Self> {
        self.sign_in_at("/api/setup", body).await
    }

    pub async fn sign_in(&self, login: &str, password: &str) -> anyhow::Result<Self> {
        self.sign_in_at("/api/session", serde_json::json!({"login": login, "password": password})).await
    }

    async fn sign_in_at(&self, path: &str, body: Value) -> anyhow::Result<Self> {
        let response = self.request(reqwest::Method::POST, path).json(&body).send().await?;
        let cookie = response
            .headers()
            .get(reqwest::header::SET_COOKIE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(ToString::to_string);
        answer(path, response).await?;
        let cookie = cookie.with_context(|| format!("{path} answered without a session"))?;
        Ok(Self { cookie, ..self.clone() })
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        answer(path, self.request(reqwest::Method::GET, path).send().await?).await
    }

    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        answer(path, self.request(reqwest::Method::POST, path).json(&body).send().await?).await
    }

    pub async fn put(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        answer(path, self.request(reqwest::Method::PUT, path).json(&body).send().await?).await
    }

    /// Whether the server is ready to serve.
    pub async fn is_ready(&self) -> bool {
        let request = self.request(reqwest::Method::GET, "/readyz").timeout(Duration::from_secs(1));
        request.send().await.is_ok_and(|response| response.status().is_success())
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base)).header("origin", &self.base);
        if self.cookie.is_empty() { request } else { request.header("cookie", &self.cookie) }
    }
}

async fn answer(path: &str, response: reqwest::Response) -> anyhow::Result<Value> {
    let status = response.status();
    let text = response.text().await?;
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if !status.is_success() {
        let message = body["error"]["message"].as_str().unwrap_or(&text);
        bail!("{path}: {status}: {message}");
    }
    Ok(body)
}
