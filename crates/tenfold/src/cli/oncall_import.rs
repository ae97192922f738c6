//! oncall import-from: the lists of another on-call product, from files on disk.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::client::Client;
use super::exchange::json_of;
use super::nagios::write_files;
use super::out::{Exit, Failure, Out, list, minute, talk, text};

/// What the server takes.
const BYTES_MAX: u64 = 1_000_000;
const FILES_MAX: usize = 2_000;

#[derive(Debug, clap::Args)]
pub struct ImportFrom {
    /// Whose lists they are.
    #[arg(value_parser = ["grafana-oncall", "opsgenie"])]
    source: String,
    /// A folder with a file for each list, as users.json, or one file with all of them.
    path: PathBuf,
    /// Only say what would be made.
    #[arg(long)]
    dry_run: bool,
    /// Make accounts for people who have none.
    #[arg(long)]
    create_people: bool,
    /// Whose account somebody has: their id, name or address there, and the login here.
    #[arg(long = "person", value_name = "THERE=LOGIN", value_parser = pair)]
    people: Vec<(String, String)>,
    /// Write the draft of routes to a file, for `tenfold routes put`.
    #[arg(long, value_name = "FILE")]
    routes: Option<PathBuf>,
    /// Write the drafts of senders of alerts below a folder, for `tenfold apply`.
    #[arg(long, value_name = "DIR")]
    sources: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("`{text}` is not THERE=LOGIN, like ana@example.org=ana");
    let (there, login) = text.rsplit_once('=').filter(|(a, b)| !a.is_empty() && !b.is_empty()).ok_or_else(wrong)?;
    Ok((there.to_owned(), login.to_owned()))
}

/// The lists below a path: `users.json`, further pages as `users-2.json`, and folders like `routing_rules/` whose files
/// are named after what their objects belong to.
fn read(path: &Path) -> Result<Value, Failure> {
    let mut left = BYTES_MAX;
    if !path.is_dir() {
        return parsed(path, &mut left);
    }
    let mut lists = Map::new();
    for file in entries(path)? {
        let Some(stem) = file.file_stem().and_then(|s| s.to_str()).map(str::to_owned) else { continue };
        if file.is_dir() {
            for inner in entries(&file)?.into_iter().filter(|f| is_json(f)) {
                let mut value = parsed(&inner, &mut left)?;
                let parent = inner.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
                belongs_to(&mut value, parent);
                add(&mut lists, &stem, value);
            }
        } else if is_json(&file) {
            let name = stem.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '.']);
            add(&mut lists, name, parsed(&file, &mut left)?);
        }
    }
    Ok(Value::Object(lists))
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "json")
}

fn add(lists: &mut Map<String, Value>, name: &str, value: Value) {
    if let Value::Array(pages) = lists.entry(name).or_insert_with(|| json!([])) {
        pages.push(value);
    }
}

/// The API does not say of a team's rules whose they are: the name of the file does.
fn belongs_to(value: &mut Value, parent: &str) {
    match value {
        Value::Array(rows) => {
            for row in rows {
                belongs_to(row, parent);
            }
        }
        Value::Object(fields) => match fields.get_mut("data") {
            Some(rows @ Value::Array(_)) => belongs_to(rows, parent),
            _ => {
                fields.entry("_parent").or_insert_with(|| json!({"name": parent}));
            }
        },
        _ => {}
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let wrong = |e: std::io::Error| Failure::misuse(format!("{}: {e}", dir.display()));
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(wrong)? {
        out.push(entry.map_err(wrong)?.path());
        if out.len() > FILES_MAX {
            return Err(Failure::misuse(format!("{} holds more than {FILES_MAX} files", dir.display())));
        }
    }
    out.sort();
    Ok(out)
}

fn parsed(path: &Path, left: &mut u64) -> Result<Value, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::misuse(format!("{}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| wrong(&e))?.len();
    *left = left.checked_sub(size).ok_or_else(|| {
        wrong(&format!("the lists have more than {BYTES_MAX} bytes")).advice("import one team's lists at a time")
    })?;
    let bytes = std::fs::read(path).map_err(|e| wrong(&e))?;
    json_of(&bytes).map_err(|e| wrong(&format!("this is not JSON: {e}")))
}

fn lines(made: &Value) -> Vec<String> {
    let person = |p: &Value| format!("person {}: {} ({})", text(p, "source"), text(p, "login"), text(p, "found"));
    let schedule = |s: &Value| {
        let plan = &s["plan"];
        let layers = list(plan, "layers").len().max(1);
        let again = if s["changes"] == true { ", a new version of one that is there" } else { "" };
        let covers = list(s, "overrides").len();
        format!(
            "schedule {}: {layers} layers in {}, {covers} overrides{again}",
            text(s, "name"),
            text(plan, "timezone")
        )
    };
    let cover = |s: &Value| {
        let name = text(s, "name").to_owned();
        let line = move |o: &Value| {
            format!("  {name}: {} from {} to {} UTC", text(o, "person"), minute(o, "start"), minute(o, "end"))
        };
        list(s, "overrides").iter().map(line).collect::<Vec<_>>()
    };
    let policy = |p: &Value| {
        let again = if p["changes"] == true { ", in place of one that is there" } else { "" };
        format!("policy {}: {} steps{again}", text(p, "name"), list(p, "steps").len())
    };
    let source = |s: &Value| format!("source {}: {}, a draft", text(s, "name"), text(&s["spec"], "kind"));
    let note = |n: &Value| format!("no equal here: {}: {}", text(n, "about"), text(n, "message"));
    let mut out: Vec<String> = list(made, "people").iter().map(person).collect();
    for one in list(made, "schedules") {
        out.push(schedule(one));
        out.extend(cover(one));
    }
    out.extend(list(made, "policies").iter().map(policy));
    out.extend(list(made, "sources").iter().map(source));
    out.extend(list(made, "report").iter().map(note));
    out
}

impl ImportFrom {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let people: Map<String, Value> = self.people.into_iter().map(|(there, login)| (there, json!(login))).collect();
        let body = json!({
            "source": self.source, "export": read(&self.path)?, "people": people,
            "create_people": self.create_people, "dry_run": self.dry_run,
        });
        let made = client.post("/api/on-call/import", &body).await?;
        if let Some(file) = self.routes.as_ref().filter(|_| made["routing"].is_null()) {
            talk(&format!("the export has no routes to draft; {} is not written", file.display()));
        } else if let Some(file) = &self.routes {
            let draft = serde_json::to_string_pretty(&made["routing"]).unwrap_or_default();
            std::fs::write(file, draft + "\n")
                .map_err(|e| Failure::failed(format!("{} cannot be written: {e}", file.display())))?;
        }
        if let Some(dir) = &self.sources {
            let file = |s: &Value| (format!("alert-sources/{}.yaml", text(s, "name")), s["spec"].clone());
            write_files(dir, &list(&made, "sources").iter().map(file).collect::<Vec<_>>())?;
        }
        out.answer(&made, lines);
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_by_the_names_of_their_files() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        put("users.json", r#"{"results": [{"id": "a"}]}"#);
        put("users-2.json", r#"{"results": [{"id": "b"}]}"#);
        put("notes.txt", "not a list");
        std::fs::create_dir(dir.path().join("routing_rules")).unwrap();
        put("routing_rules/web.json", r#"{"data": [{"name": "r"}]}"#);
        let read = read(dir.path()).unwrap();
        assert_eq!(
            read,
            json!({
                "users": [{"results": [{"id": "b"}]}, {"results": [{"id": "a"}]}],
                "routing_rules": [{"data": [{"name": "r", "_parent": {"name": "web"}}]}],
            })
        );
        put("users.json", "\u{feff}{\"results\": []}\r\n");
        assert!(super::read(dir.path()).is_ok(), "as PowerShell writes it");
        put("users.json", "{");
        let failed = super::read(dir.path()).unwrap_err();
        assert!(failed.message.contains("users.json: this is not JSON"), "{}", failed.message);
        assert!(pair("ana@example.org=ana").is_ok() && pair("=ana").is_err() && pair("ana").is_err());
    }
}
