//! A person of the demo in the IRC channel: joins, links the session to the account with a one-time code, and speaks.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;

use super::client::Client;
use super::irc::CHANNEL;

const ANSWER_MS_MAX: u64 = 10_000;
const LINES_WAITING_MAX: usize = 64;
const BOT: &str = "tenfold";

/// Speaks as one person. The connection ends when this is dropped.
pub struct Presence {
    lines: mpsc::Sender<String>,
}

impl Presence {
    /// Joins as `nick` and links the session to `person`'s account.
    pub async fn join(port: u16, nick: &str, person: &Client) -> anyhow::Result<Self> {
        let (reader, writer) = TcpStream::connect(("127.0.0.1", port)).await?.into_split();
        let (lines, queue) = mpsc::channel(LINES_WAITING_MAX);
        let (heard, mut ears) = mpsc::channel(LINES_WAITING_MAX);
        tokio::spawn(listen(BufReader::new(reader), lines.clone(), heard));
        tokio::spawn(speak(writer, queue));
        let presence = Self { lines };
        presence.send(format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}")).await?;
        wait_for(&mut ears, " 001 ").await?;
        presence.send(format!("JOIN {CHANNEL}")).await?;
        // The bot may still be on its way; it is only told once it is there.
        loop {
            presence.send(format!("NAMES {CHANNEL}")).await?;
            let names = wait_for(&mut ears, " 353 ").await?;
            if names.split([' ', ':', '@', '+']).any(|name| name == BOT) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let link = person.post("/api/chat/link", json!({})).await?;
        let code = link["code"].as_str().context("the server gave no code for the chat link")?;
        presence.send(format!("PRIVMSG {BOT} :!link {code}")).await?;
        wait_for(&mut ears, &format!("PRIVMSG {nick} :")).await?;
        // From here on nobody listens for answers: the listener only keeps the connection alive.
        drop(ears);
        Ok(presence)
    }

    pub async fn say(&self, text: &str) -> anyhow::Result<()> {
        self.send(format!("PRIVMSG {CHANNEL} :{text}")).await
    }

    async fn send(&self, line: String) -> anyhow::Result<()> {
        self.lines.send(line).await.ok().context("the connection to the IRC server has ended")
    }
}

async fn listen(
    mut reader: BufReader<tokio::net::tcp::OwnedReadHalf>,
    lines: mpsc::Sender<String>,
    heard: mpsc::Sender<String>,
) {
    let mut line = String::new();
    while reader.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
        if let Some(token) = line.strip_prefix("PING") {
            if lines.send(format!("PONG{}", token.trim_end())).await.is_err() {
                return;
            }
        } else {
            // A full or closed ear misses a line, and nothing waits for it.
            let _ = heard.try_send(line.trim_end().to_string());
        }
        line.clear();
    }
}

async fn speak(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<String>) {
    while let Some(line) = queue.recv().await {
        if writer.write_all(format!("{line}\r\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn wait_for(ears: &mut mpsc::Receiver<String>, part: &str) -> anyhow::Result<String> {
    let listening = async {
        while let Some(line) = ears.recv().await {
            if line.contains(part) {
                return Ok(line);
            }
        }
        bail!("the IRC server closed the connection")
    };
    match tokio::time::timeout(Duration::from_millis(ANSWER_MS_MAX), listening).await {
        Ok(heard) => heard,
        Err(_) => bail!("the IRC server said nothing like `{part}` within {} s", ANSWER_MS_MAX / 1000),
    }
}
