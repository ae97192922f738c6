//! Bucket counts and the spans that say which indexes they belong to.

/// A run of consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Distance to the end of the span before; for the first one, the index of its first bucket.
    pub offset: i32,
    pub length: u32,
}

/// The buckets of one side, sparse: only those in spans are counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Buckets {
    pub spans: Vec<Span>,
    pub counts: Vec<f64>,
}

/// One bucket with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub lower_inclusive: bool,
    pub upper_inclusive: bool,
    pub count: f64,
}

impl Bucket {
    /// Which share of the bucket lies below a value inside of it: by width, or by width on a logarithmic scale.
    pub fn share_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, at) = (self.lower.abs().log2(), self.upper.abs().log2(), value.abs().log2());
        if value > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
    }
}

impl Buckets {
    /// One span from an index on.
    pub fn single(offset: i32, counts: Vec<f64>) -> Self {
        if counts.is_empty() {
            return Self::default();
        }
        Self { spans: vec![Span { offset, length: counts.len() as u32 }], counts }
    }

    /// From indexes in ascending order with their counts.
    pub fn from_indexed(pairs: impl IntoIterator<Item = (i32, f64)>) -> Self {
        let mut out = Self::default();
        let mut next = 0_i32;
        for (index, count) in pairs {
            match out.spans.last_mut() {
                Some(span) if index == next => span.length += 1,
                _ => out.spans.push(Span { offset: index.wrapping_sub(next), length: 1 }),
            }
            out.counts.push(count);
            next = index.wrapping_add(1);
        }
        out
    }

    /// Indexes and counts, ascending.
    pub fn indexed(&self) -> impl Iterator<Item = (i32, f64)> + '_ {
        let mut next = 0_i32;
        let indexes = self.spans.iter().flat_map(move |span| {
            let first = next.wrapping_add(span.offset);
            next = first.wrapping_add(span.length as i32);
            (0..span.length).map(move |i| first.wrapping_add(i as i32))
        });
        indexes.zip(self.counts.iter().copied())
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.spans.len() * size_of::<Span>() + self.counts.len() * 8
    }

    /// Whether there is one count for each place of the spans, and the indexes ascend.
    pub fn is_consistent(&self) -> bool {
        let length: u64 = self.spans.iter().map(|s| u64::from(s.length)).sum();
        length == self.counts.len() as u64 && self.spans.iter().skip(1).all(|s| s.offset >= 0)
    }

    /// Drops the empty ones.
    pub fn compact(&mut self) {
        let tidy = self.spans.iter().enumerate().all(|(i, s)| s.length > 0 && (i == 0 || s.offset > 0));
        if tidy && self.counts.iter().all(|c| *c != 0.0) {
            return;
        }
        *self = Self::from_indexed(self.indexed().filter(|(_, c)| *c != 0.0).collect::<Vec<_>>());
    }

    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.counts.len() == other.counts.len()
            && self.indexed().zip(other.indexed()).all(|((i, a), (j, b))| i == j && a.to_bits() == b.to_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_indexes_are_the_same_thing() {
        let pairs = vec![(-3, 1.0), (-2, 0.0), (0, 4.0), (1, 0.0), (7, 2.0)];
        let mut buckets = Buckets::from_indexed(pairs.clone());
        let span = |offset, length| Span { offset, length };
        assert_eq!(buckets.spans, [span(-3, 2), span(1, 2), span(5, 1)]);
        assert_eq!(buckets.indexed().collect::<Vec<_>>(), pairs);
        assert!(buckets.is_consistent());
        buckets.compact();
        assert_eq!(buckets.spans, [span(-3, 1), span(2, 1), span(6, 1)]);
        let split = Buckets { spans: vec![span(1, 0), span(1, 1), span(0, 1)], counts: vec![5.0, 6.0] };
        assert!(split.same_as(&Buckets::single(2, vec![5.0, 6.0])));
    }
}
