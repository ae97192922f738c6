//! The store of samples as whoever runs it sees it: its size, what bounds it, and what is wrong with it.

use serde::Serialize;
use tenfold_types::{Fault, Timestamp};

use super::QuarantinedFile;
use crate::App;

/// How the store of samples is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StoreView {
    /// Why samples are not kept at the moment, if they are not.
    pub trouble: Option<String>,
    pub blocks: usize,
    pub block_bytes: u64,
    /// Of rows of aggregates.
    pub coarse_bytes: u64,
    /// Of the write-ahead log.
    pub log_bytes: u64,
    #[schema(value_type = Option<String>)]
    pub oldest_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    pub newest_at: Option<Timestamp>,
    pub retention_days: u32,
    /// The size over which the oldest samples are dropped, if there is one.
    pub retention_bytes_max: Option<u64>,
    /// How late samples may come.
    pub out_of_order_ms: i64,
    /// Damaged files that were moved aside, the newest first.
    pub quarantined: Vec<QuarantinedFile>,
    /// How many there are; not all of them may be shown.
    pub quarantined_count: usize,
    /// What to do about them.
    pub quarantine_advice: Option<String>,
}

const ADVICE: &str = "Look for errors of the disk (smartctl, dmesg): such damage mostly does not come alone. \
What could be read of a block was kept; the rest comes back only from a snapshot or a backup of the metrics directory. \
Remove the files listed here when they are no longer needed.";

impl App {
    /// How the store of samples is doing.
    pub async fn store_view(&self) -> Result<StoreView, Fault> {
        let stats = self.store_stats().await?;
        let (quarantined, quarantined_count) = self.metrics.quarantined();
        Ok(StoreView {
            trouble: self.metrics.trouble(),
            blocks: stats.blocks,
            block_bytes: stats.block_bytes,
            coarse_bytes: stats.coarse_bytes,
            log_bytes: stats.wal_bytes,
            oldest_at: stats.min_t_ms.map(Timestamp),
            newest_at: stats.max_t_ms.map(Timestamp),
            retention_days: u32::try_from(self.settings.metrics.retention_ms() / 86_400_000).unwrap_or(u32::MAX),
            retention_bytes_max: self.settings.metrics.retention_bytes_max(),
            out_of_order_ms: self.settings.metrics.out_of_order_time_window.0,
            quarantined,
            quarantined_count,
            quarantine_advice: (quarantined_count > 0).then(|| ADVICE.to_owned()),
        })
    }
}
