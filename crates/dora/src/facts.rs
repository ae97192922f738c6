//! Facts about deploys and incidents, and how they are read out of the record.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tenfold_types::{Event, Timestamp};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub sha: String,
    /// When it was committed to version control.
    pub at: Timestamp,
    /// Only ever counted, never shown beside a figure.
    pub author: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of production runs it.
    Succeeded,
    /// Undone after more than the canary had it.
    RolledBack,
    /// Undone while only the canary had it.
    CanaryStopped,
    /// Still under way, or ended before production traffic.
    NotShipped,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    pub number: i64,
    pub service: String,
    pub environment: String,
    pub commits: Vec<Commit>,
    /// All commits it brought, also those not listed.
    pub commit_count: usize,
    pub outcome: Outcome,
    /// When production traffic first reached it.
    pub production_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// It went back to an earlier release.
    pub rollback: bool,
    /// The deploy a rollback takes back.
    pub reverts: Option<i64>,
    /// It is a hotfix for this incident.
    pub fixes: Option<i64>,
    /// The event that ended it, or the last one so far.
    pub seq: i64,
}

/// What an incident came from, as a person or an automatic rollback recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Deploy(i64),
    /// A flag, configuration, or something outside.
    Other,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    pub number: i64,
    pub cause: Cause,
    /// The deploys that were suspected when it opened, the likeliest first.
    pub suspects: Vec<i64>,
    pub resolved_at: Option<Timestamp>,
    /// The event that ended it, or that opened it.
    pub seq: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    pub deploys: Vec<Deploy>,
    pub incidents: Vec<Incident>,
}

/// Reads `deploy.*` and `incident.*` events, in the order of the record. Other kinds are passed over.
pub fn facts_from_events(events: &[Event]) -> Facts {
    let mut deploys: BTreeMap<i64, (Deploy, bool)> = BTreeMap::new();
    let mut incidents: BTreeMap<i64, Incident> = BTreeMap::new();
    let mut drills: BTreeSet<i64> = BTreeSet::new();
    for event in events {
        if event.data["drill"] == true {
            drills.extend(event.subject.incident);
        }
        match (event.kind.split_once('.'), event.subject.deploy, event.subject.incident) {
            (Some(("deploy", what)), Some(number), _) => read_deploy(&mut deploys, number, what, event),
            (Some(("incident", what)), _, Some(number)) => read_incident(&mut incidents, number, what, event),
            _ => {}
        }
    }
    // Nothing was broken in a drill.
    incidents.retain(|number, _| !drills.contains(number));
    Facts { deploys: deploys.into_values().map(|(d, _)| d).collect(), incidents: incidents.into_values().collect() }
}

/// The flag beside a deploy says whether more than the canary has had it.
fn read_deploy(deploys: &mut BTreeMap<i64, (Deploy, bool)>, number: i64, what: &str, event: &Event) {
    let (deploy, promoted) = deploys.entry(number).or_insert_with(|| {
        let deploy = Deploy {
            number,
            service: String::new(),
            environment: String::new(),
            commits: Vec::new(),
            commit_count: 0,
            outcome: Outcome::NotShipped,
            production_at: None,
            finished_at: None,
            rollback: false,
            reverts: None,
            fixes: None,
            seq: event.seq,
        };
        (deploy, false)
    });
    if let Some(service) = &event.subject.service {
        deploy.service.clone_from(service);
    }
    if let Some(environment) = &event.subject.environment {
        deploy.environment.clone_from(environment);
    }
    let data = &event.data;
    // A deploy undone by the server itself names itself; that is no rollback of another one.
    if let Some(reverts) = data["reverts"].as_i64().filter(|n| *n != number) {
        deploy.reverts = Some(reverts);
        deploy.rollback = true;
    }
    deploy.rollback |= data["deploy_kind"] == "rollback";
    deploy.fixes = data["fixes"].as_i64().or(deploy.fixes);
    if let Some(list) = data["commits"].as_array() {
        deploy.commits = list.iter().filter_map(commit).collect();
        deploy.commit_count = deploy.commit_count.max(deploy.commits.len());
    }
    if let Some(count) = data["commit_count"].as_u64() {
        deploy.commit_count = deploy.commit_count.max(count as usize);
    }
    deploy.seq = event.seq;
    match what {
        "canary_started" | "promoting" => {
            deploy.production_at.get_or_insert(event.occurred_at);
            *promoted |= what == "promoting";
        }
        "succeeded" => {
            deploy.production_at.get_or_insert(event.occurred_at);
            deploy.outcome = Outcome::Succeeded;
            deploy.finished_at = Some(event.occurred_at);
        }
        "rolled_back" => {
            deploy.finished_at = Some(event.occurred_at);
            deploy.outcome = match (deploy.rollback, deploy.production_at, *promoted) {
                // This is how a rollback ends well.
                (true, ..) => Outcome::Succeeded,
                (false, None, _) => Outcome::NotShipped,
                (false, Some(_), false) => Outcome::CanaryStopped,
                (false, Some(_), true) => Outcome::RolledBack,
            };
        }
        _ => {}
    }
}

fn commit(value: &Value) -> Option<Commit> {
    Some(Commit {
        sha: value["sha"].as_str()?.to_owned(),
        at: Timestamp::parse_rfc3339(value["at"].as_str()?)?,
        author: value["author"].as_str().map(str::to_owned),
    })
}

fn read_incident(incidents: &mut BTreeMap<i64, Incident>, number: i64, what: &str, event: &Event) {
    let incident = incidents.entry(number).or_insert_with(|| Incident {
        number,
        cause: Cause::Unknown,
        suspects: Vec::new(),
        resolved_at: None,
        seq: event.seq,
    });
    if let Some(list) = event.data["suspects"].as_array() {
        incident.suspects = list.iter().filter_map(|s| s["number"].as_i64()).collect();
    }
    match event.data["caused_by"].as_str() {
        Some("unknown") => incident.cause = Cause::Unknown,
        Some(text) => {
            let deploy = text.strip_prefix("deploy:").and_then(|n| n.parse().ok());
            incident.cause = deploy.map_or(Cause::Other, Cause::Deploy);
        }
        None => {}
    }
    match what {
        "resolved" => {
            incident.resolved_at = Some(event.occurred_at);
            incident.seq = event.seq;
        }
        // One incident all the same, and its end is the last one.
        "reopened" => incident.resolved_at = None,
        _ => {}
    }
}
