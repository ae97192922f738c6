//! Into which projects the flags of a file go.
//!
//! A flag that is here never changes its project because of what a file says: clients whose token reads one project would
//! lose it without a word. Only who names the project moves it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use tenfold_flags::exchange::{Bundle, Note, Outcome};
use tenfold_flags::{DEFAULT_PROJECT, Flag};
use tenfold_store::{Tx, flags as store};
use tenfold_types::{EventDraft, Fault};

use super::project_list::{FlagProjectUpdate, PROJECTS_MAX};
use crate::people::check_name;
use crate::{Caller, Txn};

/// Gives each flag the project it will be in, and says where that is another one than the file's or its own.
pub(super) fn settle(bundle: &mut Bundle, wanted: Option<&str>, known: &BTreeMap<String, Arc<Flag>>) {
    let named = std::mem::take(&mut bundle.in_named_project);
    let mut notes = Vec::new();
    bundle.flags.retain_mut(|flag| {
        let about = format!("flag {}", flag.key);
        let here = known.get(&flag.key).map(|f| f.project.as_str());
        let told = named.contains(&flag.key).then(|| flag.project.clone());
        flag.project = wanted.or(here).or(told.as_deref()).unwrap_or(DEFAULT_PROJECT).to_owned();
        if let Err(fault) = check_name("project", &flag.project) {
            let text = format!("{}; say another one with --project NAME", fault.message);
            notes.push(Note { about, outcome: Outcome::Refused, text });
            return false;
        }
        let text = match (here, told) {
            (Some(here), _) if here != flag.project => {
                Some(format!("it moved from the project `{here}` to `{}`", flag.project))
            }
            (_, Some(told)) if told != flag.project && wanted.is_none() => Some(format!(
                "the file has it in the project `{told}`; it is in `{}` here and stays there (--project NAME moves it)",
                flag.project
            )),
            _ => None,
        };
        notes.extend(text.map(|text| Note { about, outcome: Outcome::Changed, text }));
        true
    });
    bundle.notes.extend(notes);
}

/// Those of these projects that are not there yet.
pub(super) fn missing<'a>(tx: &mut dyn Tx, names: impl Iterator<Item = &'a String>) -> Result<Vec<String>, Fault> {
    let known: BTreeSet<String> = store::projects(tx)?.into_iter().map(|(name, _)| name).collect();
    let names: BTreeSet<&String> = names.filter(|name| *name != DEFAULT_PROJECT && !known.contains(*name)).collect();
    if known.len() + names.len() > PROJECTS_MAX {
        return Err(Fault::invalid(format!("there would be more than {PROJECTS_MAX} projects, which is the limit"))
            .advice("delete projects that have no flags, or take the file into one with --project NAME"));
    }
    Ok(names.into_iter().cloned().collect())
}

pub(super) fn make(t: &mut Txn<'_>, who: &Caller, names: &[String]) -> Result<(), Fault> {
    let new = FlagProjectUpdate::default();
    let body = serde_json::to_string(&new).map_err(|e| Fault::internal(e.to_string()))?;
    for name in names {
        store::project_put(t.tx(), name, &body)?;
        let text = format!("{} made the project {name}", who.actor);
        let data = json!({"project": name, "before": null, "after": new});
        t.record(EventDraft::new(who.actor.clone(), who.source, "flag_project.created", text).data(data))?;
    }
    Ok(())
}
