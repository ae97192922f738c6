//! What stands under each number of a series: where its labels begin, and its place in the head. Numbers are never given
//! twice, so those of series that are gone are more than those of series there are: pages without any are given back.

use crate::postings::SeriesId;

/// No place in the head.
pub(crate) const NO_SLOT: u32 = u32::MAX;
/// Numbers in one page.
const PAGE: usize = 1024;

#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// The first of its labels in the index' pairs.
    pub at: u32,
    /// How many; 0 for a number that no longer stands for a series.
    pub len: u32,
    /// Its place in the head.
    pub slot: u32,
}

const GONE: Entry = Entry { at: 0, len: 0, slot: NO_SLOT };

#[derive(Default)]
pub(crate) struct Entries {
    /// By number; none where no number stands for a series.
    pages: Vec<Option<Box<[Entry; PAGE]>>>,
    end: SeriesId,
}

impl Entries {
    /// One more than the highest number ever given.
    pub fn end(&self) -> SeriesId {
        self.end
    }
    /// Numbers below this are taken.
    pub fn reserve(&mut self, end: SeriesId) {
        self.end = self.end.max(end);
    }
    pub fn get(&self, id: SeriesId) -> Entry {
        let id = id as usize;
        self.pages.get(id / PAGE).and_then(|page| Some(page.as_ref()?[id % PAGE])).unwrap_or(GONE)
    }
    /// That of a number that is given.
    pub fn set(&mut self, id: SeriesId, entry: Entry) {
        self.reserve(id.saturating_add(1));
        let at = id as usize / PAGE;
        if at >= self.pages.len() {
            self.pages.resize_with(at + 1, || None);
        }
        let page = self.pages[at].get_or_insert_with(|| Box::new([GONE; PAGE]));
        page[id as usize % PAGE] = entry;
    }
    /// Gives its series a place in the head; a number without a series gets none.
    pub fn set_slot(&mut self, id: SeriesId, slot: u32) {
        let page = self.pages.get_mut(id as usize / PAGE).and_then(Option::as_mut);
        if let Some(entry) = page.map(|page| &mut page[id as usize % PAGE]).filter(|entry| entry.len > 0) {
            entry.slot = slot;
        }
    }
    /// The number no longer stands for a series.
    pub fn clear(&mut self, id: SeriesId) {
        if let Some(page) = self.pages.get_mut(id as usize / PAGE).and_then(Option::as_mut) {
            page[id as usize % PAGE] = GONE;
        }
    }
    /// Gives back what no series stands in.
    pub fn give_back(&mut self) {
        for page in &mut self.pages {
            if page.as_ref().is_some_and(|page| page.iter().all(|entry| entry.len == 0)) {
                *page = None;
            }
        }
    }
    /// Heap bytes.
    pub fn bytes(&self) -> usize {
        let used = self.pages.iter().flatten().count();
        self.pages.capacity() * size_of::<Option<Box<[Entry; PAGE]>>>() + used * size_of::<[Entry; PAGE]>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_series_that_are_gone_are_given_back_and_their_numbers_stay_taken() {
        let mut entries = Entries::default();
        let entry = Entry { at: 7, len: 2, slot: NO_SLOT };
        for id in 0..10_000 {
            entries.set(id, entry);
        }
        let full = entries.bytes();
        for id in (0..10_000).filter(|id| *id != 5000) {
            entries.clear(id);
        }
        entries.give_back();
        assert!(entries.bytes() < full / 5, "{} of {full} bytes", entries.bytes());
        assert_eq!((entries.end(), entries.get(5000).at, entries.get(4999).len), (10_000, 7, 0));
        entries.set_slot(4999, 3);
        entries.set_slot(5000, 3);
        assert_eq!((entries.get(4999).slot, entries.get(5000).slot), (NO_SLOT, 3));
        entries.reserve(50_000_000);
        assert_eq!((entries.end(), entries.get(40_000_000).len), (50_000_000, 0));
        assert!(entries.bytes() < full, "numbers that are skipped take nothing");
    }
}
