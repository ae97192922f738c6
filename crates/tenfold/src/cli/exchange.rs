//! flag import, flag export: flags from the files of other products, and back.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::client::Client;
use super::out::{Exit, Failure, Out, data, list, talk, text};

/// The server takes no larger file.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Take flags from a file of Unleash or flagd. Nobody moves to another bucket where the format allows it; what comes in
/// otherwise than the file has it is said line by line.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold flag import unleash-export.json --dry-run\n  tenfold flag import flags.flagd.json --environment staging\n  tenfold flag import unleash-export.json --project photos\n  tenfold flag import -"
)]
pub struct Import {
    /// The file, or `-` for what comes on stdin.
    file: PathBuf,
    /// unleash (export or state export), unleash-client or flagd [default: told from the content].
    #[arg(long, value_parser = ["unleash", "unleash-client", "flagd"])]
    format: Option<String>,
    /// Where a file goes that names no environment or only one [default: production]; of several, the one to take.
    #[arg(long = "environment", value_name = "ENV")]
    into: Option<String>,
    /// Everything goes into this project [default: a new flag into the one the file names, others stay where they are].
    #[arg(long)]
    project: Option<String>,
    /// Say what would happen, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Take percentages of a product whose hash differs: the shares stay, the people in them do not.
    #[arg(long)]
    allow_rebucketing: bool,
}

impl Import {
    pub(super) async fn run(&self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let document = read(&self.file)?;
        let mut body = json!({
            "document": document, "dry_run": self.dry_run, "allow_rebucketing": self.allow_rebucketing,
        });
        for (name, value) in [("format", &self.format), ("environment", &self.into), ("project", &self.project)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        let report = client.post("/api/flags/import", &body).await?;
        out.answer(&report, lines);
        let count = |name: &str| list(&report, name).len();
        let (new, changed, same, refused) = (count("created"), count("changed"), count("unchanged"), count("refused"));
        let would = if self.dry_run { "; nothing was changed" } else { "" };
        talk(&format!("{new} new, {changed} changed, {same} the same, {refused} refused{would}"));
        Ok(if refused > 0 { Exit::Inconclusive } else { Exit::Done })
    }
}

fn lines(report: &Value) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(
        list(report, "projects").iter().filter_map(Value::as_str).map(|name| format!("made the project {name}")),
    );
    for what in ["created", "changed", "refused"] {
        out.extend(list(report, what).iter().filter_map(Value::as_str).map(|key| line(report, what, key)));
    }
    let notes = list(report, "notes").iter();
    out.extend(notes.map(|n| format!("{} ({}): {}", text(n, "about"), text(n, "outcome"), text(n, "text"))));
    if let Some(more) = report["notes_left_out"].as_u64().filter(|n| *n > 0) {
        out.push(format!("and {more} lines more"));
    }
    out
}

fn line(report: &Value, what: &str, key: &str) -> String {
    match report["project_of"][key].as_str() {
        Some(project) => format!("{what} {key} in the project {project}"),
        None => format!("{what} {key}"),
    }
}

/// A file of JSON, or what comes on stdin.
pub(super) fn read(path: &Path) -> Result<Value, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::misuse(format!("{}: {why}", path.display()));
    let mut content = Vec::new();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(|e| wrong(&e))?)
    };
    source.take(FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(|e| wrong(&e))?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(&format!("the file has more than {FILE_BYTES_MAX} bytes")));
    }
    json_of(&content).map_err(|e| wrong(&format!("it is not JSON: {e}")))
}

/// JSON, also behind the mark of UTF-8 that Windows' programs write.
pub(super) fn json_of(bytes: &[u8]) -> Result<Value, String> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err("it is written in UTF-16; save it as UTF-8".to_owned());
    }
    serde_json::from_slice(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)).map_err(|e| e.to_string())
}

/// Write the flags of an environment as a file of Unleash or flagd, on stdout.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold flag export --format unleash > flags.json\n  tenfold flag export --format flagd --in staging"
)]
pub struct Export {
    #[arg(long, value_parser = ["unleash", "unleash-client", "flagd"])]
    format: String,
    /// Write percentages as shares of a product whose hash differs.
    #[arg(long)]
    allow_rebucketing: bool,
}

impl Export {
    pub(super) async fn run(&self, client: &Client, environment: &str) -> Result<Exit, Failure> {
        let rebucket = self.allow_rebucketing.to_string();
        let query =
            [("format", self.format.as_str()), ("environment", environment), ("allow_rebucketing", rebucket.as_str())];
        let answer = client.get("/api/flags/export", &query).await?;
        data(&format!("{:#}", answer["document"]));
        let notes = list(&answer, "notes");
        for note in notes {
            talk(&format!("{}: {}", text(note, "about"), text(note, "text")));
        }
        Ok(if notes.is_empty() { Exit::Done } else { Exit::Inconclusive })
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn files_of_windows_are_read_or_named() {
        assert_eq!(json_of("\u{feff}{\"a\": 1}\r\n".as_bytes()), Ok(json!({"a": 1})));
        assert!(json_of(b"\xff\xfe{\0}\0").is_err_and(|said| said.contains("UTF-16")));
        assert!(json_of(b"").is_err());
    }
}
