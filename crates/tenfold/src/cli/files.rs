//! apply and export: the configuration as files in a directory.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::Common;
use super::client::Client;
use super::out::{Exit, Failure, Out, list, talk, text};
use super::templates::with_templates;

/// The most files one apply sends.
const FILES_MAX: usize = 5_000;
const FILE_BYTES_MAX: u64 = 262_144;
/// Where the routing stands, which may name files of templates beside it.
const ROUTING_DIR: &str = "routing/";
/// The largest file with one thing in it.
const DEFINITION_BYTES_MAX: u64 = 1 << 20;

/// A file that was named, as text.
pub(super) fn text_of(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| Failure::misuse(format!("{} cannot be read: {e}", path.display())))
}

/// Make the server as the files say; twice changes nothing the second time.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold apply ./config --dry-run\n  tenfold apply ./config\n  tenfold apply ./config --prune"
)]
pub struct Apply {
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Say what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Also delete what has no file, of the kinds of which there is a file.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Apply {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let files = read(&self.dir)?;
        if files.is_empty() {
            return Err(Failure::misuse(format!("{} holds no .yaml file", self.dir.display()))
                .advice("write one with: tenfold export DIR"));
        }
        let body = json!({"files": files, "dry_run": self.dry_run, "prune": self.prune});
        let answer = client.post("/api/config/apply", &body).await?;
        out.answer(&answer, |answer| {
            let changes = list(answer, "changes").iter().filter(|c| text(c, "action") != "none");
            changes.map(|c| format!("{} {} {}", text(c, "action"), text(c, "kind"), text(c, "name"))).collect()
        });
        for change in list(&answer, "changes") {
            for note in list(change, "notes") {
                talk(&format!("{}: {}", text(change, "path"), note.as_str().unwrap_or("")));
            }
        }
        let changed = list(&answer, "changes").iter().filter(|c| text(c, "action") != "none").count();
        match (changed, self.dry_run) {
            (0, _) => talk("nothing to change"),
            (n, true) => talk(&format!("{n} to change; nothing was changed")),
            (n, false) => talk(&format!("{n} changed")),
        }
        Ok(Exit::Done)
    }
}

/// The `.yaml` files below a directory, by their path from there.
fn read(dir: &Path) -> Result<Vec<Value>, Failure> {
    let mut files = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        let fail = |e: std::io::Error| Failure::misuse(format!("{} cannot be read: {e}", at.display()));
        let mut entries = std::fs::read_dir(&at).map_err(fail)?.collect::<Result<Vec<_>, _>>().map_err(fail)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let kind = entry.file_type().map_err(fail)?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                todo.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                files.push(file(dir, &path)?);
            }
            if files.len() > FILES_MAX {
                return Err(Failure::misuse(format!("{} holds more than {FILES_MAX} files", dir.display())));
            }
        }
    }
    files.sort_by(|a, b| text(a, "path").cmp(text(b, "path")));
    Ok(files)
}

fn file(dir: &Path, path: &Path) -> Result<Value, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::misuse(format!("{}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| wrong(&e))?.len();
    if size > FILE_BYTES_MAX {
        return Err(wrong(&format!("the file has more than {FILE_BYTES_MAX} bytes")));
    }
    let content = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
    let name = path.strip_prefix(dir).unwrap_or(path).to_str().ok_or_else(|| wrong(&"the name is not UTF-8"))?;
    let content = if name.starts_with(ROUTING_DIR) { with_templates(path, content)? } else { content };
    Ok(json!({"path": name, "content": content}))
}

/// Write everything that is configured into files.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold export ./config")]
pub struct Export {
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Export {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let answer = client.get("/api/config/export", &[]).await?;
        let files = list(&answer, "files");
        for file in files {
            write(&self.dir, text(file, "path"), text(file, "content"))?;
        }
        out.answer(&answer, |_| files.iter().map(|f| text(f, "path").to_owned()).collect());
        talk(&format!("{} files in {}", files.len(), self.dir.display()));
        Ok(Exit::Done)
    }
}

/// A path from the server names a place below the directory and nowhere else.
fn write(dir: &Path, name: &str, content: &str) -> Result<(), Failure> {
    let relative = Path::new(name);
    let inside = relative.components().all(|c| matches!(c, std::path::Component::Normal(_)));
    if name.is_empty() || !inside {
        return Err(Failure::failed(format!("the server named the file `{name}`, which is not below the directory")));
    }
    let path = dir.join(relative);
    let fail = |e: std::io::Error| Failure::failed(format!("{} cannot be written: {e}", path.display()));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(fail)?;
    }
    std::fs::write(&path, content).map_err(fail)
}

/// A definition out of a file; JSON is YAML too.
pub(super) fn definition(path: &Path) -> Result<Map<String, Value>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::misuse(format!("{}: {why}", path.display()));
    if std::fs::metadata(path).map_err(|e| wrong(&e))?.len() > DEFINITION_BYTES_MAX {
        return Err(wrong(&format!("the file has more than {DEFINITION_BYTES_MAX} bytes")));
    }
    let yaml = std::fs::read_to_string(path).map_err(|e| wrong(&e))?;
    let read: Value = serde_saphyr::from_str(&yaml).map_err(|e| wrong(&e.without_snippet()))?;
    match read {
        Value::Object(fields) => Ok(fields),
        Value::Null => Err(wrong(&"there is nothing in the file")),
        _ => Err(wrong(&"the file has no keys; a definition is written as `key: value`")),
    }
}

/// A definition of what is put under a name. Files of `apply` and `export` say the name as well.
pub(super) fn definition_of(path: &Path, name: &str) -> Result<Value, Failure> {
    let mut fields = definition(path)?;
    match fields.remove("name") {
        Some(said) if said != name => {
            let said = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
            Err(Failure::misuse(format!("{}: `name` is `{said}`, but it is put as `{name}`", path.display()))
                .advice("put it under that name, or leave the key out"))
        }
        _ => Ok(Value::Object(fields)),
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "flags/a.yaml", "x: 1\n").unwrap();
        write(dir.path(), "services/b.yaml", "y: 2\n").unwrap();
        std::fs::write(dir.path().join("README.md"), "no").unwrap();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        std::fs::write(dir.path().join(".git/c.yaml"), "no").unwrap();
        let files = read(dir.path()).unwrap();
        let names: Vec<_> = files.iter().map(|f| text(f, "path")).collect();
        assert_eq!(names, ["flags/a.yaml", "services/b.yaml"]);
    }

    #[test]
    fn a_definition_may_say_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let put = |text: &str| {
            std::fs::write(dir.path().join("a.yaml"), text).unwrap();
            definition_of(&dir.path().join("a.yaml"), "web")
        };
        assert_eq!(put("name: web\nrepeat: 1\n"), Ok(json!({"repeat": 1})));
        assert_eq!(put("\u{feff}repeat: 1\r\n"), Ok(json!({"repeat": 1})));
        for (text, said) in [
            ("name: db\nrepeat: 1\n", "a.yaml: `name` is `db`, but it is put as `web`"),
            ("", "a.yaml: there is nothing in the file"),
            ("# not yet\n", "a.yaml: there is nothing in the file"),
            ("hello\n", "a.yaml: the file has no keys"),
        ] {
            let failure = put(text).unwrap_err();
            assert!(failure.message.contains(said) && failure.exit == Exit::Misuse, "{text:?}: {failure}");
        }
    }

    #[test]
    fn the_routing_takes_its_templates_along() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "routing/alertmanager.yaml", "templates: ['*.tmpl']\nroute: {receiver: r}\n").unwrap();
        write(dir.path(), "routing/our.tmpl", "{{ define \"a\" }}x{{ end }}").unwrap();
        let files = read(dir.path()).unwrap();
        assert_eq!(files.len(), 1);
        assert!(text(&files[0], "content").contains("template_texts"), "{}", files[0]);
    }

    #[test]
    fn a_server_cannot_write_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["../x.yaml", "/etc/x.yaml", "a/../../x", "", "./x"] {
            assert!(write(dir.path(), name, "x").is_err(), "{name}");
        }
    }
}
