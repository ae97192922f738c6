//! The two directions of a room: the record into the channel and to single persons, and what people say into the
//! application.

use tenfold_app::chat::{LinkKind, announce, grammar};
use tenfold_protocols::irc::{CaseMap, Prefix};
use tenfold_types::Severity;

use super::Priority;
use super::session::{Heard, Input, Whois};
use super::transport::{InFlight, Shell};
use super::worker::{Job, Outcome};
use crate::floods::{COMMANDS_PER_MINUTE_MAX, Verdict, WRONG_CODES_PER_MINUTE_MAX};

/// Lines of an answer in a channel and to one person; the rest is counted.
const CHANNEL_LINES_MAX: usize = 6;
const PRIVATE_LINES_MAX: usize = 30;
/// Bindings looked up again after a reconnect.
const RECALLED_MAX: usize = 100;

/// A place in the record.
pub(super) struct Told {
    cursor: String,
    /// Read up to here; what of it is not confirmed yet is in flight.
    read: Option<i64>,
    kept: i64,
}

impl Told {
    pub(super) fn new(cursor: &str) -> Self {
        Self { cursor: cursor.to_owned(), read: None, kept: 0 }
    }
}

impl Shell {
    /// Finds out where channel and persons stand, before anything is told: a room that is new starts at this moment.
    pub(super) async fn take_positions(&mut self) {
        start(&self.app, &mut self.channel).await;
        start(&self.app, &mut self.pages).await;
    }

    /// Reads on in the record where the last batch has been told.
    pub(super) async fn tell_news(&mut self) {
        if !self.session().is_online() {
            return;
        }
        let last = self.app.record.last_seq();
        self.tell_pages(last).await;
        let busy = self.in_flight.values().any(|what| matches!(what, InFlight::Announcement(_)));
        if busy || !self.in_channel() {
            return;
        }
        let Some(read) = start(&self.app, &mut self.channel).await else { return };
        if read >= last {
            return;
        }
        let pending = match self.app.chat_pending(&self.options.room, read).await {
            Ok(pending) => pending,
            Err(fault) => return tracing::warn!(%fault, "the record could not be read for IRC"),
        };
        self.channel.read = Some(pending.upto);
        let home = self.home().to_owned();
        let mut lines: Vec<(i64, String, Priority)> =
            pending.lines.into_iter().map(|l| (l.seq, l.text, Priority::Announcement)).collect();
        if self.options.relay {
            let said = pending.relayed.into_iter();
            lines.extend(said.map(|(seq, who, text)| (seq, format!("<{who}> {text}"), Priority::Relay)));
            lines.sort_by_key(|(seq, _, _)| *seq);
        }
        // All are in flight before the first is said, so that none is taken for the last.
        let numbered: Vec<_> = lines
            .into_iter()
            .map(|(seq, text, priority)| (self.take_id(InFlight::Announcement(seq)), text, priority))
            .collect();
        for (id, text, priority) in numbered {
            self.say(id, &home, &text, priority).await;
        }
        self.keep_positions().await;
    }

    async fn tell_pages(&mut self, last: i64) {
        if self.in_flight.values().any(|what| matches!(what, InFlight::Page(_))) {
            return;
        }
        let Some(read) = start(&self.app, &mut self.pages).await else { return };
        if read >= last {
            return;
        }
        let pending = match self.app.chat_pending_pages(read, last).await {
            Ok(pending) => pending,
            Err(fault) => return tracing::warn!(%fault, "pages could not be read for IRC"),
        };
        self.pages.read = Some(pending.upto);
        let mut numbered = Vec::new();
        for (seq, login, text) in pending.pages {
            if let Some(nick) = self.nick_for(&login).await {
                numbered.push((self.take_id(InFlight::Page(seq)), nick, text));
            }
        }
        for (id, nick, text) in numbered {
            let text = format!("{}{text}", announce::mark(Severity::Critical));
            self.say(id, &nick, &text, Priority::Page).await;
        }
        self.keep_positions().await;
    }

    /// Where to reach a person: the linked nick, else the one of the profile.
    async fn nick_for(&self, login: &str) -> Option<String> {
        if let Some(nick) = self.links.nick_of(login) {
            return Some(nick.to_owned());
        }
        let person = self.app.person(login).await.ok().flatten()?;
        Some(person.contact.irc).filter(|nick| !nick.is_empty())
    }

    /// Keeps how far channel and persons have been told: up to the first line that is not confirmed.
    pub(super) async fn keep_positions(&mut self) {
        let first = |what: fn(&InFlight) -> Option<i64>| self.in_flight.values().filter_map(what).min();
        let announced = first(|w| if let InFlight::Announcement(seq) = w { Some(*seq) } else { None });
        let paged = first(|w| if let InFlight::Page(seq) = w { Some(*seq) } else { None });
        for (told, open) in [(&mut self.channel, announced), (&mut self.pages, paged)] {
            let Some(read) = told.read else { continue };
            let done = open.map_or(read, |seq| seq - 1);
            if done > told.kept {
                match self.app.chat_delivered(&told.cursor, done).await {
                    Ok(()) => told.kept = done,
                    Err(fault) => tracing::warn!(%fault, "how far IRC has been told could not be kept"),
                }
            }
        }
    }

    /// Somebody wrote something.
    pub(super) async fn on_heard(&mut self, heard: Heard) {
        if heard.notice {
            return;
        }
        let folded = self.session().fold(&heard.from.nick);
        let login = self.links.login(heard.account.as_deref(), &folded, &heard.from).map(str::to_owned);
        let Heard { from, account, channel, text, .. } = heard;
        let Some(line) = self.command_in(&text, channel.is_some(), login.is_some()) else {
            if channel.is_some() && self.options.relay {
                self.post(Job::Say { login, nick: from.nick, text });
            }
            return;
        };
        let target = channel.clone().unwrap_or_else(|| from.nick.clone());
        match self.floods.count(&folded, COMMANDS_PER_MINUTE_MAX, self.app.now()) {
            Verdict::Heard => {}
            Verdict::Ignored => return,
            Verdict::Warned => {
                let words = format!("I take {COMMANDS_PER_MINUTE_MAX} commands a minute; please wait");
                return self.reply(&from.nick, &target, vec![words], Severity::Warning).await;
            }
        }
        let verb = line.split_whitespace().next().unwrap_or("").to_lowercase();
        if verb == "link" {
            return self.on_link(from, account, channel.is_some(), &line).await;
        }
        self.post(Job::Command { login, nick: from.nick, target, said: text, line });
    }

    /// The command in a line: after `!`, after our nick, or the whole line when said to us alone.
    fn command_in(&self, text: &str, in_channel: bool, linked: bool) -> Option<String> {
        let text = text.trim();
        let addressed = || {
            let me = self.session().nick();
            let rest = text.get(me.len()..)?;
            let named = CaseMap::Rfc1459.same(&text[..me.len()], me);
            rest.strip_prefix([':', ',']).filter(|_| named).map(|r| r.trim().to_owned())
        };
        if let Some(line) = text.strip_prefix('!') {
            // Other bots have commands of their own.
            return (!in_channel || grammar::concerns(line)).then(|| line.to_owned());
        }
        if let Some(line) = addressed() {
            return Some(line.strip_prefix('!').unwrap_or(&line).to_owned());
        }
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let doing = linked && word.eq_ignore_ascii_case("doing") && !rest.trim().is_empty();
        (!in_channel || doing).then(|| text.to_owned())
    }

    async fn on_link(&mut self, from: Prefix, account: Option<String>, in_channel: bool, line: &str) {
        let refuse = |words: &str| vec![words.to_owned()];
        let code = match grammar::parse(line) {
            Ok(grammar::Command::Link { code }) => code,
            _ => String::new(),
        };
        let home = self.home().to_owned();
        let refusal = if in_channel {
            Some(refuse("never say a code in a channel: make a new one and tell it to me alone"))
        } else if code.is_empty() {
            Some(refuse("say it like this: !link CODE"))
        } else if account.is_none() && !self.session().sees(&from.nick) {
            Some(vec![format!("join {home} first, so that I notice when you leave")])
        } else if self.floods.count("link codes", WRONG_CODES_PER_MINUTE_MAX, self.app.now()) != Verdict::Heard {
            Some(refuse("too many codes in a minute; please wait"))
        } else {
            None
        };
        if let Some(lines) = refusal {
            let nick = from.nick.clone();
            return self.reply(&nick, &nick, lines, Severity::Warning).await;
        }
        let kind = if account.is_some() { LinkKind::Account } else { LinkKind::Session };
        self.linking.insert(self.session().fold(&from.nick), false);
        self.post(Job::Link { kind, prefix: from, account, code });
    }

    pub(super) async fn on_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Reply { nick, target, lines, severity } => self.reply(&nick, &target, lines, severity).await,
            Outcome::Linked { kind, prefix, account, login } => {
                let folded = self.session().fold(&prefix.nick);
                // Not known any more: the connection broke meanwhile. Known and true: the nick left meanwhile.
                let left = self.linking.remove(&folded).unwrap_or(true);
                match (kind, account) {
                    (LinkKind::Account, Some(account)) => self.links.bind_account(&account, &login),
                    _ if left => return self.post(Job::Unlink { identity: prefix.to_string() }),
                    _ => {
                        self.links.bind_session(&folded, prefix.clone(), &login);
                        self.feed(Input::Whois(prefix.nick.clone())).await;
                    }
                }
                let words = match kind {
                    LinkKind::Account => format!("you are {login} from now on"),
                    LinkKind::Session => format!("you are {login} until you leave or change your nick"),
                };
                self.reply(&prefix.nick, &prefix.nick, vec![words], Severity::Good).await;
            }
            Outcome::NotLinked { prefix, fault } => {
                self.linking.remove(&self.session().fold(&prefix.nick));
                let words = format!("{}; {}", fault.message, fault.advice);
                self.reply(&prefix.nick, &prefix.nick, vec![words], Severity::Warning).await;
            }
        }
    }

    async fn reply(&mut self, nick: &str, target: &str, mut lines: Vec<String>, severity: Severity) {
        let in_channel = target != nick;
        let most = if in_channel { CHANNEL_LINES_MAX } else { PRIVATE_LINES_MAX };
        if lines.len() > most {
            let more = lines.len() - (most - 1);
            lines.truncate(most - 1);
            lines.push(if in_channel {
                format!("… and {more} more; ask me alone for all")
            } else {
                format!("… and {more} more")
            });
        }
        for (i, line) in lines.into_iter().enumerate() {
            let to = if in_channel && i == 0 { format!("{nick}: ") } else { String::new() };
            let mark = if i == 0 { announce::mark(severity) } else { "" };
            let id = self.take_id(InFlight::Reply);
            self.say(id, target, &format!("{to}{mark}{line}"), Priority::Reply).await;
        }
    }

    pub(super) fn on_gone(&mut self, folded: &str) {
        if let Some(gone) = self.linking.get_mut(folded) {
            *gone = true;
        }
        if let Some(prefix) = self.links.gone(folded) {
            self.post(Job::Unlink { identity: prefix.to_string() });
        }
    }

    /// The answer to who somebody is: a new binding gets its sign-on kept, one from before a reconnect is taken up again
    /// if it is still the same connection.
    pub(super) fn on_whois(&mut self, whois: &Whois) {
        let folded = self.session().fold(&whois.nick);
        let Some(remembered) = self.recalled.remove(&folded) else {
            let bound = whois.prefix.as_ref().filter(|p| self.links.login(None, &folded, p).is_some());
            if let (Some(prefix), Some(signon_s)) = (bound, whois.signon_s) {
                self.post(Job::Signon { identity: prefix.to_string(), signon_s });
            }
            return;
        };
        let same = whois.prefix.as_ref().is_some_and(|p| p.to_string() == remembered.identity)
            && whois.signon_s.is_some()
            && whois.signon_s == remembered.signon_s
            && self.session().sees(&whois.nick);
        if same {
            self.links.bind_session(&folded, Prefix::parse(&remembered.identity), &remembered.login);
        } else {
            self.post(Job::Unlink { identity: remembered.identity });
        }
    }

    pub(super) async fn recall_accounts(&mut self) {
        match self.app.chat_links(&self.options.room).await {
            Ok(rows) => {
                for row in rows.iter().filter(|r| r.kind == LinkKind::Account) {
                    self.links.bind_account(&row.identity, &row.login);
                }
            }
            Err(fault) => tracing::warn!(%fault, "chat links could not be read; people have to link again"),
        }
    }

    /// Asks who the people are that were linked before the connection broke.
    pub(super) async fn recall_sessions(&mut self) -> Vec<Input> {
        let rows = self.app.chat_links(&self.options.room).await.unwrap_or_default();
        let mut questions = Vec::new();
        for row in rows.into_iter().filter(|r| r.kind == LinkKind::Session).take(RECALLED_MAX) {
            let prefix = Prefix::parse(&row.identity);
            let folded = self.session().fold(&prefix.nick);
            if self.links.login(None, &folded, &prefix).is_none() {
                self.recalled.insert(folded, row);
                questions.push(Input::Whois(prefix.nick));
            }
        }
        questions
    }
}

/// Where a reader stands, from the store at first.
async fn start(app: &tenfold_app::App, told: &mut Told) -> Option<i64> {
    if told.read.is_none() {
        match app.chat_position(&told.cursor).await {
            Ok(seq) => {
                told.read = Some(seq);
                told.kept = seq;
            }
            Err(fault) => tracing::warn!(%fault, "how far IRC has been told could not be read"),
        }
    }
    told.read
}
