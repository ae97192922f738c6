//! What a checked delivery says. The three senders tell a push in nearly the same words.

use serde::Deserialize;

use super::{Forge, WebhookError};

/// Most commits of one push that are read; senders cut at 20 (GitLab) to 2048 (GitHub).
pub const COMMITS_MAX: usize = 100;
const TEXT_CHARS_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForgeEvent {
    /// The sender tries whether anybody is there.
    Ping,
    Push(Push),
    /// Something that is of no use here.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Every address the sender names for the repository, as [`repository_key`] writes them.
    pub repositories: Vec<String>,
    /// The branch; `None` for a tag.
    pub branch: Option<String>,
    pub tag: Option<String>,
    /// `None` when the branch is new.
    pub before: Option<String>,
    /// `None` when the branch was deleted.
    pub after: Option<String>,
    /// The login of whoever pushed.
    pub pusher: String,
    /// Oldest first, as sent.
    pub commits: Vec<PushedCommit>,
    /// As many as the sender counts.
    pub count: u64,
    pub forced: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedCommit {
    pub sha: String,
    pub author: String,
    /// The subject line.
    pub message: String,
}

pub(super) fn read(forge: Forge, kind: &str, body: &[u8]) -> Result<ForgeEvent, WebhookError> {
    match (forge, kind) {
        (Forge::Github, "ping") => return Ok(ForgeEvent::Ping),
        (Forge::Github | Forge::Gitea, "push") | (Forge::Gitlab, "Push Hook" | "Tag Push Hook") => {}
        _ => return Ok(ForgeEvent::Other),
    }
    let raw: Raw = serde_json::from_slice(body)
        .map_err(|e| WebhookError::Body(e.to_string().chars().take(TEXT_CHARS_MAX).collect()))?;
    raw.push().map(ForgeEvent::Push)
}

/// A push as any of them sends it; what one lacks stays empty.
#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    before: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    commits: Option<Vec<RawCommit>>,
    #[serde(default)]
    total_commits: Option<u64>,
    #[serde(default)]
    total_commits_count: Option<u64>,
    #[serde(default)]
    repository: RawRepository,
    /// GitLab's own name of the repository.
    #[serde(default)]
    project: RawRepository,
    #[serde(default)]
    user_username: Option<String>,
    #[serde(default)]
    pusher: RawPerson,
    #[serde(default)]
    sender: RawPerson,
}

#[derive(Deserialize)]
struct RawCommit {
    id: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    author: RawPerson,
}

/// GitHub and Gitea name the first three, GitLab the others.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawRepository {
    #[serde(rename = "clone_url")]
    clone: Option<String>,
    #[serde(rename = "ssh_url")]
    ssh: Option<String>,
    #[serde(rename = "html_url")]
    page: Option<String>,
    git_http_url: Option<String>,
    git_ssh_url: Option<String>,
    #[serde(rename = "web_url")]
    web: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawPerson {
    login: Option<String>,
    username: Option<String>,
    name: Option<String>,
}

impl RawPerson {
    fn word(&self) -> Option<&str> {
        [&self.login, &self.username, &self.name].into_iter().find_map(|w| w.as_deref().filter(|w| !w.is_empty()))
    }
}

impl Raw {
    fn push(self) -> Result<Push, WebhookError> {
        let wrong = |what: &str| WebhookError::Body(format!("`{what}` is not what a push has there"));
        let branch = self.reference.strip_prefix("refs/heads/").map(str::to_owned);
        let tag = self.reference.strip_prefix("refs/tags/").map(str::to_owned);
        if branch.iter().chain(&tag).any(|n| n.is_empty() || n.len() > 255 || n.chars().any(char::is_control)) {
            return Err(wrong("ref"));
        }
        let mut repositories: Vec<String> = [&self.repository, &self.project]
            .into_iter()
            .flat_map(|r| [&r.clone, &r.ssh, &r.page, &r.git_http_url, &r.git_ssh_url, &r.web])
            .flatten()
            .filter_map(|url| repository_key(url))
            .collect();
        repositories.sort();
        repositories.dedup();
        if repositories.is_empty() {
            return Err(wrong("repository"));
        }
        let mut commits = Vec::new();
        let all = self.commits.unwrap_or_default();
        let count = self.total_commits.or(self.total_commits_count).unwrap_or(all.len() as u64);
        for commit in all.into_iter().rev().take(COMMITS_MAX).rev() {
            commits.push(PushedCommit {
                sha: sha(&commit.id).ok().flatten().ok_or_else(|| wrong("commits"))?,
                author: clean(commit.author.word().unwrap_or("somebody")),
                message: clean(commit.message.lines().next().unwrap_or("")),
            });
        }
        let pusher = self.user_username.as_deref().filter(|w| !w.is_empty());
        let pusher = pusher.or_else(|| self.sender.word()).or_else(|| self.pusher.word()).unwrap_or("somebody");
        Ok(Push {
            branch,
            tag,
            before: sha(&self.before).map_err(|NoSha| wrong("before"))?,
            after: sha(&self.after).map_err(|NoSha| wrong("after"))?,
            pusher: clean(pusher),
            repositories,
            commits,
            count,
            forced: self.forced,
        })
    }
}

/// A text that is no commit's name.
struct NoSha;

/// The name of a commit; all zeros stand for none.
fn sha(text: &str) -> Result<Option<String>, NoSha> {
    if text.is_empty() {
        return Ok(None);
    }
    let ok = matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if ok { Ok(text.bytes().any(|b| b != b'0').then(|| text.to_owned())) } else { Err(NoSha) }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

/// An address of a repository without what differs between its spellings: `https://user@git.example:443/a/b.git`,
/// `ssh://git@git.example/a/b` and `git@git.example:a/b.git` are all `git.example/a/b`. `None` for what has no host.
pub fn repository_key(url: &str) -> Option<String> {
    let url = url.trim();
    let (authority, path) = match url.split_once("://") {
        Some((scheme, rest)) if !scheme.eq_ignore_ascii_case("file") => rest.split_once('/')?,
        Some(_) => return None,
        // scp's form
        None => url.split_once(':').filter(|(host, _)| !host.contains('/'))?,
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(name, port)| match port {
        "22" | "80" | "443" | "" => name,
        _ => host,
    });
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let fine = !host.is_empty() && !path.is_empty() && !url.chars().any(|c| c.is_control() || c.is_whitespace());
    fine.then(|| format!("{}/{path}", host.to_ascii_lowercase()))
}
