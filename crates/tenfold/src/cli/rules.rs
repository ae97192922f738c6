//! rules: rule files judged before a server sees them, and those that a server has.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tenfold_app::rule_tests::{CheckedRules, check_rules, read_tests, run_tests};

use super::Common;
use super::client::{Client, segment};
use super::files::text_of;
use super::out::{Exit, Failure, Out, list, number, talk, text};

/// The most rule files one pattern names.
const FILES_MAX: usize = 1_000;

verb_of_words! {
    /// Check and test rule files without a server; list, show, put and delete those of one.
    Rules,
    "  tenfold rules check rules/*.yaml\n  tenfold rules check rules/*.yaml --lint warn\n  tenfold rules list\n  tenfold rules put photos rules/photos.yaml\n  tenfold rules show photos\n  tenfold rules test tests/*.yaml\n  tenfold rules test tests/photos.yaml --run 'burst of errors'"
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Lint {
    Fail,
    Warn,
    Off,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Read rule files as a server would, and say what an alert lacks: runbook, owner, severity.
    Check {
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// What a missing runbook, owner or severity does.
        #[arg(long, value_enum, default_value_t = Lint::Fail, env = "TENFOLD_RULES_LINT")]
        lint: Lint,
    },
    /// Run unit tests of rules, in the files that `promtool test rules` reads.
    Test {
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Only tests whose name contains this.
        #[arg(long, value_name = "NAME", default_value = "")]
        run: String,
    },
    /// The server's groups with the state of their rules.
    List {
        /// Only rules that fire, could not be evaluated, or wait.
        #[arg(long)]
        bad: bool,
    },
    /// The text of one of the server's files.
    Show {
        #[arg(value_name = "NAME")]
        file: String,
    },
    /// Make or replace a file of the server.
    Put {
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Remove a file from the server; its alerts end.
    Delete {
        #[arg(value_name = "NAME")]
        file: String,
    },
}

type Lines = fn(&Value) -> Vec<String>;

impl Rules {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let out = Out::new(self.common.json);
        let path = |name: &str| format!("/api/rules/{}", segment(name));
        let (answers, lines): (Vec<Value>, Lines) = match &self.what {
            What::Check { files, lint } => {
                (files.iter().map(|f| check(f, *lint)).collect::<Result<_, _>>()?, check_lines)
            }
            What::Test { files, run } => (files.iter().map(|f| test(f, run)).collect::<Result<_, _>>()?, test_lines),
            What::List { bad } => {
                let groups = Client::new(&self.common).await?.get_all("/api/rules", &[]).await?;
                out.answer(&groups, |g| {
                    list(g, "items").iter().flat_map(|group| group_lines(out, group, *bad)).collect()
                });
                return Ok(Exit::Done);
            }
            What::Show { file } => {
                let kept = Client::new(&self.common).await?.get(&path(file), &[]).await?;
                out.answer(&kept, |k| text(k, "yaml").lines().map(str::to_owned).collect());
                return Ok(Exit::Done);
            }
            What::Put { name, file } => {
                let yaml = text_of(file)?;
                let client = Client::new(&self.common).await?;
                let groups = client.put(&path(name), &json!({"yaml": yaml}), &[]).await?;
                let mine = |g: &&Value| text(g, "file") == name.as_str();
                out.answer(&groups, |g| {
                    list(g, "items").iter().filter(mine).flat_map(|group| group_lines(out, group, false)).collect()
                });
                for rule in list(&groups, "items").iter().filter(mine).flat_map(|group| list(group, "rules")) {
                    for f in list(rule, "findings") {
                        let (line, name) = (number(f, "line"), text(rule, "name"));
                        talk(&format!("{}:{line}: warning: {name} {}", file.display(), text(f, "message")));
                    }
                }
                return Ok(Exit::Done);
            }
            What::Delete { file } => {
                let done = Client::new(&self.common).await?.delete(&path(file)).await?;
                out.answer(&done, |_| vec![format!("the rule file {file} is removed")]);
                return Ok(Exit::Done);
            }
        };
        let good = answers.iter().all(|a| a["ok"] == json!(true));
        let answer = json!({"files": answers, "ok": good});
        out.answer(&answer, |answer| list(answer, "files").iter().flat_map(lines).collect());
        Ok(if good { Exit::Done } else { Exit::Failed })
    }
}

/// A group with its rules, one a line; of those that are well none with `bad`.
fn group_lines(out: Out, group: &Value, bad: bool) -> Vec<String> {
    let well = |rule: &Value| text(rule, "health") != "error" && matches!(text(rule, "state"), "" | "inactive");
    let rule = |rule: &Value| {
        let state = match (text(rule, "health"), text(rule, "kind")) {
            ("error", _) => out.state("failed"),
            (_, "recording") => "recorded".to_owned(),
            _ => out.state(text(rule, "state")),
        };
        let error = rule["error"].as_str().map(|e| format!(": {e}")).unwrap_or_default();
        format!("  {state} {}{error}", text(rule, "name"))
    };
    let rules: Vec<String> = list(group, "rules").iter().filter(|r| !bad || !well(r)).map(rule).collect();
    if rules.is_empty() {
        return rules;
    }
    let every = tenfold_types::format_duration_ms(number(group, "interval_ms"));
    let head = format!("{} ({}, every {every})", text(group, "name"), text(group, "file"));
    std::iter::once(head).chain(rules).collect()
}

fn check(path: &Path, lint: Lint) -> Result<Value, Failure> {
    let CheckedRules { file, problems, findings } = check_rules(&text_of(path)?);
    let findings: Vec<Value> = match lint {
        Lint::Off => Vec::new(),
        Lint::Fail | Lint::Warn => findings
            .iter()
            .map(|f| json!({"line": f.line, "alert": f.alert, "check": f.check, "message": f.message}))
            .collect(),
    };
    let ok = problems.is_empty() && (findings.is_empty() || lint != Lint::Fail);
    let rules: usize = file.groups.iter().map(|g| g.rules.len()).sum();
    Ok(json!({"file": path.display().to_string(), "ok": ok, "groups": file.groups.len(), "rules": rules,
        "problems": problems, "findings": findings, "findings_fail": lint == Lint::Fail}))
}

fn check_lines(answer: &Value) -> Vec<String> {
    let file = text(answer, "file");
    let mut lines: Vec<String> = Vec::new();
    for problem in list(answer, "problems") {
        lines.push(format!("{file}:{}: {}", number(problem, "line"), text(problem, "message")));
    }
    let word = if answer["findings_fail"] == json!(true) { "" } else { "warning: " };
    for f in list(answer, "findings") {
        // Two of a kind may be recorded as well.
        let rule = if text(f, "check") == "duplicate" { "rule" } else { "alert" };
        let (line, name) = (number(f, "line"), text(f, "alert"));
        lines.push(format!("{file}:{line}: {word}the {rule} {name} {}", text(f, "message")));
    }
    if answer["ok"] == json!(true) {
        lines.push(format!(
            "{file}: {} rules in {} groups are good",
            number(answer, "rules"),
            number(answer, "groups")
        ));
    }
    lines
}

fn test(path: &Path, only: &str) -> Result<Value, Failure> {
    let name = path.display().to_string();
    let failed =
        |message: String| json!({"file": name, "ok": false, "tests": [{"name": "the file", "failures": [message]}]});
    let tests = match read_tests(&text_of(path)?) {
        Ok(tests) => tests,
        Err(message) => return Ok(failed(message)),
    };
    let mut groups = Vec::new();
    for pattern in &tests.rule_files {
        let files = matching(path.parent().unwrap_or(Path::new("")), pattern)?;
        if files.is_empty() {
            talk(&format!("{name}: no rule file is named by {pattern}"));
        }
        for file in files {
            let checked = check_rules(&text_of(&file)?);
            if let Some(problem) = checked.problems.first() {
                return Ok(failed(format!("{}:{}: {}", file.display(), problem.line, problem.message)));
            }
            groups.extend(checked.file.groups);
        }
    }
    let outcomes = run_tests(&tests, &groups, only);
    if outcomes.is_empty() && !only.is_empty() {
        talk(&format!("{name}: no test is named like {only}"));
    }
    let ok = outcomes.iter().all(|o| o.failures.is_empty());
    let tests: Vec<Value> = outcomes.iter().map(|o| json!({"name": o.name, "failures": o.failures})).collect();
    Ok(json!({"file": name, "ok": ok, "tests": tests}))
}

fn test_lines(answer: &Value) -> Vec<String> {
    let file = text(answer, "file");
    let mut lines = Vec::new();
    for test in list(answer, "tests") {
        for failure in list(test, "failures") {
            lines.push(format!("{file}: {}: {}", text(test, "name"), failure.as_str().unwrap_or("")));
        }
    }
    if answer["ok"] == json!(true) {
        lines.push(format!("{file}: {} tests passed", list(answer, "tests").len()));
    }
    lines
}

/// The files a pattern names, in the order of their names; `*` and `?` stand for parts of one name.
fn matching(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut found = vec![if pattern.starts_with('/') { PathBuf::from("/") } else { base.to_owned() }];
    for part in pattern.split('/').filter(|p| !p.is_empty()) {
        let mut next = Vec::new();
        for at in &found {
            if !part.contains(['*', '?', '[']) {
                let path = at.join(part);
                if path.exists() {
                    next.push(path);
                }
                continue;
            }
            let folder = if at.as_os_str().is_empty() { Path::new(".") } else { at.as_path() };
            let Ok(entries) = std::fs::read_dir(folder) else { continue };
            let glob = ignore::overrides::OverrideBuilder::new(folder)
                .add(&format!("/{part}"))
                .and_then(|b| b.build())
                .map_err(|e| Failure::misuse(format!("`{pattern}` is not a pattern: {e}")))?;
            let mut names: Vec<_> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
            names.retain(|p| glob.matched(p, p.is_dir()).is_whitelist());
            names.sort();
            next.extend(names);
        }
        if next.len() > FILES_MAX {
            return Err(Failure::misuse(format!("`{pattern}` names more than {FILES_MAX} files")));
        }
        found = next;
    }
    found.retain(|p| p.is_file());
    Ok(found)
}
