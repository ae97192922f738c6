//! Putting and deleting sources, and their secrets.

use serde::Serialize;
use serde_json::json;
use tenfold_store::alert_sources::{self as store, AlertSourceRow, BeatRow};
use tenfold_types::{Actor, EventDraft, Fault, Source as Door, Timestamp};

use super::{AlertSourceKind, AlertSourceSpec, Heard, HeartbeatView, SOURCES_MAX};
use crate::alerts::{lint_complete, lint_lacking};
use crate::{App, Caller, Grant, Role};

/// Hex digits of a mail address that are its secret: 96 bits.
pub(super) const MAIL_SECRET_CHARS: usize = 24;

/// A source and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AlertSourceView {
    pub name: String,
    pub spec: AlertSourceSpec,
    /// Where it sends to; of a mail source without the part that is secret.
    pub address: String,
    /// When this node took something of it last, since its start.
    #[schema(value_type = Option<String>)]
    pub last_at: Option<Timestamp>,
    /// Deliveries taken and refused by this node since its start.
    pub taken: u64,
    pub refused: u64,
    /// Why the last one was refused; empty when none was.
    pub refusal: String,
    /// Of a heartbeat: how it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<HeartbeatView>,
    /// What its alerts lack by the lint of rules, each as a sentence goes on after the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AlertSourceList {
    pub items: Vec<AlertSourceView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AlertSourcePut {
    pub source: AlertSourceView,
    /// Of a new source, or when a new one was asked for; it is shown this once. For mail and for a heartbeat it is the whole address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

pub(super) fn missing(name: &str) -> Fault {
    Fault::not_found(format!("there is no source of alerts `{name:.64}`"))
        .advice("GET /api/alert-sources lists them; PUT /api/alert-sources/NAME makes one")
}

pub(super) fn spec_of(row: &AlertSourceRow) -> Result<AlertSourceSpec, Fault> {
    let wrong = |e| Fault::internal(format!("the source of alerts {} cannot be read: {e}", row.name));
    serde_json::from_str(&row.body).map_err(wrong)
}

fn changed(who: &Caller, name: &str, spec: &AlertSourceSpec, verb: &str) -> EventDraft {
    let text = format!("{} {verb} the source of alerts {name}", who.name);
    let mut draft = EventDraft::new(who.actor.clone(), who.source, "alert_source.changed", text)
        .correlation(format!("alert_source:{name}"))
        .data(json!({"source": name, "action": verb, "kind": spec.kind}));
    if let Some(service) = &spec.service {
        draft = draft.service(service);
    }
    match &spec.environment {
        Some(environment) => draft.environment(environment),
        None => draft,
    }
}

fn require(who: &Caller, spec: &AlertSourceSpec) -> Result<(), Fault> {
    who.require(Role::Deployer, spec.service.as_deref(), spec.environment.as_deref())
}

impl AlertSourceSpec {
    /// The source as a robot that may raise alerts of what it is about, and nothing else.
    pub(super) fn caller(&self, name: &str) -> Caller {
        let (service, environment) = (self.service.clone(), self.environment.clone());
        let grants = vec![Grant { role: Role::Responder, service, environment }];
        Caller { actor: Actor::robot(name), name: name.to_owned(), source: Door::Api, grants }
    }
}

impl App {
    /// All of them by name, without their secrets.
    pub async fn alert_sources(&self) -> Result<AlertSourceList, Fault> {
        let (rows, beats) = self.read(|tx| Ok((store::list(tx)?, store::beats(tx)?))).await?;
        let items = rows.iter().map(|row| self.source_view(row, &beats)).collect::<Result<_, _>>()?;
        Ok(AlertSourceList { items })
    }

    pub async fn alert_source(&self, name: &str) -> Result<AlertSourceView, Fault> {
        let row = self.source_row(name).await?;
        let beats = self.read(|tx| Ok(store::beats(tx)?)).await?;
        self.source_view(&row, &beats)
    }

    /// Makes or changes a source; its secret stays what it is.
    pub async fn alert_source_put(
        &self,
        who: &Caller,
        name: &str,
        spec: AlertSourceSpec,
    ) -> Result<AlertSourcePut, Fault> {
        spec.check(name)?;
        require(who, &spec)?;
        lint_complete(self.settings.alerts.lint, &format!("the source {name}"), spec.lacks())?;
        let body = serde_json::to_string(&spec).map_err(|e| Fault::internal(e.to_string()))?;
        let anew = AlertSourceRow { name: name.to_owned(), id: self.random_text(16), body };
        let caller = who.clone();
        let (row, created) = self
            .transact(move |t| {
                let mut row = anew.clone();
                let before = store::get(t.tx(), &row.name)?;
                if let Some(before) = &before {
                    require(&caller, &spec_of(before)?)?;
                    row.id.clone_from(&before.id);
                    if *before == row {
                        return Ok((row, false));
                    }
                } else if store::count(t.tx())? >= SOURCES_MAX as i64 {
                    return Err(Fault::invalid(format!("there are {SOURCES_MAX} sources already, which is the limit"))
                        .advice("delete one that nobody needs any more"));
                }
                let now = t.now();
                store::put(t.tx(), &row, now)?;
                let verb = if before.is_some() { "changed" } else { "added" };
                t.record(changed(&caller, &row.name, &spec, verb))?;
                Ok((row, before.is_none()))
            })
            .await?;
        let secret = if created { Some(self.source_shown(&row)?) } else { None };
        Ok(AlertSourcePut { source: self.alert_source(&row.name).await?, secret })
    }

    /// A new secret; the old one lets nobody in any more.
    pub async fn alert_source_secret(&self, who: &Caller, name: &str) -> Result<AlertSourcePut, Fault> {
        let (caller, name, id) = (who.clone(), name.to_owned(), self.random_text(16));
        let row = self
            .transact(move |t| {
                let mut row = store::get(t.tx(), &name)?.ok_or_else(|| missing(&name))?;
                let spec = spec_of(&row)?;
                require(&caller, &spec)?;
                row.id.clone_from(&id);
                let now = t.now();
                store::put(t.tx(), &row, now)?;
                t.record(changed(&caller, &name, &spec, "made a new secret for"))?;
                Ok(row)
            })
            .await?;
        Ok(AlertSourcePut { secret: Some(self.source_shown(&row)?), source: self.alert_source(&row.name).await? })
    }

    /// Deletes a source. Its alerts go on until somebody resolves them; that of a heartbeat is over soon.
    pub async fn alert_source_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        let (caller, key) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            let row = store::get(t.tx(), &key)?.ok_or_else(|| missing(&key))?;
            let spec = spec_of(&row)?;
            require(&caller, &spec)?;
            store::delete(t.tx(), &key)?;
            t.record(changed(&caller, &key, &spec, "deleted"))?;
            Ok(())
        })
        .await?;
        self.sources.heard.lock().remove(name);
        Ok(())
    }

    pub(super) async fn source_row(&self, name: &str) -> Result<AlertSourceRow, Fault> {
        let wanted = name.to_owned();
        self.read(move |tx| Ok(store::get(tx, &wanted)?)).await?.ok_or_else(|| missing(name))
    }

    fn source_view(&self, row: &AlertSourceRow, beats: &[BeatRow]) -> Result<AlertSourceView, Fault> {
        let spec = spec_of(row)?;
        let Heard { last_at, taken, refused, refusal } =
            self.sources.heard.lock().get(&row.name).cloned().unwrap_or_default();
        let address = match spec.kind {
            AlertSourceKind::Mail => self.mail_address(&row.name, "…"),
            AlertSourceKind::Webhook | AlertSourceKind::Grafana => {
                self.settings.link(&format!("/hooks/alerts/{}", row.name))
            }
            AlertSourceKind::Heartbeat => self.beat_address(&row.name, "…"),
        };
        let heartbeat = match spec.kind {
            AlertSourceKind::Heartbeat => {
                let beat = beats.iter().find(|beat| beat.source == row.name);
                Some(HeartbeatView::new(spec.beat_times()?, beat))
            }
            _ => None,
        };
        let last_at = heartbeat.as_ref().map_or(last_at, |beat| beat.last_at);
        let (name, findings) = (row.name.clone(), lint_lacking(self.settings.alerts.lint, spec.lacks()));
        Ok(AlertSourceView { name, spec, address, last_at, taken, refused, refusal, heartbeat, findings })
    }

    fn mail_address(&self, name: &str, secret: &str) -> String {
        let domain = &self.settings.sources.mail_domain;
        let domain = if domain.is_empty() { "localhost" } else { domain };
        format!("{name}-{secret}@{domain}")
    }

    fn beat_address(&self, name: &str, secret: &str) -> String {
        self.settings.link(&format!("/api/heartbeats/{name}/{secret}"))
    }

    /// The secret as a person copies it.
    fn source_shown(&self, row: &AlertSourceRow) -> Result<String, Fault> {
        Ok(match spec_of(row)?.kind {
            AlertSourceKind::Mail => self.mail_address(&row.name, &self.source_mail_secret(&row.id)?),
            AlertSourceKind::Webhook | AlertSourceKind::Grafana => self.source_hook_secret(&row.id)?,
            AlertSourceKind::Heartbeat => self.beat_address(&row.name, &self.source_beat_secret(&row.id)?),
        })
    }

    pub(super) fn source_mail_secret(&self, id: &str) -> Result<String, Fault> {
        self.source_short_secret("mail", id)
    }

    /// Of a heartbeat, in its address as well as in that for mails.
    pub(super) fn source_beat_secret(&self, id: &str) -> Result<String, Fault> {
        self.source_short_secret("beat", id)
    }

    fn source_short_secret(&self, purpose: &str, id: &str) -> Result<String, Fault> {
        let mut text = hex::encode(self.source_secret(purpose, id)?);
        text.truncate(MAIL_SECRET_CHARS);
        Ok(text)
    }

    /// As Standard Webhooks writes a secret, which is what signing takes as it stands in the other way to sign.
    pub(super) fn source_hook_secret(&self, id: &str) -> Result<String, Fault> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        Ok(format!("whsec_{}", STANDARD.encode(self.source_secret("hook", id)?)))
    }
}
