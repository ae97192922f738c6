//! Deltas of blobs that hosts ask for: made once for all hosts of a fan-out, and only one at a time.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tenfold_deploys::{
    Digest,
    delta::{DELTA_BYTES_MAX, FILE_BYTES_MAX, make},
};
use tokio::sync::{OnceCell, Semaphore};

use crate::App;

/// Most bytes kept; beyond it all are forgotten and made anew when asked for.
const KEPT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Pairs remembered, those without a delta included.
const KEPT_MAX: usize = 10_000;

/// A delta and its digest.
#[derive(Debug)]
pub struct Delta {
    pub digest: Digest,
    pub bytes: Vec<u8>,
}

type Kept = Arc<OnceCell<Option<Arc<Delta>>>>;

pub(super) struct Deltas {
    kept: Mutex<HashMap<(Digest, Digest), Kept>>,
    /// Both files are held in memory meanwhile.
    making: Semaphore,
}

impl Default for Deltas {
    fn default() -> Self {
        Self { kept: Mutex::default(), making: Semaphore::new(1) }
    }
}

impl Deltas {
    fn cell(&self, key: (Digest, Digest)) -> Kept {
        let mut kept = self.kept.lock();
        if !kept.contains_key(&key) {
            let held: usize = kept.values().filter_map(|c| c.get()?.as_ref().map(|d| d.bytes.len())).sum();
            if kept.len() >= KEPT_MAX || held > KEPT_BYTES_MAX {
                kept.clear();
            }
        }
        kept.entry(key).or_default().clone()
    }
}

impl App {
    /// The delta from one blob to another; nothing when either is not here, too large, or the delta would not be worth it.
    pub async fn blob_delta(&self, base: Digest, blob: Digest) -> Option<Arc<Delta>> {
        let cell = self.deploys.deltas.cell((base, blob));
        let made = cell.get_or_init(|| async {
            let _turn = self.deploys.deltas.making.acquire().await.ok()?;
            let blobs = self.blobs();
            tokio::task::spawn_blocking(move || {
                let read = |digest| {
                    let path = blobs.path(digest);
                    let fits = std::fs::metadata(&path).ok()?.len() <= FILE_BYTES_MAX;
                    fits.then(|| std::fs::read(path).ok()).flatten()
                };
                let bytes = make(&read(base)?, &read(blob)?)?;
                let fits = bytes.len() as u64 <= DELTA_BYTES_MAX;
                fits.then(|| Arc::new(Delta { digest: Digest::of(&bytes), bytes }))
            })
            .await
            .ok()
            .flatten()
        });
        made.await.clone()
    }

    /// Counts what went out to hosts; `kind` is `whole` or `delta`.
    pub fn blob_sent(&self, kind: &str, bytes: u64) {
        self.metrics.own.add("tenfold_blob_bytes_sent_total", &[("kind", kind)], bytes as f64);
    }
}
