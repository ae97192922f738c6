//! Named lists of people. Each is served as a segment, so that every client understands it: the segment's one constraint
//! says that the field is among the members.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_flags::{Constraint, Segment, opt_in::FIELD_DEFAULT, validate};
use tenfold_store::{flag_life as store, flags};
use tenfold_types::{EventDraft, Fault};
use utoipa::ToSchema;

use super::changes::on_under_four_eyes;
use super::segments::{SEGMENTS_MAX, uses};
use crate::{App, Caller, Role, people::check_name};

pub const GROUPS_MAX: usize = 200;
/// More people than this belong into a property of the context.
pub const MEMBERS_MAX: usize = validate::VALUES_MAX;
const TEXT_BYTES_MAX: usize = 1_000;

/// A named list of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlagGroup {
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// The context field that is compared.
    pub field: String,
    pub members: Vec<String>,
    /// The segment under which strategies use it.
    pub segment: i64,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FlagGroups {
    pub items: Vec<FlagGroup>,
}

/// What may be said of a group; what is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FlagGroupUpdate {
    pub description: Option<String>,
    /// `userId` unless said otherwise.
    pub field: Option<String>,
    /// Instead of those that are there.
    pub members: Option<Vec<String>>,
    /// Beside those that are there.
    pub add: Vec<String>,
    pub remove: Vec<String>,
}

impl App {
    pub async fn flag_groups(&self) -> Result<FlagGroups, Fault> {
        let rows = self.read(|tx| Ok(store::groups(tx)?)).await?;
        Ok(FlagGroups { items: rows.iter().map(stored).collect::<Result<_, _>>()? })
    }

    /// Creates or changes a group; strategies that use it follow at once.
    pub async fn flag_group_put(&self, who: &Caller, name: &str, update: FlagGroupUpdate) -> Result<FlagGroup, Fault> {
        who.require(Role::Deployer, None, None)?;
        check_name("group", name)?;
        let (who, name) = (who.clone(), name.to_owned());
        let (known, _) = self.flags.surroundings();
        let (group, segment) = self
            .transact(move |t| {
                let before = store::group(t.tx(), &name)?.map(|body| stored(&(name.clone(), body))).transpose()?;
                let ids: BTreeSet<i64> = flags::segments(t.tx())?.into_iter().map(|(id, _)| id).collect();
                let groups = store::groups(t.tx())?.len();
                if before.is_none() && (groups >= GROUPS_MAX || ids.len() >= SEGMENTS_MAX) {
                    return Err(Fault::invalid(format!("there are {GROUPS_MAX} groups already, which is the limit")));
                }
                let fresh = || FlagGroup {
                    name: name.clone(),
                    description: String::new(),
                    field: FIELD_DEFAULT.into(),
                    members: Vec::new(),
                    segment: ids.last().copied().unwrap_or(0).max(0) + 1,
                };
                let group = apply(before.clone().unwrap_or_else(fresh), &update)?;
                let segment = segment_of(&group);
                if before.as_ref() == Some(&group) {
                    return Ok((group, segment));
                }
                validate::validate_segment(&segment)?;
                for flag in known.values().filter(|f| uses(f, segment.id)) {
                    if let Some(place) = on_under_four_eyes(t, flag)? {
                        return Err(Fault::conflict(format!(
                            "`{}` uses the group {name} in {place}, which wants a second person",
                            flag.key
                        ))
                        .advice("put a constraint on the flag instead, by a change request"));
                    }
                }
                let failed = |e: serde_json::Error| Fault::internal(e.to_string());
                store::group_put(t.tx(), &name, &serde_json::to_string(&group).map_err(failed)?)?;
                flags::segment_put(t.tx(), segment.id, &serde_json::to_string(&segment).map_err(failed)?)?;
                let text = format!("{} set the group {name} to {} people", who.actor, group.members.len());
                t.record(
                    EventDraft::new(who.actor.clone(), who.source, "flag_group.changed", text)
                        .data(json!({"group": name, "before": before, "after": group})),
                )?;
                Ok((group, segment))
            })
            .await?;
        self.flags.change(self.now(), |table| {
            table.segments.insert(segment.id, segment);
        });
        Ok(group)
    }

    /// Refused while a flag uses it: its strategies would match nobody.
    pub async fn flag_group_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        who.require(Role::Deployer, None, None)?;
        let known = self.flag_groups().await?.items.into_iter().find(|g| g.name == name);
        let group = known.ok_or_else(|| Fault::not_found(format!("there is no group `{name}`")))?;
        self.flag_segment_free(group.segment)?;
        let (who, name, id) = (who.clone(), name.to_owned(), group.segment);
        self.transact(move |t| {
            store::group_delete(t.tx(), &name)?;
            flags::segment_delete(t.tx(), id)?;
            let text = format!("{} deleted the group {name}", who.actor);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "flag_group.deleted", text)
                    .data(json!({"group": name, "before": group})),
            )?;
            Ok(())
        })
        .await?;
        self.flags.change(self.now(), |table| {
            table.segments.remove(&id);
        });
        Ok(())
    }
}

fn stored((name, body): &(String, String)) -> Result<FlagGroup, Fault> {
    serde_json::from_str(body)
        .map_err(|e| Fault::internal(format!("the group `{name}` in the store cannot be read: {e}")))
}

fn segment_of(group: &FlagGroup) -> Segment {
    let among = Constraint {
        context_name: group.field.clone(),
        operator: "IN".into(),
        values: group.members.clone(),
        ..Constraint::default()
    };
    Segment { id: group.segment, name: group.name.clone(), constraints: vec![among] }
}

fn apply(mut group: FlagGroup, update: &FlagGroupUpdate) -> Result<FlagGroup, Fault> {
    if let Some(description) = &update.description {
        group.description.clone_from(description);
    }
    if let Some(field) = &update.field {
        group.field.clone_from(field);
    }
    let mut members: BTreeSet<String> = update.members.clone().unwrap_or(group.members).into_iter().collect();
    members.extend(update.add.iter().cloned());
    members.retain(|m| !update.remove.contains(m));
    if members.len() > MEMBERS_MAX {
        return Err(Fault::invalid(format!("a group has at most {MEMBERS_MAX} people"))
            .advice("give them a property in the context and put a constraint on that"));
    }
    if group.description.len() > TEXT_BYTES_MAX {
        return Err(Fault::invalid(format!("a description has at most {TEXT_BYTES_MAX} bytes")));
    }
    group.members = members.into_iter().collect();
    Ok(group)
}
