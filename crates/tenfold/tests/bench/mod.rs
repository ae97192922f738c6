//! A server of its own for a test, and the command line beside it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

pub const BINARY: &str = env!("CARGO_BIN_EXE_tenfold");
pub const PASSWORD: &str = "correct horse battery staple";

pub struct Bench {
    pub dir: tempfile::TempDir,
    pub server: Child,
    pub url: String,
    /// The link for the first account, as the server printed it.
    pub link: String,
    /// A command the server is started by, which becomes the server; mostly none.
    under: Vec<String>,
    /// Kept open, so that the server can go on talking.
    #[allow(dead_code, clippy::allow_attributes, reason = "only held")]
    said: BufReader<ChildStdout>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Starts a server and reads on until it says what is waited for.
fn serve(dir: &std::path::Path, under: &[String], wanted: &str) -> (Child, BufReader<ChildStdout>, String) {
    let mut words = under.iter().map(String::as_str).chain([BINARY]);
    let mut server = Command::new(words.next().expect("the server's own name at least"))
        .args(words)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(dir.join("data"))
        .arg("--config")
        .arg(dir.join("tenfold.toml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(server.stdout.take().unwrap());
    let line = loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "the server ended without saying {wanted}");
        if line.contains(wanted) {
            break line.trim().to_owned();
        }
    };
    (server, said, line)
}

impl Bench {
    #[allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its part")]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// With further settings.
    pub fn start_with(settings: &str) -> Self {
        Self::start_under(Vec::new(), settings)
    }

    /// By a command that becomes the server, with further settings.
    pub fn start_under(under: Vec<String>, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tenfold.toml"), format!("[statsd]\nlisten = \"\"\n{settings}")).unwrap();
        // It prints this when it listens, so there is nothing to wait for afterwards.
        let (server, said, link) = serve(dir.path(), &under, "/setup?token=");
        let url = link.split("/setup").next().unwrap().to_owned();
        Self { dir, server, url, link, under, said }
    }

    /// Kills the server with SIGKILL and starts it again on what it left, at another address.
    #[allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its part")]
    pub fn kill_and_start(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        let (server, said, line) = serve(self.dir.path(), &self.under, "tenfold listens on ");
        (self.server, self.said) = (server, said);
        line.trim_start_matches("tenfold listens on ").clone_into(&mut self.url);
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A call with its streams piped, for what goes on until it is ended.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.dir.path()).env_remove("TENFOLD_URL").env_remove("TENFOLD_TOKEN");
        command.env("XDG_CONFIG_HOME", self.home());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, &[], "")
    }

    pub fn run_with(&self, args: &[&str], env: &[(&str, &str)], stdin: &str) -> Output {
        use std::io::Write;
        let mut child = self.command(args).envs(env.iter().copied()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    pub fn set_up(&self) {
        let out = self.run_with(&["setup", &self.link, "ana", "--name", "Ana"], &[], &format!("{PASSWORD}\n"));
        assert_eq!(code(&out), 0, "{}", err(&out));
    }
}

pub fn code(out: &Output) -> i32 {
    out.status.code().unwrap()
}
pub fn text(out: &Output) -> String {
    String::from_utf8(out.stdout.clone()).unwrap()
}
pub fn err(out: &Output) -> String {
    String::from_utf8(out.stderr.clone()).unwrap()
}
