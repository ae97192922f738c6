//! The folder of one run of a program, by which its keeper and the servers that follow it know of each other. It outlives
//! both, and never holds a secret.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use nix::errno::Errno;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::END_WITHIN;
use crate::process::ProcessId;

/// Its lines; the keeper holds a lock on it as long as it lives.
const OUTPUT: &str = "output";
/// Which program it is.
const ABOUT: &str = "about";
/// The time of this file is changed again and again while a server follows.
pub(super) const PULSE: &str = "pulse";
/// Made by a server that wants the program ended.
pub(super) const CANCEL: &str = "cancel";
/// Whom the keeper started: the leader of a process group.
pub(super) const PROCESS: &str = "process";
/// How it ended, written last and whole.
pub(super) const END: &str = "end";

/// Between two looks at a keeper that is to end.
const LOOK: Duration = Duration::from_millis(20);
/// A keeper has the program's time to clean up and this much to end.
const KEEPER_ENDS: Duration = Duration::from_secs(5);

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    Done,
    /// Why, for people.
    Failed(String),
    /// It was ended in the middle, since no server followed it.
    LeftAlone,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// The program, as whoever starts it tells it from others of the same folder: `deploy 4f2c91a`.
    pub what: String,
    /// This one run of it.
    pub run: String,
}

pub(crate) struct Step {
    dir: PathBuf,
}

impl Step {
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn about(&self) -> Option<About> {
        self.json(ABOUT)
    }

    pub(super) fn end(&self) -> Option<End> {
        self.json(END)
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.dir.join(name)).ok()?).ok()
    }

    pub(super) fn output(&self) -> io::Result<File> {
        File::open(self.dir.join(OUTPUT))
    }

    /// Whether its keeper lives.
    pub(super) fn runs(&self) -> bool {
        match self.output() {
            Ok(file) => matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
            // a server with too many open files cannot tell, and must not take what runs for lost
            Err(error) => [Errno::EMFILE, Errno::ENFILE].iter().any(|full| error.raw_os_error() == Some(*full as i32)),
        }
    }

    /// Whether it can be gone on with: it runs, or it has ended by itself.
    pub fn is_kept(&self) -> bool {
        // in this order: whoever writes the end is gone afterwards
        let runs = self.runs();
        let ended = matches!(self.end(), Some(End::Done | End::Failed(_)));
        (runs || ended) && !self.dir.join(CANCEL).exists()
    }

    /// Makes the folder. The answer is the output with the keeper's lock, which is the keeper's from its birth: it is given to
    /// it as its own.
    pub(super) fn begin(&self, about: &About) -> io::Result<File> {
        fs::create_dir(&self.dir)?;
        fs::write(self.dir.join(ABOUT), serde_json::to_vec(about)?)?;
        File::create_new(self.dir.join(PULSE))?;
        let output = OpenOptions::new().append(true).create_new(true).open(self.dir.join(OUTPUT))?;
        output.lock()?;
        Ok(output)
    }

    pub(super) fn pulse(&self) -> Pulse {
        let file = File::open(self.dir.join(PULSE)).ok();
        let last = file.as_ref().and_then(|f| f.metadata().ok()?.modified().ok());
        let since = last.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        Pulse { file, seconds: since.map_or(0, |since| since.as_secs()) }
    }

    /// Ends the program, if it runs, and all of it.
    pub async fn finish(&self) -> Result<(), String> {
        let process: Option<ProcessId> = self.json(PROCESS);
        if !self.runs() {
            // a keeper that was killed takes it along where there is a sandbox, and leaves it where there is none
            if let Some(process) = process.filter(|_| self.end().is_none()) {
                process.end(END_WITHIN).await;
            }
            return Ok(());
        }
        if let Err(error) = File::create(self.dir.join(CANCEL)) {
            // a full disk takes no file, but gives one up: without the pulse nobody follows
            let _ = fs::remove_file(self.dir.join(PULSE));
            tracing::warn!(%error, dir = %self.dir.display(), "a program could not be told to end");
        }
        if tokio::time::timeout(END_WITHIN + KEEPER_ENDS, self.gone()).await.is_ok() {
            return Ok(());
        }
        if let Some(process) = self.json::<ProcessId>(PROCESS) {
            process.end(Duration::ZERO).await;
        }
        let gone = tokio::time::timeout(KEEPER_ENDS, self.gone()).await;
        gone.map_err(|_| format!("what ran before in {} does not end", self.dir.display()))
    }

    async fn gone(&self) {
        while self.runs() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends what runs and removes the folder.
    pub async fn clear(&self) -> Result<(), String> {
        self.finish().await?;
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("the folder {} cannot be removed: {error}", self.dir.display()))
            }
            _ => Ok(()),
        }
    }
}

/// What tells the keeper that a server follows. It takes no room, so that a full disk ends nothing.
pub(super) struct Pulse {
    file: Option<File>,
    seconds: u64,
}

impl Pulse {
    /// Sets another time than it has: a number, and no time of day.
    pub fn beat(&mut self) {
        self.seconds += 1;
        let Some(file) = &self.file else { return };
        if let Err(error) = file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds)) {
            tracing::warn!(%error, "the keeper of a program cannot be told that it is followed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(dir: &tempfile::TempDir) -> (Step, File) {
        let step = Step::new(dir.path().join("12.step"));
        let about = About { what: "build".into(), run: "1-2-3".into() };
        let output = step.begin(&about).unwrap();
        assert_eq!(step.about(), Some(about));
        (step, output)
    }

    #[tokio::test]
    async fn it_is_kept_while_its_keeper_lives_and_when_it_left_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let (step, output) = begun(&dir);
        assert!(step.runs() && step.is_kept());
        drop(output);
        assert!(!step.runs() && !step.is_kept(), "nobody can say how it ended");
        for (end, kept) in
            [(End::Done, true), (End::Failed("it exited with code 1".into()), true), (End::LeftAlone, false)]
        {
            fs::write(step.dir().join(END), serde_json::to_vec(&end).unwrap()).unwrap();
            assert_eq!((step.is_kept(), step.end()), (kept, Some(end)));
        }
        fs::write(step.dir().join(END), "\"done\"").unwrap();
        fs::write(step.dir().join(CANCEL), "").unwrap();
        assert!(!step.is_kept(), "somebody has ended it");
        step.clear().await.unwrap();
        assert!(!step.dir().exists());
        step.clear().await.unwrap();
    }

    #[test]
    fn each_beat_is_another_time() {
        let dir = tempfile::tempdir().unwrap();
        let (step, _output) = begun(&dir);
        let time = || fs::metadata(step.dir().join(PULSE)).unwrap().modified().unwrap();
        let mut seen = vec![time()];
        // another server, and the one after it
        for _ in 0..2 {
            let mut pulse = step.pulse();
            for _ in 0..2 {
                pulse.beat();
                seen.push(time());
            }
        }
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
    }
}
