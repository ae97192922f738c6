//! A set of words that answers quickly: few are scanned, many are hashed.

use std::sync::Arc;

use crate::table::{Table, same, tag};

/// Up to this many words are scanned.
const SCAN_WORDS_MAX: usize = 8;
/// A length of this or more bytes is written in four bytes more.
const LONG: u8 = u8::MAX;

/// All words one after the other, each behind its length, so that a short list is one piece of memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    packed: Arc<[u8]>,
    /// Where words stand; only of a large set.
    table: Option<Arc<Table>>,
}

impl Words {
    pub(crate) fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Self {
        let (mut packed, mut starts) = (Vec::new(), Vec::new());
        for word in words {
            let word = word.as_ref();
            starts.push((packed.len() as u32, tag(word)));
            match u8::try_from(word.len()) {
                Ok(short) if short < LONG => packed.push(short),
                _ => {
                    packed.push(LONG);
                    packed.extend_from_slice(&(word.len() as u32).to_le_bytes());
                }
            }
            packed.extend_from_slice(word.as_bytes());
        }
        let mut set = Self { packed: packed.into(), table: None };
        if starts.len() > SCAN_WORDS_MAX {
            let mut table = Table::with_capacity(starts.len());
            for (start, tag) in starts {
                let word = set.at(start as usize).map_or(&[][..], |(word, _)| word);
                if table.find(tag, |other| set.is_at(other, word)).is_none() {
                    table.insert(tag, start);
                }
            }
            set.table = Some(Arc::new(table));
        }
        set
    }

    /// The word that starts there, and what follows it.
    #[inline]
    fn at(&self, start: usize) -> Option<(&[u8], usize)> {
        let short = *self.packed.get(start)?;
        let (first, bytes) = if short == LONG {
            let long = self.packed.get(start + 1..start + 5)?.try_into().ok()?;
            (start + 5, u32::from_le_bytes(long) as usize)
        } else {
            (start + 1, usize::from(short))
        };
        let end = first + bytes;
        self.packed.get(first..end).map(|word| (word, end))
    }

    fn is_at(&self, start: u32, word: &[u8]) -> bool {
        self.at(start as usize).is_some_and(|(other, _)| same(other, word))
    }

    #[inline]
    pub(crate) fn contains(&self, word: &str) -> bool {
        match &self.table {
            Some(table) => table.find(tag(word), |start| self.is_at(start, word.as_bytes())).is_some(),
            None => self.any(|w| same(w, word.as_bytes())),
        }
    }

    /// True when it holds for one of the words, which are UTF-8.
    #[inline]
    pub(crate) fn any(&self, holds: impl Fn(&[u8]) -> bool) -> bool {
        let mut start = 0;
        while let Some((word, next)) = self.at(start) {
            if holds(word) {
                return true;
            }
            start = next;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_words() {
        for count in [0, 1, 8, 9, 1_000] {
            let list: Vec<String> = (0..count).map(|i| format!("wörd-{i}")).collect();
            let words = Words::new(&list);
            assert!(list.iter().all(|w| words.contains(w)), "{count}");
            assert!(!words.contains("wörd-") && !words.contains("") && !words.contains("wörd-10000"));
        }
        assert!(Words::new(["", "a", "a"]).contains(""));
        assert!(Words::new(std::iter::repeat_n("same", 50)).contains("same"));
    }

    #[test]
    fn words_of_any_length() {
        let lengths = [0, 1, 253, 254, 255, 256, 70_000];
        let list: Vec<String> = lengths.iter().map(|n| "x".repeat(*n)).collect();
        for copies in [1, 3] {
            let words = Words::new(list.iter().cycle().take(list.len() * copies));
            assert!(list.iter().all(|w| words.contains(w)));
            assert!([2, 252, 257, 69_999].iter().all(|n| !words.contains(&"x".repeat(*n))));
        }
    }
}
