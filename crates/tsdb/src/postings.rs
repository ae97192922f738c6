//! Sets of series numbers. Most label values of a store with many series belong to one series: those cost no set.

use roaring::RoaringBitmap;

pub(crate) type SeriesId = u32;

pub(crate) enum Postings {
    One(SeriesId),
    Many(RoaringBitmap),
}

impl Postings {
    /// Adds a number; they mostly come in ascending order.
    pub fn insert(&mut self, id: SeriesId) {
        match self {
            Self::One(first) if *first == id => {}
            Self::One(first) => *self = Self::Many([*first, id].into_iter().collect()),
            Self::Many(set) => {
                if set.try_push(id).is_err() {
                    set.insert(id);
                }
            }
        }
    }
    pub fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(set) => set.len(),
        }
    }
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Many(set) => set.serialized_size() + 32,
        }
    }
    pub fn add_to(&self, out: &mut RoaringBitmap) {
        match self {
            Self::One(id) => {
                out.insert(*id);
            }
            Self::Many(set) => *out |= set,
        }
    }
    pub fn to_set(&self) -> RoaringBitmap {
        match self {
            Self::One(id) => [*id].into_iter().collect(),
            Self::Many(set) => set.clone(),
        }
    }
    pub fn intersects(&self, other: &RoaringBitmap) -> bool {
        match self {
            Self::One(id) => other.contains(*id),
            Self::Many(set) => !set.is_disjoint(other),
        }
    }
    pub fn intersection_len(&self, other: &RoaringBitmap) -> u64 {
        match self {
            Self::One(id) => u64::from(other.contains(*id)),
            Self::Many(set) => set.intersection_len(other),
        }
    }
    /// Keeps what is in `live`; whether anything is left.
    pub fn retain(&mut self, live: &RoaringBitmap) -> bool {
        match self {
            Self::One(id) => live.contains(*id),
            Self::Many(set) => {
                *set &= live;
                !set.is_empty()
            }
        }
    }
}
