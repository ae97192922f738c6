//! What flags share: groups of people, segments, ramp plans.

use tenfold_types::Fault;

use super::Reply;
use crate::chat::announce::span;
use crate::chat::grammar::FlagShared;
use crate::flags::{FlagGroup, FlagGroupUpdate, RampPlanView};
use crate::{App, Caller};

pub(super) async fn execute(app: &App, who: &Caller, command: FlagShared) -> Result<Reply, Fault> {
    match command {
        FlagShared::Groups => {
            let lines = app.flag_groups().await?.items.iter().map(group_line).collect();
            Ok(Reply::lines_or(lines, "there are no groups of people"))
        }
        FlagShared::GroupSet { name, add, remove, field, description } => {
            let update = FlagGroupUpdate { description, field, members: None, add, remove };
            Ok(Reply::line(group_line(&app.flag_group_put(who, &name, update).await?)))
        }
        FlagShared::GroupDelete { name } => {
            app.flag_group_delete(who, &name).await?;
            Ok(Reply::line(format!("the group {name} is deleted")))
        }
        FlagShared::Segments => {
            let items = app.flag_segments().items;
            let line = |s: &tenfold_flags::Segment| format!("{} {}: {} conditions", s.id, s.name, s.constraints.len());
            Ok(Reply::lines_or(items.iter().map(line).collect(), "there are no segments"))
        }
        FlagShared::SegmentDelete { id } => {
            app.flag_segment_delete(who, id).await?;
            Ok(Reply::line(format!("the segment {id} is deleted")))
        }
        FlagShared::Plans => {
            let lines = app.ramp_plans().await?.items.iter().map(plan_line).collect();
            Ok(Reply::lines_or(lines, "there are no ramp plans"))
        }
        FlagShared::PlanDelete { name } => {
            app.ramp_plan_delete(who, &name).await?;
            Ok(Reply::line(format!("the ramp plan {name} is deleted")))
        }
    }
}

fn group_line(group: &FlagGroup) -> String {
    format!("{} has {} people by {}; segment {}", group.name, group.members.len(), group.field, group.segment)
}

fn plan_line(RampPlanView { name, plan }: &RampPlanView) -> String {
    let steps: Vec<String> = plan.steps.iter().map(|s| format!("{} % for {}", s.percent, span(s.hold_ms))).collect();
    let guarded = if plan.guard.is_some() { ", guarded" } else { "" };
    format!("{name}: {}{guarded}", steps.join(", "))
}
