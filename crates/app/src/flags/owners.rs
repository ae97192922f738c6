//! Flags that nobody here answers for.

use std::collections::BTreeSet;

use serde::Serialize;
use tenfold_flags::Flag;
use tenfold_types::Fault;
use utoipa::ToSchema;

use crate::App;

/// A flag whose owner is nobody of this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwnerlessFlag {
    pub key: String,
    /// As the flag has it; may be empty.
    pub owner: String,
    /// What is wrong with it, as one clause.
    pub text: String,
}

/// Who may own a flag.
#[derive(Debug, Default)]
struct Owners {
    /// Logins, teams and groups.
    known: BTreeSet<String>,
    /// Logins of people whose account is closed.
    closed: BTreeSet<String>,
}

impl Owners {
    /// What is wrong with this owner; nothing of one that is known.
    fn wrong(&self, owner: &str) -> Option<String> {
        match owner {
            "" => Some("it has no owner".into()),
            owner if self.known.contains(owner) => None,
            owner if self.closed.contains(owner) => Some(format!("the account of its owner `{owner}` is closed")),
            owner => Some(format!("its owner `{owner}` is unknown: no person, team or group here")),
        }
    }
}

impl App {
    /// Those of these flags whose owner is no person, team or group of this server.
    pub(super) async fn flags_ownerless<'a>(
        &self,
        flags: impl Iterator<Item = &'a Flag>,
    ) -> Result<Vec<OwnerlessFlag>, Fault> {
        let mut owners = Owners::default();
        for person in self.people().await? {
            let place = if person.disabled { &mut owners.closed } else { &mut owners.known };
            place.insert(person.login);
            if !person.disabled {
                owners.known.extend(person.teams);
            }
        }
        owners.known.extend(self.services().await?.into_iter().map(|s| s.owner_team).filter(|team| !team.is_empty()));
        owners.known.extend(self.flag_groups().await?.items.into_iter().map(|g| g.name));
        let ownerless = flags.filter_map(|flag| {
            let text = owners.wrong(&flag.owner)?;
            Some(OwnerlessFlag { key: flag.key.clone(), owner: flag.owner.clone(), text })
        });
        Ok(ownerless.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_somebody_of_this_server() {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let owners = Owners { known: set(&["ana", "photos-team"]), closed: set(&["raj"]) };
        for (owner, wrong) in [
            ("ana", None),
            ("photos-team", None),
            ("", Some("no owner")),
            ("raj", Some("closed")),
            ("ghost", Some("`ghost` is unknown")),
        ] {
            let said = owners.wrong(owner);
            assert_eq!(said.is_some(), wrong.is_some(), "{owner}: {said:?}");
            assert!(said.unwrap_or_default().contains(wrong.unwrap_or_default()), "{owner}");
        }
    }
}
