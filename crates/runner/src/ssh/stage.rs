//! Bringing a release to a host: what the current one has is linked, the rest comes as one archive in gzip, and what stands there
//! afterwards is compared with the artifact before it becomes a release.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tenfold_deploys::{Digest, Manifest, manifest::Entry};
use tenfold_protocols::agent::{FromAgent, OrderRef};
use tenfold_protocols::capistrano::{self, Layout, Standing};

use super::host::{Answer, CALL as LOOKUP, Refusal, SshAgent};
use super::release::{self, Note, Phase};
use super::scripts;

/// Added to what the bytes and entries take.
const CALL: Duration = Duration::from_mins(1);
/// At least 1 MB/s is asked for: of the line, and of the host's disk.
const BYTES_PER_S: u64 = 1_000_000;
const ENTRIES_PER_S: usize = 500;
/// Files whose SHA-256 is remembered.
const SUMS_MAX: usize = 200_000;

/// SHA-256 of the server's files, which are kept by another digest: hosts have `sha256sum`, few have anything newer.
#[derive(Default)]
pub(super) struct Sums {
    known: Mutex<HashMap<Digest, [u8; 32]>>,
    /// Held by the one who reads files: hosts that are given the same artifact at the same time share one reading.
    reading: Arc<tokio::sync::Mutex<()>>,
}

impl Sums {
    /// Blocks.
    fn of(&self, digest: Digest, path: &Path) -> io::Result<[u8; 32]> {
        if let Some(known) = self.known.lock().get(&digest) {
            return Ok(*known);
        }
        let mut hasher = Sha256::new();
        io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
        let sum: [u8; 32] = hasher.finalize().into();
        let mut sums = self.known.lock();
        if sums.len() >= SUMS_MAX {
            sums.clear();
        }
        sums.insert(digest, sum);
        Ok(sum)
    }
}

impl SshAgent {
    /// Holds the artifact ready, or says why not.
    pub(super) async fn stage(&self, order: &OrderRef, manifest: &Manifest, say: &super::host::Say) -> Answer<()> {
        let folder = self.folder(&order.service);
        let layout = self.layout(&order.service).await?;
        if layout.epoch > order.epoch {
            return Err(Refusal::Stale(layout.epoch));
        }
        self.linked_files(&folder).await?;
        let wanted = self.standing(manifest).await?;
        let digest = manifest.digest();
        let within = within(manifest.total_bytes(), manifest.entries().len());
        if let Some(there) = layout.releases.iter().find(|r| release::digest(r) == digest) {
            let stands = self.tree(&format!("{folder}/releases/{}", there.name), within).await?;
            if self.differs(&wanted, &stands, false).is_none() {
                return Ok(());
            }
            tracing::warn!(host = %self.host.name, release = %there.name, "a release was changed by hand; it is made anew");
        }
        let name = release::fresh_name(&layout, self.app.now());
        let epoch = order.epoch.to_string();
        let mut part = format!("{epoch}-{name}");
        let base = self.base(&layout).filter(|(_, base)| base.digest() != digest);
        let over_base = match &base {
            Some((current, base)) => {
                let kept = kept(manifest, base, &self.links());
                match self.fill(order, &folder, &part, manifest, Some((current, &kept)), say).await {
                    Ok(()) => {
                        let stands = self.tree(&format!("{folder}/.tenfold/part-{part}"), within).await?;
                        self.differs(&wanted, &stands, true).is_none()
                    }
                    Err(Refusal::Failed(error)) => {
                        tracing::warn!(host = %self.host.name, %error, "the current release cannot be built on; everything is sent");
                        false
                    }
                    Err(other) => return Err(other),
                }
            }
            None => false,
        };
        if !over_base {
            // a part of its own: the one over the base may have been changed by hand, or something may still write to it
            part.push_str("-whole");
            self.fill(order, &folder, &part, manifest, None, say).await?;
            let stands = self.tree(&format!("{folder}/.tenfold/part-{part}"), within).await?;
            if let Some(path) = self.differs(&wanted, &stands, true) {
                return Err(Refusal::Failed(format!("{path} is not what the artifact has there")));
            }
        }
        let note = Note {
            digest: digest.to_string(),
            deploy: order.deploy,
            since: self.app.now(),
            run: None,
            phase: Phase::Healthy,
            before: None,
        };
        let text = note.text().map_err(Refusal::Failed)?;
        let dirs = self.host.linked_dirs.len().to_string();
        let mut args = vec![folder.as_str(), &epoch, &name, &part, &text, &dirs];
        args.extend(self.links());
        self.fenced(scripts::PUBLISH, &args, within, &[]).await.map(|_| ())
    }

    /// What leads out of a release: folders first, then files.
    fn links(&self) -> Vec<&str> {
        self.host.linked_dirs.iter().chain(&self.host.linked_files).map(String::as_str).collect()
    }

    /// Files that are linked have to be there before, as Capistrano asks for: nobody but people puts them there.
    async fn linked_files(&self, folder: &str) -> Answer<()> {
        if self.host.linked_files.is_empty() {
            return Ok(());
        }
        let mut args = vec![folder];
        args.extend(self.host.linked_files.iter().map(String::as_str));
        let said =
            self.line.ask(&scripts::command(scripts::ABSENT, &args), LOOKUP, &[], capistrano::ANSWER_BYTES_MAX).await?;
        let absent: Vec<_> = String::from_utf8_lossy(&said).split_terminator('\0').map(str::to_owned).collect();
        if absent.is_empty() {
            return Ok(());
        }
        let what = absent.join(", ");
        Err(Refusal::Failed(format!(
            "{what} of linked_files is not in {folder}/shared; put it there, then deploy again"
        )))
    }

    /// The release in place, when it is one of an artifact that is kept here.
    fn base(&self, layout: &Layout) -> Option<(String, Manifest)> {
        let current = layout.find(&layout.current)?;
        let manifest = self.app.blobs().manifest(release::digest(current))?;
        Some((current.name.clone(), manifest))
    }

    /// Makes the tree aside: links, then the archive of the rest.
    async fn fill(
        &self,
        order: &OrderRef,
        folder: &str,
        part: &str,
        manifest: &Manifest,
        linked: Option<(&String, &Vec<&str>)>,
        say: &super::host::Say,
    ) -> Answer<()> {
        let epoch = order.epoch.to_string();
        let (other, list) = match linked {
            Some((other, paths)) => (other.as_str(), paths.iter().flat_map(|p| [p, "\0"]).collect::<String>()),
            None => ("", String::new()),
        };
        let linking = within(0, linked.map_or(0, |(_, paths)| paths.len()));
        self.fenced(scripts::BEGIN, &[folder, &epoch, part, other], linking, list.as_bytes()).await?;
        let have: std::collections::BTreeSet<&str> =
            linked.map(|(_, paths)| paths.iter().copied().collect()).unwrap_or_default();
        let rest: Vec<Entry> = manifest.entries().iter().filter(|e| !have.contains(e.path())).cloned().collect();
        let bytes = rest.iter().map(|e| if let Entry::File { size, .. } = e { *size } else { 0 }).sum::<u64>();
        let total = manifest.total_bytes();
        let digest = tenfold_protocols::agent::BlobDigest(*manifest.digest().bytes());
        let progress = |have_bytes| FromAgent::Staging { order: order.clone(), digest, have_bytes, total_bytes: total };
        say(progress(total.saturating_sub(bytes)));
        let within = within(bytes, rest.len());
        let made = self.archives.of(&self.app, rest).await;
        let held = made.map_err(|e| Refusal::Failed(format!("the archive for the host could not be made: {e}")))?;
        let within_s = within.as_secs().to_string();
        let command = scripts::command(&scripts::fenced(scripts::UNPACK), &[folder, &epoch, part, &within_s]);
        let answer = self.line.call(&command, within, 4_096, |stdin| held.archive.send(stdin)).await;
        super::host::plain(&answer?)?;
        self.app.blob_sent("ssh", held.archive.size);
        say(progress(total));
        Ok(())
    }

    /// What the artifact's tree looks like from over there.
    async fn standing(&self, manifest: &Manifest) -> Answer<BTreeMap<String, Standing>> {
        let (sums, blobs, manifest) = (self.sums.clone(), self.app.blobs(), manifest.clone());
        let turn = self.sums.reading.clone().lock_owned().await;
        let sum = move || {
            // let go when the reading is over, also where nobody waits for it any more
            let _turn = turn;
            let entry = |entry: &Entry| {
                let standing = match entry {
                    Entry::Link { target, .. } => Standing::Link { target: target.clone() },
                    Entry::File { executable, blake3, .. } => {
                        Standing::File { sha256: sums.of(*blake3, &blobs.path(*blake3))?, executable: *executable }
                    }
                };
                Ok((entry.path().to_owned(), standing))
            };
            manifest.entries().iter().map(entry).collect::<io::Result<BTreeMap<_, _>>>()
        };
        let done = tokio::task::spawn_blocking(sum).await.map_err(|e| Refusal::Failed(e.to_string()))?;
        done.map_err(|e| Refusal::Failed(format!("the artifact is not whole on the server: {e}")))
    }

    async fn tree(&self, folder: &str, within: Duration) -> Answer<BTreeMap<String, Standing>> {
        let command = scripts::command(scripts::TREE, &[folder]);
        let said = self.line.ask(&command, within, &[], capistrano::ANSWER_BYTES_MAX).await?;
        capistrano::tree(&said).map_err(|e| Refusal::Failed(e.to_string()))
    }

    /// The first path that is not as it should be; with `exact` also one that should not be there. What is linked from
    /// `shared` does not count.
    fn differs(
        &self,
        wanted: &BTreeMap<String, Standing>,
        stands: &BTreeMap<String, Standing>,
        exact: bool,
    ) -> Option<String> {
        let links = self.links();
        let shared = |path: &str| is_shared(path, &links);
        let missing = wanted
            .iter()
            .find(|(path, standing)| stands.get(*path) != Some(standing) && (exact || !shared(path)))
            .map(|(path, _)| path.clone());
        let extra = || stands.keys().find(|path| exact && !wanted.contains_key(*path)).cloned();
        missing.or_else(extra)
    }
}

/// How long something may take that touches this much.
fn within(bytes: u64, entries: usize) -> Duration {
    let entries_s = u64::try_from(entries / ENTRIES_PER_S).unwrap_or(u64::MAX / 2);
    CALL + Duration::from_secs((bytes / BYTES_PER_S).saturating_add(entries_s))
}

/// At or under what leads out of the release.
fn is_shared(path: &str, links: &[&str]) -> bool {
    links.iter().any(|link| path.strip_prefix(link).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Paths that are the same in both and stand in the release itself.
fn kept<'a>(manifest: &'a Manifest, base: &Manifest, links: &[&str]) -> Vec<&'a str> {
    let before: HashMap<&str, &Entry> = base.entries().iter().map(|e| (e.path(), e)).collect();
    let same = |e: &&Entry| before.get(e.path()) == Some(e) && !is_shared(e.path(), links);
    manifest.entries().iter().filter(same).map(Entry::path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_out_of_the_release_is_told_by_whole_names() {
        let dirs = ["log", "tmp/pids", "config/master.key"];
        for shared in ["log", "log/.keep", "tmp/pids/a/b", "config/master.key"] {
            assert!(is_shared(shared, &dirs), "{shared}");
        }
        for own in ["config/master.key.example", "logs/a", "log.txt", "tmp", "tmp/cache/a", "a/log/b"] {
            assert!(!is_shared(own, &dirs), "{own}");
        }
    }

    #[test]
    fn more_bytes_and_more_entries_get_more_time() {
        assert_eq!(within(0, 0), CALL);
        assert_eq!(within(4_000_000_000, 0), CALL + Duration::from_secs(4_000));
        assert_eq!(within(0, 50_000), CALL + Duration::from_secs(100));
        assert!(within(u64::MAX, usize::MAX) > CALL);
    }
}
