//! Letting hosts in and out: an admin makes an enrolment, its token gets the first certificate, a certificate gets the next.
//!
//! A token is used by one key: who has that key gets the answer again until the token runs out, nobody else gets anything.

use tenfold_store::agents::{self as store, CertificateRow, EnrolmentRow};
use tenfold_types::{Actor, ErrorCode, EventDraft, Fault, Source, Timestamp, TokenId};

use super::authority::Authority;
use super::identity::fingerprint;
use super::views::{EnrolRequest, Enrolment, EnrolmentCreated, HostCertificate, Issued, NewEnrolment};
use crate::people::digest;
use crate::{App, Caller, Role};

const GOOD_FOR_S: u32 = 3_600;
const GOOD_FOR_S_MAX: u32 = 7 * 86_400;
/// Enrolments that wait at one time.
const ENROLMENTS_MAX: usize = 1_000;
/// Certificates that ran out are known for this long, for whoever asks why.
const FORGET_AFTER_MS: i64 = 7 * 86_400_000;
/// A certificate's common name holds no more.
const HOST_CHARS_MAX: usize = 64;

fn refused() -> Fault {
    Fault::new(ErrorCode::Unauthenticated, "the enrolment token is unknown, used or expired")
        .advice("an admin makes a new one: tenfold host enrol NAME")
}

fn check_host(name: &str) -> Result<(), Fault> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !name.is_empty() && name.len() <= HOST_CHARS_MAX && name.bytes().all(fine) {
        return Ok(());
    }
    Err(Fault::invalid(format!("`{name}` cannot be the name of a host"))
        .advice(format!("use 1 to {HOST_CHARS_MAX} letters, digits, `.`, `_` or `-`")))
}

impl App {
    fn authority(&self) -> Result<&Authority, Fault> {
        self.agents.authority.get().ok_or_else(|| {
            Fault::conflict("agents have no address of their own here, so no certificates are given")
                .advice("set `listen` under [agents] in the server's settings, for example \"0.0.0.0:7071\"")
        })
    }

    /// Whether a plain token may come from there.
    pub fn agent_token_allowed(&self, loopback: bool) -> Result<(), Fault> {
        use crate::settings::AgentTokens;
        let fault = |text: &str| {
            Err(Fault::forbidden(text).advice(
                "enrol the host (tenfold host enrol NAME), or set `tokens` under [agents] in the server's settings",
            ))
        };
        match self.settings.agents.tokens {
            AgentTokens::Anywhere => Ok(()),
            AgentTokens::Loopback if loopback => Ok(()),
            AgentTokens::Loopback => fault("an agent's plain token is taken from the server's own machine only"),
            AgentTokens::Never => fault("agents need a certificate here; plain tokens are not taken"),
        }
    }

    /// Whether a plain token may speak for a host of this name: not where the host has shown that it is another.
    pub fn agent_token_may_be(&self, host: &str) -> Result<(), Fault> {
        self.not_by_ssh(host)?;
        let now = self.now();
        if self.agents.good.read().values().any(|c| c.host == host && c.expires_at > now) {
            return Err(Fault::forbidden(format!("{host} has a certificate, so no plain token speaks for it"))
                .advice(format!("give the agent another name, or revoke: tenfold host revoke {host}")));
        }
        Ok(())
    }

    fn not_by_ssh(&self, host: &str) -> Result<(), Fault> {
        if self.settings.ssh.hosts.iter().any(|h| h.name == host) {
            return Err(Fault::conflict(format!("{host} is reached by ssh, so no agent comes in under its name"))
                .advice("give the agent another name, or take the host out of [ssh] in the server's settings"));
        }
        Ok(())
    }

    /// The enrolments that wait.
    pub async fn enrolments(&self, who: &Caller) -> Result<Vec<Enrolment>, Fault> {
        who.require(Role::Admin, None, None)?;
        let now = self.now();
        self.read(move |tx| Ok(store::enrolments(tx, now)?.into_iter().map(Enrolment::from).collect())).await
    }

    /// Lets one host come in once, for a while.
    pub async fn enrolment_create(&self, who: &Caller, new: NewEnrolment) -> Result<EnrolmentCreated, Fault> {
        who.require(Role::Admin, None, None)?;
        check_host(&new.host)?;
        self.not_by_ssh(&new.host)?;
        let good_for_s = new.good_for_s.unwrap_or(GOOD_FOR_S);
        if good_for_s == 0 || good_for_s > GOOD_FOR_S_MAX {
            return Err(Fault::invalid(format!("an enrolment is good for 1 to {GOOD_FOR_S_MAX} seconds")));
        }
        let known = self.environments().await?;
        if !known.iter().any(|e| e.name == new.environment) {
            let names: Vec<_> = known.into_iter().map(|e| e.name).collect();
            return Err(Fault::not_found(format!("there is no environment `{}`", new.environment))
                .advice(format!("known are {}", names.join(", "))));
        }
        let authority = self.authority()?.fingerprint.clone();
        let token = format!("tf_enrol_{}", self.random_text(32));
        let (hash, who) = (digest(&token), who.clone());
        let enrolment = self
            .transact(move |t| {
                let now = t.now();
                if store::enrolments(t.tx(), now)?.len() >= ENROLMENTS_MAX {
                    return Err(Fault::new(ErrorCode::TooMany, format!("{ENROLMENTS_MAX} enrolments wait already"))
                        .advice("wait until some were used or ran out, or remove them"));
                }
                let row = EnrolmentRow {
                    id: TokenId::new(now, t.entropy()).to_string(),
                    secret_hash: hash.clone(),
                    host: new.host.clone(),
                    environment: new.environment.clone(),
                    created_by: who.actor.id.clone(),
                    created_at: now,
                    expires_at: now.plus_ms(i64::from(good_for_s) * 1_000),
                };
                store::enrolment_insert(t.tx(), &row)?;
                let text = format!("{} lets the host {} come in", who.actor, row.host);
                t.record(
                    EventDraft::new(who.actor.clone(), who.source, "agent.enrolment_created", text)
                        .host(&row.host)
                        .environment(&row.environment)
                        .data(serde_json::json!({"enrolment": row.id, "expires_at": row.expires_at}))
                        .admins_only(),
                )?;
                Ok(Enrolment::from(row))
            })
            .await?;
        Ok(EnrolmentCreated { enrolment, secret: format!("{token}.{authority}") })
    }

    pub async fn enrolment_delete(&self, who: &Caller, id: &str) -> Result<(), Fault> {
        who.require(Role::Admin, None, None)?;
        let (id, who) = (id.to_owned(), who.clone());
        self.transact(move |t| {
            let host = store::enrolment_delete(t.tx(), &id)?
                .ok_or_else(|| Fault::not_found(format!("there is no enrolment `{id}`")))?;
            let text = format!("{} took the enrolment of {host} back", who.actor);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "agent.enrolment_removed", text)
                    .host(&host)
                    .data(serde_json::json!({"enrolment": id}))
                    .admins_only(),
            )?;
            Ok(())
        })
        .await
    }

    /// The first certificate of a host, for its token. The token is used up with it.
    pub async fn agent_enrol(&self, asked: EnrolRequest) -> Result<Issued, Fault> {
        self.authority()?;
        let EnrolRequest { token, host, environment, request } = asked;
        let key = super::authority::key_of(&super::authority::read_request(&request)?);
        // the part behind the dot names the authority, for the agent alone
        let hash = digest(token.trim().split('.').next().unwrap_or_default());
        // whoever guesses takes no turn at writing
        let (now, looked) = (self.now(), hash.clone());
        if self.read(move |tx| Ok(store::enrolment_find(tx, &looked, now)?)).await?.is_none() {
            return Err(refused());
        }
        self.not_by_ssh(&host)?;
        let app = self.clone();
        self.issue(move |t| {
            let now = t.now();
            let (row, _) = store::enrolment_find(t.tx(), &hash, now)?.ok_or_else(refused)?;
            if row.host != host || row.environment != environment {
                // nothing was written, so the token stays good for the right host
                return Err(Fault::forbidden(format!("the enrolment token is not for {host} in {environment}"))
                    .advice("start the agent with the name and environment that the token was made for"));
            }
            if !store::enrolment_use(t.tx(), &row.id, &key)? {
                return Err(refused());
            }
            let given = app.sign(&request, &row.host, &row.environment, now)?;
            let text = format!("{} was enrolled by a token of {}", row.host, row.created_by);
            Ok((given, "agent.enrolled", text))
        })
        .await
    }

    /// The next certificate of a host, for the one it holds, when half of that one's time is over.
    pub async fn agent_renew(&self, held: &HostCertificate, request: &str) -> Result<Issued, Fault> {
        let due = held.issued_at.plus_ms((held.expires_at.millis() - held.issued_at.millis()) / 2);
        if self.now() < due {
            return Err(Fault::conflict(format!(
                "the certificate is renewed from {due} on, when half of its time is over"
            )));
        }
        let (held, request, app) = (held.clone(), request.to_owned(), self.clone());
        self.issue(move |t| {
            let now = t.now();
            // memory may not know of a revocation yet
            if !store::certificate_is_good(t.tx(), &held.fingerprint, now)? {
                return Err(Fault::new(ErrorCode::Unauthenticated, "the certificate was revoked or has expired"));
            }
            let mut given = app.sign(&request, &held.host, &held.environment, now)?;
            given.shown = Some(held.fingerprint.clone());
            let text = format!("{} renewed its certificate", held.host);
            Ok((given, "agent.renewed", text))
        })
        .await
    }

    fn sign(&self, request: &str, host: &str, environment: &str, now: Timestamp) -> Result<Given, Fault> {
        let authority = self.authority()?;
        let hours = i64::from(self.settings.agents.certificate_hours.clamp(1, 24 * 365));
        // certificates write whole seconds
        let expires_at = Timestamp((now.millis() / 1_000) * 1_000 + hours * 3_600_000);
        let (pem, der) = authority.sign_host(request, host, expires_at, now, &*self.entropy)?;
        let row = CertificateRow {
            fingerprint: fingerprint(&der),
            host: host.to_owned(),
            environment: environment.to_owned(),
            issued_at: now,
            expires_at,
        };
        let issued = Issued {
            host: host.to_owned(),
            environment: environment.to_owned(),
            certificate: pem,
            authority: authority.pem.clone(),
            expires_at,
        };
        Ok(Given { row, issued, shown: None })
    }

    async fn issue<F>(&self, mut take: F) -> Result<Issued, Fault>
    where
        F: FnMut(&mut crate::Txn<'_>) -> Result<(Given, &'static str, String), Fault> + Send + 'static,
    {
        let given = self
            .transact(move |t| {
                let (given, kind, text) = take(t)?;
                let before = t.now().plus_ms(-FORGET_AFTER_MS);
                store::certificate_insert(t.tx(), &given.row, before)?;
                // the one that was shown stays: the answer may be lost
                let (row, now) = (&given.row, t.now());
                store::certificates_keep_two(t.tx(), &row.host, &row.fingerprint, given.shown.as_deref(), now)?;
                t.record(
                    EventDraft::new(Actor::agent(&given.row.host), Source::Agent, kind, text)
                        .host(&given.row.host)
                        .environment(&given.row.environment)
                        .data(serde_json::json!({
                            "fingerprint": given.row.fingerprint, "expires_at": given.row.expires_at,
                        }))
                        .admins_only(),
                )?;
                Ok(given)
            })
            .await?;
        // read anew and not added: it may have been revoked since
        if let Err(fault) = self.certificates_load().await {
            tracing::warn!(%fault, "the certificates could not be read again; a new one counts in a second");
        }
        Ok(given.issued)
    }

    /// The certificates that are good.
    pub async fn certificates(&self, who: &Caller) -> Result<Vec<HostCertificate>, Fault> {
        who.require(Role::Admin, None, None)?;
        let now = self.now();
        self.read(move |tx| Ok(store::certificates(tx, now)?.into_iter().map(HostCertificate::from).collect())).await
    }

    /// Makes every certificate of a host worthless, and every token that waits for it; its connection ends. To come in again
    /// it has to be enrolled anew. Returns how many certificates there were.
    pub async fn certificates_revoke(&self, who: &Caller, host: &str) -> Result<u64, Fault> {
        who.require(Role::Admin, None, None)?;
        let (name, who) = (host.to_owned(), who.clone());
        let revoked = self
            .transact(move |t| {
                let now = t.now();
                let revoked = store::certificates_revoke(t.tx(), &name, now)?;
                let waiting = store::enrolments_delete_of(t.tx(), &name, now)?;
                if revoked == 0 && waiting == 0 {
                    return Err(Fault::not_found(format!(
                        "the host `{name}` has no certificate that is good and no enrolment that waits"
                    )));
                }
                let text = format!("{} revoked the certificates of {name}", who.actor);
                t.record(
                    EventDraft::new(who.actor.clone(), who.source, "agent.revoked", text)
                        .host(&name)
                        .data(serde_json::json!({"certificates": revoked, "enrolments": waiting}))
                        .admins_only(),
                )?;
                Ok(revoked)
            })
            .await?;
        self.agents.forget(host);
        Ok(revoked)
    }
}

struct Given {
    row: CertificateRow,
    issued: Issued,
    /// The certificate that asked for this one.
    shown: Option<String>,
}
