//! Commits of a local copy, read by gix in this process: no program is started, nothing is written, no network is spoken.
//!
//! What is in the copy comes from strangers. It is opened with the least trust: of its configuration only the format
//! counts, nothing of the environment or of the user's is read, each object is held against its name, and memory is limited.

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use gix::{
    ObjectId,
    objs::{CommitRefIter, Kind, commit::ref_iter::Token},
};
use tenfold_app::deploys::ports::Commit;
use tenfold_types::Timestamp;

use super::{
    clean,
    range::{self, Node, Sides},
};

/// Largest object that is read into memory. A commit has a few hundred bytes.
const OBJECT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What is kept of objects that others are written as differences from.
const DELTAS_BYTES_MAX: usize = 8 * 1024 * 1024;
const SHORT: usize = 7;

#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("the copy of the repository cannot be opened: {0}")]
    Closed(String),
    #[error("the commit {0} is not there")]
    Missing(ObjectId),
    #[error("{0} is a {1}, not a commit")]
    NotACommit(ObjectId, Kind),
    #[error("the commit {0} cannot be read: {1}")]
    Damaged(ObjectId, String),
    #[error("more than {0} commits would have to be read")]
    TooMany(usize),
    #[error("stopped before the end")]
    Stopped,
}

/// Whether somebody still waits for the answer. The reader looks before each commit.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), Trouble> {
        if self.0.load(Ordering::Relaxed) { Err(Trouble::Stopped) } else { Ok(()) }
    }
}

pub(super) struct History {
    repository: gix::Repository,
    /// Commits whose parents were not copied.
    shallow: HashSet<ObjectId>,
    interrupt: Interrupt,
}

impl History {
    pub fn open(dir: &Path, interrupt: Interrupt) -> Result<Self, Trouble> {
        interrupt.check()?;
        let closed = |error: gix::Error| Trouble::Closed(said(&error));
        let limit = format!("gitoxide.objects.allocLimit={OBJECT_BYTES_MAX}");
        let mut repository = gix::open::Options::isolated()
            .with(gix::sec::Trust::Reduced)
            .open_path_as_is(true)
            .config_overrides([limit])
            .open(dir)
            .map_err(closed)?
            .to_thread_local();
        repository
            .objects
            .set_pack_cache(|| Box::new(gix::odb::pack::cache::lru::MemoryCappedHashmap::new(DELTAS_BYTES_MAX)));
        let shallow = repository.shallow_commits().map_err(closed)?;
        let shallow = shallow.map(|commits| commits.iter().copied().collect()).unwrap_or_default();
        Ok(Self { repository, shallow, interrupt })
    }

    /// What `left` and `right` have that the other has not. Reads at most `commits_max`.
    pub fn sides(&self, left: ObjectId, right: ObjectId, commits_max: usize) -> Result<Sides<ObjectId>, Trouble> {
        let mut read = 0;
        range::sides(left, right, |id| {
            read += 1;
            if read > commits_max { Err(Trouble::TooMany(commits_max)) } else { self.node(id) }
        })
    }

    pub fn commits(&self, ids: &[ObjectId]) -> Result<Vec<Commit>, Trouble> {
        ids.iter().map(|id| self.commit(*id)).collect()
    }

    pub fn commit(&self, id: ObjectId) -> Result<Commit, Trouble> {
        let object = self.object(id)?;
        let (mut author, mut seconds, mut latin, mut message) = (None, None, false, None);
        for token in CommitRefIter::from_bytes(&object.data, id.kind()) {
            match token.map_err(|e| Trouble::Damaged(id, said(&e)))? {
                Token::Author { signature } => author = Some(signature.name),
                Token::Committer { signature } => seconds = Some(signature.seconds()),
                Token::Encoding(name) => {
                    latin = [&b"iso-8859-1"[..], b"latin1", b"latin-1"].iter().any(|l| name.eq_ignore_ascii_case(l));
                }
                Token::Message(text) => message = Some(text),
                Token::Tree { .. } | Token::Parent { .. } | Token::ExtraHeader(_) => {}
            }
        }
        let (Some(author), Some(seconds)) = (author, seconds) else {
            return Err(Trouble::Damaged(id, "it names no author or no time".into()));
        };
        let sha = id.to_hex().to_string();
        let short = sha.get(..SHORT).unwrap_or(&sha).to_owned();
        Ok(Commit {
            short,
            sha,
            author: clean(text(author, latin).trim_end()),
            message: clean(&subject(&text(message.map_or(&b""[..], |m| m.as_ref()), latin))),
            at: Timestamp::from_millis(seconds.saturating_mul(1000)),
        })
    }

    fn node(&self, id: ObjectId) -> Result<Node<ObjectId>, Trouble> {
        let object = self.object(id)?;
        let (mut at_s, mut parents) = (None, Vec::new());
        for token in CommitRefIter::from_bytes(&object.data, id.kind()) {
            match token.map_err(|e| Trouble::Damaged(id, said(&e)))? {
                Token::Parent { id: parent } => parents.push(parent),
                Token::Committer { signature } => {
                    at_s = Some(signature.seconds());
                    break;
                }
                _ => {}
            }
        }
        if self.shallow.contains(&id) {
            parents.clear();
        }
        let at_s = at_s.ok_or_else(|| Trouble::Damaged(id, "it names no time".into()))?;
        Ok(Node { at_s, parents })
    }

    /// The bytes of a commit, which are those its name was made of.
    fn object(&self, id: ObjectId) -> Result<gix::Object<'_>, Trouble> {
        self.interrupt.check()?;
        let damaged = |error: gix::Error| Trouble::Damaged(id, said(&error));
        let object = self.repository.try_find_object(id).map_err(damaged)?.ok_or(Trouble::Missing(id))?;
        if object.kind != Kind::Commit {
            return Err(Trouble::NotACommit(id, object.kind));
        }
        let named = gix::objs::compute_hash(id.kind(), object.kind, &object.data).map_err(damaged)?;
        if named == id { Ok(object) } else { Err(Trouble::Damaged(id, format!("its content is that of {named}"))) }
    }
}

/// Old commits say that they are not UTF-8.
fn text(bytes: &[u8], latin: bool) -> String {
    if latin { bytes.iter().copied().map(char::from).collect() } else { String::from_utf8_lossy(bytes).into_owned() }
}

/// The first paragraph on one line, as git's `%s` has it.
fn subject(message: &str) -> String {
    let lines = message.split('\n').map(|line| line.trim_end_matches(|c: char| c.is_ascii_whitespace()));
    lines.skip_while(|l| l.is_empty()).take_while(|l| !l.is_empty()).collect::<Vec<_>>().join(" ")
}

/// All that an error says, on one line.
fn said(error: &gix::Error) -> String {
    clean(&format!("{error:#}").replace('\n', ", "))
}
