//! What another on-call product exported, taken over: people, schedules, policies, and a draft of routes. What has no equal
//! here is said line by line. Nothing is fetched from there: the lists are what its API answered to somebody else.

mod draft;
mod grafana;
mod opsgenie;
mod sources;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenfold_oncall::Plan;
use tenfold_protocols::{grafana_oncall, opsgenie as opsgenie_lists};
use tenfold_types::{Fault, Timestamp};
use utoipa::ToSchema;

use super::{NewOverride, PolicyUpdate, PolicyView, ScheduleUpdate};
use crate::{
    App, Caller, Role,
    people::{Contact, Person, PersonUpdate},
    sources::AlertSourceSpec,
};

/// Schedules and policies one import may make.
const MADE_MAX: usize = 200;
/// Rotations whose hours one import may compare.
const ROTATIONS_MAX: usize = 500;

/// Whose lists they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImportSource {
    /// HTTP API v1 of Grafana OnCall.
    GrafanaOncall,
    /// REST API v2 of Opsgenie.
    Opsgenie,
}

/// An export to be taken over, and whether only to look.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OncallImport {
    pub source: ImportSource,
    /// The answers of the source's API, each list under its name there: `users`, `schedules`, ...
    #[schema(value_type = Object)]
    pub export: Value,
    /// Logins of people whose account cannot be told by their address: by their id, name or address in the source.
    #[serde(default)]
    pub people: BTreeMap<String, String>,
    /// Makes accounts for those who have none, as viewers without a password. Admins only.
    #[serde(default)]
    pub create_people: bool,
    /// Says what would be made and makes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PersonFound {
    /// Has an account.
    Known,
    /// The import makes one.
    Created,
    /// Has none, and is left out of everything.
    Missing,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportedPerson {
    /// What the source calls them.
    pub source: String,
    pub login: String,
    pub name: String,
    pub email: String,
    pub timezone: String,
    /// Those of the source that they are in; an account that the import makes is in them.
    pub teams: Vec<String>,
    pub found: PersonFound,
}

/// An override that comes with a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportedOverride {
    pub person: String,
    #[schema(value_type = String)]
    pub start: Timestamp,
    #[schema(value_type = String)]
    pub end: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ImportedSchedule {
    pub name: String,
    /// There is one of that name already; it gets a new version.
    pub changes: bool,
    #[schema(value_type = Object)]
    pub plan: Plan,
    pub overrides: Vec<ImportedOverride>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportedPolicy {
    /// There is one of that name already; this one takes its place.
    pub changes: bool,
    #[serde(flatten)]
    pub policy: PolicyView,
}

/// A sender of alerts, to be looked through and put by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportedSource {
    pub name: String,
    pub spec: AlertSourceSpec,
}

/// Something that was left out or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OncallImportNote {
    pub about: String,
    pub message: String,
}

/// What an import makes, or would make.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OncallImported {
    pub people: Vec<ImportedPerson>,
    pub schedules: Vec<ImportedSchedule>,
    pub policies: Vec<ImportedPolicy>,
    /// A routing to be looked through and put by hand; nothing puts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub routing: Option<Value>,
    /// Drafts as well: each gets a secret when it is put, which what sends there is to have.
    pub sources: Vec<ImportedSource>,
    pub report: Vec<OncallImportNote>,
}

/// Somebody who has an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPerson {
    pub login: String,
    pub email: String,
    /// Is nobody's account in an import, and its login nobody else's.
    pub disabled: bool,
    pub teams: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct ScheduleDraft {
    pub name: String,
    pub plan: Plan,
    pub overrides: Vec<NewOverride>,
}

/// What an export becomes, before anything is written.
#[derive(Debug, Clone, Default)]
pub struct ImportDraft {
    pub people: Vec<ImportedPerson>,
    pub schedules: Vec<ScheduleDraft>,
    pub policies: Vec<(String, PolicyUpdate)>,
    pub routing: Option<Value>,
    pub sources: Vec<(String, AlertSourceSpec)>,
    pub report: Vec<OncallImportNote>,
}

/// What the lists become for people who have these accounts. Of shifts and overrides those count that end after `now`.
///
/// # Errors
/// The first object of the lists that does not fit, with its place.
pub fn import_draft(asked: &OncallImport, known: &[KnownPerson], now: Timestamp) -> Result<ImportDraft, Fault> {
    let unread = |e: tenfold_protocols::oncall_export::ExportError| {
        Fault::invalid(format!("the export cannot be read: {e}"))
            .advice("give the lists as the API answers them; the guide \"From Grafana OnCall or Opsgenie\" says which")
    };
    let mut draft = draft::Draft::new(known, &asked.people, asked.create_people, now);
    let routes = match asked.source {
        ImportSource::GrafanaOncall => grafana::take(&mut draft, &grafana_oncall::read(&asked.export).map_err(unread)?),
        ImportSource::Opsgenie => opsgenie::take(&mut draft, &opsgenie_lists::read(&asked.export).map_err(unread)?),
    };
    let rotations = draft.rotations();
    if rotations > ROTATIONS_MAX {
        let text = format!(
            "an import takes at most {ROTATIONS_MAX} rotations, each as often as people are on call in it at once; \
             these are {rotations}"
        );
        return Err(Fault::invalid(text).advice("import a part of the lists at a time"));
    }
    let made = draft.finished(&routes);
    for (what, count) in [("schedules", made.schedules.len()), ("policies", made.policies.len())] {
        if count > MADE_MAX {
            return Err(Fault::invalid(format!("an import makes at most {MADE_MAX} {what}, this is {count}"))
                .advice("import a part of the lists at a time"));
        }
    }
    Ok(made)
}

impl App {
    /// Takes an export over: people first, then schedules with their overrides, then policies. Importing the same again
    /// makes nothing twice.
    pub async fn oncall_import(&self, who: &Caller, asked: OncallImport) -> Result<OncallImported, Fault> {
        who.require(Role::Deployer, None, None)?;
        if asked.create_people {
            who.require(Role::Admin, None, None)?;
        }
        let known =
            |p: Person| KnownPerson { login: p.login, email: p.contact.email, disabled: p.disabled, teams: p.teams };
        let known: Vec<KnownPerson> = self.people().await?.into_iter().map(known).collect();
        let (now, dry_run) = (self.now(), asked.dry_run);
        // More than a year of every rotation's shifts takes a moment; the loop of other requests shall not wait for it.
        let made = tokio::task::spawn_blocking(move || import_draft(&asked, &known, now))
            .await
            .map_err(|e| Fault::internal(e.to_string()))??;
        let there: BTreeSet<String> = self.schedules().await?.into_iter().map(|s| s.name).collect();
        let policies: BTreeSet<String> = self.policies().await?.into_iter().map(|p| p.name).collect();
        if !dry_run {
            self.import_write(who, &made).await?;
        }
        let schedule = |s: ScheduleDraft| ImportedSchedule {
            changes: there.contains(&s.name),
            overrides: s
                .overrides
                .into_iter()
                .map(|o| ImportedOverride { person: o.person, start: o.start, end: o.end })
                .collect(),
            name: s.name,
            plan: s.plan.hidden(),
        };
        let policy = |(name, update): (String, PolicyUpdate)| ImportedPolicy {
            changes: policies.contains(&name),
            policy: PolicyView {
                name,
                steps: update.steps,
                repeat: update.repeat,
                deployer_first: update.deployer_first,
                ack_timeout_ms: update.ack_timeout_ms,
            },
        };
        Ok(OncallImported {
            people: made.people,
            schedules: made.schedules.into_iter().map(schedule).collect(),
            policies: made.policies.into_iter().map(policy).collect(),
            routing: made.routing,
            sources: made.sources.into_iter().map(|(name, spec)| ImportedSource { name, spec }).collect(),
            report: made.report,
        })
    }

    async fn import_write(&self, who: &Caller, made: &ImportDraft) -> Result<(), Fault> {
        for person in made.people.iter().filter(|p| p.found == PersonFound::Created) {
            let update = PersonUpdate {
                name: Some(person.name.clone()),
                timezone: Some(person.timezone.clone()),
                teams: Some(person.teams.clone()),
                contact: Some(Contact { email: person.email.clone(), ..Contact::default() }),
                ..PersonUpdate::default()
            };
            self.person_put(who, &person.login, update).await?;
        }
        for schedule in &made.schedules {
            let stands = self.schedule_put(who, &schedule.name, ScheduleUpdate(schedule.plan.clone())).await?;
            let now = self.now();
            for new in &schedule.overrides {
                let same = stands.overrides.iter().any(|o| {
                    o.person == new.person
                        && o.kind == new.kind
                        && o.end == new.end
                        && (o.start == new.start || (o.start <= now && new.start <= now))
                });
                if !same {
                    self.override_create(who, &schedule.name, new.clone()).await?;
                }
            }
        }
        for (name, update) in &made.policies {
            self.policy_put(who, name, update.clone()).await?;
        }
        Ok(())
    }
}
