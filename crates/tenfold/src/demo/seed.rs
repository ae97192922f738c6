//! The demo's people and configuration, sent through the API as an admin would.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;

use super::client::Client;
use super::files;
use super::mail::DOMAIN;

/// Everybody's in the demo, which listens on loopback only.
pub const PASSWORD: &str = "demo password";
pub const LOGINS: [&str; 3] = ["ana", "raj", "mei"];
const TOKEN_MS_MAX: u64 = 10_000;
const POLL_MS: u64 = 50;

/// The demo's people, each with a session.
pub struct People {
    pub ana: Client,
    pub raj: Client,
    pub mei: Client,
}

/// The one-time token out of the link that the server printed.
pub async fn setup_token(log: &Path) -> anyhow::Result<String> {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(TOKEN_MS_MAX);
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        if let Some((_, rest)) = text.rsplit_once("/setup?token=")
            && let Some((token, _)) = rest.split_once('\n')
        {
            return Ok(token.trim().to_string());
        }
        if tokio::time::Instant::now() > deadline {
            bail!("the server printed no setup link; its log is {}", log.display());
        }
        tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
    }
}

pub async fn people(visitor: &Client, token: &str) -> anyhow::Result<People> {
    let ana = visitor.setup(json!({"token": token, "login": "ana", "name": "Ana", "password": PASSWORD})).await?;
    for (login, name, kind, role) in [
        ("ana", "Ana", "developer", "admin"),
        ("raj", "Raj", "operator", "admin"),
        ("mei", "Mei", "developer", "deployer"),
    ] {
        let mut person = json!({
            "name": name, "kind": kind, "role": role, "timezone": "UTC", "teams": ["photos"],
            "contact": {"email": format!("{login}@{DOMAIN}")},
        });
        if login == "raj" {
            person["contact"]["irc"] = login.into();
            person["contact"]["rules"] = json!({"critical": [{"channel": "mail"}, {"channel": "irc"}]});
        }
        if login != "ana" {
            person["password"] = PASSWORD.into();
        }
        ana.put(&format!("/api/people/{login}"), person).await.with_context(|| format!("cannot add {login}"))?;
    }
    Ok(People { raj: visitor.sign_in("raj", PASSWORD).await?, mei: visitor.sign_in("mei", PASSWORD).await?, ana })
}

/// Applies demo/config: the service, its rules, its rotation, its escalation, its flag, its dashboard.
pub async fn configure(people: &People, repository: &Path, escalate_after_s: u32) -> anyhow::Result<()> {
    let repository = repository.to_string_lossy();
    let escalate_after_ms = (u64::from(escalate_after_s) * 1000).to_string();
    let files: Vec<_> = files::below("config/")
        .map(|(path, text)| {
            let text = text.replace("${REPOSITORY}", &repository).replace("${ESCALATE_AFTER_MS}", &escalate_after_ms);
            json!({"path": path, "content": text})
        })
        .collect();
    let applied = people.ana.post("/api/config/apply", json!({"files": files, "dry_run": false})).await?;
    let changed = applied["changes"].as_array().map_or(0, Vec::len);
    if changed < files.len() {
        bail!("{changed} of {} files of the demo's configuration were applied", files.len());
    }
    Ok(())
}
