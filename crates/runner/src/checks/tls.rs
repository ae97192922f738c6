//! When a server's certificate ends, and whether it is good at all.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Tls;
use tenfold_protocols::certificate::not_after;
use tenfold_types::Timestamp;
use tokio::net::TcpStream;

use super::{Said, roots::Roots, word};

pub async fn look(roots: &Roots, tls: &Tls, now: Timestamp) -> Said {
    let host = tls.address.rsplit_once(':').map_or(&*tls.address, |(h, _)| h).trim_matches(['[', ']']);
    let name = if tls.server_name.is_empty() { host } else { &tls.server_name };
    match chain(roots, tls, name, now).await {
        Ok((seconds_left, trusted)) => {
            let days = seconds_left / 86_400.0;
            let status = match (&trusted, days) {
                (Err(_), _) => CheckStatus::Critical,
                (Ok(()), d) if d < tls.critical_days => CheckStatus::Critical,
                (Ok(()), d) if d < tls.warning_days => CheckStatus::Warning,
                _ => CheckStatus::Ok,
            };
            let said = match &trusted {
                Err(why) => format!("the certificate of {name} is not good: {why}"),
                Ok(()) => format!("the certificate of {name} ends in {days:.1} days"),
            };
            let limits = format!("{};{}", tls.warning_days, tls.critical_days);
            (status, format!("TLS {} - {said}|days={days:.2};{limits}", word(status)))
        }
        Err(message) => (CheckStatus::Critical, format!("TLS CRITICAL - {}: {message}", tls.address)),
    }
}

type Trusted = Result<(), String>;

/// Seconds until the certificate ends, and whether it is trusted for the name.
async fn chain(roots: &Roots, tls: &Tls, name: &str, now: Timestamp) -> Result<(f64, Trusted), String> {
    let server = ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
    let verifier = rustls::client::WebPkiServerVerifier::builder(roots.with(tls.ca_file.as_deref()).await?).build();
    let shown = Arc::new(verifying::Keep::default());
    let config =
        ClientConfig::builder().dangerous().with_custom_certificate_verifier(shown.clone()).with_no_client_auth();
    let stream = TcpStream::connect(&tls.address).await.map_err(|e| e.to_string())?;
    // The connection is only looked at, nothing is sent over it; that the certificate is good is judged below.
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(server.clone(), stream)
        .await
        .map_err(|e| e.to_string())?;
    let certificates = shown.take();
    let (first, rest) = certificates.split_first().ok_or("the server showed no certificate")?;
    let end = not_after(first).ok_or("the certificate cannot be read")?;
    let since_epoch = Duration::from_millis(now.millis().unsigned_abs());
    let left = end.since_ms(now) as f64 / 1_000.0;
    let trusted = match verifier {
        Ok(verifier) => {
            use rustls::client::danger::ServerCertVerifier;
            let now = UnixTime::since_unix_epoch(since_epoch);
            verifier.verify_server_cert(first, rest, &server, &[], now).map(|_| ()).map_err(|e| e.to_string())
        }
        Err(e) => Err(format!("this machine knows no authorities: {e}")),
    };
    Ok((left, trusted))
}

mod verifying {
    //! Keeps the certificates of a handshake, to be judged afterwards: an expired one must be seen to be told.

    use parking_lot::Mutex;
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{ring, verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    use super::CertificateDer;

    #[derive(Debug, Default)]
    pub struct Keep(Mutex<Vec<CertificateDer<'static>>>);

    impl Keep {
        pub fn take(&self) -> Vec<CertificateDer<'static>> {
            std::mem::take(&mut *self.0.lock())
        }
    }

    impl ServerCertVerifier for Keep {
        fn verify_server_cert(
            &self,
            first: &CertificateDer<'_>,
            rest: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            let all = std::iter::once(first).chain(rest).map(|c| c.clone().into_owned());
            *self.0.lock() = all.collect();
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let known = ring::default_provider().signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signed, &known)
        }
        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let known = ring::default_provider().signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signed, &known)
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            ring::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
}
