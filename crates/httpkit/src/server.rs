//! The listener, plain or with TLS: connection cap, handshake and header timeout, graceful stop.
//!
//! A connection whose socket was parked as a stream ([`crate::streams`]) is over here and gives its place back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use crate::streams::Parkable;

/// Connections served at once; further ones wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 8_192;
/// A client that has not sent its headers by then is dropped.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams get this long to end when the server stops.
const DRAIN: Duration = Duration::from_secs(2);

/// Lifts the limit on open files as far as this process may, and gives it: each connection and each stream takes one.
pub fn raise_file_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1_024 };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft }
}

/// A client of an encrypted address that has not shaken hands by then is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The certificate a client showed, in DER, once the handshake proved that it holds its key.
#[derive(Debug, Clone)]
pub struct PeerCertificate(pub Arc<[u8]>);

/// Marks requests that came over an address that [`serve_tls`] serves.
#[derive(Debug, Clone, Copy)]
pub struct Encrypted;

/// Serves until `stop` is cancelled; then finishes what is under way, for a short while.
pub async fn serve<S>(listener: TcpListener, routes: S, stop: CancellationToken)
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    accept(listener, stop.clone(), move |stream, peer| {
        let (routes, stop) = (routes.clone(), stop.clone());
        async move {
            let version = tokio::select! {
                version = spoken(&stream) => version,
                () = stop.cancelled() => return,
            };
            let Some(version) = version else { return };
            let (stream, berth) = Parkable::new(stream);
            let prepare = move |request: &mut Request| {
                request.extensions_mut().insert(ConnectInfo(peer));
                request.extensions_mut().insert(berth.clone());
            };
            connection(stream, version, prepare, routes, stop).await;
        }
    })
    .await;
}

/// As [`serve`], with TLS. Requests carry [`Encrypted`], and [`PeerCertificate`] where the client showed one.
pub async fn serve_tls<S>(listener: TcpListener, tls: ServerConfig, routes: S, stop: CancellationToken)
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    accept(listener, stop.clone(), move |stream, peer| {
        let (routes, stop, acceptor) = (routes.clone(), stop.clone(), acceptor.clone());
        async move {
            let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::info!(%peer, %error, "a TLS handshake was refused"),
                Err(_) => return,
            };
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let shown = shown.map(|certificate| PeerCertificate(Arc::from(certificate.as_ref())));
            let prepare = move |request: &mut Request| {
                request.extensions_mut().insert(ConnectInfo(peer));
                request.extensions_mut().insert(Encrypted);
                if let Some(shown) = &shown {
                    request.extensions_mut().insert(shown.clone());
                }
            };
            connection(stream, Spoken::Either, prepare, routes, stop).await;
        }
    })
    .await;
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Http1,
    /// What HTTP/2 begins with (RFC 9113, section 3.4), or too little to tell.
    Either,
}

/// What a client speaks by its first bytes, which stay where they are: to read them for that costs each connection a second buffer
/// and a larger first one. Nobody is there who sends none in time.
async fn spoken(stream: &TcpStream) -> Option<Spoken> {
    let mut begun = [0; 4];
    let read = tokio::time::timeout(HEADER_TIMEOUT, stream.peek(&mut begun)).await;
    let count = read.ok()?.ok().filter(|count| *count > 0)?;
    Some(if b"PRI ".starts_with(&begun[..count]) { Spoken::Either } else { Spoken::Http1 })
}

/// Small answers leave without waiting for more: of the listener's connections, which take it over from it.
fn at_once(listener: &TcpListener) {
    if let Err(error) = setsockopt(listener, sockopt::TcpNoDelay, &true) {
        tracing::warn!(%error, "answers may wait for acknowledgements");
    }
}

async fn accept<F>(listener: TcpListener, stop: CancellationToken, serve: impl Fn(TcpStream, SocketAddr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = tokio_util::task::TaskTracker::new();
    at_once(&listener);
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        // In a box from the beginning: what a connection keeps is kilobytes, which the way into the task would copy.
        let serving = Box::pin(serve(stream, peer));
        connections.spawn(async move {
            serving.await;
            drop(place);
        });
        // What was accepted is served before the next is asked for, which is a call to the kernel whether there is one or not.
        tokio::task::yield_now().await;
    }
    connections.close();
    let _ = tokio::time::timeout(DRAIN, connections.wait()).await;
}

async fn connection<I, S>(
    stream: I,
    version: Spoken,
    prepare: impl Fn(&mut Request) + Send + Sync + 'static,
    routes: S,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        prepare(&mut request);
        routes.clone().oneshot(request)
    });
    // At most 100 headers are taken, which is hyper's own limit: one that is set costs memory from the heap for each request.
    if version == Spoken::Http1 {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        let serving = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        return until_stopped(serving, http1::UpgradeableConnection::graceful_shutdown, &stop).await;
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .max_header_list_size(16 * 1024);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    until_stopped(serving, auto::UpgradeableConnection::graceful_shutdown, &stop).await;
}

/// Serves a connection until it ends, or until what is under way when the server stops has had its time.
async fn until_stopped<C: Future>(serving: C, end: impl FnOnce(Pin<&mut C>), stop: &CancellationToken) {
    tokio::pin!(serving);
    tokio::select! {
        // Clients that go away or send nonsense are everyday life, not worth a line in the log.
        _ = serving.as_mut() => {}
        () = stop.cancelled() => {
            end(serving.as_mut());
            let _ = tokio::time::timeout(DRAIN, serving).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_take_over_that_answers_leave_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        at_once(&listener);
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(!client.nodelay().unwrap(), "it is nothing that every socket has");
    }

    #[tokio::test]
    async fn what_a_client_speaks_is_told_by_its_first_bytes() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let cases = [
            (&b"GET / HTTP/1.1"[..], Some(Spoken::Http1)),
            (b"PUT /", Some(Spoken::Http1)),
            (b"PRI * HTTP/2.0", Some(Spoken::Either)),
            (b"P", Some(Spoken::Either)),
            (b"", None),
        ];
        for (sent, expected) in cases {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            client.write_all(sent).await.unwrap();
            client.shutdown().await.unwrap();
            assert_eq!(spoken(&stream).await, expected, "{}", String::from_utf8_lossy(sent));
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, sent, "nothing was taken away");
        }
    }
}
