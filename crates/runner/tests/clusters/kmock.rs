//! The API server of `kmock_server.py`: a process that ends with the test, told what to do by lines.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

pub struct Kmock {
    pub url: String,
    pipes: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    _child: Child,
}

/// The Python of `e2e/clients/requirements.txt`, or the machine's own, where it has kmock.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var_os("TENFOLD_PYTHON").map(PathBuf::from);
    let own = [root.join("e2e/clients/.python/bin/python3"), root.join(".venv/bin/python3"), PathBuf::from("python3")];
    let has = |python: &PathBuf| {
        let out = std::process::Command::new(python).args(["-c", "import kmock"]).output();
        out.is_ok_and(|out| out.status.success())
    };
    named.into_iter().chain(own).find(has)
}

impl Kmock {
    /// Nothing where kmock is not installed.
    pub async fn start() -> Option<Self> {
        let Some(python) = python() else {
            tenfold_testkit::peer_is_missing(
                "the Python package kmock is not installed (node e2e/clients/install-python.mjs)",
            );
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clusters/kmock_server.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = output.next_line().await.unwrap().expect("the server starts");
        Some(Self { url, pipes: Mutex::new((input, output)), _child: child })
    }

    pub async fn tell(&self, command: Value) -> Value {
        let mut pipes = self.pipes.lock().await;
        pipes.0.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let line = pipes.1.next_line().await.unwrap().expect("the server lives");
        serde_json::from_str(&line).unwrap()
    }

    pub async fn create(&self, kind: &str, strategy: Value) {
        let template = json!({
            "metadata": {"labels": {"app": "photos"}},
            "spec": {"containers": [
                {"name": "web", "image": "registry.example/photos:by-hand", "env": [{"name": "MODE", "value": "production"}]},
                {"name": "proxy", "image": "registry.example/proxy:1"},
            ]},
        });
        let mut spec = json!({"replicas": 4, "selector": {"matchLabels": {"app": "photos"}}, "template": template});
        if !strategy.is_null() {
            spec["strategy"] = strategy;
        }
        let object = json!({"kind": kind, "metadata": {"name": "photos", "namespace": "shop"}, "spec": spec});
        self.tell(json!({"do": "create", "object": object})).await;
    }

    /// The thing's pod template.
    pub async fn template(&self) -> Value {
        self.tell(json!({"do": "objects"})).await["things"][0]["spec"]["template"].clone()
    }

    /// Patches that changed something, in order.
    pub async fn patches(&self) -> Vec<Value> {
        let Value::Array(log) = self.tell(json!({"do": "log"})).await else { panic!("no log") };
        let changed = |r: &Value| r["query"]["dryRun"].is_null() && r["refused"].is_null();
        log.into_iter().filter(|r| r["verb"] == "patch" && changed(r)).collect()
    }

    pub async fn fault(&self, verb: &str, resource: &str, status: u16, times: u32) {
        self.tell(json!({"do": "fault", "verb": verb, "resource": resource, "status": status, "times": times})).await;
    }
}
