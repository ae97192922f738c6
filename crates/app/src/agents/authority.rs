//! The server's own certificate authority for agents: two files in the data directory, and what it signs.
//!
//! What a request asks for beside its key is ignored: name, use and time of a certificate are the server's to say.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tenfold_types::{Clock, Entropy, Fault, Timestamp};

use super::identity::{TlsClock, fingerprint, seconds};
use crate::{App, private_file};

/// Largest request that is read, in PEM.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Clocks differ: certificates begin this much before they are made.
const BEFORE_MS: i64 = 5 * 60_000;
const AUTHORITY_YEARS: i64 = 20;
const YEAR_MS: i64 = 365 * 86_400_000;
/// The server's own certificate; it is made anew when half of its time is over.
const SERVER_MS: i64 = 30 * 86_400_000;

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("the agents' authority in {path} cannot be read or written: {error}")]
    Io { path: String, error: io::Error },
    #[error(
        "{path} can be read by others than its owner; chmod 600 {path}, and revoke every host if it may have been copied"
    )]
    Open { path: String },
    #[error(
        "{path} is missing while the other file of the agents' authority is there; restore it, or remove both to begin anew (every host has to be enrolled again)"
    )]
    Half { path: String },
    #[error("the agents' authority in {path} is refused: {error}")]
    Refused { path: String, error: rcgen::Error },
    #[error("the agents' address cannot be served: {0}")]
    Tls(String),
}

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pub pem: String,
    /// What enrolment tokens carry, so that an agent knows the server at its first word.
    pub fingerprint: String,
}

impl Authority {
    /// Opens what stands in the folder, or makes it.
    pub fn open(dir: &Path, now: Timestamp, entropy: &dyn Entropy) -> Result<Self, AuthorityError> {
        let (certificate, key) = (dir.join("authority.pem"), dir.join("authority.key"));
        let io_error = |path: &Path| {
            let path = path.display().to_string();
            move |error| AuthorityError::Io { path, error }
        };
        let refused = |error| AuthorityError::Refused { path: dir.display().to_string(), error };
        match (certificate.exists(), key.exists()) {
            (false, false) => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error(dir))?;
                let pair = KeyPair::generate().map_err(refused)?;
                let made = authority_params(now, entropy).self_signed(&pair).map_err(refused)?;
                // the key is whole beside its place before the certificate appears, and takes its place last: a crash
                // leaves nothing, or what the next start finishes
                let ready = ready(&key);
                private_file::write(&ready, &pair.serialize_pem()).map_err(io_error(&ready))?;
                private_file::write(&certificate, &made.pem()).map_err(io_error(&certificate))?;
                private_file::put(&ready, &key).map_err(io_error(&key))?;
            }
            (true, false) if ready(&key).exists() => private_file::put(&ready(&key), &key).map_err(io_error(&key))?,
            (false, true) => return Err(AuthorityError::Half { path: certificate.display().to_string() }),
            (true, false) => return Err(AuthorityError::Half { path: key.display().to_string() }),
            (true, true) => {}
        }
        let mode = fs::metadata(&key).map_err(io_error(&key))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(AuthorityError::Open { path: key.display().to_string() });
        }
        let pem = fs::read_to_string(&certificate).map_err(io_error(&certificate))?;
        let pair = KeyPair::from_pem(&fs::read_to_string(&key).map_err(io_error(&key))?).map_err(refused)?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| refused(rcgen::Error::CouldNotParseCertificate))?;
        let issuer = Issuer::from_ca_cert_der(&der, pair).map_err(refused)?;
        Ok(Self { fingerprint: fingerprint(&der), issuer, der, pem })
    }

    /// A certificate for a host's key; PEM and DER.
    pub fn sign_host(
        &self,
        request: &str,
        host: &str,
        until: Timestamp,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<(String, Vec<u8>), Fault> {
        let key = read_request(request)?.public_key;
        let mut params = leaf(host, now, until, entropy, ExtendedKeyUsagePurpose::ClientAuth);
        if let Ok(name) = host.try_into() {
            params.subject_alt_names = vec![SanType::DnsName(name)];
        }
        let made = params
            .signed_by(&key, &self.issuer)
            .map_err(|e| Fault::internal(format!("the certificate of {host} could not be signed: {e}")))?;
        Ok((made.pem(), made.der().to_vec()))
    }

    /// The server's own certificate with its key, for these names and addresses.
    fn server_key(&self, names: &[String], now: Timestamp, entropy: &dyn Entropy) -> Result<CertifiedKey, String> {
        let pair = KeyPair::generate().map_err(|e| e.to_string())?;
        let first = names.first().map_or("tenfold", String::as_str);
        let until = now.plus_ms(SERVER_MS);
        let mut params = leaf(first, now, until, entropy, ExtendedKeyUsagePurpose::ServerAuth);
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into().map_err(|_| format!("`{name}` is no name"))?),
            });
        }
        let made = params.signed_by(&pair, &self.issuer).map_err(|e| e.to_string())?;
        let key = PrivateKeyDer::try_from(pair.serialize_der()).map_err(ToString::to_string)?;
        let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|e| e.to_string())?;
        Ok(CertifiedKey::new(vec![made.der().clone(), self.der.clone()], key))
    }
}

/// Reads a request (PKCS #10 in PEM), checks that it is signed by its own key, and that the key is of a kind we take.
pub(super) fn read_request(pem: &str) -> Result<CertificateSigningRequestParams, Fault> {
    if pem.len() > REQUEST_BYTES_MAX {
        return Err(Fault::invalid(format!("the request has {} bytes, more than {REQUEST_BYTES_MAX}", pem.len())));
    }
    let request = CertificateSigningRequestParams::from_pem(pem).map_err(|e| {
        Fault::invalid(format!("the signing request cannot be read: {e}")).advice("send PKCS #10 in PEM")
    })?;
    let algorithm = request.public_key.algorithm();
    if ![&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519].contains(&algorithm) {
        return Err(Fault::invalid("the signing request's key is of a kind that is not taken")
            .advice("use ECDSA on P-256 or Ed25519"));
    }
    Ok(request)
}

/// What names the key of a request: the digest of its public half.
pub(super) fn key_of(request: &CertificateSigningRequestParams) -> String {
    fingerprint(&request.public_key.subject_public_key_info())
}

fn authority_params(now: Timestamp, entropy: &dyn Entropy) -> CertificateParams {
    let mut params = plain(now, now.plus_ms(AUTHORITY_YEARS * YEAR_MS), entropy);
    params.distinguished_name.push(DnType::CommonName, "tenfold agents");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(
    name: &str,
    now: Timestamp,
    until: Timestamp,
    entropy: &dyn Entropy,
    usage: ExtendedKeyUsagePurpose,
) -> CertificateParams {
    let mut params = plain(now, until, entropy);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    params
}

fn plain(now: Timestamp, until: Timestamp, entropy: &dyn Entropy) -> CertificateParams {
    let mut serial = [0; 16];
    entropy.fill(&mut serial);
    // positive, and never shorter than it is long
    serial[0] = serial[0] & 0x7F | 0x40;
    let at = |at: Timestamp| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds(at));
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = at(now.plus_ms(-BEFORE_MS));
    params.not_after = at(until);
    params
}

/// Where the key of an authority that is being made stands until its certificate does.
fn ready(key: &Path) -> PathBuf {
    key.with_extension("key-ready")
}

/// Gives the server's certificate, and makes it anew before it runs out.
struct OwnCertificate {
    app: App,
    names: Vec<String>,
    current: RwLock<(Arc<CertifiedKey>, Timestamp)>,
}

impl std::fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnCertificate").field("names", &self.names).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = self.app.now();
        let (key, made_at) = self.current.read().clone();
        if now.millis() - made_at.millis() < SERVER_MS / 2 {
            return Some(key);
        }
        let made = self.app.agents.authority.get()?.server_key(&self.names, now, &*self.app.entropy);
        match made {
            Ok(made) => {
                let made = Arc::new(made);
                *self.current.write() = (made.clone(), now);
                Some(made)
            }
            Err(error) => {
                tracing::error!(%error, "the certificate of the agents' address could not be made anew");
                Some(key)
            }
        }
    }
}

/// How the agents' address speaks TLS: 1.3 alone, with our own certificate, asking for one of ours; `None` when agents have
/// no address of their own. An agent without one gets as far as enrolling.
pub fn server_config(app: &App) -> Result<Option<ServerConfig>, AuthorityError> {
    let Some(authority) = app.agents.authority.get() else { return Ok(None) };
    let tls = |e: String| AuthorityError::Tls(e);
    let names = own_names(&app.settings.agents.names, &app.settings.public_url);
    let now = app.now();
    let key = authority.server_key(&names, now, &*app.entropy).map_err(tls)?;
    let own = OwnCertificate { app: app.clone(), names, current: RwLock::new((Arc::new(key), now)) };
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).map_err(|e| tls(e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|e| tls(e.to_string()))?;
    let clock: Arc<dyn Clock> = app.clock.clone();
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(TlsClock(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| tls(e.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(own));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // a session that is resumed would skip the look at the certificate's time
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Some(config))
}

/// The names agents may call the server by: those of the settings, that of the public address, and this machine.
fn own_names(settings: &[String], public_url: &str) -> Vec<String> {
    let host = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let mut names: Vec<String> = Vec::new();
    for name in settings.iter().map(String::as_str).chain([host, "localhost", "127.0.0.1", "::1"]) {
        if !name.is_empty() && !names.iter().any(|n| n == name) {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    const NOW: Timestamp = Timestamp(1_795_424_400_000);

    fn open(dir: &Path) -> Result<Authority, AuthorityError> {
        Authority::open(dir, NOW, &Counting(1.into()))
    }

    #[test]
    fn it_is_made_once_and_its_key_is_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("agents-ca");
        let first = open(&dir).unwrap();
        assert_eq!(open(&dir).unwrap().fingerprint, first.fingerprint);
        let key = dir.join("authority.key");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(open(&dir), Err(AuthorityError::Open { .. })));
        fs::remove_file(&key).unwrap();
        let error = open(&dir).err().unwrap().to_string();
        assert!(error.contains("authority.key is missing"), "{error}");
    }

    #[test]
    fn a_crash_while_it_is_made_leaves_a_server_that_starts() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("agents-ca");
        let first = open(&dir).unwrap();
        // before the key took its place
        fs::rename(dir.join("authority.key"), dir.join("authority.key-ready")).unwrap();
        assert_eq!(open(&dir).unwrap().fingerprint, first.fingerprint);
        assert!(!dir.join("authority.key-ready").exists());
        // before the certificate appeared
        fs::rename(dir.join("authority.key"), dir.join("authority.key-ready")).unwrap();
        fs::remove_file(dir.join("authority.pem")).unwrap();
        let second = open(&dir).unwrap();
        assert_ne!(second.fingerprint, first.fingerprint);
        assert_eq!(open(&dir).unwrap().fingerprint, second.fingerprint);
    }

    #[test]
    fn a_key_is_named_by_itself_alone() {
        let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let name = |pair: &KeyPair| {
            let request = CertificateParams::default().serialize_request(pair).unwrap().pem().unwrap();
            key_of(&read_request(&request).unwrap())
        };
        assert_eq!(name(&one), name(&one));
        assert_ne!(name(&one), name(&other));
    }

    #[test]
    fn a_request_gets_what_we_say_and_not_what_it_asks() {
        let dir = tempfile::tempdir().unwrap();
        let authority = open(dir.path()).unwrap();
        let mut asked = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pair = KeyPair::generate().unwrap();
        let request = asked.serialize_request(&pair).unwrap().pem().unwrap();
        let until = NOW.plus_ms(86_400_000);
        let (_, der) = authority.sign_host(&request, "web-1", until, NOW, &Counting(9.into())).unwrap();
        assert_eq!(tenfold_protocols::certificate::not_after(&der), Some(until));
        let text = String::from_utf8_lossy(&der).into_owned();
        assert!(text.contains("web-1") && !text.contains("evil"), "{text}");
    }

    #[test]
    fn requests_that_are_refused() {
        let pair = KeyPair::generate().unwrap();
        let good = CertificateParams::default().serialize_request(&pair).unwrap();
        assert!(read_request(&good.pem().unwrap()).is_ok());
        let mut forged = good.der().to_vec();
        *forged.last_mut().unwrap() ^= 1;
        let pem = |der: &[u8]| {
            use base64::Engine;
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
        };
        assert!(read_request(&pem(good.der())).is_ok());
        assert!(read_request(&pem(&forged)).unwrap_err().message.contains("cannot be read"));
        let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let other = CertificateParams::default().serialize_request(&other).unwrap().pem().unwrap();
        assert!(read_request(&other).unwrap_err().advice.contains("P-256"));
        for bad in ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"] {
            assert!(read_request(bad).is_err());
        }
        assert!(read_request(&"a".repeat(REQUEST_BYTES_MAX + 1)).unwrap_err().message.contains("more than"));
        for cut in 0..good.der().len() {
            assert!(read_request(&pem(&good.der()[..cut])).is_err());
        }
    }

    #[test]
    fn the_servers_names() {
        let names = own_names(&["deploys.lan".into()], "https://tenfold.example:7070/x");
        assert_eq!(names, ["deploys.lan", "tenfold.example", "localhost", "127.0.0.1", "::1"]);
        assert_eq!(own_names(&[], "http://[::1]:7070"), ["::1", "localhost", "127.0.0.1"]);
    }
}
