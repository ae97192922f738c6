//! Git: a bare copy per repository in the data directory. The `git` command fetches it, writes checkouts and compares
//! patches; commits and what lies between two of them are read by gix in this process.
//!
//! Names from people never stand where git could read them as options, hooks and prompts are off, and only the protocols
//! file, https and ssh are spoken.

mod history;
mod range;
mod tree;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use gix::ObjectId;
use tenfold_app::deploys::ports::{Commit, CommitRange, Source};
use tenfold_types::Fault;
use tokio::process::Command;

use self::history::{History, Interrupt, Trouble};
use crate::process::inherited_env;

/// Longest a fetch may take.
const FETCH: Duration = Duration::from_mins(2);
/// Longest anything else may take.
const READ: Duration = Duration::from_secs(30);
/// Most commits listed of each side between two.
const COMMITS_MAX: usize = 400;
/// Most commits read to find what lies between two; the largest public histories are about as long.
const WALKED_MAX: usize = 2_000_000;
/// Most changed files named.
const CHANGED_MAX: usize = 20;
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most files and bytes of a checkout.
const CHECKOUT_FILES_MAX: u64 = 1_000_000;
const CHECKOUT_BYTES_MAX: u64 = 16 << 30;
const TEXT_CHARS_MAX: usize = 200;
const ID_DIGITS: usize = 40;
const REF_BYTES_MAX: usize = 255;

/// The local copy of one repository.
pub(crate) struct Mirror {
    dir: PathBuf,
    source: Source,
    limits: Limits,
}

/// How much history is read for one answer, and how much a checkout may hold.
#[derive(Debug, Clone, Copy)]
struct Limits {
    commits_max: usize,
    within: Duration,
    files_max: u64,
    bytes_max: u64,
}

impl Mirror {
    /// `root` holds all copies. The folder's name is made of the service and the address, so a service that moves to
    /// another repository gets a new copy.
    pub fn new(root: &Path, source: &Source) -> Self {
        let key = blake3::hash(source.repository.as_bytes()).to_hex();
        let name = format!("{}-{}.git", source.service, &key.as_str()[..16]);
        let (files_max, bytes_max) = (CHECKOUT_FILES_MAX, CHECKOUT_BYTES_MAX);
        let limits = Limits { commits_max: WALKED_MAX, within: READ, files_max, bytes_max };
        Self { dir: root.join(name), source: source.clone(), limits }
    }

    pub async fn fetch(&self) -> Result<(), Fault> {
        let address = &self.source.repository;
        if address.starts_with('-') || address.is_empty() {
            return Err(Fault::invalid(format!("`{address}` is not the address of a repository")));
        }
        if !self.dir.join("HEAD").exists() {
            tokio::fs::create_dir_all(&self.dir).await.map_err(|e| io("the folder of a repository", &e))?;
            self.git(&["init", "--quiet", "--bare", "."], READ).await?;
        }
        let branches = "+refs/heads/*:refs/heads/*";
        let tags = "+refs/tags/*:refs/tags/*";
        self.git(&["fetch", "--quiet", "--prune", "--no-write-fetch-head", "--", address, branches, tags], FETCH)
            .await
            .map(|_| ())
            .map_err(|fault| {
                Fault::unavailable(format!(
                    "the repository of {} could not be fetched: {}",
                    self.source.service, fault.message
                ))
            })
    }

    /// A branch first, then whatever else git knows by that name.
    pub async fn resolve(&self, reference: &str) -> Result<Commit, Fault> {
        check_ref(reference)?;
        for candidate in [format!("refs/heads/{reference}^{{commit}}"), format!("{reference}^{{commit}}")] {
            let found = self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &candidate], READ).await;
            if let Ok(text) = found {
                let sha = String::from_utf8_lossy(&text).trim().to_owned();
                return self.commit(&sha).await;
            }
        }
        Err(Fault::not_found(format!("`{reference}` is no branch, tag or commit of {}", self.source.service))
            .advice("push it first, or check the spelling"))
    }

    pub async fn commit(&self, sha: &str) -> Result<Commit, Fault> {
        let id = self.whole(sha).await?;
        self.history(move |history| history.commit(id)).await
    }

    /// What `to` adds to `from` and what it leaves out. Without `from` only the commit itself.
    ///
    /// A commit that was cherry-picked from one side to the other is on neither. That takes a comparison of patches, which
    /// is git's own answer and asked for only where both sides have commits.
    pub async fn commits(&self, from: Option<&str>, to: &str) -> Result<CommitRange, Fault> {
        let Some(from) = from else {
            return Ok(CommitRange { added: vec![self.commit(to).await?], added_count: 1, ..CommitRange::default() });
        };
        let (from, to, most) = (self.whole(from).await?, self.whole(to).await?, self.limits.commits_max);
        let sides = self.history(move |history| history.sides(from, to, most)).await?;
        let (mut removed, mut added) = (sides.left, sides.right);
        if !removed.is_empty() && !added.is_empty() {
            let picked = self.cherry_picked(from, to).await?;
            removed.retain(|id| !picked.contains(id));
            added.retain(|id| !picked.contains(id));
        }
        let (removed_count, added_count) = (count(&removed), count(&added));
        // each side by itself: many newer commits must not push the older side off the list
        removed.truncate(COMMITS_MAX);
        added.truncate(COMMITS_MAX);
        let listed = move |history: &History| Ok((history.commits(&added)?, history.commits(&removed)?));
        let (added, removed) = self.history(listed).await?;
        Ok(CommitRange { added, added_count, removed, removed_count })
    }

    /// Commits of either side whose patch the other side has as well.
    async fn cherry_picked(&self, from: ObjectId, to: ObjectId) -> Result<HashSet<ObjectId>, Fault> {
        let span = format!("{}...{}", from.to_hex(), to.to_hex());
        // `=` stands before a commit with a twin
        let marked = self.git(&["rev-list", "--cherry-mark", "--no-merges", &span, "--"], READ).await?;
        let twins = marked.split(|b| *b == b'\n').filter_map(|line| line.strip_prefix(b"="));
        twins
            .map(ObjectId::from_hex)
            .collect::<Result<_, _>>()
            .map_err(|e| Fault::internal(format!("git rev-list named no commit: {}", clean(&e.to_string()))))
    }

    /// The whole name of a commit, of which people may give the first digits.
    async fn whole(&self, sha: &str) -> Result<ObjectId, Fault> {
        check_sha(sha)?;
        let bad = |_| Fault::invalid(format!("`{}` is not a commit's name", clean(sha)));
        if sha.len() == ID_DIGITS {
            return ObjectId::from_hex(sha.as_bytes()).map_err(bad);
        }
        let asked = format!("{sha}^{{commit}}");
        let found = self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &asked], READ).await?;
        ObjectId::from_hex(found.trim_ascii()).map_err(bad)
    }

    /// Reads the history on a thread where it may block. It ends when nobody waits for it any more.
    async fn history<T: Send + 'static>(
        &self,
        read: impl FnOnce(&History) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Fault> {
        let asked = Asked(Interrupt::default());
        let (dir, interrupt) = (self.dir.clone(), asked.0.clone());
        let task = tokio::task::spawn_blocking(move || History::open(&dir, interrupt).and_then(|found| read(&found)));
        match tokio::time::timeout(self.limits.within, task).await {
            Ok(Ok(answer)) => answer.map_err(|trouble| self.fault(&trouble)),
            Ok(Err(ended)) => {
                Err(Fault::internal(format!("reading the history of {} failed: {ended}", self.source.service)))
            }
            Err(_) => Err(Fault::unavailable(format!(
                "reading the history of {} took longer than {} s",
                self.source.service,
                self.limits.within.as_secs()
            ))),
        }
    }

    fn fault(&self, trouble: &Trouble) -> Fault {
        let said = format!("the history of {} could not be read: {trouble}", self.source.service);
        match trouble {
            Trouble::Missing(_) => Fault::unavailable(said).advice(
                "if it is pushed and a fetch does not bring it, the copy is damaged: remove its folder, and the next fetch makes a new one",
            ),
            Trouble::Closed(_) | Trouble::Damaged(..) => Fault::unavailable(said)
                .advice("the copy is damaged: remove its folder, and the next fetch makes a new one"),
            Trouble::NotACommit(..) => Fault::invalid(said),
            Trouble::TooMany(_) | Trouble::Stopped => Fault::unavailable(said),
        }
    }

    /// Files that fit one of the patterns and differ between two commits; the first few.
    pub async fn changed(&self, from: &str, to: &str, patterns: &[String]) -> Result<Vec<String>, Fault> {
        check_sha(from)?;
        check_sha(to)?;
        // git keeps all differences in memory before it tells the first
        self.fits(to).await?;
        let patterns: Vec<String> = patterns.iter().map(|p| format!(":(top,glob){p}")).collect();
        let mut args = vec!["diff-tree", "-r", "-z", "--name-only", "--no-renames", from, to, "--"];
        args.extend(patterns.iter().map(String::as_str));
        let names = self.git(&args, READ).await?;
        let names = String::from_utf8_lossy(&names);
        Ok(names.split('\0').filter(|n| !n.is_empty()).take(CHANGED_MAX).map(str::to_owned).collect())
    }

    pub async fn file(&self, sha: &str, path: &str) -> Result<Option<String>, Fault> {
        check_sha(sha)?;
        let listed = self.git(&["ls-tree", "-z", "-l", "--full-tree", sha, "--", path], READ).await?;
        let listed = String::from_utf8_lossy(&listed);
        let Some(entry) = listed.split('\0').find(|e| !e.is_empty()) else { return Ok(None) };
        // `100644 blob OBJECT SIZE\tPATH`
        let fields: Vec<&str> = entry.split_whitespace().collect();
        let (kind, object) = (fields.get(1).copied(), fields.get(2).copied().unwrap_or(""));
        if kind != Some("blob") {
            return Ok(None);
        }
        // the text of a link is where it leads, which is nothing to read a file from
        if fields.first() == Some(&"120000") {
            return Err(Fault::invalid(format!("{path} is a symbolic link; commit the file itself in its place")));
        }
        let size = fields.get(3).and_then(|s| s.parse::<u64>().ok()).unwrap_or(u64::MAX);
        if size > FILE_BYTES_MAX {
            return Err(Fault::invalid(format!("{path} has {size} bytes, more than {FILE_BYTES_MAX}")));
        }
        let text = self.git(&["cat-file", "blob", object], READ).await?;
        String::from_utf8(text).map(Some).map_err(|_| Fault::invalid(format!("{path} is not UTF-8 text")))
    }

    /// Writes the files of a commit into an empty folder, without hooks and without a `.git`. One that would be too large is
    /// refused before anything is written.
    pub async fn checkout(&self, sha: &str, into: &Path, index: &Path) -> Result<(), Fault> {
        check_sha(sha)?;
        self.fits(sha).await?;
        let index = index.to_string_lossy().into_owned();
        let env = [("GIT_INDEX_FILE", index.as_str())];
        self.git_with(&["read-tree", sha], READ, &env, None).await?;
        self.git_with(&["checkout-index", "--all", "--force", "--quiet"], FETCH, &env, Some(into)).await?;
        Ok(())
    }

    async fn git(&self, args: &[&str], within: Duration) -> Result<Vec<u8>, Fault> {
        self.git_with(args, within, &[], None).await
    }

    async fn git_with(
        &self,
        args: &[&str],
        within: Duration,
        env: &[(&str, &str)],
        work_tree: Option<&Path>,
    ) -> Result<Vec<u8>, Fault> {
        let mut command = self.command(env, work_tree);
        let output = tokio::time::timeout(within, command.args(args).output())
            .await
            .map_err(|_| Fault::unavailable(format!("git {} took longer than {} s", args[0], within.as_secs())))?
            .map_err(|e| io("git", &e))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().find(|l| !l.trim().is_empty()).unwrap_or("it gave no reason");
        Err(Fault::unavailable(format!("git {} failed: {}", args[0], clean(said))))
    }

    fn command(&self, env: &[(&str, &str)], work_tree: Option<&Path>) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(inherited_env());
        // ssh finds its agent; nothing asks a question nobody can answer
        if let Ok(agent) = std::env::var("SSH_AUTH_SOCK") {
            command.env("SSH_AUTH_SOCK", agent);
        }
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", "file:https:ssh")
            .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
            .env("GIT_DIR", &self.dir)
            .env("LC_ALL", "C")
            .envs(env.iter().copied())
            .args(["-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0"])
            .current_dir(work_tree.unwrap_or(&self.dir))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(tree) = work_tree {
            command.env("GIT_WORK_TREE", tree);
        }
        command
    }
}

/// Somebody waits for an answer, until this is dropped.
struct Asked(Interrupt);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.set();
    }
}

fn count(ids: &[ObjectId]) -> u64 {
    u64::try_from(ids.len()).unwrap_or(u64::MAX)
}

fn clean(text: &str) -> String {
    text.trim_end_matches('\n').chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

fn check_sha(sha: &str) -> Result<(), Fault> {
    let ok = (7..=64).contains(&sha.len()) && sha.bytes().all(|b| b.is_ascii_hexdigit());
    if ok { Ok(()) } else { Err(Fault::invalid(format!("`{}` is not a commit's name", clean(sha)))) }
}

/// Branches, tags and commit names, and nothing else of git's revision language.
fn check_ref(reference: &str) -> Result<(), Fault> {
    let bad = reference.is_empty()
        || reference.len() > REF_BYTES_MAX
        || reference.starts_with(['-', '.', '/'])
        || reference.contains("..")
        || reference.contains("@{")
        || reference.chars().any(|c| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c));
    if bad {
        return Err(Fault::invalid(format!("`{}` is not the name of a branch, tag or commit", clean(reference))));
    }
    Ok(())
}

fn io(what: &str, error: &std::io::Error) -> Fault {
    Fault::internal(format!("{what} could not be used: {error}"))
}

#[cfg(test)]
mod tests;
