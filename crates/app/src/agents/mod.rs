//! Who is let in as an agent: enrolments that are used once, the server's own authority, and the certificates it gave.
//!
//! A certificate counts when the authority signed it *and* the store knows it as good: what was revoked is refused from
//! the next request on, and connections that stand are ended. Memory holds what is good, so nobody waits for the store.

mod authority;
mod enrol;
mod identity;
mod views;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use tenfold_store::agents as store;
use tenfold_types::{Fault, Timestamp};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::App;
use crate::record::mirror;

pub use authority::{AuthorityError, server_config};
pub use identity::{TlsClock, fingerprint, seconds};
pub use views::{EnrolRequest, Enrolment, EnrolmentCreated, HostCertificate, Issued, NewEnrolment, RenewRequest};

use authority::Authority;

/// The authority, and the certificates that are good.
#[derive(Default)]
pub struct State {
    authority: OnceLock<Authority>,
    good: RwLock<HashMap<String, Arc<HostCertificate>>>,
    /// Moves whenever a certificate stopped being good.
    generation: watch::Sender<u64>,
    /// Readings of the store take turns, so that an older one never replaces a newer one.
    reading: Mutex<()>,
}

/// Makes or opens the authority where agents have an address of their own, and reads the certificates.
pub async fn load(app: &App) -> Result<(), Fault> {
    if !app.settings.agents.listen.is_empty() {
        let authority = Authority::open(&app.settings.data_dir.join("agents-ca"), app.now(), &*app.entropy)
            .map_err(|e| Fault::internal(e.to_string()))?;
        let _ = app.agents.authority.set(authority);
    }
    app.certificates_load().await
}

/// Forgets certificates that ran out, and takes over what another node on the same database did to them.
pub async fn run(app: App, stop: CancellationToken) {
    let concerns = |kind: &str| kind.starts_with("agent.") || kind == "host.removed";
    mirror(&app, &stop, "certificates", concerns, || app.agents.expire(app.now()), || app.certificates_load()).await;
}

impl State {
    fn ended(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    fn expire(&self, now: Timestamp) {
        let mut good = self.good.write();
        let before = good.len();
        good.retain(|_, certificate| certificate.expires_at > now);
        let gone = good.len() < before;
        drop(good);
        if gone {
            self.ended();
        }
    }

    /// Forgets a host's certificates and tells the connections.
    pub(crate) fn forget(&self, host: &str) {
        self.good.write().retain(|_, certificate| certificate.host != host);
        self.ended();
    }
}

impl App {
    /// The certificate with this [`fingerprint`], while it is good.
    pub fn agent_certificate(&self, fingerprint: &str) -> Option<Arc<HostCertificate>> {
        let now = self.now();
        self.agents.good.read().get(fingerprint).filter(|c| c.expires_at > now).cloned()
    }

    /// Waits until a certificate is not good any more.
    pub async fn agent_certificate_ended(&self, fingerprint: &str) {
        let mut changed = self.agents.generation.subscribe();
        while self.agent_certificate(fingerprint).is_some() {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    async fn certificates_load(&self) -> Result<(), Fault> {
        let _turn = self.agents.reading.lock().await;
        let now = self.now();
        let rows = self.read(move |tx| Ok(store::certificates(tx, now)?)).await?;
        let fresh: HashMap<_, _> =
            rows.into_iter().map(|row| (row.fingerprint.clone(), Arc::new(HostCertificate::from(row)))).collect();
        let before = std::mem::replace(&mut *self.agents.good.write(), fresh);
        let gone = {
            let good = self.agents.good.read();
            before.keys().any(|fingerprint| !good.contains_key(fingerprint))
        };
        if gone {
            self.agents.ended();
        }
        Ok(())
    }
}
