//! Rooms over a real store: what is recorded, who may what, how identities are bound.

use std::sync::Arc;

use tenfold_testkit::{TempDb, TestClock, TestEntropy, temp_db};
use tenfold_tsdb::Sample;
use tenfold_types::{Actor, ErrorCode, EventDraft, Labels, Severity, Source};

use super::{LinkKind, MessageKind, Speaker};
use crate::people::PersonUpdate;
use crate::{App, Caller, Role, Settings};

pub(super) struct Bench {
    pub app: App,
    pub clock: TestClock,
    _db: TempDb,
    _dir: tempfile::TempDir,
}

pub(super) async fn bench() -> Bench {
    let db = temp_db().await;
    let clock = TestClock::default();
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    let metrics = crate::metrics::State::open(&settings).unwrap();
    let entropy = Arc::new(TestEntropy::default());
    let app = App::new((*db).clone(), Arc::new(clock.clone()), entropy, settings, metrics);
    crate::load(&app).await.unwrap();
    for (login, role) in [("ana", Role::Deployer), ("mei", Role::Viewer)] {
        let update = PersonUpdate { role: Some(role), ..PersonUpdate::default() };
        app.person_put(&Caller::system(), login, update).await.unwrap();
    }
    Bench { app, clock, _db: db, _dir: dir }
}

impl Bench {
    pub async fn caller(&self, login: &str) -> Caller {
        self.app.chat_caller(login).await.unwrap().unwrap()
    }
    async fn speaker(&self, login: Option<&str>) -> Speaker {
        let caller = match login {
            None => None,
            Some(login) => Some(self.caller(login).await),
        };
        Speaker { room: "irc".into(), nick: "somebody".into(), caller }
    }
    /// Kinds and texts of the room, oldest first.
    async fn room(&self) -> Vec<(MessageKind, String, String)> {
        let (mut found, _) = self.app.console_messages(None, None).await.unwrap();
        found.reverse();
        found.into_iter().map(|m| (m.kind, m.who, m.text)).collect()
    }
}

#[tokio::test]
async fn a_message_is_said_and_a_command_is_answered_and_both_are_in_the_record() {
    let b = bench().await;
    let ana = b.caller("ana").await;
    assert_eq!(b.app.console_post(&ana, " good morning ").await.unwrap(), None);
    let reply = b.app.console_post(&ana, "!help deploy").await.unwrap().unwrap();
    assert!(reply.lines[0].starts_with("deploy SERVICE"), "{reply:?}");
    let reply = b.app.console_post(&ana, "!delpoy photos").await.unwrap().unwrap();
    assert_eq!(reply.refused, Some(ErrorCode::BadRequest));
    assert!(reply.lines[0].contains("did you mean `deploy`"));
    b.app.console_post(&ana, "doing rebooting db2").await.unwrap();
    let room = b.room().await;
    let shape: Vec<_> =
        room.iter().map(|(kind, who, text)| (*kind, who.as_str(), text.split(':').next().unwrap())).collect();
    assert_eq!(
        shape,
        [
            (MessageKind::Message, "ana", "good morning"),
            (MessageKind::Message, "ana", "!help deploy"),
            (MessageKind::Reply, "tenfold", "deploy SERVICE [REF] [--to ENV] [--dry-run] [--override REASON]"),
            (MessageKind::Message, "ana", "!delpoy photos"),
            (MessageKind::Reply, "tenfold", "I do not know `delpoy`; did you mean `deploy`? Like this"),
            (MessageKind::Message, "ana", "doing rebooting db2"),
            (MessageKind::Announcement, "ana", "ana"),
            (MessageKind::Reply, "tenfold", "noted"),
        ]
    );
    assert!(b.app.console_post(&ana, "  ").await.is_err());
    assert!(b.app.console_post(&ana, &"x".repeat(2_001)).await.unwrap_err().message.contains("2000"));
}

#[tokio::test]
async fn a_query_is_answered_with_a_few_rows_and_where_the_rest_are() {
    let b = bench().await;
    for n in 0..12 {
        let labels = [("__name__".to_owned(), "up".to_owned()), ("n".to_owned(), format!("{n:02}"))];
        let sample = Sample::new(Labels::from_pairs(labels), b.app.now().millis(), f64::from(n));
        b.app.metrics.append(&[sample]).unwrap();
    }
    let mei = b.caller("mei").await;
    let ask = async |line: &str| b.app.console_post(&mei, line).await.unwrap().unwrap();
    let reply = ask("!query sort(up)").await;
    assert_eq!((reply.refused, reply.lines.len()), (None, 11), "a viewer asks: {reply:?}");
    assert_eq!((reply.lines[0].as_str(), reply.lines[9].as_str()), ("up{n=\"00\"} 0", "up{n=\"09\"} 9"));
    assert!(reply.lines[10].starts_with("and 2 more: "), "{reply:?}");
    assert!(reply.lines[10].ends_with("/graphs/explore?expr=sort%28up%29"), "{reply:?}");
    let reply = ask("!query count(up{n=~\"0.\"})").await;
    assert_eq!((reply.lines[0].as_str(), reply.lines.len()), ("10", 2), "{reply:?}");
    assert_eq!(ask("!query nothing").await.lines[0], "no series matches");
    let wrong = "sum by (n (up)";
    let reply = ask(&format!("!query {wrong}")).await;
    assert_eq!(reply.refused, Some(ErrorCode::BadRequest));
    let api = b.app.query(wrong, b.app.now()).await.unwrap_err();
    assert_eq!(reply.text(), api.message, "as the API words it");
    assert!(reply.lines.len() == 3 && reply.lines[2].trim_start().starts_with('^'), "it points: {reply:?}");
    let long = format!("!query up{{n!=\"{}\"}}", "x".repeat(400));
    assert!(ask(&long).await.lines.last().unwrap().ends_with("/graphs/explore"), "the address stays whole");
    let reply = b.app.chat_command(&b.speaker(None).await, "!query up", "query up").await;
    assert_eq!(reply.refused, Some(ErrorCode::Forbidden), "nobody's nick asks");
}

#[tokio::test]
async fn deploys_are_listed_for_all_and_moved_by_those_who_deploy() {
    let b = bench().await;
    let reply = b.app.chat_command(&b.speaker(None).await, "!deploys", "deploys").await;
    assert_eq!((reply.refused, reply.text().as_str()), (None, "no deploy fits that"), "a stranger reads");
    let reply = b.app.chat_command(&b.speaker(None).await, "!log 1", "log 1").await;
    assert_eq!(reply.refused, Some(ErrorCode::Forbidden), "a build's output is for people with an account");
    let ana = b.caller("ana").await;
    let ask = async |line: &str| b.app.console_post(&ana, line).await.unwrap().unwrap();
    assert!(ask("!deploys --state gone").await.text().contains("not a state of a deploy"));
    for line in ["!promote 1", "!hold 1", "!abort 1", "!cancel 1 --reason x", "!retry 1", "!deploys 1", "!log 1"] {
        let reply = ask(line).await;
        assert_eq!(reply.refused, Some(ErrorCode::NotFound), "{line}: {reply:?}");
    }
    let reply = ask("!lock * --freeze --reason holidays").await;
    assert_eq!(reply.refused, Some(ErrorCode::Forbidden), "all services are frozen by an admin: {reply:?}");
    b.app
        .person_put(&Caller::system(), "ana", PersonUpdate { role: Some(Role::Admin), ..PersonUpdate::default() })
        .await
        .unwrap();
    let admin = b.caller("ana").await;
    let reply = b.app.console_post(&admin, "!lock * --freeze --reason holidays --for 2d").await.unwrap().unwrap();
    assert_eq!((reply.refused, reply.text().as_str()), (None, "everything in production is frozen for 48 h"));
    let locks = b.app.locks().await.unwrap();
    assert_eq!((locks.len(), locks[0].kind), (1, crate::deploys::views::LockKind::Freeze));
}

#[tokio::test]
async fn whoever_is_not_linked_reads_and_is_told_how_to_link() {
    let b = bench().await;
    let stranger = b.speaker(None).await;
    let reply = b.app.chat_command(&stranger, "!help", "help").await;
    assert_eq!(reply.refused, None);
    let reply = b.app.chat_command(&stranger, "!doing harm", "doing harm").await;
    assert_eq!(reply.refused, Some(ErrorCode::Forbidden));
    assert!(reply.lines[0].contains("!link CODE"), "{reply:?}");
    assert!(b.room().await.iter().all(|(kind, _, _)| *kind != MessageKind::Announcement));
    let said = b.room().await;
    assert_eq!(said[2], (MessageKind::Message, "somebody".into(), "!doing harm".into()), "the nick is only shown");
}

#[tokio::test]
async fn a_code_links_once_within_five_minutes_and_is_never_written_down() {
    let b = bench().await;
    let ana = b.caller("ana").await;
    let old = b.app.chat_link_create(&ana).await.unwrap();
    let code = b.app.chat_link_create(&ana).await.unwrap();
    assert_ne!(old.code, code.code);
    let claim = async |code: &str| b.app.chat_link_claim("irc", LinkKind::Session, "ana!a@h", Some(7), code).await;
    assert_eq!(claim(&old.code).await.unwrap_err().code, ErrorCode::Gone, "a new code makes the former useless");
    assert_eq!(claim(&code.code.to_lowercase()).await.unwrap(), "ana");
    assert_eq!(claim(&code.code).await.unwrap_err().code, ErrorCode::Gone, "single use");
    let late = b.app.chat_link_create(&ana).await.unwrap();
    b.clock.advance_minutes(5);
    assert_eq!(claim(&late.code).await.unwrap_err().code, ErrorCode::Gone);
    assert_eq!(b.app.chat_links("irc").await.unwrap().len(), 1);

    let secret = b.app.chat_link_create(&ana).await.unwrap().code;
    let stranger = b.speaker(None).await;
    let said = format!("!link {secret}");
    let reply = b.app.chat_command(&stranger, &said, &said[1..]).await;
    assert!(reply.refused.is_some());
    let events = b.app.events_after(0, 1_000).await.unwrap();
    assert!(!events.iter().any(|e| format!("{e:?}").contains(&secret)), "the code is in the record");
}

#[tokio::test]
async fn rights_are_those_of_the_moment() {
    let b = bench().await;
    let disabled = PersonUpdate { disabled: Some(true), ..PersonUpdate::default() };
    b.app.person_put(&Caller::system(), "ana", disabled).await.unwrap();
    assert!(b.app.chat_caller("ana").await.unwrap().is_none());
    assert!(b.app.chat_caller("nobody").await.unwrap().is_none());
}

#[tokio::test]
async fn a_room_is_told_what_came_after_its_position_once() {
    let b = bench().await;
    let note = |text: &str, severity| {
        EventDraft::new(Actor::person("ana"), Source::Web, "note.doing", text).severity(severity)
    };
    let record = async |draft: EventDraft| b.app.transact(move |t| t.record(draft.clone())).await.unwrap().seq;
    record(note("before the room was there", Severity::Info)).await;
    let start = b.app.chat_position("irc").await.unwrap();
    let first = record(note("one", Severity::Info)).await;
    let second = record(note("two", Severity::Critical)).await;
    let pending = b.app.chat_pending("irc", start).await.unwrap();
    let told: Vec<_> = pending.lines.iter().map(|l| (l.seq, l.text.as_str())).collect();
    assert_eq!(told, [(first, "one"), (second, "▲ two")]);
    b.app.chat_delivered("irc", first).await.unwrap();
    assert_eq!(b.app.chat_position("irc").await.unwrap(), first);
    let rest = b.app.chat_pending("irc", first).await.unwrap();
    assert_eq!(rest.lines.len(), 1);
    b.clock.advance_minutes(25 * 60);
    assert_eq!(b.app.chat_pending("irc", first).await.unwrap().lines, [], "a day later it is no news");
}

#[tokio::test]
async fn a_page_is_for_one_person() {
    let b = bench().await;
    let page = |person: &str, channel: &str| {
        EventDraft::new(Actor::system(), Source::System, "page.sent", format!("paged {person}"))
            .data(serde_json::json!({"person": person, "channel": channel}))
    };
    for draft in [page("ana", "mail"), page("raj", "irc")] {
        b.app.transact(move |t| t.record(draft.clone())).await.unwrap();
    }
    let pending = b.app.chat_pending_pages(0, 0).await.unwrap();
    let people: Vec<_> = pending.pages.iter().map(|(_, login, _)| login.as_str()).collect();
    assert_eq!(people, ["ana"], "what went out through chat is not sent again");
    assert!(pending.upto > pending.pages[0].0);
    assert_eq!(b.app.chat_direct("ana", "x").await.unwrap_err().code, ErrorCode::Unavailable);
    assert_eq!(b.app.chat_direct("nobody", "x").await.unwrap_err().code, ErrorCode::NotFound);
}
