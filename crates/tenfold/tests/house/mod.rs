//! What the tests of the house share: the repository's root, its files, and its crates as cargo sees them.

// Each test file is a crate of its own and uses a part of this.
#![expect(dead_code, reason = "every test file compiles this module and uses only some of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Folders that are made, not written.
const MADE: [&str; 8] = ["target", "node_modules", ".git", "dist", ".demo", "test-results", "corpus", "artifacts"];

pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().and_then(Path::parent).expect("crates/tenfold stands two folders below the root").to_path_buf()
}

/// A written file: its path below the root, with `/`, and its text.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// Every written text file below `folder` whose name ends in one of `endings`.
pub fn sources(folder: &str, endings: &[&str]) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut open = vec![root.join(folder)];
    while let Some(dir) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if !MADE.contains(&name.as_str()) && !path.is_symlink() {
                    open.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending))
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                let below = path.strip_prefix(&root).expect("walked from the root");
                found.push(Source { path: below.to_string_lossy().replace('\\', "/"), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// `cargo metadata` of the workspace, dependencies not resolved.
pub fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}
