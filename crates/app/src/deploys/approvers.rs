//! Who is there of those whom a pipeline file asks to approve: people by their logins, and whoever is in a team.

use std::collections::BTreeSet;

use tenfold_deploys::pipeline::{Approve, Target};
use tenfold_oncall::Teams;
use tenfold_store::{Tx, people};
use tenfold_types::{Actor, ActorKind, Fault};

use super::gate;
use crate::{App, oncall, people::from_row};

/// The teams of one person as their profile has them now; none of somebody who has no account that is in use.
pub(super) fn teams_of(tx: &mut dyn Tx, login: &str) -> Result<Vec<String>, Fault> {
    match people::person_get(tx, login)?.filter(|row| row.disabled_at.is_none()) {
        Some(row) => Ok(from_row(&row)?.teams),
        None => Ok(Vec::new()),
    }
}

/// What is wrong with those whom `approve` names, with these logins of accounts in use and these teams, where this one starts
/// the deploy. Nothing where it names nobody: everybody with the role may then.
fn absent(approve: &Approve, in_use: &BTreeSet<String>, teams: &Teams, starter: Option<&Actor>) -> Option<String> {
    if approve.by.is_empty() && approve.teams.is_empty() {
        return None;
    }
    let without: Vec<&str> = approve.by.iter().filter(|by| !in_use.contains(*by)).map(String::as_str).collect();
    let empty: Vec<&str> = approve.teams.iter().filter(|team| !teams.contains_key(*team)).map(String::as_str).collect();
    let members = approve.teams.iter().filter_map(|team| teams.get(team)).flatten();
    // whoever is in two teams, or named beside one, agrees once
    let there: BTreeSet<&String> = approve.by.iter().filter(|by| in_use.contains(*by)).chain(members).collect();
    let mut said = Vec::new();
    if !without.is_empty() {
        said.push(format!("`approve.by` names who has no account in use here: {}", without.join(", ")));
    }
    if !empty.is_empty() {
        said.push(format!("`approve.teams` names teams that nobody is in: {}", empty.join(", ")));
    }
    if there.len() < approve.count as usize {
        if said.is_empty() {
            said.push(format!("`approve` names too few who have an account in use here: {}", there.len()));
        }
        said.push(format!("{} have to agree, so it waits in vain", approve.count));
    } else {
        said.extend(starter.and_then(|starter| left_out(approve, &there, starter)));
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// With four eyes enough are there, and too few of them count: whoever starts it does not, and a program takes two people.
fn left_out(approve: &Approve, there: &BTreeSet<&String>, starter: &Actor) -> Option<String> {
    // one that is refused does not wait
    if !approve.four_eyes || gate::by_program(starter, approve, "").is_err() {
        return None;
    }
    let count = approve.count as usize;
    if starter.kind != ActorKind::Person {
        let few = there.len() < count.max(2);
        return few.then(|| {
            format!(
                "what a program starts takes two people with `approve.four_eyes`, and `approve` names {} who has an \
                 account in use here, so it waits in vain",
                there.len()
            )
        });
    }
    let others = there.iter().filter(|login| login.as_str() != starter.id).count();
    (others < count).then(|| {
        format!(
            "whoever starts it does not count with `approve.four_eyes`, and `approve` names {others} besides {} who have \
             an account in use here; {count} have to agree, so it waits in vain",
            starter.id
        )
    })
}

impl App {
    /// Whom the file names in vain: people without an account that is in use, and teams that nobody is in; and whether too few
    /// are left where this one starts it. A deploy may wait for them for good.
    pub(super) async fn absent_approvers(
        &self,
        target: Option<&Target>,
        starter: Option<&Actor>,
    ) -> Result<Option<String>, Fault> {
        let Some(approve) = target.and_then(|target| target.approve.clone()) else { return Ok(None) };
        let starter = starter.cloned();
        self.read(move |tx| {
            let mut in_use = BTreeSet::new();
            for login in &approve.by {
                if people::person_get(tx, login)?.is_some_and(|person| person.disabled_at.is_none()) {
                    in_use.insert(login.clone());
                }
            }
            let teams = if approve.teams.is_empty() { Teams::new() } else { oncall::teams(tx)? };
            Ok(absent(&approve, &in_use, &teams, starter.as_ref()))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&str]) -> Vec<String> {
        of.iter().map(|name| (*name).to_owned()).collect()
    }

    /// How many are needed, who is named, which teams, and what is said.
    type Case<'a> = (u32, &'a [&'a str], &'a [&'a str], Option<String>);
    /// Whether four eyes are wanted, how many are needed, who is named, which teams, and who starts it.
    type Started<'a> = (bool, u32, &'a [&'a str], &'a [&'a str], &'a Actor);

    #[test]
    fn those_who_are_not_there_are_named_and_whether_enough_are() {
        let in_use: BTreeSet<String> = names(&["mei", "raj"]).into_iter().collect();
        let teams = Teams::from([("photos".to_owned(), names(&["mei", "raj"])), ("web".to_owned(), names(&["raj"]))]);
        let gone = "`approve.by` names who has no account in use here: eve";
        let empty = "`approve.teams` names teams that nobody is in: pho";
        let few = "`approve` names too few who have an account in use here: 2";
        let vain = |n: u32| format!("; {n} have to agree, so it waits in vain");
        let cases: [Case<'_>; 11] = [
            (1, &[], &[], None),
            (3, &[], &[], None),
            (2, &["mei", "raj"], &[], None),
            (2, &["mei", "raj", "eve"], &[], Some(gone.to_owned())),
            (2, &["mei", "eve"], &[], Some(format!("{gone}{}", vain(2)))),
            (2, &["eve"], &["photos"], Some(gone.to_owned())),
            (1, &[], &["pho"], Some(format!("{empty}{}", vain(1)))),
            (1, &["mei"], &["pho"], Some(empty.to_owned())),
            (1, &["eve"], &["pho"], Some(format!("{gone}; {empty}{}", vain(1)))),
            (2, &["mei"], &["web"], None),
            // the same two people in all of them
            (3, &["mei"], &["photos", "web"], Some(format!("{few}{}", vain(3)))),
        ];
        for (count, by, of, said) in cases {
            let approve = Approve { count, by: names(by), teams: names(of), ..Approve::default() };
            assert_eq!(absent(&approve, &in_use, &teams, None), said, "{approve:?}");
        }
    }

    #[test]
    fn with_four_eyes_whoever_starts_it_is_not_counted_on() {
        let in_use: BTreeSet<String> = names(&["mei", "raj"]).into_iter().collect();
        let teams = Teams::from([("photos".to_owned(), names(&["mei"])), ("web".to_owned(), names(&["mei", "raj"]))]);
        let (mei, raj, robot) = (Actor::person("mei"), Actor::person("raj"), Actor::robot("ci"));
        let said = |four_eyes: bool, count: u32, by: &[&str], of: &[&str], starter: &Actor| {
            let approve = Approve { count, by: names(by), teams: names(of), four_eyes, ..Approve::default() };
            absent(&approve, &in_use, &teams, Some(starter)).unwrap_or_default()
        };
        let alone = "whoever starts it does not count with `approve.four_eyes`, and `approve` names 0 besides mei who have an \
                     account in use here; 1 have to agree, so it waits in vain";
        // a team of one, the same person by name, and both
        assert_eq!(said(true, 1, &[], &["photos"], &mei), alone);
        assert_eq!(said(true, 1, &["mei"], &[], &mei), alone);
        assert_eq!(said(true, 1, &["mei"], &["photos"], &mei), alone);
        let gone = said(true, 1, &["eve"], &["photos"], &mei);
        assert_eq!(gone, format!("`approve.by` names who has no account in use here: eve; {alone}"));
        assert!(said(true, 2, &[], &["web"], &mei).contains("names 1 besides mei"));
        let well: [Started<'_>; 7] = [
            (false, 1, &[], &["photos"], &mei),
            (true, 1, &[], &["photos"], &raj),
            (true, 1, &["raj"], &["photos"], &mei),
            (true, 1, &[], &["web"], &mei),
            (true, 1, &[], &[], &mei),
            (true, 1, &[], &["web"], &robot),
            (false, 1, &[], &["photos"], &robot),
        ];
        for (four_eyes, count, by, of, starter) in well {
            assert_eq!(said(four_eyes, count, by, of, starter), "", "{count} of {by:?} and {of:?} for {starter}");
        }
        let program = said(true, 1, &[], &["photos"], &robot);
        assert!(program.contains("names 1 who has an account"), "{program}");
        assert_eq!(said(true, 1, &["mei"], &[], &robot), "", "it is refused, which is said at its place");
    }
}
