//! The log of one run: a file of JSON lines in the data directory, followed live by any number of readers.
//!
//! The file is the truth: it survives the server, and a reader that comes late or lags reads it first. A full disk loses
//! lines, never the deploy.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tenfold_types::Clock;
use tokio::sync::broadcast;

use super::{
    ports::{Mark, Stream},
    views::LogLine,
};

/// Most lines one run keeps.
const LINES_MAX: i64 = 100_000;
/// Most bytes one run keeps.
const BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Longest line.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// How many lines a slow follower may lag behind before it reads the file again.
const FOLLOW_LINES_MAX: usize = 1024;

struct Writer {
    file: Option<File>,
    next_seq: i64,
    bytes: u64,
    cut: bool,
    /// By run of a program, how far its output is in the file.
    taken: HashMap<String, u64>,
}

/// A line as it stands in the file: with where it came from, where that may be told again.
#[derive(Serialize)]
struct Kept<'a> {
    #[serde(flatten)]
    line: &'a LogLine,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<&'a Mark>,
}

#[derive(Deserialize)]
struct Marked {
    seq: i64,
    mark: Option<Mark>,
}

pub struct RunLog {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    writer: Mutex<Writer>,
    live: broadcast::Sender<Arc<LogLine>>,
}

impl RunLog {
    fn open(path: PathBuf, clock: Arc<dyn Clock>) -> Self {
        let mut next_seq = 1;
        let mut bytes = 0;
        let mut torn = false;
        let mut taken = HashMap::new();
        if let Ok(text) = std::fs::read(&path) {
            bytes = text.len() as u64;
            torn = text.last().is_some_and(|b| *b != b'\n');
            for line in lines_of::<Marked>(&path) {
                next_seq = line.seq + 1;
                if let Some(mark) = line.mark {
                    taken.insert(mark.run, mark.at);
                }
            }
        }
        let file = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| OpenOptions::new().create(true).append(true).open(&path));
        let mut file = match file {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the log of a deploy cannot be written");
                None
            }
        };
        if let (true, Some(file)) = (torn, &mut file) {
            let _ = file.write_all(b"\n");
        }
        let writer = Writer { file, next_seq, bytes, cut: next_seq > LINES_MAX || bytes > BYTES_MAX, taken };
        Self { path, clock, writer: Mutex::new(writer), live: broadcast::Sender::new(FOLLOW_LINES_MAX) }
    }

    /// Adds a text, line by line. Control characters other than tab are left out.
    pub fn say(&self, stream: Stream, host: Option<&str>, text: &str) {
        for line in text.lines() {
            self.line(stream, host, line, None);
        }
    }

    /// Adds what a program printed, but for lines that it has already.
    pub fn take(&self, stream: Stream, text: &str, mark: Option<&Mark>) {
        for line in text.lines() {
            self.line(stream, None, line, mark);
        }
    }

    fn line(&self, stream: Stream, host: Option<&str>, text: &str, mark: Option<&Mark>) {
        let mut clean: String = text.chars().filter(|c| *c == '\t' || !c.is_control()).collect();
        if clean.len() > LINE_BYTES_MAX {
            clean.truncate(clean.floor_char_boundary(LINE_BYTES_MAX));
            clean.push('…');
        }
        let mut writer = self.writer.lock();
        if writer.cut {
            return;
        }
        if let Some(mark) = mark {
            if writer.taken.get(&mark.run).is_some_and(|at| *at >= mark.at) {
                return;
            }
            writer.taken.insert(mark.run.clone(), mark.at);
        }
        if writer.next_seq >= LINES_MAX || writer.bytes >= BYTES_MAX {
            writer.cut = true;
            clean = format!("the log ends here: it has more than {LINES_MAX} lines or {BYTES_MAX} bytes");
        }
        let line =
            LogLine { seq: writer.next_seq, at: self.clock.now(), stream, host: host.map(str::to_owned), text: clean };
        writer.next_seq += 1;
        let mut text = serde_json::to_vec(&Kept { line: &line, mark }).unwrap_or_default();
        text.push(b'\n');
        writer.bytes += text.len() as u64;
        if let Some(file) = &mut writer.file
            && let Err(error) = file.write_all(&text)
        {
            tracing::warn!(%error, path = %self.path.display(), "a line of a deploy's log could not be written");
        }
        // sent under the lock, so that followers see the order of the file; an error says that nobody follows
        let _ = self.live.send(Arc::new(line));
    }

    /// Subscribe first, then read: what is in both is known by its `seq`.
    pub fn follow(&self) -> broadcast::Receiver<Arc<LogLine>> {
        self.live.subscribe()
    }

    /// Lines after `seq`.
    pub fn after(&self, seq: i64) -> Vec<LogLine> {
        lines_of::<LogLine>(&self.path).filter(|l| l.seq > seq).collect()
    }

    /// The last lines of a stream, as one text.
    pub fn tail(&self, lines: usize) -> String {
        let all: Vec<_> =
            lines_of::<LogLine>(&self.path).filter(|l| l.stream != Stream::Tenfold).map(|l| l.text).collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// Whole lines of the file; a torn one (the machine stopped in the middle of it) is left out.
fn lines_of<T: DeserializeOwned>(path: &Path) -> impl Iterator<Item = T> + use<T> {
    File::open(path)
        .ok()
        .into_iter()
        // a torn line may end in the middle of a character
        .flat_map(|file| BufReader::new(file).split(b'\n').map_while(Result::ok))
        .filter_map(|line| serde_json::from_slice(&line).ok())
}

/// The logs in use, opened once each.
#[derive(Default)]
pub(super) struct Logs {
    open: Mutex<HashMap<i64, Arc<RunLog>>>,
}

/// Logs kept open at once; finished ones are closed first.
const OPEN_MAX: usize = 64;

impl Logs {
    pub(super) fn get(&self, data_dir: &Path, clock: &Arc<dyn Clock>, number: i64) -> Arc<RunLog> {
        let mut open = self.open.lock();
        if open.len() >= OPEN_MAX {
            open.retain(|_, log| Arc::strong_count(log) > 1);
        }
        let path = data_dir.join("deploys").join(number.to_string()).join("log.jsonl");
        open.entry(number).or_insert_with(|| Arc::new(RunLog::open(path, clock.clone()))).clone()
    }
}

#[cfg(test)]
mod tests {
    use tenfold_testkit::TestClock;

    use super::*;

    #[test]
    fn a_log_goes_on_after_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
        let logs = Logs::default();
        let log = logs.get(dir.path(), &clock, 7);
        let mut live = log.follow();
        log.say(Stream::Out, None, "one\ntwo\u{1b}[31m");
        log.say(Stream::Tenfold, Some("host-1"), "three");
        assert_eq!(live.try_recv().unwrap().text, "one");
        assert_eq!(log.after(1).iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["two[31m", "three"]);
        // stopped in the middle of a character
        let path = dir.path().join("deploys/7/log.jsonl");
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"seq\":4,\"text\":\"\xc3").unwrap();
        let again = Logs::default().get(dir.path(), &clock, 7);
        again.say(Stream::Out, None, "four");
        let lines = again.after(0);
        assert_eq!(lines.iter().map(|l| (l.seq, l.text.as_str())).next_back(), Some((4, "four")));
        assert_eq!(lines.len(), 4);
        assert_eq!(again.tail(2), "two[31m\nfour");
    }

    /// Killed anywhere between a line of a program and the next, the log has each of them once.
    #[test]
    fn what_a_program_is_heard_to_say_again_is_kept_once() {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
        let said = ["one", "two", "two", "", "three"];
        let tell = |log: &RunLog, run: &str, count: usize| {
            for (at, text) in said.iter().enumerate().take(count) {
                let mark = Mark { run: run.to_owned(), at: 10 * (at as u64 + 1) };
                log.take(Stream::Out, text, Some(&mark));
            }
        };
        for heard in 0..=said.len() {
            let number = i64::try_from(heard).unwrap();
            let log = Logs::default().get(dir.path(), &clock, number);
            tell(&log, "first", heard);
            let again = Logs::default().get(dir.path(), &clock, number);
            tell(&again, "first", said.len());
            let text = |log: &RunLog| log.after(0).into_iter().map(|l| l.text).collect::<Vec<_>>();
            assert_eq!(text(&again), ["one", "two", "two", "three"], "killed after {heard}");
            tell(&again, "second", 1);
            assert_eq!(text(&again).last().map(String::as_str), Some("one"), "another run of it is heard anew");
        }
    }

    #[test]
    fn long_lines_are_cut_at_a_character() {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
        let log = Logs::default().get(dir.path(), &clock, 1);
        log.say(Stream::Out, None, &format!("x{}", "ä".repeat(LINE_BYTES_MAX)));
        assert!(log.after(0)[0].text.len() <= LINE_BYTES_MAX + 4);
    }
}
