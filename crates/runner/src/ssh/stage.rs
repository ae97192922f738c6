//! Bringing a release to a host: what the current one has is linked, the rest comes as one archive, and what stands there
//! afterwards is compared with the artifact before it becomes a release.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tenfold_deploys::{Digest, Manifest, manifest::Entry};
use tenfold_protocols::agent::{FromAgent, OrderRef};
use tenfold_protocols::capistrano::{self, Layout, Standing};
use tenfold_protocols::tar;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;

use super::host::{Answer, Refusal, SshAgent};
use super::release::{self, Note};
use super::scripts;

/// At least 1 MB/s is asked for.
const TRANSFER: Duration = Duration::from_mins(1);
const CALL: Duration = Duration::from_mins(1);
const CHUNK_BYTES: usize = 128 * 1024;
/// Files whose SHA-256 is remembered.
const SUMS_MAX: usize = 200_000;

/// SHA-256 of the server's files, which are kept by another digest: hosts have `sha256sum`, few have anything newer.
#[derive(Default)]
pub(super) struct Sums(Mutex<HashMap<Digest, [u8; 32]>>);

impl Sums {
    /// Blocks.
    fn of(&self, digest: Digest, path: &Path) -> io::Result<[u8; 32]> {
        if let Some(known) = self.0.lock().get(&digest) {
            return Ok(*known);
        }
        let mut hasher = Sha256::new();
        io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
        let sum: [u8; 32] = hasher.finalize().into();
        let mut sums = self.0.lock();
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
        let wanted = self.standing(manifest).await?;
        let digest = manifest.digest();
        if let Some(there) = layout.releases.iter().find(|r| release::digest(r) == digest) {
            let stands = self.tree(&format!("{folder}/releases/{}", there.name)).await?;
            if self.differs(&wanted, &stands, false).is_none() {
                return Ok(());
            }
            tracing::warn!(host = %self.host.name, release = %there.name, "a release was changed by hand; it is made anew");
        }
        let name = release::fresh_name(&layout, self.app.now());
        let base = self.base(&layout).filter(|(_, base)| base.digest() != digest);
        if let Some((current, base)) = &base {
            let kept = kept(manifest, base);
            self.fill(order, &folder, &name, manifest, Some((current, &kept)), say).await?;
        } else {
            self.fill(order, &folder, &name, manifest, None, say).await?;
        }
        let part = format!("{folder}/.tenfold/part-{name}");
        let mut wrong = self.differs(&wanted, &self.tree(&part).await?, true);
        if wrong.is_some() && base.is_some() {
            // what was linked had been changed by hand
            self.fill(order, &folder, &name, manifest, None, say).await?;
            wrong = self.differs(&wanted, &self.tree(&part).await?, true);
        }
        if let Some(path) = wrong {
            return Err(Refusal::Failed(format!("{path} is not what the artifact has there")));
        }
        let note = Note { digest: digest.to_string(), deploy: order.deploy, since: self.app.now(), run: None };
        let (epoch, text) = (order.epoch.to_string(), note.text());
        let mut args = vec![folder.as_str(), &epoch, &name, &text];
        args.extend(self.host.linked_dirs.iter().map(String::as_str));
        self.fenced(scripts::PUBLISH, &args, CALL, &[]).await.map(|_| ())
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
        name: &str,
        manifest: &Manifest,
        linked: Option<(&String, &Vec<&str>)>,
        say: &super::host::Say,
    ) -> Answer<()> {
        let epoch = order.epoch.to_string();
        let (other, list) = match linked {
            Some((other, paths)) => (other.as_str(), paths.iter().flat_map(|p| [p, "\0"]).collect::<String>()),
            None => ("", String::new()),
        };
        self.fenced(scripts::BEGIN, &[folder, &epoch, name, other], CALL, list.as_bytes()).await?;
        let have: std::collections::BTreeSet<&str> =
            linked.map(|(_, paths)| paths.iter().copied().collect()).unwrap_or_default();
        let rest: Vec<&Entry> = manifest.entries().iter().filter(|e| !have.contains(e.path())).collect();
        let bytes = rest.iter().map(|e| if let Entry::File { size, .. } = e { *size } else { 0 }).sum::<u64>();
        let total = manifest.total_bytes();
        let digest = tenfold_protocols::agent::BlobDigest(*manifest.digest().bytes());
        let progress = |have_bytes| FromAgent::Staging { order: order.clone(), digest, have_bytes, total_bytes: total };
        say(progress(total.saturating_sub(bytes)));
        let within = TRANSFER + Duration::from_secs(bytes / 1_000_000);
        let command = scripts::command(&scripts::fenced(scripts::UNPACK), &[folder, &epoch, name]);
        let now_s = u64::try_from(self.app.now().millis() / 1_000).unwrap_or(0);
        let answer = self.line.call(&command, within, 4_096, |stdin| archive(&self.app, &rest, now_s, stdin)).await;
        super::host::plain(&answer?)?;
        self.app.blob_sent("ssh", bytes);
        say(progress(total));
        Ok(())
    }

    /// What the artifact's tree looks like from over there.
    async fn standing(&self, manifest: &Manifest) -> Answer<BTreeMap<String, Standing>> {
        let (sums, blobs, manifest) = (self.sums.clone(), self.app.blobs(), manifest.clone());
        let sum = move || {
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

    async fn tree(&self, folder: &str) -> Answer<BTreeMap<String, Standing>> {
        let command = scripts::command(scripts::TREE, &[folder]);
        let said = self.line.ask(&command, TRANSFER, &[], capistrano::ANSWER_BYTES_MAX).await?;
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
        let shared = |path: &str| {
            self.host.linked_dirs.iter().any(|dir| path.strip_prefix(dir.as_str()).is_some_and(|r| r.starts_with('/')))
        };
        let missing = wanted
            .iter()
            .find(|(path, standing)| stands.get(*path) != Some(standing) && (exact || !shared(path)))
            .map(|(path, _)| path.clone());
        let extra = || stands.keys().find(|path| exact && !wanted.contains_key(*path)).cloned();
        missing.or_else(extra)
    }
}

/// Paths that are the same in both.
fn kept<'a>(manifest: &'a Manifest, base: &Manifest) -> Vec<&'a str> {
    let before: HashMap<&str, &Entry> = base.entries().iter().map(|e| (e.path(), e)).collect();
    manifest.entries().iter().filter(|e| before.get(e.path()) == Some(e)).map(Entry::path).collect()
}

async fn archive(app: &tenfold_app::App, entries: &[&Entry], now_s: u64, mut to: ChildStdin) -> io::Result<()> {
    let blobs = app.blobs();
    let mut chunk = vec![0; CHUNK_BYTES];
    for entry in entries {
        match entry {
            Entry::Link { path, target } => to.write_all(&tar::header(path, tar::Kind::Link { target }, now_s)).await?,
            Entry::File { path, executable, blake3, size } => {
                let kind = tar::Kind::File { executable: *executable, size: *size };
                to.write_all(&tar::header(path, kind, now_s)).await?;
                let mut file = tokio::fs::File::open(blobs.path(*blake3)).await?.take(*size);
                let mut sent = 0;
                loop {
                    let n = file.read(&mut chunk).await?;
                    if n == 0 {
                        break;
                    }
                    sent += n as u64;
                    to.write_all(&chunk[..n]).await?;
                }
                if sent != *size {
                    return Err(io::Error::other(format!("{path} is not whole on the server")));
                }
                to.write_all(&tar::END[..tar::padding(*size)]).await?;
            }
        }
    }
    to.write_all(&tar::END).await?;
    to.shutdown().await
}
