//! Keys and secrets on disk: whole or not at all, and for their owner alone.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes `text` beside `path` and then under its name, so that a power cut leaves the file of before or the new one. The
/// folder is made where there is none.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder(path))?;
    let aside = path.with_extension("part");
    // What an earlier try left, with whatever mode it has.
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    put(&aside, path)
}

/// Gives a file another name in its folder, which holds after a power cut.
pub fn put(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    fs::File::open(folder(to))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_owner_reads_it_and_a_torn_try_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/one.key");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path.with_extension("part"), "torn").unwrap();
        for text in ["first", "second"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
