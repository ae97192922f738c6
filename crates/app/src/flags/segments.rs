//! Segments: named constraints that many strategies share.

use serde::{Deserialize, Serialize};
use tenfold_flags::{Segment, validate::validate_segment};
use tenfold_store::flags as store;
use tenfold_types::{EventDraft, Fault};

use super::changes::on_under_four_eyes;
use crate::{App, Caller, Role};

pub const SEGMENTS_MAX: usize = 1_000;

#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SegmentList {
    pub items: Vec<Segment>,
}

pub(super) fn stored((id, body): &(i64, String)) -> Result<Segment, Fault> {
    serde_json::from_str(body)
        .map_err(|e| Fault::internal(format!("the segment {id} in the store cannot be read: {e}")))
}

pub(super) fn uses(flag: &tenfold_flags::Flag, id: i64) -> bool {
    flag.environments.values().flat_map(|e| &e.strategies).any(|s| s.segments.contains(&id))
}

impl App {
    pub fn flag_segments(&self) -> SegmentList {
        SegmentList { items: self.flags.look(|table| table.segments.values().cloned().collect()) }
    }

    pub async fn flag_segment_put(&self, who: &Caller, segment: Segment) -> Result<Segment, Fault> {
        who.require(Role::Deployer, None, None)?;
        validate_segment(&segment)?;
        let (known, count) = self.flags.look(|t| (t.segments.get(&segment.id).cloned(), t.segments.len()));
        if known.as_ref() == Some(&segment) {
            return Ok(segment);
        }
        if known.is_none() && count >= SEGMENTS_MAX {
            return Err(Fault::invalid(format!("there are {SEGMENTS_MAX} segments already, which is the limit"))
                .advice("delete one that no flag uses"));
        }
        let users: Vec<std::sync::Arc<tenfold_flags::Flag>> = self.flags.look(|t| {
            let flags = t.flags.values().map(|e| &e.flag).filter(|f| !f.archived && uses(f, segment.id));
            flags.cloned().collect()
        });
        let (who, new) = (who.clone(), segment.clone());
        self.transact(move |t| {
            for flag in &users {
                if let Some(place) = on_under_four_eyes(t, flag)? {
                    return Err(Fault::conflict(format!(
                        "`{}` uses the segment {} and is on in {place}, which wants a second person",
                        flag.key, new.id
                    ))
                    .advice("make a new segment, and change the flag to it; that becomes a change request"));
                }
            }
            let body = serde_json::to_string(&new).map_err(|e| Fault::internal(e.to_string()))?;
            store::segment_put(t.tx(), new.id, &body)?;
            let text = format!("{} changed the segment {}", who.actor, new.name);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "flag_segment.changed", text)
                    .data(serde_json::json!({"segment": new.id, "before": known, "after": new})),
            )?;
            Ok(())
        })
        .await?;
        self.flags.change(self.now(), |table| {
            table.segments.insert(segment.id, segment.clone());
        });
        Ok(segment)
    }

    /// Refused while a flag uses it: its strategies would match nobody.
    pub async fn flag_segment_delete(&self, who: &Caller, id: i64) -> Result<(), Fault> {
        who.require(Role::Deployer, None, None)?;
        self.flag_segment_free(id)?;
        let who = who.clone();
        self.transact(move |t| {
            if !store::segment_delete(t.tx(), id)? {
                return Err(Fault::not_found(format!("there is no segment {id}")));
            }
            let text = format!("{} deleted the segment {id}", who.actor);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "flag_segment.deleted", text)
                    .data(serde_json::json!({"segment": id})),
            )?;
            Ok(())
        })
        .await?;
        self.flags.change(self.now(), |table| {
            table.segments.remove(&id);
        });
        Ok(())
    }

    /// Fails while a flag uses the segment.
    pub(super) fn flag_segment_free(&self, id: i64) -> Result<(), Fault> {
        let user = self.flags.look(|table| {
            table.flags.values().find(|e| !e.flag.archived && uses(&e.flag, id)).map(|e| e.flag.key.clone())
        });
        if let Some(key) = user {
            return Err(Fault::conflict(format!("the flag `{key}` uses the segment {id}"))
                .advice("take the segment out of the flag first"));
        }
        Ok(())
    }
}
