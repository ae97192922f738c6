//! A set of words that answers quickly: few are scanned, many are hashed.

use crate::table::{Table, tag};

/// Up to this many words are scanned.
const SCAN_WORDS_MAX: usize = 8;

/// All words in one text; where each ends stands beside it, so that most are told apart by their length alone.
#[derive(Debug, Default)]
pub(crate) struct Words {
    text: Box<str>,
    ends: Box<[u32]>,
    /// Only of a large set.
    table: Option<Box<Table>>,
}

impl Words {
    pub(crate) fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Self {
        let mut set = Self::default();
        let (mut text, mut ends) = (String::new(), Vec::new());
        for word in words {
            text.push_str(word.as_ref());
            ends.push(text.len() as u32);
        }
        (set.text, set.ends) = (text.into(), ends.into());
        if set.ends.len() > SCAN_WORDS_MAX {
            let mut table = Table::with_capacity(set.ends.len());
            for i in 0..set.ends.len() as u32 {
                let word = set.word(i);
                if table.find(tag(word), |j| set.word(j) == word).is_none() {
                    table.insert(tag(word), i);
                }
            }
            set.table = Some(Box::new(table));
        }
        set
    }

    fn word(&self, i: u32) -> &str {
        let start = i.checked_sub(1).and_then(|before| self.ends.get(before as usize)).copied().unwrap_or(0);
        let end = self.ends.get(i as usize).copied().unwrap_or(start);
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn contains(&self, word: &str) -> bool {
        match &self.table {
            Some(table) => table.find(tag(word), |i| self.word(i) == word).is_some(),
            None => self.any(|w| w == word),
        }
    }

    /// True when it holds for one of the words.
    #[inline]
    pub(crate) fn any(&self, holds: impl Fn(&str) -> bool) -> bool {
        let mut start = 0;
        self.ends.iter().any(|end| {
            let word = self.text.get(start as usize..*end as usize).unwrap_or_default();
            start = *end;
            holds(word)
        })
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
}
