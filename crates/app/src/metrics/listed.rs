//! Series, names and values of labels as lists, counted against the memory that queries share before they are kept: a store
//! may have a million of each.

use std::collections::BTreeSet;

use tenfold_tsdb::TsdbError;
use tenfold_types::{Fault, Labels, Matcher};

use super::memory::{AnswerMemory, labels_bytes};
use super::query::{SeriesFilter, store_fault};

/// Things that are found in any order, kept in theirs and each once: all, or the first so many and one more.
struct Kept<'r, T> {
    most: Option<usize>,
    all: Vec<T>,
    first: BTreeSet<T>,
    memory: &'r mut AnswerMemory,
    refused: Option<Fault>,
}

impl<'r, T: Ord> Kept<'r, T> {
    fn new(most: Option<usize>, memory: &'r mut AnswerMemory) -> Self {
        Self { most, all: Vec::new(), first: BTreeSet::new(), memory, refused: None }
    }

    /// Keeps one that takes so many bytes in memory, and at most as many again as text; whether there may be more.
    fn put(&mut self, item: T, bytes: u64) -> bool {
        if let Some(most) = self.most {
            let is_full = self.first.len() > most;
            let is_behind = is_full && self.first.last().is_some_and(|last| *last <= item);
            if is_behind || !self.first.insert(item) {
                return true;
            }
            if is_full {
                // It came in the place of the last, which had its memory.
                self.first.pop_last();
                return true;
            }
            return self.take(bytes);
        }
        let has_room = self.take(bytes);
        if has_room {
            self.all.push(item);
        }
        has_room
    }

    fn take(&mut self, bytes: u64) -> bool {
        self.refused = self.memory.take(bytes.saturating_mul(2)).err();
        self.refused.is_none()
    }

    fn check(&mut self) -> Result<(), Fault> {
        self.refused.take().map_or(Ok(()), Err)
    }

    fn in_order(mut self) -> Vec<T> {
        if self.most.is_some() {
            return self.first.into_iter().collect();
        }
        self.all.sort_unstable();
        self.all.dedup();
        self.all
    }
}

fn text_bytes(text: &str) -> u64 {
    (text.len() + size_of::<String>()) as u64
}

/// What all selectors of a filter find, each by `find`.
fn within<T: Ord>(
    filter: &SeriesFilter,
    most: Option<usize>,
    memory: &mut AnswerMemory,
    find: impl Fn(&[Matcher], &mut Kept<'_, T>) -> Result<(), TsdbError>,
) -> Result<Vec<T>, Fault> {
    let mut kept = Kept::new(most, memory);
    for matchers in filter.each() {
        find(matchers, &mut kept).map_err(|e| store_fault(&e))?;
        kept.check()?;
    }
    Ok(kept.in_order())
}

impl super::State {
    /// What an answer that is no query's may take of memory.
    pub fn answer_memory(&self) -> AnswerMemory {
        AnswerMemory::new(&self.query_limits.limits())
    }

    /// Label sets in their order; with `most` the first so many, and one more where there are more. An error names the limit of
    /// the memory.
    pub fn series_within(
        &self,
        filter: &SeriesFilter,
        most: Option<usize>,
        memory: &mut AnswerMemory,
    ) -> Result<Vec<Labels>, Fault> {
        within(filter, most, memory, |matchers, kept| {
            let put = &mut |labels: Labels| {
                let bytes = labels_bytes(&labels) + size_of::<Labels>() as u64;
                kept.put(labels, bytes)
            };
            self.tsdb.each_series(matchers, filter.start_ms, filter.end_ms, put)
        })
    }

    /// Names of labels, as [`Self::series_within`].
    pub fn label_names_within(
        &self,
        filter: &SeriesFilter,
        most: Option<usize>,
        memory: &mut AnswerMemory,
    ) -> Result<Vec<String>, Fault> {
        within(filter, most, memory, |matchers, kept| {
            for name in self.tsdb.label_names(matchers, filter.start_ms, filter.end_ms)? {
                let bytes = text_bytes(&name);
                if !kept.put(name, bytes) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Values of a label, as [`Self::series_within`].
    pub fn label_values_within(
        &self,
        name: &str,
        filter: &SeriesFilter,
        most: Option<usize>,
        memory: &mut AnswerMemory,
    ) -> Result<Vec<String>, Fault> {
        within(filter, most, memory, |matchers, kept| {
            let put = &mut |value: &str| kept.put(value.to_owned(), text_bytes(value));
            self.tsdb.each_label_value(name, matchers, (filter.start_ms, filter.end_ms), put)
        })
    }
}

#[cfg(test)]
mod tests {
    use tenfold_promql::Limits;
    use tenfold_tsdb::Sample;

    use super::*;
    use crate::Settings;
    use crate::metrics::State;

    #[test]
    fn the_first_are_kept_in_order_and_each_once() {
        let kept = |most: Option<usize>| {
            let mut memory = AnswerMemory::new(&Limits::default());
            let mut kept = Kept::new(most, &mut memory);
            for number in [5, 3, 9, 3, 1, 7, 5] {
                assert!(kept.put(number, 8));
            }
            kept.in_order()
        };
        assert_eq!(kept(None), [1, 3, 5, 7, 9]);
        assert_eq!(kept(Some(2)), [1, 3, 5], "one more tells that there are more");
        assert_eq!(kept(Some(9)), [1, 3, 5, 7, 9]);
    }

    #[test]
    fn lists_that_take_too_much_name_the_limit() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        settings.metrics.query.bytes_max = 1 << 20;
        let state = State::open(&settings).expect("an empty store opens");
        let long = "x".repeat(500);
        let sample = |n: i64| {
            let labels = [(Labels::NAME.to_owned(), "m".to_owned()), ("id".to_owned(), format!("{n:05}{long}"))];
            Sample::new(Labels::from_pairs(labels), 1_795_424_000_000, 1.0)
        };
        state.append(&(0..2_000).map(sample).collect::<Vec<_>>()).expect("samples are taken");
        let filter = SeriesFilter::parse(&["m".to_owned()], None, None).expect("a selector");
        let whole = state.series_within(&filter, None, &mut state.answer_memory()).expect_err("two megabytes of text");
        assert!(whole.message.contains("1048576 bytes") && whole.message.contains("bytes_max"), "{}", whole.message);
        let values = state.label_values_within("id", &filter, None, &mut state.answer_memory()).expect_err("as many");
        assert_eq!(values.message, whole.message);
        let some = state.series_within(&filter, Some(3), &mut state.answer_memory()).expect("four of them");
        let ids: Vec<&str> = some.iter().filter_map(|labels| Some(&labels.get("id")?[..5])).collect();
        assert_eq!(ids, ["00000", "00001", "00002", "00003"]);
        let values =
            state.label_values_within("id", &filter, Some(1), &mut state.answer_memory()).expect("two of them");
        assert_eq!(values.len(), 2);
        let names = state.label_names_within(&filter, None, &mut state.answer_memory()).expect("two names");
        assert_eq!(names, ["__name__", "id"]);
    }
}
