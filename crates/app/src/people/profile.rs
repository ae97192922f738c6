//! Profiles: who people are, how to reach them, what they may do. Robots have tokens instead.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_store::people::{self as store, PersonRow};
use tenfold_types::{ActorKind, EventDraft, Fault};

use super::{Caller, Grant, NotificationRules, Role, check_name, passwords};
use crate::{App, alerts::Channel};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PersonKind {
    Developer,
    Operator,
}

/// How to reach a person; what is empty is not used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Contact {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// Nick on the IRC network, for direct messages.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub irc: String,
    /// URL that pages are posted to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub webhook: String,
    /// Other ways, by the name of the channel: `slack`, `mattermost`, `discord`, `teams`, `telegram`, `matrix`, `ntfy`,
    /// `gotify`, `pushover`, `pagerduty`, `opsgenie`, `sms`, `voice`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<String, String>,
    /// When only critical pages may ring, in the person's own time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<QuietHours>,
    /// In which order the ways ring; without them the first at once and each further one 30 s after the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<NotificationRules>,
}

impl Contact {
    /// Where a channel reaches this person by what they say of themselves; empty when it does not.
    fn address(&self, channel: Channel) -> &str {
        match channel {
            Channel::Mail => &self.email,
            Channel::Irc => &self.irc,
            Channel::Webhook => &self.webhook,
            other => self.channels.get(other.as_str()).map_or("", String::as_str),
        }
    }

    /// What was hidden from whoever sends it back stands for what is there. What stands for nothing stays, and is refused.
    pub(crate) fn keep_hidden(&mut self, before: &Self) {
        if self.webhook == HIDDEN && !before.webhook.is_empty() {
            self.webhook.clone_from(&before.webhook);
        }
        for (channel, to) in &mut self.channels {
            if let Some(kept) = before.channels.get(channel).filter(|_| to == HIDDEN) {
                to.clone_from(kept);
            }
        }
    }
}

/// Hours in which pages that are not critical go by quiet channels alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// `22:00`.
    pub from: String,
    /// `07:00`; before `from` it is on the next day.
    pub to: String,
    /// Channels that may be used all the same; mail when none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
}

impl QuietHours {
    /// Whether an instant lies in them. What cannot be read is never quiet.
    pub fn covers(&self, at: tenfold_types::Timestamp, timezone: &str) -> bool {
        let clock = |text: &str| jiff::civil::Time::strptime("%H:%M", text).ok();
        let (Some(from), Some(to)) = (clock(&self.from), clock(&self.to)) else { return false };
        let zone = jiff::tz::TimeZone::get(timezone).ok();
        let (Some(zone), Ok(at)) = (zone, jiff::Timestamp::from_millisecond(at.millis())) else { return false };
        let now = at.to_zoned(zone).time();
        if from <= to { from <= now && now < to } else { now >= from || now < to }
    }

    pub fn allows(&self, channel: &str) -> bool {
        if self.channels.is_empty() { channel == "mail" } else { self.channels.iter().any(|c| c == channel) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Person {
    pub login: String,
    pub name: String,
    pub kind: PersonKind,
    pub timezone: String,
    /// The role everywhere; `grants` may add more on single services.
    pub role: Role,
    #[serde(default)]
    pub grants: Vec<Grant>,
    #[serde(default)]
    pub teams: Vec<String>,
    #[serde(default)]
    pub contact: Contact,
    #[serde(default)]
    pub disabled: bool,
    #[serde(default)]
    pub has_password: bool,
    /// Browsers in which the person turned pages on; they are reached by the channel `webpush`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub browsers: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What stands for an address that is not for the asker.
const HIDDEN: &str = "hidden";

impl Person {
    /// Takes out what only the person and admins may see: addresses of channels hold their own secrets.
    pub fn hide_from(&mut self, who: &Caller) {
        let own = who.actor.kind == ActorKind::Person && who.actor.id == self.login;
        if own || who.may_somewhere(Role::Admin) {
            return;
        }
        self.contact.channels.values_mut().for_each(|to| HIDDEN.clone_into(to));
        if !self.contact.webhook.is_empty() {
            HIDDEN.clone_into(&mut self.contact.webhook);
        }
    }

    /// Where a channel reaches this person; empty when it does not. Their browsers are found by the login.
    pub(crate) fn address(&self, channel: Channel) -> &str {
        match channel {
            Channel::Webpush if self.browsers > 0 => &self.login,
            other => self.contact.address(other),
        }
    }

    pub fn all_grants(&self) -> Vec<Grant> {
        let mut grants = vec![Grant::everywhere(self.role)];
        grants.extend(self.grants.iter().cloned());
        grants
    }
}

/// What may be said of a person when creating or changing one; what is absent stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PersonUpdate {
    pub name: Option<String>,
    pub kind: Option<PersonKind>,
    pub timezone: Option<String>,
    pub role: Option<Role>,
    pub grants: Option<Vec<Grant>>,
    pub teams: Option<Vec<String>>,
    pub contact: Option<Contact>,
    pub password: Option<String>,
    pub disabled: Option<bool>,
}

pub(crate) fn from_row(row: &PersonRow) -> Result<Person, Fault> {
    let mut person: Person = serde_json::from_str(&row.body)
        .map_err(|e| Fault::internal(format!("the profile of `{}` cannot be read: {e}", row.login)))?;
    person.disabled = row.disabled_at.is_some();
    person.has_password = row.password_hash.is_some();
    Ok(person)
}

impl App {
    pub async fn people(&self) -> Result<Vec<Person>, Fault> {
        self.read(|tx| store::people(tx)?.iter().map(from_row).collect()).await
    }

    pub async fn person(&self, login: &str) -> Result<Option<Person>, Fault> {
        let login = login.to_owned();
        self.read(move |tx| store::person_get(tx, &login)?.as_ref().map(from_row).transpose()).await
    }

    /// Creates or changes a person. Admins may change everyone; people their own name, time zone, contact and password.
    pub async fn person_put(&self, who: &Caller, login: &str, update: PersonUpdate) -> Result<Person, Fault> {
        check_name("person", login)?;
        let own = who.actor == tenfold_types::Actor::person(login);
        let about_rights =
            update.role.is_some() || update.grants.is_some() || update.disabled.is_some() || update.teams.is_some();
        if !own || about_rights {
            who.require(Role::Admin, None, None)?;
        }
        if let Some(zone) = &update.timezone {
            jiff::tz::TimeZone::get(zone).map_err(|_| {
                Fault::invalid(format!("`{zone}` is not a time zone")).advice("write it like Europe/Berlin or UTC")
            })?;
        }
        if let Some(contact) = &update.contact {
            let mut contact = contact.clone();
            if let Some(before) = self.person(login).await? {
                contact.keep_hidden(&before.contact);
            }
            check_contact(&contact)?;
        }
        let password_hash = match &update.password {
            None => None,
            Some(password) => {
                passwords::check_new(password)?;
                Some(self.hash_password(password).await?)
            }
        };
        let (who, login) = (who.clone(), login.to_owned());
        let ended = password_hash.is_some() || update.disabled == Some(true);
        let person = self
            .transact(move |t| {
                let now = t.now();
                let before = store::person_get(t.tx(), &login)?;
                let created = before.is_none();
                let mut person = match &before {
                    Some(row) => from_row(row)?,
                    None => Person {
                        login: login.clone(),
                        name: login.clone(),
                        kind: PersonKind::Developer,
                        timezone: "UTC".into(),
                        role: Role::Viewer,
                        grants: Vec::new(),
                        teams: Vec::new(),
                        contact: Contact::default(),
                        disabled: false,
                        has_password: false,
                        browsers: 0,
                    },
                };
                apply(&mut person, update.clone());
                let row = PersonRow {
                    login: login.clone(),
                    password_hash: password_hash
                        .clone()
                        .or_else(|| before.as_ref().and_then(|b| b.password_hash.clone())),
                    disabled_at: person.disabled.then(|| before.as_ref().and_then(|b| b.disabled_at).unwrap_or(now)),
                    body: serde_json::to_string(&person).map_err(|e| Fault::internal(e.to_string()))?,
                };
                if before.as_ref() == Some(&row) {
                    return from_row(&row);
                }
                store::person_put(t.tx(), &row)?;
                if password_hash.is_some() || person.disabled {
                    store::sessions_delete_of(t.tx(), &login)?;
                }
                let verb = if created { "added" } else { "changed the profile of" };
                let event = EventDraft::new(
                who.actor.clone(),
                who.source,
                if created { "person.created" } else { "person.changed" },
                format!("{} {verb} {login}", who.actor),
            )
            .data(serde_json::json!({"login": login, "role": person.role, "password_changed": password_hash.is_some()}))
            .admins_only();
                t.record(event)?;
                from_row(&row)
            })
            .await?;
        if ended {
            self.sessions_ended();
        }
        Ok(person)
    }
}

fn apply(person: &mut Person, update: PersonUpdate) {
    let PersonUpdate { name, kind, timezone, role, grants, teams, contact, password: _, disabled } = update;
    person.name = name.unwrap_or_else(|| std::mem::take(&mut person.name));
    person.kind = kind.unwrap_or(person.kind);
    person.timezone = timezone.unwrap_or_else(|| std::mem::take(&mut person.timezone));
    person.role = role.unwrap_or(person.role);
    person.grants = grants.unwrap_or_else(|| std::mem::take(&mut person.grants));
    person.teams = teams.unwrap_or_else(|| std::mem::take(&mut person.teams));
    if let Some(mut contact) = contact {
        contact.keep_hidden(&person.contact);
        person.contact = contact;
    }
    person.disabled = disabled.unwrap_or(person.disabled);
}

fn check_contact(contact: &Contact) -> Result<(), Fault> {
    const CONTACT_BYTES_MAX: usize = 512;
    if contact.channels.values().chain([&contact.webhook]).any(|to| to == HIDDEN) {
        return Err(Fault::invalid("`hidden` stands for the address that is there, and here there is none")
            .advice("write the address itself, or leave the channel out"));
    }
    for value in [&contact.email, &contact.irc, &contact.webhook] {
        if value.len() > CONTACT_BYTES_MAX || value.chars().any(char::is_control) {
            return Err(Fault::invalid(format!(
                "a contact address has a control character or more than {CONTACT_BYTES_MAX} bytes"
            )));
        }
    }
    if !contact.email.is_empty() && !contact.email.contains('@') {
        return Err(Fault::invalid(format!("`{}` is not a mail address", contact.email))
            .advice("write it like ana@example.org"));
    }
    if !contact.irc.is_empty() && contact.irc.contains([' ', ',', '*', '!', '@']) {
        return Err(Fault::invalid(format!("`{}` is not an IRC nick", contact.irc)));
    }
    if !contact.webhook.is_empty()
        && !contact.webhook.starts_with("https://")
        && !contact.webhook.starts_with("http://")
    {
        return Err(
            Fault::invalid(format!("`{}` is not a web address", contact.webhook)).advice("start it with https://")
        );
    }
    check_channels(contact)
}

fn check_channels(contact: &Contact) -> Result<(), Fault> {
    const TARGET_BYTES_MAX: usize = 1_024;
    for (name, to) in &contact.channels {
        let Some(channel) = Channel::parse(name) else {
            return Err(Fault::invalid(format!("`{name:.50}` is not a channel"))
                .advice(Channel::ALL.map(Channel::as_str).join(", ")));
        };
        if to.is_empty() || to.len() > TARGET_BYTES_MAX || to.chars().any(char::is_control) {
            return Err(Fault::invalid(format!(
                "the address for {name} is empty, or longer than {TARGET_BYTES_MAX} bytes"
            )));
        }
        if let Some(wanted) = channel.wrong_target(to) {
            return Err(Fault::invalid(format!("the address for {name} is {wanted}")));
        }
    }
    if let Some(quiet) = &contact.quiet {
        for text in [&quiet.from, &quiet.to] {
            if jiff::civil::Time::strptime("%H:%M", text).is_err() {
                return Err(
                    Fault::invalid(format!("`{text:.20}` is not a time of the day")).advice("write it like 22:00")
                );
            }
        }
        if quiet.from == quiet.to {
            return Err(Fault::invalid("quiet hours that begin and end at the same time are none")
                .advice("leave them out, or write 00:00 to 23:59"));
        }
        if let Some(name) = quiet.channels.iter().find(|n| Channel::parse(n).is_none()) {
            return Err(Fault::invalid(format!("`{name:.50}` is not a channel")));
        }
    }
    match &contact.rules {
        Some(rules) => rules.check(|channel| match channel {
            // Browsers come and go without the profile; a page passes over a way that is not there.
            Channel::Webpush => true,
            other => !contact.address(other).is_empty(),
        }),
        None => Ok(()),
    }
}
