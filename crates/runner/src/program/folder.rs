//! The folder of one program: a checkout and its own `tmp` and `home`. Beside it lies its step, by which the program is found
//! again after a restart.

use std::path::{Path, PathBuf};

use super::step::Step;
use crate::{files, git::Mirror};

/// Ends the name of a step's folder.
const STEP: &str = "step";

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

    /// The same for a program that has come to its end, the step last: a server that comes in between still finds that end. Not
    /// where the files are asked for as well.
    pub async fn remove_ended(&self) {
        let dir = self.dir.clone();
        let _ = super::blocking(move || files::remove(&dir)).await;
        self.remove().await;
    }

    fn io(&self, error: &std::io::Error) -> String {
        format!("the folder {} cannot be used: {error}", self.dir.display())
    }
}

/// Ends and removes what is below a root but for folders of these names.
pub(crate) async fn tidy(root: &Path, kept: &[String]) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().map(|n| n.strip_suffix(".step").unwrap_or(n)) else { continue };
        if !kept.iter().any(|kept| kept == name) {
            Folder::new(root, name).remove().await;
        }
    }
}
