//! The bot on real IRC servers: ngircd, which has none of the newer extensions, and InspIRCd, which has them. Each test
//! starts its own server on a free port and ends it by its process.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bot;
mod client;
mod server;

use std::time::{Duration, Instant};

use bot::Bot;
use client::Client;
use server::{Kind, Server};
use tenfold_types::Severity;

macro_rules! on_both {
    ($($name:ident)*) => {
        mod ngircd {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(server) = super::Server::start(super::Kind::Ngircd).await {
                    super::$name(server).await;
                }
            })*
        }
        mod inspircd {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(server) = super::Server::start(super::Kind::Inspircd).await {
                    super::$name(server).await;
                }
            })*
        }
    };
}

on_both! {
    announces_within_two_seconds_and_in_order
    links_by_code_runs_commands_and_forgets_a_changed_nick
    comes_back_after_a_kick
    reconnects_to_a_restarted_server_and_tells_the_backlog_once
    cuts_long_lines_so_that_nothing_is_lost
    pages_one_person_and_knows_whether_it_arrived
    knows_people_again_after_its_own_restart
    gives_way_to_another_with_its_nick
    relays_between_the_channel_and_the_web_room
}

async fn announces_within_two_seconds_and_in_order(server: Server) {
    let mut ana = Client::join(&server, "ana", "#ops").await;
    let bot = Bot::start(&server, "#ops").await;
    ana.until("JOIN", |m| m.is("JOIN") && m.source.as_deref().is_some_and(|s| s.starts_with("tenfold!"))).await;
    let mut heard_after = Vec::<Duration>::new();
    while heard_after.iter().all(|took| *took >= Duration::from_secs(2)) {
        // a machine that stood still for a moment is asked again
        assert!(heard_after.len() < 3, "{heard_after:?}");
        let (began, line) = (Instant::now(), format!("raj: rebooting db{}", heard_after.len()));
        bot.record("note.doing", Severity::Info, &line).await;
        ana.hears(&line).await;
        heard_after.push(began.elapsed());
    }
    println!("{:?}: heard after {heard_after:?}", server.kind);
    for n in 0..8 {
        bot.record("flag.switched", Severity::Info, &format!("ana switched flag {n}")).await;
    }
    for n in 0..8 {
        assert_eq!(ana.next_text().await, format!("ana switched flag {n}"));
    }
    bot.settled().await;
}

async fn links_by_code_runs_commands_and_forgets_a_changed_nick(server: Server) {
    let mut ana = Client::join(&server, "ana", "#ops").await;
    let bot = Bot::start(&server, "#ops").await;
    ana.hears_join("tenfold").await;

    ana.say("#ops", "!doing harm").await;
    assert!(ana.next_text().await.contains("I do not know who you are"), "a nick that is a login is nobody");

    let code = bot.code("ana").await;
    ana.say("tenfold", &format!("!link {code}")).await;
    assert!(ana.next_text().await.contains("you are ana"));
    ana.say("tenfold", &format!("!link {code}")).await;
    assert!(ana.next_text().await.contains("no longer good"), "a code works once");

    ana.say("#ops", "!doing rebooting db2").await;
    let said = [ana.next_text().await, ana.next_text().await];
    assert!(said.contains(&"ana: rebooting db2".to_owned()), "{said:?}");
    let event = bot.last("note.doing").await;
    assert_eq!((event.actor.id.as_str(), event.source), ("ana", tenfold_types::Source::Chat));

    ana.say("#ops", "tenfold: help ack").await;
    let help =
        "ana: ack N [--for DURATION]: Acknowledges incident N: you have it, for good or for a time. Example: ack 14";
    assert_eq!(ana.next_text().await, help);

    ana.send("NICK anna").await;
    ana.until("NICK", |m| m.is("NICK")).await;
    ana.say("#ops", "!doing harm").await;
    assert!(ana.next_text().await.contains("I do not know who you are"));
    ana.send("NICK ana").await;
    ana.until("NICK", |m| m.is("NICK")).await;
    ana.say("#ops", "!doing harm").await;
    assert!(ana.next_text().await.contains("I do not know who you are"), "coming back needs a new code");
    assert!(!bot.says_anywhere(&code).await, "the code is in the record");
}

async fn comes_back_after_a_kick(server: Server) {
    let mut op = Client::join(&server, "raj", "#ops").await;
    let bot = Bot::start(&server, "#ops").await;
    op.hears_join("tenfold").await;
    // Nobody speaks into the channel from outside.
    op.send("MODE #ops +n").await;
    op.send("KICK #ops tenfold :out").await;
    op.until("KICK", |m| m.is("KICK")).await;
    bot.record("note.doing", Severity::Info, "said while it was out").await;
    op.hears_join("tenfold").await;
    op.hears("said while it was out").await;
    bot.settled().await;
}

async fn reconnects_to_a_restarted_server_and_tells_the_backlog_once(mut server: Server) {
    let bot = Bot::start(&server, "#ops").await;
    bot.in_channel().await;
    server.stop().await;
    bot.offline().await;
    for n in 0..5 {
        bot.record("note.doing", Severity::Info, &format!("missed {n}")).await;
    }
    server.restart().await;
    let mut ana = Client::join(&server, "ana", "#ops").await;
    // Whoever comes first hears all: the bot waits for nobody.
    if ana.names.iter().any(|n| n.trim_start_matches('@') == "tenfold") {
        bot.settled().await;
        return;
    }
    for n in 0..5 {
        assert_eq!(ana.next_text().await, format!("missed {n}"));
    }
    bot.record("note.doing", Severity::Info, "the next").await;
    assert_eq!(ana.next_text().await, "the next", "nothing is told twice");
    bot.settled().await;
}

async fn cuts_long_lines_so_that_nothing_is_lost(server: Server) {
    let mut ana = Client::join(&server, "ana", "#ops").await;
    let bot = Bot::start(&server, "#ops").await;
    ana.hears_join("tenfold").await;
    let text = (0..180).map(|n| format!("größe{n}")).collect::<Vec<_>>().join(" ");
    bot.record("note.doing", Severity::Info, &text).await;
    let mut heard = vec![ana.next_text().await];
    while !heard.last().is_some_and(|line| line.ends_with("größe179")) {
        heard.push(ana.next_text().await);
    }
    assert_eq!(heard.join(" "), text);
    assert!((4..8).contains(&heard.len()), "{} lines for {} bytes", heard.len(), text.len());
    bot.settled().await;
}

async fn pages_one_person_and_knows_whether_it_arrived(server: Server) {
    let mut ana = Client::join(&server, "ana_k", "#ops").await;
    let bot = Bot::start(&server, "#ops").await;
    ana.hears_join("tenfold").await;
    bot.contact("ana", "ana_k").await;
    bot.app.chat_direct("ana", "photos is down").await.expect("the page arrives");
    assert_eq!(ana.next_text().await, "photos is down");
    bot.contact("ana", "nobody_here").await;
    let refused = bot.app.chat_direct("ana", "photos is down").await.expect_err("nobody has that nick");
    assert!(refused.message.contains("IRC"), "{refused}");
    bot.contact("ana", "ana_k").await;
    bot.page("ana", "ana is paged for incident 3").await;
    assert_eq!(ana.until_text(|to, _| to == "ana_k").await, "▲ ana is paged for incident 3");
    bot.settled().await;
}

async fn knows_people_again_after_its_own_restart(server: Server) {
    let mut ana = Client::join(&server, "ana", "#ops").await;
    let mut bot = Bot::start(&server, "#ops").await;
    ana.hears_join("tenfold").await;
    let code = bot.code("ana").await;
    ana.say("tenfold", &format!("!link {code}")).await;
    assert!(ana.next_text().await.contains("you are ana"));
    bot.signon_kept().await;
    bot.restart(&server, "#ops").await;
    ana.hears_join("tenfold").await;
    bot.recognises(&mut ana).await;

    // The same nick, user and host on another connection is nobody.
    bot.settled().await;
    bot.stop().await;
    ana.quit().await;
    // Servers tell the signing on to the second.
    bot.next_second().await;
    let mut other = Client::join(&server, "ana", "#ops").await;
    bot.restart(&server, "#ops").await;
    other.hears_join("tenfold").await;
    bot.forgotten().await;
    other.say("#ops", "!doing harm").await;
    assert!(other.next_text().await.contains("I do not know who you are"));
}

async fn gives_way_to_another_with_its_nick(server: Server) {
    let mut other = Client::join(&server, "tenfold", "#ops").await;
    let bot = Bot::start(&server, "#ops").await;
    other.hears_join("tenfold_").await;
    other.send("NICK somebody").await;
    other.until("the bot's NICK", |m| m.is("NICK") && m.param(0) == "tenfold").await;
    bot.record("note.doing", Severity::Info, "still here").await;
    other.hears("still here").await;
    if server.kind == Kind::Ngircd {
        // The old nick is free again: nobody is taken for the bot.
        other.send("NICK tenfold_").await;
        other.until("NICK", |m| m.is("NICK") && m.param(0) == "tenfold_").await;
    }
    bot.settled().await;
}

async fn relays_between_the_channel_and_the_web_room(server: Server) {
    let mut mei = Client::join(&server, "mei", "#ops").await;
    let bot = Bot::relaying(&server, "#ops").await;
    mei.hears_join("tenfold").await;
    bot.says_on_the_web("ana", "is anybody on photos?").await;
    mei.hears("<ana> is anybody on photos?").await;
    mei.say("#ops", "I am").await;
    assert_eq!(bot.hears_on_the_web("I am").await, "mei");
    // What came from the channel does not go back there.
    bot.record("note.doing", Severity::Info, "the next").await;
    mei.hears("the next").await;
    bot.settled().await;
}
