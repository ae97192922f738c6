//! With what the agent proves which host it is: a key that never leaves this folder, and a certificate of the server's own
//! authority. The first is got with an enrolment token, the next with the one that is held, before it runs out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tenfold_app::{
    agents::{EnrolRequest, Issued, RenewRequest, TlsClock, fingerprint},
    private_file,
};
use tenfold_httpkit::body::{self, BodyError};
use tenfold_protocols::certificate::validity;
use tenfold_types::{Clock, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::AgentConfig;

const ANSWER: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How often is looked whether it is time for the next certificate; also the pause after a failure.
const LOOK: Duration = Duration::from_secs(5);
/// The pause after a token that was refused: it hardly gets better by itself.
const REFUSED: Duration = Duration::from_mins(1);

/// What is held now.
struct Held {
    tls: Arc<ClientConfig>,
    from: Timestamp,
    until: Timestamp,
}

pub(crate) struct Identity {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    /// Moves with every new certificate.
    renewed: watch::Sender<u64>,
}

impl Identity {
    /// What stands in the agent's folder, or what the enrolment token of the configuration gets; `None` when the agent uses
    /// a plain token.
    pub async fn open(config: &AgentConfig, stop: &CancellationToken) -> io::Result<Option<Self>> {
        let path = config.dir.join("identity.pem");
        let found = match fs::read_to_string(&path) {
            Ok(text) => Some(read(&text, &config.clock).map_err(|e| broken(&path, &e))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let held = match (found, &config.enrolment) {
            // also where its time is over: it says so when it connects, and `keep` asks with the token
            (Some(held), _) => held,
            (None, Some(token)) => {
                let enrolling = Enrolling::new(config, token)?;
                let text = enrolling.until_answered(config, stop).await?;
                let held = read(&text, &config.clock).map_err(|e| broken(&path, &e))?;
                private_file::write(&path, &text)?;
                enrolling.done();
                tracing::info!(host = %config.name, until = %held.until, "enrolled");
                held
            }
            (None, None) => return Ok(None),
        };
        let (renewed, _) = watch::channel(0);
        Ok(Some(Self { path, clock: config.clock.clone(), held: Mutex::new(held), renewed }))
    }

    /// How to speak TLS as this host; an error when the certificate has run out.
    pub fn tls(&self, host: &str) -> Result<Arc<ClientConfig>, String> {
        let held = self.held.lock();
        if held.until <= self.clock.now() {
            return Err(format!(
                "the certificate of this host ran out at {}; an admin lets it in again: tenfold host enrol {host}",
                held.until
            ));
        }
        Ok(held.tls.clone())
    }

    pub fn renewals(&self) -> watch::Receiver<u64> {
        self.renewed.subscribe()
    }

    /// Gets the next certificate whenever two thirds of the time of the one that is held are over. When it has run out, only
    /// a token helps.
    pub async fn keep(&self, config: &AgentConfig, stop: CancellationToken) {
        let mut pause = LOOK;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = LOOK;
            let (due, until, tls) = {
                let held = self.held.lock();
                let due = held.from.plus_ms((held.until.millis() - held.from.millis()) / 3 * 2);
                (due, held.until, held.tls.clone())
            };
            let now = self.clock.now();
            if now < due {
                continue;
            }
            let next = match &config.enrolment {
                _ if now < until => self.renew(config, tls).await,
                Some(token) => self.enrol_anew(config, token).await,
                None => continue,
            };
            match next {
                Ok(until) => tracing::info!(host = %config.name, %until, "the certificate was renewed"),
                Err(error) => {
                    if error.kind() == io::ErrorKind::PermissionDenied {
                        pause = REFUSED;
                    }
                    tracing::warn!(%error, "no new certificate was given; next try in {} s", pause.as_secs());
                }
            }
        }
    }

    async fn renew(&self, config: &AgentConfig, tls: Arc<ClientConfig>) -> io::Result<Timestamp> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let asked = RenewRequest { request: request_of(&key)? };
        let issued: Issued = ask(config, tls, "/agent/v1/renew", &asked).await?;
        self.hold(&whole(&key.serialize_pem(), &issued))
    }

    async fn enrol_anew(&self, config: &AgentConfig, token: &str) -> io::Result<Timestamp> {
        let enrolling = Enrolling::new(config, token)?;
        let until = self.hold(&enrolling.ask(config).await?)?;
        enrolling.done();
        Ok(until)
    }

    fn hold(&self, text: &str) -> io::Result<Timestamp> {
        let held = read(text, &self.clock).map_err(|e| broken(&self.path, &e))?;
        let until = held.until;
        private_file::write(&self.path, text)?;
        *self.held.lock() = held;
        self.renewed.send_modify(|n| *n += 1);
        Ok(until)
    }
}

/// Asking for the first certificate. The key is kept aside until it is there: where the answer was lost, the server gives
/// another for the same token and key, and to no other key.
struct Enrolling {
    key_file: PathBuf,
    key: KeyPair,
    tls: Arc<ClientConfig>,
    asked: EnrolRequest,
}

impl Enrolling {
    fn new(config: &AgentConfig, token: &str) -> io::Result<Self> {
        let token = token.trim();
        let pin = token.rsplit_once('.').map(|(_, pin)| pin).filter(|pin| pin.len() == 64);
        let pin = pin.ok_or_else(|| io::Error::other("the enrolment token is not whole; copy it again"))?;
        let tls = builder(&config.clock)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { authority: pin.to_owned() }))
            .with_no_client_auth();
        let key_file = config.dir.join("enrolment.key");
        let kept = fs::read_to_string(&key_file).ok().and_then(|text| KeyPair::from_pem(&text).ok());
        let key = if let Some(key) = kept {
            key
        } else {
            let key = KeyPair::generate().map_err(io::Error::other)?;
            private_file::write(&key_file, &key.serialize_pem())?;
            key
        };
        let asked = EnrolRequest {
            token: token.to_owned(),
            host: config.name.clone(),
            environment: config.environment.clone(),
            request: request_of(&key)?,
        };
        Ok(Self { key_file, key, tls: Arc::new(tls), asked })
    }

    /// Key, certificate and authority.
    async fn ask(&self, config: &AgentConfig) -> io::Result<String> {
        let issued: Issued = ask(config, self.tls.clone(), "/agent/v1/enrol", &self.asked).await?;
        Ok(whole(&self.key.serialize_pem(), &issued))
    }

    /// Asks until the server answers; what it refuses ends the agent with its words.
    async fn until_answered(&self, config: &AgentConfig, stop: &CancellationToken) -> io::Result<String> {
        loop {
            match self.ask(config).await {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    tracing::warn!(%error, "the server cannot be reached; next try in 5 s");
                }
                answered => return answered,
            }
            tokio::select! {
                () = stop.cancelled() => return Err(io::Error::other("stopped before the host was enrolled")),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// The certificate is kept; the key stands in its file.
    fn done(&self) {
        let _ = fs::remove_file(&self.key_file);
    }
}

fn request_of(key: &KeyPair) -> io::Result<String> {
    let request = CertificateParams::default().serialize_request(key).map_err(io::Error::other)?;
    request.pem().map_err(io::Error::other)
}

/// Asks the servers in turn. `NotConnected` when none answered, another kind when one refused.
async fn ask<T: serde::de::DeserializeOwned>(
    config: &AgentConfig,
    tls: Arc<ClientConfig>,
    path: &str,
    body: &impl serde::Serialize,
) -> io::Result<T> {
    let mut last = io::Error::new(io::ErrorKind::NotConnected, "no server is named");
    for server in &config.servers {
        match ask_one(server, tls.clone(), path, body).await {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => last = error,
            answered => return answered,
        }
    }
    Err(last)
}

async fn ask_one<T: serde::de::DeserializeOwned>(
    server: &str,
    tls: Arc<ClientConfig>,
    path: &str,
    body: &impl serde::Serialize,
) -> io::Result<T> {
    let base = server.trim_end_matches('/');
    if !base.starts_with("https://") {
        return Err(io::Error::other(format!("certificates need an https:// address, not `{base}`")));
    }
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(ClientConfig::clone(&tls))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(ANSWER)
        .build()
        .map_err(io::Error::other)?;
    let away = |error: reqwest::Error| {
        // a server that is not ours is no reason to go on asking
        let kind = if is_untrusted(&error) { io::ErrorKind::PermissionDenied } else { io::ErrorKind::NotConnected };
        io::Error::new(kind, causes(&error))
    };
    let answer = client.post(format!("{base}{path}")).json(body).send().await.map_err(away)?;
    let status = answer.status();
    let text = body::whole(answer.bytes_stream(), ANSWER_BYTES_MAX).await.map_err(|e| match e {
        BodyError::Broken(e) => away(e),
        BodyError::TooLarge => io::Error::other(format!("the server's answer is larger than {ANSWER_BYTES_MAX} bytes")),
    })?;
    if status.is_success() {
        return serde_json::from_slice(&text).map_err(io::Error::other);
    }
    let said: String = String::from_utf8_lossy(&text).chars().take(600).collect();
    let kind = if status.is_server_error() { io::ErrorKind::NotConnected } else { io::ErrorKind::PermissionDenied };
    Err(io::Error::new(kind, format!("the server answered {status}: {said}")))
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn is_untrusted(error: &dyn std::error::Error) -> bool {
    causes(error).contains("invalid peer certificate")
}

/// Key, certificate and authority in one file, so that they change together.
fn whole(key: &str, issued: &Issued) -> String {
    [key, &issued.certificate, &issued.authority].map(|part| format!("{}\n", part.trim_end())).concat()
}

fn read(text: &str, clock: &Arc<dyn Clock>) -> Result<Held, String> {
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|e| e.to_string())?;
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let [own, authority] = <[_; 2]>::try_from(certificates).map_err(|_| "it does not hold two certificates")?;
    let (from, until) = validity(&own).ok_or("the certificate has no time")?;
    let mut roots = RootCertStore::empty();
    roots.add(authority).map_err(|e| e.to_string())?;
    let tls = builder(clock)
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![own], key)
        .map_err(|e| e.to_string())?;
    Ok(Held { tls: Arc::new(tls), from, until })
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder(clock: &Arc<dyn Clock>) -> io::Result<Builder> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_details(provider, Arc::new(TlsClock(clock.clone())))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)
}

fn broken(path: &Path, error: &str) -> io::Error {
    io::Error::other(format!("{} cannot be used: {error}; remove it and enrol the host again", path.display()))
}

/// Trusts the authority whose digest came with the enrolment token, and nobody else.
#[derive(Debug)]
struct Pinned {
    authority: String,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let authority = others.iter().find(|c| fingerprint(c) == self.authority).ok_or_else(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|_| unknown())?;
        verifier.verify_server_cert(own, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 alone is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, own, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
