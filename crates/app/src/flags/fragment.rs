//! One flag in one environment as clients get it: its definition, and the texts made from it once per change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tenfold_flags::{Evaluation, Feature, Segment};

use super::usage::Counts;

/// Enough that two definitions never meet by chance.
pub(super) type Digest = [u8; 16];

fn digest(bytes: &[u8]) -> Digest {
    let mut out = [0; 16];
    out.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
    out
}

/// In which protocol an answer is written.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// An element of `toggles` in the Unleash frontend API.
    Toggle,
    /// An OFREP success, up to its reason.
    Ofrep,
}

/// What is kept for each thing a flag can answer: off, on, and on with each of its variants.
#[derive(Default)]
struct Kept {
    toggle: OnceLock<Box<[u8]>>,
    ofrep: OnceLock<Box<[u8]>>,
    count: OnceLock<Option<Arc<AtomicU64>>>,
}

/// A flag's definition in the Unleash protocol.
pub(super) struct Fragment {
    pub(super) feature: Feature,
    pub(super) json: Box<[u8]>,
    /// By which clients choose; SDKs are not told of them.
    pub(super) tags: Vec<String>,
    pub(super) digest: Digest,
    counts: Arc<Counts>,
    kept: Box<[Kept]>,
}

impl Fragment {
    pub(super) fn new(feature: Feature, tags: &[String], counts: Arc<Counts>) -> Arc<Self> {
        let json = serde_json::to_vec(&feature).unwrap_or_default();
        let variants = feature.variants.len() + feature.strategies.iter().map(|s| s.variants.len()).sum::<usize>();
        Arc::new(Self {
            digest: digest(&[&json, tags.join("\n").as_bytes()].concat()),
            json: json.into(),
            tags: tags.to_vec(),
            counts,
            kept: (0..variants + 2).map(|_| Kept::default()).collect(),
            feature,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.feature.name
    }

    pub(super) fn project(&self) -> &str {
        self.feature.project.as_deref().unwrap_or_default()
    }

    /// Segments that its strategies name.
    pub(super) fn segments(&self) -> impl Iterator<Item = i64> + '_ {
        self.feature.strategies.iter().flat_map(|s| s.segments.iter().copied())
    }

    fn kept(&self, answer: &Evaluation<'_>) -> Option<&Kept> {
        let place = if answer.enabled { answer.variant_number().map_or(1, |n| n + 2) } else { 0 };
        self.kept.get(place)
    }

    /// The text of an answer: written the first time, read afterwards.
    pub(super) fn text(&self, answer: &Evaluation<'_>, form: Form, write: impl FnOnce() -> Vec<u8>) -> &[u8] {
        let Some(kept) = self.kept(answer) else { return &[] };
        let slot = match form {
            Form::Toggle => &kept.toggle,
            Form::Ofrep => &kept.ofrep,
        };
        slot.get_or_init(|| write().into())
    }

    /// Counts an answer.
    pub(super) fn count(&self, answer: &Evaluation<'_>) {
        self.counts.add(answer.enabled);
        if let (Some((name, _)), Some(kept)) = (answer.unleash_variant(), self.kept(answer))
            && let Some(counter) = kept.count.get_or_init(|| self.counts.of_variant(name))
        {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A segment with its JSON.
pub(super) struct SegmentFragment {
    pub(super) segment: Segment,
    pub(super) json: Box<[u8]>,
    pub(super) digest: Digest,
}

impl SegmentFragment {
    pub(super) fn new(segment: &Segment) -> Arc<Self> {
        let json = serde_json::to_vec(segment).unwrap_or_default();
        Arc::new(Self { segment: segment.clone(), digest: digest(&json), json: json.into() })
    }
}
