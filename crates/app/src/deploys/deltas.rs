//! What goes to hosts in the place of whole files: deltas over what they have, and packs of many. Made once for all hosts of a
//! fan-out, and only so many at a time.

mod longs;
mod packs;

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tenfold_deploys::{
    Digest,
    delta::{DELTA_BYTES_MAX, FILE_BYTES_MAX, make},
};
use tokio::sync::{OnceCell, Semaphore};

use crate::App;

pub use longs::{Long, Packed};
pub use packs::{Pack, Part, Plan};

/// Most bytes kept of each kind; beyond it all are forgotten and made anew when asked for.
const KEPT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Most that are remembered of each kind, those that came to nothing included.
const KEPT_MAX: usize = 10_000;
/// Both files of a delta are held in memory while it is made.
const DELTAS_AT_ONCE: usize = 1;
const PACKS_AT_ONCE: usize = 2;
const LONGS_AT_ONCE: usize = 2;

/// A delta and its digest.
#[derive(Debug)]
pub struct Delta {
    pub digest: Digest,
    pub bytes: Vec<u8>,
}

type Kept<V> = Arc<OnceCell<Option<Arc<V>>>>;

/// What was made for one host is there for the next.
struct Made<K, V> {
    kept: Mutex<HashMap<K, Kept<V>>>,
    bytes: fn(&V) -> usize,
    making: Semaphore,
}

impl<K: Eq + Hash, V> Made<K, V> {
    fn new(at_once: usize, bytes: fn(&V) -> usize) -> Self {
        Self { kept: Mutex::default(), bytes, making: Semaphore::new(at_once) }
    }

    fn cell(&self, key: K) -> Kept<V> {
        let mut kept = self.kept.lock();
        if !kept.contains_key(&key) {
            let held: usize = kept.values().filter_map(|c| c.get()?.as_deref().map(self.bytes)).sum();
            if kept.len() >= KEPT_MAX || held > KEPT_BYTES_MAX {
                kept.clear();
            }
        }
        kept.entry(key).or_default().clone()
    }
}

pub(super) struct Deltas {
    single: Made<(Digest, Digest), Delta>,
    packs: Made<Vec<Part>, Pack>,
    texts: longs::Texts,
    /// By the text before and the text.
    longs: Made<(Option<Digest>, Digest), Packed>,
}

impl Default for Deltas {
    fn default() -> Self {
        Self {
            single: Made::new(DELTAS_AT_ONCE, |delta: &Delta| delta.bytes.len()),
            // the parts are the key as well
            packs: Made::new(PACKS_AT_ONCE, |pack: &Pack| pack.bytes.len() + 2 * size_of_val(&*pack.parts)),
            texts: longs::Texts::default(),
            longs: Made::new(LONGS_AT_ONCE, |packed: &Packed| packed.bytes.len()),
        }
    }
}

impl App {
    /// The delta from one blob to another; nothing when either is not here, too large, or the delta would not be worth it.
    pub async fn blob_delta(&self, base: Digest, blob: Digest) -> Option<Arc<Delta>> {
        let deltas = &self.deploys.deltas.single;
        let cell = deltas.cell((base, blob));
        let made = cell.get_or_init(|| async {
            let _turn = deltas.making.acquire().await.ok()?;
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

    /// Counts what went out to hosts; `kind` is `whole`, `delta`, `pack` or `ssh`.
    pub fn blob_sent(&self, kind: &str, bytes: u64) {
        self.metrics.own.add("tenfold_blob_bytes_sent_total", &[("kind", kind)], bytes as f64);
    }
}
