//! Requests of HTTP as servers of the tests read them.

use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::TcpStream;

/// The head of the next request, with its empty line, and its body. `None` where it ends before.
pub async fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    // Whoever asks waits for the answer: what is read ahead is of this request.
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}
