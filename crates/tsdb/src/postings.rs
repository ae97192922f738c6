//! Sorted lists of series numbers and the three set operations on them.

pub(crate) type SeriesId = u32;

/// The numbers in both lists.
pub(crate) fn intersect(mut a: Vec<SeriesId>, b: &[SeriesId]) -> Vec<SeriesId> {
    keep(&mut a, b, true);
    a
}

/// The numbers in `a` but not in `b`.
pub(crate) fn subtract(mut a: Vec<SeriesId>, b: &[SeriesId]) -> Vec<SeriesId> {
    keep(&mut a, b, false);
    a
}

fn keep(a: &mut Vec<SeriesId>, b: &[SeriesId], wanted: bool) {
    let mut rest = b;
    // Jumps through a far longer list instead of walking it.
    let jump = b.len() / 16 > a.len();
    a.retain(|id| {
        let skip = if jump {
            rest.partition_point(|x| x < id)
        } else {
            rest.iter().position(|x| x >= id).unwrap_or(rest.len())
        };
        rest = &rest[skip..];
        (rest.first() == Some(id)) == wanted
    });
}

/// The numbers in any of the lists.
pub(crate) fn union(lists: &[&[SeriesId]]) -> Vec<SeriesId> {
    match lists {
        [] => Vec::new(),
        [one] => one.to_vec(),
        many => {
            let mut all = many.concat();
            all.sort_unstable();
            all.dedup();
            all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn as_sets(a in prop::collection::btree_set(0u32..500, 0..60), b in prop::collection::btree_set(0u32..500, 0..400)) {
            let (va, vb): (Vec<_>, Vec<_>) = (a.iter().copied().collect(), b.iter().copied().collect());
            let set = |v: Vec<u32>| v.into_iter().collect::<BTreeSet<_>>();
            prop_assert_eq!(set(intersect(va.clone(), &vb)), &a & &b);
            prop_assert_eq!(set(subtract(va.clone(), &vb)), &a - &b);
            prop_assert_eq!(union(&[&va, &vb]), (&a | &b).into_iter().collect::<Vec<_>>());
        }
    }
}
