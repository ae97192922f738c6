//! What hosts lack of a release, as one archive in gzip: made once for all hosts that lack the same, on the disk and without a
//! name there, so that nothing of it is left when the last of them has it or the server is killed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tenfold_app::App;
use tenfold_app::deploys::Blobs;
use tenfold_deploys::{Digest, manifest::Entry};
use tenfold_protocols::{inflate::gzip_to, tar};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::OnceCell;

const CHUNK_BYTES: usize = 128 * 1024;

pub(super) struct Archive {
    file: File,
    pub size: u64,
}

type Cell = OnceCell<Arc<Archive>>;

/// The one that is being sent.
#[derive(Default)]
pub(super) struct Archives {
    last: Mutex<(Option<Digest>, Weak<Cell>)>,
}

/// Keeps an archive for whoever else lacks the same, as long as it is held.
pub(super) struct Held {
    _cell: Arc<Cell>,
    pub archive: Arc<Archive>,
}

impl Archives {
    /// The archive of these entries.
    pub async fn of(&self, app: &App, entries: Vec<Entry>) -> io::Result<Held> {
        let key = Digest::of(&serde_json::to_vec(&entries)?);
        let cell = self.cell(key);
        let made = cell.get_or_try_init(|| async {
            let (blobs, dir) = (app.blobs(), app.settings.data_dir.clone());
            let now_s = u64::try_from(app.now().millis() / 1_000).unwrap_or(0);
            let make = move || Archive::make(&dir.join(format!("archive-{key}")), &blobs, &entries, now_s);
            tokio::task::spawn_blocking(make).await.map_err(io::Error::other)?.map(Arc::new)
        });
        let archive = made.await?.clone();
        Ok(Held { _cell: cell, archive })
    }

    fn cell(&self, key: Digest) -> Arc<Cell> {
        let mut last = self.last.lock();
        if last.0 == Some(key)
            && let Some(cell) = last.1.upgrade()
        {
            return cell;
        }
        let cell = Arc::new(Cell::new());
        *last = (Some(key), Arc::downgrade(&cell));
        cell
    }
}

impl Archive {
    /// Blocks.
    fn make(path: &Path, blobs: &Blobs, entries: &[Entry], now_s: u64) -> io::Result<Self> {
        // what a server that was killed in this moment left
        let _ = fs::remove_file(path);
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        fs::remove_file(path)?;
        let written = gzip_to(BufWriter::new(file), |to| write(to, blobs, entries, now_s))?;
        let file = written.into_inner().map_err(io::IntoInnerError::into_error)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }

    pub async fn send(self: &Arc<Self>, mut to: ChildStdin) -> io::Result<()> {
        let mut at = 0;
        loop {
            let archive = self.clone();
            let read = move || {
                let mut chunk = vec![0; CHUNK_BYTES];
                let n = archive.file.read_at(&mut chunk, at)?;
                chunk.truncate(n);
                Ok::<_, io::Error>(chunk)
            };
            let chunk = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
            if chunk.is_empty() {
                return to.shutdown().await;
            }
            at += chunk.len() as u64;
            to.write_all(&chunk).await?;
        }
    }
}

fn write(to: &mut dyn Write, blobs: &Blobs, entries: &[Entry], now_s: u64) -> io::Result<()> {
    for entry in entries {
        match entry {
            Entry::Link { path, target } => to.write_all(&tar::header(path, tar::Kind::Link { target }, now_s))?,
            Entry::File { path, executable, blake3, size } => {
                let kind = tar::Kind::File { executable: *executable, size: *size };
                to.write_all(&tar::header(path, kind, now_s))?;
                if io::copy(&mut File::open(blobs.path(*blake3))?.take(*size), to)? != *size {
                    return Err(io::Error::other(format!("{path} is not whole on the server")));
                }
                to.write_all(&tar::END[..tar::padding(*size)])?;
            }
        }
    }
    to.write_all(&tar::END)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_what_tar_reads_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("text");
        fs::write(&text, "line\n".repeat(20_000)).unwrap();
        let blobs = Blobs::new(&dir.path().join("data"));
        let (blake3, size) = blobs.put_file(&text).unwrap();
        let entries = [
            Entry::File { path: "lib/text".into(), executable: true, blake3, size },
            Entry::Link { path: "link".into(), target: "lib/text".into() },
        ];
        let path = dir.path().join("archive");
        let archive = Archive::make(&path, &blobs, &entries, 1_000).unwrap();
        assert!(!path.exists());
        assert!(archive.size < 2_000, "{}", archive.size);
        let mut bytes = vec![0; usize::try_from(archive.size).unwrap()];
        archive.file.read_exact_at(&mut bytes, 0).unwrap();
        fs::write(&path, bytes).unwrap();
        let tar = std::process::Command::new("tar").arg("-xzf").arg(&path).arg("-C").arg(dir.path()).status().unwrap();
        assert!(tar.success());
        assert_eq!(fs::read(dir.path().join("link")).unwrap(), fs::read(&text).unwrap());

        let longer = [Entry::File { path: "text".into(), executable: false, blake3, size: size + 1 }];
        assert!(Archive::make(&path, &blobs, &longer, 1_000).is_err());
    }

    #[test]
    fn those_who_lack_the_same_share_one() {
        let archives = Archives::default();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let first = archives.cell(one);
        assert!(Arc::ptr_eq(&first, &archives.cell(one)));
        assert!(!Arc::ptr_eq(&first, &archives.cell(other)));
        let held = Arc::downgrade(&first);
        drop(first);
        assert!(held.upgrade().is_none(), "nothing is kept that nobody sends");
    }
}
