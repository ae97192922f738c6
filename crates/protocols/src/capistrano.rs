//! What a host says of a folder in Capistrano's layout: which release is current, which others stand there, and what a tree
//! holds. Words of a foreign machine: everything is checked and has a cap.

use std::collections::BTreeMap;

/// Largest answer that is read.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most releases in one folder.
pub const RELEASES_MAX: usize = 1_000;
const WORD_BYTES_MAX: usize = 4_096;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("the host's answer has {0} bytes, more than {ANSWER_BYTES_MAX}")]
    TooLarge(usize),
    #[error("the host's answer cannot be read: {0}")]
    Unreadable(&'static str),
}

/// A release as its folder tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// `YYYYMMDDHHMMSS`, mostly.
    pub name: String,
    /// What `REVISION` says, where it stands.
    pub revision: String,
    /// What we wrote of it; empty for a release that is not ours.
    pub note: String,
}

/// One folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// The highest epoch it has seen.
    pub epoch: i64,
    /// Name of the release that `current` leads to; empty for none.
    pub current: String,
    pub releases: Vec<Found>,
}

impl Layout {
    pub fn find(&self, name: &str) -> Option<&Found> {
        self.releases.iter().find(|r| r.name == name)
    }
}

/// Whether a release's name can stand in a path.
pub fn name_ok(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Reads what the look script prints: fields that end in NUL, `epoch N`, `current NAME`, and `release NAME`, `revision TEXT`,
/// `note TEXT` for each release; one `folder PATH` before those of a folder.
pub fn layouts(bytes: &[u8]) -> Result<BTreeMap<String, Layout>, AnswerError> {
    let mut all: BTreeMap<String, Layout> = BTreeMap::new();
    let mut folder: Option<String> = None;
    for field in fields(bytes)? {
        let text = std::str::from_utf8(field).map_err(|_| AnswerError::Unreadable("it is not UTF-8"))?;
        let (word, value) = text.split_once(' ').unwrap_or((text, ""));
        let value = value.trim_end_matches('\n');
        if value.len() > WORD_BYTES_MAX * 4 {
            return Err(AnswerError::Unreadable("a word is too long"));
        }
        if word == "folder" {
            if all.len() >= RELEASES_MAX {
                return Err(AnswerError::Unreadable("it tells of too many folders"));
            }
            all.entry(value.to_owned()).or_default();
            folder = Some(value.to_owned());
            continue;
        }
        let layout =
            folder.as_ref().and_then(|f| all.get_mut(f)).ok_or(AnswerError::Unreadable("no folder is named"))?;
        match word {
            "epoch" => layout.epoch = value.parse().unwrap_or(0),
            "current" if name_ok(value) => value.clone_into(&mut layout.current),
            "release" if layout.releases.len() >= RELEASES_MAX => {
                return Err(AnswerError::Unreadable("there are more than 1000 releases"));
            }
            // something else stands beside the releases; Capistrano passes it over as well
            "release" => layout.releases.push(Found {
                name: if name_ok(value) { value.to_owned() } else { String::new() },
                ..Found::default()
            }),
            "revision" => {
                if let Some(last) = layout.releases.last_mut() {
                    last.revision = value.chars().take(64).collect();
                }
            }
            "note" => {
                if let Some(last) = layout.releases.last_mut() {
                    value.clone_into(&mut last.note);
                }
            }
            _ => {}
        }
    }
    for layout in all.values_mut() {
        layout.releases.retain(|r| !r.name.is_empty());
    }
    Ok(all)
}

/// A file or link as it stands on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    File { sha256: [u8; 32], executable: bool },
    Link { target: String },
}

/// Reads what the tree script prints: `x PATH` for executable files, `l PATH` followed by the target for links, and what
/// `sha256sum --zero` writes for files, each ended by NUL.
pub fn tree(bytes: &[u8]) -> Result<BTreeMap<String, Standing>, AnswerError> {
    let mut found = BTreeMap::new();
    let mut executable = std::collections::BTreeSet::new();
    let fields = fields(bytes)?;
    let mut fields = fields.iter();
    let text =
        |field: &[u8]| String::from_utf8(field.to_vec()).map_err(|_| AnswerError::Unreadable("a path is not UTF-8"));
    while let Some(field) = fields.next() {
        if let Some(path) = field.strip_prefix(b"x ") {
            executable.insert(text(path)?);
        } else if let Some(path) = field.strip_prefix(b"l ") {
            let target = fields.next().ok_or(AnswerError::Unreadable("a link has no target"))?;
            found.insert(text(path)?, Standing::Link { target: text(target)? });
        } else {
            let hex = field.get(..64).ok_or(AnswerError::Unreadable("a digest is missing"))?;
            let mut sha256 = [0; 32];
            hex::decode_to_slice(hex, &mut sha256).map_err(|_| AnswerError::Unreadable("a digest is not one"))?;
            // two blanks, or a blank and a star
            let path = field.get(66..).filter(|p| !p.is_empty()).ok_or(AnswerError::Unreadable("a path is missing"))?;
            let path = text(path)?;
            found.insert(
                path.strip_prefix("./").unwrap_or(&path).to_owned(),
                Standing::File { sha256, executable: false },
            );
        }
    }
    for (path, standing) in &mut found {
        if let Standing::File { executable: bit, .. } = standing {
            *bit = executable.contains(path);
        }
    }
    Ok(found)
}

fn fields(bytes: &[u8]) -> Result<Vec<&[u8]>, AnswerError> {
    if bytes.len() > ANSWER_BYTES_MAX {
        return Err(AnswerError::TooLarge(bytes.len()));
    }
    match bytes.strip_suffix(b"\0") {
        Some(whole) => Ok(whole.split(|b| *b == 0).collect()),
        None if bytes.is_empty() => Ok(Vec::new()),
        None => Err(AnswerError::Unreadable("it is cut off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read() {
        let said = b"folder /srv/photos\0epoch 7\n\0current 20261123090000\0release 20261122090000\0revision abc\n\0\
                     release 20261123090000\0note {\"a\": 1}\n\0release ..evil/x\0folder /srv/api\0";
        let all = layouts(said).unwrap();
        let photos = &all["/srv/photos"];
        assert_eq!((photos.epoch, photos.current.as_str(), photos.releases.len()), (7, "20261123090000", 2));
        assert_eq!(photos.releases[0].revision, "abc");
        assert_eq!(photos.find("20261123090000").unwrap().note, "{\"a\": 1}");
        assert_eq!(all["/srv/api"], Layout::default());
        assert!(layouts(b"epoch 7\0").is_err() && layouts(b"folder /srv").is_err());
        assert_eq!(layouts(b"").unwrap().len(), 0);
        assert_eq!(layouts(b"folder a\0current ../../etc\0").unwrap()["a"].current, "");
    }

    #[test]
    fn a_tree_is_read() {
        let mut said = b"x bin/run\0l now\0bin/run\0".to_vec();
        said.extend(format!("{}  ./bin/run\0{}  ./a b\nc\0", "ab".repeat(32), "01".repeat(32)).into_bytes());
        let found = tree(&said).unwrap();
        assert_eq!(found["bin/run"], Standing::File { sha256: [0xAB; 32], executable: true });
        assert_eq!(found["a b\nc"], Standing::File { sha256: [1; 32], executable: false });
        assert_eq!(found["now"], Standing::Link { target: "bin/run".into() });
        for bad in [&b"x"[..], b"l a\0", b"abc  ./a\0", b"l a"] {
            assert!(tree(bad).is_err(), "{bad:?}");
        }
    }
}
