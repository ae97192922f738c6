//! A mail is taken: its address says of which source, its thread or its subject of which alert.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};
use tenfold_protocols::alert_mail::{self, Mail};
use tenfold_protocols::smtp::Delivered;
use tenfold_store::alert_sources::{self as store, AlertSourceRow};
use tenfold_types::Fault;

use super::manage::{MAIL_SECRET_CHARS, spec_of};
use super::{AlertSourceKind, AlertSourceSpec, SENDER};
use crate::App;

/// How long an answer finds the alert of what it answers.
const REMEMBERED_MS: i64 = 30 * 86_400_000;

/// A mail as what it says.
pub(super) struct Said {
    mail: Mail,
    pub(super) alert: KeyedAlert,
    /// It answers a mail that is known here.
    answer: bool,
}

impl App {
    /// Whether an address takes mail.
    pub async fn mail_address_known(&self, address: &str) -> Result<bool, Fault> {
        Ok(self.mail_source(address).await?.is_some())
    }

    async fn mail_source(&self, address: &str) -> Result<Option<AlertSourceRow>, Fault> {
        let Some((local, domain)) = address.rsplit_once('@') else { return Ok(None) };
        let wanted = &self.settings.sources.mail_domain;
        let local = local.to_ascii_lowercase();
        let Some((name, secret)) = local.rsplit_once('-') else { return Ok(None) };
        if secret.len() != MAIL_SECRET_CHARS || !(wanted.is_empty() || wanted.eq_ignore_ascii_case(domain)) {
            return Ok(None);
        }
        let asked = name.to_owned();
        let Some(row) = self.read(move |tx| Ok(store::get(tx, &asked)?)).await? else { return Ok(None) };
        let own = match spec_of(&row)?.kind {
            AlertSourceKind::Mail => self.source_mail_secret(&row.id)?,
            AlertSourceKind::Heartbeat => self.source_beat_secret(&row.id)?,
            AlertSourceKind::Webhook | AlertSourceKind::Grafana => return Ok(None),
        };
        let fits = bool::from(subtle::ConstantTimeEq::ct_eq(own.as_bytes(), secret.as_bytes()));
        Ok(fits.then_some(row))
    }

    /// Takes a mail for all its addresses. It is to come again as long as one of them could not keep it, and refused when
    /// it is an alert to none.
    pub async fn alert_mail(&self, to: &[String], bytes: &[u8]) -> Delivered {
        let addresses: BTreeSet<String> = to.iter().map(|address| address.to_ascii_lowercase()).collect();
        let (mut taken, mut later) = (false, false);
        for address in &addresses {
            match self.mail_take(address, bytes).await {
                Ok(is) => taken |= is,
                Err(fault) => {
                    tracing::warn!(%fault, "a mail could not be kept; its sender is asked to send it again");
                    later = true;
                }
            }
        }
        match (later, taken) {
            // Those that took it know it again by its id.
            (true, _) => Delivered::Later,
            (false, true) => Delivered::Taken,
            (false, false) => Delivered::Refused,
        }
    }

    /// False when the mail can never be an alert.
    async fn mail_take(&self, address: &str, bytes: &[u8]) -> Result<bool, Fault> {
        let Some(row) = self.mail_source(address).await? else { return Ok(false) };
        let (name, spec) = (row.name.as_str(), spec_of(&row)?);
        if spec.kind == AlertSourceKind::Heartbeat {
            // That it came is all it says.
            self.heartbeat_heard(name, &spec).await?;
            return Ok(true);
        }
        let said = match self.mail_alert(name, &spec, bytes).await {
            Ok(said) => said,
            Err(fault) if fault.code == tenfold_types::ErrorCode::Invalid => {
                self.source_refused(name, &fault.message);
                return Ok(false);
            }
            Err(fault) => return Err(fault),
        };
        let id = said.mail.message_id.clone();
        if !id.is_empty() {
            // A server that did not hear that it was taken sends it again.
            let asked = (row.name.clone(), id.clone());
            if self.read(move |tx| Ok(store::mail_key(tx, &asked.0, &asked.1)?)).await?.is_some() {
                return Ok(true);
            }
        }
        let raises = said.alert.state == SaidState::Firing;
        let goes_on = match self.alert_keyed((SENDER, name), &said.alert.key).await? {
            // What people have put aside would ring anew.
            Some(alert) => !(raises && self.alert_is_aside(&alert).await?),
            None => false,
        };
        // An answer between people raises nothing that is over, and a machine's answer never does.
        let idle = said.mail.automatic || (said.answer && said.mail.marked_answer && !goes_on);
        let key = said.alert.key.clone();
        if !idle {
            self.alerts_keyed(&spec.caller(name), (SENDER, name), vec![said.alert]).await?;
        }
        if !id.is_empty() && !said.mail.automatic {
            let source = row.name.clone();
            self.housekeeping(move |t| {
                let now = t.now();
                Ok(store::mail_put(t.tx(), &source, &id, &key, now, now.plus_ms(-REMEMBERED_MS))?)
            })
            .await?;
        }
        self.source_heard(name);
        Ok(true)
    }

    pub(super) async fn mail_alert(&self, name: &str, spec: &AlertSourceSpec, bytes: &[u8]) -> Result<Said, Fault> {
        let mail = alert_mail::read(bytes, &spec.resolved_words).map_err(|e| Fault::invalid(e.to_string()))?;
        let (source, answers) = (name.to_owned(), mail.answers.clone());
        let thread = self
            .read(move |tx| {
                for id in &answers {
                    if let Some(key) = store::mail_key(tx, &source, id)? {
                        return Ok(Some(key));
                    }
                }
                Ok(None)
            })
            .await?;
        let answer = thread.is_some();
        let mut annotations = BTreeMap::from([("summary".to_owned(), mail.subject.clone())]);
        for (label, text) in [("description", &mail.text), ("sender", &mail.from)] {
            if !text.is_empty() {
                annotations.insert(label.to_owned(), text.clone());
            }
        }
        let severity = mail.severity.map(|s| ("severity".to_owned(), s.to_owned()));
        let alert = KeyedAlert {
            key: thread.unwrap_or_else(|| mail.key.clone()),
            state: mail.state,
            labels: severity.into_iter().collect(),
            annotations,
            starts_at: mail.sent_at.filter(|_| mail.state == SaidState::Firing),
            url: None,
        };
        Ok(Said { alert: spec.complete(name, alert), answer, mail })
    }
}
