//! The content-addressed store of artifact files and manifests: `blobs/aa/<blake3>` and `manifests/<digest>.json`.
//!
//! A blob appears under its name only when it is whole and on disk (written aside, fsync, rename), so whatever is found
//! under a name has that content. Names are digests and never text from outside.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use tenfold_deploys::{Digest, Manifest};

/// Blocking file access; call it from a blocking task.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
}

/// Bytes hashed and copied at a time.
const CHUNK_BYTES: usize = 128 * 1024;

impl Blobs {
    pub fn new(data_dir: &Path) -> Self {
        Self { root: data_dir.to_path_buf() }
    }

    /// Where a blob stands once it is there.
    pub fn path(&self, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join("blobs").join(&name[..2]).join(name)
    }

    pub fn has(&self, digest: Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Takes a file's content in and returns its digest and size.
    pub fn put_file(&self, from: &Path) -> io::Result<(Digest, u64)> {
        let (digest, size) = hash_file(from)?;
        let to = self.path(digest);
        if to.is_file() {
            return Ok((digest, size));
        }
        let aside = self.aside(&to)?;
        let copied = copy_hashed(from, &aside);
        match copied {
            Ok((found, found_size)) if found == digest => {
                fs::rename(&aside, &to)?;
                sync_dir(&to)?;
                Ok((digest, found_size))
            }
            Ok(_) => {
                let _ = fs::remove_file(&aside);
                Err(io::Error::other(format!("{} changed while it was read", from.display())))
            }
            Err(error) => {
                let _ = fs::remove_file(&aside);
                Err(error)
            }
        }
    }

    pub fn put_manifest(&self, manifest: &Manifest) -> io::Result<Digest> {
        let digest = manifest.digest();
        let to = self.manifest_path(digest);
        if !to.is_file() {
            let aside = self.aside(&to)?;
            let mut file = File::create(&aside)?;
            file.write_all(&serde_json::to_vec(manifest).map_err(io::Error::other)?)?;
            file.sync_all()?;
            fs::rename(&aside, &to)?;
            sync_dir(&to)?;
        }
        Ok(digest)
    }

    /// The manifest of an artifact; `None` when it is not (or no longer) kept, or when what is kept is damaged.
    pub fn manifest(&self, digest: Digest) -> Option<Manifest> {
        let text = fs::read(self.manifest_path(digest)).ok()?;
        let manifest: Manifest = serde_json::from_slice(&text).ok()?;
        (manifest.digest() == digest).then_some(manifest)
    }

    /// All files of an artifact are here.
    pub fn has_artifact(&self, digest: Digest) -> bool {
        use tenfold_deploys::manifest::Entry;
        self.manifest(digest).is_some_and(|m| {
            m.entries().iter().all(|e| match e {
                Entry::File { blake3, .. } => self.has(*blake3),
                Entry::Link { .. } => true,
            })
        })
    }

    fn manifest_path(&self, digest: Digest) -> PathBuf {
        self.root.join("manifests").join(format!("{digest}.json"))
    }

    fn aside(&self, to: &Path) -> io::Result<PathBuf> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = to.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        Ok(folder.join(format!("part-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))))
    }
}

/// Digest and size of a file, read in pieces.
pub fn hash_file(path: &Path) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut size = 0;
    loop {
        let n = file.read(&mut chunk)?;
        if n == 0 {
            return Ok((Digest::from_bytes(*hasher.finalize().as_bytes()), size));
        }
        hasher.update(&chunk[..n]);
        size += n as u64;
    }
}

fn copy_hashed(from: &Path, to: &Path) -> io::Result<(Digest, u64)> {
    let mut source = File::open(from)?;
    let mut target = File::create(to)?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut size = 0;
    loop {
        let n = source.read(&mut chunk)?;
        if n == 0 {
            break;
        }
        hasher.update(&chunk[..n]);
        target.write_all(&chunk[..n])?;
        size += n as u64;
    }
    target.sync_all()?;
    Ok((Digest::from_bytes(*hasher.finalize().as_bytes()), size))
}

fn sync_dir(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tenfold_deploys::manifest::Entry;

    use super::*;

    #[test]
    fn what_stands_under_a_name_has_that_content() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(dir.path());
        let file = dir.path().join("a");
        fs::write(&file, b"hello").unwrap();
        let (digest, size) = blobs.put_file(&file).unwrap();
        assert_eq!((digest, size), (Digest::of(b"hello"), 5));
        assert_eq!(fs::read(blobs.path(digest)).unwrap(), b"hello");
        let entry = Entry::File { path: "a".into(), executable: false, blake3: digest, size };
        let manifest = Manifest::new(vec![entry]).unwrap();
        let name = blobs.put_manifest(&manifest).unwrap();
        assert_eq!(blobs.manifest(name), Some(manifest));
        assert!(blobs.has_artifact(name));
        fs::remove_file(blobs.path(digest)).unwrap();
        assert!(!blobs.has_artifact(name));
        fs::write(blobs.manifest_path(name), b"{\"entries\":[]}").unwrap();
        assert_eq!(blobs.manifest(name), None, "a damaged manifest is none");
    }
}
