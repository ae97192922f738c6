//! Reading the file, and the checks a type cannot express. Each names the key and its line.

use super::{FILE_BYTES_MAX, Pipeline, PipelineError};

mod command;
mod limits;
mod lines;
mod sections;
mod stages;
mod target;
mod words;

use limits::limits;
use lines::{item, locate, spoken};
use sections::{expectations, hooks};
use stages::stages;
use target::target;
use words::{Checked, argv, env, globs, http_path, line, name, path, seconds, variable};

const COMMITS_MAX: u32 = 10_000;
/// Most values that aliases (`*name`) may stand for, all together: a short file could come to gigabytes otherwise.
const ALIASED_MAX: usize = 1_000;
/// Most aliases.
const ALIASES_MAX: usize = 100;

pub(super) fn parse(text: &str) -> Result<Pipeline, PipelineError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(PipelineError {
            line: 0,
            message: format!("the file has {} bytes, more than {FILE_BYTES_MAX}", text.len()),
        });
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_aliases: ALIASES_MAX },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: ALIASED_MAX },
    };
    let pipeline: Pipeline = serde_saphyr::from_str_with_options(text, options).map_err(|e| from_yaml(text, &e))?;
    check(&pipeline).map_err(|(path, why)| PipelineError {
        line: locate(text, &path),
        message: format!("`{}` {why}", spoken(&path)),
    })?;
    Ok(pipeline)
}

fn from_yaml(text: &str, error: &serde_saphyr::Error) -> PipelineError {
    let line = error.location().map_or(0, |l| usize::try_from(l.line()).unwrap_or(0));
    let plain = error.without_snippet().to_string();
    // the reader's own words for its limits, whichever way it renders them
    if plain.contains("total_replayed_events") {
        let message = format!("aliases stand for more than {ALIASED_MAX} values; write them out where they are needed");
        return PipelineError { line, message };
    }
    if plain.contains("Aliases {") {
        let message = format!("there are more than {ALIASES_MAX} aliases; write out what they stand for");
        return PipelineError { line, message };
    }
    let said = plain.lines().next().unwrap_or("the file is not YAML");
    let said = match said.find(" at line ").or_else(|| said.find(", line ")) {
        Some(i) => &said[..i],
        None => said,
    };
    let source = line.checked_sub(1).and_then(|i| text.lines().nth(i)).unwrap_or("");
    let key = source.trim().trim_start_matches("- ").split(':').next().unwrap_or("").trim();
    let named = !key.is_empty() && source.contains(':') && !said.contains(&format!("`{key}`"));
    PipelineError { line, message: if named { format!("`{key}`: {said}") } else { said.to_owned() } }
}

/// What serves a release on a host: a process of its own, or another program that reads the link. Whether one of them is
/// needed is known where the hosts are: those reached by ssh start nothing.
fn started(p: &Pipeline) -> Checked {
    if !p.run.command.is_empty() {
        argv(&p.run.command, &["run", "command"])?;
    }
    let Some(reload) = &p.run.reload else { return Ok(()) };
    if !p.run.command.is_empty() {
        let why = "stands in the place of `run.command`; a command is started anew for each release";
        return Err((path(&["run", "reload"]), why.to_owned()));
    }
    if reload.is_empty() { Ok(()) } else { argv(reload, &["run", "reload"]) }
}

fn check(p: &Pipeline) -> Checked {
    name(&p.service, &["service"])?;
    if !p.build.command.is_empty() {
        argv(&p.build.command, &["build", "command"])?;
    }
    seconds(p.build.timeout_s, 1, &["build", "timeout_s"])?;
    seconds(p.build.idle_timeout_s, 1, &["build", "idle_timeout_s"])?;
    env(&p.build.env, &["build", "env"])?;
    for (index, secret) in p.build.secrets.iter().enumerate() {
        variable(secret, &["build", "secrets", &item(index)])?;
    }
    globs(&p.artifact.paths, &["artifact", "paths"])?;
    if p.artifact.paths.is_empty() {
        return Err((path(&["artifact", "paths"]), "is empty; name what ships, such as [\"dist/**\"]".to_owned()));
    }
    globs(&p.artifact.exclude, &["artifact", "exclude"])?;
    started(p)?;
    seconds(p.run.keep_warm_s, 0, &["run", "keep_warm_s"])?;
    env(&p.run.env, &["run", "env"])?;
    variable(&p.run.port_env, &["run", "port_env"])?;
    seconds(p.run.drain_s, 0, &["run", "drain_s"])?;
    seconds(p.run.stop_within_s, 0, &["run", "stop_within_s"])?;
    limits(&p.run.limits)?;
    http_path(&p.health.http, &["health", "http"])?;
    seconds(p.health.within_s, 1, &["health", "within_s"])?;
    if let Some(metrics) = &p.metrics {
        http_path(&metrics.path, &["metrics", "path"])?;
    }
    if p.max_commits == 0 || p.max_commits > COMMITS_MAX {
        return Err((path(&["max_commits"]), format!("must be between 1 and {COMMITS_MAX}")));
    }
    if p.targets.is_empty() {
        return Err((
            path(&["targets"]),
            "is empty; name an environment, such as `production: {hosts: all}`".to_owned(),
        ));
    }
    for (environment, of) in &p.targets {
        target(environment, of)?;
    }
    stages(p)?;
    hooks(p)?;
    if let Some(irreversible) = &p.irreversible {
        globs(&irreversible.paths, &["irreversible", "paths"])?;
        line(&irreversible.why, &["irreversible", "why"])?;
    }
    if let Some(expects) = &p.expects {
        expectations(expects)?;
    }
    Ok(())
}

impl super::Pipeline {
    /// The line of a key in a pipeline file, for an error that is found by whoever knows more: that of the nearest key above
    /// it where the file does not have it, and 0 when there is none. An item of a list is `item(index)` among the keys.
    pub fn line_of(text: &str, keys: &[&str]) -> usize {
        locate(text, &path(keys))
    }
    /// Among keys: the item of a list at this index.
    pub fn item(index: usize) -> String {
        item(index)
    }
    /// Keys as people write them, without the places in lists.
    pub fn spoken(keys: &[&str]) -> String {
        spoken(keys)
    }
}

#[cfg(test)]
mod tests;
