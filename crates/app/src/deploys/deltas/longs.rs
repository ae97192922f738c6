//! Long messages to agents, such as the list of a release's files: compressed once for all hosts, and told as the difference to
//! the one before where a line has had one.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tenfold_deploys::{Digest, delta::make};
use tenfold_protocols::inflate::gzip;

use crate::App;

/// Texts that are looked through for those that nobody holds any more.
const TEXTS_MAX: usize = 100;

/// A text that is told to many hosts and held once.
#[derive(Debug)]
pub struct Long {
    pub digest: Digest,
    pub text: String,
}

/// It in gzip.
#[derive(Debug)]
pub struct Packed {
    pub digest: Digest,
    pub bytes: Vec<u8>,
    /// As a delta over the one before.
    pub over: bool,
}

/// Those that somebody holds.
#[derive(Default)]
pub(super) struct Texts(Mutex<HashMap<Digest, Weak<Long>>>);

impl Texts {
    fn shared(&self, text: String) -> Arc<Long> {
        let digest = Digest::of(text.as_bytes());
        let mut texts = self.0.lock();
        if let Some(long) = texts.get(&digest).and_then(Weak::upgrade) {
            return long;
        }
        if texts.len() >= TEXTS_MAX {
            texts.retain(|_, long| long.strong_count() > 0);
        }
        let long = Arc::new(Long { digest, text });
        texts.insert(digest, Arc::downgrade(&long));
        long
    }
}

impl App {
    /// A text that others may be told as well.
    pub fn long_text(&self, text: String) -> Arc<Long> {
        self.deploys.deltas.texts.shared(text)
    }

    /// What goes over the line to one that may have been told another before; nothing when the server stops.
    pub async fn long_packed(&self, long: &Arc<Long>, before: Option<&Arc<Long>>) -> Option<Arc<Packed>> {
        let longs = &self.deploys.deltas.longs;
        let cell = longs.cell((before.map(|before| before.digest), long.digest));
        let made = cell.get_or_init(|| async {
            let _turn = longs.making.acquire().await.ok()?;
            let (long, before) = (long.clone(), before.cloned());
            let pack = move || {
                let delta = before.and_then(|before| make(before.text.as_bytes(), long.text.as_bytes()));
                let bytes = gzip(delta.as_deref().unwrap_or(long.text.as_bytes()));
                Arc::new(Packed { digest: Digest::of(&bytes), bytes, over: delta.is_some() })
            };
            tokio::task::spawn_blocking(pack).await.ok()
        });
        made.await.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_held_once_and_as_long_as_somebody_holds_it() {
        let texts = Texts::default();
        let one = texts.shared("a list".into());
        assert!(Arc::ptr_eq(&one, &texts.shared("a list".into())));
        let gone = Arc::downgrade(&one);
        drop(one);
        assert!(gone.upgrade().is_none());
        for n in 0..3 * TEXTS_MAX {
            texts.shared(format!("list {n}"));
        }
        assert!(texts.0.lock().len() <= TEXTS_MAX);
    }
}
