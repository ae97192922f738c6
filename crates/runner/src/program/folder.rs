//! The folder of one program: a checkout and its own `tmp` and `home`. Beside it lies its step, by which the program is found
//! again after a restart.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use futures_util::StreamExt;

use super::step::Step;
use crate::{files, git::Mirror};

/// Ends the name of a step's folder.
const STEP: &str = "step";
/// Begins the name of what is no program's any more.
const ASIDE: &str = "aside-";
/// So many are ended and removed at once.
const TIDY_AT_ONCE: usize = 8;

/// `ROOT/NAME`. Names begin with the deploy's number: `12`, `12-before_promote`.
pub(crate) struct Folder {
    dir: PathBuf,
}

impl Folder {
    pub fn new(root: &Path, name: &str) -> Self {
        Self { dir: root.join(name) }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn source(&self) -> PathBuf {
        self.dir.join("src")
    }

    /// Beside the folder, which belongs to the program: it must not say how it ended.
    pub fn step(&self) -> Step {
        Step::new(self.dir.with_extension(STEP))
    }

    /// A clean checkout of the commit, whatever was here and ran here before, owned by `owner` where the program has a user of
    /// its own. The answer is the time of the commit, in seconds.
    pub async fn check_out(&self, mirror: &Mirror, sha: &str, owner: Option<u32>) -> Result<i64, String> {
        self.clear().await?;
        for folder in ["src", "tmp", "home"] {
            tokio::fs::create_dir_all(self.dir.join(folder)).await.map_err(|e| self.io(&e))?;
        }
        let commit = mirror.commit(sha).await.map_err(|f| f.message)?;
        mirror.checkout(sha, &self.source(), &self.dir.join("index")).await.map_err(|f| f.message)?;
        let seconds = commit.at.millis() / 1000;
        self.hand_over(seconds, owner).await?;
        Ok(seconds)
    }

    /// Gives all of it one time and its owner.
    pub async fn hand_over(&self, seconds: i64, owner: Option<u32>) -> Result<(), String> {
        let dir = self.dir.clone();
        super::blocking(move || files::prepare(&dir, seconds, owner)).await?.map_err(|e| self.io(&e))
    }

    async fn clear(&self) -> Result<(), String> {
        self.step().clear().await?;
        let dir = self.dir.clone();
        super::blocking(move || files::remove(&dir)).await
    }

    /// Ends what runs there and removes it.
    pub async fn remove(&self) {
        if let Err(error) = self.clear().await {
            tracing::warn!(%error, "what is left of a program stays");
        }
    }

    /// Removes the files of a program that has come to its end, and leaves how it ended: a full disk, on which that cannot be
    /// written down, gets back what they hold.
    pub async fn remove_files(&self) {
        let dir = self.dir.clone();
        let _ = super::blocking(move || files::remove(&dir)).await;
    }

    fn io(&self, error: &std::io::Error) -> String {
        format!("the folder {} cannot be used: {error}", self.dir.display())
    }
}

/// Gives what is below a root, but for folders of these names, names that no program has: a later program finds nothing of it.
/// Takes no longer where much is left.
pub(crate) fn set_aside(root: &Path, kept: &[String]) {
    let mut number = 0u64;
    for name in names(root) {
        if name.starts_with(ASIDE) || kept.contains(&name) {
            continue;
        }
        let aside = loop {
            let aside = Folder::new(root, &format!("{ASIDE}{number}"));
            number += 1;
            if !aside.dir.exists() && !aside.step().dir().exists() {
                break aside;
            }
        };
        let folder = Folder::new(root, &name);
        // the step first: a program is found by it
        for (from, to) in [(folder.step().dir(), aside.step().dir()), (folder.dir(), aside.dir())] {
            if let Err(error) = std::fs::rename(from, to)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, dir = %from.display(), "what is left of a program stays");
            }
        }
    }
}

/// Ends and removes what was set aside, some at once: each may take seconds to end.
pub(crate) async fn tidy(root: &Path) {
    let aside: Vec<String> = names(root).into_iter().filter(|name| name.starts_with(ASIDE)).collect();
    let remove = |name: String| async move { Folder::new(root, &name).remove().await };
    futures_util::stream::iter(aside).for_each_concurrent(TIDY_AT_ONCE, remove).await;
}

/// The names of the folders below a root, with a step or without.
fn names(root: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(root) else { return BTreeSet::new() };
    let name = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_str()?;
        let step = name.strip_suffix(STEP).and_then(|name| name.strip_suffix('.'));
        Some(step.unwrap_or(name).to_owned())
    };
    entries.flatten().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_left_is_put_aside_at_once_and_removed_later() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["12/src", "12.step", "13.step", "14", "14.step", "aside-0.step"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        set_aside(root, &["14".to_owned()]);
        for name in ["12", "12.step", "13.step"] {
            assert!(!root.join(name).exists(), "{name}");
        }
        // nothing was removed for it, and what an earlier server put aside is not lost
        assert!(root.join("aside-1/src").is_dir() && root.join("aside-2.step").is_dir());
        assert!(root.join("aside-0.step").is_dir());
        // another program of the same name begins before the old one is gone
        std::fs::create_dir_all(root.join("12.step")).unwrap();
        tidy(root).await;
        let left: Vec<String> = names(root).into_iter().collect();
        assert_eq!(left, ["12", "14"]);
        assert!(root.join("12.step").is_dir() && root.join("14").is_dir() && root.join("14.step").is_dir());
    }
}
