//! The demo's people at work: they deploy, ramp a flag, break something, are paged, roll back, and go on.
//! Every step is something a person could do on the page; when a step is refused (somebody locked the service, a deploy
//! runs already) life goes on with the next one.

use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use tenfold_types::Clock;

use super::client::Client;
use super::presence::Presence;
use super::repository::Repository;
use super::seed::People;

const SERVICE: &str = "photos";
const ENVIRONMENT: &str = "production";
const RAMP_PLAN: &str = "uploads";
const FLAG: &str = "new_uploader";

const POLL_MS: u64 = 250;
const DEPLOY_MS_MAX: u64 = 120_000;
const INCIDENT_MS_MAX: u64 = 90_000;
/// How long a person looks at a page before acting on it.
const THINK_MS: u64 = 6_000;
const PAUSE_MS: u64 = 3_000;
/// Between two small deploys, once the story has been told.
const QUIET_MS: u64 = 180_000;
/// How many of the prepared commits ship before the one that breaks the list of photos.
const GOOD_COMMITS: [usize; 2] = [1, 3];

/// The deploy that a newcomer finds done.
pub async fn first_deploy(people: &People, hosts: usize) -> anyhow::Result<()> {
    println!("ana deploys {SERVICE} to {hosts} hosts");
    let deploy = deploy(&people.ana).await?;
    if deploy["state"] != "succeeded" {
        bail!("the first deploy ended as {}: {}", deploy["state"], deploy["error"]);
    }
    Ok(())
}

/// Runs until it is dropped. Raj is in the IRC channel, if there is one.
pub async fn go_on(
    people: &People,
    repository: &mut Repository,
    irc_port: Option<u16>,
    clock: &dyn Clock,
) -> anyhow::Result<()> {
    let irc = match irc_port {
        Some(port) => {
            Presence::join(port, "raj", &people.raj).await.inspect_err(|e| eprintln!("raj is not on IRC: {e:#}")).ok()
        }
        None => None,
    };
    if let Err(error) = tell_the_story(people, repository, irc.as_ref(), clock).await {
        eprintln!("the story stopped: {error:#}");
    }
    for turn in 0u64.. {
        // What ships next stands ready, so that whoever looks may press the button first.
        repository.commit_next(clock.now()).await?;
        pause(QUIET_MS).await;
        let person = if turn.is_multiple_of(2) { &people.ana } else { &people.mei };
        if let Err(error) = small_deploy(person).await {
            eprintln!("no deploy this time: {error:#}");
        }
    }
    Ok(())
}

async fn tell_the_story(
    people: &People,
    repository: &mut Repository,
    irc: Option<&Presence>,
    clock: &dyn Clock,
) -> anyhow::Result<()> {
    rollout(&people.mei, 1).await?;
    for (turn, commits) in GOOD_COMMITS.into_iter().enumerate() {
        for _ in 0..commits {
            repository.commit_next(clock.now()).await?;
        }
        let person = if turn.is_multiple_of(2) { &people.mei } else { &people.ana };
        deploy(person).await?;
        rollout(&people.mei, 10).await?;
        pause(PAUSE_MS).await;
    }

    repository.commit_next(clock.now()).await?;
    let bad = deploy(&people.mei).await?;
    let incident = wait_incident(&people.raj).await?;
    pause(THINK_MS).await;
    let ack = format!("!ack {incident}");
    match irc {
        Some(raj) => raj.say(&ack).await?,
        None => say(&people.raj, &ack).await?,
    }
    let number = bad["number"].as_i64().unwrap_or_default();
    let reason = "scanned photos have no camera";
    let back = people.raj.post(&format!("/api/deploys/{number}/rollback"), json!({"reason": reason})).await?;
    wait_deploy(&people.raj, &back).await?;
    say(&people.mei, "doing \"fixing the list for people with scanned photos\"").await?;
    wait_resolved(&people.raj, incident).await?;

    repository.commit_next(clock.now()).await?;
    deploy(&people.mei).await?;
    // The new code is slow; with half of the people on it, the guard takes it away before anybody is paged.
    let ramp = json!({"environment": ENVIRONMENT, "plan": RAMP_PLAN});
    people.mei.post(&format!("/api/flags/{FLAG}/ramp"), ramp).await?;
    Ok(())
}

/// Only when nothing burns and nobody else is at it.
async fn small_deploy(person: &Client) -> anyhow::Result<()> {
    let open = person.get("/api/incidents?state=open").await?;
    if open["items"].as_array().is_some_and(|items| !items.is_empty()) {
        bail!("an incident is open");
    }
    let next = person.get(&format!("/api/services/{SERVICE}/next?environment={ENVIRONMENT}")).await?;
    if next["added"].as_array().is_none_or(Vec::is_empty) {
        bail!("somebody shipped it already");
    }
    deploy(person).await.map(|_| ())
}

async fn deploy(person: &Client) -> anyhow::Result<Value> {
    let deploy = person.post("/api/deploys", json!({"service": SERVICE, "environment": ENVIRONMENT})).await?;
    wait_deploy(person, &deploy).await
}

/// Waits until the deploy came to an end, whichever.
async fn wait_deploy(person: &Client, deploy: &Value) -> anyhow::Result<Value> {
    let path = format!("/api/deploys/{}", deploy["number"]);
    let deadline = deadline(DEPLOY_MS_MAX);
    loop {
        // The server may be away for a moment: somebody is trying what a kill does.
        if let Ok(deploy) = person.get(&path).await
            && !deploy["finished_at"].is_null()
        {
            return Ok(deploy);
        }
        if tokio::time::Instant::now() > deadline {
            bail!("{path} did not end within {} s", DEPLOY_MS_MAX / 1000);
        }
        pause(POLL_MS).await;
    }
}

async fn wait_incident(person: &Client) -> anyhow::Result<i64> {
    let deadline = deadline(INCIDENT_MS_MAX);
    loop {
        let open = person.get("/api/incidents?state=open").await?;
        if let Some(number) = open["items"][0]["number"].as_i64() {
            return Ok(number);
        }
        if tokio::time::Instant::now() > deadline {
            bail!("no incident opened within {} s", INCIDENT_MS_MAX / 1000);
        }
        pause(POLL_MS).await;
    }
}

async fn wait_resolved(person: &Client, incident: i64) -> anyhow::Result<()> {
    let deadline = deadline(INCIDENT_MS_MAX);
    while person.get(&format!("/api/incidents/{incident}")).await?["state"] != "resolved" {
        if tokio::time::Instant::now() > deadline {
            bail!("incident {incident} was not resolved within {} s", INCIDENT_MS_MAX / 1000);
        }
        pause(POLL_MS).await;
    }
    Ok(())
}

async fn rollout(person: &Client, percent: u8) -> anyhow::Result<()> {
    let body = json!({"environment": ENVIRONMENT, "percent": percent});
    person.post(&format!("/api/flags/{FLAG}/rollout"), body).await.map(|_| ())
}

async fn say(person: &Client, text: &str) -> anyhow::Result<()> {
    person.post("/api/console/messages", json!({"text": text})).await.map(|_| ())
}

fn deadline(ms: u64) -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_millis(ms)
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
