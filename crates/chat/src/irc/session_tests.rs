//! The session against a scripted server: lines in, effects out, a clock that is moved by hand.

use proptest::prelude::*;
use tenfold_protocols::irc::Message;
use tenfold_types::Timestamp;

use super::{ChannelConfig, Config, Effect, Input, Limits, Outgoing, Phase, Priority, Sasl, State, step};

struct Bench {
    state: Option<State>,
    now: Timestamp,
    out: Vec<Effect>,
}

impl Bench {
    fn new(sasl: bool) -> Self {
        let now = Timestamp(1_000_000);
        let config = Config {
            nick: "tenfold".into(),
            user: "tenfold".into(),
            realname: "Tenfold".into(),
            sasl: sasl.then(|| Sasl { account: "bot".into(), password: "secret".into() }),
            channels: vec![ChannelConfig { name: "#ops".into(), key: None }],
            limits: Limits::default(),
            seed: 7,
        };
        Self { state: Some(State::new(config, now)), now, out: Vec::new() }
    }
    fn feed(&mut self, input: Input) {
        let (state, out) = step(self.state.take().unwrap(), input, self.now);
        self.state = Some(state);
        self.out.extend(out);
    }
    fn line(&mut self, line: &str) {
        self.feed(Input::Line(Message::parse(line).unwrap()));
    }
    fn lines(&mut self, lines: &[&str]) {
        for line in lines {
            self.line(line);
        }
    }
    fn state(&self) -> &State {
        self.state.as_ref().unwrap()
    }
    /// Moves the clock to the next deadline, or by `ms` if that is earlier.
    fn advance(&mut self, ms: i64) {
        let end = self.now.plus_ms(ms);
        while let Some(at) = self.state().wake_at().filter(|at| *at <= end) {
            assert!(at >= self.now.plus_ms(-1), "the deadline {at} is before {}", self.now);
            self.now = at.max(self.now);
            let before = self.state().wake_at();
            self.feed(Input::Tick);
            assert!(self.state().wake_at() != before, "the deadline {before:?} stays after it was served");
        }
        self.now = end;
        self.feed(Input::Tick);
    }
    fn sent(&mut self) -> Vec<String> {
        let out = std::mem::take(&mut self.out);
        out.iter().filter_map(|e| if let Effect::Send(m) = e { Some(m.to_line().unwrap()) } else { None }).collect()
    }
    fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.out).into_iter().filter(|e| !matches!(e, Effect::Send(_))).collect()
    }
    fn connect(&mut self) {
        self.feed(Input::Tick);
        assert!(self.out.contains(&Effect::Connect));
        self.feed(Input::Connected);
    }
    /// Online in #ops on a server with these capabilities.
    fn online(caps: &str) -> Self {
        let mut b = Self::new(false);
        b.connect();
        b.line(&format!(":srv CAP * LS :{caps}"));
        if !caps.is_empty() {
            b.line(&format!(":srv CAP * ACK :{caps}"));
        }
        b.lines(&[
            ":srv 001 tenfold :Welcome",
            ":srv 005 tenfold CASEMAPPING=ascii PREFIX=(ov)@+ CHANTYPES=# :are supported",
            ":srv 422 tenfold :No message of the day",
            ":tenfold!~tenfold@host JOIN #ops",
            ":srv 353 tenfold = #ops :tenfold @Ana",
        ]);
        assert!(b.state().joined("#OPS"));
        b.out.clear();
        b
    }
    fn say(&mut self, id: u64, target: &str, text: &str, priority: Priority) {
        let item = Outgoing { id, target: target.into(), text: text.into(), notice: false, priority };
        self.feed(Input::Say(item));
    }
}

const LABELS: &str = "batch echo-message labeled-response message-tags";

#[test]
fn registers_with_the_capabilities_both_know() {
    let mut b = Bench::new(false);
    b.connect();
    assert_eq!(b.sent(), ["CAP LS 302", "NICK tenfold", "USER tenfold 0 * Tenfold"]);
    b.line(":srv CAP * LS * :sts=port=6697 echo-message labeled-response");
    assert!(b.sent().is_empty(), "waits for the rest of the list");
    b.line(":srv CAP * LS :batch server-time away-notify sasl=PLAIN");
    assert_eq!(b.sent(), ["CAP REQ :batch echo-message labeled-response server-time"]);
    b.line(":srv CAP * ACK :batch echo-message labeled-response server-time");
    assert_eq!(b.sent(), ["CAP END"]);
    b.lines(&[":srv 001 tenfold :Welcome", ":srv 376 tenfold :End"]);
    assert_eq!(b.sent(), ["JOIN #ops"]);
}

#[test]
fn a_server_without_capabilities_is_fine() {
    let mut b = Bench::new(false);
    b.connect();
    b.lines(&[":srv 421 * CAP :Unknown command", ":srv 001 tenfold :Welcome", ":srv 376 tenfold :End"]);
    assert!(b.sent().contains(&"JOIN #ops".to_owned()));
}

#[test]
fn sasl_plain_goes_before_the_welcome() {
    let mut b = Bench::new(true);
    b.connect();
    b.line(":srv CAP * LS :sasl=EXTERNAL,PLAIN");
    b.line(":srv CAP * ACK :sasl");
    b.line("AUTHENTICATE +");
    let sent = b.sent();
    assert_eq!(sent[3..], ["CAP REQ sasl", "AUTHENTICATE PLAIN", "AUTHENTICATE AGJvdABzZWNyZXQ="]);
    b.line(":srv 903 tenfold :SASL authentication successful");
    assert_eq!(b.sent(), ["CAP END"]);
    b.line(":srv 001 tenfold :Welcome");
    assert!(b.state().is_online());
}

#[test]
fn sasl_that_fails_is_hard() {
    for answer in [
        &[":srv CAP * LS :sasl=EXTERNAL"][..],
        &[":srv CAP * LS :batch"],
        &[":srv CAP * LS :sasl", ":srv CAP * NAK :sasl"],
        &[":srv CAP * LS :sasl", ":srv CAP * ACK :sasl", "AUTHENTICATE +", ":srv 904 tenfold :failed"],
        &[":srv 001 tenfold :Welcome"],
    ] {
        let mut b = Bench::new(true);
        b.connect();
        b.lines(answer);
        assert!(!b.state().is_online());
        let Phase::Waiting { until } = *b.state().phase() else { panic!("{:?}", b.state().phase()) };
        assert!(until.since_ms(b.now) >= 300_000, "no hammering with a wrong password");
        let effects = b.effects();
        assert!(effects.iter().any(|e| matches!(e, Effect::Close(_))), "{effects:?}");
    }
}

#[test]
fn another_nick_while_ours_is_taken_and_ours_when_it_is_free() {
    let mut b = Bench::new(false);
    b.connect();
    b.lines(&[":srv 433 * tenfold :in use", ":srv 433 * tenfold_ :in use"]);
    assert_eq!(b.sent()[3..], ["NICK tenfold_", "NICK tenfold__"]);
    b.lines(&[":srv 001 tenfold__ :Welcome", ":srv 376 tenfold__ :End", ":tenfold__!u@h JOIN #ops"]);
    b.out.clear();
    b.line(":tenfold!x@y QUIT :bye");
    assert_eq!(b.sent(), ["NICK tenfold"]);
    b.advance(31_000);
    assert!(b.sent().contains(&"NICK tenfold".to_owned()), "asks again when that failed");
    b.line(":tenfold__!u@h NICK tenfold");
    b.advance(40_000);
    assert!(!b.sent().contains(&"NICK tenfold".to_owned()));
}

#[test]
fn answers_pings_and_notices_silence() {
    let mut b = Bench::online("");
    b.line("PING :abc def");
    assert_eq!(b.sent(), ["PONG :abc def"]);
    b.advance(60_000);
    assert_eq!(b.sent(), ["PING alive"]);
    b.line(":srv PONG srv alive");
    b.advance(59_000);
    assert!(b.sent().is_empty());
    b.advance(31_000 + 1_000);
    let effects = b.effects();
    assert!(effects.iter().any(|e| matches!(e, Effect::Close(_))), "{effects:?}");
}

#[test]
fn reconnects_with_growing_waits() {
    let mut b = Bench::new(false);
    let mut waits = Vec::new();
    for _ in 0..12 {
        b.feed(Input::Tick);
        b.feed(Input::Disconnected("refused".into()));
        let Phase::Waiting { until } = *b.state().phase() else { panic!() };
        waits.push(until.since_ms(b.now));
        b.now = until;
    }
    assert!((1_000..=1_250).contains(&waits[0]), "{waits:?}");
    assert!((4_000..=5_000).contains(&waits[2]), "{waits:?}");
    assert!((300_000..=375_000).contains(&waits[11]), "{waits:?}");
}

#[test]
fn comes_back_after_a_kick_and_waits_longer_each_time() {
    let mut b = Bench::online("");
    b.line(":op!o@h KICK #ops tenfold :out");
    assert!(!b.state().joined("#ops"));
    assert_eq!(b.effects(), [Effect::Left("#ops".into()), Effect::Gone("ana".into())]);
    b.advance(1_500);
    assert_eq!(b.sent(), ["JOIN #ops"]);
    b.line(":srv 474 tenfold #ops :Cannot join channel (+b)");
    b.advance(1_500);
    assert!(b.sent().is_empty());
    b.advance(1_500);
    assert_eq!(b.sent(), ["JOIN #ops"]);
}

#[test]
fn a_label_that_comes_back_confirms_and_what_was_cut_goes_again() {
    let mut b = Bench::online(LABELS);
    b.say(1, "#ops", "deploy 12 started", Priority::Announcement);
    assert_eq!(b.sent(), ["@label=t1 PRIVMSG #ops :deploy 12 started"]);
    b.line("@label=t1 :tenfold!~tenfold@host PRIVMSG #ops :deploy 12");
    assert_eq!(b.sent(), ["@label=t2 PRIVMSG #ops :\u{20}started"]);
    b.line("@label=t2 :tenfold!~tenfold@host PRIVMSG #ops :\u{20}started");
    assert_eq!(b.effects(), [Effect::Delivered(1)]);
}

#[test]
fn a_labelled_batch_confirms_too() {
    let mut b = Bench::online(LABELS);
    b.say(1, "ana", "page", Priority::Page);
    b.lines(&[
        "@label=t1 :srv BATCH +7 labeled-response",
        "@batch=7 :srv 301 tenfold ana :away",
        "@batch=7 :tenfold!~tenfold@host PRIVMSG ana :page",
        ":srv BATCH -7",
    ]);
    assert_eq!(b.effects(), [Effect::Delivered(1)]);
}

#[test]
fn elsewhere_the_answer_to_a_ping_confirms() {
    let mut b = Bench::online("");
    b.say(1, "#ops", "one", Priority::Announcement);
    assert_eq!(b.sent(), ["PRIVMSG #ops one", "PING tenfold-1"]);
    b.line(":srv PONG srv :tenfold-1");
    assert_eq!(b.effects(), [Effect::Delivered(1)]);
}

#[test]
fn a_nick_that_is_not_there_is_told_and_a_silenced_channel_tried_again() {
    let mut b = Bench::online("");
    b.say(1, "raj", "page", Priority::Page);
    b.lines(&[":srv 401 tenfold raj :No such nick", ":srv PONG srv :tenfold-1"]);
    assert_eq!(b.effects(), [Effect::Undeliverable { id: 1, reason: "No such nick".into() }]);
    b.say(2, "#ops", "hello", Priority::Announcement);
    b.lines(&[":srv 404 tenfold #ops :Cannot send to channel", ":srv PONG srv :tenfold-2"]);
    assert_eq!(b.effects(), []);
    b.out.clear();
    b.advance(10_000);
    assert_eq!(b.sent(), ["PRIVMSG #ops hello", "PING tenfold-3"]);
    b.line(":srv PONG srv :tenfold-3");
    assert_eq!(b.effects(), [Effect::Delivered(2)]);
}

/// Confirms every labelled line sent so far.
fn echo(b: &mut Bench) -> Vec<String> {
    let sent = b.sent();
    for line in &sent {
        if let Some((label, rest)) = line.strip_prefix("@label=").and_then(|l| l.split_once(' ')) {
            b.line(&format!("@label={label} :tenfold!~tenfold@host {rest}"));
        }
    }
    sent
}

#[test]
fn a_flood_is_spread_and_a_page_overtakes_it() {
    let mut b = Bench::online(LABELS);
    for id in 0..20 {
        b.say(id, "#ops", &format!("line {id}"), Priority::Announcement);
    }
    assert_eq!(echo(&mut b).len(), 5, "no more than five are unconfirmed");
    assert_eq!(echo(&mut b).len(), 3, "the rest of the burst");
    assert_eq!(echo(&mut b).len(), 0);
    b.say(99, "ana", "page", Priority::Page);
    b.advance(500);
    assert_eq!(echo(&mut b), ["@label=t9 PRIVMSG ana page"]);
    b.advance(1_000);
    assert_eq!(echo(&mut b), ["@label=t10 PRIVMSG #ops :line 8", "@label=t11 PRIVMSG #ops :line 9"]);
}

#[test]
fn unconfirmed_lines_go_again_on_the_next_connection_in_order() {
    let mut b = Bench::online("");
    b.say(1, "#ops", "one", Priority::Announcement);
    b.line(":srv PONG srv :tenfold-1");
    b.say(2, "#ops", "two", Priority::Announcement);
    b.say(3, "#ops", "three", Priority::Announcement);
    b.out.clear();
    b.feed(Input::Disconnected("reset".into()));
    b.say(4, "#ops", "four", Priority::Announcement);
    b.advance(2_000);
    b.feed(Input::Connected);
    b.lines(&[":srv 001 tenfold :Welcome", ":srv 376 tenfold :End"]);
    b.out.clear();
    b.line(":tenfold!~tenfold@host JOIN #ops");
    assert_eq!(b.sent(), ["PRIVMSG #ops two", "PRIVMSG #ops three", "PRIVMSG #ops four", "PING tenfold-4"]);
}

#[test]
fn a_line_that_is_never_confirmed_ends_the_connection() {
    let mut b = Bench::online(LABELS);
    b.say(1, "#ops", "one", Priority::Announcement);
    for _ in 0..3 {
        b.advance(10_000);
        b.line("PING x");
    }
    assert!(!b.state().is_online());
    assert_eq!(b.state().queued(), 1);
}

#[test]
fn hears_people_but_neither_itself_nor_servers_nor_history() {
    let mut b = Bench::online("batch echo-message server-time");
    b.lines(&[
        ":ana!a@h PRIVMSG #ops :!status",
        "@account=ana.k :ana!a@h PRIVMSG tenfold :who",
        ":ana!a@h PRIVMSG #ops :\u{1}ACTION waves\u{1}",
        ":ana!a@h PRIVMSG #ops :\u{1}VERSION\u{1}",
        ":tenfold!~tenfold@host PRIVMSG #ops :!deploy photos",
        ":srv NOTICE tenfold :hello",
        ":ana!a@h PRIVMSG #other :!deploy photos",
        ":srv BATCH +h chathistory #ops",
        "@batch=h :ana!a@h PRIVMSG #ops :!deploy photos",
        ":srv BATCH -h",
    ]);
    let heard: Vec<_> = b
        .effects()
        .into_iter()
        .filter_map(|e| if let Effect::Heard(h) = e { Some((h.text, h.channel, h.account)) } else { None })
        .collect();
    assert_eq!(
        heard,
        [
            ("!status".into(), Some("#ops".into()), None),
            ("who".into(), None, Some("ana.k".to_owned())),
            ("* waves".into(), Some("#ops".into()), None),
        ]
    );
}

#[test]
fn what_is_stamped_before_the_welcome_is_history() {
    let mut b = Bench::new(false);
    b.connect();
    b.lines(&[
        ":srv CAP * LS :server-time",
        ":srv CAP * ACK :server-time",
        "@time=2026-11-23T06:00:00.000Z :srv 001 tenfold :Welcome",
        ":srv 376 tenfold :End",
        ":tenfold!t@h JOIN #ops",
    ]);
    b.out.clear();
    b.line("@time=2026-11-23T05:59:00.000Z :ana!a@h PRIVMSG #ops :!deploy photos");
    assert_eq!(b.effects(), []);
    b.line("@time=2026-11-23T06:00:01.000Z :ana!a@h PRIVMSG #ops :!status");
    assert_eq!(b.effects().len(), 1);
}

#[test]
fn tells_when_somebody_can_no_longer_be_seen() {
    let mut b = Bench::online("");
    assert!(b.state().sees("ANA"));
    b.line(":raj!r@h JOIN #ops");
    b.line(":raj!r@h NICK raj2");
    assert_eq!(b.effects(), [Effect::Gone("raj".into()), Effect::Gone("raj2".into())]);
    assert!(b.state().sees("raj2"));
    b.lines(&[":raj2!r@h PART #ops", ":Ana!a@h QUIT :bye"]);
    assert_eq!(b.effects(), [Effect::Gone("raj2".into()), Effect::Gone("ana".into())]);
    assert!(!b.state().sees("ana"));
}

#[test]
fn asks_who_somebody_is() {
    let mut b = Bench::online("");
    b.feed(Input::Whois("Ana".into()));
    assert_eq!(b.sent(), ["WHOIS Ana Ana"]);
    b.lines(&[
        ":srv 311 tenfold Ana ~a host * :Ana",
        ":srv 317 tenfold Ana 12 1700000000 :seconds idle, signon time",
        ":srv 318 tenfold Ana :End",
    ]);
    let effects = b.effects();
    let [Effect::Whois(whois)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(whois.signon_s, Some(1_700_000_000));
    assert_eq!(whois.prefix.as_ref().unwrap().to_string(), "Ana!~a@host");
}

#[test]
fn a_full_queue_says_so() {
    let mut b = Bench::new(false);
    for id in 0..1_000 {
        b.say(id, "#ops", "x", Priority::Relay);
    }
    b.say(1_000, "#ops", "x", Priority::Relay);
    assert!(matches!(&b.effects()[..], [Effect::Undeliverable { id: 1_000, .. }]));
}

/// What a server may do between two lines of ours.
fn server_line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(":srv PONG srv :tenfold-1".to_owned()),
        Just(":srv PONG srv :tenfold-9".to_owned()),
        Just(":op!o@h KICK #ops tenfold :out".to_owned()),
        Just(":tenfold!~tenfold@host JOIN #ops".to_owned()),
        Just(":srv 404 tenfold #ops :no".to_owned()),
        Just(":srv 401 tenfold ana :no".to_owned()),
        Just(":srv 474 tenfold #ops :banned".to_owned()),
        (1..9u8).prop_map(|n| format!("@label=t{n} :tenfold!~tenfold@host PRIVMSG #ops :x")),
        (1..9u8).prop_map(|n| format!("@label=t{n} :srv ACK")),
        "(@[a-z=;]{0,9} )?(:[a-z!@]{1,9} )?(PRIVMSG|NICK|CAP|JOIN|QUIT|BATCH|[0-9]{3}) [a-z#:* +=-]{0,20}",
    ]
}

proptest! {
    #[test]
    fn each_message_ends_at_most_once_whatever_the_server_does(
        labels in any::<bool>(),
        events in proptest::collection::vec((server_line(), 0..40_000i64, any::<bool>()), 0..60),
    ) {
        let mut b = Bench::online(if labels { LABELS } else { "" });
        let mut ended = std::collections::BTreeSet::new();
        for (id, (line, wait_ms, say)) in events.into_iter().enumerate() {
            if say {
                b.say(id as u64, if id % 3 == 0 { "ana" } else { "#ops" }, "x y", Priority::Announcement);
            }
            if let Ok(message) = Message::parse(&line) {
                b.feed(Input::Line(message));
            }
            b.advance(wait_ms);
            for effect in b.effects() {
                match effect {
                    Effect::Delivered(id) | Effect::Undeliverable { id, .. } => prop_assert!(ended.insert(id)),
                    Effect::Connect => b.feed(Input::Connected),
                    _ => {}
                }
            }
        }
    }
}
