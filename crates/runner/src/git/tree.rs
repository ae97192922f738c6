//! How large the checkout of a commit would be. A repository of a few kilobytes can stand for a billion files, or for one file
//! that fills the disk: trees name trees many times, and zeros take no room in a pack. So the files are counted as git lists
//! them, which takes no memory, before git is asked for anything that it makes of all of them.

use std::{process::Stdio, time::Duration};

use tenfold_types::Fault;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{Limits, Mirror, io};

/// Counting goes over every file, and a large repository has many.
const COUNT: Duration = Duration::from_mins(1);

impl Mirror {
    /// Refuses a commit with more files, or more bytes in them, than a checkout may have.
    pub(super) async fn fits(&self, sha: &str) -> Result<(), Fault> {
        let mut child = self
            .command(&[], None)
            .args(["ls-tree", "-r", "-l", "-z", "--full-tree", sha])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| io("git", &e))?;
        let Some(stdout) = child.stdout.take() else { return Err(Fault::internal("git ls-tree has no output")) };
        let (mut entries, mut size) = (BufReader::new(stdout).split(b'\0'), Size::default());
        // where it is refused, git is ended with what is dropped here
        let counted = async {
            while let Some(entry) = entries.next_segment().await.map_err(|e| io("git", &e))? {
                size.add(&entry);
                size.check(self.limits)?;
            }
            let status = child.wait().await.map_err(|e| io("git", &e))?;
            Ok::<bool, Fault>(status.success())
        };
        let counted = tokio::time::timeout(COUNT, counted).await;
        let done =
            counted.map_err(|_| Fault::unavailable(format!("git ls-tree took longer than {} s", COUNT.as_secs())))?;
        if done? {
            return Ok(());
        }
        Err(Fault::unavailable("git ls-tree failed: the commit is not in the copy, or the copy is damaged"))
    }
}

#[derive(Default)]
struct Size {
    files: u64,
    bytes: u64,
}

impl Size {
    /// `100644 blob OBJECT SIZE\tPATH`; a submodule has no size.
    fn add(&mut self, entry: &[u8]) {
        let head = entry.split(|b| *b == b'\t').next().unwrap_or_default();
        let size = String::from_utf8_lossy(head).split_whitespace().nth(3).and_then(|size| size.parse::<u64>().ok());
        self.files += 1;
        self.bytes = self.bytes.saturating_add(size.unwrap_or(0));
    }

    fn check(&self, limits: Limits) -> Result<(), Fault> {
        let (files, bytes) = (limits.files_max, limits.bytes_max);
        let over = if self.files > files {
            format!("{files} files")
        } else if self.bytes > bytes {
            format!("{bytes} bytes")
        } else {
            return Ok(());
        };
        Err(Fault::invalid(format!("the checkout would have more than {over}"))
            .advice("leave out of the repository what is no source, or deploy from a smaller one"))
    }
}
