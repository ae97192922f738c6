//! A signed webhook is taken.

use serde::Serialize;
use tenfold_protocols::alert_hook::{self, HookError, KeyedAlert, SaidState};
use tenfold_protocols::signature::TIME_OFF_MS_MAX;
use tenfold_store::alert_sources as store;
use tenfold_types::{ErrorCode, Fault};
use utoipa::ToSchema;

use super::manage::{missing, spec_of};
use super::{AlertSourceKind, AlertSourceSpec, SENDER};
use crate::{App, Caller, Role};

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertHookAnswer {
    /// `taken`, or `duplicate`: it came before.
    pub result: String,
    /// Alerts in it that fire.
    pub firing: usize,
    /// Alerts in it that are over.
    pub resolved: usize,
}

/// What a body would become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertSourceTry {
    /// Each with `key`, `state`, `labels`, `annotations`, `starts_at` and `url`.
    #[schema(value_type = Vec<Object>)]
    pub alerts: Vec<KeyedAlert>,
}

fn read(name: &str, spec: &AlertSourceSpec, body: &[u8]) -> Result<Vec<KeyedAlert>, HookError> {
    let read = match (&spec.kind, &spec.map) {
        (AlertSourceKind::Webhook, Some(map)) => map.read(body)?,
        _ => alert_hook::grafana(body)?,
    };
    Ok(read.into_iter().map(|alert| spec.complete(name, alert)).collect())
}

impl App {
    /// Whether a delivery is worth reading: its source is there and takes webhooks, and it names a signature of about now.
    pub async fn alert_hook_known<'a>(
        &self,
        name: &str,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<(), Fault> {
        let spec = spec_of(&self.source_row(name).await?)?;
        if !spec.kind.is_hook() {
            return Err(missing(name));
        }
        alert_hook::may_fit(header, self.now().millis()).map_err(|e| self.hook_refused(name, &e))
    }

    /// Takes a delivery. `header` looks a header up by its lower-case name. Nothing is written before the signature fits,
    /// and the same delivery is taken once.
    pub async fn alert_hook<'a>(
        &self,
        name: &str,
        header: impl Fn(&str) -> Option<&'a str>,
        body: &[u8],
    ) -> Result<AlertHookAnswer, Fault> {
        let row = self.source_row(name).await?;
        let spec = spec_of(&row)?;
        if !spec.kind.is_hook() {
            return Err(missing(name));
        }
        let secret = self.source_hook_secret(&row.id)?;
        let now = self.now();
        let digest = alert_hook::verify(secret.as_bytes(), header, body, now.millis());
        let digest = digest.map_err(|e| self.hook_refused(name, &e))?;
        let key = (row.name.clone(), digest);
        let asked = key.clone();
        let before = self.read(move |tx| Ok(store::was_taken(tx, &asked.0, &asked.1)?)).await?;
        if before {
            return Ok(AlertHookAnswer { result: "duplicate".into(), firing: 0, resolved: 0 });
        }
        let said = read(name, &spec, body).map_err(|e| self.hook_refused(name, &e))?;
        let count = |state| said.iter().filter(|a| a.state == state).count();
        let (firing, resolved) = (count(SaidState::Firing), count(SaidState::Resolved));
        let sent = self.alerts_keyed(&spec.caller(name), (SENDER, name), said).await;
        sent.inspect_err(|fault| self.source_refused(name, &fault.message))?;
        // After the alerts: a delivery that could not be kept is sent again, and shall be taken then.
        let forget = now.plus_ms(-3 * TIME_OFF_MS_MAX);
        self.housekeeping(move |t| Ok(store::taken(t.tx(), &key.0, &key.1, now, forget)?)).await?;
        self.source_heard(name);
        Ok(AlertHookAnswer { result: "taken".into(), firing, resolved })
    }

    fn hook_refused(&self, name: &str, error: &HookError) -> Fault {
        let text = format!("the alerts of {name} are refused: {error}");
        self.source_refused(name, &error.to_string());
        match error {
            HookError::Body(_) | HookError::Id => Fault::invalid(text),
            HookError::NoHeader(_) | HookError::Signed(_) => Fault::new(ErrorCode::Unauthenticated, text)
                .advice("check that both sides have the same secret and the same time"),
        }
    }

    /// What a body would become; nothing is kept.
    pub async fn alert_source_try(&self, who: &Caller, name: &str, body: &[u8]) -> Result<AlertSourceTry, Fault> {
        let spec = spec_of(&self.source_row(name).await?)?;
        who.require(Role::Responder, spec.service.as_deref(), spec.environment.as_deref())?;
        let alerts = match spec.kind {
            AlertSourceKind::Mail => vec![self.mail_alert(name, &spec, body).await?.alert],
            AlertSourceKind::Heartbeat => {
                return Err(Fault::invalid(format!("{name} is a heartbeat: nothing of what it sends is read")));
            }
            AlertSourceKind::Webhook | AlertSourceKind::Grafana => {
                read(name, &spec, body).map_err(|e| Fault::invalid(e.to_string()))?
            }
        };
        Ok(AlertSourceTry { alerts })
    }
}
