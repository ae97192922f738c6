//! What an operator does with the store itself: see where the series are, delete some, give the space back, take a copy.

use std::path::PathBuf;

use serde::Serialize;
use tenfold_tsdb::{BlockStatus, SeriesCount, Stats, ValueCount};
use tenfold_types::{ErrorCode, EventDraft, Fault, Timestamp};

use super::SeriesFilter;
use crate::{App, Caller, Role};

/// Selectors of one deletion.
const SELECTORS_MAX: usize = 20;
/// Rows of each list of the cardinality.
pub const CARDINALITY_ROWS_MAX: usize = 1000;
/// Snapshots that may lie in the data directory at one time.
const SNAPSHOTS_MAX: usize = 20;

/// A metric or label pair by its series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CountedSeries {
    pub name: String,
    pub series: u64,
    /// Of them, with samples in memory; the rest have ended and go with the retention.
    pub active: u64,
    /// Of them, those that came within the last hour.
    pub created_last_hour: u64,
}

/// A label by its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CountedLabel {
    pub label: String,
    pub values: usize,
    /// Bytes of its values, each counted once for every series that has it.
    pub bytes: u64,
}

/// Where the series are; each list has the greatest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CardinalityView {
    /// Known, ended ones too: ten times `series_max` at most.
    pub series: usize,
    /// The limit on active series.
    pub series_max: usize,
    /// Series with samples in memory.
    pub active_series: u64,
    /// Series that came within the last hour.
    pub created_last_hour: u64,
    pub labels: usize,
    pub label_pairs: usize,
    pub metrics: Vec<CountedSeries>,
    /// Metrics by series that have ended: what churn leaves behind.
    pub churn: Vec<CountedSeries>,
    /// Metrics by series that came within the last hour.
    pub created: Vec<CountedSeries>,
    pub labels_by_values: Vec<CountedLabel>,
    pub labels_by_bytes: Vec<CountedLabel>,
    /// Pairs (`name=value`), the metric name not counted.
    pub pairs_by_series: Vec<CountedSeries>,
}

/// What a deletion concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Deletion {
    /// Series with samples within the time.
    pub series: usize,
    /// Some of them.
    pub examples: Vec<String>,
    /// Whether it was only asked what would be deleted.
    pub dry_run: bool,
}

/// What became of imported samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default, utoipa::ToSchema)]
pub struct Imported {
    /// Taken, native histograms and exemplars included.
    pub samples: usize,
    pub new_series: usize,
    /// One line for each reason.
    pub refused: Vec<ImportRefused>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ImportRefused {
    pub reason: String,
    pub count: usize,
    /// One sentence on the first.
    pub example: String,
}

/// A copy of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SnapshotView {
    pub name: String,
    /// On the server: a directory that `tenfold serve` opens as it is when put in the place of `metrics` in a data directory.
    pub path: String,
}

pub(super) fn counted(list: Vec<SeriesCount>) -> Vec<CountedSeries> {
    let row = |c: SeriesCount| CountedSeries {
        name: c.name,
        series: c.series,
        active: c.active,
        created_last_hour: c.created_last_hour,
    };
    list.into_iter().map(row).collect()
}

fn labels(list: Vec<ValueCount>) -> Vec<CountedLabel> {
    list.into_iter().map(|c| CountedLabel { label: c.label, values: c.values, bytes: c.bytes }).collect()
}

/// Refuses more rows than one list may have.
pub(super) fn check_rows(rows: usize) -> Result<(), Fault> {
    if (1..=CARDINALITY_ROWS_MAX).contains(&rows) {
        return Ok(());
    }
    let message = format!("`limit` is {rows}; it may be 1 to {CARDINALITY_ROWS_MAX}");
    Err(Fault::new(ErrorCode::BadRequest, message))
}

fn store_fault(error: &tenfold_tsdb::TsdbError) -> Fault {
    let code = if error.is_disk_full() { ErrorCode::DiskFull } else { ErrorCode::Unavailable };
    Fault::new(code, error.to_string())
}

fn span(filter: &SeriesFilter) -> String {
    let at = |ms: i64| Timestamp(ms).to_string();
    match (filter.start_ms, filter.end_ms) {
        (i64::MIN, i64::MAX) => "of all time".to_owned(),
        (i64::MIN, end) => format!("up to {}", at(end)),
        (start, i64::MAX) => format!("from {} on", at(start)),
        (start, end) => format!("from {} to {}", at(start), at(end)),
    }
}

impl App {
    /// The store's disk work, off the runtime's threads.
    pub(super) async fn in_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&tenfold_tsdb::Tsdb) -> Result<T, tenfold_tsdb::TsdbError> + Send + 'static,
    ) -> Result<T, Fault> {
        let tsdb = self.metrics.tsdb.clone();
        let done = tokio::task::spawn_blocking(move || work(&tsdb)).await;
        done.map_err(|_| Fault::internal("the work on the store of samples ended in a panic"))?
            .map_err(|e| store_fault(&e))
    }

    /// The `rows` greatest of each kind.
    pub async fn cardinality(&self, rows: usize) -> Result<CardinalityView, Fault> {
        check_rows(rows)?;
        let c = self.in_store(move |tsdb| Ok(tsdb.cardinality(rows))).await?;
        Ok(CardinalityView {
            series: c.series,
            series_max: self.metrics.series_max,
            active_series: c.active_series,
            created_last_hour: c.created_last_hour,
            labels: c.labels,
            label_pairs: c.pairs,
            metrics: counted(c.metrics),
            churn: counted(c.churn),
            created: counted(c.created),
            labels_by_values: labels(c.label_values),
            labels_by_bytes: labels(c.label_bytes),
            pairs_by_series: counted(c.label_pairs),
        })
    }

    /// The blocks of samples on disk, the oldest first.
    pub async fn store_blocks(&self) -> Result<Vec<BlockStatus>, Fault> {
        self.in_store(|tsdb| Ok(tsdb.blocks())).await
    }

    /// Counts of the store.
    pub async fn store_stats(&self) -> Result<Stats, Fault> {
        self.in_store(|tsdb| Ok(tsdb.stats())).await
    }

    /// Deletes the samples of the matching series within the filter's time that are there now; those that come later stay.
    /// They are gone from every answer at once, and from the disk when their block is written anew. The record says who did
    /// it before it is done: a deletion that fails half way is seen.
    pub async fn delete_series(
        &self,
        who: &Caller,
        selectors: &[String],
        filter: SeriesFilter,
        dry_run: bool,
    ) -> Result<Deletion, Fault> {
        who.require(Role::Admin, None, None)?;
        if filter.selectors.is_empty() || filter.selectors.len() > SELECTORS_MAX {
            return Err(Fault::new(
                ErrorCode::BadRequest,
                format!("a deletion names its series by 1 to {SELECTORS_MAX} selectors"),
            )
            .advice("like this: http_requests_total{service=\"photos\"}"));
        }
        if filter.end_ms < filter.start_ms {
            return Err(Fault::new(ErrorCode::BadRequest, "the end lies before the start"));
        }
        let asked = filter.clone();
        let found = self.metrics.series(&asked)?;
        let deletion = Deletion {
            series: found.len(),
            examples: found.iter().take(20).map(ToString::to_string).collect(),
            dry_run,
        };
        if dry_run || found.is_empty() {
            return Ok(deletion);
        }
        let text = format!(
            "{} deletes the samples of {} series ({}) {}",
            who.actor,
            found.len(),
            selectors.join(", "),
            span(&filter)
        );
        let data = serde_json::json!({
            "selectors": selectors, "series": found.len(), "examples": deletion.examples,
            "start_ms": (filter.start_ms != i64::MIN).then_some(filter.start_ms),
            "end_ms": (filter.end_ms != i64::MAX).then_some(filter.end_ms),
        });
        self.note_down(EventDraft::new(who.actor.clone(), who.source, "metrics.deleted", text).data(data)).await?;
        self.in_store(move |tsdb| {
            for matchers in &filter.selectors {
                tsdb.delete(matchers, filter.start_ms, filter.end_ms)?;
            }
            tsdb.sync()
        })
        .await?;
        Ok(deletion)
    }

    /// Takes in old samples that were decoded from a body; `from` says where they come from, and the record is told of it with
    /// the first part.
    pub async fn import(
        &self,
        who: &Caller,
        from: &str,
        part: u32,
        body: Vec<u8>,
        v2: bool,
    ) -> Result<Imported, Fault> {
        use tenfold_protocols::remote_write::{Version, decode, decompress};
        who.require(Role::Admin, None, None)?;
        if part == 1 {
            let from: String = from.chars().filter(|c| !c.is_control()).take(200).collect();
            let text = format!("{} imports samples from {from}", who.actor);
            let data = serde_json::json!({"from": from});
            self.note_down(EventDraft::new(who.actor.clone(), who.source, "metrics.imported", text).data(data)).await?;
        }
        let _place = self.metrics.push_place().await?;
        let (app, now) = (self.clone(), self.now());
        let bad =
            |e: tenfold_protocols::remote_write::RemoteWriteError| Fault::new(ErrorCode::BadRequest, e.to_string());
        let work = move || {
            let plain = decompress(&body).map_err(bad)?;
            let read = decode(&plain, if v2 { Version::V2 } else { Version::V1 }).map_err(bad)?;
            let latest_ms = now.millis().saturating_add(super::AHEAD_MS_MAX);
            app.metrics.keep_old_metadata(read.metadata);
            let tsdb = &app.metrics.tsdb;
            super::write::import(tsdb, &read.batch, now.millis(), latest_ms).map_err(|e| store_fault(&e))
        };
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|_| Fault::internal("importing ended in a panic"))??;
        self.metrics.own.add("tenfold_import_samples_total", &[], done.samples as f64);
        Ok(done)
    }

    /// Gives the space of deleted samples back; how many blocks were written anew.
    pub async fn clean_tombstones(&self, who: &Caller) -> Result<usize, Fault> {
        who.require(Role::Admin, None, None)?;
        let text = format!("{} has the space of deleted samples given back", who.actor);
        self.note_down(EventDraft::new(who.actor.clone(), who.source, "metrics.cleaned", text)).await?;
        self.in_store(tenfold_tsdb::Tsdb::clean_tombstones).await
    }

    /// Takes a copy of the store into a directory of its own beside it. It shares the files of the blocks, so that it is
    /// quick and takes space only once the originals are dropped.
    pub async fn snapshot(&self, who: &Caller) -> Result<SnapshotView, Fault> {
        who.require(Role::Admin, None, None)?;
        let home: PathBuf = self.settings.data_dir.join("metrics-snapshots");
        let name = format!("{}-{}", self.now().millis(), self.random_text(6).replace(['-', '_'], "x"));
        let path = home.join(&name);
        let there = std::fs::read_dir(&home).map_or(0, Iterator::count);
        if there >= SNAPSHOTS_MAX {
            return Err(Fault::new(
                ErrorCode::Conflict,
                format!("{there} snapshots lie in {}; at most {SNAPSHOTS_MAX} may", home.display()),
            )
            .advice("move or remove some of these directories"));
        }
        let view = SnapshotView { name: name.clone(), path: path.display().to_string() };
        let text = format!("{} takes the snapshot {name} of the samples", who.actor);
        let data = serde_json::json!({"snapshot": name});
        self.note_down(EventDraft::new(who.actor.clone(), who.source, "metrics.snapshot", text).data(data)).await?;
        self.in_store(move |tsdb| tsdb.snapshot(&path)).await?;
        Ok(view)
    }

    pub(super) async fn note_down(&self, draft: EventDraft) -> Result<(), Fault> {
        self.transact(move |t| t.record(draft.clone()).map(|_| ())).await
    }
}
