//! A web server whose pages the test sets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::request::request;

#[derive(Default)]
struct Shared {
    /// Status line and headers, body.
    pages: BTreeMap<String, (String, Vec<u8>)>,
    /// The last request for each path, as it came.
    requests: BTreeMap<String, String>,
}

#[derive(Clone)]
pub struct Site {
    pub address: String,
    shared: Arc<Mutex<Shared>>,
}

impl Site {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let site = Self { address, shared: Arc::default() };
        let serving = site.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let site = serving.clone();
                tokio::spawn(async move {
                    let Some((head, body)) = request(&mut stream).await else { return };
                    let answer = site.answer(&(head + &String::from_utf8_lossy(&body)));
                    let _ = stream.write_all(&answer).await;
                });
            }
        });
        site
    }

    fn answer(&self, request: &str) -> Vec<u8> {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let mut shared = self.shared.lock().expect("no panic holds it");
        shared.requests.insert(path.to_owned(), request.to_ascii_lowercase());
        let none = ("404 Not Found".to_owned(), Vec::new());
        let (head, body) = shared.pages.get(path).unwrap_or(&none);
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        [head.into_bytes(), body.clone()].concat()
    }

    /// Sets a page with its content type and further header lines.
    pub fn page(&self, path: &str, kind: &str, body: impl Into<Vec<u8>>) {
        self.set(path, &format!("200 OK\r\nContent-Type: {kind}"), body);
    }

    pub fn set(&self, path: &str, head: &str, body: impl Into<Vec<u8>>) {
        self.shared.lock().expect("no panic holds it").pages.insert(path.to_owned(), (head.to_owned(), body.into()));
    }

    pub fn request(&self, path: &str) -> String {
        self.shared.lock().expect("no panic holds it").requests.get(path).cloned().unwrap_or_default()
    }
}
