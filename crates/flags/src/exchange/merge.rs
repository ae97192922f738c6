//! Segments of a file beside those that are there: the same number may mean another segment here.

use std::collections::{BTreeMap, BTreeSet};

use super::{Bundle, shown};
use crate::{Flag, Segment};

/// Gives each segment of the bundle a number under which it can be written: its own where it is free or means the same,
/// the number of an equal segment, else the next free one. Strategies follow. Segments that are there already leave the
/// bundle; flags that need one of which only an unknown name is told are refused.
pub fn fit_segments(bundle: &mut Bundle, known: &BTreeMap<i64, Segment>) {
    let mut moved: BTreeMap<i64, i64> = BTreeMap::new();
    let mut taken: BTreeSet<i64> = known.keys().copied().collect();
    let mut next = taken.last().copied().unwrap_or(0).max(0);
    let mut new = Vec::new();
    for mut segment in std::mem::take(&mut bundle.segments) {
        let same = |s: &&Segment| s.name == segment.name && s.constraints == segment.constraints;
        let at_home = known.get(&segment.id).filter(same);
        if let Some(there) = at_home.or_else(|| known.values().find(same)) {
            moved.insert(segment.id, there.id);
            continue;
        }
        if !taken.insert(segment.id) {
            while taken.contains(&next) || next < 1 {
                next += 1;
            }
            let text = format!("the number {} is taken by another segment, so it is {next} here", segment.id);
            bundle.changed(format!("segment {}", segment.id), text);
            moved.insert(segment.id, next);
            segment.id = next;
            taken.insert(next);
        }
        new.push(segment);
    }
    let mut missing: BTreeMap<i64, String> = BTreeMap::new();
    for (id, name) in std::mem::take(&mut bundle.named_segments) {
        match known.values().find(|s| s.name == name) {
            Some(there) => drop(moved.insert(id, there.id)),
            None => drop(missing.insert(id, name)),
        }
    }
    let mut refused = Vec::new();
    bundle.flags.retain(|flag| {
        let lacks = uses(flag).find_map(|id| missing.get(&id));
        if let Some(name) = lacks {
            refused.push((flag.key.clone(), name.clone()));
        }
        lacks.is_none()
    });
    for (key, name) in refused {
        let text = format!(
            "it uses the segment `{}`, of which the file tells only the name; make that segment first",
            shown(&name)
        );
        bundle.refused(format!("flag {key}"), text);
    }
    for flag in &mut bundle.flags {
        let strategies = flag.environments.values_mut().flat_map(|e| &mut e.strategies);
        for id in strategies.flat_map(|s| &mut s.segments) {
            *id = moved.get(id).copied().unwrap_or(*id);
        }
    }
    bundle.segments = new;
}

fn uses(flag: &Flag) -> impl Iterator<Item = i64> + '_ {
    flag.environments.values().flat_map(|e| &e.strategies).flat_map(|s| s.segments.iter().copied())
}
