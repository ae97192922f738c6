//! Stages: known environments, each once, and nothing that has no effect.

use super::super::Pipeline;
use super::super::stages::STAGES_MAX;
use super::lines::item;
use super::words::{Checked, path, seconds};

pub(super) fn stages(p: &Pipeline) -> Checked {
    if p.stages.is_empty() {
        return Ok(());
    }
    if p.stages.len() > STAGES_MAX {
        return Err((path(&["stages"]), format!("has {} stages, more than {STAGES_MAX}", p.stages.len())));
    }
    for (index, stage) in p.stages.iter().enumerate() {
        let at = |key: &'static str| path(&["stages", &item(index), key]);
        if !p.targets.contains_key(&stage.environment) {
            let known: Vec<&str> = p.targets.keys().map(String::as_str).collect();
            let why = format!("is `{}`, which `targets` does not have; it has {}", stage.environment, known.join(", "));
            return Err((at("environment"), why));
        }
        // A way through environments that comes back to one would never end.
        if let Some(first) = p.stages[..index].iter().position(|earlier| earlier.environment == stage.environment) {
            let why = format!(
                "is `{}` again, which is stage {} already; a release goes to each environment once",
                stage.environment,
                first + 1
            );
            return Err((at("environment"), why));
        }
        if index == 0 && stage.auto {
            let why = "is true for the first stage, and nothing goes before that one; leave it out".to_owned();
            return Err((at("auto"), why));
        }
        if stage.hold_s > 0 && !stage.auto {
            return Err((at("hold_s"), "only counts with `auto: true`; leave it out or add that".to_owned()));
        }
        seconds(stage.hold_s, 0, &["stages", &item(index), "hold_s"])?;
    }
    if p.stages.len() == 1 {
        let why = "has one stage, and an order takes two; add the next or leave `stages` out".to_owned();
        return Err((path(&["stages"]), why));
    }
    Ok(())
}
