//! Every label name and value once, by number.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// The number of a string.
pub(crate) type Symbol = u32;

#[derive(Default)]
pub(crate) struct Symbols {
    text: String,
    /// Where each string ends in `text`; it begins where the one before ends.
    ends: Vec<usize>,
    table: HashTable<Symbol>,
    hasher: DefaultHashBuilder,
}

impl Symbols {
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    pub fn get(&self, symbol: Symbol) -> &str {
        let i = symbol as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.text[start..self.ends[i]]
    }
    pub fn find(&self, text: &str) -> Option<Symbol> {
        let hash = self.hasher.hash_one(text);
        self.table.find(hash, |s| self.get(*s) == text).copied()
    }
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(found) = self.find(text) {
            return found;
        }
        let symbol = Symbol::try_from(self.ends.len()).expect("series and labels are limited far below 2^32 strings");
        self.text.push_str(text);
        self.ends.push(self.text.len());
        let (ends, all, hasher) = (&self.ends, &self.text, &self.hasher);
        let of = |s: &Symbol| {
            let i = *s as usize;
            hasher.hash_one(&all[if i == 0 { 0 } else { ends[i - 1] }..ends[i]])
        };
        self.table.insert_unique(hasher.hash_one(text), symbol, of);
        symbol
    }
    pub fn bytes(&self) -> usize {
        self.text.capacity() + 8 * self.ends.capacity() + self.table.allocation_size()
    }
}
