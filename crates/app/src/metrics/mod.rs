//! Shared metrics: samples in, queries out, who is scraped, StatsD, dashboards and the markers on every graph.
//!
//! Samples are not events; only what people change (dashboards) is recorded.

mod admin;
mod arrived;
mod burst;
mod collectd;
mod conventions;
mod damage;
mod dashboard_import;
mod dashboard_marks;
mod dashboard_saves;
mod dashboards;
mod drawn;
mod episodes;
mod exceeded;
mod exemplars;
mod found;
mod ganglia;
mod graphite;
mod ingest_page;
mod intervals;
#[cfg(test)]
mod limits_tests;
mod listed;
mod live;
pub(crate) mod markers;
mod memory;
mod names;
mod newest;
#[cfg(test)]
mod old_time;
mod own;
mod page;
mod panel_look;
mod panel_series;
mod panel_values;
mod pools;
mod push;
mod pushed;
mod query;
mod read_out;
mod remote;
mod scrape;
mod small;
mod statsd;
mod statsd_events;
mod statsd_families;
mod store_view;
mod targets;
mod targets_listed;
mod write;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tenfold_protocols::batch::{AHEAD_MS_MAX, Batch, TooMuch};
use tenfold_tsdb::{AppendReport, Options, Sample, Tsdb, TsdbError};
use tenfold_types::{ErrorCode, Fault, Histogram, HistogramPoint, Labels, Point, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{App, Settings};

pub use admin::{
    CARDINALITY_ROWS_MAX, CardinalityView, CountedLabel, CountedSeries, Deletion, ImportRefused, Imported, SnapshotView,
};
pub use burst::BURST_INTERVAL_MS;
pub use damage::QuarantinedFile;
pub use dashboard_import::{DashboardImport, ImportedDashboard};
pub use dashboard_marks::{DashboardLink, DashboardMark};
pub use dashboards::{Dashboard, Panel, PanelKind, PanelQuery, Variable, check_dashboard};
pub use exceeded::{ExceededLimit, JobExceeded};
pub use exemplars::Exemplars;
pub use graphite::BadLines;
pub use intervals::{InstanceInterval, JobInterval, ScrapeIntervals};
pub use live::{LivePoints, LiveQuery, LiveReader, Steps, Waiting};
pub use markers::{Marker, MarkerKind, MarkerQuery};
pub use memory::AnswerMemory;
pub use names::MetricNames;
pub use newest::{Newest, NewestSamples};
pub use own::Own;
pub use panel_look::{PanelNulls, Threshold, ThresholdLevel};
pub use panel_series::PanelSeries;
pub use panel_values::{PanelColumn, PanelReduce, PanelSort, PanelWord};
pub use pools::{Dropped, PoolStatus};
pub use push::{PUSHES_MAX, PushFault, Pushed, RefusedOf, Source, SourceStatus};
pub use query::{Answer, How, SeriesFilter, Told};
pub use read_out::EachSeries;
pub use remote::{Cluster, ClusterAnswer, ForwardBatch, Forwarder, ReceiverStatus};
pub use scrape::{NoPage, Scraped, TargetFamily};
pub use statsd::Aggregator;
pub use store_view::StoreView;
pub use targets::{GANGLIA, Health, Plan, Target, TargetStatus};
pub use targets_listed::{TargetAsk, TargetCounts, TargetJob, TargetList};

/// Samples survive a power cut after at most this long; a killed process loses none.
const SYNC: Duration = Duration::from_secs(1);
/// How often old samples are cut into blocks and the retention is applied.
const MAINTAIN: Duration = Duration::from_mins(1);

fn days(n: u32) -> i64 {
    i64::from(n) * 24 * 3_600_000
}

pub struct State {
    pub(crate) tsdb: Arc<Tsdb>,
    /// The limit on active series.
    series_max: usize,
    /// The server's own counters and gauges.
    pub own: Own,
    damage: damage::Damage,
    targets: targets::Registry,
    pools: pools::Pools,
    /// How targets are asked that no configuration file names.
    usual_job: Arc<tenfold_scrape::Job>,
    bursts: burst::Bursts,
    /// Which metrics services have, for the pages that draw themselves.
    found: found::Cache,
    metadata: Mutex<std::collections::BTreeMap<String, tenfold_protocols::exposition::Metadata>>,
    statsd: Mutex<Aggregator>,
    /// The label of the container that a StatsD client names; empty for none.
    statsd_container_label: String,
    statsd_gauge_deltas: bool,
    statsd_events: Mutex<statsd_events::Events>,
    /// How many events of StatsD clients go into the record in a minute.
    statsd_events_max: u32,
    trouble: Mutex<Option<String>>,
    /// Which parts of PromQL queries may use.
    dialect: tenfold_promql::Dialect,
    /// Places for queries.
    queries: tokio::sync::Semaphore,
    /// Metrics that rules wait for.
    pub(crate) arrived: arrived::Arrived,
    /// What each may take.
    query_limits: crate::settings::QueryLimits,
    /// Queries that pages follow.
    live: live::Live,
    sources: push::Sources,
    push_limits: crate::settings::PushLimits,
    /// Scraped jobs that went over a limit.
    jobs_over: exceeded::Jobs,
    graphite_templates: tenfold_protocols::graphite::Templates,
    otlp_rules: tenfold_protocols::otlp::Rules,
    deltas: Mutex<tenfold_protocols::otlp::Deltas>,
    ganglia: Mutex<ganglia::Heard>,
    collectd_types: tenfold_protocols::collectd::Types,
    collectd_access: tenfold_protocols::collectd::Access,
    collectd_held: Mutex<collectd::Held>,
    /// Places for pushed bodies that are received, and that are decoded and written.
    bodies: tokio::sync::Semaphore,
    pushes: tokio::sync::Semaphore,
    /// Where samples are sent on.
    forwarder: std::sync::OnceLock<Arc<dyn Forwarder>>,
    /// Who answers instead of the own store.
    cluster: std::sync::OnceLock<Arc<dyn Cluster>>,
    /// Whether samples belong to the receivers and not to the own store.
    is_remote: bool,
}

impl State {
    /// Opens the time-series store in the data directory.
    pub fn open(settings: &Settings) -> Result<Self, Fault> {
        settings.metrics.check()?;
        let options = Options {
            retention_ms: settings.metrics.retention_ms(),
            retention_bytes_max: settings.metrics.retention_bytes_max(),
            out_of_order_ms: settings.metrics.out_of_order_time_window.0,
            series_max: settings.metrics.series_max,
            coarse_retention_ms: settings.metrics.downsample.kept_days().map(|kept| kept.map(days)),
            ..Options::default()
        };
        let templates = settings.graphite.templates.iter().map(String::as_str);
        let graphite_templates = tenfold_protocols::graphite::Templates::parse(templates)
            .map_err(|e| Fault::invalid(format!("graphite.templates: {e}")))?;
        let collectd_types = collectd::types(&settings.collectd)?;
        let collectd_access = collectd::access(&settings.collectd)?;
        let dir = settings.data_dir.join("metrics");
        let series_max = options.series_max;
        let (tsdb, report) = Tsdb::open(&dir, options).map_err(|e| Fault::internal(e.to_string()))?;
        let own = Own::default();
        let damage = damage::Damage::new(&dir, &report.quarantined, &own);
        if report.damaged_bytes > 0 || report.orphan_samples > 0 {
            let (bytes, orphans) = (report.damaged_bytes, report.orphan_samples);
            tracing::error!(bytes, orphans, "the log of samples is damaged in places; the rest of it was read");
        }
        let torn_bytes = report.torn_bytes;
        tracing::info!(samples = report.replayed_samples, blocks = report.blocks, torn_bytes, "samples are open");
        Ok(Self {
            tsdb: Arc::new(tsdb),
            series_max,
            own,
            damage,
            targets: targets::Registry::default(),
            pools: pools::Pools::default(),
            usual_job: Arc::new(settings.metrics.usual_job()),
            bursts: burst::Bursts::default(),
            found: found::Cache::default(),
            metadata: Mutex::default(),
            statsd: Mutex::default(),
            statsd_container_label: settings.statsd.container_label.clone(),
            statsd_gauge_deltas: settings.statsd.gauge_deltas,
            statsd_events: Mutex::default(),
            statsd_events_max: settings.statsd.events_per_minute_max,
            trouble: Mutex::default(),
            dialect: tenfold_promql::Dialect { experimental: settings.metrics.experimental_promql },
            queries: tokio::sync::Semaphore::new(settings.metrics.query.concurrency_max),
            arrived: arrived::Arrived::default(),
            query_limits: settings.metrics.query.clone(),
            live: live::Live::default(),
            sources: push::Sources::default(),
            push_limits: settings.metrics.push_limits(),
            jobs_over: exceeded::Jobs::default(),
            graphite_templates,
            otlp_rules: settings.metrics.otlp.rules(),
            deltas: Mutex::default(),
            ganglia: Mutex::default(),
            collectd_types,
            collectd_access,
            collectd_held: Mutex::default(),
            bodies: tokio::sync::Semaphore::new(push::BODIES_MAX),
            pushes: tokio::sync::Semaphore::new(push::PUSHES_MAX),
            forwarder: std::sync::OnceLock::new(),
            cluster: std::sync::OnceLock::new(),
            is_remote: settings.metrics.is_remote(),
        })
    }

    /// Takes samples in. Refused ones are counted by reason in `tenfold_samples_rejected_total`.
    pub fn append(&self, samples: &[Sample]) -> Result<AppendReport, Fault> {
        let report = self.append_of_rules(samples)?;
        self.arrived.note(samples.iter().filter_map(|s| s.labels.metric_name()));
        Ok(report)
    }

    /// What rules themselves bring: no rule is asked because of it, for that would never end.
    pub(crate) fn append_of_rules(&self, samples: &[Sample]) -> Result<AppendReport, Fault> {
        let report = self.counted(self.tsdb.append(samples))?;
        if self.forwarder.get().is_some() {
            self.forward(&series_of(samples).iter().map(OneSample::write).collect::<Vec<_>>());
        }
        Ok(report)
    }

    /// The same with native histograms, all of one instant.
    pub(crate) fn append_histograms_of_rules(
        &self,
        rows: &[(Labels, Arc<Histogram>)],
        t_ms: i64,
    ) -> Result<AppendReport, Fault> {
        let rows: Vec<OneHistogram<'_>> = rows
            .iter()
            .map(|(labels, histogram)| OneHistogram {
                labels: labels.iter().collect(),
                point: [HistogramPoint { t_ms, histogram: histogram.clone() }],
            })
            .collect();
        let series: Vec<_> = rows.iter().map(OneHistogram::write).collect();
        let report = self.counted(self.tsdb.write(&series))?;
        self.forward(&series);
        Ok(report)
    }

    fn counted(&self, written: Result<AppendReport, TsdbError>) -> Result<AppendReport, Fault> {
        let report = self.in_store(written)?;
        self.own.add("tenfold_samples_appended_total", &[], report.appended as f64);
        for rejected in &report.rejected {
            let labels = [("reason", rejected.reason.name())];
            self.own.add("tenfold_samples_rejected_total", &labels, rejected.count as f64);
        }
        Ok(report)
    }

    /// Takes note of whether samples are kept at the moment.
    fn in_store(&self, written: Result<AppendReport, TsdbError>) -> Result<AppendReport, Fault> {
        *self.trouble.lock() = written.as_ref().err().map(|e| format!("samples are not kept: {e}"));
        written.map_err(|e| {
            let code = if e.is_disk_full() { ErrorCode::DiskFull } else { ErrorCode::Unavailable };
            Fault::new(code, e.to_string())
        })
    }

    /// Why samples are not kept at the moment, if they are not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }
}

/// A sample as a series of its own, borrowed.
struct OneSample<'a> {
    labels: Vec<(&'a str, &'a str)>,
    point: [Point; 1],
}

impl OneSample<'_> {
    fn write(&self) -> tenfold_tsdb::SeriesWrite<'_> {
        tenfold_tsdb::SeriesWrite { labels: &self.labels, points: &self.point, ..Default::default() }
    }
}

struct OneHistogram<'a> {
    labels: Vec<(&'a str, &'a str)>,
    point: [HistogramPoint; 1],
}

impl OneHistogram<'_> {
    fn write(&self) -> tenfold_tsdb::SeriesWrite<'_> {
        tenfold_tsdb::SeriesWrite { labels: &self.labels, histograms: &self.point, ..Default::default() }
    }
}

fn series_of(samples: &[Sample]) -> Vec<OneSample<'_>> {
    samples
        .iter()
        .map(|s| OneSample { labels: s.labels.iter().collect(), point: [Point::new(s.t_ms, s.value)] })
        .collect()
}

#[expect(clippy::unused_async, reason = "every part is loaded the same way")]
pub async fn load(app: &App) -> Result<(), Fault> {
    app.metrics.targets.set_static(&app.settings.metrics.static_targets, &app.settings.ganglia.sources);
    memory::find_out();
    Ok(())
}

pub async fn run(app: App, stop: CancellationToken) {
    // Apart, so that none waits for another: merging blocks takes minutes, and a slow disk keeps a flush waiting.
    tokio::join!(
        keep_samples(&app, &stop),
        keep_synced(&app, &stop),
        keep_log_short(&app, &stop),
        keep_tidy(&app, &stop),
        statsd_events::keep(&app, &stop),
        collectd::keep(&app, &stop),
        live::run(&app, &stop)
    );
    flush_statsd(&app);
    // The next start reads the checkpoint instead of the log.
    on_disk(&app, |tsdb, _| tsdb.checkpoint()).await;
}

async fn keep_synced(app: &App, stop: &CancellationToken) {
    let mut sync = tokio::time::interval(SYNC);
    sync.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(sync.tick()).await.is_some() {
        // A store that takes no more since a flush failed is told of by each maintenance: not once a second for ever.
        on_disk(app, |tsdb, _| match tsdb.sync() {
            Err(TsdbError::Fenced) => Ok(()),
            done => done,
        })
        .await;
        sync_queues(app).await;
    }
}

/// A start reads the log: it is not left to grow until the next maintenance, nor while blocks are merged.
async fn keep_log_short(app: &App, stop: &CancellationToken) {
    let mut look = tokio::time::interval(SYNC);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(look.tick()).await.is_some() {
        let failed = on_disk(app, |tsdb, _| tsdb.shorten_log()).await.is_none();
        // A disk that takes nothing is not asked, and that is not said, every second.
        if failed && stop.run_until_cancelled(tokio::time::sleep(MAINTAIN)).await.is_none() {
            break;
        }
    }
}

async fn keep_tidy(app: &App, stop: &CancellationToken) {
    let (mut maintain, mut look) = (tokio::time::interval(MAINTAIN), tokio::time::interval(SYNC));
    for ticks in [&mut maintain, &mut look] {
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    let mut worked = true;
    loop {
        // Senders that make up for an outage do not wait for the minute, unless nothing can be done at the moment.
        let pressed = async {
            loop {
                look.tick().await;
                if worked && app.metrics.tsdb.is_pressed() {
                    break;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            _ = maintain.tick() => {}
            () = pressed => {}
        }
        worked = tidy(app).await;
    }
}

/// Blocks are cut, merged and dropped; what was done is counted, and what was found damaged is said. Whether it went well.
async fn tidy(app: &App) -> bool {
    // A store that takes no more since a flush failed is of no use until everything it took is in a new file.
    let Some(recovered) = on_disk(app, |tsdb, _| tsdb.recover()).await else {
        damage::tell(app).await;
        return false;
    };
    if recovered {
        tracing::warn!("after a failed flush all samples in memory were written anew; samples are taken again");
    }
    let done = on_disk(app, |tsdb, now| tsdb.maintain(now.millis())).await;
    let worked = done.is_some();
    if let Some(done) = done {
        for (what, count) in [
            ("tenfold_tsdb_blocks_written_total", done.blocks_written),
            ("tenfold_tsdb_blocks_merged_total", done.blocks_merged),
            ("tenfold_tsdb_blocks_dropped_total", done.blocks_dropped),
            ("tenfold_tsdb_series_forgotten_total", done.series_forgotten),
        ] {
            app.metrics.own.add(what, &[], count as f64);
        }
        if done.damaged_runs > 0 {
            let runs = done.damaged_runs;
            tracing::error!(runs, "runs of samples that came from the checkpoint made no sense and were dropped");
        }
    }
    damage::tell(app).await;
    worked
}

/// What the server itself has to write, and when.
async fn keep_samples(app: &App, stop: &CancellationToken) {
    let mut flush = tokio::time::interval(Duration::from_millis(app.settings.statsd.flush_interval_ms.max(100)));
    let mut fresh = tokio::time::interval(statsd::FRESH);
    fresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut own = tokio::time::interval(Duration::from_millis(app.settings.metrics.scrape_interval_ms.max(100)));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = flush.tick() => off_runtime(app, flush_statsd).await,
            _ = fresh.tick() => off_runtime(app, refresh_statsd).await,
            _ = own.tick() => off_runtime(app, append_own).await,
        }
    }
}

/// Disk work leaves the runtime's threads alone. `None` when it failed, which is said.
async fn on_disk<T: Send + 'static>(app: &App, work: fn(&Tsdb, Timestamp) -> Result<T, TsdbError>) -> Option<T> {
    let (tsdb, now) = (app.metrics.tsdb.clone(), app.now());
    match tokio::task::spawn_blocking(move || work(&tsdb, now)).await {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(error)) => {
            app.metrics.own.add("tenfold_tsdb_errors_total", &[], 1.0);
            tracing::error!(%error, "samples could not be kept");
        }
        Err(error) => tracing::error!(%error, "keeping samples panicked"),
    }
    None
}

async fn sync_queues(app: &App) {
    let Some(forwarder) = app.metrics.forwarder.get().cloned() else { return };
    if let Ok(Err(fault)) = tokio::task::spawn_blocking(move || forwarder.sync()).await {
        app.metrics.own.add("tenfold_remote_write_errors_total", &[], 1.0);
        tracing::error!(%fault, "queues of samples could not be flushed to disk");
    }
}

async fn off_runtime<T: Default + Send + 'static>(app: &App, work: fn(&App) -> T) -> T {
    let inside = app.clone();
    let done = tokio::task::spawn_blocking(move || work(&inside)).await;
    done.inspect_err(|error| tracing::error!(%error, "keeping samples panicked")).unwrap_or_default()
}

fn flush_statsd(app: &App) {
    let now = app.now();
    let samples = app.metrics.statsd.lock().flush(now);
    write_statsd(app, &samples, now);
}

/// Counters and gauges do not wait for the end of the interval.
fn refresh_statsd(app: &App) {
    let now = app.now();
    let samples = app.metrics.statsd.lock().changed(now);
    write_statsd(app, &samples, now);
}

fn write_statsd(app: &App, samples: &[Sample], now: Timestamp) {
    app.metrics.tell_statsd_families();
    if samples.is_empty() {
        return;
    }
    let lost = match batch_of(samples) {
        Ok(batch) => app.metrics.push(&Source::new("statsd", "statsd"), &batch, now).err().map(|f| f.fault.message),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = lost {
        app.metrics.own.add("tenfold_statsd_lost_samples_total", &[], samples.len() as f64);
        tracing::warn!(reason, samples = samples.len(), "StatsD samples were lost");
    }
}

/// Each sample as a series of its own.
fn batch_of(samples: &[Sample]) -> Result<Batch<'_>, TooMuch> {
    let mut batch = Batch::default();
    for sample in samples {
        for (name, value) in sample.labels.iter() {
            batch.label(name, value)?;
        }
        batch.point(Point::new(sample.t_ms, sample.value))?;
        batch.end()?;
    }
    Ok(batch)
}

/// The server's own metrics are series like all others.
fn append_own(app: &App) {
    let now = app.now();
    app.collect_own();
    let samples: Vec<Sample> = app
        .metrics
        .own
        .read()
        .into_iter()
        .map(|(labels, value)| Sample::new(own::kept_as(labels), now.millis(), value))
        .collect();
    if let Err(fault) = app.metrics.append(&samples) {
        tracing::warn!(%fault, "the server's own metrics were lost");
    }
    if let Err(fault) = app.metrics.mark_silent(app.settings.metrics.scrape_interval_ms, now) {
        tracing::warn!(%fault, "silent hosts could not be marked as down");
    }
}
