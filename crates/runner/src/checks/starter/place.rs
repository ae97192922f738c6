//! Where a plugin begins. What it needs first, its program, its libraries and what the kernel knows of both, is in the caches of the
//! processor where the last one ran; on another one it has to come from there, and two that begin at one time on two processors
//! take it from each other. So who was done at once the last time begins on the starter's processor, one after the other.
//!
//! Nobody is kept there: a plugin may go to any processor as soon as the starter runs again, which is when the plugin waits, ends or
//! has had its share of some milliseconds. What it has started until then stays on the processor. That is why a plugin of which
//! nothing is known, or that takes longer, begins wherever the kernel likes.

use std::collections::HashSet;
use std::ffi::CString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

/// Of starts that follow one another, those of so long begin here. The others do not wait for them.
const HERE: Duration = Duration::from_millis(8);
/// Commands that are known to be done at once; when there are more, all are learned anew.
const KNOWN_MAX: usize = 16_384;
/// The thread that asks.
const THIS: Pid = Pid::from_raw(0);

/// A program with its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Command(u64);

impl Command {
    pub fn of(argv: &[CString]) -> Self {
        let mut hasher = DefaultHasher::new();
        argv.hash(&mut hasher);
        Self(hasher.finish())
    }
}

#[derive(Debug)]
pub(super) struct Place {
    /// The processors that all may use. None where that is one, or is not known: nothing is done then.
    all: Option<CpuSet>,
    known: HashSet<Command>,
    /// The first of the starts that follow one another.
    since: Option<Instant>,
    /// This thread is held on one processor, and who is started with it.
    held: bool,
}

impl Place {
    pub fn new() -> Self {
        let several = |all: &CpuSet| (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu) == Ok(true)).nth(1).is_some();
        let all = sched_getaffinity(THIS).ok().filter(several);
        Self { all, known: HashSet::new(), since: None, held: false }
    }

    /// Before a start: who is known to be done at once begins here, anybody else wherever there is room.
    pub fn choose(&mut self, command: Command, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let here = self.known.contains(&command) && now.saturating_duration_since(since) < HERE;
        if here && !self.held {
            self.hold();
        } else if !here {
            self.release();
        }
    }

    /// After a start.
    pub fn free(&self, pid: Pid) {
        if self.held
            && let Some(all) = &self.all
        {
            // It may have ended.
            let _ = sched_setaffinity(pid, all);
        }
    }

    /// No start follows.
    pub fn end(&mut self) {
        self.since = None;
        self.release();
    }

    /// How it went with one.
    pub fn learn(&mut self, command: Command, at_once: bool) {
        if self.all.is_none() {
            return;
        }
        if !at_once {
            self.known.remove(&command);
            return;
        }
        if self.known.len() >= KNOWN_MAX && !self.known.contains(&command) {
            self.known.clear();
        }
        self.known.insert(command);
    }

    fn hold(&mut self) {
        let Ok(cpu) = sched_getcpu() else { return };
        let mut here = CpuSet::new();
        self.held = self.all.is_some() && here.set(cpu).is_ok() && sched_setaffinity(THIS, &here).is_ok();
    }

    /// What does not succeed is tried again with the next start.
    fn release(&mut self) {
        if self.held
            && let Some(all) = &self.all
        {
            self.held = sched_setaffinity(THIS, all).is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(name: &str) -> Command {
        Command::of(&[CString::new(name).unwrap()])
    }

    /// How many processors this thread may use.
    fn width() -> usize {
        let all = sched_getaffinity(THIS).unwrap();
        (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu).unwrap()).count()
    }

    #[test]
    fn who_was_done_at_once_begins_here_and_nobody_else_does() {
        let mut place = Place::new();
        let (all, now) = (width(), Instant::now());
        place.learn(command("quick"), true);
        place.learn(command("slow"), true);
        place.learn(command("slow"), false);
        let later = now + HERE;
        let starts =
            [("unknown", now, all), ("quick", now, 1), ("slow", now, all), ("quick", now, 1), ("quick", later, all)];
        for (name, at, wanted) in starts {
            place.choose(command(name), at);
            assert_eq!(width(), wanted, "{name}");
        }
        place.choose(command("quick"), now);
        place.end();
        assert_eq!(width(), all, "no start follows");
        place.choose(command("quick"), later);
        assert_eq!(width(), 1, "a start that follows none");
    }

    #[test]
    fn what_was_started_here_may_go_elsewhere() {
        let mut place = Place::new();
        place.learn(command("quick"), true);
        place.choose(command("quick"), Instant::now());
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        place.free(pid);
        place.end();
        let (its, ours) = (sched_getaffinity(pid), sched_getaffinity(THIS));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(its, ours);
    }

    #[test]
    fn what_is_known_has_a_limit() {
        let mut place = Place::new();
        for n in 0..=KNOWN_MAX {
            place.learn(command(&n.to_string()), true);
            assert!(place.known.len() <= KNOWN_MAX);
        }
    }
}
