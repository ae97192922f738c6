//! The answer book of one environment and set of projects: what every protocol is served from. Immutable; a change makes
//! a new one out of the old one's parts, so that one flag's change costs one flag's work.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tenfold_flags::{ClientFeatures, Context, Evaluation, Moment, Snapshot};
use tenfold_protocols::body::Body;
use tenfold_types::Timestamp;

use super::fragment::{Form, Fragment, SegmentFragment};
use super::projects::Projects;
use super::wire;

/// The Unleash protocol's version of the client-features document.
const FEATURES_VERSION: u32 = 2;

/// Changes that are kept for clients that ask for what came since theirs. An older one gets everything.
pub const HISTORY_CHANGES_MAX: usize = 1_000;

/// More changes at once than this compile everything anew, which is then cheaper than one by one.
const SINGLY_MAX: usize = 50;

/// What one change was about.
struct Change {
    /// The tag of the book before it.
    before: String,
    /// Names and projects.
    flags: Vec<(String, String)>,
    segments: Vec<i64>,
}

/// Names with projects of flags, and ids of segments.
type Touched<'a> = (BTreeSet<(&'a str, &'a str)>, BTreeSet<i64>);

/// A flag as it shall be; `None` when it is not in the book any more.
pub(super) type Wanted = (String, Option<Arc<Fragment>>);

/// Everything that answers for one environment, to readers of the same projects.
pub struct Environment {
    pub name: String,
    pub projects: Projects,
    pub snapshot: Snapshot,
    /// Changes exactly when the definitions do; the same on every node and after a restart.
    pub etag: String,
    /// Grows with every change, also over a restart.
    revision: u32,
    pub changed_at: Timestamp,
    /// By name, hidden ones too.
    fragments: Vec<Arc<Fragment>>,
    /// By the index of the snapshot.
    by_index: Vec<Option<Arc<Fragment>>>,
    /// By id.
    segments: Vec<Arc<SegmentFragment>>,
    /// Oldest first.
    history: VecDeque<Arc<Change>>,
    bodies: Bodies,
}

/// Made when a client first asks for them.
#[derive(Default)]
struct Bodies {
    document: Body,
    hydration: Body,
    /// From the book before this one, which is where most clients come from.
    latest: Body,
}

impl Environment {
    /// The first book of an environment.
    pub(super) fn first(
        name: &str,
        projects: Projects,
        flags: Vec<Wanted>,
        segments: &[Arc<SegmentFragment>],
        now: Timestamp,
    ) -> Self {
        let nothing = Self {
            name: name.to_owned(),
            projects,
            snapshot: Snapshot::default(),
            etag: wire::tag(name, [].iter(), &[]),
            revision: number_at(now),
            changed_at: now,
            fragments: Vec::new(),
            by_index: Vec::new(),
            segments: Vec::new(),
            history: VecDeque::new(),
            bodies: Bodies::default(),
        };
        let first = nothing.next(flags, segments, now).unwrap_or(nothing);
        Self { history: VecDeque::new(), ..first }
    }

    /// The book after a change; `None` when nothing in it changed. `segments` are all there are, by id.
    pub(super) fn next(&self, flags: Vec<Wanted>, segments: &[Arc<SegmentFragment>], now: Timestamp) -> Option<Self> {
        let mut fragments = self.fragments.clone();
        let mut told = Vec::new();
        let mut changed = Vec::new();
        for (name, wanted) in flags {
            let wanted = wanted.filter(|f| self.projects.contains(f.project()));
            let place = fragments.binary_search_by(|f| f.name().cmp(&name));
            let project = match (place, &wanted) {
                (Ok(at), Some(new)) if fragments[at].digest != new.digest => {
                    fragments[at] = new.clone();
                    new.project().to_owned()
                }
                (Ok(at), None) => fragments.remove(at).project().to_owned(),
                (Err(at), Some(new)) => {
                    fragments.insert(at, new.clone());
                    new.project().to_owned()
                }
                (Ok(_), Some(_)) | (Err(_), None) => continue,
            };
            told.push((name.clone(), project));
            changed.push((name, wanted));
        }
        let segments = self.readable(&fragments, segments);
        let moved = differing(&self.segments, &segments);
        if changed.is_empty() && moved.is_empty() {
            return None;
        }
        let mut history = self.history.clone();
        history.push_back(Arc::new(Change { before: self.etag.clone(), flags: told, segments: moved.clone() }));
        while history.len() > HISTORY_CHANGES_MAX {
            history.pop_front();
        }
        let mut next = Self {
            name: self.name.clone(),
            projects: self.projects.clone(),
            snapshot: Snapshot::default(),
            etag: wire::tag(&self.name, fragments.iter(), &segments),
            revision: self.revision.saturating_add(1).max(number_at(now)),
            changed_at: now,
            fragments,
            by_index: Vec::new(),
            segments,
            history,
            bodies: Bodies::default(),
        };
        if changed.len() + moved.len() > SINGLY_MAX {
            next.compile_all();
        } else {
            next.compile_from(self, &changed, &moved);
        }
        Some(next)
    }

    fn compile_all(&mut self) {
        self.snapshot = Snapshot::compile(&ClientFeatures {
            version: FEATURES_VERSION,
            features: self.fragments.iter().map(|f| f.feature.clone()).collect(),
            segments: self.segments.iter().map(|s| s.segment.clone()).collect(),
        });
        self.by_index = vec![None; self.snapshot.indices()];
        for (index, name) in self.snapshot.indexed_names() {
            self.by_index[index] = self.fragment(name).cloned();
        }
    }

    fn compile_from(&mut self, before: &Self, changed: &[Wanted], moved: &[i64]) {
        let mut snapshot = before.snapshot.clone();
        for id in moved {
            snapshot = match self.segment(*id) {
                Some(s) => snapshot.with_segment(&s.segment),
                None => snapshot.without_segment(*id),
            };
        }
        for (name, wanted) in changed {
            snapshot = match wanted {
                Some(fragment) => snapshot.with_feature(&fragment.feature),
                None => snapshot.without_feature(name),
            };
        }
        self.by_index.clone_from(&before.by_index);
        self.by_index.resize(snapshot.indices(), None);
        for (name, wanted) in changed {
            if let Some(index) = snapshot.index(name) {
                self.by_index[index].clone_from(wanted);
            }
        }
        self.snapshot = snapshot;
    }

    /// Who reads all projects reads all segments; others those that their flags use.
    fn readable(&self, fragments: &[Arc<Fragment>], all: &[Arc<SegmentFragment>]) -> Vec<Arc<SegmentFragment>> {
        if self.projects == Projects::All {
            return all.to_vec();
        }
        let used: BTreeSet<i64> = fragments.iter().flat_map(|f| f.segments()).collect();
        all.iter().filter(|s| used.contains(&s.segment.id)).cloned().collect()
    }

    /// This book's number in the delta protocol, greater than that of every book before. It must fit 32 bits: the engine
    /// of the Python SDK, among others, takes a larger one for a document without flags, and so turns everything off.
    pub fn number(&self) -> u32 {
        self.revision
    }

    /// A flag's definition, when it is in the book.
    pub(super) fn fragment(&self, name: &str) -> Option<&Arc<Fragment>> {
        self.fragments.binary_search_by(|f| f.name().cmp(name)).ok().map(|at| &self.fragments[at])
    }

    pub(super) fn fragments(&self) -> &[Arc<Fragment>] {
        &self.fragments
    }

    pub(super) fn segment(&self, id: i64) -> Option<&Arc<SegmentFragment>> {
        self.segments.binary_search_by(|s| s.segment.id.cmp(&id)).ok().map(|at| &self.segments[at])
    }

    pub(super) fn segments(&self) -> &[Arc<SegmentFragment>] {
        &self.segments
    }

    /// One flag's definition as JSON.
    pub fn definition(&self, name: &str) -> Option<Bytes> {
        self.fragment(name).map(|f| Bytes::copy_from_slice(&f.json))
    }

    /// Somebody said what this flag answers while it is off; otherwise that is only the zero of its type.
    pub fn has_off_value(&self, answer: &Evaluation<'_>) -> bool {
        let fragment = self.by_index.get(answer.index()).and_then(Option::as_ref);
        fragment.is_some_and(|f| f.feature.off_value.is_some())
    }

    /// The answer is what somebody said for while the flag is off: in a flagd file, its default variant.
    pub fn is_off_value(&self, answer: &Evaluation<'_>) -> bool {
        let fragment = self.by_index.get(answer.index()).and_then(Option::as_ref);
        fragment.is_some_and(|f| f.feature.off_value.as_ref() == Some(answer.value()))
    }

    /// The project and the kind of the flag that answered.
    pub fn project_and_kind(&self, answer: &Evaluation<'_>) -> (&str, &str) {
        let fragment = self.by_index.get(answer.index()).and_then(Option::as_ref);
        let project = fragment.and_then(|f| f.feature.project.as_deref()).unwrap_or_default();
        (project, fragment.and_then(|f| f.feature.kind.as_deref()).unwrap_or_default())
    }

    /// The client-features document of the Unleash protocol.
    pub fn document(&self) -> &Body {
        self.bodies.document.fill(|| wire::document(FEATURES_VERSION, self.fragments.iter(), &self.segments))
    }

    /// The document with only those flags whose name, project and tags are wanted, and its entity tag.
    pub fn document_of(&self, keep: impl Fn(&str, &str, &[String]) -> bool) -> (Bytes, String) {
        let some: Vec<_> = self.fragments.iter().filter(|f| keep(f.name(), f.project(), &f.tags)).collect();
        let tag = wire::tag(&self.name, some.iter().copied(), &self.segments);
        (wire::document(FEATURES_VERSION, some.iter().copied(), &self.segments).into(), tag)
    }

    /// Everything as one `hydration` event of the Unleash delta protocol.
    pub fn hydration(&self) -> &Body {
        self.bodies.hydration.fill(|| wire::hydration(self.revision, &self.fragments, &self.segments))
    }

    /// [`Self::hydration`] as text.
    pub fn hydration_text(&self) -> &str {
        str::from_utf8(self.hydration().plain()).unwrap_or_default()
    }

    /// The events that bring a client from the book with this tag to this one; `None` when that one is too old or was
    /// never here, so that the client needs [`Self::hydration`]. The tag may be quoted or weak.
    pub fn delta_since(&self, etag: &str) -> Option<Bytes> {
        let (flags, segments) = self.touched_since(etag)?;
        let make = || wire::delta(self, &flags, &segments);
        let newest = self.history.back().is_some_and(|change| same_tag(&change.before, etag));
        Some(if newest { self.bodies.latest.fill(make).plain().clone() } else { make().into() })
    }

    /// The flags that a client with this tag has not seen as they are now; `None` when nobody knows.
    pub fn flags_since(&self, etag: &str) -> Option<Vec<&str>> {
        Some(self.touched_since(etag)?.0.into_iter().map(|(name, _)| name).collect())
    }

    fn touched_since(&self, etag: &str) -> Option<Touched<'_>> {
        if same_tag(&self.etag, etag) {
            return Some((BTreeSet::new(), BTreeSet::new()));
        }
        // Of several moments at which it was so, the last one is the shortest way.
        let from = self.history.iter().rposition(|change| same_tag(&change.before, etag))?;
        let changes = || self.history.range(from..);
        let flags = changes().flat_map(|c| &c.flags).map(|(name, project)| (name.as_str(), project.as_str()));
        Some((flags.collect(), changes().flat_map(|c| c.segments.iter().copied()).collect()))
    }

    /// Evaluates one flag and counts the answer.
    pub fn evaluate<'a>(&'a self, key: &str, context: &Context, moment: Moment) -> Option<Evaluation<'a>> {
        let answer = self.snapshot.evaluate(key, context, moment)?;
        self.count(&answer);
        Some(answer)
    }

    /// Evaluates every flag, in the order of names, and counts the answers.
    pub fn evaluate_all<'a>(
        &'a self,
        context: &'a Context,
        moment: Moment,
    ) -> impl ExactSizeIterator<Item = Evaluation<'a>> + 'a {
        self.snapshot.evaluate_all(context, moment).inspect(|answer| self.count(answer))
    }

    /// The text of an answer of this book in a protocol; `write` makes it once per change of the flag.
    pub fn text(&self, answer: &Evaluation<'_>, form: Form, write: impl FnOnce() -> Vec<u8>) -> &[u8] {
        let fragment = self.by_index.get(answer.index()).and_then(Option::as_ref);
        fragment.map_or(&[], |f| f.text(answer, form, write))
    }

    fn count(&self, answer: &Evaluation<'_>) {
        if let Some(fragment) = self.by_index.get(answer.index()).and_then(Option::as_ref) {
            fragment.count(answer);
        }
    }
}

/// Quarters of a second since 2025, which fit 32 bits until 2059.
fn number_at(now: Timestamp) -> u32 {
    const START_MS: i64 = 1_735_689_600_000; // 2025-01-01
    const UNIT_MS: i64 = 250;
    u32::try_from((now.millis() - START_MS).max(0) / UNIT_MS).unwrap_or(u32::MAX)
}

/// Tags are the same with and without quotes and the mark of weakness.
fn same_tag(known: &str, given: &str) -> bool {
    known.trim_matches('"') == given.trim_start_matches("W/").trim_matches('"')
}

/// Ids of segments that are in one list only or differ.
fn differing(before: &[Arc<SegmentFragment>], after: &[Arc<SegmentFragment>]) -> Vec<i64> {
    if before.iter().map(|s| s.digest).eq(after.iter().map(|s| s.digest)) {
        return Vec::new();
    }
    let digests =
        |list: &[Arc<SegmentFragment>]| -> BTreeSet<_> { list.iter().map(|s| (s.segment.id, s.digest)).collect() };
    let (before, after) = (digests(before), digests(after));
    let ids: BTreeSet<i64> = before.symmetric_difference(&after).map(|(id, _)| *id).collect();
    ids.into_iter().collect()
}
