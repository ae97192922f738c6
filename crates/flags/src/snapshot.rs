//! The compiled flags of one environment, immutable; a change makes a new snapshot that shares all but the changed flag.
//!
//! Each flag has a slot, a number that it keeps as long as it exists. Children refer to their parents by it and strategies
//! to segments by theirs, so that a change of a parent or of a segment is theirs at once and nothing else is compiled. A
//! name that only children know has a slot too, and the flag gets it when it comes.
//!
//! Flags stand in their slots, one behind the other, so that one is a single read away and a walk over all of them is one
//! over memory. A change copies: one part of 32 slots, the list of parts, and, when a flag comes or goes, the table of names, which is
//! plain memory. At 10,000 flags that is well under a millisecond.

use std::{collections::HashMap, fmt, sync::Arc};

use crate::{
    compile::{Flag, Presence},
    constraint::Constraint,
    facts::Slots,
    features::{ClientFeatures, Feature, Segment},
    table::{Table, tag},
};

const PART_SLOTS: usize = 32;
type Part = [Option<Flag>; PART_SLOTS];

/// Everything that is needed to evaluate the flags of one environment.
///
/// ```
/// use tenfold_flags::{ClientFeatures, Context, Feature, Moment, Snapshot};
///
/// let first = Snapshot::compile(&ClientFeatures::default());
/// let flag = Feature { name: "new_uploader".into(), enabled: true, ..Feature::default() };
/// let second = first.with_feature(&flag);
/// let on = |s: &Snapshot| s.evaluate("new_uploader", &Context::new(), Moment::default()).is_some_and(|e| e.enabled);
/// assert!(!on(&first) && on(&second) && !on(&second.without_feature("new_uploader")));
/// ```
#[derive(Clone, Default)]
pub struct Snapshot {
    parts: Vec<Arc<Part>>,
    names: Arc<Names>,
    segments: Arc<Segments>,
    slots: Slots,
}

#[derive(Debug, Clone, Default)]
struct Names {
    /// From name to slot.
    table: Table,
    /// The slots of public flags, by name.
    order: Vec<u32>,
    /// For each slot, by how many it is wanted as a parent.
    children: Vec<u32>,
    free: Vec<u32>,
}

#[derive(Debug, Clone, Default)]
struct Segments {
    by_id: HashMap<i64, u32>,
    rules: Vec<Option<Arc<Rules>>>,
}

/// Constraints that must all hold; `None` when one of them cannot be read.
type Rules = Option<Box<[Constraint]>>;

impl Snapshot {
    /// Of a repeated name the last one counts, and so of a repeated segment.
    pub fn compile(document: &ClientFeatures) -> Self {
        let mut snapshot = Self::default();
        for segment in &document.segments {
            snapshot.set_segment(segment);
        }
        let by_name: HashMap<&str, &Feature> = document.features.iter().map(|f| (f.name.as_str(), f)).collect();
        let mut features: Vec<&Feature> = by_name.into_values().collect();
        // Public flags take the first slots in the order of names, so that a walk over them is one over memory.
        features.sort_unstable_by(|a, b| (a.hidden, &a.name).cmp(&(b.hidden, &b.name)));
        snapshot.names = Arc::new(Names { table: Table::with_capacity(features.len()), ..Names::default() });
        for feature in &features {
            snapshot.slot_for(&feature.name);
        }
        for feature in features {
            snapshot.set_feature(feature);
        }
        snapshot
    }

    /// With one flag added or replaced; only that one is compiled.
    pub fn with_feature(&self, feature: &Feature) -> Self {
        let mut next = self.clone();
        next.set_feature(feature);
        next
    }

    /// Without one flag. Its children are off from now on, as for any parent that does not exist.
    pub fn without_feature(&self, name: &str) -> Self {
        let mut next = self.clone();
        next.remove_feature(name);
        next
    }

    /// With one segment added or replaced; strategies that refer to it follow.
    pub fn with_segment(&self, segment: &Segment) -> Self {
        let mut next = self.clone();
        next.set_segment(segment);
        next
    }

    /// Without one segment. Strategies that refer to it match nobody from now on.
    pub fn without_segment(&self, id: i64) -> Self {
        let mut next = self.clone();
        if let Some(slot) = next.segments.by_id.get(&id).copied() {
            Arc::make_mut(&mut next.segments).rules[slot as usize] = None;
        }
        next
    }

    /// How many flags there are, hidden ones not counted.
    pub fn len(&self) -> usize {
        self.names.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.order.is_empty()
    }

    /// Names of the flags, in order, without hidden ones. Of a snapshot fresh from [`Snapshot::compile`] the position is
    /// the flag's index.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.public().map(|(_, flag)| &*flag.name)
    }

    /// Index and name of the flags, in the order of names.
    pub fn indexed_names(&self) -> impl ExactSizeIterator<Item = (usize, &str)> {
        self.public().map(|(index, flag)| (index as usize, &*flag.name))
    }

    /// The index of a flag: what [`crate::Evaluation::index`] gives. It stays the same through changes until the flag is
    /// removed, and may then become another's.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.find(name).filter(|(_, flag)| flag.presence == Presence::Public).map(|(index, _)| index as usize)
    }

    /// Every index is below this.
    pub fn indices(&self) -> usize {
        self.names.children.len()
    }

    pub(crate) fn public(&self) -> impl ExactSizeIterator<Item = (u32, &Flag)> {
        self.names.order.iter().map(|slot| {
            let flag =
                self.flag(*slot).expect("the order lists slots of flags; set_feature and remove_feature keep it so");
            (*slot, flag)
        })
    }

    /// Asks the memory for the public flag at that place in the order, so that it is there when its turn comes.
    #[inline]
    pub(crate) fn touch(&self, at: usize) {
        if let Some(flag) = self.names.order.get(at).and_then(|slot| self.flag(*slot)) {
            std::hint::black_box(flag.enabled);
        }
    }

    #[inline]
    pub(crate) fn flag(&self, slot: u32) -> Option<&Flag> {
        self.parts.get(slot as usize / PART_SLOTS)?[slot as usize % PART_SLOTS].as_ref()
    }

    #[inline]
    pub(crate) fn find(&self, name: &str) -> Option<(u32, &Flag)> {
        let slot = self.names.table.find(tag(name), |i| self.flag(i).is_some_and(|f| f.is_called(name)))?;
        self.flag(slot).map(|flag| (slot, flag))
    }

    pub(crate) fn segment(&self, slot: u32) -> Option<&[Constraint]> {
        self.segments.rules.get(slot as usize)?.as_ref()?.as_deref()
    }

    pub(crate) fn filled_slots(&self) -> &Slots {
        &self.slots
    }

    pub(crate) fn slots(&mut self) -> &mut Slots {
        &mut self.slots
    }

    /// The slot of a name, a new one when it has none.
    pub(crate) fn slot_for(&mut self, name: &str) -> u32 {
        if let Some((slot, _)) = self.find(name) {
            return slot;
        }
        let names = Arc::make_mut(&mut self.names);
        let slot = names.free.pop().unwrap_or(names.children.len() as u32);
        if slot as usize == names.children.len() {
            names.children.push(0);
        }
        names.table.insert(tag(name), slot);
        self.put(slot, Some(Flag::absent(name)));
        slot
    }

    /// The slot of a segment, a new one when it has none. They are not taken back: ids are not used again.
    pub(crate) fn segment_slot_for(&mut self, id: i64) -> u32 {
        if let Some(slot) = self.segments.by_id.get(&id) {
            return *slot;
        }
        let segments = Arc::make_mut(&mut self.segments);
        let slot = segments.rules.len() as u32;
        segments.by_id.insert(id, slot);
        segments.rules.push(None);
        slot
    }

    fn put(&mut self, slot: u32, flag: Option<Flag>) {
        let at = slot as usize / PART_SLOTS;
        if at == self.parts.len() {
            self.parts.push(empty());
        }
        Arc::make_mut(&mut self.parts[at])[slot as usize % PART_SLOTS] = flag;
    }

    fn set_segment(&mut self, segment: &Segment) {
        let slots = self.slots();
        let rules: Rules = segment.constraints.iter().map(|c| Constraint::compile(c, slots)).collect();
        let slot = self.segment_slot_for(segment.id);
        Arc::make_mut(&mut self.segments).rules[slot as usize] = Some(Arc::new(rules));
    }

    fn set_feature(&mut self, feature: &Feature) {
        let slot = self.slot_for(&feature.name);
        let flag = Flag::compile(feature, self);
        let public = flag.presence == Presence::Public;
        let parents = parents_of(Some(&flag));
        let before = self.flag(slot);
        let (was_public, parents_before) = (before.is_some_and(|f| f.presence == Presence::Public), parents_of(before));
        if parents != parents_before {
            let names = Arc::make_mut(&mut self.names);
            for parent in &parents {
                names.children[*parent as usize] += 1;
            }
        }
        self.put(slot, Some(flag));
        if parents != parents_before {
            self.release(&parents_before);
        }
        match (was_public, public) {
            (false, true) => self.enter_order(slot, &feature.name),
            (true, false) => self.leave_order(slot),
            _ => {}
        }
    }

    fn remove_feature(&mut self, name: &str) {
        let Some((slot, flag)) = self.find(name) else { return };
        let parents = parents_of(Some(flag));
        if flag.presence == Presence::Public {
            self.leave_order(slot);
        }
        self.put(slot, Some(Flag::absent(name)));
        self.release(&parents);
        self.free_if_unused(slot);
    }

    fn enter_order(&mut self, slot: u32, name: &str) {
        let order = &self.names.order;
        let place = order.partition_point(|other| self.flag(*other).is_some_and(|f| *f.name < *name));
        Arc::make_mut(&mut self.names).order.insert(place, slot);
    }

    fn leave_order(&mut self, slot: u32) {
        Arc::make_mut(&mut self.names).order.retain(|other| *other != slot);
    }

    fn release(&mut self, parents: &[u32]) {
        for parent in parents {
            Arc::make_mut(&mut self.names).children[*parent as usize] -= 1;
            self.free_if_unused(*parent);
        }
    }

    /// Gives back the slot of a name that neither a flag has nor a child wants.
    fn free_if_unused(&mut self, slot: u32) {
        let Some(flag) = self.flag(slot).filter(|f| f.presence == Presence::Absent) else { return };
        if self.names.children[slot as usize] > 0 {
            return;
        }
        let tag = tag(&flag.name);
        let names = Arc::make_mut(&mut self.names);
        names.table.remove(tag, slot);
        names.free.push(slot);
        self.put(slot, None);
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("flags", &self.len()).field("segments", &self.segments.by_id.len()).finish()
    }
}

/// A part without flags, made where it stays.
fn empty() -> Arc<Part> {
    Arc::new([const { None }; PART_SLOTS])
}

fn parents_of(flag: Option<&Flag>) -> Vec<u32> {
    flag.map(|f| f.parents.iter().map(|p| p.flag).collect()).unwrap_or_default()
}
