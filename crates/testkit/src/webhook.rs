//! An HTTP server that keeps the requests it is given.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::receiver::{Answer, Inbox};

/// The largest body that is read.
const BODY_BYTES_MAX: usize = 1 << 20;

/// One request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// `POST`, mostly.
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As text.
    pub body: String,
    /// As it came.
    pub bytes: Vec<u8>,
}

impl Hook {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// An HTTP/1.1 server on a free port of the loopback address; one request per connection.
#[derive(Debug)]
pub struct FakeWebhook {
    address: SocketAddr,
    inbox: Inbox<Hook>,
    /// The body of the answer to what is taken.
    reply: watch::Sender<String>,
    accepting: JoinHandle<()>,
}

impl FakeWebhook {
    /// Listens and answers 200 to everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("the loopback address has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let inbox = Inbox::new();
        let reply = watch::Sender::new(String::new());
        let (shared, said) = (inbox.clone(), reply.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (inbox, reply) = (shared.clone(), said.borrow().clone());
                tokio::spawn(async move {
                    // A client that goes away is its own business.
                    let _ = converse(stream, &inbox, &reply).await;
                });
            }
        });
        Self { address, inbox, reply, accepting }
    }

    /// `http://127.0.0.1:PORT` and `path`, which starts with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How it answers the next requests.
    pub fn answer(&self, answer: Answer) {
        self.inbox.set_answer(answer);
    }

    /// What it says to those whose requests it takes from now on; nothing at first.
    pub fn reply(&self, body: &str) {
        self.reply.send_replace(body.to_owned());
    }

    /// The requests so far.
    pub fn hooks(&self) -> Vec<Hook> {
        self.inbox.items()
    }

    /// Waits until there are `count` requests and returns them all.
    pub async fn wait_for(&self, count: usize) -> Vec<Hook> {
        self.inbox.wait_for(count).await
    }

    /// Waits until `count` requests have been tried, taken or not.
    pub async fn wait_for_attempts(&self, count: usize) {
        self.inbox.wait_for_attempts(count).await;
    }
}

impl Drop for FakeWebhook {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn converse(stream: TcpStream, inbox: &Inbox<Hook>, said: &str) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
    let mut hook = Hook { method, path, headers: Vec::new(), body: String::new(), bytes: Vec::new() };
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        hook.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = hook.header("content-length").and_then(|v| v.parse::<usize>().ok()).unwrap_or(0);
    let mut body = vec![0; length.min(BODY_BYTES_MAX)];
    stream.read_exact(&mut body).await?;
    hook.body = String::from_utf8_lossy(&body).into_owned();
    hook.bytes = body;
    let status = match inbox.attempt() {
        Answer::Accept => {
            inbox.push(hook);
            let length = said.len();
            let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{said}");
            return stream.write_all(reply.as_bytes()).await;
        }
        Answer::RefuseForNow => "503 Service Unavailable",
        Answer::Refuse => "410 Gone",
        Answer::Hangup => return Ok(()),
        Answer::Limit => "429 Too Many Requests\r\nretry-after: 7",
        Answer::Hang => return std::future::pending().await,
    };
    let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(reply.as_bytes()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn post(server: &FakeWebhook) -> String {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"POST /hook?a=1 HTTP/1.1\r\nX-Key: k\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn keeps_requests_and_refuses_on_demand() {
        let server = FakeWebhook::start().await;
        assert!(post(&server).await.starts_with("HTTP/1.1 200"));
        let hooks = server.wait_for(1).await;
        assert_eq!((hooks[0].method.as_str(), hooks[0].path.as_str()), ("POST", "/hook?a=1"));
        assert_eq!((hooks[0].header("x-key"), hooks[0].body.as_str()), (Some("k"), "{}"));
        server.answer(Answer::RefuseForNow);
        assert!(post(&server).await.starts_with("HTTP/1.1 503"));
        server.answer(Answer::Hangup);
        assert_eq!(post(&server).await, "");
        server.wait_for_attempts(3).await;
        assert_eq!(server.hooks().len(), 1);
    }
}
