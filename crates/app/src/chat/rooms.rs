//! Rooms: what is said in them goes into the record, commands are run, and the web room is read back out of it.

use tenfold_store::events::EventQuery;
use tenfold_types::{Actor, ErrorCode, Event, EventDraft, EventId, Fault, Severity, Source};

use super::commands::Reply;
use super::grammar::{self, Command};
use super::views::{ConsoleMessage, room_kinds};
use crate::people::Role;
use crate::{App, Caller};

/// The longest message.
pub const MESSAGE_CHARS_MAX: usize = 2_000;
const PAGE_MESSAGES: usize = 100;
const PAGE_MESSAGES_MAX: usize = 500;

/// Who said something in a room of a network.
#[derive(Debug, Clone)]
pub struct Speaker {
    pub room: String,
    pub nick: String,
    /// The linked person, if any.
    pub caller: Option<Caller>,
}

impl Speaker {
    fn actor(&self) -> Actor {
        // A nick is a claim, so it is never written down as a person.
        self.caller.as_ref().map_or_else(|| Actor::robot(&self.room), |c| c.actor.clone())
    }

    fn draft(&self, kind: &str, text: &str) -> EventDraft {
        let name = self.caller.as_ref().map(|c| c.name.clone());
        let mut data = serde_json::json!({"room": self.room});
        if let Some(name) = name {
            data["name"] = name.into();
        } else {
            data["nick"] = self.nick.as_str().into();
        }
        EventDraft::new(self.actor(), Source::Chat, kind, text).data(data)
    }
}

/// The command in a message, if it is one: `!deploy …` or `/deploy …`, or `doing …` as it is.
fn command_in(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix(['!', '/']) {
        return Some(rest);
    }
    let (word, rest) = text.split_once(char::is_whitespace)?;
    (word.eq_ignore_ascii_case("doing") && !rest.trim().is_empty()).then_some(text)
}

fn check_message(text: &str) -> Result<&str, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::invalid("there is nothing to say").advice("write something, or !help for the commands"));
    }
    if text.chars().count() > MESSAGE_CHARS_MAX {
        return Err(Fault::new(ErrorCode::TooLarge, format!("a message has at most {MESSAGE_CHARS_MAX} characters")));
    }
    Ok(text)
}

impl App {
    /// The web room, newest first, before `before`.
    pub async fn console_messages(
        &self,
        before: Option<i64>,
        limit: Option<usize>,
    ) -> Result<(Vec<ConsoleMessage>, Option<i64>), Fault> {
        let limit = limit.unwrap_or(PAGE_MESSAGES).clamp(1, PAGE_MESSAGES_MAX);
        let mut found = Vec::new();
        let mut cursor = before;
        loop {
            let query = EventQuery { kinds: room_kinds(), before: cursor, limit, ..EventQuery::default() };
            let events = self.events(query).await?;
            let last_page = events.len() < limit;
            for event in &events {
                cursor = Some(event.seq);
                found.extend(ConsoleMessage::of(event));
                if found.len() == limit {
                    return Ok((found, cursor));
                }
            }
            if last_page {
                return Ok((found, None));
            }
        }
    }

    /// Somebody writes into the web room: a command is run and answered, `doing …` is noted, anything else is said.
    pub async fn console_post(&self, who: &Caller, text: &str) -> Result<Option<Reply>, Fault> {
        who.require(Role::Viewer, None, None)?;
        let text = check_message(text)?;
        let speaker = Speaker { room: "web".into(), nick: who.actor.id.clone(), caller: Some(who.clone()) };
        match command_in(text) {
            None => {
                self.chat_say(&speaker, text).await?;
                Ok(None)
            }
            Some(line) => Ok(Some(self.chat_command(&speaker, text, line).await)),
        }
    }

    /// Writes down what somebody said.
    pub async fn chat_say(&self, speaker: &Speaker, text: &str) -> Result<Event, Fault> {
        let draft = speaker.draft("chat.message", check_message(text)?);
        self.transact(move |t| t.record(draft.clone())).await
    }

    /// Runs a command somebody gave in a room; it and its answer are recorded. Never fails: a refusal is an answer too.
    pub async fn chat_command(&self, speaker: &Speaker, said: &str, line: &str) -> Reply {
        let command = match grammar::parse(line) {
            Ok(command) => command,
            Err(fault) => return self.chat_answer(speaker, said, None, Reply::refusal(&fault)).await,
        };
        if matches!(command, Command::Link { .. }) {
            // The code is a secret: neither it nor the line goes into the record.
            let fault = Fault::invalid("a link code is said to the bot alone, in the chat network it is for");
            return Reply::refusal(&fault);
        }
        let caller = match &speaker.caller {
            Some(caller) => caller.clone(),
            None if command.only_reads() => reader(&speaker.room),
            None => return self.chat_answer(speaker, said, None, Reply::refusal(&unlinked(self))).await,
        };
        let before = self.chat_say(speaker, said).await;
        let asked = match before {
            Ok(event) => event.id,
            Err(fault) => return Reply::refusal(&fault),
        };
        let reply = match self.execute(&caller, command).await {
            Ok(reply) => reply,
            Err(fault) => Reply::refusal(&fault),
        };
        self.chat_answer(speaker, said, Some(asked), reply).await
    }

    /// Writes the answer down, and the question before it unless that is done.
    async fn chat_answer(&self, speaker: &Speaker, said: &str, asked: Option<EventId>, reply: Reply) -> Reply {
        let said: String = said.chars().take(MESSAGE_CHARS_MAX).collect();
        let question = speaker.draft("chat.message", &said);
        let mut answer = EventDraft::new(Actor::system(), Source::Chat, "chat.reply", reply.lines.join("\n"))
            .severity(reply.severity)
            .data(serde_json::json!({"room": speaker.room, "to": speaker.nick}));
        answer.on_behalf_of = speaker.caller.as_ref().map(|c| c.actor.clone());
        let written = self
            .transact(move |t| {
                let asked = match asked {
                    Some(asked) => asked,
                    None => t.record(question.clone())?.id,
                };
                t.record(answer.clone().causation(asked))?;
                Ok(())
            })
            .await;
        match written {
            Ok(()) => reply,
            Err(fault) => {
                tracing::warn!(%fault, "an answer could not be recorded");
                reply
            }
        }
    }

    /// Answers to nobody in particular: what everybody who hears the room may know.
    pub async fn chat_doing(&self, who: &Caller, text: &str) -> Result<Event, Fault> {
        who.require(Role::Viewer, None, None)?;
        let text = text.to_owned();
        let draft = EventDraft::new(who.actor.clone(), who.source, "note.doing", format!("{}: {text}", who.actor))
            .severity(Severity::Info)
            .data(serde_json::json!({"text": text, "name": who.name}));
        self.transact(move |t| t.record(draft.clone())).await
    }
}

/// Somebody in a room whom we do not know: what the room may hear anyway.
fn reader(room: &str) -> Caller {
    Caller {
        actor: Actor::robot(room),
        name: "an unlinked visitor".into(),
        source: Source::Chat,
        grants: vec![crate::Grant::everywhere(Role::Viewer)],
    }
}

/// How to become known.
fn unlinked(app: &App) -> Fault {
    let page = app.settings.link("/settings");
    Fault::forbidden("I do not know who you are")
        .advice(format!("get a code on {page} and tell it to me alone: !link CODE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_marked_and_doing_is_one_by_itself() {
        assert_eq!(command_in("!deploy photos"), Some("deploy photos"));
        assert_eq!(command_in("/who"), Some("who"));
        assert_eq!(command_in("doing rebooting db2"), Some("doing rebooting db2"));
        assert_eq!(command_in("Doing it"), Some("Doing it"));
        assert_eq!(command_in("doing"), None);
        assert_eq!(command_in("what are you doing now"), None);
    }
}
