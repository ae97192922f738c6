//! A second client: raw lines, no help from the code under test but the parser.

use std::time::Duration;

use tenfold_protocols::irc::Message;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// Who was in the channel on joining.
    pub names: Vec<String>,
    seen: Vec<String>,
}

impl Client {
    pub async fn join(server: &super::Server, nick: &str, channel: &str) -> Self {
        let (reader, writer) = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap().into_split();
        let mut client = Self { reader: BufReader::new(reader), writer, names: Vec::new(), seen: Vec::new() };
        client.send(&format!("NICK {nick}")).await;
        client.send(&format!("USER {nick} 0 * :{nick}")).await;
        client.until("the welcome", |m| m.numeric() == Some(1)).await;
        client.send(&format!("JOIN {channel}")).await;
        let names = client.until("the names", |m| m.numeric() == Some(353)).await;
        client.names = names.param(3).split_ascii_whitespace().map(str::to_owned).collect();
        client.until("the end of names", |m| m.numeric() == Some(366)).await;
        client
    }

    pub async fn send(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    pub async fn say(&mut self, target: &str, text: &str) {
        self.send(&format!("PRIVMSG {target} :{text}")).await;
    }

    /// Leaves and waits until the server has let go.
    pub async fn quit(mut self) {
        self.send("QUIT :bye").await;
        let mut line = Vec::new();
        while matches!(self.reader.read_until(b'\n', &mut line).await, Ok(n) if n > 0) {
            line.clear();
        }
    }

    async fn next(&mut self) -> Message {
        loop {
            let mut line = Vec::new();
            let read = self.reader.read_until(b'\n', &mut line).await.unwrap();
            assert!(read > 0, "the server closed the connection; seen: {:#?}", self.seen);
            self.seen.push(String::from_utf8_lossy(&line).into_owned());
            assert!(line.len() <= 512, "a line of {} bytes", line.len());
            let message = Message::parse_bytes(&line).unwrap();
            if message.is("PING") {
                self.send(&format!("PONG :{}", message.param(0))).await;
            } else {
                return message;
            }
        }
    }

    /// Reads on to the first message that is wanted.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let message = self.next().await;
                if wanted(&message) {
                    return message;
                }
            }
        })
        .await;
        found.unwrap_or_else(|_| panic!("{what} did not come; seen: {:#?}", self.seen))
    }

    pub async fn hears_join(&mut self, nick: &str) {
        let source = format!("{nick}!");
        self.until("a JOIN", |m| m.is("JOIN") && m.source.as_deref().is_some_and(|s| s.starts_with(&source))).await;
    }

    /// The text of the next line somebody says.
    pub async fn next_text(&mut self) -> String {
        self.until("a line", |m| m.is("PRIVMSG")).await.param(1).to_owned()
    }

    pub async fn until_text(&mut self, wanted: impl Fn(&str, &str) -> bool) -> String {
        self.until("a line", |m| m.is("PRIVMSG") && wanted(m.param(0), m.param(1))).await.param(1).to_owned()
    }

    pub async fn hears(&mut self, text: &str) {
        let heard = self.next_text().await;
        assert_eq!(heard, text);
    }
}
