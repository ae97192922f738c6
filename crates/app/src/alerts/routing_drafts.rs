//! For the people whom an Alertmanager told by mail or in rooms: accounts, a policy for each receiver, and the routing that
//! asks these policies, as drafts. Nothing puts them: addresses that may be secrets are left to be filled in.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tenfold_alerting::{Note, ReceiverTold, ToldBy, import_alertmanager, people_told, with_policies};
use tenfold_oncall::{PolicyStep, TARGETS_PER_STEP_MAX, Target};
use tenfold_types::Fault;

use crate::{checks::plain, oncall::PolicyUpdate};

/// How long the one step of a policy waits for an acknowledgement.
const STEP_MS: i64 = 300_000;
const MAIL: &str = "mail";

/// Somebody who was told by mail, or what stands for a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoutingAccount {
    pub login: String,
    pub name: String,
    /// Empty for a room.
    pub email: String,
    /// Channels of a room, whose addresses are left to be filled in.
    pub channels: Vec<String>,
}

/// What is to be looked through before it is put.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoutingDrafts {
    pub accounts: Vec<RoutingAccount>,
    pub policies: Vec<(String, PolicyUpdate)>,
    /// As `tenfold routes put` takes it.
    pub routing: Value,
    pub report: Vec<Note>,
}

/// Drafts for the receivers of an `alertmanager.yml`.
pub fn draft_routing(yaml: &str) -> Result<RoutingDrafts, Fault> {
    let wrong = |e: tenfold_alerting::RoutingError| Fault::invalid(format!("the routing: {e}"));
    let drafted =
        |note: &Note| note.message.starts_with("the channel `") || note.path.rsplit('.').next() == Some("pages");
    let mut report = import_alertmanager(yaml).map_err(wrong)?.report;
    // What they say to do is what is drafted here.
    report.retain(|note| !drafted(note));
    let mut drafting = Drafting::default();
    let mut named = BTreeMap::new();
    for told in people_told(yaml).map_err(wrong)? {
        if let Some(policy) = drafting.policy(&told) {
            named.insert(told.receiver, policy);
        }
    }
    let routing = with_policies(yaml, &named).map_err(wrong)?;
    report.append(&mut drafting.report);
    Ok(RoutingDrafts { accounts: drafting.accounts, policies: drafting.policies, routing, report })
}

#[derive(Default)]
struct Drafting {
    accounts: Vec<RoutingAccount>,
    policies: Vec<(String, PolicyUpdate)>,
    report: Vec<Note>,
}

/// The name, or the first of those with a number behind it that is free.
fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    (2..=u32::MAX).map(|n| format!("{name}-{n}")).find(|name| !taken(name.as_str())).unwrap_or_default()
}

impl Drafting {
    fn note(&mut self, path: String, message: String) {
        self.report.push(Note { path, message });
    }

    /// The policy of a receiver: all who were told are paged at once.
    fn policy(&mut self, told: &ReceiverTold) -> Option<String> {
        let mut logins = Vec::new();
        for address in told.by.iter().flat_map(|by| &by.to) {
            let login = self.person(address);
            if !logins.contains(&login) {
                logins.push(login);
            }
        }
        logins.extend(self.rooms(told));
        let of = format!("receivers.{}", told.receiver);
        if told.by.iter().any(|by| by.channel == MAIL && by.to.is_empty()) {
            self.note(of.clone(), "a template makes an address of mail; name who that is in its policy".to_owned());
        }
        if logins.len() > TARGETS_PER_STEP_MAX {
            let left = logins.split_off(TARGETS_PER_STEP_MAX);
            let message = format!("a step has at most {TARGETS_PER_STEP_MAX} targets; left out: {}", left.join(", "));
            self.note(of, message);
        }
        if logins.is_empty() {
            return None;
        }
        let name = free(&plain(&told.receiver), |name| self.policies.iter().any(|(known, _)| known == name));
        let targets = logins.iter().map(|login| Target::person(login)).collect();
        let steps = vec![PolicyStep { delay_ms: STEP_MS, targets, round_robin: false }];
        let policy = PolicyUpdate { steps, repeat: 0, deployer_first: None, ack_timeout_ms: None };
        self.policies.push((name.clone(), policy));
        Some(name)
    }

    /// The account of an address of mail, made where there is none.
    fn person(&mut self, address: &str) -> String {
        if let Some(known) = self.accounts.iter().find(|account| account.email.eq_ignore_ascii_case(address)) {
            return known.login.clone();
        }
        let local = address.split('@').next().unwrap_or_default();
        let login = free(&plain(local), |login| self.accounts.iter().any(|account| account.login == login));
        self.note(
            format!("people.{login}"),
            format!("was told at {address}: ask them to take the account, or make it that of a list"),
        );
        self.accounts.push(RoutingAccount {
            login: login.clone(),
            name: local.to_owned(),
            email: address.to_owned(),
            channels: Vec::new(),
        });
        login
    }

    /// Accounts that stand for the rooms of a receiver: one has an address of each channel, so two rooms of one service are
    /// two accounts.
    fn rooms(&mut self, told: &ReceiverTold) -> Vec<String> {
        let mut rooms: Vec<Vec<String>> = Vec::new();
        for ToldBy { channel, .. } in told.by.iter().filter(|by| by.channel != MAIL) {
            match rooms.iter_mut().find(|room| !room.iter().any(|has| has == channel)) {
                Some(room) => room.push((*channel).to_owned()),
                None => rooms.push(vec![(*channel).to_owned()]),
            }
        }
        let mut logins = Vec::new();
        for mut channels in rooms {
            channels.sort();
            let wanted = format!("{}-room", plain(&told.receiver));
            let login = free(&wanted, |login| self.accounts.iter().any(|account| account.login == login));
            let ways = channels.join(" and ");
            self.note(
                format!("people.{login}"),
                format!("stands for a room: write its address for {ways} into `contact.channels`, it may be a secret"),
            );
            let name = format!("Room of {}", told.receiver);
            self.accounts.push(RoutingAccount { login: login.clone(), name, email: String::new(), channels });
            logins.push(login);
        }
        logins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_rooms_of_receivers_become_accounts_and_policies() {
        let file = "
route: {receiver: Web Team}
receivers:
- name: Web Team
  slack_configs: [{channel: '#web', api_url: 'https://hooks.example.org/secret'}, {channel: '#ops', api_url: 'https://hooks.example.org/secret'}]
  discord_configs: [{webhook_url: 'https://discord.example.org/secret'}]
  email_configs: [{to: 'ana@example.org, list@example.org'}]
- name: db
  email_configs: [{to: Ana@Example.org}, {to: ana@example.net}]
- name: programs
  webhook_configs: [{url: 'http://127.0.0.1:9/hook'}]
";
        let drafts = draft_routing(file).expect("drafts");
        let accounts: Vec<_> =
            drafts.accounts.iter().map(|a| (a.login.as_str(), a.email.as_str(), a.channels.join(" "))).collect();
        assert_eq!(
            accounts,
            [
                ("ana", "ana@example.org", String::new()),
                ("list", "list@example.org", String::new()),
                ("web-team-room", "", "discord slack".to_owned()),
                ("web-team-room-2", "", "slack".to_owned()),
                ("ana-2", "ana@example.net", String::new()),
            ]
        );
        let targets = |at: usize| {
            let (name, policy) = &drafts.policies[at];
            let all: Vec<_> = policy.steps[0].targets.iter().map(|t| t.name.as_str()).collect();
            (name.as_str(), all.join(" "))
        };
        assert_eq!(drafts.policies.len(), 2);
        assert_eq!(targets(0), ("web-team", "ana list web-team-room web-team-room-2".to_owned()));
        assert_eq!(targets(1), ("db", "ana ana-2".to_owned()));
        let said = serde_json::to_string(&drafts).expect("json");
        assert!(!said.contains("example.org/secret"), "an address that is a secret stands in the drafts: {said}");
        let read = import_alertmanager(&drafts.routing.to_string()).expect("the draft is read again");
        assert_eq!(read.routing.receivers["Web Team"].policy.as_deref(), Some("web-team"));
    }
}
