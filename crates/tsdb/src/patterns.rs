//! Which values of a label a pattern has matched, kept from query to query: a page of graphs asks the same each few seconds,
//! and asking a hundred thousand values one by one takes longer than all the rest of a query.
//!
//! Values are only ever added to a label, at its end, until series are forgotten. So what was asked stands, and only the
//! values behind it are asked anew; where series are forgotten, so is everything here.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::symbols::Symbol;

/// Patterns that are kept; the one that was not asked for longest goes first.
const PATTERNS_MAX: usize = 64;
/// Values that all of them together may have matched: four bytes each.
const VALUES_MAX: usize = 1 << 20;
/// A label of fewer values is asked each time.
pub(crate) const WORTH_KEEPING: usize = if cfg!(test) { 2 } else { 256 };

/// What a pattern matched of the first values of a label.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matched {
    /// How many values were asked, from the first on.
    pub asked: usize,
    /// Those that matched, in their order.
    pub values: Arc<Vec<Symbol>>,
}

struct Pattern {
    label: Symbol,
    text: String,
    matched: Matched,
    /// The count of questions when it was asked last.
    used: u64,
}

#[derive(Default)]
struct Kept {
    patterns: Vec<Pattern>,
    questions: u64,
}

impl Kept {
    fn values(&self) -> usize {
        self.patterns.iter().map(|p| p.matched.values.len()).sum()
    }
}

#[derive(Default)]
pub(crate) struct Patterns(Mutex<Kept>);

impl Patterns {
    /// What is known of a pattern on a label.
    pub fn get(&self, label: Symbol, text: &str) -> Option<Matched> {
        let mut kept = self.0.lock();
        kept.questions += 1;
        let now = kept.questions;
        let found = kept.patterns.iter_mut().find(|p| p.label == label && p.text == text)?;
        found.used = now;
        Some(found.matched.clone())
    }

    pub fn put(&self, label: Symbol, text: &str, matched: Matched) {
        let mut kept = self.0.lock();
        kept.patterns.retain(|p| p.label != label || p.text != text);
        if matched.values.len() > VALUES_MAX {
            return;
        }
        let used = kept.questions;
        kept.patterns.push(Pattern { label, text: text.into(), matched, used });
        while kept.patterns.len() > PATTERNS_MAX || kept.values() > VALUES_MAX {
            let oldest = kept.patterns.iter().enumerate().min_by_key(|(_, p)| p.used).map(|(i, _)| i);
            let Some(oldest) = oldest else { break };
            kept.patterns.swap_remove(oldest);
        }
    }

    pub fn clear(&mut self) {
        self.0.get_mut().patterns.clear();
    }

    /// Heap bytes, roughly.
    pub fn bytes(&self) -> usize {
        self.0.lock().patterns.iter().map(|p| size_of::<Pattern>() + p.text.len() + 4 * p.matched.values.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(values: usize) -> Matched {
        Matched { asked: values, values: Arc::new(vec![0; values]) }
    }

    #[test]
    fn what_was_not_asked_for_longest_goes_first() {
        let patterns = Patterns::default();
        for i in 0..PATTERNS_MAX {
            patterns.put(1, &i.to_string(), matched(1));
            assert_eq!(patterns.get(1, &i.to_string()).unwrap().asked, 1);
        }
        assert!(patterns.get(1, "0").is_some() && patterns.get(2, "0").is_none());
        patterns.put(2, "0", matched(7));
        assert!(patterns.get(1, "1").is_none(), "asked before all others");
        assert!(patterns.get(1, "0").is_some() && patterns.get(1, "2").is_some());
        assert_eq!(patterns.get(2, "0").unwrap().asked, 7);
    }

    #[test]
    fn memory_is_bounded() {
        let mut patterns = Patterns::default();
        patterns.put(1, "too many", matched(VALUES_MAX + 1));
        assert!(patterns.get(1, "too many").is_none());
        for text in ["a", "b", "c"] {
            patterns.put(1, text, matched(VALUES_MAX / 2));
            assert!(patterns.get(1, text).is_some());
        }
        assert!(patterns.get(1, "a").is_none() && patterns.get(1, "b").is_some());
        assert!(patterns.bytes() <= 4 * VALUES_MAX + 1000);
        patterns.clear();
        assert!(patterns.get(1, "b").is_none());
    }
}
