//! `~/.config/tenfold/cli.toml`: where the server is and who signed in. Only its owner may read it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::out::Failure;

/// What `tenfold login` remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    pub server: Option<String>,
    /// The session as `name=value`.
    pub session: Option<String>,
    pub login: Option<String>,
}

/// The file's place, or `None` without a home.
pub fn path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("tenfold/cli.toml"))
}

pub fn load() -> Result<Saved, Failure> {
    let Some(path) = path() else { return Ok(Saved::default()) };
    read(&path)
}

fn read(path: &Path) -> Result<Saved, Failure> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Saved::default()),
        Err(error) => Err(Failure::failed(format!("{} cannot be read: {error}", path.display()))),
        Ok(text) => toml::from_str(&text).map_err(|error| {
            Failure::failed(format!("{} is not right: {}", path.display(), error.message()))
                .advice("delete it and run: tenfold login")
        }),
    }
}

pub fn save(saved: &Saved) -> Result<PathBuf, Failure> {
    let path = path().ok_or_else(|| Failure::failed("there is no home directory").advice("set HOME"))?;
    write(&path, saved)?;
    Ok(path)
}

/// Writes beside and renames, so that a secret is never readable by others, nor half there.
fn write(path: &Path, saved: &Saved) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let fail =
        |error: &dyn std::fmt::Display| Failure::failed(format!("{} cannot be written: {error}", path.display()));
    let text = toml::to_string(saved).map_err(|e| fail(&e))?;
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|e| fail(&e))?;
    }
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let _ = std::fs::remove_file(&part);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(|e| fail(&e))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| fail(&e))?;
    std::fs::rename(&part, path).map_err(|e| fail(&e))
}

#[cfg(test)]
mod unit {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_the_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/cli.toml");
        assert_eq!(read(&path).unwrap(), Saved::default());
        let saved =
            Saved { server: Some("http://t".into()), session: Some("tenfold=x".into()), login: Some("ana".into()) };
        write(&path, &saved).unwrap();
        write(&path, &saved).unwrap();
        assert_eq!(read(&path).unwrap(), saved);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "server = 1").unwrap();
        assert!(read(&path).unwrap_err().advice.contains("tenfold login"));
    }
}
