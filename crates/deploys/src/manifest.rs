//! The artifact manifest: which files a release is made of, each by its BLAKE3, and the one digest that names the whole.
//!
//! A manifest comes from a build and is unpacked on hosts, so a path in it must never lead out of the release's folder.

use serde::{Deserialize, Deserializer, Serialize};

/// Most files in one artifact.
pub const FILES_MAX: usize = 50_000;
/// Longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 1024;
/// Largest artifact, all files together.
pub const TOTAL_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// A BLAKE3 digest; in JSON and in paths 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
    /// Reads 64 lower-case hex digits; anything else is `None`, so that a digest can be part of a path.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || text.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        blake3::Hash::from_hex(text).ok().map(|h| Self(*h.as_bytes()))
    }
    /// The first 12 digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a digest is 64 lower-case hex digits"))
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Entry {
    File {
        path: String,
        /// The executable bit; nothing else of the mode is kept.
        executable: bool,
        blake3: Digest,
        size: u64,
    },
    /// A symbolic link within the release; `target` is relative to the link's own folder.
    Link { path: String, target: String },
}

impl Entry {
    pub fn path(&self) -> &str {
        match self {
            Self::File { path, .. } | Self::Link { path, .. } => path,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("the artifact has no files; check `artifact.paths` in the pipeline file")]
    Empty,
    #[error("the artifact has {0} files, more than {FILES_MAX}; leave out what the service does not need at run time")]
    TooManyFiles(usize),
    #[error(
        "the artifact has {0} bytes, more than {TOTAL_BYTES_MAX}; leave out what the service does not need at run time"
    )]
    TooLarge(u64),
    #[error("the path `{0}` is refused: {1}")]
    Path(String, &'static str),
    #[error("the link `{0}` points to `{1}`, out of the artifact")]
    LinkEscapes(String, String),
    #[error("the path `{0}` stands twice in the artifact")]
    Duplicate(String),
    #[error("the path `{0}` lies below `{1}`, which is not a folder")]
    BelowFile(String, String),
}

/// A checked list of entries, sorted by path. It cannot hold a path that leaves the release's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manifest {
    entries: Vec<Entry>,
}

impl Manifest {
    /// Sorts and checks.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, ManifestError> {
        if entries.is_empty() {
            return Err(ManifestError::Empty);
        }
        if entries.len() > FILES_MAX {
            return Err(ManifestError::TooManyFiles(entries.len()));
        }
        entries.sort_by(|a, b| a.path().as_bytes().cmp(b.path().as_bytes()));
        for entry in &entries {
            check_path(entry.path())?;
            if let Entry::Link { path, target } = entry {
                check_link(path, target)?;
            }
        }
        let all: std::collections::HashSet<&str> = entries.iter().map(Entry::path).collect();
        for pair in entries.windows(2) {
            if pair[0].path() == pair[1].path() {
                return Err(ManifestError::Duplicate(pair[0].path().to_owned()));
            }
        }
        for entry in &entries {
            for (i, _) in entry.path().match_indices('/') {
                let parent = &entry.path()[..i];
                if all.contains(parent) {
                    return Err(ManifestError::BelowFile(entry.path().to_owned(), parent.to_owned()));
                }
            }
        }
        let manifest = Self { entries };
        let total = manifest.total_bytes();
        if total > TOTAL_BYTES_MAX {
            return Err(ManifestError::TooLarge(total));
        }
        Ok(manifest)
    }
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
    pub fn total_bytes(&self) -> u64 {
        self.entries.iter().fold(0u64, |sum, e| match e {
            Entry::File { size, .. } => sum.saturating_add(*size),
            Entry::Link { .. } => sum,
        })
    }
    /// The canonical form the digest is taken over: one line per entry, in path order,
    /// `f PATH\0x|-\0SIZE\0BLAKE3\n` or `l PATH\0TARGET\n`. Paths hold no control characters, so it is unambiguous.
    pub fn canonical(&self) -> Vec<u8> {
        use std::io::Write;
        let mut out = b"tenfold artifact 1\n".to_vec();
        for entry in &self.entries {
            let wrote = match entry {
                Entry::File { path, executable, blake3, size } => {
                    writeln!(out, "f {path}\0{}\0{size}\0{blake3}", if *executable { 'x' } else { '-' })
                }
                Entry::Link { path, target } => writeln!(out, "l {path}\0{target}"),
            };
            wrote.expect("writing to memory does not fail");
        }
        out
    }
    /// Names the artifact: the same files give the same digest on every machine.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical())
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            entries: Vec<Entry>,
        }
        Self::new(Raw::deserialize(d)?.entries).map_err(serde::de::Error::custom)
    }
}

fn check_path(path: &str) -> Result<(), ManifestError> {
    let refuse = |why| Err(ManifestError::Path(path.chars().take(200).collect(), why));
    if path.len() > PATH_BYTES_MAX {
        return refuse("it is longer than 1024 bytes");
    }
    if path.starts_with('/') {
        return refuse("it is absolute");
    }
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return refuse("it holds a control character or a backslash");
    }
    for part in path.split('/') {
        match part {
            "" => return refuse("it has an empty part"),
            "." | ".." => return refuse("it has a part `.` or `..`"),
            _ => {}
        }
    }
    Ok(())
}

/// Walks the target from the link's folder; it may never rise above the root of the artifact. `..` is taken at the start
/// only: after a name it could climb out of another link's target.
fn check_link(path: &str, target: &str) -> Result<(), ManifestError> {
    let escapes = || ManifestError::LinkEscapes(path.to_owned(), target.chars().take(200).collect());
    if target.is_empty()
        || target.starts_with('/')
        || target.len() > PATH_BYTES_MAX
        || target.chars().any(char::is_control)
    {
        return Err(escapes());
    }
    let mut depth = path.matches('/').count();
    let mut descended = false;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if descended => return Err(escapes()),
            ".." => depth = depth.checked_sub(1).ok_or_else(escapes)?,
            _ => descended = true,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Entry {
        Entry::File { path: path.into(), executable: false, blake3: Digest::of(b"x"), size: 1 }
    }
    fn link(path: &str, target: &str) -> Entry {
        Entry::Link { path: path.into(), target: target.into() }
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_given() {
        let a = Manifest::new(vec![file("b"), file("a/c")]).unwrap();
        let b = Manifest::new(vec![file("a/c"), file("b")]).unwrap();
        assert_eq!(a.digest(), b.digest());
        let json = serde_json::to_string(&a).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), a);
    }

    #[test]
    fn the_digest_sees_mode_size_content_path_and_link() {
        let base = Manifest::new(vec![file("a")]).unwrap().digest();
        let others = [
            vec![file("b")],
            vec![Entry::File { path: "a".into(), executable: true, blake3: Digest::of(b"x"), size: 1 }],
            vec![Entry::File { path: "a".into(), executable: false, blake3: Digest::of(b"y"), size: 1 }],
            vec![Entry::File { path: "a".into(), executable: false, blake3: Digest::of(b"x"), size: 2 }],
            vec![link("a", "b")],
        ];
        for entries in others {
            assert_ne!(Manifest::new(entries).unwrap().digest(), base);
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        for path in ["/etc/passwd", "../x", "a/../../x", "a//b", "", "./a", "a/.", "a\\b", "a\nb", "a\0b"] {
            assert!(matches!(Manifest::new(vec![file(path)]), Err(ManifestError::Path(..))), "{path:?}");
        }
        assert!(Manifest::new(vec![file(&"a".repeat(1025))]).is_err());
    }

    #[test]
    fn links_stay_inside() {
        for (path, target) in
            [("a", "/etc"), ("a", "../b"), ("d/a", "../../b"), ("d/a", "x/../../../b"), ("m", "d/l/.."), ("a", "")]
        {
            assert!(matches!(Manifest::new(vec![link(path, target)]), Err(ManifestError::LinkEscapes(..))), "{target}");
        }
        assert!(Manifest::new(vec![link("d/a", "../b"), file("b")]).is_ok());
    }

    #[test]
    fn nothing_is_written_through_a_link_or_a_file() {
        let below = Manifest::new(vec![link("a", "b"), file("a/x")]);
        assert!(matches!(below, Err(ManifestError::BelowFile(..))));
        // `a-` sorts between `a` and `a/x`
        let below = Manifest::new(vec![file("a"), file("a-"), file("a/x")]);
        assert!(matches!(below, Err(ManifestError::BelowFile(..))));
        assert!(matches!(Manifest::new(vec![file("a"), file("a")]), Err(ManifestError::Duplicate(_))));
        assert!(matches!(Manifest::new(vec![]), Err(ManifestError::Empty)));
    }

    #[test]
    fn a_digest_is_strict_about_its_text() {
        let d = Digest::of(b"");
        assert_eq!(Digest::parse(&d.to_string()), Some(d));
        assert_eq!(Digest::parse(&d.to_string().to_uppercase()), None);
        assert_eq!(Digest::parse("../../etc/passwd"), None);
    }
}
