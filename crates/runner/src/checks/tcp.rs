//! A port that answers.

use std::time::Instant;

use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Tcp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Said, limits, seconds, slow, word};

/// Bytes that are waited through for the expected text.
const ANSWER_BYTES_MAX: usize = 64 << 10;

pub async fn look(tcp: &Tcp) -> Said {
    let began = Instant::now();
    match answer(tcp).await {
        Ok(said) => {
            let took = seconds(began);
            let status = slow(took, tcp.warning_seconds, tcp.critical_seconds);
            let limits = limits(tcp.warning_seconds, tcp.critical_seconds);
            let text = format!("TCP {} - {}{said} in {took:.3} s|time={took:.6}s{limits}", word(status), tcp.address);
            (status, text)
        }
        Err(message) => (CheckStatus::Critical, format!("TCP CRITICAL - {}: {message}", tcp.address)),
    }
}

async fn answer(tcp: &Tcp) -> Result<&'static str, String> {
    let mut stream = TcpStream::connect(&tcp.address).await.map_err(|e| e.to_string())?;
    if !tcp.send.is_empty() {
        stream.write_all(tcp.send.as_bytes()).await.map_err(|e| e.to_string())?;
    }
    if tcp.expect.is_empty() {
        return Ok(" is open");
    }
    let wanted = tcp.expect.as_bytes();
    let mut heard = Vec::new();
    let mut buffer = vec![0; 4 << 10];
    loop {
        let n = stream.read(&mut buffer).await.map_err(|e| e.to_string())?;
        heard.extend_from_slice(&buffer[..n]);
        if heard.windows(wanted.len()).any(|w| w == wanted) {
            return Ok(" answers as expected");
        }
        if n == 0 || heard.len() > ANSWER_BYTES_MAX {
            return Err("the expected text did not come".to_owned());
        }
    }
}
