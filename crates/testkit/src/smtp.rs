//! A mail server that keeps what it is given.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::receiver::{Answer, Inbox};

/// One mail as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Header and body, with lines ended by `\n` and leading dots undone.
    pub text: String,
}

/// An SMTP server (RFC 5321, without TLS) on a free port of the loopback address.
#[derive(Debug)]
pub struct FakeSmtp {
    address: SocketAddr,
    inbox: Inbox<Mail>,
    accepting: JoinHandle<()>,
}

impl FakeSmtp {
    /// Listens and accepts everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("the loopback address has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let inbox = Inbox::new();
        let shared = inbox.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let inbox = shared.clone();
                tokio::spawn(async move {
                    // A client that goes away is its own business.
                    let _ = converse(stream, &inbox).await;
                });
            }
        });
        Self { address, inbox, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it answers the next mails.
    pub fn answer(&self, answer: Answer) {
        self.inbox.set_answer(answer);
    }

    /// The mails so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.inbox.items()
    }

    /// Waits until there are `count` mails and returns them all.
    pub async fn wait_for(&self, count: usize) -> Vec<Mail> {
        self.inbox.wait_for(count).await
    }

    /// Waits until `count` mails have been tried, taken or not.
    pub async fn wait_for_attempts(&self, count: usize) {
        self.inbox.wait_for_attempts(count).await;
    }
}

impl Drop for FakeSmtp {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn converse(stream: TcpStream, inbox: &Inbox<Mail>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 fake ESMTP\r\n").await?;
    let mut mail = Mail { from: String::new(), to: Vec::new(), text: String::new() };
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_ascii_uppercase();
        let reply = if command.starts_with("EHLO") {
            "250-fake\r\n250 8BITMIME\r\n"
        } else if command.starts_with("MAIL FROM:") {
            match inbox.attempt() {
                Answer::Accept => {
                    mail = Mail { from: address(&line), to: Vec::new(), text: String::new() };
                    "250 ok\r\n"
                }
                Answer::RefuseForNow | Answer::Limit => "451 try again later\r\n",
                Answer::Refuse => "550 not wanted here\r\n",
                Answer::Hangup => return Ok(()),
                Answer::Hang => return std::future::pending().await,
            }
        } else if command.starts_with("RCPT TO:") {
            mail.to.push(address(&line));
            "250 ok\r\n"
        } else if command == "DATA" {
            stream.write_all(b"354 go ahead\r\n").await?;
            mail.text = data(&mut stream).await?;
            inbox.push(mail.clone());
            "250 kept\r\n"
        } else if command == "QUIT" {
            return stream.write_all(b"221 bye\r\n").await;
        } else {
            "250 ok\r\n"
        };
        stream.write_all(reply.as_bytes()).await?;
    }
}

async fn data(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut text = String::new();
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).await? > 0 {
        let shown = String::from_utf8_lossy(&line);
        let shown = shown.trim_end_matches(['\r', '\n']);
        if shown == "." {
            break;
        }
        text.push_str(shown.strip_prefix('.').unwrap_or(shown));
        text.push('\n');
        line.clear();
    }
    Ok(text)
}

/// What stands between `<` and `>`.
fn address(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(address, _)| address.to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn say(server: &FakeSmtp, lines: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(lines.replace('\n', "\r\n").as_bytes()).await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        answers
    }

    #[tokio::test]
    async fn keeps_mails_and_refuses_on_demand() {
        let server = FakeSmtp::start().await;
        let mail = "EHLO me\nMAIL FROM:<a@x>\nRCPT TO:<b@x>\nRCPT TO:<c@x>\nDATA\nSubject: hi\n\n..dot\n.\nQUIT\n";
        assert!(say(&server, mail).await.ends_with("250 kept\r\n221 bye\r\n"));
        let kept =
            Mail { from: "a@x".into(), to: vec!["b@x".into(), "c@x".into()], text: "Subject: hi\n\n.dot\n".into() };
        assert_eq!(server.wait_for(1).await, [kept]);
        server.answer(Answer::Refuse);
        assert!(say(&server, "EHLO me\nMAIL FROM:<a@x>\nQUIT\n").await.contains("550 "));
        server.wait_for_attempts(2).await;
        assert_eq!(server.mails().len(), 1);
    }
}
