//! Putting, deleting and asking checks; results from outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::json;
use tenfold_alerting::checks::CheckStatus;
use tenfold_store::{checks as store, counters};
use tenfold_types::{EventDraft, Fault};

use super::inbox::Came;
use super::{CHECKS_MAX, Check, CheckSpec, CheckView, Ran, Run, Stand, Stands, reload, schedule};
use crate::alerts::{lint_complete, lint_lacking};
use crate::people::check_name;
use crate::{App, Caller, Role};

/// Bytes of a result from outside.
const RESULT_BYTES_MAX: usize = 64 << 10;

/// A result somebody sends.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassiveResult {
    /// `ok`, `warning`, `critical` or `unknown`.
    pub status: String,
    /// As a plugin prints it, with performance data behind `|`.
    #[serde(default)]
    pub output: String,
}

fn missing(name: &str) -> Fault {
    Fault::not_found(format!("there is no check `{name}`"))
        .advice("GET /api/checks lists them; PUT /api/checks/NAME makes one")
}

/// What is run stays out of the record: arguments of plugins may hold what is not for everybody, for ever.
fn changed(who: &Caller, name: &str, spec: &CheckSpec, verb: &str) -> EventDraft {
    let text = format!("{} {verb} the check {name}", who.name);
    let mut draft = EventDraft::new(who.actor.clone(), who.source, "check.changed", text)
        .correlation(format!("check:{name}"))
        .data(json!({"check": name, "action": verb, "kind": spec.run.kind(), "host": spec.host, "interval": spec.interval}));
    if let Some(service) = &spec.service {
        draft = draft.service(service);
    }
    match &spec.environment {
        Some(environment) => draft.environment(environment),
        None => draft,
    }
}

impl App {
    /// Makes or changes a check. It goes on from where it stands.
    pub async fn check_put(&self, who: &Caller, name: &str, mut spec: CheckSpec) -> Result<CheckView, Fault> {
        who.require(Role::Deployer, spec.service.as_deref(), spec.environment.as_deref())?;
        check_name("check", name)?;
        spec.check(name)?;
        lint_complete(self.settings.alerts.lint, &format!("the check {name}"), spec.lacks())?;
        self.check_secret_files(name, &spec.run).await?;
        let _one = self.checks.changing.lock().await;
        self.no_circle(name, &spec)?;
        let key = name.to_owned();
        let before = self.read(move |tx| Ok(store::get(tx, &key)?)).await?;
        let before = before.map(|row| serde_json::from_str::<CheckSpec>(&row.body)).transpose();
        spec.keep_secrets(name, before.map_err(|e| Fault::internal(e.to_string()))?.as_ref())?;
        let (caller, key, put) = (who.clone(), name.to_owned(), spec.clone());
        self.transact(move |t| {
            let body = serde_json::to_string(&put).map_err(|e| Fault::internal(e.to_string()))?;
            let before = store::get(t.tx(), &key)?;
            if before.as_ref().is_some_and(|b| b.body == body) {
                return Ok(());
            }
            if let Some(before) = &before {
                let old: CheckSpec = serde_json::from_str(&before.body).map_err(|e| Fault::internal(e.to_string()))?;
                caller.require(Role::Deployer, old.service.as_deref(), old.environment.as_deref())?;
            } else if store::count(t.tx())? >= CHECKS_MAX as i64 {
                return Err(Fault::invalid(format!("there are {CHECKS_MAX} checks already, which is the limit"))
                    .advice("delete one that nobody needs any more"));
            }
            let now = t.now();
            store::put(t.tx(), &key, &body, now)?;
            if before.as_ref().is_none_or(|b| b.state.is_none()) {
                // Silence counts from now on, also after a restart.
                let mut stand = Stand::new(now);
                stand.state.last_at = now;
                let stand = serde_json::to_string(&stand).map_err(|e| Fault::internal(e.to_string()))?;
                store::stand(t.tx(), &key, &stand)?;
            }
            let verb = if before.is_some() { "changed" } else { "added" };
            t.record(changed(&caller, &key, &put, verb))?;
            Ok(())
        })
        .await?;
        {
            let mut table = self.checks.table.lock();
            let known = table.remove(name);
            let (running, turn) = known.as_ref().map_or((false, 0), |c| (c.running, c.turn));
            let stand = known.map_or_else(|| Stand::new(self.now()), |c| c.stand);
            let mut check = Check::new(spec, stand)?;
            (check.running, check.turn) = (running, turn);
            if check.stand.state.last_at.millis() == 0 {
                check.stand.state.last_at = self.now();
            }
            table.insert(name.to_owned(), check);
        }
        schedule::spread(self, name);
        self.check(name)
    }

    /// Files are read out of one folder alone: who puts a check may not read the server's files.
    async fn check_secret_files(&self, name: &str, run: &Run) -> Result<(), Fault> {
        let Some(file) = run.secret_files().into_iter().next() else { return Ok(()) };
        if self.settings.alerts.secrets_dir.is_none() {
            let message = format!("the check {name}: the file {file} is not read: there is no folder of secrets");
            return Err(Fault::invalid(message).advice(
                "have `secrets_dir` set in `[alerts]` of tenfold.toml, or write the secret itself; it is not shown again",
            ));
        }
        let runner = self.checks.runner.read().clone();
        match runner {
            Some(runner) => runner.check(run).await.map_err(|why| Fault::invalid(format!("the check {name}: {why}"))),
            None => Ok(()),
        }
    }

    /// Parents that lead back to the check itself would keep each other quiet.
    fn no_circle(&self, name: &str, spec: &CheckSpec) -> Result<(), Fault> {
        let table = self.checks.table.lock();
        let mut todo = spec.parents.clone();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(parent) = todo.pop() {
            if parent == name {
                return Err(Fault::invalid(format!("the parents of the check {name} lead back to it")));
            }
            if seen.insert(parent.clone()) {
                let known = table.get(&parent).ok_or_else(|| {
                    Fault::invalid(format!("the check {name} names the parent {parent}, which there is not"))
                        .advice("put the parent first")
                })?;
                todo.extend(known.spec.parents.iter().cloned());
            }
        }
        Ok(())
    }

    /// Deletes a check; its alert ends as that of a removed rule does.
    pub async fn check_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        let one = self.checks.changing.lock().await;
        let (caller, key) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            let row = store::get(t.tx(), &key)?.ok_or_else(|| missing(&key))?;
            let spec: CheckSpec = serde_json::from_str(&row.body).map_err(|e| Fault::internal(e.to_string()))?;
            caller.require(Role::Deployer, spec.service.as_deref(), spec.environment.as_deref())?;
            // What it has raised is over, also if this process ends before that is told.
            let stand: Option<Stand> = row.state.as_deref().and_then(|state| serde_json::from_str(state).ok());
            for labels in stand.into_iter().flat_map(|stand| stand.raised.into_iter().chain(stand.owed)) {
                let id = counters::next(t.tx(), "check_gone")?;
                let labels = serde_json::to_string(&labels).map_err(|e| Fault::internal(e.to_string()))?;
                store::gone_put(t.tx(), id, &labels)?;
            }
            store::delete(t.tx(), &key)?;
            t.record(changed(&caller, &key, &spec, "deleted"))?;
            Ok(())
        })
        .await?;
        self.checks.table.lock().remove(name);
        self.checks.gone.store(true, Ordering::Release);
        drop(one);
        // Another node that looks follows the record, and tells it itself.
        if !self.looks_at_checks().await? {
            return Ok(());
        }
        self.checks_tell_gone(self.now()).await
    }

    /// What a check is. On a shared database another node may have put it just now.
    async fn check_spec(&self, name: &str) -> Result<Arc<CheckSpec>, Fault> {
        let known = || self.checks.table.lock().get(name).map(|c| c.spec.clone());
        if let Some(spec) = known() {
            return Ok(spec);
        }
        if !self.settings.database_url.is_empty() {
            let stands = if self.looks_at_checks().await? { Stands::Kept } else { Stands::Stored };
            reload(self, stands).await?;
        }
        known().ok_or_else(|| missing(name))
    }

    /// Takes a result from outside; of active checks too, as Nagios does. A node that does not look keeps it for the one that
    /// does, and answers with how the check stood.
    pub async fn check_passive(&self, who: &Caller, name: &str, result: PassiveResult) -> Result<CheckView, Fault> {
        let spec = self.check_spec(name).await?;
        who.require(Role::Responder, spec.service.as_deref(), spec.environment.as_deref())?;
        let status = CheckStatus::parse(&result.status).ok_or_else(|| {
            Fault::invalid(format!("`{}` is not a status: ok, warning, critical or unknown", result.status))
        })?;
        if result.output.len() > RESULT_BYTES_MAX {
            return Err(Fault::invalid(format!("the output of a check has at most {RESULT_BYTES_MAX} bytes")));
        }
        if self.looks_at_checks().await? {
            // What was answered before this counts before it, whichever node it came to.
            self.checks_inbox(self.now()).await?;
            let ran = Ran { status, output: result.output.into_bytes() };
            self.check_result(name, ran, None, self.now()).await?;
            self.checks_keep();
        } else {
            self.check_hand_on(name, &Came::Result { status, output: result.output }).await?;
        }
        self.check(name)
    }

    /// Looks now instead of at its time.
    pub async fn check_now(&self, who: &Caller, name: &str) -> Result<CheckView, Fault> {
        let spec = self.check_spec(name).await?;
        who.require(Role::Responder, spec.service.as_deref(), spec.environment.as_deref())?;
        if matches!(spec.run, Run::Passive(_)) {
            return Err(Fault::invalid(format!("the check {name} is passive: its results are sent from outside")));
        }
        if self.looks_at_checks().await? {
            schedule::ask(self, name, self.now());
        } else {
            self.check_hand_on(name, &Came::Now).await?;
        }
        self.check(name)
    }

    pub fn check(&self, name: &str) -> Result<CheckView, Fault> {
        let lint = self.settings.alerts.lint;
        let table = self.checks.table.lock();
        let check = table.get(name).ok_or_else(|| missing(name))?;
        Ok(CheckView { findings: lint_lacking(lint, check.spec.lacks()), ..CheckView::new(name, check) })
    }
}
