//! Native histograms as the judge looks at them: what was observed between two looks, in the same buckets on both sides.
//!
//! Exponential histograms are brought to the coarsest schema that any of them has. The buckets are laid out by what was
//! observed in the hour before the watch and by nothing that came later: a layout that followed the outcome would be no
//! bet that was placed before it. Custom buckets keep the bounds that all have in common.

use std::sync::Arc;

use tenfold_judge::{Bounds, HistogramBin, Increases};
use tenfold_types::{Histogram, ResetHint};

use super::Series;

/// Buckets of the layout, with the first (zero and below) and the last (all that is slower).
const BUCKETS_MAX: i32 = 390;
/// The finest schema that is looked at: eight buckets to a factor of two.
const SCHEMA_MAX: i32 = 3;
/// Room above the slowest request of the hour before, in doublings.
const ABOVE: i32 = 3;
/// Without an hour before: 61 µs to 17 minutes, where the unit is the second.
const DOUBLINGS: (i32, i32) = (-14, 10);

/// Whether any series has histograms in its samples.
pub(super) fn is_native(series: &[Series]) -> bool {
    series.iter().any(|one| one.histograms.iter().any(Option::is_some))
}

/// Requests by duration on both sides, look by look. An error in words where the histograms cannot be compared.
pub(super) fn latency(
    canary: &[Series],
    control: &[Series],
    increases: &Increases,
    bounds: &Bounds,
) -> Result<Vec<HistogramBin>, String> {
    let looks = bounds.len().saturating_sub(1);
    let (canary, control) = (grown(canary, increases)?, grown(control, increases)?);
    let all = || canary.iter().chain(&control);
    if canary.is_empty() || control.is_empty() {
        return Ok(vec![HistogramBin::default(); looks]);
    }
    let custom = all().filter(|(_, h)| h.is_custom()).count();
    let layout = match custom {
        0 => Layout::exponential(all(), bounds.before()),
        n if n == all().count() => Layout::custom(all())?,
        _ => return Err("some histograms have exponential buckets and others custom ones; judge one kind".to_owned()),
    };
    let side = |of: &[(usize, Histogram)]| {
        let mut sums = vec![vec![0.0; layout.len()]; looks];
        for (look, histogram) in of {
            if let Some(sums) = sums.get_mut(*look) {
                layout.add(histogram, sums);
            }
        }
        whole(&sums)
    };
    let both = side(&canary).into_iter().zip(side(&control));
    Ok(both.map(|(canary, control)| HistogramBin { canary, control }).collect())
}

/// What each series observed, with the look in which it did. A series begins and begins again as a counter does.
fn grown(series: &[Series], increases: &Increases) -> Result<Vec<(usize, Histogram)>, String> {
    let mut out = Vec::new();
    for one in series {
        let known_since = increases.known_since(&one.counter.target);
        let mut last: Option<Histogram> = None;
        for (index, histogram) in one.histograms.iter().enumerate() {
            let Some(histogram) = histogram.as_deref().filter(|h| !h.is_stale()) else { continue };
            // The hint is about the sample before it, and samples between two looks are not read.
            let now = Histogram { reset_hint: ResetHint::Unknown, ..histogram.clone() };
            let grown = match &last {
                Some(last) if now.is_reset_after(last) => Some(now.clone()),
                Some(last) => {
                    let told = |_| format!("{} changed between exponential and custom buckets", one.labels);
                    Some(now.minus(last).map_err(told)?.0)
                }
                None => known_since.is_some_and(|since| since < index).then(|| now.clone()),
            };
            if let (Some(grown), Some(look)) = (grown.filter(|g| g.count > 0.0), index.checked_sub(1)) {
                out.push((look, grown));
            }
            last = Some(now);
        }
    }
    Ok(out)
}

/// Which bucket of the judge's an observation is in.
enum Layout {
    /// Zero and below, positive buckets from `first` on, and all beyond.
    Exponential { schema: i32, first: i32, buckets: i32 },
    /// Upper bounds, ascending.
    Custom(Arc<[f64]>),
}

impl Layout {
    fn exponential<'a>(all: impl Iterator<Item = &'a (usize, Histogram)> + Clone, before: usize) -> Self {
        let mut schema = all.clone().map(|(_, h)| h.schema).min().unwrap_or(SCHEMA_MAX).min(SCHEMA_MAX);
        loop {
            let filled = all.clone().filter(|(look, _)| *look < before).flat_map(|(_, h)| {
                let coarse = h.to_schema(schema);
                coarse.positive.indexed().filter(|(_, count)| *count > 0.0).map(|(i, _)| i).collect::<Vec<_>>()
            });
            let ends = filled.fold(None, |ends: Option<(i32, i32)>, index| {
                Some(ends.map_or((index, index), |(low, high)| (low.min(index), high.max(index))))
            });
            let doublings = |n: i32| if schema >= 0 { n << schema } else { n >> -schema };
            let (low, high) = ends.unwrap_or((doublings(DOUBLINGS.0) + 1, doublings(DOUBLINGS.1)));
            let buckets = high.saturating_add(doublings(ABOVE)).saturating_sub(low).saturating_add(1).max(1);
            if buckets <= BUCKETS_MAX - 2 || schema == -4 {
                return Self::Exponential { schema, first: low, buckets: buckets.min(BUCKETS_MAX - 2) };
            }
            schema -= 1;
        }
    }

    fn custom<'a>(all: impl Iterator<Item = &'a (usize, Histogram)>) -> Result<Self, String> {
        let mut common: Option<Arc<[f64]>> = None;
        for (_, histogram) in all {
            common = Some(match common {
                None => histogram.bounds.clone(),
                Some(common) if common == histogram.bounds => common,
                Some(common) => common.iter().filter(|b| histogram.bounds.contains(b)).copied().collect(),
            });
        }
        let common = common.unwrap_or_default();
        if common.is_empty() || common.len() >= BUCKETS_MAX as usize {
            return Err(format!(
                "the histograms with custom buckets have {} bounds in common, and 1 to {} are wanted",
                common.len(),
                BUCKETS_MAX - 1
            ));
        }
        Ok(Self::Custom(common))
    }

    fn len(&self) -> usize {
        match self {
            Self::Exponential { buckets, .. } => usize::try_from(*buckets).unwrap_or(0) + 2,
            Self::Custom(bounds) => bounds.len() + 1,
        }
    }

    fn add(&self, histogram: &Histogram, sums: &mut [f64]) {
        match self {
            Self::Exponential { schema, first, buckets } => {
                let coarse = histogram.to_schema(*schema);
                sums[0] += coarse.zero_count + coarse.negative.counts.iter().sum::<f64>();
                for (index, count) in coarse.positive.indexed() {
                    let place = index.saturating_sub(*first).clamp(-1, *buckets) + 1;
                    sums[usize::try_from(place).unwrap_or(0)] += count;
                }
            }
            Self::Custom(bounds) => {
                for (index, count) in histogram.positive.indexed() {
                    let upper = histogram.bound(index);
                    sums[bounds.partition_point(|bound| *bound < upper)] += count;
                }
            }
        }
    }
}

/// Counts as whole numbers; what is cut off one look is in the next.
fn whole(looks: &[Vec<f64>]) -> Vec<Vec<u64>> {
    let mut left = vec![0.0; looks.first().map_or(0, Vec::len)];
    let one = |sums: &Vec<f64>| {
        let counts = sums.iter().zip(&mut left).map(|(sum, left)| {
            let all = sum.max(0.0) + *left;
            let count = (all + 1e-6).floor();
            *left = (all - count).max(0.0);
            // Counts of requests are far below 2^53.
            count as u64
        });
        counts.collect()
    };
    looks.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use tenfold_judge::Counter;
    use tenfold_types::Labels;
    use tenfold_types::histogram::{Buckets, CUSTOM_SCHEMA};

    use super::*;

    fn exponential(schema: i32, zero: f64, counts: &[(i32, f64)]) -> Histogram {
        Histogram {
            schema,
            zero_threshold: 1e-9,
            zero_count: zero,
            count: zero + counts.iter().map(|(_, c)| c).sum::<f64>(),
            positive: Buckets::from_indexed(counts.iter().copied()),
            ..Histogram::default()
        }
    }

    fn custom(bounds: &[f64], counts: &[f64]) -> Histogram {
        Histogram {
            schema: CUSTOM_SCHEMA,
            count: counts.iter().sum(),
            positive: Buckets::single(0, counts.to_vec()),
            bounds: bounds.into(),
            ..Histogram::default()
        }
    }

    fn series(target: &str, values: &[Option<Histogram>]) -> Series {
        let counter =
            Counter { target: target.into(), values: values.iter().map(|h| h.as_ref().map(|h| h.count)).collect() };
        let histograms = values.iter().map(|h| h.clone().map(Arc::new)).collect();
        Series { labels: Labels::default(), counter, histograms }
    }

    /// Looks of the watch alone, of which the bounds have no hour before.
    fn bins(canary: &[Series], control: &[Series]) -> Result<Vec<HistogramBin>, String> {
        let looks = canary[0].histograms.len() as i64 - 1;
        let bounds = Bounds::new(0, 7_200_000, 7_200_000 * looks);
        assert_eq!((bounds.before(), bounds.len() as i64), (0, looks + 1));
        let mut increases = Increases::new(bounds.len());
        increases.know(canary.iter().chain(control).map(|s| &s.counter));
        latency(canary, control, &increases, &bounds)
    }

    /// Filled buckets by their place.
    fn filled(counts: &[u64]) -> Vec<(usize, u64)> {
        counts.iter().copied().enumerate().filter(|(_, c)| *c > 0).collect()
    }

    #[test]
    fn what_was_observed_between_looks_is_counted_in_the_coarsest_schema() {
        // Schema 1 has two buckets to a factor of two: 5 and 6 of it are 3 of schema 0.
        let canary = series(
            "a",
            &[
                Some(exponential(1, 2.0, &[(5, 10.0), (6, 4.0)])),
                Some(exponential(1, 5.0, &[(5, 11.0), (6, 9.0)])),
                // It began again, and a host that scraped nothing in between says nothing of it.
                None,
                Some(exponential(1, 0.0, &[(5, 2.0)])),
            ],
        );
        let control = series(
            "b",
            &[
                Some(exponential(0, 0.0, &[(3, 1.0)])),
                Some(exponential(0, 0.0, &[(3, 101.0)])),
                Some(exponential(0, 0.0, &[(3, 101.0), (40, 7.0)])),
                Some(exponential(0, 0.0, &[(3, 201.0), (40, 7.0)])),
            ],
        );
        let bins = bins(&[canary], &[control]).unwrap();
        let place = (3 + 14) as usize;
        assert_eq!(filled(&bins[0].canary), [(0, 3), (place, 6)]);
        assert_eq!(filled(&bins[0].control), [(place, 100)]);
        assert_eq!(filled(&bins[1].canary), []);
        assert_eq!(filled(&bins[1].control), [(bins[1].control.len() - 1, 7)], "slower than all that is told apart");
        assert_eq!(filled(&bins[2].canary), [(place, 2)]);
    }

    #[test]
    fn a_known_process_began_at_nothing_and_an_unknown_one_where_it_was_found() {
        let one = Some(exponential(0, 0.0, &[(0, 5.0)]));
        let two = Some(exponential(0, 0.0, &[(0, 6.0)]));
        let old = series("a", &[one.clone(), one.clone(), one.clone()]);
        let late = series("a", &[None, one.clone(), two.clone()]);
        let unknown = series("c", &[None, one.clone(), two.clone()]);
        let control = series("b", &[one.clone(), one.clone(), two.clone()]);
        let silent = series("b", &[one.clone(), one.clone(), one]);
        let sums = |control| -> Vec<u64> {
            let bins = bins(&[old.clone(), late.clone(), unknown.clone()], &[control]).unwrap();
            bins.iter().map(|b| b.canary.iter().sum()).collect()
        };
        assert_eq!(sums(control), [5, 2]);
        assert_eq!(sums(silent), [0, 0], "a control that observes nothing is nothing to compare with");
    }

    #[test]
    fn custom_buckets_are_those_in_common() {
        let canary = [None, Some(custom(&[0.1, 0.5, 1.0], &[4.0, 3.0, 2.0, 1.0]))];
        let known = [Some(custom(&[0.1], &[1.0])), Some(custom(&[0.1], &[1.0]))];
        let control = [
            Some(custom(&[0.1, 1.0, 5.0], &[10.0, 5.0, 1.0, 0.0])),
            Some(custom(&[0.1, 1.0, 5.0], &[20.0, 10.0, 2.0, 1.0])),
        ];
        let both = bins(&[series("a", &canary), series("a", &known)], &[series("b", &control)]).unwrap();
        assert_eq!(both, [HistogramBin { canary: vec![4, 5, 1], control: vec![10, 5, 2] }]);
        let other = [Some(custom(&[0.2], &[0.0, 0.0])), Some(custom(&[0.2], &[1.0, 1.0]))];
        assert!(bins(&[series("a", &other)], &[series("b", &control)]).unwrap_err().contains("0 bounds in common"));
        let mixed = [Some(exponential(0, 0.0, &[(0, 1.0)])), Some(exponential(0, 0.0, &[(0, 2.0)]))];
        assert!(bins(&[series("a", &mixed)], &[series("b", &control)]).unwrap_err().contains("judge one kind"));
    }

    #[test]
    fn the_layout_is_of_the_hour_before_and_has_a_limit() {
        let seen = |look: usize, schema: i32, index: i32| (look, exponential(schema, 0.0, &[(index, 1.0)]));
        let of = |all: &[(usize, Histogram)]| match Layout::exponential(all.iter(), 10) {
            Layout::Exponential { schema, first, buckets } => (schema, first, buckets),
            Layout::Custom(_) => unreachable!(),
        };
        let past = [seen(1, 3, -20), seen(9, 3, 12)];
        let later = [seen(1, 3, -20), seen(9, 3, 12), seen(10, 3, 300), seen(11, 3, -300)];
        assert_eq!(of(&past), (3, -20, 12 + 24 + 21));
        assert_eq!(of(&later), of(&past), "what came later changes nothing");
        let wide = of(&[seen(1, 8, -20_000), seen(1, 8, 20_000)]);
        assert!(wide.0 < 3 && wide.2 <= BUCKETS_MAX - 2, "{wide:?}");
    }
}
