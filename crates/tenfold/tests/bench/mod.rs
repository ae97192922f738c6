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
    /// Kept open, so that the server can go on talking.
    _said: BufReader<ChildStdout>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Bench {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("tenfold.toml");
        std::fs::write(&config, "[statsd]\nlisten = \"\"\n").unwrap();
        let mut server = Command::new(BINARY)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir.path().join("data"))
            .arg("--config")
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stdout.take().unwrap());
        // It prints this when it listens, so there is nothing to wait for afterwards.
        let link = loop {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "the server ended without a setup link");
            if line.contains("/setup?token=") {
                break line.trim().to_owned();
            }
        };
        let url = link.split("/setup").next().unwrap().to_owned();
        Self { dir, server, url, link, _said: said }
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, &[], "")
    }

    pub fn run_with(&self, args: &[&str], env: &[(&str, &str)], stdin: &str) -> Output {
        use std::io::Write;
        let mut child = Command::new(BINARY)
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("TENFOLD_URL")
            .env_remove("TENFOLD_TOKEN")
            .env("XDG_CONFIG_HOME", self.home())
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
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
