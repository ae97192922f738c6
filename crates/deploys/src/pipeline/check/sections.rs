//! Sections of the whole file: hooks and expectations.

use super::super::expects::{LINE_CHARS_MAX, LINES_MAX};
use super::super::{Expects, HookAt, Pipeline};
use super::lines::item;
use super::words::{Checked, argv, env, line, path, seconds, variable};

pub(super) fn hooks(p: &Pipeline) -> Checked {
    for which in HookAt::ALL {
        let Some(hook) = p.hooks.get(which) else { continue };
        let at = |key: &'static str| ["hooks", which.word(), key];
        argv(&hook.command, &at("command"))?;
        seconds(hook.timeout_s, 1, &at("timeout_s"))?;
        seconds(hook.idle_timeout_s, 1, &at("idle_timeout_s"))?;
        env(&hook.env, &at("env"))?;
        for (index, secret) in hook.secrets.iter().enumerate() {
            variable(secret, &["hooks", which.word(), "secrets", &item(index)])?;
        }
    }
    Ok(())
}

pub(super) fn expectations(expects: &Expects) -> Checked {
    let at = |key: &'static str| ["expects", key];
    for (key, lines) in [("risks", &expects.risks), ("signs", &expects.signs)] {
        if lines.len() > LINES_MAX {
            return Err((path(&at(key)), format!("has {} lines, more than {LINES_MAX}", lines.len())));
        }
        for (index, text) in lines.iter().enumerate() {
            line(text, &["expects", key, &item(index)])?;
        }
    }
    if !expects.contingency.is_empty() {
        line(&expects.contingency, &at("contingency"))?;
    }
    if expects.metrics.len() > LINES_MAX {
        return Err((path(&at("metrics")), format!("has {} lines, more than {LINES_MAX}", expects.metrics.len())));
    }
    for (index, metric) in expects.metrics.iter().enumerate() {
        let says = |key: &'static str, why: &str| (path(&["expects", "metrics", &item(index), key]), why.to_owned());
        if metric.query.trim().is_empty() || metric.query.chars().count() > LINE_CHARS_MAX {
            return Err(says("query", "must have 1 to 500 characters; write a PromQL query with one value"));
        }
        if !(metric.by >= 0.0 && metric.by <= 1_000.0) {
            return Err(says("by", "must be between 0 and 1000; 0.1 is a tenth"));
        }
        if metric.why.chars().count() > LINE_CHARS_MAX {
            return Err(says("why", "must have at most 500 characters"));
        }
    }
    seconds(expects.after_s, 1, &at("after_s"))
}
