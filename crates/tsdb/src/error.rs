//! What can go wrong in the engine, one variant per thing.

use std::path::PathBuf;

/// What a [`TsdbError::Io`] was about when new, renamed or removed names did not reach the disk.
pub(crate) const FLUSH_NAMES: &str = "flush the names in";

#[derive(Debug, thiserror::Error)]
pub enum TsdbError {
    #[error("cannot {what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("another process has the metrics directory {path} open")]
    Locked { path: PathBuf },
    #[error(
        "the metrics store takes no samples since a flush to disk failed; check the disk: it takes them again once all it took is written anew"
    )]
    Fenced,
    #[error(
        "{most} late samples of time that is closed wait for their blocks, and no more are taken until they have them; send these again in a minute"
    )]
    TooManyBehind { most: usize },
    #[error("block {path} is damaged ({what}); it was moved to quarantine")]
    Damaged { path: PathBuf, what: &'static str },
    #[error("samples of a series in memory make no sense; the next maintenance drops them and counts them")]
    DamagedRun,
    #[error(
        "{path} is in another format of the metrics store; start the version that wrote it, or move the directory away to begin with an empty one"
    )]
    Format { path: PathBuf },
    #[error("{path} holds a metrics store already; name an empty directory")]
    NotEmpty { path: PathBuf },
    #[error("the regular expression `{pattern}` of label `{label}` is not valid: {reason}")]
    Regex { label: String, pattern: String, reason: String },
}

impl TsdbError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
    /// Whether names in a directory may be lost by a power cut, though later flushes will say that all is well.
    pub(crate) fn is_names_lost(&self) -> bool {
        matches!(self, Self::Io { what, .. } if *what == FLUSH_NAMES)
    }
    /// Whether the disk cannot give a file's bytes any more, whoever asks again. Not that it may not be opened, or that too
    /// many files are.
    pub(crate) fn is_unreadable(&self) -> bool {
        use nix::errno::Errno;
        let Self::Io { source, .. } = self else { return false };
        match source.raw_os_error() {
            Some(code) => [Errno::EIO, Errno::EBADMSG, Errno::EUCLEAN].iter().any(|e| *e as i32 == code),
            None => matches!(source.kind(), std::io::ErrorKind::Other | std::io::ErrorKind::UnexpectedEof),
        }
    }
    /// Whether the disk (or a quota) is full.
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}
