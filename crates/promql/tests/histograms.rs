//! What always holds of native histograms, also of ones no client would send.

use std::sync::Arc;

use proptest::prelude::*;
use tenfold_types::{
    Histogram, ResetHint,
    histogram::{Buckets, CUSTOM_SCHEMA, HintKeeper, HistogramSum, Span},
};

fn counts() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((0_u16..50).prop_map(f64::from), 0..8)
}

fn exponential() -> impl Strategy<Value = Histogram> {
    (-4..=8_i32, -6..6_i32, counts(), -6..6_i32, counts(), 0_u8..4, 0_u16..20).prop_map(
        |(schema, offset, positive, negative_offset, negative, threshold, zero)| {
            let zero_count = f64::from(zero);
            let count = positive.iter().chain(&negative).sum::<f64>() + zero_count;
            let mut h = Histogram {
                schema,
                count,
                sum: count * 3.0,
                zero_threshold: f64::from(threshold) / 3.0,
                zero_count,
                positive: Buckets::single(offset, positive),
                negative: Buckets::single(negative_offset, negative),
                ..Histogram::default()
            };
            // No bucket lies within the zero bucket, nor does its threshold cut one.
            let outside = |h: &Histogram, side: &Buckets| {
                let all: Vec<_> = side.indexed().filter(|(i, _)| h.bound(i - 1) >= h.zero_threshold).collect();
                Buckets::from_indexed(all)
            };
            (h.positive, h.negative) = (outside(&h, &h.positive), outside(&h, &h.negative));
            h.count = h.positive.counts.iter().chain(&h.negative.counts).sum::<f64>() + zero_count;
            h
        },
    )
}

fn custom() -> impl Strategy<Value = Histogram> {
    (prop::collection::btree_set(0_u8..12, 0..6), counts()).prop_map(|(bounds, mut counts)| {
        counts.truncate(bounds.len() + 1);
        Histogram {
            schema: CUSTOM_SCHEMA,
            count: counts.iter().fold(0.0, |a, b| a + b),
            sum: counts.iter().fold(0.0, |a, b| a + b),
            positive: Buckets::single(0, counts),
            bounds: bounds.into_iter().map(f64::from).collect(),
            ..Histogram::default()
        }
    })
}

/// Spans and counts that need not fit, numbers that are none.
fn broken() -> impl Strategy<Value = Histogram> {
    let number = prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(-1.0)];
    let spans = prop::collection::vec((any::<i32>(), 0_u32..6), 0..4);
    let side = (spans, prop::collection::vec(number.clone(), 0..8)).prop_map(|(spans, counts)| Buckets {
        spans: spans.into_iter().map(|(offset, length)| Span { offset, length }).collect(),
        counts,
    });
    let schema = prop_oneof![-4..=8_i32, Just(CUSTOM_SCHEMA), any::<i32>()];
    (schema, side.clone(), side, prop::array::uniform4(number.clone()), prop::collection::vec(number, 0..4)).prop_map(
        |(schema, positive, negative, [count, sum, zero_count, zero_threshold], bounds)| Histogram {
            reset_hint: ResetHint::Unknown,
            schema,
            count,
            sum,
            zero_count,
            zero_threshold,
            positive,
            negative,
            bounds: bounds.into(),
        },
    )
}

fn pair() -> impl Strategy<Value = (Histogram, Histogram)> {
    prop_oneof![(exponential(), exponential()), (custom(), custom())]
}

fn total(h: &Histogram) -> f64 {
    h.all_buckets().iter().map(|b| b.count).sum()
}

fn compacted(mut h: Histogram) -> Histogram {
    h.compact();
    h
}

proptest! {
    #[test]
    fn sums_lose_nothing_and_do_not_depend_on_the_order((a, b) in pair()) {
        prop_assert_eq!(a.validate(), Ok(()));
        let (sum, _) = a.plus(&b).unwrap();
        let (other, _) = b.plus(&a).unwrap();
        prop_assert!(compacted(sum.clone()).same_as(&compacted(other)), "{sum} is not what the other order gives");
        prop_assert_eq!(sum.validate(), Ok(()));
        prop_assert_eq!(total(&sum), total(&a) + total(&b));
        prop_assert_eq!(sum.count, a.count + b.count);
        let mut exact = HistogramSum::new(&a);
        exact.add(&b).unwrap();
        prop_assert!(compacted(exact.finish()).same_as(&compacted(sum)));
    }

    #[test]
    fn a_difference_takes_back_a_sum((a, b) in pair()) {
        let (sum, _) = a.plus(&b).unwrap();
        let (rest, _) = sum.minus(&b).unwrap();
        // In the layout of the sum, `a` is what is left.
        let (empty, _) = b.minus(&b).unwrap();
        let (wanted, _) = a.plus(&empty).unwrap();
        prop_assert_eq!(total(&rest), total(&wanted));
        prop_assert_eq!(rest.count, a.count);
    }

    #[test]
    fn what_grew_was_not_reset((a, b) in pair()) {
        let (sum, _) = a.plus(&b).unwrap();
        prop_assert!(!sum.is_reset_after(&a), "{sum} after {a}");
        prop_assert!(!a.is_reset_after(&a));
        let mut keeper = HintKeeper::default();
        prop_assert_eq!(keeper.next(&a), ResetHint::Unknown);
        prop_assert_eq!(keeper.next(&a), ResetHint::NotReset);
    }

    #[test]
    fn nothing_panics((a, b) in prop_oneof![
        (broken(), broken()),
        (broken(), exponential()),
        (custom(), broken()),
    ], factor in any::<f64>()) {
        let _ = a.plus(&b);
        let _ = b.minus(&a);
        let _ = (a.is_reset_after(&b), b.is_reset_after(&a), a.validate(), a.to_string(), a.all_buckets());
        let mut scaled = a.clone();
        scaled.multiply(factor);
        scaled.divide(factor);
        scaled.compact();
        let _ = scaled.to_schema(b.schema);
        let mut sum = HistogramSum::new(&a);
        let _ = sum.add(&b);
        let _ = (sum.overflows(), Arc::new(sum.finish()));
    }
}
