//! A forge tells of a push.

use serde::{Deserialize, Serialize};
use tenfold_protocols::forge::{self, Delivery, ForgeEvent, Push, WebhookError, repository_key};
use tenfold_store::forges as store;
use tenfold_types::{Actor, ErrorCode, EventDraft, Fault, Severity, Source as Door};
use utoipa::ToSchema;

use crate::App;
use crate::deploys::queue_push;
use crate::deploys::views::Service;
use crate::settings::ForgeSettings;

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HookAnswer {
    /// `recorded`, `duplicate` (it came before), or `ignored`.
    pub result: String,
    /// Why, in a sentence.
    pub text: String,
    /// Services it concerns.
    pub services: Vec<String>,
}

impl HookAnswer {
    fn new(result: &str, text: impl Into<String>, services: Vec<String>) -> Self {
        Self { result: result.to_owned(), text: text.into(), services }
    }
}

impl App {
    /// Takes a delivery. `header` looks a header up by its lower-case name. Nothing is written before the signature fits,
    /// and the same delivery is taken once.
    pub async fn forge_hook<'a>(
        &self,
        name: &str,
        header: impl Fn(&str) -> Option<&'a str>,
        body: &[u8],
    ) -> Result<HookAnswer, Fault> {
        let settings = self.forge(name)?;
        let secret = self.hook_secret(name)?;
        let received = forge::receive(settings.kind, &secret, header, body, self.now().millis());
        let delivery = received.map_err(|e| self.refused(settings, &e))?;
        match delivery.event.clone() {
            ForgeEvent::Ping => Ok(HookAnswer::new("ignored", format!("{name} is heard"), Vec::new())),
            ForgeEvent::Other => {
                Ok(HookAnswer::new("ignored", format!("`{}` is of no use here", delivery.kind), Vec::new()))
            }
            ForgeEvent::Push(push) => self.pushed(settings, &delivery, push).await,
        }
    }

    /// Whether a delivery is worth to be read: the forge takes webhooks, and what proves the sender is of the right form. That
    /// it fits is not known by that.
    pub fn forge_hears<'a>(&self, name: &str, header: impl Fn(&str) -> Option<&'a str>) -> Result<(), Fault> {
        let settings = self.forge(name)?;
        let secret = self.hook_secret(name)?;
        forge::looks_signed(settings.kind, &secret, header, self.now().millis()).map_err(|e| self.refused(settings, &e))
    }

    fn hook_secret(&self, name: &str) -> Result<Vec<u8>, Fault> {
        self.forges.secrets(name).hook.ok_or_else(|| {
            Fault::not_found(format!("the forge {name} takes no webhooks")).advice("set its hook_secret_file")
        })
    }

    fn refused(&self, forge: &ForgeSettings, error: &WebhookError) -> Fault {
        self.metrics.own.add("tenfold_forge_refused_total", &[("forge", &forge.name)], 1.0);
        let text = format!("the webhook of {} is refused: {error}", forge.kind.name());
        match error {
            WebhookError::Body(_) | WebhookError::Id => Fault::invalid(text),
            _ => Fault::new(ErrorCode::Unauthenticated, text)
                .advice("check that both sides have the same secret and the same time"),
        }
    }

    async fn pushed(&self, forge: &ForgeSettings, delivery: &Delivery, push: Push) -> Result<HookAnswer, Fault> {
        let Some(branch) = push.branch.clone() else {
            return Ok(HookAnswer::new("ignored", "a tag, not a branch", Vec::new()));
        };
        let services: Vec<Service> = self.services().await?.into_iter().filter(|s| concerns(s, &push)).collect();
        let names: Vec<String> = services.iter().map(|s| s.name.clone()).collect();
        if services.is_empty() {
            let what = push.repositories.join(", ");
            return Ok(HookAnswer::new("ignored", format!("no service ships {branch} of {what}"), names));
        }
        let drafts: Vec<EventDraft> = services.iter().map(|s| draft(forge, s, &branch, &push)).collect();
        let wanted = wanted(forge, &services, &push);
        let (name, delivery) = (forge.name.clone(), delivery.clone());
        let fresh = self
            .transact(move |t| {
                let now = t.now();
                if !store::delivery_take(t.tx(), &name, &delivery.digest, delivery.id.as_deref(), now)? {
                    return Ok(false);
                }
                for draft in drafts.clone() {
                    t.record(draft)?;
                }
                for wish in &wanted {
                    let Wanted { forge, service, environment, sha, pusher } = wish;
                    queue_push(t.tx(), forge, service, environment, sha, pusher, now)?;
                }
                Ok(true)
            })
            .await?;
        if !fresh {
            return Ok(HookAnswer::new("duplicate", "this delivery came before", names));
        }
        self.fetch_in_background(&services);
        Ok(HookAnswer::new("recorded", format!("a push to {branch}"), names))
    }

    /// The pages show what would ship without waiting for a fetch.
    fn fetch_in_background(&self, services: &[Service]) {
        for service in services {
            let (app, name) = (self.clone(), service.name.clone());
            let repository = service.repository.clone();
            tokio::spawn(async move {
                if let Err(fault) = app.deploys.fetch(&name, &repository).await {
                    tracing::warn!(%fault, service = name, "what was pushed could not be fetched");
                }
            });
        }
    }
}

fn concerns(service: &Service, push: &Push) -> bool {
    push.branch.as_deref() == Some(service.branch.as_str())
        && repository_key(&service.repository).is_some_and(|key| push.repositories.contains(&key))
}

/// What the settings deploy by itself of a push.
struct Wanted {
    forge: String,
    service: String,
    environment: String,
    sha: String,
    pusher: String,
}

fn wanted(forge: &ForgeSettings, services: &[Service], push: &Push) -> Vec<Wanted> {
    let Some(sha) = &push.after else { return Vec::new() };
    let ours = forge.deploy.iter().filter(|d| services.iter().any(|s| s.name == d.service));
    ours.map(|d| Wanted {
        forge: forge.name.clone(),
        service: d.service.clone(),
        environment: d.environment.clone(),
        sha: sha.clone(),
        pusher: push.pusher.clone(),
    })
    .collect()
}

/// The login is the forge's word, which proves nothing here: the actor is the forge.
fn draft(forge: &ForgeSettings, service: &Service, branch: &str, push: &Push) -> EventDraft {
    let (who, name) = (&push.pusher, &service.name);
    let (text, severity) = match (&push.after, push.commits.last()) {
        (None, _) => (format!("{who} deleted the branch {branch} of {name}"), Severity::Warning),
        (Some(_), Some(last)) if push.forced => {
            (format!("{who} rewrote {branch} of {name}, now at \"{}\"", last.message), Severity::Warning)
        }
        (Some(_), Some(last)) => {
            let commits = if push.count == 1 { "1 commit".to_owned() } else { format!("{} commits", push.count) };
            (format!("{who} pushed {commits} to {branch} of {name}, the last \"{}\"", last.message), Severity::Info)
        }
        (Some(sha), None) => (format!("{who} moved {branch} of {name} to {}", &sha[..7]), Severity::Info),
    };
    let commits: Vec<_> = push
        .commits
        .iter()
        .map(|c| serde_json::json!({"sha": c.sha, "author": c.author, "message": c.message}))
        .collect();
    EventDraft::new(Actor::robot(&forge.name), Door::Api, "git.pushed", text).service(name).severity(severity).data(
        serde_json::json!({
            "branch": branch, "before": push.before, "after": push.after, "pusher": who, "forced": push.forced,
            "count": push.count, "commits": commits,
        }),
    )
}
