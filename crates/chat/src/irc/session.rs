//! The session: what is known of the connection and what to do next. No IO, no clock: `step` gets the instant and gives
//! back what the shell has to do. It never trusts a nick, never speaks unauthenticated where SASL is configured, and
//! never forgets a line that was given to it: each ends as delivered or undeliverable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tenfold_protocols::irc::{CaseMap, Message, Prefix};
use tenfold_types::Timestamp;

use super::{
    channels::Channel,
    delivery::{Outbox, Outgoing},
    register::Registration,
};

/// How to log in with SASL PLAIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    pub account: String,
    pub password: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelConfig {
    pub name: String,
    pub key: Option<String>,
}

/// The numbers a session obeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte to the welcome.
    pub registration_ms: i64,
    /// Silence after which the server is asked whether it is there.
    pub idle_ms: i64,
    /// How long it may take to answer that.
    pub pong_ms: i64,
    /// How long a line may stay without confirmation before the connection counts as dead.
    pub confirm_ms: i64,
    /// Lines that may go at once; after that one per `refill_ms`.
    pub burst_lines: i64,
    pub refill_ms: i64,
    /// Lines that may be unconfirmed at once: a server that slows us down never has more of ours to read than this.
    pub window_lines: usize,
    /// Reconnecting and rejoining wait this long at first, twice as long each time, never longer than the second.
    pub backoff_min_ms: i64,
    pub backoff_max_ms: i64,
    /// How often the wanted nick is tried again when another holds it.
    pub nick_retry_ms: i64,
    pub queue_messages_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            registration_ms: 60_000,
            idle_ms: 60_000,
            pong_ms: 30_000,
            confirm_ms: 30_000,
            burst_lines: 8,
            refill_ms: 500,
            window_lines: 5,
            backoff_min_ms: 1_000,
            backoff_max_ms: 300_000,
            nick_retry_ms: 30_000,
            queue_messages_max: 1_000,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub nick: String,
    pub user: String,
    pub realname: String,
    pub sasl: Option<Sasl>,
    pub channels: Vec<ChannelConfig>,
    pub limits: Limits,
    /// Where the jitter comes from; two servers with different seeds do not reconnect in step.
    pub seed: u64,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time passed; see [`State::wake_at`].
    Tick,
    Connected,
    Line(Message),
    Disconnected(String),
    Say(Outgoing),
    /// Ask the server who a nick is.
    Whois(String),
    /// Say goodbye and stay away.
    Quit(String),
}

/// A line somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub from: Prefix,
    /// The network's own word on who this is, if it gives one.
    pub account: Option<String>,
    /// The channel, or `None` when it was said to us alone.
    pub channel: Option<String>,
    pub text: String,
    /// A notice is never answered.
    pub notice: bool,
}

/// What the server says of a nick; `None` in `user` when nobody has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Whois {
    pub nick: String,
    pub prefix: Option<Prefix>,
    /// Seconds since the epoch; together with the prefix it names one connection.
    pub signon_s: Option<i64>,
    pub account: Option<String>,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Connect,
    Send(Message),
    /// Close the socket; nothing of this connection is to be fed in any more.
    Close(String),
    Online,
    Offline {
        reason: String,
        retry_at: Timestamp,
    },
    Joined(String),
    Left(String),
    Heard(Heard),
    /// Whoever has this nick from now on is somebody else, or cannot be seen any more.
    Gone(String),
    Whois(Whois),
    Delivered(u64),
    Undeliverable {
        id: u64,
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Not connected; the next try is at this instant.
    Waiting {
        until: Timestamp,
    },
    Connecting {
        since: Timestamp,
    },
    Registering {
        since: Timestamp,
    },
    Online {
        since: Timestamp,
    },
    /// Said goodbye.
    Stopped,
}

#[derive(Debug, Clone)]
pub struct State {
    pub(super) config: Config,
    pub(super) phase: Phase,
    /// Connections in a row that did not last.
    pub(super) failures: u32,
    random: u64,
    pub(super) me: Prefix,
    pub(super) registration: Registration,
    pub(super) caps: BTreeSet<String>,
    pub(super) casemap: CaseMap,
    pub(super) status_marks: String,
    pub(super) channel_marks: String,
    pub(super) channels: BTreeMap<String, Channel>,
    pub(super) outbox: Outbox,
    /// Open batches: reference -> (type, label).
    pub(super) batches: BTreeMap<String, (String, Option<String>)>,
    pub(super) whois_wanted: VecDeque<String>,
    pub(super) whois: BTreeMap<String, Whois>,
    last_heard: Timestamp,
    pinged_at: Option<Timestamp>,
    pub(super) nick_tried_at: Timestamp,
    /// The server's clock at our welcome: what is stamped earlier is history.
    pub(super) welcomed_at: Option<Timestamp>,
}

impl State {
    pub fn new(config: Config, now: Timestamp) -> Self {
        let random = config.seed ^ 0x9e37_79b9_7f4a_7c15;
        let outbox = Outbox::new(&config.limits, now);
        Self {
            me: Prefix { nick: config.nick.clone(), ..Prefix::default() },
            config,
            phase: Phase::Waiting { until: now },
            failures: 0,
            random,
            registration: Registration::default(),
            caps: BTreeSet::new(),
            casemap: CaseMap::default(),
            status_marks: "~&@%+".into(),
            channel_marks: "#&".into(),
            channels: BTreeMap::new(),
            outbox,
            batches: BTreeMap::new(),
            whois_wanted: VecDeque::new(),
            whois: BTreeMap::new(),
            last_heard: now,
            pinged_at: None,
            nick_tried_at: now,
            welcomed_at: None,
        }
    }

    pub fn phase(&self) -> &Phase {
        &self.phase
    }
    pub fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online { .. })
    }
    /// The nick we have, which may not be the one we want.
    pub fn nick(&self) -> &str {
        &self.me.nick
    }
    pub fn joined(&self, channel: &str) -> bool {
        self.channels.get(&self.casemap.fold(channel)).is_some_and(|c| c.joined)
    }
    /// True when we would be told if this nick left or changed hands.
    pub fn sees(&self, nick: &str) -> bool {
        let nick = self.casemap.fold(nick);
        self.channels.values().any(|c| c.joined && c.members.contains(&nick))
    }
    /// Messages not yet confirmed.
    pub fn queued(&self) -> usize {
        self.outbox.len()
    }
    pub fn fold(&self, nick: &str) -> String {
        self.casemap.fold(nick)
    }

    /// The earliest instant at which `Input::Tick` has something to do.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let limits = &self.config.limits;
        match self.phase {
            Phase::Stopped => None,
            Phase::Waiting { until } => Some(until),
            Phase::Connecting { since } | Phase::Registering { since } => Some(since.plus_ms(limits.registration_ms)),
            Phase::Online { .. } => {
                let silence = match self.pinged_at {
                    Some(at) => at.plus_ms(limits.pong_ms),
                    None => self.last_heard.plus_ms(limits.idle_ms),
                };
                let nick = (self.me.nick != self.config.nick).then(|| self.nick_tried_at.plus_ms(limits.nick_retry_ms));
                let channels = self.channels.values().filter_map(|c| c.wake_at(limits));
                let lines = self.outbox_wake_at();
                channels.chain(nick).chain(lines).chain([silence]).min()
            }
        }
    }

    /// A number below `bound`, from the seed alone.
    fn random_below(&mut self, bound: i64) -> i64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        i64::try_from(self.random % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// The wait before try number `failures` (from 0): doubled each time, capped, and up to a quarter longer by chance.
    pub(super) fn backoff_ms(&mut self, failures: u32) -> i64 {
        let Limits { backoff_min_ms, backoff_max_ms, .. } = self.config.limits;
        let wait = backoff_min_ms.saturating_mul(1 << failures.min(20)).min(backoff_max_ms);
        wait + self.random_below(wait / 4 + 1)
    }

    /// Ends this connection and plans the next.
    pub(super) fn lose(&mut self, reason: &str, at_once_hopeless: bool, now: Timestamp, out: &mut Vec<Effect>) {
        // A connection that held for a minute makes up for the failures before it.
        if matches!(self.phase, Phase::Online { since } if now.since_ms(since) >= 60_000) {
            self.failures = 0;
        }
        let failures = if at_once_hopeless { 20 } else { self.failures };
        let retry_at = now.plus_ms(self.backoff_ms(failures));
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Waiting { until: retry_at };
        self.caps.clear();
        self.batches.clear();
        self.whois.clear();
        self.whois_wanted.clear();
        self.pinged_at = None;
        self.welcomed_at = None;
        self.registration = Registration::default();
        for channel in self.channels.values_mut() {
            if channel.joined {
                out.push(Effect::Left(channel.config.name.clone()));
            }
        }
        self.channels.clear();
        self.outbox.connection_lost(now);
        out.push(Effect::Offline { reason: reason.to_owned(), retry_at });
    }

    pub(super) fn close(&mut self, reason: &str, now: Timestamp, out: &mut Vec<Effect>) {
        out.push(Effect::Close(reason.to_owned()));
        self.lose(reason, false, now, out);
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let limits = self.config.limits.clone();
        match self.phase {
            Phase::Stopped => {}
            Phase::Waiting { until } => {
                if now >= until {
                    self.phase = Phase::Connecting { since: now };
                    out.push(Effect::Connect);
                }
            }
            Phase::Connecting { since } | Phase::Registering { since } => {
                if now.since_ms(since) >= limits.registration_ms {
                    self.close(&format!("no welcome within {} ms", limits.registration_ms), now, out);
                }
            }
            Phase::Online { .. } => {
                match self.pinged_at {
                    Some(at) if now.since_ms(at) >= limits.pong_ms => {
                        return self.close(&format!("no answer within {} ms", limits.pong_ms), now, out);
                    }
                    None if now.since_ms(self.last_heard) >= limits.idle_ms => {
                        self.pinged_at = Some(now);
                        out.push(Effect::Send(Message::new("PING", ["alive"])));
                    }
                    _ => {}
                }
                if self.me.nick != self.config.nick && now.since_ms(self.nick_tried_at) >= limits.nick_retry_ms {
                    self.want_nick(now, out);
                }
                self.tick_channels(now, out);
                self.pump(now, out);
            }
        }
    }

    pub(super) fn want_nick(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        self.nick_tried_at = now;
        out.push(Effect::Send(Message::new("NICK", [self.config.nick.as_str()])));
    }

    fn line(&mut self, message: &Message, now: Timestamp, out: &mut Vec<Effect>) {
        self.last_heard = now;
        self.pinged_at = None;
        if message.is("PING") {
            out.push(Effect::Send(Message::new("PONG", [message.param(0)])));
            return;
        }
        if message.is("ERROR") {
            return self.close(&format!("the server said: {}", message.param(0)), now, out);
        }
        if message.is("CAP") {
            return self.on_cap(message, now, out);
        }
        match self.phase {
            Phase::Registering { .. } => self.on_registering(message, now, out),
            Phase::Online { .. } => {
                self.on_delivery(message, now, out);
                if self.is_online() {
                    self.on_online(message, now, out);
                    self.pump(now, out);
                }
            }
            _ => {}
        }
    }
}

/// One step: the state after `input`, and what to do.
pub fn step(mut state: State, input: Input, now: Timestamp) -> (State, Vec<Effect>) {
    let mut out = Vec::new();
    match input {
        Input::Tick => state.tick(now, &mut out),
        Input::Connected => {
            if matches!(state.phase, Phase::Connecting { .. }) {
                state.last_heard = now;
                state.begin_registration(now, &mut out);
            }
        }
        Input::Line(message) => state.line(&message, now, &mut out),
        Input::Disconnected(reason) => {
            if !matches!(state.phase, Phase::Waiting { .. } | Phase::Stopped) {
                state.lose(&reason, false, now, &mut out);
            }
        }
        Input::Say(item) => {
            let limit = state.config.limits.queue_messages_max;
            if state.outbox.len() >= limit {
                let reason = format!("{limit} messages are waiting already");
                out.push(Effect::Undeliverable { id: item.id, reason });
            } else {
                state.outbox.push(item);
                state.pump(now, &mut out);
            }
        }
        Input::Whois(nick) => {
            state.whois_wanted.push_back(nick);
            state.pump(now, &mut out);
        }
        Input::Quit(reason) => {
            if !matches!(state.phase, Phase::Waiting { .. } | Phase::Stopped) {
                out.push(Effect::Send(Message::new("QUIT", [reason.as_str()])));
                out.push(Effect::Close(reason));
            }
            state.phase = Phase::Stopped;
        }
    }
    (state, out)
}
