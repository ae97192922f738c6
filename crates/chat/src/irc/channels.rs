//! Being in the channels: joining, coming back after a kick, knowing who is there, hearing what is said.

use std::collections::BTreeSet;

use tenfold_protocols::irc::{Message, Prefix};
use tenfold_types::Timestamp;

use super::session::{ChannelConfig, Effect, Heard, Limits, State, Whois};

/// A JOIN that got no answer for this long is sent again.
const JOIN_ANSWER_MS: i64 = 30_000;
/// Staying this long makes up for earlier failures.
const JOIN_SETTLED_MS: i64 = 600_000;
/// Channels with more people than this are not tracked further; whoever is not tracked cannot link.
const MEMBERS_MAX: usize = 10_000;

#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub config: ChannelConfig,
    pub joined: bool,
    pub members: BTreeSet<String>,
    failures: u32,
    /// When to send the next JOIN, while not joined.
    join_at: Timestamp,
    joined_at: Timestamp,
    /// The server refused our text; nothing is sent before this instant.
    pub held_until: Option<Timestamp>,
}

impl Channel {
    pub(super) fn wake_at(&self, _limits: &Limits) -> Option<Timestamp> {
        if self.joined { self.held_until } else { Some(self.join_at) }
    }
}

impl State {
    pub(super) fn plan_channels(&mut self, now: Timestamp) {
        for config in self.config.channels.clone() {
            let channel = Channel {
                config,
                joined: false,
                members: BTreeSet::new(),
                failures: 0,
                // Until the end of the message of the day; the deadline counts if the server never sends it.
                join_at: now.plus_ms(5_000),
                joined_at: now,
                held_until: None,
            };
            self.channels.insert(self.casemap.fold(&channel.config.name), channel);
        }
    }

    pub(super) fn refold_channels(&mut self) {
        let channels = std::mem::take(&mut self.channels);
        self.channels = channels.into_values().map(|c| (self.casemap.fold(&c.config.name), c)).collect();
    }

    pub(super) fn tick_channels(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        for channel in self.channels.values_mut() {
            if !channel.joined && now >= channel.join_at {
                channel.join_at = now.plus_ms(JOIN_ANSWER_MS);
                let params = [Some(channel.config.name.clone()), channel.config.key.clone()];
                out.push(Effect::Send(Message::new("JOIN", params.into_iter().flatten())));
            }
            if channel.held_until.is_some_and(|until| now >= until) {
                channel.held_until = None;
            }
        }
    }

    /// We are out of a channel, or not let in: try again later.
    fn rejoin_later(&mut self, folded: &str, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(channel) = self.channels.get(folded) else { return };
        let failures =
            if channel.joined && now.since_ms(channel.joined_at) >= JOIN_SETTLED_MS { 0 } else { channel.failures };
        let wait_ms = self.backoff_ms(failures);
        let Some(channel) = self.channels.get_mut(folded) else { return };
        channel.failures = failures.saturating_add(1);
        channel.join_at = now.plus_ms(wait_ms);
        if channel.joined {
            channel.joined = false;
            channel.held_until = None;
            out.push(Effect::Left(channel.config.name.clone()));
            let members = std::mem::take(&mut channel.members);
            for nick in members {
                self.gone_unless_seen(&nick, out);
            }
        }
    }

    fn gone_unless_seen(&mut self, folded: &str, out: &mut Vec<Effect>) {
        if *folded != self.casemap.fold(&self.me.nick) && !self.sees(folded) {
            out.push(Effect::Gone(folded.to_owned()));
        }
    }

    /// The server took our line to a channel but refuses to pass it on.
    pub(super) fn hold_channel(&mut self, channel: &str, now: Timestamp) {
        let folded = self.casemap.fold(channel);
        let Some(failures) = self.channels.get(&folded).map(|c| c.failures) else { return };
        let wait_ms = self.backoff_ms(failures.max(2));
        if let Some(channel) = self.channels.get_mut(&folded) {
            channel.failures = failures.saturating_add(1);
            channel.held_until = Some(now.plus_ms(wait_ms));
        }
    }

    pub(super) fn is_channel(&self, target: &str) -> bool {
        target.starts_with(|c| self.channel_marks.contains(c))
    }

    pub(super) fn on_online(&mut self, message: &Message, now: Timestamp, out: &mut Vec<Effect>) {
        let from = Prefix::parse(message.source.as_deref().unwrap_or(""));
        let mine = self.casemap.same(&from.nick, &self.me.nick);
        match message.command.to_ascii_uppercase().as_str() {
            "PRIVMSG" | "NOTICE" => self.on_text(message, from, mine, out),
            "JOIN" => self.on_join(message, from, mine, now, out),
            "PART" => self.on_leave(message.param(0), &from.nick, now, out),
            "KICK" => self.on_leave(message.param(0), message.param(1), now, out),
            "QUIT" => self.on_quit(&from.nick, now, out),
            "KILL" => self.on_quit(message.param(0), now, out),
            "NICK" => self.on_nick((&from.nick, message.param(0)), mine, now, out),
            "CHGHOST" => {
                if mine {
                    message.param(0).clone_into(&mut self.me.user);
                    message.param(1).clone_into(&mut self.me.host);
                } else {
                    out.push(Effect::Gone(self.casemap.fold(&from.nick)));
                }
            }
            "BATCH" => self.on_batch(message),
            _ => self.on_numeric(message, now, out),
        }
    }

    fn on_numeric(&mut self, message: &Message, now: Timestamp, out: &mut Vec<Effect>) {
        match message.numeric() {
            Some(5) => self.on_isupport(message),
            // End of the message of the day, or none.
            Some(376 | 422) => {
                for channel in self.channels.values_mut().filter(|c| !c.joined) {
                    channel.join_at = now;
                }
                self.tick_channels(now, out);
            }
            Some(353) => {
                let folded = self.casemap.fold(message.param(2));
                let nicks: Vec<String> = message
                    .param(3)
                    .split_ascii_whitespace()
                    .map(|name| name.trim_start_matches(|c| self.status_marks.contains(c)))
                    .map(|name| self.casemap.fold(&Prefix::parse(name).nick))
                    .collect();
                if let Some(channel) = self.channels.get_mut(&folded) {
                    channel.members.extend(nicks);
                    while channel.members.len() > MEMBERS_MAX {
                        channel.members.pop_last();
                    }
                }
            }
            // Our host as others see it.
            Some(396) => message.param(1).clone_into(&mut self.me.host),
            Some(403 | 405 | 437 | 471 | 473 | 474 | 475 | 476 | 477 | 480 | 489 | 495 | 520) => {
                let folded = self.casemap.fold(message.param(1));
                if self.channels.get(&folded).is_some_and(|c| !c.joined) {
                    self.rejoin_later(&folded, now, out);
                }
            }
            Some(311 | 317 | 318 | 330) => self.on_whois(message, out),
            _ => {}
        }
    }

    fn on_join(&mut self, message: &Message, from: Prefix, mine: bool, now: Timestamp, out: &mut Vec<Effect>) {
        let folded = self.casemap.fold(message.param(0));
        let nick = self.casemap.fold(&from.nick);
        if mine {
            self.me = from;
        }
        let Some(channel) = self.channels.get_mut(&folded) else { return };
        if mine {
            channel.joined = true;
            channel.joined_at = now;
            channel.members.clear();
            out.push(Effect::Joined(channel.config.name.clone()));
        } else if channel.members.len() < MEMBERS_MAX {
            channel.members.insert(nick);
        }
    }

    fn on_leave(&mut self, channel: &str, nick: &str, now: Timestamp, out: &mut Vec<Effect>) {
        let folded = self.casemap.fold(channel);
        let nick = self.casemap.fold(nick);
        if nick == self.casemap.fold(&self.me.nick) {
            return self.rejoin_later(&folded, now, out);
        }
        if let Some(channel) = self.channels.get_mut(&folded) {
            channel.members.remove(&nick);
        }
        self.gone_unless_seen(&nick, out);
    }

    fn on_quit(&mut self, nick: &str, now: Timestamp, out: &mut Vec<Effect>) {
        let folded = self.casemap.fold(nick);
        for channel in self.channels.values_mut() {
            channel.members.remove(&folded);
        }
        self.gone_unless_seen(&folded, out);
        if folded == self.casemap.fold(&self.config.nick) && self.me.nick != self.config.nick {
            self.want_nick(now, out);
        }
    }

    fn on_nick(&mut self, (old, new): (&str, &str), mine: bool, now: Timestamp, out: &mut Vec<Effect>) {
        if mine {
            new.clone_into(&mut self.me.nick);
            self.nick_tried_at = now;
            return;
        }
        let (old, new) = (self.casemap.fold(old), self.casemap.fold(new));
        for channel in self.channels.values_mut() {
            if channel.members.remove(&old) {
                channel.members.insert(new.clone());
            }
        }
        out.push(Effect::Gone(old));
        out.push(Effect::Gone(new));
    }

    fn on_batch(&mut self, message: &Message) {
        let reference = message.param(0);
        if let Some(opened) = reference.strip_prefix('+') {
            if self.batches.len() < 100 {
                let label = message.tags.get("label").map(str::to_owned);
                self.batches.insert(opened.to_owned(), (message.param(1).to_owned(), label));
            }
        } else if let Some(closed) = reference.strip_prefix('-') {
            self.batches.remove(closed);
        }
    }

    /// True for lines a server plays back: an old command must not run again.
    fn is_history(&self, message: &Message) -> bool {
        let batch = message.tags.get("batch").and_then(|reference| self.batches.get(reference));
        let played_back = batch.is_some_and(|(kind, _)| kind != "labeled-response");
        let stamped = message.tags.get("time").and_then(Timestamp::parse_rfc3339);
        played_back || matches!((stamped, self.welcomed_at), (Some(at), Some(welcome)) if at < welcome)
    }

    fn on_text(&mut self, message: &Message, from: Prefix, mine: bool, out: &mut Vec<Effect>) {
        // A server's own notices have no user part; our own lines come back by echo-message.
        if mine || !from.is_full() || self.is_history(message) {
            return;
        }
        let target = message.param(0);
        let channel = if self.is_channel(target) {
            match self.channels.get(&self.casemap.fold(target)) {
                Some(channel) => Some(channel.config.name.clone()),
                None => return,
            }
        } else if self.casemap.same(target, &self.me.nick) {
            None
        } else {
            return;
        };
        let text = message.param(1);
        let text = match text.strip_prefix('\u{1}').map(|t| t.trim_end_matches('\u{1}')) {
            None => text.to_owned(),
            Some(query) => match query.strip_prefix("ACTION ") {
                Some(deed) => format!("* {deed}"),
                None => return,
            },
        };
        let account = message.tags.get("account").filter(|a| !a.is_empty() && *a != "*").map(str::to_owned);
        out.push(Effect::Heard(Heard { from, account, channel, text, notice: message.is("NOTICE") }));
    }

    fn on_whois(&mut self, message: &Message, out: &mut Vec<Effect>) {
        let folded = self.casemap.fold(message.param(1));
        let Some(entry) = self.whois.get_mut(&folded) else { return };
        match message.numeric() {
            Some(311) => {
                entry.prefix = Some(Prefix {
                    nick: message.param(1).to_owned(),
                    user: message.param(2).to_owned(),
                    host: message.param(3).to_owned(),
                });
            }
            // Nick, idle seconds, seconds of signing on, words.
            Some(317) if message.params.len() >= 4 => entry.signon_s = message.param(3).parse().ok(),
            Some(330) => entry.account = Some(message.param(2).to_owned()),
            Some(318) => {
                if let Some(found) = self.whois.remove(&folded) {
                    out.push(Effect::Whois(found));
                }
            }
            _ => {}
        }
    }

    /// Sends the questions that wait.
    pub(super) fn ask_whois(&mut self, out: &mut Vec<Effect>) -> bool {
        let Some(nick) = self.whois_wanted.pop_front() else { return false };
        self.whois.insert(self.casemap.fold(&nick), Whois { nick: nick.clone(), ..Whois::default() });
        // Twice the nick: its own server answers, which alone knows when it signed on.
        out.push(Effect::Send(Message::new("WHOIS", [nick.as_str(), nick.as_str()])));
        true
    }
}
