//! The process that starts plugins: one thread, one loop, little memory. It is told what to start on its socket, and says there
//! what became of it.
//!
//! A plugin costs it two pipes, the start itself, one wait, one kill of the group and a read. That a plugin has ended it hears by
//! SIGCHLD through one descriptor for all of them, and then waits a little for others. Nothing wakes for the output of who is done at
//! once: it is in the pipes when they are gone. Who takes longer is listened to, since a pipe holds little.
//!
//! It never outlives the server: when the socket closes, however that came, it kills every group and ends.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, dup2_stdin, pipe2, read, setsid};

use super::frames::{End, OUTPUT_BYTES_MAX, REQUEST_BYTES_MAX, Request, next_body, read_request, write_answer};
use super::place::{Command, Place};

/// Plugins at one time; the server asks for less.
const RUNNING_MAX: usize = 2_048;
/// Two pipes a plugin, and some.
const OPEN_FILES: u64 = 2 * RUNNING_MAX as u64 + 64;
/// Who is not done by then is listened to.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Who has ended waits so long for others while plugins run: one turn takes leave of all, and the server wakes once for them.
const LINGER: Duration = Duration::from_millis(3);
/// While so many bytes are not taken by the server, it is not listened to.
const SAID_BYTES_MAX: usize = 8 << 20;
/// Bytes of one read; a pipe holds no more unless it was made larger.
const READ_BYTES: usize = 64 << 10;
const EVENTS_MAX: usize = 256;

/// What an event is about: the two low bits, before them the pid.
const SOCKET: u64 = 0;
const ENDS: u64 = 1;
const OUT: u64 = 2;
const ERR: u64 = 3;

/// The exit code says how it went: 0 when the server went away, 2 when it was not started by a server, 3 when it could not go on.
pub(crate) fn main() -> u8 {
    let mut starter = match Starter::new() {
        Ok(starter) => starter,
        Err(error) => {
            eprintln!("this verb is started by the server for its plugins, not by hand: {error}");
            return 2;
        }
    };
    match starter.serve() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("no more plugins are started: {error}");
            3
        }
    }
}

/// One end of a pipe, and what came out of it.
#[derive(Debug)]
struct Stream {
    fd: Option<OwnedFd>,
    patient: bool,
    kept: Vec<u8>,
}

impl Stream {
    const fn new(fd: OwnedFd) -> Self {
        Self { fd: Some(fd), patient: true, kept: Vec::new() }
    }

    /// Reads once, and never waits: how many bytes came. Its end closes it.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let Some(fd) = &self.fd else { return 0 };
        // The two ends of a pipe have flags of their own: the plugin's is as it expects it.
        if self.patient && fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).is_err() {
            self.fd = None;
            return 0;
        }
        self.patient = false;
        match read(fd, buffer) {
            Ok(0) => self.fd = None,
            Ok(n) => {
                let room = OUTPUT_BYTES_MAX - self.kept.len();
                self.kept.extend_from_slice(&buffer[..n.min(room)]);
                return n;
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.fd = None,
        }
        0
    }

    /// What is there when the program has ended. Who else has the pipe open is not waited for, and may never stop writing.
    fn drain(&mut self, buffer: &mut [u8]) -> Vec<u8> {
        while self.take(buffer) == buffer.len() && self.kept.len() < OUTPUT_BYTES_MAX {}
        std::mem::take(&mut self.kept)
    }
}

#[derive(Debug)]
struct Plugin {
    id: u64,
    command: Command,
    began: Instant,
    deadline: Instant,
    /// None when nobody waits for it any more: it was killed, and is not gone yet.
    streams: Option<(Stream, Stream)>,
}

struct Starter {
    socket: UnixStream,
    epoll: Epoll,
    ends: SignalFd,
    attributes: PosixSpawnAttr,
    environment: Vec<CString>,
    place: Place,
    running: HashMap<i32, Plugin>,
    /// Of all that somebody waits for, the first first.
    deadlines: BTreeSet<(Instant, i32)>,
    /// Who is listened to when it is still there then; pid and id.
    quick: VecDeque<(Instant, i32, u64)>,
    /// Bytes of requests that are not whole.
    came: Vec<u8>,
    /// Answers that are not written.
    said: Vec<u8>,
    /// Since when it is known that somebody has ended. The signal is not heard again before leave is taken.
    ended_since: Option<Instant>,
    /// Plugins were started since leave was taken last, and may be done.
    started: bool,
    interest: EpollFlags,
    buffer: Vec<u8>,
}

impl Drop for Starter {
    fn drop(&mut self) {
        for pid in self.running.keys() {
            let _ = killpg(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }
}

impl Starter {
    fn new() -> io::Result<Self> {
        let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        socket.local_addr()?;
        socket.set_nonblocking(true)?;
        // Plugins have it from here on, without anything done for each of them.
        dup2_stdin(File::open("/dev/null")?)?;
        // A session of its own: keys pressed at the server's terminal are not for plugins, and the server finds by it what is left
        // when this process is killed.
        setsid()?;
        more_files();
        let mut blocked = SigSet::empty();
        // It ends with the server and not before: a service manager asks all processes to end at once.
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            blocked.add(signal);
        }
        blocked.thread_block()?;
        let mut wanted = SigSet::empty();
        wanted.add(Signal::SIGCHLD);
        let ends = SignalFd::with_flags(&wanted, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let interest = EpollFlags::EPOLLIN;
        epoll.add(&socket, EpollEvent::new(interest, SOCKET))?;
        epoll.add(&ends, next_end())?;
        Ok(Self {
            socket,
            epoll,
            ends,
            attributes: attributes()?,
            environment: environment(),
            place: Place::new(),
            running: HashMap::new(),
            deadlines: BTreeSet::new(),
            quick: VecDeque::new(),
            came: Vec::new(),
            said: Vec::new(),
            ended_since: None,
            started: false,
            interest,
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Returns when the server is gone.
    fn serve(&mut self) -> Result<(), String> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            let timeout = self.next_turn(Instant::now());
            let count = match self.epoll.wait(&mut events, timeout) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(errno) => return Err(errno.to_string()),
            };
            for event in &events[..count] {
                let pid = (event.data() >> 2) as i32;
                match event.data() & 3 {
                    SOCKET => {
                        if event.events() != EpollFlags::EPOLLOUT && !self.hear()? {
                            return Ok(());
                        }
                    }
                    ENDS => self.ended_since = Some(Instant::now()),
                    OUT => self.listen(pid, |(out, _)| out),
                    _ => self.listen(pid, |(_, err)| err),
                }
            }
            let now = Instant::now();
            if self.is_time_to_reap(now) {
                self.reap(now)?;
            }
            self.time_out(now);
            self.listen_to_slow(now);
            if self.say().is_err() {
                return Ok(());
            }
        }
    }

    /// How long there is nothing to do by itself.
    fn next_turn(&mut self, now: Instant) -> EpollTimeout {
        // Most are done before they are to be listened to.
        while let Some((_, pid, id)) = self.quick.front()
            && self.running.get(pid).is_none_or(|plugin| plugin.id != *id)
        {
            self.quick.pop_front();
        }
        let timed_out = self.deadlines.first().map(|(at, _)| *at);
        let slow = self.quick.front().map(|(at, ..)| *at);
        let ended = self.ended_since.map(|since| since + LINGER);
        let Some(next) = [timed_out, slow, ended].into_iter().flatten().min() else { return EpollTimeout::NONE };
        let ms = next.saturating_duration_since(now).as_micros().div_ceil(1_000);
        EpollTimeout::from(u16::try_from(ms).unwrap_or(u16::MAX))
    }

    /// Takes requests. False when the server is gone.
    fn hear(&mut self) -> Result<bool, String> {
        match (&self.socket).read(&mut self.buffer) {
            Ok(0) => return Ok(false),
            Ok(n) => self.came.extend_from_slice(&self.buffer[..n]),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return Ok(true),
            Err(_) => return Ok(false),
        }
        let mut came = std::mem::take(&mut self.came);
        let mut rest = &came[..];
        while let Some(body) = next_body(&mut rest, REQUEST_BYTES_MAX).map_err(|e| e.to_string())? {
            match read_request(body).map_err(|e| e.to_string())? {
                Request::Start { id, timeout_ms, argv } => self.start(id, timeout_ms, &argv),
                Request::End { id } => self.end(id),
            }
        }
        self.place.end();
        let read = came.len() - rest.len();
        came.drain(..read);
        self.came = came;
        Ok(true)
    }

    fn start(&mut self, id: u64, timeout_ms: u32, argv: &[CString]) {
        if self.running.len() >= RUNNING_MAX {
            return self.answer(id, &End::NotStarted(format!("{RUNNING_MAX} plugins run already")));
        }
        let command = Command::of(argv);
        self.place.choose(command, Instant::now());
        let (pid, out, err) = match self.spawn(argv) {
            Ok(started) => started,
            Err(errno) => return self.answer(id, &End::NotStarted(io::Error::from(errno).to_string())),
        };
        self.place.free(pid);
        let now = Instant::now();
        let deadline = now + Duration::from_millis(u64::from(timeout_ms));
        let streams = Some((Stream::new(out), Stream::new(err)));
        self.running.insert(pid.as_raw(), Plugin { id, command, began: now, deadline, streams });
        self.started = true;
        self.deadlines.insert((deadline, pid.as_raw()));
        self.quick.push_back((now + AT_ONCE, pid.as_raw(), id));
    }

    /// With the pipes of its output and of its complaints.
    fn spawn(&self, argv: &[CString]) -> nix::Result<(Pid, OwnedFd, OwnedFd)> {
        let program = argv.first().ok_or(Errno::EINVAL)?;
        let (out, out_end) = pipe2(OFlag::O_CLOEXEC)?;
        let (err, err_end) = pipe2(OFlag::O_CLOEXEC)?;
        let mut actions = PosixSpawnFileActions::init()?;
        // Neither is one of the first three, which are open in this process.
        actions.add_dup2(out_end.as_raw_fd(), 1)?;
        actions.add_dup2(err_end.as_raw_fd(), 2)?;
        let pid = posix_spawn(program.as_c_str(), &actions, &self.attributes, argv, &self.environment)?;
        Ok((pid, out, err))
    }

    /// Kills a plugin for which nobody waits any more.
    fn end(&mut self, id: u64) {
        let Some((pid, plugin)) = self.running.iter_mut().find(|(_, plugin)| plugin.id == id) else { return };
        if plugin.streams.take().is_some() {
            self.deadlines.remove(&(plugin.deadline, *pid));
            let _ = killpg(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }

    fn time_out(&mut self, now: Instant) {
        while let Some(&(deadline, pid)) = self.deadlines.first()
            && deadline <= now
        {
            self.deadlines.pop_first();
            let Some(plugin) = self.running.get_mut(&pid) else { continue };
            plugin.streams = None;
            let id = plugin.id;
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
            self.answer(id, &End::TimedOut);
        }
    }

    /// Somebody may have ended, and has not to wait for others. Who ended in time has not timed out.
    fn is_time_to_reap(&self, now: Instant) -> bool {
        if self.started {
            return true;
        }
        let Some(since) = self.ended_since else { return false };
        let due = self.deadlines.first().is_some_and(|(deadline, _)| *deadline <= now);
        due || self.running.len() <= 1 || now.saturating_duration_since(since) >= LINGER
    }

    /// Takes leave of those that have ended, and hears of the next one from then on.
    fn reap(&mut self, now: Instant) -> Result<(), String> {
        // One of a kind is kept, however many came.
        let _ = self.ends.read_signal();
        self.take_leave(now);
        self.started = false;
        if self.ended_since.take().is_some() {
            self.epoll.modify(&self.ends, &mut next_end()).map_err(|errno| errno.to_string())?;
        }
        Ok(())
    }

    /// Of those that have ended, and ends with each what it has started.
    fn take_leave(&mut self, now: Instant) {
        loop {
            let (pid, code, signal) = match waitid(Id::All, ended_already()) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Some(code), 0),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, None, signal as i32),
                // By a signal that has no name.
                Err(Errno::EINVAL) => match self.ended_without_name() {
                    Some(pid) => (pid, None, 0),
                    None => return,
                },
                Ok(_) | Err(_) => return,
            };
            // Its number is its own, and its group's, until it is waited for: nobody else can be hit.
            let _ = killpg(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
            self.ended(pid.as_raw(), code, signal, now);
        }
    }

    fn ended_without_name(&self) -> Option<Pid> {
        let ended = |pid: &Pid| waitid(Id::Pid(*pid), ended_already()) == Err(Errno::EINVAL);
        self.running.keys().map(|pid| Pid::from_raw(*pid)).find(ended)
    }

    fn ended(&mut self, pid: i32, code: Option<i32>, signal: i32, now: Instant) {
        let Some(plugin) = self.running.remove(&pid) else { return };
        let at_once = code.is_some() && now.saturating_duration_since(plugin.began) < AT_ONCE;
        self.place.learn(plugin.command, at_once);
        let Some((mut out, mut err)) = plugin.streams else { return };
        self.deadlines.remove(&(plugin.deadline, pid));
        let end = match code {
            Some(code) => {
                let said = out.drain(&mut self.buffer);
                let output = if is_blank(&said) { no_data(err.drain(&mut self.buffer)) } else { said };
                End::Exited { code: u8::try_from(code).unwrap_or(u8::MAX), output }
            }
            None => End::Signal(u8::try_from(signal).unwrap_or(0)),
        };
        self.answer(plugin.id, &end);
    }

    fn listen(&mut self, pid: i32, which: impl Fn(&mut (Stream, Stream)) -> &mut Stream) {
        if let Some(streams) = self.running.get_mut(&pid).and_then(|plugin| plugin.streams.as_mut()) {
            which(streams).take(&mut self.buffer);
        }
    }

    fn listen_to_slow(&mut self, now: Instant) {
        while let Some(&(at, pid, id)) = self.quick.front()
            && at <= now
        {
            self.quick.pop_front();
            let Some(plugin) = self.running.get_mut(&pid).filter(|plugin| plugin.id == id) else { continue };
            let Some((out, err)) = &mut plugin.streams else { continue };
            for (stream, tag) in [(out, OUT), (err, ERR)] {
                // A first read, so that it does not wait from now on.
                stream.take(&mut self.buffer);
                if let Some(fd) = &stream.fd {
                    let about = ((pid as u64) << 2) | tag;
                    // It is told of once: a process that just begins may have a pipe open for a moment that is closed here, and the
                    // end of its other side would be told of all the while. Who goes on writing is told of again.
                    let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
                    // What cannot be listened to is read when the plugin has ended, or it runs into its timeout.
                    let _ = self.epoll.add(fd, EpollEvent::new(flags, about));
                }
            }
        }
    }

    fn answer(&mut self, id: u64, end: &End) {
        write_answer(&mut self.said, id, end);
    }

    /// Gives the server what it has to know. What it does not take goes on when it does.
    fn say(&mut self) -> io::Result<()> {
        let mut written = 0;
        while written < self.said.len() {
            match (&self.socket).write(&self.said[written..]) {
                Ok(n) => written += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        self.said.drain(..written);
        let mut interest = EpollFlags::empty();
        interest.set(EpollFlags::EPOLLIN, self.said.len() < SAID_BYTES_MAX);
        interest.set(EpollFlags::EPOLLOUT, !self.said.is_empty());
        if interest != self.interest {
            self.epoll.modify(&self.socket, &mut EpollEvent::new(interest, SOCKET))?;
            self.interest = interest;
        }
        Ok(())
    }
}

/// Tells of the next that ends, and then of no other.
fn next_end() -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, ENDS)
}

/// Asks for one that has ended, and leaves it to be asked for again.
fn ended_already() -> WaitPidFlag {
    WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT
}

/// A group of its own, and signals as a program finds them at a shell: what this process blocks, or Rust ignores, is not theirs.
fn attributes() -> nix::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigmask(&SigSet::empty())?;
    // Of each that is not named here glibc asks first how it stands, in the new process: 60 calls more.
    attributes.set_sigdefault(&SigSet::all())?;
    Ok(attributes)
}

/// The server gave this process what plugins may have, and nothing else.
fn environment() -> Vec<CString> {
    let pair = |(mut name, value): (std::ffi::OsString, std::ffi::OsString)| {
        name.push("=");
        name.push(value);
        CString::new(name.into_vec()).ok()
    };
    std::env::vars_os().filter_map(pair).collect()
}

/// As many open files as the most plugins need, where that is permitted.
fn more_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < OPEN_FILES
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES.min(hard), hard);
    }
}

fn is_blank(said: &[u8]) -> bool {
    said.iter().all(u8::is_ascii_whitespace)
}

/// A complaint, of which nothing is performance data: a usage text is full of `|`.
fn no_data(mut complaint: Vec<u8>) -> Vec<u8> {
    complaint.iter_mut().filter(|b| **b == b'|').for_each(|b| *b = b'/');
    complaint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_stops_writing_is_not_read_to_an_end() {
        let (out, mut end) = io::pipe().unwrap();
        let writes = std::thread::spawn(move || while end.write_all(&[b'x'; 16 << 10]).is_ok() {});
        let mut stream = Stream::new(out.into());
        assert!(stream.drain(&mut vec![0; READ_BYTES]).len() <= OUTPUT_BYTES_MAX);
        drop(stream);
        writes.join().unwrap();
    }
}
