//! Blobs on the host: those that are here, and those on their way from the server.
//!
//! A blob gets its name only when its content has that digest. It need not be on disk by then: whoever makes a release of blobs
//! compares them with their digests first, and brings them to disk together.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use tenfold_app::deploys::hash_file;
use tenfold_deploys::{
    Digest,
    delta::{DELTA_BYTES_MAX, FILE_BYTES_MAX, Op, read},
};
use tenfold_protocols::{
    agent::{LONG_KEPT_BYTES_MAX, PackPart, TEXT_FRAME_BYTES_MAX},
    inflate::gunzip,
};
use tokio::sync::oneshot;

use super::disk::{fresh, own_folder};

/// Read only, so that a service does not change what other releases share.
const MODE: u32 = 0o444;
const MODE_EXECUTABLE: u32 = 0o555;
/// Bytes of a blob made of a delta that are written at a time.
const CHUNK_BYTES: usize = 256 * 1024;

fn is_plain(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.is_file())
}

pub(crate) struct Incoming {
    dir: PathBuf,
    open: Mutex<HashMap<Digest, Partial>>,
    /// What comes in the place of blobs, by its own digest.
    announced: Mutex<HashMap<Digest, Announced>>,
    /// The text over which the next of its kind may come.
    kept: Mutex<Option<String>>,
}

/// Something of which some bytes are here.
struct Announced {
    what: What,
    size: u64,
    bytes: Vec<u8>,
}

enum What {
    Delta {
        blob: Digest,
        base: PathBuf,
    },
    Pack(Vec<PackPart>),
    /// A text frame of that many bytes, or a delta that makes it of the one that was kept.
    Text {
        bytes: u64,
        base: Option<Digest>,
    },
}

/// What came of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// Nothing that concerns anybody else.
    Nothing,
    /// These must be asked for as a whole, since their deltas are of no use.
    Again(Vec<Digest>),
    /// A text frame.
    Text(String),
}

struct Partial {
    file: File,
    path: PathBuf,
    hasher: blake3::Hasher,
    have: u64,
    size: u64,
    waiting: Vec<oneshot::Sender<Result<(), String>>>,
    /// What this host has in its place: digest and file.
    base: Option<(Digest, PathBuf)>,
}

impl Incoming {
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.join("blobs"), open: Mutex::default(), announced: Mutex::default(), kept: Mutex::default() }
    }

    /// The blob as a file of a release; the executable bit belongs to the inode, so such blobs stand apart.
    pub fn path(&self, digest: Digest, executable: bool) -> PathBuf {
        let name = digest.to_string();
        self.dir.join(&name[..2]).join(if executable { format!("{name}.x") } else { name })
    }

    /// The blob is here, with or without the executable bit, and has its content. What is damaged is removed, so that it
    /// is fetched anew. Blocks.
    pub fn verify(&self, digest: Digest, size: u64, executable: bool) -> bool {
        let path = self.path(digest, executable);
        // a link would end up in releases, and lead wherever it is turned to later
        if !is_plain(&path) {
            let _ = fs::remove_file(&path);
            return false;
        }
        match hash_file(&path) {
            Ok(found) if found == (digest, size) => true,
            Ok(_) => {
                let _ = fs::remove_file(&path);
                false
            }
            Err(_) => false,
        }
    }

    /// Makes the executable twin of a blob. Blocks.
    pub fn make_executable(&self, digest: Digest, size: u64) -> io::Result<PathBuf> {
        let twin = self.path(digest, true);
        if is_plain(&twin) && hash_file(&twin).is_ok_and(|found| found == (digest, size)) {
            return Ok(twin);
        }
        let aside = twin.with_extension("part-x");
        let _ = fs::remove_file(&aside);
        fs::copy(self.path(digest, false), &aside)?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(MODE_EXECUTABLE))?;
        fs::rename(&aside, &twin)?;
        Ok(twin)
    }

    /// Waits for a blob. The first to wait for it must ask the server: then the flag is true.
    /// `base` is a file that may be like it.
    pub fn expect(
        &self,
        digest: Digest,
        size: u64,
        base: Option<(Digest, PathBuf)>,
    ) -> io::Result<(oneshot::Receiver<Result<(), String>>, bool)> {
        let (done, waiter) = oneshot::channel();
        let mut open = self.open.lock();
        if let Some(partial) = open.get_mut(&digest) {
            partial.waiting.push(done);
            return Ok((waiter, false));
        }
        let path = self.path(digest, false).with_extension("part");
        own_folder(path.parent().unwrap_or(&self.dir))?;
        let file = fresh(&path)?;
        let partial = Partial { file, path, hasher: blake3::Hasher::new(), have: 0, size, waiting: vec![done], base };
        open.insert(digest, partial);
        if size == 0 {
            let partial = open.remove(&digest);
            drop(open);
            if let Some(partial) = partial {
                self.finish(digest, partial);
            }
            return Ok((waiter, false));
        }
        Ok((waiter, true))
    }

    /// Takes a chunk from the server: of a blob, or of what was announced. Chunks nobody waits for are dropped. An error means
    /// that the line cannot be trusted. Blocks.
    pub fn chunk(&self, digest: Digest, chunk: &[u8]) -> Result<Came, String> {
        let whole = {
            let mut announced = self.announced.lock();
            match announced.get_mut(&digest) {
                None => None,
                Some(held) if (held.bytes.len() + chunk.len()) as u64 > held.size => announced.remove(&digest),
                Some(held) => {
                    held.bytes.extend_from_slice(chunk);
                    if (held.bytes.len() as u64) < held.size {
                        return Ok(Came::Nothing);
                    }
                    announced.remove(&digest)
                }
            }
        };
        let Some(Announced { what, bytes, .. }) = whole else {
            self.content(digest, chunk);
            return Ok(Came::Nothing);
        };
        match what {
            What::Delta { blob, base } => Ok(again(self.undo(blob, &base, digest, &bytes).into_iter().collect())),
            What::Pack(parts) => Ok(again(self.unpack(&parts, digest, &bytes))),
            What::Text { bytes: size, base } => {
                let text = match base {
                    None => undone(digest, &bytes, size),
                    Some(base) => self.over_kept(base, digest, &bytes, size),
                };
                let text = text.map_err(|e| format!("a message cannot be read: {e}"))?;
                String::from_utf8(text).map(Came::Text).map_err(|e| format!("a message is no text: {e}"))
            }
        }
    }

    /// The server announces a delta over what was named as the blob's base.
    pub fn delta(&self, blob: Digest, base: Digest, delta: Digest, size: u64) {
        if let Some(base) = self.base(blob, base)
            && size <= DELTA_BYTES_MAX
        {
            self.announce(delta, size, What::Delta { blob, base });
        }
    }

    /// The server announces several blobs, or pieces of them; their limits were checked.
    pub fn pack(&self, pack: Digest, size: u64, parts: Vec<PackPart>) {
        self.announce(pack, size, What::Pack(parts));
    }

    /// The server announces a text frame of `bytes` when it is undone, with `base` as a delta over the one that was kept.
    pub fn text(&self, pack: Digest, size: u64, bytes: u64, base: Option<Digest>) {
        self.announce(pack, size, What::Text { bytes, base });
    }

    /// The next text may come as the difference to this one.
    pub fn keep(&self, text: String) {
        if text.len() <= LONG_KEPT_BYTES_MAX {
            *self.kept.lock() = Some(text);
        }
    }

    fn over_kept(&self, base: Digest, digest: Digest, bytes: &[u8], size: u64) -> Result<Vec<u8>, String> {
        let delta = undone_within(digest, bytes, size)?;
        let kept = self.kept.lock();
        let kept = kept.as_deref().filter(|text| Digest::of(text.as_bytes()) == base);
        applied(kept.ok_or("it is the difference to one that was not kept")?.as_bytes(), &delta, size)
    }

    fn announce(&self, digest: Digest, size: u64, what: What) {
        self.announced.lock().insert(digest, Announced { what, size, bytes: Vec::new() });
    }

    /// The file of a blob's base, where it is the one that was named.
    fn base(&self, blob: Digest, base: Digest) -> Option<PathBuf> {
        let open = self.open.lock();
        let (named, path) = open.get(&blob)?.base.as_ref()?;
        (*named == base).then(|| path.clone())
    }

    /// Takes a pack apart; answers blobs whose deltas are of no use. One that is broken is of no use to any of its blobs.
    fn unpack(&self, parts: &[PackPart], digest: Digest, bytes: &[u8]) -> Vec<Digest> {
        let size = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.bytes));
        let content = match undone(digest, bytes, size) {
            Ok(content) => content,
            Err(error) => {
                for part in parts {
                    self.refuse(Digest::from_bytes(part.blob.0), &format!("what the server sent is broken: {error}"));
                }
                return Vec::new();
            }
        };
        let (mut rest, mut again) = (&content[..], Vec::new());
        for part in parts {
            let blob = Digest::from_bytes(part.blob.0);
            let (piece, after) = rest.split_at(usize::try_from(part.bytes).unwrap_or(usize::MAX).min(rest.len()));
            rest = after;
            let Some(base) = part.base else {
                self.content(blob, piece);
                continue;
            };
            match self.base(blob, Digest::from_bytes(base.0)) {
                Some(path) => again.extend(self.undo(blob, &path, Digest::of(piece), piece)),
                None => again.extend(self.open.lock().contains_key(&blob).then_some(blob)),
            }
        }
        again
    }

    /// Makes the blob of its base and a whole delta; a blob that could not be made is given back.
    fn undo(&self, blob: Digest, base: &Path, digest: Digest, delta: &[u8]) -> Option<Digest> {
        let size = self.open.lock().get(&blob)?.size;
        match made(blob, base, digest, delta, size) {
            Ok(content) => {
                for chunk in content.chunks(CHUNK_BYTES) {
                    self.content(blob, chunk);
                }
                None
            }
            Err(error) => {
                tracing::warn!(%error, %blob, "a delta cannot be used; the whole file is asked for");
                if let Some(partial) = self.open.lock().get_mut(&blob) {
                    partial.base = None;
                }
                Some(blob)
            }
        }
    }

    fn content(&self, digest: Digest, chunk: &[u8]) {
        let mut open = self.open.lock();
        let Some(partial) = open.get_mut(&digest) else { return };
        partial.have += chunk.len() as u64;
        partial.hasher.update(chunk);
        let error = if partial.have > partial.size {
            Some("the server sent more than the manifest says".to_owned())
        } else {
            partial.file.write_all(chunk).err().map(|e| e.to_string())
        };
        let done = partial.have == partial.size;
        if error.is_none() && !done {
            return;
        }
        let Some(partial) = open.remove(&digest) else { return };
        drop(open);
        match error {
            Some(error) => give_up(partial, &error),
            None => self.finish(digest, partial),
        }
    }

    /// The server does not have it.
    pub fn refuse(&self, digest: Digest, why: &str) {
        if let Some(partial) = self.open.lock().remove(&digest) {
            give_up(partial, why);
        }
    }

    /// The connection is gone: nothing more will come.
    pub fn refuse_all(&self, why: &str) {
        self.announced.lock().clear();
        *self.kept.lock() = None;
        for (_, partial) in self.open.lock().drain() {
            give_up(partial, why);
        }
    }

    fn finish(&self, digest: Digest, partial: Partial) {
        let found = Digest::from_bytes(*partial.hasher.finalize().as_bytes());
        if found != digest {
            return give_up(partial, "what the server sent has another digest");
        }
        let to = self.path(digest, false);
        let kept = fs::set_permissions(&partial.path, fs::Permissions::from_mode(MODE))
            .and_then(|()| fs::rename(&partial.path, &to));
        match kept {
            Ok(()) => {
                for waiter in partial.waiting {
                    let _ = waiter.send(Ok(()));
                }
            }
            Err(error) => give_up(partial, &error.to_string()),
        }
    }

    /// Removes blobs no release links to. Blocks.
    pub fn prune(&self) {
        use std::os::unix::fs::MetadataExt;
        let open = self.open.lock();
        let Ok(folders) = fs::read_dir(&self.dir) else { return };
        // behind a link is somebody else's
        for folder in folders.flatten().filter(|folder| folder.file_type().is_ok_and(|t| t.is_dir())) {
            let Ok(files) = fs::read_dir(folder.path()) else { continue };
            for file in files.flatten() {
                let busy = file.path().extension().is_some_and(|e| e == "part" || e == "part-x") && !open.is_empty();
                if !busy && file.metadata().is_ok_and(|m| m.is_file() && m.nlink() == 1) {
                    let _ = fs::remove_file(file.path());
                }
            }
        }
    }
}

fn again(blobs: Vec<Digest>) -> Came {
    if blobs.is_empty() { Came::Nothing } else { Came::Again(blobs) }
}

/// What was compressed, at most so many bytes; what is compressed was told by its digest.
fn undone_within(digest: Digest, bytes: &[u8], max: u64) -> Result<Vec<u8>, String> {
    if Digest::of(bytes) != digest {
        return Err("it has another digest".to_owned());
    }
    let max = usize::try_from(max).ok().filter(|max| *max <= TEXT_FRAME_BYTES_MAX).ok_or("it is too large")?;
    gunzip(bytes, max).map_err(|e| e.to_string())
}

/// The same, of exactly that size.
fn undone(digest: Digest, bytes: &[u8], size: u64) -> Result<Vec<u8>, String> {
    let content = undone_within(digest, bytes, size)?;
    if content.len() as u64 == size { Ok(content) } else { Err(format!("it has {} bytes, not {size}", content.len())) }
}

/// The new file's content, checked against its digest before any of it is kept.
fn made(blob: Digest, base: &Path, digest: Digest, delta: &[u8], size: u64) -> Result<Vec<u8>, String> {
    if Digest::of(delta) != digest {
        return Err("the delta has another digest".to_owned());
    }
    let base = fs::read(base).map_err(|e| e.to_string())?;
    if size > FILE_BYTES_MAX || base.len() as u64 > FILE_BYTES_MAX {
        return Err("the file is too large for a delta".to_owned());
    }
    let out = applied(&base, delta, size)?;
    if Digest::of(&out) == blob { Ok(out) } else { Err("what it makes has another digest".to_owned()) }
}

/// What a delta makes of its base.
fn applied(base: &[u8], delta: &[u8], size: u64) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    for op in read(delta, base.len() as u64, size).map_err(|e| e.to_string())? {
        match op {
            Op::Bytes(bytes) => out.extend_from_slice(bytes),
            Op::Copy { from, len } => {
                let from = usize::try_from(from).map_err(|e| e.to_string())?;
                let len = usize::try_from(len).map_err(|e| e.to_string())?;
                out.extend_from_slice(base.get(from..from + len).ok_or("the base is shorter than it was")?);
            }
        }
    }
    Ok(out)
}

fn give_up(partial: Partial, why: &str) {
    let _ = fs::remove_file(&partial.path);
    for waiter in partial.waiting {
        let _ = waiter.send(Err(why.to_owned()));
    }
}

#[cfg(test)]
mod tests;
