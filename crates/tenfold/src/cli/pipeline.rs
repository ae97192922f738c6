//! pipeline check: a pipeline file judged before it is pushed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tenfold_app::deploys::read_pipeline;

use super::Common;
use super::files::text_of;
use super::out::{Exit, Failure, Out, list, number, text};

verb_of_words! {
    /// Check pipeline files without a server.
    Pipeline,
    "  tenfold pipeline check .tenfold/deploy.yaml\n  tenfold pipeline check */.tenfold/deploy.yaml --json"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Read pipeline files as a server would, and say what is wrong and on which line.
    Check {
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

impl Pipeline {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let out = Out::new(self.common.json);
        let What::Check { files } = &self.what;
        let answers: Vec<Value> = files.iter().map(|file| check(file)).collect::<Result<_, _>>()?;
        let good = answers.iter().all(|a| a["ok"] == json!(true));
        let answer = json!({"files": answers, "ok": good});
        out.answer(&answer, |answer| list(answer, "files").iter().map(line).collect());
        Ok(if good { Exit::Done } else { Exit::Failed })
    }
}

fn check(path: &Path) -> Result<Value, Failure> {
    let file = path.display().to_string();
    Ok(match read_pipeline(&text_of(path)?) {
        Ok(pipeline) => {
            let targets = pipeline.targets.iter().map(|(name, target)| {
                let to = target.handed_over().map_or_else(|| target.hosts.to_string(), |handed| handed.says());
                (name.clone(), Value::from(to))
            });
            let targets: serde_json::Map<String, Value> = targets.collect();
            json!({"file": file, "ok": true, "service": pipeline.service, "targets": targets})
        }
        Err(error) => json!({"file": file, "ok": false, "line": error.line, "message": error.message}),
    })
}

fn line(answer: &Value) -> String {
    let file = text(answer, "file");
    if answer["ok"] != json!(true) {
        // an error without a line is of the whole file
        let at = match number(answer, "line") {
            0 => String::new(),
            n => format!("{n}:"),
        };
        return format!("{file}:{at} {}", text(answer, "message"));
    }
    let targets = answer["targets"].as_object().into_iter().flatten();
    let targets: Vec<String> =
        targets.map(|(name, to)| format!("{name} to {}", to.as_str().unwrap_or_default())).collect();
    format!("{file}: {} is good: {}", text(answer, "service"), targets.join(", "))
}
