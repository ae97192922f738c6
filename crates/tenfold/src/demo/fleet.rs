//! The demo's hosts: one `tenfold agent` process each, with a folder and a token of its own.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;

use super::Plan;
use super::processes::{Running, Spec, Supervisor};
use super::seed::People;

const CONNECTED_MS_MAX: u64 = 20_000;
const POLL_MS: u64 = 100;

/// Starts the agents and waits until the server sees them all.
pub async fn start(plan: &Plan, people: &People, supervisor: &Supervisor) -> anyhow::Result<Vec<Running>> {
    let mut agents = Vec::new();
    for host in &plan.hosts {
        let token = secret(people, json!({"name": host, "kind": "agent", "environment": "production"})).await?;
        let folder = plan.data.join("hosts").join(host);
        std::fs::create_dir_all(&folder)?;
        let folder = folder.to_string_lossy().into_owned();
        let url = plan.url();
        let args = ["agent", "--server", &url, "--name", host, "--environment", "production", "--dir", &folder];
        agents.push(supervisor.start(Spec::new(host, &plan.program, &args).env("TENFOLD_TOKEN", token))?);
    }
    wait_connected(people, plan.hosts.len()).await?;
    Ok(agents)
}

/// Makes a token and returns its secret.
pub async fn secret(people: &People, token: serde_json::Value) -> anyhow::Result<String> {
    let made = people.ana.post("/api/tokens", token).await?;
    made["secret"].as_str().map(ToString::to_string).context("the server made a token without a secret")
}

async fn wait_connected(people: &People, wanted: usize) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(CONNECTED_MS_MAX);
    loop {
        let hosts = people.ana.get("/api/hosts").await?;
        let connected =
            hosts["items"].as_array().map_or(0, |all| all.iter().filter(|host| host["state"] == "connected").count());
        if connected >= wanted {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            bail!("only {connected} of {wanted} agents reached the server; their logs are beside the server's");
        }
        tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
    }
}
