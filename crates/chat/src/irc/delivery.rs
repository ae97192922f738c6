//! Saying things so that they arrive: a bucket that no server takes for a flood, and a confirmation for every line.
//!
//! Where the server offers `echo-message` and `labeled-response` a line counts when it comes back, and what a server cut
//! off is sent again. Elsewhere a PING follows the lines: its PONG proves that they were read, an error that came before
//! it that they were not. A line without confirmation goes again on the next connection: better twice than never.

use tenfold_protocols::irc::{Message, Prefix, split_text, text_bytes};
use tenfold_types::Timestamp;

use super::session::{Effect, Limits, State};

/// One PING confirms at most this many lines.
const BARRIER_LINES_MAX: usize = 4;
const BARRIER: &str = "tenfold-";
/// Tokens are counted in thousandths.
const TOKEN: i64 = 1_000;
/// What a PING costs: servers count it too, but lightly.
const BARRIER_TOKEN: i64 = 500;

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    Page,
    Reply,
    Announcement,
    Relay,
}

/// A message to say; it may take several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The caller's number for it, given back when it arrived or could not.
    pub id: u64,
    /// A channel or a nick.
    pub target: String,
    pub text: String,
    pub notice: bool,
    pub priority: Priority,
}

impl Outgoing {
    fn command(&self) -> &'static str {
        if self.notice { "NOTICE" } else { "PRIVMSG" }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum LineState {
    Waiting,
    Sent { label: Option<String>, barrier: u64, at: Timestamp },
    Confirmed,
}

#[derive(Debug, Clone)]
struct Line {
    text: String,
    state: LineState,
}

#[derive(Debug, Clone)]
struct Entry {
    item: Outgoing,
    /// Empty until the first line goes: only then the room on a line is known.
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
pub(super) struct Outbox {
    /// By priority, then in the order they came.
    entries: Vec<Entry>,
    tokens: i64,
    tokens_max: i64,
    refill_ms: i64,
    refilled_at: Timestamp,
    labels: u64,
    barrier: u64,
    /// Lines sent since the last PING.
    unbarriered: usize,
}

impl Outbox {
    pub(super) fn new(limits: &Limits, now: Timestamp) -> Self {
        let tokens_max = limits.burst_lines.max(1) * TOKEN;
        Self {
            entries: Vec::new(),
            tokens: tokens_max,
            tokens_max,
            refill_ms: limits.refill_ms.max(1),
            refilled_at: now,
            labels: 0,
            barrier: 1,
            unbarriered: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn push(&mut self, item: Outgoing) {
        let at = self.entries.partition_point(|e| e.item.priority <= item.priority);
        self.entries.insert(at, Entry { item, lines: Vec::new() });
    }

    pub(super) fn connection_lost(&mut self, now: Timestamp) {
        for entry in &mut self.entries {
            for line in entry.lines.iter_mut().filter(|l| matches!(l.state, LineState::Sent { .. })) {
                line.state = LineState::Waiting;
            }
            if entry.lines.iter().all(|l| l.state == LineState::Waiting) {
                entry.lines.clear();
            }
        }
        self.unbarriered = 0;
        self.tokens = self.tokens_max;
        self.refilled_at = now;
    }

    pub(super) fn refill(&mut self, now: Timestamp) {
        let elapsed_ms = now.since_ms(self.refilled_at).max(0);
        self.refilled_at = now;
        let gained = elapsed_ms.saturating_mul(TOKEN) / self.refill_ms;
        self.tokens = self.tokens.saturating_add(gained).min(self.tokens_max);
    }

    fn oldest_sent(&self) -> Option<Timestamp> {
        let lines = self.entries.iter().flat_map(|e| &e.lines);
        lines.filter_map(|l| if let LineState::Sent { at, .. } = l.state { Some(at) } else { None }).min()
    }

    fn unconfirmed(&self) -> usize {
        let lines = self.entries.iter().flat_map(|e| &e.lines);
        lines.filter(|l| matches!(l.state, LineState::Sent { .. })).count()
    }

    /// Takes out what has been confirmed to the last line.
    fn finish(&mut self, out: &mut Vec<Effect>) {
        self.entries.retain(|entry| {
            let done = !entry.lines.is_empty() && entry.lines.iter().all(|l| l.state == LineState::Confirmed);
            if done {
                out.push(Effect::Delivered(entry.item.id));
            }
            !done
        });
    }
}

impl State {
    fn may_send_to(&self, target: &str) -> bool {
        if !self.is_channel(target) {
            return true;
        }
        let channel = self.channels.get(&self.casemap.fold(target));
        channel.is_some_and(|c| c.joined && c.held_until.is_none())
    }

    /// The first line that may go now.
    fn next_line(&self) -> Option<usize> {
        if self.outbox.unconfirmed() >= self.config.limits.window_lines {
            return None;
        }
        self.outbox.entries.iter().position(|entry| {
            let waiting = entry.lines.is_empty() || entry.lines.iter().any(|l| l.state == LineState::Waiting);
            waiting && self.may_send_to(&entry.item.target)
        })
    }

    pub(super) fn outbox_wake_at(&self) -> Option<Timestamp> {
        let unconfirmed = self.outbox.oldest_sent().map(|at| at.plus_ms(self.config.limits.confirm_ms));
        let wants = !self.whois_wanted.is_empty() || self.next_line().is_some();
        let token = wants.then(|| {
            let missing = (TOKEN - self.outbox.tokens).max(0);
            self.outbox.refilled_at.plus_ms((missing * self.outbox.refill_ms + TOKEN - 1) / TOKEN)
        });
        unconfirmed.into_iter().chain(token).min()
    }

    /// Sends what may go now.
    pub(super) fn pump(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        if !self.is_online() {
            return;
        }
        let confirm_ms = self.config.limits.confirm_ms;
        if self.outbox.oldest_sent().is_some_and(|at| now.since_ms(at) >= confirm_ms) {
            return self.close(&format!("a line was not confirmed within {confirm_ms} ms"), now, out);
        }
        self.outbox.refill(now);
        while self.outbox.tokens >= TOKEN {
            if let Some(index) = self.next_line() {
                self.send_line(index, now, out);
            } else if !self.ask_whois(out) {
                break;
            } else {
                self.outbox.tokens -= TOKEN;
            }
        }
        let unbarriered = self.outbox.unbarriered;
        if unbarriered >= BARRIER_LINES_MAX || (unbarriered > 0 && self.next_line().is_none()) {
            let token = format!("{BARRIER}{}", self.outbox.barrier);
            self.outbox.barrier += 1;
            self.outbox.unbarriered = 0;
            // Never waits: without it nothing is confirmed.
            self.outbox.tokens -= BARRIER_TOKEN;
            out.push(Effect::Send(Message::new("PING", [token])));
        }
    }

    fn labels(&self) -> bool {
        ["labeled-response", "echo-message", "batch"].iter().all(|cap| self.caps.contains(*cap))
    }

    fn send_line(&mut self, index: usize, now: Timestamp, out: &mut Vec<Effect>) {
        let labels = self.labels();
        let outbox = &mut self.outbox;
        let entry = &mut outbox.entries[index];
        if entry.lines.is_empty() {
            let room = text_bytes(&self.me, entry.item.command(), &entry.item.target);
            let pieces = split_text(&entry.item.text, room);
            entry.lines = pieces.into_iter().map(|text| Line { text, state: LineState::Waiting }).collect();
        }
        let Some(line) = entry.lines.iter_mut().find(|l| l.state == LineState::Waiting) else {
            // Nothing but blanks to say.
            out.push(Effect::Delivered(entry.item.id));
            outbox.entries.remove(index);
            return;
        };
        let mut message = Message::new(entry.item.command(), [entry.item.target.as_str(), line.text.as_str()]);
        let label = labels.then(|| {
            outbox.labels += 1;
            format!("t{}", outbox.labels)
        });
        match &label {
            Some(label) => message = message.tag("label", label),
            None => outbox.unbarriered += 1,
        }
        if let Err(error) = message.to_line() {
            out.push(Effect::Undeliverable { id: entry.item.id, reason: error.to_string() });
            outbox.entries.remove(index);
            return;
        }
        line.state = LineState::Sent { label, barrier: outbox.barrier, at: now };
        outbox.tokens -= TOKEN;
        out.push(Effect::Send(message));
    }

    /// Looks for confirmations and refusals in a line from the server.
    pub(super) fn on_delivery(&mut self, message: &Message, now: Timestamp, out: &mut Vec<Effect>) {
        if message.is("PONG") {
            let token = message.params.last().and_then(|t| t.strip_prefix(BARRIER)).and_then(|n| n.parse().ok());
            if let Some(passed) = token {
                self.confirm(|label, barrier| label.is_none() && barrier <= passed);
            }
        } else if let Some(label) = self.label_of(message) {
            self.on_labeled(message, &label, now, out);
        } else if matches!(message.numeric(), Some(401 | 403 | 404 | 407 | 439 | 442 | 477 | 489 | 531 | 716)) {
            let target = message.param(1).to_owned();
            let sent = |entry: &Entry| entry.lines.iter().any(|l| matches!(l.state, LineState::Sent { .. }));
            let hit = |entry: &Entry| self.casemap.same(&entry.item.target, &target) && sent(entry);
            if self.outbox.entries.iter().any(hit) {
                self.refused(&target, message, now, out);
            }
        }
        self.outbox.finish(out);
    }

    fn label_of(&self, message: &Message) -> Option<String> {
        if let Some(label) = message.tags.get("label") {
            return Some(label.to_owned());
        }
        let closing = message.is("BATCH").then(|| message.param(0).strip_prefix('-')).flatten();
        let reference = closing.or_else(|| message.tags.get("batch"))?;
        self.batches.get(reference)?.1.clone()
    }

    fn on_labeled(&mut self, message: &Message, label: &str, now: Timestamp, out: &mut Vec<Effect>) {
        let is_sent = |line: &Line| matches!(&line.state, LineState::Sent { label: Some(l), .. } if l == label);
        let Some(entry) = self.outbox.entries.iter_mut().find(|e| e.lines.iter().any(is_sent)) else { return };
        let Some(at) = entry.lines.iter().position(is_sent) else { return };
        let mine = self.casemap.same(&Prefix::parse(message.source.as_deref().unwrap_or("")).nick, &self.me.nick);
        if mine && message.is(entry.item.command()) {
            let echo = message.param(1).trim_end_matches('\u{fffd}').to_owned();
            let line = &mut entry.lines[at];
            line.state = LineState::Confirmed;
            let cut = line.text.strip_prefix(echo.as_str()).filter(|rest| !rest.trim().is_empty() && !echo.is_empty());
            if let Some(rest) = cut.map(str::to_owned) {
                line.text = echo;
                entry.lines.insert(at + 1, Line { text: rest, state: LineState::Waiting });
            }
        } else if message.is("ACK") || (message.is("BATCH") && message.param(0).starts_with('-')) {
            entry.lines[at].state = LineState::Confirmed;
        } else if message.is("FAIL") || message.numeric().is_some_and(|n| (400..600).contains(&n)) {
            let target = entry.item.target.clone();
            self.refused(&target, message, now, out);
        }
    }

    /// A channel that does not take our text now is tried again; a nick that does not is given up.
    fn refused(&mut self, target: &str, message: &Message, now: Timestamp, out: &mut Vec<Effect>) {
        let reason = message.params.last().map_or("", String::as_str).to_owned();
        let casemap = self.casemap;
        if self.is_channel(target) {
            for entry in self.outbox.entries.iter_mut().filter(|e| casemap.same(&e.item.target, target)) {
                for line in entry.lines.iter_mut().filter(|l| matches!(l.state, LineState::Sent { .. })) {
                    line.state = LineState::Waiting;
                }
            }
            self.hold_channel(target, now);
            return;
        }
        self.outbox.entries.retain(|entry| {
            let hit = casemap.same(&entry.item.target, target)
                && entry.lines.iter().any(|l| matches!(l.state, LineState::Sent { .. }));
            if hit {
                out.push(Effect::Undeliverable { id: entry.item.id, reason: reason.clone() });
            }
            !hit
        });
    }

    fn confirm(&mut self, which: impl Fn(Option<&str>, u64) -> bool) {
        for line in self.outbox.entries.iter_mut().flat_map(|e| &mut e.lines) {
            if let LineState::Sent { label, barrier, .. } = &line.state
                && which(label.as_deref(), *barrier)
            {
                line.state = LineState::Confirmed;
            }
        }
    }
}
