//! What a host says of the limits of a service: in the log of the deploy, and in the record where it cannot hold one.

use tenfold_protocols::agent::{LimitsReport, OrderRef, Release};
use tenfold_types::{Actor, EventDraft, Severity, Source};

use super::ports::Stream;
use crate::App;

impl App {
    /// Says how the release is held. That a limit is missing is recorded once by each server, and again only when
    /// something else is missing.
    pub(super) async fn limits_told(&self, order: &OrderRef, host: &str, release: &Release) {
        let Some(limits) = &release.limits else { return };
        if !self.deploys.is_answer(host, order) {
            return;
        }
        self.deploy_log(order.deploy).say(Stream::Tenfold, Some(host), &said(limits));
        let key = (host.to_owned(), release.service.clone());
        let known = self.deploys.limits_missing.lock().insert(key, limits.missing.clone());
        if limits.missing.is_empty() || known.as_ref() == Some(&limits.missing) {
            return;
        }
        let draft = missing(order, host, limits);
        let recorded = self.transact(move |t| t.record(draft.clone()).map(|_| ())).await;
        if let Err(fault) = recorded {
            tracing::warn!(%fault, %host, "that a limit is not held could not be recorded");
        }
    }
}

fn said(limits: &LimitsReport) -> String {
    let in_force = if limits.in_force.is_empty() { "none".to_owned() } else { limits.in_force.join(", ") };
    let mut lines = vec![format!("limits in force: {in_force}")];
    lines.extend(limits.missing.iter().map(|what| format!("not held to: {what}")));
    lines.join("\n")
}

fn missing(order: &OrderRef, host: &str, limits: &LimitsReport) -> EventDraft {
    let (service, what) = (&order.service, limits.missing.join("; "));
    EventDraft::new(
        Actor::agent(host),
        Source::Agent,
        "host.limits_missing",
        format!("{host} runs {service} without all of its limits: {what}"),
    )
    .service(service)
    .environment(&order.environment)
    .host(host)
    .deploy(order.deploy)
    .correlation(format!("deploy:{}", order.deploy))
    .severity(Severity::Warning)
    .data(serde_json::json!({"in_force": limits.in_force, "missing": limits.missing}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_a_warning_with_its_reason() {
        let order = OrderRef { service: "photos".into(), environment: "production".into(), deploy: 7, epoch: 1 };
        let limits = LimitsReport {
            in_force: vec!["each process up to 64 open files".into()],
            missing: vec!["up to 50 % of a processor: no control group".into()],
        };
        let draft = missing(&order, "web1", &limits);
        assert_eq!(draft.kind, "host.limits_missing");
        assert!(draft.text.contains("web1 runs photos without all of its limits: up to 50 %"), "{}", draft.text);
        let lines = "limits in force: each process up to 64 open files\nnot held to: up to 50 % of a processor: no control group";
        assert_eq!(said(&limits), lines);
    }
}
