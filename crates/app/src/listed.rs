//! Lists that are handed over in parts: how many an answer has, the place behind which it goes on, and what is left of a
//! list in its order. What a place in it is, each list says itself.

use tenfold_types::Fault;

/// How many of something an answer has.
pub(crate) struct Listed {
    /// What is listed, as a fault names it.
    pub what: &'static str,
    /// When the question does not say.
    pub default: usize,
    pub max: usize,
}

impl Listed {
    /// How many are asked for.
    pub fn limit(&self, asked: Option<usize>) -> Result<usize, Fault> {
        let limit = asked.unwrap_or(self.default);
        if !(1..=self.max).contains(&limit) {
            return Err(Fault::invalid(format!("an answer has 1 to {} {}, not {limit}", self.max, self.what))
                .advice("ask again with `after` for those that follow"));
        }
        Ok(limit)
    }

    /// The place behind which an answer goes on: `next` of the one before.
    pub fn place<'t, P>(
        &self,
        after: Option<&'t str>,
        read: impl FnOnce(&'t str) -> Option<P>,
    ) -> Result<Option<P>, Fault> {
        let Some(text) = after else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| {
            Fault::invalid(format!("`{text}` is not a place in the list of {}", self.what))
                .advice("send `next` of the answer before as it is, or leave `after` out")
        })
    }
}

/// Drops the front of a list in its order: what answers before had, as `seen` says.
pub(crate) fn go_on<T>(list: &mut Vec<T>, seen: impl Fn(&T) -> bool) {
    let first = list.partition_point(seen);
    list.drain(..first);
}

/// Makes one answer of a list in any order, without what answers before had, as `seen` says; gives what [`cut`] gives. Only what
/// is listed is put in order: the list may be long.
pub(crate) fn answer<T: Ord>(list: &mut Vec<T>, seen: impl Fn(&T) -> bool, limit: usize) -> Option<&T> {
    list.retain(|item| !seen(item));
    if list.len() > limit {
        list.select_nth_unstable(limit);
        list.truncate(limit + 1);
    }
    list.sort_unstable();
    cut(list, limit)
}

/// Cuts a list to one answer. The last in it when there are more: its place is the answer's `next`.
pub(crate) fn cut<T>(list: &mut Vec<T>, limit: usize) -> Option<&T> {
    let more = list.len() > limit;
    list.truncate(limit);
    list.last().filter(|_| more)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: Listed = Listed { what: "hosts", default: 3, max: 5 };

    #[test]
    fn a_limit_is_within_its_bounds() {
        for (asked, limit) in [(None, 3), (Some(1), 1), (Some(5), 5)] {
            assert_eq!(LISTED.limit(asked), Ok(limit));
        }
        for (asked, says) in [(0, "an answer has 1 to 5 hosts, not 0"), (6, "an answer has 1 to 5 hosts, not 6")] {
            let fault = LISTED.limit(Some(asked)).expect_err("it is refused");
            assert_eq!(fault.message, says);
            assert!(fault.advice.contains("`after`"), "{fault:?}");
        }
    }

    #[test]
    fn a_place_is_read_or_refused() {
        let read = |text: &str| text.parse::<u32>().ok();
        assert_eq!(LISTED.place(None, read), Ok(None));
        assert_eq!(LISTED.place(Some("7"), read), Ok(Some(7)));
        let fault = LISTED.place(Some("x"), read).expect_err("it is refused");
        assert_eq!(fault.message, "`x` is not a place in the list of hosts");
        assert!(fault.advice.contains("`next`"), "{fault:?}");
    }

    #[test]
    fn answers_follow_each_other_without_a_gap() {
        for limit in 1..=8 {
            let mut after: Option<u32> = None;
            let mut all = Vec::new();
            loop {
                let mut list: Vec<u32> = (0..7).collect();
                let mut mixed: Vec<u32> = vec![3, 6, 0, 5, 1, 4, 2];
                let next = answer(&mut mixed, |n| after.is_some_and(|after| *n <= after), limit).copied();
                if let Some(after) = after {
                    go_on(&mut list, |n| *n <= after);
                }
                after = cut(&mut list, limit).copied();
                assert_eq!((next, &mixed), (after, &list), "{limit}: whatever their order");
                assert!(list.len() == limit || after.is_none(), "{limit}");
                all.append(&mut list);
                if after.is_none() {
                    break;
                }
            }
            assert!(all.iter().copied().eq(0..7), "{limit}: {all:?}");
        }
        let mut list = vec![1, 2];
        assert_eq!((cut(&mut list, 2).copied(), list), (None, vec![1, 2]), "there are no more");
    }
}
