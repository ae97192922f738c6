//! One file: from text to the JSON of its thing's shape, and back.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tenfold_flags::{PermitLaw, RampPlan, Segment};
use tenfold_types::Fault;

use super::{
    ConfigFile, FILE_BYTES_MAX,
    kind::{Kind, Things},
    shapes::{EnvironmentFile, FlagFile, PersonFile},
};
use crate::{
    checks::CheckSpec,
    deploys::views::ServiceUpdate,
    flags::{FlagProjectUpdate, check_plan},
    metrics::{Dashboard, check_dashboard},
    oncall::{PolicyUpdate, ScheduleUpdate},
    people::EnvironmentSettings,
    permits::check_law,
    sources::AlertSourceSpec,
};

/// A file's thing as it would be after applying the file over `current`.
pub(super) fn read(file: &ConfigFile, current: &Things) -> Result<((Kind, String), Value), Fault> {
    let (kind, name) = address(&file.path)?;
    if file.content.len() > FILE_BYTES_MAX {
        let length = file.content.len();
        return Err(Fault::invalid(format!("{}: {length} bytes are more than {FILE_BYTES_MAX}", file.path)));
    }
    let text = without_name(file, kind, &name)?;
    let said = |message: String| Fault::invalid(format!("{}: {message}", file.path));
    let body = match kind {
        Kind::Environment => {
            let below = existing::<EnvironmentSettings>(current, kind, &name)?;
            json(&typed::<EnvironmentFile>(file, &text)?.over(below))?
        }
        Kind::Permit => {
            let law = typed::<PermitLaw>(file, &text)?;
            check_law(&law).map_err(|f| Fault { message: format!("{}: {}", file.path, f.message), ..f })?;
            json(&law)?
        }
        Kind::RampPlan => {
            let plan = typed::<RampPlan>(file, &text)?;
            check_plan(&plan).map_err(|f| Fault { message: format!("{}: {}", file.path, f.message), ..f })?;
            json(&plan)?
        }
        Kind::Person => {
            let below = existing::<PersonFile>(current, kind, &name)?;
            json(&typed::<PersonFile>(file, &text)?.over(below))?
        }
        Kind::Service => json(&typed::<ServiceUpdate>(file, &text)?)?,
        Kind::Schedule => {
            let mut update = typed::<ScheduleUpdate>(file, &text)?;
            update.0.check().map_err(said)?;
            if let Some(there) = current.get(&(kind, name.clone())) {
                update.keep_hidden(&shape(there)?);
            }
            json(&update)?
        }
        Kind::Policy => {
            let update = typed::<PolicyUpdate>(file, &text)?;
            update.clone().named(&name).check().map_err(said)?;
            json(&update)?
        }
        Kind::Segment => {
            if name.parse::<i64>().is_err() {
                return Err(said(format!("the name of a segment's file is its number, not `{name}`")));
            }
            json(&typed::<Segment>(file, &text)?)?
        }
        Kind::Project => json(&typed::<FlagProjectUpdate>(file, &text)?)?,
        Kind::Flag => {
            let below = existing::<FlagFile>(current, kind, &name)?;
            json(&typed::<FlagFile>(file, &text)?.over(&name, below))?
        }
        Kind::Rules => {
            check_rules(&text).map_err(said)?;
            Value::String(text)
        }
        Kind::Routing => {
            tenfold_alerting::import_alertmanager(&text).map_err(|e| said(e.to_string()))?;
            Value::String(text)
        }
        Kind::Check => {
            let spec = typed::<CheckSpec>(file, &text)?;
            spec.check(&name).map_err(|f| Fault { message: format!("{}: {}", file.path, f.message), ..f })?;
            json(&spec)?
        }
        Kind::AlertSource => {
            let spec = typed::<AlertSourceSpec>(file, &text)?;
            spec.check(&name).map_err(|f| Fault { message: format!("{}: {}", file.path, f.message), ..f })?;
            json(&spec)?
        }
        Kind::Dashboard => {
            let dashboard = typed::<Dashboard>(file, &text)?;
            check_dashboard(&dashboard).map_err(|f| Fault { message: format!("{}: {}", file.path, f.message), ..f })?;
            json(&dashboard.only_written())?
        }
    };
    Ok(((kind, name), body))
}

/// The file's text for a thing.
pub(super) fn write(kind: Kind, name: &str, body: &Value) -> Result<String, Fault> {
    if let (Kind::Rules | Kind::Routing, Value::String(text)) = (kind, body) {
        return Ok(text.clone());
    }
    let mut map = Map::new();
    if let Some(key) = kind.name_key() {
        map.insert(key.to_owned(), if kind == Kind::Segment { number(name) } else { Value::from(name) });
    }
    map.extend(body.as_object().cloned().unwrap_or_default());
    serde_saphyr::to_string(&map).map_err(|e| Fault::internal(format!("{} cannot be written: {e}", kind.path(name))))
}

/// The shape back from its JSON.
pub(super) fn shape<T: DeserializeOwned>(body: &Value) -> Result<T, Fault> {
    serde_json::from_value(body.clone()).map_err(|e| Fault::internal(format!("a file's shape does not read back: {e}")))
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<Value, Fault> {
    serde_json::to_value(value).map_err(|e| Fault::internal(e.to_string()))
}

fn number(name: &str) -> Value {
    name.parse::<i64>().map_or_else(|_| Value::from(name), Value::from)
}

fn existing<T: DeserializeOwned + Default>(current: &Things, kind: Kind, name: &str) -> Result<T, Fault> {
    current.get(&(kind, name.to_owned())).map_or_else(|| Ok(T::default()), shape)
}

/// Kind and name from the last two parts of a path.
fn address(path: &str) -> Result<(Kind, String), Fault> {
    let mut parts = path.rsplit('/');
    let name = parts.next().and_then(|f| f.strip_suffix(".yaml").or_else(|| f.strip_suffix(".yml")));
    match (name, parts.next().and_then(Kind::of_folder)) {
        (Some(name), Some(kind)) if !name.is_empty() => match kind.only_name() {
            Some(only) if only != name => Err(Fault::invalid(format!(
                "{path}: there is one {}, and its file is {}",
                kind.word(),
                kind.path(only)
            ))),
            _ => Ok((kind, name.to_owned())),
        },
        _ => Err(Fault::invalid(format!("{path}: a file of the configuration is FOLDER/NAME.yaml"))
            .advice(format!("folders are {}", Kind::folders()))),
    }
}

/// The text without the line in which the file says its own name; the other lines keep their numbers. The shapes of
/// segments and dashboards hold the name, so they get it in any case.
fn without_name(file: &ConfigFile, kind: Kind, name: &str) -> Result<String, Fault> {
    let Some(key) = kind.name_key() else { return Ok(file.content.clone()) };
    let prefix = format!("{key}:");
    let mut lines: Vec<&str> = file.content.lines().collect();
    if let Some((index, line)) = lines.iter_mut().enumerate().find(|(_, line)| line.starts_with(&prefix)) {
        let said = line[prefix.len()..].split(" #").next().unwrap_or("").trim().trim_matches(['"', '\'']);
        if said != name {
            let line = index + 1;
            let message = format!("{}:{line}: `{key}` is `{said}`, but the file is that of `{name}`", file.path);
            return Err(Fault::invalid(message).advice("rename the file or change the key"));
        }
        *line = "";
    }
    let said = format!("{key}: {name}");
    if matches!(kind, Kind::Segment | Kind::Dashboard) {
        lines.push(&said);
    } else if lines.iter().all(|l| l.trim().is_empty() || l.trim().starts_with('#')) {
        // A file that says nothing else is an empty mapping.
        lines.push("{}");
    }
    Ok(lines.join("\n"))
}

/// Reads YAML; an error names file, line and key.
fn typed<T: DeserializeOwned>(file: &ConfigFile, text: &str) -> Result<T, Fault> {
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(0, |l| usize::try_from(l.line()).unwrap_or(0));
        let plain = error.without_snippet().to_string();
        let said = plain.lines().next().unwrap_or("it is not YAML");
        let end = said.find(" at line ").or_else(|| said.find(", line ")).unwrap_or(said.len());
        let said = &said[..end];
        let source = line.checked_sub(1).and_then(|i| text.lines().nth(i)).unwrap_or("");
        let key = source.split(':').next().unwrap_or("").trim().trim_start_matches("- ").trim();
        let named = source.contains(':') && !key.is_empty() && !said.contains(&format!("`{key}`"));
        let key = if named { format!("`{key}`: ") } else { String::new() };
        Fault::invalid(format!("{}:{line}: {key}{said}", file.path))
    })
}

fn check_rules(text: &str) -> Result<(), String> {
    let file = tenfold_alerting::parse_rules(text).map_err(|e| e.to_string())?;
    for rule in file.groups.iter().flat_map(|g| &g.rules) {
        tenfold_promql::parse(rule.expr())
            .map_err(|e| format!("line {}: `expr` of {}: {e}", rule.line(), rule.name()))?;
    }
    Ok(())
}
