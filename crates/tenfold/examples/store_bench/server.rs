//! The three servers as processes: started, asked, measured, stopped and started again over the same data.

use std::io::{BufRead, BufReader, Error, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Of ours: StatsD's port is not taken.
pub const SETTINGS: &str = "[statsd]\nlisten = \"\"\n";

/// A server that does not answer for so long is given up.
const PATIENCE: Duration = Duration::from_mins(5);

/// The control group a server's processes run in, which counts what they use. Needs root; without it the process is asked.
struct Cgroup {
    dirs: Vec<PathBuf>,
    /// Processor time, and what one second is in it.
    cpu: (PathBuf, f64),
    peak: PathBuf,
}

impl Cgroup {
    fn make(name: &str) -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let own = format!("store-bench-{}-{name}", std::process::id());
        let made = |controller: &str| {
            let dir = root.join(controller).join(&own);
            std::fs::create_dir(&dir).ok().map(|()| dir)
        };
        if root.join("cgroup.controllers").exists() {
            let dir = made("")?;
            let (cpu, peak) = (dir.join("cpu.stat"), dir.join("memory.peak"));
            return Some(Self { dirs: vec![dir], cpu: (cpu, 1e6), peak });
        }
        let (cpu, memory) = (made("cpuacct")?, made("memory")?);
        let (usage, peak) = (cpu.join("cpuacct.usage"), memory.join("memory.max_usage_in_bytes"));
        Some(Self { dirs: vec![cpu, memory], cpu: (usage, 1e9), peak })
    }

    fn take(&self, pid: u32) {
        for dir in &self.dirs {
            std::fs::write(dir.join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }

    fn cpu_s(&self) -> f64 {
        let text = std::fs::read_to_string(&self.cpu.0).unwrap();
        let number = text.split_whitespace().find_map(|word| word.parse::<f64>().ok()).unwrap();
        number / self.cpu.1
    }

    fn peak_mib(&self) -> Option<f64> {
        let text = std::fs::read_to_string(&self.peak).ok()?;
        Some(text.trim().parse::<f64>().ok()? / f64::from(1 << 20))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.dirs.iter().for_each(|dir| drop(std::fs::remove_dir(dir)));
    }
}

pub struct Server {
    pub name: &'static str,
    cgroup: Option<Cgroup>,
    program: PathBuf,
    args: Vec<String>,
    child: Child,
    pub port: u16,
    pub token: String,
    pub data: PathBuf,
    /// Where blocks of samples lie, apart from logs and from what is no samples.
    pub blocks: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(program: &Path, args: &[String]) -> std::io::Result<Child> {
    Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Reads what the process says to its end, so that it never waits for a reader; the line with `wanted` comes back.
fn listen(child: &mut Child, wanted: Option<&'static str>) -> Option<String> {
    let (send, lines) = std::sync::mpsc::channel();
    let pipes: [Box<dyn Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    for pipe in pipes {
        let send = send.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if wanted.is_some_and(|w| line.contains(w)) {
                    let _ = send.send(line);
                }
            }
        });
    }
    drop(send);
    wanted.and_then(|_| lines.recv_timeout(PATIENCE).ok())
}

impl Server {
    fn start(name: &'static str, program: &Path, args: Vec<String>, port: u16, dirs: [PathBuf; 2]) -> Option<Self> {
        let Ok(child) = spawn(program, &args) else {
            eprintln!("{name} ({}) is not installed and is left out", program.display());
            return None;
        };
        let [data, blocks] = dirs;
        let cgroup = Cgroup::make(name);
        if let Some(group) = &cgroup {
            group.take(child.id());
        }
        Some(Self { name, cgroup, program: program.to_owned(), args, child, port, token: String::new(), data, blocks })
    }

    /// A process that is only watched, ready when its port answers.
    pub fn plain(name: &'static str, program: &Path, args: Vec<String>, port: u16) -> Option<Self> {
        let mut server = Self::start(name, program, args, port, [PathBuf::new(), PathBuf::new()])?;
        listen(&mut server.child, None);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "{name} did not start");
            std::thread::yield_now();
        }
        Some(server)
    }

    /// One request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
        Connection::open(self).unwrap().ask(method, path, headers, body).unwrap()
    }

    /// Sum of a metric on the server's own page; `None` where it tells of no such.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (status, page) = self.ask("GET", "/metrics", "", b"");
        assert_eq!(status, 200);
        let text = String::from_utf8(page).unwrap();
        let of = |line: &str| line.split(['{', ' ']).next() == Some(name);
        let values = text.lines().filter(|l| of(l)).filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok());
        values.reduce(|sum, value| sum + value)
    }

    /// Seconds of processor time: of the control group, or of the process to a hundredth.
    pub fn cpu_s(&self) -> f64 {
        if let Some(group) = &self.cgroup {
            return group.cpu_s();
        }
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // utime and stime, in hundredths.
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    /// The most memory it had: of the process, and of the control group, which counts the pages of its files as well.
    pub fn peak(&self) -> String {
        let process = self.memory_kib("VmHWM") / 1024.0;
        let group = self.cgroup.as_ref().and_then(Cgroup::peak_mib);
        let group = group.map(|mib| format!(", {mib:.0} with its files' pages")).unwrap_or_default();
        format!("{process:.0} MiB{group}")
    }

    /// A field of the process' status in KiB: `VmHWM`, `VmRSS`, `RssAnon`.
    pub fn memory_kib(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn stop(&mut self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
        let _ = self.child.wait();
    }

    /// Starts it again over its data; seconds until it answers a query with something.
    pub fn start_again(&mut self, probe: &str) -> f64 {
        let begun = Instant::now();
        self.child = spawn(&self.program, &self.args).unwrap();
        if let Some(group) = &self.cgroup {
            group.take(self.child.id());
        }
        listen(&mut self.child, None);
        let (_keep, wait) = std::sync::mpsc::channel::<()>();
        while begun.elapsed() < PATIENCE {
            if self.answers(probe) {
                return begun.elapsed().as_secs_f64();
            }
            let _ = wait.recv_timeout(Duration::from_millis(2));
        }
        panic!("{} did not answer after its start", self.name);
    }

    fn answers(&self, path: &str) -> bool {
        let asked = Connection::open(self).and_then(|mut c| c.ask("GET", path, "", b""));
        let value = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).ok();
        asked.is_ok_and(|(status, body)| {
            status == 200 && value(&body).is_some_and(|v| v["data"]["result"].as_array().is_some_and(|r| !r.is_empty()))
        })
    }

    /// Takes the files of the data out of the page cache, so that the next start reads them from the disk.
    pub fn forget_pages(&self) {
        // Only pages that the disk has can be taken out.
        let _ = Command::new("sync").status();
        each_file(&self.data, &mut |path| {
            let input = format!("if={}", path.display());
            let _ = Command::new("dd").arg(input).args(["iflag=nocache", "count=0", "status=none"]).status();
        });
    }
}

/// Calls `each` with every file below.
fn each_file(dir: &Path, each: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { each_file(&path, each) } else { each(&path) }
    }
}

/// Bytes of the files below; of those whose path has none of the words.
pub fn bytes_on_disk(dir: &Path, without: &[&str]) -> u64 {
    let mut sum = 0;
    each_file(dir, &mut |path| {
        let inside = path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned();
        if !without.iter().any(|w| inside.contains(w)) {
            sum += std::fs::symlink_metadata(path).map_or(0, |m| m.len());
        }
    });
    sum
}

pub struct Connection {
    reader: BufReader<TcpStream>,
    port: u16,
    token: String,
    /// Whether it has answered: then the other side may have closed it since.
    kept: bool,
}

/// Questions of [`wake_client`].
const WAKING_QUESTIONS: usize = 3;

/// Asks a listener of this process: what the client and an idle processor do for the first time after a pause takes longer,
/// which the server that is asked first would pay for.
pub fn wake_client() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = || {
        for stream in listener.incoming().take(WAKING_QUESTIONS) {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(answer);
        for _ in 0..WAKING_QUESTIONS {
            Connection::to(port, String::new()).unwrap().ask("GET", "/", "", b"").unwrap();
        }
    });
}

impl Connection {
    pub fn open(server: &Server) -> std::io::Result<Self> {
        Self::to(server.port, server.token.clone())
    }

    fn to(port: u16, token: String) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream), port, token, kept: false })
    }

    pub fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        let token = &self.token;
        let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\n{authorization}{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let first = self.begin(&head, body)?;
        let status: u16 = first.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or(Error::other("no status"))?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(n) = line.strip_prefix("content-length:") {
                length = n.trim().parse().unwrap();
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        let mut out = Vec::new();
        if !chunked {
            out.resize(length, 0);
            self.reader.read_exact(&mut out)?;
            return Ok((status, out));
        }
        loop {
            let len = usize::from_str_radix(&self.line()?, 16).map_err(Error::other)?;
            let mut part = vec![0; len + 2];
            self.reader.read_exact(&mut part)?;
            if len == 0 {
                return Ok((status, out));
            }
            out.extend_from_slice(&part[..len]);
        }
    }

    /// Sends a request and gives the first line of its answer. Of a kept connection nothing may come, since the other side has
    /// closed it (VictoriaMetrics' `-http.connTimeout`, two minutes): then the request goes out once more, on a new one.
    fn begin(&mut self, head: &str, body: &[u8]) -> std::io::Result<String> {
        let mut first = self.send(head, body);
        if first.is_err() && self.kept {
            *self = Self::to(self.port, std::mem::take(&mut self.token))?;
            first = self.send(head, body);
        }
        self.kept = first.is_ok();
        first
    }

    fn send(&mut self, head: &str, body: &[u8]) -> std::io::Result<String> {
        let stream = self.reader.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        self.line()
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(Error::other("the connection broke off"));
        }
        Ok(line.trim().to_owned())
    }
}

pub fn tenfold(dir: &Path, settings: &str) -> Option<Server> {
    let beside = std::env::current_exe().unwrap().parent()?.parent()?.join("tenfold");
    build("tenfold", std::env::var_os("TENFOLD_BIN").map_or(beside, PathBuf::from), dir, settings)
}

/// Another build of ours, to be compared with.
pub fn older(dir: &Path, settings: &str, program: PathBuf) -> Option<Server> {
    build("before", program, dir, settings)
}

fn build(name: &'static str, program: PathBuf, dir: &Path, settings: &str) -> Option<Server> {
    let (port, data) = (free_port(), dir.join(name));
    std::fs::create_dir_all(&data).unwrap();
    let config = dir.join(format!("{name}.toml"));
    std::fs::write(&config, settings).unwrap();
    let mut args = vec!["serve".to_owned(), "--listen".into(), format!("127.0.0.1:{port}"), "--data".into()];
    args.extend([data.display().to_string(), "--config".into(), config.display().to_string()]);
    let blocks = data.join("metrics/blocks");
    let mut server = Server::start(name, &program, args, port, [data, blocks])?;
    let said = listen(&mut server.child, Some("/setup?token=")).expect("tenfold says how it is set up");
    let setup = said.split_once("/setup?token=").unwrap().1.trim().to_owned();
    let body = format!(
        "{{\"token\":\"{setup}\",\"login\":\"ana\",\"name\":\"Ana\",\"password\":\"correct horse battery staple\"}}"
    );
    let json = "Content-Type: application/json\r\nSec-Fetch-Site: none\r\n";
    let (status, answer) = server.ask("POST", "/api/setup", json, body.as_bytes());
    assert!(status < 300, "{}", String::from_utf8_lossy(&answer));
    let cookie = login(&server);
    let headers = format!("{json}Cookie: {cookie}\r\n");
    let new = br#"{"name":"bench","kind":"robot","role":"admin"}"#;
    let (made, answer) = server.ask("POST", "/api/tokens", &headers, new);
    assert!(made < 300, "{}", String::from_utf8_lossy(&answer));
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    answer["secret"].as_str().unwrap().clone_into(&mut server.token);
    Some(server)
}

/// Signs in; the cookie of the session.
fn login(server: &Server) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let body = r#"{"login":"ana","password":"correct horse battery staple"}"#;
    write!(
        stream,
        "POST /api/session HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nSec-Fetch-Site: none\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find(|l| l.to_ascii_lowercase().starts_with("set-cookie:")).expect("a session");
    line[11..].trim().split(';').next().unwrap().to_owned()
}

pub fn prometheus(dir: &Path) -> Option<Server> {
    let (port, data) = (free_port(), dir.join("prometheus"));
    std::fs::create_dir_all(&data).unwrap();
    let config = dir.join("prometheus.yml");
    std::fs::write(&config, "global: {scrape_interval: 1h}\n").unwrap();
    let args = vec![
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", data.display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--web.enable-remote-write-receiver".into(),
    ];
    let mut server = Server::start("Prometheus", Path::new("prometheus"), args, port, [data.clone(), data])?;
    listen(&mut server.child, Some("ready to receive web requests")).expect("Prometheus starts");
    Some(server)
}

/// Its cache of results is off: the same question asked again would be looked up and not answered.
pub fn victoria(dir: &Path) -> Option<Server> {
    let (port, data) = (free_port(), dir.join("victoria"));
    let args = vec![
        format!("-storageDataPath={}", data.display()),
        format!("-httpListenAddr=127.0.0.1:{port}"),
        "-search.latencyOffset=0s".into(),
        "-search.disableCache".into(),
        // Some questions here touch more series than its default allows.
        "-search.maxUniqueTimeseries=1000000".into(),
    ];
    let mut server = Server::start("VictoriaMetrics", Path::new("victoria-metrics"), args, port, [data.clone(), data])?;
    listen(&mut server.child, Some("started VictoriaMetrics")).expect("VictoriaMetrics starts");
    Some(server)
}
