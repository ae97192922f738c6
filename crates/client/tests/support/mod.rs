//! A server of a few lines on loopback that answers as the test wants, and the events a client tells.

#![expect(clippy::unwrap_used, reason = "a test's support fails the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenfold_client::{Builder, Client, Event};

/// Longer than anything here takes; only a failing test waits for it.
pub const LONG: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
pub struct Request {
    pub line: String,
    pub headers: Vec<String>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|h| {
            let (n, value) = h.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub enum Reply {
    /// Status line and headers without the length, and the body.
    Full(&'static str, Vec<u8>),
    /// Pieces of a stream, as they come; the connection ends with the sender.
    Stream(Receiver<String>),
    /// The request is read, and nothing is ever said.
    Silence,
}

pub struct Server {
    pub url: String,
    pub requests: Receiver<Request>,
}

impl Server {
    pub fn start(answer: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let (seen, requests) = mpsc::channel();
        let answer = Arc::new(Mutex::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (seen.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { url: format!("http://{address}"), requests }
    }

    /// The next request whose first line holds `what`.
    pub fn request(&self, what: &str) -> Request {
        loop {
            let request = self.requests.recv_timeout(LONG).unwrap_or_else(|_| panic!("no request for {what}"));
            if request.line.contains(what) {
                return request;
            }
        }
    }
}

fn serve(mut stream: TcpStream, seen: &Sender<Request>, answer: &Mutex<impl FnMut(&Request) -> Reply>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let reply = answer.lock().unwrap()(&request);
        let _ = seen.send(request);
        match reply {
            Reply::Full(head, body) => {
                let mut answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
                answer.extend(body);
                if stream.write_all(&answer).is_err() {
                    return;
                }
            }
            Reply::Stream(pieces) => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
                for piece in pieces {
                    if stream.write_all(piece.as_bytes()).is_err() {
                        return;
                    }
                }
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
            Reply::Silence => {
                // Until the client goes away.
                let _ = reader.read(&mut [0]);
                return;
            }
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let mut request = Request { line: lines.remove(0), headers: lines, body: String::new() };
    let length = request.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}

/// Waits until the client tells an event that fits.
pub fn told(events: &Receiver<Event>, what: &str, fits: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.recv_timeout(LONG).unwrap_or_else(|_| panic!("not told: {what}"));
        if fits(&event) {
            return event;
        }
    }
}

/// A builder with short times, and what the client will tell.
pub fn client(url: &str) -> (Builder, Receiver<Event>) {
    let (tell, events) = mpsc::channel();
    let builder = Client::builder(url, "the token")
        .poll_interval(Duration::from_millis(50))
        .backoff(Duration::from_millis(50), Duration::from_millis(200))
        .on_event(move |event| {
            let _ = tell.send(event.clone());
        });
    (builder, events)
}

pub fn document(flag: &str, enabled: bool) -> String {
    serde_json::json!({"version": 2, "features": [{"name": flag, "enabled": enabled, "strategies": []}]}).to_string()
}
