//! The socket: TCP or TLS, lines in, lines out. Knows nothing of IRC but the line end and the longest line.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tenfold_protocols::irc::{LINE_BODY_BYTES_MAX, LINE_TAGS_BYTES_MAX};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

const CONNECT: Duration = Duration::from_secs(20);
const WRITE: Duration = Duration::from_secs(20);
const LINE_BYTES_MAX: usize = LINE_TAGS_BYTES_MAX + LINE_BODY_BYTES_MAX;
/// Lines waiting to be written; a server that takes none for so long is as good as gone.
const UNWRITTEN_LINES_MAX: usize = 256;
const UNREAD_LINES_MAX: usize = 256;

/// What the socket says.
#[derive(Debug)]
pub enum WireEvent {
    Connected,
    Line(Vec<u8>),
    Closed(String),
}

/// Where to connect to.
#[derive(Debug, Clone)]
pub struct Address {
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

/// One connection. Dropping it ends it; what was sent before is still written.
pub struct Wire {
    lines: mpsc::Sender<String>,
    pub events: mpsc::Receiver<WireEvent>,
    reader: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Wire {
    /// Starts connecting; the outcome comes as an event.
    pub fn open(address: Address) -> Self {
        let (lines, unwritten) = mpsc::channel(UNWRITTEN_LINES_MAX);
        let (events, received) = mpsc::channel(UNREAD_LINES_MAX);
        let reader = tokio::spawn(async move {
            let reason = run(&address, unwritten, &events).await;
            // Nobody listens any more when the connection was given up.
            let _ = events.send(WireEvent::Closed(reason)).await;
        });
        Self { lines, events: received, reader }
    }

    /// Queues a line without its CR LF; false when the server takes none.
    pub fn send(&self, line: String) -> bool {
        self.lines.try_send(line).is_ok()
    }
}

async fn run(address: &Address, lines: mpsc::Receiver<String>, events: &mpsc::Sender<WireEvent>) -> String {
    let connecting = TcpStream::connect((address.host.as_str(), address.port));
    let stream = match tokio::time::timeout(CONNECT, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return format!("cannot connect to {}:{}: {error}", address.host, address.port),
        Err(_) => return format!("no connection to {}:{} within {CONNECT:?}", address.host, address.port),
    };
    // Lines are small and each matters.
    let _ = stream.set_nodelay(true);
    if !address.tls {
        return talk(stream, lines, events).await;
    }
    let connector = match connector() {
        Ok(connector) => connector,
        Err(reason) => return reason,
    };
    let Ok(name) = ServerName::try_from(address.host.clone()) else {
        return format!("`{}` is not a name a certificate can be for", address.host);
    };
    match tokio::time::timeout(CONNECT, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => talk(stream, lines, events).await,
        Ok(Err(error)) => format!("no TLS with {}: {error}", address.host),
        Err(_) => format!("no TLS with {} within {CONNECT:?}", address.host),
    }
}

/// TLS with the machine's own list of authorities; there is no way to skip the check.
fn connector() -> Result<TlsConnector, String> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err("this machine has no list of certificate authorities; install ca-certificates".into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn talk<S>(stream: S, mut lines: mpsc::Receiver<String>, events: &mpsc::Sender<WireEvent>) -> String
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    // A task of its own, so that a goodbye is written after the reader was told to stop.
    tokio::spawn(async move {
        while let Some(mut line) = lines.recv().await {
            line.push_str("\r\n");
            match tokio::time::timeout(WRITE, writer.write_all(line.as_bytes())).await {
                Ok(Ok(())) => {}
                _ => return,
            }
        }
        let _ = tokio::time::timeout(WRITE, writer.shutdown()).await;
    });
    if events.send(WireEvent::Connected).await.is_err() {
        return String::new();
    }
    let mut buffer = Vec::new();
    let mut chunk = vec![0_u8; 4_096];
    loop {
        let read = match reader.read(&mut chunk).await {
            Ok(0) => return "the server closed the connection".into(),
            Ok(read) => read,
            Err(error) => return format!("the connection broke: {error}"),
        };
        buffer.extend_from_slice(&chunk[..read]);
        while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            if events.send(WireEvent::Line(line)).await.is_err() {
                return String::new();
            }
        }
        if buffer.len() > LINE_BYTES_MAX {
            return format!("the server sent a line of more than {LINE_BYTES_MAX} bytes");
        }
    }
}
