//! checks: what is looked at, and how it stands.

use serde_json::{Value, json};

use super::Common;
use super::client::{Client, segment};
use super::files::definition_of;
use super::nagios;
use super::out::{Exit, Failure, Out, list, minute, number, talk, text};

verb_of_words! {
    /// List checks, show, put and delete one, send a result, look now, import from Nagios.
    Checks,
    "  tenfold checks list --bad\n  tenfold checks show db1-disk\n  tenfold checks put db1-disk check.yaml\n  tenfold checks result backup ok 'took 3 min | seconds=180'\n  tenfold checks now db1-disk\n  tenfold checks import /etc/nagios4/nagios.cfg --dry-run\n  tenfold checks import /etc/nagios4/nagios.cfg --drafts drafts"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The worst first.
    List {
        /// Only those with a problem.
        #[arg(long)]
        bad: bool,
        /// Only those of this host.
        #[arg(long)]
        host: Option<String>,
        /// Only those with this text in their name, host, service or output.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// One check with the output and the values of its last result.
    Show { name: String },
    /// Make or change a check out of a file in YAML or JSON.
    Put {
        name: String,
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
    },
    /// Delete a check; its alert ends.
    Delete { name: String },
    /// Send a result from outside.
    Result {
        name: String,
        /// ok, warning, critical or unknown.
        status: String,
        /// As a plugin prints it, with performance data behind `|`.
        #[arg(default_value = "")]
        output: String,
    },
    /// Look now instead of at its time.
    Now { name: String },
    /// Make checks of a Nagios configuration, by its main file; what has no equal here is listed.
    Import {
        #[arg(value_name = "NAGIOS.CFG")]
        main: std::path::PathBuf,
        /// Only say what it would become.
        #[arg(long)]
        dry_run: bool,
        /// Write people, policies and routes as drafts below a folder, for `tenfold apply`.
        #[arg(long, value_name = "DIR")]
        drafts: Option<std::path::PathBuf>,
        /// Where Nagios' clock is, when its main file does not say.
        #[arg(long, value_name = "ZONE")]
        timezone: Option<String>,
        /// A macro of the resource file that is no secret, such as USER3; may be given several times.
        #[arg(long = "macro", value_name = "NAME")]
        macros: Vec<String>,
    },
}

/// What the alert of a check or a source lacks, on stderr.
pub(super) fn lacking(of: &Value, name: &str) {
    for finding in list(of, "findings").iter().filter_map(Value::as_str) {
        talk(&format!("{name} {finding}"));
    }
}

impl Checks {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = |name: &str| format!("/api/checks/{}", segment(name));
        match self.what {
            What::List { bad, host, search } => {
                let state = bad.then_some(("state", "problem"));
                let host = host.as_deref().map(|host| ("host", host));
                let search = search.as_deref().map(|search| ("q", search));
                let query: Vec<(&str, &str)> = state.into_iter().chain(host).chain(search).collect();
                let answer = client.get_all("/api/checks", &query).await?;
                out.answer(&answer, |a| list(a, "items").iter().map(|c| line(out, c)).collect());
                if list(&answer, "items").is_empty() {
                    talk(if query.is_empty() { "no checks" } else { "no check is like this" });
                }
            }
            What::Show { name } => {
                let check = client.get(&path(&name), &[]).await?;
                out.answer(&check, |c| details(out, c));
            }
            What::Put { name, file } => {
                let check = client.put(&path(&name), &definition_of(&file, &name)?, &[]).await?;
                out.answer(&check, |c| vec![line(out, c)]);
                lacking(&check, &name);
            }
            What::Delete { name } => {
                let done = client.delete(&path(&name)).await?;
                out.answer(&done, |_| vec![format!("the check {name} is deleted")]);
            }
            What::Result { name, status, output } => {
                let body = json!({"status": status, "output": output});
                let check = client.post(&format!("{}/result", path(&name)), &body).await?;
                out.answer(&check, |c| vec![line(out, c)]);
            }
            What::Now { name } => {
                let check = client.post(&format!("{}/now", path(&name)), &json!({})).await?;
                out.answer(&check, |_| vec![format!("{name} is looked at now")]);
            }
            What::Import { main, dry_run, drafts, timezone, macros } => {
                let import = nagios::read(&main, timezone.as_deref(), &macros)?;
                if !dry_run {
                    for (name, spec) in &import.checks {
                        client.put(&path(name), &json!(spec), &[]).await?;
                    }
                }
                out.answer(&json!(import), |_| {
                    let notes = import.report.iter().map(|n| format!("{}: {}", n.about, n.message));
                    import.checks.iter().map(|(name, s)| format!("{name}  {}", s.run.kind())).chain(notes).collect()
                });
                let done = if dry_run { "nothing was changed" } else { "they are put" };
                talk(&format!("{} checks, {} notes; {done}", import.checks.len(), import.report.len()));
                if let Some(dir) = drafts {
                    let files = nagios::write_drafts(&dir, &import.drafts)?;
                    talk(&format!("{files} drafts below {}: look them through before `tenfold apply`", dir.display()));
                }
            }
        }
        Ok(Exit::Done)
    }
}

fn line(out: Out, check: &Value) -> String {
    let sure = if check["hard"] == json!(true) {
        String::new()
    } else {
        format!(" ({} of {})", number(check, "attempt"), number(&check["spec"], "attempts"))
    };
    let mut marks = String::new();
    for mark in ["flapping", "unreachable", "stale"].iter().filter(|m| check[**m] == json!(true)) {
        marks.extend([" [", mark, "]"]);
    }
    let status = if unheard(check) { "no result yet" } else { text(check, "status") };
    format!("{}{sure}{marks}  {}  {}", out.state(status), text(check, "name"), text(check, "output"))
}

/// Nothing was looked at or sent since it was put: that it has no problem is nobody's word.
fn unheard(check: &Value) -> bool {
    let untouched = text(check, "output").is_empty() && number(check, "took_ms") == 0;
    untouched && text(check, "status") == "ok" && check["last_at"] == check["since"]
}

fn details(out: Out, check: &Value) -> Vec<String> {
    let mut lines = vec![line(out, check)];
    lines.extend(text(check, "long_output").lines().map(|l| format!("  {l}")));
    for value in list(check, "values") {
        lines.push(format!("  {} = {}{}", text(value, "label"), value["value"], text(value, "unit")));
    }
    let kind = text(check, "kind");
    let times = format!("since {}, last {}", minute(check, "since"), minute(check, "last_at"));
    lines.push(format!("  {kind} every {}; {times}", text(&check["spec"], "interval")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_looked_at_is_not_called_ok() {
        let at = "2026-11-28T04:49:50.015Z";
        let new = json!({"name": "backup", "status": "ok", "hard": true, "since": at, "last_at": at, "took_ms": 0, "output": ""});
        assert_eq!(line(Out::plain(), &new).trim_end(), "· no result yet  backup");
        for (key, value) in [("last_at", "2026-11-28T04:50:50.015Z"), ("output", "done")] {
            let mut seen = new.clone();
            seen[key] = json!(value);
            assert!(line(Out::plain(), &seen).starts_with("· ok  backup"), "{seen}");
        }
    }
}
