//! Teams as those whom a policy pages. A team is a name in people's profiles; who is in it is asked when the page is due.

use std::collections::BTreeSet;

use tenfold_oncall::{Policy, TEAM_MEMBERS_MAX, TargetKind, Teams};
use tenfold_store::{Tx, people as store};
use tenfold_types::Fault;

use crate::{
    App,
    people::{Person, from_row},
};

/// The teams of these people. Each name of a member comes once, in the order in which the people come.
pub(super) fn of_people<'a>(people: impl Iterator<Item = &'a Person>) -> Teams {
    let mut all = Teams::new();
    for person in people.filter(|person| !person.disabled) {
        let own: BTreeSet<&String> = person.teams.iter().collect();
        for team in own {
            all.entry(team.clone()).or_default().push(person.login.clone());
        }
    }
    all
}

/// All teams as they are now, their members by login.
pub(crate) fn teams(tx: &mut dyn Tx) -> Result<Teams, Fault> {
    let people = store::people(tx)?.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(of_people(people.iter()))
}

/// The names of the teams that a policy pages, each once.
pub(super) fn named_by(policy: &Policy) -> BTreeSet<&str> {
    let targets = policy.steps.iter().flat_map(|step| &step.targets);
    targets.filter(|target| target.kind == TargetKind::Team).map(|target| target.name.as_str()).collect()
}

/// What a page to a team that is too large would not do, as a sentence goes on after the team's name.
pub(super) fn too_large(members: usize) -> Option<String> {
    (members > TEAM_MEMBERS_MAX)
        .then(|| format!("has {members} people, and a page to a team goes to at most {TEAM_MEMBERS_MAX} of them"))
}

impl App {
    /// All teams with their members.
    pub async fn teams(&self) -> Result<Teams, Fault> {
        self.read(teams).await
    }
}
