//! The last good state on disk. Written beside and renamed, with a checksum: a file is whole or it is not used.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenfold_flags::ClientFeatures;

/// Of the file and of what a server may send.
pub(crate) const BYTES_MAX: usize = 64 << 20;

/// The first word of the file; the number is the version of its form.
const MAGIC: &str = "tenfold-flags-1";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// With which the server is asked whether anything changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    pub(crate) document: ClientFeatures,
}

/// `Ok(None)`: there is no such file. The error is a sentence about why the file is not used.
pub(crate) fn load(path: &Path) -> Result<Option<State>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be opened: {error}", path.display())),
    };
    let mut bytes = Vec::new();
    let read = file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    decode(&bytes).map(Some).map_err(|why| format!("{} {why}", path.display()))
}

fn decode(bytes: &[u8]) -> Result<State, String> {
    if bytes.len() > BYTES_MAX {
        return Err(format!("is larger than {BYTES_MAX} bytes"));
    }
    let end = bytes.iter().position(|b| *b == b'\n').ok_or("is torn: it has no first line")?;
    let header = std::str::from_utf8(&bytes[..end]).map_err(|_| "is not a state file")?;
    let body = &bytes[end + 1..];
    let mut words = header.split(' ');
    if words.next() != Some(MAGIC) {
        return Err(format!("is not a state file of this version ({MAGIC})"));
    }
    let length: Option<usize> = words.next().and_then(|w| w.parse().ok());
    let checksum = words.next().and_then(|w| u32::from_str_radix(w, 16).ok());
    if length != Some(body.len()) {
        return Err(format!("is torn: {} bytes where the first line says {}", body.len(), length.unwrap_or_default()));
    }
    if checksum != Some(crc32fast::hash(body)) {
        return Err("was damaged: its checksum does not fit".into());
    }
    serde_json::from_slice(body).map_err(|error| format!("cannot be understood: {error}"))
}

/// Written beside, synced, renamed: whoever reads meanwhile, or after a power cut, sees the old file or the new one.
pub(crate) fn save(path: &Path, state: &State) -> std::io::Result<()> {
    let body = serde_json::to_vec(state)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = beside(path);
    let written = write(&beside, &body).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
        return written;
    }
    // A folder that cannot be opened or synced (some systems cannot) leaves the file as safe as the system makes it.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Two processes that share a path must not write into the same file.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

fn write(path: &Path, body: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{MAGIC} {} {:08x}", body.len(), crc32fast::hash(body))?;
    file.write_all(body)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use tenfold_flags::Feature;

    use super::*;

    fn state() -> State {
        let feature = Feature { name: "new_uploader".into(), enabled: true, ..Feature::default() };
        let document = ClientFeatures { version: 2, features: vec![feature], segments: Vec::new() };
        State { etag: Some("\"7\"".into()), document }
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flags.state");
        assert_eq!(load(&path), Ok(None));
        save(&path, &state()).unwrap();
        assert_eq!(load(&path), Ok(Some(state())));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside");
    }

    #[test]
    fn a_torn_or_damaged_file_is_refused_whatever_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flags.state");
        save(&path, &state()).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            let why = decode(&whole[..length]).unwrap_err();
            assert!(!why.is_empty(), "{length} bytes");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged).is_err(), "byte {at} changed");
        }
        let longer = [whole.as_slice(), b"\n"].concat();
        assert!(decode(&longer).unwrap_err().contains("torn"));
        assert!(decode(b"tenfold-flags-2 0 00000000\n").unwrap_err().contains("version"));
        assert!(load(folder.path()).unwrap_err().contains("cannot be"), "a folder is no file");
    }

    #[test]
    fn a_failed_save_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flags.state");
        save(&path, &state()).unwrap();
        fs::create_dir(beside(&path)).unwrap();
        save(&path, &State { etag: None, ..state() }).unwrap_err();
        assert_eq!(load(&path), Ok(Some(state())));
    }
}
