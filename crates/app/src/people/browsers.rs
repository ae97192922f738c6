//! Browsers in which a person turned pages on (Push API). Each is the person's own: nobody else sees or changes them, and
//! what a browser's push service knows no more is forgotten at once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tenfold_store::people::{self, PersonRow};
use tenfold_store::push_browsers::{self as store, BrowserRow};
use tenfold_types::{Actor, ActorKind, EventDraft, Fault, Severity, Source, Timestamp};

use super::{Caller, profile::from_row};
use crate::alerts::{Notice, Push, PushError, PushTo};
use crate::{App, Txn};

/// Of one person.
const BROWSERS_MAX: i64 = 10;
const ENDPOINT_BYTES_MAX: usize = 2_048;
const LABEL_CHARS_MAX: usize = 80;
const POINT_BYTES: usize = 65;
const SECRET_BYTES: usize = 16;

/// What a browser's `PushSubscription` says of itself.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBrowser {
    /// The address that its push service gave it; https, at most 2,048 bytes.
    pub endpoint: String,
    pub keys: BrowserKeys,
    /// What the person calls it, such as `Firefox on Linux`; at most 80 characters.
    #[serde(default)]
    pub label: String,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrowserKeys {
    /// A P-256 public key, base64url.
    pub p256dh: String,
    /// A secret of 16 bytes, base64url.
    pub auth: String,
}

/// A browser that takes pages; its keys and its address are told to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Browser {
    /// The digest of its address: the first 32 hexadecimal digits of its SHA-256.
    pub id: String,
    pub label: String,
    /// The host of its push service.
    pub service: String,
    #[schema(value_type = String)]
    pub added_at: Timestamp,
}

/// What a page needs to turn pages on in its browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PushView {
    /// The server's public key (VAPID, RFC 8292), base64url: the `applicationServerKey` of subscriptions.
    pub key: String,
    /// One's own.
    pub browsers: Vec<Browser>,
}

fn view(row: &BrowserRow) -> Browser {
    Browser {
        id: row.id.clone(),
        label: row.label.clone(),
        service: host(&row.endpoint).to_owned(),
        added_at: row.added_at,
    }
}

/// What stands between the scheme and the path.
fn host(endpoint: &str) -> &str {
    endpoint.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next()).unwrap_or_default()
}

/// The same as pages compute it.
fn id_of(endpoint: &str) -> String {
    use sha2::Digest;
    let mut id = hex::encode(sha2::Sha256::digest(endpoint.as_bytes()));
    id.truncate(32);
    id
}

impl NewBrowser {
    fn check(&self, loopback: bool) -> Result<(), Fault> {
        let plain = self.endpoint.bytes().all(|b| b.is_ascii_graphic());
        let scheme = self.endpoint.starts_with("https://") || (loopback && self.endpoint.starts_with("http://"));
        let host = host(&self.endpoint);
        if !plain || !scheme || host.is_empty() || host.contains('@') || self.endpoint.len() > ENDPOINT_BYTES_MAX {
            return Err(Fault::invalid(format!(
                "the browser's endpoint is not an https address of at most {ENDPOINT_BYTES_MAX} bytes"
            ))
            .advice("send what PushSubscription.toJSON() gives"));
        }
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).unwrap_or_default();
        let point = bytes(&self.keys.p256dh);
        if point.len() != POINT_BYTES || point.first() != Some(&4) || bytes(&self.keys.auth).len() != SECRET_BYTES {
            return Err(Fault::invalid("the browser's keys are not a P-256 public key and a secret of 16 bytes")
                .advice("send what PushSubscription.toJSON() gives"));
        }
        if self.label.chars().count() > LABEL_CHARS_MAX || self.label.chars().any(char::is_control) {
            return Err(Fault::invalid(format!(
                "the browser's label has control characters, or more than {LABEL_CHARS_MAX}"
            )));
        }
        Ok(())
    }
}

/// The number in the profile says by itself that this person is reached so.
fn recount(t: &mut Txn<'_>, login: &str) -> Result<(), Fault> {
    let Some(row) = people::person_get(t.tx(), login)? else { return Ok(()) };
    let mut person = from_row(&row)?;
    person.browsers = u32::try_from(store::count(t.tx(), login)?).unwrap_or(u32::MAX);
    let body = serde_json::to_string(&person).map_err(|e| Fault::internal(e.to_string()))?;
    people::person_put(t.tx(), &PersonRow { body, ..row })?;
    Ok(())
}

fn event(who: Actor, source: Source, login: &str, text: String) -> EventDraft {
    EventDraft::new(who, source, "person.changed", text)
        .severity(Severity::Debug)
        .data(serde_json::json!({"login": login}))
        .admins_only()
}

fn only_people(who: &Caller) -> Result<String, Fault> {
    if who.actor.kind != ActorKind::Person {
        return Err(Fault::forbidden("only a person has a browser").advice("sign in as yourself"));
    }
    Ok(who.actor.id.clone())
}

fn unknown(id: &str) -> Fault {
    Fault::not_found(format!("none of your browsers is `{id:.40}`")).advice("turn pages on in it again")
}

impl App {
    /// The key to subscribe with, and one's own browsers.
    pub async fn push_view(&self, who: &Caller) -> Result<PushView, Fault> {
        let login = only_people(who)?;
        let notifier = self.alerts.notifier.read().clone();
        let notifier = notifier.ok_or_else(|| Fault::unavailable("no channel is connected"))?;
        let key = notifier.push_key().await.map_err(|e| Fault::unavailable(e.message))?;
        let browsers = self.browsers(&login).await?.iter().map(view).collect();
        Ok(PushView { key, browsers })
    }

    pub(crate) async fn browsers(&self, login: &str) -> Result<Vec<BrowserRow>, Fault> {
        let login = login.to_owned();
        self.read(move |tx| Ok(store::of_person(tx, &login)?)).await
    }

    /// Turns pages on in a browser. One that was somebody else's is theirs no more.
    pub async fn browser_put(&self, who: &Caller, new: NewBrowser) -> Result<Browser, Fault> {
        let login = only_people(who)?;
        new.check(self.settings.channels.push_loopback)?;
        let who = who.clone();
        self.transact(move |t| {
            let id = id_of(&new.endpoint);
            let before = store::get(t.tx(), &id)?;
            let own = before.as_ref().is_some_and(|b| b.person == login);
            if !own && store::count(t.tx(), &login)? >= BROWSERS_MAX {
                return Err(Fault::conflict(format!("pages go to at most {BROWSERS_MAX} browsers of a person"))
                    .advice("take one out that you do not use any more"));
            }
            let row = BrowserRow {
                id,
                person: login.clone(),
                label: if new.label.is_empty() { "a browser".to_owned() } else { new.label.clone() },
                endpoint: new.endpoint.clone(),
                p256dh: new.keys.p256dh.clone(),
                auth: new.keys.auth.clone(),
                added_at: before.as_ref().filter(|_| own).map_or(t.now(), |b| b.added_at),
            };
            if before.as_ref() == Some(&row) {
                return Ok(view(&row));
            }
            store::put(t.tx(), &row)?;
            recount(t, &login)?;
            if let Some(before) = before.filter(|_| !own) {
                recount(t, &before.person)?;
            }
            let text = format!("{} takes pages in {}", who.actor, row.label);
            t.record(event(who.actor.clone(), who.source, &login, text))?;
            Ok(view(&row))
        })
        .await
    }

    /// Turns pages off in one of one's own browsers.
    pub async fn browser_delete(&self, who: &Caller, id: &str) -> Result<(), Fault> {
        let login = only_people(who)?;
        let (who, id) = (who.clone(), id.to_owned());
        self.transact(move |t| {
            let row = store::get(t.tx(), &id)?.filter(|row| row.person == login).ok_or_else(|| unknown(&id))?;
            store::delete(t.tx(), &id)?;
            recount(t, &login)?;
            let text = format!("{} takes no pages in {} any more", who.actor, row.label);
            t.record(event(who.actor.clone(), who.source, &login, text))?;
            Ok(())
        })
        .await
    }

    /// Pushes a test to one of one's own browsers, and says what its push service answers.
    pub async fn browser_test(&self, who: &Caller, id: &str) -> Result<(), Fault> {
        let login = only_people(who)?;
        let rows = self.browsers(&login).await?;
        let row = rows.into_iter().find(|row| row.id == id).ok_or_else(|| unknown(id))?;
        let notifier = self.alerts.notifier.read().clone();
        let notifier = notifier.ok_or_else(|| Fault::unavailable("no channel is connected"))?;
        let notice = Notice {
            subject: "Test: pages reach this browser".to_owned(),
            text: format!("{} sent it to {}. A page looks and sounds like this.", who.name, row.label),
            link: self.settings.link("/settings"),
            thread: "test".to_owned(),
            incident: 0,
            service: None,
            environment: None,
            severity: "info".to_owned(),
            at: self.now(),
        };
        let key = format!("test.{}.{}", row.id, self.now().millis());
        match notifier.push(&to(&row), Push::Page(&notice), &key).await {
            Ok(()) => Ok(()),
            Err(PushError::Gone) => {
                self.browsers_gone(&[row]).await?;
                Err(Fault::conflict("the push service does not know this browser any more; it was taken out")
                    .advice("turn pages on in it again"))
            }
            Err(PushError::Failed(error)) => {
                let text = format!("the push service did not take it: {}", error.message);
                if error.permanent { Err(Fault::conflict(text)) } else { Err(Fault::unavailable(text)) }
            }
        }
    }

    /// Forgets browsers that are no more. One that subscribed anew meanwhile stays.
    pub(crate) async fn browsers_gone(&self, rows: &[BrowserRow]) -> Result<(), Fault> {
        let rows = rows.to_vec();
        self.transact(move |t| {
            for row in &rows {
                if store::get(t.tx(), &row.id)?.as_ref() != Some(row) {
                    continue;
                }
                store::delete(t.tx(), &row.id)?;
                recount(t, &row.person)?;
                let text = format!(
                    "{} of {} takes no pages any more: its push service does not know it",
                    row.label, row.person
                );
                let draft = event(Actor::system(), Source::System, &row.person, text).severity(Severity::Warning);
                t.record(draft)?;
            }
            Ok(())
        })
        .await
    }
}

pub(crate) fn to(row: &BrowserRow) -> PushTo {
    PushTo {
        endpoint: row.endpoint.clone(),
        p256dh: row.p256dh.clone(),
        auth: row.auth.clone(),
        login: row.person.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(endpoint: &str) -> NewBrowser {
        let keys = BrowserKeys {
            p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
                .to_owned(),
            auth: "BTBZMqHH6r4Tts7J_aSIgg".to_owned(),
        };
        NewBrowser { endpoint: endpoint.to_owned(), keys, label: String::new() }
    }

    #[test]
    fn only_what_browsers_say_is_taken() {
        new("https://push.example.org/send/abc?x=1").check(false).unwrap();
        new("http://127.0.0.1:8080/x").check(true).unwrap();
        let long = format!("https://push.example.org/{}", "x".repeat(ENDPOINT_BYTES_MAX));
        for endpoint in
            ["", "http://push.example.org/x", "https://", "https:///x", "https://a@b/x", "https://a/ b", &long]
        {
            assert!(new(endpoint).check(false).is_err(), "{endpoint:.60}");
        }
        let wrong = |change: fn(&mut NewBrowser)| {
            let mut one = new("https://push.example.org/x");
            change(&mut one);
            one.check(false).unwrap_err().message
        };
        assert!(wrong(|n| n.keys.auth = "AAAA".to_owned()).contains("keys"));
        assert!(wrong(|n| n.keys.p256dh = "AAAA".to_owned()).contains("keys"));
        assert!(wrong(|n| n.label = "x".repeat(81)).contains("label"));
        assert_eq!(host("https://push.example.org:8443/send/abc"), "push.example.org:8443");
    }

    /// The pages find their own browser in the list by it: `printf https://push.example.org/x | sha256sum`.
    #[test]
    fn the_id_is_the_beginning_of_the_digest() {
        assert_eq!(id_of("https://push.example.org/x"), "0e616f21956e41e0f2dbf447262b6258");
    }
}
