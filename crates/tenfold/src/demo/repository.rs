//! The demo's git repository: the photos service with a history of several people, and the next commit on request.
//! Prepared commits first, one of them bad; when they are used up, small changes of a setting go on for ever.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tenfold_types::Timestamp;
use tokio::process::Command;

use super::files;

/// The first commit is this old when the demo starts.
const FIRST_COMMIT_AGE_MS: i64 = 26 * 60 * 60 * 1000;
/// Greetings that the endless small commits go through.
const GREETINGS: [&str; 4] = ["Good to see you", "Welcome back", "Hello again", "Hello from photos"];

pub struct Repository {
    path: PathBuf,
    next: usize,
}

/// A prepared commit: a patch with its author, subject and body on top.
struct Change {
    author: String,
    subject: String,
    body: String,
    patch: &'static str,
}

impl Repository {
    /// Writes the service as it began and commits it; `${NAME}` in its pipeline file becomes the value of that name.
    pub async fn create(path: &Path, now: Timestamp, values: &[(&str, &str)]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path)?;
        for (name, text) in files::below("photos/base/") {
            let file = path.join(name);
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&file, fill(text, values)).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let repository = Self { path: path.to_path_buf(), next: 0 };
        repository.git(&["init", "--quiet", "--initial-branch", "main"]).await?;
        repository.git(&["config", "user.name", "demo"]).await?;
        repository.git(&["config", "user.email", "demo@demo.example"]).await?;
        let first = Timestamp::from_millis(now.millis() - FIRST_COMMIT_AGE_MS);
        repository.commit("ana", "List photos and take uploads", "The service as it left the laptop.", first).await?;
        Ok(repository)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Commits the next change and returns its subject.
    pub async fn commit_next(&mut self, now: Timestamp) -> anyhow::Result<String> {
        let changes = changes()?;
        let subject = match changes.get(self.next) {
            Some(change) => {
                let patch = self.path.join(".git/next.patch");
                std::fs::write(&patch, change.patch)?;
                self.git(&["apply", "--index", ".git/next.patch"]).await?;
                self.commit(&change.author, &change.subject, &change.body, now).await?;
                change.subject.clone()
            }
            None => self.commit_small(self.next, now).await?,
        };
        self.next += 1;
        Ok(subject)
    }

    async fn commit_small(&self, turn: usize, now: Timestamp) -> anyhow::Result<String> {
        let path = self.path.join("settings.json");
        let mut settings: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        let greeting = GREETINGS[turn % GREETINGS.len()];
        settings["greeting"] = greeting.into();
        std::fs::write(&path, format!("{settings:#}\n"))?;
        let author = if turn.is_multiple_of(2) { "ana" } else { "mei" };
        let subject = format!("Greet people with \"{greeting}\"");
        self.commit(author, &subject, "A small change, shipped at once.", now).await?;
        Ok(subject)
    }

    async fn commit(&self, author: &str, subject: &str, body: &str, at: Timestamp) -> anyhow::Result<()> {
        self.git(&["add", "--all"]).await?;
        let author = format!("{author} <{author}@demo.example>");
        let date = format!("{} +0000", at.millis() / 1000);
        let output = self
            .command(&["commit", "--quiet", "--author", &author, "--date", &date, "-m", subject, "-m", body])
            .env("GIT_COMMITTER_DATE", &date)
            .output()
            .await?;
        check("commit", &output)
    }

    async fn git(&self, args: &[&str]) -> anyhow::Result<()> {
        let output = self.command(args).output().await.context("cannot run git; install it")?;
        check(args[0], &output)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.path).args(args);
        command
    }
}

fn check(what: &str, output: &std::process::Output) -> anyhow::Result<()> {
    if !output.status.success() {
        bail!("git {what} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_string(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

fn changes() -> anyhow::Result<Vec<Change>> {
    files::below("photos/changes/").map(|(_, text)| Change::read(text)).collect()
}

impl Change {
    fn read(text: &'static str) -> anyhow::Result<Self> {
        let (head, _) = text.split_once("\n---\n").context("a change has a line --- before its patch")?;
        let (fields, body) = head.split_once("\n\n").context("a change has a body after its fields")?;
        let field =
            |name: &str| fields.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_string());
        Ok(Self {
            author: field("From:").context("a change says who it is From")?,
            subject: field("Subject:").context("a change has a Subject")?,
            body: body.trim().to_string(),
            patch: text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    #[tokio::test]
    async fn the_history_is_written_by_several_people_and_goes_on_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut repository =
            Repository::create(&folder.path().join("photos"), NOW, &[("FLAGS_URL", "http://127.0.0.1:1")])
                .await
                .unwrap();
        let pipeline = std::fs::read_to_string(repository.path().join(".tenfold/deploy.yaml")).unwrap();
        assert!(pipeline.contains("FLAGS_URL: http://127.0.0.1:1\n"));
        let prepared = changes().unwrap().len();
        for _ in 0..prepared + 3 {
            repository.commit_next(NOW).await.unwrap();
        }
        let log = repository.command(&["log", "--format=%an %s"]).output().await.unwrap();
        let log = String::from_utf8(log.stdout).unwrap();
        assert_eq!(log.lines().count(), prepared + 4);
        assert!(log.lines().any(|line| line.starts_with("ana ")) && log.lines().any(|line| line.starts_with("mei ")));
        assert!(log.contains("mei Show the camera under each photo"), "the bad one is among them: {log}");
        let status = repository.command(&["status", "--porcelain"]).output().await.unwrap();
        assert!(status.stdout.is_empty(), "everything is committed");
    }
}
