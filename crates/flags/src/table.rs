//! A hash table of small numbers: what they stand for is kept, and compared, by the caller.
//!
//! It is plain memory, so copying one of 10,000 entries costs microseconds; a snapshot that changes is a copy. The hash is
//! not keyed: what is put in comes from people who may write flags, and their number is limited.

#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    /// A power of two of them, at most three quarters in use.
    entries: Box<[Entry]>,
    used: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u32,
    id: u32,
}

const EMPTY: Entry = Entry { tag: 0, id: u32::MAX };
const ENTRIES_MIN: usize = 8;

impl Table {
    pub(crate) fn with_capacity(count: usize) -> Self {
        let entries = (count * 4 / 3 + 1).next_power_of_two().max(ENTRIES_MIN);
        Self { entries: vec![EMPTY; entries].into(), used: 0 }
    }

    #[inline]
    pub(crate) fn find(&self, tag: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.entries.len().wrapping_sub(1);
        let mut at = tag as usize & mask;
        loop {
            // Of an empty table the mask is all ones, and there is nothing at any place.
            let entry = self.entries.get(at)?;
            if entry.id == EMPTY.id {
                return None;
            }
            if entry.tag == tag && is(entry.id) {
                return Some(entry.id);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a number that is not in it. `u32::MAX` is not a number.
    pub(crate) fn insert(&mut self, tag: u32, id: u32) {
        if (self.used + 1) * 4 > self.entries.len() * 3 {
            let mut larger = Self::with_capacity((self.used + 1) * 2);
            for entry in self.entries.iter().filter(|e| e.id != EMPTY.id) {
                larger.place(*entry);
            }
            *self = larger;
        }
        self.place(Entry { tag, id });
    }

    fn place(&mut self, entry: Entry) {
        let mask = self.entries.len() - 1;
        let mut at = entry.tag as usize & mask;
        while self.entries[at].id != EMPTY.id {
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
        self.used += 1;
    }

    /// Takes a number out and moves up what had to make way for it, so that no search stops too early.
    pub(crate) fn remove(&mut self, tag: u32, id: u32) {
        let mask = self.entries.len().wrapping_sub(1);
        let mut hole = tag as usize & mask;
        loop {
            match self.entries.get(hole) {
                Some(entry) if entry.id == id => break,
                Some(entry) if entry.id != EMPTY.id => hole = (hole + 1) & mask,
                _ => return,
            }
        }
        self.used -= 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry.id == EMPTY.id {
                self.entries[hole] = EMPTY;
                return;
            }
            let home = entry.tag as usize & mask;
            let from_home = at.wrapping_sub(home) & mask;
            let from_hole = at.wrapping_sub(hole) & mask;
            if from_home >= from_hole {
                self.entries[hole] = entry;
                hole = at;
            }
        }
    }
}

/// A quick, even hash of a text.
#[inline]
pub(crate) fn tag(text: &str) -> u32 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let bytes = text.as_bytes();
    let mut hash = K ^ bytes.len() as u64;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        hash = fold(hash ^ u64::from_le_bytes(word.try_into().unwrap_or_default()), K);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= last_word(rest);
    }
    let hash = fold(hash, 0xd6e8_feb8_6659_fd93);
    (hash ^ (hash >> 32)) as u32
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// The first bytes of a text. Of two texts as long as each other and as this at most, it is the same only if they are.
pub(crate) type Head = [u64; 3];
pub(crate) const HEAD_BYTES: usize = size_of::<Head>();

pub(crate) fn head(text: &str) -> Head {
    [0, 8, 16].map(|at| word(text.as_bytes(), at))
}

/// Whether `head` is the text's. Word by word: a head built for this would be written and read back first.
#[inline]
pub(crate) fn starts_with_head(text: &str, head: Head) -> bool {
    let bytes = text.as_bytes();
    word(bytes, 0) == head[0] && word(bytes, 8) == head[1] && word(bytes, 16) == head[2]
}

/// The eight bytes from there, or what is left of them.
#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..at + 8).and_then(|b| b.try_into().ok()) {
        Some(whole) => u64::from_le_bytes(whole),
        None => bytes.get(at..).filter(|rest| !rest.is_empty()).map_or(0, last_word),
    }
}

/// Whether two texts are the same. Short ones are compared here: calling for it takes longer than doing it.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let bytes = a.len();
    if bytes != b.len() || bytes > 16 {
        return a == b;
    }
    let last = bytes.saturating_sub(8);
    word(a, 0) == word(b, 0) && (bytes <= 8 || word(a, last) == word(b, last))
}

/// One to seven bytes as a number; together with the length no two texts give the same.
#[inline]
fn last_word(rest: &[u8]) -> u64 {
    let half = |at: usize| rest.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
    if rest.len() >= 4 {
        u64::from(half(0)) | u64::from(half(rest.len() - 4)) << 32
    } else {
        let at = |i: usize| u64::from(rest[i]);
        at(0) | at(rest.len() / 2) << 8 | at(rest.len() - 1) << 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with the standard map while numbers come and go, with tags that collide.
    #[test]
    fn finds_what_was_put_in_and_not_taken_out() {
        let mut table = Table::default();
        let mut model = std::collections::BTreeMap::new();
        let mut random = 1u32;
        for step in 0..20_000u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let id = random >> 8 & 0xff;
            let tag = (id % 37) * 0x0101;
            if model.remove(&id).is_some() {
                table.remove(tag, id);
            } else {
                model.insert(id, tag);
                table.insert(tag, id);
            }
            if step.is_multiple_of(16) {
                for id in 0..256u32 {
                    let found = table.find((id % 37) * 0x0101, |i| i == id);
                    assert_eq!(found, model.contains_key(&id).then_some(id), "step {step}");
                }
            }
        }
        table.remove(7, 7_000);
        assert_eq!(Table::default().find(1, |_| true), None);
    }

    #[test]
    fn heads_tell_short_texts_apart() {
        let texts: Vec<String> = (0..=HEAD_BYTES).map(|n| "a".repeat(n)).collect();
        for text in &texts {
            assert_eq!(head(text), head(&text.clone()));
            for at in 0..text.len() {
                let mut other = text.clone().into_bytes();
                other[at] = b'b';
                assert_ne!(head(str::from_utf8(&other).unwrap()), head(text), "{at} of {}", text.len());
            }
        }
    }

    #[test]
    fn same_is_equality() {
        let texts: Vec<Vec<u8>> = (0..20).map(|n| (0..n).collect()).collect();
        for a in &texts {
            for b in &texts {
                assert_eq!(same(a, b), a == b);
            }
            for at in 0..a.len() {
                let mut other = a.clone();
                other[at] ^= 0x80;
                assert!(!same(a, &other), "{at} of {}", a.len());
            }
        }
    }

    #[test]
    fn tags_tell_texts_apart() {
        let texts: Vec<String> = (0..20_000).map(|i| format!("flag-{i}")).collect();
        let tags: std::collections::BTreeSet<u32> = texts.iter().map(|t| tag(t)).collect();
        assert!(tags.len() > 19_990, "{} of 20,000", tags.len());
        let short: std::collections::BTreeSet<u32> =
            ["", "a", "aa", "aaa", "aaaa", "aaaaa", "aaaaaaaa", "aaaaaaaaa", "aba", "baa"].map(tag).into();
        assert_eq!(short.len(), 10);
    }
}
