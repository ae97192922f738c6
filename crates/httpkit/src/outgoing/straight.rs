//! Messages in the clear, straight to where an address leads: no TLS, no proxy, no redirect. HTTP/1.1 only.
//!
//! In a storm of alerts webhooks are many small messages to few places. What a client for everything does around each of
//! them costs more than the message, so that these are spoken here: whoever posts one turns its connection as well, and no
//! other task is woken for it.

use std::collections::HashMap;
use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::{Request, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use reqwest::header::{ACCEPT, HOST, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Body, Method, StatusCode, Url};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::AGENT;

/// A connection that nobody used for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(90);
/// Pieces of an answer's body that are read for the connection's sake.
const FRAMES_MAX: usize = 16;

/// Those of the environment.
static PROXIES: LazyLock<Matcher> = LazyLock::new(Matcher::from_env);

type BoxError = Box<dyn Error + Send + Sync>;

/// Where an address leads.
#[derive(Debug, Clone)]
pub struct Place {
    /// By which it is connected to.
    whole: Uri,
    /// As it stands in a request.
    path: Uri,
    host: HeaderValue,
    /// By which its connections are kept.
    name: Arc<str>,
}

impl Place {
    /// Nothing where the way there is another one: through TLS or a proxy of the environment, or with a name and a password
    /// that stand in the address.
    pub fn of(url: &Url) -> Option<Self> {
        if url.scheme() != "http" || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let whole: Uri = url.as_str().parse().ok()?;
        if PROXIES.intercept(&whole).is_some() {
            return None;
        }
        let path = Uri::from(whole.path_and_query()?.clone());
        let name: Arc<str> = whole.authority()?.as_str().into();
        let host = HeaderValue::from_str(&name).ok()?;
        Some(Self { whole, path, host, name })
    }
}

/// The head of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
}

/// Posts messages, and keeps the connections.
pub struct Straight {
    tcp: HttpConnector,
    idle: Arc<Mutex<Idle>>,
}

#[derive(Default)]
struct Idle {
    by_name: HashMap<Arc<str>, Vec<Kept>>,
    /// A task closes those that are not used.
    watched: bool,
}

/// A connection. It moves only while it is polled, which is the part of who has it.
struct Kept {
    sender: SendRequest<Body>,
    link: Connection<TokioIo<TcpStream>, Body>,
    since: Instant,
}

/// A message that got no answer.
struct Lost {
    /// The message, where nothing of it was sent.
    request: Option<Box<Request<Body>>>,
    error: BoxError,
}

impl Default for Straight {
    fn default() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        Self { tcp, idle: Arc::default() }
    }
}

impl Straight {
    /// Posts a message, and answers with the head of what came back. It takes as long as it takes: the limit is the caller's.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn post(&self, to: &Place, mut headers: HeaderMap, body: String) -> Result<Answer, BoxError> {
        headers.insert(HOST, to.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = to.path.clone();
        *request.headers_mut() = headers;
        loop {
            let kept = self.take(to).await;
            let used = kept.is_some();
            let mut kept = match kept {
                Some(kept) => kept,
                None => self.connect(to).await?,
            };
            match exchange(&mut kept, request).await {
                Ok((answer, free)) => {
                    if free {
                        self.keep(to, kept);
                    }
                    return Ok(answer);
                }
                // The other side closed a connection that was kept.
                Err(Lost { request: Some(unsent), .. }) if used => request = *unsent,
                Err(lost) => return Err(lost.error),
            }
        }
    }

    /// A connection that is kept and lives.
    async fn take(&self, to: &Place) -> Option<Kept> {
        loop {
            let mut kept = self.idle.lock().by_name.get_mut(&*to.name)?.pop()?;
            let lives = poll_fn(|cx| Poll::Ready(Pin::new(&mut kept.link).poll(cx).is_pending())).await;
            if lives && kept.sender.is_ready() && kept.since.elapsed() < IDLE_MAX {
                return Some(kept);
            }
        }
    }

    async fn connect(&self, to: &Place) -> Result<Kept, BoxError> {
        let stream = self.tcp.clone().oneshot(to.whole.clone()).await?;
        let (sender, link) = handshake(stream).await?;
        Ok(Kept { sender, link, since: Instant::now() })
    }

    fn keep(&self, to: &Place, mut kept: Kept) {
        kept.since = Instant::now();
        let mut idle = self.idle.lock();
        idle.by_name.entry(to.name.clone()).or_default().push(kept);
        if !std::mem::replace(&mut idle.watched, true) {
            tokio::spawn(close_unused(Arc::downgrade(&self.idle)));
        }
    }
}

/// Closes connections that are not used, until none is left.
async fn close_unused(of: Weak<Mutex<Idle>>) {
    loop {
        tokio::time::sleep(IDLE_MAX).await;
        let Some(shared) = of.upgrade() else { return };
        let mut idle = shared.lock();
        idle.by_name.retain(|_, list| {
            list.retain(|kept| kept.since.elapsed() < IDLE_MAX);
            !list.is_empty()
        });
        if idle.by_name.is_empty() {
            idle.watched = false;
            return;
        }
    }
}

/// A message and its answer over one connection; true with it when the connection is free for the next.
async fn exchange(kept: &mut Kept, request: Request<Body>) -> Result<(Answer, bool), Lost> {
    let mut answer = pin!(kept.sender.try_send_request(request));
    let mut open = true;
    let answered = poll_fn(|cx| {
        // The connection first: it takes the message out and the answer in.
        open = open && Pin::new(&mut kept.link).poll(cx).is_pending();
        match answer.as_mut().poll(cx) {
            Poll::Ready(answered) => Poll::Ready(Some(answered)),
            Poll::Pending if open => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        }
    });
    let (head, mut body) = match answered.await {
        Some(Ok(response)) => response.into_parts(),
        Some(Err(mut error)) => {
            let request = error.take_message().map(Box::new);
            return Err(Lost { request, error: error.into_error().into() });
        }
        None => return Err(Lost { request: None, error: "the connection was closed before the answer".into() }),
    };
    let free = open && poll_fn(|cx| Poll::Ready(is_free(kept, &mut body, cx))).await;
    Ok((Answer { status: head.status, headers: head.headers }, free))
}

/// Reads what has come of an answer's body, and waits for no more. True when that is all of it, and the connection is ready.
fn is_free(kept: &mut Kept, body: &mut Incoming, cx: &mut Context<'_>) -> bool {
    let mut over = body.is_end_stream();
    for _ in 0..FRAMES_MAX {
        if Pin::new(&mut kept.link).poll(cx).is_ready() {
            return false;
        }
        if over {
            return kept.sender.is_ready();
        }
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(Some(Ok(_))) => over = body.is_end_stream(),
            Poll::Ready(None) => over = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const MESSAGE: &str = "the message";

    /// Answers two messages on each connection, and closes it with the second.
    async fn receiver() -> (Place, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?a=b", listener.local_addr().unwrap());
        let serve = tokio::spawn(async move {
            for connection in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                for after in ["keep-alive", "close"] {
                    let mut asked = Vec::new();
                    while !asked.ends_with(MESSAGE.as_bytes()) {
                        let Ok(byte) = stream.read_u8().await else { return };
                        asked.push(byte);
                    }
                    let asked = String::from_utf8(asked).unwrap();
                    assert!(asked.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{asked}");
                    assert!(asked.contains("content-length: 11\r\n") && asked.contains("host: 127.0.0.1:"), "{asked}");
                    let head = format!("connection: {after}\r\nx-connection: {connection}\r\ncontent-length: 2");
                    let answer = format!("HTTP/1.1 202 Accepted\r\n{head}\r\n\r\nok");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        (Place::of(&Url::parse(&url).unwrap()).expect("it is reached without a proxy"), serve)
    }

    #[tokio::test]
    async fn messages_share_a_connection_until_it_is_closed() {
        let (to, serve) = receiver().await;
        let straight = Straight::default();
        let mut connections = Vec::new();
        for _ in 0..4 {
            let answer = straight.post(&to, HeaderMap::new(), MESSAGE.to_owned()).await.unwrap();
            assert_eq!(answer.status, StatusCode::ACCEPTED);
            connections.push(answer.headers["x-connection"].to_str().unwrap().to_owned());
        }
        assert_eq!(connections, ["0", "0", "1", "1"]);
        serve.abort();
    }

    #[tokio::test]
    async fn nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let to = Place::of(&Url::parse(&url).unwrap()).expect("it is reached without a proxy");
        let refused = Straight::default().post(&to, HeaderMap::new(), MESSAGE.to_owned()).await;
        assert!(super::super::innermost(&*refused.unwrap_err()).contains("refused"));
    }

    #[test]
    fn only_what_is_reached_in_the_clear_and_by_its_address_alone() {
        let of = |url: &str| Place::of(&Url::parse(url).unwrap());
        let there = of("http://127.0.0.1:9093/a%20b?c#d").expect("it is reached without a proxy");
        assert_eq!((&*there.name, there.path.to_string().as_str()), ("127.0.0.1:9093", "/a%20b?c"));
        assert!(of("https://127.0.0.1/").is_none());
        assert!(of("http://ann:pw@127.0.0.1/").is_none());
        assert_eq!(&*of("http://127.0.0.1:80").expect("it is reached without a proxy").name, "127.0.0.1");
    }
}
