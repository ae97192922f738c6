//! What two commits have that the other has not: a walk over a graph of commits that knows no git.
//!
//! The walk goes from both ends to older commits, the newest first, and marks what each end reaches. Where the two meet,
//! all that is older is shared: it is looked at only as far as a wrong clock could have misplaced something.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::Hash,
};

/// How far a commit's time may lie before that of its own parent. Shared history is followed until it is older by this
/// than everything that is not shared.
const SKEW_S: i64 = 24 * 60 * 60;

const LEFT: u8 = 1;
const RIGHT: u8 = 2;
const BOTH: u8 = LEFT | RIGHT;

/// What the walk knows of a commit.
pub(super) struct Node<I> {
    /// When it was committed, in seconds since 1970.
    pub at_s: i64,
    pub parents: Vec<I>,
}

/// The commits that only one of two ends reaches, the newest first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sides<I> {
    pub left: Vec<I>,
    pub right: Vec<I>,
}

/// `read` is asked once for each commit that the walk comes to, and again only for one whose time was before its
/// parent's. Limits are its matter: the first error ends the walk.
pub(super) fn sides<I, E>(left: I, right: I, read: impl FnMut(I) -> Result<Node<I>, E>) -> Result<Sides<I>, E>
where
    I: Copy + Eq + Hash + Ord,
{
    let mut walk = Walk {
        read,
        seen: HashMap::new(),
        queue: BinaryHeap::new(),
        order: Vec::new(),
        apart: 0,
        oldest_s: i64::MAX,
        turn: 0,
    };
    walk.reach(left, LEFT)?;
    walk.reach(right, RIGHT)?;
    if left != right {
        while let Some(next) = walk.newest() {
            walk.pass(next)?;
        }
    }
    let (order, seen) = (&walk.order, &walk.seen);
    let only = |side: u8| order.iter().copied().filter(move |id| seen.get(id).is_some_and(|m| m.ends == side));
    Ok(Sides { left: only(LEFT).collect(), right: only(RIGHT).collect() })
}

struct Mark {
    /// Which ends reach it.
    ends: u8,
    queued: bool,
}

/// Ordered by time, then by who came first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Queued<I> {
    at_s: i64,
    turn: Reverse<u64>,
    id: I,
    parents: Vec<I>,
}

struct Walk<I, R> {
    read: R,
    seen: HashMap<I, Mark>,
    queue: BinaryHeap<Queued<I>>,
    /// What one end alone reached when its turn came; another path may have made it shared later.
    order: Vec<I>,
    /// How many of the queue one end alone reaches.
    apart: usize,
    /// The oldest time of all that one end alone reached.
    oldest_s: i64,
    turn: u64,
}

impl<I, E, R> Walk<I, R>
where
    I: Copy + Eq + Hash + Ord,
    R: FnMut(I) -> Result<Node<I>, E>,
{
    fn reach(&mut self, id: I, ends: u8) -> Result<(), E> {
        let mark = self.seen.entry(id).or_insert(Mark { ends: 0, queued: false });
        let joined = mark.ends | ends;
        if joined == mark.ends {
            return Ok(());
        }
        mark.ends = joined;
        if mark.queued {
            // one end had it, now both
            self.apart -= 1;
            return Ok(());
        }
        mark.queued = true;
        let node = (self.read)(id)?;
        if joined != BOTH {
            self.apart += 1;
            self.oldest_s = self.oldest_s.min(node.at_s);
        }
        self.turn += 1;
        self.queue.push(Queued { at_s: node.at_s, turn: Reverse(self.turn), id, parents: node.parents });
        Ok(())
    }

    fn newest(&mut self) -> Option<Queued<I>> {
        let newest_s = self.queue.peek()?.at_s;
        let goes_on = self.apart > 0 || newest_s >= self.oldest_s.saturating_sub(SKEW_S);
        if goes_on { self.queue.pop() } else { None }
    }

    fn pass(&mut self, next: Queued<I>) -> Result<(), E> {
        let Some(mark) = self.seen.get_mut(&next.id) else { return Ok(()) };
        mark.queued = false;
        let ends = mark.ends;
        if ends != BOTH {
            self.apart -= 1;
            self.order.push(next.id);
        }
        next.parents.into_iter().try_for_each(|parent| self.reach(parent, ends))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, convert::Infallible};

    use proptest::prelude::*;

    use super::*;

    /// Commits by number; each knows its time and its parents, which have lower numbers.
    type Graph = Vec<(i64, Vec<usize>)>;

    fn walked(graph: &Graph, left: usize, right: usize) -> (Sides<usize>, usize) {
        let mut reads = 0;
        let read = |id: usize| {
            reads += 1;
            let (at_s, parents) = graph[id].clone();
            Ok::<_, Infallible>(Node { at_s, parents })
        };
        let found = sides(left, right, read).unwrap();
        (found, reads)
    }

    fn ancestors(graph: &Graph, of: usize) -> BTreeSet<usize> {
        let (mut found, mut open) = (BTreeSet::new(), vec![of]);
        while let Some(id) = open.pop() {
            if found.insert(id) {
                open.extend(&graph[id].1);
            }
        }
        found
    }

    fn graphs() -> impl Strategy<Value = Graph> {
        // parents by how far back they lie; times wander by up to half a day in both directions
        let commit = (-43_000_i64..43_000, proptest::collection::vec(1_usize..6, 0..3));
        proptest::collection::vec(commit, 1..40).prop_map(|commits| {
            let node = |(n, (off, back)): (usize, (i64, Vec<usize>))| {
                let parents: BTreeSet<usize> = back.into_iter().filter_map(|b| n.checked_sub(b)).collect();
                (1_700_000_000 + 60 * i64::try_from(n).unwrap() + off / 2, parents.into_iter().collect())
            };
            commits.into_iter().enumerate().map(node).collect()
        })
    }

    proptest! {
        #[test]
        fn each_side_is_what_the_other_does_not_reach(graph in graphs(), a in 0_usize..40, b in 0_usize..40) {
            let (left, right) = (a % graph.len(), b % graph.len());
            let (found, _) = walked(&graph, left, right);
            let (of_left, of_right) = (ancestors(&graph, left), ancestors(&graph, right));
            let only = |of: &BTreeSet<usize>, other: &BTreeSet<usize>| of.difference(other).copied().collect::<Vec<_>>();
            let sorted = |mut side: Vec<usize>| { side.sort_unstable(); side };
            prop_assert_eq!(sorted(found.left), only(&of_left, &of_right));
            prop_assert_eq!(sorted(found.right), only(&of_right, &of_left));
        }
    }

    /// A long history behind the place where two ends meet is not read.
    #[test]
    fn old_history_is_left_alone() {
        let hour = 60 * 60;
        let mut graph: Graph = (0..10_000_usize)
            .map(|n| (hour * i64::try_from(n).unwrap(), n.checked_sub(1).into_iter().collect()))
            .collect();
        graph.push((hour * 10_001, vec![9_990]));
        let (found, reads) = walked(&graph, 10_000, 9_999);
        assert_eq!(found, Sides { left: vec![10_000], right: (9_991..10_000).rev().collect() });
        assert!(reads < 60, "{reads}");
    }

    #[test]
    fn an_error_ends_the_walk() {
        let read = |id: u32| if id > 5 { Ok(Node { at_s: i64::from(id), parents: vec![id - 1] }) } else { Err(id) };
        assert_eq!(sides(9, 100, read).unwrap_err(), 5);
    }
}
