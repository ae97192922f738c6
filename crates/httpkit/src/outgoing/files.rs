//! Files that hold secrets and certificates, as configurations name them.

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// Bytes of a file that holds a secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of a file of certificates.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// Where files may lie that a configuration names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Files {
    /// Anywhere: who writes the configuration runs the server.
    #[default]
    Anywhere,
    /// In this folder and below it, links in it followed as long as they stay there. Whoever can write into the folder is
    /// trusted.
    Within(PathBuf),
    /// Nowhere; what to set so that there is a folder.
    Nowhere(&'static str),
}

impl Files {
    /// Where a file lies, if it may be read.
    ///
    /// # Errors
    /// Why it may not, or cannot.
    pub fn path(&self, name: &str) -> Result<PathBuf, String> {
        let folder = match self {
            Self::Anywhere => return Ok(PathBuf::from(name)),
            Self::Nowhere(set) => return Err(format!("the file {name} is not read: {set}")),
            Self::Within(folder) => folder,
        };
        let named = Path::new(name);
        if name.is_empty() || named.components().any(|part| part == Component::ParentDir) {
            return Err(format!("`{name}` is no name of a file: it is not empty and has no `..`"));
        }
        let cannot = |e: std::io::Error| format!("{name} cannot be read: {e}");
        let root = folder.canonicalize().map_err(|e| format!("{} cannot be read: {e}", folder.display()))?;
        // What is not in the folder is never looked at, so that nobody learns what is there.
        let outside = || format!("{name} is not in {}", folder.display());
        if named.is_absolute() && !named.starts_with(folder) && !named.starts_with(&root) {
            return Err(outside());
        }
        let path = root.join(named).canonicalize().map_err(cannot)?;
        if !path.starts_with(&root) {
            return Err(outside());
        }
        // One that waits for a writer, or has no end, is no file of a secret.
        if !path.metadata().map_err(cannot)?.is_file() {
            return Err(format!("{name} is no file"));
        }
        Ok(path)
    }

    /// A secret without the blanks around it.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn secret(&self, name: &str) -> Result<String, String> {
        let path = self.path(name)?;
        let cannot = |e: std::io::Error| format!("{name} cannot be read: {e}");
        if path.metadata().map_err(cannot)?.len() > SECRET_BYTES_MAX {
            return Err(format!("{name} is larger than {SECRET_BYTES_MAX} bytes, which is no secret"));
        }
        let mut text = String::new();
        std::fs::File::open(path).map_err(cannot)?.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(cannot)?;
        Ok(text.trim().to_owned())
    }

    /// The bytes of a file of certificates or of a key.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub fn pem(&self, name: &str) -> Result<Vec<u8>, String> {
        let mut pem = Vec::new();
        let open = std::fs::File::open(self.path(name)?);
        let read = open.and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut pem));
        read.map_err(|e| format!("{name} cannot be read: {e}"))?;
        Ok(pem)
    }

    pub(super) fn stamp(&self, name: &str) -> Stamp {
        self.path(name).map_or_else(Stamp::Unreadable, |path| stamp(&path))
    }
}

/// What can be told of a file without reading it: another one is another content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stamp {
    /// When it was written, and how long it is.
    Written(SystemTime, u64),
    Absent,
    /// Whether it is there cannot be told, or what it says: it is looked at again.
    Unreadable(String),
}

pub fn stamp(path: &Path) -> Stamp {
    match std::fs::metadata(path).and_then(|about| Ok((about.modified()?, about.len()))) {
        Ok((at, length)) => Stamp::Written(at, length),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Stamp::Absent,
        Err(error) => Stamp::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_is_in_the_folder_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, outside) = (dir.path().join("secrets"), dir.path().join("outside"));
        std::fs::create_dir_all(folder.join("team")).unwrap();
        std::fs::write(&outside, "never").unwrap();
        std::fs::write(folder.join("token"), " t1\n").unwrap();
        std::fs::write(folder.join("team/token"), "t2").unwrap();
        symlink(&outside, folder.join("out")).unwrap();
        symlink(dir.path(), folder.join("up")).unwrap();
        // As a cluster puts them there.
        symlink("team", folder.join("..data")).unwrap();
        symlink("..data/token", folder.join("linked")).unwrap();
        let files = Files::Within(folder.clone());
        let inside = folder.join("token").display().to_string();
        for (name, wanted) in [
            ("token", Ok("t1")),
            ("team/token", Ok("t2")),
            ("linked", Ok("t2")),
            (inside.as_str(), Ok("t1")),
            ("", Err("is no name of a file")),
            ("../outside", Err("is no name of a file")),
            ("team/../../outside", Err("is no name of a file")),
            ("out", Err("is not in")),
            ("up/outside", Err("is not in")),
            (outside.to_str().unwrap(), Err("is not in")),
            ("/etc/hostname", Err("is not in")),
            ("/no/such", Err("is not in")),
            ("team", Err("is no file")),
            ("missing", Err("cannot be read")),
        ] {
            let read = files.secret(name);
            match wanted {
                Ok(text) => assert_eq!(read.as_deref(), Ok(text), "{name}"),
                Err(part) => assert!(read.as_ref().is_err_and(|e| e.contains(part)), "{name}: {read:?}"),
            }
        }
        let refused = Files::Nowhere("set `secrets_dir`").secret("token").unwrap_err();
        assert_eq!(refused, "the file token is not read: set `secrets_dir`");
        assert_eq!(Files::Anywhere.secret(outside.to_str().unwrap()).as_deref(), Ok("never"));
    }

    #[test]
    fn what_is_no_secret_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("big"), vec![b'x'; SECRET_BYTES_MAX as usize + 1]).unwrap();
        let refused = Files::Within(dir.path().to_owned()).secret("big").unwrap_err();
        assert!(refused.contains("is no secret"), "{refused}");
    }
}
