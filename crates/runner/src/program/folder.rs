//! The folder of one program: a checkout and its own `tmp` and `home`, with the process beside it, so that what a server left
//! when it was killed is found and ended.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{files, git::Mirror, process::ProcessId};

/// After SIGTERM a program gets this long to clean up.
pub(super) const END_WITHIN: Duration = Duration::from_secs(5);

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

    /// Beside the folder, which belongs to the program: it must not say which process the server ends.
    fn pid_file(&self) -> PathBuf {
        self.dir.with_extension("pid")
    }

    pub(super) async fn note(&self, id: ProcessId) -> Result<(), String> {
        let text = serde_json::to_vec(&id).unwrap_or_default();
        tokio::fs::write(self.pid_file(), text).await.map_err(|e| self.io(&e))
    }

    /// Ends what an earlier process of the server left.
    async fn end_leftover(&self) {
        if let Ok(text) = tokio::fs::read(self.pid_file()).await
            && let Ok(id) = serde_json::from_slice::<ProcessId>(&text)
        {
            id.end(END_WITHIN).await;
        }
        self.remove().await;
    }

    /// A clean checkout of the commit, whatever was here before, owned by `owner` where the program has a user of its own.
    /// The answer is the time of the commit, in seconds.
    pub async fn check_out(&self, mirror: &Mirror, sha: &str, owner: Option<u32>) -> Result<i64, String> {
        self.end_leftover().await;
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

    pub async fn remove(&self) {
        let dir = self.dir.clone();
        let _ = tokio::task::spawn_blocking(move || files::remove(&dir)).await;
        let _ = tokio::fs::remove_file(self.pid_file()).await;
    }

    pub(super) fn io(&self, error: &std::io::Error) -> String {
        format!("the folder {} cannot be used: {error}", self.dir.display())
    }
}

/// Ends and removes what is left of other deploys than these.
pub(crate) async fn tidy(root: &Path, unfinished: &[i64]) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().map(|n| n.strip_suffix(".pid").unwrap_or(n)) else { continue };
        let deploy = name.split('-').next().and_then(|n| n.parse::<i64>().ok());
        if deploy.is_none_or(|d| !unfinished.contains(&d)) {
            Folder::new(root, name).end_leftover().await;
        }
    }
}
