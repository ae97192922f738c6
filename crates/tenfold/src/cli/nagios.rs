//! Reads a Nagios configuration from disk: the main file, and what it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tenfold_app::checks::{NagiosDrafts, NagiosImport, import_nagios};
use tenfold_protocols::nagios::{BYTES_MAX, read_main, read_objects, resolve};

use super::out::Failure;

/// What of the drafts is written where: as `tenfold apply` reads it.
pub const ROUTING_FILE: &str = "routing/alertmanager.yaml";

const FILES_MAX: usize = 20_000;

/// What a configuration becomes here. Its clock is in `zone`, else where the main file says, else in UTC.
pub fn read(main: &Path, zone: Option<&str>) -> Result<NagiosImport, Failure> {
    let mut left = BYTES_MAX as u64;
    let settings = read_main(&text(main, &mut left)?);
    let base = main.parent().unwrap_or(Path::new(""));
    let (mut files, mut macros, mut interval_length) = (Vec::new(), BTreeMap::new(), 60.0);
    let mut own_zone = "UTC".to_owned();
    for (key, value) in &settings {
        let path = base.join(value);
        match key.as_str() {
            "cfg_file" => files.push(path),
            "cfg_dir" => below(&path, &mut files)?,
            "resource_file" => {
                for (name, value) in read_main(&text(&path, &mut left)?) {
                    macros.insert(name.trim_matches('$').to_owned(), value);
                }
            }
            "use_timezone" => value.trim_start_matches(':').clone_into(&mut own_zone),
            "interval_length" => interval_length = value.parse().unwrap_or(60.0),
            _ => {}
        }
    }
    let mut objects = Vec::new();
    for file in files {
        let read = read_objects(&file.display().to_string(), &text(&file, &mut left)?);
        objects.extend(read.map_err(|e| Failure::misuse(e.to_string()))?);
    }
    if objects.is_empty() {
        return Err(Failure::misuse(format!("{} names no objects", main.display()))
            .advice("give the main file, which has lines like cfg_file=/etc/nagios4/objects/localhost.cfg"));
    }
    let resolved = resolve(&objects).map_err(|e| Failure::misuse(e.to_string()))?;
    let zone = zone.unwrap_or(&own_zone);
    import_nagios(&resolved, &macros, interval_length, zone).map_err(Failure::misuse)
}

/// Writes the drafts below a folder, to be looked through and given to `tenfold apply`. JSON is YAML as well.
pub fn write_drafts(dir: &Path, drafts: &NagiosDrafts) -> Result<usize, Failure> {
    let mut files: Vec<(String, Value)> = Vec::new();
    for person in &drafts.people {
        let contact = if person.email.is_empty() { json!({}) } else { json!({"email": person.email}) };
        let mut file = json!({"name": person.name, "contact": contact});
        if !person.teams.is_empty() {
            file["teams"] = json!(person.teams);
        }
        files.push((format!("people/{}.yaml", person.login), file));
    }
    for (name, policy) in &drafts.policies {
        files.push((format!("policies/{name}.yaml"), json!(policy)));
    }
    files.extend(drafts.routing.clone().map(|routing| (ROUTING_FILE.to_owned(), routing)));
    write_files(dir, &files)
}

/// Writes values below a folder, each at its path.
pub fn write_files(dir: &Path, files: &[(String, Value)]) -> Result<usize, Failure> {
    for (name, value) in files {
        let path = dir.join(name);
        let fail = |e: std::io::Error| Failure::failed(format!("{} cannot be written: {e}", path.display()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(fail)?;
        }
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        std::fs::write(&path, text + "\n").map_err(fail)?;
    }
    Ok(files.len())
}

fn text(path: &Path, left: &mut u64) -> Result<String, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::misuse(format!("{}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| wrong(&e))?.len();
    *left = left.checked_sub(size).ok_or_else(|| wrong(&format!("all files have more than {BYTES_MAX} bytes")))?;
    let bytes = std::fs::read(path).map_err(|e| wrong(&e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The `.cfg` files below a folder, folders in it too.
fn below(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let fail = |e: std::io::Error| Failure::misuse(format!("{}: {e}", dir.display()));
    let mut entries = std::fs::read_dir(dir).map_err(fail)?.collect::<Result<Vec<_>, _>>().map_err(fail)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().map_err(fail)?.is_dir() {
            below(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "cfg") {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            return Err(Failure::misuse(format!("{} holds more than {FILES_MAX} files", dir.display())));
        }
    }
    Ok(())
}
