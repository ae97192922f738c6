//! Taking a batch in: find the series, judge each sample, write the log, then put into memory what the log holds.

use std::{collections::HashMap, sync::atomic::Ordering};

use tenfold_types::{Exemplar, HistogramPoint, Point};

use crate::{
    db::{State, Tsdb},
    error::TsdbError,
    head::HISTOGRAM_AS_SAMPLES,
    index::ID_END_MAX,
    options::{AppendReport, EXEMPLAR_BYTES_MAX, INSTANT_MS_MAX, Options, Reason, Sample, SeriesWrite, exemplar_fits},
    postings::SeriesId,
    record::{Kind, SampleCoder, put_exemplar, put_histogram_sample, put_series},
    wal::{put_frame, put_frames},
};

/// Samples that go into one log frame: a few hundred kilobytes of them at most.
const FRAME_SAMPLES_MAX: usize = 16_384;
/// Where exemplars are too many this part of all that may be there is dropped, since all of them are looked at for it.
const EXEMPLARS_DROPPED_PART: usize = 4;

/// Accepted by the batch at hand and not yet in memory, by place in the head. Kept between batches for its memory.
#[derive(Default)]
pub(crate) struct Staged {
    floats: Vec<(u32, Point)>,
    late: Vec<(u32, Point)>,
    histograms: Vec<(u32, HistogramPoint)>,
    late_histograms: Vec<(u32, HistogramPoint)>,
    exemplars: Vec<(u32, Exemplar)>,
    /// Late samples of closed time, as [`State::behind`] counts them.
    behind: usize,
    /// What a series' newest samples will be, for series that stand more than once in the batch.
    newest: HashMap<u32, Newest>,
    repeated: bool,
}

#[derive(Clone, Default)]
struct Newest {
    float: Option<Point>,
    histogram: Option<HistogramPoint>,
}

impl Newest {
    fn t(&self) -> Option<i64> {
        self.float.map(|p| p.t_ms).max(self.histogram.as_ref().map(|h| h.t_ms))
    }
}

impl Staged {
    fn clear(&mut self) {
        self.floats.clear();
        self.late.clear();
        self.histograms.clear();
        self.late_histograms.clear();
        self.exemplars.clear();
        self.behind = 0;
        self.newest.clear();
        self.repeated = false;
    }
    fn is_empty(&self) -> bool {
        self.floats.is_empty()
            && self.late.is_empty()
            && self.histograms.is_empty()
            && self.late_histograms.is_empty()
            && self.exemplars.is_empty()
    }
    /// From now on the newest samples are followed: a series came again.
    fn follow(&mut self) {
        if !self.repeated {
            self.repeated = true;
            for (slot, point) in &self.floats {
                self.newest.entry(*slot).or_default().float = Some(*point);
            }
            for (slot, point) in &self.histograms {
                self.newest.entry(*slot).or_default().histogram = Some(point.clone());
            }
        }
    }
}

enum Order {
    Next,
    Repeated,
    Late,
}

impl Tsdb {
    /// Takes a batch in: float samples, native histograms and exemplars, by series. What is accepted is in the kernel's
    /// hands when this returns: killing the process loses none of it. Refused samples are reported by reason; an error
    /// means that none was taken.
    pub fn write(&self, batch: &[SeriesWrite<'_>]) -> Result<AppendReport, TsdbError> {
        self.write_by(&self.options, batch)
    }

    /// The same of what may be as late as it is.
    pub(crate) fn write_however_late(&self, batch: &[SeriesWrite<'_>]) -> Result<AppendReport, TsdbError> {
        self.write_by(&Options { out_of_order_ms: i64::MAX, ..self.options.clone() }, batch)
    }

    fn write_by(&self, options: &Options, batch: &[SeriesWrite<'_>]) -> Result<AppendReport, TsdbError> {
        if self.fenced.load(Ordering::Acquire) {
            return Err(TsdbError::Fenced);
        }
        let mut report = AppendReport::default();
        let mut guard = self.state.write();
        let state = &mut *guard;
        let mut staged = std::mem::take(&mut state.staged);
        staged.clear();
        state.batch = state.batch.wrapping_add(1).max(1);
        for series in batch {
            match slot_of(state, options, series.labels, &mut report) {
                Ok(slot) => stage(state, options, &mut staged, slot, series, &mut report),
                Err(reason) => {
                    let count = series.points.len() + series.histograms.len() + series.exemplars.len();
                    report.reject(reason, count, || explain(reason, series.labels, 0, &self.options));
                }
            }
        }
        let most = options.behind_samples_max;
        let logged = if staged.behind > 0 && self.behind.load(Ordering::Relaxed) >= most {
            Err(TsdbError::TooManyBehind { most })
        } else {
            log(state, &staged, self.options.segment_bytes_max)
        };
        if logged.is_ok() {
            self.behind.fetch_add(staged.behind, Ordering::Relaxed);
            apply(state, &mut staged);
            drop_oldest_exemplars(state, options.exemplars_max);
        }
        staged.clear();
        state.staged = staged;
        drop(guard);
        logged?;
        self.appended.fetch_add(report.appended as u64, Ordering::Relaxed);
        self.rejected.fetch_add(report.rejected_count() as u64, Ordering::Relaxed);
        Ok(report)
    }

    /// [`Tsdb::write`] for owned float samples.
    pub fn append(&self, samples: &[Sample]) -> Result<AppendReport, TsdbError> {
        let mut labels = Vec::with_capacity(samples.len() * 6);
        let mut ends = Vec::with_capacity(samples.len());
        let mut points = Vec::with_capacity(samples.len());
        for sample in samples {
            labels.extend(sample.labels.iter());
            ends.push(labels.len());
            points.push(Point::new(sample.t_ms, sample.value));
        }
        let mut start = 0;
        let batch: Vec<SeriesWrite<'_>> = ends
            .iter()
            .zip(points.chunks(1))
            .map(|(end, points)| {
                let labels = &labels[start..*end];
                start = *end;
                SeriesWrite { labels, points, ..SeriesWrite::default() }
            })
            .collect();
        self.write(&batch)
    }
}

/// The series with these labels, which are known from then on.
pub(crate) fn id_of(
    state: &mut State,
    o: &Options,
    labels: &[(&str, &str)],
    report: &mut AppendReport,
) -> Result<SeriesId, Reason> {
    let hash = state.index.hash(labels.iter().copied());
    match state.index.find(hash, labels) {
        Some(id) => Ok(id),
        None => learn(state, o, (hash, labels), report),
    }
}

fn learn(
    state: &mut State,
    o: &Options,
    (hash, labels): (u64, &[(&str, &str)]),
    report: &mut AppendReport,
) -> Result<SeriesId, Reason> {
    check_labels(o, labels)?;
    // Numbers are never given twice: where there are no more of them, there is no room for a series either.
    if state.index.len() >= o.known_series_max() || state.index.id_end() >= ID_END_MAX {
        return Err(Reason::TooManyKnownSeries);
    }
    report.new_series += 1;
    let id = state.index.insert(hash, labels);
    state.unlogged.push(id);
    Ok(id)
}

/// Its place in the head.
fn slot_of(state: &mut State, o: &Options, labels: &[(&str, &str)], report: &mut AppendReport) -> Result<u32, Reason> {
    let hash = state.index.hash(labels.iter().copied());
    let known = state.index.find(hash, labels);
    if let Some(slot) = known.and_then(|id| state.index.slot(id)) {
        return Ok(slot);
    }
    let has_room = state.head.used() < o.series_max;
    let id = match known {
        Some(id) if has_room => id,
        None if has_room => learn(state, o, (hash, labels), report)?,
        // What is wrong with its labels is the better thing to tell.
        None => return Err(check_labels(o, labels).err().unwrap_or(Reason::TooManySeries)),
        Some(_) => return Err(Reason::TooManySeries),
    };
    let slot = state.head.add(id);
    state.index.set_slot(id, slot);
    Ok(slot)
}

fn check_labels(o: &Options, labels: &[(&str, &str)]) -> Result<(), Reason> {
    if labels.is_empty() || labels.iter().any(|(n, _)| n.is_empty()) {
        return Err(Reason::NoLabels);
    }
    if labels.len() > o.labels_per_series_max {
        return Err(Reason::TooManyLabels);
    }
    if labels.iter().any(|(n, _)| n.len() > o.label_name_bytes_max) {
        return Err(Reason::LabelNameTooLong);
    }
    if labels.iter().any(|(_, v)| v.len() > o.label_value_bytes_max) {
        return Err(Reason::LabelValueTooLong);
    }
    if !labels.is_sorted_by(|a, b| a.0 < b.0) || labels.iter().any(|(_, v)| v.is_empty()) {
        return Err(Reason::LabelOrder);
    }
    Ok(())
}

fn stage(
    state: &mut State,
    o: &Options,
    staged: &mut Staged,
    slot: u32,
    series: &SeriesWrite<'_>,
    report: &mut AppendReport,
) {
    let (min_valid_t, max_t, batch) = (state.min_valid_t, state.max_t, state.batch);
    let tombstones = &state.tombstones;
    let head = state.head.get_mut(slot);
    let id = head.id;
    if head.mark == batch {
        staged.follow();
    }
    head.mark = batch;
    let known = if staged.repeated { staged.newest.get(&slot).cloned() } else { None };
    let known = known.unwrap_or_default();
    let mut newest = Newest {
        float: known.float.or(head.last()),
        histogram: known.histogram.or_else(|| head.last_histogram().cloned()),
    };
    let order = |t: i64, newest: Option<i64>, repeated: bool| {
        if t.unsigned_abs() > INSTANT_MS_MAX.unsigned_abs() {
            return Err(Reason::OutOfRange);
        }
        if newest.is_none_or(|n| t > n) && t >= min_valid_t {
            return Ok(Order::Next);
        }
        if newest == Some(t) {
            return if repeated { Ok(Order::Repeated) } else { Err(Reason::Duplicate) };
        }
        let deleted = || tombstones.get(&id).is_some_and(|list| list.iter().any(|d| (d.start..=d.end).contains(&t)));
        late(o, t, newest, (min_valid_t, max_t), deleted)
    };
    for point in series.points {
        let repeated = newest.float.is_some_and(|n| n.t_ms == point.t_ms && n.value.to_bits() == point.value.to_bits());
        match order(point.t_ms, newest.t(), repeated) {
            Ok(Order::Next) => {
                staged.floats.push((slot, *point));
                newest.float = Some(*point);
                report.appended += 1;
            }
            Ok(Order::Repeated) => report.appended += 1,
            Ok(Order::Late) => {
                staged.late.push((slot, *point));
                staged.behind += usize::from(point.t_ms < min_valid_t);
                report.appended += 1;
            }
            Err(reason) => report.reject(reason, 1, || explain(reason, series.labels, point.t_ms, o)),
        }
    }
    for point in series.histograms {
        let same = |n: &HistogramPoint| n.t_ms == point.t_ms && n.histogram.same_as(&point.histogram);
        let repeated = newest.histogram.as_ref().is_some_and(same);
        let judged = match point.histogram.validate() {
            Ok(()) => order(point.t_ms, newest.t(), repeated),
            Err(_) if point.histogram.is_stale() => order(point.t_ms, newest.t(), repeated),
            Err(_) => Err(Reason::BadHistogram),
        };
        match judged {
            Ok(Order::Next) => {
                staged.histograms.push((slot, point.clone()));
                newest.histogram = Some(point.clone());
                report.appended += 1;
            }
            Ok(Order::Repeated) => report.appended += 1,
            Ok(Order::Late) => {
                staged.late_histograms.push((slot, point.clone()));
                staged.behind += if point.t_ms < min_valid_t { HISTOGRAM_AS_SAMPLES } else { 0 };
                report.appended += 1;
            }
            Err(reason) => report.reject(reason, 1, || explain(reason, series.labels, point.t_ms, o)),
        }
    }
    for exemplar in series.exemplars {
        let in_range = exemplar.t_ms.unsigned_abs() <= INSTANT_MS_MAX.unsigned_abs();
        let again = head.extra.as_ref().is_some_and(|e| e.exemplars.last() == Some(exemplar));
        let reason = if !in_range {
            Reason::OutOfRange
        } else if exemplar.t_ms < min_valid_t {
            Reason::TooOld
        } else if !exemplar_fits(exemplar) {
            Reason::ExemplarTooLong
        } else {
            report.appended += 1;
            if !again {
                staged.exemplars.push((slot, exemplar.clone()));
            }
            continue;
        };
        report.reject(reason, 1, || explain(reason, series.labels, exemplar.t_ms, o));
    }
    if staged.repeated {
        staged.newest.insert(slot, newest);
    }
}

/// What becomes of a sample that is older than the newest of its series in memory, or of closed time.
fn late(
    o: &Options,
    t: i64,
    newest: Option<i64>,
    (min_valid_t, max_t): (i64, i64),
    deleted: impl FnOnce() -> bool,
) -> Result<Order, Reason> {
    let after = newest.is_none_or(|n| t > n);
    let reference = if after { max_t } else { newest.unwrap_or(max_t) };
    let in_window = o.out_of_order_ms > 0 && t >= reference.saturating_sub(o.out_of_order_ms);
    // From the end of closed time, which the owner's clock sets: that of a sender may be far ahead.
    let in_reach = after && t >= min_valid_t.saturating_sub(o.behind_ms.min(o.retention_ms));
    if !in_window && !in_reach {
        let closed = o.out_of_order_ms > 0 || after || t < min_valid_t;
        return Err(if closed { Reason::TooOld } else { Reason::OutOfOrder });
    }
    // Memory does not tell what came after a deletion from what was deleted: it would never be seen.
    if t < min_valid_t && deleted() { Err(Reason::Deleted) } else { Ok(Order::Late) }
}

/// Writes what was staged, and the series the log does not name yet.
fn log(state: &mut State, staged: &Staged, segment_bytes_max: u64) -> Result<(), TsdbError> {
    if staged.is_empty() && state.unlogged.is_empty() {
        return Ok(());
    }
    if state.wal.bytes() >= segment_bytes_max {
        state.wal.rotate()?;
    }
    let mut frames = std::mem::take(&mut state.frames);
    frames.clear();
    let id = |slot: u32| state.head.get(slot).id;
    put_frames(&mut frames, Kind::Series, &state.unlogged, |out, id| {
        let labels: Vec<_> = state.index.texts(*id).collect();
        put_series(out, *id, labels.into_iter());
    });
    for (kind, samples) in [(Kind::Samples, &staged.floats), (Kind::Late, &staged.late)] {
        for part in samples.chunks(FRAME_SAMPLES_MAX) {
            put_frame(&mut frames, kind, |out| {
                let mut coder = SampleCoder::default();
                for (slot, point) in part {
                    coder.put(out, id(*slot), *point);
                }
            });
        }
    }
    for (kind, samples) in [(Kind::Histograms, &staged.histograms), (Kind::LateHistograms, &staged.late_histograms)] {
        put_frames(&mut frames, kind, samples, |out, (slot, point)| put_histogram_sample(out, id(*slot), point));
    }
    put_frames(&mut frames, Kind::Exemplars, &staged.exemplars, |out, (slot, exemplar)| {
        put_exemplar(out, id(*slot), exemplar);
    });
    let written = state.wal.write(&frames);
    if written.is_ok() {
        let late = staged.late.len() + staged.late_histograms.len();
        state.wal.add_samples(staged.floats.len() + staged.histograms.len() + late);
        state.unlogged.clear();
    }
    state.frames = frames;
    written
}

fn apply(state: &mut State, staged: &mut Staged) {
    // The first sample of a series may say no more than when it began: new ones of what runs for hours do not hold time open.
    let mut came_from = state.came_from;
    for (slot, point) in &staged.floats {
        let series = state.head.get_mut(*slot);
        if series.last().is_some() {
            came_from = came_from.min(point.t_ms);
        }
        series.push(*point);
        state.max_t = state.max_t.max(point.t_ms);
    }
    // Of the same instant the one that was sent first stays the first.
    staged.late.sort_by_key(|(slot, point)| (*slot, point.t_ms));
    for of_one in staged.late.chunk_by(|a, b| a.0 == b.0) {
        state.head.get_mut(of_one[0].0).push_late_all(of_one.iter().map(|(_, point)| *point));
        state.max_t = of_one.iter().map(|(_, point)| point.t_ms).fold(state.max_t, i64::max);
    }
    for (slot, point) in staged.histograms.drain(..) {
        state.max_t = state.max_t.max(point.t_ms);
        let series = state.head.get_mut(slot);
        if series.last_histogram().is_some() {
            came_from = came_from.min(point.t_ms);
        }
        series.push_histogram(point);
    }
    state.came_from = came_from;
    for (slot, point) in staged.late_histograms.drain(..) {
        state.max_t = state.max_t.max(point.t_ms);
        state.head.get_mut(slot).push_late_histogram(point);
    }
    state.exemplars += staged.exemplars.len();
    for (slot, exemplar) in staged.exemplars.drain(..) {
        state.head.get_mut(slot).extra_mut().exemplars.push(exemplar);
    }
}

/// Makes room where there are more exemplars than may be: people ask for the newest. What goes is not in a block afterwards.
fn drop_oldest_exemplars(state: &mut State, exemplars_max: usize) {
    if state.exemplars <= exemplars_max {
        return;
    }
    let all = state.head.iter().filter_map(|series| series.extra.as_ref()).flat_map(|extra| &extra.exemplars);
    let mut times: Vec<i64> = all.map(|exemplar| exemplar.t_ms).collect();
    let kept = times.len().min(exemplars_max - exemplars_max / EXEMPLARS_DROPPED_PART);
    let dropped = times.len() - kept;
    state.exemplars = kept;
    if dropped == 0 {
        return;
    }
    let (older, newest, _) = times.select_nth_unstable(dropped - 1);
    let newest = *newest;
    // A page brings many at one instant: of those no more than is needed.
    let mut at_newest = dropped - older.iter().filter(|t| **t < newest).count();
    for extra in state.head.all_mut().iter_mut().filter_map(|series| series.extra.as_mut()) {
        extra.exemplars.retain(|exemplar| {
            let is_last = exemplar.t_ms == newest && at_newest > 0;
            at_newest -= usize::from(is_last);
            exemplar.t_ms >= newest && !is_last
        });
    }
}

/// A series as PromQL writes it.
fn shown(labels: &[(&str, &str)]) -> String {
    tenfold_types::Labels::from_pairs(labels.iter().copied()).to_string()
}

pub(crate) fn explain(reason: Reason, labels: &[(&str, &str)], t: i64, o: &Options) -> String {
    match reason {
        Reason::OutOfOrder => format!("{} at {t} ms is older than the newest sample of its series", shown(labels)),
        Reason::Duplicate => format!("{} has another value at {t} ms already", shown(labels)),
        Reason::TooOld => format!(
            "{} at {t} ms comes too late: up to {} ms behind the newest of its series are taken, and what is newer than that \
             up to {} ms behind closed time",
            shown(labels),
            o.out_of_order_ms,
            o.behind_ms.min(o.retention_ms)
        ),
        Reason::OutOfRange => format!("{} at {t} ms is farther than {INSTANT_MS_MAX} ms from 1970", shown(labels)),
        Reason::NoLabels => "a series needs at least one label, and no label name may be empty".into(),
        Reason::TooManyLabels => {
            format!("{} has {} labels; at most {} are allowed", shown(labels), labels.len(), o.labels_per_series_max)
        }
        Reason::LabelNameTooLong => {
            format!("a label name of {} is longer than {} bytes", shown(labels), o.label_name_bytes_max)
        }
        Reason::LabelValueTooLong => {
            let name = labels.iter().find(|(n, _)| *n == tenfold_types::Labels::NAME).map_or("a series", |(_, v)| v);
            format!("a label value of {name} is longer than {} bytes", o.label_value_bytes_max)
        }
        Reason::TooManySeries => format!(
            "{} would be one more active series, and the limit of {} with samples in memory is reached",
            shown(labels),
            o.series_max
        ),
        Reason::TooManyKnownSeries => format!(
            "{} would be a new series, and the limit of {} that are kept, ended ones too, is reached",
            shown(labels),
            o.known_series_max()
        ),
        Reason::LabelOrder => format!(
            "the labels of {} are not sorted by name, or one stands twice, or one is empty; the sender must sort them",
            shown(labels)
        ),
        Reason::BadHistogram => format!("the native histogram of {} at {t} ms contradicts itself", shown(labels)),
        Reason::Deleted => format!(
            "{} at {t} ms lies in deleted time; import it, {} minutes later where that time is in memory still",
            shown(labels),
            (o.block_ms + o.block_ms / 2) / 60_000
        ),
        Reason::ExemplarTooLong => format!(
            "the labels of an exemplar of {} are longer than {EXEMPLAR_BYTES_MAX} bytes; send the trace's id alone",
            shown(labels)
        ),
    }
}
