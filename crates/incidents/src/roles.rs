//! Roles instead of names. Who had which role is read from the events of the incident; the identity stays in the record
//! for those who may read it.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};
use tenfold_types::ActorKind;

use crate::phase::{Phase, TimelineEntry};

/// A person whose name must not stand in a published text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub login: String,
    /// Display name.
    pub name: String,
    /// `developer` or `operator`.
    pub kind: String,
}

/// Room for the searches of names; a house of thousands has many.
const SEARCH_BYTES_MAX: usize = 16 << 20;

/// Finds names as words, the longest first, so that a full name goes before its first word. It may be as large as the people
/// are many: without it every name would be published.
pub(crate) fn finder<'n>(names: impl Iterator<Item = &'n str>) -> Option<Regex> {
    let mut patterns: Vec<String> = names.filter(|n| !n.is_empty()).map(regex::escape).collect();
    patterns.sort_by_key(|p| std::cmp::Reverse(p.len()));
    let any = (!patterns.is_empty()).then(|| format!(r"(?i)@?\b(?:{})\b", patterns.join("|")))?;
    RegexBuilder::new(&any).size_limit(usize::MAX).dfa_size_limit(SEARCH_BYTES_MAX).build().ok()
}

/// What each person is called in the text, and the means to put it there.
#[derive(Debug)]
pub struct Roles {
    by_login: BTreeMap<String, String>,
    names: Option<Regex>,
    by_name: BTreeMap<String, String>,
}

impl Roles {
    /// On call goes before deployer, deployer before responder. Several people of one role are numbered in the order in
    /// which they appear.
    pub fn derive(entries: &[TimelineEntry], people: &[Person]) -> Self {
        let known: BTreeMap<&str, &Person> = people.iter().map(|p| (p.login.as_str(), p)).collect();
        let mut order: Vec<String> = Vec::new();
        let mut seen: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
        let mut note = |login: &str, role: &'static str| {
            if !seen.contains_key(login) {
                order.push(login.to_owned());
            }
            seen.entry(login.to_owned()).or_default().insert(role);
        };
        for entry in entries {
            let event = &entry.event;
            if event.kind.starts_with("page.")
                && let Some(login) = event.data["person"].as_str()
            {
                note(login, "on call");
            }
            let login = match (&event.on_behalf_of, event.actor.kind) {
                (Some(actor), _) if actor.kind == ActorKind::Person => actor.id.as_str(),
                (_, ActorKind::Person) => event.actor.id.as_str(),
                _ => continue,
            };
            note(login, if entry.phase == Phase::Deploy { "deployer" } else { "responder" });
        }
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        let mut by_login = BTreeMap::new();
        for login in order {
            let roles = &seen[&login];
            let base = if roles.contains("on call") {
                let kind = known.get(login.as_str()).map_or("person", |p| p.kind.as_str());
                format!("the {kind} on call")
            } else if roles.contains("deployer") {
                "the deployer".to_owned()
            } else {
                "a responder".to_owned()
            };
            let n = taken.entry(base.clone()).or_insert(0);
            *n += 1;
            by_login.insert(login, if *n == 1 { base } else { format!("{base} ({n})") });
        }
        Self::with(by_login, people)
    }

    fn with(mut by_login: BTreeMap<String, String>, people: &[Person]) -> Self {
        let mut by_name = BTreeMap::new();
        for person in people {
            let role = by_login.entry(person.login.clone()).or_insert_with(|| "a colleague".to_owned()).clone();
            for name in [&person.login, &person.name] {
                by_name.insert(name.to_lowercase(), role.clone());
            }
            // The first name alone is how people are spoken of.
            if let Some(first) = person.name.split_whitespace().next().filter(|f| f.chars().count() > 2) {
                by_name.entry(first.to_lowercase()).or_insert(role);
            }
        }
        for (login, role) in &by_login {
            by_name.entry(login.to_lowercase()).or_insert_with(|| role.clone());
        }
        let names = finder(by_name.keys().map(String::as_str));
        Self { by_login, names, by_name }
    }

    /// The role of a login.
    pub fn of(&self, login: &str) -> &str {
        self.by_login.get(login).map_or("a colleague", String::as_str)
    }

    /// The text with every known login, name and first name replaced by the role.
    pub fn redact(&self, text: &str) -> String {
        let Some(names) = &self.names else { return text.to_owned() };
        names
            .replace_all(text, |found: &regex::Captures<'_>| {
                let name = found[0].trim_start_matches('@').to_lowercase();
                self.by_name.get(&name).cloned().unwrap_or_else(|| "a colleague".to_owned())
            })
            .into_owned()
    }
}
