//! Samples as they are, for another Prometheus that evaluates over them: remote read.
//!
//! As Prometheus' `storage/remote/read_handler.go`, series have the labels of the server on their way out, and are found by
//! them. Found by them here is also what brought such a label itself, from another server that has it.

use std::sync::Arc;

use tenfold_tsdb::SeriesChunks;
use tenfold_types::{Fault, HistogramPoint, Labels, Matcher, MatcherOp, Point};

use super::query::store_fault;

/// Takes the samples of one series; whether it wants more.
pub type EachSeries<'e> = &'e mut dyn FnMut(&Labels, &[Point], &[HistogramPoint]) -> Result<bool, Fault>;

/// What the store is asked: series without a label of the server are told with it.
fn asked(matcher: &Matcher, external: &Labels) -> Matcher {
    if matcher.op != MatcherOp::Equal || external.get(&matcher.name) != Some(matcher.value.as_str()) {
        return matcher.clone();
    }
    Matcher::equal_or_none(matcher.name.as_str(), &matcher.value)
}

/// Reads a series that is told under the labels of the one before it: of two samples at one instant the first stands.
fn read_more(
    chunks: &SeriesChunks,
    floats: &mut Vec<Point>,
    histograms: &mut Vec<HistogramPoint>,
) -> Result<(), Fault> {
    let (mut more, mut more_histograms) = (Vec::new(), Vec::new());
    chunks.read_all(&mut more, &mut more_histograms).map_err(|e| store_fault(&e))?;
    floats.append(&mut more);
    floats.sort_by_key(|p| p.t_ms);
    floats.dedup_by_key(|p| p.t_ms);
    histograms.append(&mut more_histograms);
    histograms.sort_by_key(|h| h.t_ms);
    histograms.dedup_by_key(|h| h.t_ms);
    Ok(())
}

impl super::State {
    /// Hands the samples of each matching series to `each`, with the labels of the server that it has none of, in the order of
    /// the labels, until it wants no more. An error names the limit of the memory that the labels would break.
    pub fn read_series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        external: &Labels,
        each: EachSeries<'_>,
    ) -> Result<(), Fault> {
        let asked: Vec<Matcher> = matchers.iter().map(|matcher| asked(matcher, external)).collect();
        let found = self.tsdb.select(&asked, start_ms, end_ms).map_err(|e| store_fault(&e))?;
        let max = self.query_limits.series_max;
        if found.len() > max {
            return Err(
                Fault::invalid(format!("{} series match; at most {max} are read", found.len())).advice("add matchers")
            );
        }
        // Copied only where there is something to add.
        let told = |labels: Arc<Labels>| {
            if external.is_empty() { labels } else { Arc::new(labels.completed_by(external)) }
        };
        // All labels are there before the first series goes out, for as long as the slowest asker reads.
        let mut memory = self.answer_memory();
        let counted = found.into_iter().map(|series| {
            let labels = told(series.labels);
            memory.take_labels(&labels).map(|()| (labels, series.chunks))
        });
        let mut found = counted.collect::<Result<Vec<_>, Fault>>()?;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let mut found = found.into_iter().peekable();
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        while let Some((labels, chunks)) = found.next() {
            floats.clear();
            histograms.clear();
            chunks.read_all(&mut floats, &mut histograms).map_err(|e| store_fault(&e))?;
            while let Some((_, same)) = found.next_if(|(next, _)| *next == labels) {
                read_more(&same, &mut floats, &mut histograms)?;
            }
            if (!floats.is_empty() || !histograms.is_empty()) && !each(&labels, &floats, &histograms)? {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use tenfold_tsdb::Sample;

    use super::*;
    use crate::metrics::State;

    const T: i64 = 1_795_424_000_000;

    #[test]
    fn series_are_found_and_told_with_the_labels_of_the_server() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let settings = crate::Settings { data_dir: dir.path().to_owned(), ..crate::Settings::default() };
        let state = State::open(&settings).expect("an empty store opens");
        let series = |more: &[(&str, &str)]| Labels::from_pairs([&[(Labels::NAME, "m")][..], more].concat());
        let samples = [
            Sample::new(series(&[("z", "1")]), T, 1.0),
            Sample::new(series(&[("z", "0"), ("region", "us")]), T, 2.0),
            Sample::new(series(&[("z", "1"), ("region", "e.u|x")]), T - 1_000, 3.0),
            Sample::new(series(&[("z", "1"), ("region", "e.u|x")]), T, 4.0),
            Sample::new(series(&[("z", "1"), ("region", "eau")]), T, 5.0),
        ];
        assert_eq!(state.append(&samples).expect("they are taken").appended, samples.len());
        let read = |matchers: &[Matcher], external: &[(&str, &str)]| {
            let matchers = [&[Matcher::equal(Labels::NAME, "m")][..], matchers].concat();
            let external = Labels::from_pairs(external.iter().copied());
            let mut told = Vec::new();
            let done = state.read_series(&matchers, T - 60_000, T, &external, &mut |labels, floats, _| {
                let times: Vec<i64> = floats.iter().map(|p| p.t_ms - T).collect();
                told.push((labels.to_string(), times));
                Ok(true)
            });
            done.map(|()| told).expect("it is read")
        };
        let own = ("m{region=\"e.u|x\",z=\"1\"}".to_owned(), vec![-1_000, 0]);
        let bare = ("m{z=\"1\"}".to_owned(), vec![0]);
        let us = ("m{region=\"us\",z=\"0\"}".to_owned(), vec![0]);
        let like = ("m{region=\"eau\",z=\"1\"}".to_owned(), vec![0]);
        let (here, elsewhere) = (Matcher::equal("region", "e.u|x"), Matcher::equal("region", "us"));
        // No two series are told alike, and they come in the order of what is told.
        let external = [("region", "e.u|x")];
        assert_eq!(read(&[], &external), [own.clone(), like.clone(), us.clone()]);
        assert_eq!(read(from_ref(&here), &external), from_ref(&own));
        assert_eq!(read(from_ref(&elsewhere), &external), from_ref(&us));
        let zone = ("m{region=\"us\",z=\"0\",zone=\"b\"}".to_owned(), vec![0]);
        assert_eq!(read(&[elsewhere, Matcher::equal("zone", "b")], &[("zone", "b")]), [zone]);
        assert!(read(&[Matcher::equal("zone", "c")], &[("zone", "b")]).is_empty());
        // A server without such labels.
        assert_eq!(read(&[here], &[]), from_ref(&own));
        assert_eq!(read(&[], &[]), [own, like, us, bare]);
    }

    #[test]
    fn labels_that_take_too_much_name_the_limit() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut settings = crate::Settings { data_dir: dir.path().to_owned(), ..crate::Settings::default() };
        settings.metrics.query.bytes_max = 1 << 20;
        let state = State::open(&settings).expect("an empty store opens");
        let sample = |n: i64| {
            let id = format!("{n:04}{}", "x".repeat(300));
            Sample::new(Labels::from_pairs([(Labels::NAME.to_owned(), "m".to_owned()), ("id".to_owned(), id)]), T, 1.0)
        };
        state.append(&(0..2_000).map(sample).collect::<Vec<_>>()).expect("samples are taken");
        let read = |id: &str, external: &[(&str, &str)]| {
            let matchers = [Matcher::equal(Labels::NAME, "m"), Matcher::new("id", MatcherOp::Regex, id)];
            let external = Labels::from_pairs(external.iter().copied());
            let mut count = 0;
            let done = state.read_series(&matchers, T, T, &external, &mut |_, _, _| {
                count += 1;
                Ok(true)
            });
            done.map(|()| count).map_err(|fault| fault.message)
        };
        let long = "y".repeat(300);
        let external = [("region", long.as_str())];
        let refused = read(".*", &external).expect_err("more than a megabyte of labels");
        assert!(refused.contains("1048576 bytes") && refused.contains("metrics.query.bytes_max"), "{refused}");
        assert_eq!(read(".*", &[]), Ok(2_000), "without those of the server they fit");
        assert_eq!(read("0.*", &external), Ok(1_000));
    }
}
