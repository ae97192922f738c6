//! The keys that secrets in the database are sealed with: one file, which all servers of a database share.
//!
//! A file that the settings name is never made here: a server that made its own would seal what no other can open.

use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use tenfold_store::Sealer;
use tenfold_types::{Entropy, Fault};

use crate::{Settings, private_file};

/// In the data directory, when the settings name no other.
const KEY_FILE: &str = "sealing-keys";
/// What a file that is made begins with.
const HEAD: &str = "# Secrets in the database are sealed with the first key and opened with any. Keep a copy of this file, but never\n\
                    # together with copies of the database. What is sealed is lost with it.\n";

/// Reads the keys, or makes the first one in a file that only the owner may read.
///
/// # Errors
/// A file that cannot be read or made, is named and not there, or holds what is no key.
pub fn sealer(settings: &Settings, entropy: Arc<dyn Entropy>) -> Result<Sealer, Fault> {
    let named = settings.sealing.key_file.as_deref();
    let path = named.map_or_else(|| settings.data_dir.join(KEY_FILE), Path::to_path_buf);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
            let text = format!("{HEAD}{}\n", Sealer::new_key(&*entropy));
            private_file::write(&path, &text).map_err(|error| unreadable(&path, &error))?;
            text
        }
        Err(error) => return Err(unreadable(&path, &error)),
    };
    if std::fs::metadata(&path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0) {
        tracing::warn!(path = %path.display(), "everybody on this machine can read the sealing keys; `chmod o= FILE` ends that");
    }
    Ok(Sealer::read(&text, &path.display().to_string(), entropy)?)
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let path = path.display();
    Fault::invalid(format!(
        "the sealing keys in {path} cannot be read or made: {error}; copy the file of a server of the same database there, or for \
         the first one `openssl rand -base64 32 > {path}`"
    ))
}

#[cfg(test)]
mod tests {
    use tenfold_testkit::TestEntropy;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_a_named_file_never() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let entropy = Arc::new(TestEntropy::default());
        sealer(&settings, entropy.clone()).unwrap();
        let path = dir.path().join(KEY_FILE);
        let made = std::fs::read_to_string(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        sealer(&settings, entropy.clone()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), made, "the next start reads it");

        settings.sealing.key_file = Some(dir.path().join("shared"));
        let refused = sealer(&settings, entropy.clone()).unwrap_err().message;
        assert!(refused.contains("shared") && refused.contains("openssl rand"), "{refused}");
        assert!(!dir.path().join("shared").exists());
        std::fs::write(dir.path().join("shared"), "no key\n").unwrap();
        let refused = sealer(&settings, entropy).unwrap_err().message;
        assert!(refused.contains("line 1 of") && refused.contains("shared"), "{refused}");
    }
}
