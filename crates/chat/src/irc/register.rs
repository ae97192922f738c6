//! From the open socket to the welcome: capabilities, SASL, nick.

use base64::{Engine, engine::general_purpose::STANDARD};
use tenfold_protocols::irc::{CaseMap, Message};
use tenfold_types::Timestamp;

use super::session::{Effect, Phase, State};

/// What we use when the server has it. `sasl` is asked for only where it is configured.
const WANTED: &[&str] = &[
    "account-tag",
    "batch",
    "chghost",
    "echo-message",
    "extended-join",
    "labeled-response",
    "message-tags",
    "server-time",
];

/// The most bytes of one AUTHENTICATE line's payload; a payload of exactly this much is followed by another line.
const AUTHENTICATE_BYTES: usize = 400;

/// How many other nicks are tried before the connection is given up.
const NICK_TRIES_MAX: u32 = 20;

#[derive(Debug, Clone, Default)]
pub(super) struct Registration {
    /// Capabilities offered so far: name and value.
    offered: Vec<(String, String)>,
    authenticated: bool,
    nick_tries: u32,
}

impl State {
    pub(super) fn begin_registration(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        self.phase = Phase::Registering { since: now };
        self.registration = super::register::Registration::default();
        self.casemap = CaseMap::default();
        self.me.nick.clone_from(&self.config.nick);
        self.me.user.clear();
        self.me.host.clear();
        let send = |message| Effect::Send(message);
        out.push(send(Message::new("CAP", ["LS", "302"])));
        out.push(send(Message::new("NICK", [self.config.nick.as_str()])));
        out.push(send(Message::new("USER", [self.config.user.as_str(), "0", "*", self.config.realname.as_str()])));
    }

    /// SASL is configured and did not work: better silent than somebody else.
    fn refuse(&mut self, reason: &str, now: Timestamp, out: &mut Vec<Effect>) {
        out.push(Effect::Close(reason.to_owned()));
        self.lose(reason, true, now, out);
    }

    pub(super) fn on_cap(&mut self, message: &Message, now: Timestamp, out: &mut Vec<Effect>) {
        let names = message.params.last().map_or("", String::as_str);
        let registering = matches!(self.phase, Phase::Registering { .. });
        match message.param(1).to_ascii_uppercase().as_str() {
            "LS" if registering => {
                for token in names.split_ascii_whitespace() {
                    let (name, value) = token.split_once('=').unwrap_or((token, ""));
                    self.registration.offered.push((name.to_owned(), value.to_owned()));
                }
                if message.params.len() < 4 {
                    self.request_caps(now, out);
                }
            }
            "NEW" if self.is_online() => {
                let wanted: Vec<&str> = names
                    .split_ascii_whitespace()
                    .map(|t| t.split_once('=').map_or(t, |(name, _)| name))
                    .filter(|name| WANTED.contains(name))
                    .collect();
                if !wanted.is_empty() {
                    out.push(Effect::Send(Message::new("CAP", ["REQ".to_owned(), wanted.join(" ")])));
                }
            }
            "DEL" => {
                for name in names.split_ascii_whitespace() {
                    self.caps.remove(name);
                }
            }
            "ACK" => {
                for name in names.split_ascii_whitespace() {
                    match name.strip_prefix('-') {
                        Some(gone) => self.caps.remove(gone),
                        None => self.caps.insert(name.to_owned()),
                    };
                }
                if registering {
                    if self.caps.contains("sasl") && !self.registration.authenticated {
                        out.push(Effect::Send(Message::new("AUTHENTICATE", ["PLAIN"])));
                    } else {
                        out.push(Effect::Send(Message::new("CAP", ["END"])));
                    }
                }
            }
            "NAK" if registering => {
                if self.config.sasl.is_some() {
                    return self.refuse("the server refused SASL", now, out);
                }
                out.push(Effect::Send(Message::new("CAP", ["END"])));
            }
            _ => {}
        }
    }

    fn request_caps(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let offered = &self.registration.offered;
        let mut wanted: Vec<&str> =
            WANTED.iter().copied().filter(|name| offered.iter().any(|(n, _)| n == name)).collect();
        if self.config.sasl.is_some() {
            let plain = offered.iter().any(|(name, mechanisms)| {
                name == "sasl"
                    && (mechanisms.is_empty() || mechanisms.split(',').any(|m| m.eq_ignore_ascii_case("PLAIN")))
            });
            if !plain {
                return self.refuse("the server does not offer SASL PLAIN", now, out);
            }
            wanted.push("sasl");
        }
        let next = if wanted.is_empty() {
            Message::new("CAP", ["END"])
        } else {
            Message::new("CAP", ["REQ".to_owned(), wanted.join(" ")])
        };
        out.push(Effect::Send(next));
    }

    pub(super) fn on_registering(&mut self, message: &Message, now: Timestamp, out: &mut Vec<Effect>) {
        if message.is("AUTHENTICATE") && message.param(0) == "+" {
            if let Some(sasl) = &self.config.sasl {
                let plain = STANDARD.encode(format!("\0{}\0{}", sasl.account, sasl.password));
                let mut rest = plain.as_str();
                loop {
                    let (piece, after) = rest.split_at(rest.len().min(AUTHENTICATE_BYTES));
                    let payload = if piece.is_empty() { "+" } else { piece };
                    out.push(Effect::Send(Message::new("AUTHENTICATE", [payload])));
                    rest = after;
                    if piece.len() < AUTHENTICATE_BYTES {
                        break;
                    }
                }
            }
            return;
        }
        match message.numeric() {
            Some(903 | 907) => {
                self.registration.authenticated = true;
                out.push(Effect::Send(Message::new("CAP", ["END"])));
            }
            Some(code @ (902 | 904 | 905 | 906 | 908)) => {
                self.refuse(&format!("SASL failed ({code}: {})", last(message)), now, out);
            }
            Some(code @ (432 | 464 | 465)) => {
                self.refuse(&format!("the server refused us ({code}: {})", last(message)), now, out);
            }
            Some(433 | 436 | 437) => {
                self.registration.nick_tries += 1;
                let tries = self.registration.nick_tries;
                if tries > NICK_TRIES_MAX {
                    return self.close(&format!("{NICK_TRIES_MAX} nicks are all in use"), now, out);
                }
                let nick = match tries {
                    1 => format!("{}_", self.config.nick),
                    2 => format!("{}__", self.config.nick),
                    n => format!("{}{n}", self.config.nick),
                };
                self.me.nick.clone_from(&nick);
                out.push(Effect::Send(Message::new("NICK", [nick])));
            }
            Some(1) => self.welcome(message, now, out),
            _ => {}
        }
    }

    fn welcome(&mut self, message: &Message, now: Timestamp, out: &mut Vec<Effect>) {
        if self.config.sasl.is_some() && !self.registration.authenticated {
            return self.refuse("the server let us in without SASL", now, out);
        }
        message.param(0).clone_into(&mut self.me.nick);
        // Signing on was a try at the nick we want.
        self.nick_tried_at = now;
        // What waits goes from now on, not from when we last looked.
        self.outbox.refill(now);
        self.welcomed_at = message.tags.get("time").and_then(Timestamp::parse_rfc3339);
        self.phase = Phase::Online { since: now };
        out.push(Effect::Online);
        self.plan_channels(now);
    }

    /// The tokens of `005` that change how names are read.
    pub(super) fn on_isupport(&mut self, message: &Message) {
        for token in message.params.iter().skip(1) {
            let (name, value) = token.split_once('=').unwrap_or((token, ""));
            match name {
                "CASEMAPPING" => {
                    self.casemap = CaseMap::from_token(value);
                    self.refold_channels();
                }
                "CHANTYPES" => value.clone_into(&mut self.channel_marks),
                "PREFIX" => {
                    if let Some((_, marks)) = value.split_once(')') {
                        marks.clone_into(&mut self.status_marks);
                    }
                }
                _ => {}
            }
        }
    }
}

fn last(message: &Message) -> &str {
    message.params.last().map_or("", String::as_str)
}
