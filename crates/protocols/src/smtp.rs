//! Receiving mail by SMTP (RFC 5321): what is answered to a line, without the connection.
//!
//! It is for mail to this server alone: who may be written to is asked for each recipient, and nothing is ever sent on.
//! Lines end in CR LF and nothing else: a lone CR or LF ends the conversation, since servers that read it differently let
//! one mail smuggle another.

/// Longest line, with its end. A mail's lines have 1,000 bytes at most by the standard; many senders do not know it.
pub const LINE_BYTES_MAX: usize = 16 << 10;
/// Largest mail.
pub const MAIL_BYTES_MAX: usize = 2 << 20;
pub const RECIPIENTS_MAX: usize = 20;
/// Wrong commands after which the conversation ends.
const ERRORS_MAX: u32 = 10;
/// Mails within one conversation.
const MAILS_MAX: u32 = 100;
/// Commands within one conversation.
const COMMANDS_MAX: u32 = 1_000;
const ADDRESS_BYTES_MAX: usize = 256;

/// What is to be done after a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing is said; more lines come.
    Quiet,
    Say(String),
    /// The last word.
    SayAndClose(String),
    /// Whether this address takes mail: [`Session::recipient`] is told.
    Recipient(String),
    /// A whole mail: [`Session::delivered`] is told what became of it.
    Mail(Envelope),
}

/// A mail with whom it is from and for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Empty for what a machine says of another mail.
    pub from: String,
    pub to: Vec<String>,
    pub data: Vec<u8>,
}

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    Taken,
    /// The sender shall try again.
    Later,
    /// Trying again is of no use.
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody said who he is.
    New,
    Ready,
    /// A sender is named.
    Mail,
    Data,
    /// The mail is larger than it may be; its rest is passed over.
    TooLarge,
}

/// One conversation.
#[derive(Debug)]
pub struct Session {
    name: String,
    phase: Phase,
    from: String,
    to: Vec<String>,
    asked: String,
    data: Vec<u8>,
    errors: u32,
    commands: u32,
    mails: u32,
}

impl Session {
    /// `name` is how the server calls itself.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            phase: Phase::New,
            from: String::new(),
            to: Vec::new(),
            asked: String::new(),
            data: Vec::new(),
            errors: 0,
            commands: 0,
            mails: 0,
        }
    }

    pub fn greeting(&self) -> String {
        format!("220 {} ESMTP\r\n", self.name)
    }

    /// One line without its end.
    pub fn step(&mut self, line: &[u8]) -> Step {
        if line.len() > LINE_BYTES_MAX {
            return close("500 5.5.2 the line is too long");
        }
        if line.contains(&b'\n') || line.contains(&b'\r') {
            return close("554 5.6.0 a line ends in CR LF; here is a lone CR or LF");
        }
        if matches!(self.phase, Phase::Data | Phase::TooLarge) {
            return self.content(line);
        }
        self.commands += 1;
        if self.commands > COMMANDS_MAX {
            return close("421 4.7.0 too many commands");
        }
        let Ok(text) = std::str::from_utf8(line) else { return self.wrong("500 5.5.2 the command is no text") };
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb.trim_end().to_ascii_uppercase().as_str() {
            "HELO" => self.hello(format!("250 {}", self.name)),
            "EHLO" => {
                self.hello(format!("250-{}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE {MAIL_BYTES_MAX}", self.name))
            }
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest),
            "DATA" => self.begin(),
            "RSET" => {
                self.reset();
                say("250 2.0.0 forgotten")
            }
            "NOOP" => say("250 2.0.0 yes"),
            "QUIT" => close("221 2.0.0 goodbye"),
            "VRFY" | "EXPN" | "HELP" | "STARTTLS" | "AUTH" => self.wrong("502 5.5.1 this is not done here"),
            _ => self.wrong("500 5.5.2 the command is not known"),
        }
    }

    fn hello(&mut self, answer: String) -> Step {
        self.reset();
        self.phase = Phase::Ready;
        say(answer)
    }

    fn mail(&mut self, rest: &str) -> Step {
        match self.phase {
            Phase::New => return self.wrong("503 5.5.1 say EHLO first"),
            Phase::Mail => return self.wrong("503 5.5.1 a sender is named already"),
            _ => {}
        }
        if self.mails >= MAILS_MAX {
            return close("421 4.7.0 enough mails for one conversation");
        }
        let Some((from, parameters)) = path(rest, "FROM:") else {
            return self.wrong("501 5.5.4 write it like MAIL FROM:<ana@example.org>");
        };
        for parameter in parameters.split_ascii_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.to_ascii_uppercase().as_str() {
                "SIZE" if value.parse::<usize>().is_ok_and(|size| size <= MAIL_BYTES_MAX) => {}
                "SIZE" => return self.wrong(&format!("552 5.3.4 a mail has at most {MAIL_BYTES_MAX} bytes")),
                "BODY" => {}
                _ => return self.wrong("555 5.5.4 the parameter is not known"),
            }
        }
        from.clone_into(&mut self.from);
        self.phase = Phase::Mail;
        say("250 2.1.0 go on")
    }

    fn rcpt(&mut self, rest: &str) -> Step {
        if self.phase != Phase::Mail {
            return self.wrong("503 5.5.1 say MAIL first");
        }
        if self.to.len() >= RECIPIENTS_MAX {
            return self.wrong(&format!("452 4.5.3 a mail goes to at most {RECIPIENTS_MAX} addresses"));
        }
        match path(rest, "TO:") {
            Some((to, _)) if !to.is_empty() => {
                to.clone_into(&mut self.asked);
                Step::Recipient(to.to_owned())
            }
            _ => self.wrong("501 5.5.4 write it like RCPT TO:<name@example.org>"),
        }
    }

    /// Whether the address that was asked for takes mail.
    pub fn recipient(&mut self, known: bool) -> Step {
        let asked = std::mem::take(&mut self.asked);
        if !known {
            return self.wrong("550 5.1.1 no such address here");
        }
        self.to.push(asked);
        say("250 2.1.5 go on")
    }

    fn begin(&mut self) -> Step {
        if self.phase != Phase::Mail || self.to.is_empty() {
            return self.wrong("503 5.5.1 say MAIL and RCPT first");
        }
        self.phase = Phase::Data;
        say("354 end it with a line that holds a dot alone")
    }

    fn content(&mut self, line: &[u8]) -> Step {
        if line == b"." {
            let large = self.phase == Phase::TooLarge;
            let (from, to, data) =
                (std::mem::take(&mut self.from), std::mem::take(&mut self.to), std::mem::take(&mut self.data));
            self.reset();
            self.mails += 1;
            if large {
                return self.wrong(&format!("552 5.3.4 a mail has at most {MAIL_BYTES_MAX} bytes"));
            }
            return Step::Mail(Envelope { from, to, data });
        }
        let line = line.strip_prefix(b".").unwrap_or(line);
        if self.phase == Phase::TooLarge {
            return Step::Quiet;
        }
        if self.data.len() + line.len() + 2 > MAIL_BYTES_MAX {
            self.phase = Phase::TooLarge;
            self.data = Vec::new();
            return Step::Quiet;
        }
        self.data.extend_from_slice(line);
        self.data.extend_from_slice(b"\r\n");
        Step::Quiet
    }

    /// What became of the mail that was handed out.
    pub fn delivered(&mut self, what: Delivered) -> Step {
        say(match what {
            Delivered::Taken => "250 2.0.0 taken",
            Delivered::Later => "451 4.3.0 it could not be kept; send it again",
            Delivered::Refused => "554 5.6.0 it cannot be read as an alert",
        })
    }

    fn reset(&mut self) {
        if self.phase != Phase::New {
            self.phase = Phase::Ready;
        }
        self.from.clear();
        self.to.clear();
        self.data = Vec::new();
    }

    fn wrong(&mut self, answer: &str) -> Step {
        self.errors += 1;
        if self.errors > ERRORS_MAX { close("421 4.7.0 too many mistakes") } else { say(answer) }
    }
}

fn say(text: impl Into<String>) -> Step {
    Step::Say(text.into() + "\r\n")
}

fn close(text: &str) -> Step {
    Step::SayAndClose(format!("{text}\r\n"))
}

/// The address in `FROM:<a@b> parameters`, and the parameters. An address is never quoted here: no source has such a name.
fn path<'a>(rest: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let rest = rest.trim_start();
    let head = rest.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word))?;
    let inside = rest[head.len()..].trim_start().strip_prefix('<')?;
    let (address, parameters) = inside.split_once('>')?;
    let fine = address.len() <= ADDRESS_BYTES_MAX && !address.chars().any(|c| c.is_control() || c.is_whitespace());
    let apart = parameters.is_empty() || parameters.starts_with(' ');
    (fine && apart).then_some((address, parameters))
}

/// Takes a whole line out of what was read, without its end; nothing while it is not whole. What has no end within
/// [`LINE_BYTES_MAX`] is handed out as it is, and [`Session::step`] ends the conversation over it.
pub fn take_line(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    match buffer.windows(2).position(|w| w == b"\r\n") {
        Some(end) => {
            let line = buffer[..end].to_vec();
            buffer.drain(..end + 2);
            Some(line)
        }
        None if buffer.len() > LINE_BYTES_MAX => Some(std::mem::take(buffer)),
        None => None,
    }
}

#[cfg(test)]
mod tests;
