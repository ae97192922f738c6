//! Asks an NRPE daemon, plain or with a certificate that an authority of ours has signed. The anonymous ciphers that are
//! NRPE's default protect from nobody in between, and are not spoken.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::{Nrpe, Ran};
use tenfold_httpkit::outgoing::Files;
use tenfold_protocols::nrpe::{Version, answer, answer_length, query};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::roots;

const PORT: u16 = 5666;
/// The first bytes of an answer, which tell its length.
const FIRST: usize = 16;

/// Our certificate and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

pub async fn look(nrpe: &Nrpe, files: &Arc<Files>) -> Result<Ran, String> {
    let text = std::iter::once(&nrpe.command).chain(&nrpe.arguments).map(String::as_str).collect::<Vec<_>>().join("!");
    let version = if nrpe.version_2 { Version::V2 } else { Version::V4 };
    let question = query(version, &text, crc32fast::hash).map_err(|e| e.to_string())?;
    let (host, port) = host_and_port(&nrpe.address)?;
    let stream = TcpStream::connect((host, port)).await.map_err(|e| e.to_string())?;
    match &nrpe.ca_file {
        None => ask(stream, &question).await,
        Some(file) => {
            let name = if nrpe.server_name.is_empty() { host } else { &nrpe.server_name };
            let name = ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
            let trusted = roots::only(file).await?;
            let config = ClientConfig::builder().with_root_certificates(trusted);
            let config = match identity(nrpe, files).await? {
                None => config.with_no_client_auth(),
                Some((chain, key)) => {
                    let wrong = |e: rustls::Error| format!("`cert_file` and `key_file` make no certificate: {e}");
                    config.with_client_auth_cert(chain, key).map_err(wrong)?
                }
            };
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            ask(connector.connect(name, stream).await.map_err(|e| e.to_string())?, &question).await
        }
    }
}

/// `host`, `host:port`, and an address of version 6 with brackets around it or without a port.
fn host_and_port(address: &str) -> Result<(&str, u16), String> {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().map_err(|_| format!("`{port}` is not a port"))?)
        }
        _ => (address, PORT),
    };
    Ok((host.trim_matches(['[', ']']), port))
}

/// The files are read at every look: who renews them need not tell the server.
async fn identity(nrpe: &Nrpe, files: &Arc<Files>) -> Result<Option<Identity>, String> {
    let (Some(cert), Some(key)) = (nrpe.cert_file.clone(), nrpe.key_file.clone()) else { return Ok(None) };
    let files = files.clone();
    let read = move || {
        let wrong = |file: &str, e: &dyn std::fmt::Display| format!("{file}: {e}");
        let chain = CertificateDer::pem_slice_iter(&files.pem(&cert)?).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|e| wrong(&cert, &e))?;
        let own = PrivateKeyDer::from_pem_slice(&files.pem(&key)?).map_err(|e| wrong(&key, &e))?;
        Ok(Some((chain, own)))
    };
    tokio::task::spawn_blocking(read).await.map_err(|e| e.to_string())?
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, question: &[u8]) -> Result<Ran, String> {
    let cut = "the daemon closed the connection; does it allow this host, and does it speak TLS or not?";
    stream.write_all(question).await.map_err(|e| e.to_string())?;
    stream.flush().await.map_err(|e| e.to_string())?;
    let mut packet = vec![0; FIRST];
    stream.read_exact(&mut packet).await.map_err(|_| cut.to_owned())?;
    let length = answer_length(&packet).map_err(|e| e.to_string())?;
    packet.resize(length, 0);
    stream.read_exact(&mut packet[FIRST..]).await.map_err(|_| cut.to_owned())?;
    let (code, output) = answer(&packet, crc32fast::hash).map_err(|e| e.to_string())?;
    Ok(Ran { status: CheckStatus::of_exit(i32::from(code)), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_or_that_of_nrpe() {
        for (address, wanted) in [
            ("db1", ("db1", PORT)),
            ("db1:5777", ("db1", 5777)),
            ("10.0.0.1:5777", ("10.0.0.1", 5777)),
            ("2001:db8::1", ("2001:db8::1", PORT)),
            ("[2001:db8::1]", ("2001:db8::1", PORT)),
            ("[2001:db8::1]:5777", ("2001:db8::1", 5777)),
        ] {
            assert_eq!(host_and_port(address), Ok(wanted), "{address}");
        }
        assert!(host_and_port("db1:nrpe").is_err());
    }
}
